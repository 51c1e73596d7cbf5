"""printers: what this bridge prints on, and how each is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

import click

from bridge.cli.common import FAILED, Stop, clean, data_option, json_option, print_json, remote, table
from bridge.cli.listing import Listing
from bridge.cli.naming import path_of, printer_of
from bridge.cli.watching import condition
from bridge.remote import Refused

Command = TypeVar("Command", bound=Callable[..., Any])

SETTINGS = [  # the keys of [[printers]], as options; the serve knows what they may be
    click.option("--language", default=None, help="What it speaks (default: zpl)."),
    click.option("--id", "id", default=None, help="A device id of your own."),
    click.option("--dpi", type=int, default=None, help="Dots per inch (default: 203)."),
    click.option("--width-mm", type=float, default=None, help="Width of the label (default: 101.6)."),
    click.option("--height-mm", type=float, default=None, help="Length of the label (default: 152.4; 0: continuous)."),
    click.option("--status", type=click.Choice(["auto", "off"]), default=None, help="Whether to ask it how it is."),
    click.option("--half-close/--no-half-close", default=None, help="Say `that was all` by closing our side."),
    click.option("--ordered/--not-ordered", default=None, help="Strictly one job after the other."),
    click.option("--hold-older-than-s", type=float, default=None, help="After an outage, hold older jobs."),
    click.option("--mdns", default=None, help="Its mDNS name, to find it again when its address changes."),
    click.option("--mac", default=None, help="Its MAC, to find it again when its address changes."),
    click.option("--connect-s", type=float, default=None, help="Seconds for a connection to open (default: 4)."),
    click.option("--stall-s", type=float, default=None, help="Seconds without progress (default: 30)."),
    click.option("--darkness", type=int, default=None, help="In the printer's own scale (default: as it is set)."),
    click.option("--speed", type=float, default=None, help="Inches a second (default: as it is set)."),
    click.option("--tracking", type=click.Choice(["gap", "mark", "continuous"]), default=None,
                 help="How it finds the next label."),
    click.option("--gap-mm", type=float, default=None, help="Height of the gap or mark."),
    click.option("--tear-off", type=int, default=None, help="Dots the label comes out further."),
    click.option("--mode", type=click.Choice(["tear-off", "peel-off", "rewind", "cutter", "applicator"]), default=None,
                 help="What it does after each label."),
    click.option("--profile", default=None, help="Which kind of receipt printer."),
    click.option("--cut", type=click.Choice(["auto", "none", "partial", "full"]), default=None,
                 help="How a receipt printer cuts (default: as its profile says)."),
    click.option("--cut-each", type=click.Choice(["page", "copy", "job"]), default=None,
                 help="After what it cuts (default: copy)."),
    click.option("--feed-mm", type=float, default=None, help="From the print head to the cutter."),
    click.option("--code-page", default=None, help="Of the text of receipts, say cp858."),
]  # fmt: skip


def _settings(command: Command) -> Command:
    for option in reversed(SETTINGS):
        command = option(command)
    return command


@click.group(cls=Listing)
def printers() -> None:
    """Printers: list (without a command), find, add, remove, pause, resume, test, drawer, number."""


@printers.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path | None) -> None:
    """List the printers and how they are."""
    answer = remote(data).get("/v1/printers")
    if as_json:
        print_json(answer)
        return
    head = ("name", "state", "reasons", "waiting", "held", "uri", "")
    table(head, [_row(printer) for printer in answer["printers"]])


def _row(printer: dict[str, Any]) -> tuple[object, ...]:
    uri = (printer.get("settings") or {}).get("uri", "")
    state = printer["state"] or "unknown"
    return (printer["name"], state, ", ".join(printer["reasons"]), printer["waiting"], printer.get("held", ""), uri,
            condition(printer))  # fmt: skip


@printers.command()
@click.option("--subnet", default=None, help="Also try port 9100 of 192.168.1.0/24 (at most a /22); no byte is sent.")
@click.option("--seconds", type=click.FloatRange(0, 10), default=2.0, show_default=True, help="Listen for mDNS.")
@json_option
@data_option
def find(subnet: str | None, seconds: float, as_json: bool, data: Path | None) -> None:
    """Find printers that are plugged in or on the network, each with the command that adds it."""
    answer = remote(data).get("/v1/printers/discover", subnet=subnet, mdns_s=seconds)
    if as_json:
        print_json(answer)
        return
    for candidate in answer["candidates"]:
        _tell(candidate)
    if not answer["candidates"]:
        click.echo("no printer found; is it switched on and plugged in?")
    for remark in answer["remarks"]:
        click.echo(f"not looked at: {clean(remark)}", err=True)


def _tell(candidate: dict[str, Any]) -> None:
    """One candidate in a few lines, the command last."""
    what = candidate["model"] or candidate["label"] or "something that does not say what it is"
    click.echo(clean(f"{what}, {candidate['where']}"))
    click.echo(clean(f"    {candidate['reason']}"))
    if candidate["trouble"]:
        click.echo(clean(f"    trouble: {candidate['trouble']}"))
    if candidate["added"]:
        click.echo(clean(f"    is printer {candidate['added']} already"))
        return
    settings = candidate["settings"]
    options = [f"--{key} {quote(str(value))}" for key, value in settings.items() if key not in ("name", "uri")]
    words = ["    print-bridge printers add", quote(settings["name"]), quote(settings["uri"]), *options]
    click.echo(clean(" ".join(words)))


@printers.command()
@data_option
def number(data: Path | None) -> None:
    """Print a number on each printer, to tell two alike from each other."""
    bridge = remote(data)
    for place, printer in enumerate(bridge.get("/v1/printers")["printers"], 1):
        wish = {"printer": printer["id"], "template": "number", "title": f"number {place}",
                "fields": {"number": str(place), "name": printer["name"],
                           "where": (printer.get("settings") or {}).get("uri", "")[:80]}}  # fmt: skip
        job = bridge.create("/v1/jobs", wish)
        click.echo(f"{place}  {clean(printer['name'])}  job {job['serial']}")


@printers.command()
@click.argument("name")
@click.argument("uri")
@_settings
@data_option
def add(name: str, uri: str, data: Path | None, **settings: Any) -> None:
    """Add a printer: its NAME, and its URI, as tcp://192.168.1.40. It is there at once, and after a restart."""
    wish = {"name": name, "uri": uri, **{key: value for key, value in settings.items() if value is not None}}
    made = remote(data).create("/v1/printers", wish)
    click.echo(f"printer {clean(made['name'])} ({made['id']}); try it with `print-bridge printers test`")


