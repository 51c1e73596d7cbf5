"""A damaged database: set aside whole, and everything that can still be read brought over into a fresh one.

Nothing is ever printed by itself after a rescue. A row that reads "waits for its printer" may be an old version of one
that was printed since (a page of the database may be stale as well as broken), so whatever waited is held: reason
`restored`. A held label costs a person one command; a label printed twice may cost a parcel. For the same reason as
much history as can be read comes along: it is what knows a repeated Idempotency-Key or a cloud's job again.

Order, so that a power cut at any moment loses nothing: the fresh database is complete and synced (bridge.db.rescued)
before the damaged one is moved, and a start that finds it alone puts it in place.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.model import Device, State
from bridge.store.engine import DatabaseDamaged, Engine, NewerSchema
from bridge.store.events import history_line
from bridge.store.salvage import Saved, readable_copy, salvage
from bridge.store.spool import CHUNK, sync_folder

if TYPE_CHECKING:
    from bridge.store import Store

log = logging.getLogger(__name__)

REASON = "restored"
ASIDE = ".damaged-"
SERIALS_APART = 1000
"""Serials left out after the last one that could be read: those of jobs that could not must never be given again."""

HEAD = 4096  # bytes of a document that say what it is
_FRESH = ".rescued"
_COPY = ".salvage"
_STATES = ", ".join(f"'{state.value}'" for state in State)
SOUND = (
    "SELECT 'job ' || serial || ' is in the state ' || quote(state) FROM jobs NOT INDEXED"
    f" WHERE state NOT IN ({_STATES}) LIMIT 1",
)
"""What a sound database of ours has no answer to. Read from the table itself: an index may say something else."""


def open_database(path: Path, migrations: list[str]) -> Engine:
    """Open or create the database. A damaged one is replaced, and what can be read of it comes along.

    Raises NewerSchema; OSError and sqlite3.Error when the folder or the disk will not let us.
    """
    _finish_replacing(path)
    try:
        return Engine(path, migrations, sound=SOUND)
    except NewerSchema:
        raise
    except DatabaseDamaged as error:
        log.error("store: %s; reading what can be read", error)
        replace(path, migrations, str(error))
    return Engine(path, migrations, sound=SOUND)


def aside(folder: Path) -> list[Path]:
    """The damaged databases in a data folder, oldest first. While there is one, nothing is swept from the spool."""
    found = folder.glob(f"bridge.db{ASIDE}*")
    return sorted(each for each in found if not each.name.endswith((".txt", "-wal", "-shm")))


def report(folder: Path) -> str | None:
    """What a person has to know about the last rescue; None once the damaged database has been taken away."""
    found = aside(folder)
    if not found:
        return None
    with suppress(OSError):
        return _text_file(found[-1]).read_text("utf-8").strip()
    return f"the database was damaged and replaced; the damaged one is {found[-1]}"


# ---- replacing ----------------------------------------------------------------------------------------------------


def replace(path: Path, migrations: list[str], finding: str) -> None:
    """Fill a fresh database from the damaged one at `path`, then change their places."""
    fresh, copy = path.with_name(path.name + _FRESH), path.with_name(path.name + _COPY)
    for each in (fresh, copy):
        _remove(each)
    _make(fresh, migrations)
    readable_copy(path, copy, fresh)
    saved = salvage(copy, fresh)
    _remove(copy)
    text = _settle(fresh, path.parent / "spool" / "documents", saved)
    target = _free_name(path)
    _text_file(target).write_text(_told(path, target, finding, text) + "\n", "utf-8")
    os.chmod(_text_file(target), 0o600)
    for suffix in ("-shm", ""):
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{target}{suffix}")
            os.chmod(f"{target}{suffix}", 0o600)
    sync_folder(path.parent)
    _finish_replacing(path)
    log.error("store: %s", report(path.parent))


def _make(fresh: Path, migrations: list[str]) -> None:
    Engine(fresh, migrations).close()
    with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=DELETE")  # one file, to be moved; Engine makes it a WAL database again


def _finish_replacing(path: Path) -> None:
    """The last steps, also after a power cut between any two of them."""
    fresh = path.with_name(path.name + _FRESH)
    if path.exists() or not fresh.exists() or not aside(path.parent):
        return
    with suppress(FileNotFoundError):  # the damaged one's: the fresh database must never see it
        os.replace(f"{path}-wal", f"{aside(path.parent)[-1]}-wal")
    sync_folder(path.parent)
    os.replace(fresh, path)
    sync_folder(path.parent)


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target, number = path.with_name(f"{path.name}{ASIDE}{stamp}"), 1
    while target.exists() or _text_file(target).exists():
        number += 1
        target = path.with_name(f"{path.name}{ASIDE}{stamp}-{number}")
    return target


def _told(path: Path, target: Path, finding: str, text: str) -> str:
    return (
        f"{finding}. It was replaced on {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}: {text}. Look at the held"
        f" ones, then release or discard them (reason {REASON}). The damaged database is {target}; this message stays"
        " until it is moved away or deleted"
    )


# ---- what the rows mean now ---------------------------------------------------------------------------------------


def _settle(fresh: Path, documents: Path, saved: Saved) -> str:
    """Hold what waited, name what was being sent, leave a gap in the serials. Says what was saved."""
    with closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        newest = db.execute(
            "SELECT max(coalesce((SELECT max(seq) FROM events), 0), coalesce((SELECT max(serial) FROM jobs), 0),"
            " coalesce((SELECT max(job_serial) FROM bodies), 0), coalesce((SELECT max(job_serial) FROM attempts), 0))"
        ).fetchone()[0]
        _mark(db, "state = 'sending'", "unconfirmed", None,
              "labels may have printed: the database was damaged while it was being sent")  # fmt: skip
        held = _mark(db, f"state IN ('queued', 'preparing') OR state NOT IN ({_STATES})", "held", REASON,
                     "restored from a damaged database: it may have been printed; release it to print it")  # fmt: skip
        broken = [serial for serial in _open_documents(db) if not _whole(db, serial, documents)]
        for serial in broken:
            _mark(db, f"serial = {serial:d}", "failed", None,
                  "its document in the damaged database could not be read; send the job again")  # fmt: skip
            db.execute("UPDATE jobs SET document_gone = 1 WHERE serial = ?", (serial,))
        text = _sum(saved, held, len(broken))
        db.execute(
            "INSERT INTO events (seq, at, organization_id, kind, state, text) VALUES (?, ?, coalesce("
            "(SELECT id FROM organizations ORDER BY serial LIMIT 1), ''), 'bridge', 'restored', ?)",
            (newest + SERIALS_APART, time.time(), text),
        )
        db.execute("COMMIT")
    return text


def _open_documents(db: sqlite3.Connection) -> list[int]:
    """Serials of jobs that may still be printed and whose document had been stored."""
    rows = db.execute(
        "SELECT serial FROM jobs WHERE state IN ('created', 'held', 'unconfirmed') AND sha256 IS NOT NULL"
    )
    return [row[0] for row in rows]


def _whole(db: sqlite3.Connection, serial: int, documents: Path) -> bool:
    """Whether the document of a job is there, byte for byte: a label with a broken page in it must not be printed."""
    row = db.execute(
        "SELECT id, sha256, data FROM jobs LEFT JOIN bodies ON job_serial = serial WHERE serial = ?", (serial,)
    ).fetchone()
    if isinstance(row[2], bytes):
        return hashlib.sha256(row[2]).hexdigest() == str(row[1])
    return documents.joinpath(row[0]).exists()


def _mark(db: sqlite3.Connection, where: str, state: str, reason: str | None, text: str) -> int:
    now = time.time()
    return db.execute(
        "UPDATE jobs SET state = ?, reason = ?, text = ?, possible_duplicate = 1, history = history || ?,"
        f" updated_at = ? WHERE {where}",
        (state, reason, text, history_line(now, state, text), now),
    ).rowcount


def _sum(saved: Saved, held: int, broken: int) -> str:
    unread = ", ".join(f"{table} (in {number} places)" for table, number in saved.gaps.items() if number)
    lost = f"not all could be read of: {unread}" if unread else "every row that could be found was read"
    failed = f", {broken} are failed because their document is broken" if broken else ""
    return f"{saved.rows['jobs']} jobs were saved, {held} that waited are held{failed}; {lost}"


def relist(
    store: Store, organization_id: str, client_id: str, device: Device, kind_of: Callable[[bytes], str | None]
) -> int:
    """After a rescue: every document in the spool whose job is gone becomes a held job of `device`. How many.

    To be called at every start while a damaged database lies there, instead of Spool.sweep_strays. Held jobs whose
    printer is gone are given to one of the same name, else to `device`. kind_of: first bytes -> the kind of document.
    """
    found = 0
    for path in store.spool.strays(store.jobs.exists):
        new, mine = _found(path, kind_of), (organization_id, client_id, device)
        found += store.engine.write(partial(_add_found, new=new, mine=mine))
    store.engine.write(lambda db: _rehome(db, organization_id, client_id, device))
    if found:
        log.error("store: %d documents in the spool belong to no job that could be read; they are held jobs of %s now",
                  found, device.name)  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """A document whose job is gone."""

    job_id: str
    kind: str
    size: int
    sha256: str


def _found(path: Path, kind_of: Callable[[bytes], str | None]) -> _Found:
    digest, size, head = hashlib.sha256(), 0, b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            head = head or chunk[:HEAD]
            digest.update(chunk)
            size += len(chunk)
    return _Found(path.name, kind_of(head) or "raw", size, digest.hexdigest())


def _add_found(db: sqlite3.Connection, *, new: _Found, mine: tuple[str, str, Device]) -> int:
    """The held job of a found document. mine: organization, client, and the printer it is given to."""
    now, text = time.time(), "its row in the damaged database could not be read: it may have been printed"
    organization_id, client_id, device = mine
    serial = db.execute(
        "INSERT INTO events (at, organization_id, job_id, device_id, kind, state, text)"
        " VALUES (?, ?, ?, ?, 'job', 'held', ?)",
        (now, organization_id, new.job_id, device.id, text),
    ).lastrowid
    row = {
        "serial": serial, "id": new.job_id, "organization_id": organization_id, "client_id": client_id,
        "device_id": device.id, "device_name": device.name, "dialect": "spool", "title": "found in the spool",
        "state": "held", "reason": REASON, "text": text, "kind": new.kind, "size": new.size, "sha256": new.sha256,
        "launch": 1, "possible_duplicate": 1, "created_at": now, "updated_at": now,
        "history": history_line(now, "held", text),
    }  # fmt: skip
    names = ", ".join(row)
    return db.execute(f"INSERT INTO jobs ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values())).rowcount


def _rehome(db: sqlite3.Connection, organization_id: str, client_id: str, device: Device) -> None:
    """Give held jobs whose printer's row was lost to its successor."""
    lost = "reason = ? AND state = 'held' AND NOT EXISTS (SELECT 1 FROM devices WHERE devices.id = jobs.device_id)"
    for (name,) in db.execute(f"SELECT DISTINCT device_name FROM jobs WHERE {lost}", (REASON,)).fetchall():
        row = db.execute(
            "SELECT id, name FROM devices WHERE client_id = ? AND name = ?", (client_id, name)
        ).fetchone() or (device.id, device.name)  # fmt: skip
        db.execute(
            f"UPDATE jobs SET device_id = ?, device_name = ?, organization_id = ?, client_id = ?"
            f" WHERE {lost} AND device_name = ?",
            (*row, organization_id, client_id, REASON, name),
        )


# ---- files --------------------------------------------------------------------------------------------------------


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _text_file(target: Path) -> Path:
    return target.with_name(f"{target.name}.txt")
