"""The routes about webhooks, and how their messages look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, jsonify

from bridge.access.signatures import standard
from bridge.dialects import Hooks
from bridge.dialects.printcloud.route import House, each, made
from bridge.dialects.printcloud.wishes import NewWebhook, Nothing
from bridge.dialects.printcloud.words import (
    JOB,
    KIND,
    OFFLINE,
    ONLINE,
    WEBHOOK,
    own_id,
    printer_state,
    shown_id,
    told_state,
)  # fmt: skip
from bridge.errors import NotFound, Unavailable
from bridge.model import Event, Job, Principal, State, Webhook
from bridge.report.shapes import kind_of, moment

SECRET_HEADER = "X-PrintCloud-Webhook-Secret"

# ---- the messages -----------------------------------------------------------------------------------------------


class Messages:
    """{"type", "jobId", "state", "timestamp"}, the secret in clear, and the signature of Standard Webhooks beside it.

    PrintCloud says nothing of retries: three, after 1, 10 and 60 s.
    """

    events = frozenset({"job.created", "job.state", "computer.connected", "computer.disconnected", "printer.state"})
    schedule_s = (1.0, 10.0, 60.0)

    def told(self, event: Event, job: Job | None) -> tuple[str, Mapping[str, Any]] | None:
        kind = kind_of(event)
        if kind is None:
            return None
        if kind == "printer.state":
            return _printer(event)
        if kind.startswith("client."):
            return _computer(event, connected=kind.endswith(".connected"))
        return _job(event, job)

    def headers(self, secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
        plain = {SECRET_HEADER: secrets[0]} if secrets else {}
        return {**plain, **standard(secrets, message_id, timestamp, body)}


def _job(event: Event, job: Job | None) -> tuple[str, Mapping[str, Any]]:
    kind = "job.created" if job is not None and job.serial == event.seq else "job.state"
    state = told_state(State(str(event.state)), event.text, job)
    job_id = shown_id(JOB, event.job_id or "")
    return kind, {"type": kind, "jobId": job_id, "state": state, "timestamp": moment(event.at)}


_MENDED = frozenset({"ready", "resumed"})


def _printer(event: Event) -> tuple[str, Mapping[str, Any]] | None:
    """An event of a printer names its reasons, or says that it is ready, was paused, resumed or moved."""
    if not event.state or event.state == "moved":
        return None
    reasons = [] if event.state in _MENDED else [reason.strip() for reason in event.state.split(",")]
    told = {"type": "printer.state", "printerId": event.device_id, "state": printer_state(reasons)}
    return "printer.state", {**told, "message": event.text, "timestamp": moment(event.at)}


def _computer(event: Event, *, connected: bool) -> tuple[str, Mapping[str, Any]]:
    kind = "computer.connected" if connected else "computer.disconnected"
    state = ONLINE if connected else OFFLINE
    return kind, {"type": kind, "computerId": event.client_id, "state": state, "timestamp": moment(event.at)}


# ---- the routes -------------------------------------------------------------------------------------------------


def listing(house: House, who: Principal, wish: Nothing) -> Response:
    """The webhooks that were made here."""
    return jsonify([_shown(hook) for hook in _hooks(house).listing(who.organization_id, KIND)])


def create(house: House, who: Principal, wish: NewWebhook) -> Response:
    """Be told what happens, by POST.

    Each message carries the secret in the header X-PrintCloud-Webhook-Secret, and a signature made with it in
    webhook-id, webhook-timestamp and webhook-signature (Standard Webhooks), which does not give it away.
    """
    hook, secret = _hooks(house).create(
        who.organization_id, dialect=KIND, url=wish.url, events=wish.events, secret=wish.secret
    )
    return made({**_shown(hook), **({"secret": secret} if wish.secret is None else {})})


def remove(house: House, who: Principal, wish: Nothing, webhook_ids: str) -> Response:
    """Forget webhooks, separated by commas; what they were still to be told is dropped."""
    hooks = _hooks(house)
    return each(webhook_ids, lambda one: hooks.delete(who.organization_id, _get(hooks, who, one).id))


def _get(hooks: Hooks, who: Principal, wanted: str) -> Webhook:
    wanted_id = shown_id(WEBHOOK, own_id(WEBHOOK, wanted))
    found = next((hook for hook in hooks.listing(who.organization_id, KIND) if hook.id == wanted_id), None)
    if found is None:
        raise NotFound(f"there is no webhook {wanted[:64]!r}", field="id",
                       remedy="GET /printcloud/api/webhooks lists them by id")  # fmt: skip
    return found


def _hooks(house: House) -> Hooks:
    if house.desk.hooks is None:
        raise Unavailable("this bridge sends no webhooks")
    return house.desk.hooks


def _shown(hook: Webhook) -> dict[str, Any]:
    return {"id": hook.id, "url": hook.url, "events": sorted(hook.events), "active": hook.active}
