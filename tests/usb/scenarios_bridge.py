"""The whole bridge with a USB printer: a label comes out, the printer is unplugged and plugged in, the next one too."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.serving import Serve, b64, printer
from tests.usb.gadget import Printer

LABEL = b"^XA^FO20,20^FDUSB^FS^XZ"


def scenario_print_bridge_serve_prints_and_goes_on_after_a_replug() -> str:
    with tempfile.TemporaryDirectory() as folder, Printer("A1") as gadget:
        with Serve(Path(folder) / "data", printer("dock", "usb://0a5f:0166/A1", status="off")) as bridge:
            _print(bridge, gadget)
            gadget.unplug()
            gadget.data.clear()
            job = _post(bridge)
            time.sleep(2.5)
            assert bridge.job(job)["state"] == "queued", bridge.job(job)
            gadget.plug()
            began = time.monotonic()
            assert gadget.wait_for(len(LABEL), 30) == LABEL
            back = time.monotonic() - began
            assert bridge.wait(job)["state"] == "delivered"
            return f"the waiting label came out {back:.2f} s after the printer's return"


def _post(bridge: Serve) -> str:
    return bridge.send("dock", {"document_type": "raw", "document_base64": b64(LABEL)})


def _print(bridge: Serve, gadget: Printer) -> None:
    ended = bridge.wait(_post(bridge))
    assert ended["state"] == "delivered", ended
    assert gadget.wait_for(len(LABEL)) == LABEL
