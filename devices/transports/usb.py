"""A USB printer: usb://0a5f:0166/SERIAL, or usb://0a5f:0166/@1-1.4 for one without a serial number.

On Linux through usblp (/dev/usb/lpN) where it serves the printer, else through libusb; ?driver=libusb insists. The
device is looked up anew for every job, so that a printer may be unplugged and plugged in again at any time.

The first piece of a job is a single packet, which a printer takes whole or not at all: when a printer out of paper
takes nothing, then nothing was sent, and trying again is safe.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from devices.contracts import Connection, KeepGoing, Receipt, Settings, Status, Transport
from devices.errors import PrinterUnreachable, SendInterrupted, SendStopped
from devices.usb import lookup, portstatus, sysfs, way
from devices.usb.address import parse
from devices.usb.line import Line
from devices.usb.machine import HERE, Machine
from devices.usb.sysfs import Device
from devices.wire.patience import ASK_S, Progress

CHUNK = 64 * 1024  # bytes offered at once; each Line takes of it what suits it. A cancel takes effect within one chunk
DELAY_S = 1.0  # some printers lose the end of a job that is let go of at once (quirk delay-close)
GOING_S = 0.5  # a device that is being unplugged is gone within this
BREATH_S = 0.01  # some printers answer every look for words with an empty packet, and at once
SETTLE_S = 0.8  # a device that has just been plugged in gets its driver and its group within this
_LOOK = "look at the printer before sending again"
_BREAKS = (errno.EIO, errno.EPROTO, errno.ESHUTDOWN, errno.EPIPE)
_CAUSES = {
    errno.ENODEV: "it was unplugged or switched off",
    errno.EPIPE: "it refuses data (its endpoint halted); switch it off and on",
    errno.EIO: "the transfer broke off",
}


@dataclass
class Usb:
    """usb://VID:PID[/SERIAL | /@PORT][?driver=usblp|libusb]."""

    machine: Machine
    scheme: str = "usb"

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri unless `uri` is usb://, two numbers, and a serial number or port."""
        parse(uri)

    def open(self, uri: str, settings: Settings) -> Connection:
        """Look the device up and open it. Raises PrinterUnreachable, BadPrinterUri."""
        address = parse(uri)
        deadline = time.monotonic() + SETTLE_S
        while True:
            device, interface = lookup.printer(self.machine, uri, address)
            try:
                line = way.opened(self.machine, uri, address, device, interface, settings.quirks)
                return UsbConnection(line, device, uri, settings, one_way=interface.is_one_way)
            except way.NotYet as error:
                if time.monotonic() > deadline:
                    raise PrinterUnreachable(str(error)) from error
            time.sleep(0.02)


TRANSPORT: Transport = Usb(HERE)


