"""The worker of one printer: takes the next ready job and has it sent, once the printer is there and can print."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from bridge.deliver import aside
from bridge.deliver.attempt import Attempt
from bridge.deliver.closing import Closing
from bridge.deliver.condition import Condition
from bridge.deliver.debt import Debt
from bridge.deliver.desk import AfterSending, Desk
from bridge.deliver.language import refusal
from bridge.deliver.late import newest
from bridge.deliver.recover import cut_off
from bridge.deliver.sheets import Sheets, sheets_of
from bridge.deliver.status import Monitor
from bridge.model import WAITING, Device, Job, State
from bridge.store import Store
from bridge.store.lanes import Lane, Ticket
from devices.contracts import Connection, Status
from devices.errors import DeviceError, PrinterUnreachable
from devices.printer import Printer

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
LOOK_S = 10.0  # between two looks at a printer that is away, and has nothing to print

_Claim = Callable[[], int | None]
"""Waits until an attempt is written down; its number, or None when the job was cancelled first."""


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
        self._lane = lane
        self._condition = Condition(store, device, lane)
        self._monitor = Monitor(store, device, printer, self._condition, ask=ask_status)
        self._desk = Desk(
            store, device, printer, lane, self._condition, self._monitor, Closing(store, device),
            Debt(store, device, printer), after_sending,
        )  # fmt: skip
        self._hold_older_than_s = hold_older_than_s
        self._returned = True  # the bridge or the printer was away: labels that waited through that may be stale
        self._failures = 0
        self._in_doubt = True  # of an earlier run, perhaps
        self._reachable = False
        self._rest_s = 0.0  # before the next job
        self._next_look = time.monotonic()
        self._begun = False
        self._reviving = threading.Lock()
        self._thread = self._new_thread()

    # -- the thread

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name=f"printer-{self._desk.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._begun = True

    def retire(self, patience_s: float) -> bool:
        """Finish the label that is being sent, then end; the lane goes on without. False: it takes longer."""
        self._desk.retired.set()
        deadline = time.monotonic() + patience_s
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._lane.wake()  # again and again: it may just be about to nap
            self._thread.join(0.05)
        return not self._thread.is_alive()

    def stay(self) -> None:
        """Take retire() back: it takes too long."""
        self._desk.retired.clear()
        self.revive()

    def revive(self) -> None:
        """Go on in a new thread if the old one died. What that one had in its hands is named in doubt."""
        with self._reviving:  # two threads for one printer would print into each other's labels
            if not self.is_alive():
                self._begin_again()

    def _begin_again(self) -> None:
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
        self._desk.hurry.set()

    def stop(self, patience_s: float) -> None:
        """wait, cut_off, wait."""
        self.wait(patience_s)
        self.cut_off()
        self.wait(3)

    def is_alive(self) -> bool:
        """Whether it works as it is meant to: one that has not begun yet, or is retired, has not died."""
        return self._thread.is_alive() or not self._begun or self._desk.retired.is_set()

    @property
    def _is_over(self) -> bool:
        return self._lane.closed or self._desk.retired.is_set()

    def _run(self) -> None:
        try:
            self._desk.debt.owe_for_an_earlier_run()
        except Exception:
            log.exception("%s: what an earlier run left cut off cannot be told", self._desk.name)
        while not self._is_over:
            ticket = self._lane.take(self._desk.retired.is_set, self._patience_s)
            if ticket is not None:
                self._serve_safely(ticket)
            elif not self._is_over:
                self._ask_idle()
            if self._lane.paused:
                aside.release_claims(self._desk, "the printer was paused")
        retired = self._desk.retired.is_set()
        aside.release_claims(self._desk, "the printer was set up anew" if retired else "the bridge was stopped")

    def _serve_safely(self, ticket: Ticket) -> None:
        self._rest_s = 0.0
        try:
            self._serve(ticket)
        except Exception as error:
            log.exception("%s: job %s: the worker stumbled", self._desk.name, ticket.job_id)
            try:
                aside.stumbled(self._desk, ticket, error)
            except Exception:  # the database, most likely: this thread must outlive its bad day
                self._store.lanes.give_back(ticket)
            self._rest_s = self._next_delay()
        if self._rest_s:
            self._lane.nap(self._rest_s)  # now that no connection is open: others may use the printer meanwhile

    def _patience_s(self) -> float | None:
        """Seconds until an idle printer is to be looked at; None: never."""
        if self._condition.needs_a_look and not self._monitor.connects:
            return max(0.0, self._next_look - time.monotonic())
        return self._monitor.patience_s()

    def _ask_idle(self) -> None:
        """Nothing is to be printed: see how the printer is, or whether it is back at all."""
        self._next_look = time.monotonic() + LOOK_S
        try:
            if self._condition.needs_a_look and not self._monitor.connects:
                self.printer.connect(waits_for_close=False).close()
            self._end_doubt(self._monitor.poll())
            self._condition.here()
        except DeviceError as error:
            self._reachable = self._lane.eager = False
            self._condition.away(f"{error}")
        except Exception:
            log.exception("%s: asking for its status broke off", self._desk.name)

    # -- one job

    def _serve(self, ticket: Ticket) -> None:
        # A remembered job may be out of date; begin_attempt looks again before anything leaves.
        job = ticket.job or self._store.jobs.get(ticket.organization_id, ticket.job_id)
        if job is None or job.state not in WAITING or job.launch != ticket.launch:
            self._store.lanes.leave(ticket)
            return
        if ticket.claim is None and self._store.lanes.is_overdue(ticket):
            aside.expire(self._desk, ticket, job)
            return
        sheets = sheets_of(self._store, ticket, job, self.printer)
        why_not = refusal(job, self.printer)
        if sheets is None:
            aside.fail(self._desk, ticket, job, "its document is no longer kept; send the job again with the document")
        elif why_not is not None:
            aside.fail(self._desk, ticket, job, why_not)
        elif self._waits_behind_a_doubt():
            aside.give_back(self._desk, ticket)
            self._rest_s = FIRST_RETRY_S
        else:
            self._connect_and_send(ticket, job, sheets)

    def _waits_behind_a_doubt(self) -> bool:
        """An ordered printer does not overtake one."""
        if not self._lane.ordered:
            return False
        doubtful, total = self._store.jobs.page(
            None, device_id=self._lane.device_id, states=[State.UNCONFIRMED], limit=1
        )
        if total:
            text = f"job {doubtful[0].id} is unconfirmed and this printer is ordered: say first what came out"
            self._condition.stuck(text)
        return bool(total)

    def _connect_and_send(self, ticket: Ticket, job: Job, sheets: Sheets) -> None:
        """A printer that took the last job is called while the attempt is being written down; others before that.

        So are those that are asked first: what they may answer is that the job has to wait.
        """
        claim, ticket.claim = ticket.claim, None
        owed = bool(self._desk.debt)
        if self._reachable and not owed and not self._monitor.answers:
            claim = claim or self._claim(job, sheets)
            self._look_ahead()
        try:
            if owed:
                self._pay(ticket)
            line = self._connect()
        except Exception as error:  # whatever it is, nothing was sent
            self._not_now(ticket, job, claim, error)
            return
        with closing(line):
            if claim is None and self._is_stale(ticket):
                return
            try:
                before = self._ask_first(line)
                if before is not None and owed:
                    before = replace(before, labels=None)  # what was ended just now may print a label of its own
            except Exception as error:
                self._not_now(ticket, job, claim, error)
                return
            if before is not None and before.blocked:
                self._blocked_by(ticket, job, claim, before)
                return
            self._send(ticket, job, sheets, line, (claim or self._claim(job, sheets))(), before)

    def _connect(self) -> Connection:
        return self.printer.connect(waits_for_close=self._desk.closing.is_waited_for())

    def _pay(self, ticket: Ticket) -> None:
        """End what a job before left half read, for as long as this one is wanted. Raises DeviceError."""
        with closing(self._connect()) as line:
            line.on_stall = self._desk.monitor.stalled(line, lambda: self._desk.wants(ticket))
            self._desk.debt.pay(line, lambda sent: self._desk.wants(ticket))

    def _claim(self, job: Job, sheets: Sheets) -> _Claim:
        return self._store.jobs.begin_attempt(job, bytes_total=sheets.size, pages=sheets.pages)

    def _look_ahead(self) -> None:
        """Have the next attempt written down while this job is being sent. After a crash both are in doubt."""
        ticket = self._lane.next_remembered()
        if ticket is None or ticket.job is None or refusal(ticket.job, self.printer) is not None:
            return
        sheets = sheets_of(self._store, ticket, ticket.job, self.printer)
        if sheets is not None:
            ticket.claim = self._claim(ticket.job, sheets)

    def _is_stale(self, ticket: Ticket) -> bool:
        """The first time after an outage: whether this job has waited too long through it, and is held now."""
        returned, self._returned = self._returned, False
        limit = self._hold_older_than_s
        return returned and limit is not None and aside.hold_stale(self._desk, ticket, limit)

    def _ask_first(self, line: Connection) -> Status | None:
        """How it is; None when it is not asked, or does not answer. Raises DeviceError when it is gone."""
        if not (self._monitor.answers and line.talks):
            return None
        before = self._monitor.ready(line)
        self._end_doubt(before)
        return before

    def _end_doubt(self, status: Status | None) -> None:
        """The first answer after a doubt may end it."""
        if status is not None and self._in_doubt:
            doubt = newest(self._store, self._desk.device)
            self._in_doubt = doubt is not None and not doubt.end(self._store, status)

    def _send(
        self, ticket: Ticket, job: Job, sheets: Sheets, line: Connection, number: int | None, before: Status | None
    ) -> None:
        """number: of the attempt, None when the job was cancelled while we were connecting."""
        if number is None:
            self._store.lanes.leave(ticket)
            return
        self._in_doubt = False  # from here on its counter speaks of other labels too
        try:
            self._in_doubt = Attempt(self._desk, ticket, job, sheets, line, number, self._here).run(before)
        except PrinterUnreachable as error:
            self._away(ticket, error)

    # -- what its printer keeps it from

    def _not_now(self, ticket: Ticket, job: Job, claim: _Claim | None, error: Exception) -> None:
        """It cannot be reached, and nothing was sent: a claim already made is given up."""
        if not isinstance(error, DeviceError):
            log.error("%s: job %s: connecting broke off", self._desk.name, job.id, exc_info=error)
        self._give_up(job, claim, str(error))
        self._away(ticket, error)

    def _blocked_by(self, ticket: Ticket, job: Job, claim: _Claim | None, status: Status) -> None:
        """It is there and cannot print until somebody helps it: its jobs wait, and are sent by themselves then."""
        self._give_up(job, claim, f"nothing was sent: {status.text}")
        self._returned = True
        self._wait_again(ticket, status.text)
        self._rest_s = FIRST_RETRY_S

    def _away(self, ticket: Ticket, error: Exception) -> None:
        """The printer is not there: its own state, not the job's. Try again, less and less often."""
        self._reachable = self._lane.eager = False
        self._returned = True
        self._rest_s = self._next_delay()
        self._condition.away(f"{error}")
        self._wait_again(ticket, "the printer is away")

    def _give_up(self, job: Job, claim: _Claim | None, text: str) -> None:
        """What was claimed is not sent now."""
        if claim is not None and (number := claim()) is not None:
            self._store.jobs.end_attempt(job, number, State.QUEUED, bytes_sent=0, evidence=None, text=text)()

    def _wait_again(self, ticket: Ticket, why: str) -> None:
        self._store.jobs.waits(ticket.organization_id, ticket.job_id)
        aside.release_claims(self._desk, why)
        aside.give_back(self._desk, ticket)

    def _here(self) -> None:
        """It takes bytes: only now is it there. Many accept a connection and hang up while another computer prints."""
        self._failures, self._reachable, self._lane.eager = 0, True, not self._monitor.answers
        self._condition.here()

    def _next_delay(self) -> float:
        delay: float = min(LAST_RETRY_S, FIRST_RETRY_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 10)
        return delay * random.uniform(0.8, 1.0)
