"""Is a serve running for this folder, does it answer, and is all of it alive?"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient
from bridge.doctor.processes import command_of

AREA = "serve"


def examine(patient: Patient) -> Iterator[Finding]:
    """One finding, and one for each loop that is dead."""
    health, holder = patient.health, patient.holder
    if health is not None:
        yield Finding(AREA, "ok", f"a serve answers: version {health.get('version')}, pid {health.get('pid')}")
        for name, alive in (health.get("loops") or {}).items():
            if alive is False:
                yield Finding(AREA, "problem", f"its loop {name!r} is dead",
                              f"kill {health.get('pid')}, and start it again: {patient.serve_command()}")  # fmt: skip
    elif holder is None:
        yield Finding(AREA, "ok", "no serve is running for this folder; this is what can be seen without one")
    else:
        who = f"pid {holder} ({command_of(holder) or 'its command cannot be seen'})" if holder else "somebody"
        yield Finding(
            AREA, "problem", f"{who} holds the folder, but no serve answers: {patient.silence}",
            f"if it stays so: kill {holder or 'PID'}, and start it again: {patient.serve_command()}",
        )  # fmt: skip
