"""SNMP version 1, the little of it that asks a printer's network card: GetRequest, GetResponse, community "public".

Each value is asked for in a datagram of its own: version 1 answers a request with one unknown name in it with nothing
but an error. RFC 1157; lengths and tags: X.690 (BER). What is malformed, from somewhere else or too long is no answer.
"""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LONGEST = 1500  # bytes of an answer
AGAIN = 0.4  # of the patience; then what was not answered is asked once more, for datagrams get lost

INTEGER, OCTETS, COUNTER, GAUGE, TICKS = 0x02, 0x04, 0x41, 0x42, 0x43
_NULL, _OID, _SEQUENCE, _GET, _RESPONSE = 0x05, 0x06, 0x30, 0xA0, 0xA2
_NUMBERS = (INTEGER, COUNTER, GAUGE, TICKS)
_WIDEST = 5  # bytes of a number: 32 bits and a sign

Value = int | bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """number: of the question. oid: as it stands in the answer, encoded. value: None for an error and other types."""

    number: int
    oid: bytes
    value: Value | None


def get(host: str, oids: Sequence[str], port: int = 161, patience_s: float = 0.6) -> dict[str, Value]:
    """What `host` (an IPv4 or IPv6 address, or a name, whose looking up may take longer) says; {} for nothing.

    Never raises. Heard is only who was asked, and only answers to these very questions.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as line:
            line.connect(address)  # the kernel drops what others send
            line.setblocking(False)
            return _conversation(line, oids, patience_s)
    except (OSError, ValueError, OverflowError):  # no route, no such name, nobody listens; no name or port at all
        return {}


def _conversation(line: socket.socket, oids: Sequence[str], patience_s: float) -> dict[str, Value]:
    began, first = time.monotonic(), secrets.randbelow(0x7FFFFF00)
    open_ = {first + at: oid for at, oid in enumerate(oids)}
    said: dict[str, Value] = {}
    for until in (began + patience_s * AGAIN, began + patience_s):
        for number, oid in open_.items():
            line.send(question(oid, number))
        for data in _datagrams(line, until):
            found = answer(data)
            if found is None or name(open_.get(found.number, "0.0")) != found.oid:
                continue
            oid = open_.pop(found.number)
            if found.value is not None:
                said[oid] = found.value
            if not open_:
                return said
    return said


def _datagrams(line: socket.socket, until: float) -> Iterator[bytes]:
    """What comes before `until`; ends at once when nobody listens there (ICMP)."""
    while (left := until - time.monotonic()) > 0 and select.select([line], [], [], left)[0]:
        try:
            yield line.recv(LONGEST + 1)
        except BlockingIOError:  # its checksum was wrong
            continue


def question(oid: str, number: int) -> bytes:
    """A GetRequest for `oid`. number: comes back with the answer, 31 bits."""
    asked = _block(_SEQUENCE, _block(_SEQUENCE, _block(_OID, name(oid)) + _block(_NULL, b"")))
    zero = _block(INTEGER, b"\0")
    request = _block(_GET, _block(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big")) + zero + zero + asked)
    return _block(_SEQUENCE, zero + _block(OCTETS, b"public") + request)


def answer(data: bytes) -> Answer | None:
    """The GetResponse in `data`; None when it is none."""
    if len(data) > LONGEST:
        return None
    try:
        _, _, response = _parts(_inside(data, _SEQUENCE))
        number, error, _, bindings = _parts(_inside_of(response, _RESPONSE))
        [binding] = _parts(_inside_of(bindings, _SEQUENCE))
        oid, (tag, content) = _parts(_inside_of(binding, _SEQUENCE))
        failed = _number(_inside_of(error, INTEGER))
        value = _number(content, signed=tag == INTEGER) if tag in _NUMBERS else content if tag == OCTETS else None
        return Answer(_number(_inside_of(number, INTEGER)), _inside_of(oid, _OID), None if failed else value)
    except ValueError:
        return None


def name(oid: str) -> bytes:
    """An OID as it is encoded."""
    first, second, *others = (int(part) for part in oid.split("."))
    return bytes([first * 40 + second]) + b"".join(_base128(part) for part in others)


def _block(tag: int, content: bytes) -> bytes:
    """One BER element; ours are all shorter than 128 bytes."""
    return bytes([tag, len(content)]) + content


def _base128(part: int) -> bytes:
    code = [part & 0x7F]
    while part := part >> 7:
        code.insert(0, part & 0x7F | 0x80)
    return bytes(code)


def _number(content: bytes, *, signed: bool = True) -> int:
    if not 1 <= len(content) <= _WIDEST:
        raise ValueError(f"a number of {len(content)} bytes")
    return int.from_bytes(content, "big", signed=signed)


def _inside(data: bytes, tag: int) -> bytes:
    """The content of the one element `data` begins with. Raises ValueError."""
    kind, content, _ = _element(data)
    return _inside_of((kind, content), tag)


def _inside_of(part: tuple[int, bytes], tag: int) -> bytes:
    """The content of an element that must be of one kind. Raises ValueError."""
    if part[0] != tag:
        raise ValueError(f"element {part[0]:#x} where {tag:#x} belongs")
    return part[1]


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """(tag, content) of the elements in a row. Raises ValueError."""
    found: list[tuple[int, bytes]] = []
    while data and len(found) < 8:
        kind, content, data = _element(data)
        found.append((kind, content))
    return found


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content and what comes after it. Raises ValueError when it is cut short."""
    if len(data) < 2:
        raise ValueError("no element")
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if start > len(data) or size > len(data) - start:
        raise ValueError(f"an element of {size} bytes in {len(data)}")
    return data[0], data[start : start + size], data[start + size :]
