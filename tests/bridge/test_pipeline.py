"""Drawing ahead of the workers: what breaks the engine is held, everybody else goes on."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.model import Job, Options
from bridge.prepare.pipeline import Pipeline, note
from bridge.prepare.render import Limits, PageDrawn
from devices.contracts import Media
from devices.printer import Printer
from tests.bridge.hostile import nested_forms
from tests.bridge.shop import Shop, until
from tests.fake.printer import FakePrinter

LABEL = Path(__file__).resolve().parents[1] / "golden/shipping-label.pdf"


class Drawing(Shop):
    """A shop that draws for its printer "dock"."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        printer = Printer("dock", "virtual://dock", "zpl", Media(203, 101.6, 152.4))
        self.pipeline = Pipeline(
            self.store, {self.device().id: printer}, Limits(), pages_max=500, pixels_max=40_000_000
        )
        self.pipeline.start()

    def stop(self, patience_s: float = 0.0) -> None:
        self.store.lanes.close()
        self.pipeline.stop()
        super().stop()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Drawing]:
    with Drawing(tmp_path) as shop:
        yield shop


@pytest.mark.parametrize(
    ("factor", "said"),
    [(0.484, "48 %"), (0.9999, "99 %"), (0.995, "99 %"), (0.0123, "1 %"), (0.00456, "0.46 %"), (1.0, "")],
)
def test_how_much_a_page_was_shrunk_is_said_in_percent(factor: float, said: str) -> None:
    page = PageDrawn(page=1, of=1, copies=1, factor=factor, rotated=0, width=8, height=8, flaws=0, data=b"")
    assert note(page) == (f"shrunk to {said} of its size to fit the label" if said else "")


def crash_while_drawing(shop: Drawing, job: Job) -> None:
    """Whatever child draws is killed as soon as it is busy, until the job is not being prepared any more."""
    deadline = time.monotonic() + 60
    while shop.state(job) in ("queued", "preparing"):
        assert time.monotonic() < deadline
        for child in shop.pipeline.children:
            if child.busy and child.pid:
                os.kill(child.pid, signal.SIGSEGV)
        time.sleep(0.05)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_document_that_crashes_its_child_three_times_is_held_and_the_queue_goes_on(shop: Drawing) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        poison = shop.send(nested_forms(7, 8), title="poison")
        crash_while_drawing(shop, poison)
        good = shop.send(LABEL.read_bytes())
        assert shop.wait(good).state == "delivered"
    job = shop.job(poison)
    assert (job.state, job.reason) == ("held", "poison")
    assert "crashed 3 times on page 1" in job.text and "release it to try once more" in job.text
    assert len(printer.jobs) == 1


def test_pages_of_a_document_can_be_chosen(shop: Drawing) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.send(LABEL.read_bytes(), options=Options(pages="1"))
        none = shop.send(LABEL.read_bytes(), options=Options(pages="2-3"))
        assert shop.wait(job).state == "delivered" and len(printer.jobs) == 1
        failed = shop.wait(none)
    assert failed.state == "failed" and "page 3 is wanted, the document has one page" in failed.text


def kill_thread(name: str) -> None:
    """The thread ends at its next step in Python, wherever it is."""
    (thread,) = [t for t in threading.enumerate() if t.name == name]
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_document_in_the_hands_of_a_thread_that_dies_is_drawn_by_the_next_one(shop: Drawing) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        slow = shop.send(nested_forms(7, 8))
        until(lambda: shop.state(slow) == "preparing" and any(child.busy for child in shop.pipeline.children))
        kill_thread("draw-1")
        until(lambda: not shop.pipeline.is_alive())
        shop.pipeline.revive()
        assert shop.pipeline.is_alive()
        assert shop.wait(slow, timeout=60).state == "delivered" and len(printer.jobs) == 1
