"""The main job, end to end: a web app posts to a real `print-bridge serve`, and a real 9100 printer gets the label."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

from devices.contracts import Bitmap
from devices.readers.zpl import read
from tests.bridge.papers import CATALOG, batch, pdf, shipping_label, stream, tracking
from tests.fake.printer import FakePrinter, Habits
from tests.fake.web import Handler, Web
from tests.serving import ROOT, Serve, b64, free_port, printer

GOLDEN = ROOT / "tests" / "golden" / "shipping-label.pdf"
ZPL = b"^XA^FO50,50^A0N,40,40^FDhello^FS^XZ"
EPL = b'\nN\nq812\nA50,50,0,4,1,1,N,"hello"\nP1\n'

Dots = NDArray[np.bool_]


@dataclass
class Shop:
    """A bridge, the printers it knows and the web server documents come from."""

    bridge: Serve
    web: Web
    dock: FakePrinter
    cut: FakePrinter
    away: FakePrinter

    def prints(self, payload: Any, to: str = "dock", **fields: Any) -> tuple[Any, bytes]:
        """Post a job, wait until it is delivered: the job, and what arrived."""
        before = len(self.dock.jobs)
        job = self.bridge.wait(self.bridge.send(to, payload, **fields))
        assert job["state"] == "delivered", job
        return job, self.dock.wait_for(before + 1)[before]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    data = tmp_path_factory.mktemp("shop") / "data"
    with FakePrinter() as dock, FakePrinter() as cut, FakePrinter(refuse=True) as away, Web() as web:
        config = printer("dock", dock.uri) + printer("cut", cut.uri) + printer("away", away.uri)
        with Serve(data, config) as bridge:
            yield Shop(bridge, web, dock, cut, away)


# ---- from page to paper ---------------------------------------------------------------------------------------------


def dots(page: Bitmap) -> Dots:
    """True is black."""
    rows = np.frombuffer(page.rows, np.uint8).reshape(page.height, page.stride)
    return np.unpackbits(rows, axis=1)[:, : page.width].astype(bool)


def poppler(document: bytes, dpi: int) -> Dots:
    """The page as another engine draws it in gray, black where it is at least half black."""
    drawn = subprocess.run(["pdftoppm", "-r", str(dpi), "-gray", "-"], input=document, capture_output=True, check=True)
    return np.array(Image.open(io.BytesIO(drawn.stdout))) < 128


def near_an_edge(picture: Dots) -> Dots:
    """The dots within one dot of a boundary between black and white."""
    framed = np.pad(picture, 1, mode="edge")
    height, width = picture.shape
    around = [framed[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    edge: Dots = np.logical_or.reduce([each != picture for each in around])
    return edge


def barcodes(picture: Dots) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(Image.fromarray(~picture))]


def seen(shop: Shop, job_id: str) -> list[str]:
    """The states the event stream tells of, in order, each once."""
    events = shop.bridge.call("GET", "/v1/events?after=0&limit=500").json["events"]
    states = [event["state"] for event in events if event["job_id"] == job_id]
    return list(dict.fromkeys(state for state in states if state is not None))


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="needs poppler's pdftoppm to compare with")
def test_a_shipping_label_comes_out_as_poppler_draws_it(shop: Shop) -> None:
    document = GOLDEN.read_bytes()
    shop.web.serve("/label.pdf", document)
    _, paper = shop.prints(json.dumps({"document_url": shop.web.url("/label.pdf"), "document_type": "pdf"}))
    [label] = read(paper)
    assert label.bitmap is not None and label.undrawn == ()
    ours, theirs = dots(label.bitmap), poppler(document, 203)
    assert ours.shape == theirs.shape == (1218, 812)
    assert not (ours != theirs)[~near_an_edge(theirs)].any()
    assert barcodes(ours) == [tracking(1)]


def test_a_job_of_two_copies_is_one_format_and_goes_from_launched_over_pending_to_completed(shop: Shop) -> None:
    asked, answer = threading.Event(), threading.Event()

    def hold_back(handler: Handler) -> None:
        asked.set()
        assert answer.wait(20)
        handler.answer(200, GOLDEN.read_bytes())

    shop.web.routes["/slow.pdf"] = hold_back
    before = len(shop.dock.jobs)
    payload = json.dumps({"document_type": "pdf", "document_url": shop.web.url("/slow.pdf"), "copies": "2"})
    job = shop.bridge.post("dock", payload).json["data"]
    assert (job["status"], job["payload"], job["device_name"]) == (2, payload, "dock")
    assert asked.wait(10)
    shop.bridge.wait(job["id"], "preparing")
    assert shop.bridge.status(job["id"]) == 3
    listed = shop.bridge.api("jobs/list", device_id=job["device_id"], status=3)["data"]
    assert job["id"] in [each["id"] for each in listed]
    answer.set()
    assert shop.bridge.wait(job["id"])["evidence"] == "closed"
    assert shop.bridge.status(job["id"]) == 4
    assert seen(shop, job["id"]) == ["queued", "preparing", "sending", "delivered"]
    [paper] = shop.dock.wait_for(before + 1)[before:]
    assert paper.count(b"^XA") == paper.count(b"^XZ") == paper.count(b"^PQ2") == 1
    assert [label.copies for label in read(paper)] == [2]


def test_the_label_of_the_readme_is_the_first_of_the_morning(shop: Shop) -> None:
    _, golden = shop.prints({"document_base64": b64(GOLDEN.read_bytes())})
    _, fresh = shop.prints({"document_base64": b64(shipping_label(1))})
    assert golden == fresh, "make tests/golden/shipping-label.pdf again: shipping_label(1) of tests/bridge/papers.py"


def test_a_png_in_the_size_of_the_label_is_printed_dot_by_dot(shop: Shop) -> None:
    picture = Image.effect_noise((812, 1218), 200).point(lambda gray: 255 * (gray > 127))
    file = io.BytesIO()
    picture.save(file, "PNG", dpi=(203, 203))
    _, paper = shop.prints({"document_type": "png", "document_base64": b64(file.getvalue())})
    [label] = read(paper)
    assert label.bitmap is not None
    assert np.array_equal(dots(label.bitmap), np.array(picture) == 0)


def test_a_jpeg_is_printed_whatever_it_is_called(shop: Shop) -> None:
    picture = Image.new("L", (812, 1218), 255)
    picture.paste(0, (100, 200, 300, 500))
    file = io.BytesIO()
    picture.save(file, "JPEG", dpi=(203, 203))
    _, paper = shop.prints({"document_type": "pdf", "document_base64": b64(file.getvalue())})
    [label] = read(paper)
    assert label.bitmap is not None
    page, sent = dots(label.bitmap), np.array(picture) == 0
    assert not (page != sent)[~near_an_edge(sent)].any()


def test_copies_of_more_than_one_page_come_as_whole_sequences(shop: Shop) -> None:
    job, paper = shop.prints({"document_base64": b64(batch(3)), "copies": 2})
    labels = read(paper)
    assert job["pages"] == 3
    assert [label.copies for label in labels] == [1] * 6
    pages = [label.bitmap for label in labels if label.bitmap is not None]
    assert pages[:3] == pages[3:]
    assert [barcodes(dots(page)) for page in pages[:3]] == [[tracking(n)] for n in (1, 2, 3)]


def test_an_a4_page_is_shrunk_to_the_label_and_the_job_says_by_how_much(shop: Shop) -> None:
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>"
    frame = stream(b"4 w 2 2 591 838 re S")
    job, paper = shop.prints(
        {"document_base64": b64(pdf(CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", page, frame))}
    )
    assert job["note"] == "shrunk to 48 % of its size to fit the label"
    [label] = read(paper)
    assert label.bitmap is not None and (label.bitmap.width, label.bitmap.height) == (812, 1218)
    rows, columns = np.nonzero(dots(label.bitmap))
    assert columns.max() - columns.min() + 1 == pytest.approx(812, abs=2)
    assert rows.max() - rows.min() + 1 == pytest.approx(0.484 * 842 / 72 * 203, abs=3)


# ---- printer code ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "declared"),
    [(ZPL, "raw"), (ZPL, "zpl"), (ZPL, None), (ZPL, "pdf"), (b"\n" + ZPL * 5_000, None), (bytes(range(256)), "raw")],
    ids=["called raw", "called zpl", "called nothing", "called pdf", "175 kB", "every byte, called raw"],
)
def test_printer_code_arrives_byte_for_byte(shop: Shop, document: bytes, declared: str | None) -> None:
    payload = {"document_base64": b64(document), "document_type": declared}
    assert shop.prints(payload)[1] == document


def test_copies_of_printer_code_are_repeated_on_one_connection(shop: Shop) -> None:
    before = shop.dock.connections
    assert shop.prints({"document_base64": b64(ZPL), "copies": "3"})[1] == ZPL * 3
    assert shop.dock.connections == before + 1


def test_printer_code_may_come_from_a_web_server(shop: Shop) -> None:
    shop.web.serve("/label.zpl", ZPL, {"Content-Type": "text/html"})
    assert shop.prints({"document_url": shop.web.url("/label.zpl")})[1] == ZPL


def test_a_job_in_another_language_fails_and_names_both(shop: Shop) -> None:
    before = shop.dock.connections
    job_id = shop.bridge.send("dock", {"document_base64": b64(EPL), "document_type": "raw"})
    shop.bridge.wait(job_id)
    job = shop.bridge.api("jobs/get", job_id=job_id)["data"]
    assert job["status"] == 5
    assert "the job is EPL2, the printer dock speaks ZPL" in job["error"] and "force" in job["error"]
    assert shop.dock.connections == before


def test_force_sends_it_all_the_same(shop: Shop) -> None:
    payload = {"document_base64": b64(EPL), "document_type": "raw", "options": {"force": True}}
    assert shop.prints(payload)[1] == EPL


# ---- whose job, and how often ---------------------------------------------------------------------------------------


def test_a_job_for_another_machine_waits_for_it(shop: Shop) -> None:
    client = shop.bridge.api("clients/create", hostname="till-3", ip_address="10.0.0.3")["data"]["id"]
    device = shop.bridge.api("devices/create", client_id=client, name="its printer", device_type=1)["data"]["id"]
    shop.web.serve("/theirs.pdf", GOLDEN.read_bytes())
    before = shop.dock.connections
    job_id = shop.bridge.send("dock", {"document_url": shop.web.url("/theirs.pdf")}, client_id=client, device_id=device)
    shop.prints({"document_base64": b64(ZPL)})
    assert shop.bridge.status(job_id) == 2
    assert [job["id"] for job in shop.bridge.api("jobs/list", client_id=client, status=2)["data"]] == [job_id]
    assert shop.dock.connections == before + 1
    assert "/theirs.pdf" not in [request.path for request in shop.web.requests]


def test_the_same_idempotency_key_prints_once(shop: Shop) -> None:
    before, key = len(shop.dock.jobs), {"Idempotency-Key": "order-4711"}
    payload = {"document_base64": b64(ZPL)}
    first = shop.bridge.send("dock", payload, headers=key)
    shop.bridge.wait(first)
    assert shop.bridge.send("dock", payload, headers=key) == first
    other = shop.bridge.post("dock", {"document_base64": b64(ZPL * 2)}, headers=key)
    assert other.status == 409 and "Idempotency-Key" in other.json["message"]
    shop.prints({"document_base64": b64(EPL + ZPL), "document_type": "raw", "options": {"force": True}})
    assert shop.dock.jobs[before:] == [ZPL, EPL + ZPL]


def test_a_delivered_job_prints_again_when_launched_again(shop: Shop) -> None:
    job, paper = shop.prints({"document_base64": b64(ZPL)})
    before = len(shop.dock.jobs)
    assert shop.bridge.api("jobs/launch", job_id=job["id"]) == []
    assert shop.dock.wait_for(before + 1)[before:] == [paper]
    again = shop.bridge.wait(job["id"])
    assert (again["state"], again["launch"], again["possible_duplicate"]) == ("delivered", 2, True)


@pytest.mark.parametrize(
    ("answer", "status", "state"), [("printed", 4, "delivered"), ("cancel", 5, "cancelled"), ("again", 4, "delivered")]
)
def test_a_job_that_was_cut_off_waits_for_a_persons_word(shop: Shop, answer: str, status: int, state: str) -> None:
    label = b"^XA^FX" + b"x" * 300_000 + b"^XZ"
    shop.cut.habits, before = Habits(reset_after=50_000), len(shop.cut.jobs)
    job_id = shop.bridge.send("cut", {"document_base64": b64(label)})
    assert shop.bridge.wait(job_id)["state"] == "unconfirmed"
    shop.cut.habits = Habits()
    told = shop.bridge.api("jobs/get", job_id=job_id)["data"]
    assert told["status"] == 3 and "may have printed" in told["error"]
    refused = shop.bridge.call("POST", "/api/jobs/launch", {"job_id": job_id})
    assert refused.status == 409 and f"/v1/jobs/{job_id}/resolve" in refused.json["message"]
    assert shop.bridge.call("POST", f"/v1/jobs/{job_id}/resolve", {"answer": answer}).status == 200
    assert shop.bridge.wait(job_id)["state"] == state
    assert shop.bridge.status(job_id) == status
    assert shop.cut.jobs[before:] == ([label] if answer == "again" else [])


# ---- waiting --------------------------------------------------------------------------------------------------------


def test_a_job_cancelled_while_its_printer_is_away_never_prints(shop: Shop) -> None:
    job_id = shop.bridge.send("away", {"document_base64": b64(ZPL)})
    shown = offline(shop.bridge, "away")
    assert shown["state"] == "stopped" and shop.away.uri in shown["text"]
    assert shop.bridge.status(job_id) == 2
    assert shop.bridge.call("POST", f"/v1/jobs/{job_id}/cancel").json["state"] == "cancelled"
    assert shop.bridge.status(job_id) == 5
    second = shop.bridge.send("away", {"document_base64": b64(ZPL * 2)})
    shop.away.switch_on()
    assert shop.bridge.wait(second)["state"] == "delivered"
    assert shop.away.jobs == [ZPL * 2]


def offline(bridge: Serve, name: str, timeout: float = 60) -> Any:
    """The printer, once it is known to be offline."""
    deadline = time.monotonic() + timeout
    while "offline" not in (shown := bridge.call("GET", f"/v1/printers/{name}").json)["reasons"]:
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)
    return shown


def test_a_pause_outlives_a_restart(tmp_path: Path) -> None:
    with FakePrinter() as dock, Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
        paused = bridge.call("POST", "/v1/printers/dock/pause", {"reason": "changing the roll"}).json
        assert (paused["paused"], paused["state"]) == (True, "stopped")
        job_id = bridge.send("dock", {"document_base64": b64(ZPL)})
        assert bridge.stop() == 0
        bridge.start()
        shown = bridge.call("GET", "/v1/printers/dock").json
        assert shown["paused"] and "changing the roll" in shown["text"] and shown["waiting"] == 1
        time.sleep(0.3)
        assert (bridge.status(job_id), dock.connections) == (2, 0)
        assert bridge.call("POST", "/v1/printers/dock/resume").json["paused"] is False
        assert bridge.wait(job_id)["state"] == "delivered"
        assert dock.jobs == [ZPL]


# ---- stopping and starting ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "end"), [(200_000, "delivered"), (4_000_000, "unconfirmed")])
def test_a_label_on_its_way_when_the_service_is_stopped_is_never_printed_twice(
    tmp_path: Path, size: int, end: str
) -> None:
    label = b"^XA^FX" + b"x" * size + b"^XZ"
    with (
        FakePrinter(slow=200_000, rcvbuf=4096) as dock,
        Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge,
    ):
        job_id = bridge.send("dock", {"document_base64": b64(label)})
        waiting = bridge.send("dock", {"document_base64": b64(ZPL)})
        bridge.wait(job_id, "sending")
        time.sleep(0.3)
        began = time.monotonic()
        assert bridge.stop() == 0
        assert time.monotonic() - began < 40
        dock.habits = Habits()
        bridge.start()
        assert bridge.wait(job_id)["state"] == end
        assert bridge.wait(waiting)["state"] == "delivered"
        dock.wait_until_idle()
        first, *between, second = dock.jobs
        assert second == ZPL and dock.unfinished == []
        assert set(between) <= {b"~JX~JX^FS^XZ"}  # nobody wrote down that it was ended already
        if end == "delivered":
            assert first == label
        else:  # ended in order, so that the next label is not taken for its rest
            assert first.endswith(b"x~JX~JX^FS^XZ") and label.startswith(first.removesuffix(b"~JX~JX^FS^XZ"))


def test_a_second_bridge_on_the_same_folder_refuses_and_names_the_first(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        second = subprocess.run(
            [sys.executable, "-m", "bridge", "serve", "--data", str(bridge.folder), "--port", "0"],
            capture_output=True, text=True, cwd=ROOT, timeout=60,
        )  # fmt: skip
        assert second.returncode not in (0, None)
        assert bridge.process is not None and f"pid {bridge.process.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        assert bridge.api("test")["organization_id"] == bridge.organization_id


def test_the_credentials_are_complete_before_the_port_answers(tmp_path: Path) -> None:
    port = free_port()
    at_first_answer: list[tuple[int, Any]] = []

    def watch() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                file = tmp_path / "data" / "credentials.json"
                at_first_answer.append((stat.S_IMODE(file.stat().st_mode), json.loads(file.read_text())))
                return
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Serve(tmp_path / "data", port=port) as bridge:
        watcher.join()
        [(mode, found_there)] = at_first_answer
        assert mode == 0o600
        assert set(found_there) == {"organization_id", "api_key", "client_id", "url"}
        assert found_there["api_key"] == bridge.key and found_there["url"] == f"http://127.0.0.1:{port}"
        assert bridge.api("test") == {"organization_id": found_there["organization_id"]}


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_nobody_else_on_this_machine_can_read_the_data(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Serve(tmp_path / "data") as bridge:
            job_id = bridge.send("virtual", {"document_base64": b64(GOLDEN.read_bytes())})
            assert bridge.wait(job_id)["state"] == "delivered"
            bridge.wait(bridge.send("virtual", {"document_base64": b64(ZPL * 5_000)}))
            found = {path: stat.S_IMODE(path.stat().st_mode) for path in [bridge.folder, *bridge.folder.rglob("*")]}
            names = {path.name for path in found}
            assert {"credentials.json", "bridge.db", "bridge.db-wal", "lock", "spool", "virtual"} <= names
            assert any(re.search(r"\.png$", name) for name in names)
            assert {oct(mode) for path, mode in found.items() if path.is_dir()} == {"0o700"}
            assert {oct(mode) for path, mode in found.items() if path.is_file()} == {"0o600"}
    finally:
        os.umask(before)
