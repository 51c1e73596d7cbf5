"""Which serial ports there are, who holds one, and at which speed a printer answers.

    from devices import serialports

    for port in serialports.ports():
        print(port.uri, port.description)
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from serial.tools import list_ports

from devices.serialline import Line, Mode

BY_ID = Path("/dev/serial/by-id")
LOCKS = Path("/var/lock")
BAUDS = (9600, 19200, 38400, 57600, 115200, 4800, 2400)
"""In the order in which label and receipt printers are usually set."""
COMMAND = 80  # characters of a command line worth reading in an error text


@dataclass(frozen=True, slots=True)
class Port:
    """One port of this machine. device: /dev/ttyUSB0, COM3. by_id: a name that stays the same through a replug and
    on another socket, None where there is none. vid, pid: of the USB adapter."""

    device: str
    description: str
    by_id: str | None = None
    serial_number: str | None = None
    vid: int | None = None
    pid: int | None = None

    @property
    def path(self) -> str:
        """The name to configure."""
        return self.by_id or self.device

    @property
    def uri(self) -> str:
        """The address to configure, with the default of 9600 baud written out."""
        return f"serial://{quote(self.path)}?baud=9600"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a port open."""

    pid: int
    command: str

    def __str__(self) -> str:
        own = ", this program itself" if self.pid == os.getpid() else ""
        return f"process {self.pid} ({self.command or 'its name is not known'}{own})"


# -- which there are


def ports() -> list[Port]:
    """Every serial port with hardware behind it, USB adapters first. Opens none."""
    links = _by_id()
    found = [
        Port(each.device, each.description or "serial port", links.get(os.path.realpath(each.device)),
             each.serial_number, each.vid, each.pid)
        for each in list_ports.comports()
    ]  # fmt: skip
    return sorted(found, key=lambda port: (port.vid is None, port.device))


def _by_id() -> dict[str, str]:
    """device -> its lasting name, as udev gives it."""
    with suppress(OSError):
        return {os.path.realpath(link): str(link) for link in sorted(BY_ID.iterdir())}
    return {}


def listing() -> str:
    """What ports there are, as the end of an error text."""
    there = [f"{port.path} ({port.description})" for port in ports()]
    return f"the ports here are: {', '.join(there)}" if there else "there is no serial port on this computer"


# -- who holds one


def holders(path: str) -> list[Holder]:
    """The processes that have `path` open, or a lock file on it, by any of its names.

    Linux. Of processes of other users only root is told.
    """
    found = {holder.pid: holder for holder in (*_lock_files(path), *_openers(path))}
    return sorted(found.values(), key=lambda holder: holder.pid)


def locked_by(path: str) -> Holder | None:
    """Another process that has put a lock file on the port (minicom, pppd, kermit do), if it still runs."""
    return next(iter(_lock_files(path)), None)


def _lock_files(path: str) -> Iterator[Holder]:
    """/var/lock/LCK..ttyUSB0: the pid as text, by the File System Hierarchy Standard (5.9)."""
    with suppress(OSError, ValueError):
        pid = int((LOCKS / f"LCK..{os.path.basename(os.path.realpath(path))}").read_text().split()[0])
        if pid != os.getpid() and os.path.exists(f"/proc/{pid}"):  # a crashed program leaves its file behind
            yield Holder(pid, _command(pid))


def _openers(path: str) -> Iterator[Holder]:
    with suppress(OSError):  # no /proc here
        device = os.path.realpath(path)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if _has_open(pid, device):
                yield Holder(int(pid), _command(int(pid)))


def _has_open(pid: str, device: str) -> bool:
    with suppress(OSError):  # over already, or not ours to look at
        for handle in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{handle}") == device:
                    return True
    return False


def _command(pid: int) -> str:
    """How the process was called, shortened."""
    with suppress(OSError):
        called = Path(f"/proc/{pid}/cmdline").read_bytes() or Path(f"/proc/{pid}/comm").read_bytes()
        words = called.replace(b"\0", b" ").decode(errors="replace").strip()
        return words if len(words) <= COMMAND else words[:COMMAND] + "..."
    return ""


# -- who may open it


def permission(path: str) -> str:
    """What to do so that this program's user may open `path`: the exact command where there is one."""
    try:
        node = os.stat(path)
    except OSError:
        return "allow this program's user to open it"
    group = _group(node.st_gid)
    if group == "root" or node.st_mode & (stat.S_IRGRP | stat.S_IWGRP) != stat.S_IRGRP | stat.S_IWGRP:
        return f"its rights are {stat.filemode(node.st_mode)}: sudo chgrp dialout {path} && sudo chmod g+rw {path}"
    return f"sudo usermod -aG {group} {_user()}, then log in again (a service: restart it)"


if sys.platform == "win32":

    def _group(number: int) -> str:
        return str(number)

    def _user() -> str:
        return getpass.getuser()

else:
    import grp
    import pwd

    def _group(number: int) -> str:
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return str(number)

    def _user() -> str:
        try:
            return pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            return "$(id -un)"


# -- at which speed it answers


def probe(
    port: str, ask: bytes, answered: Callable[[bytes], bool], bauds: Sequence[int] = BAUDS, *,
    mode: Mode | None = None, patience_s: float = 0.6,
) -> int | None:  # fmt: skip
    """The first of `bauds` at which the printer answers `ask`, or None. Only when a person asks for it.

    answered: whether what was received so far is the answer, and no noise. mode: the other settings. patience_s: per
    speed. At a wrong speed the printer may take the question for text and print it. Raises OSError when the port
    cannot be opened.
    """
    for baud in bauds:
        with closing(Line(port, replace(mode or Mode(), baud=baud))) as line:
            if _answers(line, ask, answered, patience_s):
                return baud
    return None


def _answers(line: Line, ask: bytes, answered: Callable[[bytes], bool], patience_s: float) -> bool:
    until, left, said = time.monotonic() + patience_s, memoryview(ask), b""
    try:
        while time.monotonic() < until:
            left = left[line.offer(left) :] if left else left
            said += line.hear()
            if said and answered(said):
                return True
            time.sleep(0.01)
        return False
    finally:
        line.drop()  # a question that was held up must not be asked at the next speed
