"""jobs: what is listed and shown, what each command does, and how a job may be called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.calling import LABEL, ZPL, run
from tests.cli.conftest import Counter
from tests.fake.printer import FakePrinter
from tests.serving import Serve, printer

NOBODY = "01999999-0000-7000-8000-000000000000"


def state(counter: Counter, number: str) -> str:
    return str(counter.does("jobs", "show", number, "--json").json["state"])


def test_jobs_without_a_command_lists_them(counter: Counter) -> None:
    number = counter.does("print", "-", "--to", "dock", "--title", "parcel 4711", stdin=ZPL).number
    for words in ((), ("list",), ("--limit", "5"), ("list", "--title", "4711"), ("--state", "delivered,failed"),
                  ("--printer", "dock")):  # fmt: skip
        lines = counter.does("jobs", *words).out.splitlines()
        assert lines[0].split() == ["no", "created", "state", "printer", "title", "id"]
        assert any(line.split()[0] == number and "parcel 4711" in line for line in lines[1:]), words


def test_a_listing_as_json_is_what_the_api_says(counter: Counter) -> None:
    counter.does("print", "-", "--to", "dock", stdin=ZPL)
    for words in (("jobs", "--json"), ("jobs", "list", "--json", "--limit", "1")):
        answer = counter.does(*words).json
        assert answer["jobs"] and answer["total"] >= len(answer["jobs"])


def test_an_empty_listing_says_none(counter: Counter) -> None:
    assert counter.does("jobs", "--state", "expired", "--printer", "dock").out == "none\n"


def test_a_job_is_shown_with_its_story(counter: Counter) -> None:
    number = counter.does("print", LABEL, "--to", "dock").number
    shown = counter.does("jobs", "show", number)
    for word in ("shipping-label.pdf", "delivered", "dock", "queued", "sending", "attempt"):
        assert word in shown.out
    told = counter.does("jobs", "show", number, "--json").json
    assert told["timeline"] and told["attempts"]


def test_a_job_is_called_by_number_id_or_beginning(counter: Counter) -> None:
    numbers = [counter.held(f"job {n}") for n in range(3)]
    ids = [counter.does("jobs", "show", number, "--json").json["id"] for number in numbers]
    for number, job_id in zip(numbers, ids, strict=True):
        for name in (job_id, job_id.upper(), job_id[:30]):
            assert counter.does("jobs", "show", name, "--json").json["serial"] == int(number)
    text = counter.refuses(1, "jobs", "show", ids[0][:4])
    assert "several jobs" in text and ids[0] in text
    counter.does("jobs", "cancel", *numbers)


def test_an_old_job_is_found_by_its_number(tmp_path: Path) -> None:
    with Serve(tmp_path / "data", printer("off", "tcp://127.0.0.1:9")) as bridge:
        caller = bridge.caller()
        body = json.dumps({"printer": "off", "document_base64": "XlhBXlha", "hold": True}).encode()
        jobs = [caller.call("POST", "/v1/jobs", body).json for _ in range(250)]
        caller.close()
        for job in (jobs[0], jobs[1], jobs[120], jobs[-1]):
            done = run("jobs", "show", str(job["serial"]), "--json", "--data", bridge.folder)
            assert done.json["id"] == job["id"]
        between = sorted(set(range(1, jobs[-1]["serial"])) - {job["serial"] for job in jobs})
        assert run("jobs", "show", str(between[0] if between else 10**6), "--data", bridge.folder).code == 1


@pytest.mark.parametrize("name", ["0", "99999999", "999999999999999999", NOBODY, "0abc", "abc", "", "..", "x/y", "-1",
                                  "1.5", "\u0661", "%2e%2e", "a" * 3000, "\x1b[2J", "\u202e1", "1\n2"])  # fmt: skip
@pytest.mark.parametrize("words", [("show",), ("watch",), ("cancel",), ("hold",), ("release",), ("reprint",)])
def test_a_job_that_is_none_is_refused(counter: Counter, words: tuple[str, ...], name: str) -> None:
    done = counter.run("jobs", *words, "--", name)
    assert done.code == 1 and done.err.startswith("Error: "), done


def test_names_that_are_not_utf8_are_refused(counter: Counter) -> None:
    for words in (("jobs", "show"), ("printers", "pause"), ("keys", "revoke"), ("origins", "remove")):
        assert counter.run(*words, b"\xff\xfe\x80").code == 1 or words[0] == "origins"
    assert counter.run("jobs", "list", "--title", b"\xff").code == 0
    assert counter.run("jobs", "list", "--printer", b"\xff").code == 1


def test_cancel_takes_several_and_goes_on_after_a_refusal(counter: Counter) -> None:
    first, second = counter.held(), counter.held()
    done = counter.run("jobs", "cancel", first, NOBODY, "77777777", second)
    assert done.code == 1
    assert f"job {first}: cancelled" in done.out and f"job {second}: cancelled" in done.out
    assert NOBODY in done.err and "77777777" in done.err


def test_hold_and_release(counter: Counter) -> None:
    number = counter.start_waiting()
    assert counter.does("jobs", "hold", number).out == f"job {number}: held (release)\n"
    assert state(counter, number) == "held"
    counter.does("jobs", "release", number)
    assert state(counter, number) in ("queued", "preparing")
    counter.does("jobs", "cancel", number)
    counter.refuses(1, "jobs", "hold", number)


def test_all_held_jobs_are_released_or_discarded(counter: Counter) -> None:
    counter.run("jobs", "discard", "--all")
    numbers = [counter.held() for _ in range(2)]
    assert counter.does("jobs", "release", "--all", "--printer", "away").out == "0 released\n"
    assert counter.does("jobs", "release", "--all", "--printer", "dock", "--reason", "release").out == "2 released\n"
    for number in numbers:
        counter.does("jobs", "watch", number)
    third = counter.held()
    assert counter.does("jobs", "discard", "--all", "--reason", "stale").out == "0 discarded\n"
    assert counter.does("jobs", "discard", "--all").out == "1 discarded\n"
    assert state(counter, third) == "cancelled"


def test_release_and_discard_need_jobs_or_all(counter: Counter) -> None:
    for words in (("release",), ("discard",), ("release", "1", "--all"), ("release", "1", "--printer", "dock"),
                  ("release", "--printer", "dock"), ("discard", "1")):  # fmt: skip
        counter.refuses(2, "jobs", *words)
    for words in (("--printer", "nobody"), ("--reason", "nothing")):
        counter.refuses(1, "jobs", "release", "--all", *words)


def test_a_job_moves_to_another_printer_before_it_was_sent(counter: Counter) -> None:
    number, before = counter.start_waiting(), len(counter.dock.jobs)
    assert "on dock" in counter.does("jobs", "move", number, "--to", "dock").out
    counter.does("jobs", "watch", number)
    assert len(counter.dock.wait_for(before + 1)) == before + 1
    counter.refuses(1, "jobs", "move", number, "--to", "away")
    assert "nobody" in counter.refuses(1, "jobs", "move", number, "--to", "nobody")
    counter.refuses(2, "jobs", "move", number)


def test_a_reprint_is_a_job_of_its_own(counter: Counter) -> None:
    number, before = counter.does("print", LABEL, "--to", "dock").number, len(counter.dock.jobs)
    again = counter.does("jobs", "reprint", number, "--label", "1", "--copies", "2").number
    assert again != number
    counter.does("jobs", "watch", again)
    assert len(counter.dock.wait_for(before + 1)) == before + 1
    counter.refuses(1, "jobs", "reprint", number, "--label", "7")
    for words in (("--label", "0"), ("--copies", "0"), ("--copies", "x"), ("--label", "1e3")):
        counter.refuses(2, "jobs", "reprint", number, *words)


def test_an_unconfirmed_job_is_resolved_by_a_person(tmp_path: Path) -> None:
    with FakePrinter(reset_after=1000) as broken, Serve(tmp_path / "data", printer("broken", broken.uri)) as bridge:
        large = tmp_path / "large.zpl"
        large.write_bytes(ZPL * 100_000)
        done = run("print", large, "--data", bridge.folder)
        assert done.code == 3 and "jobs resolve" in done.err
        number = done.number
        assert run("jobs", "watch", number, "--data", bridge.folder).code == 3
        assert run("jobs", "resolve", number, "perhaps", "--data", bridge.folder).code == 2
        done = run("jobs", "resolve", number, "printed", "--data", bridge.folder)
        assert done.code == 0 and "delivered" in done.out
        assert run("jobs", "resolve", number, "printed", "--data", bridge.folder).code == 1


def test_titles_cannot_command_a_terminal(counter: Counter) -> None:
    title = "\x1b[2J\x1b]0;owned\x07 \u202etxt.exe\u2066 \x00\x9b31m \r\nnext\U0001f4a9 \u6771\u4eac"
    counter.bridge.wait(counter.bridge.send("dock", {"document_base64": "XlhBXlha", "title": title}))
    for words in (
        ("jobs",),
        ("jobs", "--json"),
        ("jobs", "show", counter.does("jobs", "--json").json["jobs"][0]["id"]),
    ):
        assert "owned" in counter.does(*words).out  # run() looks for what must not be there


@pytest.mark.parametrize(
    "words",
    [("--limit", "0"), ("--limit", "501"), ("--limit", "x"), ("--offset", "-1"), ("nonsense",), ("show",),
     ("show", "1", "2"), ("cancel",), ("--nonsense",), ("list", "extra")],
)  # fmt: skip
def test_wrong_use_is_code_2(counter: Counter, words: tuple[str, ...]) -> None:
    counter.refuses(2, "jobs", *words)


def test_what_the_serve_refuses_is_code_1_with_its_text(counter: Counter) -> None:
    assert "nonsense" in counter.refuses(1, "jobs", "--state", "nonsense")
    assert "nobody" in counter.refuses(1, "jobs", "--printer", "nobody")
    assert "reason" in counter.refuses(1, "jobs", "--reason", "because")
