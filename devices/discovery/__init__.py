"""What is plugged in and what is on the network.

    from devices.discovery import find

    for candidate in find():
        print(candidate.uri, candidate.name, candidate.reason)

Nothing here claims an interface, detaches a driver, opens a port or writes a byte to a printer: sysfs is read, serial
ports are listed, mDNS is listened to. Only in a `subnet` that is asked for port 9100 is connected to, without a byte,
and those that answer are asked by SNMP what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from devices.discovery import mdns, neighbours, ports, usb
from devices.discovery import subnet as subnets
from devices.discovery.candidate import Candidate, Sighting
from devices.discovery.merge import merged
from devices.discovery.places import HERE, Places
from devices.errors import DeviceError

__all__ = ["Candidate", "Found", "find", "look"]


@dataclass(frozen=True, slots=True)
class Found:
    """candidates: one for each printer, the best known first. remarks: what could not be looked at, and why."""

    candidates: list[Candidate]
    remarks: list[str]


def find(
    *, mdns_s: float = 2.0, subnet: str | None = None, spare: Collection[str] = (), here: Places = HERE
) -> list[Candidate]:
    """Every printer that can be seen from here, one candidate each. Raises BadSubnet.

    mdns_s: seconds to listen for network printers, 0 for not at all. subnet: "192.168.1.0/24", at most a /22, whose
    port 9100 is tried; only when a person asks for it. spare: hosts in it that are not to be connected to, such as
    printers that are printing.
    """
    return look(mdns_s=mdns_s, subnet=subnet, spare=spare, here=here).candidates


def look(
    *, mdns_s: float = 2.0, subnet: str | None = None, spare: Collection[str] = (), here: Places = HERE
) -> Found:
    """The same, with what could not be looked at: a library that is not installed, a folder that cannot be read."""
    hosts = subnets.hosts(subnet) if subnet else []
    ways: list[Callable[[], list[Sighting]]] = [lambda: usb.seen(here), lambda: ports.seen(here)]
    if mdns_s > 0:
        ways.append(lambda: mdns.seen(mdns_s, here))
    if hosts:
        ways.append(lambda: subnets.seen([host for host in hosts if host not in spare], here))
    remarks: list[str] = []
    with ThreadPoolExecutor(len(ways), "discovery") as pool:
        running = [pool.submit(_without_raising, way, remarks) for way in ways]
    sightings = [sighting for each in running for sighting in each.result()]
    return Found(merged(neighbours.with_macs(sightings, here)), remarks)


def _without_raising(way: Callable[[], list[Sighting]], remarks: list[str]) -> list[Sighting]:
    """One way that fails does not hide what the others see."""
    try:
        return way()
    except (DeviceError, OSError) as error:
        remarks.append(str(error))
        return []
