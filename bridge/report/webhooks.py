"""Webhooks: who is told, and the courier that tells them. What happened is in the outbox before anybody is called."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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
SECRETS = 2  # that sign: the newest, and the one before it
CALLERS = 8  # messages on their way at the same time
EACH = 4  # ... to one webhook that takes what it is sent; one that did not take its last message gets one at a time
GATHER_S = 0.05  # after a commit, for more of the same moment
LONGEST_S = 60.0  # between two looks, whatever is due
HANDS_OFF_S = 1.0  # at the end, for what is on its way
PAUSE_MAX_S = 3600.0  # between two tries, whatever a receiver asks for
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
            self._secrets.push(webhook_id, secret, keep=SECRETS)
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
        """Send it a message that means nothing, to see whether it arrives. Raises NotFound, Conflict (off)."""
        hook = self._active(organization_id, webhook_id)
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
        """Send a message once more, with the id it had, so that its receiver knows it again. Raises NotFound, Conflict
        (off)."""
        known = self._store.hooks.delivery(organization_id, delivery_id)
        if known is not None:
            self._active(organization_id, known.webhook_id)
            known = self._store.hooks.again(organization_id, delivery_id)
        if known is None:
            raise NotFound(f"there is no delivery {delivery_id[:64]!r}", field="delivery",
                           remedy="`print-bridge webhooks deliveries` lists them by id")  # fmt: skip
        return known

    def _active(self, organization_id: str, webhook_id: str) -> Webhook:
        hook = self.get(organization_id, webhook_id)
        if not hook.active:
            raise Conflict(f"webhook {hook.id} is off: nothing is sent to it", code="webhook_off",
                           remedy="switch it on first")  # fmt: skip
        return hook

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
        self._room = False  # a message has come to its end: the next one need not wait for others
        self._busy: dict[str, str] = {}  # messages on their way -> their webhooks
        self._served: dict[str, float] = {}  # webhooks -> when the last message went out
        self._failing: set[str] = set()  # webhooks that did not take their last message
        self._last: dict[tuple[str, str], tuple[Any, int]] = {}
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
        until = time.monotonic() + HANDS_OFF_S
        while self._busy and time.monotonic() < until:
            time.sleep(0.01)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                wait = self._turn()
            except Exception:
                log.exception("webhooks: stumbled, and tries again")
                wait = LONGEST_S / 10
            if self._news.wait(wait):
                room, self._room = self._room, False
                if room or not self._stopping.wait(GATHER_S):
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
        now = time.time()
        waiting = self._store.hooks.waiting(now)
        for hook in sorted(hooks, key=lambda hook: self._served.get(hook.id, 0.0)):
            if hook.id in waiting:
                self._serve(hook, now)
        next_at = self._store.hooks.next_at(now)
        return LONGEST_S if next_at is None else min(LONGEST_S, max(0.05, next_at - time.time()))

    def _serve(self, hook: Webhook, now: float) -> None:
        """Send what one webhook is due, as far as there is room: a dead receiver must not take all of it."""
        busy = dict(self._busy)  # from before the look at what is due: afterwards one of them may be over and done with
        mine = sum(other == hook.id for other in busy.values())
        room = min((1 if hook.id in self._failing else EACH) - mine, CALLERS - len(busy))
        if room <= 0 or self._stopping.is_set():
            return
        due = [each for each in self._store.hooks.due(hook.id, now, limit=room + mine) if each.id not in busy]
        for delivery in due[:room]:
            self._busy[delivery.id] = hook.id
            self._served[hook.id] = time.monotonic()
            # Not of a pool: the interpreter would wait for its threads at the end, and a receiver may be slow.
            threading.Thread(target=self._send, args=(hook, delivery), name="webhook", daemon=True).start()

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
            # The same event once more: what it said could not be written down the first time.
            last, at = self._last.get((hook.id, event.job_id), (None, 0))
            if last == said and at != event.seq:
                return None
            if len(self._last) > 10_000:
                self._last.clear()
            self._last[hook.id, event.job_id] = said, event.seq
        return Message(hook.id, hook.organization_id, kind, _json(body), event.job_id, event.seq)

    # -- sending --

    def _send(self, hook: Webhook, delivery: Delivery) -> None:
        try:
            self._try(hook, delivery)
        except Exception:
            if not self._stopping.is_set():
                log.exception("webhook %s: message %s: what became of it cannot be written", hook.id, delivery.id)
                self._stopping.wait(LONGEST_S / 10)  # the disk, most likely; it is sent again with the same id
        finally:
            self._busy.pop(delivery.id, None)
            self._room = True
            self._news.set()

    def _try(self, hook: Webhook, delivery: Delivery) -> None:
        status, retry_s, text = self._call(hook, delivery)
        if status is not None and 200 <= status < 300:
            self._failing.discard(hook.id)
            self._store.hooks.tried(delivery, state="delivered", status=status, text=text)
            return
        self._failing.add(hook.id)
        shape = self._shapes.get(hook.dialect)
        pauses = shape.schedule_s if shape is not None else ()
        if status == GONE or delivery.attempts >= len(pauses):
            self._store.hooks.tried(delivery, state="dead", status=status, text=text)
            log.warning("webhook %s: message %s (%s) is given up: %s", hook.id, delivery.id, delivery.type, text)
            return
        pause = max(pauses[delivery.attempts] * random.uniform(0.9, 1.1), retry_s)
        self._store.hooks.tried(delivery, state="pending", status=status, text=text, next_at=time.time() + pause)

    def _call(self, hook: Webhook, delivery: Delivery) -> tuple[int | None, float, str]:
        """(status or None, seconds it asks us to wait, how it went). Our own fault is a try like any other: it must not
        be made again at once."""
        secrets = self._secrets.get(hook.id)
        if not secrets:  # the file was moved away: a receiver must not learn to take what nobody signed
            return None, 0.0, "its secret is not in secrets.json any more: give it a new one"
        try:
            shape = self._shapes[hook.dialect]
            signed = shape.headers(secrets, delivery.id, int(time.time()), delivery.body)
            answer = post(hook.url, delivery.body, {"Content-Type": "application/json", **signed}, self._rules())
        except CallFailed as error:
            return None, 0.0, str(error)
        except Exception as error:
            log.exception("webhook %s: message %s: trying broke off", hook.id, delivery.id)
            return None, 0.0, f"an internal error ({type(error).__name__})"
        return answer.status, _seconds(answer.retry_after), f"http {answer.status}"


def _seconds(retry_after: str) -> float:
    """Retry-After in seconds (RFC 9110, 10.2.3), 0 for none, a date or nonsense."""
    digits = retry_after.strip()
    return min(float(digits), PAUSE_MAX_S) if digits.isascii() and digits.isdecimal() else 0.0


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
