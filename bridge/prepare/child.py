"""The program that runs in a render child: a document comes in on stdin, the printer's bytes go out on stdout.

The only process that loads PyMuPDF. A hostile document can hang, starve or crash any PDF engine, so this process holds
nothing worth keeping and may be killed at any moment; `bridge.prepare.render` is the side that does so.

A frame is four bytes of length (big-endian), a JSON object of that length, and `size` more bytes when it names any.
In: one request, {"draw": DrawRequest, "cpu_s", "size"} and the document. Out: {"ready"} once after the start; for each
request one frame per page as soon as it is drawn ({"page", "of", "copies", "factor", "rotated", "width", "height",
"flaws", "size", of a receipt also "note" and "cuts"} and the bytes), then {"done"}; or {"error": {"code", "text",
"remedy", "page"}}, after which this process ends and another one takes its place.
"""

from __future__ import annotations

import json
import math
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Literal

from bridge.prepare import receipts
from bridge.prepare.documents import Budget, Refused, Sheet, is_memory, open_document, out_of_memory
from devices.contracts import PLAIN, Bitmap, Media, Tuning
from devices.errors import PageTooWide, UnknownLanguage

PREFIX = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """What to draw and for which label.

    kind: pdf, png, jpeg, svg, receipt or text. language: a name `devices.languages` knows. dpi, width_mm,
    height_mm: the label (height None: continuous). rotate: degrees clockwise, or "auto". fit: "shrink" larger pages
    to the label, or "none" to clip them. copies: of the document, said in the printer's own language where that
    gives the right order; collate: keep each copy's pages together (None: when there is more than one page).
    pages_max: pages in the document. pixels_max: dots of one page at its own size. skip, take: print only `take`
    pages after the first `skip` (None: all others); all other numbers of pages count only these. first_page: from
    1.
    """

    kind: str
    language: str
    dpi: int
    width_mm: float
    height_mm: float | None = None
    rotate: Literal["auto", 0, 90, 180, 270] = "auto"
    fit: Literal["shrink", "none"] = "shrink"
    dither: bool = False
    copies: int = 1
    collate: bool | None = None
    pages_max: int = 500
    pixels_max: int = 40_000_000
    skip: int = 0
    take: int | None = None
    first_page: int = 1
    tuning: Tuning = PLAIN

    @property
    def media(self) -> Media:
        """The label, in the printer library's words."""
        return Media(self.dpi, self.width_mm, self.height_mm)

    def copies_per_page(self, pages: int) -> int:
        """How often the printer itself repeats each page: never when whole sequences are to be repeated by us."""
        collated = pages > 1 if self.collate is None else self.collate and pages > 1
        return 1 if collated else self.copies


# --- frames -----------------------------------------------------------------------------------------------------


