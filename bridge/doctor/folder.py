"""The data folder: there, ours, for us alone, writable; and the credentials in it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from shlex import quote

from bridge.access.credentials import Credentials
from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient
from bridge.doctor.processes import name_of

AREA = "folder"
_OURS = ("bridge.db", "bridge.db-wal", "bridge.db-shm", "credentials.json", "secrets.json", "lock", "spool",
         "spool/documents", "spool/output")  # fmt: skip


def examine(patient: Patient) -> Iterator[Finding]:
    """The folder, and when we may look into it, what lies there."""
    folder = patient.folder
    try:
        found = folder.stat()
    except FileNotFoundError:
        yield from _missing(patient)
        return
    except OSError as error:
        yield Finding(AREA, "problem", f"{folder} cannot be reached: {error.strerror}", f"ls -ld {quote(str(folder))}")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield Finding(AREA, "problem", f"{folder} is not a folder", f"mv {quote(str(folder))} {quote(f'{folder}.old')}")
        return
    troubles = list(_rights(folder, found))
    yield from troubles
    if not troubles:
        yield Finding(AREA, "ok", f"{folder}: there, writable, for {name_of(found.st_uid)} alone")
    if os.access(folder, os.R_OK | os.X_OK):
        yield from _strangers(folder, found.st_uid)
        yield from _credentials(patient)
        yield from _private(folder / "secrets.json")


def _missing(patient: Patient) -> Iterator[Finding]:
    above = next(path for path in patient.folder.absolute().parents if os.path.exists(path))
    if os.access(above, os.W_OK | os.X_OK):
        yield Finding(AREA, "warning", f"{patient.folder} is not there yet; the first start makes it",
                      patient.serve_command())  # fmt: skip
    else:
        yield Finding(AREA, "problem", f"{patient.folder} is not there, and you may not make it in {above}",
                      f"sudo install -d -m 700 -o $(id -un) {quote(str(patient.folder))}")  # fmt: skip


def _rights(folder: Path, found: os.stat_result) -> Iterator[Finding]:
    """Whose it is and who may do what there."""
    shown = quote(str(folder))
    if os.name == "posix" and os.geteuid() not in (0, found.st_uid):
        text = f"{folder} belongs to {name_of(found.st_uid)}, and you are {name_of(os.geteuid())}"
        mend = f"sudo -u {name_of(found.st_uid)} print-bridge doctor --data {shown}, or make it yours: "
        yield Finding(AREA, "problem", text, f"{mend}sudo chown -R $(id -un) {shown}")
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(AREA, "problem", f"{folder} cannot be written to", f"chmod u+rwx {shown}")
    if os.name == "posix" and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = format(stat.S_IMODE(found.st_mode), "o")
        yield Finding(AREA, "warning", f"others may look into {folder} (mode {mode})", f"chmod 700 {shown}")


def _strangers(folder: Path, owner: int) -> Iterator[Finding]:
    """Files that another user left there, most often root after one `sudo print-bridge`."""
    for name in _OURS:
        path = folder / name
        if os.name == "posix" and os.path.exists(path) and path.stat().st_uid != owner:
            who = f"{name_of(path.stat().st_uid)}, the folder to {name_of(owner)}"
            yield Finding(AREA, "problem", f"{path} belongs to {who}: the serve may not be able to write it",
                          f"sudo chown -R {name_of(owner)} {quote(str(folder))}")  # fmt: skip
            return


def _credentials(patient: Patient) -> Iterator[Finding]:
    path = patient.folder / "credentials.json"
    if not os.path.exists(path):
        if os.path.exists(patient.folder / "bridge.db"):
            yield Finding(AREA, "warning", f"{path} is missing; the next start makes one with a new key",
                          f"put it back from a backup, or: {patient.serve_command()}")  # fmt: skip
        return
    try:
        said = json.loads(path.read_text("utf-8"))
        whole = all(isinstance(said[field.name], str) for field in fields(Credentials))
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if whole:
        yield from _private(path) or ()
        return
    yield Finding(AREA, "problem", f"{path} cannot be read or is not whole: no serve starts with it",
                  f"put it back from a backup, or go on with a new key: mv {quote(str(path))} {quote(f'{path}.broken')}"
                  )  # fmt: skip


def _private(path: Path) -> Iterator[Finding]:
    """A secret for its owner's eyes only."""
    if os.name == "posix" and os.path.exists(path) and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(AREA, "warning", f"others may read {path}", f"chmod 600 {quote(str(path))}")
