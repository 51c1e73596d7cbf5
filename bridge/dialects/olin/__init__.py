"""Olin Cloud Print: its API as documented (seed olin.txt; apis.md, section 2). Bearer tokens, JSON, Laravel's manners.

table, route   the routes and what stands in front of them     fields, wishes, answers   what is said and answered
words          our states and rows as Olin's                   account                   logins and accounts
printers       which there are, and which one is meant         computers                 what other computers report
submission     new print jobs                                  jobs                      all else about print jobs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridge.dialects import Desk, Dialect
from bridge.errors import BridgeError, Invalid, TooMany, Unavailable

if TYPE_CHECKING:
    from flask import Blueprint

RETRY_AFTER_S = 5


class Olin:
    """An account is an organization; its sub-accounts are organizations of their own, and none reaches into another."""

    name = "olin"
    mount = "/olin/api"
    credentials = frozenset({"bearer"})
    public = frozenset({"POST /login", "POST /register", "GET /openapi.json"})
    web = frozenset({"POST /print-jobs", "GET /print-jobs", "GET /print-jobs/*", "POST /print-jobs/*"})

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        """{"success": false, "message"}, and "errors" by field for what is wrong with a value."""
        body: dict[str, Any] = {"success": False, "message": str(error)}
        if isinstance(error, Invalid):
            body["errors"] = {error.field or "request": [str(error)]}
        busy = isinstance(error, Unavailable | TooMany)
        return body, {"Retry-After": str(getattr(error, "retry_after_s", RETRY_AFTER_S))} if busy else {}

    def routes(self, desk: Desk) -> Blueprint:
        """All routes of the Olin API."""
        from flask import Blueprint

        from bridge.dialects.olin.route import House, counted, shown
        from bridge.dialects.olin.table import ROUTES

        blueprint, house = Blueprint(self.name, __name__), House(desk)
        blueprint.before_request(counted(house))
        blueprint.after_request(shown(house))
        for route in ROUTES:
            blueprint.add_url_rule(route.path, route.name, route.bound(house), methods=list(route.methods))
        return blueprint


DIALECT: Dialect = Olin()
