"""users: who there is in an organization, with groups and cards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bridge.cli.common import (
    FAILED,
    WRONG,
    Stop,
    clean,
    data_option,
    json_option,
    org_option,
    print_json,
    remote,
    table,
)
from bridge.cli.listing import Listing
from bridge.cli.naming import group_of, home_of, user_of
from bridge.remote import Remote, name_in_path

ROLES = ("admin", "user", "guest")
SECRET_MAX = 4096  # bytes read of a file that holds a password

password_option = click.option("--password-file", default=None, help="A file with the password; - reads standard "
                               "input (default: it is asked for).")  # fmt: skip


@click.group(cls=Listing)
def users() -> None:
    """Users: list (without a command), add, change, remove, groups, cards."""


@users.command("list")
@org_option
@json_option
@data_option
def list_(org: str | None, as_json: bool, data: Path | None) -> None:
    """List the users."""
    bridge = remote(data)
    home = home_of(bridge, org)
    found = every_user(bridge, home)
    if as_json:
        print_json({"users": found, "total": len(found)})
        return
    names = {group["id"]: group["name"] for group in bridge.get("/v1/groups", organization=home)["groups"]}
    rows = [
        (user["id"], user["name"], user["email"] or "", user["role"],
         ",".join(names.get(each, each) for each in user["groups"]), "off" if user["disabled_at"] else "on")
        for user in found
    ]  # fmt: skip
    table(("id", "name", "e-mail", "role", "groups", "state"), rows)


def every_user(bridge: Remote, home: str | None) -> list[dict[str, Any]]:
    """All pages."""
    found: list[dict[str, Any]] = []
    while page := bridge.get("/v1/users", organization=home, limit=500, offset=len(found))["users"]:
        found += page
    return found


@users.command()
@click.argument("name")
@click.option("--email", default=None, help="The address to log in with; then a password is asked for.")
@password_option
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True, help="What the user is.")
@org_option
@data_option
def add(name: str, email: str | None, password_file: str | None, role: str, org: str | None, data: Path | None) -> None:
    """Add a user called NAME."""
    bridge = remote(data)
    wish = {
        "name": name, "email": email, "role": role, "organization": home_of(bridge, org),
        "password": secret("Password", password_file) if email is not None or password_file is not None else None,
    }  # fmt: skip
    made = bridge.create("/v1/users", {word: value for word, value in wish.items() if value is not None})
    click.echo(f"user {clean(made['name'])} ({made['id']}) is added")


@users.command()
@click.argument("user")
@click.option("--name", default=None, help="What to call the user from now on.")
@click.option("--email", default=None, help="The address to log in with from now on.")
@click.option("--password", "ask", is_flag=True, help="Ask for a new password.")
@password_option
@click.option("--role", type=click.Choice(ROLES), default=None, help="What the user is from now on.")
@click.option("--on/--off", "active", default=None, help="Whether the user and its keys are let in.")
@org_option
@data_option
def change(
    user: str, name: str | None, email: str | None, ask: bool, password_file: str | None, role: str | None,
    active: bool | None, org: str | None, data: Path | None,
) -> None:  # fmt: skip
    """Change USER (id, beginning of an id, address, or name). A new password ends every key of the user."""
    bridge = remote(data)
    path = _path(bridge, user, org)
    wish = {
        "name": name, "email": email, "role": role, "disabled": None if active is None else not active,
        "password": secret("New password", password_file) if ask or password_file is not None else None,
    }  # fmt: skip
    wish = {word: value for word, value in wish.items() if value is not None}
    if not wish:
        raise click.UsageError("say what is to change: --name, --email, --password, --role, --on or --off")
    changed = bridge.call("PATCH", path, body=wish)
    click.echo(f"user {clean(changed['name'])} ({changed['id']}) is {'off' if changed['disabled_at'] else 'on'}")


@users.command()
@click.argument("user")
@org_option
@data_option
def remove(user: str, org: str | None, data: Path | None) -> None:
    """Remove USER (id, beginning of an id, address, or name), with its cards and keys. Its jobs stay."""
    bridge = remote(data)
    bridge.call("DELETE", _path(bridge, user, org))
    click.echo(f"user {clean(user)} is removed")


# ---- groups -----------------------------------------------------------------------------------------------------


@users.group(cls=Listing)
def groups() -> None:
    """Groups: list (without a command), add, remove, put."""


@groups.command("list")
@org_option
@json_option
@data_option
def list_groups(org: str | None, as_json: bool, data: Path | None) -> None:
    """List the groups and how many are in each."""
    bridge = remote(data)
    answer = bridge.get("/v1/groups", organization=home_of(bridge, org))
    if as_json:
        print_json(answer)
        return
    table(("id", "name", "users"), [(each["id"], each["name"], len(each["members"])) for each in answer["groups"]])


@groups.command("add")
@click.argument("name")
@org_option
@data_option
def add_group(name: str, org: str | None, data: Path | None) -> None:
    """Make a group called NAME."""
    bridge = remote(data)
    home = home_of(bridge, org)
    made = bridge.create("/v1/groups", {"name": name, **({"organization": home} if home is not None else {})})
    click.echo(f"group {clean(made['name'])} ({made['id']}) is made")


@groups.command("remove")
@click.argument("group")
@org_option
@data_option
def remove_group(group: str, org: str | None, data: Path | None) -> None:
    """Remove GROUP (id, beginning of an id, or name). Its users stay."""
    bridge = remote(data)
    bridge.call("DELETE", f"/v1/groups/{name_in_path(group_of(bridge, group, home_of(bridge, org))['id'])}")
    click.echo(f"group {clean(group)} is removed")


@groups.command()
@click.argument("user")
@click.argument("into", metavar="[GROUP]...", nargs=-1)
@org_option
@data_option
def put(user: str, into: tuple[str, ...], org: str | None, data: Path | None) -> None:
    """Put USER into these groups, and take it out of all others."""
    bridge = remote(data)
    home = home_of(bridge, org)
    wanted = [group_of(bridge, each, home)["id"] for each in into]
    changed = bridge.call("PATCH", _path(bridge, user, org), body={"groups": wanted})
    click.echo(f"user {clean(changed['name'])} is in {clean(', '.join(into)) or 'no group'}")


# ---- cards ------------------------------------------------------------------------------------------------------


@users.group()
def cards() -> None:
    """Cards: list, add, remove."""


@cards.command("list")
@click.argument("user")
@org_option
@json_option
@data_option
def list_cards(user: str, org: str | None, as_json: bool, data: Path | None) -> None:
    """List the cards of USER. Their numbers are not kept anywhere."""
    bridge = remote(data)
    answer = bridge.get(f"{_path(bridge, user, org)}/cards")
    if as_json:
        print_json(answer)
        return
    table(("id",), [(each["id"],) for each in answer["cards"]])


@cards.command("add")
@click.argument("user")
@click.option("--number-file", default=None, help="A file with the number; - reads standard input (default: it is "
              "asked for, as the reader types it).")  # fmt: skip
@org_option
@data_option
def add_card(user: str, number_file: str | None, org: str | None, data: Path | None) -> None:
    """Give USER a card."""
    bridge = remote(data)
    path = _path(bridge, user, org)
    made = bridge.create(f"{path}/cards", {"number": secret("Card number", number_file)})
    click.echo(f"card {made['id']} is {clean(user)}'s")


@cards.command("remove")
@click.argument("user")
@click.argument("card")
@org_option
@data_option
def remove_card(user: str, card: str, org: str | None, data: Path | None) -> None:
    """Take CARD (its id) from USER."""
    bridge = remote(data)
    bridge.call("DELETE", f"{_path(bridge, user, org)}/cards/{name_in_path(card)}")
    click.echo(f"card {clean(card)} is removed")


# ---- what they share --------------------------------------------------------------------------------------------


def secret(what: str, file: str | None) -> str:
    """A secret out of a file, out of standard input, or asked for. Never an argument: others can read those.

    Raises Stop.
    """
    if file is None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise Stop(f"{what.lower()}: there is no terminal to ask on; give a file, or - for standard input", WRONG)
        asked: str = click.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
        return asked
    try:
        data = sys.stdin.buffer.read(SECRET_MAX + 1) if file == "-" else _beginning(Path(file))
        text = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise Stop(f"{what.lower()}: the file is not UTF-8", FAILED) from error
    if not text or len(data) > SECRET_MAX:
        raise Stop(f"{what.lower()}: the file must hold it and nothing else", FAILED)
    return text


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SECRET_MAX + 1)


def _path(bridge: Remote, user: str, org: str | None) -> str:
    return f"/v1/users/{name_in_path(user_of(bridge, user, home_of(bridge, org))['id'])}"
