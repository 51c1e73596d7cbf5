"""A computer that prints for a bridge, as a vendor might write it: PrintCloud's WebSocket messages over a real socket.

It knows the jobs it had by their ids, also after it was cut off: on paper each comes once.
"""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.sync.client import ClientConnection, connect

CUT = 0.03  # probability, at each of five moments of a job
AWAY = (ConnectionClosed, InvalidHandshake, InvalidMessage, OSError, EOFError, TimeoutError)


class Till:
    """`with Till(...) as till:` connects, and connects again for ever. paper: (printer, document) as they came out.

    rng: when its network fails; None: never.
    """

    def __init__(
        self, url: Callable[[], str], key: str, name: str, printers: list[str], *, rng: random.Random | None = None
    ) -> None:
        self.url, self.key, self.name, self.printers = url, key, name, printers
        self.paper: list[tuple[str, bytes]] = []
        self.errors: list[str] = []
        self.cuts = 0
        self.connections = 0
        self.again = 0  # jobs that came a second time
        self._rng = rng
        self._known: dict[str, str] = {}
        self._spoken: set[str] = set()  # jobs of which it has told something
        self._begun: list[dict[str, Any]] = []  # jobs it has said it prints
        self._stopping = threading.Event()
        self._socket: ClientConnection | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Till:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        if (socket := self._socket) is not None:
            socket.close()
        self._thread.join(10)

    def heal(self) -> None:
        """From now on its network holds."""
        self._rng = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with connect(self.url(), max_size=None, open_timeout=60, close_timeout=1) as socket:
                    self._socket = socket
                    self._work(socket)
            except AWAY:
                self._stopping.wait(0.05)

    def _work(self, socket: ClientConnection) -> None:
        self._send(socket, type="auth", apiKey=self.key, computerName=self.name, os="Linux", clientVersion="1.0")
        answer = json.loads(socket.recv(timeout=60))
        assert answer["type"] == "auth_ok", answer
        self._send(socket, type="printers", printers=[{"name": name} for name in self.printers])
        self.connections += 1
        for job in list(self._begun):
            self._finish(job)
        for job_id, state in list(self._known.items())[-10:]:  # what may have been lost on its way
            if job_id in self._spoken:
                self._send(socket, type="job_state", jobId=job_id, state=state)
        while not self._stopping.is_set():
            message = json.loads(socket.recv())
            if message["type"] == "print_job":
                self._print(socket, message["job"])
            elif message["type"] == "error":
                self.errors.append(message["message"])

    def _print(self, socket: ClientConnection, job: dict[str, Any]) -> None:
        self._perhaps_cut(socket)
        if job["id"] in self._known:
            self.again += 1
        else:
            self._begun.append(job)
            self._known[job["id"]] = "printing"
            self._perhaps_cut(socket)
            self._spoken.add(job["id"])
            self._send(socket, type="job_state", jobId=job["id"], state="printing")
            self._perhaps_cut(socket)
            self._finish(job)
            self._perhaps_cut(socket)
        self._send(socket, type="job_state", jobId=job["id"], state=self._known[job["id"]], message="ok")
        self._perhaps_cut(socket)

    def _finish(self, job: dict[str, Any]) -> None:
        self.paper.append((job["printerName"], base64.b64decode(job["content"])))
        self._known[job["id"]] = "completed"
        self._begun.remove(job)

    def _perhaps_cut(self, socket: ClientConnection) -> None:
        if self._rng is not None and self._rng.random() < CUT:
            self.cuts += 1
            if self._rng.random() < 0.5:
                time.sleep(self._rng.random() * 0.02)
            socket.socket.close()
            raise OSError("the network is gone")

    def _send(self, socket: ClientConnection, **fields: Any) -> None:
        socket.send(json.dumps(fields))
