"""A real web server on loopback, as badly behaved as the test wants.

    with Web() as web:
        web.serve("/label.pdf", b"%PDF")
        web.drip("/slow", interval_s=0.1)
        ... web.url("/label.pdf") ... web.requests ...
"""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. path: with query. headers: names in lower case."""

    path: str
    headers: Mapping[str, str]


class Handler(BaseHTTPRequestHandler):
    """One connection; the route does all the talking."""

    server: _Server
    timeout = 10  # seconds; a client that connects and says nothing must not hold up the end of the test

    def do_GET(self) -> None:
        web = self.server.web
        web.requests.append(Request(self.path, {name.lower(): value for name, value in self.headers.items()}))
        web.routes.get(self.path.partition("?")[0], not_found)(self)

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole, honest answer."""
        self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def pause(self, seconds: float | None) -> None:
        """Wait, None: for ever; the end of the test breaks it off."""
        if self.server.web.closing.wait(seconds):
            raise ConnectionAbortedError("the test is over")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: web.requests is the log."""


Route = Callable[[Handler], None]


def not_found(handler: Handler) -> None:
    handler.answer(404, b"SECRET of the 404 page")


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close() waits for them, and no socket outlives the test
    web: Web

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what these tests are about."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class Web:
    """A threaded HTTP server on host:0. tls: a server-side context makes it https."""

    def __init__(self, host: str = "127.0.0.1", *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.routes: dict[str, Route] = {}
        self.closing = threading.Event()
        self._server = (_Server6 if ":" in host else _Server)((host, port), Handler)
        self._server.web = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host, self.port = host, self._server.server_address[1]
        self._origin = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.005,), name="fake-web")

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str) -> str:
        return self._origin + path

    # --- well behaved -----------------------------------------------------------------------------------------

    def serve(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.routes[path] = lambda handler: handler.answer(200, body, headers)

    def status(self, path: str, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.routes[path] = lambda handler: handler.answer(status, body, headers)

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        self.routes[path] = lambda handler: handler.answer(status, b"", {"Location": location})

    def failing(
        self, path: str, times: int, then: bytes, *, status: int = 503, headers: Mapping[str, str] | None = None
    ) -> None:
        """status for the first `times` requests, then the body."""
        left = iter(range(times))

        def route(handler: Handler) -> None:
            if next(left, None) is None:
                handler.answer(200, then)
            else:
                handler.answer(status, b"SECRET of the error page", headers)

        self.routes[path] = route

    # --- badly behaved ----------------------------------------------------------------------------------------

    def hang(self, path: str) -> None:
        """Take the request and never answer."""
        self.routes[path] = lambda handler: handler.pause(None)

    def drip(self, path: str, interval_s: float) -> None:
        """A body that comes one byte at a time and never ends."""

        def route(handler: Handler) -> None:
            handler.head(200, {})
            while True:
                handler.wfile.write(b".")
                handler.pause(interval_s)

        self.routes[path] = route

    def drip_head(self, path: str, interval_s: float) -> None:
        """A header line that comes one byte at a time and never ends."""

        def route(handler: Handler) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                handler.wfile.write(b".")
                handler.pause(interval_s)

        self.routes[path] = route

    def endless(self, path: str) -> None:
        """A body as fast as it goes, with no length and no end."""
        self.stream(path, {}, iter(lambda: bytes(65_536), None))

    def gzip_bomb(self, path: str, size: int) -> None:
        """size bytes of zeros as a gzip of a thousandth of that."""
        self.serve(path, bomb(size), {"Content-Encoding": "gzip"})

    def cut_short(self, path: str, body: bytes, announced: int) -> None:
        """Announce more bytes than come."""
        self.stream(path, {"Content-Length": str(announced)}, iter([body]))

    def stream(self, path: str, headers: Mapping[str, str], pieces: Iterator[bytes]) -> None:
        """The pieces as they are, the headers as they are; for one request."""

        def route(handler: Handler) -> None:
            handler.head(200, headers)
            for piece in pieces:
                handler.wfile.write(piece)

        self.routes[path] = route

    def raw(self, path: str, answer: bytes) -> None:
        """These bytes instead of an HTTP answer."""

        def route(handler: Handler) -> None:
            handler.wfile.write(answer)

        self.routes[path] = route


@lru_cache(maxsize=2)
def bomb(size: int) -> bytes:
    """A correct gzip of size zeros, made without ever holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    million = bytes(1_000_000)
    pieces = [packer.compress(million) for _ in range(size // 1_000_000)]
    return b"".join([*pieces, packer.compress(bytes(size % 1_000_000)), packer.flush()])


def packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)
