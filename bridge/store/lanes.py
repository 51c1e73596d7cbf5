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
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from bridge.model import Job, PrinterState, Progress
from bridge.store.spool import Output

AHEAD = 2  # jobs fetched or drawn ahead of a printer's worker


class Stage(Enum):
    """What a waiting job needs next."""

    FETCH = "fetch"
    DRAW = "draw"
    READY = "ready"


@dataclass(slots=True, eq=False)
class Ticket:
    """A waiting job's place in its lane. stopped: somebody cancelled it; look between two chunks."""

    job_id: str
    organization_id: str
    device_id: str
    order: tuple[int, int]
    stage: Stage
    remote: bool = False
    leased: bool = False
    stopped: bool = False
    output: Output | None = None
    progress: Progress = field(default_factory=Progress)
    since: float = field(default_factory=time.monotonic)

    def __lt__(self, other: Ticket) -> bool:
        return self.order < other.order


class Lane:
    """The queue in front of one printer, and what its worker says of the printer."""

    def __init__(self, device_id: str, *, ordered: bool, lock: threading.RLock) -> None:
        self.device_id = device_id
        self.ordered = ordered
        self.paused = False
        self.closed = False
        self.state = PrinterState()
        self.tickets: list[Ticket] = []
        self.ready = threading.Condition(lock)

    def first_ready(self) -> Ticket | None:
        """The first job that could be sent now. Call with the lock held."""
        for ticket in self.tickets:
            if ticket.stage is Stage.READY and not ticket.leased:
                return ticket
            if self.ordered:
                return None
        return None

    def take(self) -> Ticket | None:
        """Wait for the next job to send and lease it. None once the lane is closed."""
        with self.ready:
            while not self.closed:
                ticket = None if self.paused else self.first_ready()
                if ticket is not None:
                    ticket.leased = True
                    return ticket
                self.ready.wait()
        return None

    def nap(self, seconds: float) -> bool:
        """Sleep until `seconds` are over or the lane closes or is woken by a person. False once it is closed."""
        with self.ready:
            if not self.closed:
                self.ready.wait_for(lambda: self.closed, timeout=seconds)
            return not self.closed


class Lanes:
    """All lanes of this machine. Its lock guards every ticket."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._lanes: dict[str, Lane] = {}
        self._tickets: dict[str, Ticket] = {}
        self._work = threading.Condition(self._lock)
        self._fetching: Counter[str] = Counter()
        self._closed = False

    def open(self, device_id: str, *, ordered: bool, paused: bool) -> Lane:
        """The lane of a printer that is set up on this machine."""
        lane = Lane(device_id, ordered=ordered, lock=self._lock)
        lane.paused = paused
        with self._lock:
            self._lanes[device_id] = lane
        return lane

    def lane(self, device_id: str) -> Lane | None:
        """None for a device of another machine, or one that is not set up (any more)."""
        return self._lanes.get(device_id)

    def push(self, job: Job) -> bool:
        """A job was queued, durably. False when its printer is not one of this machine."""
        with self._lock:
            lane = self._lanes.get(job.device_id)
            if lane is None:
                return False
            if job.id in self._tickets:
                return True
            ticket = Ticket(
                job.id, job.organization_id, job.device_id, (-job.priority, job.queued_seq), _stage(job),
                remote=job.url is not None,
            )  # fmt: skip
            ticket.progress.labels_total = job.copies if job.is_raw else None
            bisect.insort(lane.tickets, ticket)
            self._tickets[job.id] = ticket
            if ticket.stage is Stage.READY:
                lane.ready.notify_all()
            else:
                self._work.notify_all()
            return True

    def ticket(self, job_id: str) -> Ticket | None:
        """The place of a job that waits or is being sent."""
        return self._tickets.get(job_id)

    def stop(self, job_id: str) -> None:
        """A job was cancelled: it leaves the queue; whoever works on it stops at the next chunk."""
        with self._lock:
            ticket = self._tickets.get(job_id)
            if ticket is None:
                return
            ticket.stopped = True
            if not ticket.leased:
                self._drop(ticket)

    def leave(self, ticket: Ticket) -> None:
        """A leased job is over, however it ended."""
        with self._lock:
            self._drop(ticket)

    def give_back(self, ticket: Ticket) -> None:
        """A leased job could not go on now (the printer is away): it keeps its place."""
        with self._lock:
            ticket.leased = False
            if ticket.stopped:
                self._drop(ticket)
            else:
                self._wake(ticket)

    def advance(self, ticket: Ticket, stage: Stage) -> None:
        """A leased job has been fetched, or its drawing has begun to give pages."""
        with self._lock:
            if ticket.stage is Stage.FETCH:
                self._fetching[ticket.device_id] -= 1
            ticket.stage, ticket.leased, ticket.since = stage, False, time.monotonic()
            if ticket.stopped:
                self._drop(ticket)
            else:
                self._wake(ticket)

    def next_to_fetch(self) -> Ticket | None:
        """Wait for a document to fetch, and lease it. None once closed."""
        return self._next(Stage.FETCH, 0.0)

    def next_to_draw(self, patience_s: float) -> Ticket | None:
        """Wait for a document that has waited `patience_s` to be drawn, and lease it. None once closed."""
        return self._next(Stage.DRAW, patience_s)

    def pause(self, device_id: str, paused: bool) -> None:
        with self._lock:
            lane = self._lanes.get(device_id)
            if lane is not None:
                lane.paused = paused
                lane.ready.notify_all()

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

    def _drop(self, ticket: Ticket) -> None:
        if self._tickets.pop(ticket.job_id, None) is None:
            return
        if ticket.stage is Stage.FETCH and ticket.leased:
            self._fetching[ticket.device_id] -= 1
        lane = self._lanes.get(ticket.device_id)
        if lane is not None:
            lane.tickets.remove(ticket)
            lane.ready.notify_all()
        self._work.notify_all()

    def _wake(self, ticket: Ticket) -> None:
        lane = self._lanes.get(ticket.device_id)
        if lane is not None:
            lane.ready.notify_all()
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
