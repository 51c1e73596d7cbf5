"""Raw passthrough: POST of a 2 kB job -> its first byte at a loopback 9100 sink, and jobs per second.

The peer is the least a durable print server can be: Flask under waitress, one row committed with synchronous=FULL, a
worker that opens a socket per job. Closed loop: each client posts a job, waits for the answer and for the whole job at
the sink, then posts the next. Every job is counted and compared: one lost, doubled or changed by a byte is an error.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import multiprocessing
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.bench.table import show
from tests.serving import ROOT, Serve, b64, printer

SIZE = 2048  # bytes of a job
NUMBER = slice(6, 16)  # where a job's number stands in its bytes
SECONDS = 2.0  # of one round
ROUNDS = 3
SLOTS = 64  # clients at the most


def payload(number: int) -> bytes:
    """A job of SIZE bytes that carries its number."""
    filler = b"^FO20,20^A0N,30,30^FDPRINT BRIDGE BENCH^FS"
    return (b"^XA^FX%010d^FS" % number + filler * (SIZE // len(filler) + 1))[: SIZE - 3] + b"^XZ"


# ---- the sink: a process of its own ------------------------------------------------------------------------------


def sink(port: Any, first: Any, pipes: list[Connection], ready: Any) -> None:
    """Accepts jobs, notes when the first byte came, and tells the client of the slot when its job is whole."""

    class Job(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.at, self.data = 0.0, bytearray()

        def data_received(self, data: bytes) -> None:
            self.at = self.at or time.monotonic()
            self.data += data

        def eof_received(self) -> bool:
            number = int(self.data[NUMBER])
            first[number % SLOTS] = self.at
            pipes[number % SLOTS].send_bytes(b"%d %d" % (number, bytes(self.data) == payload(number)))
            return False

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Job, "127.0.0.1", 0, backlog=512)
        port.value = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    asyncio.run(run())


# ---- the contenders ----------------------------------------------------------------------------------------------


_PEER = """
import queue, socket, sqlite3, sys, threading, waitress
from flask import Flask, request
port, sink, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
local, jobs, app = threading.local(), queue.SimpleQueue(), Flask("peer")
def db():
    if not hasattr(local, "db"):
        local.db = sqlite3.connect(path, isolation_level=None, timeout=30)
        local.db.execute("pragma journal_mode=wal"); local.db.execute("pragma synchronous=full")
    return local.db
db().execute("create table job (id integer primary key, state text, body blob)")
@app.post("/raw")
def raw():
    data = request.get_data()
    jobs.put((db().execute("insert into job (state, body) values ('new', ?)", (data,)).lastrowid, data))
    return "", 202
def work():
    while True:
        number, data = jobs.get()
        with socket.create_connection(("127.0.0.1", sink)) as line:
            line.sendall(data)
        db().execute("update job set state = 'done', body = null where id = ?", (number,))
