"""The table of jobs: stored once, moved by one at a time, ordered by submission and never by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.model import ENDED, WAITING, Job, Options, State, Upload, new_id
from bridge.store.jobs import JobForgotten, KeyReused, NewJob
from tests.bridge.shop import Shop, together


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def new(shop: Shop, body: bytes = b"^XA^XZ", *, fingerprint: str = "f", **request: object) -> NewJob:
    wanted = replace(shop.request(body), **request)  # type: ignore[arg-type]
    document = ("zpl", len(body), "hash", None, body)
    return NewJob(wanted, shop.client.id, "dock", new_id(), *document, fingerprint, wanted.title)


def add(shop: Shop, **request: object) -> Job:
    return shop.store.jobs.add(new(shop, **request))[0]  # type: ignore[arg-type]


def begin(shop: Shop, job: Job) -> int | None:
    return shop.store.jobs.begin_attempt(job, bytes_total=6, pages=None)()


def end(shop: Shop, job: Job, attempt: int | None, to: State, text: str = "") -> None:
    assert attempt is not None
    shop.store.jobs.end_attempt(job, attempt, to, bytes_sent=6, evidence="closed", text=text)()


def timeline(shop: Shop, job: Job) -> list[tuple[str | None, str]]:
    return [(event.state, event.text) for event in shop.store.events.of_job(shop.org, job.id)]


# -- creating


def test_a_job_is_read_back_as_it_was_stored(shop: Shop) -> None:
    job = add(shop, title="Étiquette", copies=3, priority=5, options=Options(dither=True), payload='{"a": 1}')
    assert shop.store.jobs.get(shop.org, job.id) == job
    assert (job.state, job.title, job.copies, job.priority, job.payload) == ("queued", "Étiquette", 3, 5, '{"a": 1}')
    assert Options.from_json(job.options) == Options(dither=True)
    assert shop.store.jobs.body(shop.org, job.id) == b"^XA^XZ"
    assert job.launch == 1


def test_a_job_that_is_not_launched_has_no_launch_yet(shop: Shop) -> None:
    job = add(shop, launch=False)
    assert (job.state, job.launch) == ("created", 0)
    assert list(shop.store.jobs.waiting(job.device_id)) == []


def test_options_of_a_newer_version_are_passed_over() -> None:
    assert Options.from_json('{"dither": true, "holograms": 3}') == Options(dither=True)


def test_another_organization_sees_nothing(shop: Shop) -> None:
    job, other = add(shop), new_id()
    jobs = shop.store.jobs
    assert jobs.get(other, job.id) is None
    assert jobs.body(other, job.id) is None
    assert jobs.page(other) == ([], 0)
    assert jobs.move(other, job.id, State, State.CANCELLED) is None
    assert not jobs.delete(other, job.id, State)
    assert jobs.body(shop.org, job.id) == b"^XA^XZ"


# -- idempotency


def test_fifty_threads_with_one_key_make_one_job(shop: Shop) -> None:
    wanted = [new(shop, idempotency_key="order 7") for _ in range(50)]
    answers = together(50, lambda n: shop.store.jobs.add(wanted[n]))
    assert len({job.id for job, _ in answers}) == 1
    assert [created for _, created in answers].count(True) == 1
    assert shop.store.jobs.page(shop.org)[1] == 1


def test_a_key_used_for_something_else_is_refused_and_the_first_job_stays(shop: Shop) -> None:
    first = add(shop, idempotency_key="order 7")
    with pytest.raises(KeyReused):
        add(shop, idempotency_key="order 7", fingerprint="g")
    assert shop.store.jobs.page(shop.org) == ([first], 1)


def test_the_key_of_a_deleted_job_cannot_print_it_again(shop: Shop) -> None:
    job = add(shop, idempotency_key="order 7")
    assert shop.store.jobs.delete(shop.org, job.id, [State.QUEUED])
    with pytest.raises(JobForgotten):
        add(shop, idempotency_key="order 7")
    assert shop.store.jobs.page(shop.org)[1] == 0


def test_two_organizations_may_use_the_same_key(shop: Shop) -> None:
    add(shop, idempotency_key="order 7")
    other = new(shop, idempotency_key="order 7")
    assert shop.store.jobs.add(replace(other, request=replace(other.request, organization_id=new_id())))[1]


# -- moving


def test_a_move_happens_only_from_the_states_it_is_allowed_from(shop: Shop) -> None:
    job = add(shop)
    assert shop.store.jobs.move(shop.org, job.id, [State.HELD], State.CANCELLED) is None
    moved = shop.store.jobs.move(shop.org, job.id, WAITING, State.CANCELLED, text="enough")
    assert moved is not None
    assert (moved.state, moved.text) == ("cancelled", "enough")
    assert timeline(shop, job) == [("queued", ""), ("cancelled", "enough")]


def test_of_many_who_move_a_job_one_succeeds(shop: Shop) -> None:
    job = add(shop)
    answers = together(20, lambda n: shop.store.jobs.move(shop.org, job.id, WAITING, State.CANCELLED, text=f"{n}"))
    assert len([each for each in answers if each is not None]) == 1


def test_a_move_that_means_an_earlier_launch_does_nothing(shop: Shop) -> None:
    job = add(shop)
    shop.store.jobs.move(shop.org, job.id, WAITING, State.CANCELLED)
    shop.store.jobs.launch(shop.org, job.id, text="again", duplicate=False, allowed=ENDED)
    assert shop.store.jobs.move(shop.org, job.id, WAITING, State.FAILED, launch=1) is None
    assert shop.state(job) == "queued"


def test_each_launch_has_a_number_and_goes_to_the_end_of_the_queue(shop: Shop) -> None:
    first, second = add(shop), add(shop)
    shop.store.jobs.move(shop.org, first.id, WAITING, State.CANCELLED)
    again = shop.store.jobs.launch(shop.org, first.id, text="again", duplicate=True, allowed=ENDED)
    assert again is not None
    assert (again.launch, again.possible_duplicate, again.text) == (2, True, "")
    assert [job.id for job in shop.store.jobs.waiting(first.device_id)] == [second.id, first.id]


# -- attempts


def test_of_many_who_claim_a_job_for_sending_one_gets_it(shop: Shop) -> None:
    job = add(shop)
    claims = together(20, lambda n: begin(shop, job))
    assert len([each for each in claims if each is not None]) == 1
    assert shop.state(job) == "sending"
    assert shop.job(job).attempts == 1


def test_a_cancelled_job_cannot_be_claimed(shop: Shop) -> None:
    job = add(shop)
    shop.store.jobs.move(shop.org, job.id, WAITING, State.CANCELLED)
    assert begin(shop, job) is None


def test_who_knows_an_earlier_launch_cannot_claim_a_later_one(shop: Shop) -> None:
    job = add(shop)
    shop.store.jobs.move(shop.org, job.id, WAITING, State.CANCELLED)
    shop.store.jobs.launch(shop.org, job.id, text="again", duplicate=False, allowed=ENDED)
    assert begin(shop, job) is None
    assert begin(shop, shop.job(job)) is not None


def test_the_end_of_an_attempt_is_told_by_the_attempt_the_job_and_its_timeline(shop: Shop) -> None:
    job = add(shop)
    end(shop, job, begin(shop, job), State.DELIVERED, "took 6 bytes")
    now = shop.job(job)
    assert (now.state, now.evidence, now.text) == ("delivered", "closed", "took 6 bytes")
    [attempt] = shop.store.jobs.attempts(shop.org, job.id)
    told = {name: attempt[name] for name in ("launch", "bytes_total", "bytes_sent", "result")}
    assert told == {"launch": 1, "bytes_total": 6, "bytes_sent": 6, "result": "delivered"}
    assert [state for state, _ in timeline(shop, job)] == ["queued", "sending", "delivered"]


def test_a_job_that_was_being_sent_is_found_after_a_crash(shop: Shop) -> None:
    job, waiting = add(shop), add(shop)
    begin(shop, job)
    assert [each.id for each in shop.store.jobs.interrupted(shop.client.id)] == [job.id]
    assert [each.id for each in shop.store.jobs.waiting(job.device_id)] == [waiting.id]


# -- order


def test_the_highest_priority_waits_first_and_then_the_oldest_launch(shop: Shop) -> None:
    jobs = [add(shop, priority=priority) for priority in (0, 5, 0, -1, 5)]
    order = [jobs.index(each) for each in shop.store.jobs.waiting(jobs[0].device_id)]
    assert order == [1, 4, 0, 2, 3]


def test_a_clock_that_jumps_back_changes_no_order(shop: Shop) -> None:
    jobs = [add(shop) for _ in range(3)]
    shop.store.engine.write(lambda db: db.execute("UPDATE jobs SET created_at = -1e9 * serial, updated_at = 0"))
    assert [job.id for job in shop.store.jobs.waiting(jobs[0].device_id)] == [job.id for job in jobs]
    assert [job.id for job in shop.store.jobs.page(shop.org)[0]] == [job.id for job in jobs]


def test_a_page_says_how_many_there_are_in_all(shop: Shop) -> None:
    jobs = [add(shop) for _ in range(5)]
    shop.store.jobs.move(shop.org, jobs[1].id, WAITING, State.CANCELLED)
    page, total = shop.store.jobs.page(shop.org, states=[State.QUEUED], limit=2, offset=1, newest_first=True)
    assert ([job.id for job in page], total) == ([jobs[3].id, jobs[2].id], 4)
    assert shop.store.jobs.page(shop.org, states=[]) == ([], 0)
    assert shop.store.jobs.count_by_state(shop.org) == {"queued": 4, "cancelled": 1}


def test_what_waits_is_found_without_reading_the_history(shop: Shop) -> None:
    plan = shop.store.engine.read().execute(
        "EXPLAIN QUERY PLAN SELECT id FROM jobs WHERE organization_id = 'o' AND device_id = 'd'"
        " AND state IN ('queued', 'preparing')"
    ).fetchall()  # fmt: skip
    assert "USING INDEX jobs_of_device" in plan[0][3]


# -- changing and forgetting


def test_a_job_not_yet_launched_can_become_another_one(shop: Shop) -> None:
    job, later = add(shop, launch=False), shop.device("till")
    wanted = replace(new(shop, b"^XA^FDnew^XZ", device_id=later.id, copies=2, priority=3), job_id=job.id)
    revised = shop.store.jobs.revise(replace(wanted, client_id="other client"), keep=never)
    assert revised is not None
    assert (revised.device_id, revised.client_id, revised.copies) == (later.id, "other client", 2)
    assert (revised.priority, revised.launch, revised.state) == (3, 0, "created")
    assert shop.store.jobs.body(shop.org, job.id) == b"^XA^FDnew^XZ"


def test_a_launched_job_is_not_changed_and_its_document_not_touched(shop: Shop) -> None:
    job = add(shop)
    wanted = replace(new(shop, b""), job_id=job.id, body=None, upload=Upload(Path("/nowhere"), 1, "x"))
    assert shop.store.jobs.revise(wanted, keep=never) is None
    assert shop.job(job) == job
    assert shop.store.jobs.body(shop.org, job.id) == b"^XA^XZ"


def never(upload: Upload) -> None:
    raise AssertionError(f"{upload} was put in the place of a document")


def test_a_deleted_job_leaves_only_the_event_that_says_so(shop: Shop) -> None:
    job = add(shop)
    end(shop, job, begin(shop, job), State.DELIVERED)
    assert shop.store.jobs.delete(shop.org, job.id, ENDED)
    assert shop.store.jobs.get(shop.org, job.id) is None
    assert shop.store.jobs.attempts(shop.org, job.id) == []
    assert shop.store.engine.read().execute("SELECT count(*) FROM bodies").fetchone() == (0,)
    event = shop.store.events.after(shop.org, 0)[-1]
    assert (event.job_id, event.state, event.text) == (job.id, None, "deleted")


def test_a_job_that_was_launched_again_meanwhile_is_not_deleted(shop: Shop) -> None:
    job = add(shop)
    assert not shop.store.jobs.delete(shop.org, job.id, ENDED)
    assert shop.store.jobs.body(shop.org, job.id) == b"^XA^XZ"


def test_events_are_numbered_without_gaps_for_who_asks_after_the_last_he_saw(shop: Shop) -> None:
    jobs = [add(shop) for _ in range(3)]
    events = shop.store.events.after(shop.org, 0)
    assert [(event.job_id, event.state) for event in events] == [(job.id, "queued") for job in jobs]
    assert shop.store.events.after(shop.org, events[1].seq) == events[2:]
    assert shop.store.events.after(new_id(), 0) == []


def test_ids_grow_even_among_threads() -> None:
    made = [each for some in together(8, lambda n: [new_id() for _ in range(500)]) for each in some]
    assert len(set(made)) == 4000
    mine = [new_id() for _ in range(1000)]
    assert mine == sorted(mine)
