"""One computer that is connected: its socket, what is on its way to it, and how the connection ends."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridge.dialects.printcloud.agents import Session
from bridge.model import Client

log = logging.getLogger(__name__)

REPLACED, REFUSED, SILENT, REVOKED, REMOVED = 4000, 4001, 4002, 4003, 4004
"""Why we closed a connection (RFC 6455, 7.4.2): the same computer has connected again; its key opens nothing; it did
not say who it is; its key was revoked; the computer was deleted."""
INTERNAL, TRY_LATER = 1011, 1013

CLOSING_S = 1.0  # seconds of silence after which a connection that is to end is cut
LAST_WORDS_S = 5.0  # the same for one that is not silent: what it says of its jobs need not be asked again


@dataclass(slots=True, eq=False)
class Line:
    """A computer that is connected.

    since, heard: when it came, and when it last said something; time.monotonic(). gives_back: it can be asked to cancel
    a job. printers: those of its printers that may get jobs. due: those that may get one now. recalls: ids of jobs it
    is to be asked for. named: it has told its printers. second_time: jobs it may have already wait until it has said
    what it has to say of them. over: nothing is sent to it any more. deaf: nor is it listened to. silent: its last
    message was read.
    """

    socket: ServerConnection
    session: Session
    client: Client
    key_id: str
    since: float
    gives_back: bool = False
    printers: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    recalls: list[str] = field(default_factory=list)
    feeding: asyncio.Task[None] | None = None
    named: bool = False
    second_time: bool = False
    over: bool = False
    deaf: bool = False
    heard: float = 0.0
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self) -> None:
        """Send what its session has to say. Raises ConnectionClosed."""
        for text in self.session.take_outgoing():
            await self.socket.send(text)

    def end(self, code: int, why: str, *, deaf: bool = False) -> None:
        """End the connection, and do not wait for it. What it has said already is still heard, unless it is `deaf`."""
        if self.over:
            return
        self.over, self.deaf = True, deaf
        self.session.complain(why)
        log.info("agents: the connection of %s is closed: %s", self.client.hostname, why)
        task = asyncio.ensure_future(turn_away(self.socket, self.session.take_outgoing(), code))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        patience_s = 0.0 if deaf else LAST_WORDS_S
        asyncio.get_running_loop().call_later(CLOSING_S, self._cut, time.monotonic() + patience_s)

    def _cut(self, latest: float) -> None:
        now = time.monotonic()
        quiet_s = now - self.heard
        if now >= latest or quiet_s >= CLOSING_S:
            self.socket.transport.abort()
        else:
            asyncio.get_running_loop().call_later(CLOSING_S - quiet_s, self._cut, latest)

    async def stop_feeding(self) -> None:
        """Wait for what is on its way. It is never cancelled: what it claims has to be known."""
        if self.feeding is not None:
            await asyncio.wait([self.feeding])


async def turn_away(socket: ServerConnection, texts: list[str], code: int) -> None:
    """Say why, and close."""
    with suppress(ConnectionClosed):
        for text in texts:
            await socket.send(text)
        await socket.close(code)
