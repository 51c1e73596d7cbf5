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
        small = [shop.wait(shop.send(encode(each), declared=language), timeout=30) for each in SMALL]
        assert {each.state for each in small} == {"delivered"}
        until(lambda: len([each for each in dots(printer) if each in [s.rows for s in SMALL]]) == 3, timeout=20)


@pytest.mark.parametrize("language", ["epl2", "tspl"])
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


@pytest.mark.parametrize("language", ["epl2", "tspl", "cpcl", "escpos"])
def test_a_filling_is_never_too_short_wherever_the_cut_was(language: str) -> None:
    """A cut between two places that were looked at may need more than both of them."""
    from bridge.deliver.worker import _enough
    from devices import commands

    narrow = Bitmap(400, 600, PHOTO.rows[: 50 * 600])
    whole, step = load(language).encode(narrow), 4096
    looked_at = [commands.ending(language, [whole[:cut]]) for cut in range(1, len(whole), step)]
    filled = len(_enough(looked_at, step))
    assert all(len(commands.ending(language, [whole[:cut]])) <= filled for cut in range(1, len(whole), 37))
