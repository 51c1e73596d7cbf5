"""ZPL as commands: what each may do, streams that try to hide one, and how a job cut off anywhere is ended."""

from __future__ import annotations

import random
import time
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.commands import Command, Harm, commands, forgetting
from devices.commands.zpl import new, plainly_whole
from devices.contracts import Bitmap
from devices.languages import zpl
from devices.readers.zpl import read

PRINTS, SETTINGS, FILES, DISRUPTION = Harm.NONE, Harm.SETTINGS, Harm.FILES, Harm.DISRUPTION
BACKCHANNEL, PREFIX, UNKNOWN = Harm.BACKCHANNEL, Harm.PREFIX, Harm.UNKNOWN

TABLE: dict[Harm, list[bytes]] = {
    PRINTS: [
        b"^XA", b"^XZ", b"^FO50,50", b"^FT1,1", b"^FS", b"^FDhello", b"^FVx", b"^FN1", b"^FH_", b"^FB200,2",
        b"^FX note", b"^FR", b"^FWN", b"^FC%", b"^A0N,30,30", b"^A@N,30,30,E:ARIAL.TTF", b"^AZN,30", b"^ABN,11,7",
        b"^CF0,30",
        b"^CI28", b"^CI0", b"^CI27", b"^CI", b"^CWZ,E:MSUNG24.FNT", b"^BCN,80,Y,N,N", b"^BQN,2,5", b"^BXN,5,200",
        b"^B3N", b"^B7N", b"^BEN", b"^B0N", b"^BY2", b"^GB10,10,2", b"^GC20", b"^GD9,9", b"^GE9,9", b"^GSN,30",
        b"^GFA,2,2,1,FFFF", b"^GF,2,2,1,FFFF", b"^XGR:LOGO.GRF,1,1", b"^IMR:LOGO.GRF", b"^PW812",
        b"^LL1218", b"^LH0,0", b"^LS0", b"^LT-9", b"^LRN", b"^PON", b"^POI", b"^PMN", b"^PR4,4", b"^MD5", b"^MTD",
        b"^MNW", b"^MMT", b"^MUD", b"^JMA", b"^JZY", b"^MCY", b"^SZ2", b"^SN001,1,Y", b"^SFdd", b"^TBN,99,99",
        b"^PQ5", b"^PQ1,0,1,Y", b"^PQ100,10,1,Y", b"^PQ9999", b"^CVY", b"^RFW,H", b"~SD15", b"~TA000", b"~JSN", b"~DN",
        b"^DFR:PB_X.ZPL", b"^XFR:PB_X.ZPL", b"^XFPB_X", b"^IDR:PB_X.ZPL", b"^ISR:PB_X.GRF,N", b"~DGR:PB_X.GRF,1,1,FF",
        b"~DYR:PB_X,A,P,1,,FF", b"~DYR:PB_X,B,G,3,1,~JR", b"~CC^", b"^CT~", b"^CD,", b"^pq2", b"^MFN,N",
    ],
    SETTINGS: [
        b"^JUS", b"^JUF", b"^J US", b"^KP1234", b"^NDA", b"^NS1", b"^NI9", b"^NN", b"^NPP", b"^NT", b"^NW9", b"^SXA",
        b"^SQA", b"^KNprinter", b"^KL1", b"^KD0", b"^MPS", b"^MFF,F", b"^MFN,C", b"^MLA",
        b"^JJ0", b"^JSA", b"^JW1", b"^JT1",
        b"^JH", b"^MA1", b"^MI1", b"^SCa", b"^SI1", b"^SS1", b"^ST01", b"^SL", b"^SO2", b"^WP0000", b"^WX01", b"^WSO",
        b"^ZZ9", b"^FLE:A.TTF", b"~JF", b"~JN", b"~JO", b"~RO1", b"~NR", b"~PL001", b"~PMD",
        b'! U1 setvar "ip.addr" "1.2.3.4"\r\n', b'! U1 do "device.restore_defaults" "all"\r\n', b'! U setvar "a" "b"\n',
    ],
    FILES: [
        b"~DGR:LOGO.GRF,1,1,FF", b"~DGLOGO,1,1,FF", b"~DYE:FONT,B,T,9,,~JRxxxxxx", b"~DYR:PB_X,B,T,9,,xxxxxxxxx",
        b"~DBR:A.FNT,N", b"~DER:A.DAT,9,", b"~DSR:A.FNT,9,", b"~DTR:A,9,", b"~DUR:A,9,", b"^DFR:X.ZPL", b"^XFE:X.ZPL",
        b"^DF", b"^DFR:APB.ZPL", b"^ISR:A.GRF", b"^IDR:*.*", b"^IDE:LOGO.GRF", b"^TOR:PB.GRF,E:PB.GRF", b"^EG", b"~EG",
        b"^JBA", b"~JB", b"! CISDFCRC16\r\n0000\r\na.nrd\r\n00000003\r\n0000\r\n~JR",
        b"! CISDFRCRC16\r\n0000\r\na.nrd\r\n00000000\r\n0000\r\n", b'! U1 do "file.delete" "E:A.ZPL"\r\n',
    ],
    DISRUPTION: [
        b"~JR", b"~jr", b"~JA", b"~JX", b"~JP", b"~PP", b"^PP", b"~PS", b"~PH", b"^PH", b"~JC", b"~JG", b"~JL", b"~JD",
        b"~JE", b"~JQ", b"~JI", b"^JIR:A.BAS", b"~KB", b"~WR", b"~PR", b"^PQ99999999", b"^PQ10000", b"^PQ99,1", b"^MMC",
        b"^PQ1,1,1,N", b"^PQ1,0,99999", b"^PQ9 9\n999", b"^MMP", b"^MMD", b"^JZN", b"^MCN", b"~TA120", b"~TA-05",
        b'! U1 do "device.reset" ""\r\n', b"\x10JR", b"\x1ePQ99999",
    ],
    BACKCHANNEL: [
        b"~HS", b"~HI", b"~HQES", b"~HM", b"~HD", b"~HU", b"^HH", b"^HV1", b"^HFR:A", b"^HGR:A", b"^HWR:*.*", b"^HYR:A",
        b"^HZa", b"^HTE:", b"^LF", b"^WDR:", b"~WC", b"~WL", b"~WQES", b'! U1 getvar "device.unique_id"\r\n', b"\x10HS",
    ],
    PREFIX: [b"^CC/", b"~CC!", b"^CT#", b"~CT#", b"^CD;"],
    UNKNOWN: [
        b"^QQ", b"~QQ", b"^ XA", b"^F D", b"^CI15", b"^CI26", b"^CI29", b"^CC ", b"^CCA",
        b"^CC~", b"^CT,", b"^CC", b"^PQx", b"^GFC,9,9,1,xxxxxxxxx", b"^GFB,100000,100000,1,x", b"^GFB,3,4,1,xxx",
        b"^GFB,,3,1,xxx", b"^GFB, 3,3,1,xxx", b"^GFX,1,1,1,~", b"^GFB,3,3", b"^SEE:A.DAT", b"^CMA", b"~5", b"^", b"~",
        b"^^", b"! U1 SPEED 3\r\n", b"^SZ1", b"^GFB,3,3,1,xxx", b"^J\xc3\x9c", b"^X\x00A",
    ],
}  # fmt: skip


