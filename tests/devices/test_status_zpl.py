"""How ZPL printers say how they are: answers of real printers, every bit, and everything that only looks like one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from devices.contracts import Reason, Status
from devices.status.zpl import TALK

READY = (
    b"\x02030,0,0,1245,000,0,0,0,000,0,0,0\x03\r\n"
    b"\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n"
    b"\x021234,0\x03\r\n"
)
ONE, TWO = b"030,0,0,1245,000,0,0,0,000,0,0,0".split(b","), b"000,0,0,0,0,2,4,0,00000000,1,000".split(b",")


def answer(changes: dict[str, bytes]) -> bytes:
    """READY with some fields, by the guide's letters, set to other values."""
    one, two = list(ONE), list(TWO)
    for letter, value in changes.items():
        if letter < "m":
            one["abcdefghijkl".index(letter)] = value
        else:
            two["mnopqrstuvw".index(letter)] = value
    return b"\x02%s\x03\r\n\x02%s\x03\r\n\x021234,0\x03\r\n" % (b",".join(one), b",".join(two))


def errors(bits: int, warnings: int = 0, more: int = 0) -> bytes:
    """~HQES as a ZT411 lays it out."""
    return (
        b"\x02\r\n\r\n  PRINTER STATUS                            \r\n   ERRORS:         %d %08X %08X      \r\n"
        b"   WARNINGS:       %d %08X %08X      \x03\r\n"
    ) % (bool(bits or more), more, bits, bool(warnings), 0, warnings)


def test_a_printer_with_nothing_to_say() -> None:
    assert TALK.read("~HS", READY) == Status(waiting=0, idle=True)
    assert TALK.read("~HQES", errors(0)) == Status()


@pytest.mark.parametrize(("letter", "reason", "text"), [
    ("b", Reason.MEDIA_EMPTY, "the paper has run out"), ("c", Reason.PAUSED, "it is paused"),
    ("o", Reason.COVER_OPEN, "the head is open"), ("p", Reason.MARKER_SUPPLY_EMPTY, "the ribbon has run out"),
    ("l", Reason.OVERHEATED, "the head is too hot"), ("k", Reason.OTHER, "the head is too cold"),
])  # fmt: skip
def test_each_flag_of_hs_is_a_reason_in_words(letter: str, reason: Reason, text: str) -> None:
    assert TALK.read("~HS", answer({letter: b"1"})) == Status(frozenset({reason}), waiting=0, idle=True, text=text)


def test_all_flags_at_once_are_all_told() -> None:
    status = TALK.read("~HS", answer(dict.fromkeys("bcgjklopt", b"1")))
    assert status is not None and status.blocked and status.text.count(", ") == 8
    assert status.reasons == {
        Reason.MEDIA_EMPTY, Reason.PAUSED, Reason.OTHER, Reason.OVERHEATED, Reason.COVER_OPEN,
        Reason.MARKER_SUPPLY_EMPTY, Reason.LABEL_WAITING,
    }  # fmt: skip


@pytest.mark.parametrize(("changes", "waiting"), [
    ({"e": b"003"}, 3), ({"u": b"00000012"}, 12), ({"e": b"001", "u": b"00000002"}, 3), ({"h": b"1"}, 0),
    ({"f": b"1"}, 0), ({"t": b"1"}, 0),
])  # fmt: skip
def test_a_printer_with_anything_left_is_not_idle(changes: dict[str, bytes], waiting: int) -> None:
    status = TALK.read("~HS", answer(changes))
    assert status is not None and (status.idle, status.waiting) == (False, waiting)


@pytest.mark.parametrize("told", [
    READY.replace(b"\r\n", b""), READY.replace(b"\r\n", b"\n"), READY[:-2], b"\r\n" + READY,
    READY.replace(b"1234,0", b"0,0"), READY.replace(b"030,0,0,1245,000", b"30,0,0,800,0"),
    READY.replace(b"00000000,1,000", b"0,1,0"),
    READY.replace(b",2,4,0,", b",S,1,0,"), READY.replace(b"0,0,0\x03\r\n\x02000", b"0,0,0,0,15\x03\r\n\x02001"),
])  # fmt: skip
def test_other_makers_answer_a_little_differently(told: bytes) -> None:
    assert TALK.read("~HS", told) == Status(waiting=0, idle=True)


