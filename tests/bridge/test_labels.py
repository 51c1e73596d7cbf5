"""Label templates: what may be filled in, and that the printer's own dots carry a barcode that scans."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zxingcpp
from PIL import Image

from bridge.errors import Invalid
from bridge.prepare.child import DrawRequest
from bridge.prepare.labels import expand, load, names
from bridge.prepare.render import PageDrawn, RenderChild
from bridge.resources import templates_folder
from devices.contracts import Bitmap
from devices.readers.zpl import read


@pytest.fixture(scope="module")
def child() -> Iterator[RenderChild]:
    with RenderChild() as child:
        yield child


def drawn(child: RenderChild, name: str, fields: dict[str, str], dpi: int) -> tuple[PageDrawn, Bitmap]:
    """The label as the printer gets it, through the real render child and read back from ZPL."""
    template, pages = load(name), list[PageDrawn]()
    request = DrawRequest("svg", "zpl", dpi, template.width_mm, template.height_mm)
    child.draw(request, expand(name, fields, dpi), lambda page: not pages.append(page))
    [page] = pages
    [label] = read(page.data)
    assert label.bitmap is not None
    return page, label.bitmap


def image(bitmap: Bitmap) -> Image.Image:
    ink = Image.frombytes("1", (bitmap.width, bitmap.height), bitmap.rows)
    return ink.convert("L").point(lambda value: 255 - value)


def test_the_templates_are_found() -> None:
    assert "test-4x6" in names()
    assert {path.stem for path in (templates_folder() / "labels").glob("*.toml")} == set(names())


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dpi", [203, 300, 600])
def test_every_template_is_drawn_at_its_own_size_without_a_flaw(child: RenderChild, name: str, dpi: int) -> None:
    template = load(name)
    page, bitmap = drawn(child, name, template.samples(), dpi)
    assert (page.factor, page.rotated, page.flaws) == (1.0, 0, 0)
    label = (template.width_mm, template.height_mm)
    assert (bitmap.width, bitmap.height) == tuple(round(mm * dpi / 25.4) for mm in label)


@pytest.mark.parametrize("dpi", [203, 300, 600])
@pytest.mark.parametrize("code", ["PB-20260314-150926", "7", "", "WWWWWWWWWWWWWWWWWWWWWWWW"])
def test_the_test_labels_barcode_scans(child: RenderChild, dpi: int, code: str) -> None:
    _, bitmap = drawn(child, "test-4x6", {"printer": "dock", "code": code}, dpi)
    found = zxingcpp.read_barcodes(image(bitmap), formats=zxingcpp.BarcodeFormat.Code128)
    assert [barcode.text for barcode in found] == [code or "PRINT-BRIDGE"]


@pytest.mark.parametrize("dpi", [203, 300])
def test_the_bars_are_whole_dots_wide(child: RenderChild, dpi: int) -> None:
    """Every run of black or white dots through the barcode is a multiple of its module."""
    _, bitmap = drawn(child, "test-4x6", load("test-4x6").samples(), dpi)
    row = round(105 * dpi / 25.4) * bitmap.stride
    dots = "".join(f"{byte:08b}" for byte in bitmap.rows[row : row + bitmap.stride])
    inside = dots[round(11 * dpi / 25.4) : round(97 * dpi / 25.4)].strip("0")
    runs = [len(run) for run in inside.replace("01", "0 1").replace("10", "1 0").split()]
    module = min(runs)
    assert module == round(0.375 * dpi / 25.4)
    assert {length % module for length in runs} == {0}
    assert sum(runs) // module == 11 * (len(runs) // 6) + 2


def test_the_finest_checkerboard_is_half_black(child: RenderChild) -> None:
    _, bitmap = drawn(child, "test-4x6", load("test-4x6").samples(), 203)
    left, top = round(69.5 * 203 / 25.4), round(65 * 203 / 25.4)
    rows = [bitmap.rows[y * bitmap.stride : (y + 1) * bitmap.stride] for y in range(top, top + 32)]
    block = ["".join(f"{byte:08b}" for byte in row)[left : left + 32] for row in rows]
    assert set(block) == {"01" * 16, "10" * 16}


def test_values_are_put_in_escaped_and_never_run() -> None:
    probe = "</text><script>{{ 7*7 }} & ''.__class__"
    svg = expand("test-4x6", {"printer": probe}, 203).decode()
    assert "<script" not in svg
    assert "&lt;/text&gt;&lt;script&gt;{{ 7*7 }} &amp; &#39;&#39;.__class__</text>" in svg


@pytest.mark.parametrize("character", ["W", "i", "Ä", "好", "W."])
def test_long_names_stay_on_the_label(child: RenderChild, character: str) -> None:
    name = (character * 60)[:60]
    _, short = drawn(child, "test-4x6", {"printer": name, "bridge": name, "when": name[:40]}, 203)
    beyond = [short.rows[y * short.stride + 98 : y * short.stride + 100] for y in range(200, 470)]
    assert set(beyond) == {b"\0\0"}, "nothing between the text's right edge and the frame"


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({}, "fields.printer", "needs a value for printer"),
        ({"printer": "   "}, "fields.printer", "needs a value"),
        ({"printer": "x" * 61}, "fields.printer", "61 characters"),
        ({"printer": "x", "color": "red"}, "fields.color", "no field 'color'"),
        ({"printer": "a\x07b"}, "fields.printer", "U+0007"),
        ({"printer": "a\ud800b"}, "fields.printer", "U+D800"),
        ({"printer": "a\uffffb"}, "fields.printer", "U+FFFF"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_by_name(fields: dict[str, str], field: str, text: str) -> None:
    with pytest.raises(Invalid, match=text.replace("+", r"\+")) as caught:
        expand("test-4x6", fields, 203)
    assert caught.value.field == field


@pytest.mark.parametrize("name", ["none", "../labels/test-4x6", "", "test-4x6.toml", "test-4x6\0"])
def test_a_template_nobody_knows_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(Invalid, match="there is no label template") as caught:
        expand(name, {"printer": "dock"}, 203)
    assert "test-4x6" in caught.value.remedy


def test_a_barcode_that_cannot_be_is_refused_with_the_reason() -> None:
    with pytest.raises(Invalid, match="ASCII"):
        expand("test-4x6", {"printer": "dock", "code": "größe"}, 203)
    with pytest.raises(Invalid, match="room for 86 mm"):
        expand("test-4x6", {"printer": "dock", "code": "W" * 24}, 72)
