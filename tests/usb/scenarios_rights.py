"""Who may print: a service user in the group lp, nobody else, and what udev/70-print-bridge.rules adds."""

from __future__ import annotations

import grp
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from devices.usb import lookup
from devices.usb.machine import HERE
from tests.usb.gadget import Printer, run, until
from tests.usb.scenarios_printing import JOB, WAYS, uri

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
_PRINT = """
import sys
from contextlib import closing
from devices import transports
from devices.errors import DeviceError
try:
    with closing(transports.open(sys.argv[1])) as line:
        line.write(sys.stdin.buffer.read())
        print(line.finish().text)
except DeviceError as error:
    print(type(error).__name__, error)
"""


def as_nobody(address: str, groups: list[int]) -> str:
    """What a program of the user nobody says that prints JOB there."""
    for folder in ("/root", "/root/.pyenv"):  # in the layer in memory: lets nobody reach the interpreter
        if os.path.isdir(folder):
            os.chmod(folder, 0o755)
    done = subprocess.run(
        [sys.executable, "-c", _PRINT, address], input=JOB, capture_output=True, cwd=ROOT,
        user=NOBODY, group=NOBODY, extra_groups=groups,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode().strip()


def about(node: Path) -> str:
    """ "crw-rw---- lp" """
    info = node.stat()
    return f"{stat.filemode(info.st_mode)} {grp.getgrgid(info.st_gid).gr_name}"


def scenario_an_unprivileged_user_in_the_group_lp_prints() -> str:
    said = []
    lp = grp.getgrnam("lp").gr_gid
    for way in WAYS:
        with Printer("A1") as printer:
            said.append(as_nobody(uri("A1", way), [lp]))
            assert "took 102407 bytes" in said[-1], said[-1]
            assert printer.wait_for(len(JOB)) == JOB
    return "\n".join(said)


def scenario_a_user_without_that_group_is_told_the_command() -> str:
    said = []
    for way in WAYS:
        with Printer("A1"):
            run("udevadm", "settle")
            said.append(as_nobody(uri("A1", way), []))
            assert "PrinterUnreachable" in said[-1] and "sudo usermod -aG lp nobody" in said[-1], said[-1]
    return "\n".join(said)


def scenario_the_udev_rule_gives_printers_to_lp_and_to_the_seat_and_names_them() -> str:
    rules = Path("/etc/udev/rules.d")
    rules.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "udev/70-print-bridge.rules", rules)
    run("udevadm", "control", "--reload")
    try:
        with Printer("S/N 1"):
            run("udevadm", "settle")
            [device] = lookup.printers(HERE)
            node, lp = HERE.node(device), Path("/dev/usb/lp0")
            assert until(lp.exists)
            run("udevadm", "settle")
            assert about(node) == about(lp) == "crw-rw---- lp", (about(node), about(lp))
            named = {each.name: each.resolve() for each in Path("/dev/print-bridge").iterdir()}
            assert named == {"S_N_1": node}, named
            tags = subprocess.run(["udevadm", "info", "-q", "all", str(node)], capture_output=True, text=True).stdout
            assert "uaccess" in tags, tags
            return f"{about(node)} {node}; links: {', '.join(sorted(named))}"
    finally:
        (rules / "70-print-bridge.rules").unlink()
        run("udevadm", "control", "--reload")


def scenario_no_rule_of_ours_gives_a_printer_to_everybody() -> None:
    active = [line for line in (ROOT / "udev/70-print-bridge.rules").read_text().splitlines() if line[:1] not in "#"]
    assert active and all('MODE="0660"' in line for line in active if "MODE" in line)
