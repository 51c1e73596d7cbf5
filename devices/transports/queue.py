"""A print queue of the operating system: queue://ZD421, queue://ZD421?server=printhost:631, on Windows queue://ZDesigner%20ZD421.

Linux and macOS: CUPS, in raw mode, over IPP. CUPS takes a whole job to its disk before it prints any of it, so:

- until the last byte is in, taking the job back is always safe;
- afterwards the job is followed until CUPS says "completed". A job that CUPS cannot print (printer off, queue stopped)
  is taken back after stall_s, for it must not come out of CUPS *and* of our next try. When CUPS had not begun with it,
  or was still looking for the printer, nothing was sent; in every other case it is in doubt.

Windows: the spooler, in devices/spooler_windows.py.
"""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn
from urllib.parse import unquote

from devices.contracts import Connection, KeepGoing, Receipt, Settings, Status, Transport
from devices.cups import Cups, CupsError, Document, Job, JobState, Queue
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted, SendStopped
from devices.wire.oneway import OneWay
from devices.wire.patience import Progress

CHUNK = 32 * 1024  # bytes; a cancel takes effect within one chunk
TITLE = "print-bridge"  # of the job, as people see it in the queue
LOOK_S = 0.02  # before the first look at a job; grows up to LOOK_MOST_S
LOOK_MOST_S = 0.5
TICK_S = 0.25
TAKEN_BACK_S = 3.0  # for CUPS to stop its back end after a cancel
WORKING_S = 600.0  # CUPS does not tell how many bytes a printer has taken, so a job it works on gets this long

_LOOK = "look at the printer before sending again"
_SHAPE = re.compile(r"queue://([^\s/?#]+)/?(?:\?server=([^\s&#]+))?", re.IGNORECASE)
_SERVER = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:.%]+\])(?::\d{1,5})?|/[^\0]+")
_OVER = (JobState.CANCELED, JobState.ABORTED)
# What these back ends say before they have reached the printer, and never afterwards (in English: we ask for it).
# Others, as ipp and lpd, may begin anew in the middle of a job.
_SEEKING_BACK_ENDS = ("socket", "usb")
_SEEKING = (
    "Connecting to printer.", "Looking for printer.", "Waiting for printer to become available.",
    "The printer is in use.", "The printer is not responding.", "The printer is unreachable at this time.",
    "The printer may not exist or is unavailable at this time.", "Unable to locate printer",
)  # fmt: skip
PROMPT_S = 1.0  # CUPS tries again after a second at the earliest: a look within it sees the first try


class PrintQueue:
    """queue://NAME, percent-encoded."""

    scheme = "queue"

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri unless `uri` is queue://NAME, with ?server=host:port at the most."""
        parse(uri)

    def open(self, uri: str, settings: Settings) -> Connection:
        """Look whether the queue takes jobs and prints them. Raises PrinterUnreachable with the queue's own reason."""
        name, server = parse(uri)
        if sys.platform == "win32":
            from devices.spooler_windows import SpoolerConnection

            return SpoolerConnection(name, uri, settings)
        cups = Cups(server, patience_s=settings.connect_s)
        _refuse_unless_printing(cups, name, uri)
        return QueueConnection(cups, name, uri, settings)


TRANSPORT: Transport = PrintQueue()


@lru_cache(256)
def parse(uri: str) -> tuple[str, str | None]:
    """The queue's name, and the server if one is named. Raises BadPrinterUri."""
    match = _SHAPE.fullmatch(uri)
    name = unquote(match[1]) if match else ""
    server = unquote(match[2]) if match and match[2] else None
    if not name or any(letter < " " for letter in name):
        raise _bad(uri, "this is not the name of a queue")
    if server is not None and not _SERVER.fullmatch(server):
        raise _bad(uri, f"{server!r} is not a server")
    return name, server


def _bad(uri: str, why: str) -> BadPrinterUri:
    return BadPrinterUri(f"{uri!r}: {why}; write queue://NAME (%20 for a space) or queue://NAME?server=host:631")


# -- before a job


def _refuse_unless_printing(cups: Cups, name: str, uri: str) -> None:
    try:
        queue = cups.queue(name)
    except CupsError as error:
        raise PrinterUnreachable(f"{uri}: {_missing(cups, name) if error.unknown else _no(error)}") from error
    except OSError as error:
        raise PrinterUnreachable(f"{uri}: {_away(cups, error)}") from error
    if queue.stopped:
        raise PrinterUnreachable(f"{uri}: the queue is stopped ({queue}); when that is mended: cupsenable {name}")
    if not queue.accepting:
        raise PrinterUnreachable(f"{uri}: the queue takes no jobs ({queue}); let it take them: cupsaccept {name}")


def _missing(cups: Cups, name: str) -> str:
    """There is no such queue; which there are."""
    known: list[str] = []
    with suppress(OSError):
        known = cups.queues()
    there = f"the queues here are: {', '.join(known)}" if known else "there is no queue at all"
    return f"there is no queue {name}; {there}; make one: sudo lpadmin -p {name} -E -v DEVICE-URI (see: lpinfo -v)"


