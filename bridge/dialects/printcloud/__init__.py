"""PrintCloud: its API as documented (apis.md, section 3), and what its callers know from PrintNode.

words     states, permissions, codes, ids    wishes, answers   what is said, both ways
route     who may, how often                 table, openapi    every endpoint, and the document made of them
presence  which computers are there          handover          jobs for computers that have no WebSocket
printers, computers, jobs, webhooks, account                   the endpoints
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

from bridge.access.limits import Limiter
from bridge.dialects import Desk, Dialect
from bridge.dialects.printcloud.openapi import MOUNT
from bridge.dialects.printcloud.route import RATE, House
from bridge.dialects.printcloud.table import ROUTES
from bridge.dialects.printcloud.webhooks import Messages
from bridge.dialects.printcloud.words import CODES
from bridge.errors import BridgeError, TooMany, Unauthorized, Unavailable

if TYPE_CHECKING:
    from flask import Blueprint

RETRY_AFTER_S = 5


class PrintCloud:
    """Basic authentication with the key as user, JSON, {code, message} for every refusal."""

    name = "printcloud"
    mount = MOUNT
    credentials = frozenset({"basic-key", "bearer"})
    public = frozenset(f"{route.method} {route.path}" for route in ROUTES if route.scopes is None)
    web = frozenset({"GET /printers", "POST /printjobs", "GET /printjobs", "GET /printjobs/*"})
    hooks = Messages()

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        message = str(error) or error.code
        if isinstance(error, Unauthorized) and error.code == Unauthorized.code:
            message = f"Authentication required: {message}"
        busy = isinstance(error, TooMany | Unavailable)
        headers = {"Retry-After": str(getattr(error, "retry_after_s", RETRY_AFTER_S))} if busy else {}
        return {"code": CODES.get(error.http, "ServerError"), "message": message}, headers

    def routes(self, desk: Desk) -> Blueprint:
        from flask import Blueprint

        blueprint = Blueprint(self.name, __name__)
        house = House(desk, Limiter(RATE if desk.printcloud_rate == "on" else ()))
        blueprint.before_request(_counted(house.rate))
        for route in ROUTES:
            blueprint.add_url_rule(route.path, route.name, route.bound(house), methods=[route.method])
        return blueprint


def _counted(limiter: Limiter) -> Callable[[], None]:
    """Before each request: count it against its account, or against the address of somebody without a key."""
    from flask import g, request

    def count() -> None:
        who = g.get("principal")
        account = f"address {request.remote_addr}" if who is None else who.organization_id
        wait_s = limiter.take(account, monotonic()).retry_after_s
        if wait_s is not None:
            raise TooMany("Rate limit exceeded: 10 requests in a second are possible", retry_after_s=wait_s,
                          remedy=f"try again in {wait_s} s")  # fmt: skip

    return count


DIALECT: Dialect = PrintCloud()
