"""orgs, users and keys for others: made, shared, asked for a password, switched off."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Counter

PASSWORD = "correct horse battery"


def opens(counter: Counter, key: str, path: str = "/v1/printers") -> int:
    """The status a key gets."""
    connection = http.client.HTTPConnection("127.0.0.1", counter.bridge.port, timeout=60)
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    status = connection.getresponse().status
    connection.close()
    return status


def org(counter: Counter, name: str) -> Any:
    [found] = [each for each in counter.does("orgs", "--json").json["organizations"] if each["name"] == name]
    return found


def user(counter: Counter, name: str, *of: str) -> Any:
    [found] = [each for each in counter.does("users", *of, "--json").json["users"] if each["name"] == name]
    return found


@pytest.fixture(scope="module")
def branch(counter: Counter) -> str:
    """An organization beside the bridge's own."""
    counter.does("orgs", "add", "branch", "--plan", "free", "--quota", "5")
    return "branch"


def test_the_organizations_are_listed_the_bridges_own_first(counter: Counter, branch: str) -> None:
    lines = counter.does("orgs").out.splitlines()
    assert "this bridge's" in lines[1] and "branch" in lines[2] and "0 of 5" in lines[2]


def test_an_organization_is_changed_by_name_or_the_beginning_of_its_id(counter: Counter) -> None:
    counter.does("orgs", "add", "Shop 9", "--id", "shop-nine")
    counter.does("orgs", "add", "Till 9", "--parent", "Shop 9")
    counter.does("orgs", "change", "shop-", "--name", "Shop 10", "--plan", "enterprise", "--quota", "7", "--used", "2")
    changed = org(counter, "Shop 10")
    assert (changed["plan"], changed["jobs_quota"], changed["jobs_used"]) == ("enterprise", 7, 2)
    counter.does("orgs", "change", "Shop 10", "--plan", "none", "--quota", "none")
    assert org(counter, "Shop 10")["plan"] is org(counter, "Shop 10")["jobs_quota"] is None
    assert org(counter, "Till 9")["parent"] == "shop-nine"
    assert "what is to change" in counter.refuses(2, "orgs", "change", "Shop 10")
    assert "print-bridge orgs" in counter.refuses(1, "orgs", "off", "nobody")
    for quota in ("many", "-1"):
        counter.refuses(2, "orgs", "change", "Shop 10", "--quota", quota)


def test_a_printer_is_shared_and_no_longer(counter: Counter, branch: str) -> None:
    counter.does("orgs", "share", "dock", branch)
    assert [each["name"] for each in org(counter, branch)["borrows"]] == ["dock"]
    assert "dock" in counter.does("orgs").out
    counter.does("orgs", "unshare", "dock", branch)
    assert org(counter, branch)["borrows"] == []
    assert "no printer" in counter.refuses(1, "orgs", "share", "nowhere", branch)


def test_a_key_of_another_organization_is_made_changed_and_revoked(counter: Counter, branch: str) -> None:
    key = counter.does("keys", "add", "their till", "--org", branch, "--scope", "read").out.strip()
    assert opens(counter, key) == 200 and opens(counter, key, "/v1/keys") == 403
    assert "their till" in counter.does("keys", "--org", branch).out
    assert "their till" not in counter.does("keys").out
    counter.does("keys", "change", "their till", "--org", branch, "--scope", "print")
    assert opens(counter, key) == 403
    assert "no key" in counter.refuses(1, "keys", "revoke", "their till")
    counter.does("keys", "revoke", "their till", "--org", branch)
    assert opens(counter, key) == 401


def test_keys_look_as_the_clouds_programs_expect_and_cloudlayers_are_five(counter: Counter, branch: str) -> None:
    assert counter.does("keys", "add", "cloud", "--org", branch, "--kind", "printcloud").out.startswith("pk_live_")
    for number in range(5):
        made = counter.does("keys", "add", f"cloud {number}", "--org", branch, "--kind", "cloudlayer")
        assert made.out.startswith("cl-")
    assert "5 keys" in counter.refuses(1, "keys", "add", "cloud 6", "--org", branch, "--kind", "cloudlayer")


def test_the_webhooks_of_another_organization_are_looked_after(counter: Counter, branch: str) -> None:
    address = "http://127.0.0.1:9/hook"
    assert counter.does("webhooks", "add", address, "--org", branch).out.startswith("whsec_")
    [hook] = counter.does("webhooks", "--org", branch, "--json").json["webhooks"]
    assert hook["organization"] == org(counter, branch)["id"] and address not in counter.does("webhooks").out
    assert "no webhook" in counter.refuses(1, "webhooks", "test", address)
    assert counter.run("webhooks", "test", address, "--org", branch).code == 3  # nobody listens there
    [sent] = counter.does("webhooks", "deliveries", "--webhook", address, "--org", branch, "--json").json["deliveries"]
    assert sent["attempts"] >= 1 and counter.does("webhooks", "deliveries").out.strip() == "none"
    assert sent["id"] in counter.does("webhooks", "redeliver", sent["id"]).out
    assert "is off" in counter.does("webhooks", "change", address, "--off", "--org", branch).out
    counter.does("webhooks", "remove", hook["id"][:12], "--org", branch)
    assert counter.does("webhooks", "--org", branch).out.strip() == "none"


