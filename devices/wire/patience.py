"""Deadlines on no progress: a slow printer may take all day, a silent one may not, unless it is known why."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

ASK_S = 2.0  # for a question to be taken by a printer that has nothing of a job: who takes none says nothing either


class Asked(Protocol):
    """A connection, as far as it is asked whether to wait on."""

    on_stall: Callable[[], bool] | None


class Progress:
    """A deadline of patience_s, which begins anew with every progress, and when `line`'s on_stall says so."""

    def __init__(self, patience_s: float, line: Asked | None = None) -> None:
        self._patience_s = patience_s
        self._line = line
        self._least: int | None = None
        self.moved()

    def moved(self) -> None:
        """Something was taken: the clock starts again."""
        self._since = time.monotonic()
        self._least = None

    def stalled(self, waiting: int = 0) -> bool:
        """True when `waiting`, the bytes not yet gone, has not shrunk for patience_s and nobody knows why."""
        if self._least is None or waiting < self._least:
            self._since = self._since if self._least is None else time.monotonic()
            self._least = waiting
        if time.monotonic() - self._since < self._patience_s:
            return False
        on_stall = self._line.on_stall if self._line is not None else None
        if on_stall is None or not on_stall():
            return True
        self.moved()
        return False