def _no(error: CupsError) -> str:
    return f"CUPS refuses ({error}); ask whoever looks after it"


def _away(cups: Cups, error: OSError) -> str:
    why = (error.strerror or str(error)).lower()
    return f"no print service answers at {cups.address} ({why}); start it: sudo systemctl start cups"


# -- one job


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at a job and its queue. None: CUPS does not know it (any more)."""

    job: Job | None
    queue: Queue | None

    @property
    def seeking(self) -> bool:
        """Whether CUPS is still looking for the printer."""
        return self.job is not None and self.job.impressions == 0 and self.job.message.startswith(_SEEKING)

    @property
    def troubled(self) -> bool:
        """Whether nothing is being printed now, or something is wrong with the printer."""
        return self.queue is None or not self.queue.working or self.seeking or any(map(_is_trouble, self.queue.reasons))


def _is_trouble(reason: str) -> bool:
    """By the suffixes of RFC 8011, 5.4.12: without one it is an error. CUPS's own ("cups-waiting-for-...") are news."""
    return reason.startswith("offline") or not (reason.endswith(("-report", "-warning")) or reason.startswith("cups-"))


class QueueConnection(OneWay):
    """One job in a CUPS queue. sent: bytes CUPS has taken; 0 again when the job was taken back unprinted."""

    def __init__(self, cups: Cups, name: str, uri: str, settings: Settings) -> None:
        self.sent = 0
        self._offered = 0
        self._cups = cups
        self._name = name
        self._uri = uri
        self._settings = settings
        self._job = 0
        self._document: Document | None = None
        self._keep_going: KeepGoing | None = None
        self._over = True  # nothing of ours is in the queue
        self._first_try: int | None = None  # when CUPS began with the job, if we were there in time to see it

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Hand over all of `data` to CUPS's spool."""
        left = memoryview(data).cast("B")
        self._offered += len(left)
        self._keep_going = keep_going
        while left:
            self._spool(left[:CHUNK])
            left = left[CHUNK:]
            if keep_going is not None and not keep_going(self.sent):
                self.close()
                text = f"{self._uri}: stopped as asked after {self.sent} of {self._offered} bytes, none of them printed"
                raise SendStopped(text, sent=self.sent, total=self._offered)

    def wire_status(self) -> Status | None:
        """What the queue says of its printer; None when CUPS does not answer."""
        try:
            return self._cups.queue(self._name).status
        except OSError:
            return None

    def finish(self) -> Receipt:
        """Let CUPS print it, and follow it to its end. The last write's keep_going is asked on the way."""
        if self._document is None:
            return Receipt("taken", f"nothing was sent to {self._uri}")
        document = self._document
        try:
            document.end()
        except OSError as error:
            self._not_spooled(error)
        try:
            document.answer()
        except CupsError as error:
            self._not_spooled(error)
        except OSError:
            pass  # it may have been taken all the same: the job itself will tell
        return self._follow()

    def close(self) -> None:
        """Let go. A job that is not over is taken back."""
        document, self._document = self._document, None
        if document is not None:
            document.close()
        if not self._over:
            self._over = True
            with suppress(OSError):  # without its document CUPS drops the job by itself
                self._cups.cancel(self._name, self._job)

    # -- into the spool

    def _spool(self, piece: memoryview) -> None:
        try:
            if self._document is None:
                self._job = self._cups.create(self._name, TITLE)
                self._over = False
                self._document = self._cups.document(self._name, self._job)
            self._document.write(piece)
        except OSError as error:
            self._not_spooled(error)
        self.sent += len(piece)

    def _not_spooled(self, error: OSError) -> NoReturn:
        """CUPS prints nothing of a document that is not whole."""
        self.sent = 0
        self.close()
        why = _no(error) if isinstance(error, CupsError) else _away(self._cups, error)
        raise PrinterUnreachable(f"nothing was printed by {self._uri}: {why}") from error

    # -- what becomes of it

    def _follow(self) -> Receipt:
        """Return when the queue says that the job is completed."""
        began = changed = time.monotonic()
        progress, last, pause = Progress(self._patience(None), self), None, LOOK_S
        while True:
            time.sleep(pause)
            pause = min(pause * 1.5, LOOK_MOST_S)
            sight = self._look()
            if sight is not None and (receipt := self._judge(sight)) is not None:
                return receipt
            if sight != last:
                changed, last, progress = time.monotonic(), sight, Progress(self._patience(sight), self)
            self._note_first_try(sight, time.monotonic() - began)
            if progress.stalled():
                self._take_back(sight, _why_waiting(sight, time.monotonic() - changed))
            if self._keep_going is not None and not self._keep_going(self.sent):
                self._stop(sight)

    def _patience(self, sight: Sight | None) -> float:
        """Seconds a job may stand as it does."""
        stall_s = self._settings.stall_s
        return stall_s if sight is None or sight.troubled else max(stall_s, WORKING_S)

    def _note_first_try(self, sight: Sight | None, seconds: float) -> None:
        if sight is not None and sight.job is not None and seconds < PROMPT_S and self._first_try is None:
            self._first_try = sight.job.started

    def _look(self) -> Sight | None:
        """The job and its queue; None when CUPS does not answer just now."""
        try:
            return Sight(self._ask_job(), self._ask_queue())
        except OSError:
            return None

    def _ask_job(self) -> Job | None:
        try:
            return self._cups.job(self._name, self._job)
        except CupsError as error:
            if not error.unknown:
                raise
            return None

    def _ask_queue(self) -> Queue | None:
        try:
            return self._cups.queue(self._name)
        except CupsError as error:
            if not error.unknown:
                raise
            return None

    def _judge(self, sight: Sight) -> Receipt | None:
        """The receipt of a job that is done; None while it is under way."""
        job, queue = sight.job, sight.queue
        if job is not None and job.state == JobState.COMPLETED:
            return self._receipt("completed", f"CUPS says that its job {self._job} is completed")
        if queue is None:
            self._lost(sight, "the queue is gone, and its job with it")
        if job is None:
            # PreserveJobHistory No: a job that is over is forgotten at once, and the queue stands as if it had printed.
            return self._receipt("taken", "CUPS keeps no history, so how its job ended cannot be asked")
        if job.state in _OVER:
            self._lost(sight, f"its job {self._job} was {_ended(job)}")
        if job.state != JobState.PROCESSING and queue.stopped:
            self._take_back(sight, f"the queue was stopped ({queue})")
        if job.state != JobState.PROCESSING and job.started is not None:
            self._take_back(sight, f"CUPS gave up, and would try again by itself ({job.message or queue})")
        return None

    def _receipt(self, evidence: str, words: str) -> Receipt:
        self._over = True
        return Receipt(evidence, f"{self._uri} took {self.sent} bytes; {words}")

    def _lost(self, sight: Sight, why: str) -> NoReturn:
        """The job is over and not completed. A person who cancels it in CUPS does not want it tried again."""
        self._over = True
        gone_unprinted = sight.queue is None and sight.job is not None and sight.job.started is None
        self._fail(why, unprinted=gone_unprinted)

    def _stop(self, sight: Sight | None) -> NoReturn:
        """As asked."""
        if self._cancelled_unprinted(sight):
            self.sent = 0
        text = f"{self._uri}: stopped as asked; {'nothing was printed' if not self.sent else 'CUPS had begun to print'}"
        raise SendStopped(text, sent=self.sent, total=self._offered)

    def _take_back(self, sight: Sight | None, why: str) -> NoReturn:
        """It does not come out, and must not come out later by itself."""
        self._fail(why, unprinted=self._cancelled_unprinted(sight))

    def _cancelled_unprinted(self, before: Sight | None) -> bool:
        """Cancel the job. True when it is certain that the printer got nothing of it."""
        try:
            self._cups.cancel(self._name, self._job)
            after = self._await_cancel()
        except OSError:
            return False
        self._over = True
        return after is not None and after.state == JobState.CANCELED and self._never_reached(before, after)

    def _never_reached(self, before: Sight | None, after: Job) -> bool:
        """Not begun; or begun once, as we have seen, and still looking for the printer when it ended. A back end that
        got through between our look and the cancel has left its word for that in the job's message."""
        if after.started is None:
            return True
        if before is None or before.queue is None or before.queue.back_end not in _SEEKING_BACK_ENDS:
            return False
        return after.started == self._first_try and before.seeking and Sight(after, before.queue).seeking

    def _await_cancel(self) -> Job | None:
        until = time.monotonic() + TAKEN_BACK_S
        while (job := self._ask_job()) is not None and job.state < JobState.CANCELED and time.monotonic() < until:
            time.sleep(LOOK_S)
        return job

    def _fail(self, why: str, *, unprinted: bool) -> NoReturn:
        """The two cases a caller has."""
        if unprinted:
            self.sent = 0
            raise PrinterUnreachable(f"nothing was printed by {self._uri}: {why}; see: lpstat -p {self._name} -l")
        text = f"{self._uri}: {why}; CUPS had all {self.sent} bytes, what the printer got is not known; {_LOOK}"
        raise SendInterrupted(text, sent=self.sent, total=self._offered)


def _ended(job: Job) -> str:
    kind = "cancelled in CUPS" if job.state == JobState.CANCELED else "aborted by CUPS"
    return f"{kind} ({', '.join(part for part in (*job.reasons, job.message) if part)})"


def _why_waiting(sight: Sight | None, seconds: float) -> str:
    if sight is None or sight.queue is None:
        return f"the print service has not answered for {seconds:.0f} s"
    return f"CUPS has not got on with it for {seconds:.0f} s ({sight.queue})"
