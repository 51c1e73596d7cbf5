"""print: documents from files, pipes and templates, with a serve, without one, and with one that comes or goes."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.cli.calling import LABEL, ZPL, Going, Terminal, command, run
from tests.cli.conftest import Counter
from tests.fake.printer import FakePrinter, Habits
from tests.serving import ROOT, Serve, printer

FIELDS = ("--field", "printer=dock", "--field", "when=now", "--field", "bridge=till", "--field", "code=PB-1")


def test_a_file_is_printed_and_said_to_be_out(counter: Counter) -> None:
    before = len(counter.dock.jobs)
    done = counter.does("print", LABEL, "--to", "dock")
    assert "for dock" in done.out and "delivered" in done.out.splitlines()[-1]
    [paper] = counter.dock.wait_for(before + 1)[before:]
    assert paper.startswith(b"^XA")


def test_standard_input_is_printed_as_it_is(counter: Counter) -> None:
    before = len(counter.dock.jobs)
    counter.does("print", "-", "--to", "dock", "--copies", "2", stdin=ZPL)
    assert counter.dock.wait_for(before + 1)[before].count(ZPL) == 2


def test_a_large_document_goes_through_a_pipe(counter: Counter) -> None:
    before, large = len(counter.dock.jobs), ZPL * 100_000
    counter.does("print", "-", "--to", "dock", stdin=large)
    assert counter.dock.wait_for(before + 1)[before] == large


def test_a_template_is_filled_in_and_printed(counter: Counter) -> None:
    before = len(counter.dock.jobs)
    counter.does("print", "--template", "test-4x6", *FIELDS, "--to", "dock")
    assert counter.dock.wait_for(before + 1)[before].startswith(b"^XA")


def test_a_template_field_that_does_not_exist_is_named(counter: Counter) -> None:
    text = counter.refuses(1, "print", "--template", "test-4x6", "--field", "size=2", "--to", "dock")
    assert "size" in text
    assert "nobody" in counter.refuses(1, "print", "--template", "nobody", "--to", "dock")


def test_a_refusal_speaks_of_options_and_not_of_the_api(counter: Counter, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    for words, said in [
        ((tmp_path / "x.txt",), "printer code (ZPL, EPL, ESC/POS, ...) with --type raw"),
        ((tmp_path / "x.txt", "--type", "word"), "unknown --type 'word'"),
        (("--template", "test-4x6"), "printer (the printer's name); give it with --field printer=..."),
    ]:
        text = counter.refuses(1, "print", *words, "--to", "dock").replace("\n", " ")
        assert said in text and "document_type" not in text and "/v1/" not in text, text


def test_only_some_pages_are_printed(counter: Counter) -> None:
    assert "page" in counter.refuses(1, "print", LABEL, "--to", "dock", "--pages", "7-9")
    counter.does("print", LABEL, "--to", "dock", "--pages", "1")


def test_without_a_printer_the_only_one_is_meant(tmp_path: Path) -> None:
    with FakePrinter() as dock, Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
        done = run("print", "-", "--data", bridge.folder, stdin=ZPL)
        assert done.code == 0 and "for dock" in done.out


def test_a_printer_of_another_machine_is_only_meant_by_its_name(tmp_path: Path) -> None:
    theirs = {"printer_id": "abc", "name": "LaserJet", "computer_name": "DESKTOP-1", "status": "online"}
    with Serve(tmp_path / "data") as bridge:
        key = {"Authorization": f"Bearer {bridge.key}"}
        assert bridge.call("POST", "/olin/api/printers/sync", {"printers": [theirs]}, key).status == 200
        assert " for virtual (" in run("print", LABEL, "--data", bridge.folder).out
        done = run("print", LABEL, "--to", "LaserJet", "--hold", "--data", bridge.folder)
    assert done.code == 0 and "for LaserJet" in done.out, done


def test_without_a_printer_several_are_listed(counter: Counter) -> None:
    text = counter.refuses(1, "print", LABEL)
    assert "--to" in text and "dock" in text and "away" in text


def test_last_repeats_what_this_command_printed_last_and_no_other_job(counter: Counter) -> None:
    first = counter.does("print", "-", "--to", "dock", "--title", "mine", stdin=ZPL).number
    counter.bridge.wait(counter.bridge.send("dock", {"document_base64": "XlhBXlha"}))
    before = len(counter.dock.jobs)
    again = counter.does("print", "--last").number
    assert counter.dock.wait_for(before + 1)[before] == ZPL
    shown = counter.does("jobs", "show", again, "--json").json
    assert (
        shown["possible_duplicate"] and shown["reprint_of"] == counter.does("jobs", "show", first, "--json").json["id"]
    )


def test_last_with_a_printer_repeats_the_last_one_there(counter: Counter) -> None:
    counter.does("print", "-", "--to", "dock", stdin=ZPL)
    counter.does("print", "-", "--to", "away", "--hold", stdin=b"^XA^FDother^FS^XZ")
    before = len(counter.dock.jobs)
    counter.does("print", "--last", "--to", "dock", "--copies", "1")
    assert counter.dock.wait_for(before + 1)[before] == ZPL


def test_last_without_any_print_before_says_so(tmp_path: Path) -> None:
    done = run("print", "--last", "--data", tmp_path / "data")
    assert done.code == 2 and "nothing was printed" in done.err


def test_a_held_job_is_out_only_after_its_release(counter: Counter) -> None:
    number = counter.held()
    assert counter.does("jobs", "show", number, "--json").json["state"] == "held"
    counter.does("jobs", "release", number)
    counter.does("jobs", "watch", number)


def test_an_expired_job_is_not_printed(counter: Counter) -> None:
    done = counter.run("print", "-", "--to", "away", "--expires-in", "0.5", stdin=ZPL)
    assert done.code == 1 and "expired" in done.err


def test_code_of_another_language_is_refused_unless_forced(counter: Counter) -> None:
    escpos = b"\x1b@hello\n\n\n\x1dV\x00"
    assert counter.run("print", "-", "--to", "dock", "--type", "escpos", stdin=escpos).code == 1
    assert counter.run("print", "-", "--to", "dock", "--type", "escpos", "--force", stdin=escpos).code == 0


# ---- without a serve --------------------------------------------------------------------------------------------


def test_without_a_serve_one_runs_inside_until_the_label_is_out(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert run("print", LABEL, "--data", folder).code == 0
    assert run("print", "-", "--data", folder, stdin=ZPL).code == 0
    assert run("print", "--template", "test-4x6", *FIELDS, "--data", folder).code == 0
    assert run("print", "--last", "--data", folder).code == 0
    assert len(list((folder / "virtual/virtual").glob("*.bin"))) == 4
    assert run("jobs", "--data", folder).code == 4


def test_prints_without_a_serve_at_the_same_time_all_come_out(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for process in [Going("print", LABEL, "--data", folder) for _ in range(3)]:
        done = process.end()
        assert done.code == 0, done
    assert len(list((folder / "virtual/virtual").glob("*.bin"))) == 3


def test_a_serve_that_is_just_starting_is_used(tmp_path: Path) -> None:
    bridge = Serve(tmp_path / "data")
    starting = threading.Thread(target=bridge.start)
    starting.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "data/lock").exists():  # it has the folder, and does not answer yet
        assert time.monotonic() < deadline
        time.sleep(0.01)
    done = Going("print", LABEL, "--data", tmp_path / "data").end()
    starting.join()
    assert bridge.stop() == 0 and done.code == 0, done


def test_a_folder_that_is_only_just_held_is_waited_for(tmp_path: Path) -> None:
    """What a print that is just ending looks like to the next one."""
    from bridge.lock import FolderLock

    folder = tmp_path / "data"
    folder.mkdir()
    lock = FolderLock(folder / "lock")
    process = Going("print", LABEL, "--data", folder)
    time.sleep(1.5)
    lock.release()
    done = process.end()
    assert done.code == 0 and len(list((folder / "virtual/virtual").glob("*.bin"))) == 1, done


def test_a_serve_killed_while_a_job_waits_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with FakePrinter(refuse=True) as dock:
        bridge = Serve(folder, printer("dock", dock.uri))
        with bridge:
            process = Going("print", LABEL, "--to", "dock", "--data", folder, "--config", bridge.config)
            process.until("queued")
            bridge.kill()
            dock.switch_on()
            done = process.end()
            assert done.code == 0 and "delivered" in done.out, done
        assert len(dock.wait_for(1)) == 1


def test_an_upload_whose_answer_gets_lost_is_one_job(tmp_path: Path) -> None:
    """Between the command and the serve stands a relay that passes the request on and drops the first answer."""
    with FakePrinter() as dock, Relay() as relay:
        config = f'[server]\nhosts = ["127.0.0.1:{relay.port}"]\n' + printer("dock", dock.uri)
        with Serve(tmp_path / "data", config) as bridge:
            relay.to = bridge.port
            credentials = tmp_path / "data/credentials.json"
            credentials.write_text(credentials.read_text().replace(f":{bridge.port}", f":{relay.port}"))
            done = run("print", "-", "--data", bridge.folder, stdin=ZPL)
            assert done.code == 0, done
            assert (relay.dropped, bridge.total()) == (1, 1)
        assert dock.wait_for(1) == [ZPL]


class Relay:
    """Passes bytes on; drops the connection instead of the first answer to a POST."""

    def __init__(self) -> None:
        self.to = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        posted = False
        with near, socket.create_connection(("127.0.0.1", self.to)) as far:
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    piece = ready.recv(65536)
                    posted = posted or (ready is near and b"POST " in piece)
                    if not piece:
                        return
                    if ready is far and posted and not self.dropped:
                        self.dropped += 1
                        return
                    (far if ready is near else near).sendall(piece)


# ---- what is no document ----------------------------------------------------------------------------------------


def test_what_is_no_document_is_told_apart(counter: Counter, tmp_path: Path) -> None:
    fifo, empty, secret = tmp_path / "fifo", tmp_path / "empty.pdf", tmp_path / "secret.pdf"
    os.mkfifo(fifo)
    empty.touch()
    secret.write_bytes(b"%PDF")
    for words, text in [
        ((fifo,), "pipe"), ((tmp_path,), "folder"), (("/dev/null",), "device"), ((empty,), "empty"),
        ((tmp_path / "nobody.pdf",), "no file"), (("",), "folder"), (("x" * 5000,), "cannot be read"),
        ((b"\xff\xfe",), "no file"), (("-",), "empty"),
        ((), "exactly one of"), (("-", "--last"), "exactly one of"), ((LABEL, "--field", "a=b"), "--template"),
        (("--template", "test-4x6", "--field", "nothing"), "NAME=VALUE"), (("--last", "--hold"), "only --to"),
        ((LABEL, "--copies", "0"), "copies"), ((LABEL, "--copies", "1e9"), "copies"),
        ((LABEL, "--expires-in", "-1"), "expires-in"), ((LABEL, "--expires-in", "nan"), "expires-in"),
    ]:  # fmt: skip
        assert text in counter.refuses(2, "print", *words, "--to", "dock").replace("\n", " "), words


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(counter: Counter, tmp_path: Path) -> None:
    secret = tmp_path / "secret.pdf"
    secret.write_bytes(b"%PDF")
    secret.chmod(0)
    assert "secret.pdf cannot be read" in counter.refuses(2, "print", secret, "--to", "dock")


def test_a_file_that_still_grows_is_not_printed(counter: Counter, tmp_path: Path) -> None:
    growing, stop = tmp_path / "growing.zpl", threading.Event()
    before = counter.bridge.total()

    def write() -> None:
        with growing.open("ab", buffering=0) as file:
            while not stop.wait(0.005):
                file.write(ZPL)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        time.sleep(0.2)
        assert "still being written" in counter.refuses(2, "print", growing, "--to", "dock")
    finally:
        stop.set()
        thread.join()
    assert counter.bridge.total() == before


def test_a_terminal_is_no_document(counter: Counter) -> None:
    screen = counter.on_a_terminal("print", "-", "--to", "dock")
    assert screen.end() == 2
    assert "standard input is a terminal" in screen.shown


def test_a_closed_standard_input_is_no_document(counter: Counter) -> None:
    words = " ".join(map(str, command("print", "-", "--to", "dock", "--data", counter.bridge.folder)))
    done = subprocess.run(["bash", "-c", f"{words} <&-"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "standard input is closed" in done.stderr


def test_a_title_of_ten_megabytes_is_cut_not_refused(counter: Counter) -> None:
    name = "\u202e\x1b[31m" + "x" * 100_000  # an argument has no more than 128 kB on Linux
    number = counter.does("print", "-", "--to", "dock", "--title", name, stdin=ZPL).number
    assert len(counter.does("jobs", "show", number, "--json").json["title"]) <= 255


def test_a_last_print_file_that_is_garbage_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    run("print", LABEL, "--data", folder)
    for garbage in ("", "[", "[]", '{"a": 1}', json.dumps({"a": None}), "\0" * 100):
        (folder / "last-print").write_text(garbage)
        assert run("print", "--last", "--data", folder).code == 2


def test_ctrl_c_ends_print_and_not_the_job(counter: Counter) -> None:
    process = counter.start("print", LABEL, "--to", "away")
    process.until("connection refused")
    done = process.interrupt()
    assert done.code == 130 and "jobs watch" in done.err
    number = done.number
    assert counter.does("jobs", "show", number, "--json").json["state"] in ("queued", "preparing")
    counter.does("jobs", "cancel", number)


def test_a_terminal_shows_a_bar_that_grows(tmp_path: Path) -> None:
    def bars(shown: str) -> list[str]:
        return [line for line in shown.replace("\r\n", "\r").split("\r") if "%" in line]

    def shares(shown: str) -> list[int]:
        return [int(line.split("%")[0].split("]")[1]) for line in bars(shown)]

    with FakePrinter(slow=100_000, rcvbuf=4096) as slow, Serve(tmp_path / "data", printer("slow", slow.uri)) as bridge:
        large = tmp_path / "large.zpl"
        large.write_bytes(ZPL * 40_000)
        screen = Terminal.of("print", large, "--data", bridge.folder, columns=72)
        screen.until(lambda shown: len(set(shares(shown))) > 3)
        slow.habits = Habits()  # and now it hurries
        assert screen.end() == 0
    grown = shares(screen.shown)
    assert grown == sorted(grown) and len(set(grown)) > 3 and grown[-1] == 100, screen.shown
    assert all(len(line.rstrip()) <= 72 for line in bars(screen.shown))
    assert "[####" in bars(screen.shown)[-1] and "sending" in screen.shown and "MB" in screen.shown
