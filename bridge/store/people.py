"""Users, groups and cards: who there is in an organization."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from bridge.model import Card, Group, User, new_id
from bridge.store.engine import Cursor, Engine

_USER = ", ".join(f.name for f in fields(User))
_GROUP = ", ".join(f.name for f in fields(Group))
_CARD = ", ".join(f.name for f in fields(Card))


class Users:
    """The table of users. An e-mail address is one person's, in all organizations; it is kept in lower case."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, organization_id: str, user_id: str) -> User | None:
        return self._one("organization_id = ? AND id = ?", organization_id, user_id)

    def by_email(self, email: str) -> User | None:
        """Whoever has this address, in whatever organization."""
        return self._one("email = ?", email.lower())

    def by_serial(self, organization_id: str, serial: int) -> User | None:
        return self._one("organization_id = ? AND serial = ?", organization_id, serial)

    def _one(self, where: str, *values: Any) -> User | None:
        row = self._engine.read().execute(f"SELECT {_USER} FROM users WHERE {where}", values).fetchone()
        return User(*row) if row else None

    def home_of(self, user_id: str) -> str | None:
        """The organization a user belongs to."""
        row = self._engine.read().execute("SELECT organization_id FROM users WHERE id = ?", (user_id,)).fetchone()
        return row[0] if row else None

    def page(
        self, organization_id: str, *, q: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[User], int]:
        """One page in the order in which they were made, and how many there are. q: a part of a name or address."""
        where = (
            "organization_id = :org AND (:q IS NULL OR instr(lower(name), lower(:q)) OR instr(email, lower(:q)))"
        )
        wanted = {"org": organization_id, "q": q, "limit": limit, "offset": offset}
        db = self._engine.read()
        total = db.execute(f"SELECT count(*) FROM users WHERE {where}", wanted).fetchone()[0]
        rows = db.execute(
            f"SELECT {_USER} FROM users WHERE {where} ORDER BY serial LIMIT :limit OFFSET :offset", wanted
        )
        return [User(*row) for row in rows], total

    def add(self, organization_id: str, **columns: Any) -> User:
        """A new one. Raises sqlite3.IntegrityError when the e-mail address, or the id, is somebody's already."""
        values = {"id": new_id(), "organization_id": organization_id, "created_at": time.time(), **columns}

        def work(db: Cursor) -> User:
            names = ", ".join(values)
            db.execute(f"INSERT INTO users ({names}) VALUES ({', '.join(f':{n}' for n in values)})", values)
            return User(*db.execute(f"SELECT {_USER} FROM users WHERE id = ?", (values["id"],)).fetchone())

        return self._engine.write(work)

    def update(self, organization_id: str, user_id: str, **columns: Any) -> User | None:
        """Change some columns; None when there is no such user. Raises sqlite3.IntegrityError like add."""

        def work(db: Cursor) -> User | None:
            if columns:
                sets = ", ".join(f"{name} = :{name}" for name in columns)
                db.execute(
                    f"UPDATE users SET {sets} WHERE organization_id = :_org AND id = :_id",
                    {**columns, "_org": organization_id, "_id": user_id},
                )
            row = db.execute(
                f"SELECT {_USER} FROM users WHERE organization_id = ? AND id = ?", (organization_id, user_id)
            ).fetchone()
            return User(*row) if row else None

        return self._engine.write(work)

    def delete(self, organization_id: str, user_id: str) -> bool:
        """Forget a user, with cards, memberships and tokens. False when there is none."""

        def work(db: Cursor) -> bool:
            gone = db.execute("DELETE FROM users WHERE organization_id = ? AND id = ?", (organization_id, user_id))
            if gone.rowcount:
                db.execute("DELETE FROM group_members WHERE user_id = ?", (user_id,))
                db.execute("DELETE FROM cards WHERE user_id = ?", (user_id,))
                db.execute(
                    "UPDATE keys SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL", (time.time(), user_id)
                )
            return bool(gone.rowcount)

        return self._engine.write(work)


