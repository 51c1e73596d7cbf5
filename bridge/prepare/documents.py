"""Opening a document as pages that can be drawn, or saying why it will not be. Runs in the render child only.

PyMuPDF is imported inside the functions: `child` is also imported by the server, for the words both sides share.
MuPDF's own functions (`pymupdf.mupdf`) are used rather than PyMuPDF's classes: they can open bytes as a PDF and as
nothing else, tell a MediaBox from a guess, and draw on a picture of a given size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.prepare.images import ImageFacts, read_jpeg, read_png

LONGEST_SIDE_IN = 200  # inches; the largest page PDF 1.7 (annex C) knows without a user unit
_TAIL = 2048  # bytes; readers look for %%EOF in the last kilobyte, we are twice as patient


class Refused(Exception):
    """A document that will not be drawn. code: stable, for programs. page: from 1, None for the whole document."""

    def __init__(self, code: str, text: str, remedy: str, page: int | None = None) -> None:
        super().__init__(text)
        self.code, self.text, self.remedy, self.page = code, text, remedy, page


@dataclass(frozen=True, slots=True)
class Sheet:
    """One page before it is drawn.

    left, top, width, height: its box in its own units (points or pixels). dots: printer dots per unit.
    run: draws it on a MuPDF device, through a matrix.
    """

    left: float
    top: float
    width: float
    height: float
    dots: float
    run: Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True)
class Document:
    """An opened document: how many pages, and each of them (from 1)."""

    pages: int
    sheet: Callable[[int], Sheet]


@dataclass(frozen=True, slots=True)
class Budget:
    """What is checked before anything is drawn. dpi: of the printer. pages: in the document. pixels: dots of one page
    at its own size, and pixels of an image."""

    dpi: int
    pages: int
    pixels: int


def open_document(kind: str, data: bytes, budget: Budget) -> Document:
    """Open `data` as a `kind`, and as nothing else. Raises Refused.

    `data` must stay alive as long as the Document: MuPDF reads from it.
    """
    if not data:
        raise Refused("empty_document", "the document has no content (0 bytes)", "send it again")
    if kind not in _OPENERS:
        raise Refused("unknown_kind", f"a {kind} document cannot be drawn", f"send one of {', '.join(_OPENERS)}")
    document = _OPENERS[kind](data, budget)
    if document.pages < 1:
        raise Refused("empty_document", "the document has no pages", "send one with at least one page")
    _check_pages(document.pages, budget)

    def sheet(number: int) -> Sheet:
        found = document.sheet(number)
        _check_size(found, number, budget)
        return found

    return Document(document.pages, sheet)


def _open_pdf(data: bytes, budget: Budget) -> Document:
    """MuPDF's PDF reader alone: `fz_open_document` would also try a dozen other formats on hostile bytes."""
    from pymupdf import mupdf

    try:
        pdf = mupdf.pdf_open_document_with_stream(mupdf.fz_open_memory(mupdf.python_buffer_data(data), len(data)))
        if mupdf.pdf_needs_password(pdf):
            raise Refused("encrypted_pdf", "the PDF is encrypted with a password", _WITHOUT_PASSWORD)
        if _is_cut_off(pdf, data):
            raise _cut_off("PDF")
        # What it claims is checked first: MuPDF's own complaint about an absurd number does not say what it is about.
        _check_pages(mupdf.pdf_to_int(mupdf.pdf_dict_getp(mupdf.pdf_trailer(pdf), "Root/Pages/Count")), budget)
        pages = mupdf.pdf_count_pages(pdf)
    except mupdf.FzErrorBase as error:
        raise unreadable("PDF", error) from error
    document = pdf.super()

    def sheet(number: int) -> Sheet:
        _check_media_box(mupdf.pdf_lookup_page_obj(pdf, number - 1), number)
        page = mupdf.fz_load_page(document, number - 1)
        box = mupdf.fz_bound_page(page)

        def run(device: Any, matrix: Any) -> None:
            mupdf.fz_run_page(page, device, matrix, mupdf.FzCookie())  # with its annotations and filled form fields

        return Sheet(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0, budget.dpi / 72, run)

    return Document(pages, sheet)


_WITHOUT_PASSWORD = "print it to a new PDF without a password"


def _is_cut_off(pdf: Any, data: bytes) -> bool:
    """True for a PDF that lost its end. MuPDF mends such files and draws what is left: half a label.

    A linearized file has an %%EOF near its beginning too, but says how long it should be (PDF 1.7, annex F).
    """
    from pymupdf import mupdf

    if not mupdf.pdf_was_repaired(pdf):
        return False
    linearized = re.search(rb"/Linearized\b.{0,200}?/L\s+(\d{1,12})", data[:1024], re.DOTALL)
    return b"%%EOF" not in data[-_TAIL:] or (linearized is not None and int(linearized[1]) > len(data))


