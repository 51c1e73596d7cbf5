"""How one attempt ended, written down for everyone who asked: the job's state, its evidence, and the words for it."""

from __future__ import annotations

import logging

from bridge.deliver import aside
from bridge.deliver.desk import Desk
from bridge.deliver.doubt import Ledger, doubt
from bridge.deliver.verdict import Verdict
from bridge.errors import BridgeError
from bridge.model import Job, State
from bridge.store.lanes import Ticket
from devices.contracts import Receipt

log = logging.getLogger(__name__)


class Record:
    """Of attempt `number` at a job. Each method but `stood_at` ends it; one of them is called, once.

    sent: bytes of the job that have left.
    """

    def __init__(self, desk: Desk, ticket: Ticket, job: Job, number: int, ledger: Ledger) -> None:
        """ledger: of what the printer is offered."""
        self._desk = desk
        self._ticket = ticket
        self._job = job
        self._number = number
        self._ledger = ledger

    def stood_at(self, counter: int) -> None:
        """The printer's label counter, right before the job."""
        self._desk.store.jobs.counted(self._job, self._number, counter)

    def delivered(self, sent: int, receipt: Receipt, verdict: Verdict | None) -> None:
        """The printer took all of it. verdict: what it said of it then, if it was asked."""
        text = receipt.text if verdict is None else f"{receipt.text}; {verdict.text}"
        if verdict is not None and verdict.printed:
            self._end(State.PRINTED, sent, verdict.by, text)
        else:
            self._end(State.DELIVERED, sent, receipt.evidence, text)

    def stopped(self, sent: int) -> None:
        """Cut off by our own hand: a person cancelled, or the bridge is being stopped."""
        part = f"{sent:,} bytes had left; {self._doubt(sent)}"
        if self._ticket.stopped and not sent:
            self._end(State.CANCELLED, 0, None, aside.CANCELLED)
        elif self._ticket.stopped:
            self._end(State.CANCELLED, sent, "cut", f"cancelled while it was being sent: {part}")
        elif not sent:
            self.waits_again("nothing was sent: the bridge was stopped")
            aside.give_back(self._desk, self._ticket)
        else:
            self._end(State.UNCONFIRMED, sent, "cut", f"the bridge was stopped while sending: {part}")

    def unconfirmed(self, sent: int, why: str) -> None:
        """Cut off by something else: which labels are in doubt, and why."""
        self._end(State.UNCONFIRMED, sent, "cut", f"{self._doubt(sent)}: {why}")

    def half_drawn(self, sent: int, error: BridgeError) -> None:
        """A later page could not be drawn after earlier ones had been taken."""
        done = len(self._ledger.pieces)  # each is a page, and was taken whole
        pages = "page 1 was" if done == 1 else f"pages 1-{done} were"
        self._end(State.FAILED, sent, None, f"{pages} printed, page {done + 1} could not be drawn: {error}")

    def waits_again(self, text: str) -> None:
        """Nothing was sent. The ticket is still to be given back."""
        self._desk.store.jobs.end_attempt(
            self._job, self._number, State.QUEUED, bytes_sent=0, evidence=None, text=text
        )()
        self._desk.condition.busy(False)

    def _doubt(self, sent: int) -> str:
        return doubt(self._ledger.unit, self._ledger.touched(sent), self._ledger.total)

    def _end(self, to: State, sent: int, evidence: str | None, text: str) -> None:
        desk, job = self._desk, self._job
        # First out of the lane, then out of `sending`: a relaunch in between finds a job that is still being sent.
        desk.store.lanes.leave(self._ticket)
        written = desk.store.jobs.end_attempt(job, self._number, to, bytes_sent=sent, evidence=evidence, text=text)
        if desk.lane.ordered:
            written()  # the worker looks for doubts before the next job
        desk.condition.busy(False)
        # A line for each label would wear out a Raspberry Pi's card; the job's own timeline says it all.
        level = logging.DEBUG if to in (State.DELIVERED, State.PRINTED) else logging.WARNING
        log.log(level, "%s: job %s %s: %s", desk.name, job.id, to.value, text)
