"""What a user lacks to open a printer's node, as a command to paste."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from devices.usb.sysfs import Device

FRESH_S = 2.0  # udev gives a new node to its group within this time


def remedy(node: Path, device: Device) -> str:
    """The command that gives us `node`."""
    try:
        about = node.stat()
    except OSError:
        return f"ls -l {node}"
    group = _group(about.st_gid)
    if about.st_gid != 0 and about.st_mode & stat.S_IWGRP:
        return (
            f"the group {group} may: sudo usermod -aG {group} {_user()}, then log in again or restart the service "
            f"(in a systemd unit: SupplementaryGroups={group})"
        )
    return f"no group may; add a rule: {rule_command(device)}"


def rule_command(device: Device) -> str:
    """One line that writes the udev rule for a device Debian's own rules do not know as a printer, and applies it."""
    rule = (
        f'SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ATTR{{idVendor}}=="{device.vendor:04x}", '
        f'ATTR{{idProduct}}=="{device.product:04x}", GROUP="lp", MODE="0660", TAG+="uaccess"'
    )
    return (
        f"echo '{rule}' | sudo tee /etc/udev/rules.d/71-printer-{device.vendor:04x}-{device.product:04x}.rules && "
        "sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=usb"
    )


def just_appeared(node: Path) -> bool:
    """True while udev may still be about to hand the node to its group."""
    try:
        return time.time() - node.stat().st_ctime < FRESH_S
    except OSError:
        return True


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "$(id -un)"
