"""A file, a FIFO or a device node: file:///var/spool/labels.bin, file:///dev/usb/lp0. Bytes are added at the end.

Opened without blocking, so that a FIFO nobody reads and a printer out of paper cost a deadline and not a thread.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from devices.contracts import Connection, KeepGoing, Receipt, Settings, Transport
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted, SendStopped
from devices.wire.oneway import OneWay
from devices.wire.patience import Progress

CHUNK = 64 * 1024  # bytes; a cancel takes effect within one chunk
TICK_S = 0.25  # a stalled write asks keep_going at least this often

_APPEND = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_REMEDIES = {
    errno.ENOENT: "create the folder first (a printer device: plug it in and switch it on)",
    errno.ENOTDIR: "a part of the path is a file where a folder is needed",
    errno.EISDIR: "name a file in that folder",
    errno.EACCES: "allow this program's user to write there (a printer device: the group lp)",
    errno.ENXIO: "nobody reads this FIFO, or the device is gone",
    errno.ENODEV: "check that the printer is plugged in and switched on",
    errno.EIO: "check that the printer is plugged in and switched on",
    errno.EBUSY: "another program holds the device",
    errno.ENOSPC: "make room on the disk",
    errno.EPIPE: "the program that read this FIFO has gone",
}
_CHECK = "check the path"
# Devices and FIFOs have nothing to fsync, and say so in these ways.
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EROFS}


class File:
    """file:///path, percent-encoded. A file that does not exist is made, for its owner only (0600)."""

    scheme = "file"

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri unless `uri` is file:/// and an absolute path."""
        parse(uri)

    def open(self, uri: str, settings: Settings) -> Connection:
        """Open for appending. Raises PrinterUnreachable."""
        path = parse(uri)
        try:
            handle = os.open(path, _APPEND | _creating(path), 0o600)
        except OSError as error:
            raise PrinterUnreachable(f"{uri} cannot be opened: {_why(error)}") from error
        return FileConnection(handle, path, uri, settings)


TRANSPORT: Transport = File()


def parse(uri: str) -> Path:
    """The path of a file:// address. Raises BadPrinterUri."""
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.scheme != "file" or parts.netloc or not path.startswith("/") or "\0" in path:
        raise BadPrinterUri(f"{uri!r} is not a path; write file:///var/spool/labels.bin, with three slashes")
    if parts.query or parts.fragment:
        raise BadPrinterUri(f"{uri!r}: a file has no query or fragment; write %3F for ? and %23 for #")
    if path.endswith("/"):
        raise BadPrinterUri(f"{uri!r} is a folder; write the name of a file in it")
    return Path(path)


def _creating(path: Path) -> int:
    """Whether to make a missing file. In /dev it is an unplugged printer: a file there would swallow its labels."""
    return 0 if path.is_relative_to("/dev") else os.O_CREAT


class FileConnection(OneWay):
    """One open file, for one job. `handle` is owned and closed here. sent: bytes the kernel has taken."""

    def __init__(self, handle: int, path: Path, uri: str, settings: Settings) -> None:
        self.sent = 0
        self._offered = 0
        self._handle: int | None = handle
        self._mode = os.fstat(handle).st_mode
        self._path = path
        self._uri = uri
        self._stall_s = settings.stall_s

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Append all of `data`, a chunk at a time."""
        left = memoryview(data).cast("B")
        self._offered += len(left)
        progress = Progress(self._stall_s, self)
        while left:
            taken = self._offer(left[:CHUNK])
            if taken:
                progress.moved()
            elif progress.stalled():
                self._fail(f"nothing was taken for {self._stall_s:g} s")
            left = left[taken:]
            if keep_going is not None and not keep_going(self.sent):
                text = f"{self._uri}: stopped as asked after {self.sent} of {self._offered} bytes"
                raise SendStopped(text, sent=self.sent, total=self._offered)

    def finish(self) -> Receipt:
        """Return when the bytes are on the disk, or have left the device driver."""
        try:
            if stat.S_ISCHR(self._mode):
                self._await_driver()
            self._sync()
        except OSError as error:
            self._fail(_why(error), error)
        if stat.S_ISREG(self._mode):
            return Receipt("written", f"{self.sent} bytes are in {self._path}", path=self._path)
        return Receipt("taken", f"{self._path} took {self.sent} bytes", path=self._path)

    def close(self) -> None:
        """Let go of the file. What was written stays."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):  # all that matters was synced by finish()
                os.close(handle)

    def _offer(self, chunk: memoryview) -> int:
        """Bytes of `chunk` taken; 0 after waiting a tick for room."""
        try:
            taken = os.write(self._open_handle(), chunk)
        except BlockingIOError:
            self._has_room(min(TICK_S, self._stall_s))
            return 0
        except OSError as error:
            self._fail(_why(error), error)
        self.sent += taken
        return taken

    def _await_driver(self) -> None:
        """Linux's usblp takes the last block without waiting for it, and drops it when closed before poll() says so."""
        progress = Progress(self._stall_s, self)
        while self.sent and not self._has_room(min(TICK_S, self._stall_s)):
            if progress.stalled():
                self._fail(f"the device did not take the last bytes within {self._stall_s:g} s")

    def _has_room(self, seconds: float) -> bool:
        """Wait until the device or FIFO can be written (poll says "error" as well, and the next write names it)."""
        if sys.platform == "win32":
            return True  # plain files are all there is, and they always have room
        poller = select.poll()
        poller.register(self._open_handle(), select.POLLOUT)
        return bool(poller.poll(seconds * 1000))

    def _sync(self) -> None:
        try:
            os.fsync(self._open_handle())
        except OSError as error:
            if stat.S_ISREG(self._mode) or error.errno not in _CANNOT_SYNC:
                raise

    def _open_handle(self) -> int:
        if self._handle is None:
            raise ValueError(f"{self._uri} has been closed already")
        return self._handle

    def _fail(self, cause: str, error: OSError | None = None) -> NoReturn:
        """The two cases a caller has: nothing is there, or a part of the job is."""
        if not self.sent:
            raise PrinterUnreachable(f"nothing was written to {self._uri}: {cause}") from error
        how_far = f"{self.sent} of {self._offered} bytes were written"
        text = f"{self._uri}: {cause}; {how_far}; see what is there before sending again"
        raise SendInterrupted(text, sent=self.sent, total=self._offered) from error


def _why(error: OSError) -> str:
    """The cause and its remedy."""
    cause = (error.strerror or str(error)).lower()
    return f"{cause}; {_REMEDIES.get(error.errno or 0, _CHECK)}"
