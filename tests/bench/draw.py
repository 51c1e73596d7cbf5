"""PDF page -> ZPL bytes, warm, against the bare PyMuPDF render of the same page; bytes against zebrafy's best.

Rounds are interleaved, so that noise hits all alike; a ratio is the median of the rounds' own ratios. Needs zebrafy
(`pip install -e .[bench]`) for the last column.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pymupdf

from bridge.prepare.child import DrawRequest, pages
from bridge.prepare.render import RenderChild
from tests.bench.table import show
from tests.bridge.papers import batch, shipping_label

ROUNDS = 15
CPU_S = 60


def _request(dpi: int) -> DrawRequest:
    return DrawRequest("pdf", "zpl", dpi, 101.6, 152.4)


def _render(pdf: bytes, dpi: int) -> int:
    """What nobody who uses this engine can be faster than."""
    with pymupdf.open(stream=pdf, filetype="pdf") as document:
        for page in document:
            page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY, alpha=False)
    return 0


def _here(pdf: bytes, dpi: int) -> int:
    """Our own path in this process: render, threshold, encode."""
    return sum(len(payload) for _, payload in pages(_request(dpi), CPU_S, pdf))


def _zebrafy(pdf: bytes, dpi: int) -> int | None:
    try:
        from zebrafy import ZebrafyPDF
    except ImportError:
        return None
    return len(ZebrafyPDF(pdf, format="Z64", dither=False, dpi=dpi).to_zpl())


def main() -> None:
    rows = []
    with RenderChild() as child:

        def through_the_child(pdf: bytes, dpi: int) -> int:
            sizes: list[int] = []
            child.draw(_request(dpi), pdf, lambda page: sizes.append(len(page.data)) or True)
            return sum(sizes)

        for name, pdf, count in (("label, 1 page", shipping_label(1), 1), ("batch of 20", batch(20), 20)):
            for dpi in (203, 300, 600):
                rows += _measure(name, pdf, count, dpi, through_the_child)
    show(
        "PDF page -> ZPL, warm (limit: 1.6 x the bare render at 203 and 300 dpi; bytes at most zebrafy's Z64)",
        ("document", "dpi", "path", "ms/page", "x render", "bytes/page", "x zebrafy"), rows,
    )  # fmt: skip


def _measure(
    name: str, pdf: bytes, count: int, dpi: int, child: Callable[[bytes, int], int]
) -> list[tuple[object, ...]]:
    contenders = {"bare render": _render, "ours, in one process": _here, "ours, through the child": child}
    sizes = {path: run(pdf, dpi) for path, run in contenders.items()}
    times: dict[str, list[float]] = {path: [] for path in contenders}
    for _ in range(ROUNDS):
        for path, run in contenders.items():
            began = time.perf_counter()
            run(pdf, dpi)
            times[path].append((time.perf_counter() - began) * 1000 / count)
    peer = _zebrafy(pdf, dpi)
    rows: list[tuple[object, ...]] = []
    for path, took in times.items():
        ratio = statistics.median(a / b for a, b in zip(took, times["bare render"], strict=True))
        size = sizes[path]
        against = f"{size / peer:.3f}" if peer and size else ""
        rows.append((name, dpi, path, statistics.median(took), ratio, size // count or "", against))
    return rows
