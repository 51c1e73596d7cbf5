"""What happened, in order: the read side. Events are written by the change they tell of, in the same transaction."""

from __future__ import annotations

from dataclasses import fields

from bridge.model import Event
from bridge.store.engine import Engine

_COLUMNS = ", ".join(f.name for f in fields(Event))


class Events:
    """Append-only; seq only grows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def after(self, organization_id: str, seq: int, *, limit: int = 100) -> list[Event]:
        """Up to `limit` events younger than `seq`, oldest first."""
        rows = self._engine.read().execute(
            f"SELECT {_COLUMNS} FROM events WHERE organization_id = ? AND seq > ? ORDER BY seq LIMIT ?",
            (organization_id, seq, limit),
        )
        return [Event(*row) for row in rows]

    def of_job(self, organization_id: str, job_id: str) -> list[Event]:
        """The timeline of one job."""
        rows = self._engine.read().execute(
            f"SELECT {_COLUMNS} FROM events WHERE organization_id = ? AND job_id = ? ORDER BY seq",
            (organization_id, job_id),
        )
        return [Event(*row) for row in rows]
