"""`printers find` with a USB printer, a serial adapter and an announced network printer; one command adds each."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fake.printer import FakePrinter
from tests.serving import ROOT, Serve
from tests.usb import scenarios_serial as adapter
from tests.usb.gadget import Printer

NAME = "Zebra ZT230-200dpi ZPL"
ID = "MFG:Zebra;MDL:ZTC ZD421-300dpi ZPL;CMD:ZPL;CLS:PRINTER;;;"


def scenario_printers_find_lists_all_three_kinds_and_one_command_adds_each() -> str:
    adapter.ready()
    with (
        tempfile.TemporaryDirectory() as folder,
        Printer("A1", device_id=ID) as usb,
        FakePrinter() as network,
        announced(network.port),
        Serve(Path(folder) / "data") as bridge,
    ):
        found = ours(bridge, "printers", "find", "--seconds", "4")
        commands = [line.strip() for line in found.splitlines() if line.strip().startswith("print-bridge printers add")]
        for part in ("usb://0a5f:0166/A1", "USB_SERIAL", f":{network.port}"):
            named = [each for each in commands if part in each]
            assert len(named) == 1, (part, found)
            command = named[0]
            name = shlex.split(command)[3]
            ours(bridge, *shlex.split(command)[1:])
            ours(bridge, "printers", "test", name)
        jobs = bridge.call("GET", "/v1/jobs").json["jobs"]
        ended = {job["printer"]: bridge.wait(job["id"], timeout=60)["state"] for job in jobs}
        assert set(ended.values()) == {"delivered"} and len(ended) == 3, ended
        assert usb.wait_for(1000, 20).startswith(b"^XA") and network.wait_for(1)[0].startswith(b"^XA")
        return "\n".join([*(line for line in found.splitlines() if line), f"test labels: {ended}"])


@contextmanager
def announced(port: int) -> Iterator[None]:
    """A network printer that says so by mDNS."""
    from zeroconf import ServiceInfo, Zeroconf

    kind = "_pdl-datastream._tcp.local."
    service = ServiceInfo(
        kind, f"{NAME}.{kind}", addresses=[socket.inet_aton("127.0.0.1")], port=port, properties={"ty": NAME},
        server="zt230.local.",
    )  # fmt: skip
    speaker = Zeroconf(interfaces=["127.0.0.1"])
    speaker.register_service(service)
    try:
        yield
    finally:
        speaker.close()


def ours(bridge: Serve, *words: str) -> str:
    """A command of ours, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *words, "--data", str(bridge.folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout
