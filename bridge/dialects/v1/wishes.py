"""What callers of /v1 may say: one strict model for each request. The OpenAPI document is made of the same models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from bridge.errors import Invalid
from bridge.model import MAX_COPIES, Options, Raw, State

LATEST = 1e11  # seconds: the year 5138; what is later is no time but a typing error
YEAR_S = 366 * 86400.0


# ---- the words --------------------------------------------------------------------------------------------------


def _whole(value: Any) -> Any:
    """Digits as a number; anything else stays what it is, for the model to refuse."""
    digits = value.strip() if isinstance(value, str) else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 17 else value


def _number(value: Any) -> Any:
    """A number as forms and query strings write it."""
    if not isinstance(value, str) or len(value) > 32 or not set(value) <= set("0123456789.") or not value.isascii():
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _flag(value: Any) -> Any:
    """A yes or no as forms and query strings write it."""
    if not isinstance(value, str):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)


def _states(value: Any) -> Any:
    """"queued,held" -> a list of states."""
    if not isinstance(value, str):
        return value
    names = [name.strip() for name in value.split(",") if name.strip()]
    for name in names:
        if name not in _STATES:
            raise ValueError(f"{name[:40]!r} is no state; use any of {', '.join(State)}")
    return [State(name) for name in names]


def _moment(value: Any) -> Any:
    """A time as Unix seconds; ISO 8601 needs a zone, because two machines may live in two."""
    number = _number(value)
    if not isinstance(number, str):
        return number
    try:
        read = datetime.fromisoformat(number)
    except ValueError:
        raise ValueError("a time is Unix seconds, or ISO 8601 with a zone: 2026-12-24T18:00:00+01:00") from None
    if read.tzinfo is None:
        raise ValueError("the time has no zone; add Z or +01:00") from None
    return read.timestamp()


def _printable(name: str) -> str:
    """What people are to read, and to type again."""
    if not name.isprintable() or not name.strip():
        raise ValueError("a name is made of printable characters")
    return name.strip()


_SPELT: dict[str, str] = {}
"""A pattern -> the same in words."""


def _spelt(pattern: str, words: str) -> Any:
    """A text of this form. words: how a refusal says it."""
    _SPELT[pattern] = words
    return Field(pattern=pattern)


_STATES = frozenset(State)
Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, BeforeValidator(_number)]
Name = Annotated[str, AfterValidator(_printable)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Moment = Annotated[
    float,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "format": "date-time"}]}),
]
States = Annotated[list[State], BeforeValidator(_states)]
Scope = Literal["admin", "jobs", "printers", "print", "read"]
Plan = Literal["free", "professional", "enterprise"]
Role = Literal["admin", "user", "guest"]
KeyKind = Literal["", "cloudlayer", "printcloud"]
OrganizationId = Annotated[str, _spelt(r"^[A-Za-z0-9-]{1,64}$", "1 to 64 letters, digits and hyphens")]
NewOrganizationId = Annotated[
    str,
    _spelt(
        r"^[A-Za-z0-9][A-Za-z0-9-]{7,63}$", "8 to 64 letters, digits and hyphens, beginning with a letter or digit"
    ),
]
NewPrinterId = Annotated[
    str,
    _spelt(
        r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        "1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit",
    ),
]
Ref = Annotated[str, Field(min_length=1, max_length=64)]
HeldReason = Literal["size", "proof", "release", "stale", "poison", "restored"]


class Wish(BaseModel):
    """Strict: 2.0 is not 2, true is not 1, and a key nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    secrets: ClassVar[frozenset[str]] = frozenset()
    """What of it must not be kept in any form that can be guessed quickly."""


class Nothing(Wish):
    """There is nothing to say here."""


# ---- jobs -------------------------------------------------------------------------------------------------------


class JobOptions(Wish):
    """How a document is to be printed."""

    rotate: Annotated[Literal["auto", 0, 90, 180, 270], BeforeValidator(_whole)] = Field(
        "auto", description="degrees clockwise; auto turns a page that fits better that way"
    )
    fit: Literal["shrink", "none"] = Field("shrink", description="shrink to the label, never enlarge; or cut off")
    dither: Flag = Field(False, description="for photographs")
    collate: Flag | None = Field(None, description="copies as 1-2-3, 1-2-3; null: when there are several pages")
    force: Flag = Field(False, description="send printer code in a language the printer does not speak")
    pages: Annotated[str, _spelt(r"^[0-9]{1,6}(-[0-9]{1,6})?$", "one page, as 2, or several, as 2-5")] | None = Field(
        None, description='only these pages, from 1: "2" or "2-5"'
    )


