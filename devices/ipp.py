"""IPP messages (RFC 8010), the few kinds a print queue is asked with. Pure: values in, bytes out, and back.

No library is used: pycups needs a compiler and CUPS's headers to install, pyipp is asynchronous and cannot print.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

# Value tags (RFC 8010, 3.5.2)
INTEGER, BOOLEAN, ENUM = 0x21, 0x22, 0x23
TEXT, NAME, KEYWORD, URI, CHARSET, LANGUAGE, MIME = 0x41, 0x42, 0x44, 0x45, 0x47, 0x48, 0x49
_STRINGS = range(0x40, 0x60)
_OUT_OF_BAND = range(0x10, 0x20)  # unknown, no-value ...

# Delimiter tags (3.5.1)
OPERATION, JOB, END, PRINTER = 0x01, 0x02, 0x03, 0x04
_DELIMITERS = range(0x00, 0x10)

Attribute = tuple[int, str, Any]
"""Value tag, name, value or list of values."""

_ALWAYS: list[Attribute] = [(CHARSET, "attributes-charset", "utf-8"), (LANGUAGE, "attributes-natural-language", "en")]


@dataclass(frozen=True, slots=True)
class Answer:
    """status: RFC 8011, appendix B; below 0x0100 it is a success. groups: delimiter tag and what stood below it."""

    status: int
    groups: list[tuple[int, dict[str, list[Any]]]] = field(default_factory=list)

    def of(self, tag: int) -> list[dict[str, list[Any]]]:
        """The groups of one kind."""
        return [values for kind, values in self.groups if kind == tag]


def request(operation: int, attributes: Iterable[Attribute], *, number: int = 1) -> bytes:
    """One IPP/2.0 request with its operation attributes; a document may follow it."""
    head = struct.pack(">BBHIB", 2, 0, operation, number, OPERATION)
    return head + b"".join(_encode(*each) for each in (*_ALWAYS, *attributes)) + bytes([END])


def _encode(tag: int, name: str, value: Any) -> bytes:
    """All values but the first carry an empty name."""
    out = b""
    for at, one in enumerate(value if isinstance(value, list) else [value]):
        label, data = (name if at == 0 else "").encode(), _value(tag, one)
        out += struct.pack(">BH", tag, len(label)) + label + struct.pack(">H", len(data)) + data
    return out


def _value(tag: int, value: Any) -> bytes:
    if tag in (INTEGER, ENUM):
        return struct.pack(">i", value)
    if tag == BOOLEAN:
        return bytes([bool(value)])
    return str(value).encode()


def parse(data: bytes) -> Answer:
    """The answer in `data`. Raises ValueError when it is none."""
    try:
        _, _, status, _ = struct.unpack_from(">BBHI", data)
        groups: list[tuple[int, dict[str, list[Any]]]] = []
        for tag, name, value in _tokens(data, 8):
            if name is None:
                groups.append((tag, {}))
            elif groups:
                groups[-1][1].setdefault(name, []).append(value)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"this is no IPP answer ({error})") from error
    return Answer(status, groups)


def _tokens(data: bytes, at: int) -> Iterator[tuple[int, str | None, Any]]:
    """Delimiters as (tag, None, None), values as (tag, name, value); ends with the end tag."""
    last = ""
    while (tag := data[at]) != END:
        at += 1
        if tag in _DELIMITERS:
            yield tag, None, None
            continue
        name, at = _counted(data, at)
        raw, at = _counted(data, at)
        last = name.decode() or last
        yield tag, last, _read(tag, raw)


def _counted(data: bytes, at: int) -> tuple[bytes, int]:
    """A string with its length before it, and where it ends."""
    (length,) = struct.unpack_from(">H", data, at)
    end = at + 2 + length
    if end > len(data):
        raise IndexError("it is cut off")
    return data[at + 2 : end], end


def _read(tag: int, raw: bytes) -> Any:
    if tag in (INTEGER, ENUM):
        return struct.unpack(">i", raw)[0]
    if tag == BOOLEAN:
        return raw != b"\0"
    if tag in _OUT_OF_BAND:
        return None
    return raw.decode(errors="replace") if tag in _STRINGS else raw
