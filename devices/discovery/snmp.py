"""What a printer's network card says it is: SNMP version 1 GET, community "public". Only in a subnet that is asked for.

The question goes to the network card by UDP, not to the printer's data port. hrDeviceDescr: RFC 2790.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from devices import snmp
from devices.snmp import question

PATIENCE_S = 0.6  # for all answers of all hosts

_DEVICE_ID = "1.3.6.1.4.1.11.2.3.9.1.1.7.0"  # the IEEE-1284 id, as print servers have it since HP's JetDirect
_DEVICE = "1.3.6.1.2.1.25.3.2.1.3.1"  # hrDeviceDescr
_SYSTEM = "1.3.6.1.2.1.1.1.0"  # sysDescr
_QUESTIONS = (_DEVICE_ID, _DEVICE, _SYSTEM)


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
            data, (host, _) = line.recvfrom(snmp.LONGEST)
        except OSError:  # nobody listens there (ICMP)
            continue
        found = answer(data)
        if found and 0 <= found[0] < len(_QUESTIONS):
            yield host, *found


def answer(data: bytes) -> tuple[int, str] | None:
    """(number of the question, text) in a GetResponse; None when it is none, says an error or holds no text."""
    found = snmp.answer(data)
    if found is None or not isinstance(found.value, bytes):
        return None
    text = found.value.decode("utf-8", "replace")
    text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return (found.number, text) if text else None
