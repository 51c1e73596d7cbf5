"""Which job is next at which printer: the waiting jobs in memory, in the order they will be printed.

Leases live here, not in the database: after a crash everything that had not begun to be sent is simply waiting again.
Fetching and drawing run ahead of the workers, two jobs ahead for each printer; a job that is not ready never delays one
that is, unless the printer is `ordered`.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from bridge.model import Job, PrinterState, Progress
from bridge.store.spool import Output

AHEAD = 2  # jobs fetched or drawn ahead of a printer's worker
REMEMBERED = 32  # jobs whose small bodies are kept in memory while they wait, for each printer


class Stage(Enum):
    """What a waiting job needs next."""

    FETCH = "fetch"
    DRAW = "draw"
    READY = "ready"


@dataclass(slots=True, eq=False)
class Ticket:
    """One launch of a waiting job: its place in its lane. stopped: it was cancelled; look between two chunks.

    job, body: as they were stored, for a short queue: then nobody has to read back what was just written.
    begun: set with the first bytes that left, for whoever lets the label go before his own work.
    claim: set when its attempt is already written down (or about to be); gives the attempt's number, or None when
    the job was cancelled first. Such a ticket is as good as being sent.
    born: when it began to wait, time.monotonic(): a clock that is set does not make a label old. expires_at: Unix
    seconds, after which it is too late to print it (None: never); see Lanes.now.
    """

    job_id: str
    organization_id: str
    device_id: str
    launch: int
    order: tuple[int, int]
    stage: Stage
    job: Job | None = None
    body: bytes | None = None
    claim: Callable[[], int | None] | None = None
    remote: bool = False
    leased: bool = False
    stopped: bool = False
    output: Output | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    progress: Progress = field(default_factory=Progress)
    since: float = field(default_factory=time.monotonic)
    born: float = field(default_factory=time.monotonic)
    expires_at: float | None = None

    @property
    def age_s(self) -> float:
        """Seconds it has waited, those before a restart of the bridge included."""
        return time.monotonic() - self.born

    def __lt__(self, other: Ticket) -> bool:
        return self.order < other.order


class Lane:
    """The queue in front of one printer, and what its worker says of the printer."""

    def __init__(
        self, device_id: str, *, language: str, ordered: bool, lock: threading.RLock, work: threading.Condition
    ) -> None:
        """work: wakes those who fetch and draw."""
        self.device_id = device_id
        self.language = language
        self.ordered = ordered
        self.paused = False
        self.closed = False
        self.state = PrinterState()
        self.evidence: str | None = None  # what its printer can say of a label; see deliver.status
        self.tickets: list[Ticket] = []
        self.eager = False  # its printer took the last job and waits for the next: see reserve()
        self.reserved = False
        self.unready = 0  # tickets still to be fetched or drawn; most printers never have one
        self.ready = threading.Condition(lock)
        self._work = work
        self._woken = False

    def first_ready(self) -> Ticket | None:
        """The first job that could be sent now. Call with the lock held."""
        for ticket in self.tickets:
            if ticket.stage is Stage.READY and not ticket.leased:
                return ticket
            if self.ordered:
                return None
        return None

    def take(
        self, retired: Callable[[], bool] = lambda: False, patience_s: Callable[[], float | None] = lambda: None
    ) -> Ticket | None:
        """Wait for the next job to send and lease it.

        None once the lane is closed, whoever asks is retired, or `patience_s` (asked before each wait) is over.
        """
        with self.ready:
            while not self.closed and not retired():
                ticket = None if self.paused else self.first_ready()
                if ticket is not None:
                    ticket.leased = True
                    if self.unready:
                        self._work.notify_all()  # it is no longer ahead of the worker: there is room for one more
                    return ticket
                patience = patience_s()
                if patience is not None and patience <= 0:
                    return None
                self.ready.wait(patience)
        return None

    def next_remembered(self) -> Ticket | None:
        """The job that will be sent next, if it is a small raw one and nothing speaks against claiming it now."""
        with self.ready:
            ticket = None if self.paused or self.closed or self.ordered else self.first_ready()
            return ticket if ticket is not None and ticket.job is not None and ticket.claim is None else None

    def claimed(self) -> list[Ticket]:
        """Jobs that were claimed and that nobody works on yet."""
        with self.ready:
            return [t for t in self.tickets if t.claim is not None and not t.leased]

    def abandoned(self) -> list[Ticket]:
        """What a worker that died had in its hands, or had claimed."""
        with self.ready:
            return [t for t in self.tickets if t.stage is Stage.READY and (t.leased or t.claim is not None)]

    def nap(self, seconds: float) -> bool:
        """Sleep until `seconds` are over or the lane closes or is woken by a person. False once it is closed."""
        with self.ready:
            self._woken = False
            self.ready.wait_for(lambda: self.closed or self._woken, timeout=seconds)
            return not self.closed

    def wake(self) -> None:
        """End a nap: somebody says that it is worth trying now, or that it is not any more."""
        with self.ready:
            self._woken = True
            self.ready.notify_all()


class Lanes:
    """All lanes of this machine. Its lock guards every ticket.

    elsewhere: told the device of another machine that has a job to print, or was resumed; must be quick, never raise.
    """

    def __init__(self) -> None:
        self.elsewhere: Callable[[str], None] = lambda device_id: None
        self._lock = threading.RLock()
        self._lanes: dict[str, Lane] = {}
        self._tickets: dict[str, Ticket] = {}
        self._work = threading.Condition(self._lock)
        self._fetching: Counter[str] = Counter()
        self._closed = False
        self.believe(time.time() - time.monotonic())

    def believe(self, offset_s: float | None) -> None:
        """What turns the monotonic clock into the right time: the last wall clock that was believed. None: nobody knows
        what time it is, and nothing expires."""
        self._offset_s = offset_s

    def now(self) -> float:
        """Unix seconds, as far as they are believed: a wall clock that jumps makes nothing expire."""
        return time.time() if self._offset_s is None else time.monotonic() + self._offset_s

    def is_overdue(self, ticket: Ticket) -> bool:
        """Whether it is too late to print this job."""
        return ticket.expires_at is not None and self._offset_s is not None and self.now() > ticket.expires_at

    def open(self, device_id: str, *, ordered: bool, paused: bool, language: str = "") -> Lane:
        """The lane of a printer that is set up on this machine."""
        lane = Lane(device_id, language=language, ordered=ordered, lock=self._lock, work=self._work)
        lane.paused = paused
        with self._lock:
            self._lanes[device_id] = lane
        return lane

    def lane(self, device_id: str) -> Lane | None:
        """None for a device of another machine, or one that is not set up (any more)."""
        return self._lanes.get(device_id)

    def reserve(self, device_id: str, kind: str | None) -> bool:
        """Whether a raw job of this kind, stored now, would be sent at once: then its attempt can be written with it.

        True reserves that place, until push() or unreserve().
        """
        with self._lock:
            lane = self._lanes.get(device_id)
            if lane is None or not lane.eager or lane.tickets or lane.paused or lane.closed or lane.ordered:
                return False
            if lane.reserved or kind not in ("raw", lane.language):
                return False
            lane.reserved = True
            return True

    def unreserve(self, device_id: str) -> None:
        """The job that was to have the place does not come."""
        with self._lock:
            if (lane := self._lanes.get(device_id)) is not None:
                lane.reserved = False

    def push(
        self, job: Job, body: bytes | None = None, *, attempt: int | None = None, waited_s: float = 0.0
    ) -> Ticket | None:
        """A job was queued, durably. None when its printer is not one of this machine. waited_s: already, before now.

        attempt: it was stored with this attempt already written down, in the place that was reserved for it.
        Whoever still works on an earlier launch of it is told to stop, and has no place any more.
        """
        with self._lock:
            lane = self._lanes.get(job.device_id)
            if lane is None:
                self.elsewhere(job.device_id)
                return None
            earlier = self._tickets.get(job.id)
            if earlier is not None:
                if earlier.launch >= job.launch:
                    return earlier
                earlier.stopped = True
                self._drop(earlier)
            ticket = Ticket(
                job.id, job.organization_id, job.device_id, job.launch, (-job.priority, job.queued_seq), _stage(job),
                remote=job.url is not None,
            )  # fmt: skip
            ticket.progress.labels_total = job.copies if job.is_raw else None
            ticket.born -= max(0.0, waited_s)
            ticket.expires_at = job.expires_at
            if body is not None and len(lane.tickets) < REMEMBERED:
                ticket.job, ticket.body = job, body
            if attempt is not None:
                ticket.claim, lane.reserved = (lambda: attempt), False
            bisect.insort(lane.tickets, ticket)
            lane.unready += ticket.stage is not Stage.READY
            self._tickets[job.id] = ticket
            self._wake(lane)
            return ticket

    def ticket(self, job_id: str) -> Ticket | None:
        """The place of a job that waits or is being sent."""
        return self._tickets.get(job_id)

    def stop(self, job_id: str, launch: int) -> None:
        """A launch was cancelled: it leaves the queue; whoever works on it stops at the next chunk.

        A later launch of the same job is none of its business.
        """
        with self._lock:
            ticket = self._tickets.get(job_id)
            if ticket is None or ticket.launch > launch:
                return
            ticket.stopped = True
            if not ticket.leased and ticket.claim is None:
                self._drop(ticket)

    def leave(self, ticket: Ticket) -> None:
        """A leased job is over, however it ended; whoever still draws for it may stop."""
        with self._lock:
            ticket.stopped = True
            self._release(ticket)
            self._drop(ticket)

    def give_back(self, ticket: Ticket) -> bool:
        """A leased job could not go on now (the printer is away): it keeps its place. False: it was stopped."""
        with self._lock:
            self.advance(ticket, ticket.stage)
            return not ticket.stopped

    def advance(self, ticket: Ticket, stage: Stage) -> None:
        """A leased job has been fetched, or its drawing has begun to give pages."""
        with self._lock:
            self._release(ticket)
            lane = self._lanes.get(ticket.device_id)
            if lane is None:
                return  # its printer was removed meanwhile
            if self._tickets.get(ticket.job_id) is ticket:
                lane.unready += (stage is not Stage.READY) - (ticket.stage is not Stage.READY)
            ticket.stage, ticket.since = stage, time.monotonic()
            if ticket.stopped:
                self._drop(ticket)
            else:
                self._wake(lane)

    def next_to_fetch(self) -> Ticket | None:
        """Wait for a document to fetch, and lease it. None once closed."""
        return self._next(Stage.FETCH, 0.0)

    def next_to_draw(self, patience_s: float) -> Ticket | None:
        """Wait for a document that has waited `patience_s` to be drawn, and lease it. None once closed."""
        return self._next(Stage.DRAW, patience_s)

    def overdue(self) -> list[Ticket]:
        """Jobs whose time is over and that nobody works on."""
        with self._lock:
            tickets = [t for t in self._tickets.values() if t.expires_at is not None]
            return [t for t in tickets if self.is_overdue(t) and not t.leased and t.claim is None]

    def waiting(self, device_id: str) -> list[Ticket]:
        """Jobs of a printer that nobody works on, in the order they would be sent."""
        with self._lock:
            lane = self._lanes.get(device_id)
            return [t for t in lane.tickets if not t.leased and t.claim is None] if lane is not None else []

    def drawn(self, device_id: str) -> list[Ticket]:
        """Jobs of a printer that were drawn, or are being drawn, and not sent yet."""
        with self._lock:
            lane = self._lanes.get(device_id)
            return [t for t in lane.tickets if t.output is not None] if lane is not None else []

    def remove(self, device_id: str) -> None:
        """A printer is not set up here any more. Its jobs wait in the database for whoever has it next."""
        with self._lock:
            lane = self._lanes.pop(device_id, None)
            if lane is None:
                return
            lane.closed = True
            lane.ready.notify_all()
            for ticket in lane.tickets:
                ticket.stopped = True
                self._tickets.pop(ticket.job_id, None)
            lane.tickets.clear()

    def pause(self, device_id: str, paused: bool) -> None:
        with self._lock:
            lane = self._lanes.get(device_id)
            if lane is not None:
                lane.paused = paused
                lane.wake()
            else:
                self.elsewhere(device_id)

    def all(self) -> list[Lane]:
        with self._lock:
            return list(self._lanes.values())

    def close(self) -> None:
        """Wake everybody who waits and let nobody begin anything new."""
        with self._lock:
            self._closed = True
            for lane in self._lanes.values():
                lane.closed = True
                lane.ready.notify_all()
            self._work.notify_all()

    # -- inside, with the lock held --

    def _release(self, ticket: Ticket) -> None:
        if not ticket.leased:
            return
        ticket.leased = False
        if ticket.stage is Stage.FETCH:
            self._fetching[ticket.device_id] -= 1
        if (lane := self._lanes.get(ticket.device_id)) is not None:
            self._wake(lane)  # also when a later launch has its place: there is room again

    def _drop(self, ticket: Ticket) -> None:
        if self._tickets.get(ticket.job_id) is not ticket:
            return  # gone already, or a later launch has taken its place
        del self._tickets[ticket.job_id]
        lane = self._lanes[ticket.device_id]
        lane.tickets.remove(ticket)
        lane.unready -= ticket.stage is not Stage.READY
        self._wake(lane)

    def _wake(self, lane: Lane) -> None:
        lane.ready.notify_all()
        if lane.unready:
            self._work.notify_all()

    def _next(self, stage: Stage, patience_s: float) -> Ticket | None:
        with self._work:
            while not self._closed:
                ticket = next(self._candidates(stage), None)
                if ticket is not None:
                    wait = ticket.since + patience_s - time.monotonic()
                    if wait <= 0:
                        ticket.leased = True
                        if stage is Stage.FETCH:
                            self._fetching[ticket.device_id] += 1
                        return ticket
                    self._work.wait(wait)
                else:
                    self._work.wait()
        return None

    def _candidates(self, stage: Stage) -> Iterator[Ticket]:
        """The job each lane wants worked on next, the longest-waiting lane first."""
        found = [t for t in (self._wanted(lane, stage) for lane in self._lanes.values()) if t is not None]
        return iter(sorted(found, key=lambda t: t.since))

    def _wanted(self, lane: Lane, stage: Stage) -> Ticket | None:
        if not lane.unready:
            return None
        if stage is Stage.FETCH and self._fetching[lane.device_id] >= AHEAD:
            return None  # one printer's dead web server must not take every fetching thread
        ahead = 0
        for ticket in lane.tickets:
            if ticket.stage is stage and not ticket.leased:
                return ticket
            if ticket.stage is Stage.READY and ticket.leased:
                continue  # being sent: no longer ahead of the worker
            # What is further along than this stage counts as work done ahead of the worker.
            further = ticket.output is not None or (stage is Stage.FETCH and ticket.stage is not Stage.FETCH)
            if further and (stage is Stage.DRAW or ticket.remote):
                ahead += 1
                if ahead >= AHEAD:
                    return None
        return None


def _stage(job: Job) -> Stage:
    if job.sha256 is None:
        return Stage.FETCH
    return Stage.READY if job.is_raw else Stage.DRAW
