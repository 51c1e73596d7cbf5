"""What a USB device says of itself: its interfaces and endpoints, and which of them prints.

Layout: USB 2.0, 9.6; printer class: USB Device Class Definition for Printing Devices 1.1, 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

PRINTER, VENDOR = 0x07, 0xFF
_INTERFACE, _ENDPOINT = 4, 5  # bDescriptorType
_BULK = 2  # bmAttributes & 3
_IPP_USB = 4  # 7/1/4 speaks HTTP: raw printer data means nothing to it
# Protocols of class 7/1 by preference: both directions, one direction, 1284.4 packets.
_PREFERENCE = {2: 0, 1: 1, 3: 2}

CLASSES = {
    0x01: "sound device", 0x02: "modem or serial adapter", 0x03: "keyboard, mouse, scale or scanner (HID)",
    0x05: "force-feedback device", 0x06: "camera", 0x08: "disk or memory stick", 0x09: "hub", 0x0A: "serial adapter",
    0x0B: "smart card reader", 0x0D: "content security device", 0x0E: "video camera", 0x0F: "health device",
    0x10: "audio/video device", 0xDC: "diagnostic device", 0xE0: "wireless adapter", 0xEF: "composite device",
    0xFE: "application-specific device",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interface:
    """One alternate setting of one interface of one configuration.

    out, back: bulk endpoint addresses (0x01, 0x82), None where there is none. packet: wMaxPacketSize of `out`, bytes.
    """

    configuration: int
    number: int
    alternate: int
    kind: tuple[int, int, int]
    out: int | None = None
    back: int | None = None
    packet: int = 0

    @property
    def is_printer(self) -> bool:
        """Class 7, subclass 1, a protocol that takes printer data as it is, and a way out."""
        return self.kind[:2] == (PRINTER, 1) and self.kind[2] in _PREFERENCE and self.out is not None

    @property
    def is_one_way(self) -> bool:
        """7/1/1: whatever endpoints it has, the printer class promises no way back (1.1, 4.2.2)."""
        return self.kind == (PRINTER, 1, 1)

    @property
    def is_vendors_own(self) -> bool:
        """Vendor class with a way out: printers of this kind exist, and so do many things that are none."""
        return self.kind[0] == VENDOR and self.out is not None


def parse(raw: bytes) -> tuple[Interface, ...]:
    """The interfaces in a device's descriptors, as sysfs has them (`descriptors`). What is cut short is left out."""
    found: list[Interface] = []
    configuration = at = 0
    while at + 2 <= len(raw) and (size := raw[at]) >= 2:
        part = raw[at : at + size]
        at += size
        if part[1] == 2 and len(part) >= 6:
            configuration = part[5]
        elif part[1] == _INTERFACE and len(part) >= 9:
            found.append(Interface(configuration, part[2], part[3], (part[5], part[6], part[7])))
        elif part[1] == _ENDPOINT and len(part) >= 7 and found:
            found[-1] = with_endpoint(found[-1], part[2], part[3], part[4] | part[5] << 8)
    return tuple(found)


def with_endpoint(interface: Interface, address: int, attributes: int, packet: int) -> Interface:
    """`interface` with one endpoint more; only the first bulk endpoint each way matters to a printer."""
    if attributes & 3 != _BULK:
        return interface
    if address & 0x80:
        return interface if interface.back is not None else replace(interface, back=address)
    return interface if interface.out is not None else replace(interface, out=address, packet=packet & 0x7FF)


def printing(interfaces: Iterable[Interface]) -> Interface | None:
    """The interface to print through: 7/1/2 before 7/1/1 before 7/1/3, else the vendor's own, else None."""
    interfaces = list(interfaces)
    printers = [each for each in interfaces if each.is_printer]
    if printers:
        return min(printers, key=lambda each: (_PREFERENCE[each.kind[2]], each.number, each.alternate))
    return next((each for each in interfaces if each.is_vendors_own), None)


def what_it_is(interfaces: Iterable[Interface]) -> str:
    """What a device that is no printer is, for people."""
    kinds = dict.fromkeys(each.kind for each in interfaces)
    if any(kind[:2] == (PRINTER, 1) and kind[2] == _IPP_USB for kind in kinds):
        return "a printer that speaks only IPP over USB"
    named = list(dict.fromkeys(CLASSES.get(kind[0], f"device of class {kind[0]:02x}") for kind in kinds))
    return "a " + " and ".join(named) if named else "a device without any interface"
