"""TSPL and TSPL2, the language of TSC label printers and of many without a name (Rollo, Munbyn, Xprinter, HPRT ...).

Facts are from the TSPL/TSPL2 Programming Language manual (TSC Auto ID), named by command. It gives no range for BITMAP;
that a 1 is a white dot there is what every driver relies on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from devices.contracts import PLAIN, Bitmap, Language, Media, Tuning
from devices.strips import Strip, strips

MAX_COPIES = 999_999_999  # PRINT m,n
MAX_WIDTH_MM = 219.5  # SIZE: the widest printer, the TTP-384M
MAX_GAP_MM = 25.4  # GAP, BLINE, OFFSET: one inch
USUAL_GAP_MM = 3.0  # when the settings say "gap" or "mark" and not how high it is
MAX_DENSITY = 15
MAX_SPEED = 18  # inches per second, of the fastest TSC printers; each takes only some

_OBEYED = re.compile(rb"\x1b!")  # bytes.find takes three times as long
_INVERT = bytes(range(255, -1, -1))
_UPRIGHT = b"DIRECTION 0,0\r\nREFERENCE 0,0\r\n"
"""Takes back what other programs' labels left behind: turned, mirrored, with another origin. It holds until then."""

_MODES = {
    "tear-off": b"SET PEEL OFF\r\nSET CUTTER OFF\r\nSET TEAR ON\r\n",
    "peel-off": b"SET TEAR OFF\r\nSET CUTTER OFF\r\nSET PEEL ON\r\n",
    "cutter": b"SET TEAR OFF\r\nSET PEEL OFF\r\nSET CUTTER 1\r\n",
    "rewind": b"SET TEAR OFF\r\nSET PEEL OFF\r\nSET CUTTER OFF\r\nSET REWIND ON\r\n",
}


class Tspl:
    """CLS, BITMAP and PRINT for each page, behind the SIZE of the label."""

    name = "tspl"
    copies_in_language = True

    def encode(self, page: Bitmap, *, copies: int = 1, media: Media | None = None, tuning: Tuning = PLAIN) -> bytes:
        """One label. copies: 1 to 999,999,999 (PRINT 1,n).

        SIZE makes the image buffer as large as the label, so it is said whenever `media` is known, in mm, which every
        firmware understands; on continuous media it is as long as the page. It holds until the next SIZE. Without
        `media` nothing is known of the label, and the printer keeps the size it has.

        tuning: darkness is DENSITY, 0 to 15; speed SPEED; tracking GAP or BLINE with gap_mm (3 mm when not given), or
        GAP 0,0 for continuous; tear_off OFFSET, for which `media` has to be known; mode SET TEAR, PEEL, CUTTER, REWIND,
        which the printer remembers without power. Of these, what is not asked for is not sent. Where the picture lies
        is said in full, whatever other programs' labels left behind (DIRECTION, REFERENCE).
        """
        if not 1 <= copies <= MAX_COPIES:
            raise ValueError(f"TSPL prints 1 to {MAX_COPIES:,} copies (PRINT), not {copies:,}")
        head = _size(page, media) + _tuned(tuning, media)
        return b"%s%sCLS\r\n%sPRINT 1,%d\r\n" % (head, _UPRIGHT, b"".join(_pictures(page)), copies)

    def end_of(self, what: Literal["page", "copy", "job"], tuning: Tuning = PLAIN, media: Media | None = None) -> bytes:
        """Nothing: a cutter is told by SET CUTTER."""
        return b""

    def sniff(self, data: bytes) -> bool:
        """True for `SIZE m,n`, or two lines of commands."""
        return _BEGINNING.match(data[:1024]) is not None


def quote(text: str, code_page: str = "utf-8") -> bytes:
    """`text` as an expression in quotes, for TEXT, BARCODE and QRCODE. code_page: a codec, the one CODEPAGE names.

    A quote within is \\["] (manual, TEXT). Control characters, which no firmware reads alike, and what the code page
    does not have become a question mark. Raises ValueError for a code page that is not known here.
    """
    try:
        raw = text.encode(code_page, "replace").translate(_NO_CONTROLS)
    except LookupError:
        raise ValueError(f"{code_page!r} is no code page that is known here") from None
    return b'"%s"' % raw.replace(b'"', rb'\["]')


_NO_CONTROLS = bytes(0x3F if byte < 0x20 or byte == 0x7F else byte for byte in range(256))


def _size(page: Bitmap, media: Media | None) -> bytes:
    """SIZE in mm, b"" without `media`."""
    if media is None:
        return b""
    if media.width_mm > MAX_WIDTH_MM:
        raise ValueError(f"no TSPL printer is {_mm(media.width_mm)} wide; the widest takes {MAX_WIDTH_MM} mm (SIZE)")
    if page.width > media.width:
        raise ValueError(f"the page is {page.width:,} dots wide, the label only {media.width:,} (SIZE)")
    if media.height is not None and page.height > media.height:
        raise ValueError(f"the page is {page.height:,} dots high, the label only {media.height:,} (SIZE)")
    height = media.height_mm if media.height_mm is not None else page.height * 25.4 / media.dpi
    return f"SIZE {_mm(media.width_mm)},{_mm(height)}\r\n".encode()


