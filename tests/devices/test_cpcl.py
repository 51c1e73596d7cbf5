"""The CPCL encoder byte by byte, and CPCL read back into pictures."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.contracts import Bitmap, Media, Tuning
from devices.errors import BadPrinterData
from devices.languages.cpcl import LANGUAGE, text_line
from devices.readers.cpcl import Label, read

GOLDEN = Path(__file__).parent.parent / "golden"
DOT = Bitmap(1, 1, b"\x80")
LABEL = Media(203, 50, 30)
RECEIPT = Bitmap(32, 146, b"\xf0\x0f\xf0\x0f" * 8 + bytes(4 * 130) + b"\0\xff\xff\0" * 8)
START = b"! 0 200 200 4 1\r\n"


def picture(data: bytes) -> list[str]:
    """The one label of `data` as text, # for black."""
    [label] = read(data)
    assert label.bitmap is not None
    width, stride, rows = label.bitmap.width, label.bitmap.stride, label.bitmap.rows
    lines = [f"{int.from_bytes(rows[i:i + stride], 'big'):0{stride * 8}b}" for i in range(0, len(rows), stride)]
    return [line[:width].replace("0", ".").replace("1", "#") for line in lines]


def test_one_black_dot() -> None:
    assert LANGUAGE.encode(DOT) == b"! 0 200 200 1 1\r\nPAGE-WIDTH 1\r\nCG 1 1 0 0 \x80\r\nFORM\r\nPRINT\r\n"


def test_copies_are_left_to_the_printer() -> None:
    assert LANGUAGE.encode(DOT, copies=1_024).startswith(b"! 0 200 200 1 1024\r\n")


@pytest.mark.parametrize("copies", [0, -1, 1_025])
def test_a_quantity_that_cpcl_cannot_say_is_refused(copies: int) -> None:
    with pytest.raises(ValueError, match="1,024"):
        LANGUAGE.encode(DOT, copies=copies)


def test_a_label_is_said_a_little_shorter_than_it_is_unless_something_is_printed_there() -> None:
    assert LANGUAGE.encode(DOT, media=LABEL).startswith(b"! 0 200 200 228 1\r\nPAGE-WIDTH 400\r\n")
    full = Bitmap(8, 240, b"\x01" * 240)
    assert LANGUAGE.encode(full, media=LABEL).startswith(b"! 0 200 200 240 1\r\n")


def test_on_continuous_media_the_page_is_the_label_and_no_next_one_is_looked_for() -> None:
    out = LANGUAGE.encode(Bitmap(8, 50, b"\xff" + bytes(49)), media=Media(203, 50))
    assert out == b"! 0 200 200 50 1\r\nPAGE-WIDTH 400\r\nCG 1 1 0 0 \xff\r\nPRINT\r\n"


def test_other_resolutions_are_said_as_they_are() -> None:
    assert LANGUAGE.encode(DOT, media=Media(300, 50)).startswith(b"! 0 300 300 1 1\r\n")


@pytest.mark.parametrize(("tuning", "text"), [
    (Tuning(darkness=-99), b"TONE -99\r\n"), (Tuning(darkness=200, speed=5), b"TONE 200\r\nSPEED 5\r\n"),
    (Tuning(tracking="gap"), b"GAP-SENSE\r\n"), (Tuning(tracking="mark"), b"BAR-SENSE\r\n"), (Tuning(tear_off=9), b""),
])
def test_settings_are_said_before_the_picture(tuning: Tuning, text: bytes) -> None:
    out = LANGUAGE.encode(DOT, tuning=tuning)
    assert out == b"! 0 200 200 1 1\r\nPAGE-WIDTH 1\r\n" + text + b"CG 1 1 0 0 \x80\r\nFORM\r\nPRINT\r\n"


def test_continuous_tracking_leaves_form_out() -> None:
    assert b"FORM" not in LANGUAGE.encode(DOT, media=LABEL, tuning=Tuning(tracking="continuous"))


@pytest.mark.parametrize("tuning", [Tuning(darkness=201), Tuning(darkness=-100), Tuning(speed=6), Tuning(speed=0.5)])
def test_what_cpcl_cannot_say_is_refused(tuning: Tuning) -> None:
    with pytest.raises(ValueError, match="CPCL"):
        LANGUAGE.encode(DOT, tuning=tuning)


