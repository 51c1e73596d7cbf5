"""Receipts as bytes: what is refused, which letters the printer prints itself, and that no value becomes a command."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from devices.commands import Command, Harm, commands
from devices.contracts import Bitmap, Media, Tuning
from devices.profiles import PROFILES, Profile, profile
from devices.readers.escpos import read
from devices.receipts import MAX_LINES, Printed, render
from devices.receipts_codes import drawn_barcode, drawn_qr, printed_dots
from devices.receipts_elements import (
    BadReceipt,
    BarcodeElement,
    QrElement,
    check_digit,
    cuts_itself,
    elements,
    opens_drawer,
    parse,
    plain_text,
)
from devices.receipts_layout import clean, span, wrap

ROOT = Path(__file__).resolve().parents[2]
DRAWER = {"drawer": {"pin": 2, "on_ms": 50, "off_ms": 250}}


class Pen:
    """Draws every text as one block of ink, ten dots for a character; knows no character of the private use area."""

    def draws(self, character: str) -> bool:
        return not "\ue000" <= character <= "\uf8ff"

    def line(self, text: str, *, size: int, height: int, most: int, bold: bool = False) -> Bitmap:
        width = min(most, 10 * len(text))
        return Bitmap(width, height, ((1 << width) - 1 << -width % 8).to_bytes((width + 7) // 8) * height)

    def picture(self, data: bytes, *, most: int, width: int | None, dither: bool) -> Bitmap:
        if data != b"picture":
            raise ValueError("the document cannot be read as JPEG")
        return self.line("picture", size=24, height=16, most=width or most)


def printed(
    *raw: dict[str, Any], on: Profile | str = "default", media: Media | None = None, tuning: Tuning | None = None
) -> Printed:
    printer = profile(on) if isinstance(on, str) else on
    return render(elements(list(raw)), printer, media=media, tuning=tuning or Tuning(), pen=Pen())


def text_of(data: bytes, on: str = "default") -> list[str]:
    """The lines that are printed in the printer's own letters, by the code page that is set for each."""
    pages, at, line, lines = profile(on).code_pages, 0, "", list[str]()
    page = "ascii"
    skipped = {b"\x1b@": 2, b"\x1c.": 2, b"\x1d!": 3, b"\x1bE": 3, b"\x1b-": 3, b"\x1bM": 3, b"\x1ba": 3,
               b"\x1dB": 3, b"\x1dW": 4, b"\x1dV": 4, b"\x1bp": 5}  # fmt: skip
    while at < len(data):
        head = data[at : at + 2]
        if head == b"\x1bt":
            page = pages[data[at + 2]]
            at += 3
        elif head == b"\x1dv":
            at += 8 + int.from_bytes(data[at + 4 : at + 6], "little") * int.from_bytes(data[at + 6 : at + 8], "little")
        elif head in skipped:
            at += skipped[head]
        elif data[at] == 10:
            lines.append(line)
            line, at = "", at + 1
        else:
            assert data[at] >= 32, f"{data[at : at + 8]!r} at {at}"
            line, at = line + data[at : at + 1].decode(page), at + 1
    return lines


def stream(data: bytes) -> list[Command]:
    return list(commands("escpos", [data]))


