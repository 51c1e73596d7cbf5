"""One serve per data folder: two writers would print twice."""

from __future__ import annotations

import os
import sys
from pathlib import Path


class FolderInUse(Exception):
    """Another process holds the folder. The text names its pid."""


class FolderLock:
    """An exclusive lock that the system lets go of however the process ends."""

    def __init__(self, path: Path) -> None:
        """Take it, or raise FolderInUse."""
        self._file = open(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+b", buffering=0)  # noqa: SIM115
        try:
            _take(self._file.fileno())
        except OSError as error:
            holder = self._file.read().decode(errors="replace").strip() or "unknown"
            self._file.close()
            raise FolderInUse(
                f"the data folder {path.parent} is in use by the print-bridge with pid {holder}; "
                "stop that one, or give this one another --data folder"
            ) from error
        self._file.truncate(0)
        self._file.seek(0)
        self._file.write(b"%d\n" % os.getpid())

    def release(self) -> None:
        self._file.close()


if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        # The byte locked lies far beyond the pid, so that others can still read that.
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
