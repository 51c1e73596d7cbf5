"""How a printer ends a connection: whether it closes its side after a job is learnt the first few times."""

from __future__ import annotations

from bridge.model import Device
from bridge.store import Store
from devices.contracts import Receipt

NEVER_CLOSES = 3  # times a printer must leave its side open before that counts as its habit


class Closing:
    """The habit of one printer; remembered across restarts."""

    def __init__(self, store: Store, device: Device) -> None:
        self._store = store
        self._device = device
        self._closings, self._left_open = device.closings, device.left_open

    def is_waited_for(self) -> bool | None:
        """As Settings.waits_for_close: None is not learnt yet."""
        if self._closings:
            return True
        return False if self._left_open >= NEVER_CLOSES else None

    def learn(self, receipt: Receipt) -> None:
        """A job has ended like this."""
        if receipt.closed and not self._closings:
            self._closings = 1
            self._store.devices.seen_closing(self._device, True)
        elif receipt.closed is False and self._left_open < NEVER_CLOSES:
            self._left_open += 1
            self._store.devices.seen_closing(self._device, False)
