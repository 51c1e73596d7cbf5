"""The other way: libusb through pyusb, for what usblp does not serve. Talks to pyusb's backends, not to its devices.

pyusb's Device claims interfaces by itself, and the wrong one for GET_DEVICE_ID; its backends do what they are told.
Never reset() (it ends another program's job), never set_configuration() on a configured device, never a time-out of 0
(which means for ever).
"""

from __future__ import annotations

import array
import errno
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from devices.ieee1284 import BadDeviceId, read
from devices.usb import descriptors
from devices.usb.descriptors import Interface
from devices.usb.pace import Pace
from devices.usb.sysfs import Device

TRIES, BETWEEN_S = 20, 0.1  # usblp is bound some ms after a device appears, so detaching once can be too early
ASK_MS = 1000  # for an answer to a control request
LEAST, MOST = 16 * 1024, 64 * 1024  # bytes of one transfer; one that breaks off leaves all of it in doubt
EARFUL = 16 * 1024  # bytes asked for at once: whole packets of any size, as one that does not fit would be lost
PIECE_S = 2.0  # one transfer waits at most so long, and is then called back to see how far it got
# Printer class 1.1, 4.2: bmRequestType, then bRequest.
_ASK, _TELL, _GET_DEVICE_ID, _GET_PORT_STATUS, _SOFT_RESET = 0xA1, 0x21, 0, 1, 2
INSTALL = "install it: sudo apt-get install libusb-1.0-0 (Debian), pip install libusb-package (elsewhere)"


class Missing(OSError):
    """There is no libusb-1.0 on this machine. The text says how to get it."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSYS, f"the library libusb-1.0 is missing; {INSTALL}")


class Gone(OSError):
    """libusb does not know the device (any more)."""

    def __init__(self) -> None:
        super().__init__(errno.ENODEV, "no such device")


def load() -> Any:
    """pyusb's backend for libusb 1.0: the system's library, else that of the package libusb-package. Raises Missing."""
    import usb.backend.libusb1 as libusb1

    backend = libusb1.get_backend()
    if backend is None:
        with suppress(ImportError):
            import libusb_package

            backend = libusb1.get_backend(find_library=libusb_package.find_library)
    if backend is None:
        raise Missing
    return backend


def renew(backend: Any) -> Any:
    """A second backend with a list of its own: libusb's list stands still where no udevd tells it of changes."""
    lib = getattr(backend, "lib", None)
    return backend if lib is None else type(backend)(lib)


def devices(backend: Any) -> Iterator[Device]:
    """What libusb sees; for machines without sysfs. A serial number is left out where the device may not be opened."""
    import usb.core

    for each in backend.enumerate_devices():
        with suppress(usb.core.USBError):  # going at this moment
            yield _device(backend, each)


def _device(backend: Any, each: Any) -> Device:
    import usb.core

    device = usb.core.Device(each, backend)
    ports = ".".join(map(str, device.port_numbers or ()))
    return Device(
        port=f"{device.bus}-{ports}", bus=device.bus, address=device.address, vendor=device.idVendor,
        product=device.idProduct, serial=_serial(device), name="", configuration=0,
        interfaces=tuple(_interface(config, each) for config in device for each in config),
    )  # fmt: skip


def _interface(config: Any, each: Any) -> Interface:
    kind = (each.bInterfaceClass, each.bInterfaceSubClass, each.bInterfaceProtocol)
    interface = Interface(config.bConfigurationValue, each.bInterfaceNumber, each.bAlternateSetting, kind)
    for endpoint in each:
        interface = descriptors.with_endpoint(
            interface, endpoint.bEndpointAddress, endpoint.bmAttributes, endpoint.wMaxPacketSize
        )
    return interface


def _serial(device: Any) -> str:
    import usb.core
    import usb.util

    try:
        return (usb.util.get_string(device, device.iSerialNumber) or "").strip() if device.iSerialNumber else ""
    except (usb.core.USBError, ValueError, NotImplementedError):
        return ""
    finally:
        usb.util.dispose_resources(device)


