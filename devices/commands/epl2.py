"""What an EPL2 stream would do. EPL Programming Guide (Zebra 14245L), named by command.

The set-up every driver sends with every label (I, q, Q, R, S, D, Z, O, JF, JB, r, f) counts as printing: whoever prints
next sends their own. `?` fills in a stored form with lines that are no commands, how many only the form knows.
"""

from __future__ import annotations

import re

from devices.commands import Command, Harm, Scanner
from devices.readers._epl2_stream import HEAD, Stream
from devices.readers._epl2_stream import Command as _Found

MOST_COPIES = 9_999  # labels of one P that are still taken for meant
_HARMS = {
    name: harm
    for harm, names in {
        Harm.SETTINGS: "^default OEPL1 eR fB JC M o oB oE oL oM oR oW T TD TS TT UA UB Y",
        Harm.FILES: "AUTOFR EK ES FE FK FS GK GM",
        Harm.DISRUPTION: "^@ dump EI FI GI U UP URH URL URR xa",
        Harm.BACKCHANNEL: "^ee UE UF UG UI UM UQ US UT U% U$ V",
        Harm.PREFIX: "W",
    }.items()
    for name in names.split()
}
_DATA = rb"(?:\"(?:\\.|[^\"\\])*\"|[VC]\d{1,2}|T[DT]|[+-]?\d+|[ \t])+"
_HARMLESS = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {
        "A": rb"\d+,\d+,[0-7],\w,\d+,\d+,[NR]," + _DATA,
        "B": rb"\d+,\d+,[0-3],[\w-]+,\d+,\d+,\d+,[BN]," + _DATA,
        "b": rb"\d+,\d+,[\w,]*?," + _DATA,
        "C": rb"",
        "D": rb"\d{1,2}",
        "f": rb"\d{1,3}",
        "FR": rb"\"[^\"]*\"",
        "GG": rb"\d+,\d+,(?:\"[^\"]*\"|V\d\d)",
        "GW": rb"\d+,[ \t]*\d+,[ \t]*\d+,[ \t]*\d+",
        "i": rb"[\d,]*",
        "I": rb"\d,\w{1,2}(?:,\d{3})?",
        "JB": rb"",
        "JF": rb"",
        "LE": rb"\d+,\d+,\d+,\d+",
        "LO": rb"\d+,\d+,\d+,\d+",
        "LS": rb"\d+,\d+,\d+,\d+,\d+",
        "LW": rb"\d+,\d+,\d+,\d+",
        "N": rb"",
        "O": rb"[CDPLSb\d,]*",
        "oH": rb"\d+,\d+",
        "P": rb"\d{1,5}(?:,\d{1,5})?",
        "PA": rb"\d{0,5}(?:,\d{1,5})?",
        "Q": rb"\d{1,5}(?:,B?\d{1,3}(?:,?[+-]?\d{1,5})?)?",
        "q": rb"\d{1,5}",
        "R": rb"-?\d+,-?\d+",
        "r": rb"[NY]",
        "S": rb"\d",
        "UN": rb"",
        "X": rb"\d+,\d+,\d+,\d+,\d+",
        "Z": rb"[BT]",
        ";": rb".*",
    }.items()
}
_CARRIERS = frozenset({b".", b"EPL2"})  # lines with which carriers' labels begin; no commands in page mode
_WHOLE = re.compile(rb"\s*(?:(?:[qQSD]\d[\d,B+]*|O[CP]?|ZT|N)\n)*GW\d{1,5},\d{1,5},(\d{1,5}),(\d{1,5}),")
_PRINTED = re.compile(rb"\nP[1-9]\d{0,3}\n")


class Epl2Scanner:
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
        """Quotes closed, the line ended, a picture filled up with white, a form's storing ended."""
        return self._stream.ending()


def new() -> Scanner:
    """A scanner for one stream."""
    return Epl2Scanner()


def plainly_whole(data: bytes) -> bool:
    """True when `data` is nothing but set-up, pictures and P, and ends after a P. Looks at no dot of the pictures."""
    at, ready = 0, False
    while at < len(data):
        if found := _WHOLE.match(data, at):
            at, ready = found.end() + int(found[1]) * int(found[2]), False
        elif found := _PRINTED.match(data, at):
            at, ready = found.end(), True
        else:
            return False
    return ready and at == len(data)


def _judged(found: _Found) -> list[Command]:
    """The command, and once more by its doubt, so that a line cannot be harmless in one reading only."""
    name = found.name or found.text[:16].decode("ascii", "replace")
    judged = [Command(name, found.at, _harm(found), found.text[:HEAD])]
    if found.doubt:
        judged.append(Command(found.doubt, found.at, Harm.UNKNOWN))
    return judged


def _harm(found: _Found) -> Harm:
    """What is known not to match a command's form is not known to be harmless."""
    if harm := _HARMS.get(found.name):
        return harm
    text, form = found.text.strip(b" \t"), _HARMLESS.get(found.name)
    if form is None:
        return Harm.NONE if text in _CARRIERS and not found.name else Harm.UNKNOWN
    if not form.fullmatch(text):
        text = text.partition(b";")[0].rstrip(b" \t")  # a remark behind a command, as QZ Tray's sample label has it
        if not form.fullmatch(text):
            return Harm.UNKNOWN
    if found.name in ("P", "PA") and _copies(text) > MOST_COPIES:
        return Harm.DISRUPTION
    return Harm.NONE


def _copies(text: bytes) -> int:
    """Sets times copies of each."""
    sets, _, copies = text.partition(b",")
    return int(sets or b"1") * int(copies or b"1")
