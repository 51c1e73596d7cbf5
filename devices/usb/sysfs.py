"""What is plugged in, as Linux's sysfs tells it: no right is needed and no printer is disturbed.

On Linux this is the truth. libusb's own list stands still where udevd does not run (containers) and lags behind it
where it does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devices.usb import descriptors
from devices.usb.descriptors import Interface

_DEVICE = re.compile(r"\d+-\d+(\.\d+)*")  # bus-port.port...; interfaces have a colon, root hubs begin with "usb"


@dataclass(frozen=True, slots=True)
class Device:
    """One USB device. port: "1-1.4", bus and ports, which stays the same when it is plugged in again there.

    address: changes with every plugging-in. configuration: the active one, 0 when there is none. serial: "" when it
    has none. folder: where sysfs keeps it, None on a machine without sysfs.
    """

    port: str
    bus: int
    address: int
    vendor: int
    product: int
    serial: str
    name: str
    configuration: int
    interfaces: tuple[Interface, ...]
    folder: Path | None = None

    @property
    def printing(self) -> Interface | None:
        """The interface to print through."""
        active = [each for each in self.interfaces if each.configuration == self.configuration]
        return descriptors.printing(active or self.interfaces)

    @property
    def ids(self) -> str:
        """VID:PID, as lsusb writes it."""
        return f"{self.vendor:04x}:{self.product:04x}"


def devices(root: Path, ids: tuple[int, int] | None = None) -> Iterator[Device]:
    """Every device below `root` (/sys/bus/usb/devices), in order of its port. One that is just going is left out.

    ids: only those of this vendor and product; that reads two small files of each of the others.
    """
    for name in sorted(filter(_DEVICE.fullmatch, os.listdir(root)), key=_order):
        with suppress(OSError, ValueError):  # unplugged between two reads, or only half there yet
            folder = root / name
            if ids is None or ids == (_number(folder, "idVendor", 16), _number(folder, "idProduct", 16)):
                yield read(folder)


def read(folder: Path) -> Device:
    """One device. Raises OSError or ValueError when it is not (yet, any more) whole."""
    return Device(
        port=folder.name,
        bus=_number(folder, "busnum"),
        address=_number(folder, "devnum"),
        vendor=_number(folder, "idVendor", 16),
        product=_number(folder, "idProduct", 16),
        serial=_text(folder, "serial"),
        name=" ".join(filter(None, (_text(folder, "manufacturer"), _text(folder, "product")))),
        configuration=int(_text(folder, "bConfigurationValue") or "0"),
        interfaces=descriptors.parse(_bytes(folder, "descriptors")),
        folder=folder,
    )


def driver(device: Device, interface: Interface) -> str | None:
    """The kernel driver that holds an interface: "usblp"; "usbfs" is a program with libusb; None: nobody."""
    link = _interface(device, interface) / "driver"
    try:
        return link.readlink().name
    except OSError:
        return None


def lp_name(device: Device, interface: Interface) -> str | None:
    """"lp0" when usblp serves the interface as /dev/usb/lp0."""
    for place in ("usbmisc", "usb"):  # "usb" on kernels before 3.5
        with suppress(OSError):
            return next((each.name for each in (_interface(device, interface) / place).iterdir()), None)
    return None


def device_id(device: Device, interface: Interface) -> str:
    """The IEEE 1284 ID usblp has read when it found the printer; "" without usblp."""
    try:
        return (_interface(device, interface) / "ieee1284_id").read_bytes().decode("latin-1").strip()
    except OSError:
        return ""


def present(device: Device) -> bool:
    """False when it has been unplugged since; another device in its place is another one."""
    if device.folder is None:
        return True
    try:
        return _number(device.folder, "devnum") == device.address
    except (OSError, ValueError):
        return False


def seen(root: Path) -> frozenset[tuple[str, str]]:
    """(port, address) of all that is plugged in: differs as soon as anything is plugged in or out. Costs 0.1 ms."""
    return frozenset((name, _text(root / name, "devnum")) for name in os.listdir(root) if _DEVICE.fullmatch(name))


def _interface(device: Device, interface: Interface) -> Path:
    assert device.folder is not None, "only devices that sysfs knows have drivers"
    return device.folder / f"{device.port}:{interface.configuration}.{interface.number}"


def _number(folder: Path, name: str, base: int = 10) -> int:
    """Raises OSError, or ValueError when it is empty (the device is just going)."""
    return int(_bytes(folder, name), base)


def _text(folder: Path, name: str) -> str:
    """"" when the device does not say."""
    try:
        return _bytes(folder, name).decode("utf-8", "replace").strip()
    except OSError:
        return ""


def _bytes(folder: Path, name: str) -> bytes:
    with open(f"{folder}/{name}", "rb", buffering=0) as file:
        return file.read()


def _order(name: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", name)]
