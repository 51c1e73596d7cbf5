"""A printer's network card on UDP: answers SNMP version 1 questions about the values it has.

    with FakeAgent({printermib.PRINTER_STATUS: 3, printermib.ERROR_STATE: b"\\x40"}) as agent:
        ... ask 127.0.0.1 at agent.port ...

Answers have their lengths in the long form, as net-snmp sends them, and say noSuchName to what it does not know.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping

from devices import snmp

NO_SUCH_NAME = 2


class FakeAgent:
    """values: by OID; bytes are sent as OCTET STRING, numbers as INTEGER or, from 2**31 on, as Counter32.

    mouth: the socket it answers from, its own if None. spoil: what becomes of each answer: the datagrams really sent.
    """

    def __init__(
        self, values: Mapping[str, int | bytes], *, host: str = "127.0.0.1", mouth: socket.socket | None = None,
        spoil: Callable[[bytes], list[bytes]] = lambda answer: [answer],
    ) -> None:  # fmt: skip
        self.values = {snmp.name(oid): value for oid, value in values.items()}
        self.questions = 0
        self._spoil = spoil
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._mouth = mouth or self._socket
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeAgent:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as stop:
            stop.sendto(b"stop", self._socket.getsockname())
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            data, sender = self._socket.recvfrom(2000)
            if data == b"stop":
                return
            self.questions += 1
            for answer in self._spoil(self._answer(data)):
                self._mouth.sendto(answer, sender)

    def _answer(self, data: bytes) -> bytes:
        """Ours are shorter than 128 bytes, so every length is one byte."""
        at = data.index(b"\xa0") + 2
        number = data[at : at + 2 + data[at + 1]]
        at = data.index(b"\x06", at + len(number))
        oid = data[at + 2 : at + 2 + data[at + 1]]
        return response(number, oid, self.values.get(oid))


def response(number: bytes, oid: bytes, value: int | bytes | None) -> bytes:
    """A GetResponse. number: the INTEGER element of the question, as it came."""
    binding = _long(0x30, _long(0x30, _long(6, oid) + _value(value)))
    status = b"\x02\x01" + bytes([0 if value is not None else NO_SUCH_NAME]) + b"\x02\x01\0"
    return _long(0x30, b"\x02\x01\0\x04\x06public" + _long(0xA2, number + status + binding))


def _value(value: int | bytes | None) -> bytes:
    if value is None:
        return b"\x05\0"
    if isinstance(value, bytes):
        return _long(4, value)
    tag = 0x41 if value >= 2**31 else 2
    return _long(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=value < 0))


def _long(tag: int, content: bytes) -> bytes:
    return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content
