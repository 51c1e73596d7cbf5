"""Reading receipts back: text in its sizes and alphabets, every picture command, codes, and data made to hurt."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.contracts import Bitmap
from devices.errors import BadPrinterData
from devices.readers._escpos_glyphs import CELLS, glyph
from devices.readers.escpos import Label, read


def one(data: bytes, dots: int | None = None) -> Bitmap:
    [label] = read(data, dots=dots)
    assert label.bitmap is not None and label.undrawn == ()
    return label.bitmap


def picture(data: bytes, dots: int | None = None) -> list[str]:
    """The one receipt of `data` as text, # for black, without what is white on the right and below."""
    page = one(data, dots)
    rows = [page.rows[i : i + page.stride] for i in range(0, len(page.rows), page.stride)]
    digits = [f"{int.from_bytes(row):0{page.stride * 8}b}" for row in rows]
    return trimmed([row.replace("0", ".").replace("1", "#").rstrip(".") for row in digits])


def shape(character: str, font: str = "A", across: int = 1, down: int = 1) -> list[str]:
    rows = glyph(character, font, across, down)
    assert rows is not None
    width = CELLS[font][0] * across
    return [f"{row:0{width}b}"[::-1].replace("0", ".").replace("1", "#").rstrip(".") for row in rows]


def trimmed(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return lines


def test_a_letter_stands_at_the_top_left_in_font_a() -> None:
    assert picture(b"\x1b@A\n") == trimmed(shape("A"))


def test_a_line_is_30_dots_high_and_576_wide() -> None:
    page = one(b"A\nB\n")
    assert (page.width, page.height) == (576, 60)


def test_the_head_says_how_wide_the_paper_is() -> None:
    assert one(b"A\n", dots=384).width == 384


@pytest.mark.parametrize(("command", "font", "across", "down"), [
    (b"\x1bM\1", "B", 1, 1), (b"\x1b!\1", "B", 1, 1), (b"\x1d!\x10", "A", 2, 1), (b"\x1d!\x01", "A", 1, 2),
    (b"\x1d!\x77", "A", 8, 8), (b"\x1b!\x30", "A", 2, 2), (b"\x1b!\x31\x1bM0", "A", 2, 2),
    (b"\x1bM1\x1d!\x21", "B", 3, 2),
])  # fmt: skip
def test_fonts_and_sizes(command: bytes, font: str, across: int, down: int) -> None:
    assert picture(command + b"R\n") == trimmed(shape("R", font, across, down))


def test_a_large_letter_and_a_small_one_stand_on_the_same_line() -> None:
    small, both = one(b"A\n", 48), one(b"\x1d!\1 \x1d!\0A\n", 48)
    assert both.height == 48
    assert both.rows[24 * 6 : 48 * 6].count(0) < len(small.rows[: 24 * 6])
    assert both.rows[: 24 * 6] == bytes(24 * 6)


def ink(data: bytes) -> int:
    return int.from_bytes(one(data).rows).bit_count()


@pytest.mark.parametrize("command", [b"\x1bE\1", b"\x1bG\1", b"\x1b-\1", b"\x1b-2", b"\x1b!\x88", b"\x1dB\1"])
def test_emphasis_underline_and_inversion_add_ink(command: bytes) -> None:
    assert ink(command + b"Total\n") > ink(b"Total\n")
    assert ink(command + b"\x1b@Total\n") == ink(b"Total\n")


def test_inverse_is_the_letter_in_white() -> None:
    assert ink(b"\x1dB\1A\n") == 12 * 24 - ink(b"A\n")


def test_text_goes_left_middle_and_right() -> None:
    lefts = []
    for n in (0, 1, 2):
        lines = picture(b"\x1ba%cI\n" % n)
        lefts.append(min(line.index("#") for line in lines if line))
    assert [left - lefts[0] for left in lefts] == [0, (576 - 12) // 2, 576 - 12]


def test_margins_and_places() -> None:
    assert picture(b"\x1dL\x0a\0A\n") == [line and "." * 10 + line for line in picture(b"A\n")]
    assert picture(b"\x1b$\x14\0A\n") == [line and "." * 20 + line for line in picture(b"A\n")]
    assert picture(b"\tA\n") == [line and "." * 96 + line for line in picture(b"A\n")]
    assert picture(b"\x1bD\3\0\tA\n") == [line and "." * 36 + line for line in picture(b"A\n")]
    assert picture(b" \x1b\\\x04\0A\n") == [line and "." * 16 + line for line in picture(b"A\n")]


def test_long_text_goes_on_on_the_next_line() -> None:
    assert one(b"x" * 48 + b"\n").height == 30
    assert one(b"x" * 49 + b"\n").height == 60
    assert one(b"\x1dW\x30\0xxxxx\n").height == 60


@pytest.mark.parametrize(("feeds", "height"), [
    (b"\n", 30), (b"\x1b3\x40\n", 64), (b"\x1b3\x40\x1b2\n", 30), (b"\x1bd\3", 24 + 90), (b"\x1bJ\x64", 100),
    (b"\x1bJ\1", 24), (b"\x1d!\x03\n", 30), (b"\n\x1dVB\x0a", 40),
])  # fmt: skip
def test_feeds_make_it_longer(feeds: bytes, height: int) -> None:
    assert one(b"A" + feeds).height == height


@pytest.mark.parametrize(("page", "byte", "character"), [
    (0, 0x82, "é"), (2, 0xE1, "ß"), (16, 0x80, "€"), (19, 0xD5, "€"), (17, 0x86, "Ж"), (18, 0x9F, "č"), (46, 0xC6, "Ж"),
    (14, 0x98, "α"), (0, 0xC9, "╔"), (0, 0xDB, "█"), (0, 0xB1, "▒"),
])  # fmt: skip
def test_code_pages(page: int, byte: int, character: str) -> None:
    assert picture(b"\x1bt%c%c\n" % (page, byte)) == trimmed(shape(character))


def test_national_letters_stand_in_for_ascii() -> None:
    assert picture(b"\x1bR\2[\n") == trimmed(shape("Ä"))


@pytest.mark.parametrize(("data", "undrawn"), [
    (b"\x1bt\x24\x80\n", "ESC t 36"), (b"\x1bt\xfa\x80\n", "ESC t 250"), (b"\x1c&\xb0\xa1\n", "FS &"),
    (b"\x1cp\1\0A\n", "FS p"), (b"\x1bLpage\x0cA\n", "ESC L"), (b"A\x1b{\1\n", "ESC {"), (b"A\x1bV\1\n", "ESC V"),
    (b"A\n\x1dk\x03abc\0", "GS k"), (b"A\n\x1d(k\3\x000Q0", "GS ( k"),
    (b"A\n\x1d(L\6\x000E  \1\1", "GS ( L"),
])  # fmt: skip
def test_what_needs_the_printer_itself_is_named(data: bytes, undrawn: str) -> None:
    [label] = read(data)
    assert label.undrawn == (undrawn,) and label.bitmap is not None


def test_utf8_is_read_where_it_is_chosen() -> None:
    assert picture(b"\x1c(C\2\x0002" + "Ж\n".encode()) == trimmed(shape("Ж"))


@pytest.mark.parametrize(("m", "lines"), [(0, ["#.#"]), (1, ["##..##"]), (2, ["#.#"] * 2), (3, ["##..##"] * 2)])
def test_raster_in_four_sizes(m: int, lines: list[str]) -> None:
    assert picture(b"\x1dv0%c\1\0\1\0\xa0" % m) == lines


@pytest.mark.parametrize(("m", "data", "lines"), [
    (0, b"\x80\x40", ["##"] * 3 + ["..##"] * 3), (1, b"\x80\x40", ["#"] * 3 + [".#"] * 3),
    (32, b"\x80\0\0\x40\0\0", ["##", "..##"]), (33, b"\x80\0\0\0\0\1", ["#", *[""] * 22, ".#"]),
])  # fmt: skip
def test_bit_images_in_four_densities(m: int, data: bytes, lines: list[str]) -> None:
    assert picture(b"\x1b3\x18\x1b*%c\2\0%s\n" % (m, data)) == lines


def test_bit_images_stand_side_by_side_with_text() -> None:
    assert picture(b"\x1b*!\1\0\xff\xff\xff" * 2 + b"\n") == ["##"] * 24


def test_graphics_are_stored_and_then_printed() -> None:
    store = b"\x1d(L\x0c\x000p0\1\x011\x08\0\2\0\xa0\x50"
    assert picture(store + b"\x1d(L\2\x0002") == ["#.#", ".#.#"]
    assert picture(b"\x1d8L\x0c\0\0\x000p0\1\x011\x08\0\2\0\xa0\x50\x1d(L\2\x000\2") == ["#.#", ".#.#"]
    assert picture(b"\x1d(L\x0c\x000p0\2\x021\x08\0\2\0\xa0\x50\x1d(L\2\x0002") == ["##..##"] * 2 + ["..##..##"] * 2
    assert picture(b"\x1d(L\x0c\x000q0\1\x011\2\0\x08\0\xa0\x50\x1d(L\2\x0002") == ["#", ".#", "#", ".#"]
    assert read(store) == []


@pytest.mark.parametrize("size", range(12))
@pytest.mark.parametrize("fn", [b"p", b"q", b"2", b"E"])
def test_graphics_shorter_than_their_own_head_are_no_trouble(size: int, fn: bytes) -> None:
    body = (b"0" + fn + b"0\1\x011\x08\0\2\0\xa0\x50")[:size]
    assert [label.bitmap for label in read(b"\x1d(L%c\0%s\x1d(L\2\x0002A\n" % (size, body))][0] is not None


def test_an_image_of_ones_own_is_kept_and_printed() -> None:
    assert picture(b"\x1d*\1\1\x80\x40" + bytes(6) + b"\x1d/\0\x1d/\1") == ["#", ".#", *[""] * 6, "##", "..##"]


@pytest.mark.parametrize("empty", [b"\x1dv0\0\0\0\5\0", b"\x1dv0\0\5\0\0\0", b"\x1b*!\0\0", b"\x1d*\0\0\x1d/\0"])
def test_a_picture_of_nothing_is_nothing(empty: bytes) -> None:
    assert picture(empty + b"A\n") == picture(b"A\n")


def test_a_picture_cut_off_is_printed_as_far_as_it_came() -> None:
    assert picture(b"\x1dv0\0\1\0\3\0\xff") == ["########"]


CODES = [
    (b"\x1dk\0" b"01234567890\0", "EAN-13", "0012345678905"),
    (b"\x1dkA\x0c" b"012345678905", "EAN-13", "0012345678905"),
    (b"\x1dk\2" b"978020137962\0", "EAN-13", "9780201379624"), (b"\x1dkD\x07" b"9638507", "EAN-8", "96385074"),
    (b"\x1dk\4*AB-12 $/+%Z*\0", "Code 39", "AB-12 $/+%Z"), (b"\x1dkE\x05AB-12", "Code 39", "AB-12"),
    (b"\x1dk\5" b"00123457\0", "ITF", "00123457"), (b"\x1dk\6A12345-6B\0", "Codabar", "A12345-6B"),
    (b"\x1dkI\x0d{BHello{C\x0c\x22{B", "Code 128", "Hello1234"), (b"\x1dkI\x06{Cabc{", None, None),
    (b"\x1dkI\x05{BA{{", "Code 128", "A{"), (b"\x1dkI\x07{AAB\x0d{S", "Code 128", "AB\r"),
    (b"\x1dkI\x03ABC", "Code 128", "ABC"),
]  # fmt: skip


def scanned(page: Bitmap) -> list[tuple[str, str]]:
    rows = np.frombuffer(page.rows, np.uint8).reshape(page.height, page.stride)
    gray = np.pad(255 * (1 - np.unpackbits(rows, axis=1, count=page.width)), 40, constant_values=255).astype(np.uint8)
    return [(str(each.format), each.text) for each in zxingcpp.read_barcodes(gray)]


@pytest.mark.parametrize(("data", "kind", "text"), [code for code in CODES if code[1]])
@pytest.mark.parametrize("setting", [b"", b"\x1dw\2\x1dh\x40", b"\x1dH\2\x1df\1", b"\x1dH3\x1ba\1", b"\x1dw\4"])
def test_barcodes_can_be_scanned(data: bytes, kind: str, text: str, setting: bytes) -> None:
    assert scanned(one(b"\x1dw\3" + setting + data, dots=832)) == [(kind, text)]


@pytest.mark.parametrize("data", [b"\x1dk\2abc\0", b"\x1dkI\x02{X", b"\x1dk\5" b"123\0", b"\x1dk\6" b"123\0",
                                  b"\x1dkI\x04{C\xff\1", b"\x1dk\4\xe9\0", b"\x1dkH\2AB",
                                  b"\x1dkI\x04{BA{"])  # fmt: skip
def test_a_barcode_of_what_it_cannot_say_is_not_drawn(data: bytes) -> None:
    assert read(b"A\n" + data)[0].undrawn == ("GS k",)


def test_a_qr_code_can_be_scanned() -> None:
    pytest.importorskip("qrcode")
    data = b"\x1d(k\3\x001C\5\x1d(k\3\x001E1\x1d(k\x0f\x001P0https://a.bc" + b"\x1d(k\3\x001Q0"
    assert scanned(one(data)) == [("QR Code", "https://a.bc")]


@pytest.mark.parametrize("cut", [b"\x1dV\0", b"\x1dV1", b"\x1dVB\0", b"\x1bi", b"\x1bm"])
def test_a_receipt_ends_where_it_is_cut(cut: bytes) -> None:
    labels = read(b"A\n" + cut + b"\x1b@BB\n" + cut)
    assert [label.bitmap for label in labels] == [one(b"A\n"), one(b"BB\n")]


def test_what_follows_the_last_cut_is_a_receipt_too_but_no_empty_paper() -> None:
    assert len(read(b"A\n\x1dVB\0B\n")) == 2
    assert len(read(b"A\n\x1dVB\0\n\n\x1b@\x1ba\1")) == 1


def test_asking_and_opening_the_drawer_draw_nothing() -> None:
    assert read(b"\x10\4\1\x1bp\0\x19\xfa\x1dr\1\x1dI\1\x1da\xff\x1d(H\6\x00000001\x10\x14\1\0\5\7") == []


@pytest.mark.parametrize(("data", "why"), [
    (b"x" * 2_000_000, "text at byte .*: a receipt longer than 65,535 dots"),
    (b"\n" * 2_000_000, "LF at byte 2,184: a receipt longer than 65,535 dots"),
    (b"a\n\x1bi" * 20_000, "more than 10,000 receipts"),
    (b"\x1dv0\0\xff\xff\xff\xff", "GS v 0 at byte 0: a picture of 524,280 x 65,535 dots is larger"),
    (b"\x1d!wW" * 100_000, "at byte .*: a receipt longer"),
    (b"\x1dh\1\x1dkI\x08{BABC-12" + b"\x1dk\2" b"978020137962\0" * 20_000, None),
    (b"\x1d(k\x08\x001P0hello" + b"\x1d(k\3\x001Q0" * 100_000, "GS \\( k at byte .*: more than"),
    (b"\x1dL\xff\xff" + b"\x1dv0\0\1\0\1\0\xff\x1bK\1" * 60_000, None),
    (b"\x1b*!\1\0\xff\xff\xff" * 40_000, None),
    (b"\x1d*\xff\xff" + bytes(255 * 255 * 8) + b"\x1d/\3" * 1000, "GS / at byte .*: "),
])  # fmt: skip
def test_data_made_to_hurt_does_not(data: bytes, why: str | None) -> None:
    start = time.thread_time()
    if why is None:
        read(data, limit=64 << 20)
    else:
        with pytest.raises(BadPrinterData, match=why):
            read(data, limit=64 << 20)
    assert time.thread_time() - start < 20


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_any_bytes_are_read_or_refused(data: bytes, seed: int) -> None:
    rng = random.Random(seed)
    mixed = b"".join(rng.choice((data[i : i + 7], b"\x1b@", b"\x1dk\2", b"\x1d(L", b"\x1b*!\3\0", b"\x1dv0\0\2\0\2\0"))
                     for i in range(0, len(data), 7))  # fmt: skip
    try:
        labels = read(mixed, limit=16 << 20)
    except BadPrinterData:
        return
    assert all(isinstance(label, Label) for label in labels)


def test_a_picture_begins_where_an_empty_line_was_moved_to() -> None:
    """GS v 0: "the print start position can be specified with HT, ESC $, ESC \\, and GS L" (Citizen, CT-S series)."""
    [label] = read(b"\x1b@\x1b$\x10\0\x1dv0\0\1\0\1\0\x81\x1dv0\0\1\0\1\0\xff", dots=32)
    assert label.bitmap == Bitmap(32, 2, b"\0\0\x81\0" + b"\xff\0\0\0")
