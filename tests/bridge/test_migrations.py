"""An older database is brought up to date; killed at any statement it is the old or the new one, never a mixture."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bridge.model import State
from bridge.store import Store
from bridge.store.engine import NewerSchema
from bridge.store.schema import FIRST, MIGRATIONS
from tests.serving import ROOT

KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from bridge.store.engine import Engine
from bridge.store.schema import MIGRATIONS

left = int(sys.argv[2])
def killed(statement):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Traced(sqlite3.Connection):
    def executescript(self, script):
        self.set_trace_callback(killed)
        result = super().executescript(script)
        self.set_trace_callback(None)
        return result

plain = sqlite3.connect
sqlite3.connect = lambda *args, **more: plain(*args, factory=Traced, **more)
Engine(Path(sys.argv[1]), MIGRATIONS).close()
"""
"""Opens a database and is killed (SIGKILL) before statement number N of its migrations."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A data folder as the first version left it, with a job in the queue and one that is printed."""
    with closing(sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.executescript(f"BEGIN;{FIRST};PRAGMA user_version=1;COMMIT;")
        db.execute("INSERT INTO organizations VALUES (1, 'org', 'shop', 1.0)")
        db.execute("INSERT INTO clients (id, organization_id, hostname, created_at, is_self) VALUES"
                   " ('me', 'org', 'till', 1.0, 1)")  # fmt: skip
        db.execute("INSERT INTO devices (id, organization_id, client_id, name, created_at) VALUES"
                   " ('dock', 'org', 'me', 'dock', 1.0)")  # fmt: skip
        for serial, state in ((1, "printed"), (2, "queued")):
            db.execute("INSERT INTO events (seq, at, organization_id, kind) VALUES (?, 1.0, 'org', 'job')", (serial,))
            db.execute(
                "INSERT INTO jobs (serial, id, organization_id, client_id, device_id, device_name, dialect, title,"
                " state, created_at, updated_at, launch, queued_seq) VALUES (?, ?, 'org', 'me', 'dock', 'dock',"
                " 'v1', 'Order', ?, 1.0, 1.0, 1, 1)",
                (serial, f"job-{serial}", state),
            )
            db.execute("INSERT INTO bodies VALUES (?, ?)", (serial, b"^XA^XZ"))
    return tmp_path


def schema(folder: Path) -> tuple[int, list[tuple[str, str]]]:
    """(version, every table and index with its text)."""
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        return db.execute("PRAGMA user_version").fetchone()[0], rows


def columns(folder: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(row[1] for row in db.execute(f"PRAGMA table_info({name})")) for name in names}


def test_a_database_of_the_first_version_is_brought_up_to_date(old: Path) -> None:
    store = Store(old)
    printed, queued = store.jobs.page("org")[0]
    assert (printed.state, queued.state) == (State.PRINTED, State.QUEUED)
    assert (queued.expires_at, queued.strikes, queued.reprint_of, queued.document_gone) == (None, 0, None, False)
    assert [job.id for job in store.jobs.waiting("dock")] == ["job-2"]
    assert store.jobs.body("org", "job-2") == b"^XA^XZ"
    assert store.devices.page("org")[0][0].settings is None
    store.close()


def test_it_ends_up_like_a_new_one(old: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for folder in (old, tmp_path / "new"):
        Store(folder).close()
    assert columns(old) == columns(tmp_path / "new")
    assert {name for name, _ in schema(old)[1]} == {name for name, _ in schema(tmp_path / "new")[1]}


def test_killed_at_any_statement_it_is_the_old_one_or_the_new_one_and_the_next_start_goes_on(old: Path) -> None:
    before, outcomes = schema(old), []
    while True:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(old / "bridge.db"), str(len(outcomes))], cwd=ROOT, timeout=60,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        if done.returncode != -signal.SIGKILL:
            break
        assert schema(old) == before, f"mixed after {len(outcomes)} statements"
        outcomes.append(done.returncode)
    assert done.returncode == 0, done.stderr
    assert len(outcomes) >= 8  # BEGIN, each of the changes, the version, COMMIT
    assert schema(old)[0] == len(MIGRATIONS)
    store = Store(old)
    assert store.jobs.page("org")[1] == 2
    store.close()


def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as db:
        db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
        db.commit()
    before = (tmp_path / "bridge.db").read_bytes()
    with pytest.raises(NewerSchema, match="was written by a newer version"):
        Store(tmp_path)
    assert (tmp_path / "bridge.db").read_bytes() == before
    assert not list(tmp_path.glob("*.damaged*"))