@pytest.mark.parametrize(("bit", "reason"), [
    (0x1, Reason.MEDIA_EMPTY), (0x2, Reason.MARKER_SUPPLY_EMPTY), (0x4, Reason.COVER_OPEN), (0x8, Reason.CUTTER_ERROR),
    (0x10, Reason.OVERHEATED), (0x20, Reason.OVERHEATED), (0x40, Reason.OTHER), (0x80, Reason.OTHER),
    (0x100, Reason.OTHER), (0x200, Reason.OTHER), (0x1000, Reason.MEDIA_JAM), (0x2000, Reason.OTHER),
    (0x4000, Reason.MEDIA_JAM), (0x8000, Reason.MEDIA_JAM), (0x10000, Reason.PAUSED), (0x20000, Reason.OTHER),
    (0x40000, Reason.MEDIA_NEEDED), (0x80000, Reason.MEDIA_NEEDED), (0x400, Reason.OTHER), (0x80000000, Reason.OTHER),
])  # fmt: skip
def test_each_bit_of_hqes(bit: int, reason: Reason) -> None:
    status = TALK.read("~HQES", errors(bit))
    assert status is not None and status.reasons == {reason} and status.text


def test_warnings_and_the_example_of_the_manual() -> None:
    status = TALK.read("~HQES", errors(5, 2))
    assert status == Status(
        frozenset({Reason.MEDIA_EMPTY, Reason.COVER_OPEN, Reason.OTHER}),
        text="the paper has run out, the head is open, the head has to be cleaned",
    )
    assert TALK.read("~HQES", errors(0, 8)) == Status(frozenset({Reason.MEDIA_LOW}), text="the paper is nearly used up")
    assert TALK.read("~HQES", errors(0, 0xFF0)) == Status()
    unnamed = TALK.read("~HQES", errors(0, 0, 1))
    assert unnamed is not None and unnamed.reasons == {Reason.OTHER}


@pytest.mark.parametrize(("heard", "labels"), [
    (b'"31084"', 31084), (b'"0"\r\n', 0), (READY + b'"31084"\r\n', 31084), (b'\r\n"7"\0', 7),
])  # fmt: skip
def test_the_label_counter(heard: bytes, labels: int) -> None:
    assert TALK.read(TALK.questions[-1], heard) == Status(labels=labels)


@pytest.mark.parametrize("heard", [
    b"", b'"', b'"31', b'1084"', b"31084", b'84""31084"', b'"1""2"', b'"12 INCHES"', b'"99999999999"', b'"5"xyz', b'""',
    READY, '"٣"'.encode(),
])  # fmt: skip
def test_what_is_no_label_counter(heard: bytes) -> None:
    assert TALK.read(TALK.questions[-1], heard) is None


def test_a_printer_without_the_counter_says_so_at_once() -> None:
    assert TALK.read(TALK.questions[-1], b'"?"') == Status()


def test_the_answers_together_are_one_status() -> None:
    told = {
        "~HS": TALK.read("~HS", answer({"e": b"002", "o": b"1"})),
        "~HQES": TALK.read("~HQES", errors(0x14, 8)),
        "odometer.total_label_count": TALK.read("odometer.total_label_count", b'"99"'),
    }
    whole = {question: status for question, status in told.items() if status}
    assert TALK.merge(whole) == Status(
        frozenset({Reason.COVER_OPEN, Reason.OVERHEATED, Reason.MEDIA_LOW}), labels=99, waiting=2, idle=False,
        text="the head is open, the head is too hot, the paper is nearly used up",
    )  # fmt: skip
    assert TALK.merge({"~HQES": whole["~HQES"]}).idle is None
    assert TALK.merge({}) == Status()


