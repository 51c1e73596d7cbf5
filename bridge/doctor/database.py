"""The database, read without leaving a trace: whole, of a version we know, and what became of damaged ones."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shlex import quote
from typing import Any

from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient
from bridge.store.rescue import aside, report
from bridge.store.schema import MIGRATIONS

AREA = "database"


class Unreadable(OSError):
    """It could only be read by changing something."""


def examine(patient: Patient) -> Iterator[Finding]:
    """The file itself, what the serve says of it, and copies that were set aside."""
    database = patient.folder / "bridge.db"
    if os.path.isdir(patient.folder) and not os.access(patient.folder, os.R_OK | os.X_OK):
        yield Finding(AREA, "problem", f"you may not look into {patient.folder}",
                      f"run the doctor as its owner: sudo -u OWNER {patient.command('doctor')}")  # fmt: skip
        return
    if not os.path.exists(database):
        yield Finding(AREA, "ok", f"no {database} yet; the first start makes it")
    else:
        yield from _look(patient, database)
    yield from _set_aside(patient)
    said = (patient.health or {}).get("database") or {}
    if said.get("status") not in (None, "ok", "replaced"):
        yield Finding(AREA, "warning", f"the serve calls it {said['status']}: {said.get('text')}",
                      f"keep backups: {patient.command('backup FILE')}; and mend what is said of the disk")  # fmt: skip


def _set_aside(patient: Patient) -> Iterator[Finding]:
    """Damaged databases that a start replaced; the newest comes with what became of its jobs."""
    damaged = aside(patient.folder)
    for path in damaged:
        text = (report(patient.folder) if path == damaged[-1] else None) or f"{path} is a damaged database set aside"
        yield Finding(AREA, "warning", text, f"when nothing in it is needed any more: rm {quote(str(path))}*")


def _look(patient: Patient, database: Path) -> Iterator[Finding]:
    try:
        version, finding = _check(database)
    except Unreadable as error:
        yield Finding(AREA, "warning", str(error), f"the next start looks itself: {patient.serve_command()}")
        return
    except sqlite3.OperationalError as error:
        yield Finding(AREA, "problem", f"{database} cannot be read: {error}",
                      f"ls -l {quote(str(patient.folder))}, and run the doctor as the owner")  # fmt: skip
        return
    if finding != "ok":
        yield Finding(AREA, "problem", f"{database} is damaged: {finding.splitlines()[-1]}", _with_a_backup(patient))
    elif version > len(MIGRATIONS):
        yield Finding(AREA, "problem", f"{database} was written by a newer version (schema {version}; this one knows "
                      f"{len(MIGRATIONS)})", "install that version again: pip install -U print-bridge")  # fmt: skip
    else:
        megabytes = database.stat().st_size / 1e6
        yield Finding(AREA, "ok", f"{database}: whole, schema {version}, {megabytes:,.1f} MB")


def _check(database: Path) -> tuple[int, str]:
    """(schema, "ok" or the first damage). Raises Unreadable, sqlite3.OperationalError."""
    log = database.with_name(f"{database.name}-wal")
    logged = os.path.exists(log)
    try:
        with closing(peek(database)) as db:
            version: int = db.execute("PRAGMA user_version").fetchone()[0]
            finding: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError:
        raise  # the folder or the disk, not the file
    except sqlite3.DatabaseError as error:
        version, finding = 0, str(error)
    if finding != "ok" and not logged and os.path.exists(log):
        return _check(database)  # a serve started meanwhile, and what looked like damage was its work
    return version, finding


def _with_a_backup(patient: Patient) -> str:
    folder = quote(str(patient.folder))
    return (
        f"with a backup: stop the serve, mv {folder} {folder}.old, print-bridge restore FILE --data {folder}; without: "
        f"{patient.serve_command()} sets it aside and brings over what can still be read"
    )


def peek(database: Path) -> sqlite3.Connection:
    """Open it so that not one byte of the folder changes, whoever else has it open. Raises Unreadable, sqlite3.Error.

    readonly_shm: what SQLite would write into its lock file is then kept in memory (sqlite3.org/uri.html).
    """
    log, shared = (database.with_name(f"{database.name}-{end}") for end in ("wal", "shm"))
    if not os.path.exists(log):
        way = "immutable=1"  # closed in order: the file is all there is
    elif os.path.exists(shared):
        way = "readonly_shm=1"
    else:
        raise Unreadable(f"{database} has a log but no {shared.name}: it cannot be looked at without changing it")
    db = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro&{way}", uri=True, isolation_level=None, timeout=5)
    return db


def newest_event(database: Path) -> float | None:
    """Unix seconds; None without a database or an event."""
    rows = _rows(database, "SELECT max(at) FROM events")
    return rows[0][0] if rows else None


def bound_keys(database: Path) -> list[tuple[str, str, str, bool]]:
    """(name, origins, scopes, from_config) of each active key that web pages may use; words with spaces between."""
    return _rows(
        database,
        "SELECT name, origins, scopes, from_config FROM keys WHERE revoked_at IS NULL AND origins != ''"
        " ORDER BY serial",
    )


def own_printers(database: Path) -> list[tuple[str, dict[str, Any]]]:
    """(name, settings) of each printer that was set up over the API and not in the configuration."""
    if not any(row[1] == "settings" for row in _rows(database, "PRAGMA table_info(devices)")):
        return []
    rows = _rows(database, "SELECT name, settings FROM devices WHERE from_config = 0 AND settings IS NOT NULL")
    return [(name, json.loads(settings)) for name, settings in rows]


def _rows(database: Path, query: str) -> list[Any]:
    if not os.path.exists(database):
        return []
    with closing(peek(database)) as db:
        return db.execute(query).fetchall()
