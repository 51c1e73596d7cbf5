"""Where API keys are made, changed and revoked while the bridge runs, and bound to the origins of web pages.

Each change is durable and in force when it returns: the next request of a revoked key is refused.
"""

from __future__ import annotations

from collections.abc import Collection

from bridge.access.keys import KeyRing, digest, new_key
from bridge.access.redact import remember
from bridge.config import is_origin
from bridge.errors import Conflict, Invalid, NotFound
from bridge.model import Key, Raw
from bridge.store import Store
from bridge.store.jobs import KeyReused
from bridge.store.keys import LastAdmin, StoredKey, TooManyKeys
from bridge.store.made import Making

SCOPES = ("admin", "jobs", "printers", "print", "read")
KINDS = {"": "pb_", "cloudlayer": "cl-", "printcloud": "pk_live_"}
"""Kind of a key that is made here -> how its text begins, as the programs of that cloud expect it."""
AT_MOST = {"cloudlayer": 5}
"""Kind -> keys of it an organization may have, as there."""
NAME_MAX = 200  # characters, as in [[keys]]
ORIGINS_MAX = 100  # of one key


class KeyOffice:
    """Every command on keys. Raises a BridgeError that says why something cannot be done."""

    def __init__(self, store: Store, ring: KeyRing) -> None:
        """ring: what requests are checked against; it reads a key again after every change."""
        self._store = store
        self._ring = ring

    # -- looking --

    def listing(self, organization_id: str) -> list[StoredKey]:
        """All keys, revoked ones too, oldest first."""
        return self._store.keys.listing(organization_id)

    def get(self, organization_id: str, key_id: str) -> StoredKey:
        """The key, or NotFound."""
        key = self._store.keys.get(organization_id, key_id)
        if key is None:
            raise NotFound(f"there is no key {key_id[:64]!r}", field="key",
                           remedy="GET /v1/keys and `print-bridge keys` list them by id")  # fmt: skip
        return key

    def origins(self, organization_id: str) -> dict[str, list[StoredKey]]:
        """Every web origin something is bound to, in alphabetical order, and its active keys."""
        found: dict[str, list[StoredKey]] = {}
        for key in self.listing(organization_id):
            for origin in key.origins if key.revoked_at is None else ():
                found.setdefault(origin, []).append(key)
        return dict(sorted(found.items()))

    # -- keys --

    def create(
        self, organization_id: str, name: str, scopes: Collection[str], origins: Collection[str] = (),
        idempotency_key: str | None = None, fingerprint: str = "", *, raw: Raw | None = None,
        drawer: bool | None = None, kind: str = "", user_id: str | None = None, expires_at: float | None = None,
    ) -> tuple[StoredKey, str | None, bool]:  # fmt: skip
        """(the key, its text, True); for a known Idempotency-Key (the key made then, None, False).

        The text is told this once: only its digest is stored. fingerprint: of the whole wish. raw, drawer: None for
        what is usual for a key with, or without, origins. kind: one of KINDS. user_id: whose it is, a user of the
        organization. expires_at: Unix seconds. Raises Invalid, Conflict.
        """
        _check(name, scopes, origins)
        text = KINDS[kind] + new_key().removeprefix(KINDS[""])
        remember(text)
        making = None if idempotency_key is None else Making(idempotency_key, fingerprint, "key")
        try:
            key, created = self._store.keys.create(
                organization_id, name, digest(text), scopes, origins, making, raw=raw, drawer=drawer, kind=kind,
                user_id=user_id, expires_at=expires_at, at_most=AT_MOST.get(kind),
            )  # fmt: skip
        except KeyReused as error:
            raise key_reused() from error
        except TooManyKeys as error:
            raise Conflict(f"the organization has {AT_MOST[kind]} keys of this kind already", field="kind",
                           code="too_many_keys", remedy="revoke one first") from error  # fmt: skip
        self._ring.refresh([key.id])
        return key, text if created else None, created

    def change(
        self, organization_id: str, key_id: str, *, name: str | None = None, scopes: Collection[str] | None = None,
        origins: Collection[str] | None = None, raw: Raw | None = None, drawer: bool | None = None,
    ) -> StoredKey:  # fmt: skip
        """Change what is given. Raises Invalid, NotFound, Conflict (from_config, revoked, last_admin)."""
        key = self._changeable(organization_id, key_id)
        _check(key.name if name is None else name, key.scopes if scopes is None else scopes, origins or ())
        try:
            changed = self._store.keys.change(
                organization_id, key_id, name=name, scopes=scopes, origins=origins, raw=raw, drawer=drawer
            )
        except LastAdmin as error:
            raise _last_admin(key) from error
        return self._now(changed, key)

    def revoke(self, organization_id: str, key_id: str) -> None:
        """The key opens nothing any more; it stays in the list. One that was revoked before stays as it is.

        Raises NotFound, Conflict (from_config, last_admin).
        """
        key = self.get(organization_id, key_id)
        if key.revoked_at is not None:
            return
        _own(key)
        try:
            self._store.keys.revoke(organization_id, key_id)
        except LastAdmin as error:
            raise _last_admin(key) from error
        self._ring.refresh([key_id])

    # -- origins --

    def bind(self, organization_id: str, origin: str, key_id: str) -> StoredKey:
        """Let pages of this origin use the key. Raises Invalid, NotFound, Conflict (from_config, revoked)."""
        _check_origins([origin], field="origin")
        key = self._changeable(organization_id, key_id)
        if len(key.origins | {origin}) > ORIGINS_MAX:
            raise Invalid(f"key {key.name!r} has {ORIGINS_MAX} origins already", field="origin",
                          remedy="make another key for this one")  # fmt: skip
        return self._now(self._store.keys.rebind(organization_id, key_id, add=origin), key)

    def unbind(self, organization_id: str, origin: str, key_id: str | None = None) -> None:
        """Take the origin from one key, or from all that are not the configuration's. A key that is left without any
        is revoked, unless it may do everything. Raises NotFound, Conflict."""
        bound = self.origins(organization_id).get(origin, [])
        if key_id is not None:
            bound = [key for key in bound if key.id == self._changeable(organization_id, key_id).id]
        if not bound:
            raise NotFound(f"no key{'' if key_id is None else ' of this id'} is bound to {origin[:200]!r}",
                           field="origin", remedy="GET /v1/origins lists them")  # fmt: skip
        own = [key for key in bound if not key.from_config]
        if not own:
            _own(bound[0])
        for key in own:
            self._store.keys.rebind(organization_id, key.id, remove=origin)
        self._ring.refresh([key.id for key in own])

    # -- inside --

    def _changeable(self, organization_id: str, key_id: str) -> StoredKey:
        key = self.get(organization_id, key_id)
        _own(key)
        if key.revoked_at is not None:
            raise _revoked(key)
        return key

    def _now(self, changed: StoredKey | None, before: StoredKey) -> StoredKey:
        if changed is None:  # somebody was faster
            raise _revoked(before)
        self._ring.refresh([changed.id])
        return changed


