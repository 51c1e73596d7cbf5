"""A disk that fills up under a real serve: refused in time, nothing partial, nothing lost, nothing twice. Promise R08.

On a real small file system (tests/smalldisk.py); the printer is on the other side of a TCP connection.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bridge.papers import batch
from tests.bridge.shop import until
from tests.fake.printer import FakePrinter
from tests.serving import Answer, Serve, b64, printer
from tests.smalldisk import SmallDisk

MIB = 1024 * 1024
_NUMBER = re.compile(rb"\^FX label (\d+) ")
LOW = "[limits]\ndisk_reserve_mb = 6\n\n"
NOTHING_KEPT = "[limits]\ndisk_reserve_mb = 0\n\n"


def label(number: int, size: int = 2000) -> bytes:
    filler = b"^FO20,20^A0N,30,30^FDDISK FULL^FS"
    return b"^XA^FX label %d ^FS" % number + filler * (size // len(filler)) + b"^XZ"


def papers(paper: FakePrinter) -> Counter[int]:
    found = [_NUMBER.search(data) for data in (*paper.jobs, *paper.unfinished)]
    return Counter(int(match[1]) for match in found if match)


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    with SmallDisk(24 * MIB) as disk:
        yield disk


@pytest.fixture
def paper() -> Iterator[FakePrinter]:
    with FakePrinter() as paper:
        yield paper


def serve_on(disk: SmallDisk, tmp_path: Any, paper: FakePrinter, limits: str) -> Serve:
    """Only the data folder lies on the small disk."""
    serve = Serve(disk.folder / "data", limits + printer("dock", paper.uri))
    (tmp_path / "log").mkdir()
    serve.log = tmp_path / "log" / "serve.log"
    return serve


def v1(serve: Serve, data: bytes) -> Answer:
    return serve.call("POST", "/v1/jobs?printer=dock", data, {"Content-Type": "application/octet-stream"})


def wait_until_taken_in(serve: Serve, number: int, timeout: float = 60) -> str:
    """The id of a job that is posted again and again until it is taken: the first refusals are still of before."""
    deadline = time.monotonic() + timeout
    while (answer := v1(serve, label(number))).status == 507:
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
    assert answer.status == 201, answer
    job_id: str = answer.json["id"]
    return job_id


def test_a_disk_that_gets_low_takes_nothing_new_and_prints_what_it_has(
    disk: SmallDisk, paper: FakePrinter, tmp_path: Any
) -> None:
    with serve_on(disk, tmp_path, paper, LOW) as serve:
        paper.switch_off()
        taken = {serve.send("dock", {"document_base64": b64(label(n))}): n for n in range(5)}
        disk.fill(leave=5 * MIB)
        until(lambda: serve.call("GET", "/v1/health").json["disk"]["low"])
        for path, body, shape in (
            ("/v1/jobs?printer=dock", label(100), "error"),
            ("/v1/jobs?printer=dock", label(101, 3 * MIB), "error"),
            ("/api/jobs/create", None, "message"),
        ):
            if body is None:
                answer = serve.post("dock", {"document_base64": b64(label(102))})
            else:
                answer = serve.call("POST", path, body, {"Content-Type": "application/octet-stream"})
            assert answer.status == 507, answer
            assert shape in answer.json and "disk" in json.dumps(answer.json), answer.json
        assert serve.call("GET", "/v1/health").json["disk"]["low"] is True
        assert serve.total() == 5
        paper.switch_on()
        for job_id in taken:
            serve.wait(job_id, "delivered")
        disk.empty()
        serve.wait(wait_until_taken_in(serve, 103), "delivered")
        assert papers(paper) == Counter([*taken.values(), 103])
        assert not list((disk.folder / "data/spool/documents").iterdir())


def test_an_upload_that_would_fill_the_disk_is_refused_while_it_comes_in(
    disk: SmallDisk, paper: FakePrinter, tmp_path: Any
) -> None:
    with serve_on(disk, tmp_path, paper, LOW) as serve:
        answer = v1(serve, label(1, disk.free() - 5 * MIB))
        assert answer.status == 507 and answer.json["error"]["code"] == "disk_low", answer
        assert not list((disk.folder / "data/spool/documents").iterdir())
        assert serve.total() == 0
        serve.wait(v1(serve, label(2, 2 * MIB)).json["id"], "delivered")


@pytest.mark.parametrize("leave", [0, 20_000, 300_000])
def test_a_disk_that_is_full_to_the_last_byte_while_labels_come_in(
    disk: SmallDisk, paper: FakePrinter, tmp_path: Any, leave: int
) -> None:
    """With nothing kept back by the setting: 50 labels, and the disk fills after the tenth."""
    taken: dict[str, int] = {}
    with serve_on(disk, tmp_path, paper, NOTHING_KEPT) as serve:
        statuses = Counter[int]()
        for number in range(50):
            if number == 10:
                disk.fill(leave=leave)
            answer = v1(serve, label(number, 30_000 if number % 7 == 0 else 2000))
            statuses[answer.status] += 1
            assert answer.status in (201, 507), answer
            if answer.status == 201:
                taken[answer.json["id"]] = number
            else:
                assert answer.json["error"]["code"] == "disk_low", answer.json
        assert statuses[201] >= 10 and statuses[507], statuses
        for job_id in taken:
            serve.wait(job_id, "delivered")
        assert serve.total() == len(taken)
        disk.empty()
        extra = wait_until_taken_in(serve, 1000)
        serve.wait(extra, "delivered")
    assert papers(paper) == Counter([*taken.values(), 1000])


def test_a_disk_that_fills_while_labels_are_being_sent(disk: SmallDisk, paper: FakePrinter, tmp_path: Any) -> None:
    """What becomes of each label is written down with the reserve, also across a kill."""
    serve = serve_on(disk, tmp_path, paper, NOTHING_KEPT)
    with serve:
        paper.switch_off()
        taken = {serve.send("dock", {"document_base64": b64(label(n))}): n for n in range(40)}
        disk.fill()
        paper.switch_on()
        for job_id in taken:
            serve.wait(job_id, "delivered", timeout=60)
        assert papers(paper) == Counter(taken.values())
        serve.kill()
        serve.start()  # on the full disk
        assert {serve.job(job_id)["state"] for job_id in taken} == {"delivered"}
        assert papers(paper) == Counter(taken.values())
        disk.empty()
        serve.wait(wait_until_taken_in(serve, 1000), "delivered")
    assert papers(paper) == Counter([*taken.values(), 1000])


def test_a_document_that_cannot_be_drawn_for_lack_of_room_is_drawn_when_there_is_some(
    disk: SmallDisk, paper: FakePrinter, tmp_path: Any
) -> None:
    """Two are drawn ahead of the printer; the others' turn comes when the disk is full."""
    with serve_on(disk, tmp_path, paper, NOTHING_KEPT) as serve:
        paper.switch_off()
        jobs = [serve.send("dock", {"document_base64": b64(batch(1))}) for _ in range(5)]
        deadline = time.monotonic() + 60
        while len(list((disk.folder / "data/spool/output").glob("*.prn"))) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        disk.fill()
        paper.switch_on()
        paper.wait_for(2)
        time.sleep(3)
        disk.empty()
        for job_id in jobs:
            job = serve.wait(job_id, timeout=60)
            assert job["state"] == "delivered", job
        assert len(paper.jobs) == 5
