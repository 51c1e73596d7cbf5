"""EPL2 read back into pictures: what `devices.languages.epl2` writes, and the graphics other programs send.

Drawn: GW, and the lines LO, LW, LE, LS and X. Text and barcodes need the printer's own fonts, and stored graphics and
forms lie in its memory, so they are named in `Label.undrawn`. Facts are from the EPL Programming Guide (Zebra 14245L).

The bytes may be hostile: work and memory grow with the length of the data and with `limit`, never faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from devices.contracts import Bitmap
from devices.readers._epl2_stream import Command, Stream
from devices.readers._label import LIMIT, MAX_DATA, MAX_DOTS, MAX_LABELS, MAX_SIDE, ROW, Label
from devices.readers._marks import Mark, Picture, drawn, frame

__all__ = ["LIMIT", "Label", "Printer", "read"]

MAX_COPIES = 65_535 * 65_535  # P: sets, and copies of each
_INVERT = bytes(255 - byte for byte in range(256))
_UNDRAWN = frozenset("A B b GG FR".split())


def read(data: bytes, *, limit: int = LIMIT) -> list[Label]:
    """The labels in `data`, one for each P. An image buffer that is not printed is no label, here as there.

    limit: bytes of pictures to unpack over all labels. Raises BadPrinterData, and nothing else, for data that cannot
    be read or that would unpack to more.
    """
    printer = Printer(limit)
    stream = Stream(keep=True)
    for command in stream.feed(data) + stream.end():
        printer.obey(command)
    return printer.labels


@dataclass(slots=True)
class _Buffer:
    """The image buffer: what was put into it since N."""

    marks: list[Mark] = field(default_factory=list)
    undrawn: dict[str, None] = field(default_factory=dict)


class Printer:
    """Obeys commands. What outlives a label (q, Q, R, and the image buffer itself until N) is kept here."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.labels: list[Label] = []
        self.limit = limit
        self.left = limit
        self.width: int | None = None
        self.length: int | None = None
        self.feed: int | None = None  # on continuous media: dots after the last black one
        self.origin = (0, 0)
        self.storing = False
        self.buffer = _Buffer()

    def obey(self, command: Command) -> None:
        """Carry out one command. What lies between FS and FE is stored, not carried out."""
        if command.name in ("FS", "FE"):
            self.storing = command.name == "FS"
        elif self.storing:
            return
        elif act := _ACTS.get(command.name):
            act(self, command)
        elif command.name in _UNDRAWN:
            self.buffer.undrawn[command.name] = None

    def spend(self, command: Command, rows: int, stride: int) -> None:
        """Account for a picture about to be unpacked or drawn."""
        self.left -= rows * (stride + ROW)
        if self.left < 0:
            raise command.bad(f"more than {self.limit:,} bytes of pictures to unpack; split the job")

    # Settings

    def _clear(self, command: Command) -> None:
        """N."""
        self.buffer = _Buffer()

    def _set_width(self, command: Command) -> None:
        """q: the label's width; it takes back R, and clears the image buffer."""
        self.width = command.numbers(1)[0] or self.width
        self.origin = (0, 0)
        self.buffer = _Buffer()

    def _set_length(self, command: Command) -> None:
        """Qlength,gap; a gap of 0 is continuous media. It clears the image buffer."""
        length, gap = command.numbers(2)
        self.length, self.feed = (None, length or 0) if gap == 0 else (length or self.length, None)
        self.buffer = _Buffer()

    def _set_origin(self, command: Command) -> None:
        """Rx,y: what all other places are measured from."""
        x, y = command.numbers(2)
        self.origin = (min(x or 0, MAX_SIDE), min(y or 0, MAX_SIDE))

    # Pictures

    def _graphic(self, command: Command) -> None:
        """GWx,y,bytes,rows,data: 1 is white."""
        x, y, stride, rows = (n or 0 for n in command.numbers(4))
        if stride * rows > MAX_DATA or max(stride * 8, rows) > MAX_SIDE:
            raise command.bad(f"a picture of {stride * 8:,} x {rows:,} dots is larger than any label")
        if command.missing:
            raise command.bad(f"the stream ends {command.missing:,} bytes before its binary data does")
        self.spend(command, rows, stride)
        raw = command.data.translate(_INVERT)
        lines = [int.from_bytes(raw[i : i + stride], "big") for i in range(0, len(raw), stride)] if stride else []
        self._put(x, y, Picture(stride * 8, lines), "black")

    def _line(self, command: Command) -> None:
        """LO, LW, LE x,y,width,height: a black, a white, an inverting rectangle."""
        x, y, width, height = (min(n or 0, MAX_SIDE) for n in command.numbers(4))
        self.spend(command, height, width // 8)
        ink = {"LO": "black", "LW": "white", "LE": "reverse"}[command.name]
        self._put(x, y, Picture(width, [(1 << width) - 1] * height), ink)

    def _box(self, command: Command) -> None:
        """Xx,y,thickness,x,y: from corner to corner, in whatever order."""
        x0, y0, thick, x1, y1 = (min(n or 0, MAX_SIDE) for n in command.numbers(5))
        (left, right), (top, bottom) = sorted((x0, x1)), sorted((y0, y1))
        width, height = max(right - left, thick, 1), max(bottom - top, thick, 1)
        self.spend(command, height, width // 8)
        self._put(left, top, frame(width, height, max(thick, 1)), "black")

    def _diagonal(self, command: Command) -> None:
        """LSx,y,thickness,x,y: a line whose pen is `thickness` dots wide (steep lines) or high (flat ones)."""
        x0, y0, thick, x1, y1 = (min(n or 0, MAX_SIDE) for n in command.numbers(5))
        picture = slanted(abs(x1 - x0), abs(y1 - y0), max(thick, 1), rising=(x1 - x0) * (y1 - y0) < 0)
        self.spend(command, len(picture), max(x1, x0) // 8 + thick // 8)
        width = abs(x1 - x0) + max(thick, 1)
        rows = [((1 << (end - begin)) - 1) << (width - end) for begin, end in picture]
        self._put(min(x0, x1), min(y0, y1), Picture(width, rows), "black")

    def _put(self, x: int, y: int, picture: Picture, ink: str) -> None:
        if picture.rows and picture.width:
            self.buffer.marks.append(Mark(self.origin[0] + x, self.origin[1] + y, picture, ink))

    # Labels

    def _print(self, command: Command) -> None:
        """Psets,copies: prints the image buffer, which stays until N."""
        if len(self.labels) == MAX_LABELS:
            raise command.bad(f"more than {MAX_LABELS:,} labels; split the job")
        sets, copies = command.numbers(2)
        count = min(sets if sets is not None else 1, 65_535) * min(copies if copies is not None else 1, 65_535)
        if count:
            bitmap = self._draw(command) if self.buffer.marks else None
            self.labels.append(Label(bitmap, count, tuple(self.buffer.undrawn)))

    def _draw(self, command: Command) -> Bitmap:
        """q x Q where stated, else as far as the marks go."""
        marks = self.buffer.marks
        bottom = max(mark.y + len(mark.picture.rows) for mark in marks)
        width = self.width or max(mark.x + mark.picture.width for mark in marks)
        height = max(1, bottom + self.feed if self.feed is not None else self.length or bottom)
        if width * height > MAX_DOTS or max(width, height) > MAX_SIDE:
            raise command.bad(f"a label of {width:,} x {height:,} dots (q, Q or the drawing) is too large to read")
        return drawn(marks, width, height, lambda rows, stride: self.spend(command, rows, stride))


def slanted(across: int, down: int, thick: int, *, rising: bool) -> list[tuple[int, int]]:
    """A line as the first and last-but-one dot of each row, in a rectangle as narrow as can be.

    across, down: dots between its ends. thick: dots of its pen, square. rising: from bottom left to top right.
    """
    rows = []
    for y in range(down + thick):
        first, last = max(0, y - thick + 1), min(y, down)  # rows of the thin line whose pen touches this one
        begin = max(0, (2 * first - 1) * across // (2 * down)) if down else 0
        end = min(across, (2 * last + 1) * across // (2 * down)) if down else across
        rows.append((begin, end + thick))
    return rows[::-1] if rising else rows


_ACTS: dict[str, Callable[[Printer, Command], None]] = {
    "N": Printer._clear,
    "q": Printer._set_width,
    "Q": Printer._set_length,
    "R": Printer._set_origin,
    "GW": Printer._graphic,
    "LO": Printer._line,
    "LW": Printer._line,
    "LE": Printer._line,
    "LS": Printer._diagonal,
    "X": Printer._box,
    "P": Printer._print,
}
