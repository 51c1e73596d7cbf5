"""The ZPL encoder: exact bytes for the hexadecimal form, an independent count for the choice between the two forms."""

from __future__ import annotations

import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.contracts import PLAIN, Bitmap, Media, Tuning
from devices.languages import zpl
from devices.readers.zpl import read

GOLDEN = Path(__file__).parent.parent / "golden"
START = b"^XA^MUD^JMA^LH0,0^PON^PMN^LRN"
DOT = Bitmap(1, 1, b"\x80")


def checkers(width: int, height: int, square: int) -> Bitmap:
    """Squares of `square` dots, black at the top left."""
    stride = (width + 7) // 8
    even = sum(1 << (stride * 8 - 1 - x) for x in range(width) if x // square % 2 == 0)
    odd = sum(1 << (stride * 8 - 1 - x) for x in range(width) if x // square % 2 == 1)
    rows = [odd if y // square % 2 else even for y in range(height)]
    return Bitmap(width, height, b"".join(row.to_bytes(stride, "big") for row in rows))


@st.composite
def bitmaps(draw: st.DrawFn, most_width: int = 70, most_height: int = 40) -> Bitmap:
    """Pages with the features the encoder minds: repeated and blank rows, runs of 0 and F, blank top and bottom."""
    width, height = draw(st.integers(1, most_width)), draw(st.integers(1, most_height))
    stride = (width + 7) // 8
    mask = ((1 << width) - 1) << (stride * 8 - width)
    row = st.one_of(
        st.just(bytes(stride)),
        st.just(b"\xff" * stride),
        st.binary(min_size=stride, max_size=stride),
        st.lists(st.sampled_from(b"\x00\xff\xf0\x0f\x11"), min_size=stride, max_size=stride).map(bytes),
    )
    few = draw(st.lists(row, min_size=1, max_size=4))
    rows = draw(st.lists(st.sampled_from(few), min_size=height, max_size=height))
    clean = [(int.from_bytes(line, "big") & mask).to_bytes(stride, "big") for line in rows]
    return Bitmap(width, height, b"".join(clean))


def plain_hexadecimal(rows: bytes, stride: int) -> bytes:
    """The guide's compression scheme, digit by digit and without a single shortcut."""
    lines = [rows[i : i + stride].hex().upper() for i in range(0, len(rows), stride)]
    text, above = "", ""
    for line in lines:
        runs = [(digit, len(list(same))) for digit, same in groupby(line)]
        fill = {"0": ",", "F": "!"}.get(line[-1], "")
        body = "".join(plain_run(digit, times) for digit, times in (runs[:-1] if fill else runs)) + fill
        text += ":" if line == above else body
        above = line
    return text.encode()


def plain_run(digit: str, times: int) -> str:
    """One run; 419 is the most that one repeat count says."""
    text = ""
    while times > 0:
        now = min(times, 419)
        count = " ghijklmnopqrstuvwxyz"[now // 20] + " GHIJKLMNOPQRSTUVWXY"[now % 20]
        text += digit * now if now < 3 else count.replace(" ", "") + digit
        times -= now
    return text


def test_one_black_dot() -> None:
    assert zpl.LANGUAGE.encode(DOT) == START + b"^PW1^LL1^FO0,0^GFA,1,1,1,8,^FS^XZ\n"


def test_copies_are_left_to_the_printer() -> None:
    assert zpl.LANGUAGE.encode(DOT, copies=3) == START + b"^PW1^LL1^FO0,0^GFA,1,1,1,8,^FS^PQ3^XZ\n"


@pytest.mark.parametrize("copies", [0, -1, 100_000_000])
def test_a_copies_count_that_pq_cannot_say_is_refused(copies: int) -> None:
    with pytest.raises(ValueError, match="99,999,999"):
        zpl.LANGUAGE.encode(DOT, copies=copies)


def test_the_largest_copies_count_is_written_in_full() -> None:
    assert b"^PQ99999999^XZ" in zpl.LANGUAGE.encode(DOT, copies=99_999_999)


def test_known_media_gives_the_size() -> None:
    assert zpl.LANGUAGE.encode(DOT, media=Media(203, 100, 150)).startswith(START + b"^PW799^LL1199^FO0,0")


def test_on_continuous_media_the_label_is_as_long_as_the_page() -> None:
    page = Bitmap(8, 5, b"\xff" * 5)
    assert zpl.LANGUAGE.encode(page, media=Media(203, 100)).startswith(START + b"^PW799^LL5^")


def test_a_blank_page_still_feeds_one_label() -> None:
    assert zpl.LANGUAGE.encode(Bitmap(20, 9, bytes(27))) == START + b"^PW20^LL9^FO0,0^GFA,1,1,1,00^FS^XZ\n"


def test_blank_rows_at_the_top_and_bottom_are_not_sent() -> None:
    page = Bitmap(16, 6, b"\0\0" * 3 + b"\0\x01" + b"\0\0" * 2)
    assert zpl.LANGUAGE.encode(page) == START + b"^PW16^LL6^FO0,3^GFA,2,2,2,I01^FS^XZ\n"


def test_rows_repeat_and_fill_in_the_guides_scheme() -> None:
    rows = bytes.fromhex("AA00" "AA00" "FFFF" "0000" "12AF" "00F1" "F000")
    assert zpl.hexadecimal(rows, 2, at_most=99) == b"AA,:!,12A!00F1F,"


@pytest.mark.parametrize(("times", "text"), [(1, b"A"), (2, b"AA"), (3, b"IA"), (19, b"YA"), (20, b"gA"), (41, b"hGA"),
                                             (400, b"zA"), (419, b"zYA"), (420, b"zYAA"), (838, b"zYAzYA")])
def test_repeat_counts_add_up(times: int, text: bytes) -> None:
    row = "A" * times + "B" + "1" * (times % 2 == 0)
    rows = bytes.fromhex(row)
    assert zpl.hexadecimal(rows, len(rows), at_most=999) == text + row[times:].encode()


def test_z64_is_base64_of_zlib_with_a_crc() -> None:
    text = zpl.z64(b"\xaa\x55")
    assert text.startswith(b":Z64:eN") and len(text.rpartition(b":")[2]) == 4


def test_noise_goes_as_z64_with_both_counts_the_bytes_of_the_picture() -> None:
    page = Bitmap(8, 256, bytes(i * i * 7 % 251 + 1 for i in range(256)))
    assert b"^GFA,256,256,1," in zpl.LANGUAGE.encode(page)


def test_what_another_label_left_behind_does_not_move_the_picture() -> None:
    """UPS's labels begin with ^LH10,12 and ^POI, which hold until they are taken back."""
    page, others = checkers(100, 60, 7), b"^XA^MUM^JMB^LH10,12^POI^PMY^LRY^FO5,5^GB9,9,9^FS^XZ\n"
    *_, label = read(others + zpl.LANGUAGE.encode(page))
    assert (label.bitmap, label.undrawn) == (page, ())


def test_nothing_persistent_is_ever_sent() -> None:
    out = zpl.LANGUAGE.encode(checkers(100, 60, 7), copies=2, media=Media(203, 50, 30))
    parts = out.removeprefix(START).split(b"^")[1:]
    assert [part[:2] for part in parts] == [b"PW", b"LL", b"FO", b"GF", b"FS", b"PQ", b"XZ"]
    assert b"~" not in out


@pytest.mark.parametrize(("tuning", "before", "within"), [
    (PLAIN, b"", b""),
    (Tuning(darkness=7), b"~SD07", b""), (Tuning(darkness=0), b"~SD00", b""), (Tuning(darkness=30), b"~SD30", b""),
    (Tuning(tear_off=0), b"~TA000", b""), (Tuning(tear_off=-5), b"~TA-05", b""), (Tuning(tear_off=120), b"~TA120", b""),
    (Tuning(tear_off=-120), b"~TA-120", b""), (Tuning(speed=4), b"", b"^PR4"), (Tuning(speed=14.0), b"", b"^PR14"),
    (Tuning(tracking="gap"), b"", b"^MNY"), (Tuning(tracking="mark"), b"", b"^MNM"),
    (Tuning(tracking="continuous"), b"", b"^MNN"), (Tuning(mode="tear-off"), b"", b"^MMT"),
    (Tuning(mode="peel-off"), b"", b"^MMP"), (Tuning(mode="rewind"), b"", b"^MMR"),
    (Tuning(mode="cutter"), b"", b"^MMC"), (Tuning(mode="applicator"), b"", b"^MMA"),
    (Tuning(darkness=15, speed=6, tracking="mark", tear_off=10, mode="cutter", gap_mm=3), b"~SD15~TA010",
     b"^MMC^MNM^PR6"),
    (Tuning(profile="generic", cut="full", cut_each="page", feed_mm=9, code_page="cp850"), b"", b""),
])
def test_only_what_is_asked_for_is_tuned(tuning: Tuning, before: bytes, within: bytes) -> None:
    plain = zpl.LANGUAGE.encode(DOT)
    assert zpl.LANGUAGE.encode(DOT, tuning=tuning) == before + START + within + plain.removeprefix(START)
    assert zpl.LANGUAGE.end_of("job", tuning) == b""
    [label] = read(zpl.LANGUAGE.encode(DOT, tuning=tuning))
    assert (label.bitmap, label.undrawn) == (DOT, ())


@pytest.mark.parametrize(("tuning", "why"), [
    (Tuning(darkness=31), "0 to 30 .~SD., not 31"), (Tuning(darkness=-1), "~SD"), (Tuning(speed=0), "1 to 14"),
    (Tuning(speed=2.5), "whole inches/s .*, not 2.5"), (Tuning(speed=15), r"\^PR"), (Tuning(tear_off=121), "~TA"),
    (Tuning(speed=float("nan")), "not nan"), (Tuning(speed=float("inf")), "not inf"),
    (Tuning(tear_off=-121), "-120 to 120 dots"),
])
def test_what_zpl_cannot_say_is_refused(tuning: Tuning, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        zpl.LANGUAGE.encode(DOT, tuning=tuning)


@pytest.mark.parametrize(("page", "media", "why"), [
    (Bitmap(1, 32_001, bytes(32_001)), None, r"32,000 dots long \(\^LL\), not 32,001"),
    (Bitmap(32_001, 1, bytes(4_001)), None, r"32,000 dots wide \(\^PW\), not 32,001"),
    (DOT, Media(203, 9_999), "wide"), (DOT, Media(203, 100, 9_999), "long"),
])
def test_a_label_longer_or_wider_than_zpl_can_say_is_refused(page: Bitmap, media: Media | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        zpl.LANGUAGE.encode(page, media=media)


def test_the_largest_label_that_zpl_can_say() -> None:
    assert b"^PW1^LL32000^" in zpl.LANGUAGE.encode(Bitmap(1, 32_000, bytes(32_000)))


@pytest.mark.parametrize(("name", "page", "copies"), [
    ("zpl-checkers", checkers(27, 6, 3), 1),
    ("zpl-bars", Bitmap(400, 4, (b"\xff" * 20 + bytes(30)) * 4), 25),
    ("zpl-blank", Bitmap(812, 1218, bytes(102 * 1218)), 1),
])
def test_golden_file(name: str, page: Bitmap, copies: int) -> None:
    assert zpl.LANGUAGE.encode(page, copies=copies) == (GOLDEN / f"{name}.zpl").read_bytes()


@settings(deadline=None, max_examples=400)
@given(bitmaps())
@example(Bitmap(8, 3, b"\0\xff\0"))
@example(Bitmap(3400, 2, (b"\xaa" * 424 + b"\x10") * 2))
def test_the_data_is_the_shorter_of_the_two_forms(page: Bitmap) -> None:
    plain, packed = plain_hexadecimal(page.rows, page.stride), zpl.z64(page.rows)
    assert zpl.graphic_data(page.rows, page.stride) == (plain if len(plain) <= len(packed) else packed)


@settings(deadline=None, max_examples=400)
@given(bitmaps(), st.integers(0, 3))
def test_hexadecimal_is_given_up_only_when_it_is_too_long(page: Bitmap, less: int) -> None:
    plain = plain_hexadecimal(page.rows, page.stride)
    found = zpl.hexadecimal(page.rows, page.stride, at_most=len(plain) - less)
    assert found == (None if less else plain)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.binary(min_size=3000, max_size=3000), min_size=1, max_size=3), st.lists(st.integers(0, 2)))
def test_rows_repeat_across_the_blocks_the_encoder_works_in(lines: list[bytes], order: list[int]) -> None:
    rows = b"".join(lines[i % len(lines)] for i in [0, *order])
    plain = plain_hexadecimal(rows, 3000)
    assert zpl.hexadecimal(rows, 3000, at_most=len(plain)) == plain


@settings(deadline=None, max_examples=300)
@given(bitmaps(), st.integers(1, 99_999_999))
@example(Bitmap(13, 9, bytes(18)), 1)
@example(Bitmap(13, 9, b"\xff\xf8" * 9), 1)
def test_what_is_written_reads_back_as_the_same_dots(page: Bitmap, copies: int) -> None:
    [label] = read(zpl.LANGUAGE.encode(page, copies=copies))
    assert (label.bitmap, label.copies, label.undrawn) == (page, copies, ())


def test_without_libdeflate_the_same_label_comes_out() -> None:
    script = (
        "import sys; sys.modules['deflate'] = None\n"
        "from devices.contracts import Bitmap\n"
        "from devices.languages.zpl import LANGUAGE\n"
        f"sys.stdout.buffer.write(LANGUAGE.encode(Bitmap(8, 2000, {b'Wk7a' * 500!r})))\n"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert b":Z64:" in out
    assert read(out)[0].bitmap == Bitmap(8, 2000, b"Wk7a" * 500)


@pytest.mark.parametrize("data", [
    b"^XA^FO50,50^A0N,30^FDHello^FS^XZ", b"\xef\xbb\xbf\r\n^XA", b"\0\0^xa^xz", b"^XA",
    b"CT~~CD,~CC^~CT~\r\n^XA~TA000~JSN^LT0^MNW^XZ", b"~DGR:LOGO.GRF,80,10,00", b"~DG000.GRF,01536,024,\r\n,:",
    b"^FX a comment^FS\n^XA^XZ", b"~JA", b"~HS\r\n", b"~SD15^XA^XZ", b"~HQES\r\n", b"${^XA^XZ}$",
    b'! U1 setvar "device.languages" "zpl"\r\n^XA^XZ', b"~CC^^XA",
])
def test_zpl_is_known_by_how_it_begins(data: bytes) -> None:
    assert zpl.LANGUAGE.sniff(data)


@pytest.mark.parametrize("data", [
    b"", b"%PDF-1.7\n^XA", b"\x89PNG\r\n\x1a\n", b"\nN\nq832\nP1\n", b"\x1b@\x1dv0", b"SIZE 4,6\r\nCLS\r\n",
    b"! 0 200 200 210 1\r\n", b'! U1 setvar "x" "y"\r\n', b"Print ^XA^XZ please", b'{"zpl": "^XA^XZ"}',
    b"<html>^XA</html>", b"^_^ nice", b"^XAVIER was here", b"~~~", b"~HI there", b"~/print.sh", b"^A^B^C",
    b"^FX no label",
])
def test_nothing_else_is_taken_for_zpl(data: bytes) -> None:
    assert not zpl.LANGUAGE.sniff(data)
