"""Who may connect as a computer that prints: the first message, a key that may print jobs of others, and a name."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridge.access.keys import KeyRing
from bridge.access.limits import Limiter, Window
from bridge.control import Control
from bridge.dialects.printcloud.agents import Hello, Session
from bridge.model import Client, Key
from bridge.store import Store
from bridge.web.line import REFUSED, SILENT, TRY_LATER, Line, turn_away
from bridge.web.parcels import Beside

log = logging.getLogger(__name__)

AUTH_S = 10.0  # seconds to say who one is
MESSAGE_MAX = 16 * 1024  # characters before the computer is known; longer ones are read beside the loop
COMPUTERS_MAX = 1000  # of one organization
_WRONG_KEYS = (Window(10, 60),)  # of one address, before answers take longer
_SLOWLY_S = 2.0
_LINES = (Window(1, 60),)  # in the log, of one address for one reason
_KINDS = frozenset({"", "printcloud"})  # of keys that may be shown here


class Refused(Exception):
    """Who connects may not. The text says why."""


class Admission:
    """Belongs to the loop."""

    def __init__(self, store: Store, control: Control, ring: KeyRing, beside: Beside, *, auth_s: float) -> None:
        """auth_s: seconds a stranger has to say who he is."""
        self._store = store
        self._control = control
        self._ring = ring
        self._beside = beside
        self._auth_s = auth_s
        self._wrong = Limiter(_WRONG_KEYS)
        self._lines = Limiter(_LINES)
        self._registering = threading.Lock()

    async def meet(self, socket: ServerConnection, known: Callable[[], str | None]) -> Line | None:
        """A line to whoever it is; None: he was told why not, and the connection is closed.

        known: makes a stranger a guest, or says why he cannot be one.
        """
        session = Session()
        try:
            async with asyncio.timeout(self._auth_s):
                message = await socket.recv()
        except TimeoutError:
            session.refuse(f"nobody said who this is within {self._auth_s:g} seconds")
            await turn_away(socket, session.take_outgoing(), SILENT)
            return None
        except ConnectionClosed:
            return None
        if not isinstance(message, str) or len(message) > MESSAGE_MAX:
            session.refuse(_unread(message))
            await turn_away(socket, session.take_outgoing(), REFUSED)
            return None
        hello = session.receive(message)
        if not isinstance(hello, Hello):
            await turn_away(socket, session.take_outgoing(), REFUSED)
            return None
        address = str((socket.remote_address or ("?",))[0])
        try:
            key = self._key_of(hello)
            client = await self._beside(self._register, key, hello, address)
        except Refused as error:
            self._note(hello, address, error)
            await self._slow_down(address)
            session.refuse(str(error))
            await turn_away(socket, session.take_outgoing(), REFUSED)
            return None
        if (full := known()) is not None:
            session.refuse(full)
            await turn_away(socket, session.take_outgoing(), TRY_LATER)
            return None
        return Line(socket, session, client, key.id, time.monotonic(), gives_back=hello.gives_back)

    def _key_of(self, hello: Hello) -> Key:
        """Raises Refused. One text for every key that is none of ours."""
        key = self._ring.find(hello.api_key)
        if key is None or key.kind not in _KINDS:
            raise Refused("Invalid API key")
        if key.origins:
            raise Refused("this API key is bound to web pages, where anybody can read it; use another one")
        if "admin" not in key.scopes and not {"jobs", "printers"} <= key.scopes:
            raise Refused("this API key may not print jobs of others; use one with full permission")
        return key

    def _note(self, hello: Hello, address: str, why: Refused) -> None:
        """A computer that tries for ever is one line a minute."""
        if self._lines.take(f"{address} {why}", time.monotonic()).retry_after_s is None:
            log.warning("agents: %s at %s may not connect: %s", hello.computer, address, why)

    async def _slow_down(self, address: str) -> None:
        """Whoever tries one wrong key after the other waits for each answer; a right key never waits."""
        if self._wrong.take(address, time.monotonic()).retry_after_s is not None:
            await asyncio.sleep(_SLOWLY_S)

    def _register(self, key: Key, hello: Hello, address: str) -> Client:
        """The computer of this name, or a new one. Raises Refused."""
        told = {"os": hello.os or None, "version": hello.version, "ip_address": address}
        with self._registering:
            clients = self._store.clients
            known = clients.agent(key.organization_id, hello.computer)
            if known is None:
                if clients.page(key.organization_id, limit=1)[1] >= COMPUTERS_MAX:
                    raise Refused(f"there are {COMPUTERS_MAX:,} computers already; delete one first")
                known = self._control.add_client(key.organization_id, hello.computer)
            if any(getattr(known, name) != value for name, value in told.items()):
                known = clients.update(key.organization_id, known.id, **told) or known
        return known


def _unread(message: str | bytes) -> str:
    """Why a first message is not even looked at: nobody needs it to be long."""
    if isinstance(message, bytes):
        return "messages are text (JSON)"
    return f"the first message is too long ({len(message):,} characters, at most {MESSAGE_MAX:,})"
