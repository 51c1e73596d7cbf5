"""What receipt printers say of themselves: every bit, what is no answer, and ten thousand mangled answers."""

from __future__ import annotations

import random
from typing import Any

import pytest

from devices.contracts import Reason
from devices.status.escpos import TALK, automatic, proof

ALL = TALK.questions


def reasons(question: str, heard: bytes) -> set[str] | None:
    status = TALK.read(question, heard)
    return None if status is None else {reason.value for reason in status.reasons}


def test_the_four_questions() -> None:
    assert [TALK.ask(question) for question in ALL] == [b"\x10\x04\1", b"\x10\x04\2", b"\x10\x04\3", b"\x10\x04\4"]
    assert TALK.asleep == ()


@pytest.mark.parametrize(("question", "byte", "said", "text"), [
    ("DLE EOT 1", 0x12, set(), ""),
    ("DLE EOT 1", 0x16, set(), ""),  # the drawer's pin 3 is high
    ("DLE EOT 1", 0x1A, {"paused"}, "it is offline"),
    ("DLE EOT 1", 0x32, {"other"}, "it waits to be switched online"),
    ("DLE EOT 1", 0x52, {"other"}, "its feed button is pressed"),
    ("DLE EOT 2", 0x12, set(), ""),
    ("DLE EOT 2", 0x16, {"cover-open"}, "the cover is open"),
    ("DLE EOT 2", 0x1A, {"other"}, "paper is being fed with the feed button"),
    ("DLE EOT 2", 0x32, {"media-empty"}, "the paper has run out"),
    ("DLE EOT 2", 0x52, {"other"}, "it reports an error"),
    ("DLE EOT 3", 0x16, {"other"}, "it reports a mechanical error"),
    ("DLE EOT 3", 0x1A, {"cutter-error"}, "the cutter is jammed"),
    ("DLE EOT 3", 0x32, {"other"}, "it reports an error that needs service"),
    ("DLE EOT 3", 0x52, {"overheated"}, "the print head is too hot, or its voltage is wrong"),
    ("DLE EOT 4", 0x12, set(), ""),
    ("DLE EOT 4", 0x1E, {"media-low"}, "the paper is nearly used up"),
    ("DLE EOT 4", 0x72, {"media-empty"}, "there is no paper"),
    ("DLE EOT 4", 0x7E, {"media-low", "media-empty"}, "the paper is nearly used up; there is no paper"),
])  # fmt: skip
def test_every_bit_has_its_meaning(question: str, byte: int, said: set[str], text: str) -> None:
    status = TALK.read(question, bytes([byte]))
    assert status is not None and {reason.value for reason in status.reasons} == said and status.text == text


def test_a_byte_with_other_fixed_bits_is_no_answer() -> None:
    others = [bytes([byte]) for byte in range(256) if byte & 0x93 != 0x12]
    assert {TALK.read(question, byte) for question in ALL for byte in others} == {None}


@pytest.mark.parametrize("byte", [0x16, 0x1A, 0x32, 0x52, 0x36])
def test_half_a_sensor_is_no_answer(byte: int) -> None:
    assert TALK.read("DLE EOT 4", bytes([byte])) is None


@pytest.mark.parametrize("heard", [
    b"", b"\x11\x13", b"hello r", b"Zebra", b"\x12\x16", b"\x12\0", b"\xff\x12", b"\x10\0\0", b"\x10\0\0\x12",
    b"\x12\n",
])  # fmt: skip
def test_what_holds_anything_else_is_not_read(heard: bytes) -> None:
    assert [TALK.read(question, heard) for question in ALL] == [None] * 4


@pytest.mark.parametrize("around", [
    b"\x11%s\x13", b"\x10\0\0\0%s", b"%s\x18\x00\x0f\x00", b"\x3c\0\0\0%s\x10\0\0\0", b"_EPSON\0%s",
    b"%s\x37\x220001\0", b"%s\x12",
])  # fmt: skip
def test_what_else_a_printer_says_is_put_aside(around: bytes) -> None:
    assert reasons("DLE EOT 4", around % b"\x12") == set()


def test_the_question_asked_decides_what_a_byte_means() -> None:
    assert reasons("DLE EOT 1", b"\x32") == {"other"}
    assert reasons("DLE EOT 2", b"\x32") == {"media-empty"}
    assert reasons("GS r 1", b"\x12") is None


def merged(*answers: int) -> tuple[set[str], str]:
    told = {q: TALK.read(q, bytes([a])) for q, a in zip(ALL, answers, strict=True)}
    status = TALK.merge({q: s for q, s in told.items() if s is not None})
    return {reason.value for reason in status.reasons}, status.text


