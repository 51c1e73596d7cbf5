"""credentials.json: what a program on this machine needs to talk to this bridge. Made at the first run.

The file is written before the database: a power cut in between leaves a file whose ids and key the next start takes up.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bridge.access import sealed
from bridge.access.keys import digest, new_key, warn_if_shared
from bridge.config import ConfigError
from bridge.model import new_id
from bridge.store import Store

SCOPES = frozenset({"admin", "jobs", "printers"})  # admin includes print and read
"""What the first key may do: everything."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The content of the file. url: where the bridge listens."""

    organization_id: str
    api_key: str
    client_id: str
    url: str

    def __repr__(self) -> str:
        return f"Credentials({self.organization_id}, client {self.client_id}, {self.url})"  # never the key


def load(path: Path) -> Credentials | None:
    """What the file says, None when there is none. Raises ConfigError when it cannot be understood."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        found = Credentials(**{name: raw[name] for name in Credentials.__slots__})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} cannot be used ({type(error).__name__}: {error});"
            " restore it, or move it away to go on without its key"
        ) from error
    if not all(isinstance(value, str) for value in asdict(found).values()):
        raise ConfigError(f"{path} cannot be used: every value must be text")
    warn_if_shared(path)
    return found


def write(path: Path, credentials: Credentials) -> None:
    """Replace the file."""
    sealed.write(path, asdict(credentials))


def first_run(
    store: Store, path: Path, *, hostname: str, url: str, organization_id: str | None = None
) -> Credentials:
    """This bridge's organization, client and first key: made at the first start, the same at every later one.

    url: where the bridge listens this time. organization_id: the one it is to work for, if that is not its own
    choice. A first key that was revoked is replaced by a new one, so revoking it and starting again is how it is
    changed. Raises ConfigError when the file is another bridge's, or another organization's.
    """
    known = load(path)
    has = store.organizations.first() or (known.organization_id if known else None)
    if organization_id is not None and has not in (None, organization_id):
        raise ConfigError(f"[server] organization_id is {organization_id}, but {path.parent} belongs to {has}; "
                          "start with another --data folder, or take the key out")  # fmt: skip
    if known is None and organization_id is not None and has is None:
        known = Credentials(organization_id, new_key(), new_id(), url)
        write(path, known)
    wanted = _wanted(store, known, path, url)
    if wanted != known:
        write(path, wanted)
    if store.organizations.first() is None:
        store.organizations.add(wanted.organization_id, hostname)
    if store.clients.me(wanted.organization_id) is None:
        store.clients.add(wanted.organization_id, hostname, client_id=wanted.client_id, ip_address="127.0.0.1",
                          is_self=True)  # fmt: skip
    if not _opens(store, wanted):
        wanted = replace(wanted, api_key=new_key())
        write(path, wanted)
        _opens(store, wanted)
    return wanted


def _wanted(store: Store, known: Credentials | None, path: Path, url: str) -> Credentials:
    """What the file has to say: what the database knows, then what the file said, then something new."""
    organization_id = store.organizations.first()
    if organization_id is None:
        return replace(known, url=url) if known else Credentials(new_id(), new_key(), new_id(), url)
    if known is not None and known.organization_id != organization_id:
        raise ConfigError(f"{path} is another bridge's (organization {known.organization_id}, the database has"
                          f" {organization_id}); move it away to get a new one")  # fmt: skip
    me = store.clients.me(organization_id)
    client_id = me.id if me else known.client_id if known else new_id()
    return Credentials(organization_id, known.api_key if known else new_key(), client_id, url)


def _opens(store: Store, credentials: Credentials) -> bool:
    """Whether the first key opens anything. Added when the database has never heard of it; False when revoked."""
    sha256 = digest(credentials.api_key)
    if any(key.sha256 == sha256 for key in store.keys.active()):
        return True
    try:
        store.keys.add(credentials.organization_id, "first-run key", sha256, SCOPES)
    except sqlite3.IntegrityError:
        return False
    return True