# ---- what a receipt may be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "field", "text"),
    [
        ({"receipt": []}, "receipt", "0 elements"),
        ({"receipt": [{"feed": 1}] * 2001}, "receipt", "2,001 elements, possible are 1 to 2,000"),
        ({"receipt": "x"}, "receipt", "a list of elements"),
        ({"receipt": [{"text": "x"}], "cut": True}, "", "unknown key 'cut'"),
        ({}, "", "no list of elements"),
        ([{"text": "a"}, 7], "2", "element 2: an element is an object, not '7'"),
        ([{"bold": True}], "1", "element 1: has none of text, columns,"),
        ([{"text": "a", "qr": "b"}], "1", "element 1: has text and qr"),
        ([{"text": "a", "color": "red"}], "1.color", "element 1: unknown key 'color'"),
        ([{"text": 7}], "1.text", "text: input should be a valid string"),
        ([{"text": "a", "bold": 1}], "1.bold", "bold: input should be a valid boolean"),
        ([{"text": "a", "size": 9}], "1.size", "size: input should be less than or equal to 8"),
        ([{"text": "a", "align": "middle"}], "1.align", "'left', 'center' or 'right'"),
        ([{"text": "a" * 10_001}], "1.text", "at most 10000 characters"),
        ([{"columns": []}], "1.columns", "at least 1 item"),
        ([{"columns": ["a", 2]}], "1.columns.1", "columns.1: input should be a valid string"),
        ([{"columns": ["a", "b"], "widths": [3]}], "1", "widths has 1 entries, columns has 2"),
        ([{"line": "=="}], "1.line", "must be true or one character"),
        ([{"line": False}], "1.line", "must be true or one character"),
        ([{"line": 1}], "1.line", "line: must be true or one character"),
        ([{"drawer": 2}], "1.drawer", "drawer: must be an object"),
        ([{"text": "\ud83d"}], "1.text", "text: input should be a valid string"),
        ([{"image_base64": "&&&&"}], "1.image_base64", "is not base64"),
        ([{"barcode": "4006381333930", "type": "ean13"}], "1", "check digit of 4006381333930 should be 1"),
        ([{"barcode": "40063", "type": "ean13"}], "1", "ean13 takes 12 digits"),
        ([{"barcode": "123456789012\n", "type": "ean13"}], "1", "not '123456789012\\n'"),
        ([{"barcode": "Grün"}], "1", "printable ASCII"),
        ([{"barcode": "A\x1d", "type": "code128"}], "1", "printable ASCII"),
        ([{"qr": "\x10\x14\x01\x00\x05"}], "1", "contains U+0010"),
        ([{"qr": "x" * 1664, "level": "Q"}], "1", "has 1,664 bytes, a QR code of level Q has room for 1,663"),
        ([{"feed": 51}], "1.feed", "less than or equal to 50"),
        ([{"cut": True}], "1.cut", "'auto', 'partial' or 'full'"),
        ([{"drawer": {"pin": 3}}], "1.drawer.pin", "input should be 2 or 5"),
        ([{"drawer": {"pin": 2, "on_ms": 51}}], "1.drawer.on_ms", "multiple of 2"),
        ([{"drawer": {"pin": 2, "on_ms": 300}}], "1.drawer", "must not be shorter"),
        ([{"drawer": {"pun": 2}}], "1.drawer", "unknown key 'pun'"),
        ([DRAWER] * 3, "receipt", "3 elements 'drawer', at most 2"),
    ],
)
def test_what_is_no_receipt_is_refused_by_element_and_field(raw: object, field: str, text: str) -> None:
    with pytest.raises(BadReceipt) as caught:
        parse(json.dumps(raw).encode())
    assert text in str(caught.value)
    assert caught.value.field == field


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"receipt": [' + b"{}," * 9 + b"{}]"])
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadReceipt):
        parse(data)


WORDS = ["text", "columns", "line", "qr", "cut", "drawer", "barcode", "image_base64", "feed", "pin"]
VALUES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS), inner)))
@settings(max_examples=60, deadline=None)
def test_whatever_is_sent_is_a_receipt_or_refused(raw: object) -> None:
    try:
        found = parse(json.dumps(raw).encode())
    except BadReceipt as error:
        assert str(error)
    else:
        assert found


def test_it_is_known_beforehand_whether_a_receipt_opens_the_drawer_or_cuts() -> None:
    plain, drawer, cut = ([{"text": "a"}], [{"text": "a"}, DRAWER], [{"cut": "full"}])
    assert [opens_drawer(elements(each)) for each in (plain, drawer, cut)] == [False, True, False]
    assert [cuts_itself(elements(each)) for each in (plain, drawer, cut)] == [False, False, True]


def test_check_digits_are_those_of_the_standard() -> None:
    assert [check_digit(each) for each in ("400638133393", "9638507", "03600029145")] == ["1", "4", "2"]


# ---- text -----------------------------------------------------------------------------------------------------


def test_text_is_printed_in_the_printers_own_letters() -> None:
    out = printed({"text": "Café 3,50 €"}).data
    assert out.startswith(b"\x1b@\x1c.")
    assert b"Caf\x82 3,50 " in out, "é is 0x82 in code page 437, which is ESC t 0"
    assert b"\x1bt\x10\x80" in out, "the euro is 0x80 in Windows-1252, which is ESC t 16"
    assert text_of(out) == ["Café 3,50 €"]


