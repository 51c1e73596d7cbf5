"""Room on the disk: refused in time, given back when needed, taken again when it is there. On a real small disk."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import DiskLow
from bridge.store import disk
from bridge.store.disk import RESERVE_FILE, RESERVE_SIZE, Reserve, as_refusal, mount_warning
from bridge.store.engine import Engine
from tests.smalldisk import SmallDisk

MIB = 1024 * 1024
ITEMS = "CREATE TABLE items (name TEXT PRIMARY KEY, data BLOB)"


@pytest.fixture
def small() -> Iterator[SmallDisk]:
    with SmallDisk(24 * MIB) as small:
        yield small


@pytest.fixture(autouse=True)
def looks_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOOK_S", 0.0)


def test_the_reserve_takes_its_place_for_real(small: SmallDisk) -> None:
    before = small.free()
    Reserve(small.folder, MIB)
    assert before - small.free() == RESERVE_SIZE
    assert os.stat(small.folder / RESERVE_FILE).st_mode & 0o777 == 0o600


def test_nothing_is_taken_in_that_would_leave_less_than_the_reserve(small: SmallDisk) -> None:
    reserve = Reserve(small.folder, 8 * MIB)
    room = small.free() - 8 * MIB
    reserve.check(room)
    with pytest.raises(DiskLow) as caught:
        reserve.check(room + 1)
    assert caught.value.http == 507 and caught.value.code == "disk_low"
    assert str(small.folder) in caught.value.text and "MB are free" in caught.value.text
    assert "disk_reserve_mb" in caught.value.remedy
    assert not reserve.low()
    small.fill(leave=8 * MIB - 65536)
    assert reserve.low()
    small.empty()
    assert not reserve.low()


def test_what_was_let_in_counts_until_the_disk_is_looked_at_again(
    small: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "LOOK_S", 3600.0)
    reserve = Reserve(small.folder, 8 * MIB)
    reserve.check(5 * MIB)
    assert not reserve.low()
    small.fill(leave=3 * MIB)
    reserve.check(MIB)  # not looked at meanwhile: five were let in, this makes six of twelve
    with pytest.raises(DiskLow):
        reserve.check(8 * MIB)  # too many as far as is known: looked at, and refused
    small.empty()
    for _ in range(20):
        reserve.check(MIB)  # nothing of it was really written


def test_a_full_disk_gets_the_reserve_and_nothing_new_until_that_is_back(small: SmallDisk) -> None:
    reserve = Reserve(small.folder, 0)
    assert not reserve.give_up()  # there is room: not needed
    small.fill()
    assert reserve.give_up()
    assert small.free() == RESERVE_SIZE
    assert not reserve.give_up()
    with pytest.raises(DiskLow):
        reserve.check(0)
    small.empty()
    reserve.check(0)
    assert (small.folder / RESERVE_FILE).stat().st_size == RESERVE_SIZE


def test_a_start_on_a_full_disk_keeps_nothing_back_and_takes_nothing_in(small: SmallDisk) -> None:
    small.fill()
    reserve = Reserve(small.folder, 0)
    assert reserve.low()
    assert not (small.folder / RESERVE_FILE).exists()


def test_a_reserve_that_was_cut_off_while_it_was_made_is_made_again(small: SmallDisk) -> None:
    (small.folder / RESERVE_FILE).write_bytes(bytes(1000))
    Reserve(small.folder, 0)
    assert (small.folder / RESERVE_FILE).stat().st_size == RESERVE_SIZE


def test_a_commit_that_does_not_fit_is_made_with_the_reserve(small: SmallDisk) -> None:
    reserve = Reserve(small.folder, 0)
    engine = Engine(small.folder / "bridge.db", [ITEMS])
    engine.on_full = reserve.give_up
    try:
        engine.write(lambda db: db.execute("INSERT INTO items VALUES ('before', NULL)"))
        small.fill()
        for number in range(20):
            engine.submit(lambda db, n=number: db.execute("INSERT INTO items VALUES (?, ?)", (f"{n}", bytes(9000))),
                          keep=True).wait()  # fmt: skip
        assert not (small.folder / RESERVE_FILE).exists()
        assert engine.read().execute("SELECT count(*) FROM items").fetchone() == (21,)
    finally:
        engine.close()


def test_without_a_reserve_a_kept_write_waits_for_room(small: SmallDisk) -> None:
    engine = Engine(small.folder / "bridge.db", [ITEMS])
    try:
        engine.write(lambda db: db.execute("INSERT INTO items VALUES ('before', NULL)"))
        small.fill()
        with pytest.raises(sqlite3.OperationalError) as caught:
            engine.write(lambda db: db.execute("INSERT INTO items VALUES ('lost', ?)", (bytes(9000),)))
        assert as_refusal(caught.value) is not None
        kept = engine.submit(lambda db: db.execute("INSERT INTO items VALUES ('kept', ?)", (bytes(9000),)), keep=True)
        small.empty()
        kept.wait()
        assert [row[0] for row in engine.read().execute("SELECT name FROM items ORDER BY name")] == ["before", "kept"]
    finally:
        engine.close()


def test_only_a_full_disk_is_told_as_one(small: SmallDisk) -> None:
    small.fill()
    with pytest.raises(OSError, match="No space left") as caught:
        (small.folder / "file").write_bytes(bytes(MIB))
    assert as_refusal(caught.value) is not None
    assert as_refusal(FileNotFoundError(2, "not there")) is None
    assert as_refusal(sqlite3.OperationalError("near SELECT: syntax error")) is None


# -- mounts

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro
30 22 8:1 / /srv/my\\040disk rw,relatime shared:2 - ext4 /dev/sda1 rw,data=writeback
31 22 0:40 / /srv/nas rw,relatime shared:3 - nfs4 nas:/labels rw,vers=4.2
"""


@pytest.mark.parametrize(
    ("folder", "said"),
    [("/var/lib", None), ("/srv/my disk/print", "data=writeback"), ("/srv/nas/print", "network file system (nfs4)")],
)
def test_a_folder_where_a_power_cut_may_cost_the_database_is_named(
    tmp_path: Path, folder: str, said: str | None
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    text = mount_warning(Path(folder), mounts)
    assert text is None if said is None else text is not None and said in text and folder in text


def test_the_disk_of_this_machine_is_understood(tmp_path: Path) -> None:
    mount_warning(tmp_path)
    assert mount_warning(tmp_path, tmp_path / "no such file") is None
