"""Organizations, clients and devices: who there is, and what they own."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from bridge.model import Client, Device, Organization, new_id
from bridge.store.engine import Cursor, Engine

_ORGANIZATION = [f.name for f in fields(Organization)]
_CLIENT = [f.name for f in fields(Client)]
_DEVICE = [f.name for f in fields(Device)]
_SELECT_ORGANIZATION = f"SELECT {', '.join(_ORGANIZATION)} FROM organizations"
_SELECT_CLIENT = f"SELECT {', '.join(_CLIENT)} FROM clients"
_SELECT_DEVICE = f"SELECT {', '.join(_DEVICE)} FROM devices"
_MAY_USE = "(organization_id = ? OR id IN (SELECT device_id FROM shares WHERE organization_id = ?))"
_LENDING = (
    "SELECT client_id FROM devices JOIN shares ON device_id = devices.id WHERE shares.organization_id = :org"
)  # fmt: skip

T = TypeVar("T")


def _organization(row: tuple[Any, ...]) -> Organization:
    return Organization(**dict(zip(_ORGANIZATION, row, strict=True)))


def use_job(db: Cursor, organization_id: str, *, counted: bool) -> bool:
    """Count one job against the quota, unless that is used up: then False and nothing is counted.

    counted: also where there is no quota.
    """
    row = db.execute("SELECT jobs_quota, jobs_used FROM organizations WHERE id = ?", (organization_id,)).fetchone()
    quota, used = row if row is not None else (None, 0)
    if quota is not None and used >= quota:
        return False
    if counted or quota is not None:
        db.execute("UPDATE organizations SET jobs_used = jobs_used + 1 WHERE id = ?", (organization_id,))
    return True


def _client(row: tuple[Any, ...]) -> Client:
    values = dict(zip(_CLIENT, row, strict=True))
    values["is_self"] = bool(values["is_self"])
    return Client(**values)


def _device(row: tuple[Any, ...]) -> Device:
    values = dict(zip(_DEVICE, row, strict=True))
    values["from_config"] = bool(values["from_config"])
    values["paused"] = bool(values["paused"])
    return Device(**values)


def _one(row: tuple[Any, ...] | None, make: Any) -> Any:
    return make(row) if row else None


class Organizations:
    """Mostly one: this shop. An integrator's has sub-accounts (parent_id), a plan and a quota of jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def first(self) -> str | None:
        """The id of the organization this bridge was set up for."""
        row = self._engine.read().execute("SELECT id FROM organizations ORDER BY serial LIMIT 1").fetchone()
        return row[0] if row else None

    def get(self, organization_id: str) -> Organization | None:
        row = self._engine.read().execute(
            f"{_SELECT_ORGANIZATION} WHERE id = ?", (organization_id,)
        ).fetchone()  # fmt: skip
        found: Organization | None = _one(row, _organization)
        return found

    def listing(self, *, parent_id: str | None = None) -> list[Organization]:
        """All, or the sub-accounts of one, in the order in which they were made."""
        rows = self._engine.read().execute(
            f"{_SELECT_ORGANIZATION} WHERE :parent IS NULL OR parent_id = :parent ORDER BY serial",
            {"parent": parent_id},
        )
        return [_organization(row) for row in rows]

    def add(self, organization_id: str, name: str, **columns: Any) -> Organization:
        """A new one. columns: parent_id, plan, jobs_quota."""
        values = {"id": organization_id, "name": name, "created_at": time.time(), **columns}

        def work(db: Cursor) -> Organization:
            names = ", ".join(values)
            db.execute(f"INSERT INTO organizations ({names}) VALUES ({', '.join(f':{n}' for n in values)})", values)
            return _organization(
                db.execute(f"{_SELECT_ORGANIZATION} WHERE id = ?", (organization_id,)).fetchone()
            )  # fmt: skip

        return self._engine.write(work)

    def update(self, organization_id: str, **columns: Any) -> Organization | None:
        """Change some columns; None when there is no such organization."""

        def work(db: Cursor) -> Organization | None:
            if columns:
                sets = ", ".join(f"{name} = :{name}" for name in columns)
                db.execute(f"UPDATE organizations SET {sets} WHERE id = :_id", {**columns, "_id": organization_id})
            row = db.execute(f"{_SELECT_ORGANIZATION} WHERE id = ?", (organization_id,)).fetchone()
            found: Organization | None = _one(row, _organization)
            return found

        return self._engine.write(work)


