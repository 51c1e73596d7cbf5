"""Slow and hostile clients: the bridge stays reachable and prints while they are at it, and forgets them afterwards.

promises.md 1.11, S30, R36. The attackers are processes of their own, without a moment's patience: whoever is thrown out
comes back at once. pytest -s prints the times.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests.fake.printer import FakePrinter
from tests.serving import Serve, b64, printer

LABEL = b"^XA^FX" + b"x" * 2_000 + b"^XZ"
HEALTH_S = 10.0  # one by our promise; the rest is for machines with two busy cores
LABEL_S = 30.0
TRIES = 10


# ---- the attackers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    port: int
    authorization: str

    def connect(self, *, rcvbuf: int | None = None) -> socket.socket:
        line = socket.socket()
        if rcvbuf is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        line.settimeout(5)
        with suppress(OSError):
            line.connect(("127.0.0.1", self.port))
        return line

    def head(self, request: str, *lines: str) -> bytes:
        known = ("Host: localhost", f"Authorization: {self.authorization}")
        return "\r\n".join([f"{request} HTTP/1.1", *known, *lines, "", ""]).encode()


def half_bodies(target: Target, go: Event) -> None:
    """200 requests that stop in the middle of their body."""
    head = target.head("POST /v1/jobs", "Content-Length: 100000", "Content-Type: application/json")
    _besiege(target, 200, lambda line: line.sendall(head + b'{"half":'), go)


def half_bodies_of_strangers(target: Target, go: Event) -> None:
    """The same by somebody without a key, for a path that is read by nobody."""
    head = b"POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30000000\r\n\r\n"
    _besiege(target, 200, lambda line: line.sendall(head + b"x" * 100_000), go)


def dripping_headers(target: Target, go: Event) -> None:
    """200 requests whose head never ends, one byte at a time."""
    _besiege(target, 200, lambda line: line.sendall(b"GET /v1/health HTTP/1.1\r\nX-Long: "), go, drip=b"x")


def dripping_bodies(target: Target, go: Event) -> None:
    """200 bodies, one byte at a time."""
    head = target.head("POST /v1/jobs", "Content-Length: 100000", "Content-Type: application/json")
    _besiege(target, 200, lambda line: line.sendall(head), go, drip=b" ")


def idle_connections(target: Target, go: Event) -> None:
    """600 connections on which nothing is ever asked: three times as many as there are places."""
    _besiege(target, 600, lambda line: None, go)


def never_read(target: Target, go: Event) -> None:
    """200 connections that ask for a lot and read nothing of it."""
    asked = target.head("GET /v1/jobs?limit=100") * 50
    _besiege(target, 200, lambda line: line.sendall(asked), go, rcvbuf=4096)


def deaf_listeners(target: Target, go: Event) -> None:
    """64 event streams that read nothing."""
    asked = target.head("GET /v1/events/stream?after=0")
    _besiege(target, 64, lambda line: line.sendall(asked), go, rcvbuf=4096, come_back=False)


def huge_headers(target: Target, go: Event) -> None:
    """10 MB of headers, again and again, on four connections at once."""
    data = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: " + b"x" * 10_000_000

    def once(_: int) -> None:
        with target.connect() as line, suppress(OSError):
            line.sendall(data)

    _again_and_again(4, once, go)


def flood(target: Target, go: Event) -> None:
    """As many requests as eight connections can make: with a key, without, and for nothing."""
    asked = target.head("GET /v1/jobs") + b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\nGARBAGE\r\n\r\n"

    def once(_: int) -> None:
        with target.connect() as line, suppress(OSError):
            line.sendall(asked)
            while line.recv(65536):
                pass

    _again_and_again(8, once, go)


def tiny_chunks(target: Target, go: Event) -> None:
    """20 bodies in chunks of one byte, as fast as they are taken: six bytes to look at for each."""
    head = target.head("POST /v1/jobs", "Transfer-Encoding: chunked")
    _pour(target, 20, head, b"1\r\na\r\n" * 10_000, go)


def endless_chunk_line(target: Target, go: Event) -> None:
    """20 bodies whose first chunk never gets to the end of its size."""
    head = target.head("POST /v1/jobs", "Transfer-Encoding: chunked")
    _pour(target, 20, head + b"1;", b"x" * 60_000, go)


def blank_lines(target: Target, go: Event) -> None:
    """20 connections full of nothing but blank lines."""
    _pour(target, 20, b"", b"\r\n" * 30_000, go)


def blank_lines_now_and_then(target: Target, go: Event) -> None:
    """250 connections, more than there are places, that say nothing but are never silent."""
    _besiege(target, 250, lambda line: None, go, drip=b"\r\n\r\n")


def _pour(target: Target, lines: int, head: bytes, body: bytes, go: Event) -> None:
    def once(_: int) -> None:
        with target.connect() as line, suppress(OSError):
            line.sendall(head)
            go.set()
            while True:
                line.sendall(body)

    _again_and_again(lines, once, go)


def _besiege(
    target: Target, places: int, begin: Callable[[socket.socket], None], go: Event, *,
    drip: bytes = b"", rcvbuf: int | None = None, come_back: bool = True,
) -> None:  # fmt: skip
    """Hold so many connections, and open a new one for each that is closed."""
    lines: dict[int, socket.socket] = {}
    poll = select.poll()
    missing = places
    while True:
        for _ in range(missing):
            line = target.connect(rcvbuf=rcvbuf)
            with suppress(OSError):
                begin(line)
            lines[line.fileno()] = line
            poll.register(line, select.POLLRDHUP)
        go.set()
        time.sleep(0.2)
        gone = {number for number, _ in poll.poll(0)}
        if drip:
            gone |= {number for number, line in lines.items() if not _sent(line, drip)}
        for number in gone:
            poll.unregister(number)
            lines.pop(number).close()
        missing = len(gone) if come_back else 0


def _sent(line: socket.socket, data: bytes) -> bool:
    try:
        return line.send(data) > 0
    except OSError:
        return False


def _again_and_again(threads: int, once: Callable[[int], None], go: Event) -> None:
    def run(number: int) -> None:
        while True:
            once(number)
            go.set()

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, range(threads)))


ATTACKS = [half_bodies, half_bodies_of_strangers, dripping_headers, dripping_bodies, idle_connections, never_read,
           deaf_listeners, huge_headers, flood, tiny_chunks, endless_chunk_line, blank_lines,
           blank_lines_now_and_then]  # fmt: skip


# ---- the bridge -------------------------------------------------------------------------------------------------


@dataclass
class Shop:
    bridge: Serve
    dock: FakePrinter

    @property
    def pid(self) -> int:
        assert self.bridge.process is not None
        return self.bridge.process.pid

    def held(self) -> tuple[int, int]:
        """(file descriptors, threads) of the bridge."""
        return len(os.listdir(f"/proc/{self.pid}/fd")), len(os.listdir(f"/proc/{self.pid}/task"))

    def memory_mib(self) -> float:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def health(self) -> float:
        """Seconds, on a new connection."""
        began = time.monotonic()
        assert self.bridge.call("GET", "/v1/health").json["status"] == "ok"
        return time.monotonic() - began

    def label(self) -> float:
        """Seconds from the request to the label at the printer."""
        began, before = time.monotonic(), len(self.dock.jobs)
        answer = self.bridge.call(
            "POST", "/v1/jobs", {"printer": "dock", "document_base64": b64(LABEL), "document_type": "raw"}
        )
        assert answer.status == 201, answer
        assert self.dock.wait_for(before + 1, LABEL_S)[-1] == LABEL
        return time.monotonic() - began


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with ExitStack() as stack:
        dock = stack.enter_context(FakePrinter())
        folder = tmp_path_factory.mktemp("hostile") / "data"
        shop = Shop(stack.enter_context(Serve(folder, printer("dock", dock.uri))), dock)
        for n in range(100):  # something to read
            shop.bridge.call(
                "POST", "/v1/jobs",
                {"printer": "dock", "document_base64": b64(LABEL), "launch": False, "title": f"{n} {'x' * 200}"},
            )  # fmt: skip
        with ThreadPoolExecutor(32) as pool:  # every thread has opened the database
            list(pool.map(lambda _: shop.health(), range(200)))
        shop.label()
        yield shop


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_others_are_served_and_labels_printed_meanwhile(shop: Shop, attack: Callable[[Target, Event], None]) -> None:
    context = multiprocessing.get_context("spawn")
    go, caller = context.Event(), shop.bridge.caller()
    caller.close()
    idle, descriptors_threads, memory = max(shop.health() for _ in range(TRIES)), shop.held(), shop.memory_mib()
    attacker = context.Process(target=attack, args=(Target(shop.bridge.port, caller.authorization), go), daemon=True)
    attacker.start()
    try:
        assert go.wait(60)
        waits, labels = [], []
        for _ in range(TRIES):
            waits.append(shop.health())
            labels.append(shop.label())
            time.sleep(0.2)
        during, memory_during = shop.held(), shop.memory_mib()
    finally:
        attacker.kill()
        attacker.join()
    print(
        f"\n{attack.__name__}: health {max(waits):.2f} s at most (without: {idle:.2f} s), label {max(labels):.2f} s,"
        f" descriptors and threads {descriptors_threads} -> {during}, memory {memory:.0f} -> {memory_during:.0f} MiB"
    )
    assert max(waits) < HEALTH_S and max(labels) < LABEL_S
    _back_to(shop, *descriptors_threads)


def _back_to(shop: Shop, descriptors: int, threads: int) -> None:
    """Nothing of the attackers stays behind; a few descriptors may be those of threads that now opened the database."""
    deadline = time.monotonic() + 60
    while (now := shop.held())[0] > descriptors + 20 or now[1] > threads + 1:
        assert time.monotonic() < deadline, f"{now} instead of {(descriptors, threads)}"
        time.sleep(0.1)
