"""What an EPL2 printer says to ^ee, and what is not taken for it."""

from __future__ import annotations

import random
import time

import pytest

from devices.contracts import Reason, Status
from devices.status import talk
from devices.status.epl2 import TALK

QUESTION = "^ee"


def twice(code: bytes) -> bytes:
    return (code + b"\r\n") * 2


def test_the_question_is_asked_twice_on_lines_of_its_own() -> None:
    assert talk("epl2") is TALK
    assert TALK.questions == (QUESTION,) and TALK.ask(QUESTION) == b"\n^ee\n^ee\n"


@pytest.mark.parametrize(("code", "reasons", "idle", "text"), [
    (b"00", set(), None, ""),
    (b"50", set(), False, "it is printing"),
    (b"07", {Reason.MEDIA_EMPTY}, None, "paper or ribbon is used up"),
    (b"11", {Reason.COVER_OPEN}, None, "the head is open"),
    (b"12", {Reason.PAUSED}, None, "it is paused, or waits for the label to be taken"),
    (b"81", {Reason.CUTTER_ERROR}, None, "the cutter is jammed or missing"),
    (b"84", {Reason.MEDIA_NEEDED}, None, "it does not find the gaps or black lines of this media"),
    (b"02", {Reason.OTHER}, None, "something lay over the border of the label"),
    (b"07,11,50", {Reason.MEDIA_EMPTY, Reason.COVER_OPEN}, False,
     "paper or ribbon is used up, the head is open, it is printing"),
])
def test_answers(code: bytes, reasons: set[Reason], idle: bool | None, text: str) -> None:
    assert TALK.read(QUESTION, twice(code)) == Status(reasons=frozenset(reasons), idle=idle, text=text)


@pytest.mark.parametrize("heard", [
    b"", b"00", b"00\r\n", b"00\r\n0", b"00\r\n00", b"00\r\n00\r", b"00\n00\n", b"00\r\n11\r\n", b"R256,00\r\n00\r\n",
    b"99\r\n99\r\n", b"000\r\n000\r\n", b"100\r\n00\r\n", b"0 0\r\n0 0\r\n", b"-07P003", b"\x1507\x13", b"\x06\x06",
    b"x" * 1_000_000, b"07," * 400_000, b"0" * 1_000_000,
    b"UKQ1935HLU V4.70\r\nS4 D08 R000,000 ZT UN\r\nq832 Q1218,024\r\n09 18 29\r\n", b"002\r\nLOGO\r\n07\r\n",
])
def test_what_is_no_answer(heard: bytes) -> None:
    assert TALK.read(QUESTION, heard) is None


@pytest.mark.parametrize("heard", [
    b"256,00\r\n" + twice(b"11"), b"\x13" + twice(b"11") + b"\x11", b"11\x13\r\n\x1111\r\n", b"\x06" + twice(b"11"),
    twice(b"00") + twice(b"11"), twice(b"11") + b"\x06", b"z" * 1_000_000 + twice(b"11"),
])
def test_an_answer_among_other_things(heard: bytes) -> None:
    status = TALK.read(QUESTION, heard)
    assert status is not None and status.reasons == {Reason.COVER_OPEN}


def test_one_answer_is_the_whole_status() -> None:
    told = Status(reasons=frozenset({Reason.PAUSED}))
    assert TALK.merge({QUESTION: told}) == told and TALK.merge({}) == Status()


NOISE = [
    b"UKQ1935HLU      V4.42\r\nSerial port:96,N,8,1\r\nPage Mode\r\nImage buffer size:0245K\r\n",
    b"I8,0,001 rY JF WN\r\nS3 D09 R256,000 ZT UN\r\nq320 Q120,24\r\nOption:d,Ff\r\n09 18 29\r\nCover: T=127, C=148\r\n",
    b"003\r\nLOGO1\r\nX\r\n", b"UP0245,40,38,63,60,0,0,8,0,001\r\n", b"8,A,001\r\n", b"\x1507P012\x13", b"\x1501\x13",
    b"\x11", b"\x06", b"\xff\0",
]


def test_ten_thousand_answers_late_split_merged_and_torn_never_give_a_wrong_verdict() -> None:
    """The truth is the state when the question was asked; noise is what EPL2 printers say otherwise, cut anywhere."""
    rng = random.Random(2844)
    truths = {b"00": frozenset(), b"07": frozenset({Reason.MEDIA_EMPTY}), b"11": frozenset({Reason.COVER_OPEN}),
              b"12": frozenset({Reason.PAUSED}), b"50": frozenset()}
    verdicts = 0
    for _ in range(10_000):
        code = rng.choice(list(truths))
        before = b"".join(rng.choices(NOISE, k=rng.randint(0, 3)))
        before = before[rng.randint(0, len(before)) :]
        after = b"".join(rng.choices(NOISE, k=rng.randint(0, 2)))
        answer = twice(code)
        answer = answer[rng.choice([0, 0, 0, rng.randint(0, 8)]) : rng.choice([8, 8, 8, rng.randint(0, 8)])]
        if rng.random() < 0.2:
            place = rng.randint(0, len(answer))
            answer = answer[:place] + rng.choice([b"\x11", b"\x13", rng.randbytes(3)]) + answer[place:]
        heard = before + answer + after
        for end in sorted({len(heard), rng.randint(0, len(heard))}):
            status = TALK.read(QUESTION, heard[:end])
            if status is not None:
                verdicts += 1
                assert status.reasons == truths[code], heard[:end]
                assert (status.idle is False) == (code == b"50")
    assert verdicts > 5_000


def test_garbage_of_a_megabyte_is_read_at_once() -> None:
    rng = random.Random(1)
    start = time.thread_time()
    for _ in range(20):
        TALK.read(QUESTION, rng.randbytes(1_000_000))
        TALK.read(QUESTION, rng.choice([b"00\r\n11\r\n", b"00,", b"\r\n", b"0"]) * 200_000)
    assert time.thread_time() - start < 5
