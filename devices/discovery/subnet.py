"""Who takes connections on port 9100 in a subnet. Only when a person asks; not a byte is sent to a printer.

What those are is asked of their network cards (SNMP), which do not print.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from contextlib import suppress

from devices import ieee1284
from devices.discovery import snmp
from devices.discovery.candidate import Sighting
from devices.discovery.places import Places
from devices.errors import DeviceError
from devices.identify import Identification, identify
from devices.ieee1284 import DeviceId

LARGEST = 1024  # addresses, a /22
AT_ONCE = 128  # connections being tried; a third of the file descriptors a service usually has
PATIENCE_S = 0.7  # for one address: a printer that sleeps answers ARP in well under half a second

_UNKNOWN = Identification(
    None, None, None, frozenset(), 0, "because it takes connections on this port; it does not say what it is"
)  # fmt: skip


class BadSubnet(DeviceError):
    """This is no subnet, or one too large. The text says what is."""


def hosts(subnet: str) -> list[str]:
    """The addresses to try in "192.168.1.0/24" (also "192.168.1.7/24"). Raises BadSubnet."""
    try:
        network = ipaddress.ip_network(subnet.strip(), strict=False)
    except ValueError as error:
        raise BadSubnet(f"{subnet!r} is not a subnet ({error}); write 192.168.1.0/24") from error
    if network.version != 4:
        raise BadSubnet(f"{subnet!r}: an IPv6 subnet is too large to try every address; use mDNS (no subnet) instead")
    if network.num_addresses > LARGEST:
        raise BadSubnet(f"{subnet!r} has {network.num_addresses} addresses, at most {LARGEST} are tried: a /22 or less")
    return [str(address) for address in network.hosts()]


def seen(addresses: Iterable[str], here: Places) -> list[Sighting]:
    """The addresses that accept a connection on here.raw_port, in order, with what their network cards say."""
    found = answering(addresses, here.raw_port)
    told = snmp.ask(found, here.snmp_port)
    return [_sighting(address, here.raw_port, told.get(address, snmp.Told())) for address in found]


def answering(addresses: Iterable[str], port: int) -> list[str]:
    """Those of `addresses` that accept a connection on `port`. Connects and closes, AT_ONCE at a time."""
    wanted = list(addresses)
    answers = asyncio.run(_try_all(wanted, port))
    return [address for address, answered in zip(wanted, answers, strict=True) if answered]


async def _try_all(addresses: list[str], port: int) -> list[bool]:
    room = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*(_accepts(address, port, room) for address in addresses))


async def _accepts(address: str, port: int, room: asyncio.Semaphore) -> bool:
    async with room:
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), PATIENCE_S)
        except OSError:  # refused, no route, or TimeoutError
            return False
        writer.close()
        with suppress(OSError):  # reset by the other side, which did accept
            await writer.wait_closed()
        return True


def _sighting(address: str, port: int, told: snmp.Told) -> Sighting:
    device_id = _device_id(told.device_id)
    name = told.device or told.system
    best = max((identify(device_id=device_id, name=each) for each in (told.device, told.system)), key=_score)
    return Sighting(
        uri=f"tcp://{address}:{port}",
        identity=best if best.score else _UNKNOWN,
        label=_label(device_id) or name[:60],
        where=f"at {address}, answering on port {port}",
        keys=frozenset({f"tcp {address} {port}"}),
        rank=2,
        serial=device_id.serial if device_id else "",
    )


def _score(identity: Identification) -> int:
    return identity.score


def _device_id(text: str) -> DeviceId | None:
    try:
        return ieee1284.read(text)
    except ieee1284.BadDeviceId:
        return None


def _label(device_id: DeviceId | None) -> str:
    return f"{device_id.mfg} {device_id.mdl}".strip() if device_id else ""
