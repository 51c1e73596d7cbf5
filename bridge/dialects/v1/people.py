"""The routes about users, groups and cards: who there is in an organization."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from bridge.dialects import Desk
from bridge.dialects.v1 import homes, once
from bridge.dialects.v1.homes import people
from bridge.dialects.v1.organizations import made
from bridge.dialects.v1.wishes import GroupsQuery, NewCard, NewGroup, NewUser, Nothing, UserChanges, UsersQuery
from bridge.errors import NotFound
from bridge.model import Card, Group, User

# ---- users ------------------------------------------------------------------------------------------------------


def users(desk: Desk, wish: UsersQuery) -> Response:
    """A page of users, in the order in which they were added."""
    found, total = people(desk).users(
        homes.named(desk, wish.organization), q=wish.q, limit=wish.limit, offset=wish.offset
    )
    return jsonify(users=[_user(desk, each) for each in found], total=total)


def add_user(desk: Desk, wish: NewUser) -> Response:
    """Add a user. Password and PIN are kept as hashes that tell nobody what they are."""
    known, home = people(desk), homes.named(desk, wish.organization)
    wanted = [known.group(home, group_id).id for group_id in wish.groups or ()]
    user_id = once.reserved(desk, "user", wish)
    found = desk.store.users.get(home, user_id)
    if found is not None:
        if wish.password is not None and not known.is_password(found, wish.password):
            raise once.reused()
        return _user_made(desk, found, created=False)
    user = known.create_user(
        home, name=wish.name, email=wish.email, password=wish.password, role=wish.role, pin=wish.pin,
        expires_at=wish.expires_at, user_id=user_id,
    )  # fmt: skip
    if wanted:
        known.put_in_groups(home, user.id, wanted)
    return _user_made(desk, user, created=True)


def user(desk: Desk, wish: Nothing, user_id: str) -> Response:
    """One user."""
    return jsonify(_user(desk, people(desk).user(_home(desk, user_id), user_id)))


def change_user(desk: Desk, wish: UserChanges, user_id: str) -> Response:
    """Change a user. A new password, or being switched off, ends every key and token of the user at once."""
    known, home = people(desk), _home(desk, user_id)
    changes = {name: value for name, value in wish.model_dump(exclude={"groups"}).items() if value is not None}
    if wish.groups is not None:
        known.put_in_groups(home, user_id, wish.groups)
    return jsonify(_user(desk, known.change_user(home, user_id, **changes)))


def remove_user(desk: Desk, wish: Nothing, user_id: str) -> Response:
    """Forget a user, with its cards, keys and tokens. Its jobs stay."""
    people(desk).delete_user(_home(desk, user_id), user_id)
    return Response(status=204)


def _home(desk: Desk, user_id: str) -> str:
    return homes.of(desk, desk.store.users, user_id)


def _user_made(desk: Desk, user: User, *, created: bool) -> Response:
    return made(_user(desk, user), f"/v1/users/{user.id}", created)


def _user(desk: Desk, user: User) -> dict[str, Any]:
    return {
        "id": user.id, "organization": user.organization_id, "name": user.name, "email": user.email, "role": user.role,
        "groups": desk.store.groups.of_user(user.id), "has_password": user.password is not None,
        "has_pin": user.pin is not None, "expires_at": user.expires_at, "created_at": user.created_at,
        "disabled_at": user.disabled_at,
    }  # fmt: skip


# ---- groups -----------------------------------------------------------------------------------------------------


def groups(desk: Desk, wish: GroupsQuery) -> Response:
    """All groups, and who is in them."""
    return jsonify(groups=[_group(desk, each) for each in people(desk).groups(homes.named(desk, wish.organization))])


def add_group(desk: Desk, wish: NewGroup) -> Response:
    """Make a group. Users are put into it by PATCH /users/ID."""
    home, group_id = homes.named(desk, wish.organization), once.reserved(desk, "group", wish)
    made_before = desk.store.groups.get(home, group_id)
    group = made_before or people(desk).create_group(home, wish.name, wish.external_id, group_id=group_id)
    return made(_group(desk, group), f"/v1/groups/{group.id}", made_before is None)


def group(desk: Desk, wish: Nothing, group_id: str) -> Response:
    """One group."""
    return jsonify(_group(desk, people(desk).group(homes.of(desk, desk.store.groups, group_id), group_id)))


def remove_group(desk: Desk, wish: Nothing, group_id: str) -> Response:
    """Forget a group; its members stay."""
    people(desk).delete_group(homes.of(desk, desk.store.groups, group_id), group_id)
    return Response(status=204)


def _group(desk: Desk, group: Group) -> dict[str, Any]:
    return {
        "id": group.id, "organization": group.organization_id, "name": group.name, "external_id": group.external_id,
        "members": desk.store.groups.members(group.id), "created_at": group.created_at,
    }  # fmt: skip


# ---- cards ------------------------------------------------------------------------------------------------------


def cards(desk: Desk, wish: Nothing, user_id: str) -> Response:
    """All cards of a user. Never their numbers: only hashes of them are kept."""
    return jsonify(cards=[_card(each) for each in people(desk).cards(_home(desk, user_id), user_id)])


def add_card(desk: Desk, wish: NewCard, user_id: str) -> Response:
    """Give a user a card."""
    known, home = people(desk), _home(desk, user_id)
    card_id = once.reserved(desk, f"card of {user_id}", wish)
    made_before = next((each for each in known.cards(home, user_id) if each.id == card_id), None)
    if made_before is not None and not known.is_number(made_before, wish.number):
        raise once.reused()
    card = made_before or known.add_card(home, user_id, wish.number, card_id=card_id)
    return made(_card(card), f"/v1/users/{user_id}/cards", made_before is None)


def remove_card(desk: Desk, wish: Nothing, user_id: str, card_id: str) -> Response:
    """Forget a card of a user."""
    known, home = people(desk), _home(desk, user_id)
    if not any(each.id == card_id for each in known.cards(home, user_id)):
        raise NotFound(f"there is no card {card_id[:64]!r}", field="card", remedy="list the user's cards")
    known.delete_card(home, card_id)
    return Response(status=204)


def _card(card: Card) -> dict[str, Any]:
    return {"id": card.id, "created_at": card.created_at}