def frame(header: dict[str, Any]) -> bytes:
    """A frame's beginning: the length and the header. `header["size"]` bytes of payload follow it."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return PREFIX.pack(len(text)) + text


def request_frame(request: DrawRequest, *, cpu_s: float, size: int) -> bytes:
    """The beginning of a request. cpu_s: processor seconds allowed per page. size: bytes of the document to follow."""
    return frame({"draw": asdict(request), "cpu_s": cpu_s, "size": size})


def _receive(stdin: BinaryIO) -> tuple[DrawRequest, float, bytes] | None:
    """The next request, its cpu_s and its document; None when the parent has closed the pipe."""
    prefix = stdin.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return None
    header = json.loads(stdin.read(PREFIX.unpack(prefix)[0]))
    document = stdin.read(header["size"])
    if len(document) != header["size"]:
        return None
    draw = header["draw"]
    return DrawRequest(**{**draw, "tuning": Tuning(**draw["tuning"])}), header["cpu_s"], document


# --- limits -----------------------------------------------------------------------------------------------------


def confine(memory_mb: int) -> None:
    """Give up for good what drawing does not need: memory beyond memory_mb (2^20 bytes), files, cores, privileges.

    Where the system has no such limits (Windows) only the parent's wall clock is left.
    """
    try:
        import resource
    except ImportError:
        return
    for limit, value in (
        (resource.RLIMIT_AS, memory_mb << 20),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS


def allow_cpu(seconds: float) -> None:
    """That many more processor seconds, counted from now; then the kernel sends SIGXCPU, which ends this process.

    RLIMIT_CPU counts a process's whole life, so the soft limit moves on with each page and the hard one stays open.
    """
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = math.ceil(used.ru_utime + used.ru_stime + seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


# --- pages ------------------------------------------------------------------------------------------------------


def pages(request: DrawRequest, cpu_s: float, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Each page's header and printer bytes, from first_page on. Raises Refused.

    cpu_s: processor seconds for each page; opening the document counts towards its first.
    """
    from devices.languages import load

    allow_cpu(cpu_s)
    try:
        language = load(request.language)
    except UnknownLanguage as error:
        raise Refused("unknown_language", str(error), "choose one of those for this printer") from error
    if request.kind in receipts.KINDS:
        with _engine_errors(1):
            facts, payload = receipts.draw(
                request.kind, data, language=request.language, media=request.media, tuning=request.tuning,
                pixels_max=request.pixels_max,
            )  # fmt: skip
        yield {"page": 1, "of": 1, "copies": 1, "size": len(payload)} | facts, payload
        return
    document = open_document(request.kind, data, Budget(request.dpi, request.pages_max, request.pixels_max))
    selected = _selected(request, document.pages)
    copies = request.copies_per_page(selected)
    for number in range(request.first_page, selected + 1):
        if number > request.first_page:
            allow_cpu(cpu_s)
        with _engine_errors(number + request.skip):
            facts, bitmap = _rasterize(request, document.sheet(number + request.skip))
        try:
            payload = language.encode(bitmap, copies=copies, media=request.media, tuning=request.tuning)
            payload += language.end_of("page", request.tuning, request.media)
            if number == selected:
                payload += language.end_of("copy", request.tuning, request.media)
        except ValueError as error:
            mend = "the printer's settings (dpi, width_mm)" if isinstance(error, PageTooWide) else "the job"
            raise Refused("not_encodable", f"{request.language}: {error}", f"change {mend}", number) from error
        yield {"page": number, "of": selected, "copies": copies, "size": len(payload)} | facts, payload


def _selected(request: DrawRequest, pages: int) -> int:
    """How many of the document's pages are wanted. Raises Refused when it has fewer."""
    last = pages if request.take is None else request.skip + request.take
    if last > pages or request.skip >= pages:
        there = "one page" if pages == 1 else f"{pages:,} pages"
        raise Refused("no_such_page", f"page {max(last, request.skip + 1)} is wanted, the document has {there}",
                      "choose others with the option pages")  # fmt: skip
    return last - request.skip


@contextmanager
def _engine_errors(page: int) -> Iterator[None]:
    """Whatever MuPDF raises about a page becomes Refused."""
    from pymupdf import mupdf

    try:
        yield
    except (mupdf.FzErrorBase, MemoryError, RecursionError) as error:
        if is_memory(error):
            raise out_of_memory(page) from error
        remedy = "print the document to a new PDF and send that"
        raise Refused("not_drawable", f"page {page} cannot be drawn", remedy, page) from error


