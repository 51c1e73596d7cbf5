"""Every language x the same ten pictures: written and read back, the dots are the same. A new language joins itself."""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable

import pytest

from devices import languages
from devices.barcodes import QUIET_ZONE, code128
from devices.contracts import Bitmap, Media
from devices.readers._label import Label

WIDEST = {"zpl": 1344, "epl2": 832, "cpcl": 832, "tspl": 864, "escpos": 512}  # dots; other languages: 384
Rows = list[str]


def bitmap(lines: Rows) -> Bitmap:
    """Lines of 0 and 1 as a page."""
    width = len(lines[0])
    stride = (width + 7) // 8
    rows = [int(line.ljust(stride * 8, "0"), 2).to_bytes(stride, "big") for line in lines]
    return Bitmap(width, len(lines), b"".join(rows))


def noise(width: int, height: int) -> Bitmap:
    """A photograph's dots: a ramp of gray, dithered at random."""
    rng = random.Random(width)
    return bitmap(["".join("01"[rng.random() < x / width] for x in range(width)) for _ in range(height)])


def text(width: int, height: int) -> Bitmap:
    """Words and empty lines, with white margins."""
    rng = random.Random(7)
    lines = []
    for y in range(height):
        glyphs = "".join(rng.choice(["0000", "0110", "1111", "1001"]) for _ in range(width // 4 - 8))
        lines.append(("0" * 16 + (glyphs if y // 12 % 3 else "") + "0" * width)[:width])
    return bitmap(lines)


def barcode(content: str) -> Bitmap:
    """A Code 128 barcode, two dots a module."""
    widths = [QUIET_ZONE, *code128(content), QUIET_ZONE]
    line = "".join("01"[place % 2] * width * 2 for place, width in enumerate(widths))
    return bitmap([line] * 60)


PICTURES: dict[str, Callable[[int], Bitmap]] = {
    "odd width": lambda most: noise(203, 17),
    "one dot": lambda most: bitmap(["0" * 100] * 30 + ["0" * 77 + "1" + "0" * 22] + ["0" * 100] * 9),
    "all black": lambda most: bitmap(["1" * 101] * 50),
    "all white": lambda most: bitmap(["0" * 101] * 50),
    "photograph": lambda most: noise(320, 200),
    "text": lambda most: text(368, 150),
    "barcode": lambda most: barcode("PB-0042"),
    "widest": lambda most: noise(most, 24),
    "tall": lambda most: bitmap(["10000001" if y % 97 else "0" * 8 for y in range(3000)]),
    "checkerboard": lambda most: bitmap([("10" * 97)[y % 2 : y % 2 + 191] for y in range(64)]),
}


def media(page: Bitmap) -> Media:
    """A label at 203 dpi that is a little larger than the page."""
    return Media(203, (page.width + 4) / 203 * 25.4, (page.height + 20) / 203 * 25.4)


def dots(page: Bitmap, width: int, height: int) -> list[int]:
    """The top left `width` x `height` dots, a row as one number; what is outside of the page is white."""
    rows = [int.from_bytes(page.rows[i : i + page.stride], "big") for i in range(0, len(page.rows), page.stride)]
    shift = page.stride * 8 - width
    rows = [row >> shift if shift >= 0 else row << -shift for row in rows]
    return (rows + [0] * height)[:height]


@pytest.mark.parametrize("name", languages.names())
@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("loaded", ["unknown", "label", "continuous"])
def test_what_is_written_reads_back_as_the_same_dots(name: str, picture: str, loaded: str) -> None:
    page = PICTURES[picture](WIDEST.get(name, 384))
    label = {"unknown": None, "label": media(page), "continuous": Media(203, media(page).width_mm)}[loaded]
    out = languages.load(name).encode(page, media=label)
    labels: list[Label] = importlib.import_module(f"devices.readers.{name}").read(out)
    assert [(each.copies, each.undrawn) for each in labels] == [(1, ())]
    drawn = labels[0].bitmap
    if drawn is None:
        assert not any(page.rows)
        return
    width, height = max(page.width, drawn.width), max(page.height, drawn.height)
    assert dots(drawn, width, height) == dots(page, width, height)