@printers.command()
@click.argument("printer")
@click.option("--cancel-jobs", is_flag=True, help="Cancel the jobs that wait for it; else it stays.")
@data_option
def remove(printer: str, cancel_jobs: bool, data: Path | None) -> None:
    """Remove PRINTER (name or id). One from config.toml is removed there."""
    bridge = remote(data)
    found = printer_of(bridge, printer)
    try:
        bridge.call("DELETE", path_of(found), query={"jobs": "cancel" if cancel_jobs else None})
    except Refused as error:
        if error.code != "has_jobs":
            raise
        raise Stop(f"{error.text}; cancel them with --cancel-jobs, or move them first", FAILED) from error
    click.echo(f"printer {clean(found['name'])} is removed")


@printers.command()
@click.argument("printer")
@click.option("--reason", default="", help="Why, for those who wonder.")
@data_option
def pause(printer: str, reason: str, data: Path | None) -> None:
    """Send PRINTER (name or id) nothing more until it is resumed, also after a restart."""
    _told(data, printer, "pause", {"reason": reason})


@printers.command()
@click.argument("printer")
@data_option
def resume(printer: str, data: Path | None) -> None:
    """Go on with PRINTER (name or id)."""
    _told(data, printer, "resume", {})


def _told(data: Path | None, wanted: str, what: str, body: dict[str, Any]) -> None:
    bridge = remote(data)
    found = bridge.call("POST", f"{path_of(printer_of(bridge, wanted))}/{what}", body=body)
    text = f", {found['text']}" if found["text"] else ""
    click.echo(clean(f"printer {found['name']} is {found['state'] or 'unknown'}{text}"))


@printers.command()
@click.argument("printer")
@data_option
def test(printer: str, data: Path | None) -> None:
    """Print the test label on PRINTER (name or id)."""
    bridge = remote(data)
    job = bridge.create(f"{path_of(printer_of(bridge, printer))}/test", {})
    click.echo(f"job {job['serial']} for {clean(job['printer'])} ({job['id']})")


@printers.command()
@click.argument("printer")
@click.option("--pin", type=click.Choice(["2", "5"]), default="2", show_default=True, help="Of the drawer's plug.")
@data_option
def drawer(printer: str, pin: str, data: Path | None) -> None:
    """Open the cash drawer that is plugged into PRINTER (name or id)."""
    bridge = remote(data)
    job = bridge.create(f"{path_of(printer_of(bridge, printer))}/drawer", {"pin": int(pin)})
    click.echo(f"job {job['serial']} for {clean(job['printer'])} ({job['id']})")
