"""Idempotency-Keys of what the store cannot tell from its own tables. The only writes of this dialect, and harmless."""

from __future__ import annotations

import hashlib

from bridge.dialects import Desk
from bridge.dialects.v1.route import caller
from bridge.dialects.v1.wishes import Wish
from bridge.errors import Conflict
from bridge.intake.idempotency import idempotency_key
from bridge.model import new_id
from bridge.store.jobs import KeyReused
from bridge.store.made import Making


def making(noun: str, wish: Wish) -> Making | None:
    """The wish for something new, as its Idempotency-Key remembers it; None without one."""
    key = idempotency_key()
    return None if key is None else Making(key, fingerprint(noun, wish), noun)


def fingerprint(noun: str, wish: Wish) -> str:
    """What makes two wishes the same: every word, given or not, but secrets. Hex.

    It is stored, and a quick digest of a password tells the password; whoever takes secrets compares them himself.
    """
    return hashlib.sha256(f"{noun} {wish.model_dump_json(exclude=set(wish.secrets))}".encode()).hexdigest()


def made(desk: Desk, wanted: Making | None) -> str | None:
    """The id of what this Idempotency-Key has made before. Raises Conflict when that was another wish."""
    try:
        return None if wanted is None else desk.store.made.find(caller().organization_id, wanted)
    except KeyReused as error:
        raise reused() from error


def reserved(desk: Desk, noun: str, wish: Wish) -> str:
    """The id for what is to be made: a new one, or that of the first request with this Idempotency-Key.

    Known before the thing is, so that a crash in between cannot make it twice. Raises Conflict as `made` does.
    """
    return remember(desk, making(noun, wish), new_id())


def remember(desk: Desk, wanted: Making | None, made_id: str) -> str:
    """Note what was made, and return what counts: what was noted first. Raises Conflict as `made` does."""
    try:
        return made_id if wanted is None else desk.store.made.remember(caller().organization_id, wanted, made_id)
    except KeyReused as error:
        raise reused() from error


def reused() -> Conflict:
    """The refusal of an Idempotency-Key that came with another wish."""
    return Conflict(
        "this Idempotency-Key was used before for something else",
        remedy="send a new key with a new wish, and the very same body when you repeat one",
        code="idempotency_key_reused",
    )
