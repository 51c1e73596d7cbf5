"""Deadlines on no progress: a slow printer may take all day, a silent one may not, unless it is known why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

WHY_S = 3.0  # between two questions whether it is known why nothing is taken
ASK_S = 2.0  # for a question to be taken by a printer that has nothing of a job: who takes none says nothing either


class Asked(Protocol):
    """A connection, as far as it is asked whether to wait on."""

    on_stall: Callable[[float], bool] | None


class Progress:
    """A deadline of patience_s, which begins anew with every progress, and when `line`'s on_stall says so."""

    def __init__(self, patience_s: float, line: Asked | None = None) -> None:
        self._patience_s = patience_s
        self._line = line
        self._least: int | None = None
        self.moved()

    def moved(self) -> None:
        """Something was taken: the clock starts again."""
        self._since = self._asked = time.monotonic()
        self._least = None

    def stalled(self, waiting: int = 0) -> bool:
        """True when `waiting`, the bytes not yet gone, has not shrunk for patience_s and nobody knows why."""
        if self._least is not None and waiting < self._least:
            self.moved()
        self._least = waiting if self._least is None else self._least
        seconds = time.monotonic() - self._since
        over = seconds >= self._patience_s
        if (over or time.monotonic() - self._asked >= WHY_S) and self._is_known_why(seconds):
            self.moved()
            return False
        return over

    def _is_known_why(self, seconds: float) -> bool:
        on_stall = self._line.on_stall if self._line is not None else None
        known = on_stall is not None and on_stall(seconds)
        self._asked = time.monotonic()
        return known
