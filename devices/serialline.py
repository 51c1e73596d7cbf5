"""One open serial port, whose bytes are counted: pyserial for the settings, our own writes on the descriptor.

pyserial's write() raises on a time-out without saying how many bytes went, so it is not used where the platform gives
us the descriptor. Windows gives none: there small pieces keep the doubt small (the second half of this file; it has
never run on a real Windows).
"""

from __future__ import annotations

import errno
import os
import re
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

import serial

from devices.wire.ear import Ear

PARITIES = {
    "none": serial.PARITY_NONE,
    "even": serial.PARITY_EVEN,
    "odd": serial.PARITY_ODD,
    "mark": serial.PARITY_MARK,
    "space": serial.PARITY_SPACE,
}
FLOWS = ("none", "rtscts", "dsrdtr", "xonxoff")
STOPS = {"1": serial.STOPBITS_ONE, "1.5": serial.STOPBITS_ONE_POINT_FIVE, "2": serial.STOPBITS_TWO}
BITS = (5, 6, 7, 8)

READ = 4096  # bytes the printer says, read at once
# Linux's drivers for USB adapters drop nothing on demand, and bytes that leave meanwhile would look as if dropped.
_USB = re.compile(r"tty(USB|ACM)")
READS = 16  # ... and at most this many times in a row, so that a chatterbox cannot hold up the job


@dataclass(frozen=True, slots=True)
class Mode:
    """How a port is set. baud: bits per second. flow: see FLOWS. parity: see PARITIES. stop: see STOPS."""

    baud: int = 9600
    flow: str = "none"
    parity: str = "none"
    bits: int = 8
    stop: str = "1"


def _configured(port: str, mode: Mode) -> serial.Serial:
    """The port, opened, set and locked (flock), with what it had received before thrown away."""
    return serial.Serial(
        port, mode.baud, bytesize=mode.bits, parity=PARITIES[mode.parity], stopbits=STOPS[mode.stop],
        rtscts=mode.flow == "rtscts", dsrdtr=mode.flow == "dsrdtr", xonxoff=mode.flow == "xonxoff",
        timeout=0, write_timeout=0, exclusive=True,
    )  # fmt: skip


def cause(error: Exception) -> OSError:
    """The system's own error inside what pyserial raises, as an OSError with its errno."""
    seen: BaseException | None = error
    while seen is not None:
        if seen.args and isinstance(seen.args[0], int):
            return OSError(seen.args[0], os.strerror(seen.args[0]))
        seen = seen.__context__
    return OSError(errno.EIO, str(error))


