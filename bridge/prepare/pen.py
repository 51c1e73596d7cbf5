"""Draws what a receipt printer has no letters for, with MuPDF. Runs in the render child only.

MuPDF's HTML engine orders and shapes every script and brings fonts for nearly all of them; no font of the machine is
used.
"""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal

from bridge.prepare.documents import Budget, Refused, Sheet, is_memory, open_document, out_of_memory
from devices.contracts import Bitmap


@contextmanager
def engine_errors() -> Iterator[None]:
    """Whatever MuPDF raises about a receipt becomes Refused."""
    from pymupdf import mupdf

    try:
        yield
    except mupdf.FzErrorBase as error:
        if is_memory(error):
            raise out_of_memory(1) from error
        raise Refused("not_drawable", "the receipt cannot be drawn", "change its texts and pictures", 1) from error


class MuPen:
    """Draws with MuPDF: its HTML engine shapes and orders every script, and brings fonts for nearly all of them."""

    def __init__(self, dpi: int, pixels_max: int) -> None:
        self._dpi, self._pixels_max = dpi, pixels_max

    def draws(self, character: str) -> bool:
        """Whether something is to be seen of it, or nothing is meant to be (spaces, joiners, accents)."""
        category = unicodedata.category(character)
        return category[0] in "ZM" or category == "Cf" or (not _is_no_character(character) and _inked(character))

    def line(self, text: str, *, size: int, height: int, most: int, bold: bool = False) -> Bitmap:
        """`text` on one line of `height` dots, in letters for `size` dots, as wide as it comes; squeezed to `most`."""
        import numpy as np

        drawing, left, right = _laid_out(text, size, height, bold)
        ink = _ink(drawing, (1, 0, 0, 1, -left, height), math.ceil(right - left), height * 3)
        across, down = np.flatnonzero(ink.any(axis=0)), np.flatnonzero(ink.any(axis=1))
        if not len(down):
            return Bitmap(1, height, bytes(height))
        begin = across[0] if _is_right_to_left(text) else 0
        width, top, bottom = int(across[-1] + 1 - begin), int(down[0]), int(down[-1]) + 1
        squeeze, lower = min(1.0, most / width), min(1.0, height / (bottom - top))
        if squeeze < 1 or lower < 1:
            shift = (height - top) * lower if lower < 1 else 0
            wide = min(most, width)
            return _packed(_ink(drawing, (squeeze, 0, 0, lower, -(left + begin) * squeeze, shift), wide, height))
        first = min(max(height, bottom - height), top)  # letters with marks above or below are moved onto the line
        return _packed(ink[first : first + height, begin : begin + width])

    def picture(self, data: bytes, *, most: int, width: int | None, dither: bool) -> Bitmap:
        """A PNG or JPEG at its own size, at most `most` dots wide; or shrunk to `width` dots. Raises ValueError."""
        kind: Literal["png", "jpeg"] = "png" if data.startswith(b"\x89PNG") else "jpeg"
        try:
            sheet = open_document(kind, data, Budget(self._dpi, 1, self._pixels_max)).sheet(1)
        except Refused as error:
            raise ValueError(str(error)) from error
        own = sheet.width * sheet.dots
        return _drawn_sheet(sheet, sheet.dots * min(1.0, most / own, (width or own) / own), dither)


_SIZE = 0.86  # of the height of a printed character: capitals as high as the printer's own
_LEVEL = 160  # of gray: thin strokes stay whole


