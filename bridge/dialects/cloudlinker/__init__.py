"""Cloudlinker, the primary dialect: its API as documented, and as its own clients use it (apis.md, section 1).

fields    what a field may hold            payload   what is to be printed
views     scopes, rates, links             replies   rows as JSON, states as numbers
account, clients, devices, jobs            the endpoints; paginator and listing serve their lists
calls     what is said of each endpoint    answers, openapi   and the document made of it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, has_request_context, request

from bridge.access.limits import PLANS, Limiter
from bridge.dialects import Desk, Dialect
from bridge.dialects.cloudlinker.account import Account
from bridge.dialects.cloudlinker.clients import Clients
from bridge.dialects.cloudlinker.devices import Devices
from bridge.dialects.cloudlinker.jobs import Jobs
from bridge.dialects.cloudlinker.openapi import MOUNT, document, name_of
from bridge.dialects.cloudlinker.views import PublicView, View, counted, guarded, public, show_allowance
from bridge.errors import BridgeError, Invalid, TooMany, Unauthorized

_ADMIN: frozenset[str] = frozenset()
_PRINTERS = frozenset({"printers", "read"})
_LOOK = frozenset({"jobs", "read"})
_PRINT = frozenset({"jobs", "print"})
_JOBS = frozenset({"jobs"})
_ANY = frozenset({"jobs", "printers", "print", "read"})


class Cloudlinker:
    """Basic authentication, JSON, POST for nearly everything, Laravel's manners."""

    name = "cloudlinker"
    mount = MOUNT
    credentials = frozenset({"basic"})
    public = frozenset({"GET /client/version", "POST /auth/login", "POST /auth/register", "GET /openapi.json"})
    web = frozenset({
        "* /test", "POST /jobs/create", "POST /jobs/list", "POST /jobs/get", "POST /jobs/launch", "POST /jobs/update",
        "POST /jobs/delete",
    })  # fmt: skip

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        body: dict[str, Any] = {"message": str(error)}
        headers: dict[str, str] = {}
        if isinstance(error, Invalid):
            body["errors"] = {error.field or "request": [str(error)]}
        if isinstance(error, TooMany):
            headers["Retry-After"] = str(error.retry_after_s)
        if isinstance(error, Unauthorized) and _is_program():
            headers["WWW-Authenticate"] = 'Basic realm="print-bridge", charset="UTF-8"'
        return body, headers

    def routes(self, desk: Desk) -> Blueprint:
        blueprint = Blueprint(self.name, __name__)
        blueprint.before_request(counted(Limiter(PLANS[desk.plan])))
        blueprint.after_request(show_allowance)
        for line, scopes, view in _endpoints(desk):
            method, path = line.split()
            answer = guarded(view, scopes)
            blueprint.add_url_rule(path, name_of(line), answer, methods=[method])
        for line, open_view in _public_endpoints(desk):
            method, path = line.split()
            blueprint.add_url_rule(path, name_of(line), public(open_view), methods=[method])
        return blueprint


def _endpoints(desk: Desk) -> list[tuple[str, frozenset[str], View]]:
    """What is there for whom: a key needs one of the scopes, or "admin"."""
    account, clients, devices, jobs = Account(desk), Clients(desk), Devices(desk), Jobs(desk)
    return [
        ("GET  /test", _ANY, account.test),
        ("POST /test", _ANY, account.test),
        ("GET  /plans", _ANY, account.plans),
        ("POST /clients/list", _PRINTERS, clients.list),
        ("POST /clients/create", _ADMIN, clients.create),
        ("POST /clients/update", _ADMIN, clients.update),
        ("POST /clients/delete", _ADMIN, clients.delete),
        ("POST /devices/list", _PRINTERS, devices.list),
        ("POST /devices/create", _ADMIN, devices.create),
        ("POST /devices/update", _ADMIN, devices.update),
        ("POST /devices/delete", _ADMIN, devices.delete),
        ("POST /jobs/list", _LOOK, jobs.list),
        ("POST /jobs/get", _LOOK, jobs.get),
        ("POST /jobs/create", _PRINT, jobs.create),
        ("POST /jobs/update", _JOBS, jobs.update),
        ("POST /jobs/launch", _PRINT, jobs.launch),
        ("POST /jobs/delete", _JOBS, jobs.delete),
    ]


def _public_endpoints(desk: Desk) -> list[tuple[str, PublicView]]:
    account = Account(desk)
    return [
        ("POST /auth/login", account.login),
        ("POST /auth/register", account.register),
        ("GET  /client/version", account.version),
        ("GET  /openapi.json", lambda _given: _described(desk)),
    ]


def _described(desk: Desk) -> dict[str, Any]:
    """The OpenAPI document of both tables."""
    closed = [(line, scopes) for line, scopes, _ in _endpoints(desk)]
    return document((*closed, *((line, None) for line, _ in _public_endpoints(desk))))


def _is_program() -> bool:
    """Whether a challenge is safe: a browser would keep the password and send it for every page from then on."""
    return has_request_context() and not any(name in request.headers for name in ("Origin", "Sec-Fetch-Site"))


DIALECT: Dialect = Cloudlinker()
