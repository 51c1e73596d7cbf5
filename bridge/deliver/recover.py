"""After a crash or a power cut: what had begun to be sent is in doubt, everything else simply waits again."""

from __future__ import annotations

import logging

from bridge.deliver.doubt import doubt
from bridge.model import Job, Options, State
from bridge.store import Store

log = logging.getLogger(__name__)


def recover(store: Store, client_id: str) -> None:
    """Name every doubt the last run left behind. To be called before anything starts."""
    for job in store.jobs.interrupted(client_id):
        _name_doubt(store, job, "the bridge was cut off while sending it (power, crash or kill)")
    store.jobs.wait_again(client_id)


def cut_off(store: Store, organization_id: str, job_id: str, why: str) -> None:
    """One job whose sending ended without a word, if it was being sent."""
    job = store.jobs.get(organization_id, job_id)
    if job is not None and job.state is State.SENDING:
        _name_doubt(store, job, why)


def _name_doubt(store: Store, job: Job, why: str) -> None:
    text = f"{_doubt(store, job)}: {why}"
    attempts = store.jobs.attempts(job.organization_id, job.id)
    store.jobs.end_attempt(
        job, attempts[-1]["number"], State.UNCONFIRMED, bytes_sent=None, evidence="cut", text=text
    )()
    log.warning("%s: job %s unconfirmed: %s", job.device_name, job.id, text)


def _doubt(store: Store, job: Job) -> str:
    """Pages leave only after they are in the spool, so what lies there bounds what can be out."""
    if job.is_raw:
        return doubt("copy", job.copies, job.copies)
    if not job.pages:
        return "labels may have printed"
    total = job.copies * job.pages
    ready = store.spool.pages_at_most(job.id, job.launch)
    if ready is None or ready >= job.pages:
        return doubt("label", total, total)
    # Not collated, each page may have left with all its copies; collated, the first sequence was not even complete.
    each = 1 if Options.from_json(job.options).collate is not False else job.copies
    return doubt("label", max(ready, 1) * each, total)
