"""What TSPL printers say of themselves, and what is not believed."""

from __future__ import annotations

import random

import pytest

from devices.contracts import Reason, Status
from devices.status import talk

TALK = talk("tspl")
assert TALK is not None
BYTE, AGAIN, FRAME = TALK.questions


def test_the_questions_are_the_manuals() -> None:
    assert [TALK.ask(question) for question in TALK.questions] == [b"\x1b!?", b"\x1b!?", b"\x1b!S"]


@pytest.mark.parametrize(("byte", "reasons", "idle", "text"), [
    (0x00, set(), True, ""),
    (0x01, {Reason.COVER_OPEN}, None, "the head is open"),
    (0x02, {Reason.MEDIA_JAM}, None, "the paper is jammed"),
    (0x03, {Reason.MEDIA_JAM, Reason.COVER_OPEN}, None, "the paper is jammed, the head is open"),
    (0x04, {Reason.MEDIA_EMPTY}, None, "out of paper"),
    (0x05, {Reason.MEDIA_EMPTY, Reason.COVER_OPEN}, None, "out of paper, the head is open"),
    (0x07, {Reason.COVER_OPEN}, None, "the head is open"),
    (0x08, {Reason.MARKER_SUPPLY_EMPTY}, None, "out of ribbon"),
    (0x0D, {Reason.MARKER_SUPPLY_EMPTY, Reason.MEDIA_EMPTY, Reason.COVER_OPEN}, None,
     "out of ribbon, out of paper, the head is open"),
    (0x10, {Reason.PAUSED}, None, "paused"),
    (0x20, set(), False, ""),
    (0x24, {Reason.MEDIA_EMPTY}, False, "out of paper"),
    (0x40, {Reason.COVER_OPEN}, None, "the cover is open"),
    (0x80, {Reason.OTHER}, None, "another error"),
])
def test_one_byte(byte: int, reasons: set[Reason], idle: bool | None, text: str) -> None:
    assert TALK.read(BYTE, bytes([byte])) == Status(frozenset(reasons), idle=idle, text=text)
    assert TALK.read(AGAIN, bytes([byte])) == TALK.read(BYTE, bytes([byte]))


@pytest.mark.parametrize("heard", [
    b"", b"\0\0", b"\0\r\n", b"\x11", b"\x13", b"\x06", b"\x0e", b"\x0f", b"\xff", b"A", b"?", b"\x1b!?",
    b"\x20\x20", b"\x30",
    b"\x02@@@@\x03\r\n", b"\x60", b"\xc0", b"\x81",
])
def test_more_than_a_byte_and_bytes_nobody_lists_are_no_answer(heard: bytes) -> None:
    assert TALK.read(BYTE, heard) is None


@pytest.mark.parametrize(("frame", "reasons", "idle", "text"), [
    (b"@@@@", set(), True, ""),
    (b"P@@@", set(), False, ""),
    (b"W@@@", set(), False, ""),
    (b"`@@@", {Reason.PAUSED}, None, "paused"),
    (b"L@@@", {Reason.LABEL_WAITING}, False, "a label waits to be taken"),
    (b"@A@@", {Reason.MEDIA_LOW}, True, "the paper is nearly out"),
    (b"@H@@", set(), False, ""),
    (b"E@A@", {Reason.OVERHEATED}, None, "the print head is too hot"),
    (b"E@H@", {Reason.CUTTER_ERROR}, None, "the cutter is jammed"),
    (b"E@@A", {Reason.MEDIA_EMPTY}, None, "out of paper"),
    (b"E@@`", {Reason.COVER_OPEN}, None, "the head is open"),
    (b"E@@a", {Reason.MEDIA_EMPTY, Reason.COVER_OPEN}, None, "out of paper, the head is open"),
    (b"E@@D", {Reason.MARKER_SUPPLY_EMPTY}, None, "out of ribbon"),
    (b"E@@@", {Reason.OTHER}, None, "another error"),
])
def test_a_frame(frame: bytes, reasons: set[Reason], idle: bool | None, text: str) -> None:
    status = Status(frozenset(reasons), idle=idle, text=text)
    assert TALK.read(FRAME, b"\x02" + frame + b"\x03\r\n") == status
    assert TALK.read(FRAME, b"@@\x03\r\njunk\x02\x02" + frame + b"\x03\r\n\x02P@") == status


