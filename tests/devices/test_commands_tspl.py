"""TSPL as commands: what each would do, wherever the stream is cut, and what ends a stream that was broken off."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.commands import Command, Harm, commands, ending, scanner
from devices.contracts import Bitmap, Media, Tuning
from devices.languages.tspl import LANGUAGE
from devices.readers.tspl import read

NONE, SETTINGS, FILES, DISRUPTION = Harm.NONE, Harm.SETTINGS, Harm.FILES, Harm.DISRUPTION
BACKCHANNEL, UNKNOWN = Harm.BACKCHANNEL, Harm.UNKNOWN

TABLE = [
    (b"SIZE 4,6", "SIZE", NONE), (b"GAP 3 mm,0 mm", "GAP", NONE), (b"BLINE 3 mm,0", "BLINE", NONE),
    (b"OFFSET 0", "OFFSET", NONE), (b"SPEED 4", "SPEED", NONE), (b"DENSITY 8", "DENSITY", NONE),
    (b"DIRECTION 1,0", "DIRECTION", NONE), (b"REFERENCE 0,0", "REFERENCE", NONE), (b"SHIFT 3", "SHIFT", NONE),
    (b"COUNTRY 044", "COUNTRY", NONE), (b"CODEPAGE UTF-8", "CODEPAGE", NONE), (b"CLS", "CLS", NONE),
    (b"cls", "CLS", NONE),
    (b"LIMITFEED 12", "LIMITFEED", NONE), (b"SOUND 2,100", "SOUND", NONE), (b"CUT", "CUT", NONE),
    (b"BAR 1,1,5,5", "BAR", NONE), (b'BARCODE 1,1,"128",48,1,0,2,2,"123"', "BARCODE", NONE),
    (b"BOX 1,1,9,9,1", "BOX", NONE),
    (b"CIRCLE 1,1,5,1", "CIRCLE", NONE), (b"ELLIPSE 1,1,5,5,1", "ELLIPSE", NONE),
    (b"DIAGONAL 1,1,5,5,1", "DIAGONAL", NONE),
    (b'TEXT 1,1,"3",0,1,1,"hi"', "TEXT", NONE), (b'BLOCK 1,1,99,99,"0",0,8,8,"hi"', "BLOCK", NONE),
    (b"REVERSE 1,1,5,5", "REVERSE", NONE), (b"ERASE 1,1,5,5", "ERASE", NONE), (b'PUTBMP 1,1,"A.BMP"', "PUTBMP", NONE),
    (b'PUTPCX 1,1,"A.PCX"', "PUTPCX", NONE), (b'QRCODE 1,1,H,4,A,0,"x"', "QRCODE", NONE),
    (b'DMATRIX 1,1,90,90,"x"', "DMATRIX", NONE), (b'PDF417 1,1,90,90,0,"x"', "PDF417", NONE),
    (b'AZTEC 1,1,0,"x"', "AZTEC", NONE),
    (b'MAXICODE 1,1,4,"x"', "MAXICODE", NONE), (b'RSS 1,1,"RSS14",0,2,2,"1"', "RSS", NONE),
    (b"REM nothing", "REM", NONE),
    (b"BITMAP 0,0,1,1,0,\xff", "BITMAP", NONE), (b"BITMAP 0 , 0, 1,1, 2,\xff", "BITMAP", NONE),
    (b"PRINT 1", "PRINT", NONE), (b"PRINT 1,10000", "PRINT", NONE), (b"PRINT 100,100", "PRINT", NONE),
    (b'@1="0001"', "@", NONE), (b"SET COUNTER @1 1", "SET", NONE), (b"SET CUTTER OFF", "SET", NONE),
    (b"SET PARTIAL_CUTTER 1", "SET", NONE), (b"SET BACK ON", "SET", NONE), (b"SET PEEL OFF", "SET", NONE),
    (b"SET TEAR ON", "SET", NONE), (b"SET STRIPER ON", "SET", NONE), (b"SET RIBBON OFF", "SET", NONE),
    (b"set tear on", "SET", NONE), (b"SETC AUTODOTTED OFF", "SETC", NONE), (b"SETC PAUSEKEY ON", "SETC", NONE),
    (b"SETC BAUD 1", "SETC", UNKNOWN), (b"SETC WATERMARK OFF KILL", "SETC", UNKNOWN),
    (b"SET HEAD OFF", "SET", SETTINGS), (b"SET COM1 96,N,8,1", "SET", SETTINGS), (b"SET GAP AUTO", "SET", SETTINGS),
    (b"SET PRINTKEY ON", "SET", SETTINGS), (b"SET REPRINT OFF", "SET", SETTINGS), (b"SET KEY1 OFF", "SET", SETTINGS),
    (b"SET LED1 OFF", "SET", SETTINGS), (b"SET RESPONSE ON", "SET", BACKCHANNEL), (b"SET", "SET", UNKNOWN),
    (b"GAPDETECT", "GAPDETECT", SETTINGS), (b"BLINEDETECT 100,20", "BLINEDETECT", SETTINGS),
    (b"AUTODETECT", "AUTODETECT", SETTINGS), (b'WLAN SSID "x"', "WLAN", SETTINGS), (b'NET DHCP', "NET", SETTINGS),
    (b"~!E", "~!E", SETTINGS), (b"\x1b!D", "ESC ! D", SETTINGS),
    (b'DOWNLOAD "A.BAS"', "DOWNLOAD", FILES), (b'DOWNLOAD F,"A.PCX",3,abc', "DOWNLOAD", FILES), (b"EOP", "EOP", FILES),
    (b"FILES", "FILES", FILES), (b'KILL "*"', "KILL", FILES), (b'kill "*"', "KILL", FILES), (b"MOVE", "MOVE", FILES),
    (b'RUN "A.BAS"', "RUN", FILES), (b'COPY "A","B"', "COPY", FILES), (b'OPEN "A",0', "OPEN", FILES),
    (b'WRITE 0,"x"', "WRITE", FILES),
    (b"FEED 100", "FEED", DISRUPTION), (b"BACKFEED 9", "BACKFEED", DISRUPTION), (b"BACKUP 9", "BACKUP", DISRUPTION),
    (b"FORMFEED", "FORMFEED", DISRUPTION), (b"HOME", "HOME", DISRUPTION), (b"SELFTEST", "SELFTEST", DISRUPTION),
    (b"PRINT 1,10001", "PRINT", DISRUPTION), (b"PRINT 999999999,9", "PRINT", DISRUPTION),
    (b"PRINT -1", "PRINT", DISRUPTION),
    (b"~!D", "~!D", DISRUPTION), (b"\x1b!R", "ESC ! R", DISRUPTION), (b"\x1b!C", "ESC ! C", DISRUPTION),
    (b"\x1b!F", "ESC ! F", DISRUPTION), (b"\x1b!.", "ESC ! .", DISRUPTION), (b"\x1b!P", "ESC ! P", DISRUPTION),
    (b"\x1b!O", "ESC ! O", DISRUPTION),
    (b"\x1b!?", "ESC ! ?", BACKCHANNEL), (b"\x1b!S", "ESC ! S", BACKCHANNEL), (b"~!@", "~!@", BACKCHANNEL),
    (b"~!A", "~!A", BACKCHANNEL), (b"~!C", "~!C", BACKCHANNEL), (b"~!F", "~!F", BACKCHANNEL),
    (b"~!I", "~!I", BACKCHANNEL),
    (b"~!T", "~!T", BACKCHANNEL), (b'OUT "x"', "OUT", BACKCHANNEL), (b'OUTR "x"', "OUTR", BACKCHANNEL),
    (b"PRINT N", "PRINT", UNKNOWN), (b"PRINT", "PRINT", UNKNOWN), (b"FOR I=1 TO 9", "FOR", UNKNOWN),
    (b"GOTO A", "GOTO", UNKNOWN),
    (b":A", ":", UNKNOWN), (b'A$="KILL"', "A$", UNKNOWN), (b"DEMO", "DEMO", UNKNOWN),
    (b'INPUT "x",A', "INPUT", UNKNOWN),
    (b"bitmap 0,0,1,1,0,\xff", "BITMAP", UNKNOWN), (b"BITMAP 0,0,1,1,3,1,z", "BITMAP", UNKNOWN),
    (b"BITMAP 0,0,A,1,0,\xff", "BITMAP", UNKNOWN), (b"BITMAP10,0,1,1,0,\xff", "BITMAP10", UNKNOWN),
    (b"BITMAP 0,0,9999,9999,0,", "BITMAP", UNKNOWN), (b"!B8", "!", UNKNOWN), (b"~#Name~&@1", "~#", UNKNOWN),
    (b"~!Z", "~!Z", UNKNOWN), (b"\x1b!Q", "ESC ! Q", UNKNOWN), (b"\x1b@", "0x1b", UNKNOWN),
    (b"\xef\xbb\xbfCLS", "0xef", UNKNOWN),
    (b"SIZE4,6", "SIZE4", UNKNOWN), (b"K ILL", "K", UNKNOWN),
]  # fmt: skip


def found(*pieces: bytes) -> list[Command]:
    return list(commands("tspl", pieces))


@pytest.mark.parametrize(("data", "name", "harm"), TABLE)
def test_what_a_command_may_do(data: bytes, name: str, harm: Harm) -> None:
    first = found(data + b"\r\n")[0]
    assert (first.name, first.offset, first.harm) == (name, 0, harm)


def test_what_our_own_encoder_sends_is_harmless() -> None:
    noise = Bitmap(816, 400, random.Random(3).randbytes(102 * 400))
    for mode in ("tear-off", "peel-off", "cutter", "rewind"):
        tuning = Tuning(darkness=8, speed=4, tracking="gap", tear_off=3, mode=mode)  # type: ignore[arg-type]
        out = LANGUAGE.encode(noise, copies=500, media=Media(203, 102.2, 152.4), tuning=tuning)
        assert {command.harm for command in found(out)} == {NONE}
        assert ending("tspl", [out]) == b""


def test_offsets_are_of_the_first_byte_and_parameters_are_cut_short() -> None:
    out = found(b'\r\n  CLS\r\nTEXT 1,1,"3",0,1,1,"' + b"x" * 99 + b'"\nPRINT 1,2 \r')
    assert [(each.name, each.offset) for each in out] == [("CLS", 4), ("TEXT", 9), ("PRINT", 130)]
    assert out[1].text == b'1,1,"3",0,1,1,"' + b"x" * 48 and out[2].text == b"1,2"


def test_data_is_counted_and_passed_over() -> None:
    data = b'KILL "*"\r\nSELFTEST\r\n'
    out = found(b"BITMAP 0,0,%d,1,0,%s\r\nCLS\r\n" % (len(data), data))
    assert [each.name for each in out] == ["BITMAP", "CLS"]


def test_what_follows_counted_data_is_a_command() -> None:
    out = found(b'BITMAP 0,0,2,1,0,abKILL "*"\r\n')
    assert [(each.name, each.offset) for each in out] == [("BITMAP", 0), ("KILL", 19)]


def test_immediate_commands_are_found_anywhere() -> None:
    out = found(b'BITMAP 0,0,5,1,0,a\x1b!Rb\r\nTEXT 1,1,"\x1b!.3\x1b!F"\r\nPR\x1b!PINT 1\r\n')
    assert [(each.name, each.offset) for each in out] == [
        ("BITMAP", 0), ("ESC ! R", 18), ("ESC ! .", 34), ("ESC ! F", 38), ("TEXT", 24), ("ESC ! P", 46), ("PRINT", 44),
    ]  # fmt: skip


def test_a_line_end_within_quotes_hides_nothing() -> None:
    assert [each.name for each in found(b'TEXT 1,1,"3\r\nKILL "*"\r\n')] == ["TEXT", "KILL"]


MIXED = (
    b'SIZE 4,6\r\nTEXT 1,1,"3",0,1,1,"a\\["]b"\nBITMAP 0,0,4,2,0,\r\n\x1b!R"\r\n\r\nDOWNLOAD F,"A.PCX",5,KILL\r\n'
    b'\x1b!?~!T\r'
    b'\x1b@x\r\nDOWNLOAD "A.BAS"\r\nPRINT N\r\nEOP\r\nPRINT 1,2\r\nbitmap 0,0,1,1,3,2,zz\r\n\xff\0 CLS'
)


def test_every_split_finds_the_same() -> None:
    whole = found(MIXED)
    assert len(whole) == 14
    for cut in range(len(MIXED) + 1):
        assert found(MIXED[:cut], MIXED[cut:]) == whole
    assert found(*(MIXED[i : i + 1] for i in range(len(MIXED)))) == whole


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([
    b"BITMAP ", b"0,0,1,3,0,", b"0,", b"DOWNLOAD ", b'"A",2,', b'"', b"\r", b"\n", b"\x1b", b"!", b"R", b"~",
    b"KILL", b" ",
    b"\\[", b"]", b"\0", b"\xff", b"EOP", b'"A.BAS"', b"PRINT 1",
]), max_size=40).map(b"".join), st.data())  # fmt: skip
def test_any_split_of_anything_finds_the_same(data: bytes, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert found(*pieces) == found(data)
    assert ending("tspl", pieces) == ending("tspl", [data])


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from([
    b"BITMAP 0,0,2,2,0,abcd", b"CLS", b"\r\n", b'TEXT 1,1,"3",0,1,1,"x"', b"PRINT 1", b"\n", b'"', b"REM ", b"\x1b",
]), max_size=12).map(b"".join))  # fmt: skip
def test_a_file_command_on_its_own_line_is_never_hidden(before: bytes) -> None:
    assert "KILL" in [command.name for command in found(before + b'\r\nKILL "*"\r\n')]


@pytest.mark.parametrize(("data", "end"), [
    (b"", b""), (b"CLS\r\n", b""), (b"CLS\n", b""), (b"CLS", b"\r\n"), (b"PRINT 1", b"\r\n"), (b"\r\n", b""),
    (b"  ", b""),
    (b"BITMAP 0,0,2,2,0,a", b"\xff\xff\xff\r\n"), (b"BITMAP 0,0,2,2,0,", b"\xff\xff\xff\xff\r\n"),
    (b"BITMAP 0,0,2,2,0,abcd", b"\r\n"), (b"BITMAP 0,0,2,2,0,abcd\r\n", b""), (b"BITMAP 0,0,2,2,0", b"\r\n"),
    (b'TEXT 1,1,"3', b'"\r\n'), (b'TEXT 1,1,"a\\["]', b'"\r\n'), (b'TEXT 1,1,"a\\["]"', b"\r\n"),
    (b'TEXT 1,1,"3\r\n', b'"\r\n'),
    (b'TEXT 1,1,"3\r\nCLS\r\n', b""), (b"\x1b", b"\r\n"), (b"\x1b!", b"\r\n"), (b"\x1b!?", b""),
    (b'DOWNLOAD F,"A",4,ab', b"  \r\n"), (b'DOWNLOAD "A.BAS"\r\nCLS\r\n', b"EOP\r\n"),
    (b'DOWNLOAD "A.BAS"\r\nCLS\r\nEOP\r\n', b""),
    (b'DOWNLOAD "A.BAS"\r\nTEXT 1,1,"', b'"\r\nEOP\r\n'), (b"BITMAP 0,0,1,1,3,4,ab", b"\xff\xff\r\n"),
])
def test_what_ends_a_broken_stream(data: bytes, end: bytes) -> None:
    assert ending("tspl", [data]) == end


def test_a_job_broken_off_anywhere_does_not_spoil_the_next() -> None:
    page = Bitmap(24, 5, bytes(byte ^ 0xFF for byte in b'\r\n"\x1b!RCLS\r\n~!Da'))
    text = b'TEXT 1,1,"3",0,1,1,"x"\r\n'
    first = LANGUAGE.encode(page, copies=1, media=Media(203, 25, 25)).replace(b"PRINT", text + b"PRINT")
    page = Bitmap(30, 30, b"\xf0\x0f\x33\x44" * 30)
    second = LANGUAGE.encode(page, copies=7, media=Media(203, 25, 25))
    for cut in range(len(first) + 1):
        end = ending("tspl", [first[:cut]])
        labels = read(first[:cut] + end + second)
        assert labels[-1] == read(second)[0], cut
        assert len(labels) <= 2
        assert [label.copies for label in labels[:-1]] in ([], [1]), cut


def test_a_scanner_keeps_little_and_is_quick() -> None:
    noise = random.Random(5).randbytes(1 << 17)
    pieces = [b'"', b"\x1b", b"\x1b!", b"\x1b!R", b"BITMAP ", b"DOWNLOAD", b"B", b"B\n", b"\r\n", noise]
    for piece in pieces:
        data = piece * ((1 << 17) // len(piece))
        reader = scanner("tspl")
        assert reader is not None
        start = time.thread_time()
        for at in range(0, len(data), 4096):
            reader.feed(data[at : at + 4096])
        assert time.thread_time() - start < 20
        tracemalloc.start()
        for at in range(0, 1 << 15, 4096):
            reader.feed(data[at : at + 4096])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000


def test_a_picture_no_printer_could_hold_is_not_filled_in_whole() -> None:
    assert len(ending("tspl", [b"BITMAP 0,0,999999,999999,0,"])) < 5_001_000
