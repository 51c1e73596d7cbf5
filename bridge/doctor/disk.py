"""The disk: room, and whether what it calls written is still there after a power cut."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient

AREA = "disk"
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "vboxsf", "fuse.sshfs"})
_FLEETING = {"tmpfs": "memory", "ramfs": "memory", "overlay": "a container's own layer"}


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mounts."""

    device: str
    point: Path
    kind: str
    options: frozenset[str]


def examine(patient: Patient) -> Iterator[Finding]:
    """Room first, then the file system."""
    folder = patient.folder.absolute()
    place = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    yield from _room(patient, place)
    mount = mount_of(place)
    if mount is not None:
        yield from _file_system(patient, mount)


def _room(patient: Patient, place: Path) -> Iterator[Finding]:
    free, reserve = shutil.disk_usage(place).free, patient.config.limits.reserve_bytes
    text = f"{free / 1e6:,.0f} MB free where {patient.folder} lies; {reserve / 1e6:,.0f} MB are kept in reserve"
    look = f"see what fills it: du -xh -d 2 {quote(str(_top(place)))} | sort -h | tail; and make room"
    if free < reserve:
        yield Finding(AREA, "problem", f"{text}: new jobs are refused",
                      f"{look} (or set a smaller disk_reserve_mb under [limits] in {patient.edit})")  # fmt: skip
    elif free < 2 * reserve:
        yield Finding(AREA, "warning", f"{text}: soon new jobs will be refused", look)
    else:
        yield Finding(AREA, "ok", text)
    if hasattr(os, "statvfs"):
        nodes = os.statvfs(place)
        if nodes.f_files and nodes.f_favail < 1000:
            yield Finding(AREA, "problem", f"only {nodes.f_favail} more files fit on the disk (inodes)",
                          f"see where they are: du -x --inodes -d 2 {quote(str(_top(place)))} | sort -n | tail; "
                          "and remove some")  # fmt: skip


def _top(place: Path) -> Path:
    mount = mount_of(place)
    return mount.point if mount else place


def _file_system(patient: Patient, mount: Mount) -> Iterator[Finding]:
    point, fstab = quote(str(mount.point)), f"the line of {mount.point} in /etc/fstab"
    elsewhere = f"use a folder on a disk of this machine: print-bridge serve --data FOLDER (now {patient.folder})"
    if "ro" in mount.options:
        yield Finding(AREA, "problem", f"{mount.point} is mounted read-only, often after a fault of the disk",
                      f"see why: sudo dmesg | tail -50; then: sudo mount -o remount,rw {point}")  # fmt: skip
    if mount.kind in _NETWORK:
        yield Finding(AREA, "warning", f"{mount.point} is a network file system ({mount.kind}): locks and syncing do "
                      "not hold there what the database needs", elsewhere)  # fmt: skip
    if mount.kind in _FLEETING:
        yield Finding(AREA, "warning", f"{mount.point} is {_FLEETING[mount.kind]} ({mount.kind}): a restart of the "
                      "machine or container loses every job", elsewhere)  # fmt: skip
    if loose := mount.options & {"data=writeback", "nobarrier", "barrier=0"}:
        yield Finding(AREA, "warning", f"{mount.point} is mounted with {', '.join(sorted(loose))}: a power cut can "
                      "lose jobs that were accepted", f"take it out of {fstab}, and restart the machine")  # fmt: skip
    if re.match(r"/dev/mmcblk", mount.device):
        yield Finding(AREA, "ok", f"{mount.device} is an SD card: it wears out; keep backups elsewhere "
                      f"({patient.command('backup FILE')})")  # fmt: skip


def mount_of(path: Path, table: Path = Path("/proc/self/mounts")) -> Mount | None:
    """The file system `path` lies on; None where there is no such table."""
    try:
        lines = table.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    real = path.resolve()
    mounts = [_mount(line) for line in lines]
    # Of two at the same place the later one lies on top.
    return max((m for m in mounts if real.is_relative_to(m.point)), key=lambda m: len(m.point.parts), default=None)


def _mount(line: str) -> Mount:
    device, point, kind, options = line.split(" ")[:4]
    return Mount(device, Path(_plain(point)), kind, frozenset(options.split(",")))


def _plain(text: str) -> str:
    """A space in a path is written as its octal number, \\040."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
