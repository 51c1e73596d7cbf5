"""Keys and origins, changed while the bridge runs: durable, in force at once, and never so that nobody can get in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.access.keys import KeyRing, digest, load_config_keys
from bridge.access.office import KeyOffice
from bridge.access.redact import redact
from bridge.config import KeyConfig
from bridge.errors import Conflict, Invalid, NotFound
from bridge.model import EVERYTHING, Grants
from bridge.store import Store
from bridge.store.jobs import KeyReused
from bridge.store.keys import StoredKey
from bridge.store.made import Making

ORG = "0197df47-871f-72d1-95df-2bfb0c18529a"
SHOP = "https://shop.example"


class Door:
    """A store, a ring and the office in front of them."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        if self.store.organizations.first() is None:
            self.store.organizations.add(ORG, "till-3")
        self.ring = KeyRing(self.store)
        self.office = KeyOffice(self.store, self.ring)

    def admin(self, name: str = "first") -> StoredKey:
        return self.office.create(ORG, name, ["admin"])[0]

    def configured(self, *configs: KeyConfig) -> list[StoredKey]:
        self.store.keys.sync_config(ORG, load_config_keys(configs, ORG))
        self.ring.reload()
        return [key for key in self.office.listing(ORG) if key.from_config]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path)
    yield door
    door.store.close()


def test_a_new_key_opens_at_once_and_only_its_digest_is_kept(door: Door, tmp_path: Path) -> None:
    key, text, created = door.office.create(ORG, "till", ["jobs"], [SHOP])
    assert created and text is not None
    found = door.ring.find(text)
    assert found is not None and found.id == key.id and found.origins == {SHOP}
    assert door.ring.origins() == {SHOP}
    assert all(text.encode() not in path.read_bytes() for path in tmp_path.glob("bridge.db*"))
    assert text not in redact(f"somebody wrote {text} into a log")


def test_a_revoked_key_opens_nothing_and_stays_in_the_list(door: Door) -> None:
    door.admin()
    key, text, _ = door.office.create(ORG, "till", ["jobs"], [SHOP])
    assert text is not None and door.ring.holds(key.id)
    door.office.revoke(ORG, key.id)
    assert door.ring.find(text) is None and door.ring.origins() == set() and not door.ring.holds(key.id)
    listed = {each.id: each.revoked_at for each in door.office.listing(ORG)}
    assert listed[key.id] is not None and len(listed) == 2
    door.office.revoke(ORG, key.id)  # once more says the same
    with pytest.raises(Conflict) as caught:
        door.office.change(ORG, key.id, name="again")
    assert caught.value.code == "revoked"


def test_everything_is_still_so_after_a_restart(door: Door, tmp_path: Path) -> None:
    door.admin()
    key, text, _ = door.office.create(ORG, "till", ["jobs"], [SHOP])
    gone, gone_text, _ = door.office.create(ORG, "gone", ["jobs"])
    door.office.revoke(ORG, gone.id)
    before = door.office.listing(ORG)
    door.store.close()
    again = Door(tmp_path)
    assert again.office.listing(ORG) == before
    assert again.ring.find(text or "") is not None and again.ring.find(gone_text or "") is None
    again.store.close()


def test_a_key_of_the_configuration_may_send_what_the_configuration_says(door: Door) -> None:
    plain: dict[str, Any] = {"name": "plain", "key_sha256": digest("plain")}
    page: dict[str, Any] = {"name": "page", "key_sha256": digest("page"), "origins": [SHOP]}
    usual = door.configured(KeyConfig(**plain), KeyConfig(**page))
    assert [key.grants for key in usual] == [EVERYTHING, Grants("raw-safe")]
    less, more = {"raw": "documents", "drawer": False}, {"raw": "raw-any", "drawer": True}
    said = door.configured(KeyConfig(**plain, **less), KeyConfig(**page, **more))
    assert [key.grants for key in said] == [Grants("documents"), EVERYTHING]
    again = door.configured(KeyConfig(**plain), KeyConfig(**page))
    assert [key.grants for key in again] == [key.grants for key in usual]
    for nonsense in ({"raw": "everything"}, {"raw": ""}, {"drawer": "perhaps"}):
        with pytest.raises(ValueError):
            KeyConfig(**plain, **nonsense)


