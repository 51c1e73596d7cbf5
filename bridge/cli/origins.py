"""origins: which web pages may print here."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli.common import clean, data_option, json_option, print_json, remote, table
from bridge.cli.keys import show_once
from bridge.cli.listing import Listing
from bridge.cli.naming import key_of


@click.group(cls=Listing)
def origins() -> None:
    """Web pages that may print: list (without a command), add, remove."""


@origins.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path | None) -> None:
    """List the origins, and the keys each may use."""
    answer = remote(data).get("/v1/origins")
    if as_json:
        print_json(answer)
        return
    rows = [(each["origin"], ", ".join(f"{key['name']} ({key['id']})" for key in each["keys"]))
            for each in answer["origins"]]  # fmt: skip
    table(("origin", "keys"), rows)


@origins.command()
@click.argument("origin")
@click.option("--key", default=None, help="Bind it to this key (id, beginning of an id, or name).")
@data_option
def add(origin: str, key: str | None, data: Path | None) -> None:
    """Let the web page ORIGIN, as https://shop.example, print.

    Without --key a new key is made for it. It may create jobs and see its own, and stands alone on standard output,
    this once.
    """
    bridge = remote(data)
    if key is None:
        show_once(bridge, {"name": origin, "scopes": ["jobs"], "origins": [origin]})
        return
    found = key_of(bridge, key)
    bridge.call("POST", "/v1/origins", body={"origin": origin, "key": found["id"]})
    click.echo(f"{clean(origin)} may print with the key {clean(found['name'])} ({found['id']})")


@origins.command()
@click.argument("origin")
@click.option("--key", default=None, help="Only from this key (id, beginning of an id, or name).")
@data_option
def remove(origin: str, key: str | None, data: Path | None) -> None:
    """Let the web page ORIGIN print no more, whatever its key.

    A key that is left without a page is revoked: whoever has seen the page knows it. One with the scope admin is not.
    """
    bridge = remote(data)
    key_id = key_of(bridge, key)["id"] if key is not None else None
    bridge.call("DELETE", "/v1/origins", query={"origin": origin, "key": key_id})
    click.echo(f"{clean(origin)} prints here no more")
