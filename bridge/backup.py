"""One file that holds a whole bridge: saved while it runs, without stopping it. bridge/restore.py reads it again.

A zip: the database as it was at one moment, the documents its jobs may still need, credentials, configuration and
secrets, and a manifest with the SHA-256 of each. What was drawn is not in it: drawing again is safe.
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bridge import VERSION
from bridge.config import LAST_GOOD
from bridge.store.jobs import INLINE_MAX
from bridge.store.spool import sync_folder

FORMAT = "print-bridge backup 1"
MANIFEST = "manifest.json"
DATABASE = "bridge.db"
SETTINGS = ("credentials.json", "config.toml", LAST_GOOD, "secrets.json")
DOCUMENTS = "spool/documents"
_MEMBER = re.compile(
    r"(bridge\.db|(credentials|secrets)\.json|config(\.last-good)?\.toml|spool/documents/[0-9A-Za-z_-]{1,64})"
)

CHUNK = 256 * 1024  # bytes read or written at a time
_PAGES = 256  # database pages between two words of progress
_OF_SQLITE = ("", "-journal", "-wal", "-shm")  # a database file, and what SQLite may lay beside it

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all); bytes in all may still change a little."""


class BackupError(Exception):
    """It was not saved, or not restored, and nothing was left half done. The text says why and what to do."""


class NothingThere(BackupError):
    """The folder holds no bridge, or the file is none that can be used: most likely the wrong one was named."""


class Member(BaseModel):
    """One file in the backup. size: bytes, unpacked; sha256: hex."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("name")
    @classmethod
    def _ours(cls, name: str) -> str:
        """A list of what may be there keeps out whatever a path can be made to mean."""
        if _MEMBER.fullmatch(name) is None:
            raise ValueError(f"{name[:100]!r} is not a file of a bridge")
        return name


class Manifest(BaseModel):
    """What a backup is and holds. version: of print-bridge; created: Unix seconds; schema: of the database."""

    model_config = ConfigDict(frozen=True)

    format: str = FORMAT
    version: str
    created: float
    database_schema: int = Field(ge=1)
    members: tuple[Member, ...]

    @property
    def size(self) -> int:
        """Bytes of all members, unpacked."""
        return sum(member.size for member in self.members)

    @property
    def documents(self) -> int:
        """How many documents are in it."""
        return sum(member.name.startswith(DOCUMENTS) for member in self.members)


def save(folder: Path, file: Path, progress: Progress = lambda done, total: None, *, force: bool = False) -> Manifest:
    """Write the bridge of data folder `folder` into `file` (mode 0600), durable on return. A serve may be running.

    `file` is there whole or not at all. force: replace an older one. Raises BackupError.
    """
    if not (folder / DATABASE).is_file():
        raise NothingThere(f"{folder} holds no bridge.db; name the data folder with --data")
    file = file.resolve()
    _refuse(file, force=force)
    _sweep(file)
    try:
        with _beside(file) as (archive, copy):
            manifest = _write(folder, archive, copy, progress)
            _refuse(file, force=force)
            os.replace(archive, file)
        sync_folder(file.parent)
    except OSError as error:
        raise BackupError(f"the backup could not be written to {file}: {error.strerror or error}; nothing is left of "
                          "it: choose another place, or make room there") from error  # fmt: skip
    return manifest


def look(database: Path) -> sqlite3.Connection:
    """The database for reading, also while a serve writes to it. Raises sqlite3.Error."""
    # Where nobody can write, such as a card that went read-only, there is no place for SQLite's lock file either.
    lone = not os.access(database.parent, os.W_OK) and not database.with_name(f"{database.name}-shm").exists()
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro{'&immutable=1' if lone else ''}", uri=True,
                           isolation_level=None, timeout=30)  # fmt: skip


# ---- writing ------------------------------------------------------------------------------------------------------


def _write(folder: Path, archive: Path, copy: Path, progress: Progress) -> Manifest:
    """The whole archive, synced. copy: a place for the database as it is at this moment."""
    schema, wanted = _snapshot(folder / DATABASE, copy, progress)
    size = copy.stat().st_size
    with archive.open("wb") as file, zipfile.ZipFile(file, "w") as target:
        packing = _Packing(target, progress, done=size, total=2 * size + sum(each.size for each in wanted))
        with copy.open("rb") as database:
            packing.add(DATABASE, database)
        for document in wanted:
            packing.document(folder, document)
        for name in SETTINGS:
            with suppress(FileNotFoundError), (folder / name).open("rb") as settings:
                packing.add(name, settings)
        manifest = Manifest(
            version=VERSION, created=time.time(), database_schema=schema, members=tuple(packing.members)
        )
        target.writestr(_entry(MANIFEST), manifest.model_dump_json(indent=1))
        target.close()
        file.flush()
        os.fsync(file.fileno())
    packing.finish()
    return manifest


def _snapshot(database: Path, copy: Path, progress: Progress) -> tuple[int, list[Member]]:
    """Copy the database as it is at this moment to `copy`; return its schema and the documents its jobs know of.

    One read transaction spans it all: what is written meanwhile is not in it, and nobody waits.
    """
    try:
        with closing(look(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.execute("BEGIN")
            schema = source.execute("PRAGMA user_version").fetchone()[0]
            wanted = _documents(source)
            page = source.execute("PRAGMA page_size").fetchone()[0]
            target.execute("PRAGMA synchronous=OFF")  # a copy that a power cut breaks is made again
            documents = sum(each.size for each in wanted)
            source.backup(
                target, pages=_PAGES,
                progress=lambda _, left, all_: progress((all_ - left) * page, 2 * all_ * page + documents),
            )  # fmt: skip
            finding = target.execute("PRAGMA quick_check(1)").fetchone()[0]
    except (sqlite3.Error, ValidationError) as error:
        raise BackupError(f"{database} cannot be copied: {error}; run `print-bridge doctor`") from error
    if finding != "ok":
        raise BackupError(f"{database} is damaged ({finding}), and so would be its backup; run `print-bridge doctor`")
    return schema, wanted


def _documents(db: sqlite3.Connection) -> list[Member]:
    """Those that are too large for the database. Some are deleted already, and some will be in a moment."""
    rows = db.execute(
        "SELECT id, size, sha256 FROM jobs WHERE sha256 IS NOT NULL AND size > ? ORDER BY serial", (INLINE_MAX,)
    )
    return [Member(name=f"{DOCUMENTS}/{job_id}", size=size, sha256=sha256) for job_id, size, sha256 in rows]


class _Packing:
    """Puts one file after another into the archive, counts bytes, and takes down what it put there."""

    def __init__(self, target: zipfile.ZipFile, progress: Progress, *, done: int, total: int) -> None:
        self.members: list[Member] = []
        self._target = target
        self._progress = progress
        self._done = done
        self._total = total

    def add(self, name: str, source: BinaryIO) -> None:
        """All of `source`, from where it stands."""
        size, sha256 = 0, hashlib.sha256()
        # Documents are packed as they come: most are compressed already, and a Pi has better things to do.
        packed = zipfile.ZIP_STORED if name.startswith(DOCUMENTS) else zipfile.ZIP_DEFLATED
        with self._target.open(_entry(name, packed), "w", force_zip64=True) as entry:
            while chunk := source.read(CHUNK):
                entry.write(chunk)
                sha256.update(chunk)
                size += len(chunk)
                self._done += len(chunk)
                self._progress(self._done, max(self._total, self._done))
        self.members.append(Member(name=name, size=size, sha256=sha256.hexdigest()))

    def document(self, folder: Path, wanted: Member) -> None:
        """A job's document, unless it is gone by now (the job has ended) or another (the job was given a new one)."""
        with suppress(FileNotFoundError), (folder / wanted.name).open("rb") as source:
            if hashlib.file_digest(source, "sha256").hexdigest() == wanted.sha256:
                source.seek(0)
                self.add(wanted.name, source)

    def finish(self) -> None:
        self._progress(self._done, self._done)


