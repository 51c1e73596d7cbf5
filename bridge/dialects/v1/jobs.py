"""The routes about jobs. A web page sees and touches its own alone; another's looks like none at all."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request

from bridge.dialects import Desk
from bridge.dialects.v1 import once, printers
from bridge.dialects.v1.route import caller
from bridge.dialects.v1.submission import submission
from bridge.dialects.v1.wishes import HeldJobs, JobsQuery, Move, NewJob, Nothing, Reprint, Resolve
from bridge.errors import NotFound
from bridge.intake.idempotency import idempotency_key
from bridge.model import Document, Event, Job, JobRequest, State, to_dict
from bridge.store.made import Making

LABELS_MAX = 10_000_000  # more than any job has


def submit(desk: Desk) -> Response:
    """A new job.

    The document comes inside JSON, as a file of a form, or as the body itself with everything else in the query
    string. 201 once it is durable; 200 when its Idempotency-Key says that it is here already.
    """
    sent = submission(request)
    device = printers.find(desk, sent.job.printer)
    expires_at = _expiry(desk, sent.job)
    document = sent.document(desk.intake)
    job, created = desk.intake.accept(_job_request(sent.job, document, device.id, expires_at))
    return printers.shown_job(desk, job, created)


def _job_request(job: NewJob, document: Document, device_id: str, expires_at: float | None) -> JobRequest:
    who = caller()
    return JobRequest(
        organization_id=who.organization_id, device_id=device_id, dialect="v1", document=document,
        declared=job.document_type, title=job.title, copies=job.copies, options=job.to_options(),
        priority=job.priority, launch=job.launch, key_id=who.key_id, origin=who.origin,
        idempotency_key=idempotency_key(), hold=job.hold, expires_at=expires_at, grants=who.grants,
    )  # fmt: skip


def _expiry(desk: Desk, job: NewJob) -> float | None:
    """When it expires, Unix seconds. The same for a request that is repeated, although it counts from now."""
    if job.expires_in_s is None:
        return job.expires_at
    expires_at, key = desk.store.lanes.now() + job.expires_in_s, idempotency_key()
    if key is None:
        return expires_at
    return float(once.remember(desk, Making(key, repr(job.expires_in_s), "expiry"), repr(expires_at)))


def listing(desk: Desk, wish: JobsQuery) -> Response:
    """A page of jobs, the newest first."""
    who = caller()
    found, total = desk.store.jobs.page(
        who.organization_id,
        device_id=printers.find(desk, wish.printer).id if wish.printer is not None else None,
        states=wish.state, reason=wish.reason, q=wish.q, key_id=who.key_id if who.own_jobs_only else None,
        newest_first=True, limit=wish.limit, offset=wish.offset,
    )  # fmt: skip
    return jsonify(jobs=[_job(desk, job) for job in found], total=total)


def get(desk: Desk, wish: Nothing, job_id: str) -> Response:
    """One job with its timeline and every sending of it."""
    job = _mine(desk, job_id)
    timeline = _timeline(desk.store.events.of_job(job.organization_id, job.id))
    attempts = desk.store.jobs.attempts(job.organization_id, job.id)
    for attempt in attempts:
        attempt["possible_duplicate"] = bool(attempt["possible_duplicate"])
    return jsonify({**_job(desk, job), "timeline": timeline, "attempts": attempts})


def cancel(desk: Desk, wish: Nothing, job_id: str) -> Response:
    """Stop it, as far as that is still possible."""
    job = _mine(desk, job_id)
    return jsonify(_job(desk, desk.control.cancel(job.organization_id, job.id)))


def hold(desk: Desk, wish: Nothing, job_id: str) -> Response:
    """Keep a waiting job back until it is released."""
    job = _mine(desk, job_id)
    return jsonify(_job(desk, desk.control.hold(job.organization_id, job.id)))


def release(desk: Desk, wish: Nothing, job_id: str) -> Response:
    """Let a held job go on to its printer."""
    job = _mine(desk, job_id)
    return jsonify(_job(desk, desk.control.release(job.organization_id, job.id)))


def launch(desk: Desk, wish: Nothing, job_id: str) -> Response:
    """Queue a job that was only stored, or print an ended one once more."""
    job = _mine(desk, job_id)
    desk.intake.may_repeat(job, caller().grants)
    return jsonify(_job(desk, desk.control.launch(job.organization_id, job.id)))


def resolve(desk: Desk, wish: Resolve, job_id: str) -> Response:
    """Say what became of an unconfirmed job.

    printed: it counts as delivered. again: all of it is printed once more. cancel: it is given up.
    """
    job = _mine(desk, job_id)
    if wish.answer == "again":
        desk.intake.may_repeat(job, caller().grants)
    return jsonify(_job(desk, desk.control.resolve(job.organization_id, job.id, wish.answer)))


def move(desk: Desk, wish: Move, job_id: str) -> Response:
    """Give a job to another printer, before anything of it was sent."""
    job = _mine(desk, job_id)
    device = printers.find(desk, wish.printer)
    return jsonify(_job(desk, desk.control.move(job.organization_id, job.id, device)))


def reprint(desk: Desk, wish: Reprint, job_id: str) -> Response:
    """Print a job once more, or one label of it, as a new job that is marked as a possible duplicate."""
    job, who = _mine(desk, job_id), caller()
    again, created = desk.intake.reprint(
        job, device=printers.find(desk, wish.printer) if wish.printer is not None else None, label=wish.label,
        copies=wish.copies, key_id=who.key_id, origin=who.origin, idempotency_key=idempotency_key(),
        grants=who.grants,
    )  # fmt: skip
    return printers.shown_job(desk, again, created)


def release_all(desk: Desk, wish: HeldJobs) -> Response:
    """Release every held job, or those of one printer or held for one reason."""
    return jsonify(released=desk.control.release_all(caller().organization_id, **_held(desk, wish)))


def discard_all(desk: Desk, wish: HeldJobs) -> Response:
    """Cancel every held job, or those of one printer or held for one reason."""
    return jsonify(discarded=desk.control.discard_all(caller().organization_id, **_held(desk, wish)))


def _held(desk: Desk, wish: HeldJobs) -> dict[str, Any]:
    device_id = printers.find(desk, wish.printer).id if wish.printer is not None else None
    return {"device_id": device_id, "reason": wish.reason}


def label(desk: Desk, wish: Nothing, job_id: str, number: int) -> Response:
    """Label `number` of a job, from 1, as a picture of the very dots."""
    job = _mine(desk, job_id)
    picture = desk.picture(job, number - 1) if number <= LABELS_MAX else None
    if picture is None:
        raise NotFound(f"there is no label {number} of this job to show", code="no_such_label",
                       remedy="labels count from 1, and there is none before the job is drawn")  # fmt: skip
    if picture.png is None:
        raise NotFound(picture.text, code="not_drawable", remedy="the printer may still understand it: print it there")
    return Response(picture.png, mimetype="image/png")


def _mine(desk: Desk, job_id: str) -> Job:
    """The job, if the caller may know of it."""
    who = caller()
    job = desk.control.job(who.organization_id, job_id)
    if who.own_jobs_only and job.key_id != who.key_id:
        raise NotFound(f"there is no job {job_id[:64]!r}", field="job_id")
    return job


def _job(desk: Desk, job: Job) -> dict[str, Any]:
    ticket = desk.store.lanes.ticket(job.id)
    if ticket is not None:
        return to_dict(job, ticket.progress)
    return {**to_dict(job, None), "progress": _done(desk, job) if job.attempts else None}


_COMPLETE = frozenset({State.DELIVERED, State.PRINTED})


def _done(desk: Desk, job: Job) -> dict[str, int | None] | None:
    """What a job that is no longer in any queue has done, from its last sending; null where nobody knows."""
    attempts = desk.store.jobs.attempts(job.organization_id, job.id)
    if not attempts or attempts[-1]["launch"] != job.launch:
        return None
    last = attempts[-1]
    labels = job.copies if job.is_raw else job.copies * job.pages if job.pages is not None else None
    sent = labels if job.state in _COMPLETE else 0 if last["bytes_sent"] == 0 else None
    total = last["bytes_total"] if last["bytes_total"] is not None or sent != labels else last["bytes_sent"]
    return {
        "pages_rendered": job.pages or 0, "pages_total": job.pages, "bytes_sent": last["bytes_sent"],
        "bytes_total": total, "labels_sent": sent, "labels_total": labels,
        "labels_printed": labels if job.state is State.PRINTED else None,
    }  # fmt: skip


def _timeline(events: list[Event]) -> list[dict[str, Any]]:
    """Each state with the milliseconds since the one before."""
    before = [events[0], *events] if events else []
    return [
        {"state": event.state, "at": event.at, "ms": max(0, round((event.at - last.at) * 1000)), "text": event.text}
        for last, event in zip(before, events, strict=False)
    ]
