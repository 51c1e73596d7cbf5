"""A simulated EPL2 printer prints what it is sent and tells how it is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from devices.contracts import Bitmap, Media, Reason, Status
from devices.languages.epl2 import LANGUAGE
from devices.simulators.epl2 import front
from devices.simulators.machine import Machine
from devices.simulators.paper import PaperLog
from devices.status.epl2 import TALK

PAGE = Bitmap(80, 40, bytes((x + y) % 256 for y in range(40) for x in range(10)))
MEDIA = Media(203, 10, 5)


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine(PaperLog(), label_s=0.001, width=80, height=40)
    yield machine
    machine.close()


def asked(machine: Machine, printer: object = None) -> Status | None:
    return TALK.read("^ee", (printer or front(machine)).feed(TALK.ask("^ee")))  # type: ignore[attr-defined]


def test_a_job_comes_out_with_its_dots_however_it_is_cut(machine: Machine) -> None:
    printer, job = front(machine), LANGUAGE.encode(PAGE, copies=3, media=MEDIA)
    for i in range(0, len(job), 7):
        assert printer.feed(job[i : i + 7]) == b""
    assert machine.wait_idle()
    assert list(machine.paper.pictures) == [PAGE] * 3 and printer.unfinished() == 0


def test_half_a_job_is_unfinished(machine: Machine) -> None:
    printer, job = front(machine), LANGUAGE.encode(PAGE, media=MEDIA)
    printer.feed(job[:-3])
    assert printer.unfinished() > 0 and machine.waiting == 0


def test_the_buffer_is_held_until_the_label_is_printed(machine: Machine) -> None:
    machine.pause()
    job = LANGUAGE.encode(PAGE, media=MEDIA)
    front(machine).feed(job)
    assert machine.buffer - machine.room() == len(job)


@pytest.mark.parametrize(("fault", "reason"), [
    ("paper_out", Reason.MEDIA_EMPTY), ("ribbon_out", Reason.MEDIA_EMPTY), ("head_open", Reason.COVER_OPEN),
    ("paused", Reason.PAUSED), ("jam", Reason.MEDIA_NEEDED),
])
def test_what_is_wrong_is_told(machine: Machine, fault: str, reason: Reason) -> None:
    assert asked(machine) == Status()
    machine.set(fault, True)  # type: ignore[arg-type]
    status = asked(machine)
    assert status is not None and status.reasons == {reason} and status.blocked
    machine.set(fault, False)  # type: ignore[arg-type]
    assert asked(machine) == Status()


def test_a_printer_that_prints_is_not_idle() -> None:
    machine = Machine(PaperLog(), label_s=60, width=80, height=40)
    printer = front(machine)
    printer.feed(LANGUAGE.encode(PAGE, media=MEDIA))
    status = asked(machine, printer)
    machine.close()
    assert status is not None and status.idle is False and not status.reasons


def test_a_command_nobody_knows_is_noted_and_remembered_until_n(machine: Machine) -> None:
    printer = front(machine)
    printer.feed(b"hello\n")
    status = asked(machine, printer)
    assert status is not None and status.reasons == {Reason.OTHER}
    assert machine.paper.lines[-1].facts == {"command": "hello", "at": 0}
    printer.feed(b"N\n")
    assert asked(machine, printer) == Status()


def test_uq_tells_the_settings_and_is_no_status(machine: Machine) -> None:
    answer = front(machine).feed(b"q64\nQ40,24\nUQ\n")
    assert b"q64 Q40,024\r\n" in answer and TALK.read("^ee", answer) is None


def test_with_us_a_printed_label_is_acknowledged_and_an_error_refused(machine: Machine) -> None:
    heard: list[bytes] = []
    machine.ears.append(heard.append)
    printer = front(machine)
    assert printer.feed(b"US\nhello\n") == b"\x1501"
    printer.feed(LANGUAGE.encode(PAGE, media=MEDIA))
    assert machine.wait_idle()
    assert b"".join(heard) == b"\x06"


def test_a_reset_forgets_what_waits(machine: Machine) -> None:
    machine.pause()
    printer = front(machine)
    printer.feed(LANGUAGE.encode(PAGE, copies=5, media=MEDIA) + b"^@\n")
    assert machine.waiting == 0
    assert machine.paper.lines[-1].event == "reset"


def test_text_is_named_forms_are_kept_and_cuts_are_noted(machine: Machine) -> None:
    printer = front(machine)
    printer.feed(b'FS"F"\nLO0,0,9,9\nP1\nFE\nN\nA1,1,0,1,1,1,N,"x"\nLO0,0,1,1\nP1\nC\nGM"L"3\nabc\nU\n')
    assert machine.wait_idle()
    events = [line.event for line in machine.paper.lines]
    assert events.count("label") == 2 and "cut" in events and "stored" in events and "not drawn" in events
    assert next(line for line in machine.paper.lines if line.event == "not drawn").facts == {"commands": ["A"]}


def test_hostile_bytes_never_raise(machine: Machine) -> None:
    printer = front(machine)
    pieces = [b"GW0,0,99999,99999,", b"\xff" * 100_000, b"\nN\n", b'A"' * 50_000, b"\nq99999\nLO0,0,9,9\nP1\n"]
    for data in pieces:
        printer.feed(data)
    assert isinstance(printer.unfinished(), int)
