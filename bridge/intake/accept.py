"""The only door for jobs. A job is acknowledged only when it is durable."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge, Unavailable
from bridge.intake.detect import HEAD, RAW, Recognize, declared_type, kind_of, kind_or_none
from bridge.intake.fetch import FetchRules, check_url, fetch
from bridge.intake.grants import CLOSED, Gate, ReceiptFacts, check_drawer
from bridge.model import (
    MAX_COPIES,
    Device,
    Document,
    Grants,
    Inline,
    Job,
    JobRequest,
    Options,
    State,
    Template,
    Upload,
    Url,
    new_id,
)  # fmt: skip
from bridge.store import Store
from bridge.store.jobs import INLINE_MAX, JobForgotten, KeyReused, NewJob, QuotaUsedUp
from bridge.store.spool import Incoming

TITLE_MAX = 255  # characters kept of a title
KEY_MAX = 255  # characters of an Idempotency-Key
ERRANDS = 2  # documents fetched at a time while their callers wait
ERRAND_S = 20.0  # seconds for each
EXPIRY_SLACK_S = 3600.0  # seconds by which another machine's clock may be behind ours
LABEL_FIRST_S = 0.002
"""Seconds an answer waits for the first byte of a label whose printer stands ready: the two threads would otherwise
take the interpreter from each other, and it is the label that somebody waits for."""


@dataclass(frozen=True, slots=True)
class _Body:
    """A document as it will be stored: its facts, and its bytes when they go into the database."""

    kind: str | None = None
    size: int | None = None
    sha256: str | None = None
    url: str | None = None
    inline: bytes | None = None
    upload: Upload | None = None


class Intake:
    """Turns a JobRequest into a durable Job, or says why not."""

    def __init__(
        self, store: Store, *, rules: Callable[[], FetchRules], document_max: int, recognize: Recognize,
        gate: Gate = CLOSED, room: Callable[[int], None] = lambda size: None,
        template: Callable[[str, dict[str, str]], ReceiptFacts | None] = lambda name, fields: None,
    ) -> None:  # fmt: skip
        """rules: asked for each URL, because our own ports are known only once they are open. document_max: bytes.

        gate: what a document may do, by who sends it. room: raises DiskLow when so many more bytes should not be taken
        in. template: raises Invalid for a template that does not exist or is not filled in right; gives the facts of a
        receipt made of one, None for a label.
        """
        self._store = store
        self._room = room
        self._template = template
        self._rules = rules
        self._max = document_max
        self._recognize = recognize
        self._gate = gate
        self._errands = threading.BoundedSemaphore(ERRANDS)

    def receive(self) -> Incoming:
        """A file in the spool for a document that arrives in pieces. Raises DiskLow."""
        return self._store.spool.receive(self._room)

    def recognized(self, head: bytes) -> str | None:
        """What a document is by its first bytes (up to HEAD) alone; None when they do not say."""
        return kind_or_none(head, self._recognize)

    def fetched(self, job: Job) -> Job:
        """A job for a printer of another machine, with its document: fetched now, if it was not yet. Once, and kept.

        Only for such jobs: the documents of our own printers' are fetched for their lanes. Raises FetchFailed, Conflict
        (there is nothing to fetch), Forbidden (the gate), DiskLow, Unavailable when others are being fetched.
        """
        if job.size is not None:
            return job
        if job.url is None:
            raise _gone(job)
        if not self._errands.acquire(blocking=False):
            raise Unavailable("other documents are being fetched", remedy="try again in a few seconds")
        try:
            rules = self._rules()
            with self.receive() as incoming:
                fetch(job.url, incoming, replace(rules, total_s=min(rules.total_s, ERRAND_S)))
                if not incoming.size:
                    raise Invalid("the document is empty (0 bytes)", remedy="check what that URL answers")
                upload = incoming.finish()
            return self._kept(job, upload)
        finally:
            self._errands.release()

    def _kept(self, job: Job, upload: Upload) -> Job:
        """The upload is the job's document from now on. Whoever prints it knows better than we whether it can."""
        kind = self.recognized(_head(upload)) or "raw"
        try:
            self._gate.check(kind, upload.path, Grants.from_text(job.grants), force=False)
            self._store.spool.keep(upload, job.id)
        except BaseException:
            upload.path.unlink(missing_ok=True)
            raise
        kept = self._store.jobs.fetched(
            job, kind=kind, size=upload.size, sha256=upload.sha256, body=None, allowed=tuple(State)
        )
        if kept is None:
            self._store.spool.forget(job.id)
            raise _gone(job)
        return kept

    def accept(self, request: JobRequest) -> tuple[Job, bool]:
        """Store the job and queue it if it is to be launched. Returns it, and False when it was known already.

        Raises NotFound, Invalid, TooLarge, Conflict (the Idempotency-Key was used for something else), Forbidden (the
        quota is used up), DiskLow. An upload that does not become a job's document is removed.
        """
        job_id, created = new_id(), False
        new = self._checked(request, job_id)
        lanes = self._store.lanes
        now = request.launch and not request.hold
        if new.body is not None and now and request.expires_at is None and lanes.reserve(request.device_id, new.kind):
            new = replace(new, claimed=True)
        try:
            if new.upload is not None:
                self._store.spool.keep(new.upload, job_id)
            job, created = self._add(new)
        finally:
            if not created and new.upload is not None:
                new.upload.path.unlink(missing_ok=True)
                self._store.spool.document(job_id).unlink(missing_ok=True)
            if not created and new.claimed:
                lanes.unreserve(request.device_id)
        if created and now:
            ticket = lanes.push(job, new.body if job.is_raw else None, attempt=1 if new.claimed else None)
            if ticket is not None and new.claimed:
                ticket.begun.wait(LABEL_FIRST_S)
        return job, created

    def _add(self, new: NewJob) -> tuple[Job, bool]:
        try:
            return self._store.jobs.add(new)
        except KeyReused as error:
            raise Conflict(
                "this Idempotency-Key was used before for a different job",
                remedy="send a new key with a new job, and the very same body when you repeat one",
                code="idempotency_key_reused",
            ) from error
        except JobForgotten as error:
            raise Conflict("the job of this Idempotency-Key has been deleted",
                           remedy="send a new key to print it once more", code="job_deleted") from error  # fmt: skip
        except QuotaUsedUp as error:
            account = self._store.organizations.get(new.request.organization_id)
            used = f"all {account.jobs_used:,}" if account is not None else "all"
            raise Forbidden(f"Print job quota exceeded: {used} print jobs of this account are used",
                            remedy="ask whoever looks after this bridge for more",
                            code="quota_exceeded") from error  # fmt: skip

    def reprint(
        self, job: Job, *, device: Device | None = None, label: int | None = None, copies: int | None = None,
        key_id: str | None = None, origin: str | None = None, idempotency_key: str | None = None, grants: Grants,
    ) -> tuple[Job, bool]:  # fmt: skip
        """The same document once more as a new job, flagged as a possible duplicate. label: only that page, from 1.

        grants: of who asks; it may do what they and those of the job both allow.
        Raises Conflict when the document is not kept any more, and whatever accept raises.
        """
        options = Options.from_json(job.options)
        if label is not None:
            options = replace(options, pages=str(self._page_of(job, options, label)))
        return self.accept(
            JobRequest(
                organization_id=job.organization_id, device_id=device.id if device else job.device_id, dialect="v1",
                document=self._again(job), declared=job.declared or _declared(job), title=job.title,
                copies=copies if copies is not None else 1 if label is not None else job.copies, options=options,
                priority=job.priority, idempotency_key=idempotency_key, key_id=key_id, origin=origin,
                reprint_of=job.id, grants=grants.stricter(Grants.from_text(job.grants)),
            )  # fmt: skip
        )

    def _page_of(self, job: Job, options: Options, label: int) -> int:
        """The page of the document that is label `label` of a job."""
        if job.is_raw:
            raise Invalid(f"job {job.id} is printer code; its labels cannot be told apart", field="label",
                          remedy="reprint all of it")  # fmt: skip
        if label < 1 or (job.pages is not None and label > job.pages):
            raise Invalid(f"job {job.id} has {job.pages or 'no'} labels, not {label}", field="label",
                          remedy="labels count from 1")  # fmt: skip
        return options.page_range()[0] + label

    def _again(self, job: Job) -> Document:
        """The document of a job, to be handed in once more."""
        if job.document_gone or (job.size is None and job.url is None):
            raise _gone(job)
        if job.size is None and job.url is not None:
            return Url(job.url)  # it was never fetched
        body = self._store.jobs.body(job.organization_id, job.id)
        if body is not None:
            return Template.from_json(body) if job.kind == "template" else Inline(body)
        try:
            with self._store.spool.document(job.id).open("rb") as file, self.receive() as incoming:
                shutil.copyfileobj(file, incoming)
                return incoming.finish()
        except FileNotFoundError as error:
            raise _gone(job) from error

    def may_repeat(self, job: Job, grants: Grants) -> None:
        """Raises Forbidden when whoever asks may not have the document of this job printed, by these grants.

        A document that is still to be fetched is held against the job's own grants then.
        """
        body = self._store.jobs.body(job.organization_id, job.id)
        path = self._store.spool.document(job.id)
        if job.kind == "template" and body is not None:
            self._check_template(Template.from_json(body), grants)
        elif job.kind is not None and (body is not None or path.exists()):
            force = Options.from_json(job.options).force
            self._gate.check(job.kind, body if body is not None else path, grants, force=force)

    def _check_template(self, template: Template, grants: Grants) -> None:
        facts = self._template(template.name, template.fields)
        if facts is not None and facts.opens_drawer:
            check_drawer(grants, f"the receipt {template.name}")

    def revise(self, job: Job, request: JobRequest) -> Job:
        """Replace device, document and options of a job that was not launched yet. Raises Conflict once it was."""
        new = self._checked(request, job.id)
        try:
            revised = self._store.jobs.revise(new, lambda upload: self._store.spool.keep(upload, job.id))
        finally:
            if new.upload is not None:
                new.upload.path.unlink(missing_ok=True)
        if revised is None:
            raise Conflict(f"job {job.id} has been launched; it can no longer be changed",
                           remedy="create a new job", code="already_launched")  # fmt: skip
        return revised

    def _checked(self, request: JobRequest, job_id: str) -> NewJob:
        try:
            return self._check(request, job_id)
        except BaseException:
            if isinstance(request.document, Upload):
                request.document.path.unlink(missing_ok=True)
            raise

    def _check(self, request: JobRequest, job_id: str) -> NewJob:
        device = self._device(request)
        if not 1 <= request.copies <= MAX_COPIES:
            raise Invalid(f"copies must be from 1 to {MAX_COPIES}, got {request.copies}", field="copies")
        if request.idempotency_key is not None and not 1 <= len(request.idempotency_key) <= KEY_MAX:
            raise Invalid(f"an Idempotency-Key has 1 to {KEY_MAX} characters", field="Idempotency-Key")
        declared = declared_type(request.declared)
        _check_options(request, self._store.lanes.now())
        self._room(0)
        body = self._body(request, declared)
        return NewJob(
            request=request if declared == request.declared else replace(request, declared=declared),
            title=clean_title(request.title),
            client_id=device.client_id, device_name=device.name, job_id=job_id, kind=body.kind, size=body.size,
            sha256=body.sha256, url=body.url, body=body.inline, fingerprint=_fingerprint(request, body),
            upload=body.upload,
        )  # fmt: skip

    def _device(self, request: JobRequest) -> Device:
        device = self._store.devices.get(request.organization_id, request.device_id)
        if device is None:
            raise NotFound(f"there is no device {request.device_id[:64]!r}", field="device_id",
                           remedy="list the devices to see which there are")  # fmt: skip
        return device

    def _body(self, request: JobRequest, declared: str | None) -> _Body:
        document = request.document
        if document is None:
            if request.launch:
                raise Invalid("the job has no document", field="document_url",
                              remedy="give document_url, or the document itself in document_base64")  # fmt: skip
            return _Body()
        if isinstance(document, Url):
            check_url(document.url, self._rules())
            return _Body(url=document.url)
        if isinstance(document, Template):
            self._check_template(document, request.grants)
            data = document.to_json()
            return _Body("template", len(data), hashlib.sha256(data).hexdigest(), inline=data)
        return self._held(document, declared, request)

    def _held(self, document: Inline | Upload, declared: str | None, request: JobRequest) -> _Body:
        size = document.size if isinstance(document, Upload) else len(document.data)
        if size == 0:
            raise Invalid("the document is empty (0 bytes)", field="document", remedy="send the whole document")
        if size > self._max:
            raise TooLarge(f"the document has {size:,} bytes, the limit is {self._max:,}",
                           remedy="raise document_mb under [limits], or send less")  # fmt: skip
        force = request.options.force
        kind = kind_of(_head(document), declared, self._recognize, force=force)
        self._gate.check(kind, _bytes_of(document), request.grants, force=force)
        if isinstance(document, Inline) and size <= INLINE_MAX:
            digest = hashlib.sha256(document.data).hexdigest()
            return _Body(kind=kind, size=size, sha256=digest, inline=document.data)
        if isinstance(document, Inline):
            with self.receive() as incoming:
                incoming.write(document.data)
                document = incoming.finish()
        return _Body(kind=kind, size=size, sha256=document.sha256, upload=document)


