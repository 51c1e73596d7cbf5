"""keys: who may talk to this bridge."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from bridge.cli.common import FAILED, Stop, clean, data_option, json_option, print_json, remote, table
from bridge.cli.listing import Listing
from bridge.cli.naming import key_of
from bridge.remote import Remote, name_in_path

SCOPES = ("jobs", "printers", "admin")


@click.group(cls=Listing)
def keys() -> None:
    """API keys: list (without a command), add, revoke."""


@keys.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path | None) -> None:
    """List the keys. Their texts are not kept anywhere."""
    answer = remote(data).get("/v1/keys")
    if as_json:
        print_json(answer)
        return
    table(("id", "name", "scopes", "origins", "made", "state"), [_row(key) for key in answer["keys"]])


def _row(key: dict[str, Any]) -> tuple[str, ...]:
    state = "revoked" if key.get("revoked_at") else "in config.toml" if key.get("from_config") else "active"
    made = time.strftime("%Y-%m-%d", time.localtime(key["created_at"]))
    return key["id"], key["name"], ",".join(sorted(key["scopes"])), ",".join(sorted(key["origins"])), made, state


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it may do; give it again for "
              "more (default: jobs and printers).")  # fmt: skip
@click.option("--origin", "origins", multiple=True, help="Web page that may use it, as https://shop.example.")
@data_option
def add(name: str, scopes: tuple[str, ...], origins: tuple[str, ...], data: Path | None) -> None:
    """Make a key called NAME. It stands alone on standard output, this once."""
    wish: dict[str, Any] = {"name": name}
    if scopes:
        wish["scopes"] = list(scopes)
    if origins:
        wish["origins"] = list(origins)
    show_once(remote(data), wish)


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
@data_option
def revoke(key: str, data: Path | None) -> None:
    """Revoke KEY (id, beginning of an id, or name). It stops working at once."""
    bridge = remote(data)
    found = key_of(bridge, key)
    bridge.call("DELETE", f"/v1/keys/{name_in_path(found['id'])}")
    click.echo(f"key {clean(found['name'])} ({found['id']}) is revoked")
