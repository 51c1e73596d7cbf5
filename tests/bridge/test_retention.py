"""What is over goes in its time and not before, a little at a time; what waits for anybody stays for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.model import Inline, Job, State, Upload
from bridge.store import retention
from bridge.store.made import Making
from bridge.store.retention import PAPERS, ROWS, Pruned, Retention, without_secrets
from tests.bridge.shop import LABEL, Shop

HOUR, DAY = 3600.0, 86400.0
LARGE = b"^XA" + b"^FX a large label ^FS" * 5000 + b"^XZ"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def keeper(shop: Shop, **more: Any) -> Retention:
    return Retention(shop.store, **{"documents_s": DAY, "jobs_s": 30 * DAY, "keys_s": 90 * DAY, **more})


def tidy(keeper: Retention, now: float) -> Pruned:
    """Turn until nothing is left; what went in all."""
    total, turns = dict.fromkeys(("documents", "jobs", "events", "keys", "papers"), 0), 0
    while True:
        done, turns = keeper.turn(now), turns + 1
        for name in total:
            total[name] += getattr(done, name)
        if not done.more:
            return Pruned(**total)
        assert turns < 1000


def ended(shop: Shop, to: State = State.DELIVERED, at: float | None = None, document: Any = LABEL, **more: Any) -> Job:
    """A job that ended `at`."""
    job = shop.send(document, **more)
    shop.store.jobs.move(shop.org, job.id, tuple(State), to)
    return stamp(shop, job, time.time() if at is None else at)


def stamp(shop: Shop, job: Job, at: float) -> Job:
    shop.store.engine.write(
        lambda db: db.execute("UPDATE jobs SET created_at = ?, updated_at = ? WHERE id = ?", (at, at, job.id))
    )
    return shop.job(job)


def upload(shop: Shop, data: bytes = LARGE) -> Upload:
    with shop.intake.receive() as incoming:
        incoming.write(data)
        return incoming.finish()


def has_document(shop: Shop, job: Job) -> bool:
    return shop.store.jobs.body(shop.org, job.id) is not None or shop.store.spool.document(job.id).exists()


def count(shop: Shop, table: str) -> int:
    number: int = shop.store.engine.read().execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return number


# -- documents


@pytest.mark.parametrize("state", [State.DELIVERED, State.PRINTED, State.CANCELLED, State.EXPIRED])
def test_the_document_goes_a_day_after_its_job_ended_and_the_job_says_so(shop: Shop, state: State) -> None:
    now = time.time()
    small, large = ended(shop, state, at=now), ended(shop, state, at=now, document=upload(shop))
    output = shop.store.spool.output(large.id, 1)
    output.finish()
    keep = keeper(shop)
    assert tidy(keep, now + DAY - 60) == Pruned()
    assert has_document(shop, small) and has_document(shop, large)
    assert tidy(keep, now + DAY + 3600) == Pruned(documents=2)
    for job in (small, large):
        assert not has_document(shop, job)
        assert shop.job(job).document_gone
        assert shop.job(job).state is state
    assert not output.path.exists()
    assert tidy(keep, now + 2 * DAY) == Pruned()


def test_a_failed_job_keeps_its_document_so_that_it_can_be_launched_again(shop: Shop) -> None:
    now = time.time()
    job = ended(shop, State.FAILED, at=now)
    keep = keeper(shop)
    assert tidy(keep, now + 29 * DAY) == Pruned()
    assert has_document(shop, job)
    assert tidy(keep, now + 31 * DAY).jobs == 1


@pytest.mark.parametrize(
    "state", [State.CREATED, State.QUEUED, State.PREPARING, State.SENDING, State.HELD, State.UNCONFIRMED]
)
def test_what_waits_for_anybody_stays_for_ever(shop: Shop, state: State) -> None:
    now = time.time()
    job = ended(shop, state, at=now - 3 * 365 * DAY)
    assert tidy(keeper(shop, documents_s=0), now) == Pruned()
    assert has_document(shop, job)


def test_a_job_that_is_launched_again_in_the_same_moment_keeps_its_document(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    job = ended(shop, at=now)
    forget = retention._forget

    def launched_just_before(db: Any, due: Any, at: float) -> Any:
        db.execute("UPDATE jobs SET state = 'queued', launch = launch + 1 WHERE id = ?", (job.id,))
        return forget(db, due, at)

    monkeypatch.setattr(retention, "_forget", launched_just_before)
    assert tidy(keeper(shop), now + 2 * DAY) == Pruned()
    assert has_document(shop, job)


def test_with_the_document_goes_what_is_secret_in_its_url_and_the_payload(shop: Shop) -> None:
    now = time.time()
    job = shop.link("https://user:secret@files.example/labels/1.pdf?sig=secret#secret", payload='{"sig": "secret"}')
    shop.store.jobs.move(shop.org, job.id, tuple(State), State.PRINTED)
    tidy(keeper(shop), now + 2 * DAY)
    assert shop.job(job).url == "https://files.example/labels/1.pdf"
    assert shop.job(job).payload is None


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (None, None),
        ("http://127.0.0.1:8000/a?b=c", "http://127.0.0.1:8000/a"),
        ("https://[::1]:80/x", "https://[::1]:80/x"),
        ("https://u@h/p;v=1?q", "https://h/p;v=1"),
        ("http://[broken", None),
    ],
)
def test_a_url_without_its_secrets(url: str | None, kept: str | None) -> None:
    assert without_secrets(url) == kept


# -- jobs


def test_an_ended_job_goes_after_a_month_with_everything_of_its_own(shop: Shop) -> None:
    now = time.time()
    old, young = ended(shop, at=now - 31 * DAY), ended(shop, at=now - 29 * DAY, document=upload(shop))
    shop.store.engine.write(
        lambda db: db.execute(
            "INSERT INTO attempts (job_serial, number, launch, device_id, copies, started_at)"
            " VALUES (?, 1, 1, '', 1, 0)",
            (old.serial,),
        )
    )
    assert tidy(keeper(shop), now) == Pruned(documents=1, jobs=1)
    assert shop.store.jobs.get(shop.org, old.id) is None
    assert shop.job(young).document_gone
    assert (count(shop, "attempts"), count(shop, "bodies")) == (0, 0)
    assert list(shop.store.spool.documents.iterdir()) == []


def test_a_clouds_job_is_kept_as_long_as_the_cloud_may_offer_it_again(shop: Shop) -> None:
    now = time.time()
    job = ended(shop, at=now - 31 * DAY, account="acme", external_id="4711")
    assert tidy(keeper(shop), now) == Pruned(documents=1)
    assert tidy(keeper(shop), now + 60 * DAY).jobs == 1
    assert shop.store.jobs.get(shop.org, job.id) is None


# -- events and keys


def test_old_events_go_but_never_the_newest(shop: Shop) -> None:
    now = time.time()
    jobs = [ended(shop, at=now) for _ in range(150)]
    last = count(shop, "events")
    assert tidy(keeper(shop), now + 31 * DAY).events == last - 1
    rows = shop.store.engine.read().execute("SELECT seq FROM events").fetchall()
    assert len(rows) == 1
    assert shop.send(LABEL).serial > max(job.serial for job in jobs)


def test_a_key_outlives_its_job_and_a_repeat_is_known_for_three_months(shop: Shop) -> None:
    now = time.time()
    ended(shop, at=now, idempotency_key="a")
    held = ended(shop, State.HELD, at=now, idempotency_key="b")
    shop.store.made.remember(shop.org, Making("c", "print", "key"), "made")
    keep = keeper(shop)
    assert tidy(keep, now + 31 * DAY).keys == 0
    with pytest.raises(Exception, match="has been deleted"):
        shop.send(LABEL, idempotency_key="a")
    assert tidy(keep, now + 91 * DAY).keys == 2
    assert count(shop, "made") == 0
    assert shop.send(LABEL, idempotency_key="b").id == held.id  # its job is still there, however old


def test_keys_are_never_kept_shorter_than_jobs(shop: Shop) -> None:
    now = time.time()
    ended(shop, at=now, idempotency_key="a")
    keep = keeper(shop, keys_s=7 * DAY)
    tidy(keep, now + 29 * DAY)
    assert count(shop, "idempotency") == 1


# -- the clock


def test_a_job_that_ended_in_1970_is_as_old_as_those_before_it(shop: Shop) -> None:
    now = time.time()
    before = ended(shop, at=now - HOUR)
    job = ended(shop, at=1000.0)
    assert tidy(keeper(shop), now) == Pruned()
    assert has_document(shop, before) and has_document(shop, job)
    assert tidy(keeper(shop), now + DAY) == Pruned(documents=2)


def test_a_job_that_will_end_in_ten_years_ages_from_now_on(shop: Shop) -> None:
    now = time.time()
    ended(shop, at=now + 10 * 365 * DAY)
    shop.store.engine.write(lambda db: db.execute("UPDATE events SET at = ?", (now + 10 * 365 * DAY,)))
    keep = keeper(shop)
    assert tidy(keep, now) == Pruned()
    assert tidy(keep, now + 2 * DAY) == Pruned(documents=1)
    assert tidy(keep, now + 31 * DAY) == Pruned(jobs=1, events=count(shop, "events") and 1)


# -- a little at a time


def test_a_turn_is_small_and_the_next_pass_waits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for _ in range(250):
        ended(shop, at=now)
    keep = keeper(shop)
    turns = [keep.turn(now + 2 * DAY) for _ in range(6)]
    assert [turn.documents for turn in turns] == [ROWS] * 5 + [0]
    assert all(turn.more for turn in turns)
    tidy(keep, now + 2 * DAY)
    ended(shop, at=now)
    assert keep.turn(now + 2 * DAY + 60) == Pruned()  # not again before an hour has passed
    assert tidy(keep, now + 2 * DAY + 3601).documents == 1


def test_large_documents_are_removed_a_few_at_a_time(shop: Shop) -> None:
    now = time.time()
    for _ in range(20):
        ended(shop, at=now, document=Inline(b"^XA" + bytes(60_000) + b"^XZ"), declared="raw")
    keep = keeper(shop)
    assert keep.turn(now + 2 * DAY).documents == 5
    assert tidy(keep, now + 2 * DAY).documents == 15


# -- virtual printers


def test_the_newest_paper_of_each_virtual_printer_stays(shop: Shop, tmp_path: Path) -> None:
    for name, jobs in (("dock", PAPERS + 30), ("till", 3)):
        folder = tmp_path / "virtual" / name
        folder.mkdir(parents=True)
        for number in range(1, jobs + 1):
            for end in (".bin", "-1.png"):
                (folder / f"{number:06}{end}").touch()
        (folder / "notes of mine.txt").touch()
        (folder / "000001.part").touch()
    assert tidy(keeper(shop, paper=tmp_path / "virtual"), time.time()).papers == 60
    left = sorted(path.name for path in (tmp_path / "virtual/dock").iterdir())
    assert len(left) == 2 * PAPERS + 2
    assert left[1] == "000031-1.png"
    assert len(list((tmp_path / "virtual/till").iterdir())) == 8
