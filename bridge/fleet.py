"""The printers of this machine: a device row, a lane and a worker for each, set up and changed while the bridge runs.

Those of the configuration come and go with it; those added at run time are kept in their device's row. Whatever is
changed, the jobs stay: what was drawn for the old settings is drawn again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from bridge.config import PrinterConfig
from bridge.control import Control
from bridge.deliver.language import KNOWN_LANGUAGES
from bridge.deliver.worker import Worker
from bridge.errors import Conflict, Invalid, NotFound
from bridge.model import PRINTER, WAITING, Device, Job, PrinterState, State
from bridge.prepare.pictures import virtual_pictures
from bridge.store import Store
from devices import transports
from devices.contracts import Media, Settings, Tuning
from devices.errors import BadPrinterUri
from devices.printer import Printer
from devices.profiles import profile

log = logging.getLogger(__name__)

RETIRE_S = 10.0  # seconds the label being sent gets to end before a change of its printer is refused
_LINE_BY_LINE = ("zpl", "epl2", "tspl", "cpcl")
"""Languages in which one more line end between two labels means nothing."""

_OPEN = (*WAITING, State.CREATED, State.HELD, State.SENDING, State.UNCONFIRMED)


def why_not(wanted: PrinterConfig) -> str | None:
    """What is wrong with a printer's settings beyond their form; None when nothing is."""
    try:
        transports.check(wanted.uri)
    except BadPrinterUri as error:
        return f"printer {wanted.name!r}: {error}"
    if wanted.language not in KNOWN_LANGUAGES:
        known = f"use one of {', '.join(sorted(KNOWN_LANGUAGES))}"
        return f"printer {wanted.name!r}: unknown language {wanted.language!r}; {known}"
    try:
        profile(wanted.profile)
    except ValueError as error:
        return f"printer {wanted.name!r}: {error}"
    return None


def misfit(wanted: PrinterConfig) -> Invalid | None:
    """A receipt printer with a resolution that is not its profile's: what it prints comes out in another size.

    Only paper wider than the head is no misfit: 80 mm rolls have 72 mm to print on (see _media).
    """
    media, head = Media(wanted.dpi, wanted.width_mm), profile(wanted.profile)
    if wanted.language != "escpos" or wanted.dpi == head.dpi or media.width <= head.dots:
        return None
    return Invalid(
        f"printer {wanted.name!r}: {wanted.width_mm:g} mm at {wanted.dpi} dpi are {media.width:,} dots, and the head of"
        f" the profile {head.name!r} has {head.dots:,} ({head.width_mm:g} mm at {head.dpi} dpi)",
        field="dpi", remedy=f"write dpi = {head.dpi}",
    )  # fmt: skip


def twin_of(wanted: PrinterConfig, others: Iterable[PrinterConfig]) -> PrinterConfig | None:
    """The one among `others` that is the same piece of hardware."""
    if not transports.is_device(wanted.uri):
        return None
    same = transports.identity(wanted.uri)
    return next(
        (each for each in others if transports.identity(each.uri) == same or _may_be_one(each.uri, wanted.uri)), None
    )


def _may_be_one(one: str, other: str) -> bool:
    """Whether two USB addresses of one model cannot be told apart: "the only one" and one of them by name."""
    if not (one.lower().startswith("usb:") and other.lower().startswith("usb:")):
        return False
    from devices.usb.address import parse

    first, second = parse(one), parse(other)
    nameless = any(each.serial is None and each.port is None for each in (first, second))
    return nameless and (first.vendor, first.product) == (second.vendor, second.product)


