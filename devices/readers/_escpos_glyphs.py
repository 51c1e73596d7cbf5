"""The characters of a receipt printer as dots. A row is an integer whose lowest bit is the leftmost dot."""

from __future__ import annotations

import base64
import unicodedata
import zlib
from functools import cache, lru_cache

from devices.readers._escpos_fonts import CHARACTERS, FONTS

CELLS = {"A": (12, 24), "B": (9, 17)}
"""Width and height in dots, ESC M 0 and 1."""

Rows = tuple[int, ...]

REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits the other way round: between rows as bytes (highest bit leftmost) and rows as integers."""

_PLACES = {character: place for place, character in enumerate(CHARACTERS)}


@lru_cache(maxsize=4096)
def glyph(character: str, font: str, across: int = 1, down: int = 1) -> Rows | None:
    """The dots of a character, magnified; None for one there is no shape of."""
    width, _ = CELLS[font]
    if character in " \N{NO-BREAK SPACE}":
        rows: Rows = (0,) * CELLS[font][1]
    elif character in _PLACES:
        rows = _shapes(font)[_PLACES[character]]
    elif 0x2500 <= ord(character) <= 0x25A0:
        rows = _drawn(character, font)
    else:
        return None
    return magnified(rows, width, across, down)


def box(font: str, across: int = 1, down: int = 1, *, wide: bool = False) -> Rows:
    """An empty frame in the place of a character without a shape; wide: of a double-width one (Kanji, 24 x 24)."""
    width, height = (24, 24) if wide else CELLS[font]
    line, sides = (1 << width) - 4 >> 1 & ~1, 2 | 1 << (width - 2)
    return magnified((0, line, *[sides] * (height - 4), line, 0), width, across, down)


def magnified(rows: Rows, width: int, across: int, down: int) -> Rows:
    """Each dot `across` wide and `down` high. width: dots of a row before."""
    if across > 1:
        rows = tuple(_stretched(row, width, across) for row in rows)
    return tuple(row for row in rows for _ in range(down)) if down > 1 else rows


def _stretched(row: int, width: int, across: int) -> int:
    digits = f"{row:0{width}b}"
    return int(digits.replace("1", "1" * across).replace("0", "0" * across), 2) if row else 0


@cache
def _shapes(font: str) -> tuple[Rows, ...]:
    """Every stored character of a font."""
    data = zlib.decompress(base64.b85decode(FONTS[font])).translate(REVERSED)
    rows = [int.from_bytes(data[i : i + 2], "little") for i in range(0, len(data), 2)]
    height = CELLS[font][1]
    return tuple(tuple(rows[i : i + height]) for i in range(0, len(rows), height))


def _drawn(character: str, font: str) -> Rows:
    """Box drawing and block characters, from what their Unicode names say."""
    width, height = CELLS[font]
    name = unicodedata.name(character)
    if not name.startswith("BOX DRAWINGS"):
        return _block(name, width, height)
    arms = _arms(name.removeprefix("BOX DRAWINGS ").split())
    middle_x, middle_y = width // 2, height // 2
    rows = [0] * height
    for arm, offsets in arms.items():
        reach = max(abs(o) for each in arms.values() for o in each)
        for offset in offsets:
            if arm in ("LEFT", "RIGHT"):
                first, end = (0, middle_x + reach + 1) if arm == "LEFT" else (middle_x - reach, width)
                rows[middle_y + offset] |= (1 << end) - (1 << first)
            else:
                first, end = (0, middle_y + reach + 1) if arm == "UP" else (middle_y - reach, height)
                for y in range(first, end):
                    rows[y] |= 1 << (middle_x + offset)
    return tuple(rows)


_WORDS = {"HORIZONTAL": ("LEFT", "RIGHT"), "VERTICAL": ("UP", "DOWN")}


def _arms(words: list[str]) -> dict[str, tuple[int, ...]]:
    """LIGHT DOWN AND RIGHT, DOUBLE VERTICAL, DOWN SINGLE AND RIGHT DOUBLE -> arm: where its lines are."""
    arms: dict[str, tuple[int, ...]] = {}
    common = words[0] if words[0] in ("LIGHT", "DOUBLE", "HEAVY") else ""
    place = 0
    words = [word for word in words if word not in ("AND", common)]
    while place < len(words):
        weight = common
        if not common and place + 1 < len(words):
            weight = words[place + 1]
        for arm in _WORDS.get(words[place], (words[place],)):
            if arm in ("LEFT", "RIGHT", "UP", "DOWN"):
                arms[arm] = (-2, 2) if weight == "DOUBLE" else (0, 1)
        place += 1 if common else 2
    return arms


_SHADES = {"LIGHT SHADE": (0x11111111, 0), "MEDIUM SHADE": (0x55555555, 0xAAAAAAAA), "DARK SHADE": (0x77777777, ~0)}


def _block(name: str, width: int, height: int) -> Rows:
    """Full and half blocks, shades, the black square."""
    full = (1 << width) - 1
    if name in _SHADES:
        even, odd = _SHADES[name]
        return tuple((odd if y % 2 else even) & full for y in range(height))
    half_x, half_y = (1 << width // 2) - 1, height // 2
    match name:
        case "FULL BLOCK":
            return (full,) * height
        case "UPPER HALF BLOCK":
            return (full,) * half_y + (0,) * (height - half_y)
        case "LOWER HALF BLOCK":
            return (0,) * half_y + (full,) * (height - half_y)
        case "LEFT HALF BLOCK":
            return (half_x,) * height
        case "RIGHT HALF BLOCK":
            return (full ^ half_x,) * height
    margin = height // 3
    return (0,) * margin + (full & ~1,) * (height - 2 * margin) + (0,) * margin
