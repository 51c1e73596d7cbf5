"""webhooks: who is told what happens, and how that went."""

from __future__ import annotations

import time
from pathlib import Path

import click

from bridge.cli.common import clean, data_option, json_option, org_option, print_json, remote, table
from bridge.cli.listing import Listing
from bridge.cli.naming import home_of, webhook_of
from bridge.remote import Remote, name_in_path

EVENTS = "job.created, job.state, printer.state, client.connected, client.disconnected, or all"


@click.group(cls=Listing)
def webhooks() -> None:
    """Webhooks: list (without a command), add, change, remove, test, deliveries, redeliver."""


@webhooks.command("list")
@org_option
@json_option
@data_option
def list_(org: str | None, as_json: bool, data: Path | None) -> None:
    """List the webhooks."""
    bridge = remote(data)
    answer = bridge.get("/v1/webhooks", organization=home_of(bridge, org))
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
@org_option
@data_option
def add(url: str, events: tuple[str, ...], org: str | None, data: Path | None) -> None:
    """Tell URL what happens. Its secret stands alone on standard output, this once."""
    bridge = remote(data)
    home = home_of(bridge, org)
    wish = {"url": url, "events": list(events), **({"organization": home} if home is not None else {})}
    made = bridge.call("POST", "/v1/webhooks", body=wish)
    click.echo(f"webhook {made['id']} is told {', '.join(made['events'])}; its secret is shown this once:", err=True)
    click.echo(made["secret"])


@webhooks.command()
@click.argument("webhook")
@click.option("--url", default=None, help="Where it is from now on.")
@click.option("--event", "events", multiple=True, help=f"What it is told from now on: {EVENTS}.")
@click.option("--on/--off", "active", default=None, help="Whether it is told anything.")
@org_option
@data_option
def change(
    webhook: str, url: str | None, events: tuple[str, ...], active: bool | None, org: str | None, data: Path | None
) -> None:
    """Change WEBHOOK (id, beginning of an id, or address)."""
    wish = {"url": url, "events": list(events) or None, "active": active}
    wish = {name: value for name, value in wish.items() if value is not None}
    if not wish:
        raise click.UsageError("say what is to change: --url, --event, --on or --off")
    bridge = remote(data)
    changed = bridge.call("PATCH", _path(bridge, webhook, org), body=wish)
    click.echo(f"webhook {changed['id']} ({clean(changed['url'])}) is {'active' if changed['active'] else 'off'}")


@webhooks.command()
@click.argument("webhook")
@org_option
@data_option
def remove(webhook: str, org: str | None, data: Path | None) -> None:
    """Remove WEBHOOK (id, beginning of an id, or address)."""
    bridge = remote(data)
    bridge.call("DELETE", _path(bridge, webhook, org))
    click.echo(f"webhook {clean(webhook)} is removed")


@webhooks.command()
@click.argument("webhook")
@org_option
@data_option
def test(webhook: str, org: str | None, data: Path | None) -> None:
    """Send WEBHOOK a message that means nothing, and say how that went."""
    bridge = remote(data)
    hook = webhook_of(bridge, webhook, home_of(bridge, org))
    sent = bridge.call("POST", f"/v1/webhooks/{name_in_path(hook['id'])}/test")
    until = time.monotonic() + 20
    while sent["state"] == "pending" and not sent["attempts"] and time.monotonic() < until:
        time.sleep(0.1)
        log = bridge.get("/v1/webhooks/deliveries", organization=hook["organization"], webhook=hook["id"])
        sent = next((each for each in log["deliveries"] if each["id"] == sent["id"]), sent)
    click.echo(f"{sent['id']} {sent['state']}: {clean(sent['text']) or 'not tried yet'}")
    if sent["state"] != "delivered":
        raise SystemExit(3)


@webhooks.command()
@click.option("--webhook", default=None, help="Only of this one (id or beginning of an id).")
@click.option("--state", type=click.Choice(("pending", "delivered", "dead")), default=None, help="Only these.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many.")
@org_option
@json_option
@data_option
def deliveries(
    webhook: str | None, state: str | None, limit: int, org: str | None, as_json: bool, data: Path | None
) -> None:
    """List what was sent, newest first."""
    bridge = remote(data)
    home = home_of(bridge, org)
    wanted = webhook_of(bridge, webhook, home)["id"] if webhook is not None else None
    answer = bridge.get("/v1/webhooks/deliveries", organization=home, webhook=wanted, state=state, limit=limit)
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


def _path(bridge: Remote, webhook: str, org: str | None) -> str:
    return f"/v1/webhooks/{name_in_path(webhook_of(bridge, webhook, home_of(bridge, org))['id'])}"
