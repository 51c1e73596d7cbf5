"""The event feed: one thread for everybody who listens, however many they are.

A listener is a connection without a thread (parking.py, seats.py). After a commit the feed waits a moment for more of
them, reads the new events once for all who are equally far, and writes them to each. Those who read too slowly go.
"""

from __future__ import annotations

import logging
import re
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from flask import Response, request

from bridge.errors import Invalid, Unavailable
from bridge.store import Store
from bridge.web.parking import PARK, Head, Parked
from bridge.web.seats import POLL_PAUSE_S, PollSeat, Seat, StreamSeat, event_frames, events_body

log = logging.getLogger(__name__)

LISTENERS_MAX = 64
COALESCE_S = 0.05  # what happens within this time after an event is told together with it
CHECK_S = 1.0  # how often keys are asked about, comments and deadlines are looked at
PAGE = 500  # events read at once
RETRY_AFTER_S = 5
SEQ_MAX = 2**63 - 1  # SQLite's largest integer


class TooManyListeners(Unavailable):
    """All places for listeners are taken."""

    code = "too_many_listeners"
    retry_after_s = RETRY_AFTER_S


class Feed:
    """start() before the HTTP server, stop() before it and before the store closes."""

    def __init__(self, store: Store, *, still_good: Callable[[str | None], bool]) -> None:
        """still_good: whether the key with this id may still listen; asked once a second for each key in use."""
        self._store = store
        self._still_good = still_good
        self._lock = threading.Lock()
        self._places = 0  # taken, or promised to a connection on its way here
        self._arrivals: deque[tuple[Seat, socket.socket, Head, bool]] = deque()
        self._seats: dict[Seat, int] = {}  # with what they wait for; only touched by the feed's thread
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._rung = False  # a commit was announced and not yet looked at
        self._due: float | None = None  # when to look at it
        self._next_check = 0.0
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to tell."""
        self._store.engine.listeners.append(self._committed)
        self.revive()

    def revive(self) -> None:
        """A new thread, should the old one have died; those who listen notice nothing."""
        if not self.is_alive() and not self._stopped:
            self._due = time.monotonic()  # there may be something the old one did not get to tell
            self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
            self._thread.start()

    def is_alive(self) -> bool:
        """Whether events are told."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """End every connection: streams are closed, polls get what there is. May be called twice."""
        with self._lock:
            first, self._stopped = not self._stopped, True
        if not first:
            return
        if self._committed in self._store.engine.listeners:
            self._store.engine.listeners.remove(self._committed)
        if self._thread is not None:
            self._ring()
            self._thread.join()
        self._end_all()

    @property
    def listeners(self) -> int:
        """How many there are."""
        return self._places

    # -- the views; called by a worker thread of the HTTP server --

    def stream(self, organization_id: str, *, after: int, key_id: str | None) -> Response:
        """Server-sent events after `after`, or after the Last-Event-ID header of a caller that comes back.

        Raises Unavailable (too_many_listeners), Invalid.
        """
        after = min(_last_event_id(after), SEQ_MAX)
        if request.method == "HEAD":
            return _event_stream(b"")
        if (park := request.environ.get(PARK)) is None:  # not below our server: what there is, and the end
            return _event_stream(event_frames(self._store.events.after(organization_id, after, limit=PAGE)))
        self._take_place()
        guest = _Guest(self, StreamSeat(organization_id, after, key_id))
        response = _event_stream(Parked(guest, park))
        response.direct_passthrough = True
        return response

    def poll(self, organization_id: str, *, after: int, limit: int, wait_s: float, key_id: str | None) -> Response:
        """Up to `limit` events after `after` as JSON, once there is one, or none when wait_s is over.

        What happened just now is told half a second later, together with what follows. Raises Unavailable
        (too_many_listeners); never when there is something to tell.
        """
        after = min(after, SEQ_MAX)
        first = self._store.events.after(organization_id, after, limit=1)
        late = first and (self._places >= LISTENERS_MAX or abs(time.time() - first[0].at) > POLL_PAUSE_S)
        park = request.environ.get(PARK)
        if late or wait_s <= 0 or request.method == "HEAD" or park is None or self._stopped:
            events = self._store.events.after(organization_id, after, limit=limit) if first else []
            return Response(events_body(events, after), mimetype="application/json")
        self._take_place()
        seat = PollSeat(organization_id, after, key_id, limit=limit, deadline=time.monotonic() + wait_s)
        return Response(Parked(_Guest(self, seat), park), mimetype="application/json", direct_passthrough=True)

    def _take_place(self) -> None:
        with self._lock:
            if self._stopped:
                raise Unavailable("the bridge is stopping", remedy="try again soon")
            if self._places >= LISTENERS_MAX:
                raise TooManyListeners(
                    f"{LISTENERS_MAX} callers are listening for events already, the most this bridge serves",
                    remedy="close one of the others, or ask GET /v1/events?after=N now and then",
                )
            self._places += 1

    def leave_place(self) -> None:
        """A promised place is not needed after all."""
        with self._lock:
            self._places -= 1

    def arrive(self, seat: Seat, sock: socket.socket, head: Head, *, chunked: bool) -> None:
        """The connection of a seat is here."""
        with self._lock:  # nothing may arrive after stop() has looked for the last time
            stopped = self._stopped
            if not stopped:
                self._arrivals.append((seat, sock, head, chunked))
        if stopped:
            self._dismiss(seat, sock, head, chunked=chunked)
        else:
            self._ring()

    def _dismiss(self, seat: Seat, sock: socket.socket, head: Head, *, chunked: bool) -> None:
        """Too late for a seat: a stream that ends at once in order, a poll that has nothing to tell."""
        now = time.monotonic()
        with suppress(OSError):
            seat.sit_down(sock, head, chunked=chunked, now=now)
            seat.last_words(now)
        sock.close()
        self.leave_place()

    # -- waking the thread --

    def _committed(self) -> None:
        """After every commit, while its writer still waits: next to nothing may happen here."""
        if self._places and not self._rung:
            self._rung = True
            self._ring()

    def _ring(self) -> None:
        try:
            self._bell.send(b"!")
        except BlockingIOError:
            pass  # it rings already

    # -- the thread --

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._turn()
        except Exception:
            log.exception("feed: the thread ended; listeners wait until it is started again")

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._patience()):
            if key.data is None:
                self._ear.recv(4096)
            else:
                self._attend(key.data, mask)
        now = time.monotonic()
        self._tell(self._arrived(now))
        if self._rung and self._due is None:
            self._due = now + COALESCE_S
        if self._due is not None and now >= self._due:
            self._due, self._rung = None, False  # before reading: what is committed from now on rings again
            self._tell(list(self._seats))
        self._check(now)

    def _patience(self) -> float | None:
        """Seconds until there is something to do without anybody ringing; None: never."""
        if not self._seats:
            return None
        soonest = min(self._next_check, *(seat.deadline for seat in self._seats), self._due or self._next_check)
        return max(0.0, soonest - time.monotonic())

    def _arrived(self, now: float) -> list[Seat]:
        seats = []
        while self._arrivals:
            seat, sock, head, chunked = self._arrivals.popleft()
            try:
                seat.sit_down(sock, head, chunked=chunked, now=now)
            except OSError:  # reset on its way here
                sock.close()
                self.leave_place()
                continue
            self._seats[seat] = selectors.EVENT_READ
            self._selector.register(sock, selectors.EVENT_READ, seat)
            self._settle(seat)
            seats.append(seat)
        return seats

    def _attend(self, seat: Seat, mask: int) -> None:
        """The socket of a seat is ready for something."""
        if mask & selectors.EVENT_READ:
            seat.hear()
        if mask & selectors.EVENT_WRITE and not seat.over:
            seat.flush(time.monotonic())
        self._settle(seat)
        if seat.behind and not seat.unsent:
            self._tell([seat])

    def _tell(self, seats: Iterable[Seat]) -> None:
        """New events to all of these; history only as fast as it is read."""
        while seats := [s for s in seats if s in self._seats and not s.asleep and not (s.behind and s.unsent)]:
            groups: dict[tuple[str, int], list[Seat]] = {}
            for seat in seats:
                groups.setdefault((seat.organization_id, seat.position), []).append(seat)
            for (organization_id, after), members in groups.items():
                self._tell_group(organization_id, after, members)
            seats = [seat for seat in seats if seat.behind]

    def _tell_group(self, organization_id: str, after: int, seats: list[Seat]) -> None:
        """All who are equally far: one read, one text."""
        events = self._store.events.after(organization_id, after, limit=PAGE)
        frames = event_frames(events)
        now = time.monotonic()
        for seat in seats:
            seat.behind = len(events) == PAGE
            if events:
                seat.tell(events, frames, now)
                self._settle(seat)

    def _check(self, now: float) -> None:
        """Once a second: comments, stalled callers, revoked keys; and polls whose time is over."""
        asked = now >= self._next_check
        keys = {seat.key_id for seat in self._seats} if asked else set()
        revoked = {key_id for key_id in keys if not self._still_good(key_id)}
        if asked:
            self._next_check = now + CHECK_S
        for seat in list(self._seats):
            if seat.key_id in revoked:
                seat.over = True
            elif now >= seat.deadline:
                seat.asleep = False
                self._tell([seat])
                seat.tick(now)
            elif asked:
                seat.tick(now)
            self._settle(seat)

    def _settle(self, seat: Seat) -> None:
        """Wait for what this seat needs next, or let it go."""
        if seat not in self._seats:
            return
        if seat.over:
            self._let_go(seat)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if seat.unsent else 0)
        if self._seats[seat] != wanted:
            self._seats[seat] = wanted
            self._selector.modify(seat.sock, wanted, seat)

    def _let_go(self, seat: Seat) -> None:
        if seat.why:
            log.info("feed: a listener was dropped: %s", seat.why)
        del self._seats[seat]
        self._selector.unregister(seat.sock)
        seat.sock.close()
        self.leave_place()

    def _end_all(self) -> None:
        """The thread is gone; whoever calls this is alone with the seats."""
        now = time.monotonic()
        self._arrived(now)
        for seat in self._seats:
            seat.asleep, seat.deadline = False, now
        self._tell(list(self._seats))
        for seat in list(self._seats):
            seat.last_words(now)
            seat.over = True
            self._settle(seat)
        self._selector.close()
        self._bell.close()
        self._ear.close()


class _Guest:
    """Brings a connection to its seat."""

    def __init__(self, feed: Feed, seat: Seat) -> None:
        self._feed = feed
        self._seat = seat

    def welcome(self, sock: socket.socket, head: Head, *, chunked: bool) -> None:
        self._feed.arrive(self._seat, sock, head, chunked=chunked)

    def turned_away(self) -> None:
        self._feed.leave_place()


def _event_stream(body: bytes | Parked) -> Response:
    # X-Accel-Buffering: nginx in front of us would otherwise keep events until it has a buffer full of them.
    return Response(body, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _last_event_id(after: int) -> int:
    """Where an EventSource that lost its connection wants to go on; `after` when it does not say."""
    said = request.headers.get("Last-Event-ID", "").strip()
    if not said:
        return after
    if not re.fullmatch(r"[0-9]{1,18}", said):
        raise Invalid(
            "Last-Event-ID is not the number of an event", remedy="send the id of the last event you got, or none",
            field="Last-Event-ID",
        )  # fmt: skip
    return int(said)
