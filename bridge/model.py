"""The nouns of the bridge and the life of a job. Imports nothing of ours.

An organization has clients (machines), a client has devices (printers), a device has jobs. Each row has a UUIDv7 for
the outside and an integer serial for order: the clock of a Raspberry Pi is no witness.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal


class State(StrEnum):
    """Where a job is. The tables of the dialects translate these."""

    CREATED = "created"
    QUEUED = "queued"
    PREPARING = "preparing"
    SENDING = "sending"
    DELIVERED = "delivered"
    PRINTED = "printed"
    UNCONFIRMED = "unconfirmed"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


WAITING = frozenset({State.QUEUED, State.PREPARING})
"""Launched, nothing sent: safe to cancel, safe to begin again after a crash."""

ENDED = frozenset({State.DELIVERED, State.PRINTED, State.FAILED, State.CANCELLED, State.EXPIRED})
"""Nothing more happens unless somebody launches the job again."""

MAX_COPIES = 999
MAX_STRIKES = 3
"""Crashes of the render child, or failures of our own before a byte left: then the job is held as poison."""

PRINTER = 1
"""Cloudlinker's device_type of a printer; also its job_type of a print job."""


# ---- documents ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inline:
    """A document that came with the request."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """A document already on disk in the spool, durable. sha256: hex."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Url:
    """A document still to be fetched, once."""

    url: str


@dataclass(frozen=True, slots=True)
class Template:
    """A label template of ours by name, and the values of its fields."""

    name: str
    fields: dict[str, str]

    def to_json(self) -> bytes:
        return json.dumps({"template": self.name, "fields": self.fields}).encode()

    @staticmethod
    def from_json(data: bytes) -> Template:
        raw = json.loads(data)
        return Template(raw["template"], raw["fields"])


Document = Inline | Upload | Url | Template

WRITTEN = frozenset({"receipt", "text"})
"""Kinds of document that a receipt printer sets in type: a receipt as JSON, and plain text."""

DRAWN = frozenset({"pdf", "png", "jpeg", "template", *WRITTEN})
"""Kinds of document that are drawn to dots here. Everything else goes to the printer byte for byte."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a document is to be printed.

    rotate: "auto" or degrees clockwise. fit: "shrink" (to the label, never enlarged) or "none". dither: photographs.
    collate: repeat the page sequence (None: yes for more than one page). force: send raw data in a language the
    printer is not known to speak. pages: only these of the document, from 1: "2" or "2-5".
    """

    rotate: Literal["auto", 0, 90, 180, 270] = "auto"
    fit: Literal["shrink", "none"] = "shrink"
    dither: bool = False
    collate: bool | None = None
    force: bool = False
    pages: str | None = None

    def page_range(self) -> tuple[int, int | None]:
        """(pages to leave out at the beginning, pages to print after them; None: all). Raises ValueError."""
        if self.pages is None:
            return 0, None
        first, dash, last = self.pages.partition("-")
        if not all(each.isascii() and each.isdigit() and len(each) < 7 for each in (first, last if dash else first)):
            raise ValueError(f'pages is a page ("2") or a range ("2-5"), not {self.pages[:40]!r}')
        begin, end = int(first), int(last if dash else first)
        if not 1 <= begin <= end:
            raise ValueError(f"pages {self.pages!r}: pages count from 1, and the first comes first")
        return begin - 1, end - begin + 1

    def to_json(self) -> str:
        """Only what differs from the default, as JSON."""
        default = Options()
        changed = {k: getattr(self, k) for k in self.__slots__ if getattr(self, k) != getattr(default, k)}
        return json.dumps(changed)

    @staticmethod
    def from_json(text: str) -> Options:
        """What to_json wrote, by this version or another: names this one does not know are passed over."""
        if text == "{}":
            return _PLAIN
        return Options(**{k: v for k, v in json.loads(text).items() if k in Options.__slots__})


_PLAIN = Options()


# ---- what printer code may do ---------------------------------------------------------------------------------

Raw = Literal["documents", "raw-safe", "raw-any"]
"""Printer code from the outside: none; only what prints; any. In this order, each includes the one before."""

RAW_GRANTS: tuple[Raw, ...] = ("documents", "raw-safe", "raw-any")


@dataclass(frozen=True, slots=True)
class Grants:
    """What a job may make a printer do, beside printing documents that are drawn here. drawer: open the cash drawer."""

    raw: Raw = "documents"
    drawer: bool = False

    def stricter(self, other: Grants) -> Grants:
        """What both allow."""
        return Grants(min(self.raw, other.raw, key=RAW_GRANTS.index), self.drawer and other.drawer)

    def to_text(self) -> str:
        """As it is stored with a job: "" is everything, else as in "raw-any,-drawer" and "raw-safe"."""
        if self == EVERYTHING:
            return ""
        return self.raw if self.drawer else f"{self.raw},-drawer"

    @staticmethod
    def from_text(text: str) -> Grants:
        """What to_text wrote. What this version does not know grants nothing."""
        raw, _, drawer = text.partition(",")
        if not text:
            return EVERYTHING
        known = next((each for each in RAW_GRANTS if each == raw), None)
        return Grants() if known is None else Grants(known, drawer == "")


