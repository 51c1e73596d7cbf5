"""A real small file system that can be filled to the last byte: a tmpfs, mounted by us or in a user namespace.

    with SmallDisk(24 * MIB) as disk:
        ... use disk.folder ...
        disk.fill()

As root it is mounted in the place. Otherwise a helper process of ours holds a user and mount namespace open
(unshare -rm) and the disk is reached through /proc/PID/root. Where neither is permitted the test fails: it must run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

FILLER = "filler"


class SmallDisk:
    """A tmpfs of `size` bytes. folder: where it is."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._point = Path(tempfile.mkdtemp(prefix="small-disk-"))
        self._holder: subprocess.Popen[bytes] | None = None
        self.folder = self._point

    def __enter__(self) -> SmallDisk:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=0700", "tmpfs", str(self._point)]
        if subprocess.run(mount, capture_output=True).returncode:
            self._mount_in_namespace(mount)
        assert shutil.disk_usage(self.folder).total == self.size, f"no small disk at {self.folder}"
        return self

    def _mount_in_namespace(self, mount: list[str]) -> None:
        script = 'shift 0; "$@" && echo mounted && exec sleep 3600'
        self._holder = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", script, "sh", *mount], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if self._holder.stdout.readline() != b"mounted\n":
            raise AssertionError(f"neither mount nor unshare -rm may make a small disk: {self._holder.stderr.read()!r}")
        self.folder = Path(f"/proc/{self._holder.pid}/root{self._point}")

    def __exit__(self, *exc: object) -> None:
        if self._holder is None:
            subprocess.run(["umount", "-l", str(self._point)], check=True)
        else:
            self._holder.kill()
            self._holder.communicate()
        self._point.rmdir()

    def free(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.folder).free

    def fill(self, leave: int = 0) -> None:
        """Take all the room there is, but for `leave` bytes."""
        with (self.folder / FILLER).open("ab") as file:
            while (left := self.free() - leave) > 0:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), min(left, 1 << 20))

    def empty(self) -> None:
        """Give back what fill took."""
        (self.folder / FILLER).unlink(missing_ok=True)