class Clients:
    """Machines that run a bridge; this one among them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, organization_id: str, client_id: str) -> Client | None:
        row = self._engine.read().execute(
            f"{_SELECT_CLIENT} WHERE organization_id = ? AND id = ?", (organization_id, client_id)
        ).fetchone()  # fmt: skip
        found: Client | None = _one(row, _client)
        return found

    def me(self, organization_id: str) -> Client | None:
        """The client that is this machine."""
        row = self._engine.read().execute(
            f"{_SELECT_CLIENT} WHERE organization_id = ? AND is_self = 1", (organization_id,)
        ).fetchone()  # fmt: skip
        found: Client | None = _one(row, _client)
        return found

    def page(
        self, organization_id: str, *, hostname: str | None = None, lending: bool = False, limit: int = 20,
        offset: int = 0,
    ) -> tuple[list[Client], int]:  # fmt: skip
        """One page in order of registration, and the number of all. hostname: only those that begin with it.

        lending: also those of others, whose devices are lent to the organization.
        """
        wanted = {"org": organization_id, "host": _prefix(hostname), "limit": limit, "offset": offset}
        mine = f"(organization_id = :org OR id IN ({_LENDING}))" if lending else "organization_id = :org"
        where = f"{mine} AND (:host IS NULL OR hostname LIKE :host ESCAPE '\\')"
        db = self._engine.read()
        total = db.execute(f"SELECT count(*) FROM clients WHERE {where}", wanted).fetchone()[0]
        rows = db.execute(f"{_SELECT_CLIENT} WHERE {where} ORDER BY serial LIMIT :limit OFFSET :offset", wanted)
        return [_client(row) for row in rows], total

    def add(
        self,
        organization_id: str,
        hostname: str,
        *,
        client_id: str | None = None,
        ip_address: str | None = None,
        description: str | None = None,
        is_self: bool = False,
    ) -> Client:
        new = client_id or new_id()

        def work(db: Cursor) -> Client:
            db.execute(
                "INSERT INTO clients (id, organization_id, hostname, ip_address, description, created_at, is_self)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (new, organization_id, hostname, ip_address, description, time.time(), is_self),
            )
            return _client(db.execute(f"{_SELECT_CLIENT} WHERE id = ?", (new,)).fetchone())

        return self._engine.write(work)

    def update(self, organization_id: str, client_id: str, **columns: Any) -> Client | None:
        """Change some columns; None when there is no such client."""

        def work(db: Cursor) -> Client | None:
            _set(db, "clients", organization_id, client_id, columns)
            row = db.execute(
                f"{_SELECT_CLIENT} WHERE organization_id = ? AND id = ?", (organization_id, client_id)
            ).fetchone()
            found: Client | None = _one(row, _client)
            return found

        return self._engine.write(work)

    def agent(self, organization_id: str, hostname: str) -> Client | None:
        """Another machine of this name that has connected before: it told its version then."""
        row = self._engine.read().execute(
            f"{_SELECT_CLIENT} WHERE organization_id = ? AND hostname = ? AND is_self = 0 AND version IS NOT NULL"
            " ORDER BY serial LIMIT 1",
            (organization_id, hostname),
        ).fetchone()  # fmt: skip
        found: Client | None = _one(row, _client)
        return found

    def note(
        self, client: Client, connected: bool, text: str, *, seen: float | None, device_ids: Collection[str] = ()
    ) -> None:
        """Record that a machine has come or gone, which is told only when it is news.

        seen: when it was there last, Unix seconds. device_ids: printers that went with it.
        """
        now = time.time()

        def work(db: Cursor) -> None:
            is_news = db.execute(
                "UPDATE clients SET connected = ? WHERE id = ? AND connected != ?", (connected, client.id, connected)
            ).rowcount
            db.execute("UPDATE clients SET last_seen = ? WHERE id = ?", (seen, client.id))
            if is_news:
                state = "connected" if connected else "disconnected"
                _client_event(db, now, client.organization_id, client.id, state, text)
                for device_id in device_ids:
                    _printer_event(db, now, client.organization_id, device_id, "offline", text)

        self._engine.write(work)

    def connected(self) -> list[Client]:
        """The machines that were connected when that was last written down, also before a crash."""
        rows = self._engine.read().execute(f"{_SELECT_CLIENT} WHERE connected = 1 ORDER BY serial")
        return [_client(row) for row in rows]

    def seen(self, client_ids: Collection[str], now: float) -> set[str]:
        """Note signs of life, all in one write. Gives those that still exist."""

        def work(db: Cursor) -> set[str]:
            return {
                client_id for client_id in client_ids
                if db.execute("UPDATE clients SET last_seen = ? WHERE id = ?", (now, client_id)).rowcount
            }  # fmt: skip

        return self._engine.write(work)

    def delete(self, organization_id: str, client_id: str) -> None:
        """Forget a client and its devices. Its jobs stay in the history."""

        def work(db: Cursor) -> None:
            db.execute("DELETE FROM devices WHERE organization_id = ? AND client_id = ?", (organization_id, client_id))
            gone = db.execute(
                "DELETE FROM clients WHERE organization_id = ? AND id = ? RETURNING hostname, connected",
                (organization_id, client_id),
            ).fetchone()
            if gone is not None and gone[1]:
                _client_event(db, time.time(), organization_id, client_id, "disconnected", f"{gone[0]} was deleted")

        self._engine.write(work)


class Devices:
    """Printers. Those of this machine come from the configuration.

    Every job asks for its device, and they hardly ever change: what was read is remembered until the next write, also
    that there is no such device (a printer may be asked for by id or by name).
    """

    REMEMBERED = 1000  # answers; whoever asks for more is trying ids out

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[tuple[str | int, ...], Device | None] = {}

    def get(self, organization_id: str, device_id: str) -> Device | None:
        """A device of the organization, or one that is lent to it."""
        return self._one("id = ?", organization_id, device_id)

    def _one(self, where: str, *values: str | int) -> Device | None:
        """values: the organization first, then what `where` asks for."""
        known, asked = self._known, (where, *values)
        try:
            return known[asked]
        except KeyError:
            row = self._engine.read().execute(
                f"{_SELECT_DEVICE} WHERE {_MAY_USE} AND {where}", (values[0], *values)
            ).fetchone()  # fmt: skip
            if len(known) >= self.REMEMBERED:
                known.clear()
            # After a write this is the old dictionary, which nobody asks any more.
            found = known[asked] = None if row is None else _device(row)
            return found

    def _write(self, work: Callable[[Cursor], T]) -> T:
        return self._engine.write(work, then=self._forget)

    def _forget(self) -> None:
        self._known = {}

    def by_serial(self, organization_id: str, serial: int) -> Device | None:
        """The same by its number."""
        return self._one("serial = ?", organization_id, serial)

    def by_name(self, organization_id: str, client_id: str, name: str) -> Device | None:
        return self._one("client_id = ? AND name = ?", organization_id, client_id, name)

    def page(
        self,
        organization_id: str,
        *,
        client_id: str | None = None,
        device_type: int | None = None,
        name: str | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> tuple[list[Device], int]:
        """One page in order of registration, those that are lent to the organization included, and the number of all.

        name: only those that contain it.
        """
        wanted = {
            "org": organization_id, "client": client_id, "type": device_type, "name": _prefix(name, anywhere=True),
            "limit": limit, "offset": offset,
        }  # fmt: skip
        where = (
            f"{_MAY_USE.replace('?', ':org')} AND (:client IS NULL OR client_id = :client)"
            " AND (:type IS NULL OR device_type = :type) AND (:name IS NULL OR name LIKE :name ESCAPE '\\')"
        )
        db = self._engine.read()
        total = db.execute(f"SELECT count(*) FROM devices WHERE {where}", wanted).fetchone()[0]
        rows = db.execute(f"{_SELECT_DEVICE} WHERE {where} ORDER BY serial LIMIT :limit OFFSET :offset", wanted)
        return [_device(row) for row in rows], total

    def add(
        self,
        organization_id: str,
        client_id: str,
        name: str,
        *,
        device_id: str | None = None,
        device_type: int = 1,
        hardware_path: str | None = None,
        additional_info: str | None = None,
        from_config: bool = False,
    ) -> Device:
        """Raises sqlite3.IntegrityError when the client already has a device of that name, or the id is taken."""
        new = device_id or new_id()

        def work(db: Cursor) -> Device:
            db.execute(
                "INSERT INTO devices (id, organization_id, client_id, name, device_type, hardware_path,"
                " additional_info, created_at, from_config) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (new, organization_id, client_id, name, device_type, hardware_path, additional_info, time.time(),
                 from_config),
            )  # fmt: skip
            return _device(db.execute(f"{_SELECT_DEVICE} WHERE id = ?", (new,)).fetchone())

        return self._write(work)

    def update(self, organization_id: str, device_id: str, **columns: Any) -> Device | None:
        """Change some columns; None when there is no such device."""

        def work(db: Cursor) -> Device | None:
            _set(db, "devices", organization_id, device_id, columns)
            row = db.execute(
                f"{_SELECT_DEVICE} WHERE organization_id = ? AND id = ?", (organization_id, device_id)
            ).fetchone()
            found: Device | None = _one(row, _device)
            return found

        return self._write(work)

    def seen_closing(self, device: Device, closed: bool) -> None:
        """Remember how this printer's side of a connection ended. Not waited for."""
        column = "closings" if closed else "left_open"
        self._engine.submit(
            lambda db: db.execute(
                f"UPDATE devices SET {column} = {column} + 1 WHERE organization_id = ? AND id = ?",
                (device.organization_id, device.id),
            ),
            then=self._forget,
        )

    def remember_talk(self, device: Device, talk: str) -> None:
        """Keep what was learnt of a printer's answers to status questions. Not waited for."""
        self._engine.submit(
            lambda db: db.execute(
                "UPDATE devices SET talk = ? WHERE organization_id = ? AND id = ?",
                (talk, device.organization_id, device.id),
            ),
            then=self._forget,
        )

    def report(
        self, client: Client, told: Mapping[str, str], away: Callable[[str | None], str | None], *,
        state: Callable[[str | None], str], new: bool = True,
    ) -> list[Device]:  # fmt: skip
        """What a machine says of its printers: new ones are added, those it does not name are marked, all in one write.

        told: name -> JSON for `reported`. away: `reported` of one that was not named, None when it needs no change.
        state: the one word in it that tells how the printer is. new: the machine has just come, and whoever listens
        takes its printers for offline. Gives the printers that were named.
        """

        def work(db: Cursor) -> list[Device]:
            rows = db.execute(f"{_SELECT_DEVICE} WHERE client_id = ?", (client.id,)).fetchall()
            known = {device.name: device for device in map(_device, rows)}
            for name, reported in told.items():
                if name not in known:
                    db.execute(
                        "INSERT INTO devices (id, organization_id, client_id, name, created_at, reported)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (new_id(), client.organization_id, client.id, name, time.time(), reported),
                    )
                elif known[name].reported != reported:
                    db.execute("UPDATE devices SET reported = ? WHERE id = ?", (reported, known[name].id))
            for device in known.values():
                if device.name not in told and (marked := away(device.reported)) is not None:
                    db.execute("UPDATE devices SET reported = ? WHERE id = ?", (marked, device.id))
                    self._told(db, device, state(marked), f"{client.hostname} does not name it any more")
            rows = db.execute(f"{_SELECT_DEVICE} WHERE client_id = ? ORDER BY serial", (client.id,)).fetchall()
            named = [device for device in map(_device, rows) if device.name in told]
            for device in named:
                earlier = known.get(device.name)
                if new or earlier is None or state(earlier.reported) != state(device.reported):
                    self._told(db, device, state(device.reported), f"{client.hostname} says so")
            return named

        return self._write(work)

    def _told(self, db: Cursor, device: Device, state: str, text: str) -> None:
        _printer_event(db, time.time(), device.organization_id, device.id, state, text)

    def note(self, device: Device, state: str, text: str) -> None:
        """Record a change a worker saw in its printer. Not waited for."""
        now = time.time()
        self._engine.submit(
            lambda db: _printer_event(db, now, device.organization_id, device.id, state, text)
        )

    def pause(self, organization_id: str, device_id: str, reason: str | None) -> Device | None:
        """Pause (reason given, may be empty) or resume (None). Leaves an event."""
        paused = reason is not None

        def work(db: Cursor) -> Device | None:
            _set(db, "devices", organization_id, device_id, {"paused": paused, "pause_reason": reason})
            row = db.execute(
                f"{_SELECT_DEVICE} WHERE organization_id = ? AND id = ?", (organization_id, device_id)
            ).fetchone()
            if row is None:
                return None
            told = "paused" if paused else "resumed"
            _printer_event(db, time.time(), organization_id, device_id, told, reason or "")
            return _device(row)

        return self._write(work)

    def delete(self, organization_id: str, device_id: str) -> None:
        """Forget a device of the organization, and to whom it was lent."""

        def work(db: Cursor) -> None:
            gone = db.execute("DELETE FROM devices WHERE organization_id = ? AND id = ?", (organization_id, device_id))
            if gone.rowcount:
                db.execute("DELETE FROM shares WHERE device_id = ?", (device_id,))

        self._write(work)

    # -- lending --

    def lend(self, device_id: str, organization_id: str, lent: bool) -> None:
        """Let another organization print on a device, or not any more."""

        def work(db: Cursor) -> None:
            db.execute("DELETE FROM shares WHERE device_id = ? AND organization_id = ?", (device_id, organization_id))
            if lent:
                db.execute(
                    "INSERT INTO shares (device_id, organization_id, created_at) VALUES (?, ?, ?)",
                    (device_id, organization_id, time.time()),
                )

        self._write(work)


def _client_event(db: Cursor, at: float, organization_id: str, client_id: str, state: str, text: str) -> None:
    db.execute(
        "INSERT INTO events (at, organization_id, client_id, kind, state, text) VALUES (?, ?, ?, 'client', ?, ?)",
        (at, organization_id, client_id, state, text),
    )


def _printer_event(db: Cursor, at: float, organization_id: str, device_id: str, state: str, text: str) -> None:
    db.execute(
        "INSERT INTO events (at, organization_id, device_id, kind, state, text) VALUES (?, ?, ?, 'printer', ?, ?)",
        (at, organization_id, device_id, state, text),
    )


def _set(db: Cursor, table: str, organization_id: str, row_id: str, columns: dict[str, Any]) -> None:
    if columns:
        sets = ", ".join(f"{c} = :{c}" for c in columns)
        db.execute(
            f"UPDATE {table} SET {sets} WHERE organization_id = :_org AND id = :_id",
            {**columns, "_org": organization_id, "_id": row_id},
        )


def _prefix(text: str | None, *, anywhere: bool = False) -> str | None:
    """A LIKE pattern; the wild cards in `text` are meant literally."""
    if text is None:
        return None
    plain = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{'%' if anywhere else ''}{plain}%"
