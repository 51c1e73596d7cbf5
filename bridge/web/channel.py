"""waitress, taught two manners: its own refusals are JSON, and a caller still sending gets to read them.

waitress answers some requests itself, before any app sees them: a garbled request line, headers or a body beyond the
limit. By itself it does so in text/plain, and closes with unread data, so that the kernel resets the connection and
the answer is lost on its way (waitress 3.0.2 task.py ErrorTask, channel.py handle_write).
"""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask

from bridge.errors import BadRequest, BridgeError, Internal
from bridge.web.guard import FORWARDED, too_large
from bridge.web.mounts import JSON, Mounts

log = logging.getLogger(__name__)

PRESSED_S = 2.0  # how long a connection may be silent while others cannot get in
LINGER_S = 5.0  # how long a refused caller may go on sending into the void
_PROXY = frozenset({"FORWARDED", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_REAL_IP"})


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Remembers the path of a request that waitress gives up on."""

    target = ""

    def received(self, data: bytes) -> int:
        before = self.header_plus
        in_head = self.body_rcv is None
        consumed: int = super().received(data)
        if self.error is not None:
            # "100 Continue" after a refusal would invite the whole body.
            self.expect_continue = False
            if in_head:
                self.target = _target(before + data)
        return consumed


def _target(head: bytes) -> str:
    """The path of a request line, "" when there is none to be seen."""
    words = head.lstrip().split(b"\r\n", 1)[0].split(b" ")
    path = words[1].partition(b"?")[0] if len(words) > 1 else b""
    return path.decode("latin-1") if path.startswith(b"/") else ""


class Task(WSGITask):  # type: ignore[misc]
    """Tells the app whether a proxy stands in between; waitress drops the headers that would say so."""

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[FORWARDED] = not _PROXY.isdisjoint(self.request.headers)
        return environ


class Refusal(ErrorTask):  # type: ignore[misc]
    """One of waitress's own refusals, in the shape of the dialect that owns the path."""

    def execute(self) -> None:
        asked = self.channel.requests[0] if self.channel.requests else self.request
        path = getattr(asked, "target", "") or getattr(asked, "path", "")
        failure = self.request.error
        self.channel.refused = True
        refusal = self.channel.server.mounts.refusal(path, _in_our_words(failure, self.channel.server))
        self.status = f"{failure.code} {failure.reason}"
        self.response_headers.extend(
            {
                "Content-Type": JSON, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
                **refusal.headers,
            }.items()
        )  # fmt: skip
        log.debug("%s %r -> %d", getattr(asked, "command", "?"), path, failure.code)
        self.set_close_on_finish()
        self.content_length = len(refusal.body)
        self.write(b"" if getattr(asked, "command", "") == "HEAD" else refusal.body)


def _in_our_words(failure: Any, server: Listener) -> BridgeError:
    """waitress's Error as one of ours, with its status."""
    if failure.code == 413:
        return too_large(server.body_max)
    error: BridgeError
    if failure.code == 431:
        limit = server.adj.max_request_header_size // 1024
        error = BadRequest(f"the headers are larger than {limit} kB", code="headers_too_large")
    elif failure.code == 500:
        error = Internal("something went wrong inside the bridge", remedy="look into its log")
    else:
        error = BadRequest(f"not an HTTP request this bridge understands: {failure.body}")
    error.http = failure.code
    return error


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection. After a refusal it listens on for a while without hearing, so that its answer arrives."""

    parser_class = Parser
    task_class = Task
    error_task_class = Refusal
    refused = False
    _linger_until = 0.0  # time.time(); 0: not lingering

    def handle_write(self) -> None:
        if not self.refused or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some_if_lockable)
        if self.close_when_flushed and not self.total_outbufs_len and not self._linger_until:
            self._half_close()

    def _half_close(self) -> None:
        self._linger_until = time.time() + LINGER_S
        self.close_when_flushed = False
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.will_close = True  # the caller is gone already

    def readable(self) -> bool:
        if not self._linger_until:
            return bool(super().readable())
        if time.time() > self._linger_until:
            self.will_close = True  # handle_write does it
        return not self.will_close

    def received(self, data: bytes) -> bool:
        return False if self._linger_until else bool(super().received(data))

    def finish(self) -> None:
        """The server stops: close as soon as nothing is owed to the caller."""
        if self._linger_until:
            self.will_close = True
        elif not self.requests:
            self.close_when_flushed = True


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket. mounts: how its refusals look. body_max: bytes, what they say the limit is."""

    channel_class = Channel
    mounts: Mounts
    body_max: int

    def readable(self) -> bool:
        if self.in_connection_overflow:
            self._make_room(time.time() - PRESSED_S)
        return bool(super().readable())

    def _make_room(self, silent_since: float) -> None:
        """All places are taken: those who sit in them and say nothing must go."""
        for channel in list(self.active_channels.values()):
            if not channel.requests and channel.last_activity < silent_since:
                channel.will_close = True

    def stop_listening(self) -> None:
        """Take no new connections; those that are open go on."""
        # Not self.close(): that would also close the pipe through which running tasks wake the loop.
        wasyncore.dispatcher.close(self)
