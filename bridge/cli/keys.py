"""keys: who may talk to this bridge."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.cli.common import FAILED, Stop, clean, data_option, json_option, org_option, print_json, remote, table
from bridge.cli.listing import Listing
from bridge.cli.naming import home_of, key_of, user_of
from bridge.remote import Remote, name_in_path

SCOPES = ("jobs", "printers", "admin", "print", "read")
KINDS = ("cloudlayer", "printcloud")
RAW = ("documents", "raw-safe", "raw-any")
Command = TypeVar("Command", bound=Callable[..., Any])


@click.group(cls=Listing)
def keys() -> None:
    """API keys: list (without a command), add, change, revoke."""


@keys.command("list")
@org_option
@json_option
@data_option
def list_(org: str | None, as_json: bool, data: Path | None) -> None:
    """List the keys. Their texts are not kept anywhere."""
    bridge = remote(data)
    answer = bridge.get("/v1/keys", organization=home_of(bridge, org))
    if as_json:
        print_json(answer)
        return
    table(("id", "name", "scopes", "origins", "may send", "made", "state"), [_row(key) for key in answer["keys"]])


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    state = "revoked" if key.get("revoked_at") else "in config.toml" if key.get("from_config") else "active"
    made = time.strftime("%Y-%m-%d", time.localtime(key["created_at"]))
    may = key["raw"] + (",drawer" if key["drawer"] else "")
    return key["id"], key["name"], ",".join(sorted(key["scopes"])), ",".join(sorted(key["origins"])), may, made, state


def _grants(command: Command) -> Command:
    """The options that say what its printer code may do."""
    for option in (
        click.option("--drawer/--no-drawer", default=None, help="May it open the cash drawer? (Default: not from web "
                     "pages.)"),
        click.option("--raw", type=click.Choice(RAW), default=None, help="Printer code it may send: none, only what "
                     "prints, any (default: raw-safe from web pages, else raw-any)."),
    ):  # fmt: skip
        command = option(command)
    return command


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it may do; give it again for "
              "more (default: jobs and printers).")  # fmt: skip
@click.option("--origin", "origins", multiple=True, help="Web page that may use it, as https://shop.example.")
@_grants
@click.option("--user", default=None, help="A user it ends with: id, beginning of an id, address, or name.")
@click.option("--kind", type=click.Choice(KINDS), default=None, help="Make its text look as this cloud's programs "
              "expect it.")  # fmt: skip
@org_option
@data_option
def add(
    name: str, scopes: tuple[str, ...], origins: tuple[str, ...], raw: str | None, drawer: bool | None,
    user: str | None, kind: str | None, org: str | None, data: Path | None,
) -> None:  # fmt: skip
    """Make a key called NAME. It stands alone on standard output, this once."""
    bridge = remote(data)
    home = home_of(bridge, org)
    whose = user_of(bridge, user, home)["id"] if user is not None else None
    wish = _given(scopes=list(scopes), origins=list(origins), raw=raw, drawer=drawer, organization=home, user=whose,
                  kind=kind)  # fmt: skip
    show_once(bridge, {"name": name, **wish})


def _given(**words: Any) -> dict[str, Any]:
    """Those that were said."""
    return {name: value for name, value in words.items() if value not in (None, [])}


def show_once(bridge: Remote, wish: dict[str, Any]) -> None:
    """Make the key and print it: what it is on standard error, its text on standard output."""
    made = bridge.create("/v1/keys", wish)
    if made["key"] is None:  # the answer to the first try got lost, and with it the text of the key
        bridge.call("DELETE", f"/v1/keys/{name_in_path(made['id'])}")
        raise Stop("the connection broke before the new key arrived here; it was revoked: try again", FAILED)
    click.echo(f"key {clean(made['name'])} ({made['id']}); it is shown this once:", err=True)
    click.echo(made["key"])


@keys.command()
@click.argument("key")
@click.option("--name", default=None, help="What to call it from now on.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it may do from now on.")
@_grants
@org_option
@data_option
def change(
    key: str, name: str | None, scopes: tuple[str, ...], raw: str | None, drawer: bool | None, org: str | None,
    data: Path | None,
) -> None:  # fmt: skip
    """Change KEY (id, beginning of an id, or name), with effect from its next request."""
    wish = _given(name=name, scopes=list(scopes), raw=raw, drawer=drawer)
    if not wish:
        raise click.UsageError("say what is to change: --name, --scope, --raw, --drawer or --no-drawer")
    bridge = remote(data)
    found = key_of(bridge, key, home_of(bridge, org))
    changed = bridge.call("PATCH", f"/v1/keys/{name_in_path(found['id'])}", body=wish)
    may = f"may send {changed['raw']}, and may {'' if changed['drawer'] else 'not '}open the cash drawer"
    click.echo(f"key {clean(changed['name'])} ({changed['id']}) {may}")


@keys.command()
@click.argument("key")
@org_option
@data_option
def revoke(key: str, org: str | None, data: Path | None) -> None:
    """Revoke KEY (id, beginning of an id, or name). It stops working at once."""
    bridge = remote(data)
    found = key_of(bridge, key, home_of(bridge, org))
    bridge.call("DELETE", f"/v1/keys/{name_in_path(found['id'])}")
    click.echo(f"key {clean(found['name'])} ({found['id']}) is revoked")
