"""Reading ZPL back: every graphic form, what is left out and named, and data made to hurt."""

from __future__ import annotations

import base64
import binascii
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.contracts import Bitmap
from devices.errors import BadPrinterData
from devices.readers.zpl import Label, read

GOLDEN = Path(__file__).parent.parent / "golden"


def picture(data: bytes) -> list[str]:
    """The one label of `data` as text, # for black."""
    [label] = read(data)
    assert label.bitmap is not None
    width, stride, rows = label.bitmap.width, label.bitmap.stride, label.bitmap.rows
    lines = [f"{int.from_bytes(rows[i:i + stride], 'big'):0{stride * 8}b}" for i in range(0, len(rows), stride)]
    return [line[:width].replace("0", ".").replace("1", "#") for line in lines]


def encoded(kind: bytes, raw: bytes) -> bytes:
    """:B64: or :Z64: data."""
    text = base64.b64encode(zlib.compress(raw) if kind == b"Z64" else raw)
    return b":%s:%s:%04X" % (kind, text, binascii.crc_hqx(text, 0))


def test_hexadecimal_with_every_kind_of_shorthand() -> None:
    assert picture(b"^XA^GFA,10,10,2,HA,:!,G1H2^FS^XZ") == [
        "#.#.#.#.........",
        "#.#.#.#.........",
        "################",
        "................",
        "...#..#...#.....",
    ]


def test_repeat_counts_add_up() -> None:
    assert picture(b"^XA^GFA,11,11,11,gGF8^FS^XZ") == ["#" * 84 + "#..."]


def test_line_breaks_and_lower_case_are_allowed_in_hexadecimal() -> None:
    assert picture(b"^XA^GFA,2,2,1,\r\na\n5 0f\r\n^FS^XZ") == ["#.#..#.#", "....####"]


def test_missing_data_is_white_and_data_too_much_is_left_out() -> None:
    assert picture(b"^XA^GFA,2,2,1,F^FS^XZ") == ["####....", "........"]
    assert picture(b"^XA^GFA,1,1,1,F0FFFF^FS^XZ") == ["####...."]


@pytest.mark.parametrize("kind", [b"B64", b"Z64"])
def test_base64_forms(kind: bytes) -> None:
    assert picture(b"^XA^GFA,2,2,1," + encoded(kind, b"\xaa\x55") + b"^FS^XZ") == ["#.#.#.#.", ".#.#.#.#"]


