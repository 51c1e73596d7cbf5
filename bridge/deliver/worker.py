"""The worker of one printer: takes the next ready job, sends it, and tells the truth about how that ended."""

from __future__ import annotations

import errno
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bridge.deliver.condition import Condition
from bridge.deliver.doubt import Ledger, doubt
from bridge.deliver.late import newest
from bridge.deliver.recover import cut_off
from bridge.deliver.sheets import Abandoned, Sheets, first_bytes, sheets_of
from bridge.deliver.status import Monitor, Verdict
from bridge.errors import BridgeError
from bridge.model import MAX_STRIKES, WAITING, Device, Job, Options, State
from bridge.store import Store
from bridge.store.lanes import Lane, Ticket
from devices import commands, languages
from devices.contracts import Connection, Receipt, Status
from devices.errors import DeviceError, PrinterUnreachable, SendInterrupted, SendStopped
from devices.languages.signatures import SIGNATURES
from devices.printer import Printer

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
NEVER_CLOSES = 3  # times a printer must leave its side open before that counts as its habit
UNREAD = 96 * 1024  # bytes that may lie in kernels and network cards when a connection is given up
CUTS_STEP = 4096
CUTS_MAX = 4 << 20  # bytes of a job whose every possible end is looked at
FILLING = 256  # bytes; a longer ending fills up a picture, and its first byte is white
PAY_S = 0.5  # without progress, for the end of a job that was stopped in the middle
_CANCELLED = "cancelled before anything was sent"
EXPIRED = "its time was over before it could be sent; nothing was printed"

AfterSending = Callable[[Path], None]
"""Called with the file a virtual printer wrote."""


