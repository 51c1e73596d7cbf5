"""The EPL2 encoder byte by byte, and EPL2 read back into pictures."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.contracts import PLAIN, Bitmap, Media, Tuning
from devices.errors import BadPrinterData
from devices.languages.epl2 import LANGUAGE, quote
from devices.readers.epl2 import Label, read

GOLDEN = Path(__file__).parent.parent / "golden"
DOT = Bitmap(1, 1, b"\x80")
LABEL = Media(203, 50, 30)


def checkers(width: int, height: int, square: int) -> Bitmap:
    """Squares of `square` dots, black at the top left."""
    stride = (width + 7) // 8
    rows = [sum(1 << (stride * 8 - 1 - x) for x in range(width) if (x // square + y // square) % 2 == 0)
            for y in range(height)]
    return Bitmap(width, height, b"".join(row.to_bytes(stride, "big") for row in rows))


def picture(data: bytes) -> list[str]:
    """The one label of `data` as text, # for black."""
    [label] = read(data)
    assert label.bitmap is not None
    width, stride, rows = label.bitmap.width, label.bitmap.stride, label.bitmap.rows
    lines = [f"{int.from_bytes(rows[i:i + stride], 'big'):0{stride * 8}b}" for i in range(0, len(rows), stride)]
    return [line[:width].replace("0", ".").replace("1", "#") for line in lines]


def test_one_black_dot_and_its_white_padding() -> None:
    assert LANGUAGE.encode(DOT) == b"\nZT\nN\nGW0,0,1,1,\x7f\nP1\n"


def test_copies_are_left_to_the_printer() -> None:
    assert LANGUAGE.encode(DOT, copies=65_535).endswith(b"\nP65535\n")


@pytest.mark.parametrize("copies", [0, -1, 65_536])
def test_a_copies_count_that_p_cannot_say_is_refused(copies: int) -> None:
    with pytest.raises(ValueError, match="65,535"):
        LANGUAGE.encode(DOT, copies=copies)


def test_known_media_gives_the_width_in_whole_bytes_and_leaves_the_length_to_autosense() -> None:
    assert LANGUAGE.encode(DOT, media=Media(203, 100, 150)).startswith(b"\nq800\nZT\nN\nGW")


def test_on_continuous_media_the_white_at_the_end_is_fed() -> None:
    page = Bitmap(8, 9, b"\0\xff" + bytes(7))
    out = LANGUAGE.encode(page, media=Media(203, 100))
    assert out == b"\nq800\nQ7,0\nZT\nN\nGW0,1,1,1,\0\nP1\n"
    [label] = read(out)
    assert label.bitmap is not None and label.bitmap.height == 9


@pytest.mark.parametrize(("tuning", "text"), [
    (Tuning(tracking="gap"), b"Q240,24\n"),
    (Tuning(gap_mm=2), b"Q240,16\n"),
    (Tuning(tracking="mark", gap_mm=5), b"Q240,B40+0\n"),
    (Tuning(tracking="continuous"), b"Q0,0\n"),
    (Tuning(speed=3, darkness=15), b"S3\nD15\n"),
    (Tuning(mode="cutter"), b"OC\n"),
    (Tuning(mode="peel-off"), b"OP\n"),
    (Tuning(mode="tear-off"), b"O\n"),
    (Tuning(tear_off=20), b""),
])
def test_settings_are_said_before_n(tuning: Tuning, text: bytes) -> None:
    assert LANGUAGE.encode(DOT, media=LABEL, tuning=tuning) == b"\nq400\n" + text + b"ZT\nN\nGW0,0,1,1,\x7f\nP1\n"


@pytest.mark.parametrize("tuning", [
    Tuning(speed=2.5), Tuning(speed=7), Tuning(darkness=16), Tuning(darkness=-1), Tuning(mode="rewind"),
    Tuning(tracking="gap", gap_mm=1), Tuning(gap_mm=40),
])
def test_what_epl2_cannot_say_is_refused(tuning: Tuning) -> None:
    with pytest.raises(ValueError, match="EPL2"):
        LANGUAGE.encode(DOT, media=LABEL, tuning=tuning)


