"""From an address to the one device that is meant, or to a sentence that says why there is none."""

from __future__ import annotations

from devices.errors import PrinterUnreachable
from devices.usb import sysfs
from devices.usb.address import Address, uri_of
from devices.usb.descriptors import Interface, what_it_is
from devices.usb.libusb import Missing
from devices.usb.machine import Machine
from devices.usb.sysfs import Device

_SERIAL_DRIVERS = ("ftdi_sio", "pl2303", "cp210x", "ch341", "cdc_acm")
_OF_PRINTERS = (None, "usblp", "usbfs")


def printer(machine: Machine, uri: str, address: Address) -> tuple[Device, Interface]:
    """The device at `address` as it is plugged in now, and its interface to print through.

    Raises PrinterUnreachable: it is not there, two devices fit, or it is no printer.
    """
    try:
        fitting = [device for device in machine.devices((address.vendor, address.product)) if address.fits(device)]
        there = [] if fitting else machine.devices()
    except Missing as error:
        raise PrinterUnreachable(f"{uri} cannot be looked up: {error.strerror}") from error
    if not fitting:
        raise PrinterUnreachable(f"{uri} is not plugged in{_instead(there, address)}")
    if len(fitting) > 1:
        raise PrinterUnreachable(f"{uri} fits {len(fitting)} devices: {_both(fitting)}; use one of these addresses")
    device = fitting[0]
    interface = device.printing
    if interface is None:
        raise PrinterUnreachable(
            f"{uri} is {what_it_is(device.interfaces)}{_named(device)}, no printer that takes raw data; "
            f"look up the printer's own address: lsusb"
        )
    _refuse_adapters(machine, uri, device, interface)
    return device, interface


def printers(machine: Machine) -> list[Device]:
    """Every device with a printer interface (class 7) that is plugged in. Disturbs none of them."""
    return [each for each in machine.devices() if each.printing is not None and each.printing.is_printer]


def _refuse_adapters(machine: Machine, uri: str, device: Device, interface: Interface) -> None:
    """A vendor-class device with a driver of its own is what that driver says, and must not be torn from it."""
    held = sysfs.driver(device, interface) if machine.has_sysfs else None
    if interface.is_printer or held in _OF_PRINTERS:
        return
    what, remedy = f"a device of the kernel's driver {held}", "name a printer"
    if held in _SERIAL_DRIVERS:
        what, remedy = f"a serial adapter (driver {held})", "use its serial port: serial:///dev/ttyUSB0"
    raise PrinterUnreachable(f"{uri} is {what}{_named(device)}, no USB printer; {remedy}")


def _instead(there: list[Device], address: Address) -> str:
    """What to do, and what is there that could have been meant."""
    same = [each for each in there if (each.vendor, each.product) == (address.vendor, address.product)]
    others = same or [each for each in there if each.printing is not None and each.printing.is_printer]
    if not others:
        return "; plug it in and switch it on"
    kind = "of this model" if same else "printers"
    return f"; plug it in and switch it on; {kind}, these are plugged in: {_both(others)}"


def _both(devices: list[Device]) -> str:
    return " and ".join(f"{uri_of(each, devices)}{_named(each)}" for each in devices)


def _named(device: Device) -> str:
    return f" ({device.name})" if device.name else ""
