"""last-print in the data folder: what `print --last` repeats. The last job of each printer, the newest at the end."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

NAME = "last-print"


def read(folder: Path, device_id: str | None) -> str | None:
    """The id of the last job printed with `print`, on this printer or (None) on any; None when there is none."""
    jobs = _all(folder)
    return jobs.get(device_id) if device_id is not None else next(reversed(jobs.values()), None)


def write(folder: Path, device_id: str, job_id: str) -> None:
    """Keep it in mind. A folder that cannot be written to must not keep a label from being printed."""
    jobs = {device: job for device, job in _all(folder).items() if device != device_id}
    with suppress(OSError):
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{NAME}.")
        with os.fdopen(handle, "w") as file:
            json.dump({**jobs, device_id: job_id}, file)
        os.replace(temporary, folder / NAME)


def _all(folder: Path) -> dict[str, str]:
    try:
        jobs = json.loads((folder / NAME).read_text("utf-8"))
    except (OSError, ValueError):  # none yet, or half a file: nothing is lost but a convenience
        return {}
    return jobs if isinstance(jobs, dict) and all(isinstance(job, str) for job in jobs.values()) else {}
