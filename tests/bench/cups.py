"""Against CUPS, in one run: the same jobs, the same printer, a raw queue of a private cupsd and a TCP printer of ours.

    python -m tests.bench.cups [--jobs 400] [--large 40] [--rounds 5]

Open loop: each client posts its share over one keep-alive connection, as fast as it is answered. Measured from the
first post until the printer, a process of its own, has the last byte of the last job; rounds are interleaved. A job
lost, doubled or changed by a byte is an error. The bars are against CUPS at its best, the first row.

What each side does before it answers:
- print-bridge commits document and job with synchronous=FULL (SQLite), larger documents are written and fsynced.
  Before a byte goes out it commits the attempt as well, so that after a power cut every doubtful label has a name.
- CUPS writes the document to its spool and never fsyncs it, however it is set up (seen with strace, CUPS 2.4.2). The
  control file, without which a document is no job, is written up to 30 s later (DirtyCleanInterval) and fsynced or not
  (SyncOnClose: No by default, Yes as Debian builds it). So a power cut can lose what was acknowledged.
Of CUPS there are three: at its best (no history, no job limit, no fsync), as Debian installs it (history, MaxJobs 500),
and with the settings that come closest to ours (SyncOnClose Yes, DirtyCleanInterval 0). In all of them the queue has no
filter and asks no SNMP, and only errors are logged: cupsd starts the socket backend, once for each job, and waits for
it to end.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.raw import NUMBER, Contender, Post, _bridge
from tests.bench.table import show
from tests.serving import ROOT, Serve, printer

SMALL, LARGE = 2048, 1_000_000  # bytes of a job
PATIENCE_S = 120.0
OURS = "print-bridge, /v1/jobs"


def payload(number: int, size: int) -> bytes:
    """A job of so many bytes that carries its number."""
    filler = b"^FO20,20^A0N,30,30^FDPRINT BRIDGE BENCH^FS"
    return (b"^XA^FX%010d^FS" % number + filler * (size // len(filler) + 1))[: size - 3] + b"^XZ"


# ---- the printer: a process of its own ---------------------------------------------------------------------------


class Tally:
    """What the printer says of itself: seconds are time.monotonic(), which all processes share."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.port, self.ready = context.Value("i", 0), context.Event()
        self.whole, self.bad = context.Value("i", 0), context.Value("i", 0)
        self.last = context.Value("d", 0.0)
        self.process = context.Process(target=sink, args=(self._shared(),), daemon=True)

    def _shared(self) -> tuple[Any, ...]:
        return self.port, self.ready, self.whole, self.bad, self.last

    def __enter__(self) -> Tally:
        self.process.start()
        assert self.ready.wait(20), "the printer did not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.join()


def sink(shared: tuple[Any, ...]) -> None:
    """Every connection is a job. It is compared whole; a second one with the same number is bad."""
    port, ready, whole, bad, last = shared
    seen: set[int] = set()

    class Job(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.data = bytearray()

        def data_received(self, data: bytes) -> None:
            self.data += data

        def eof_received(self) -> bool:
            last.value = time.monotonic()
            number = int(self.data[NUMBER])
            if number in seen or self.data != payload(number, len(self.data)):
                bad.value += 1
            seen.add(number)
            whole.value += 1
            return False

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Job, "127.0.0.1", 0, backlog=512)
        port.value = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    asyncio.run(run())


# ---- CUPS --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Flavor:
    """A way to set cupsd up: lines for cupsd.conf and for cups-files.conf."""

    name: str
    conf: str
    files: str = ""


FLAVORS = [
    Flavor("CUPS, at its best", "PreserveJobHistory No\nMaxJobs 0", "SyncOnClose No"),
    Flavor("CUPS, as installed", "PreserveJobHistory Yes\nMaxJobs 500"),
    Flavor("CUPS, synced", "PreserveJobHistory No\nMaxJobs 0\nDirtyCleanInterval 0", "SyncOnClose Yes"),
]

_CONF = """
Listen 127.0.0.1:{port}
Browsing No
WebInterface No
LogLevel error
MaxClients 200
MaxLogSize 0
DefaultAuthType None
<Location />
Order allow,deny
Allow all
</Location>
<Policy default>
<Limit All>
Order deny,allow
</Limit>
</Policy>
"""
_FILES = """
ServerRoot {folder}/root
ServerBin {folder}/bin
RequestRoot {folder}/spool
TempDir {folder}/spool
CacheDir {folder}/cache
StateDir {folder}/state
DataDir /usr/share/cups
ErrorLog {folder}/error_log
AccessLog {folder}/access_log
PageLog {folder}/page_log
"""
_QUEUE = """
<Printer bench>
DeviceURI socket://127.0.0.1:{printer_port}/?snmp=false
State Idle
Accepting Yes
Shared No
ErrorPolicy retry-current-job
</Printer>
"""


