"""Jobs, their attempts, and every change of state. Each change is one durable write that also leaves an event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from bridge.model import ENDED, WAITING, Job, JobRequest, State, Upload, new_id
from bridge.store.engine import Cursor, Engine
from bridge.store.events import history_line

INLINE_MAX = 64 * 1024
"""Bytes. Bodies up to here share the row's commit; larger ones are files in the spool."""

_COLUMNS = [f.name for f in fields(Job)]
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM jobs"
_STATE = _COLUMNS.index("state")
_DUPLICATE = _COLUMNS.index("possible_duplicate")


def _job(row: tuple[Any, ...]) -> Job:
    values = list(row)
    values[_STATE] = State(values[_STATE])
    values[_DUPLICATE] = bool(values[_DUPLICATE])
    return Job(*values)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A checked request, ready to be stored. body: the document when it is small; upload: a larger one.

    claimed: its printer waits for it, so that its first attempt is written down in the same commit.
    """

    request: JobRequest
    client_id: str
    device_name: str
    job_id: str
    kind: str | None
    size: int | None
    sha256: str | None
    url: str | None
    body: bytes | None
    fingerprint: str
    title: str = "Untitled"
    upload: Upload | None = None
    claimed: bool = False


class KeyReused(Exception):
    """The same Idempotency-Key came with another body."""


class JobForgotten(Exception):
    """The same Idempotency-Key came again after its job was deleted."""


class Jobs:
    """The table of jobs. Every method takes the organization it may see."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- creating --

    def add(self, new: NewJob) -> tuple[Job, bool]:
        """Store a job; return it and True, or the earlier one with the same Idempotency-Key and False.

        Durable when it returns. Raises KeyReused, JobForgotten.
        """
        return self._engine.write(lambda db: self._add(db, new))

    def _add(self, db: Cursor, new: NewJob) -> tuple[Job, bool]:
        request, now = new.request, time.time()
        if request.idempotency_key is not None:
            earlier = self._earlier(db, request, new.fingerprint)
            if earlier is not None:
                return earlier, False
        state = State.QUEUED if request.launch else State.CREATED
        seq = _event(db, now, request.organization_id, new.job_id, request.device_id, state)
        job = Job(
            serial=seq, id=new.job_id, organization_id=request.organization_id, client_id=new.client_id,
            device_id=request.device_id, device_name=new.device_name, dialect=request.dialect, key_id=request.key_id,
            job_type=request.job_type, title=new.title, state=state, reason=None, text="", note="", evidence=None,
            declared=request.declared, kind=new.kind, url=new.url, size=new.size, sha256=new.sha256,
            copies=request.copies, priority=request.priority, options=request.options.to_json(),
            payload=request.payload, launch=1 if request.launch else 0, queued_seq=seq if request.launch else 0,
            pages=None, attempts=0, possible_duplicate=False, created_at=now, updated_at=now,
        )  # fmt: skip
        stored, history = job, history_line(now, state.value, "")
        if new.claimed:
            stored = replace(job, state=State.SENDING, attempts=1)
            history += history_line(now, State.SENDING.value, "")
            self._attempt(db, job, 1, now, bytes_total=(new.size or 0) * request.copies, pages=None)
        db.execute(_INSERT, (*_values(stored), request.account, request.external_id, history))
        if new.body is not None:
            db.execute("INSERT INTO bodies (job_serial, data) VALUES (?, ?)", (seq, new.body))
        if request.idempotency_key is not None:
            db.execute(
                "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)",
                (request.organization_id, request.idempotency_key, new.fingerprint, new.job_id, now),
            )
        return job, True

    def _earlier(self, db: Cursor, request: JobRequest, fingerprint: str) -> Job | None:
        row = db.execute(
            "SELECT fingerprint, job_id FROM idempotency WHERE organization_id = ? AND key = ?",
            (request.organization_id, request.idempotency_key),
        ).fetchone()
        if row is None:
            return None
        if row[0] != fingerprint:
            raise KeyReused(row[1])
        job = db.execute(f"{_SELECT} WHERE id = ?", (row[1],)).fetchone()
        if job is None:
            raise JobForgotten(row[1])
        return _job(job)

    def revise(self, new: NewJob, keep: Callable[[Upload], None]) -> Job | None:
        """Replace device, document and options of a job that is still CREATED; None when it no longer is.

        keep: puts an upload in the place of the job's document; called only when the job may still be changed.
        """
        return self._engine.write(lambda db: self._revise(db, new, keep))

    def _revise(self, db: Cursor, new: NewJob, keep: Callable[[Upload], None]) -> Job | None:
        request = new.request
        columns = {
            "device_id": request.device_id, "device_name": new.device_name, "client_id": new.client_id,
            "declared": request.declared, "kind": new.kind, "url": new.url, "size": new.size, "sha256": new.sha256,
            "copies": request.copies, "priority": request.priority, "options": request.options.to_json(),
            "payload": request.payload, "title": new.title, "updated_at": time.time(),
        }  # fmt: skip
        job = _update(db, request.organization_id, new.job_id, (State.CREATED,), columns)
        if job is None:
            return None
        if new.upload is not None:
            keep(new.upload)
        db.execute("DELETE FROM bodies WHERE job_serial = ?", (job.serial,))
        if new.body is not None:
            db.execute("INSERT INTO bodies (job_serial, data) VALUES (?, ?)", (job.serial, new.body))
        return job

    # -- reading --

    def get(self, organization_id: str, job_id: str) -> Job | None:
        row = self._engine.read().execute(
            f"{_SELECT} WHERE organization_id = ? AND id = ?", (organization_id, job_id)
        ).fetchone()  # fmt: skip
        return _job(row) if row else None

    def body(self, organization_id: str, job_id: str) -> bytes | None:
        """The document of a job when it is small enough to lie in the database."""
        row = self._engine.read().execute(
            "SELECT data FROM jobs JOIN bodies ON job_serial = serial WHERE organization_id = ? AND id = ?",
            (organization_id, job_id),
        ).fetchone()  # fmt: skip
        return row[0] if row else None

    def page(
        self,
        organization_id: str,
        *,
        client_id: str | None = None,
        device_id: str | None = None,
        job_type: int | None = None,
        states: Iterable[State] | None = None,
        key_id: str | None = None,
        newest_first: bool = False,
        limit: int = 20,
        offset: int = 0,
    ) -> tuple[list[Job], int]:
        """One page of jobs in submission order, and how many there are in all."""
        wanted: dict[str, Any] = {
            "organization_id": organization_id, "client_id": client_id, "device_id": device_id,
            "job_type": job_type, "key_id": key_id,
        }  # fmt: skip
        wanted = {k: v for k, v in wanted.items() if v is not None}
        where = " AND ".join(f"{k} = :{k}" for k in wanted)
        if states is not None:
            names = ", ".join(f"'{s.value}'" for s in states) or "''"
            where += f" AND state IN ({names})"
        db = self._engine.read()
        total: int = db.execute(f"SELECT count(*) FROM jobs WHERE {where}", wanted).fetchone()[0]
        order = "DESC" if newest_first else "ASC"
        rows = db.execute(
            f"{_SELECT} WHERE {where} ORDER BY serial {order} LIMIT :limit OFFSET :offset",
            {**wanted, "limit": limit, "offset": offset},
        )
        return [_job(row) for row in rows], total

    def waiting(self, organization_id: str, device_id: str) -> Iterator[Job]:
        """Launched and not yet sent, in the order they will be. One at a time: there may be ten thousand."""
        rows = self._engine.read().execute(
            f"{_SELECT} WHERE organization_id = ? AND device_id = ? AND state IN ('queued', 'preparing')"
            " ORDER BY priority DESC, queued_seq",
            (organization_id, device_id),
        )  # fmt: skip
        return map(_job, rows)

    def interrupted(self, organization_id: str, client_id: str) -> list[Job]:
        """This machine's jobs that were being sent when the bridge stopped."""
        rows = self._engine.read().execute(
            f"{_SELECT} WHERE organization_id = ? AND client_id = ? AND state = 'sending'",
            (organization_id, client_id),
        )
        return [_job(row) for row in rows]

    def count_by_state(self, organization_id: str, device_id: str | None = None) -> dict[str, int]:
        """state -> how many jobs."""
        rows = self._engine.read().execute(
            "SELECT state, count(*) FROM jobs WHERE organization_id = :org AND (:dev IS NULL OR device_id = :dev)"
            " GROUP BY state",
            {"org": organization_id, "dev": device_id},
        )
        return dict(rows.fetchall())

    def attempts(self, organization_id: str, job_id: str) -> list[dict[str, Any]]:
        """Every sending of a job, oldest first."""
        rows = self._engine.read().execute(
            f"SELECT {', '.join(_ATTEMPT)} FROM attempts WHERE job_serial ="
            " (SELECT serial FROM jobs WHERE organization_id = ? AND id = ?) ORDER BY number",
            (organization_id, job_id),
        )
        return [dict(zip(_ATTEMPT, row, strict=True)) for row in rows]

    # -- changing --

    def move(
        self, organization_id: str, job_id: str, allowed: Iterable[State], to: State, *, launch: int | None = None,
        **columns: Any,
    ) -> Job | None:  # fmt: skip
        """Change a job's state if it is in one of `allowed`; None when it is not (somebody was faster).

        launch: and only if it has not been launched again since.
        """
        states = tuple(allowed)
        return self._engine.write(lambda db: _move(db, organization_id, job_id, states, to, columns, launch=launch))

    def preparing(self, job: Job) -> None:
        """Note that work on a job has begun. Not waited for: losing it loses nothing."""
        self._engine.submit(
            lambda db: _move(db, job.organization_id, job.id, (State.QUEUED,), State.PREPARING, {})
        )

    def waits(self, organization_id: str, job_id: str) -> None:
        """Note that a job that was being prepared waits again: for its printer. Not waited for."""
        self._engine.submit(
            lambda db: _move(db, organization_id, job_id, (State.PREPARING,), State.QUEUED, {})
        )

    def fetched(self, job: Job, *, kind: str | None, size: int, sha256: str, body: bytes | None) -> Job | None:
        """Keep a fetched document with its job, so that it is fetched once and never again. None: job is gone."""

        def work(db: Cursor) -> Job | None:
            row = _update(db, job.organization_id, job.id, WAITING, {"kind": kind, "size": size, "sha256": sha256})
            if row is not None and body is not None:
                db.execute("INSERT OR REPLACE INTO bodies (job_serial, data) VALUES (?, ?)", (job.serial, body))
            return row

        return self._engine.write(work)

    def annotate(self, job: Job, **columns: Any) -> None:
        """Note facts learnt while preparing (pages, kind, note). Not waited for."""
        self._engine.submit(lambda db: _update(db, job.organization_id, job.id, tuple(State), columns))

    def launch(
        self, organization_id: str, job_id: str, *, text: str, duplicate: bool, allowed: Iterable[State]
    ) -> Job | None:
        """Queue a created or ended job (again). duplicate: a label of it may already be out."""
        states = tuple(allowed)

        def work(db: Cursor) -> Job | None:
            extra: dict[str, Any] = {"reason": None, "evidence": None, "note": ""}
            if duplicate:
                extra["possible_duplicate"] = 1
            job = _move(db, organization_id, job_id, states, State.QUEUED, extra, event_text=text)
            if job is None:
                return None
            # The event just written is the newest there is: from it the job's new place in the queue.
            db.execute(
                "UPDATE jobs SET launch = launch + 1, queued_seq = (SELECT max(seq) FROM events) WHERE serial = ?",
                (job.serial,),
            )
            return _job(db.execute(f"{_SELECT} WHERE serial = ?", (job.serial,)).fetchone())

        return self._engine.write(work)

    # -- attempts --

    def begin_attempt(self, job: Job, *, bytes_total: int | None, pages: int | None) -> Callable[[], int | None]:
        """Claim a waiting job for sending. Call the result to wait until that is durable: only then may a byte leave.

        It gives the number of the attempt, or None when the job was cancelled meanwhile.
        """
        now = time.time()
        return self._engine.submit(lambda db: self._begin(db, job, now, bytes_total=bytes_total, pages=pages)).wait

    def _begin(self, db: Cursor, job: Job, now: float, *, bytes_total: int | None, pages: int | None) -> int | None:
        row = db.execute(
            "UPDATE jobs SET state = 'sending', attempts = attempts + 1, text = '', updated_at = ?,"
            " history = history || ? WHERE serial = ? AND launch = ? AND state IN ('queued', 'preparing')"
            " RETURNING attempts",
            (now, history_line(now, State.SENDING.value, ""), job.serial, job.launch),
        ).fetchone()
        if row is None:
            return None
        number: int = row[0]
        self._attempt(db, job, number, now, bytes_total=bytes_total, pages=pages)
        return number

    def _attempt(
        self, db: Cursor, job: Job, number: int, now: float, *, bytes_total: int | None, pages: int | None
    ) -> None:
        _event(db, now, job.organization_id, job.id, job.device_id, State.SENDING)
        db.execute(
            "INSERT INTO attempts (job_serial, number, launch, device_id, sha256, copies, pages, bytes_total,"
            " possible_duplicate, started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (job.serial, number, job.launch, job.device_id, job.sha256, job.copies, pages, bytes_total,
             job.possible_duplicate, now),
        )  # fmt: skip

    def end_attempt(
        self, job: Job, attempt: int, to: State, *, bytes_sent: int | None, evidence: str | None, text: str
    ) -> Callable[[], Any]:
        """Record how an attempt ended and where that leaves the job. Durable when the result returns.

        From then on the job is nobody's: what is still to be said about it is said in `text`. A disk that is full
        does not lose it: it is written as soon as that is possible. bytes_sent: None when nobody knows.
        """
        now = time.time()
        line = history_line(now, to.value, text)

        def work(db: Cursor) -> None:
            db.execute(
                "UPDATE attempts SET ended_at = ?, bytes_sent = ?, result = ?, evidence = ?, text = ?"
                " WHERE job_serial = ? AND number = ?",
                (now, bytes_sent, to.value, evidence, text, job.serial, attempt),
            )
            db.execute(
                "UPDATE jobs SET state = ?, evidence = ?, text = ?, updated_at = ?, history = history || ?"
                " WHERE serial = ? AND state = 'sending'",
                (to.value, evidence, text, now, line, job.serial),
            )
            _event(db, now, job.organization_id, job.id, job.device_id, to, text)

        return self._engine.submit(work, keep=True).wait

    def delete(self, organization_id: str, job_id: str, allowed: Iterable[State]) -> bool:
        """Forget a job in one of these states. Its idempotency key stays, so that it cannot print again."""
        names = ", ".join(f"'{s.value}'" for s in allowed)

        def work(db: Cursor) -> bool:
            gone = db.execute(
                f"DELETE FROM jobs WHERE organization_id = ? AND id = ? AND state IN ({names}) RETURNING serial",
                (organization_id, job_id),
            ).fetchone()
            if gone is None:
                return False
            for table in ("bodies", "attempts"):
                db.execute(f"DELETE FROM {table} WHERE job_serial = ?", gone)
            _event(db, time.time(), organization_id, job_id, None, None, "deleted")
            return True

        return self._engine.write(work)

    def exists(self, job_id: str) -> bool:
        """Whether any organization has such a job: whether its files are to be kept."""
        return self._engine.read().execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,)).fetchone() is not None


