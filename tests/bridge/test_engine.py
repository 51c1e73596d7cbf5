"""The database: a write that returned is on the disk, one that failed harms nobody, and the writer lives on."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.store import engine as engine_module
from bridge.store.engine import DatabaseDamaged, Engine
from tests.bridge.shop import full_disk, together

ITEMS = "CREATE TABLE items (name TEXT PRIMARY KEY, parent TEXT REFERENCES items(name), data BLOB)"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "bridge.db", [ITEMS])
    yield engine
    engine.close()


def put(engine: Engine, name: str, **more: Any) -> Any:
    return engine.submit(lambda db: insert(db, name), **more)


def insert(db: sqlite3.Connection, name: str, parent: str | None = None, data: bytes = b"") -> str:
    db.execute("INSERT INTO items VALUES (?, ?, ?)", (name, parent, data))
    return name


def names(db: sqlite3.Connection) -> list[str]:
    return [row[0] for row in db.execute("SELECT name FROM items ORDER BY name")]


@contextmanager
def held(engine: Engine) -> Iterator[None]:
    """The writer is kept busy: whatever is submitted meanwhile ends up in one batch."""
    busy, go_on = threading.Event(), threading.Event()

    def block(db: sqlite3.Connection) -> None:
        busy.set()
        go_on.wait()

    pending = engine.submit(block)
    busy.wait()
    try:
        yield
    finally:
        go_on.set()
        pending.wait()


def commits(path: Path) -> int:
    """Commit frames in the write-ahead log (sqlite.org/fileformat2.html, 4.1: size after commit, not 0)."""
    wal = path.with_name(path.name + "-wal").read_bytes()
    (page_size,) = struct.unpack_from(">I", wal, 8)
    frames = range(32, len(wal), 24 + page_size)
    return sum(struct.unpack_from(">I", wal, at + 4)[0] != 0 for at in frames)


# -- durable


def test_a_write_that_returned_survives_the_loss_of_everything_in_memory(engine: Engine, tmp_path: Path) -> None:
    engine.write(lambda db: insert(db, "label"))
    (tmp_path / "copy").mkdir()
    for name in ("bridge.db", "bridge.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    with closing(sqlite3.connect(tmp_path / "copy" / "bridge.db")) as copy:
        assert names(copy) == ["label"]


def test_the_disk_is_asked_to_sync_every_commit(engine: Engine) -> None:
    assert engine.write(lambda db: db.execute("PRAGMA synchronous").fetchone()[0]) == 2  # FULL
    assert engine.write(lambda db: db.execute("PRAGMA journal_mode").fetchone()[0]) == "wal"


def test_waiting_writers_share_one_commit(engine: Engine) -> None:
    before = commits_after(engine, "first")
    with held(engine):
        pending = [put(engine, f"{number:03}") for number in range(100)]
    assert [each.wait() for each in pending] == [f"{number:03}" for number in range(100)]
    assert commits(engine.path) == before + 1  # the one that held the writer up wrote nothing


def commits_after(engine: Engine, name: str) -> int:
    engine.write(lambda db: insert(db, name))
    return commits(engine.path)


def test_many_threads_at_once_need_fewer_commits_than_writes(engine: Engine) -> None:
    before = commits_after(engine, "first")
    together(40, lambda number: [put(engine, f"{number}-{n}").wait() for n in range(10)])
    assert len(names(engine.read())) == 401
    assert commits(engine.path) - before < 400


def test_order_of_submission_is_order_of_effect(engine: Engine) -> None:
    pending = [engine.submit(lambda db: db.execute("SELECT count(*) FROM items").fetchone()[0])]
    for number in range(300):
        put(engine, f"{number}")
        pending.append(engine.submit(lambda db: db.execute("SELECT count(*) FROM items").fetchone()[0]))
    assert [each.wait() for each in pending] == list(range(301))


# -- what fails alone, and what fails together


def test_a_write_that_fails_takes_nothing_of_its_neighbours_with_it(engine: Engine) -> None:
    engine.write(lambda db: insert(db, "twice"))

    def half(db: sqlite3.Connection) -> None:
        insert(db, "half")
        raise ValueError("changed my mind")

    with held(engine):
        before, bad, worse, after = put(engine, "before"), put(engine, "twice"), engine.submit(half), put(engine, "z")
    assert before.wait() == "before"
    with pytest.raises(sqlite3.IntegrityError):
        bad.wait()
    with pytest.raises(ValueError, match="changed my mind"):
        worse.wait()
    assert after.wait() == "z"
    assert names(engine.read()) == ["before", "twice", "z"]


def orphan(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA defer_foreign_keys=1")
    insert(db, "orphan", parent="nobody")


def test_a_commit_that_fails_tells_every_waiting_writer_and_the_next_one_succeeds(engine: Engine) -> None:
    with held(engine):
        pending = [put(engine, "a"), engine.submit(orphan), put(engine, "b")]
    for each in pending:
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            each.wait()
    assert engine.is_alive()
    assert engine.write(lambda db: insert(db, "c")) == "c"
    assert names(engine.read()) == ["c"]


def test_a_full_disk_refuses_writes_and_is_forgotten_when_there_is_room_again(engine: Engine) -> None:
    engine.write(lambda db: insert(db, "before"))
    with full_disk(engine.path):
        answers = together(20, lambda n: engine.write(lambda db: insert(db, f"{n}", data=bytes(9000))))
    assert all(isinstance(each, sqlite3.OperationalError) for each in answers), answers
    assert engine.write(lambda db: insert(db, "after")) == "after"
    assert names(engine.read()) == ["after", "before"]


def test_a_write_that_is_to_be_kept_waits_for_room_on_the_disk(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "RETRY_S", 0.02)
    engine.write(lambda db: insert(db, "before"))
    with full_disk(engine.path):
        kept = put(engine, "kept", keep=True)
        with pytest.raises(sqlite3.OperationalError):
            engine.write(lambda db: insert(db, "lost"))
    assert kept.wait() == "kept"
    assert names(engine.read()) == ["before", "kept"]


def test_a_write_that_is_to_be_kept_and_is_wrong_fails_like_any_other(engine: Engine) -> None:
    engine.write(lambda db: insert(db, "twice"))
    with pytest.raises(sqlite3.IntegrityError):
        put(engine, "twice", keep=True).wait()


def test_what_makes_room_on_a_full_disk_is_asked_once_and_the_commit_is_tried_again(engine: Engine) -> None:
    engine.write(lambda db: insert(db, "before"))
    asked = []
    with full_disk(engine.path):
        engine.on_full = lambda: bool(asked.append(1))  # it has nothing to give
        with pytest.raises(sqlite3.OperationalError):
            engine.write(lambda db: insert(db, "lost"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with full_disk(engine.path):

        def make_room() -> bool:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            asked.append(2)
            return True

        engine.on_full = make_room
        assert engine.write(lambda db: insert(db, "saved")) == "saved"
    assert asked == [1, 2]
    assert names(engine.read()) == ["before", "saved"]


# -- readers


def test_a_reader_sees_the_last_commit_while_a_write_is_under_way(engine: Engine) -> None:
    engine.write(lambda db: insert(db, "old"))
    with held(engine):
        put(engine, "new")
        assert names(engine.read()) == ["old"]


def test_a_reader_cannot_write(engine: Engine) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        insert(engine.read(), "label")


def test_every_thread_has_one_reader_which_goes_with_it(engine: Engine) -> None:
    for _ in range(10):
        assert all(together(20, lambda n: engine.read() is engine.read()))
    # 200 threads came and went. SQLite keeps the file descriptors of twenty for the next ones to come.
    assert len([link for link in open_files() if link.startswith(str(engine.path))]) < 100


def open_files() -> list[str]:
    found = []
    for each in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{each}"))
        except OSError:
            continue  # the listing's own
    return found


def test_a_broken_byte_in_a_text_is_shown_as_one(engine: Engine) -> None:
    engine.write(lambda db: db.execute("INSERT INTO items (name) VALUES (CAST(x'4f72646572ff31' AS TEXT))"))
    assert names(engine.read()) == ["Order\ufffd1"]


# -- closing


def test_close_finishes_what_was_submitted(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bridge.db", [ITEMS])
    for number in range(500):
        put(engine, f"{number}")
    engine.close()
    engine.close()
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as db:
        assert len(names(db)) == 500


def test_nobody_waits_for_ever_when_the_database_is_closed_under_him(tmp_path: Path) -> None:
    def work(engine: Engine, number: int) -> Any:
        return engine.close() if number == 7 else [put(engine, f"{number}-{n}").wait() for n in range(9)]

    for number in range(20):
        engine = Engine(tmp_path / f"{number}.db", [ITEMS])
        answers = together(8, partial(work, engine))
        assert all(isinstance(each, list | None | sqlite3.ProgrammingError) for each in answers), answers


def test_a_kept_write_does_not_hold_up_the_closing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bridge.db", [ITEMS])
    engine.write(lambda db: insert(db, "before"))
    with full_disk(engine.path):
        kept = put(engine, "kept", keep=True)
        engine.close()
    with pytest.raises(sqlite3.OperationalError):
        kept.wait()


# -- opening


def test_migrations_that_are_missing_are_applied_in_order_and_only_once(tmp_path: Path) -> None:
    for migrations in ([ITEMS], [ITEMS, "ALTER TABLE items ADD COLUMN size INTEGER; UPDATE items SET size = 1"], None):
        engine = Engine(tmp_path / "bridge.db", migrations or [ITEMS, "not run again"])
        if migrations == [ITEMS]:
            engine.write(lambda db: insert(db, "old"))
        version = engine.read().execute("PRAGMA user_version").fetchone()[0]
        engine.close()
    assert version == 2
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as db:
        assert db.execute("SELECT name, size FROM items").fetchall() == [("old", 1)]


def test_a_migration_that_fails_half_way_leaves_the_schema_as_it_was(tmp_path: Path) -> None:
    Engine(tmp_path / "bridge.db", [ITEMS]).close()
    with pytest.raises(sqlite3.OperationalError):
        Engine(tmp_path / "bridge.db", [ITEMS, "CREATE TABLE new (id); DROP TABLE missing"])
    with closing(sqlite3.connect(tmp_path / "bridge.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 1
        assert db.execute("SELECT name FROM sqlite_master WHERE name = 'new'").fetchall() == []


def test_a_newer_schema_is_refused_with_both_numbers(tmp_path: Path) -> None:
    Engine(tmp_path / "bridge.db", [ITEMS, "CREATE TABLE b (id)"]).close()
    with pytest.raises(DatabaseDamaged, match=r"written by a newer version \(schema 2, this one knows 1\)"):
        Engine(tmp_path / "bridge.db", [ITEMS])


def test_damage_is_found_at_boot(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bridge.db", [ITEMS])
    for number in range(200):
        put(engine, f"{number}")
    engine.close()
    whole = (tmp_path / "bridge.db").read_bytes()
    (tmp_path / "bridge.db").write_bytes(whole[:4096] + bytes(range(256)) * 16 + whole[8192:])
    with pytest.raises(DatabaseDamaged, match=r"bridge\.db is damaged"):
        Engine(tmp_path / "bridge.db", [ITEMS])


def test_looking_for_damage_changes_nothing(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bridge.db", [ITEMS])
    for number in range(200):
        engine.write(partial(insert, name=f"{number}"))
    (tmp_path / "copy").mkdir()
    for name in ("bridge.db", "bridge.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    engine.close()
    broken = tmp_path / "copy" / "bridge.db-wal"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2] + bytes(4096) + whole[len(whole) // 2 + 4096 :])
    before = [(tmp_path / "copy" / name).read_bytes() for name in ("bridge.db", "bridge.db-wal")]
    with pytest.raises(DatabaseDamaged, match=r"commits at the end of bridge\.db-wal cannot be read"):
        Engine(tmp_path / "copy" / "bridge.db", [ITEMS])
    assert [(tmp_path / "copy" / name).read_bytes() for name in ("bridge.db", "bridge.db-wal")] == before


def test_a_database_that_answers_a_question_it_should_not_is_damaged(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bridge.db", [ITEMS])
    engine.write(lambda db: insert(db, "impossible"))
    engine.close()
    question = "SELECT 'an item is ' || name FROM items WHERE name = 'impossible'"
    with pytest.raises(DatabaseDamaged, match="an item is impossible"):
        Engine(tmp_path / "bridge.db", [ITEMS], sound=[question])


def test_only_its_owner_may_read_the_database(engine: Engine) -> None:
    engine.write(lambda db: insert(db, "label"))
    for name in ("bridge.db", "bridge.db-wal", "bridge.db-shm"):
        assert engine.path.with_name(name).stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_damage_too(tmp_path: Path) -> None:
    (tmp_path / "bridge.db").write_bytes(b"<html>this is somebody's web page</html>" * 300)
    with pytest.raises(DatabaseDamaged, match=r"bridge\.db is damaged: file is not a database"):
        Engine(tmp_path / "bridge.db", [ITEMS])


def test_garbage_at_the_end_of_the_log_costs_only_what_was_never_acknowledged(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "bridge.db", [ITEMS])
    engine.write(lambda db: insert(db, "label"))
    (tmp_path / "copy").mkdir()
    for name in ("bridge.db", "bridge.db-wal"):
        shutil.copy(tmp_path / name, tmp_path / "copy" / name)
    engine.close()
    with (tmp_path / "copy" / "bridge.db-wal").open("ab") as wal:
        wal.write(os.urandom(9000))
    torn = Engine(tmp_path / "copy" / "bridge.db", [ITEMS])
    assert names(torn.read()) == ["label"]
    torn.close()


def test_the_writer_outlives_whatever_a_write_does(engine: Engine) -> None:
    wrong = [orphan, lambda db: db.execute("COMMIT"), lambda db: db.execute("ROLLBACK"), lambda db: 1 / 0]
    for work in wrong:
        with suppress(sqlite3.Error, ZeroDivisionError):
            engine.write(work)
        with held(engine):
            pending = [put(engine, "a"), engine.submit(work)]
        for each in pending:
            with suppress(sqlite3.Error, ZeroDivisionError):
                each.wait()
        assert engine.is_alive()
    assert engine.write(lambda db: insert(db, "label")) == "label"
