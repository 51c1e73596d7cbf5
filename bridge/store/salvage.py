"""Every row that can still be read out of a damaged database, put into a fresh one of the same schema."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.store.engine import BROKEN
from bridge.store.pages import PAGE, Row
from bridge.store.pages import rows as rows_of_pages
from bridge.store.wal import Frame, frames

KEYS = {
    "organizations": "serial", "clients": "serial", "devices": "serial", "keys": "serial", "jobs": "serial",
    "bodies": "job_serial", "attempts": "job_serial", "events": "seq", "idempotency": "rowid", "made": "rowid",
    "users": "serial", "groups": "serial", "group_members": "rowid", "cards": "serial", "shares": "rowid",
    "webhooks": "serial", "deliveries": "serial", "cursors": "rowid",
}  # fmt: skip
"""Table -> the integer its rows are found by."""

_TREES = {"attempts"}  # kept without row numbers: its pages look otherwise
_ADDED = {
    "jobs": 6, "devices": 3, "keys": 5, "clients": 2, "organizations": 5, "events": 1, "attempts": 1,
}
"""Columns added since the first version: an old row has fewer. How many columns it has says whose row it is."""

STEP = 64  # rows read at a time
TRIES = 20_000  # questions to one broken table, which bounds the time a start takes
FAR = 100_000  # how far rows are looked for behind the last one that can be read
_INTERIOR = 5  # first byte of a page that only points to others


@dataclass(slots=True)
class Saved:
    """By table: rows brought over, and stretches of rows that could not be read."""

    rows: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)


# ---- something to read from ---------------------------------------------------------------------------------------


def readable_copy(path: Path, copy: Path, fresh: Path) -> None:
    """The damaged database at `path` and every sound page of its log, as one plain file `copy`. `path` stays untouched.

    fresh: a new database of the same schema. Its table of contents is put into the copy when that one is broken: our
    tables begin at the same pages in every database.
    """
    shutil.copyfile(path, copy)
    os.chmod(copy, 0o600)
    with copy.open("r+b") as file:
        _apply(list(frames(path)), file)
    if not _has_contents(copy):
        _graft(copy, fresh)


def _apply(log: list[Frame], file: Any) -> None:
    """Write the pages of the log, up to its last commit: a transaction that never ended never happened."""
    ends = [number for number, frame in enumerate(log, 1) if frame.commit]
    for frame in log[: ends[-1] if ends else 0]:
        file.seek((frame.page - 1) * len(frame.data))
        file.write(frame.data)
    _settle_header(file)


def _settle_header(file: Any) -> None:
    """Not a write-ahead database any more: its log is in it now. And as large as it is."""
    file.seek(0, os.SEEK_END)
    pages = max(1, -(-file.tell() // PAGE))
    file.truncate(pages * PAGE)
    file.seek(24)
    counter = file.read(4)
    for offset, value in ((18, b"\x01\x01"), (28, pages.to_bytes(4, "big")), (92, counter)):
        file.seek(offset)
        file.write(value)


def _has_contents(copy: Path) -> bool:
    with suppress(*BROKEN), closing(_open(copy)) as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in names & KEYS.keys():
            db.execute(f"PRAGMA table_info({table})").fetchall()
        return "jobs" in names
    return False


def _graft(copy: Path, fresh: Path) -> None:
    """Replace the table of contents: page 1 of `fresh`, and the pages it points to at the end of the copy."""
    source = fresh.read_bytes()
    first = bytearray(source[:PAGE])
    with copy.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        pages = max(1, -(-file.tell() // PAGE))
        if first[100] == _INTERIOR:
            for at in _pointers(first):
                child = int.from_bytes(first[at : at + 4], "big")
                first[at : at + 4] = (pages + 1).to_bytes(4, "big")
                file.seek(pages * PAGE)
                file.write(source[(child - 1) * PAGE : child * PAGE])
                pages += 1
        first[32:40] = bytes(8)  # no list of free pages: which those are is not known
        file.seek(0)
        file.write(first)
        _settle_header(file)


def _pointers(first: bytearray) -> list[int]:
    """Where on page 1, an interior one, the numbers of the pages below it stand."""
    cells = int.from_bytes(first[103:105], "big")
    return [int.from_bytes(first[112 + 2 * n : 114 + 2 * n], "big") for n in range(cells)] + [108]


def _open(copy: Path) -> sqlite3.Connection:
    db = sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    db.text_factory = lambda data: data.decode("utf-8", "replace")
    return db


# ---- row by row ---------------------------------------------------------------------------------------------------


def salvage(copy: Path, fresh: Path) -> Saved:
    """Bring every readable row of `copy` into `fresh`, in one transaction."""
    saved = Saved()
    with closing(_open(copy)) as source, closing(sqlite3.connect(fresh, isolation_level=None)) as target:
        target.execute("PRAGMA synchronous=FULL")
        target.execute("BEGIN IMMEDIATE")
        for table in KEYS:
            reader = Reader(source, table, _columns(source, target, table))
            broken = 0  # rows that can be read and are none of ours: their bytes were hit
            for rows in reader.rows():
                taken = _insert(target, table, reader.columns, rows)
                saved.rows[table] += taken
                broken += len(rows) - taken if table not in _TREES else 0  # where some are read twice
            saved.gaps[table] = max(reader.gaps, broken, not reader.columns and not _is_absent(source, table))
        if any(saved.gaps.values()):
            _gather(copy, target, saved)
        target.execute("COMMIT")
    return saved


def _gather(copy: Path, target: sqlite3.Connection, saved: Saved) -> None:
    """Add what lies in the pages and no tree leads to. It may be an old version of a row: what was found is kept."""
    columns = {t: [_Column(*row[1:4]) for row in target.execute(f"PRAGMA table_info({t})")]
               for t in KEYS if t not in _TREES}  # fmt: skip
    for row in rows_of_pages(copy):
        for table, known in columns.items():
            if len(known) - _ADDED.get(table, 0) <= len(row[1]) <= len(known):
                if (values := _as_ours(table, row, known)) is not None:
                    names = [column.name for column in known[: len(values)]]
                    saved.rows[table] += _insert(target, table, names, [values])
                    break


@dataclass(frozen=True, slots=True)
class _Column:
    """As the schema declares it."""

    name: str
    type: str
    needed: int

    def holds(self, value: Any) -> bool:
        """Whether this may be a value of it. SQLite keeps whole numbers of a REAL column as integers."""
        return not self.needed if value is None else isinstance(value, _TYPES[self.type])


_TYPES: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes, str),
}  # fmt: skip


def _as_ours(table: str, row: Row, columns: Sequence[_Column]) -> tuple[Any, ...] | None:
    """The values as they belong into `table`; None when they are plainly of another one."""
    number, values = row
    if KEYS[table] != "rowid":
        if values[0] is not None or not 0 < number < 1 << 48:
            return None
        values = [number, *values[1:]]
    elif not isinstance(values[0], str) or not isinstance(values[-1], float if len(values) > 2 else str):
        return None  # the table of contents has as many columns as idempotency
    return tuple(values) if all(map(_Column.holds, columns, values)) else None


def _is_absent(source: sqlite3.Connection, table: str) -> bool:
    """Whether the database plainly never had this table: its schema is an older one."""
    with suppress(*BROKEN):
        names = {row[0] for row in source.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return "jobs" in names and table not in names
    return False


def _columns(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> list[str]:
    """The columns both have: an older schema has fewer."""
    theirs: set[str] = set()
    with suppress(*BROKEN):
        theirs = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
    return [row[1] for row in target.execute(f"PRAGMA table_info({table})") if row[1] in theirs]


class Reader:
    """The rows of one table. Where they cannot be read, the range is halved until only what is broken is left out."""

    def __init__(self, source: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
        self.columns = columns
        self.gaps = 0
        self._source = source
        self._key = KEYS[table]
        self._from = f"FROM {table} NOT INDEXED"
        self._select = f"SELECT {self._key}, {', '.join(columns)} {self._from} WHERE {self._key}"
        self._tries = TRIES
        self._broken_to = -1  # the end of the last stretch that could not be read

    def rows(self) -> Iterator[list[tuple[Any, ...]]]:
        """All that can be read, in pieces."""
        low, high = self._end("ASC"), self._end("DESC")
        low = 0 if low is None else low
        while self.columns and self._tries > 0 and (high is None or low <= high):
            found = self._ask(">= ? ORDER BY 1 LIMIT ?", low, STEP)
            if found is None:
                self.gaps += not self.gaps
                beyond = self._readable_again(low, low + FAR if high is None else high)
                yield from self._halves(low, beyond - 1)
                if high is None and beyond > low + FAR:
                    return
                low = beyond
            elif not found or not isinstance(found[-1][0], int) or found[-1][0] < low:
                return
            else:
                yield [row[1:] for row in found]
                # Attempts share the number of their job, and those of the last job may go on in the next piece.
                low = found[-1][0] if len(found) == STEP and found[0][0] < found[-1][0] else found[-1][0] + 1

    def _ask(self, where: str, *values: int) -> list[tuple[Any, ...]] | None:
        """None: not readable."""
        self._tries -= 1
        try:
            return self._source.execute(f"{self._select} {where}", values).fetchall()
        except BROKEN:
            return None

    def _end(self, order: str) -> int | None:
        """The lowest or highest number; None when that cannot be read."""
        with suppress(*BROKEN):
            row = self._source.execute(f"SELECT {self._key} {self._from} ORDER BY 1 {order} LIMIT 1").fetchone()
            if row is None:
                return 0
            return row[0] if isinstance(row[0], int) else None
        return None

    def _readable_again(self, low: int, high: int) -> int:
        """From where on, in growing steps, rows can be read again; high + 1 when there are none."""
        step = 1
        while low + step <= high and self._tries > 0:
            if self._ask(">= ? ORDER BY 1 LIMIT 1", low + step):
                return low + step
            step *= 2
        return high + 1

    def _halves(self, low: int, high: int) -> Iterator[list[tuple[Any, ...]]]:
        """The readable rows from `low` to `high`."""
        ranges = [(low, high)]
        while ranges and self._tries > 0:
            low, high = ranges.pop()
            found = self._ask("BETWEEN ? AND ?", low, high)
            if found is not None:
                yield [row[1:] for row in found]
            elif low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
            else:
                self.gaps += self._broken_to >= 0 and low > self._broken_to + 1
                self._broken_to = low


def _insert(target: sqlite3.Connection, table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> int:
    """How many were taken. A row that breaks a rule of the schema is not one of ours, but a piece of another page."""
    taken = 0
    sql = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    for row in rows:
        if table != "jobs" or _is_job(dict(zip(columns, row, strict=True))):
            with suppress(sqlite3.Error, UnicodeError):
                taken += target.execute(sql, row).rowcount
    return taken


def _is_job(row: dict[str, Any]) -> bool:
    """Whether this can be a job of ours, and its id the name of a file. Its state may be broken: the rest is a job."""
    texts = all(isinstance(row.get(name), str) for name in ("id", "organization_id", "device_id", "title", "state"))
    if not texts or not isinstance(row.get("created_at"), float):
        return False
    job_id: str = row["id"]
    return len(job_id) <= 64 and job_id.isascii() and job_id.replace("-", "").replace("_", "").isalnum()
