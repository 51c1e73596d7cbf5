"""API keys: how they are made, kept in mind, and read out of a request.

A key is 256 random bits, so one SHA-256 is all the hashing it needs; slow hashes are for what people can remember.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import secrets
import stat
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, KeysView, Sequence
from pathlib import Path

from bridge.access.redact import remember
from bridge.config import ConfigError, KeyConfig
from bridge.errors import Forbidden, Unauthorized
from bridge.model import Key, Principal
from bridge.store import Store

log = logging.getLogger(__name__)

PREFIX = "pb_"  # lets people and secret scanners see what it is
KEY_MAX = 512  # characters of anything that may call itself a key
BASIC_MAX = 2048  # characters of base64
_KEY_IDS = uuid.UUID("6a7cb27c-2a4b-5d0e-9f53-0c1f5b1f9a10")

_HOW = {
    "basic-key": "HTTP Basic (user: the key, no password)",
    "basic": "HTTP Basic (user: the organization id, password: the key)",
    "bearer": "Authorization: Bearer KEY",
    "x-api-key": "X-API-Key: KEY",
}
WAYS = frozenset(_HOW)
"""Every way a key can be shown. Never the query string: addresses end up in logs and histories."""


def new_key() -> str:
    """A fresh key. Whoever asked must keep it: only its digest is stored."""
    return PREFIX + secrets.token_hex(32)


def digest(key: str) -> str:
    """What is stored of a key: SHA-256, hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class _Bunch:
    """Keys by their digest and by their id, and how many of them each web origin has."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.by_sha256: dict[str, Key] = {}
        self.by_id: dict[str, Key] = {}
        self.origins: dict[str, int] = {}
        for key in keys:
            self.put(key)

    def put(self, key: Key) -> None:
        """Add a key, or what it is now."""
        before = self.by_id.get(key.id)
        for origin in key.origins:
            self.origins[origin] = self.origins.get(origin, 0) + 1
        self.by_id[key.id] = self.by_sha256[key.sha256] = key
        self._unbind(before)

    def drop(self, key_id: str) -> None:
        """Forget a key, if it is there."""
        before = self.by_id.pop(key_id, None)
        if before is not None:
            del self.by_sha256[before.sha256]
        self._unbind(before)

    def _unbind(self, key: Key | None) -> None:
        for origin in key.origins if key is not None else ():
            self.origins[origin] -= 1
            if not self.origins[origin]:
                del self.origins[origin]


class KeyRing:
    """The active keys, in memory. After a change to the table of keys `refresh` those it was about, or `reload` all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reading = threading.Lock()
        self.reload()

    def reload(self) -> None:
        """Read all keys again. Requests under way see all of the old ring or all of the new one."""
        with self._reading:  # who began to read first must not be the last to say what there is: a key may be over
            self._now = _Bunch(self._store.keys.active())

    def refresh(self, key_ids: Collection[str]) -> None:
        """Read these keys again. It takes as long however many others there are."""
        with self._reading:
            found = {key.id: key for key in self._store.keys.active(key_ids)}
            for key_id in key_ids:
                if key_id in found:
                    self._now.put(found[key_id])
                else:
                    self._now.drop(key_id)

    def find(self, key_text: str) -> Key | None:
        """The key with this text, or None when there is none or it was revoked."""
        if len(key_text) > KEY_MAX or not key_text.isascii():
            return None
        wanted = digest(key_text)
        key = self._now.by_sha256.get(wanted)
        if key is None or not hmac.compare_digest(key.sha256, wanted) or _is_over(key):
            return None
        return key

    def origins(self) -> KeysView[str]:
        """Every web origin some active key is bound to."""
        return self._now.origins.keys()

    def holds(self, key_id: str) -> bool:
        """Whether this key still opens something: for connections that outlive the request they began with."""
        key = self._now.by_id.get(key_id)
        return key is not None and not _is_over(key)


def _is_over(key: Key) -> bool:
    return key.expires_at is not None and time.time() >= key.expires_at


