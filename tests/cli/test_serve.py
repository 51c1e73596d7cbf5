"""serve: what its signals do, what it says to systemd, and how it refuses."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.calling import ENVIRONMENT, Going, run
from tests.serving import ROOT, Serve, printer


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def names(bridge: Serve) -> list[str]:
    return [each["name"] for each in run("printers", "--json", "--data", bridge.folder).json["printers"]]


def test_sighup_and_reload_read_the_configuration_again(tmp_path: Path) -> None:
    with Serve(tmp_path / "data", printer("one", "virtual://one")) as bridge:
        assert bridge.process is not None
        bridge.config.write_text(printer("one", "virtual://one") + printer("two", "virtual://two"))
        bridge.process.send_signal(signal.SIGHUP)
        until(lambda: "two" in names(bridge))
        bridge.config.write_text(printer("one", "virtual://one") + printer("three", "virtual://three"))
        done = run("reload", "--data", bridge.folder)
        assert done.code == 0 and "three" in done.out
        assert "three" in names(bridge)
        assert run("reload", "--data", bridge.folder).out == "nothing changed\n"


def test_a_reload_says_what_needs_a_restart(tmp_path: Path) -> None:
    with Serve(tmp_path / "data", "[limits]\npages = 7\n") as bridge:
        bridge.config.write_text("[limits]\npages = 8\n")
        done = run("reload", "--data", bridge.folder)
        assert done.code == 0 and "restart" in done.out and "pages" in done.out


def test_a_broken_configuration_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with Serve(tmp_path / "data", printer("one", "virtual://one")) as bridge:
        assert bridge.process is not None
        for number, broken in enumerate(("[[", "[server]\nprot = 1\n", printer("one", "nonsense://x")), 1):
            bridge.config.write_text(broken)
            assert run("reload", "--data", bridge.folder).code == 2
            bridge.process.send_signal(signal.SIGHUP)
            until(lambda: bridge.log.read_text().count("nothing was changed") == 2 * number)  # noqa: B023
        assert names(bridge) == ["one"]
    assert "Traceback" not in bridge.log.read_text()


def test_many_signals_at_once_end_it_once(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        assert bridge.process is not None
        for _ in range(20):
            bridge.process.send_signal(signal.SIGHUP)
        for _ in range(5):
            bridge.process.send_signal(signal.SIGTERM)
        assert bridge.process.wait(30) == 0
        assert bridge.process.stdout is not None
        bridge.process.stdout.close()
    assert "Traceback" not in bridge.log.read_text()


def test_ctrl_c_stops_it(tmp_path: Path) -> None:
    process = Going("serve", "--data", tmp_path / "data", "--port", "0")
    process.until("listening on")
    assert process.interrupt().code == 0


def test_systemd_hears_when_it_is_ready_reloads_and_stops(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(60)
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "serve", "--data", str(tmp_path / "data"), "--port", "0"], cwd=ROOT,
            env={**ENVIRONMENT, "NOTIFY_SOCKET": str(tmp_path / "notify")}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert "READY=1" in heard(line)
        process.send_signal(signal.SIGHUP)
        assert "RELOADING=1\nMONOTONIC_USEC=" in heard(line)
        assert "READY=1" in heard(line)
        process.send_signal(signal.SIGTERM)
        assert "STOPPING=1" in heard(line)
        assert process.wait(30) == 0


def heard(line: socket.socket) -> str:
    """The next thing it says, signs of life left out."""
    while "WATCHDOG" in (text := line.recv(4096).decode()):
        pass
    return text


def test_a_second_serve_of_a_folder_names_the_first(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        assert bridge.process is not None
        done = run("serve", "--data", bridge.folder, "--port", "0")
        assert done.code == 2 and str(bridge.process.pid) in done.err


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    config, file = tmp_path / "config.toml", tmp_path / "file"
    file.write_text("x")
    for text in ("[[", "[server]\nprot = 1\n", printer("x", "nonsense://x"), "\0"):
        config.write_text(text)
        done = run("serve", "--data", tmp_path / "data", "--config", config)
        assert done.code == 2 and str(config) in done.err or "nonsense" in done.err
    for words in (("--config", tmp_path / "nobody.toml"), ("--config", tmp_path), ("--port", "70000"), ("--port", "x"),
                  ("--host", "no.such.host.invalid"), ("extra",)):  # fmt: skip
        assert run("serve", "--data", tmp_path / "data", *words).code == 2, words
    assert run("serve", "--data", file).code == 2
    assert run("serve", "--data", file / "below").code == 2


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--data", tmp_path / "data", "--port", port)
    assert done.code == 2 and port in done.err and "Errno" not in done.err, done


def test_a_configuration_broken_since_the_last_start_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    bridge = Serve(tmp_path / "data", printer("one", "virtual://one"))
    with bridge:
        pass
    bridge.config.write_text("[[")
    with bridge:
        assert names(bridge) == ["one"]
    assert "last configuration that worked" in bridge.log.read_text()


# ---- logs -------------------------------------------------------------------------------------------------------


def test_logs_shows_the_last_lines_and_follows(tmp_path: Path) -> None:
    with Serve(tmp_path / "data", printer("one", "virtual://one")) as bridge:
        bridge.config.write_text(printer("two", "virtual://two"))
        assert run("reload", "--data", bridge.folder).code == 0
        shown = run("logs", "-n", "3", "--data", bridge.folder)
        assert shown.code == 0 and 0 < len(shown.out.splitlines()) <= 3
        process = Going("logs", "-f", "-n", "1", "--data", bridge.folder)
        process.until("two")
        bridge.config.write_text(printer("three", "virtual://three"))
        assert run("reload", "--data", bridge.folder).code == 0
        process.until("three")
        assert process.interrupt().code == 130
    assert run("logs", "--data", bridge.folder).code == 0  # the serve need not run


def test_logs_without_a_log_say_where_to_look(tmp_path: Path) -> None:
    for words in ((), ("-f",)):
        done = run("logs", *words, "--data", tmp_path)
        assert done.code == 1 and "log" in done.err
    for words in (("-n", "-1"), ("-n", "x"), ("extra",)):
        assert run("logs", *words, "--data", tmp_path).code == 2


def test_what_serve_writes_is_its_owners_alone(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        for path in (bridge.folder, *bridge.folder.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path
