"""The ESC/POS encoder and the printer profiles: exact bytes, strips without gaps, cuts, and dots that read back."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.contracts import Bitmap, Media, Tuning
from devices.languages import escpos, recognize
from devices.profiles import EPSON_PAGES, PROFILES, profile
from devices.readers._escpos_stream import Stream
from devices.readers.escpos import read
from tests.devices.test_zpl import bitmaps, checkers

GOLDEN = Path(__file__).parent.parent / "golden"
LANGUAGE = escpos.LANGUAGE
DOT = Bitmap(1, 1, b"\x80")
RASTERS = {"gs-v-0": "default", "gs-v-0 with margins": "tm-t20", "gs-paren-l": "tm-m30", "esc-star": "generic-esc-star"}
NOISE = Bitmap(576, 700, random.Random(5).randbytes(72 * 700))


def receipt(width: int = 576, height: int = 2000) -> Bitmap:
    """Lines as on a receipt: letters 17 dots high, 17 white rows; every third line has something on the right too."""
    rng, rows = random.Random(7), []
    for line in range(height // 34 + 1):
        used = width // 8 if line % 3 == 0 else rng.randrange(10, 40)
        rows += [bytes(width // 8)] * 17
        rows += [(rng.randbytes(used - 1) + b"\1").ljust(width // 8, b"\0") for _ in range(17)]
    return Bitmap(width, height, b"".join(rows[:height]))


def test_one_black_dot() -> None:
    assert LANGUAGE.encode(DOT) == b"\x1b@\x1dv0\0\1\0\1\0\x80"


def test_one_black_dot_in_graphics_commands() -> None:
    out = LANGUAGE.encode(DOT, tuning=Tuning(profile="tm-m30"))
    assert out == b"\x1b@\x1d(L\x0b\x000p0\1\x011\x08\0\1\0\x80\x1d(L\2\x0002"


def test_one_black_dot_in_columns_of_24() -> None:
    out = LANGUAGE.encode(DOT, tuning=Tuning(profile="generic-esc-star"))
    assert out == b"\x1b@\x1b3\x18\x1b*!\1\0\x80\0\0\n"


def test_copies_are_the_same_page_again() -> None:
    assert LANGUAGE.encode(DOT, copies=3) == LANGUAGE.encode(DOT) * 3


def test_white_paper_on_the_right_and_between_is_not_sent() -> None:
    page = Bitmap(576, 300, (b"\xff" * 72 + bytes(72 * 149)) * 2)
    assert LANGUAGE.encode(page) == (b"\x1b@\x1dv0\0\x48\0\1\0" + b"\xff" * 72 + b"\x1dv0\0\1\0\x95\0" + bytes(149)) + (
        b"\x1dv0\0\x48\0\1\0" + b"\xff" * 72 + b"\x1dv0\0\1\0\x95\0" + bytes(149)
    )


def test_strips_are_never_higher_than_the_profile_says() -> None:
    for name, most in (("default", 256), ("generic-58", 128)):
        out = LANGUAGE.encode(Bitmap(384, 700, b"\xff" * 48 * 700), tuning=Tuning(profile=name))
        heights = [int.from_bytes(head, "little") for head in re.findall(rb"\x1dv0\0\x30\0(..)", out, re.DOTALL)]
        assert sum(heights) == 700 and max(heights) == most


def test_white_paper_at_the_left_is_left_out_where_the_printer_is_known_to_move_pictures() -> None:
    page = Bitmap(512, 42, (bytes(52) + b"\xff" * 12) * 14 + bytes(64 * 14) + (b"\xff" * 40 + bytes(24)) * 14)
    white, low = b"\x1dv0\0\1\0\x0e\0" + bytes(14), b"\x1dv0\0\x28\0\x0e\0" + b"\xff" * 560
    whole = b"\x1dv0\0\x40\0\x0e\0" + (bytes(52) + b"\xff" * 12) * 14
    moved = b"\x1dL\xa0\1" + b"\x1dv0\0\x0c\0\x0e\0" + b"\xff" * 168 + white + b"\x1dL\0\0"
    assert LANGUAGE.encode(page) == b"\x1b@" + whole + white + low
    assert LANGUAGE.encode(page, tuning=Tuning(profile="tm-t20")) == b"\x1b@" + moved + low
    assert LANGUAGE.encode(page, tuning=Tuning(profile="tm-t88")) == b"\x1b@" + moved + low


def test_the_margin_is_back_at_the_edge_when_the_page_is_over() -> None:
    page = Bitmap(512, 20, (bytes(60) + b"\xff" * 4) * 20)
    assert LANGUAGE.encode(page, tuning=Tuning(profile="tm-t88")).endswith(b"\x1dL\0\0")


@pytest.mark.parametrize("name", ["default", "generic-80", "generic-58", "star-escpos", "srp-350", "ct-s310"])
def test_printers_that_may_be_clones_get_nothing_but_rasters(name: str) -> None:
    data = LANGUAGE.encode(receipt(384), tuning=Tuning(profile=name))
    tokens = Stream(keep=8).feed(data)
    assert {token.name for token in tokens} == {"ESC @", "GS v 0"}
    assert {token.number(0, 1) for token in tokens[1:]} == {0}  # at its own size


def test_a_page_wider_than_the_head_is_refused_with_both_widths() -> None:
    with pytest.raises(ValueError, match=r"640 dots wide.*'generic-58' has 384 \(48 mm at 203 dpi\)"):
        LANGUAGE.encode(Bitmap(640, 1, bytes(80)), tuning=Tuning(profile="generic-58"))


def test_an_unknown_profile_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="'tm-99', only default, .*tm-t88"):
        LANGUAGE.encode(DOT, tuning=Tuning(profile="tm-99"))


@pytest.mark.parametrize("trick", [b"\x10\x14\1\0\5", b"\x10\x14\1\1\x08", b"\x10\x14\2\1\x08",
                                   b"\x10\x14\x08\1\3\x14\1\6\2\x08"])  # fmt: skip
@pytest.mark.parametrize("name", RASTERS.values())
@pytest.mark.parametrize("spread", [1, 2, 3, 5])
def test_no_picture_opens_the_drawer_or_turns_the_printer_off(trick: bytes, name: str, spread: int) -> None:
    stride = max(spread, 3) if spread < 5 else len(trick)
    rows = (trick * 50)[: len(trick) * 50 // stride * stride]
    out = LANGUAGE.encode(Bitmap(stride * 8, len(rows) // stride, rows), tuning=Tuning(profile=name))
    assert trick not in out


def test_a_row_cut_short_makes_no_command_with_the_next() -> None:
    page = Bitmap(24, 2, b"\xff\x10\0" + b"\x14\1\0")
    assert b"\x10\x14" in LANGUAGE.encode(page)  # harmless: no pin and no time follow
    page = Bitmap(48, 2, b"\1\1\1\1\x10\0" + b"\x14\1\0\5\xff\0")
    assert b"\x10\x14\1\0\5" not in LANGUAGE.encode(page)


@pytest.mark.parametrize(("tuning", "end"), [
    (Tuning(), b"\x1dVB\0"),
    (Tuning(cut="full"), b"\x1dVA\0"),
    (Tuning(cut="full", feed_mm=1), b"\x1dv0\0\1\0\x08\0" + bytes(8) + b"\x1dV\0"),
    (Tuning(cut="partial", feed_mm=0), b"\x1dV\1"),
    (Tuning(cut="none", feed_mm=0), b""),
    (Tuning(profile="generic-58", feed_mm=1), b"\x1dv0\0\1\0\x08\0" + bytes(8)),
    (Tuning(profile="generic-58"), b"\x1dv0\0\1\0\x50\0" + bytes(80)),
    (Tuning(profile="generic-58", cut="partial"), b"\x1dVB\0"),
    (Tuning(profile="generic-esc-star", feed_mm=3), b"\x1b3\x18\x1b*!\1\0\0\0\0\n\x1bm"),
    (Tuning(profile="generic-esc-star", cut="full", feed_mm=0), b"\x1bi"),
    (Tuning(profile="tm-t88", cut="full", feed_mm=10), b"\x1dv0\0\1\0\x47\0" + bytes(71) + b"\x1dV\0"),
])  # fmt: skip
def test_the_end_of_a_copy_feeds_and_cuts(tuning: Tuning, end: bytes) -> None:
    assert LANGUAGE.end_of("copy", tuning) == end
    assert LANGUAGE.end_of("page", tuning) == LANGUAGE.end_of("job", tuning) == b""


@pytest.mark.parametrize("what", ["page", "copy", "job"])
def test_it_cuts_where_it_is_told_to(what: str) -> None:
    ends = [LANGUAGE.end_of(each, Tuning(cut_each=what)) for each in ("page", "copy", "job")]  # type: ignore[arg-type]
    assert sum(map(bool, ends)) == 1 and ends[("page", "copy", "job").index(what)] == b"\x1dVB\0"


def test_the_feed_is_counted_in_the_dots_of_the_paper_loaded() -> None:
    assert len(LANGUAGE.end_of("copy", Tuning(feed_mm=25.4, cut="none"), Media(300, 72))) == 300 + 2 * 8


@pytest.mark.parametrize(("name", "page", "tuning"), [
    ("escpos-checkers", checkers(100, 60, 5), Tuning()),
    ("escpos-checkers-graphics", checkers(100, 60, 5), Tuning(profile="tm-m30")),
    ("escpos-checkers-columns", checkers(100, 60, 5), Tuning(profile="generic-esc-star")),
    ("escpos-bars", Bitmap(384, 300, (b"\xff\0" * 24 * 4 + bytes(48 * 71)) * 4), Tuning(profile="generic-58")),
])  # fmt: skip
def test_golden_file(name: str, page: Bitmap, tuning: Tuning) -> None:
    out = LANGUAGE.encode(page, tuning=tuning) + LANGUAGE.end_of("copy", tuning)
    assert out == (GOLDEN / f"{name}.bin").read_bytes()


def reads_back(page: Bitmap, name: str) -> None:
    """The same dots; columns of 24 fill the page up to a multiple of 24 rows."""
    printer = profile(name)
    [label] = read(LANGUAGE.encode(page, tuning=Tuning(profile=name)), dots=page.width)
    height = -(-page.height // 24) * 24 if printer.raster == "esc-star" else page.height
    assert label.undrawn == () and label.copies == 1
    assert label.bitmap == Bitmap(page.width, height, page.rows.ljust(height * page.stride, b"\0"))


PICTURES = {
    "dot": DOT,
    "odd width": checkers(101, 77, 3),
    "black": Bitmap(384, 1000, b"\xff" * 48 * 1000),
    "noise": Bitmap(384, 300, random.Random(1).randbytes(48 * 300)),
    "tall": Bitmap(8, 9000, b"\x18" * 9000),
    "blank": Bitmap(100, 100, bytes(1300)),
    "one dot far down": Bitmap(384, 2000, bytes(48 * 2000 - 1) + b"\1"),
    "receipt": receipt(384, 900),
}


@pytest.mark.parametrize("name", RASTERS.values())
@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_reads_back_in_every_raster_command(picture: str, name: str) -> None:
    reads_back(PICTURES[picture], name)


@pytest.mark.parametrize("name", PROFILES)
def test_the_widest_page_of_every_profile_reads_back(name: str) -> None:
    width = profile(name).dots
    reads_back(Bitmap(width, 50, random.Random(2).randbytes(width // 8 * 50)), name)


@settings(deadline=None, max_examples=150)
@given(bitmaps(), st.sampled_from(sorted(RASTERS.values())))
@example(Bitmap(13, 9, bytes(18)), "default")
@example(Bitmap(13, 9, b"\xff\xf8" * 9), "default")
def test_what_is_written_reads_back_as_the_same_dots(page: Bitmap, name: str) -> None:
    reads_back(page, name)


def test_a_receipt_is_a_third_of_its_dots_and_quick() -> None:
    page = receipt()
    best, out = 1.0, b""
    for _ in range(10):
        start = time.thread_time()
        out = LANGUAGE.encode(page)
        best = min(best, time.thread_time() - start)
    assert len(out) < len(page.rows) // 3
    assert best < 0.013  # 1 ms on an ordinary computer


def test_noise_costs_hardly_more_than_its_dots() -> None:
    assert len(LANGUAGE.encode(NOISE)) < len(NOISE.rows) + 100


@pytest.mark.parametrize("data", [
    b"\x1b@Hello\n", b"\x1bt\x10\x1b!\x00Total", b"\x1ba\x01\x1dv0\x00", b"\x1dv0\x00\x30\x00\x10\x00",
    b"\x1d(k\x04\x001A2\x00", b"\x10\x04\x01", b"\n\n\x1b@", b"\x1d8L\0\0\1\0", b"\0\0\x1b@\x1dv0\0",
])  # fmt: skip
def test_receipts_are_known_by_how_they_begin(data: bytes) -> None:
    assert LANGUAGE.sniff(data)
    assert recognize(data) == "escpos"


@pytest.mark.parametrize("data", [
    b"", b"%PDF-1.7\n\x1b@", b"\x1b*rA\x1b*rP0\x00", b"\x1b@\x1b*rR", bytes(200) + b"\x1b@\x1bia\x01\x1biz",
    b"\x1bE\x1b&l1X", b"\x1b[31mred", b"\x1b", b"\x1d", b"hello \x1b@", b"\x02\x1bA\x1bH0100", b"\x1b%-12345X@PJL",
    b"\x1bia\x01",
])  # fmt: skip
def test_nothing_else_is_taken_for_a_receipt(data: bytes) -> None:
    assert not LANGUAGE.sniff(data)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_can_be_true(name: str) -> None:
    printer = PROFILES[name]
    assert printer.name == name and printer.dots % 8 == 0 and 300 <= printer.dots <= 832
    assert 40 <= printer.dots / printer.dpi * 25.4 <= 110
    assert 24 <= printer.strip_rows <= 256 and set(printer.drawer) <= {2, 5} and printer.drawer
    for codec in printer.code_pages.values():
        assert "€ABC".encode(codec, "ignore")
    assert printer.columns == printer.dots // 12


def test_the_profile_without_a_name_is_an_80_mm_printer_with_a_cutter() -> None:
    assert profile(None) is PROFILES["default"] and profile(None).dots == 576 and profile(None).cut != "none"


@pytest.mark.parametrize(("asked", "number"), [
    ("cp858", 19), ("CP858", 19), ("858", 19), ("windows-1252", 16), ("cp1252", 16), ("iso8859_15", 40),
    ("ISO-8859-15", 40), ("cp99", None),
])  # fmt: skip
def test_a_code_page_is_found_by_the_names_people_give_it(asked: str, number: int | None) -> None:
    assert profile("tm-t88").page_number(asked) == number


def test_the_euro_is_where_epson_has_it() -> None:
    assert b"\xd5".decode(EPSON_PAGES[19]) == b"\x80".decode(EPSON_PAGES[16]) == "€"
