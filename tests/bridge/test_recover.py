"""After a kill: what had begun to be sent is in doubt, by name; everything else simply waits again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.deliver.recover import recover
from bridge.model import Job, Options, State
from tests.bridge.shop import LABEL, PDF, Shop, until
from tests.fake.printer import FakePrinter

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def cut_off(shop: Shop, job: Job) -> Job:
    """The job as the next start finds it, when this one ended while the job was being sent."""
    shop.store.jobs.begin_attempt(job, bytes_total=None, pages=None)()
    recover(shop.store, shop.client.id)
    return shop.job(job)


def drawn(shop: Shop, ready: int, of: int, *, copies: int = 1, per_page: int = 1, **options: object) -> Job:
    """A drawn job of `of` pages, `ready` of them in the spool."""
    shop.lane()
    job = shop.send(PDF, copies=copies, options=Options(**options))  # type: ignore[arg-type]
    shop.drawing(*[b"page"] * ready, of=of, per_page=per_page)
    return shop.job(job)


UNCOLLATED = {"copies": 3, "per_page": 3, "collate": False}
CUT = ": the bridge was cut off while sending it (power, crash or kill)"


@pytest.mark.parametrize(("copies", "text"), [(1, "the job may have printed"), (5, "copies 1-5 of 5 may have printed")])
def test_a_raw_job_may_be_out_with_all_its_copies(shop: Shop, copies: int, text: str) -> None:
    job = cut_off(shop, shop.send(copies=copies))
    assert (job.state, job.evidence, job.text) == ("unconfirmed", "cut", text + CUT)
    [attempt] = shop.store.jobs.attempts(shop.org, job.id)
    assert (attempt["result"], attempt["bytes_sent"]) == ("unconfirmed", None)


@pytest.mark.parametrize(
    ("copies", "text"), [(1, "the label may have printed"), (3, "labels 1-3 of 3 may have printed")]
)
def test_a_single_page_may_be_out_with_all_its_copies(shop: Shop, copies: int, text: str) -> None:
    job = cut_off(shop, drawn(shop, 1, 1, copies=copies, per_page=copies))
    assert job.text == text + CUT


@pytest.mark.parametrize(
    ("ready", "of", "more", "text"),
    [
        (1, 10, {}, "label 1 of 10 may have printed, 2-10 were not sent"),
        (4, 10, {}, "labels 1-4 of 10 may have printed, 5-10 were not sent"),
        (10, 10, {}, "labels 1-10 of 10 may have printed"),
        (4, 10, {"copies": 3}, "labels 1-4 of 30 may have printed, 5-30 were not sent"),
        (10, 10, {"copies": 3}, "labels 1-30 of 30 may have printed"),
        (4, 10, UNCOLLATED, "labels 1-12 of 30 may have printed, 13-30 were not sent"),
    ],
)
def test_pages_that_were_not_in_the_spool_yet_cannot_have_left(
    shop: Shop, ready: int, of: int, more: dict[str, object], text: str
) -> None:
    job = cut_off(shop, drawn(shop, ready, of, **more))  # type: ignore[arg-type]
    assert job.text == text + CUT


def test_after_a_power_cut_the_spool_proves_nothing(shop: Shop) -> None:
    """The index was never synced: pages may have left whose lines are gone with the power."""
    job = drawn(shop, 4, 10)
    index = shop.store.spool.outputs / f"{job.id}-1.idx"
    index.write_bytes(b"the-start-of-the-machine-before\n" + index.read_bytes().partition(b"\n")[2])
    assert cut_off(shop, job).text == "labels 1-10 of 10 may have printed" + CUT


def test_what_waited_waits_again_in_its_order(shop: Shop) -> None:
    first, second, preparing = shop.send(), shop.send(), shop.send()
    shop.store.jobs.preparing(preparing)
    cut_off(shop, first)
    assert [job.id for job in shop.store.jobs.waiting(first.device_id)] == [second.id, preparing.id]


def test_recovering_twice_changes_nothing_more(shop: Shop) -> None:
    job = cut_off(shop, shop.send())
    recover(shop.store, shop.client.id)
    assert shop.job(job) == job


def test_jobs_of_other_machines_are_left_alone(shop: Shop) -> None:
    job = shop.send()
    shop.store.jobs.begin_attempt(job, bytes_total=None, pages=None)()
    recover(shop.store, "another client")
    assert shop.state(job) == "sending"


SERVE = """
import sys
from pathlib import Path
from tests.bridge.shop import Shop
shop = Shop(Path(sys.argv[1]))
shop.worker(sys.argv[2])
print("ready", flush=True)
for line in sys.stdin:
    shop.send(line.strip().encode() * int(sys.argv[3]))
    print("accepted", flush=True)
