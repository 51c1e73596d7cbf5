"""The address of a USB printer: usb://VID:PID/SERIAL, or usb://VID:PID/@BUS-PORT.PORT for one without a serial number.

Never the device's number on its bus, which changes with every plugging-in, and never VID:PID alone where two are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl, quote, unquote

from devices.errors import BadPrinterUri
from devices.usb.sysfs import Device

DRIVERS = ("usblp", "libusb")
_URI = re.compile(r"usb://([0-9a-f]{4}):([0-9a-f]{4})(?:/([^/?#]*))?(?:\?([^#]*))?", re.IGNORECASE | re.ASCII)
_PORT = re.compile(r"\d+-\d+(\.\d+)*", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9a-f]{2})|[\x00-\x20\x7f]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Which device. serial, port: None when the address does not say. driver: "usblp" or "libusb" where it insists."""

    vendor: int
    product: int
    serial: str | None = None
    port: str | None = None
    driver: str | None = None

    def fits(self, device: Device) -> bool:
        """Whether `device` can be meant."""
        return (
            (device.vendor, device.product) == (self.vendor, self.product)
            and (self.serial is None or device.serial == self.serial)
            and (self.port is None or device.port == self.port)
        )


@lru_cache(256)
def parse(uri: str) -> Address:
    """Raises BadPrinterUri."""
    match = _URI.fullmatch(uri)
    if match is None or _BAD_ESCAPE.search(uri):
        raise _bad(uri, "this is not a vendor and a product of four hexadecimal digits each, as lsusb shows them")
    driver = _driver(uri, match[4])
    name = match[3] or ""
    ids = int(match[1], 16), int(match[2], 16)
    if not name.startswith("@"):
        return Address(*ids, serial=unquote(name) or None, driver=driver)
    if not _PORT.fullmatch(name[1:]):
        raise _bad(uri, f"{name[1:]!r} is not a bus and its ports")
    return Address(*ids, port=name[1:], driver=driver)


def uri_of(device: Device, others: Iterable[Device] = ()) -> str:
    """The address of `device`: by its serial number where it has one that none of `others` shares, else by its port."""
    twins = (each for each in others if each.port != device.port)
    same = (each.vendor == device.vendor and each.product == device.product for each in twins if
            each.serial == device.serial)  # fmt: skip
    name = f"@{device.port}" if not device.serial or any(same) else quote(device.serial, safe="")
    return f"usb://{device.ids}/{name}"


def _driver(uri: str, query: str | None) -> str | None:
    if not query:
        return None
    options = dict(parse_qsl(query, keep_blank_values=True))
    driver = options.pop("driver", None)
    if options or driver not in DRIVERS:
        raise _bad(uri, f"?{query} is not driver=usblp or driver=libusb")
    return driver


def _bad(uri: str, why: str) -> BadPrinterUri:
    return BadPrinterUri(
        f"{uri!r}: {why}; write usb://0a5f:0166/SERIALNUMBER, or usb://0a5f:0166/@1-1.4 for the port it is plugged into"
    )