class NewJob(Wish):
    """A new job. The document is exactly one of document_base64, document_url, template, receipt, text, or a file in a
    form."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"printer": "virtual", "document_base64": "XlhBXkZPNTAsNTBeQTBOLDQwLDQwXkZEaGVsbG9eRlNeWFo=",
                 "title": "Parcel 4711", "copies": 2},
                {"printer": "virtual", "document_url": "http://files.example/label.pdf", "options": {"pages": "2-5"},
                 "launch": False},
                {"printer": "virtual", "template": "test-4x6",
                 "fields": {"printer": "virtual", "when": "2026-01-31 12:00:00", "bridge": "till-3",
                            "code": "PB-20260131-120000"}},
            ]
        }
    )  # fmt: skip

    printer: str = Field(min_length=1, description="id or name")
    document_base64: str | None = Field(None, description="the document itself")
    document_url: str | None = Field(None, description="where the bridge fetches it, http or https")
    template: str | None = Field(None, description="a label template by name")
    fields: dict[str, str] = Field({}, description="what goes into the template")
    receipt: list[dict[str, Any]] | None = Field(
        None, min_length=1, max_length=2000, description='a receipt, element by element: [{"text": "Total"}]'
    )
    text: str | None = Field(None, min_length=1, description="plain text, for a receipt printer")
    document_type: str | None = Field(None, description="only a hint: the bytes decide")
    title: str = "Untitled"
    copies: Whole = Field(1, ge=1, le=MAX_COPIES)
    priority: Whole = Field(0, ge=0, le=100, description="higher goes first")
    options: JobOptions = JobOptions()
    launch: Flag = Field(True, description="false: store it, print it when it is launched")
    hold: Flag = Field(False, description="true: wait until somebody releases it")
    expires_at: Moment | None = Field(
        None, gt=0, lt=LATEST, description="not printed after this time: Unix seconds, or ISO 8601 with a zone"
    )
    expires_in_s: Number | None = Field(None, gt=0, le=10 * YEAR_S, description="the same, in seconds from now")

    @model_validator(mode="after")
    def _one_end(self) -> NewJob:
        if self.expires_at is not None and self.expires_in_s is not None:
            raise ValueError("give expires_at or expires_in_s, not both")
        return self

    def to_options(self) -> Options:
        return Options(**self.options.model_dump())


class JobsQuery(Wish):
    """Which jobs."""

    printer: str | None = Field(None, description="id or name")
    state: States | None = Field(None, description="any of these, separated by commas")
    q: str | None = Field(None, max_length=255, description="a part of the title")
    reason: HeldReason | None = Field(None, description="held for this reason")
    limit: Whole = Field(50, ge=1, le=500)
    offset: Whole = Field(0, ge=0, le=2**53)


class Resolve(Wish):
    """What a person saw at the printer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"answer": "printed"}]})

    answer: Literal["printed", "again", "cancel"]


class Move(Wish):
    """Where a job is to go."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"printer": "spare"}]})

    printer: str = Field(min_length=1, description="id or name")


class Reprint(Wish):
    """What of a job is to be printed once more; nothing: all of it, as before."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"copies": 1}]})

    label: Whole | None = Field(None, ge=1, le=1_000_000, description="only this label, from 1")
    copies: Whole | None = Field(None, ge=1, le=MAX_COPIES)
    printer: str | None = Field(None, min_length=1, description="id or name; null: the same one")


