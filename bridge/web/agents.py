"""Other machines that print for this bridge: who is connected, and what is handed to whom.

A job waits `queued` while its machine is away. It is claimed in the database before the last of it leaves, so that no
job a machine can have counts as never sent; when the connection ends without a word about it, it waits again. Sent a
second time it has the id it had, and the machine knows it. What a machine had begun to print is only asked about: it
stays as it is until the machine says more, and is in doubt when it has not for GRACE_S.

All of it runs in one event loop (see ws.py); the database is asked in a few threads beside it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridge.access.keys import KeyRing
from bridge.access.limits import Limiter, Window
from bridge.control import Control
from bridge.dialects.printcloud.agents import (
    Envelope,
    Hello,
    Printers,
    Said,
    Session,
    away,
    envelope,
    is_away,
)  # fmt: skip
from bridge.errors import BridgeError
from bridge.model import Client, Job, Key, State
from bridge.store import Store

log = logging.getLogger(__name__)

AUTH_S = 10.0  # seconds to say who one is
GRACE_S = 15 * 60.0  # seconds until a print of which nobody speaks any more is in doubt
BACK = 4  # times as long while its machine is connected again
SEEN_S = 60.0  # seconds between two signs of life in the database
UNNAMED_S = 5.0  # seconds after which the printers of before count, if a machine names none
SECOND_TIME_S = 0.5  # seconds for what a machine has still to say of its jobs, before they are sent again
TICK_S = 0.5
REPLACED_S = 1.0  # seconds the connection before gets to end properly
IN_FLIGHT = 3  # jobs a printer of another machine has at a time
COMPUTERS_MAX = 1000  # of one organization
MESSAGE_MAX = 16 * 1024  # characters before the computer is known; longer ones are read beside the loop
PIECE = 96 * 1024  # bytes of a document in one frame; a multiple of three, for base64
SMALL = 64 * 1024  # bytes of a document that is sent in one frame
THREADS = 4

REPLACED, REFUSED, SILENT, REVOKED, REMOVED = 4000, 4001, 4002, 4003, 4004
"""Why we closed a connection (RFC 6455, 7.4.2): the same computer has connected again; its key opens nothing; it did
not say who it is; its key was revoked; the computer was deleted."""
INTERNAL, TRY_LATER = 1011, 1013

_WRONG_KEYS = (Window(10, 60),)  # of one address, before answers take longer
_SLOWLY_S = 2.0
_NOBODY = "its computer went away before it said anything of it; it waits again"
_LOST = (
    "its computer had begun to print it when its connection ended, and has not said since how that went;"
    " look at the printer"
)
_KINDS = frozenset({"", "printcloud"})  # of keys that may be shown here

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Line:
    """A computer that is connected. due: printers that may take a job. named: it has told its printers."""

    socket: ServerConnection
    session: Session
    client: Client
    key_id: str
    since: float  # time.monotonic()
    printers: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    feeding: asyncio.Task[None] | None = None
    named: bool = False
    second_time: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """A job on its way. text: the whole message, already claimed. file: of a larger document, claimed at its end."""

    job: Job
    text: str | None = None
    envelope: Envelope | None = None
    file: BinaryIO | None = None


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A job that was being printed when a connection ended. due: time.monotonic()."""

    job: Job
    due: float


class Refused(Exception):
    """Who connects may not. The text says why."""


