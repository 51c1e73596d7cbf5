"""Printers that announce themselves on the network (mDNS, DNS-SD). Needs zeroconf: `print-bridge[discover]`.

Raw port 9100 is _pdl-datastream; LPD and IPP are _printer and _ipp, which most label printers announce as well. Keys
of their TXT records: Bonjour Printing Specification 1.2.1, 9.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devices import ieee1284
from devices.discovery.candidate import Sighting
from devices.discovery.places import Places
from devices.errors import DeviceError
from devices.identify import identify
from devices.ieee1284 import DeviceId

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

RAW = "_pdl-datastream._tcp.local."
SERVICES = (RAW, "_printer._tcp.local.", "_ipp._tcp.local.")
MOST = 256  # announcements that are looked at: a hostile network can announce without end
RESOLVE_MS = 1500  # for one announcement, within the time given
_LONGEST = 200  # characters of what somebody on the network says


class NoZeroconf(DeviceError):
    """The library is not installed. The text says how to install it."""


class NoNetwork(DeviceError):
    """There is no network to listen on, or this program may not."""


_NOT_LISTED = "network printers that announce themselves are not listed"


@dataclass(frozen=True, slots=True)
class Service:
    """One announcement. name: "ZD421 dock", without its type. hosts: addresses, IPv4 first. txt: small-letter keys."""

    name: str
    kind: str
    hosts: tuple[str, ...]
    port: int
    txt: dict[str, str]

    @property
    def is_queue(self) -> bool:
        """True for another computer's print queue, which takes no raw data on port 9100."""
        return self.kind != RAW and self.txt.get("rp", "").startswith("printers/")


def seen(seconds: float, here: Places) -> list[Sighting]:
    """The printers heard within `seconds`. Raises NoZeroconf, NoNetwork."""
    return [_sighting(service) for service in services(seconds, here) if service.hosts and not service.is_queue]


def services(seconds: float, here: Places, *, name: str | None = None) -> list[Service]:
    """Every printer service heard within `seconds`. name: stop as soon as the one called so is resolved."""
    library = _library()
    until = time.monotonic() + seconds
    heard: dict[tuple[str, str], Service] = {}
    with closing(_open(library, here)) as zeroconf:
        listener = _Listener()
        browser = library.ServiceBrowser(zeroconf, list(SERVICES), listener=listener)
        try:
            while (left := until - time.monotonic()) > 0:
                for kind, full in listener.news(min(left, 0.1)):
                    service = _resolve(zeroconf, kind, full, until - time.monotonic())
                    if service:
                        heard[kind, full] = service
                if name is not None and any(same_name(service.name, name) for service in heard.values()):
                    break
        finally:
            browser.cancel()
    return list(heard.values())


def same_name(one: str, other: str) -> bool:
    """Whether two service names mean the same; DNS names have no case."""
    return one.casefold() == other.casefold()


def short_name(name: str) -> str:
    """ "ZD421 dock._ipp._tcp.local." -> "ZD421 dock"."""
    for kind in SERVICES:
        name = name.removesuffix("." + kind).removesuffix("." + kind.rstrip("."))
    return name


class _Listener:
    """What zeroconf calls from its own thread: keeps the names until they are asked for."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], bool] = {}
        self._changed = threading.Condition()

    def add_service(self, zeroconf: Zeroconf, kind: str, name: str) -> None:
        with self._changed:
            if len(self._names) < MOST:
                self._names.setdefault((kind, name), True)
                self._changed.notify()

    def update_service(self, zeroconf: Zeroconf, kind: str, name: str) -> None:
        """Resolved when it was added; what changes within seconds does not matter here."""

    def remove_service(self, zeroconf: Zeroconf, kind: str, name: str) -> None:
        """A printer that is just being switched off still may be configured."""

    def news(self, seconds: float) -> list[tuple[str, str]]:
        """The names that came since the last call, waiting at most `seconds` for the first."""
        with self._changed:
            self._changed.wait_for(lambda: any(self._names.values()), seconds)
            fresh = [key for key, new in self._names.items() if new]
            self._names.update(dict.fromkeys(fresh, False))
            return fresh


def _library() -> Any:
    try:
        import zeroconf
    except ImportError as error:
        raise NoZeroconf(
            f"{_NOT_LISTED}: zeroconf is not installed; pip install 'print-bridge[discover]'"
        ) from error
    return zeroconf


def _open(library: Any, here: Places) -> Any:
    options = {} if here.interfaces is None else {"interfaces": list(here.interfaces)}
    try:
        return library.Zeroconf(**options)
    except OSError as error:
        raise NoNetwork(f"{_NOT_LISTED}: {error.strerror or error}") from error


def _resolve(zeroconf: Any, kind: str, full: str, seconds: float) -> Service | None:
    """Where an announced service is; None when nobody answers for it in time."""
    if seconds <= 0:
        return None
    info = zeroconf.get_service_info(kind, full, timeout=min(RESOLVE_MS, seconds * 1000))
    return _service(info, kind, full) if info else None


def _service(info: ServiceInfo, kind: str, full: str) -> Service:
    hosts = sorted(info.parsed_scoped_addresses(), key=_order)
    txt = {_text(key).lower(): _text(value or b"") for key, value in info.properties.items()}
    return Service(_text(short_name(full)), kind, tuple(hosts), info.port or 0, txt)


def _order(host: str) -> tuple[int, bool, str]:
    """IPv4 first, then addresses that reach beyond this wire."""
    address = ipaddress.ip_address(host.split("%")[0])
    return address.version, address.is_link_local, host


def _text(raw: bytes | str) -> str:
    """What somebody on the network says, made fit to be shown."""
    text = raw if isinstance(raw, str) else raw[:_LONGEST].decode("utf-8", "replace")
    return "".join(letter for letter in text[:_LONGEST] if letter.isprintable())


def _sighting(service: Service) -> Sighting:
    told = _device_id(service.txt)
    raw = service.kind == RAW
    port = service.port if raw and service.port else 9100
    label = service.txt.get("ty") or service.name
    return Sighting(
        uri=f"tcp://{_in_uri(service.hosts[0])}:{port}",
        identity=identify(device_id=told, name=label),
        label=label,
        where=f"at {service.hosts[0]}, announced as {service.name!r}",
        keys=frozenset(f"tcp {host} {port}" for host in service.hosts),
        rank=1 if raw else 3,
        serial=told.serial if told else "",
        trouble="" if raw else "it announces no raw port; 9100 is a guess, try a test print",
        mdns=service.name,
    )


def _device_id(txt: dict[str, str]) -> DeviceId | None:
    """The device id in the TXT keys usb_MFG, usb_MDL, usb_CMD; `product` is "(name)"."""
    mdl = txt.get("usb_mdl") or txt.get("product", "").strip("()")
    parts = {"MFG": txt.get("usb_mfg", ""), "MDL": mdl, "CMD": txt.get("usb_cmd", "")}
    try:
        return ieee1284.read("".join(f"{key}:{value};" for key, value in parts.items() if value))
    except ieee1284.BadDeviceId:
        return None


def _in_uri(host: str) -> str:
    return f"[{host.replace('%', '%25')}]" if ":" in host else host