class HeldJobs(Wish):
    """Which of the held jobs; nothing: all of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"printer": "virtual", "reason": "stale"}]})

    printer: str | None = Field(None, min_length=1, description="id or name")
    reason: HeldReason | None = None


# ---- printers ---------------------------------------------------------------------------------------------------


class PrinterChanges(Wish):
    """Settings of a printer; those that are left out stay as they are. See [[printers]] in the README."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dpi": 300, "width_mm": 50, "height_mm": 25}]})

    name: Name = Field("", min_length=1, max_length=200)
    uri: str = Field("", min_length=1, max_length=2000, description="how it is reached: tcp://192.168.1.40")
    language: str = Field("zpl", max_length=64)
    dpi: Whole = Field(203, ge=50, le=2400)
    width_mm: Number = Field(101.6, gt=0, le=1000)
    height_mm: Number | None = Field(152.4, ge=0, le=10000, description="null or 0: continuous")
    status: Literal["auto", "off"] = "auto"
    half_close: Flag = True
    ordered: Flag = False
    hold_older_than_s: Number | None = Field(None, gt=0, le=YEAR_S)
    mdns: str | None = Field(None, min_length=1, max_length=255, description="its mDNS name, to find it when it moved")
    mac: str | None = Field(None, max_length=17, description="its MAC, to find it when it moved")
    connect_s: Number = Field(4, gt=0, le=60)
    stall_s: Number = Field(30, gt=0, le=3600)
    darkness: Whole | None = Field(None, ge=-99, le=200, description="in the printer's own scale; null: as it is set")
    speed: Number | None = Field(None, ge=0, le=14, description="inches a second")
    tracking: Literal["gap", "mark", "continuous"] | None = None
    gap_mm: Number | None = Field(None, ge=0, le=50)
    tear_off: Whole | None = Field(None, ge=-120, le=120, description="dots")
    mode: Literal["tear-off", "peel-off", "rewind", "cutter", "applicator"] | None = None
    profile: str | None = Field(None, min_length=1, max_length=64, description="of a receipt printer")
    cut: Literal["auto", "none", "partial", "full"] = "auto"
    cut_each: Literal["page", "copy", "job"] = "copy"
    feed_mm: Number | None = Field(None, ge=0, le=200)
    code_page: str | None = Field(None, min_length=1, max_length=32)

    def settings(self) -> dict[str, Any]:
        """Only what was said."""
        return self.model_dump(exclude_unset=True)


class NewPrinter(PrinterChanges):
    """A printer to set up: the keys of [[printers]]."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "spare", "uri": "virtual://spare", "dpi": 203}]}
    )

    name: Name = Field(min_length=1, max_length=200)
    uri: str = Field(min_length=1, max_length=2000, description="how it is reached: tcp://192.168.1.40")
    id: NewPrinterId | None = Field(
        None, description="null: one is made. It stands in addresses, so letters, digits, dots and dashes only"
    )


class DiscoverQuery(Wish):
    """Where to look."""

    mdns_s: Number = Field(2.0, ge=0, le=10, description="seconds to listen for network printers")
    subnet: str | None = Field(None, max_length=64, description="192.168.1.0/24: port 9100 is tried, no byte is sent")


class RemovePrinter(Wish):
    """What becomes of the jobs that wait for it."""

    jobs: Literal["cancel", "keep"] = Field("keep", description="keep: refused while jobs wait or are held")


class Drawer(Wish):
    """Which cash drawer, and how long the pulse that opens it lasts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pin": 2}]})

    pin: Annotated[Literal[2, 5], BeforeValidator(_whole)] = Field(2, description="of the drawer's plug")
    on_ms: Whole = Field(50, ge=10, le=510, multiple_of=2, description="milliseconds")
    off_ms: Whole = Field(250, ge=10, le=510, multiple_of=2, description="milliseconds of rest after it")

    @model_validator(mode="after")
    def _rests(self) -> Drawer:
        if self.off_ms < self.on_ms:
            raise ValueError("off_ms must not be shorter than on_ms")
        return self


class Pause(Wish):
    """Why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "new roll"}]})

    reason: str = Field("", max_length=200)


# ---- events -----------------------------------------------------------------------------------------------------


class EventsQuery(Wish):
    """Which events."""

    after: Whole = Field(0, ge=0, le=2**53, description="seq of the last event already seen")
    limit: Whole = Field(100, ge=1, le=500)
    wait: Number = Field(0.0, ge=0, le=30, description="seconds to wait for the first one")


class StreamQuery(Wish):
    """From where on. The header Last-Event-ID overrules it."""

    after: Whole = Field(0, ge=0, le=2**53, description="seq of the last event already seen")


# ---- keys -------------------------------------------------------------------------------------------------------


_SCOPES = "admin: everything; jobs; printers: look; print: new jobs, nothing else; read: look at jobs and printers"
_RAW = "printer code it may send: documents (none), raw-safe (only commands that print), raw-any"


class KeyChanges(Wish):
    """What of a key is to change; what is left out or null stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "till 4"}]})

    name: str | None = Field(None, min_length=1, max_length=200)
    scopes: list[Scope] | None = Field(None, min_length=1, max_length=5)
    origins: list[str] | None = Field(None, max_length=100, description="web pages that may use it")
    raw: Raw | None = Field(None, description=_RAW)
    drawer: Flag | None = Field(None, description="whether it may open the cash drawer")


