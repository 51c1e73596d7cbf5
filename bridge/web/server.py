"""The HTTP server: one Flask app with every dialect in it, behind waitress on sockets of our own."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from time import perf_counter

from flask import Blueprint, Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from bridge.access.keys import KeyRing
from bridge.access.origins import HostRules
from bridge.dialects import Desk, Dialect
from bridge.errors import BadRequest, BridgeError, Internal, NotFound, Unavailable, WrongMethod
from bridge.store.disk import as_refusal
from bridge.web.channel import Channel, Listener
from bridge.web.guard import Guard, add_cors, too_large
from bridge.web.mounts import JSON, Mounts
from bridge.web.patience import pressed_out, worn_out
from bridge.web.sockets import bind, taken, url_of

log = logging.getLogger(__name__)

THREADS = 8
CONNECTIONS = 200
TIDY_S = 0.1  # how often connections are looked at
CALM_S = 10.0  # without a crowd until it counts as over
BACKLOG = 1024  # connections the kernel holds while all threads are busy
HEADER_MAX = 16 * 1024  # bytes
BODY_SLACK = 64 * 1024  # bytes over body_max that still reach the app, whose refusal is friendlier than waitress's
_MOUNTS = "print-bridge mounts"  # where the app keeps them for refusals that never reach it


# ---- the app --------------------------------------------------------------------------------------------------


def make_app(
    desk: Desk,
    ring: KeyRing,
    dialects: Sequence[Dialect],
    hosts: HostRules,
    body_max: int,
    dashboard: Blueprint | None = None,
) -> Flask:
    """Every dialect at its mount, behind one guard. body_max: bytes. dashboard: serves "/" and "/web/*"."""
    app = Flask("bridge.web", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = body_max
    app.config["MAX_FORM_MEMORY_SIZE"] = body_max  # Flask's own 500 kB would refuse a label sent as a form field
    app.json = _Json(app)
    mounts = Mounts(dialects)
    app.before_request(
        Guard(desk.organization_id, ring, mounts, hosts, body_max=body_max, dashboard=dashboard is not None,
              ws_url=desk.ws_url)
    )
    for dialect in dialects:
        app.register_blueprint(dialect.routes(desk), url_prefix=dialect.mount)
    if dashboard is not None:
        app.register_blueprint(dashboard)
    app.extensions[_MOUNTS] = mounts
    app.after_request(_finish)
    _answer_errors(app, mounts, body_max)
    return app


class _Json(DefaultJSONProvider):
    """Members in the order their dialect gives them, without spaces."""

    sort_keys = False
    compact = True


def _answer_errors(app: Flask, mounts: Mounts, body_max: int) -> None:
    """Whatever goes wrong is answered in JSON, in the shape of the dialect that was spoken to."""

    def refuse(error: BridgeError, headers: Mapping[str, str] | None = None) -> Response:
        refusal = mounts.refusal(request.environ["PATH_INFO"], error)
        response = Response(refusal.body, refusal.status, {**refusal.headers, **(headers or {})})
        response.headers["Content-Type"] = JSON
        if (seconds := getattr(error, "retry_after_s", None)) is not None:
            response.headers.setdefault("Retry-After", str(seconds))
        return response

    def refuse_http(error: HTTPException) -> Response:
        allow = error.valid_methods if isinstance(error, MethodNotAllowed) else None
        return refuse(_in_our_words(error, body_max), {"Allow": ", ".join(sorted(allow))} if allow else None)

    def refuse_crash(error: Exception) -> Response:
        if (full := as_refusal(error)) is not None:
            return refuse(full)
        incident = secrets.token_hex(4)
        log.exception("%s %r failed; error %s", request.method, request.path, incident)
        text = f"something went wrong inside the bridge (error {incident})"
        return refuse(Internal(text, remedy=f"look for {incident} in the log"))

    app.register_error_handler(BridgeError, refuse)
    app.register_error_handler(HTTPException, refuse_http)
    app.register_error_handler(Exception, refuse_crash)


def _in_our_words(error: HTTPException, body_max: int) -> BridgeError:
    """An error of Werkzeug's as one of ours."""
    shown = request.path[:200]
    if error.code == 413:
        return too_large(body_max)
    if error.code == 405:
        return WrongMethod(f"{request.method} is not possible at {shown!r}")
    if error.code == 503:
        return Unavailable("the bridge is busy", remedy="try again soon")
    if error.code is None or error.code >= 500:
        return Internal("something went wrong inside the bridge", remedy="look into its log")
    if error.code in (404, 410) or error.code < 400:
        return NotFound(f"there is nothing at {shown!r}")
    return BadRequest(error.description or error.name)


