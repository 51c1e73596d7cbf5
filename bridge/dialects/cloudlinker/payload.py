"""The payload of a Cloudlinker job: JSON that says what is to be printed, mostly wrapped in a string."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, Field, PlainValidator

from bridge.dialects.cloudlinker.fields import Copies, Fields, Flag, Text, Whole, Word
from bridge.errors import BadRequest, Invalid, TooLarge
from bridge.intake.body import read_json
from bridge.model import Document, Inline, Job, Options, Url

KEPT_MAX = 1024
"""Bytes of a document inside a payload that are given back with it. A larger one would be written with every change."""

REMOTE_MAX = 1024 * 1024
"""Characters of payload for another machine's printer. It is all that machine gets, so it is never shortened."""

_PRIORITY_MAX = 1_000
_URL_SAFE = str.maketrans("-_", "+/")

Members = dict[str, Any]


def _rotate(value: Any) -> Literal["auto", 0, 90, 180, 270]:
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    found: dict[str, Literal["auto", 0, 90, 180, 270]] = {"auto": "auto", "0": 0, "90": 90, "180": 180, "270": 270}
    if text not in found:
        raise ValueError("must be auto, 0, 90, 180 or 270")
    return found[text]


def _fit(value: Any) -> Literal["shrink", "none"]:
    text = value.strip().lower() if isinstance(value, str) else ""
    if text == "shrink":
        return "shrink"
    if text == "none":
        return "none"
    raise ValueError("must be shrink or none")


class _Options(Fields):
    """payload.options. copies and priority may stand here or beside it."""

    rotate: Annotated[Literal["auto", 0, 90, 180, 270], PlainValidator(_rotate)] = "auto"
    fit: Annotated[Literal["shrink", "none"], PlainValidator(_fit)] = "shrink"
    dither: Flag = False
    collate: Flag | None = None
    force: Flag = False
    pages: Word | None = None
    copies: Copies | None = None
    priority: Whole | None = None


class _Payload(Fields):
    document_type: Word | None = None
    document_url: Word | None = None
    document_base64: Text | None = Field(None, validation_alias=AliasChoices("document_base64", "document"))
    copies: Copies | None = None
    title: Text | None = Field(None, validation_alias=AliasChoices("title", "document_name"))
    priority: Whole | None = None
    options: Any = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A payload that was understood. members: the payload itself; text: as it came, None when it came as an object."""

    members: Members
    text: str | None
    document: Document | None
    declared: str | None
    title: str
    copies: int
    options: Options
    priority: int

    def kept(self, *, own: bool) -> str:
        """The text to be stored with the job. own: the printer is one of this machine. Raises TooLarge.

        A document that came inside is left out for a printer of ours: it is stored as the job's document already.
        """
        if own and isinstance(self.document, Inline) and len(self.document.data) > KEPT_MAX:
            note = f"({len(self.document.data):,} bytes, left out here)"
            names = ("document_base64", "document")
            return pretty({name: note if name in names else value for name, value in self.members.items()})
        text = pretty(self.members) if self.text is None else self.text
        if not own and len(text) > REMOTE_MAX:
            raise TooLarge(f"the payload has {len(text):,} characters; for the printer of another client at most"
                           f" {REMOTE_MAX:,} are allowed", remedy="give document_url instead")  # fmt: skip
        return text


def same_document(wish: Wish, job: Job) -> bool:
    """Whether the document inside a payload, if there is one, is the one the job has already."""
    document = wish.document
    return not isinstance(document, Inline) or hashlib.sha256(document.data).hexdigest() == job.sha256


def pretty(members: Members) -> str:
    """A payload as Cloudlinker itself shows it."""
    return json.dumps(members, indent=2, ensure_ascii=False)


def read_payload(given: Any, *, source: str | None = None, options: Any = None) -> Wish:
    """The wish in a payload: an object, text that holds one, or text that holds such text.

    source, options: what the Laravel client's README puts beside the payload; the payload itself goes first.
    Raises Invalid.
    """
    members, text = _members(given)
    if source is not None or options:
        members, text = _joined(members, source, _option_members(options)), None
    payload = _Payload.read(members)
    chosen = _options(payload.options)
    return Wish(
        members=members, text=text, document=_document(payload), declared=payload.document_type,
        title=payload.title or _file_name(payload.document_url) or "Untitled",
        copies=payload.copies or chosen.copies or 1,
        options=Options(chosen.rotate, chosen.fit, chosen.dither, chosen.collate, chosen.force, chosen.pages),
        priority=_priority(payload.priority if payload.priority is not None else chosen.priority),
    )  # fmt: skip


def _members(given: Any) -> tuple[Members, str | None]:
    """The payload's members, and the text they came as, made JSON where it was nearly that."""
    if isinstance(given, dict):
        return given, None
    if given == []:  # how PHP writes an object without members
        return {}, "{}"
    if not isinstance(given, str):
        raise _not_an_object()
    value, text = _parsed(given)
    if isinstance(value, str):
        value, text = _parsed(value)
    if value == []:
        value, text = {}, "{}"
    if not isinstance(value, dict):
        raise _not_an_object()
    return value, text


