"""The routes about printers: which there are, and which one somebody means."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from flask import Response

from bridge import printers
from bridge.dialects.olin.route import House, answered, number_of
from bridge.dialects.olin.wishes import Nothing
from bridge.dialects.olin.words import plain
from bridge.errors import Invalid, NotFound
from bridge.model import Client, Device, Principal
from bridge.store.lanes import Lane

GONE_S = 300.0
"""Seconds without a heartbeat (one a minute is usual) after which a computer's printers are shown as offline."""

AVAILABLE, BUSY, PAUSED, OFFLINE = "available", "busy", "paused", "offline"

_OWN_STATUS = {"idle": AVAILABLE, "processing": BUSY, "stopped": OFFLINE}
_NAMED_MAX = 10  # printers a refusal lists


def listing(house: House, who: Principal, wish: Nothing) -> Response:
    """All printers of the account by the computer they belong to, those that are lent to it included."""
    computers: dict[str, list[dict[str, Any]]] = {}
    devices = printers.every(house.desk.store, who.organization_id)
    clients: dict[str, Client | None] = {}
    for device in devices:
        if device.client_id not in clients:
            clients[device.client_id] = client_of(house, device)
        shown = _shown(house, device, clients[device.client_id])
        computers.setdefault(shown["computer_name"], []).append(shown)
    beside: dict[str, Any] = {"total_printers": len(devices), "computers": list(computers)}
    return answered("Printers retrieved successfully", computers, **beside)


def client_of(house: House, device: Device) -> Client | None:
    """The computer of a printer, in whosoever's account that is."""
    return house.desk.store.clients.get(device.organization_id, device.client_id)


def _shown(house: House, device: Device, client: Client | None) -> dict[str, Any]:
    lane = house.desk.store.lanes.lane(device.id)
    told = reported(device)
    seen = time.time() if lane is not None else client.last_seen if client is not None else None
    if lane is None and isinstance(told.get("last_seen_at"), float):
        seen = told["last_seen_at"]
    return {
        "id": device.serial,
        "printer_id": told.get("printer_id") or device.id,
        "name": device.name,
        "computer_name": client.hostname if client is not None else "",
        "location": told.get("location"),
        "status": _status(device, lane, client, told),
        "capabilities": _capabilities(house, device, lane, told),
        "last_seen_at": plain(seen) if seen is not None else None,
        "is_default": bool(told.get("is_default")),
    }


def reported(device: Device) -> dict[str, Any]:
    """What the printer's computer said of it; nothing for one of this machine."""
    told = json.loads(device.reported or "{}")
    return told if isinstance(told, dict) else {}


def _status(device: Device, lane: Lane | None, client: Client | None, told: dict[str, Any]) -> str:
    if device.paused:
        return PAUSED
    if lane is not None:
        return _OWN_STATUS.get(lane.state.state, OFFLINE)
    if client is None or client.is_self or client.last_seen is None or client.last_seen < time.time() - GONE_S:
        return OFFLINE
    return str(told.get("status") or AVAILABLE)


def _capabilities(house: House, device: Device, lane: Lane | None, told: dict[str, Any]) -> dict[str, Any]:
    if lane is None:
        capabilities = told.get("capabilities")
        return capabilities if isinstance(capabilities, dict) else {}
    settings = house.desk.fleet.settings(device.id) or {}
    width, height = settings.get("width_mm"), settings.get("height_mm")
    sizes = [f"{width:g}x{height:g} mm" if height else f"{width:g} mm wide"] if width else []
    return {
        "supports_color": False, "supports_duplex": False, "paper_sizes": sizes, "language": lane.language or None,
        "dpi": settings.get("dpi"),
    }  # fmt: skip


def paper_sizes(house: House, device: Device) -> list[str]:
    """The sizes a printer is said to have."""
    told = _capabilities(house, device, house.desk.store.lanes.lane(device.id), reported(device)).get("paper_sizes")
    return [each for each in told if isinstance(each, str)] if isinstance(told, list) else []


# ---- which one is meant -----------------------------------------------------------------------------------------


def wanted(house: House, who: Principal, printer_id: str | None, printer_name: str | None) -> Device:
    """The printer of a job. Raises NotFound, Invalid (several are called so, or none is named of several)."""
    if printer_id is not None:
        return find(house, who, printer_id)
    if printer_name is not None:
        return _single(printer_name, _called(house, who, printer_name), "printer_name", house)
    every = printers.every(house.desk.store, who.organization_id)
    if len(every) == 1:
        return every[0]
    raise Invalid("The printer_id field is required" + ("." if every else ": this account has no printers."),
                  field="printer_id", remedy=f"name one of {_list(house, every)}" if every else "")  # fmt: skip


def find(house: House, who: Principal, text: str) -> Device:
    """The printer with this number, printer_id or name, whichever fits first. Raises NotFound, Invalid (several)."""
    number = number_of(text)
    if number is not None and (found := house.desk.store.devices.by_serial(who.organization_id, number)) is not None:
        return found
    if (device := house.desk.store.devices.get(who.organization_id, text)) is not None:
        return device
    every = printers.every(house.desk.store, who.organization_id)
    by_id = [device for device in every if reported(device).get("printer_id") == text]
    return _single(text, by_id or _called(house, who, text), "printer_id", house)


def _called(house: House, who: Principal, name: str) -> list[Device]:
    """Those of exactly that name; without any, those whose name differs in case only."""
    every = printers.every(house.desk.store, who.organization_id)
    ways: tuple[Callable[[str], str], ...] = (str, str.casefold)
    for way in ways:
        if found := [device for device in every if way(device.name) == way(name)]:
            return found
    return []


def _single(text: str, found: list[Device], field: str, house: House) -> Device:
    if not found:
        raise NotFound(f"Printer not found: {text[:64]!r}", field=field, remedy="GET printers lists those there are")
    if len(found) > 1:
        raise Invalid(f"{len(found)} printers are called {text[:64]!r}", field=field,
                      remedy=f"send the printer_id of one: {_list(house, found)}")  # fmt: skip
    return found[0]


def _list(house: House, devices: list[Device]) -> str:
    named = [f"{device.serial} ({_place(house, device)})" for device in devices[:_NAMED_MAX]]
    return ", ".join(named) + (" ..." if len(devices) > _NAMED_MAX else "")


def _place(house: House, device: Device) -> str:
    client = client_of(house, device)
    return f"{device.name} on {client.hostname}" if client is not None else device.name