@pytest.mark.parametrize("name", [each.name for each in PROFILES.values() if each.raster == "gs-v-0"])
@given(st.text(st.characters(codec="cp1252", exclude_categories=["C"]), max_size=30))
@settings(max_examples=15, deadline=None)
def test_what_the_printer_prints_is_what_was_sent(name: str, text: str) -> None:
    out = printed({"text": f"x{text}x"}, on=name)
    assert out.drawn or text_of(out.data, name) == wrap(clean(f"x{text}x"), profile(name).columns)


def test_a_code_page_can_be_chosen() -> None:
    only = printed({"text": "Ł"}, tuning=Tuning(code_page="CP852"))
    assert only.data.endswith(b"\x1bt\x12\x9d\n")
    assert printed({"text": "Я"}, tuning=Tuning(code_page="cp852")).drawn == 1
    with pytest.raises(BadReceipt, match="no code page 'cp1'"):
        printed({"text": "a"}, tuning=Tuning(code_page="cp1"))


@pytest.mark.parametrize("text", ["שלום", "سلام", "你好", "สวัสดี", "☕", "x שלום", "e\u0332", "\u200fabc"])
def test_a_line_beyond_the_printers_letters_is_drawn_as_a_whole(text: str) -> None:
    out = printed({"text": "plain"}, {"text": text}, {"text": "again"}, on="tm-t88")
    assert out.drawn == 1
    assert [each.name for each in stream(out.data) if each.name == "GS v 0"]
    assert text_of(out.data, "tm-t88") == ["plain", "again"]
    assert out.note == ""


def test_one_glyph_that_nobody_has_is_named_and_never_lost() -> None:
    out = printed({"text": "logo \ue000\uf8ff"})
    assert "U+E000, U+F8FF" in out.note
    assert out.drawn == 1


def test_long_text_is_broken_at_spaces() -> None:
    out = printed({"text": "the quick brown fox jumps over the lazy dog and runs away"}, on="generic-58")
    assert text_of(out.data, "generic-58") == ["the quick brown fox jumps over", "the lazy dog and runs away"]
    assert text_of(printed({"text": "x" * 40}, on="generic-58").data, "generic-58") == ["x" * 32, "x" * 8]
    assert text_of(printed({"text": "a b", "size": 8}, on="generic-58").data, "generic-58") == ["a b"]


@given(st.text(max_size=200), st.integers(1, 60))
def test_no_line_is_wider_than_the_paper_and_no_letter_is_lost(text: str, width: int) -> None:
    lines = wrap(clean(text), width)
    assert all(span(line) <= width or len(line.strip()) <= 2 for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean(text).split())


def test_narrow_paper_makes_short_lines() -> None:
    out = printed({"line": True}, media=Media(203, 48))
    assert b"\x1dW\x80\x01" in out.data, "GS W 384"
    assert text_of(out.data) == ["─" * 32]


def test_columns_stand_beside_each_other() -> None:
    out = printed(
        {"columns": ["Coffee", "2.50"]},
        {"columns": ["A name that is too long for one line", "1", "2.50"]},
        {"columns": ["a", "b", "c"], "widths": [4, 5, 6], "aligns": ["right", "center", "left"]},
        on="generic-58",
    )
    assert text_of(out.data, "generic-58") == [
        "Coffee                      2.50",
        "A name that is too long   1 2.50",
        "for one line",
        "   a   b   c",
    ]
    with pytest.raises(BadReceipt, match="element 1: columns: they need 41 characters with a space between"):
        printed({"columns": ["a", "b"], "widths": [20, 20]}, on="generic-58")


def test_a_style_lasts_for_its_own_element() -> None:
    out = printed({"text": "a", "bold": True, "size": 2, "align": "center"}, {"text": "b"}).data
    assert out.endswith(b"\x1bt\0a\n\x1d!\0\x1bE\0\x1ba\0b\n")


def test_plain_text_is_printed_line_by_line() -> None:
    found = plain_text("\ufeffone\r\ntwo\n\n\tthree\n".encode())
    assert text_of(render(found, profile(None), pen=Pen()).data) == ["one", "two", "", "        three"]
    with pytest.raises(BadReceipt, match="byte 0xE9 at offset 3"):
        plain_text("Café".encode("latin-1"))
    with pytest.raises(BadReceipt, match="empty"):
        plain_text(b"\n \n")


