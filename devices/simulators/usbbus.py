"""The USB side of a simulated printer, inside one process: what pyusb talks to instead of libusb.

bus = SimulatedBus(printer)
line = Usb(bus.machine).open(bus.uri, Settings())
"""

from __future__ import annotations

import errno
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import usb.backend
import usb.core

from devices.simulators.outbox import Outbox
from devices.usb.machine import Machine as UsbMachine
from devices.usb.portstatus import NOT_ERROR, PAPER_EMPTY, SELECTED

if TYPE_CHECKING:
    from devices.simulators.printer import Simulator

PACKET = 512  # wMaxPacketSize in bytes
CHUNK = 4096  # bytes heard at once
TICK_S = 0.01
_LIBUSB = {errno.ENODEV: -4, errno.EBUSY: -6, errno.ETIMEDOUT: -7, errno.EPIPE: -9}
_STRING, _ENGLISH = 3, 0x0409  # USB 2.0, 9.6.7


class SimulatedBus(usb.backend.IBackend):  # type: ignore[misc]
    """A bus with one printer on it. machine: for the transport. Switched off, the printer is unplugged."""

    def __init__(self, printer: Simulator, *, vendor: int = 0x0A5F, product: int = 0x0166) -> None:
        super().__init__()
        nowhere = Path(os.devnull)  # no sysfs: the bus alone says what is plugged in
        self.machine = UsbMachine(sysfs=nowhere, dev=nowhere, proc=nowhere, backend=self)
        self.uri = f"usb://{vendor:04x}:{product:04x}/{printer.machine.serial}"
        self._printer = printer
        self._ids = (vendor, product)
        self._claimed_by: object | None = None
        self._eaten = 0
        self._outbox = Outbox()
        printer.machine.ears.append(self._outbox.put)
        printer.machine.on_power.append(self._power)

    def _power(self, on: bool) -> None:
        if not on:
            self._claimed_by = None
            self._outbox.take()

    # -- what is plugged in

    def enumerate_devices(self) -> Iterator[Simulator]:
        return iter([self._printer] if self._printer.machine.powered else [])

    def get_device_descriptor(self, dev: Simulator) -> Any:
        return SimpleNamespace(
            bLength=18, bDescriptorType=1, bcdUSB=0x200, bDeviceClass=0, bDeviceSubClass=0, bDeviceProtocol=0,
            bMaxPacketSize0=64, idVendor=self._ids[0], idProduct=self._ids[1], bcdDevice=0x100, iManufacturer=1,
            iProduct=2, iSerialNumber=3, bNumConfigurations=1, bus=1, address=2, port_number=1, port_numbers=(1,),
            speed=3,
        )  # fmt: skip

    def get_configuration_descriptor(self, dev: Simulator, config: int) -> Any:
        if config:
            raise IndexError
        return SimpleNamespace(
            bLength=9, bDescriptorType=2, wTotalLength=32, bNumInterfaces=1, bConfigurationValue=1, iConfiguration=0,
            bmAttributes=0xC0, bMaxPower=50, extra_descriptors=[],
        )  # fmt: skip

    def get_interface_descriptor(self, dev: Simulator, intf: int, alt: int, config: int) -> Any:
        if intf or alt:
            raise IndexError
        return SimpleNamespace(
            bLength=9, bDescriptorType=4, bInterfaceNumber=0, bAlternateSetting=0, bNumEndpoints=2,
            bInterfaceClass=7, bInterfaceSubClass=1, bInterfaceProtocol=2, iInterface=0, extra_descriptors=[],
        )  # fmt: skip

    def get_endpoint_descriptor(self, dev: Simulator, ep: int, intf: int, alt: int, config: int) -> Any:
        return SimpleNamespace(
            bLength=7, bDescriptorType=5, bEndpointAddress=(0x01, 0x82)[ep], bmAttributes=2, wMaxPacketSize=PACKET,
            bInterval=0, bRefresh=0, bSynchAddress=0, extra_descriptors=[],
        )  # fmt: skip

    # -- opening

    def open_device(self, dev: Simulator) -> object:
        self._here()
        return object()

    def close_device(self, dev_handle: object) -> None:
        if self._claimed_by is dev_handle:
            self._claimed_by = None

    def get_configuration(self, dev_handle: object) -> int:
        self._here()
        return 1

    def claim_interface(self, dev_handle: object, intf: int) -> None:
        self._here()
        if self._claimed_by not in (None, dev_handle):
            raise _error(errno.EBUSY)
        if self._claimed_by is None:
            self._claimed_by, self._eaten = dev_handle, 0

    def release_interface(self, dev_handle: object, intf: int) -> None:
        self._here()
        self._claimed_by = None

    def is_kernel_driver_active(self, dev_handle: object, intf: int) -> bool:
        return False

    def clear_halt(self, dev_handle: object, ep: int) -> None:
        self._here()

    # -- data

    def bulk_write(self, dev_handle: object, ep: int, intf: int, data: Any, timeout: int) -> int:
        """As much as there is room for within `timeout` ms; USBTimeoutError for nothing at all."""
        self._check(dev_handle)
        deadline = time.monotonic() + timeout / 1000
        raw, at = data.tobytes(), 0
        while at < len(raw) and (at == 0 or time.monotonic() < deadline):
            room = self._printer.machine.wait_for_room(min(TICK_S, timeout / 1000))
            self._here()
            if room > 0:
                at += self._hear(raw[at : at + min(room, CHUNK)])
            elif time.monotonic() >= deadline:
                break
        if raw and not at:
            raise _error(errno.ETIMEDOUT)
        return at

    def bulk_read(self, dev_handle: object, ep: int, intf: int, buff: Any, timeout: int) -> int:
        """What the printer says, once it says something; USBTimeoutError after `timeout` ms."""
        self._check(dev_handle)
        deadline = time.monotonic() + timeout / 1000
        while not (words := self._outbox.take(len(buff))):
            self._here()
            if time.monotonic() >= deadline:
                raise _error(errno.ETIMEDOUT)
            time.sleep(min(TICK_S, timeout / 1000))
        buff[: len(words)] = type(buff)("B", words)
        return len(words)

    def _hear(self, piece: bytes) -> int:
        habits = self._printer.habits
        self._outbox.late_s = habits.late_s
        self._outbox.put(self._printer.hear(piece))
        self._eaten += len(piece)
        if habits.slow:
            time.sleep(len(piece) / habits.slow)
        for end in (habits.close_after, habits.reset_after):
            if end is not None and self._eaten >= end:
                raise _error(errno.EPIPE)
        return len(piece)

    def ctrl_transfer(
        self, dev_handle: object, bmRequestType: int, bRequest: int, wValue: int, wIndex: int, data: Any, timeout: int
    ) -> int:
        """The requests of the printer class 1.1 (4.2), and the strings of the device."""
        self._here()
        if not bmRequestType & 0x80:
            self._printer.machine.note("soft reset")
            return 0
        answer = {0x80: self._string, 0xA1: self._of_the_class}.get(bmRequestType, self._stall)(bRequest, wValue)
        answer = answer[: len(data)]
        data[: len(answer)] = type(data)("B", answer)
        return len(answer)

    def _of_the_class(self, request: int, value: int) -> bytes:
        if request == 0:
            return struct.pack(">H", len(self.device_id) + 2) + self.device_id
        return bytes([self.port_status])

    def _string(self, request: int, value: int) -> bytes:
        machine = self._printer.machine
        texts = {1: "print-bridge", 2: machine.name, 3: machine.serial}
        index = value & 0xFF
        if request != 6 or value >> 8 != _STRING or index > len(texts):
            return self._stall(request, value)
        body = texts[index].encode("utf-16-le") if index else struct.pack("<H", _ENGLISH)
        return bytes([len(body) + 2, _STRING]) + body

    def _stall(self, request: int, value: int) -> bytes:
        raise _error(errno.EPIPE)

    @property
    def device_id(self) -> bytes:
        """The IEEE 1284 ID."""
        machine, language = self._printer.machine, self._printer.language.upper()
        return f"MFG:print-bridge;MDL:{machine.name};CMD:{language};SN:{machine.serial};CLS:PRINTER;".encode()

    @property
    def port_status(self) -> int:
        """GET_PORT_STATUS."""
        machine = self._printer.machine
        bad = machine.head_open or machine.jam or machine.ribbon_out or machine.paper_out
        return NOT_ERROR * (not bad) | SELECTED * (not machine.paused) | PAPER_EMPTY * machine.paper_out

    def _here(self) -> None:
        if not self._printer.machine.powered:
            raise _error(errno.ENODEV)

    def _check(self, handle: object) -> None:
        self._here()
        if self._claimed_by is not handle:
            raise _error(errno.EBUSY)


def _error(code: int) -> usb.core.USBError:
    kind = usb.core.USBTimeoutError if code == errno.ETIMEDOUT else usb.core.USBError
    return kind(os.strerror(code), _LIBUSB[code], code)
