"""What a printer is still owed after a job that was cut off: the end of what it had begun to read.

In the middle of a format or a picture it waits for the rest, and would take the next label for that.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterator

from bridge.deliver.sheets import Sheets
from bridge.model import Device, Job
from bridge.store import Store
from devices import commands
from devices.contracts import Connection, KeepGoing
from devices.errors import DeviceError, PrinterUnreachable, SendInterrupted
from devices.printer import Printer

log = logging.getLogger(__name__)

UNREAD = 96 * 1024  # bytes that may lie in kernels and network cards when a connection is given up
CUTS_STEP = 4096
CUTS_MAX = 4 << 20  # bytes of a job whose every possible end is looked at
AT_ONCE = 4096  # bytes; a fresh TCP connection takes so many in one go, whatever becomes of this process
PAY_S = 0.5  # without progress, for the end of a job that was stopped in the middle

_UNHEARD = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN})


class Debt:
    """Of one printer: paid on the connection of the job itself while that stands, else on one of its own.

    Never on the next job's: what a connection brings is one job, byte for byte.
    """

    def __init__(self, store: Store, device: Device, printer: Printer) -> None:
        self._store = store
        self._device = device
        self._language = printer.language
        self._owed = b""
        self._forgets = printer.uri.startswith("virtual:")  # there each job is a file of its own
        self._at_once = AT_ONCE if printer.uri.startswith("tcp:") else 0

    def __bool__(self) -> bool:
        return bool(self._owed)

    def owe(self, job: Job, sheets: Sheets, sent: int, *, exact: bool) -> None:
        """This job was cut off when `sent` bytes of it had left.

        exact: the printer has read, or will read, all of them. Otherwise nobody knows how much of the end of it: then
        the longest rest. Too much white is read as an empty line; too little swallows labels.
        """
        if sent <= 0 or self._forgets:
            return
        language = job.kind if job.is_raw and job.kind not in (None, "raw") else self._language
        cuts = [sent] if exact or sent > CUTS_MAX else sorted({sent, *range(max(1, sent - UNREAD), sent, CUTS_STEP)})
        try:
            pieces = (piece for piece, _ in sheets.pieces(lambda: False))
            self._owed = commands.forgetting(language or "", pieces, cuts, 0 if len(cuts) == 1 else CUTS_STEP)
        except Exception as error:  # what was drawn is gone already, say: then nothing can be known
            log.info("%s: job %s: how it broke off is not known: %s", self._device.name, job.id, error)

    def owe_for_an_earlier_run(self) -> None:
        """A job that was cut off by a crash or a stop: the printer may still wait for its rest."""
        cut = None if self._forgets else self._store.jobs.last_cut(self._device.id)
        if cut is None:
            return
        pieces = list(self._kept(cut))
        size = sum(map(len, pieces))
        if size <= self._at_once and not commands.ending(self._language, pieces):
            return  # it left whole, or not at all
        if 0 < size <= CUTS_MAX:
            step = max(CUTS_STEP, size // 64)
            cuts = sorted({size, *range(1, size, step)})
            self._owed = commands.forgetting(self._language, pieces, cuts, step)

    def pay(self, line: Connection, keep_going: KeepGoing) -> None:
        """All of it, on this connection. Raises PrinterUnreachable: it is still to be paid, or is forgotten."""
        try:
            line.write(self._owed, keep_going)
        except SendInterrupted as error:
            if forgot(error):
                self._owed = b""
            raise PrinterUnreachable(f"it broke off while a job before was being ended: {error}") from error
        self._owed = b""
        line.finish()

    def pay_at_once(self, line: Connection, hurried: Callable[[], bool]) -> bool:
        """On the same connection, for as long as the printer takes something. False: it must be paid later."""
        if not self._owed:
            return True
        taken, since = line.sent, time.monotonic()

        def goes_on(sent: int) -> bool:
            nonlocal taken, since
            if sent > taken and not hurried():
                taken, since = sent, time.monotonic()
            return time.monotonic() - since < PAY_S

        try:
            line.on_stall = None
            line.write(self._owed, goes_on)
            line.finish()
        except DeviceError as error:
            log.debug("%s: not ended in order yet: %s", self._device.name, error)
            return False
        self._owed = b""
        return True

    def _kept(self, job: Job) -> Iterator[bytes]:
        """What an earlier run had begun to send, as far as it is kept."""
        if not job.is_raw:
            yield from self._store.spool.pages(job.id, job.launch)
            return
        document, path = self._store.jobs.body(job.organization_id, job.id), self._store.spool.document(job.id)
        if document is not None:
            yield document
        elif path.exists() and path.stat().st_size <= CUTS_MAX:
            yield path.read_bytes()


def forgot(error: BaseException | None) -> bool:
    """Whether the printer itself broke off (reset, unplugged, switched off): it has forgotten what it had begun. One
    that went silent, or whose network did, has not."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None and error.errno not in _UNHEARD
