"""Asking one printer how it is, on its worker's own connection and in its worker's own thread.

A printer is probed once. One that answers is asked before each job (a label is not sent into an open head), after it
(only then it is `printed`) and now and then while it is idle. One that stays silent is left alone: it is probed again
ten minutes later, an hour, a day, and then no more. What was learnt is kept across restarts.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

from bridge.deliver.condition import Condition
from bridge.deliver.memory import Memory
from bridge.deliver.verdict import Verdict, judge
from bridge.model import Device
from bridge.store import Store
from devices.contracts import Connection, Reason, Status
from devices.errors import DeviceError
from devices.interview import Interview
from devices.printer import Printer
from devices.printermib import ask as ask_network_card
from devices.status import talk

log = logging.getLogger(__name__)

PATIENCE_S = 1.0  # for an answer
CONFIRM_S = 30.0  # without progress, before a label that was taken is no longer expected to be confirmed
GAP_S = 0.15  # between two answers "idle" that together say that nothing is left to print
UNSEEN_S = 1.0  # after the last byte, before "idle" is believed of a printer that was not seen at work
POLL_S = 3.0  # while a network printer is idle; others are opened for it, which other programs feel
POLL_PLUGGED_S = 30.0
POLL_BLOCKED_S = 1.0
MOVES = 4096  # bytes after which it takes data again; some take one now and then, to keep their connection
PROBE_AGAIN_S = (600.0, 3600.0, 86_400.0)
SILENT_MAX = 3  # times in a row that a question, or a printer that used to answer, may be silent before it counts


class Monitor:
    """What one printer says of itself."""

    def __init__(self, store: Store, device: Device, printer: Printer, condition: Condition, *, ask: bool) -> None:
        """ask: False: not one byte beyond the job is ever sent."""
        self._store = store
        self._device = device
        self._printer = printer
        self._condition = condition
        self._talk = talk(printer.language) if ask else None
        self._on = ask and urlsplit(printer.uri).scheme in ("tcp", "usb", "serial", "queue", "spy")
        self._host = urlsplit(printer.uri).hostname if ask and printer.uri.startswith("tcp://") else None
        self._memory = Memory.of(device.talk, f"{printer.language} {printer.uri}")
        self._proofs = _proofs(printer) if self._talk is not None else None
        self._unanswered = 0
        self._missed: Counter[str] = Counter()
        self._next = time.monotonic()
        self._last: Status | None = None
        self._heard = 0.0
        self._taken = 0
        self._held_at: int | None = None  # bytes after which it took no more, and said why

    # -- what is known --

    @property
    def answers(self) -> bool:
        return self._on and self._talk is not None and self._memory.answers is True

    @property
    def evidence(self) -> str | None:
        """What it can say of a label: "counter", "processed", "idle"; None: nothing."""
        if not self.answers:
            return None
        if self._proofs is not None:
            return "processed"
        return "counter" if self._memory.counts else "idle" if self._memory.idles else None

    def unknown(self) -> bool:
        """Whether it is time to find out if it answers."""
        if not self._on or self._memory.answers is True:
            return False
        if not self._memory.probes:
            return True
        if self._memory.probes > len(PROBE_AGAIN_S):
            return False  # it may print what it is asked: enough is enough, until its address or language changes
        pause = PROBE_AGAIN_S[min(self._memory.probes, len(PROBE_AGAIN_S)) - 1]
        return not 0 <= time.time() - self._memory.asked_at < pause

    def patience_s(self) -> float | None:
        """Seconds until an idle printer is to be asked again; None: never."""
        if not (self.connects or self._memory.network):
            return None
        return max(0.0, self._next - time.monotonic())

    @property
    def connects(self) -> bool:
        """Whether poll() opens a connection; otherwise it asks the network card, or nobody."""
        return self.answers or (self._on and self._printer.uri.startswith("queue://"))

    # -- asking --

    def poll(self) -> Status | None:
        """Ask an idle printer, on a connection of its own. Raises DeviceError when it cannot be reached."""
        self._put_off()
        if not self.connects:
            self._say(status := self._over_the_network())
            return status
        with closing(self._printer.connect(waits_for_close=False)) as line:
            if line.talks:
                return self.look(line)
            self._say(status := line.wire_status())
            return status

    def probe(self) -> Connection | None:
        """Find out whether it answers; then the connection, for going on. Raises DeviceError when it is gone."""
        if not self.unknown():
            return None
        self._memory.asked_at = time.time()
        self._memory.network = self._over_the_network() is not None
        try:
            line = self._printer.connect(waits_for_close=False)
        except DeviceError:
            self._memory.probes += 1  # it prints, and lets nobody in meanwhile: not after each job again
            raise
        try:
            status = None
            if self._talk is not None and line.talks:
                interview = Interview(self._talk, line, PATIENCE_S)
                status = interview.probe() or interview.second_opinion()
        except BaseException:
            line.close()
            raise
        self._learn(status is not None)
        if status is None:
            line.close()
            return None
        self._say(status)
        return line

    def look(self, line: Connection) -> Status | None:
        """How it is, asked on an open connection. None: no answer this time. Raises DeviceError."""
        if self._talk is None:
            return None
        interview = Interview(self._talk, line, PATIENCE_S, skip=frozenset(self._memory.silent))
        status = interview.ask() or interview.second_opinion() or self._over_the_network()
        if status is not None:
            self._unanswered = 0
            self._note(interview.silent, status)
        self._say(status if status is not None else _SILENT)
        return status

    def _over_the_network(self) -> Status | None:
        if self._host is None or (self._memory.answers is not None and not self._memory.network):
            return None
        told = ask_network_card(self._host)
        return told and replace(told, labels=None)  # its life count is another one than the language's

    def _learn(self, answers: bool) -> None:
        self._memory.answers = answers
        self._memory.probes = 0 if answers else self._memory.probes + 1
        if not answers:
            log.debug("%s: it answers no status question; its labels are told as delivered", self._device.name)
        self._keep()

    def _note(self, silent: set[str], status: Status) -> None:
        counts, idles = status.labels is not None, status.idle is True
        self._missed = Counter({each: self._missed[each] + 1 for each in silent})
        silent = {each for each, times in self._missed.items() if times >= SILENT_MAX}
        if silent - self._memory.silent or counts > self._memory.counts or idles > self._memory.idles:
            self._memory.silent |= silent
            self._memory.counts |= counts
            self._memory.idles |= idles
            self._keep()

    def _keep(self) -> None:
        self._store.devices.remember_talk(self._device, self._memory.to_json())

    def _say(self, status: Status | None) -> None:
        self._last, self._heard = status, time.monotonic()
        self._condition.said(status)
        self._put_off()

    def _put_off(self) -> None:
        blocked = self._last is not None and self._last.blocked
        idle = POLL_S if self._printer.uri.startswith("tcp://") else POLL_PLUGGED_S
        self._next = time.monotonic() + (POLL_BLOCKED_S if blocked else idle)

    # -- around a job --

    def ready(self, line: Connection) -> Status | None:
        """Asked right before a job: a blocked status means that it must wait. None: nothing is known, send it."""
        status = self.look(line)
        if status is None:
            self._unanswered += 1
            if self._unanswered > SILENT_MAX:
                self._learn(False)  # somebody has switched its answers off
                self._say(None)
        return status

    def stalled(self, line: Connection, wanted: Callable[[], bool]) -> Callable[[float], bool]:
        """For Connection.on_stall: whether it is known why it takes nothing, and somebody still waits for it.

        Of a printer that answers the reason is always known in general words, but only after stall_s: a slow one may
        just be busy.
        """
        pushed: Status | None = None
        self._taken, self._held_at = line.sent, None

        def known(seconds: float) -> bool:
            nonlocal pushed
            if not wanted():
                return False
            pushed = self._pushed(line) or pushed
            status = line.wire_status() or pushed or self._over_the_network()
            if status is None or not status.blocked:
                if not self.answers or seconds < self._printer.settings.stall_s:
                    return False
                status = _TAKES_NOTHING
            self._held_at = self._taken
            self._say(status)
            return True

        return known

    def taken(self, sent: int) -> None:
        """So many bytes it has taken of a job: when it goes on, why it took none is over."""
        self._taken = sent
        if self._held_at is not None and sent - self._held_at >= MOVES:
            self._held_at = None
            self._say(None)

    def _pushed(self, line: Connection) -> Status | None:
        """What a receipt printer has said without being asked (ESC/POS ASB), when it was told to before."""
        if self._printer.language != "escpos" or self._talk is None or not line.talks:
            return None
        from devices.status.escpos import automatic

        return automatic(line.hear(0.0))

    def pace(self, line: Connection, wanted: Callable[[], bool]) -> None:
        """Between two pages: not into a printer that waits for a person, or its buffer fills and it turns deaf."""
        if time.monotonic() - self._heard < POLL_BLOCKED_S:
            return
        while (status := self.look(line)) is not None and status.blocked and wanted():
            time.sleep(POLL_BLOCKED_S / 2)

    def confirm(
        self, line: Connection, before: Status | None, expected: int | None, wanted: Callable[[], bool],
        progress: Callable[[int], None],
    ) -> Verdict:  # fmt: skip
        """Wait until it says that everything it took is printed, or has made no progress for CONFIRM_S.

        before: its answer from before the job. expected: labels of the job, None when nobody counted them. progress: is
        told how many are out. While it waits for a person (paper), so do we. Raises DeviceError when it is gone.
        """
        start = before.labels if before is not None else None
        idle, seen, begun, pause, worked = 0, None, time.monotonic(), 0.03, False
        since = begun
        while wanted():
            if not (self._last is not None and self._last.blocked) and self._proven(line):
                return Verdict(True, "processed", "the printer says that it has processed all of it")
            status = self.look(line)
            now = time.monotonic()
            if status is not None:
                out = status.labels - start if status.labels is not None and start is not None else None
                if out is not None and out >= 0:
                    progress(out)
                idle = idle + 1 if status.idle and not status.blocked else 0
                worked |= status.idle is False
                if self.evidence is None and status.idle is None and not status.blocked:
                    return Verdict(False, None, "the printer reports no error; it cannot say when it has printed")
                # One that was not seen at work may not have read the job yet: then its word counts a little later.
                seen_through = worked or out is not None or now - begun >= UNSEEN_S
                if (verdict := judge(status, out, expected, idle if seen_through else 0)) is not None:
                    return verdict
                if (out, status.waiting, status.blocked) != seen or status.blocked:
                    seen, since = (out, status.waiting, status.blocked), now
            if now - since > CONFIRM_S:
                break
            time.sleep(GAP_S if idle else pause)
            pause = min(pause * 1.5, 0.5)
        else:
            return Verdict(False, None, "the bridge did not wait for its word")
        return Verdict(False, None, f"it did not say within {CONFIRM_S:g} s that it printed")

    def _proven(self, line: Connection) -> bool:
        """Whether it says that everything before this question is processed; where it knows such a question.

        After an answer that does not come in time the question is another one: a late answer proves nothing new.
        """
        if self._proofs is None or self._talk is None:
            return False
        question = self._proofs()
        line.ask(self._talk.ask(question))
        heard, until = b"", time.monotonic() + PATIENCE_S
        while (left := until - time.monotonic()) > 0 and (words := line.hear(left)):
            heard += words[:4096]
            if self._talk.read(question, heard) is not None:
                return True
        return False


def _proofs(printer: Printer) -> Callable[[], str] | None:
    """Questions whose answers come when all before them is processed; None for a printer that has none."""
    if printer.language != "escpos" or printer.tuning.profile is None:
        return None
    from devices.profiles import profile
    from devices.status.escpos import proof

    if not profile(printer.tuning.profile).process_id:
        return None
    numbers = itertools.count()
    return lambda: proof(next(numbers) % 10_000)


_SILENT = Status(
    frozenset({Reason.OTHER}), text="it does not answer just now: media, ribbon or an open head, most likely"
)
_TAKES_NOTHING = Status(
    frozenset({Reason.OTHER}), text="it takes no more data just now: media, ribbon or an open head, most likely"
)
