"""What is over is not kept for ever: documents first, then jobs, then the keys that know a repeated job again.

    what                                                         goes after
    ----------------------------------------------------------   -------------------------------------------------
    documents of delivered, printed, cancelled, expired jobs     documents_s  (and the dialect's payload, which may
                                                                 hold one, and what is secret in a URL)
    ended jobs, with everything of theirs                        jobs_s  (a cloud's: keys_s, it may come again)
    events                                                       jobs_s  (never the newest: serials go on from it)
    idempotency keys                                             keys_s  (never before their job)
    the paper of virtual printers                                the newest PAPERS of each printer stay

Jobs that wait for anything - a launch, a printer, a person - are never touched, and failed ones keep their document as
long as their row, so that they can be launched again.

Work is done in turns so small that a label never waits for one noticeably. A pass over everything takes many turns;
rows are looked at in the order in which they were stored, because the clock is no witness: nothing ended before what
had been stored before it, and a time that is still to come is a wrong one, counted from now on.

The file does not shrink: SQLite's auto_vacuum costs every commit of a label a page (5.1 pages instead of 4.1,
measured), and free pages are used again. `backup` writes a database without them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from bridge.model import ENDED, State
from bridge.store.engine import Cursor

if TYPE_CHECKING:
    from bridge.store import Store

LOOKED_AT = 1000  # rows looked at in one turn
ROWS = 50  # rows changed in one transaction
BYTES = 256 * 1024  # of small documents removed in one transaction: SQLite overwrites what it deletes
PAPERS = 1000  # jobs kept of each virtual printer
DAY = 86400.0

_DOCUMENT_FIRST = {State.DELIVERED, State.PRINTED, State.CANCELLED, State.EXPIRED}
_JOB = "serial, id, state, updated_at, created_at, launch, size, url, document_gone, external_id"
_PAPER = re.compile(r"(\d{6,})(?:-\d+)?\.(?:bin|png|txt)")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one turn did. more: there may be something left to do at once."""

    documents: int = 0
    jobs: int = 0
    events: int = 0
    keys: int = 0
    papers: int = 0
    more: bool = False


@dataclass(slots=True)
class _Ages:
    """How old rows are that come in the order in which they were stored."""

    now: float
    latest: float = 0.0  # of all rows so far: nothing that came after them can be older

    def of(self, created: float, ended: float) -> float:
        """Seconds since a row ended, at the most; 0 for times that are still to come."""
        if created <= self.now:
            self.latest = max(self.latest, created)
        return max(0.0, self.now - max(ended, self.latest))

    def impossible(self, at: float) -> bool:
        return at > self.now + DAY


@dataclass(slots=True)
class _Due:
    """What one look at some jobs found: serial -> what is needed to let go of it."""

    documents: list[tuple[int, str, int, str | None]] = field(default_factory=list)  # serial, id, launches, url
    jobs: list[tuple[int, str, int]] = field(default_factory=list)  # serial, id, launches
    restamp: list[int] = field(default_factory=list)
    bytes: int = 0

    @property
    def full(self) -> bool:
        return len(self.documents) + len(self.jobs) + len(self.restamp) >= ROWS or self.bytes >= BYTES