class Worker:
    """One thread, one printer, one connection at a time."""

    def __init__(
        self, store: Store, device: Device, printer: Printer, lane: Lane, after_sending: AfterSending | None = None,
        *, hold_older_than_s: float | None = None, ask_status: bool = False,
    ) -> None:  # fmt: skip
        """hold_older_than_s: after an outage, jobs that waited longer than this wait for a person.

        ask_status: whether the printer may be asked how it is; otherwise not one byte beyond the jobs is sent.
        """
        self.printer = printer
        self._store = store
        self._device = device
        self._lane = lane
        self._after = after_sending
        self._closings, self._left_open = device.closings, device.left_open
        self._hold_older_than_s = hold_older_than_s
        self._returned = True  # the bridge or the printer was away: labels that waited through that may be stale
        self._failures = 0
        self._in_doubt = True  # of an earlier run, perhaps
        self._reachable = False
        self._paid = 0  # bytes of it that went before the present job
        self._owed = b""  # ends what a job that was cut off had begun, before the next one
        self._condition = Condition(store, device, lane)
        self._monitor = Monitor(store, device, printer, self._condition, ask=ask_status)
        self._hurry = threading.Event()
        self._retired = threading.Event()
        self._thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=f"printer-{self._device.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def retire(self, patience_s: float) -> bool:
        """Finish the label that is being sent, then end; the lane goes on without. False: it takes longer."""
        self._retired.set()
        deadline = time.monotonic() + patience_s
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._lane.wake()  # again and again: it may just be about to nap
            self._thread.join(0.05)
        return not self._thread.is_alive()

    def stay(self) -> None:
        """Take retire() back: it takes too long."""
        self._retired.clear()
        if not self._thread.is_alive():
            self.revive()

    def revive(self) -> None:
        """Go on in a new thread after the old one died. What that one had in its hands is named in doubt."""
        for ticket in self._lane.abandoned():
            self._store.lanes.leave(ticket)
            cut_off(self._store, ticket.organization_id, ticket.job_id, "the thread that sent it died")
            job = self._store.jobs.get(ticket.organization_id, ticket.job_id)
            if job is not None and job.state in WAITING:
                self._store.lanes.push(job)
        self._thread = self._new_thread()
        self._thread.start()

    def wait(self, patience_s: float) -> None:
        """Let the current label end, for so long. The lane is closed."""
        self._thread.join(patience_s)

    def cut_off(self) -> None:
        """Patience is over: stop between two chunks and call the job unconfirmed."""
        self._hurry.set()

    def stop(self, patience_s: float) -> None:
        """wait, cut_off, wait."""
        self.wait(patience_s)
        self.cut_off()
        self.wait(3)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._debt_of_an_earlier_run()
        except Exception:
            log.exception("%s: what an earlier run left cut off cannot be told", self._device.name)
        while not (self._lane.closed or self._retired.is_set()):
            ticket = self._lane.take(self._retired.is_set, self._monitor.patience_s)
            if ticket is not None:
                self._serve_safely(ticket)
            elif not (self._lane.closed or self._retired.is_set()):
                self._ask_idle()
            if self._lane.paused:
                self._release_claims("the printer was paused")
        self._release_claims("the printer was set up anew" if self._retired.is_set() else "the bridge was stopped")

    def _serve_safely(self, ticket: Ticket) -> None:
        try:
            self._serve(ticket)
        except Exception as error:
            log.exception("%s: job %s: the worker stumbled", self._device.name, ticket.job_id)
            try:
                self._stumbled(ticket, error)
            except Exception:  # the database, most likely: this thread must outlive its bad day
                self._store.lanes.give_back(ticket)
            self._lane.nap(self._next_delay())

    def _ask_idle(self) -> None:
        """Nothing is to be printed: see how the printer is."""
        try:
            self._end_doubt(self._monitor.poll())
            self._condition.here()
        except DeviceError as error:
            self._reachable = self._lane.eager = False
            self._condition.away(f"{error}")
        except Exception:
            log.exception("%s: asking for its status broke off", self._device.name)

    def _release_claims(self, why: str) -> None:
        """What was claimed ahead and will not be sent now goes back to waiting: nothing of it has left."""
        for ticket in self._lane.claimed():
            attempt, job = ticket.claim() if ticket.claim else None, ticket.job
            ticket.claim = None
            if attempt is not None and job is not None:
                to = State.CANCELLED if ticket.stopped else State.QUEUED
                text = _CANCELLED if ticket.stopped else f"nothing was sent: {why}"
                self._store.jobs.end_attempt(job, attempt, to, bytes_sent=0, evidence=None, text=text)()
            if attempt is None or ticket.stopped:
                self._store.lanes.leave(ticket)

    # -- one job --

    def _serve(self, ticket: Ticket) -> None:
        # A remembered job may be out of date; begin_attempt looks again before anything leaves.
        job = ticket.job or self._store.jobs.get(ticket.organization_id, ticket.job_id)
        if job is None or job.state not in WAITING or job.launch != ticket.launch:
            self._store.lanes.leave(ticket)
            return
        if ticket.claim is None and self._store.lanes.is_overdue(ticket):
            self._expire(ticket, job)
            return
        sheets = sheets_of(self._store, ticket, job, self.printer)
        why_not = self._refusal(job)
        if sheets is None:
            self._fail(ticket, job, "its document is no longer kept; send the job again with the document")
        elif why_not is not None:
            self._fail(ticket, job, why_not)
        elif self._blocked():
            self._give_back(ticket)
            self._lane.nap(FIRST_RETRY_S)
        else:
            self._connect_and_send(ticket, job, sheets)

    def _connect_and_send(self, ticket: Ticket, job: Job, sheets: Sheets) -> None:
        """A printer that took the last job is called while the attempt is being written down; others before that.

        So are those that are asked first: what they may answer is that the job has to wait.
        """
        claim, ticket.claim = ticket.claim, None
        if self._reachable and not self._monitor.answers:
            claim = claim or self._claim(job, sheets)
            self._look_ahead()
        try:
            line = self.printer.connect(waits_for_close=self._waits_for_close())
        except Exception as error:  # whatever it is, nothing was sent, and a claim already made is to be given up
            if not isinstance(error, DeviceError):
                log.exception("%s: job %s: connecting broke off", self._device.name, job.id)
            self._not_now(ticket, job, claim, error)
            return
        with closing(line):
            if claim is None and self._stale(ticket, job):
                return
            before = None
            if self._monitor.answers and line.talks:
                try:
                    before = self._monitor.ready(line)
                    self._end_doubt(before)
                except Exception as error:
                    if not isinstance(error, DeviceError):
                        log.exception("%s: asking for its status broke off", self._device.name)
                    self._not_now(ticket, job, claim, error)
                    return
                if before is not None and self._owed:
                    before = replace(before, labels=None)  # what is ended now may print a label of its own
                if before is not None and before.blocked:
                    self._blocked_by(ticket, job, claim, before)
                    return
            self._attempt(ticket, job, sheets, line, (claim or self._claim(job, sheets))(), before)

    def _end_doubt(self, status: Status | None) -> None:
        """The first answer after a doubt may end it."""
        if status is not None and self._in_doubt:
            doubt = newest(self._store, self._device)
            self._in_doubt = doubt is not None and not doubt.end(self._store, status)

    def _not_now(
        self, ticket: Ticket, job: Job, claim: Callable[[], int | None] | None, error: Exception
    ) -> None:
        """It cannot be reached, and nothing was sent: a claim already made is given up."""
        if claim is not None and (attempt := claim()) is not None:
            self._nothing_left(ticket, job, attempt, error)
        else:
            self._away(ticket, error)

    def _blocked_by(
        self, ticket: Ticket, job: Job, claim: Callable[[], int | None] | None, status: Status
    ) -> None:
        """It is there and cannot print until somebody helps it: its jobs wait, and are sent by themselves then."""
        if claim is not None and (attempt := claim()) is not None:
            self._waits_again(job, attempt, f"nothing was sent: {status.text}")
        self._returned = True
        self._store.jobs.waits(ticket.organization_id, ticket.job_id)
        self._release_claims(status.text)
        self._give_back(ticket)
        self._lane.nap(FIRST_RETRY_S)

    # -- jobs that are not sent now

    def _stale(self, ticket: Ticket, job: Job) -> bool:
        """After an outage: hold every job that waited too long through it. True when this one is among them."""
        returned, self._returned = self._returned, False
        limit = self._hold_older_than_s
        if not returned or limit is None:
            return False
        for other in self._store.lanes.waiting(self._device.id):
            if other.age_s > limit:
                self._hold(other, "stale", _stale_text(other.age_s, limit))
        if ticket.age_s <= limit:
            return False
        self._hold(ticket, "stale", _stale_text(ticket.age_s, limit))
        return True

    def _hold(self, ticket: Ticket, reason: str, text: str) -> None:
        """Out of the queue until a person decides."""
        if self._store.jobs.move(
            ticket.organization_id, ticket.job_id, WAITING, State.HELD, launch=ticket.launch, reason=reason, text=text
        ):
            log.warning("%s: job %s held: %s", self._device.name, ticket.job_id, text)
        self._store.lanes.leave(ticket)

    def _expire(self, ticket: Ticket, job: Job) -> None:
        self._store.jobs.move(
            job.organization_id, job.id, WAITING, State.EXPIRED, launch=job.launch, text=EXPIRED
        )
        self._store.lanes.leave(ticket)

    def _stumbled(self, ticket: Ticket, error: Exception) -> None:
        """Our own fault, before anything left. The third time it may be the job's: the others must have their turn."""
        if self._is_poison(ticket, error):
            self._hold(ticket, "poison", _poison_text(error))
        else:
            self._give_back(ticket)

    def _is_poison(self, ticket: Ticket, error: Exception) -> bool:
        if isinstance(error, sqlite3.Error):
            return False  # the disk has a bad day; the job is not to blame
        job = self._store.jobs.get(ticket.organization_id, ticket.job_id)
        return job is not None and job.state in WAITING and self._store.jobs.strike(job) >= MAX_STRIKES

    def _claim(self, job: Job, sheets: Sheets) -> Callable[[], int | None]:
        return self._store.jobs.begin_attempt(job, bytes_total=sheets.size, pages=sheets.pages)

    def _attempt(
        self, ticket: Ticket, job: Job, sheets: Sheets, line: Connection, attempt: int | None, before: Status | None
    ) -> None:
        """before: what the printer said right before, if it says anything."""
        if attempt is None:
            self._store.lanes.leave(ticket)  # cancelled while we were connecting
            return
        self._condition.busy(True)
        self._in_doubt = False  # from here on its counter speaks of other labels too
        if before is not None and before.labels is not None:
            self._store.jobs.counted(job, attempt, before.labels)
        try:
            receipt, verdict = self._send(ticket, sheets, line, before)
        except (SendStopped, Abandoned):
            self._stop_in_order(ticket, job, attempt, sheets, line)
        except SendInterrupted as error:
            if not _gone(error):
                self._owe(job, sheets, error.sent, exact=False)
            if ticket.stopped:
                self._stopped(ticket, job, attempt, sheets.ledger, error.sent)
                return
            self._unconfirmed(ticket, job, attempt, sheets.ledger, error)
        except PrinterUnreachable as error:
            self._nothing_left(ticket, job, attempt, error)
        except BridgeError as error:
            self._half_drawn(ticket, job, attempt, sheets.ledger, line, error)
        except Exception as error:
            log.exception("%s: job %s: sending broke off", self._device.name, job.id)
            self._owe(job, sheets, line.sent, exact=False)
            self._broke_off(ticket, job, attempt, sheets.ledger, line.sent, error)
        else:
            self._delivered(ticket, job, attempt, line.sent, receipt, verdict)

    def _send(
        self, ticket: Ticket, sheets: Sheets, line: Connection, before: Status | None
    ) -> tuple[Receipt, Verdict | None]:
        """All of it, to the printer's word that it printed where it gives one. Raises what Connection raises."""
        line.on_stall = self._monitor.stalled(line, lambda: self._wanted(ticket))
        asks = before is not None
        self._paid = len(self._owed)
        if self._owed:
            sheets.ledger.add(0, self._paid)
            line.write(self._owed, self._keep_going(ticket))
            self._owed = b""
        for piece, labels in sheets.pieces(lambda: self._wanted(ticket)):
            if not self._wanted(ticket):
                raise Abandoned  # cancelled while we were connecting, or between two pages
            if asks and labels and line.sent:
                self._monitor.pace(line, lambda: self._wanted(ticket))
            sheets.ledger.add(labels, len(piece))
            line.write(piece, self._keep_going(ticket))
            ticket.progress.labels_sent += labels
        if not asks:
            receipt = line.finish()
            line.close()
            return receipt, self._first_word(ticket, sheets)
        verdict = self._confirmed(ticket, sheets, line, before)
        try:
            return line.finish(), verdict
        except SendInterrupted as error:
            if not verdict.printed:
                raise
            return Receipt("taken", str(error)), verdict

    def _confirmed(self, ticket: Ticket, sheets: Sheets, line: Connection, before: Status | None) -> Verdict:
        def printed(labels: int) -> None:
            ticket.progress.labels_printed = labels

        try:
            verdict = self._monitor.confirm(line, before, sheets.labels, lambda: self._waits(ticket), printed)
        except DeviceError as error:
            out, total = ticket.progress.labels_printed, sheets.labels
            said = "" if out is None else f"; its label counter had gone up by {out}{f' of {total}' if total else ''}"
            text = f"it took everything and was lost before it said that it printed{said}: {error}"
            raise SendInterrupted(text, sent=line.sent, total=line.sent) from error
        if ticket.stopped:
            raise Abandoned  # a person said so; all of it is at the printer
        return verdict

    def _first_word(self, ticket: Ticket, sheets: Sheets) -> Verdict | None:
        """A printer nobody has asked yet: does it answer? Then this very label may be confirmed."""
        try:
            line = self._monitor.probe()
            if line is None:
                return None
            self._lane.eager = False  # from now on it is asked before a job is claimed
            with closing(line):
                return self._monitor.confirm(line, None, sheets.labels, lambda: self._waits(ticket), lambda out: None)
        except DeviceError as error:
            log.info("%s: asking for its status: %s", self._device.name, error)
        return None

    def _owe(self, job: Job, sheets: Sheets, sent: int, *, exact: bool) -> None:
        """After a job that was cut off in the middle of a format or a picture the printer waits for the rest of it, and
        would take the next label for that.

        exact: it has read, or will read, all that was sent. Otherwise nobody knows how much of the end of it: then the
        longest rest. Too much white is read as an empty line; too little swallows labels.
        """
        left = sent - self._paid
        if left <= 0:
            return
        language = job.kind if job.is_raw and job.kind not in (None, "raw") else self.printer.language
        cuts = [left] if exact or left > CUTS_MAX else sorted({left, *range(max(1, left - UNREAD), left, CUTS_STEP)})
        try:
            rests = (commands.ending(language or "", first_bytes(sheets.pieces(lambda: False), cut)) for cut in cuts)
            self._owed = _enough(rests, 0 if len(cuts) == 1 else CUTS_STEP)
        except Exception as error:  # what was drawn is gone already, say: then nothing can be known
            log.info("%s: job %s: how it broke off is not known: %s", self._device.name, job.id, error)

    def _pay(self, line: Connection) -> bool:
        """On the same connection, for as long as the printer takes something. False: it must be paid later."""
        if not self._owed:
            return True
        taken, since = line.sent, time.monotonic()

        def goes_on(sent: int) -> bool:
            nonlocal taken, since
            if sent > taken and not self._hurry.is_set():
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

    def _debt_of_an_earlier_run(self) -> None:
        """A picture of counted bytes that was cut off by a crash or a stop: its rest is still to come."""
        if self.printer.language not in _COUNTED:
            return
        cut = self._store.jobs.last_cut(self._device.id)
        if cut is None:
            return
        pieces = [(piece, 1) for piece in self._said(cut)]
        size = sum(len(piece) for piece, _ in pieces)
        if 0 < size <= CUTS_MAX:
            step = max(CUTS_STEP, size // 64)
            cuts = sorted({size, *range(1, size, step)})
            rests = (commands.ending(self.printer.language, first_bytes(iter(pieces), each)) for each in cuts)
            self._owed = _enough(rests, step)

    def _said(self, job: Job) -> Iterator[bytes]:
        """What an earlier run had begun to send, as far as it is kept."""
        if not job.is_raw:
            yield from self._store.spool.pages(job.id, job.launch)
            return
        document, path = self._store.jobs.body(job.organization_id, job.id), self._store.spool.document(job.id)
        if document is not None:
            yield document
        elif path.exists() and path.stat().st_size <= CUTS_MAX:
            yield path.read_bytes()

    def _stop_in_order(self, ticket: Ticket, job: Job, attempt: int, sheets: Sheets, line: Connection) -> None:
        """First it is written down; then the printer is brought back to where a new job can begin."""
        sent = line.sent
        self._owe(job, sheets, sent, exact=True)
        self._stopped(ticket, job, attempt, sheets.ledger, sent)
        if not self._pay(line):
            self._owe(job, sheets, sent, exact=False)

    def _look_ahead(self) -> None:
        """Have the next attempt written down while this job is being sent. After a crash both are in doubt."""
        ticket = self._lane.next_remembered()
        if ticket is None or ticket.job is None or self._refusal(ticket.job) is not None:
            return
        sheets = sheets_of(self._store, ticket, ticket.job, self.printer)
        if sheets is not None:
            ticket.claim = self._claim(ticket.job, sheets)

    def _wanted(self, ticket: Ticket) -> bool:
        return not (ticket.stopped or self._hurry.is_set())

    def _waits(self, ticket: Ticket) -> bool:
        """Whether to wait for the printer's word on a job that it has taken: it may be long in coming."""
        return self._wanted(ticket) and not self._retired.is_set()

    def _keep_going(self, ticket: Ticket) -> Callable[[int], bool]:
        def check(sent: int) -> bool:
            ticket.progress.bytes_sent = sent
            if sent:
                ticket.begun.set()
                self._here()
            return self._wanted(ticket)

        return check

    # -- how an attempt can end --

    def _delivered(
        self, ticket: Ticket, job: Job, attempt: int, sent: int, receipt: Receipt, verdict: Verdict | None
    ) -> None:
        if ticket.output is not None and ticket.output.finished:
            try:
                ticket.output.sync()
            except OSError as error:
                log.warning("%s: job %s: its printer data may not be kept: %s", self._device.name, job.id, error)
        if verdict is not None and verdict.printed:
            text = f"{receipt.text}; {verdict.text}"
            self._end(ticket, job, attempt, State.PRINTED, sent, verdict.by, text)
        else:
            text = f"{receipt.text}; {verdict.text}" if verdict is not None else receipt.text
            self._end(ticket, job, attempt, State.DELIVERED, sent, receipt.evidence, text)
        self._lane.evidence = self._monitor.evidence or receipt.evidence
        self._learn(receipt)  # after the result, which must not be lost when this cannot be written
        if receipt.path is not None and self._after is not None:
            self._after(receipt.path)

    def _stopped(self, ticket: Ticket, job: Job, attempt: int, ledger: Ledger, sent: int) -> None:
        """Cut off by our own hand: a person cancelled, or the bridge is being stopped."""
        part = f"{sent:,} bytes had left; {doubt(ledger.unit, ledger.touched(sent), ledger.total)}"
        if ticket.stopped and not sent:
            self._end(ticket, job, attempt, State.CANCELLED, 0, None, _CANCELLED)
        elif ticket.stopped:
            text = f"cancelled while it was being sent: {part}"
            self._end(ticket, job, attempt, State.CANCELLED, sent, "cut", text)
        elif not sent:
            self._waits_again(job, attempt, "nothing was sent: the bridge was stopped")
            self._give_back(ticket)
        else:
            text = f"the bridge was stopped while sending: {part}"
            self._end(ticket, job, attempt, State.UNCONFIRMED, sent, "cut", text)

    def _unconfirmed(self, ticket: Ticket, job: Job, attempt: int, ledger: Ledger, error: SendInterrupted) -> None:
        self._in_doubt = True
        text = f"{doubt(ledger.unit, ledger.touched(error.sent), ledger.total)}: {error}"
        self._end(ticket, job, attempt, State.UNCONFIRMED, error.sent, "cut", text)

    def _broke_off(
        self, ticket: Ticket, job: Job, attempt: int, ledger: Ledger, sent: int, error: Exception
    ) -> None:
        """Our own fault. With bytes out it is in doubt; otherwise it is tried again, until it is held as poison."""
        if sent:
            broken = SendInterrupted(f"an internal error ({error})", sent=sent, total=sent)
            self._unconfirmed(ticket, job, attempt, ledger, broken)
            return
        self._waits_again(job, attempt, f"nothing was sent: an internal error ({error})")
        self._stumbled(ticket, error)
        self._lane.nap(self._next_delay())

    def _nothing_left(self, ticket: Ticket, job: Job, attempt: int, error: Exception) -> None:
        self._waits_again(job, attempt, str(error))
        self._away(ticket, error)

    def _waits_again(self, job: Job, attempt: int, text: str) -> None:
        self._store.jobs.end_attempt(job, attempt, State.QUEUED, bytes_sent=0, evidence=None, text=text)()

    def _give_back(self, ticket: Ticket) -> None:
        """The job waits on; unless a person cancelled it while it seemed to be on its way."""
        if not self._store.lanes.give_back(ticket):
            self._store.jobs.move(
                ticket.organization_id, ticket.job_id, WAITING, State.CANCELLED, launch=ticket.launch, text=_CANCELLED
            )

    def _half_drawn(
        self, ticket: Ticket, job: Job, attempt: int, ledger: Ledger, line: Connection, error: BridgeError
    ) -> None:
        """A later page could not be drawn after earlier ones had left. Those are let out in order."""
        try:
            line.finish()
        except SendInterrupted as cut:
            self._unconfirmed(ticket, job, attempt, ledger, cut)
            return
        done = len(ledger.pieces)  # each is a page, and was taken whole
        pages = "page 1 was" if done == 1 else f"pages 1-{done} were"
        text = f"{pages} printed, page {done + 1} could not be drawn: {error}"
        self._end(ticket, job, attempt, State.FAILED, line.sent, None, text)

    def _end(
        self, ticket: Ticket, job: Job, attempt: int, to: State, sent: int, evidence: str | None, text: str
    ) -> None:
        # First out of the lane, then out of `sending`: a relaunch in between finds a job that is still being sent.
        self._store.lanes.leave(ticket)
        written = self._store.jobs.end_attempt(job, attempt, to, bytes_sent=sent, evidence=evidence, text=text)
        if self._lane.ordered:
            written()  # _blocked() reads it before the next job
        self._condition.busy(False)
        # A line for each label would wear out a Raspberry Pi's card; the job's own timeline says it all.
        level = logging.DEBUG if to in (State.DELIVERED, State.PRINTED) else logging.WARNING
        log.log(level, "%s: job %s %s: %s", self._device.name, job.id, to.value, text)

    def _fail(self, ticket: Ticket, job: Job, text: str) -> None:
        self._store.jobs.move(job.organization_id, job.id, WAITING, State.FAILED, launch=job.launch, text=text)
        self._store.lanes.leave(ticket)  # last: while the database cannot be written, the job is not forgotten
        log.warning("%s: job %s failed: %s", self._device.name, job.id, text)

    # -- rules before sending --

    def _refusal(self, job: Job) -> str | None:
        """Why this job must not go to this printer at all."""
        if not job.is_raw:
            return None
        if job.kind in ("raw", self.printer.language):
            return None
        if job.kind not in KNOWN_LANGUAGES or Options.from_json(job.options).force:
            return None
        return (
            f"the job is {spoken(job.kind)}, the printer {self.printer.name} speaks {spoken(self.printer.language)}; "
            "send it to another printer, send a PDF instead, or send it with the option force"
        )

    def _blocked(self) -> bool:
        """An ordered printer does not overtake a doubt."""
        if not self._lane.ordered:
            return False
        doubtful, total = self._store.jobs.page(
            None, device_id=self._device.id, states=[State.UNCONFIRMED], limit=1
        )
        if total:
            text = f"job {doubtful[0].id} is unconfirmed and this printer is ordered: say first what came out"
            self._condition.stuck(text)
        return bool(total)

    # -- what we know of the printer --

    def _waits_for_close(self) -> bool | None:
        if self._closings:
            return True
        return False if self._left_open >= NEVER_CLOSES else None

    def _learn(self, receipt: Receipt) -> None:
        """Remember, the first few times, whether this printer closes its side after a job."""
        if receipt.closed and not self._closings:
            self._closings = 1
            self._store.devices.seen_closing(self._device, True)
        elif receipt.closed is False and self._left_open < NEVER_CLOSES:
            self._left_open += 1
            self._store.devices.seen_closing(self._device, False)

    def _away(self, ticket: Ticket, error: Exception) -> None:
        """The printer is not there: its own state, not the job's. Try again, less and less often."""
        self._reachable = self._lane.eager = False
        self._returned = True
        delay = self._next_delay()
        self._condition.away(f"{error}")
        self._store.jobs.waits(ticket.organization_id, ticket.job_id)
        self._release_claims("the printer is away")
        self._give_back(ticket)
        self._lane.nap(delay)

    def _next_delay(self) -> float:
        delay: float = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        return delay * random.uniform(0.8, 1.0)

    def _here(self) -> None:
        """It takes bytes: only now is it there. Many accept a connection and hang up while another computer prints."""
        self._failures, self._reachable, self._lane.eager = 0, True, not self._monitor.answers
        self._condition.here()


def _enough(rests: Iterable[bytes], step: int) -> bytes:
    """The longest of them; of a filling, as much more as a cut between two that were looked at may need."""
    longest = max(rests, key=len)
    return longest[:1] * step + longest if len(longest) > FILLING else longest


def _gone(error: SendInterrupted) -> bool:
    """Whether the printer itself broke off (reset, unplugged, switched off): it has forgotten what it had begun. One
    that went silent, or whose network did, has not."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno not in _UNHEARD


_COUNTED = frozenset({"epl2", "tspl", "cpcl", "escpos"})
"""Languages whose pictures are counted bytes: whatever comes after a cut is taken for a part of the picture."""

_UNHEARD = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN})


def _stale_text(age_s: float, limit_s: float) -> str:
    return (
        f"it waited {_span(age_s)} while its printer or this bridge was away, more than the {_span(limit_s)} this "
        "printer allows; release it to print it all the same, or cancel it"
    )


def _poison_text(error: Exception) -> str:
    return (
        f"an internal error kept it from being sent {MAX_STRIKES} times ({error}); the log has the details; "
        "release it to try again"
    )


def _span(seconds: float) -> str:
    """A duration for people."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


KNOWN_LANGUAGES = frozenset({*languages.names(), *SIGNATURES})
"""Languages a stream can be recognized as."""

_SPOKEN = {"zpl": "ZPL", "epl2": "EPL2", "escpos": "ESC/POS", "tspl": "TSPL", "cpcl": "CPCL"}


def spoken(language: str | None) -> str:
    """A language's name as people write it."""
    return _SPOKEN.get(language or "", (language or "unknown").upper())
