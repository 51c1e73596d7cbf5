"""Files of jobs: documents that came in, printer bytes that were drawn from them. File names are ours alone."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bridge.model import Upload, new_id

CHUNK = 64 * 1024  # bytes read or written at a time


class Spool:
    """DIR/spool: documents/ holds what was handed in, output/ what is to leave."""

    def __init__(self, folder: Path) -> None:
        self.documents = folder / "documents"
        self.outputs = folder / "output"
        for each in (folder, self.documents, self.outputs):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def document(self, job_id: str) -> Path:
        """Where a job's document lies when it is too large for the database."""
        return self.documents / job_id

    def receive(self) -> Incoming:
        """A new document, to be written piece by piece."""
        return Incoming(self.documents / f"{new_id()}.part")

    def keep(self, upload: Upload, job_id: str) -> None:
        """Give an upload its job's name. Durable when it returns."""
        os.replace(upload.path, self.document(job_id))
        sync_folder(self.documents)

    def output(self, job_id: str, launch: int) -> Output:
        """A fresh place for the printer bytes of one launch."""
        return Output(self.outputs / f"{job_id}-{launch}.prn")

    def drawn(self, job_id: str, launch: int) -> list[tuple[int, int]]:
        """(offset, length) of each page that was ready to leave in this launch, also after a crash."""
        return _read_index(self.outputs / f"{job_id}-{launch}.idx")

    def pages(self, job_id: str, launch: int) -> Iterator[bytes]:
        """The printer bytes of each page of one launch."""
        path = self.outputs / f"{job_id}-{launch}.prn"
        index = self.drawn(job_id, launch)
        if not index or not path.exists():
            return
        with path.open("rb") as file:
            for offset, length in index:
                file.seek(offset)
                yield file.read(length)

    def forget(self, job_id: str) -> None:
        """Remove every file of a job."""
        self.document(job_id).unlink(missing_ok=True)
        for path in self.outputs.glob(f"{job_id}-*"):
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """At boot: remove uploads that never became a job."""
        for path in self.documents.glob("*.part"):
            path.unlink(missing_ok=True)


class Incoming:
    """A document on its way to the disk. Use as a context manager; without finish() it leaves nothing behind."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO = open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        self._kept = False

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
        if not self._kept:
            self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._file.write(data)

    def finish(self) -> Upload:
        """All is written: fsync and hand over."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._kept = True
        return Upload(self.path, self.size, self._hash.hexdigest())


class Output:
    """The printer bytes of one launch of a drawn job, page after page.

    Prepare appends, deliver reads what is there while more is being drawn. The index is written after the page it
    names, so that after a crash it bounds what can have left. Synced only with the result: drawing again is safe.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index_path = path.with_suffix(".idx")
        self._changed = threading.Condition()
        self._pages: list[tuple[int, int]] = []
        self._size = 0
        self._done = False
        self._error: Exception | None = None
        self._file = open(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb", buffering=0)
        self._index = open(os.open(self._index_path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb", buffering=0)

    def append(self, data: bytes) -> None:
        """One more page is ready to leave."""
        self._file.write(data)
        self._index.write(b"%d %d\n" % (self._size, len(data)))
        with self._changed:
            self._pages.append((self._size, len(data)))
            self._size += len(data)
            self._changed.notify_all()

    def finish(self, error: Exception | None = None) -> None:
        """No more pages will come; error says why if that is not because all are there."""
        with self._changed:
            self._done, self._error = True, error
            self._changed.notify_all()
        self._file.close()
        self._index.close()

    @property
    def finished(self) -> bool:
        return self._done

    @property
    def size(self) -> int:
        """Bytes ready so far."""
        return self._size

    @property
    def page_count(self) -> int:
        """Pages ready so far."""
        return len(self._pages)

    def read(self, number: int) -> bytes | None:
        """Page `number` (from 0), waiting for it to be drawn; None after the last. Raises what drawing raised."""
        with self._changed:
            while number >= len(self._pages) and not self._done:
                self._changed.wait()
            if number >= len(self._pages):
                if self._error is not None:
                    raise self._error
                return None
            offset, length = self._pages[number]
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def sync(self) -> None:
        """Put everything on the disk, with the result of its delivery."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._index_path.unlink(missing_ok=True)


def _read_index(path: Path) -> list[tuple[int, int]]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    # A line without its end was cut off by a crash; its page counts as one that may have left.
    pairs = [line.split() for line in lines if line.endswith(b"\n")]
    return [(int(a), int(b)) for a, b in pairs]


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable (a no-op where folders cannot be opened)."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