class Agents:
    """connected() and count may be asked by any thread; the rest belongs to the loop that called begin()."""

    def __init__(
        self, store: Store, control: Control, ring: KeyRing, *, self_client_id: str, grace_s: float = GRACE_S,
        auth_s: float = AUTH_S,
    ) -> None:  # fmt: skip
        self._store = store
        self._control = control
        self._ring = ring
        self._self_client_id = self_client_id
        self._grace_s = grace_s
        self._auth_s = auth_s
        self._lines: dict[str, Line] = {}
        self._places: dict[str, Line] = {}  # device -> the line of its computer
        self._turns: dict[str, asyncio.Lock] = {}
        self._doubts: dict[str, _Doubt] = {}  # by job
        self._wrong = Limiter(_WRONG_KEYS)
        self._registering = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._next_seen = 0.0

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
            self._ask_about(self._control.take_back(client_id, _NOBODY), self._grace_s)

    def _call(self, work: Callable[[str], None], argument: str) -> None:
        """Have the loop do something soon; nothing while there is none."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(work, argument)

    def _wanted_elsewhere(self, device_id: str) -> None:
        if device_id in self._places:
            self._call(self._ring_for, device_id)

    def _farewell(self, client_id: str) -> None:
        if client_id in self._lines:
            self._call(self._dismiss, client_id)

    # -- the loop's life --

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work in this loop from now on."""
        self._loop = loop
        self._threads = ThreadPoolExecutor(THREADS, "agents")
        self._lines.clear()
        self._places.clear()
        self._turns.clear()
        self._store.lanes.elsewhere = self._wanted_elsewhere
        self._control.farewell = self._farewell

    def end(self) -> None:
        """The loop is about to end; every conversation has."""
        self._store.lanes.elsewhere = self._control.farewell = lambda _: None
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
                self._close(line, REVOKED, "the API key was revoked")
            elif not line.named and now - line.since >= UNNAMED_S:
                line.named = True
                await self._count_on_known_printers(line)
        for doubt in [each for each in list(self._doubts.values()) if each.due <= now]:
            self._doubts.pop(doubt.job.id, None)
            await self._do(self._doubt, doubt.job)
        if now >= self._next_seen:
            self._next_seen = now + SEEN_S
            await self._show_life(lines)

    async def _show_life(self, lines: list[Line]) -> None:
        if lines:
            alive = await self._do(self._store.clients.seen, [line.client.id for line in lines], time.time())
            for line in lines:
                if line.client.id not in alive:
                    self._close(line, REMOVED, "this computer was deleted")
        await self._do(self._expire)

    def _expire(self) -> None:
        for job in self._store.handed.overdue(self._self_client_id, self._store.lanes.now()):
            self._control.expire(job.organization_id, job.id, job.launch, _TOO_LATE)

    def _doubt(self, job: Job) -> None:
        self._control.in_doubt(job.client_id, job.id, _LOST)

    def _ask_about(self, begun: Iterable[Job], patience_s: float) -> None:
        for job in begun:
            self._doubts[job.id] = _Doubt(job, time.monotonic() + patience_s)

    async def _do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Something that asks the disk, beside the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    # -- a conversation --

    async def converse(self, socket: ServerConnection, known: Callable[[], bool]) -> None:
        """From the first message to the end of the connection. known: makes a stranger a guest, False: no place."""
        session = Session()
        line = await self._meet(socket, session, known)
        if line is None:
            return
        try:
            await self._arrive(line)
            await self._listen(line)
        except ConnectionClosed:
            pass
        except Exception:
            log.exception("agents: the conversation with %s failed", line.client.hostname)
            self._close(line, INTERNAL, "something went wrong inside the bridge")
        finally:
            await asyncio.shield(self._leave(line))

    async def _meet(self, socket: ServerConnection, session: Session, known: Callable[[], bool]) -> Line | None:
        address = str((socket.remote_address or ("?",))[0])
        try:
            async with asyncio.timeout(self._auth_s):
                hello = session.receive(_first(await socket.recv()))
        except TimeoutError:
            session.refuse(f"nobody said who this is within {self._auth_s:g} seconds")
            await self._turn_away(socket, session, SILENT)
            return None
        except ConnectionClosed:
            return None
        try:
            if not isinstance(hello, Hello):
                await self._turn_away(socket, session, REFUSED)
                return None
            key = self._key_of(hello)
            client = await self._do(self._register, key, hello, address)
        except Refused as error:
            await self._slow_down(address)
            session.refuse(str(error))
            await self._turn_away(socket, session, REFUSED)
            return None
        if not known():
            session.refuse("too many computers are connected already")
            await self._turn_away(socket, session, TRY_LATER)
            return None
        return Line(socket, session, client, key.id, time.monotonic())

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
                    raise Refused(f"there are {COMPUTERS_MAX} computers already; delete one first")
                known = self._control.add_client(key.organization_id, hello.computer)
            if any(getattr(known, name) != value for name, value in told.items()):
                known = clients.update(key.organization_id, known.id, **told) or known
        return known

    async def _turn_away(self, socket: ServerConnection, session: Session, code: int) -> None:
        with suppress(ConnectionClosed):
            for text in session.take_outgoing():
                await socket.send(text)
            await socket.close(code)

    # -- coming and going --

    async def _arrive(self, line: Line) -> None:
        client = line.client
        async with self._turn(client.id):
            earlier = self._lines.get(client.id)
            self._lines[client.id] = line
            if earlier is not None:
                log.info("agents: %s has connected again; its connection of before is closed", client.hostname)
                await self._replace(earlier)
            waiting = await self._do(self._begin_again, client, earlier is None)
            line.second_time = waiting
        line.session.welcome(client.id)
        await self._say(line)

    def _begin_again(self, client: Client, new: bool) -> bool:
        """What the computer has to be asked for; whether jobs it may have already wait for it."""
        begun = self._control.take_back(client.id, _NOBODY)
        self._ask_about(begun, self._grace_s * BACK)
        if new:
            log.info("agents: %s is connected", client.hostname)
            self._store.clients.note(client, "connected", f"{client.hostname} is connected")
        return self._store.handed.has_twice(client.id)

    async def _replace(self, earlier: Line) -> None:
        earlier.session.complain("this computer has connected again elsewhere")
        earlier.over = True
        try:
            async with asyncio.timeout(REPLACED_S):
                await self._turn_away(earlier.socket, earlier.session, REPLACED)
        except TimeoutError:
            earlier.socket.transport.abort()
        await self._stop_feeding(earlier)

    async def _leave(self, line: Line) -> None:
        client = line.client
        line.over = True
        line.socket.transport.abort()  # whoever still sends to it is told so
        await self._stop_feeding(line)
        async with self._turn(client.id):
            if self._lines.get(client.id) is not line:
                return
            del self._lines[client.id]
            for device_id in line.printers:
                self._places.pop(device_id, None)
            try:
                await self._do(self._let_go, client)
            except Exception:
                log.exception("agents: %s is gone, which could not be written down", client.hostname)
        if client.id not in self._lines:
            self._turns.pop(client.id, None)

    def _let_go(self, client: Client) -> None:
        log.info("agents: %s is gone", client.hostname)
        self._ask_about(self._control.take_back(client.id, _NOBODY), self._grace_s)
        if self._store.clients.get(client.organization_id, client.id) is not None:
            self._store.clients.note(client, "disconnected", f"{client.hostname} is gone")

    def _turn(self, client_id: str) -> asyncio.Lock:
        """One coming or going of a computer at a time."""
        return self._turns.setdefault(client_id, asyncio.Lock())

    async def _stop_feeding(self, line: Line) -> None:
        if line.feeding is not None:
            await asyncio.wait([line.feeding])  # never cancelled: what it claims has to be known

    def _close(self, line: Line, code: int, why: str) -> None:
        """End a connection, and do not wait for it."""
        if line.over:
            return
        line.over = True
        line.session.complain(why)
        log.info("agents: the connection of %s is closed: %s", line.client.hostname, why)
        task = asyncio.ensure_future(self._turn_away(line.socket, line.session, code))
        asyncio.get_running_loop().call_later(REPLACED_S, line.socket.transport.abort)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _dismiss(self, client_id: str) -> None:
        if (line := self._lines.get(client_id)) is not None:
            self._close(line, REMOVED, "this computer was deleted")

    # -- listening --

    async def _listen(self, line: Line) -> None:
        async for message in line.socket:
            if line.over:
                continue  # told why already; the end of the connection is under way
            if isinstance(message, bytes):
                line.session.complain("messages are text (JSON)")
            elif len(message) > MESSAGE_MAX:
                await self._obey(line, await self._do(line.session.receive, message))
            else:
                await self._obey(line, line.session.receive(message))
            await self._say(line)
            await asyncio.sleep(0)  # whoever talks without a pause takes his turn all the same

    async def _say(self, line: Line) -> None:
        for text in line.session.take_outgoing():
            await line.socket.send(text)

    async def _obey(self, line: Line, command: object) -> None:
        if isinstance(command, Printers):
            await self._know_printers(line, command)
        elif isinstance(command, Said):
            await self._hear(line, command)

    async def _know_printers(self, line: Line, command: Printers) -> None:
        devices = await self._do(self._store.devices.report, line.client, command.told, away)
        self._place(line, {device.id for device in devices})
        line.session.registered(len(devices))
        await self._say(line)
        line.named = True
        self._look_at_all(line)

    async def _count_on_known_printers(self, line: Line) -> None:
        """A computer that names no printers has those it had."""
        found, _ = await self._do(self._printers_of, line.client)
        self._place(line, {device.id for device in found if not is_away(device.reported)})
        self._look_at_all(line)

    def _printers_of(self, client: Client) -> Any:
        return self._store.devices.page(client.organization_id, client_id=client.id, limit=-1)

    def _place(self, line: Line, device_ids: set[str]) -> None:
        for device_id in line.printers - device_ids:
            self._places.pop(device_id, None)
        line.printers = device_ids
        self._places.update(dict.fromkeys(device_ids, line))

    async def _hear(self, line: Line, said: Said) -> None:
        try:
            job = await self._do(self._control.hear, line.client.id, said.job_id, said.launch, said.state, said.text)
        except BridgeError as error:
            line.session.complain(f"{said.shown}: {error.text}")
            return
        self._doubts.pop(job.id, None)
        if said.state is not State.SENDING:
            self._ring_for(job.device_id)

    # -- handing over --

    def _look_at_all(self, line: Line) -> None:
        line.due |= line.printers
        if line.second_time:
            asyncio.get_running_loop().call_later(SECOND_TIME_S, self._send_again, line)
        self._feed(line)

    def _send_again(self, line: Line) -> None:
        line.second_time = False
        self._feed(line)

    def _ring_for(self, device_id: str) -> None:
        """There may be something to do for a printer."""
        line = self._places.get(device_id)
        if line is not None:
            line.due.add(device_id)
            self._feed(line)

    def _feed(self, line: Line) -> None:
        if not line.second_time and not line.over and (line.feeding is None or line.feeding.done()):
            line.feeding = asyncio.get_running_loop().create_task(self._hand_over_all(line))

    async def _hand_over_all(self, line: Line) -> None:
        """Until no printer of this computer can take more. Never raises."""
        try:
            while line.due and not line.over:
                device_id = line.due.pop()
                while not line.over and (parcel := await self._do(self._take, line.client, device_id)) is not None:
                    await self._send(line, parcel)
        except ConnectionClosed:
            line.over = True
        except Exception:
            log.exception("agents: jobs could not be handed to %s", line.client.hostname)
            self._close(line, INTERNAL, "something went wrong inside the bridge")

    def _take(self, client: Client, device_id: str) -> Parcel | None:
        """The next job for a printer; None when there is none, or the printer has enough."""
        while True:
            forgotten = sum(each.job.device_id == device_id for each in list(self._doubts.values()))
            job = self._store.handed.next(device_id, IN_FLIGHT + forgotten)
            # In this order: a printer that was paused before the job came is seen to be paused.
            device = self._store.devices.get(client.organization_id, device_id)
            if device is None or device.paused or device.client_id != client.id or is_away(device.reported):
                return None
            if job is None:
                return None
            if job.expires_at is not None and job.expires_at < self._store.lanes.now():
                self._control.expire(job.organization_id, job.id, job.launch, _TOO_LATE)
            elif (parcel := self._pack(job)) is not None:
                return parcel

    def _pack(self, job: Job) -> Parcel | None:
        """The message, or the beginning of a large one. None: the job waits no more, it failed or was called back."""
        cover = envelope(job, again=self._store.handed.first_launch(job) not in (None, job.launch))
        if cover is None:
            self._control.fail(job, f"its computer prints PDF and printer code, and this is a {job.kind}: "
                               "send it as one of those, or to a printer of this machine")  # fmt: skip
            return None
        if cover.uri is not None:
            return self._whole(job, cover, cover.uri)
        body = self._store.jobs.body(job.organization_id, job.id)
        if body is None:
            try:
                file = self._store.spool.document(job.id).open("rb")
            except FileNotFoundError:
                self._control.fail(job, "its document is not here any more: send it again as a new job")
                return None
            if (job.size or 0) > SMALL:
                return Parcel(job, None, cover, file)
            with file:
                body = file.read()
        return self._whole(job, cover, base64.b64encode(body).decode())

    def _whole(self, job: Job, cover: Envelope, content: str) -> Parcel | None:
        if self._store.handed.begin(job) is None:
            return None
        return Parcel(job, f"{cover.head}{content}{cover.tail}")

    async def _send(self, line: Line, parcel: Parcel) -> None:
        if parcel.text is not None:
            await line.socket.send(parcel.text)
        elif parcel.file is not None and parcel.envelope is not None:
            with parcel.file:
                await line.socket.send(self._pieces(parcel.job, parcel.envelope, parcel.file))

    async def _pieces(self, job: Job, cover: Envelope, file: BinaryIO) -> AsyncIterator[str]:
        """A large document, piece by piece: a computer that reads slowly keeps no more than one in memory."""
        yield cover.head
        while piece := await self._do(file.read, PIECE):
            yield base64.b64encode(piece).decode()
        claimed = await self._do(self._store.handed.begin, job)
        yield cover.tail if claimed is not None else cover.withdrawn


_TOO_LATE = "its time was over before its computer could get it"


def _first(message: str | bytes) -> str:
    """The first message, which nobody needs to be long."""
    return message if isinstance(message, str) and len(message) <= MESSAGE_MAX else ""
