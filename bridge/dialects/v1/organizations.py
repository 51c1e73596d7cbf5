"""The routes about organizations: who shares this bridge, and what it may print on."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Response, jsonify

from bridge import printers
from bridge.dialects import Desk
from bridge.dialects.v1 import once
from bridge.dialects.v1.homes import is_owner, named, people
from bridge.dialects.v1.printers import find
from bridge.dialects.v1.route import caller
from bridge.dialects.v1.wishes import NewOrganization, Nothing, OrganizationChanges
from bridge.model import Organization


def listing(desk: Desk, wish: Nothing) -> Response:
    """All organizations for the one this bridge belongs to; for another, itself alone."""
    known = people(desk)
    own = known.organization(caller().organization_id)
    found = known.organizations() if is_owner(desk) else [own]
    return jsonify(organizations=[_shown(desk, each) for each in found])


def create(desk: Desk, wish: NewOrganization) -> Response:
    """Make an organization: a tenant or account with printers, jobs, users and keys of its own."""
    known, wanted = people(desk), wish.id or once.reserved(desk, "organization", wish)
    made_before = desk.store.organizations.get(wanted) if wish.id is None else None
    organization = made_before or known.create_organization(
        wish.name, organization_id=wanted, parent_id=wish.parent, plan=wish.plan, jobs_quota=wish.jobs_quota
    )
    return made(_shown(desk, organization), f"/v1/organizations/{quote(organization.id)}", made_before is None)


def get(desk: Desk, wish: Nothing, organization_id: str) -> Response:
    """One organization."""
    return jsonify(_shown(desk, people(desk).organization(named(desk, organization_id))))


def change(desk: Desk, wish: OrganizationChanges, organization_id: str) -> Response:
    """Change an organization. Switched off, its keys open nothing at once, and who listens to events hears no more."""
    changed = people(desk).change_organization(organization_id, **wish.model_dump(exclude_unset=True))
    return jsonify(_shown(desk, changed))


def lend(desk: Desk, wish: Nothing, organization_id: str, printer: str) -> Response:
    """Let another organization print on a printer: it sees its name and state, and not how it is set up."""
    people(desk).lend(find(desk, printer), organization_id)
    return Response(status=204)


def take_back(desk: Desk, wish: Nothing, organization_id: str, printer: str) -> Response:
    """Let it print there no longer. What it has sent already is still printed."""
    people(desk).lend(find(desk, printer), organization_id, lent=False)
    return Response(status=204)


def made(answer: dict[str, Any], location: str, created: bool) -> Response:
    """201 for what was just made, 200 for what was made before for the same Idempotency-Key."""
    response = jsonify(answer)
    response.status_code = 201 if created else 200
    response.headers["Location"] = location
    return response


def _shown(desk: Desk, organization: Organization) -> dict[str, Any]:
    devices = printers.every(desk.store, organization.id)
    borrowed = [device for device in devices if device.organization_id != organization.id]
    return {
        "id": organization.id, "name": organization.name, "own": organization.id == desk.organization_id,
        "parent": organization.parent_id, "plan": organization.plan, "jobs_quota": organization.jobs_quota,
        "jobs_used": organization.jobs_used,
        "borrows": [{"id": device.id, "name": device.name} for device in borrowed],
        "created_at": organization.created_at, "disabled_at": organization.disabled_at,
    }  # fmt: skip
