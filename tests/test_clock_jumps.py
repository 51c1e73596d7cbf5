"""A clock that is set wrong, for real: the whole bridge runs under libfaketime, and its clock jumps in mid-life.

Nothing expires by a jump, nothing is thrown away by a clock that is not believed, and the order of labels holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fake.printer import FakePrinter
from tests.serving import Serve, b64, printer
from tests.test_looking_after_itself import until

LIBRARY = next(
    (each for folder in ("/usr/lib", "/usr/lib64") for each in Path(folder).glob("**/libfaketimeMT.so.1")), None
)
KEEP_NOTHING = "[retention]\ndocuments_h = 0\njobs_days = 1\n"


class Clock:
    """The clock of every process started from now on, by a file with the difference to the right time."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert LIBRARY is not None, "libfaketime is missing: apt-get install faketime (bash .ci/test does it)"
        self._file = folder / "clock"
        self.set("+0")
        monkeypatch.setenv("LD_PRELOAD", str(LIBRARY))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(self._file))
        monkeypatch.setenv("FAKETIME_NO_CACHE", "1")
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    def set(self, offset: str) -> None:
        """offset: "-1d", "+10y", "+0"."""
        self._file.write_text(offset + "\n")


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(tmp_path, monkeypatch)


def send(bridge: Serve, text: str, **fields: Any) -> str:
    body = {"printer": "dock", "document_base64": _b64(text), "document_type": "zpl", **fields}
    answer = bridge.call("POST", "/v1/jobs", json.dumps(body).encode())
    assert answer.status == 201, answer
    job_id: str = answer.json["id"]
    return job_id


def _b64(text: str) -> str:
    return b64(f"^XA^FD{text}^FS^XZ".encode())


def switch_on(bridge: Serve, dock: FakePrinter) -> None:
    dock.switch_on()
    assert bridge.call("POST", "/v1/printers/dock/resume").status == 200  # tried at once


def clock_status(bridge: Serve) -> str:
    status: str = bridge.call("GET", "/v1/health").json["clock"]["status"]
    return status


@pytest.mark.parametrize("jump", ["-1d", "+10y"])
def test_a_clock_that_jumps_expires_no_label_loses_no_history_and_keeps_the_order(
    tmp_path: Path, clock: Clock, jump: str
) -> None:
    with FakePrinter(refuse=True) as dock, FakePrinter() as other:
        printers = printer("dock", dock.uri) + printer("other", other.uri)
        with Serve(tmp_path / "data", printers + KEEP_NOTHING) as bridge:
            done = bridge.send("other", {"document_base64": _b64("done"), "document_type": "zpl"})
            bridge.wait(done)
            before = [send(bridge, f"before {n}", expires_in_s=600) for n in range(3)]
            clock.set(jump)
            until(lambda: clock_status(bridge) == "suspect")
            after = [send(bridge, f"after {n}", expires_in_s=600) for n in range(3)]
            switch_on(bridge, dock)
            for job in before + after:
                assert bridge.wait(job, timeout=90)["state"] == "delivered"
            assert [job.decode()[6:-6] for job in dock.jobs] == [
                *(f"before {n}" for n in range(3)), *(f"after {n}" for n in range(3)),
            ]  # fmt: skip
            said = bridge.call("GET", "/v1/health").json
            assert said["status"] == "warning" and "clock" in said["clock"]["text"]
            assert bridge.job(done)["state"] == "delivered"


@pytest.mark.parametrize("jump", ["-1d", "+10y"])
def test_a_start_with_a_wrong_clock_expires_and_throws_away_nothing(tmp_path: Path, clock: Clock, jump: str) -> None:
    with FakePrinter(refuse=True) as dock, FakePrinter() as other:
        printers = printer("dock", dock.uri) + printer("other", other.uri)
        with Serve(tmp_path / "data", printers + KEEP_NOTHING) as bridge:
            done = bridge.send("other", {"document_base64": _b64("done"), "document_type": "zpl"})
            bridge.wait(done)
            waiting = send(bridge, "waiting", expires_in_s=3600)
        clock.set(jump)
        bridge.start()
        try:
            assert clock_status(bridge) == "suspect"
            switch_on(bridge, dock)
            assert bridge.wait(waiting, timeout=90)["state"] == "delivered"
            assert bridge.job(done)["state"] == "delivered"
        finally:
            assert bridge.stop() == 0


def test_a_label_still_expires_by_the_right_clock(tmp_path: Path, clock: Clock) -> None:
    with FakePrinter(refuse=True) as dock, Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
        job = send(bridge, "late", expires_in_s=1)
        assert bridge.wait(job)["state"] == "expired"
