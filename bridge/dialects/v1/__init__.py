"""Our own API, /v1: everything the bridge can do, in our own words and with every detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridge.dialects import Desk, Dialect
from bridge.errors import (
    BadRequest,
    BridgeError,
    Conflict,
    DiskLow,
    Forbidden,
    Invalid,
    NotFound,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    WrongMethod,
)

if TYPE_CHECKING:
    from flask import Blueprint

REMEDIES: dict[type[BridgeError], str] = {
    BadRequest: "send it as GET /v1/openapi.json describes it",
    Unauthorized: "send an API key of this bridge; the first one is in credentials.json in its data folder",
    Forbidden: "use another API key, or ask whoever looks after this bridge",
    NotFound: "look for it in the list: GET /v1/printers, /v1/jobs or /v1/keys; every path is in GET /v1/openapi.json",
    WrongMethod: "use a method that the header Allow names",
    Conflict: "look how it stands now, then decide",
    TooLarge: "send less, or raise the limit under [limits] in the configuration",
    Invalid: "correct that value; GET /v1/openapi.json says what is allowed",
    TooMany: "wait as long as the header Retry-After says",
    Unavailable: "try again in a few seconds",
    DiskLow: "make room on the disk of the bridge's data folder, then send it again",
    BridgeError: "look into the log of the bridge; GET /v1/diagnostics packs what is needed to ask for help",
}
"""What to do about it, where an error does not say: the caller is never left with nothing."""

RETRY_AFTER_S = 5


class V1:
    """The dialect of programs that are written for this bridge."""

    name = "v1"
    mount = "/v1"
    credentials = frozenset({"basic", "bearer", "x-api-key"})
    public = frozenset({"GET /hello", "GET /openapi.json"})
    web = frozenset({"GET /hello", "GET /jobs", "POST /jobs", "GET /jobs/*", "POST /jobs/*", "POST /printers/*"})

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        """{"error": {"code", "text", "remedy"}}, with "field" when one is at fault."""
        said = {"code": error.code, "text": error.text or error.code, "remedy": error.remedy or _remedy(error)}
        if error.field:
            said["field"] = error.field
        busy = isinstance(error, Unavailable | TooMany)
        return {"error": said}, {"Retry-After": str(getattr(error, "retry_after_s", RETRY_AFTER_S))} if busy else {}

    def routes(self, desk: Desk) -> Blueprint:
        """All routes of /v1."""
        from flask import Blueprint

        from bridge.dialects.v1.table import ROUTES

        blueprint = Blueprint("v1", __name__)
        for route in ROUTES:
            blueprint.add_url_rule(route.path, route.name, route.bound(desk), methods=[route.method])
        return blueprint


def _remedy(error: BridgeError) -> str:
    return next(remedy for kind, remedy in REMEDIES.items() if isinstance(error, kind))


DIALECT: Dialect = V1()