def test_a_stored_z64_file_reads_as_a_checkerboard() -> None:
    lines = picture((GOLDEN / "zpl-checkers-z64.zpl").read_bytes())
    assert lines == ["".join("#" if x // 8 % 2 == y // 8 % 2 else "." for x in range(61)) for y in range(45)]


def test_binary_data_may_hold_prefixes() -> None:
    assert picture(b"^XA^GFB,3,3,1,^~^^FS^XZ") == [".#.####.", ".######.", ".#.####."]


def test_a_stored_graphic_is_recalled_and_magnified() -> None:
    assert picture(b"~DGR:A.GRF,1,1,A0^XA^FO1,1^XGR:A.GRF,2,2^FS^PW8^LL4^XZ") == [
        "........", ".##..##.", ".##..##.", "........",
    ]


@pytest.mark.parametrize("recall", [b"^XGA", b"^IMA.GRF", b"^XGR:A,1,1", b"^XGa.grf"])
def test_a_stored_graphic_is_found_by_short_names(recall: bytes) -> None:
    assert picture(b"~DGA,1,1,A0^XA" + recall + b"^FS^XZ") == ["#.#....."]


def test_ft_places_the_bottom_left_corner_and_lh_moves_all() -> None:
    assert picture(b"^XA^PW6^LL4^LH1,1^FT1,2^GFA,2,2,1,8040^FS^XZ") == ["......", "..#...", "...#..", "......"]


def test_a_field_without_a_place_begins_at_home_again() -> None:
    assert picture(b"^XA^PW4^LL2^FO2,1^GFA,1,1,1,8^FS^GFA,1,1,1,8^FS^XZ") == ["#...", "..#."]


def test_what_is_off_the_label_is_lost() -> None:
    assert picture(b"^XA^PW4^LL2^FO2,1^GFA,2,2,1,FFFF^FS^FO900,0^GFA,1,1,1,FF^FS^FT0,1^GFA,3,3,1,000080^XZ") == [
        "#...", "..##",
    ]


def test_boxes_are_drawn_hollow_filled_and_white() -> None:
    assert picture(b"^XA^GB5,4,1^FS^XZ") == ["#####", "#...#", "#...#", "#####"]
    assert picture(b"^XA^GB3,2,2^FS^FO1,0^GB1,2,1,W^FS^XZ") == ["#.#", "#.#"]
    assert picture(b"^XA^GB0,0,2^FS^XZ") == ["##", "##"]


def test_reverse_fields_turn_black_into_white() -> None:
    assert picture(b"^XA^GB4,1,1^FS^FO2,0^FR^GB4,1,1^FS^XZ") == ["##..##"]
    assert picture(b"^XA^LRY^GB4,1,1^FS^FO2,0^GB4,1,1^FS^LRN^XZ") == ["##..##"]


def test_other_prefixes_are_obeyed() -> None:
    assert picture(b"CT~~CD;~CC!~CT#!XA!FO1;0!GFA;1;1;1;80!FS!XZ") == [".#......."]


def test_width_and_length_hold_until_they_are_changed() -> None:
    labels = read(b"^XA^PW9^LL3^GB1,1,1^FS^XZ^XA^GB1,1,1^FS^XZ^XA^LL2^GB1,1,1^FS^XZ")
    assert [(x.bitmap.width, x.bitmap.height) for x in labels if x.bitmap] == [(9, 3), (9, 3), (9, 2)]


def test_text_and_barcodes_are_named_once_each() -> None:
    data = b"^XA^CI28^BY2^FX note^FO9,9^A0N,30^FDHi^FS^FO9,50^BCN,80^FD1^FS^FO1,1^GB2,2,2^FS^PQ7^XZ"
    [label] = read(data)
    assert (label.undrawn, label.copies, label.bitmap is not None) == (("^A0", "^FD", "^BC"), 7, True)


@pytest.mark.parametrize(("zpl", "name"), [
    (b"^GFC,1,1,1,x", "^GF"), (b"^GFA,,,,", "^GF"), (b"^XGR:NONE.GRF", "^XG"), (b"^IMNONE", "^IM"),
    (b"^GB9,9,1,B,8", "^GB"), (b"^GC9", "^GC"), (b"^POI", "^PO"), (b"^XFR:A.ZPL", "^XF"), (b"^LS20", "^LS"),
    (b"^QQ", "^QQ"),
])
def test_what_cannot_be_drawn_is_named(zpl: bytes, name: str) -> None:
    assert read(b"^XA" + zpl + b"^FS^XZ") == [Label(None, 1, (name,))]


def test_set_up_is_not_reported_as_missing() -> None:
    data = b"^XA~TA000~JSN^LT0^MNW^MTT^PON^PMN^LH0,0^JMA^PR4,4~SD15^JUS^LRN^CI0^XZ"
    assert read(data) == [Label(None)]


def test_a_format_cut_off_before_its_end_prints_nothing() -> None:
    assert read(b"^XA^GB1,1,1^FS") == []
    assert read(b"^XA^GB9,9,1^FS^XA^GB1,1,1^FS^XZ") == [Label(Bitmap(1, 1, b"\x80"))]


@pytest.mark.parametrize("begun", [
    b"^XA^FO1,1^GB5,5,1^FS", b"^XA^FDhalf", b"^XA^GFA,9,9,1,FF", b"^XA^GFA,9,9,1,:Z64:eJ",
])
def test_a_format_that_is_cancelled_prints_nothing(begun: bytes) -> None:
    """~JX; the fields of the next format are its own."""
    assert read(begun + b"~JX^FS^XZ") == []
    assert picture(begun + b"~JX^XA^FO0,0^GB2,1,1^FS^XZ") == ["##"]


def test_prefixes_that_always_work() -> None:
    assert picture(b"^CC/~CT#\x10CT~~CC^^XA^FO0,0\x1eGB2,1,1^FS^XZ") == ["##"]


def test_decimals_are_rounded_to_dots() -> None:
    assert picture(b"^XA^FO1.64,0.5^GB2.2,1,.8^FS^XZ") == ["....", "..##"]
    assert picture(b"^XA^FOx.5,1.x^GB1,1,1^FS^XZ") == ["#"]


def test_no_data_is_no_labels() -> None:
    assert read(b"") == read(b"hello") == read(b"^") == read(b"^^^~~") == []


def flipped(data: bytes) -> bytes:
    """The last digit of the CRC changed."""
    return data[:-1] + (b"0" if data[-1:] != b"0" else b"1")


@pytest.mark.parametrize(("zpl", "why"), [
    (b"^GFA,2,2,1," + flipped(encoded(b"Z64", b"ab")), r"\^GF at byte 3: the CRC"),
    (b"^FO0,0^GFA,2,2,1,:Z64:AAAA:" + b"%04X" % binascii.crc_hqx(b"AAAA", 0), r"\^GF at byte 9: .*unpack"),
    (b"^GFA,2,2,1,:B64:A:" + b"%04X" % binascii.crc_hqx(b"A", 0), "does not unpack"),
    (b"^GFA,2,2,1,:Z64:", "neither :B64:"),
    (b"^GFA,2,2,1,::", "neither :B64:"),
    (b"^GFA,4,4,2,A:", "no complete row"),
    (b"^GFA,4,4,2,A*", r"b'\*' is not a hexadecimal digit"),
    (b"^GFA,4,4,2,AG", "no digit after it"),
    (b"^GFB,44,4,2,A", "before its binary data does"),
    (b"^GFA,999999999,999999999,1,", "larger than any label"),
    (b"^GFA,1,1,999999999,", "larger than any label"),
    (b"^PW60000^LL60000^GB1,1,1", r"\^XZ at byte .*too large"),
    (b"^PW1^LL99999999999999999999^GB1,1,1", "too large"),
])
def test_broken_data_is_refused_with_its_place(zpl: bytes, why: str) -> None:
    with pytest.raises(BadPrinterData, match=why):
        read(b"^XA" + zpl + b"^FS^XZ")


BOMB = encoded(b"Z64", bytes(b"\x01" * 4_900_000))


@pytest.mark.parametrize("data", [
    b"^XA" + b"^GFA,4900000,4900000,1000,%s^FS" % BOMB * 60 + b"^XZ",
    b"^XA^PW6000^LL6000^GB1,1,1^FS^XZ" * 2_000,
    b"^XA^XZ" * 100_000,
    b"^XA" + b"^GB32000,32000,9^FS" * 100_000 + b"^XZ",
    b"~DGA,1000,100,!:^XA" + b"^XGA,10,10^FS" * 100_000 + b"^XZ",
    b"^XA^PW65000^LL600" + b"^GB1,600^FS" * 50_000 + b"^XZ",
    b"^XA^CCa" + b"".join(b"%cCC%c" % (97 + i % 2, 97 + (i + 1) % 2) for i in range(5_000)),
    b"^XA^GFA,4900000,4900000,5000," + b"z" * 3_000_000 + b"^XZ",
], ids=["zip bomb", "blank labels", "formats", "boxes", "magnified", "wide rows", "prefixes", "counts"])
def test_a_bomb_is_refused_soon(data: bytes) -> None:
    start = time.thread_time()
    with pytest.raises(BadPrinterData):
        read(data)
    assert time.thread_time() - start < 10


@pytest.mark.parametrize("piece", [b"^", b"~", b"^FD", b"^GFA,", b"^GFA,1,1,1,zz", b"G", b":", b",", b"^XA", b"9"])
def test_time_grows_with_the_length_only(piece: bytes) -> None:
    start = time.thread_time()
    try:
        read(b"^XA^GFA,4000000,4000000,1000," + piece * (2_000_000 // len(piece)))
    except BadPrinterData:
        pass
    assert time.thread_time() - start < 10


def test_the_limit_is_the_callers_choice() -> None:
    data = b"^XA^GB100,100,1^FS^XZ"
    assert len(read(data, limit=100_000)) == 1
    with pytest.raises(BadPrinterData, match="more than 1,000 bytes"):
        read(data, limit=1_000)


WORDS = [
    b"^XA", b"^XZ", b"^FS", b"^FO", b"^FT", b"^LH", b"^PW", b"^LL", b"^PQ", b"^GFA,", b"^GFB,", b"^GFC,", b"^GB",
    b"^GFA,9,9,3,", b"^GFA,1,1,1,", b"~DGA,8,2,", b"^FR", b"^LRY", b"~DGA,", b"^XGA,", b"^IMA", b"~DYR:A,B,", b"^CC",
    b"^CT", b"^CD", b"^FX", b"^A0", b",", b"1,", b"8,", b"0,", b"-1,", b"99999999999,", b":", b"::", b"!", b"zF", b"GA",
    b"FF", b"F", b":Z64:", b":B64:", encoded(b"Z64", b"ab"),
]


NUMBERS = st.sampled_from([0, 1, 2, 3, 8, 100, 40_000, 70_000]).map(lambda n: b"%d," % n)


@settings(deadline=None, max_examples=1_000)
@given(st.lists(st.sampled_from(WORDS) | NUMBERS | st.binary(max_size=6), max_size=60).map(b"".join))
@example(b"^GFA,1,1,1,FFF")
@example(b"^LL1^FO0,2^GB1,9,1")
@example(b"^LL1^FT0,0^GB1,9,1")
def test_any_bytes_are_labels_or_bad_printer_data(data: bytes) -> None:
    try:
        labels = read(b"^XA" + data + b"^XZ", limit=1 << 20)
    except BadPrinterData as error:
        assert " at byte " in str(error)
    else:
        assert all(isinstance(label, Label) for label in labels)
