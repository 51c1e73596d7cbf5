"""Code 128: known symbols, and a reader that does not know our encoder (zxing-cpp)."""

from __future__ import annotations

import random

import pytest
import zxingcpp
from PIL import Image

from devices.barcodes import QUIET_ZONE, code128, code128_values


def picture(text: str, module: int = 2) -> Image.Image:
    """The barcode with its quiet zones, `module` pixels a module."""
    line = [255] * (QUIET_ZONE * module)
    for place, width in enumerate(code128(text)):
        line += [0 if place % 2 == 0 else 255] * (width * module)
    line += [255] * (QUIET_ZONE * module)
    image = Image.new("L", (len(line), 60))
    image.putdata(line * 60)
    return image


def scanned(text: str) -> str:
    """What a barcode reader sees."""
    [found] = zxingcpp.read_barcodes(picture(text), formats=zxingcpp.BarcodeFormat.Code128)
    return found.text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("PJJ123C", [104, 48, 42, 42, 17, 18, 19, 35, 55, 106]),  # Wikipedia's, whose start A gives 54
        ("12345678", [105, 12, 34, 56, 78, 47, 106]),
        ("42", [105, 42, 44, 106]),
        ("A1234", [104, 33, 99, 12, 34, (104 + 33 + 2 * 99 + 3 * 12 + 4 * 34) % 103, 106]),
    ],
)
def test_known_symbols(text: str, values: list[int]) -> None:
    assert code128_values(text) == values


def test_the_widths_of_a_known_barcode() -> None:
    start_c, forty_two, check_44, stop = "211232", "112133", "132131", "2331112"
    assert "".join(map(str, code128("42"))) == start_c + forty_two + check_44 + stop


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("1234", 2),  # all in C
        ("12345", 4),  # C: 12 34, then to B for the 5
        ("A1234", 4),  # B, then to C
        ("A12345", 5),  # the odd run leaves its first digit in B
        ("A123", 4),  # too short a run to change for
        ("1234A", 4),
        ("1Z9990000000000001", 11),
        ("7", 1),
    ],
)
def test_digits_go_in_pairs_where_that_is_shorter(text: str, symbols: int) -> None:
    assert len(code128_values(text)) - 3 == symbols


@pytest.mark.parametrize("character", [chr(c) for c in range(32, 127)])
def test_every_symbol_is_11_modules_wide_with_an_even_number_of_black_ones(character: str) -> None:
    widths = code128(character)
    assert len(widths) == 3 * 6 + 7
    symbol = widths[6:12]
    assert sum(symbol) == 11
    assert sum(symbol[::2]) % 2 == 0


def test_no_two_characters_look_the_same() -> None:
    assert len({code128(chr(c))[6:12] for c in range(32, 127)}) == 95


@pytest.mark.parametrize(
    "text", ["42", "7", "A", "1234", "12345", "PB-2026-000123", "x12345y", "~!@ #{}", "0012300", "1Z999AA10123456784"]
)
def test_a_scanner_reads_it(text: str) -> None:
    assert scanned(text) == text


def test_a_scanner_reads_random_texts() -> None:
    rng = random.Random(128)
    for _ in range(200):
        text = "".join(rng.choice("0123456789" * 8 + "ABCxyz-/ ~!") for _ in range(rng.randint(1, 30))).strip() or "0"
        assert scanned(text) == text


@pytest.mark.parametrize("text", ["", "ä", "tab\there", "\x7f", "٣٣٣٣"])
def test_what_it_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="barcode"):
        code128(text)
