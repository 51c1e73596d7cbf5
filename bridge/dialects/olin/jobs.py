"""The routes about print jobs: look, fetch the file, report, cancel, forget."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize
from urllib.parse import urlencode

from flask import Response, request, send_file

from bridge import printers as shared
from bridge.dialects.olin import printers, words
from bridge.dialects.olin.route import House, answered, number_of
from bridge.dialects.olin.submission import download_url, printer_number, told, user_number
from bridge.dialects.olin.testpage import test_page
from bridge.dialects.olin.wishes import JobsQuery, NewStatus, Nothing, PendingQuery
from bridge.dialects.olin.words import CANCELLED, COMPLETED, FAILED, PROCESSING, STATUS
from bridge.errors import Conflict, Invalid, NotFound
from bridge.intake.fetch import FetchFailed
from bridge.intake.idempotency import idempotency_key
from bridge.model import WAITING, Device, Grants, Inline, Job, JobRequest, Principal, State
from bridge.store.jobs import KeyReused
from bridge.store.made import Making

PER_PAGE_MAX, PAGE_MAX = 100, 10_000_000
SEEN_EVERY_S = 30.0  # between two notes that a polling computer is alive

PENDING_BYTES = 12 * 1024 * 1024
"""Of documents inside one answer to a poll. The jobs that do not fit any more come with the next one."""

_TYPES = {"pdf": "application/pdf", "png": "image/png", "jpeg": "image/jpeg", "text": "text/plain; charset=utf-8"}
_ENDINGS = {
    ".doc": "application/msword", ".rtf": "application/rtf", ".odt": "application/vnd.oasis.opendocument.text",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".gif": "image/gif",
    ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff", ".webp": "image/webp", ".txt": "text/plain",
    ".xps": "application/vnd.ms-xpsdocument",
}  # fmt: skip
"""For files that nobody here has looked into. Never text/html: it would be shown as a page of this bridge."""

_ENDED = frozenset({COMPLETED, FAILED, CANCELLED})


# ---- looking ----------------------------------------------------------------------------------------------------


def listing(house: House, who: Principal, wish: JobsQuery) -> Response:
    """The account's print jobs, the newest first, page by page."""
    size, page = min(max(wish.per_page, 1), PER_PAGE_MAX), min(max(wish.page, 1), PAGE_MAX)
    found, total = house.desk.store.jobs.page(
        who.organization_id, states=None if wish.status is None else words.states_of(wish.status),
        key_id=(who.key_id or "") if who.own_jobs_only else None, newest_first=True, limit=size,
        offset=(page - 1) * size,
    )  # fmt: skip
    rows = [told(house, who, job) for job in found]
    return answered("Print jobs retrieved successfully", rows, **_pages(page, size, total, len(rows)))


