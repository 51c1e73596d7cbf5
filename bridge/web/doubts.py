"""Jobs that another machine had begun to print when it went away, and of which nobody speaks since."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.model import Job


@dataclass(frozen=True, slots=True)
class _Doubt:
    """due: time.monotonic()."""

    job: Job
    due: float


class Doubts:
    """How long each of them is still waited for. May be asked by any thread."""

    def __init__(self) -> None:
        self._doubts: dict[str, _Doubt] = {}  # by job

    def about(self, jobs: Iterable[Job], patience_s: float) -> None:
        """From now on."""
        for job in jobs:
            self._doubts[job.id] = _Doubt(job, time.monotonic() + patience_s)

    def settle(self, job_id: str) -> None:
        """Somebody has spoken of it."""
        self._doubts.pop(job_id, None)

    def of_device(self, device_id: str) -> int:
        """How many there are at a printer."""
        return sum(each.job.device_id == device_id for each in list(self._doubts.values()))

    def over(self, now: float) -> list[Job]:
        """Those nobody waits for any longer; each is given once. now: time.monotonic()."""
        found = [each.job for each in list(self._doubts.values()) if each.due <= now]
        for job in found:
            self.settle(job.id)
        return found
