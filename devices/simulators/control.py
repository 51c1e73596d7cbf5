"""A door for programs that play the operator: one command a line over TCP, one line of JSON back."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from typing import Any

from devices.simulators.operator import Operator

_LONGEST = 1000  # bytes of a line


class ControlDoor:
    """Listens from start() on, on this computer only. Raises OSError when the port is taken."""

    def __init__(self, operator: Operator, port: int = 0) -> None:
        class Caller(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while line := self.rfile.readline(_LONGEST):
                    answer = operator.do(line.decode("utf-8", "replace"))
                    self.wfile.write(json.dumps(answer).encode() + b"\n")

        self._server = _Server(("127.0.0.1", port), Caller)
        self.port: int = self._server.server_address[1]

    def start(self) -> None:
        """Serve in threads of its own."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Close the door."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up in the middle of a line is no news."""


def told(port: int, command: str, timeout_s: float = 5.0) -> dict[str, Any]:
    """Tell the simulator behind a control door one command; its answer. Raises OSError."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as sock, sock.makefile("rwb") as line:
        line.write(command.encode() + b"\n")
        line.flush()
        answer: dict[str, Any] = json.loads(line.readline())
        return answer
