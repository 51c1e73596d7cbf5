"""jobs/list with a status: our states are finer than Cloudlinker's, and one of them changes its number with time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bridge.dialects.cloudlinker.paginator import Page
from bridge.dialects.cloudlinker.replies import STATUS, status_of
from bridge.model import Job, State
from bridge.store.jobs import Jobs

_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Filters:
    """Which jobs; None: any. key_id: those made with this key."""

    organization_id: str
    client_id: str | None = None
    device_id: str | None = None
    job_type: int | None = None
    key_id: str | None = None


def list_jobs(
    jobs: Jobs, filters: Filters, status: int | None, page: Page, now: float, offered_at: float | None = None
) -> tuple[list[Job], int]:
    """One page of the jobs with this status in order of submission, and how many there are in all.

    now: Unix seconds. offered_at: the same, where the machine asks that is to print them: only what it may get then.
    """
    wanted: dict[str, Any] = {**asdict(filters), "offered_at": offered_at}
    if status is None:
        return jobs.page(**wanted, limit=page.size, offset=page.start)
    states = {state for state, number in STATUS.items() if number == status} - {State.UNCONFIRMED}
    # Unconfirmed jobs wait for a person, so they are few: they are read whole, told apart by age, and put among the
    # others where they belong.
    unconfirmed, _ = jobs.page(**wanted, states=[State.UNCONFIRMED], limit=_ALL)
    doubts = [job for job in unconfirmed if status_of(job, now) == status]
    # At most len(doubts) of the rows before this page are doubts, so the others on it begin no earlier than here.
    start = max(0, page.start - len(doubts))
    rows, total = jobs.page(**wanted, states=states, limit=page.size + len(doubts), offset=start)
    merged = sorted([*rows, *doubts], key=lambda job: job.serial)
    first = page.start - start
    return merged[first : first + page.size], total + len(doubts)
