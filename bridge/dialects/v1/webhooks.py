"""The routes about webhooks: who is told what, and how that went."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from bridge.dialects import Desk, Hooks
from bridge.dialects.v1 import homes
from bridge.dialects.v1.wishes import DeliveriesQuery, NewWebhook, Nothing, WebhookChanges, WebhooksQuery
from bridge.errors import Unavailable
from bridge.model import Delivery, Webhook


def listing(desk: Desk, wish: WebhooksQuery) -> Response:
    """All webhooks of an organization, of every API they were made by."""
    home = homes.named(desk, wish.organization)
    return jsonify(webhooks=[_shown(hook) for hook in _hooks(desk).listing(home)])


def create(desk: Desk, wish: NewWebhook) -> Response:
    """Be told what happens, by POST, signed as Standard Webhooks has it.

    The secret is in this answer and in no other.
    """
    home = homes.named(desk, wish.organization)
    hook, secret = _hooks(desk).create(home, dialect="v1", url=wish.url, events=wish.events, secret=wish.secret)
    response = jsonify({**_shown(hook), "secret": secret})
    response.status_code = 201
    response.headers["Location"] = f"/v1/webhooks/{hook.id}"
    return response


def get(desk: Desk, wish: Nothing, webhook_id: str) -> Response:
    """One webhook."""
    return jsonify(_shown(_hooks(desk).get(_home(desk, webhook_id), webhook_id)))


def change(desk: Desk, wish: WebhookChanges, webhook_id: str) -> Response:
    """Change a webhook. After a new secret messages carry two signatures, one by the old secret."""
    changed = _hooks(desk).change(
        _home(desk, webhook_id), webhook_id, url=wish.url, events=wish.events, active=wish.active, secret=wish.secret
    )
    return jsonify(_shown(changed))


def remove(desk: Desk, wish: Nothing, webhook_id: str) -> Response:
    """Forget a webhook; what it was still to be told is dropped."""
    _hooks(desk).delete(_home(desk, webhook_id), webhook_id)
    return Response(status=204)


def test(desk: Desk, wish: Nothing, webhook_id: str) -> Response:
    """Send a message of the type ping, to see whether it arrives: its delivery says so."""
    response = jsonify(_delivery(_hooks(desk).ping(_home(desk, webhook_id), webhook_id)))
    response.status_code = 201
    return response


def deliveries(desk: Desk, wish: DeliveriesQuery) -> Response:
    """What was sent and how that went, newest first."""
    home = homes.named(desk, wish.organization)
    found, total = _hooks(desk).deliveries(
        home, webhook_id=wish.webhook, state=wish.state, limit=wish.limit, offset=wish.offset
    )
    return jsonify(deliveries=[_delivery(each) for each in found], total=total)


def redeliver(desk: Desk, wish: Nothing, delivery_id: str) -> Response:
    """Send a message once more, with the id it had, so that whoever got it before knows it again."""
    return jsonify(_delivery(_hooks(desk).redeliver(_home(desk, delivery_id), delivery_id)))


def _hooks(desk: Desk) -> Hooks:
    if desk.hooks is None:
        raise Unavailable("this bridge sends no webhooks")
    return desk.hooks


def _home(desk: Desk, row_id: str) -> str:
    return homes.of(desk, desk.store.hooks, row_id)


def _shown(hook: Webhook) -> dict[str, Any]:
    return {
        "id": hook.id, "organization": hook.organization_id, "url": hook.url, "events": sorted(hook.events),
        "dialect": hook.dialect, "active": hook.active, "text": hook.text, "created_at": hook.created_at,
    }  # fmt: skip


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id, "webhook_id": delivery.webhook_id, "type": delivery.type, "job_id": delivery.job_id,
        "state": delivery.state, "attempts": delivery.attempts, "status": delivery.status, "text": delivery.text,
        "next_at": delivery.next_at if delivery.state == "pending" else None, "created_at": delivery.created_at,
        "ended_at": delivery.ended_at, "body": delivery.body.decode("utf-8", "replace"),
    }  # fmt: skip
