"""Serial ports. A port does not say what is connected to it, so each is offered as one that may hold a printer."""

from __future__ import annotations

import os

from devices import serialports
from devices.catalog import MAKERS
from devices.discovery import usb
from devices.discovery.candidate import Sighting
from devices.discovery.places import Places
from devices.identify import Identification, identify

_VENDORS = {int(vid, 16) for maker in MAKERS for vid in maker.vids}
_UNKNOWN = Identification(
    None, None, None, frozenset(), 0,
    "because a serial port does not say what is connected to it; `doctor --ask` asks at each speed",
)  # fmt: skip


_SAY_NOTHING = {"n/a", "serial port"}  # what pyserial has to say of a port on the board


def seen(here: Places) -> list[Sighting]:
    """Every serial port with hardware behind it. Opens none."""
    return [_sighting(port) for port in here.serial_ports()]


def _sighting(port: serialports.Port) -> Sighting:
    known = port.vid is not None and port.pid is not None and port.vid in _VENDORS
    identity = identify(usb=(port.vid or 0, port.pid or 0), name=port.description) if known else _UNKNOWN
    return Sighting(
        uri=port.uri,
        identity=identity,
        label="" if port.description in _SAY_NOTHING else port.description,
        where=f"on serial port {port.device}",
        keys=usb.keys_of(port.vid, port.pid, port.serial_number) | {f"port {port.device}"},
        rank=4,
        serial=port.serial_number or "",
        trouble=_trouble(port),
        likely=known,
    )


def _trouble(port: serialports.Port) -> str:
    if not os.access(port.path, os.R_OK | os.W_OK):
        return f"this user may not open {port.path}: {serialports.permission(port.path)}"
    held = serialports.holders(port.path)
    return f"{' and '.join(map(str, held))} has it open" if held else ""
