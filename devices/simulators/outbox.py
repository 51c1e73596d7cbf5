"""What a printer has said and the host has not got yet; an answer may be late."""

from __future__ import annotations

import threading
import time
from collections import deque

MOST = 256 * 1024  # bytes; what a host never fetches is lost from here on, as in a printer


class Outbox:
    """Thread-safe. late_s: how long every answer takes."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def put(self, data: bytes) -> None:
        """The printer says something."""
        with self._lock:
            if data and self._size + len(data) <= MOST:
                self._waiting.append((time.monotonic() + self.late_s, data))
                self._size += len(data)

    def take(self, most: int = MOST) -> bytes:
        """At most `most` bytes of what is due."""
        taken = bytearray()
        with self._lock:
            while self._waiting and len(taken) < most and self._waiting[0][0] <= time.monotonic():
                due, data = self._waiting.popleft()
                piece, rest = data[: most - len(taken)], data[most - len(taken) :]
                taken += piece
                if rest:
                    self._waiting.appendleft((due, rest))
            self._size -= len(taken)
        return bytes(taken)
