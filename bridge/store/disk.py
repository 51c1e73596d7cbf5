"""Room on the disk: new jobs are refused while there is still enough for everything that was accepted before.

Two lines of defence. Below `reserve_bytes` free, nothing new is taken in. And a file that only holds its place is given
up the moment a commit does not fit, so that "this label is printed" can be written even on a full disk.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path

from bridge.errors import DiskLow

log = logging.getLogger(__name__)

RESERVE_FILE = "reserve"
RESERVE_SIZE = 4 * 1024 * 1024
"""Bytes. SQLite begins its log anew after 1,000 pages of 4 KiB: so much it can still grow by, and no more."""

LOOK_S = 0.5
LOOK_BYTES = 16 * 1024 * 1024
"""The file system is asked again after so many seconds, or so many bytes taken in."""

MEGABYTE = 1_000_000
_ZEROS = bytes(64 * 1024)
_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "sshfs", "fuse.sshfs", "ceph", "glusterfs", "afs", "webdav"}
_RISKY = {"data=writeback", "nobarrier", "barrier=0"}
_MOUNTS = Path("/proc/self/mountinfo")


class Reserve:
    """The room kept back on the disk of one data folder. reserve_bytes: free bytes below which nothing is taken in."""

    def __init__(self, folder: Path, reserve_bytes: int) -> None:
        """Makes DIR/reserve where there is room for it."""
        self.reserve_bytes = reserve_bytes
        self._folder = folder
        self._file = folder / RESERVE_FILE
        self._lock = threading.Lock()
        self._free = 0  # bytes, when last looked
        self._taken = 0  # bytes taken in since
        self._looked = -LOOK_S
        self._whole = self._file.exists() and self._file.stat().st_size == RESERVE_SIZE
        self.low()

    def low(self) -> bool:
        """Whether nothing more should be taken in. Costs a system call at most every LOOK_S."""
        self._look()
        return not self._fits(0)

    def check(self, incoming_bytes: int) -> None:
        """Raise DiskLow when so many more bytes should not be taken in; count them when they may be."""
        self._look()
        if not self._fits(incoming_bytes):
            self._look(at_once=True)  # what was taken in may be gone again: an upload that was refused, or broke off
            if not self._fits(incoming_bytes):
                raise self.refusal()
        self._taken += incoming_bytes  # two threads at once may lose a count; the next look puts it right

    def _fits(self, incoming_bytes: int) -> bool:
        return self._whole and self._free - self._taken - incoming_bytes >= self.reserve_bytes

    def refusal(self) -> DiskLow:
        """What a caller is told; also for a disk that filled up under a job that was let in."""
        return DiskLow(
            f"the disk of {self._folder} is full: {self._free / MEGABYTE:,.1f} MB are free, and"
            f" {(self.reserve_bytes + RESERVE_SIZE) / MEGABYTE:,.1f} MB are kept back so that every job that was"
            " accepted can still be printed",
            remedy="make room on that disk and send it again, or lower disk_reserve_mb under [limits];"
            " nothing was kept of this job",
        )

    def give_up(self) -> bool:
        """A commit does not fit: let the reserve go. True when that made room. For Engine.on_full."""
        with self._lock:
            if not self._whole or shutil.disk_usage(self._folder).free >= RESERVE_SIZE:
                return False
            with suppress(OSError):
                self._file.unlink()
                self._whole = False
                log.error("store: the disk of %s is full; its last %d kB are used to write down what becomes of the"
                          " jobs there are, and no new ones are taken", self._folder, RESERVE_SIZE // 1000)  # fmt: skip
                return True
            return False

    def _look(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._looked < LOOK_S and self._taken < LOOK_BYTES:
            return
        with self._lock:
            self._looked = now
            self._free, self._taken = shutil.disk_usage(self._folder).free, 0
            # As much again must be left, or what was given up a moment ago would be taken from the commits it is for.
            if not self._whole and self._free >= self.reserve_bytes + 2 * RESERVE_SIZE:
                self._make()

    def _make(self) -> None:
        """Take the place on the disk for real, so that it is there to be given back."""
        try:
            handle = os.open(self._file, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                _allocate(handle)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            log.warning("store: no room could be kept back on the disk of %s: %s", self._folder, error)
            with suppress(OSError):
                self._file.unlink()
            return
        self._whole = True
        self._free -= RESERVE_SIZE


def _allocate(handle: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, RESERVE_SIZE)
        return
    for _ in range(RESERVE_SIZE // len(_ZEROS)):
        os.write(handle, _ZEROS)


def as_refusal(error: BaseException) -> DiskLow | None:
    """What a caller is told when `error` says that the disk is full; None when it says something else."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    full |= isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL
    if not full:
        return None
    return DiskLow("the disk is full; nothing was changed", remedy="make room on it, then do it again")


def mount_warning(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """Why what is written to `folder` may not survive a power cut, in one sentence; None when nothing speaks for that.

    mounts: as /proc/self/mountinfo; where there is no such file nothing is known.
    """
    with suppress(OSError, ValueError):
        kind, options = _mount_of(folder.resolve(), mounts.read_text())
        if kind in _NETWORK:
            return (f"{folder} lies on a network file system ({kind}), where a database can be damaged;"
                    " move it to a local disk")  # fmt: skip
        if risky := sorted(options & _RISKY):
            return (f"{folder} lies on a file system mounted with {' '.join(risky)}, which can damage a database"
                    " at a power cut; mount it without that")  # fmt: skip
    return None


def _mount_of(folder: Path, mounts: str) -> tuple[str, set[str]]:
    """(file system, options) of the innermost mount that holds `folder`. Raises ValueError when there is none."""
    found: list[tuple[int, str, set[str]]] = []
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        point = Path(mount.split()[4].encode().decode("unicode_escape"))
        if folder.is_relative_to(point):
            kind, _, options = source.split(" ", 2)
            found.append((len(point.parts), kind, {*mount.split()[5].split(","), *options.split(",")}))
    if not found:
        raise ValueError(f"no mount holds {folder}")
    _, kind, chosen = max(reversed(found), key=lambda each: each[0])  # the last one lies over those before it
    return kind, chosen
