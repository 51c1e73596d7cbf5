"""keys and origins: made, shown once, bound, revoked."""

from __future__ import annotations

import http.client

import pytest

from tests.cli.conftest import Counter

SHOP = "https://shop.example"


def opens(counter: Counter, key: str, origin: str | None = None) -> int:
    """The status a key gets for GET /v1/jobs."""
    connection = http.client.HTTPConnection("127.0.0.1", counter.bridge.port, timeout=60)
    headers = {"Authorization": f"Bearer {key}", **({"Origin": origin} if origin else {})}
    connection.request("GET", "/v1/jobs?limit=1", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_key_stands_alone_on_standard_output_and_is_revoked_at_once(counter: Counter) -> None:
    done = counter.does("keys", "add", "till 3", "--scope", "jobs")
    key = done.out.strip()
    assert done.out == f"{key}\n" and key.startswith("pb_") and "till 3" in done.err
    assert opens(counter, key) == 200
    listed = counter.does("keys")
    assert "till 3" in listed.out and key not in listed.out
    counter.does("keys", "revoke", "till 3")
    assert opens(counter, key) == 401
    assert "revoked" in counter.does("keys", "list").out


def test_a_key_is_called_by_its_id_or_the_beginning_of_it(counter: Counter) -> None:
    for cut in (None, 30):
        counter.does("keys", "add", "by id")
        [key] = [k for k in counter.does("keys", "--json").json["keys"] if k["name"] == "by id" and not k["revoked_at"]]
        counter.does("keys", "revoke", key["id"][:cut])


def test_two_keys_of_one_name_are_told_apart(counter: Counter) -> None:
    counter.does("keys", "add", "twin")
    counter.does("keys", "add", "twin")
    assert "several" in counter.refuses(1, "keys", "revoke", "twin")


def grants(counter: Counter, name: str) -> tuple[str, bool]:
    """What the key called `name` may send, and whether it may open the cash drawer."""
    [key] = [k for k in counter.does("keys", "--json").json["keys"] if k["name"] == name and not k["revoked_at"]]
    return key["raw"], key["drawer"]


def test_what_a_key_may_send_is_said_when_it_is_made_or_later(counter: Counter) -> None:
    counter.does("keys", "add", "plain")
    counter.does("keys", "add", "kiosk", "--raw", "raw-safe", "--no-drawer")
    counter.does("keys", "add", "page", "--origin", SHOP)
    counter.does("keys", "add", "pos page", "--origin", SHOP, "--drawer")
    told = {name: grants(counter, name) for name in ("plain", "kiosk", "page", "pos page")}
    assert told == {"plain": ("raw-any", True), "kiosk": ("raw-safe", False), "page": ("raw-safe", False),
                    "pos page": ("raw-safe", True)}  # fmt: skip
    said = counter.does("keys", "change", "kiosk", "--raw", "documents", "--drawer", "--name", "kiosk 2").out
    assert "kiosk 2" in said and "may send documents, and may open the cash drawer" in said
    assert grants(counter, "kiosk 2") == ("documents", True)
    assert "documents,drawer" in counter.does("keys").out
    counter.does("keys", "change", "kiosk 2", "--scope", "printers")
    assert grants(counter, "kiosk 2") == ("documents", True)
    for name in told:
        counter.does("keys", "revoke", "kiosk 2" if name == "kiosk" else name)


def test_a_change_of_nothing_or_to_nonsense_is_refused(counter: Counter) -> None:
    counter.does("keys", "add", "still")
    assert "--raw" in counter.refuses(2, "keys", "change", "still")
    counter.refuses(2, "keys", "change", "still", "--raw", "everything")
    counter.refuses(1, "keys", "change", "nobody", "--no-drawer")
    assert grants(counter, "still") == ("raw-any", True)
    counter.does("keys", "revoke", "still")


def test_an_origin_gets_a_key_of_its_own(counter: Counter) -> None:
    key = counter.does("origins", "add", SHOP).out.strip()
    assert opens(counter, key, SHOP) == 200
    assert opens(counter, key, "https://other.example") == 403
    assert SHOP in counter.does("origins").out
    assert counter.does("origins", "--json").json["origins"][0]["origin"] == SHOP
    counter.does("origins", "remove", SHOP)
    assert opens(counter, key, SHOP) == 403
    assert opens(counter, key) == 401  # nor does it open anything for programs
    assert SHOP not in counter.does("origins", "list").out


def test_an_origin_is_bound_to_a_key_there_is_and_unbound(counter: Counter) -> None:
    key = counter.does("keys", "add", "web", "--scope", "jobs").out.strip()
    counter.does("origins", "add", SHOP, "--key", "web")
    assert opens(counter, key, SHOP) == 200
    counter.does("origins", "remove", SHOP, "--key", "web")
    assert opens(counter, key, SHOP) == 403


@pytest.mark.parametrize(
    "origin",
    ["", "shop.example", "https://shop.example/", "HTTPS://SHOP.EXAMPLE", "*", "null", "javascript:alert(1)",
     "https://a b", "\x1b[31m", "https://" + "x" * 3000],
)  # fmt: skip
def test_what_is_no_origin_is_refused(counter: Counter, origin: str) -> None:
    counter.refuses(1, "origins", "add", "--", origin)
    counter.refuses(1, "keys", "add", "page", "--origin", origin)


@pytest.mark.parametrize("name", ["nobody", "", "..", "0199", "\x1b[31m", "\u202e", "x" * 3000])
def test_an_unknown_key_is_refused(counter: Counter, name: str) -> None:
    counter.refuses(1, "keys", "revoke", "--", name)
    counter.refuses(1, "origins", "add", SHOP, "--key", name)
    counter.refuses(1, "origins", "remove", SHOP, "--key", name)


@pytest.mark.parametrize(
    "words",
    [("keys", "add"), ("keys", "add", "x", "--scope", "root"), ("keys", "revoke"), ("keys", "nonsense"),
     ("origins", "add"), ("origins", "remove"), ("origins", "x")],
)  # fmt: skip
def test_wrong_use_is_code_2(counter: Counter, words: tuple[str, ...]) -> None:
    counter.refuses(2, *words)


def test_names_of_keys_that_cannot_be_are_refused(counter: Counter) -> None:
    for name in ("", "x" * 201):
        counter.refuses(1, "keys", "add", "--", name)
