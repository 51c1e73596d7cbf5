"""ESC/POS as a stream of commands: where each begins and ends, wherever the stream is cut.

Names and lengths are from Epson's ESC/POS Command Reference, the obsolete commands in it included, and from the manuals
of Star (ESC/POS mode, Rev. 2.50), Bixolon (SRP-350) and Citizen (CT-S). A command nobody knows is taken for two bytes,
as the printers take it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass

_PREFIXES = {0x10: "DLE", 0x1B: "ESC", 0x1C: "FS", 0x1D: "GS"}
_SINGLE = {0x09: "HT", 0x0A: "LF", 0x0C: "FF", 0x0D: "CR", 0x18: "CAN"}
_STRANGE = {0x07: "BEL", 0x1F: "US"}  # no command of receipt printers, but of some
_FOLLOWING = {0x04: "EOT", 0x05: "ENQ", 0x0C: "FF", 0x14: "DC4", 0x20: "SP"}

# How many bytes follow the name, for commands that always have as many.
_FIXED = {
    "ESC": "FF 0  ! 1  $ 2  % 1  - 1  2 0  3 1  < 0  = 1  ? 1  @ 0  B 2  E 1  G 1  J 1  K 1  L 0"
    "  M 1  R 1  S 0  SP 1  T 1  U 1  V 1  W 8  \\ 2  a 1  c 2  d 1  e 1  f 2  i 0  m 0  o 0  p 3  q 0  r 1  t 1"
    "  u 1  v 0  { 1",
    "GS": "! 1  $ 2  / 1  : 0  A 2  B 1  E 1  H 1  I 1  L 2  P 2  T 1  W 2  \\ 2  ^ 3  a 1  b 1  c 0  f 1  h 1"
    "  j 1  r 1  w 1  FF 0",
    "FS": "! 1  & 0  - 1  . 0  ? 2  C 1  S 2  W 1  p 2",
    "DLE": "ENQ 1",
}


@dataclass(slots=True)
class Token:
    """One command, or a run of text (name ""). offset: of its first byte. data: what follows the name, as far as it is
    kept. size: all its bytes. known: False for what no manual names. whole: False when the stream ended in it.
    """

    name: str
    offset: int
    data: bytearray
    size: int
    known: bool = True
    whole: bool = True

    def number(self, at: int, size: int = 2) -> int:
        """A number in `size` bytes, the lowest first; missing bytes count as 0."""
        return int.from_bytes(self.data[at : at + size], "little")


@dataclass(frozen=True, slots=True)
class Pass:
    """So many bytes of data that need not be looked at."""

    count: int


class UntilNul:
    """Data up to and with a NUL."""


Need = int | Pass | UntilNul
Parameters = Generator[Need, bytes, None]
"""Asks for what follows a command's name: a number of bytes to look at, or what can be passed over."""


def _fixed(count: int) -> Callable[[], Parameters]:
    def parameters() -> Parameters:
        yield count

    return parameters


def _counted(size: int) -> Callable[[], Parameters]:
    """A length in `size` bytes, then as many bytes: GS ( L pL pH, GS 8 L p1 p2 p3 p4."""

    def parameters() -> Parameters:
        yield Pass(int.from_bytes((yield size), "little"))

    return parameters


def _after_letter(size: int) -> Callable[[], Parameters]:
    """GS ( and its kind: a letter, then a counted part."""

    def parameters() -> Parameters:
        head = yield 1 + size
        yield Pass(int.from_bytes(head[1:], "little"))

    return parameters


def _bit_image() -> Parameters:
    """ESC * m nL nH: 1 byte a column, 3 in the 24-dot modes 32 and 33."""
    m, low, high = yield 3
    yield Pass((low + 256 * high) * (3 if m in (32, 33) else 1))


def _raster() -> Parameters:
    """GS v 0 m xL xH yL yH, GS Q 0 m xL xH yL yH."""
    head = yield 6
    yield Pass(int.from_bytes(head[2:4], "little") * int.from_bytes(head[4:6], "little"))


def _barcode() -> Parameters:
    """GS k m d1...dk NUL (m 0 to 6), GS k m n d1...dn (m 65 and up)."""
    [m] = yield 1
    if m <= 6:
        yield UntilNul()
    elif m >= 65:
        yield Pass((yield 1)[0])


def _cut() -> Parameters:
    """GS V m; m 65, 66 and those that only reserve a cut are followed by n."""
    [m] = yield 1
    if m in (65, 66, 97, 98, 103, 104):
        yield 1