def _laid_out(text: str, size: int, height: int, bold: bool) -> tuple[Any, float, float]:
    """`text` on one endless line as a display list, and where it begins and ends."""
    from pymupdf import mupdf

    direction = "rtl" if _is_right_to_left(text) else "ltr"
    page = f'<p dir="{direction}">{_escaped(text)}</p>'
    style = (f"body {{ margin: 0 }} p {{ margin: 0; text-align: left; white-space: pre; font-family: sans-serif;"
             f" font-size: {size * _SIZE:g}px; line-height: {height}px;"
             f" font-weight: {'bold' if bold else 'normal'} }}")  # fmt: skip
    source = mupdf.fz_new_buffer_from_copied_data(page.encode())
    story = mupdf.FzStory(source, style, size * _SIZE, mupdf.FzArchive())
    endless = mupdf.FzRect(0, 0, height * (len(text) + 1) * 2.0, height * 4.0)
    mupdf.fz_place_story(story, endless, mupdf.FzRect())
    drawing = mupdf.FzDisplayList(endless)
    device = mupdf.fz_new_list_device(drawing)
    mupdf.fz_draw_story(story, device, mupdf.FzMatrix())
    mupdf.fz_close_device(device)
    box = mupdf.FzRect(mupdf.FzRect.Fixed_EMPTY)
    _run(drawing, mupdf.fz_new_bbox_device(box), mupdf.FzMatrix())
    # The boxes of some fonts' glyphs have no end, or no numbers in them: then all of the line is looked at.
    left = box.x0 if -size <= box.x0 < endless.x1 else -size
    return drawing, left if direction == "rtl" else min(left, 0.0), box.x1 if left < box.x1 < endless.x1 else endless.x1


def _escaped(text: str) -> str:
    """As HTML. MuPDF reads entities a second time in what it got from them, so each & stands in an element alone."""
    return html.escape(text).replace("&amp;", "<span>&amp;</span>")


def _run(drawing: Any, device: Any, matrix: Any) -> None:
    from pymupdf import mupdf

    everything = mupdf.FzRect(mupdf.FzRect.Fixed_INFINITE)
    mupdf.fz_run_display_list(drawing, device, matrix, everything, mupdf.FzCookie())
    mupdf.fz_close_device(device)


def _ink(drawing: Any, matrix: tuple[float, ...], width: int, height: int) -> Any:
    """A display list as dots, height * width of them."""
    import numpy as np
    from pymupdf import mupdf

    picture = _white(width, height)
    _run(drawing, mupdf.fz_new_draw_device(mupdf.FzMatrix(), picture), mupdf.FzMatrix(*matrix))
    samples = np.frombuffer(mupdf.fz_pixmap_samples_memoryview(picture), np.uint8)
    return samples.reshape(height, picture.stride())[:, :width] < _LEVEL


def _packed(ink: Any) -> Bitmap:
    import numpy as np

    return Bitmap(ink.shape[1], ink.shape[0], np.packbits(ink, axis=1).tobytes())


def _drawn_sheet(sheet: Sheet, scale: float, dither: bool) -> Bitmap:
    from pymupdf import mupdf

    from devices.raster import to_bitmap

    width, height = max(1, round(sheet.width * scale)), max(1, round(sheet.height * scale))
    picture = _white(width, height)
    device = mupdf.fz_new_draw_device(mupdf.FzMatrix(), picture)
    sheet.run(device, mupdf.FzMatrix(width / sheet.width, 0, 0, height / sheet.height, 0, 0))
    mupdf.fz_close_device(device)
    return to_bitmap(mupdf.fz_pixmap_samples_memoryview(picture), width, height, picture.stride(), dither=dither)


def _white(width: int, height: int) -> Any:
    from pymupdf import mupdf

    gray = mupdf.FzColorspace(mupdf.FzColorspace.Fixed_GRAY)
    picture = mupdf.FzPixmap(gray, mupdf.FzIrect(0, 0, width, height), mupdf.FzSeparations(), 0)
    mupdf.fz_clear_pixmap_with_value(picture, 255)
    return picture


@lru_cache(maxsize=4096)
def _inked(character: str) -> bool:
    """Whether drawing it leaves a dot."""
    drawing, left, right = _laid_out(character, 24, 24, False)
    return bool(_ink(drawing, (1, 0, 0, 1, -left, 24), math.ceil(right - left), 72).any())


def _is_no_character(character: str) -> bool:
    """Whether it is one of the 66 code points that never will be characters; MuPDF shows them as U+FFFD by itself."""
    return ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"


def _is_right_to_left(text: str) -> bool:
    """Whether a text reads from the right: by its first letter that has a direction (Unicode annex 9, rule P2)."""
    strong = (unicodedata.bidirectional(each) for each in text)
    return next((each for each in strong if each in ("L", "R", "AL")), "L") != "L"
