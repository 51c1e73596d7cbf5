"""Boots the virtual machine of .ci/usb and says how its scenarios went: python -m tests.usb.vm CACHE [SCENARIO ...]

The guest sees this machine's files read-only and a folder /out of its own. It can ask for something at the machine
itself by printing "@@QMP {json}": a command for QEMU's monitor, such as pulling the serial adapter out.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600  # for everything, on a machine without KVM too
MEMORY_MB = 1536
CPU = "max,-arch-capabilities"  # nested virtualization refuses to set that register


def connected(path: Path) -> socket.socket:
    """A socket of QEMU's, which is there some ms after it starts."""
    for _ in range(200):
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(path))
            return line
        except OSError:
            line.close()
            time.sleep(0.05)
    raise TimeoutError(f"QEMU does not listen on {path}")


class Monitor:
    """QEMU's monitor (QMP)."""

    def __init__(self, path: Path) -> None:
        self._file = connected(path).makefile("rw")
        self._file.readline()
        self.command({"execute": "qmp_capabilities"})

    def command(self, command: dict[str, Any]) -> dict[str, Any]:
        self._file.write(json.dumps(command) + "\n")
        self._file.flush()
        while True:
            answer: dict[str, Any] = json.loads(self._file.readline())
            if "return" in answer or "error" in answer:
                return answer


def serial_device(path: Path) -> None:
    """What hangs at the serial adapter: after ENQ and "STATUS" it says how many bytes came before."""
    line, seen = connected(path), b""
    with suppress(OSError):
        while data := line.recv(65536):
            seen += data
            while b"\x05STATUS\n" in seen:
                before, _, seen = seen.partition(b"\x05STATUS\n")
                line.sendall(b"SEEN %d\n" % len(before))


def accelerator() -> str:
    """QEMU's own translation, which boots in 11 s and does the same everywhere. /dev/kvm proves nothing: where it is
    nested, as on many build machines, a guest may stop in its BIOS. PRINT_BRIDGE_VM_ACCEL=kvm is for those who know."""
    return os.environ.get("PRINT_BRIDGE_VM_ACCEL", "tcg")


def qemu(cache: Path, out: Path) -> list[str]:
    """The command line: no disk, no network, a keyboard, a serial adapter (FTDI), and two shared folders."""
    kernel = ["console=ttyS0", "quiet", "loglevel=3", "panic=-1", "oops=panic", "mitigations=off",
              f"bridge.cache={cache}", f"bridge.checkout={CHECKOUT}"]  # fmt: skip
    return [
        "qemu-system-x86_64", "-M", "q35", "-accel", accelerator(), "-cpu", CPU, "-m", str(MEMORY_MB), "-smp", "2",
        "-nographic", "-nodefaults", "-no-reboot", "-serial", "stdio",
        "-kernel", str(cache / "vmlinuz"), "-initrd", str(cache / "initramfs"), "-append", " ".join(kernel),
        "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
        "-fsdev", f"local,id=out,path={out},security_model=none",
        "-device", "virtio-9p-pci,fsdev=out,mount_tag=out",
        "-qmp", f"unix:{out}/qmp,server=on,wait=off",
        "-device", "qemu-xhci", "-device", "usb-kbd",
        "-chardev", f"socket,id=ftdi,path={out}/serial,server=on,wait=off",
        "-device", "usb-serial,id=ftdi0,chardev=ftdi,always-plugged=on",
    ]  # fmt: skip


def watch(machine: subprocess.Popen[bytes], out: Path) -> None:
    """Pass on what the guest says, and do what it asks for."""
    monitor: Monitor | None = None
    assert machine.stdout is not None
    with (out / "console.log").open("w") as log:
        for raw in machine.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            print(line, file=log, flush=True)
            if line.startswith("@@QMP "):
                monitor = monitor or Monitor(out / "qmp")
                print(monitor.command(json.loads(line[6:])), file=log, flush=True)
            else:
                print(line, flush=True)


def run(cache: Path, wanted: list[str]) -> int:
    """Boot, run, and the exit code of the scenarios; 125 when they did not come to an end."""
    began = time.monotonic()
    out = Path(tempfile.mkdtemp(prefix="usb-vm."))
    (out / "wanted").write_text(" ".join(wanted))
    print(f"== virtual machine ({accelerator()})", flush=True)
    machine = subprocess.Popen(
        qemu(cache, out), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    threading.Thread(target=serial_device, args=(out / "serial",), daemon=True).start()
    limit = threading.Timer(TIMEOUT_S, machine.kill)
    limit.start()
    try:
        watch(machine, out)
        machine.wait()
    finally:
        limit.cancel()
        machine.kill()
    ended = (out / "rc").exists()
    code = int((out / "rc").read_text()) if ended else 125
    if ended and code == 0:
        shutil.rmtree(out)
    else:
        print(f"the virtual machine's own words are in {out}/console.log", flush=True)
    print(f"== virtual machine: {'ok' if code == 0 else 'FAILED'} after {time.monotonic() - began:.0f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
