"""Other machines that print for this bridge: their coming and going, and what they say.

A job waits `queued` while its machine is away. It is claimed in the database before the last of it leaves (see
parcels.py); when the connection ends without a word about it, it waits again. Sent a second time it has the id it had,
and the machine knows it. What a machine had begun to print is only asked about: it stays as it is until the machine
says more, and is in doubt when it has not for GRACE_S.

All of it runs in one event loop (see ws.py); the database is asked in a few threads beside it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridge.access.keys import KeyRing
from bridge.control import Control
from bridge.dialects.printcloud.agents import Printers, Said, away, condition, is_away, wire_id
from bridge.errors import BridgeError
from bridge.model import Client, Device, Job, State
from bridge.store import Store
from bridge.store.handed import RECALLED
from bridge.web.admission import AUTH_S, MESSAGE_MAX, Admission
from bridge.web.doubts import Doubts
from bridge.web.line import INTERNAL, REMOVED, REPLACED, REVOKED, Line
from bridge.web.parcels import TOO_LATE, Parcels
from bridge.web.postman import Postman

log = logging.getLogger(__name__)

GRACE_S = 15 * 60.0  # seconds until a print of which nobody speaks any more is in doubt
BACK = 4  # times as long while its machine is connected again
RETURN_S = 90.0  # seconds after a start in which machines that were connected before come back; they try every 60 s
SEEN_S = 60.0  # seconds between two signs of life in the database
UNNAMED_S = 5.0  # seconds after which the printers of before count, if a machine names none
TICK_S = 0.5
THREADS = 4

_NOBODY = "its computer went away before it said anything of it; it waits again"
_LOST = (
    "its computer had begun to print it when its connection ended, and has not said since how that went;"
    " look at the printer"
)

T = TypeVar("T")


class Agents:
    """connected() and count may be asked by any thread; the rest belongs to the loop that called begin()."""

    def __init__(
        self, store: Store, control: Control, ring: KeyRing, *, self_client_id: str, grace_s: float = GRACE_S,
        auth_s: float = AUTH_S, return_s: float = RETURN_S,
    ) -> None:  # fmt: skip
        self._store = store
        self._control = control
        self._ring = ring
        self._self_client_id = self_client_id
        self._grace_s = grace_s
        self._return_s = return_s
        self._admission = Admission(store, control, ring, self._do, auth_s=auth_s)
        self._doubts = Doubts()
        self._parcels = Parcels(store, control, self._do)
        self._postman = Postman(self._parcels, self._do, self._doubts.of_device)
        self._lines: dict[str, Line] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._next_seen = 0.0
        self._missing_from = 0.0  # time.monotonic() from which those who did not come back are gone

    # -- any thread --

    def connected(self, client_id: str) -> bool:
        """Whether this computer is connected now."""
        return client_id in self._lines

    @property
    def count(self) -> int:
        """Computers that are connected."""
        return len(self._lines)

    def recover(self) -> None:
        """After a start: nobody is connected, whatever the last run thought. To be called before begin()."""
        for client_id in self._store.handed.holders(self._self_client_id):
            self._doubts.about(self._control.take_back(client_id, _NOBODY), self._grace_s)

    def _call(self, work: Callable[..., None], *arguments: object) -> bool:
        """Have the loop do something soon; False while there is none."""
        loop = self._loop
        if loop is None:
            return False
        with suppress(RuntimeError):  # it has just been closed
            loop.call_soon_threadsafe(work, *arguments)
            return True
        return False

    def _wanted_elsewhere(self, device_id: str) -> None:
        if self._postman.serves(device_id):
            self._call(self._postman.ring_for, device_id)

    def _farewell(self, client_id: str) -> None:
        if client_id in self._lines:
            self._call(self._dismiss, client_id)

    def _recall(self, job: Job) -> bool:
        line = self._lines.get(job.client_id)
        if line is None or not line.gives_back or line.over:
            return False
        return self._call(self._ask_back, line, wire_id(job, again=self._parcels.is_again(job)))

    # -- the loop's life --

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work in this loop from now on."""
        self._loop = loop
        self._threads = ThreadPoolExecutor(THREADS, "agents")
        self._lines.clear()
        self._postman.clear()
        self._turns.clear()
        self._missing_from = time.monotonic() + self._return_s
        self._store.lanes.elsewhere = self._wanted_elsewhere
        self._control.farewell, self._control.recall = self._farewell, self._recall

    def end(self) -> None:
        """The loop is about to end; every conversation has."""
        self._store.lanes.elsewhere = self._control.farewell = lambda _: None
        self._control.recall = lambda _: False
        self._loop = None
        if self._threads is not None:
            self._threads.shutdown()

    async def tick(self) -> None:
        """What has to be looked at now and then: keys, signs of life, jobs nobody speaks of. Never returns."""
        while True:
            await asyncio.sleep(TICK_S)
            try:
                await self._look(time.monotonic())
            except Exception:
                log.exception("agents: stumbled, and look again")

    async def _look(self, now: float) -> None:
        lines = list(self._lines.values())
        good = {key_id: self._ring.holds(key_id) for key_id in {line.key_id for line in lines}}
        for line in lines:
            if not good[line.key_id]:
                line.end(REVOKED, "the API key was revoked", deaf=True)
            elif not line.named and now - line.since >= UNNAMED_S:
                await self._count_on_known_printers(line)
        for job in self._doubts.over(now):
            await self._do(self._control.in_doubt, job.client_id, job.id, _LOST)
        if now >= self._missing_from:
            self._missing_from = now + SEEN_S  # once more, should the disk be full
            await self._miss()
            self._missing_from = float("inf")
        if now >= self._next_seen:
            self._next_seen = now + SEEN_S
            await self._show_life(lines)

    async def _miss(self) -> None:
        """Those who were connected before a crash, of the bridge or of its loop, and did not come back."""
        for client in await self._do(self._store.clients.connected):
            async with self._turn(client.id):
                if client.id not in self._lines:
                    await self._do(self._let_go, client, f"{client.hostname} has not come back", client.last_seen)

    async def _show_life(self, lines: list[Line]) -> None:
        if lines:
            alive = await self._do(self._store.clients.seen, [line.client.id for line in lines], time.time())
            for line in lines:
                if line.client.id not in alive:
                    line.end(REMOVED, "this computer was deleted")
        await self._do(self._expire)

    def _expire(self) -> None:
        for job in self._store.handed.overdue(self._self_client_id, self._store.lanes.now()):
            self._control.expire(job.organization_id, job.id, job.launch, TOO_LATE)

    async def _do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Something that asks the disk, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    # -- a conversation --

    async def converse(self, socket: ServerConnection, known: Callable[[], str | None]) -> None:
        """From the first message to the end of the connection. known: makes a stranger a guest, or says why not."""
        line = await self._admission.meet(socket, known)
        if line is None:
            return
        try:
            await self._arrive(line)
            await self._listen(line)
        except ConnectionClosed:
            pass
        except Exception:
            log.exception("agents: the conversation with %s failed", line.client.hostname)
            line.end(INTERNAL, "something went wrong inside the bridge")
        finally:
            line.silent.set()
            await asyncio.shield(self._leave(line))

    # -- coming and going --

    async def _arrive(self, line: Line) -> None:
        client = line.client
        async with self._turn(client.id):
            earlier = self._lines.get(client.id)
            self._lines[client.id] = line
            if earlier is not None:
                log.info("agents: %s has connected again; its connection of before is closed", client.hostname)
                await self._replace(earlier)
            else:
                log.info("agents: %s is connected", client.hostname)
            line.recalls = await self._do(self._begin_again, line)
            line.second_time = await self._do(self._store.handed.has_twice, client.id)
        line.session.welcome(client.id)
        await line.say()

    def _begin_again(self, line: Line) -> list[str]:
        """Write down that the computer is here. What it has to be asked for: ids of jobs somebody wanted to cancel."""
        client = line.client
        begun = self._control.take_back(client.id, _NOBODY)
        self._doubts.about(begun, self._grace_s * BACK)
        self._store.clients.note(client, True, f"{client.hostname} is connected", seen=time.time())
        recalled = [job for job in begun if job.note == RECALLED] if line.gives_back else []
        return [wire_id(job, again=self._parcels.is_again(job)) for job in recalled]

    async def _replace(self, earlier: Line) -> None:
        """End a connection whose computer has another one by now. What it said of its jobs on the old one counts."""
        earlier.end(REPLACED, "this computer has connected again elsewhere")
        await earlier.silent.wait()
        await earlier.stop_feeding()

    async def _leave(self, line: Line) -> None:
        client = line.client
        line.over = True
        line.socket.transport.abort()  # whoever still sends to it is told so
        await line.stop_feeding()
        async with self._turn(client.id):
            if self._lines.get(client.id) is not line:
                return
            del self._lines[client.id]
            self._postman.forget(line)
            try:
                await self._do(self._let_go, client, f"{client.hostname} is gone", time.time())
            except Exception:
                log.exception("agents: %s is gone, which could not be written down", client.hostname)

    def _let_go(self, client: Client, text: str, seen: float | None) -> None:
        log.info("agents: %s", text)
        self._doubts.about(self._control.take_back(client.id, _NOBODY), self._grace_s)
        if self._store.clients.get(client.organization_id, client.id) is not None:
            here = [each.id for each in self._printers_of(client) if condition(each.reported) != "offline"]
            self._store.clients.note(client, False, text, seen=seen, device_ids=here)

    def _turn(self, client_id: str) -> asyncio.Lock:
        """One coming or going of a computer at a time."""
        turn = self._turns.get(client_id)
        if turn is None:
            turn = self._turns[client_id] = asyncio.Lock()
        return turn

    def _dismiss(self, client_id: str) -> None:
        if (line := self._lines.get(client_id)) is not None:
            line.end(REMOVED, "this computer was deleted")

    # -- listening --

    async def _listen(self, line: Line) -> None:
        async for message in line.socket:
            if line.deaf:
                continue  # told why already; the end of the connection is under way
            line.heard = time.monotonic()
            if isinstance(message, bytes):
                line.session.complain("messages are text (JSON)")
            elif len(message) > MESSAGE_MAX:
                await self._obey(line, await self._do(line.session.receive, message))
            else:
                await self._obey(line, line.session.receive(message))
            if line.over:
                line.session.take_outgoing()  # nobody reads any more
            else:
                await line.say()
            await asyncio.sleep(0)  # whoever talks without a pause takes his turn all the same

    async def _obey(self, line: Line, command: object) -> None:
        if isinstance(command, Said):
            await self._hear(line, command)
        elif isinstance(command, Printers) and not line.over:
            await self._know_printers(line, command)

    async def _know_printers(self, line: Line, command: Printers) -> None:
        devices = await self._do(self._report, line, command.told)
        if line.over:
            return
        self._postman.place(line, {device.id for device in devices})
        line.session.registered(len(devices))
        await line.say()
        line.named = True
        self._postman.look_at_all(line)

    async def _count_on_known_printers(self, line: Line) -> None:
        """A computer that names no printers has those it had."""
        line.named = True
        known = await self._do(self._printers_of, line.client)
        here = [device for device in known if not is_away(device.reported)]
        await self._do(self._report_again, line, here)
        if line.over:
            return
        self._postman.place(line, {device.id for device in here})
        self._postman.look_at_all(line)

    def _report(self, line: Line, told: dict[str, str]) -> list[Device]:
        return self._store.devices.report(line.client, told, away, state=condition, new=not line.named)

    def _report_again(self, line: Line, devices: list[Device]) -> None:
        told = {device.name: device.reported for device in devices if device.reported is not None}
        self._store.devices.report(line.client, told, lambda _: None, state=condition)

    def _printers_of(self, client: Client) -> list[Device]:
        return self._store.devices.page(client.organization_id, client_id=client.id, limit=-1)[0]

    async def _hear(self, line: Line, said: Said) -> None:
        try:
            job = await self._do(self._control.hear, line.client.id, said.job_id, said.launch, said.state, said.text)
        except BridgeError as error:
            line.session.complain(f"{said.shown}: {error.text}")
            return
        self._doubts.settle(job.id)
        if said.state is not State.SENDING:
            self._postman.ring_for(job.device_id)

    def _ask_back(self, line: Line, wire: str) -> None:
        """Ask a computer for a job it has; after what is on its way to it."""
        line.recalls.append(wire)
        self._postman.feed(line)