def test_a_receipt_has_an_end() -> None:
    with pytest.raises(BadReceipt, match=f"element 1: here the receipt becomes longer than {MAX_LINES:,} lines"):
        printed({"text": "\n" * 9_000})
    with pytest.raises(BadReceipt, match="element 81: here the receipt"):
        printed(*[{"feed": 50}] * 90)


# ---- pictures, codes, cutter, drawer --------------------------------------------------------------------------


def test_pictures_are_placed_on_the_paper() -> None:
    picture = {"image_base64": base64.b64encode(b"picture").decode()}
    left = printed({**picture, "align": "left"}).data
    right = printed({**picture, "align": "right"}).data
    assert b"\x1dv0\0\x09\0" in left, "70 dots are 9 bytes"
    assert b"\x1dv0\0\x48\0" in right, "right up to the 576th dot"
    with pytest.raises(BadReceipt, match="element 1: the document cannot be read as JPEG") as caught:
        printed({"image_base64": "AAAA"})
    assert caught.value.field == "1.image_base64"


def test_barcodes_and_qr_codes_are_drawn_by_a_printer_that_can() -> None:
    out = printed({"barcode": "4006381333931", "type": "ean13"}, {"barcode": "{A}"}, {"qr": "hello €"}).data
    assert b"\x1dkC\x0d4006381333931" in out
    assert b"\x1dkI\x06{B{{A}" in out
    assert b"\x1d(k\x0c\x001P0hello \xe2\x82\xac\x1d(k\x03\x001Q0" in out


@pytest.mark.parametrize(
    ("kind", "text", "read"),
    [("ean13", "400638133393", "4006381333931"), ("ean8", "9638507", "96385074"), ("upca", "036000291452", None),
     ("code39", "ABC-123", None), ("itf", "12345678", None), ("codabar", "A123456B", None), ("code128", "x{y}", None)],
)  # fmt: skip
def test_barcodes_drawn_here_scan(kind: Any, text: str, read: str | None) -> None:
    found = zxingcpp.read_barcodes(_image(drawn_barcode(BarcodeElement(barcode=text, type=kind), 2)))
    assert [each.text.strip("AB").lstrip("0") if kind == "codabar" else each.text for each in found] in (
        [[read or text]] if kind not in ("upca", "codabar") else [[text], ["0" + text], [text.strip("AB")]]
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [("ean13", "400638133393"), ("ean8", "9638507"), ("upca", "03600029145"), ("code39", "ABC-123"),
     ("itf", "12345678"), ("codabar", "A1234+B"), ("code128", "abcdef"), ("code128", "12345678901234567890")],
)  # fmt: skip
@pytest.mark.parametrize("module", [2, 3])
def test_a_barcode_is_as_wide_as_it_was_reckoned(kind: Any, text: str, module: int) -> None:
    """What is too wide a printer leaves out without a word."""
    wanted = BarcodeElement(barcode=text, type=kind, module=module)
    needed = printed_dots(wanted, module)
    page = read(printed(wanted.model_dump(), on=replace(profile("default"), dots=832)).data, dots=832)[0].bitmap
    assert page is not None
    _, columns = np.nonzero(np.unpackbits(np.frombuffer(page.rows, np.uint8).reshape(-1, page.stride)[:40], axis=1))
    assert columns.max() - columns.min() + 1 == needed - 20 * module


def test_a_number_too_long_for_the_printers_own_barcode_is_drawn_and_scans() -> None:
    """As Code 128 of digits in pairs it is half as wide."""
    out = printed({"barcode": "123456789012345678901234567890"})
    assert b"\x1dk" not in out.data and text_of(out.data)[0] == "123456789012345678901234567890"
    [label] = read(out.data, dots=576)
    assert label.bitmap is not None
    [found] = zxingcpp.read_barcodes(_image(label.bitmap))
    assert found.text == "123456789012345678901234567890"
    assert b"\x1dk" in printed({"barcode": "12345678901234567890"}).data, "20 digits have room"
    assert b"\x1dk" in printed({"barcode": "12345678901234", "type": "itf"}, on="generic-58").data


