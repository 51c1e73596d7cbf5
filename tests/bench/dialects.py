"""Making jobs in each cloud's words beside Cloudlinker's: 1,000 small labels each, one keep-alive connection, one run.

The printer is paused, so that only taking a job in is measured: reading, checking, and the commit that makes it
durable. The clouds take turns, because a noisy machine is noisy for all of them.
"""

from __future__ import annotations

import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.table import show
from tests.serving import ROOT, Serve, b64, printer

JOBS, TURNS = 1000, 10
BAR = 0.7
"""The least rate, as a share of Cloudlinker's."""

ZPL = b64(b"^XA^FO20,20^A0N,30,30^FDPRINT BRIDGE BENCH^FS^XZ")


@dataclass(frozen=True)
class Way:
    """How one cloud's callers make a job."""

    path: str
    authorization: Callable[[Serve], str]
    body: Callable[[Serve, str], dict[str, Any]]


def _basic(user: str, password: str) -> str:
    return f"Basic {b64(f'{user}:{password}'.encode())}"


WAYS = {
    "cloudlinker": Way(
        "/api/jobs/create", lambda bridge: _basic(bridge.organization_id, bridge.key),
        lambda bridge, device: {
            "client_id": bridge.client_id, "device_id": device, "job_type": 1, "launch_immediately": True,
            "payload": {"document_base64": ZPL, "document_type": "zpl"},
        },
    ),
    "v1": Way(
        "/v1/jobs", lambda bridge: f"Bearer {bridge.key}",
        lambda bridge, device: {"printer": device, "document_base64": ZPL},
    ),
    "printcloud": Way(
        "/printcloud/api/printjobs", lambda bridge: _basic(bridge.key, ""),
        lambda bridge, device: {"printerId": device, "contentType": "raw_base64", "content": ZPL, "title": "label"},
    ),
    "olin": Way(
        "/olin/api/print-jobs", lambda bridge: f"Bearer {bridge.key}",
        lambda bridge, device: {"printer_id": device, "file_base64": ZPL, "file_name": "label.zpl"},
    ),
}  # fmt: skip


def main() -> None:
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        with Serve(Path(folder) / "data", printer("dock", "virtual://dock")) as bridge:
            assert bridge.call("POST", "/v1/printers/dock/pause", {}).status == 200
            took = measured(bridge, bridge.device("dock"))
            made = bridge.total()
    assert made == (JOBS + JOBS // TURNS) * len(WAYS), made
    base = statistics.median(took["cloudlinker"])
    rows = []
    for name, seconds in took.items():
        ratio = base / statistics.median(seconds)
        rows.append(
            (name, round(JOBS / TURNS / statistics.median(seconds)), ratio, "" if ratio >= BAR else "below the bar")
        )
    show(f"{JOBS:,} jobs in each cloud's words (bar: {BAR} x Cloudlinker's rate)", ("", "jobs/s", "x", ""), rows)


def measured(bridge: Serve, device: str) -> dict[str, list[float]]:
    """Seconds of each turn; the first of each, which warms things up, is left out."""
    line = http.client.HTTPConnection("127.0.0.1", bridge.port, timeout=60)
    took: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(TURNS + 1):
        for name, way in WAYS.items():
            body = json.dumps(way.body(bridge, device)).encode()
            headers = {"Authorization": way.authorization(bridge), "Content-Type": "application/json"}
            began = time.monotonic()
            for _ in range(JOBS // TURNS):
                line.request("POST", way.path, body, headers)
                answer = line.getresponse()
                told = answer.read()
                assert answer.status in (200, 201), (name, answer.status, told)
            if turn:
                took[name].append(time.monotonic() - began)
    line.close()
    return took


if __name__ == "__main__":
    main()
