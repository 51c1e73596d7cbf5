"""The routes of /v1. What a caller may say is in wishes.py; what it gets to see is here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Blueprint, Response, g, jsonify, request

from bridge import VERSION, dialects, printers
from bridge.dialects import Desk
from bridge.dialects.v1.wishes import EventsQuery, JobsQuery, NewJob, Pause, Resolve, submission, understood
from bridge.errors import Forbidden, NotFound
from bridge.intake.body import parameters
from bridge.model import Device, Document, Event, Job, JobRequest, Principal, to_dict

View = TypeVar("View", bound=Callable[..., Response])


def _caller() -> Principal:
    """Who asks; the guard in front of every route but the public ones has seen to it that somebody does."""
    return cast(Principal, g.principal)


def _needs(scope: str, view: View) -> View:
    """The view for keys with this scope; admin has them all."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Response:
        if not _caller().scopes & {scope, "admin"}:
            raise Forbidden(f"this key may not do that: it needs the scope {scope}",
                            remedy="use another key, or give this one the scope in [[keys]]")  # fmt: skip
        return view(*args, **kwargs)

    return cast(View, guarded)


class Routes:
    """Every view, around one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def blueprint(self) -> Blueprint:
        """The table of routes. A scope of None: anybody, without a key."""
        blueprint = Blueprint("v1", __name__)
        for method, path, view, scope in (
            ("GET", "/hello", self.hello, None),
            ("GET", "/health", self.health, "admin"),
            ("GET", "/events", self.events, "admin"),
            ("GET", "/printers", self.printers, "printers"),
            ("GET", "/printers/<printer>", self.printer, "printers"),
            ("POST", "/printers/<printer>/pause", self.pause, "admin"),
            ("POST", "/printers/<printer>/resume", self.resume, "admin"),
            ("POST", "/jobs", self.submit, "jobs"),
            ("GET", "/jobs", self.jobs, "jobs"),
            ("GET", "/jobs/<job_id>", self.job, "jobs"),
            ("POST", "/jobs/<job_id>/cancel", self.cancel, "jobs"),
            ("POST", "/jobs/<job_id>/resolve", self.resolve, "jobs"),
            ("POST", "/jobs/<job_id>/launch", self.launch, "jobs"),
            ("GET", "/jobs/<job_id>/labels/<int:number>.png", self.label, "jobs"),
        ):
            guarded = view if scope is None else _needs(scope, view)
            blueprint.add_url_rule(path, view.__name__, guarded, methods=[method])
        return blueprint

    # -- the bridge --

    def hello(self) -> Response:
        """Who answers here. No key needed, so nothing in it that a stranger must not know."""
        return jsonify(
            product="print-bridge", version=VERSION, api=["v1"], dialects=list(dialects.names()), ws=self._desk.ws_url
        )

    def health(self) -> Response:
        """What is alive; 503 when something is not, for monitors that only look at the status."""
        health = self._desk.health()
        response = jsonify(health)
        response.status_code = 200 if health["status"] == "ok" else 503
        return response

    def events(self) -> Response:
        """What happened after a given event, oldest first."""
        query = understood(EventsQuery, _query())
        events = self._desk.store.events.after(_caller().organization_id, query.after, limit=query.limit)
        return jsonify(events=[_event(event) for event in events], last=events[-1].seq if events else query.after)

    # -- printers --

    def printers(self) -> Response:
        """All of them."""
        return jsonify(printers=[self._shown(d) for d in printers.every(self._desk.store, _caller().organization_id)])

    def printer(self, printer: str) -> Response:
        """One, by id or name."""
        return jsonify(self._shown(self._device(printer)))

    def pause(self, printer: str) -> Response:
        """Send it nothing more until it is resumed."""
        wish = understood(Pause, parameters(request))
        device = self._device(printer)
        return jsonify(self._shown(self._desk.control.pause(device.organization_id, device.id, wish.reason)))

    def resume(self, printer: str) -> Response:
        """Go on."""
        device = self._device(printer)
        return jsonify(self._shown(self._desk.control.resume(device.organization_id, device.id)))

    def _device(self, wanted: str) -> Device:
        return printers.find(self._desk.store, _caller().organization_id, self._desk.self_client_id, wanted)

    def _shown(self, device: Device) -> dict[str, Any]:
        return printers.to_dict(device, self._desk.store.lanes.lane(device.id))

    # -- jobs --

    def submit(self) -> Response:
        """A new job: 201 once it is durable; 200 when its Idempotency-Key says that it is here already."""
        sent = submission(request)
        device = self._device(sent.job.printer)
        document = sent.document(self._desk.intake)
        job, created = self._desk.intake.accept(_job_request(sent.job, document, device))
        response = jsonify(self._job(job))
        response.status_code = 201 if created else 200
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return response

    def jobs(self) -> Response:
        """A page of jobs, the newest first."""
        query, caller = understood(JobsQuery, _query()), _caller()
        found, total = self._desk.store.jobs.page(
            caller.organization_id,
            device_id=self._device(query.printer).id if query.printer is not None else None,
            states=query.state,
            key_id=caller.key_id if caller.own_jobs_only else None,
            newest_first=True, limit=query.limit, offset=query.offset,
        )  # fmt: skip
        return jsonify(jobs=[self._job(job) for job in found], total=total)

    def job(self, job_id: str) -> Response:
        """One job with its whole story."""
        job, jobs = self._mine(job_id), self._desk.store.jobs
        timeline = _timeline(self._desk.store.events.of_job(job.organization_id, job.id))
        return jsonify(
            {**self._job(job), "timeline": timeline, "attempts": jobs.attempts(job.organization_id, job.id)}
        )

    def cancel(self, job_id: str) -> Response:
        """Stop it, as far as that is still possible."""
        job = self._mine(job_id)
        return jsonify(self._job(self._desk.control.cancel(job.organization_id, job.id)))

    def resolve(self, job_id: str) -> Response:
        """A person says what became of an unconfirmed job."""
        job, wish = self._mine(job_id), understood(Resolve, parameters(request))
        return jsonify(self._job(self._desk.control.resolve(job.organization_id, job.id, wish.answer)))

    def launch(self, job_id: str) -> Response:
        """Queue a created job, or print an ended one once more."""
        job = self._mine(job_id)
        return jsonify(self._job(self._desk.control.launch(job.organization_id, job.id)))

    def label(self, job_id: str, number: int) -> Response:
        """Label `number`, from 1, as a picture of the very dots."""
        picture = self._desk.picture(self._mine(job_id), number - 1)
        if picture is None:
            raise NotFound(f"there is no label {number} of this job to show", code="no_such_label",
                           remedy="labels count from 1, and there is none before the job is drawn")  # fmt: skip
        if picture.png is None:
            raise NotFound(picture.text, code="not_drawable")
        return Response(picture.png, mimetype="image/png")

    def _mine(self, job_id: str) -> Job:
        """The job, if the caller may know of it. Another page's job looks like none at all."""
        caller = _caller()
        job = self._desk.control.job(caller.organization_id, job_id)
        if caller.own_jobs_only and job.key_id != caller.key_id:
            raise NotFound(f"there is no job {job_id[:64]!r}", field="job_id")
        return job

    def _job(self, job: Job) -> dict[str, Any]:
        ticket = self._desk.store.lanes.ticket(job.id)
        return to_dict(job, ticket.progress if ticket is not None else None)


def _job_request(job: NewJob, document: Document, device: Device) -> JobRequest:
    caller = _caller()
    return JobRequest(
        organization_id=device.organization_id, device_id=device.id, dialect="v1", document=document,
        declared=job.document_type, title=job.title, copies=job.copies, options=job.to_options(),
        priority=job.priority, launch=job.launch, key_id=caller.key_id, origin=caller.origin,
        idempotency_key=request.headers.get("Idempotency-Key"),
    )  # fmt: skip


def _query() -> dict[str, Any]:
    return {name: values[-1] for name, values in request.args.lists()}


def _timeline(events: list[Event]) -> list[dict[str, Any]]:
    """Each state with the milliseconds since the one before."""
    before = [events[0], *events] if events else []
    return [
        {"state": event.state, "at": event.at, "ms": max(0, round((event.at - last.at) * 1000)), "text": event.text}
        for last, event in zip(before, events, strict=False)
    ]


def _event(event: Event) -> dict[str, Any]:
    return {
        "seq": event.seq, "at": event.at, "kind": event.kind, "job_id": event.job_id, "printer_id": event.device_id,
        "state": event.state, "text": event.text,
    }  # fmt: skip
