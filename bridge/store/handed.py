"""Jobs that this bridge hands to other machines, and what those say of them.

A job that was handed over is `sending` with the evidence HANDED; once its machine says that it prints, the evidence is
HEARD. One that is taken back waits again and keeps HANDED: its machine may have it all the same. One that somebody
wanted to cancel too late has the note RECALLED: it is handed to nobody again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from bridge.model import Job, State
from bridge.store.engine import Cursor, Engine
from bridge.store.jobs import _ANYBODY, _SELECT, OFFERED, Jobs, _job, _move, _update

HANDED = "handed"
HEARD = "client"
HANDED_OVER = "handed to its computer"
"""The text of that event, by which it is told from the news that the computer prints."""
RECALLED = "somebody asked to cancel it when its computer had it already"
KEPT = "cancelled; the computer it was handed to is gone, and prints it all the same if it got it"

_OPEN = (
    f"{_ANYBODY} AND state = 'sending' AND EXISTS (SELECT 1 FROM attempts WHERE job_serial = jobs.serial"
    " AND number = jobs.attempts AND ended_at IS NULL)"
)
"""Handed over and not heard the end of. Other jobs are `sending` because a machine that polls says so."""


class Handed:
    """Each change is one durable write that also leaves an event."""

    def __init__(self, engine: Engine, jobs: Jobs) -> None:
        self._engine = engine
        self._jobs = jobs

    def get(self, client_id: str, job_id: str) -> Job | None:
        """A job of this machine, of whatever organization: its printers may be lent to others."""
        row = self._engine.read().execute(
            f"{_SELECT} WHERE id = ? AND client_id = ?", (job_id, client_id)
        ).fetchone()  # fmt: skip
        return _job(row) if row else None

    def next(self, device_id: str, most: int) -> Job | None:
        """The job a device of another machine is to get now; None while `most` of its jobs are not over.

        Those that were called back do not count: nobody waits for them.
        """
        db = self._engine.read()
        out = db.execute(
            f"SELECT count(*) FROM jobs WHERE {_OPEN} AND device_id = ? AND note != ?", (device_id, RECALLED)
        ).fetchone()[0]  # fmt: skip
        if out >= most:
            return None
        row = db.execute(
            f"{_SELECT} WHERE {_ANYBODY} AND device_id = ? AND state = 'queued'"
            " ORDER BY priority DESC, queued_seq LIMIT 1",
            (device_id,),
        ).fetchone()
        return _job(row) if row else None

    def offered(self, client_id: str, state: State, *, key_id: str | None, now: float, limit: int) -> list[Job]:
        """What a machine that asks for its jobs gets, in the order it is to print them.

        state: QUEUED; PREPARING or SENDING for what it said it has. key_id: only those made with this key. now: Unix
        seconds, see OFFERED.
        """
        rows = self._engine.read().execute(
            f"{_SELECT} WHERE {_ANYBODY} AND client_id = :client AND state = :state"
            f" AND (:key IS NULL OR key_id = :key) AND {OFFERED} ORDER BY priority DESC, queued_seq LIMIT :limit",
            {"client": client_id, "state": state.value, "key": key_id, "now": now, "limit": limit},
        )
        return [_job(row) for row in rows]

    def offered_by_printer(
        self, organization_id: str, *, now: float, hostname: str | None = None, each: int = 10
    ) -> list[Job]:
        """What waits for printers of the organization's other machines, whoever sent it: of each printer the next few.

        The first of every printer come first, then the second ones: no printer that stands still hides another's jobs.
        now: Unix seconds, see OFFERED. hostname: only that machine's.
        """
        rows = self._engine.read().execute(
            f"{_SELECT} JOIN (SELECT serial AS number, row_number() OVER (PARTITION BY device_id ORDER BY"
            f" priority DESC, queued_seq) AS place FROM jobs WHERE {_ANYBODY} AND state IN ('queued', 'preparing')"
            f" AND {OFFERED} AND client_id IN (SELECT id FROM clients WHERE organization_id = :org AND is_self = 0"
            " AND (:host IS NULL OR hostname = :host))) AS waiting ON serial = number"
            " WHERE place <= :each ORDER BY place, queued_seq",
            {"org": organization_id, "host": hostname, "each": each, "now": now},
        )
        return [_job(row) for row in rows]

    def waiting(self, device_id: str) -> int:
        """How many jobs of a device wait or are being printed."""
        count: int = self._engine.read().execute(
            f"SELECT count(*) FROM jobs WHERE {_ANYBODY} AND device_id = ?"
            " AND state IN ('queued', 'preparing', 'sending')",
            (device_id,),
        ).fetchone()[0]  # fmt: skip
        return count

    def has(self, job: Job) -> bool:
        """Whether its machine got this job from us and did not tell the end of it."""
        row = self._engine.read().execute(f"SELECT 1 FROM jobs WHERE {_OPEN} AND serial = ?", (job.serial,)).fetchone()
        return row is not None

    def first_launch(self, job: Job) -> int | None:
        """The launch in which a job was first handed to anybody, or sent; None: it never was."""
        row = self._engine.read().execute(
            "SELECT min(launch) FROM attempts WHERE job_serial = ?", (job.serial,)
        ).fetchone()  # fmt: skip
        first: int | None = row[0]
        return first

    def open(self, client_id: str) -> list[Job]:
        """What a machine has and did not tell the end of, in the order it was queued."""
        rows = self._engine.read().execute(
            f"{_SELECT} WHERE {_OPEN} AND client_id = ? ORDER BY queued_seq", (client_id,)
        )
        return [_job(row) for row in rows]

    def has_twice(self, client_id: str) -> bool:
        """Whether a job waits for a machine that may have it already."""
        row = self._engine.read().execute(
            f"SELECT 1 FROM jobs WHERE {_ANYBODY} AND client_id = ? AND state = 'queued' AND evidence = ? LIMIT 1",
            (client_id, HANDED),
        ).fetchone()  # fmt: skip
        return row is not None

    def holders(self, self_client_id: str) -> list[str]:
        """The machines that have such jobs, besides this one."""
        rows = self._engine.read().execute(
            f"SELECT DISTINCT client_id FROM jobs WHERE {_OPEN} AND client_id != ?", (self_client_id,)
        )
        return [row[0] for row in rows]

    def overdue(self, self_client_id: str, now: float) -> list[Job]:
        """Jobs that still wait for another machine and whose time is over."""
        rows = self._engine.read().execute(
            f"{_SELECT} WHERE {_ANYBODY} AND state = 'queued' AND expires_at < ? AND client_id != ?",
            (now, self_client_id),
        )
        return [_job(row) for row in rows]

    def begin(self, job: Job) -> int | None:
        """Claim a waiting job. Durable when it returns: only then may the machine get the last of it.

        The number of the attempt; None when the job was cancelled, held or moved meanwhile.
        """
        now = time.time()

        def work(db: Cursor) -> int | None:
            number = self._jobs._begin(db, job, now, bytes_total=job.size, pages=None, text=HANDED_OVER)
            if number is not None:
                db.execute("UPDATE jobs SET evidence = ? WHERE serial = ?", (HANDED, job.serial))
            return number

        return self._engine.write(work)

    def take_back(self, job: Job, text: str) -> bool:
        """Its machine is gone and said nothing of it: it waits again, where it was. False: it did say something.

        It is cancelled instead when it was called back, or when its printer was deleted meanwhile.
        """
        now = time.time()

        def work(db: Cursor) -> bool:
            silent = db.execute(
                "SELECT note != ? AND EXISTS (SELECT 1 FROM devices WHERE id = device_id) FROM jobs"
                " WHERE serial = ? AND evidence = ?",
                (RECALLED, job.serial, HANDED),
            ).fetchone()
            if silent is None:
                return False
            to, said = (State.QUEUED, text) if silent[0] else (State.CANCELLED, KEPT)
            moved = _same_launch(db, job, (State.SENDING,), to, {"text": said}, said)
            if moved is not None:
                _end(db, moved, now, to, None, said)
            return moved is not None

        return self._engine.write(work)

    def call_back(self, job: Job) -> Job | None:
        """Somebody wants to cancel a job that its machine has. None: it does not have it any more."""
        states = (State.PREPARING, State.SENDING)
        return self._engine.write(
            lambda db: _update(db, job.organization_id, job.id, states, {"note": RECALLED}, job.launch)
        )

    def say(self, job: Job, allowed: Iterable[State], to: State, text: str) -> Job | None:
        """What its machine says of this launch of a job; None when it is in none of the `allowed` states.

        Kept in mind until the disk takes it: a machine says it once.
        """
        now, states = time.time(), tuple(allowed)

        def work(db: Cursor) -> Job | None:
            moved = _same_launch(db, job, states, to, {"text": text, "evidence": HEARD}, text)
            if moved is None:
                return None
            if to is State.SENDING:
                db.execute(
                    "UPDATE attempts SET ended_at = NULL, result = NULL, evidence = NULL, text = ''"
                    " WHERE job_serial = ? AND number = ?",
                    (moved.serial, moved.attempts),
                )
            else:
                _end(db, moved, now, to, HEARD, text)
            return moved

        return self._engine.submit(work, keep=True).wait()


def _same_launch(
    db: Cursor, job: Job, allowed: tuple[State, ...], to: State, columns: dict[str, str], text: str
) -> Job | None:
    return _move(db, job.organization_id, job.id, allowed, to, columns, event_text=text, launch=job.launch)


def _end(db: Cursor, job: Job, now: float, result: State, evidence: str | None, text: str) -> None:
    """Close its last attempt. What was handed to a machine may have been printed: nobody counted bytes there."""
    db.execute(
        "UPDATE attempts SET ended_at = ?, result = ?, evidence = ?, text = ? WHERE job_serial = ? AND number = ?",
        (now, result.value, evidence, text, job.serial, job.attempts),
    )
