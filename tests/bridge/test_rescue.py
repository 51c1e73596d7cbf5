"""A damaged database: set aside whole; what can be read goes on in a fresh one, and nothing prints by itself."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bridge.model import Job, State
from bridge.store import Store, rescue
from bridge.store.engine import check
from bridge.store.rescue import REASON, SERIALS_APART, SOUND, aside, relist, report
from bridge.store.schema import MIGRATIONS
from bridge.store.wal import checksum, frames, lost_commits
from tests import damage
from tests.bridge.shop import Shop

LARGE = b"^XA" + b"^FX a large label ^FS" * 5000 + b"^XZ"
JOBS = 120


def label(number: int) -> bytes:
    return b"^XA^FX label %d ^FS" % number + b"^FO20,20^A0N,30,30^FDRESCUE^FS" * 30 + b"^XZ"


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with jobs in many states: half of them only in the log. As a kill leaves it."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "live").mkdir()
    with Shop(folder / "live") as shop_:
        for number in range(JOBS):
            job = shop_.send(label(number), idempotency_key=f"key-{number}", title=f"Order {number}")
            if number % 3 == 0:
                shop_.store.jobs.move(shop_.org, job.id, tuple(State), State.DELIVERED)
            if number == JOBS // 2:
                shop_.store.engine.write(lambda db: None)
                with closing(sqlite3.connect(folder / "live/bridge.db")) as other:
                    other.execute("PRAGMA wal_checkpoint(PASSIVE)")
        kept = shop_.intake.receive()
        kept.write(LARGE)
        upload = kept.finish()
        shop_.send(upload, title="large")
        shutil.copytree(folder / "live", folder / "dead")
    (folder / "dead/bridge.db-shm").unlink()
    return folder / "dead"


@pytest.fixture
def folder(shop_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(shop_folder, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def rng() -> random.Random:
    return random.Random(5)


def jobs(store: Store) -> dict[str, Job]:
    """By title."""
    org = store.organizations.first()
    rows = store.engine.read().execute("SELECT DISTINCT organization_id FROM jobs").fetchall()
    return {job.title: job for row in rows for job in store.jobs.page(row[0], limit=1000)[0]} if org or rows else {}


def start(folder: Path) -> Store:
    return Store(folder)


def without_log(folder: Path) -> None:
    """Everything in the one file."""
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def test_an_undamaged_database_is_opened_and_nothing_else_happens(folder: Path) -> None:
    store = start(folder)
    assert len(jobs(store)) == JOBS + 1
    assert aside(folder) == [] and report(folder) is None
    store.close()


@pytest.mark.parametrize("kind", damage.IN_THE_LOG, ids=lambda kind: kind.__name__)
def test_what_a_broken_log_hides_is_found_and_read_back(
    folder: Path, rng: random.Random, kind: damage.Damage
) -> None:
    kind(folder, rng)
    store = start(folder)
    found = jobs(store)
    assert len(found) >= JOBS - 2  # at most what lay in the one broken page
    assert {job.state for job in found.values()} <= {State.HELD, State.DELIVERED, State.FAILED}
    assert report(folder) is not None
    store.close()


def test_a_zeroed_first_page_loses_not_one_row(folder: Path, rng: random.Random) -> None:
    without_log(folder)
    damage.first_page_zeroed(folder, rng)
    store = start(folder)
    found = jobs(store)
    assert len(found) == JOBS + 1
    assert sum(job.state is State.DELIVERED for job in found.values()) == JOBS // 3
    held = [job for job in found.values() if job.state is State.HELD]
    assert len(held) == JOBS + 1 - JOBS // 3
    assert {(job.reason, job.possible_duplicate) for job in held} == {(REASON, True)}
    assert store.jobs.body(held[0].organization_id, held[0].id) in {label(number) for number in range(JOBS)}
    assert store.spool.document(found["large"].id).read_bytes() == LARGE
    store.close()


@pytest.mark.parametrize("table", ["jobs", "bodies", "idempotency", "devices"])
def test_a_table_whose_first_page_is_gone_is_read_from_its_other_pages(folder: Path, table: str) -> None:
    without_log(folder)
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        counts = {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in (table, "jobs")}
    damage._write(folder / "bridge.db", (root - 1) * damage.PAGE, bytes(damage.PAGE))
    store = start(folder)
    assert len(jobs(store)) == counts["jobs"] == JOBS + 1
    if table != "devices":  # a table of one page is gone with it
        (found,) = store.engine.read().execute(f"SELECT count(*) FROM {table}").fetchone()
        assert found == counts[table]
    assert {job.state for job in jobs(store).values()} == {State.HELD, State.DELIVERED}
    store.close()


def test_the_damaged_file_is_set_aside_byte_for_byte_and_named(folder: Path, rng: random.Random) -> None:
    damage.pages_garbage(folder, rng)
    before = {name: (folder / name).read_bytes() for name in ("bridge.db", "bridge.db-wal")}
    start(folder).close()
    (copy,) = aside(folder)
    assert copy.read_bytes() == before["bridge.db"]
    assert copy.with_name(copy.name + "-wal").read_bytes() == before["bridge.db-wal"]
    text = report(folder)
    assert text is not None and str(copy) in text and "jobs were saved" in text
    assert os.stat(copy).st_mode & 0o077 == 0
    leftovers = [path.name for path in folder.iterdir() if ".rescued" in path.name or ".salvage" in path.name]
    assert leftovers == []


def test_health_says_it_until_the_damaged_file_is_taken_away(folder: Path, rng: random.Random) -> None:
    without_log(folder)
    damage.first_page_zeroed(folder, rng)
    start(folder).close()
    start(folder).close()
    assert report(folder) is not None
    for path in aside(folder):
        path.unlink()
    assert report(folder) is None


def test_serials_that_may_have_been_given_are_not_given_again(folder: Path, rng: random.Random) -> None:
    damage.everything_garbage(folder, rng)
    (folder / "bridge.db-wal").unlink()
    start(folder).close()
    with Shop(folder) as shop:
        assert shop.send(label(1)).serial > SERIALS_APART


def test_a_job_that_was_being_sent_is_unconfirmed(folder: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("UPDATE jobs SET state = 'sending' WHERE title = 'Order 1'")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage.first_page_zeroed(folder, rng)
    store = start(folder)
    job = jobs(store)["Order 1"]
    assert job.state is State.UNCONFIRMED and "may have printed" in job.text
    store.close()


def test_a_document_with_a_broken_byte_is_never_printed(folder: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("UPDATE bodies SET data = cast('^XA broken' AS BLOB) WHERE job_serial ="
                   " (SELECT serial FROM jobs WHERE title = 'Order 1')")  # fmt: skip
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage.first_page_zeroed(folder, rng)
    store = start(folder)
    job = jobs(store)["Order 1"]
    assert job.state is State.FAILED and job.document_gone and "send the job again" in job.text
    assert jobs(store)["Order 2"].state is State.HELD
    store.close()


def test_a_repeated_idempotency_key_is_still_known(folder: Path, rng: random.Random) -> None:
    without_log(folder)
    damage.first_page_zeroed(folder, rng)
    with Shop(folder) as shop:
        before = jobs(shop.store)
        again = shop.send(label(3), idempotency_key="key-3", title="Order 3")
        assert again.id == before["Order 3"].id


def test_documents_whose_job_is_lost_become_held_jobs_of_the_printer_there_is(folder: Path, rng: random.Random) -> None:
    damage.everything_garbage(folder, rng)
    (folder / "bridge.db-wal").unlink()
    with Shop(folder) as shop:
        device = shop.device("dock")
        for times in (1, 0):  # a second start finds nothing more
            assert relist(shop.store, shop.org, shop.client.id, device, lambda head: "zpl") == times
        (job,) = jobs(shop.store).values()
        assert (job.state, job.reason, job.title) == (State.HELD, REASON, "found in the spool")
        assert (job.kind, job.size, job.device_id) == ("zpl", len(LARGE), device.id)
        released = shop.control.release(shop.org, job.id)
        assert released.state is State.QUEUED


def test_held_jobs_of_a_printer_that_was_lost_go_to_its_successor(folder: Path, rng: random.Random) -> None:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("DELETE FROM devices")
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage.first_page_zeroed(folder, rng)
    with Shop(folder) as shop:
        shop.device("other")
        dock = shop.device("dock")
        relist(shop.store, shop.org, shop.client.id, shop.device("other"), lambda head: None)
        assert {job.device_id for job in jobs(shop.store).values() if job.state is State.HELD} == {dock.id}


@pytest.mark.parametrize("step", range(1, 8))
def test_a_power_cut_at_any_moment_of_the_rescue_loses_nothing(
    folder: Path, rng: random.Random, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_log(folder)
    damage.first_page_zeroed(folder, rng)
    left = [step]

    def counted(name: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt(name)

    for name in ("replace", "chmod"):
        real = getattr(os, name)
        monkeypatch.setattr(rescue.os, name, lambda *args, real=real, name=name: (counted(name), real(*args))[1])
    real_sync = rescue.sync_folder
    monkeypatch.setattr(rescue, "sync_folder", lambda path: (counted("sync"), real_sync(path)))
    try:
        start(folder).close()
    except KeyboardInterrupt:
        left[0] = 10**6
    store = start(folder)
    assert len(jobs(store)) == JOBS + 1
    assert report(folder) is not None and len(aside(folder)) == 1
    store.close()


@pytest.mark.parametrize("seed", range(30))
def test_whatever_is_broken_it_opens_and_nothing_waits_for_a_printer(folder: Path, seed: int) -> None:
    kind = damage.KINDS[seed % len(damage.KINDS)]
    kind(folder, random.Random(seed))
    store = start(folder)
    org = store.organizations.first()
    found = jobs(store)
    if aside(folder):
        assert not {job.state for job in found.values()} & {State.QUEUED, State.PREPARING, State.SENDING}
    else:  # SQLite found nothing wrong: then every job is there
        assert len(found) == JOBS + 1
    assert org is None or store.jobs.count_by_state(org) is not None
    store.close()
    start(folder).close()


# -- the log


def test_the_log_is_read_as_sqlite_reads_it(folder: Path) -> None:
    read = list(frames(folder / "bridge.db"))
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        assert db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone() == (0, len(read), len(read))
    pages = (folder / "bridge.db").read_bytes()
    for frame in {frame.page: frame for frame in read}.values():
        assert pages[(frame.page - 1) * damage.PAGE : frame.page * damage.PAGE] == frame.data


def test_a_log_cut_off_in_its_last_transaction_is_no_damage(folder: Path) -> None:
    log = folder / "bridge.db-wal"
    for size in (log.stat().st_size - 100, log.stat().st_size - damage.FRAME + 10):
        with log.open("r+b") as file:
            file.truncate(size)
        check(folder / "bridge.db", SOUND)


def test_a_broken_last_frame_may_be_a_power_cut_and_is_no_damage(folder: Path) -> None:
    log = folder / "bridge.db-wal"
    damage._write(log, log.stat().st_size - 700, bytes(512))
    check(folder / "bridge.db", SOUND)


def test_without_a_log_nothing_is_lost(tmp_path: Path) -> None:
    assert lost_commits(tmp_path / "bridge.db") == 0
    assert list(frames(tmp_path / "bridge.db")) == []


def test_the_checksum_is_sqlites(folder: Path) -> None:
    header = (folder / "bridge.db-wal").read_bytes()[:32]
    order = ">" if header[3] == 0x83 else "<"
    assert checksum(header[:24], (0, 0), order) == tuple(int.from_bytes(header[at : at + 4], "big") for at in (24, 28))


def test_a_state_nobody_knows_is_damage_too(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("UPDATE jobs SET state = 'quexed' WHERE title = 'Order 1'")
        db.commit()
    store = start(folder)
    assert jobs(store)["Order 1"].state is State.HELD
    assert "is in the state 'quexed'" in (report(folder) or "")
    store.close()


def test_every_table_is_salvaged() -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        for migration in MIGRATIONS:
            db.executescript(migration)
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == set(rescue.salvage.__globals__["KEYS"])
