"""What a person at the printer does about each of its reasons (IPP printer-state-reasons, RFC 8011, 5.4.12)."""

from __future__ import annotations

from collections.abc import Iterable

REMEDIES = {
    "media-empty": "put new paper in and close it",
    "media-needed": "put the right paper in, or calibrate its sensor",
    "media-jam": "take the jammed paper out and close it",
    "media-low": "have new paper at hand",
    "cover-open": "close it",
    "marker-supply-empty": "put a new ribbon in and close it",
    "marker-supply-low": "have a new ribbon at hand",
    "cutter-error": "clear the cutter and close it",
    "overheated": "let it cool down",
    "label-waiting": "take the label off",
    "paused": "press its pause (or online) button",
}
"""Reason -> what to do. Where the text of a reason says it already (offline, other) there is none."""

_WARNINGS = frozenset({"media-low", "marker-supply-low"})


def what_to_do(reasons: Iterable[str]) -> str:
    """One sentence without a full stop; "" when there is nothing to do.

    A printer that stood still may want its button pressed after the paper is in; its jobs need nothing.
    """
    given = [reason for reason in reasons if reason in REMEDIES]
    steps = "; ".join(REMEDIES[reason] for reason in given)
    if not set(given) - _WARNINGS:
        return steps
    return f"{steps}: its jobs go on by themselves"
