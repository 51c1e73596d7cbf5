"""What other computers say of themselves: which printers they have, and how those are. They fetch their jobs here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from flask import Response

from bridge.dialects.olin import printers
from bridge.dialects.olin.route import House, answered
from bridge.dialects.olin.wishes import Heartbeat, SeenPrinter, Sync
from bridge.errors import Conflict, Invalid
from bridge.model import WAITING, Client, Device, Principal

COMPUTERS_MAX = 500  # of one account
REPORT_MAX = 8_000  # characters of what is kept of a printer


def sync(house: House, who: Principal, wish: Sync) -> Response:
    """Register a computer's printers. One that is left out is forgotten, unless jobs wait for it."""
    computers: dict[str, list[SeenPrinter]] = {wish.computer_name: []} if wish.computer_name is not None else {}
    for number, seen in enumerate(_printers(wish.printers)):
        name = seen.computer_name or wish.computer_name
        if name is None:
            raise Invalid(f"The printers.{number}.computer_name field is required.",
                          field=f"printers.{number}.computer_name")  # fmt: skip
        computers.setdefault(name, []).append(seen)
    count = 0
    with house.syncing:
        for name, given in computers.items():
            client = _computer(house, who, name)
            kept = _registered(house, client, given)
            count += len(kept)
            _forget_others(house, client, kept)
    return answered("Printers synced successfully", {"synced": count, "computers": list(computers)})


def heartbeat(house: House, who: Principal, wish: Heartbeat) -> Response:
    """Say that a computer is there, and how its printers are."""
    given = _printers(wish.printers)
    with house.syncing:
        client = _computer(house, who, wish.computer_name)
        _registered(house, client, [seen for seen in given if seen.computer_name in (None, client.hostname)])
    return answered("Heartbeat received", {"computer_name": client.hostname, "printers": len(given)})


def _printers(given: list[dict[str, Any]]) -> list[SeenPrinter]:
    return [SeenPrinter.read(each, inside=f"printers.{number}.") for number, each in enumerate(given)]


def _computer(house: House, who: Principal, name: str) -> Client:
    """The account's computer of this name, seen just now; registered if it is new.

    This machine is never meant: what it prints on, it knows itself. An agent beside it is a computer of its own.
    """
    control, clients = house.desk.control, house.desk.store.clients
    alike, _ = clients.page(who.organization_id, hostname=name, limit=-1)
    known = next((client for client in alike if client.hostname == name and not client.is_self), None)
    if known is None:
        if clients.page(who.organization_id, limit=1)[1] >= COMPUTERS_MAX:
            raise Invalid(f"this account has {COMPUTERS_MAX} computers already", field="computer_name",
                          remedy="have those deleted that are gone")  # fmt: skip
        known = control.add_client(who.organization_id, name)
    return control.change_client(who.organization_id, known.id, last_seen=time.time())


def _registered(house: House, client: Client, given: list[SeenPrinter]) -> set[str]:
    """The ids of the devices of the printers that were just reported, those that are new among them."""
    devices, seen_ids = _devices(house, client), set()
    for seen in given:
        device = _changed(house, client, seen, _known(devices.values(), seen))
        devices[device.id] = device
        seen_ids.add(device.id)
    return seen_ids


def _devices(house: House, client: Client) -> dict[str, Device]:
    found, _ = house.desk.store.devices.page(client.organization_id, client_id=client.id, limit=-1)
    return {device.id: device for device in found}


def _known(devices: Iterable[Device], seen: SeenPrinter) -> Device | None:
    """The device a report is about, by its printer_id, or else by its name."""
    named = None
    for device in devices:
        if seen.printer_id is not None and printers.reported(device).get("printer_id") == seen.printer_id:
            return device
        if device.name == seen.name:
            named = device
    return named


def _changed(house: House, client: Client, seen: SeenPrinter, known: Device | None) -> Device:
    """The device as it was just reported; a new one for a printer that is not known yet."""
    control, org = house.desk.control, client.organization_id
    told = json.dumps(_told(seen, printers.reported(known) if known is not None else {}))
    if len(told) > REPORT_MAX:
        raise Invalid("The printers field says more of one printer than can be kept.", field="printers",
                      remedy="send fewer capabilities")  # fmt: skip
    try:
        device = known or control.add_device(org, client.id, seen.name)
        now = {"name": seen.name, "reported": told}
        changes = {name: value for name, value in now.items() if getattr(device, name) != value}
        return control.change_device(org, device.id, **changes) if changes else device
    except Conflict as error:
        raise Invalid(f"The printers field names {seen.name[:64]!r} twice.", field="printers",
                      remedy="give each printer of a computer a name of its own") from error  # fmt: skip


def _told(seen: SeenPrinter, before: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a report; what it does not mention stays as it was."""
    now = seen.model_dump(include={"printer_id", "location", "status", "capabilities", "is_default"}, exclude_none=True)
    told = {**before, **now}
    # The computer's own last sign of life says the same, without a write for every printer every minute.
    told.pop("last_seen_at", None)
    if seen.last_seen_at is not None and seen.last_seen_at < time.time() - printers.GONE_S:
        told["last_seen_at"] = seen.last_seen_at
    return told


def _forget_others(house: House, client: Client, kept: set[str]) -> None:
    """Printers a computer no longer has go, and those that jobs wait for are offline."""
    control, store = house.desk.control, house.desk.store
    for device in _devices(house, client).values():
        if device.id in kept:
            continue
        if store.jobs.page(None, device_id=device.id, states=WAITING, limit=1)[1]:
            told = {**printers.reported(device), "status": printers.OFFLINE}
            control.change_device(client.organization_id, device.id, reported=json.dumps(told))
        else:
            control.delete_device(client.organization_id, device.id)
