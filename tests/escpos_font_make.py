"""Draws the receipt fonts again: `python -m tests.escpos_font_make` writes devices/readers/_escpos_fonts.py.

The shapes are those of MuPDF's built-in Courier (Nimbus Mono PS, AGPL with font exception), drawn into the cells of
ESC/POS fonts A (12 x 24 dots) and B (9 x 17), for every character of the code pages there is a shape for.
"""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import numpy as np
import pymupdf

from devices.profiles import EPSON_PAGES

TARGET = Path(__file__).parent.parent / "devices" / "readers" / "_escpos_fonts.py"
CELLS = {"A": (12, 24), "B": (9, 17)}
FONT = pymupdf.Font("cobo")
OVER = 8  # times larger than the cell, for a fair judgement of each dot


def characters() -> list[str]:
    """What the code pages can say, as far as Courier has it."""
    found = {chr(c) for c in range(0x21, 0x7F)}
    for codec in {*EPSON_PAGES.values(), "cp1250", "cp437"} - {"shift_jis"}:
        for byte in range(128, 256):
            text = bytes([byte]).decode(codec, "ignore")
            found |= {c for c in text if c.isprintable() and not c.isspace()}
    return sorted(c for c in found if FONT.has_glyph(ord(c)))


def cell(character: str, width: int, height: int) -> bytes:
    """One character, `height` rows of two bytes, the most significant bit leftmost."""
    page = pymupdf.open().new_page(width=width * OVER, height=height * OVER)
    base = pymupdf.Point(0, round(height * 0.79) * OVER)
    writer = pymupdf.TextWriter(page.rect)
    writer.append(base, character, font=FONT, fontsize=width * OVER / 0.6)  # an advance of Courier is 0.6 of its size
    writer.write_text(page, morph=(base, pymupdf.Matrix(1, 1.25 * height / width / 2)))
    pixmap = page.get_pixmap(colorspace=pymupdf.csGRAY)
    gray = np.frombuffer(pixmap.samples, np.uint8).reshape(pixmap.height, pixmap.stride)[:, : pixmap.width]
    ink = (255 - gray.reshape(height, OVER, width, OVER).mean(axis=(1, 3))) > 118
    bits = np.zeros((height, 16), bool)
    bits[:, :width] = ink
    return np.packbits(bits, axis=1).tobytes()


def main() -> None:
    """Write the module."""
    known = characters()
    lines = [
        '"""Shapes of the receipt fonts A (12 x 24 dots) and B (9 x 17). Written by tests/escpos_font_make.py.',
        "",
        "From Nimbus Mono PS as MuPDF brings it (AGPL with font exception). CHARACTERS: in the order of the shapes.",
        "FONTS: base 85 of zlib of two bytes a row, the most significant bit leftmost.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "CHARACTERS = (",
        *[f"    {ascii(''.join(known[i : i + 16]))}" for i in range(0, len(known), 16)],
        ")",
        "FONTS = {",
    ]
    for name, (width, height) in CELLS.items():
        data = b"".join(cell(c, width, height) for c in known)
        text = base64.b85encode(zlib.compress(data, 9)).decode()
        lines += [f'    "{name}": (', *[f"        {text[i : i + 108]!r}" for i in range(0, len(text), 108)], "    ),"]
    TARGET.write_text("\n".join([*lines, "}", ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
