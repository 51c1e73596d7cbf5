"""sd_notify and the watchdog, with a real datagram socket in systemd's place; the unit file, read by systemd."""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.systemd import notify, watchdog_s
from tests.serving import Serve

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "udev" / "print-bridge.service"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is Linux's")


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets are Linux's")
    name = str(tmp_path / "notify") if request.param == "path" else f"@print-bridge-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        end.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield end


def test_systemd_hears_each_state_as_one_datagram(manager: socket.socket) -> None:
    for state in ("READY=1\nSTATUS=3 printers", "WATCHDOG=1", "STATUS=Drucker für Größe M"):
        assert notify(state)
        assert manager.recv(1000).decode() == state


def test_a_manager_that_does_not_read_holds_nothing_up_for_long(manager: socket.socket) -> None:
    manager.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    sent = [notify("STATUS=" + "x" * 500) for _ in range(2)]
    assert sent[0]
    while notify("STATUS=" + "x" * 500):
        assert len(sent) < 1000
        sent.append(True)


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify("READY=1")
    for address in ("", "vsock:2:1234", "relative", str(tmp_path / "nobody"), "@nobody-listens-here", "/" + "x" * 300):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert not notify("READY=1"), address


@pytest.mark.parametrize(
    ("usec", "pid", "expected"),
    [
        ("30000000", None, 15.0),
        pytest.param("30000000", str(os.getpid()), 15.0, id="ours"),
        ("30000000", "1", None),  # meant for the process that started us
        ("500000", None, 0.25),
        ("0", None, None),
        ("-1", None, None),
        ("soon", None, None),
        ("30000000", "me", None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(
    usec: str | None, pid: str | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert watchdog_s() == expected


def test_a_serve_says_ready_when_it_listens_feeds_the_watchdog_and_says_goodbye(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    manager.settimeout(60)
    with Serve(tmp_path / "data") as bridge:
        assert manager.recv(1000) == b"READY=1"
        assert bridge.call("GET", "/v1/hello").status == 200
        assert {manager.recv(1000) for _ in range(2)} == {b"WATCHDOG=1"}
        assert bridge.process is not None
        bridge.process.send_signal(signal.SIGHUP)
        heard = [word for word in iter(lambda: manager.recv(1000), b"READY=1") if word != b"WATCHDOG=1"]
        assert len(heard) == 1 and heard[0].startswith(b"RELOADING=1")
    manager.settimeout(0.1)
    last = b""
    with contextlib.suppress(TimeoutError):
        while True:
            last = manager.recv(1000)
    assert last == b"STOPPING=1"


# ---- the unit ---------------------------------------------------------------------------------------------------


def unit(section: str) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, delimiters="=", comment_prefixes="#", strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(UNIT.read_text())
    return dict(parser[section])


def test_the_unit_says_what_the_bridge_relies_on() -> None:
    service = unit("Service")
    wanted = {
        "Type": "notify", "WatchdogSec": "30", "Restart": "on-failure", "SupplementaryGroups": "lp dialout",
        "StateDirectory": "print-bridge", "UMask": "0077", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
        "OOMPolicy": "continue", "LimitCORE": "0",
    }  # fmt: skip
    assert {name: service.get(name) for name in wanted} == wanted
    assert service["ExecStart"].endswith("/print-bridge serve --data %S/print-bridge")
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_the_unit_locks_no_printer_out() -> None:
    shut = {"PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "MemoryDenyWriteExecute", "PrivateNetwork"}
    assert not shut & set(unit("Service"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_every_line_of_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/print-bridge/bin/print-bridge", "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(copy)], capture_output=True, text=True,
        timeout=60, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    about_us = [line for line in verified.stderr.splitlines() if UNIT.name in line]
    assert verified.returncode == 0 and about_us == [], verified.stderr
