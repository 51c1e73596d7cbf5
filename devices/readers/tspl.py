"""TSPL read back into pictures: what `devices.languages.tspl` writes, and the graphics other programs send.

Drawn: BITMAP, BAR, BOX, ERASE, REVERSE. Text, barcodes and stored pictures need what is in the printer, so they are
named in `Label.undrawn` instead. Facts are from the TSPL/TSPL2 Programming Language manual (TSC Auto ID).

The bytes may be hostile: work and memory grow with the length of the data and with `limit`, never faster.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice

from devices.contracts import Bitmap
from devices.errors import BadPrinterData
from devices.readers._label import LIMIT, MAX_DOTS, MAX_LABELS, MAX_SIDE, ROW, Label
from devices.readers._tspl_canvas import Canvas, Mark
from devices.readers._tspl_stream import Line, Stream

MAX_PICTURE = MAX_DOTS // 8  # bytes of one BITMAP
MAX_MARKS = 100_000  # on one label
MAX_COPIES = 999_999_999  # PRINT
RESOLUTIONS = (203, 300, 600)  # dots per inch of TSPL printers


def read(data: bytes, *, limit: int = LIMIT) -> list[Label]:
    """The labels in `data`, one for each PRINT.

    SIZE in mm or inches does not say how many dots that is: the label is drawn at the lowest of 203, 300 and 600 dpi at
    which all that is drawn fits on it, at 203 where nothing fits. Without SIZE it is as large as what is drawn.
    limit: bytes of pictures over all labels. Raises BadPrinterData, and nothing else, for data that cannot be read or
    that would unpack to more.
    """
    printer = Printer(limit)
    stream = Stream(MAX_PICTURE)
    for line in [*stream.feed(data), *stream.end()]:
        printer.obey(line)
    return printer.labels


class Printer:
    """Obeys lines. Everything outlives a PRINT here, the picture too: it is gone with CLS.

    resolutions: dots per inch it may have. size: what SIZE said, each side with its unit: mm, dot, or "" for inches.
    """

    def __init__(self, limit: int = LIMIT, resolutions: tuple[int, ...] = RESOLUTIONS) -> None:
        self.resolutions = resolutions
        self.labels: list[Label] = []
        self.limit = limit
        self.left = limit
        self.marks: list[Mark] = []
        self.undrawn: dict[str, None] = {}
        self.reference = (0, 0)
        self.size: tuple[tuple[float, str], ...] = ()
        self.mirrored = self.shifted = False

    def obey(self, line: Line) -> None:
        """Carry out one line. Raises BadPrinterData."""
        if line.inside:
            return
        if act := _ACTS.get(line.name):
            act(self, line)
        elif line.name in _UNDRAWN:
            self.undrawn[line.name] = None

    def forget(self) -> None:
        """CLS: the image buffer is empty."""
        self.marks.clear()
        self.undrawn.clear()

    # What is said about the label

    def _clear(self, line: Line) -> None:
        self.forget()

    def _sized(self, line: Line) -> None:
        """SIZE m,n: width and length in inches, or in mm or dots where it says so."""
        found = [(float(number), unit.decode().lower()) for number, unit in islice(_LENGTH.findall(line.text), 2)]
        if found and all(number > 0 for number, _ in found):
            self.size = tuple(found)

    def _referenced(self, line: Line) -> None:
        """REFERENCE x,y: what places are measured from, dots."""
        x, y = _numbers(line, 2)
        self.reference = (x, y)

    def _directed(self, line: Line) -> None:
        """DIRECTION n,m: n turns the label by 180 degrees, which a picture of it need not; m mirrors it."""
        self.mirrored = _numbers(line, 2)[1] == 1

    def _shift(self, line: Line) -> None:
        """SHIFT n: moves everything."""
        self.shifted = any(_numbers(line, 2))

    # What is drawn

    def _bitmap(self, line: Line) -> None:
        """BITMAP x,y,width,height,mode,data: width in bytes; mode 0 overwrites, 1 adds, 2 turns over; 0 is black."""
        x, y, across, down, mode = _numbers(line, 5)
        if line.size is None or mode == 3:
            self.undrawn["BITMAP"] = None  # its bytes cannot be counted, or are compressed
        elif line.data is None or max(across * 8, down) > MAX_SIDE:
            raise _bad(line, f"a picture of {across * 8:,} x {down:,} dots is larger than any label")
        elif line.size:
            self._put(line, Mark(x, y, across * 8, down, ("over", "black", "reverse")[mode], _inked(line.data)))

    def _bar(self, line: Line) -> None:
        """BAR x,y,width,height: black."""
        self._rectangle(line, "black")

    def _erase(self, line: Line) -> None:
        """ERASE x,y,width,height: white."""
        self._rectangle(line, "white")

    def _reverse(self, line: Line) -> None:
        """REVERSE x,y,width,height: black turns white and white black."""
        self._rectangle(line, "reverse")

    def _rectangle(self, line: Line, ink: str) -> None:
        x, y, width, height = _numbers(line, 4)
        if width > 0 and height > 0:
            self._put(line, Mark(x, y, min(width, MAX_SIDE), min(height, MAX_SIDE), ink))

    def _box(self, line: Line) -> None:
        """BOX x,y,x end,y end,thickness[,radius]. Round corners are not drawn."""
        x, y, right, bottom, thick, radius = _numbers(line, 6)
        if radius:
            self.undrawn["BOX"] = None
            return
        width, height, thick = min(right - x, MAX_SIDE), min(bottom - y, MAX_SIDE), max(thick, 1)
        if width <= 0 or height <= 0:
            return
        if 2 * thick >= min(width, height):
            self._put(line, Mark(x, y, width, height, "black"))
            return
        for side in (
            Mark(x, y, width, thick, "black"), Mark(x, y + height - thick, width, thick, "black"),
            Mark(x, y, thick, height, "black"), Mark(x + width - thick, y, thick, height, "black"),
        ):  # fmt: skip
            self._put(line, side)

    def _put(self, line: Line, mark: Mark) -> None:
        if len(self.marks) == MAX_MARKS:
            raise _bad(line, f"more than {MAX_MARKS:,} things on one label")
        self._spend(line, ROW + len(mark.rows or b""))
        self.marks.append(mark.moved(*self.reference))

    # Printing

    def _print(self, line: Line) -> None:
        """PRINT m,n: m sets of n copies. m below 1 prints the last label again; as one more label it is drawn here."""
        if len(self.labels) == MAX_LABELS:
            raise _bad(line, f"more than {MAX_LABELS:,} labels; split the job")
        sets, each = _numbers(line, 2)
        copies = min(max(sets, 1) * max(each, 1), MAX_COPIES)
        bitmap = self._drawn(line) if self.marks else None
        undrawn = [*self.undrawn, *["DIRECTION"] * self.mirrored, *["SHIFT"] * self.shifted]
        self.labels.append(Label(bitmap, copies, tuple(undrawn)))

    def _drawn(self, line: Line) -> Bitmap:
        right = max(1, *(mark.least_right for mark in self.marks))
        bottom = max(1, *(mark.y + mark.height for mark in self.marks))
        width, height = self._dots(right, bottom)
        if width * height > MAX_DOTS or max(width, height) > MAX_SIDE:
            raise _bad(line, f"a label of {width:,} x {height:,} dots (SIZE or the drawing) is too large to read")
        stride = (width + 7) // 8
        self._spend(line, height * (stride + ROW))
        for mark in self.marks:
            self._spend(line, min(mark.height, height) * (stride + ROW))
        canvas = Canvas(width, height)
        for mark in self.marks:
            canvas.paint(mark)
        return canvas.bitmap()

    def _dots(self, right: int, bottom: int) -> tuple[int, int]:
        """The label's width and height in dots, for a drawing that goes as far as right and bottom."""
        labels = []
        for dpi in self.resolutions:
            sides = [max(1, _in_dots(length, unit, dpi)) for length, unit in self.size]
            width, height = sides + [right, bottom][len(sides) :]
            labels.append((width, height))
        fitting = [(width, height) for width, height in labels if right <= width and bottom <= height]
        return (fitting or labels)[0]

    def _spend(self, line: Line, size: int) -> None:
        """Account for bytes of picture about to be kept or painted."""
        self.left -= size
        if self.left < 0:
            raise _bad(line, f"more than {self.limit:,} bytes of pictures to unpack; split the job")