def test_plain_tuning_adds_nothing() -> None:
    assert LANGUAGE.encode(DOT, media=LABEL, tuning=PLAIN) == LANGUAGE.encode(DOT, media=LABEL)


def test_a_page_too_long_for_q_is_refused() -> None:
    with pytest.raises(ValueError, match="65,535 dots"):
        LANGUAGE.encode(Bitmap(8, 65_536, bytes(65_536)))


def test_what_lies_beside_the_label_is_not_sent() -> None:
    page = Bitmap(24, 4, b"\xff" * 12)
    assert LANGUAGE.encode(page, media=Media(203, 1.5, 0.25)) == b"\nq16\nZT\nN\nGW0,0,2,2,\0\0\0\0\nP1\n"


def test_white_at_all_four_sides_is_not_sent() -> None:
    page = Bitmap(32, 5, bytes(4) + b"\0\x18\x01\0" * 2 + bytes(8))
    assert LANGUAGE.encode(page) == b"\nZT\nN\nGW8,1,2,2,\xe7\xfe\xe7\xfe\nP1\n"


def test_a_page_is_parted_where_white_rows_cost_more_than_a_command() -> None:
    rows = b"\x80" + bytes(401) + b"\x01" + bytes(400) + b"\x01"
    out = LANGUAGE.encode(Bitmap(8, len(rows), rows))
    assert out == b"\nZT\nN\nGW0,0,1,1,\x7f\nGW0,402,1,402,\xfe" + b"\xff" * 400 + b"\xfe\nP1\n"


def test_a_blank_page_still_feeds_one_label() -> None:
    out = LANGUAGE.encode(Bitmap(20, 9, bytes(27)), media=LABEL)
    assert out == b"\nq400\nZT\nN\nGW0,0,1,1,\xff\nP1\n"
    [label] = read(out)
    assert label.bitmap is not None and not any(label.bitmap.rows)


@pytest.mark.parametrize(("name", "page", "copies", "media"), [
    ("epl2-checkers", checkers(27, 6, 3), 1, None),
    ("epl2-bars", Bitmap(400, 4, (b"\xff" * 20 + bytes(30)) * 4), 25, Media(203, 50, 30)),
    ("epl2-blank", Bitmap(812, 1218, bytes(102 * 1218)), 1, Media(203, 101.6, 152.4)),
])
def test_golden_file(name: str, page: Bitmap, copies: int, media: Media | None) -> None:
    assert LANGUAGE.encode(page, copies=copies, media=media) == (GOLDEN / f"{name}.epl2").read_bytes()


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
@given(bitmaps(), st.integers(1, 65_535))
@example(Bitmap(13, 9, bytes(18)), 1)
def test_what_is_written_reads_back_as_the_same_dots(page: Bitmap, copies: int) -> None:
    [label] = read(LANGUAGE.encode(page, copies=copies))
    assert label.bitmap is not None and (label.copies, label.undrawn) == (copies, ())
    for y in range(page.height):
        theirs = label.bitmap.rows[y * label.bitmap.stride :][: label.bitmap.stride] if y < label.bitmap.height else b""
        assert theirs.rstrip(b"\0") == page.rows[y * page.stride :][: page.stride].rstrip(b"\0")


# --- Reading


def test_gw_is_white_where_it_is_one() -> None:
    assert picture(b"q8\nQ2,24\nN\nGW0,0,1,2,\x0f\xff\nP1\n") == ["####....", "........"]


def test_a_line_end_may_stand_before_the_data_of_gw() -> None:
    assert picture(b"N\nGW0,0,1,1\n\n\nP1\n") == picture(b"N\r\nGW0,0,1,1\r\n\n\r\nP1\r\n") == ["####.#.#"]


def test_lines_are_black_white_and_inverting() -> None:
    data = b"q8\nQ4,24\nN\nLO0,0,8,3\nLW1,1,2,1\nLE0,2,4,2\nP1\n"
    assert picture(data) == ["########", "#..#####", "....####", "####...."]


