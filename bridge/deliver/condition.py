"""What a printer is said to be at this moment: put together from what its worker sees and what it says of itself.

Only changes are told: a change of reasons is logged once and leaves one event.
"""

from __future__ import annotations

import logging

from bridge.model import Device, PrinterState
from bridge.store import Store
from bridge.store.lanes import Lane
from devices.contracts import Reason, Status

log = logging.getLogger(__name__)

_NOTHING = Status()


class Condition:
    """The condition of one printer. Used by its worker's thread alone; the lane shows it to everybody."""

    def __init__(self, store: Store, device: Device, lane: Lane) -> None:
        self._store = store
        self._device = device
        self._lane = lane
        self._away = ""
        self._stuck = ""
        self._said = _NOTHING
        self._busy = False

    @property
    def needs_a_look(self) -> bool:
        """Whether what its worker saw may be over by now, and nothing but another look will tell."""
        return bool(self._away or self._stuck)

    def away(self, text: str) -> None:
        """It cannot be reached."""
        self._away, self._busy, self._said = text, False, _NOTHING
        self._show()

    def here(self) -> None:
        """It takes bytes, or answers."""
        if self._away or self._stuck:
            self._away = self._stuck = ""
            self._show()

    def stuck(self, text: str) -> None:
        """It could print, and must not."""
        self._stuck = text
        self._show()

    def said(self, status: Status | None) -> None:
        """What it says of itself; None: nothing, and what it said before counts no more."""
        new = status or _NOTHING
        if (new.reasons, new.text) != (self._said.reasons, self._said.text):
            self._said = new
            self._show()

    def busy(self, busy: bool) -> None:
        if self._busy != busy:
            self._busy = busy
            self._show()

    def _show(self) -> None:
        old, new = self._lane.state, self._now()
        if old.reasons == new.reasons:
            new.since = old.since if old.reasons or old.state == new.state else new.since
            self._lane.state = new
            return
        self._lane.state = new
        if new.reasons:
            log.warning("%s: %s: %s", self._device.name, ", ".join(new.reasons), new.text)
        else:
            log.info("%s: %s is over", self._device.name, ", ".join(old.reasons))
        self._store.devices.note(self._device, ", ".join(new.reasons) or "ready", new.text)

    def _now(self) -> PrinterState:
        if self._away:
            return PrinterState("stopped", (Reason.OFFLINE.value,), self._away)
        if self._stuck:
            return PrinterState("stopped", (Reason.OTHER.value,), self._stuck)
        reasons = tuple(sorted(reason.value for reason in self._said.reasons - {Reason.NONE}))
        state = "stopped" if self._said.blocked else "processing" if self._busy else "idle"
        return PrinterState(state, reasons, self._said.text)
