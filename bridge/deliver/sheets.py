"""What leaves for the printer, piece by piece, in order: a raw job's own bytes, or the pages that were drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from bridge.deliver.doubt import Ledger
from bridge.model import Job
from bridge.store import Store
from bridge.store.lanes import Ticket
from devices import commands
from devices.printer import Printer

_CHUNK = 256 * 1024  # bytes of a large document read at a time
_TICK_S = 0.25  # a page that is long in coming asks keep_going at least this often


class Abandoned(Exception):
    """The rest of the pages will not come: somebody said stop."""


class Sheets(Protocol):
    """size: bytes in all, None while they are still being drawn. pages: of the document, when it has any.

    labels: how many will come out, None when nobody can tell.
    """

    size: int | None
    pages: int | None
    ledger: Ledger

    @property
    def labels(self) -> int | None: ...

    def pieces(self, keep_going: Callable[[], bool]) -> Iterator[tuple[bytes, int]]:
        """(bytes, labels they begin). Raises what drawing raised, after the pages before; Abandoned."""
        ...


def sheets_of(store: Store, ticket: Ticket, job: Job, printer: Printer) -> Sheets | None:
    """None when the document of a raw job is not there any more."""
    if ticket.output is not None:
        return Drawn(ticket, printer.job_end())
    body = ticket.body if ticket.body is not None else store.jobs.body(job.organization_id, job.id)
    path = store.spool.document(job.id)
    return Raw(job, body if body is not None else path, printer.language) if body is not None or path.exists() else None


class Raw:
    """A raw job: its document as it is, once per copy.

    A document that ends in the middle of something (a format, a picture) is ended after each copy, so that it never
    swallows what comes next.
    """

    labels: int | None = None

    def __init__(self, job: Job, document: bytes | Path, language: str) -> None:
        """language: of the printer; a document of no known language is read as that."""
        self._copies = job.copies
        self._document = document
        self._language = job.kind if job.kind not in (None, "raw") else language
        self.size: int | None = (job.size or 0) * job.copies
        self.pages: int | None = None
        self.ledger = Ledger("copy", job.copies)

    def pieces(self, keep_going: Callable[[], bool]) -> Iterator[tuple[bytes, int]]:
        ending = self._ending()
        for _ in range(self._copies):
            if isinstance(self._document, bytes):
                yield self._document, 1
            else:
                yield from _read(self._document)
            if ending:
                yield ending, 0

    def _ending(self) -> bytes:
        if isinstance(self._document, bytes):
            return commands.ending(self._language, [self._document])
        return commands.ending(self._language, (data for data, _ in _read(self._document)))


def _read(path: Path) -> Iterator[tuple[bytes, int]]:
    """One copy from a file. It counts with its first piece, so that a cut anywhere in it puts it in doubt."""
    labels = 1
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            yield data, labels
            labels = 0


class Drawn:
    """A drawn job: its pages as they are ready, the whole sequence once per collated copy."""

    def __init__(self, ticket: Ticket, end: bytes) -> None:
        """end: what follows once, after everything (the cut of a receipt printer)."""
        assert ticket.output is not None
        self._output = ticket.output
        self._progress = ticket.progress
        self._end = end
        self.pages = ticket.progress.pages_total
        self.size = self._output.size * self._output.repeat + len(end) if self._output.finished else None
        self.ledger = Ledger("label", ticket.progress.labels_total)

    def pieces(self, keep_going: Callable[[], bool]) -> Iterator[tuple[bytes, int]]:
        for _ in range(self._output.repeat):
            number = 0
            while (data := self._page(number, keep_going)) is not None:
                yield data, self._output.labels_per_page
                number += 1
            if self.pages is not None and number < self.pages:
                raise Abandoned  # drawing ends early, and without an error, when the job is cancelled
        if self._end and not self._output.cuts_itself:
            yield self._end, 0

    @property
    def labels(self) -> int | None:
        return self._progress.labels_total

    def _page(self, number: int, keep_going: Callable[[], bool]) -> bytes | None:
        while not self._output.settled(number, _TICK_S):
            if not keep_going():
                raise Abandoned
        return self._output.read(number)
