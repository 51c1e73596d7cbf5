"""What has to be done now and then, in one thread: expired jobs, old documents, idle render children, signs of life."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

TICK_S = 1.0


@dataclass(slots=True)
class Chore:
    """every_s: seconds between two times. due: time.monotonic() of the next."""

    name: str
    every_s: float
    do: Callable[[], object]
    due: float = 0.0


class Housekeeping:
    """Does every chore in its time. One that fails is logged once, tried again in its time, and stops no other."""

    def __init__(self, chores: list[Chore]) -> None:
        self._chores = chores
        self._failing: set[str] = set()
        self._stopping = threading.Event()
        self._thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)

    @property
    def stopping(self) -> bool:
        """For chores that take long."""
        return self._stopping.is_set()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def revive(self) -> None:
        self._thread = self._new_thread()
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            for chore in self._chores:
                if time.monotonic() >= chore.due and not self._stopping.is_set():
                    chore.due = time.monotonic() + chore.every_s
                    self._do(chore)
            self._stopping.wait(TICK_S)

    def _do(self, chore: Chore) -> None:
        try:
            chore.do()
        except Exception as error:
            if chore.name not in self._failing:
                log.error("housekeeping: %s failed: %s", chore.name, error, exc_info=True)
            self._failing.add(chore.name)
        else:
            self._failing.discard(chore.name)
