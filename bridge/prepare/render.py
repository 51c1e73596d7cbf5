"""The server's side of drawing: one child process that is fed documents, timed, and killed when it misbehaves.

    with RenderChild() as studio:
        studio.draw(DrawRequest("pdf", "zpl", 203, 101.6, 152.4), Path("label.pdf"), on_page)

Never imports PyMuPDF or numpy: a crash in them takes the child, not the server.
"""

from __future__ import annotations

import io
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from bridge.errors import BridgeError
from bridge.model import MAX_STRIKES
from bridge.prepare.child import DrawRequest, request_frame
from bridge.prepare.process import Ended, Late, Nonsense, Process

__all__ = ["DrawRequest", "Limits", "PageDrawn", "RenderChild", "RenderFailed"]

log = logging.getLogger(__name__)

_CHUNK = 256 * 1024  # bytes of document handed over at once


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost.

    memory_mb: address space of the child, 2^20 bytes. cpu_s: processor seconds per page. wall_s: seconds without a
    finished page. jobs: documents per child. idle_s: seconds after which `rest` ends an unused child.
    """

    memory_mb: int = 768
    cpu_s: float = 15.0
    wall_s: float = 30.0
    jobs: int = 200
    idle_s: float = 600.0


@dataclass(frozen=True, slots=True)
class PageDrawn:
    """One page, ready for the printer.

    page, of: from 1. copies: how often these bytes make the printer repeat it (see DrawRequest.collate). factor: 1.0 at
    its own size, 0.484 when shrunk to that. rotated: degrees clockwise. width, height: dots. flaws: complaints of the
    engine about this page (a broken image, an unknown operator). data: the printer's bytes. note: what people should
    know of it. cuts: a receipt that says itself where it is cut.
    """

    page: int
    of: int
    copies: int
    factor: float
    rotated: int
    width: int
    height: int
    flaws: int
    data: bytes
    note: str = ""
    cuts: bool = False


NOTE_MAX = 500  # characters

OnPage = Callable[[PageDrawn], bool]
"""Called with each page as soon as it is drawn, while the next one is being drawn; False abandons the rest."""


class RenderFailed(BridgeError):
    """A document could not be drawn, and trying it again would not help. page: from 1, where it is known."""

    http, code = 422, "not_drawable"

    def __init__(self, text: str, *, remedy: str = "", code: str | None = None, page: int | None = None) -> None:
        super().__init__(text, remedy=remedy, code=code)
        self.page = page


class _Crashed(Exception):
    """The child ended, or spoke nonsense, without having hit a limit: worth one more try."""


class RenderChild:
    """One child process that draws documents, one after the other: started when first needed, kept warm, replaced
    after `limits.jobs` documents and after anything that went wrong.

    Safe to call from several threads; documents then wait for each other.
    """

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        self.limits = limits
        self._turn = threading.Lock()  # one document at a time
        self._process: Process | None = None
        self._closed = False

    def __enter__(self) -> RenderChild:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def busy(self) -> bool:
        """True while a document is being drawn."""
        return self._turn.locked()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        process = self._process
        return process.pid if process else None

    def warm(self) -> None:
        """Start the child now, so that the first document does not wait for it. Returns before it is ready."""
        with self._turn:
            self._healthy()

    def draw(self, request: DrawRequest, document: bytes | Path, on_page: OnPage) -> int:
        """Draw `document` and return how many pages it has, or the last page given away when on_page said no.

        After a crash the pages still missing are tried again on a fresh child, until it has died three times on the
        same document; a limit that was hit is final. No page is given to on_page twice. What on_page raises comes out
        of here. Raises RenderFailed.
        """
        with self._turn:
            task = _Task(request, on_page)
            for tries_left in range(MAX_STRIKES - 1, -1, -1):
                try:
                    self._attempt(task, document)
                except _Crashed as error:
                    log.warning("the render child died while drawing page %d (%s)", task.page, error)
                    if not tries_left:
                        raise _poison(task.page, error) from error
                else:
                    break
            return task.page - 1

    def rest(self) -> bool:
        """End the child if it has not been used for `limits.idle_s`; the owner calls this now and then."""
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if self._process is None or time.monotonic() - self._process.used_at < self.limits.idle_s:
                return False
            self._discard()
            return True
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the child for good. A document being drawn in another thread fails with code render_stopped."""
        self._closed = True
        process = self._process
        if process:
            process.kill()
        with self._turn:
            self._discard()

    def _attempt(self, task: _Task, document: bytes | Path) -> None:
        """Draw what is left of the task on a child in good health. Whatever goes wrong, it is not used again."""
        process = self._healthy()
        sound = False
        try:
            self._converse(process, task, document)
            process.jobs += 1
            process.used_at = time.monotonic()
            sound = not task.abandoned and process.jobs < self.limits.jobs
        except Late:
            raise RenderFailed(
                f"page {task.page} was not drawn within {self.limits.wall_s:g} seconds",
                remedy="simplify the document or split it",
                code="render_timeout",
                page=task.page,
            ) from None
        except Ended as death:
            raise self._reason(death, task.page) from death
        except Nonsense as error:
            raise _Crashed(f"its answer makes no sense: {error}") from error
        finally:
            if not sound:
                self._replace()

    def _converse(self, process: Process, task: _Task, document: bytes | Path) -> None:
        """One request and its answers. Each page has wall_s; the time on_page takes is not the child's."""
        with _opened(document) as (file, size):
            request = replace(task.request, first_page=task.page)
            _expect_ready(process)
            deadline = time.monotonic() + self.limits.wall_s
            process.send(request_frame(request, cpu_s=self.limits.cpu_s, size=size), deadline)
            _feed(process, file, size, deadline)
        while True:
            header, data = process.receive(deadline)
            if "done" in header:
                return
            if not task.give(_page(header, data)):
                return
            deadline = time.monotonic() + self.limits.wall_s

    def _reason(self, death: Ended, page: int) -> Exception:
        """What a child's end means: a limit is final, anything else may have been bad luck."""
        if self._closed:
            return RenderFailed("drawing was stopped", remedy="the bridge is shutting down", code="render_stopped")
        if death.out_of_cpu:
            return RenderFailed(
                f"page {page} needs more than {self.limits.cpu_s:g} seconds of processor time",
                remedy="simplify the document or print it to a new PDF",
                code="render_cpu",
                page=page,
            )
        if death.out_of_memory:
            return RenderFailed(
                f"this computer ran out of memory while drawing page {page}",
                remedy="simplify the document or split it",
                code="render_memory",
                page=page,
            )
        return _Crashed(str(death))

    def _healthy(self) -> Process:
        """The child, a new one if there is none or it has died meanwhile."""
        if self._closed:
            raise RenderFailed("drawing was stopped", remedy="the bridge is shutting down", code="render_stopped")
        if self._process and not self._process.alive:
            self._discard()
        if self._process is None:
            self._process = Process(self.limits.memory_mb)
            if self._closed:  # close() came between: it has not seen this child
                self._process.kill()
        return self._process

    def _replace(self) -> None:
        """End the child and let the next one start while nobody waits for it."""
        self._discard()
        with suppress(OSError, RenderFailed):  # a start that fails now is tried again, and told, with the next document
            self._healthy()

    def _discard(self) -> None:
        process, self._process = self._process, None
        if process:
            process.end()


