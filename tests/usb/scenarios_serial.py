"""A USB-serial adapter (QEMU's FTDI) unplugged and plugged in again, under our own serial transport.

What hangs at its other end says how many bytes it saw when it is asked (tests/usb/vm.py, serial_device).
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from contextlib import closing
from pathlib import Path

from devices import serialports, transports
from devices.contracts import Receipt, Settings
from devices.errors import PrinterUnreachable, SendInterrupted, SendStopped
from devices.serialline import Line, Mode
from tests.usb.gadget import until

PORT = "/dev/ttyUSB0"
URI = f"serial://{PORT}?baud=115200"
SETTINGS = Settings(stall_s=10.0)
JOB = b"^XA^FO20,20^A0N,30,30^FDPallet 000001^FS^XZ\n" * 2300  # 103,500 bytes
ASK = b"\x05STATUS\n"


def monitor(command: str, **arguments: object) -> None:
    """Have QEMU pull the adapter out, or push it in."""
    print("@@QMP " + json.dumps({"execute": command, "arguments": arguments}), flush=True)


def pull() -> None:
    monitor("device_del", id="ftdi0")


def push() -> None:
    monitor("device_add", driver="usb-serial", id="ftdi0", chardev="ftdi", **{"always-plugged": True})


def plugged() -> bool:
    return os.path.exists(PORT)


def ready() -> None:
    for module in ("xhci_pci", "ftdi_sio"):
        subprocess.run(["modprobe", module], check=False, capture_output=True)
    if not until(plugged, 3):
        push()
    assert until(plugged, 15), "the adapter has no port"


def send(data: bytes, options: str = "") -> Receipt:
    with closing(transports.open(URI + options, SETTINGS)) as line:
        line.write(data)
        return line.finish()


def seen(patience_s: float = 15.0) -> int:
    """Bytes that the far end saw since it was last asked."""
    said, deadline = b"", time.monotonic() + patience_s
    with closing(Line(PORT, Mode(115200))) as line:
        left = memoryview(ASK)
        while not said.endswith(b"\n"):
            assert time.monotonic() < deadline, f"no answer: {said!r}"
            left = left[line.offer(left) :] if left else left
            line.wait(0) if left else time.sleep(0.01)
            said += line.hear()
    return int(said.split()[-1])


def scenario_100_kB_over_an_ftdi_adapter_all_arrive() -> str:
    ready()
    seen()
    receipt = send(JOB)
    assert receipt.evidence == "drained"
    count = seen()
    assert count == len(JOB), count
    return receipt.text


def scenario_ftdi_flow_control_by_wires_lets_a_ready_printer_print() -> None:
    ready()
    seen()
    for flow in ("rtscts", "dsrdtr"):
        send(JOB[:4400], f"&flow={flow}")
        assert seen() == 4400, flow


def scenario_an_ftdi_adapter_is_listed_with_a_name_that_lasts() -> str:
    ready()
    assert until(lambda: any(port.by_id for port in serialports.ports())), serialports.ports()
    [port] = [port for port in serialports.ports() if port.device == PORT]
    assert (port.vid, port.pid) == (0x0403, 0x6001) and Path(port.path).resolve() == Path(PORT)
    transports.open(port.uri, SETTINGS).close()
    return f"{port.uri} ({port.description})"


def scenario_an_ftdi_adapter_pulled_out_in_mid_job_is_interrupted_with_its_count_and_goes_on_when_it_is_back() -> str:
    ready()
    seen()
    with closing(transports.open(URI, SETTINGS)) as line:
        threading.Timer(1.0, pull).start()
        try:
            while True:  # until the cable goes
                line.write(JOB)
        except SendInterrupted as error:
            cut = error
    assert cut.sent > 0 and "gone" in str(cut), cut
    assert until(lambda: not plugged())
    try:
        transports.open(URI, SETTINGS).close()
        raise AssertionError("a port that is not there was opened")
    except PrinterUnreachable as error:
        assert "is not there" in str(error), error
    push()
    assert until(plugged, 15)
    began = time.monotonic()
    send(JOB)
    after = time.monotonic() - began
    assert seen() >= len(JOB)
    return f"{cut}\nback: the next job was through {after:.2f} s after the port's name was"


def scenario_a_job_stopped_on_an_ftdi_adapter_never_prints_more_than_it_says() -> str:
    ready()
    seen()
    with closing(transports.open(URI, SETTINGS)) as line:
        try:
            line.write(JOB, lambda sent: sent < 20_000)
            raise AssertionError("it was not stopped")
        except SendStopped as error:
            stopped = error
    count = seen()
    assert count <= stopped.sent == line.sent, (count, stopped)
    return f"{count} bytes came out of at most {stopped.sent}"
