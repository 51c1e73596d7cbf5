"""The composition root: the one file that imports everything, starts the threads, and stops them in order."""

from __future__ import annotations

import logging
import os
import shutil
import time
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from bridge import VERSION, dialects
from bridge.access.credentials import first_run
from bridge.access.keys import KeyRing, load_config_keys
from bridge.access.origins import HostRules
from bridge.config import Config, PrinterConfig, hostname
from bridge.control import Control
from bridge.deliver.recover import recover
from bridge.deliver.worker import KNOWN_LANGUAGES, Worker
from bridge.intake.accept import Intake
from bridge.intake.collect import Collector
from bridge.intake.fetch import FetchRules
from bridge.lock import FolderLock
from bridge.model import Device, Job, Picture
from bridge.prepare.pictures import picture, virtual_pictures
from bridge.prepare.pipeline import Pipeline
from bridge.prepare.render import Limits
from bridge.store import Store
from bridge.web.dashboard import make_dashboard
from bridge.web.server import HttpServer, make_app
from devices import languages, transports
from devices.contracts import Media, Settings
from devices.errors import BadPrinterUri
from devices.printer import Printer

log = logging.getLogger(__name__)

STOP_S = 5.0  # seconds a label on its way gets at SIGTERM before it is cut off and called unconfirmed
HEARTBEAT_S = 60.0


class CannotStart(Exception):
    """The bridge cannot run like this. The text says what to do."""


