"""Watch what goes to a printer: spy:///var/log/dock.txt?uri=tcp%3A%2F%2F192.168.1.40 prints as tcp://192.168.1.40 does,
and appends every step, with its time and its bytes in hex and text, to the log file.

The log holds what was printed, addresses of customers included: it is made for its owner only (0600).
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from devices import transports
from devices.contracts import Connection, KeepGoing, Receipt, Settings, Status, Transport
from devices.errors import BadPrinterUri, DeviceError, PrinterUnreachable

log = logging.getLogger(__name__)

WIDTH = 16  # bytes in one line of the dump
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_TEXT = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in range(256))
_numbers = itertools.count(1)
_Answer = TypeVar("_Answer")


class Spy:
    """spy:///path/to/log?uri=<percent-encoded address of the printer>."""

    scheme = "spy"

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri unless `uri` is a log file and another address that is right in itself."""
        parse(uri)

    def open(self, uri: str, settings: Settings) -> Connection:
        """Open the log, then the printer. Raises PrinterUnreachable when either cannot be."""
        path, inner = parse(uri)
        try:
            journal = Journal(path)
        except OSError as error:
            raise PrinterUnreachable(
                f"the spy log {path} cannot be opened: {error.strerror}; name a file in a folder that can be written"
            ) from error
        try:
            return SpyConnection(journal.watch(f"open {inner}", lambda: transports.open(inner, settings)), journal)
        except BaseException:
            journal.close()
            raise


TRANSPORT: Transport = Spy()


def parse(uri: str) -> tuple[Path, str]:
    """The log file and the inner address of a spy:// address. Raises BadPrinterUri."""
    parts = urlsplit(uri)
    path, inner = unquote(parts.path), parse_qs(parts.query).get("uri", [])
    if parts.scheme != "spy" or parts.netloc or not path.strip("/") or "\0" in path or len(inner) != 1:
        raise BadPrinterUri(
            f"{uri!r} does not name a log file and one printer; write spy:///var/log/dock.txt?uri=tcp%3A%2F%2F192.168.1.40"
        )
    transports.check(inner[0])
    return Path(path), inner[0]


class SpyConnection:
    """A connection that tells `journal` what happens to `inner`, and changes nothing. sent: as the inner one says."""

    def __init__(self, inner: Connection, journal: Journal) -> None:
        self.sent = 0
        self.talks = inner.talks
        self._inner = inner
        self._journal = journal

    @property
    def on_stall(self) -> Callable[[float], bool] | None:
        """The inner one's."""
        return self._inner.on_stall

    @on_stall.setter
    def on_stall(self, on_stall: Callable[[float], bool] | None) -> None:
        self._inner.on_stall = on_stall

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Write through, the bytes logged before they go: a crash on the way leaves a trace."""
        self._journal.dump(data)
        try:
            self._journal.watch(f"write {memoryview(data).nbytes} bytes", lambda: self._inner.write(data, keep_going))
        finally:
            self.sent = self._inner.sent

    def ask(self, question: bytes) -> None:
        """Ask through, the question logged before it goes."""
        self._journal.dump(question)
        self._journal.watch(f"ask {len(question)} bytes", lambda: self._inner.ask(question))

    def hear(self, seconds: float) -> bytes:
        """Hear through. Silence is not noted: it is listened to many times a second."""
        try:
            words = self._inner.hear(seconds)
        except DeviceError as error:
            self._journal.failed("hear", error)
            raise
        if words:
            self._journal.note(f"heard {len(words)} bytes")
            self._journal.dump(words)
        return words

    def wire_status(self) -> Status | None:
        """What the inner one's wire says."""
        return self._inner.wire_status()

    def finish(self) -> Receipt:
        """Finish through."""
        return self._journal.watch(f"finish after {self.sent} bytes", self._inner.finish)

    def close(self) -> None:
        """Close through, and close the log."""
        self._journal.watch("close", self._inner.close)
        self._journal.close()


class Journal:
    """The log file of one connection. Lines carry the time (UTC) and the connection's number in this process.

    A log that cannot be written any more is given up, once and aloud: watching must never disturb printing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = f"{os.getpid()}.{next(_numbers)}"
        self._handle: int | None = os.open(path, _APPEND, 0o600)

    def watch(self, what: str, act: Callable[[], _Answer]) -> _Answer:
        """Do `act`, and note how it ended."""
        try:
            answer = act()
        except DeviceError as error:
            self.failed(what, error)
            raise
        self.note(what if answer is None else f"{what}: {_told(answer)}")
        return answer

    def note(self, what: str) -> None:
        """Note one step."""
        self._note([what])

    def failed(self, what: str, error: DeviceError) -> None:
        """Note how a step went wrong."""
        self.note(f"{what}: {type(error).__name__}: {error}")

    def dump(self, data: bytes | memoryview) -> None:
        """Note `data` in hex and text, 16 bytes a line."""
        self._note(_hex_lines(bytes(data)))

    def close(self) -> None:
        """Let go of the log file."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):  # nothing is buffered here
                os.close(handle)

    def _note(self, lines: list[str] | Iterator[str]) -> None:
        if self._handle is None:
            return
        stamp = f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {self._name} "
        try:
            _write_all(self._handle, "".join(f"{stamp}{line}\n" for line in lines).encode())
        except OSError as error:
            log.warning("%s: the spy log cannot be written any more: %s", self._path, error.strerror)
            self.close()


def _told(answer: object) -> str:
    return f"{answer.evidence}: {answer.text}" if isinstance(answer, Receipt) else "ok"


def _hex_lines(data: bytes) -> Iterator[str]:
    for at in range(0, len(data), WIDTH):
        row = data[at : at + WIDTH]
        yield f"{at:08x}  {row.hex(' '):<{WIDTH * 3}} |{row.decode('latin-1').translate(_TEXT)}|"


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