def _entry(name: str, packed: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """A zip entry for its owner only. Without a date: a Pi's clock may say 1970, which a zip cannot."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = packed
    entry.external_attr = 0o100600 << 16
    return entry


# ---- the file's place ---------------------------------------------------------------------------------------------


def _refuse(file: Path, *, force: bool) -> None:
    """Raise BackupError when `file` cannot be made, or is somebody's."""
    if not file.parent.is_dir():
        raise NothingThere(f"there is no folder {file.parent}; make it first, or name another place")
    if file.exists() and not file.is_file():
        raise NothingThere(f"{file} is not a plain file; name the file that the backup is to be")
    if file.exists() and not force:
        raise BackupError(f"{file} is there already; name another file, or replace it with --force")


@contextmanager
def _beside(file: Path) -> Iterator[tuple[Path, Path]]:
    """Two new files beside `file`, mode 0600, for the archive and for the database; gone at the end."""
    made: list[Path] = []
    try:
        for _ in range(2):
            handle, name = tempfile.mkstemp(".part", _prefix(file, os.getpid()), file.parent)
            os.close(handle)
            made.append(Path(name))
        yield made[0], made[1]
    finally:
        for path in made:
            for suffix in _OF_SQLITE:
                path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def _prefix(file: Path, pid: int) -> str:
    return f".{file.name[:100]}.{pid}."


def _sweep(file: Path) -> None:
    """Remove what a killed backup to the same file left beside it."""
    shape = re.compile(rf"\.{re.escape(file.name[:100])}\.(\d+)\.\w+\.part({'|'.join(_OF_SQLITE)})")
    for path in file.parent.iterdir():
        found = shape.fullmatch(path.name)
        if found and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    """Whether there is a process of that number (where that cannot be asked without harm: yes)."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
