"""The conversation with a computer that prints: PrintCloud's WebSocket messages, without a socket and without a clock.

    computer                                    bridge
    auth {apiKey, computerName, os, ...}   ->   auth_ok {computerId} or auth_error {message}
    printers {printers: [...]}             ->   printers_ok {count}
                                           <-   print_job {job}
    job_state {jobId, state, message}      ->
                                           <-   cancel_job {jobId}, an addition: only to one whose auth said
                                                "accepts": ["cancel_job"]; its answer is a job_state, say cancelled

A computer passes over ids it knows, and what a person asked for again is to be printed again: then the job's id names
its launch as well (pj_...-2). Whatever cannot be understood is answered with error {message}.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from bridge.dialects.printcloud.words import (
    CANCELLED,
    COMPLETED,
    ERROR,
    JOB,
    OFFLINE,
    ONLINE,
    PRINTING,
    own_id,
    shown_id,
)  # fmt: skip
from bridge.errors import BadRequest
from bridge.intake.body import read_json
from bridge.intake.detect import RAW
from bridge.model import Job, State

NAME_MAX = 200  # characters of the name of a computer or printer
TEXT_MAX = 500  # characters kept of a message
PRINTERS_MAX = 200  # of one computer
CAPABILITIES_MAX = 8192  # characters of JSON
_PASSED_ON = frozenset({"pdf", "png", "jpeg", "text"})
"""Drawn documents that another computer can print as they are; a template or receipt is known here alone."""

CANCEL_JOB = "cancel_job"

_SAID = {
    PRINTING: State.SENDING, COMPLETED: State.DELIVERED, ERROR: State.FAILED, CANCELLED: State.CANCELLED,
}  # fmt: skip
_LAUNCH = re.compile(r"-([1-9][0-9]{0,5})", re.ASCII)
_ID_MAX = 64  # characters


@dataclass(frozen=True, slots=True)
class Hello:
    """A computer says who it is. gives_back: it can be asked to cancel a job it has."""

    api_key: str
    computer: str
    os: str
    version: str
    gives_back: bool = False

    def __repr__(self) -> str:
        return f"Hello({self.computer!r})"  # never the key


@dataclass(frozen=True, slots=True)
class Printers:
    """The printers it has now, name -> JSON of what it says of each."""

    told: dict[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """How a job stands there. launch: None for the one it was first handed over in. shown: its id as it was written."""

    job_id: str
    launch: int | None
    state: State
    text: str
    shown: str


Command = Hello | Printers | Said


@dataclass(frozen=True, slots=True)
class Envelope:
    """A print_job message in three parts: head, the document, tail. uri: the document is this address.

    The type of the message comes last, so that a job which is cancelled while it is on its way can still become a
    message that means nothing: withdrawn.
    """

    head: str
    tail: str
    withdrawn: str
    uri: str | None


class Session:
    """One connection. receive() gives what the computer wants; what it is to be told is in take_outgoing().

        command = session.receive('{"type": "auth", "apiKey": "pk_...", "computerName": "till-3"}')
        session.welcome(client_id)
        for text in session.take_outgoing(): socket.send(text)
    """

    def __init__(self) -> None:
        self.known = False
        self._outgoing: list[str] = []

    def take_outgoing(self) -> list[str]:
        """What is to be sent now, oldest first."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # -- what it hears --

    def receive(self, text: str) -> Command | None:
        """The wish in one message; None for one that has been answered with an error."""
        try:
            return self._understand(_trimmed(_object(text)))
        except BadRequest as error:
            self.complain(str(error))
            return None

    def _understand(self, message: dict[str, Any]) -> Command | None:
        kind = message.get("type")
        if not self.known:
            if kind != "auth":
                raise BadRequest("say who you are first", remedy='send {"type": "auth", "apiKey": ...}')
            return _hello(message)
        if kind == "printers":
            return Printers(_printers(message.get("printers")))
        if kind == "job_state":
            return _said(message)
        if kind == "auth":
            raise BadRequest("you have said who you are already")
        if kind == "ping":
            self._put({"type": "pong"})
            return None
        raise BadRequest(f"unknown type of message {str(kind)[:64]!r}", remedy="send auth, printers or job_state")

    # -- what it says --

    def welcome(self, client_id: str) -> None:
        self.known = True
        self._put({"type": "auth_ok", "computerId": client_id})

    def refuse(self, why: str) -> None:
        self._put({"type": "auth_error", "message": why})

    def registered(self, count: int) -> None:
        self._put({"type": "printers_ok", "count": count})

    def recall(self, wire: str) -> None:
        """Ask for a job back, by the id it was told by."""
        self._put({"type": CANCEL_JOB, "jobId": wire})

    def complain(self, why: str) -> None:
        """Something went wrong; the conversation goes on."""
        self._put({"type": "error", "message": why} if self.known else {"type": "auth_error", "message": why})

    def _put(self, message: dict[str, Any]) -> None:
        self._outgoing.append(json.dumps(message))


# ---- a job on its way out ---------------------------------------------------------------------------------------


