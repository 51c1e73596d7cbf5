"""The connection test, and what the official clients ask for around it: login, plans, their own version."""

from __future__ import annotations

import hmac
from typing import Any

from bridge import VERSION
from bridge.dialects import Desk
from bridge.dialects.cloudlinker.fields import Fields, Text, Word
from bridge.errors import Forbidden, Unauthorized
from bridge.model import Principal

PLANS = {"standard": "Standard", "pro": "Pro", "off": "Unlimited"}
"""Our setting -> the name of the plan."""


class _Login(Fields):
    email: Word
    password: Text


class Account:
    """test, auth/*, plans, client/version."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def test(self, caller: Principal, _given: dict[str, Any]) -> dict[str, Any]:
        return {"organization_id": caller.organization_id}

    def login(self, given: dict[str, Any]) -> dict[str, Any]:
        """This bridge has one account and its password is the first key: whoever has that gets it back, in shape."""
        asked, key = _Login.read(given), self._desk.api_key
        if key is None or not hmac.compare_digest(asked.password.encode(), key.encode()):
            raise Unauthorized("wrong password", remedy="the password is the api_key in this bridge's credentials.json")
        me = self._desk.store.clients.get(self._desk.organization_id, self._desk.self_client_id)
        return {
            "organization_id": self._desk.organization_id,
            "api_key": key,
            "organization_name": me.hostname if me else "print-bridge",
            "plan": {"name": PLANS[self._desk.plan]},
        }

    def register(self, _given: dict[str, Any]) -> dict[str, Any]:
        raise Forbidden("this bridge takes no registrations",
                        remedy="use the organization_id and api_key of its credentials.json")  # fmt: skip

    def plans(self, _caller: Principal, _given: dict[str, Any]) -> dict[str, Any]:
        return {"data": [{"id": number, "name": name} for number, name in enumerate(PLANS.values(), 1)]}

    def version(self, _given: dict[str, Any]) -> dict[str, Any]:
        """No URLs: a Windows client that asks whether there is a newer one must not replace itself with this."""
        return {
            "latest_version": VERSION,
            "download_url": None,
            "installer_url": None,
            "checksum_sha256": None,
            "release_notes": None,
        }
