"""What a printer's network card says it is: SNMP version 1 GET, community "public". Only in a subnet that is asked for.

The question goes to the network card by UDP, not to the printer's data port. RFC 1157; hrDeviceDescr: RFC 2790.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

PATIENCE_S = 0.6  # for all answers of all hosts
_LONGEST = 1500  # bytes of an answer

_DEVICE_ID = "1.3.6.1.4.1.11.2.3.9.1.1.7.0"  # the IEEE-1284 id, as print servers have it since HP's JetDirect
_DEVICE = "1.3.6.1.2.1.25.3.2.1.3.1"  # hrDeviceDescr
_SYSTEM = "1.3.6.1.2.1.1.1.0"  # sysDescr
_QUESTIONS = (_DEVICE_ID, _DEVICE, _SYSTEM)

_INTEGER, _OCTETS, _NULL, _OID, _SEQUENCE, _GET, _RESPONSE = 0x02, 0x04, 0x05, 0x06, 0x30, 0xA0, 0xA2


@dataclass(frozen=True, slots=True)
class Told:
    """device_id: an IEEE-1284 id, device: hrDeviceDescr, system: sysDescr; "" for what was not answered."""

    device_id: str = ""
    device: str = ""
    system: str = ""


def ask(hosts: Iterable[str], port: int = 161, patience_s: float = PATIENCE_S) -> dict[str, Told]:
    """What each of `hosts` (IPv4) says of itself; hosts that say nothing are not in it. Never raises."""
    wanted = dict.fromkeys(hosts)
    answers: dict[str, dict[int, str]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        for host in wanted:
            for number, oid in enumerate(_QUESTIONS):
                with suppress(OSError):  # no route: the others may have one
                    line.sendto(question(oid, number), (host, port))
        for host, number, text in _answers(line, len(wanted) * len(_QUESTIONS), patience_s):
            if host in wanted:
                answers.setdefault(host, {})[number] = text
    return {host: Told(*(said.get(n, "") for n in range(len(_QUESTIONS)))) for host, said in answers.items()}


def _answers(line: socket.socket, most: int, patience_s: float) -> Iterator[tuple[str, int, str]]:
    """(host, number of the question, text) for each answer that can be read, until all are there or time is up."""
    until = time.monotonic() + patience_s
    for _ in range(most * 2):
        if not select.select([line], [], [], max(0.0, until - time.monotonic()))[0]:
            return
        try:
            data, (host, _) = line.recvfrom(_LONGEST)
        except OSError:  # nobody listens there (ICMP)
            continue
        found = answer(data)
        if found and 0 <= found[0] < len(_QUESTIONS):
            yield host, *found


def question(oid: str, number: int) -> bytes:
    """A GetRequest for `oid`. number: comes back with the answer, 0 to 127."""
    name = [int(part) for part in oid.split(".")]
    code = bytes([name[0] * 40 + name[1]]) + b"".join(_base128(part) for part in name[2:])
    asked = _block(_SEQUENCE, _block(_SEQUENCE, _block(_OID, code) + _block(_NULL, b"")))
    zero = _block(_INTEGER, b"\0")
    request = _block(_GET, _block(_INTEGER, bytes([number])) + zero + zero + asked)
    return _block(_SEQUENCE, zero + _block(_OCTETS, b"public") + request)


def answer(data: bytes) -> tuple[int, str] | None:
    """(number of the question, text) in a GetResponse; None when it is none, says an error or holds no text."""
    try:
        _, _, response = _parts(_inside(data, _SEQUENCE))
        if response[0] != _RESPONSE:
            return None
        number, error, _, bindings = _parts(response[1])
        [binding] = _parts(bindings[1])
        _, value = _parts(binding[1])
    except ValueError:
        return None
    text = value[1].decode("utf-8", "replace")
    text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    if value[0] != _OCTETS or int.from_bytes(error[1], "big") or not text:
        return None
    return int.from_bytes(number[1], "big"), text


def _block(tag: int, content: bytes) -> bytes:
    """One BER element; ours are all shorter than 128 bytes."""
    return bytes([tag, len(content)]) + content


def _base128(part: int) -> bytes:
    code = [part & 0x7F]
    while part := part >> 7:
        code.insert(0, part & 0x7F | 0x80)
    return bytes(code)


def _inside(data: bytes, tag: int) -> bytes:
    """The content of the one element `data` begins with. Raises ValueError."""
    kind, content, _ = _element(data)
    if kind != tag:
        raise ValueError(f"element {kind:#x} where {tag:#x} belongs")
    return content


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
