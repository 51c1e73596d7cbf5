"""`print-bridge doctor`: looks at everything a bridge needs, changes nothing, and says how to mend what is wrong.

It works with a serve running or without. A serve that answers is asked how it is; everything else is looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from bridge.doctor import browsers, clock, configuration, database, disk, folder, ports, printers, serve
from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient, admit

AREAS: list[tuple[str, Callable[[Patient], Iterator[Finding]]]] = [
    ("serve", serve.examine),
    ("config", configuration.examine),
    ("folder", folder.examine),
    ("disk", disk.examine),
    ("clock", clock.examine),
    ("database", database.examine),
    ("printer", printers.examine),
    ("port", ports.examine),
    ("browser", browsers.examine),
]


def examine(data: Path, config_path: Path | None = None, *, ask: bool = False) -> list[Finding]:
    """Every finding, area after area. data: the data folder; config_path: as given to serve with --config.

    ask: serial printers may be asked at which speed they answer.
    """
    patient = admit(data, config_path, ask=ask)
    return [finding for area, look in AREAS for finding in _survive(area, look, patient)]


def _survive(area: str, look: Callable[[Patient], Iterator[Finding]], patient: Patient) -> Iterator[Finding]:
    """One area that cannot be looked at must not hide the others."""
    try:
        yield from look(patient)
    except Exception as error:
        text = f"this could not be looked at to the end: {type(error).__name__}: {error}"
        yield Finding(area, "problem", text, "run the doctor as the user that runs the serve (sudo -u USER)")
