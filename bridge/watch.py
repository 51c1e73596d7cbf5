"""Every long-lived loop is watched: one that died is started again, and systemd hears from us only while all live."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

log = logging.getLogger(__name__)

EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Loop:
    """A thread, or a few of a kind. revive: starts again what died; what it had in hand is never lost silently."""

    is_alive: Callable[[], bool]
    revive: Callable[[], None]


class Watch:
    """Looks at every loop once a second. The last one standing: it does nothing that can block or fail."""

    def __init__(
        self, loops: Callable[[], Mapping[str, Loop]], *, feed: Callable[[], object], feed_s: float | None
    ) -> None:
        """loops: asked each time, because printers come and go. feed: tells systemd; feed_s: how often, None never."""
        self._loops = loops
        self._feed, self._feed_s = feed, feed_s
        self._fed = 0.0
        self.restarts: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """From here on, loops may end: they are meant to."""
        self._stopping.set()
        self._thread.join(3)

    def states(self) -> dict[str, bool]:
        """Loop -> whether it is alive."""
        return {"watch": self._thread.is_alive(), **{name: each.is_alive() for name, each in self._loops().items()}}

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            try:
                self.look()
            except Exception:
                log.exception("watch: stumbled, and looks again")

    def look(self) -> None:
        """Once over all loops."""
        dead = {name: loop for name, loop in self._loops().items() if not loop.is_alive()}
        if self._stopping.is_set():
            return  # they are being stopped, and not by accident
        for name, loop in dead.items():
            self.restarts[name] += 1
            log.error("watch: %s has died; it is started again (restart %d)", name, self.restarts[name])
            loop.revive()
        if not dead:
            self._tell_systemd()

    def _tell_systemd(self) -> None:
        if self._feed_s is not None and time.monotonic() - self._fed >= self._feed_s:
            self._fed = time.monotonic()
            self._feed()