def envelope(job: Job, *, again: bool) -> Envelope | None:
    """How a job is told to its computer. again: an earlier launch of it was handed over, to whomever.

    None for a document that only this machine can print.
    """
    if job.url is None and job.kind not in _PASSED_ON and job.kind not in RAW.values():
        return None
    fields = {
        "id": wire_id(job, again=again), "printerName": job.device_name, "contentType": _content_type(job),
        "title": job.title, "options": {"copies": job.copies, **_options(job)},
    }  # fmt: skip
    return Envelope(
        head=f'{{"job": {json.dumps(fields)[:-1]}, "content": "', tail='"}, "type": "print_job"}',
        withdrawn='"}, "type": "withdrawn"}', uri=None if job.url is None else json.dumps(job.url)[1:-1],
    )  # fmt: skip


def wire_id(job: Job, *, again: bool = False) -> str:
    """pj_..., and the number of the launch when an earlier one was handed over."""
    shown = shown_id(JOB, job.id)
    return f"{shown}-{job.launch}" if again else shown


def _content_type(job: Job) -> str:
    """What is plainly text or printer code goes out raw; a picture sent as raw would come out as characters."""
    told = job.kind or job.declared
    how = "raw" if told in RAW or told == "text" else "pdf"
    return f"{how}_{'uri' if job.url is not None else 'base64'}"


def _options(job: Job) -> dict[str, Any]:
    """What was asked for beside the copies, when this API was asked."""
    if job.dialect != "printcloud" or not job.payload:
        return {}
    told = json.loads(job.payload).get("options")
    return told if isinstance(told, dict) else {}


# ---- reading messages -------------------------------------------------------------------------------------------


def _object(text: str) -> dict[str, Any]:
    message = read_json(text.encode("utf-8", "surrogatepass"), what="the message")
    if not isinstance(message, dict):
        raise BadRequest("the message is JSON, but not an object", remedy='send {"type": ...}')
    return message


def _trimmed(value: Any) -> Any:
    """Without the stray blanks that clients made after the documentation may send around names and values."""
    if isinstance(value, dict):
        return {name.strip(): _trimmed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_trimmed(inner) for inner in value]
    return value.strip() if isinstance(value, str) else value


def _hello(message: dict[str, Any]) -> Hello:
    key = message.get("apiKey")
    if not isinstance(key, str) or not key:
        raise BadRequest("apiKey is missing")
    computer = _line(message.get("computerName"))
    if not computer:
        raise BadRequest("computerName is missing")
    accepts = message.get("accepts")
    gives_back = isinstance(accepts, list) and CANCEL_JOB in accepts
    return Hello(key, computer, _line(message.get("os")), _line(message.get("clientVersion")), gives_back)


def _printers(given: Any) -> dict[str, str]:
    if not isinstance(given, list) or len(given) > PRINTERS_MAX:
        raise BadRequest(f"printers is a list of at most {PRINTERS_MAX}")
    told = {}
    for number, each in enumerate(given, 1):
        name = _line(each.get("name")) if isinstance(each, dict) else ""
        if not name:
            raise BadRequest(f"printer {number} has no name")
        told[name] = _reported(each)
    return told


def _reported(printer: dict[str, Any]) -> str:
    """What is kept of what a computer says of its printer."""
    capabilities = printer.get("capabilities")
    if not isinstance(capabilities, dict) or len(json.dumps(capabilities)) > CAPABILITIES_MAX:
        capabilities = {}
    state = _line(printer.get("state") or printer.get("status")).lower() or ONLINE
    return json.dumps(
        {"status": state, "is_default": printer.get("isDefault") is True, "capabilities": capabilities}, sort_keys=True
    )


def away(reported: str | None) -> str | None:
    """`reported` of a printer its computer does not name any more; None when that is known already."""
    told = json.loads(reported) if reported else {}
    if not isinstance(told, dict) or told.get("away") is True:
        return None
    return json.dumps({**told, "status": OFFLINE, "away": True}, sort_keys=True)


def is_away(reported: str | None) -> bool:
    """Whether jobs for this printer have to wait until its computer names it again."""
    return reported is not None and away(reported) is None


def condition(reported: str | None) -> str:
    """How a printer is, in the words of our events: "ready", or what its computer called it."""
    told = json.loads(reported) if reported else {}
    word = told.get("status", ONLINE) if isinstance(told, dict) else ONLINE
    return "ready" if word == ONLINE else str(word)


def _said(message: dict[str, Any]) -> Said:
    shown, word = message.get("jobId"), message.get("state")
    if not isinstance(shown, str) or not 0 < len(shown) <= _ID_MAX:
        raise BadRequest("jobId is missing")
    if not isinstance(word, str) or word.lower() not in _SAID:
        raise BadRequest(f"state is one of {', '.join(_SAID)}")
    job_id, launch = _job_id(shown)
    return Said(job_id, launch, _SAID[word.lower()], _line(message.get("message"), TEXT_MAX), shown)


def _job_id(shown: str) -> tuple[str, int | None]:
    """(our id, launch if it names one) of an id on the wire, with or without prefix and hyphens."""
    plain = shown.removeprefix(JOB)
    digits = 36 if plain.count("-") >= 4 else 32
    launch = _LAUNCH.fullmatch(plain, digits)
    return own_id(JOB, plain[:digits] if launch else plain), int(launch[1]) if launch else None


def _line(value: Any, most: int = NAME_MAX) -> str:
    """A text that can stand in a log line: no control characters, not too long."""
    return "".join(c for c in value if c.isprintable()).strip()[:most] if isinstance(value, str) else ""
