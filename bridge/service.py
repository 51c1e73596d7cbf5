"""print-bridge as a service of this machine: the systemd unit and the udev rule put in place, and shown to work.

Everything is a file of ours copied to where the system looks for it, then the system's own commands; nothing is
changed that `remove` does not take back. Data are never removed.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bridge.resources import units_folder

UNIT = "print-bridge.service"
RULES = "70-print-bridge.rules"
GROUPS = ("lp", "dialout")
STARTED_S = 30.0
"""Seconds a service gets to say that it is ready; opening a large database on a slow card takes some."""

_SHIPPED_PROGRAM = "/opt/print-bridge/bin/print-bridge"


T = TypeVar("T")


class CannotInstall(Exception):
    """The text says what is in the way and how to get round it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done or looked at. good: None for something that is only told."""

    good: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class System:
    """Where the system keeps its files, and how its commands are run. root: "/" but in tests."""

    root: Path = Path("/")

    @property
    def unit(self) -> Path:
        return self.root / "etc/systemd/system" / UNIT

    @property
    def rules(self) -> Path:
        return self.root / "etc/udev/rules.d" / RULES

    @property
    def data(self) -> Path:
        """What StateDirectory= makes of a service with a dynamic user."""
        return self.root / "var/lib/print-bridge"

    def run(self, *command: str) -> str:
        """What a command says. Raises CannotInstall with what it complained about."""
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except FileNotFoundError as error:
            raise CannotInstall(f"there is no {command[0]} on this machine; print-bridge runs as a service under "
                                "systemd only: start `print-bridge serve` by other means") from error  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise CannotInstall(f"`{' '.join(command)}` did not end within 120 s") from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
            raise CannotInstall(f"`{' '.join(command)}` failed: {said}")
        return done.stdout

    def has_systemd(self) -> bool:
        return (self.root / "run/systemd/system").is_dir()


def program() -> Path:
    """The print-bridge command of this very installation."""
    return Path(sys.executable).with_name("print-bridge")


def install(system: System, executable: Path) -> Iterator[Step]:
    """Put unit and rule in place, start the service, and show that it works. Raises CannotInstall."""
    _check(system, executable)
    for source, target, text in _files(system, executable):
        _put(target, text)
        yield Step(True, f"{target} is in place (from {source.name})")
    for group in GROUPS:
        yield _group(group)
    system.run("systemctl", "daemon-reload")
    if shutil.which("udevadm"):
        system.run("udevadm", "control", "--reload")
        system.run("udevadm", "trigger", "--subsystem-match=usb", "--subsystem-match=usbmisc")
        yield Step(True, "udev has read the rule; printers that are plugged in have it already")
    else:
        yield Step(False, "there is no udevadm: the rule takes effect at the next start of the machine")
    system.run("systemctl", "enable", UNIT)
    system.run("systemctl", "restart", UNIT)
    yield from prove(system)


def remove(system: System) -> Iterator[Step]:
    """Stop the service and take away what install put there. Raises CannotInstall."""
    _check_root(system)
    if system.unit.exists():
        system.run("systemctl", "disable", "--now", UNIT)
    for path in (system.unit, system.rules):
        there = path.exists()
        path.unlink(missing_ok=True)
        yield Step(True, f"{path} is removed" if there else f"{path} was not there")
    system.run("systemctl", "daemon-reload")
    if shutil.which("udevadm"):
        system.run("udevadm", "control", "--reload")
    if system.data.exists():
        yield Step(None, f"jobs, keys and configuration stay in {system.data}; remove it by hand if nobody needs them")


def status(system: System) -> Iterator[Step]:
    """What is in place and whether it runs. Changes nothing."""
    executable = program()
    for source, target, text in _files(system, executable):
        if not target.exists():
            yield Step(False, f"{target} is not there; run: sudo print-bridge service install")
        elif target.read_text("utf-8") != text:
            yield Step(False, f"{target} is not what this version ships ({source.name}); run: sudo print-bridge "
                              "service install")  # fmt: skip
        else:
            yield Step(True, f"{target} is in place")
    for group in GROUPS:
        yield _group(group)
    if not system.has_systemd():
        yield Step(False, "systemd does not run this machine: there is no service to look at")
        return
    yield from prove(system)


def prove(system: System) -> Iterator[Step]:
    """Does it run, and does it answer?"""
    state = _until(lambda: _state(system), lambda found: found.get("ActiveState") in ("active", "failed"))
    running = state.get("ActiveState") == "active"
    text = f"the service is {state.get('ActiveState', 'unknown')} ({state.get('SubState', '?')})"
    if running:
        yield Step(True, f"{text}, pid {state.get('MainPID')}, restarted {state.get('NRestarts', '0')} times")
    else:
        yield Step(False, f"{text}: {state.get('Result', '?')}; look at: journalctl -u print-bridge -n 50")
        return
    url = _url(system)
    said = _until(lambda: _hello(url), bool) if url else None
    if said:
        yield Step(True, f"it answers at {url}: version {said}")
    else:
        yield Step(False, f"nobody answers at {url or 'the address in its credentials.json'}; run: print-bridge doctor "
                          f"--data {system.data}")  # fmt: skip


# ---- before anything is changed -----------------------------------------------------------------------------------


def _check(system: System, executable: Path) -> None:
    _check_root(system)
    if not system.has_systemd():
        raise CannotInstall("systemd does not run this machine; start `print-bridge serve` by other means")
    if not executable.exists():
        raise CannotInstall(f"{executable} is not there; install print-bridge with pip first")
    if (closed := _closed_to_others(executable.resolve())) is not None:
        raise CannotInstall(
            f"the service runs as a user of its own, which cannot reach {executable} ({closed} is closed to it); "
            "install print-bridge where everybody can read it: python3 -m venv /opt/print-bridge && "
            "/opt/print-bridge/bin/pip install print-bridge"
        )


def _check_root(system: System) -> None:
    if system.root == Path("/") and hasattr(os, "geteuid") and os.geteuid() != 0:
        raise CannotInstall("only root may change services; run it with sudo")


def _closed_to_others(path: Path) -> Path | None:
    """The first folder on the way that another user cannot pass. The unit hides /home and /root (ProtectHome)."""
    for folder in reversed(path.parents):
        if folder in (Path("/home"), Path("/root")) or not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _group(name: str) -> Step:
    """The unit names these groups; systemd refuses to start a service with one that does not exist."""
    try:
        import grp

        grp.getgrnam(name)
    except (ImportError, KeyError):
        return Step(False, f"there is no group {name}, which the unit names; run: sudo groupadd --system {name}")
    return Step(True, f"the group {name} is there")


# ---- files --------------------------------------------------------------------------------------------------------


def _files(system: System, executable: Path) -> Iterator[tuple[Path, Path, str]]:
    """(where from, where to, content)."""
    unit, rules = units_folder() / UNIT, units_folder() / RULES
    yield unit, system.unit, unit.read_text("utf-8").replace(_SHIPPED_PROGRAM, str(executable))
    yield rules, system.rules, rules.read_text("utf-8")


def _put(target: Path, text: str) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    temporary.write_text(text, "utf-8")
    temporary.chmod(0o644)
    os.replace(temporary, target)


# ---- looking ------------------------------------------------------------------------------------------------------


def _state(system: System) -> dict[str, str]:
    wanted = "ActiveState,SubState,MainPID,NRestarts,Result"
    lines = system.run("systemctl", "show", UNIT, f"--property={wanted}").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _url(system: System) -> str | None:
    try:
        url = json.loads((system.data / "credentials.json").read_text("utf-8"))["url"]
    except (OSError, ValueError, KeyError):
        return None
    return url if isinstance(url, str) else None


def _hello(url: str) -> str | None:
    """The version that answers at `url`."""
    import http.client

    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port, timeout=5)
    try:
        connection.request("GET", "/v1/hello")
        answer = json.loads(connection.getresponse().read())
        return str(answer["version"])
    except (OSError, ValueError, KeyError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _until(look: Callable[[], T], enough: Callable[[T], bool]) -> T:
    deadline = time.monotonic() + STARTED_S
    while not enough(found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found
