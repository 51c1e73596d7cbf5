"""What callers of /v1 may say: one strict model for each request. The OpenAPI document is made of the same models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

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
from bridge.model import MAX_COPIES, Options, State

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
Scope = Literal["admin", "jobs", "printers"]
HeldReason = Literal["size", "proof", "release", "stale", "poison", "restored"]


class Wish(BaseModel):
    """Strict: 2.0 is not 2, true is not 1, and a key nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


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
    pages: str | None = Field(
        None, pattern=r"^[0-9]{1,6}(-[0-9]{1,6})?$", description='only these pages, from 1: "2" or "2-5"'
    )


class NewJob(Wish):
    """A new job. The document is exactly one of document_base64, document_url, template, or a file in a form."""

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
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None = Field(
        None, description="null: one is made. It stands in addresses, so letters, digits, dots and dashes only"
    )


class DiscoverQuery(Wish):
    """Where to look."""

    mdns_s: Number = Field(2.0, ge=0, le=10, description="seconds to listen for network printers")
    subnet: str | None = Field(None, max_length=64, description="192.168.1.0/24: port 9100 is tried, no byte is sent")


class RemovePrinter(Wish):
    """What becomes of the jobs that wait for it."""

    jobs: Literal["cancel", "keep"] = Field("keep", description="keep: refused while jobs wait or are held")


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


class KeyChanges(Wish):
    """What of a key is to change; what is left out or null stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "till 4"}]})

    name: str | None = Field(None, min_length=1, max_length=200)
    scopes: list[Scope] | None = Field(None, min_length=1, max_length=3)
    origins: list[str] | None = Field(None, max_length=100, description="web pages that may use it")


class NewKey(Wish):
    """An API key to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "shop page", "scopes": ["jobs"], "origins": ["https://shop.example"]}]
        }
    )

    name: str = Field(min_length=1, max_length=200)
    scopes: list[Scope] = Field(["jobs", "printers"], min_length=1, max_length=3)
    origins: list[str] = Field([], max_length=100, description="web pages that may use it; none: programs only")


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


# ---- reading them -----------------------------------------------------------------------------------------------

Understood = TypeVar("Understood", bound=Wish)


def understood(model: type[Understood], given: dict[str, Any]) -> Understood:
    """What was given, checked. Raises Invalid that names the first field at fault."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _explained(model, error) from error


def _explained(model: type[Wish], error: ValidationError) -> Invalid:
    found = error.errors(include_url=False, include_input=False, include_context=False)
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
    said = "is missing" if finding["type"] == "missing" else told[:1].lower() + told[1:]
    return Invalid(f"{field}: {said}" if field else said, field=field[:128] or None)
