"""One caller that waits for events: its socket, and what is still to be sent through it. Nothing here waits.

A stream gets every event as it comes (server-sent events), a poll one answer (JSON). Times are those of the caller:
time.monotonic(), seconds.
"""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Sequence
from functools import lru_cache

from bridge.model import Event
from bridge.store.events import event_json
from bridge.web.parking import Head

UNSENT_MAX = 256 * 1024  # bytes that may wait for a caller that reads too slowly
HEARD_MAX = 64 * 1024  # bytes a caller may say while it should listen
KERNEL_BUFFER = 64 * 1024  # bytes; by itself the kernel would hold megabytes for a caller that reads nothing
POLL_PAUSE_S = 0.5  # a poll takes at least that long, or fifty that ask again at once would be a flood
COMMENT_S = 15.0  # a stream is never silent for longer: proxies and callers give up on silent connections
STALLED_S = 60.0  # a caller that takes nothing of what waits for it is gone by then

_COMMENT = b":\n\n"


class Seat:
    """What both kinds have in common. `over` says that the connection is to be closed.

    position: seq of the last event the caller has. behind: there may be older events it has not got yet.
    """

    deadline = math.inf  # when it wants to be asked, at the latest
    asleep = False  # it knows that there is something, and does not want to hear it before its deadline

    def __init__(self, organization_id: str, position: int, key_id: str | None) -> None:
        self.organization_id = organization_id
        self.position = position
        self.key_id = key_id
        self.behind = True
        self.over = False
        self.why = ""  # it was dropped, if it was
        self._unsent = bytearray()
        self._heard = 0
        self._moved = 0.0  # when the caller last took something, or there was nothing to take

    def sit_down(self, sock: socket.socket, head: Head, *, chunked: bool, now: float) -> None:
        """The connection is here."""
        self.sock = sock
        self._head = head
        self._chunked = chunked
        self._moved = now
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: notice within this time that the other machine is gone
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(STALLED_S * 1000))
        self._greet(now)

    def _greet(self, now: float) -> None:
        pass

    def tell(self, events: Sequence[Event], frames: bytes, now: float) -> None:
        """Events after `position`, oldest first; at least one. frames: the same as server-sent events."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """Called every second, and at the deadline."""
        if self._unsent and now - self._moved > STALLED_S:
            self._drop("it takes nothing")

    def last_words(self, now: float) -> None:
        """The server stops."""
        raise NotImplementedError

    # -- the socket --

    @property
    def unsent(self) -> int:
        """Bytes that wait for the caller to read."""
        return len(self._unsent)

    def hear(self) -> None:
        """Something came from the caller: mostly that it is gone. What it says is of no interest."""
        try:
            said = self.sock.recv(8192)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        self._heard += len(said)
        if not said:
            self.over = True
        elif self._heard > HEARD_MAX:
            self._drop("it talks instead of listening")

    def flush(self, now: float) -> None:
        """Send what the kernel takes."""
        try:
            while self._unsent and (sent := self.sock.send(self._unsent[:KERNEL_BUFFER])):
                del self._unsent[:sent]
                self._moved = now
        except BlockingIOError:
            pass
        except OSError:
            self.over = True

    def _push(self, data: bytes, now: float) -> None:
        waiting = bool(self._unsent)
        if not waiting:
            self._moved = now
        self._unsent += data
        self.flush(now)
        if waiting and len(self._unsent) > UNSENT_MAX:  # a large page of history alone is no sign of a slow reader
            self._drop(f"more than {UNSENT_MAX // 1024} kB wait for it")

    def _drop(self, why: str) -> None:
        self.over, self.why = True, why


class StreamSeat(Seat):
    """GET /v1/events/stream."""

    _spoke = 0.0  # when it last got anything

    def _greet(self, now: float) -> None:
        self._spoke = now
        self._push(self._head(None), now)

    def tell(self, events: Sequence[Event], frames: bytes, now: float) -> None:
        self.position = events[-1].seq
        self._say(frames, now)

    def tick(self, now: float) -> None:
        super().tick(now)
        if now - self._spoke >= COMMENT_S and not self.over:
            self._say(_COMMENT, now)

    def last_words(self, now: float) -> None:
        if self._chunked:
            self._push(b"0\r\n\r\n", now)

    def _say(self, data: bytes, now: float) -> None:
        self._spoke = now
        self._push(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data, now)


class PollSeat(Seat):
    """GET /v1/events?wait=: one answer, once there is an event or the time is over."""

    _answered = False

    def __init__(self, organization_id: str, position: int, key_id: str | None, *, limit: int, deadline: float) -> None:
        super().__init__(organization_id, position, key_id)
        self._limit = limit
        self.deadline = deadline

    def _greet(self, now: float) -> None:
        self._ripe = now + POLL_PAUSE_S

    def tell(self, events: Sequence[Event], frames: bytes, now: float) -> None:
        if now < min(self._ripe, self.deadline):
            self.asleep, self.deadline = True, min(self._ripe, self.deadline)
        elif not self._answered:
            self._answer(events[: self._limit], now)

    def tick(self, now: float) -> None:
        super().tick(now)
        if now >= self.deadline and not self._answered:
            self._answer([], now)

    def last_words(self, now: float) -> None:
        if not self._answered:
            self._answer([], now)

    def flush(self, now: float) -> None:
        super().flush(now)
        self.over = self.over or (self._answered and not self._unsent)

    def _answer(self, events: Sequence[Event], now: float) -> None:
        self._answered, self.deadline = True, math.inf
        body = events_body(events, self.position)
        self._push(self._head(len(body)) + body, now)


def events_body(events: Sequence[Event], after: int) -> bytes:
    """The answer of /v1/events: JSON {"events": [...], "last": the seq to go on from}."""
    last = events[-1].seq if events else after
    return b'{"events":[%s],"last":%d}' % (b",".join(map(_text, events)), last)


def event_frames(events: Sequence[Event]) -> bytes:
    """The same events as server-sent events, one frame each (WHATWG HTML, 9.2.5)."""
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.kind.encode(), _text(event)) for event in events
    )


@lru_cache(maxsize=2048)  # fifty callers ask for the same events one after the other
def _text(event: Event) -> bytes:
    return json.dumps(event_json(event), separators=(",", ":")).encode()
