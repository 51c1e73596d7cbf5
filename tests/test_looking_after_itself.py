"""A bridge that is left alone: every loop lives on, a broken configuration stops nothing, a reload drops no job."""

from __future__ import annotations

import ctypes
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.app import Bridge
from bridge.intake.accept import Intake
from bridge.model import EVERYTHING, Inline, Job, JobRequest
from devices import languages
from devices.usb.machine import HERE
from tests.fake.printer import FakePrinter
from tests.serving import Serve, printer

ZPL = b"^XA^FO20,20^FDlabel^FS^XZ"


def until(true: Callable[[], Any], timeout: float = 60.0) -> Any:
    deadline = time.monotonic() + timeout
    while not (seen := true()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return seen


def health(bridge: Serve) -> Any:
    return bridge.call("GET", "/v1/health").json


def logged(bridge: Serve) -> str:
    return bridge.log.read_text()


# -- loops


class Running:
    """A whole bridge in this process, so that a test can reach its threads."""

    def __init__(self, folder: Path, printer: FakePrinter) -> None:
        folder.mkdir()
        (folder / "config.toml").write_text(f'[[printers]]\nname = "dock"\nuri = "{printer.uri}"\n')
        self.bridge = Bridge.of(folder, None, port=0)
        self.bridge.start()
        self.org = self.bridge.identity.organization_id
        self.door = Intake(
            self.bridge.store, rules=lambda: self.bridge.rules, document_max=1_000_000, recognize=languages.recognize
        )

    def send(self, data: bytes = ZPL) -> Job:
        """A job, straight through the door."""
        (device_id,) = self.bridge.fleet.printers
        return self.door.accept(JobRequest(self.org, device_id, "test", Inline(data), grants=EVERYTHING))[0]

    def stir(self) -> bool:
        """Wake every thread that sleeps: only then it notices that it is to die."""
        store, (device_id,) = self.bridge.store, self.bridge.fleet.printers
        store.devices.note(self.bridge.control.device(self.org, device_id), "", "")
        store.lanes.pause(device_id, False)
        self.bridge.feed._bell.send(b"!")
        with store.lanes._work:
            store.lanes._work.notify_all()
        return True

    def state(self, job: Job) -> str:
        found = self.bridge.store.jobs.get(self.org, job.id)
        assert found is not None
        return found.state.value


@contextmanager
def running(folder: Path, printer: FakePrinter) -> Iterator[Running]:
    one = Running(folder, printer)
    try:
        yield one
    finally:
        one.bridge.stop()


def kill_thread(name: str) -> None:
    """The thread ends at its next step in Python, wherever it is."""
    (thread,) = [t for t in threading.enumerate() if t.name == name]
    assert thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))


dying = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

LOOPS = {
    "store-writer": "store", "http": "http", "feed": "feed", "fetch-1": "fetch", "draw-1": "draw",
    "housekeeping": "housekeeping", "printer-dock": "printer dock",
    **({"usb-hotplug": "usb"} if HERE.has_sysfs else {}),
}  # fmt: skip


@dying
@pytest.mark.parametrize("thread", LOOPS)
def test_a_loop_that_dies_is_started_again_and_labels_go_on(tmp_path: Path, thread: str) -> None:
    with FakePrinter() as printer, running(tmp_path / "data", printer) as one:
        before = [one.send() for _ in range(3)]
        until(lambda: all(one.state(job) == "delivered" for job in before))
        kill_thread(thread)

        until(lambda: one.stir() and one.bridge.watch.restarts[LOOPS[thread]] == 1)
        until(lambda: all(one.bridge.watch.states().values()))
        after = [one.send() for _ in range(3)]
        until(lambda: all(one.state(job) == "delivered" for job in after))
        assert len(printer.jobs) == 6
        assert one.bridge.health()["status"] == "ok" and one.bridge.health()["restarts"] == {LOOPS[thread]: 1}


@dying
def test_a_worker_that_dies_while_sending_names_the_doubt_and_the_next_job_is_printed(tmp_path: Path) -> None:
    with FakePrinter(slow=20_000, rcvbuf=4096) as printer, running(tmp_path / "data", printer) as one:
        cut = one.send(b"^XA^FX" + b"x" * 400_000 + b"^XZ")
        until(lambda: (t := one.bridge.store.lanes.ticket(cut.id)) and t.progress.bytes_sent > 0)
        kill_thread("printer-dock")
        until(lambda: one.bridge.watch.restarts["printer dock"] == 1, 60)
        until(lambda: one.state(cut) == "unconfirmed")
        found = one.bridge.store.jobs.get(one.org, cut.id)
        assert found is not None and "may have printed" in found.text


def test_systemd_hears_from_a_bridge_whose_loops_all_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        with Serve(tmp_path / "data") as bridge:
            heard = [systemd.recv(200) for _ in range(4)]
            assert heard[0] == b"READY=1" or b"READY=1" in heard
            assert heard.count(b"WATCHDOG=1") >= 2
            assert bridge.process is not None
            bridge.process.send_signal(signal.SIGHUP)
            until(lambda: b"RELOADING=1" in systemd.recv(200))
        until(lambda: systemd.recv(200) == b"STOPPING=1")