if sys.platform != "win32":
    import fcntl
    import select
    import struct
    import termios

    class Line:
        """An open port. Every method raises OSError when the port is gone; close() never does."""

        def __init__(self, port: str, mode: Mode) -> None:
            try:
                self._port = _configured(port, mode)
            except (serial.SerialException, termios.error) as error:
                raise cause(error) from error
            self._handle = self._port.fileno()
            self._withdraws = sys.platform == "linux" and not _USB.match(os.path.basename(os.path.realpath(port)))
            self._poller = select.poll()
            self._poller.register(self._handle, select.POLLIN | select.POLLOUT)
            self._listener = select.poll()
            self._listener.register(self._handle, select.POLLIN)
            self._ear = Ear()
            self._drain: _Drain | None = None
            self._exclude(termios.TIOCEXCL)

        def offer(self, data: memoryview) -> int:
            """Bytes of `data` the kernel took, 0 when it has no room."""
            with suppress(BlockingIOError):
                return os.write(self._handle, data)
            return 0

        def wait(self, seconds: float) -> None:
            """Return when there may be room, or after `seconds`. What the printer says meanwhile is listened to:
            unread, it would fill the kernel's buffer and keep an XON behind it from being seen."""
            self._attend(self._poller, seconds)

        def listen(self) -> None:
            """Keep what the printer has said for hear()."""
            with suppress(BlockingIOError):
                for _ in range(READS):
                    got = os.read(self._handle, READ)
                    if not got:
                        break
                    self._ear.add(got)

        def hear(self, seconds: float = 0.0) -> bytes:
            """What the printer has said, waiting at most `seconds` for its first byte."""
            self.listen()
            if not self._ear:
                self._attend(self._listener, seconds)
            return self._ear.take()

        def waiting(self) -> int:
            """Bytes still in the kernel (TIOCOUTQ), 0 where it cannot tell."""
            return self._ask(termios.TIOCOUTQ) or 0

        def drop(self) -> int:
            """Throw away what is still in the kernel. Returns how many bytes that were, 0 where it cannot be known."""
            before = self.waiting()
            with suppress(termios.error):  # a port that is gone holds nothing that could still be printed
                termios.tcflush(self._handle, termios.TCOFLUSH)
            return max(0, before - self.waiting()) if self._withdraws else 0

        def raised(self, signal: str) -> bool | None:
            """Whether the line "cts" or "dsr" is raised; None on a port without such lines."""
            lines = self._ask(termios.TIOCMGET)
            return None if lines is None else bool(lines & {"cts": termios.TIOCM_CTS, "dsr": termios.TIOCM_DSR}[signal])

        def drained(self, seconds: float) -> bool:
            """Wait at most `seconds` until the last byte has left the port. May be called again.

            tcdrain() knows no deadline, so it runs in a thread, on a descriptor of its own: one that never returns
            cannot do harm to whoever gets our descriptor's number next.
            """
            if self._drain is None:
                self._drain = _Drain(os.dup(self._handle))
                self._drain.start()
            self._drain.join(seconds)
            if self._drain.error is not None:
                raise self._drain.error
            return not self._drain.is_alive()

        def close(self) -> None:
            """Let go of the port. The lock has to be taken off: a drain that hangs still has it open."""
            with suppress(OSError, termios.error):
                self._exclude(termios.TIOCNXCL)
                fcntl.flock(self._handle, fcntl.LOCK_UN)
            with suppress(OSError):
                self._port.close()

        def _exclude(self, request: int) -> None:
            """Keep out programs that do not look at locks (TIOCEXCL); root gets in all the same."""
            with suppress(OSError):
                fcntl.ioctl(self._handle, request)

        def _attend(self, poller: select.poll, seconds: float) -> None:
            """Wait for what `poller` waits for, and keep what is said."""
            for _, event in poller.poll(max(0.0, seconds) * 1000):
                if event & select.POLLIN:
                    self.listen()
                if event & (select.POLLHUP | select.POLLERR):
                    raise OSError(errno.EIO, "the port hung up")

        def _ask(self, request: int) -> int | None:
            try:
                answer: int = struct.unpack("i", fcntl.ioctl(self._handle, request, b"\0\0\0\0"))[0]
            except OSError:
                return None
            return answer

    class _Drain(threading.Thread):
        """One tcdrain() on `handle`, which it closes. error: why it failed."""

        def __init__(self, handle: int) -> None:
            super().__init__(name="tcdrain", daemon=True)
            self.error: OSError | None = None
            self._handle = handle

        def run(self) -> None:
            try:
                termios.tcdrain(self._handle)
            except (OSError, termios.error) as error:
                self.error = cause(error)
            finally:
                os.close(self._handle)

else:
    PIECE = 256  # bytes; what a write that failed leaves in doubt

    class Line:
        """The same over pyserial alone. A piece counts when Windows says that it was taken whole."""

        def __init__(self, port: str, mode: Mode) -> None:
            try:
                self._port = _configured(port, mode)
                self._port.write_timeout = 0.25
                self._ear = Ear()
            except serial.SerialException as error:
                raise cause(error) from error

        def offer(self, data: memoryview) -> int:
            """Bytes taken. A piece that timed out counts as taken: a part of it may have left."""
            piece = bytes(data[:PIECE])
            if self._held():
                return 0
            with suppress(serial.SerialTimeoutException):
                self._port.write(piece)
            return len(piece)

        def wait(self, seconds: float) -> None:
            """Windows wakes nobody when there is room."""
            self.listen()
            time.sleep(min(seconds, 0.02))

        def listen(self) -> None:
            """Keep what the printer has said for hear()."""
            self._ear.add(bytes(self._port.read(READ)))

        def hear(self, seconds: float = 0.0) -> bytes:
            """What the printer has said, waiting at most `seconds` for its first byte."""
            until = time.monotonic() + seconds
            self.listen()
            while not self._ear and time.monotonic() < until:
                time.sleep(0.02)
                self.listen()
            return self._ear.take()

        def waiting(self) -> int:
            """Bytes still in the driver."""
            return int(self._port.out_waiting)

        def drop(self) -> int:
            """Throw away what is still in the driver. Returns how many bytes that were."""
            before = self.waiting()
            self._port.reset_output_buffer()
            return max(0, before - self.waiting())

        def raised(self, signal: str) -> bool | None:
            """Whether the line "cts" or "dsr" is raised."""
            return bool(self._port.cts if signal == "cts" else self._port.dsr)

        def drained(self, seconds: float) -> bool:
            """Wait at most `seconds` until the driver holds nothing any more."""
            until = time.monotonic() + seconds
            while self.waiting() and time.monotonic() < until:
                time.sleep(0.02)
            return not self.waiting()

        def close(self) -> None:
            """Let go of the port."""
            with suppress(OSError):
                self._port.close()

        def _held(self) -> bool:
            return self.waiting() >= PIECE
