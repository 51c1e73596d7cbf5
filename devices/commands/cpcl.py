"""What a CPCL stream would do. CPCL Programming Manual and CPCL Programming Guide for Link-OS (Zebra), by command.

A label session holds print fields only; everything that reads, stores or sets something belongs into a `! UTILITIES` or
`! U` session, and bytes between sessions are printed as lines of text or are escape commands.
"""

from __future__ import annotations

import re

from devices.commands import Command, Harm, Scanner
from devices.readers._cpcl_stream import Command as _Found
from devices.readers._cpcl_stream import Stream
from devices.readers._epl2_stream import HEAD

MOST_COPIES = 1_024  # the manual's own limit; some printers print more
_HARMS = {
    name: harm
    for harm, names in {
        Harm.SETTINGS: "setvar SETVAR SET-TOF SET-DATE SET-TIME BAUD BT-NAME ANNOUNCE TIMEOUT MAX-SETFF SETFF S-FEED"
        " AUTOCAL LP-ORIENT SETSP-FONT ON-LOW-BATTERY OLB ON-OUT-OF-PAPER",
        Harm.FILES: "DF DEFINE-FILE DEFINE-FORMAT USE-FORMAT UF DEL DELETE TYPE COPY RENAME CAPTURE INIT-FILES"
        " CISDFCRC16 CISDFRCRC16 CISDFSCRC16 RUN RE-RUN",
        Harm.DISRUPTION: "do DO DUMP DUMP-IMAGE ABORT-ALL RESET POWER-OFF OFF CALIBRATE DELAYED-ACTIONS NCPL",
        Harm.BACKCHANNEL: "getvar GETVAR VERSION DIR CHECKSUM CHAR-COUNT CC GET-DATE GET-TIME MAX-LABEL-HEIGHT DISPLAY",
        Harm.PREFIX: "LT CHAR-SET-LT UTF8-LT",
    }.items()
    for name in names.split()
}
_HARMLESS = frozenset(
    "PRINT ABORT FORM PAGE-WIDTH PW PAGE-HEIGHT PH TEXT T VTEXT VT TEXT90 T90 TEXT180 T180 TEXT270 T270"
    " CONCAT VCONCAT ML MULTILINE COUNT SETMAG SETBOLD SETSP SETLP UNDERLINE BARCODE B VBARCODE VB BARCODE-TEXT BT"
    " SCALE-TEXT ST VSCALE-TEXT VST SCALE-TO-FIT STF ROTATE R LINE L BOX INVERSE-LINE IL PATTERN EG VEG CG VCG"
    " EXPANDED-GRAPHICS VEXPANDED-GRAPHICS COMPRESSED-GRAPHICS VCOMPRESSED-GRAPHICS LEFT CENTER RIGHT CONTRAST TONE"
    " SPEED GAP-SENSE BAR-SENSE NO-PACE PACE AUTO-PACE WAIT REVERSE PREFEED POSTFEED PRESENT-AT JOURNAL LABEL NOTE"
    " COUNTRY ENCODING IN-INCHES IN-MILLIMETERS IN-CENTIMETERS IN-DOTS BEEP RW X Y XY LMARGIN MOVE SETLF END QUIT"
    " PAGE-ROTATE PR".split()
)

_LOOKS = {
    "ON-FEED": (re.compile(rb"IGNORE|FEED"), Harm.SETTINGS),  # Zebra's own sample label says IGNORE
    "PCX": (re.compile(rb"\d+ +\d+ +!<[\w.]+"), Harm.UNKNOWN),  # of a file in the printer; else data follows
}
"""What is harmless with these parameters."""


class CpclScanner:
    """Reads one stream."""

    def __init__(self) -> None:
        self._stream = Stream(keep=False)

    def feed(self, data: bytes) -> list[Command]:
        """The commands known to have begun."""
        return [command for found in self._stream.feed(data) for command in _judged(found)]

    def end(self) -> list[Command]:
        """The last line, when its end did not come."""
        return [command for found in self._stream.end() for command in _judged(found)]

    def ending(self) -> bytes:
        """A picture filled up with white, a block of text and the session ended (ABORT: nothing half is printed)."""
        return self._stream.ending()


def new() -> Scanner:
    """A scanner for one stream."""
    return CpclScanner()


def forgetting(rests: list[bytes], slack: int) -> bytes:
    """See devices.commands. rests: the endings of the job at each cut.

    What is no command between sessions is printed as text, so ABORT stands in a session of its own; in one that is open
    ! UTILITIES does nothing. Only CG is filled up (the blank ends its head): the digits of EG would be text as well.
    """
    missing = max((rest.count(0) for rest in rests), default=0)
    blocks = sorted({found for rest in rests for found in re.findall(rb"END[A-Z0-9-]+\r\n", rest)})
    filling = b" " + bytes(missing + slack) if missing else b""
    return filling + b"\r\n! UTILITIES\r\n" + b"".join(blocks) + b"ABORT\r\n"


def _judged(found: _Found) -> list[Command]:
    """The command, and once more by its doubt, so that a line cannot be harmless in one reading only."""
    judged = [Command(found.name or "text", found.at, _harm(found), found.text[:HEAD])]
    if found.doubt:
        judged.append(Command(found.doubt, found.at, Harm.UNKNOWN))
    return judged


def _harm(found: _Found) -> Harm:
    """By the first word; `! U1 setvar` and its like by the word after."""
    name = found.name
    if name == "":
        return Harm.NONE if b"\x1b" not in found.text else Harm.UNKNOWN
    if name == "!":
        numbers = found.numbers(5)
        if None in numbers:
            return Harm.UNKNOWN
        return Harm.NONE if (numbers[4] or 0) <= MOST_COPIES else Harm.DISRUPTION
    if name.startswith("! "):
        return _session(found)
    if harm := _HARMS.get(name):
        return harm
    if (look := _LOOKS.get(name)) is not None:
        form, otherwise = look
        return Harm.NONE if form.fullmatch(found.text.strip()) else otherwise
    if name.startswith((";", "//")) or (name in _HARMLESS and b"\x1b" not in found.text):
        return Harm.NONE
    return Harm.UNKNOWN


def _session(found: _Found) -> Harm:
    """`! UTILITIES` and `! U` begin sessions; `! U1 word` is one command; `! DF` and `! UF` handle stored formats."""
    second = found.name[2:]
    if second in ("UTILITIES", "U", "U1"):
        word = found.words[0].decode("latin-1") if found.words else ""
        if not word:
            return Harm.NONE
        return _HARMS.get(word) or (Harm.NONE if word in _HARMLESS else Harm.UNKNOWN)
    return _HARMS.get(second, Harm.UNKNOWN)
