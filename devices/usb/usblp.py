"""Linux's own printer driver: /dev/usb/lpN. Nothing is detached, and the kernel lets in one program at a time.

Written to without O_NONBLOCK, by a thread of its own. Without blocking, usblp takes a block, "presumes that it's going
to complete well" (drivers/usb/class/usblp.c) and forgets its result: a printer that halts its endpoint then swallows a
whole job without an error. With blocking the result of each block comes back, and the thread can wait for us.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import struct
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from devices.usb.pace import Pace

BLOCK = 8192  # bytes; usblp's own USBLP_BUF_SIZE: it cuts more into these, and counts whole ones when it breaks off
MOST = 8 * BLOCK  # bytes given to one write
TICK_S = 0.25  # waiting costs nothing: the write goes on meanwhile
_LPGETSTATUS = 0x060B  # linux/lp.h
_SET_PROTOCOL = 1 << 30 | ord("P") << 8 | 3  # LPIOC_SET_PROTOCOL: _IOC(_IOC_WRITE, 'P', 3, 0)
_SOFT_RESET = ord("P") << 8 | 7  # LPIOC_SOFT_RESET: _IOC(_IOC_NONE, 'P', 7, 0)
_NO_PROTOCOL = 0  # is refused, after everything on its way has been dropped
_PATIENCE_S = 1.0  # for a blocked write to come back after that


class Usblp:
    """One open /dev/usb/lpN; see devices.usb.line."""

    def __init__(self, node: Path, packet: int, *, hears: bool = True) -> None:
        """Raises OSError: EBUSY while another program has it open, EACCES, ENODEV."""
        self.via = f"usblp ({node})"
        self.tick_s = TICK_S
        self.packet = packet
        self.in_doubt = 0
        self.hears = hears
        self._handle = os.open(node, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
        self._blocks: SimpleQueue[bytes | None] = SimpleQueue()
        self._results: SimpleQueue[int | OSError] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = False  # for the result of a write
        self._broken = False  # a block failed: nothing may follow
        self._pace = Pace(BLOCK, MOST)
        self._closed = False

    def offer(self, data: memoryview, seconds: float) -> int:
        """The bytes of `data` the printer took; 0 while they are still on their way."""
        if self._broken:
            raise OSError(errno.EIO, "the transfer broke off")
        if not self._waiting:
            self._start_write(bytes(data[: self._pace.size]))
        try:
            return self._result(seconds)
        except Empty:
            return 0

    def settle(self) -> int:
        """Call back what is on its way. The bytes of it the printer did take, in whole blocks; one may be in doubt."""
        if not self._waiting:
            return 0
        self._call_back()
        try:
            return self._result(_PATIENCE_S)
        except (Empty, OSError):
            return 0

    def listen(self, seconds: float) -> bytes:
        """What has come. poll() first: a read that waits has no end, and would keep the node open behind our back."""
        poller = select.poll()
        poller.register(self._handle, select.POLLIN)
        if not self.hears or not poller.poll(seconds * 1000):
            return b""
        try:
            return os.read(self._handle, BLOCK)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.hears = False  # the kernel knows better than its descriptors that this printer only listens
            return b""

    def end_packet(self) -> None:
        """usblp cannot send an empty packet: printers that need one are opened through libusb."""

    def soft_reset(self) -> None:
        """LPIOC_SOFT_RESET."""
        import fcntl

        with suppress(OSError):  # not every printer knows it, and the job is there already
            fcntl.ioctl(self._handle, _SOFT_RESET)

    def status(self) -> int | None:
        """LPGETSTATUS; works while a write waits."""
        import fcntl

        try:
            answer = fcntl.ioctl(self._handle, _LPGETSTATUS, b"\0\0\0\0")
        except OSError:
            return None
        status: int = struct.unpack("i", answer)[0]
        return status & 0xFF

    def close(self) -> None:
        """Let go. A write that still waits is called back first, because a node with a write in it stays open."""
        if self._closed:
            return
        self._closed = True
        self._blocks.put(None)
        if self._thread is None:
            self._let_go()
            return
        if self._waiting:
            self._call_back()
        self._thread.join(_PATIENCE_S)  # the thread closes the node, so that its number is not used by another file

    def _start_write(self, data: bytes) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self.via, daemon=True)
            self._thread.start()
        self.in_doubt, self._waiting = len(data), True
        self._pace.begin()
        self._blocks.put(data)

    def _result(self, seconds: float) -> int:
        """What became of the write. Raises Empty when nothing has yet, and the write's own OSError."""
        result = self._results.get(timeout=seconds)
        self._waiting = False
        taken = 0 if isinstance(result, OSError) else result
        self._pace.end(self.in_doubt, taken)
        # usblp breaks off where a block failed, and says so only when it was the first. How much of that block arrived
        # it does not say: sending it again could print it twice.
        self._broken = taken < self.in_doubt
        self.in_doubt = min(self.in_doubt - taken, BLOCK)
        if isinstance(result, OSError):
            raise result
        return taken

    def _serve(self) -> None:
        """The thread: a block in, its result out."""
        # A signal in the middle of a block makes usblp forget that it sent it, and Python would send it again.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while (block := self._blocks.get()) is not None:
            try:
                self._results.put(os.write(self._handle, block))
            except OSError as error:
                self._results.put(error)
        self._let_go()

    def _call_back(self) -> None:
        """Make usblp drop what is on its way: the blocked write then fails with EIO."""
        import fcntl

        with suppress(OSError):  # it says EINVAL when it has done so, ENODEV when the printer is gone
            fcntl.ioctl(self._handle, _SET_PROTOCOL, _NO_PROTOCOL)

    def _let_go(self) -> None:
        with suppress(OSError):  # nothing can be done about it, and nothing depends on it
            os.close(self._handle)
