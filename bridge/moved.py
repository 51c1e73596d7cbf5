"""Network printers whose address has changed (DHCP) are found again by their mDNS name or their MAC."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bridge.fleet import Fleet
from devices.contracts import Reason
from devices.errors import DeviceError

log = logging.getLogger(__name__)

AWAY_S = 20.0  # seconds a printer must be away before it is looked for
AGAIN_S = 60.0  # seconds between two searches for the same one

WhereIs = Callable[..., str | None]
Table = Callable[[], dict[str, str]]


def _where_is(**wanted: str | None) -> str | None:
    from devices.discovery.moved import where_is  # late: most bridges never look for a printer

    return where_is(mdns_name=wanted["mdns_name"], mac=wanted["mac"])


def _neighbours() -> dict[str, str]:
    from devices.discovery.neighbours import table
    from devices.discovery.places import HERE

    return table(HERE)


class Movers:
    """Learns the MAC of every network printer while it answers, and looks for it when it no longer does."""

    def __init__(
        self, fleet: Fleet, file: Path, *, find: WhereIs = _where_is, neighbours: Table = _neighbours
    ) -> None:
        """file: where the MACs are kept, DIR/macs.json. neighbours: IP address -> MAC, of those spoken to lately."""
        self._fleet = fleet
        self._file = file
        self._find = find
        self._neighbours = neighbours
        self._macs: dict[str, str] = _read(file)
        self._away: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def look(self) -> None:
        """Once over all network printers; to be called every few seconds."""
        table: dict[str, str] | None = None
        for device_id, uri in self._fleet.network_printers():
            state = self._fleet.state(device_id)
            if state is None or Reason.OFFLINE.value not in state.reasons:
                self._away.pop(device_id, None)
                if state is not None and self._fleet.has_answered(device_id) and device_id not in self._macs:
                    table = self._neighbours() if table is None else table
                    self._learn(device_id, table.get(_host(uri), ""))
            elif self._is_due(device_id):
                self._search(device_id, uri)

    def _is_due(self, device_id: str) -> bool:
        now = time.monotonic()
        since = self._away.setdefault(device_id, now)
        if now - since < AWAY_S or now < self._next.get(device_id, 0.0):
            return False
        self._next[device_id] = now + AGAIN_S
        return True

    def _search(self, device_id: str, uri: str) -> None:
        mdns, mac = self._fleet.known_by(device_id)
        mac = mac or self._macs.get(device_id)
        if not (mdns or mac):
            return
        try:
            host = self._find(mdns_name=mdns, mac=mac)
        except DeviceError as error:
            log.warning("%s: cannot be looked for: %s", self._fleet.printers[device_id].name, error)
            return
        if host is not None and host != _host(uri):
            self._fleet.redirect(device_id, host, by=f"its name {mdns}" if mdns else f"its MAC {mac}")

    def _learn(self, device_id: str, mac: str) -> None:
        if not mac:
            return
        self._macs[device_id] = mac
        temporary = self._file.with_suffix(".new")
        temporary.write_text(json.dumps(self._macs, indent=1), "utf-8")
        os.replace(temporary, self._file)


def _read(file: Path) -> dict[str, str]:
    """What was learnt before; nothing when the file is not there or not ours. It is only a memory, never a promise."""
    try:
        known = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(mac) for key, mac in known.items()} if isinstance(known, dict) else {}


def _host(uri: str) -> str:
    return urlsplit(uri).hostname or ""
