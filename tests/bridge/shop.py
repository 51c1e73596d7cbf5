"""A shop for tests: a real data folder with one organization, this machine, its printers, and who works on them."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from bridge.control import Control
from bridge.deliver.worker import Worker
from bridge.intake.accept import Intake
from bridge.intake.collect import Collector
from bridge.intake.fetch import FetchRules
from bridge.intake.grants import Gate
from bridge.model import ENDED, EVERYTHING, Device, Document, Inline, Job, JobRequest, State, Url, new_id
from bridge.prepare import receipts
from bridge.store import Store
from bridge.store.lanes import Lane, Stage, Ticket
from bridge.store.spool import Output
from devices import commands, languages
from devices.contracts import Media, Settings
from devices.printer import Printer

LABEL = b"^XA^FO20,20^FDlabel^FS^XZ" * 80
"""2 kB of ZPL."""
PDF = b"%PDF-1.7\n"
RULES = FetchRules(own_ports=frozenset({1}), total_s=20, connect_s=1, tries=1)
GATE = Gate(commands.commands, receipts.check)
OVER = ENDED | {State.UNCONFIRMED}


class Shop:
    """`with Shop(folder) as shop:` opens the folder, or opens it again."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.org = self.store.organizations.first() or new_id()
        me = self.store.clients.me(self.org)
        if me is None:
            self.store.organizations.add(self.org, "shop")
            me = self.store.clients.add(self.org, "counter", is_self=True)
        self.client = me
        self.control = Control(self.store)
        self.intake = Intake(
            self.store, rules=lambda: RULES, document_max=40_000_000, recognize=languages.recognize,
            gate=GATE,
        )  # fmt: skip
        self._workers: list[Worker] = []
        self._collector: Collector | None = None
        self._outputs: list[Output] = []

    def __enter__(self) -> Shop:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self, patience_s: float = 0.0) -> None:
        """As SIGTERM does it."""
        self.store.lanes.close()
        for worker in self._workers:
            worker.stop(patience_s)
        if self._collector is not None:
            self._collector.stop()
        for output in self._outputs:
            output.finish()
        self.store.close()

    # -- who there is

    def device(self, name: str = "dock") -> Device:
        """A printer of this machine; the same one for the same name."""
        found = self.store.devices.by_name(self.org, self.client.id, name)
        return found or self.store.devices.add(self.org, self.client.id, name, from_config=True)

    def lane(self, name: str = "dock", *, ordered: bool = False, waited_s: float = 0.0) -> Lane:
        """The lane of a printer, with all that waits for it, since waited_s, and no worker."""
        device = self.device(name)
        lane = self.store.lanes.open(device.id, ordered=ordered, paused=device.paused)
        for job in self.store.jobs.waiting(device.id):
            self.store.lanes.push(job, waited_s=waited_s)
        return lane

    def worker(
        self, uri: str, name: str = "dock", *, ordered: bool = False, language: str = "zpl",
        hold_older_than_s: float | None = None, waited_s: float = 0.0, ask_status: bool = False, **settings: Any,
    ) -> Lane:  # fmt: skip
        """A printer at work. settings: see Settings."""
        device, lane = self.device(name), self.lane(name, ordered=ordered, waited_s=waited_s)
        printer = Printer(name, uri, language, Media(203, 101.6, 152.4), Settings(**settings))
        worker = Worker(
            self.store, device, printer, lane, hold_older_than_s=hold_older_than_s, ask_status=ask_status
        )
        worker.start()
        self._workers.append(worker)
        return lane

    def collector(self) -> None:
        self._collector = Collector(
            self.store, rules=lambda: RULES, recognize=languages.recognize, gate=GATE
        )
        self._collector.start()

    # -- jobs

    def request(self, document: Document | bytes | None = LABEL, name: str = "dock", **more: Any) -> JobRequest:
        wanted = Inline(document) if isinstance(document, bytes) else document
        return JobRequest(self.org, self.device(name).id, "test", wanted, **{"grants": EVERYTHING, **more})

    def send(self, document: Document | bytes | None = LABEL, name: str = "dock", **more: Any) -> Job:
        """A job through the front door."""
        return self.intake.accept(self.request(document, name, **more))[0]

    def link(self, url: str, name: str = "dock", **more: Any) -> Job:
        """A job whose document is still to be fetched."""
        return self.send(Url(url), name, **more)

    def job(self, job: Job) -> Job:
        """The job as it is now."""
        found = self.store.jobs.get(self.org, job.id)
        assert found is not None
        return found

    def state(self, job: Job) -> str:
        return self.job(job).state.value

    def wait(self, job: Job, states: Iterable[State] = OVER, timeout: float = 60.0) -> Job:
        """The job once it is in one of `states`; default: any in which nothing more happens by itself."""
        wanted = frozenset(states)
        until(lambda: self.job(job).state in wanted, timeout, lambda: self.job(job))
        return self.job(job)

    def drawing(self, *pages: bytes, of: int, per_page: int = 1) -> Ticket:
        """What the pipeline does to the next document: its first pages are ready, `of` there will be."""
        ticket = self.store.lanes.next_to_draw(0)
        assert ticket is not None
        job = self.store.jobs.get(self.org, ticket.job_id)
        assert job is not None
        output = ticket.output = self.store.spool.output(job.id, job.launch)
        output.labels_per_page, output.repeat = per_page, job.copies // per_page
        ticket.progress.pages_total, ticket.progress.labels_total = of, of * job.copies
        self.store.jobs.annotate(job, pages=of)
        self._outputs.append(output)
        for page in pages:
            output.append(page)
        self.store.lanes.advance(ticket, Stage.READY)
        return ticket


@contextmanager
def full_disk(database: Path) -> Iterator[None]:
    """No file of this process may grow beyond the database's present log: the kernel refuses, for real."""
    size = database.with_name(database.name + "-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def until(true: Callable[[], bool], timeout: float = 60.0, seen: Callable[[], object] = lambda: "") -> None:
    """Wait for it; an AssertionError says what was seen instead."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, seen()
        time.sleep(0.005)


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What work(0) ... work(count - 1) gave, each in a thread of its own, all let go at once. Errors are results."""
    gate = threading.Barrier(count)
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        gate.wait()
        try:
            results[number] = work(number)
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
