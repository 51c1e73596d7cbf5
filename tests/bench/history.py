"""A long history and a long queue: list pages, counts, the start, and how long a label can wait for the tidying up."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from bridge.model import Device, State, new_id
from bridge.store import Store
from bridge.store.engine import Engine
from bridge.store.events import history_line
from bridge.store.retention import Retention
from tests.bench.table import show
from tests.fake.printer import FakePrinter
from tests.serving import ROOT, Serve, printer

HISTORY = 100_000
QUEUED = 10_000
PRINTERS = 4
MIB = 1024 * 1024
DAY = 86400.0
_STATES, _SHARES = ["delivered", "printed", "failed", "cancelled", "unconfirmed"], [90, 5, 3, 1.9, 0.1]
_TEXT = "2,048 bytes were taken and the printer closed the connection"


def main() -> None:
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        _lists(Path(folder))
        _starts(Path(folder))


def fill(store: Store, org: str, devices: list[Device], count: int, *, queued: bool, key: str = "k" * 36) -> None:
    """So many jobs as a day of one-second labels leaves them, with bodies when they are still queued."""
    rng, now = random.Random(1), time.time()
    first: int = store.engine.read().execute("SELECT coalesce(max(seq), 0) + 1 FROM events").fetchone()[0]

    def work(db: Any) -> None:
        for serial in range(first, first + count):
            device, at, job_id = devices[serial % len(devices)], now - (first + count - serial), new_id()
            state = "queued" if queued else rng.choices(_STATES, _SHARES)[0]
            db.execute("INSERT INTO events (seq, at, organization_id, job_id, device_id, kind, state) VALUES"
                       " (?, ?, ?, ?, ?, 'job', 'queued')", (serial, at, org, job_id, device.id))  # fmt: skip
            row = {
                "serial": serial, "id": job_id, "organization_id": org, "client_id": device.client_id,
                "device_id": device.id, "device_name": device.name, "dialect": "cloudlinker", "key_id": key,
                "title": f"Order {serial}", "state": state, "text": "" if queued else _TEXT, "kind": "zpl",
                "size": 2048, "sha256": os.urandom(32).hex(), "launch": 1, "queued_seq": serial, "created_at": at,
                "updated_at": at, "payload": '{"document_type": "raw", "copies": "1"}',
                "history": "".join(history_line(at, s, "") for s in ("queued", "sending", state)),
            }  # fmt: skip
            db.execute(f"INSERT INTO jobs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])
            db.execute("INSERT INTO bodies VALUES (?, ?)", (serial, os.urandom(2048)))

    store.engine.write(work)


def _lists(folder: Path) -> None:
    (folder / "history").mkdir()
    store, org = Store(folder / "history"), new_id()
    store.organizations.add(org, "shop")
    me = store.clients.add(org, "till", is_self=True)
    devices = [store.devices.add(org, me.id, f"printer-{n}") for n in range(PRINTERS)]
    fill(store, org, devices, HISTORY, queued=False)
    jobs, one = store.jobs, devices[0].id
    asked: dict[str, tuple[Callable[[], Any], float]] = {
        "the newest 20": (lambda: jobs.page(org, newest_first=True), 20),
        "the newest 100": (lambda: jobs.page(org, newest_first=True, limit=100), 20),
        "of one printer": (lambda: jobs.page(org, device_id=one, newest_first=True), 20),
        "delivered": (lambda: jobs.page(org, states=[State.DELIVERED], newest_first=True), 20),
        "unconfirmed": (lambda: jobs.page(org, states=[State.UNCONFIRMED], newest_first=True), 20),
        "held for a reason": (lambda: jobs.page(org, reason="stale", newest_first=True), 20),
        "page 4,500 of 5,000": (lambda: jobs.page(org, newest_first=True, offset=90_000), 0),
        "by a part of the title": (lambda: jobs.page(org, q="order 55", newest_first=True), 0),
        "of one API key": (lambda: jobs.page(org, key_id="k" * 36, newest_first=True), 0),
        "count by state": (lambda: jobs.count_by_state(org), 20),
        "count by state, one printer": (lambda: jobs.count_by_state(org, one), 20),
    }
    rows = [(name, *_times(ask), limit or "-") for name, (ask, limit) in asked.items()]
    show(f"lists with {HISTORY:,} jobs of history", ("what", "median ms", "worst ms", "limit"), rows)
    _retention(store)
    store.close()


def _times(ask: Callable[[], Any]) -> tuple[float, float]:
    took = []
    for _ in range(15):
        began = time.perf_counter()
        ask()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), max(took)


def _retention(store: Store) -> None:
    """All documents are a day old, then all jobs a month: everything goes. Each write is timed as a label sees it."""
    writes = _timed_writes(store.engine)
    retention = Retention(store, documents_s=DAY, jobs_s=30 * DAY, keys_s=90 * DAY)
    rows = []
    for name, days in (("documents", 3), ("jobs and events", 40)):
        writes.clear()
        turns, began = 0, time.perf_counter()
        while retention.turn(time.time() + days * DAY).more:
            turns += 1
        took = time.perf_counter() - began
        worst = statistics.quantiles(writes, n=100)[98]
        rows.append((name, turns, len(writes), statistics.median(writes), worst, max(writes), took))
    pages, free = (store.engine.read().execute(f"PRAGMA {p}").fetchone()[0] for p in ("page_count", "freelist_count"))
    show(
        f"retention of {HISTORY:,} jobs with 2 kB each: what a label may have to wait for",
        ("what", "turns", "transactions", "median ms", "p99", "longest", "seconds in all"), rows,
    )  # fmt: skip
    show("the file afterwards", ("what", "MiB"), [("size", pages * 4096 / MIB), ("free again", free * 4096 / MIB)])


def _timed_writes(engine: Engine) -> list[float]:
    """Milliseconds of every write from now on."""
    took: list[float] = []
    plain = engine.write

    def write(work: Any, **more: Any) -> Any:
        began = time.perf_counter()
        result = plain(work, **more)
        took.append((time.perf_counter() - began) * 1000)
        return result

    engine.write = write  # type: ignore[method-assign]
    return took


def _starts(folder: Path) -> None:
    """From the start of the process to its first line, and its memory after the first request."""
    with FakePrinter(refuse=True) as paper:
        config = "".join(printer(f"printer-{n}", paper.uri) for n in range(PRINTERS))
        rows = []
        for name, count, queued in (("empty", 0, False), (f"{QUEUED:,} queued", QUEUED, True),
                                    (f"{HISTORY:,} of history", HISTORY, False)):  # fmt: skip
            data = folder / name.replace(",", "").replace(" ", "-")
            with Serve(data, config):
                pass
            if count:
                store = Store(data)
                org = store.organizations.first()
                assert org is not None
                fill(store, org, store.devices.page(org)[0][:PRINTERS], count, queued=queued)
                store.close()
            rows.append((name, *_start(data, config)))
    plain = rows[0][2]
    show(
        "the start, serve with 4 printers that are switched off",
        ("data folder", "seconds to listening", "RSS MiB", "more than empty"),
        [(*row, row[2] - plain) for row in rows],
    )


def _start(data: Path, config: str) -> tuple[float, float]:
    seconds, memory = [], []
    for _ in range(3):
        began = time.monotonic()
        with Serve(data, config) as serve:
            seconds.append(time.monotonic() - began)
            serve.total()
            time.sleep(1)
            assert serve.process is not None
            memory.append(psutil.Process(serve.process.pid).memory_info().rss / MIB)
    return statistics.median(seconds), statistics.median(memory)


if __name__ == "__main__":
    main()
