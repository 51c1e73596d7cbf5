"""A serial port: serial:///dev/serial/by-id/usb-FTDI_...?baud=9600&flow=rtscts, serial://COM3?baud=115200&flow=xonxoff.

    baud=9600   flow=none|rtscts|dsrdtr|xonxoff   parity=none|even|odd|mark|space   bits=5|6|7|8   stop=1|1.5|2
    pace=BYTES_PER_S or strip=BYTES,PAUSE_MS: slower than the line, for printers with a small buffer

The settings must be those of the printer: a port cannot tell a printer set to another speed from one that listens.
What a job that is given up still has in the kernel is thrown away and not counted as sent, where the driver can do so.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from devices import serialports
from devices.contracts import Connection, KeepGoing, Receipt, Settings, Status, Transport
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted, SendStopped
from devices.serialline import BITS, FLOWS, PARITIES, STOPS, Line, Mode
from devices.wire.patience import ASK_S, Progress

CHUNK = 16 * 1024  # bytes offered at once; real ports take 4096 of them at the most. A cancel waits for one chunk
DSR_CHUNK = 64  # bytes; no system heeds DSR by itself, so what is under way when it falls must be little
TICK_S = 0.25  # a stalled write asks keep_going at least this often
SETTLE_S = 0.5  # a port plugged in again: its name comes first, its rights some ms later
AGAIN_S = 0.05  # between two tries to open it
BREATH_S = 0.01  # before offering again to a driver that says it has room and takes nothing

_LOOK = "look at the printer before sending again"
_NAME = re.compile(r"/[^\0?#]*[^/\0?#]|COM\d{1,3}", re.IGNORECASE)
_SETTLING = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.ENODEV, errno.ENXIO}
_GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.EBADF}
_HOLDS_OFF = {
    "rtscts": "the printer holds us off (CTS is low): it is off, open, out of paper, or its cable lacks that wire",
    "dsrdtr": "the printer holds us off (DSR is low): it is off, open, out of paper, or its cable lacks that wire",
    "xonxoff": "the printer holds us off (XOFF): it is out of paper, open or paused",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A serial:// URI, read. strip: bytes between two pauses, 0 for none. pause_s: how long one is."""

    port: str
    mode: Mode = field(default_factory=Mode)
    strip: int = 0
    pause_s: float = 0.0


class Serial:
    """serial://PORT?OPTIONS. The port is ours alone while it is open."""

    scheme = "serial"

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri unless `uri` names a port and settings that there are."""
        parse(uri)

    def open(self, uri: str, settings: Settings) -> Connection:
        """Open and set the port. Raises PrinterUnreachable. A missing port is waited for SETTLE_S, not connect_s."""
        address = parse(uri)
        return SerialConnection(_line(address, uri, settings), address, uri, settings)


TRANSPORT: Transport = Serial()


# -- the address


@lru_cache(256)
def parse(uri: str) -> Address:
    """What a serial:// address says. Raises BadPrinterUri."""
    parts = urlsplit(uri)
    port = unquote(parts.netloc + parts.path)
    if parts.scheme != "serial" or parts.fragment or not _NAME.fullmatch(port):
        raise _bad(uri, "this is not a port")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs):
        raise _bad(uri, "an option is given twice")
    if unknown := sorted(options.keys() - _READERS.keys() - {"pace", "strip"}):
        raise _bad(uri, f"there is no option {unknown[0]!r}")
    mode = Mode(**{name: _READERS[name](uri, options[name]) for name in _READERS if name in options})  # type: ignore[arg-type]
    return Address(port, mode, *_strip(uri, options))


def _number(uri: str, name: str, text: str, most: int) -> int:
    if not re.fullmatch(r"[1-9]\d{0,8}", text) or int(text) > most:
        raise _bad(uri, f"{name}={text} is not a number from 1 to {most}")
    return int(text)


