"""The TSPL encoder: exact bytes, what it refuses, and what reads back."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.contracts import PLAIN, Bitmap, Media, Tuning
from devices.languages import recognize
from devices.languages.tspl import LANGUAGE, quote
from devices.readers.tspl import read

GOLDEN = Path(__file__).parent.parent / "golden"
START = b"DIRECTION 0,0\r\nREFERENCE 0,0\r\nCLS\r\n"
DOT = Bitmap(1, 1, b"\x80")
LABEL = Media(203, 50, 30)


@st.composite
def pages(draw: st.DrawFn) -> Bitmap:
    """Pages with blank edges, and with the bytes that would be ESC and ! once white is 1."""
    width, height = draw(st.integers(1, 60)), draw(st.integers(1, 12))
    stride = (width + 7) // 8
    mask = ((1 << width) - 1) << (stride * 8 - width)
    bytes_ = st.sampled_from(b"\x00\x00\xff\xe4\xde\x81")
    row = st.one_of(st.just(bytes(stride)), st.lists(bytes_, min_size=stride, max_size=stride).map(bytes))
    rows = draw(st.lists(row, min_size=height, max_size=height))
    return Bitmap(width, height, b"".join((int.from_bytes(r, "big") & mask).to_bytes(stride, "big") for r in rows))


def test_what_another_label_left_behind_does_not_move_the_picture() -> None:
    others = b"SIZE 50 mm,30 mm\r\nDIRECTION 1,1\r\nREFERENCE 40,24\r\nCLS\r\nBAR 0,0,9,9\r\nPRINT 1\r\n"
    *_, label = read(others + LANGUAGE.encode(DOT, media=Media(203, 1, 1)))
    assert (label.bitmap, label.undrawn) == (Bitmap(8, 8, b"\x80" + bytes(7)), ())


def test_one_black_dot() -> None:
    assert LANGUAGE.encode(DOT) == START + b"BITMAP 0,0,1,1,0,\x7f\r\nPRINT 1,1\r\n"


def test_the_label_is_said_in_mm_and_copies_are_left_to_the_printer() -> None:
    out = LANGUAGE.encode(DOT, copies=25, media=Media(203, 101.6, 152.4))
    assert out == b"SIZE 101.6 mm,152.4 mm\r\n" + START + b"BITMAP 0,0,1,1,0,\x7f\r\nPRINT 1,25\r\n"


def test_on_continuous_media_the_label_is_as_long_as_the_page() -> None:
    page = Bitmap(8, 609, b"\xff" * 609)
    assert LANGUAGE.encode(page, media=Media(203, 50)).startswith(b"SIZE 50 mm,76.2 mm\r\n" + START)


def test_blank_rows_and_bytes_around_the_picture_are_not_sent() -> None:
    page = Bitmap(40, 5, bytes(5) + b"\0\0\x01\0\0" + b"\0\0\0\x80\0" + bytes(10))
    assert LANGUAGE.encode(page) == START + b"BITMAP 16,1,2,2,0,\xfe\xff\xff\x7f\r\nPRINT 1,1\r\n"


def test_white_between_two_lines_is_left_out_where_that_saves_bytes() -> None:
    page = Bitmap(64, 100, b"\xff" * 16 + bytes(8 * 97) + b"\xff" * 8)
    assert LANGUAGE.encode(page) == (
        START + b"BITMAP 0,0,8,2,0," + bytes(16) + b"\r\nBITMAP 0,99,8,1,0," + bytes(8) + b"\r\nPRINT 1,1\r\n"
    )


def test_a_blank_page_is_one_white_byte() -> None:
    assert LANGUAGE.encode(Bitmap(20, 9, bytes(27))) == START + b"BITMAP 0,0,1,1,0,\xff\r\nPRINT 1,1\r\n"


def test_the_dots_that_fill_up_a_row_are_white() -> None:
    assert b",0,\x03\r\n" in LANGUAGE.encode(Bitmap(6, 1, b"\xfc"))


def test_escape_commands_are_kept_out_of_pictures() -> None:
    page = Bitmap(32, 2, bytes(byte ^ 0xFF for byte in b"a\x1b!R!\x1b\x1b!"))
    assert LANGUAGE.encode(page) == (
        START + b"BITMAP 0,0,2,1,0,a\x1b\r\nBITMAP 16,0,2,1,0,!R\r\n"
        b"BITMAP 0,1,3,1,0,!\x1b\x1b\r\nBITMAP 24,1,1,1,0,!\r\nPRINT 1,1\r\n"
    )


def test_an_escape_at_the_end_of_a_row_does_not_meet_the_next_row() -> None:
    page = Bitmap(16, 3, bytes(byte ^ 0xFF for byte in b"a\x1b!Rbc"))
    assert LANGUAGE.encode(page) == START + b"BITMAP 0,0,2,1,0,a\x1b\r\nBITMAP 0,1,2,2,0,!Rbc\r\nPRINT 1,1\r\n"


@pytest.mark.parametrize("copies", [0, -1, 1_000_000_000])
def test_a_copies_count_that_print_cannot_say_is_refused(copies: int) -> None:
    with pytest.raises(ValueError, match="999,999,999"):
        LANGUAGE.encode(DOT, copies=copies)


def test_the_largest_copies_count_is_written_in_full() -> None:
    assert LANGUAGE.encode(DOT, copies=999_999_999).endswith(b"PRINT 1,999999999\r\n")


@pytest.mark.parametrize(("page", "media", "words"), [
    (Bitmap(401, 1, bytes(51)), LABEL, "401 dots wide, the label only 400"),
    (Bitmap(8, 241, bytes(241)), LABEL, "241 dots high, the label only 240"),
    (DOT, Media(203, 220, 30), "no TSPL printer is 220 mm wide"),
])
def test_what_does_not_fit_is_refused(page: Bitmap, media: Media, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LANGUAGE.encode(page, media=media)


def test_nothing_is_said_of_the_settings_unless_asked() -> None:
    names = re.findall(rb"^[A-Z]+", LANGUAGE.encode(DOT, copies=2, media=LABEL, tuning=PLAIN), re.MULTILINE)
    assert names == [b"SIZE", b"DIRECTION", b"REFERENCE", b"CLS", b"BITMAP", b"PRINT"]


@pytest.mark.parametrize(("tuning", "line"), [
    (Tuning(darkness=0), b"DENSITY 0"),
    (Tuning(darkness=15), b"DENSITY 15"),
    (Tuning(speed=4), b"SPEED 4"),
    (Tuning(speed=1.5), b"SPEED 1.5"),
    (Tuning(tracking="gap"), b"GAP 3 mm,0 mm"),
    (Tuning(tracking="gap", gap_mm=2.5), b"GAP 2.5 mm,0 mm"),
    (Tuning(tracking="mark", gap_mm=4), b"BLINE 4 mm,0 mm"),
    (Tuning(tracking="continuous"), b"GAP 0 mm,0 mm"),
    (Tuning(tear_off=-203), b"OFFSET -25.4 mm"),
    (Tuning(tear_off=8), b"OFFSET 1.001 mm"),
    (Tuning(mode="tear-off"), b"SET PEEL OFF\r\nSET CUTTER OFF\r\nSET TEAR ON"),
    (Tuning(mode="peel-off"), b"SET TEAR OFF\r\nSET CUTTER OFF\r\nSET PEEL ON"),
    (Tuning(mode="cutter"), b"SET TEAR OFF\r\nSET PEEL OFF\r\nSET CUTTER 1"),
    (Tuning(mode="rewind"), b"SET TEAR OFF\r\nSET PEEL OFF\r\nSET CUTTER OFF\r\nSET REWIND ON"),
])
def test_tuning_is_said_between_the_size_and_the_picture(tuning: Tuning, line: bytes) -> None:
    out = LANGUAGE.encode(DOT, media=LABEL, tuning=tuning)
    assert out == b"SIZE 50 mm,30 mm\r\n" + line + b"\r\n" + START + b"BITMAP 0,0,1,1,0,\x7f\r\nPRINT 1,1\r\n"


@pytest.mark.parametrize(("tuning", "words"), [
    (Tuning(darkness=16), "DENSITY takes 0 to 15, not 16"),
    (Tuning(darkness=-1), "DENSITY takes 0 to 15, not -1"),
    (Tuning(speed=0), "SPEED takes 1 to 18, not 0"),
    (Tuning(tracking="gap", gap_mm=26), "GAP takes 0 to 25.4, not 26"),
    (Tuning(tracking="mark", gap_mm=-1), "BLINE takes 0 to 25.4, not -1"),
    (Tuning(tear_off=204), "OFFSET takes -25.4 to 25.4, not 25.5"),
    (Tuning(mode="applicator"), "no 'applicator' mode; it has tear-off"),
])
def test_tuning_that_tspl_has_no_word_for_is_refused(tuning: Tuning, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LANGUAGE.encode(DOT, media=LABEL, tuning=tuning)


def test_an_offset_in_dots_needs_a_resolution() -> None:
    with pytest.raises(ValueError, match="resolution have to be known"):
        LANGUAGE.encode(DOT, tuning=Tuning(tear_off=3))


@pytest.mark.parametrize("what", ["page", "copy", "job"])
def test_nothing_follows_a_page(what: str) -> None:
    assert LANGUAGE.end_of(what, Tuning(mode="cutter"), LABEL) == b""  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "page", "copies", "media"), [
    ("tspl-steps", Bitmap(27, 6, bytes.fromhex("00000000 00ff0000 00ff8000 00ffc000 00ffe000 00000000")), 1, LABEL),
    ("tspl-bars", Bitmap(400, 4, (b"\xff" * 20 + bytes(30)) * 4), 25, LABEL),
    ("tspl-blank", Bitmap(812, 1218, bytes(102 * 1218)), 1, Media(203, 101.6, 152.4)),
])
def test_golden_file(name: str, page: Bitmap, copies: int, media: Media) -> None:
    assert LANGUAGE.encode(page, copies=copies, media=media) == (GOLDEN / f"{name}.tspl").read_bytes()


@settings(deadline=None, max_examples=400)
@given(pages(), st.integers(1, 999_999_999))
@example(Bitmap(13, 9, bytes(18)), 1)
@example(Bitmap(8, 4, b"\xe4\xde\xe4\xde"), 1)
def test_what_is_written_reads_back_as_the_same_dots(page: Bitmap, copies: int) -> None:
    media = Media(203, page.width * 25.4 / 203, page.height * 25.4 / 203)
    out = LANGUAGE.encode(page, copies=copies, media=media)
    [label] = read(out)
    assert (label.bitmap, label.copies, label.undrawn) == (page, copies, ())
    assert b"\x1b!" not in out


@pytest.mark.parametrize("dpi", [203, 300, 600])
def test_a_page_as_large_as_its_label_reads_back_at_each_resolution(dpi: int) -> None:
    media = Media(dpi, 50, 30)
    assert media.height is not None
    page = Bitmap(media.width, media.height, b"\xff" * (media.width // 8) * media.height if media.width % 8 == 0 else
                  (b"\xff" * (media.width // 8) + b"\x80") * media.height)  # fmt: skip
    [label] = read(LANGUAGE.encode(page, media=media))
    assert label.bitmap is not None
    assert (label.bitmap.width, label.bitmap.height) == (page.width, page.height)


def test_a_page_of_noise_reads_back() -> None:
    page = Bitmap(816, 1218, random.Random(7).randbytes(102 * 1218))
    out = LANGUAGE.encode(page, media=Media(203, 102.1, 152.4))
    assert read(out)[0].bitmap == page and b"\x1b!" not in out


HOSTILE = [
    'a"', '""', '\\["]', '"\r\nKILL "*"\r\n', 'x\rSELFTEST\r', "\x1b!R", "\0", "\x7f\x00\x01\x1f", '\\', '["]', "\x85 ",
    'a";b', '\\["', "ü€漢", "~!D", '"\n"', "\x1b", 'q\\["]"\\["]', "" , "@1", "\r\n" * 50,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("code_page", ["utf-8", "cp1252", "cp437", "ascii"])
def test_quoted_text_stays_within_its_quotes(text: str, code_page: str) -> None:
    quoted = quote(text, code_page)
    assert quoted[:1] == quoted[-1:] == b'"'
    inside = quoted[1:-1].replace(b'\\["]', b"")
    assert b'"' not in inside
    assert not [byte for byte in inside if byte < 0x20 or byte == 0x7F]


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_any_quoted_text_is_one_command(text: str) -> None:
    from devices.commands.tspl import new

    line = b'TEXT 10,10,"3",0,1,1,' + quote(text) + b"\r\nPRINT 1\r\n"
    scanner = new()
    assert [command.name for command in scanner.feed(line) + scanner.end()] == ["TEXT", "PRINT"]
    assert scanner.ending() == b""


def test_plain_text_is_only_put_in_quotes() -> None:
    assert quote("Größe 5", "cp1252") == b'"Gr\xf6\xdfe 5"'
    assert quote('5" disk') == b'"5\\["] disk"'
    assert quote("漢", "cp1252") == b'"?"'


def test_an_unknown_code_page_is_refused() -> None:
    with pytest.raises(ValueError, match="'klingon' is no code page"):
        quote("x", "klingon")


STREAMS = [
    b"SIZE 4,6\r\nGAP 0.12,0\r\nCLS\r\n",
    b"\r\nSIZE 100 mm, 150 mm\r\n",
    b"SIZE 57 mm\n",
    b"SIZE 800 dot,1200 dot\r\n",
    b"CLS\r\nTEXT 10,10,\"3\",0,1,1,\"hi\"\r\nPRINT 1\r\n",
    b"DIRECTION 1\nREFERENCE 0,0\n",
    b"CLS\r\nBITMAP 0,0,1,1,0,\xff\r\nPRINT 1,1\r\n",
]


@pytest.mark.parametrize("data", STREAMS)
def test_tspl_is_known_by_how_it_begins(data: bytes) -> None:
    assert LANGUAGE.sniff(data) and recognize(data) == "tspl"


@pytest.mark.parametrize("data", [
    b"SIZE matters\n", b"SIZE 10 shoes\n", b"CLS\n", b"Dear Sir,\nplease PRINT 1 copy\n", b"TEXT 1,2\n", b"^XA^XZ",
    "Größe 4,6\n".encode(), b"N\nq832\n", b"\x1b@", b"! 0 200 200 210 1\r\n", b"1,2,3\n4,5,6\n",
])
def test_nothing_else_is_taken_for_tspl(data: bytes) -> None:
    assert not LANGUAGE.sniff(data)


@pytest.mark.parametrize("line", [b"SET A\n", b"S1\n\n\n", b"  ", b"SIZE 1", b"GAP 1"])
def test_a_stream_made_to_be_slow_is_not(line: bytes) -> None:
    start = time.thread_time()
    LANGUAGE.sniff(line * 100_000 + b"!")
    assert time.thread_time() - start < 5
