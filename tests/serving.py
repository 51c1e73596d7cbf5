"""A real `print-bridge serve` in a real process, and a plain HTTP client to talk to it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        assert self.headers.get("content-type") == "application/json", (self.status, self.headers, self.data[:300])
        return json.loads(self.data)


class Serve:
    """`with Serve(folder, config_text) as bridge:` starts it and waits until it listens; leaving it is a SIGTERM."""

    def __init__(self, folder: Path, config: str = "", *, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.config = folder.parent / f"{folder.name}.toml"
        self.config.write_text(config)
        self.process: subprocess.Popen[str] | None = None
        self.log = folder.parent / f"{folder.name}.log"

    def __enter__(self) -> Serve:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process is not None and self.process.poll() is None:
            assert self.stop() == 0, self.log.read_text()[-3000:]

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "serve", "--data", str(self.folder), "--config", str(self.config),
                 "--port", str(self.port)],
                stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
                env={**os.environ, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on http://"), (line, self.log.read_text()[-3000:])
        self.port = int(line.rsplit(":", 1)[1])
        credentials = json.loads((self.folder / "credentials.json").read_text())
        self.organization_id, self.key = credentials["organization_id"], credentials["api_key"]
        self.client_id, self.url = credentials["client_id"], credentials["url"]

    def kill(self) -> None:
        """SIGKILL: what a power cut does to a process."""
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def caller(self) -> Caller:
        """A keep-alive connection of its own."""
        return Caller("127.0.0.1", self.port, self.organization_id, self.key)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own, with the first-run key."""
        caller = self.caller()
        try:
            return caller.call(method, path, body, headers)
        finally:
            caller.close()

    def api(self, path: str, **fields: Any) -> Any:
        """One Cloudlinker call; the answer's JSON. Fails the test when it is not a 200."""
        answer = self.call("POST", f"/api/{path}", fields)
        assert answer.status == 200, (path, answer)
        return answer.json

    def device(self, name: str) -> str:
        """The id of a printer."""
        found = self.api("devices/list", name=name)["data"]
        assert len(found) == 1, found
        device_id: str = found[0]["id"]
        return device_id

    def post(self, printer: str, payload: Any, *, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        """A Cloudlinker job for a printer of ours, launched unless `fields` say otherwise."""
        named = {"device_id": self.device(printer), "client_id": self.client_id, "job_type": 1}
        body = {**named, "launch_immediately": True, "payload": payload, **fields}
        return self.call("POST", "/api/jobs/create", body, headers)

    def send(self, printer: str, payload: Any, **fields: Any) -> str:
        """The same, for a job that must be taken; its id."""
        answer = self.post(printer, payload, **fields)
        assert answer.status == 200, answer
        job_id: str = answer.json["data"]["id"]
        return job_id

    def status(self, job_id: str) -> int:
        """Cloudlinker's number for how a job stands."""
        number: int = self.api("jobs/get", job_id=job_id)["data"]["status"]
        return number

    def total(self) -> int:
        """Jobs there are, in whatever state."""
        count: int = self.api("jobs/list")["meta"]["total"]
        return count

    def job(self, job_id: str) -> Any:
        """A job as our own API tells it."""
        return self.call("GET", f"/v1/jobs/{job_id}").json

    def wait(self, job_id: str, *states: str, timeout: float = 30) -> Any:
        """The job once it is in one of these states (default: any in which nothing more happens by itself)."""
        wanted = states or ("delivered", "printed", "failed", "cancelled", "unconfirmed", "expired")
        deadline = time.monotonic() + timeout
        while (job := self.job(job_id))["state"] not in wanted:
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job


class Caller:
    """One HTTP/1.1 connection, kept open."""

    def __init__(self, host: str, port: int, organization_id: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        token = base64.b64encode(f"{organization_id}:{key}".encode()).decode()
        self.authorization = f"Basic {token}"

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(
            method, path, data,
            {"Authorization": self.authorization, "Content-Type": "application/json", **(headers or {})},
        )  # fmt: skip
        answer = self._connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def close(self) -> None:
        self._connection.close()


def printer(name: str, uri: str, **keys: Any) -> str:
    """One [[printers]] section."""
    lines = [f'name = "{name}"', f'uri = "{uri}"', *(f"{k} = {json.dumps(v)}" for k, v in keys.items())]
    return "[[printers]]\n" + "\n".join(lines) + "\n"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