class Fleet:
    """Every printer this machine drives. printers: by device id, always as they are now."""

    def __init__(self, store: Store, control: Control, *, organization_id: str, client_id: str, folder: Path) -> None:
        """folder: the data folder, for virtual printers."""
        self.printers: dict[str, Printer] = {}
        self.workers: dict[str, Worker] = {}
        self._store = store
        self._control = control
        self._organization_id, self._client_id = organization_id, client_id
        self._folder = folder
        self._set_up: dict[str, PrinterConfig] = {}
        self._changing = threading.RLock()  # one change at a time
        self._running = False

    # -- starting and stopping --

    def assemble(self, configured: Sequence[PrinterConfig]) -> None:
        """Rows, lanes and workers for all printers; nothing moves yet."""
        for wanted in configured:
            self._open(self._row(wanted), wanted)
        self._let_go_of_others()
        for device, wanted in self._added():
            self._open(device, wanted)

    def go(self) -> None:
        """Queue what waits and let the workers begin."""
        with self._changing:  # the door is open already: somebody may be adding a printer
            self._running = True
            for device_id in self.printers:
                self._begin(device_id)

    def stop(self, patience_s: float) -> None:
        """What is being sent may end, for so long. The lanes are closed."""
        deadline, workers = time.monotonic() + patience_s, list(self.workers.values())
        for worker in workers:
            worker.wait(max(0.0, deadline - time.monotonic()))
        for worker in workers:
            worker.cut_off()
        for worker in workers:
            worker.wait(3)

    # -- looking --

    def addresses(self) -> dict[str, str]:
        """Identity of an address -> the name of the printer that has it."""
        return {transports.identity(each.uri): each.name for each in list(self._set_up.values())}

    def hosts(self) -> frozenset[str]:
        """The hosts of the network printers: they may be printing, so they are left alone."""
        return frozenset(urlsplit(each.uri).hostname or "" for each in list(self._set_up.values()))

    def network_printers(self) -> list[tuple[str, str]]:
        """(device id, present uri) of every printer with an address on the network."""
        return [(key, each.uri) for key, each in list(self.printers.items()) if each.uri.startswith("tcp://")]

    def state(self, device_id: str) -> PrinterState | None:
        """How its worker sees a printer now."""
        lane = self._store.lanes.lane(device_id)
        return lane.state if lane is not None else None

    def has_answered(self, device_id: str) -> bool:
        """Whether the last job of a printer got through."""
        lane = self._store.lanes.lane(device_id)
        return lane is not None and lane.eager

    def known_by(self, device_id: str) -> tuple[str | None, str | None]:
        """(mDNS name, MAC) by which a printer is found again, where the settings say so."""
        wanted = self._set_up[device_id]
        return wanted.mdns, wanted.mac

    def look_again(self) -> None:
        """Something was plugged in or out: printers on USB and serial ports that wait are tried now."""
        for device_id, wanted in list(self._set_up.items()):
            lane = self._store.lanes.lane(device_id)
            if lane is not None and _is_plugged(wanted.uri):
                lane.wake()

    def plugged(self) -> bool:
        """Whether any printer is on USB or a serial port."""
        return any(_is_plugged(wanted.uri) for wanted in list(self._set_up.values()))

    # -- changing --

    def redirect(self, device_id: str, host: str, *, by: str) -> None:
        """A printer answers at another address now. The settings stay as they are; its jobs follow it."""
        with self._changing:
            wanted, device = self._set_up[device_id], self._control.device(self._organization_id, device_id)
            port = urlsplit(wanted.uri).port or 9100
            shown = f"[{host}]" if ":" in host else host
            moved = wanted.model_copy(update={"uri": f"tcp://{shown}:{port}"})
            self._exchange(device, moved)
            self._set_up[device_id] = wanted  # so that a reload compares with what was said, not with what was found
        text = f"answers at {shown}:{port} now, found by {by} (set up as {wanted.uri})"
        log.warning("%s: %s", wanted.name, text)
        self._store.devices.note(device, "moved", text)

    def settings(self, device_id: str) -> dict[str, Any] | None:
        """How a printer is set up, with the keys of [[printers]]; None for one of another machine."""
        wanted = self._set_up.get(device_id)
        return wanted.model_dump(mode="json") if wanted is not None else None

    def add(self, settings: Mapping[str, Any]) -> Device:
        """Set up one more printer; kept across restarts. Raises Invalid, Conflict (name_taken)."""
        wanted = _checked(settings)
        with self._changing:
            known = self._store.devices.by_name(self._organization_id, self._client_id, wanted.name)
            if known is not None and known.id in self._set_up:
                raise _taken(wanted.name)
            self._refuse_twin(wanted, None)
            if known is None:
                known = self._control.add_device(
                    self._organization_id, self._client_id, wanted.name, device_id=wanted.id
                )
            device = self._keep(known, wanted)
            self._open(device, wanted)
            self._begin(device.id)
        log.info("%s: added, %s", wanted.name, wanted.uri)
        return device

    def change(self, device_id: str, settings: Mapping[str, Any]) -> Device:
        """Change some settings of a printer that was added at run time; its jobs wait meanwhile.

        Raises Invalid, Conflict (from_config, busy, name_taken), NotFound.
        """
        with self._changing:
            before = self._own(device_id)
            wanted = _checked({**before.model_dump(mode="json"), **settings, "id": before.id})
            self._refuse_twin(wanted, device_id)
            if wanted.name != before.name:
                self._control.change_device(self._organization_id, device_id, name=wanted.name)
            device = self._keep(self._control.device(self._organization_id, device_id), wanted)
            self._exchange(device, wanted)
        log.info("%s: set up anew, %s", wanted.name, wanted.uri)
        return device

    def remove(self, device_id: str, *, cancel_jobs: bool) -> None:
        """Let a printer go. Raises Conflict (has_jobs, from_config, busy), NotFound."""
        with self._changing:
            name = self._own(device_id).name
            open_jobs = self._open_jobs(device_id)
            if open_jobs and not cancel_jobs:
                how_many = "1 job" if open_jobs == 1 else f"{open_jobs} jobs"
                raise Conflict(f"{name} still has {how_many} to print", code="has_jobs",
                               remedy="cancel or move them first, or delete it with jobs=cancel")  # fmt: skip
            self._retire(device_id)  # first: while it is busy, nothing is changed at all
            self._cancel_all(device_id, name)
            self._close(device_id)
            self._store.devices.delete(self._organization_id, device_id)
        log.info("%s: removed", name)

    def reload(self, configured: Sequence[PrinterConfig]) -> list[str]:
        """Make the printers of the configuration what it says now. What changed, in words."""
        with self._changing:
            changes = [change for wanted in configured if (change := self._follow(wanted))]
            names = {wanted.name for wanted in configured}
            for device_id, wanted in list(self._set_up.items()):
                device = self._control.device(self._organization_id, device_id)
                if device.from_config and wanted.name not in names:
                    self._retire(device_id)
                    self._close(device_id)
                    self._store.devices.update(self._organization_id, device_id, from_config=False)
                    changes.append(f"printer {wanted.name} removed")
        return changes

    def _follow(self, wanted: PrinterConfig) -> str | None:
        """One printer of the configuration; what changed about it."""
        device = self._row(wanted)
        before = self._set_up.get(device.id)
        if before == wanted:
            return None
        if before is None:
            self._open(device, wanted)
            self._begin(device.id)
            return f"printer {wanted.name} added"
        self._exchange(device, wanted)
        return f"printer {wanted.name} changed"

    # -- rows --

    def _row(self, wanted: PrinterConfig) -> Device:
        """The row of a configured printer: by its id where the configuration gives one, else by its name."""
        devices = self._store.devices
        found = devices.get(self._organization_id, wanted.id) if wanted.id else None
        found = found or devices.by_name(self._organization_id, self._client_id, wanted.name)
        if found is None:
            return devices.add(
                self._organization_id, self._client_id, wanted.name, device_id=wanted.id, from_config=True
            )
        changed = devices.update(
            self._organization_id, found.id, name=wanted.name, from_config=True, settings=None
        )
        assert changed is not None
        return changed

    def _let_go_of_others(self) -> None:
        """Printers that left the configuration may now be deleted; until then their jobs wait."""
        for device in self._rows():
            if device.from_config and device.id not in self._set_up:
                self._store.devices.update(self._organization_id, device.id, from_config=False)

    def _added(self) -> Iterable[tuple[Device, PrinterConfig]]:
        """The printers that were added at run time. One that this version cannot use is left out, and said."""
        for device in self._rows():
            if device.settings is None or device.id in self._set_up:
                continue
            try:
                kept = _known(json.loads(device.settings))
            except (Invalid, ValueError) as error:
                log.error("%s: cannot be used: %s; remove it, or set it up again", device.name, error)
                continue
            yield device, kept

    def _rows(self) -> list[Device]:
        return self._store.devices.page(
            self._organization_id, client_id=self._client_id, device_type=PRINTER, limit=10_000
        )[0]

    def _keep(self, device: Device, wanted: PrinterConfig) -> Device:
        kept = self._store.devices.update(
            self._organization_id, device.id, settings=wanted.model_dump_json(), from_config=False
        )
        assert kept is not None
        return kept

    def _own(self, device_id: str) -> PrinterConfig:
        """The settings of a printer that may be changed at run time."""
        device = self._control.device(self._organization_id, device_id)
        if device.from_config:
            raise Conflict(f"{device.name} is set up in this bridge's configuration", code="from_config",
                           remedy="change it there, then reload")  # fmt: skip
        if device_id not in self._set_up:
            raise NotFound(f"{device.name} is not set up on this machine", field="printer",
                           remedy="add it with its uri, or delete it as a device")  # fmt: skip
        return self._set_up[device_id]

    # -- lanes and workers --

    def _open(self, device: Device, wanted: PrinterConfig) -> None:
        if (unfit := misfit(wanted)) is not None:
            log.warning("%s", unfit)
        self._set_up[device.id] = wanted
        self.printers[device.id] = _printer(wanted, self._folder)
        self._store.lanes.open(device.id, language=wanted.language, ordered=wanted.ordered, paused=device.paused)
        self.workers[device.id] = self._worker(device, wanted)

    def _worker(self, device: Device, wanted: PrinterConfig) -> Worker:
        lane = self._store.lanes.lane(device.id)
        assert lane is not None
        virtual = urlsplit(wanted.uri).scheme == "virtual"
        after = partial(_draw_pictures, wanted.language) if virtual else None
        return Worker(
            self._store, device, self.printers[device.id], lane, after, hold_older_than_s=wanted.hold_older_than_s,
            ask_status=wanted.status == "auto",
        )  # fmt: skip

    def _exchange(self, device: Device, wanted: PrinterConfig) -> None:
        """The same queue in front of a printer that is set up differently."""
        self._retire(device.id)
        lane = self._store.lanes.lane(device.id)
        assert lane is not None
        lane.language, lane.ordered = wanted.language, wanted.ordered
        self._set_up[device.id] = wanted
        self.printers[device.id] = _printer(wanted, self._folder)
        self._draw_again(device)
        self.workers[device.id] = self._worker(device, wanted)
        if self._running:
            self.workers[device.id].start()

    def _draw_again(self, device: Device) -> None:
        for ticket in self._store.lanes.drawn(device.id):
            job = self._store.jobs.get(ticket.organization_id, ticket.job_id)
            moved = job and self._store.jobs.transfer(job, device, WAITING, "its printer was set up anew")
            if moved:
                self._store.lanes.push(moved, waited_s=ticket.age_s)

    def _retire(self, device_id: str) -> None:
        if not self.workers[device_id].retire(RETIRE_S):
            self.workers[device_id].stay()
            raise Conflict(f"{self._set_up[device_id].name} is sending a job that takes long", code="busy",
                           remedy="wait until it is out, or cancel it")  # fmt: skip

    def _close(self, device_id: str) -> None:
        """Its worker is retired."""
        self._store.lanes.remove(device_id)
        del self.workers[device_id], self.printers[device_id], self._set_up[device_id]

    def _begin(self, device_id: str) -> None:
        """Give everything that waits for a printer its place, and let its worker begin. Before go() that is go()'s."""
        if self._running:
            for job in self._store.jobs.waiting(device_id):
                self._store.lanes.push(job, waited_s=_waited_s(job))
            self.workers[device_id].start()

    def _refuse_twin(self, wanted: PrinterConfig, device_id: str | None) -> None:
        """Two printers at one device would print into each other's labels. Raises Conflict."""
        if (twin := twin_of(wanted, [each for key, each in self._set_up.items() if key != device_id])) is not None:
            raise Conflict(f"printer {twin.name!r} is this device already ({twin.uri})", field="uri",
                           code="device_taken", remedy="print on that one, or change its settings")  # fmt: skip

    def _open_jobs(self, device_id: str) -> int:
        return self._store.jobs.page(None, device_id=device_id, states=_OPEN, limit=1)[1]

    def _cancel_all(self, device_id: str, name: str) -> None:
        for job in self._store.jobs.page(None, device_id=device_id, states=_OPEN, limit=-1)[0]:
            if job.state is not State.SENDING:
                self._control.cancel(job.organization_id, job.id)
        log.info("%s: its jobs are cancelled", name)