class UsbConnection:
    """One opened printer for one job. sent: bytes the printer may have taken, the most that can have left.

    one_way, and the quirk unidirectional: nothing is read while a write waits. Between two writes every printer with a
    way back may be asked. on_stall may look at wire_status(), which needs no endpoint; it must not ask.
    """

    on_stall: Callable[[float], bool] | None = None

    def __init__(
        self, line: Line, device: Device, uri: str, settings: Settings, *, one_way: bool = False
    ) -> None:  # fmt: skip
        self.sent = 0
        self.talks = line.hears
        self._one_way = one_way or "unidirectional" in settings.quirks
        self._writing = False
        self._offered = 0
        self._closed = False
        self._boundary = False  # the last transfer was of whole packets, so the printer may wait for more
        self._line = line
        self._device = device
        self._uri = uri
        self._settings = settings

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Hand over all of `data`, a chunk at a time, for as long as the printer makes progress."""
        left = memoryview(data).cast("B")
        self._offered += len(left)
        self._writing = True
        progress = Progress(self._settings.stall_s, self)
        while left:
            taken = self._offer(left[: CHUNK if self.sent else self._line.packet])
            if taken:
                progress.moved()
            elif progress.stalled():
                self._fail(f"the printer took nothing for {self._settings.stall_s:g} s")
            left = left[taken:]
            if keep_going is not None and not keep_going(self.sent):
                self._stop()
        self._writing = False

    def ask(self, question: bytes) -> None:
        """Hand over a question. When this returns the printer has it."""
        left = memoryview(question)
        patience_s = self._settings.stall_s if self.sent else min(ASK_S, self._settings.stall_s)
        progress = Progress(patience_s, self if self.sent else None)
        while left:
            try:
                taken = self._line.offer(left, min(self._line.tick_s, patience_s))
            except OSError as error:
                self._lost(_cause(error), error)
            if taken:
                progress.moved()
                self._boundary = not taken % self._line.packet
            elif progress.stalled():
                self._lost(f"the printer took no question for {patience_s:g} s")
            left = left[taken:]

    def hear(self, seconds: float) -> bytes:
        """What the printer said. b"" at once where nothing may be read, and from one that answers that with an error:
        it may print well all the same."""
        until = time.monotonic() + seconds
        while self.talks and not (self._one_way and self._writing):
            try:
                words = self._line.listen(max(0.0, until - time.monotonic()))
            except OSError as error:
                self.talks = False
                if self._is_gone(error):
                    self._lost(_cause(error), error)
                return b""
            self.talks = self._line.hears
            left = until - time.monotonic()
            if words or left <= 0:
                return words
            time.sleep(min(BREATH_S, left))
        return b""

    def wire_status(self) -> Status | None:
        """GET_PORT_STATUS, which every printer answers, in the middle of a write too."""
        return portstatus.read(self._line.status())

    def finish(self) -> Receipt:
        """All bytes are at the printer already; what is left is to end the last packet, where that is needed."""
        text = f"{self._uri} took {self.sent} bytes through {self._line.via}"
        if self._boundary:
            text += self._end_packet()
        if self.sent and "soft-reset" in self._settings.quirks:
            self._line.soft_reset()
        return Receipt("taken", text)

    def close(self) -> None:
        """Let go of the printer; usblp gets it back."""
        if self.sent and not self._closed and "delay-close" in self._settings.quirks:
            time.sleep(DELAY_S)
        self._closed = True
        self._line.close()

    def _offer(self, chunk: memoryview) -> int:
        try:
            taken = self._line.offer(chunk, min(self._line.tick_s, self._settings.stall_s))
        except OSError as error:
            self._fail(_cause(error), error)
        self.sent += taken
        if taken:
            self._boundary = not taken % self._line.packet
        return taken

    def _end_packet(self) -> str:
        """Some printers keep the last whole packet until a short one follows: a harmless byte, or an empty packet."""
        whole, pad = self.sent, self._settings.pad_boundary
        try:
            if "zlp" in self._settings.quirks:
                self._line.end_packet()
                return " and an empty packet"
        except OSError as error:
            self._fail(_cause(error), error)
        if pad:
            self.write(pad)
            self.sent = whole  # of the job
        return f" and {len(pad)} more to end the last packet" if pad else ""

    def _stop(self) -> NoReturn:
        self.sent += self._line.settle()
        doubt = self._line.in_doubt if self.sent or self._line.in_doubt > self._line.packet else 0
        self.sent += doubt
        text = f"{self._uri}: stopped as asked; {self._how_far(doubt)}"
        raise SendStopped(text, sent=self.sent, total=self._offered)

    def _fail(self, cause: str, error: OSError | None = None) -> NoReturn:
        """The two cases a caller has: nothing left, or something may have."""
        self.sent += self._line.settle()
        doubt = self._line.in_doubt
        gone = error is not None and self._is_gone(error)
        cause = _CAUSES[errno.ENODEV] if gone else cause
        said = "" if gone else portstatus.in_words(self._line.status())
        cause = f"{cause}: {said}" if said else cause
        if not self.sent and doubt <= self._line.packet and (gone or _refused(error)):
            raise PrinterUnreachable(f"nothing was sent to {self._uri}: {cause}; trying again is safe") from error
        self.sent += doubt
        text = f"{self._uri}: {cause}; {self._how_far(doubt)}; {_LOOK}"
        raise SendInterrupted(text, sent=self.sent, total=self._offered) from error

    def _lost(self, cause: str, error: OSError | None = None) -> NoReturn:
        """A question or its answer did not get through: the job is where it was, and no question counts for it."""
        self._line.settle()
        cause = _CAUSES[errno.ENODEV] if error is not None and self._is_gone(error) else cause
        if not self.sent:
            raise PrinterUnreachable(f"nothing was sent to {self._uri}: {cause}; trying again is safe") from error
        text = f"{self._uri}: {cause}; {self._how_far(0)}; {_LOOK}"
        raise SendInterrupted(text, sent=self.sent, total=self._offered) from error

    def _is_gone(self, error: OSError) -> bool:
        """Whether it was unplugged: a transfer breaks off some ms before the device is known to be gone."""
        deadline = time.monotonic() + (GOING_S if error.errno in _BREAKS else 0)
        while sysfs.present(self._device):
            if time.monotonic() >= deadline:
                return error.errno == errno.ENODEV
            time.sleep(0.01)
        return True

    def _how_far(self, doubt: int) -> str:
        if not doubt or not self.sent:
            return f"{self.sent} of {self._offered} bytes were taken"
        return f"between {self.sent - doubt} and {self.sent} of {self._offered} bytes were taken"


def _cause(error: OSError) -> str:
    return _CAUSES.get(error.errno or errno.EIO, (error.strerror or str(error)).lower())


def _refused(error: OSError | None) -> bool:
    """Whether a single packet is known not to have been taken: there was no room for it, or it was turned away.

    The same goes for a printer that is gone: had it taken the packet, that would have been reported before its going.
    """
    return error is None or error.errno == errno.EPIPE