def programs() -> tuple[str, Path]:
    """(cupsd, the folder of its backends). Ends the program when this machine has none."""
    found = shutil.which("cupsd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    for folder in map(Path, ("/usr/lib/cups", "/usr/libexec/cups")):
        if found and (folder / "backend" / "socket").exists():
            return found, folder
    raise SystemExit("cupsd or its socket backend is missing; apt-get install cups")


@contextmanager
def cups(folder: Path, flavor: Flavor, printer_port: int) -> Iterator[int]:
    """A private cupsd with one raw queue called bench that prints on this port; yields the port it listens on."""
    cupsd, server_bin = programs()
    for name in ("root", "spool", "cache", "state", "bin/backend", "bin/daemon"):
        (folder / name).mkdir(parents=True)
    for program in ("backend/socket", "daemon/cups-exec"):
        shutil.copy(server_bin / program, folder / "bin" / program)
    # Only the owner may start it: then cupsd runs it as its own user, to whom this folder is open.
    (folder / "bin/backend/socket").chmod(0o700)
    port = _free_port()
    conf, files = folder / "root" / "cupsd.conf", folder / "root" / "cups-files.conf"
    conf.write_text(_CONF.format(port=port) + flavor.conf + "\n")
    files.write_text(_FILES.format(folder=folder) + flavor.files + "\n")
    (folder / "root" / "printers.conf").write_text(_QUEUE.format(printer_port=printer_port))
    process = subprocess.Popen([cupsd, "-f", "-c", conf, "-s", files])
    try:
        _listens(process, port, folder / "error_log")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]
        return port


def _listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError as error:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            text = log.read_text()[-2000:] if log.exists() else ""
            raise RuntimeError(f"cupsd does not listen on port {port}: {error}\n{text}") from error


def print_job(data: bytes) -> bytes:
    """An IPP/2.0 Print-Job request (RFC 8011 4.2.1) for the queue bench: raw, nothing to be filtered."""

    def attribute(tag: int, name: bytes, value: bytes) -> bytes:
        return struct.pack(">BH", tag, len(name)) + name + struct.pack(">H", len(value)) + value

    return b"".join(
        [
            struct.pack(">BBHI", 2, 0, 0x0002, 1),  # version, Print-Job, request-id
            b"\x01",  # operation attributes
            attribute(0x47, b"attributes-charset", b"utf-8"),
            attribute(0x48, b"attributes-natural-language", b"en"),
            attribute(0x45, b"printer-uri", b"ipp://localhost/printers/bench"),
            attribute(0x42, b"requesting-user-name", b"bench"),
            attribute(0x49, b"document-format", b"application/vnd.cups-raw"),
            b"\x03",  # end of attributes
            data,
        ]
    )


