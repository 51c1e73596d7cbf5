"""What callers may say: one model for each request. The OpenAPI document is made of the same models.

Names nobody knows are passed over, as clouds do. Blanks around names and values are not meant, null is the same as
nothing, and numbers and booleans may come as text.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from bridge.errors import BadRequest, Invalid
from bridge.model import MAX_COPIES

PAGES_MAX = 1000  # characters


def _whole(value: Any) -> Any:
    """Digits as a number; anything else stays what it is, for the model to refuse."""
    number = value.strip() if isinstance(value, str) else ""
    digits = number.removeprefix("-")
    return int(number) if digits.isascii() and digits.isdigit() and len(digits) < 17 else value


def _flag(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(value.lower(), value)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _id(value: Any) -> Any:
    """Ids are text; callers that knew PrintNode send numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _events(value: Any) -> Any:
    return [each.strip() if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Id = Annotated[
    str, BeforeValidator(_id), Field(min_length=1, max_length=255),
    WithJsonSchema({"type": ["string", "integer"], "minLength": 1, "maxLength": 255}),
]  # fmt: skip
Line = Annotated[str, Field(min_length=1, max_length=200)]
ContentType = Literal["pdf_uri", "pdf_base64", "raw_uri", "raw_base64"]


class Wish(BaseModel):
    """Strict in types: 2.0 is not 2, true is not 1."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Nothing(Wish):
    """There is nothing to say here."""


# ---- print jobs -------------------------------------------------------------------------------------------------


class PrintOptions(Wish):
    """How it is to be printed. color, duplex, paper and media are for office printers: label printers have none."""

    copies: Whole = Field(1, ge=1, le=MAX_COPIES)
    color: Flag | None = Field(None, description="for printers of other computers")
    duplex: Annotated[Literal["one-sided", "long-edge", "short-edge"], BeforeValidator(_lower)] | None = Field(
        None, description="for printers of other computers"
    )
    paper: Line | None = Field(None, description="name of a paper size; for printers of other computers")
    media: Line | None = Field(None, description="name of a tray; for printers of other computers")
    pages: Annotated[str, BeforeValidator(_id)] | None = Field(
        None, max_length=PAGES_MAX,
        description='"2", "1-5" or "1,3,5"; the printers of this computer take one range of pages in a job',
    )  # fmt: skip
    fit_to_page: Flag | None = Field(None, description="shrink a page that is larger than the label; false: cut off")


class NewPrintJob(Wish):
    """A document and where it is to be printed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"printerId": "virtual", "contentType": "raw_base64", "title": "Shipping Label", "qty": 2,
                 "content": "XlhBXkZPNTAsNTBeQTBOLDQwLDQwXkZEaGVsbG9eRlNeWFo="},
                {"printerId": "virtual", "contentType": "pdf_uri", "content": "http://files.example/invoice.pdf",
                 "title": "Invoice #456", "options": {"copies": 2, "pages": "1-5"}},
            ]
        }
    )  # fmt: skip

    printerId: Id = Field(description="id of a printer, or the name of one of this computer")
    contentType: Annotated[ContentType, BeforeValidator(_lower)]
    content: str = Field(min_length=1, description="the document in base64, or its address (http, https)")
    title: str = "Untitled"
    qty: Whole = Field(1, ge=1, le=MAX_COPIES, description=f"times options.copies: at most {MAX_COPIES} in all")
    options: PrintOptions = PrintOptions()


class JobsQuery(Wish):
    """Which jobs."""

    limit: Whole = Field(100, description="1 to 500; what is beyond is taken for the nearest")
    dir: Annotated[Literal["asc", "desc"], BeforeValidator(_lower)] = Field("desc", description="desc: newest first")
    after: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="id of a job: only those that come after it in this order"
    )


# ---- webhooks ---------------------------------------------------------------------------------------------------


