"""How often something may be asked for, as sliding windows. Pure: the time is an argument."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Plan = Literal["off", "standard", "pro"]

KEYS_MAX = 256
"""Keys remembered at a time. A full one of the pro plan takes about 0.3 MB; the one unused longest is forgotten."""


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` requests in any `span_s` seconds."""

    limit: int
    span_s: float


PLANS: dict[Plan, tuple[Window, ...]] = {  # seed cloudlinker.txt, "Rate Limits"
    "off": (),
    "standard": (Window(20, 10), Window(100, 60), Window(1_000, 3_600)),
    "pro": (Window(100, 10), Window(500, 60), Window(10_000, 3_600)),
}

DRAWER = (Window(10, 60),)
"""How often a cash drawer may be opened: more often than a cashier does, and too seldom to wear it out."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one request was told, of the window that has least left. retry_after_s: whole seconds; None: it may go on.

    limit, remaining: requests; both None where nothing limits. reset_s: seconds until the first of the requests that
    are counted counts no more.
    """

    limit: int | None = None
    remaining: int | None = None
    retry_after_s: int | None = None
    reset_s: float = field(default=0.0, compare=False)


class Limiter:
    """Counts the requests of each key, or for each printer. A refused request counts nothing: waiting always helps."""

    def __init__(self, windows: Sequence[Window]) -> None:
        """windows: each of them has to let a request through; none: nothing limits."""
        self._windows = tuple(windows)
        self._keys: OrderedDict[str, tuple[deque[float], ...]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, now: float) -> Allowance:
        """One request of `key`. now: seconds of a clock that never steps back (time.monotonic())."""
        if not self._windows:
            return Allowance()
        with self._lock:
            return self._take(self._stamps(key), now)

    def _stamps(self, key: str) -> tuple[deque[float], ...]:
        """When this key was let through, for each window."""
        found = self._keys.get(key)
        if found is None:
            found = self._keys[key] = tuple(deque() for _ in self._windows)
            if len(self._keys) > KEYS_MAX:
                self._keys.popitem(last=False)
        self._keys.move_to_end(key)
        return found

    def _take(self, stamps: tuple[deque[float], ...], now: float) -> Allowance:
        waits = []
        for window, seen in zip(self._windows, stamps, strict=True):
            while seen and seen[0] <= now - window.span_s:
                seen.popleft()
            if len(seen) >= window.limit:
                waits.append((seen[0] + window.span_s - now, window.limit))
        if waits:
            wait_s, limit = max(waits)
            return Allowance(limit, 0, max(1, math.ceil(wait_s)), wait_s)
        for seen in stamps:
            seen.append(now)
        remaining, limit, reset_s = min(
            (w.limit - len(s), w.limit, s[0] + w.span_s - now) for w, s in zip(self._windows, stamps, strict=True)
        )
        return Allowance(limit, remaining, None, reset_s)
