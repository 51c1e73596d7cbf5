"""Webhooks: who is told, and the courier that tells them. What happened is in the outbox before anybody is called."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bridge.access.secrets import Secrets
from bridge.access.signatures import new_secret
from bridge.errors import Conflict, Invalid, NotFound
from bridge.model import Delivery, Event, Webhook, new_id
from bridge.outbound.places import CallFailed, FetchRules
from bridge.outbound.post import check_target, post
from bridge.report.shapes import Shape, moment
from bridge.store import Store
from bridge.store.hooks import Message

log = logging.getLogger(__name__)

ALL = "all"
PER_ORGANIZATION = 50  # webhooks
SECRET_MAX = 512  # characters
CALLERS = 4  # messages on their way at the same time
GATHER_S = 0.05  # after a commit, for more of the same moment
LONGEST_S = 60.0  # between two looks, whatever is due
GONE = 410


class Hooks:
    """Every command on webhooks. Raises a BridgeError that says why something cannot be done."""

    def __init__(
        self, store: Store, secrets: Secrets, shapes: Mapping[str, Shape], rules: Callable[[], FetchRules]
    ) -> None:
        """shapes: by dialect. rules: where calls may go, asked each time."""
        self._store = store
        self._secrets = secrets
        self._shapes = shapes
        self._rules = rules

    def create(
        self, organization_id: str, *, dialect: str, url: str, events: Collection[str], secret: str | None = None
    ) -> tuple[Webhook, str]:
        """(the webhook, its secret). secret: None makes one. Raises Invalid, Conflict."""
        self._check(dialect, url, events, secret)
        if len(self._store.hooks.listing(organization_id)) >= PER_ORGANIZATION:
            raise Conflict(f"there are {PER_ORGANIZATION} webhooks already, the most an organization can have",
                           remedy="delete one first", code="too_many_webhooks")  # fmt: skip
        webhook_id = f"wh_{new_id().replace('-', '')}"
        text = secret if secret is not None else new_secret()
        self._secrets.put(webhook_id, [text])
        return self._store.hooks.add(organization_id, dialect, url.strip(), events, webhook_id), text

    def listing(self, organization_id: str, dialect: str | None = None) -> list[Webhook]:
        return self._store.hooks.listing(organization_id, dialect)

    def get(self, organization_id: str, webhook_id: str) -> Webhook:
        """The webhook, or NotFound."""
        found = self._store.hooks.get(organization_id, webhook_id)
        if found is None:
            raise NotFound(f"there is no webhook {webhook_id[:64]!r}", field="webhook",
                           remedy="`print-bridge webhooks` and GET /v1/webhooks list them by id")  # fmt: skip
        return found

    def change(
        self, organization_id: str, webhook_id: str, *, url: str | None = None, events: Collection[str] | None = None,
        active: bool | None = None, secret: str | None = None,
    ) -> Webhook:  # fmt: skip
        """Change what is given. A new secret signs beside the one before it, so that receivers can follow in time."""
        now = self.get(organization_id, webhook_id)
        self._check(now.dialect, url or now.url, now.events if events is None else events, secret)
        if secret is not None:
            self._secrets.put(webhook_id, [secret, *self._secrets.get(webhook_id)[:1]])
        columns: dict[str, Any] = {"url": url, "events": events, "active": active}
        columns = {name: value for name, value in columns.items() if value is not None}
        if active:
            columns["text"] = ""
        changed = self._store.hooks.change(organization_id, webhook_id, **columns)
        return changed or self.get(organization_id, webhook_id)

    def delete(self, organization_id: str, webhook_id: str) -> None:
        """Forget it, and what it was still to be told. Raises NotFound."""
        self.get(organization_id, webhook_id)
        self._store.hooks.delete(organization_id, webhook_id)
        self._secrets.put(webhook_id, [])

    def ping(self, organization_id: str, webhook_id: str) -> Delivery:
        """Send it a message that means nothing, to see whether it arrives."""
        hook = self.get(organization_id, webhook_id)
        body = {"type": "ping", "timestamp": moment(time.time()), "data": {"webhook_id": hook.id}}
        return self._store.hooks.put(Message(hook.id, organization_id, "ping", _json(body)))

    def deliveries(
        self, organization_id: str, *, webhook_id: str | None = None, state: str | None = None, limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[Delivery], int]:  # fmt: skip
        """The delivery log, newest first, and how many lines it has."""
        return self._store.hooks.deliveries(
            organization_id, webhook_id=webhook_id, state=state, limit=limit, offset=offset
        )

    def redeliver(self, organization_id: str, delivery_id: str) -> Delivery:
        """Send a message once more, with the id it had, so that its receiver knows it again. Raises NotFound."""
        found = self._store.hooks.again(organization_id, delivery_id)
        if found is None:
            raise NotFound(f"there is no delivery {delivery_id[:64]!r}", field="delivery",
                           remedy="`print-bridge webhooks deliveries` lists them by id")  # fmt: skip
        return found

    def _check(self, dialect: str, url: str, events: Collection[str], secret: str | None) -> None:
        check_target(url, self._rules())
        allowed = {*self._shapes[dialect].events, ALL}
        if not events or not set(events) <= allowed:
            unknown = sorted(set(events) - allowed)
            raise Invalid(f"unknown event {unknown[0][:64]!r}" if unknown else "a webhook needs at least one event",
                          field="events", remedy=f"use any of {', '.join(sorted(allowed))}")  # fmt: skip
        if secret is not None and not (1 <= len(secret) <= SECRET_MAX and secret.isascii() and secret.isprintable()):
            raise Invalid(f"a secret is 1 to {SECRET_MAX} printable ASCII characters", field="secret",
                          remedy="leave it out and one will be made")  # fmt: skip


class Courier:
    """The thread that fills the outbox and those that empty it."""

    def __init__(
        self, store: Store, secrets: Secrets, shapes: Mapping[str, Shape], rules: Callable[[], FetchRules]
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._shapes = shapes
        self._rules = rules
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._busy: set[str] = set()  # messages on their way
        self._last: dict[tuple[str, str], Any] = {}
        self._callers = ThreadPoolExecutor(CALLERS, thread_name_prefix="webhook")
        self._thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        self._store.engine.listeners.append(self._news.set)
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def revive(self) -> None:
        self._thread = self._new_thread()
        self._thread.start()

    def stop(self) -> None:
        """What is on its way may be answered; what was not is sent again after the next start, with the same id."""
        self._stopping.set()
        self._news.set()
        if self._news.set in self._store.engine.listeners:
            self._store.engine.listeners.remove(self._news.set)
        if self._thread.is_alive():
            self._thread.join(3)
        self._callers.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                wait = self._turn()
            except Exception:
                log.exception("webhooks: stumbled, and tries again")
                wait = LONGEST_S / 10
            if self._news.wait(wait) and not self._stopping.wait(GATHER_S):
                self._news.clear()

    def _turn(self) -> float:
        """Fill, send what is due; seconds until something is."""
        hooks = self._store.hooks.active()
        if not hooks:
            return LONGEST_S
        by_organization: dict[str, list[Webhook]] = {}
        for hook in hooks:
            by_organization.setdefault(hook.organization_id, []).append(hook)
        while self._store.hooks.pump(lambda events: self._messages(events, by_organization)):
            pass
        known = {hook.id: hook for hook in hooks}
        for delivery in self._store.hooks.due(time.time()):
            if delivery.id not in self._busy and delivery.webhook_id in known and not self._stopping.is_set():
                self._busy.add(delivery.id)
                self._callers.submit(self._send, known[delivery.webhook_id], delivery)
        next_at = self._store.hooks.next_at()
        return LONGEST_S if next_at is None else min(LONGEST_S, max(0.05, next_at - time.time()))

    # -- filling --

    def _messages(self, events: Iterable[Event], hooks: Mapping[str, list[Webhook]]) -> Iterator[Message]:
        for event in events:
            for hook in hooks.get(event.organization_id, ()):
                message = self._message(event, hook)
                if message is not None:
                    yield message

    def _message(self, event: Event, hook: Webhook) -> Message | None:
        shape = self._shapes.get(hook.dialect)
        job = self._store.jobs.get(event.organization_id, event.job_id) if event.job_id else None
        told = shape.told(event, job) if shape is not None else None
        if told is None or not {told[0], ALL} & hook.events:
            return None
        kind, body = told
        if event.job_id is not None and "state" in body:
            # Several of our states are one of the cloud's: who was told "printing" is not told so again.
            said = (kind, body["state"])
            if self._last.get((hook.id, event.job_id)) == said:
                return None
            if len(self._last) > 10_000:
                self._last.clear()
            self._last[hook.id, event.job_id] = said
        return Message(hook.id, hook.organization_id, kind, _json(body), event.job_id, event.seq)

    # -- sending --

    def _send(self, hook: Webhook, delivery: Delivery) -> None:
        try:
            self._try(hook, delivery)
        except Exception:
            log.exception("webhook %s: message %s: trying broke off", hook.id, delivery.id)
        finally:
            self._busy.discard(delivery.id)
            self._news.set()

    def _try(self, hook: Webhook, delivery: Delivery) -> None:
        shape, status, retry_s = self._shapes[hook.dialect], None, None
        signed = shape.headers(self._secrets.get(hook.id), delivery.id, int(time.time()), delivery.body)
        try:
            answer = post(hook.url, delivery.body, {"Content-Type": "application/json", **signed}, self._rules())
            status, text = answer.status, f"http {answer.status}"
            if answer.retry_after.isdigit():
                retry_s = float(min(int(answer.retry_after), 86_400))
        except CallFailed as error:
            text = str(error)
        if status is not None and 200 <= status < 300:
            self._store.hooks.tried(delivery, state="delivered", status=status, text=text)
            return
        pauses = shape.schedule_s
        if status == GONE or delivery.attempts >= len(pauses):
            self._store.hooks.tried(delivery, state="dead", status=status, text=text)
            log.warning("webhook %s: message %s (%s) is given up: %s", hook.id, delivery.id, delivery.type, text)
            return
        pause = max(pauses[delivery.attempts] * random.uniform(0.9, 1.1), retry_s or 0.0)
        self._store.hooks.tried(delivery, state="pending", status=status, text=text, next_at=time.time() + pause)


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
