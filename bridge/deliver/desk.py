"""What the worker of one printer has at hand, and hands on to each attempt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bridge.deliver.closing import Closing
from bridge.deliver.condition import Condition
from bridge.deliver.debt import Debt
from bridge.deliver.status import Monitor
from bridge.model import Device
from bridge.store import Store
from bridge.store.lanes import Lane, Ticket
from devices.printer import Printer

AfterSending = Callable[[Path], None]
"""Called with the file a virtual printer wrote."""


@dataclass(slots=True)
class Desk:
    """hurry: set when a sending has to stop between two chunks. retired: set when this worker is to end after the
    label it is sending."""

    store: Store
    device: Device
    printer: Printer
    lane: Lane
    condition: Condition
    monitor: Monitor
    closing: Closing
    debt: Debt
    after_sending: AfterSending | None
    hurry: threading.Event = field(default_factory=threading.Event)
    retired: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """Of the printer, for the log."""
        return self.device.name

    def wants(self, ticket: Ticket) -> bool:
        """Whether to go on sending this job."""
        return not (ticket.stopped or self.hurry.is_set())

    def waits_for(self, ticket: Ticket) -> bool:
        """Whether to wait for the printer's word on a job that it has taken: it may be long in coming."""
        return self.wants(ticket) and not self.retired.is_set()