def _pages(page: int, size: int, total: int, rows: int) -> dict[str, Any]:
    """links and meta of Laravel's paginator."""
    last, path = max(1, -(-total // size)), request.base_url.rstrip("/")
    kept = {name: request.args[name] for name in ("per_page", "status") if request.args.get(name)}
    before = (page - 1) * size

    def link(number: int) -> str | None:
        return f"{path}?{urlencode({**kept, 'page': number})}" if 1 <= number <= last else None

    links = {"first": link(1), "last": link(last), "prev": link(page - 1), "next": link(page + 1)}
    meta = {
        "current_page": page, "from": before + 1 if rows else None, "last_page": last, "path": path, "per_page": size,
        "to": before + rows if rows else None, "total": total,
    }  # fmt: skip
    return {"links": links, "meta": meta}


def get(house: House, who: Principal, wish: Nothing, job_id: str) -> Response:
    """One print job."""
    return answered("Print job retrieved successfully", told(house, who, _own(house, who, job_id)))


def pending(house: House, who: Principal, wish: PendingQuery) -> Response:
    """What waits for the printers of the account's computers, for those computers to print.

    Of each printer the next few, in their order; nothing of one that is paused. Jobs of the printers of this bridge
    itself are never among them: it prints those.
    """
    if wish.computer_name is not None:
        _seen(house, who, wish.computer_name)
    store, room = house.desk.store, PENDING_BYTES
    rows: list[dict[str, Any]] = []
    for job in store.handed.offered_by_printer(who.organization_id, now=store.lanes.now(), hostname=wish.computer_name):
        if not _may_see(who, job):
            continue
        data = _inside(house, job)
        if rows and data is not None and len(data) > room:
            break
        room -= len(data or "")
        rows.append(words.pending_json(
            job, user_number(house, job), printer_number(house, who, job), download_url(job), data
        ))  # fmt: skip
    return answered("Jobs retrieved successfully", rows)


def _inside(house: House, job: Job) -> str | None:
    """The document of a job that came in base64, in base64 again."""
    if words.source_of(job) != words.BASE64 or job.document_gone:
        return None
    body = house.desk.store.jobs.body(job.organization_id, job.id)
    path = house.desk.store.spool.document(job.id)
    try:
        return base64.b64encode(body if body is not None else path.read_bytes()).decode()
    except FileNotFoundError:  # deleted a moment ago
        return None


def _seen(house: House, who: Principal, name: str) -> None:
    alike, _ = house.desk.store.clients.page(who.organization_id, hostname=name, limit=-1)
    for client in alike:
        if client.hostname == name and not client.is_self and (client.last_seen or 0) < time.time() - SEEN_EVERY_S:
            house.desk.control.seen(who.organization_id, client.id)


def download(house: House, who: Principal, wish: Nothing, job_id: str) -> Response:
    """The file of a print job. One that was given as a URL is fetched first, if that was not done yet."""
    job = _served(house, who, job_id)
    if job.kind in ("template", "receipt"):
        raise NotFound("This print job has no file: this bridge made it itself.", field="file")
    if job.size is None and job.url is not None:
        if _is_ours(house, job):
            raise Invalid("The file of this print job is not fetched yet.", code="not_fetched",
                          remedy="try again in a few seconds")  # fmt: skip
        try:
            job = house.desk.intake.fetched(job)
        except FetchFailed as error:
            raise NotFound(error.text, remedy=error.remedy, field="file_url", code=error.code) from error
    if job.document_gone or job.size is None:
        raise _no_file()
    kind = _TYPES.get(job.kind or "") or _ENDINGS.get(Path(job.title).suffix.lower()) or "application/octet-stream"
    body = house.desk.store.jobs.body(job.organization_id, job.id)
    # Absolute: Flask looks for a relative path in its own folder, and --data may be relative.
    file = io.BytesIO(body) if body is not None else house.desk.store.spool.document(job.id).absolute()
    name = _file_name(job.title)
    try:
        return send_file(file, kind, as_attachment=True, download_name=name, conditional=False, etag=False)
    except FileNotFoundError as error:
        raise _no_file() from error


def _file_name(title: str) -> str:
    """A name that names no folder, also once Werkzeug has folded it to ASCII (NFKD), where U+FF0F becomes a slash."""
    return "".join("_" if {"/", "\\"} & {*normalize("NFKD", each)} else each for each in title)


def _no_file() -> NotFound:
    return NotFound("The file of this print job is not kept any more.", remedy="send it again", code="document_gone")


# ---- changing ---------------------------------------------------------------------------------------------------


def status(house: House, who: Principal, wish: NewStatus, job_id: str) -> Response:
    """Report how a job stands that one of the account's computers prints.

    What this bridge prints itself, it knows best: such a job can only be cancelled.
    """
    job, to = _served(house, who, job_id), words.ALIASES.get(wish.status, wish.status)
    with _unprocessable("status"):
        if STATUS[job.state] != to:
            job = _cancelled(house, job) if to == CANCELLED else _reported(house, who, job, to, wish.error_message)
    return answered("Print job status updated successfully", told(house, who, job))


def _reported(house: House, who: Principal, job: Job, to: str, text: str | None) -> Job:
    if _is_ours(house, job):
        raise Conflict("this bridge prints the job itself and knows best how it stands", code="own_job")
    if house.desk.store.clients.get(who.organization_id, job.client_id) is None:
        raise Conflict("another account's computer prints this job and reports how it stands", code="not_your_printer")
    if job.state is State.CANCELLED:
        raise Conflict("the job was cancelled", code="cancelled")
    if to == PROCESSING and job.state not in WAITING:
        return job  # old news
    state = {PROCESSING: State.SENDING, COMPLETED: State.DELIVERED, FAILED: State.FAILED}[to]
    said = text or ("" if state is State.SENDING else "reported by its computer")
    return house.desk.control.report(job.organization_id, job.id, state, said)


def cancel(house: House, who: Principal, wish: Nothing, job_id: str) -> Response:
    """Stop a pending or processing print job, as far as that is still possible."""
    with _unprocessable("status"):
        job = _cancelled(house, _own(house, who, job_id))
    return answered(_DONE if job.state is State.CANCELLED else _ASKED, told(house, who, job))


_DONE = "Print job cancelled successfully"
_ASKED = "The print job is asked to stop; its status will say how it ended"


def _cancelled(house: House, job: Job) -> Job:
    now, control = STATUS[job.state], house.desk.control
    if now in _ENDED and now != CANCELLED:
        raise Conflict(f"the job is {now}; only pending and processing jobs can be cancelled", code="already_ended")
    try:
        return control.cancel(job.organization_id, job.id)
    except Conflict as error:
        if error.code != "handed_over":
            raise
    said = "cancelled; its computer may have printed it already"
    return control.report(job.organization_id, job.id, State.CANCELLED, said)


def delete(house: House, who: Principal, wish: Nothing, job_id: str) -> Response:
    """Forget a print job and its file. One that waits is cancelled."""
    job = _own(house, who, job_id)
    with _unprocessable("status"):
        house.desk.control.delete(job.organization_id, job.id)
    return answered("Print job deleted successfully")


def test_print(house: House, who: Principal, wish: Nothing, printer: str) -> Response:
    """Print a test page. It counts as a print job."""
    device = printers.find(house, who, printer)
    wanted = replace(
        _test_request(house, device, _test_time(house, who, device)), organization_id=who.organization_id,
        dialect="olin", idempotency_key=idempotency_key(), key_id=who.key_id, origin=who.origin, user_id=who.user_id,
        counted=True,
    )  # fmt: skip
    job, created = house.desk.intake.accept(wanted)
    data = {"print_job": told(house, who, job), "message": "Test page queued for printing"}
    return answered("Test page submitted successfully", data, 201 if created else 200)


def _test_time(house: House, who: Principal, device: Device) -> time.struct_time:
    """What the page says: with an Idempotency-Key that of the first request, or the page would be another one."""
    key, now = idempotency_key(), time.time()
    if key is None:
        return time.localtime(now)
    try:
        first = house.desk.store.made.remember(who.organization_id, Making(key, device.id, "olin test page"), repr(now))
    except KeyReused as error:
        raise Conflict("this Idempotency-Key was used before for something else", code="idempotency_key_reused",
                       remedy="send a new key") from error  # fmt: skip
    return time.localtime(float(first))


def _test_request(house: House, device: Device, when: time.struct_time) -> JobRequest:
    """The test label of this bridge for its own printers, and a sheet for those of other computers."""
    client = printers.client_of(house, device)
    computer = client.hostname if client is not None else ""
    label = shared.test_label(device, computer, when)
    if device.client_id == house.desk.self_client_id:
        return label
    page = test_page(["Test page", device.name, computer, time.strftime("%Y-%m-%d %H:%M:%S", when)])
    return replace(label, document=Inline(page), title="Test page.pdf", grants=Grants("documents"))


# ---- inside -----------------------------------------------------------------------------------------------------


def _may_see(who: Principal, job: Job) -> bool:
    return not who.own_jobs_only or job.key_id == who.key_id


def _own(house: House, who: Principal, job_id: str) -> Job:
    """The account's own job with this number, or id."""
    job = _served(house, who, job_id)
    if job.organization_id != who.organization_id:
        raise _no_job(job_id)
    return job


def _served(house: House, who: Principal, job_id: str) -> Job:
    """The same, or another account's job that one of this account's computers is to print."""
    store, number = house.desk.store, number_of(job_id)
    if number is None:
        job = store.jobs.get(who.organization_id, job_id)
    else:
        job = store.jobs.by_serial(who.organization_id, number)
    if job is None or not _may_see(who, job):
        raise _no_job(job_id)
    return job


def _no_job(job_id: str) -> NotFound:
    return NotFound(f"Print job not found: {job_id[:64]!r}", field="id")


def _is_ours(house: House, job: Job) -> bool:
    """Whether this machine prints it."""
    return job.client_id == house.desk.self_client_id


@contextmanager
def _unprocessable(field: str) -> Iterator[None]:
    """Olin has no 409: what is not possible at this moment is 422."""
    try:
        yield
    except Conflict as error:
        raise Invalid(error.text, remedy=error.remedy, field=field, code=error.code) from error