def _check_media_box(page: Any, number: int) -> None:
    """Refuse what MuPDF would silently print as US Letter: a MediaBox of no size, or of things that are no numbers.

    One that is missing altogether means Letter to every reader, and a reversed one is only untidy: both are drawn.
    """
    from pymupdf import mupdf

    box = mupdf.pdf_dict_get_inheritable(page, mupdf.PDF_ENUM_NAME_MediaBox)
    if mupdf.pdf_is_null(box):
        return
    corners = [mupdf.pdf_array_get(box, i) for i in range(4)]
    if all(mupdf.pdf_is_number(corner) for corner in corners):
        x0, y0, x1, y1 = (mupdf.pdf_to_real(corner) for corner in corners)
        if 0 < abs(x1 - x0) < math.inf and 0 < abs(y1 - y0) < math.inf:
            return
    raise Refused("bad_page_size", f"page {number} has no usable size (MediaBox)", "print it to a new PDF", number)


def _open_svg(data: bytes, budget: Budget) -> Document:
    """One page; a user unit is 1/72 in where the drawing names no other. References to files are not followed."""
    from pymupdf import mupdf

    try:
        drawing, width, height = mupdf.fz_new_display_list_from_svg(
            mupdf.fz_new_buffer_from_copied_data(data), "", mupdf.FzArchive()
        )
    except mupdf.FzErrorBase as error:
        raise unreadable("SVG", error) from error

    def run(device: Any, matrix: Any) -> None:
        mupdf.fz_run_display_list(drawing, device, matrix, mupdf.FzRect(mupdf.FzRect.Fixed_INFINITE), mupdf.FzCookie())

    return Document(1, lambda _number: Sheet(0, 0, width, height, budget.dpi / 72, run))


def _open_png(data: bytes, budget: Budget) -> Document:
    return _open_image("PNG", data, read_png(data), budget)


def _open_jpeg(data: bytes, budget: Budget) -> Document:
    return _open_image("JPEG", data, read_jpeg(data), budget)


def _open_image(name: str, data: bytes, facts: ImageFacts | None, budget: Budget) -> Document:
    """One page. The header is read by ourselves, so that an image of a billion pixels is refused undecoded."""
    from pymupdf import mupdf

    if facts is None:
        raise unreadable(name)
    if not facts.whole:
        raise _cut_off(name)
    _check_pixels(facts.width, facts.height, 1, budget)
    try:
        image = mupdf.fz_new_image_from_buffer(mupdf.fz_new_buffer_from_copied_data(data))
    except mupdf.FzErrorBase as error:
        raise unreadable(name, error) from error

    def run(device: Any, matrix: Any) -> None:
        unit_square = mupdf.fz_pre_scale(matrix, facts.width, facts.height)
        mupdf.fz_fill_image(device, image, unit_square, 1.0, mupdf.FzColorParams())

    return Document(1, lambda _number: Sheet(0, 0, facts.width, facts.height, facts.dots_per_pixel(budget.dpi), run))


_OPENERS: dict[str, Callable[[bytes, Budget], Document]] = {
    "pdf": _open_pdf,
    "svg": _open_svg,
    "png": _open_png,
    "jpeg": _open_jpeg,
}


def _check_pages(pages: int, budget: Budget) -> None:
    """Refuse a document of too many pages."""
    if pages > budget.pages:
        text = f"the document has {pages:,} pages, at most {budget.pages:,} are allowed"
        raise Refused("too_many_pages", text, "split it into several jobs")


def _check_pixels(width: float, height: float, page: int, budget: Budget) -> None:
    """Refuse a page of too many dots, or an image of too many pixels."""
    if width * height > budget.pixels:
        text = f"page {page} has {width * height / 1e6:,.0f} million dots, at most {budget.pixels / 1e6:g} are allowed"
        raise Refused("page_too_large", text, "send it in the size of the label", page)


def _check_size(sheet: Sheet, page: int, budget: Budget) -> None:
    """Refuse a page that is smaller than a dot, longer than 200 in, or has too many dots at its own size."""
    width, height = sheet.width * sheet.dots, sheet.height * sheet.dots
    longest = LONGEST_SIDE_IN * budget.dpi + 1  # a dot of grace for rounding
    if not (1 <= width <= longest and 1 <= height <= longest):
        inches = f"{width / budget.dpi:,.2f} x {height / budget.dpi:,.2f} in"
        text = f"page {page} is {inches}; possible is a side of one dot to {LONGEST_SIDE_IN} in"
        raise Refused("bad_page_size", text, "send it in the size of the label", page)
    _check_pixels(width, height, page, budget)


def unreadable(name: str, error: Exception | None = None) -> Refused:
    """For a document that is not what it is said to be, or is damaged beyond repair."""
    if error is not None and is_memory(error):
        return out_of_memory()
    if error is not None and "crypt" in str(error):
        return Refused("encrypted_pdf", "the PDF is encrypted in a way we cannot open", _WITHOUT_PASSWORD)
    return Refused("broken_document", f"the document cannot be read as {name}", f"send it again as a sound {name}")


def _cut_off(name: str) -> Refused:
    return Refused("broken_document", f"the {name} is cut off: its end is missing", "send it again whole")


def out_of_memory(page: int | None = None) -> Refused:
    """For a document (or one page of it) that hit the memory limit."""
    what = "the document" if page is None else f"page {page}"
    return Refused("render_memory", f"{what} needs more memory than is allowed", "simplify it or split it", page)


def is_memory(error: Exception) -> bool:
    """MuPDF has no class of its own for a failed malloc, only its text."""
    return isinstance(error, MemoryError) or "alloc" in str(error)
