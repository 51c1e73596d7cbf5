"""What was made for an Idempotency-Key, of the things that are not jobs (theirs is in the table idempotency)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bridge.store.engine import Cursor, Engine
from bridge.store.jobs import KeyReused


@dataclass(frozen=True, slots=True)
class Making:
    """One wish for something new. key: the Idempotency-Key; fingerprint: of everything that was wished for."""

    key: str
    fingerprint: str
    noun: str


class Made:
    """Idempotency-Key -> id of what was made first."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def find(self, organization_id: str, making: Making) -> str | None:
        """The id of what was made for this wish; None when nothing was. Raises KeyReused for another wish."""
        return earlier(self._engine.read(), organization_id, making)

    def remember(self, organization_id: str, making: Making, made_id: str) -> str:
        """Note what was made, durably, and return the id that counts: the first one. Raises KeyReused."""

        def work(db: Cursor) -> str:
            first = earlier(db, organization_id, making)
            if first is None:
                note(db, organization_id, making, made_id)
            return first or made_id

        return self._engine.write(work)


def earlier(db: Cursor, organization_id: str, making: Making) -> str | None:
    """See Made.find; for use inside a transaction that makes the thing itself."""
    row = db.execute(
        "SELECT fingerprint, noun, id FROM made WHERE organization_id = ? AND key = ?", (organization_id, making.key)
    ).fetchone()
    if row is None:
        return None
    if row[:2] != (making.fingerprint, making.noun):
        raise KeyReused
    made_id: str = row[2]
    return made_id


def note(db: Cursor, organization_id: str, making: Making, made_id: str) -> None:
    """Remember inside the transaction that makes the thing, so that there is never one without the other."""
    db.execute(
        "INSERT INTO made (organization_id, key, fingerprint, noun, id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (organization_id, making.key, making.fingerprint, making.noun, made_id, time.time()),
    )
