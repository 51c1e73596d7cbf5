"""A printer made of files: virtual://dock keeps each job as <folder>/dock/000001.bin, counted up, byte for byte.

A job not yet finished is 000001.part, and stays so when it is broken off: half a job never looks like a whole one.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from devices.contracts import Connection, Receipt, Settings, Transport
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted
from devices.transports.file import FileConnection

_URI = re.compile(r"virtual://([A-Za-z0-9_-][A-Za-z0-9._-]*)/?", re.IGNORECASE)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Virtual:
    """virtual://NAME, below Settings.folder. Folders are made for their owner only (0700), files likewise (0600)."""

    scheme = "virtual"

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri unless `uri` is virtual:// and a plain name."""
        parse(uri)

    def open(self, uri: str, settings: Settings) -> Connection:
        """Open the next number's .part file. Raises PrinterUnreachable, or BadPrinterUri without a folder."""
        name = parse(uri)
        if settings.folder is None:
            raise BadPrinterUri(f"{uri}: a virtual printer needs a folder to keep its jobs in; set Settings.folder")
        try:
            for folder in (settings.folder, settings.folder / name):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return VirtualConnection(*_next(settings.folder / name), uri, settings)
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            raise PrinterUnreachable(
                f"{uri} cannot keep a job in {settings.folder / name}: {cause}; check the folder and the disk"
            ) from error


TRANSPORT: Transport = Virtual()


def parse(uri: str) -> str:
    """The name of a virtual:// address. Raises BadPrinterUri."""
    match = _URI.fullmatch(uri)
    if match is None:
        raise BadPrinterUri(
            f"{uri!r} has no plain name; write virtual://dock, with letters, digits, '_', '-' and (not at first) '.'"
        )
    return match[1]


class VirtualConnection(FileConnection):
    """One job on its way into `part`; finish() gives it its final name."""

    def __init__(self, handle: int, part: Path, uri: str, settings: Settings) -> None:
        super().__init__(handle, part, uri, settings)
        self._finished = False

    def finish(self) -> Receipt:
        """Sync, rename, sync the folder: from here on the job survives a power cut under its final name."""
        receipt = super().finish()
        final = self._path.with_suffix(".bin")
        try:
            self._path.rename(final)
            _sync_folder(final.parent)
        except OSError as error:
            text = f"{self._uri}: the job is in {self._path} but could not be renamed: {error.strerror}; see the folder"
            raise SendInterrupted(text, sent=self.sent, total=self._offered) from error
        self._finished = True
        return replace(receipt, text=f"{self.sent} bytes are in {final}", path=final)

    def close(self) -> None:
        """Let go. A broken-off job stays as .part; a connection that carried nothing leaves nothing."""
        if self._handle is not None and not self.sent and not self._finished:
            with suppress(OSError):  # an empty file left behind harms nobody
                self._path.unlink()
        super().close()


def _next(folder: Path) -> tuple[int, Path]:
    """The next number's .part file, opened, and ours alone even among several processes."""
    taken = [int(stem) for stem in (name.partition(".")[0] for name in os.listdir(folder)) if stem.isdecimal()]
    number = max(taken, default=0)
    while True:
        number += 1
        part = folder / f"{number:06}.part"
        try:
            handle = os.open(part, _NEW, 0o600)
        except FileExistsError:
            continue
        if not part.with_suffix(".bin").exists():
            return handle, part
        # Between our look and our open somebody took this number and finished: renaming would overwrite his job.
        os.close(handle)
        part.unlink()


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    if os.name == "nt":
        return  # Windows cannot open a folder, and needs no such thing
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