def _tuned(tuning: Tuning, media: Media | None) -> bytes:
    """The commands for what `tuning` asks. Raises ValueError for what TSPL has no word for."""
    out = _tracked(tuning)
    if tuning.tear_off is not None:
        if media is None:
            raise ValueError("tear_off is in dots, OFFSET in mm: the label's size and resolution have to be known")
        offset = tuning.tear_off * 25.4 / media.dpi
        out += f"OFFSET {_mm(_within('OFFSET', offset, -MAX_GAP_MM, MAX_GAP_MM))}\r\n"
    if tuning.speed is not None:
        out += f"SPEED {_within('SPEED', tuning.speed, 1, MAX_SPEED):g}\r\n"
    if tuning.darkness is not None:
        out += f"DENSITY {_within('DENSITY', tuning.darkness, 0, MAX_DENSITY):g}\r\n"
    if tuning.mode is not None and tuning.mode not in _MODES:
        raise ValueError(f"TSPL has no {tuning.mode!r} mode; it has {', '.join(_MODES)}")
    return out.encode() + (_MODES[tuning.mode] if tuning.mode else b"")


def _tracked(tuning: Tuning) -> str:
    """GAP or BLINE, "" when nothing is asked."""
    if tuning.tracking is None:
        return ""
    if tuning.tracking == "continuous":
        return "GAP 0 mm,0 mm\r\n"
    command = "GAP" if tuning.tracking == "gap" else "BLINE"
    height = USUAL_GAP_MM if tuning.gap_mm is None else tuning.gap_mm
    return f"{command} {_mm(_within(command, height, 0, MAX_GAP_MM))},0 mm\r\n"


def _within(command: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise ValueError(f"{command} takes {least:g} to {most:g}, not {value:g}")
    return value


def _mm(length: float) -> str:
    """At most three digits behind the point: a thousandth of a mm is less than a dot anywhere."""
    return f"{length:.3f}".rstrip("0").rstrip(".") + " mm"


def _pictures(page: Bitmap) -> Iterator[bytes]:
    """The page as BITMAP commands: what is black on it, strip by strip.

    BITMAP x,y,width in bytes,height,mode,data; mode 0 overwrites. A blank page gets one white byte, so that there is
    something to print.
    """
    for strip in strips(page) or [Strip(0, 0, 1, b"\0")]:
        data = strip.rows.translate(_INVERT)
        for x, y, across, down, start in _harmless(data, strip.stride):
            place = ((strip.x + x) * 8, strip.y + y, across, down)
            yield b"BITMAP %d,%d,%d,%d,0,%s\r\n" % (*place, data[start : start + across * down])


def _harmless(data: bytes, stride: int) -> Iterator[tuple[int, int, int, int, int]]:
    """The picture in parts without ESC ! in them: x and y in bytes and rows, width, height, where it starts in data.

    ESC ! and a letter is obeyed at any time (ESC ! R resets the printer); a printer that was not told to ignore it
    (ESC ! D) may obey it within a picture. On a page of noise one is due every 64 kB.
    """
    y, found = 0, _OBEYED.search(data)
    while found:
        row, column = divmod(found.start(), stride)
        if column == stride - 1:  # from one row to the next
            row += 1
            yield 0, y, stride, row - y, y * stride
        else:
            if row > y:
                yield 0, y, stride, row - y, y * stride
            yield from _cut(data, stride, row)
            row += 1
        y, found = row, _OBEYED.search(data, row * stride)
    if y * stride < len(data):
        yield 0, y, stride, len(data) // stride - y, y * stride


def _cut(data: bytes, stride: int, row: int) -> Iterator[tuple[int, int, int, int, int]]:
    """One row in parts, cut between each ESC and its !."""
    start = row * stride
    ends = [found.start() + 1 for found in _OBEYED.finditer(data, start, start + stride)]
    for at, end in pairwise([start, *ends, start + stride]):
        yield at - start, row, end - at, 1, at


_COMMAND = (
    rb"(?:CLS|HOME|(?:GAP|BLINE|OFFSET|SPEED|DENSITY|REFERENCE|SHIFT)[ ]+-?[\d.]+[^\r\n]*|DIRECTION[ ]+[01][^\r\n]*"
    rb"|SET[ ]+[A-Z]+[^\r\n]*|CODEPAGE[ ]+\w+|(?:TEXT|BAR|BARCODE|BITMAP|BOX|QRCODE)[ ]+\d+,[^\r\n]*"
    rb"|PRINT[ ]+\d+[^\r\n]*)"
)
_BEGINNING = re.compile(
    rb"\A[\s\0]*+(?:SIZE[ ]+[\d.]+[ ]*(?:mm|dot)?[ ]*(?:,[ ]*[\d.]+[ ]*(?:mm|dot)?[ ]*)?(?:\r|\n|\Z)"
    rb"|" + _COMMAND + rb"[ ]*\r?\n\s*" + _COMMAND + rb")"
)

LANGUAGE: Language = Tspl()
