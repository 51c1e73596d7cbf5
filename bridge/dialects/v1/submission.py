"""POST /jobs, whose document comes in one of three ways: inside JSON, as a file of a form, or as the body itself."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import IO, Any

from flask import Request

from bridge.dialects.v1.wishes import JobOptions, NewJob, understood
from bridge.errors import Invalid
from bridge.intake.accept import Intake
from bridge.intake.body import parameters, read_json
from bridge.model import Document, Inline, Template, Url
from bridge.store.jobs import INLINE_MAX

PIECE = 64 * 1024  # bytes of a document in memory at a time


@dataclass(frozen=True, slots=True)
class Submission:
    """POST /jobs, read as far as its words; the document may still lie in the request."""

    job: NewJob
    file: IO[bytes] | None

    def document(self, intake: Intake) -> Document:
        """The document, out of the request. Intake takes away what lies on the disk for a job it refuses."""
        return _streamed(self.file, intake) if self.file is not None else _named(self.job)


def submission(request: Request) -> Submission:
    """Tell the three ways apart: JSON; a form, perhaps with a file; or the document itself. Raises BridgeError.

    The document itself is any other body, with the words in the query string. curl --data-binary calls it a form
    unless told otherwise, and fetch calls text plain text: the printer in the query string tells what is meant.
    """
    if request.mimetype == "multipart/form-data":
        return _form(request)
    if request.mimetype.endswith("json"):
        return _checked(understood(NewJob, parameters(request)), None)
    if request.mimetype in _VAGUE and "printer" not in request.args:
        return _checked(understood(NewJob, _nested(parameters(request))), None)
    given = {name: values[-1] for name, values in request.args.lists()}
    return _checked(understood(NewJob, _nested(given)), request.stream)


_VAGUE = frozenset({"", "text/plain", "application/x-www-form-urlencoded"})


def _form(request: Request) -> Submission:
    job = understood(NewJob, _nested(parameters(request)))
    files = [file for _, file in request.files.items(multi=True)]
    if len(files) > 1:
        raise Invalid(f"{len(files)} files in one job", field="file", remedy="send one job for each file")
    return _checked(job, files[0].stream if files else None)


def _nested(given: dict[str, Any]) -> dict[str, Any]:
    """Forms and query strings are flat: the options stand among the other words, fields and receipt are JSON."""
    nested = {name: value for name, value in given.items() if name not in JobOptions.model_fields}
    options = {name: value for name, value in given.items() if name in JobOptions.model_fields}
    if options:
        nested["options"] = options
    for name in ("fields", "receipt"):
        if isinstance(nested.get(name), str):
            nested[name] = read_json(nested[name].encode(), what=name)
    return nested


def _checked(job: NewJob, file: IO[bytes] | None) -> Submission:
    """Exactly one document."""
    ways = {"document_base64": job.document_base64, "document_url": job.document_url, "template": job.template,
            "receipt": job.receipt, "text": job.text, "file": file}  # fmt: skip
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        text = f"the job has {' and '.join(given)}" if given else "the job has no document"
        raise Invalid(text, field=given[1] if given else "document_base64",
                      remedy=f"send exactly one of {', '.join(ways)}")  # fmt: skip
    if job.fields and job.template is None:
        raise Invalid("fields belong to a template", field="fields", remedy="name the template, or leave them out")
    written = given[0] if given[0] in ("receipt", "text") else None
    return Submission(job.model_copy(update={"document_type": written}) if written else job, file)


def _named(job: NewJob) -> Document:
    if job.document_url is not None:
        return Url(job.document_url)
    if job.template is not None:
        return Template(job.template, job.fields)
    if job.receipt is not None:
        return Inline(json.dumps({"receipt": job.receipt}).encode())
    if job.text is not None:
        return Inline(job.text.encode())
    try:
        text = "".join((job.document_base64 or "").split())
        return Inline(base64.b64decode(text.encode("ascii"), validate=True))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Invalid("document_base64 is not base64", field="document_base64",
                      remedy="encode the bytes of the document, without any prefix") from error  # fmt: skip


def _streamed(file: IO[bytes], intake: Intake) -> Document:
    """A small document stays in memory; a larger one goes to the disk as it comes."""
    head = file.read(INLINE_MAX)
    piece = file.read(PIECE)
    if not piece:
        return Inline(head)
    with intake.receive() as incoming:
        incoming.write(head)
        while piece:
            incoming.write(piece)
            piece = file.read(PIECE)
        return incoming.finish()
