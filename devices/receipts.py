"""A receipt becomes ESC/POS: text in the printer's own letters, and what it has no letters for as a picture.

A line in which one character is in none of the printer's code pages, is written from right to left, or carries accents
of its own, is drawn as a whole, as high as a printed line; all other lines are text. Every drawing is a `Pen`'s work,
so that this file is pure: bytes out of elements, a profile and a pen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from devices.contracts import PLAIN, Bitmap, Media, Tuning
from devices.languages.escpos import LANGUAGE
from devices.profiles import Profile
from devices.receipts_codes import QR_QUIET, drawn_barcode, drawn_dots, drawn_qr, printed_dots, qr_dots
from devices.receipts_elements import (
    Align,
    BadReceipt,
    BarcodeElement,
    ColumnsElement,
    CutElement,
    DrawerElement,
    Element,
    FeedElement,
    ImageElement,
    LineElement,
    QrElement,
    Style,
    TextElement,
)
from devices.receipts_formatter import Abilities, Formatter
from devices.receipts_layout import Cell, clean, in_columns, span, wrap, written

MAX_LINES = 4000
"""Lines of text, and dots / 30 of pictures: 15 m of paper at 203 dpi."""

_CHARACTER = {"a": (12, 24), "b": (9, 17)}  # dots of a character (Epson, ESC M)
_SPACING = 30  # dots from line to line after ESC @ (ESC 2, 1/6 inch at 180 dpi)
_MISSING = "\N{REPLACEMENT CHARACTER}"
_RULE = "\u2500"  # the box-drawing line of code page 437
_INITIALIZE = b"\x1b@"


class Pen(Protocol):
    """Draws what a printer cannot."""

    def draws(self, character: str) -> bool:
        """Whether there is a glyph for it, or nothing to be seen of it."""
        ...

    def line(self, text: str, *, size: int, height: int, most: int, bold: bool = False) -> Bitmap:
        """`text` on one line of `height` dots, in letters for `size` dots, as wide as it comes; squeezed to `most`."""
        ...

    def picture(self, data: bytes, *, most: int, width: int | None, dither: bool) -> Bitmap:
        """A PNG or JPEG at its own size, at most `most` dots wide; or shrunk to `width` dots. Raises ValueError."""
        ...


@dataclass(frozen=True, slots=True)
class Printed:
    """A receipt as bytes.

    width: dots of the paper. height: dots, estimated from the usual spacing of lines. drawn: lines of text that went as
    pictures. note: what people should know of it.
    """

    data: bytes
    width: int
    height: int
    drawn: int
    note: str


def render(
    elements: Sequence[Element], profile: Profile, *, media: Media | None = None, tuning: Tuning = PLAIN, pen: Pen
) -> Printed:
    """The bytes that print `elements`, from ESC @ on. Raises BadReceipt, which names the element.

    media: narrower paper than the head makes shorter lines. tuning: code_page, and how it is cut.
    """
    printer = _Printing(profile, media, tuning, pen)
    for number, element in enumerate(elements, 1):
        try:
            printer.add(element)
        except BadReceipt as error:
            where = f"{number}.{error.field}" if error.field else str(number)
            raise BadReceipt(str(error), element=number, field=where, remedy=error.remedy) from error
    return printer.end()


class _Printing:
    """One receipt while it is being made."""

    def __init__(self, profile: Profile, media: Media | None, tuning: Tuning, pen: Pen) -> None:
        self._profile, self._media, self._tuning, self._pen = profile, media, tuning, pen
        self._dots = profile.dots if media is None else min(profile.dots, _dots(media.width_mm, profile.dpi))
        self._to = Formatter(_abilities(profile, tuning))
        self._to.begin()
        if self._dots < profile.dots:
            self._to.raw(b"\x1dW" + self._dots.to_bytes(2, "little"))  # GS W: the printing area
        self._lines = self._drawn = 0
        self._missing: dict[str, None] = {}

    def end(self) -> Printed:
        return Printed(self._to.output, self._dots, self._lines * _SPACING, self._drawn, self._note())

    def _note(self) -> str:
        if not self._missing:
            return ""
        named = ", ".join(f"U+{ord(each):04X}" for each in list(self._missing)[:8])
        return f"printed as {_MISSING}, because no font here has it: {named}{', ...' if len(self._missing) > 8 else ''}"

    def add(self, element: Element) -> None:
        """Print one element."""
        match element:
            case TextElement():
                self._text(element)
            case ColumnsElement():
                for cells in in_columns(element, self._columns(element)):
                    self._line(cells, element.style)
            case LineElement():
                self._ruler(element)
            case ImageElement():
                self._image(element)
            case BarcodeElement():
                self._barcode(element)
            case QrElement():
                self._qr(element)
            case FeedElement():
                self._count(element.feed)
                self._to.feed(element.feed)
            case CutElement():
                self._cut(element)
            case DrawerElement():
                self._drawer(element)

    # ---- text -------------------------------------------------------------------------------------------------

    def _columns(self, style: Style) -> int:
        """How many characters of that style a line has."""
        return max(1, self._dots // (_CHARACTER[style.font][0] * style.size))

    def _text(self, element: TextElement) -> None:
        width = self._columns(element)
        for line in wrap(clean(element.text), width):
            self._line([Cell(line, 0, width, element.align)], element.style)

    def _ruler(self, element: LineElement) -> None:
        style = Style()
        mark = clean(element.line) if isinstance(element.line, str) else _RULE
        if element.line is True and not self._to.can_print(mark):
            mark = "-"
        width = self._columns(style)
        self._line([Cell(mark * (width // max(1, span(mark))), 0, width, "left")], style)

    def _line(self, cells: list[Cell], style: Style) -> None:
        """One line: a single text aligned by the printer, several set with spaces, or all of it drawn."""
        self._count(1)
        if not all(self._to.can_print(cell.text) for cell in cells):
            self._draw(cells, style)
        elif len(cells) == 1 and cells[0].start == 0:
            self._to.text(cells[0].text, style, cells[0].align)
        else:
            self._to.text(written(cells), style, "left")

    def _draw(self, cells: list[Cell], style: Style) -> None:
        across, high = (dots * style.size for dots in _CHARACTER[style.font])
        page = _Canvas(self._dots, max(high, _SPACING))
        for cell in cells:
            text = self._drawable(cell.text)
            if text.strip():
                room = min(cell.width * across, self._dots - cell.start * across)
                drawn = self._pen.line(text, size=high, height=page.height, most=room, bold=style.bold)
                left = cell.start * across + _offset(drawn.width, room, cell.align)
                page.put(drawn, left)
                page.adorn(left, drawn.width, underline=style.underline, invert=style.invert)
        self._drawn += 1
        self._picture(page.bitmap())

    def _drawable(self, text: str) -> str:
        """`text` with U+FFFD for what no font has; that is remembered for the note."""
        lost = {each for each in text if each > "~" and each != _MISSING and not self._pen.draws(each)}
        self._missing |= dict.fromkeys(each for each in text if each in lost)
        return "".join(_MISSING if each in lost else each for each in text)

    # ---- pictures and codes -----------------------------------------------------------------------------------

    def _image(self, element: ImageElement) -> None:
        width = None if element.width_mm is None else min(self._dots, _dots(element.width_mm, self._profile.dpi))
        try:
            drawn = self._pen.picture(element.data, most=self._dots, width=width, dither=element.dither)
        except ValueError as error:
            raise BadReceipt(str(error), field="image_base64", remedy="send a sound PNG or JPEG") from error
        self._placed(drawn, element.align)

    def _placed(self, drawn: Bitmap, align: Align) -> None:
        page = _Canvas(self._dots, drawn.height)
        page.put(drawn, _offset(drawn.width, self._dots, align))
        self._count(-(-drawn.height // _SPACING))
        self._picture(page.bitmap())

    def _picture(self, page: Bitmap) -> None:
        """The page by our own encoder; the ESC @ it begins with has been said, and would undo what was set."""
        self._to.set(Style(), "left")
        tuning = replace(self._tuning, profile=self._profile.name)
        self._raw(LANGUAGE.encode(page, tuning=tuning).removeprefix(_INITIALIZE))

    def _barcode(self, element: BarcodeElement) -> None:
        """By the printer; by us where the printer cannot, or would leave it out because it makes it wider."""
        self._count(-(-(element.height + _SPACING) // _SPACING))
        if self._to.abilities.barcodes and (module := self._module(element, printed_dots)):
            self._to.barcode(element, module)
            return
        module = self._module(element, drawn_dots)
        if not module:
            needed = drawn_dots(element, element.module or 2)
            raise BadReceipt(f"barcode: it needs {needed} dots, the paper has {self._dots}", field="barcode",
                             remedy="use a shorter text or a smaller module")  # fmt: skip
        self._placed(drawn_barcode(element, module), element.align)
        if element.digits:
            width = self._columns(Style())
            for line in wrap(element.barcode, width):
                self._line([Cell(line, 0, width, element.align)], Style())

    def _module(self, element: BarcodeElement, dots: Callable[[BarcodeElement, int], int]) -> int:
        """The module that is asked for, or else the wider one, that fits; 0 when none does."""
        wanted = (element.module,) if element.module else (3, 2)
        return next((module for module in wanted if dots(element, module) <= self._dots), 0)

    def _qr(self, element: QrElement) -> None:
        dots = qr_dots(element)
        if dots > self._dots:
            raise BadReceipt(f"qr: it needs {dots} dots, the paper has {self._dots}", field="qr",
                             remedy="use a shorter text, a smaller size or level L")  # fmt: skip
        if not self._to.abilities.qr:
            self._placed(drawn_qr(element), element.align)
            return
        self._count(-(-dots // _SPACING))
        quiet = -(-QR_QUIET * element.size // _SPACING)  # lines of white that the printer leaves to us
        self._to.feed(quiet)
        self._to.qr(element)
        self._to.feed(quiet)

    # ---- cutter and drawer ------------------------------------------------------------------------------------

    def _cut(self, element: CutElement) -> None:
        cut = self._tuning.cut if element.cut == "auto" or self._tuning.cut == "none" else element.cut
        if self._profile.cut == "none":  # it has no cutter: the paper is fed to where it is torn off
            cut = "none"
        tuning = replace(self._tuning, profile=self._profile.name, cut=cut, cut_each="page")
        self._to.set(Style(), "left")
        self._raw(LANGUAGE.end_of("page", tuning, self._media))

    def _raw(self, data: bytes) -> None:
        """ESC * comes with a line spacing of its own (ESC 3); ESC 2 is the usual one."""
        self._to.raw(data + (b"\x1b2" if data.startswith(b"\x1b3") else b""))

    def _drawer(self, element: DrawerElement) -> None:
        if element.drawer.pin not in self._profile.drawer:
            pins = " and ".join(map(str, self._profile.drawer)) or "none"
            raise BadReceipt(f"drawer: this printer has no pin {element.drawer.pin}, only {pins}", field="drawer.pin")
        self._to.drawer(element.drawer)

    def _count(self, lines: int) -> None:
        self._lines += lines
        if self._lines > MAX_LINES:
            raise BadReceipt(f"here the receipt becomes longer than {MAX_LINES:,} lines", remedy="split it")


def _dots(mm: float, dpi: int) -> int:
    return max(1, round(mm * dpi / 25.4))


def _offset(width: int, room: int, align: Align) -> int:
    return {"left": 0, "center": (room - width) // 2, "right": room - width}[align]


def _abilities(profile: Profile, tuning: Tuning) -> Abilities:
    """The profile as python-escpos asks for it; tuning.code_page leaves only that page."""
    pages: Mapping[int, str] = profile.code_pages
    if tuning.code_page is not None:
        number = profile.page_number(tuning.code_page)
        if number is None:
            raise BadReceipt(f"the profile {profile.name} has no code page {tuning.code_page!r}",
                             remedy=f"it has {', '.join(dict.fromkeys(pages.values()))}")  # fmt: skip
        pages = {number: pages[number]}
    return Abilities(pages, profile.barcode, profile.qr_native)


class _Canvas:
    """White paper, one integer a row: the leftmost dot is its highest bit."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._stride = (width + 7) // 8
        self._rows = [0] * height

    def put(self, drawn: Bitmap, left: int) -> None:
        """Add the dots of `drawn`; what would lie outside is cut off."""
        shift = self._stride * 8 - drawn.stride * 8 - left
        inside = ((1 << self.width) - 1) << (self._stride * 8 - self.width)
        for y in range(min(drawn.height, self.height)):
            row = int.from_bytes(drawn.rows[y * drawn.stride : (y + 1) * drawn.stride])
            self._rows[y] |= (row << shift if shift >= 0 else row >> -shift) & inside

    def adorn(self, left: int, width: int, *, underline: bool, invert: bool) -> None:
        """Draw a line under the dots from `left` on, or turn them white on black."""
        bar = ((1 << width) - 1) << max(0, self._stride * 8 - left - width)
        if underline:
            self._rows[-3:-1] = [row | bar for row in self._rows[-3:-1]]
        if invert:
            self._rows = [row ^ bar for row in self._rows]

    def bitmap(self) -> Bitmap:
        """The page."""
        rows = b"".join(row.to_bytes(self._stride) for row in self._rows)
        return Bitmap(self.width, self.height, rows)
