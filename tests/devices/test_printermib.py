"""What a network card tells of its printer (SNMP): its words as a status, and what is no answer. All UDP is real."""

from __future__ import annotations

import random
import socket
import time

import pytest

from devices import printermib, snmp
from devices.contracts import Reason, Status
from devices.printermib import COUNTER_UNIT, DEVICE_STATUS, ERROR_STATE, LIFE_COUNT, PRINTER_STATUS
from tests.fake.pty import until
from tests.fake.snmp import FakeAgent, response

READY = {PRINTER_STATUS: 3, ERROR_STATE: b"\0", DEVICE_STATUS: 2, COUNTER_UNIT: 7, LIFE_COUNT: 1234}


def ask(agent: FakeAgent, host: str = "127.0.0.1", patience_s: float = 60.0) -> Status | None:
    return printermib.ask(host, agent.port, patience_s)


def changed(**values: int | bytes) -> Status | None:
    names = {"printer": PRINTER_STATUS, "errors": ERROR_STATE, "device": DEVICE_STATUS, "unit": COUNTER_UNIT,
             "count": LIFE_COUNT}  # fmt: skip
    return printermib.read(READY | {names[each]: value for each, value in values.items()})


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_ready_printer_tells_its_counter(host):
    listens = "127.0.0.1" if host == "localhost" else host
    if host == "localhost" and socket.getaddrinfo(host, 1, type=socket.SOCK_DGRAM)[0][4][0] != listens:
        pytest.skip("this machine's localhost is IPv6 first")
    with FakeAgent(READY, host=listens) as agent:
        assert ask(agent, host) == Status(labels=1234)


@pytest.mark.parametrize(
    ("errors", "reasons", "text"),
    [
        (b"\x80", {Reason.MEDIA_LOW}, "media is low"),
        (b"\x40", {Reason.MEDIA_EMPTY}, "media is out"),
        (b"\x20", {Reason.MARKER_SUPPLY_LOW}, "ribbon or toner is low"),
        (b"\x10", {Reason.MARKER_SUPPLY_EMPTY}, "ribbon or toner is out"),
        (b"\x08", {Reason.COVER_OPEN}, "a cover or the head is open"),
        (b"\x04", {Reason.MEDIA_JAM}, "media is jammed"),
        (b"\x02", {Reason.OFFLINE}, "it is offline"),
        (b"\x01", {Reason.OTHER}, "it asks for service"),
        (b"\x48\x00", {Reason.MEDIA_EMPTY, Reason.COVER_OPEN}, "media is out, a cover or the head is open"),
        (b"\x00\x80", {Reason.MEDIA_NEEDED}, "a tray is missing"),
        (b"\x00\x04", {Reason.MEDIA_LOW}, "a tray is empty"),
        (b"\x00\x01\xff", set(), ""),
        (b"", set(), ""),
    ],
)
def test_the_error_bits_are_reasons(errors, reasons, text):
    status = changed(errors=errors)
    assert status is not None and (status.reasons, status.text) == (reasons, text)


def test_a_printer_that_prints_is_not_idle_and_one_that_does_not_is_not_believed_to_be():
    assert [getattr(changed(printer=each), "idle", "?") for each in (1, 2, 3, 4, 5)] == [None, None, None, False, False]


def test_a_printer_that_is_down_without_a_reason_is_not_available():
    down = changed(device=5, printer=1)
    assert down is not None and (down.reasons, down.text) == ({Reason.OTHER}, "it is not available")
    paper = changed(device=5, printer=1, errors=b"\x40")
    assert paper is not None and paper.reasons == {Reason.MEDIA_EMPTY}


@pytest.mark.parametrize(("unit", "count", "labels"), [
    (7, 0, 0), (7, 2**32 - 1, 2**32 - 1), (7, -2, None), (8, 5, None), (11, 5, None), (17, 5, None),
])  # fmt: skip
def test_only_prints_are_counted(unit, count, labels):
    with FakeAgent(READY | {COUNTER_UNIT: unit, LIFE_COUNT: count}) as agent:
        status = ask(agent)
    assert status is not None and status.labels == labels


def test_what_the_card_does_not_know_is_left_out():
    with FakeAgent({ERROR_STATE: b"\x08"}) as agent:
        began = time.monotonic()
        assert ask(agent) == Status(frozenset({Reason.COVER_OPEN}), text="a cover or the head is open")
        assert time.monotonic() - began < 15, "a no is an answer"


