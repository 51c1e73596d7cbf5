"""ESC/POS as commands: where each ends, what it may do, and what has to follow a stream that breaks off."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.commands import Harm, commands, scanner
from devices.languages.escpos import LANGUAGE
from devices.readers._escpos_stream import NAMES, Stream
from tests.devices.test_escpos import receipt

DRAWER = b"\x1bp\0\x19\xfa"
WHOLE = [  # one command each, whole
    b"\x1b@", b"\x1b!\x30", b"\x1b$\1\0", b"\x1b&\3AB\1abc\2abcdef", b"\x1b(A\4\x000\x37\1\2", b"\x1b*!\2\0abcdef",
    b"\x1b*\0\2\0ab", b"\x1bD\x08\x10\0", b"\x1bD\0", b"\x1bW" + bytes(8), b"\x1bd\5", b"\x1bi", b"\x1bm",
    b"\x1bp\0\x19\xfa", b"\x1bc5\1", b"\x1d!\x11", b"\x1d(k\3\x001C\6", b"\x1d(L\2\x0002", b"\x1d8L\3\0\0\x00abc",
    b"\x1d*\1\1" + bytes(8), b"\x1d/\0", b"\x1dC;1;2;3;4;5;", b"\x1dC0\1\1", b"\x1dC1\1\0\2\0\1\1", b"\x1dC2\1\0",
    b"\x1dD0C0AB01BM\x08\0\0\0ab", b"\x1dI\1", b"\x1dQ0\0\1\0\2\0ab", b"\x1dV\0", b"\x1dVA\5", b"\x1d^\1\2\0",
    b"\x1da\xff", b"\x1dg0\0\1\0", b"\x1dk\4ABC\0", b"\x1dkI\5{BABC", b"\x1dr\1", b"\x1dv0\0\2\0\3\0abcdef",
    b"\x1dz0\1\1", b"\x1c&", b"\x1c(A\2\x0000", b"\x1c2AB" + bytes(72), b"\x1ca01", b"\x1cg1\0\1\2\3\4\2\0ab",
    b"\x1cg2\0\1\2\3\4\2\0", b"\x1cp\1\0", b"\x1cq\2\1\0\1\0" + bytes(8) + b"\1\0\2\0" + bytes(16), b"\x10\4\1",
    b"\x10\4\7\1", b"\x10\5\1", b"\x10\x14\1\0\5", b"\x10\x14\2\1\x08", b"\x10\x14\x08\1\3\x14\1\6\2\x08",
]  # fmt: skip


def names(data: bytes) -> list[str]:
    return [command.name for command in commands("escpos", [data])]


def harms(data: bytes) -> set[Harm]:
    return {command.harm for command in commands("escpos", [data])}


@pytest.mark.parametrize("command", WHOLE, ids=repr)
def test_a_command_ends_where_the_next_begins(command: bytes) -> None:
    found = list(commands("escpos", [command + DRAWER + command]))
    assert [each.offset for each in found] == [0, len(command), len(command) + len(DRAWER)]
    assert found[1].name == "ESC p" and found[0].name == found[2].name
    assert found[0].harm is found[2].harm


def test_every_command_with_a_length_is_tried() -> None:
    tried = {each.name for command in WHOLE for each in Stream(64).feed(command)}
    variable = {name for name in NAMES if len(name) > 2} - {name for name in tried if len(name.split()) == 2}
    assert {"GS (", "GS 8", "GS v", "GS Q", "FS (", "ESC ("} <= variable
    assert {"ESC &", "ESC D", "GS C", "GS D", "GS k", "FS q", "FS g", "FS 2", "DLE DC4", "GS V", "GS *"} <= tried


@pytest.mark.parametrize(("data", "harm"), [
    (DRAWER, Harm.DRAWER), (b"\x10\x14\1\0\5", Harm.DRAWER), (b"\7", Harm.DRAWER),
    (b"\x10\x14\2\1\x08", Harm.DISRUPTION), (b"\x10\x14\x08\1\3\x14\1\6\2\x08", Harm.DISRUPTION),
    (b"\x10\5\2", Harm.DISRUPTION), (b"\x1d(A\2\0\0\2", Harm.DISRUPTION), (b"\x1d^\xff\1\0", Harm.DISRUPTION),
    (b"\x1b=\2", Harm.DISRUPTION), (b"\x1bc5\1", Harm.DISRUPTION),
    (b"\x10\x14\7\1", Harm.BACKCHANNEL), (b"\x10\4\1", Harm.BACKCHANNEL), (b"\x1dI\1", Harm.BACKCHANNEL),
    (b"\x1da\xff", Harm.BACKCHANNEL), (b"\x1dr\1", Harm.BACKCHANNEL), (b"\x1bv", Harm.BACKCHANNEL),
    (b"\x1bu\0", Harm.BACKCHANNEL), (b"\x1d(H\6\x00000001", Harm.BACKCHANNEL), (b"\x1dg2\0\1\0", Harm.BACKCHANNEL),
    (b"\x1cg2\0\1\2\3\4\2\0", Harm.BACKCHANNEL), (b"\x1d(L\2\x0000", Harm.BACKCHANNEL),
    (b"\x1d(k\3\x001R0", Harm.BACKCHANNEL),
    (b"\x1d(E\3\0\1IN", Harm.SETTINGS), (b"\x1d(M\2\0\1\1", Harm.SETTINGS), (b"\x1d(D\3\0\x14\1\0", Harm.SETTINGS),
    (b"\x1dg0\0\1\0", Harm.SETTINGS), (b"\x1c(E\2\x0000", Harm.SETTINGS), (b"\x1dz0\1\1", Harm.SETTINGS),
    (b"\x1d(C\2\0\0\0", Harm.FILES), (b"\x1cq\1\1\0\1\0" + bytes(8), Harm.FILES), (b"\x1d(L\5\x000ACLR", Harm.FILES),
    (b"\x1d(L\x0c\x000C0AB\1\1\0\1\0\xff", Harm.FILES), (b"\x1d8L\x0c\0\0\x000C0AB\1\1\0\1\0\xff", Harm.FILES),
    (b"\x1cg1\0\1\2\3\4\2\0ab", Harm.FILES), (b"\x1dD0C0AB01BM\x08\0\0\0ab", Harm.FILES),
    (b"\x1f\x1b", Harm.UNKNOWN), (b"\x1b\x99", Harm.UNKNOWN), (b"\x1d(x\1\0a", Harm.UNKNOWN),
    (b"\x1d(L\2\x000\xee", Harm.UNKNOWN), (b"\x1d(L", Harm.UNKNOWN), (b"\x1c(z\1\0a", Harm.UNKNOWN),
    (b"\x1d8x\1\0\0\0a", Harm.UNKNOWN), (b"\x10\x14\x09", Harm.UNKNOWN), (b"\x1b", Harm.UNKNOWN),
])  # fmt: skip
def test_what_a_command_may_do(data: bytes, harm: Harm) -> None:
    assert harm in harms(b"\x1b@hello\n" + data)


@pytest.mark.parametrize("data", [
    b"\x1b@\x1ba\1Hello\n\x1d!\0\x1bE\1Total\x1bE\0\n\x1bd\3\x1dVB\0",
    b"\x1d(k\3\x001C\6\x1d(k\4\x001P0a\x1d(k\3\x001Q0",
    b"\x1dkI\5{BABC\x1dh\x50\x1dw\2", b"\x1d(L\2\x0002", b"\x1bt\x13\xd5\n", b"\x1b=\1", b"\x1bc5\0", b"\x1c.\x1c&",
    LANGUAGE.encode(receipt(384, 400)) + LANGUAGE.end_of("copy"),
])  # fmt: skip
def test_receipts_only_print(data: bytes) -> None:
    assert harms(data) <= {Harm.NONE}


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_drawer_pulse_inside_a_picture_is_seen_wherever_the_stream_is_cut(cut: int) -> None:
    data = b"\x1dv0\0\2\0\4\0" + b"ab\x10\x14\1\0\5c" + b"next"
    reader = scanner("escpos")
    assert reader is not None
    found = reader.feed(b"")
    for i in range(0, len(data), cut):
        found += reader.feed(data[i : i + cut])
    found += reader.end()
    assert sorted((each.name, each.offset, each.harm) for each in found if each.harm is not Harm.NONE) == [
        ("DLE DC4", 10, Harm.DRAWER)
    ]


def test_a_drawer_pulse_by_itself_is_told_once() -> None:
    assert names(b"\x10\x14\1\0\5" * 2) == ["DLE DC4", "DLE DC4"]


@pytest.mark.parametrize("begun", [
    b"\x1b", b"\x1d", b"\x1c", b"\x10", b"\x1d(", b"\x1d(k", b"\x1d(k\xff", b"\x1d(k\3\x001", b"\x1dv0\0\2\0\3\0ab",
    b"\x1dv0", b"\x1b*!\x40\1abc", b"\x1dk\4AB", b"\x1dkI\x0aAB", b"\x1bD\1\2\3", b"\x1b&\3 ~\1abc", b"\x1cq\3\1\0",
    b"\x1d8L\0\0\1\0a", b"\x1dD0", b"\x1dC;1", b"\x1bp", b"\x10\x14", b"\x1cg1",
])  # fmt: skip
def test_what_was_begun_is_ended_so_that_the_next_job_is_whole(begun: bytes) -> None:
    reader, after = scanner("escpos"), Stream(64)
    assert reader is not None
    reader.feed(begun)
    reader.end()
    ending = reader.ending()
    assert ending and not ending.strip(b"\0")
    tokens = after.feed(begun + ending + b"\x1b@next")
    assert [token.name for token in tokens[-2:]] == ["ESC @", ""] and bytes(tokens[-1].data) == b"next"


@pytest.mark.parametrize("whole", [b"", b"hello\n", b"hello", *WHOLE])
def test_nothing_follows_what_is_whole(whole: bytes) -> None:
    reader = scanner("escpos")
    assert reader is not None
    reader.feed(whole)
    assert reader.ending() == b""


def test_a_picture_that_no_printer_has_is_filled_up_to_four_megabytes() -> None:
    reader = scanner("escpos")
    assert reader is not None
    reader.feed(b"\x1dv0\0\xff\xff\xff\xff")
    assert len(reader.ending()) == 4 << 20


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from([*WHOLE, b"text", b"\n", b"\x1b\x99", b"\0"]), max_size=12), st.integers(1, 40))
def test_the_commands_are_the_same_wherever_the_stream_is_cut(parts: list[bytes], step: int) -> None:
    data = b"".join(parts)
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    key = [(c.name, c.offset, c.harm) for c in commands("escpos", [data])]
    assert sorted((c.name, c.offset, c.harm.value) for c in commands("escpos", pieces)) == sorted(
        (name, offset, harm.value) for name, offset, harm in key
    )


def test_noise_is_read_to_its_end_in_little_memory() -> None:
    reader = scanner("escpos")
    assert reader is not None
    rng = random.Random(3)
    for _ in range(200):
        reader.feed(rng.randbytes(4096))
    reader.end()
    assert isinstance(reader.ending(), bytes)
