"""Webhooks and their outbox. A message is written down before anybody tries to deliver it, and stays for the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields
from typing import Any

from bridge.model import Delivery, Event, Webhook, new_id
from bridge.store.engine import Cursor, Engine

CURSOR = "webhooks"
FAR_S = 7200.0  # further ahead than any pause between two tries: then the clock was set back, and it is due
_WEBHOOK = ", ".join(f.name for f in fields(Webhook))
_DELIVERY = ", ".join(f.name for f in fields(Delivery))
_EVENT = ", ".join(f.name for f in fields(Event))


@dataclass(frozen=True, slots=True)
class Message:
    """What one webhook is to be told. type: of the event. body: as it goes over the wire."""

    webhook_id: str
    organization_id: str
    type: str
    body: bytes
    job_id: str | None = None
    event_seq: int | None = None


class Hooks:
    """The tables webhooks and deliveries."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- webhooks --

    def add(self, organization_id: str, dialect: str, url: str, events: Collection[str], webhook_id: str) -> Webhook:
        """A new one; it is told what happens from now on."""

        def work(db: Cursor) -> Webhook:
            _skip_unheard(db)
            db.execute(
                "INSERT INTO webhooks (id, organization_id, dialect, url, events, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (webhook_id, organization_id, dialect, url, " ".join(sorted(events)), time.time()),
            )
            return _webhook(db.execute(f"SELECT {_WEBHOOK} FROM webhooks WHERE id = ?", (webhook_id,)).fetchone())

        return self._engine.write(work)

    def get(self, organization_id: str, webhook_id: str) -> Webhook | None:
        row = self._engine.read().execute(
            f"SELECT {_WEBHOOK} FROM webhooks WHERE organization_id = ? AND id = ?", (organization_id, webhook_id)
        ).fetchone()  # fmt: skip
        return _webhook(row) if row else None

    def home_of(self, row_id: str) -> str | None:
        """The organization a webhook, or a message, belongs to."""
        row = self._engine.read().execute(
            "SELECT organization_id FROM webhooks WHERE id = :id"
            " UNION ALL SELECT organization_id FROM deliveries WHERE id = :id",
            {"id": row_id},
        ).fetchone()  # fmt: skip
        return row[0] if row else None

    def listing(self, organization_id: str, dialect: str | None = None) -> list[Webhook]:
        """In the order in which they were made."""
        rows = self._engine.read().execute(
            f"SELECT {_WEBHOOK} FROM webhooks WHERE organization_id = :org AND (:dialect IS NULL OR dialect = :dialect)"
            " ORDER BY serial",
            {"org": organization_id, "dialect": dialect},
        )
        return [_webhook(row) for row in rows]

    def active(self) -> list[Webhook]:
        """Every one that is told anything, of all organizations."""
        rows = self._engine.read().execute(f"SELECT {_WEBHOOK} FROM webhooks WHERE active = 1 ORDER BY serial")
        return [_webhook(row) for row in rows]

    def change(self, organization_id: str, webhook_id: str, **columns: Any) -> Webhook | None:
        """Change some columns; None when there is no such webhook."""
        if "events" in columns:
            columns["events"] = " ".join(sorted(columns["events"]))

        def work(db: Cursor) -> Webhook | None:
            if columns.get("active"):
                _skip_unheard(db)
            if columns:
                sets = ", ".join(f"{name} = :{name}" for name in columns)
                db.execute(
                    f"UPDATE webhooks SET {sets} WHERE organization_id = :_org AND id = :_id",
                    {**columns, "_org": organization_id, "_id": webhook_id},
                )
            row = db.execute(
                f"SELECT {_WEBHOOK} FROM webhooks WHERE organization_id = ? AND id = ?", (organization_id, webhook_id)
            ).fetchone()
            return _webhook(row) if row else None

        return self._engine.write(work)

    def delete(self, organization_id: str, webhook_id: str) -> bool:
        """Forget a webhook and everything it was, or was to be, told. False when there is none."""

        def work(db: Cursor) -> bool:
            gone = db.execute(
                "DELETE FROM webhooks WHERE organization_id = ? AND id = ?", (organization_id, webhook_id)
            )
            if gone.rowcount:
                db.execute("DELETE FROM deliveries WHERE webhook_id = ?", (webhook_id,))
            return bool(gone.rowcount)

        return self._engine.write(work)

    # -- filling the outbox --

    def pump(self, messages: Callable[[Iterable[Event]], Iterable[Message]], *, limit: int = 500) -> int:
        """Turn what happened since the last time into messages, in one transaction. How many events there were.

        Killed at any moment, each event is either in the outbox or will be: never neither, never twice.
        """
        read = self._engine.read()
        cursor = _cursor(read)
        events = [
            Event(*row)
            for row in read.execute(f"SELECT {_EVENT} FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (cursor, limit))
        ]
        if not events:
            return 0
        found = list(messages(events))

        def work(db: Cursor) -> None:
            if _cursor(db) != cursor:
                return  # somebody else was faster
            for message in found:
                _put(db, message)
            _set_cursor(db, events[-1].seq)

        self._engine.write(work)
        return len(events)

    def put(self, message: Message) -> Delivery:
        """One message that no event tells of (a test)."""

        def work(db: Cursor) -> Delivery:
            return _delivery(
                db.execute(f"SELECT {_DELIVERY} FROM deliveries WHERE id = ?", (_put(db, message),)).fetchone()
            )

        return self._engine.write(work)

    # -- emptying it --

    def waiting(self, now: float) -> set[str]:
        """The webhooks that are to be told something now, or would be if nothing else came first."""
        rows = self._engine.read().execute(
            "SELECT DISTINCT webhook_id FROM deliveries WHERE state = 'pending' AND (next_at <= ? OR next_at > ?)",
            (now, now + FAR_S),
        )
        return {row[0] for row in rows}

    def due(self, webhook_id: str, now: float, *, limit: int) -> list[Delivery]:
        """What one webhook is to be told now: of each job's messages only the oldest that is still pending."""
        rows = self._engine.read().execute(
            f"SELECT {', '.join('d.' + f.name for f in fields(Delivery))} FROM deliveries d"
            " WHERE d.state = 'pending' AND d.webhook_id = :hook AND (d.next_at <= :now OR d.next_at > :far)"
            " AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.webhook_id = d.webhook_id AND e.job_id = d.job_id"
            "  AND e.state = 'pending' AND e.serial < d.serial) ORDER BY d.next_at, d.serial LIMIT :limit",
            {"hook": webhook_id, "now": now, "far": now + FAR_S, "limit": limit},
        )
        return [_delivery(row) for row in rows]

    def next_at(self, now: float) -> float | None:
        """When the next try after `now` is due, Unix seconds; None when there is none.

        What is due already waits for a message before it, or for room: the end of that one is the time to look again.
        """
        row = self._engine.read().execute(
            "SELECT min(next_at) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id AND w.active = 1"
            " WHERE d.state = 'pending' AND d.next_at > ?",
            (now,),
        ).fetchone()  # fmt: skip
        return row[0] if row else None

    def tried(
        self, delivery: Delivery, *, state: str, status: int | None, text: str, next_at: float | None = None
    ) -> None:
        """Write down how a try went. next_at: of the next one, while the state is pending."""
        now = time.time()
        self._engine.write(
            lambda db: db.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + 1, status = ?, text = ?, next_at = ?,"
                " ended_at = ? WHERE id = ? AND state = 'pending'",
                (state, status, text, next_at if next_at is not None else now, None if state == "pending" else now,
                 delivery.id),
            )
        )  # fmt: skip

    # -- the log --

    def deliveries(
        self, organization_id: str, *, webhook_id: str | None = None, state: str | None = None, limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[Delivery], int]:  # fmt: skip
        """One page, newest first, and how many there are in all."""
        where = (
            "organization_id = :org AND (:hook IS NULL OR webhook_id = :hook) AND (:state IS NULL OR state = :state)"
        )
        wanted = {"org": organization_id, "hook": webhook_id, "state": state, "limit": limit, "offset": offset}
        db = self._engine.read()
        total = db.execute(f"SELECT count(*) FROM deliveries WHERE {where}", wanted).fetchone()[0]
        rows = db.execute(
            f"SELECT {_DELIVERY} FROM deliveries WHERE {where} ORDER BY serial DESC LIMIT :limit OFFSET :offset", wanted
        )
        return [_delivery(row) for row in rows], total

    def delivery(self, organization_id: str, delivery_id: str) -> Delivery | None:
        """The message, None when there is none."""
        return _one_delivery(self._engine.read(), organization_id, delivery_id)

    def again(self, organization_id: str, delivery_id: str) -> Delivery | None:
        """Try a message once more, with the same id; None when there is none."""

        def work(db: Cursor) -> Delivery | None:
            db.execute(
                "UPDATE deliveries SET state = 'pending', attempts = 0, next_at = ?, ended_at = NULL"
                " WHERE organization_id = ? AND id = ?",
                (time.time(), organization_id, delivery_id),
            )
            return _one_delivery(db, organization_id, delivery_id)

        return self._engine.write(work)

    def prune(self, before: float, *, limit: int = 500) -> int:
        """Forget messages that ended before `before` (Unix seconds). How many."""
        return self._engine.write(
            lambda db: db.execute(
                "DELETE FROM deliveries WHERE serial IN (SELECT serial FROM deliveries WHERE state != 'pending'"
                " AND ended_at < ? LIMIT ?)",
                (before, limit),
            ).rowcount
        )


