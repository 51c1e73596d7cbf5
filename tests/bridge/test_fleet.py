"""Printers that are added, changed and removed while the bridge runs: no job is lost, none is printed twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.config import PrinterConfig
from bridge.deliver import worker
from bridge.errors import Conflict, Invalid, NotFound
from bridge.fleet import Fleet
from bridge.model import Device, State
from bridge.watch import Loop, Watch
from devices.profiles import PROFILES
from tests.bridge.shop import LABEL, PDF, Shop, until
from tests.fake.printer import FakePrinter


class Yard(Shop):
    """A shop whose printers are a fleet's."""

    def __init__(self, folder: Path, configured: list[PrinterConfig] | None = None, *, going: bool = True) -> None:
        super().__init__(folder)
        self.fleet = Fleet(
            self.store, self.control, organization_id=self.org, client_id=self.client.id, folder=folder
        )
        self.fleet.assemble(configured or [])
        if going:
            self.fleet.go()

    def stop(self, patience_s: float = 0.0) -> None:
        self.store.lanes.close()
        self.fleet.stop(patience_s)
        super().stop()

    def named(self, name: str) -> Device:
        found = self.store.devices.by_name(self.org, self.client.id, name)
        assert found is not None, name
        return found


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path) as yard:
        yield yard


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(worker, "LAST_RETRY_S", 0.2)


def config(name: str, uri: str, **keys: Any) -> PrinterConfig:
    """Their printers take every byte for a label, so nothing is asked."""
    return PrinterConfig(name=name, uri=uri, **{"status": "off", **keys})


TILL = {"name": "till", "uri": "virtual://till", "language": "escpos", "profile": "tm-t88"}


# -- at run time


def test_a_printer_that_was_added_prints_and_is_there_again_after_a_restart(tmp_path: Path) -> None:
    with FakePrinter() as printer:
        with Yard(tmp_path) as yard:
            device = yard.fleet.add({"name": "dock", "uri": printer.uri, "status": "off", "dpi": 300})
            assert yard.wait(yard.send()).state == "delivered"
        with Yard(tmp_path) as yard:
            assert yard.named("dock").id == device.id
            settings = yard.fleet.settings(device.id)
            assert settings is not None and (settings["uri"], settings["dpi"]) == (printer.uri, 300)
            assert yard.wait(yard.send()).state == "delivered"
        assert printer.jobs == [LABEL, LABEL]


def test_a_printer_that_is_added_while_the_bridge_starts_begins_with_the_others(tmp_path: Path) -> None:
    with FakePrinter() as printer, Yard(tmp_path, going=False) as yard:
        device = yard.fleet.add({"name": "dock", "uri": printer.uri, "status": "off"})
        yard.fleet.reload([config("shelf", "virtual://shelf")])
        job = yard.send()
        yard.fleet.go()
        assert yard.wait(job).state == "delivered" and printer.jobs == [LABEL]
        assert yard.fleet.workers[device.id].is_alive()


def test_coming_and_going_is_not_taken_for_dying(yard: Yard) -> None:
    """Somebody looks all the time, as the watch does once a second, while printers are added, changed and removed."""
    watch = Watch(
        lambda: {key: Loop(each.is_alive, each.revive) for key, each in list(yard.fleet.workers.items())},
        feed=lambda: None, feed_s=None,
    )  # fmt: skip
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            watch.look()

    watching = threading.Thread(target=look)
    watching.start()
    try:
        for _ in range(40):
            device = yard.fleet.add({"name": "dock", "uri": "virtual://dock", "status": "off"})
            yard.fleet.change(device.id, {"dpi": 300})
            yard.fleet.remove(device.id, cancel_jobs=False)
    finally:
        over.set()
        watching.join()
    assert watch.restarts == {}


def test_a_worker_that_lives_is_not_started_a_second_time(yard: Yard) -> None:
    device = yard.fleet.add({"name": "dock", "uri": "virtual://dock", "status": "off"})
    yard.fleet.workers[device.id].revive()
    assert [each.name for each in threading.enumerate()].count("printer-dock") == 1


