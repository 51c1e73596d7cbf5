"""The threads that fetch documents for waiting jobs. A document is fetched once and kept; a retry never asks again."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

from bridge.errors import BridgeError, Invalid
from bridge.intake.detect import HEAD, Recognize, kind_of
from bridge.intake.fetch import FetchRules, fetch
from bridge.intake.grants import CLOSED, Gate
from bridge.model import WAITING, Grants, Job, Options, State, Upload
from bridge.store import Store
from bridge.store.jobs import INLINE_MAX
from bridge.store.lanes import Stage, Ticket

log = logging.getLogger(__name__)

THREADS = 4
PAUSE_S = 5.0  # before a document is tried again that the disk would not take


class Collector:
    """Fetches for all printers, two documents at a time for each."""

    def __init__(
        self, store: Store, *, rules: Callable[[], FetchRules], recognize: Recognize, gate: Gate = CLOSED,
    ) -> None:  # fmt: skip
        """gate: what a document may do, by who sent its job."""
        self._store = store
        self._rules = rules
        self._recognize = recognize
        self._gate = gate
        self._stopping = threading.Event()
        self._in_hand: list[Ticket | None] = [None] * THREADS
        self._threads = [self._thread(number) for number in range(THREADS)]

    def _thread(self, number: int) -> threading.Thread:
        return threading.Thread(target=self._run, args=(number,), name=f"fetch-{number + 1}", daemon=True)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def revive(self) -> None:
        """Start again what died; a document that was being fetched is fetched once more."""
        for number, thread in enumerate(self._threads):
            if not thread.is_alive():
                if (ticket := self._in_hand[number]) is not None:
                    self._store.lanes.give_back(ticket)
                self._threads[number] = self._thread(number)
                self._threads[number].start()

    def stop(self) -> None:
        """Give up what is being fetched; it is fetched again at the next start. The lanes are closed."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(3)

    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def _run(self, number: int) -> None:
        while (ticket := self._store.lanes.next_to_fetch()) is not None:
            self._in_hand[number] = ticket
            try:
                self._serve(ticket)
            except Exception as error:
                log.error("job %s: fetched again in %g s: %s", ticket.job_id, PAUSE_S, error)
                self._stopping.wait(PAUSE_S)
                self._store.lanes.give_back(ticket)
            self._in_hand[number] = None

    def _serve(self, ticket: Ticket) -> None:
        """Fetch one document. What is raised is about our own disk or database, and no reason to forget the job."""
        try:
            self._collect(ticket)
        except BridgeError as error:
            self._failed(ticket, str(error))
        except (OSError, sqlite3.Error):
            raise
        except Exception:
            log.exception("job %s: fetching stumbled", ticket.job_id)
            self._failed(ticket, "an internal error while fetching its document; the log has the details")

    def _collect(self, ticket: Ticket) -> None:
        job = self._store.jobs.get(ticket.organization_id, ticket.job_id)
        if job is None or job.state not in WAITING or job.launch != ticket.launch:
            self._store.lanes.leave(ticket)
            return
        if job.url is None:
            raise Invalid("the job has no document", remedy="send the job again with the document")
        self._store.jobs.preparing(job)
        with self._store.spool.receive() as incoming:
            fetch(job.url, incoming, self._rules(), cancelled=lambda: ticket.stopped or self._stopping.is_set())
            if not incoming.size:
                raise Invalid("the document is empty (0 bytes)", remedy="check what that URL answers")
            upload = incoming.finish()
        kept = self._keep(job, upload)
        if kept is None:
            self._store.lanes.leave(ticket)
            return
        if kept.is_raw:
            ticket.progress.labels_total = kept.copies
        self._store.lanes.advance(ticket, Stage.READY if kept.is_raw else Stage.DRAW)

    def _keep(self, job: Job, upload: Upload) -> Job | None:
        """Recognize the document and make it the job's own, durably. None when the job is gone."""
        try:
            with upload.path.open("rb") as file:
                head = file.read(HEAD)
            force = Options.from_json(job.options).force
            kind = kind_of(head, job.declared, self._recognize, force=force)
            self._gate.check(kind, upload.path, Grants.from_text(job.grants), force=force)
        except BaseException:
            upload.path.unlink()
            raise
        body = None
        if upload.size <= INLINE_MAX:
            body = upload.path.read_bytes()
            upload.path.unlink()
        else:
            self._store.spool.keep(upload, job.id)
        return self._store.jobs.fetched(job, kind=kind, size=upload.size, sha256=upload.sha256, body=body)

    def _failed(self, ticket: Ticket, text: str) -> None:
        if self._stopping.is_set():
            return  # not the document's fault: the job waits for the next start
        if not ticket.stopped and self._store.jobs.move(
            ticket.organization_id, ticket.job_id, WAITING, State.FAILED, launch=ticket.launch, text=text
        ):
            log.warning("job %s failed: %s", ticket.job_id, text)
        self._store.lanes.leave(ticket)  # last: while the database cannot be written, the job is not forgotten
