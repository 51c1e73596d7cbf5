"""How receipt printers are asked how they are: DLE EOT 1 to 4, answered at once, a byte each. Pure.

Bits are from Epson's ESC/POS Command Reference: DLE EOT, GS a (ASB) and GS ( H <function 48>. The fixed bits tell an
answer from everything else a receipt printer says: DLE EOT xx1xx10 in its lower bits, the first byte of ASB 0xx1xx00,
its other three 0xx0xxxx, XON and XOFF 11 and 13 (hexadecimal), blocks from a header of their own to a NUL. What is left
over makes the whole unreadable, because a printable character can look like an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from devices.contracts import BLOCKING, Reason, Status, Talk

Bits = tuple[tuple[int, Reason, str], ...]

_PRINTER: Bits = (
    (0x08, Reason.PAUSED, "it is offline"),  # it takes nothing until somebody has been there
    (0x20, Reason.OTHER, "it waits to be switched online"),
    (0x40, Reason.OTHER, "its feed button is pressed"),
)
_OFFLINE: Bits = (
    (0x04, Reason.COVER_OPEN, "the cover is open"),
    (0x08, Reason.OTHER, "paper is being fed with the feed button"),
    (0x20, Reason.MEDIA_EMPTY, "the paper has run out"),
    (0x40, Reason.OTHER, "it reports an error"),
)
_ERRORS: Bits = (
    (0x04, Reason.OTHER, "it reports a mechanical error"),
    (0x08, Reason.CUTTER_ERROR, "the cutter is jammed"),
    (0x20, Reason.OTHER, "it reports an error that needs service"),
    (0x40, Reason.OVERHEATED, "the print head is too hot, or its voltage is wrong"),
)
_PAPER: Bits = (
    (0x0C, Reason.MEDIA_LOW, "the paper is nearly used up"),
    (0x60, Reason.MEDIA_EMPTY, "there is no paper"),
)
_QUESTIONS: dict[str, tuple[bytes, Bits]] = {
    "DLE EOT 1": (b"\x10\x04\x01", _PRINTER),
    "DLE EOT 2": (b"\x10\x04\x02", _OFFLINE),
    "DLE EOT 3": (b"\x10\x04\x03", _ERRORS),
    "DLE EOT 4": (b"\x10\x04\x04", _PAPER),
}
_AUTOMATIC: tuple[Bits, ...] = (
    (*_PRINTER[:1], (0x20, Reason.COVER_OPEN, "the cover is open"), (0x40, *_OFFLINE[1][1:])),
    (
        (0x01, *_PRINTER[1][1:]), (0x02, *_PRINTER[2][1:]), (0x04, *_ERRORS[0][1:]), (0x08, *_ERRORS[1][1:]),
        (0x20, *_ERRORS[2][1:]), (0x40, *_ERRORS[3][1:]),
    ),
    ((0x03, *_PAPER[0][1:]), (0x0C, *_PAPER[1][1:])),
)  # fmt: skip

# XON and XOFF may stand anywhere. A block: GS I (5F), GS ( H (37) and others of their kind, up to a NUL.
_FLOW = bytes((0x11, 0x13))
_OTHERS = re.compile(rb"[\x37\x3B\x3D\x53\x5F][\x20-\x7E]{1,100}\0")
_FIRST, _NEXT = (re.escape(bytes(b for b in range(128) if b & mask == fixed)) for mask, fixed in ((147, 16), (144, 0)))
_ASB = re.compile(b"[%s][%s]{3}" % (_FIRST, _NEXT))
_PROOF = re.compile(r"GS \( H ([\x20-\x7E]{4})")


class EscPos:
    """DLE EOT 1 to 4. A printer that answers none of them has no way back, or is no receipt printer.

    GS ( H, whose answer comes when all before it is printed, is not among the questions: the reference does not say
    what printers do that are older than it, and some print it. For those whose profile says process_id, ask
    `proof(n)`. Maintenance counters (GS g 2) are left out for the same reason.
    """

    questions = tuple(_QUESTIONS)
    asleep: tuple[str, ...] = ()

    def ask(self, question: str) -> bytes:
        """The bytes of one of `questions`, or of a proof(). Raises KeyError for any other."""
        if found := _PROOF.fullmatch(question):
            return b"\x1d(H\x06\x0000" + found[1].encode()
        return _QUESTIONS[question][0]

    def read(self, question: str, heard: bytes) -> Status | None:
        """The answer to `question`, when it is there and nothing else could be meant.

        Two answers that differ (one may be late, to an older question) are none.
        """
        if found := _PROOF.fullmatch(question):
            return Status(idle=True) if b"\x37\x22" + found[1].encode() + b"\0" in heard else None
        if question not in _QUESTIONS:
            return None
        left = _OTHERS.sub(b"", heard.translate(None, _FLOW))
        answers = set(_ASB.sub(b"", left))
        if len(answers) != 1:
            return None
        return _status(answers.pop(), _QUESTIONS[question][1], 0x93, 0x12)

    def merge(self, told: Mapping[str, Status]) -> Status:
        """All reasons; a cause makes "offline" and "an error" superfluous, and an open cover an error by itself."""
        reasons = frozenset[Reason]().union(*(status.reasons for status in told.values()))
        if Reason.COVER_OPEN in reasons:
            reasons -= {Reason.OVERHEATED}
        if reasons & BLOCKING - {Reason.PAUSED}:
            reasons -= {Reason.PAUSED, Reason.OTHER}
        if Reason.MEDIA_EMPTY in reasons:
            reasons -= {Reason.MEDIA_LOW}
        texts = [text for status in told.values() for text in status.text.split("; ") if _TOLD.get(text) in reasons]
        idle = next((status.idle for status in told.values() if status.idle is not None), None)
        return Status(reasons, idle=idle, text="; ".join(_one_each(texts)))


_TOLD = {text: reason for bits in (_PRINTER, _OFFLINE, _ERRORS, _PAPER) for _, reason, text in bits}


def proof(number: int) -> str:
    """A question that is answered when everything sent before it is printed. number: so that no old answer counts.

    Status.idle is True then. GS ( H <function 48> with a process ID of four characters.
    """
    return f"GS ( H {number % 10_000:04d}"


def automatic(heard: bytes) -> Status | None:
    """The last whole Automatic Status Back (GS a) in `heard`: four bytes that come by themselves. None without one.

    Anything else in `heard` than flow control, blocks, and answers to DLE EOT makes it unreadable.
    """
    left = _OTHERS.sub(b"", heard.translate(None, _FLOW))
    found = _ASB.findall(left)
    if not found or any(byte & 0x93 != 0x12 for byte in _ASB.sub(b"", left)):
        return None
    parts = [
        _status(byte, bits, 0x93 if place == 0 else 0x90, 0x10 if place == 0 else 0)
        for place, (byte, bits) in enumerate(zip(found[-1], _AUTOMATIC, strict=False))
    ]
    if None in parts:
        return None
    return TALK.merge({str(place): part for place, part in enumerate(parts) if part is not None})


def _status(byte: int, bits: Bits, mask: int, fixed: int) -> Status | None:
    """What a byte says; None when its fixed bits are wrong, or when of two bits that go together only one is set."""
    if byte & mask != fixed:
        return None
    told = [(reason, text) for mask, reason, text in bits if byte & mask == mask]
    if any(byte & mask not in (0, mask) for mask, _, _ in bits):
        return None
    return Status(frozenset(reason for reason, _ in told), text="; ".join(text for _, text in told))


def _one_each(texts: list[str]) -> list[str]:
    """Without repetitions, and without a second way to say that there is no paper."""
    found: dict[Reason, str] = {}
    others: dict[str, None] = {}
    for text in texts:
        if _TOLD[text] is Reason.OTHER:
            others[text] = None
        else:
            found.setdefault(_TOLD[text], text)
    return [*found.values(), *others]


TALK: Talk = EscPos()