def _finish(response: Response) -> Response:
    """What every answer carries, and the one line in the access log."""
    context = g._get_current_object()
    headers = response.headers
    headers["X-Content-Type-Options"] = "nosniff"
    if context.get("mount") is None:
        headers.setdefault("X-Frame-Options", "DENY")  # a dashboard in somebody's frame could be clicked blindly
    headers.setdefault("Cache-Control", "no-store")
    if response.status_code == 204:
        headers.pop("Content-Type", None)  # Flask would call nothing at all HTML
    _challenge(response)
    if (origin := context.get("cors")) is not None:
        add_cors(response, origin)
    if log.isEnabledFor(logging.DEBUG):
        took = (perf_counter() - context.began) * 1000
        log.debug("%s %r -> %d in %.1f ms", request.method, request.path, response.status_code, took)
    return response


def _challenge(response: Response) -> None:
    """Ask programs for Basic credentials; never a browser, which would keep them and send them for any page."""
    visitor, mount = g.get("visitor"), g.get("mount")
    if visitor is None or visitor.browser:
        response.headers.pop("WWW-Authenticate", None)
    elif response.status_code == 401 and mount is not None and mount.dialect.credentials & {"basic", "basic-key"}:
        response.headers["WWW-Authenticate"] = 'Basic realm="print-bridge", charset="UTF-8"'


# ---- the sockets ----------------------------------------------------------------------------------------------


