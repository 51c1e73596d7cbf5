"""SQLite behind one writer thread: waiting writers share one fsync (group commit), readers never wait.

The only file that knows which database it is. SQL elsewhere keeps to what PostgreSQL also takes, with named parameters.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
Cursor = sqlite3.Connection
"""What a write gets to work with: execute(sql, {name: value})."""

_BATCH = 128  # writes per commit; bounds how long the first of them waits for the last
_CLOSED = "the database is closed"


class DatabaseDamaged(Exception):
    """quick_check found damage at boot. The text names the file and the first finding."""


class _Pending(Generic[T]):
    """One write on its way to the disk, and the caller that may wait for it."""

    __slots__ = ("done", "error", "result", "work")

    def __init__(self, work: Callable[[Cursor], T]) -> None:
        self.work = work
        self.result: T | None = None
        self.error: BaseException | None = None
        # A bare lock is the cheapest thing in Python one thread can wait on and another can open.
        self.done = threading.Lock()
        self.done.acquire()

    def wait(self) -> T:
        """Return when the write is durable. Raises what the write raised, or what the disk said."""
        with self.done:
            pass
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]


class Engine:
    """One database file. `write` returns when the change is durable; `read` gives this thread's own reader."""

    def __init__(self, path: Path, migrations: list[str]) -> None:
        """Open or create, check, migrate. Raises DatabaseDamaged, sqlite3.Error."""
        self.path = path
        self._queue: queue.SimpleQueue[_Pending[Any] | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False
        self._db = self._connect()
        try:
            self._check()
            self._migrate(migrations)
        except BaseException:
            self._db.close()
            raise
        self._writer = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._writer.start()

    # -- writing --

    def submit(self, work: Callable[[Cursor], T]) -> _Pending[T]:
        """Hand `work` to the writer without waiting. Order of submission is order of effect."""
        if self._closed:
            raise sqlite3.ProgrammingError(_CLOSED)
        pending = _Pending(work)
        self._queue.put(pending)
        return pending

    def write(self, work: Callable[[Cursor], T]) -> T:
        """Run `work` in the writer's transaction; return its result once that is on the disk (synchronous=FULL)."""
        return self.submit(work).wait()

    def _run(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            batch = [first]
            while len(batch) < _BATCH:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    self._commit(batch)
                    return
                batch.append(more)
            self._commit(batch)

    def _commit(self, batch: list[_Pending[Any]]) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for pending in batch:
                self._work(pending, alone=len(batch) == 1)
            self._db.execute("COMMIT")
        except BaseException as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            log.error("store: a commit of %d writes failed: %s", len(batch), error)
            for pending in batch:
                pending.error = pending.error or error
        for pending in batch:
            pending.done.release()

    def _work(self, pending: _Pending[Any], *, alone: bool) -> None:
        """Each write is its own savepoint: one that fails takes nothing of its neighbours with it."""
        self._db.execute("SAVEPOINT one")
        try:
            pending.result = pending.work(self._db)
        except Exception as error:
            pending.error = error
            self._db.execute("ROLLBACK TO one")
        self._db.execute("RELEASE one")

    # -- reading --

    def read(self) -> sqlite3.Connection:
        """This thread's own read-only connection. It sees every durable write."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            if self._closed:
                raise sqlite3.ProgrammingError(_CLOSED)
            db = self._connect()
            db.execute("PRAGMA query_only=1")
            self._local.db = db
            with self._readers_lock:
                self._readers.append(db)
        return db

    # -- opening and closing --

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=30, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=1")
        db.execute("PRAGMA cache_size=-1024")  # KiB per connection; a Raspberry Pi has a dozen of them open
        return db

    def _check(self) -> None:
        try:
            finding = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise DatabaseDamaged(f"{self.path} is damaged: {error}") from error
        if finding != "ok":
            raise DatabaseDamaged(f"{self.path} is damaged: {finding}")

    def _migrate(self, migrations: list[str]) -> None:
        """Bring the schema up to the last migration, each in one transaction together with its number."""
        have = self._db.execute("PRAGMA user_version").fetchone()[0]
        if have > len(migrations):
            raise DatabaseDamaged(
                f"{self.path} was written by a newer version (schema {have}, this one knows {len(migrations)}); "
                "install that version again or start with another --data folder"
            )
        for number in range(have, len(migrations)):
            self._db.executescript(f"BEGIN;{migrations[number]};PRAGMA user_version={number + 1};COMMIT;")

    def close(self) -> None:
        """Finish what was submitted, then close every connection."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._writer.join()
        with self._readers_lock:
            for db in self._readers:
                db.close()
        self._db.close()

    def is_alive(self) -> bool:
        """True while the writer thread runs."""
        return self._writer.is_alive()
