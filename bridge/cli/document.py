"""The document that `print` hands in: a file that is whole, or what comes through standard input."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bridge.cli.common import WRONG, Stop

PIECE = 256 * 1024  # bytes in memory at a time
STDIN_MAX = 1 << 30  # bytes; no serve takes a larger document, and a pipe may never end
FRESH_S = 1.0  # a file written to within this time may still grow
LOOK_AGAIN_S = 0.1
PRINTER_CODE = frozenset({"zpl", "epl", "prn", "bin", "raw", "tspl", "cpcl"})


class Changed(Exception):
    """The file is still being written to."""


class Source:
    """A document on disk. title: what people call it. declared: what it says it is. size: bytes."""

    def __init__(self, file: IO[bytes], title: str, declared: str | None) -> None:
        self._file = file
        self._found = os.fstat(file.fileno())
        self.title = title
        self.declared = declared
        self.size = self._found.st_size

    def open(self) -> IO[bytes]:
        """Its bytes from the beginning, as many as `size` says."""
        self._file.seek(0)
        return io.BufferedReader(_Whole(self), PIECE)

    def read(self, length: int) -> bytes:
        return self._file.read(length)

    def changed(self) -> bool:
        """True when somebody writes to it."""
        now = os.fstat(self._file.fileno())
        return (now.st_size, now.st_mtime_ns) != (self._found.st_size, self._found.st_mtime_ns)


class _Whole(io.RawIOBase):
    """Reads a document, and looks before the last piece whether it is still the same: half a label is never sent."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = source.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._source.read(min(len(buffer), self._left))
        self._left -= len(piece)
        if (not self._left or not piece) and self._source.changed():
            raise Changed
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def from_file(path: Path) -> Iterator[Source]:
    """A file. Raises Stop for everything that is none, is empty, cannot be read or is still being written."""
    _check(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise Stop(f"{path} cannot be read: {error.strerror}", WRONG) from error
    with file:
        source = Source(file, path.name, _by_name(path))
        if not source.size:
            raise Stop(f"{path} is empty", WRONG)
        if abs(time.time() - os.fstat(file.fileno()).st_mtime) < FRESH_S:
            time.sleep(LOOK_AGAIN_S)
        if source.changed():
            raise _still_written(path)
        try:
            yield source
        except Changed as error:
            raise _still_written(path) from error


def _check(path: Path) -> None:
    """Opening a FIFO would wait for a writer, perhaps for ever: look first."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise Stop(f"there is no file {path}", WRONG) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        raise Stop(f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}", WRONG) from error
    if stat.S_ISDIR(mode):
        raise Stop(f"{path} is a folder; print its files one by one", WRONG)
    if not stat.S_ISREG(mode):
        raise Stop(f"{path} is no file but a pipe or a device; use `print-bridge print - < {path}`", WRONG)


def _still_written(path: Path) -> Stop:
    return Stop(f"{path} is still being written to; print it when it is complete", WRONG)


def _by_name(path: Path) -> str | None:
    """Printer code says what it is by its ending; everything else by its bytes."""
    ending = path.suffix.lower().removeprefix(".")
    return ending if ending in PRINTER_CODE else None


@contextmanager
def from_stdin() -> Iterator[Source]:
    """Standard input to its end, kept in a file without a name. Raises Stop when nothing comes or it does not end."""
    if sys.stdin is None or sys.stdin.closed:
        raise Stop("standard input is closed; pipe a document into it", WRONG)
    if sys.stdin.isatty():
        raise Stop("standard input is a terminal; pipe a document into it, as in `print-bridge print - < FILE`", WRONG)
    incoming = sys.stdin.buffer
    with tempfile.TemporaryFile() as file:
        while piece := incoming.read(PIECE):
            file.write(piece)
            if file.tell() > STDIN_MAX:
                raise Stop(f"standard input brings more than {STDIN_MAX:,} bytes, and no document is that large", WRONG)
        file.flush()
        if not file.tell():
            raise Stop("standard input is empty", WRONG)
        yield Source(file, "standard input", None)
