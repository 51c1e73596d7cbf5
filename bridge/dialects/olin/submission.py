"""POST print-jobs: the three ways a document comes, and the two ways its options are written."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from flask import Response, request, url_for

from bridge.dialects.olin import printers, words
from bridge.dialects.olin.route import House, answered
from bridge.dialects.olin.wishes import PAPERS, NewJob, PrintOptions
from bridge.errors import BadRequest, Invalid, NotFound, TooLarge
from bridge.intake.body import parameters, read_json
from bridge.intake.detect import HEAD, RAW
from bridge.intake.idempotency import idempotency_key
from bridge.model import Device, Document, Inline, Job, JobRequest, Principal, Upload, Url
from bridge.store.jobs import INLINE_MAX

FILE_MAX = 10 * 1024 * 1024  # bytes: seed, "max 10MB"
PIECE = 64 * 1024  # bytes of a document in memory at a time

_WAYS = ("file", "file_base64", "file_url")
_BRACKETS = re.compile(r"print_options\[\s*(\w+)\s*\]")
_URL_SAFE = str.maketrans("-_", "+/")
_ASK = "print_options"
_TEXTS = frozenset({"txt", "text"})
_OFFICE = {
    "doc": "Word", "docx": "Word", "odt": "OpenDocument", "rtf": "RTF", "xps": "XPS", "oxps": "XPS", "html": "HTML",
    "htm": "HTML", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "tiff": "TIFF", "webp": "WebP", "svg": "SVG",
    "xls": "Excel", "xlsx": "Excel", "ods": "OpenDocument", "ppt": "PowerPoint", "pptx": "PowerPoint",
}  # fmt: skip
"""Kinds of file this machine cannot draw: the end of their name -> what people call them."""

_INSTEAD = "save it as PDF, PNG or JPEG and send that, or send printer code as .zpl, .epl or .prn"


@dataclass(frozen=True, slots=True)
class Submission:
    """One request, read as far as its words. source: a file_source_type. field: which of the three it was."""

    wish: NewJob
    options: PrintOptions
    field: str
    source: str
    name: str
    file: IO[bytes] | None


def submit(house: House, who: Principal) -> Response:
    """Print a document.

    It comes as a file of a form, in base64, or from a URL. 201 once it is durable; 200 when its Idempotency-Key says
    that it is here already.
    """
    try:
        return _accepted(house, who, _read())
    finally:
        request.close()  # of a form, the file that a large upload was put into


def _accepted(house: House, who: Principal, sent: Submission) -> Response:
    device = printers.wanted(house, who, sent.wish.printer_id, sent.wish.printer_name)
    paper = _checked_paper(house, device, sent.options.paper_size)
    with _in_words_of(sent.field):
        document, declared = _document(house, sent, device)
        copies = sent.wish.copies or sent.options.copies or 1
        asked = {"color": sent.options.color, "duplex": sent.options.duplex, "paper_size": paper}
        job, created = house.desk.intake.accept(
            JobRequest(
                organization_id=who.organization_id,
                device_id=device.id,
                dialect="olin",
                document=document,
                declared=declared,
                title=sent.name,
                copies=copies,
                priority=sent.wish.priority,
                payload=words.kept(sent.wish.file_url, declared, copies, sent.source, asked),
                idempotency_key=idempotency_key(),
                key_id=who.key_id,
                origin=who.origin,
                user_id=who.user_id,
                counted=True,
                grants=who.grants,
            )  # fmt: skip
        )
    data = {"print_job": told(house, who, job), "download_url": download_url(job)}
    return answered("Print job submitted successfully", data, 201 if created else 200)


def told(house: House, who: Principal, job: Job) -> dict[str, Any]:
    """A job as Olin shows it."""
    return words.job_json(job, user_number(house, job), printer_number(house, who, job))


def user_number(house: House, job: Job) -> int:
    """user_id of a job: its user's number, or its account's."""
    store = house.desk.store
    user = store.users.get(job.organization_id, job.user_id) if job.user_id is not None else None
    if user is not None:
        return user.serial
    organization = store.organizations.get(job.organization_id)
    return organization.serial if organization is not None else 0


def printer_number(house: House, who: Principal, job: Job) -> int | None:
    device = house.desk.store.devices.get(who.organization_id, job.device_id)
    return device.serial if device is not None else None


def download_url(job: Job) -> str:
    """Where a job's document can be had; an absolute address, by the Host of the request."""
    return url_for("olin.jobs_download", job_id=str(job.serial), _external=True)


# ---- the words --------------------------------------------------------------------------------------------------


