"""Text of a receipt as lines of cells: cleaned, broken at the width of the paper, set in columns. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from devices.receipts_elements import Align, BadReceipt, ColumnsElement

_GAP = 1  # characters between two columns
_REPLACED = "?"
MOST_MARKS = 30
"""Accents and joiners after one letter: what Unicode's annex 15 allows in a text safe for streams."""
_LINE_ENDS = str.maketrans({"\u2028": "\n", "\u2029": "\n", "\t": " ", "\xa0": " ", "\u202f": " "})
_INVISIBLE = str.maketrans(dict.fromkeys("\xad\u200b\u2060\ufeff"))  # what only says where a line may be broken


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with its place on a line. start, width: characters, of the size the line is printed in."""

    text: str
    start: int
    width: int
    align: Align


def clean(text: str) -> str:
    """`text` with nothing in it that could be a command: every control character is "?", except the newline.

    Letters and their accents are joined where Unicode has them as one; a letter has at most MOST_MARKS more.
    """
    joined = unicodedata.normalize("NFC", text.replace("\r\n", "\n").translate(_LINE_ENDS).translate(_INVISIBLE))
    if joined.isascii() and joined.isprintable():
        return joined
    kept, marks = [], 0
    for character in joined:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" or category == "Cf" else 0
        if marks <= MOST_MARKS:
            kept.append(_REPLACED if category == "Cc" and character != "\n" else character)
    return "".join(kept)


def span(text: str) -> int:
    """How many characters of a printer's font are as wide as `text`: Chinese takes two, an accent none."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrap(text: str, width: int) -> list[str]:
    """The lines of `text`, none wider than `width` characters; broken at spaces where there are any."""
    return [line for paragraph in text.split("\n") for line in _broken(paragraph, width)]


def _broken(text: str, width: int) -> list[str]:
    lines = []
    while (most := _fitting(text, width)) < len(text):
        space = text.rfind(" ", 1, most + 1)
        at = space if space > 0 and text[:space].strip() else most
        lines.append(text[:at].rstrip())
        text = text[at:].lstrip(" ")
    return [*lines, text] if text or not lines else lines


def _fitting(text: str, width: int) -> int:
    """How many characters of `text` fit, at least one; an accent is not torn from its letter."""
    if text.isascii():
        return min(len(text), width)
    taken = 0
    for place, character in enumerate(text):
        taken += _width(character)
        if taken > width and place:
            return place
    return len(text)


def in_columns(wanted: ColumnsElement, width: int) -> list[list[Cell]]:
    """The lines of a row of columns on `width` characters. Raises BadReceipt when there is no room for them."""
    texts = [clean(text) for text in wanted.columns]
    widths = wanted.widths or _natural(texts, width)
    needed = sum(widths) + _GAP * (len(widths) - 1)
    if needed > width or min(widths) < 1:
        raise BadReceipt(f"columns: they need {needed} characters with a space between them, the line has {width}",
                         field="widths", remedy="use fewer columns, smaller widths or a smaller size")  # fmt: skip
    others: list[Align] = ["right"] * (len(texts) - 1)
    aligns = wanted.aligns or ["left", *others]
    wrapped = [wrap(text, each) for text, each in zip(texts, widths, strict=True)]
    starts = [sum(widths[:place]) + _GAP * place for place in range(len(widths))]
    if wanted.widths is None:
        starts = [starts[0], *[start + width - needed for start in starts[1:]]]
    places = list(zip(starts, widths, aligns, strict=True))
    return [
        [Cell(lines[row], *place) for lines, place in zip(wrapped, places, strict=True) if row < len(lines)]
        for row in range(max(map(len, wrapped)))
    ]


def _natural(texts: list[str], width: int) -> list[int]:
    """All but the first as wide as their longest line; evenly divided where that leaves the first too little."""
    others = [max(1, *(span(line) for line in text.split("\n"))) for text in texts[1:]]
    first = width - sum(others) - _GAP * len(others)
    longest = max(span(line) for line in texts[0].split("\n"))
    if first >= min(longest, width // 3) and first >= 1:
        return [first, *others]
    each = (width - _GAP * len(others)) // len(texts)
    return [each] * len(texts)


def written(cells: list[Cell]) -> str:
    """A line of cells as one string of a printer's own letters, spaces between them."""
    line = ""
    for cell in cells:
        room = cell.width - span(cell.text)
        before = {"left": 0, "center": room // 2, "right": room}[cell.align]
        line = line.ljust(cell.start + before) + cell.text
    return line.rstrip()
