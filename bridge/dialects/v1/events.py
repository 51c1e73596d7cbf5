"""The routes that tell what happens: on demand, after a wait, or as it comes."""

from __future__ import annotations

from flask import Response

from bridge.dialects import Desk
from bridge.dialects.v1.route import caller
from bridge.dialects.v1.wishes import EventsQuery, StreamQuery


def listing(desk: Desk, wish: EventsQuery) -> Response:
    """What happened after a given event, oldest first.

    With wait, the answer comes as soon as there is something to tell, and is empty when the time is over.
    """
    who = caller()
    return desk.feed.poll(
        who.organization_id, after=wish.after, limit=wish.limit, wait_s=wish.wait, key_id=who.key_id
    )  # fmt: skip


def stream(desk: Desk, wish: StreamQuery) -> Response:
    """The same as server-sent events, as they come. At most 64 callers at once."""
    who = caller()
    return desk.feed.stream(who.organization_id, after=wish.after, key_id=who.key_id)