def scanned(data: bytes) -> list[Command]:
    return list(commands("zpl", [data]))


def passes(data: bytes) -> bool:
    """Whether a stream is taken for harmless; a change of prefixes is no harm in itself."""
    return all(command.harm in (PRINTS, PREFIX) for command in scanned(data))


@pytest.mark.parametrize(("data", "harm"), [(data, harm) for harm, all_of in TABLE.items() for data in all_of])
def test_what_a_command_may_do(data: bytes, harm: Harm) -> None:
    assert scanned(data)[0].harm is harm, scanned(data)


def test_the_table_is_long_enough_to_mean_something() -> None:
    assert sum(len(all_of) for all_of in TABLE.values()) >= 240
    assert set(TABLE) == set(Harm) - {Harm.DRAWER}


def test_a_command_is_told_with_its_place_and_the_beginning_of_its_parameters() -> None:
    assert scanned(b"^XA^FO5,6^FD" + b"x" * 200 + b"^FS^XZ\n")[1:3] == [
        Command("^FO", 3, PRINTS, b"5,6"), Command("^FD", 9, PRINTS, b"x" * 64),
    ]


@pytest.mark.parametrize("data", [
    b"^XA^FO50,50^A0N,30^FDHello^FS^XZ", b"\xef\xbb\xbf\r\n^XA^FDcaf\xc3\xa9^FS^XZ\r\n", b"\x02^XA^XZ\x03\r\n",
    b"\x10CT~~CD,~CC^~CT~\r\n^XA~TA000~JSN^LT0^MNW^MTT^PON^PMN^LH0,0^JMA^PR4,4~SD15^LRN^CI0^XZ\r\n^XA^MMT^PW812^XZ",
    b"CT~~CD,~CC^~CT~\r\n^XA^XZ", b"${^XA^XZ}$", b"~SD15\r\n^XA^FDSale! Up to 50%^FS^XZ\n\0\n",
    b"^XA\r\n^LRN\r\n^MNY\r\n^MFN,N\r\n^LH10,12\r\n^MCY\r\n^POI\r\n^PW812\r\n^CI27\r\n^CVY^BD3^FH_^FD4_1D^FS\r\n"
    b"^FO9,9^GFA,00002,00002,001,FF\n00\n^DN\n^XZ", b"^XA^POI\n^MMT,Y\n^PQ1, 0, 0, N\n^GB1,1,1^FS\n^XZ\n",
    b"^XA^GFB,3,3,1,~JR^FS^XZ", b"^XA^FX~DN^GFB,1,1,1,~^FS^XZ",
])
def test_what_label_programs_send_every_day_is_harmless(data: bytes) -> None:
    assert [command for command in scanned(data) if command.harm is not PRINTS] == []


