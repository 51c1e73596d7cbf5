"""The routes about API keys, and the login by which a desktop client comes by one."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import Response, jsonify, request

from bridge.access.people import People
from bridge.dialects.printcloud.route import House, made
from bridge.dialects.printcloud.wishes import Login, NewApiKey, Nothing
from bridge.dialects.printcloud.words import KEY, KEY_PREFIX, KIND, PERMISSIONS, PERSON, USER, own_id, shown_id
from bridge.errors import BridgeError, Invalid, NotFound, Unauthorized, Unavailable
from bridge.model import Key, Principal, User

LOGINS = 10
"""Keys one person may have from logging in; the oldest goes when there is one more."""


def openapi(house: House, who: Principal, wish: Nothing) -> Response:
    """This document."""
    from bridge.dialects.printcloud.openapi import document  # it is made of the table, and the table has this view

    return jsonify(document())


def create_key(house: House, who: Principal, wish: NewApiKey) -> Response:
    """Make an API key. Its text is in this answer and in no other."""
    if not wish.description.isprintable():
        raise Invalid("a description is made of printable characters", field="description")
    key, text = _people(house).token_for(
        who.organization_id, kind=KIND, name=wish.description, scopes=PERMISSIONS[wish.permission], prefix=KEY_PREFIX
    )
    return made({"id": shown_id(KEY, key.id), "key": text, "description": key.name})


def revoke_key(house: House, who: Principal, wish: Nothing, key_id: str) -> Response:
    """The key opens nothing any more, at once."""
    found = own_id(KEY, key_id)
    try:
        house.desk.keys.revoke(who.organization_id, found)
    except NotFound as error:
        raise NotFound(f"there is no API key {key_id[:64]!r}", field="id",
                       remedy="name the id that came with the key when it was made") from error  # fmt: skip
    return jsonify([key_id.strip()])


def login(house: House, who: Principal, wish: Login) -> Response:
    """An API key for a person: everything for an admin, printing and looking at printers for anybody else.

    The keys of earlier logins stay good, up to ten; one for the same computerName is replaced.
    """
    people = _people(house)
    user = _known(people, wish)
    scopes = PERMISSIONS["full"] if user.role == "admin" else PERSON
    name = f"login of {user.email}" + (f" at {wish.computerName}" if wish.computerName else "")
    name = "".join(c for c in name if c.isprintable())[:200]
    key, text = people.token_for(
        user.organization_id, kind=KIND, name=name, scopes=scopes, user_id=user.id, prefix=KEY_PREFIX
    )
    _tidy(house, user, key, replaces=bool(wish.computerName))
    first, _, last = user.name.partition(" ")
    shown = {"id": shown_id(USER, user.id), "firstName": first, "lastName": last.strip(), "email": user.email}
    return jsonify({"success": True, "apiKey": text, "user": shown})


def _known(people: People, wish: Login) -> User:
    """As it was typed; then without blanks around it, which the documentation's own example has."""
    try:
        return people.login(wish.email, wish.password, caller=request.remote_addr or "")
    except Unauthorized:
        if wish.password == wish.password.strip():
            raise
        return people.login(wish.email, wish.password.strip(), caller=request.remote_addr or "")


def _tidy(house: House, user: User, newest: Key, *, replaces: bool) -> None:
    """Keep the number of a person's keys small."""
    keys: list[Any] = [
        key for key in house.desk.keys.listing(user.organization_id)
        if key.kind == KIND and key.user_id == user.id and key.revoked_at is None and key.id != newest.id
    ]  # fmt: skip
    same = [key for key in keys if replaces and key.name == newest.name]
    rest = [key for key in keys if key not in same]
    for key in [*same, *rest[: max(0, len(rest) - LOGINS + 1)]]:
        with suppress(BridgeError):  # somebody else was faster
            house.desk.keys.revoke(user.organization_id, key.id)


def _people(house: House) -> People:
    if house.desk.people is None:
        raise Unavailable("this bridge knows no people")
    return house.desk.people
