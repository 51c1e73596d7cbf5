"""The paper roll: pictures put on it row by row, and the line that is being filled. Knows no commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from devices.contracts import Bitmap
from devices.readers._escpos_glyphs import REVERSED, Rows
from devices.readers._label import MAX_DOTS, MAX_SIDE, ROW


class TooMuch(Exception):
    """More paper than anybody prints."""


@dataclass(slots=True)
class Line:
    """What waits to be printed on one line, standing on a common ground line. x: dots, where the next thing goes."""

    parts: list[tuple[int, int, Rows]] = field(default_factory=list)
    x: int = 0
    height: int = 0
    end: int = 0

    def add(self, rows: Rows, width: int) -> None:
        """Put something `width` dots wide at x."""
        self.parts.append((self.x, width, rows))
        self.x += width
        self.height = max(self.height, len(rows))
        self.end = max(self.end, self.x)


class Roll:
    """Paper from one cut to the next. limit: bytes of rows that may be used up over all receipts."""

    def __init__(self, limit: int) -> None:
        self.left = self.limit = limit
        self.rows: list[int] = []
        self.y = 0
        self.used = False
        """Whether anything was put on it, even if it was white."""
        self.width = 0

    def feed(self, dots: int) -> None:
        """Move on; a negative number moves back, not beyond the beginning."""
        self.y = max(0, self.y + dots)
        self._check(self.y)

    def spend(self, size: int) -> None:
        """Account for work about to be done, in bytes. Raises TooMuch."""
        self.left -= size
        if self.left < 0:
            raise TooMuch(f"more than {self.limit:,} bytes of pictures to unpack; split the job")

    def stamp(self, rows: Sequence[int], x: int, width: int) -> None:
        """Print rows from here on, their left end at x; the paper stays where it is."""
        if x >= MAX_SIDE:
            return
        self._check(self.y + len(rows))
        self.spend(len(rows) * (ROW + (x + width) // 8))
        missing = self.y + len(rows) - len(self.rows)
        if missing > 0:
            self.spend(missing * ROW)
            self.rows += [0] * missing
        for y, row in enumerate(rows, self.y):
            if row:
                self.rows[y] |= row << x
        self.used = True
        self.width = max(self.width, x + width)

    def print_line(self, line: Line, x: int) -> None:
        """Print a line at x; the paper stays where it is."""
        if not line.parts:
            return
        canvas = [0] * line.height
        for at, _, rows in line.parts:
            for y, row in enumerate(rows, line.height - len(rows)):
                canvas[y] |= row << at
        self.stamp(canvas, x, line.end)

    def take(self, width: int) -> Bitmap | None:
        """Tear the paper off here, `width` dots wide. None when nothing was put on it."""
        rows, height, used = self.rows, max(self.y, len(self.rows)), self.used
        self.rows, self.y, self.used, self.width = [], 0, False, 0
        if not used or not height or not width:
            return None
        if width * height > MAX_DOTS:
            raise TooMuch(f"a receipt of {width:,} x {height:,} dots is too large to read")
        stride = (width + 7) // 8
        self.spend(height * stride)
        mask = (1 << width) - 1
        rows += [0] * (height - len(rows))
        data = b"".join([(row & mask).to_bytes(stride, "little") for row in rows])
        return Bitmap(width, height, data.translate(REVERSED))

    def _check(self, height: int) -> None:
        if height > MAX_SIDE:
            raise TooMuch(f"a receipt longer than {MAX_SIDE:,} dots")


def from_rows(data: bytes | bytearray, across: int, height: int) -> list[int]:
    """Rows of `across` bytes, the highest bit leftmost; missing bytes are white."""
    if not across:
        return [0] * height
    data = bytes(data[: across * height]).ljust(across * height, b"\0").translate(REVERSED)
    return [int.from_bytes(data[i : i + across], "little") for i in range(0, across * height, across)]


def from_columns(data: bytes | bytearray, count: int, deep: int) -> list[int]:
    """`count` columns of `deep` bytes each, the highest bit at the top."""
    data = bytes(data[: count * deep]).ljust(count * deep, b"\0")
    rows: list[int] = []
    for byte in range(deep):
        column = data[byte::deep][::-1]  # the last column is the highest bit of its row
        for bit in range(7, -1, -1):
            digits = column.translate(_DIGITS[bit])
            rows.append(int(digits, 2) if count else 0)
    return rows


_DIGITS = [bytes(0x31 if byte >> bit & 1 else 0x30 for byte in range(256)) for bit in range(8)]
