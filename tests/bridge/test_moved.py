"""Printers are found, and found again: a network printer whose address changed gets its labels all the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import moved
from bridge.deliver import worker
from bridge.discover import discover
from bridge.errors import Invalid
from bridge.moved import Movers
from tests.bridge.shop import LABEL, until
from tests.bridge.test_fleet import Yard
from tests.fake.printer import FakePrinter


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path) as yard:
        yield yard


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(worker, "LAST_RETRY_S", 0.2)
    monkeypatch.setattr(moved, "AWAY_S", 0.0)


def test_a_printer_that_moved_is_found_by_its_mac_and_the_change_is_told(yard: Yard, tmp_path: Path) -> None:
    with FakePrinter(host="127.0.0.2", refuse=True) as old, FakePrinter(host="127.0.0.3", port=old.port) as new:
        device = yard.fleet.add({"name": "dock", "uri": old.uri, "status": "off", "mac": "00:07:4d:aa:bb:cc"})
        job = yard.send()
        asked: list[dict[str, Any]] = []

        def find(**wanted: Any) -> str:
            asked.append(wanted)
            return "127.0.0.3"

        movers = Movers(yard.fleet, tmp_path / "macs.json", find=find)
        until(lambda: yard.fleet.state(device.id).state == "stopped")  # type: ignore[union-attr]
        movers.look()
        assert yard.wait(job).state == "delivered" and new.jobs == [LABEL]
        assert asked == [{"mdns_name": None, "mac": "00:07:4d:aa:bb:cc"}]
        texts = [event.text for event in yard.store.events.after(yard.org, 0)]
        assert f"answers at 127.0.0.3:{old.port} now, found by its MAC 00:07:4d:aa:bb:cc" in " ".join(texts)
        settings = yard.fleet.settings(device.id)
        assert settings is not None and settings["uri"] == old.uri, "what was set up stays as it was"


def test_a_printer_that_is_only_switched_off_stays_where_it_is(yard: Yard, tmp_path: Path) -> None:
    with FakePrinter(refuse=True) as dock:
        device = yard.fleet.add({"name": "dock", "uri": dock.uri, "status": "off", "mdns": "Zebra"})
        job = yard.send()
        until(lambda: yard.fleet.state(device.id).state == "stopped")  # type: ignore[union-attr]
        Movers(yard.fleet, tmp_path / "macs.json", find=lambda **wanted: None).look()
        dock.switch_on()
        assert yard.wait(job).state == "delivered" and dock.jobs == [LABEL]


def test_the_mac_is_learnt_while_the_printer_answers(yard: Yard, tmp_path: Path) -> None:
    known = {"127.0.0.1": "00:07:4d:00:00:01"}
    with FakePrinter() as dock:
        device = yard.fleet.add({"name": "dock", "uri": dock.uri, "status": "off"})
        yard.wait(yard.send())
        Movers(yard.fleet, tmp_path / "macs.json", neighbours=lambda: known).look()
        assert json.loads((tmp_path / "macs.json").read_text()) == {device.id: "00:07:4d:00:00:01"}
        asked: list[Any] = []
        again = Movers(yard.fleet, tmp_path / "macs.json", find=lambda **wanted: asked.append(wanted))
        dock.switch_off()
        job = yard.send()
        until(lambda: yard.fleet.state(device.id).state == "stopped")  # type: ignore[union-attr]
        again.look()
        assert asked == [{"mdns_name": None, "mac": "00:07:4d:00:00:01"}]
        yard.control.cancel(yard.org, job.id)


def test_a_memory_that_is_not_ours_is_no_reason_to_stop(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "macs.json").write_text("[1, 2")
    Movers(yard.fleet, tmp_path / "macs.json").look()


def test_a_subnet_is_looked_at_only_when_it_is_named_and_a_printer_that_is_set_up_is_marked(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.fleet.add({"name": "dock", "uri": "tcp://127.0.0.9"})
    with FakePrinter(host="127.0.0.5", port=9100):
        found = discover(yard.fleet, mdns_s=0, subnet="127.0.0.4/30")
        uris = {each["uri"]: each for each in found["candidates"]}
        assert "tcp://127.0.0.5" in {uri.removesuffix(":9100") for uri in uris}
        (candidate,) = [each for uri, each in uris.items() if "127.0.0.5" in uri]
        assert candidate["added"] is None and candidate["settings"]["uri"] == candidate["uri"]
        yard.fleet.add({"name": "new", "uri": candidate["settings"]["uri"]})
        again = discover(yard.fleet, mdns_s=0, subnet="127.0.0.4/30")
        assert not [each for each in again["candidates"] if "127.0.0.5" in each["uri"] and each["added"] != "new"]
    with pytest.raises(Invalid) as caught:
        discover(yard.fleet, mdns_s=0, subnet="10.0.0.0/8")
    assert caught.value.field == "subnet" and caught.value.remedy
