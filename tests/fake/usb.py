"""USB printers without hardware: a folder that looks like sysfs, and a bus that pyusb talks to instead of libusb.

    with FakeBus(tmp_path) as bus:
        printer = bus.plug(FakeUsbPrinter(serial="A1"))
        ... print to usb://0a5f:0166/A1 with bus.machine ...
        assert bytes(printer.data) == b"^XA^XZ"

Its errors are those that Linux and libusb were seen to give (tests/usb shows them for real). With usblp=True
the printer is the far end of a pseudo-terminal where /dev/usb/lpN would be.
"""

from __future__ import annotations

import errno
import itertools
import os
import select
import struct
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import usb.backend
import usb.core

from devices.usb.machine import Machine

_CODES = {errno.ENODEV: -4, errno.ENOENT: -5, errno.EBUSY: -6, errno.ETIMEDOUT: -7, errno.EPIPE: -9, errno.EACCES: -3,
          errno.EOVERFLOW: -8, errno.EIO: -1}  # fmt: skip


def usb_error(code: int) -> usb.core.USBError:
    """What pyusb raises for it."""
    kind = usb.core.USBTimeoutError if code == errno.ETIMEDOUT else usb.core.USBError
    return kind(os.strerror(code), _CODES[code], code)


@dataclass(eq=False)
class FakeUsbPrinter:
    """A device with one interface.

    stops_at, halts_at, goes_at: the byte at which it takes no more, refuses to, or is unplugged.
    """

    serial: str = ""
    vendor: int = 0x0A5F
    product: int = 0x0166
    kind: tuple[int, int, int] = (7, 1, 2)
    usblp: bool = False
    packet: int = 512
    driver: str | None = None
    forbidden: bool = False
    device_id: bytes = b"MFG:Fake;MDL:Label;CMD:ZPL;"
    status: int = 0x18
    stops_at: int | None = None
    halts_at: int | None = None
    goes_at: int | None = None
    answers: Callable[[bytes], bytes] | None = None
    """What it says to each piece it takes."""
    voice: list[bytes] = field(default_factory=list)
    """What it has said and nobody has read, as packets of at most `packet` bytes; empty ones count."""
    mute_error: int | None = None
    """The errno every look for words ends with."""
    data: bytearray = field(default_factory=bytearray)
    asked: list[str] = field(default_factory=list)
    """Everything that was done to it, in order: "claim", "attach", "zero packet" ..."""

    port: str = ""
    address: int = 0
    claimed_by: Any = None

    def descriptors(self) -> bytes:
        """Device, configuration, interface, endpoints, as sysfs has them."""
        device = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0, 0, 0, 64, self.vendor, self.product, 0x100, 1, 2, 3, 1)
        interface = struct.pack("9B", 9, 4, 0, 0, 2, *self.kind, 0)
        out = struct.pack("<BBBBHB", 7, 5, 0x01, 2, self.packet, 0)
        back = struct.pack("<BBBBHB", 7, 5, 0x82, 2, self.packet, 0)
        size = 9 + len(interface + out + back)
        return device + struct.pack("<BBHBBBBB", 9, 2, size, 1, 1, 0, 0xC0, 50) + interface + out + back


