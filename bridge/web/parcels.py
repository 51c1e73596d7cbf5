"""A job on its way to another machine: which one is next, the message it becomes, and how that is sent.

A job is claimed in the database before the last of it leaves, so that no job a machine can have counts as never sent.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol, TypeVar

from websockets.asyncio.server import ServerConnection

from bridge.control import Control
from bridge.dialects.printcloud.agents import Envelope, envelope, is_away
from bridge.model import Client, Job
from bridge.store import Store

IN_FLIGHT = 3  # jobs a printer of another machine has at a time
PIECE = 96 * 1024  # bytes of a document in one frame; a multiple of three, for base64
SMALL = 64 * 1024  # bytes of a document that is sent in one frame
TOO_LATE = "its time was over before its computer could get it"

T = TypeVar("T")


class Beside(Protocol):
    """Does something that asks the disk, beside the loop."""

    def __call__(self, work: Callable[..., T], *arguments: Any) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """text: the whole message of a job that is claimed. file: of a larger document, claimed at its end."""

    job: Job
    text: str | None = None
    envelope: Envelope | None = None
    file: BinaryIO | None = None


class Parcels:
    """take asks the disk, and may be called by any thread; send belongs to the loop."""

    def __init__(self, store: Store, control: Control, beside: Beside) -> None:
        self._store = store
        self._control = control
        self._beside = beside

    def take(self, client: Client, device_id: str, forgotten: int) -> Parcel | None:
        """The next job for a printer; None when there is none, or the printer has enough.

        forgotten: jobs it has of which its machine speaks no more.
        """
        while True:
            job = self._store.handed.next(device_id, IN_FLIGHT + forgotten)
            # In this order: a printer that was paused before the job came is seen to be paused.
            device = self._store.devices.get(client.organization_id, device_id)
            if device is None or device.paused or device.client_id != client.id or is_away(device.reported):
                return None
            if job is None:
                return None
            if job.expires_at is not None and job.expires_at < self._store.lanes.now():
                self._control.expire(job.organization_id, job.id, job.launch, TOO_LATE)
            elif (parcel := self._pack(job)) is not None:
                return parcel

    def _pack(self, job: Job) -> Parcel | None:
        """The message, or the beginning of a large one. None: the job waits no more, it failed or was called back."""
        cover = envelope(job, again=self.is_again(job))
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

    def is_again(self, job: Job) -> bool:
        """Whether an earlier launch of it was handed over, to whomever."""
        return self._store.handed.first_launch(job) not in (None, job.launch)

    def _whole(self, job: Job, cover: Envelope, content: str) -> Parcel | None:
        if self._store.handed.begin(job) is None:
            return None
        return Parcel(job, f"{cover.head}{content}{cover.tail}")

    async def send(self, socket: ServerConnection, parcel: Parcel) -> None:
        """Raises ConnectionClosed."""
        if parcel.text is not None:
            await socket.send(parcel.text)
        elif parcel.file is not None and parcel.envelope is not None:
            with parcel.file:
                await socket.send(self._pieces(parcel.job, parcel.envelope, parcel.file))

    async def _pieces(self, job: Job, cover: Envelope, file: BinaryIO) -> AsyncIterator[str]:
        """A large document, piece by piece: a computer that reads slowly keeps no more than one in memory."""
        yield cover.head
        while piece := await self._beside(file.read, PIECE):
            yield base64.b64encode(piece).decode()
        claimed = await self._beside(self._store.handed.begin, job)
        yield cover.tail if claimed is not None else cover.withdrawn
