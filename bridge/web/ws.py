"""The WebSocket server: an event loop in a thread of its own, at ws://HOST:WS_PORT/ws.

Only programs come in. A web page's WebSocket is refused before it is opened, whatever key it has: everything pages may
do can be done over HTTP, where each request is judged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from contextlib import suppress
from functools import partial
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import MultipleValuesError
from websockets.http11 import Request, Response

from bridge.access.origins import HostRules, Kind, host_allowed, judge
from bridge.web.agents import Agents
from bridge.web.hall import GUESTS, Connection, Hall, as_connection
from bridge.web.sockets import bind, taken, url_of

log = logging.getLogger(__name__)

PATH = "/ws"
BACKLOG = 1024
INCOMING_MAX = 1024 * 1024  # bytes of one message; what we send is as large as it is
HANDSHAKE_S = 10.0
PING_S, PONG_S = 25.0, 30.0  # a peer that is gone is noticed within their sum
SEND_BUFFER = 128 * 1024  # bytes in the kernel: a ping must not wait behind megabytes on a slow line
FILES_MAX = 4096  # file descriptors to ask for
STOP_S = 5.0


class WsServer:
    """In the same steps as HttpServer: bind, serve, start, stop."""

    def __init__(self) -> None:
        self.port = 0
        self.urls: list[str] = []
        self._sockets: list[socket.socket] = []
        self._agents: Agents | None = None
        self._hosts: HostRules | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._stopping = False

    def bind(self, host: str | None, port: int) -> None:
        """Take the port without listening yet. host None: both loopback addresses. port 0: any free one.

        Raises OSError with a text that names the port.
        """
        self._sockets = bind(host, port, setting="ws_port")
        self.port = self._sockets[0].getsockname()[1]
        self.urls = [f"ws{url_of(opened).removeprefix('http')}{PATH}" for opened in self._sockets]

    def serve(self, agents: Agents, hosts: HostRules) -> None:
        """Who talks to those who connect, and by which names they may call us."""
        self._agents, self._hosts = agents, hosts

    def start(self) -> None:
        """Listen and answer. Raises OSError when somebody else began to listen here since bind."""
        for opened in self._sockets:
            try:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # connections inherit it
                opened.listen(BACKLOG)
                opened.setblocking(False)
            except OSError as error:
                raise taken(error, opened.getsockname()[0], self.port, setting="ws_port") from error
        self.revive()

    def is_alive(self) -> bool:
        """Whether somebody would answer."""
        return self._thread is not None and self._thread.is_alive()

    def revive(self) -> None:
        """A new loop, after the old one died: its connections are gone, and their computers come back."""
        if self._stopping or self.is_alive():
            return
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="ws", daemon=True)
        self._thread.start()
        self._ready.wait(STOP_S)

    def stop(self) -> None:
        """Close every connection (1001) and end. May be called twice."""
        self._stopping = True
        if self._loop is not None and self._stop is not None and self.is_alive():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(2 * STOP_S)
        for opened in self._sockets:
            opened.close()

    # -- the loop's own thread --

    def _run(self) -> None:
        # Its library would write a line for each connection, and a page for each one that was cut off.
        logging.getLogger("websockets").setLevel(logging.CRITICAL)
        assert self._agents is not None
        try:
            asyncio.run(self._main(self._agents))
        except Exception:
            log.exception("ws: the loop ended; computers wait until it is started again")
        finally:
            self._agents.end()

    async def _main(self, agents: Agents) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        agents.begin(self._loop)
        refusal = _error("not_a_websocket", "only WebSockets are served on this port", f"connect to {self.urls[0]}")
        files = _descriptors()
        hall = Hall(descriptors=files, not_a_websocket=_plain(HTTPStatus.UPGRADE_REQUIRED, refusal))
        if hall.guests_max < GUESTS:
            log.warning("ws: at most %d computers can connect, because this process may open only %d files;"
                        " LimitNOFILE= of its service, or ulimit -n, raises that", hall.guests_max, files)  # fmt: skip
        servers = [await self._serve(agents, hall, opened.dup()) for opened in self._sockets]
        ticking = asyncio.create_task(agents.tick())
        try:
            self._ready.set()
            await self._stop.wait()
            ticking.cancel()
            for server in servers:
                server.close()  # with 1001, "going away"
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await asyncio.gather(*(server.wait_closed() for server in servers))
        finally:
            for server in servers:
                server.server.close()  # its copy of the socket, also when the loop breaks

    async def _serve(self, agents: Agents, hall: Hall, opened: socket.socket) -> Server:
        async def converse(connection: ServerConnection) -> None:
            await agents.converse(connection, partial(hall.welcome, as_connection(connection)))

        # No compression: base64 gains little, and it would take memory of every connection and open the way for bombs.
        return await serve(
            converse, sock=opened, process_request=self._judge, compression=None, server_header=None,
            open_timeout=HANDSHAKE_S, ping_interval=PING_S, ping_timeout=PONG_S, close_timeout=2, max_queue=4,
            max_size=INCOMING_MAX, create_connection=partial(Connection, hall),  # type: ignore[arg-type]
        )  # fmt: skip

    def _judge(self, connection: ServerConnection, request: Request) -> Response | None:
        """Whether this request may become a WebSocket; None: yes."""
        assert self._hosts is not None
        headers = request.headers
        try:
            host, origin = headers.get("Host"), headers.get("Origin")
            site, mode, dest = (headers.get(f"Sec-Fetch-{name}") for name in ("Site", "Mode", "Dest"))
        except MultipleValuesError:
            return _refuse(connection, HTTPStatus.BAD_REQUEST, "bad_header", "a header is there twice", "send it once")
        if not host_allowed(host, self._hosts):
            return _refuse(
                connection, HTTPStatus.BAD_REQUEST, "bad_host",
                "the Host header names neither this machine nor a name it was given",
                f"connect to {self.urls[0]}, or add the name to [server] hosts",
            )  # fmt: skip
        visitor = judge(host=str(host), origin=origin, site=site, mode=mode, dest=dest)
        if visitor.kind not in (Kind.PROGRAM, Kind.OWN_PAGE) or (site, mode, dest) != (None, None, None):
            return _refuse(connection, HTTPStatus.FORBIDDEN, "origin_not_allowed", "web pages may not connect here",
                           "call /v1 over HTTP with a key that is bound to the page's origin")  # fmt: skip
        if headers.get_all("Upgrade") == []:
            refused = _refuse(connection, HTTPStatus.UPGRADE_REQUIRED, "not_a_websocket",
                              "only WebSockets are served on this port", f"connect to {self.urls[0]}")  # fmt: skip
            refused.headers["Upgrade"] = "websocket"
            return refused
        if request.path.partition("?")[0].rstrip("/") != PATH:
            return _refuse(connection, HTTPStatus.NOT_FOUND, "not_found", "there is nothing at this path",
                           f"connect to {self.urls[0]}")  # fmt: skip
        return None


def _refuse(connection: ServerConnection, status: HTTPStatus, code: str, text: str, remedy: str) -> Response:
    response = connection.respond(status, _error(code, text, remedy))
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response


def _error(code: str, text: str, remedy: str) -> str:
    return json.dumps({"error": {"code": code, "text": text, "remedy": remedy}})


def _plain(status: HTTPStatus, body: str) -> bytes:
    """A whole HTTP answer to what is not even the beginning of a handshake."""
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\nUpgrade: websocket\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    ).encode()


def _descriptors() -> int:
    """How many files and sockets this process may have open; more than by default, where that is allowed."""
    try:
        import resource
    except ImportError:  # Windows
        return FILES_MAX
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return FILES_MAX if soft == resource.RLIM_INFINITY else soft
