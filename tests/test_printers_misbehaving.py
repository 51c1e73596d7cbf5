"""Printers that stall, reset, never close or are not there: what the bridge says of each job, and that it is true.

pytest -s prints the states, evidence and texts.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.bridge.shop import until
from tests.fake.printer import FakePrinter, Habits
from tests.serving import Serve, b64, printer

STALL_S = 1.5
CLOSE_S = 5.0  # how long a close is waited for; not a setting
SMALL = b"^XA^FX" + b"x" * 2_000 + b"^XZ"
LARGE = b"^XA^FX" + b"x" * 5_000_000 + b"^XZ"

FAKES = {
    "stuck": {"never_read": True},
    "jammed": {"never_read": True},
    "good": {},
    "resets": {"reset_after": 50_000},
    "open": {"never_close": True},
    "late": {"refuse": True},
}


@dataclass(frozen=True)
class Told:
    """A job as it ended, what Cloudlinker says of it, and the seconds until then."""

    state: str
    status: int
    evidence: str | None
    text: str
    seconds: float
    attempts: list[dict[str, Any]]


@dataclass
class Floor:
    """A bridge and its printers, which all print at the same time: most of these stories are about waiting."""

    bridge: Serve
    printers: dict[str, FakePrinter]
    stories: dict[str, Future[list[Told]]]

    def job(self, to: str, document: bytes) -> Told:
        began = time.monotonic()
        job_id = self.bridge.send(to, {"document_base64": b64(document), "document_type": "raw"})
        job = self.bridge.wait(job_id)
        told = Told(
            job["state"], self.bridge.status(job_id), job["evidence"], job["text"], time.monotonic() - began,
            job["attempts"],
        )  # fmt: skip
        print(f"\n{to}, {len(document):,} bytes, {told.seconds:.1f} s: {told.state} ({told.status}), "
              f"evidence {told.evidence}: {told.text}")  # fmt: skip
        return told

    def story(self, to: str, documents: list[bytes], then: Habits | None = None) -> list[Told]:
        """One job after the other; from the second on the printer has the habits `then`."""
        told = [self.job(to, documents[0])]
        self.printers[to].habits = then or self.printers[to].habits
        return told + [self.job(to, document) for document in documents[1:]]

    def printer(self, name: str) -> Any:
        return self.bridge.call("GET", f"/v1/printers/{name}").json


@pytest.fixture(scope="module")
def floor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Floor]:
    with ExitStack() as stack:
        fakes = {name: stack.enter_context(FakePrinter(**habits)) for name, habits in FAKES.items()}
        config = "".join(printer(name, fake.uri, stall_s=STALL_S) for name, fake in fakes.items())
        bridge = stack.enter_context(Serve(tmp_path_factory.mktemp("floor") / "data", config))
        floor = Floor(bridge, fakes, {})
        at_once = stack.enter_context(ThreadPoolExecutor(len(fakes)))
        for name, *story in (
            ("jammed", [LARGE]), ("stuck", [SMALL]), ("good", [SMALL, SMALL], Habits(never_read=True)),
            ("resets", [LARGE]), ("open", [SMALL] * 5), ("late", [SMALL]),
        ):  # fmt: skip
            floor.stories[name] = at_once.submit(floor.story, name, *story)
        yield floor


def test_a_printer_that_is_not_there_delays_its_job_and_loses_nothing(floor: Floor) -> None:
    fake = floor.printers["late"]
    until(lambda: floor.printer("late")["reasons"] == ["offline"])
    for _ in range(8):
        shown = floor.printer("late")
        assert (shown["state"], shown["reasons"], shown["waiting"]) == ("stopped", ["offline"], 1)
        assert f"no answer from {fake.uri} (connection refused); check the address and port" in shown["text"]
        time.sleep(0.5)
    print(f"\nlate, while it is off: {shown['state']}, {shown['reasons']}: {shown['text']}")
    assert floor.bridge.api("jobs/list", device_id=floor.bridge.device("late"))["data"][0]["status"] == 2
    fake.switch_on()
    [told] = floor.stories["late"].result()
    assert (told.state, told.status, told.evidence) == ("delivered", 4, "closed")
    assert fake.jobs == [SMALL] and fake.connections == 1
    until(lambda: floor.printer("late")["state"] == "idle")
    back = floor.printer("late")
    assert (back["reasons"], back["text"], back["waiting"]) == ([], "", 0)


def test_a_printer_that_never_reads_a_large_label_is_unconfirmed_after_the_stall(floor: Floor) -> None:
    [told] = floor.stories["jammed"].result()
    assert (told.state, told.status, told.evidence) == ("unconfirmed", 3, "cut")
    assert told.text.startswith("the job may have printed: ")
    assert f"the printer took nothing for {STALL_S:g} s" in told.text
    assert "look at the printer before sending again" in told.text
    handed, acknowledged = counts(told.text)
    assert 0 < acknowledged <= handed < len(LARGE)
    assert [(each["bytes_sent"], each["bytes_total"]) for each in told.attempts] == [(handed, len(LARGE))]
    assert STALL_S <= told.seconds < STALL_S + 30
    assert floor.printers["jammed"].jobs == []


def test_a_printer_that_never_reads_a_small_label_is_never_said_to_have_closed(floor: Floor) -> None:
    """Its kernel takes 2 kB for it, so nobody can know. Nothing is claimed but what was seen: taken, no close."""
    [told] = floor.stories["stuck"].result()
    assert (told.state, told.status, told.evidence) == ("delivered", 4, "taken")
    assert told.text.endswith(f"took {len(SMALL)} bytes and did not close")
    assert told.seconds >= CLOSE_S


def test_a_printer_that_has_closed_before_and_then_does_not_is_in_doubt(floor: Floor) -> None:
    before, told = floor.stories["good"].result()
    assert (before.state, before.evidence) == ("delivered", "closed")
    assert (told.state, told.status, told.evidence) == ("unconfirmed", 3, "cut")
    assert f"it has always closed the connection before, but did not within {CLOSE_S:g} s" in told.text
    assert floor.printers["good"].jobs == [SMALL]


def test_a_printer_that_resets_half_way_is_unconfirmed_with_both_counts(floor: Floor) -> None:
    [told] = floor.stories["resets"].result()
    assert (told.state, told.status, told.evidence) == ("unconfirmed", 3, "cut")
    assert "connection reset by peer" in told.text or "broken pipe" in told.text
    handed, acknowledged = counts(told.text)
    [had] = floor.printers["resets"].unfinished
    assert len(had) == 50_000 <= handed < len(LARGE) and acknowledged <= handed
    assert [(each["bytes_sent"], each["bytes_total"]) for each in told.attempts] == [(handed, len(LARGE))]
    time.sleep(1.5)
    assert floor.printers["resets"].connections == 1, "never sent again by itself"


def test_a_printer_that_never_closes_costs_patience_three_times_only(floor: Floor) -> None:
    told = floor.stories["open"].result()
    assert {(each.state, each.status, each.evidence) for each in told} == {("delivered", 4, "taken")}
    assert all(each.seconds >= CLOSE_S for each in told[:3])
    assert all(each.seconds < CLOSE_S for each in told[3:])
    assert floor.printers["open"].jobs == [SMALL] * 5


def counts(text: str) -> tuple[int, int]:
    """Bytes handed over, and those of them that were acknowledged."""
    found = re.search(r"(\d+) bytes were handed over \(at least (\d+) acknowledged\)", text)
    assert found is not None, text
    return int(found[1]), int(found[2])
