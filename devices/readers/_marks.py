"""What a language puts on a label, as rows of dots: pictures, boxes, and how they are painted over one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devices.contracts import Bitmap


@dataclass(frozen=True, slots=True)
class Picture:
    """Dots as one integer a row, `width` bits each, the leftmost dot highest."""

    width: int
    rows: list[int]


@dataclass(frozen=True, slots=True)
class Mark:
    """A picture at x, y dots from the top left; ink: "black", "white", or "reverse" (^FR, ^LR)."""

    x: int
    y: int
    picture: Picture
    ink: str


def frame(width: int, height: int, thick: int) -> Picture:
    """A rectangle drawn with a line `thick` dots wide on its inside; thick is at most width and height."""
    solid = (1 << width) - 1
    hollow = max(width - 2 * thick, 0)
    sides = solid ^ (((1 << hollow) - 1) << thick)
    between = max(height - 2 * thick, 0)
    return Picture(width, [solid] * thick + [sides] * between + [solid] * (height - thick - between))


def magnified(picture: Picture, across: int, down: int) -> Picture:
    """Each dot `across` wide and `down` high."""
    rows = picture.rows
    if across > 1:
        digits = [f"{row:0{picture.width}b}" for row in rows]
        rows = [int(row.replace("0", "0" * across).replace("1", "1" * across), 2) for row in digits]
    return Picture(picture.width * across, [row for row in rows for _ in range(down)])


def paint(canvas: list[int], width: int, mark: Mark) -> None:
    """Put a mark on the canvas, one integer of `width` bits a row. What lies outside is lost, as on the printer."""
    shift = width - mark.x - mark.picture.width
    first, end = max(mark.y, 0), max(len(canvas), mark.y)
    for y, dots in enumerate(mark.picture.rows[first - mark.y : end - mark.y], first):
        dots = dots << shift if shift >= 0 else dots >> -shift
        if mark.ink == "black":
            canvas[y] |= dots
        elif mark.ink == "white":
            canvas[y] &= ~dots
        else:
            canvas[y] ^= dots


def drawn(marks: Sequence[Mark], width: int, height: int, spend: Callable[[int, int], None]) -> Bitmap:
    """All marks on a label of width x height dots, in order. spend: told rows and bytes a row before they cost."""
    stride = (width + 7) // 8
    spend(height, stride)
    canvas = [0] * height
    for mark in marks:
        wider = stride - mark.picture.width // 8  # bytes that shifting adds to each row
        spend(min(height, len(mark.picture.rows)), max(0, wider))
        paint(canvas, width, mark)
    pad = stride * 8 - width
    return Bitmap(width, height, b"".join([(row << pad).to_bytes(stride, "big") for row in canvas]))
