"""What a dying SD card does to a database: sectors of garbage, pages of zeros, a file cut short, a broken log."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

PAGE = 4096
SECTOR = 512
FRAME = 24 + PAGE

Damage = Callable[[Path, random.Random], None]
"""Does its worst to the database in a folder."""


def first_page_zeroed(folder: Path, rng: random.Random) -> None:
    _write(folder / "bridge.db", 0, bytes(PAGE))


def first_page_garbage(folder: Path, rng: random.Random) -> None:
    _write(folder / "bridge.db", rng.choice([0, 100, 512]), rng.randbytes(SECTOR))


def cut_short(folder: Path, rng: random.Random) -> None:
    size = (folder / "bridge.db").stat().st_size
    with (folder / "bridge.db").open("r+b") as file:
        file.truncate(rng.randrange(PAGE, size))


def pages_zeroed(folder: Path, rng: random.Random) -> None:
    for page in _pages(folder, rng, 3):
        _write(folder / "bridge.db", page * PAGE, bytes(PAGE))


def pages_garbage(folder: Path, rng: random.Random) -> None:
    for page in _pages(folder, rng, 2):
        _write(folder / "bridge.db", page * PAGE, rng.randbytes(PAGE))


def sectors_garbage(folder: Path, rng: random.Random) -> None:
    for page in _pages(folder, rng, 4):
        _write(folder / "bridge.db", page * PAGE + SECTOR * rng.randrange(PAGE // SECTOR), rng.randbytes(SECTOR))


def bytes_flipped(folder: Path, rng: random.Random) -> None:
    size = (folder / "bridge.db").stat().st_size
    for _ in range(40):
        _write(folder / "bridge.db", rng.randrange(size), rng.randbytes(1))


def log_garbage(folder: Path, rng: random.Random) -> None:
    """One sector in the middle of the log: everything after it is dropped by SQLite without a word."""
    log = folder / "bridge.db-wal"
    frames = (log.stat().st_size - 32) // FRAME
    _write(log, 32 + FRAME * rng.randrange(frames // 2) + 600, rng.randbytes(SECTOR))


def log_header_garbage(folder: Path, rng: random.Random) -> None:
    _write(folder / "bridge.db-wal", 0, rng.randbytes(32))


def everything_garbage(folder: Path, rng: random.Random) -> None:
    size = (folder / "bridge.db").stat().st_size
    _write(folder / "bridge.db", 0, rng.randbytes(size))


KINDS: list[Damage] = [
    first_page_zeroed, first_page_garbage, cut_short, pages_zeroed, pages_garbage, sectors_garbage, bytes_flipped,
    log_garbage, log_header_garbage, everything_garbage,
]  # fmt: skip
IN_THE_LOG = (log_garbage, log_header_garbage)


def _pages(folder: Path, rng: random.Random, most: int) -> list[int]:
    """Some pages, never the first."""
    count = (folder / "bridge.db").stat().st_size // PAGE
    return [rng.randrange(1, count) for _ in range(rng.randint(1, most))]


def _write(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
