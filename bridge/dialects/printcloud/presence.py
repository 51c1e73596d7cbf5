"""Which computers an account has, and which of them are there."""

from __future__ import annotations

from bridge import printers
from bridge.dialects.printcloud.route import House
from bridge.dialects.printcloud.words import own_id
from bridge.errors import NotFound
from bridge.model import Client, Device, Principal

ALL = 10_000


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