def test_a_qr_code_has_white_all_around_it() -> None:
    """Right below a barcode without digits too; the printer draws its squares only."""
    for size in (6, 12):
        out = printed({"barcode": "1234567", "digits": False}, {"qr": "hello", "size": size}, {"barcode": "7654321"})
        [label] = read(out.data, dots=576)
        assert label.bitmap is not None
        assert {each.text for each in zxingcpp.read_barcodes(_image(label.bitmap))} == {"1234567", "hello", "7654321"}
        rows = np.unpackbits(np.frombuffer(label.bitmap.rows, np.uint8).reshape(-1, 72), axis=1)[80:]
        assert not rows[: 4 * size].any() and rows[4 * size + 30 :].any()


def test_a_printer_without_codes_gets_them_as_pictures() -> None:
    bare = replace(profile("default"), barcode=False, qr_native=False)
    out = printed({"barcode": "4006381333931", "type": "ean13"}, {"qr": "hello"}, on=bare).data
    assert {each.name for each in stream(out)} & {"GS k", "GS ( k"} == set()
    assert text_of(out)[0] == "4006381333931"
    [found] = zxingcpp.read_barcodes(_image(drawn_qr(QrElement(qr="hello €"))))
    assert found.text == "hello €"


def test_codes_that_do_not_fit_are_refused_before_the_printer_leaves_them_out() -> None:
    with pytest.raises(BadReceipt, match=r"element 1: barcode: it needs \d+ dots, the paper has 384"):
        printed({"barcode": "W" * 30}, on="generic-58")
    with pytest.raises(BadReceipt, match=r"qr: it needs \d+ dots, the paper has 384"):
        printed({"qr": "x" * 400, "size": 16}, on="generic-58")


def test_cuts_are_the_printers_own() -> None:
    assert printed({"cut": "auto"}).data.endswith(b"\x1dVB\0")
    assert printed({"cut": "full"}).data.endswith(b"\x1dVA\0")
    assert printed({"cut": "full"}, tuning=Tuning(cut="none")).data.count(b"\x1dV") == 0
    assert printed({"cut": "full"}, on="generic-58").data.count(b"\x1dV") == 0, "it has no cutter"
    fed = printed({"cut": "partial"}, tuning=Tuning(feed_mm=10)).data
    assert fed.endswith(b"\x1dV\1") and b"\x1dv0\0\x01\0\x50\0" in fed, "10 mm are 80 dots"


def test_the_drawer_always_gets_both_times() -> None:
    assert printed(DRAWER).data.endswith(b"\x1bp\x00\x19\x7d")
    assert printed({"drawer": {"pin": 5, "on_ms": 100, "off_ms": 510}}).data.endswith(b"\x1bp\x01\x32\xff")
    assert printed({"drawer": {}}).data.endswith(b"\x1bp\x00\x19\x7d")
    with pytest.raises(BadReceipt, match="no pin 5, only 2"):
        printed({"drawer": {"pin": 5}}, on="generic-58")


# ---- nothing that is sent becomes a command ---------------------------------------------------------------------

NAUGHTY = [
    "\x1b@", "\x1dV\x00", "\x1dVA\x00", "\x1bp\x00\x19\xfa", "\x10\x14\x01\x00\x05", "\x10\x04\x01", "\x1cp\x01\x00",
    "\x1d(A\x02\x00\x00\x02", "\x1dv0\x00\xff\xff\xff\xff", "\x1b=\x00", "\x1d:", "\x1bi", "\x1bm", "\x07", "\x18",
    "\x00", "\x0c", "\x0b", "\x08", "\x7f", "\x1b", "\x1d", "\x9b31m", "\x1b\n@", "\r\x1b@", "^XA^XZ", "~JR",
    "{{7*7}}", "{{ ''.__class__ }}", "{% raw %}", "${7*7}", '"}, {"drawer": {}}, {"text": "', "\\x1b@", "\u241b@",
    "\u009b", "\u2028\x1b@", "\u202e\x1b@", "\ufffe", "\U000e0001", "a\u0300" * 50, "𝕿𝖍𝖊", "Ω≈ç√∫˜µ≤≥÷",
    "﷽", "null", "\x1b" * 300,
]  # fmt: skip

TEXT_ONLY = {"ESC @", "FS .", "ESC t", "ESC a", "ESC E", "ESC -", "ESC M", "GS !", "GS B", "GS v 0"}


def receipt_with(value: str) -> list[dict[str, Any]]:
    return [{"text": value}, {"text": value, "bold": True, "size": 3}, {"columns": [value, value]}, {"line": value[:1]}]


