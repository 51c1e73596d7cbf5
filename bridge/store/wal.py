"""SQLite's write-ahead log, frame by frame (sqlite.org/fileformat2.html, 4): what SQLite itself passes over in silence.

A log is believed up to its first broken frame, and what was committed after that is dropped without a word. One
unreadable sector can so cost a hundred acknowledged labels; here they are counted, and read back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_HEADER = struct.Struct(">8I")  # magic, version, page size, checkpoint number, salt 1, salt 2, checksum 1, checksum 2
_FRAME = struct.Struct(">6I")  # page number, pages in the database after a commit (else 0), salts, checksums
_MAGIC = 0x377F0682  # the lowest bit says in which byte order the checksums were made
_TAKEN = struct.Struct("=I")  # in the -shm file at offset 16: frames of the log that SQLite believes
_PAGE_SIZES = [1 << n for n in range(9, 17)]


@dataclass(frozen=True, slots=True)
class Frame:
    """One page as one transaction left it. commit: pages in the database if this frame ends a transaction, else 0."""

    page: int
    commit: int
    data: bytes


def lost_commits(database: Path) -> int:
    """Commits that were acknowledged and that SQLite, having opened `database`, dropped from the log. 0: none.

    A power cut leaves at most one transaction half written, and nobody was told that it is safe. A commit that another
    frame follows is an acknowledged one. (The very last commit of a log cannot be told from a half-written one.)
    """
    with suppress(OSError, struct.error):
        log = _beside(database, "-wal").read_bytes()
        if not _sound_header(log):
            commits = sum(1 for frame in frames(database) if frame.commit)
            return commits if commits > 1 else 0
        taken: int = _TAKEN.unpack_from(_beside(database, "-shm").read_bytes(), 16)[0]
        return _commits_behind(log, taken)
    return 0


def _commits_behind(log: bytes, taken: int) -> int:
    """Commits behind the first `taken` frames, if at least one of them has a successor."""
    page_size, salts = _HEADER.unpack_from(log)[2], _HEADER.unpack_from(log)[4:6]
    step = _FRAME.size + page_size
    ends = [
        at for at in range(_HEADER.size + taken * step, len(log) - step + 1, step)
        if _FRAME.unpack_from(log, at)[2:4] == salts and _FRAME.unpack_from(log, at)[1]
    ]  # fmt: skip
    for at in ends:
        if at + 2 * step <= len(log) and _follows(log, at + step, page_size, _FRAME.unpack_from(log, at)[4:6]):
            return len(ends)
    return 0


def frames(database: Path) -> Iterator[Frame]:
    """Every whole frame of the present log, oldest first, also those behind a broken one."""
    log = b""
    with suppress(FileNotFoundError):
        log = _beside(database, "-wal").read_bytes()
    page_size = _page_size(database, log)
    salts = _HEADER.unpack_from(log)[4:6] if _sound_header(log) else _first_salts(log, page_size)
    before = _HEADER.unpack_from(log)[6:8] if _sound_header(log) else None
    step = _FRAME.size + page_size
    for at in range(_HEADER.size, len(log) - step + 1, step):
        page, commit, *rest = _FRAME.unpack_from(log, at)
        if tuple(rest[:2]) == salts and page and (before is None or _follows(log, at, page_size, before)):
            yield Frame(page, commit, log[at + _FRAME.size : at + step])
        # Each checksum goes on from the one before: with that as it is written there, the next frame speaks for itself.
        before = tuple(rest[2:])


def _follows(log: bytes, at: int, page_size: int, before: tuple[int, ...]) -> bool:
    """Whether the frame at `at` has the checksum that follows from the one before."""
    body = log[at : at + 8] + log[at + _FRAME.size : at + _FRAME.size + page_size]
    return checksum(body, before, _order(log)) == _FRAME.unpack_from(log, at)[4:6]


def checksum(data: bytes, before: tuple[int, ...], order: str) -> tuple[int, int]:
    """SQLite's own. data: a multiple of 8 bytes. order: "<" or ">"."""
    first, second = before
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second


def _order(log: bytes) -> str:
    return ">" if log[3:4] == b"\x83" else "<"


def _sound_header(log: bytes) -> bool:
    if len(log) < _HEADER.size:
        return False
    magic, *_, one, two = _HEADER.unpack_from(log)
    return magic & ~1 == _MAGIC and checksum(log[:24], (0, 0), _order(log)) == (one, two)


def _first_salts(log: bytes, page_size: int) -> tuple[int, ...]:
    """The salts of the first frame that follows from its neighbour: those of the present log, its header being gone."""
    step = _FRAME.size + page_size
    for at in range(_HEADER.size + step, len(log) - step + 1, step):
        if _follows(log, at, page_size, _FRAME.unpack_from(log, at - step)[4:6]):
            return _FRAME.unpack_from(log, at)[2:4]
    return ()


def _page_size(database: Path, log: bytes) -> int:
    """As the log says, else as the database says, else what SQLite takes by itself."""
    if _sound_header(log):
        return int(_HEADER.unpack_from(log)[2])
    with suppress(OSError), database.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:18], "big")
        size = 65536 if size == 1 else size
        if size in _PAGE_SIZES:
            return size
    return 4096


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)
