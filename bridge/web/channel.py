"""waitress, taught manners: its own refusals are JSON, and a caller still sending gets to read them; a view may give a
connection away (parking.py); it is known of each connection how much of our time it has wasted (patience.py).

waitress answers some requests itself, before any app sees them: a garbled request line, headers or a body beyond the
limit. By itself it does so in text/plain, and closes with unread data, so that the kernel resets the connection and
the answer is lost on its way (waitress 3.0.2 task.py ErrorTask, channel.py handle_write).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from socket import SHUT_WR, SO_SNDBUF, SOL_SOCKET, socket
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest as Garbled
from waitress.utilities import Error

from bridge.errors import BadRequest, BridgeError, Internal, Unauthorized
from bridge.web.guard import FORWARDED, STRANGER_BODY_MAX, too_large
from bridge.web.mounts import JSON, Mounts
from bridge.web.parking import PARK, Guest

log = logging.getLogger(__name__)

KERNEL_BUFFER = 128 * 1024  # bytes; by itself the kernel would hold megabytes for each caller that reads nothing
UNREAD_MAX = 256 * 1024  # bytes of answers a caller may leave unread and still be answered further requests
BITE = 4 * 1024  # bytes read at a time, unless they can only be a body: what heads and chunks cost is work for the loop
CHUNKING_MAX = 64 * 1024  # bytes that the chunks of a body may cost, beyond as many as are in them
PIPELINED_MAX = 8  # requests sent ahead of their turn; more, and the connection ends with the next answer
LINGER_S = 5.0  # how long a refused caller may go on sending into the void
IN_MEMORY_MAX = 4 * 1024 * 1024  # bytes of one body; waitress itself goes to a temporary file after 512 kB
ALL_IN_MEMORY_MAX = 16 * 1024 * 1024  # of all such bodies at a time
_CREDENTIALS = frozenset({"AUTHORIZATION", "X_API_KEY"})
_PROXY = frozenset({"FORWARDED", "X_FORWARDED_FOR", "X_FORWARDED_HOST", "X_FORWARDED_PROTO", "X_REAL_IP"})


class NoKey(Error):  # type: ignore[misc]
    """A large body by somebody who shows no key."""

    code = 401
    reason = "Unauthorized"


class NotThatMuch(Error):  # type: ignore[misc]
    """A large body where none is asked for."""

    code = 413
    reason = "Content Too Large"


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Remembers the path of a request that waitress gives up on, and keeps the large bodies of strangers out.

    waitress takes a body in, into memory and a temporary file, before anybody looks at who sends it.
    """

    target = ""
    error: Any

    in_memory = 0  # bytes of a large body that stays there

    def __init__(self, adj: Any, mounts: Mounts, room: Callable[[int], bool]) -> None:
        """room: whether a body of so many bytes more may stay in memory."""
        super().__init__(adj)
        self._mounts = mounts
        self._room = room

    def received(self, data: bytes) -> int:
        before = self.header_plus
        in_head = self.body_rcv is None
        consumed: int = super().received(data)
        if self.error is None and self._is_a_strangers(max(self.content_length, self.body_bytes_received)):
            self.error, self.completed = (NotThatMuch if self._is_public() else NoKey)("from a stranger"), True
        if self.error is None and self.chunked and not in_head and self._is_mostly_chunking():
            self.error, self.completed = Garbled("the chunks are too small"), True
        if in_head and self.body_rcv is not None and self.error is None:
            self._keep_in_memory()
        if self.error is not None:
            # "100 Continue" after a refusal would invite the whole body.
            self.expect_continue = False
            if in_head:
                self.target = _target(before + data)
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse what a proxy in front of us might see the end of elsewhere (RFC 9112 6.1 and 6.3)."""
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # of int(), for more digits than Python cares to read
            raise ParsingError("Content-Length is invalid") from error
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length and Transfer-Encoding do not go together")
        if "TRANSFER_ENCODING" in self.headers:  # waitress reads it in HTTP/1.1 only, and leaves it there otherwise
            raise ParsingError("Transfer-Encoding needs HTTP/1.1")

    def _is_mostly_chunking(self) -> bool:
        """Whether what is around the chunks outweighs the body: a chunk of one byte is as much work as any other."""
        body = len(self.body_rcv)
        return bool(self.body_bytes_received - body > CHUNKING_MAX + body)

    def _keep_in_memory(self) -> None:
        """A job of a megabyte is written to the disk once, by intake, not also to a temporary file."""
        size = self.content_length
        if self.adj.inbuf_overflow < size <= IN_MEMORY_MAX and self._room(size):
            self.in_memory = size
            self.body_rcv.getbuf().overflow = size + 1

    def _is_a_strangers(self, body: int) -> bool:
        """Whether so many bytes come without a key; smaller bodies go to the guard, whose refusals fit better.

        Whether a key is right, or needed, the guard finds out.
        """
        return body > STRANGER_BODY_MAX and _CREDENTIALS.isdisjoint(self.headers)

    def _is_public(self) -> bool:
        mount = self._mounts.owner(self.path)
        return mount is not None and self.command in mount.public.methods(self.path[len(mount.prefix) :])


def _target(head: bytes) -> str:
    """The path of a request line, "" when there is none to be seen."""
    words = head.lstrip().split(b"\r\n", 1)[0].split(b" ")
    path = words[1].partition(b"?")[0] if len(words) > 1 else b""
    return path.decode("latin-1") if path.startswith(b"/") else ""


class Task(WSGITask):  # type: ignore[misc]
    """One request. Tells the app whether a proxy stands in between; waitress drops the headers that would say so."""

    guest: Guest | None = None  # who takes the connection over
    promised = False  # the channel will hand it over

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[FORWARDED] = not _PROXY.isdisjoint(self.request.headers)
        environ[PARK] = self._park
        return environ

    def _park(self, guest: Guest) -> None:
        self.guest = guest

    def service(self) -> None:
        if len(self.channel.requests) > PIPELINED_MAX:
            self.set_close_on_finish()  # who keeps to HTTP sends the rest again
        try:
            super().service()
        finally:
            if self.guest is not None and not self.promised:
                self.guest.turned_away()

    def finish(self) -> None:
        self.channel.known = self.channel.known or self.status.startswith("2")
        if self.guest is None:
            super().finish()
            return
        self.request.headers["CONNECTION"] = "close"
        self.set_close_on_finish()
        with self.channel.outbuf_lock:  # under which handle_close ends a connection
            if self.channel.connected:
                self.channel.leaving, self.promised = self, True

    def head(self, length: int | None) -> bytes:
        """What goes before the body; see parking.Head."""
        self.content_length = length
        made: bytes = self.build_response_header()
        return made


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
        self.request.headers["CONNECTION"] = "close"  # or HTTP/1.0 would be told that it may go on
        self.set_close_on_finish()
        self.content_length = len(refusal.body)
        self.write(b"" if getattr(asked, "command", "") == "HEAD" else refusal.body)


def _in_our_words(failure: Any, server: Listener) -> BridgeError:
    """waitress's Error as one of ours, with its status."""
    if failure.code == 413:
        return too_large(STRANGER_BODY_MAX if isinstance(failure, NotThatMuch) else server.body_max)
    error: BridgeError
    if failure.code == 401:
        return Unauthorized("the request carries no API key", remedy="send it as Authorization: Bearer KEY")
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

    socket: Any
    task_class = Task
    error_task_class = Refusal
    refused = False
    known = False  # answered with a 2xx once
    leaving: Task | None = None  # the one whose guest gets the socket
    _linger_until = 0.0  # time.monotonic(); 0: not lingering
    _began = 0.0  # time.monotonic() of the first byte of the request that is not complete yet
    _moved = 0.0  # time.monotonic() at which a byte last went either way
    _moved_before = 0.0  # and the time before that

    def parser_class(self, adj: Any) -> Parser:
        """What waitress calls for each request."""
        return Parser(adj, self.server.mounts, self.server.has_room)

    @property
    def last_activity(self) -> float:
        """When a byte last went either way; time.monotonic(), whatever waitress sets it to: clocks jump."""
        return self._moved

    @last_activity.setter
    def last_activity(self, wall_clock: float) -> None:
        self._moved_before, self._moved = self._moved, time.monotonic()

    def service(self) -> None:
        if self.total_outbufs_len > UNREAD_MAX:
            # Requests sent ahead, and no answer read: all of them would pile up in memory.
            self.server.trigger.pull_trigger(self.handle_close)
        else:
            super().service()

    def handle_write(self) -> None:
        if self.leaving is not None and not self.will_close:
            self._flush_exception(self._flush_some)  # answers to earlier requests on this connection
            if not self.total_outbufs_len and not self.will_close:
                self._hand_over(self.leaving)
        elif not self.refused or self.will_close:
            super().handle_write()
        else:
            self._flush_exception(self._flush_some_if_lockable)
            if self.close_when_flushed and not self.total_outbufs_len and not self._linger_until:
                self._half_close()

    def _hand_over(self, task: Task) -> None:
        """Out of waitress's hands, with the socket still open."""
        sock, self.socket, self.leaving = self.socket, None, None
        self.handle_close()  # everything but the socket
        assert task.guest is not None
        task.guest.welcome(sock, task.head, chunked=task.version == "1.1")

    def handle_close(self) -> None:
        self.will_close = True
        super().handle_close()
        if self.leaving is not None and self.leaving.guest is not None:
            self.leaving.guest.turned_away()
        self.leaving = None

    def _half_close(self) -> None:
        self._linger_until = time.monotonic() + LINGER_S
        self.close_when_flushed = False
        try:
            self.socket.shutdown(SHUT_WR)
        except OSError:
            self.will_close = True  # the caller is gone already

    def recv(self, most: int) -> bytes:
        """All that is there of a body whose length is known, and little of anything else: it is looked at byte by byte,
        and nobody is served meanwhile."""
        owed = 0 if self.request is None else self.request.content_length - self.request.body_bytes_received
        data: bytes = super().recv(most if self._linger_until else min(most, max(BITE, owed)))
        return data

    def readable(self) -> bool:
        if not self._linger_until:
            return bool(super().readable())
        if time.monotonic() > self._linger_until:
            self.will_close = True  # handle_write does it
        return not self.will_close

    def received(self, data: bytes) -> bool:
        if self._linger_until:
            return False
        if self.request is None:
            data = data.lstrip()
            if not data:
                self._moved = self._moved_before  # blank lines say nothing
                return True
            self._began = time.monotonic()
        return bool(super().received(data))

    def finish(self) -> None:
        """The server stops: close as soon as nothing is owed to the caller."""
        if self._linger_until:
            self.will_close = True
        elif not self.requests:
            self.close_when_flushed = True

    # -- how much of our time it has wasted; see patience.py --

    @property
    def busy(self) -> bool:
        return bool(self.requests) or self.leaving is not None

    def silent_s(self, now: float) -> float:
        return now - self._moved

    def late_s(self, now: float, slowest: int) -> float:
        if self.request is None:
            return 0.0
        allowed: float = self.request.body_bytes_received / slowest
        return now - self._began - allowed

    def stuck(self) -> bool:
        return bool(self.total_outbufs_len)


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket. mounts: how its refusals look. body_max: bytes, what they say the limit is."""

    channel_class = Channel
    mounts: Mounts
    body_max: int

    def readable(self) -> bool:
        """Whether there is a place for one more. Who has to go for that, the server decides (HttpServer)."""
        return bool(self.accepting) and len(self._map) < self.adj.connection_limit

    def has_room(self, size: int) -> bool:
        """Whether a body of so many bytes more may stay in memory. Two hundred at once would fill a small one."""
        open_requests = (
            request
            for channel in list(self.active_channels.values())
            for request in (channel.request, *channel.requests)
            if request is not None
        )
        held: int = sum(request.in_memory for request in open_requests)
        return held + size <= ALL_IN_MEMORY_MAX

    def set_socket_options(self, conn: socket) -> None:
        super().set_socket_options(conn)
        conn.setsockopt(SOL_SOCKET, SO_SNDBUF, KERNEL_BUFFER)

    def stop_listening(self) -> None:
        """Take no new connections; those that are open go on."""
        # Not self.close(): that would also close the pipe through which running tasks wake the loop.
        wasyncore.dispatcher.close(self)
