"""The routes about computers: this one, those that report to it, and those whose printers are lent to the account."""

from __future__ import annotations

import platform
import time
from typing import Any

from flask import Response, jsonify

from bridge import VERSION
from bridge import printers as all_printers
from bridge.dialects.printcloud import presence, printers
from bridge.dialects.printcloud.route import House, each
from bridge.dialects.printcloud.wishes import Nothing
from bridge.dialects.printcloud.words import OFFLINE, ONLINE
from bridge.errors import Conflict
from bridge.model import Client, Principal
from bridge.presence import Presence
from bridge.report.shapes import moment

_SYSTEMS = {"Darwin": "macOS"}


def listing(house: House, who: Principal, wish: Nothing) -> Response:
    """All computers, this one among them, with their printers."""
    devices = all_printers.every(house.desk.store, who.organization_id)
    shown: dict[str, list[dict[str, Any]]] = {}
    for printer in printers.shown(house, who, devices):
        shown.setdefault(printer["computerId"], []).append(printer)
    online = house.desk.presence()
    return jsonify([_shown(house, computer, online, shown.get(computer.id, []))
                    for computer in presence.every(house, who, devices)])  # fmt: skip


def remove(house: House, who: Principal, wish: Nothing, computer_ids: str) -> Response:
    """Remove computers, separated by commas, with their printers; their jobs that still wait are cancelled.

    Answers with the ids of those that are gone. This computer cannot be removed.
    """

    def delete(one: str) -> None:
        computer = presence.own(house, who, one)
        if computer.is_self:
            raise Conflict(f"{computer.hostname} is the computer this bridge runs on; it cannot be removed",
                           code="is_self", remedy="leave it out")  # fmt: skip
        house.desk.control.delete_client(who.organization_id, computer.id)

    return each(computer_ids, delete)


def _shown(
    house: House, client: Client, online: Presence, printers: list[dict[str, Any]]
) -> dict[str, Any]:
    system, version, seen = client.os, client.version, client.last_seen
    if client.is_self:
        system, version, seen = _system(), VERSION, time.time()
    return {
        "id": client.id, "name": client.hostname, "os": system, "state": ONLINE if online.of(client) else OFFLINE,
        "clientVersion": version, "printers": printers, "lastSeenAt": None if seen is None else moment(seen),
    }  # fmt: skip


def _system() -> str:
    name = platform.system()
    return _SYSTEMS.get(name, name)