def test_white_parts_are_not_sent() -> None:
    rows = bytes(2) + b"\0\x80" + bytes(402) + b"\x01\x01"
    out = LANGUAGE.encode(Bitmap(16, len(rows) // 2, rows))
    assert b"CG 1 1 8 1 \x80\r\nCG 2 1 0 203 \x01\x01\r\n" in out


@pytest.mark.parametrize(("name", "page", "copies", "media"), [
    ("cpcl-bars", Bitmap(400, 4, (b"\xff" * 20 + bytes(30)) * 4), 25, Media(203, 50, 30)),
    ("cpcl-blank", Bitmap(812, 1218, bytes(102 * 1218)), 1, None),
    ("cpcl-receipt", RECEIPT, 1, Media(203, 48)),
])
def test_golden_file(name: str, page: Bitmap, copies: int, media: Media | None) -> None:
    assert LANGUAGE.encode(page, copies=copies, media=media) == (GOLDEN / f"{name}.cpcl").read_bytes()


@st.composite
def bitmaps(draw: st.DrawFn) -> Bitmap:
    """Pages with blank rows, blank sides and noise."""
    width, height = draw(st.integers(1, 70)), draw(st.integers(1, 40))
    stride = (width + 7) // 8
    mask = ((1 << width) - 1) << (stride * 8 - width)
    row = st.one_of(st.just(bytes(stride)), st.binary(min_size=stride, max_size=stride))
    rows = draw(st.lists(row, min_size=height, max_size=height))
    clean = [(int.from_bytes(line, "big") & mask).to_bytes(stride, "big") for line in rows]
    return Bitmap(width, height, b"".join(clean))


@settings(deadline=None, max_examples=300)
@given(bitmaps(), st.integers(1, 1_024))
@example(Bitmap(8, 2, b"\x0d\x0a"), 1)
@example(Bitmap(40, 1, b"PRINT"), 2)
def test_what_is_written_reads_back_as_the_same_dots(page: Bitmap, copies: int) -> None:
    [label] = read(LANGUAGE.encode(page, copies=copies))
    assert (label.copies, label.undrawn) == (copies, ())
    assert label.bitmap == page


# --- Reading


def test_hexadecimal_goes_over_line_ends() -> None:
    data = START + b"PAGE-WIDTH 16\r\nEG 2 4 0 0 F0F00F\r\n0Ff00f0F\r\nF0\r\nPRINT\r\n"
    assert picture(data) == ["####....####....", "....####....####", "####........####", "....########...."]


def test_hexadecimal_that_ends_early_is_refused() -> None:
    with pytest.raises(BadPrinterData, match="EG at byte 17: the stream ends 6 bytes before"):
        read(START + b"EG 2 4 0 0 F0F0\r\nPRINT\r\n")


def test_lines_and_boxes() -> None:
    data = START + b"PW 6\r\nBOX 0 0 6 4 1\r\nLINE 2 2 4 2 1\r\nIL 0 0 0 4 1\r\nPRINT\r\n"
    assert picture(data) == [".#####", ".....#", "..##.#", ".#####"]


def test_a_diagonal_line() -> None:
    assert picture(START + b"PW 4\r\nL 0 0 3 3 1\r\nPRINT\r\n") == ["#...", "##..", ".##.", "..##"]


def test_the_offset_moves_everything() -> None:
    assert picture(b"! 3 200 200 1 1\r\nPW 6\r\nL 0 0 2 0 1\r\nPRINT\r\n") == ["...##."]


def test_text_barcodes_and_stored_things_are_named_once_each() -> None:
    data = (START + b"TONE 50\r\nTEXT 4 0 30 40 PRINT\r\nTEXT 4 0 30 90 b\r\nBARCODE 128 1 1 50 1 1 X\r\n"
            b"ML 47\r\nTEXT 4 0 10 20\r\nPRINT\r\nCG 9 9 0 0 x\r\nENDML\r\nPCX 0 0 !<A.PCX\r\nCENTER\r\nPRINT\r\n")
    assert read(data) == [Label(None, 1, ("TEXT", "BARCODE", "ML", "PCX", "CENTER"))]


def test_a_session_without_print_or_with_abort_prints_nothing() -> None:
    assert read(START + b"L 0 0 2 0 1\r\n") == read(START + b"L 0 0 2 0 1\r\nABORT\r\nPRINT\r\n") == []
    assert read(b"! UTILITIES\r\nBEEP 1\r\nPRINT\r\n") == read(b"") == read(b"hello\r\nPRINT\r\n") == []


@pytest.mark.parametrize(("data", "why"), [
    (START + b"CG 9 9 0 0 abc\r\nPRINT\r\n", r"CG at byte 17: the stream ends 69 bytes before"),
    (START + b"CG 99999 99999 0 0 abc\r\n", r"CG at byte 17: .*larger than any label"),
    (b"! 0 200 200 60000 1\r\nPW 60000\r\nL 0 0 2 0 1\r\nPRINT\r\n", r"PRINT at byte .*too large to read"),
    ((START + b"L 0 0 2 0 1\r\nPRINT\r\n") * 10_001, "more than 10,000 labels"),
    (START + b"BOX 0 0 60000 60000 9\r\n" * 100_000, "more than .* bytes of pictures"),
    (START + b"L 0 0 60000 60000 9\r\n" * 100_000, "more than .* bytes of pictures"),
])
def test_broken_data_is_refused_with_its_place(data: bytes, why: str) -> None:
    start = time.thread_time()
    with pytest.raises(BadPrinterData, match=why):
        read(data)
    assert time.thread_time() - start < 10


WORDS = [START, b"PRINT\r\n", b"PW 9\r\n", b"CG 1 2 0 0 ", b"EG 1 2 0 0 ", b"LINE ", b"BOX ", b"1 ", b"9 ", b"70000 ",
         b"\r\n", b"\n", b"\r", b"ML\r\n", b"ENDML\r\n", b"! ", b"U1 ", b"B QR\r\n"]


@settings(deadline=None, max_examples=600)
@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=6), max_size=50).map(b"".join))
def test_any_bytes_are_labels_or_bad_printer_data(data: bytes) -> None:
    try:
        labels = read(data, limit=1 << 20)
    except BadPrinterData as error:
        assert " at byte " in str(error)
    else:
        assert all(isinstance(label, Label) for label in labels)


