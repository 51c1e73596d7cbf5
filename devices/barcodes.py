"""Barcodes as widths of bars and spaces, in modules. Pure: no picture, no printer.

Code 128 after ISO/IEC 15417:2007: the symbol characters of its table 1, the check character of annex A, and the choice
between code sets B and C of annex E.
"""

from __future__ import annotations

import re

QUIET_ZONE = 10  # modules of white that Code 128 needs on either side (ISO/IEC 15417, 4.3.2.6)

_START = {"B": 104, "C": 105}
_SWITCH = {"B": 100, "C": 99}
_STOP = 106

CODE128 = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222"
    " 123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321"
    " 232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121"
    " 313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224"
    " 111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111"
    " 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113"
    " 114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
).split()
"""Table 1: for each value 0 to 106 the widths of bar, space, bar, space, bar, space; the stop has a seventh, a bar."""

# A part longer than one character goes into set C: at least two pairs of digits, or one pair that is the whole text.
# An odd run leaves one digit to set B: its last at the beginning of the text, else its first.
_PARTS = re.compile(r"\A\d\d\Z|\A(?:\d\d){2,}|(?:\d\d){2,}(?!\d)|.")


def code128(text: str) -> tuple[int, ...]:
    """The widths in modules of the bars and spaces of `text`, from the first bar of the start to the last of the stop.

    Odd places are bars. Without the quiet zones. Raises ValueError for text that code sets B and C cannot say.
    """
    return tuple(int(width) for value in code128_values(text) for width in CODE128[value])


def code128_values(text: str) -> list[int]:
    """The values of the symbol characters: start, data, check character, stop. Raises ValueError."""
    if not text:
        raise ValueError("a barcode needs at least one character")
    for character in text:
        if not " " <= character <= "~":
            raise ValueError(f"{character!r} cannot be put into a Code 128 barcode: only printable ASCII can")
    values = _data(text)
    check = values[0] + sum(place * value for place, value in enumerate(values[1:], 1))
    return [*values, check % 103, _STOP]


def _data(text: str) -> list[int]:
    """The start character and the data, in code set C where four digits or more follow each other (annex E)."""
    values: list[int] = []
    code_set = ""
    for part in _PARTS.findall(text):
        wanted = "B" if len(part) == 1 else "C"
        if wanted != code_set:
            values.append((_SWITCH if code_set else _START)[wanted])
            code_set = wanted
        values += [ord(part) - 32] if wanted == "B" else [int(part[i : i + 2]) for i in range(0, len(part), 2)]
    return values
