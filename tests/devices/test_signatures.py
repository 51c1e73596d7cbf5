"""Each language by how its manual's or its drivers' streams begin, and by nothing less."""

from __future__ import annotations

import time

import pytest

from devices.languages import load, names, recognize
from devices.languages.signatures import SIGNATURES

STREAMS = [
    ("epl2", b'\nN\nq609\nA50,0,0,1,1,1,N,"Example"\nP1\n'),
    ("epl2", b"N\r\nGW0,0,102,1218,\xff\xff"),
    ("epl2", b"I8,A,001\n\n\nQ1218,024\nq863\nS4\nD8\nZT\nJF\nOD\nR24,0\nN\n"),
    ("epl2", b"q832\nQ1218,24\nN\n"),
    ("epl2", b'\r\nN\r\nB50,100,0,1,2,2,80,B,"12345"\r\nP1,1\r\n'),
    ("escpos", b"\x1b@Hello\n"),
    ("escpos", b"\x1bt\x10\x1b!\x00Total"),
    ("escpos", b"\x1ba\x01\x1dv0\x00"),
    ("escpos", b"\x1dv0\x00\x30\x00\x10\x00"),
    ("escpos", b"\x1d(k\x04\x001A2\x00"),
    ("escpos", b"\x10\x04\x01"),
    ("cpcl", b"! 0 200 200 210 1\r\nTEXT 4 0 30 40 Hello\r\nFORM\r\nPRINT\r\n"),
    ("cpcl", b"! UTILITIES\r\nIN-MILLIMETERS\r\n"),
    ("cpcl", b"! U1 SETLP 5 2 46\r\nHello"),
    ("brother", bytes(200) + b"\x1b@\x1bia\x01\x1biz"),
    ("brother", b"\x1bia\x01"),
    ("dpl", b"\x02n\r\n\x02L\rH10\r"),
    ("dpl", b"\x02L\r\nD11\r\n"),
    ("sbpl", b"\x02\x1bA\x1bH0100\x1bV0100\x1bZ\x03"),
    ("pjl", b"\x1b%-12345X@PJL ENTER LANGUAGE=PCL\r\n"),
    ("pcl", b"\x1bE\x1b&l1X"),
    ("postscript", b"%!PS-Adobe-3.0\n"),
    ("postscript", b"\x04%!PS\n"),
]


TESTS = {**SIGNATURES, **{name: load(name).sniff for name in names() if name != "zpl"}}
"""Language -> what tells it; those that are drawn for are asked as well."""


@pytest.mark.parametrize(("name", "data"), STREAMS)
def test_a_stream_is_recognised_as_one_language_only(name: str, data: bytes) -> None:
    assert [n for n, matches in TESTS.items() if matches(data)] == [name]
    assert recognize(data) == name


def test_every_signature_has_a_stream_here() -> None:
    assert {name for name, _ in STREAMS} >= set(SIGNATURES)


@pytest.mark.parametrize("data", [
    b"", b"\n\n", b"N", b"N\nothing\n", b"No\n", b"P1\n", b"A50\n", b"Quality\nq\n", b"%PDF-1.7\n", b"GIF89a",
    b"SIZE matters\n", b"SIZE 10 shoes\n", b"CLS\n", b"! important\n", b"! 0 200\n", b'! U1 setvar "a" "b"\r\n',
    b'! U1 getvar "device.languages"\r\n', b"! U1 do \"device.reset\" \"\"\r\n", b"\x1b[31mred\x1b[0m", b"\x1bE",
    b"\x02Hello\r",    b"\x1b", b"\x1d", b"PK\x03\x04", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n",
    b'{"a": 1}', b"<html>", b"<?xml?>", b"1,2,3\n4,5,6\n",
    b"Dear Sir,\nplease PRINT 1 copy\n", "Größe 4,6\n".encode(), b"TEXT 1,2\n", b"^XA^XZ",
])
def test_other_things_are_not_claimed(data: bytes) -> None:
    assert [n for n, matches in TESTS.items() if matches(data)] == []


@pytest.mark.parametrize("line", [b"S1\n\n\n", b"\n", b"\x02a\r", b"O\n", b"SET A\n", b"A1,1,1,\n", b"  "])
def test_a_stream_made_to_be_slow_is_not(line: bytes) -> None:
    start = time.thread_time()
    for matches in TESTS.values():
        matches(line * 100_000 + b"!")
    assert time.thread_time() - start < 0.5
