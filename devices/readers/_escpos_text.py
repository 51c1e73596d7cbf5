"""Text on a receipt: how it is to look, and what a run of bytes becomes in the printer's fonts."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

from devices.profiles import EPSON_PAGES
from devices.readers._escpos_glyphs import CELLS, Rows, box, glyph

WORK = 400  # bytes of the reader's budget that a character costs beside its rows

# ESC R n: what stands in the places of # $ @ [ \ ] ^ ` { | } ~ (Epson: International Character Set).
_PLACES = "#$@[\\]^`{|}~"
_COUNTRIES = ("#$@[\\]^`{|}~", "#$à°ç§^`éùè¨", "#$§ÄÖÜ^`äöüß", "£$@[\\]^`{|}~", "#$@ÆØÅ^`æøå~", "#¤ÉÄÖÅÜéäöåü",
              "#$@°\\é^ùàòèì", "₧$@¡Ñ¿^`¨ñ}~", "#$@[¥]^`{|}~", "#¤ÉÆØÅÜéæøåü", "#$ÉÆØÅÜéæøåü", "#$á¡Ñ¿é`íñóú",
              "#$á¡Ñ¿éüíñóú", "#$@[₩]^`{|}~")  # fmt: skip


@dataclass(slots=True)
class Style:
    """What ESC @ sets back. align: 0 left, 1 middle, 2 right. spacing: dots right of a character, line: from line to
    line. margin, area: left edge and width of what can be printed on; area None is all. tabs: dots."""

    font: str = "A"
    across: int = 1
    down: int = 1
    bold: bool = False
    underline: int = 0
    inverse: bool = False
    align: int = 0
    spacing: int = 0
    line: int = 30
    margin: int = 0
    area: int | None = None
    page: int = 0
    country: int = 0
    kanji: bool = False
    utf8: bool = False
    tabs: list[int] = field(default_factory=lambda: [96 * n for n in range(1, 33)])
    held: bytes = b""
    """The first half of a character."""

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of a character, magnified, without the spacing."""
        width, height = CELLS[self.font]
        return width * self.across, height * self.down


def characters(style: Style, data: bytes) -> Iterator[tuple[str, Rows, int]]:
    """The characters of a run of text: (what is not drawn, dots, dots across).

    The first is "" for a character there is a shape for, else the command by which it came to be one.
    """
    data, style.held = style.held + data, b""
    if style.utf8:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(data)
        style.held = decoder.getstate()[0]
        for character in text:
            yield _character(style, character, "FS ( C")
        return
    at = 0
    while at < len(data):
        if style.kanji and data[at] >= 0x81:
            if at + 1 == len(data):
                style.held = data[at:]
                return
            at += 2
            yield (
                "FS &",
                _dressed(style, box(style.font, style.across, style.down, wide=True), 24 * style.across),
                (24 * style.across + style.spacing),
            )
            continue
        character = _decoded(style, data[at])
        at += 1
        yield _character(style, character, f"ESC t {style.page}" if character > "~" or character == "" else "ESC R")


def _decoded(style: Style, byte: int) -> str:
    """A byte in the code page chosen; "" where the page has nothing."""
    if byte < 0x80:
        character = chr(byte)
        if style.country and style.country < len(_COUNTRIES) and character in _PLACES:
            return _COUNTRIES[style.country][_PLACES.index(character)]
        return character
    codec = EPSON_PAGES.get(style.page)
    return bytes([byte]).decode(codec, "ignore") if codec else ""


def _character(style: Style, character: str, command: str) -> tuple[str, Rows, int]:
    rows = glyph(character, style.font, style.across, style.down) if character else None
    missing = "" if rows is not None else command
    width = style.cell[0]
    return missing, _dressed(style, rows or box(style.font, style.across, style.down), width), width + style.spacing


def _dressed(style: Style, rows: Rows, width: int) -> Rows:
    """The character bold, underlined or white on black."""
    if style.bold:
        mask = (1 << width) - 1
        rows = tuple((row | row << 1) & mask for row in rows)
    full = (1 << width + style.spacing) - 1
    if style.inverse:
        return tuple(full ^ row for row in rows)
    if style.underline:
        return rows[: -style.underline] + (full,) * style.underline
    return rows