"""


def killed(
    folder: Path, uri: str, labels: list[bytes], times: int = 1, when: Callable[[], bool] = lambda: True
) -> None:
    """A bridge in a process of its own accepts these labels and is killed: at once, or when `when` says so."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder), uri, str(times)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdin and process.stdout
    assert process.stdout.readline() == b"ready\n"
    for label in labels:
        process.stdin.write(label + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"accepted\n"
    until(when)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_bridge_killed_under_load_loses_nothing_and_prints_nothing_twice(tmp_path: Path) -> None:
    with FakePrinter() as printer:
        for number in range(5):
            labels = [b"^XA^FD%d-%d^FS^XZ" % (number, n) for n in range(20)]
            killed(tmp_path, printer.uri, labels)
        with Shop(tmp_path) as shop:
            recover(shop.store, shop.client.id)
            shop.worker(printer.uri)
            jobs = shop.store.jobs.page(shop.org, limit=1000)[0]
            assert len(jobs) == 100
            states = {shop.job(job).id: shop.wait(job).state for job in jobs}
            printer.wait_until_idle()
            for job in jobs:
                label = shop.store.jobs.body(shop.org, job.id)
                assert label is not None
                out = (printer.jobs + printer.unfinished).count(label)
                assert out <= 1, (label, out)
                assert out == 1 or states[job.id] is State.UNCONFIRMED, (label, states[job.id])


@pytest.mark.parametrize(
    ("label", "first"), [(b"^XA^FDone^FS^XZ", []), (b"^XA^FX" + b"x" * 9000 + b"^XZ", [b"~JX~JX^FS^XZ"])]
)
def test_a_label_that_left_in_one_go_was_not_cut_off(tmp_path: Path, label: bytes, first: list[bytes]) -> None:
    """A process that is killed in one write to a fresh connection has sent all of it, or nothing."""
    with FakePrinter() as printer:
        with Shop(tmp_path) as shop:
            shop.worker(printer.uri)
            assert shop.wait(shop.send(LABEL)).state == "delivered"
        with Shop(tmp_path) as shop:
            shop.store.jobs.begin_attempt(shop.send(label), bytes_total=None, pages=None)()
        with Shop(tmp_path) as shop:
            recover(shop.store, shop.client.id)
            shop.worker(printer.uri)
            assert shop.wait(shop.send(LABEL)).state == "delivered"
        assert printer.wait_for(len(first) + 2) == [LABEL, *first, LABEL]


def sending(folder: Path) -> bool:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        return db.execute("SELECT 1 FROM jobs WHERE state = 'sending'").fetchone() is not None


def test_a_bridge_killed_while_sending_names_the_doubt_and_sends_the_next(tmp_path: Path) -> None:
    with FakePrinter(slow=100_000, rcvbuf=4096) as printer:
        killed(tmp_path, printer.uri, [b"^XA^FDlarge^FS^XZ", b"^XA^FDnext^FS^XZ"], 20_000,
               lambda: sending(tmp_path))  # fmt: skip
    with FakePrinter(port=printer.port) as printer, Shop(tmp_path) as shop:
        large, following = shop.store.jobs.page(shop.org)[0]
        recover(shop.store, shop.client.id)
        assert shop.job(large).text == "the job may have printed" + CUT
        shop.worker(printer.uri)
        assert shop.wait(following).state == "delivered"
        assert shop.state(large) == "unconfirmed"
        assert printer.wait_for(2) == [b"~JX~JX^FS^XZ", b"^XA^FDnext^FS^XZ" * 20_000]  # ended, then the next one