def _read() -> Submission:
    given = parameters(request)
    options = {match[1]: given.pop(name) for name in list(given) if (match := _BRACKETS.fullmatch(name))}
    if isinstance(given.get(_ASK), str) and given[_ASK].strip():
        try:
            given[_ASK] = read_json(given[_ASK].encode(), what=_ASK)
        except BadRequest as error:
            raise Invalid(error.text, field=_ASK, remedy="send an object, or print_options[color] and so on") from error
    wish = NewJob.read(given)
    files = request.files.getlist("file")
    ways = {"file": wish.file is not None or files, "file_base64": wish.file_base64, "file_url": wish.file_url}
    found = [name for name in _WAYS if ways[name]]
    if len(found) != 1 or len(files) > 1:
        what = "only one of them" if found else "one of them"
        raise Invalid(f"Provide {what}: file, file_base64 or file_url.", field="file")
    if found == ["file"] and not files:
        raise Invalid("The file field must be a file.", field="file", remedy='send it as a form: -F "file=@label.pdf"')
    (field,) = found
    upload = files[0] if files else None
    source = {"file": words.UPLOAD, "file_base64": words.BASE64, "file_url": words.URL}[field]
    name = wish.file_name or (upload.filename if upload is not None else "") or _last_part(wish.file_url)
    return Submission(
        wish, PrintOptions.read({**wish.print_options, **options}, inside=f"{_ASK}."), field, source,
        PurePath((name or "document").replace("\\", "/")).name or "document", upload.stream if upload else None,
    )  # fmt: skip


def _last_part(url: str | None) -> str:
    try:
        return unquote(PurePath(urlsplit(url or "").path).name)
    except ValueError:
        return ""


def _checked_paper(house: House, device: Device, paper: str) -> str:
    """Raises Invalid for a size that neither Olin nor the printer knows."""
    known = [*PAPERS, *printers.paper_sizes(house, device)]
    found = next((size for size in known if size.lower() == paper.lower()), None)
    if found is None:
        raise Invalid(f"The print_options.paper_size field must be one of {', '.join(known[:20])}.",
                      field="print_options.paper_size")  # fmt: skip
    return found


@contextmanager
def _in_words_of(field: str) -> Iterator[None]:
    """What intake refuses, told about the field the document came in; too large is 422 here, as with Laravel."""
    names = {"document": field, "document_url": "file_url", "document_type": field, "device_id": "printer_id"}
    try:
        yield
    except TooLarge as error:
        raise Invalid(error.text, remedy=error.remedy, field=field, code=error.code) from error
    except Invalid as error:
        raise Invalid(error.text, remedy=error.remedy, field=names.get(error.field or "document", error.field),
                      code=error.code) from error  # fmt: skip
    except NotFound as error:
        raise NotFound(error.text, remedy=error.remedy, field="printer_id") from error


# ---- the document -----------------------------------------------------------------------------------------------


def _document(house: House, sent: Submission, device: Device) -> tuple[Document, str | None]:
    """The document, and what it is said to be. Raises Invalid."""
    ending = PurePath(sent.name).suffix.lower().removeprefix(".")
    if sent.wish.file_url is not None:
        return Url(sent.wish.file_url), _declared(house, device, ending, None)
    document = _inline(sent.wish.file_base64 or "") if sent.file is None else _streamed(house, sent.file)
    try:
        head = _head(document)
        if not head:
            raise Invalid("The document is empty (0 bytes).", remedy="send the whole document")
        return document, _declared(house, device, ending, house.desk.intake.recognized(head), head)
    except BaseException:
        if isinstance(document, Upload):
            document.path.unlink(missing_ok=True)
        raise


def _declared(
    house: House, device: Device, ending: str, recognized: str | None, head: bytes | None = None
) -> str | None:
    """What intake is told that a document is; its bytes go first. head: None while they are not known.

    Another computer may print what we cannot, so it is handed whatever it is sent, byte for byte.
    """
    if recognized is not None:
        return None
    lane = house.desk.store.lanes.lane(device.id)
    if device.client_id != house.desk.self_client_id:
        return "raw" if head is not None else None
    if ending in RAW:
        return ending
    if ending in _OFFICE:
        raise Invalid(f"{_OFFICE[ending]} files (.{ending}) cannot be printed on {device.name}", remedy=_INSTEAD)
    if ending in _TEXTS and lane is not None and lane.language == "escpos":
        return "text"
    if head is None:
        return None
    what = "Plain text" if ending in _TEXTS else "This kind of file"
    raise Invalid(f"{what} cannot be printed on {device.name}", remedy=_INSTEAD)


def _inline(text: str) -> Inline | Upload:
    """Base64 of either alphabet, with line breaks, perhaps as a data: URI."""
    text = "".join(text.split())
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text.translate(_URL_SAFE), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid("The file_base64 field is not base64.", remedy="encode the bytes of the file") from error
    if len(data) > FILE_MAX:
        raise _too_large()
    return Inline(data)


def _streamed(house: House, file: IO[bytes]) -> Inline | Upload:
    """A small file stays in memory; a larger one goes to the disk as it comes."""
    head = file.read(INLINE_MAX)
    piece = file.read(PIECE)
    if not piece:
        return Inline(head)
    with house.desk.intake.receive() as incoming:
        incoming.write(head)
        while piece:
            if incoming.size + len(piece) > FILE_MAX:
                raise _too_large()
            incoming.write(piece)
            piece = file.read(PIECE)
        return incoming.finish()


def _head(document: Inline | Upload) -> bytes:
    if isinstance(document, Inline):
        return document.data[:HEAD]
    with document.path.open("rb") as file:
        return file.read(HEAD)


def _too_large() -> Invalid:
    return Invalid(f"The file must not be larger than {FILE_MAX // 2**20} MB.", remedy="send less, or a file_url")
