"""The command line. Every command but serve is a client of the running serve.

Exit codes: 0 done; 1 the job failed or was cancelled; 2 wrong use or configuration; 3 the job is unconfirmed: look at
the printer; 4 no serve is running.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge import VERSION
from bridge.config import Config, ConfigError, default_data_folder, load

if TYPE_CHECKING:
    from bridge.app import Bridge
    from bridge.remote import Remote

FAILED, WRONG, UNCONFIRMED, NO_SERVE = 1, 2, 3, 4

_data = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="Data folder (default: the system's place for it).",
)  # fmt: skip
_config = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), default=None,
    help="Configuration file (default: config.toml in the data folder, if there is one).",
)  # fmt: skip
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Stop(click.ClickException):
    """Ends the command with a text and an exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        vars(self)["exit_code"] = code  # click declares it for the class, and reads it from the instance


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="print-bridge")
def main() -> None:
    """Gets the right label out of the right printer, from any web app."""


@main.command()
@_data
@_config
@click.option("--host", default=None, help="Address to listen on (default: 127.0.0.1 and ::1).")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port (default: 8910; 0 chooses one).")
def serve(data: Path | None, config: Path | None, host: str | None, port: int | None) -> None:
    """Run the bridge until SIGTERM or Ctrl-C."""
    folder = data or default_data_folder()
    loaded = _load(folder, config)
    logging.basicConfig(
        level=loaded.server.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr
    )
    stopping = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stopping.set())
    with _running(folder, loaded, host=host, port=port) as bridge:
        # What has been made by now stays until the end: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        for url in bridge.http.urls:
            click.echo(f"listening on {url}")
        sys.stdout.flush()
        while not stopping.wait(1):  # a bare wait() would keep Ctrl-C from being noticed on Windows
            pass
        click.echo("stopping", err=True)


@main.command("print")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--to", "printer", required=True, help="Name or id of the printer.")
@click.option("--copies", type=click.IntRange(1, 999), default=1, show_default=True)
@click.option("--type", "document_type", default=None, help="pdf, png, jpeg, zpl, epl, escpos, raw (default: looks).")
@click.option("--force", is_flag=True, help="Send printer code even in a language the printer does not speak.")
@_data
@_config
def print_(
    file: Path, printer: str, copies: int, document_type: str | None, force: bool, data: Path | None,
    config: Path | None,
) -> None:  # fmt: skip
    """Print FILE and wait until it is out.

    When no serve is running for the data folder, one runs inside this command until the label is out.
    """
    folder = data or default_data_folder()
    query = {
        "printer": printer, "copies": copies, "title": file.name, "document_type": document_type or _by_name(file),
        "force": "true" if force else None,
    }  # fmt: skip
    with _serve_or_own(folder, config) as remote, _said_plainly():
        job = remote.upload(file, query, str(uuid.uuid4()))
        click.echo(f"job {job['id']} for {job['printer']}")
        _watch(remote, job["id"])


