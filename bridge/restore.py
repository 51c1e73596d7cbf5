"""A backup becomes a data folder again, and prints nothing by itself: what waited then may have been printed since.

The file is not believed: names, sizes and hashes are checked, and a folder is either whole afterwards or as it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bridge.access import sealed
from bridge.backup import (
    CHUNK,
    DATABASE,
    FORMAT,
    MANIFEST,
    SETTINGS,
    BackupError,
    Manifest,
    Member,
    NothingThere,
    Progress,
)
from bridge.lock import FolderInUse, FolderLock
from bridge.model import WAITING, State
from bridge.store.events import history_line
from bridge.store.schema import MIGRATIONS
from bridge.store.spool import sync_folder

REASON = "restored"
"""Why the jobs that waited in the backup are held."""

_WORKSHOP = ".restoring"  # inside the data folder: on the same disk even when that is a mount point
_MANIFEST_MAX = 64 * 1024 * 1024  # bytes; 300,000 documents
_SETTINGS_MAX = 4 * 1024 * 1024  # bytes
_STRANGE = "this is not a backup that `print-bridge backup` made"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back. held: jobs that waited when the backup was made, and now wait for a person."""

    manifest: Manifest
    jobs: int
    held: int


def restore(file: Path, folder: Path, progress: Progress = lambda done, total: None) -> Restored:
    """Make the data folder `folder` from the backup `file`; modes 0700 and 0600, durable on return.

    Refused when the folder holds a bridge already or is in use. Raises BackupError; then nothing has changed.
    """
    with _opened(file) as source:
        manifest = _manifest(file, source)
        _refuse_bridge(folder)  # before anything is touched, and again once nobody else can
        with _own(folder):
            _refuse_bridge(folder)
            _refuse_lack_of_room(manifest, folder)
            workshop = _clear(folder)
            try:
                _unpack(file, source, manifest, workshop, progress)
                jobs, held = _hold(file, workshop / DATABASE, manifest)
                _forget_address(workshop / "credentials.json")
            except BaseException:
                shutil.rmtree(workshop)
                raise
            _put_in_place(workshop, folder)
    return Restored(manifest, jobs, held)


# ---- the file -----------------------------------------------------------------------------------------------------


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever turns out to be wrong with it or with the disk is told as a BackupError."""
    if not file.is_file():
        raise NothingThere(f"{file} is not a file; name the file that `print-bridge backup` wrote")
    try:
        with zipfile.ZipFile(file) as source:
            yield source
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise BackupError(f"{file} is damaged or cut short ({error}), or {_STRANGE}; use another backup") from error
    except sqlite3.Error as error:
        raise BackupError(f"the database in {file} cannot be used: {error}; use another backup") from error
    except OSError as error:
        raise BackupError(f"{file} could not be restored: {error.strerror or error}") from error


def _manifest(file: Path, source: zipfile.ZipFile) -> Manifest:
    """What the archive says it holds, checked against what it does hold."""
    entries = source.infolist()
    names = [entry.filename for entry in entries]
    if names.count(MANIFEST) != 1 or source.getinfo(MANIFEST).file_size > _MANIFEST_MAX:
        raise BackupError(f"{file} has no {MANIFEST}: {_STRANGE}")
    with source.open(MANIFEST) as packed:
        text = packed.read(_MANIFEST_MAX)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BackupError(f"the {MANIFEST} of {file} cannot be understood ({_first(error)}): {_STRANGE}") from error
    _check_age(file, manifest)
    listed = [member.name for member in manifest.members]
    if sorted([*listed, MANIFEST]) != sorted(names) or DATABASE not in listed or len(set(listed)) != len(listed):
        raise BackupError(f"{file} does not hold what its {MANIFEST} lists; use another backup")
    for member in manifest.members:
        _check_entry(file, source.getinfo(member.name), member)
    return manifest


def _first(error: ValidationError) -> str:
    finding = error.errors()[0]
    where = ".".join(str(part) for part in finding["loc"]) or "all of it"
    return f"{where}: {finding['msg'].removeprefix('Value error, ')}"


def _check_age(file: Path, manifest: Manifest) -> None:
    newer = f"{file} was made by a newer version ({manifest.version[:40]!r}"
    if manifest.format != FORMAT:
        raise BackupError(f"{newer}, in the format {manifest.format[:40]!r}); install that version or a later one")
    if manifest.database_schema > len(MIGRATIONS):
        schema = f"database schema {manifest.database_schema}; this one knows {len(MIGRATIONS)}"
        raise BackupError(f"{newer}, {schema}); install that version or a later one")


def _check_entry(file: Path, entry: zipfile.ZipInfo, member: Member) -> None:
    """A plain file of the size that is listed, and no link, folder or giant."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or entry.is_dir() or entry.flag_bits & 1:
        raise BackupError(f"{member.name} in {file} is a link, a folder or encrypted: {_STRANGE}")
    if entry.file_size != member.size or (member.name in SETTINGS and member.size > _SETTINGS_MAX):
        raise BackupError(f"{member.name} in {file} is not as large as it should be; use another backup")


