"""A printer other programs want too: who holds it, what a crash leaves behind, and lists that stand still."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from devices.usb import giveback, libusb, lookup, sysfs
from devices.usb.machine import HERE
from tests.usb.gadget import Printer, run, until
from tests.usb.scenarios_printing import JOB, LIBUSB, WAYS, cut_off, refused, send, uri

LP0 = Path("/dev/usb/lp0")
_OPEN_LP0 = "import time; node = open('/dev/usb/lp0', 'wb'); print('held', flush=True); time.sleep(60)"
_CLAIM = """
import time
from devices import transports
line = transports.open('usb://0a5f:0166/A1?driver=libusb')
print('held', flush=True)
time.sleep(60)
"""


@contextmanager
def program(code: str) -> Iterator[subprocess.Popen[str]]:
    """Another program that holds the printer."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def scenario_a_printer_another_program_has_open_names_that_program() -> str:
    said = []
    with Printer("A1") as printer:
        for code, ways in ((_OPEN_LP0, (WAYS[0],)), (_CLAIM, WAYS)):
            for way in ways:
                with program(code) as other:
                    said.append(refused(uri("A1", way)))
                    assert f"pid {other.pid}" in said[-1] and "python" in said[-1], said[-1]
        send(uri("A1"), JOB)
        assert printer.wait_for(len(JOB)) == JOB
    return "\n".join(said)


def scenario_the_device_id_is_read_while_another_program_prints() -> str:
    with Printer("A1"):
        [device] = lookup.printers(HERE)
        interface = device.printing
        assert interface is not None and until(lambda: sysfs.device_id(device, interface))
        known = sysfs.device_id(device, interface)
        with program(_CLAIM):
            opened = libusb.Opened(HERE.libusb(), device)
            asked = opened.device_id(interface)
            opened.close()
        assert known == asked and known.startswith("MFG:Rig;MDL:Label Printer"), (known, asked)
        return asked


def scenario_after_a_crash_usblp_gets_the_printer_back_at_the_next_start() -> None:
    with Printer("A1"):
        assert until(LP0.exists)
        with program(_CLAIM):
            assert not LP0.exists()
        time.sleep(0.2)
        assert not LP0.exists(), "the kernel does not give it back by itself"
        assert giveback.give_back() == [str(LP0)] and LP0.exists()
        assert giveback.give_back() == []


def scenario_after_a_crash_usblp_gets_the_printer_back_for_the_next_job() -> None:
    with Printer("A1") as printer:
        with program(_CLAIM):
            pass
        assert "usblp" in send(uri("A1"), JOB).text
        assert printer.wait_for(len(JOB)) == JOB


def scenario_a_printer_in_use_by_another_program_is_not_given_back() -> None:
    with Printer("A1"), program(_CLAIM):
        assert giveback.give_back() == []


def scenario_without_usblp_libusb_prints() -> None:
    blacklist = Path("/etc/modprobe.d/no-usblp.conf")
    blacklist.write_text("blacklist usblp\n")
    run("udevadm", "control", "--reload")
    run("modprobe", "-r", "usblp")
    try:
        with Printer("A1") as printer:
            assert "libusb" in send(uri("A1"), JOB).text
            assert printer.wait_for(len(JOB)) == JOB
            assert "modprobe usblp" in refused(uri("A1", "?driver=usblp"))
    finally:
        blacklist.unlink()
        run("udevadm", "control", "--reload")
        run("modprobe", "usblp")


def scenario_where_no_udevd_runs_libusbs_list_is_read_anew() -> None:
    run("udevadm", "control", "--exit")
    try:
        HERE.backend = None
        HERE.libusb()
        for serial in ("NEW1", "NEW2"):
            with Printer(serial) as printer:
                send(uri(serial, LIBUSB), JOB)
                assert printer.wait_for(len(JOB)) == JOB
    finally:
        run("/run/systemd-udevd", "--daemon")


def scenario_taking_the_printer_away_by_unbinding_it_is_a_cut() -> str:
    """What an administrator, or ipp-usb, does to a program that prints through usblp."""
    with Printer("A1", queue=2, reads=False) as printer:
        [device] = lookup.printers(HERE)
        from threading import Thread, Timer

        Thread(target=printer.gulp, args=(30_000,)).start()
        unbind = Path("/sys/bus/usb/drivers/usblp/unbind")
        Timer(0.6, lambda: unbind.write_text(f"{device.port}:1.0")).start()
        error = cut_off(uri("A1"))
        with suppress(OSError):
            giveback.give_back()
        return str(error)
