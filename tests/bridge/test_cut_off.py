"""A picture of counted bytes that is cut off does not swallow the labels after it, in the simulated printers."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from devices.contracts import Bitmap
from devices.languages import load
from devices.simulators import Habits, Simulator
from tests.bridge.shop import Shop, until

PHOTO = Bitmap(800, 2400, random.Random(1).randbytes(100 * 2400))  # 240 kB in every language
SMALL = [Bitmap(64, 24, bytes([n + 1] * 8 * 24)) for n in range(3)]


def dots(printer: Simulator) -> list[bytes]:
    """What came out, without white around it."""
    return [picture.rows.replace(b"\0", b"") for picture in list(printer.paper.pictures) if picture is not None]


@pytest.mark.parametrize("language", ["epl2", "tspl", "zpl"])
def test_labels_after_a_cancelled_picture_come_out(tmp_path: Path, language: str) -> None:
    encode = load(language).encode
    with Simulator(language, label_s=0.01, habits=Habits(slow=60_000)) as printer, Shop(tmp_path) as shop:
        shop.worker(printer.uri, language=language)
        job = shop.send(encode(PHOTO), declared=language)
        ticket = shop.store.lanes.ticket(job.id)
        assert ticket is not None
        until(lambda: ticket.progress.bytes_sent > 60_000)
        shop.control.cancel(shop.org, job.id)
        assert shop.wait(job).state == "cancelled"
        small = [shop.wait(shop.send(encode(each), declared=language)) for each in SMALL]
        assert {each.state for each in small} == {"delivered"}
        until(lambda: len([each for each in dots(printer) if each in [s.rows for s in SMALL]]) == 3)


@pytest.mark.parametrize("language", ["epl2", "tspl", "zpl"])
def test_labels_after_a_picture_that_a_stop_cut_off_come_out(tmp_path: Path, language: str) -> None:
    encode = load(language).encode
    with Simulator(language, label_s=0.01, habits=Habits(slow=60_000)) as printer:
        with Shop(tmp_path) as shop:
            shop.worker(printer.uri, language=language)
            job = shop.send(encode(PHOTO), declared=language)
            ticket = shop.store.lanes.ticket(job.id)
            assert ticket is not None
            until(lambda: ticket.progress.bytes_sent > 60_000)
        time.sleep(0.5)
        with Shop(tmp_path) as shop:
            assert shop.job(job).state == "unconfirmed"
            shop.worker(printer.uri, language=language)
            for each in SMALL:
                assert shop.wait(shop.send(encode(each), declared=language), timeout=30).state == "delivered"
            until(lambda: len([each for each in dots(printer) if each in [s.rows for s in SMALL]]) == 3, timeout=20)
            assert len([each for each in dots(printer) if any(each)]) == 3, "half a label was printed"


def send_half(shop: Shop, printer: Simulator, language: str) -> None:
    """A picture that is cancelled half way, while the printer takes nothing: its end is owed."""
    job = shop.send(load(language).encode(PHOTO), declared=language)
    ticket = shop.store.lanes.ticket(job.id)
    assert ticket is not None
    until(lambda: ticket.progress.bytes_sent > 60_000)
    printer.habits.slow = 1
    shop.control.cancel(shop.org, job.id)
    assert shop.wait(job).state == "cancelled"


def test_a_job_is_in_doubt_only_once_bytes_of_its_own_have_left(tmp_path: Path) -> None:
    """The printer breaks off while it takes the end of the picture before."""
    with Simulator("tspl", label_s=0.01, habits=Habits(slow=60_000)) as printer, Shop(tmp_path) as shop:
        lane = shop.worker(printer.uri, language="tspl")
        send_half(shop, printer, "tspl")
        time.sleep(0.6)  # it does not even take that end
        printer.habits.slow, printer.habits.reset_after = None, 2000
        job = shop.send(load("tspl").encode(SMALL[0]), declared="tspl")
        until(lambda: "a job before was being ended" in lane.state.text)
        printer.machine.power_off()
        printer.habits.reset_after = None
        printer.machine.power_on()
        assert shop.wait(job).state == "delivered"
        results = [each["result"] for each in shop.store.jobs.attempts(shop.org, job.id)]
        assert results == ["delivered"]
        printer.paper.wait_for(1)
        assert [line.event for line in printer.paper.lines] == ["power off", "power on", "label"]


@pytest.mark.parametrize("language", ["epl2", "tspl"])
def test_a_printer_that_lost_its_power_is_sent_nothing_but_the_next_label(tmp_path: Path, language: str) -> None:
    """It was waited for its word on a label it had taken: it has forgotten that one, and needs no end of it."""
    encode = load(language).encode
    with Simulator(language, label_s=0.01) as printer, Shop(tmp_path) as shop:
        lane = shop.worker(printer.uri, language=language, ask_status=True)
        shop.wait(shop.send(encode(SMALL[0]), declared=language))
        until(lambda: not lane.eager)
        printer.machine.label_s = 5.0
        lost = shop.send(encode(PHOTO), declared=language)
        until(lambda: printer.machine.waiting > 0)
        printer.machine.power_off()
        assert shop.wait(lost).state == "unconfirmed"
        printer.machine.label_s = 0.01
        printer.machine.power_on()
        job = shop.wait(shop.send(encode(SMALL[1]), declared=language), timeout=20)
        assert job.state in ("delivered", "printed")
        printer.paper.wait_for(2)
        assert {line.event for line in printer.paper.lines} <= {"label", "power off", "torn", "power on"}