@pytest.mark.parametrize("data", [
    b"hello", b"<?xml version='1.0'?>", b'{}{"device.reset":""}', b"! 0 200 200 210 1\r\nPRINT\r\n",
    b"^XA^XZ<xpml>", b"~SD15\r\nN\r\nq800", b"^XA^XZ\r\n^CC/A/XA/XZ", b"^XA^XZ$", b"^XA^XZ! 0 200 200 210 1",
])
def test_another_language_between_the_labels_is_not_passed(data: bytes) -> None:
    assert [c.harm for c in scanned(data) if c.harm is not PRINTS][-1] is UNKNOWN


@pytest.mark.parametrize("data", [
    b"^XA^FD~JR^FS^XZ", b"^FX ~JR", b"^XA^GFA,9,9,1,~JR", b"^XA^GFA,9,9,1,:Z64:AA~JR", b"~DGR:PB_A,9,9,~JR",
    b"^XA^GFB,1,1,1,x~JR", b"^XA^GFB,3,3,1~JR", b"^XA^CD;^GFB,9,9,9,9;~JRxxxxxx^XZ", b"^XA^GFB,999999,9,9,~JR",
    b"^XA^CC/^XZ/XZ~JR", b"^XA^CT#^XZ#JR", b"^CC##XA#CC^^XA^CT/ /JR", b"^XA^FD\x10JR", b"^XA^XZ\x10\nJR",
    b"^CI15^FD\x83^GFB,9,9,9,~JR567890^FS", b"^XA^GFB,5,5,1,x^^xx^GFB,5,5,5;^CD;^GFB;1;1;1;x~JR",
    b"^GFB,3,3,1,~JR^XA^XZ", b"\x02^GFB,3,3,1,~JR^XZ",
    b"~DYR:PB_A,B,G,1,1,x~JR", b"~DYR:PB_A,B,G,x,1,~JR", b"~DYR:PB_A,A,G,9,1,~JR", b"^XA^GFB,4\n0,40,1,~JR" + b"x" * 40,
])
def test_a_reset_cannot_be_hidden(data: bytes) -> None:
    assert not passes(data)


