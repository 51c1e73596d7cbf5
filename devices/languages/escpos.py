"""ESC/POS, the language of Epson's receipt printers and of everybody who imitates them. A page goes as a picture.

Facts are from Epson's ESC/POS Command Reference, named by command. A raster command has no compression, so bytes are
saved by what it need not say: each strip is as wide as its widest row, and white paper is a strip one byte wide. That
is exact on every printer, while ESC J counts in units that differ (1/203 inch here, 1/360 inch there). White paper at
the left is left out (GS L) only where the profile vouches for it: not every clone moves its pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

from devices.contracts import PLAIN, Bitmap, Language, Media, Tuning
from devices.errors import PageTooWide
from devices.profiles import Profile, profile
from devices.strips import edges, grid, inked, widths

_INITIALIZE = b"\x1b@"
_HEADER = {"gs-v-0": 8, "gs-paren-l": 22}  # bytes a strip costs beside its dots
_WORTH = 40  # bytes another strip has to save: each is a moment in which a slow printer stops
_STEP = 12  # rows: half a character
_BAND = 24  # dots, the height of ESC * in its 24-dot modes

Box = tuple[int, int, int, int]
"""Part of a page: first row, row behind the last, first byte of a row, byte behind the last (0: white paper)."""


class EscPos:
    """ESC @ and the page in strips that follow each other without a gap. The cut comes from end_of()."""

    name = "escpos"
    copies_in_language = False

    def encode(self, page: Bitmap, *, copies: int = 1, media: Media | None = None, tuning: Tuning = PLAIN) -> bytes:
        """ESC @ and one picture, `copies` times. tuning.profile: a name of devices.profiles.

        ESC @ brings margin, alignment and line spacing to what is known; it leaves the printer's memory as it is. With
        ESC * the page is filled up to a multiple of 24 rows. Raises PageTooWide.
        """
        if copies < 1:
            raise ValueError(f"at least 1 copy, not {copies:,}")
        printer = profile(tuning.profile)
        if page.width > printer.dots:
            raise PageTooWide(
                f"the page is {page.width:,} dots wide, and the head of the profile {printer.name!r} has"
                f" {printer.dots:,} ({printer.dots / printer.dpi * 25.4:.0f} mm at {printer.dpi} dpi)"
            )
        return (_INITIALIZE + _picture(page, printer)) * copies

    def end_of(self, what: Literal["page", "copy", "job"], tuning: Tuning = PLAIN, media: Media | None = None) -> bytes:
        """Feed to the cutter and cut, where tuning.cut_each says `what`; where nothing cuts, feed to the edge.

        GS V 65 and 66 feed as far as the cutter is away in this printer, unless tuning.feed_mm says how far.
        """
        if what != tuning.cut_each:
            return b""
        printer = profile(tuning.profile)
        cut = printer.cut if tuning.cut == "auto" else tuning.cut
        if printer.cut_command == "GS V" and cut != "none" and tuning.feed_mm is None:
            return b"\x1dV%c\0" % (65 if cut == "full" else 66)
        dpi = media.dpi if media else printer.dpi
        rows = printer.feed_dots if tuning.feed_mm is None else round(tuning.feed_mm * dpi / 25.4)
        return _feed(rows, printer) + _CUTS[printer.cut_command, cut]

    def sniff(self, data: bytes) -> bool:
        """True for ESC @ (initialize), or a command that only receipt printers have: GS v 0, GS (, ESC !, ESC a ...

        Brother rasters and Star rasters begin with ESC @ as well, and say so in the next command.
        """
        return _BEGINNING.match(data[:1024]) is not None


_CUTS = {
    ("GS V", "full"): b"\x1dV\0",
    ("GS V", "partial"): b"\x1dV\1",
    ("GS V", "none"): b"",
    ("ESC i", "full"): b"\x1bi",
    ("ESC i", "partial"): b"\x1bm",
    ("ESC i", "none"): b"",
}


def _feed(rows: int, printer: Profile) -> bytes:
    """So many rows of white paper. The server asks for it too, which has no numpy."""
    if printer.raster == "esc-star":
        return b"\x1b3%c\x1b*!\1\0\0\0\0%s" % (_BAND, b"\n" * -(-rows // _BAND)) if rows > 0 else b""
    out, most = b"", printer.strip_rows
    for y in range(0, rows, most):
        before, behind = _SAY[printer.raster](1, min(most, rows - y))
        out += before + bytes(min(most, rows - y)) + behind
    return out


def _picture(page: Bitmap, printer: Profile) -> bytes:
    """The page in the profile's raster command."""
    if printer.raster == "esc-star":
        return _columns(page)
    say, cost = _SAY[printer.raster], _HEADER[printer.raster] + _WORTH
    dots, out, margin = grid(page), [], 0
    for top, end, left, right in _strips(page, printer, cost):
        if right and left != margin:
            out.append(_margin(left))
            margin = left
        before, behind = say(max(right - left, 1), end - top)
        out += (before, dots[top:end, left:right].tobytes() if right else bytes(end - top), behind)
    if margin:
        out.append(_margin(0))
    return _without_real_time_commands(b"".join(out))


def _strips(page: Bitmap, printer: Profile, cost: int) -> Iterator[Box]:
    """The page from top to bottom without a gap, in strips as high as the profile allows.

    Neighboring steps of rows go into one strip as long as two would not be at least `cost` bytes shorter. A step is 12
    rows of a part with ink, or the white paper between two parts.
    """
    import numpy as np

    used, tops = widths(page), [0]
    for top, end in inked(used, 2 * cost // page.stride):
        tops += [*range(top, end, _STEP), end][not top :]
    if tops[-1] == page.height:
        tops.pop()
    sides = edges(page, tops) if printer.margins else ([0] * len(tops), np.maximum.reduceat(used, tops).tolist())
    for top, end, left, right in _merged(zip(tops, [*tops[1:], page.height], *sides, strict=True), cost):
        for start in range(top, end, printer.strip_rows):
            yield start, min(end, start + printer.strip_rows), left, right


def _merged(steps: Iterable[Box], cost: int) -> list[Box]:
    """Higher boxes, as wide as the widest in each, from those that lie right below one another."""
    boxes: list[Box] = []
    for top, end, left, right in steps:
        while boxes:
            first, _, begin, across = boxes[-1]
            least, most = min(left, begin), max(right, across)
            parted = (top - first) * (across - begin) + (end - top) * (right - left)
            if (end - first) * (most - least) - parted >= cost:
                break
            top, left, right = first, least, most
            boxes.pop()
        boxes.append((top, end, left, right))
    return boxes


def _margin(across: int) -> bytes:
    """GS L nL nH: where a picture begins, in dots, of which Epson's printers have one to a horizontal motion unit."""
    return b"\x1dL" + (across * 8).to_bytes(2, "little")


@lru_cache(4096)
def _raster(across: int, height: int) -> tuple[bytes, bytes]:
    """GS v 0 m xL xH yL yH: x bytes across, y rows."""
    return b"\x1dv0\0%c%c%c%c" % (across % 256, across // 256, height % 256, height // 256), b""


@lru_cache(4096)
def _graphics(across: int, height: int) -> tuple[bytes, bytes]:
    """GS ( L <fn 112>, which stores a picture (a 48: one bit a dot, c 49: color 1), and <fn 50>, which prints it.

    x counts dots here. No profile has strips that would need GS 8 L, the same with a length of four bytes.
    """
    size, width = across * height + 10, across * 8
    place = b"0p0\1\x011%c%c%c%c" % (width % 256, width // 256, height % 256, height // 256)
    return b"\x1d(L%c%c%s" % (size % 256, size // 256, place), b"\x1d(L\2\x0002"


_SAY = {"gs-v-0": _raster, "gs-paren-l": _graphics}  # bytes across and rows -> what stands before the dots, and behind


def _columns(page: Bitmap) -> bytes:
    """ESC 3 24, then bands of ESC * 33 nL nH: n columns of 24 dots each, three bytes from top to bottom."""
    import numpy as np

    height = -(-page.height // _BAND) * _BAND
    packed = np.frombuffer(page.rows.ljust(height * page.stride, b"\0"), np.uint8).reshape(height, page.stride)
    dots = np.unpackbits(packed, axis=1, count=page.width)
    out = b"\x1b3%c" % _BAND
    for number, band in enumerate(dots.reshape(-1, _BAND, page.width)):
        data = _without_real_time_commands(np.packbits(band.T, axis=1).tobytes()).rstrip(b"\0")
        count = -(-len(data) // 3) or (number == 0)  # a page is never line feeds alone
        if count:
            out += b"\x1b*!%c%c%s" % (count % 256, count // 256, data.ljust(count * 3, b"\0"))
        out += b"\n"
    return out


def _without_real_time_commands(data: bytes) -> bytes:
    """`data` with one more black dot wherever a printer would take dots for a command.

    Epson's printers obey DLE DC4 (open the drawer, turn off, clear the buffer) the moment it arrives, inside a picture
    too; the reference says so in the notes to each of its functions. A page made for it would open the drawer.
    """
    if data.rfind(b"\x10\x14") < 0:  # quicker than the expression
        return data
    return _REAL_TIME.sub(lambda found: b"\x10\x15" + found[0][2:], data)


_REAL_TIME = re.compile(rb"\x10\x14(?:\x01[\0\x01][\x01-\x08]|\x02\x01\x08|\x08\x01\x03\x14\x01\x06\x02\x08)")

_BEGINNING = re.compile(
    rb"\A[\s\0]*+(?!(?:\x1B@[\0]*+)?\x1Bi[aAdKMSUz!])(?!(?:\x1B@)?\x1B\*r[AR])"  # Brother, Star
    rb"(?:\x1B@|\x1Dv0[\0-\x030-3]|\x1D\([A-Za-z]|\x1D8L|\x1B![\0-\xFF]|\x1Ba[\0-\x020-2]|\x1Bt[\0-\xFF]"
    rb"|\x1Cp[\x01-\xFF][\0-\x030-3]|\x10\x04[\x01-\x08])"
)

LANGUAGE: Language = EscPos()
