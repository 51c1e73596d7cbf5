"""jobs: what was printed, what waits, and what a person may do about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from bridge.cli import watching
from bridge.cli.common import FAILED, Stop, clean, data_option, fitted, json_option, print_json, remote, table
from bridge.cli.listing import Listing
from bridge.cli.naming import job_of, printer_of
from bridge.remote import Refused, Remote, name_in_path

WAYS_OUT = ("printed", "again", "cancel")
all_option = click.option("--all", "every", is_flag=True, help="All held jobs.")
printer_option = click.option("--printer", default=None, help="Only those of one printer.")
reason_option = click.option("--reason", default=None, help="Only those held for this reason (stale, release ...).")
to_option = click.option("--to", "printer", default=None, help="Name or id of another printer.")


@click.group(cls=Listing)
def jobs() -> None:
    """Jobs: list (without a command), show, watch, cancel, hold, release, discard, resolve, move, reprint.

    A job is called by its number, its id, or the beginning of its id.
    """


# ---- looking ----------------------------------------------------------------------------------------------------


@jobs.command("list")
@click.option("--state", default=None, help="Only these, separated by commas (queued, unconfirmed, failed ...).")
@printer_option
@reason_option
@click.option("--title", default=None, help="Only those with this in their title.")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(0, 2**53), default=0, help="Pass over so many of the newest.")
@json_option
@data_option
def list_(
    state: str | None, printer: str | None, reason: str | None, title: str | None, limit: int, offset: int,
    as_json: bool, data: Path | None,
) -> None:  # fmt: skip
    """List jobs, the newest first."""
    answer = remote(data).get(
        "/v1/jobs", state=state, printer=printer, reason=reason, q=title, limit=limit, offset=offset
    )
    if as_json:
        print_json(answer)
        return
    head = ("no", "created", "state", "printer", "title", "", "id")
    table(head, [_row(job) for job in answer["jobs"]])


def _row(job: dict[str, Any]) -> tuple[object, ...]:
    text = job["text"] or job["note"] or ""
    return job["serial"], _time(job["created_at"]), _state(job), job["printer"], job["title"], text, job["id"]


def _state(job: dict[str, Any]) -> str:
    return f"{job['state']} ({job['reason']})" if job["reason"] else str(job["state"])


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


@jobs.command()
@click.argument("job")
@json_option
@data_option
def show(job: str, as_json: bool, data: Path | None) -> None:
    """Show everything about JOB, with what happened to it and when."""
    bridge = remote(data)
    found = bridge.get(_path(job_of(bridge, job)))
    if as_json:
        print_json(found)
        return
    for name, value in _facts(found):
        click.echo(fitted(f"{name:<10}  {clean(value)}"))
    click.echo()
    table(("at", "ms", "state", ""), [_moment(line) for line in found["timeline"]])
    if found["attempts"]:
        click.echo()
        table(("attempt", "at", "bytes", "result", ""), [_attempt(line) for line in found["attempts"]])


def _facts(job: dict[str, Any]) -> list[tuple[str, object]]:
    """What is worth a line, in order."""
    facts: list[tuple[str, object]] = [
        ("job", job["serial"]), ("id", job["id"]), ("state", _state(job)), ("printer", job["printer"]),
        ("title", job["title"]), ("kind", job["kind"]), ("bytes", job["size"]), ("pages", job["pages"]),
        ("copies", job["copies"]), ("evidence", job["evidence"]),
        ("text", job["text"]), ("note", job["note"]), ("created", _time(job["created_at"])),
        ("updated", _time(job["updated_at"])),
    ]  # fmt: skip
    if job.get("expires_at"):
        facts.append(("expires", _time(job["expires_at"])))
    if job.get("reprint_of"):
        facts.append(("reprint of", job["reprint_of"]))
    if job["possible_duplicate"]:
        facts.append(("careful", "it may have been printed before"))
    return [(name, value) for name, value in facts if value not in (None, "")]


def _moment(line: dict[str, Any]) -> tuple[object, ...]:
    return _time(line["at"]), line["ms"], line["state"], line["text"]


def _attempt(line: dict[str, Any]) -> tuple[object, ...]:
    return line["number"], _time(line["started_at"]), line["bytes_sent"], line["result"] or "", line["text"] or ""


@jobs.command()
@click.argument("job", required=False)
@data_option
def watch(job: str | None, data: Path | None) -> None:
    """Watch JOB until it ends, with the exit code of its end; without JOB, everything that happens."""
    bridge = remote(data)
    if job is None:
        watching.everything(bridge)
    else:
        watching.follow(bridge, job_of(bridge, job), also_held=True)


# ---- doing something about one or several -----------------------------------------------------------------------


@jobs.command()
@click.argument("job", nargs=-1, required=True)
@data_option
def cancel(job: tuple[str, ...], data: Path | None) -> None:
    """Stop JOB, as far as that is still possible."""
    _each(data, job, "cancel")


@jobs.command()
@click.argument("job", nargs=-1, required=True)
@data_option
def hold(job: tuple[str, ...], data: Path | None) -> None:
    """Keep JOB back until somebody releases it."""
    _each(data, job, "hold")


@jobs.command()
@click.argument("job", nargs=-1)
@all_option
@printer_option
@reason_option
@data_option
def release(job: tuple[str, ...], every: bool, printer: str | None, reason: str | None, data: Path | None) -> None:
    """Print held jobs now: JOB, or --all."""
    if every and not job:
        _all(data, printer, reason, "release", "released")
        return
    if not job or every or printer or reason:
        raise click.UsageError("Give the jobs, or --all, perhaps with --printer and --reason.")
    _each(data, job, "release")


@jobs.command()
@click.option("--all", "every", is_flag=True, required=True, help="All held jobs.")
@printer_option
@reason_option
@data_option
def discard(every: bool, printer: str | None, reason: str | None, data: Path | None) -> None:
    """Cancel held jobs: --all, or those of a printer or a reason. `jobs cancel` is for single ones."""
    if not every:
        raise click.UsageError("Give --all, perhaps with --printer and --reason.")
    _all(data, printer, reason, "discard", "discarded")


def _each(data: Path | None, jobs: Sequence[str], what: str) -> None:
    """The same for each job; one that is refused does not keep the others from it."""
    bridge, failed = remote(data), False
    for wanted in jobs:
        try:
            job = bridge.call("POST", f"{_path(job_of(bridge, wanted))}/{what}", body={})
            click.echo(f"job {job['serial']}: {clean(_state(job))}")
        except (Refused, Stop) as error:
            failed = True
            text = error.message if isinstance(error, Stop) else str(error)
            Stop(f"job {wanted}: {text}", FAILED).show()
    if failed:
        click.get_current_context().exit(FAILED)


def _all(data: Path | None, printer: str | None, reason: str | None, what: str, done: str) -> None:
    bridge = remote(data)
    wish = {"printer": printer_of(bridge, printer)["id"] if printer is not None else None, "reason": reason}
    answer = bridge.call("POST", f"/v1/jobs/{what}", body={k: v for k, v in wish.items() if v is not None})
    click.echo(f"{answer[done]} {done}")


# ---- doing something about one ----------------------------------------------------------------------------------


@jobs.command()
@click.argument("job")
@click.argument("answer", type=click.Choice(WAYS_OUT))
@data_option
def resolve(job: str, answer: str, data: Path | None) -> None:
    """Say what became of the unconfirmed JOB: it is on paper (printed), print it again, or give it up (cancel)."""
    _changed(data, job, "resolve", lambda _: {"answer": answer})


@jobs.command()
@click.argument("job")
@click.option("--to", "printer", required=True, help="Name or id of the other printer.")
@data_option
def move(job: str, printer: str, data: Path | None) -> None:
    """Print JOB on another printer. Only before anything was sent."""
    _changed(data, job, "move", lambda bridge: {"printer": printer_of(bridge, printer)["id"]})


def _changed(data: Path | None, wanted: str, what: str, body: Callable[[Remote], dict[str, Any]]) -> None:
    bridge = remote(data)
    job = bridge.call("POST", f"{_path(job_of(bridge, wanted))}/{what}", body=body(bridge))
    click.echo(clean(f"job {job['serial']}: {_state(job)} on {job['printer']}"))


@jobs.command()
@click.argument("job")
@click.option("--label", type=click.IntRange(1), default=None, help="Only this label, from 1.")
@click.option("--copies", type=click.IntRange(1, 999), default=None, help="How many (default: as many as before).")
@to_option
@data_option
def reprint(job: str, label: int | None, copies: int | None, printer: str | None, data: Path | None) -> None:
    """Print JOB once more, as a job of its own."""
    bridge = remote(data)
    found = job_of(bridge, job)
    made = bridge.create(f"{_path(found)}/reprint", reprint_wish(bridge, label, copies, printer))
    click.echo(clean(f"job {made['serial']} for {made['printer']} ({made['id']}) repeats job {found['serial']}"))


def reprint_wish(bridge: Remote, label: int | None, copies: int | None, printer: str | None) -> dict[str, Any]:
    """The body of a reprint: only what was asked for."""
    wish = {"label": label, "copies": copies,
            "printer": printer_of(bridge, printer)["id"] if printer is not None else None}  # fmt: skip
    return {name: value for name, value in wish.items() if value is not None}


def _path(job: dict[str, Any]) -> str:
    return f"/v1/jobs/{name_in_path(job['id'])}"
