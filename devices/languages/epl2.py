"""EPL2, the page mode of Eltron's and Zebra's older desktop printers (LP 2824, LP 2844 ...) and of who imitates them.

Facts are from the EPL Programming Guide (Zebra 14245L) and the EPL2 Programmer's Manual (Zebra 980352), named by
command. One command a line; most settings are kept in flash memory, which the printer writes only when they change.
"""

from __future__ import annotations

import re
from typing import Literal

from devices.contracts import PLAIN, Bitmap, Language, Media, Tuning
from devices.strips import bottom, cropped, strips

MAX_COPIES = 65_535  # P, p1
MAX_SIDE = 65_535  # dots; Q, p1
GAPS = {False: (16, 240), True: (18, 240)}  # dots; Q, p2, at 203 dpi and at 300 dpi
GAP_MM = 3.0  # the gap of the guide's examples, where none is told
_OPTIONS = {"tear-off": b"O\n", "peel-off": b"OP\n", "cutter": b"OC\n"}
_INVERT = bytes(255 - byte for byte in range(256))


class Epl2:
    """`N`, a `GW` for each inked part of the page, `P`."""

    name = "epl2"
    copies_in_language = True

    def encode(self, page: Bitmap, *, copies: int = 1, media: Media | None = None, tuning: Tuning = PLAIN) -> bytes:
        """One label. copies: labels, 1 to 65,535 (P).

        q, the width of the label, comes from `media` where it is known. Q, its length, is said where it is known how
        the printer finds the next label (continuous media, tracking, gap_mm); else the printer's AutoSense stays.
        ZT takes back the ZB of other programs' labels, which turned them upside down. tear_off is not said: fB is
        written into flash memory every time, which lasts for 100,000 times. Raises ValueError for what EPL2 cannot say.
        """
        if not 1 <= copies <= MAX_COPIES:
            raise ValueError(f"EPL2 prints 1 to {MAX_COPIES:,} copies (P), not {copies:,}")
        page = _on_label(page, media)
        set_up = _width(media) + _length(page, media, tuning) + _tuned(tuning)
        # The empty line ends whatever came before (N: "always send a line feed prior to the N command").
        return b"\n%sZT\nN\n%sP%d\n" % (set_up, _graphics(page), copies)

    def end_of(self, what: Literal["page", "copy", "job"], tuning: Tuning = PLAIN, media: Media | None = None) -> bytes:
        """Nothing: a cutter is told by O."""
        return b""

    def sniff(self, data: bytes) -> bool:
        """True for lines of commands, with `N` (clear the image buffer) or `q` (width) next to another command."""
        return _BEGINNING.match(data[:1024]) is not None


def quote(text: str, code_page: str = "cp437") -> bytes:
    r"""`text` as a "DATA" parameter, in quotes, that cannot end before its end (A, B, b).

    A backslash goes before quotes and backslashes; the ^ of ^@, ^ee and ^default, which are obeyed anywhere, control
    characters and what the code page (a name Python knows, the one that I has chosen) has no single byte for become
    `?`. Raises ValueError for an unknown code page.
    """
    raw = re.sub(rb"\^(?=@|ee|default)", b"?", plain(text, code_page))
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", raw) + b'"'


def plain(text: str, code_page: str) -> bytes:
    """`text` in a code page of single bytes; `?` for control characters and for what it has no byte for.

    Raises ValueError for an unknown code page.
    """
    try:
        codes = [character.encode(code_page, "replace") for character in text]
    except LookupError:
        raise ValueError(f"{code_page!r} is no code page that is known here") from None
    return b"".join([code if len(code) == 1 and code[0] >= 32 and code[0] != 127 else b"?" for code in codes])


def _on_label(page: Bitmap, media: Media | None) -> Bitmap:
    """The part of the page that lies on the label: a picture over its border is an error to the printer (02)."""
    if media:
        page = cropped(page, _rounded(media.width), media.height or page.height)
    if max(page.width, page.height) > MAX_SIDE:
        raise ValueError(f"EPL2 has labels of at most {MAX_SIDE:,} dots (q, Q), not {page.width:,} x {page.height:,}")
    return page


def _rounded(width: int) -> int:
    """Up to whole bytes, which GW is made of."""
    return (width + 7) // 8 * 8


