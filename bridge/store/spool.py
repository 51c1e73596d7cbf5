"""Files of jobs: documents that came in, printer bytes that were drawn from them. File names are ours alone."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from bridge.model import Upload, new_id

CHUNK = 64 * 1024  # bytes read or written at a time
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # Linux; another one after every start of the machine


class Spool:
    """DIR/spool: documents/ holds what was handed in, output/ what is to leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.documents = folder / "documents"
        self.outputs = folder / "output"
        for each in (folder, self.documents, self.outputs):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in (folder, folder.parent):
            sync_folder(each)

    def document(self, job_id: str) -> Path:
        """Where a job's document lies when it is too large for the database."""
        return self.documents / job_id

    def receive(self, room: Callable[[int], None] = lambda size: None) -> Incoming:
        """A new document, to be written piece by piece. room: raises DiskLow when so many more bytes are too many."""
        return Incoming(self.documents / f"{new_id()}.part", room)

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

    def pages_at_most(self, job_id: str, launch: int) -> int | None:
        """How many pages can have left in this launch, after a crash. None when the machine itself was cut off.

        The index is written before a page leaves but synced only later: it survives a kill, not a power cut.
        """
        index = self.outputs / f"{job_id}-{launch}.idx"
        if not _boot() or not index.exists() or _lines(index)[:1] != [_boot()]:
            return None
        return len(_read_index(index))

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

    def forget(self, job_id: str, launches: int | None = None) -> None:
        """Remove every file of a job. launches: how often it was launched, if known: then no folder is searched."""
        self.document(job_id).unlink(missing_ok=True)
        if launches is None:
            outputs = list(self.outputs.glob(f"{job_id}-*"))
        else:
            outputs = [self.outputs / f"{job_id}-{n}.{end}" for n in range(1, launches + 1) for end in ("prn", "idx")]
        for path in outputs:
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """At boot: remove uploads that never became a job."""
        for path in self.documents.glob("*.part"):
            path.unlink(missing_ok=True)

    def sweep_strays(self, exists: Callable[[str], bool]) -> None:
        """At boot: remove files named after a job that does not exist (a crash between the file and the row)."""
        for path in self.strays(exists):
            path.unlink()
        for path in self.outputs.iterdir():
            if not exists(path.name.rpartition("-")[0]):
                path.unlink()

    def strays(self, exists: Callable[[str], bool]) -> list[Path]:
        """Documents of jobs that do not exist."""
        return [path for path in self.documents.iterdir() if path.suffix != ".part" and not exists(path.name)]


class Incoming:
    """A document on its way to the disk. Use as a context manager; without finish() it leaves nothing behind."""

    def __init__(self, path: Path, room: Callable[[int], None]) -> None:
        self.path = path
        self.size = 0
        self._room = room
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
        """Raises what `room` raises, and OSError when the disk is full all the same."""
        self._room(len(data))
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
    repeat: how often the page sequence is sent (collated copies). labels_per_page: copies the printer makes of each.
    cuts_itself: a receipt that says itself where it is cut: nothing ends the job after it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repeat = 1
        self.labels_per_page = 1
        self.cuts_itself = False
        self._index_path = path.with_suffix(".idx")
        self._changed = threading.Condition()
        self._pages: list[tuple[int, int]] = []
        self._size = 0
        self._done = False
        self._error: Exception | None = None
        self._file = _create(path)
        try:
            self._index = _create(self._index_path)
            _write(self._index, _boot() + b"\n")
        except BaseException:
            self._file.close()
            raise

    def append(self, data: bytes) -> None:
        """One more page is ready to leave. Raises OSError when the disk will not take it: then it is not."""
        self._file.seek(self._size)
        _write(self._file, data)
        _write(self._index, b"%d %d\n" % (self._size, len(data)))
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

    def settled(self, number: int, patience_s: float) -> bool:
        """Wait a while for page `number` (from 0): True once it is there, or it is certain that it never will be."""
        with self._changed:
            return self._changed.wait_for(lambda: number < len(self._pages) or self._done, patience_s)

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


def _create(path: Path) -> FileIO:
    return FileIO(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb")


def _write(file: FileIO, data: bytes) -> None:
    """All of it: a disk that fills up takes a part first, and says so only the next time."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _read_index(path: Path) -> list[tuple[int, int]]:
    pairs = [line.split() for line in _lines(path)[1:]]
    return [(int(a), int(b)) for a, b in pairs]


def _lines(path: Path) -> list[bytes]:
    """The whole lines. One without its end was cut off by a crash, before its page was given away."""
    with suppress(FileNotFoundError):
        return [line[:-1] for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    return []


def _boot() -> bytes:
    """What tells this run of the machine from every other; b"" where that is not known."""
    with suppress(OSError):
        return _BOOT.read_bytes().strip()
    return b""


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