def test_the_counter_is_asked_last_and_the_sleeper_by_bits() -> None:
    assert (TALK.questions[0], TALK.questions[-1], TALK.asleep) == ("~HS", "odometer.total_label_count", ("~HQES",))
    assert [TALK.ask(question) for question in TALK.questions] == [
        b"~HS\r\n", b"~HQES\r\n", b'! U1 getvar "odometer.total_label_count"\r\n',
    ]  # fmt: skip


# --- Everything that only looks like an answer ----------------------------------------------------------------------


def random_host_status(rng: random.Random) -> bytes:
    flags = {letter: rng.choice([b"0", b"0", b"1"]) for letter in "bcfghjklopt"}
    return answer(flags | {"e": b"%03d" % rng.randrange(20), "u": b"%08d" % rng.randrange(40)})


def random_errors(rng: random.Random) -> bytes:
    return errors(rng.getrandbits(20), rng.getrandbits(4))


def recalled_text(rng: random.Random) -> bytes:
    """What ^HV gives back of another job's field: even strings as ~HS has them, but not all three in a row."""
    one, two, three = (line + b"\r\n" for line in random_host_status(rng).split(b"\r\n")[:3])
    return rng.choice([
        one + one, two + three, one + three, b"\x02HV" + one + b"x" + two + three, three + one, one + two, b"\x02" * 9,
        b"PRINTER STATUS\r\n ERRORS: 1 00000000 0000", b"ERRORS: 1 00000000 00000001\r\n", b"\x03\x02030,1,1",
        one[:-3] + two + three, one.replace(b",", b";") + two + three,
    ])  # fmt: skip


def damaged(rng: random.Random, whole: bytes) -> bytes:
    """An answer without its end, without its beginning, or with a byte of it lost."""
    text = whole.strip(b"\r\n") if b"PRINTER" not in whole else whole[whole.index(b"P") :].rstrip(b"\x03\r\n ")
    at = rng.randrange(len(text))
    return rng.choice([text[:at], text[at + 1 :], text[:at] + b"\0" + text[at + 1 :]])


@pytest.mark.parametrize(("question", "genuine"), [("~HS", random_host_status), ("~HQES", random_errors)])
def test_ten_thousand_messes_never_give_a_wrong_verdict(
    question: str, genuine: Callable[[random.Random], bytes]
) -> None:
    rng = random.Random(8)
    understood = 0
    for _ in range(5_000):
        whole = [genuine(rng) for _ in range(rng.randrange(3))]
        parts = [(answer, TALK.read(question, answer)) for answer in whole]
        assert all(status for _, status in parts)
        junk = [rng.choice([recalled_text(rng), b"\n" + rng.randbytes(rng.randrange(20))]) for _ in range(2)]
        mess = [*parts, *((piece + b"\n-", None) for piece in junk)]
        rng.shuffle(mess)
        late = damaged(rng, genuine(rng)) + b"\n-" if rng.random() < 0.5 else b""
        heard = late + b"".join(piece for piece, _ in mess)
        truth = [status for _, status in mess if status]
        assert TALK.read(question, heard) == (truth[-1] if truth else None), heard
        understood += bool(truth)
    assert understood > 2_000


@pytest.mark.parametrize("question", ["~HS", "~HQES"])
def test_an_answer_is_read_when_its_last_byte_is_there_and_not_before(question: str) -> None:
    rng = random.Random(9)
    for _ in range(30):
        whole = random_host_status(rng) if question == "~HS" else random_errors(rng)
        truth = TALK.read(question, whole)
        read = [TALK.read(question, whole[:end]) for end in range(len(whole) + 1)]
        first = next(n for n, status in enumerate(read) if status)
        assert set(read[:first]) == {None} and set(read[first:]) == {truth}


@pytest.mark.parametrize("piece", [
    b"\x02", b"\x02030,", READY[:-5], READY, b"PRINTER STATUS ", b"PRINTER STATUS" + b" " * 150, b'"',
    b" ", b"\0", errors(5),
])  # fmt: skip
def test_a_printer_that_never_stops_talking_costs_little_time(piece: bytes) -> None:
    heard = piece * (1_000_000 // len(piece))
    start = time.thread_time()
    for question in TALK.questions:
        TALK.read(question, heard)
    assert time.thread_time() - start < 1
