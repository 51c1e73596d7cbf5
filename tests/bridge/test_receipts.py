"""Receipts on the bridge's side: templates, what intake asks, and the drawing of what printers have no letters for."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import flask
import pytest
import zxingcpp
from PIL import Image, ImageDraw

from bridge.dialects.v1.submission import submission
from bridge.errors import Invalid
from bridge.intake.accept import Intake
from bridge.model import Inline
from bridge.prepare import labels, receipts
from bridge.prepare.documents import Refused
from bridge.prepare.pen import MuPen
from bridge.prepare.receipts import check, draw, expand
from bridge.resources import templates_folder
from devices.commands import commands
from devices.contracts import Bitmap, Media, Tuning
from devices.readers.escpos import read

ROOT = Path(__file__).resolve().parents[2]
PEN = MuPen(203, 1_000_000)


def drawn(*elements: dict[str, Any], **tuning: Any) -> tuple[dict[str, Any], bytes]:
    data = json.dumps({"receipt": elements}).encode()
    return draw("receipt", data, language="escpos", media=Media(203, 80), tuning=Tuning(**tuning), pixels_max=1_000_000)


def picture(width: int = 300, height: int = 90, form: str = "PNG", mode: str = "L") -> str:
    image = Image.new("L", (width, height), 255)
    ImageDraw.Draw(image).ellipse((10, 10, 80, 80), fill=0)
    file = io.BytesIO()
    image.convert(mode).save(file, form)
    return base64.b64encode(file.getvalue()).decode()


def ink(bitmap: Bitmap) -> Image.Image:
    return Image.frombytes("1", (bitmap.width, bitmap.height), bitmap.rows).convert("L")


def read_back(data: bytes) -> Bitmap:
    """The first receipt as the printer would print it."""
    bitmap = read(data)[0].bitmap
    assert bitmap is not None
    return bitmap


# ---- the whole of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["default", "tm-t88", "generic-58", "tm-m30", "star-escpos", "generic-esc-star"])
def test_a_receipt_with_everything_comes_out_whole(profile: str) -> None:
    facts, data = drawn(
        {"image_base64": picture()},
        {"text": "Café Zürich", "align": "center", "size": 2, "bold": True},
        {"columns": ["2 × Cappuccino", "9,00 €"]},
        {"columns": ["גלידה", "3,00 €"]},
        {"columns": ["绿茶", "4,20 €"]},
        {"line": True},
        {"columns": ["Total", "16,20 €"], "size": 2},
        {"barcode": "4006381333931", "type": "ean13"},
        {"qr": "https://shop.example/r/4711"},
        {"cut": "partial"},
        {"drawer": {"pin": 2}},
        profile=profile,
    )
    assert (facts["note"], facts["cuts"]) == ("", True)
    names = [each.name for each in commands("escpos", [data])]
    assert names[-1] == "ESC p" and names.count("ESC p") == 1
    page = ink(read_back(data))
    assert page.size[0] <= 576 and facts["height"] * 0.6 < page.size[1] < facts["height"] * 1.4
    found = zxingcpp.read_barcodes(page.point(lambda value: 255 - value))
    assert "4006381333931" in [each.text for each in found]


@pytest.mark.parametrize(
    "text",
    [
        "שלום",
        "مرحبا",
        "你好",
        "こんにちは",
        "안녕",
        "สวัสดี",
        "नमस्ते",
        "Բարեւ",
        "გამარჯობა",
        "ሰላም",
        "வணக்கம்",
        "မြန်မာ",
        "বাংলা",
        "😀☕",
        "→✓★",
    ],
)
def test_every_script_is_drawn(text: str) -> None:
    facts, data = drawn({"text": text})
    assert facts["note"] == ""
    box = ink(read_back(data)).getbbox()
    assert box is not None and box[2] - box[0] > 20 and 10 < box[3] - box[1] <= 30


def test_what_no_font_has_is_shown_and_named() -> None:
    facts, data = drawn({"text": "a\ue000b\U0002ffffc"})
    assert facts["note"] == "printed as \ufffd, because no font here has it: U+E000, U+2FFFF"
    assert ink(read_back(data)).getbbox() is not None


def test_a_text_is_cut_after_its_last_line_and_a_receipt_where_it_says() -> None:
    facts, data = draw(
        "text", b"one\ntwo", language="escpos", media=Media(203, 80), tuning=Tuning(), pixels_max=1_000_000
    )
    assert facts["cuts"] is False and data.endswith(b"one\ntwo\n\x1dVB\0")
    assert drawn({"text": "one"}, {"cut": "full"})[1].endswith(b"one\n\x1dVA\0")


@pytest.mark.parametrize(
    ("kind", "data", "language", "code", "text"),
    [
        ("receipt", b"[]", "escpos", "bad_receipt", "0 elements"),
        ("receipt", b'[{"text": "x"}]', "zpl", "wrong_language", "this one speaks zpl"),
        ("text", b"\xff", "escpos", "bad_receipt", "byte 0xFF at offset 0"),
        (
            "receipt",
            b'[{"text": "a"}, {"image_base64": "aGVsbG8="}]',
            "escpos",
            "bad_receipt",
            "element 2: the document",
        ),
    ],
)
def test_what_cannot_be_printed_is_refused_with_the_reason(
    kind: str, data: bytes, language: str, code: str, text: str
) -> None:
    with pytest.raises(Refused, match=text) as caught:
        draw(kind, data, language=language, media=Media(203, 80), tuning=Tuning(), pixels_max=1_000_000)
    assert caught.value.code == code


# ---- the pen ----------------------------------------------------------------------------------------------------


def test_hebrew_goes_from_right_to_left_and_arabic_letters_join() -> None:
    leftmost = ink(PEN.line("ש.", size=24, height=30, most=500)).crop((0, 0, 3, 30)).getbbox()
    assert leftmost is not None and leftmost[3] - leftmost[1] < 6, "the full stop is at the left end"
    joined = PEN.line("بببب", size=24, height=30, most=500).width
    assert joined < 0.6 * sum(PEN.line(each, size=24, height=30, most=500).width for each in "بببب")


def test_a_line_is_squeezed_into_its_room() -> None:
    wide = PEN.line("绿" * 20, size=24, height=30, most=9999)
    assert wide.width > 400
    narrow = PEN.line("绿" * 20, size=24, height=30, most=100)
    assert narrow.width == 100 and ink(narrow).getbbox() is not None


@pytest.mark.parametrize("text", ["ཧཱུྃ", "နမ်ဩော်", "a" + "\u0301\u0323" * 20, "﷽", "\u0301", " ", "\u200f", "\U00011241x"])
def test_tall_letters_stay_on_their_line(text: str) -> None:
    line = PEN.line(text, size=24, height=30, most=500)
    assert (line.height, line.width <= 500) == (30, True)


def test_markup_is_no_markup() -> None:
    def width(text: str) -> int:
        return PEN.line(text, size=24, height=30, most=9999).width

    assert width("&amp;amp;☕") > width("&amp;☕") > width("&☕") + 40
    assert width("&lt;b&gt;☕") > width("<b>☕") > width("b☕") + 20
    assert width("<style>*{display:none}</style>☕") > 200


def test_pictures_are_never_enlarged_and_shrunk_to_the_head() -> None:
    def size(of: str, **more: Any) -> tuple[int, int]:
        bitmap = PEN.picture(base64.b64decode(of), **({"most": 576, "width": None, "dither": False} | more))
        return bitmap.width, bitmap.height

    assert size(picture(300, 90)) == (300, 90)
    assert size(picture(1152, 90)) == (576, 45)
    assert size(picture(300, 90), width=150) == (150, 45)
    assert size(picture(300, 90, "JPEG", "RGB"), dither=True) == (300, 90)
    assert size(picture(300, 90, "JPEG", "CMYK")) == (300, 90)
    with pytest.raises(ValueError, match="million dots"):
        size(picture(2000, 2000))
    with pytest.raises(ValueError, match="cut off"):
        size(base64.b64encode(base64.b64decode(picture())[:-20]).decode())


# ---- intake -----------------------------------------------------------------------------------------------------


def test_intake_is_told_whether_the_drawer_opens_and_which_element_is_wrong() -> None:
    assert check("receipt", b'{"receipt": [{"text": "a"}]}').opens_drawer is False
    assert check("receipt", b'{"receipt": [{"drawer": {"pin": 5}}]}').opens_drawer is True
    assert check("text", b"ESC p").opens_drawer is False
    with pytest.raises(Invalid, match="element 2: text: input should be a valid string") as caught:
        check("receipt", b'{"receipt": [{"text": "a"}, {"text": 1}]}')
    assert (caught.value.field, caught.value.code) == ("receipt.2.text", "bad_receipt")


def test_the_server_loads_no_engine_to_check_a_receipt() -> None:
    program = """import sys