@main.command()
@click.option("--state", default=None, help="Only these, separated by commas (queued, unconfirmed, failed ...).")
@click.option("--printer", default=None, help="Only those of one printer.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@_json
@_data
def jobs(state: str | None, printer: str | None, limit: int, as_json: bool, data: Path | None) -> None:
    """List the last jobs, the newest first."""
    with _said_plainly():
        answer = _remote(data).call("GET", "/v1/jobs", query={"state": state, "printer": printer, "limit": limit})
    rows = [(j["id"], j["state"], j["printer"], j["title"], j["text"] or j["note"] or "") for j in answer["jobs"]]
    _table(("id", "state", "printer", "title", ""), rows, answer if as_json else None)


@main.command()
@_json
@_data
def printers(as_json: bool, data: Path | None) -> None:
    """List the printers and how they are."""
    with _said_plainly():
        answer = _remote(data).call("GET", "/v1/printers")
    rows = [
        (p["name"], p["state"] or "unknown", ", ".join(p["reasons"]), str(p["waiting"]), p["text"])
        for p in answer["printers"]
    ]
    _table(("name", "state", "reasons", "waiting", ""), rows, answer if as_json else None)


# ---- the serve: ours or another's ---------------------------------------------------------------------------


def _load(folder: Path, config: Path | None) -> Config:
    if config is None and (folder / "config.toml").exists():
        config = folder / "config.toml"
    try:
        return load(config)
    except ConfigError as error:
        raise Stop(str(error), WRONG) from error


@contextmanager
def _running(folder: Path, config: Config, *, host: str | None, port: int | None) -> Iterator[Bridge]:
    # Imported late: `print-bridge jobs` must not wait for Flask and pydantic models it does not need.
    from bridge.app import Bridge, CannotStart
    from bridge.lock import FolderInUse
    from bridge.store.engine import DatabaseDamaged

    os.umask(0o077)  # labels are personal data: everything we write is for this user alone
    # The default lets a request keep the interpreter for 5 ms while a label waits to leave.
    sys.setswitchinterval(0.0005)
    bridge = Bridge(folder, config, host=host, port=port)
    try:
        bridge.start()
    except (CannotStart, ConfigError, FolderInUse, DatabaseDamaged, OSError) as error:
        raise Stop(f"cannot start: {error}", WRONG) from error
    try:
        yield bridge
    finally:
        bridge.stop()


@contextmanager
def _serve_or_own(folder: Path, config: Path | None) -> Iterator[Remote]:
    from bridge.remote import NotRunning, Remote

    try:
        remote = Remote.of(folder)
    except NotRunning:
        logging.basicConfig(level="WARNING", format="%(levelname)s: %(message)s", stream=sys.stderr)
        with _running(folder, _load(folder, config), host="127.0.0.1", port=0):
            yield Remote.of(folder)
    else:
        yield remote


def _remote(data: Path | None) -> Remote:
    from bridge.remote import Remote

    return Remote.of(data or default_data_folder())


@contextmanager
def _said_plainly() -> Iterator[None]:
    from bridge.remote import NotRunning, Refused

    try:
        yield
    except NotRunning as error:
        raise Stop(str(error), NO_SERVE) from error
    except ConfigError as error:
        raise Stop(str(error), WRONG) from error
    except Refused as error:
        raise Stop(str(error), FAILED) from error


def _by_name(file: Path) -> str | None:
    """Printer code says what it is by its ending; everything else by its bytes."""
    ending = file.suffix.lower().removeprefix(".")
    return ending if ending in ("zpl", "epl", "prn", "bin", "raw", "tspl", "cpcl") else None


# ---- watching and showing -----------------------------------------------------------------------------------


def _watch(remote: Remote, job_id: str) -> None:
    """Follow a job to its end. A terminal sees one changing line, a pipe one line for each change."""
    shown = ""
    while True:
        job = remote.call("GET", f"/v1/jobs/{job_id}")
        line = _line(job, remote)
        if line != shown:
            _show(line, shown)
            shown = line
        if job["state"] in ("delivered", "printed"):
            break
        if job["state"] in ("failed", "cancelled", "expired", "unconfirmed"):
            _newline()
            raise Stop(f"{job['state']}: {job['text']}", UNCONFIRMED if job["state"] == "unconfirmed" else FAILED)
        time.sleep(0.1)
    _newline()


def _line(job: dict[str, Any], remote: Remote) -> str:
    parts = [job["state"]]
    progress = job.get("progress") or {}
    for word, done, total in (("page", "pages_rendered", "pages_total"), ("label", "labels_sent", "labels_total")):
        if progress.get(total):
            parts.append(f"{word} {progress[done]} of {progress[total]}")
    if progress.get("bytes_sent"):
        parts.append(f"{progress['bytes_sent']:,} bytes sent")
    if job["state"] in ("queued", "preparing"):
        printer = remote.call("GET", f"/v1/printers/{job['device_id']}")
        parts += [p for p in (*printer["reasons"], printer["text"]) if p]
    parts += [t for t in (job["text"], job["note"]) if t and job["state"] not in ("failed", "unconfirmed")]
    return ", ".join(parts)


def _show(line: str, before: str) -> None:
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r{line[:width]:<{min(len(before), width)}}", nl=False)
    else:
        click.echo(line)


def _newline() -> None:
    if sys.stdout.isatty():
        click.echo()


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], as_json: Any) -> None:
    if as_json is not None:
        click.echo(json.dumps(as_json, indent=2))
        return
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows] if rows else []:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if not rows:
        click.echo("none")


if __name__ == "__main__":
    main()