EVERYTHING = Grants("raw-any", drawer=True)


# ---- requests -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One wish to print, the same whichever dialect it came in.

    declared: what the caller says the document is (never believed, only hinted). payload: the dialect's own text,
    kept to be given back unchanged. external_id, account: the identity of a job a cloud gave us. hold: launched,
    but not sent before somebody releases it. expires_at: Unix seconds; not sent afterwards. reprint_of: the job it
    repeats. user_id: whose it is, if it is somebody's. counted: for its organization, also without a quota; with
    one every job is. grants: of whoever asks; without a default, so that no dialect can forget them.
    """

    organization_id: str
    device_id: str
    dialect: str
    document: Document | None = None
    declared: str | None = None
    title: str = "Untitled"
    copies: int = 1
    options: Options = _PLAIN
    priority: int = 0
    launch: bool = True
    job_type: int = PRINTER
    payload: str | None = None
    idempotency_key: str | None = None
    key_id: str | None = None
    origin: str | None = None
    account: str | None = None
    external_id: str | None = None
    hold: bool = False
    expires_at: float | None = None
    reprint_of: str | None = None
    user_id: str | None = None
    counted: bool = False
    grants: Grants = field(kw_only=True)


# ---- rows -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Organization:
    """Who owns clients, devices, jobs, users and keys: a shop, a tenant, an account.

    parent_id: the integrator's whose sub-account it is. plan: "free", "professional", "enterprise"; None: no limits.
    jobs_quota: jobs it may send in all, None: no end. jobs_used: that it has sent.
    """

    serial: int
    id: str
    name: str
    created_at: float
    parent_id: str | None = None
    plan: str | None = None
    jobs_quota: int | None = None
    jobs_used: int = 0
    disabled_at: float | None = None


Role = Literal["admin", "user", "guest"]


@dataclass(frozen=True, slots=True)
class User:
    """A person. password, pin: scrypt, see access.people; never shown. id_code: a number people type at a printer.

    expires_at: Unix seconds, after which a guest is nobody any more.
    """

    serial: int
    id: str
    organization_id: str
    email: str | None
    name: str
    password: str | None
    role: str
    pin: str | None
    id_code: str | None
    expires_at: float | None
    created_at: float
    disabled_at: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Some of an organization's users. external_id: what another directory calls it."""

    serial: int
    id: str
    organization_id: str
    name: str
    external_id: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class Card:
    """A card a user holds against a reader. Its number is stored as a salted hash only."""

    serial: int
    id: str
    organization_id: str
    user_id: str
    salt: str
    hash: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Client:
    """A machine that runs a bridge. is_self: this one. os, version: as it says of itself."""

    serial: int
    id: str
    organization_id: str
    hostname: str
    ip_address: str | None
    description: str | None
    last_seen: float | None
    created_at: float
    is_self: bool
    os: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A printer of a client. closings, left_open: how often its far side was seen to close, or not to (see deliver).

    settings: of a printer that was added while the bridge ran, JSON with the keys of [[printers]]. talk: what is known
    of its answers to status questions, JSON; see deliver.status.
    """

    serial: int
    id: str
    organization_id: str
    client_id: str
    name: str
    device_type: int
    hardware_path: str | None
    additional_info: str | None
    created_at: float
    from_config: bool
    paused: bool
    pause_reason: str | None
    closings: int
    left_open: int
    settings: str | None = None
    talk: str | None = None
    reported: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One job as stored. Times are Unix seconds; text says what happened and what to do, for people.

    kind: what the document is ("pdf", "zpl", "raw" ...; None until known). pages: pages of the document once drawn.
    launch: 1 at the first launch, one more at each relaunch. note: what preparing did to the document (shrunk ...).
    strikes: how often it broke something of ours; see MAX_STRIKES. document_gone: its document was not kept for ever.
    grants: see Grants.to_text.
    """

    serial: int
    id: str
    organization_id: str
    client_id: str
    device_id: str
    device_name: str
    dialect: str
    key_id: str | None
    job_type: int
    title: str
    state: State
    reason: str | None
    text: str
    note: str
    evidence: str | None
    declared: str | None
    kind: str | None
    url: str | None
    size: int | None
    sha256: str | None
    copies: int
    priority: int
    options: str
    payload: str | None
    launch: int
    queued_seq: int
    pages: int | None
    attempts: int
    possible_duplicate: bool
    created_at: float
    updated_at: float
    expires_at: float | None = None
    strikes: int = 0
    reprint_of: str | None = None
    document_gone: bool = False
    grants: str = ""
    user_id: str | None = None

    @property
    def is_raw(self) -> bool:
        """True when the document goes out byte for byte (also: not known yet)."""
        return self.kind not in DRAWN


