"""Receipts, end to end: JSON to a real serve, a real `simulate escpos` process, and what lies on its paper."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import zxingcpp
from PIL import Image, ImageDraw

from bridge.prepare import receipts
from devices.contracts import Media, Tuning
from devices.readers.escpos import read
from tests.serving import Answer, Caller, Serve, b64, printer
from tests.simulating import Simulated, until

MEDIA = Media(180, 72)
TILL = {"language": "escpos", "profile": "tm-t88", "dpi": 180, "width_mm": 72, "height_mm": 0}
EURO = "2 × Cappuccino à 4,50 €"


def logo() -> str:
    """A cup on a saucer."""
    image = Image.new("L", (260, 120), 255)
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((70, 15, 170, 95), 24, fill=0)
    pen.arc((150, 30, 200, 75), 0, 360, fill=0, width=9)
    pen.ellipse((40, 92, 200, 112), fill=0)
    file = io.BytesIO()
    image.save(file, "PNG")
    return b64(file.getvalue())


SHOW: list[dict[str, Any]] = [
    {"image_base64": logo()},
    {"text": "Café Zürich", "align": "center", "size": 2, "bold": True},
    {"text": "Bahnhofstraße 1 · 8001 Zürich", "align": "center"},
    {"feed": 1},
    {"columns": [EURO, "9,00 €"]},
    {"columns": ["Crème brûlée", "6,50 €"]},
    {"columns": ["גלידה וניל", "3,00 €"]},
    {"columns": ["绿茶 (大杯)", "4,20 €"]},
    {"line": True},
    {"columns": ["Total", "22,70 €"], "size": 2, "bold": True},
    {"feed": 1},
    {"qr": "https://shop.example/r/4711"},
    {"feed": 1},
    {"barcode": "4006381333931", "type": "ean13"},
    {"text": "Merci et à bientôt!", "align": "center", "invert": True},
    {"cut": "partial"},
    {"drawer": {"pin": 2}},
]


@dataclass
class Shop:
    """A bridge, a receipt printer and a label printer. prints: how many receipts are out."""

    bridge: Serve
    till: Simulated
    dock: Simulated
    stack: ExitStack
    prints: int = 0

    def send(self, caller: Caller | None = None, **words: Any) -> Answer:
        return (caller or self.bridge).call("POST", "/v1/jobs", {"printer": "till", **words})

    def over(self, answer: Answer) -> Any:
        assert answer.status == 201, answer
        return self.bridge.wait(answer.json["id"])

    def receipt(self, **words: Any) -> tuple[Any, Image.Image, list[str]]:
        """Print one: the job, the picture on the paper, and what else the printer did."""
        seen = len(self.till.lines())
        job = self.over(self.send(**words))
        self.prints += 1
        label = self.till.wait_for(self.prints)[-1]
        until(lambda: "cut" in self.events(seen), 5, self.till.lines)
        return job, Image.open(self.till.folder / label["png"]).convert("L"), self.events(seen)

    def events(self, seen: int) -> list[str]:
        """What the paper log says after its first `seen` lines."""
        return [line["event"] for line in self.till.lines()[seen:]]

    def key(self, **words: Any) -> Caller:
        """Somebody with a key of this kind."""
        made = self.bridge.call("POST", "/v1/keys", {"name": f"key {time.monotonic()}", **words})
        assert made.status == 201, made
        caller = Caller("127.0.0.1", self.bridge.port, self.bridge.organization_id, made.json["key"])
        self.stack.callback(caller.close)
        return caller


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with ExitStack() as stack:
        quick = ("--label-s", "0.02")
        till = stack.enter_context(
            Simulated("escpos", folder / "till", "--width-mm", "72.25", "--dpi", "180", "--height-mm", "0", *quick)
        )
        dock = stack.enter_context(Simulated("zpl", folder / "dock", *quick))
        config = printer("till", till.uri, **TILL) + printer("dock", dock.uri)
        yield Shop(stack.enter_context(Serve(folder / "data", config)), till, dock, stack)


def as_read(elements: list[dict[str, Any]]) -> Image.Image:
    """The picture the reader makes of the very bytes."""
    data = json.dumps({"receipt": elements}).encode()
    tuning = Tuning(profile="tm-t88")
    _, code = receipts.draw("receipt", data, language="escpos", media=MEDIA, tuning=tuning, pixels_max=10_000_000)
    bitmap = read(code, dots=512)[0].bitmap
    assert bitmap is not None
    return Image.frombytes("1", (bitmap.width, bitmap.height), bitmap.rows).convert("L").point(lambda dot: 255 - dot)


def test_a_receipt_with_everything_comes_out_cut_and_opens_the_drawer(shop: Shop) -> None:
    job, paper, events = shop.receipt(receipt=SHOW)
    assert (job["state"], job["evidence"], job["note"]) == ("printed", "processed", ""), job["text"]
    assert sorted(events) == ["cut", "drawer", "label"]
    [cut], [drawer] = shop.till.lines("cut"), shop.till.lines("drawer")
    assert cut["mode"] == "partial" and (drawer["pin"], drawer["on_ms"], drawer["off_ms"]) == (2, 50, 250)
    assert paper.size[0] == 512 and paper.tobytes() == as_read(SHOW).tobytes()
    found = {each.text for each in zxingcpp.read_barcodes(paper)}
    assert found == {"https://shop.example/r/4711", "4006381333931"}


@pytest.mark.parametrize(
    "text",
    ["\x1b@", "\x1dVA\x00", "\x10\x14\x01\x00\x05", "\x1bp\x00\x32\x64", "^XZ~JR^XA", "\x1b=\x00", "\x1b@\x1dV\x00^XZ"],
    ids=["reset", "cut", "real-time drawer", "drawer", "zpl", "switch off", "all"],
)
def test_commands_in_a_name_are_letters(shop: Shop, text: str) -> None:
    plain = "".join(each if each >= " " else "?" for each in text)
    job, paper, events = shop.receipt(receipt=[{"text": f"Mr {text} Smith"}, {"columns": [text, "1,00"]}])
    assert job["state"] == "printed" and events == ["label", "cut"]
    _, harmless, _ = shop.receipt(receipt=[{"text": f"Mr {plain} Smith"}, {"columns": [plain, "1,00"]}])
    assert paper.tobytes() == harmless.tobytes()


def test_the_template_and_plain_text(shop: Shop) -> None:
    fields = {"shop": "Café Zürich", "lines": "2 × Cappuccino | 9,00\nגלידה | 3,00\n绿茶 | 4,20", "total": "16,20 €",
              "footer": 'Merci!\n{"cut": "full"}', "code": "4711"}  # fmt: skip
    job, paper, events = shop.receipt(template="receipt", fields=fields)
    assert job["state"] == "printed" and events == ["label", "cut"], job["text"]
    assert [each.text for each in zxingcpp.read_barcodes(paper)] == ["4711"]
    job, paper, events = shop.receipt(text="Kitchen\n\n  1 x soup\n  2 x Käsespätzle\n")
    assert job["state"] == "printed" and events == ["label", "cut"]
    assert paper.size[1] >= 5 * 24 and ink(paper)
    _, twice, events = shop.receipt(text="once more", copies=2)
    assert events.count("label") >= 1
    shop.prints += 1
    shop.till.wait_for(shop.prints)


def ink(paper: Image.Image) -> int:
    """Black dots."""
    return paper.histogram()[0]


def test_a_receipt_waits_for_paper_and_comes_once(shop: Shop) -> None:
    shop.till.do("paper out")
    answer = shop.send(receipt=[{"text": "later"}])
    until(lambda: shown(shop, "till")["reasons"] == ["media-empty"], 60, lambda: shown(shop, "till"))
    assert shop.bridge.job(answer.json["id"])["state"] in ("queued", "preparing")
    shop.till.do("refill")
    assert shop.over(answer)["state"] == "printed"
    shop.prints += 1
    time.sleep(0.3)
    assert len(shop.till.labels) == shop.prints


def shown(shop: Shop, name: str) -> Any:
    return shop.bridge.call("GET", f"/v1/printers/{name}").json


def test_the_drawer_is_for_keys_that_may_open_it(shop: Shop) -> None:
    till = shop.key(scopes=["jobs"], drawer=False)
    before = len(shop.till.lines("drawer"))
    for refused in (
        shop.send(till, receipt=[{"text": "a"}, {"drawer": {"pin": 2}}]),
        shop.send(till, document_base64=b64(b"\x1b@a\n\x1bp\x00\x32\x64"), document_type="raw"),
        till.call("POST", "/v1/printers/till/drawer", {}),
    ):
        assert refused.status == 403 and refused.json["error"]["code"] == "raw_not_allowed", refused
        assert "drawer" in refused.json["error"]["text"] and "--drawer" in refused.json["error"]["remedy"]
    assert shop.over(shop.send(till, receipt=[{"text": "without"}]))["state"] == "printed"
    shop.prints += 1
    assert len(shop.till.lines("drawer")) == before
    opened = shop.bridge.call("POST", "/v1/printers/till/drawer", {"pin": 5, "on_ms": 100, "off_ms": 200})
    assert shop.over(opened)["state"] in ("printed", "delivered")
    until(lambda: len(shop.till.lines("drawer")) == before + 1, 5, shop.till.lines)
    assert shop.till.lines("drawer")[-1]["pin"] == 5 and len(shop.till.labels) == shop.prints
    wrong = shop.bridge.call("POST", "/v1/printers/dock/drawer", {})
    assert (wrong.status, wrong.json["error"]["code"]) == (409, "no_drawer")


def test_a_key_for_safe_code_prints_a_label_and_resets_nothing(shop: Shop) -> None:
    safe = shop.key(scopes=["jobs"], raw="raw-safe")
    label = b"^XA^FO20,20^GB100,100,4^FS^XZ"
    bad = safe.call("POST", "/v1/jobs", {"printer": "dock", "document_base64": b64(label + b"~JR" + label)})
    assert bad.status == 403 and bad.json["error"]["code"] == "raw_not_allowed"
    assert bad.json["error"]["text"].startswith(f"~JR at byte offset {len(label)} ")
    good = safe.call("POST", "/v1/jobs", {"printer": "dock", "document_base64": b64(label)})
    assert shop.over(good)["state"] == "printed"
    assert len(shop.dock.wait_for(1)) == 1 and shop.dock.lines("reset") == []
    documents = shop.key(scopes=["jobs"], raw="documents")
    code = documents.call("POST", "/v1/jobs", {"printer": "dock", "document_base64": b64(label)})
    assert code.status == 403 and "may print documents only" in code.json["error"]["text"]


def test_a_receipt_for_a_label_printer_fails_and_says_why(shop: Shop) -> None:
    answer = shop.send(printer="dock", receipt=[{"text": "hello"}])
    job = shop.over(answer)
    assert job["state"] == "failed"
    assert "receipts and texts are for ESC/POS printers, this one speaks zpl" in job["text"]


@pytest.mark.parametrize(
    ("receipt", "field"),
    [([{"text": "a"}, {"txt": "b"}], "receipt.2"), ([{"qr": "x", "size": 99}], "receipt.1.size"), ([], "receipt")],
)
def test_a_receipt_that_is_none_is_refused_by_its_element(shop: Shop, receipt: list[Any], field: str) -> None:
    answer = shop.send(receipt=receipt)
    assert answer.status in (400, 422) and answer.json["error"]["field"] == field, answer


def main() -> None:
    """Draw the receipt of this file: python -m tests.test_receipts_end_to_end FILE.png"""
    import sys

    as_read(SHOW).save(sys.argv[1])


if __name__ == "__main__":
    main()