def _one_of(name: str, allowed: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(uri: str, text: str) -> str:
        if text not in allowed:
            raise _bad(uri, f"{name}={text} is none of {', '.join(allowed)}")
        return text

    return read


def _bits(uri: str, text: str) -> int:
    return int(_one_of("bits", tuple(map(str, BITS)))(uri, text))


_READERS: dict[str, Callable[[str, str], int | str]] = {
    "baud": lambda uri, text: _number(uri, "baud", text, 4_000_000),
    "flow": _one_of("flow", FLOWS),
    "parity": _one_of("parity", tuple(PARITIES)),
    "bits": _bits,
    "stop": _one_of("stop", tuple(STOPS)),
}


def _strip(uri: str, options: dict[str, str]) -> tuple[int, float]:
    """Bytes between two pauses, and the length of a pause in seconds."""
    if "pace" in options and "strip" in options:
        raise _bad(uri, "pace and strip are two ways to say the same")
    if "pace" in options:
        pace = _number(uri, "pace", options["pace"], 10_000_000)
        strip = max(1, pace // 20)
        return strip, strip / pace
    if "strip" in options:
        size, comma, pause = options["strip"].partition(",")
        if not comma:
            raise _bad(uri, f"strip={options['strip']} is not BYTES,PAUSE_MS")
        return _number(uri, "strip", size, 10_000_000), _number(uri, "the pause of strip", pause, 60_000) / 1000
    return 0, 0.0


def _bad(uri: str, why: str) -> BadPrinterUri:
    return BadPrinterUri(
        f"{uri!r}: {why}; write serial:///dev/ttyUSB0?baud=9600&flow=rtscts or serial://COM3?baud=9600&flow=xonxoff"
    )


# -- opening


def _line(address: Address, uri: str, settings: Settings) -> Line:
    """The open port. Tried again for a moment while it is just being plugged in."""
    until = time.monotonic() + min(SETTLE_S, settings.connect_s)
    while True:
        try:
            _refuse_if_locked(address.port, uri)
            line = Line(address.port, address.mode)
            break
        except OSError as error:
            if error.errno not in _SETTLING or time.monotonic() >= until:
                raise _unreachable(address.port, uri, error) from error
            time.sleep(AGAIN_S)
        except ValueError as error:
            raise BadPrinterUri(f"{uri!r}: this port refuses these settings ({error}); write others") from error
    if address.mode.flow == "dsrdtr" and line.raised("dsr") is None:
        line.close()
        raise PrinterUnreachable(f"{uri}: this port has no DSR wire; use flow=rtscts, flow=xonxoff or flow=none")
    return line


def _refuse_if_locked(port: str, uri: str) -> None:
    holder = serialports.locked_by(port)
    if holder is not None:
        raise PrinterUnreachable(f"{uri} is in use by {holder}; end that program, or give it another port")


def _unreachable(port: str, uri: str, error: OSError) -> PrinterUnreachable:
    return PrinterUnreachable(f"{uri} {_cause_and_remedy(port, error)}")


def _cause_and_remedy(port: str, error: OSError) -> str:
    if error.errno in (errno.EAGAIN, errno.EBUSY):
        return f"is in use by {_holders(port)}"
    if error.errno == errno.ENOENT:
        return f"is not there; plug it in, or use another: {serialports.listing()}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"may not be opened by this program; {serialports.permission(port)}"
    if error.errno in (errno.ENOTTY, errno.EINVAL, errno.EISDIR):
        return f"is not a serial port; use another: {serialports.listing()}"
    return f"cannot be opened: {_why(error)}; check the cable, or unplug it and plug it in again"


def _holders(port: str) -> str:
    known = serialports.holders(port)
    if known:
        return f"{', '.join(map(str, known))}; end that program, or give it another port"
    return f"another program; find it with: sudo fuser -v {port}"


def _why(error: OSError) -> str:
    return "it is gone (unplugged?)" if error.errno in _GONE else (error.strerror or str(error)).lower()


# -- one job


class SerialConnection:
    """One open port, for one job. sent: bytes the kernel has taken, less those that were thrown away again.

    Questions go the way of the job: on_stall must not ask here, or the question would stand in the middle of a label.
    """

    talks = True
    on_stall: Callable[[float], bool] | None = None

    def __init__(self, line: Line, address: Address, uri: str, settings: Settings) -> None:
        self.sent = 0
        self._asked = 0  # bytes of questions, which may lie in the kernel behind those of the job
        self._offered = 0
        self._line = line
        self._address = address
        self._uri = uri
        self._stall_s = settings.stall_s
        self._strip = address.strip or CHUNK  # bytes until the next pause
        self._whole = True  # nothing of ours is on its way
        self._refused = False  # nothing was taken after the last wait
        self._open = True

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Hand over all of `data`, for as long as the port makes progress."""
        left = memoryview(data).cast("B")
        self._offered += len(left)
        progress = Progress(self._stall_s, self)
        while left:
            taken = self._offer(left, progress)
            self.sent += taken
            left = left[taken:]
            self._heed(keep_going)
            if not self._strip:
                self._pause(keep_going)

    def ask(self, question: bytes) -> None:
        """Hand over a question; the kernel has it when this returns."""
        left = memoryview(question)
        progress = Progress(self._stall_s, self) if self.sent else Progress(min(ASK_S, self._stall_s))
        while left:
            taken = self._offer(left, progress)
            self._asked += taken
            left = left[taken:]
            if not self._strip:
                self._pause(None)

    def hear(self, seconds: float) -> bytes:
        """What the printer said. XON and XOFF are the driver's where flow=xonxoff, and are not heard."""
        try:
            return self._line.hear(seconds)
        except OSError as error:
            self._fail(_why(error), error)

    def wire_status(self) -> Status | None:
        """CTS and DSR say only "not now", which a stall says as well."""
        return None

    def finish(self) -> Receipt:
        """Wait until the last byte has left the port."""
        if not self.sent:
            return Receipt("taken", f"nothing was sent to {self._uri}")
        progress = Progress(self._stall_s, self)
        try:
            while not self._line.drained(TICK_S):
                self._line.listen()
                if progress.stalled(self._line.waiting()):
                    self._fail(self._held_off("the port stopped sending"))
        except OSError as error:
            self._fail(_why(error), error)
        self._whole = True
        return Receipt("drained", f"{self.sent} bytes have left {self._uri}")

    def close(self) -> None:
        """Let go. What an unfinished job still has in the kernel is dropped, not delivered behind our back."""
        if self._open:
            self._open = False
            if not self._whole:
                self._line.drop()
            self._line.close()

    # -- writing

    def _offer(self, left: memoryview, progress: Progress) -> int:
        """Bytes taken; 0 after waiting a tick for room."""
        try:
            taken = 0 if self._must_wait() else self._line.offer(left[: self._chunk()])
            if taken:
                progress.moved()
            else:
                self._wait_for_room(progress)
        except OSError as error:
            self._fail(_why(error), error)
        self._refused = self._refused and not taken
        self._whole = self._whole and not taken
        self._strip -= taken if self._address.strip else 0
        return taken

    def _chunk(self) -> int:
        return min(self._strip, DSR_CHUNK if self._address.mode.flow == "dsrdtr" else CHUNK)

    def _must_wait(self) -> bool:
        """Whether the printer's wires say no. DSR is heeded here: a chunk goes when the last one has gone. CTS is the
        driver's business but for the first byte, which must not go into its buffer while the printer is off."""
        flow = self._address.mode.flow
        if flow == "rtscts":
            return not self.sent and self._line.raised("cts") is False
        return flow == "dsrdtr" and (not self._line.raised("dsr") or self._line.waiting() > 0)

    def _wait_for_room(self, progress: Progress) -> None:
        """A tick at most. The kernel reports room only when its buffer is nearly empty, which may take minutes at 1200
        baud: what counts as progress is therefore that the buffer gets emptier."""
        if progress.stalled(self._line.waiting()):
            self._fail(self._held_off(f"nothing was taken for {self._stall_s:g} s"))
        if self._refused:
            time.sleep(BREATH_S)
        self._line.wait(min(TICK_S, self._stall_s))
        self._refused = True

    def _heed(self, keep_going: KeepGoing | None) -> None:
        if keep_going is not None and not keep_going(self.sent):
            self._withdraw()
            text = f"{self._uri}: stopped as asked after {self.sent} of {self._offered} bytes"
            raise SendStopped(text, sent=self.sent, total=self._offered)

    def _pause(self, keep_going: KeepGoing | None) -> None:
        """Between two strips."""
        until = time.monotonic() + self._address.pause_s
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, TICK_S))
            self._heed(keep_going)
        self._strip = self._address.strip

    # -- the end of it

    def _withdraw(self) -> None:
        """Throw away what has not left, and do not count it, as far as it is surely the job's."""
        self.sent -= min(self.sent, max(0, self._line.drop() - self._asked))

    def _held_off(self, otherwise: str) -> str:
        """Why nothing moves, as far as the flow control tells."""
        flow = self._address.mode.flow
        wire = {"rtscts": "cts", "dsrdtr": "dsr"}.get(flow)
        if flow == "none" or (wire is not None and self._line.raised(wire)):
            return otherwise
        return f"{otherwise}; {_HOLDS_OFF[flow]}"

    def _fail(self, cause: str, error: OSError | None = None) -> NoReturn:
        """The two cases a caller has: nothing left, or something may have."""
        self._withdraw()
        if not self.sent:
            raise PrinterUnreachable(
                f"nothing was sent to {self._uri}: {cause}; check its cable, its power and its paper"
            ) from error
        text = f"{self._uri}: {cause}; {self.sent} of {self._offered} bytes were handed over; {_LOOK}"
        raise SendInterrupted(text, sent=self.sent, total=self._offered) from error
