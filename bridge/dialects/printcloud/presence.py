"""Which computers an account has, and whether they are there."""

from __future__ import annotations

import time

from bridge import printers
from bridge.dialects.printcloud.route import House
from bridge.dialects.printcloud.words import own_id
from bridge.errors import NotFound
from bridge.model import Client, Device, Principal

ALL = 10_000
FRESH_S = 60.0
"""Seconds after which a computer that fetches its jobs itself counts as gone; it should ask every 30 s or so."""

STALE_S = 300.0
"""The same for a computer that speaks another API: Cloudlinker's own client calls one offline after 300 s."""


def every(house: House, who: Principal, devices: list[Device]) -> list[Client]:
    """The computers of the account, and those whose printers are lent to it. devices: the printers it may use."""
    own, _ = house.desk.store.clients.page(who.organization_id, limit=ALL)
    return [*own, *_lenders(house, who, devices)]


def find(house: House, who: Principal, wanted: str) -> Client:
    """The computer, if the caller may know of it. Raises NotFound."""
    try:
        return own(house, who, wanted)
    except NotFound:
        devices = printers.every(house.desk.store, who.organization_id)
        for computer in _lenders(house, who, devices):
            if computer.id in (wanted.strip(), own_id("", wanted)):
                return computer
        raise


def own(house: House, who: Principal, wanted: str) -> Client:
    """A computer of the account itself. Raises NotFound."""
    clients = house.desk.store.clients
    text = wanted.strip()
    found = clients.get(who.organization_id, text) or clients.get(who.organization_id, own_id("", text))
    if found is None:
        raise NotFound(f"there is no computer {wanted[:64]!r}", field="computerId",
                       remedy="GET /printcloud/api/computers lists them by id")  # fmt: skip
    return found


def _lenders(house: House, who: Principal, devices: list[Device]) -> list[Client]:
    """The computers of other accounts whose printers this one may use."""
    lent = dict.fromkeys((d.organization_id, d.client_id) for d in devices if d.organization_id != who.organization_id)
    found = (house.desk.store.clients.get(owner, client) for owner, client in lent)
    return [client for client in found if client is not None]


class Online:
    """Whether a computer, or the computer of a printer, is there. For one answer: what was read is not read again."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._known: dict[tuple[str, str], bool] = {}

    def __call__(self, device: Device) -> bool:
        key = (device.organization_id, device.client_id)
        if key not in self._known:
            client = self._house.desk.store.clients.get(*key)
            self._known[key] = client is not None and self.of(client)
        return self._known[key]

    def of(self, client: Client) -> bool:
        house = self._house
        agents = house.desk.agents
        if client.is_self or (agents is not None and agents.connected(client.id)):
            return True
        if time.monotonic() - house.seen.get(client.id, float("-inf")) < FRESH_S:
            return True
        # One that has said its version came by WebSocket, and would be connected if it were there.
        return client.version is None and client.last_seen is not None and time.time() - client.last_seen < STALE_S
