"""The one byte every USB printer answers to GET_PORT_STATUS (printer class 1.1, 4.2.2; the old Centronics lines)."""

from __future__ import annotations

from devices.contracts import Reason, Status

NOT_ERROR, SELECTED, PAPER_EMPTY = 0x08, 0x10, 0x20


def read(byte: int | None) -> Status | None:
    """What the byte says; None when there is none."""
    if byte is None:
        return None
    if byte & PAPER_EMPTY:
        return Status(frozenset({Reason.MEDIA_EMPTY}), text="the printer says it is out of paper")
    if not byte & NOT_ERROR:
        return Status(frozenset({Reason.OTHER}), text="the printer reports an error (cover or head open, jam)")
    if not byte & SELECTED:
        return Status(frozenset({Reason.PAUSED}), text="the printer says it is paused or offline")
    return Status()


def in_words(byte: int | None) -> str:
    """What it says, as a clause; "" when it is not known or nothing is wrong."""
    status = read(byte)
    return status.text if status is not None else ""
