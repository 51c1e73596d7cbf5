"""Every command on what exists: launch, cancel, hold, release, move, resolve, pause; clients and devices."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

from bridge.errors import Conflict, Forbidden, Invalid, NotFound
from bridge.model import ENDED, PRINTER, WAITING, Client, Device, Job, State
from bridge.store import Store
from bridge.store.handed import HANDED, HEARD, KEPT

Answer = Literal["printed", "again", "cancel"]

_MOVABLE = (State.CREATED, State.QUEUED, State.PREPARING, State.HELD)
_CANCELLABLE = (State.CREATED, State.QUEUED, State.PREPARING, State.HELD)
_UNDER_WAY = (State.QUEUED, State.PREPARING, State.HELD, State.SENDING, State.UNCONFIRMED)


def _before_printing(job: Job) -> tuple[State, ...]:
    """Where a job may be for the news that its machine prints it. Said once is enough."""
    told = job.state is State.SENDING and job.evidence == HEARD
    return () if told else _UNDER_WAY


_BEFORE: dict[State, Callable[[Job], tuple[State, ...]]] = {
    State.SENDING: _before_printing,
    # Out is out, whatever was said or done before.
    State.DELIVERED: lambda job: (*_UNDER_WAY, State.FAILED, State.CANCELLED, State.EXPIRED),
    State.FAILED: lambda job: _UNDER_WAY,
    State.CANCELLED: lambda job: _UNDER_WAY,
}


class Control:
    """Commands. Each is durable when it returns and raises a BridgeError that says why it cannot be done.

    farewell: told the client that was deleted, in case it is connected. recall: asks the computer of a job to give it
    back; whether that one can be asked. signs: when each client last asked for something by HTTP, time.monotonic().
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.farewell: Callable[[str], None] = lambda client_id: None
        self.recall: Callable[[Job], bool] = lambda job: False
        self.signs: dict[str, float] = {}
        self._pausing = threading.Lock()

    # -- jobs --

    def job(self, organization_id: str, job_id: str) -> Job:
        """The job, or NotFound."""
        job = self._store.jobs.get(organization_id, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id[:64]!r}", field="job_id")
        return job

    def launch(self, organization_id: str, job_id: str) -> Job:
        """Queue a created job, or print an ended one once more. A job already on its way stays as it is.

        Raises Conflict while it is unconfirmed: then a person must say first what came out.
        """
        job = self.job(organization_id, job_id)
        if job.state is State.UNCONFIRMED:
            raise Conflict(
                f"job {job.id} may already have printed ({job.text})",
                remedy=f"look at the printer, then answer POST /v1/jobs/{job.id}/resolve: printed, again or cancel",
                code="unconfirmed",
            )
        if job.state is State.HELD:
            return self.release(organization_id, job_id)
        if job.state not in ENDED and job.state is not State.CREATED:
            return job
        if job.size is None and job.url is None:
            raise Invalid("the job has no document", field="payload", remedy="give it a document first")
        if job.document_gone:
            raise Conflict(f"the document of job {job.id} is not kept any more", code="document_gone",
                           remedy="send it again as a new job, or raise documents_h under [retention]")  # fmt: skip
        return self._queue(job, "launched again" if job.launch else "", duplicate=self._may_be_out(job))

    def _may_be_out(self, job: Job) -> bool:
        """Whether a label of it can have come out before. Cut-off and half-drawn jobs count."""
        attempts = self._store.jobs.attempts(job.organization_id, job.id)
        return job.state in (State.DELIVERED, State.PRINTED) or any(each["bytes_sent"] != 0 for each in attempts)

    def cancel(self, organization_id: str, job_id: str) -> Job:
        """Stop a job: at once while it waits, at the next chunk while it is being sent.

        Raises Conflict for a job that has ended, or that another machine has which cannot be asked to give it back.
        """
        job = self.job(organization_id, job_id)
        if job.state is State.CANCELLED:
            return job
        if job.state is State.UNCONFIRMED:
            return self.resolve(organization_id, job_id, "cancel")
        if self.is_elsewhere(job):
            return self._call_back(job)
        if job.state is State.SENDING:
            self._store.lanes.stop(job.id, job.launch)  # the worker writes the end: only it knows how much had left
            return job
        text = KEPT if job.evidence == HANDED else "cancelled before anything was sent"
        moved = self._store.jobs.move(organization_id, job_id, _CANCELLABLE, State.CANCELLED, text=text)
        if moved is None:
            now = self.job(organization_id, job_id)
            if now.state is State.SENDING:
                return self.cancel(organization_id, job_id)
            raise Conflict(f"job {job_id} is {now.state}; there is nothing left to cancel", code="already_ended")
        self._store.lanes.stop(job_id, moved.launch)
        return moved

    def is_elsewhere(self, job: Job) -> bool:
        """Whether another machine has the job now: to print it, or printing it."""
        under_way = job.state is State.SENDING or (job.state is State.PREPARING and job.evidence == HEARD)
        return under_way and self._store.lanes.lane(job.device_id) is None

    def _call_back(self, job: Job) -> Job:
        """Ask the machine that has a job for it; only that one knows how it ends. Raises Conflict when it cannot be."""
        marked = self._store.handed.call_back(job)
        if marked is None:
            return self.cancel(job.organization_id, job.id)
        self._store.lanes.elsewhere(job.device_id)  # which may take another one now: nobody waits for this one
        if not self.recall(marked):
            raise Conflict(f"job {job.id} is with its computer already and cannot be called back", code="handed_over",
                           remedy="stop it there; it is not handed over again if that computer goes away")  # fmt: skip
        return marked

    # -- jobs that wait for a person --

    def hold(self, organization_id: str, job_id: str) -> Job:
        """Keep a waiting job back until it is released. Raises Conflict once it is being sent or over."""
        job = self.job(organization_id, job_id)
        if job.state is State.HELD:
            return job
        moved = self._store.jobs.move(
            organization_id, job_id, WAITING, State.HELD, launch=job.launch, reason="release",
            text="held by a person; release it to print it",
        )
        if moved is None:
            now = self.job(organization_id, job_id)
            raise Conflict(f"job {job_id} is {now.state}; only a job that waits for its printer can be held",
                           remedy="cancel it instead, or launch it first", code="not_waiting")  # fmt: skip
        self._store.lanes.stop(job_id, moved.launch)
        return moved

    def release(self, organization_id: str, job_id: str) -> Job:
        """Let a held job go on to its printer. Raises Conflict when it is not held."""
        job = self.job(organization_id, job_id)
        if job.state is not State.HELD:
            raise Conflict(f"job {job.id} is {job.state}, not held", code="not_held",
                           remedy="nothing has to be released; look at the job's state")  # fmt: skip
        if job.document_gone:
            raise Conflict(f"the document of job {job.id} is not kept any more", code="document_gone",
                           remedy="cancel it and send it again as a new job")  # fmt: skip
        return self._queue(job, "released by a person", duplicate=self._may_be_out(job))

    def release_all(self, organization_id: str, *, device_id: str | None = None, reason: str | None = None) -> int:
        """Release every held job of a printer, or held for a reason. How many there were."""
        return self._each_held(self.release, organization_id, device_id, reason)

    def discard_all(self, organization_id: str, *, device_id: str | None = None, reason: str | None = None) -> int:
        """Cancel every held job of a printer, or held for a reason. How many there were."""
        return self._each_held(self.cancel, organization_id, device_id, reason)

    def _each_held(
        self, command: Callable[[str, str], Job], organization_id: str, device_id: str | None, reason: str | None
    ) -> int:
        done = 0
        for job_id in self._store.jobs.held(organization_id, device_id=device_id, reason=reason):
            with suppress(Conflict, NotFound):  # somebody else was faster with that one, or its document is gone
                command(organization_id, job_id)
                done += 1
        return done

    def move(self, organization_id: str, job_id: str, device: Device) -> Job:
        """Give a job that was not sent yet to another printer. Raises Conflict, Invalid."""
        job = self.job(organization_id, job_id)
        if device.device_type != PRINTER or device.id == job.device_id:
            raise Invalid(f"job {job.id} is already at {device.name}" if device.id == job.device_id else
                          f"{device.name} is no printer", field="printer", remedy="name another printer")  # fmt: skip
        text = f"moved from {job.device_name} to {device.name}"
        moved = self._store.jobs.transfer(job, device, _MOVABLE, text)
        if moved is None:
            now = self.job(organization_id, job_id)
            raise Conflict(f"job {job_id} is {now.state}; it can no longer be moved", code="already_sent",
                           remedy="reprint it on the other printer if it is not out")  # fmt: skip
        self._store.lanes.stop(job_id, job.launch)
        if moved.state in WAITING:
            self._store.lanes.push(moved)
        return moved

    def expire(self, organization_id: str, job_id: str, launch: int, text: str) -> None:
        """The job's own time is over before it was sent."""
        if self._store.jobs.move(organization_id, job_id, WAITING, State.EXPIRED, launch=launch, text=text):
            self._store.lanes.stop(job_id, launch)

    def resolve(self, organization_id: str, job_id: str, answer: Answer) -> Job:
        """A person says what became of an unconfirmed job."""
        job = self.job(organization_id, job_id)
        if job.state is not State.UNCONFIRMED:
            raise Conflict(f"job {job.id} is {job.state}, not unconfirmed: there is no doubt to resolve",
                           code="not_unconfirmed")  # fmt: skip
        if answer == "again":
            return self._queue(job, "a person asked for these labels again", duplicate=True)
        to = State.DELIVERED if answer == "printed" else State.CANCELLED
        text = "a person said that it printed" if answer == "printed" else f"given up by a person; {job.text}"
        moved = self._store.jobs.move(
            organization_id, job_id, (State.UNCONFIRMED,), to, evidence="person", text=text
        )
        if moved is None:
            return self.resolve(organization_id, job_id, answer)
        return moved

    def _queue(self, job: Job, text: str, *, duplicate: bool) -> Job:
        queued = self._store.jobs.launch(
            job.organization_id, job.id, text=text, duplicate=duplicate, allowed=(job.state,)
        )
        if queued is None:
            return self.job(job.organization_id, job.id)  # somebody else was faster: theirs counts
        self._store.lanes.push(queued)
        return queued

    def delete(self, organization_id: str, job_id: str) -> None:
        """Cancel a job if it has not ended, and forget it. Raises Conflict while its bytes are on their way."""
        job = self.job(organization_id, job_id)
        elsewhere = self.is_elsewhere(job)
        if job.state in _CANCELLABLE and not elsewhere:
            job = self.cancel(organization_id, job_id)
        elif elsewhere and self._store.handed.has(job):
            job = self.cancel(organization_id, job_id)
            if job.state is State.SENDING:
                raise Conflict(f"the computer that has job {job_id} is asked to give it back", code="sending",
                               remedy="delete it when it has ended")  # fmt: skip
        # A machine that asks for its jobs may never say how one ended: that one can be forgotten at any time.
        if job.state is State.SENDING and self._store.lanes.lane(job.device_id) is not None:
            raise Conflict(f"job {job_id} is being sent right now", remedy="cancel it, or wait until it has ended",
                           code="sending")  # fmt: skip
        if job.state is State.UNCONFIRMED:
            raise Conflict(f"job {job_id} may already have printed ({job.text})", code="unconfirmed",
                           remedy=f"answer that first: POST /v1/jobs/{job_id}/resolve")  # fmt: skip
        if not self._store.jobs.delete(organization_id, job_id, (*ENDED, job.state)):
            raise Conflict(f"job {job_id} has been launched again just now", remedy="cancel it first", code="sending")
        self._store.spool.forget(job_id)

    def report(self, organization_id: str, job_id: str, to: State, text: str) -> Job:
        """What another machine says of a job we serve it. Raises Conflict for a job this machine prints itself."""
        job = self.job(organization_id, job_id)
        if self._store.lanes.lane(job.device_id) is not None:
            raise Conflict(f"this bridge prints job {job_id} itself and knows best how it stands", code="own_job")
        moved = self._store.jobs.move(
            organization_id, job_id, set(State) - {State.CANCELLED}, to, text=text, evidence="client"
        )
        return moved or self.job(organization_id, job_id)

    # -- jobs handed to other machines --

    def hear(self, client_id: str, job_id: str, launch: int | None, to: State, text: str) -> Job:
        """What a machine says of a job it was handed: that it prints it, printed it or could not. Durable on return.

        launch: None for the one in which it was first handed over.

        Old news changes nothing: machines repeat themselves, and what was printed stays printed. Raises NotFound for
        a job that it was never handed.
        """
        job = self._store.handed.get(client_id, job_id)
        first = self._store.handed.first_launch(job) if job is not None else None
        if job is None or first is None or (launch or first) > job.launch:
            raise NotFound(f"there is no job {job_id[:64]!r} for this computer", field="job_id")
        if (launch or first) < job.launch:
            return job
        return self._store.handed.say(job, _BEFORE[to](job), to, text) or job

    def take_back(self, client_id: str, text: str) -> list[Job]:
        """A machine is gone: what it was handed and said nothing of waits again. Gives what it had begun to print."""
        return [job for job in self._store.handed.open(client_id) if not self._store.handed.take_back(job, text)]

    def in_doubt(self, client_id: str, job_id: str, text: str) -> None:
        """A machine that had begun to print a job went away and says nothing of it any more."""
        for job in self._store.handed.open(client_id):
            if job.id == job_id:
                self._store.jobs.end_attempt(
                    job, job.attempts, State.UNCONFIRMED, bytes_sent=None, evidence="cut", text=text
                )()

    def fail(self, job: Job, text: str) -> None:
        """A job that waits can never be handed to its machine."""
        self._store.jobs.move(
            job.organization_id, job.id, (State.QUEUED,), State.FAILED, launch=job.launch, text=text
        )

    # -- printers --

    def pause(self, organization_id: str, device_id: str, reason: str) -> Device:
        """Send nothing more to this printer until resumed; kept across restarts."""
        return self._pause(organization_id, device_id, reason.strip()[:200])

    def resume(self, organization_id: str, device_id: str) -> Device:
        return self._pause(organization_id, device_id, None)

    def _pause(self, organization_id: str, device_id: str, reason: str | None) -> Device:
        with self._pausing:  # one at a time, or memory and disk may end up with different answers
            device = self._store.devices.pause(organization_id, device_id, reason)
            if device is None:
                raise _no_device(device_id)
            self._store.lanes.pause(device_id, device.paused)
        return device

    def device(self, organization_id: str, device_id: str) -> Device:
        """The device, or NotFound."""
        device = self._store.devices.get(organization_id, device_id)
        if device is None:
            raise _no_device(device_id)
        return device

    def _own_device(self, organization_id: str, device_id: str) -> Device:
        """The device, if it is not a lent one. Raises NotFound, Forbidden."""
        device = self.device(organization_id, device_id)
        if device.organization_id != organization_id:
            raise Forbidden(f"{device.name} belongs to another organization, which lends it", code="lent",
                            remedy="print on it; for anything else ask that organization")  # fmt: skip
        return device

    def add_device(self, organization_id: str, client_id: str, name: str, **columns: Any) -> Device:
        """Register a device of a client. Raises Conflict when the client has one of that name."""
        self.client(organization_id, client_id)
        try:
            return self._store.devices.add(organization_id, client_id, name, **columns)
        except sqlite3.IntegrityError as error:
            raise Conflict(f"this client already has a device called {name!r}", field="name",
                           remedy="use that one, or another name", code="name_taken") from error  # fmt: skip

    def change_device(self, organization_id: str, device_id: str, **columns: Any) -> Device:
        device = self._own_device(organization_id, device_id)
        if device.from_config and "name" in columns and columns["name"] != device.name:
            raise Conflict(f"{device.name} is set up in this bridge's configuration", field="name",
                           remedy="rename it there; `id =` keeps its id", code="from_config")  # fmt: skip
        return self._integral(
            lambda: self._store.devices.update(organization_id, device_id, **columns), device_id
        )

    def delete_device(self, organization_id: str, device_id: str) -> None:
        device = self._own_device(organization_id, device_id)
        if device.from_config:
            raise Conflict(f"{device.name} is set up in this bridge's configuration", remedy="remove it there",
                           code="from_config")  # fmt: skip
        self._give_up(device)
        self._store.devices.delete(organization_id, device_id)

    def _give_up(self, device: Device) -> None:
        """Nobody will ever print what waits for this device: say so."""
        for job in list(self._store.jobs.waiting(device.id)):
            text = f"its printer {device.name} was deleted before anything was sent"
            self._store.jobs.move(job.organization_id, job.id, WAITING, State.CANCELLED, text=text)

    def _integral(self, change: Callable[[], Device | None], device_id: str) -> Device:
        try:
            device = change()
        except sqlite3.IntegrityError as error:
            raise Conflict("this client already has a device of that name", field="name", code="name_taken") from error
        if device is None:
            raise _no_device(device_id)
        return device

    # -- clients --

    def client(self, organization_id: str, client_id: str) -> Client:
        """The client, or NotFound."""
        client = self._store.clients.get(organization_id, client_id)
        if client is None:
            raise NotFound(f"there is no client {client_id[:64]!r}", field="client_id")
        return client

    def add_client(self, organization_id: str, hostname: str, **columns: Any) -> Client:
        """Register a machine. client_id may be its own choice. Raises Conflict when that id is taken elsewhere."""
        try:
            return self._store.clients.add(organization_id, hostname, **columns)
        except sqlite3.IntegrityError as error:
            raise Conflict("this client_id cannot be used", field="client_id", code="id_taken",
                           remedy="leave it out and one will be given") from error  # fmt: skip

    def change_client(self, organization_id: str, client_id: str, **columns: Any) -> Client:
        client = self._store.clients.update(organization_id, client_id, **columns)
        if client is None:
            raise NotFound(f"there is no client {client_id[:64]!r}", field="client_id")
        return client

    def delete_client(self, organization_id: str, client_id: str) -> None:
        if self.client(organization_id, client_id).is_self:
            raise Conflict("this client is the machine the bridge runs on", code="is_self")
        for device in self._store.devices.page(organization_id, client_id=client_id, limit=-1)[0]:
            self._give_up(device)
            self._store.devices.delete(organization_id, device.id)
        self._store.clients.delete(organization_id, client_id)
        self.farewell(client_id)

    def seen(self, organization_id: str, client_id: str) -> None:
        """A client has shown itself."""
        self.signs[client_id] = time.monotonic()
        self._store.clients.update(organization_id, client_id, last_seen=time.time())


def _no_device(device_id: str) -> NotFound:
    return NotFound(f"there is no device {device_id[:64]!r}", field="device_id",
                    remedy="list the devices to see which there are")  # fmt: skip
