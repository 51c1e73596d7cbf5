"""Opening our ports: which addresses, the same number on each, and plain words when one is taken."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Sequence

log = logging.getLogger(__name__)

_TRIES = 20  # ports to try when any will do


def bind(host: str | None, port: int, *, setting: str = "port") -> list[socket.socket]:
    """Bound sockets, the same port on each; not listening yet. port 0: any free one. Raises OSError naming the port.

    host None: both loopback addresses; the second may be missing, as on machines without IPv6. setting: of [server],
    that says which port.
    """
    for attempt in range(_TRIES):
        try:
            return _bind_all(_addresses(host, port), port, setting)
        except OSError as error:
            # A port chosen for 127.0.0.1 may be somebody's on ::1. With port 0 there is always another one.
            if port != 0 or error.errno != errno.EADDRINUSE or attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _addresses(host: str | None, port: int) -> list[tuple[socket.AddressFamily, str]]:
    if host in (None, "localhost"):
        return [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host!r}: {error.strerror}; check [server] host") from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bind_all(
    addresses: Sequence[tuple[socket.AddressFamily, str]], port: int, setting: str
) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        for family, address in addresses:
            try:
                opened.append(_bind(family, address, port, setting))
            except OSError as error:
                if not opened or error.errno == errno.EADDRINUSE:
                    raise
                log.warning("not listening on %s: %s", address, error.strerror)
                continue
            port = port or opened[0].getsockname()[1]
    except OSError:
        for each in opened:
            each.close()
        raise
    return opened


def _bind(family: socket.AddressFamily, address: str, port: int, setting: str) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two programs share the port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
    except OSError as error:
        opened.close()
        raise taken(error, address, port, setting=setting) from error
    return opened


def taken(error: OSError, address: str, port: int, *, setting: str = "port") -> OSError:
    """The same error with a text for people."""
    if error.errno == errno.EADDRINUSE:
        text = f"port {port} on {address} is taken; stop the other program, or choose another [server] {setting}"
    else:
        text = f"cannot listen on {address} port {port}: {error.strerror}; check [server] host and {setting}"
    return OSError(error.errno, text)


def url_of(opened: socket.socket) -> str:
    """Where to call it from this machine."""
    address, port = opened.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