def smuggled(rng: random.Random) -> bytes:
    """Harmless commands, data that hides what it holds, other prefixes, and somewhere ~JR as it is spelled there."""
    caret, tilde, delimiter = b"^", b"~", b","
    out, place, pieces = b"^XA" * rng.randrange(2), rng.randrange(12), 12
    for number in range(pieces):
        if number == place:
            out += rng.choice([tilde, b"\x10"]) + rng.choice([b"JR", b"jr", b"JA", b"Jr"])
        match rng.randrange(8):
            case 0:
                caret, out = (new_one := other(rng, caret, tilde, delimiter)), out + caret + b"CC" + new_one
            case 1:
                tilde, out = (new_one := other(rng, caret, tilde, delimiter)), out + tilde + b"CT" + new_one
            case 2:
                delimiter, out = (new_one := other(rng, caret, tilde, delimiter)), out + tilde + b"CD" + new_one
            case 3:
                data = rng.choice([caret, tilde, b"x", b"~JR", b"^CC!", b"\x10"]) * rng.randrange(1, 40)
                size = b"%d" % len(data)
                out += caret + delimiter.join([b"GFB", size, size, b"1", data])
            case 4:
                out += caret + delimiter.join([b"GFA", b"9", b"9", b"1", b"FF:,!"])
            case 5:
                out += caret + rng.choice([b"FDtext", b"FX ! U", b"XA", b"XZ", b"FS", b"CI28", b"A0"])
            case 6:
                out += rng.choice([b"\r\n", b"^", b"~", b"G", b"\x02", b"B,", b"! "])
            case _:
                out += tilde + rng.choice([b"SD15", b"DGR:PB_A" + delimiter + b"9" + delimiter])
    return out


def other(rng: random.Random, *taken: bytes) -> bytes:
    """A prefix not in use."""
    return rng.choice([byte for byte in (b"^", b"~", b",", b"#", b"/", b"|", b";", b"+", b"$") if byte not in taken])


def test_ten_thousand_streams_with_a_reset_somewhere_never_pass() -> None:
    rng = random.Random(5)
    assert [data for data in (smuggled(rng) for _ in range(10_000)) if passes(data)] == []


def pieces_of(data: bytes, rng: random.Random) -> list[bytes]:
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


STREAMS = [data for all_of in TABLE.values() for data in all_of] + [
    b"\x10CT~~CD,~CC^~CT~\r\n^XA^FO1,1^GFB,9,9,3,^~^~^~^~^^FS^XZ\r\n! U1 setvar \"a\" \"b\"\r\n^XA^CC/ /XZ junk /XA/XZ",
    b"CT~~CD,~CC^~CT~ ${^XA^XZ}$ ! CISDFCRC16\r\n0000\r\na\r\n00000009\r\n0000\r\n^~^~^~^~^^XA^XZ",
]


def test_the_commands_are_the_same_wherever_the_stream_is_cut() -> None:
    rng = random.Random(6)
    for data in STREAMS:
        whole = scanned(data)
        assert list(commands("zpl", [data[i : i + 1] for i in range(len(data))])) == whole, data
        assert list(commands("zpl", pieces_of(data, rng))) == whole, data


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from([b"^", b"~", b"! ", b"!", b"U1 ", b"GFB,3,3,1,", b"CC", b"CT", b"JR", b"\n", b"\x10",
                                 b"XA", b"XZ", b"FD", b" ", b"$", b"{", b"CT~", b"CISDFCRC16\n1\n2\n3\n4\n", b"x" * 63])
                | st.binary(max_size=3), max_size=30).map(b"".join), st.randoms(use_true_random=False))  # fmt: skip
def test_any_bytes_are_the_same_commands_in_any_pieces(data: bytes, rng: random.Random) -> None:
    assert list(commands("zpl", pieces_of(data, rng))) == scanned(data)
    assert all(command.offset < len(data) and len(command.text) <= 64 for command in scanned(data))
    assert isinstance(new().ending(), bytes)


