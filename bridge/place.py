"""Where this machine keeps a service's data. By itself, because every command asks and few need the configuration."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_data_folder() -> Path:
    """The data folder when nobody names another one."""
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "print-bridge"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/print-bridge"
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local/share") / "print-bridge"
