"""A simulated TSPL printer: what comes out, what it answers, and when. Over real sockets."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from devices import transports
from devices.contracts import Bitmap, Media, Reason, Settings
from devices.interview import Interview
from devices.languages.tspl import LANGUAGE
from devices.simulators import Habits, Simulator
from devices.simulators.machine import Fault, Machine
from devices.simulators.paper import PaperLog
from devices.simulators.tspl import front
from devices.status.tspl import TALK

BYTE, AGAIN, FRAME = TALK.questions
LABEL = Media(203, 104, 152.4)
DOT = b"SIZE 8 dot,8 dot\r\nCLS\r\nBAR 0,0,1,1\r\n"


def page(seed: int) -> Bitmap:
    return Bitmap(831, 1218, b"".join(random.Random(seed).randbytes(103) + b"\xfe" for _ in range(1218)))


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine(PaperLog(None, "tspl"), label_s=0.0)
    yield made
    made.close()


@contextmanager
def caller(printer: Simulator) -> Iterator[socket.socket]:
    """A host with a connection of its own."""
    host, port = printer.uri.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), 60) as sock:
        yield sock


def until(seen: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def events(machine: Machine) -> list[str]:
    return [line.event for line in machine.paper.lines]


def test_what_is_sent_comes_out_dot_for_dot() -> None:
    with Simulator("tspl", label_s=0.0, width=831) as printer, caller(printer) as sock:
        pages = [page(seed) for seed in range(3)]
        for each in pages:
            sock.sendall(LANGUAGE.encode(each, copies=2, media=LABEL))
        until(lambda: printer.machine.counter == 6)
        assert list(printer.paper.pictures) == [each for each in pages for _ in range(2)]


def test_it_answers_at_once_while_it_prints() -> None:
    with Simulator("tspl", label_s=0.3) as printer, caller(printer) as sock:
        sock.sendall(DOT + b"PRINT 2\r\n\x1b!?\x1b!S")
        assert sock.recv(1) == b"\x20"
        frame = b"".join(sock.recv(1) for _ in range(8))
        status = TALK.read(FRAME, frame)
        assert status is not None and status.idle is False
        assert printer.machine.wait_idle()
        sock.sendall(b"\x1b!?")
        assert sock.recv(9) == b"\0"


def test_it_can_be_interviewed() -> None:
    with Simulator("tspl", label_s=0.0) as printer, closing(transports.open(printer.uri, Settings())) as line:
        interview = Interview(TALK, line, 60)
        status = interview.ask()
        assert status is not None and status.idle is True and not status.reasons
        printer.machine.run_out()
        printer.machine.open_head()
        status = interview.ask()
        assert status is not None and status.text == "out of paper, the head is open"
        assert not interview.silent


def test_one_that_answers_with_noise_is_never_idle() -> None:
    with (
        Simulator("tspl", habits=Habits(garbage=True)) as printer,
        closing(transports.open(printer.uri, Settings())) as line,
    ):
        for _ in range(10):
            status = Interview(TALK, line, 0.02).ask()
            assert status is None or not status.idle


@pytest.mark.parametrize(("fault", "reason"), [
    ("head_open", Reason.COVER_OPEN), ("paper_out", Reason.MEDIA_EMPTY), ("ribbon_out", Reason.MARKER_SUPPLY_EMPTY),
    ("paused", Reason.PAUSED), ("jam", Reason.MEDIA_JAM),
])
@pytest.mark.parametrize("question", TALK.questions)
def test_a_fault_is_told_in_every_answer(machine: Machine, fault: Fault, reason: Reason, question: str) -> None:
    machine.set(fault, True)
    status = TALK.read(question, front(machine).feed(TALK.ask(question)))
    assert status is not None and status.reasons == {reason}


def test_every_mixture_of_faults_has_an_answer_that_is_understood(machine: Machine) -> None:
    faults: list[Fault] = ["head_open", "paper_out", "ribbon_out", "paused", "jam"]
    printer = front(machine)
    for bits in range(32):
        for index, fault in enumerate(faults):
            machine.set(fault, bool(bits >> index & 1))
        for question in TALK.questions:
            status = TALK.read(question, printer.feed(TALK.ask(question)))
            assert status is not None and status.blocked == bool(bits)


def test_questions_within_a_picture_are_dots(machine: Machine) -> None:
    printer = front(machine)
    assert printer.feed(DOT + b"BITMAP 0,0,3,1,0,\x1b!?\r\n") == b""
    assert printer.feed(b"\x1b!?") == b"\0"
    assert printer.feed(b"\x1b!D\x1b!?") == b""
    assert printer.feed(b"~!E\r\n\x1b!?") == b"\0"


def test_tilde_questions_wait_until_it_is_ready(machine: Machine) -> None:
    printer = front(machine)
    assert printer.feed(b"~!T\r\n~!I\r\n") == b"simulator\r437, 001\r"
    machine.pause()
    assert printer.feed(b"~!T\r\n") == b""


def test_immediate_commands_are_obeyed(machine: Machine) -> None:
    printer = front(machine)
    printer.feed(b"\x1b!P" + DOT + b"PRINT 5\r\n")
    assert machine.waiting == 5
    printer.feed(b"\x1b!.")
    assert machine.waiting == 0
    printer.feed(DOT + b"PRINT 5\r\nBITMAP 0,0,9,9,0,")
    assert printer.unfinished() == 18
    printer.feed(b"\x1b!O")
    assert printer.unfinished() == 21


def test_a_reset_forgets_what_was_begun(machine: Machine) -> None:
    printer = front(machine)
    printer.feed(DOT + b'TEXT 1,1,"')
    assert printer.unfinished() > 0
    printer.feed(b"\x1b!R")
    assert printer.unfinished() == 0
    assert "reset" in events(machine)


def test_a_label_is_unfinished_until_it_is_printed(machine: Machine) -> None:
    printer = front(machine)
    assert printer.unfinished() == 0
    printer.feed(DOT)
    assert printer.unfinished() == len(DOT)
    printer.feed(b"PRINT 1")
    assert printer.unfinished() == len(DOT) + 7
    printer.feed(b"\r\n")
    assert printer.unfinished() == 0
    assert machine.wait_idle()
    assert machine.counter == 1


def test_what_it_does_beside_printing_is_noted(machine: Machine) -> None:
    front(machine).feed(b'SELFTEST\r\nFORMFEED\r\nKILL "*"\r\nFOR I=1 TO 3\r\nSET CUTTER 1\r\n' + DOT + b"PRINT 1\r\n")
    assert machine.wait_idle()
    assert events(machine) == ["self-test", "feed", "file erased", "unknown command", "label", "cut"]


def test_a_picture_too_large_is_noted_and_the_next_label_comes_out(machine: Machine) -> None:
    printer = front(machine)
    printer.feed(b"SIZE 9999,9999\r\nBAR 0,0,1,1\r\nPRINT 1\r\n" + DOT + b"PRINT 1\r\n")
    assert machine.wait_idle()
    assert events(machine) == ["cannot read", "label"]


def test_it_never_stumbles(machine: Machine) -> None:
    printer = front(machine)
    rng = random.Random(2)
    words = [  # fmt: skip
        b"BITMAP 0,0,2,2,0,", b"PRINT 1\r\n", b"\x1b!", b"?", b"S", b"\r\n", b'"', b"CLS\r\n", b"SIZE 1,", b"~!",
        b"T", b"BAR 1,",
    ]
    for _ in range(3_000):
        answer = printer.feed(rng.choice(words) if rng.random() < 0.9 else rng.randbytes(3))
        assert len(answer) < 100