def _is_plugged(uri: str) -> bool:
    return uri.lower().startswith(("usb:", "serial:"))


def _checked(settings: Mapping[str, Any]) -> PrinterConfig:
    """Raises Invalid that names the first key at fault."""
    wanted = _known(settings)
    if (unfit := misfit(wanted)) is not None:
        raise unfit
    return wanted


def _known(settings: Mapping[str, Any]) -> PrinterConfig:
    """Settings whose keys and values there are. Raises Invalid."""
    try:
        wanted = PrinterConfig.model_validate(dict(settings))
    except ValidationError as error:
        finding = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in finding["loc"])[:128]
        if finding["type"] == "extra_forbidden":
            raise Invalid(f"unknown key {field!r}", field=field,
                          remedy=f"allowed here: {', '.join(PrinterConfig.model_fields)}") from error  # fmt: skip
        said = "is missing" if finding["type"] == "missing" else finding["msg"].removeprefix("Value error, ")
        raise Invalid(f"{field}: {said}", field=field, remedy="the README lists every key of [[printers]]") from error
    if (text := why_not(wanted)) is not None:
        field = next((name for name in ("language", "profile") if name in text.partition(":")[2]), "uri")
        raise Invalid(text, field=field, remedy="the README lists every kind of uri, language and profile")
    return wanted


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a printer called {name!r} already", field="name", code="name_taken",
                    remedy="choose another name, or change that one")  # fmt: skip


