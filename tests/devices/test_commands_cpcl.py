"""What a CPCL job would do, wherever it is cut, and what makes the next one whole."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.commands import Command, Harm, commands, forgetting
from devices.commands.cpcl import new
from devices.contracts import Bitmap, Media, Tuning
from devices.languages.cpcl import LANGUAGE
from devices.readers.cpcl import read

PAGE = Bitmap(40, 20, bytes((x * 37 + y * 11) % 256 for y in range(20) for x in range(5)))
SECOND = LANGUAGE.encode(Bitmap(16, 3, b"\xf0\x0f\xaa\x55\xff\xff"), copies=4, media=Media(203, 10, 5))
JOB = (
    b"! 0 200 200 210 1\r\nPAGE-WIDTH 100\r\nTEXT 4 0 30 40 Hello\r\nCG 2 3 0 0 \r\nPR\r\n\r\n"
    b"ML 47\r\nTEXT 4 0 10 20\r\none\r\ntwo\r\nENDML\r\nEG 1 2 0 0 F0\r\n0F\r\n"
    b"B QR 1 2 3 4\r\nMA,x\r\nENDQR\r\nPRINT\r\n"
)


def said(data: bytes) -> list[tuple[str, Harm]]:
    """Names and harms of a stream."""
    return [(command.name, command.harm) for command in commands("cpcl", [data])]


@pytest.mark.parametrize(("line", "harm"), [
    (b"! 0 200 200 210 1", Harm.NONE), (b"! UTILITIES", Harm.NONE), (b"! U1 SETLP 5 2 46", Harm.NONE),
    (b"TEXT 4 0 30 40 Hello", Harm.NONE), (b"BARCODE 128 1 1 50 1 1 X", Harm.NONE), (b"LINE 0 0 1 1 1", Harm.NONE),
    (b"BOX 0 0 1 1 1", Harm.NONE), (b"FORM", Harm.NONE), (b"PRINT", Harm.NONE), (b"TONE 5", Harm.NONE),
    (b"BEEP 9", Harm.NONE), (b"; note", Harm.NONE), (b"IN-MILLIMETERS", Harm.NONE), (b"EG 1 1 0 0 F0", Harm.NONE),
    (b'! U1 setvar "a" "b"', Harm.SETTINGS), (b"SETFF 9 9", Harm.SETTINGS), (b"BAUD 9600", Harm.SETTINGS),
    (b"! DF A.FMT", Harm.FILES), (b"! UF A.FMT", Harm.FILES), (b"DF A.BAS", Harm.FILES), (b"DEL A.BAS", Harm.FILES),
    (b"USE-FORMAT A.FMT", Harm.FILES), (b"! CISDFCRC16", Harm.FILES), (b"TYPE A.BAS", Harm.FILES),
    (b'! U1 do "device.reset" ""', Harm.DISRUPTION), (b"DUMP", Harm.DISRUPTION),
    (b"! 0 200 200 9 9999", Harm.DISRUPTION),
    (b'! U1 getvar "a"', Harm.BACKCHANNEL), (b"VERSION", Harm.BACKCHANNEL), (b"DIR", Harm.BACKCHANNEL),
    (b"LT CR", Harm.PREFIX), (b"ON-FEED IGNORE", Harm.NONE), (b"ON-FEED REPRINT", Harm.SETTINGS),
    (b"LABEL", Harm.NONE), (b"PCX 10 10 !<LOGO.PCX", Harm.NONE), (b"PCX 0 0 !<A B", Harm.UNKNOWN),
    (b"\x1bh", Harm.UNKNOWN), (b"TEXT 4 0 0 0 a\x1bN", Harm.UNKNOWN), (b"PCX 0 0 abc", Harm.UNKNOWN),
    (b"hello", Harm.UNKNOWN), (b"! 0 200", Harm.UNKNOWN), (b"! FOO", Harm.UNKNOWN),
    (b"! U1 FOO", Harm.UNKNOWN),
])
def test_each_command_by_what_it_may_do(line: bytes, harm: Harm) -> None:
    assert {found for _, found in said(line + b"\r\n")} == {harm}


def test_our_own_jobs_are_harmless() -> None:
    assert {harm for _, harm in said(LANGUAGE.encode(PAGE, tuning=Tuning(darkness=5, tracking="mark")))} == {Harm.NONE}
    assert {harm for _, harm in said(JOB)} == {Harm.NONE}


def test_graphic_data_is_no_command() -> None:
    data = b"! 0 200 200 9 1\r\nCG 1 8 0 0 \r\nDUMP\r\n\r\nPRINT\r\n"
    assert [name for name, _ in said(data)] == ["!", "CG", "PRINT"]


@pytest.mark.parametrize("data", [
    b"! 0 200 200 9 1\rPRINT\r\n", b"CG 1 1 0 0\r\nx\r\n", b"CG 1 2\r\n", b"CG 99999 99999 0 0 abc",
    b";" * 9_000 + b"\r\n",
    b"ML 9\r\nTEXT 1 1 1 1\r\nCG 9 9 0 0 \r\nENDML\r\nDUMP\r\n",
])
def test_what_printers_may_read_differently_is_in_doubt(data: bytes) -> None:
    assert Harm.UNKNOWN in {harm for _, harm in said(data)}


def test_offsets_and_parameters_are_those_of_the_stream() -> None:
    assert list(commands("cpcl", [b"\r\n! 0 200 200 9 1\r\nCG 1 3 0 0 ab", b"c\r\nPRINT"])) == [
        Command("!", 2, Harm.NONE, b"0 200 200 9 1"), Command("CG", 19, Harm.NONE, b"1 3 0 0"),
        Command("PRINT", 35, Harm.NONE),
    ]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80) | st.just(JOB), st.integers(1, 9))
def test_it_does_not_matter_where_a_stream_is_cut(data: bytes, step: int) -> None:
    data = b"! 0 200 200 9 1\r\nCG 2 3 0 0 " + data + b"\r\nEG 1 2 0 0 F0\r\n0\r\nPRINT"
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    assert list(commands("cpcl", pieces)) == list(commands("cpcl", [data]))


@pytest.mark.parametrize("job", [
    JOB, LANGUAGE.encode(PAGE), b"! UTILITIES\r\nBEEP 1\r\nPRINT\r\n", b"! U1 SETLP 5 2 46\r\n",
])
def test_a_job_cut_at_any_byte_leaves_the_next_whole(job: bytes) -> None:
    [whole] = read(SECOND)
    for end in range(len(job) + 1):
        reader = new()
        reader.feed(job[:end])
        labels = read(job[:end] + reader.ending() + SECOND)
        assert labels[-1] == whole, (end, job[:end], reader.ending())
        assert len(labels) <= 2


@pytest.mark.parametrize("job", [
    JOB.replace(b"EG 1 2 0 0 F0\r\n0F\r\n", b""), LANGUAGE.encode(PAGE), b"! UTILITIES\r\nBEEP 1\r\nPRINT\r\n",
])
def test_a_job_cut_off_nobody_knows_where_prints_nothing_more_and_spares_the_next(job: bytes) -> None:
    [whole], step = read(SECOND), 5
    tail = forgetting("cpcl", [job], range(1, len(job), step), step)
    for cut in range(len(job) + 1):
        before = read(job) if b"\nPRINT" in job[:cut] else []
        assert read(job[:cut] + tail + SECOND) == [*before, whole], (cut, job[:cut])
        assert list(commands("cpcl", [job[:cut] + tail]))[-1].name == "ABORT"


def test_what_makes_a_printer_forget_prints_no_line_of_text_when_nothing_was_open() -> None:
    """Between sessions what is no command is text, and zeros or the word ABORT would come out on paper."""
    tail = forgetting("cpcl", [JOB], range(1, len(JOB)))
    first, *_, last = [line for line in tail.replace(b"\0", b"").split(b"\r\n") if line.strip()]
    assert (first, last) == (b"! UTILITIES", b"ABORT")


@pytest.mark.parametrize(("data", "ending"), [
    (b"", b""), (SECOND, b""), (b"! 0 200 200 9 1\r\nCG 2 2 0 0 a", b"\0\0\0\r\nABORT\r\n"),
    (b"! 0 200 200 9 1\r\nCG 1 2 0 0", b" \0\0\r\nABORT\r\n"),
    (b"! 0 200 200 9 1\r\nEG 1 2 0 0 F", b"000\r\nABORT\r\n"),
    (b"! 0 200 200 9 1\r\nML 9\r\nx", b"\r\nENDML\r\nABORT\r\n"), (b"! UTILITIES\r\n", b"PRINT\r\n"),
])
def test_what_an_ending_is(data: bytes, ending: bytes) -> None:
    reader = new()
    reader.feed(data)
    assert reader.ending() == ending == reader.ending()


@pytest.mark.parametrize("piece", [
    b"A", b" ", b"CG 1 1 0 0 a", b"\r", b"EG 1 9 0 0 ", b"ML\r\n", b"! 0 200 200 1 1\r\n",
])
def test_a_scanner_is_quick_and_small_whatever_it_is_fed(piece: bytes) -> None:
    reader = new()
    start = time.thread_time()
    for _ in range(40):
        reader.feed(piece * (10_000 // len(piece)))
    assert len(reader.ending()) < 11_000_000
    assert time.thread_time() - start < 10


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=200))
def test_any_bytes_have_commands_and_an_ending(data: bytes) -> None:
    reader = new()
    assert all(isinstance(command, Command) for command in [*reader.feed(data), *reader.end()])
    assert isinstance(reader.ending(), bytes)