def test_what_a_key_may_send_is_kept_over_a_restart(door: Door, tmp_path: Path) -> None:
    door.admin()
    key, text, _ = door.office.create(ORG, "kiosk", ["jobs"], raw="raw-safe", drawer=True)
    door.office.change(ORG, key.id, raw="documents")
    door.store.close()
    again = Door(tmp_path)
    found = again.ring.find(text or "")
    assert found is not None and found.grants == Grants("documents", drawer=True)
    again.store.close()


def test_the_last_key_that_may_do_everything_stays_so(door: Door) -> None:
    first, second = door.admin("first"), door.admin("second")
    door.office.revoke(ORG, first.id)
    for attempt in (
        lambda: door.office.revoke(ORG, second.id),
        lambda: door.office.change(ORG, second.id, scopes=["jobs", "printers"]),
    ):
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "last_admin" and caught.value.remedy
    assert door.office.get(ORG, second.id).scopes == {"admin"}
    assert door.office.change(ORG, second.id, name="only").name == "only"


def test_two_who_revoke_at_the_same_time_leave_one_admin(door: Door) -> None:
    keys = [door.admin(str(number)) for number in range(8)]
    gate = threading.Barrier(len(keys))
    refused: list[str] = []

    def revoke(key: StoredKey) -> None:
        gate.wait()
        try:
            door.office.revoke(ORG, key.id)
        except Conflict as error:
            refused.append(error.code)

    threads = [threading.Thread(target=revoke, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["last_admin"]
    assert len(door.store.keys.active()) == 1


def test_a_key_of_the_configuration_is_changed_there_alone(door: Door) -> None:
    door.admin()
    [key] = door.configured(KeyConfig(name="shop", key_sha256="a" * 64, origins=[SHOP]))
    for attempt in (
        lambda: door.office.revoke(ORG, key.id), lambda: door.office.change(ORG, key.id, name="x"),
        lambda: door.office.bind(ORG, SHOP, key.id), lambda: door.office.unbind(ORG, SHOP, key.id),
        lambda: door.office.unbind(ORG, SHOP),
    ):  # fmt: skip
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "from_config"


def test_a_key_of_the_configuration_keeps_its_date_and_leaves_with_it(door: Door) -> None:
    door.admin()
    [before] = door.configured(KeyConfig(name="shop", key_sha256="a" * 64))
    [after] = door.configured(KeyConfig(name="shop 2", key_sha256="a" * 64, scopes=["jobs"]))
    assert (after.id, after.created_at, after.name, after.scopes) == (before.id, before.created_at, "shop 2", {"jobs"})
    assert door.configured() == []
    assert [key.name for key in door.office.listing(ORG)] == ["first"]


def test_a_revoked_key_that_is_put_into_the_configuration_is_the_configurations(door: Door) -> None:
    door.admin()
    key, text, _ = door.office.create(ORG, "till", ["jobs"])
    door.office.revoke(ORG, key.id)
    [now] = door.configured(KeyConfig(name="till", key_sha256=digest(text or "")))
    assert (now.id, now.revoked_at) == (key.id, None)
    assert door.ring.find(text or "") is not None


@pytest.mark.parametrize(
    ("name", "scopes", "origins", "field"),
    [
        ("", ["jobs"], [], "name"), ("x" * 201, ["jobs"], [], "name"), ("a\x00b", ["jobs"], [], "name"),
        ("\u202eevil", ["jobs"], [], "name"), ("  ", ["jobs"], [], "name"), ("x", [], [], "scopes"),
        ("x", ["root"], [], "scopes"), ("x", ["jobs"], ["shop.example"], "origins"),
        ("x", ["jobs"], [SHOP + "/"], "origins"), ("x", ["jobs"], ["HTTPS://shop.example"], "origins"),
        ("x", ["jobs"], ["https://shop.example:443"], "origins"), ("x", ["jobs"], ["null"], "origins"),
        ("x", ["jobs"], ["*"], "origins"), ("x", ["jobs"], [SHOP] * 101, "origins"),
        ("x", ["jobs"], ["https://" + "a" * 300], "origins"),
    ],
)  # fmt: skip
def test_what_no_key_can_be_is_refused_by_name(
    door: Door, name: str, scopes: list[str], origins: list[str], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        door.office.create(ORG, name, scopes, origins)
    assert caught.value.field == field and caught.value.remedy
    assert door.office.listing(ORG) == []


def test_the_same_idempotency_key_makes_one_key(door: Door) -> None:
    made, text, created = door.office.create(ORG, "till", ["jobs"], [], "order-1", "f" * 64)
    again = door.office.create(ORG, "till", ["jobs"], [], "order-1", "f" * 64)
    assert created and text and again == (made, None, False)
    with pytest.raises(Conflict) as caught:
        door.office.create(ORG, "other", ["jobs"], [], "order-1", "e" * 64)
    assert caught.value.code == "idempotency_key_reused"
    assert len(door.office.listing(ORG)) == 1


def test_many_at_once_with_one_idempotency_key_get_one_key(door: Door) -> None:
    gate, answers = threading.Barrier(8), []

    def create() -> None:
        gate.wait()
        answers.append(door.office.create(ORG, "till", ["jobs"], [], "order-1", "f" * 64))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.id for key, _, _ in answers}) == 1
    assert sum(created for _, _, created in answers) == sum(text is not None for _, text, _ in answers) == 1


def test_what_was_made_is_remembered_once(door: Door) -> None:
    making = Making("k", "f", "printer")
    assert door.store.made.find(ORG, making) is None
    assert door.store.made.remember(ORG, making, "one") == "one"
    assert door.store.made.remember(ORG, making, "two") == door.store.made.find(ORG, making) == "one"
    for other in (Making("k", "g", "printer"), Making("k", "f", "key")):
        with pytest.raises(KeyReused):
            door.store.made.find(ORG, other)
        with pytest.raises(KeyReused):
            door.store.made.remember(ORG, other, "x")
    assert door.store.made.find("another organization", making) is None


def test_an_origin_is_bound_to_a_key_and_taken_from_it(door: Door) -> None:
    one, two = (door.office.create(ORG, name, ["jobs"])[0] for name in ("one", "two"))
    assert door.office.bind(ORG, SHOP, one.id).origins == {SHOP}
    door.office.bind(ORG, SHOP, two.id)
    door.office.bind(ORG, "https://a.example", two.id)
    assert {origin: [key.name for key in keys] for origin, keys in door.office.origins(ORG).items()} == {
        "https://a.example": ["two"], SHOP: ["one", "two"],
    }  # fmt: skip
    door.office.unbind(ORG, SHOP, one.id)
    assert door.ring.origins() == {SHOP, "https://a.example"}
    door.office.unbind(ORG, SHOP)
    assert door.ring.origins() == {"https://a.example"}
    with pytest.raises(NotFound):
        door.office.unbind(ORG, SHOP)
    with pytest.raises(Invalid):
        door.office.bind(ORG, "shop.example", one.id)


def test_a_key_of_pages_never_becomes_a_programs_key(door: Door) -> None:
    """Whoever looked at the page's source has it, and a program's key sees everybody's jobs."""
    _, text, _ = door.office.create(ORG, "page", ["jobs"], [SHOP, "https://a.example"])
    till, till_text, _ = door.office.create(ORG, "till", ["jobs"])
    admin, admin_text, _ = door.office.create(ORG, "admin", ["admin"])
    for key in (till, admin):
        door.office.bind(ORG, SHOP, key.id)
    door.office.unbind(ORG, SHOP)
    assert text is not None and till_text is not None and admin_text is not None
    assert door.ring.find(text) is not None and door.ring.find(till_text) is None
    door.office.unbind(ORG, "https://a.example")
    assert door.ring.find(text) is None and door.ring.find(admin_text) is not None


def test_unbinding_from_all_leaves_those_of_the_configuration(door: Door) -> None:
    own = door.office.create(ORG, "own", ["jobs"], [SHOP])[0]
    door.configured(KeyConfig(name="shop", key_sha256="a" * 64, origins=[SHOP]))
    door.office.unbind(ORG, SHOP)
    assert door.office.get(ORG, own.id).origins == set()
    assert [key.name for key in door.office.origins(ORG)[SHOP]] == ["shop"]


def test_another_organization_sees_and_changes_nothing(door: Door) -> None:
    key = door.admin()
    other = "0197df47-0000-72d1-95df-2bfb0c18529a"
    assert door.office.listing(other) == [] and door.office.origins(other) == {}
    for attempt in (
        lambda: door.office.get(other, key.id), lambda: door.office.revoke(other, key.id),
        lambda: door.office.change(other, key.id, name="mine"), lambda: door.office.bind(other, SHOP, key.id),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            attempt()
