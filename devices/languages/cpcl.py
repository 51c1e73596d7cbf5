"""CPCL, the language of Zebra's mobile printers (Comtec) and of many portable printers that imitate them.

Facts are from the Mobile Printing Systems CPCL Programming Manual (Zebra) and the CPCL Programming Guide for Link-OS
printers (Zebra P1073699), named by command. Every line ends in CR LF.
"""

from __future__ import annotations

import re
from typing import Literal

from devices.contracts import PLAIN, Bitmap, Language, Media, Tuning
from devices.languages.epl2 import plain
from devices.strips import bottom, strips

MAX_COPIES = 1_024  # the quantity of the command start line
MAX_SIDE = 65_535  # dots
EDGE_MM = 1.5  # a label's height is said that much less, so that printing ends before the gap (command start line)
_TRACKING = {"gap": b"GAP-SENSE\r\n", "mark": b"BAR-SENSE\r\n", "continuous": b"", None: b""}


class Cpcl:
    """One label session: `! 0 200 200 height quantity`, a `CG` for each inked part of the page, `PRINT`.

    CG sends eight dots a byte where EG takes two: the dots go as they are, so a serial line needs hardware flow control
    (or none), not XON/XOFF.
    """

    name = "cpcl"
    copies_in_language = True

    def encode(self, page: Bitmap, *, copies: int = 1, media: Media | None = None, tuning: Tuning = PLAIN) -> bytes:
        """One label session. copies: labels, 1 to 1,024 (the quantity).

        FORM, which feeds to the next label, is left out on continuous media. tuning: darkness is TONE, -99 to 200;
        speed is the number of SPEED, 0 to 5; the rest CPCL cannot say with a job. Raises ValueError.
        """
        if not 1 <= copies <= MAX_COPIES:
            raise ValueError(f"CPCL prints 1 to {MAX_COPIES:,} copies, not {copies:,}")
        if max(page.width, page.height) > MAX_SIDE:
            raise ValueError(f"CPCL has labels of at most {MAX_SIDE:,} dots, not {page.width:,} x {page.height:,}")
        dpi = _resolution(media)
        start = b"! 0 %d %d %d %d\r\n" % (dpi, dpi, _height(page, media), copies)
        width = b"PAGE-WIDTH %d\r\n" % (media.width if media else page.width)
        form = b"" if _continuous(media, tuning) else b"FORM\r\n"
        return b"%s%s%s%s%sPRINT\r\n" % (start, width, _tuned(tuning), _graphics(page), form)

    def end_of(self, what: Literal["page", "copy", "job"], tuning: Tuning = PLAIN, media: Media | None = None) -> bytes:
        """Nothing: these printers have a tear bar."""
        return b""

    def sniff(self, data: bytes) -> bool:
        """True for `! offset dpi dpi height quantity`, `! UTILITIES`, or `! U1` with a command that is not SGD's.

        ZPL printers take `! U1 setvar`, `getvar` and `do` as well, so those say nothing about the language.
        """
        return _BEGINNING.match(data[:1024]) is not None


def text_line(text: str, code_page: str = "cp850") -> bytes:
    """`text` as the data of a TEXT or BARCODE line: it cannot begin another line.

    Control characters, line ends among them, and what the code page (a name Python knows) has no single byte for become
    `?`. Raises ValueError for an unknown code page.
    """
    return plain(text, code_page)


def _resolution(media: Media | None) -> int:
    """The manual's 200 for heads of 203 dpi."""
    return media.dpi if media and not 200 <= media.dpi <= 206 else 200


def _continuous(media: Media | None, tuning: Tuning) -> bool:
    """Whether there is no next label to feed to."""
    return tuning.tracking == "continuous" or (tuning.tracking is None and media is not None and media.height is None)


def _height(page: Bitmap, media: Media | None) -> int:
    """Dots of the label; a label with an end is said EDGE_MM shorter unless something is to be printed there."""
    if media is None or media.height is None:
        return page.height
    return max(bottom(page), media.height - media.dots(EDGE_MM), 1)


def _tuned(tuning: Tuning) -> bytes:
    """TONE, SPEED and the sensor, where they are asked for."""
    text = _TRACKING[tuning.tracking]
    if tuning.darkness is not None:
        if not -99 <= tuning.darkness <= 200:
            raise ValueError(f"CPCL's darkness goes from -99 to 200 (TONE), not {tuning.darkness}")
        text += b"TONE %d\r\n" % tuning.darkness
    if tuning.speed is not None:
        if tuning.speed not in range(6):
            raise ValueError(f"CPCL's speed is a whole number from 0 to 5 (SPEED), not {tuning.speed:g}")
        text += b"SPEED %d\r\n" % tuning.speed
    return text


def _graphics(page: Bitmap) -> bytes:
    """CG bytes rows x y data, 1 is black. A blank page gets one white byte."""
    return b"".join([
        b"CG %d %d %d %d %s\r\n" % (strip.stride, strip.height, strip.x * 8, strip.y, strip.rows)
        for strip in strips(page)
    ]) or b"CG 1 1 0 0 \0\r\n"  # fmt: skip


_BEGINNING = re.compile(
    rb"\A[\s\0]*+! ?(?:\d+ +\d+ +\d+ +\d+ +\d+\s|UTILITIES\s|U1 +(?!setvar|getvar|do)[A-Z][A-Z-]+\b)"
)

LANGUAGE: Language = Cpcl()
