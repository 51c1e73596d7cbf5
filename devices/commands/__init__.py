"""Printer code as commands: what a raw job would do, and whether it leaves the printer in the middle of something.

One file per language with a `new() -> Scanner` function. Pure, and safe on hostile bytes: work and memory grow with
the length of the data, never faster, and a scanner keeps at most a few kilobytes whatever it is fed.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Protocol


class Harm(Enum):
    """What a command may do beside printing; the value is how people are told ("... erases what is stored")."""

    NONE = "prints"
    SETTINGS = "changes the printer's settings for good"
    FILES = "stores or erases files in the printer"
    DISRUPTION = "resets, stops or wastes the printer's media"
    BACKCHANNEL = "makes the printer answer"
    PREFIX = "changes how the next commands are read"
    DRAWER = "opens the cash drawer"
    UNKNOWN = "is not known to be harmless"


@dataclass(frozen=True, slots=True)
class Command:
    """One command. name: as manuals write it: "^XA", "GS v 0", "GW", "PRINT". offset: of its first byte in the stream.

    text: its parameters, the first 64 bytes of them.
    """

    name: str
    offset: int
    harm: Harm
    text: bytes = b""


class Scanner(Protocol):
    """Reads one stream, piece by piece, wherever it is cut."""

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are known to have begun in what was fed so far and were not given yet."""
        ...

    def end(self) -> list[Command]:
        """The stream is over: what was still undecided."""
        ...

    def ending(self) -> bytes:
        """What has to follow so that the next job is read from its first byte on; b"" when nothing is open.

        Fills up graphic data that is missing (with white dots), ends a format that was begun, ends a line.
        """
        ...


_NO_COPIES = frozenset({"escpos"})  # its scanner holds a generator, so the stream is read anew for each cut
_FILLING = 256  # bytes; a longer ending fills up a picture, and its first byte is white


@cache
def names() -> tuple[str, ...]:
    """The languages whose commands are known, in alphabetical order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def scanner(language: str) -> Scanner | None:
    """A new scanner, None for a language whose commands are not known."""
    if language not in names():
        return None
    new: Callable[[], Scanner] = _module(language).new
    return new()


def forgetting(language: str, pieces: Iterable[bytes], cuts: Iterable[int], slack: int = 0) -> bytes:
    """What makes a printer forget a job that was cut off: it has read as many bytes of it as one of `cuts` says, and
    nobody knows which one.

    Nothing of it that is half there is printed, where the language has a command for that; what is complete is. With
    nothing open it does nothing. slack: bytes from one cut to the next, when not every one that may be is given.
    """
    if language in _NO_COPIES:
        whole = b"".join(pieces)
        rests = [ending(language, [whole[:cut]]) for cut in cuts]
    else:
        rests = list(_endings(language, pieces, sorted(cuts)))
    special: Callable[[list[bytes], int], bytes] | None = None
    if language in names():
        special = getattr(_module(language), "forgetting", None)
    if special is not None:
        return special(rests, slack)
    longest = max(rests, key=len, default=b"")
    return longest[:1] * slack + longest if len(longest) > _FILLING else longest


def _endings(language: str, pieces: Iterable[bytes], cuts: list[int]) -> Iterator[bytes]:
    """The ending at each cut, in their order; the stream is read once."""
    reader, read = scanner(language), 0
    for piece in pieces if reader is not None else ():
        assert reader is not None
        start = 0
        while cuts and cuts[0] <= read + len(piece):
            end = cuts.pop(0) - read
            reader.feed(piece[start:end])
            start = end
            yield copy.deepcopy(reader).ending()
        if not cuts:
            return
        reader.feed(piece[start:])
        read += len(piece)


@cache
def _module(language: str) -> ModuleType:
    return importlib.import_module(f"devices.commands.{language}")


def commands(language: str, pieces: Iterable[bytes]) -> Iterable[Command]:
    """Every command of a stream. Raises KeyError for a language whose commands are not known."""
    reader = scanner(language)
    if reader is None:
        raise KeyError(language)
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.end()


def ending(language: str, pieces: Iterable[bytes]) -> bytes:
    """What has to follow this stream so that the next job is read from its first byte on; b"" for most.

    Of a language whose commands are not known nothing can be said: b"".
    """
    if language not in names():
        return b""
    plainly_whole: Callable[[bytes], bool] | None = getattr(_module(language), "plainly_whole", None)
    if plainly_whole is not None and isinstance(pieces, list) and len(pieces) == 1 and plainly_whole(pieces[0]):
        return b""
    reader = scanner(language)
    assert reader is not None
    for piece in pieces:
        reader.feed(piece)
    return reader.ending()