def _rasterize(request: DrawRequest, sheet: Sheet) -> tuple[dict[str, Any], Bitmap]:
    """Draw on a gray picture of exactly the dots that will be printed: no larger one is ever allocated.

    The sheet is placed, shrunk and turned by the matrix, so that it is sampled once, on the printer's own grid.
    """
    from pymupdf import mupdf

    from devices.raster import place, to_bitmap

    width, height = sheet.width * sheet.dots, sheet.height * sheet.dots
    placed = place(width, height, request.media, rotate=request.rotate, shrink=request.fit == "shrink")
    grid = mupdf.FzIrect(0, 0, placed.width, placed.height)
    gray = mupdf.FzColorspace(mupdf.FzColorspace.Fixed_GRAY)
    picture = mupdf.FzPixmap(gray, grid, mupdf.FzSeparations(), 0)
    mupdf.fz_clear_pixmap_with_value(picture, 255)
    device = mupdf.fz_new_draw_device(mupdf.FzMatrix(), picture)
    sheet.run(device, _matrix(sheet, sheet.dots * placed.factor, placed.turn))
    mupdf.fz_close_device(device)
    samples = mupdf.fz_pixmap_samples_memoryview(picture)
    bitmap = to_bitmap(samples, placed.width, placed.height, picture.stride(), dither=request.dither)
    facts = {
        "factor": round(placed.factor, 3),
        "rotated": placed.turn,
        "width": placed.width,
        "height": placed.height,
        "flaws": _flaws(),
    }
    return facts, bitmap


def _flaws() -> int:
    """How many complaints MuPDF has had since the last call: broken images, missing fonts, unknown operators ..."""
    import pymupdf

    tools: Any = pymupdf.TOOLS
    return len(tools.mupdf_warnings(reset=True).splitlines())


def _matrix(sheet: Sheet, scale: float, turn: int) -> Any:
    """From the sheet's own units to dots: its turned top left corner comes to lie on 0, 0 (y grows downwards)."""
    from pymupdf import mupdf

    width, height = sheet.width * scale, sheet.height * scale
    turned = {
        0: (scale, 0.0, 0.0, scale, 0.0, 0.0),
        90: (0.0, scale, -scale, 0.0, height, 0.0),
        180: (-scale, 0.0, 0.0, -scale, width, height),
        270: (0.0, -scale, scale, 0.0, 0.0, width),
    }[turn]
    return mupdf.fz_pre_translate(mupdf.FzMatrix(*turned), -sheet.left, -sheet.top)


# --- the process ------------------------------------------------------------------------------------------------


def main(memory_mb: int) -> None:
    """Serve requests until the parent closes the pipe or a document is refused. memory_mb: 2^20 bytes."""
    confine(memory_mb)
    stdin, out = os.fdopen(0, "rb"), _take_stdout()
    try:
        engine = _load_engine()
    except Exception as error:
        _refuse(out, Refused("render_unavailable", f"the drawing engine does not start: {error}", "install it again"))
        return
    _send(out, {"ready": engine})
    while _serve_one(stdin, out):
        pass


def _take_stdout() -> BinaryIO:
    """Keep the pipe to the parent for frames alone: whatever a library prints must not end up between them."""
    out = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return out


def _load_engine() -> str:
    """Import what drawing needs before the first job waits for it, silence it, and name it."""
    import numpy  # noqa: F401
    import pymupdf

    tools: Any = pymupdf.TOOLS
    tools.mupdf_display_errors(False)
    tools.mupdf_display_warnings(False)
    return f"MuPDF {pymupdf.mupdf_version}"


def _serve_one(stdin: BinaryIO, out: BinaryIO) -> bool:
    """Draw one document. False when it was refused or there is none: this process is then not used again."""
    try:
        job = _receive(stdin)
        if job is None:
            return False
        for header, payload in pages(*job):
            _send(out, header, payload)
        _send(out, {"done": True})
        return True
    except Refused as refused:
        _refuse(out, refused)
    except MemoryError:
        _refuse(out, out_of_memory())
    return False


def _refuse(out: BinaryIO, why: Refused) -> None:
    _send(out, {"error": {"code": why.code, "text": why.text, "remedy": why.remedy, "page": why.page}})


def _send(out: BinaryIO, header: dict[str, Any], payload: bytes = b"") -> None:
    out.write(frame(header))
    out.write(payload)
    out.flush()