@pytest.mark.parametrize("piece", [b"^", b"~", b"!", b"! ", b"^XA", b"^FD", b" ", b"\0", b"x", b"$", b"! U1 do ", b"^ ",
                                   b"^GFB,1,1,1,", b"! CISDFCRC16\n", b"~DGR:PB,", b"\n", b"^X" + b" " * 30])
def test_hostile_streams_take_time_with_their_length_and_no_memory(piece: bytes) -> None:
    start, scanner = time.thread_time(), new()
    for _ in range(8):
        scanner.feed(piece * (40_000 // len(piece)))
        assert len(scanner._held) <= 1024
    scanner.end()
    assert len(scanner.ending()) < 100
    assert time.thread_time() - start < 20


@pytest.mark.parametrize(("data", "ending"), [
    (b"", b""), (b"^XA^FDx^FS^XZ", b""), (b"^XA^XZ\r\n\r\n", b""), (b"~HS\r\n", b""), (b"^XA^CC/ /CC^^XZ", b""),
    (b"^XA", b"^XZ"), (b"^XA^FDhalf", b"^FS^XZ"), (b"^XA^FDx^FS", b"^XZ"), (b"\x02", b"^XZ"),
    (b"^XA^GFB,9,9,3,abc", b"\0" * 6 + b"^FS^XZ"), (b"^XA^GFA,9,9,3,FF", b"~DN^FS^XZ"), (b"~DGR:A,9,9,FF", b"~DN"),
    (b"~DYR:A,B,G,9,3,abc", b"\0" * 6), (b"^XA^CC/", b"/XZ~CC^"), (b"^CC/^CT#", b"~CC^"), (b"^XA^XZ^", b"FX"),
    (b"~CC/~CT#", b"#CC^#CT~"), (b"~CD;", b"~CD,"), (b"^XA^C", b"@^FS^XZ"), (b"^XA~", b"DN^XZ"), (b"^XA^CC", b"^^XZ"),
    (b'! U1 getvar "a"', b"\r\n"), (b"! CISDFCRC16\n0\na\n00000004\n0\nab", b"\0\0"),
    (b"! CISDFCRC16\n0\n", b"\r\n" * 3), (b"^XA^FDx~JX", b""), (b"^XA^FO1,1~JX\n^XA", b"^XZ"),
])  # fmt: skip
def test_what_has_to_follow(data: bytes, ending: bytes) -> None:
    scanner = new()
    scanner.feed(data)
    scanner.end()
    assert scanner.ending() == ending
    again = new()
    again.feed(data + ending)
    again.end()
    assert again.ending() == b""


NEXT = Bitmap(40, 9, bytes(range(45)))
NEXT_LABEL = zpl.LANGUAGE.encode(NEXT)
PAGE = Bitmap(16, 40, bytes((n * n * 37 + n * 11) % 251 for n in range(80)))
BINARY = PAGE.rows[:60] + b"^XA~JR^FS^XZ~DGA,^~,"
LABELS = {
    "hexadecimal": b"^XA^PW16^LL40^FO0,0^GFA,80,80,2," + PAGE.rows.hex().upper().encode() + b"^FS^PQ2^XZ\n",
    "counted": b"^XA^PW16^LL40^FO0,0^GFA,8,8,2,gF0:,I4A!,^FS^XZ\n",
    "binary": b"^XA^PW16^LL40^FO0,0^GFB,80,80,2," + BINARY + b"^FS^XZ\n",
    "z64": b"^XA^PW16^LL40^FO0,0^GFA,80,80,2," + zpl.z64(PAGE.rows) + b"^FS^XZ\n",
    "stored": b"~DGR:PB_A.GRF,80,2," + zpl.z64(PAGE.rows) + b"\n^XA^FO9,9^XGR:PB_A.GRF,1,1^FS^XZ\n",
    "stored hexadecimal": b"~DGR:PB_A.GRF,8,2,AA,:!FF\n^XA^FO9,9^XGR:PB_A.GRF,1,1^FS^FDtext^FS^XZ\n",
    "download": b"~DYR:PB_A,B,G,20,2," + BINARY[-20:] + b"^XA^FDhi^FS^XZ\n",
    "prefixes": b"CT~~CD,~CC^~CT~^XA^FDa^CC/ /CT#/CD;/FO1;1/GFA;2;2;1;FFFF/FS#SD15/CC^^CT~^CD,^XZ\n",
}


@pytest.mark.parametrize("name", LABELS)
def test_a_job_cut_anywhere_does_not_swallow_the_next_label(name: str) -> None:
    label = LABELS[name]
    for cut in range(len(label) + 1):
        scanner = new()
        scanner.feed(label[:cut])
        scanner.end()
        ending = scanner.ending()
        *_, last = read(label[:cut] + ending + NEXT_LABEL)
        assert (last.bitmap, last.copies, last.undrawn) == (NEXT, 1, ()), (cut, label[:cut], ending)


@pytest.mark.parametrize("name", LABELS)
def test_a_job_cut_off_nobody_knows_where_prints_no_half_label_and_spares_the_next(name: str) -> None:
    label, step = LABELS[name], 7
    tail = forgetting("zpl", [label], range(1, len(label), step), step)
    for cut in range(len(label) + 1):
        whole = read(label) if cut >= len(label.rstrip()) else []
        assert read(label[:cut] + tail + NEXT_LABEL) == [*whole, *read(NEXT_LABEL)], (cut, label[:cut])
        scanner = new()
        scanner.feed(label[:cut] + tail)
        scanner.end()
        assert scanner.ending() == b"", (cut, label[:cut])


def test_what_makes_a_printer_forget_is_short_unless_data_is_counted() -> None:
    assert forgetting("zpl", [], []) == forgetting("zpl", [NEXT_LABEL], [5, 50], 4096) == b"~JX~JX^FS^XZ"
    assert forgetting("zpl", [b"^XA^GFB,9,", b"9,3,abc"], [17, 3], 4) == b"\0" * 10 + b"~JX~JX^FS^XZ"
    assert forgetting("zpl", [b"^XA^CC/"], [7]).startswith(b"\x10CT~~CD,~CC^~CT~")


def test_the_fast_path_agrees_with_the_slow_one() -> None:
    rng = random.Random(7)
    words = [b"^XA", b"^XZ", b"^FS", b"^FDx", b"^GFA,9,9,1,FF", b"^GFB,9,9,1,", b"^CC/", b"~JA", b"\n", b"^cc/", b"^",
             b"! ", b"! U1 do", b"^C", b"^gfb,9,9,1,", b" ", b"^X", b"/XZ", b"\x02", b"^Gfb,9,9,1,"]  # fmt: skip
    seen = 0
    for _ in range(20_000):
        data = b"".join(rng.choices(words, k=rng.randrange(1, 5))) + rng.choice([b"^XZ", b"^XZ\n", b"^FS^XZ\r\n"])
        if plainly_whole(data):
            seen += 1
            scanner = new()
            scanner.feed(data)
            scanner.end()
            assert scanner.ending() == b"", data
    assert seen > 500


def test_ordinary_labels_take_the_fast_path() -> None:
    label = b"^XA^CI28^PW812^LL1218^FO50,50^A0N,30,30^FDHello^FS" * 40 + b"^XZ\n"
    assert plainly_whole(label) and plainly_whole(NEXT_LABEL)
    best = min(timed(label) for _ in range(50))
    assert best < 1e-3, f"{best * 1e6:.0f} us for {len(label):,} bytes"
    assert not plainly_whole(b"^XA") and not plainly_whole(b"^XA^CC/^XZ") and not plainly_whole(b"^XA^GFB,9,9,1,^XZ")


def timed(label: bytes) -> float:
    start = time.thread_time()
    plainly_whole(label)
    return time.thread_time() - start


def test_a_counted_field_larger_than_memory_is_not_made() -> None:
    scanner = new()
    scanner.feed(b"^XA^GFB,999999999,999999999,1," + b64encode(b"x" * 90))
    scanner.end()
    assert len(scanner.ending()) < 9 << 20
