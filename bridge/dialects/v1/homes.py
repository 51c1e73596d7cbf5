"""Whose things a caller may look after: its own organization's, and everybody's for the one this bridge belongs to."""

from __future__ import annotations

from typing import Protocol

from bridge.access.people import People
from bridge.dialects import Desk
from bridge.dialects.v1.route import caller
from bridge.errors import NotFound, Unavailable


class Homed(Protocol):
    """A table whose rows belong to organizations."""

    def home_of(self, row_id: str, /) -> str | None:
        """The organization a row belongs to; None when there is no such row."""
        ...


def is_owner(desk: Desk) -> bool:
    """Whether the caller is of the organization this bridge belongs to."""
    return caller().organization_id == desk.organization_id


def named(desk: Desk, organization_id: str | None) -> str:
    """The organization that was named, or the caller's own. Raises NotFound, also for one that is not its business."""
    own = caller().organization_id
    if organization_id is None or organization_id == own:
        return own
    if not is_owner(desk):
        raise no_organization(organization_id)
    return people(desk).organization(organization_id).id


def of(desk: Desk, table: Homed, row_id: str) -> str:
    """Where to look for a row: at its home for the bridge's own organization, else at the caller's."""
    own = caller().organization_id
    return (table.home_of(row_id) or own) if is_owner(desk) else own


def people(desk: Desk) -> People:
    """Raises Unavailable where there is no directory."""
    if desk.people is None:
        raise Unavailable("this bridge has no directory of people")
    return desk.people


def no_organization(organization_id: str) -> NotFound:
    """As People says it of one that there is not."""
    return NotFound(f"there is no organization {organization_id[:64]!r}", field="organization",
                    remedy="`print-bridge orgs` lists them by id")  # fmt: skip
