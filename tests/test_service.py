"""The service commands: what they put where, and what they say where there is no systemd to put anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import service
from bridge.service import CannotInstall, System
from tests.serving import ROOT


class Recorded(System):
    """A system in a folder. Its commands are written down, and answered as a healthy systemd would."""

    said: list[tuple[str, ...]] = []

    def run(self, *command: str) -> str:
        self.said.append(command)
        return "ActiveState=active\nSubState=running\nMainPID=7\nNRestarts=0\n" if command[1] == "show" else ""


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setattr(Recorded, "said", [])
    monkeypatch.setattr(service, "STARTED_S", 0.1)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    return Recorded(tmp_path)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    os.chmod(tmp_path, 0o755)
    path = tmp_path / "bin/print-bridge"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    return path


def closed_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_closed_to_others", lambda path: None)  # pytest's own folders are closed


def test_install_puts_unit_and_rule_in_place_and_remove_takes_them_back(
    system: Recorded, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_nowhere(monkeypatch)
    steps = list(service.install(system, program))
    assert f"ExecStart={program} serve --data %S/print-bridge\n" in system.unit.read_text()
    assert system.rules.read_text() == (ROOT / "udev" / service.RULES).read_text()
    assert ("systemctl", "enable", service.UNIT) in system.said and ("systemctl", "daemon-reload") in system.said
    assert any("the service is active (running), pid 7" in step.text for step in steps)
    assert steps[-1].good is False and "nobody answers" in steps[-1].text, "nothing answers here, and it is said"
    list(service.remove(system))
    assert not system.unit.exists() and not system.rules.exists()
    assert ("systemctl", "disable", "--now", service.UNIT) in system.said


def test_status_says_what_is_missing_and_what_was_changed(
    system: Recorded, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_nowhere(monkeypatch)
    assert any("is not there; run: sudo print-bridge service install" in s.text for s in service.status(system))
    list(service.install(system, program))
    system.rules.write_text("MODE=0666\n")
    assert any("is not what this version ships" in step.text for step in service.status(system))


def test_a_program_the_services_user_cannot_reach_is_refused(system: Recorded) -> None:
    hidden = Path.home() / "x"
    if not str(hidden).startswith(("/root", "/home")):
        pytest.skip("this machine's home folders lie elsewhere")
    assert service._closed_to_others(hidden) in (Path("/root"), Path("/home"))


def test_a_machine_without_systemd_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match="systemd does not run this machine"):
        list(service.install(System(tmp_path), Path(sys.executable)))


def test_a_command_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(CannotInstall, match="failed: .*No such file"):
        System(tmp_path).run("ls", "/nowhere/at/all")
    with pytest.raises(CannotInstall, match="there is no no-such-command"):
        System(tmp_path).run("no-such-command")


def test_the_commands_end_with_a_text_and_a_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "service", "status"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "print-bridge service install" in done.stdout or "systemd does not run" in done.stdout