@pytest.mark.parametrize("value", NAUGHTY, ids=ascii)
def test_a_naughty_value_prints_as_text_and_does_nothing_else(value: str) -> None:
    found = stream(printed(*receipt_with(value)).data)
    assert {each.name for each in found} <= TEXT_ONLY
    assert {each.harm for each in found} == {Harm.NONE}


SHORT = [each for each in NAUGHTY if each.isascii() and "\n" not in each and len(each) < 20]


@pytest.mark.parametrize("value", SHORT, ids=ascii)
def test_the_commands_are_those_of_a_harmless_value(value: str) -> None:
    def commands_only(text: str) -> list[tuple[str, bytes]]:
        return [(each.name, each.text) for each in stream(printed(*receipt_with(text)).data)]

    assert commands_only(value) == commands_only("x" * len(clean(value)))


@given(st.text(max_size=60))
@settings(deadline=None)
def test_no_text_at_all_becomes_a_command(value: str) -> None:
    out = printed(*receipt_with(f"a{value}")).data
    assert {each.name for each in stream(out)} <= TEXT_ONLY
    text_of(out)  # asserts that there is no other control byte


@given(st.text(min_size=1, max_size=60))
@settings(deadline=None)
def test_what_goes_into_a_code_stays_in_it(value: str) -> None:
    for element in ({"qr": value}, {"barcode": value}):
        try:
            out = printed(element, {"text": "after"}).data
        except BadReceipt:
            continue
        assert {each.name for each in stream(out)} <= TEXT_ONLY | {"GS ( k", "GS k", "GS h", "GS w", "GS f", "GS H"}
        assert out.endswith(b"after\n")


# ---- python-escpos is a formatter and nothing else ----------------------------------------------------------------

PROBE = """
import logging, sys
sys.path.insert(0, sys.argv[1])
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
before = list(logging.getLogger().handlers)
from devices.receipts_elements import parse
assert not {"escpos", "PIL", "barcode", "qrcode"} & set(sys.modules), "loaded before it is needed"
from devices.profiles import profile
from devices.receipts import render
assert "escpos" not in sys.modules
made = render(parse(sys.argv[2].encode()), profile(None), pen=None)
assert "escpos.printer.dummy" in sys.modules
assert not hasattr(sys.modules["escpos.capabilities"], "pickle_path")
assert logging.getLogger().handlers == before
assert "yaml" not in sys.modules
sys.stdout.buffer.write(made.data)
"""


def test_nothing_is_written_and_no_pickle_is_read(tmp_path: Path) -> None:
    """python-escpos by itself leaves a folder with a pickle, and unpickles what a variable of the environment names."""
    evil, temporary = tmp_path / "evil", tmp_path / "tmp"
    evil.mkdir()
    temporary.mkdir()
    version = ".".join(map(str, sys.version_info[:3]))
    pickle = evil / f"{version}.capabilities.pickle"
    pickle.write_bytes(b"cos\nmkdir\n(S'%b'\ntR." % os.fsencode(tmp_path / "pwned"))
    os.utime(pickle, (4e9, 4e9))
    ran = subprocess.run(
        [sys.executable, "-B", "-c", PROBE, str(ROOT), '[{"text": "Größe"}, {"barcode": "1234"}, {"qr": "x"}]'],
        env={"TMPDIR": str(temporary), "ESCPOS_CAPABILITIES_PICKLE_DIR": str(evil), "HOME": str(temporary)},
        capture_output=True, timeout=60, cwd=temporary,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr.decode()
    assert ran.stderr == b""
    assert ran.stdout.startswith(b"\x1b@") and b"Gr\x94\xe1e\n" in ran.stdout
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "pwned").exists()
    assert [each.name for each in evil.iterdir()] == [pickle.name]


def test_no_two_receipts_share_anything() -> None:
    first = printed({"text": "Ł", "bold": True})
    assert printed({"text": "Ł", "bold": True}) == first


def _image(drawn: Bitmap) -> Image.Image:
    ink = Image.frombytes("1", (drawn.width, drawn.height), drawn.rows).convert("L").point(lambda value: 255 - value)
    page = Image.new("L", (drawn.width, drawn.height + 40), 255)
    page.paste(ink, (0, 20))
    return page
