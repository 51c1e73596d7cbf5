"""Jobs that are not sent now: they wait on, are held for a person, or end without a byte having left."""

from __future__ import annotations

import logging
import sqlite3

from bridge.deliver.desk import Desk
from bridge.model import MAX_STRIKES, WAITING, Job, State
from bridge.store.lanes import Ticket

log = logging.getLogger(__name__)

CANCELLED = "cancelled before anything was sent"
EXPIRED = "its time was over before it could be sent; nothing was printed"


def give_back(desk: Desk, ticket: Ticket) -> None:
    """The job waits on; unless a person cancelled it while it seemed to be on its way."""
    if not desk.store.lanes.give_back(ticket):
        desk.store.jobs.move(
            ticket.organization_id, ticket.job_id, WAITING, State.CANCELLED, launch=ticket.launch, text=CANCELLED
        )


def release_claims(desk: Desk, why: str) -> None:
    """What was claimed ahead and will not be sent now goes back to waiting: nothing of it has left."""
    for ticket in desk.lane.claimed():
        attempt, job = ticket.claim() if ticket.claim else None, ticket.job
        ticket.claim = None
        if attempt is not None and job is not None:
            to = State.CANCELLED if ticket.stopped else State.QUEUED
            text = CANCELLED if ticket.stopped else f"nothing was sent: {why}"
            desk.store.jobs.end_attempt(job, attempt, to, bytes_sent=0, evidence=None, text=text)()
        if attempt is None or ticket.stopped:
            desk.store.lanes.leave(ticket)


def hold_stale(desk: Desk, ticket: Ticket, limit_s: float) -> bool:
    """After an outage: hold every job that waited too long through it. True when this one is among them."""
    for other in desk.store.lanes.waiting(desk.device.id):
        if other.age_s > limit_s:
            _hold(desk, other, "stale", _stale_text(other.age_s, limit_s))
    if ticket.age_s <= limit_s:
        return False
    _hold(desk, ticket, "stale", _stale_text(ticket.age_s, limit_s))
    return True


def stumbled(desk: Desk, ticket: Ticket, error: Exception) -> None:
    """Our own fault, before anything left. The third time it may be the job's: the others must have their turn."""
    if _is_poison(desk, ticket, error):
        _hold(desk, ticket, "poison", _poison_text(error))
    else:
        give_back(desk, ticket)


def expire(desk: Desk, ticket: Ticket, job: Job) -> None:
    """Its own expires_at has passed."""
    desk.store.jobs.move(job.organization_id, job.id, WAITING, State.EXPIRED, launch=job.launch, text=EXPIRED)
    desk.store.lanes.leave(ticket)


def fail(desk: Desk, ticket: Ticket, job: Job, text: str) -> None:
    """What no retry can cure."""
    desk.store.jobs.move(job.organization_id, job.id, WAITING, State.FAILED, launch=job.launch, text=text)
    desk.store.lanes.leave(ticket)  # last: while the database cannot be written, the job is not forgotten
    log.warning("%s: job %s failed: %s", desk.name, job.id, text)


def _hold(desk: Desk, ticket: Ticket, reason: str, text: str) -> None:
    """Out of the queue until a person decides."""
    if desk.store.jobs.move(
        ticket.organization_id, ticket.job_id, WAITING, State.HELD, launch=ticket.launch, reason=reason, text=text
    ):
        log.warning("%s: job %s held: %s", desk.name, ticket.job_id, text)
    desk.store.lanes.leave(ticket)


def _is_poison(desk: Desk, ticket: Ticket, error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return False  # the disk has a bad day; the job is not to blame
    job = desk.store.jobs.get(ticket.organization_id, ticket.job_id)
    return job is not None and job.state in WAITING and desk.store.jobs.strike(job) >= MAX_STRIKES


def _stale_text(age_s: float, limit_s: float) -> str:
    return (
        f"it waited {_span(age_s)} while its printer or this bridge was away, more than the {_span(limit_s)} this "
        "printer allows; release it to print it all the same, or cancel it"
    )


def _poison_text(error: Exception) -> str:
    return (
        f"an internal error kept it from being sent {MAX_STRIKES} times ({error}); the log has the details; "
        "release it to try again"
    )


def _span(seconds: float) -> str:
    """A duration for people."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
