"""Which job is next at which printer: order, read-ahead, and no waiting job that nobody knows of any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridge.model import Job, State
from bridge.store.lanes import Lane, Stage, Ticket
from tests.bridge.shop import LABEL, PDF, Shop, together, until

URL = "http://127.0.0.1:9/label.zpl"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def drain(lane: Lane) -> list[str]:
    """The jobs that are ready, in the order in which a worker would send them."""
    taken = []
    while lane.first_ready() is not None:
        ticket = lane.take()
        assert ticket is not None
        taken.append(ticket.job_id)
    return taken


def ids(*jobs: Job) -> list[str]:
    return [job.id for job in jobs]


def soon(shop: Shop, stage: Stage) -> Ticket | None:
    """What a fetching or drawing thread gets within a moment; None when it would have to wait."""
    lanes = shop.store.lanes
    found = next(lanes._candidates(stage), None)
    if found is None:
        return None
    return lanes.next_to_fetch() if stage is Stage.FETCH else lanes.next_to_draw(0)


# -- order


def test_the_highest_priority_is_next_and_then_the_oldest(shop: Shop) -> None:
    lane = shop.lane()
    a, b, c, d = (shop.send(priority=priority) for priority in (0, 9, 0, 9))
    assert drain(lane) == ids(b, d, a, c)


def test_the_same_job_pushed_twice_has_one_place(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send()
    together(10, lambda n: shop.store.lanes.push(job))
    assert drain(lane) == ids(job)


def test_a_job_for_a_printer_that_is_not_set_up_has_no_place(shop: Shop) -> None:
    job = shop.send()
    assert not shop.store.lanes.push(job)
    assert shop.store.lanes.ticket(job.id) is None


def test_each_printer_has_a_lane_of_its_own(shop: Shop) -> None:
    dock, till = shop.lane("dock"), shop.lane("till")
    a, b = shop.send(name="dock"), shop.send(name="till")
    assert (drain(dock), drain(till)) == (ids(a), ids(b))


def test_a_job_given_back_keeps_its_place(shop: Shop) -> None:
    lane = shop.lane()
    a, b = shop.send(), shop.send()
    ticket = lane.take()
    assert ticket is not None
    assert shop.store.lanes.give_back(ticket)
    assert drain(lane) == ids(a, b)


def test_a_job_that_is_not_ready_does_not_delay_one_that_is(shop: Shop) -> None:
    lane = shop.lane()
    shop.link(URL)
    shop.send(PDF)
    ready = shop.send()
    assert drain(lane) == ids(ready)


def test_at_an_ordered_printer_it_does(shop: Shop) -> None:
    lane = shop.lane(ordered=True)
    link = shop.link(URL)
    ready = shop.send()
    assert drain(lane) == []
    ticket = shop.store.lanes.next_to_fetch()
    assert ticket is not None
    shop.store.lanes.advance(ticket, Stage.READY)
    first = lane.take()
    assert first is not None and first.job_id == link.id
    shop.store.lanes.leave(first)
    assert drain(lane) == ids(ready)


def test_after_a_restart_the_order_is_the_same(shop: Shop, tmp_path: Path) -> None:
    jobs = [shop.send(priority=priority) for priority in (0, 3, 0, 3)]
    shop.stop()
    with Shop(tmp_path) as again:
        assert drain(again.lane()) == ids(jobs[1], jobs[3], jobs[0], jobs[2])


# -- ahead of the worker


def test_two_documents_are_drawn_ahead_of_a_printer(shop: Shop) -> None:
    lane = shop.lane()
    for _ in range(4):
        shop.send(PDF)
    shop.drawing(b"page", of=1)
    shop.drawing(b"page", of=1)
    assert soon(shop, Stage.DRAW) is None
    assert lane.take() is not None
    assert soon(shop, Stage.DRAW) is not None


def test_taking_a_job_wakes_those_who_draw(shop: Shop) -> None:
    lane = shop.lane()
    for _ in range(3):
        shop.send(PDF)
    shop.drawing(b"page", of=1)
    shop.drawing(b"page", of=1)
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(shop.store.lanes.next_to_draw, 0)
        time.sleep(0.05)
        assert not third.done()
        lane.take()
        assert third.result(60) is not None


def test_two_documents_are_fetched_ahead_and_two_at_a_time(shop: Shop) -> None:
    lane, lanes = shop.lane(), shop.store.lanes
    for _ in range(5):
        shop.link(URL)
    first, second = soon(shop, Stage.FETCH), soon(shop, Stage.FETCH)
    assert first and second
    assert soon(shop, Stage.FETCH) is None
    for ticket in (first, second):
        lanes.advance(ticket, Stage.READY)
    assert soon(shop, Stage.FETCH) is None
    lane.take()
    assert soon(shop, Stage.FETCH) is not None


def test_one_printers_documents_do_not_keep_all_threads_busy(shop: Shop) -> None:
    shop.lane("dock"), shop.lane("till")
    for _ in range(5):
        shop.link(URL, "dock")
    other = shop.link(URL, "till")
    found = [soon(shop, Stage.FETCH) for _ in range(3)]
    assert [ticket.device_id for ticket in found if ticket].count(other.device_id) == 1


def test_the_second_drawing_thread_waits_a_while_before_it_helps(shop: Shop) -> None:
    shop.lane()
    shop.send(PDF)
    began = time.monotonic()
    assert shop.store.lanes.next_to_draw(0.2) is not None
    assert 0.15 < time.monotonic() - began < 20


def test_a_more_urgent_document_is_drawn_though_two_are_ready(shop: Shop) -> None:
    shop.lane()
    for _ in range(2):
        shop.send(PDF)
        shop.drawing(b"page", of=1)
    urgent = shop.send(PDF, priority=1)
    ticket = soon(shop, Stage.DRAW)
    assert ticket is not None and ticket.job_id == urgent.id


# -- cancelling, and launching again at once


def test_a_cancelled_job_leaves_the_queue(shop: Shop) -> None:
    lane = shop.lane()
    a, b = shop.send(), shop.send()
    shop.control.cancel(shop.org, a.id)
    assert drain(lane) == ids(b)


@pytest.mark.parametrize("document", [LABEL, PDF, None], ids=["ready", "draw", "fetch"])
def test_who_works_on_a_cancelled_job_is_told_and_its_place_goes_with_him(shop: Shop, document: bytes | None) -> None:
    shop.lane()
    job = shop.send(document) if document else shop.link(URL)
    ticket = lease(shop, job)
    shop.control.cancel(shop.org, job.id)
    assert ticket.stopped
    assert not shop.store.lanes.give_back(ticket)
    assert shop.store.lanes.ticket(job.id) is None


@pytest.mark.parametrize("document", [LABEL, PDF, None], ids=["ready", "draw", "fetch"])
@pytest.mark.parametrize("ending", ["leave", "give_back", "advance"])
def test_a_job_launched_again_while_its_cancelled_launch_is_still_worked_on_is_not_lost(
    shop: Shop, document: bytes | None, ending: str
) -> None:
    lanes, lane = shop.store.lanes, shop.lane()
    job = shop.send(document) if document else shop.link(URL)
    old = lease(shop, job)
    shop.control.cancel(shop.org, job.id)
    shop.control.launch(shop.org, job.id)
    new = lanes.ticket(job.id)
    assert new is not None and new is not old and new.launch == 2 and not new.stopped
    if ending == "advance":
        lanes.advance(old, Stage.READY)
    else:
        getattr(lanes, ending)(old)
    assert lanes.ticket(job.id) is new
    assert lane.tickets == [new]
    assert lease(shop, job) is new


def lease(shop: Shop, job: Job) -> Ticket:
    """Somebody takes the job, as its stage wants it."""
    found = shop.store.lanes.ticket(job.id)
    assert found is not None
    if found.stage is Stage.READY:
        lane = shop.store.lanes.lane(job.device_id)
        assert lane is not None
        ticket = lane.take()
    else:
        ticket = soon(shop, found.stage)
    assert ticket is not None
    return ticket


def test_a_cancel_that_comes_late_does_not_stop_the_next_launch(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send()
    shop.control.cancel(shop.org, job.id)
    shop.control.launch(shop.org, job.id)
    shop.store.lanes.stop(job.id, launch=1)
    assert drain(lane) == ids(job)


def test_fetches_that_were_stopped_make_room_for_others(shop: Shop) -> None:
    shop.lane()
    jobs = [shop.link(URL) for _ in range(4)]
    busy = [lease(shop, job) for job in jobs[:2]]
    for job in jobs[:2]:
        shop.control.cancel(shop.org, job.id)
        shop.control.launch(shop.org, job.id)
    assert soon(shop, Stage.FETCH) is None  # both threads are still at it
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shop.store.lanes.next_to_fetch)
        shop.store.lanes.leave(busy[0])
        found = waiting.result(60)
    assert found is not None and found.job_id == jobs[2].id
    shop.store.lanes.give_back(busy[1])
    assert soon(shop, Stage.FETCH) is not None


def test_whatever_threads_do_to_a_job_it_ends_up_where_its_row_says(shop: Shop) -> None:
    """Two workers, two who cancel and two who launch, all on the same three jobs."""
    lane = shop.lane()
    jobs = [shop.send() for _ in range(3)]
    over = threading.Event()

    def work() -> None:
        while (ticket := lane.take()) is not None:
            time.sleep(0.0005)
            row = shop.store.jobs.get(shop.org, ticket.job_id)
            assert row is not None
            if row.state is State.QUEUED and row.launch == ticket.launch:
                shop.store.lanes.give_back(ticket)
            else:
                shop.store.lanes.leave(ticket)

    def annoy(what: str) -> None:
        while not over.is_set():
            for job in jobs:
                try:
                    getattr(shop.control, what)(shop.org, job.id)
                except Exception as error:
                    assert "nothing left to cancel" in str(error), error

    threads = [threading.Thread(target=work) for _ in range(2)]
    threads += [threading.Thread(target=annoy, args=(what,)) for what in ("cancel", "launch") * 2]
    for thread in threads:
        thread.start()
    time.sleep(1)
    over.set()
    for thread in threads[2:]:
        thread.join()
    for job in jobs:
        shop.control.launch(shop.org, job.id)
        ticket = shop.store.lanes.ticket(job.id)
        assert ticket is not None and not ticket.stopped
        assert ticket.launch == shop.job(job).launch
    assert sorted(ticket.job_id for ticket in lane.tickets) == sorted(job.id for job in jobs)
    shop.store.lanes.close()
    for thread in threads:
        thread.join()


# -- waiting, pausing, closing


def test_a_paused_printer_takes_nothing_until_it_is_resumed(shop: Shop) -> None:
    lane = shop.lane()
    shop.control.pause(shop.org, lane.device_id, "ribbon")
    job = shop.send()
    with ThreadPoolExecutor(1) as pool:
        taken = pool.submit(lane.take)
        time.sleep(0.05)
        assert not taken.done()
        shop.control.resume(shop.org, lane.device_id)
        ticket = taken.result(60)
    assert ticket is not None and ticket.job_id == job.id


def test_a_nap_ends_when_a_person_resumes_the_printer_or_the_bridge_stops(shop: Shop) -> None:
    lane = shop.lane()
    assert lane.nap(0.01)
    with ThreadPoolExecutor(1) as pool:
        nap = pool.submit(lane.nap, 60)
        time.sleep(0.05)
        shop.send()
        assert not nap.done()
        shop.control.resume(shop.org, lane.device_id)
        assert nap.result(60)
        nap = pool.submit(lane.nap, 60)
        shop.store.lanes.close()
        assert not nap.result(60)


def test_closing_sends_everybody_home(shop: Shop) -> None:
    lane = shop.lane()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(lane.take), pool.submit(shop.store.lanes.next_to_fetch)]
        waiting.append(pool.submit(shop.store.lanes.next_to_draw, 0))
        time.sleep(0.05)
        shop.store.lanes.close()
        assert [each.result(60) for each in waiting] == [None, None, None]
    shop.send()
    assert lane.take() is None


def test_ten_thousand_waiting_jobs_are_no_burden(shop: Shop) -> None:
    """Loaded within seconds, and a thread that looks for work does not go through all of them for each label."""
    first = shop.send()
    columns = "organization_id, client_id, device_id, device_name, dialect, title, state, size, sha256, kind, launch"
    rest = "copies, priority, created_at, updated_at, payload"
    shop.store.engine.write(
        lambda db: db.execute(
            f"INSERT INTO jobs (id, queued_seq, {columns}, {rest}) SELECT id || '-' || n, 1000 + n, {columns}, copies,"
            " priority, created_at, updated_at, hex(zeroblob(1000)) FROM jobs, (WITH RECURSIVE count(n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 9999) SELECT n FROM count)"
        )
    )
    began = time.monotonic()
    lane = shop.lane()
    assert len(lane.tickets) == 10_000
    assert time.monotonic() - began < 20
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(shop.store.lanes.next_to_fetch) for _ in range(3)]
        began = time.process_time()
        for number in range(500):
            ticket = lane.take()
            assert ticket is not None
            assert ticket.order == (0, first.queued_seq if number == 0 else 1000 + number)
            shop.store.lanes.leave(ticket)
            time.sleep(0.0002)
        assert time.process_time() - began < 3
        shop.store.lanes.close()
        assert [each.result() for each in waiting] == [None] * 3
    until(lambda: len(lane.tickets) == 9_500)
