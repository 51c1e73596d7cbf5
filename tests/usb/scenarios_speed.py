"""What USB costs through us, against the bare calls, in the same machine: 1 MB, and opening and closing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from devices import transports
from devices.contracts import Settings
from tests.usb.gadget import Printer, until
from tests.usb.scenarios_printing import LIBUSB, USBLP, send, uri

MEGABYTE = os.urandom(1_000_007)
RUNS = 5
LP0 = Path("/dev/usb/lp0")


def seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def bare_usblp(data: bytes) -> None:
    handle = os.open(LP0, os.O_WRONLY)
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]
    os.close(handle)


def bare_pyusb(data: bytes) -> None:
    """What the documentation of pyusb shows, with the kernel's driver out of the way and given back."""
    import usb.core
    import usb.util

    device: Any = usb.core.find(idVendor=0x0A5F)
    device.detach_kernel_driver(0)
    usb.util.claim_interface(device, 0)
    out = next(each for each in device[0][(0, 0)] if each.bEndpointAddress < 0x80)
    if data:
        assert out.write(data, 20_000) == len(data)
    usb.util.release_interface(device, 0)
    device.attach_kernel_driver(0)
    usb.util.dispose_resources(device)


def opened_and_closed(address: str) -> None:
    with closing(transports.open(address, Settings())):
        pass


def alternately(first: Callable[[], object], second: Callable[[], object], runs: int) -> tuple[float, float]:
    """The least seconds of each, taken in turns: a noisy machine only ever adds."""
    both = [(seconds(first), seconds(second)) for _ in range(runs)]
    return min(each[0] for each in both), min(each[1] for each in both)


def scenario_1_MB_beside_the_bare_write() -> str:
    said = []
    with Printer("A1", reads=False) as printer, printer.read_by_another_program():
        assert until(LP0.exists)
        for name, bare, way in (("usblp", bare_usblp, USBLP), ("libusb", bare_pyusb, LIBUSB)):
            bare_s, ours_s = alternately(
                lambda bare=bare: bare(MEGABYTE), lambda way=way: send(uri("A1", way), MEGABYTE), RUNS
            )
            said.append(f"{name}: {1 / ours_s:.2f} MB/s, bare {1 / bare_s:.2f} MB/s: {bare_s / ours_s:.2f} x")
    # The processor is emulated, some twenty times slower than a real one beside the same USB: a bound for blunders.
    assert all(float(each.rsplit(": ")[-1].split()[0]) >= 0.3 for each in said), said
    return "\n".join(said)


def scenario_opening_and_closing_costs_at_most_5_ms_more_than_the_bare_calls() -> str:
    said = []
    with Printer("A1"):
        assert until(LP0.exists)
        for name, bare, way in (("usblp", bare_usblp, USBLP), ("libusb", bare_pyusb, LIBUSB)):
            bare_s, ours_s = alternately(
                lambda bare=bare: bare(b""), lambda way=way: opened_and_closed(uri("A1", way)), 15
            )
            said.append(f"{name}: {ours_s * 1000:.1f} ms, bare {bare_s * 1000:.1f} ms")
            assert ours_s - bare_s <= 0.015, said  # 5 ms, times three for an emulated processor
    return "\n".join(said)
