"""schemathesis against a real bridge: `python -m tests.fuzz_dialects --dialect printcloud|olin [--examples N]`.

Every route of that dialect with a key that may do everything, from the OpenAPI document that the bridge itself serves.
Needs the extra `fuzz`. Ends with 0 when no answer was a 5xx, none differed from the document, and the bridge still
lives.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.access.keys import digest
from tests.fuzz_v1 import CHECKS
from tests.serving import Caller, Serve, b64, printer

KEY = "pb_" + "f" * 64
"""A key of the configuration may do as much as the first-run one, but the fuzzer cannot revoke it."""

CONFIG = (
    f'[server]\nregistration = true\n[[keys]]\nname = "fuzz"\nkey_sha256 = "{digest(KEY)}"\nscopes = ["admin"]\n'
    + printer("virtual", "virtual://virtual") + printer("spare", "virtual://spare", dpi=300)
)  # fmt: skip
ZPL = b64(b"^XA^FDhello^FS^XZ")


@dataclass(frozen=True)
class Cloud:
    """mount: of the API. shown: the header that carries the key. known: words of paths -> what there is to name."""

    mount: str
    shown: str
    known: Callable[[Call], dict[str, Any]]


Call = Callable[[str, str, Any], Any]


def _printcloud(call: Call) -> dict[str, Any]:
    """A job, a computer that prints, its key and its webhook."""
    computer = call("POST", "/api/clients/create", {"hostname": "till"})["data"]["id"]
    device = call("POST", "/api/devices/create", {"client_id": computer, "name": "counter", "device_type": 1})
    wish = {"printerId": device["data"]["id"], "contentType": "raw_base64", "content": ZPL}
    hook = {"url": "http://127.0.0.1:9/hook", "events": ["all"]}
    return {
        "path.job_id": call("POST", "/printcloud/api/printjobs", wish), "path.computer_id": computer,
        "path.computer_ids": computer, "query.client_id": computer,
        "path.webhook_ids": call("POST", "/printcloud/api/webhooks", hook)["id"],
        "path.key_id": call("POST", "/printcloud/api/account/apikeys", {"description": "fuzz"})["id"],
    }  # fmt: skip


def _olin(call: Call) -> dict[str, Any]:
    """A printer of another computer, and a job that waits for it."""
    seen = {"printer_id": "abc123", "name": "counter", "computer_name": "till"}
    call("POST", "/olin/api/printers/sync", {"printers": [seen]})
    wish = {"file_base64": ZPL, "file_name": "a.zpl", "printer_name": "counter"}
    job = call("POST", "/olin/api/print-jobs", wish)["data"]["print_job"]
    return {"path.job_id": str(job["id"]), "path.printer": str(job["printer_id"]), "query.computer_name": "till"}


CLOUDS = {
    "printcloud": Cloud("/printcloud/api", f"Basic {b64(f'{KEY}:'.encode())}", _printcloud),
    "olin": Cloud("/olin/api", f"Bearer {KEY}", _olin),
}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--dialect", choices=CLOUDS, required=True)
    options.add_argument("--examples", type=int, default=50, help="for each operation and phase (default 50)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        with Serve(Path(folder) / "data", CONFIG) as bridge:
            code = fuzz(bridge, given, Path(folder))
            alive, jobs = (bridge.call("GET", f"/v1/{path}") for path in ("health", "jobs?limit=1"))
            broken = bridge.log.read_text().count("Traceback")
            print(f"afterwards: GET /v1/health {alive.status} {alive.json['status']}, {jobs.json['total']} jobs,"
                  f" {broken} tracebacks in the log")  # fmt: skip
            if broken:
                print(bridge.log.read_text()[-5000:])
    return 1 if code or alive.status != 200 or broken else 0


def fuzz(bridge: Serve, given: argparse.Namespace, folder: Path) -> int:
    """Run schemathesis with ids out of the air, with some that exist, and deleting those. Its worst exit code."""
    cloud = CLOUDS[given.dialect]
    code = _run(bridge, given, folder)
    ids = cloud.known(lambda *call: _done(bridge, cloud, *call))
    known = folder / "known.toml"
    known.write_text("[parameters]\n" + "".join(f'"{word}" = "{own}"\n' for word, own in ids.items()))
    for which in ("--exclude-method", "--include-method"):
        code = max(code, _run(bridge, given, folder, which, "DELETE", config=known))
    return code


def _done(bridge: Serve, cloud: Cloud, method: str, path: str, body: Any) -> Any:
    caller = Caller("127.0.0.1", bridge.port, bridge.organization_id, KEY)
    shown = {"Authorization": cloud.shown} if path.startswith(cloud.mount) else {}
    try:
        answer = caller.call(method, path, body, shown)
    finally:
        caller.close()
    assert answer.status in (200, 201), (path, answer)
    return answer.json


def _run(bridge: Serve, given: argparse.Namespace, folder: Path, *more: str, config: Path | None = None) -> int:
    cloud = CLOUDS[given.dialect]
    before = ["--config-file", str(config)] if config else []
    command = [
        str(Path(sys.executable).with_name("schemathesis")), *before,
        "run", f"http://127.0.0.1:{bridge.port}{cloud.mount}/openapi.json", *more,
        "--header", f"Authorization: {cloud.shown}", "--checks", ",".join(CHECKS), "--phases", given.phases,
        "--max-examples", str(given.examples), "--seed", str(given.seed), "--generation-database", "none", "--no-color",
        "--request-timeout", "40", "--continue-on-failure", "--max-response-time", "35",
    ]  # fmt: skip
    print(" ".join(command[:7]), "...", flush=True)
    return subprocess.run(command, cwd=folder).returncode  # it leaves a folder of its own where it runs


if __name__ == "__main__":
    raise SystemExit(main())
