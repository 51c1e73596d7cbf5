"""Who has a printer open: read from /proc, where Linux lists every program's open files.

Programs of other users are seen only by root; where we may not look, the answer says how to.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_KNOWN = {  # command -> what it is, and what to do about it
    "ipp-usb": ("ipp-usb", "stop it with: sudo systemctl disable --now ipp-usb"),
    "cupsd": ("CUPS", "remove the printer there, or print through that queue instead"),
    "usb": ("CUPS", "it is printing now; remove the printer there, or print through that queue instead"),
}


@dataclass(frozen=True, slots=True)
class Holder:
    """A program that has a node open. command: its name as ps shows it."""

    pid: int
    command: str

    def __str__(self) -> str:
        if self.pid == os.getpid():
            return f"this program itself (pid {self.pid})"
        name = _KNOWN.get(self.command, (self.command, ""))[0]
        return f"{name} (pid {self.pid}, command {self.command})"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.pid == os.getpid():
            return "two of its printers are the same device: remove one"
        return _KNOWN.get(self.command, ("", f"wait until it is done, or end it: kill {self.pid}"))[1]


def of(node: Path, proc: Path = Path("/proc")) -> list[Holder]:
    """The programs that have `node` open, as far as we may see them, in order of their pid."""
    found = []
    for folder in sorted((each for each in proc.iterdir() if each.name.isdecimal()), key=lambda each: int(each.name)):
        with suppress(OSError):  # another user's, or ended meanwhile
            if any(_target(link) == str(node) for link in (folder / "fd").iterdir()):
                found.append(Holder(int(folder.name), (folder / "comm").read_text().strip()))
    return found


def sentence(node: Path, proc: Path = Path("/proc")) -> str:
    """"X holds it; do this", for the end of an error text."""
    others = of(node, proc)
    if not others:
        return f"another program holds it; see which: sudo fuser -v {node}"
    return f"{' and '.join(map(str, others))} holds it; {others[0].remedy}"


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # closed meanwhile
        return ""
