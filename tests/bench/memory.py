"""Memory of an idle serve, of serve and render child over a 100-page PDF, and the time from start to listening."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path

import psutil

from tests.bench.table import show
from tests.bridge.papers import batch
from tests.serving import ROOT, Serve, b64

MIB = 1024 * 1024
PAGES = 100


def main() -> None:
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        starts = [_start(Path(folder) / f"start{n}") for n in range(5)]
        with Serve(Path(folder) / "data") as serve:
            assert serve.process is not None
            time.sleep(1)
            process = psutil.Process(serve.process.pid)
            idle, children = process.memory_info().rss / MIB, len(process.children(recursive=True))
            peak, seconds = _batch(serve, process)
    show(
        "memory and start-up",
        ("what", "measured", "limit"),
        [
            ("idle serve, RSS MiB", idle, 60.0),
            ("idle serve, child processes", children, 0),
            (f"{PAGES}-page PDF, peak RSS of serve + child MiB", peak, 180.0),
            (f"{PAGES}-page PDF, seconds to the last label", seconds, "-"),
            ("start to listening, median s", statistics.median(starts), 1.0),
        ],
    )


def _start(folder: Path) -> float:
    began = time.monotonic()
    with Serve(folder):
        return time.monotonic() - began


def _batch(serve: Serve, process: psutil.Process) -> tuple[float, float]:
    """(peak MiB of the process tree, seconds) of one document of PAGES pages on the virtual printer."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            peak[0] = max(peak[0], _rss(process))

    watcher = threading.Thread(target=watch)
    document = b64(batch(PAGES))
    watcher.start()
    began = time.monotonic()
    job = serve.api(
        "jobs/create", device_id=serve.device("virtual"), launch_immediately=True,
        payload={"document_base64": document},
    )["data"]  # fmt: skip
    done = serve.wait(job["id"], timeout=120)
    seconds = time.monotonic() - began
    over.set()
    watcher.join()
    assert done["state"] == "delivered" and done["pages"] == PAGES, done
    return peak[0], seconds


def _rss(process: psutil.Process) -> float:
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss / MIB
        except psutil.NoSuchProcess:
            continue
    return total