class Bridge:
    """A whole running bridge. start() returns when it is listening; stop() when the last thread has ended."""

    def __init__(self, folder: Path, config: Config, *, host: str | None = None, port: int | None = None) -> None:
        """host, port: override the configuration. Raises CannotStart, OSError (port taken), DatabaseDamaged."""
        self.folder = folder
        self.config = config
        self._host = host if host is not None else config.server.host
        self._port = port if port is not None else config.server.port
        self.workers: list[Worker] = []
        self._stop_heart = Event()

    # -- starting --

    def start(self) -> None:
        """Everything in the order in which it must be true: ours alone, durable, prepared, listening."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_printers()
        self._lock = FolderLock(self.folder / "lock")
        try:
            self.store = Store(self.folder)
        except BaseException:
            self._lock.release()
            raise
        try:
            self._assemble()
            self._set_going()
        except BaseException:
            self.store.close()
            self._lock.release()
            raise

    def _assemble(self) -> None:
        config = self.config
        self.http = HttpServer(body_max=config.limits.body_bytes)
        self.http.bind(self._host, self._port)
        try:
            self.identity = first_run(
                self.store, self.folder / "credentials.json", hostname=hostname(), url=self.http.urls[0],
                organization_id=self.config.server.organization_id,
            )  # fmt: skip
            self.printers = self._devices()
            self.rules = FetchRules(
                own_ports=frozenset({self.http.port}), max_bytes=config.limits.document_bytes,
                total_s=config.limits.fetch_s, private=config.limits.fetch_private,
                loopback=config.limits.fetch_loopback,
            )  # fmt: skip
            self.ring = self._keys()
            self.pipeline = self._pipeline()
            self.collector = Collector(self.store, rules=lambda: self.rules, recognize=languages.recognize)
            self.http.serve(self._flask())
        except BaseException:
            self.http.stop()
            raise

    def _set_going(self) -> None:
        recover(self.store, self.identity.organization_id, self.identity.client_id)
        self.http.start()  # before any thread, because it may yet fail; what is posted meanwhile waits in its lane
        self.store.spool.sweep()
        for device_id in self.printers:
            for job in self.store.jobs.waiting(self.identity.organization_id, device_id):
                self.store.lanes.push(job)
        self.pipeline.start()
        self.collector.start()
        for worker in self.workers:
            worker.start()
        self._heart = Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heart.start()

    def stop(self) -> None:
        """No new request, no new label; what is being sent may end; then the database closes."""
        self._stop_heart.set()
        self.http.stop()
        self.store.lanes.close()
        deadline = time.monotonic() + STOP_S
        for worker in self.workers:
            worker.wait(max(0.0, deadline - time.monotonic()))
        for worker in self.workers:
            worker.cut_off()
        for worker in self.workers:
            worker.wait(3)
        self.collector.stop()
        self.pipeline.stop()
        self._heart.join(3)
        self.store.close()
        self._lock.release()

    @property
    def url(self) -> str:
        """The first address it answers on."""
        return self.http.urls[0]

    # -- the parts --

    def _check_printers(self) -> None:
        for printer in self.config.printers:
            try:
                transports.check(printer.uri)
            except BadPrinterUri as error:
                raise CannotStart(f"printer {printer.name!r}: {error}") from error
            if printer.language not in KNOWN_LANGUAGES:
                known = f"use one of {', '.join(sorted(KNOWN_LANGUAGES))}"
                raise CannotStart(f"printer {printer.name!r}: unknown language {printer.language!r}; {known}")
        if self.config.clouds:
            log.warning("[[clouds]]: this version does not connect to clouds yet; %d ignored", len(self.config.clouds))

    def _keys(self) -> KeyRing:
        wanted = load_config_keys(self.config.keys, self.identity.organization_id)
        self.store.keys.sync_config(self.identity.organization_id, wanted)
        return KeyRing(self.store)

    def _devices(self) -> dict[str, Printer]:
        """Give every configured printer its device row, its lane and its worker."""
        printers = {}
        for wanted in self.config.printers:
            device = self._device(wanted)
            printer = _printer(wanted, self.folder)
            printers[device.id] = printer
            lane = self.store.lanes.open(
                device.id, language=wanted.language, ordered=wanted.ordered, paused=device.paused
            )
            virtual = urlsplit(wanted.uri).scheme == "virtual"
            after = partial(_draw_pictures, wanted.language) if virtual else None
            self.workers.append(Worker(self.store, device, printer, lane, after))
        self._let_go_of_others(set(printers))
        return printers

    def _let_go_of_others(self, configured: set[str]) -> None:
        """Printers that left the configuration may now be deleted; until then their jobs wait."""
        organization_id, client_id = self.identity.organization_id, self.identity.client_id
        for device in self.store.devices.page(organization_id, client_id=client_id, limit=10_000)[0]:
            if device.from_config and device.id not in configured:
                self.store.devices.update(organization_id, device.id, from_config=False)

    def _device(self, wanted: PrinterConfig) -> Device:
        """The row of a printer: by its id where the configuration gives one, else by its name."""
        organization_id, client_id = self.identity.organization_id, self.identity.client_id
        devices = self.store.devices
        found = devices.get(organization_id, wanted.id) if wanted.id else None
        found = found or devices.by_name(organization_id, client_id, wanted.name)
        if found is None:
            return devices.add(organization_id, client_id, wanted.name, device_id=wanted.id, from_config=True)
        changed = devices.update(organization_id, found.id, name=wanted.name, from_config=True)
        assert changed is not None
        return changed

    def _pipeline(self) -> Pipeline:
        limits = self.config.limits
        return Pipeline(
            self.store,
            self.printers,
            Limits(memory_mb=limits.render_memory_mb, cpu_s=limits.render_cpu_s, wall_s=limits.render_s),
            pages_max=limits.pages,
            pixels_max=int(limits.page_megapixels * 1_000_000),
        )

    def _flask(self) -> Any:
        intake = Intake(
            self.store, rules=lambda: self.rules, document_max=self.config.limits.document_bytes,
            recognize=languages.recognize,
        )  # fmt: skip
        desk = dialects.Desk(
            organization_id=self.identity.organization_id, self_client_id=self.identity.client_id, store=self.store,
            intake=intake, control=Control(self.store), health=self.health, picture=self.picture,
            delete_reply=self.config.server.delete_reply, plan=self.config.server.plan, api_key=self.identity.api_key,
        )  # fmt: skip
        return make_app(
            desk, self.ring, [dialects.load(name) for name in dialects.names()],
            HostRules.of(self.config.server.hosts, self._host, self.http.port), self.config.limits.body_bytes,
            dashboard=make_dashboard(desk),
        )  # fmt: skip

    # -- questions --

    def picture(self, job: Job, number: int) -> Picture | None:
        """Label `number` of a job as it was or will be sent."""
        printer = self.printers.get(job.device_id)
        language = printer.language if printer else "zpl"
        if job.is_raw:
            body = self.store.jobs.body(job.organization_id, job.id)
            path = self.store.spool.document(job.id)
            if body is None and path.exists():
                body = path.read_bytes()
            spoken = job.kind if job.kind and job.kind != "raw" else language
            return picture([body], number, spoken) if body else None
        return picture(self.store.spool.pages(job.id, job.launch), number, language)

    def health(self) -> dict[str, Any]:
        """What is alive and what is not. status: ok | degraded."""
        loops = {
            "store": self.store.engine.is_alive(),
            "fetch": self.collector.is_alive(),
            "draw": self.pipeline.is_alive(),
            **{f"printer {w.printer.name}": w.is_alive() for w in self.workers},
        }
        disk = shutil.disk_usage(self.folder)
        return {
            "status": "ok" if all(loops.values()) else "degraded",
            "version": VERSION,
            "loops": loops,
            "disk": {"free_bytes": disk.free, "total_bytes": disk.total},
            "jobs": self.store.jobs.count_by_state(self.identity.organization_id),
            "engines": {"pymupdf": _installed("pymupdf"), "numpy": _installed("numpy")},
            "pid": os.getpid(),
        }

    def _beat(self) -> None:
        """Now and then: show ourselves as seen, let idle render children go."""
        while True:
            self.store.clients.update(self.identity.organization_id, self.identity.client_id, last_seen=time.time())
            if self._stop_heart.wait(HEARTBEAT_S):
                return
            self.pipeline.rest()


def _printer(wanted: PrinterConfig, folder: Path) -> Printer:
    settings = Settings(
        connect_s=wanted.connect_s, stall_s=wanted.stall_s, half_close=wanted.half_close, folder=folder / "virtual"
    )
    media = Media(wanted.dpi, wanted.width_mm, wanted.height_mm)
    return Printer(wanted.name, wanted.uri, wanted.language, media, settings)


def _draw_pictures(language: str, file: Path) -> None:
    """What the virtual printer took, as pictures beside it."""
    virtual_pictures(file, language=language)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