_values = attrgetter(*_COLUMNS)
_INSERT = (
    f"INSERT INTO jobs ({', '.join(_COLUMNS)}, account, external_id, history)"
    f" VALUES ({', '.join('?' * (len(_COLUMNS) + 3))})"
)
_ATTEMPT = (
    "number", "launch", "device_id", "copies", "pages", "bytes_total", "bytes_sent", "possible_duplicate",
    "started_at", "ended_at", "result", "evidence", "text",
)  # fmt: skip


def _event(
    db: Cursor, at: float, org: str, job_id: str, device_id: str | None, state: State | None, text: str = ""
) -> int:
    row = db.execute(
        "INSERT INTO events (at, organization_id, job_id, device_id, kind, state, text)"
        " VALUES (?, ?, ?, ?, 'job', ?, ?)",
        (at, org, job_id, device_id, state.value if state else None, text),
    )
    assert row.lastrowid is not None
    return row.lastrowid


def _update(
    db: Cursor, org: str, job_id: str, allowed: Iterable[State], columns: dict[str, Any],
    launch: int | None = None,
) -> Job | None:  # fmt: skip
    names = ", ".join(f"'{s.value}'" for s in allowed)
    sets = ", ".join(f"{c} = :{c}" for c in columns)
    changed = db.execute(
        f"UPDATE jobs SET {sets} WHERE organization_id = :_org AND id = :_id AND state IN ({names})"
        " AND (:_launch IS NULL OR launch = :_launch)",
        {**columns, "_org": org, "_id": job_id, "_launch": launch},
    )
    if not changed.rowcount:
        return None
    return _job(db.execute(f"{_SELECT} WHERE id = ?", (job_id,)).fetchone())


def _move(
    db: Cursor, org: str, job_id: str, allowed: Iterable[State], to: State, columns: dict[str, Any],
    event_text: str | None = None, launch: int | None = None,
) -> Job | None:  # fmt: skip
    now = time.time()
    text = columns.get("text", "")
    told = text if event_text is None else event_text
    changes = {"text": text, **columns, "state": to.value, "updated_at": now}
    job = _update(db, org, job_id, allowed, changes, launch)
    if job is not None:
        _event(db, now, org, job_id, job.device_id, to, told)
        line = history_line(now, to.value, told)
        db.execute("UPDATE jobs SET history = history || ? WHERE serial = ?", (line, job.serial))
    return job


__all__ = ["ENDED", "INLINE_MAX", "JobForgotten", "Jobs", "KeyReused", "NewJob", "new_id"]
