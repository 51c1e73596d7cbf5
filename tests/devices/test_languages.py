"""One contract for every language that can be drawn for: a new file in devices/languages is tested from day one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import languages
from devices.commands import commands
from devices.contracts import Bitmap, Media
from devices.errors import UnknownLanguage
from devices.languages import cpcl, epl2, tspl, zpl
from devices.languages.signatures import SIGNATURES

PAGE = Bitmap(200, 101, bytes((x * y) % 255 for y in range(101) for x in range(25)))
BLANK = Bitmap(200, 101, bytes(25 * 101))
MEDIA = Media(203, 25.4, 12.7)
FILLED_IN = {
    "zpl": lambda text: b"^XA^CI28^FO9,9^A0N,30,30" + zpl.field(text) + b"^FO9,99^GB9,9,9^FS^PQ2^XZ\n",
    "epl2": lambda text: b"\nN\nA9,9,0,1,1,1,N," + epl2.quote(text) + b"\nLO9,99,9,9\nP2\n",
    "tspl": lambda text: b'CLS\r\nTEXT 9,9,"3",0,1,1,' + tspl.quote(text) + b"\r\nBAR 9,99,9,9\r\nPRINT 1,2\r\n",
    "cpcl": lambda text: b"! 0 200 200 210 2\r\nTEXT 4 0 9 9 " + cpcl.text_line(text) + b"\r\nFORM\r\nPRINT\r\n",
}
"""A label with a value in it, in the printer's own letters."""
NAUGHTY = [
    "", " ", "^XZ", "^FS^XZ~JR", "~JA", "^CC/", "_5EXZ", "_7EJR", "\x10JR", "\x02\x03\x0f", "^GFB,9,9,9,",
    "^FX", "\\&", "\\", "\\\\", '"', '\\"', '"\r\nP9999', "\r\n^@\r\n", "a\nU\n", "^default", '\\["]',
    '"\r\nKILL "*"\r\n', "\x1b!R", "\x1b!", "\r\nPRINT\r\n! UTILITIES\r\n", '! U1 do "device.reset" ""\r\n',
    "! 0 200 200 9 9", "ENDML", "CG 9 9 0 0 ", "\x00", "\x1b@", "\x1dV\x00", "\x1bp\x00", "{{7*7}}",
    "{{''.__class__}}", "${7*7}", "%s%n", "€", "ÄÖÜ", "日本語", "\u202e", "\ufeff", "\ud7ff", "\u2028", "Å",
    "A\u030a", "👩‍👩‍👧", "表^", "\x85", "\xa0", "\x7f", "nul\0nul", "-1", "1e999", "' OR 1=1", "<script>",
    "a" * 9_999,
]  # fmt: skip


@pytest.mark.parametrize("name", languages.names())
@pytest.mark.parametrize("page", [PAGE, BLANK], ids=["dots", "blank"])
@pytest.mark.parametrize("media", [None, MEDIA, Media(203, 25.4)], ids=["unknown", "label", "continuous"])
def test_no_other_language_claims_its_output(name: str, page: Bitmap, media: Media | None) -> None:
    out = languages.load(name).encode(page, media=media)
    assert [n for n in languages.names() if languages.load(n).sniff(out)] == [name]
    assert languages.recognize(out) == name
    assert [n for n, matches in SIGNATURES.items() if n != name and matches(out)] == []


@pytest.mark.parametrize("name", languages.names())
def test_its_name_is_its_file_name(name: str) -> None:
    assert languages.load(name).name == name


@pytest.mark.parametrize("name", languages.names())
def test_the_same_page_gives_the_same_bytes(name: str) -> None:
    language = languages.load(name)
    assert language.encode(PAGE) == language.encode(PAGE) != language.encode(BLANK)


@pytest.mark.parametrize("name", languages.names())
@pytest.mark.parametrize("copies", [0, -1])
def test_no_copies_is_refused(name: str, copies: int) -> None:
    with pytest.raises(ValueError):
        languages.load(name).encode(PAGE, copies=copies)


@pytest.mark.parametrize("name", languages.names())
def test_copies_are_said_once_where_the_language_can_say_them(name: str) -> None:
    language = languages.load(name)
    if language.copies_in_language:
        assert len(language.encode(PAGE, copies=50)) < 2 * len(language.encode(PAGE))


@pytest.mark.parametrize("name", languages.names())
@pytest.mark.parametrize("data", [b"", b"hello", b"%PDF-1.4\n", b"\x89PNG\r\n\x1a\n", b"{}", b"<html>", bytes(64)])
def test_it_claims_no_document(name: str, data: bytes) -> None:
    assert not languages.load(name).sniff(data)


def names_of(language: str, data: bytes) -> list[tuple[str, str]]:
    """The commands of a label by name and harm."""
    return [(command.name, command.harm.name) for command in commands(language, [data])]


@pytest.mark.parametrize("language", FILLED_IN)
@pytest.mark.parametrize("value", NAUGHTY, ids=ascii)
def test_a_naughty_value_in_a_label_is_no_command(language: str, value: str) -> None:
    label = FILLED_IN[language]
    if len(value) > 8_000 and language in ("epl2", "cpcl"):
        value = value[:8_000]  # what is longer than any line is in doubt
    assert names_of(language, label(value)) == names_of(language, label("harmless"))


@pytest.mark.parametrize("language", FILLED_IN)
@settings(max_examples=300)
@given(value=st.text())
def test_no_value_in_a_label_is_a_command(language: str, value: str) -> None:
    assert names_of(language, FILLED_IN[language](value)) == names_of(language, FILLED_IN[language]("harmless"))


def test_a_value_in_zpl_keeps_its_characters() -> None:
    assert zpl.field("Gr\u00f6\u00dfe 5 ^_~") == b"^FH_^FDGr_C3_B6_C3_9Fe 5 _5E_5F_7E^FS"
    assert zpl.field("\u20ac", "cp1252") == b"^FH_^FD_80^FS"
    assert zpl.field("\x1b\n\u65e5", "cp1252") == b"^FH_^FD_3F_3F_3F^FS"
    with pytest.raises(ValueError, match="klingon"):
        zpl.field("x", "klingon")


def test_an_unknown_language_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownLanguage, match="'klingon', only for .*zpl"):
        languages.load("klingon")


def test_a_language_nobody_knows_is_not_recognised() -> None:
    assert languages.recognize(b"Dear Sir or Madam,") is None