def test_an_organization_that_is_off_opens_nothing(counter: Counter, branch: str) -> None:
    key = counter.does("keys", "add", "on and off", "--org", branch).out.strip()
    counter.does("orgs", "off", branch)
    assert opens(counter, key) == 401 and org(counter, branch)["disabled_at"] is not None
    counter.does("orgs", "on", branch)
    assert opens(counter, key) == 200


def test_a_user_is_added_with_a_password_from_a_file_or_a_pipe(counter: Counter, branch: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    counter.does("users", "add", "Ada", "--email", "ada@shop.example", "--password-file", file, "--org", branch)
    counter.does("users", "add", "Bob", "--email", "Bob@Shop.example", "--password-file", "-", "--role", "admin",
                 stdin=PASSWORD.encode())  # fmt: skip
    counter.does("users", "add", "Nobody")
    assert user(counter, "Ada", "--org", branch)["has_password"]
    bob = user(counter, "Bob")
    assert (bob["email"], bob["role"], bob["has_password"]) == ("bob@shop.example", "admin", True)
    assert not user(counter, "Nobody")["has_password"]
    assert "Ada" not in counter.does("users").out
    assert PASSWORD not in counter.bridge.log.read_text()


def test_a_password_is_asked_for_twice_on_a_terminal_and_not_shown(counter: Counter) -> None:
    terminal = counter.on_a_terminal("users", "add", "Typed", "--email", "typed@shop.example")
    for question in ("Password:", "Repeat"):
        terminal.until(lambda shown, question=question: question in shown)
        terminal.type(f"{PASSWORD}\n")
    assert terminal.end() == 0 and PASSWORD not in terminal.shown
    assert user(counter, "Typed")["has_password"]


def test_without_a_terminal_a_password_comes_from_a_file(counter: Counter, tmp_path: Path) -> None:
    said = counter.refuses(2, "users", "add", "Pipe", "--email", "pipe@shop.example")
    assert "standard input" in said
    for content in (b"", b"\n", b"\xff" * 9, b"x" * 5000, b"short"):
        counter.refuses(1, "users", "add", "Pipe", "--email", "pipe@shop.example", "--password-file", "-",
                        stdin=content)  # fmt: skip
    counter.refuses(1, "users", "add", "Pipe", "--email", "pipe@shop.example", "--password-file", tmp_path / "none")
    assert "Pipe" not in counter.does("users").out


def test_a_user_is_changed_switched_off_and_removed_with_its_keys(counter: Counter) -> None:
    counter.does("users", "add", "Eve", "--email", "eve@shop.example", "--password-file", "-", stdin=PASSWORD.encode())
    key = counter.does("keys", "add", "eves", "--user", "eve@shop.example").out.strip()
    counter.does("users", "change", "Eve", "--name", "Eve L.", "--role", "guest")
    assert opens(counter, key) == 200 and user(counter, "Eve L.")["role"] == "guest"
    counter.does("users", "change", "eve@shop.example", "--password-file", "-", stdin=b"another horse")
    assert opens(counter, key) == 401
    key = counter.does("keys", "add", "eves", "--user", "Eve L.").out.strip()
    counter.does("users", "change", "Eve L.", "--off")
    assert opens(counter, key) == 401
    assert "off" in counter.does("users").out
    assert "what is to change" in counter.refuses(2, "users", "change", "Eve L.")
    counter.does("users", "remove", "Eve L.")
    assert "Eve" not in counter.does("users").out


def test_users_are_put_into_groups_and_given_cards(counter: Counter) -> None:
    counter.does("users", "add", "Ina")
    for name in ("North", "South"):
        counter.does("users", "groups", "add", name)
    counter.does("users", "groups", "put", "Ina", "North", "South")
    assert "North,South" in counter.does("users").out
    counter.does("users", "groups", "put", "Ina", "South")
    listed = {each["name"]: len(each["members"]) for each in counter.does("users", "groups", "--json").json["groups"]}
    assert listed == {"North": 0, "South": 1} and "South" in counter.does("users", "groups").out
    counter.does("users", "groups", "remove", "South")
    assert user(counter, "Ina")["groups"] == []
    made = counter.does("users", "cards", "add", "Ina", "--number-file", "-", stdin=b"04A23B91\n")
    [card] = counter.does("users", "cards", "list", "Ina", "--json").json["cards"]
    assert card["id"] in made.out and card["id"] in counter.does("users", "cards", "list", "Ina").out
    assert "somebody's" in counter.refuses(1, "users", "cards", "add", "Ina", "--number-file", "-", stdin=b"04A23B91")
    counter.does("users", "cards", "remove", "Ina", card["id"])
    assert counter.does("users", "cards", "list", "Ina").out.strip() == "none"
