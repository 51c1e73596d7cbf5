"""Who has which address on this network's wire: the kernel's ARP table. Read only; nobody is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from devices.discovery.candidate import Sighting
from devices.discovery.places import Places

_MAC = re.compile(r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)
_COMPLETE = 0x2  # ATF_COM, linux/if_arp.h: the address was answered for


def table(here: Places) -> dict[str, str]:
    """IPv4 address -> MAC, "00:07:4d:..." in small letters. Empty where there is no such table."""
    try:
        lines = (here.proc / "net" / "arp").read_text().splitlines()[1:]
    except OSError:
        return {}
    rows = [line.split() for line in lines]
    return {row[0]: row[3].lower() for row in rows if len(row) >= 4 and _answered(row[2], row[3])}


def normal(mac: str) -> str | None:
    """A MAC as `table` writes it, None when this is none."""
    return mac.strip().lower().replace("-", ":") if _MAC.fullmatch(mac.strip()) else None


def with_macs(sightings: Iterable[Sighting], here: Places) -> list[Sighting]:
    """Network printers with their MAC, by which the same printer on two addresses is known again."""
    macs = table(here)
    return [_with_mac(sighting, macs) for sighting in sightings]


def _with_mac(sighting: Sighting, macs: dict[str, str]) -> Sighting:
    parts = urlsplit(sighting.uri)
    mac = macs.get(parts.hostname or "") if parts.scheme == "tcp" else None
    if mac is None:
        return sighting
    return replace(sighting, mac=mac, keys=sighting.keys | {f"mac {mac} {parts.port}"})


def _answered(flags: str, mac: str) -> bool:
    try:
        return bool(int(flags, 16) & _COMPLETE) and bool(_MAC.fullmatch(mac)) and mac != "00:00:00:00:00:00"
    except ValueError:
        return False