@dataclass(frozen=True, slots=True)
class Event:
    """One change of state, for timelines and `events after=N`. seq only ever grows."""

    seq: int
    at: float
    organization_id: str
    job_id: str | None
    device_id: str | None
    kind: str
    state: str | None
    text: str
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Somebody who wants to be told. dialect: in whose words. events: types, or "all". text: why it is not active."""

    serial: int
    id: str
    organization_id: str
    dialect: str
    url: str
    events: frozenset[str]
    active: bool
    text: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one webhook. state: pending, delivered, or dead (given up). status: HTTP, of the last try.

    attempts: tries so far. next_at, created_at, ended_at: Unix seconds. text: how the last try went.
    """

    serial: int
    id: str
    webhook_id: str
    organization_id: str
    job_id: str | None
    type: str
    event_seq: int | None
    body: bytes
    state: str
    attempts: int
    next_at: float
    status: int | None
    text: str
    created_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. Only its SHA-256 is stored. origins: web origins it may be used from; empty: no browser at all.

    raw, drawer: as somebody set them; None: as it is usual for a key with, or without, origins. kind: "" for a key of
    ours, else the API whose key or token it is ("olin"). user_id: whose it is. expires_at: Unix seconds.
    """

    id: str
    organization_id: str
    name: str
    sha256: str
    scopes: frozenset[str]
    origins: frozenset[str]
    created_at: float
    revoked_at: float | None = None
    raw: Raw | None = None
    drawer: bool | None = None
    kind: str = ""
    user_id: str | None = None
    expires_at: float | None = None

    @property
    def grants(self) -> Grants:
        """What its jobs may do. A key in a web page can be read by anybody who visits it, so it is trusted less."""
        for_pages = bool(self.origins)
        raw: Raw = self.raw or ("raw-safe" if for_pages else "raw-any")
        return Grants(raw, not for_pages if self.drawer is None else self.drawer)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. origin: of the web page that does, None for a program. for_pages: the key is bound to origins.

    grants: of the key; a dialect hands them on with every job. user_id: of whom the key is, if it is somebody's.

    Whoever shows a key made for pages sees its own jobs only, also as a program: anybody can read it in the page. So
    does who may do nothing but print.
    """

    organization_id: str
    key_id: str | None = None
    scopes: frozenset[str] = frozenset()
    origin: str | None = None
    for_pages: bool = False
    grants: Grants = Grants()
    user_id: str | None = None

    @property
    def own_jobs_only(self) -> bool:
        only_prints = "print" in self.scopes and not self.scopes & {"admin", "jobs", "read"}
        return self.origin is not None or only_prints or (self.for_pages and "admin" not in self.scopes)


@dataclass(slots=True)
class Progress:
    """What a running job has done so far, for people who watch. Bytes and counts, this launch.

    labels_printed: by the printer's own count, None where it has none.
    """

    pages_rendered: int = 0
    pages_total: int | None = None
    bytes_sent: int = 0
    bytes_total: int | None = None
    labels_sent: int = 0
    labels_total: int | None = None
    labels_printed: int | None = None

    def to_dict(self) -> dict[str, int | None]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Picture:
    """One label of a job, to look at. png: None when it cannot be drawn; text then says why and shows its code.

    labels: how many different labels the job has.
    """

    png: bytes | None
    text: str
    labels: int


@dataclass(slots=True)
class PrinterState:
    """A printer as its worker sees it now. state: IPP's idle | processing | stopped. reasons: IPP keywords."""

    state: str = "idle"
    reasons: tuple[str, ...] = ()
    text: str = ""
    since: float = field(default_factory=time.time)


# ---- identities -----------------------------------------------------------------------------------------------

_uuid_lock = threading.Lock()
_uuid_last = 0


def new_id() -> str:
    """A UUIDv7 (RFC 9562): sorts by creation within this process even when the clock steps back."""
    global _uuid_last
    with _uuid_lock:
        # 48 bits of milliseconds and 12 bits of fraction, forced to grow: order survives a clock that jumps.
        stamp = max(time.time_ns() * 4096 // 1_000_000, _uuid_last + 1)
        _uuid_last = stamp
    number = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
    number |= 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def to_dict(job: Job, progress: Progress | None) -> dict[str, Any]:
    """A job for our own API: everything a person or program may want to know, no document."""
    return {
        "id": job.id,
        "serial": job.serial,
        "printer": job.device_name,
        "device_id": job.device_id,
        "client_id": job.client_id,
        "dialect": job.dialect,
        "title": job.title,
        "state": job.state.value,
        "reason": job.reason,
        "text": job.text,
        "note": job.note,
        "evidence": job.evidence,
        "kind": job.kind,
        "size": job.size,
        "copies": job.copies,
        "priority": job.priority,
        "launch": job.launch,
        "pages": job.pages,
        "attempts": job.attempts,
        "possible_duplicate": job.possible_duplicate,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "expires_at": job.expires_at,
        "reprint_of": job.reprint_of,
        "document_kept": job.size is not None and not job.document_gone,
        "progress": progress.to_dict() if progress else None,
    }
