"""Who is behind a request: a program, our own page, or somebody else's page. Pure: headers in, a verdict out.

Host first: a page whose name was made to point here (DNS rebinding) still says its own name in Host. Then Origin and
Sec-Fetch-Site: a browser sets them and a page cannot, so they tell pages from programs (promises.md 1.1 to 1.3).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class HostRules:
    """The values of Host we answer to, spelled out in lower case. local: those that mean this very machine.

    A list of whole values leaves nothing to parse, and so nothing to parse wrongly.
    """

    allowed: frozenset[str]
    local: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str], bind: str | None, port: int) -> HostRules:
        """names: "name" or "name:port". bind: the address we listen on, None for loopback. port: where we listen."""
        local = frozenset(value for name in _LOCAL for value in _with_port(name, port))
        own = [] if bind is None or _is_any(bind) else [bind]
        more = (value for name in [*names, *own] for value in _with_port(_bracketed(name.lower()), port))
        return cls(local | frozenset(more), local)


def _with_port(name: str, port: int) -> Iterator[str]:
    """The name alone and with its port; the one it names itself, otherwise ours."""
    host, colon, own = name.rpartition(":")
    if colon and own.isdigit():
        yield host
        yield name
    else:
        yield name
        yield f"{name}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return False


def host_allowed(host_header: str | None, allowed: HostRules) -> bool:
    """True when the request was meant for us. A port may be left out but not be another one."""
    return host_header is not None and host_header.isascii() and host_header.lower() in allowed.allowed


class Kind(Enum):
    """Who asks."""

    PROGRAM = "a program, or a person who typed the address"
    OWN_PAGE = "our own page"
    NAVIGATION = "a person who followed a link from another site"
    FOREIGN_PAGE = "a page of another site"


@dataclass(frozen=True, slots=True)
class Visitor:
    """The verdict. origin: of a foreign page; None when it does not say, and then it may do nothing.

    browser: whether a browser sent this, in which case it must never be asked for a password.
    """

    kind: Kind
    origin: str | None = None
    browser: bool = True


_PROGRAM = Visitor(Kind.PROGRAM, browser=False)
_TYPED = Visitor(Kind.PROGRAM)
_OWN_PAGE = Visitor(Kind.OWN_PAGE)
_NAVIGATION = Visitor(Kind.NAVIGATION)
_NAMELESS = Visitor(Kind.FOREIGN_PAGE)


def judge(
    *,
    host: str,
    scheme: str = "http",
    origin: str | None = None,
    site: str | None = None,
    mode: str | None = None,
    dest: str | None = None,
) -> Visitor:
    """Who sent these headers; None for one that is absent. site, mode, dest: Sec-Fetch-*."""
    if origin is not None:
        if origin != f"{scheme}://{host}":
            return Visitor(Kind.FOREIGN_PAGE, origin)
        # Our own origin, yet not same-origin: no browser says that, so believe neither.
        return _OWN_PAGE if site in (None, "same-origin") else _NAMELESS
    if site is None:
        return _PROGRAM if mode is None and dest is None else _TYPED
    if site == "none":
        return _TYPED
    if site == "same-origin":
        return _OWN_PAGE
    return _NAVIGATION if mode == "navigate" and dest == "document" else _NAMELESS