class Groups:
    """The tables of groups and of who is in them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, organization_id: str, group_id: str) -> Group | None:
        row = self._engine.read().execute(
            f"SELECT {_GROUP} FROM groups WHERE organization_id = ? AND id = ?", (organization_id, group_id)
        ).fetchone()  # fmt: skip
        return Group(*row) if row else None

    def home_of(self, group_id: str) -> str | None:
        """The organization a group belongs to."""
        row = self._engine.read().execute("SELECT organization_id FROM groups WHERE id = ?", (group_id,)).fetchone()
        return row[0] if row else None

    def listing(self, organization_id: str) -> list[Group]:
        rows = self._engine.read().execute(
            f"SELECT {_GROUP} FROM groups WHERE organization_id = ? ORDER BY serial", (organization_id,)
        )
        return [Group(*row) for row in rows]

    def add(
        self, organization_id: str, name: str, external_id: str | None = None, *, group_id: str | None = None
    ) -> Group:
        """A new one. Raises sqlite3.IntegrityError when the organization has one of that name, or the id is taken."""
        group_id = group_id or new_id()

        def work(db: Cursor) -> Group:
            db.execute(
                "INSERT INTO groups (id, organization_id, name, external_id, created_at) VALUES (?, ?, ?, ?, ?)",
                (group_id, organization_id, name, external_id, time.time()),
            )
            return Group(*db.execute(f"SELECT {_GROUP} FROM groups WHERE id = ?", (group_id,)).fetchone())

        return self._engine.write(work)

    def delete(self, organization_id: str, group_id: str) -> bool:
        """Forget a group; its members stay. False when there is none."""

        def work(db: Cursor) -> bool:
            gone = db.execute("DELETE FROM groups WHERE organization_id = ? AND id = ?", (organization_id, group_id))
            if gone.rowcount:
                db.execute("DELETE FROM group_members WHERE group_id = ?", (group_id,))
            return bool(gone.rowcount)

        return self._engine.write(work)

    def members(self, group_id: str) -> list[str]:
        """The ids of the users in a group."""
        rows = self._engine.read().execute("SELECT user_id FROM group_members WHERE group_id = ?", (group_id,))
        return [row[0] for row in rows]

    def of_user(self, user_id: str) -> list[str]:
        """The ids of the groups a user is in."""
        rows = self._engine.read().execute("SELECT group_id FROM group_members WHERE user_id = ?", (user_id,))
        return [row[0] for row in rows]

    def put(self, user_id: str, group_ids: Iterable[str]) -> None:
        """A user is in these groups, and in no others."""
        wanted = sorted(set(group_ids))

        def work(db: Cursor) -> None:
            db.execute("DELETE FROM group_members WHERE user_id = ?", (user_id,))
            for group_id in wanted:
                db.execute("INSERT INTO group_members (group_id, user_id) VALUES (?, ?)", (group_id, user_id))

        self._engine.write(work)


class Cards:
    """The table of cards. Numbers are compared by whoever can hash them: access.people."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listing(self, organization_id: str, user_id: str | None = None) -> list[Card]:
        rows = self._engine.read().execute(
            f"SELECT {_CARD} FROM cards WHERE organization_id = :org AND (:user IS NULL OR user_id = :user)"
            " ORDER BY serial",
            {"org": organization_id, "user": user_id},
        )
        return [Card(*row) for row in rows]

    def add(
        self, organization_id: str, user_id: str, salt: str, hash_: str, *, card_id: str | None = None
    ) -> Card:  # fmt: skip
        card_id = card_id or new_id()

        def work(db: Cursor) -> Card:
            db.execute(
                "INSERT INTO cards (id, organization_id, user_id, salt, hash, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (card_id, organization_id, user_id, salt, hash_, time.time()),
            )
            return Card(*db.execute(f"SELECT {_CARD} FROM cards WHERE id = ?", (card_id,)).fetchone())

        return self._engine.write(work)

    def delete(self, organization_id: str, card_id: str) -> bool:
        """False when there is none."""
        return self._engine.write(
            lambda db: bool(
                db.execute(
                    "DELETE FROM cards WHERE organization_id = ? AND id = ?", (organization_id, card_id)
                ).rowcount
            )
        )