def _check_options(request: JobRequest, now: float) -> None:
    try:
        request.options.page_range()
    except ValueError as error:
        raise Invalid(str(error), field="options.pages", remedy='write one page as "2", a range as "2-5"') from error
    # Not against the wall clock of another machine to the second: a label that is just late is told so in its state.
    if request.expires_at is not None and request.expires_at < now - EXPIRY_SLACK_S:
        raise Invalid("expires_at lies in the past", field="expires_at",
                      remedy="send a later time (Unix seconds), and check the clocks of both machines")  # fmt: skip


def _declared(job: Job) -> str | None:
    """What to call a document that was recognized before."""
    return job.kind if job.kind in RAW else None


def _gone(job: Job) -> Conflict:
    return Conflict(f"the document of job {job.id} is not kept any more", code="document_gone",
                    remedy="send it again as a new job, or raise documents_h under [retention]")  # fmt: skip


def clean_title(title: str) -> str:
    """A title that can stand in a log line and on a page: no control or direction characters, not too long."""
    kept = "".join(c for c in title if c.isprintable())
    return kept.strip()[:TITLE_MAX] or "Untitled"


def _head(document: Inline | Upload) -> bytes:
    if isinstance(document, Inline):
        return document.data[:HEAD]
    with document.path.open("rb") as file:
        return file.read(HEAD)


def _bytes_of(document: Inline | Upload) -> bytes | Path:
    return document.data if isinstance(document, Inline) else document.path


def _fingerprint(request: JobRequest, body: _Body) -> str:
    """What makes two requests the same wish: everything that would change what is printed, and who asked."""
    parts: tuple[object, ...] = (
        request.device_id, body.sha256, body.url, request.copies, request.options.to_json(), request.job_type,
        request.priority, request.launch, request.declared, request.key_id if request.origin else None,
    )  # fmt: skip
    if request.hold or request.expires_at is not None or request.reprint_of is not None:
        parts += (request.hold, request.expires_at, request.reprint_of)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