threading.Thread(target=work, daemon=True).start()
server = waitress.create_server(app, host="127.0.0.1", port=port, threads=16)
print(server.effective_port, flush=True)
server.run()
"""

Post = Callable[[bytes], None]


@dataclass
class Contender:
    """connect() gives a client of its own: a function that posts one job and returns when it is acknowledged."""

    name: str
    connect: Callable[[], Post]


def _poster(port: int, path: str, headers: dict[str, str], wrap: Callable[[bytes], bytes]) -> Post:
    """A keep-alive client on a bare socket: what it costs must not hide what is measured."""
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers = line.makefile("rb")
    fields = {"Host": f"127.0.0.1:{port}", **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items())

    def post(data: bytes) -> None:
        body = wrap(data)
        line.sendall(b"%sContent-Length: %d\r\n\r\n%s" % (head.encode(), len(body), body))
        status, length = answers.readline(), 0
        while (field := answers.readline()) not in (b"\r\n", b""):
            if field[:15].lower() == b"content-length:":
                length = int(field[15:])
        content = answers.read(length)
        if status[9:10] != b"2":
            raise RuntimeError(f"{status!r}: {content[:200]!r}")

    return post


def _bridge(serve: Serve) -> list[Contender]:
    device = serve.device("sink")
    basic = {"Authorization": serve.caller().authorization}

    def cloudlinker(data: bytes) -> bytes:
        job = {"device_id": device, "client_id": serve.client_id, "job_type": 1, "launch_immediately": True,
               "payload": {"document_type": "raw", "document_base64": b64(data)}}  # fmt: skip
        return json.dumps(job).encode()

    raw = {**basic, "Content-Type": "application/octet-stream"}
    return [
        Contender("print-bridge, Cloudlinker", lambda: _poster(serve.port, "/api/jobs/create", basic, cloudlinker)),
        Contender("print-bridge, /v1/jobs", lambda: _poster(serve.port, "/v1/jobs?printer=sink", raw, lambda d: d)),
    ]


# ---- measuring ---------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    first: list[float] = field(default_factory=list)  # ms, POST begun -> first byte at the sink
    acknowledged: list[float] = field(default_factory=list)  # ms, POST begun -> answer
    rates: list[float] = field(default_factory=list)  # jobs per second, one for each round
    jobs: int = 0


class Course:
    """One sink, and clients that run against any contender."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.first = context.Array(ctypes.c_double, SLOTS, lock=False)
        port, ready = context.Value("i", 0), context.Event()
        self.pipes, theirs = zip(*(context.Pipe(duplex=False) for _ in range(SLOTS)), strict=True)
        self.process = context.Process(target=sink, args=(port, self.first, list(theirs), ready), daemon=True)
        self.process.start()
        ready.wait(20)
        self.port: int = port.value
        self.next = 1

    def round(self, contender: Contender, clients: int, figures: Figures, seconds: float) -> None:
        errors: list[BaseException] = []
        began = time.monotonic()
        base, self.next = self.next * SLOTS, self.next + 1_000_000
        threads = [
            threading.Thread(target=self._client, args=(contender, slot, base, began + seconds, figures, errors))
            for slot in range(clients)
        ]
        before = figures.jobs
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise RuntimeError(f"{contender.name}: {errors[0]!r}") from errors[0]
        figures.rates.append((figures.jobs - before) / (time.monotonic() - began))

    def _client(
        self, contender: Contender, slot: int, base: int, until: float, figures: Figures, errors: list[BaseException]
    ) -> None:
        try:
            post, number = contender.connect(), base + slot
            while time.monotonic() < until:
                data, began = payload(number), time.monotonic()
                post(data)
                acknowledged = time.monotonic()
                self._arrived(slot, number)
                figures.first.append((self.first[slot] - began) * 1000)
                figures.acknowledged.append((acknowledged - began) * 1000)
                figures.jobs += 1
                number += SLOTS
            if select.select([self.pipes[slot]], [], [], 0.3)[0]:
                raise RuntimeError("a job came twice")
        except BaseException as error:
            errors.append(error)

    def _arrived(self, slot: int, number: int) -> None:
        if not self.pipes[slot].poll(15):
            raise TimeoutError(f"job {number} never arrived")
        got, right = self.pipes[slot].recv_bytes().split()
        if int(got) != number or right != b"1":
            raise RuntimeError(f"job {number}: {got!r} came instead, or its bytes were changed")


def main() -> None:
    course = Course()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:  # on the project's own disk, not a RAM disk
        config = printer("sink", f"tcp://127.0.0.1:{course.port}")
        peer = subprocess.Popen(
            [sys.executable, "-c", _PEER, "0", str(course.port), f"{folder}/peer.db"], stdout=subprocess.PIPE, text=True
        )
        assert peer.stdout is not None
        peer_port = int(peer.stdout.readline())
        try:
            with Serve(Path(folder) / "data", config) as serve:
                plain = Contender("minimal Flask + SQLite FULL", lambda: _poster(peer_port, "/raw", {}, lambda d: d))
                _compare(course, [plain, *_bridge(serve)])
        finally:
            peer.terminate()
            peer.wait()
            peer.stdout.close()
            course.process.terminate()
            course.process.join()


def _compare(course: Course, contenders: list[Contender]) -> None:
    for clients in (1, 16):
        figures = {c.name: Figures() for c in contenders}
        for contender in contenders:
            course.round(contender, clients, Figures(), 0.5)  # warm
        for _ in range(ROUNDS):
            for contender in contenders:
                course.round(contender, clients, figures[contender.name], SECONDS)
        _report(clients, figures)


def _report(clients: int, figures: dict[str, Figures]) -> None:
    peer = next(iter(figures.values()))
    rows = []
    for name, f in figures.items():
        p50 = statistics.median(f.first)
        latency = p50 / statistics.median(peer.first)
        rate = statistics.median(a / b for a, b in zip(f.rates, peer.rates, strict=True))
        rows.append(
            (name, f.jobs, p50, statistics.quantiles(f.first, n=100)[98], statistics.median(f.acknowledged),
             round(statistics.median(f.rates)), latency, rate)
        )  # fmt: skip
    show(
        f"raw {SIZE}-byte jobs, {clients} client(s): every job exactly once, bytes compared",
        ("contender", "jobs", "first byte p50 ms", "p99", "ack p50", "jobs/s", "p50 / peer", "rate / peer"), rows,
    )  # fmt: skip
