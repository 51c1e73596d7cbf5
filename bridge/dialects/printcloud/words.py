"""PrintCloud's words and ours: states, permissions, codes of errors, ids. Tables, and nothing that could fail."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from bridge.model import Job, State
from bridge.store.handed import HANDED, HANDED_OVER, HEARD

# ---- jobs -------------------------------------------------------------------------------------------------------

PENDING, SENT, PRINTING, COMPLETED, ERROR = "pending", "sent", "printing", "completed", "error"
CANCELLED = "cancelled"
"""Said by computers alone: a job they were asked to give back, or that was cancelled there. Callers see an error."""

STATES: Mapping[State, str] = {
    State.CREATED: PENDING,
    State.QUEUED: PENDING,
    State.PREPARING: PRINTING,
    State.SENDING: PRINTING,
    State.HELD: PENDING,
    State.DELIVERED: COMPLETED,
    State.PRINTED: COMPLETED,
    State.UNCONFIRMED: ERROR,
    State.FAILED: ERROR,
    State.CANCELLED: ERROR,
    State.EXPIRED: ERROR,
}

REPORTED: Mapping[str, State] = {
    SENT: State.PREPARING,
    PRINTING: State.SENDING,
    COMPLETED: State.DELIVERED,
    ERROR: State.FAILED,
}
"""What a computer that polls says of a job, and where that leaves it."""


def state_of(job: Job) -> str:
    """pending, sent, printing, completed or error. sent: handed to another machine that has not begun to print it.

    By WebSocket such a job is `sending` with the evidence HANDED; a machine that polls says so itself.
    """
    if (job.state, job.evidence) in ((State.SENDING, HANDED), (State.PREPARING, HEARD)):
        return SENT
    return STATES[job.state]


def told_state(state: State, text: str, job: Job | None) -> str:
    """The word for a state a job was in, by the event that told of it. job: as it is now, None when it is gone."""
    if state is State.SENDING and text == HANDED_OVER:
        return SENT
    if state is State.PREPARING and job is not None and job.evidence == HEARD:
        return SENT
    return STATES[state]


# ---- printers ---------------------------------------------------------------------------------------------------

ONLINE, OFFLINE, PAUSED = "online", "offline", "paused"

_AWAY = frozenset({"offline", "connecting-to-device", "timed-out"})
_STUCK = frozenset({
    "media-empty", "media-needed", "media-jam", "cover-open", "marker-supply-empty", "cutter-error", "overheated",
    "other",
})  # fmt: skip
_WARNING = frozenset({"none", "paused", "media-low", "marker-supply-low", "label-waiting"})


def printer_state(reasons: Collection[str]) -> str:
    """online, offline, paused, or error (a person has to do something at the printer).

    reasons: IPP's printer-state-reasons; those that only warn (media-low) change nothing. A word that is none of them
    is what another computer calls the state of its printer.
    """
    found = set(reasons)
    if len(found) == 1 and (word := next(iter(found))) not in _AWAY | _STUCK | _WARNING:
        return word
    if found & _AWAY:
        return OFFLINE
    if "paused" in found:
        return PAUSED
    return ERROR if found & _STUCK else ONLINE


# ---- keys -------------------------------------------------------------------------------------------------------

PERMISSIONS: Mapping[str, frozenset[str]] = {
    "full": frozenset({"admin", "jobs", "printers"}),
    "print_only": frozenset({"print"}),
    "read_only": frozenset({"read"}),
}
"""A key's permission -> its scopes."""

PERSON = frozenset({"jobs", "printers"})
"""Scopes of the key a user who is no admin logs in for."""

KIND = "printcloud"
KEY_PREFIX = "pk_live_"

# ---- errors -----------------------------------------------------------------------------------------------------

CODES: Mapping[int, str] = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    409: "Conflict",
    413: "PayloadTooLarge",
    422: "BadRequest",
    426: "BadRequest",
    429: "TooManyRequests",
    500: "ServerError",
    503: "ServiceUnavailable",
    507: "InsufficientStorage",
}
"""HTTP status -> the word in `code`. The seed shows one of them, "Unauthorized"; the others are made after it."""

# ---- ids --------------------------------------------------------------------------------------------------------

JOB, KEY, USER, WEBHOOK = "pj_", "key_", "usr_", "wh_"
_HEX = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)


def shown_id(prefix: str, own: str) -> str:
    """One of our ids as PrintCloud writes them: pj_ and a UUID without hyphens."""
    return prefix + own.replace("-", "")


def own_id(prefix: str, shown: str) -> str:
    """Our id, of one that may have the prefix, and hyphens, or not."""
    text = shown.strip().removeprefix(prefix)
    if not _HEX.fullmatch(text):
        return text
    text = text.lower()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
