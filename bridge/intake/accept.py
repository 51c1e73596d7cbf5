"""The only door for jobs. A job is acknowledged only when it is durable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge.errors import Conflict, Invalid, NotFound, TooLarge
from bridge.intake.detect import HEAD, Recognize, declared_type, kind_of
from bridge.intake.fetch import FetchRules, check_url
from bridge.model import MAX_COPIES, Device, Inline, Job, JobRequest, Template, Upload, Url, new_id
from bridge.store import Store
from bridge.store.jobs import INLINE_MAX, JobForgotten, KeyReused, NewJob
from bridge.store.spool import Incoming

TITLE_MAX = 255  # characters kept of a title
KEY_MAX = 255  # characters of an Idempotency-Key
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
        self, store: Store, *, rules: Callable[[], FetchRules], document_max: int, recognize: Recognize
    ) -> None:
        """rules: asked for each URL, because our own ports are known only once they are open. document_max: bytes."""
        self._store = store
        self._rules = rules
        self._max = document_max
        self._recognize = recognize

    def receive(self) -> Incoming:
        """A file in the spool for a document that arrives in pieces."""
        return self._store.spool.receive()

    def accept(self, request: JobRequest) -> tuple[Job, bool]:
        """Store the job and queue it if it is to be launched. Returns it, and False when it was known already.

        Raises NotFound, Invalid, TooLarge, Conflict (the Idempotency-Key was used for something else). An upload
        that does not become a job's document is removed.
        """
        job_id, created = new_id(), False
        new = self._checked(request, job_id)
        lanes = self._store.lanes
        if new.body is not None and request.launch and lanes.reserve(request.device_id, new.kind):
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
        if created and request.launch:
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
        kind = kind_of(_head(document), declared, self._recognize, force=request.options.force)
        if isinstance(document, Inline) and size <= INLINE_MAX:
            digest = hashlib.sha256(document.data).hexdigest()
            return _Body(kind=kind, size=size, sha256=digest, inline=document.data)
        if isinstance(document, Inline):
            with self.receive() as incoming:
                incoming.write(document.data)
                document = incoming.finish()
        return _Body(kind=kind, size=size, sha256=document.sha256, upload=document)


def clean_title(title: str) -> str:
    """A title that can stand in a log line and on a page: no control or direction characters, not too long."""
    kept = "".join(c for c in title if c.isprintable())
    return kept.strip()[:TITLE_MAX] or "Untitled"


def _head(document: Inline | Upload) -> bytes:
    if isinstance(document, Inline):
        return document.data[:HEAD]
    with document.path.open("rb") as file:
        return file.read(HEAD)


def _fingerprint(request: JobRequest, body: _Body) -> str:
    """What makes two requests the same wish: everything that would change what is printed, and who asked."""
    parts = (
        request.device_id, body.sha256, body.url, request.copies, request.options.to_json(), request.job_type,
        request.priority, request.launch, request.declared, request.key_id if request.origin else None,
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()
