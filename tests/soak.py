"""The soak: thousands of labels on eight printers through one serve, its memory and files watched all the way.

    python -m tests.soak [--labels 20000] [--printers 8] [--every 500]

Three days of a busy shop without the pauses. Clients with connections of their own post over /v1 and the Cloudlinker
API: raw labels of 2 kB, every hundredth a PDF; some are held and released, created and launched later, cancelled while
they are held, cancelled on their way. One printer goes away and comes back, again and again. Event streams are read,
one of them closed and opened anew. The clients wait when BACKLOG labels are accepted and not out.

lost = acknowledged, not on paper, and neither cancelled nor listed as unconfirmed. twice = on paper more than once, or
cancelled before anything was sent and on paper all the same. Memory slope: Theil-Sen (the median of the slopes of all
pairs) over serve's own RSS, the first third left out. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import re
import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from tests.bench.table import show
from tests.fake.printer import FakePrinter
from tests.serving import ROOT, Answer, Caller, Serve, b64, printer
from tests.storm import BITS, number_on, pdf_label, raw_label

MIB = 1024 * 1024
CLIENTS = 6
LISTENERS = 4
BACKLOG = 400  # labels: a shop whose printers keep up
AWAY_S = 1.5
SETTLE_S = 120.0
SLOPE_BAR = 1.0  # MiB per 10,000 labels
FDS_BAR = 8  # either way of the median


def kind_of(number: int) -> str:
    """What is done with a label: 2 in 100 of each odd kind."""
    if number % 100 == 0:
        return "pdf"
    odd = {7: "held, released", 17: "held, cancelled", 27: "launched later", 37: "cancelled on its way"}
    return odd.get(number % 50, "raw")


# ---- the printers: a process of their own ------------------------------------------------------------------------


def shop(count: int, ours: Connection, out: Any) -> None:
    """Printers that do as they are told through the pipe: away and back (an index), or count (what is on paper).

    out: how many labels all of them have, brought up to date ten times a second.
    """
    printers = [FakePrinter(delay_close_s=0.002) for _ in range(count)]
    for each in printers:
        each.__enter__()
    ours.send([each.uri for each in printers])
    while True:
        if ours.poll(0.1):
            word, index = ours.recv()
            if word == "away":
                printers[index].switch_off()
            elif word == "back":
                printers[index].switch_on()
            else:
                ours.send(Counter(number_on(data) for each in printers for data in each.jobs + each.unfinished if data))
        out.value = sum(len(each._jobs) for each in printers)  # the property copies the list


class Shop:
    """The process, from the outside."""

    def __init__(self, printers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.out = context.Value("q", 0)
        self.process = context.Process(target=shop, args=(printers, theirs, self.out), daemon=True)

    def __enter__(self) -> Shop:
        self.process.start()
        self.uris: list[str] = self.pipe.recv()
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.join()

    def away(self, index: int, seconds: float) -> None:
        self.pipe.send(("away", index))
        time.sleep(seconds)
        self.pipe.send(("back", index))

    def paper(self) -> Counter[int | None]:
        """How often each label is on paper, whole or begun."""
        self.pipe.send(("count", 0))
        if not self.pipe.poll(300):
            raise TimeoutError("the printers do not answer")
        counted: Counter[int | None] = self.pipe.recv()
        return counted


# ---- those who listen --------------------------------------------------------------------------------------------

_ID = re.compile(rb"^id: (\d+)\n", re.MULTILINE)


class Stream:
    """One reader of GET /v1/events/stream."""

    def __init__(self, serve: Serve, selector: selectors.BaseSelector, last: int = 0) -> None:
        """last: the event after which it goes on."""
        self.last, self._selector, self._rest = last, selector, b""
        self._line = socket.create_connection(("127.0.0.1", serve.port))
        self._line.sendall(
            f"GET /v1/events/stream?after={last} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: {serve.caller().authorization}\r\n\r\n".encode()
        )
        selector.register(self._line, selectors.EVENT_READ, self)

    def hear(self) -> int:
        """Bytes that came. Raises RuntimeError when the stream ended."""
        data = self._line.recv(65536)
        if not data:
            raise RuntimeError("an event stream ended")
        if found := _ID.findall(self._rest + data):
            self.last = int(found[-1])
        self._rest = data[-32:]
        return len(data)

    def close(self) -> None:
        self._selector.unregister(self._line)
        self._line.close()


# ---- what is measured --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One look at serve. Sizes in MiB; children: RSS of the processes that draw."""

    labels: int
    seconds: float
    rss: float
    children: float
    fds: int
    threads: int
    database: float
    wal: float

    @staticmethod
    def of(process: psutil.Process, folder: Path, labels: int, seconds: float) -> Sample:
        # A connection to a printer lives for milliseconds: the fewest of some looks are those that stay.
        fds = min(_and_wait(process.num_fds(), 0.01) for _ in range(10))
        children = 0.0
        for child in process.children(recursive=True):
            try:
                children += child.memory_info().rss / MIB
            except psutil.NoSuchProcess:
                continue
        return Sample(
            labels, seconds, process.memory_info().rss / MIB, children, fds, process.num_threads(),
            _mib(folder / "bridge.db"), _mib(folder / "bridge.db-wal"),
        )  # fmt: skip

    def row(self) -> tuple[object, ...]:
        return (
            self.labels, round(self.seconds), self.rss, self.children, self.fds, self.threads, self.database, self.wal
        )  # fmt: skip


