"""Printers made of Linux itself: the printer gadget on dummy_hcd, where one kernel is both computer and printer.

A Printer here is a real class-7 printer to usblp and libusb. Its other end is /dev/g_printerN, where the test reads
what was printed and sets what the printer says of itself. Seen with Debian's 6.1 kernel: a gadget that is plugged in
a second time brings old data and trips the kernel, so it is built anew each time; and the gadget cuts the last two
characters off its device ID.
"""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CONFIGFS = Path("/sys/kernel/config/usb_gadget")
_SET_STATUS = 0xC0016722  # GADGET_SET_PRINTER_STATUS, linux/usb/g_printer.h
READY, PAPER_OUT = 0x18, 0x30
VENDOR, PRODUCT = 0x0A5F, 0x0166


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def until(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether `condition` came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def _ends() -> set[Path]:
    return set(Path("/dev").glob("g_printer*"))


class Printer:
    """`with Printer(serial="A1") as printer:` is plugged in, and reads what is printed unless told not to.

    where: 0 or 1, the port it is plugged into. queue: buffers of 8 kB it takes without anybody reading. reads: False is
    a printer whose buffer fills up. before: functions of a composite device that come before the printer.
    """

    def __init__(
        self, serial: str = "", *, where: int = 0, name: str = "", queue: int = 10, reads: bool = True,
        speed: str = "", device_id: str = "MFG:Rig;MDL:Label Printer;CMD:ZPL;CLS:PRINTER;;;",
        before: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self.where, self.reads = where, reads
        self._folder = CONFIGFS / (name or f"printer{where}")
        self._functions = [*before, f"printer.usb{where}"]
        self.data = bytearray()
        self._end = Path()
        self._node: int | None = None
        self._reader: threading.Thread | None = None
        self._off = threading.Event()
        self._kind = (serial, queue, speed, device_id)
        self._built = False

    def __enter__(self) -> Printer:
        self.plug()
        return self

    def __exit__(self, *exc: object) -> None:
        self.unplug()

    # -- plugging --

    def plug(self) -> None:
        """Plug it in and switch it on: from now on it takes what is printed."""
        self._build(*self._kind)
        before = _ends()
        (self._folder / "UDC").write_text(f"dummy_udc.{self.where}")
        [self._end] = _ends() - before
        assert until(self._open_node), "the gadget does not open"
        self._off.clear()
        if self.reads:
            self.read()

    def unplug(self) -> None:
        """Pull the cable and switch it off: what it had not printed is forgotten. Safe to call twice."""
        if self._built:
            self.pull()
            self._close_node()
            self._remove()

    def pull(self) -> None:
        """Only the cable: what has arrived stays readable until it is switched off."""
        with suppress(OSError):  # it is out already
            (self._folder / "UDC").write_text("\n")

    def read(self) -> None:
        """Begin to take what is printed."""
        self._reader = threading.Thread(target=self._take, daemon=True)
        self._reader.start()

    @contextmanager
    def read_by_another_program(self) -> Iterator[None]:
        """Take what is printed and throw it away, without costing this process anything: for measurements."""
        assert self._node is not None
        os.set_blocking(self._node, True)
        reader = subprocess.Popen(["cat"], stdin=self._node, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            reader.kill()
            reader.wait()
            os.set_blocking(self._node, False)

    def gulp(self, size: int, seconds: float = 3.0) -> None:
        """Take `size` bytes, as they come within so many seconds, and then nothing more."""
        assert self._node is not None
        end = len(self.data) + size
        deadline = time.monotonic() + seconds
        while len(self.data) < end and time.monotonic() < deadline:
            try:
                self.data += os.read(self._node, min(8192, end - len(self.data)))
            except OSError:
                time.sleep(0.01)

    def says(self, status: int) -> None:
        """READY, PAPER_OUT: its answer to GET_PORT_STATUS."""
        assert self._node is not None
        fcntl.ioctl(self._node, _SET_STATUS, status)

    def wait_for(self, size: int, seconds: float = 30.0) -> bytes:
        """What has been printed, as soon as it is `size` bytes or the time is over."""
        until(lambda: len(self.data) >= size, seconds)
        return bytes(self.data)

    # -- the other end --

    def _open_node(self) -> bool:
        try:
            self._node = os.open(self._end, os.O_RDWR | os.O_NONBLOCK)
        except OSError:
            return False  # not before the host has configured it
        return True

    def _close_node(self) -> None:
        self._off.set()
        if self._reader is not None:
            self._reader.join()
            self._reader = None
        if self._node is not None:
            os.close(self._node)
            self._node = None

    def _take(self) -> None:
        assert self._node is not None
        while not self._off.is_set():
            if not select.select([self._node], [], [], 0.02)[0]:
                continue
            try:
                self.data += os.read(self._node, 65536)
            except BlockingIOError:
                continue
            except OSError:
                time.sleep(0.02)  # unplugged

    # -- configfs --

    def _build(self, serial: str, queue: int, speed: str, device_id: str) -> None:
        self._built = True
        strings, config = self._folder / "strings/0x409", self._folder / "configs/c.1"
        self._folder.mkdir()
        (self._folder / "idVendor").write_text(hex(VENDOR))
        (self._folder / "idProduct").write_text(hex(PRODUCT))
        if speed:
            (self._folder / "max_speed").write_text(speed)
        strings.mkdir()
        config.mkdir()
        for key, text in (("serialnumber", serial), ("manufacturer", "Rig"), ("product", "Label Printer")):
            if text:
                (strings / key).write_text(text)
        for function in self._functions:
            folder = self._folder / "functions" / function
            folder.mkdir()
            if function.startswith("printer."):
                (folder / "pnp_string").write_text(device_id)
                (folder / "q_len").write_text(str(queue))
            (config / function).symlink_to(folder)

    def _remove(self) -> None:
        self._built = False
        for function in self._functions:
            (self._folder / "configs/c.1" / function).unlink()
        (self._folder / "configs/c.1").rmdir()
        for function in self._functions:
            (self._folder / "functions" / function).rmdir()
        (self._folder / "strings/0x409").rmdir()
        self._folder.rmdir()