class NewKey(Wish):
    """An API key to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "shop page", "scopes": ["jobs"], "origins": ["https://shop.example"]}]
        }
    )

    name: str = Field(min_length=1, max_length=200)
    scopes: list[Scope] = Field(["jobs", "printers"], min_length=1, max_length=5, description=_SCOPES)
    origins: list[str] = Field([], max_length=100, description="web pages that may use it; none: programs only")
    raw: Raw | None = Field(None, description=f"{_RAW}; null: raw-safe for a key with origins, else raw-any")
    drawer: Flag | None = Field(
        None, description="whether it may open the cash drawer; null: no for a key with origins, else yes"
    )
    organization: OrganizationId | None = Field(None, description="whose it is to be, by id; null: this key's own")
    user: Ref | None = Field(None, description="a user it ends with, by id")
    kind: KeyKind = Field("", description='how its text looks: "" as ours, or as of a cloud whose programs expect that')
    expires_at: Moment | None = Field(None, gt=0, lt=LATEST, description="when it is over: Unix seconds, or ISO 8601")


class Binding(Wish):
    """A web origin and the key its pages may use."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"origin": "https://shop.example", "key": "0197df47-871f-72d1-95df-2bfb0c18529a"}]
        }
    )

    origin: str = Field(min_length=1, max_length=255)
    key: str = Field(min_length=1, max_length=64, description="its id")


class Unbinding(Wish):
    """A web origin, and the key it is to be taken from; null: from all that are not the configuration's."""

    origin: str = Field(min_length=1, max_length=255)
    key: str | None = Field(None, min_length=1, max_length=64, description="its id")


class KeysQuery(Wish):
    """Whose keys."""

    organization: OrganizationId | None = Field(None, description="id; null: of this key's own organization")


# ---- organizations ----------------------------------------------------------------------------------------------

_PLAN = "its limits in the APIs that have plans; null: none"
_QUOTA = "jobs it may send in all, where an API counts them; null: no end"


class NewOrganization(Wish):
    """A tenant or account to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Shop 2", "jobs_quota": 1000}]})

    name: Name = Field(min_length=1, max_length=255)
    id: NewOrganizationId | None = Field(None, description="null: one is made")
    parent: OrganizationId | None = Field(None, description="whose sub-account it is, by id")
    plan: Plan | None = Field(None, description=_PLAN)
    jobs_quota: Whole | None = Field(None, ge=0, le=10**12, description=_QUOTA)


class OrganizationChanges(Wish):
    """What is to be different; what is left out stays. null takes plan and quota away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Shop 3", "jobs_quota": None}]})

    name: Name = Field("", min_length=1, max_length=255)
    plan: Plan | None = Field(None, description=_PLAN)
    jobs_quota: Whole | None = Field(None, ge=0, le=10**12, description=_QUOTA)
    jobs_used: Whole = Field(0, ge=0, le=10**12, description="jobs counted so far")
    disabled: Flag = Field(False, description="true: its keys open nothing until it is false again")


# ---- people -----------------------------------------------------------------------------------------------------

_PASSWORD = "8 to 1024 characters; without one nobody can log in"
_PIN = "4 to 1024 characters"


class _UserWords(Wish):
    secrets: ClassVar[frozenset[str]] = frozenset({"password", "pin"})

    email: str | None = Field(None, min_length=3, max_length=255, description="to log in with; one person's only")
    password: str | None = Field(None, min_length=8, max_length=1024, description=_PASSWORD)
    pin: str | None = Field(None, min_length=4, max_length=1024, description=_PIN)
    expires_at: Moment | None = Field(None, gt=0, lt=LATEST, description="when a guest is nobody any more")
    groups: list[Ref] | None = Field(None, max_length=200, description="ids of the groups the user is in")


class NewUser(_UserWords):
    """Somebody to add."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Ada", "email": "ada@shop.example", "password": "correct horse"}]}
    )

    name: Name = Field(min_length=1, max_length=255)
    role: Role = "user"
    organization: OrganizationId | None = Field(None, description="id; null: this key's own")


class UserChanges(_UserWords):
    """What is to be different; what is left out or null stays. A new password ends every key of the user."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "admin", "disabled": False}]})

    name: Name | None = Field(None, min_length=1, max_length=255)
    role: Role | None = None
    disabled: Flag | None = Field(None, description="true: nobody can log in as this user, and its keys are over")


