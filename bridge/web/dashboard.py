"""The dashboard: one page for the people next to the printers, and the few calls it makes.

Who may call is decided by the guard before anything here runs: only our own page, only on this machine. Whoever stands
there has the paper in hand: the page shows the jobs of every organization.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bridge import VERSION, printers
from bridge.dialects import Desk
from bridge.errors import Invalid, NotFound
from bridge.intake.body import parameters
from bridge.model import ENDED, Device, Job, Picture, Progress, State
from bridge.presence import Presence
from bridge.resources import templates_folder
from bridge.store.lanes import Stage, Ticket
from bridge.web.remedies import what_to_do

LAST_JOBS = 20
DOUBTS_MAX = 100  # unconfirmed jobs on the page, and held ones; somebody has to answer each of them

JOB_WORDS = {
    State.CREATED: "Not launched yet",
    State.QUEUED: "Waiting",
    State.PREPARING: "Being prepared",
    State.SENDING: "Being sent",
    State.DELIVERED: "Sent to the printer",
    State.PRINTED: "Printed",
    State.UNCONFIRMED: "In doubt",
    State.HELD: "Held back",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
    State.EXPIRED: "Expired",
}
PRINTER_WORDS = {"idle": "Ready", "processing": "Printing", "stopped": "Stopped", None: "On another machine"}
WAITING_WORDS = "Waiting for the printer"
_UNDER_WAY = frozenset({State.QUEUED, State.PREPARING, State.SENDING})
_CANCELLABLE = _UNDER_WAY | {State.CREATED, State.HELD}

# blob: the pictures of labels, which the page fetches itself. data: the icon.
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src blob: data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def make_dashboard(desk: Desk) -> Blueprint:
    """GET / and everything under /web/."""
    views = _Views(desk)
    blueprint = Blueprint("dashboard", __name__)
    for method, path, view in (
        ("GET", "/", views.page),
        ("GET", "/web/state", views.state),
        ("GET", "/web/jobs/<job_id>/labels/<int:number>.png", views.label),
        ("POST", "/web/printers/<device_id>/test-label", views.test_label),
        ("POST", "/web/printers/<device_id>/pause", views.pause),
        ("POST", "/web/printers/<device_id>/resume", views.resume),
        ("POST", "/web/jobs/<job_id>/cancel", views.cancel),
        ("POST", "/web/jobs/<job_id>/resolve", views.resolve),
        ("POST", "/web/jobs/<job_id>/launch", views.launch),
        ("POST", "/web/jobs/<job_id>/release", views.release),
        ("POST", "/web/held/release", views.release_all),
        ("POST", "/web/held/discard", views.discard_all),
    ):
        blueprint.add_url_rule(path, view.__name__, view, methods=[method])
    return blueprint


class _Views:
    """Every view, around one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._organization = desk.organization_id
        pages = Environment(
            loader=FileSystemLoader(templates_folder() / "web"), autoescape=True, undefined=StrictUndefined
        )
        self._page = pages.get_template("dashboard.html.j2")

    def page(self) -> Response:
        """The page itself, the same for everybody: what it shows it asks for afterwards."""
        nonce = secrets.token_urlsafe(16)
        response = Response(self._page.render(nonce=nonce), mimetype="text/html")
        response.headers["Content-Security-Policy"] = _CONTENT_POLICY.format(nonce)
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    def state(self) -> Response:
        """Everything the page shows, but the pictures."""
        jobs = self._desk.store.jobs
        doubts, _ = jobs.page(None, states=[State.UNCONFIRMED], newest_first=True, limit=DOUBTS_MAX)
        held, waiting_for_somebody = jobs.page(None, states=[State.HELD], newest_first=True, limit=DOUBTS_MAX)
        last, _ = jobs.page(None, newest_first=True, limit=LAST_JOBS)
        presence = self._desk.presence()
        every = [self._printer(device, presence) for device in printers.every(self._desk.store, self._organization)]
        stopped = {printer["id"]: printer["text"] for printer in every if printer["state"] == "stopped"}
        return jsonify(
            version=VERSION,
            machine=self._machine(),
            printers=every,
            warnings=warnings(self._desk.health()),
            doubts=[self._job(job) for job in doubts],
            held=[self._job(job) for job in held],
            held_total=waiting_for_somebody,
            jobs=[self._job(job, stopped) for job in last if job.state not in (State.UNCONFIRMED, State.HELD)],
        )

    def label(self, job_id: str, number: int) -> Response:
        """Label `number`, from 1: a PNG, or as text why there is none, with the code that was sent.

        What a PNG does not show stands in the header Left-Out, percent-encoded.
        """
        picture = self._desk.picture(self._desk.control.job(self._home(job_id), job_id), number - 1)
        if picture is None:
            raise NotFound(f"there is no label {number} of this job to show")
        if picture.png is None:
            return Response(picture.text, mimetype="text/plain")
        return Response(picture.png, mimetype="image/png", headers={"Left-Out": quote(_left_out(picture))})

    # -- printers --

    def test_label(self, device_id: str) -> Response:
        """Print the test label."""
        device = self._desk.control.device(self._organization, device_id)
        job, _ = self._desk.intake.accept(printers.test_label(device, self._machine()))
        return jsonify(self._job(job))

    def pause(self, device_id: str) -> Response:
        """Send this printer nothing more until it is resumed."""
        return jsonify(self._printer(self._desk.control.pause(self._organization, device_id, "on the dashboard")))

    def resume(self, device_id: str) -> Response:
        """Go on."""
        return jsonify(self._printer(self._desk.control.resume(self._organization, device_id)))

    # -- jobs --

    def cancel(self, job_id: str) -> Response:
        """Stop a job, as far as that is still possible."""
        return jsonify(self._job(self._desk.control.cancel(self._home(job_id), job_id)))

    def launch(self, job_id: str) -> Response:
        """Queue a created job, or print an ended one once more."""
        return jsonify(self._job(self._desk.control.launch(self._home(job_id), job_id)))

    def release(self, job_id: str) -> Response:
        """Let a held job go on."""
        return jsonify(self._job(self._desk.control.release(self._home(job_id), job_id)))

    def release_all(self) -> Response:
        """Let every held job go on."""
        return jsonify(released=sum(map(self._desk.control.release_all, self._organizations())))

    def discard_all(self) -> Response:
        """Give every held job up."""
        return jsonify(discarded=sum(map(self._desk.control.discard_all, self._organizations())))

    def resolve(self, job_id: str) -> Response:
        """What a person saw at the printer."""
        answer = parameters(request).get("answer")
        if answer not in ("printed", "again", "cancel"):
            raise Invalid("the answer is printed, again or cancel", field="answer")
        return jsonify(self._job(self._desk.control.resolve(self._home(job_id), job_id, answer)))

    def _home(self, job_id: str) -> str:
        """The organization a job belongs to; this bridge's for one that there is not."""
        return self._desk.store.jobs.home_of(job_id) or self._organization

    def _organizations(self) -> list[str]:
        return [each.id for each in self._desk.store.organizations.listing()]

    # -- what the page gets to see --

    def _machine(self) -> str:
        me = self._desk.store.clients.get(self._organization, self._desk.self_client_id)
        return me.hostname if me is not None else ""

    def _printer(self, device: Device, presence: Presence | None = None) -> dict[str, Any]:
        shown = printers.to_dict(device, self._desk.store.lanes.lane(device.id), presence or self._desk.presence())
        words, reasons = PRINTER_WORDS[shown["state"]], [] if device.paused else shown["reasons"]
        return {**shown, "words": words, "remedy": what_to_do(reasons)}

    def _job(self, job: Job, stopped: Mapping[str, str] | None = None) -> dict[str, Any]:
        """stopped: ids of printers that do not print just now, and why."""
        ticket = self._desk.store.lanes.ticket(job.id)
        why = (stopped or {}).get(job.device_id) if job.state in _UNDER_WAY else None
        return {
            "id": job.id,
            "title": job.title,
            "printer": job.device_name,
            "state": job.state,
            "words": _words(job, ticket) if why is None else WAITING_WORDS,
            "text": "; ".join(part for part in (why, job.text, job.note) if part),
            "copies": job.copies,
            "created_at": job.created_at,
            "progress": _progress(ticket.progress, waits=why is not None) if ticket is not None else None,
            "picture": _picture_version(job),
            "can": _commands(job.state),
        }


