"""The inked parts of a page, for languages that send pictures uncompressed. Pure.

numpy is imported only when a page is looked at, so that the server never loads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from devices.contracts import Bitmap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COST = 400  # bytes that one more picture command is worth, with the time it takes the printer
_LINES = 20  # rows: text has no more lines than one in so many
_FEW = 30  # parts that any page may have


class Strip(NamedTuple):
    """A rectangle of a page, without the white at its sides.

    x: bytes (eights of dots) from the left of the page. y: dots from its top. stride: bytes in a row. rows: the dots,
    `stride` bytes a row, as in Bitmap.
    """

    x: int
    y: int
    stride: int
    rows: bytes

    @property
    def height(self) -> int:
        """Rows of dots."""
        return len(self.rows) // self.stride


def strips(page: Bitmap, *, cost: int = COST) -> list[Strip]:
    """What is black on `page`, from top to bottom; [] for a blank page.

    The page is parted where leaving blank rows out saves more than `cost` bytes.
    """
    parts = inked(widths(page), cost // page.stride)
    dots, sides = grid(page), edges(page, [top for top, _ in parts])
    return [
        Strip(left, top, right - left, dots[top:end, left:right].tobytes())
        for (top, end), left, right in zip(parts, *sides, strict=True)
    ]


def inked(widths: NDArray[np.int_], most: int) -> list[tuple[int, int]]:
    """(first row, row behind the last) of each part of a page, of whose rows the widths are given.

    More than `most` blank rows lie between two parts. Where that makes more parts than a page of text has, as on a gray
    of thin lines, it takes more blank rows to part it: every part is a command, for us to write and for the printer.
    """
    import numpy as np

    rows = widths.nonzero()[0]
    if not rows.size:
        return []
    steps = np.diff(rows)
    while (ends := (steps > most + 1).nonzero()[0]).size >= max(_FEW, widths.size // _LINES):
        most = 2 * most + 1
    tops, bottoms = rows[ends + 1].tolist(), (rows[ends] + 1).tolist()
    return list(zip([int(rows[0]), *tops], [*bottoms, int(rows[-1]) + 1], strict=True))


def widths(page: Bitmap) -> NDArray[np.int_]:
    """Bytes of each row up to its last black dot."""
    import numpy as np

    return np.char.str_len(_rows(page))


def lines(page: Bitmap) -> list[bytes]:
    """Each row up to its last black dot."""
    rows: list[bytes] = _rows(page).tolist()
    return rows


def edges(page: Bitmap, tops: list[int]) -> tuple[list[int], list[int]]:
    """The first byte that is not white, and the one behind the last, of the rows from each of `tops` up to the next.

    White paper begins and ends at 0.
    """
    import numpy as np

    if not tops:
        return [], []
    size = next(size for size in (8, 4, 2, 1) if page.stride % size == 0)  # a whole word takes as long as a byte
    words = np.frombuffer(page.rows, f"u{size}").reshape(page.height, -1)
    black = np.bitwise_or.reduceat(words, tops, axis=0).view(np.uint8) != 0
    left, beyond = black.argmax(axis=1), black[:, ::-1].argmax(axis=1)
    return left.tolist(), np.where(black.any(axis=1), page.stride - beyond, 0).tolist()


def grid(page: Bitmap) -> NDArray[np.uint8]:
    """`page` as bytes in rows and columns."""
    import numpy as np

    return np.frombuffer(page.rows, np.uint8).reshape(page.height, page.stride)


def _rows(page: Bitmap) -> NDArray[np.bytes_]:
    """The rows as numpy's strings, which end before the zero bytes at their end."""
    import numpy as np

    return np.frombuffer(page.rows, f"S{page.stride}")


def bottom(page: Bitmap) -> int:
    """Rows of `page` down to its last black dot; 0 for a blank page."""
    return -(-len(page.rows.rstrip(b"\0")) // page.stride)


def cropped(page: Bitmap, width: int, height: int) -> Bitmap:
    """The top left part of `page`, at most `width` x `height` dots (width: a multiple of 8)."""
    width, height = min(width, page.width), min(height, page.height)
    if (width, height) == (page.width, page.height):
        return page
    return Bitmap(width, height, grid(page)[:height, : (width + 7) // 8].tobytes())
