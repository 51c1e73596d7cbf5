"""Who may hold a WebSocket connection, and what one connection may ask of everybody's time and memory.

Strangers have not said who they are yet. When they crowd, those who have taken long go first: a computer needs
milliseconds for what a flood of idle connections never does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Any, cast

from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode
from websockets.protocol import CLOSING, OPEN

log = logging.getLogger(__name__)

GUESTS = 1000  # computers that are connected
GUESTS_OF_ADDRESS = 600
STRANGERS = 512
STRANGERS_OF_ADDRESS = 32  # beyond which those that take long go
LONG_S = 3.0
RESERVED = 600  # file descriptors everything else may need
READ = 16 * 1024  # bytes read at once: a flood of tiny frames must not keep everybody else waiting
UNREAD_MAX = 1024 * 1024  # bytes of answers (pongs) a peer may leave unread
FRAMES, FRAMES_S = 3000, 10.0  # at most so many frames in so many seconds
CLOSING_S = 2.0  # seconds a peer gets for its part of the closing handshake
_METHOD = b"GET "


class Hall:
    """All connections of one server. Belongs to its loop."""

    def __init__(self, *, descriptors: int, not_a_websocket: bytes) -> None:
        """descriptors: files and sockets this process may have. not_a_websocket: the answer to another protocol."""
        free = max(64, descriptors - RESERVED)
        self.guests_max = min(GUESTS, free * 2 // 3)
        self.strangers_max = min(STRANGERS, free // 3)
        self.not_a_websocket = not_a_websocket
        self._strangers: dict[Connection, str] = {}  # the oldest first
        self._guests: dict[Connection, str] = {}
        self._of_address: Counter[str] = Counter()
        self._told: set[str] = set()  # why computers are turned away now; each is one line in the log

    def enter(self, connection: Connection) -> bool:
        """A stranger is at the door. False: there is no room."""
        if len(self._strangers) >= self.strangers_max or self._crowded(connection.address):
            slow = next((c for c, address in self._strangers.items() if self._takes_long(c, address, connection)), None)
            if slow is not None:
                slow.transport.abort()
                self._strangers.pop(slow, None)
            elif len(self._strangers) >= self.strangers_max:
                return False
        self._strangers[connection] = connection.address
        return True

    def _crowded(self, address: str) -> bool:
        return list(self._strangers.values()).count(address) >= STRANGERS_OF_ADDRESS

    def _takes_long(self, stranger: Connection, address: str, newcomer: Connection) -> bool:
        if newcomer.came - stranger.came < LONG_S:
            return False
        return address == newcomer.address or len(self._strangers) >= self.strangers_max

    def welcome(self, connection: Connection) -> str | None:
        """A stranger has said who he is. Gives why he has to go all the same: no place is left, or he is gone."""
        if connection.protocol.state is not OPEN:
            return "the connection is closed"
        if (full := self._full(connection.address)) is not None:
            if full not in self._told:
                self._told.add(full)
                log.warning("agents: computers are turned away: %s", full)
            return full
        self._strangers.pop(connection, None)
        self._guests[connection] = connection.address
        self._of_address[connection.address] += 1
        return None

    def _full(self, address: str) -> str | None:
        if len(self._guests) >= self.guests_max:
            return f"{self.guests_max:,} computers are connected already, and no more can be; try again later"
        if self._of_address.get(address, 0) >= GUESTS_OF_ADDRESS:
            return (
                f"{GUESTS_OF_ADDRESS} computers of the address {address} are connected already, and no more of one"
                " address can be; try again later"
            )
        return None

    def leave(self, connection: Connection) -> None:
        self._strangers.pop(connection, None)
        if (address := self._guests.pop(connection, None)) is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]
            self._told.clear()


class Connection(ServerConnection):
    """One connection that keeps within bounds. address: of the peer. came: time.monotonic()."""

    def __init__(self, hall: Hall, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.hall = hall
        self.address = "?"
        self.came = time.monotonic()
        self._greeted = False
        self._frames = 0
        self._window = self.came
        self._ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if hasattr(transport, "max_size"):
            transport.max_size = READ
        self.address = str((transport.get_extra_info("peername") or ("?",))[0])
        if not self.hall.enter(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.hall.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._greeted:
            self._greeted = True
            if not data.startswith(_METHOD[: len(data)]):
                self.transport.write(self.hall.not_a_websocket)
                self.transport.close()
                self._ending = True
                return
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.get_write_buffer_size() > UNREAD_MAX:
            self.transport.abort()
        elif self.protocol.state is CLOSING and not self._ending:
            self._ending = True
            self.loop.call_later(CLOSING_S, self.transport.abort)

    def process_event(self, event: Any) -> None:
        super().process_event(event)
        now = time.monotonic()
        if now - self._window > FRAMES_S:
            self._window, self._frames = now, 0
        self._frames += 1
        if self._frames == FRAMES:
            self.protocol.fail(CloseCode.POLICY_VIOLATION, f"more than {FRAMES} frames in {FRAMES_S:g} seconds")
            self.send_data()


def as_connection(socket: ServerConnection) -> Connection:
    return cast(Connection, socket)
