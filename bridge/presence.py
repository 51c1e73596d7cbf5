"""Which other machines are there, and how their printers are."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from bridge.model import Client, Device
from bridge.store import Store

UNKNOWN = "not set up on this machine: its jobs wait for another machine that has it, or to be deleted"

FRESH_S = 60.0
"""Seconds after which a machine that fetches its jobs itself counts as gone; it should ask every 30 s or so."""

STALE_S = 300.0
"""The same for one that has never connected: Cloudlinker's own client calls one offline after 300 s."""


class Connections(Protocol):
    """Which machines are connected."""

    def connected(self, client_id: str) -> bool: ...


class Presence:
    """For one answer: what was read is not read again."""

    def __init__(self, store: Store, signs: Mapping[str, float], connections: Connections | None) -> None:
        """signs: when each machine last asked for something by HTTP, time.monotonic()."""
        self._store = store
        self._signs = signs
        self._connections = connections
        self._known: dict[tuple[str, str], Client | None] = {}

    def client(self, organization_id: str, client_id: str) -> Client | None:
        """The machine, if there is one with this id."""
        key = (organization_id, client_id)
        if key not in self._known:
            self._known[key] = self._store.clients.get(*key)
        return self._known[key]

    def of(self, client: Client) -> bool:
        """Whether a machine is there."""
        if client.is_self or (self._connections is not None and self._connections.connected(client.id)):
            return True
        if time.monotonic() - self._signs.get(client.id, float("-inf")) < FRESH_S:
            return True
        # One that has said its version came by WebSocket, and would be connected if it were there.
        return client.version is None and client.last_seen is not None and time.time() - client.last_seen < STALE_S

    def has(self, device: Device) -> bool:
        """Whether the machine of a printer is there."""
        client = self.client(device.organization_id, device.client_id)
        return client is not None and self.of(client)

    def condition(self, device: Device) -> tuple[str | None, tuple[str, ...], str]:
        """(state, reasons, text) of a printer of another machine, see to_dict."""
        client = self.client(device.organization_id, device.client_id)
        if client is None or client.is_self:
            return None, (), UNKNOWN
        if not self.of(client):
            return "stopped", ("offline",), f"{client.hostname} is not connected; its jobs wait until it is"
        told = _reported(device)
        said = told.get("state") or told.get("status")
        word = said.strip().lower() if isinstance(said, str) else ""
        if told.get("away") is True:
            return "stopped", ("offline",), f"{client.hostname} does not name it any more; its jobs wait until it does"
        if word in _TOLD:
            state, reasons = _TOLD[word]
            return state, reasons, f"{client.hostname} says that it is {word}" if reasons else ""
        return None, (), f"{client.hostname} says of it: {word[:64]}" if word else ""

    def waiting(self, device: Device) -> int:
        """Jobs of a printer of another machine that wait or are being printed."""
        return self._store.handed.waiting(device.id)


_TOLD: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "online": ("idle", ()), "ready": ("idle", ()), "idle": ("idle", ()),
    "printing": ("processing", ()), "processing": ("processing", ()), "busy": ("processing", ()),
    "offline": ("stopped", ("offline",)), "paused": ("stopped", ("paused",)), "error": ("stopped", ("other",)),
}  # fmt: skip
"""What machines call the state of a printer -> (state, reasons) of ours."""


def _reported(device: Device) -> dict[str, Any]:
    try:
        told = json.loads(device.reported or "{}")
    except (ValueError, RecursionError):  # another machine wrote it
        return {}
    return told if isinstance(told, dict) else {}
