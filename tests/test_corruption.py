"""A damaged database under a real serve: it comes up, says so, loses nothing that was accepted, prints nothing twice.

Promise R07. A label counts as not lost when it is on paper, or a job that the bridge still lists, or, where its row was
in the very page that broke, when the set-aside file that holds it is named.
"""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.store.rescue import aside
from tests import damage
from tests.fake.printer import FakePrinter
from tests.serving import Serve, b64, printer

PRINTED, WAITING = 25, 25
_NUMBER = re.compile(rb"\^FX label (\d+) ")


def label(number: int) -> bytes:
    """Every fifth is too large for the database and lies in the spool."""
    filler = b"^FO20,20^A0N,30,30^FDCORRUPTION^FS" * (2500 if number % 5 == 0 else 40)
    return b"^XA^FX label %d ^FS" % number + filler + b"^XZ"


def papers(paper: FakePrinter) -> Counter[int]:
    """label -> how often it is out."""
    found = [_NUMBER.search(data) for data in (*paper.jobs, *paper.unfinished)]
    return Counter(int(match[1]) for match in found if match)


def without_log(folder: Path) -> None:
    """Everything in the one file, as after 1,000 pages or a clean stop."""
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def every_job(serve: Serve) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = serve.call("GET", "/v1/jobs?limit=200").json["jobs"]
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A printer, and the folder of a bridge that was killed with 25 labels printed and 25 waiting for it."""
    folder = tmp_path_factory.mktemp("corruption")
    with FakePrinter() as paper:
        serve = Serve(folder / "data", printer("dock", paper.uri))
        serve.start()
        for number in range(PRINTED):
            serve.wait(serve.send("dock", {"document_base64": b64(label(number))}, title=f"{number}"))
        paper.switch_off()
        for number in range(PRINTED, PRINTED + WAITING):
            answer = serve.post("dock", {"document_base64": b64(label(number)), "title": f"{number}"},
                                headers={"Idempotency-Key": f"label-{number}"})  # fmt: skip
            assert answer.status == 200
        serve.kill()
        assert (folder / "data/bridge.db-wal").stat().st_size > 100_000
        paper.switch_on()
        yield folder / "data", paper


@pytest.mark.parametrize("seed", range(20))
def test_a_serve_on_a_damaged_database_comes_up_and_says_so(shop: Any, tmp_path: Path, seed: int) -> None:
    folder, paper = shop
    shutil.copytree(folder, tmp_path / "data")
    paper.wait_until_idle()
    before = papers(paper)
    kind = damage.KINDS[seed % len(damage.KINDS)]
    if kind not in damage.IN_THE_LOG:
        without_log(tmp_path / "data")
    kind(tmp_path / "data", random.Random(seed))
    with Serve(tmp_path / "data", printer("dock", paper.uri)) as serve:
        health = serve.call("GET", "/v1/health").json
        jobs = every_job(serve)
        if health["database"]["status"] == "ok":  # what was hit was nothing: a free page, the end of a text
            assert len(jobs) == PRINTED + WAITING
            assert not aside(tmp_path / "data")
            return
        assert health["database"]["status"] == "replaced", health
        assert health["status"] == "warning"
        (copy,) = aside(tmp_path / "data")
        assert str(copy) in health["database"]["text"] and str(copy) in serve.log.read_text()

        # nothing is lost: in the list, or in the file that is named; what lay in the spool is always in the list
        titles = {job["title"] for job in jobs}
        lost = [n for n in range(PRINTED, PRINTED + WAITING) if f"{n}" not in titles]
        in_spool = sum(1 for n in range(PRINTED, PRINTED + WAITING) if n % 5 == 0)
        assert sum(job["size"] is not None and job["size"] > 65536 for job in jobs) >= in_spool
        if lost:
            assert "not all could be read" in health["database"]["text"] or kind is damage.everything_garbage

        # nothing prints by itself; released, each label comes once, and a repeated order is known again
        assert {job["state"] for job in jobs} <= {"held", "delivered", "unconfirmed", "failed"}
        assert papers(paper) == before
        known = next((job for job in jobs if job["title"] == f"{PRINTED + 1}" and job["state"] == "held"), None)
        if known is not None:
            assert serve.call("POST", f"/v1/jobs/{known['id']}/release").status == 200
            serve.wait(known["id"], "delivered")
            assert papers(paper)[PRINTED + 1] == before[PRINTED + 1] + 1

        # and it is a bridge like any other
        fresh = serve.send("dock", {"document_base64": b64(label(1_000_000 + seed))})
        serve.wait(fresh, "delivered")
    assert all(times == 1 for number, times in papers(paper).items() if number < PRINTED or number >= 1_000_000)


def test_the_next_start_still_says_so_and_finds_nothing_new(shop: Any, tmp_path: Path) -> None:
    folder, paper = shop
    shutil.copytree(folder, tmp_path / "data")
    damage.everything_garbage(tmp_path / "data", random.Random(1))
    (tmp_path / "data/bridge.db-wal").unlink()
    counts = []
    for _ in range(2):
        with Serve(tmp_path / "data", printer("dock", paper.uri)) as serve:
            assert serve.call("GET", "/v1/health").json["database"]["status"] == "replaced"
            jobs = every_job(serve)
            assert {(job["state"], job["reason"], job["title"]) for job in jobs} == {
                ("held", "restored", "found in the spool")
            }
            counts.append(len(jobs))
    assert counts[0] == counts[1] == 10  # every fifth of fifty
    for path in (tmp_path / "data").glob("bridge.db.damaged-*"):
        path.unlink()
    with Serve(tmp_path / "data", printer("dock", paper.uri)) as serve:
        assert serve.call("GET", "/v1/health").json["database"]["status"] == "ok"
        assert len(every_job(serve)) == 10
