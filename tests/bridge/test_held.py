"""Jobs that wait for a person, jobs that come too late, jobs that break things, jobs that change their printer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.control import Control
from bridge.deliver import worker
from bridge.deliver.aside import EXPIRED
from bridge.errors import Conflict, Invalid
from bridge.model import EVERYTHING, Job, Options, State, Template
from tests.bridge.shop import LABEL, PDF, Shop, until
from tests.fake.printer import FakePrinter


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker tries again after a twentieth of a second, not a second."""
    monkeypatch.setattr(worker, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(worker, "LAST_RETRY_S", 0.2)


def held(shop: Shop, job: Job) -> tuple[str, str | None]:
    return shop.state(job), shop.job(job).reason


# -- hold and release


def test_a_job_that_is_to_be_held_is_stored_and_waits_until_somebody_releases_it(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job, other = shop.send(hold=True), shop.wait(shop.send())
        assert (held(shop, job), other.state) == (("held", "release"), "delivered")
        shop.control.release(shop.org, job.id)
        assert shop.wait(job).state == "delivered"
        assert printer.jobs == [LABEL, LABEL]
    assert shop.job(job).possible_duplicate is False and shop.job(job).reason is None


def test_a_waiting_job_can_be_held_and_keeps_nobody_back(shop: Shop) -> None:
    with FakePrinter(refuse=True) as printer:
        shop.worker(printer.uri)
        first, second = shop.send(LABEL + b"1"), shop.send(LABEL + b"2")
        shop.control.hold(shop.org, first.id)
        printer.switch_on()
        assert shop.wait(second).state == "delivered"
        assert held(shop, first) == ("held", "release")
        shop.control.release(shop.org, first.id)
        shop.wait(first)
        assert printer.jobs == [LABEL + b"2", LABEL + b"1"]


def test_a_held_job_is_still_held_after_a_restart(tmp_path: Path) -> None:
    with Shop(tmp_path) as shop:
        job = shop.send(hold=True)
    with Shop(tmp_path) as shop, FakePrinter() as printer:
        shop.worker(printer.uri)
        shop.wait(shop.send())
        assert held(shop, job) == ("held", "release")


def test_what_is_over_cannot_be_held_and_what_is_not_held_cannot_be_released(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.wait(shop.send())
    with pytest.raises(Conflict, match="delivered; only a job that waits"):
        shop.control.hold(shop.org, job.id)
    with pytest.raises(Conflict, match="delivered, not held"):
        shop.control.release(shop.org, job.id)


def test_launching_a_held_job_releases_it(shop: Shop) -> None:
    job = shop.send(hold=True)
    assert shop.control.launch(shop.org, job.id).state == "queued"


def test_a_cancelled_held_job_is_over(shop: Shop) -> None:
    job = shop.send(hold=True)
    assert shop.control.cancel(shop.org, job.id).state == "cancelled"


# -- stale


def test_labels_that_waited_too_long_through_an_outage_are_held_and_released_by_one_command(shop: Shop) -> None:
    with FakePrinter(refuse=True) as printer:
        shop.worker(printer.uri, hold_older_than_s=5)
        old = [shop.send(LABEL + b"%d" % number) for number in range(5)]
        time.sleep(5.2)
        young = shop.send(LABEL + b"young")
        printer.switch_on()
        assert shop.wait(young).state == "delivered"
        assert [held(shop, job) for job in old] == [("held", "stale")] * 5
        assert "release it to print it all the same, or cancel it" in shop.job(old[0]).text
        assert printer.jobs == [LABEL + b"young"]
        assert shop.control.release_all(shop.org, reason="stale") == 5
        for job in old:
            shop.wait(job)
        assert printer.jobs == [LABEL + b"young", *(LABEL + b"%d" % number for number in range(5))]


def test_stale_labels_are_discarded_by_one_command(shop: Shop) -> None:
    with FakePrinter(refuse=True) as printer:
        lane = shop.worker(printer.uri, hold_older_than_s=0.2)
        jobs = [shop.send() for _ in range(3)]
        kept = shop.send(name="other", hold=True)
        time.sleep(0.4)
        printer.switch_on()
        until(lambda: all(held(shop, job) == ("held", "stale") for job in jobs))
        assert shop.control.discard_all(shop.org, device_id=lane.device_id) == 3
        assert [shop.state(job) for job in jobs] == ["cancelled"] * 3
        assert held(shop, kept) == ("held", "release") and printer.jobs == []


def test_a_long_queue_alone_makes_no_label_stale(shop: Shop) -> None:
    with FakePrinter(delay_close_s=1) as printer:
        shop.worker(printer.uri, hold_older_than_s=3)
        jobs = [shop.send() for _ in range(5)]
        assert [shop.wait(job).state for job in jobs] == ["delivered"] * 5


def test_labels_that_waited_through_a_night_without_the_bridge_are_stale_too(tmp_path: Path) -> None:
    with Shop(tmp_path) as shop:
        job = shop.send()
    with Shop(tmp_path) as shop, FakePrinter() as printer:
        shop.worker(printer.uri, hold_older_than_s=60, waited_s=3600)
        until(lambda: held(shop, job) == ("held", "stale"))
        assert "it waited 60 minutes" in shop.job(job).text and printer.jobs == []


# -- expiry


def test_a_label_whose_time_is_over_is_never_printed(shop: Shop) -> None:
    with FakePrinter(refuse=True) as printer:
        shop.worker(printer.uri)
        late = shop.send(LABEL + b"late", expires_at=time.time() + 0.4)
        good = shop.send(LABEL + b"good", expires_at=time.time() + 600)
        time.sleep(0.6)
        printer.switch_on()
        assert shop.wait(good).state == "delivered"
        assert (shop.wait(late, [State.EXPIRED]).text, printer.jobs) == (EXPIRED, [LABEL + b"good"])


def test_an_expired_job_does_not_wait_for_its_printer_to_say_so(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send(expires_at=time.time() + 0.05)
    until(lambda: bool(shop.store.lanes.overdue()))
    for ticket in shop.store.lanes.overdue():
        Control(shop.store).expire(ticket.organization_id, ticket.job_id, ticket.launch, EXPIRED)
    assert shop.state(job) == "expired" and lane.tickets == []


def test_a_clock_that_is_set_makes_no_label_expire(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.lane()
    job = shop.send(expires_at=time.time() + 600)
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
    assert shop.store.lanes.overdue() == [] and shop.state(job) == "queued"


def test_a_time_that_is_long_over_is_refused_at_the_door(shop: Shop) -> None:
    with pytest.raises(Invalid, match="lies in the past"):
        shop.send(expires_at=1.0)


# -- another printer


def test_a_waiting_job_moves_to_another_printer_and_is_printed_there_alone(shop: Shop) -> None:
    with FakePrinter(refuse=True) as broken, FakePrinter() as other:
        shop.worker(broken.uri, "broken")
        lane = shop.worker(other.uri, "other")
        job = shop.send(name="broken")
        until(lambda: shop.store.lanes.lane(job.device_id).state.state == "stopped")  # type: ignore[union-attr]
        moved = shop.control.move(shop.org, job.id, shop.device("other"))
        assert (moved.device_id, moved.device_name) == (lane.device_id, "other")
        assert shop.wait(job).state == "delivered" and other.jobs == [LABEL]
        broken.switch_on()
        shop.wait(shop.send(LABEL + b"next", name="broken"))
        assert broken.jobs == [LABEL + b"next"]
    assert "moved from broken to other" in [e.text for e in shop.store.events.of_job(shop.org, job.id)]


def test_a_held_job_stays_held_when_it_is_moved(shop: Shop) -> None:
    job = shop.send(hold=True)
    shop.control.move(shop.org, job.id, shop.device("other"))
    assert held(shop, job) == ("held", "release") and shop.job(job).device_name == "other"


def test_what_was_sent_cannot_be_moved(shop: Shop) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.wait(shop.send())
    with pytest.raises(Conflict, match="can no longer be moved"):
        shop.control.move(shop.org, job.id, shop.device("other"))
    with pytest.raises(Invalid, match="already at dock"):
        shop.control.move(shop.org, job.id, shop.device())


def test_a_drawing_that_is_under_way_for_the_old_printer_is_not_sent_to_the_new_one(shop: Shop) -> None:
    with FakePrinter() as other:
        shop.lane("old")
        shop.worker(other.uri, "new")
        job = shop.send(PDF, name="old")
        shop.drawing(b"^XA for the old one ^XZ", of=1)
        shop.control.move(shop.org, job.id, shop.device("new"))
        shop.drawing(b"^XA for the new one ^XZ", of=1).output.finish()  # type: ignore[union-attr]
        assert shop.wait(job).state == "delivered"
        assert other.jobs == [b"^XA for the new one ^XZ"]


# -- once more


@pytest.mark.parametrize("data", [LABEL, LABEL * 200], ids=["row", "file"])
def test_a_reprint_is_a_new_job_with_the_same_document_and_a_flag(shop: Shop, data: bytes) -> None:
    with FakePrinter() as printer:
        shop.worker(printer.uri)
        job = shop.wait(shop.send(data, copies=2))
        again, created = shop.intake.reprint(job, copies=1, grants=EVERYTHING)
        assert shop.wait(again).state == "delivered"
        assert printer.jobs == [data * 2, data]
    assert created and again.id != job.id
    assert (again.reprint_of, again.possible_duplicate, again.copies) == (job.id, True, 1)


def test_one_label_of_a_document_is_reprinted_with_its_count(shop: Shop) -> None:
    shop.lane()
    job = shop.send(PDF, copies=10, options=Options(pages="3-7"))
    shop.store.jobs.annotate(job, pages=5)
    until(lambda: shop.job(job).pages == 5)
    again, _ = shop.intake.reprint(shop.job(job), label=2, copies=3, grants=EVERYTHING)
    assert (Options.from_json(again.options).pages, again.copies) == ("4", 3)
    with pytest.raises(Invalid, match="has 5 labels, not 6"):
        shop.intake.reprint(shop.job(job), label=6, grants=EVERYTHING)


def test_a_template_is_reprinted_as_it_was_filled_in(shop: Shop) -> None:
    shop.lane()
    job = shop.send(Template("test-4x6", {"printer": "dock"}))
    again, _ = shop.intake.reprint(job, grants=EVERYTHING)
    assert shop.store.jobs.body(shop.org, again.id) == shop.store.jobs.body(shop.org, job.id)


def test_a_reprint_that_is_asked_for_twice_with_one_key_is_one_job(shop: Shop) -> None:
    shop.lane()
    job = shop.send()
    (one, first), (two, second) = (shop.intake.reprint(job, idempotency_key="k", grants=EVERYTHING) for _ in range(2))
    assert (one.id, first, second) == (two.id, True, False)


def test_a_document_that_is_gone_cannot_be_reprinted(shop: Shop) -> None:
    shop.lane()
    job = shop.send(LABEL * 200)
    shop.store.spool.document(job.id).unlink()
    with pytest.raises(Conflict, match="is not kept any more"):
        shop.intake.reprint(job, grants=EVERYTHING)
