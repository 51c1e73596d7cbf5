"""Organizations, clients, devices, keys: what is set stays set, and nobody sees his neighbour's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.model import Key, new_id
from tests.bridge.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def test_this_machine_is_one_of_the_clients(shop: Shop) -> None:
    other = shop.store.clients.add(shop.org, "packing-2", ip_address="10.0.0.9", description="by the door")
    assert shop.store.clients.me(shop.org) == shop.client
    assert shop.store.clients.page(shop.org) == ([shop.client, other], 2)
    assert (other.is_self, other.ip_address, other.description) == (False, "10.0.0.9", "by the door")


def test_clients_are_found_by_how_their_name_begins_wild_cards_meant_literally(shop: Shop) -> None:
    odd = shop.store.clients.add(shop.org, "50%_off")
    assert shop.store.clients.page(shop.org, hostname="coun") == ([shop.client], 1)
    assert shop.store.clients.page(shop.org, hostname="ount") == ([], 0)
    assert shop.store.clients.page(shop.org, hostname="50%_") == ([odd], 1)
    assert shop.store.clients.page(shop.org, hostname="%") == ([], 0)


def test_devices_are_found_by_any_part_of_their_name(shop: Shop) -> None:
    dock, till = shop.device("dock door 1"), shop.device("till")
    assert shop.store.devices.page(shop.org, name="door") == ([dock], 1)
    assert shop.store.devices.page(shop.org, name="%") == ([], 0)
    assert shop.store.devices.page(shop.org, client_id=shop.client.id, limit=1, offset=1) == ([till], 2)
    assert shop.store.devices.by_name(shop.org, shop.client.id, "till") == till


def test_a_client_has_each_name_once(shop: Shop) -> None:
    shop.device("dock")
    with pytest.raises(sqlite3.IntegrityError):
        shop.store.devices.add(shop.org, shop.client.id, "dock")
    other = shop.store.clients.add(shop.org, "packing-2")
    assert shop.store.devices.add(shop.org, other.id, "dock").name == "dock"


def test_a_device_keeps_its_id_through_a_renaming(shop: Shop) -> None:
    dock = shop.device("dock")
    renamed = shop.store.devices.update(shop.org, dock.id, name="dock 1", hardware_path="tcp://10.0.0.7")
    assert renamed is not None
    assert (renamed.id, renamed.name, renamed.hardware_path) == (dock.id, "dock 1", "tcp://10.0.0.7")
    assert shop.store.devices.update(shop.org, "nobody", name="x") is None


def test_pausing_leaves_a_reason_and_an_event(shop: Shop) -> None:
    dock = shop.device()
    paused = shop.store.devices.pause(shop.org, dock.id, "new ribbon")
    assert paused is not None and (paused.paused, paused.pause_reason) == (True, "new ribbon")
    resumed = shop.store.devices.pause(shop.org, dock.id, None)
    assert resumed is not None and (resumed.paused, resumed.pause_reason) == (False, None)
    events = shop.store.events.after(shop.org, 0)
    assert [(e.device_id, e.kind, e.state, e.text) for e in events] == [
        (dock.id, "printer", "paused", "new ribbon"), (dock.id, "printer", "resumed", ""),
    ]  # fmt: skip
    assert shop.store.devices.pause(shop.org, "nobody", "x") is None


def test_what_was_learnt_of_a_printer_is_counted(shop: Shop) -> None:
    dock = shop.device()
    for closed in (True, False, False):
        shop.store.devices.seen_closing(dock, closed)
    shop.store.devices.note(dock, "offline", "no answer")
    now = shop.store.devices.update(shop.org, dock.id)  # waits for the writer
    assert now is not None and (now.closings, now.left_open) == (1, 2)


def test_a_client_goes_with_its_devices(shop: Shop) -> None:
    other = shop.store.clients.add(shop.org, "packing-2")
    shop.store.devices.add(shop.org, other.id, "dock")
    shop.store.clients.delete(shop.org, other.id)
    assert shop.store.clients.page(shop.org)[1] == 1
    assert shop.store.devices.page(shop.org)[1] == 0


def test_another_organization_sees_and_changes_nothing(shop: Shop) -> None:
    dock, stranger = shop.device(), new_id()
    assert shop.store.devices.get(stranger, dock.id) is None
    assert shop.store.devices.page(stranger) == ([], 0)
    assert shop.store.clients.page(stranger) == ([], 0)
    assert shop.store.devices.update(stranger, dock.id, name="mine") is None
    shop.store.devices.delete(stranger, dock.id)
    shop.store.clients.delete(stranger, shop.client.id)
    assert shop.store.devices.get(shop.org, dock.id) == dock


def test_a_device_needs_a_client_and_an_organization_that_exist(shop: Shop) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        shop.store.devices.add(shop.org, "nobody", "dock")


def test_keys_of_the_configuration_are_exactly_those_and_others_stay(shop: Shop) -> None:
    own = shop.store.keys.add(shop.org, "first-run key", "a" * 64, {"admin"}, {"https://shop.example"})
    for name in ("till", "dock"):
        wanted = [Key(new_id(), shop.org, name, name * 16, frozenset({"print", "read"}), frozenset(), 1.0)]
        shop.store.keys.sync_config(shop.org, wanted)
        assert shop.store.keys.active() == [own, *wanted]


def test_everything_is_still_there_after_a_restart(shop: Shop, tmp_path: Path) -> None:
    dock = shop.device()
    shop.control.pause(shop.org, dock.id, "ribbon")
    shop.stop()
    with Shop(tmp_path) as again:
        assert again.org == shop.org
        assert again.client == shop.client
        assert again.device().paused
        assert again.lane().paused