def _and_wait(value: int, seconds: float) -> int:
    time.sleep(seconds)
    return value


def _mib(path: Path) -> float:
    return path.stat().st_size / MIB if path.exists() else 0.0


def slope(points: list[tuple[float, float]]) -> float:
    """Theil-Sen: the median slope of all pairs of points; 0 for fewer than two."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2) if b[0] != a[0]]
    return statistics.median(slopes) if slopes else 0.0


@dataclass
class Outcome:
    """What the paper, the bridge and the samples say."""

    samples: list[Sample]
    acknowledged: int = 0
    seconds: float = 0.0
    states: Counter[str] = field(default_factory=Counter)
    away: int = 0
    heard: int = 0
    lost: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def settled(self) -> list[Sample]:
        """The samples after the warm-up third."""
        return self.samples[len(self.samples) // 3 :]

    @property
    def growth(self) -> float:
        """MiB per 10,000 labels."""
        return slope([(sample.labels / 10_000, sample.rss) for sample in self.settled])

    @property
    def fds_off(self) -> int:
        """How far the open files ever were from their median."""
        fds = [sample.fds for sample in self.settled]
        return round(max((abs(each - statistics.median(fds)) for each in fds), default=0))

    def missed(self) -> list[str]:
        """The bars that were missed, in words."""
        found = [*self.wrong]
        if self.growth >= SLOPE_BAR:
            found.append(f"memory grows by {self.growth:.2f} MiB per 10,000 labels, the bar is {SLOPE_BAR:g}")
        if self.fds_off > FDS_BAR:
            found.append(f"open files moved by {self.fds_off}, the bar is {FDS_BAR}")
        found += [f"lost: label {number}" for number in self.lost[:20]]
        found += [f"twice: label {number}" for number in self.twice[:20]]
        return found

    def show(self) -> None:
        show(
            "the soak: serve itself, sampled while it prints",
            ("labels out", "s", "RSS MiB", "children MiB", "open files", "threads", "bridge.db MiB", "wal MiB"),
            [sample.row() for sample in self.samples],
        )
        show(
            f"{self.acknowledged} labels acknowledged, {self.seconds:.0f} s, a printer away {self.away} times, "
            f"{self.heard / 1e6:.1f} MB of events heard",
            ("what", "measured", "limit"),
            [
                ("memory, MiB per 10,000 labels", self.growth, SLOPE_BAR),
                ("open files, farthest from the median", self.fds_off, FDS_BAR),
                ("lost", len(self.lost), 0),
                ("printed twice", len(self.twice), 0),
                *((f"jobs {state}", count, "-") for state, count in self.states.most_common()),
            ],
        )


# ---- the run -----------------------------------------------------------------------------------------------------


class Soak:
    """labels: at most 2 ** BITS, which is what a drawn label can carry. every: labels between two samples."""

    def __init__(self, folder: Path, *, labels: int, printers: int = 8, every: int = 500) -> None:
        if labels >= 2**BITS:
            raise ValueError(f"at most {2**BITS - 1:,} labels: the drawn ones carry their number in {BITS} bits")
        self.folder, self.labels, self.printers, self.every = folder, labels, printers, every
        self.numbers = itertools.count(1)
        self.jobs: dict[int, str] = {}
        self.cancelled = 0
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.errors: list[BaseException] = []
        self.heard = self.away = self.done = 0

    def run(self) -> Outcome:
        """A run from an empty data folder to the count of the paper. Raises what a client met."""
        with Shop(self.printers) as self.shop:
            sections = "".join(printer(f"p{n}", uri, status="off") for n, uri in enumerate(self.shop.uris))
            with Serve(self.folder / "data", sections) as self.serve:
                self.devices = [self.serve.device(f"p{n}") for n in range(self.printers)]
                samples, seconds = self._load()
                outcome = Outcome(samples, len(self.jobs), seconds, away=self.away, heard=self.heard)
                self._judge(outcome, self._settled())
        return outcome

    def _load(self) -> tuple[list[Sample], float]:
        began = time.monotonic()
        clients = [threading.Thread(target=self._guard, args=(self._client, n)) for n in range(CLIENTS)]
        others = [threading.Thread(target=self._guard, args=(each,)) for each in (self._listen, self._tease)]
        for thread in clients + others:
            thread.start()
        samples = self._watch(began)
        seconds = time.monotonic() - began
        self.over.set()
        for thread in clients + others:
            thread.join()
        if self.errors:
            raise RuntimeError(f"a client met {self.errors[0]!r}") from self.errors[0]
        return samples, seconds

    def _guard(self, work: Any, *args: Any) -> None:
        try:
            work(*args)
        except BaseException as error:
            self.errors.append(error)
            self.over.set()

    def _watch(self, began: float) -> list[Sample]:
        """Samples until all is posted: one every so many labels on paper, and one at the end."""
        assert self.serve.process is not None
        process, samples = psutil.Process(self.serve.process.pid), list[Sample]()

        def sample() -> None:
            samples.append(Sample.of(process, self.serve.folder, self.shop.out.value, time.monotonic() - began))

        while self.done < CLIENTS and not self.over.is_set():
            if self.shop.out.value >= (len(samples) + 1) * self.every:
                sample()
            time.sleep(0.02)
        sample()
        return samples

    # -- those who disturb

    def _listen(self) -> None:
        """Event streams; the oldest is closed and opened anew every second."""
        with selectors.DefaultSelector() as selector:
            streams = [Stream(self.serve, selector) for _ in range(LISTENERS)]
            opened = time.monotonic()
            while not self.over.is_set():
                for key, _ in selector.select(0.1):
                    self.heard += key.data.hear()
                if time.monotonic() - opened > 1:
                    opened, oldest = time.monotonic(), streams.pop(0)
                    oldest.close()
                    streams.append(Stream(self.serve, selector, oldest.last))
            for each in streams:
                each.close()

    def _tease(self) -> None:
        """The last printer is switched off and on, five times unless the run is over sooner."""
        for turn in range(1, 6):
            while not self.over.is_set() and self.shop.out.value < turn * self.labels // 7:
                time.sleep(0.05)
            if self.over.is_set():
                return
            self.shop.away(self.printers - 1, AWAY_S)
            self.away += 1

    # -- those who print

    def _client(self, me: int) -> None:
        caller = self.serve.caller()
        while (number := next(self.numbers)) <= self.labels and not self.over.is_set():
            job_id = self._print(caller, number, kind_of(number), cloudlinker=(number // CLIENTS + me) % 2 == 0)
            with self.lock:
                self.jobs[number] = job_id
            while len(self.jobs) - self.cancelled - self.shop.out.value > BACKLOG and not self.over.is_set():
                time.sleep(0.02)
        with self.lock:
            self.done += 1
        self.over.wait()  # its connection counts until the last sample is taken
        caller.close()

    def _print(self, caller: Caller, number: int, kind: str, *, cloudlinker: bool) -> str:
        """One label with all that is done to it; its job's id."""
        where = number % self.printers
        document = pdf_label(number) if kind == "pdf" else raw_label(number)
        if kind == "launched later":
            job_id = self._cloudlinker(caller, where, document, launch_immediately=False)
            _good(caller.call("POST", "/api/jobs/launch", {"job_id": job_id}))
        elif kind.startswith("held"):
            body = {"printer": f"p{where}", "document_base64": b64(document), "hold": True}
            job_id = _good(caller.call("POST", "/v1/jobs", body)).json["id"]
            _good(caller.call("POST", f"/v1/jobs/{job_id}/{'cancel' if kind.endswith('cancelled') else 'release'}"))
        elif cloudlinker:
            job_id = self._cloudlinker(caller, where, document, launch_immediately=True)
        else:
            plain = {"Content-Type": "application/octet-stream"}
            job_id = _good(caller.call("POST", f"/v1/jobs?printer=p{where}", document, plain)).json["id"]
        if kind == "cancelled on its way":
            caller.call("POST", f"/v1/jobs/{job_id}/cancel")  # it may be out already: then it is refused
        with self.lock:
            self.cancelled += "cancelled" in kind
        return job_id

    def _cloudlinker(self, caller: Caller, where: int, document: bytes, *, launch_immediately: bool) -> str:
        body = {
            "device_id": self.devices[where], "client_id": self.serve.client_id, "job_type": 1,
            "launch_immediately": launch_immediately, "payload": {"document_base64": b64(document)},
        }  # fmt: skip
        job_id: str = _good(caller.call("POST", "/api/jobs/create", body)).json["data"]["id"]
        return job_id

    # -- the count

    def _settled(self) -> dict[str, Any]:
        """Every job, once nothing moves any more."""
        caller, deadline = self.serve.caller(), time.monotonic() + SETTLE_S
        moving = "created,queued,preparing,sending,held"
        while left := caller.call("GET", f"/v1/jobs?state={moving}&limit=1").json["total"]:
            assert time.monotonic() < deadline, f"{left} jobs still move"
            time.sleep(0.2)
        found: dict[str, Any] = {}
        for offset in range(0, self.labels + 500, 500):
            page = caller.call("GET", f"/v1/jobs?limit=500&offset={offset}").json["jobs"]
            found |= {job["id"]: job for job in page}
        caller.close()
        return found

    def _judge(self, outcome: Outcome, jobs: dict[str, Any]) -> None:
        paper = self.shop.paper()
        outcome.states = Counter(job["state"] for job in jobs.values())
        for number, job_id in self.jobs.items():
            job, times = jobs[job_id], paper[number]
            if times > 1 or (times and job["state"] == "cancelled" and job["evidence"] != "cut"):
                outcome.twice.append(number)
            elif not times and job["state"] == "delivered":
                outcome.lost.append(number)
            if (fault := _fault(number, job)) is not None:
                outcome.wrong.append(fault)
        if len(jobs) != len(self.jobs) or paper[None]:
            outcome.wrong.append(f"{len(jobs)} jobs for {len(self.jobs)} labels, {paper[None]} unreadable")


def _fault(number: int, job: Any) -> str | None:
    """What is wrong with how a label ended, if anything is."""
    if job["state"] == "delivered" and kind_of(number) != "held, cancelled":
        return None
    if job["state"] == "cancelled" and "cancelled" in kind_of(number):
        return None
    if job["state"] == "unconfirmed" and "may have printed" in job["text"]:
        return None
    return f"label {number} ({kind_of(number)}): {job['state']}: {job['text']}"


def _good(answer: Answer) -> Answer:
    if not 200 <= answer.status < 300:
        raise RuntimeError(f"{answer.status}: {answer.data[:300]!r}")
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--labels", type=int, default=20_000)
    parser.add_argument("--printers", type=int, default=8)
    parser.add_argument("--every", type=int, default=500, help="labels between two samples")
    options = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:  # on the project's own disk, not a RAM disk
        soak = Soak(Path(folder), labels=options.labels, printers=options.printers, every=options.every)
        outcome = soak.run()
    outcome.show()
    missed = outcome.missed()
    for each in missed:
        print(f"missed: {each}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
