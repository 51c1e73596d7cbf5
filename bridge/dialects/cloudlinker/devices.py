"""devices/*: the printers of the clients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from bridge.dialects import Desk
from bridge.dialects.cloudlinker.fields import Fields, Id, Info, Line, Whole
from bridge.dialects.cloudlinker.paginator import Page, paginated
from bridge.dialects.cloudlinker.replies import device_json
from bridge.dialects.cloudlinker.views import deleted, links
from bridge.errors import Invalid
from bridge.model import Device, Principal


class _List(Fields):
    client_id: Id | None = None
    device_type: Whole | None = None
    name: Line | None = None


class _Create(Fields):
    client_id: Id
    name: Line
    device_type: Whole
    hardware_path: Line | None = None
    additional_info: Info | None = None


class _Ref(Fields):
    device_id: Id = Field(validation_alias=AliasChoices("device_id", "id"))
    client_id: Id | None = None


class _Update(_Ref):
    clearable: ClassVar[frozenset[str]] = frozenset({"hardware_path", "additional_info"})

    name: Line | None = None
    hardware_path: Line | None = None
    additional_info: Info | None = None


class Devices:
    """Views; what they may raise is what Control and Fields raise."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def list(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        asked, page = _List.read(given), Page.read(given)
        devices, total = self._desk.store.devices.page(
            caller.organization_id, client_id=asked.client_id, device_type=asked.device_type, name=asked.name,
            limit=page.size, offset=page.start,
        )  # fmt: skip
        return paginated([_shown(caller, device) for device in devices], total, page, links())

    def create(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        asked = _Create.read(given)
        device = self._desk.control.add_device(
            caller.organization_id, asked.client_id, asked.name, device_type=asked.device_type,
            hardware_path=asked.hardware_path, additional_info=asked.additional_info,
        )  # fmt: skip
        return {"data": device_json(device)}

    def update(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        asked = _Update.read(given)
        device = self._meant(caller, asked)
        names = asked.model_fields_set & {"name", "hardware_path", "additional_info"}
        columns = {name: getattr(asked, name) or None for name in names}  # an emptied one is null again
        changed = self._desk.control.change_device(caller.organization_id, device.id, **columns)
        return {"data": device_json(changed)}

    def delete(self, caller: Principal, given: dict[str, Any]) -> Any:
        device = self._meant(caller, _Ref.read(given))
        self._desk.control.delete_device(caller.organization_id, device.id)
        return deleted(self._desk, given, "device_id")

    def _meant(self, caller: Principal, asked: _Ref) -> Device:
        device = self._desk.control.device(caller.organization_id, asked.device_id)
        if asked.client_id is not None:
            check_owner(self._desk, caller, device, asked.client_id)
        return device


def _shown(caller: Principal, device: Device) -> dict[str, Any]:
    """A device; of a lent one not where it is."""
    if device.organization_id != caller.organization_id:
        device = replace(device, hardware_path=None, additional_info=None)
    return device_json(device)


def check_owner(desk: Desk, caller: Principal, device: Device, client_id: str) -> None:
    """Raise NotFound for an unknown client, Invalid for one whose printer this is not."""
    if client_id == device.client_id:
        return
    client = desk.control.client(caller.organization_id, client_id)
    if device.client_id != client.id:
        raise Invalid(f"{device.name!r} is a device of client {device.client_id}, not of {client.id}",
                      field="client_id", remedy="leave client_id out, or send the right one")  # fmt: skip