def _width(media: Media | None) -> bytes:
    """q: also takes back an R of somebody else's job, which would move the picture."""
    return b"q%d\n" % _rounded(media.width) if media else b""


def _length(page: Bitmap, media: Media | None, tuning: Tuning) -> bytes:
    """Q: the label's length and its gap or black line; on continuous media what is fed after the last black dot."""
    tracking = tuning.tracking or ("continuous" if media and media.height is None else None)
    if tracking == "continuous":
        return b"Q%d,0\n" % (page.height - max(1, bottom(page)))
    if tracking is None and tuning.gap_mm is None:
        return b""
    length = (media.height if media else None) or page.height
    mark = b"B%d+0" if tracking == "mark" else b"%d"
    return b"Q%d,%s\n" % (length, mark % _gap(tuning, media))


def _gap(tuning: Tuning, media: Media | None) -> int:
    """Dots of the gap or of the black line."""
    dpi = media.dpi if media else 203
    least, most = GAPS[dpi >= 300]
    dots = Media(dpi, 0).dots(GAP_MM if tuning.gap_mm is None else tuning.gap_mm)
    if not least <= dots <= most:
        raise ValueError(f"EPL2 takes gaps and black lines of {least} to {most} dots (Q), not {dots}: set gap_mm")
    return dots


def _tuned(tuning: Tuning) -> bytes:
    """S, D and O, where they are asked for. O leaves no option on but the one it names."""
    text = b""
    if tuning.speed is not None:
        if tuning.speed not in range(7):
            raise ValueError(f"EPL2's speed is a whole number from 0 to 6 (S), not {tuning.speed:g}")
        text += b"S%d\n" % tuning.speed
    if tuning.darkness is not None:
        if not 0 <= tuning.darkness <= 15:
            raise ValueError(f"EPL2's darkness goes from 0 to 15 (D), not {tuning.darkness}")
        text += b"D%d\n" % tuning.darkness
    if tuning.mode is not None:
        if tuning.mode not in _OPTIONS:
            raise ValueError(f"EPL2 has no {tuning.mode} mode (O), only {', '.join(_OPTIONS)}")
        text += _OPTIONS[tuning.mode]
    return text


def _graphics(page: Bitmap) -> bytes:
    """GWx,y,bytes,rows,data: 1 is white here, in the padding dots too. A blank page gets one white byte."""
    return b"".join([
        b"GW%d,%d,%d,%d,%s\n" % (strip.x * 8, strip.y, strip.stride, strip.height, strip.rows.translate(_INVERT))
        for strip in strips(page)
    ]) or b"GW0,0,1,1,\xff\n"  # fmt: skip


_COMMAND = (
    rb"(?:N|q\d{1,4}|Q\d{1,5}(?:,[B\d]?\d*(?:[+-]\d+)?)?|R\d+,\d+|S\d|D\d\d?|Z[TB]|O[A-Z]?[b\d]{0,3}|JF|JB|UN|US|UQ|W[NY]|EPL2|\."
    rb"|f\d+|r[NY]|I\d,\w{1,2}(?:,\d{3})?|[AB]\d+,\d+,[0-3],[^\r\n]*|b\d+,\d+,[^\r\n]*|L[OEW]\d+,\d+,\d+,\d+"
    rb"|LS\d+,\d+,\d+,\d+,\d+|X\d+,\d+,\d+,\d+,\d+|GG\d+,\d+,[^\r\n]*|G[KM]\"[^\r\n]*|F[KRS]\"[^\r\n]*|;[^\r\n]*"
    rb"|P[A\d]?\d*(?:,\d+)?)"
)
_END = rb"[ \t]*+(?:;[^\r\n]*+)?\r?\n\s*+"  # possessive: lines that do not match must not be tried in every way
_BEGINNING = re.compile(
    rb"\A[\s\0]*+(?:" + _COMMAND + _END + rb")*?"
    rb"(?:N|q\d{1,4})" + _END + rb"(?:GW\d+,\d+,\d+,\d+(?:,|\r?\n)|" + _COMMAND + rb"[ \t]*+(?:[;\r\n]|\Z))"
)

LANGUAGE: Language = Epl2()