class NewWebhook(Wish):
    """Whom to tell what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://your.server/hook", "secret": "my_secret_123",
                          "events": ["job.state", "printer.state"]}]
        }
    )  # fmt: skip

    url: str = Field(min_length=1, max_length=2048, description="https; http only to this machine")
    events: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], BeforeValidator(_events)] = Field(
        ["all"], min_length=1, max_length=20,
        description="all, job.created, job.state, computer.connected, computer.disconnected, printer.state",
    )  # fmt: skip
    secret: str | None = Field(
        None, min_length=1, max_length=512, pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="comes back in every message; left out, one is made and told in this answer alone",
    )  # fmt: skip


# ---- keys and people --------------------------------------------------------------------------------------------


class NewApiKey(Wish):
    """An API key to make."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"description": "Production", "permission": "full"}]})

    description: Line = "API key"
    permission: Annotated[Literal["full", "print_only", "read_only"], BeforeValidator(_lower)] = Field(
        "full", description="print_only: POST /printjobs and nothing else; read_only: GET and nothing else"
    )


class Login(Wish):
    """Who somebody is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "user@example.com", "password": "your_password"}]}
    )

    email: str = Field(min_length=1, max_length=255)
    password: str = Field(min_length=1, max_length=1024)
    computerName: Line | None = Field(None, description="a later login of the same user there replaces this key")


# ---- computers that fetch their jobs ----------------------------------------------------------------------------


class PendingQuery(Wish):
    """Whose jobs."""

    client_id: Id = Field(description="the computer")
    state: Annotated[Literal["pending", "sent", "printing"], BeforeValidator(_lower)] = "pending"
    limit: Whole = Field(20, description="1 to 100; what is beyond is taken for the nearest")


class Report(Wish):
    """How a job stands at the computer that prints it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "completed", "message": "Printed to HP"}]})

    state: Annotated[Literal["sent", "printing", "completed", "error"], BeforeValidator(_lower)]
    message: str = Field("", max_length=4000)


# ---- reading them -----------------------------------------------------------------------------------------------

Understood = TypeVar("Understood", bound=Wish)

_AS_THEY_ARE = frozenset({"content", "password"})
"""Not to be trimmed: base64 may be long, and a password may begin or end with a blank."""


def understood(model: type[Understood], given: dict[str, Any]) -> Understood:
    """What was given, trimmed and checked. Raises Invalid that names the first field at fault, BadRequest."""
    try:
        return model.model_validate(_trimmed(given))
    except ValidationError as error:
        raise _explained(error) from None  # the original would carry the caller's values into a log


def _trimmed(given: dict[str, Any]) -> dict[str, Any]:
    trimmed: dict[str, Any] = {}
    for name, value in given.items():
        plain = name.strip()
        if plain in trimmed:
            raise BadRequest("a name is given twice, once with blanks around it", remedy="send it once")
        if isinstance(value, dict):
            value = _trimmed(value)
        elif isinstance(value, str) and plain not in _AS_THEY_ARE:
            value = value.strip()
        if value is None or (plain == "options" and value == []):  # how PHP writes an object without members
            continue
        trimmed[plain] = value
    return trimmed


_READABLE = {
    "int_type": "must be a whole number", "bool_type": "must be true or false", "string_type": "must be text",
    "too_short": "must not be empty", "string_too_short": "must not be empty",
    "list_type": "must be a list", "model_type": "must be an object", "model_attributes_type": "must be an object",
    "string_pattern_mismatch": "must be printable ASCII, without blanks around it",
}  # fmt: skip


def _explained(error: ValidationError) -> Invalid:
    finding = error.errors(include_url=False, include_input=False, include_context=False)[0]
    # Of a union pydantic names the member it tried ("literal[...]") after the field: that is no part of its name.
    field = ".".join(part for part in finding["loc"] if isinstance(part, str) and part.isidentifier())[:128]
    told = _READABLE.get(finding["type"], finding["msg"])
    said = "is missing" if finding["type"] == "missing" else told[:1].lower() + told[1:]
    return Invalid(f"{field}: {said}" if field else said, field=field or None,
                   remedy="GET /printcloud/api/openapi.json says what is allowed")  # fmt: skip
