"""The one byte every USB printer answers to GET_PORT_STATUS (printer class 1.1, 4.2.2; the old Centronics lines)."""

from __future__ import annotations

NOT_ERROR, SELECTED, PAPER_EMPTY = 0x08, 0x10, 0x20


def in_words(status: int | None) -> str:
    """What a status means, as a clause; "" when it is not known or nothing is wrong."""
    if status is None:
        return ""
    if status & PAPER_EMPTY:
        return "the printer says it is out of paper"
    if not status & NOT_ERROR:
        return "the printer reports an error (cover or head open, jam)"
    if not status & SELECTED:
        return "the printer says it is paused or offline"
    return ""