def principal_from(
    authorization: str | None,
    x_api_key: str | None,
    ring: KeyRing,
    ways: frozenset[str],
    *,
    origin: str | None = None,
) -> Principal:
    """Who shows these two headers (None: not sent): the key's organization. ways: how this dialect lets a key be shown.

    origin: the web page that asks, None for a program. Raises Unauthorized for no key, a wrong one, or two that differ;
    Forbidden for a key that is not bound to exactly that origin.
    """
    found = {key.id: key for key in _shown(authorization, x_api_key, ring, ways)}
    if len(found) != 1:
        text = "the request carries two different API keys" if found else "the request carries no API key"
        raise Unauthorized(text, remedy=_remedy(ways))
    (key,) = found.values()
    if origin is not None and origin not in key.origins:
        raise Forbidden(f"this API key may not be used from {origin[:200]!r}",
                        remedy="bind a key to that origin and use it there", code="origin_not_allowed")  # fmt: skip
    return Principal(
        key.organization_id, key.id, key.scopes, origin, for_pages=bool(key.origins), grants=key.grants,
        user_id=key.user_id,
    )  # fmt: skip


def _shown(
    authorization: str | None, x_api_key: str | None, ring: KeyRing, ways: frozenset[str]
) -> Iterator[Key]:
    """Each credential of the request, as the key it stands for. Raises Unauthorized for the first that is wrong."""
    if authorization is not None:
        scheme, _, value = authorization.partition(" ")
        way = scheme.lower()
        value = value.strip(" ")
        if way == "bearer" and way in ways:
            yield _known(value, None, ring, ways)
        elif way == "basic" and ways & {"basic", "basic-key"}:
            yield _known(*_pair(value, ways), ring, ways)
        else:
            raise Unauthorized("this kind of Authorization header is not taken here", remedy=_remedy(ways))
    if x_api_key is not None and "x-api-key" in ways:
        yield _known(x_api_key, None, ring, ways)


def _known(text: str | None, user: str | None, ring: KeyRing, ways: frozenset[str]) -> Key:
    """user: of Basic credentials, who must be the key's organization; None where nobody is named."""
    key = None if text is None else ring.find(text)
    if key is None or (user is not None and not hmac.compare_digest(user.encode(), key.organization_id.encode())):
        # One text for every reason: a guesser is not told which half was right.
        raise Unauthorized("the API key is not one of this bridge's, or was revoked", remedy=_remedy(ways))
    return key


def _pair(encoded: str, ways: frozenset[str]) -> tuple[str | None, str | None]:
    """(key, user) of Basic credentials (RFC 7617); (None, None) for what holds no key."""
    if len(encoded) > BASIC_MAX:
        return None, None
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return None, None
    if "basic-key" in ways and not password.strip():  # some clients leave the colon out as well
        return user.strip(), None  # the documentation's own samples have a blank before the colon, or behind it
    return (password, user) if colon and "basic" in ways else (None, None)


def _remedy(ways: frozenset[str]) -> str:
    return "send the key as " + " or ".join(_HOW[way] for way in sorted(ways & WAYS))


# ---- keys of the configuration --------------------------------------------------------------------------------


def load_config_keys(keys: Sequence[KeyConfig], organization_id: str) -> list[Key]:
    """The [[keys]] of the configuration, ready for Keys.sync_config. Raises ConfigError.

    A key's id follows from its secret, so jobs still know their key after a restart.
    """
    found: dict[str, Key] = {}
    for config in keys:
        sha256 = digest(_secret(config.key_file)) if config.key_file else (config.key_sha256 or "").lower()
        if sha256 in found:
            raise ConfigError(f"keys {found[sha256].name!r} and {config.name!r} are the same key; make one of them new")
        found[sha256] = Key(
            str(uuid.uuid5(_KEY_IDS, sha256)), organization_id, config.name, sha256,
            frozenset(config.scopes), frozenset(config.origins), created_at=time.time(), raw=config.raw,
            drawer=config.drawer,
        )  # fmt: skip
    return list(found.values())


def _secret(path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the key file {path} cannot be read: {error}") from error
    if not 1 <= len(text) <= KEY_MAX:
        raise ConfigError(f"the key file {path} must hold one key of 1 to {KEY_MAX} characters")
    warn_if_shared(path)
    remember(text)
    return text


def warn_if_shared(path: Path) -> None:
    """Say so when a file with a secret can be read by more than its owner."""
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("%s holds a secret and others may read it; run: chmod 600 %s", path, path)
