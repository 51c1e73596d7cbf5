"""printers: listed, added and removed while the bridge runs, paused and resumed, tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bridge.shop import until
from tests.cli.conftest import Counter
from tests.fake.printer import FakePrinter


def names(counter: Counter) -> list[str]:
    return [printer["name"] for printer in counter.does("printers", "--json").json["printers"]]


def test_printers_are_listed_with_how_they_are(counter: Counter) -> None:
    for words in ((), ("list",)):
        lines = counter.does("printers", *words).out.splitlines()
        assert lines[0].startswith("name") and any(line.startswith("dock ") for line in lines)
        assert counter.dock.uri in "".join(lines)
    assert names(counter)[:2] == ["dock", "away"]


def test_a_printer_is_added_tried_and_removed_while_the_bridge_runs(counter: Counter) -> None:
    with FakePrinter() as spare:
        done = counter.does(
            "printers", "add", "spare", spare.uri, "--dpi", "300", "--width-mm", "50", "--height-mm", "25", "--ordered",
            "--no-half-close", "--hold-older-than-s", "3600", "--connect-s", "2", "--stall-s", "9", "--id", "spare-1",
            "--status", "off", "--language", "zpl",
        )  # fmt: skip
        assert "spare-1" in done.out
        [made] = [p for p in counter.does("printers", "--json").json["printers"] if p["name"] == "spare"]
        assert made["id"] == "spare-1"
        wanted = {"dpi": 300, "width_mm": 50, "ordered": True, "half_close": False, "hold_older_than_s": 3600}
        assert {key: made["settings"][key] for key in wanted} == wanted
        number = counter.does("printers", "test", "spare").number
        counter.does("jobs", "watch", number)
        assert spare.wait_for(1)[0].startswith(b"^XA")
        counter.does("printers", "remove", "spare")
        assert "spare" not in names(counter)


def test_a_printer_with_jobs_is_removed_only_with_them(counter: Counter) -> None:
    counter.does("printers", "add", "busy", "tcp://127.0.0.1:9")
    job_id = counter.bridge.send("busy", {"document_base64": "XlhBXlha"})
    assert "--cancel-jobs" in counter.refuses(1, "printers", "remove", "busy")
    counter.does("printers", "remove", "busy", "--cancel-jobs")
    assert counter.bridge.job(job_id)["state"] == "cancelled"


def test_a_printer_of_the_configuration_is_removed_there(counter: Counter) -> None:
    assert "configuration" in counter.refuses(1, "printers", "remove", "dock")


def test_a_paused_printer_says_why_and_resumes(counter: Counter) -> None:
    assert "new roll" in counter.does("printers", "pause", "dock", "--reason", "new roll").out
    assert "new roll" in counter.does("printers").out
    assert "stopped" not in counter.does("printers", "resume", "dock").out


@pytest.mark.parametrize("name", ["nobody", "", "..", "a/b", "\x1b[31m", "x" * 5000, "%2e", "\u202eabc"])
@pytest.mark.parametrize("what", ["remove", "pause", "resume", "test"])
def test_an_unknown_printer_is_refused_with_those_there_are(counter: Counter, what: str, name: str) -> None:
    assert "dock, away" in counter.refuses(1, "printers", what, "--", name)


@pytest.mark.parametrize(
    "uri, options",
    [("nonsense", ()), ("foo://x", ()), ("", ()), ("tcp://", ()), ("tcp://h:99999", ()),
     ("virtual://x", ("--dpi", "1")),
     ("virtual://x", ("--width-mm", "-1")), ("virtual://x", ("--language", "klingon")), ("tcp://" + "x" * 5000, ())],
)  # fmt: skip
def test_a_printer_that_cannot_be_is_refused(counter: Counter, uri: str, options: tuple[str, ...]) -> None:
    before = names(counter)
    counter.refuses(1, "printers", "add", "bad", uri, *options)
    assert names(counter) == before


@pytest.mark.parametrize(
    "words",
    [("add",), ("add", "x"), ("add", "x", "y", "z"), ("add", "x", "virtual://x", "--dpi", "x"), ("remove",),
     ("pause",), ("test", "a", "b"), ("nonsense",)],
)  # fmt: skip
def test_wrong_use_is_code_2(counter: Counter, words: tuple[str, ...]) -> None:
    counter.refuses(2, "printers", *words)


def test_strange_names_are_kept_and_found_again(counter: Counter) -> None:
    for name in ("a/b ?&#%", "\u6771\u4eac \U0001f4a9", "-dash", "x" * 200):
        done = counter.run("printers", "add", "--", name, "virtual://strange")
        assert done.code == 0, done
        assert counter.run("printers", "pause", "--", name).code == 0
        assert counter.run("printers", "remove", "--", name).code == 0
    for name in ("", "x" * 201):
        counter.refuses(1, "printers", "add", "--", name, "virtual://strange")


def test_the_cash_drawer_is_opened_with_one_pulse(counter: Counter, tmp_path: Path) -> None:
    counter.does("printers", "add", "till", f"file://{tmp_path / 'till.bin'}", "--language", "escpos")
    job = counter.does("printers", "drawer", "till", "--pin", "5").out.split()[1]
    assert "Cash drawer (pin 5) for first-run key" in counter.does("jobs", "show", job).out
    until(lambda: (tmp_path / "till.bin").exists() and b"\x1bp\x01\x19\x7d" in (tmp_path / "till.bin").read_bytes())
    assert "cash drawers" in counter.refuses(1, "printers", "drawer", "dock")
    counter.refuses(2, "printers", "drawer", "till", "--pin", "3")
    counter.does("printers", "remove", "till", "--cancel-jobs")
