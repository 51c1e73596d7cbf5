"""Computers connected by WebSocket: what each costs in memory, and how long a job takes to one of 500, or to one of 1.

From the POST of a 2 kB job to the moment its computer has read the message; the computers are one process of their own,
which answers each job at once. Then how many are taken at all, and how fast a crowd comes back.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from tests.bench.table import show
from tests.serving import ROOT, Serve, b64

COUNTS = (1, 100, 500)
JOBS = 300  # for each count
LABEL = b64(b"^XA^FO20,20^FDlabel^FS^XZ" * 80)
AT_ONCE = 200  # computers that connect at the same time
ADDRESSES = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


# ---- the computers: a process of their own --------------------------------------------------------------------------


def crowd(url: str, key: str, count: int, addresses: tuple[str, ...], pipe: Any) -> None:
    asyncio.run(_crowd(url, key, count, addresses, pipe))


async def _crowd(url: str, key: str, count: int, addresses: tuple[str, ...], pipe: Any) -> None:
    """Says (computers that were taken, seconds until the last one was), then (title, time.monotonic()) of each job."""
    began, coming = time.monotonic(), asyncio.Semaphore(AT_ONCE)
    lines: list[Any] = []

    async def computer(number: int) -> None:
        async with coming:
            line = await connect(
                url, compression=None, local_addr=(addresses[number % len(addresses)], 0), open_timeout=60
            )
            hello = {"type": "auth", "apiKey": key, "computerName": f"pc-{number}", "clientVersion": "1"}
            await line.send(json.dumps(hello))
            if json.loads(await line.recv())["type"] == "auth_ok":
                await line.send(json.dumps({"type": "printers", "printers": [{"name": f"printer-{number}"}]}))
                await line.recv()
                lines.append(line)

    async def work(line: Any) -> None:
        async for message in line:
            now = time.monotonic()
            job = json.loads(message)["job"]
            await line.send(json.dumps({"type": "job_state", "jobId": job["id"], "state": "completed"}))
            pipe.send((job["title"], now))

    await asyncio.gather(*(computer(number) for number in range(count)))
    pipe.send((len(lines), time.monotonic() - began))
    await asyncio.gather(*(work(line) for line in lines))


@contextmanager
def connected(serve: Serve, count: int, addresses: tuple[str, ...] = ADDRESSES[:1]) -> Iterator[tuple[Any, int, float]]:
    """(the pipe, computers that were taken, seconds that took)."""
    url = serve.call("GET", "/v1/hello").json["ws"]
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=crowd, args=(url, serve.key, count, addresses, theirs), daemon=True)
    process.start()
    try:
        if not ours.poll(120):
            raise TimeoutError("the computers did not come")
        taken, seconds = ours.recv()
        yield ours, taken, seconds
    finally:
        process.kill()
        process.join()


# ---- measuring ------------------------------------------------------------------------------------------------------


def main() -> None:
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder, Serve(Path(folder) / "data") as serve:
        with connected(serve, 1) as (pipe, _, _):  # warm
            _round(serve, pipe, 1, 50)
        rows = [_measure(serve, count) for count in COUNTS]
        alone = rows[0]
        show(
            f"jobs handed to computers by WebSocket, {JOBS} for each line, one after the other",
            ("computers", "connected in s", "kB each", "p50 ms", "p95", "p50 / 1", "p95 / 1"),
            [(*row, row[3] / alone[3], row[4] / alone[4]) for row in rows],
        )
        show("how many are taken", ("asked for", "addresses", "taken", "in s"), [
            _limit(serve, 700, ADDRESSES[:1]), _limit(serve, 1100, ADDRESSES),
        ])  # fmt: skip


def _measure(serve: Serve, count: int) -> tuple[int, float, float, float, float]:
    before = _memory(serve)
    with connected(serve, count) as (pipe, taken, seconds):
        if taken != count:
            raise RuntimeError(f"{taken} of {count} computers were taken")
        each = (_memory(serve) - before) / count
        waits = _round(serve, pipe, count, JOBS)
    _until_gone(serve)
    return count, seconds, each, statistics.median(waits), statistics.quantiles(waits, n=20)[18]


def _round(serve: Serve, pipe: Any, count: int, jobs: int) -> list[float]:
    """Milliseconds from each POST to its computer."""
    devices = {device["name"]: device["id"] for device in _printers(serve)}
    rng, caller, waits = random.Random(1), serve.caller(), []
    for number in range(jobs):
        body = {
            "printer": devices[f"printer-{rng.randrange(count)}"],
            "title": f"job {number}",
            "document_base64": LABEL,
        }
        began = time.monotonic()
        answer = caller.call("POST", "/v1/jobs", body)
        if answer.status != 201 or not pipe.poll(20):
            raise RuntimeError(f"job {number}: {answer}")
        title, arrived = pipe.recv()
        if title != f"job {number}":
            raise RuntimeError(f"{title} came instead of job {number}")
        waits.append((arrived - began) * 1000)
    caller.close()
    return waits


def _limit(serve: Serve, count: int, addresses: tuple[str, ...]) -> tuple[int, int, int, float]:
    with connected(serve, count, addresses) as (_, taken, seconds):
        pass
    _until_gone(serve)
    return count, len(addresses), taken, seconds


def _printers(serve: Serve) -> list[Any]:
    found: list[Any] = []
    while True:
        page = serve.call("POST", "/api/devices/list", {"per_page": 100, "page": len(found) // 100 + 1}).json["data"]
        found += page
        if len(page) < 100:
            return found


def _until_gone(serve: Serve) -> None:
    """Every connection has ended, and that is written down."""
    after, here, deadline = 0, 0, time.monotonic() + 60
    while time.monotonic() < deadline:
        page = serve.call("GET", f"/v1/events?limit=500&after={after}").json
        if page["last"] == after:
            if here == 0:
                return
            time.sleep(0.2)
        here += sum(
            {"connected": 1, "disconnected": -1}.get(e["state"], 0) for e in page["events"] if e["kind"] == "client"
        )
        after = page["last"]


def _memory(serve: Serve) -> float:
    """kB of serve."""
    assert serve.process is not None
    status = Path(f"/proc/{serve.process.pid}/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0])
