"""Reading TSPL back: every graphic command, what is left out and named, and data made to hurt."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.errors import BadPrinterData
from devices.readers.tspl import read


def picture(data: bytes) -> list[str]:
    """The one label of `data` as text, # for black."""
    [label] = read(data)
    assert label.bitmap is not None
    width, stride, rows = label.bitmap.width, label.bitmap.stride, label.bitmap.rows
    lines = [f"{int.from_bytes(rows[i:i + stride], 'big'):0{stride * 8}b}" for i in range(0, len(rows), stride)]
    return [line[:width].replace("0", ".").replace("1", "#") for line in lines]


SIZE = b"SIZE 8 dot,3 dot\r\nCLS\r\n"


def test_a_zero_is_black() -> None:
    assert picture(SIZE + b"BITMAP 0,1,1,1,0,\x0f\r\nPRINT 1\r\n") == ["........", "####....", "........"]


def test_a_picture_may_hold_line_ends_quotes_and_commands() -> None:
    data = b'\r\n"CLS\r\n\x1b!R~!D'
    out = picture(SIZE + b"BITMAP 0,0,1,%d,0," % len(data) + data + b"\r\nPRINT 1\r\n")
    assert out == [f"{byte ^ 0xFF:08b}".replace("0", ".").replace("1", "#") for byte in data[:3]]


def test_modes_overwrite_add_and_turn_over() -> None:
    bar = b"BAR 0,0,8,3\r\n"
    assert picture(SIZE + bar + b"BITMAP 0,1,1,1,0,\x0f\r\nPRINT 1\r\n")[1] == "####...."
    assert picture(SIZE + bar + b"BITMAP 0,1,1,1,1,\x0f\r\nPRINT 1\r\n")[1] == "########"
    assert picture(SIZE + bar + b"BITMAP 0,1,1,1,2,\x0f\r\nPRINT 1\r\n")[1] == "....####"


def test_bars_boxes_and_holes() -> None:
    assert picture(SIZE + b"BAR 1,1,3,2\r\nPRINT 1\r\n") == ["........", ".###....", ".###...."]
    assert picture(SIZE + b"BOX 0,0,5,3,1\r\nPRINT 1\r\n") == ["#####...", "#...#...", "#####..."]
    assert picture(SIZE + b"BOX 0,0,3,3,9\r\nPRINT 1\r\n") == ["###.....", "###.....", "###....."]
    assert picture(SIZE + b"BAR 0,0,8,3\r\nERASE 2,0,3,2\r\nREVERSE 4,1,9,1\r\nPRINT 1\r\n") == [
        "##...###", "##..#...", "########",
    ]  # fmt: skip


def test_reference_moves_what_follows() -> None:
    assert picture(SIZE + b"BAR 0,0,1,1\r\nREFERENCE 2,1\r\nBAR 0,0,1,1\r\nPRINT 1\r\n") == [
        "#.......", "..#.....", "........",
    ]  # fmt: skip


def test_what_is_off_the_label_is_lost() -> None:
    off = b"BAR -2,-2,3,3\r\nBAR 999999999,0,1,1\r\nBAR 7,2,99999,99999\r\nBAR -999999999,0,9,9\r\n"
    out = picture(SIZE + off + b"PRINT 1\r\n")
    assert out == ["#.......", "........", ".......#"]


def test_the_picture_stays_until_it_is_cleared() -> None:
    labels = read(SIZE + b"BAR 0,0,1,1\r\nPRINT 2,3\r\nPRINT 1\r\nCLS\r\nPRINT 1\r\n")
    assert [(label.copies, label.bitmap is not None) for label in labels] == [(6, True), (1, True), (1, False)]
    assert labels[0].bitmap == labels[1].bitmap


