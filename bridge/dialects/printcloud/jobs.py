"""The routes about print jobs. A web page sees its own jobs alone; another's looks like none at all."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from flask import Response, jsonify

from bridge.dialects.printcloud import printers
from bridge.dialects.printcloud.handover import content_type
from bridge.dialects.printcloud.route import House, each, made
from bridge.dialects.printcloud.wishes import JobsQuery, NewPrintJob, Nothing, PrintOptions
from bridge.dialects.printcloud.words import JOB, own_id, shown_id, state_of, told_state
from bridge.errors import Invalid, NotFound
from bridge.intake.idempotency import idempotency_key
from bridge.model import MAX_COPIES, Document, Inline, Job, JobRequest, Options, Principal, State, Url
from bridge.report.shapes import moment

LIMIT_MAX = 500
_PAGES = re.compile(r"[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)*", re.ASCII)
_URL_SAFE = str.maketrans("-_", "+/")


# ---- creating ---------------------------------------------------------------------------------------------------


def create(house: House, who: Principal, wish: NewPrintJob) -> Response:
    """Print a document: the answer is the id of the job, durable from then on.

    The bytes decide what the document is: PDF, PNG and JPEG are drawn, printer code (raw) goes out as it is. 200: the
    Idempotency-Key says that it is here already.
    """
    desk, options = house.desk, wish.options
    device = printers.find(desk, who, wish.printerId)
    copies = wish.qty * options.copies
    if copies > MAX_COPIES:
        raise Invalid(f"qty {wish.qty} times options.copies {options.copies} is {copies:,}; {MAX_COPIES} are possible",
                      field="qty", remedy="send several jobs")  # fmt: skip
    own = device.client_id == desk.self_client_id
    pages = _pages(options.pages)
    job, created = desk.intake.accept(
        JobRequest(
            organization_id=who.organization_id, device_id=device.id, dialect="printcloud",
            document=_document(wish), declared="pdf" if wish.contentType.startswith("pdf") else "raw",
            title=wish.title, copies=copies, options=_options(options, _one_range(pages, own=own)),
            payload=None if own else _payload(options, pages), idempotency_key=idempotency_key(),
            key_id=who.key_id, origin=who.origin, user_id=who.user_id, grants=who.grants,
        )
    )  # fmt: skip
    return made(shown_id(JOB, job.id), 201 if created else 200)


def _document(wish: NewPrintJob) -> Document:
    if wish.contentType.endswith("_uri"):
        return Url(wish.content.strip())
    text = "".join(wish.content.split())
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise _not_base64("it is a data: URI without ;base64")
    try:
        return Inline(base64.b64decode(text.translate(_URL_SAFE).encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError) as error:
        why = "its length is no multiple of 4; was it cut off?" if len(text) % 4 else "it holds other characters"
        raise _not_base64(why) from error


def _not_base64(why: str) -> Invalid:
    return Invalid(f"content is not base64: {why}", field="content",
                   remedy="encode it in base64, or send its address with contentType pdf_uri or raw_uri")  # fmt: skip


def _options(wanted: PrintOptions, pages: str | None) -> Options:
    return Options(fit="none" if wanted.fit_to_page is False else "shrink", pages=pages)


def _pages(text: str | None) -> list[tuple[int, int]]:
    """ "1-3,5" -> [(1, 3), (5, 5)]. Raises Invalid."""
    plain = "".join((text or "").split())
    if not plain:
        return []
    found = [part.partition("-") for part in plain.split(",")] if _PAGES.fullmatch(plain) else []
    ranges = [(int(first), int(last or first)) for first, _, last in found]
    if not ranges or any(not 1 <= first <= last for first, last in ranges):
        raise Invalid(f"pages {plain[:40]!r} cannot be understood", field="options.pages",
                      remedy='write "2", "1-5" or "1,3,5"; pages count from 1')  # fmt: skip
    return ranges


def _one_range(pages: list[tuple[int, int]], *, own: bool) -> str | None:
    """What a printer of this computer is to print. Another computer is told the whole list. Raises Invalid."""
    if not pages or not own:
        return None
    if any(after != before + 1 for (_, before), (after, _) in zip(pages, pages[1:], strict=False)):
        raise Invalid("the printers of this computer print one range of pages in a job, and these are several",
                      field="options.pages", remedy="send a job for each range")  # fmt: skip
    return f"{pages[0][0]}-{pages[-1][1]}"


def _payload(options: PrintOptions, pages: list[tuple[int, int]]) -> str | None:
    """What the computer of the printer has to know beside the copies: JSON."""
    told = options.model_dump(exclude={"copies", "pages"}, exclude_none=True)
    if pages:
        told["pages"] = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in pages)
    return json.dumps({"options": told}) if told else None


# ---- looking ----------------------------------------------------------------------------------------------------


def listing(house: House, who: Principal, wish: JobsQuery) -> Response:
    """What was printed and is to be printed."""
    after = None if wish.after is None else _mine(house, who, wish.after).serial
    found, _ = house.desk.store.jobs.page(
        who.organization_id, key_id=(who.key_id or "") if who.own_jobs_only else None,
        newest_first=wish.dir == "desc", limit=min(max(wish.limit, 1), LIMIT_MAX), after=after,
    )  # fmt: skip
    return jsonify([_line(job) for job in found])


def get(house: House, who: Principal, wish: Nothing, job_id: str) -> Response:
    """One job, with what went wrong."""
    job = _mine(house, who, job_id)
    return jsonify({
        **_line(job), "printer": {"id": job.device_id, "name": job.device_name, "computerId": job.client_id},
        "copies": job.copies, "message": "; ".join(filter(None, (job.text, job.note))),
        "updatedAt": moment(job.updated_at),
    })  # fmt: skip


def states(house: House, who: Principal, wish: Nothing, job_id: str) -> Response:
    """Every state the job was in, oldest first."""
    job = _mine(house, who, job_id)
    found: list[dict[str, Any]] = []
    for event in house.desk.store.events.of_job(job.organization_id, job.id):
        if event.state is None:
            continue
        word = told_state(State(event.state), event.text, job)
        if not found or found[-1]["state"] != word:
            found.append({"state": word, "message": event.text, "timestamp": moment(event.at)})
        elif event.text:
            found[-1]["message"] = event.text
    return jsonify(found)


def remove(house: House, who: Principal, wish: Nothing, job_id: str) -> Response:
    """Delete jobs, separated by commas. One that waits is cancelled; one that is being printed stays.

    So does one that another computer has, unless that is gone: where it can be called back, its computer is asked to.
    Answers with the ids of those that are gone; with a refusal when none is.
    """

    def delete(one: str) -> None:
        job, control = _mine(house, who, one), house.desk.control
        if control.is_elsewhere(job) and not house.desk.store.handed.has(job) and _is_there(house, job):
            control.cancel(job.organization_id, job.id)  # which says that it cannot be called back
        control.delete(job.organization_id, job.id)

    return each(job_id, delete)


def _is_there(house: House, job: Job) -> bool:
    """Whether the computer that prints it is there."""
    device = house.desk.store.devices.get(job.organization_id, job.device_id)
    return device is not None and house.desk.presence().has(device)


def _mine(house: House, who: Principal, job_id: str) -> Job:
    """The job, if the caller may know of it."""
    job = house.desk.store.jobs.get(who.organization_id, own_id(JOB, job_id))
    if job is None or (who.own_jobs_only and job.key_id != who.key_id):
        raise NotFound(f"there is no print job {job_id[:64]!r}", field="job_id",
                       remedy="GET /printcloud/api/printjobs lists them by id")  # fmt: skip
    return job


def _line(job: Job) -> dict[str, Any]:
    return {
        "id": shown_id(JOB, job.id), "title": job.title, "state": state_of(job), "contentType": content_type(job),
        "printer": {"name": job.device_name}, "createdAt": moment(job.created_at),
    }  # fmt: skip
