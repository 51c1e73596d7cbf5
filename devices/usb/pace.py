"""How much to hand over at once: little to a slow printer, of which we want to hear often, more to a quick one."""

from __future__ import annotations

import time

QUICK_S = 0.05  # a piece that took less may be followed by a larger one


class Pace:
    """Pieces between `least` and `most` bytes: doubled while each is quick, back to the least after one that is not."""

    def __init__(self, least: int, most: int) -> None:
        self.size = least
        self._least, self._most = least, most
        self._since = 0.0

    def begin(self) -> None:
        """A piece sets out."""
        self._since = time.monotonic()

    def end(self, offered: int, taken: int) -> None:
        """The printer took `taken` of a piece of `offered` bytes. A small quick piece proves nothing."""
        if taken < offered or time.monotonic() - self._since >= QUICK_S:
            self.size = self._least
        elif taken >= self.size:
            self.size = min(self._most, self.size * 2)
