"""The kill storm: serve is killed again and again under load; afterwards the paper is counted.

    python -m tests.storm [--kills 100] [--labels 2000] [--seed N]

lost = acknowledged, not on paper, and not listed as unconfirmed. twice = on paper more than once without a person's
word. Both must be 0. Every tenth label is a PDF whose number is drawn as black squares and read back from the dots.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devices.readers.zpl import read
from tests.fake.printer import FakePrinter
from tests.serving import Serve, b64, printer

CLIENTS = 4
BITS = 16
_RAW = re.compile(rb"\^FX label (\d+) ")


def raw_label(number: int) -> bytes:
    body = b"^XA^FX label %d ^FS" % number
    return body + b"^FO20,20^A0N,30,30^FDKILL STORM^FS" * 50 + b"^XZ"


def pdf_label(number: int) -> bytes:
    """A 4 x 6 inch page with BITS squares of 12 x 12 points: black where the number has a 1, after one start square."""
    squares = [0, *(i + 1 for i in range(BITS) if number >> i & 1)]
    content = b" ".join(b"%d 400 12 12 re f" % (10 + 15 * i) for i in squares)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 288 432] /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]
    out, offsets = b"%PDF-1.4\n", []
    for serial, each in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (serial, each)
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % o for o in offsets)
    return out + b"trailer << /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start


def number_on(paper: bytes) -> int | None:
    """Which label this is, whole or begun; None when not enough of it arrived to tell."""
    found = _RAW.search(paper)
    if found:
        return int(found[1])
    for label in read(paper):
        if label.bitmap is not None:
            page = label.bitmap
            y = round((432 - 406) / 72 * 203)

            def black(index: int) -> bool:
                x = round((16 + 15 * index) / 72 * 203)
                return bool(page.rows[y * page.stride + x // 8] >> (7 - x % 8) & 1)  # noqa: B023

            assert black(0), "the start square is missing"
            return sum(1 << i for i in range(BITS) if black(i + 1))
    return None


@dataclass
class Outcome:
    """What the paper and the bridge say after a storm."""

    kills: int = 0
    labels: int = 0
    states: Counter[str] = field(default_factory=Counter)
    lost: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.labels} labels acknowledged, {self.seconds:.0f} s: "
            f"{len(self.lost)} lost, {len(self.twice)} printed twice, "
            f"{self.states['unconfirmed']} unconfirmed (each named), {self.states['delivered']} delivered"
            + "".join(f"\n  {w}" for w in self.wrong)
        )


class Storm:
    """kills: at least so many; the load goes on until all labels are acknowledged."""

    def __init__(self, folder: Path, *, kills: int, labels: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.kills, self.labels = kills, labels
        self.numbers = itertools.count(1)
        self.jobs: dict[int, str] = {}
        self.lock = threading.Lock()
        self.pause = threading.Event()
        self.folder = folder

    def run(self) -> Outcome:
        began = time.monotonic()
        with FakePrinter(delay_close_s=0.005) as paper:
            serve = Serve(self.folder / "data", printer("dock", paper.uri))
            serve.start()
            self.device, self.serve = serve.device("dock"), serve
            threads = [threading.Thread(target=self._client, args=(n,)) for n in range(CLIENTS)]
            for thread in threads:
                thread.start()
            killed = self._kill_until_done(threads)
            jobs = self._settled(serve)
            outcome = self._judge(paper, jobs)
            assert serve.stop() == 0
        outcome.kills, outcome.seconds = killed, time.monotonic() - began
        return outcome

    def _kill_until_done(self, threads: list[threading.Thread]) -> int:
        killed = 0
        while killed < self.kills or any(t.is_alive() for t in threads):
            time.sleep(self.random.uniform(0.0, 0.7))
            if killed < self.kills:
                self.serve.kill()
                killed += 1
                self.serve.start()
        for thread in threads:
            thread.join()
        return killed

    def _client(self, me: int) -> None:
        """Posts labels one by one; each is repeated with its Idempotency-Key until it is acknowledged."""
        pace = random.Random(me)
        while (number := next(self.numbers)) <= self.labels:
            document = pdf_label(number) if number % 10 == 0 else raw_label(number)
            fields: dict[str, Any] = {
                "device_id": self.device, "client_id": self.serve.client_id, "job_type": 1, "launch_immediately": True,
                "payload": {"document_base64": b64(document)},
            }  # fmt: skip
            while (job_id := self._post(number, fields)) is None:
                time.sleep(0.02)
            with self.lock:
                self.jobs[number] = job_id
            time.sleep(pace.uniform(0, 2.2 * self.kills / self.labels * CLIENTS))

    def _post(self, number: int, fields: dict[str, Any]) -> str | None:
        try:
            answer = self.serve.call("POST", "/api/jobs/create", fields, {"Idempotency-Key": f"label-{number}"})
        except (OSError, http.client.HTTPException):
            return None  # killed while we asked: was it accepted? The key makes it safe to ask again
        assert answer.status == 200, answer
        job_id: str = answer.json["data"]["id"]
        return job_id

    def _settled(self, serve: Serve) -> dict[str, Any]:
        """Every job, once nothing moves any more."""
        deadline = time.monotonic() + 120
        while True:
            found: dict[str, Any] = {}
            for offset in range(0, self.labels + 500, 500):
                page = serve.call("GET", f"/v1/jobs?limit=500&offset={offset}").json["jobs"]
                found |= {job["id"]: job for job in page}
            if all(job["state"] not in ("queued", "preparing", "sending") for job in found.values()):
                return found
            assert time.monotonic() < deadline, Counter(job["state"] for job in found.values())
            time.sleep(0.2)

    def _judge(self, paper: FakePrinter, jobs: dict[str, Any]) -> Outcome:
        printed = Counter(number_on(data) for data in paper.jobs)
        begun = Counter(number_on(data) for data in paper.unfinished if data)
        outcome = Outcome(labels=len(self.jobs), states=Counter(job["state"] for job in jobs.values()))
        for number, job_id in self.jobs.items():
            job, times = jobs[job_id], printed[number] + begun[number]
            if times > 1:
                outcome.twice.append(number)
            if job["state"] == "unconfirmed":
                if "may have printed" not in job["text"]:
                    outcome.wrong.append(f"label {number}: the doubt is not named: {job['text']}")
            elif job["state"] != "delivered":
                outcome.wrong.append(f"label {number}: {job['state']}: {job['text']}")
            elif printed[number] == 0:
                outcome.lost.append(number)
        if len(jobs) != len(self.jobs):
            outcome.wrong.append(f"{len(jobs)} jobs for {len(self.jobs)} labels")
        return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--labels", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(Path(folder), kills=options.kills, labels=options.labels, seed=options.seed)
        outcome = storm.run()
    print(outcome)
    sys.exit(1 if outcome.lost or outcome.twice or outcome.wrong else 0)


if __name__ == "__main__":
    main()
