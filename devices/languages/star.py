"""Star raster, what Star's receipt printers take in Star mode; the TSP100 takes nothing else.

Facts are from the STAR Line Mode Command Specifications (Star Micronics), chapter "Raster Graphics", named by command.
"""

from __future__ import annotations

import re
from typing import Literal

from devices.contracts import PLAIN, Bitmap, Language, Media, Tuning
from devices.strips import inked, lines, widths

MAX_WIDTH = 65_535 * 8  # dots; b n1 n2 counts bytes
DPI = 203  # of all Star receipt printers in this mode

_ENTER, _QUIT = b"\x1b*rA", b"\x1b*rB"
_CONTINUOUS = b"\x1b*rP0\0"  # the page is as long as what is printed
_EXECUTE = b"\x1b\x0c\x04"  # ESC FF EOT
_NOTHING = 1  # ESC * r E: print what is there; no feed to the cutter, no cut
# ESC * r E with the feed to the cutter, and without: the feed is then given in mm. 0 is what the printer is set to.
_CUTS = {"auto": (0, 12), "partial": (13, 12), "full": (9, 8), "none": (3, 1)}


class Star:
    """Raster mode with one row of dots after the other, for each page. The cut comes from end_of()."""

    name = "star"
    copies_in_language = False

    def encode(self, page: Bitmap, *, copies: int = 1, media: Media | None = None, tuning: Tuning = PLAIN) -> bytes:
        """The page in raster mode, `copies` times. Entering it brings margins and page length to what is known.

        Raises ValueError for a page wider than `media`, the rest of which the printer would throw away.
        """
        if copies < 1:
            raise ValueError(f"at least 1 copy, not {copies:,}")
        widest = media.width if media else MAX_WIDTH
        if page.width > widest:
            raise ValueError(f"the page is {page.width:,} dots wide, the paper only {widest:,}")
        return (_ENTER + _CONTINUOUS + _after(_NOTHING) + _rows(page) + _QUIT) * copies

    def end_of(self, what: Literal["page", "copy", "job"], tuning: Tuning = PLAIN, media: Media | None = None) -> bytes:
        """Feed and cut, where tuning.cut_each says `what`. "auto" is what the printer is set to; "none" feeds only."""
        if what != tuning.cut_each:
            return b""
        fed, bare = _CUTS[tuning.cut]
        if tuning.feed_mm is None:
            return _ENTER + _CONTINUOUS + _after(fed) + _EXECUTE + _QUIT
        dots = Media(media.dpi if media else DPI, 0).dots(tuning.feed_mm)
        return _ENTER + _CONTINUOUS + _after(bare) + _down(dots) + _EXECUTE + _QUIT

    def sniff(self, data: bytes) -> bool:
        """True for ESC * r A or ESC * r R (initialize), after an optional ESC @."""
        return re.match(rb"\A[\s\0]*+(?:\x1B@)?\x1B\*r[AR]", data[:1024]) is not None


def _after(mode: int) -> bytes:
    """ESC * r E n NUL: what is done at the end of a document."""
    return b"\x1b*rE%d\0" % mode


def _down(dots: int) -> bytes:
    """ESC * r Y n NUL: so many rows further."""
    return b"\x1b*rY%d\0" % dots if dots > 0 else b""


def _rows(page: Bitmap) -> bytes:
    """b n1 n2 data for every row, up to its last black dot; ESC * r Y for white rows, where it is shorter.

    A blank page has one row of white dots, so that it is a page.
    """
    heads = [b"b%c%c" % (size % 256, size // 256) for size in range(page.stride + 1)]
    heads[0] = b"b\1\0\0"  # a white row
    rows, y = [heads[len(line)] + line for line in lines(page)], 0
    out = []
    for top, end in inked(widths(page), 1) or [(0, 1)]:
        out += [_down(top - y), *rows[top:end]]
        y = end
    return b"".join([*out, _down(page.height - y)])


LANGUAGE: Language = Star()
