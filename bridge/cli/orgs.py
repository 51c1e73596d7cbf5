"""orgs: who shares this bridge, and what they may print on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bridge.cli.common import clean, data_option, json_option, print_json, remote, table
from bridge.cli.listing import Listing
from bridge.cli.naming import org_of, printer_of
from bridge.remote import Remote, name_in_path

PLANS = ("free", "professional", "enterprise")


class Quota(click.IntRange):
    """A number of jobs, or `none`."""

    name = "quota"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "none" else super().convert(value, param, ctx)


@click.group(cls=Listing)
def orgs() -> None:
    """Organizations: list (without a command), add, change, share, unshare, off, on."""


@orgs.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path | None) -> None:
    """List the organizations. The first is the one this bridge belongs to."""
    answer = remote(data).get("/v1/organizations")
    if as_json:
        print_json(answer)
        return
    head = ("id", "name", "parent", "plan", "jobs", "borrows", "state")
    table(head, [_row(org) for org in answer["organizations"]])


def _row(org: dict[str, Any]) -> tuple[object, ...]:
    jobs = str(org["jobs_used"]) if org["jobs_quota"] is None else f"{org['jobs_used']} of {org['jobs_quota']}"
    borrows = ",".join(printer["name"] for printer in org["borrows"])
    state = "this bridge's" if org["own"] else "off" if org["disabled_at"] else "on"
    return org["id"], org["name"], org["parent"] or "", org["plan"] or "", jobs, borrows, state


@orgs.command()
@click.argument("name")
@click.option("--id", "id", default=None, help="An id of your own: 8 to 64 letters, digits and hyphens.")
@click.option("--parent", default=None, help="The organization whose sub-account it is.")
@click.option("--plan", type=click.Choice(PLANS), default=None, help="Its limits in the APIs that have plans.")
@click.option("--quota", type=click.IntRange(0), default=None, help="Jobs it may send in all (default: no end).")
@data_option
def add(name: str, id: str | None, parent: str | None, plan: str | None, quota: int | None, data: Path | None) -> None:
    """Make an organization called NAME. `keys add --org` makes keys for it."""
    bridge = remote(data)
    wish = {
        "name": name, "id": id, "parent": org_of(bridge, parent)["id"] if parent is not None else None, "plan": plan,
        "jobs_quota": quota,
    }  # fmt: skip
    made = bridge.create("/v1/organizations", {word: value for word, value in wish.items() if value is not None})
    click.echo(f"organization {clean(made['name'])} ({made['id']}) is made")


@orgs.command()
@click.argument("org")
@click.option("--name", default=None, help="What to call it from now on.")
@click.option("--plan", type=click.Choice((*PLANS, "none")), default=None, help="Its limits from now on.")
@click.option("--quota", type=Quota(0), default=None, help="Jobs it may send in all; `none`: no end.")
@click.option("--used", type=click.IntRange(0), default=None, help="Count on from this number of jobs.")
@data_option
def change(
    org: str, name: str | None, plan: str | None, quota: int | str | None, used: int | None, data: Path | None
) -> None:
    """Change ORG (id, beginning of an id, or name)."""
    said: dict[str, Any] = {"name": name, "plan": plan, "jobs_quota": quota, "jobs_used": used}
    wish = {word: value for word, value in said.items() if value is not None}
    if not wish:
        raise click.UsageError("say what is to change: --name, --plan, --quota or --used")
    wish |= {word: None for word in ("plan", "jobs_quota") if wish.get(word) == "none"}
    changed = _patch(data, org, wish)
    click.echo(f"organization {clean(changed['name'])} ({changed['id']}) is changed")


@orgs.command()
@click.argument("printer")
@click.argument("org")
@data_option
def share(printer: str, org: str, data: Path | None) -> None:
    """Let ORG print on PRINTER (id or name). It sees its name and state, and not how it is set up."""
    bridge = remote(data)
    bridge.call("PUT", _share(bridge, printer, org))
    click.echo(f"{clean(org)} may print on {clean(printer)}")


@orgs.command()
@click.argument("printer")
@click.argument("org")
@data_option
def unshare(printer: str, org: str, data: Path | None) -> None:
    """Let ORG print on PRINTER no longer. What it has sent already is still printed."""
    bridge = remote(data)
    bridge.call("DELETE", _share(bridge, printer, org))
    click.echo(f"{clean(org)} may no longer print on {clean(printer)}")


@orgs.command()
@click.argument("org")
@data_option
def off(org: str, data: Path | None) -> None:
    """Switch ORG off: its keys open nothing, at once. Its jobs are still printed."""
    click.echo(f"organization {clean(_patch(data, org, {'disabled': True})['name'])} is off")


@orgs.command()
@click.argument("org")
@data_option
def on(org: str, data: Path | None) -> None:
    """Switch ORG on again."""
    click.echo(f"organization {clean(_patch(data, org, {'disabled': False})['name'])} is on")


def _patch(data: Path | None, org: str, wish: dict[str, Any]) -> dict[str, Any]:
    bridge = remote(data)
    changed: dict[str, Any] = bridge.call("PATCH", _path(bridge, org), body=wish)
    return changed


def _path(bridge: Remote, org: str) -> str:
    return f"/v1/organizations/{name_in_path(org_of(bridge, org)['id'])}"


def _share(bridge: Remote, printer: str, org: str) -> str:
    return f"{_path(bridge, org)}/printers/{name_in_path(printer_of(bridge, printer)['id'])}"
