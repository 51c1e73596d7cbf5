"""Who holds a port or a lock, read from /proc: nothing is opened for writing, locked or bound to find out."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_LISTEN = "0A"  # TCP_LISTEN in include/net/tcp_states.h
_COMMAND_MAX = 160  # characters


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket. uid: whose; inode: its number among all sockets of this machine."""

    address: str
    port: int
    uid: int
    inode: int


def listeners() -> list[Listener]:
    """Every one on this machine. Raises FileNotFoundError where there is no /proc/net."""
    found = list(_read(PROC / "net/tcp", socket.AF_INET))
    with suppress(FileNotFoundError):  # a machine without IPv6
        found += _read(PROC / "net/tcp6", socket.AF_INET6)
    return found


def _read(table: Path, family: socket.AddressFamily) -> Iterator[Listener]:
    for line in table.read_text("utf-8").splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN:
            address, port = fields[1].split(":")
            yield Listener(_address(address, family), int(port, 16), int(fields[7]), int(fields[9]))


def _address(text: str, family: socket.AddressFamily) -> str:
    """The kernel's "0100007F" -> "127.0.0.1": each 32 bits are a number in this machine's byte order."""
    words = [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))


def holders(inodes: Iterable[int]) -> dict[int, int]:
    """Socket inode -> pid of a process that has it open, for those this user may see."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found: dict[int, int] = {}
    for folder in PROC.glob("[0-9]*/fd"):
        with suppress(OSError):  # gone by now, or another user's
            for name in os.listdir(folder):
                with suppress(OSError):
                    inode = wanted.get(os.readlink(folder / name))
                    if inode is not None:
                        found.setdefault(inode, int(folder.parent.name))
    return found


def command_of(pid: int) -> str:
    """What was started, on one line; "" when that cannot be seen."""
    with suppress(OSError):
        words = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        text = " ".join(words).strip()
        return "".join(c if c.isprintable() else "?" for c in text)[:_COMMAND_MAX]
    return ""


def name_of(uid: int) -> str:
    """A user's name, or its number."""
    with suppress(ImportError, KeyError):
        import pwd

        return pwd.getpwuid(uid).pw_name
    return f"uid {uid}"


def lock_holder(path: Path) -> int | None:
    """The pid that holds a bridge's lock, 0 when that is not known, None when nobody does."""
    try:
        inode = path.stat().st_ino
    except OSError:
        return None
    try:
        locks = (PROC / "locks").read_text()
    except OSError:
        return _try_lock(path)
    held = re.search(rf"FLOCK\s+\S+\s+WRITE\s+(-?\d+)\s+\S+:{inode}\s", locks)
    if held is None:
        return None
    return int(held[1]) if int(held[1]) > 0 else _said(path)


def _said(path: Path) -> int:
    """The pid that the holder wrote into the lock file."""
    with suppress(OSError, ValueError):
        return int(path.read_text("utf-8"))
    return 0


def _try_lock(path: Path) -> int | None:
    """Where nobody lists locks: a shared one for the blink of an eye shows whether somebody has it."""
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except ImportError:
        return None
    except OSError:
        return _said(path)
    return None