def key_reused() -> Conflict:
    """The refusal of an Idempotency-Key that came with another wish."""
    return Conflict(
        "this Idempotency-Key was used before for something else",
        remedy="send a new key with a new wish, and the very same body when you repeat one",
        code="idempotency_key_reused",
    )


def _check(name: str, scopes: Collection[str], origins: Collection[str]) -> None:
    """Raises Invalid for what cannot be stored."""
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable() or not name.strip():
        raise Invalid(f"a key's name is 1 to {NAME_MAX} printable characters", field="name",
                      remedy="call it after the program or page that uses it")  # fmt: skip
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Invalid("a key needs at least one scope", field="scopes", remedy=f"give any of {', '.join(SCOPES)}")
    _check_origins(origins, field="origins")


def _check_origins(origins: Collection[str], *, field: str) -> None:
    if len(origins) > ORIGINS_MAX:
        raise Invalid(f"{len(origins)} origins are too many for one key; {ORIGINS_MAX} are possible", field=field,
                      remedy="make a key for each web app")  # fmt: skip
    for origin in origins:
        if len(origin) > 255 or not is_origin(origin):
            raise Invalid(f"{origin[:200]!r} is not a web origin", field=field,
                          remedy="write it as https://shop.example, in lower case and without a path")  # fmt: skip


def _own(key: Key) -> None:
    """Raises Conflict for a key that only the configuration can change."""
    if isinstance(key, StoredKey) and key.from_config:
        raise Conflict(f"key {key.name!r} is set up in this bridge's configuration", code="from_config",
                       remedy="change it there, under [[keys]]; then reload")  # fmt: skip


def _revoked(key: Key) -> Conflict:
    return Conflict(f"key {key.name!r} was revoked", code="revoked", remedy="make a new one")


def _last_admin(key: Key) -> Conflict:
    return Conflict(f"key {key.name!r} is the last one that may do everything", code="last_admin",
                    remedy="make another key with the scope admin first")  # fmt: skip