def _parsed(text: str) -> tuple[Any, str]:
    data = text.encode("utf-8", "replace")
    try:
        return read_json(data), text
    except BadRequest:
        pass  # once more, with patience
    try:
        value = read_json(data, lenient=True, what="the payload")
    except BadRequest as error:
        raise Invalid(error.text, field="payload", remedy="send a JSON object, or one as text") from error
    return value, pretty(value)


def _not_an_object() -> Invalid:
    return Invalid("the payload is not a JSON object", field="payload",
                   remedy='send {"document_type": "pdf", "document_url": "http://...", "copies": 1}')  # fmt: skip


def _joined(members: Members, source: str | None, options: Members) -> Members:
    joined: Members = {} if source is None else {"document_url": source}
    if "copies" in options:
        joined["copies"] = options["copies"]
    rest = {name: value for name, value in options.items() if name != "copies"}
    if rest:
        joined["options"] = rest
    return {**joined, **members}


def _option_members(given: Any) -> Members:
    if given is None or given in ([], ""):
        return {}
    if not isinstance(given, dict):
        raise Invalid("options must be a JSON object", field="options")
    unknown = sorted(set(given) - set(_Options.model_fields))
    if unknown:
        allowed = ", ".join(_Options.model_fields)
        raise Invalid(f"unknown option {unknown[0][:64]!r}", field="options", remedy=f"use any of {allowed}")
    return given


def _options(given: Any) -> _Options:
    return _Options.read(_option_members(given))


def _priority(given: int | None) -> int:
    if given is not None and abs(given) > _PRIORITY_MAX:
        raise Invalid(f"priority must be from -{_PRIORITY_MAX} to {_PRIORITY_MAX}", field="priority")
    return given or 0


def _document(payload: _Payload) -> Document | None:
    if payload.document_url is None:
        return None if payload.document_base64 is None else Inline(_decoded(payload.document_base64))
    if payload.document_base64 is not None:
        raise Invalid("the payload has two documents", field="document_url",
                      remedy="give either document_url or document_base64")  # fmt: skip
    return Url(payload.document_url)


def _decoded(text: str) -> bytes:
    """Base64, both alphabets, line breaks allowed, perhaps as a data: URI. Padding must be there: it shows a cut."""
    text = "".join(text.split())
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise _not_base64("it is a data: URI without ;base64")
    try:
        return base64.b64decode(text.translate(_URL_SAFE), validate=True)
    except (binascii.Error, ValueError) as error:
        why = "its length is no multiple of 4; was it cut off?" if len(text) % 4 else "it holds other characters"
        raise _not_base64(why) from error


def _not_base64(why: str) -> Invalid:
    return Invalid(f"the document is not base64: {why}", field="document_base64", remedy="encode it in base64")


def _file_name(url: str | None) -> str:
    """The last part of a URL's path, for people to know the job by."""
    try:
        return unquote(PurePosixPath(urlsplit(url or "").path).name)
    except ValueError:
        return ""
