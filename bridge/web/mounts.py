"""Which dialect owns a path, and how a refusal looks there. Everybody who refuses a request asks here."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.access.keys import WAYS
from bridge.dialects import Dialect
from bridge.errors import BridgeError, TooMany

log = logging.getLogger(__name__)

JSON = "application/json"  # exactly this: some clients compare the whole value
_READING = frozenset({"GET", "HEAD"})
_ANY = _READING | {"POST", "PUT", "PATCH", "DELETE"}


class Paths:
    """A dialect's "METHOD /path" lines, ready to be asked. "*" is any method, "/*" at the end any continuation."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Raises ValueError for a line it cannot read: a typing error here must not open or close a door."""
        self._exact: dict[str, frozenset[str]] = {}
        self._below: dict[str, frozenset[str]] = {}
        for line in lines:
            method, _, path = line.partition(" ")
            if (method != "*" and method not in _ANY) or not path.startswith("/") or "*" in path.removesuffix("/*"):
                raise ValueError(f'{line!r} is not "METHOD /path"; write "GET /hello", "* /token" or "GET /jobs/*"')
            table, path = (self._below, path[:-1]) if path.endswith("/*") else (self._exact, path.rstrip("/"))
            table[path] = table.get(path, frozenset()) | _methods(method)

    def methods(self, path: str) -> frozenset[str]:
        """What may be done with this path. One slash at its end does not count."""
        found = self._exact.get(path.removesuffix("/"), frozenset())
        for start, methods in self._below.items():
            if path.startswith(start) and len(path) > len(start):
                found |= methods
        return found


def _methods(method: str) -> frozenset[str]:
    if method == "*":
        return _ANY
    return _READING if method == "GET" else frozenset({method})


@dataclass(frozen=True, slots=True)
class Mount:
    """One dialect and the part of our paths that is its own."""

    dialect: Dialect
    prefix: str
    public: Paths
    web: Paths

    def page_methods(self, below: str) -> frozenset[str]:
        """What a web page may do with this path, given the right origin and, unless it is public, key.

        What is public to programs, say a login, is open to pages only for reading, unless `web` names it too.
        """
        return self.web.methods(below) | (self.public.methods(below) & _READING)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error on its way out. body: JSON."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Mounts:
    """All dialects by mount; the longest one that fits owns a path."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        """Raises ValueError for a dialect that cannot be mounted."""
        mounts = [_mount(dialect) for dialect in dialects]
        if len({mount.prefix for mount in mounts}) != len(mounts):
            raise ValueError("two dialects have the same mount")
        self._mounts = sorted(mounts, key=lambda mount: len(mount.prefix), reverse=True)

    def owner(self, path: str) -> Mount | None:
        """The mount this path is in, None when it is in none."""
        for mount in self._mounts:
            if path.startswith(mount.prefix) and path[len(mount.prefix) : len(mount.prefix) + 1] in ("", "/"):
                return mount
        return None

    def refusal(self, path: str, error: BridgeError) -> Refusal:
        """The error in the shape of the path's owner, or in ours when it has none."""
        mount = self.owner(path)
        body, extra = _own_shape(error) if mount is None else _shape(mount.dialect, error)
        headers = dict(extra)
        if isinstance(error, TooMany):
            headers.setdefault("Retry-After", str(error.retry_after_s))
        return Refusal(error.http, json.dumps(body).encode(), headers)


def _mount(dialect: Dialect) -> Mount:
    prefix = dialect.mount
    if not prefix.startswith("/") or prefix.endswith("/") or f"{prefix}/".startswith("/web/"):
        raise ValueError(f'{dialect.name}: cannot be mounted at {prefix!r}; a mount is like "/v1", and /web is ours')
    if not dialect.credentials <= WAYS:
        raise ValueError(f"{dialect.name}: unknown credentials {sorted(dialect.credentials - WAYS)}")
    return Mount(dialect, prefix, Paths(dialect.public), Paths(dialect.web))


def _shape(dialect: Dialect, error: BridgeError) -> tuple[object, Mapping[str, str]]:
    try:
        return dialect.error(error)
    except Exception:  # a bug in a dialect must not turn a refusal into a page of HTML
        log.exception("%s: cannot put %s into its own shape", dialect.name, type(error).__name__)
        return _own_shape(error)


def _own_shape(error: BridgeError) -> tuple[object, Mapping[str, str]]:
    return {"error": {"code": error.code, "text": error.text, "remedy": error.remedy}}, {}
