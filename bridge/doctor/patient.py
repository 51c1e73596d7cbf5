"""What is known before the first look: the folder, its configuration, who holds it, and what its serve says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

from bridge.config import LAST_GOOD, Config, ConfigError, load
from bridge.doctor.processes import lock_holder
from bridge.place import default_data_folder
from bridge.remote import BadCredentials, NotRunning, Refused, Remote


@dataclass(frozen=True, slots=True)
class Patient:
    """config: the last good one when config_error is set, all defaults without any. holder: pid, 0 when unknown.

    health: what the serve says of itself, None when none answers; silence: why it does not. ask: serial printers may
    be asked at which speed they answer, which may print a few letters.
    """

    folder: Path
    config_file: Path | None
    config: Config
    config_error: str
    holder: int | None
    remote: Remote | None
    health: dict[str, Any] | None
    silence: str
    ask: bool = False

    def command(self, words: str) -> str:
        """A command of ours for this very folder."""
        where = "" if self.folder == default_data_folder() else f" --data {quote(str(self.folder))}"
        return f"print-bridge {words}{where}"

    def serve_command(self) -> str:
        """How the serve is started."""
        ours = self.config_file is None or self.config_file == self.folder / "config.toml"
        return self.command("serve") + ("" if ours else f" --config {quote(str(self.config_file))}")

    @property
    def edit(self) -> str:
        """The file in which a setting is changed."""
        return str(self.config_file or self.folder / "config.toml")

    @property
    def apply(self) -> str:
        """What makes a changed setting true."""
        return self.command("reload") if self.health is not None else self.serve_command()


def admit(folder: Path, config_path: Path | None, *, ask: bool = False) -> Patient:
    """Look the folder up and ask its serve, if one answers."""
    remote, health, silence = _ask(folder)
    file = _config_file(folder, config_path, health)
    config, error = _config(folder, file)
    return Patient(folder, file, config, error, lock_holder(folder / "lock"), remote, health, silence, ask)


def _ask(folder: Path) -> tuple[Remote | None, dict[str, Any] | None, str]:
    try:
        remote = Remote.of(folder)
        health = remote.call("GET", "/v1/health")
    except (NotRunning, BadCredentials, Refused) as error:
        return None, None, str(error)
    if not isinstance(health, dict):
        return None, None, "what answers there is no print-bridge"
    return remote, health, ""


def _config_file(folder: Path, given: Path | None, health: dict[str, Any] | None) -> Path | None:
    """The one that was given, else the one the serve reads, else the folder's own."""
    if given is not None:
        return given
    said = ((health or {}).get("config") or {}).get("file")
    if isinstance(said, str) and said:
        return Path(said)
    return folder / "config.toml" if os.path.exists(folder / "config.toml") else None


def _config(folder: Path, file: Path | None) -> tuple[Config, str]:
    """The configuration and "", or the best there is instead and why."""
    try:
        return load(file), ""
    except ConfigError as error:
        broken = str(error)
    try:
        return load(folder / LAST_GOOD), broken
    except ConfigError:
        return Config(), broken
