"""How an event is told in the words of one API: what its webhooks may ask for, what they get, how it is signed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from bridge.access.signatures import standard
from bridge.model import Event, Job
from bridge.store.events import event_json

HOUR = 3600.0
STANDARD_SCHEDULE_S = (5.0, 30.0, 120.0, 600.0, 1800.0, *[HOUR] * 72)
"""Seconds between two tries: soon, then every hour for three days."""


class Shape(Protocol):
    """One API's webhooks. events: what can be asked for, besides "all". schedule_s: pauses between tries."""

    events: frozenset[str]
    schedule_s: tuple[float, ...]

    def told(self, event: Event, job: Job | None) -> tuple[str, Mapping[str, Any]] | None:
        """(type, body) of an event; None when this API does not tell of such. job: as it is now, None when gone."""
        ...

    def headers(self, secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
        """What goes with a message. timestamp: Unix seconds. secrets: the newest first."""
        ...


def kind_of(event: Event) -> str | None:
    """job.created, job.state, printer.state, client.connected, client.disconnected; None for anything else."""
    if event.kind == "printer":
        return "printer.state"
    if event.kind == "client" and event.state in ("connected", "disconnected"):
        return f"client.{event.state}"
    if event.kind != "job" or event.state is None:
        return None
    return "job.state"


def moment(at: float) -> str:
    """ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Standard:
    """Our own: {"type", "timestamp", "data"} as Standard Webhooks has it; data is the event as /v1/events tells it."""

    events = frozenset({"job.created", "job.state", "printer.state", "client.connected", "client.disconnected", "ping"})
    schedule_s = STANDARD_SCHEDULE_S

    def told(self, event: Event, job: Job | None) -> tuple[str, Mapping[str, Any]] | None:
        kind = kind_of(event)
        if kind is None:
            return None
        if job is not None and job.serial == event.seq:
            kind = "job.created"
        data = {**event_json(event), **({"client_id": event.client_id} if event.client_id else {})}
        return kind, {"type": kind, "timestamp": moment(event.at), "data": data}

    def headers(self, secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
        return standard(secrets, message_id, timestamp, body)
