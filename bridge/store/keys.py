"""API keys, by the SHA-256 of their text. A revoked key stays in the table: its jobs still know whose they are."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from bridge.model import RAW_GRANTS, Key, Raw, new_id
from bridge.store.engine import Cursor, Engine
from bridge.store.made import Making, earlier, note

ADMIN = "admin"
_COLUMNS = (
    "id, organization_id, name, sha256, scopes, origins, created_at, revoked_at, raw, drawer, kind, user_id, expires_at"
)


@dataclass(frozen=True, slots=True)
class StoredKey(Key):
    """A key and where it came from. from_config: [[keys]] of the configuration, which alone may change it."""

    from_config: bool = False


class LastAdmin(Exception):
    """Without this key nobody could do everything any more."""


class TooManyKeys(Exception):
    """The organization has as many keys of this kind as it may have."""


class Keys:
    """The table of keys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- reading --

    def active(self, key_ids: Collection[str] | None = None) -> list[Key]:
        """Every key that still opens something, of all organizations that are not switched off; or those of these ids.

        A user's key ends with its user. What is over by now is not among them.
        """
        asked = "" if key_ids is None else f" AND k.id IN ({', '.join('?' * len(key_ids))})"
        columns = ", ".join(f"k.{name}" for name in _COLUMNS.split(", "))
        rows = self._engine.read().execute(
            f"SELECT {columns}, CASE WHEN u.disabled_at IS NULL THEN u.expires_at ELSE 0 END FROM keys k"
            " JOIN organizations o ON o.id = k.organization_id LEFT JOIN users u ON u.id = k.user_id"
            f" WHERE k.revoked_at IS NULL AND o.disabled_at IS NULL{asked} ORDER BY k.serial",
            tuple(key_ids or ()),
        )
        now = time.time()
        keys = (_until(Key(*_values(row[:-1])), row[-1]) for row in rows)
        return [key for key in keys if key.expires_at is None or key.expires_at > now]

    def of_user(self, user_id: str) -> list[str]:
        """The ids of all keys of a user."""
        return [row[0] for row in self._engine.read().execute("SELECT id FROM keys WHERE user_id = ?", (user_id,))]

    def listing(self, organization_id: str) -> list[StoredKey]:
        """All of them, revoked ones too, in the order in which they were made."""
        rows = self._engine.read().execute(
            f"SELECT {_COLUMNS}, from_config FROM keys WHERE organization_id = ? ORDER BY serial", (organization_id,)
        )
        return [StoredKey(*_values(row)) for row in rows]

    def get(self, organization_id: str, key_id: str) -> StoredKey | None:
        return _get(self._engine.read(), organization_id, key_id)

    def home_of(self, key_id: str) -> str | None:
        """The organization a key belongs to."""
        row = self._engine.read().execute("SELECT organization_id FROM keys WHERE id = ?", (key_id,)).fetchone()
        return row[0] if row else None

    # -- changing --

    def add(
        self, organization_id: str, name: str, sha256: str, scopes: Iterable[str], origins: Iterable[str] = (),
        *, from_config: bool = False,
    ) -> Key:  # fmt: skip
        """A new key. Raises sqlite3.IntegrityError when there is one with this text."""
        key = _new(organization_id, name, sha256, scopes, origins)
        self._engine.write(lambda db: _insert(db, key, from_config))
        return key

    def create(
        self, organization_id: str, name: str, sha256: str, scopes: Iterable[str], origins: Iterable[str],
        making: Making | None, *, raw: Raw | None = None, drawer: bool | None = None, kind: str = "",
        user_id: str | None = None, expires_at: float | None = None, at_most: int | None = None,
    ) -> tuple[StoredKey, bool]:  # fmt: skip
        """A new key and True, or the one that was made for the same Idempotency-Key and False.

        at_most: keys of this kind the organization may have. Raises KeyReused, TooManyKeys.
        """
        key = replace(
            _new(organization_id, name, sha256, scopes, origins), raw=raw, drawer=drawer, kind=kind, user_id=user_id,
            expires_at=expires_at,
        )  # fmt: skip

        def work(db: Cursor) -> tuple[StoredKey, bool]:
            first = earlier(db, organization_id, making) if making is not None else None
            if first is None:
                if at_most is not None and _how_many(db, organization_id, kind) >= at_most:
                    raise TooManyKeys
                _insert(db, key, False)
                if making is not None:
                    note(db, organization_id, making, key.id)
            stored = _get(db, organization_id, first or key.id)
            assert stored is not None  # keys that were made here are never deleted
            return stored, first is None

        return self._engine.write(work)

    def issue(self, key: Key) -> None:
        """Store a key or token that was made elsewhere. Raises sqlite3.IntegrityError when its text is known."""
        self._engine.write(lambda db: _insert(db, key, False))

    def revoke_of(self, user_id: str) -> None:
        """Every key of a user opens nothing any more."""
        self._engine.write(
            lambda db: db.execute(
                "UPDATE keys SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL", (time.time(), user_id)
            )
        )

    def trim(self, user_id: str, kind: str, keep: int) -> list[str]:
        """Forget a user's keys of one kind, all but the newest. Their ids."""
        gone = self._engine.write(
            lambda db: db.execute(
                "DELETE FROM keys WHERE user_id = :user AND kind = :kind AND serial NOT IN (SELECT serial FROM keys"
                " WHERE user_id = :user AND kind = :kind ORDER BY serial DESC LIMIT :keep) RETURNING id",
                {"user": user_id, "kind": kind, "keep": keep},
            ).fetchall()
        )
        return [key_id for (key_id,) in gone]

    def sweep(self, before: float) -> int:
        """Forget tokens that expired before `before` (Unix seconds). How many."""
        return self._engine.write(
            lambda db: db.execute("DELETE FROM keys WHERE expires_at < ? AND kind != ''", (before,)).rowcount
        )

    def change(
        self, organization_id: str, key_id: str, *, name: str | None = None, scopes: Iterable[str] | None = None,
        origins: Iterable[str] | None = None, raw: Raw | None = None, drawer: bool | None = None,
    ) -> StoredKey | None:  # fmt: skip
        """Change what is given. None when there is no such active key. Raises LastAdmin."""
        columns = {
            "name": name, "scopes": _joined(scopes), "origins": _joined(origins), "raw": raw, "drawer": drawer,
        }  # fmt: skip
        return self._change(organization_id, key_id, {k: v for k, v in columns.items() if v is not None})

    def revoke(self, organization_id: str, key_id: str) -> StoredKey | None:
        """The key opens nothing any more. None when there is no such active key. Raises LastAdmin."""
        return self._change(organization_id, key_id, {"revoked_at": time.time()})

    def rebind(self, organization_id: str, key_id: str, *, add: str = "", remove: str = "") -> StoredKey | None:
        """Bind a key to one more origin, or to one less. None when there is no such active key.

        With its last origin a key is over: its text stands in a page for everybody to read, and as a program's key it
        would open more than before. One that may do everything anyway goes on.
        """

        def work(db: Cursor) -> StoredKey | None:
            key = _get(db, organization_id, key_id)
            if key is None or key.revoked_at is not None:
                return None
            origins = key.origins - {remove} | ({add} if add else set())
            is_over = remove in key.origins and not origins and ADMIN not in key.scopes
            _update(db, key_id, {"origins": _joined(origins), **({"revoked_at": time.time()} if is_over else {})})
            return _get(db, organization_id, key_id)

        return self._engine.write(work)

    def _change(self, organization_id: str, key_id: str, columns: dict[str, Any]) -> StoredKey | None:
        def work(db: Cursor) -> StoredKey | None:
            key = _get(db, organization_id, key_id)
            if key is None or key.revoked_at is not None:
                return None
            _update(db, key_id, columns)
            if ADMIN in key.scopes and key.expires_at is None and _is_locked_out(db, organization_id):
                raise LastAdmin  # and the engine takes the change back
            return _get(db, organization_id, key_id)

        return self._engine.write(work)

    def sync_config(self, organization_id: str, wanted: list[Key]) -> None:
        """Make the keys that came from the configuration exactly `wanted`. One transaction.

        A key that was here before keeps its id and its date; one that was made here, or revoked, is now the
        configuration's.
        """

        def work(db: Cursor) -> None:
            rows = db.execute(
                "SELECT sha256 FROM keys WHERE organization_id = ? AND from_config = 1", (organization_id,)
            ).fetchall()
            for (sha256,) in rows:
                if sha256 not in {key.sha256 for key in wanted}:
                    db.execute("DELETE FROM keys WHERE sha256 = ?", (sha256,))
            for key in wanted:
                _insert(db, key, True, overwrite=True)

        self._engine.write(work)


