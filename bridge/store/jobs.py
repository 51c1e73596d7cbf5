"""Jobs, their attempts, and every change of state. Each change is one durable write that also leaves an event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from bridge.model import ENDED, WAITING, Device, Job, JobRequest, State, Upload, new_id
from bridge.store.directory import use_job
from bridge.store.engine import Cursor, Engine
from bridge.store.events import history_line

INLINE_MAX = 64 * 1024
"""Bytes. Bodies up to here share the row's commit; larger ones are files in the spool."""

_COLUMNS = [f.name for f in fields(Job)]
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM jobs"
_STATE = _COLUMNS.index("state")
_FLAGS = tuple(_COLUMNS.index(name) for name in ("possible_duplicate", "document_gone"))


def _job(row: tuple[Any, ...]) -> Job:
    values = list(row)
    values[_STATE] = State(values[_STATE])
    for flag in _FLAGS:
        values[flag] = bool(values[flag])
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


class QuotaUsedUp(Exception):
    """The job's organization has sent all the jobs it may send."""


class Jobs:
    """The table of jobs. Every method takes the organization it may see."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- creating --

    def add(self, new: NewJob) -> tuple[Job, bool]:
        """Store a job; return it and True, or the earlier one with the same Idempotency-Key and False.

        Durable when it returns. Raises KeyReused, JobForgotten, QuotaUsedUp.
        """
        return self._engine.write(lambda db: self._add(db, new))

    def _add(self, db: Cursor, new: NewJob) -> tuple[Job, bool]:
        request, now = new.request, time.time()
        if request.idempotency_key is not None:
            earlier = self._earlier(db, request, new.fingerprint)
            if earlier is not None:
                return earlier, False
        if not use_job(db, request.organization_id, counted=request.counted):
            raise QuotaUsedUp
        state, reason, text = _first_state(request)
        seq = _event(db, now, request.organization_id, new.job_id, request.device_id, state)
        job = Job(
            serial=seq, id=new.job_id, organization_id=request.organization_id, client_id=new.client_id,
            device_id=request.device_id, device_name=new.device_name, dialect=request.dialect, key_id=request.key_id,
            job_type=request.job_type, title=new.title, state=state, reason=reason, text=text, note="", evidence=None,
            declared=request.declared, kind=new.kind, url=new.url, size=new.size, sha256=new.sha256,
            copies=request.copies, priority=request.priority, options=request.options.to_json(),
            payload=request.payload, launch=1 if request.launch else 0, queued_seq=seq if request.launch else 0,
            pages=None, attempts=0, possible_duplicate=request.reprint_of is not None, created_at=now, updated_at=now,
            expires_at=request.expires_at, reprint_of=request.reprint_of, grants=request.grants.to_text(),
            user_id=request.user_id,
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
            "payload": request.payload, "title": new.title, "grants": request.grants.to_text(),
            "updated_at": time.time(),
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

    def by_serial(self, organization_id: str, serial: int) -> Job | None:
        """The organization's job with this number, or another's for a printer of one of its other machines."""
        row = self._engine.read().execute(
            f"{_SELECT} WHERE serial = ? AND (organization_id = ? OR client_id IN"
            " (SELECT id FROM clients WHERE organization_id = ? AND is_self = 0))",
            (serial, organization_id, organization_id),
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
        organization_id: str | None,
        *,
        client_id: str | None = None,
        device_id: str | None = None,
        job_type: int | None = None,
        states: Iterable[State] | None = None,
        key_id: str | None = None,
        reason: str | None = None,
        q: str | None = None,
        newest_first: bool = False,
        after: int | None = None,
        offered_at: float | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> tuple[list[Job], int]:
        """One page of jobs in submission order, and how many there are in all.

        organization_id: None for everybody's. reason: only jobs held for it. q: only those whose title contains
        it, whatever its case (of ASCII letters). after: serial of a job; only those that come after it in this order.
        offered_at: Unix seconds; only what a machine that asks for its jobs then may get.
        """
        narrow = {k: v for k, v in (("organization_id", organization_id), ("device_id", device_id)) if v is not None}
        wide: dict[str, Any] = {"client_id": client_id, "job_type": job_type, "key_id": key_id, "reason": reason}
        wide = {k: v for k, v in wide.items() if v is not None}
        wanted = {**narrow, **wide, "limit": limit, "offset": offset}
        where = " AND ".join(f"{k} = :{k}" for k in (*narrow, *wide))
        if organization_id is None:
            where = f"{_ANYBODY} AND {where}" if where else _ANYBODY
        if reason is not None:
            states = (State.HELD,)
        few = states is not None or device_id is not None
        if few:  # every state, when it is the printer that is asked for: the index begins with the state
            names = ", ".join(f"'{s.value}'" for s in (State if states is None else states)) or "''"
            where += f" AND state IN ({names})"
        if q is not None:
            wanted["q"] = "%" + q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            where += " AND title LIKE :q ESCAPE '\\'"
        if after is not None:
            wanted["after"] = after
            where += f" AND serial {'<' if newest_first else '>'} :after"
        if offered_at is not None:
            wanted["now"] = offered_at
            where += f" AND {OFFERED}"
        order = f"ORDER BY serial {'DESC' if newest_first else 'ASC'} LIMIT :limit OFFSET :offset"
        db = self._engine.read()
        total: int = db.execute(f"SELECT count(*) FROM jobs WHERE {where}", wanted).fetchone()[0]
        if few or offset > 1000:
            # The index alone finds a few among many, and counts its way to a far page: only the page itself is read.
            # (The + keeps SQLite from going through the table instead, because that is in order already.)
            inner = f"SELECT serial FROM jobs WHERE {where} {order.replace('serial', '+serial')}"
            rows = db.execute(f"{_SELECT} WHERE serial IN ({inner}) {order.partition(' LIMIT')[0]}", wanted)
        else:  # nearly all match: go through the table itself in order
            rows = db.execute(f"{_SELECT} WHERE +{where} {order}", wanted)
        return [_job(row) for row in rows], total

    def waiting(self, device_id: str) -> Iterator[Job]:
        """Launched and not yet sent, of every organization, in the order they will be. One at a time: there may be ten
        thousand."""
        rows = self._engine.read().execute(
            f"{_SELECT} WHERE {_ANYBODY} AND device_id = ? AND state IN ('queued', 'preparing')"
            " ORDER BY priority DESC, queued_seq",
            (device_id,),
        )  # fmt: skip
        return map(_job, rows)

    def interrupted(self, client_id: str) -> list[Job]:
        """This machine's jobs that were being sent when the bridge stopped, of every organization."""
        rows = self._engine.read().execute(
            f"{_SELECT} WHERE {_ANYBODY} AND client_id = ? AND state = 'sending'", (client_id,)
        )
        return [_job(row) for row in rows]

    def home_of(self, job_id: str) -> str | None:
        """The organization a job belongs to."""
        row = self._engine.read().execute("SELECT organization_id FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return row[0] if row else None

    def count_by_state(self, organization_id: str | None, device_id: str | None = None) -> dict[str, int]:
        """state -> how many jobs. organization_id: None for everybody's."""
        every = ", ".join(f"'{state.value}'" for state in State)
        whose = "organization_id = :org" if organization_id is not None else _ANYBODY
        rows = self._engine.read().execute(
            f"SELECT state, count(*) FROM jobs WHERE {whose} AND state IN ({every})"
            f"{' AND device_id = :dev' if device_id is not None else ''} GROUP BY state",
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

    def last_attempt_at(self, device_id: str) -> float | None:
        """When something last began to be sent to a printer, of which something may have left; Unix seconds."""
        row = self._engine.read().execute(
            "SELECT max(started_at) FROM attempts WHERE device_id = ? AND result IS NOT 'queued'", (device_id,)
        ).fetchone()  # fmt: skip
        at: float | None = row[0]
        return at

    def last_cut(self, device_id: str) -> Job | None:
        """The job whose sending was cut off, when that was the last thing sent to a printer."""
        db = self._engine.read()
        row = db.execute(
            "SELECT job_serial, result, evidence FROM attempts WHERE device_id = ? AND result IS NOT 'queued'"
            " ORDER BY started_at DESC LIMIT 1",
            (device_id,),
        ).fetchone()  # fmt: skip
        if row is None or row[2] != "cut":
            return None
        job = db.execute(f"{_SELECT} WHERE serial = ?", (row[0],)).fetchone()
        return _job(job) if job else None

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

    def strike(self, job: Job) -> int:
        """Count one more failure of ours over this job; how many there are now. 0 when the job is gone."""

        def work(db: Cursor) -> int:
            row = db.execute(
                "UPDATE jobs SET strikes = strikes + 1 WHERE serial = ? AND launch = ? RETURNING strikes",
                (job.serial, job.launch),
            ).fetchone()
            return row[0] if row else 0

        return self._engine.write(work)

    def transfer(self, job: Job, device: Device, allowed: Iterable[State], text: str) -> Job | None:
        """Give a job that was not sent to another printer, where it keeps its place; None when it is too late.

        What was drawn for the old one is of no use: a new launch.
        """
        states = tuple(allowed)
        columns = {"device_id": device.id, "device_name": device.name, "client_id": device.client_id}

        def work(db: Cursor) -> Job | None:
            found = _update(db, job.organization_id, job.id, states, columns, launch=job.launch)
            if found is None:
                return None
            to = State.QUEUED if found.state in WAITING else found.state
            extra = {"reason": found.reason, "note": "", "pages": None, "launch": found.launch + bool(found.launch)}
            if found.evidence in ("handed", "client"):  # the machine that had it may print it all the same
                extra |= {"evidence": None, "possible_duplicate": 1}
            return _move(db, job.organization_id, job.id, (found.state,), to, extra, event_text=text)

        return self._engine.write(work)

    def held(self, organization_id: str, *, device_id: str | None = None, reason: str | None = None) -> list[str]:
        """The ids of the jobs that wait for a person, oldest first."""
        rows = self._engine.read().execute(
            "SELECT id FROM jobs WHERE serial IN (SELECT serial FROM jobs WHERE organization_id = :org"
            " AND state = 'held') AND (:dev IS NULL OR device_id = :dev) AND (:why IS NULL OR reason = :why)"
            " ORDER BY serial",
            {"org": organization_id, "dev": device_id, "why": reason},
        )
        return [row[0] for row in rows]

    def waits(self, organization_id: str, job_id: str) -> None:
        """Note that a job that was being prepared waits again: for its printer. Not waited for."""
        self._engine.submit(
            lambda db: _move(db, organization_id, job_id, (State.PREPARING,), State.QUEUED, {})
        )

    def wait_again(self, client_id: str) -> None:
        """At boot: whatever was being prepared simply waits again, as long as it already did."""
        self._engine.write(
            lambda db: db.execute(
                f"UPDATE jobs SET state = 'queued' WHERE {_ANYBODY} AND client_id = ? AND state = 'preparing'",
                (client_id,),
            )
        )

    def fetched(
        self, job: Job, *, kind: str | None, size: int, sha256: str, body: bytes | None,
        allowed: Iterable[State] = WAITING,
    ) -> Job | None:  # fmt: skip
        """Keep a fetched document with its job, so that it is fetched once and never again. None: job is gone."""

        def work(db: Cursor) -> Job | None:
            row = _update(db, job.organization_id, job.id, allowed, {"kind": kind, "size": size, "sha256": sha256})
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
            extra: dict[str, Any] = {"reason": None, "evidence": None, "note": "", "strikes": 0}
            if duplicate:
                extra["possible_duplicate"] = 1
            if db.execute("SELECT 1 FROM jobs WHERE id = ? AND document_gone = 1", (job_id,)).fetchone():
                return None
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

    def _begin(
        self, db: Cursor, job: Job, now: float, *, bytes_total: int | None, pages: int | None, text: str = ""
    ) -> int | None:
        row = db.execute(
            "UPDATE jobs SET state = 'sending', attempts = attempts + 1, text = '', updated_at = ?,"
            " history = history || ? WHERE serial = ? AND launch = ? AND state IN ('queued', 'preparing')"
            " RETURNING attempts",
            (now, history_line(now, State.SENDING.value, text), job.serial, job.launch),
        ).fetchone()
        if row is None:
            return None
        number: int = row[0]
        self._attempt(db, job, number, now, bytes_total=bytes_total, pages=pages, text=text)
        return number

    def _attempt(
        self, db: Cursor, job: Job, number: int, now: float, *, bytes_total: int | None, pages: int | None,
        text: str = "",
    ) -> None:  # fmt: skip
        _event(db, now, job.organization_id, job.id, job.device_id, State.SENDING, text)
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

    def counted(self, job: Job, attempt: int, counter: int) -> None:
        """Note where the printer's label counter stood before an attempt. Not waited for."""
        self._engine.submit(
            lambda db: db.execute(
                "UPDATE attempts SET counter = ? WHERE job_serial = ? AND number = ?", (counter, job.serial, attempt)
            )
        )

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
        """Whether any organization has such a job."""
        return self._engine.read().execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,)).fetchone() is not None

    def keeps_files(self, job_id: str) -> bool:
        """Whether there is such a job and its document is still to be kept."""
        row = self._engine.read().execute("SELECT document_gone FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return row is not None and not row[0]


_ANYBODY = "organization_id IN (SELECT id FROM organizations)"
"""Every organization, said so that the index of devices is used: it begins with the organization."""


OFFERED = (
    "(state != 'queued' OR coalesce(expires_at, :now) >= :now"
    " AND device_id NOT IN (SELECT id FROM devices WHERE paused = 1))"
)
"""What another machine may get when it asks for its jobs at the time :now: nothing that is late, and nothing new for a
printer that is paused."""


def _first_state(request: JobRequest) -> tuple[State, str | None, str]:
    """(state, reason, text) of a new job."""
    if request.launch and request.hold:
        return State.HELD, "release", "held as it was asked for; release it to print it"
    return (State.QUEUED if request.launch else State.CREATED), None, ""


_values = attrgetter(*_COLUMNS)
_INSERT = (
    f"INSERT INTO jobs ({', '.join(_COLUMNS)}, account, external_id, history)"
    f" VALUES ({', '.join('?' * (len(_COLUMNS) + 3))})"
)
_ATTEMPT = (
    "number", "launch", "device_id", "copies", "pages", "bytes_total", "bytes_sent", "possible_duplicate",
    "started_at", "ended_at", "result", "evidence", "text", "counter",
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
