"""What callers of the Olin API may say: one model for each request. The OpenAPI document is made of the same models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue, PlainValidator, WithJsonSchema

from bridge.dialects.olin.fields import (
    Address,
    Copies,
    Fields,
    Flag,
    Line,
    Message,
    Moment,
    Priority,
    Text,
    Which,
    Whole,
    one_of,
)

PRINTERS_MAX = 500
"""Printers in one report of a computer."""

PAPERS = ("A4", "Letter", "Legal")


def _objects(value: Any) -> list[dict[str, Any]]:
    """Each is read on its own, so that an error can say which one it is about."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("must be a list of objects")
    if len(value) > PRINTERS_MAX:
        raise ValueError(f"must not hold more than {PRINTERS_MAX}")
    return value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) and value != []:  # [] is how PHP writes an object without members
        raise ValueError("must be an object")
    return value or {}


Object = Annotated[dict[str, Any], PlainValidator(_object), WithJsonSchema({"type": "object"})]


class Nothing(Fields):
    """There is nothing to say here."""


# ---- accounts ---------------------------------------------------------------------------------------------------


class Login(Fields):
    """Who it is."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "user@example.com", "password": "your_password"}]}
    )

    email: Line
    password: Text


class Register(Fields):
    """A new account; with parent_api_key a sub-account of that key's account."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "John Doe", "email": "user@example.com", "password": "secure_password",
                 "password_confirmation": "secure_password"},
                {"name": "Office Branch", "email": "branch@example.com", "password": "secure_password",
                 "password_confirmation": "secure_password", "parent_api_key": "1|abc123parent_api_token_here"},
            ]
        }
    )  # fmt: skip

    name: Line
    email: Line
    password: Text
    password_confirmation: Text
    parent_api_key: Text | None = None


# ---- computers --------------------------------------------------------------------------------------------------


class SeenPrinter(Fields):
    """A printer as its computer sees it."""

    printer_id: Which | None = None
    name: Line
    computer_name: Line | None = None
    location: Line | None = None
    status: Line | None = None
    capabilities: Object | None = None
    is_default: Flag | None = None
    last_seen_at: Moment | None = None


_Seen = Annotated[
    list[dict[str, Any]], PlainValidator(_objects),
    WithJsonSchema({"type": "array", "maxItems": PRINTERS_MAX, "items": {"$ref": "#/components/schemas/SeenPrinter"}}),
]  # fmt: skip
_SEEN_EXAMPLE: dict[str, JsonValue] = {
    "printer_id": "abc123", "name": "HP LaserJet Pro", "computer_name": "DESKTOP-ABC123", "location": "Office",
    "status": "available",
    "capabilities": {"supports_color": True, "supports_duplex": True, "paper_sizes": ["A4", "Letter"]},
}  # fmt: skip


class Sync(Fields):
    """All printers of a computer; those it no longer names are gone. computer_name: for printers that name none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"printers": [_SEEN_EXAMPLE]}]})

    printers: _Seen
    computer_name: Line | None = None


class Heartbeat(Fields):
    """A computer is there, and this is how its printers are. Printers it does not name stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"computer_name": "DESKTOP-ABC123", "timestamp": "2024-01-15T10:30:00Z",
                 "printers": [{**_SEEN_EXAMPLE, "last_seen_at": "2024-01-15T10:30:00Z"}]}
            ]
        }
    )  # fmt: skip

    computer_name: Line
    timestamp: Moment | None = None
    printers: _Seen = []


# ---- print jobs -------------------------------------------------------------------------------------------------


class PrintOptions(Fields):
    """What an office printer is to do. Label printers know neither color nor duplex nor sheets."""

    color: Flag = True
    duplex: one_of("none", "horizontal", "vertical") = "none"  # type: ignore[valid-type]
    paper_size: Line = Field("A4", description="A4, Letter, Legal, or one of the printer's own paper_sizes")
    copies: Copies | None = None


class NewJob(Fields):
    """A document to print. It is exactly one of file (in a form), file_base64 and file_url."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"file_base64": "XlhBXkZPNTAsNTBeQTBOLDQwLDQwXkZEaGVsbG9eRlNeWFo=", "file_name": "label.zpl",
                 "printer_name": "virtual", "copies": 2, "priority": 5,
                 "print_options": {"color": True, "duplex": "horizontal", "paper_size": "A4"}},
                {"file_url": "http://files.example/invoice.pdf", "file_name": "invoice.pdf", "printer_id": 1},
            ]
        }
    )  # fmt: skip

    file: Any = Field(None, description="of a form: the document, up to 10 MB",
                      json_schema_extra={"contentMediaType": "application/octet-stream"})  # fmt: skip
    file_base64: Text | None = Field(None, description="the document itself, up to 10 MB of it")
    file_url: Address | None = Field(None, description="where the bridge fetches it")
    file_name: Line | None = None
    printer_id: Which | None = Field(None, description="a printer's number, its printer_id, or its name")
    printer_name: Line | None = Field(None, description="used when there is no printer_id")
    copies: Copies | None = None
    priority: Priority = 0
    print_options: Object = Field({}, description="color, duplex, paper_size; in forms print_options[color] and so on")


class JobsQuery(Fields):
    """Which jobs."""

    per_page: Whole = 15
    page: Whole = 1
    status: one_of("pending", "processing", "completed", "printed", "failed", "cancelled") | None = None  # type: ignore[valid-type]


class PendingQuery(Fields):
    """Whose jobs. Without a name: those of all computers of the account."""

    computer_name: Line | None = None


class NewStatus(Fields):
    """How a job stands, as the computer that prints it knows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "completed"}]})

    status: one_of("processing", "completed", "printed", "failed", "cancelled")  # type: ignore[valid-type]
    error_message: Message | None = None
