"""What an EPL2 job would do, wherever it is cut, and what makes the next one whole."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.commands import Command, Harm, commands, scanner
from devices.commands.epl2 import new, plainly_whole
from devices.contracts import Bitmap, Media, Tuning
from devices.errors import BadPrinterData
from devices.languages.epl2 import LANGUAGE
from devices.readers.epl2 import read

PAGE = Bitmap(40, 20, bytes((x * 37 + y * 11) % 256 for y in range(20) for x in range(5)))
SECOND = LANGUAGE.encode(Bitmap(16, 3, b"\xf0\x0f\xaa\x55\xff\xff"), copies=4, media=Media(203, 10, 5))
JOB = (
    b'\r\nI8,A,001\r\nq100\r\nN\r\nA5,5,0,1,1,1,N,"He said \\"P9\\" \\\\"\r\n'
    b"GW0,0,3,4,\n\"P9\n\r\\GW12345\nb1,1,P,9,9,\"two\nlines\"\nLO1,1,2,2\nGM\"X\"5\r\nabcdeP2\r\n"
)


def said(data: bytes) -> list[tuple[str, Harm]]:
    """Names and harms of a stream."""
    return [(command.name, command.harm) for command in commands("epl2", [data])]


@pytest.mark.parametrize(("line", "harm"), [
    (b"N", Harm.NONE), (b"P1", Harm.NONE), (b"P2,3", Harm.NONE), (b"q832", Harm.NONE), (b"Q1218,24+0", Harm.NONE),
    (b"Q100,B24+12", Harm.NONE), (b"R24,0", Harm.NONE), (b"S4", Harm.NONE), (b"D15", Harm.NONE), (b"ZT", Harm.NONE),
    (b"q812;four inches wide", Harm.NONE), (b"P1 ; one", Harm.NONE), (b"^@;", Harm.DISRUPTION),
    (b"U;x", Harm.DISRUPTION), (b"q;812", Harm.UNKNOWN), (b"OD10", Harm.NONE), (b".", Harm.NONE), (b"EPL2", Harm.NONE),
    (b"..", Harm.UNKNOWN), (b"EPL2 U", Harm.UNKNOWN),
    (b"JF", Harm.NONE), (b"JB", Harm.NONE), (b"O", Harm.NONE), (b"OD", Harm.NONE), (b"OCb", Harm.NONE),
    (b"f100", Harm.NONE), (b"rN", Harm.NONE), (b"I8,A,001", Harm.NONE), (b"; any note", Harm.NONE), (b"C", Harm.NONE),
    (b'A50,0,0,1,1,1,N,"a \\" b"', Harm.NONE), (b'A1,1,0,3,2,2,R,"x"V01C2TD+7', Harm.NONE),
    (b'B10,10,0,1A,2,6,106,B,"ABC"', Harm.NONE), (b'b80,100,P,700,600,x2,y7,"data"', Harm.NONE),
    (b"LO1,1,1,1", Harm.NONE), (b"LW1,1,1,1", Harm.NONE), (b"LE1,1,1,1", Harm.NONE), (b"LS1,1,1,1,1", Harm.NONE),
    (b"X1,1,1,1,1", Harm.NONE), (b'GG1,1,"LOGO"', Harm.NONE), (b'FR"F"', Harm.NONE), (b"oH0,500", Harm.NONE),
    (b"^default", Harm.SETTINGS), (b"Y96,N,8,1", Harm.SETTINGS), (b"OEPL1", Harm.SETTINGS), (b"eR$,2", Harm.SETTINGS),
    (b"JC", Harm.SETTINGS), (b"M0,4,0", Harm.SETTINGS), (b"fB10", Harm.SETTINGS), (b"oR", Harm.SETTINGS),
    (b"oW2,2,4,4,3", Harm.SETTINGS), (b"TS01,01,95,01,00,00", Harm.SETTINGS), (b"UN", Harm.NONE),
    (b"UA", Harm.SETTINGS), (b"UB", Harm.SETTINGS), (b"o", Harm.SETTINGS), (b"TDy4", Harm.SETTINGS),
    (b'GM"L"0', Harm.FILES), (b'GK"L"', Harm.FILES), (b'FK"*"', Harm.FILES), (b'FS"F"', Harm.FILES),
    (b"FE", Harm.FILES), (b'EK"*"', Harm.FILES), (b'ES"a"', Harm.FILES), (b'AUTOFR', Harm.FILES),
    (b"^@", Harm.DISRUPTION), (b"U", Harm.DISRUPTION), (b"dump", Harm.DISRUPTION), (b"xa", Harm.DISRUPTION),
    (b"FI", Harm.DISRUPTION), (b"GI", Harm.DISRUPTION), (b"EI", Harm.DISRUPTION), (b"P65535", Harm.DISRUPTION),
    (b"P5000,5000", Harm.DISRUPTION), (b"UP", Harm.DISRUPTION),
    (b"^ee", Harm.BACKCHANNEL), (b"UQ", Harm.BACKCHANNEL), (b"US1", Harm.BACKCHANNEL), (b"UG", Harm.BACKCHANNEL),
    (b"UI", Harm.BACKCHANNEL), (b"UM", Harm.BACKCHANNEL), (b"UF", Harm.BACKCHANNEL), (b"UE", Harm.BACKCHANNEL),
    (b"UT", Harm.BACKCHANNEL), (b"U$", Harm.BACKCHANNEL), (b'V00,15,N,"p"', Harm.BACKCHANNEL),
    (b"WY", Harm.PREFIX),
    (b"?", Harm.UNKNOWN), (b"\x1bEPL2", Harm.UNKNOWN), (b"^XA", Harm.UNKNOWN), (b"~JR", Harm.UNKNOWN),
    (b'! U1 setvar "a" "b"', Harm.UNKNOWN), (b"Nothing", Harm.UNKNOWN), (b"OFi", Harm.UNKNOWN),
    (b"hello", Harm.UNKNOWN), (b"GW1,2,3", Harm.UNKNOWN), (b"A1,1", Harm.UNKNOWN),
])
def test_each_command_by_what_it_may_do(line: bytes, harm: Harm) -> None:
    assert {found for _, found in said(b"\n" + line + b"\n")} == {harm}


def test_a_drivers_whole_label_is_harmless() -> None:
    assert {harm for _, harm in said(LANGUAGE.encode(PAGE, media=Media(203, 5, 3), tuning=Tuning(mode="cutter")))} == {
        Harm.NONE
    }


@pytest.mark.parametrize("data", [
    b'.\n\nN\nOD10\nQ1218,24\nq812\nD13\nZB\nLO10,80,790,2\nA60,110,0,5,3,2,N,"F"\nP1\nR0,0\n.\n',
    b'EPL2\r\nq812\r\nQ1218,24+0\r\nS4\r\nUN\r\nWN\r\nZB\r\nI8,A,001\r\nN\r\nb5,5,M,"1,2,3"\r\nP1\r\n',
    b'\nN\nq812;four inches\nQ1218,26;six inches\nB5,26,0,1A,3,7,152,B,"0001"\nP1,1\n',
])
def test_what_carriers_and_other_programs_send_passes_and_is_known(data: bytes) -> None:
    assert {harm for _, harm in said(data)} <= {Harm.NONE, Harm.PREFIX}
    assert LANGUAGE.sniff(data)


def test_binary_data_is_no_command() -> None:
    assert [name for name, _ in said(b"N\nGW0,0,1,9,\n^@\n^ee\nUP1\n")] == ["N", "GW", "P"]
    assert [name for name, _ in said(b'GM"A"9\r\n\n^@\n^ee\nUP1\n')] == ["GM", "P"]


def test_a_text_over_the_end_of_its_line_is_in_doubt() -> None:
    found = said(b'A1,1,0,1,1,1,N,"x\nGW0,0,1,9,"\n^default\nP1\n')
    assert (Harm.UNKNOWN in [harm for _, harm in found]) and found[0][0] == "A"
    assert ("a text in quotes that goes on over the end of its line", Harm.UNKNOWN) in found


@pytest.mark.parametrize("data", [
    b"N\rP1\n", b"GW0,0,99999,99999,abc", b"GW0,0,1,3\nabc\n", b";" * 9_000 + b"\n", b"; a\r^default\n",
])
def test_what_printers_may_read_differently_is_in_doubt(data: bytes) -> None:
    assert Harm.UNKNOWN in {harm for _, harm in said(data)}


def test_a_reset_inside_a_text_is_seen() -> None:
    assert ("^@", Harm.DISRUPTION) in said(b'A1,1,0,1,1,1,N,"x^@y"\n')


def test_offsets_and_parameters_are_those_of_the_stream() -> None:
    assert list(commands("epl2", [b"\r\nN\r\nGW0,0,1,3,ab", b"c\nP12"])) == [
        Command("N", 2, Harm.NONE), Command("GW", 5, Harm.NONE, b"0,0,1,3"), Command("P", 19, Harm.NONE, b"12"),
    ]


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80) | st.just(JOB), st.integers(1, 9))
def test_it_does_not_matter_where_a_stream_is_cut(data: bytes, step: int) -> None:
    data = b"N\nGW0,0,2,3," + data + b"\nA1,1,0,1,1,1,N,\"x\"\r\nP1"
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    assert list(commands("epl2", pieces)) == list(commands("epl2", [data]))


@pytest.mark.parametrize("job", [JOB, LANGUAGE.encode(PAGE, media=Media(203, 5, 3)), b'FS"F"\nV00,9,N,"ask"\nFE\n'])
def test_a_job_cut_at_any_byte_leaves_the_next_whole(job: bytes) -> None:
    [whole] = read(SECOND)
    for end in range(len(job) + 1):
        reader = new()
        reader.feed(job[:end])
        labels = read(job[:end] + reader.ending() + SECOND)
        assert labels[-1] == whole, (end, job[:end], reader.ending())
        assert len(labels) <= 2


def test_a_whole_job_needs_no_ending() -> None:
    for job in (JOB, SECOND, b"", b"N\nP1\n"):
        reader = new()
        reader.feed(job)
        assert reader.ending() == b""


@pytest.mark.parametrize(("data", "ending"), [
    (b"N\nGW0,0,2,2,a", b"\xff\xff\xff\n"), (b"N\nGW0,0,1,2", b"\n\xff\xff\n"), (b'A1,"a', b'"\n'),
    (b'A1,"a\\', b'""\n'), (b"P1", b"\n"), (b'FS"F"\nA1', b"\nFE\n"), (b'GM"A"3\nx', b"\xff\xff\n"),
])
def test_what_an_ending_is(data: bytes, ending: bytes) -> None:
    reader = new()
    reader.feed(data)
    assert reader.ending() == ending == reader.ending()


def test_plainly_whole_is_true_for_our_own_jobs_only_when_they_are() -> None:
    job = LANGUAGE.encode(PAGE, copies=2, media=Media(203, 5, 3), tuning=Tuning(speed=2, gap_mm=3, mode="cutter"))
    assert plainly_whole(job) and plainly_whole(job + SECOND)
    assert not any(plainly_whole(job[:end]) for end in range(len(job)))
    assert not plainly_whole(job + b"^@\n") and not plainly_whole(b"") and not plainly_whole(JOB)
    assert not plainly_whole(job.replace(b"N\n", b"U\n", 1))


def test_what_is_plainly_whole_is_harmless_and_needs_no_ending() -> None:
    rng = random.Random(5)
    parts = [SECOND, b"N\n", b"P1\n", b"\n", b"GW0,0,1,2,ab", b"q8\n", b"OC\n", b"\nP2\n", b"^@\n", b"U\n", b"Q1,0\n"]
    found = 0
    for _ in range(20_000):
        data = b"".join(rng.choices(parts, k=rng.randint(1, 6)))
        if plainly_whole(data):
            found += 1
            reader = new()
            harms = {command.harm for command in [*reader.feed(data), *reader.end()]}
            assert harms == {Harm.NONE} and reader.ending() == b"" and read(data)
    assert found > 50


def test_ten_thousand_hidden_resets_are_seen() -> None:
    rng = random.Random(8)
    words = [b"N\n", b'A1,1,0,1,1,1,N,"', b'"', b"\\", b"\n", b"\r", b"GW0,0,1,3,", b"GW0,0,1,3\n", b"abc",
             b";", b"P1\n", b'b1,1,P,"', b'GM"A"2\n', b"\0", b" "]
    for _ in range(10_000):
        before = b"".join(rng.choices(words, k=rng.randint(0, 8))) + b"\n"
        found = list(commands("epl2", [before + b"^@\n" + b"".join(rng.choices(words, k=3))]))
        in_picture = any(found.name == "GW" and 10 <= len(before) - found.offset < 13 for found in found)
        assert in_picture or any(command.harm is not Harm.NONE for command in found), before


@pytest.mark.parametrize("piece", [b"A", b'"', b"\\", b"GW", b"\r", b"GW0,0,1,1,a", b"b\"\n", b"^@", b"\0", b"P1\n"])
def test_a_scanner_is_quick_and_small_whatever_it_is_fed(piece: bytes) -> None:
    reader = scanner("epl2")
    assert reader is not None
    start = time.thread_time()
    for _ in range(40):
        reader.feed(piece * (10_000 // len(piece)))
    assert len(reader.ending()) < 6_000_000
    assert time.thread_time() - start < 15


@settings(deadline=None, max_examples=500)
@given(st.binary(max_size=200))
def test_any_bytes_have_commands_and_an_ending(data: bytes) -> None:
    reader = new()
    assert all(isinstance(command, Command) for command in [*reader.feed(b"N\n" + data)])
    try:
        labels = read(b"N\n" + data + reader.ending() + SECOND)
    except BadPrinterData:
        return
    assert labels[-1] == read(SECOND)[0]