_REPLACE = (
    " ON CONFLICT (sha256) DO UPDATE SET name = excluded.name, scopes = excluded.scopes, origins = excluded.origins,"
    " raw = excluded.raw, drawer = excluded.drawer, from_config = excluded.from_config, revoked_at = NULL"
)


def _insert(db: Cursor, key: Key, from_config: bool, *, overwrite: bool = False) -> None:
    db.execute(
        "INSERT INTO keys (id, organization_id, name, sha256, scopes, origins, from_config, created_at, raw, drawer,"
        f" kind, user_id, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?){_REPLACE if overwrite else ''}",
        (key.id, key.organization_id, key.name, key.sha256, _joined(key.scopes), _joined(key.origins), from_config,
         key.created_at, key.raw or "", key.drawer, key.kind, key.user_id, key.expires_at),
    )  # fmt: skip


def _update(db: Cursor, key_id: str, columns: dict[str, Any]) -> None:
    if columns:
        sets = ", ".join(f"{column} = :{column}" for column in columns)
        db.execute(f"UPDATE keys SET {sets} WHERE id = :_id", {**columns, "_id": key_id})


def _get(db: Cursor, organization_id: str, key_id: str) -> StoredKey | None:
    row = db.execute(
        f"SELECT {_COLUMNS}, from_config FROM keys WHERE organization_id = ? AND id = ?", (organization_id, key_id)
    ).fetchone()
    return StoredKey(*_values(row)) if row else None


