"""The routes about API keys and the web origins they are bound to."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify

from bridge.dialects import Desk
from bridge.dialects.v1 import homes, once
from bridge.dialects.v1.route import caller
from bridge.dialects.v1.wishes import Binding, KeyChanges, KeysQuery, NewKey, Nothing, Unbinding
from bridge.intake.idempotency import idempotency_key
from bridge.store.keys import StoredKey


def listing(desk: Desk, wish: KeysQuery) -> Response:
    """All keys, revoked ones too. Never their text: only a digest of it is kept."""
    home = homes.named(desk, wish.organization)
    return jsonify(keys=[_shown(key) for key in desk.keys.listing(home)])


def create(desk: Desk, wish: NewKey) -> Response:
    """Make a key. Its text is in this answer and in no other."""
    home = homes.named(desk, wish.organization)
    if wish.user is not None:
        homes.people(desk).user(home, wish.user)
    key, text, created = desk.keys.create(
        home, wish.name, wish.scopes, wish.origins, idempotency_key(), once.fingerprint("key", wish), raw=wish.raw,
        drawer=wish.drawer, kind=wish.kind, user_id=wish.user, expires_at=wish.expires_at,
    )  # fmt: skip
    response = jsonify({**_shown(key), "key": text})
    response.status_code = 201 if created else 200
    return response


def change(desk: Desk, wish: KeyChanges, key_id: str) -> Response:
    """Change a key's name, scopes, origins or grants, with effect from the next request."""
    changed = desk.keys.change(
        homes.of(desk, desk.store.keys, key_id), key_id, name=wish.name, scopes=wish.scopes, origins=wish.origins,
        raw=wish.raw, drawer=wish.drawer,
    )  # fmt: skip
    return jsonify(_shown(changed))


def revoke(desk: Desk, wish: Nothing, key_id: str) -> Response:
    """The key opens nothing any more, at once; what it listens to ends within a second."""
    desk.keys.revoke(homes.of(desk, desk.store.keys, key_id), key_id)
    return Response(status=204)


def origins(desk: Desk, wish: Nothing) -> Response:
    """Every web origin that may print, and the keys its pages may use."""
    bound = desk.keys.origins(caller().organization_id)
    return jsonify(
        origins=[
            {"origin": origin, "keys": [{"id": key.id, "name": key.name} for key in keys]}
            for origin, keys in bound.items()
        ]
    )


def bind(desk: Desk, wish: Binding) -> Response:
    """Let the pages of a web origin use a key."""
    return jsonify(_shown(desk.keys.bind(caller().organization_id, wish.origin, wish.key)))


def unbind(desk: Desk, wish: Unbinding) -> Response:
    """Take a web origin from one key, or from all keys that are not the configuration's."""
    desk.keys.unbind(caller().organization_id, wish.origin, wish.key)
    return Response(status=204)


def _shown(key: StoredKey) -> dict[str, Any]:
    grants = key.grants
    return {
        "id": key.id, "name": key.name, "organization": key.organization_id, "kind": key.kind, "user": key.user_id,
        "scopes": sorted(key.scopes), "origins": sorted(key.origins), "raw": grants.raw, "drawer": grants.drawer,
        "created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at,
        "from_config": key.from_config,
    }  # fmt: skip
