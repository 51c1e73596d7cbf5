"""An EPL2 stream cut into commands, piece by piece, minding quotes and counted binary data.

EPL Programming Guide (Zebra 14245L). A command is a line. GW is followed by bytes that are counted, after a comma or,
as CUPS writes it, a line end; GM by as many as its line says. Where a printer may read the stream in another way than
this, the command says so in `doubt`, so that whoever judges a stream need not trust this reading.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass

from devices.errors import BadPrinterData
from devices.readers._label import MAX_DATA, number

LINE = 8_192  # bytes of a line that are looked at; the longest barcode has half of that
HEAD = 64  # bytes of a command's text that are kept where data is not

_NAMES = (
    "^default ^ee ^@ AUTOFR OEPL1 dump EI EK ES eR fB FE FI FK FR FS GG GI GK GM GW JB JC JF LE LO LS LW oB oE oH oL oM"
    " oR oW PA TD TS TT UA UB UE UF UG UI UM UN UP UQ URH URL URR US UT U% U$ xa A B b C D f i I M N o O P q Q r R S U"
    " V W X Y Z ? ;"
).split()
_NAME = re.compile("|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True)).encode())
_BLANK = re.compile(rb"[\0\s]*")
_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_PICTURE = re.compile(rb"GW[ \t]*(\d{1,9}),[ \t]*(\d{1,9}),[ \t]*(\d{1,9}),[ \t]*(\d{1,9})[ \t]*(,|\r?\n)")
_COMMAS = re.compile(rb"GW[^\r\n,]*(?:,[^\r\n,]*){3},")
_STORE = re.compile(rb"GM\"[^\"\r\n]*\",?[ \t]*(\d{1,9})[ \t]*\Z")
_TEXT_ENDS = re.compile(rb'\\.|"', re.DOTALL)
_AT_ONCE = re.compile(rb"\^(?:@|ee|default)")


@dataclass(frozen=True, slots=True)
class Command:
    """name: "N", "GW" ...; "" for a line that is no command. at: offset of its first byte in the stream.

    text: its parameters, without the line end. data: the counted bytes of GW and GM; b"" where they are not kept.
    missing: how many of them the stream did not bring. doubt: why a printer may read the stream otherwise from here on.
    """

    name: str
    text: bytes
    at: int
    data: bytes = b""
    missing: int = 0
    doubt: str = ""

    def numbers(self, count: int) -> list[int | None]:
        """The first `count` parameters; None for what is no number."""
        found = self.text.split(b",")
        return [number(text) for text in (found + [b""] * count)[:count]]

    def bad(self, why: str) -> BadPrinterData:
        """The error to raise, with the place in it."""
        return BadPrinterData(f"{self.name} at byte {self.at:,}: {why}")


def in_quotes(line: bytes) -> bool:
    """Whether a text of this line has begun and has not ended."""
    return sum(found[0] == b'"' for found in _TEXT_ENDS.finditer(line)) % 2 == 1


class Stream:
    """Cuts what it is fed. keep: give the counted bytes with their command (else only their count is minded)."""

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.wants = 0  # bytes of counted data to come
        self.in_form = False  # between FS and FE: the printer stores what it is sent
        self._seen = 0
        self._line = bytearray()
        self._start = 0
        self._long = False  # the rest of the line is passed over
        self._held: Command | None = None
        self._data = bytearray()

    @property
    def held(self) -> int:
        """Bytes of a command that has begun and has not ended."""
        return len(self._line) + len(self._data)

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are complete with `data`; a GW already at its first byte of data, where it is not kept."""
        out: list[Command] = []
        at = 0
        while at < len(data):
            at = self._take_data(data, at, out) if self.wants else self._take_line(data, at, out)
        self._seen += len(data)
        return out

    def end(self) -> list[Command]:
        """The stream is over."""
        out: list[Command] = []
        if self._line:
            self._finish_line(out, b"")
        if self._held is not None:
            out.append(self._whole(self._held))
            self._held, self.wants = None, 0
        return out

    def ending(self) -> bytes:
        """What makes the printer read the next bytes as a new line: quotes closed, pictures filled up with white."""
        rest, tail = copy.copy(self), b""
        rest._line, rest._data = bytearray(self._line), bytearray()
        if rest._line:
            tail = _closing(bytes(rest._line)) + b"\n"
            rest.feed(tail)
        if rest.wants:
            fill = b"\xff" * min(rest.wants, MAX_DATA) + b"\n"
            rest.keep = False
            rest.feed(fill)
            tail += fill
        return tail + (b"FE\n" if rest.in_form else b"")

    def _take_data(self, data: bytes, at: int, out: list[Command]) -> int:
        """Counted bytes."""
        taken = min(self.wants, len(data) - at)
        if self.keep:
            self._data += data[at : at + taken]
        self.wants -= taken
        if not self.wants and self._held is not None:
            out.append(self._whole(self._held))
            self._held = None
        return at + taken

    def _whole(self, head: Command) -> Command:
        """A command with the data that came for it."""
        data = bytes(self._data)
        self._data.clear()
        return Command(head.name, head.text, head.at, data, self.wants, head.doubt)

    def _take_line(self, data: bytes, at: int, out: list[Command]) -> int:
        """A line, or as much of it as there is, or the head of a GW."""
        if not self._line:
            found = _BLANK.match(data, at)
            at = found.end() if found else at
            self._start = self._seen + at
        elif self._line[-1:] == b"\r":  # the last piece ended here
            line_feed = data[at : at + 1] == b"\n"
            self._finish_line(out, b"\r\n" if line_feed else b"\r", cut=1)
            return at + line_feed
        end = _END.search(data, at)
        stop = end.start() if end else len(data)
        before = len(self._line)
        self._line += data[at : min(stop, at + LINE + 1)] if not self._long else b""
        if not self._long and (found := _COMMAS.match(self._line)):
            del self._line[found.end() :]
            self._finish_line(out, b"")
            return at + found.end() - before
        if end is None:
            self._long = self._long or len(self._line) > LINE
            del self._line[LINE + 1 :]
            return len(data)
        self._finish_line(out, end[0])
        return end.end()

    def _finish_line(self, out: list[Command], end: bytes, cut: int = 0) -> None:
        """`_line` is complete. cut: bytes of the line end that are in it already."""
        line = bytes(self._line[: len(self._line) - cut])
        if line[:1] == b"b" and end and not self._long and in_quotes(line) and len(line) < LINE:
            self._line += end[cut:]  # two-dimensional barcodes may hold line ends
            self._line[-1:] = b"\n"
            return
        self._line.clear()
        doubt = self._doubt(line, end)
        self._long = False
        self._command(line, end, doubt, out)

    def _doubt(self, line: bytes, end: bytes) -> str:
        if self._long or len(line) > LINE:
            return f"a line of more than {LINE:,} bytes"
        if end == b"\r":
            return "a carriage return without a line feed"
        if line[:1] != b";" and (in_quotes(line) or (line[:1] == b"b" and b"\n" in line)):
            return "a text in quotes that goes on over the end of its line"
        return ""

    def _command(self, line: bytes, end: bytes, doubt: str, out: list[Command]) -> None:
        """A complete line, or a GW up to its data."""
        if not line.strip():
            return
        if line.startswith(b"GW"):
            self._picture(line, end, doubt, out)
            return
        found = _NAME.match(line)
        name = found[0].decode() if found else ""
        text = line[len(name) :] if self.keep else line[len(name) :][:LINE]
        self.in_form = name == "FS" or (self.in_form and name != "FE")
        head = Command(name, text, self._start, doubt=doubt)
        if stored := _STORE.match(line):
            self._hold(head, int(stored[1]), out)
            return
        out.append(head)
        if name not in ("^@", "^ee", "^default"):
            for hidden in _AT_ONCE.finditer(line):
                out.append(Command(hidden[0].decode(), b"", self._start + hidden.start()))

    def _picture(self, line: bytes, end: bytes, doubt: str, out: list[Command]) -> None:
        """GWx,y,bytes,rows and a comma or a line end, then bytes * rows of data."""
        found = _PICTURE.fullmatch(line if line.endswith(b",") else line + end.replace(b"\r\n", b"\n"))
        if not found:
            out.append(Command("GW", line[2:], self._start, doubt=doubt or "a GW without its four numbers"))
            return
        size = int(found[3]) * int(found[4])
        if size > MAX_DATA:
            doubt = doubt or "a picture larger than any label"
        if end:
            doubt = doubt or "a GW with a line end where the guide has a comma"
        self._hold(Command("GW", line[2:].rstrip(b","), self._start, doubt=doubt), size, out)

    def _hold(self, head: Command, size: int, out: list[Command]) -> None:
        """Wait for `size` bytes of data."""
        self.wants = size
        if self.keep and size:
            self._held = head
        else:
            out.append(head)


def _closing(line: bytes) -> bytes:
    """What ends an open text: the backslash at the end of a line takes one quote with it."""
    if not in_quotes(line):
        return b""
    ends = list(_TEXT_ENDS.finditer(line))
    rest = line[ends[-1].end() :] if ends else line
    return b'""' if rest.endswith(b"\\") else b'"'
