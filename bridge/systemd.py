"""What systemd wants to hear from a service: sd_notify(3) and sd_watchdog_enabled(3), two environment variables each.

Without systemd (or on another system) nothing is said and nothing is expected.
"""

from __future__ import annotations

import os
import socket

PATIENCE_S = 1.0  # systemd reads at once; one that does not must not hold up the printing


def notify(state: str) -> bool:
    """Tell systemd: "READY=1", "WATCHDOG=1", "STOPPING=1", "STATUS=...", several of them one a line.

    True when it was handed over. False without systemd and when it could not be: never a reason to stop working.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # Linux's abstract sockets: a name without a file
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(PATIENCE_S)
            line.connect(address)
            line.sendall(state.encode())
    except OSError:
        return False
    return True


def watchdog_s() -> float | None:
    """Seconds between two WATCHDOG=1, half of what systemd waits for; None when it waits for none from this process."""
    try:
        interval = int(os.environ.get("WATCHDOG_USEC", "0")) / 1_000_000
        for_us = int(os.environ.get("WATCHDOG_PID", "") or os.getpid()) == os.getpid()
    except ValueError:
        return None
    return interval / 2 if interval > 0 and for_us else None