def _poison(page: int, error: Exception) -> RenderFailed:
    return RenderFailed(
        f"the drawing engine crashed {MAX_STRIKES} times on page {page} ({error})",
        remedy="print the document to a new PDF and send that",
        code="render_crashed",
        page=page,
    )


class _Task:
    """How far one call of `draw` has come. page: the next one that on_page has not seen."""

    def __init__(self, request: DrawRequest, on_page: OnPage) -> None:
        self.request = request
        self.page = request.first_page
        self.abandoned = False
        self._on_page = on_page

    def give(self, drawn: PageDrawn) -> bool:
        """Hand a page over; False when the rest is not wanted."""
        if drawn.page != self.page:
            raise Nonsense(f"page {drawn.page} came instead of page {self.page}")
        self.page += 1  # before on_page is asked: if it raises, the page has been given away all the same
        self.abandoned = not self._on_page(drawn) and drawn.page < drawn.of
        return not self.abandoned


@contextmanager
def _opened(document: bytes | Path) -> Iterator[tuple[BinaryIO, int]]:
    """The document as a file, and its size in bytes. A path is never loaded whole."""
    if isinstance(document, bytes):
        yield io.BytesIO(document), len(document)
        return
    try:
        file = document.open("rb")
    except OSError as error:
        raise _unreadable(document, error.strerror) from error
    with file:
        yield file, os.fstat(file.fileno()).st_size


def _unreadable(document: Path | None, why: str | None) -> RenderFailed:
    return RenderFailed(
        f"the stored document {document} cannot be read: {why}",
        remedy="send the job again",
        code="document_unreadable",
    )


def _feed(process: Process, file: BinaryIO, size: int, deadline: float) -> None:
    """Pass `size` bytes of document on, a chunk at a time."""
    left = size
    while left:
        chunk = file.read(min(_CHUNK, left))
        if not chunk:
            raise _unreadable(None, f"it became {left:,} bytes shorter while it was read")
        if not process.send(chunk, deadline):
            return
        left -= len(chunk)


def _expect_ready(process: Process) -> None:
    """Wait until the child has started. The document has no part in what may go wrong here."""
    try:
        _raise_error(process.wait_until_ready())
    except Late:
        raise _Crashed("it did not start in time") from None
    except Ended as death:
        raise _Crashed(f"it did not start: {death}") from death


def _raise_error(header: dict[str, Any]) -> None:
    """Raise what an error frame says."""
    if "error" in header:
        error = header["error"]
        page = None if error["page"] is None else int(error["page"])
        raise RenderFailed(str(error["text"]), remedy=str(error["remedy"]), code=str(error["code"]), page=page)


def _page(header: dict[str, Any], data: bytes) -> PageDrawn:
    """A page frame as PageDrawn; an error frame is raised. Believes nothing: the sender has just read a document that
    may have taken it over."""
    try:
        _raise_error(header)
        return PageDrawn(
            page=int(header["page"]),
            of=int(header["of"]),
            copies=int(header["copies"]),
            factor=float(header["factor"]),
            rotated=int(header["rotated"]),
            width=int(header["width"]),
            height=int(header["height"]),
            flaws=int(header["flaws"]),
            data=data,
            note=str(header.get("note", ""))[:NOTE_MAX],
            cuts=header.get("cuts") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Nonsense(repr(error)) from error
