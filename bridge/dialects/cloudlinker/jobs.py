"""jobs/*: create, change, launch, look at and forget print jobs."""

from __future__ import annotations

import shutil
from time import time
from typing import Any

from flask import request
from pydantic import AliasChoices, Field

from bridge.dialects import Desk
from bridge.dialects.cloudlinker.devices import check_owner
from bridge.dialects.cloudlinker.fields import Fields, Flag, Id, JobType, Message, Status, Whole, Word
from bridge.dialects.cloudlinker.listing import Filters, list_jobs
from bridge.dialects.cloudlinker.paginator import Page, paginated
from bridge.dialects.cloudlinker.payload import Wish, read_payload, same_document
from bridge.dialects.cloudlinker.replies import (
    COMPLETED,
    CREATED,
    FAILED,
    LAUNCHED,
    PENDING,
    STATUS,
    job_json,
    status_of,
)
from bridge.dialects.cloudlinker.views import deleted, links
from bridge.errors import Conflict, Invalid, NotFound
from bridge.model import (
    PRINTER,
    WAITING,
    Device,
    Document,
    Grants,
    Inline,
    Job,
    JobRequest,
    Options,
    Principal,
    State,
    Template,
    Upload,
    Url,
)  # fmt: skip

SEEN_EVERY_S = 30
"""Seconds between two notes that a polling client is alive. Its clients call it offline after 300."""


class _List(Fields):
    client_id: Id | None = None
    device_id: Id | None = None
    job_type: Whole | None = None
    status: Status | None = None


class _Ref(Fields):
    job_id: Id = Field(validation_alias=AliasChoices("job_id", "id"))


class _Content(Fields):
    """What is to be printed. source and options: the Laravel client's README."""

    payload: Any = None
    source: Word | None = None
    options: Any = None

    @property
    def is_given(self) -> bool:
        return not (self.payload is None and self.source is None and self.options is None)

    def wish(self) -> Wish:
        """Raises Invalid."""
        if self.payload is None and self.source is None:
            raise Invalid("payload is required", field="payload", remedy="say in it what is to be printed")
        given = {} if self.payload is None else self.payload
        return read_payload(given, source=self.source, options=self.options)


class _Create(_Content):
    device_id: Id
    client_id: Id | None = None
    job_type: JobType = Field(PRINTER, validation_alias=AliasChoices("job_type", "type"))
    launch_immediately: Flag = False


class _Update(_Ref, _Content):
    device_id: Id | None = None
    launch_immediately: Flag = False
    status: Status | None = None
    error: Message | None = None
    result: Message | None = None