def test_a_box_is_drawn_from_corner_to_corner() -> None:
    assert picture(b"N\nX0,0,1,5,4\nP1\n") == ["#####", "#...#", "#...#", "#####"]


def test_diagonal_lines_go_both_ways() -> None:
    assert picture(b"N\nLS0,0,1,3,3\nP1\n") == ["#...", "##..", ".##.", "..##"]
    assert picture(b"N\nLS0,3,1,3,0\nP1\n") == ["..##", ".##.", "##..", "#..."]
    assert picture(b"N\nLS0,0,2,0,3\nP1\n") == ["##"] * 5


def test_the_reference_point_moves_and_q_takes_it_back() -> None:
    assert picture(b"R2,1\nN\nLO0,0,1,1\nP1\n") == ["...", "..#"]
    assert picture(b"R2,1\nq3\nN\nLO0,0,1,1\nP1\n") == ["#.."]


def test_the_image_buffer_stays_until_n() -> None:
    labels = read(b"N\nLO0,0,2,1\nA0,0,0,1,1,1,N,\"x\"\nP1\nP2,3\nN\nP1\n")
    assert [(label.copies, label.undrawn) for label in labels] == [(1, ("A",)), (6, ("A",)), (1, ())]
    assert labels[0].bitmap == labels[1].bitmap == Bitmap(2, 1, b"\xc0") and labels[2].bitmap is None


def test_text_barcodes_and_stored_things_are_named_once_each() -> None:
    data = (b'N\nA1,1,0,1,1,1,N,"P1"\nA1,9,0,1,1,1,N,"a\\"\nB1,1,0,1,2,2,9,B,"1"\n'
            b'b1,1,P,9,9,"two\nP9\nlines"\nGG1,1,"L"\nFR"F"\nP2\n')
    assert read(data) == [Label(None, 2, ("A", "B", "b", "GG", "FR"))]


def test_what_is_stored_as_a_form_is_not_printed() -> None:
    assert read(b'FS"F"\nLO0,0,1,1\nP1\nFE\nN\n') == []


def test_a_stored_picture_is_passed_over() -> None:
    assert [label.copies for label in read(b'GM"P1"5\r\nP8\nP9P1\n')] == [1]


def test_no_data_and_other_data_is_no_labels() -> None:
    assert read(b"") == read(b"hello") == read(b"N\nLO1,1,1,1\n") == read(b"P0\n") == []


@pytest.mark.parametrize(("data", "why"), [
    (b"N\nGW0,0,9,9,abc\nP1\n", r"GW at byte 2: the stream ends 74 bytes before"),
    (b"N\nGW0,0,99999,99999,abc\nP1\n", r"GW at byte 2: .*larger than any label"),
    (b"q60000\nN\nLO0,0,1,60000\nP1\n", r"P at byte .*too large to read"),
    (b"N\n" + b"LO0,0,60000,60000\n" * 9, "more than .* bytes of pictures"),
])
def test_broken_data_is_refused_with_its_place(data: bytes, why: str) -> None:
    with pytest.raises(BadPrinterData, match=why):
        read(data)


@pytest.mark.parametrize("data", [
    b"N\n" + b"LS0,0,60000,1,60000\n" * 100_000,
    b"N\nLO0,0,1,1\n" + b"P1\n" * 100_000,
    b"q800\nQ60000,24\nN\nLO0,0,1,1\n" + b"P1\n" * 9_000,
    b"N\n" + b"X0,0,9,60000,60000\n" * 50_000,
], ids=["diagonals", "labels", "long labels", "boxes"])
def test_a_bomb_is_refused_soon(data: bytes) -> None:
    start = time.thread_time()
    with pytest.raises(BadPrinterData):
        read(data)
    assert time.thread_time() - start < 10


