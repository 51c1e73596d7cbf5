"""SQLite behind one writer thread: waiting writers share one fsync (group commit), readers never wait.

The only file that knows which database it is. SQL elsewhere keeps to what PostgreSQL also takes, with named parameters.
"""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from bridge.store.wal import lost_commits

log = logging.getLogger(__name__)

T = TypeVar("T")
Cursor = sqlite3.Connection
"""What a write gets to work with: execute(sql, {name: value})."""

_BATCH = 128  # writes per commit; bounds how long the first of them waits for the last
RETRY_S = 1.0  # seconds until a write that must not be lost is tried again
_CLOSED = "the database is closed"
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""What SQLite says on a full disk: the latter when it was the index of its log that did not fit."""

BROKEN = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What reading a broken file raises: the latter when SQLite quotes garbage in its own message."""


class DatabaseDamaged(Exception):
    """Damage was found at boot. The text names the file and the first finding."""


class NewerSchema(DatabaseDamaged):
    """Nothing is wrong with the file, but a newer version wrote it: nothing this one should lay hands on."""


class _Pending(Generic[T]):
    """One write on its way to the disk, and the caller that may wait for it."""

    __slots__ = ("done", "error", "keep", "result", "then", "work")

    def __init__(self, work: Callable[[Cursor], T], keep: bool, then: Callable[[], None] | None) -> None:
        self.work = work
        self.keep = keep
        self.then = then
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
    """One database file. `write` returns when the change is durable; `read` gives this thread's own reader.

    listeners: called after every commit, by the thread that made it; must be quick and never raise.
    on_full: called when the disk is full; True when it made some room, then the commit is tried once more at once.
    """

    def __init__(self, path: Path, migrations: list[str], *, sound: Sequence[str] = ()) -> None:
        """Open or create, check, migrate. sound: questions to which a sound database has no answer (no row).

        Raises DatabaseDamaged (then nothing in the folder was touched), NewerSchema, sqlite3.Error.
        """
        self.path = path
        check(path, sound)
        self._queue: queue.SimpleQueue[_Pending[Any] | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._readers_lock = threading.Lock()
        self._submitting = threading.Lock()
        self._turn = threading.Lock()  # held by whoever uses the one writing connection
        self._outstanding = 0  # submitted and not yet answered
        self._closed = False
        self._failing = False
        self._kept: list[_Pending[Any]] = []  # what the disk would not take, to be tried again
        self._in_hand: list[_Pending[Any]] = []  # what the writer is at
        self.listeners: list[Callable[[], None]] = []
        self.on_full: Callable[[], bool] = lambda: False
        with suppress(OSError):  # for its owner's eyes only; what SQLite makes beside it follows
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        try:
            _tune(self._db)
            self._open(migrations)
        except BaseException:
            self._db.close()
            raise
        self._writer = self._new_writer()
        self._writer.start()

    # -- writing --

    def submit(
        self, work: Callable[[Cursor], T], *, keep: bool = False, then: Callable[[], None] | None = None
    ) -> _Pending[T]:
        """Hand `work` to the writer without waiting. Order of submission is order of effect.

        keep: when the disk will not take it (full, broken), try again until it does or the database is closed.
        then: called by the writer's thread once it is tried, durable or not; must be quick and never raise.
        """
        pending = _Pending(work, keep, then)
        with self._submitting:  # nothing may come after close()'s last word: nobody would ever answer it
            if self._closed:
                raise sqlite3.ProgrammingError(_CLOSED)
            self._outstanding += 1
            self._queue.put(pending)
        return pending

    def write(self, work: Callable[[Cursor], T], *, then: Callable[[], None] | None = None) -> T:
        """Run `work` in a transaction; return its result once that is on the disk (synchronous=FULL).

        When nothing else waits to be written it is done right here: waking the writer and being woken by it would
        take as long as the write itself. When something does, it shares the writer's next commit.
        """
        if not self._turn.acquire(blocking=False):
            return self.submit(work, then=then).wait()
        try:
            if self._outstanding or self._closed:
                pending = None
            else:
                pending = _Pending(work, False, then)
                self._commit([pending], last=True)
        finally:
            self._turn.release()
        return (pending or self.submit(work, then=then)).wait()

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._next_batch(RETRY_S if self._kept else None)
            self._in_hand = tried = self._kept + batch
            with self._turn:
                self._kept = self._commit(tried, last=last)
            with self._submitting:
                self._outstanding -= len(tried) - len(self._kept)
            self._in_hand = []

    def revive(self) -> None:
        """A new writer after the old one died. What that one had in hand is tried again, or its writer told so."""
        with self._submitting:
            if self._closed or self._writer.is_alive():
                return
            mine = [pending for pending in self._in_hand if pending.done.locked()]
            self._kept = [pending for pending in mine if pending.keep]
            self._in_hand = []
            self._outstanding = self._queue.qsize() + len(self._kept)
            for pending in mine:
                if not pending.keep:
                    pending.error = sqlite3.OperationalError("the thread that writes to the database died")
                    pending.done.release()
            self._writer = self._new_writer()
            self._writer.start()

    def _new_writer(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="store-writer", daemon=True)

    def _next_batch(self, patience_s: float | None) -> tuple[list[_Pending[Any]], bool]:
        """What has been submitted by now, and whether it is the last. Waits for the first, None: for ever."""
        found: list[_Pending[Any] | None] = []
        with suppress(queue.Empty):
            found.append(self._queue.get(timeout=patience_s))
            while found[-1] is not None and len(found) < _BATCH:
                found.append(self._queue.get_nowait())
        return [each for each in found if each is not None], None in found[-1:]

    def _commit(self, batch: list[_Pending[Any]], *, last: bool) -> list[_Pending[Any]]:
        """Make all of `batch` durable, or tell each waiting writer why not. Returns those to be tried again."""
        failed = self._transaction(batch)
        if _disk_full(failed or batch[0].error if batch else None) and self.on_full():
            for pending in batch:
                pending.error = None
            failed = self._transaction(batch)
        self._observe(failed, len(batch))
        if failed is None:
            for listener in self.listeners:
                listener()
        again = []
        for pending in batch:
            disk = isinstance(pending.error, sqlite3.OperationalError) or (failed is not None and not pending.error)
            if pending.keep and disk and not last:
                pending.error = None
                again.append(pending)
            else:
                pending.error = pending.error or failed
                if pending.then is not None:
                    pending.then()
                pending.done.release()
        return again

    def _transaction(self, batch: list[_Pending[Any]]) -> BaseException | None:
        """One attempt to make `batch` durable. What the disk said, None when it took it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for pending in batch:
                self._work(pending, alone=len(batch) == 1)
            if not (len(batch) == 1 and batch[0].error):  # a lone write that failed has been rolled back already
                self._db.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):  # if even that fails, the next BEGIN fails and comes back here
                self._db.execute("ROLLBACK")
            return error
        return None

    def _work(self, pending: _Pending[Any], *, alone: bool) -> None:
        """Each write is its own savepoint: one that fails takes nothing of its neighbours with it."""
        if not alone:
            self._db.execute("SAVEPOINT one")
        try:
            pending.result = pending.work(self._db)
        except Exception as error:
            if not self._db.in_transaction:
                raise  # a full or broken disk: SQLite has rolled everything back, and its neighbours share the error
            pending.error = error
            self._db.execute("ROLLBACK" if alone else "ROLLBACK TO one")
        if not alone:
            self._db.execute("RELEASE one")

    def _observe(self, failed: BaseException | None, writes: int) -> None:
        """One line when the disk stops taking what we write, one when it does again."""
        if failed is not None and not self._failing:
            log.error("store: a commit of %d writes failed: %s", writes, failed)
        elif failed is None and self._failing:
            log.info("store: commits succeed again")
        self._failing = failed is not None

    # -- reading --

    def read(self) -> sqlite3.Connection:
        """This thread's own read-only connection. It sees every durable write."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            if self._closed:
                raise sqlite3.ProgrammingError(_CLOSED)
            db = self._reader()
            self._local.db = db
            with self._readers_lock:
                for gone in [r for r in self._readers if not r[0].is_alive()]:
                    self._readers.remove(gone)
                    gone[1].close()
                self._readers.append((threading.current_thread(), db))
        return db

    def _reader(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=30, check_same_thread=False)
        _tune(db)
        db.execute("PRAGMA query_only=1")
        return db

    # -- opening and closing --

    def _open(self, migrations: list[str]) -> None:
        try:
            self._migrate(migrations)
        except BROKEN as error:
            if not _is_damage(error):
                raise
            raise DatabaseDamaged(f"{self.path} is damaged: {error}") from error

    def _migrate(self, migrations: list[str]) -> None:
        """Bring the schema up to the last migration in one transaction: it is the old or the new one, never between."""
        have = self._db.execute("PRAGMA user_version").fetchone()[0]
        if have > len(migrations):
            raise NewerSchema(
                f"{self.path} was written by a newer version (schema {have}, this one knows {len(migrations)}); "
                "install that version again or start with another --data folder"
            )
        if have < len(migrations):
            self._db.executescript(
                f"BEGIN;{';'.join(migrations[have:])};PRAGMA user_version={len(migrations)};COMMIT;"
            )  # fmt: skip

    def close(self) -> None:
        """Finish what was submitted, then close every connection."""
        with self._submitting:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._writer.join()
        with self._readers_lock:
            for _, db in self._readers:
                db.close()
        with self._turn:
            self._db.close()

    def is_alive(self) -> bool:
        """True while the writer thread runs."""
        return self._writer.is_alive()


def check(path: Path, sound: Sequence[str] = ()) -> None:
    """Look for damage without touching anything, not even the log. Raises DatabaseDamaged, sqlite3.OperationalError.

    sound: see Engine; asked only where there is a schema.
    """
    if not path.exists() or not path.stat().st_size:
        return
    # A read-only connection: another one would write what it makes of the log into the file when it is closed.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as db:
        db.text_factory = _text
        try:
            finding = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if finding == "ok" and db.execute("PRAGMA user_version").fetchone()[0]:
                finding = next((row[0] for row in map(lambda sql: db.execute(sql).fetchone(), sound) if row), "ok")
        except BROKEN as error:
            if not _is_damage(error):
                raise  # the folder or the disk, not the file
            finding = str(error)
        if finding == "ok" and (lost := lost_commits(path)):
            finding = f"{lost} commits at the end of {path.name}-wal cannot be read"
    if finding != "ok":
        raise DatabaseDamaged(f"{path} is damaged: {finding}")


def _tune(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=1")
    db.execute("PRAGMA cache_size=-1024")  # KiB per connection; a Raspberry Pi has a dozen of them open
    db.text_factory = _text


def _text(data: bytes) -> str:
    """A title with a bad byte in it must not take the whole list of jobs down with it."""
    return data.decode("utf-8", "replace")


def _is_damage(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    # A table of contents that cannot be parsed is only "an error", and says so in its text.
    damaged = code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return damaged or isinstance(error, UnicodeDecodeError) or "malformed" in str(error)


def _disk_full(error: BaseException | None) -> bool:
    return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _FULL