def warnings(health: dict[str, Any]) -> list[str]:
    """What a person should know about the bridge itself, one sentence each."""
    told = [health[part]["text"] for part in ("config", "database", "clock") if health.get(part, {}).get("text")]
    dead = [name for name, alive in health.get("loops", {}).items() if not alive]
    if dead:
        told.append(f"not running, and being started again: {', '.join(dead)}")
    if (disk := health.get("disk", {})).get("low"):
        told.append(f"the disk is nearly full ({disk['free_bytes'] / 1e6:,.0f} MB free): new jobs are refused")
    return told


def _words(job: Job, ticket: Ticket | None) -> str:
    """A job that is drawn and not sent yet is prepared no longer."""
    ready = job.state is State.PREPARING and ticket is not None and ticket.stage is Stage.READY
    return JOB_WORDS[State.QUEUED if ready else job.state]


def _progress(progress: Progress, *, waits: bool) -> dict[str, Any] | None:
    """How far a running job is: share (0 to 1) and words. None while there is nothing to tell.

    waits: for its printer; that it is drawn is then no news.
    """
    for done, total, words in (
        (progress.labels_printed or 0, progress.labels_total, "label {} of {} printed"),
        (progress.labels_sent, progress.labels_total, "label {} of {} sent"),
        (progress.bytes_sent, progress.bytes_total, "{:,} of {:,} bytes sent"),
        (0 if waits else progress.pages_rendered, progress.pages_total, "page {} of {} drawn"),
    ):
        if done and total:
            return {"share": min(1.0, done / total), "text": words.format(done, total)}
    return None


def _left_out(picture: Picture) -> str:
    """What the picture of a job does not show."""
    more = f"This is the first of {picture.labels} labels." if picture.labels > 1 else ""
    return f"{more} {picture.text}".strip()


def _picture_version(job: Job) -> str | None:
    """Changes whenever the job's picture may have changed; None while there cannot be one."""
    there = job.sha256 is not None if job.is_raw else job.pages is not None
    return f"{job.launch}-{job.updated_at if job.state not in ENDED else 'end'}" if there else None


def _commands(state: State) -> list[str]:
    if state is State.UNCONFIRMED:
        return ["resolve"]
    if state is State.HELD:
        return ["release", "cancel"]
    if state in _CANCELLABLE:
        return ["launch", "cancel"] if state is State.CREATED else ["cancel"]
    return ["launch"]
