"""Chooses how to write to a printer, usblp first, and says what is in the way when it cannot be opened."""

from __future__ import annotations

import errno
from pathlib import Path

from devices.errors import PrinterUnreachable
from devices.usb import giveback, holders, rights, sysfs
from devices.usb.address import Address
from devices.usb.descriptors import Interface
from devices.usb.libusb import Claimed, Gone, Missing
from devices.usb.line import Line
from devices.usb.machine import Machine
from devices.usb.sysfs import Device
from devices.usb.usblp import Usblp

_PLUG_IN = "check that it is plugged in and switched on"


class NotYet(PrinterUnreachable):
    """The device has only just appeared, or is just going: looking again within a second may find it ready."""


def opened(
    machine: Machine, uri: str, address: Address, device: Device, interface: Interface, quirks: frozenset[str]
) -> Line:
    """An open line to the printer. Raises PrinterUnreachable with what is in the way, and NotYet."""
    node = machine.node(device)
    try:
        lp = _lp_node(machine, address, device, interface, quirks)
        if lp is not None:
            node = lp
            return Usblp(lp, interface.packet or 64, hears=interface.back is not None and not interface.is_one_way)
        if address.driver == "usblp":
            raise PrinterUnreachable(f"{uri}: usblp does not serve this device; sudo modprobe usblp, or leave ?driver")
        return _claimed(machine, device, interface, reattach="no-reattach" not in quirks)
    except OSError as error:
        raise _explained(machine, uri, device, interface, node, error) from error


def _lp_node(
    machine: Machine, address: Address, device: Device, interface: Interface, quirks: frozenset[str]
) -> Path | None:
    """/dev/usb/lpN when usblp is to be used. A printer that lost its usblp to a crash gets it back."""
    if not machine.has_sysfs or address.driver == "libusb" or "zlp" in quirks:
        return None
    held = sysfs.driver(device, interface)
    if held is None and giveback.can_bind(machine) and interface.is_printer:
        name = giveback.bind(machine, device, interface)
    else:
        name = sysfs.lp_name(device, interface) if held == "usblp" else None
    return machine.dev / "usb" / name if name else None


def _claimed(machine: Machine, device: Device, interface: Interface, *, reattach: bool) -> Line:
    """Through libusb; when it does not know a device that sysfs shows, its list has frozen and is read anew."""
    try:
        return Claimed(machine.libusb(), device, interface, reattach=reattach)
    except Gone:
        if not machine.has_sysfs or not sysfs.present(device):
            raise
        return Claimed(machine.libusb(fresh=True), device, interface, reattach=reattach)


def _explained(
    machine: Machine, uri: str, device: Device, interface: Interface, node: Path, error: OSError
) -> PrinterUnreachable:
    """What, where and what to do."""
    if isinstance(error, Missing):
        return PrinterUnreachable(f"{uri} cannot be opened: {error.strerror}; with usblp it is not needed: "
                                  "sudo modprobe usblp")  # fmt: skip
    if error.errno in (errno.ENODEV, errno.ENOENT, errno.ENXIO):
        return NotYet(f"{uri} has just been unplugged or is not ready yet; {_PLUG_IN}")
    if error.errno == errno.EACCES and machine.has_sysfs:
        kind = NotYet if rights.just_appeared(node) else PrinterUnreachable
        return kind(f"{uri}: no right to open {node}; {rights.remedy(node, device)}")
    if error.errno == errno.EBUSY:
        return PrinterUnreachable(f"{uri} is busy: {_holder(machine, device, interface, node)}")
    return PrinterUnreachable(f"{uri} cannot be opened: {(error.strerror or str(error)).lower()}; {_PLUG_IN}")


def _holder(machine: Machine, device: Device, interface: Interface, node: Path) -> str:
    if not machine.proc.is_dir() or not machine.has_sysfs:
        return "another program holds it; end that, or print through the operating system's queue"
    held = sysfs.driver(device, interface)
    if held in (None, "usbfs", "usblp"):
        return holders.sentence(node, machine.proc)
    return f"the kernel's driver {held} holds it; sudo modprobe -r {held}"
