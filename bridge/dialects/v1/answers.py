"""What callers of /v1 get, written once for the OpenAPI document. A test holds real answers against these.

Times are Unix seconds unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from bridge.dialects.v1.wishes import HeldReason, Plan, Role, Scope
from bridge.intake import openapi
from bridge.model import Raw, State

Count = Annotated[int, Field(ge=0)]


# ---- errors -----------------------------------------------------------------------------------------------------


@dataclass
class Refusal:
    """code: stable, for programs. text: what and where. remedy: what to do about it. field: the one at fault."""

    code: str
    text: Annotated[str, Field(min_length=1)]
    remedy: Annotated[str, Field(min_length=1)]
    field: str = ""


@dataclass
class Error:
    """Every answer that is no success."""

    error: Refusal


# ---- the bridge -------------------------------------------------------------------------------------------------


@dataclass
class Hello:
    """Who answers here. ws: where WebSockets are served; null: nowhere."""

    product: Literal["print-bridge"]
    version: str
    api: list[str]
    dialects: list[str]
    ws: str | None


@dataclass
class OpenApi(openapi.OpenApi):
    """An OpenAPI 3.1 document."""

    tags: list[dict[str, Any]]


@dataclass
class Disk:
    """low: less than the reserve is free, and no new job is taken in."""

    free_bytes: Count
    total_bytes: Count
    reserve_bytes: Count
    low: bool


@dataclass
class Database:
    """status: ok; anything else is told in text, such as a damaged one that was replaced at the start."""

    status: str
    text: str
    size_bytes: Count


@dataclass
class Configuration:
    """status: last-good when the file is broken and the one before it is in use; text says what is wrong."""

    status: Literal["ok", "last-good"]
    file: str
    text: str


@dataclass
class Clock:
    """status: suspect when it cannot be right; then nothing expires."""

    status: Literal["ok", "suspect"]
    text: str


@dataclass
class PrinterGlance:
    """How one printer is."""

    name: str
    state: Literal["idle", "processing", "stopped"] | None
    reasons: list[str]
    text: str
    waiting: Count


@dataclass
class Health:
    """status: ok; warning when something wants a person's eye; degraded (and 503) when a loop is dead.

    loops: whether each lives. restarts: how often each was started again. jobs: how many in each state. engines:
    versions; null where one is not installed. listeners: callers that wait for events.
    """

    status: Literal["ok", "warning", "degraded"]
    version: str
    pid: int
    loops: dict[str, bool]
    restarts: dict[str, int]
    disk: Disk
    database: Database
    config: Configuration
    clock: Clock
    jobs: dict[str, int]
    printers: list[PrinterGlance]
    listeners: Count
    engines: dict[str, str | None]


@dataclass
class Reloaded:
    """changed: what is different now, in words. needs_restart: settings that are read at the start alone."""

    changed: list[str]
    needs_restart: list[str]
    config: Configuration


@dataclass
class Event:
    """One change of state. seq only ever grows. kind: job or printer."""

    seq: int
    at: float
    kind: str
    job_id: str | None
    printer_id: str | None
    state: str | None
    text: str


@dataclass
class Events:
    """last: what to give as after next time."""

    events: list[Event]
    last: int


# ---- printers ---------------------------------------------------------------------------------------------------


@dataclass
class Printer:
    """A printer.

    state: null where its machine does not say. reasons: IPP's printer-state-reasons. text: why it is not simply
    ready, and what to do. waiting: jobs in its queue, the one being sent included. held: jobs that wait for a person.
    settings: as in [[printers]]; null for keys without the scope admin, and for a printer of another machine. lent: it
    belongs to another organization, and can only be printed on.
    evidence: the best it can say of a label: counter (its label counter went up), idle (it says that nothing is left to
    print), or how its connection ended; null before its first label.
    """

    id: str
    name: str
    client_id: str
    state: Literal["idle", "processing", "stopped"] | None
    reasons: list[str]
    text: str
    paused: bool
    waiting: Count
    evidence: str | None
    held: Count
    from_config: bool
    lent: bool
    settings: dict[str, Any] | None


@dataclass
class Printers:
    """All printers."""

    printers: list[Printer]


@dataclass
class Candidate:
    """A printer that could be added. settings: for POST /v1/printers. added: the printer that has it already.

    reason: why it is taken for this model. trouble: why it cannot be printed to now. others: its other addresses.
    likely: false for a serial port that does not say what is connected to it.
    """

    uri: str
    name: str
    label: str
    model: str | None
    reason: str
    where: str
    serial: str
    trouble: str
    others: list[str]
    likely: bool
    added: str | None
    settings: dict[str, Any]


@dataclass
class Candidates:
    """remarks: what could not be looked at, and why."""

    candidates: list[Candidate]
    remarks: list[str]


# ---- jobs -------------------------------------------------------------------------------------------------------


@dataclass
class Progress:
    """What this launch of a job has done; null where nobody knows."""

    pages_rendered: Count | None
    pages_total: Count | None
    bytes_sent: Count | None
    bytes_total: Count | None
    labels_sent: Count | None
    labels_total: Count | None
    labels_printed: Count | None


@dataclass
class Job:
    """A job.

    reason: why it is held. text: what happened and what to do. note: what preparing did to the document. evidence: how
    the bridge knows that it was delivered. kind: what the document is, null until that is known. launch: 1 at the first
    launch. reprint_of: the job this one repeats. document_kept: whether it can be printed once more.
    """

    id: str
    serial: int
    printer: str
    device_id: str
    client_id: str
    dialect: str
    title: str
    state: State
    reason: HeldReason | None
    text: str
    note: str
    evidence: str | None
    kind: str | None
    size: Count | None
    copies: int
    priority: int
    launch: Count
    pages: Count | None
    attempts: Count
    possible_duplicate: bool
    created_at: float
    updated_at: float
    expires_at: float | None
    reprint_of: str | None
    document_kept: bool
    progress: Progress | None


@dataclass
class Step:
    """One state of a job. ms: milliseconds since the state before."""

    state: str
    at: float
    ms: Count
    text: str


@dataclass
class Attempt:
    """One sending of a job. bytes_sent: null while it lasts, and when nobody knows.

    counter: where the printer's label counter stood before it; null when the printer tells none.
    """

    number: int
    launch: int
    device_id: str
    copies: int
    pages: Count | None
    bytes_total: Count | None
    bytes_sent: Count | None
    possible_duplicate: bool
    started_at: float
    ended_at: float | None
    result: State | None
    evidence: str | None
    text: str
    counter: Count | None


@dataclass
class JobStory(Job):
    """A job with everything that happened to it."""

    timeline: list[Step]
    attempts: list[Attempt]  # type: ignore[assignment]  # the sendings themselves stand in the place of their number


@dataclass
class Jobs:
    """A page of jobs. total: how many there are on all pages."""

    jobs: list[Job]
    total: Count


@dataclass
class Released:
    """How many jobs were released."""

    released: Count


@dataclass
class Discarded:
    """How many jobs were cancelled."""

    discarded: Count


# ---- keys -------------------------------------------------------------------------------------------------------


@dataclass
class Key:
    """An API key, but never its text. origins: web pages that may use it; none: programs only.

    raw: the printer code it may send: none, only what prints, or any. drawer: whether it may open the cash drawer.
    kind: the API whose key or token it is, "" for ours. user: id of the user it ends with.
    """

    id: str
    name: str
    organization: str
    kind: str
    user: str | None
    scopes: list[Scope]
    origins: list[str]
    raw: Raw
    drawer: bool
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    from_config: bool


@dataclass
class NewKeyMade(Key):
    """A new key. key: its text, shown this once; null when it was made before, for the same Idempotency-Key."""

    key: str | None


@dataclass
class Keys:
    """All keys, revoked ones too."""

    keys: list[Key]


@dataclass
class KeyName:
    """Which key."""

    id: str
    name: str


@dataclass
class Origin:
    """A web origin and the keys its pages may use."""

    origin: str
    keys: list[KeyName]


@dataclass
class Origins:
    """Every web origin that may print."""

    origins: list[Origin]


# ---- organizations and people -----------------------------------------------------------------------------------


@dataclass
class PrinterName:
    """Which printer."""

    id: str
    name: str


@dataclass
class Organization:
    """A tenant or account. own: the one this bridge belongs to. parent: whose sub-account it is.

    jobs_used: jobs that counted against the quota. borrows: printers of others it may print on.
    """

    id: str
    name: str
    own: bool
    parent: str | None
    plan: Plan | None
    jobs_quota: Count | None
    jobs_used: Count
    borrows: list[PrinterName]
    created_at: float
    disabled_at: float | None


@dataclass
class Organizations:
    """The organizations the caller may know of: all for the bridge's own, else itself alone."""

    organizations: list[Organization]