# --- Text


@pytest.mark.parametrize(("text", "data"), [
    ("Müsli", b"M\x81sli"), ("a\r\nPRINT\r\n! 0", b"a??PRINT??! 0"), ("\x1bh\0\n", b"?h??"), ("日本", b"??"), ("", b""),
])
def test_text_stays_on_its_line(text: str, data: bytes) -> None:
    assert text_line(text) == data


@settings(max_examples=300)
@given(st.text())
def test_a_hostile_text_changes_no_other_command(text: str) -> None:
    data = START + b"TEXT 4 0 0 0 " + text_line(text) + b"\r\nPW 1\r\nL 0 0 1 0 4\r\nPRINT\r\n"
    assert read(data) == [Label(Bitmap(1, 4, b"\x80" * 4), 1, ("TEXT",))]


# --- Other people's CPCL


def test_what_cups_writes_is_read() -> None:
    row = b"\x80" + bytes(8) + b"\x01\r\n"
    data = (b"! 0 203 203 4 2\r\nPAGE-WIDTH 80\r\nPAGE-HEIGHT 4\r\nCG 10 1 0 1 " + row + b"CG 10 1 0 3 " + row
            + b"PRESENT-AT 0 1\r\nFORM\r\nPRINT\r\n")
    line = "#" + "." * 78 + "#"
    assert picture(data) == ["." * 80, line, "." * 80, line]
    assert read(data)[0].copies == 2 and read(data)[0].undrawn == ()


@pytest.mark.parametrize("data", [
    b"! 0 200 200 210 1\r\nTEXT 4 0 30 40 Hello\r\nFORM\r\nPRINT\r\n", b"! UTILITIES\r\nIN-MILLIMETERS\r\n",
    b"! U1 SETLP 5 2 46\r\nHello", b"\r\n! 0 203 203 60 2\r\n",
])
def test_cpcl_is_known_by_how_it_begins(data: bytes) -> None:
    assert LANGUAGE.sniff(data)


@pytest.mark.parametrize("data", [
    b"", b"! important\n", b"! 0 200\n", b'! U1 setvar "a" "b"\r\n', b'! U1 getvar "device.languages"\r\n',
    b'! U1 do "device.reset" ""\r\n', b"^XA^XZ", b"N\nq1\n", b"%PDF-1.7", b"TEXT 1,2\n",
])
def test_nothing_else_is_taken_for_cpcl(data: bytes) -> None:
    assert not LANGUAGE.sniff(data)
