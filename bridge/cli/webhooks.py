"""webhooks: who is told what happens, and how that went."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from bridge.cli.common import clean, data_option, json_option, print_json, remote, table
from bridge.cli.listing import Listing
from bridge.cli.naming import webhook_of
from bridge.remote import Remote, name_in_path

EVENTS = "job.created, job.state, printer.state, client.connected, client.disconnected, or all"


@click.group(cls=Listing)
def webhooks() -> None:
    """Webhooks: list (without a command), add, change, remove, test, deliveries, redeliver."""


@webhooks.command("list")
@json_option
@data_option
def list_(as_json: bool, data: Path | None) -> None:
    """List the webhooks."""
    answer = remote(data).get("/v1/webhooks")
    if as_json:
        print_json(answer)
        return
    rows = [
        (hook["id"], hook["url"], ",".join(hook["events"]), hook["dialect"], "active" if hook["active"] else "off")
        for hook in answer["webhooks"]
    ]
    table(("id", "url", "events", "words", "state"), rows)


@webhooks.command()
@click.argument("url")
@click.option("--event", "events", multiple=True, default=("all",), show_default=True, help="What it is told: "
              f"{EVENTS}; give it again for more.")  # fmt: skip
@data_option
def add(url: str, events: tuple[str, ...], data: Path | None) -> None:
    """Tell URL what happens. Its secret stands alone on standard output, this once."""
    made = remote(data).call("POST", "/v1/webhooks", body={"url": url, "events": list(events)})
    click.echo(f"webhook {made['id']} is told {', '.join(made['events'])}; its secret is shown this once:", err=True)
    click.echo(made["secret"])


@webhooks.command()
@click.argument("webhook")
@click.option("--url", default=None, help="Where it is from now on.")
@click.option("--event", "events", multiple=True, help=f"What it is told from now on: {EVENTS}.")
@click.option("--on/--off", "active", default=None, help="Whether it is told anything.")
@data_option
def change(webhook: str, url: str | None, events: tuple[str, ...], active: bool | None, data: Path | None) -> None:
    """Change WEBHOOK (id, beginning of an id, or address)."""
    wish = {"url": url, "events": list(events) or None, "active": active}
    wish = {name: value for name, value in wish.items() if value is not None}
    if not wish:
        raise click.UsageError("say what is to change: --url, --event, --on or --off")
    bridge = remote(data)
    changed = bridge.call("PATCH", _path(bridge, webhook), body=wish)
    click.echo(f"webhook {changed['id']} ({clean(changed['url'])}) is {'active' if changed['active'] else 'off'}")


@webhooks.command()
@click.argument("webhook")
@data_option
def remove(webhook: str, data: Path | None) -> None:
    """Remove WEBHOOK (id, beginning of an id, or address)."""
    bridge = remote(data)
    bridge.call("DELETE", _path(bridge, webhook))
    click.echo(f"webhook {clean(webhook)} is removed")


@webhooks.command()
@click.argument("webhook")
@data_option
def test(webhook: str, data: Path | None) -> None:
    """Send WEBHOOK a message that means nothing, and say how that went."""
    bridge = remote(data)
    path = _path(bridge, webhook)
    sent = bridge.call("POST", f"{path}/test")
    until = time.monotonic() + 20
    while sent["state"] == "pending" and not sent["attempts"] and time.monotonic() < until:
        time.sleep(0.1)
        found = bridge.get("/v1/webhooks/deliveries", webhook=sent["webhook_id"])["deliveries"]
        sent = next((each for each in found if each["id"] == sent["id"]), sent)
    click.echo(f"{sent['id']} {sent['state']}: {clean(sent['text']) or 'not tried yet'}")
    if sent["state"] != "delivered":
        raise SystemExit(3)


@webhooks.command()
@click.option("--webhook", default=None, help="Only of this one (id or beginning of an id).")
@click.option("--state", type=click.Choice(("pending", "delivered", "dead")), default=None, help="Only these.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many.")
@json_option
@data_option
def deliveries(webhook: str | None, state: str | None, limit: int, as_json: bool, data: Path | None) -> None:
    """List what was sent, newest first."""
    bridge = remote(data)
    query: dict[str, Any] = {"limit": limit, "state": state}
    query["webhook"] = webhook_of(bridge, webhook)["id"] if webhook is not None else None
    answer = bridge.get("/v1/webhooks/deliveries", **{k: v for k, v in query.items() if v is not None})
    if as_json:
        print_json(answer)
        return
    rows = [
        (each["id"], each["type"], each["state"], each["attempts"], each["text"], each["job_id"] or "")
        for each in answer["deliveries"]
    ]
    table(("id", "type", "state", "tries", "last answer", "job"), rows)


@webhooks.command()
@click.argument("delivery")
@data_option
def redeliver(delivery: str, data: Path | None) -> None:
    """Send DELIVERY (its whole id) once more."""
    sent = remote(data).call("POST", f"/v1/webhooks/deliveries/{name_in_path(delivery)}/again")
    click.echo(f"{sent['id']} is sent once more")


def _path(bridge: Remote, webhook: str) -> str:
    return f"/v1/webhooks/{name_in_path(webhook_of(bridge, webhook)['id'])}"
