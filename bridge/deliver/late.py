"""A doubt that the printer itself ends later: its label counter says that the labels of a cut-off job did come out.

Only the newest doubt of a printer can be ended like this, and only before anything else is sent to it: afterwards the
counter speaks of other labels too.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bridge.model import Device, Job, State
from bridge.store import Store
from devices.contracts import Status

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doubt:
    """counter: where the printer's label counter stood before the job. labels: that it should have printed."""

    job: Job
    counter: int
    labels: int

    def end(self, store: Store, status: Status) -> bool:
        """Whether `status` says something for good; then the job says so."""
        if status.labels is None or status.idle is not True:
            return False
        out = status.labels - self.counter
        if out == self.labels:
            text = f"confirmed later: the printer's label counter went up by {out}"
            store.jobs.move(
                self.job.organization_id, self.job.id, (State.UNCONFIRMED,), State.PRINTED, launch=self.job.launch,
                evidence="counter", text=text,
            )  # fmt: skip
            log.info("%s: job %s %s", self.job.device_name, self.job.id, text)
        return True


def newest(store: Store, device: Device) -> Doubt | None:
    """What the printer may be able to say something about; None when there is nothing."""
    found, _ = store.jobs.page(
        None, device_id=device.id, states=[State.UNCONFIRMED], newest_first=True, limit=1
    )
    if not found or found[0].is_raw:
        return None
    [job] = found
    pages = job.pages
    attempts = store.jobs.attempts(job.organization_id, job.id)
    if not attempts or store.jobs.last_attempt_at(device.id) != attempts[-1]["started_at"]:
        return None  # other labels have been sent since
    counter = attempts[-1]["counter"]
    return None if counter is None or not pages else Doubt(job, counter, pages * job.copies)
