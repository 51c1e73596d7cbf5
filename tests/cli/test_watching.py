"""Watching: a bar on a terminal, plain lines in a pipe, one job or everything, and what Ctrl-C ends."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.calling import LABEL, ZPL, Going, Terminal, run
from tests.cli.conftest import Counter
from tests.fake.printer import FakePrinter
from tests.serving import Serve, printer
from tests.simulating import Simulated


def test_watch_ends_with_the_code_of_the_jobs_end(counter: Counter) -> None:
    number = counter.does("print", "-", "--to", "dock", stdin=ZPL).number
    assert "delivered" in counter.does("jobs", "watch", number).out
    held = counter.held()
    counter.does("jobs", "cancel", held)
    assert "cancelled" in counter.refuses(1, "jobs", "watch", held)
    job_id = counter.bridge.send("dock", {"document_base64": "JVBERi0="})
    assert counter.bridge.wait(job_id)["state"] == "failed"
    assert "failed" in counter.refuses(1, "jobs", "watch", job_id)


def test_watch_goes_on_while_a_job_is_held(counter: Counter) -> None:
    number = counter.held()
    process = counter.start("jobs", "watch", number)
    process.until("held")
    counter.does("jobs", "release", number)
    done = process.end()
    assert done.code == 0 and "delivered" in done.out


def test_a_job_that_waits_says_what_its_printer_says(counter: Counter) -> None:
    number = counter.start_waiting()
    process = counter.start("jobs", "watch", number)
    process.until("connection refused")
    counter.does("jobs", "cancel", number)
    assert process.end().code == 1


def test_a_job_without_paper_says_what_to_do_until_it_is_done(tmp_path: Path) -> None:
    with (
        Simulated("zpl", tmp_path / "paper", "--paper-out-after", "1", "--label-s", "0.05") as toy,
        Serve(tmp_path / "data", printer("toy", toy.uri)) as bridge,
    ):
        process = Going("print", LABEL, "--copies", "2", "--data", bridge.folder)
        process.until("the paper has run out; put new paper in and close it: its jobs go on by themselves")
        assert "the paper has run out; put new" in run("printers", "--data", bridge.folder).out
        toy.do("refill")
        done = process.end()
        assert done.code == 0 and "printed" in done.out, done


def test_what_a_text_becomes_is_not_measured_by_its_letters(tmp_path: Path) -> None:
    with FakePrinter() as till, Serve(tmp_path / "data", printer("till", till.uri, language="escpos")) as bridge:
        done = run("print", "-", "--type", "text", "--data", bridge.folder, stdin=b"one\ntwo\n")
    said = re.findall(r"([\d,]+) bytes of ([\d,]+) bytes sent", done.out)
    assert done.code == 0 and all(int(sent) <= int(total) for sent, total in said), done.out


def test_everything_that_happens_is_told_from_now_on(counter: Counter) -> None:
    counter.does("print", "-", "--to", "dock", "--title", "before", stdin=ZPL)
    process = counter.start("jobs", "watch")
    process.until("watching from now on")
    number = counter.does("print", "-", "--to", "dock", "--title", "\x1b[2Jnow", stdin=ZPL).number
    told = process.until("delivered")
    assert f"job {number}" in told and "now" in told and "dock" in told
    assert "before" not in told and "\x1b" not in told
    assert process.interrupt().code == 130


def test_a_pipe_gets_whole_lines_and_not_too_many(tmp_path: Path) -> None:
    with FakePrinter(slow=400_000, rcvbuf=4096) as slow, Serve(tmp_path / "data", printer("slow", slow.uri)) as bridge:
        done = run("print", "-", "--data", bridge.folder, stdin=ZPL * 40_000)
    lines = done.out.splitlines()
    assert done.code == 0 and 3 <= len(lines) < 15, done.out
    assert any("of 1.4 MB sent" in line for line in lines) and not any("%" in line for line in lines)


def test_a_terminal_gets_its_prompt_back_after_ctrl_c(counter: Counter) -> None:
    number = counter.start_waiting()
    screen = counter.on_a_terminal("jobs", "watch", number)
    screen.until(lambda shown: "queued" in shown or "preparing" in shown)
    screen.interrupt()
    assert screen.end() == 130
    assert f"jobs watch {number}" in screen.shown.splitlines()[-1]
    counter.does("jobs", "cancel", number)


def test_a_table_is_cut_to_the_terminal_and_never_in_a_pipe(counter: Counter) -> None:
    counter.does("print", "-", "--to", "dock", "--title", "\u6771" * 200, stdin=ZPL)
    for columns in (40, 100):
        screen = counter.on_a_terminal("jobs", "--limit", "5", columns=columns)
        assert screen.end() == 0
        for line in screen.shown.splitlines():
            assert sum(2 if character == "\u6771" else 1 for character in line) <= columns
        assert "\N{HORIZONTAL ELLIPSIS}" in screen.shown
    assert "\u6771" * 200 in counter.does("jobs", "--limit", "5").out


def test_a_serve_that_is_restarted_does_not_end_the_watching(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with FakePrinter(refuse=True) as dock:
        bridge = Serve(folder, printer("dock", dock.uri))
        with bridge:
            job_id = bridge.send("dock", {"document_base64": "XlhBXlha"})
            process = Going("jobs", "watch", job_id, "--data", folder)
            process.until("queued")
            bridge.stop()
            bridge.start()  # on the same port
            dock.switch_on()
            done = process.end()
            assert done.code == 0, done


def test_a_serve_that_goes_away_for_good_ends_the_watching(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Serve(folder, printer("off", "tcp://127.0.0.1:9")) as bridge:
        job_id = bridge.send("off", {"document_base64": "XlhBXlha"})
        process = Going("jobs", "watch", job_id, "--data", folder)
        process.until("queued")
        assert bridge.stop() == 0
        assert process.end().code == 4


def test_the_reader_of_a_pipe_may_leave(counter: Counter) -> None:
    process = counter.start("jobs", "watch")
    process.until("watching from now on")
    process.pipe.close()
    counter.does("print", "-", "--to", "dock", stdin=ZPL)
    assert process.process.wait(60) == 1
    assert process.process.stderr is not None
    with process.process.stderr as errors:
        assert errors.read() == b""


def test_a_bar_fits_a_narrow_terminal(tmp_path: Path) -> None:
    with FakePrinter(slow=400_000, rcvbuf=4096) as slow, Serve(tmp_path / "data", printer("slow", slow.uri)) as bridge:
        large = tmp_path / "large.zpl"
        large.write_bytes(ZPL * 20_000)
        screen = Terminal.of("print", large, "--data", bridge.folder, columns=30)
        assert screen.end() == 0
    bars = [line for line in screen.shown.replace("\r\n", "\r").split("\r") if line.startswith("[")]
    assert bars and all(len(line.rstrip()) <= 30 for line in bars)
