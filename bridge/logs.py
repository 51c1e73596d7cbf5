"""The log: to the journal under systemd, else to a rotating file and to stderr. One record is one line, no secrets.

    DIR/log/print-bridge.log        the newest lines, 10 MB; print-bridge.log.1 to .3 are older
    DIR/log/journal                 says that the last serve wrote to the journal and not here

Only our own loggers follow the level. Libraries show their traffic at debug, documents and passwords included, so they
stay at warning.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bridge.access.redact import Redactor, printable

SIZE_MAX = 10_000_000  # bytes of one file
KEPT = 3  # older files
LINE_MAX = 12_000  # characters; journald would split a line of 48 kB
POLL_S = 0.2  # how often a follower looks
OURS = ("bridge", "devices")

_log = logging.getLogger(__name__)
_PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}  # syslog(3)


class NoLog(Exception):
    """There is no log file to read. The text says where to look instead."""


# ---- writing ----------------------------------------------------------------------------------------------------


def start(level: str, folder: Path) -> None:
    """Log from now on. level: debug, info, warning or error. folder: the data folder. Never fails for want of a disk.

    May be called again: the handlers of the call before are closed.
    """
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    journal = to_journal()
    _mark(_folder(folder) / "journal", journal)
    stderr = logging.StreamHandler(sys.stderr)
    redactor, line = Redactor(), Line(priority=journal)
    for handler in [stderr] if journal else [stderr, LogFile(_file(folder))]:
        handler.addFilter(redactor)
        handler.setFormatter(line)
        root.addHandler(handler)
    logging.raiseExceptions = False  # a log that cannot be written is no reason to fill stderr with tracebacks
    _take_over_crashes()
    set_level(level)


def set_level(level: str) -> None:
    """Log what is at least so important, from now on."""
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(number, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(number)


def to_journal() -> bool:
    """Whether stderr is the journal: systemd says device:inode of what it gave us (systemd.exec(5))."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # no stderr, or one that is no file
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Line(logging.Formatter):
    """A record as one line: "2026-07-31T08:15:30.123+02:00 WARNING text". priority: "<4>text", as journald reads it."""

    def __init__(self, *, priority: bool = False) -> None:
        super().__init__()
        self._priority = priority

    def format(self, record: logging.LogRecord) -> str:
        text = printable(_cut(record.getMessage()))
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        for more in (record.exc_text, record.stack_info):
            if more:
                text += f" | {_folded(more)}"
        return f"{self._head(record)}{text}"

    def _head(self, record: logging.LogRecord) -> str:
        if self._priority:
            return f"<{_PRIORITIES.get(record.levelname, 6)}>"
        at = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        return f"{at} {record.levelname:<7} "


def _folded(traceback: str) -> str:
    return " | ".join(printable(line.strip()) for line in _cut(traceback).splitlines() if line.strip())


def _cut(text: str) -> str:
    """Of a very long text the beginning and the end: what it is about, and a traceback's last frame."""
    if len(text) <= LINE_MAX:
        return text
    half = LINE_MAX // 2
    return f"{text[:half]} ... ({len(text):,} characters) ... {text[-half:]}"


