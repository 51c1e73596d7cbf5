"""What happened, in order: the read side. Events are written by the change they tell of, in the same transaction."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from bridge.model import Event
from bridge.store.engine import Engine

_COLUMNS = ", ".join(f.name for f in fields(Event))


class Events:
    """Append-only; seq only grows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def after(self, organization_id: str | None, seq: int, *, limit: int = 100) -> list[Event]:
        """Up to `limit` events younger than `seq`, oldest first. organization_id: None for everybody's."""
        mine = "" if organization_id is None else "organization_id = ? AND "
        rows = self._engine.read().execute(
            f"SELECT {_COLUMNS} FROM events WHERE {mine}seq > ? ORDER BY seq LIMIT ?",
            (*(() if organization_id is None else (organization_id,)), seq, limit),
        )
        return [Event(*row) for row in rows]

    def newest_at(self) -> float | None:
        """When the last thing happened, by the wall clock of that moment; None in a new database."""
        row = self._engine.read().execute("SELECT at FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return row[0] if row else None

    def of_job(self, organization_id: str, job_id: str) -> list[Event]:
        """The timeline of one job, oldest first. seq: of the line in that timeline, from 1."""
        row = self._engine.read().execute(
            "SELECT device_id, history FROM jobs WHERE organization_id = ? AND id = ?", (organization_id, job_id)
        ).fetchone()  # fmt: skip
        if row is None:
            return []
        lines = [json.loads(line) for line in row[1].splitlines()]
        return [
            Event(number, at, organization_id, job_id, row[0], "job", state, text)
            for number, (at, state, text) in enumerate(lines, 1)
        ]


def history_line(at: float, state: str, text: str) -> str:
    """One change of state, as it is appended to a job's history."""
    return f"{json.dumps((at, state, text))}\n"


def event_json(event: Event) -> dict[str, Any]:
    """An event as callers of /v1 and of webhooks get to see it."""
    return {
        "seq": event.seq, "at": event.at, "kind": event.kind, "job_id": event.job_id, "printer_id": event.device_id,
        "state": event.state, "text": event.text,
    }  # fmt: skip
