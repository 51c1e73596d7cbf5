"""Gives printers back to usblp: after a program that had detached it died, /dev/usb/lpN does not return by itself.

Done for every printer interface that no driver holds, not only for those we took: an interface some program uses is
claimed, which shows as the driver usbfs, and binding the kernel's own driver to a free printer is what the kernel does
when it is plugged in. So there is nothing to remember and no state that a crash could leave wrong. Where usblp is not
loaded or is blacklisted, nothing happens.
"""

from __future__ import annotations

import array
import logging
import os
import struct
import time
from pathlib import Path

from devices.usb import sysfs
from devices.usb.descriptors import PRINTER, Interface
from devices.usb.machine import HERE, Machine
from devices.usb.sysfs import Device

log = logging.getLogger(__name__)

_CONNECT = ord("U") << 8 | 23  # USBDEVFS_CONNECT, linux/usbdevice_fs.h: look for a driver for this interface
_FOR_INTERFACE = struct.Struct("iiP")  # struct usbdevfs_ioctl: interface, request, data
_IOCTL = 3 << 30 | _FOR_INTERFACE.size << 16 | ord("U") << 8 | 18  # USBDEVFS_IOCTL
_APPEARS_S = 0.2  # for /dev/usb/lpN to be there after that


def give_back(machine: Machine = HERE) -> list[str]:
    """Bind usblp to every free printer. The nodes that came back ("/dev/usb/lp0"); for the start of a program."""
    if not can_bind(machine):
        return []
    found = []
    for device in machine.devices():
        interface = device.printing
        if interface is not None and interface.kind[0] == PRINTER and not sysfs.driver(device, interface):
            name = bind(machine, device, interface)
            if name is not None:
                log.info("%s (%s) has been given back to usblp", machine.dev / "usb" / name, device.ids)
                found.append(str(machine.dev / "usb" / name))
    return found


def can_bind(machine: Machine) -> bool:
    """Whether usblp is loaded on this machine."""
    return (machine.sysfs.parent / "drivers" / "usblp").is_dir()


def bind(machine: Machine, device: Device, interface: Interface) -> str | None:
    """Ask the kernel for a driver; "lp0" when usblp then serves the interface. Needs the right to open the device."""
    try:
        _connect(machine.node(device), interface.number)
    except OSError as error:
        log.debug("%s cannot be given back: %s", device.port, error)
    deadline = time.monotonic() + _APPEARS_S
    while sysfs.driver(device, interface) == "usblp":
        name = sysfs.lp_name(device, interface)
        if name is not None or time.monotonic() > deadline:
            return name
        time.sleep(0.005)
    return None


def _connect(node: Path, number: int) -> None:
    import fcntl

    handle = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _IOCTL, array.array("B", _FOR_INTERFACE.pack(number, _CONNECT, 0)))
    finally:
        os.close(handle)
