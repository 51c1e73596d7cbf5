"""The transports against the bare calls they are made of, in the same run: 1 MB, and opening and closing.

Serial runs over a pseudo-terminal: it has no line speed, so what is compared is the cost of our loop alone.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import serial

from devices import transports
from devices.contracts import Settings
from devices.transports.tcp import SEND_BUFFER
from tests.bench.table import show

SIZE = 1_000_000  # bytes of a job
FAST_ETHERNET = 12_500_000  # bytes per second, the most that label printers take
ROUNDS = 21
OPENINGS = 60
DATA = os.urandom(SIZE)
Send = Callable[[bytes], None]


class Sink:
    """A TCP printer that reads all and closes; it keeps nothing. pace: bytes per second, None: as fast as it goes."""

    def __init__(self, pace: int | None = None) -> None:
        self._pace = pace
        self._listener = socket.socket()
        if pace is not None:  # or the kernel reads ahead
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(8)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                began, eaten = time.perf_counter(), 0
                with sock:
                    while got := len(sock.recv(65536)):
                        eaten += got
                        if self._pace is not None:
                            time.sleep(max(0.0, began + eaten / self._pace - time.perf_counter()))


_GULP = """
import os, tty
printer, node = os.openpty()
tty.setraw(node)
print(os.ttyname(node), flush=True)
while os.read(printer, 65536):
    pass
"""


@contextmanager
def gulp() -> Iterator[str]:
    """The path of a serial printer that keeps nothing either, in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", _GULP], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def ours(uri: str) -> Send:
    def send(data: bytes) -> None:
        with closing(transports.open(uri, Settings(waits_for_close=True))) as line:
            if data:
                line.write(data)
                line.finish()

    return send


def bare_tcp(port: int, send_buffer: int | None = None) -> Send:
    """The calls a small program makes: connect, sendall, half-close, wait for the close.

    send_buffer: None leaves the kernel's megabytes, into which a whole job fits before the printer has any of it.
    """

    def send(data: bytes) -> None:
        with socket.socket() as line:
            if send_buffer is not None:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            line.connect(("127.0.0.1", port))
            if data:
                line.sendall(data)
                line.shutdown(socket.SHUT_WR)
                while line.recv(4096):
                    pass

    return send


def bare_serial(path: str) -> Send:
    """pyserial as everybody uses it: open, write without a time-out, flush."""

    def send(data: bytes) -> None:
        with serial.Serial(path, 115200, exclusive=True) as line:
            if data:
                line.write(data)
                line.flush()

    return send


def seconds(send: Send, data: bytes) -> float:
    began = time.perf_counter()
    send(data)
    return time.perf_counter() - began


def compare(name: str, mine: Send, bare: Send) -> tuple[object, ...]:
    """One row. Taken in turns, so that a noisy moment meets both."""
    seconds(mine, DATA), seconds(bare, DATA)  # warm
    whole = [(seconds(mine, DATA), seconds(bare, DATA)) for _ in range(ROUNDS)]
    empty = [(seconds(mine, b""), seconds(bare, b"")) for _ in range(OPENINGS)]
    ratio = statistics.median(theirs / own for own, theirs in whole)
    cost = statistics.median(own for own, _ in empty) - statistics.median(theirs for _, theirs in empty)
    speeds = [SIZE / 1e6 / statistics.median(column) for column in zip(*whole, strict=True)]
    return (name, *speeds, ratio, cost * 1000)


def wires() -> None:
    """Print the table."""
    with closing(Sink()) as sink, closing(Sink(FAST_ETHERNET)) as printer, gulp() as pty:
        loopback = ours(f"tcp://127.0.0.1:{sink.port}")
        rows = [
            compare("tcp, 100 Mbit/s printer", ours(f"tcp://127.0.0.1:{printer.port}"), bare_tcp(printer.port)),
            compare("tcp, loopback, same buffer", loopback, bare_tcp(sink.port, SEND_BUFFER)),
            compare("tcp, loopback, its own buffer", loopback, bare_tcp(sink.port)),
            compare("serial (pty)", ours(f"serial://{pty}?baud=115200"), bare_serial(pty)),
        ]
    show(
        f"{SIZE // 1_000_000} MB to a printer: throughput, and what opening and closing costs over the bare calls",
        ("wire", "ours MB/s", "bare MB/s", "ours / bare (>= 0.9)", "open + close, ms more (<= 5)"), rows,
    )  # fmt: skip
