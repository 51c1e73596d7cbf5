"""A ZPL stream cut into commands, minding changed prefixes and binary data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from devices.errors import BadPrinterData
from devices.readers._label import number

_ALIASES = {b"\x1e": "^", b"\x10": "~"}  # RS and DLE always work, whatever the prefixes are
_MAX_CHANGES = 1_000  # of ^CC, ^CT, ^CD; a stream has a handful
_HEAD = 128  # bytes that hold the parameters before binary data


@dataclass(frozen=True, slots=True)
class Command:
    """name: "^XA", "~DG" ..., whatever the prefixes are at the moment. at: the byte offset of the prefix.

    aborted: ~DN (abort download graphic) or ~JX (cancel the format) follows, so the data may end anywhere.
    """

    name: str
    text: bytes
    at: int
    delimiter: bytes
    aborted: bool = False

    def arguments(self, most: int) -> list[bytes]:
        """Exactly `most` parameters; missing ones are empty, the last holds all that is left."""
        found = self.text.split(self.delimiter, most - 1)
        return found + [b""] * (most - len(found))

    def numbers(self, most: int) -> list[int | None]:
        """The first `most` parameters as whole numbers, None where there is none. ^FO18.64,81.5 is 19,82."""
        return [rounded(text) for text in self.arguments(most + 1)[:most]]

    def bad(self, why: str) -> BadPrinterData:
        """The error to raise, with the place in it."""
        return BadPrinterData(f"{self.name} at byte {self.at:,}: {why}")


def rounded(text: bytes) -> int | None:
    """A number with a decimal point, as some programs write dots, rounded; None for what is no number."""
    whole, _, tenths = text.strip().partition(b".")
    found = number(whole)
    if found is None or (tenths and not tenths.isdigit()):
        return None
    return found + (tenths[:1] >= b"5")


_BINARY = {  # commands that may hold bytes beyond the prefixes' reach: index of the kind, of the count, data after
    "^GF": (0, 1, 4),
    "~DY": (1, 3, 5),
}


class Scanner:
    """Cuts a stream into commands, minding ^CC, ^CT, ^CD (which change the prefixes) and binary data."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.caret, self.tilde, self.delimiter = b"^", b"~", b","
        self.changes = 0

    def __iter__(self) -> Iterator[Command]:
        end = 0
        while found := _starts(self.caret, self.tilde).search(self.data, end):
            prefix = "^" if found[1] == self.caret else "~" if found[1] == self.tilde else _ALIASES[found[1]]
            command = Command(prefix + found[2].decode().upper(), b"", found.start(), self.delimiter)
            end = self._end(command, found.end())
            aborted = self.data.startswith((self.tilde + b"DN", self.tilde + b"JX"), end)
            yield Command(command.name, self.data[found.end() : end], command.at, self.delimiter, aborted)

    def _end(self, command: Command, start: int) -> int:
        """Where the parameters that begin at `start` end."""
        if command.name[1:] in ("CC", "CT", "CD"):
            self._change(command, self.data[start : start + 1])
            return start + 1
        if (end := self._binary_end(command, start)) is not None:
            return end
        found = _stops(self.caret, self.tilde).search(self.data, start)
        return found.start() if found else len(self.data)

    def _change(self, command: Command, to: bytes) -> None:
        """^CC caret, ^CT tilde, ^CD delimiter: the next byte, whatever it is, takes that part from now on."""
        which = {"CC": "caret", "CT": "tilde", "CD": "delimiter"}[command.name[1:]]
        if to and to != getattr(self, which):
            self.changes += 1
            if self.changes > _MAX_CHANGES:  # each is a new pattern to search with
                raise command.bad(f"the prefixes change more than {_MAX_CHANGES:,} times")
            setattr(self, which, to)

    def _binary_end(self, command: Command, start: int) -> int | None:
        """Where binary data ends; None when `command` has none."""
        if command.name not in _BINARY:
            return None
        kind, count, before = _BINARY[command.name]
        head = self.data[start : start + _HEAD].split(self.delimiter, before)
        if len(head) <= before or head[kind].strip().upper() not in (b"B", b"C"):
            return None
        if _stops(self.caret, self.tilde).search(b"".join(head[:before])):
            return None
        end = start + sum(len(text) + 1 for text in head[:before]) + (number(head[count]) or 0)
        if end > len(self.data):
            raise command.bad(f"the stream ends {end - len(self.data):,} bytes before its binary data does")
        return end


@lru_cache(maxsize=64)
def _starts(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    """A prefix and the two letters of a command; the second may be a digit or @ (fonts and barcodes)."""
    return re.compile(b"(%s|%s|\x10|\x1e)([A-Za-z][A-Za-z0-9@])" % (re.escape(caret), re.escape(tilde)))


@lru_cache(maxsize=64)
def _stops(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    """Any prefix."""
    return re.compile(b"[%s%s\x10\x1e]" % (re.escape(caret), re.escape(tilde)))
