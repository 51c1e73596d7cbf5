"""Whether a label that was taken whole is printed, judged by what its printer says of itself afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from devices.contracts import Reason, Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a label that was taken whole. printed: the printer said so; by: as Monitor.evidence says it."""

    printed: bool
    by: str | None
    text: str


def judge(status: Status, out: int | None, expected: int | None, idle: int) -> Verdict | None:
    """What its counter and its being idle say; None: not yet. idle: how often in a row it said so.

    A label that was on the head when the media ran out is printed once more by the printer itself (ZPL ^JZ): one more
    than expected is still this job. More than that are somebody else's.
    """
    if out is None:
        return Verdict(True, "idle", "the printer says that nothing is left to print") if idle >= 2 else None
    peeled = Reason.LABEL_WAITING in status.reasons and not status.waiting  # the last one waits to be taken off
    if expected is not None and expected <= out <= expected + 1 and (status.idle is not False or peeled):
        return Verdict(True, "counter", f"the printer's label counter went up by {out}")
    if idle < 2:
        return None
    if expected is None and out > 0:
        return Verdict(True, "counter", f"the printer's label counter went up by {out}")
    if not out:
        return Verdict(False, None, "the printer says that it is idle, and its label counter did not move")
    return Verdict(False, None, f"the printer's label counter went up by {out} instead of {expected}")
