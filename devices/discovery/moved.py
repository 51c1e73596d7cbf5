"""Where a network printer is now that its address has changed (DHCP): by its mDNS name or by its MAC."""

from __future__ import annotations

from devices.discovery import mdns, neighbours
from devices.discovery import subnet as subnets
from devices.discovery.places import HERE, Places


def where_is(
    *,
    mdns_name: str | None = None,
    mac: str | None = None,
    mdns_s: float = 2.0,
    subnet: str | None = None,
    here: Places = HERE,
) -> str | None:
    """The present address of the printer, None when it is not to be found.

    mdns_name: as `Candidate.mdns` has it, or the full service name. mac: as `Candidate.mac` has it; looked up among
    the machines this one has spoken to, and, with `subnet` ("192.168.1.0/24"), among all in it that take connections
    on port 9100. An address found by its MAC is one that answers: the table remembers old ones for a while.
    Raises BadSubnet, mdns.NoZeroconf when only the name is known and the library is missing.
    """
    if mdns_name:
        try:
            host = _by_name(mdns.short_name(mdns_name), mdns_s, here)
        except mdns.NoZeroconf:
            if not mac:
                raise
            host = None
        if host:
            return host
    return _by_mac(mac, subnet, here) if mac else None


def _by_name(name: str, seconds: float, here: Places) -> str | None:
    heard = mdns.services(seconds, here, name=name)
    return next((service.hosts[0] for service in heard if mdns.same_name(service.name, name) and service.hosts), None)


def _by_mac(mac: str, subnet: str | None, here: Places) -> str | None:
    wanted = neighbours.normal(mac)
    known = [host for host, owner in neighbours.table(here).items() if owner == wanted]
    found = subnets.answering(known, here.raw_port)
    if found or subnet is None:
        return next(iter(found), None)
    answering = subnets.answering(subnets.hosts(subnet), here.raw_port)
    macs = neighbours.table(here)
    return next((host for host in answering if macs.get(host) == wanted), None)
