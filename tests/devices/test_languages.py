"""One contract for every language that can be drawn for: a new file in devices/languages is tested from day one."""

from __future__ import annotations

import pytest

from devices import languages
from devices.contracts import Bitmap, Media
from devices.errors import UnknownLanguage
from devices.languages.signatures import SIGNATURES

PAGE = Bitmap(200, 101, bytes((x * y) % 255 for y in range(101) for x in range(25)))
BLANK = Bitmap(200, 101, bytes(25 * 101))
MEDIA = Media(203, 25.4, 12.7)


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


def test_an_unknown_language_is_named_with_those_there_are() -> None:
    with pytest.raises(UnknownLanguage, match="'klingon', only for .*zpl"):
        languages.load("klingon")


def test_a_language_nobody_knows_is_not_recognised() -> None:
    assert languages.recognize(b"Dear Sir or Madam,") is None
