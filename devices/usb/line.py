"""What a way to a USB printer must be able to do: usblp and libusb both are a Line."""

from __future__ import annotations

from typing import Protocol


class Line(Protocol):
    """An opened printer. Every method but close() may raise OSError."""

    via: str
    """"usblp (/dev/usb/lp0)" or "libusb (interface 0)", for people."""
    tick_s: float
    """Seconds one offer() may wait: how often a stalled write is looked at, and asks whether to go on."""
    packet: int
    """wMaxPacketSize in bytes: a packet arrives whole or not at all."""
    in_doubt: int
    """Bytes offered of which it is not known whether the printer has them: what is on its way, or broke off."""

    hears: bool
    """Whether there is a way back from the printer."""

    def offer(self, data: memoryview, seconds: float) -> int:
        """The bytes of `data` the printer took within about `seconds`, 0 when it took none yet.

        After a 0 the same data must be offered again: some of it may be on its way.
        """
        ...

    def settle(self) -> int:
        """The sending is broken off: call back what is on its way; the bytes of it the printer did take."""
        ...

    def listen(self, seconds: float) -> bytes:
        """What the printer says, waiting at most about `seconds` for it; b"" for nothing, and for an empty packet."""
        ...

    def end_packet(self) -> None:
        """An empty packet, for printers that wait for one after a job of whole packets."""
        ...

    def soft_reset(self) -> None:
        """SOFT_RESET, for printers that need one after every job. Never raises: the job is at the printer."""
        ...

    def status(self) -> int | None:
        """The answer to GET_PORT_STATUS, None when there is none."""
        ...

    def close(self) -> None:
        """Let go of the printer; what is still on its way is dropped. Never raises, safe to call twice."""
        ...
