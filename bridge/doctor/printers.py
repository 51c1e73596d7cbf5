"""Each printer: can it be reached? Not one byte is sent to it, unless `--ask` allows a question."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from bridge.config import VIRTUAL, PrinterConfig
from bridge.doctor import asking, hardware
from bridge.doctor.database import own_printers
from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient
from bridge.fleet import misfit, why_not
from bridge.remote import NotRunning, Refused
from devices import transports
from devices.contracts import Settings
from devices.errors import PrinterUnreachable
from devices.transports import file

AREA = "printer"
PATIENCE_S = 5.0  # seconds for one connection, whatever the configuration says: a person waits
_AT_ONCE = 16  # printers tried at the same time


@dataclass(frozen=True, slots=True)
class Known:
    """One printer. settings: as in [[printers]]. edit: where they are changed. said: what the serve says of it."""

    settings: dict[str, Any]
    edit: str
    said: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    @property
    def uri(self) -> str:
        return str(self.settings.get("uri"))


def examine(patient: Patient) -> Iterator[Finding]:
    """One finding for each printer, tried side by side: ten that are off must not take ten times as long."""
    known = list(_known(patient))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda printer: _look(patient, printer), known)


def _known(patient: Patient) -> Iterator[Known]:
    """Those of the configuration, and those that were set up over the API."""
    said = _said(patient)
    for wanted in patient.config.printers or [VIRTUAL]:
        edit = f"mend uri and language of printer {wanted.name!r} in {patient.edit}; then: {patient.apply}"
        yield Known(wanted.model_dump(), edit, said.get(wanted.name, {}))
    with suppress(sqlite3.Error, OSError, ValueError):  # the look at the database says what is wrong with it
        for name, settings in own_printers(patient.folder / "bridge.db"):
            remove, add = f"printers remove {quote(name)}", f"printers add {quote(name)} URI"
            edit = f"{patient.command(remove)}; {patient.command(add)}"
            yield Known({**settings, "name": name}, edit, said.get(name, {}))


def _said(patient: Patient) -> dict[str, dict[str, Any]]:
    """name -> what the serve says of that printer."""
    if patient.remote is None:
        return {}
    try:
        return {printer["name"]: printer for printer in patient.remote.call("GET", "/v1/printers")["printers"]}
    except (NotRunning, Refused, KeyError, TypeError):
        return {}


def _look(patient: Patient, printer: Known) -> Finding:
    """What we see, and what the serve adds to it."""
    said, reasons = printer.said, ", ".join(printer.said.get("reasons") or ())
    if said.get("state") == "processing":
        return Finding(AREA, "ok", f"{printer.name} is printing now ({printer.uri})")  # it may take one caller only
    seen = _reach(printer, ask=patient.ask)
    if seen.level != "ok" or said.get("state") in (None, "idle"):
        return seen
    text = f"{printer.name} is {said['state']} ({reasons or 'no reason'}): {said.get('text') or 'no more is known'}"
    if said.get("paused"):
        return Finding(AREA, "warning", text, patient.command(f"printers resume {quote(printer.name)}"))
    return Finding(AREA, "warning", text, "look at the printer: it can be reached; the serve goes on by itself")


def _reach(printer: Known, *, ask: bool) -> Finding:
    """Whether it could be printed on, as far as that shows without a byte."""
    try:
        wrong = why_not(PrinterConfig.model_validate(printer.settings))
    except ValidationError as error:
        wrong = f"printer {printer.name!r}: {error.errors()[0]['msg']}"
    if wrong is not None:
        return Finding(AREA, "problem", wrong, printer.edit)
    if (unfit := misfit(PrinterConfig.model_validate(printer.settings))) is not None:
        return Finding(AREA, "warning", str(unfit), printer.edit)
    scheme = urlsplit(printer.uri).scheme.lower()
    if scheme == "tcp":
        seen = _connect(printer)
        asked = asking.what_it_is(printer.name, printer.uri, printer.settings) if ask and seen.level == "ok" else None
        return asked or seen
    if scheme == "file":
        return _path(printer, file.parse(printer.uri))
    if scheme == "virtual":
        return Finding(AREA, "ok", f"{printer.name} is a virtual printer ({printer.uri})")
    if scheme == "usb":
        return hardware.usb(printer.name, printer.uri, printer.settings)
    if scheme == "serial":
        return hardware.serial(printer.name, printer.uri, printer.settings, ask=ask)
    if scheme == "queue":
        return hardware.queue(printer.name, printer.uri, PATIENCE_S)
    return Finding(AREA, "ok", f"{printer.name} ({printer.uri}): not tried; opening it could disturb a label")


def _connect(printer: Known) -> Finding:
    """Connect as the bridge does, and hang up at once."""
    patience_s = min(printer.settings.get("connect_s", PATIENCE_S), PATIENCE_S)
    try:
        transports.open(printer.uri, Settings(connect_s=patience_s)).close()
    except PrinterUnreachable as error:
        return Finding(AREA, "problem", f"{printer.name}: {error}",
                       f"switch it on and look at its cable or Wi-Fi; when it has another address now: {printer.edit}"
                       )  # fmt: skip
    return Finding(AREA, "ok", f"{printer.name} can be reached ({printer.uri})")


def _path(printer: Known, path: Path) -> Finding:
    """A file, FIFO or device, which is not opened: the reader of a FIFO would notice."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return _missing(printer, path)
    except OSError as error:
        return _bad(printer, f"{path} cannot be reached ({error.strerror})", f"ls -ld {quote(str(path))}")
    if stat.S_ISDIR(mode):
        return _bad(printer, f"{path} is a folder", printer.edit)
    if not os.access(path, os.W_OK):
        device = stat.S_ISCHR(mode) or stat.S_ISBLK(mode)
        mend = "sudo usermod -aG lp $(id -un), and log in again" if device else f"chmod u+w {quote(str(path))}"
        return _bad(printer, f"you may not write to {path}", mend)
    if stat.S_ISFIFO(mode):
        return Finding(AREA, "ok", f"{printer.name} is the FIFO {path}: it prints while some program reads it")
    return Finding(AREA, "ok", f"{printer.name} can be written to ({path})")


def _missing(printer: Known, path: Path) -> Finding:
    if path.is_relative_to("/dev"):
        return _bad(printer, f"{path} is not there", "plug the printer in and switch it on; then: ls -l /dev/usb")
    if not path.parent.is_dir():
        return _bad(printer, f"there is no folder {path.parent}", f"mkdir -p {quote(str(path.parent))}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return _bad(printer, f"you may not write in {path.parent}", f"chmod u+wx {quote(str(path.parent))}")
    return Finding(AREA, "ok", f"{printer.name}: {path} is made with the first label")


def _bad(printer: Known, text: str, remedy: str) -> Finding:
    return Finding(AREA, "problem", f"{printer.name} ({printer.uri}): {text}", remedy)
