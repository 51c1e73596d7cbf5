"""Our rows as Cloudlinker's JSON, and our states as its five numbers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from bridge.errors import BadRequest
from bridge.intake.body import read_json
from bridge.model import ENDED, Client, Device, Job, State

CREATED, LAUNCHED, PENDING, COMPLETED, FAILED = 1, 2, 3, 4, 5

DOUBT_S = 15 * 60
"""Seconds an unconfirmed job stays pending before it counts as failed: time for a person to look at the printer."""

STATUS = {
    State.CREATED: CREATED,
    State.QUEUED: LAUNCHED,
    State.PREPARING: PENDING,
    State.SENDING: PENDING,
    State.HELD: PENDING,
    State.UNCONFIRMED: PENDING,  # at first, see status_of
    State.DELIVERED: COMPLETED,
    State.PRINTED: COMPLETED,
    State.FAILED: FAILED,
    State.CANCELLED: FAILED,
    State.EXPIRED: FAILED,
}

_WITH_ERROR = frozenset({State.HELD, State.UNCONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED})
_WITH_RESULT = ENDED | {State.HELD, State.UNCONFIRMED}


def status_of(job: Job, now: float) -> int:
    """1 created, 2 launched, 3 pending, 4 completed, 5 failed. now: Unix seconds."""
    if job.state is State.UNCONFIRMED and now - job.updated_at >= DOUBT_S:
        return FAILED
    return STATUS[job.state]


def client_json(client: Client) -> dict[str, Any]:
    last_seen = None if client.last_seen is None else _utc(client.last_seen).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "id": client.id,
        "hostname": client.hostname,
        "description": client.description,
        "ip_address": client.ip_address,
        "last_seen": last_seen,
    }


def device_json(device: Device) -> dict[str, Any]:
    return {
        "id": device.id,
        "name": device.name,
        "client_id": device.client_id,
        "hardware_path": device.hardware_path,
        "additional_info": _info(device.additional_info),
    }


def job_json(job: Job, now: float) -> dict[str, Any]:
    return {
        "id": job.id,
        "job_type": job.job_type,
        "device_id": job.device_id,
        "device_name": job.device_name,
        "client_id": job.client_id,
        "payload": job.payload if job.payload is not None else _payload(job),
        "status": status_of(job, now),
        "created_at": _stamp(job.created_at),
        "result": _result(job),
        "error": (job.text or job.state.value) if job.state in _WITH_ERROR else None,
        "executed_at": _stamp(job.updated_at) if job.state in ENDED else None,
        "updated_at": _stamp(job.updated_at),
    }


def _payload(job: Job) -> str:
    """For a job that came through another dialect: what its payload would have been."""
    members = {"document_type": job.declared or job.kind, "document_url": job.url, "copies": str(job.copies)}
    return json.dumps({name: value for name, value in members.items() if value is not None}, indent=2)


def _result(job: Job) -> str | None:
    """What came of it, as JSON text; None while nothing has."""
    if job.state not in _WITH_RESULT:
        return None
    facts = {
        "state": job.state.value,
        "reason": job.reason,
        "text": job.text,
        "evidence": job.evidence,
        "pages": job.pages,
        "possible_duplicate": job.possible_duplicate,
    }
    return json.dumps(facts)


def _info(text: str | None) -> Any:
    """An object comes back as an object, any other text as that text."""
    if text is None or text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return read_json(text.encode())
    except BadRequest:
        return text


def _stamp(at: float) -> str:
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _utc(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
