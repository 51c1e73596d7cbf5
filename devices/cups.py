"""A CUPS server spoken to in IPP: its queues, and one job handed in, looked at and taken back.

    print(Cups().queues())

The server is found as CUPS's own commands find it: CUPS_SERVER, its socket, localhost:631.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from urllib.parse import quote

from devices import ipp, ippreasons
from devices.contracts import Reason, Status

SOCKETS = ("/run/cups/cups.sock", "/var/run/cups/cups.sock", "/private/var/run/cupsd")
PORT = 631
ANSWER = 1_000_000  # bytes of an answer worth reading
RAW = "application/vnd.cups-raw"  # what `lp -o raw` says: pass it on as it is

_CREATE, _SEND, _CANCEL, _GET_JOB, _GET_PRINTER, _GET_PRINTERS = 0x05, 0x06, 0x08, 0x09, 0x0B, 0x4002
_NOT_FOUND, _GONE = 0x0406, 0x0407
_STATUS = {
    0x0400: "bad request", 0x0401: "forbidden", 0x0402: "not authenticated", 0x0403: "not authorized",
    0x0404: "not possible", 0x0405: "timeout", 0x0406: "not found", 0x0407: "gone", 0x0408: "too large",
    0x040A: "document format not supported", 0x0500: "internal error", 0x0502: "service unavailable",
    0x0505: "temporary error", 0x0506: "not accepting jobs", 0x0507: "busy", 0x0508: "canceled",
}  # fmt: skip
_QUEUE_WISHES = [
    "printer-state", "printer-state-reasons", "printer-state-message", "printer-is-accepting-jobs", "device-uri",
]  # fmt: skip
_JOB_WISHES = [
    "job-state", "job-state-reasons", "job-impressions-completed", "time-at-processing", "job-printer-state-message",
]  # fmt: skip


class CupsError(OSError):
    """The server answered, and the answer is no. status: of IPP (RFC 8011, appendix B), or 0."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status

    @property
    def unknown(self) -> bool:
        """True when there is no such queue or job."""
        return self.status in (_NOT_FOUND, _GONE)


class JobState(IntEnum):
    """RFC 8011, 5.3.7."""

    PENDING = 3
    HELD = 4
    PROCESSING = 5
    STOPPED = 6
    CANCELED = 7
    ABORTED = 8
    COMPLETED = 9


@dataclass(frozen=True, slots=True)
class Queue:
    """How a queue stands. message: in the words of its back end. reasons: IPP keywords without "none". back_end: the
    scheme of its device ("socket", "usb"), "" when it is not told."""

    working: bool
    stopped: bool
    accepting: bool
    message: str
    reasons: tuple[str, ...]
    back_end: str

    @property
    def status(self) -> Status:
        """The same in everybody's words. A stopped queue prints nothing before somebody starts it."""
        reasons = frozenset(filter(None, map(ippreasons.reason, self.reasons)))
        reasons |= {Reason.PAUSED} if self.stopped else set()
        return Status(reasons, idle=False if self.working else None, text=str(self) if reasons else "")

    def __str__(self) -> str:
        return ": ".join(part for part in (", ".join(self.reasons), self.message) if part) or "it gives no reason"


@dataclass(frozen=True, slots=True)
class Job:
    """How a job stands. started: when it was last given to the printer's back end (CUPS's clock, s), None: never."""

    state: JobState
    reasons: tuple[str, ...]
    impressions: int
    started: int | None
    message: str