def test_a_computer_is_no_printer():
    with FakeAgent({DEVICE_STATUS: 2, "1.3.6.1.2.1.1.1.0": b"Linux"}) as agent:
        assert ask(agent) is None


def test_the_answer_of_somebody_who_was_not_asked_counts_for_nothing():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        with FakeAgent(READY, mouth=stranger) as agent:
            assert ask(agent, patience_s=0.3) is None
            until(lambda: agent.questions >= 5)


def test_the_answer_to_another_question_counts_for_nothing():
    number, oid = b"\x02\x01\x07", snmp.name(PRINTER_STATUS)
    with FakeAgent(READY, spoil=lambda answer: [response(number, oid, 4)]) as agent:
        assert ask(agent, patience_s=0.3) is None
    with FakeAgent(READY, spoil=lambda answer: [response(number, oid, 4), answer]) as agent:
        assert ask(agent) == Status(labels=1234)


def test_a_value_under_another_name_counts_for_nothing():
    """The right number, and the name of another value: an agent that mixes up its answers."""
    other, right = snmp.name(DEVICE_STATUS), snmp.name(PRINTER_STATUS)
    assert len(other) == len(right)
    with FakeAgent({PRINTER_STATUS: 4}, spoil=lambda answer: [answer.replace(right, other)]) as agent:
        assert ask(agent, patience_s=0.3) is None


def test_a_datagram_that_gets_lost_is_asked_for_again():
    lost: list[bytes] = []

    def spoil(answer: bytes) -> list[bytes]:
        if len(lost) < 5:
            lost.append(answer)
            return []
        return [answer]

    with FakeAgent(READY, spoil=spoil) as agent:
        assert ask(agent, patience_s=4) == Status(labels=1234)
        assert agent.questions == 10


def test_a_silent_host_costs_its_patience_and_a_closed_port_nothing():
    with FakeAgent(READY, spoil=lambda answer: []) as agent:
        began = time.monotonic()
        assert ask(agent, patience_s=0.4) is None
        assert 0.35 < time.monotonic() - began < 20
        port = agent.port
    began = time.monotonic()
    assert printermib.ask("127.0.0.1", port, 60) is None
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("host", ["", "no-such-printer.invalid", "256.1.1.1", "a\0b", "x" * 70, "fe80::1%nowhere"])
def test_a_host_that_cannot_be_asked_is_no_error(host):
    assert printermib.ask(host, patience_s=0.05) is None
    assert printermib.ask("127.0.0.1", 99_999, 0.05) is None


def test_a_flood_of_nonsense_ends_with_the_patience():
    with FakeAgent(READY, spoil=lambda answer: [bytes(1400)] * 2000) as agent:
        began = time.monotonic()
        assert ask(agent, patience_s=0.3) is None
        assert time.monotonic() - began < 20


def test_ten_thousand_malformed_answers_are_no_answers():
    rng = random.Random(5)
    whole = response(b"\x02\x01\x07", snmp.name(ERROR_STATE), b"\x40\0")
    began = time.thread_time()
    for _ in range(10_000):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        found = snmp.answer(bytes(data[: rng.choice((len(data), rng.randrange(len(data) + 1)))]))
        assert found is None or (abs(found.number) < 2**39 and len(found.oid) < 70)
        snmp.answer(rng.randbytes(rng.randrange(200)))
    assert time.thread_time() - began < 5
    assert [snmp.answer(whole[:end]) for end in range(len(whole))] == [None] * len(whole)


def test_malformed_answers_over_the_wire_do_not_hide_the_right_one():
    rng = random.Random(6)

    def spoil(answer: bytes) -> list[bytes]:
        nonsense = [rng.randbytes(rng.randrange(1, 1600)) for _ in range(20)]
        cut = [answer[: rng.randrange(len(answer))] for _ in range(20)]
        return [*nonsense, *cut, b"", answer, answer]

    with FakeAgent(READY | {ERROR_STATE: b"\x08"}, spoil=spoil) as agent:
        status = ask(agent)
    assert status == Status(frozenset({Reason.COVER_OPEN}), labels=1234, text="a cover or the head is open")
