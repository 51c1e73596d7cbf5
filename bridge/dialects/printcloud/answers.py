"""What callers get, written once for the OpenAPI document. A test holds real answers against these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

JobState = Literal["pending", "sent", "printing", "completed", "error"]
ContentType = Literal["pdf_uri", "pdf_base64", "raw_uri", "raw_base64"]


@dataclass
class Error:
    """Every answer that is no success. code: for programs. message: what is wrong, and what to do about it."""

    code: str
    message: str


@dataclass
class Capabilities:
    """media: what is loaded, or sizes of paper. bins: trays."""

    color: bool
    duplex: bool
    media: list[str]
    bins: list[str]


@dataclass
class Printer:
    """state: online, offline, paused, error (a person is needed there); another computer may tell other words."""

    id: str
    name: str
    computerId: str
    state: str
    isDefault: bool
    capabilities: Capabilities


@dataclass
class Computer:
    """os, clientVersion, lastSeenAt: null where nobody has said so."""

    id: str
    name: str
    os: str | None
    state: Literal["online", "offline"]
    clientVersion: str | None
    printers: list[Printer]
    lastSeenAt: str | None


@dataclass
class PrinterName:
    """Of a printer as it was called when the job was made."""

    name: str


@dataclass
class PrintJob:
    """A job in a list."""

    id: str
    title: str
    state: JobState
    contentType: ContentType
    printer: PrinterName
    createdAt: str


@dataclass
class PrinterOfJob:
    """Where it is printed."""

    id: str
    name: str
    computerId: str


@dataclass
class PrintJobStory:
    """One job. message: what happened and what to do about it."""

    id: str
    title: str
    state: JobState
    contentType: ContentType
    printer: PrinterOfJob
    createdAt: str
    copies: int
    message: str
    updatedAt: str


@dataclass
class Step:
    """One state a job was in."""

    state: JobState
    message: str
    timestamp: str


@dataclass
class Webhook:
    """active: false once it is told nothing any more."""

    id: str
    url: str
    events: list[str]
    active: bool


@dataclass
class NewWebhookMade:
    """secret: only when it was made here."""

    id: str
    url: str
    events: list[str]
    active: bool
    secret: str = ""


@dataclass
class ApiKeyMade:
    """key: its text, shown this once."""

    id: str
    key: str
    description: str


@dataclass
class Person:
    """Who logged in."""

    id: str
    firstName: str
    lastName: str
    email: str


@dataclass
class LoggedIn:
    """apiKey: to be used from now on."""

    success: Literal[True]
    apiKey: str
    user: Person


@dataclass
class HandedJob:
    """A job for the computer that prints it. options: copies, and what else was asked for."""

    id: str
    printerName: str
    contentType: ContentType
    content: str
    title: str
    options: dict[str, Any]
    printerId: str
    state: JobState
    createdAt: str


@dataclass
class Reported:
    """How the job stands now."""

    id: str
    state: JobState
