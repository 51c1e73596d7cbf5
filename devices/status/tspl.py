"""How TSPL printers say how they are. TSPL/TSPL2 Programming Language manual (TSC Auto ID), "Status Polling".

ESC ! ? is answered at any time with one byte, by every TSPL printer that answers at all. One byte proves little: a
stray one looks the same. So it is believed only when it is all that was heard, only when it is a value the manual lists
(or one that was seen on a real printer), and it is asked for twice: what one answer says and the other does not is left
out. ESC ! S, from firmware 6.29 on, is answered with a frame of eight bytes, which says more and settles it.

There is no label counter here: ~!@ tells how far the printer has run, in a unit the manual does not name, and only
when the printer is ready. "Ready" means that nothing is being printed now: what it has not read yet it does not see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce

from devices.contracts import Reason, Status, Talk

_BYTE, _AGAIN, _FRAME = "ESC ! ?", "ESC ! ? again", "ESC ! S"
_QUESTIONS = {_BYTE: b"\x1b!?", _AGAIN: b"\x1b!?", _FRAME: b"\x1b!S"}

_HEAD = (Reason.COVER_OPEN, "the head is open")
_JAM = (Reason.MEDIA_JAM, "the paper is jammed")
_PAPER = (Reason.MEDIA_EMPTY, "out of paper")
_RIBBON = (Reason.MARKER_SUPPLY_EMPTY, "out of ribbon")
_PAUSED = (Reason.PAUSED, "paused")
_OTHER = (Reason.OTHER, "another error")

_Fault = tuple[Reason, str]
_BYTES: dict[int, tuple[_Fault, ...]] = {
    0x00: (),
    0x01: (_HEAD,),
    0x02: (_JAM,),
    0x03: (_JAM, _HEAD),
    0x04: (_PAPER,),
    0x05: (_PAPER, _HEAD),
    0x07: (_HEAD,),  # seen, with nothing but the head open; the manual does not list it
    0x08: (_RIBBON,),
    0x09: (_RIBBON, _HEAD),
    0x0A: (_RIBBON, _JAM),
    0x0B: (_RIBBON, _JAM, _HEAD),
    0x0C: (_RIBBON, _PAPER),
    0x0D: (_RIBBON, _PAPER, _HEAD),
    0x10: (_PAUSED,),
    0x20: (),
    0x24: (_PAPER,),  # seen; printing when the paper ran out
    0x40: ((Reason.COVER_OPEN, "the cover is open"),),
    0x80: (_OTHER,),
}
_PRINTING = 0x20

_BUFFER_FULL = 0x08  # of the second byte
_BUSY = frozenset({b"B", b"C", b"F", b"K", b"L", b"P", b"W"})
_ANSWER = re.compile(rb"\x02([@`BCEFKLPW])([@-o])([@-o])([@-o])\x03\r\n")
_MESSAGES: dict[bytes, _Fault | None] = {
    b"@": None,
    b"`": _PAUSED,
    b"B": None,
    b"C": None,
    b"E": _OTHER,
    b"F": None,
    b"K": (Reason.OTHER, "waiting for its print key"),
    b"L": (Reason.LABEL_WAITING, "a label waits to be taken"),
    b"P": None,
    b"W": None,
}
_BITS: tuple[dict[int, _Fault | None], ...] = (
    {
        0x01: (Reason.MEDIA_LOW, "the paper is nearly out"),
        0x02: (Reason.MARKER_SUPPLY_LOW, "the ribbon is nearly out"),
        _BUFFER_FULL: None,
    },
    {
        0x01: (Reason.OVERHEATED, "the print head is too hot"),
        0x02: (Reason.OVERHEATED, "the motor is too hot"),
        0x04: (Reason.OTHER, "the print head is damaged"),
        0x08: (Reason.CUTTER_ERROR, "the cutter is jammed"),
        0x10: (Reason.OTHER, "out of memory"),
    },
    {
        0x01: _PAPER,
        0x02: _JAM,
        0x04: _RIBBON,
        0x08: (Reason.MARKER_SUPPLY_EMPTY, "the ribbon is jammed"),
        0x20: _HEAD,
    },
)


class TsplTalk:
    """ESC ! ? twice, and ESC ! S."""

    questions = tuple(_QUESTIONS)
    asleep: tuple[str, ...] = ()

    def ask(self, question: str) -> bytes:
        """The three bytes. Raises KeyError for another question."""
        return _QUESTIONS[question]

    def read(self, question: str, heard: bytes) -> Status | None:
        """ESC ! ?: the one byte that was heard. ESC ! S: the last whole frame."""
        return _from_frame(heard) if question == _FRAME else _from_byte(heard)

    def merge(self, told: Mapping[str, Status]) -> Status:
        """The frame where there is one. Else what both bytes say; a single byte is never idle."""
        if _FRAME in told:
            return told[_FRAME]
        answers = [told[name] for name in (_BYTE, _AGAIN) if name in told]
        if not answers:
            return Status()
        if len(answers) == 1:
            [only] = answers
            return Status(reasons=only.reasons, idle=False if only.idle is False else None, text=only.text)
        return reduce(_common, answers)


def _from_byte(heard: bytes) -> Status | None:
    if len(heard) != 1 or heard[0] not in _BYTES:
        return None
    faults = _BYTES[heard[0]]
    if heard[0] & _PRINTING:
        return _status(faults, idle=False)
    return _status(faults, idle=None if faults else True)


def _from_frame(heard: bytes) -> Status | None:
    """STX, message, warning, error, error, ETX CR LF: each a character from @ on, whose low bits are the faults."""
    frames = _ANSWER.findall(heard)
    if not frames:
        return None
    message, *words = frames[-1]
    faults = [_MESSAGES[message]]
    for word, bits in zip(words, _BITS, strict=True):
        value = word[0] & 0x3F
        if value & ~sum(bits):
            return None
        faults += [fault for bit, fault in bits.items() if value & bit]
    found = tuple(fault for fault in faults if fault is not None)
    if len(found) > 1:
        found = tuple(fault for fault in found if fault is not _OTHER)  # the words behind it say which
    errors = any(word != b"@" for word in words[1:])
    busy = message in _BUSY or words[0][0] & _BUFFER_FULL
    return _status(found, idle=False if busy else True if message == b"@" and not errors else None)


def _status(faults: tuple[_Fault, ...], idle: bool | None) -> Status:
    return Status(
        reasons=frozenset(reason for reason, _ in faults), idle=idle, text=", ".join(text for _, text in faults)
    )


def _common(one: Status, other: Status) -> Status:
    """What both say."""
    reasons = one.reasons & other.reasons
    idle = one.idle if one.idle == other.idle else None
    text = next((each.text for each in (one, other) if each.reasons == reasons), "")
    return Status(reasons=reasons, idle=idle, text=text)


TALK: Talk = TsplTalk()
