"""schemathesis against a real bridge: `python -m tests.fuzz_v1 [--examples N] [--seed N]`; needs the extra `fuzz`.

Every route of /v1 with a key that may do everything, from the OpenAPI document that the bridge itself serves. Ends
with 0 when no answer was a 5xx, none differed from the document, and the bridge still lives.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bridge.access.keys import digest
from tests.serving import Caller, Serve, b64, printer

CHECKS = (
    # No 5xx; only documented statuses, media types, headers, members; no key, no answer; no method that is not there.
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "ignored_auth", "unsupported_method", "use_after_free",
    # Not negative_data_rejection: numbers may come as text, because forms and query strings have nothing else.
    # Not positive_data_acceptance: a schema cannot say that a printer of this name exists.
)  # fmt: skip
NOT_FUZZED = r"/events/stream$"
"""It never ends; tests/bridge/test_feed.py is its fuzz."""

KEY = "pb_" + "f" * 64
"""A key of the configuration may do as much as the first-run one, but the fuzzer cannot revoke it. It does find out."""

CONFIG = (
    f'[[keys]]\nname = "fuzz"\nkey_sha256 = "{digest(KEY)}"\nscopes = ["admin"]\n'
    + printer("virtual", "virtual://virtual") + printer("spare", "virtual://spare", dpi=300)
)  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--examples", type=int, default=100, help="for each operation and phase (default 100)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-v1-") as folder:
        with Serve(Path(folder) / "data", CONFIG) as bridge:
            code = fuzz(bridge, given, Path(folder))
            caller = Caller("127.0.0.1", bridge.port, bridge.organization_id, KEY)
            alive, jobs = (caller.call("GET", f"/v1/{path}") for path in ("health", "jobs?limit=1"))
            caller.close()
            broken = bridge.log.read_text().count("Traceback")
            print(f"afterwards: GET /v1/health {alive.status} {alive.json['status']}, {jobs.json['total']} jobs,"
                  f" {broken} tracebacks in the log")  # fmt: skip
            if broken:
                print("\n".join(line for line in bridge.log.read_text().splitlines() if "Traceback" in line)[:5000])
    return 1 if code or alive.status != 200 or broken else 0


def fuzz(bridge: Serve, given: argparse.Namespace, folder: Path) -> int:
    """Run schemathesis, twice: with ids out of the air, then with some that exist. Its worse exit code."""
    wish = {"printer": "spare", "document_base64": b64(b"^XA^FDhello^FS^XZ"), "hold": True}
    job = bridge.call("POST", "/v1/jobs", wish).json["id"]
    key = bridge.call("POST", "/v1/keys", {"name": "fuzz"}).json["id"]
    known = folder / "known.toml"
    known.write_text(f'[parameters]\n"path.printer" = "spare"\n"path.job_id" = "{job}"\n"path.key_id" = "{key}"\n')
    return max(_run(bridge, given, folder), _run(bridge, given, folder, "--config-file", str(known)))


def _run(bridge: Serve, given: argparse.Namespace, folder: Path, *before: str) -> int:
    command = [
        str(Path(sys.executable).with_name("schemathesis")), *before, "run", f"http://127.0.0.1:{bridge.port}/v1/openapi.json",
        # Both ways to show it, or the other one gets a value out of the air, and two different keys are none.
        "--header", f"Authorization: Bearer {KEY}", "--header", f"X-API-Key: {KEY}",
        "--checks", ",".join(CHECKS), "--phases", given.phases,
        "--max-examples", str(given.examples), "--seed", str(given.seed), "--exclude-path-regex", NOT_FUZZED,
        "--generation-database", "none", "--no-color", "--request-timeout", "40", "--continue-on-failure",
        "--max-response-time", "35",
    ]  # fmt: skip
    print(" ".join(command[:5]), "...", flush=True)
    return subprocess.run(command, cwd=folder).returncode  # it leaves a folder of its own where it runs


if __name__ == "__main__":
    raise SystemExit(main())
