"""What an interpreter of a language must be able to do in a simulated printer."""

from __future__ import annotations

from typing import Protocol


class Front(Protocol):
    """The interpreter of one language. One per machine: its state survives connections, as in the real printer.

    It is made anew when the printer is switched on again. Called by one thread at a time.
    """

    language: str

    def feed(self, data: bytes) -> bytes:
        """Take bytes from a host; give back what the printer says to it (answers).

        Never raises for what the bytes are. What the printer says later goes through Machine.say().
        """
        ...

    def unfinished(self) -> int:
        """Bytes of a label that has begun and has not ended."""
        ...
