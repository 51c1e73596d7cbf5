"""The only door: a job is acknowledged when it is durable, once per key, and what was refused leaves nothing."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.errors import BridgeError, Conflict, Invalid, NotFound, TooLarge
from bridge.model import Inline, Options, State, Template, Upload, Url
from tests.bridge.shop import LABEL, PDF, Shop, full_disk, together

LARGE = LABEL * 100  # 200 kB: a file, not a row


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "data").mkdir()
    with Shop(tmp_path / "data") as shop:
        yield shop


def upload(shop: Shop, data: bytes = LARGE) -> Upload:
    with shop.intake.receive() as incoming:
        incoming.write(data)
        return incoming.finish()


def files(shop: Shop) -> list[str]:
    return sorted(path.name for path in shop.store.spool.documents.iterdir())


def document(shop: Shop, job_id: str) -> bytes:
    body = shop.store.jobs.body(shop.org, job_id)
    return body if body is not None else shop.store.spool.document(job_id).read_bytes()


# -- durable


@pytest.mark.parametrize("data", [LABEL, LARGE], ids=["row", "file"])
def test_an_accepted_job_is_on_the_disk_with_its_document(shop: Shop, tmp_path: Path, data: bytes) -> None:
    job = shop.send(data)
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    with Shop(tmp_path / "copy") as copy:
        found = copy.store.jobs.get(shop.org, job.id)
        assert found == job
        assert document(copy, job.id) == data


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 1_000_000])
def test_a_document_of_any_size_is_kept_byte_for_byte(shop: Shop, size: int) -> None:
    data = (b"^XA" + bytes(range(256)) * (size // 256 + 1))[:size]
    by_value, by_file = shop.send(data, declared="zpl"), shop.send(upload(shop, data), declared="zpl")
    assert document(shop, by_value.id) == document(shop, by_file.id) == data
    assert by_value.sha256 == by_file.sha256
    assert by_value.size == by_file.size == size


def test_what_it_is_decides_what_becomes_of_it(shop: Shop) -> None:
    sent = [shop.send(LABEL), shop.send(PDF), shop.send(b"hello", declared="raw"), shop.send(Template("a", {}))]
    assert [(job.kind, job.is_raw) for job in sent] == [
        ("zpl", True), ("pdf", False), ("raw", True), ("template", False),
    ]  # fmt: skip


def test_a_title_is_made_fit_to_stand_in_a_line(shop: Shop) -> None:
    assert shop.send(title="a\x00b\u202e\ud800c\n" + "x" * 300).title == "abc" + "x" * 252
    assert shop.send(title=" \n ").title == "Untitled"


# -- once


def test_fifty_threads_with_one_key_are_one_job_in_the_queue_with_one_document(shop: Shop) -> None:
    lane = shop.lane()
    wanted = shop.request(LARGE, idempotency_key="order 7")
    answers = together(50, lambda n: shop.intake.accept(wanted))
    assert len({job.id for job, _ in answers}) == 1
    assert [created for _, created in answers].count(True) == 1
    assert len(lane.tickets) == 1
    assert files(shop) == [answers[0][0].id]


def test_a_key_used_for_something_else_is_refused(shop: Shop) -> None:
    first = shop.send(LABEL, idempotency_key="order 7")
    device = shop.device("till")
    for other in (
        shop.request(LABEL + b"^XA^XZ", idempotency_key="order 7"),
        shop.request(LABEL, idempotency_key="order 7", copies=2),
        shop.request(LABEL, idempotency_key="order 7", options=Options(force=True)),
        replace(shop.request(LABEL, idempotency_key="order 7"), device_id=device.id),
        shop.request(LARGE, idempotency_key="order 7"),
        shop.request(upload(shop), idempotency_key="order 7"),
    ):
        with pytest.raises(Conflict, match="used before for a different job; send a new key"):
            shop.intake.accept(other)
    assert shop.store.jobs.page(shop.org) == ([first], 1)
    assert files(shop) == []


def test_an_upload_that_is_a_repetition_is_removed(shop: Shop) -> None:
    first = shop.send(upload(shop), idempotency_key="order 7")
    again, created = shop.intake.accept(shop.request(upload(shop), idempotency_key="order 7"))
    assert (again, created) == (first, False)
    assert files(shop) == [first.id]


def test_the_key_of_a_deleted_job_says_so(shop: Shop) -> None:
    shop.control.delete(shop.org, shop.send(idempotency_key="order 7").id)
    with pytest.raises(Conflict, match="the job of this Idempotency-Key has been deleted; send a new key"):
        shop.send(idempotency_key="order 7")


# -- refused


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"device_id": "nobody"}, NotFound, "there is no device 'nobody'"),
        ({"copies": 0}, Invalid, "copies must be from 1 to 999, got 0"),
        ({"copies": 1000}, Invalid, "copies must be from 1 to 999, got 1000"),
        ({"idempotency_key": ""}, Invalid, "an Idempotency-Key has 1 to 255 characters"),
        ({"idempotency_key": "x" * 256}, Invalid, "an Idempotency-Key has 1 to 255 characters"),
        ({"declared": "docx"}, Invalid, "documents of type 'docx' cannot be printed"),
        ({"document": None}, Invalid, "the job has no document"),
        ({"document": Inline(b"")}, Invalid, "the document is empty"),
        ({"document": Inline(b"<html>")}, Invalid, "the document is an HTML page"),
        ({"document": Inline(bytes(40_000_001))}, TooLarge, "has 40,000,001 bytes, the limit is 40,000,000"),
        ({"document": Url("ftp://server/label")}, Invalid, "does not start with http"),
    ],
)
def test_what_cannot_be_printed_is_refused_and_leaves_nothing(
    shop: Shop, change: dict[str, object], error: type[BridgeError], text: str
) -> None:
    lane = shop.lane()
    with pytest.raises(error, match=text):
        shop.intake.accept(replace(shop.request(), **change))  # type: ignore[arg-type]
    assert shop.store.jobs.page(shop.org) == ([], 0)
    assert (files(shop), lane.tickets) == ([], [])


@pytest.mark.parametrize("change", [{"device_id": "nobody"}, {"copies": 0}, {"declared": "docx"}])
def test_an_upload_that_is_refused_is_removed(shop: Shop, change: dict[str, object]) -> None:
    with pytest.raises(BridgeError):
        shop.intake.accept(replace(shop.request(upload(shop)), **change))  # type: ignore[arg-type]
    assert files(shop) == []


def test_a_full_disk_accepts_nothing_and_leaves_nothing(shop: Shop) -> None:
    lane, kept = shop.lane(), upload(shop)
    with full_disk(shop.store.engine.path):
        for wanted in (shop.request(LABEL), shop.request(kept)):
            with pytest.raises(sqlite3.OperationalError):
                shop.intake.accept(wanted)
        with pytest.raises(OSError, match="File too large"):
            shop.send(LARGE * 20)
    assert shop.store.jobs.page(shop.org) == ([], 0)
    assert (files(shop), lane.tickets) == ([], [])
    assert shop.send(LABEL).state == "queued"


# -- changed before the launch


@pytest.mark.parametrize("first", [LABEL, LARGE], ids=["row", "file"])
@pytest.mark.parametrize("second", [LABEL + b"2", LARGE + b"2"], ids=["row", "file"])
def test_a_job_not_yet_launched_gets_another_document(shop: Shop, first: bytes, second: bytes) -> None:
    job = shop.send(first, launch=False)
    revised = shop.intake.revise(job, shop.request(second, launch=False, copies=3))
    assert (revised.size, revised.copies, revised.state) == (len(second), 3, "created")
    assert document(shop, job.id) == second
    assert [name for name in files(shop) if name != job.id] == []


def test_a_launched_job_keeps_its_document_whatever_is_sent_for_it(shop: Shop) -> None:
    job = shop.send(LARGE)
    for other in (LABEL, LARGE + b"2", upload(shop, LARGE + b"3")):
        with pytest.raises(Conflict, match="has been launched; it can no longer be changed"):
            shop.intake.revise(job, shop.request(other))
    assert document(shop, job.id) == LARGE
    assert shop.job(job) == job
    assert files(shop) == [job.id]


def test_changing_and_launching_at_once_print_one_of_both_documents(shop: Shop) -> None:
    lane = shop.lane()
    for _ in range(10):
        job = shop.send(LARGE, launch=False)
        together(
            4, lambda n, job=job: shop.control.launch(shop.org, job.id) if n == 3
            else shop.intake.revise(job, shop.request(LARGE + b"%d" % n, launch=False)),
        )  # fmt: skip
        now = shop.job(job)
        assert now.state is State.QUEUED
        assert len(document(shop, job.id)) == now.size
    assert len(lane.tickets) == 10


# -- crash


def test_a_crash_between_the_file_and_the_row_leaves_a_stray_that_boot_removes(shop: Shop) -> None:
    job = shop.send(LARGE)
    shop.store.spool.keep(upload(shop), "01980000-0000-7000-8000-000000000000")
    shop.store.spool.sweep_strays(shop.store.jobs.exists)
    assert files(shop) == [job.id]
