"""A job as the computer that prints it gets it, and what that computer says of it. For those that have no WebSocket.

PrintCloud hands jobs out by WebSocket alone; a proxy that lets none through would leave a printer without any.
"""

from __future__ import annotations

import base64
import json
import re
import time
from typing import Any

from flask import Response, jsonify

from bridge.dialects.printcloud import presence
from bridge.dialects.printcloud.agents import wire_id
from bridge.dialects.printcloud.route import House
from bridge.dialects.printcloud.wishes import PendingQuery, Report
from bridge.dialects.printcloud.words import (
    JOB,
    PENDING,
    PRINTING,
    REPORTED,
    SENT,
    own_id,
    state_of,
)  # fmt: skip
from bridge.errors import Conflict, NotFound
from bridge.intake.detect import RAW
from bridge.model import ENDED, Client, Job, Principal, State
from bridge.report.shapes import moment
from bridge.store import Store

LIMIT_MAX = 100
ANSWER_MAX = 16 * 1024 * 1024
"""Bytes of documents in one answer; the first is always there. What is left over comes with the next question."""

SEEN_EVERY_S = 30.0
"""Seconds between two notes in the database that a computer is there."""

_LAUNCH = re.compile(r"-([1-9][0-9]{0,5})$", re.ASCII)
"""What follows the id of a job that was launched again. The last part of a UUID is longer."""

_STATES = {PENDING: State.QUEUED, SENT: State.PREPARING, PRINTING: State.SENDING}


def content_type(job: Job) -> str:
    """pdf_uri, pdf_base64, raw_uri or raw_base64: what its maker called it, else what it is."""
    return _type(job.declared or job.kind, job)


def _type(told: str | None, job: Job) -> str:
    """Whatever is neither printer code nor text is a pdf: a picture sent as raw would come out as characters."""
    return f"{'raw' if told in RAW or told == 'text' else 'pdf'}_{'uri' if job.url is not None else 'base64'}"


def handed(store: Store, job: Job) -> dict[str, Any] | None:
    """The job with its document; None for one that only this machine could print (a template of ours), or no more."""
    content = job.url if job.url is not None else _document(store, job)
    if content is None:
        return None
    return {
        "id": _wire_id(store, job), "printerName": job.device_name,
        "contentType": _type(job.kind or job.declared, job), "content": content, "title": job.title,
        "options": {"copies": job.copies, **_options(job)},
    }  # fmt: skip


def _document(store: Store, job: Job) -> str | None:
    if job.size is None or job.document_gone or job.kind in ("template", "receipt"):
        return None
    body = store.jobs.body(job.organization_id, job.id)
    if body is None:
        try:
            body = store.spool.document(job.id).read_bytes()
        except FileNotFoundError:  # deleted a moment ago
            return None
    return base64.b64encode(body).decode()


def _options(job: Job) -> dict[str, Any]:
    """What was asked for beside the copies, when this API was asked."""
    if job.dialect != "printcloud" or not job.payload:
        return {}
    options: dict[str, Any] = json.loads(job.payload)["options"]
    return options


# ---- the routes -------------------------------------------------------------------------------------------------


def pending(house: House, who: Principal, wish: PendingQuery) -> Response:
    """The jobs that wait for the printers of a computer, with their documents, in the order they are to be printed."""
    computer = _computer(house, who, wish.client_id)
    _seen(house, computer)
    store = house.desk.store
    found = store.handed.offered(
        computer.id, _STATES[wish.state], key_id=(who.key_id or "") if who.own_jobs_only else None,
        now=store.lanes.now(), limit=min(max(wish.limit, 1), LIMIT_MAX),
    )  # fmt: skip
    answer: list[dict[str, Any]] = []
    room = ANSWER_MAX
    for job in found:
        room -= job.size or 0
        if answer and room < 0:
            break
        if (shown := handed(store, job)) is not None:
            more = {"printerId": job.device_id, "state": state_of(job), "createdAt": moment(job.created_at)}
            answer.append({**shown, **more})
    return jsonify(answer)


def report(house: House, who: Principal, wish: Report, job_id: str) -> Response:
    """How a job stands at the computer that prints it. Old news changes nothing: computers repeat themselves."""
    job = _handed_out(house, who, job_id)
    if job.state in (State.CREATED, State.HELD):
        raise Conflict("the job waits for a person and was handed to nobody", code="not_handed_out",
                       remedy="launch or release it first")  # fmt: skip
    is_known = job.state is REPORTED[wish.state] and state_of(job) == wish.state
    if _launch(house.desk.store, job, job_id) == job.launch and not is_known and not _is_old(job, wish.state):
        job = _told(house, job, REPORTED[wish.state], wish.message)
    _seen(house, _computer(house, who, job.client_id))
    return jsonify({"id": _wire_id(house.desk.store, job), "state": state_of(job)})


def _told(house: House, job: Job, to: State, message: str) -> Job:
    said = message or ("reported by its computer" if to in ENDED else "")
    if job.attempts and to is not State.PREPARING:  # it was handed over by WebSocket before
        return house.desk.control.hear(job.client_id, job.id, job.launch, to, said)
    return house.desk.control.report(job.organization_id, job.id, to, said)


def _handed_out(house: House, who: Principal, job_id: str) -> Job:
    """The job, of whatever account, that a computer of the caller's prints. Raises NotFound, Conflict (own_job)."""
    store, wanted = house.desk.store, own_id(JOB, _LAUNCH.sub("", job_id.strip()))
    home = store.jobs.home_of(wanted)
    job = store.jobs.get(home, wanted) if home is not None else None
    if (
        job is not None
        and _launch(store, job, job_id) <= max(1, job.launch)
        and store.clients.get(who.organization_id, job.client_id) is not None
        and not (who.own_jobs_only and job.key_id != who.key_id)
    ):
        _computer(house, who, job.client_id)
        return job
    raise NotFound(f"there is no print job {job_id[:64]!r}", field="job_id",
                   remedy="name a job that was handed out: GET /printcloud/api/client/jobs")  # fmt: skip


def _wire_id(store: Store, job: Job) -> str:
    """The id a job is handed out by: a computer passes over one it knows, so a later launch has one of its own."""
    first = store.handed.first_launch(job)
    return wire_id(job, again=job.launch > 1 if first is None else job.launch != first)


def _launch(store: Store, job: Job, wire: str) -> int:
    """The number of the launch in the id a job was handed out by."""
    found = _LAUNCH.search(wire.strip())
    return int(found[1]) if found else store.handed.first_launch(job) or 1


def _is_old(job: Job, word: str) -> bool:
    """Whether this was true before what is known already. What was printed stays printed."""
    order = (State.QUEUED, State.PREPARING, State.SENDING)
    if word not in (SENT, PRINTING):
        return job.state in (State.DELIVERED, State.PRINTED)
    return job.state not in order or order.index(REPORTED[word]) < order.index(job.state)


def _computer(house: House, who: Principal, wanted: str) -> Client:
    computer = presence.own(house, who, wanted)
    if computer.is_self:
        raise Conflict(f"{computer.hostname} is the computer this bridge runs on; it prints its jobs itself",
                       code="own_job", remedy="name another computer")  # fmt: skip
    return computer


def _seen(house: House, client: Client) -> None:
    """A computer that asks is there."""
    if client.is_self:
        return
    house.desk.control.signs[client.id] = time.monotonic()
    if (client.last_seen or 0.0) < time.time() - SEEN_EVERY_S:
        house.desk.control.seen(client.organization_id, client.id)
