"""ESC/POS as commands, and what each may do. Facts from Epson's ESC/POS Command Reference, named by command.

What a printer stores or answers is told apart by the function number behind "GS (" and its kind; a function that is
not listed here counts as not known to be harmless. ESC @ begins every receipt and counts as printing.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from devices.commands import Command, Harm, Scanner
from devices.readers._escpos_stream import NAMES, Stream, Token, named

KEPT = 64  # bytes of parameters that are kept
MOST_FILLED = 4 << 20  # bytes; a picture that lacks more than that is not a receipt

_NONE, _SETTINGS, _FILES, _DISRUPTION = Harm.NONE, Harm.SETTINGS, Harm.FILES, Harm.DISRUPTION
_BACKCHANNEL, _DRAWER, _UNKNOWN = Harm.BACKCHANNEL, Harm.DRAWER, Harm.UNKNOWN

_PLAIN: dict[str, Harm] = {
    "BEL": _DRAWER,  # some printers (Citizen, Star) open the drawer with it in every mode
    "US": _UNKNOWN,  # makers' own settings hide behind it
    "ESC p": _DRAWER,
    "ESC u": _BACKCHANNEL,
    "ESC v": _BACKCHANNEL,
    "GS ( A": _DISRUPTION,  # test print
    "GS ( C": _FILES,  # user memory
    "GS ( D": _SETTINGS,  # real-time commands on and off
    "GS ( E": _SETTINGS,
    "GS ( F": _SETTINGS,  # where labels begin
    "GS ( H": _BACKCHANNEL,
    "GS ( K": _NONE,  # density and speed until the next ESC @
    "GS ( M": _SETTINGS,
    "GS ( N": _NONE,
    "GS ( P": _NONE,
    "GS ( Q": _NONE,
    "GS D": _FILES,
    "GS I": _BACKCHANNEL,
    "GS ^": _DISRUPTION,  # a macro, up to 255 times
    "GS a": _BACKCHANNEL,
    "GS j": _BACKCHANNEL,
    "GS r": _BACKCHANNEL,
    "GS z": _SETTINGS,
    "FS ( A": _NONE,
    "FS ( C": _NONE,
    "FS ( E": _SETTINGS,
    "FS ( L": _SETTINGS,
    "FS ( e": _BACKCHANNEL,
    "FS a": _BACKCHANNEL,
    "FS q": _FILES,
    "DLE ENQ": _DISRUPTION,
    "DLE EOT": _BACKCHANNEL,
}


def _by(place: int, harms: dict[int, Harm], other: Harm) -> Callable[[bytes], Harm]:
    """The harm by the byte at `place`. A digit means the same as its number."""

    def decide(data: bytes) -> Harm:
        if len(data) <= place:
            return _UNKNOWN
        return harms.get(data[place], other)

    return decide


def _functions(place: int, **functions: str) -> Callable[[bytes], Harm]:
    """The harm by function number. functions: the name of a Harm -> numbers."""
    harms = {int(n): Harm[name.upper()] for name, numbers in functions.items() for n in numbers.split()}
    return _by(place, harms, _UNKNOWN)


_GRAPHICS = {"none": "1 2 49 50 69 85 112 113", "backchannel": "0 3 4 48 51 52 64 80", "files": "65 66 67 81 82 83"}

_DECIDED: dict[str, Callable[[bytes], Harm]] = {
    "DLE DC4": _functions(0, drawer="1", disruption="2 8", none="3", backchannel="7"),
    "ESC ( A": _functions(2, none="48 97", settings="98 99"),  # beeper
    "ESC =": lambda data: _NONE if data and data[0] & 1 else _DISRUPTION,  # the printer does not listen
    "ESC c": lambda data: _panel(data),
    "GS ( L": _functions(3, **_GRAPHICS),
    "GS 8 L": _functions(5, **_GRAPHICS),
    "GS ( k": lambda data: _BACKCHANNEL if data[3:4] == b"R" else _NONE,  # fn 82: how large the symbol is
    "GS g": _functions(0, settings="0 48", backchannel="2 50"),
    "FS g": _functions(0, files="1 49", backchannel="2 50"),
}


def _panel(data: bytes) -> Harm:
    """ESC c 0, 1, 3, 4 choose paper and sensors; ESC c 5 n locks the buttons."""
    match data[:1]:
        case b"5":
            return _DISRUPTION if len(data) < 2 or data[1] & 1 else _NONE
        case b"0" | b"1" | b"3" | b"4":
            return _NONE
    return _UNKNOWN


_HARMLESS = NAMES | {"GS v 0", "GS Q 0"}  # of these, what is in neither table

# Obeyed the moment they arrive, inside a picture too (notes to DLE DC4 <fn 1>, <fn 2> and <fn 8>).
_REAL_TIME = re.compile(rb"\x10\x14(?:\x01[\0\x01][\x01-\x08]|\x02\x01\x08|\x08\x01\x03\x14\x01\x06\x02\x08)")
_LONGEST = 10  # bytes, DLE DC4 8


def harm(name: str, data: bytes) -> Harm:
    """What the command `name` with the parameters `data` may do."""
    if name in _DECIDED:
        return _DECIDED[name](data)
    return _PLAIN.get(name, _NONE if name in _HARMLESS else _UNKNOWN)


class EscPosScanner:
    """Lists commands; text and line feeds are not listed. A cut-off command is listed by what is there of it."""

    def __init__(self) -> None:
        self._stream = Stream(keep=KEPT)
        self._tail = b""
        self._told: set[int] = set()

    def feed(self, data: bytes) -> list[Command]:
        """The commands that ended in `data`, and one that is long enough to be judged."""
        found = self._hidden(data)
        for token in self._stream.feed(data):
            self._tell(token, found)
        begun = self._stream.token
        if begun is not None and len(begun.data) >= KEPT:
            self._tell(_copy(begun), found)
        self._told = {offset for offset in self._told if offset >= self._oldest()}
        return sorted(found, key=lambda command: command.offset)

    def end(self) -> list[Command]:
        """The command the stream broke off in."""
        found: list[Command] = []
        if self._stream.token is not None:
            self._tell(_copy(self._stream.token), found)
        return found

    def ending(self) -> bytes:
        """Zeros: white dots for a picture, a NUL that ends a list; at most 4 MiB. Feeding goes on after them."""
        filling = b""
        while self._stream.token is not None and len(filling) < MOST_FILLED:
            piece = self._stream.missing(MOST_FILLED - len(filling))
            self._stream.feed(piece)
            filling += piece
        return filling

    def _hidden(self, data: bytes) -> list[Command]:
        """Real-time commands, wherever they stand."""
        window = self._tail + data
        start = self._stream.offset - len(self._tail)
        found = []
        for match in _REAL_TIME.finditer(window):
            offset = start + match.start()
            if offset not in self._told:
                self._told.add(offset)
                found.append(Command("DLE DC4", offset, harm("DLE DC4", match[0][2:]), match[0][2:]))
        self._tail = window[-(_LONGEST - 1) :]
        return found

    def _tell(self, token: Token, found: list[Command]) -> None:
        if token.name in ("", "LF", "CR", "HT") or token.offset in self._told:
            return
        self._told.add(token.offset)
        data = bytes(token.data[:KEPT])
        found.append(Command(token.name, token.offset, harm(token.name, data), data))

    def _oldest(self) -> int:
        """No command before this offset can come up again."""
        open_token = self._stream.token
        return min(self._stream.offset - _LONGEST, open_token.offset if open_token else self._stream.offset)


def _copy(token: Token) -> Token:
    """The token as it would be called if it ended here."""
    return named(Token(token.name, token.offset, bytearray(token.data), token.size, token.known))


def new() -> Scanner:
    """A scanner at the beginning of a stream."""
    return EscPosScanner()