from bridge.prepare.receipts import check, expand
from bridge.prepare.labels import load_receipt
check("receipt", expand("receipt", load_receipt("receipt").samples()))
print(sorted({"escpos", "pymupdf", "numpy", "PIL", "qrcode", "barcode"} & set(sys.modules)))"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (ran.stdout, ran.stderr) == ("[]\n", "")


def test_it_is_drawn_under_the_limits_of_the_render_child(tmp_path: Path) -> None:
    program = """import json, sys
sys.path.insert(0, sys.argv[1])
from bridge.prepare.child import confine
confine(768)
from bridge.prepare.receipts import draw
from devices.contracts import Media, Tuning
elements = [{"text": "Größe 绿"}, {"qr": "x"}, {"barcode": "1234"}]
facts, data = draw("receipt", json.dumps(elements).encode(), language="escpos", media=Media(203, 80),
                   tuning=Tuning(profile="star-escpos"), pixels_max=1_000_000)
sys.stdout.buffer.write(data)"""
    command = [sys.executable, "-I", "-B", "-c", program, str(ROOT)]
    ran = subprocess.run(command, capture_output=True, env={"TMPDIR": str(tmp_path)}, cwd="/", timeout=60)
    assert ran.stderr == b""
    assert ran.stdout.startswith(b"\x1b@") and ran.stdout.endswith(b"\x1dVB\0")
    assert list(tmp_path.iterdir()) == []


