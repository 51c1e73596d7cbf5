"""Star raster read back into pictures. STAR Line Mode Command Specifications (Star Micronics), "Raster Graphics".

Drawn: b (a row of dots), ESC * r Y (rows further). Rows of more than one color (k), text, and what else is said outside
of raster mode is named in `Label.undrawn`. The bytes may be hostile: work and memory grow with their length and with
`limit`, never faster.
"""

from __future__ import annotations

import re

from devices.contracts import Bitmap
from devices.errors import BadPrinterData
from devices.readers._label import LIMIT, MAX_DOTS, MAX_LABELS, MAX_SIDE, ROW, Label

_SETTING = re.compile(rb"\x1B\*r([A-Za-z]{1,2})(\d{1,255})?\0?")
_PLAIN = re.compile(rb"[^\x1B]+")
_BARE = frozenset({b"A", b"B", b"C", b"R"})  # ESC * r with nothing behind it


def read(data: bytes, *, limit: int = LIMIT) -> list[Label]:
    """The pages in `data`: a page ends with ESC FF NUL, ESC FF EOT, or where raster mode does.

    A page is as wide as its widest row. limit: bytes of pictures over all pages. Raises BadPrinterData, and nothing
    else, for data that cannot be read or that would unpack to more.
    """
    printer = _Printer(limit)
    at = 0
    while at < len(data):
        at = printer.step(data, at)
    return printer.pages


class _Printer:
    """Raster mode or not, and the rows of the page so far."""

    def __init__(self, limit: int) -> None:
        self.pages: list[Label] = []
        self.limit = limit
        self.left = limit
        self.raster = False
        self.rows: list[bytes] = []
        self.inked = False
        self.undrawn: dict[str, None] = {}

    def step(self, data: bytes, at: int) -> int:
        """Obey the command at `at`. Where the next begins."""
        if found := _SETTING.match(data, at):
            return self._set(found)
        if data.startswith((b"\x1b\x0c\0", b"\x1b\x0c\x04"), at):
            self._end(at)
            return at + 3
        if data.startswith(b"\x1b@", at):
            return at + 2
        if self.raster:
            return self._row(data, at)
        if found := _PLAIN.match(data, at):
            if found[0].strip(b"\0\r\n "):
                self.undrawn["text"] = None
            return found.end()
        letter = data[at + 1 : at + 2]
        self.undrawn[f"ESC {letter.decode()}" if letter.isalnum() and letter.isascii() else "ESC"] = None
        return at + 2

    def _set(self, found: re.Match[bytes]) -> int:
        """ESC * r and a letter. Where it ends: numbers end with NUL."""
        letter = found[1][:1]
        if letter in _BARE:
            if letter == b"A":
                self.raster = True
            elif letter == b"B":
                self._end(found.start())
                self.raster = False
            elif letter == b"C":
                self._forget()
            return found.start() + 4
        if letter == b"Y" and self.raster:
            self._down(min(int((found[2] or b"0")[:9]), MAX_SIDE + 1), found.start())
        return found.end()

    def _row(self, data: bytes, at: int) -> int:
        """b n1 n2 data: a row of dots and on to the next one; k n1 n2 data: without going on; not drawn."""
        kind = data[at : at + 1]
        if kind not in (b"b", b"k") or at + 3 > len(data):
            return at + 1
        end = at + 3 + data[at + 1] + 256 * data[at + 2]
        if end > len(data):
            return len(data)
        if kind == b"k":
            self.undrawn["k"] = None
            return end
        row = data[at + 3 : end]
        if len(row) * 8 > MAX_SIDE:
            raise _bad("b", at, f"a row of {len(row) * 8:,} dots is wider than any paper")
        self._spend(ROW + len(row), "b", at)
        self.rows.append(row)
        self.inked = True
        return end

    def _down(self, dots: int, at: int) -> None:
        self._spend(dots, "ESC * r Y", at)
        if len(self.rows) + dots > MAX_SIDE:
            raise _bad("ESC * r Y", at, f"a page of more than {MAX_SIDE:,} rows is longer than any paper")
        self.rows += [b""] * dots

    def _end(self, at: int) -> None:
        """The page is complete; white paper alone is none."""
        if self.inked or self.undrawn:
            if len(self.pages) == MAX_LABELS:
                raise _bad("ESC * r B", at, f"more than {MAX_LABELS:,} pages; split the job")
            self.pages.append(Label(self._drawn(at) if self.inked else None, 1, tuple(self.undrawn)))
        self._forget()

    def _drawn(self, at: int) -> Bitmap:
        stride, height = max(1, *(len(row) for row in self.rows)), len(self.rows)
        if stride * 8 * height > MAX_DOTS or height > MAX_SIDE:
            raise _bad("b", at, f"a page of {stride * 8:,} x {height:,} dots is too large to read")
        self._spend(stride * height, "b", at)
        return Bitmap(stride * 8, height, b"".join([row.ljust(stride, b"\0") for row in self.rows]))

    def _forget(self) -> None:
        self.rows, self.inked = [], False
        self.undrawn = {}

    def _spend(self, size: int, name: str, at: int) -> None:
        self.left -= size
        if self.left < 0:
            raise _bad(name, at, f"more than {self.limit:,} bytes of pictures to unpack; split the job")


def _bad(name: str, at: int, why: str) -> BadPrinterData:
    return BadPrinterData(f"{name} at byte {at:,}: {why}")
