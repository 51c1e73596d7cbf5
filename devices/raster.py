"""Where a page lands on a label, and its gray picture -> the dots of a print head. Pure.

numpy is imported only when a picture is turned into dots, so that the server never loads it. The packing follows
`Bitmap`: most significant bit leftmost, 1 is black, padding bits 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from devices.contracts import Bitmap, Media

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SLACK_MM = 0.5  # a page this much larger than the label still counts as fitting

# Bayer's 8 x 8 order: how many of 64 gray steps are already black before this dot turns black.
_BAYER = (
    (0, 32, 8, 40, 2, 34, 10, 42),
    (48, 16, 56, 24, 50, 18, 58, 26),
    (12, 44, 4, 36, 14, 46, 6, 38),
    (60, 28, 52, 20, 62, 30, 54, 22),
    (3, 35, 11, 43, 1, 33, 9, 41),
    (51, 19, 59, 27, 49, 17, 57, 25),
    (15, 47, 7, 39, 13, 45, 5, 37),
    (63, 31, 55, 23, 61, 29, 53, 21),
)


def to_bitmap(
    gray: memoryview | bytes, width: int, height: int, stride: int, *, level: int = 128, dither: bool = False
) -> Bitmap:
    """One byte a pixel (0 black, 255 white), `stride` bytes from row to row -> one bit a dot.

    width, height: dots. level: ink where the gray is below it. dither: photographs as an ordered pattern instead
    (level 128 is then neutral, a higher one darker); never for barcodes.
    """
    import numpy as np

    pixels = np.frombuffer(gray, np.uint8).reshape(height, stride)[:, :width]
    thresholds = _ordered_thresholds(width, height, level) if dither else level
    return Bitmap(width, height, np.packbits(pixels < thresholds, axis=1).tobytes())


def _ordered_thresholds(width: int, height: int, level: int) -> NDArray[np.int16]:
    """A threshold for every dot: Bayer's pattern, evenly spread around `level`.

    They stay within 2..254 at level 128, so pure white stays white and pure black stays black.
    """
    import numpy as np

    tile = np.array(_BAYER, np.int16) * 4 + 2 + (level - 128)
    return np.tile(tile, (-(-height // 8), -(-width // 8)))[:height, :width]


def rotate(page: Bitmap, quarter_turns: int) -> Bitmap:
    """`page` turned clockwise by that many quarters; negative turns the other way."""
    import numpy as np

    if quarter_turns % 4 == 0:
        return page
    packed = np.frombuffer(page.rows, np.uint8).reshape(page.height, page.stride)
    dots = np.unpackbits(packed, axis=1, count=page.width)
    turned = np.rot90(dots, -quarter_turns)  # numpy counts counter-clockwise
    return Bitmap(turned.shape[1], turned.shape[0], np.packbits(turned, axis=1).tobytes())


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a page lands on a label, always with its top left corner on dot 0, 0.

    factor: 1.0 prints it at its own size, below 1 it is shrunk. turn: degrees clockwise (0, 90, 180, 270).
    width, height: dots of the picture after turning, clipped to the label.
    """

    factor: float
    turn: int
    width: int
    height: int


def place(width: float, height: float, media: Media, *, rotate: str | int = "auto", shrink: bool = True) -> Placement:
    """Where a page of width x height dots (at the printer's own resolution) lands on `media`.

    A page no larger than the label is never scaled. A larger one is shrunk to fit, or clipped when not `shrink`.
    rotate: degrees clockwise, or "auto" to turn only when the page then comes out noticeably larger.
    """
    turn = _auto_turn(width, height, media) if rotate == "auto" else int(rotate) % 360
    if turn in (90, 270):
        width, height = height, width
    factor = _fitting(width, height, media) if shrink else 1.0
    return Placement(
        factor, turn, _whole_dots(width * factor, media.width), _whole_dots(height * factor, media.height)
    )


def _auto_turn(width: float, height: float, media: Media) -> int:
    """90 when an upright page would be shrunk by more than 5 % and a turned one is more than 5 % larger, else 0."""
    upright, turned = _fitting(width, height, media), _fitting(height, width, media)
    return 90 if upright < 0.95 and turned > 1.05 * upright else 0


def _fitting(width: float, height: float, media: Media) -> float:
    """The largest factor, at most 1, at which width x height dots fit. Half a millimeter too much is no reason to
    scale: resampling blurs every barcode on the page, a clipped white margin harms nothing."""
    spare = SLACK_MM * media.dpi / 25.4
    across = 1.0 if width <= media.width + spare else media.width / width
    along = 1.0 if media.height is None or height <= media.height + spare else media.height / height
    return min(across, along)


def _whole_dots(length: float, most: int | None) -> int:
    """Dots that hold `length`: a part of a dot counts as one, unless it is only rounding noise."""
    dots = max(1, math.ceil(length - 0.01))
    return dots if most is None else min(dots, most)