@pytest.mark.parametrize(
    "settings, said",
    [
        ({}, "name: is missing"),
        ({"name": "x"}, "uri: is missing"),
        ({"name": "x", "uri": "tcp://"}, "tcp"),
        ({"name": "x", "uri": "gopher://x"}, "gopher"),
        ({"name": "x", "uri": "tcp://h", "language": "klingon"}, "unknown language 'klingon'"),
        ({"name": "x", "uri": "tcp://h", "dpi": 3}, "dpi: "),
        ({"name": "x", "uri": "tcp://h", "colour": "red"}, "unknown key 'colour'; allowed here: name, uri"),
        ({"name": 7, "uri": "tcp://h"}, "name: "),
        ({"name": "x", "uri": "192.168.1.40"}, "printer 'x': '192.168.1.40' does not say how the printer is reached; "
                                              "on the network write tcp://192.168.1.40"),
        ({"name": "x", "uri": "till.local:9100"}, "write tcp://till.local:9100"),
        ({"name": "x", "uri": "fe80::1"}, "write tcp://[fe80::1]"),
        ({"name": "x", "uri": "nonsense"}, "an address begins with"),
        ({**TILL, "dpi": 203, "width_mm": 72}, "printer 'till': 72 mm at 203 dpi are 575 dots, and the head of the "
                                              "profile 'tm-t88' has 512 (72 mm at 180 dpi); write dpi = 180"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_with_the_key_at_fault(
    yard: Yard, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid) as caught:
        yard.fleet.add(settings)
    assert said in str(caught.value) and caught.value.remedy
    assert yard.fleet.printers == {}


def test_a_name_that_is_taken_is_refused(yard: Yard) -> None:
    yard.fleet.add({"name": "dock", "uri": "virtual://dock"})
    with pytest.raises(Conflict, match="there is a printer called 'dock' already"):
        yard.fleet.add({"name": "dock", "uri": "tcp://elsewhere"})


def test_a_printer_can_get_another_address_and_its_queue_follows(yard: Yard) -> None:
    with FakePrinter(refuse=True) as old, FakePrinter() as new:
        device = yard.fleet.add({"name": "dock", "uri": old.uri, "status": "off"})
        jobs = [yard.send(LABEL + b"%d" % number) for number in range(4)]
        yard.fleet.change(device.id, {"uri": new.uri})
        assert [yard.wait(job).state for job in jobs] == ["delivered"] * 4
        assert new.jobs == [LABEL + b"%d" % number for number in range(4)] and old.jobs == []


def test_what_was_drawn_for_the_old_settings_is_drawn_again(yard: Yard) -> None:
    with FakePrinter(refuse=True) as old, FakePrinter() as new:
        device = yard.fleet.add({"name": "dock", "uri": old.uri, "status": "off", "dpi": 203})
        job = yard.send(PDF)
        yard.drawing(b"^XA 203 dpi ^XZ", of=1)
        yard.fleet.change(device.id, {"dpi": 300, "uri": new.uri})
        yard.drawing(b"^XA 300 dpi ^XZ", of=1).output.finish()  # type: ignore[union-attr]
        assert yard.wait(job).state == "delivered"
        assert new.jobs == [b"^XA 300 dpi ^XZ"]


def test_a_printer_keeps_its_id_and_history_through_a_new_name(yard: Yard) -> None:
    with FakePrinter() as printer:
        device = yard.fleet.add({"name": "dock", "uri": printer.uri, "status": "off"})
        yard.wait(yard.send())
        renamed = yard.fleet.change(device.id, {"name": "gate"})
        assert (renamed.id, renamed.name) == (device.id, "gate")
        assert yard.wait(yard.send(name="gate")).state == "delivered"


def test_a_printer_with_jobs_is_not_removed_unless_they_are_given_up(yard: Yard) -> None:
    with FakePrinter(refuse=True) as printer:
        device = yard.fleet.add({"name": "dock", "uri": printer.uri, "status": "off"})
        waiting, held = yard.send(), yard.send(hold=True)
        with pytest.raises(Conflict, match="dock still has 2 jobs to print"):
            yard.fleet.remove(device.id, cancel_jobs=False)
        yard.fleet.remove(device.id, cancel_jobs=True)
        assert [yard.state(job) for job in (waiting, held)] == ["cancelled", "cancelled"]
        assert yard.store.devices.get(yard.org, device.id) is None
        printer.switch_on()
        with pytest.raises(NotFound):
            yard.fleet.remove(device.id, cancel_jobs=True)
        assert printer.jobs == []


def test_two_printers_at_one_device_are_refused_and_both_are_named(yard: Yard) -> None:
    yard.fleet.add({"name": "dock", "uri": "tcp://printer.local"})
    with pytest.raises(Conflict, match="printer 'dock' is this device already") as caught:
        yard.fleet.add({"name": "gate", "uri": "tcp://PRINTER.local:9100"})
    assert caught.value.code == "device_taken"
    other = yard.fleet.add({"name": "gate", "uri": "tcp://printer.local:9101"})
    with pytest.raises(Conflict, match="dock"):
        yard.fleet.change(other.id, {"uri": "tcp://printer.local:9100"})
    yard.fleet.add({"name": "usb one", "uri": "usb://0a5f:0166/A1"})
    yard.fleet.add({"name": "usb two", "uri": "usb://0a5f:0166/A2"})
    with pytest.raises(Conflict, match="usb one"):
        yard.fleet.add({"name": "the only one", "uri": "usb://0A5F:0166"})
    yard.fleet.add({"name": "one", "uri": "virtual://same"})
    yard.fleet.add({"name": "two", "uri": "virtual://same"})


# -- by the configuration


def test_a_printer_of_the_configuration_is_changed_there_only(tmp_path: Path) -> None:
    with Yard(tmp_path, [config("dock", "virtual://dock")]) as yard:
        device_id = yard.named("dock").id
        for forbidden in (
            lambda: yard.fleet.change(device_id, {"dpi": 300}), lambda: yard.fleet.remove(device_id, cancel_jobs=True)
        ):  # fmt: skip
            with pytest.raises(Conflict, match="set up in this bridge's configuration") as caught:
                forbidden()
            assert "reload" in caught.value.remedy


def test_a_reload_adds_changes_and_removes_printers_and_drops_no_job(tmp_path: Path) -> None:
    away, gone = FakePrinter(refuse=True), FakePrinter(refuse=True)
    with away, gone, FakePrinter() as here, FakePrinter() as there, FakePrinter() as third:
        before = [config("dock", away.uri), config("gone", gone.uri), config("same", here.uri)]
        with Yard(tmp_path, before) as yard:
            moved, stranded, untouched = (yard.send(name=name) for name in ("dock", "gone", "same"))
            after = [config("dock", there.uri), config("same", here.uri), config("new", third.uri)]
            assert sorted(yard.fleet.reload(after)) == [
                "printer dock changed", "printer gone removed", "printer new added",
            ]  # fmt: skip
            assert yard.fleet.reload(after) == []
            fresh = yard.send(name="new")
            assert [yard.wait(job).state for job in (moved, untouched, fresh)] == ["delivered"] * 3
            assert yard.state(stranded) in ("queued", "preparing")
            gone.switch_on()
            back = [*after, config("gone", gone.uri)]
            assert yard.fleet.reload(back) == ["printer gone added"]
            assert yard.wait(stranded).state == "delivered"
        assert [len(printer.jobs) for printer in (here, there, third, gone, away)] == [1, 1, 1, 1, 0]


def test_an_added_printer_is_left_alone_by_a_reload(yard: Yard) -> None:
    device = yard.fleet.add({"name": "mine", "uri": "virtual://mine"})
    assert yard.fleet.reload([config("dock", "virtual://dock")]) == ["printer dock added"]
    assert yard.fleet.settings(device.id) is not None


def test_the_configuration_takes_over_a_printer_that_was_added(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        device = yard.fleet.add({"name": "dock", "uri": "virtual://old"})
    with Yard(tmp_path, [config("dock", "virtual://new")]) as yard:
        settings = yard.fleet.settings(device.id)
        assert settings is not None and settings["uri"] == "virtual://new"
        assert yard.named("dock").from_config and yard.named("dock").settings is None


def test_a_kept_printer_this_version_cannot_use_is_left_out_and_the_others_work(tmp_path: Path) -> None:
    with Yard(tmp_path) as yard:
        bad, good = (yard.fleet.add({"name": name, "uri": f"virtual://{name}"}) for name in ("bad", "good"))
        broken = json.dumps({"name": "bad", "uri": "warp://9"})
        yard.store.devices.update(yard.org, bad.id, settings=broken)
    with Yard(tmp_path) as yard:
        assert set(yard.fleet.printers) == {good.id}


@pytest.mark.parametrize("name", PROFILES)
def test_a_receipt_printer_is_as_wide_as_its_head_unless_something_is_said(yard: Yard, name: str) -> None:
    head = PROFILES[name]
    added = yard.fleet.printers[yard.fleet.add({**TILL, "profile": name}).id]
    assert added.media.dpi == head.dpi and head.dots - 2 <= added.media.width <= head.dots
    narrow = yard.fleet.add({**TILL, "name": "narrow", "uri": "virtual://narrow", "profile": name, "width_mm": 40})
    assert yard.fleet.printers[narrow.id].media.width_mm == 40


def test_paper_that_is_wider_than_the_head_is_printed_as_far_as_the_head_reaches(yard: Yard) -> None:
    for name, keys in {"plain": {"profile": None, "dpi": 203}, "tm": {}}.items():
        added = yard.fleet.add({**TILL, "name": name, "uri": f"virtual://{name}", "width_mm": 80, **keys})
        head = PROFILES[str(keys.get("profile", "tm-t88") or "default")]
        assert yard.fleet.printers[added.id].media.width == head.dots


def test_a_receipt_printer_kept_with_too_wide_a_page_stays_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Yard(tmp_path) as yard:
        till = yard.fleet.add(TILL)
        yard.store.devices.update(yard.org, till.id, settings=json.dumps({**TILL, "dpi": 203, "width_mm": 72}))
    with Yard(tmp_path) as yard:
        assert set(yard.fleet.printers) == {till.id}
        assert "write dpi = 180" in caplog.text
        yard.fleet.change(till.id, {"dpi": 180})
        assert yard.fleet.printers[till.id].media.dpi == 180


def test_a_change_waits_for_the_label_that_is_being_sent(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakePrinter(delay_close_s=0.5) as slow, FakePrinter() as other:
        device = yard.fleet.add({"name": "dock", "uri": slow.uri, "status": "off"})
        first = yard.send()
        until(lambda: yard.state(first) == "sending")
        second = yard.send(LABEL + b"2")
        yard.fleet.change(device.id, {"uri": other.uri})
        assert [yard.wait(job).state for job in (first, second)] == ["delivered"] * 2
        assert (slow.jobs, other.jobs) == ([LABEL], [LABEL + b"2"])


def test_a_change_that_would_have_to_wait_too_long_is_refused_and_the_printer_goes_on(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.fleet.RETIRE_S", 0.1)
    with FakePrinter(delay_close_s=0.6) as slow:
        device = yard.fleet.add({"name": "dock", "uri": slow.uri, "status": "off"})
        first = yard.send()
        until(lambda: yard.state(first) == "sending")
        with pytest.raises(Conflict, match="is sending a job that takes long"):
            yard.fleet.change(device.id, {"dpi": 300})
        second = yard.send()
        assert [yard.wait(job).state for job in (first, second)] == ["delivered"] * 2
        assert yard.state(second) == State.DELIVERED and len(slow.jobs) == 2