def ipp_client(port: int) -> Post:
    """A keep-alive client on a bare socket, as cheap as the bridge's."""
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answers = line.makefile("rb")
    head = b"POST /printers/bench HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ipp\r\n"

    def post(data: bytes) -> None:
        body = print_job(data)
        line.sendall(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        status, length = answers.readline(), 0
        while (line_ := answers.readline()) not in (b"\r\n", b""):
            if line_[:15].lower() == b"content-length:":
                length = int(line_[15:])
        content = answers.read(length)
        if status[9:12] != b"200" or int.from_bytes(content[2:4]) > 0x00FF:  # IPP: above are the errors
            raise RuntimeError(f"CUPS refused a job: {status!r} {content[:200]!r}")

    return post


# ---- measuring ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """What is posted in a round. bar: how many times as many jobs per second as CUPS at its best."""

    clients: int
    size: int
    jobs: int
    bar: float

    def __str__(self) -> str:
        size = f"{self.size / 1e6:g} MB" if self.size >= 1_000_000 else f"{self.size} bytes"
        return f"{self.clients} client(s), raw jobs of {size}"


@dataclass
class Figures:
    rates: list[float] = field(default_factory=list)  # jobs per second, one for each round
    answers: list[float] = field(default_factory=list)  # ms, post begun -> answered


class Race:
    """The contenders, one after the other, on one printer."""

    def __init__(self, tally: Tally, contenders: list[Contender], rounds: int) -> None:
        self.tally, self.contenders, self.rounds = tally, contenders, rounds
        self.next = 1

    def run(self, load: Load) -> dict[str, Figures]:
        figures = {each.name: Figures() for each in self.contenders}
        for each in self.contenders:
            self._round(each, load, max(load.clients, load.jobs // 10), Figures())  # warm
        for _ in range(self.rounds):
            for each in self.contenders:
                self._round(each, load, load.jobs, figures[each.name])
        return figures

    def _round(self, contender: Contender, load: Load, jobs: int, figures: Figures) -> None:
        first, self.next = self.next, self.next + jobs
        labels = [payload(first + n, load.size) for n in range(jobs)]
        posts = [contender.connect() for _ in range(load.clients)]
        before, errors = self.tally.whole.value, list[BaseException]()
        clients = [
            threading.Thread(target=_client, args=(post, labels[n :: load.clients], figures.answers, errors))
            for n, post in enumerate(posts)
        ]
        began = time.monotonic()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        if errors:
            raise RuntimeError(f"{contender.name}: {errors[0]!r}") from errors[0]
        figures.rates.append(jobs / (self._all_there(contender, before + jobs) - began))

    def _all_there(self, contender: Contender, count: int) -> float:
        """When the last job was whole; and that nothing came too many times, nor changed."""
        deadline = time.monotonic() + PATIENCE_S
        while self.tally.whole.value < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{contender.name}: {count - self.tally.whole.value} jobs never arrived")
            time.sleep(0.002)
        at: float = self.tally.last.value
        time.sleep(0.5)  # what comes too much comes now; and the contender gets its breath back
        if self.tally.whole.value != count or self.tally.bad.value:
            raise RuntimeError(f"{contender.name}: a job came twice or was changed")
        return at


def _client(post: Post, labels: list[bytes], answers: list[float], errors: list[BaseException]) -> None:
    try:
        for label in labels:
            began = time.monotonic()
            post(label)
            answers.append((time.monotonic() - began) * 1000)
    except BaseException as error:
        errors.append(error)


def measure(loads: list[Load], rounds: int) -> list[str]:
    """Run and print everything. What missed its bar, in words."""
    programs()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as name, ExitStack() as stack:  # on disk, not in RAM
        folder = Path(name)
        tally = stack.enter_context(Tally())
        port: int = tally.port.value
        serve = stack.enter_context(Serve(folder / "data", printer("sink", f"tcp://127.0.0.1:{port}")))
        contenders = [each for each in _bridge(serve) if each.name == OURS]
        for number, flavor in enumerate(FLAVORS):
            ipp = stack.enter_context(cups(folder / f"cups{number}", flavor, port))
            contenders.insert(number, Contender(flavor.name, lambda ipp=ipp: ipp_client(ipp)))  # type: ignore[misc]
        race = Race(tally, contenders, rounds)
        return [missed for load in loads if (missed := _report(load, race.run(load)))]


def _report(load: Load, figures: dict[str, Figures]) -> str:
    """The table; and in words that the bar was missed, when it was."""
    best = next(iter(figures.values()))
    rows, ratio = [], 0.0
    for name, f in figures.items():
        ratio = statistics.median(a / b for a, b in zip(f.rates, best.rates, strict=True))
        rows.append(
            (name, len(f.answers), statistics.median(f.answers), round(statistics.median(f.rates)), ratio)
        )  # fmt: skip
    show(
        f"{load}: every job exactly once, bytes compared (bar: {load.bar:g} x CUPS at its best)",
        ("contender", "jobs", "answer p50 ms", "jobs/s on paper", "x CUPS"), rows,
    )  # fmt: skip
    return "" if ratio >= load.bar else f"{load}: {ratio:.2f} x CUPS, the bar is {load.bar:g} x"


def main(arguments: list[str] | None = None) -> None:
    """Exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=400, help="2 kB jobs in a round, below MaxJobs 500")
    parser.add_argument("--large", type=int, default=40, help="1 MB jobs in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments or [])
    loads = [
        Load(1, SMALL, options.jobs, 8.0),
        Load(16, SMALL, options.jobs, 8.0),
        Load(1, LARGE, options.large, 2.0),
    ]
    missed = measure(loads, options.rounds)
    for each in missed:
        print(f"missed: {each}")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
