"""A TSPL stream cut into lines, the pictures and files it counts, and the immediate commands that may come at any time.

Facts are from the TSPL/TSPL2 Programming Language manual (TSC Auto ID), its chapters "Document Conventions", "Label
Formatting Commands" (BITMAP), "Status Polling and Immediate Commands" and "File Management Commands" (DOWNLOAD, EOP).
Where printers may differ, a line is read so that nothing is hidden in it: a line end ends a command even within quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD = 512  # bytes of a line that are kept; the head of a BITMAP or DOWNLOAD is shorter
MOST_FILL = 5_000_000  # bytes; the largest picture any reader here takes, 40 million dots

_SPECIAL = re.compile(rb"[\r\n]|\x1B(?:!|\Z)")
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_$]*")
_TILDE = re.compile(rb"~![ -~]|~#")
_IMMEDIATE = re.compile(rb"\x1B!([!-~])")
_COUNTED = re.compile(
    rb"BITMAP[ \t]+(?: *-?\d{1,6} *,){2} *(\d{1,6}) *, *(\d{1,6}) *, *(?:[012] *,|3 *, *(\d{1,9}) *,)"
    rb'|DOWNLOAD[ \t]*(?:[A-Z] *, *)?"[^"]{1,64}" *, *(\d{1,9}) *,',
    re.IGNORECASE,
)
_PROGRAM = re.compile(rb'[ \t]*(?:[A-Z] *, *)?"[^"]*"[ \t]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Line:
    """One command. name: "BITMAP", "SET", "~!T", "ESC ! ?" ..., in capitals. at: the offset of its first byte.

    text: what follows the name, at most HEAD bytes. size: counted bytes that follow (BITMAP, DOWNLOAD), None when there
    are none or they cannot be counted. data: those bytes of a BITMAP where they are kept. odd: not every printer may
    read it as it is read here. inside: an immediate command within counted bytes, which a printer may obey or not.
    end: the offset behind its line end, 0 where there is none.
    """

    name: str
    at: int
    text: bytes = b""
    size: int | None = None
    data: bytes | None = None
    odd: bool = False
    inside: bool = False
    end: int = 0


class Stream:
    """Cuts a stream fed in pieces of any size.

    keep: BITMAP data of at most so many bytes is kept, and the line is told once it is complete. With 0 nothing is, and
    a line that counts is told as soon as its head is. Memory is bounded by `keep` and HEAD.
    """

    def __init__(self, keep: int = 0) -> None:
        self.keep = keep
        self.missing = 0
        """Counted bytes that have not come yet."""
        self.passed = 0
        """Bytes fed so far."""
        self._begin = 0
        self._line = bytearray()
        self._long = False
        self._open_quote = False
        self._dangling = False  # the last line ended within quotes
        self._last = b""  # the two bytes before what comes next, where an escape or a command may have begun
        self._escape = b""
        self._counted: Line | None = None
        self._data: bytearray | None = None
        self._unended = False  # counted bytes are complete, their line is not ended
        self._program = False

    @property
    def open(self) -> bool:
        """Whether a command has begun and not ended."""
        return bool(self.missing or self._line or self._escape)

    def feed(self, data: bytes) -> list[Line]:
        """The lines that this piece completes."""
        out: list[Line] = []
        at = 0
        while at < len(data):
            at = (self._count if self.missing else self._escaped if self._escape else self._read)(data, at, out)
        self.passed += len(data)
        return out

    def end(self) -> list[Line]:
        """The line that was begun and has no end yet. Changes nothing."""
        if self.missing:
            return []
        line = self._line + self._escape
        return [self._parsed(bytes(line))] if line else []

    def ending(self) -> bytes:
        """What makes a printer read the next byte as the first of a command.

        The counted bytes that are missing (white dots; more than MOST_FILL nobody can fill in), the quote that is open,
        the end of the line, the EOP of a program.
        """
        out = b""
        if self.missing:
            of_picture = self._counted is not None and self._counted.name == "BITMAP"
            out = (b"\xff" if of_picture else b" ") * min(self.missing, MOST_FILL) + b"\r\n"
        elif self._line or self._escape:
            out = b'"\r\n' if self._open_quote else b"\r\n"
        elif self._dangling:
            out = b'"\r\n'
        elif self._unended:
            out = b"\r\n"
        return out + b"EOP\r\n" * self._program

    # Lines

    def _read(self, data: bytes, at: int, out: list[Line]) -> int:
        """Read on, up to and with the next byte that ends something. Where to go on."""
        found = _SPECIAL.search(data, at)
        end = found.start() if found else len(data)
        stopped = self._append(data, at, end, out)
        if stopped < end or self.missing or not found:
            return stopped
        if found[0] not in b"\r\n":
            self._escape = b"\x1b"
            if not self._line:
                self._begin = self.passed + end
        else:
            self._close(self.passed + end + 1, out)
        return end + 1

    def _append(self, data: bytes, at: int, end: int, out: list[Line]) -> int:
        """Add data[at:end] to the line. Where it ended: `end`, or before it where counted bytes begin."""
        if not self._line:
            while at < end and data[at] in b" \t\0":
                at += 1
            self._begin = self.passed + at
        if at == end:
            return end
        before = len(self._line)
        self._line += data[at : min(end, at + HEAD - before)]
        if not self._long and self._line[:1] in b"BbDd" and (found := _COUNTED.match(self._line)):
            self._start(found, out)
            return at + found.end() - before
        self._long = self._long or end - at > HEAD - before
        self._dangling = self._unended = False
        quoted = self._last + data[at:end]
        if (quoted.count(b'"') - self._last.count(b'"') - quoted.count(rb'\["')) % 2:
            self._open_quote = not self._open_quote
        self._last = quoted[-2:].replace(b'"', b".")
        return end

    def _close(self, end: int, out: list[Line]) -> None:
        """A line end. end: the offset behind it."""
        if self._line:
            line = self._parsed(bytes(self._line), end)
            out.append(line)
            self._dangling = self._open_quote
            if line.name == "DOWNLOAD" and _PROGRAM.fullmatch(line.text):
                self._program = True
            elif line.name == "EOP":
                self._program = False
        self._forget()
        self._unended = False

    def _parsed(self, line: bytes, end: int = 0) -> Line:
        if found := _NAME.match(line):
            name = found[0].decode().upper()
            return Line(name, self._begin, line[found.end() :], odd=found[0] != found[0].upper(), end=end)
        if found := _TILDE.match(line):
            return Line(found[0].decode(), self._begin, line[found.end() :], end=end)
        first = line[:1]
        name = first.decode() if first.isdigit() or first in b"@:;!" else f"0x{first.hex()}"
        return Line(name, self._begin, line[1:], end=end)

    def _forget(self) -> None:
        self._line.clear()
        self._long = self._open_quote = False
        self._last = b""

    # Immediate commands

    def _escaped(self, data: bytes, at: int, out: list[Line]) -> int:
        """The byte behind ESC, or behind ESC !. Where to go on."""
        self._escape += data[at : at + 1]
        if self._escape == b"\x1b!":
            return at + 1
        if found := _IMMEDIATE.fullmatch(self._escape):
            out.append(Line(f"ESC ! {found[1].decode()}", self.passed + at - 2))
            self._escape = b""
            return at + 1
        text, self._escape = self._escape[:-1], b""
        self._line += text[: HEAD - len(self._line)]
        self._last = b""
        return at

    # Counted bytes

    def _start(self, found: re.Match[bytes], out: list[Line]) -> None:
        """The head of a BITMAP or DOWNLOAD is complete."""
        across, down, packed, file = found.groups()
        size = int(packed or file or 0) if packed or file else int(across) * int(down)
        spelt = _NAME.match(found[0])
        assert spelt is not None
        name = spelt[0].decode().upper()
        odd = spelt[0] != spelt[0].upper() or packed is not None or size > MOST_FILL
        self._counted = Line(name, self._begin, found[0][spelt.end() :], size, odd=odd)
        self._data = bytearray() if name == "BITMAP" and size <= self.keep else None
        self.missing = size
        self._forget()
        if self._data is None:
            out.append(self._counted)
        if not size:
            self._complete(out)

    def _count(self, data: bytes, at: int, out: list[Line]) -> int:
        """Take counted bytes. Where to go on."""
        piece = data[at : at + self.missing]
        watched = self._last + piece
        for found in _IMMEDIATE.finditer(watched):
            place = self.passed + at - len(self._last) + found.start()
            out.append(Line(f"ESC ! {found[1].decode()}", place, inside=True))
        self._last = watched[-2:]
        if self._data is not None:
            self._data += piece
        self.missing -= len(piece)
        if not self.missing:
            self._complete(out)
        return at + len(piece)

    def _complete(self, out: list[Line]) -> None:
        counted, data = self._counted, self._data
        if counted is not None and data is not None:
            out.append(Line(counted.name, counted.at, counted.text, counted.size, bytes(data), odd=counted.odd))
        self._counted = self._data = None
        self._last = b""
        self._unended = True