class FakeBus(usb.backend.IBackend):
    """A machine's USB below a folder. machine: to be given to the transport. sees_all: False is a list that froze."""

    def __init__(self, folder: Path, *, has_sysfs: bool = True) -> None:
        super().__init__()
        self.lib = folder  # what a fresh backend is made from, as with libusb's own
        self.sysfs, self.dev, self.proc = folder / "sys" / "devices", folder / "dev", folder / "proc"
        for each in (*([self.sysfs] if has_sysfs else []), self.dev / "usb", self.proc):
            each.mkdir(parents=True)
        self.machine = Machine(sysfs=self.sysfs, dev=self.dev, proc=self.proc, backend=self)
        self.plugged: list[FakeUsbPrinter] = []
        self.hidden: set[FakeUsbPrinter] = set()
        self._addresses = itertools.count(2)
        self._over = threading.Event()
        self._readers: list[threading.Thread] = []

    def __enter__(self) -> FakeBus:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        for reader in self._readers:
            reader.join()

    # -- plugging --

    def plug(self, printer: FakeUsbPrinter, port: str = "") -> FakeUsbPrinter:
        """Plug it in, with a new address as on a real bus."""
        printer.port = port or printer.port or f"1-{len(self.plugged) + 1}"
        printer.address = next(self._addresses)
        self.plugged.append(printer)
        if self.sysfs.is_dir():
            self._describe(printer)
        return printer

    def unplug(self, printer: FakeUsbPrinter) -> None:
        """Pull the cable."""
        self.plugged.remove(printer)
        printer.claimed_by = None
        if self.sysfs.is_dir():
            (self.sysfs / printer.port).rename(self.sysfs / f"gone:{printer.address}")

    def _describe(self, printer: FakeUsbPrinter) -> None:
        folder = self.sysfs / printer.port
        interface = folder / f"{printer.port}:1.0"
        interface.mkdir(parents=True)
        facts = {
            "busnum": "1", "devnum": str(printer.address), "bConfigurationValue": "1", "product": "Label Printer",
            "idVendor": f"{printer.vendor:04x}", "idProduct": f"{printer.product:04x}",
        }  # fmt: skip
        for name, text in (facts | ({"serial": printer.serial} if printer.serial else {})).items():
            (folder / name).write_text(f"{text}\n")
        (folder / "descriptors").write_bytes(printer.descriptors())
        driver = "usblp" if printer.usblp else printer.driver
        if driver:
            (interface / "driver").symlink_to(f"/sys/bus/usb/drivers/{driver}")
        if printer.usblp:
            self._serve_lp(printer, interface)

    def _serve_lp(self, printer: FakeUsbPrinter, interface: Path) -> None:
        name = f"lp{printer.address}"
        (interface / "usbmisc" / name).mkdir(parents=True)
        (interface / "ieee1284_id").write_bytes(printer.device_id)
        handle, node = os.openpty()
        tty.setraw(node)
        (self.dev / "usb" / name).symlink_to(os.ttyname(node))
        reader = threading.Thread(target=self._read, args=(printer, handle, node), daemon=True)
        self._readers.append(reader)
        reader.start()

    def _read(self, printer: FakeUsbPrinter, handle: int, node: int) -> None:
        poller = select.poll()
        poller.register(handle, select.POLLIN)
        for packet in printer.voice:
            os.write(handle, packet)
        while not self._over.is_set():
            if printer.stops_at is not None and len(printer.data) >= printer.stops_at:
                self._over.wait(0.02)
            elif any(event & select.POLLIN for _, event in poller.poll(20)):
                piece = os.read(handle, 65536)
                printer.data += piece
                if printer.answers is not None:
                    os.write(handle, printer.answers(piece))
        os.close(handle)
        os.close(node)

    # -- what pyusb asks for --

    def enumerate_devices(self) -> Iterator[FakeUsbPrinter]:
        return iter([each for each in self.plugged if each not in self.hidden])

    def get_device_descriptor(self, dev: FakeUsbPrinter) -> Any:
        names = ("bLength bDescriptorType bcdUSB bDeviceClass bDeviceSubClass bDeviceProtocol bMaxPacketSize0 idVendor "
                 "idProduct bcdDevice iManufacturer iProduct iSerialNumber bNumConfigurations")  # fmt: skip
        facts = dict(zip(names.split(), struct.unpack("<BBHBBBBHHHBBBB", dev.descriptors()[:18]), strict=True))
        ports = tuple(int(part) for part in dev.port.split("-")[1].split("."))
        return SimpleNamespace(bus=1, address=dev.address, port_number=ports[-1], port_numbers=ports, speed=3, **facts)

    def get_configuration_descriptor(self, dev: FakeUsbPrinter, config: int) -> Any:
        if config:
            raise IndexError
        return SimpleNamespace(bLength=9, bDescriptorType=2, wTotalLength=32, bNumInterfaces=1, bConfigurationValue=1,
                               iConfiguration=0, bmAttributes=0xC0, bMaxPower=50, extra_descriptors=[])  # fmt: skip

    def get_interface_descriptor(self, dev: FakeUsbPrinter, intf: int, alt: int, config: int) -> Any:
        if intf or alt:
            raise IndexError
        return SimpleNamespace(
            bLength=9, bDescriptorType=4, bInterfaceNumber=0, bAlternateSetting=0, bNumEndpoints=2, iInterface=0,
            bInterfaceClass=dev.kind[0], bInterfaceSubClass=dev.kind[1], bInterfaceProtocol=dev.kind[2],
            extra_descriptors=[],
        )  # fmt: skip

    def get_endpoint_descriptor(self, dev: FakeUsbPrinter, ep: int, intf: int, alt: int, config: int) -> Any:
        return SimpleNamespace(bLength=7, bDescriptorType=5, bEndpointAddress=(0x01, 0x82)[ep], bmAttributes=2,
                               wMaxPacketSize=dev.packet, bInterval=0, bRefresh=0, bSynchAddress=0,
                               extra_descriptors=[])  # fmt: skip

    def open_device(self, dev: FakeUsbPrinter) -> Any:
        if dev.forbidden:
            raise usb_error(errno.EACCES)
        return SimpleNamespace(printer=dev, address=dev.address)

    def close_device(self, dev_handle: Any) -> None:
        if dev_handle.printer.claimed_by is dev_handle:
            dev_handle.printer.claimed_by = None

    def get_configuration(self, dev_handle: Any) -> int:
        self._here(dev_handle)
        return 1

    def claim_interface(self, dev_handle: Any, intf: int) -> None:
        printer = self._here(dev_handle)
        if printer.driver or printer.claimed_by not in (None, dev_handle):
            raise usb_error(errno.EBUSY)
        printer.claimed_by = dev_handle
        printer.asked.append("claim")

    def release_interface(self, dev_handle: Any, intf: int) -> None:
        self._here(dev_handle).claimed_by = None

    def is_kernel_driver_active(self, dev_handle: Any, intf: int) -> bool:
        return self._here(dev_handle).driver is not None

    def detach_kernel_driver(self, dev_handle: Any, intf: int) -> None:
        printer = self._here(dev_handle)
        printer.driver = None
        printer.asked.append("detach")

    def attach_kernel_driver(self, dev_handle: Any, intf: int) -> None:
        self._here(dev_handle).asked.append("attach")

    def clear_halt(self, dev_handle: Any, ep: int) -> None:
        self._here(dev_handle).asked.append("clear halt")

    def bulk_write(self, dev_handle: Any, ep: int, intf: int, data: Any, timeout: int) -> int:
        printer, room = self._here(dev_handle), data.tobytes()
        assert printer.claimed_by is dev_handle and timeout > 0, "never without a claim, never for ever"
        if not room:
            printer.asked.append("zero packet")
        for at in (printer.stops_at, printer.halts_at, printer.goes_at):
            if at is not None and len(printer.data) + len(room) > at:
                return self._falter(printer, room[: max(0, at - len(printer.data))], timeout)
        self._take(printer, room)
        return len(room)

    def bulk_read(self, dev_handle: Any, ep: int, intf: int, buff: Any, timeout: int) -> int:
        printer = self._here(dev_handle)
        assert printer.claimed_by is dev_handle and timeout > 0 and ep == 0x82, "never without a claim, never for ever"
        printer.asked.append("read")
        if printer.mute_error is not None:
            raise usb_error(printer.mute_error)
        deadline = time.monotonic() + timeout / 1000
        while not printer.voice:
            if time.monotonic() > deadline:
                raise usb_error(errno.ETIMEDOUT)
            time.sleep(0.001)
        packet = printer.voice.pop(0)
        if len(buff) < printer.packet:
            raise usb_error(errno.EOVERFLOW)  # and what was said is lost
        buff[: len(packet)] = type(buff)("B", packet)
        return len(packet)

    def _take(self, printer: FakeUsbPrinter, piece: bytes) -> None:
        printer.data += piece
        said = printer.answers(piece) if printer.answers is not None and piece else b""
        printer.voice += [said[at : at + printer.packet] for at in range(0, len(said), printer.packet)]

    def _falter(self, printer: FakeUsbPrinter, taken: bytes, timeout: int) -> int:
        self._take(printer, taken)
        if printer.goes_at is not None:
            self.unplug(printer)
            raise usb_error(errno.ENODEV)
        if printer.halts_at is not None:
            raise usb_error(errno.EPIPE)
        time.sleep(timeout / 1000)
        if not taken:
            raise usb_error(errno.ETIMEDOUT)
        return len(taken)  # a time-out with progress is a short count, and no error

    def ctrl_transfer(
        self, dev_handle: Any, bmRequestType: int, bRequest: int, wValue: int, wIndex: int, data: Any, timeout: int
    ) -> int:
        printer = self._here(dev_handle)
        if bmRequestType == 0x21:
            printer.asked.append("soft reset")
            return 0
        answer = bytes([printer.status]) if bRequest else struct.pack(">H", len(printer.device_id) + 2)
        answer += b"" if bRequest else printer.device_id
        data[: len(answer)] = type(data)("B", answer)
        return len(answer)

    def _here(self, handle: Any) -> FakeUsbPrinter:
        printer: FakeUsbPrinter = handle.printer
        if printer not in self.plugged or printer.address != handle.address:
            raise usb_error(errno.ENODEV)
        return printer