def _real_time_status() -> Parameters:
    """DLE EOT n, for n 7, 8 and 18 with a second byte."""
    [n] = yield 1
    if n in (7, 8, 18):
        yield 1


def _real_time_request() -> Parameters:
    """DLE DC4 fn: 1 (pulse) m t, 2 (power off) a b, 3 (buzzer) a n r t1 t2, 7 (status) m, 8 (clear) d1...d7."""
    [fn] = yield 1
    yield {1: 2, 2: 2, 3: 5, 7: 1, 8: 7}.get(fn, 0)


def _own_characters() -> Parameters:
    """ESC & y c1 c2 [x d1...d(y*x)] for every character from c1 to c2."""
    y, first, last = yield 3
    for _ in range(last - first + 1):
        [x] = yield 1
        yield Pass(x * y)


def _own_picture() -> Parameters:
    """GS * x y d1...d(x*y*8)."""
    x, y = yield 2
    yield Pass(x * y * 8)


def _stored_pictures() -> Parameters:
    """FS q n [xL xH yL yH d1...dk] n times; k is x*y*8."""
    [n] = yield 1
    for _ in range(n):
        head = yield 4
        yield Pass(int.from_bytes(head[:2], "little") * int.from_bytes(head[2:], "little") * 8)


def _own_kanji() -> Parameters:
    """FS 2 c1 c2 d1...d72: one character of 24 x 24 dots."""
    yield 2
    yield Pass(72)


def _user_memory() -> Parameters:
    """FS g 1 m a1...a4 nL nH d1...dk writes; FS g 2 m a1...a4 nL nH reads."""
    head = yield 8
    if head[0] in b"\x011":
        yield Pass(int.from_bytes(head[6:], "little"))


def _counter_mode() -> Parameters:
    """GS C 0 n m, GS C 1 aL aH bL bH n r, GS C 2 nL nH, GS C ; followed by five numbers, each with a semicolon."""
    [kind] = yield 1
    if kind != 0x3B:
        yield {0: 2, 0x30: 2, 1: 6, 0x31: 6, 2: 2, 0x32: 2}.get(kind, 0)
        return
    semicolons = 0
    while semicolons < 5:
        [byte] = yield 1
        if byte == 0x3B:
            semicolons += 1
        elif not 0x30 <= byte <= 0x39:
            return


def _maintenance() -> Parameters:
    """GS g 0 m nL nH (set to 0), GS g 2 m nL nH (ask)."""
    yield 4


def _two_more() -> Parameters:
    """GS z 0 t1 t2."""
    yield 3


def _check_answer() -> Parameters:
    """FS a 0 n and FS a 1, 2: check reader; FS e, FS b and the like are not receipt printers' business."""
    [kind] = yield 1
    if kind in b"\x000":
        yield 1


def _download() -> Parameters:
    """GS D m fn a kc1 kc2 b c, then a Windows BMP file, which tells its own size in bytes 2 to 5."""
    yield 7
    head = yield 6
    if head[:2] == b"BM":
        yield Pass(max(0, int.from_bytes(head[2:], "little") - 6))


def _until_nul() -> Parameters:
    yield UntilNul()


def _tabs() -> Parameters:
    """ESC D n1...nk NUL: ends at NUL, at a place not above the last one, after 32."""
    last = 0
    for _ in range(33):
        [place] = yield 1
        if place <= last:
            return
        last = place


_SHAPES: dict[str, Callable[[], Parameters]] = {
    **{
        f"{group} {name}": _fixed(int(count))
        for group, row in _FIXED.items()
        for name, count in zip(row.split()[::2], row.split()[1::2], strict=True)
    },
    "ESC &": _own_characters,
    "ESC (": _after_letter(2),
    "ESC *": _bit_image,
    "ESC D": _tabs,
    "GS (": _after_letter(2),
    "GS 8": _after_letter(4),
    "GS *": _own_picture,
    "GS C": _counter_mode,
    "GS D": _download,
    "GS Q": _raster,
    "GS V": _cut,
    "GS g": _maintenance,
    "GS k": _barcode,
    "GS v": _raster,
    "GS z": _two_more,
    "FS (": _after_letter(2),
    "FS 2": _own_kanji,
    "FS a": _check_answer,
    "FS g": _user_memory,
    "FS q": _stored_pictures,
    "DLE EOT": _real_time_status,
    "DLE DC4": _real_time_request,
}
NAMES = frozenset(_SHAPES) | frozenset(_SINGLE.values())
"""Every command there is a length for. Those with a letter after the name ("GS (") are told apart by Token.name."""
_LETTERED = frozenset({"ESC (", "GS (", "GS 8", "FS ("})
_NUMBERED = {"GS v": "GS v 0", "GS Q": "GS Q 0"}

