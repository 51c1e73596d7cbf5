"""Files of jobs: whole or not there, read while they grow, and gone when nobody owns them."""

from __future__ import annotations

import hashlib
import resource
import stat
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.store.spool import Output, Spool

PAGES = [b"page one", b"the second page", b"3"]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@contextmanager
def output(spool: Spool, *pages: bytes) -> Iterator[Output]:
    made = spool.output("job", 1)
    try:
        for page in pages:
            made.append(page)
        yield made
    finally:
        made.finish()


def files(spool: Spool) -> list[str]:
    return sorted(path.name for folder in (spool.documents, spool.outputs) for path in folder.iterdir())


# -- documents


def test_a_document_that_arrives_in_pieces_is_counted_and_hashed(spool: Spool) -> None:
    with spool.receive() as incoming:
        for piece in (b"one ", b"two ", b"three"):
            incoming.write(piece)
        upload = incoming.finish()
    assert upload.path.read_bytes() == b"one two three"
    assert (upload.size, upload.sha256) == (13, hashlib.sha256(b"one two three").hexdigest())


def test_a_document_that_breaks_off_leaves_nothing(spool: Spool) -> None:
    with pytest.raises(ConnectionError), spool.receive() as incoming:
        incoming.write(b"half a label")
        raise ConnectionError("the caller has gone")
    assert files(spool) == []


def test_an_upload_becomes_its_jobs_document_in_one_step(spool: Spool) -> None:
    for body in (b"first", b"second"):
        with spool.receive() as incoming:
            incoming.write(body)
            spool.keep(incoming.finish(), "job")
        assert spool.document("job").read_bytes() == body
    assert files(spool) == ["job"]


def test_nobody_else_may_read_what_lies_here(spool: Spool) -> None:
    with spool.receive() as incoming, output(spool, b"page") as made:
        paths = [spool.documents, spool.outputs, incoming.path, made.path, made.path.with_suffix(".idx")]
        assert [stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths] == [0] * 5


def test_a_document_that_becomes_too_large_for_the_disk_is_refused_piece_by_piece(spool: Spool) -> None:
    left = [100]

    def room(size: int) -> None:
        left[0] -= size
        if left[0] < 0:
            raise ValueError("the disk is nearly full")

    with pytest.raises(ValueError, match="nearly full"), spool.receive(room) as incoming:
        incoming.write(bytes(60))
        incoming.write(bytes(60))
    assert files(spool) == []


# -- printer bytes


def test_pages_are_read_in_order_and_the_end_is_none(spool: Spool) -> None:
    with output(spool, *PAGES) as made:
        made.finish()
        assert [made.read(number) for number in range(4)] == [*PAGES, None]
    assert list(spool.pages("job", 1)) == PAGES
    assert spool.drawn("job", 1) == [(0, 8), (8, 15), (23, 1)]


def test_a_reader_waits_for_a_page_that_is_still_being_drawn(spool: Spool) -> None:
    with output(spool) as made, ThreadPoolExecutor(1) as pool:
        read = pool.submit(lambda: [made.read(number) for number in range(4)])
        for page in PAGES:
            time.sleep(0.01)
            assert not read.done()
            made.append(page)
        made.finish()
        assert read.result(60) == [*PAGES, None]


def test_who_waits_for_a_page_can_look_up_now_and_then(spool: Spool) -> None:
    with output(spool, b"page") as made:
        assert made.settled(0, 0)
        assert not made.settled(1, 0.01)
        threading.Timer(0.05, made.finish).start()
        assert made.settled(1, 60)


def test_what_drawing_raised_is_raised_after_the_pages_before(spool: Spool) -> None:
    with output(spool, b"page") as made:
        made.finish(ValueError("page 2 is broken"))
        assert made.read(0) == b"page"
        with pytest.raises(ValueError, match="page 2 is broken"):
            made.read(1)


def test_drawing_again_begins_at_the_beginning(spool: Spool) -> None:
    with output(spool, *PAGES):
        pass
    with output(spool, b"new"):
        pass
    assert list(spool.pages("job", 1)) == [b"new"]


def test_a_page_the_disk_has_no_room_for_is_refused_whole(spool: Spool) -> None:
    with output(spool, b"page one") as made:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the kernel takes a part, then refuses
        try:
            with pytest.raises(OSError, match="File too large"):
                made.append(bytes(300_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        made.append(b"page two")
        assert [made.read(0), made.read(1)] == [b"page one", b"page two"]


# -- after a crash


def test_after_a_kill_the_index_bounds_what_can_have_left(spool: Spool) -> None:
    with output(spool, *PAGES):
        assert spool.pages_at_most("job", 1) == 3


def test_a_page_that_was_being_entered_had_not_left(spool: Spool) -> None:
    with output(spool, *PAGES) as made:
        with made.path.with_suffix(".idx").open("ab") as index:
            index.write(b"24 10")
        assert spool.pages_at_most("job", 1) == 3


def test_after_a_power_cut_nothing_is_known(spool: Spool) -> None:
    assert spool.pages_at_most("job", 1) is None
    with output(spool, *PAGES) as made:
        index = made.path.with_suffix(".idx")
        index.write_bytes(b"another-start-of-the-machine\n" + index.read_bytes().partition(b"\n")[2])
        assert spool.pages_at_most("job", 1) is None
        index.write_bytes(b"")
        assert spool.pages_at_most("job", 1) is None


def test_strays_are_removed_at_boot_and_what_belongs_to_a_job_is_not(spool: Spool) -> None:
    for name in ("0197df47-871f-72d1", "0197df47-0000-0000"):
        spool.document(name).write_bytes(b"label")
        for launch in (1, 2):
            spool.output(name, launch).finish()
    with spool.receive() as incoming:
        incoming.finish()
    spool.sweep()
    spool.sweep_strays(lambda job_id: job_id == "0197df47-871f-72d1")
    left = ("", "-1.idx", "-1.prn", "-2.idx", "-2.prn")
    assert files(spool) == [f"0197df47-871f-72d1{end}" for end in left]


def test_forgetting_a_job_whose_launches_are_known_removes_the_same(spool: Spool) -> None:
    spool.document("job").write_bytes(b"label")
    for launch in (1, 2):
        spool.output("job", launch).finish()
    spool.output("jobber", 1).finish()
    spool.forget("job", launches=2)
    assert files(spool) == ["jobber-1.idx", "jobber-1.prn"]


def test_documents_that_belong_to_nobody_can_be_listed(spool: Spool) -> None:
    for name in ("job", "stray"):
        spool.document(name).write_bytes(b"label")
    with spool.receive():
        assert [path.name for path in spool.strays(lambda job_id: job_id == "job")] == ["stray"]


def test_forgetting_a_job_removes_every_file_of_it_and_no_other(spool: Spool) -> None:
    for name in ("job", "jobber"):
        spool.document(name).write_bytes(b"label")
        spool.output(name, 1).finish()
    spool.forget("job")
    assert files(spool) == ["jobber", "jobber-1.idx", "jobber-1.prn"]