_LENGTH = re.compile(rb"(\d{1,5}(?:\.\d{1,6})?|\.\d{1,6})[ \t]*(mm|dot)?", re.IGNORECASE)
_NUMBER = re.compile(rb"[ \t]*([+-]?\d{1,9})(?:\.\d*)?[ \t]*")
_INVERT = bytes(range(255, -1, -1))
_ACTS: dict[str, Callable[[Printer, Line], None]] = {
    "CLS": Printer._clear,
    "SIZE": Printer._sized,
    "REFERENCE": Printer._referenced,
    "DIRECTION": Printer._directed,
    "SHIFT": Printer._shift,
    "BITMAP": Printer._bitmap,
    "BAR": Printer._bar,
    "ERASE": Printer._erase,
    "REVERSE": Printer._reverse,
    "BOX": Printer._box,
    "PRINT": Printer._print,
}
_UNDRAWN = frozenset(
    "TEXT BLOCK BARCODE TLC39 QRCODE DMATRIX PDF417 MPDF417 AZTEC MAXICODE CODABLOCK RSS CIRCLE ELLIPSE DIAGONAL "
    "PUTBMP PUTPCX RUN".split()
)


def _in_dots(length: float, unit: str, dpi: int) -> int:
    """A side of SIZE in dots."""
    return round({"mm": length * dpi / 25.4, "dot": length, "": length * dpi}[unit])


def _numbers(line: Line, count: int) -> list[int]:
    """The first `count` parameters as whole numbers, 0 where there is none."""
    found = [_NUMBER.fullmatch(text) for text in line.text.split(b",", count)[:count]]
    numbers = [int(match[1]) if match else 0 for match in found]
    return numbers + [0] * (count - len(numbers))


def _inked(data: bytes) -> bytes:
    """BITMAP data with 1 for black."""
    return data.translate(_INVERT)


def _bad(line: Line, why: str) -> BadPrinterData:
    return BadPrinterData(f"{line.name} at byte {line.at:,}: {why}")