class UsersQuery(Wish):
    """Which users."""

    organization: OrganizationId | None = Field(None, description="id; null: this key's own")
    q: str | None = Field(None, max_length=255, description="a part of the name or address")
    limit: Whole = Field(50, ge=1, le=500)
    offset: Whole = Field(0, ge=0, le=2**53)


class NewGroup(Wish):
    """A group of users to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Warehouse"}]})

    name: Name = Field(min_length=1, max_length=255)
    external_id: str | None = Field(None, min_length=1, max_length=255, description="what another directory calls it")
    organization: OrganizationId | None = Field(None, description="id; null: this key's own")


class GroupsQuery(Wish):
    """Whose groups."""

    organization: OrganizationId | None = Field(None, description="id; null: this key's own")


class NewCard(Wish):
    """A card a user holds against a reader."""

    secrets: ClassVar[frozenset[str]] = frozenset({"number"})
    model_config = ConfigDict(json_schema_extra={"examples": [{"number": "04:A2:3B:91"}]})

    number: str = Field(min_length=1, max_length=255, description="as the reader says it; kept as a hash only")


# ---- webhooks ---------------------------------------------------------------------------------------------------


WebhookUrl = Annotated[str, Field(min_length=1, max_length=2048, description="https; http only to this machine")]
WebhookEvents = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]],
    Field(min_length=1, max_length=20, description="job.created, job.state, printer.state, client.connected, "
          "client.disconnected, ping, or all"),
]  # fmt: skip
Secret = Annotated[str, Field(min_length=1, max_length=512), _spelt(r"^[ -~]+$", "letters, digits and signs of ASCII")]


class WebhooksQuery(Wish):
    """Whose webhooks."""

    organization: OrganizationId | None = Field(None, description="id; null: this key's own")


class NewWebhook(Wish):
    """Whom to tell what."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://shop.example/hook", "events": ["job.state", "printer.state"]}]}
    )

    url: WebhookUrl
    events: WebhookEvents
    secret: Secret | None = Field(None, description="null makes one: whsec_ and 32 bytes in base64")
    organization: OrganizationId | None = Field(None, description="id; null: this key's own")


class WebhookChanges(Wish):
    """What is to be different."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"active": False}]})

    url: WebhookUrl | None = None
    events: WebhookEvents | None = None
    active: Flag | None = None
    secret: Secret | None = Field(None, description="the old one signs beside it until the next change")


class DeliveriesQuery(Wish):
    """Which lines of the delivery log."""

    organization: OrganizationId | None = Field(None, description="id; null: this key's own")
    webhook: str | None = Field(None, max_length=64, description="id")
    state: Literal["pending", "delivered", "dead"] | None = None
    limit: Whole = Field(50, ge=1, le=500)
    offset: Whole = Field(0, ge=0, le=2**53)


# ---- reading them -----------------------------------------------------------------------------------------------

Understood = TypeVar("Understood", bound=Wish)


def understood(model: type[Understood], given: dict[str, Any]) -> Understood:
    """What was given, checked. Raises Invalid that names the first field at fault."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _explained(model, error) from error


def _explained(model: type[Wish], error: ValidationError) -> Invalid:
    found = error.errors(include_url=False, include_input=False)
    # A name nobody knows first: it is the likely reason why another is missing.
    finding = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    place = [str(part) for part in finding["loc"]]
    if finding["type"] == "extra_forbidden":
        inside = JobOptions if len(place) > 1 else model
        allowed = ", ".join(inside.model_fields) or "nothing"
        return Invalid(f"unknown key {place[-1][:64]!r}", field=".".join(place)[:128],
                       remedy=f"allowed here: {allowed}")  # fmt: skip
    # Of a union pydantic names the member it tried ("literal[...]") after the field: that is no part of its name.
    known = {*model.model_fields, *JobOptions.model_fields}
    field = ".".join(part for number, part in enumerate(place) if number == 0 or part in known or place[0] == "fields")
    told = finding["msg"].removeprefix("Value error, ")
    if finding["type"] == "string_pattern_mismatch":
        told = f"must be {_SPELT[finding['ctx']['pattern']]}"
    said = "is missing" if finding["type"] == "missing" else told[:1].lower() + told[1:]
    return Invalid(f"{field}: {said}" if field else said, field=field[:128] or None)
