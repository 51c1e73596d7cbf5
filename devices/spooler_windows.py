"""The Windows spooler, in RAW mode: the usual way to a USB printer there, as usbprint.sys lets nobody else in.

The calls are winspool's own through ctypes. The `zebra` package makes the same calls in the same order, and is not used
because it drops the count that WritePrinter gives back. This file has never run on a real Windows: it is checked
against Microsoft's documentation and mypy only.
"""

from __future__ import annotations

import ctypes
import sys
import time
from typing import Any, NoReturn

from devices.contracts import KeepGoing, Reason, Receipt, Settings, Status
from devices.errors import PrinterUnreachable, SendInterrupted, SendStopped
from devices.wire.oneway import OneWay
from devices.wire.patience import Progress

assert sys.platform == "win32"

from ctypes import wintypes  # noqa: E402 (it cannot be imported elsewhere)

CHUNK = 32 * 1024  # bytes; a cancel takes effect within one chunk
LOOK_S = 0.25
TITLE = "print-bridge"

# PRINTER_INFO_2.Status and JOB_INFO_1.Status (winspool.h): what stops a queue or a job
_QUEUE_TROUBLE = {
    0x1: "paused", 0x2: "error", 0x8: "paper jam", 0x10: "paper out", 0x80: "offline", 0x1000: "not available",
    0x100000: "a person is needed", 0x400000: "door open",
}  # fmt: skip
_QUEUE_REASONS = {
    0x1: Reason.PAUSED, 0x2: Reason.OTHER, 0x8: Reason.MEDIA_JAM, 0x10: Reason.MEDIA_EMPTY, 0x80: Reason.OFFLINE,
    0x1000: Reason.OFFLINE, 0x100000: Reason.OTHER, 0x400000: Reason.COVER_OPEN,
}  # fmt: skip
_JOB_TROUBLE = {
    0x1: "paused", 0x2: "error", 0x20: "offline", 0x40: "paper out", 0x200: "blocked", 0x400: "a person is needed"
}  # fmt: skip
_PRINTING, _PRINTED, _DELETED, _COMPLETE = 0x10, 0x80, 0x104, 0x1000  # deleted, or being deleted
_JOB_DELETE = 5  # SetJob: JOB_CONTROL_DELETE
_NO_SUCH_JOB = 87  # ERROR_INVALID_PARAMETER: the job is over and forgotten
_LOOK = "look at the printer before sending again"


class _DocInfo(ctypes.Structure):
    _fields_ = [("name", wintypes.LPWSTR), ("output", wintypes.LPWSTR), ("datatype", wintypes.LPWSTR)]


class _JobInfo(ctypes.Structure):  # JOB_INFO_1W
    _fields_ = [
        ("id", wintypes.DWORD), ("printer", wintypes.LPWSTR), ("machine", wintypes.LPWSTR), ("user", wintypes.LPWSTR),
        ("document", wintypes.LPWSTR), ("datatype", wintypes.LPWSTR), ("text", wintypes.LPWSTR),
        ("status", wintypes.DWORD), ("priority", wintypes.DWORD), ("position", wintypes.DWORD),
        ("pages", wintypes.DWORD), ("printed", wintypes.DWORD), ("submitted", ctypes.c_byte * 16),
    ]  # fmt: skip


class _PrinterInfo(ctypes.Structure):  # PRINTER_INFO_6
    _fields_ = [("status", wintypes.DWORD)]


_spool: Any = ctypes.WinDLL("winspool.drv", use_last_error=True)


