"""Is the wall clock to be believed? A Raspberry Pi has no battery behind it, and people set clocks wrong.

Pure: both clocks are arguments. Nothing that is for ever (retention) is done by a clock that is not believed. A clock
that goes on evenly is believed in the end, or nothing would ever be tidied up after a year in a cupboard:

    what is seen                                          not believed for
    ---------------------------------------------------   ------------------------------------------
    it steps by more than a minute, to a likely time      an hour (NTP after the start of a Pi does this)
    it is behind the newest event                         a day, or until it has passed that event
    it is more than a year ahead of the newest event      a day
    it is older than this program                         until it is not
"""

from __future__ import annotations

import time
from typing import Literal

STEP_S = 60.0
LEAP_S = 366 * 86400.0
SETTLE_S = 3600.0
DOUBT_S = 86400.0
EARLIEST = 1_735_689_600.0  # 2025-01-01: no true clock has shown an earlier time to this program


class Clock:
    """What two clocks and the newest event say about the wall clock. To be told the time about once a minute.

    wall: Unix seconds. monotonic: seconds that only grow (CLOCK_BOOTTIME where there is one: a laptop that slept has
    not been set). newest: Unix seconds of the newest event in the database, None when there is none.
    """

    def __init__(self, *, wall: float, monotonic: float, newest: float | None = None) -> None:
        self._newest = newest  # the latest time that was believed
        self._wall, self._monotonic = wall, monotonic
        self._since = monotonic  # when the doubt began
        self._patience = 0.0
        self.text = ""
        doubt = self._unlikely(wall)
        if doubt:
            self._suspect(doubt, DOUBT_S)
        self._settle()

    @property
    def trusted(self) -> bool:
        """Whether things may be thrown away by it."""
        return not self.text

    @property
    def status(self) -> Literal["ok", "suspect"]:
        return "ok" if self.trusted else "suspect"

    def observe(self, *, wall: float, monotonic: float) -> None:
        """Look at both clocks once more."""
        step = (wall - self._wall) - (monotonic - self._monotonic)
        self._wall, self._monotonic = wall, monotonic
        doubt = self._unlikely(wall)
        if abs(step) > STEP_S:
            moved = f"the clock was moved {_span(step)} {'on' if step > 0 else 'back'}, to {_shown(wall)}"
            self._suspect(f"{moved}; {doubt}" if doubt else moved, DOUBT_S if doubt else SETTLE_S)
        elif not doubt and self._patience == DOUBT_S:
            self.text = ""  # it has passed the newest event
        self._settle()

    def _unlikely(self, wall: float) -> str:
        """What is wrong with this time, "" when it may well be right."""
        if wall < EARLIEST:
            return f"the clock says {_shown(wall)}, which is before this program was made: it has not been set yet"
        if self._newest is not None and wall < self._newest - STEP_S:
            return f"the clock says {_shown(wall)}, but the newest event is of {_shown(self._newest)}: it is behind"
        if self._newest is not None and wall > self._newest + LEAP_S:
            return f"the clock says {_shown(wall)}, more than a year after the newest event, {_shown(self._newest)}"
        return ""

    def _suspect(self, text: str, patience_s: float) -> None:
        self.text, self._patience, self._since = text, patience_s, self._monotonic

    def _settle(self) -> None:
        """A doubt that lasted is over, unless the time is an impossible one. What is believed is remembered."""
        if self._monotonic - self._since >= self._patience and self._wall >= EARLIEST:
            self.text = ""
        if self.trusted:
            self._newest = self._wall if self._patience == DOUBT_S else max(self._newest or 0.0, self._wall)
            self._patience = 0.0


def _shown(wall: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(wall))
    except (OverflowError, ValueError, OSError):
        return f"{wall:.0f} s since 1970"


def _span(seconds: float) -> str:
    for size, name in ((86400 * 365.25, "years"), (86400, "days"), (3600, "hours"), (60, "minutes")):
        if abs(seconds) >= 2 * size:
            return f"{abs(seconds) / size:.0f} {name}"
    return f"{abs(seconds):.0f} seconds"
