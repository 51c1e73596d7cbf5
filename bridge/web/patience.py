"""Who has to go: connections of which nothing useful comes, first those of strangers, when there are no places left.

Patience is measured in time lost, not in silence: who sends one byte a second is never silent, and never done either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

IDLE_S = 30.0  # that long a connection may lie idle, and the head of a request may take
SLOWEST = 1_000  # bytes per second a body has to come with, on average, once it took longer than that
PRESSED_S = 2.0  # the same two while others cannot get in,
PRESSED_STRANGER_S = 0.25  # and for a connection that was never answered with a 2xx
PRESSED_SLOWEST = 16_000
AT_ONCE = 100  # connections that have to go at once, the worst of them


class Guestbook(Protocol):
    """What is known of a connection."""

    @property
    def known(self) -> bool:
        """Whether it was answered with a 2xx once."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a request of its is being answered."""
        ...

    def silent_s(self, now: float) -> float:
        """Seconds since a byte went either way."""
        ...

    def late_s(self, now: float, slowest: int) -> float:
        """Seconds since the unfinished request began, less what its body may take at `slowest` bytes per second."""
        ...

    def stuck(self) -> bool:
        """Whether there are bytes the caller should read."""
        ...


C = TypeVar("C", bound=Guestbook)


def worn_out(channels: Iterable[C], now: float) -> list[C]:
    """Those who have to go in any case. now: time.monotonic()."""
    return [c for c in channels if _lost_s(c, now, SLOWEST) > IDLE_S or (c.stuck() and c.silent_s(now) > IDLE_S)]


def pressed_out(channels: Iterable[C], now: float) -> list[C]:
    """Those who have to go because all places are taken: strangers before others, the longest wait first."""
    lost = [(c.known, -_lost_s(c, now, PRESSED_SLOWEST), c) for c in channels]
    worst = sorted(
        (entry for entry in lost if -entry[1] > (PRESSED_S if entry[0] else PRESSED_STRANGER_S)),
        key=lambda entry: entry[:2],
    )
    return [c for _, _, c in worst[:AT_ONCE]]


def _lost_s(channel: Guestbook, now: float, slowest: int) -> float:
    return 0.0 if channel.busy else max(channel.silent_s(now), channel.late_s(now, slowest))
