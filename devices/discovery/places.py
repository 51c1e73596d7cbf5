"""Where on this machine is looked: everything a test must be able to put elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devices import serialports


@dataclass(frozen=True, slots=True)
class Places:
    """sysfs: the folder of USB devices. dev: device nodes. proc: processes and the ARP table. serial_ports: lists them.

    interfaces: addresses to listen on for mDNS, None for all. raw_port, snmp_port: what
    is tried in a subnet.
    """

    sysfs: Path = Path("/sys/bus/usb/devices")
    dev: Path = Path("/dev")
    proc: Path = Path("/proc")
    serial_ports: Callable[[], list[serialports.Port]] = serialports.ports
    interfaces: tuple[str, ...] | None = None
    raw_port: int = 9100
    snmp_port: int = 161


HERE = Places()
"""This machine."""