def _waited_s(job: Job) -> float:
    """How long a job of an earlier run has waited, as far as the wall clock can be believed."""
    return time.time() - job.updated_at


def _printer(wanted: PrinterConfig, folder: Path) -> Printer:
    settings = Settings(
        connect_s=wanted.connect_s, stall_s=wanted.stall_s, half_close=wanted.half_close, folder=folder / "virtual",
        quirks=_quirks(wanted.uri), pad_boundary=b"\n" if wanted.language in _LINE_BY_LINE else b"",
    )  # fmt: skip
    tuning = Tuning(**{each.name: getattr(wanted, each.name) for each in fields(Tuning)})
    return Printer(wanted.name, wanted.uri, wanted.language, _media(wanted), settings, tuning)


def _media(wanted: PrinterConfig) -> Media:
    """What can be printed on: of a receipt printer's paper no more than the head reaches."""
    width_mm = wanted.width_mm
    if wanted.language == "escpos":
        width_mm = min(width_mm, profile(wanted.profile).dots * 25.4 / wanted.dpi)
    return Media(wanted.dpi, width_mm, wanted.height_mm)


def _quirks(uri: str) -> frozenset[str]:
    """What is known of this model's ways, by the ids in a USB printer's address."""
    if not uri.startswith("usb://"):
        return frozenset()
    from devices.catalog import usb_quirks  # late: a table few need
    from devices.usb.address import parse

    address = parse(uri)
    return usb_quirks(address.vendor, address.product)


def _draw_pictures(language: str, file: Path) -> None:
    """What the virtual printer took, as pictures beside it."""
    virtual_pictures(file, language=language)
