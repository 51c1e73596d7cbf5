"""Star raster: exact bytes, the cut, and reading it back."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.contracts import Bitmap, Media, Tuning
from devices.errors import BadPrinterData
from devices.languages import recognize
from devices.languages.star import LANGUAGE
from devices.readers.star import read

PAPER = Media(203, 72)
BEGIN, END = b"\x1b*rA\x1b*rP0\0\x1b*rE1\0", b"\x1b*rB"


def test_rows_end_with_their_last_black_dot_and_white_rows_are_passed_over() -> None:
    page = Bitmap(24, 6, b"\xff\x80\0" + bytes(9) + b"\0\0\x01" + bytes(3))
    out = BEGIN + b"b\x02\0\xff\x80" + b"\x1b*rY3\0" + b"b\x03\0\0\0\x01" + b"\x1b*rY1\0" + END
    assert LANGUAGE.encode(page) == out
    assert LANGUAGE.encode(page, copies=3, media=PAPER) == out * 3


def test_a_blank_page_is_white_paper_and_a_page() -> None:
    out = LANGUAGE.encode(Bitmap(24, 90, bytes(270)))
    assert out == BEGIN + b"b\1\0\0" + b"\x1b*rY89\0" + END
    assert [label.bitmap for label in read(out)] == [Bitmap(8, 90, bytes(90))]


def test_one_white_row_is_sent_as_dots_where_that_is_shorter() -> None:
    page = Bitmap(8, 3, b"\xff\0\xff")
    assert LANGUAGE.encode(page) == BEGIN + b"b\1\0\xff" + b"b\1\0\0" + b"b\1\0\xff" + END


def test_a_page_wider_than_the_paper_is_refused() -> None:
    with pytest.raises(ValueError, match="576 dots wide, the paper only 575"):
        LANGUAGE.encode(Bitmap(576, 1, bytes(72)), media=Media(203, 71.95))


@pytest.mark.parametrize(("tuning", "mode", "feed"), [
    (Tuning(), b"0", b""), (Tuning(cut="partial"), b"13", b""), (Tuning(cut="full"), b"9", b""),
    (Tuning(cut="none"), b"3", b""),
    (Tuning(feed_mm=10), b"12", b"\x1b*rY80\0"), (Tuning(cut="full", feed_mm=0), b"8", b""),
    (Tuning(cut="none", feed_mm=25.4), b"1", b"\x1b*rY203\0"),
])  # fmt: skip
def test_the_cut_comes_after_a_copy(tuning: Tuning, mode: bytes, feed: bytes) -> None:
    expected = b"\x1b*rA\x1b*rP0\0\x1b*rE" + mode + b"\0" + feed + b"\x1b\x0c\x04\x1b*rB"
    assert LANGUAGE.end_of("copy", tuning, PAPER) == expected
    assert LANGUAGE.end_of("page", tuning, PAPER) == LANGUAGE.end_of("job", tuning, PAPER) == b""
    assert read(expected) == []


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 9), st.lists(st.sampled_from([b"\0", b"\xff", b"\x01", b"b", b"\x1b"]), min_size=1, max_size=60))
def test_what_is_written_reads_back_but_for_the_white_at_the_right(stride: int, dots: list[bytes]) -> None:
    rows = b"".join(dots).ljust(-(-len(dots) // stride) * stride, b"\0")
    page = Bitmap(stride * 8, len(rows) // stride, rows)
    labels = read(LANGUAGE.encode(page, copies=2) + LANGUAGE.end_of("copy"))
    assert len(labels) == 2
    bitmap = labels[0].bitmap
    assert bitmap is not None and bitmap.height == page.height and labels[0].undrawn == ()
    wide = [bitmap.rows[i : i + bitmap.stride].ljust(stride, b"\0") for i in range(0, len(bitmap.rows), bitmap.stride)]
    assert b"".join(wide) == rows


def test_text_and_other_commands_are_named() -> None:
    [label] = read(b"\x1b@\x1bd3Hello\n\x1b*rA\x1b*rP0\0b\x01\0\xffk\x01\0\xff\x1b*rB")
    assert label.undrawn == ("ESC d", "text", "k") and label.bitmap == Bitmap(8, 1, b"\xff")


def test_a_form_feed_ends_a_page_and_clearing_forgets_it() -> None:
    labels = read(b"\x1b*rAb\x01\0\xff\x1b\x0c\0b\x01\0\x0fb\x01\0\xf0\x1b\x0c\x04b\x01\0\xff\x1b*rC\x1b*rB")
    assert [label.bitmap for label in labels] == [Bitmap(8, 1, b"\xff"), Bitmap(8, 2, b"\x0f\xf0")]


def test_what_is_cut_off_prints_nothing() -> None:
    whole = LANGUAGE.encode(Bitmap(8, 2, b"\xff\xff"))
    assert all(read(whole[:cut]) == [] for cut in range(len(whole)))


@pytest.mark.parametrize("data", [
    b"\x1b*rA\x1b*rY99999999999\0", b"\x1b*rAb\xff\xff" + bytes(65_535), b"\x1b*rA" + b"\x1b*rY65000\0" * 9_000,
    b"\x1b*rAb\x01\0\xff" * 1 + b"b\xd0\x07" + bytes(2000) + b"\x1b*rY60000\0\x1b*rB",
    b"\x1b*rA" + b"b\1\0\xff\x1b\x0c\0" * 10_001,
], ids=range(5))  # fmt: skip
def test_what_is_too_large_is_refused_at_once_with_its_place(data: bytes) -> None:
    start = time.thread_time()
    with pytest.raises(BadPrinterData, match=r"at byte [\d,]+: "):
        read(data)
    assert time.thread_time() - start < 20


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([
    b"\x1b*rA", b"\x1b*rB", b"\x1b*r", b"Y", b"99", b"\0", b"b", b"k", b"\1\0", b"\xff", b"\x1b\x0c", b"\4",
    b"\x1b", b"C", b"@",
]), max_size=60).map(b"".join))  # fmt: skip
def test_hostile_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        assert all(label.copies == 1 for label in read(data, limit=1 << 20))
    except BadPrinterData as error:
        assert "at byte" in str(error)


@pytest.mark.parametrize("data", [b"\x1b*rA\x1b*rP0\x00", b"\x1b@\x1b*rR", b"\0\0\x1b*rA"])
def test_star_raster_is_known_by_how_it_begins(data: bytes) -> None:
    assert LANGUAGE.sniff(data) and recognize(data) == "star"


@pytest.mark.parametrize(
    "data", [b"", b"\x1b@Hello", b"\x1b*b", b"\x1b*rB", b"b\1\0\xff", b"\x1b@\x1bia\x01", b"^XA^XZ"]
)
def test_nothing_else_is_taken_for_star_raster(data: bytes) -> None:
    assert not LANGUAGE.sniff(data)
