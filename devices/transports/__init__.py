"""The ways to a printer, one file each. `names()` lists the schemes, `open(uri)` opens a connection.

A new transport is one file here, named after its URI scheme, with a `TRANSPORT: Transport = ...` line. Nothing to
register; the contract test in tests/devices/test_transports.py asks for a rig for it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from contextlib import suppress
from functools import cache
from urllib.parse import unquote, urlsplit

from devices.contracts import Connection, Settings, Transport
from devices.errors import BadPrinterUri

_DEFAULTS = Settings()
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?(?:\.[\w-]+)+|localhost|[\w.-]+(?=:\d)|\[[0-9A-Fa-f:.%]+\])(?::\d{1,5})?"
    r"|(?P<v6>[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})"
)


@cache
def names() -> tuple[str, ...]:
    """The URI schemes that can be opened, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


@cache
def load(scheme: str) -> Transport:
    """The transport for `scheme` ("tcp"). Raises BadPrinterUri. Only the transport asked for is imported."""
    if scheme not in names():
        raise BadPrinterUri(f"no printer can be reached by {scheme!r}; an address begins with {_allowed()}")
    transport: Transport = importlib.import_module(f"devices.transports.{scheme}").TRANSPORT
    return transport


def check(uri: str) -> None:
    """Raise BadPrinterUri when `uri` cannot be the address of a printer. Opens nothing."""
    load(_scheme(uri)).check(uri)


def identity(uri: str) -> str:
    """What two addresses of one device have in common, as far as the addresses tell. Opens nothing, never raises.

    Files and virtual printers are no devices: each address is its own.
    """
    scheme, _, rest = uri.partition("://")
    scheme = scheme.lower()
    parts = urlsplit(uri)
    if scheme == "tcp":
        with suppress(ValueError):
            return f"tcp://{(parts.hostname or '').rstrip('.')}:{parts.port or 9100}"
    if scheme == "usb":
        return f"usb://{parts.netloc.lower()}{parts.path}"
    if scheme == "serial":
        return f"serial://{os.path.realpath(unquote(parts.path or parts.netloc))}"
    if scheme == "queue":
        return f"queue://{unquote(parts.netloc)}?{parts.query}"
    return f"{scheme}://{rest}"


def is_device(uri: str) -> bool:
    """Whether two printers at this address would be one piece of hardware, which can print only one job at a time."""
    return uri.partition("://")[0].lower() in ("tcp", "usb", "serial", "queue")


def open(uri: str, settings: Settings = _DEFAULTS) -> Connection:
    """One connection to the printer at `uri`, for one job.

    Raises BadPrinterUri, or PrinterUnreachable (nothing was sent).
    """
    return load(_scheme(uri)).open(uri, settings)


def _scheme(uri: str) -> str:
    scheme, colon, _ = uri.partition("://")
    if not colon and (host := _HOST.fullmatch(uri)):
        written = f"[{uri}]" if host["v6"] else uri
        raise BadPrinterUri(f"{uri!r} does not say how the printer is reached; on the network write tcp://{written}")
    if not colon:
        raise BadPrinterUri(f"{uri!r} does not say how the printer is reached; an address begins with {_allowed()}")
    return scheme.lower()


def _allowed() -> str:
    return ", ".join(f"{name}://" for name in names())
