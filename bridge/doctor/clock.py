"""The clock: a Raspberry Pi has none that runs without power, and wakes up in the past."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

from bridge.clock import EARLIEST
from bridge.doctor.database import newest_event
from bridge.doctor.finding import Finding
from bridge.doctor.patient import Patient

AREA = "clock"
SLACK_S = 60.0  # a clock may be set back a little; that is no fault
_SET = "sudo timedatectl set-ntp true (or by hand: sudo date -s 'YYYY-MM-DD HH:MM')"


def examine(patient: Patient) -> Iterator[Finding]:
    """Against the program's own age, against the database, and what the system and the serve say."""
    now = time.time()
    wrong = list(_wrong(patient, now))
    yield from wrong
    if not wrong:
        yield Finding(AREA, "ok", f"it says {_date(now)}, which may well be")
    said = (patient.health or {}).get("clock") or {}
    if said.get("status") not in (None, "ok") and not wrong:
        yield Finding(AREA, "warning", f"the serve found it {said['status']}: {said.get('text')}", _SET)
    if _synchronized() is False:
        yield Finding(AREA, "warning", "it is not synchronized over the network (NTP)", "sudo timedatectl set-ntp true")


def _wrong(patient: Patient, now: float) -> Iterator[Finding]:
    if now < EARLIEST:
        yield Finding(AREA, "problem", f"it says {_date(now)}, before this program was made", _SET)
    newest = None
    with suppress(sqlite3.Error, OSError):  # the look at the database says what is wrong with it
        newest = newest_event(patient.folder / "bridge.db")
    if newest is not None and newest > now + SLACK_S:
        text = f"it says {_date(now)}, but the newest event in the database is of {_date(newest)}"
        yield Finding(AREA, "problem", f"{text}: it is wrong now, or was wrong then. expires_at and retention count on "
                      "it; the order of jobs does not", _SET)  # fmt: skip


def _date(at: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
    except (OverflowError, ValueError, OSError):
        return f"{at:g} s after 1970"


def _synchronized() -> bool | None:
    """What systemd says, None where it says nothing."""
    try:
        done = subprocess.run(
            ["timedatectl", "show", "-p", "NTPSynchronized", "--value"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip()) if done.returncode == 0 else None
