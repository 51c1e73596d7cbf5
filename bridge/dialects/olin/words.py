"""Our states as Olin's five, our rows as its JSON, and its two ways to write a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.errors import BadRequest
from bridge.intake.body import read_json
from bridge.model import Job, Organization, State

PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED = "pending", "processing", "completed", "failed", "cancelled"

STATUS = {
    State.CREATED: PENDING,
    State.QUEUED: PENDING,
    State.HELD: PENDING,
    State.PREPARING: PROCESSING,
    State.SENDING: PROCESSING,
    State.DELIVERED: COMPLETED,
    State.PRINTED: COMPLETED,
    State.UNCONFIRMED: FAILED,  # a person's answer may still make it completed
    State.FAILED: FAILED,
    State.EXPIRED: FAILED,
    State.CANCELLED: CANCELLED,
}

ALIASES = {"printed": COMPLETED}
"""What callers may say as well -> what it is stored and shown as."""

UPLOAD, BASE64, URL = "direct_upload", "base64", "url"
"""file_source_type: how a document came."""

UNLIMITED = 999_999
"""available_print_jobs of an account without a quota: the field is a number, and clients compare it with 0."""


def states_of(status: str) -> set[State]:
    """Our states that Olin calls so."""
    wanted = ALIASES.get(status, status)
    return {state for state, name in STATUS.items() if name == wanted}


def plan_of(organization: Organization, default: str) -> str:
    """The plan of an account. default: of the bridge, "off" for none; whoever has no limits is called enterprise."""
    return organization.plan or (default if default != "off" else "enterprise")


def jobs_left(organization: Organization) -> int:
    """available_print_jobs."""
    if organization.jobs_quota is None:
        return UNLIMITED
    return max(0, organization.jobs_quota - organization.jobs_used)


# ---- times ------------------------------------------------------------------------------------------------------


def iso(at: float) -> str:
    """2024-01-15T10:30:00Z"""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain(at: float) -> str:
    """2024-01-15 10:30:00, UTC"""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


# ---- jobs -------------------------------------------------------------------------------------------------------


def kept(job_url: str | None, declared: str | None, copies: int, source: str, options: Mapping[str, Any]) -> str:
    """What is stored of a request as the job's payload. The first three are as Cloudlinker's agents read them."""
    members = {"document_type": declared, "document_url": job_url, "copies": str(copies)}
    given = {name: value for name, value in members.items() if value is not None}
    return json.dumps({**given, "file_source_type": source, "print_options": dict(options)})


def print_options(job: Job) -> dict[str, Any]:
    """Those it came with, and the copies. Of a job that came through another API only the copies are known."""
    options = _payload(job).get("print_options")
    return {"copies": job.copies, **(options if job.dialect == "olin" and isinstance(options, dict) else {})}


def source_of(job: Job) -> str:
    """file_source_type."""
    source = _payload(job).get("file_source_type") if job.dialect == "olin" else None
    return source if source in (UPLOAD, BASE64, URL) else URL if job.url is not None else UPLOAD


def _payload(job: Job) -> dict[str, Any]:
    try:
        payload = read_json((job.payload or "{}").encode())
    except BadRequest:
        return {}
    return payload if isinstance(payload, dict) else {}


_TOLD = frozenset({State.FAILED, State.UNCONFIRMED, State.EXPIRED, State.CANCELLED, State.HELD})


def job_json(job: Job, user_id: int, printer_id: int | None) -> dict[str, Any]:
    """user_id, printer_id: numbers; None for a printer that is gone."""
    return {
        "id": job.serial,
        "user_id": user_id,
        "printer_id": printer_id,
        "printer_name": job.device_name,
        "original_name": job.title,
        "status": STATUS[job.state],
        "priority": job.priority,
        "print_options": print_options(job),
        "submitted_at": iso(job.created_at),
        "updated_at": iso(job.updated_at),
        "error_message": (job.text or job.state.value) if job.state in _TOLD else None,
    }


def pending_json(job: Job, user_id: int, printer_id: int | None, url: str, data: str | None) -> dict[str, Any]:
    """A job for the computer that is to print it. url: where it gets the document. data: the document, in base64."""
    return {
        "id": job.serial,
        "fileName": job.title,
        "printerName": job.device_name,
        "fileUrl": url,
        "file_base64": data,
        "is_base64": data is not None,
        "file_source_url": job.url,
        "file_source_type": source_of(job),
        "printerId": printer_id,
        "userId": user_id,
        "status": STATUS[job.state],
        "createdAt": plain(job.created_at),
        "copies": job.copies,
        "priority": job.priority,
        "print_options": print_options(job),
    }
