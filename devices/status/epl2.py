"""How an EPL2 printer is asked how it is: ^ee, "Error Report - Immediate".

EPL Programming Guide (Zebra 14245L), ^ee and US: the answer is a number of two digits, CR, LF. Printers of other makers
may give several numbers, with commas between them (ESim Programmer's Reference, Intermec). An answer has no mark of its
own, and the end of another line may look like one ("R256,00" CR LF, cut off at its beginning), so the question is asked
twice, and only two equal lines in a row are an answer.

UQ answers with the printer's settings, not with its state, so it is not asked; the guide has no label counter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from devices.contracts import Reason, Status, Talk

HEARD = 65_536  # bytes at the end of what was heard that are looked at

_OTHER = {Reason.OTHER}
_CODES: dict[bytes, tuple[set[Reason], str]] = {
    b"00": (set(), ""),
    b"01": (_OTHER, "it did not understand a command"),
    b"02": (_OTHER, "something lay over the border of the label"),
    b"03": (_OTHER, "a barcode has the wrong number of characters"),
    b"04": (_OTHER, "its memory is too small for what it was sent"),
    b"05": (_OTHER, "its memory is divided up wrongly"),
    b"06": (_OTHER, "its serial line has an error"),
    b"07": ({Reason.MEDIA_EMPTY}, "paper or ribbon is used up"),
    b"08": (_OTHER, "a form, picture or font of that name is stored already"),
    b"09": (_OTHER, "a form, picture or font is not stored in it"),
    b"10": (_OTHER, "it was sent variables without a form"),
    b"11": ({Reason.COVER_OPEN}, "the head is open"),
    b"12": ({Reason.PAUSED}, "it is paused, or waits for the label to be taken"),
    b"13": ({Reason.OVERHEATED}, "the head is too hot"),
    b"14": ({Reason.OVERHEATED}, "the motor is too hot"),
    b"50": (set(), "it is printing"),
    b"62": ({Reason.OVERHEATED}, "the head is too hot"),
    b"81": ({Reason.CUTTER_ERROR}, "the cutter is jammed or missing"),
    b"82": ({Reason.MEDIA_NEEDED}, "its sensor does not find the gaps of this media"),
    b"83": (_OTHER, "it met an error of its own"),
    b"84": ({Reason.MEDIA_NEEDED}, "it does not find the gaps or black lines of this media"),
    b"92": ({Reason.PAUSED}, "it is paused"),
}  # 13, 14: US only (mobile printers). 62, 92: ESim
_BUSY = b"50"
_FLOW = bytes((0x11, 0x13))  # XON and XOFF may come at any time
_ANSWERS = re.compile(rb"(?<![0-9,])(\d\d(?:,\d\d){0,9})\r\n\1\r\n")


class Epl2Talk:
    """One question, asked twice."""

    questions: tuple[str, ...] = ("^ee",)
    asleep: tuple[str, ...] = ()

    def ask(self, question: str) -> bytes:
        """The line feed before it ends whatever line was begun."""
        return b"\n^ee\n^ee\n"

    def read(self, question: str, heard: bytes) -> Status | None:
        """Two equal answers that follow each other; the last such pair."""
        pairs = _ANSWERS.findall(heard[-HEARD:].translate(None, _FLOW))
        codes = pairs[-1].split(b",") if pairs else []
        if not codes or any(code not in _CODES for code in codes):
            return None
        reasons = frozenset(reason for code in codes for reason in _CODES[code][0])
        text = ", ".join(_CODES[code][1] for code in codes if _CODES[code][1])
        return Status(reasons=reasons, idle=False if _BUSY in codes else None, text=text)

    def merge(self, told: Mapping[str, Status]) -> Status:
        """There is only one."""
        return next(iter(told.values()), Status())


TALK: Talk = Epl2Talk()
