"""What callers of /v1 may say: one strict model for each request, and the three ways to hand in a document."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import IO, Annotated, Any, Literal, TypeVar

from flask import Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bridge.errors import Invalid
from bridge.intake.accept import Intake
from bridge.intake.body import parameters, read_json
from bridge.model import MAX_COPIES, Document, Inline, Options, State, Template, Url
from bridge.store.jobs import INLINE_MAX

PIECE = 64 * 1024  # bytes of a document in memory at a time


# ---- the words --------------------------------------------------------------------------------------------------


def _whole(value: Any) -> Any:
    """Digits as a number; anything else stays what it is, for the model to refuse."""
    digits = value.strip() if isinstance(value, str) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else value


def _flag(value: Any) -> Any:
    """A yes or no as forms and query strings write it."""
    return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value) if _text(value) else value


def _states(value: Any) -> Any:
    """"queued,held" -> a list of states."""
    if not _text(value):
        return value
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in _STATES:
            raise ValueError(f"{name[:40]!r} is no state; use any of {', '.join(State)}")
    return [State(name) for name in names]


def _text(value: Any) -> bool:
    return isinstance(value, str)


_STATES = frozenset(State)
Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]


class _Wish(BaseModel):
    """Strict: 2.0 is not 2, true is not 1, and a key nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Options(_Wish):
    """See bridge.model.Options."""

    rotate: Annotated[Literal["auto", 0, 90, 180, 270], BeforeValidator(_whole)] = "auto"
    fit: Literal["shrink", "none"] = "shrink"
    dither: Flag = False
    collate: Flag | None = None
    force: Flag = False


class NewJob(_Wish):
    """POST /jobs. printer: id or name. The document is one of document_base64, document_url, template (or a file)."""

    printer: str = Field(min_length=1)
    document_base64: str | None = None
    document_url: str | None = None
    template: str | None = None
    fields: dict[str, str] = {}
    document_type: str | None = None
    title: str = "Untitled"
    copies: Whole = Field(1, ge=1, le=MAX_COPIES)
    priority: Whole = Field(0, ge=0, le=100)
    options: _Options = _Options()
    launch: Flag = True

    def to_options(self) -> Options:
        return Options(**self.options.model_dump())


class JobsQuery(_Wish):
    """GET /jobs."""

    printer: str | None = None
    state: Annotated[list[State] | None, BeforeValidator(_states)] = None
    limit: Whole = Field(50, ge=1, le=500)
    offset: Whole = Field(0, ge=0, le=2**53)


class EventsQuery(_Wish):
    """GET /events. after: the seq of the last event already seen."""

    after: Whole = Field(0, ge=0, le=2**53)
    limit: Whole = Field(100, ge=1, le=500)


class Pause(_Wish):
    """POST /printers/ID/pause."""

    reason: str = Field("", max_length=200)


class Resolve(_Wish):
    """POST /jobs/ID/resolve."""

    answer: Literal["printed", "again", "cancel"]


Wish = TypeVar("Wish", bound=_Wish)


def understood(model: type[Wish], given: dict[str, Any]) -> Wish:
    """What was given, checked. Raises Invalid that names the first field at fault."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _explained(model, error) from error


def _explained(model: type[_Wish], error: ValidationError) -> Invalid:
    finding = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = [str(part) for part in finding["loc"]]
    if finding["type"] == "extra_forbidden":
        inside = _Options if len(place) > 1 else model
        return Invalid(f"unknown key {place[-1][:64]!r}", field=".".join(place)[:128],
                       remedy=f"allowed here: {', '.join(inside.model_fields)}")  # fmt: skip
    # Of a union pydantic names the member it tried ("literal[...]") after the field: that is no part of its name.
    known = {*model.model_fields, *_Options.model_fields}
    field = ".".join(part for number, part in enumerate(place) if number == 0 or part in known or place[0] == "fields")
    told = finding["msg"].removeprefix("Value error, ")
    said = "is missing" if finding["type"] == "missing" else told[:1].lower() + told[1:]
    return Invalid(f"{field}: {said}", field=field[:128])


# ---- a new job --------------------------------------------------------------------------------------------------


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
    """Forms and query strings are flat: the options stand among the other words, the template's fields are JSON."""
    nested = {name: value for name, value in given.items() if name not in _Options.model_fields}
    options = {name: value for name, value in given.items() if name in _Options.model_fields}
    if options:
        nested["options"] = options
    if isinstance(nested.get("fields"), str):
        nested["fields"] = read_json(nested["fields"].encode(), what="fields")
    return nested


def _checked(job: NewJob, file: IO[bytes] | None) -> Submission:
    """Exactly one document."""
    ways = {"document_base64": job.document_base64, "document_url": job.document_url, "template": job.template,
            "file": file}  # fmt: skip
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        text = f"the job has {' and '.join(given)}" if given else "the job has no document"
        raise Invalid(text, field=given[1] if given else "document_base64",
                      remedy=f"send exactly one of {', '.join(ways)}")  # fmt: skip
    if job.fields and job.template is None:
        raise Invalid("fields belong to a template", field="fields", remedy="name the template, or leave them out")
    return Submission(job, file)


def _named(job: NewJob) -> Document:
    if job.document_url is not None:
        return Url(job.document_url)
    if job.template is not None:
        return Template(job.template, job.fields)
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
