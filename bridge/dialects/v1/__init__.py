"""Our own API, /v1: everything the bridge can do, in our own words and with every detail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridge.dialects import Desk, Dialect
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from flask import Blueprint


class V1:
    """The dialect of programs that are written for this bridge."""

    name = "v1"
    mount = "/v1"
    credentials = frozenset({"basic", "bearer", "x-api-key"})
    public = frozenset({"GET /hello"})
    web = frozenset({"GET /hello", "* /jobs", "* /jobs/*"})

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        """{"error": {"code", "text", "remedy"}}, with "field" when one is at fault."""
        said = {"code": error.code, "text": error.text, "remedy": error.remedy}
        if error.field is not None:
            said["field"] = error.field
        return {"error": said}, {}

    def routes(self, desk: Desk) -> Blueprint:
        """All routes of /v1."""
        from bridge.dialects.v1.routes import Routes

        return Routes(desk).blueprint()


DIALECT: Dialect = V1()
