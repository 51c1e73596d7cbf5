"""GET /v1/diagnostics: a zip for whoever is to help. No documents, no secrets, no queries of addresses."""

from __future__ import annotations

import io
import json
import platform
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from bridge import VERSION, printers
from bridge.access.redact import MASK, redact
from bridge.model import Job, to_dict
from bridge.report.tally import last_seq
from bridge.store import Store
from bridge.store.events import event_json

EVENTS = 500
JOBS = 200
LOG_TAIL = 512 * 1024  # bytes

_SHOWN = frozenset(
    # server
    "host port ws_port hosts organization_id plan delete_reply registration printcloud_rate olin_plan log_level"
    # limits and retention
    " body_mb document_mb fetch_s fetch_private fetch_loopback pages page_megapixels render_s render_cpu_s"
    " render_memory_mb disk_reserve_mb documents_h jobs_days keys_days"
    # printers
    " name uri language id dpi width_mm height_mm status half_close ordered hold_older_than_s connect_s stall_s"
    # keys and clouds, without what they are secret for
    " key_file scopes origins kind url ws_url".split()
)
"""The settings whose values are shown. All others are masked: secrets, and typing errors that may hold one."""


def diagnostics(
    health: Mapping[str, Any], store: Store, organization_id: str, folder: Path, config_file: Path | None
) -> bytes:
    """The zip. folder: the data folder, for its log. config_file: the configuration in use, None for none."""
    files = {
        "health.json": _json(health),
        "printers.json": _json(_printers(store, organization_id)),
        "config.toml": _config(config_file),
        "events.json": _json(_events(store)),
        "jobs.json": _json([_job(store, job) for job in _last_jobs(store)]),
        "versions.txt": "".join(f"{line}\n" for line in _versions()),
    }
    log = folder / "log" / "print-bridge.log"
    if log.is_file():
        files["print-bridge.log"] = _tail(log)
    return _zipped(files)


def _zipped(files: Mapping[str, str]) -> bytes:
    packed, now = io.BytesIO(), time.localtime()[:6]
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name, max(now, (1980, 1, 1, 0, 0, 0)))  # a zip knows no earlier day
            info.external_attr = 0o600 << 16
            archive.writestr(info, text.encode("utf-8", "backslashreplace"), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _json(value: Any) -> str:
    return json.dumps(_clean(value), indent=1, ensure_ascii=False, default=str) + "\n"


def _clean(value: Any) -> Any:
    """Every text in it without its secrets, and still JSON: what is redacted as a whole loses its quotes."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: _clean(each) for name, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list | tuple) else value


def _printers(store: Store, organization_id: str) -> list[dict[str, Any]]:
    devices = printers.every(store, organization_id)
    return [
        {**printers.to_dict(device, store.lanes.lane(device.id)), "from_config": device.from_config,
         "settings": _loaded(device.settings), "closings": device.closings, "left_open": device.left_open}
        for device in devices
    ]  # fmt: skip


def _loaded(settings: str | None) -> Any:
    try:
        return None if settings is None else json.loads(settings)
    except ValueError:
        return "cannot be read"


def _events(store: Store) -> list[dict[str, Any]]:
    newest = last_seq(store, None)
    return [event_json(event) for event in store.events.after(None, newest - EVENTS, limit=EVENTS)]


def _last_jobs(store: Store) -> list[Job]:
    return store.jobs.page(None, newest_first=True, limit=JOBS)[0]


def _job(store: Store, job: Job) -> dict[str, Any]:
    """A job with its sendings. Its title may name a customer, and nobody needs it to help."""
    shown = to_dict(job, None)
    del shown["title"]
    return {**shown, "options": job.options, "declared": job.declared, "title_length": len(job.title),
            "attempts": store.jobs.attempts(job.organization_id, job.id)}  # fmt: skip


# ---- the configuration ------------------------------------------------------------------------------------------


def _config(file: Path | None) -> str:
    """Written anew from what it means: comments may hold what the settings do not."""
    if file is None:
        return "# there is no configuration file\n"
    try:
        raw = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:  # it may hold secrets where nobody would look for them
        return f"# {file} cannot be read as TOML: {type(error).__name__}\n"
    return f"# {file}, without comments and secrets\n" + "".join(f"{line}\n" for line in _toml(raw))


def _toml(raw: Mapping[str, Any]) -> Iterator[str]:
    """Sections and lists of sections, one level deep, as the configuration has them."""
    for name, value in raw.items():
        if not isinstance(value, dict) and not _is_sections(value):
            yield _setting(name, value)
    for name, value in raw.items():
        if isinstance(value, dict):
            yield from ("", f"[{name}]", *(_setting(*each) for each in value.items()))
        elif _is_sections(value):
            for section in value:
                yield from ("", f"[[{name}]]", *(_setting(*each) for each in section.items()))


def _is_sections(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _setting(name: str, value: Any) -> str:
    plain = isinstance(value, str | int | float | bool) or (isinstance(value, list) and not _is_sections(value))
    shown = json.dumps(_clean(value), default=str) if name in _SHOWN and plain else json.dumps(MASK)
    return f"{name} = {shown}"


# ---- the machine ------------------------------------------------------------------------------------------------


def _versions() -> Iterator[str]:
    yield f"print-bridge {VERSION}"
    yield f"python {sys.version}".replace("\n", " ")
    yield f"platform {platform.platform()}"
    yield f"machine {platform.machine()}"
    found = {str(found.metadata["Name"]): found.version for found in distributions()}
    yield from (f"package {name} {version}" for name, version in sorted(found.items()))


def _tail(log: Path) -> str:
    """The end of the log, from a whole line on."""
    with log.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - LOG_TAIL))
        text = file.read(LOG_TAIL).decode("utf-8", "replace")
    whole = text.partition("\n")[2] if size > LOG_TAIL else text
    return "\n".join(redact(line) for line in whole.split("\n"))