class SpoolerConnection(OneWay):
    """One RAW job. sent: bytes WritePrinter has taken. Until the job is ended the spooler keeps it to itself."""

    def __init__(self, name: str, uri: str, settings: Settings) -> None:
        self.sent = 0
        self._offered = 0
        self._uri = uri
        self._settings = settings
        self._job = 0
        self._over = True
        self._printer = wintypes.HANDLE()
        if not _spool.OpenPrinterW(name, ctypes.byref(self._printer), None):
            raise PrinterUnreachable(f"{uri}: {_last()}; see Settings, Printers & scanners for the queue's exact name")
        try:
            trouble = _words(self._queue_status(), _QUEUE_TROUBLE)
        except OSError as error:
            trouble = str(error)
        if trouble:
            self.close()
            raise PrinterUnreachable(f"{uri}: the queue is not ready ({trouble}); mend that, or resume it in Windows")

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Hand over all of `data`, counting what WritePrinter says it took."""
        left = memoryview(data).cast("B")
        self._offered += len(left)
        while left:
            taken = self._take(bytes(left[:CHUNK]))
            self.sent += taken
            left = left[taken:]
            if keep_going is not None and not keep_going(self.sent):
                self.close()
                text = f"{self._uri}: stopped as asked after {self.sent} of {self._offered} bytes"
                raise SendStopped(text, sent=self.sent, total=self._offered)

    def wire_status(self) -> Status | None:
        """What Windows says of the queue's printer; None when it does not."""
        try:
            status = self._queue_status()
        except OSError:
            return None
        reasons = frozenset(reason for bit, reason in _QUEUE_REASONS.items() if status & bit)
        return Status(reasons, text=_words(status, _QUEUE_TROUBLE))

    def finish(self) -> Receipt:
        """End the job and follow it until the spooler has printed or forgotten it."""
        if not self._job:
            return Receipt("taken", f"nothing was sent to {self._uri}")
        if not (_spool.EndPagePrinter(self._printer) and _spool.EndDocPrinter(self._printer)):
            self._fail(_last())
        progress, last = Progress(self._settings.stall_s, self), -1
        while (status := self._job_status()) is not None and not status & (_PRINTED | _COMPLETE):
            if status & _DELETED:
                self._over = True
                self._fail("its job was deleted in Windows")
            if status != last or status & _PRINTING:
                progress.moved()
                last = status
            elif progress.stalled():
                self._fail(f"Windows has not got on with it ({_words(status, _JOB_TROUBLE) or 'no reason given'})")
            time.sleep(LOOK_S)
        self._over = True
        return Receipt("completed", f"{self._uri} took {self.sent} bytes; Windows is done with its job {self._job}")

    def close(self) -> None:
        """Let go. A job that is not over is deleted."""
        if not self._over:
            self._over = True
            _spool.SetJobW(self._printer, self._job, 0, None, _JOB_DELETE)
        if self._printer:
            _spool.ClosePrinter(self._printer)
            self._printer = wintypes.HANDLE()

    def _take(self, piece: bytes) -> int:
        if not self._job:
            self._begin()
        taken = wintypes.DWORD()
        if not _spool.WritePrinter(self._printer, piece, len(piece), ctypes.byref(taken)) or not taken.value:
            self._fail(_last())
        return taken.value

    def _begin(self) -> None:
        self._job = _spool.StartDocPrinterW(self._printer, 1, ctypes.byref(_DocInfo(TITLE, None, "RAW")))
        if not self._job:
            raise PrinterUnreachable(f"nothing was sent to {self._uri}: {_last()}; trying again is safe")
        self._over = False
        if not _spool.StartPagePrinter(self._printer):
            self._fail(_last())

    def _queue_status(self) -> int:
        return int(self._get(_spool.GetPrinterW, _PrinterInfo, 6).status)

    def _job_status(self) -> int | None:
        """The job's status bits; None when the spooler does not know it any more."""
        try:
            return int(self._get(_spool.GetJobW, _JobInfo, 1, self._job).status)
        except OSError as error:
            if error.winerror == _NO_SUCH_JOB:
                return None
            self._fail(str(error))

    def _get(self, call: Any, kind: Any, level: int, *which: int) -> Any:
        """Ask twice, as winspool wants it: for the size, then for the answer."""
        needed = wintypes.DWORD()
        call(self._printer, *which, level, None, 0, ctypes.byref(needed))
        if not needed.value:
            raise ctypes.WinError(ctypes.get_last_error())
        room = ctypes.create_string_buffer(needed.value)
        if not call(self._printer, *which, level, room, needed, ctypes.byref(needed)):
            raise ctypes.WinError(ctypes.get_last_error())
        return kind.from_buffer(room)

    def _fail(self, cause: str) -> NoReturn:
        """The spooler may print while it still takes, so every byte taken is in doubt."""
        self.close()
        if not self.sent:
            raise PrinterUnreachable(f"nothing was sent to {self._uri}: {cause}; trying again is safe")
        text = f"{self._uri}: {cause}; the spooler had {self.sent} of {self._offered} bytes; {_LOOK}"
        raise SendInterrupted(text, sent=self.sent, total=self._offered)


def _words(status: int, table: dict[int, str]) -> str:
    return ", ".join(text for bit, text in table.items() if status & bit)


def _last() -> str:
    return str(ctypes.WinError(ctypes.get_last_error()))
