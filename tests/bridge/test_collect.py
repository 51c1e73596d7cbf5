"""Fetching for waiting jobs: once, kept, and never in the way of a job that is ready."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.intake import collect
from bridge.model import State
from tests.bridge.shop import LABEL, PDF, Shop, full_disk, until
from tests.fake.printer import FakePrinter
from tests.fake.web import Web

LARGE = LABEL * 100


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as web:
        yield web


@pytest.mark.parametrize("body", [LABEL, LARGE], ids=["row", "file"])
def test_a_document_is_fetched_and_printed(shop: Shop, web: Web, body: bytes) -> None:
    web.serve("/label", body)
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        shop.collector()
        job = shop.wait(shop.link(web.url("/label"), copies=2))
        assert (job.state, job.kind, job.size) == ("delivered", "zpl", len(body))
        assert printer.wait_for(1) == [body * 2]


def test_a_document_is_fetched_once_however_often_it_is_printed(shop: Shop, web: Web) -> None:
    web.serve("/label", LABEL)
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        shop.collector()
        job = shop.link(web.url("/label"))
        for _ in range(3):
            shop.wait(job)
            shop.control.launch(shop.org, job.id)
        assert printer.wait_for(4) == [LABEL] * 4
        assert len(web.requests) == 1


def test_a_hanging_server_delays_no_job_that_is_ready(shop: Shop, web: Web) -> None:
    web.hang("/never")
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        shop.collector()
        for _ in range(3):
            shop.link(web.url("/never"))
        began = time.monotonic()
        assert shop.wait(shop.send()).state == "delivered"
        assert time.monotonic() - began < 15  # of the twenty seconds a fetch may take


def test_one_printers_hanging_server_leaves_threads_for_the_others(shop: Shop, web: Web) -> None:
    web.hang("/never")
    web.serve("/label", LABEL)
    with FakePrinter() as printer:
        shop.lane("dock")
        shop.worker(printer.uri, "till")
        shop.collector()
        for _ in range(10):
            shop.link(web.url("/never"), "dock")
        assert shop.wait(shop.link(web.url("/label"), "till")).state == "delivered"
        until(lambda: len(web.requests) == 3)  # two at a time for the printer that hangs


def test_what_cannot_be_fetched_fails_with_the_reason(shop: Shop, web: Web) -> None:
    web.serve("/page", b"<html>Please log in</html>")
    web.serve("/nothing", b"")
    shop.lane()
    shop.collector()
    for path, text in (
        ("/missing", "404"), ("/page", "the document is an HTML page"), ("/nothing", "the document is empty (0 bytes)"),
    ):  # fmt: skip
        job = shop.wait(shop.link(web.url(path)))
        assert job.state == "failed"
        assert text in job.text
    assert list(shop.store.spool.documents.iterdir()) == []


def test_a_picture_is_left_to_those_who_draw(shop: Shop, web: Web) -> None:
    web.serve("/file", PDF)
    lane = shop.lane()
    shop.collector()
    job = shop.link(web.url("/file"))
    ticket = shop.store.lanes.next_to_draw(0)
    assert ticket is not None and ticket.job_id == job.id
    assert shop.job(job).kind == "pdf"
    assert lane.first_ready() is None


def test_a_cancelled_fetch_is_broken_off_and_the_next_one_begins(shop: Shop, web: Web) -> None:
    web.drip("/slow", interval_s=0.05)
    shop.lane()
    shop.collector()
    jobs = [shop.link(web.url("/slow")) for _ in range(3)]
    until(lambda: len(web.requests) == 2)
    shop.control.cancel(shop.org, jobs[0].id)
    until(lambda: len(web.requests) == 3)
    until(lambda: [shop.state(job) for job in jobs] == ["cancelled", "preparing", "preparing"])


def test_a_job_launched_again_while_its_fetch_is_broken_off_is_fetched_anew(shop: Shop, web: Web) -> None:
    web.drip("/label", interval_s=0.05)
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        shop.collector()
        job = shop.link(web.url("/label"))
        until(lambda: len(web.requests) == 1)
        web.serve("/label", LABEL)
        shop.control.cancel(shop.org, job.id)
        shop.control.launch(shop.org, job.id)
        assert shop.wait(job).state == "delivered"
        assert printer.wait_for(1) == [LABEL]


def test_after_a_restart_it_is_fetched_again(shop: Shop, web: Web, tmp_path: Path) -> None:
    web.hang("/label")
    shop.lane()
    shop.collector()
    job = shop.link(web.url("/label"))
    until(lambda: shop.state(job) == "preparing")
    shop.stop()
    web.serve("/label", LABEL)
    with FakePrinter() as printer, Shop(tmp_path) as again:
        again.worker(printer.uri)
        again.collector()
        assert again.wait(job).state == "delivered"


def test_a_full_disk_is_no_fault_of_the_document(
    shop: Shop, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "PAUSE_S", 0.05)
    web.serve("/label", LARGE)
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.link(web.url("/label"))
        with full_disk(shop.store.engine.path):
            shop.collector()
            until(lambda: len(web.requests) >= 2)
        assert shop.wait(job).state == "delivered"
        assert printer.wait_for(1) == [LARGE]


def test_a_job_that_lost_its_address_fails_instead_of_waiting_for_ever(shop: Shop, web: Web) -> None:
    shop.lane()
    job = shop.link(web.url("/label"))
    shop.store.engine.write(lambda db: db.execute("UPDATE jobs SET url = NULL"))
    shop.collector()
    assert shop.wait(job).text == "the job has no document; send the job again with the document"
    assert shop.state(job) == State.FAILED
