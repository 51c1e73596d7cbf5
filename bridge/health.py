"""What /v1/health says: what is alive, what is short, what is not as it should be, and why."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from bridge import VERSION, printers
from bridge.store.disk import mount_warning
from bridge.store.rescue import report

if TYPE_CHECKING:
    from bridge.app import Bridge


def health(bridge: Bridge) -> dict[str, Any]:
    """status: ok; degraded while a loop is dead; warning while something else wants a person's eye."""
    loops = bridge.watch.states()
    disk, database = _disk(bridge), _database(bridge)
    clock = {"status": "ok" if bridge.clock.trusted else "suspect", "text": bridge.clock.text}
    config = {"status": bridge.loaded.status, "file": str(bridge.loaded.file or ""), "text": bridge.loaded.text}
    fine = not disk["low"] and all(part["status"] == "ok" for part in (database, clock, config))
    return {
        "status": "degraded" if not all(loops.values()) else "ok" if fine else "warning",
        "version": VERSION,
        "pid": os.getpid(),
        "loops": loops,
        "restarts": dict(bridge.watch.restarts),
        "disk": disk,
        "database": database,
        "config": config,
        "clock": clock,
        "jobs": bridge.store.jobs.count_by_state(None),
        "printers": _printers(bridge),
        "listeners": bridge.feed.listeners,
        "engines": {
            "pymupdf": _installed("pymupdf"), "numpy": _installed("numpy"), "waitress": _installed("waitress"),
            "sqlite": sqlite3.sqlite_version, "python": platform.python_version(),
        },
    }  # fmt: skip


def _disk(bridge: Bridge) -> dict[str, Any]:
    disk = shutil.disk_usage(bridge.folder)
    reserve = bridge.config.limits.reserve_bytes
    return {
        "free_bytes": disk.free, "total_bytes": disk.total, "reserve_bytes": reserve, "low": bridge.reserve.low(),
    }  # fmt: skip


def _database(bridge: Bridge) -> dict[str, Any]:
    size = sum(
        path.stat().st_size for path in bridge.folder.glob("bridge.db*") if path.name in ("bridge.db", "bridge.db-wal")
    )
    rescue, mount = report(bridge.folder), mount_warning(bridge.folder)
    status = "replaced" if rescue else "at risk" if mount else "ok"
    return {"status": status, "text": rescue or mount or "", "size_bytes": size}


def _printers(bridge: Bridge) -> list[dict[str, Any]]:
    shown = []
    for device in printers.every(bridge.store, bridge.identity.organization_id):
        printer = printers.to_dict(device, bridge.store.lanes.lane(device.id))
        shown.append({name: printer[name] for name in ("name", "state", "reasons", "text", "waiting")})
    return shown


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
