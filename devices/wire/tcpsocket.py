"""One TCP socket to a printer: how it is set, waited on, and asked how much the far side has acknowledged."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

SEND_BUFFER = 16 * 1024  # bytes asked for; Linux doubles it for its own bookkeeping
USER_TIMEOUT_SLACK_S = 5.0  # our own deadline, which explains itself better, should always come first

_KEEPALIVE = [  # option, value; a platform without the option keeps its own habit
    ("TCP_KEEPIDLE", 10),  # s of silence before the first probe
    ("TCP_KEEPINTVL", 5),  # s between probes
    ("TCP_KEEPCNT", 3),  # probes without answer
]
_ABORT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # SO_LINGER: on, 0 s


def dial(sock: socket.socket, address: Any, seconds: float, stall_s: float) -> socket.socket:
    """`sock` connected to `address` and non-blocking; closed when that fails. stall_s: see Settings. Raises OSError."""
    try:
        _tune(sock, stall_s)
        sock.settimeout(seconds)
        sock.connect(address)
        sock.setblocking(False)
        if sock.getsockname() == address:
            # Nobody listened, and the kernel happened to choose the very port called: TCP then talks to itself.
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    except BaseException:
        sock.close()
        raise
    return sock


def _tune(sock: socket.socket, stall_s: float) -> None:
    """What has to be set before connecting: the window is agreed on in the first packet."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    _limit(sock, stall_s + USER_TIMEOUT_SLACK_S)


def be_patient(sock: socket.socket) -> None:
    """Let nobody but us give up a printer that takes nothing: Linux would, although its window is only closed."""
    with suppress(OSError):  # a broken connection says so at the next step
        _limit(sock, 0)


def _limit(sock: socket.socket, seconds: float) -> None:
    """TCP_USER_TIMEOUT (tcp(7)): how long data may stay unacknowledged; 0 is the system's own limit."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))


def abort_on_close(sock: socket.socket) -> None:
    """What is still in the kernel when `sock` is closed is dropped, and the far side sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)


if sys.platform == "win32":

    def poll(sock: socket.socket, seconds: float, *, read: bool, write: bool = False) -> bool:
        """Wait until `sock` can be read or written. True when it can be read."""
        both = [sock]
        return bool(select.select(both if read else [], both if write else [], both, seconds)[0])

else:

    def poll(sock: socket.socket, seconds: float, *, read: bool, write: bool = False) -> bool:
        """Wait until `sock` can be read or written. True when it can be read (an error reads as itself)."""
        poller = select.poll()
        poller.register(sock, (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
        ready = poller.poll(seconds * 1000)
        return any(event & ~select.POLLOUT for _, event in ready)


if sys.platform == "linux":
    import fcntl
    import termios

    COUNTS_ACKNOWLEDGEMENTS = True
    """Whether this platform can say how much the far side has acknowledged."""

    def unacknowledged(sock: socket.socket) -> int:
        """SIOCOUTQ (tcp(7)): bytes in the send queue, sent and not acknowledged or not sent at all."""
        answer: int = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        return answer

else:
    COUNTS_ACKNOWLEDGEMENTS = False

    def unacknowledged(sock: socket.socket) -> int:
        """This platform does not tell."""
        return 0
