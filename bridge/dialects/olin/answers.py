"""What callers of the Olin API get, written once for the OpenAPI document. A test holds real answers against these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from typing_extensions import TypedDict

Status = Literal["pending", "processing", "completed", "failed", "cancelled"]


@dataclass
class Failure:
    """Every answer that is no success. errors: field -> what is wrong with it."""

    success: Literal[False]
    message: str
    errors: dict[str, list[str]] | None = None


@dataclass
class Account:
    """An account. available_print_jobs: 999999 without a quota. token: of this login, or the one that was shown."""

    name: str
    email: str
    plan: Literal["free", "professional", "enterprise"]
    available_print_jobs: int
    used_print_jobs: int
    token: str
    user_id: int


@dataclass
class AccountAnswer:
    """Who it is."""

    success: Literal[True]
    message: str
    data: Account


@dataclass
class Printer:
    """A printer. id: for printer_id. printer_id: as its computer calls it. status: available, busy, paused, offline, or
    what its computer says."""

    id: int
    printer_id: str
    name: str
    computer_name: str
    location: str | None
    status: str
    capabilities: dict[str, Any]
    last_seen_at: str | None
    is_default: bool


@dataclass
class PrintersAnswer:
    """data: computer -> its printers."""

    success: Literal[True]
    message: str
    data: dict[str, list[Printer]]
    total_printers: int
    computers: list[str]


@dataclass
class Synced:
    """synced: printers that are registered."""

    synced: int
    computers: list[str]


@dataclass
class SyncAnswer:
    """How a report was taken."""

    success: Literal[True]
    message: str
    data: Synced


@dataclass
class Beat:
    """printers: how many were named."""

    computer_name: str
    printers: int


@dataclass
class HeartbeatAnswer:
    """A computer was heard."""

    success: Literal[True]
    message: str
    data: Beat


@dataclass
class PrintJob:
    """A print job. printer_id: null once the printer is gone. print_options: with copies. error_message: why it failed,
    was cancelled, or waits for a person."""

    id: int
    user_id: int
    printer_id: int | None
    printer_name: str
    original_name: str
    status: Status
    priority: int
    print_options: dict[str, Any]
    submitted_at: str
    updated_at: str
    error_message: str | None


@dataclass
class Submitted:
    """download_url: where its file can be had."""

    print_job: PrintJob
    download_url: str


@dataclass
class SubmitAnswer:
    """A print job that was taken in."""

    success: Literal[True]
    message: str
    data: Submitted


@dataclass
class TestPage:
    """A test page that was taken in."""

    print_job: PrintJob
    message: str


@dataclass
class TestPageAnswer:
    """A test page that was taken in."""

    success: Literal[True]
    message: str
    data: TestPage


@dataclass
class PrintJobAnswer:
    """One print job."""

    success: Literal[True]
    message: str
    data: PrintJob


@dataclass
class Links:
    """Addresses of other pages; null: there is none."""

    first: str | None
    last: str | None
    prev: str | None
    next: str | None


Meta = TypedDict(
    "Meta",
    {
        "current_page": int, "from": int | None, "last_page": int, "path": str, "per_page": int, "to": int | None,
        "total": int,
    },
)  # fmt: skip
"""Where this page is in the whole list. from, to: numbers of its rows; null when it has none."""


@dataclass
class PrintJobsAnswer:
    """A page of print jobs."""

    success: Literal[True]
    message: str
    data: list[PrintJob]
    links: Links
    meta: Meta


@dataclass
class PendingJob:
    """A job for a computer to print. file_base64: the document, if it came like that; else it is at fileUrl."""

    id: int
    fileName: str  # noqa: N815
    printerName: str  # noqa: N815
    fileUrl: str  # noqa: N815
    file_base64: str | None
    is_base64: bool
    file_source_url: str | None
    file_source_type: Literal["direct_upload", "base64", "url"]
    printerId: int | None  # noqa: N815
    userId: int  # noqa: N815
    status: Status
    createdAt: str  # noqa: N815
    copies: int
    priority: int
    print_options: dict[str, Any]


@dataclass
class PendingAnswer:
    """What waits."""

    success: Literal[True]
    message: str
    data: list[PendingJob]


@dataclass
class Done:
    """Nothing more is to be said."""

    success: Literal[True]
    message: str
    data: None