@pytest.mark.parametrize("piece", [b"\n", b"N", b'"', b"b\"", b"GW", b"GW0,0,0,0,", b"\\", b"\r", b"A0,0,\n", b"^ee"])
def test_time_grows_with_the_length_only(piece: bytes) -> None:
    start = time.thread_time()
    read(b"N\nA" + piece * (1_000_000 // len(piece)))
    assert time.thread_time() - start < 10


WORDS = [b"N\n", b"P1\n", b"q8\n", b"Q9,0\n", b"R1,1\n", b"GW0,0,1,2,", b"LO", b"LS", b"X", b"1,", b"9,", b"70000,",
         b'"', b"\\", b"\n", b"\r", b'GM"A"9\n', b'FS"', b"FE\n", b"b1,1,P,"]


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
    ("Müsli", b'"M\x81sli"'),
    ('say "hi"', rb'"say \"hi\""'),
    ("back\\", rb'"back\\"'),
    ('\n^default\nP99\n"', rb'"??default?P99?\""'),
    ("\0\x1b\x7f\r", b'"????"'),
    ("€ 日本", b'"? ??"'),
    ("", b'""'),
    ("^@ ^ee ^default ^X", b'"?@ ?ee ?default ^X"'),
])
def test_text_cannot_leave_its_quotes(text: str, data: bytes) -> None:
    assert quote(text) == data


def test_a_code_page_of_several_bytes_a_character_gives_none_of_them() -> None:
    assert quote("表a", "shift_jis") == b'"?a"'  # the second byte of that character is a backslash
    with pytest.raises(ValueError, match="klingon"):
        quote("a", "klingon")


@settings(max_examples=500)
@given(st.text(), st.sampled_from(["cp437", "cp850", "cp1252", "cp500", "utf-8", "utf-16"]))
def test_a_hostile_text_changes_no_other_command(text: str, code_page: str) -> None:
    line = b"A0,0,0,1,1,1,N," + quote(text, code_page) + b"\n"
    assert read(b"N\n" + line + b"LO0,0,1,1\nP1\n") == [Label(DOT, 1, ("A",))]


# --- Other people's EPL2


def test_what_cups_writes_is_read() -> None:
    row = b"\x7f" + b"\xff" * 8 + b"\xfe\n"
    data = b"\nN\nq80\nGW0,1,10,1\n" + row + b"GW0,2,10,1\n" + row + b"GW0,4,10,1\n" + row + b"P1\n"
    line = "#" + "." * 78 + "#"
    assert picture(data) == ["." * 80, line, line, "." * 80, line]


@pytest.mark.parametrize("data", [
    b'\nN\nq609\nA50,0,0,1,1,1,N,"Example"\nP1\n', b"N\r\nGW0,0,102,1218,\xff\xff", b"q832\nQ1218,24\nN\n",
    b"I8,A,001\n\n\nQ1218,024\nq863\nrN\nS4\nD8\nZT\nJF\nOD\nR24,0\nf100\nN\n", b"\nN\nq80\nGW0,10,10,1\n\x7f\xff",
    b'\r\nN\r\nB50,100,0,1,2,2,80,B,"12345"\r\nP1,1\r\n', b"; a note\nN\nLS1,1,1,1,1\nP1\n",
    b"\nN\nq812;four inches wide\nQ1218,26;six inches high\nA5,26,0,3,1,1,N,\"SKU\"\nP1,1\n",
])
def test_epl2_is_known_by_how_it_begins(data: bytes) -> None:
    assert LANGUAGE.sniff(data)


@pytest.mark.parametrize("data", [
    b"", b"\n\n", b"N", b"N\nothing\n", b"No\n", b"P1\n", b"A50\n", b"Quality\nq\n", b"%PDF-1.7\n", b"^XA^XZ", b"\x1b@",
    b"SIZE 4,6\nCLS\n", b"! 0 200 200 210 1\r\n", b"Dear Sir,\nN\nP\n",
])
def test_nothing_else_is_taken_for_epl2(data: bytes) -> None:
    assert not LANGUAGE.sniff(data)


def test_a_stream_made_to_be_slow_to_recognise_is_not() -> None:
    start = time.thread_time()
    for line in (b"S1\n\n\n", b"O\n", b"O;;;\n", b"A1,1,1,\n", b";\n", b"q1\n", b"  "):
        LANGUAGE.sniff(line * 100_000 + b"!")
    assert time.thread_time() - start < 5