def _is_locked_out(db: Cursor, organization_id: str) -> bool:
    """Whether nobody may do everything any more. Of another organization the bridge's own can always make a new key."""
    rows = db.execute(
        "SELECT scopes FROM keys WHERE organization_id = ? AND revoked_at IS NULL AND expires_at IS NULL",
        (organization_id,),
    ).fetchall()
    first = db.execute("SELECT id FROM organizations ORDER BY serial LIMIT 1").fetchone()
    return first == (organization_id,) and not any(ADMIN in scopes.split() for (scopes,) in rows)


def _how_many(db: Cursor, organization_id: str, kind: str) -> int:
    """Keys of a kind that open something, as far as the table tells."""
    count: int = db.execute(
        "SELECT count(*) FROM keys WHERE organization_id = ? AND kind = ? AND revoked_at IS NULL"
        " AND (expires_at IS NULL OR expires_at > ?)",
        (organization_id, kind, time.time()),
    ).fetchone()[0]
    return count


def _until(key: Key, end: float | None) -> Key:
    """The key, over no later than its user, who is over at `end` (Unix seconds; None: never)."""
    if end is None or (key.expires_at is not None and key.expires_at <= end):
        return key
    return replace(key, expires_at=end)


def _new(organization_id: str, name: str, sha256: str, scopes: Iterable[str], origins: Iterable[str]) -> Key:
    return Key(new_id(), organization_id, name, sha256, frozenset(scopes), frozenset(origins), created_at=time.time())


def _joined(words: Iterable[str] | None) -> str | None:
    return None if words is None else " ".join(sorted(words))


def _values(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The columns of a Key or StoredKey, in the order of its fields."""
    drawer = None if row[9] is None else bool(row[9])
    return (*row[:4], frozenset(row[4].split()), frozenset(row[5].split()), *row[6:8], _raw(row[8]), drawer,
            *row[10:13], *map(bool, row[13:]))  # fmt: skip


def _raw(text: str) -> Raw | None:
    """None for "", which is as usual; what this version does not know allows no printer code."""
    return next((raw for raw in RAW_GRANTS if raw == text), "documents") if text else None