def _unpack(file: Path, source: zipfile.ZipFile, manifest: Manifest, workshop: Path, progress: Progress) -> None:
    """Every member into `workshop`, synced. Raises BackupError at the first that is not what the manifest says."""
    (workshop / "spool").mkdir(mode=0o700)
    (workshop / "spool/documents").mkdir(mode=0o700)
    done = 0
    for member in manifest.members:
        sha256, size = hashlib.sha256(), 0
        handle = os.open(workshop / member.name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with source.open(member.name) as packed, open(handle, "wb") as target:
            while size <= member.size and (chunk := packed.read(CHUNK)):
                target.write(chunk)
                sha256.update(chunk)
                size += len(chunk)
                progress(done + size, manifest.size)
            target.flush()
            os.fsync(target.fileno())
        if size != member.size or sha256.hexdigest() != member.sha256:
            raise BackupError(f"{member.name} in {file} is damaged (its SHA-256 is another); use another backup")
        done += size
    for each in ("spool/documents", "spool"):
        sync_folder(workshop / each)


# ---- the database -------------------------------------------------------------------------------------------------


def _hold(file: Path, database: Path, manifest: Manifest) -> tuple[int, int]:
    """Hold every job that was about to be sent; return how many jobs there are, and how many were held.

    A job that was being sent stays so: the next start makes it unconfirmed (bridge/deliver/recover.py).
    """
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA trusted_schema=0")
        db.execute("PRAGMA synchronous=FULL")
        _check_database(file, db, manifest)
        db.execute("BEGIN IMMEDIATE")
        held = _hold_waiting(db, manifest.created)
        jobs: int = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
        db.execute("COMMIT")
    return jobs, held


def _check_database(file: Path, db: sqlite3.Connection, manifest: Manifest) -> None:
    finding = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if finding != "ok":
        raise BackupError(f"the database in {file} is damaged: {finding}; use another backup")
    if db.execute("PRAGMA user_version").fetchone()[0] != manifest.database_schema:
        raise BackupError(f"the database in {file} has another schema than its {MANIFEST} says; use another backup")
    # Ours has neither; a trigger would run in the next step. And a job's id becomes the name of a file.
    if db.execute("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone():
        raise BackupError(f"the database in {file} has triggers or views: {_STRANGE}")
    if db.execute("SELECT 1 FROM jobs WHERE id GLOB '*[^0-9A-Za-z_-]*' OR length(id) NOT BETWEEN 1 AND 64").fetchone():
        raise BackupError(f"the database in {file} has a job with an impossible id: {_STRANGE}")


def _hold_waiting(db: sqlite3.Connection, created: float) -> int:
    """Queued and preparing -> held, with an event and a line of history each."""
    now, text = time.time(), _why(created)
    waiting = ", ".join(f"'{state.value}'" for state in sorted(WAITING))
    db.execute(
        "INSERT INTO events (at, organization_id, job_id, device_id, kind, state, text)"
        f" SELECT ?, organization_id, id, device_id, 'job', 'held', ? FROM jobs WHERE state IN ({waiting})"
        " ORDER BY serial",
        (now, text),
    )
    return db.execute(
        "UPDATE jobs SET state = 'held', reason = ?, text = ?, possible_duplicate = 1, updated_at = ?,"
        f" history = history || ? WHERE state IN ({waiting})",
        (REASON, text, now, history_line(now, State.HELD.value, text)),
    ).rowcount


def _why(created: float) -> str:
    try:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(created))
    except (OverflowError, ValueError, OSError):
        when = "an unknown time"
    return (f"restored from a backup of {when}: it may have been printed since; "
            "release it to print it, or cancel it")  # fmt: skip


# ---- the folder ---------------------------------------------------------------------------------------------------


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """The folder under its lock: no serve can start in it. Made when it is missing, and gone again after a refusal."""
    try:
        new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FolderLock(folder / "lock")
    except FolderInUse as error:
        raise BackupError(str(error)) from error
    except OSError as error:
        raise BackupError(f"{folder} cannot be the data folder: {error.strerror or error}") from error
    try:
        yield
    except BaseException:
        if new:
            shutil.rmtree(folder)
        raise
    finally:
        lock.release()


def _refuse_bridge(folder: Path) -> None:
    """Raise BackupError unless there is nothing in the folder that a restore would touch."""
    if _cut_off(folder):
        return
    spool = folder / "spool"
    found = [name for name in (DATABASE, *SETTINGS) if (folder / name).exists()]
    found += [str(path.relative_to(folder)) for path in spool.rglob("*") if not path.is_dir()][:1]
    if found:
        raise BackupError(
            f"{folder} holds a bridge already ({', '.join(found)}); name another folder with --data, "
            f"or move this one away first: mv {folder} {folder}.old"
        )


def _cut_off(folder: Path) -> bool:
    """Whether a restore was killed while it moved things into place: then what lies in the folder is its own."""
    workshop = folder / _WORKSHOP
    return (workshop / DATABASE).exists() and not (workshop / "spool").exists() and not (folder / DATABASE).exists()


def _refuse_lack_of_room(manifest: Manifest, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if manifest.size > free:
        raise BackupError(
            f"the backup needs {manifest.size / 1e6:,.1f} MB, and the disk of {folder} has {free / 1e6:,.1f} MB free;"
            " make room, or name a folder on another disk"
        )


def _clear(folder: Path) -> Path:
    """A fresh workshop in the folder; what a restore that was cut off left there is removed."""
    workshop = folder / _WORKSHOP
    if _cut_off(folder):
        for name in SETTINGS:
            (folder / name).unlink(missing_ok=True)
    if workshop.exists():
        shutil.rmtree(workshop)
    workshop.mkdir(mode=0o700)
    return workshop


def _forget_address(path: Path) -> None:
    """Nobody listens for the restored folder yet. Where the original did, the same key would open the original."""
    try:
        said = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return  # serve says what is wrong with it
    if isinstance(said, dict) and "url" in said:
        sealed.write(path, said | {"url": ""})


def _put_in_place(workshop: Path, folder: Path) -> None:
    """The database last: without it the folder is no bridge, and the restore can simply be done again."""
    if (folder / "spool").exists():
        shutil.rmtree(folder / "spool")  # empty folders, or what a restore that was cut off left
    os.replace(workshop / "spool", folder / "spool")
    for name in (*SETTINGS, DATABASE):
        if name == DATABASE:
            sync_folder(folder)
        if (workshop / name).exists():
            os.replace(workshop / name, folder / name)
    shutil.rmtree(workshop)
    os.chmod(folder, 0o700)
    sync_folder(folder)
