"""The routes about accounts: log in, register, who am I. An account is an organization and the user who has it."""

from __future__ import annotations

import hmac
from typing import Any

from flask import Response, request

from bridge.access.people import PASSWORD_MIN
from bridge.dialects.olin.route import House, answered, at_the_door
from bridge.dialects.olin.wishes import Login, Nothing, Register
from bridge.dialects.olin.words import jobs_left, plan_of
from bridge.errors import Conflict, Forbidden, Invalid, Unauthorized
from bridge.model import Organization, Principal, User

SCOPES = {"guest": frozenset({"print"})}
EVERYDAY = frozenset({"jobs", "printers"})
"""What the token of a login may do in its own account, by the user's role. Never admin: that is this bridge itself."""

TOKENS = 100
"""Tokens of one user that are good at a time; an older one ends with the next login."""

TOKEN_S = 365 * 86_400.0
FREE_JOBS = 10
"""Print jobs of a new account: the seed's example."""

KIND = "olin"


def login(house: House, wish: Login) -> Response:
    """Get a token for an e-mail address and its password. The password may also be this bridge's first key: then it is
    the token as well, and the account is the bridge's own."""
    if _is_first_key(house, wish.password):
        own = house.desk.store.organizations.get(house.desk.organization_id)
        assert own is not None
        return answered("Login successful", _account(house, own, None, wish.password))
    user = house.people.login(wish.email, wish.password, caller=request.remote_addr or "")
    organization = house.people.organization(user.organization_id)
    return answered("Login successful", _account(house, organization, user, _token(house, user)))


def _is_first_key(house: House, text: str) -> bool:
    """Whether this is the key of this bridge's first run, and that still opens something."""
    key = house.desk.api_key
    return key is not None and hmac.compare_digest(text.encode(), key.encode()) and house.people.key(key) is not None


def register(house: House, wish: Register) -> Response:
    """Make an account. Closed unless this bridge is open for registration; sub-accounts of an integrator (Enterprise
    plan) can always be made, by its API key."""
    at_the_door(house)
    parent = None if wish.parent_api_key is None else _integrator(house, wish.parent_api_key)
    if parent is None and not house.desk.registration:
        raise Forbidden(
            "Registration is closed on this bridge",
            code="registration_closed",
            remedy="ask whoever looks after it for an account, or send the parent_api_key of an integrator",
        )
    if wish.password != wish.password_confirmation:
        raise Invalid("The password field confirmation does not match.", field="password")
    if len(wish.password) < PASSWORD_MIN:
        raise Invalid(f"The password field must be at least {PASSWORD_MIN} characters.", field="password")
    try:
        organization, user = house.people.register(
            name=wish.name,
            email=wish.email,
            password=wish.password,
            parent_id=parent.id if parent else None,
            plan="free",
            jobs_quota=FREE_JOBS,
        )
    except Conflict as error:
        raise Invalid("The email has already been taken.", field="email", code=error.code) from error
    except Forbidden as error:
        raise Forbidden("Parent account has reached the maximum limit of 50 sub-accounts", code=error.code) from error
    return answered("Registration successful", _account(house, organization, user, _token(house, user)), 201)


def _integrator(house: House, api_key: str) -> Organization:
    """The account that may have sub-accounts. Raises Unauthorized, Forbidden."""
    key = house.people.key(api_key.strip())
    # A key that web pages hold, or one for printing only, must not found accounts.
    if key is None or key.origins or not ("admin" in key.scopes or key.scopes >= EVERYDAY):
        raise Unauthorized("Invalid parent API key", code="invalid_parent_key")
    parent = house.people.organization(key.organization_id)
    if parent.parent_id is not None or plan_of(parent, house.desk.olin_plan) != "enterprise":
        raise Forbidden("Parent account must be an integrator account", code="not_integrator")
    return parent


def me(house: House, who: Principal, wish: Nothing) -> Response:
    """Whose token this is. For an API key that is nobody's in particular: the account itself."""
    organization = house.organization(who)
    user = house.desk.store.users.get(who.organization_id, who.user_id) if who.user_id is not None else None
    shown = request.headers.get("Authorization", "").partition(" ")[2].strip(" ")
    return answered("User data retrieved successfully", _account(house, organization, user, shown))


def _token(house: House, user: User) -> str:
    """A new token. Its beginning is the user's number, as Laravel's are."""
    house.people.trim_tokens(user.id, KIND, TOKENS - 1)
    _, text = house.people.token_for(
        user.organization_id, kind=KIND, name=f"Olin token of {user.name}"[:200],
        scopes=SCOPES.get(user.role, EVERYDAY), user_id=user.id, prefix=f"{user.serial}|", lifetime_s=TOKEN_S,
    )  # fmt: skip
    return text


def _account(house: House, organization: Organization, user: User | None, token: str) -> dict[str, Any]:
    return {
        "name": user.name if user is not None else organization.name,
        "email": (user.email or "") if user is not None else "",
        "plan": plan_of(organization, house.desk.olin_plan),
        "available_print_jobs": jobs_left(organization),
        "used_print_jobs": organization.jobs_used,
        "token": token,
        "user_id": user.serial if user is not None else organization.serial,
    }
