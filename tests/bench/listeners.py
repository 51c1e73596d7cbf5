"""Event listeners: what 50 of them cost a label. POST of a 2 kB job -> its first byte at the sink, with and without.

The same closed loop, sink and byte-for-byte check as tests.bench.raw. The listeners are one process that reads all it
is told: event streams, or long polls that ask again as soon as they are answered, which is the dearest way to listen.
"""

from __future__ import annotations

import json
import multiprocessing
import selectors
import socket
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.raw import Contender, Course, Figures, _bridge
from tests.bench.table import show
from tests.serving import ROOT, Serve, printer

COUNT = 50
ROUNDS = 5
SECONDS = 2.0  # of one round


# ---- the listeners: a process of their own -----------------------------------------------------------------------


def crowd(port: int, authorization: str, after: int, polls: bool, ready: Any, told: Any) -> None:
    """COUNT listeners. told: bytes they have got, all of them together."""
    selector = selectors.DefaultSelector()
    for _ in range(COUNT):
        _Listener(port, authorization, after, polls).register(selector)
    ready.set()
    while True:
        for key, _ in selector.select():
            told.value += key.data.hear(selector)


@dataclass
class _Listener:
    port: int
    authorization: str
    after: int
    polls: bool
    answer: bytearray = field(default_factory=bytearray)

    def register(self, selector: selectors.BaseSelector) -> None:
        self.line = socket.create_connection(("127.0.0.1", self.port))
        path = "events?wait=30&limit=500&" if self.polls else "events/stream?"
        self.line.sendall(
            f"GET /v1/{path}after={self.after} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Authorization: {self.authorization}\r\n\r\n".encode()
        )
        selector.register(self.line, selectors.EVENT_READ, self)

    def hear(self, selector: selectors.BaseSelector) -> int:
        data = self.line.recv(65536)
        if self.polls:
            self.answer += data
        if not data:
            self._again(selector)
        return len(data)

    def _again(self, selector: selectors.BaseSelector) -> None:
        if not self.polls:
            raise RuntimeError("a stream ended")
        selector.unregister(self.line)
        self.line.close()
        self.after = json.loads(self.answer.partition(b"\r\n\r\n")[2])["last"]
        self.answer.clear()
        self.register(selector)


@contextmanager
def listening(serve: Serve, *, polls: bool) -> Iterator[Any]:
    """The crowd at work; the count of bytes it was told."""
    caller = serve.caller()
    after, last = -1, 0
    while last != after:
        after, last = last, caller.call("GET", f"/v1/events?after={last}&limit=500").json["last"]
    context = multiprocessing.get_context("spawn")
    ready, told = context.Event(), context.Value("q", 0)
    process = context.Process(
        target=crowd, args=(serve.port, caller.authorization, last, polls, ready, told), daemon=True
    )
    process.start()
    caller.close()
    if not ready.wait(20):
        raise TimeoutError("the listeners did not come")
    yield told
    if not process.is_alive():
        raise RuntimeError("the listeners died")
    process.kill()
    process.join()


# ---- measuring ---------------------------------------------------------------------------------------------------


def main() -> None:
    course = Course()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        config = printer("sink", f"tcp://127.0.0.1:{course.port}")
        try:
            with Serve(Path(folder) / "data", config) as serve:
                for clients in (1, 16):
                    _measure(course, serve, clients)
        finally:
            course.process.terminate()
            course.process.join()


def _measure(course: Course, serve: Serve, clients: int) -> None:
    contender: Contender = _bridge(serve)[1]
    names = ("nobody listens", f"{COUNT} streams", f"{COUNT} long polls")
    figures, told = {name: Figures() for name in names}, dict.fromkeys(names, 0)
    course.round(contender, clients, Figures(), 0.5)  # warm
    for _ in range(ROUNDS):
        for name in names:
            if name == names[0]:
                course.round(contender, clients, figures[name], SECONDS)
                continue
            with listening(serve, polls=name == names[2]) as heard:
                course.round(contender, clients, figures[name], SECONDS)
                told[name] += heard.value
    _report(clients, figures, told)


def _report(clients: int, figures: dict[str, Figures], told: dict[str, int]) -> None:
    alone = next(iter(figures.values()))
    rows = []
    for name, f in figures.items():
        p50, p95 = statistics.median(f.first), _p95(f)
        rows.append(
            (name, f.jobs, p50, p95, round(statistics.median(f.rates)), p50 / statistics.median(alone.first),
             p95 / _p95(alone), told[name] / COUNT / 1000)
        )  # fmt: skip
    show(
        f"labels while others listen, {clients} client(s): every job exactly once, bytes compared",
        ("listeners", "jobs", "first byte p50 ms", "p95", "jobs/s", "p50 / alone", "p95 / alone", "kB told to each"),
        rows,
    )  # fmt: skip


def _p95(figures: Figures) -> float:
    return statistics.quantiles(figures.first, n=20)[18]