@dataclass
class User:
    """Somebody. groups: ids. has_password: without one nobody can log in."""

    id: str
    organization: str
    name: str
    email: str | None
    role: Role
    groups: list[str]
    has_password: bool
    has_pin: bool
    expires_at: float | None
    created_at: float
    disabled_at: float | None


@dataclass
class Users:
    """A page of users. total: how many there are on all pages."""

    users: list[User]
    total: Count


@dataclass
class Group:
    """Some of an organization's users. members: ids."""

    id: str
    organization: str
    name: str
    external_id: str | None
    members: list[str]
    created_at: float


@dataclass
class Groups:
    """All groups."""

    groups: list[Group]


@dataclass
class Card:
    """A card, but never its number."""

    id: str
    created_at: float


@dataclass
class Cards:
    """All cards of a user."""

    cards: list[Card]


# ---- webhooks ---------------------------------------------------------------------------------------------------


@dataclass
class Webhook:
    """Somebody who is told what happens. dialect: the API it was made by, in whose words it is told."""

    id: str
    organization: str
    url: str
    events: list[str]
    dialect: str
    active: bool
    text: str
    created_at: float


@dataclass
class NewWebhookMade(Webhook):
    """A new webhook. secret: what its messages are signed with, shown this once."""

    secret: str


@dataclass
class Webhooks:
    """All webhooks."""

    webhooks: list[Webhook]


@dataclass
class Delivery:
    """One message. state: dead is given up. status: HTTP, of the last try. body: what was, or will be, sent."""

    id: str
    webhook_id: str
    type: str
    job_id: str | None
    state: Literal["pending", "delivered", "dead"]
    attempts: Count
    status: int | None
    text: str
    next_at: float | None
    created_at: float
    ended_at: float | None
    body: str


@dataclass
class Deliveries:
    """The delivery log, newest first. total: how many lines it has."""

    deliveries: list[Delivery]
    total: Count
