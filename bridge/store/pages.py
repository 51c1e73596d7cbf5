"""Rows straight from the pages of a database, for tables whose tree is broken (sqlite.org/fileformat2.html, 1.6, 2).

When the one page that points to all others is gone, SQLite finds nothing any more; the rows are all still there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PAGE = 4096  # bytes; every database of ours has pages of this size
_LEAF = 13  # first byte of a page that holds rows of a table
_LOCAL_MAX = PAGE - 35  # bytes of a row that lie in its page; of a longer one _LOCAL_MIN and some more
_LOCAL_MIN = (PAGE - 12) * 32 // 255 - 23
_ROW_MAX = 1 << 24
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # type of a value -> its bytes
_GARBAGE = (IndexError, ValueError, OverflowError, struct.error)

Row = tuple[int, list[Any]]
"""The number of a row, and its values; a column that only repeats the number is None."""


def rows(database: Path) -> Iterator[Row]:
    """Every row in every page that looks like rows, of whatever table: also rows that were deleted or moved."""
    with database.open("rb") as file:
        pages = _Pages(file)
        for number in range(1, pages.count + 1):
            page = pages.read(number)
            base = 100 if number == 1 else 0
            if len(page) == PAGE and page[base] == _LEAF:
                for cell in range(min(int.from_bytes(page[base + 3 : base + 5], "big"), PAGE // 4)):
                    with suppress(*_GARBAGE):
                        at = base + 8 + 2 * cell
                        yield _row(pages, page, int.from_bytes(page[at : at + 2], "big"))


class _Pages:
    def __init__(self, file: Any) -> None:
        self._file = file
        self.count = file.seek(0, 2) // PAGE

    def read(self, number: int) -> bytes:
        if not 1 <= number <= self.count:
            raise ValueError(f"there is no page {number}")
        self._file.seek((number - 1) * PAGE)
        return bytes(self._file.read(PAGE))


def _row(pages: _Pages, page: bytes, at: int) -> Row:
    """The row at an offset of a page. Raises one of _GARBAGE when it is none."""
    size, at = _varint(page, at)
    number, at = _varint(page, at)
    if not 2 <= size <= _ROW_MAX:
        raise ValueError("no row is so large")
    local = size
    if size > _LOCAL_MAX:
        local = _LOCAL_MIN + (size - _LOCAL_MIN) % (PAGE - 4)
        local = local if local <= _LOCAL_MAX else _LOCAL_MIN
    data = bytearray(page[at : at + local])
    following = int.from_bytes(page[at + local : at + local + 4], "big")
    while len(data) < size:
        rest = pages.read(following)
        following = int.from_bytes(rest[:4], "big")
        data += rest[4 : 4 + size - len(data)]
    return number, _values(bytes(data))


def _values(data: bytes) -> list[Any]:
    """The values of one row. Raises ValueError unless its parts make up exactly the whole."""
    end, at = _varint(data, 0)
    kinds = []
    while at < end:
        kind, at = _varint(data, at)
        kinds.append(kind)
    values = []
    for kind in kinds:
        value, at = _value(data, at, kind)
        values.append(value)
    if at != len(data):
        raise ValueError("this is no row")
    return values


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind == 0:
        return None, at
    if kind in (8, 9):
        return kind - 8, at
    if kind == 7:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind in _INTEGERS:
        size = _INTEGERS[kind]
        return int.from_bytes(data[at : at + size], "big", signed=True), at + size
    if kind < 12:
        raise ValueError("no value is of this type")
    size = (kind - 12) // 2
    piece = data[at : at + size]
    return piece.decode("utf-8", "replace") if kind % 2 else piece, at + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 1 to 9 bytes, and where it ends."""
    value = 0
    for offset in range(8):
        byte = data[at + offset]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + offset + 1
    return value << 8 | data[at + 8], at + 9