@pytest.mark.parametrize(("size", "width", "height"), [
    (b"SIZE 25.4 mm,12.7 mm", 203, 102), (b"SIZE 1,0.5", 203, 102), (b"SIZE 1 , .5", 203, 102),
    (b"SIZE 100 dot,50 dot", 100, 50), (b"SIZE 25.4 mm", 203, 1),
])
def test_the_label_is_as_large_as_size_says(size: bytes, width: int, height: int) -> None:
    [label] = read(size + b"\r\nCLS\r\nBAR 0,0,1,1\r\nPRINT 1\r\n")
    assert label.bitmap is not None and (label.bitmap.width, label.bitmap.height) == (width, height)


def test_a_drawing_too_large_for_203_dpi_is_one_at_300() -> None:
    [label] = read(b"SIZE 1,1\r\nBAR 0,0,250,1\r\nPRINT 1\r\n")
    assert label.bitmap is not None and (label.bitmap.width, label.bitmap.height) == (300, 300)


def test_without_a_size_the_label_is_as_large_as_the_drawing() -> None:
    assert picture(b"CLS\r\nBAR 1,1,2,1\r\nPRINT 1\r\n") == ["...", ".##"]


def test_text_and_barcodes_are_named_once_each() -> None:
    [label] = read(
        SIZE + b'DENSITY 8\r\nTEXT 1,1,"3",0,1,1,"a"\r\nTEXT 1,1,"3",0,1,1,"b"\r\nQRCODE 1,1,H,4,A,0,"x"\r\n'
        b'BOX 0,0,5,3,1,2\r\nPUTBMP 0,0,"A.BMP"\r\nBITMAP 0,0,1,2,3,4,zzzz\r\n'
        b"DIRECTION 0,1\r\nBAR 0,0,1,1\r\nPRINT 1\r\n"
    )
    assert label.undrawn == ("TEXT", "QRCODE", "BOX", "PUTBMP", "BITMAP", "DIRECTION")
    assert label.bitmap is not None


def test_files_are_passed_over() -> None:
    data = SIZE + b'DOWNLOAD F,"A.PCX",14,CLS\r\nPRINT 9\r\n\r\nBAR 0,0,1,1\r\nPRINT 1\r\n'
    assert [label.copies for label in read(data)] == [1]


def test_the_last_line_needs_no_end() -> None:
    assert [label.copies for label in read(SIZE + b"BAR 0,0,1,1\nPRINT 3")] == [3]


def test_a_picture_cut_off_prints_nothing() -> None:
    assert read(SIZE + b"BITMAP 0,0,8,8,0,\xff\xff") == []


@pytest.mark.parametrize("data", [
    b"BITMAP 0,0,999999,999999,0,", b"BITMAP 0,0,9000,5000,0," + bytes(100),
    b"SIZE 9999,9999\r\nBAR 0,0,1,1\r\nPRINT 1\r\n",
    b"CLS\r\nBAR 60000,60000,1,1\r\nPRINT 1\r\n", b"CLS\r\nBAR 0,0,65535,65535\r\nPRINT 1\r\n",
    b"PRINT 1\r\n" * 10_001, b"BAR 0,0,1,1\r\n" * 100_001,
    b"SIZE 8,8\r\nBAR 0,0,1600,1600\r\n" + b"PRINT 1\r\n" * 9_000,
], ids=range(8))  # fmt: skip
def test_what_is_too_large_is_refused_at_once_with_its_place(data: bytes) -> None:
    start = time.thread_time()
    with pytest.raises(BadPrinterData, match=r"(BITMAP|BAR|PRINT) at byte [\d,]+: "):
        read(data)
    assert time.thread_time() - start < 10


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([
    b"BITMAP ", b"BAR ", b"BOX ", b"PRINT ", b"SIZE ", b"CLS", b"\r\n", b"\n", b"1", b"0", b"-", b",", b"7", b'"',
    b"\x1b",
    b"!", b"R", b"REFERENCE ", b"ERASE ", b"REVERSE ", b" mm", b" dot", b".", b"DOWNLOAD ", b"\0", b"\xff",
    b"999999999",
]), max_size=80).map(b"".join))  # fmt: skip
def test_hostile_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        labels = read(data, limit=1 << 20)
    except BadPrinterData:
        return
    assert all(label.copies >= 1 for label in labels)
