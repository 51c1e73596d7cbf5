"""Pictures of what was sent: the very dots, and the code itself where there can be none."""

from __future__ import annotations

import io
import logging
import random
from pathlib import Path

import pytest
from PIL import Image

from bridge.prepare.pictures import FILES_MAX, READ_MAX, code, picture, png, virtual_pictures
from devices.contracts import Bitmap
from devices.languages import load

ENCODE = load("zpl").encode
TEXT = b"^XA^FO50,50^ADN,36,20^FDhello^FS^XZ"


def bitmap(width: int, height: int, seed: int = 1) -> Bitmap:
    """Random dots, padding 0."""
    mask = (1 << width) - 1
    stride, rng = (width + 7) // 8, random.Random(seed)
    rows = [((rng.getrandbits(width) & mask) << (stride * 8 - width)).to_bytes(stride, "big") for _ in range(height)]
    return Bitmap(width, height, b"".join(rows))


def seen(data: bytes) -> Bitmap:
    """What a PNG reader sees, black as 1."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.mode == "1"
    rows = Image.frombytes("1", image.size, bytes(255 - b for b in image.tobytes())).tobytes()
    # The padding bits were turned round as well: they are not part of the picture.
    stride, width = (image.width + 7) // 8, image.width
    keep = (((1 << width) - 1) << (stride * 8 - width)).to_bytes(stride, "big") * image.height
    return Bitmap(width, image.height, bytes(a & b for a, b in zip(rows, keep, strict=True)))


@pytest.mark.parametrize("width", [1, 7, 8, 9, 16, 812])
def test_a_png_shows_every_dot(width: int) -> None:
    page = bitmap(width, 13)
    assert seen(png(page)) == page


def test_a_drawn_job_has_one_piece_for_each_label() -> None:
    pages = [bitmap(40, 20, seed) for seed in range(3)]
    pieces = [ENCODE(page) for page in pages]
    for number, page in enumerate(pages):
        found = picture(iter(pieces), number, "zpl")
        assert found is not None and found.png is not None
        assert (seen(found.png), found.text, found.labels) == (page, "", 3)
    assert picture(iter(pieces), 3, "zpl") is None
    assert picture(iter(pieces), -1, "zpl") is None
    assert picture(iter([]), 0, "zpl") is None


def test_a_raw_job_may_hold_many_labels_in_one_piece() -> None:
    pages = [bitmap(40, 20, seed) for seed in range(3)]
    data = b"".join(ENCODE(page) for page in pages)
    found = picture([data], 2, "zpl")
    assert found is not None and found.png is not None
    assert (seen(found.png), found.labels) == (pages[2], 3)
    assert picture([data], 3, "zpl") is None
    assert picture([data], -1, "zpl") is None


def test_a_label_of_text_shows_its_code_and_says_why() -> None:
    found = picture([TEXT], 0, "zpl")
    assert found is not None and found.png is None
    assert "^FD" in found.text and "^XA^FO50,50^ADN,36,20^FDhello" in found.text


def test_a_picture_says_what_it_lacks() -> None:
    found = picture([b"^XA^FO0,0^GB40,40,4^FS^FO9,9^FDhello^FS^XZ"], 0, "zpl")
    assert found is not None and found.png is not None
    assert "not in the picture: ^FD" in found.text


@pytest.mark.parametrize(
    ("data", "language", "why"),
    [
        (b"N\nA50,0,0,1,1,1,N,\"Hi\"\nP1\n", "epl2", "not in the picture: A"),
        (b"\x1bA\x1bH0100\x1bZ", "sbpl", "sbpl code"),
        (b"\0\1\2", "raw", "no known language"),
        (b"\0\1\2", "../zpl", "code"),
        (b"^XA^GFA,9,9,1,zz!^XZ", "zpl", "^GF at byte 3"),
        (b"^XA^FO1,1^GB1,1,1^FS", "zpl", "no complete label"),
        (b"", "zpl", "no complete label"),
        (b" " * READ_MAX + b"^XA^XZ", "zpl", "more than is read"),
    ],
)
def test_what_cannot_be_drawn_is_shown_as_code_with_the_reason(data: bytes, language: str, why: str) -> None:
    found = picture([data], 0, language)
    assert found is not None and found.png is None
    assert why in found.text and code(data) in found.text
    assert picture([data], 1, language) is None


def test_of_a_job_too_large_to_read_the_first_labels_are_shown() -> None:
    page = bitmap(800, 100)
    for data in (ENCODE(page) * 1_300, ENCODE(page) * 100 + b"^XA^GFA,9,9,1,zz!^XZ"):
        found = picture([data], 0, "zpl")
        assert found is not None and found.png is not None
        assert seen(found.png) == page
        assert "Only the beginning is drawn" in found.text
    frames = picture([b"^XA^FO9,9^GB700,1000,9^FS^XZ" * 10_000], 0, "zpl")
    assert frames is not None and frames.png is not None


def test_random_bytes_never_raise() -> None:
    rng = random.Random(7)
    for _ in range(300):
        data = b"^XA" + rng.randbytes(rng.randrange(200)) + rng.choice([b"^GFA,8,8,1,", b"^GB9,9^FS", b""]) + b"^XZ"
        assert picture([data], 0, "zpl") is not None


def test_code_is_short_and_printable() -> None:
    shown = code(bytes(range(256)) * 100)
    assert len(shown) < 2_000 and shown.endswith(" …")
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert code(b"a\r\nb\x1bc") == "a\nb·c"


# ---- the virtual printer ----------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_virtual_printer_keeps_a_picture_of_every_label(tmp_path: Path) -> None:
    pages = [bitmap(40, 20, seed) for seed in range(2)]
    file = tmp_path / "000001.bin"
    file.write_bytes(b"".join(ENCODE(page) for page in pages))
    written = virtual_pictures(file, language="zpl")
    assert names(tmp_path) == ["000001-1.png", "000001-2.png", "000001.bin"]
    assert [seen(path.read_bytes()) for path in written] == pages


def test_what_the_virtual_printer_cannot_draw_is_told_in_a_text(tmp_path: Path) -> None:
    file = tmp_path / "000001.bin"
    file.write_bytes(ENCODE(bitmap(9, 9)) + TEXT)
    virtual_pictures(file, language="zpl")
    assert names(tmp_path) == ["000001-1.png", "000001.bin", "000001.txt"]
    told = (tmp_path / "000001.txt").read_text()
    assert "label 2: " in told and "^FD" in told

    file.with_name("000002.bin").write_bytes(b"\x1bAhi")
    virtual_pictures(file.with_name("000002.bin"), language="sbpl")
    assert (tmp_path / "000002.txt").read_text() == "Not drawn: sbpl code.\n\n·Ahi\n"


def test_the_virtual_printer_stops_at_a_hundred_pictures(tmp_path: Path) -> None:
    file = tmp_path / "000001.bin"
    file.write_bytes(ENCODE(bitmap(9, 9)) * (FILES_MAX + 20))
    assert len(virtual_pictures(file, language="zpl")) == FILES_MAX + 1
    assert len(list(tmp_path.glob("*.png"))) == FILES_MAX
    assert "first 100 of 120 labels" in (tmp_path / "000001.txt").read_text()


def test_a_folder_that_went_away_costs_a_warning_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert virtual_pictures(tmp_path / "gone" / "000001.bin", language="zpl") == []
    assert "no pictures of 000001.bin" in caplog.text
