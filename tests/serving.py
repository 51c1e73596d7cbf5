"""A real `print-bridge serve` in a real process, and a plain HTTP client to talk to it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
REST_S = 10  # after which a connection is not relied on: the bridge hangs up after thirty seconds of silence


def kept(port: int = 0) -> socket.socket:
    """A socket that keeps a port of 127.0.0.1, 0: any free one, for us: bound, and not listening.

    Callers are refused, and nobody else is given it by chance; who is told of it may listen there, with SO_REUSEADDR.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        keeper.bind(("127.0.0.1", port))
    except OSError:
        keeper.close()
        raise
    return keeper


def free_port() -> int:
    """A port on which nobody listens by chance for as long as the tests run."""
    keeper = kept()
    port: int = keeper.getsockname()[1]
    keeper.detach()
    return port


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
    """`with Serve(folder, config_text) as bridge:` starts it and waits until it listens; leaving it is a SIGTERM.

    Started again it has the port it had: nobody else gets it meanwhile.
    """

    def __init__(self, folder: Path, config: str = "", *, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self.config = folder.parent / f"{folder.name}.toml"
        self.config.write_text(config)
        self.process: subprocess.Popen[str] | None = None
        self._keeper: socket.socket | None = None
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
        if self._keeper is not None:
            self._keeper.close()
        credentials = json.loads((self.folder / "credentials.json").read_text())
        self.organization_id, self.key = credentials["organization_id"], credentials["api_key"]
        self.client_id, self.url = credentials["client_id"], credentials["url"]

    def kill(self) -> None:
        """SIGKILL: what a power cut does to a process."""
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._keep_port()
        self.process.stdout.close()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None and self.process.stdout is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._keep_port()
        self.process.stdout.close()
        return code

    def _keep_port(self) -> None:
        self._keeper = kept(self.port)
        weakref.finalize(self, self._keeper.close)

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

    def wait(self, job_id: str, *states: str, timeout: float = 90) -> Any:
        """The job once it is in one of these states (default: any in which nothing more happens by itself).

        timeout: seconds; a printer that was away for long is tried again once a minute.
        """
        wanted = states or ("delivered", "printed", "failed", "cancelled", "unconfirmed", "expired")
        deadline = time.monotonic() + timeout
        while (job := self.job(job_id))["state"] not in wanted:
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job


class Caller:
    """One HTTP/1.1 connection, kept open for as long as the bridge would keep it."""

    def __init__(self, host: str, port: int, organization_id: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        self._last = time.monotonic()
        token = base64.b64encode(f"{organization_id}:{key}".encode()).decode()
        self.authorization = f"Basic {token}"

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if time.monotonic() - self._last > REST_S:
            self._connection.close()  # the next request opens it again
        self._connection.request(
            method, path, data,
            {"Authorization": self.authorization, "Content-Type": "application/json", **(headers or {})},
        )  # fmt: skip
        answer = self._connection.getresponse()
        told = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        self._last = time.monotonic()
        return told

    def close(self) -> None:
        self._connection.close()


def printer(name: str, uri: str, **keys: Any) -> str:
    """One [[printers]] section."""
    lines = [f'name = "{name}"', f'uri = "{uri}"', *(f"{k} = {json.dumps(v)}" for k, v in keys.items())]
    return "[[printers]]\n" + "\n".join(lines) + "\n"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