# ---- templates --------------------------------------------------------------------------------------------------


def test_receipt_templates_are_found_and_every_one_prints() -> None:
    assert labels.receipt_names() == ("receipt",)
    for name in labels.receipt_names():
        made = expand(name, labels.load_receipt(name).samples())
        facts, data = draw("receipt", made, language="escpos", media=Media(203, 80), tuning=Tuning(), pixels_max=10_000)
        assert facts["note"] == ""
        assert len(data) > 1000
    assert not set(labels.receipt_names()) & set(labels.names())
    assert set(labels.receipt_names()) == {path.stem for path in (templates_folder() / "receipts").glob("*.toml")}


def filled(**fields: str) -> list[dict[str, Any]]:
    basis = {"shop": "Shop", "lines": "Tea | 2.00", "total": "2.00"}
    return cast(list[dict[str, Any]], json.loads(expand("receipt", basis | fields)))


def test_the_fields_end_up_where_they_belong() -> None:
    made = filled(address="Street 1\nTown", lines="Tea | 2.00\n\nno price\na|b | 3", footer="Bye", code="x")
    assert {"columns": ["Tea", "2.00"]} in made
    assert {"columns": ["no price", ""]} in made
    assert {"columns": ["a|b", "3"]} in made
    assert {"text": "Town", "align": "center"} in made
    assert {"qr": "x"} in made
    assert not any("qr" in each for each in filled())
    assert filled(address="Street 1\r\nTown") == filled(address="Street 1\nTown")


@pytest.mark.parametrize(
    "value",
    ["{{7*7}}", "{{ ''.__class__.__mro__ }}", "{% for x in y %}", '"}, {"drawer": {}}, {"text": "', "\\", "\\u001b@",
     "</script>", "&quot;", "'", "^XA^XZ", "] }", "a\u2028b", "<!-- -->"],
)  # fmt: skip
def test_no_value_becomes_an_element_or_is_run(value: str) -> None:
    harmless, made = filled(shop="x", footer="x", address="x"), filled(shop=value, footer=value, address=value)
    assert [list(each) for each in made] == [list(each) for each in harmless]
    assert made[0]["text"] == value


@pytest.mark.parametrize(
    ("fields", "field", "text"),
    [
        ({"shop": ""}, "fields.shop", "needs a value for shop"),
        ({"shop": "a\nb"}, "fields.shop", r"U\+000A"),
        ({"lines": "a\x1b@"}, "fields.lines", r"U\+001B"),
        ({"lines": "x" * 8001}, "fields.lines", "8001 characters"),
        ({"color": "red"}, "fields.color", "no field 'color'"),
    ],
)
def test_what_cannot_be_filled_in_is_refused_by_name(fields: dict[str, str], field: str, text: str) -> None:
    with pytest.raises(Invalid, match=text) as caught:
        filled(**fields)
    assert caught.value.field == field


def test_both_kinds_of_templates_are_checked_and_named_together() -> None:
    labels.check("receipt", labels.load_receipt("receipt").samples())
    labels.check("number", {"number": "1"})
    with pytest.raises(Invalid) as caught:
        labels.check("none", {})
    assert "number" in caught.value.remedy and "receipt for receipts" in caught.value.remedy


# ---- POST /jobs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind", "data"),
    [
        ({"json": {"printer": "till", "receipt": [{"text": "é"}]}}, "receipt", b'{"receipt": [{"text": "\\u00e9"}]}'),
        ({"json": {"printer": "till", "text": "é\n"}}, "text", "é\n".encode()),
        ({"data": {"printer": "till", "receipt": '[{"feed": 1}]'}}, "receipt", b'{"receipt": [{"feed": 1}]}'),
    ],
)
def test_a_job_brings_its_receipt_or_text_along(given: dict[str, Any], kind: str, data: bytes) -> None:
    with flask.Flask("test").test_request_context("/jobs", method="POST", **given):
        found = submission(flask.request)
    assert found.job.document_type == kind in receipts.KINDS
    assert found.document(cast(Intake, None)) == Inline(data)


@pytest.mark.parametrize(
    "body",
    [
        {"receipt": [{"feed": 1}], "text": "a"},
        {"receipt": []},
        {"receipt": {"feed": 1}},
        {"receipt": ["a"]},
        {"text": ""},
    ],
)
def test_a_job_has_one_document_of_the_right_shape(body: dict[str, Any]) -> None:
    with flask.Flask("test").test_request_context("/jobs", method="POST", json={"printer": "till", **body}):
        with pytest.raises(Invalid) as caught:
            submission(flask.request)
    assert str(caught.value.field).split(".")[0] in ("receipt", "text")
