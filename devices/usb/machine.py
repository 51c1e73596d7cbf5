"""Where this machine keeps what we need of it. Everything a test must be able to put elsewhere is here."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devices.usb import libusb, sysfs

if TYPE_CHECKING:
    from devices.usb.sysfs import Device


@dataclass
class Machine:
    """sysfs, dev, proc: folders. backend: pyusb's way to libusb, loaded when it is first needed.

    On a machine without sysfs (not Linux) libusb alone says what is plugged in.
    """

    sysfs: Path = Path("/sys/bus/usb/devices")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    backend: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def has_sysfs(self) -> bool:
        """Whether sysfs is the truth here."""
        return self.sysfs.is_dir()

    def devices(self, ids: tuple[int, int] | None = None) -> list[Device]:
        """What is plugged in at this moment, of this vendor and product or at all.

        Raises libusb.Missing where only libusb could tell.
        """
        if self.has_sysfs:
            return list(sysfs.devices(self.sysfs, ids))
        found = libusb.devices(self.libusb())
        return [each for each in found if ids is None or ids == (each.vendor, each.product)]

    def node(self, device: Device) -> Path:
        """The device as libusb opens it."""
        return self.dev / "bus" / "usb" / f"{device.bus:03}" / f"{device.address:03}"

    def libusb(self, *, fresh: bool = False) -> Any:
        """pyusb's backend. fresh: a new one, whose list of devices is read anew. Raises libusb.Missing."""
        with self._lock:
            if self.backend is None:
                self.backend = libusb.load()
            elif fresh:
                self.backend = libusb.renew(self.backend)
            return self.backend


HERE = Machine()
"""This machine."""