def _cursor(db: Any) -> int:
    row = db.execute("SELECT seq FROM cursors WHERE name = ?", (CURSOR,)).fetchone()
    return row[0] if row else 0


def _set_cursor(db: Cursor, seq: int) -> None:
    db.execute("INSERT OR REPLACE INTO cursors (name, seq) VALUES (?, ?)", (CURSOR, seq))


def _skip_unheard(db: Cursor) -> None:
    """What happened while nobody was told anything is nobody's news."""
    if db.execute("SELECT 1 FROM webhooks WHERE active = 1").fetchone() is None:
        _set_cursor(db, db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def _put(db: Cursor, message: Message) -> str:
    now, delivery_id = time.time(), f"msg_{new_id().replace('-', '')}"
    db.execute(
        "INSERT INTO deliveries (id, webhook_id, organization_id, job_id, type, event_seq, body, state, next_at,"
        " created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?)",
        (delivery_id, message.webhook_id, message.organization_id, message.job_id, message.type, message.event_seq,
         message.body, now, now),
    )  # fmt: skip
    return delivery_id


def _webhook(row: tuple[Any, ...]) -> Webhook:
    values = dict(zip(_WEBHOOK.split(", "), row, strict=True))
    return Webhook(**{**values, "events": frozenset(values["events"].split()), "active": bool(values["active"])})


def _one_delivery(db: Cursor, organization_id: str, delivery_id: str) -> Delivery | None:
    row = db.execute(
        f"SELECT {_DELIVERY} FROM deliveries WHERE organization_id = ? AND id = ?", (organization_id, delivery_id)
    ).fetchone()
    return _delivery(row) if row else None


def _delivery(row: tuple[Any, ...]) -> Delivery:
    return Delivery(*row)