class LogFile(logging.Handler):
    """Appends to a file, sets it aside when it is full. A full disk costs lines, which are counted, and nothing else.

    Not logging.handlers.RotatingFileHandler: that one leaves torn lines behind on a full disk, loses every line from
    the moment it cannot rename a file, and formats every record twice.
    """

    def __init__(self, path: Path, *, size_max: int = SIZE_MAX, kept: int = KEPT) -> None:
        super().__init__()
        self.path = path
        self._size_max, self._kept = size_max, kept
        self._rotate_at = size_max
        self._file: BinaryIO | None = None
        self._lost, self._why = 0, ""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record) + "\n"
            if self._lost:
                line = self._own(record, f"{self._lost} lines are missing here: {self._why}") + line
            self._append(line.encode("utf-8", "backslashreplace"))
        except Exception as error:  # nothing that is logged may stop the printing
            self._lose(record, getattr(error, "strerror", None) or type(error).__name__)
        else:
            self._lost = 0

    def _lose(self, record: logging.LogRecord, why: str) -> None:
        """Count it, and say so where it can be said: the first time on stderr, afterwards in the file."""
        self._lost, self._why = self._lost + 1, why
        if self._lost == 1:
            with suppress(OSError, ValueError, AttributeError):
                sys.stderr.write(self._own(record, f"{self.path} cannot be written: {why}"))

    def _own(self, record: logging.LogRecord, text: str) -> str:
        """A line of this handler's own, at the time of a record."""
        level = {"levelno": logging.WARNING, "levelname": "WARNING"}
        return self.format(logging.makeLogRecord({**level, "msg": text, "created": record.created})) + "\n"

    def _append(self, line: bytes) -> None:
        """Write all of it or nothing."""
        file = self._there() or self._open()
        size = file.tell()
        if size and size + len(line) > self._rotate_at:
            file = self._rotated(size)
            size = file.tell()
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):
                file.truncate(size)
                file.seek(size)
            raise

    def _there(self) -> BinaryIO | None:
        """The open file, unless somebody has deleted it under our hands."""
        if self._file is not None and not os.fstat(self._file.fileno()).st_nlink:
            self._close_file()
        return self._file

    def _open(self) -> BinaryIO:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Unbuffered: what is logged before a crash must be there after it, and no line may wait for the next one.
        self._file = open(self.path, "ab", buffering=0, opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
        return self._file

    def _rotated(self, size: int) -> BinaryIO:
        """Set the file aside; where that fails, go on in it and try again a tenth later."""
        self._close_file()
        try:
            for number in range(self._kept, 0, -1):
                with suppress(FileNotFoundError):
                    os.replace(_older(self.path, number - 1), _older(self.path, number))
            self._rotate_at = self._size_max
        except OSError:
            self._rotate_at = size + self._size_max // 10
        return self._open()

    def close(self) -> None:
        self.acquire()
        try:
            self._close_file()
        finally:
            self.release()
        super().close()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _older(path: Path, number: int) -> Path:
    """The file that was set aside `number` rotations ago; 0: the one being written."""
    return path.with_name(f"{path.name}.{number}") if number else path


def _folder(data: Path) -> Path:
    return data / "log"


def _file(data: Path) -> Path:
    return _folder(data) / "print-bridge.log"


def _mark(path: Path, present: bool) -> None:
    """Remember where the log goes, for `tail`. Only a courtesy, so no disk's trouble is told."""
    with suppress(OSError):
        if present:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        else:
            path.unlink(missing_ok=True)


def _take_over_crashes() -> None:
    """What Python would print to stderr by itself, past the redaction and over many lines, is logged."""
    threading.excepthook = lambda crash: _crashed(
        f"the thread {crash.thread.name if crash.thread else '?'} ended", crash.exc_value
    )
    sys.unraisablehook = lambda crash: _crashed(crash.err_msg or "an error nobody could catch", crash.exc_value)
    sys.excepthook = lambda kind, error, where: _end(error, where)


def _crashed(text: str, error: BaseException | None) -> None:
    if not isinstance(error, SystemExit):
        _log.critical("%s: %s", text, type(error).__name__, exc_info=error)


def _end(error: BaseException, where: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(type(error), error, where)
    else:
        _crashed("print-bridge ended", error)


# ---- reading ----------------------------------------------------------------------------------------------------


def tail(folder: Path, lines: int) -> list[str]:
    """The last so many lines, oldest first, those of set-aside files included. Raises NoLog."""
    path = _existing(folder)
    found: deque[str] = deque(maxlen=max(0, lines))
    for number in range(KEPT + 1):
        if len(found) >= lines:
            break
        missing = lines - len(found)
        found.extendleft(reversed(_last_lines(_older(path, number), missing)))
    return list(found)


def _last_lines(path: Path, lines: int) -> list[str]:
    """The last lines of one file, read from its end, a piece at a time."""
    try:
        with path.open("rb") as file:
            data, start = b"", file.seek(0, os.SEEK_END)
            while start and data.count(b"\n") <= lines:
                piece = min(start, 64 * 1024)
                start = file.seek(start - piece)
                data = file.read(piece) + data
    except FileNotFoundError:
        return []
    return [_text(line) for line in data.split(b"\n")[:-1][-lines:]]


def follow(folder: Path, *, lines: int = 0) -> Iterator[str]:
    """The last so many lines, then each new one as it comes, through every rotation. Never ends. Raises NoLog."""
    path = _existing(folder)
    file = path.open("rb")
    file.seek(0, os.SEEK_END)  # first, so that no line falls between the two
    return chain(tail(folder, lines), _followed(path, file))


def _followed(path: Path, file: BinaryIO) -> Iterator[str]:
    rest = b""
    try:
        while True:
            younger = _younger(path, file)  # looked for before reading: of a file set aside nothing is missed
            *whole, rest = (rest + file.read()).split(b"\n")
            yield from map(_text, whole)
            if younger is not None:
                file.close()
                file, rest = younger, b""
            elif not whole:
                time.sleep(POLL_S)
                rest = _still_there(file, rest)
    finally:
        file.close()


def _still_there(file: BinaryIO, rest: bytes) -> bytes:
    """The unfinished line read last, unless the writer took it back for want of space."""
    size = os.fstat(file.fileno()).st_size
    if size >= file.tell():
        return rest
    file.seek(size)
    return b""


def _younger(path: Path, file: BinaryIO) -> BinaryIO | None:
    """The file that was begun after this one; None while this is the one being written."""
    me = os.fstat(file.fileno())
    found = None
    for number in range(KEPT + 1):
        with suppress(OSError):  # a name that no file has at the moment
            if os.path.samestat(os.stat(_older(path, number)), me):
                break
            found = _older(path, number)
    with suppress(OSError):
        return found.open("rb") if found else None
    return None


def _existing(folder: Path) -> Path:
    path = _file(folder)
    if (_folder(folder) / "journal").exists():
        raise NoLog("print-bridge runs under systemd and logs to the journal; run: journalctl -u print-bridge")
    if not path.exists():
        raise NoLog(f"there is no log at {path}: no serve has run with this data folder yet; "
                    "name the right one with --data, or under systemd run: journalctl -u print-bridge")  # fmt: skip
    return path


def _text(line: bytes) -> str:
    return printable(line.decode("utf-8", "replace"))
