"""One sending of one job: from its first byte to the printer's last word, and what is said of it in the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

from bridge.deliver.debt import forgot
from bridge.deliver.desk import Desk
from bridge.deliver.record import Record
from bridge.deliver.sheets import Abandoned, Sheets
from bridge.deliver.verdict import Verdict
from bridge.errors import BridgeError
from bridge.model import Job
from bridge.store.lanes import Ticket
from devices.contracts import Connection, Receipt, Status
from devices.errors import DeviceError, PrinterUnreachable, SendInterrupted, SendStopped

log = logging.getLogger(__name__)


class Attempt:
    """Written down already, as `number`; `run` is called once."""

    def __init__(
        self, desk: Desk, ticket: Ticket, job: Job, sheets: Sheets, line: Connection, number: int,
        taken: Callable[[], None],
    ) -> None:  # fmt: skip
        """taken: called when the printer has taken bytes."""
        self._desk = desk
        self._ticket = ticket
        self._job = job
        self._sheets = sheets
        self._line = line
        self._taken = taken
        self._record = Record(desk, ticket, job, number, sheets.ledger)

    def run(self, before: Status | None) -> bool:
        """before: what the printer said right before, if it says anything. Whether this ends in doubt.

        Raises PrinterUnreachable when nothing was sent, and whatever else kept every byte from leaving: then the job
        waits again, and its ticket is still to be given back.
        """
        desk, record = self._desk, self._record
        desk.condition.busy(True)
        if before is not None and before.labels is not None:
            record.stood_at(before.labels)
        try:
            receipt, verdict = self._send(before)
        except (SendStopped, Abandoned):
            self._stop_in_order()
        except SendInterrupted as error:
            return self._interrupted(error)
        except PrinterUnreachable as error:
            record.waits_again(str(error))
            raise
        except BridgeError as error:
            return self._half_drawn(error)
        except Exception as error:
            sent = self._line.sent
            if not sent:
                record.waits_again(f"nothing was sent: an internal error ({error})")
                raise
            log.exception("%s: job %s: sending broke off", desk.name, self._job.id)
            self._owe(sent, exact=False)
            record.unconfirmed(sent, f"an internal error ({error})")
            return True
        else:
            self._delivered(receipt, verdict)
        return False

    # -- sending

    def _send(self, before: Status | None) -> tuple[Receipt, Verdict | None]:
        """All of it, to the printer's word that it printed where it gives one. Raises what Connection raises."""
        line, monitor = self._line, self._desk.monitor
        line.on_stall = monitor.stalled(line, self._is_wanted)
        self._write_all(paced=before is not None)
        if before is None:
            receipt = line.finish()
            line.close()
            return receipt, self._first_word()
        verdict = self._last_word(before)
        try:
            return line.finish(), verdict
        except SendInterrupted as error:
            if not verdict.printed:
                raise
            return Receipt("taken", str(error)), verdict

    def _write_all(self, *, paced: bool) -> None:
        """Piece by piece. paced: the printer is asked between two labels."""
        line, sheets = self._line, self._sheets
        for piece, labels in sheets.pieces(self._is_wanted):
            if not self._is_wanted():
                raise Abandoned  # cancelled while we were connecting, or between two pages
            if paced and labels and line.sent:
                self._desk.monitor.pace(line, self._is_wanted)
            sheets.ledger.add(labels, len(piece))
            line.write(piece, self._keep_going)
            self._ticket.progress.labels_sent += labels

    def _is_wanted(self) -> bool:
        return self._desk.wants(self._ticket)

    def _is_waited_for(self) -> bool:
        return self._desk.waits_for(self._ticket)

    def _keep_going(self, sent: int) -> bool:
        if sent:
            self._taken()
            self._desk.monitor.taken(sent)
            self._ticket.progress.bytes_sent = sent
            self._ticket.begun.set()
        return self._is_wanted()

    # -- the printer's word

    def _last_word(self, before: Status) -> Verdict:
        progress, sheets, line = self._ticket.progress, self._sheets, self._line

        def printed(labels: int) -> None:
            progress.labels_printed = labels

        try:
            verdict = self._desk.monitor.confirm(line, before, sheets.labels, self._is_waited_for, printed)
        except DeviceError as error:
            out, total = progress.labels_printed, sheets.labels
            said = "" if out is None else f"; its label counter had gone up by {out}{f' of {total}' if total else ''}"
            text = f"it took everything and was lost before it said that it printed{said}: {error}"
            raise SendInterrupted(text, sent=line.sent, total=line.sent) from error
        if self._ticket.stopped:
            raise Abandoned  # a person said so; all of it is at the printer
        return verdict

    def _first_word(self) -> Verdict | None:
        """A printer nobody has asked yet: does it answer? Then this very label may be confirmed."""
        desk = self._desk
        try:
            line = desk.monitor.probe()
            if line is None:
                return None
            desk.lane.eager = False  # from now on it is asked before a job is claimed
            with closing(line):
                return desk.monitor.confirm(line, None, self._sheets.labels, self._is_waited_for, lambda out: None)
        except DeviceError as error:
            log.info("%s: asking for its status: %s", desk.name, error)
        return None

    # -- the end

    def _delivered(self, receipt: Receipt, verdict: Verdict | None) -> None:
        desk, output = self._desk, self._ticket.output
        if output is not None and output.finished:
            try:
                output.sync()
            except OSError as error:
                log.warning("%s: job %s: its printer data may not be kept: %s", desk.name, self._job.id, error)
        self._record.delivered(self._line.sent, receipt, verdict)
        desk.lane.evidence = desk.monitor.evidence or receipt.evidence
        desk.closing.learn(receipt)  # after the result, which must not be lost when this cannot be written
        if receipt.path is not None and desk.after_sending is not None:
            desk.after_sending(receipt.path)

    def _stop_in_order(self) -> None:
        """First it is written down; then the printer is brought back to where a new job can begin."""
        sent = self._line.sent
        self._owe(sent, exact=True)
        self._record.stopped(sent)
        if not self._desk.debt.pay_at_once(self._line, self._desk.hurry.is_set):
            self._owe(sent, exact=False)

    def _interrupted(self, error: SendInterrupted) -> bool:
        """The connection broke, or took nothing more. Whether this ends in doubt."""
        sent = error.sent
        if not forgot(error):
            self._owe(sent, exact=False)
        if self._ticket.stopped:
            self._record.stopped(sent)
            return False
        self._record.unconfirmed(sent, str(error))
        return True

    def _half_drawn(self, error: BridgeError) -> bool:
        """The pages that were sent are let out in order. Whether this ends in doubt."""
        try:
            self._line.finish()
        except SendInterrupted as cut:
            self._record.unconfirmed(cut.sent, str(cut))
            return True
        self._record.half_drawn(self._line.sent, error)
        return False

    def _owe(self, sent: int, *, exact: bool) -> None:
        self._desk.debt.owe(self._job, self._sheets, sent, exact=exact)
