"""Files that belong to the program: templates, udev rules. In a checkout they lie at its top, in a wheel inside."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def templates_folder() -> Path:
    """The folder with labels/, receipts/ and web/."""
    shipped = _PACKAGE / "shipped" / "templates"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "templates"


def units_folder() -> Path:
    """The folder with the systemd unit and the udev rule."""
    shipped = _PACKAGE / "shipped" / "udev"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "udev"
