"""The routes about printers, and how a printer looks: one of this computer, or one that another reported."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from bridge import printers
from bridge.dialects import Desk
from bridge.dialects.printcloud import presence
from bridge.dialects.printcloud.route import House
from bridge.dialects.printcloud.wishes import Nothing
from bridge.dialects.printcloud.words import OFFLINE, ONLINE, PAUSED, own_id, printer_state
from bridge.errors import BadRequest, NotFound
from bridge.intake.body import read_json
from bridge.model import Device, Principal
from bridge.store.lanes import Lane

SIZE_MAX = 64  # entries of a list another computer reported


def listing(house: House, who: Principal, wish: Nothing) -> Response:
    """All printers of all computers, and how they are."""
    return jsonify(shown(house, who, printers.every(house.desk.store, who.organization_id)))


def of_computer(house: House, who: Principal, wish: Nothing, computer_id: str) -> Response:
    """The printers of one computer."""
    computer = presence.find(house, who, computer_id)
    found = printers.every(house.desk.store, who.organization_id)
    return jsonify(shown(house, who, [device for device in found if device.client_id == computer.id]))


def find(desk: Desk, who: Principal, wanted: str) -> Device:
    """The printer with this id, with this name on this computer, or with this number. Raises NotFound."""
    text = wanted.strip()
    for way in dict.fromkeys((text, own_id("", text))):
        try:
            return printers.find(desk.store, who.organization_id, desk.self_client_id, way)
        except NotFound:
            continue
    if text.isascii() and text.isdigit():
        for device in printers.every(desk.store, who.organization_id):
            if device.serial == int(text):
                return device
    raise NotFound(f"there is no printer {wanted[:64]!r}", field="printerId",
                   remedy="GET /printcloud/api/printers lists them by id")  # fmt: skip


# ---- how a printer looks ----------------------------------------------------------------------------------------


def shown(house: House, who: Principal, devices: list[Device]) -> list[dict[str, Any]]:
    """The printers as JSON. The first of this computer is its default."""
    desk, online = house.desk, house.desk.presence()
    own = next((device.id for device in devices if device.client_id == desk.self_client_id), None)
    return [_own(desk, each, own) if each.client_id == desk.self_client_id else _reported(each, online.has(each))
            for each in devices]  # fmt: skip


def _own(desk: Desk, device: Device, default: str | None) -> dict[str, Any]:
    """A printer of this machine: black labels, one at a time, from one roll."""
    capabilities = {"color": False, "duplex": False, "media": _media(desk.fleet.settings(device.id)), "bins": []}
    state = _state(device, desk.store.lanes.lane(device.id))
    return _printer(device, state, device.id == default, capabilities)


def _state(device: Device, lane: Lane | None) -> str:
    """lane: None for a printer that is not set up any more."""
    if lane is None:
        return OFFLINE
    return printer_state((*lane.state.reasons, *(("paused",) if device.paused else ())))


def _media(settings: dict[str, Any] | None) -> list[str]:
    """What is loaded: "101.6x152.4 mm", or "80 mm" of a roll."""
    if settings is None or not settings.get("width_mm"):
        return []
    sides = [settings["width_mm"], *([settings["height_mm"]] if settings.get("height_mm") else [])]
    return [f"{'x'.join(f'{side:g}' for side in sides)} mm"]


def _reported(device: Device, online: bool) -> dict[str, Any]:
    """A printer of another computer, as that one told of it: by this API or by another."""
    told = _members(device.reported)
    capable = _members(told.get("capabilities"))
    capabilities = {
        "color": _first(capable, "color", "supports_color") is True,
        "duplex": _first(capable, "duplex", "supports_duplex") is True,
        "media": _texts(_first(capable, "media", "paper_sizes", "papers")),
        "bins": _texts(_first(capable, "bins")),
    }
    said = told.get("state", told.get("status"))
    state = said.strip().lower()[:SIZE_MAX] if isinstance(said, str) and said.strip() else ONLINE
    if device.paused and state == ONLINE:
        state = PAUSED
    return _printer(device, state if online else OFFLINE, told.get("is_default") is True, capabilities)


def _printer(device: Device, state: str, is_default: bool, capabilities: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": device.id, "name": device.name, "computerId": device.client_id, "state": state, "isDefault": is_default,
        "capabilities": capabilities,
    }  # fmt: skip


def _first(members: dict[str, Any], *names: str) -> Any:
    return next((members[name] for name in names if name in members), None)


def _texts(value: Any) -> list[str]:
    """The texts of a list, or the names of an object's members (PrintNode has sizes by name)."""
    found = list(value) if isinstance(value, list | dict) else []
    return [each for each in found[:SIZE_MAX] if isinstance(each, str)]


def _members(value: Any) -> dict[str, Any]:
    """An object, or the text of one; empty for anything else: other machines wrote it."""
    if isinstance(value, str):
        try:
            value = read_json(value.encode())
        except BadRequest:
            return {}
    return value if isinstance(value, dict) else {}