@pytest.mark.parametrize(("answers", "said", "text"), [
    ((0x12, 0x12, 0x12, 0x12), set(), ""),
    ((0x1A, 0x16, 0x52, 0x12), {"cover-open"}, "the cover is open"),
    ((0x1A, 0x32, 0x12, 0x7E), {"media-empty"}, "the paper has run out"),
    ((0x1A, 0x52, 0x1A, 0x12), {"cutter-error"}, "the cutter is jammed"),
    ((0x1A, 0x52, 0x52, 0x12), {"overheated"}, "the print head is too hot, or its voltage is wrong"),
    ((0x12, 0x12, 0x12, 0x1E), {"media-low"}, "the paper is nearly used up"),
    ((0x1A, 0x12, 0x12, 0x12), {"paused"}, "it is offline"),
    ((0x1A, 0x52, 0x32, 0x12), {"paused", "other"},
     "it is offline; it reports an error; it reports an error that needs service"),
])  # fmt: skip
def test_four_answers_become_one(answers: tuple[int, ...], said: set[str], text: str) -> None:
    assert merged(*answers) == (said, text)


def test_nothing_told_is_nothing_known() -> None:
    assert TALK.merge({}).reasons == frozenset()


@pytest.mark.parametrize(("heard", "said"), [
    (b"\x10\0\0\0", set()), (b"\x14\0\0\0", set()), (b"\x18\0\0\0", {"paused"}), (b"\x38\0\0\0", {"cover-open"}),
    (b"\x18\x08\0\0", {"cutter-error"}), (b"\x18\x40\0\0", {"overheated"}), (b"\x18\x01\0\0", {"paused", "other"}),
    (b"\x10\0\x03\0", {"media-low"}), (b"\x18\0\x0f\0", {"media-empty"}), (b"\x18\0\x0f\0\x10\0\0\0", set()),
    (b"\x12\x10\0\0\0\x11", set()), (b"\x10\x11\0\0\0", set()),
    (b"\x10\0\0", None), (b"\x12", None), (b"\x10\0\1\0", None), (b"\x10\0\0\x10", None), (b"AB\x10\0\0\0", None),
])  # fmt: skip
def test_automatic_status_back(heard: bytes, said: set[str] | None) -> None:
    status = automatic(heard)
    assert (None if status is None else {reason.value for reason in status.reasons}) == said


def test_a_process_id_proves_that_everything_before_it_is_printed() -> None:
    question = proof(42)
    assert TALK.ask(question) == b"\x1d(H\6\x00000042"
    assert TALK.read(question, b"\x12\x37\x220041\0") is None
    status = TALK.read(question, b"\x10\0\0\0\x37\x220042\0")
    assert status is not None and status.idle is True
    assert question not in ALL


def test_a_question_nobody_knows_is_refused() -> None:
    with pytest.raises(KeyError):
        TALK.ask("GS ( H")


def mangled(rng: random.Random, byte: int) -> bytes:
    """An answer late, twice, cut off, between other things, or noise."""
    asb = bytes([0x10 | rng.choice((0, 4, 8, 0x20)), 0, rng.choice((0, 3, 15)), 0])
    pieces: list[Any] = [
        bytes([byte]), asb, asb[: rng.randrange(4)], b"\x11", b"\x13", b"_TM-T88\0", b"_TM", b"\x37\x220001\0",
        rng.randbytes(rng.randrange(6)), bytes([rng.choice((0x12, 0x1A, 0x7E, 0x72))]), b"OUT OF PAPER\r\n",
    ]  # fmt: skip
    return b"".join(rng.choice(pieces) for _ in range(rng.randrange(5)))


def test_ten_thousand_mangled_answers_never_give_a_wrong_verdict() -> None:
    rng = random.Random(20_261_122)
    read = 0
    for _ in range(10_000):
        question = rng.choice(ALL)
        byte = 0x12 | rng.choice((0, 0, 4, 8, 0x0C, 0x20, 0x40, 0x60))
        heard = mangled(rng, byte)
        status = TALK.read(question, heard)
        automatic(heard)
        if status is not None:
            read += 1
            answers = {bytes([each]) for each in heard if each & 0x93 == 0x12}
            assert status in [TALK.read(question, each) for each in answers], (question, heard)
            assert status.idle is None and status.labels is None
    assert read > 500


@pytest.mark.parametrize("piece", [b"_", b"7", b"_ABC", b"\x10\0\0", b"7\"0001", b"\x12\x16"])
def test_a_long_noise_is_no_answer(piece: bytes) -> None:
    assert TALK.read("DLE EOT 1", piece * 20_000) is None
    assert automatic(piece * 20_000) is None


def test_out_of_paper_blocks_and_low_paper_does_not() -> None:
    empty, low = (TALK.read("DLE EOT 4", bytes([byte])) for byte in (0x72, 0x1E))
    assert empty is not None and empty.blocked and Reason.MEDIA_EMPTY in empty.reasons
    assert low is not None and not low.blocked
