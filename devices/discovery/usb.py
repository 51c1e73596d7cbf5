"""USB printers, from sysfs alone: no right is needed, nothing is opened, a printer that is printing notices nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from devices import ieee1284
from devices.catalog import MAKERS
from devices.discovery.candidate import Sighting
from devices.discovery.places import Places
from devices.identify import Identification, identify
from devices.usb import holders, rights, sysfs
from devices.usb.address import uri_of
from devices.usb.descriptors import Interface
from devices.usb.sysfs import Device

_VENDORS = {int(vid, 16) for maker in MAKERS for vid in maker.vids}


def seen(here: Places) -> list[Sighting]:
    """Every device with a printer interface, and those of printer makers that hide it behind their own class.

    A machine without sysfs (Windows, macOS) has none to show here: its printers are found as OS queues.
    """
    if not here.sysfs.is_dir():
        return []
    devices = list(sysfs.devices(here.sysfs))
    sightings = []
    for device in devices:
        interface = device.printing
        if interface and (interface.is_printer or _by_a_printer_maker(device)):
            sightings.append(_sighting(device, interface, devices, here))
    return sightings


def _by_a_printer_maker(device: Device) -> bool:
    return device.vendor in _VENDORS


def _sighting(device: Device, interface: Interface, all_devices: list[Device], here: Places) -> Sighting:
    identity, label, told_serial = _what(device, interface)
    uri = uri_of(device, all_devices)
    alone = "/@" not in uri  # some makers give every device the same serial number, which then means nothing
    return Sighting(
        uri=uri,
        identity=identity,
        label=label,
        where=f"on USB port {device.port}",
        keys=keys_of(device.vendor, device.product, device.serial if alone else "") | {f"usb-port {device.port}"},
        rank=0,
        serial=device.serial or told_serial,
        trouble=_trouble(device, interface, here),
    )


def keys_of(vid: int | None, pid: int | None, serial: str | None) -> frozenset[str]:
    """By which a device is known again on another of its interfaces (a serial port). Empty without a serial number."""
    if vid is None or pid is None or not serial or not serial.strip("0. "):
        return frozenset()
    return frozenset({f"usb {vid:04x}:{pid:04x} {serial}"})


def _what(device: Device, interface: Interface) -> tuple[Identification, str, str]:
    """What it is, what it calls itself, and the serial number in its device id."""
    told = None
    with suppress(ieee1284.BadDeviceId):
        told = ieee1284.read(sysfs.device_id(device, interface))
    identity = identify(device_id=told, usb=(device.vendor, device.product), name=device.name)
    label = device.name or (f"{told.mfg} {told.mdl}".strip() if told else "") or f"USB device {device.ids}"
    return identity, label, told.serial if told else ""


def _trouble(device: Device, interface: Interface, here: Places) -> str:
    """Why it could not be opened now. Looks at rights and at who holds it; opens nothing."""
    driver, lp = sysfs.driver(device, interface), sysfs.lp_name(device, interface)
    node = here.dev / "bus" / "usb" / f"{device.bus:03}" / f"{device.address:03}"
    if lp:
        node = here.dev / "usb" / lp
    if driver == "usbfs":
        return f"another program has claimed it: {holders.sentence(node, here.proc)}"
    if driver not in (None, "usblp"):
        return f"the kernel driver {driver} holds its printer interface"
    return _held_or_forbidden(node, device, here)


def _held_or_forbidden(node: Path, device: Device, here: Places) -> str:
    if not os.path.exists(node):
        return f"{node} is not there: in a container, pass the device in"
    if not os.access(node, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        return f"this user may not open {node}: {rights.remedy(node, device)}"
    others = holders.of(node, here.proc)
    return f"{holders.sentence(node, here.proc)}" if others else ""
