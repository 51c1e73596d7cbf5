"""Commands: each is durable when it returns, and says why it cannot be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bridge.errors import Conflict, Invalid, NotFound
from bridge.model import WAITING, Job, State, Template
from tests.bridge.shop import LABEL, Shop, together


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def sent(shop: Shop, job: Job, to: State, sent: int | None = 100, text: str = "") -> Job:
    """A sending of the job that ended so."""
    attempt = shop.store.jobs.begin_attempt(job, bytes_total=100, pages=None)()
    assert attempt is not None
    ticket = shop.store.lanes.ticket(job.id)
    if ticket is not None:
        shop.store.lanes.leave(ticket)
    shop.store.jobs.end_attempt(job, attempt, to, bytes_sent=sent, evidence=None, text=text)()
    return shop.job(job)


# -- launching


def test_a_created_job_waits_until_it_is_launched(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send(launch=False)
    assert lane.first_ready() is None
    launched = shop.control.launch(shop.org, job.id)
    assert (launched.state, launched.launch, launched.possible_duplicate) == ("queued", 1, False)
    assert lane.first_ready() is not None


def test_a_job_on_its_way_is_not_launched_twice(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send(launch=False)
    together(20, lambda n: shop.control.launch(shop.org, job.id))
    assert shop.job(job).launch == 1
    assert len(lane.tickets) == 1
    shop.store.jobs.begin_attempt(shop.job(job), bytes_total=1, pages=None)()
    assert shop.control.launch(shop.org, job.id).state == "sending"


def test_a_job_without_a_document_cannot_be_launched(shop: Shop) -> None:
    job = shop.send(None, launch=False)
    with pytest.raises(Invalid, match="the job has no document; give it a document first"):
        shop.control.launch(shop.org, job.id)


@pytest.mark.parametrize(
    ("ended", "left", "flagged"),
    [
        (State.DELIVERED, 100, True), (State.PRINTED, 100, True), (State.FAILED, 40, True), (State.CANCELLED, 40, True),
        (State.CANCELLED, None, True), (State.FAILED, 0, False), (State.CANCELLED, 0, False),
    ],
)  # fmt: skip
def test_a_second_sending_is_flagged_when_a_label_may_be_out(
    shop: Shop, ended: State, left: int | None, flagged: bool
) -> None:
    shop.lane()
    job = sent(shop, shop.send(), ended, left)
    again = shop.control.launch(shop.org, job.id)
    assert (again.state, again.launch, again.possible_duplicate) == ("queued", 2, flagged)


def test_an_unconfirmed_job_cannot_be_launched_again(shop: Shop) -> None:
    job = sent(shop, shop.send(), State.UNCONFIRMED, text="label 1 of 2 may have printed")
    with pytest.raises(Conflict, match=r"may already have printed \(label 1 of 2 may have printed\); look at the pri"):
        shop.control.launch(shop.org, job.id)


# -- cancelling


def test_a_waiting_job_is_cancelled_at_once(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send()
    cancelled = shop.control.cancel(shop.org, job.id)
    assert (cancelled.state, cancelled.text) == ("cancelled", "cancelled before anything was sent")
    assert lane.tickets == []
    assert shop.control.cancel(shop.org, job.id) == cancelled


def test_a_job_being_sent_is_stopped_and_its_worker_has_the_last_word(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send()
    ticket = lane.take()
    assert ticket is not None
    shop.store.jobs.begin_attempt(job, bytes_total=1, pages=None)()
    assert shop.control.cancel(shop.org, job.id).state == "sending"
    assert ticket.stopped


@pytest.mark.parametrize("state", [State.DELIVERED, State.PRINTED, State.FAILED])
def test_what_is_over_cannot_be_cancelled(shop: Shop, state: State) -> None:
    job = sent(shop, shop.send(), state)
    with pytest.raises(Conflict, match=f"is {state}; there is nothing left to cancel"):
        shop.control.cancel(shop.org, job.id)


# -- resolving


def test_a_person_says_that_it_printed(shop: Shop) -> None:
    job = sent(shop, shop.send(), State.UNCONFIRMED)
    resolved = shop.control.resolve(shop.org, job.id, "printed")
    assert (resolved.state, resolved.evidence) == ("delivered", "person")
    assert resolved.text == "a person said that it printed"


def test_a_person_wants_the_labels_again(shop: Shop) -> None:
    lane = shop.lane()
    job = sent(shop, shop.send(), State.UNCONFIRMED)
    again = shop.control.resolve(shop.org, job.id, "again")
    assert (again.state, again.launch, again.possible_duplicate) == ("queued", 2, True)
    assert [ticket.job_id for ticket in lane.tickets] == [job.id]


def test_a_person_gives_up(shop: Shop) -> None:
    job = sent(shop, shop.send(), State.UNCONFIRMED, text="the label may have printed")
    resolved = shop.control.cancel(shop.org, job.id)
    assert (resolved.state, resolved.text) == ("cancelled", "given up by a person; the label may have printed")


def test_of_many_answers_one_counts(shop: Shop) -> None:
    lane = shop.lane()
    job = sent(shop, shop.send(), State.UNCONFIRMED)
    together(12, lambda n: shop.control.resolve(shop.org, job.id, ("again", "printed", "cancel")[n % 3]))  # type: ignore[arg-type]
    now = shop.job(job)
    assert now.state in (State.QUEUED, State.DELIVERED, State.CANCELLED)
    assert now.launch + len(lane.tickets) == (3 if now.state is State.QUEUED else 1)


def test_there_is_nothing_to_resolve_where_there_is_no_doubt(shop: Shop) -> None:
    with pytest.raises(Conflict, match="is queued, not unconfirmed"):
        shop.control.resolve(shop.org, shop.send().id, "again")


# -- deleting


def test_a_waiting_job_is_cancelled_and_forgotten_with_its_files(shop: Shop) -> None:
    lane = shop.lane()
    job = shop.send(LABEL * 100)
    assert shop.store.spool.document(job.id).exists()
    shop.control.delete(shop.org, job.id)
    assert lane.tickets == []
    assert not shop.store.spool.document(job.id).exists()
    with pytest.raises(NotFound):
        shop.control.job(shop.org, job.id)


def test_a_doubt_is_not_deleted(shop: Shop) -> None:
    job = sent(shop, shop.send(), State.UNCONFIRMED)
    with pytest.raises(Conflict, match="may already have printed"):
        shop.control.delete(shop.org, job.id)


def test_a_job_being_sent_is_not_deleted(shop: Shop) -> None:
    shop.lane()
    job = shop.send()
    shop.store.jobs.begin_attempt(job, bytes_total=1, pages=None)()
    with pytest.raises(Conflict, match="is being sent right now"):
        shop.control.delete(shop.org, job.id)


# -- printers and clients


def test_pausing_and_resuming_at_once_leave_memory_and_disk_of_one_mind(shop: Shop) -> None:
    pause = partial(shop.control.pause, reason="ribbon")
    lane = shop.lane()
    for _ in range(5):
        together(4, lambda n: (shop.control.resume if n % 2 else pause)(shop.org, lane.device_id))
        assert lane.paused == shop.device().paused


def test_a_printer_of_the_configuration_is_deleted_there(shop: Shop) -> None:
    with pytest.raises(Conflict, match="dock is set up in this bridge's configuration; remove it there"):
        shop.control.delete_device(shop.org, shop.device().id)


def test_what_waits_for_a_printer_that_is_deleted_says_so(shop: Shop) -> None:
    other = shop.control.add_client(shop.org, "packing-2")
    jobs = []
    for name in ("a", "b"):
        shop.control.add_device(shop.org, other.id, name)
        device = shop.store.devices.by_name(shop.org, other.id, name)
        assert device is not None
        request = shop.request()
        jobs.append(shop.intake.accept(replace(request, device_id=device.id))[0])
    shop.control.delete_device(shop.org, jobs[0].device_id)
    assert (shop.state(jobs[0]), shop.state(jobs[1])) == ("cancelled", "queued")
    assert shop.job(jobs[0]).text == "its printer a was deleted before anything was sent"
    shop.control.delete_client(shop.org, other.id)
    assert shop.job(jobs[1]).text == "its printer b was deleted before anything was sent"
    assert [shop.store.devices.get(shop.org, job.device_id) for job in jobs] == [None, None]


def test_a_name_is_given_once_per_client(shop: Shop) -> None:
    other = shop.control.add_client(shop.org, "packing-2")
    device = shop.control.add_device(shop.org, other.id, "a")
    shop.control.add_device(shop.org, other.id, "b")
    with pytest.raises(Conflict, match="already has a device called 'a'"):
        shop.control.add_device(shop.org, other.id, "a")
    with pytest.raises(Conflict, match="already has a device of that name"):
        shop.control.change_device(shop.org, device.id, name="b")
    with pytest.raises(Conflict, match="this client_id cannot be used"):
        shop.control.add_client(shop.org, "packing-3", client_id=other.id)


def test_what_does_not_exist_is_not_found(shop: Shop) -> None:
    for command in (
        lambda: shop.control.launch(shop.org, "x"), lambda: shop.control.cancel(shop.org, "x"),
        lambda: shop.control.resolve(shop.org, "x", "again"), lambda: shop.control.delete(shop.org, "x"),
        lambda: shop.control.pause(shop.org, "x", ""), lambda: shop.control.change_device(shop.org, "x", name="y"),
        lambda: shop.control.delete_device(shop.org, "x"), lambda: shop.control.change_client(shop.org, "x"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            command()


def test_what_another_machine_says_of_its_job_is_believed(shop: Shop) -> None:
    job = shop.send()
    told = shop.control.report(shop.org, job.id, State.DELIVERED, "printed at packing-2")
    assert (told.state, told.text, told.evidence) == ("delivered", "printed at packing-2", "client")
    shop.lane()
    with pytest.raises(Conflict, match="this bridge prints job .* itself"):
        shop.control.report(shop.org, shop.send().id, State.DELIVERED, "printed")


def test_a_template_is_a_document_too(shop: Shop) -> None:
    job = shop.send(Template("address", {"name": "Ada"}), launch=False)
    assert shop.control.launch(shop.org, job.id).state in WAITING
