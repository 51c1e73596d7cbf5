"""The image buffer of a TSPL printer: rectangles and pictures painted over one another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from devices.contracts import Bitmap


@dataclass(frozen=True, slots=True)
class Mark:
    """A rectangle at x, y, in dots. ink: "black", "white", "reverse", or "over", which paints its white dots too.

    rows: its dots, width / 8 bytes a row, 1 for the ink; None when all of it is ink.
    """

    x: int
    y: int
    width: int
    height: int
    ink: str
    rows: bytes | None = None

    def moved(self, x: int, y: int) -> Mark:
        """The same mark so many dots further."""
        return replace(self, x=self.x + x, y=self.y + y) if x or y else self

    @property
    def least_right(self) -> int:
        """Where it may end at the right: behind the last dot with ink in the last bytes of its rows."""
        if self.rows is None:
            return self.x + self.width
        stride = self.width // 8
        last = reduce(or_, set(self.rows[stride - 1 :: stride]), 0) or 0x80
        return self.x + self.width + 1 - (last & -last).bit_length()


class Canvas:
    """One integer of `width` bits a row, the leftmost dot highest."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._rows = [0] * height

    def paint(self, mark: Mark) -> None:
        """Put a mark on it. What lies outside is lost, as on the printer."""
        if not -mark.width < mark.x < self.width:
            return
        shift = self.width - mark.x - mark.width
        solid = _shifted((1 << mark.width) - 1, shift) & ((1 << self.width) - 1)
        stride = mark.width // 8
        for y in range(max(mark.y, 0), min(mark.y + mark.height, self.height)):
            dots = solid
            if mark.rows is not None:
                start = (y - mark.y) * stride
                dots = _shifted(int.from_bytes(mark.rows[start : start + stride], "big"), shift) & solid
            if mark.ink == "reverse":
                self._rows[y] ^= dots
            elif mark.ink == "white":
                self._rows[y] &= ~dots
            else:
                self._rows[y] = (self._rows[y] & ~solid if mark.ink == "over" else self._rows[y]) | dots

    def bitmap(self) -> Bitmap:
        """What is on it."""
        stride = (self.width + 7) // 8
        pad = stride * 8 - self.width
        return Bitmap(self.width, self.height, b"".join([(row << pad).to_bytes(stride, "big") for row in self._rows]))


def _shifted(dots: int, by: int) -> int:
    return dots << by if by >= 0 else dots >> -by