class Retention:
    """Lets go of what is over, a little at a time. Not to be called while the clock is not believed."""

    def __init__(
        self, store: Store, *, documents_s: float, jobs_s: float, keys_s: float, paper: Path | None = None
    ) -> None:
        """paper: DIR/virtual. keys_s is at least jobs_s: a key must outlive its job."""
        self._store = store
        self.change(documents_s=documents_s, jobs_s=jobs_s, keys_s=keys_s)
        self._paper = paper
        self._steps: tuple[Callable[[float], Pruned | None], ...] = (self._jobs, self._events, self._keys, self._papers)
        self._step = 0
        self._after: Any = None  # the last row this step of the pass has looked at
        self._ages = _Ages(0.0)
        self._next_pass = 0.0
        self._passed = 0.0

    def change(self, *, documents_s: float, jobs_s: float, keys_s: float) -> None:
        """Other settings, from the next turn on."""
        self._documents_s, self._jobs_s, self._keys_s = documents_s, jobs_s, max(keys_s, jobs_s)
        self._pause_s = min(3600.0, max(60.0, documents_s / 24))  # between two passes

    def turn(self, now: float) -> Pruned:
        """One bounded piece of work. now: Unix seconds, from a clock that is believed.

        Call it about once a minute; and again soon, after a short pause, while it says that there is more.
        """
        if self._step == 0 and self._after is None:
            if self._passed <= now < self._next_pass:
                return Pruned()
            self._ages = _Ages(now)
        done = self._steps[self._step](self._ages.now)
        if done is not None:
            return done
        self._step, self._after = (self._step + 1) % len(self._steps), None
        if self._step == 0:
            self._passed, self._next_pass = now, now + self._pause_s
            return Pruned()
        self._ages = _Ages(self._ages.now)
        return Pruned(more=True)

    # -- jobs and their documents --

    def _jobs(self, now: float) -> Pruned | None:
        """The next jobs in order of submission; None after the last."""
        rows = self._store.engine.read().execute(
            f"SELECT {_JOB} FROM jobs WHERE serial > ? ORDER BY serial LIMIT ?", (self._after or 0, LOOKED_AT)
        ).fetchall()  # fmt: skip
        if not rows:
            return None
        due = _Due()
        for row in rows:
            self._after = row[0]
            self._weigh(due, *row)
            if due.full:
                break
        documents, jobs = self._let_go(due, now)
        return Pruned(documents=documents, jobs=jobs, more=True)

    def _weigh(
        self, due: _Due, serial: int, job_id: str, state: str, ended: float, created: float, launches: int,
        size: int | None, url: str | None, gone: int, external_id: str | None,
    ) -> None:  # fmt: skip
        """Put a job where it belongs, if its time has come."""
        age = self._ages.of(created, ended)
        if state not in ENDED:
            return
        if self._ages.impossible(ended):
            due.restamp.append(serial)
        elif age > (self._jobs_s if external_id is None else self._keys_s):
            due.jobs.append((serial, job_id, launches))
            due.bytes += 0 if gone else min(size or 0, BYTES // 4)
        elif not gone and age > (self._documents_s if state in _DOCUMENT_FIRST else self._jobs_s):
            due.documents.append((serial, job_id, launches, url))
            due.bytes += min(size or 0, BYTES // 4)

    def _let_go(self, due: _Due, now: float) -> tuple[int, int]:
        """(documents, jobs) that really went: a job that was launched again just now stays as it is."""
        if not (due.documents or due.jobs or due.restamp):
            return 0, 0
        documents, jobs = self._store.engine.write(lambda db: _forget(db, due, now))
        # After the commit, never before it: until then somebody may launch the job again. A crash in between leaves
        # files that Spool.sweep_strays removes at the next start.
        for job_id, launches in (*documents, *jobs):
            self._store.spool.forget(job_id, launches)
        return len(documents), len(jobs)

    # -- events and keys --

    def _events(self, now: float) -> Pruned | None:
        """The oldest events; None once there are none among them whose time has come."""
        rows = self._store.engine.read().execute(
            "SELECT seq, at FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (self._after or 0, ROWS + 1)
        ).fetchall()  # fmt: skip
        ages = self._ages
        early = [seq for seq, at in rows if ages.impossible(at)]
        old = [seq for seq, at in rows[:-1] if not ages.impossible(at) and ages.of(at, at) > self._jobs_s]
        if not early and not old:
            return None
        self._after = rows[-2:][0][0]  # the last one is looked at once more: it was not the newest if others follow

        def work(db: Cursor) -> None:
            db.executemany("UPDATE events SET at = ? WHERE seq = ?", [(now, seq) for seq in early])
            db.executemany("DELETE FROM events WHERE seq = ?", [(seq,) for seq in old])

        self._store.engine.write(work)
        return Pruned(events=len(old), more=True)

    def _keys(self, now: float) -> Pruned | None:
        """The next keys in their own order; None after the last."""
        table, *last = self._after or ("idempotency", "", "")
        rows = self._store.engine.read().execute(
            f"SELECT organization_id, key, created_at, {_KEPT[table]} FROM {table}"
            " WHERE (organization_id, key) > (?, ?) ORDER BY organization_id, key LIMIT ?",
            (*last, LOOKED_AT),
        ).fetchall()  # fmt: skip
        if not rows:
            self._after = ("made", "", "")
            return Pruned(more=True) if table == "idempotency" else None
        old = [row[:2] for row in rows if now - row[2] > self._keys_s and not row[3]][:ROWS]
        self._after = (table, *(old[-1] if len(old) == ROWS else rows[-1][:2]))
        if old:
            self._store.engine.write(
                lambda db: db.executemany(f"DELETE FROM {table} WHERE organization_id = ? AND key = ?", old)
            )
        return Pruned(keys=len(old), more=True)

    # -- virtual printers --

    def _papers(self, now: float) -> Pruned | None:
        """Files of virtual printers beyond the newest PAPERS jobs of each; None when there are no more."""
        gone = 0
        for folder in sorted(self._paper.iterdir()) if self._paper is not None and self._paper.is_dir() else ():
            gone += _trim(folder) if folder.is_dir() and not folder.is_symlink() else 0
        return Pruned(papers=gone, more=True) if gone else None


_KEPT = {
    "idempotency": "EXISTS (SELECT 1 FROM jobs WHERE jobs.id = job_id)",
    "made": "0",
}
"""Table of keys -> what keeps a key whatever its age."""


def _forget(db: Cursor, due: _Due, now: float) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """(id, launches) of the documents and of the jobs that could be let go."""
    ended = ", ".join(f"'{state.value}'" for state in ENDED)
    documents, jobs = [], []
    for serial, job_id, launches, url in due.documents:
        changed = db.execute(
            "UPDATE jobs SET document_gone = 1, payload = NULL, url = ?"
            f" WHERE serial = ? AND launch = ? AND state IN ({ended})",
            (without_secrets(url), serial, launches),
        )
        if changed.rowcount:
            db.execute("DELETE FROM bodies WHERE job_serial = ?", (serial,))
            documents.append((job_id, launches))
    for serial, job_id, launches in due.jobs:
        changed = db.execute(
            f"DELETE FROM jobs WHERE serial = ? AND launch = ? AND state IN ({ended})", (serial, launches)
        )
        if changed.rowcount:
            for table in ("bodies", "attempts"):
                db.execute(f"DELETE FROM {table} WHERE job_serial = ?", (serial,))
            jobs.append((job_id, launches))
    for serial in due.restamp:
        db.execute(f"UPDATE jobs SET updated_at = ? WHERE serial = ? AND state IN ({ended})", (now, serial))
    return documents, jobs


def without_secrets(url: str | None) -> str | None:
    """A URL without user, password, query and fragment: signed links carry their key there."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return None


def _trim(folder: Path) -> int:
    """Remove the files of all but the newest PAPERS jobs in one virtual printer's folder, ROWS at most."""
    numbers = {path: int(match[1]) for path in folder.iterdir() if (match := _PAPER.fullmatch(path.name))}
    kept = sorted(set(numbers.values()))[-PAPERS:]
    gone = [path for path, number in sorted(numbers.items()) if kept and number < kept[0]][:ROWS]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)
