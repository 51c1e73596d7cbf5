"""API keys, by the SHA-256 of their text. A revoked key stays in the table: its jobs still know whose they are."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridge.model import Key, new_id
from bridge.store.engine import Cursor, Engine
from bridge.store.made import Making, earlier, note

ADMIN = "admin"
_COLUMNS = "id, organization_id, name, sha256, scopes, origins, created_at, revoked_at"


@dataclass(frozen=True, slots=True)
class StoredKey(Key):
    """A key and where it came from. from_config: [[keys]] of the configuration, which alone may change it."""

    from_config: bool = False


class LastAdmin(Exception):
    """Without this key nobody could do everything any more."""


class Keys:
    """The table of keys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- reading --

    def active(self) -> list[Key]:
        """Every key that still opens something, of all organizations."""
        rows = self._engine.read().execute(f"SELECT {_COLUMNS} FROM keys WHERE revoked_at IS NULL ORDER BY serial")
        return [Key(*_values(row)) for row in rows]

    def listing(self, organization_id: str) -> list[StoredKey]:
        """All of them, revoked ones too, in the order in which they were made."""
        rows = self._engine.read().execute(
            f"SELECT {_COLUMNS}, from_config FROM keys WHERE organization_id = ? ORDER BY serial", (organization_id,)
        )
        return [StoredKey(*_values(row)) for row in rows]

    def get(self, organization_id: str, key_id: str) -> StoredKey | None:
        return _get(self._engine.read(), organization_id, key_id)

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
        making: Making | None,
    ) -> tuple[StoredKey, bool]:  # fmt: skip
        """A new key and True, or the one that was made for the same Idempotency-Key and False. Raises KeyReused."""
        key = _new(organization_id, name, sha256, scopes, origins)

        def work(db: Cursor) -> tuple[StoredKey, bool]:
            first = earlier(db, organization_id, making) if making is not None else None
            if first is None:
                _insert(db, key, False)
                if making is not None:
                    note(db, organization_id, making, key.id)
            stored = _get(db, organization_id, first or key.id)
            assert stored is not None  # keys that were made here are never deleted
            return stored, first is None

        return self._engine.write(work)

    def change(
        self, organization_id: str, key_id: str, *, name: str | None = None, scopes: Iterable[str] | None = None,
        origins: Iterable[str] | None = None,
    ) -> StoredKey | None:  # fmt: skip
        """Change what is given. None when there is no such active key. Raises LastAdmin."""
        columns = {"name": name, "scopes": _joined(scopes), "origins": _joined(origins)}
        return self._change(organization_id, key_id, {k: v for k, v in columns.items() if v is not None})

    def revoke(self, organization_id: str, key_id: str) -> StoredKey | None:
        """The key opens nothing any more. None when there is no such active key. Raises LastAdmin."""
        return self._change(organization_id, key_id, {"revoked_at": time.time()})

    def rebind(self, organization_id: str, key_id: str, *, add: str = "", remove: str = "") -> StoredKey | None:
        """Bind a key to one more origin, or to one less. None when there is no such active key."""

        def work(db: Cursor) -> StoredKey | None:
            key = _get(db, organization_id, key_id)
            if key is None or key.revoked_at is not None:
                return None
            origins = key.origins - {remove} | ({add} if add else set())
            _update(db, key_id, {"origins": _joined(origins)})
            return _get(db, organization_id, key_id)

        return self._engine.write(work)

    def _change(self, organization_id: str, key_id: str, columns: dict[str, Any]) -> StoredKey | None:
        def work(db: Cursor) -> StoredKey | None:
            key = _get(db, organization_id, key_id)
            if key is None or key.revoked_at is not None:
                return None
            _update(db, key_id, columns)
            if ADMIN in key.scopes and not _has_admin(db, organization_id):
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
                _insert(db, key, True, replace=True)

        self._engine.write(work)


_REPLACE = (
    " ON CONFLICT (sha256) DO UPDATE SET name = excluded.name, scopes = excluded.scopes, origins = excluded.origins,"
    " from_config = excluded.from_config, revoked_at = NULL"
)


def _insert(db: Cursor, key: Key, from_config: bool, *, replace: bool = False) -> None:
    db.execute(
        "INSERT INTO keys (id, organization_id, name, sha256, scopes, origins, from_config, created_at)"
        f" VALUES (?, ?, ?, ?, ?, ?, ?, ?){_REPLACE if replace else ''}",
        (key.id, key.organization_id, key.name, key.sha256, _joined(key.scopes), _joined(key.origins), from_config,
         key.created_at),
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


def _has_admin(db: Cursor, organization_id: str) -> bool:
    rows = db.execute(
        "SELECT scopes FROM keys WHERE organization_id = ? AND revoked_at IS NULL", (organization_id,)
    ).fetchall()
    return any(ADMIN in scopes.split() for (scopes,) in rows)


def _new(organization_id: str, name: str, sha256: str, scopes: Iterable[str], origins: Iterable[str]) -> Key:
    return Key(new_id(), organization_id, name, sha256, frozenset(scopes), frozenset(origins), created_at=time.time())


def _joined(words: Iterable[str] | None) -> str | None:
    return None if words is None else " ".join(sorted(words))


def _values(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The columns of a Key or StoredKey, in the order of its fields."""
    return (*row[:4], frozenset(row[4].split()), frozenset(row[5].split()), *row[6:8], *map(bool, row[8:]))