class Opened:
    """A device that is open and not claimed: enough to ask for its ID, even while another program prints."""

    def __init__(self, backend: Any, device: Device) -> None:
        """Raises OSError: Gone, EACCES."""
        self.backend = backend
        self._handle = backend.open_device(_listed(backend, device))

    @property
    def handle(self) -> Any:
        """libusb's handle. Raises Gone after close()."""
        if self._handle is None:
            raise Gone
        return self._handle

    def ask(self, request: int, index: int, size: int) -> bytes:
        """The answer to a class request, straight from the backend: nothing is claimed. Raises OSError."""
        buffer = array.array("B", bytes(size))
        got = self.backend.ctrl_transfer(self.handle, _ASK, request, 0, index, buffer, ASK_MS)
        return buffer[:got].tobytes()

    def tell(self, request: int, index: int) -> None:
        """A class request without data. Raises OSError."""
        self.backend.ctrl_transfer(self.handle, _TELL, request, 0, index, array.array("B"), ASK_MS)

    def device_id(self, interface: Interface) -> str:
        """The IEEE 1284 ID, "" for none. Raises OSError."""
        raw = self.ask(_GET_DEVICE_ID, interface.number << 8 | interface.alternate, 1024)
        try:
            return read(raw).text
        except BadDeviceId:
            return ""

    def close(self) -> None:
        """Let go; safe to call twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self.backend.close_device(handle)


class Claimed:
    """One claimed interface; see devices.usb.line."""

    def __init__(self, backend: Any, device: Device, interface: Interface, *, reattach: bool = True) -> None:
        """Raises OSError: Gone, EACCES, EBUSY while another program holds the interface."""
        self.via = f"libusb (interface {interface.number})"
        self.tick_s = PIECE_S
        self.packet = interface.packet or 64
        self.in_doubt = 0
        self.hears = interface.back is not None
        self._interface = interface
        self._reattach = reattach
        self._detached = self._halted = False
        self._pace = Pace(LEAST, MOST)
        self._opened = Opened(backend, device)
        try:
            self._configure()
            self._claim()
            self._choose_alternate(device)
        except BaseException:
            self.close()
            raise

    def offer(self, data: memoryview, seconds: float) -> int:
        """The bytes of `data` the printer took; a short count is what a time-out looks like."""
        data = data[: self._pace.size]
        wait_ms = max(1, round(seconds * 1000))
        self.in_doubt = len(data)
        self._pace.begin()
        try:
            taken = self._transfer(data, wait_ms)
        except OSError as error:
            self._halted = error.errno == errno.EPIPE
            if error.errno != errno.ETIMEDOUT:
                raise
            taken = 0
        self._pace.end(len(data), taken)
        self.in_doubt = 0
        return taken

    def settle(self) -> int:
        """Nothing is on its way between two transfers."""
        return 0

    def listen(self, seconds: float) -> bytes:
        """One transfer, never without an end."""
        if not self.hears:
            return b""
        number, back = self._interface.number, self._interface.back
        buffer = array.array("B", bytes(EARFUL))
        try:
            got = self._opened.backend.bulk_read(
                self._opened.handle, back, number, buffer, max(1, round(seconds * 1000))
            )
        except OSError as error:
            if error.errno == errno.EPIPE:
                with suppress(OSError):
                    self._opened.backend.clear_halt(self._opened.handle, back)
            if error.errno != errno.ETIMEDOUT:
                raise
            got = 0
        return buffer[:got].tobytes()

    def end_packet(self) -> None:
        """An empty packet."""
        self._transfer(memoryview(b""), round(PIECE_S * 1000))

    def soft_reset(self) -> None:
        """SOFT_RESET."""
        with suppress(OSError):  # not every printer knows it, and the job is there already
            self._opened.tell(_SOFT_RESET, self._interface.number)

    def status(self) -> int | None:
        """GET_PORT_STATUS."""
        with suppress(OSError, IndexError):
            return self._opened.ask(_GET_PORT_STATUS, self._interface.number, 1)[0]
        return None

    def close(self) -> None:
        """Release, and give the printer back to usblp where we took it from there."""
        import usb.core

        with suppress(usb.core.USBError, Gone):  # gone with the device
            self._clear_halt()
        with suppress(usb.core.USBError, Gone):
            self._opened.backend.release_interface(self._opened.handle, self._interface.number)
        if self._detached and self._reattach:
            with suppress(usb.core.USBError, Gone, NotImplementedError):
                self._opened.backend.attach_kernel_driver(self._opened.handle, self._interface.number)
        self._detached = False
        self._opened.close()

    def _transfer(self, data: memoryview, wait_ms: int) -> int:
        buffer = array.array("B")
        buffer.frombytes(data)  # array("B", data) would take it byte by byte, slower than USB
        number, out = self._interface.number, self._interface.out
        taken: int = self._opened.backend.bulk_write(self._opened.handle, out, number, buffer, wait_ms)
        return taken

    def _configure(self) -> None:
        if not self._opened.backend.get_configuration(self._opened.handle):
            self._opened.backend.set_configuration(self._opened.handle, self._interface.configuration)

    def _claim(self) -> None:
        """Take the interface, from usblp too, which may come back between our two steps."""
        for left in reversed(range(TRIES)):
            self._detach()
            try:
                self._opened.backend.claim_interface(self._opened.handle, self._interface.number)
                return
            except OSError as error:
                if error.errno != errno.EBUSY or not left:
                    raise
            time.sleep(BETWEEN_S)

    def _detach(self) -> None:
        backend, handle, number = self._opened.backend, self._opened.handle, self._interface.number
        # ENOENT: it went by itself, or a program holds the interface; NotImplementedError: not Linux.
        with suppress(OSError, NotImplementedError):
            if backend.is_kernel_driver_active(handle, number):
                backend.detach_kernel_driver(handle, number)
                self._detached = True

    def _choose_alternate(self, device: Device) -> None:
        """Only where there is a choice: some printers answer an unneeded SET_INTERFACE with a hang."""
        mine = self._interface
        same = (each for each in device.interfaces if each.configuration == mine.configuration)
        if sum(each.number == mine.number for each in same) > 1:
            self._opened.backend.set_interface_altsetting(self._opened.handle, mine.number, mine.alternate)

    def _clear_halt(self) -> None:
        """An endpoint that has halted stays so for the next job too, unless it is told."""
        if self._halted:
            self._opened.backend.clear_halt(self._opened.handle, self._interface.out)
            self._halted = False


def _listed(backend: Any, device: Device) -> Any:
    """libusb's own object for `device`. Raises Gone."""
    for each in backend.enumerate_devices():
        about = backend.get_device_descriptor(each)
        if (about.bus, about.address) == (device.bus, device.address):
            return each
    raise Gone
