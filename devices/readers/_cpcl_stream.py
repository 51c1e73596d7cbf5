"""A CPCL stream cut into lines, piece by piece, minding graphic data.

CPCL Programming Manual (Zebra). A command is a line that ends in CR LF. CG (COMPRESSED-GRAPHICS) and VCG hold counted
bytes after the space behind their fourth number, EG and VEG twice as many hexadecimal digits, over line ends too. ML,
CONCAT and two-dimensional barcodes hold lines of text up to their END line. Where a printer may read the stream in
another way than this, the command says so in `doubt`.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass

from devices.errors import BadPrinterData
from devices.readers._epl2_stream import HEAD, LINE
from devices.readers._label import MAX_DATA, number

_BLANK = re.compile(rb"[\0\r\n]*")
_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")
_BINARY = re.compile(rb"[ \t]*(V?CG|V?COMPRESSED-GRAPHICS) +(\d{1,9}) +(\d{1,9}) +(\d{1,9}) +(\d{1,9}) ")
_DIGITS = re.compile(rb"[ \t]*(V?EG|V?EXPANDED-GRAPHICS) +(\d{1,9}) +(\d{1,9}) +(\d{1,9}) +(\d{1,9})[ \r\n]")
_MAY_BE_PICTURE = re.compile(rb"[ \t]*V?(?:[CE]G|COMPRESSED-GRAPHICS|EXPANDED-GRAPHICS) [\d \r]*\Z")
_PICTURE = re.compile(rb"V?(?:[CE]G|COMPRESSED-GRAPHICS|EXPANDED-GRAPHICS)")
_UNENDED = re.compile(rb"[ \t]*" + _PICTURE.pattern + rb"(?: +\d{1,9}){4}")
_NOT_HEX = re.compile(rb"[^0-9A-Fa-f\s]")
_BLOCKS = {
    b"ML": (b"ENDML", b"ENDMULTILINE"), b"MULTILINE": (b"ENDML", b"ENDMULTILINE"),
    b"CONCAT": (b"ENDCONCAT",), b"VCONCAT": (b"ENDCONCAT",),
    b"QR": (b"ENDQR",), b"PDF-417": (b"ENDPDF",), b"MAXICODE": (b"ENDMAXICODE",), b"DATAMATRIX": (b"ENDDATAMATRIX",),
    b"AZTEC": (b"ENDAZTEC",),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Command:
    """name: "TEXT", "CG", "!" (a session begins), "! U1" ...: the first word of the line, "" for a line of text.

    words: the words after it. at: offset of the line in the stream. data: the graphic data; b"" where it is not kept.
    missing: how many bytes of it the stream did not bring. doubt: why a printer may read the stream otherwise.
    """

    name: str
    words: tuple[bytes, ...]
    at: int
    text: bytes = b""
    data: bytes = b""
    missing: int = 0
    doubt: str = ""

    def numbers(self, count: int) -> list[int | None]:
        """The first `count` words as whole numbers; None for what is none."""
        return [number(word) for word in (self.words + (b"",) * count)[:count]]

    def bad(self, why: str) -> BadPrinterData:
        """The error to raise, with the place in it."""
        return BadPrinterData(f"{self.name} at byte {self.at:,}: {why}")


class Stream:
    """Cuts what it is fed. keep: give the graphic data with its command (else only its length is minded)."""

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.wants = 0  # bytes, or hexadecimal digits, of graphic data to come
        self.session = ""  # "!" in a label, "UTILITIES", "U" in a setting session; "" between sessions
        self._hex = False
        self._block: tuple[bytes, ...] = ()
        self._seen = 0
        self._line = bytearray()
        self._start = 0
        self._long = False
        self._held: Command | None = None
        self._data = bytearray()

    @property
    def held(self) -> int:
        """Bytes of a command that has begun and has not ended."""
        return len(self._line) + len(self._data)

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are complete with `data`; graphics already at their head, where data is not kept."""
        out: list[Command] = []
        at = 0
        while at < len(data):
            if not self.wants:
                at = self._take_line(data, at, out)
            elif self._hex:
                at = self._take_digits(data, at, out)
            else:
                at = self._take_bytes(data, at, out)
        self._seen += len(data)
        return out

    def end(self) -> list[Command]:
        """The stream is over."""
        out: list[Command] = []
        if self._line:
            self._finish_line(out, b"")
        if self._held is not None:
            self._finish_data(out)
        return out

    def ending(self) -> bytes:
        """What makes the printer read the next bytes as a new session: pictures filled up with white, ABORT."""
        rest, tail = copy.copy(self), b""
        rest._line, rest._data, rest.keep = bytearray(self._line), bytearray(), False
        if rest._line:
            tail = b" " if _UNENDED.fullmatch(rest._line) else b"\r\n"
            rest.feed(tail)
        if rest.wants:
            fill = (b"0" if rest._hex else b"\0") * min(rest.wants, MAX_DATA * 2) + b"\r\n"
            rest.feed(fill)
            tail += fill
        if rest._block:
            tail += rest._block[0] + b"\r\n"
        return tail + {"!": b"ABORT\r\n", "UTILITIES": b"PRINT\r\n", "U": b"END\r\n"}.get(rest.session, b"")

    # Data

    def _take_bytes(self, data: bytes, at: int, out: list[Command]) -> int:
        taken = min(self.wants, len(data) - at)
        if self.keep:
            self._data += data[at : at + taken]
        self.wants -= taken
        if not self.wants:
            self._finish_data(out)
        return at + taken

    def _take_digits(self, data: bytes, at: int, out: list[Command]) -> int:
        """Hexadecimal digits, blanks between them; anything else ends them early."""
        piece = data[at : at + max(self.wants, 1)]
        if stop := _NOT_HEX.search(piece):
            piece = piece[: stop.start()]
        digits = b"".join(piece.split())
        if self.keep:
            self._data += digits
        self.wants -= len(digits)
        if stop or not self.wants:
            self._finish_data(out)
        return at + len(piece)

    def _finish_data(self, out: list[Command]) -> None:
        """The data of the held command is complete, or no more of it will come."""
        if (head := self._held) is not None:
            raw = bytes(self._data)
            if self._hex:
                raw = bytes.fromhex((raw[: len(raw) // 2 * 2]).decode())
            missing = -(-self.wants // 2) if self._hex else self.wants
            out.append(Command(head.name, head.words, head.at, head.text, raw, missing, head.doubt))
        self._held, self.wants = None, 0
        self._data.clear()

    # Lines

    def _take_line(self, data: bytes, at: int, out: list[Command]) -> int:
        """A line, or as much of it as there is, or the head of a picture."""
        if not self._line:
            found = _BLANK.match(data, at)
            at = found.end() if found else at
            self._start = self._seen + at
        elif self._line[-1:] == b"\r":  # the last piece ended here
            line_feed = data[at : at + 1] == b"\n"
            del self._line[-1:]
            self._finish_line(out, b"\r\n" if line_feed else b"\r")
            return at + line_feed
        end = _END.search(data, at)
        stop = end.end() if end else len(data)
        before = len(self._line)
        self._line += data[at : min(stop, at + LINE + 3)] if not self._long else b""
        if (found := self._picture_head()) is not None:
            self._hold(found, out)
            return at + found.end() - before
        if end is None:
            self._long = self._long or len(self._line) > LINE + 2
            del self._line[LINE + 3 :]
            return len(data)
        if not self._long and len(self._line) <= LINE + 2:
            del self._line[len(self._line) - len(end[0]) :]
        self._finish_line(out, end[0])
        return end.end()

    def _picture_head(self) -> re.Match[bytes] | None:
        """The head of a picture that the line begins with; in a block of text there is none."""
        if self._long or self._block:
            return None
        return _BINARY.match(self._line) or _DIGITS.match(self._line)

    def _hold(self, found: re.Match[bytes], out: list[Command]) -> None:
        """Wait for a picture's data."""
        words = tuple(found.group(2, 3, 4, 5))
        name, self._hex = found[1].decode(), b"E" in found[1][:2]
        size = int(found[2]) * int(found[3])
        doubt = "a picture larger than any label" if size > MAX_DATA else ""
        self._line.clear()
        head = Command(name, words, self._start, b" ".join(words), doubt=doubt)
        self.wants = size * 2 if self._hex else size
        if self.keep and size:
            self._held = head
        else:
            out.append(head)

    def _finish_line(self, out: list[Command], end: bytes) -> None:
        """`_line`, without its end, is complete."""
        line, long = bytes(self._line), self._long or len(self._line) > LINE
        self._line.clear()
        self._long = False
        doubt = f"a line of more than {LINE:,} bytes" if long else ""
        if end == b"\r":
            doubt = doubt or "a carriage return without a line feed"
        kept = line if self.keep else line[: HEAD * 2]
        words = tuple(kept.split()[:64])
        if self._block:
            if words[:1] and words[0] in self._block:
                self._block = ()
            elif words[:1] and (words[0] == b"!" or _MAY_BE_PICTURE.match(line) or _BINARY.match(line)):
                doubt = doubt or "a line of text that is a command elsewhere"
            out.append(Command("", (), self._start, kept, doubt=doubt))
            return
        if words:
            self._begin(words, kept, doubt, out)

    def _begin(self, words: tuple[bytes, ...], line: bytes, doubt: str, out: list[Command]) -> None:
        """A line of command; sessions and blocks are minded."""
        if words[0][:1] == b"!" and len(words[0]) > 1:
            words = (b"!", words[0][1:], *words[1:])
        name = words[0].decode("latin-1")
        if name == "!" and words[1:]:
            if not words[1].isdigit():
                name, words = "! " + words[1].decode("latin-1"), words[1:]
            self.session = {"! UTILITIES": "UTILITIES", "! U": "U", "!": "!"}.get(name, self.session)
        elif name.upper() in ("PRINT", "ABORT", "END", "QUIT"):
            self.session = ""
        elif words[0] in _BLOCKS:
            self._block = _BLOCKS[words[0]]
        elif words[0] in (b"B", b"BARCODE", b"VB", b"VBARCODE") and len(words) > 1 and words[1] in _BLOCKS:
            self._block = _BLOCKS[words[1]]
        elif _PICTURE.fullmatch(words[0]):
            doubt = doubt or "a picture that is not followed by its data"
        text = line[line.find(words[0]) + len(words[0]) :].strip(b" ")
        out.append(Command(name, words[1:], self._start, text, doubt=doubt))
