"""Documents become printer bytes, ahead of the workers. `prepare` is the whole story of one job, from top to bottom."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bridge.errors import BridgeError, Invalid
from bridge.model import WAITING, Job, Options, State, Template
from bridge.prepare import receipts
from bridge.prepare.child import DrawRequest
from bridge.prepare.labels import expand, receipt_names
from bridge.prepare.render import Limits, PageDrawn, RenderChild, RenderFailed
from bridge.store import Store
from bridge.store.lanes import Stage, Ticket
from bridge.store.spool import Output
from devices.errors import UnknownLanguage
from devices.printer import Printer

log = logging.getLogger(__name__)

PAUSE_S = 5.0  # before a document is drawn again that the disk had no room for
PATIENCE_S = (0.0, 0.3)
"""One drawing thread each: the second takes only what the first was too busy for this long to begin."""


class Pipeline:
    """The drawing threads, each with a render child of its own."""

    def __init__(
        self, store: Store, printers: Mapping[str, Printer], limits: Limits, *, pages_max: int, pixels_max: int
    ) -> None:
        """printers: by device id."""
        self._store = store
        self._printers = printers
        self._pages_max, self._pixels_max = pages_max, pixels_max
        self.children = [RenderChild(limits) for _ in PATIENCE_S]
        self._stopping = threading.Event()
        self._in_hand: list[Ticket | None] = [None] * len(PATIENCE_S)
        self._threads = [self._thread(number) for number in range(len(PATIENCE_S))]

    def _thread(self, number: int) -> threading.Thread:
        return threading.Thread(target=self._run, args=(number,), name=f"draw-{number + 1}", daemon=True)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def revive(self) -> None:
        """Start again what died. A document that was being drawn is drawn once more, from its first page."""
        for number, thread in enumerate(self._threads):
            if not thread.is_alive():
                self._threads[number] = self._thread(number)
                self._threads[number].start()
                if (ticket := self._in_hand[number]) is not None:
                    self._draw_again(ticket)

    def _draw_again(self, ticket: Ticket) -> None:
        if ticket.output is not None:
            ticket.output.finish(RenderFailed("drawing broke off"))
            if ticket.output.page_count:
                return  # the worker has it: it ends the job after the pages that are ready
        self._store.lanes.leave(ticket)
        job = self._store.jobs.get(ticket.organization_id, ticket.job_id)
        if job is not None and job.state in WAITING:
            self._store.lanes.push(job)

    def stop(self) -> None:
        """End the children; a drawing that is cut off is begun again at the next start. The lanes are closed."""
        self._stopping.set()
        for child in self.children:
            child.close()
        for thread in self._threads:
            thread.join(3)

    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def rest(self) -> None:
        """Let children go that had nothing to do for a while. To be called now and then."""
        for child in self.children:
            child.rest()

    def _run(self, number: int) -> None:
        while (ticket := self._store.lanes.next_to_draw(PATIENCE_S[number])) is not None:
            self._in_hand[number] = ticket
            try:
                self.prepare(ticket, self.children[number])
            except OSError as error:  # our own disk, most likely full: no fault of the document
                log.error("job %s: drawn again in %g s: %s", ticket.job_id, PAUSE_S, error)
                self._stopping.wait(PAUSE_S)
                with suppress(Exception):
                    self._draw_again(ticket)
            except Exception:
                log.exception("job %s: preparing stumbled", ticket.job_id)
                with suppress(Exception):  # the database, most likely: this thread must outlive its bad day
                    self._fail(ticket, "an internal error while preparing it; the log has the details")
            self._in_hand[number] = None

    def prepare(self, ticket: Ticket, child: RenderChild) -> None:
        """Draw one job; its first page makes it ready for the worker, the others follow while that one prints."""
        job = self._store.jobs.get(ticket.organization_id, ticket.job_id)
        if job is None or job.state not in WAITING or job.launch != ticket.launch:
            self._store.lanes.leave(ticket)
            return
        self._store.jobs.preparing(job)
        printer = self._printers[job.device_id]
        output = self._store.spool.output(job.id, job.launch)
        ticket.output = output
        try:
            request = self._request(job, printer)
            child.draw(request, self._document(job, printer), lambda page: self._page(ticket, job, output, page))
        except (BridgeError, UnknownLanguage) as error:
            self._cannot(ticket, output, error)
        except BaseException:
            output.finish(RenderFailed("drawing broke off"))
            raise
        else:
            output.finish()

    def _request(self, job: Job, printer: Printer) -> DrawRequest:
        options = Options.from_json(job.options)
        encoder = printer.encoder()
        kind = self._template_kind(job) if job.kind == "template" else job.kind
        skip, take = options.page_range()
        return DrawRequest(
            kind or "", printer.language, printer.media.dpi, printer.media.width_mm, printer.media.height_mm,
            rotate=options.rotate, fit=options.fit, dither=options.dither,
            copies=job.copies if encoder.copies_in_language else 1, collate=options.collate,
            pages_max=self._pages_max, pixels_max=self._pixels_max, skip=skip, take=take, tuning=printer.tuning,
        )  # fmt: skip

    def _template_kind(self, job: Job) -> str:
        """What a template's filling in gives."""
        body = self._store.jobs.body(job.organization_id, job.id)
        return "receipt" if body is not None and Template.from_json(body).name in receipt_names() else "svg"

    def _document(self, job: Job, printer: Printer) -> bytes | Path:
        body = self._store.jobs.body(job.organization_id, job.id)
        if job.kind == "template" and body is not None:
            template = Template.from_json(body)
            if template.name in receipt_names():
                return receipts.expand(template.name, template.fields)
            return expand(template.name, template.fields, printer.media.dpi)
        if body is not None:
            return body
        path = self._store.spool.document(job.id)
        if not path.exists():
            raise Invalid("its document is no longer kept", remedy="send the job again with the document")
        return path

    def _page(self, ticket: Ticket, job: Job, output: Output, page: PageDrawn) -> bool:
        if page.page == 1:
            self._first_page(ticket, job, output, page)
        output.append(page.data)
        ticket.progress.pages_rendered = page.page
        if page.page == 1:
            self._store.lanes.advance(ticket, Stage.READY)
        return not ticket.stopped

    def _first_page(self, ticket: Ticket, job: Job, output: Output, page: PageDrawn) -> None:
        """Now it is known how many pages there are, and so how copies are made of them."""
        output.labels_per_page = page.copies
        output.cuts_itself = page.cuts
        output.repeat = job.copies // page.copies
        ticket.progress.pages_total = page.of
        ticket.progress.labels_total = page.of * job.copies
        self._store.jobs.annotate(job, pages=page.of, note=note(page))

    def _cannot(self, ticket: Ticket, output: Output, error: BridgeError | UnknownLanguage) -> None:
        """Nothing could be drawn: the job fails here. Pages may have left already: the worker ends it."""
        if isinstance(error, RenderFailed) and error.code == "render_stopped":
            output.finish(error)
            if not output.page_count:  # the bridge is being stopped: the job waits, the next start draws it again
                self._store.lanes.leave(ticket)
            return
        text = str(error)
        if isinstance(error, UnknownLanguage):
            text += "; send printer code of its own language, or use a printer that speaks one of those"
        output.finish(error if isinstance(error, BridgeError) else Invalid(text))
        if error_is_poison(error):
            self._hold(ticket, f"{text}; it is held so that it harms nothing else, release it to try once more")
        else:
            self._fail(ticket, text)

    def _fail(self, ticket: Ticket, text: str) -> None:
        self._put_away(ticket, State.FAILED, text)

    def _hold(self, ticket: Ticket, text: str) -> None:
        self._put_away(ticket, State.HELD, text, reason="poison")

    def _put_away(self, ticket: Ticket, to: State, text: str, **columns: str) -> None:
        """End a job of which no page is ready. Once one is, the worker has it, finds the error there and ends it."""
        output = ticket.output
        if output is not None and output.page_count:
            return
        if output is not None:
            output.remove()
        if not ticket.stopped and self._store.jobs.move(
            ticket.organization_id, ticket.job_id, WAITING, to, launch=ticket.launch, text=text, **columns
        ):
            log.warning("job %s %s: %s", ticket.job_id, to.value, text)
        self._store.lanes.leave(ticket)


def error_is_poison(error: Exception) -> bool:
    """Whether the document broke the drawing engine itself, again and again."""
    return isinstance(error, RenderFailed) and error.code == "render_crashed"


def _percent(factor: float) -> str:
    """0.484 -> "48 %"; what is not whole is never said to be."""
    percent = 100 * factor
    return f"{percent:.2g} %" if percent < 1 else f"{min(percent, 99):.0f} %"


def note(page: PageDrawn) -> str:
    """What was done to the first page to get it onto the label, for people."""
    parts = []
    if page.rotated:
        parts.append(f"turned by {page.rotated} degrees")
    if page.factor != 1:
        parts.append(f"shrunk to {_percent(page.factor)} of its size to fit the label")
    if page.note:
        parts.append(page.note)
    return ", ".join(parts)