class Cups:
    """One server. Every request is a connection of its own. Raises CupsError for a no, OSError when nobody answers.

    server: "host", "host:port" or the path of a socket; None: where CUPS's own commands look.
    patience_s: for one answer.
    """

    def __init__(self, server: str | None = None, *, patience_s: float = 10.0) -> None:
        self.address = server or os.environ.get("CUPS_SERVER") or _usual()
        self._patience_s = patience_s
        self._user = _user()

    # -- queues

    def queues(self) -> list[str]:
        """The names of all queues."""
        answer = self._ask(_GET_PRINTERS, "/", [(ipp.KEYWORD, "requested-attributes", "printer-name")])
        return sorted(str(each["printer-name"][0]) for each in answer.of(ipp.PRINTER) if each.get("printer-name"))

    def queue(self, name: str) -> Queue:
        """How one queue stands."""
        answer = self._ask(_GET_PRINTER, _path(name), [
            (ipp.URI, "printer-uri", _uri(name)), (ipp.KEYWORD, "requested-attributes", _QUEUE_WISHES)
        ])  # fmt: skip
        seen = _first(answer, ipp.PRINTER)
        return Queue(
            working=_one(seen, "printer-state", 3) == 4,
            stopped=_one(seen, "printer-state", 3) == 5,
            accepting=bool(_one(seen, "printer-is-accepting-jobs", True)),
            message=str(_one(seen, "printer-state-message", "")),
            reasons=_reasons(seen, "printer-state-reasons"),
            back_end=str(_one(seen, "device-uri", "")).partition(":")[0],
        )

    # -- one job

    def create(self, queue: str, title: str) -> int:
        """A job without a document yet; its number. CUPS prints nothing of it before the document is whole."""
        answer = self._ask(_CREATE, _path(queue), [*self._mine(queue), (ipp.NAME, "job-name", title)])
        return int(_one(_first(answer, ipp.JOB), "job-id", 0))

    def document(self, queue: str, job: int) -> Document:
        """The job's document, to be written piece by piece."""
        head = ipp.request(_SEND, [
            *self._mine(queue, job), (ipp.MIME, "document-format", RAW), (ipp.BOOLEAN, "last-document", True)
        ])  # fmt: skip
        return Document(self._connect(), head, _path(queue), self._headers())

    def job(self, queue: str, job: int) -> Job:
        """How a job stands."""
        wishes: ipp.Attribute = (ipp.KEYWORD, "requested-attributes", _JOB_WISHES)
        seen = _first(self._ask(_GET_JOB, _path(queue), [*self._mine(queue, job), wishes]), ipp.JOB)
        return Job(
            state=JobState(_one(seen, "job-state", JobState.PENDING)),
            reasons=_reasons(seen, "job-state-reasons"),
            impressions=int(_one(seen, "job-impressions-completed", 0)),
            started=_one(seen, "time-at-processing", None),
            message=str(_one(seen, "job-printer-state-message", "")),
        )

    def cancel(self, queue: str, job: int) -> None:
        """Take a job back. Raises CupsError when it is over already."""
        self._ask(_CANCEL, _path(queue), self._mine(queue, job))

    def _mine(self, queue: str, job: int | None = None) -> list[ipp.Attribute]:
        """In the order in which CUPS wants them: the target first."""
        target: list[ipp.Attribute] = [(ipp.URI, "printer-uri", _uri(queue))]
        if job is not None:
            target.append((ipp.INTEGER, "job-id", job))
        return [*target, (ipp.NAME, "requesting-user-name", self._user)]

    # -- HTTP

    def _ask(self, operation: int, path: str, attributes: list[ipp.Attribute]) -> ipp.Answer:
        with closing(self._connect()) as line:
            with _as_os_error():
                line.request("POST", path, ipp.request(operation, attributes), self._headers())
                return _answer(line)

    def _connect(self) -> http.client.HTTPConnection:
        if self.address.startswith("/"):
            return _SocketConnection(self.address, self._patience_s)
        host, _, port = self.address.rpartition(":") if ":" in self.address else (self.address, "", str(PORT))
        return http.client.HTTPConnection(host.strip("[]"), int(port), timeout=self._patience_s)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/ipp"}
        if self.address.startswith("/"):
            headers["Authorization"] = f"PeerCred {self._user}"  # CUPS compares it with what the kernel says of us
        return headers


class Document:
    """What a job prints, on its way into CUPS's spool. Raises OSError; CupsError when CUPS refuses it."""

    def __init__(self, line: http.client.HTTPConnection, head: bytes, path: str, headers: dict[str, str]) -> None:
        self._line = line
        with _as_os_error():
            line.putrequest("POST", path, skip_accept_encoding=True)
            for name, value in {**headers, "Transfer-Encoding": "chunked"}.items():
                line.putheader(name, value)
            line.endheaders()
        self.write(head)

    def write(self, piece: bytes | memoryview) -> None:
        """One piece, which must not be empty."""
        with _as_os_error():
            self._line.send(b"%x\r\n" % len(piece) + bytes(piece) + b"\r\n")

    def end(self) -> None:
        """That was all: from now on it may be printed."""
        with _as_os_error():
            self._line.send(b"0\r\n\r\n")

    def answer(self) -> None:
        """Wait until CUPS has taken it."""
        with _as_os_error():
            _answer(self._line)

    def close(self) -> None:
        """Let go of the connection. Without an end, CUPS throws away what it has."""
        self._line.close()


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        if sys.platform == "win32":
            raise OSError("Windows has no CUPS; name a server as host:port")
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(self._path)
        except BaseException:
            self.close()
            raise


class _as_os_error:
    """A server that breaks off in the middle of HTTP is a connection that broke off."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, http.client.HTTPException | ValueError):
            raise ConnectionResetError(f"the print service broke off ({error or type(error).__name__})") from error


def _answer(line: http.client.HTTPConnection) -> ipp.Answer:
    with closing(line.getresponse()) as response:
        data = response.read(ANSWER)
    if response.status != 200:
        raise CupsError(f"the print service says {response.status} {response.reason}")
    answer = ipp.parse(data)
    if answer.status >= 0x0100:
        said = _one(_first(answer, ipp.OPERATION), "status-message", "")
        meaning = _STATUS.get(answer.status, f"status 0x{answer.status:04x}")
        raise CupsError(f"{meaning}: {said}" if said else meaning, answer.status)
    return answer


def _user() -> str:
    """Who we are to the kernel, which CUPS asks; $USER may say somebody else."""
    if sys.platform == "win32":
        return "print-bridge"
    import pwd  # not on Windows

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "print-bridge"


def _usual() -> str:
    return next((path for path in SOCKETS if os.path.exists(path)), f"localhost:{PORT}")


def _path(queue: str) -> str:
    return f"/printers/{quote(queue, safe='')}"


def _uri(queue: str) -> str:
    return f"ipp://localhost{_path(queue)}"


def _first(answer: ipp.Answer, tag: int) -> dict[str, list[Any]]:
    return next(iter(answer.of(tag)), {})


def _one(seen: dict[str, list[Any]], name: str, default: Any) -> Any:
    values = seen.get(name) or [None]
    return default if values[0] is None else values[0]


def _reasons(seen: dict[str, list[Any]], name: str) -> tuple[str, ...]:
    return tuple(str(each) for each in seen.get(name, []) if each not in (None, "none"))
