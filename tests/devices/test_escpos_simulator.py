"""A simulated receipt printer: receipts come out cut, the drawer opens, and questions are answered as printers do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devices.contracts import Reason
from devices.languages.escpos import LANGUAGE
from devices.readers.escpos import read
from devices.simulators.escpos import EscPosFront, front
from devices.simulators.machine import Fault, Machine
from devices.simulators.paper import PaperLog
from devices.status.escpos import TALK, automatic, proof
from tests.devices.test_zpl import checkers

PAGE = checkers(576, 200, 7)
JOB = LANGUAGE.encode(PAGE) + LANGUAGE.end_of("copy")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(PaperLog(tmp_path, "escpos"), label_s=0.01, width=576, height=None)
    yield made
    made.close()


@pytest.fixture
def printer(machine: Machine) -> EscPosFront:
    made = front(machine)
    assert isinstance(made, EscPosFront) and made.language == "escpos"
    return made


def events(machine: Machine) -> list[str]:
    assert machine.wait_idle()
    return [line.event for line in machine.paper.lines]


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_receipt_comes_out_and_is_cut(machine: Machine, printer: EscPosFront, step: int) -> None:
    assert b"".join(printer.feed(JOB[i : i + step]) for i in range(0, len(JOB), step)) == b""
    machine.paper.wait_for(1)
    assert events(machine) == ["label", "cut"]
    assert machine.paper.pictures[-1] == PAGE
    assert machine.paper.lines[1].facts == {"mode": "partial"}
    assert printer.unfinished() == 0 and machine.counter == 1


def test_half_a_receipt_is_unfinished(machine: Machine, printer: EscPosFront) -> None:
    printer.feed(JOB[:1000])
    assert printer.unfinished() == 1000
    assert events(machine) == []


def test_text_is_printed_in_the_printers_font(machine: Machine, printer: EscPosFront) -> None:
    text = b"\x1b@\x1ba\1Total \x1bt\x13\xd5 12.50\n"
    printer.feed(text + b"\x1dV\0")
    machine.paper.wait_for(1)
    [label] = read(text, dots=576)
    assert machine.paper.pictures[-1] == label.bitmap
    assert events(machine)[-1] == "cut" and machine.paper.lines[-1].facts == {"mode": "full"}


def test_a_receipt_that_is_not_cut_comes_out_after_a_pause(machine: Machine, printer: EscPosFront) -> None:
    printer.feed(LANGUAGE.encode(PAGE)[:-1])
    printer.feed(LANGUAGE.encode(PAGE)[-1:])
    assert machine.paper.labels == []
    machine.paper.wait_for(1)
    assert events(machine) == ["label"]


@pytest.mark.parametrize(("pulse", "facts"), [
    (b"\x1bp\0\x19\xfa", {"pin": 2, "on_ms": 50, "off_ms": 500}),
    (b"\x1bp1\x32\x32", {"pin": 5, "on_ms": 100, "off_ms": 100}),
    (b"\x10\x14\1\0\5", {"pin": 2, "on_ms": 500, "off_ms": 500}),
])  # fmt: skip
def test_the_drawer_opens(machine: Machine, printer: EscPosFront, pulse: bytes, facts: dict[str, int]) -> None:
    printer.feed(pulse)
    [line] = machine.paper.lines
    assert (line.event, line.facts) == ("drawer", facts)


def told(printer: EscPosFront) -> set[Reason]:
    answers = {question: TALK.read(question, printer.feed(TALK.ask(question))) for question in TALK.questions}
    assert None not in answers.values()
    return set(TALK.merge({q: s for q, s in answers.items() if s is not None}).reasons)


@pytest.mark.parametrize(("fault", "reason"), [
    ("paper_out", Reason.MEDIA_EMPTY), ("head_open", Reason.COVER_OPEN), ("near_end", Reason.MEDIA_LOW),
    ("jam", Reason.CUTTER_ERROR), ("paused", Reason.PAUSED),
])  # fmt: skip
def test_it_says_what_is_wrong_and_when_it_is_over(
    machine: Machine, printer: EscPosFront, fault: Fault, reason: Reason
) -> None:
    assert told(printer) == set()
    machine.set(fault, True)
    assert told(printer) == {reason}
    machine.set(fault, False)
    assert told(printer) == set()


def test_status_comes_by_itself_where_it_is_asked_for(machine: Machine, printer: EscPosFront) -> None:
    heard: list[bytes] = []
    machine.ears.append(heard.append)
    machine.set("head_open", True)
    assert heard == []
    first = automatic(printer.feed(b"\x1da\xff"))
    assert first is not None and first.reasons == {Reason.COVER_OPEN}
    machine.set("head_open", False)
    machine.set("near_end", True)
    said = [automatic(each) for each in heard]
    assert [each.reasons for each in said if each is not None] == [frozenset(), {Reason.MEDIA_LOW}]
    printer.feed(b"\x1da\0")
    machine.set("paper_out", True)
    assert len(heard) == 2


def test_a_process_id_comes_back_when_everything_is_printed(machine: Machine, printer: EscPosFront) -> None:
    heard: list[bytes] = []
    machine.ears.append(heard.append)
    machine.set("paper_out", True)
    assert printer.feed(JOB + TALK.ask(proof(7))) == b""
    assert heard == [] and machine.waiting == 1
    machine.refill()
    machine.paper.wait_for(1)
    assert machine.wait_idle()
    status = TALK.read(proof(7), b"".join(heard))
    assert status is not None and status.idle is True


def test_who_it_is_and_what_its_sensors_say(machine: Machine, printer: EscPosFront) -> None:
    assert printer.feed(b"\x1dIB") == b"_PRINT-BRIDGE\0"
    assert printer.feed(b"\x1dIC\x1dID") == b"_simulator\0_SIM000001\0"
    assert printer.feed(b"\x1dI\1\x1dr\1\x1dr\2") == b"\2\0\0"
    machine.set("near_end", True)
    assert printer.feed(b"\x1dr1") == b"\3"
    machine.set("paper_out", True)
    assert printer.feed(b"\x1dr1") == b""


def test_clearing_the_buffers_forgets_what_waits(machine: Machine, printer: EscPosFront) -> None:
    heard: list[bytes] = []
    machine.ears.append(heard.append)
    machine.set("paper_out", True)
    printer.feed(JOB * 3 + TALK.ask(proof(7)) + b"\x10\x14\x08\1\3\x14\1\6\2\x08")
    assert machine.waiting == 0
    assert heard == []  # what was forgotten was not printed
    machine.set("jam", True)
    printer.feed(b"\x10\5\1")
    assert not machine.jam


def test_commands_it_does_not_know_are_written_down(machine: Machine, printer: EscPosFront) -> None:
    printer.feed(b"\x1b\x99\x1f")
    assert [(line.event, line.facts["command"]) for line in machine.paper.lines] == [
        ("unknown command", "ESC 99"), ("unknown command", "US"),
    ]  # fmt: skip


def test_what_nobody_prints_is_written_down_and_the_next_receipt_is_whole(
    machine: Machine, printer: EscPosFront
) -> None:
    printer.feed(b"\x1dv0\0\0\x20\0\x20" + bytes(0x2000 * 0x2000)[: 4 << 20])
    printer.feed(bytes(0x2000 * 0x2000 - (4 << 20)))
    printer.feed(JOB)
    machine.paper.wait_for(1)
    assert events(machine) == ["unreadable", "label", "cut"]
    assert machine.paper.pictures[-1] == PAGE


def test_a_receipt_longer_than_any_is_written_down(machine: Machine, printer: EscPosFront) -> None:
    printer.feed(b"\n" * 3000 + b"A\n\x1dV\0" + JOB)
    machine.paper.wait_for(2)
    assert "unreadable" in events(machine) and machine.paper.pictures[-1] == PAGE


def test_an_old_front_is_silent_after_the_power_was_off(machine: Machine, printer: EscPosFront) -> None:
    heard: list[bytes] = []
    machine.ears.append(heard.append)
    printer.feed(b"\x1da\xff" + LANGUAGE.encode(PAGE))
    machine.power_off()
    machine.power_on()
    machine.set("near_end", True)
    time.sleep(0.7)
    assert heard == [] and machine.paper.labels == []
