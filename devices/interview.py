"""Asking a printer how it is, over any wire: a question out, its answer back, with an end to everything.

A printer may answer late, in pieces, something else, or never; it may also talk without end. None of that costs more
than a moment, and none of it is taken for an answer: what an answer is, devices/status says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Set
from typing import TypeVar

from devices.contracts import Connection, Status, Talk

PATIENCE_S = 1.0  # for a whole answer
MOST = 64 * 1024  # bytes between a question and its answer; more than that is no answer
DRAIN_S = 0.25  # for what is still on its way from earlier, however much it is
QUIET_S = 0.01  # without a word: nothing is on its way

_Answer = TypeVar("_Answer")


class Interview:
    """One conversation with one printer, on a connection on which no write is under way.

    skip: questions that need not be asked, because this printer never answers them; the probe is never skipped. silent:
    those it left unanswered this time, though it answered the probe. They are not asked again in this interview.
    Whatever is asked raises only the DeviceErrors of `line`: PrinterUnreachable, or SendInterrupted within a job.
    """

    def __init__(
        self, talk: Talk, line: Connection, patience_s: float = PATIENCE_S, *, skip: Set[str] = frozenset()
    ) -> None:  # fmt: skip
        self.silent: set[str] = set()
        self._talk = talk
        self._line = line
        self._patience_s = patience_s
        self._skip = skip

    def probe(self) -> Status | None:
        """What it says to the safest question; None for no answer."""
        return self._answer_to(self._talk.questions[0])

    def ask(self) -> Status | None:
        """What it says to all questions; None when it leaves the first unanswered: then no other is asked."""
        first, *others = self._talk.questions
        if (status := self._answer_to(first)) is None:
            return None
        told = {first: status} | self._answers_to(each for each in others if each not in self._skip | self.silent)
        self.silent |= set(others) - told.keys() - self._skip
        return self._talk.merge(told)

    def second_opinion(self) -> Status | None:
        """What it says to the questions that are for a printer gone silent; None for nothing."""
        told = self._answers_to(self._talk.asleep)
        return self._talk.merge(told) if told else None

    def _answers_to(self, questions: Iterable[str]) -> dict[str, Status]:
        answers = ((each, self._answer_to(each)) for each in questions)
        return {question: status for question, status in answers if status is not None}

    def _answer_to(self, question: str) -> Status | None:
        return answer(
            self._line, self._talk.ask(question), lambda heard: self._talk.read(question, heard), self._patience_s
        )  # fmt: skip


def answer(
    line: Connection, question: bytes, read: Callable[[bytes], _Answer | None], patience_s: float = PATIENCE_S
) -> _Answer | None:
    """Ask, and listen until `read` makes something of all that was heard since; None when patience_s was not enough.

    What the printer said before is thrown away first, so that a late answer is not taken for this one.
    """
    if line.talks:
        _drain(line)
    if not line.talks:  # some ways back turn out to be none when they are first listened at
        return None
    line.ask(question)
    heard, until = b"", time.monotonic() + patience_s
    while len(heard) < MOST and (left := until - time.monotonic()) > 0:
        words = line.hear(left)
        if not words:
            break
        heard = (heard + words)[:MOST]
        if (found := read(heard)) is not None:
            return found
    return None


def _drain(line: Connection) -> None:
    until = time.monotonic() + DRAIN_S
    while line.hear(QUIET_S) and time.monotonic() < until:
        pass
