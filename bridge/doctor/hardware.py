"""USB printers, serial ports and queues of the operating system, looked at without disturbing a label.

A USB device is looked up in sysfs and a serial port in /dev; neither is opened: opening detaches drivers and toggles
control lines. A queue is asked how it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from bridge.doctor.finding import Finding
from devices import transports
from devices.contracts import Settings
from devices.errors import DeviceError, PrinterUnreachable

AREA = "printer"


def usb(name: str, uri: str, settings: Mapping[str, Any]) -> Finding:
    """Plugged in, one of a kind, a printer, ours to open, free, and of the resolution it is set up with?"""
    from devices.usb import holders, lookup, rights
    from devices.usb.address import parse
    from devices.usb.machine import HERE

    try:
        device, interface = lookup.printer(HERE, uri, parse(uri))
    except PrinterUnreachable as error:
        return _bad(name, str(error), "print-bridge printers find")
    nodes = [HERE.node(device)]
    if HERE.has_sysfs:
        from devices.usb import sysfs

        lp = sysfs.lp_name(device, interface)
        nodes = [HERE.dev / "usb" / lp] if lp else nodes
    node = nodes[0]
    if not os.access(node, os.R_OK | os.W_OK):
        return _bad(name, f"{uri} is plugged in, and you may not open {node}", rights.remedy(node, device))
    held = holders.of(node, HERE.proc) if HERE.proc.is_dir() else []
    others = [each for each in held if each.pid != os.getpid()]
    if others:
        return Finding(AREA, "warning", f"{name} ({uri}): {holders.sentence(node, HERE.proc)}",
                       "end that program, or print through its queue: queue://NAME")  # fmt: skip
    return _other_model(name, uri, settings) or Finding(AREA, "ok", f"{name} is plugged in ({uri}, through {node})")


def _other_model(name: str, uri: str, settings: Mapping[str, Any]) -> Finding | None:
    """What the printer says it is, where that is not what it is set up as: labels come out in the wrong size."""
    from devices.discovery import look

    same = transports.identity(uri)
    seen = next((each for each in look(mdns_s=0).candidates if transports.identity(each.uri) == same), None)
    if seen is None:
        return None
    dpi, language = settings.get("dpi", 203), settings.get("language", "zpl")
    wrong = [f"{seen.dpi} dpi, not {dpi}"] if seen.dpi not in (None, dpi) else []
    wrong += [f"it speaks {seen.language}, not {language}"] if seen.language not in (None, language) else []
    if not wrong:
        return None
    what = seen.model.name if seen.model else seen.label or "another model"
    return Finding(AREA, "warning", f"{name} ({uri}) is a {what}: {' and '.join(wrong)} ({seen.reason})",
                   f"set it up so: dpi = {seen.dpi or dpi}, language = \"{seen.language or language}\"")  # fmt: skip


def serial(name: str, uri: str, settings: Mapping[str, Any], *, ask: bool) -> Finding:
    """There, a port, ours to open, and free? ask: and at which speed does the printer answer?"""
    from devices import serialports
    from devices.transports.serial import parse

    port = parse(uri).port
    if os.name != "posix":
        return Finding(AREA, "ok", f"{name} ({uri}): not tried; opening it could disturb a label")
    if not os.path.exists(port):
        return _bad(name, f"{port} is not there; {serialports.listing()}", "print-bridge printers find")
    if not os.access(port, os.R_OK | os.W_OK):
        return _bad(name, f"you may not open {port}", serialports.permission(port))
    others = [each for each in serialports.holders(port) if each.pid != os.getpid()]
    if others:
        return Finding(AREA, "warning", f"{name} ({uri}): {others[0]} has it open",
                       f"when that is not print-bridge itself: kill {others[0].pid}")  # fmt: skip
    if ask and settings.get("language", "zpl") in _QUESTIONS:
        return _speed(name, uri, port, str(settings.get("language", "zpl")))
    return Finding(AREA, "ok", f"{name}: the port {port} is there and free")


_QUESTIONS: dict[str, tuple[bytes, Callable[[bytes], bool]]] = {
    # ZPL II guide, ~HI: the answer stands between STX and ETX. Epson, DLE EOT 1: bits 0, 1, 4 and 7 are fixed.
    "zpl": (b"~HI\r\n", lambda said: b"\x02" in said and b"\x03" in said),
    "escpos": (b"\x10\x04\x01", lambda said: any(byte & 0b1001_0011 == 0b0001_0010 for byte in said)),
}


def _speed(name: str, uri: str, port: str, language: str) -> Finding:
    """The speed at which the printer answers its language's harmless question."""
    from devices import serialports
    from devices.transports.serial import parse

    mode = parse(uri).mode
    question, answered = _QUESTIONS[language]
    bauds = (mode.baud, *(baud for baud in serialports.BAUDS if baud != mode.baud))
    try:
        found = serialports.probe(port, question, answered, bauds, mode=mode)
    except OSError as error:
        return _bad(name, f"{port} cannot be opened ({error.strerror or error})", serialports.permission(port))
    if found == mode.baud:
        return Finding(AREA, "ok", f"{name} answers at {found} baud ({uri})")
    if found is None:
        return Finding(AREA, "warning", f"{name} ({uri}) answers at no speed, or does not answer this question at all",
                       "switch it on; print its own configuration label to see its speed and flow control")  # fmt: skip
    return Finding(AREA, "problem", f"{name} answers at {found} baud, it is set up with {mode.baud}",
                   f"write baud={found} in its uri: {uri}")  # fmt: skip


def queue(name: str, uri: str, patience_s: float) -> Finding:
    """Is there such a queue, does it take jobs, and does it print them?"""
    try:
        transports.open(uri, Settings(connect_s=patience_s)).close()
    except DeviceError as error:
        return _bad(name, str(error), "lpstat -p -a")
    return Finding(AREA, "ok", f"{name}: the queue takes jobs and prints them ({uri})")


def _bad(name: str, text: str, otherwise: str) -> Finding:
    """What is wrong, and the remedy that the text itself ends with; `otherwise` when it names none."""
    what, semicolon, remedy = text.partition("; ")
    return Finding(AREA, "problem", f"{name}: {what}", remedy if semicolon else otherwise)