class Jobs:
    """Views. A web page sees and touches the jobs of its own key; all others do not exist for it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # -- looking --

    def list(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        asked, page, now = _List.read(given), Page.read(given), time()
        if asked.client_id is not None and not caller.own_jobs_only and caller.scopes & {"jobs", "admin"}:
            self._seen(caller, asked.client_id, now)
        filters = Filters(
            organization_id=caller.organization_id, client_id=asked.client_id, device_id=asked.device_id,
            job_type=asked.job_type, key_id=(caller.key_id or "") if caller.own_jobs_only else None,
        )  # fmt: skip
        agent = asked.client_id not in (None, self._desk.self_client_id)
        offered_at = self._desk.store.lanes.now() if agent and asked.status == LAUNCHED else None
        jobs, total = list_jobs(self._desk.store.jobs, filters, asked.status, page, now, offered_at)
        return paginated([job_json(j, now) for j in jobs], total, page, links())

    def get(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        return _reply(self._job(caller, _Ref.read(given).job_id))

    def _job(self, caller: Principal, job_id: str) -> Job:
        job = self._desk.control.job(caller.organization_id, job_id)
        if caller.own_jobs_only and job.key_id != caller.key_id:
            raise _no_job(job_id)
        return job

    # -- creating and launching --

    def create(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        asked = _Create.read(given)
        device = self._desk.control.device(caller.organization_id, asked.device_id)
        if asked.client_id is not None:
            check_owner(self._desk, caller, device, asked.client_id)
        wanted = self._request(
            asked.wish(), device, launch=asked.launch_immediately, grants=caller.grants,
            organization_id=caller.organization_id, key_id=caller.key_id, origin=caller.origin,
            idempotency_key=request.headers.get("Idempotency-Key"),
        )  # fmt: skip
        job, _ = self._desk.intake.accept(wanted)
        return _reply(job)

    def launch(self, caller: Principal, given: dict[str, Any]) -> Any:
        self._launched(caller, self._job(caller, _Ref.read(given).job_id))
        return []

    def _launched(self, caller: Principal, job: Job) -> Job:
        self._desk.intake.may_repeat(job, caller.grants)
        return self._desk.control.launch(job.organization_id, job.id)

    def delete(self, caller: Principal, given: dict[str, Any]) -> Any:
        job = self._job(caller, _Ref.read(given).job_id)
        self._desk.control.delete(caller.organization_id, job.id)
        return deleted(self._desk, given, "job_id")

    def _request(self, wish: Wish, device: Device, *, launch: bool, grants: Grants, **who: Any) -> JobRequest:
        own = device.client_id == self._desk.self_client_id
        return JobRequest(
            device_id=device.id, dialect="cloudlinker",
            document=wish.document, declared=wish.declared, title=wish.title, copies=wish.copies,
            options=wish.options, priority=wish.priority, launch=launch, payload=wish.kept(own=own),
            grants=grants, **who,
        )  # fmt: skip

    # -- changing --

    def update(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        """Payload and device first, then the launch, then the status."""
        asked = _Update.read(given)
        job = self._edited(caller, asked)
        if asked.launch_immediately and job.state is State.CREATED:
            # Only then: an update that is sent once more after a lost reply must not print a second time.
            job = self._launched(caller, job)
        if asked.status is not None:
            job = self._told(caller, job, asked, asked.status)
        return _reply(job)

    def _edited(self, caller: Principal, asked: _Update) -> Job:
        job = self._job(caller, asked.job_id)
        wish = asked.wish() if asked.is_given else None
        moves = asked.device_id not in (None, job.device_id)
        own = job.client_id == self._desk.self_client_id
        if not moves and (wish is None or (wish.kept(own=own) == job.payload and same_document(wish, job))):
            return job
        if job.state is not State.CREATED:
            raise _too_late()
        device = self._desk.control.device(job.organization_id, asked.device_id or job.device_id)
        if device.client_id != job.client_id:
            raise Invalid(f"{device.name!r} is a device of another client", field="device_id",
                          remedy="create a new job for it")  # fmt: skip
        if wish is None:
            wanted = self._as_it_is(job, device, caller.grants)
        else:
            wanted = self._request(
                wish, device, launch=False, grants=caller.grants, organization_id=job.organization_id
            )
        try:
            return self._desk.intake.revise(job, wanted)
        except Conflict as error:  # launched a moment ago
            raise _too_late() from error

    def _as_it_is(self, job: Job, device: Device, grants: Grants) -> JobRequest:
        """The job as a request again, for another device."""
        return JobRequest(
            organization_id=job.organization_id, device_id=device.id, dialect=job.dialect,
            document=self._document(job), declared=job.declared, title=job.title, copies=job.copies,
            options=Options.from_json(job.options), priority=job.priority, launch=False, payload=job.payload,
            grants=grants.stricter(Grants.from_text(job.grants)),
        )  # fmt: skip

    def _document(self, job: Job) -> Document | None:
        if job.url is not None:
            return Url(job.url)
        if job.size is None:
            return None
        body = self._desk.store.jobs.body(job.organization_id, job.id)
        if body is None:
            return self._copied(job)
        return Template.from_json(body) if job.kind == "template" else Inline(body)

    def _copied(self, job: Job) -> Upload:
        """The job's file once more: intake takes an upload for its own and removes it if it comes to nothing."""
        try:
            with self._desk.store.spool.document(job.id).open("rb") as file, self._desk.intake.receive() as incoming:
                shutil.copyfileobj(file, incoming)
                return incoming.finish()
        except FileNotFoundError as error:
            raise _no_job(job.id) from error  # deleted a moment ago

    # -- what agents say --

    def _told(self, caller: Principal, job: Job, asked: _Update, status: int) -> Job:
        """Somebody sets a job's status: anybody may launch, the agent of another client also reports."""
        if status == LAUNCHED:
            return self._launched(caller, job)
        if job.client_id != self._desk.self_client_id:
            return self._reported(job, status, asked.error or asked.result or "")
        if status == status_of(job, time()):
            return job
        raise Invalid("this bridge prints the job itself and knows best how it stands", field="status",
                      remedy="only 2 (launch) can be set; jobs/delete cancels")  # fmt: skip

    def _reported(self, job: Job, status: int, text: str) -> Job:
        """News from the agent that prints the job. Old news changes nothing: agents repeat themselves."""
        if status == CREATED and job.state is State.CREATED:
            return job
        if CREATED in (status, STATUS[job.state]):
            raise Invalid("a job can be reported on only after its launch, and never goes back to 1", field="status")
        self._desk.control.seen(job.organization_id, job.client_id)
        if (status == PENDING and job.state not in WAITING) or STATUS[job.state] == status:
            return job
        # The agent holds the document now and may be printing; only it knows, so this is not "preparing".
        to = {PENDING: State.SENDING, COMPLETED: State.DELIVERED, FAILED: State.FAILED}[status]
        text = text or ("" if to is State.SENDING else "reported by its client")
        return self._desk.control.report(job.organization_id, job.id, to, text)

    def _seen(self, caller: Principal, client_id: str, now: float) -> None:
        """Who lists the jobs of one client is its agent, as a rule."""
        client = self._desk.store.clients.get(caller.organization_id, client_id)
        if client is None or client.is_self or (client.last_seen or 0) > now - SEEN_EVERY_S:
            return
        self._desk.control.seen(caller.organization_id, client_id)


def _reply(job: Job) -> dict[str, Any]:
    return {"data": job_json(job, time())}


def _no_job(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id[:64]!r}", field="job_id")


def _too_late() -> Invalid:
    return Invalid("the job has been launched; its payload and device can no longer be changed", field="payload",
                   remedy="create a new job")  # fmt: skip