# -- configuration


def test_a_broken_configuration_at_the_start_means_the_last_one_that_worked_and_health_says_so(tmp_path: Path) -> None:
    with FakePrinter() as dock:
        with Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
            assert health(bridge)["config"]["status"] == "ok"
        bridge.config.write_text('[[printers]]\nname = "dock"\nurl = "tcp://10.0.0.1"\n')
        bridge.start()
        try:
            said = health(bridge)
            assert (said["status"], said["config"]["status"]) == ("warning", "last-good")
            for part in (str(bridge.config), "unknown key printers.0.url", "allowed here: name, uri, language"):
                assert part in said["config"]["text"]
            assert "unknown key printers.0.url" in logged(bridge)
            job = bridge.send("dock", {"document_base64": "XlhBXlha", "document_type": "zpl"})
            assert bridge.wait(job)["state"] == "delivered" and dock.jobs == [b"^XA^XZ"]
            assert (tmp_path / "data/config.last-good.toml").stat().st_mode & 0o777 == 0o600
        finally:
            assert bridge.stop() == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1\n", "unknown key server.prot; allowed here: host, port"),
        ("printers = 3\n", "printers"),
        ('[[printers]]\nname = "a"\nuri = "warp://9"\n', "warp"),
        ('[[printers]]\nname = "a"\nuri = "tcp://h"\nlanguage = "klingon"\n', "unknown language 'klingon'"),
        (printer("a", "192.168.1.40"), "printer 'a': '192.168.1.40' does not say how"),
        ("[[keys]]\nname = 'x'\nkey_file = '/nowhere/key'\n", "/nowhere/key cannot be read"),
        ("[[printers]", "is not valid TOML"),
        (printer("a", "tcp://h") + printer("b", "tcp://H:9100"), "printers 'a' and 'b' are one device (tcp://H:9100)"),
    ],
)
def test_a_reload_of_a_broken_configuration_changes_nothing_and_says_what_is_wrong(
    tmp_path: Path, text: str, said: str
) -> None:
    with FakePrinter() as dock, Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
        bridge.config.write_text(text)
        refused = bridge.call("POST", "/v1/reload")
        assert refused.status == 422 and refused.json["error"]["code"] == "bad_config"
        assert said in refused.json["error"]["text"]
        job = bridge.send("dock", {"document_base64": "XlhBXlha", "document_type": "zpl"})
        assert bridge.wait(job)["state"] == "delivered"


def test_sighup_takes_new_printers_and_keys_and_drops_no_job(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("pb_" + "0" * 64)
    key_file.chmod(0o600)
    with FakePrinter(refuse=True) as away, FakePrinter() as dock, FakePrinter() as spare:
        with Serve(tmp_path / "data", printer("dock", away.uri)) as bridge:
            jobs = [bridge.send("dock", {"document_base64": "XlhBXlha", "document_type": "zpl"}) for _ in range(20)]
            keys = f'[[keys]]\nname = "till"\nkey_file = "{key_file}"\norigins = ["https://shop.example"]\n'
            bridge.config.write_text(printer("dock", dock.uri) + printer("second", spare.uri) + keys)
            assert bridge.process is not None
            bridge.process.send_signal(signal.SIGHUP)
            until(lambda: "printer dock changed; printer second added; keys changed" in logged(bridge))
            assert [bridge.wait(job)["state"] for job in jobs] == ["delivered"] * 20
            page = {"Origin": "https://shop.example", "Authorization": "Bearer pb_" + "0" * 64}
            asked = bridge.call("GET", "/v1/jobs", headers=page)
            assert (asked.status, asked.headers["access-control-allow-origin"]) == (200, "https://shop.example")
            bridge.config.write_text(printer("dock", dock.uri))
            answer = bridge.call("POST", "/v1/reload").json
            assert answer["changed"] == ["printer second removed", "keys changed"]
            assert bridge.call("GET", "/v1/jobs", headers=page).status == 403
        assert len(dock.jobs) == 20 and away.jobs == []


def test_settings_that_only_count_at_the_start_are_named(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        bridge.config.write_text('[server]\nhosts = ["print.local"]\nlog_level = "debug"\n[limits]\npages = 7\n')
        answer = bridge.call("POST", "/v1/reload").json
        assert answer["needs_restart"] == ["[server] hosts", "[limits] pages"]
        assert "log level is debug" in answer["changed"]


# -- jobs whose time is over


def test_a_job_that_expires_while_its_printer_is_away_says_so_by_itself(tmp_path: Path) -> None:
    with FakePrinter(refuse=True) as dock, Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
        body = json.dumps({"printer": "dock", "document_base64": "XlhBXlha", "expires_in_s": 0.5})
        job = bridge.call("POST", "/v1/jobs", body.encode()).json["id"]
        assert bridge.wait(job)["text"] == "its time was over before it could be sent; nothing was printed"
        dock.switch_on()
        other = bridge.send("dock", {"document_base64": "XlhBXlha", "document_type": "zpl"})
        bridge.wait(other)
        assert len(dock.jobs) == 1
