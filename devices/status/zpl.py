"""How ZPL printers are asked how they are: ~HS, ~HQES and the label counter of SGD. Pure.

ZPL II Programming Guide (Zebra P1099958). ~HS: three strings, each STX ... ETX CR LF, of 12, 11 and 2 fields; it is not
answered with the paper or ribbon out, the head open or too hot. ~HQ, query ES: errors and warnings as bits, answered
with the head open too. SGD, odometer.total_label_count: "31084"; labels printed in the printer's life, without feeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from devices.contracts import Reason, Status, Talk

HEARD = 65_536  # bytes at the end of what was heard that are looked at

HOST_STATUS, ERRORS, COUNTER = "~HS", "~HQES", "odometer.total_label_count"

_QUESTIONS = {
    HOST_STATUS: b"~HS\r\n",
    ERRORS: b"~HQES\r\n",
    COUNTER: b'! U1 getvar "odometer.total_label_count"\r\n',
}

_MORE = rb"(?:,[\w.+-]{0,16}){0,6}"  # fields that newer printers and other makers add
_STRINGS = (
    rb"\x02\d{1,3},(?P<b>[01]),(?P<c>[01]),\d{1,5},(?P<e>\d{1,5}),(?P<f>[01]),(?P<g>[01]),(?P<h>[01]),\d{1,3},"
    rb"(?P<j>[01]),(?P<k>[01]),(?P<l>[01])" + _MORE + rb"\x03",
    rb"\x02\d{1,4},\d,(?P<o>[01]),(?P<p>[01]),[01],\w,\d{1,4},(?P<t>[01]),(?P<u>\d{1,8}),\d,\d{1,4}" + _MORE + rb"\x03",
    rb"\x02\w{1,8},\d" + _MORE + rb"\x03",
)
_HOST_STATUS = re.compile(rb"[\r\n]{0,4}".join(_STRINGS))  # the letters are the guide's

_FLAGS = (  # no text has a comma: `merge` takes them apart again
    ("b", Reason.MEDIA_EMPTY, "the paper has run out"),
    ("o", Reason.COVER_OPEN, "the head is open"),
    ("p", Reason.MARKER_SUPPLY_EMPTY, "the ribbon has run out"),
    ("l", Reason.OVERHEATED, "the head is too hot"),
    ("k", Reason.OTHER, "the head is too cold"),
    ("c", Reason.PAUSED, "it is paused"),
    ("t", Reason.LABEL_WAITING, "a label waits to be taken"),
    ("g", Reason.OTHER, "it prints what it receives as a dump (diagnostic mode)"),
    ("j", Reason.OTHER, "its memory has lost its settings"),
)

_HEX = rb"([0-9A-Fa-f]{8}) {1,8}([0-9A-Fa-f]{8})(?![0-9A-Fa-f])"
_ERRORS = re.compile(
    rb"PRINTER STATUS\s{1,160}ERRORS: {1,32}[01] {1,8}" + _HEX + rb"\s{1,160}WARNINGS: {1,32}[01] {1,8}" + _HEX
)

_ERROR_BITS = (
    (0x00001, Reason.MEDIA_EMPTY, "the paper has run out"),
    (0x00002, Reason.MARKER_SUPPLY_EMPTY, "the ribbon has run out"),
    (0x00004, Reason.COVER_OPEN, "the head is open"),
    (0x00008, Reason.CUTTER_ERROR, "the cutter is jammed"),
    (0x00010, Reason.OVERHEATED, "the head is too hot"),
    (0x00020, Reason.OVERHEATED, "the motor is too hot"),
    (0x00040, Reason.OTHER, "an element of the head is broken"),
    (0x00080, Reason.OTHER, "it does not recognize its head"),
    (0x00100, Reason.OTHER, "its firmware does not fit its configuration"),
    (0x00200, Reason.OTHER, "the temperature sensor of the head is broken"),
    (0x01000, Reason.MEDIA_JAM, "the paper is jammed in the presenter"),
    (0x02000, Reason.OTHER, "the presenter does not run"),
    (0x04000, Reason.MEDIA_JAM, "the paper is not fed"),
    (0x08000, Reason.MEDIA_JAM, "the paper path could not be cleared"),
    (0x10000, Reason.PAUSED, "it is paused"),
    (0x20000, Reason.OTHER, "a ticket could not be taken back in time"),
    (0x40000, Reason.MEDIA_NEEDED, "it cannot measure the black marks of this media"),
    (0x80000, Reason.MEDIA_NEEDED, "it does not find the black mark"),
)
_WARNING_BITS = (
    (0x1, Reason.OTHER, "its sensor has to be calibrated for this media"),
    (0x2, Reason.OTHER, "the head has to be cleaned"),
    (0x4, Reason.OTHER, "the head has to be replaced"),
    (0x8, Reason.MEDIA_LOW, "the paper is nearly used up"),
)  # the bits above tell where the sensors of a kiosk printer see paper


class ZplTalk:
    """~HS first: every printer with ZPL that answers at all answers it."""

    questions: tuple[str, ...] = (HOST_STATUS, ERRORS, COUNTER)
    asleep: tuple[str, ...] = (ERRORS,)

    def ask(self, question: str) -> bytes:
        """The bytes of a question. Raises KeyError for one that is not in `questions`."""
        return _QUESTIONS[question]

    def read(self, question: str, heard: bytes) -> Status | None:
        """The last whole answer in `heard`, None when there is none."""
        recent = heard[-HEARD:]
        return {HOST_STATUS: _host_status, ERRORS: _errors, COUNTER: _counter}[question](recent)

    def merge(self, told: Mapping[str, Status]) -> Status:
        """All reasons and texts; the counter from SGD, what is left to print from ~HS."""
        texts = dict.fromkeys(text for status in told.values() for text in status.text.split(", ") if text)
        queue = told.get(HOST_STATUS, Status())
        return Status(
            reasons=frozenset[Reason]().union(*(status.reasons for status in told.values())),
            labels=told.get(COUNTER, Status()).labels,
            waiting=queue.waiting,
            idle=queue.idle,
            text=", ".join(texts),
        )


def _host_status(heard: bytes) -> Status | None:
    """The strings of ~HS: nothing is idle with a format or label to come, half a format, or a label to be taken."""
    found = _last(_HOST_STATUS, heard)
    if found is None:
        return None
    waiting = int(found["e"]) + int(found["u"])
    busy = waiting or b"1" in (found["f"], found["h"], found["t"])
    told = [(reason, text) for flag, reason, text in _FLAGS if found[flag] == b"1"]
    return _status(told, waiting=waiting, idle=not busy)


def _errors(heard: bytes) -> Status | None:
    """The bits of ~HQES: eight nibbles of the guide's group 1; group 2 has no meaning yet."""
    found = _last(_ERRORS, heard)
    if found is None:
        return None
    unnamed, errors, _, warnings = (int(group, 16) for group in found.groups())
    told = [(reason, text) for bit, reason, text in _ERROR_BITS if errors & bit]
    if unnamed or errors & ~sum(bit for bit, _, _ in _ERROR_BITS):
        told.append((Reason.OTHER, "it reports an error that its manual does not name"))
    told += [(reason, text) for bit, reason, text in _WARNING_BITS if warnings & bit]
    return _status(told)


def _counter(heard: bytes) -> Status | None:
    """A number in quotes at the end, with no other quotes before it; "?" from printers without that counter."""
    before, quote, _ = heard.rstrip(b"\r\n\0 ").partition(b'"')
    answer = heard[len(before) :].strip(b"\r\n\0 ")
    if not quote or answer.count(b'"') != 2 or answer[-1:] != b'"':
        return None
    told = answer[1:-1]
    if told == b"?":
        return Status()
    return Status(labels=int(told)) if told.isdigit() and len(told) <= 10 else None


def _last(answer: re.Pattern[bytes], heard: bytes) -> re.Match[bytes] | None:
    *_, last = [None, *answer.finditer(heard)]
    return last


def _status(told: Iterable[tuple[Reason, str]], *, waiting: int | None = None, idle: bool | None = None) -> Status:
    told = list(told)
    return Status(
        reasons=frozenset(reason for reason, _ in told),
        waiting=waiting,
        idle=idle,
        text=", ".join(text for _, text in told),
    )


TALK: Talk = ZplTalk()
