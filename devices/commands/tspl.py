"""TSPL commands: what a raw job would do. TSPL/TSPL2 Programming Language manual (TSC Auto ID), by command.

Not in any table: names of stored programs (a name alone on a line runs one), BASIC statements, whatever is new. All of
that is UNKNOWN. So is a BITMAP that not every printer counts alike (in small letters, compressed, larger than any
label), because other commands may hide in it. Immediate commands within pictures are named as well: the manual has
ESC ! D to switch them off, so a printer that was not told to may obey them there.
"""

from __future__ import annotations

import re

from devices.commands import Command, Harm, Scanner
from devices.readers._tspl_stream import Line, Stream

MOST_LABELS = 10_000  # PRINT; a roll has a few thousand

_HARMS: dict[str, Harm] = {
    name: harm
    for harm, names in {
        Harm.NONE: (
            "SIZE GAP BLINE OFFSET SPEED DENSITY DIRECTION REFERENCE SHIFT COUNTRY CODEPAGE CLS LIMITFEED SOUND BEEP "
            "CUT BAR BARCODE TLC39 BOX CIRCLE ELLIPSE DIAGONAL TEXT BLOCK REVERSE ERASE PUTBMP PUTPCX QRCODE DMATRIX "
            "PDF417 MPDF417 AZTEC MAXICODE CODABLOCK RSS REM @"
        ),
        Harm.SETTINGS: "GAPDETECT BLINEDETECT AUTODETECT WLAN NET BT ~!E",
        Harm.FILES: "DOWNLOAD EOP FILES KILL MOVE RUN COPY OPEN CLOSE WRITE READ SEEK PUT GET",
        Harm.DISRUPTION: "FEED BACKFEED BACKUP FORMFEED HOME SELFTEST INITIALPRINTER ~!D",
        Harm.BACKCHANNEL: "OUT OUTR ~!@ ~!A ~!C ~!F ~!I ~!T",
    }.items()
    for name in names.split()
}
_IMMEDIATE: dict[str, Harm] = {
    **dict.fromkeys(("ESC ! ?", "ESC ! S"), Harm.BACKCHANNEL),
    **dict.fromkeys(("ESC ! R", "ESC ! C", "ESC ! F", "ESC ! P", "ESC ! O", "ESC ! ."), Harm.DISRUPTION),
    "ESC ! D": Harm.SETTINGS,
}
_SET: dict[str, Harm] = {
    # These shape the next labels. The manual keeps most of them when power goes, and every driver says them anew.
    **dict.fromkeys(
        ("COUNTER", "CUTTER", "PARTIAL_CUTTER", "BACK", "PEEL", "TEAR", "STRIPER", "REWIND", "RIBBON"), Harm.NONE
    ),
    "RESPONSE": Harm.BACKCHANNEL,
}  # the rest are settings
_OF_DRIVERS = re.compile(rb"\s+(?:AUTODOTTED|PAUSEKEY|WATERMARK)\s+(?:ON|OFF)\s*")
"""SETC is in no manual of TSC's; the drivers of Rollo, Munbyn and Xprinter say these three with every label."""
_QUANTITY = re.compile(rb"\s*(\d{1,9})\s*(?:,\s*(\d{1,9})\s*)?")
_REPEAT = re.compile(rb"\s*-1\s*(?:,.*)?", re.DOTALL)
_WORD = re.compile(rb"\s*([A-Za-z_]+)")


class TsplScanner:
    """Keeps half a kilobyte, whatever it is fed."""

    def __init__(self) -> None:
        self._stream = Stream()

    def feed(self, data: bytes) -> list[Command]:
        """The commands whose end (of a BITMAP or DOWNLOAD: whose head) was in what was fed so far."""
        return [_command(line) for line in self._stream.feed(data)]

    def end(self) -> list[Command]:
        """The last line, when it has no end."""
        return [_command(line) for line in self._stream.end()]

    def ending(self) -> bytes:
        """White dots for a picture cut off, a closing quote, the line's end, the EOP of a program."""
        return self._stream.ending()


def new() -> Scanner:
    """A scanner at the beginning of a stream."""
    return TsplScanner()


def _command(line: Line) -> Command:
    return Command(line.name, line.at, harm(line), line.text[:64].strip(b" \t"))


def harm(line: Line) -> Harm:
    """What a line may do beside printing."""
    match line.name:
        case "BITMAP":
            return Harm.UNKNOWN if line.odd or line.size is None else Harm.NONE
        case "SET":
            word = _WORD.match(line.text)
            return _SET.get(word[1].decode().upper(), Harm.SETTINGS) if word else Harm.UNKNOWN
        case "SETC":
            return Harm.NONE if _OF_DRIVERS.fullmatch(line.text) else Harm.UNKNOWN
        case "PRINT":
            return _print_harm(line.text)
    return _IMMEDIATE.get(line.name) or _HARMS.get(line.name, Harm.UNKNOWN)


def _print_harm(text: bytes) -> Harm:
    """PRINT m[,n]: m sets of n copies; -1 prints the last label again, or without end, as manuals differ."""
    if found := _QUANTITY.fullmatch(text):
        return Harm.NONE if int(found[1]) * int(found[2] or 1) <= MOST_LABELS else Harm.DISRUPTION
    return Harm.DISRUPTION if _REPEAT.fullmatch(text) else Harm.UNKNOWN
