"""`print-bridge simulate` as a real process, with a person or a program as its operator."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from devices import languages, simulators, transports
from devices.contracts import Bitmap, Settings, Tuning
from devices.errors import SendInterrupted
from devices.simulators.control import told
from tests import simulating
from tests.cli.calling import ENVIRONMENT, Going, Terminal, run
from tests.simulating import until

LABEL = languages.load("zpl").encode(Bitmap(80, 40, bytes(range(200)) * 2))
QUICK = Settings(stall_s=20, close_s=20)


class Simulated:
    """A running simulator, its address, and its control door."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.going = Going(
            "simulate", "zpl", "--port", "0", "--control", "0", "--label-s", "0", "--folder", folder, *words
        )
        said = self.going.until("paper in ")
        self.uri = re.findall(r"simulated zpl printer on (tcp://\S+)", said)[0]
        self.control = int(re.findall(r"control on 127\.0\.0\.1:(\d+)", said)[0])

    def send(self, data: bytes = LABEL) -> str:
        with closing(transports.open(self.uri, QUICK)) as line:
            line.write(data)
            return line.finish().evidence

    def tell(self, command: str) -> dict[str, object]:
        answer = told(self.control, command)
        assert answer["ok"], answer
        return answer


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Simulated]:
    printer = Simulated(tmp_path / "paper", "--paper-out-after", "2")
    yield printer
    printer.going.process.kill()
    printer.going.process.communicate()


def test_a_program_plays_the_operator_through_the_control_door(simulated: Simulated) -> None:
    for _ in range(4):
        assert simulated.send() == "closed"
    simulated.going.until("paper out")
    now = simulated.tell("status")
    assert (now["faults"], now["counter"], now["waiting"]) == (["paper_out"], 2, 2)
    simulated.tell("refill")
    simulated.going.until("label 4")
    assert simulated.tell("status")["faults"] == []
    assert told(simulated.control, "dance")["ok"] is False
    simulated.tell("power off")
    with pytest.raises(OSError), socket.create_connection(_address(simulated.uri), 60):
        pass
    simulated.tell("power on")
    simulated.send()
    simulated.going.until("label 5")
    simulated.tell("quit")
    done = simulated.going.end()
    assert done.code == 0 and f"5 labels in {simulated.folder}" in done.out and done.err == ""
    events = [json.loads(line)["event"] for line in (simulated.folder / "paper.jsonl").read_text().splitlines()]
    assert events.count("label") == 5 and "power off" in events
    assert len(list(simulated.folder.glob("*.png"))) == 5


def _address(uri: str) -> tuple[str, int]:
    host, port = uri.removeprefix("tcp://").split(":")
    return host, int(port)


@pytest.mark.parametrize(
    ("language", "options", "width", "height"),
    [("escpos", (), 575, None), ("escpos", ("--dpi", "180"), 510, None), ("zpl", (), 832, 1218),
     ("escpos", ("--width-mm", "48"), 384, None)],
)  # fmt: skip
def test_a_receipt_printer_has_the_paper_of_one(
    tmp_path: Path, language: str, options: tuple[str, ...], width: int, height: int | None
) -> None:
    escpos = languages.load("escpos")
    receipt = escpos.encode(Bitmap(80, 40, b"\xff" * 400)) + escpos.end_of("copy", Tuning(cut="partial"))
    with simulating.Simulated(language, tmp_path, "--label-s", "0", *options) as printer:
        with closing(transports.open(printer.uri, QUICK)) as line:
            line.write(receipt if language == "escpos" else b"^XA^FO9,9^GB50,50,50^FS^XZ")
            line.finish()
        until(lambda: bool(printer.lines("label")), 10)
        [label] = printer.lines("label")
    assert label["width"] == width
    assert label["height"] == height if height else label["height"] < 300, "continuous: as long as what is on it"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_also_in_the_middle_of_a_job(tmp_path: Path, number: signal.Signals) -> None:
    printer = Simulated(tmp_path / "paper", "--paused", "--pty", str(tmp_path / "tty"))
    with socket.create_connection(_address(printer.uri), 60) as sock:
        sock.sendall(LABEL + LABEL[:20])
        printer.going.process.send_signal(number)
        done = printer.going.end()
    assert (done.code, done.err) == (0, "")
    assert not (tmp_path / "tty").is_symlink()


def test_a_person_at_the_terminal_types_what_to_do(tmp_path: Path) -> None:
    screen = Terminal.of("simulate", "zpl", "--port", "0", "--folder", tmp_path, "--head-open", "--label-s", "0")
    screen.until(lambda text: "paper in" in text)
    uri = re.findall(r"tcp://[\d.:]+", screen.shown)[0]
    with closing(transports.open(uri, QUICK)) as line:
        line.write(LABEL)
        line.finish()
    _type(screen, "status")
    screen.until(lambda text: "on, head open; 0 printed, 1 waiting" in text)
    _type(screen, "close")
    screen.until(lambda text: "label 1" in text)
    _type(screen, "help")
    screen.until(lambda text: "refill [N]" in text)
    _type(screen, "sing")
    screen.until(lambda text: "'sing' is not understood" in text)
    _type(screen, "quit")
    assert screen.end() == 0


def _type(screen: Terminal, text: str) -> None:
    os.write(screen.descriptor, text.encode() + b"\n")


def test_its_bad_habits_are_options(tmp_path: Path) -> None:
    printer = Simulated(tmp_path / "paper", "--reset-after", "10", "--silent-status")
    try:
        with pytest.raises(SendInterrupted):
            printer.send(LABEL * 10_000)
        with socket.create_connection(_address(printer.uri), 60) as sock:
            sock.sendall(b"~HS")
            sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                sock.recv(1)
    finally:
        printer.going.interrupt()


def test_it_prints_on_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    printer = Simulated(tmp_path / "paper")
    printer.going.pipe.close()
    for _ in range(3):
        assert printer.send() == "closed"
    until(lambda: printer.tell("status")["counter"] == 3, 10)
    printer.tell("quit")
    assert printer.going.process.wait(20) in (0, 1, 120)  # as other programs that lost their output
    assert printer.going.process.stderr is not None
    said = printer.going.process.stderr.read()
    printer.going.process.stderr.close()
    assert b"Traceback" not in said, said


def test_its_help_names_the_languages() -> None:
    words = re.findall(r"\w+", run("simulate", "--help").out)
    assert set(simulators.names()) <= set(words)


def test_what_it_cannot_do_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path / "empty"))
    unknown = run("simulate", "klingon")
    assert unknown.code == 2 and all(language in unknown.err for language in simulators.names())
    assert list((tmp_path / "empty").iterdir()) == []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for option in ("--port", "--control"):
            busy = run("simulate", "zpl", "--folder", tmp_path, "--port", "0", option, port)
            assert busy.code == 1 and "cannot listen" in busy.err
