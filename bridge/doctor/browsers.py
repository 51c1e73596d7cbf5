"""What a web page sees: which origins may print with which keys, and who beyond this machine may knock."""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from bridge.doctor.database import bound_keys
from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient
from bridge.doctor.processes import holders, listeners

AREA = "browser"

Bound = dict[str, dict[str, frozenset[str]]]
"""origin -> name of the key -> what it may do."""


def examine(patient: Patient) -> Iterator[Finding]:
    """One finding for each origin, and one for each address beyond this machine."""
    bound = _bound(patient)
    if not bound:
        add = patient.command("origins add https://shop.example")
        yield Finding(AREA, "ok", f"no web page may print; to let one: {add}")
    for origin, keys in sorted(bound.items()):
        yield _origin(patient, origin, keys)
    for address in sorted(_beyond(patient)):
        yield Finding(AREA, "warning", f"it listens beyond this machine, at {address}, without TLS: keys and labels "
                      "go over the network in clear",
                      f'set host = "127.0.0.1" under [server] in {patient.edit}, and put a proxy with TLS in front'
                      )  # fmt: skip


def _bound(patient: Patient) -> Bound:
    """From the configuration as it is now, and from the database what was bound since."""
    bound: Bound = {}
    for key in patient.config.keys:
        for origin in key.origins:
            bound.setdefault(origin, {})[key.name] = frozenset(key.scopes)
    with suppress(sqlite3.Error, OSError):  # the look at the database says what is wrong with it
        for name, origins, scopes, from_config in bound_keys(patient.folder / "bridge.db"):
            # A serve that runs goes by what it has loaded; without one, the file is what will be loaded.
            if not from_config or patient.health is not None:
                for origin in origins.split():
                    bound.setdefault(origin, {})[name] = frozenset(scopes.split())
    return bound


def _origin(patient: Patient, origin: str, keys: dict[str, frozenset[str]]) -> Finding:
    words = ", ".join(f"{name!r} ({', '.join(sorted(scopes))})" for name, scopes in sorted(keys.items()))
    text = f"{origin} may print with the key {words}"
    unbind, secure = patient.command(f"origins remove {origin}"), origin.replace("http:", "https:", 1)
    if any("admin" in scopes for scopes in keys.values()):
        return Finding(AREA, "warning", f"{text}: whoever runs a script in that page may do everything here",
                       f"{unbind}; then: {patient.command(f'origins add {origin}')}, which makes a key for jobs only"
                       )  # fmt: skip
    host = urlsplit(origin).hostname or ""
    if origin.startswith("http://") and host != "localhost" and not _is_loopback(host):
        return Finding(AREA, "warning", f"{text}; over http anybody on the network can put words into that page, and "
                       "Chrome does not let it reach this machine",
                       f"serve the page over https, then: {unbind}; {patient.command(f'origins add {secure}')}"
                       )  # fmt: skip
    return Finding(AREA, "ok", text)


def _beyond(patient: Patient) -> set[str]:
    """Addresses that are not loopback: of the running serve as it is, else as it is configured."""
    pid = (patient.health or {}).get("pid")
    if pid is not None:
        with suppress(OSError):
            open_ = listeners()
            mine = holders(each.inode for each in open_)
            seen = {each.address for each in open_ if mine.get(each.inode) == pid}
            if seen:
                return {address for address in seen if not _is_loopback(address)}
    host = patient.config.server.host
    return set() if host in (None, "localhost") or _is_loopback(str(host)) else {str(host)}


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