@pytest.mark.parametrize("heard", [
    b"", b"\0", b"@@@@", b"\x02@@@@\x03", b"\x02@@@@\x03\r", b"\x02@@@@\r\n", b"\x02Z@@@\x03\r\n", b"\x02@D@@\x03\r\n",
    b"\x02@@`@\x03\r\n", b"\x02@@@P\x03\r\n", b"\x02@@@\x03\r\n", b"\x02@@@@@\x03\r\n",
])
def test_what_is_no_whole_frame_is_no_answer(heard: bytes) -> None:
    assert TALK.read(FRAME, heard) is None


def read(question: str, heard: bytes) -> Status:
    status = TALK.read(question, heard)
    assert status is not None
    return status


def test_a_frame_settles_it() -> None:
    told = {BYTE: read(BYTE, b"\0"), AGAIN: read(AGAIN, b"\0"), FRAME: read(FRAME, b"\x02P@@@\x03\r\n")}
    assert TALK.merge(told) == told[FRAME]


def test_two_equal_bytes_are_believed() -> None:
    assert TALK.merge({BYTE: read(BYTE, b"\0"), AGAIN: read(AGAIN, b"\0")}).idle is True
    assert TALK.merge({BYTE: read(BYTE, b"\x04"), AGAIN: read(AGAIN, b"\x04")}) == read(BYTE, b"\x04")


def test_a_single_byte_is_never_idle() -> None:
    assert TALK.merge({BYTE: read(BYTE, b"\0")}) == Status()
    assert TALK.merge({AGAIN: read(AGAIN, b"\x20")}).idle is False
    assert TALK.merge({BYTE: read(BYTE, b"\x01")}).reasons == {Reason.COVER_OPEN}


def test_what_only_one_byte_says_is_left_out() -> None:
    assert TALK.merge({BYTE: read(BYTE, b"\x01"), AGAIN: read(AGAIN, b"\0")}) == Status()
    both = TALK.merge({BYTE: read(BYTE, b"\x05"), AGAIN: read(AGAIN, b"\x01")})
    assert (both.reasons, both.text) == ({Reason.COVER_OPEN}, "the head is open")
    assert TALK.merge({BYTE: read(BYTE, b"\x20"), AGAIN: read(AGAIN, b"\0")}).idle is None
    assert TALK.merge({}) == Status()


def whole_frames(heard: bytes) -> list[bytes]:
    """Every eight bytes that are built like an answer to ESC ! S."""
    eights = [heard[at : at + 8] for at in range(len(heard) - 7)]
    return [each for each in eights if each[0] == 2 and each[5:] == b"\x03\r\n" and each[1:2] in b"@`BCEFKLPW"]


def test_ten_thousand_garbled_answers_give_no_wrong_verdict() -> None:
    """Answers cut, damaged, joined and mixed with noise: only what stands there whole is believed."""
    rng = random.Random(11)
    noise = b"\x02\x03\r\n@@@@PEAH`\x00\x01\x04\x10\x20\x11\x13\xffabc"
    believed = 0
    for _ in range(10_000):
        answer = b"\x02" + bytes(rng.choices(b"@@@@ABDEHP`W", k=4)) + b"\x03\r\n"
        parts = [answer[: rng.randrange(9)], bytes(rng.choices(noise, k=rng.randrange(6))), answer[rng.randrange(9) :]]
        heard = b"".join(rng.sample(parts, rng.randrange(1, 4)))
        status, frames = TALK.read(FRAME, heard), whole_frames(heard)
        assert status is None or frames
        if status is not None:
            believed += 1
            assert status.idle is not True or frames[-1][1:2] == b"@" and frames[-1][3:5] == b"@@"
            assert (Reason.COVER_OPEN in status.reasons) == bool(frames[-1][4] & 0x20)
            assert (Reason.MEDIA_EMPTY in status.reasons) == bool(frames[-1][4] & 0x01)
        assert TALK.read(BYTE, heard) is None or len(heard) == 1
    assert 100 < believed < 9_000


def test_of_all_bytes_eighteen_are_answers() -> None:
    answers = [byte for byte in range(256) if TALK.read(BYTE, bytes([byte])) is not None]
    assert len(answers) == 18 and [b for b in answers if read(BYTE, bytes([b])).idle] == [0]


def test_a_long_noise_is_read_at_once() -> None:
    assert TALK.read(FRAME, b"\x02@@@@\x03\r" * 10_000) is None