class HttpServer:
    """waitress on sockets of our own, in three steps, so that nothing is promised before it is true.

        server = HttpServer(body_max=32 * MEGABYTE)
        server.bind(None, 8910)    # the port is ours, and known; callers are still refused
        server.serve(app)
        server.start()             # listening
        server.stop()
    """

    def __init__(self, *, body_max: int) -> None:
        """body_max: bytes, as given to make_app."""
        self.port = 0
        self.urls: list[str] = []
        self._body_max = body_max
        self._app: Flask | None = None
        self._sockets: list[socket.socket] = []
        self._map: dict[int, object] = {}
        self._listeners: list[Listener] = []
        self._dispatcher = ThreadedTaskDispatcher()
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._stopping = threading.Event()
        self._next_tidy = 0.0  # time.monotonic()
        self._crowded_until = 0.0  # time.monotonic() until which a crowd is no news; 0: there is none
        self._deadline = 0.0  # time.monotonic() by which a stop cuts off what is still running

    def bind(self, host: str | None, port: int) -> None:
        """Take the port without listening yet. host None: both loopback addresses. port 0: any free one.

        Raises OSError with a text that names the port.
        """
        self._sockets = bind(host, port)
        self.port = self._sockets[0].getsockname()[1]
        self.urls = [url_of(opened) for opened in self._sockets]

    def serve(self, app: Flask) -> None:
        """What to answer with; an app made by make_app."""
        self._app = app

    def start(self) -> None:
        """Listen and answer, in threads. Raises OSError when somebody else began to listen here since bind."""
        # One warning for every request that waits for a thread would bury the log exactly when it matters.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        assert self._app is not None, "serve(app) comes first"
        for opened in self._sockets:
            try:
                opened.listen(BACKLOG)
            except OSError as error:
                raise taken(error, opened.getsockname()[0], self.port) from error
        settings = _settings(self._sockets, self._body_max)
        self._listeners = [self._listener(self._app, opened, settings) for opened in self._sockets]
        self._dispatcher.set_thread_count(THREADS)
        self._thread.start()

    def _listener(self, app: Flask, opened: socket.socket, settings: Adjustments) -> Listener:
        info = (opened.family, opened.type, opened.proto, opened.getsockname())
        listener = Listener(app, self._map, _sock=opened, dispatcher=self._dispatcher, adj=settings,
                            bind_socket=False, sockinfo=info)  # fmt: skip
        listener.mounts = app.extensions[_MOUNTS]
        listener.body_max = self._body_max
        return listener

    def stop(self, timeout_s: float = 5.0) -> None:
        """Take no more connections, finish what is running within timeout_s, close. May be called twice."""
        if not self._stopping.is_set():
            self._deadline = time.monotonic() + timeout_s
            self._stopping.set()
            if self._thread.is_alive():
                self._listeners[0].pull_trigger()
                self._thread.join()
                self._dispatcher.shutdown(timeout=max(0.5, self._deadline - time.monotonic()))
            for listener in self._listeners:
                listener.trigger.close()
        for opened in self._sockets:
            opened.close()

    def is_alive(self) -> bool:
        """Whether somebody would answer."""
        return self._thread.is_alive() and not self._stopping.is_set()

    def revive(self) -> None:
        """A new loop after the old one died; every connection lives on."""
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    # -- the loop's own thread --

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turn(TIDY_S if self._crowded() else 1.0)
            self._tidy(time.monotonic())
        for listener in self._listeners:
            listener.stop_listening()
        while (channels := self._channels()) and time.monotonic() < self._deadline:
            for channel in channels:
                channel.finish()
            self._turn(0.05)
        for channel in self._channels():
            channel.handle_close()

    def _tidy(self, now: float) -> None:
        """Let go of connections that only waste places."""
        if now < self._next_tidy:
            return
        self._next_tidy = now + TIDY_S
        channels = self._channels()
        gone = worn_out(channels, now)
        if self._crowded():
            gone += pressed_out(channels, now)
            if now > self._crowded_until:
                log.warning("http: all %d places for connections are taken; the slowest have to go", CONNECTIONS)
            self._crowded_until = now + CALM_S
        elif self._crowded_until and now > self._crowded_until:
            log.info("http: there are places for connections again")
            self._crowded_until = 0.0
        for channel in gone:
            # Not will_close: a caller that reads nothing is never writable, and only then waitress would close it.
            channel.handle_close()

    def _crowded(self) -> bool:
        return len(self._map) >= CONNECTIONS

    def _turn(self, wait_s: float) -> None:
        """Wait for the sockets once and do what they ask for."""
        try:
            # poll, not select: select fails for good once a file descriptor is 1024 or more.
            wasyncore.loop(wait_s, use_poll=True, map=self._map, count=1)
        except Exception:  # a service that no longer answers is worse than one request that got lost
            log.exception("http: the loop goes on after an error")
            time.sleep(0.1)

    def _channels(self) -> list[Channel]:
        return [entry for entry in self._map.values() if isinstance(entry, Channel)]


def _settings(sockets: Sequence[socket.socket], body_max: int) -> Adjustments:
    return Adjustments(
        sockets=list(sockets), threads=THREADS, backlog=BACKLOG, connection_limit=CONNECTIONS, channel_timeout=30,
        cleanup_interval=5, recv_bytes=64 * 1024, max_request_header_size=HEADER_MAX,
        max_request_body_size=body_max + BODY_SLACK,
        expose_tracebacks=False, ident=None, clear_untrusted_proxy_headers=True, log_socket_errors=False,
    )  # fmt: skip
