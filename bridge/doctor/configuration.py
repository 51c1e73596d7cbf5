"""The configuration: can it be read, is every key known, are the files it names there?"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from difflib import get_close_matches
from shlex import quote

from bridge.config import LAST_GOOD
from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient

AREA = "config"


def examine(patient: Patient) -> Iterator[Finding]:
    """The file, the copy of it that is used instead, and the files of keys."""
    if patient.config_error:
        yield from _broken(patient)
    elif patient.config_file is None:
        yield Finding(AREA, "ok", f"no {patient.edit}: everything has its default")
    else:
        config = patient.config
        yield Finding(AREA, "ok", f"{patient.config_file}: printers {len(config.printers)}, keys {len(config.keys)}")
    yield from _as_the_serve_sees_it(patient)
    for key in patient.config.keys:
        if key.key_file is not None:
            yield from _key_file(patient, key.name, str(key.key_file))


def _broken(patient: Patient) -> Iterator[Finding]:
    instead = patient.folder / LAST_GOOD
    used = f"; until it is mended, the last good one is used ({instead})" if os.path.exists(instead) else ""
    for line in patient.config_error.splitlines():
        yield Finding(AREA, "problem", f"{line}{used}", f"{_edit(patient, line)}; then: {patient.apply}")


def _edit(patient: Patient, line: str) -> str:
    """What to change, as exactly as the error allows."""
    if unknown := re.search(r"unknown key (\S+); allowed here: (.*)", line):
        key = unknown[1].rpartition(".")[2]
        meant = get_close_matches(key, unknown[2].split(", "), 1)
        return f"in {patient.edit}, " + (f"write {meant[0]} instead of {key}" if meant else f"take {key} out")
    if place := re.search(r"\(at line (\d+)", line):
        return f"mend line {place[1]} of {patient.edit}"
    if "cannot be read" in line:
        return f"make it readable: chmod u+r {quote(patient.edit)}, or name another one with --config"
    return f"mend it in {patient.edit}"


def _as_the_serve_sees_it(patient: Patient) -> Iterator[Finding]:
    said = (patient.health or {}).get("config") or {}
    if said.get("status") not in (None, "ok") and not patient.config_error:
        text = f"the serve runs with {said.get('status')}: {said.get('text')}"
        yield Finding(AREA, "problem", text, f"the file is whole now, so: {patient.apply}")


def _key_file(patient: Patient, name: str, path: str) -> Iterator[Finding]:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        yield Finding(AREA, "problem", f"the key file {path} of key {name!r} cannot be used: {error.strerror}",
                      f"put the key there, or change key_file in {patient.edit}; then: {patient.apply}")  # fmt: skip
        return
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(AREA, "warning", f"others may read the key file {path} of key {name!r}", f"chmod 600 {path}")