_TEXT = re.compile(rb"[\x20-\xFF]+")
_IGNORED = re.compile(rb"[\0-\x06\x08\x0B\x0E\x0F\x11-\x17\x19\x1A\x1E]+")  # no command and not printed


class Stream:
    """Cuts a stream into tokens, fed piece by piece. keep: bytes of a command's data that are kept."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.offset = 0
        self.token: Token | None = None
        """The command that has begun and has not ended."""
        self._parameters: Parameters | None = None
        self._need: Need = 0
        self._left = 0
        self._head = b""

    def missing(self, most: int) -> bytes:
        """Zeros that bring the open command nearer to its end, at most so many; b"" when none is open."""
        return b"" if self.token is None else bytes(min(max(self._left, 1), most))

    def feed(self, data: bytes) -> list[Token]:
        """The commands and pieces of text that end in `data`."""
        done: list[Token] = []
        at = 0
        while at < len(data):
            at = self._step(data, at, done)
        self.offset += len(data)
        return done

    def end(self) -> Token | None:
        """The stream is over: the command it ended in."""
        token, self.token = self.token, None
        if token is not None:
            token.whole = False
        return token

    def _step(self, data: bytes, at: int, done: list[Token]) -> int:
        """Take at least one byte."""
        if self.token is not None:
            return self._go_on(self.token, data, at, done)
        if found := _TEXT.match(data, at):
            text = found[0]
            done.append(Token("", self.offset + at, bytearray(text), len(text)))
            return found.end()
        if found := _IGNORED.match(data, at):
            return found.end()
        byte = data[at]
        self.token = Token(_PREFIXES.get(byte, ""), self.offset + at, bytearray(), 1)
        if byte not in _PREFIXES:
            self.token.name = _SINGLE.get(byte) or _STRANGE[byte]
            self.token.known = byte in _SINGLE
            self._finish(done)
        return at + 1

    def _go_on(self, token: Token, data: bytes, at: int, done: list[Token]) -> int:
        """Take what belongs to the open command."""
        if self._parameters is None:
            self._name(token, data[at], done)
            return at + 1
        if isinstance(self._need, UntilNul):
            end = data.find(0, at)
            end, over = (len(data), False) if end < 0 else (end + 1, True)
        else:
            end = min(len(data), at + self._left)
            self._left -= end - at
            over = not self._left
        piece = data[at:end]
        token.size += len(piece)
        token.data += piece[: max(0, self.keep - len(token.data))]
        if isinstance(self._need, int):
            self._head += piece
        if over:
            self._ask(done)
        return end

    def _name(self, token: Token, byte: int, done: list[Token]) -> None:
        """The second byte of a command."""
        token.size = 2
        token.name += " " + _FOLLOWING.get(byte, chr(byte) if 0x21 <= byte <= 0x7E else f"{byte:02X}")
        shape = _SHAPES.get(token.name)
        if shape is None:
            token.known = False
            self._finish(done)
            return
        self._parameters = shape()
        self._need = next(self._parameters)
        self._left = self._need if isinstance(self._need, int) else 0
        if not self._left and isinstance(self._need, int):
            self._ask(done)

    def _ask(self, done: list[Token]) -> None:
        """What was asked for is there: the command goes on, or it is whole."""
        assert self._parameters is not None
        while True:
            head, self._head = self._head, b""
            try:
                self._need = self._parameters.send(head)
            except StopIteration:
                self._finish(done)
                return
            self._left = self._need.count if isinstance(self._need, Pass) else 0
            if isinstance(self._need, int):
                self._left = self._need
            if self._left or isinstance(self._need, UntilNul):
                return

    def _finish(self, done: list[Token]) -> None:
        assert self.token is not None
        named(self.token)
        done.append(self.token)
        self.token = self._parameters = None


def named(token: Token) -> Token:
    """Put the letter that makes GS ( ten commands into the name, and take it out of the data: "GS ( L"."""
    if token.name in _LETTERED and token.data:
        letter = token.data.pop(0)
        token.name += f" {chr(letter)}" if 0x21 <= letter <= 0x7E else f" {letter:02X}"
    elif token.name in _NUMBERED and bytes(token.data[:1]) in (b"\0", b"0"):
        token.name = _NUMBERED[token.name]
        token.data.pop(0)
    return token
