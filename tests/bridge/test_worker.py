"""Delivery: every byte in order, once, on one connection at a time; and the truth about what may be out."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.deliver import worker
from bridge.errors import Invalid
from bridge.model import Job, Options, State
from bridge.store import engine
from tests.bridge.shop import LABEL, PDF, Shop, full_disk, together, until
from tests.fake.printer import FakePrinter

HUGE = b"^XA^FX" + bytes(20_000_000) + b"^XZ"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker tries again after a twentieth of a second, not a second."""
    monkeypatch.setattr(worker, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(worker, "LAST_RETRY_S", 0.2)


def results(shop: Shop, job: Job) -> list[str]:
    return [attempt["result"] for attempt in shop.store.jobs.attempts(shop.org, job.id)]


# -- byte for byte


@pytest.mark.parametrize("size", [1, 65_536, 65_537, 300_000])
def test_a_raw_job_arrives_byte_for_byte(shop: Shop, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.wait(shop.send(data, declared="raw"))
        assert printer.wait_for(1) == [data]
    assert (job.state, job.evidence) == ("delivered", "closed")
    assert re.search(rf"took {size} bytes and closed in order", job.text)


@pytest.mark.parametrize("data", [LABEL, LABEL * 200], ids=["row", "file"])
def test_copies_of_a_raw_job_follow_each_other_on_one_connection(shop: Shop, data: bytes) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.wait(shop.send(data, copies=3))
        assert printer.wait_for(1) == [data * 3]
        assert printer.connections == 1
    [attempt] = shop.store.jobs.attempts(shop.org, job.id)
    assert attempt["bytes_total"] == attempt["bytes_sent"] == 3 * len(data)


def test_pages_leave_while_others_are_drawn_and_the_order_holds(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.send(PDF, copies=2)
        output = shop.drawing(b"page 1,", of=3).output
        assert output is not None
        until(lambda: shop.state(job) == "sending")
        for page in (b"page 2,", b"page 3;"):
            time.sleep(0.02)
            output.append(page)
        output.finish()
        assert shop.wait(job).state == "delivered"
        assert printer.wait_for(1) == [b"page 1,page 2,page 3;" * 2]


def test_two_hundred_jobs_of_many_threads_are_printed_once_each_on_one_connection_at_a_time(shop: Shop) -> None:
    labels = [b"^XA^FD%d^FS^XZ" % number for number in range(200)]
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        sent = together(10, lambda n: [shop.send(label) for label in labels[n::10]])
        taken = printer.wait_for(200)
        assert sorted(taken) == sorted(labels)
        for jobs in sent:
            mine = [labels.index(label) for label in taken if labels.index(label) % 10 == sent.index(jobs)]
            assert mine == sorted(mine)  # each thread's labels in the order in which it sent them
            assert {shop.wait(job).state for job in jobs} == {"delivered"}
        assert (printer.max_open, printer.connections) == (1, 200)


def test_a_virtual_printer_says_where_it_wrote(shop: Shop, tmp_path: Path) -> None:
    shop.worker("virtual://dock", folder=tmp_path / "paper")
    job = shop.wait(shop.send())
    assert (job.state, job.evidence) == ("delivered", "written")
    assert (tmp_path / "paper" / "dock" / "000001.bin").read_bytes() == LABEL


# -- a printer that is not there


def test_a_printer_that_is_away_keeps_its_jobs_and_gets_them_when_it_is_back(shop: Shop) -> None:
    with FakePrinter(refuse=True) as printer:
        lane = shop.worker(printer.uri)
        jobs = [shop.send() for _ in range(3)]
        until(lambda: bool(lane.state.reasons))
        assert (lane.state.state, lane.state.reasons) == ("stopped", ("offline",))
        assert "connection refused" in lane.state.text
        since = lane.state.since
        time.sleep(0.2)
        assert lane.state.since == since  # several tries, one absence
        assert [shop.state(job) for job in jobs] == ["queued"] * 3
        printer.switch_on()
        assert [shop.wait(job).state for job in jobs] == ["delivered"] * 3
        until(lambda: lane.state.state == "idle")
        assert lane.state.reasons == ()
    told = [event.state for event in shop.store.events.after(shop.org, 0) if event.kind == "printer"]
    assert told == ["offline", "ready"]
    assert [shop.job(job).attempts for job in jobs] == [1, 1, 1]


def slow_disk(shop: Shop, printer: FakePrinter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits take as long as the printer's close: it is there before our first byte."""
    submit = shop.store.engine.submit

    def slow(*args: Any, **options: Any) -> Any:
        until(lambda: not connected(printer.port))
        return submit(*args, **options)

    monkeypatch.setattr(shop.store.engine, "submit", slow)


def connected(port: int) -> bool:
    """Whether the kernel holds a connection to this port that neither end has closed (state 01, proc_net_tcp)."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(there.endswith(f":{port:04X}") and state == "01" for _, _, there, state, *_ in lines)


def test_a_printer_that_hangs_up_at_once_is_away_too(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, so trying again is safe; and each try is a little later than the one before."""
    with FakePrinter(close_at_once=True) as printer:
        slow_disk(shop, printer, monkeypatch)
        lane = shop.worker(printer.uri)
        job = shop.send()
        until(lambda: printer.connections >= 3)
        assert (lane.state.state, lane.state.reasons) == ("stopped", ("offline",))
        assert shop.state(job) in ("queued", "sending")
        tries, began = printer.connections, time.monotonic()
        time.sleep(0.6)
        assert printer.connections <= tries + 2 + (time.monotonic() - began) / 0.16  # 0.16 to 0.2 s each by now
        shop.control.cancel(shop.org, job.id)
        assert shop.wait(job).text == "cancelled before anything was sent"
    assert set(results(shop, job)) <= {"queued", "cancelled"}
    told = [event.state for event in shop.store.events.after(shop.org, 0) if event.kind == "printer"]
    assert told == ["offline"]
    assert printer.jobs == printer.unfinished == []


def test_a_cancelled_job_is_gone_when_its_printer_comes_back(shop: Shop) -> None:
    with FakePrinter(refuse=True) as printer:
        lane = shop.worker(printer.uri)
        gone, stays = shop.send(b"^XA1^XZ"), shop.send(b"^XA2^XZ")
        until(lambda: bool(lane.state.reasons))
        shop.control.cancel(shop.org, gone.id)
        printer.switch_on()
        shop.wait(stays)
        assert printer.jobs == [b"^XA2^XZ"]


def test_resuming_a_printer_tries_again_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FIRST_RETRY_S", 600.0)
    monkeypatch.setattr(worker, "LAST_RETRY_S", 600.0)
    with FakePrinter(refuse=True) as printer:
        lane = shop.worker(printer.uri)
        job = shop.send()
        until(lambda: bool(lane.state.reasons))
        printer.switch_on()
        shop.control.resume(shop.org, lane.device_id)
        assert shop.wait(job).state == "delivered"


# -- cut off half-way


def test_a_printer_that_dies_half_way_leaves_a_doubt_that_is_named_and_never_resent(shop: Shop) -> None:
    with FakePrinter(reset_after=50_000) as printer:
        shop.worker(printer.uri)
        job = shop.wait(shop.send(b"^XA^FX" + bytes(30_000) + b"^XZ", copies=20))
        assert job.state == "unconfirmed"
        doubt = re.match(r"copies 1-(\d+) of 20 may have printed, (\d+)-20 were not sent: tcp://", job.text)
        assert doubt, job.text
        assert 2 <= int(doubt[1]) <= 10 and int(doubt[2]) == int(doubt[1]) + 1
        assert "acknowledged" in job.text
        time.sleep(0.2)
        assert printer.connections == 1
        assert results(shop, job) == ["unconfirmed"]


def test_the_next_job_is_not_held_up_by_a_doubt(shop: Shop) -> None:
    with FakePrinter(reset_after=50_000) as printer:
        shop.worker(printer.uri)
        doubtful, next_one = shop.send(LABEL * 100), shop.send(LABEL)
        assert (shop.wait(doubtful).state, shop.wait(next_one).state) == ("unconfirmed", "delivered")
        assert printer.jobs == [LABEL]


def test_an_ordered_printer_waits_for_the_answer(shop: Shop) -> None:
    with FakePrinter(reset_after=50_000) as printer:
        lane = shop.worker(printer.uri, ordered=True)
        doubtful, next_one = shop.send(LABEL * 100), shop.send(LABEL)
        shop.wait(doubtful)
        until(lambda: "is unconfirmed and this printer is ordered" in lane.state.text)
        assert lane.state.state == "stopped"
        assert printer.jobs == []
        shop.control.resolve(shop.org, doubtful.id, "printed")
        assert shop.wait(next_one).state == "delivered"
        until(lambda: lane.state.state == "idle")
        assert printer.jobs == [LABEL]


def test_the_labels_wanted_again_are_sent_again_and_flagged(shop: Shop) -> None:
    with FakePrinter(reset_after=50_000) as printer:
        shop.worker(printer.uri)
        job = shop.wait(shop.send(LABEL * 100))
        shop.control.resolve(shop.org, job.id, "again")
        shop.wait(job)
        assert printer.connections == 2
    attempts = shop.store.jobs.attempts(shop.org, job.id)
    assert [(each["launch"], each["possible_duplicate"]) for each in attempts] == [(1, 0), (2, 1)]


def test_a_page_that_cannot_be_drawn_after_others_left_fails_and_says_which(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.send(PDF, copies=4)
        output = shop.drawing(b"page 1,", b"page 2;", of=3, per_page=4).output
        assert output is not None
        output.finish(Invalid("the font is missing"))
        assert shop.wait(job).text == "pages 1-2 were printed, page 3 could not be drawn: the font is missing"
        assert (shop.state(job), printer.wait_for(1)) == ("failed", [b"page 1,page 2;"])


def test_a_document_that_vanished_fails_one_that_cannot_be_read_is_held_and_the_next_job_goes_on(shop: Shop) -> None:
    with FakePrinter() as printer:
        lost, unreadable, good = shop.send(LABEL * 100), shop.send(LABEL * 101), shop.send()
        shop.store.spool.document(lost.id).unlink()
        shop.store.spool.document(unreadable.id).unlink()
        shop.store.spool.document(unreadable.id).mkdir()
        shop.worker(printer.uri)
        assert shop.wait(good).state == "delivered"
        assert printer.jobs == [LABEL]
        shop.store.spool.document(unreadable.id).rmdir()
    assert [shop.state(job) for job in (lost, unreadable)] == ["failed", "held"]
    assert shop.job(lost).text == "its document is no longer kept; send the job again with the document"
    assert shop.job(unreadable).text.startswith("an internal error kept it from being sent 3 times")
    assert (shop.job(unreadable).reason, shop.job(unreadable).strikes) == ("poison", 3)
    released = shop.control.release(shop.org, unreadable.id)
    assert (released.state, released.possible_duplicate, released.strikes) == ("queued", False, 0)


# -- learning how a printer closes


def test_a_printer_that_never_closes_is_waited_for_three_times_and_then_hardly(shop: Shop) -> None:
    with FakePrinter(never_close=True) as printer:
        shop.worker(printer.uri, close_s=2, taken_s=0.05)
        took = []
        for _ in range(5):
            began = time.monotonic()
            job = shop.wait(shop.send())
            took.append(time.monotonic() - began)
            assert (job.state, job.evidence) == ("delivered", "taken")
        assert [seconds >= 2 for seconds in took] == [True, True, True, False, False]
        assert printer.unfinished + printer.jobs == [LABEL] * 5
    now = shop.store.devices.update(shop.org, shop.device().id)
    assert now is not None and (now.closings, now.left_open) == (0, 3)


def test_what_was_learnt_survives_a_restart(shop: Shop, tmp_path: Path) -> None:
    device = shop.device()
    for _ in range(3):
        shop.store.devices.seen_closing(device, False)
    shop.stop()
    with FakePrinter(never_close=True) as printer, Shop(tmp_path) as again:
        again.worker(printer.uri, close_s=60, taken_s=0.05)
        began = time.monotonic()
        assert again.wait(again.send()).evidence == "taken"
        assert time.monotonic() - began < 50


def test_one_that_closed_before_and_now_does_not_leaves_a_doubt(shop: Shop) -> None:
    with FakePrinter() as good:
        port = good.port
        shop.worker(good.uri, close_s=0.2)
        assert shop.wait(shop.send()).evidence == "closed"
    with FakePrinter(port=port, never_close=True):
        job = shop.wait(shop.send())
    assert job.state == "unconfirmed"
    assert job.text.startswith("the job may have printed: tcp://")
    assert "it has always closed the connection before, but did not within 0.2 s" in job.text


# -- cancelling what is being sent


def test_a_cancel_stops_within_a_chunk_and_the_job_says_how_much_had_left(shop: Shop) -> None:
    with FakePrinter(slow=200_000, rcvbuf=4096) as printer:
        shop.worker(printer.uri)
        job = shop.send(HUGE)
        ticket = shop.store.lanes.ticket(job.id)
        assert ticket is not None
        until(lambda: ticket.progress.bytes_sent > 100_000)
        assert shop.control.cancel(shop.org, job.id).state == "sending"
        done = shop.wait(job)
        printer.wait_until_idle()
    assert done.state == "cancelled"
    said = re.match(r"cancelled while it was being sent: ([\d,]+) bytes had left; the job may have printed", done.text)
    assert said, done.text
    left = int(said[1].replace(",", ""))
    [ended] = printer.jobs  # it is ended in order, so that the next label is not taken for its rest
    assert ended.endswith(b"~JX~JX^FS^XZ") and len(ended) == left + len(b"~JX~JX^FS^XZ") < 1_000_000
    [attempt] = shop.store.jobs.attempts(shop.org, job.id)
    assert attempt["bytes_sent"] == left


def test_a_cancel_that_comes_before_the_first_byte_keeps_it_back(shop: Shop) -> None:
    with FakePrinter() as printer:
        lane = shop.worker(printer.uri)
        shop.wait(shop.send(b"^XA^FDfirst^FS^XZ"))
        shop.control.pause(shop.org, lane.device_id, "")
        job = shop.send(b"^XA^FDsecond^FS^XZ")
        ticket = shop.store.lanes.ticket(job.id)
        assert ticket is not None
        ticket.stopped = True
        shop.control.resume(shop.org, lane.device_id)
        assert shop.wait(job).text == "cancelled before anything was sent"
        printer.wait_until_idle()
        assert printer.jobs + printer.unfinished == [b"^XA^FDfirst^FS^XZ"]


def test_a_cancel_does_not_wait_for_a_page_that_is_long_in_coming(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.send(PDF)
        shop.drawing(b"page 1", of=3)
        ticket = shop.store.lanes.ticket(job.id)
        assert ticket is not None
        until(lambda: ticket.progress.labels_sent == 1)
        shop.control.cancel(shop.org, job.id)
        done = shop.wait(job)
    assert done.text == (
        "cancelled while it was being sent: 6 bytes had left; label 1 of 3 may have printed, 2-3 were not sent"
    )


def test_drawing_that_ends_early_because_of_a_cancel_is_not_taken_for_the_whole_job(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.send(PDF)
        ticket = shop.drawing(b"page 1", of=3)
        assert ticket.output is not None
        until(lambda: ticket.progress.labels_sent == 1)
        ticket.stopped = True  # what a cancel does first ...
        ticket.output.finish()  # ... and what the pipeline makes of it
        assert shop.wait(job).state == "cancelled"


def test_launching_again_while_the_worker_still_knocks_at_the_door_loses_nothing(shop: Shop) -> None:
    """A cancel and a launch while the printer does not answer: the job has a new place, the old one is void."""
    with FakePrinter(refuse=True) as printer:
        lane = shop.worker(printer.uri)
        job = shop.send()
        until(lambda: bool(lane.state.reasons))
        over = threading.Event()

        def annoy() -> None:
            while not over.is_set():
                shop.control.cancel(shop.org, job.id)
                shop.control.launch(shop.org, job.id)

        thread = threading.Thread(target=annoy)
        thread.start()
        time.sleep(0.5)
        over.set()
        thread.join()
        printer.switch_on()
        assert shop.wait(job).state == "delivered"
        assert printer.wait_for(1) == [LABEL]


def test_cancel_and_launch_at_any_moment_leave_every_job_at_rest_and_every_label_accounted_for(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        jobs = [shop.send(b"^XA%d^XZ" % number) for number in range(5)]
        over = threading.Event()

        def annoy(what: str) -> None:
            while not over.is_set():
                for job in jobs:
                    try:
                        getattr(shop.control, what)(shop.org, job.id)
                    except Exception as error:
                        assert "nothing left to cancel" in str(error), error

        threads = [threading.Thread(target=annoy, args=(what,)) for what in ("cancel", "launch")]
        for thread in threads:
            thread.start()
        time.sleep(1)
        over.set()
        for thread in threads:
            thread.join()
        ended = [shop.wait(job) for job in jobs]
        assert {job.state.value for job in ended} <= {"delivered", "cancelled"}
        for number, job in enumerate(jobs):
            delivered = results(shop, job).count("delivered")
            until(lambda n=number, d=delivered: printer.jobs.count(b"^XA%d^XZ" % n) >= d)
            cut = results(shop, job).count("cancelled")
            assert printer.jobs.count(b"^XA%d^XZ" % number) <= delivered + cut


# -- rules


def test_a_job_in_a_language_the_printer_does_not_speak_fails_naming_both(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri, language="epl2")
        job = shop.wait(shop.send(LABEL))
        assert job.state == "failed"
        assert job.text == (
            "the job is ZPL, the printer dock speaks EPL2; send it to another printer, send a PDF instead, or send it"
            " with the option force"
        )
        forced = shop.wait(shop.send(LABEL, options=Options(force=True)))
        assert forced.state == "delivered"
        assert printer.jobs == [LABEL]


def test_a_paused_printer_keeps_its_jobs_also_through_a_restart(shop: Shop, tmp_path: Path) -> None:
    with FakePrinter() as printer:
        lane = shop.worker(printer.uri)
        shop.control.pause(shop.org, lane.device_id, "new ribbon")
        jobs = [shop.send(b"^XA%d^XZ" % number) for number in range(3)]
        time.sleep(0.05)
        shop.stop()
        with Shop(tmp_path) as again:
            again.worker(printer.uri)
            time.sleep(0.1)
            assert (printer.connections, [again.state(job) for job in jobs]) == (0, ["queued"] * 3)
            again.control.resume(shop.org, lane.device_id)
            for job in jobs:
                assert again.wait(job).state == "delivered"
        assert printer.jobs == [b"^XA0^XZ", b"^XA1^XZ", b"^XA2^XZ"]


def test_the_most_urgent_job_is_sent_next(shop: Shop) -> None:
    with FakePrinter() as printer:
        lane = shop.worker(printer.uri)
        shop.control.pause(shop.org, lane.device_id, "")
        jobs = [shop.send(b"^XA%d^XZ" % priority, priority=priority) for priority in (0, 2, 1)]
        shop.control.resume(shop.org, lane.device_id)
        for job in jobs:
            shop.wait(job)
        assert printer.jobs == [b"^XA2^XZ", b"^XA1^XZ", b"^XA0^XZ"]


# -- stopping the bridge, and a disk that is full


def test_a_stop_lets_the_current_label_end_and_begins_no_other(shop: Shop, tmp_path: Path) -> None:
    with FakePrinter(delay_close_s=0.3) as printer:
        shop.worker(printer.uri)
        first, second = shop.send(), shop.send()
        until(lambda: shop.state(first) == "sending")
        shop.stop(patience_s=5)
        assert printer.jobs == [LABEL]
    with Shop(tmp_path) as again:
        assert (again.state(first), again.state(second)) == ("delivered", "queued")


def test_a_stop_that_cannot_wait_names_the_doubt(shop: Shop, tmp_path: Path) -> None:
    with FakePrinter(slow=50_000, rcvbuf=4096) as printer:
        shop.worker(printer.uri)
        job = shop.send(HUGE)
        ticket = shop.store.lanes.ticket(job.id)
        assert ticket is not None
        until(lambda: ticket.progress.bytes_sent > 0)
        shop.stop(patience_s=0.05)
    with Shop(tmp_path) as again:
        text = again.job(job).text
        assert again.state(job) == "unconfirmed"
        assert re.match(r"the bridge was stopped while sending: [\d,]+ bytes had left; the job may have printed", text)


def test_a_result_the_disk_has_no_room_for_is_written_as_soon_as_it_has(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "RETRY_S", 0.02)
    with FakePrinter(delay_close_s=0.2) as printer:
        shop.worker(printer.uri)
        job = shop.send()
        until(lambda: shop.state(job) == "sending")
        with full_disk(shop.store.engine.path):
            printer.wait_until_idle()
            time.sleep(0.2)
            assert shop.state(job) == "sending"
        assert shop.wait(job).state == "delivered"


def test_nothing_is_sent_that_cannot_be_written_down_first(shop: Shop) -> None:
    with FakePrinter() as printer:
        lane = shop.worker(printer.uri)
        shop.control.pause(shop.org, lane.device_id, "")
        job = shop.send()
        with full_disk(shop.store.engine.path):
            shop.store.lanes.pause(lane.device_id, False)
            until(lambda: printer.connections >= 2)
            assert printer.jobs == printer.unfinished == []
        assert shop.wait(job).state == "delivered"
        assert printer.jobs == [LABEL]


def test_the_attempt_is_on_the_disk_before_its_first_byte_leaves(shop: Shop, tmp_path: Path) -> None:
    """The data folder is copied while the printer has taken nothing yet: the copy already knows of the attempt."""
    with FakePrinter(never_read=True, rcvbuf=4096) as printer:
        shop.worker(printer.uri, stall_s=5)
        job = shop.send(HUGE)
        ticket = shop.store.lanes.ticket(job.id)
        assert ticket is not None
        until(lambda: ticket.progress.bytes_sent > 0)
        (tmp_path / "copy").mkdir()
        for name in ("bridge.db", "bridge.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / "copy" / name)
        with Shop(tmp_path / "copy") as copy:
            assert copy.state(job) == State.SENDING
            assert results(copy, job) == [None]
        shop.control.cancel(shop.org, job.id)
        shop.wait(job)
