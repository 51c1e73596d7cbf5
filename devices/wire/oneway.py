"""A way to a printer on which nothing ever comes back: files, FIFOs, and queues, which keep it to themselves."""

from __future__ import annotations

from collections.abc import Callable

from devices.contracts import Status


class OneWay:
    """The half of a Connection that asks and hears, where there is nothing to hear."""

    talks = False
    on_stall: Callable[[float], bool] | None = None

    def ask(self, question: bytes) -> None:
        """Nothing: a question would be taken for a part of the job, and be printed or kept."""

    def hear(self, seconds: float) -> bytes:
        """Nothing, at once."""
        return b""

    def wire_status(self) -> Status | None:
        """This wire does not tell."""
        return None
