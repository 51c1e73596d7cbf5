"""The composition root: the one file that imports everything, starts the threads, and stops them in order."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

from bridge import dialects, logs
from bridge import health as health_
from bridge.access.credentials import first_run
from bridge.access.keys import KeyRing, load_config_keys
from bridge.access.office import KeyOffice
from bridge.access.origins import HostRules
from bridge.access.people import People
from bridge.access.redact import remember
from bridge.access.secrets import Secrets
from bridge.clock import Clock
from bridge.config import Config, ConfigError, Loaded, hostname, keep_as_good, load, load_or_last_good
from bridge.control import Control
from bridge.deliver.aside import EXPIRED
from bridge.deliver.recover import recover
from bridge.discover import discover
from bridge.errors import Invalid
from bridge.fleet import Fleet, twin_of, why_not
from bridge.housekeeping import Chore, Housekeeping
from bridge.intake.accept import Intake
from bridge.intake.collect import Collector
from bridge.intake.detect import kind_or_none
from bridge.intake.fetch import FetchRules
from bridge.intake.grants import Gate
from bridge.lock import FolderLock
from bridge.model import Device, Job, Picture
from bridge.moved import Movers
from bridge.prepare import receipts
from bridge.prepare.labels import check as check_template
from bridge.prepare.labels import receipt_names
from bridge.prepare.pictures import picture
from bridge.prepare.pipeline import Pipeline
from bridge.prepare.render import Limits
from bridge.report.shapes import Shape, Standard
from bridge.report.webhooks import Courier, Hooks
from bridge.store import Store
from bridge.store.disk import Reserve, mount_warning
from bridge.store.rescue import aside, relist
from bridge.store.retention import Retention
from bridge.systemd import notify, watchdog_s
from bridge.watch import Loop, Watch
from bridge.web.agents import Agents
from bridge.web.dashboard import make_dashboard
from bridge.web.feed import Feed
from bridge.web.server import HttpServer, make_app
from bridge.web.ws import WsServer
from devices import commands, languages
from devices.usb.giveback import give_back
from devices.usb.hotplug import Hotplug

log = logging.getLogger(__name__)

STOP_S = 5.0  # seconds a label on its way gets at SIGTERM before it is cut off and called unconfirmed
SEEN_S = 60.0  # seconds between two signs of life of this client
PRUNE_S = 60.0
MOVED_S = 5.0
BREATH_S = 0.05  # seconds between two turns of pruning, for labels that want to be written down


def check(config: Config) -> None:
    """What makes a well-formed configuration unusable all the same. Raises ConfigError."""
    for number, printer in enumerate(config.printers):
        if (text := why_not(printer)) is not None:
            raise ConfigError(text)
        if (twin := twin_of(printer, config.printers[:number])) is not None:
            raise ConfigError(f"printers {twin.name!r} and {printer.name!r} are one device ({printer.uri}); a device "
                              "prints one job at a time: keep one of them")  # fmt: skip
    load_config_keys(config.keys, "")


class Bridge:
    """A whole running bridge. start() returns when it is listening; stop() when the last thread has ended."""

    def __init__(self, folder: Path, loaded: Loaded, *, host: str | None = None, port: int | None = None) -> None:
        """host, port: override the configuration."""
        self.folder = folder
        self.loaded = loaded
        self._host = host if host is not None else loaded.config.server.host
        self._port = port if port is not None else loaded.config.server.port

    @classmethod
    def of(cls, folder: Path, file: Path | None, *, host: str | None = None, port: int | None = None) -> Bridge:
        """With the configuration in `file`, or the last that worked. Raises ConfigError when there is none."""
        return cls(folder, load_or_last_good(file, folder, check), host=host, port=port)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.loaded.config

    # -- starting --

    def start(self) -> None:
        """Everything in the order in which it must be true: ours alone, durable, prepared, listening.

        Raises ConfigError, FolderInUse, DatabaseDamaged, OSError (port taken).
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FolderLock(self.folder / "lock")
        try:
            self.reserve = Reserve(self.folder, self.config.limits.reserve_bytes)
            self.store = Store(self.folder)
            self.store.engine.on_full = self.reserve.give_up
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
        self.http, self.ws = HttpServer(body_max=config.limits.body_bytes), WsServer()
        try:
            self.http.bind(self._host, self._port)
            self._bind_ws(config.server.ws_port)
            self.identity = first_run(
                self.store, self.folder / "credentials.json", hostname=hostname(), url=self.http.urls[0],
                organization_id=self.config.server.organization_id,
            )  # fmt: skip
            remember(self.identity.api_key)
            self.control = Control(self.store)
            self.fleet = Fleet(
                self.store, self.control, organization_id=self.identity.organization_id,
                client_id=self.identity.client_id, folder=self.folder,
            )  # fmt: skip
            self.fleet.assemble(config.printers)
            self.rules = self._rules()
            self._sync_keys()
            self.ring = KeyRing(self.store)
            self.people = People(self.store, self.ring)
            self._webhooks()
            self.agents = Agents(self.store, self.control, self.ring, self_client_id=self.identity.client_id)
            self.feed = Feed(self.store, still_good=lambda key_id: key_id is None or self.ring.holds(key_id))
            self.pipeline = self._pipeline()
            self.gate = Gate(commands.commands, receipts.check)
            self.collector = Collector(
                self.store, rules=lambda: self.rules, recognize=languages.recognize, gate=self.gate
            )
            self.clock = Clock(
                wall=time.time(), monotonic=_since_boot(), newest=self.store.events.newest_at()
            )
            if not self.clock.trusted:
                self.store.lanes.believe(None)
            self.retention = self._retention()
            self.housekeeping = Housekeeping(self._chores())
            self.hotplug = Hotplug(self.fleet.look_again)
            self.watch = Watch(self._loops, feed=lambda: notify("WATCHDOG=1"), feed_s=watchdog_s())
            self.http.serve(self._flask())
            self.ws.serve(self.agents, HostRules.of(config.server.hosts, self._host, self.ws.port))
        except BaseException:
            self.http.stop()
            self.ws.stop()
            raise

    def _bind_ws(self, port: int | None) -> None:
        """The port that was asked for; else the one beside the HTTP port, which nobody asked for."""
        beside = self.http.port + 1 if self._port else 0
        wanted = port if port is not None else beside if beside < 65536 else 0
        try:
            self.ws.bind(self._host, wanted)
        except OSError as error:
            if port is not None or not wanted:
                raise
            self.ws.bind(self._host, 0)
            log.warning("WebSockets are at %s, because %s", self.ws.urls[0], error)

    def _set_going(self) -> None:
        recover(self.store, self.identity.client_id)
        self._tidy_spool()  # before the door opens: what comes in afterwards is nobody's stray
        self.agents.recover()
        self.feed.start()
        self.ws.start()
        self.http.start()  # before any other, because it may yet fail; what is posted meanwhile waits in its lane
        if self.fleet.plugged():
            give_back()  # what a crash of ours left without its driver
        self.fleet.go()
        self.hotplug.start()
        self.pipeline.start()
        self.collector.start()
        self.courier.start()
        self.housekeeping.start()
        self.watch.start()
        keep_as_good(self.loaded, self.folder)
        if self.loaded.status != "ok":
            log.error("configuration: %s", self.loaded.text)
        if (warning := mount_warning(self.folder)) is not None:
            log.warning("%s", warning)
        if self.config.clouds:
            log.warning("[[clouds]]: this version does not connect to clouds yet; %d ignored", len(self.config.clouds))

    def _tidy_spool(self) -> None:
        """Files that belong to no job go; after a damaged database they are all that is left of one, and stay."""
        self.store.spool.sweep()
        if not aside(self.folder):
            self.store.spool.sweep_strays(self.store.jobs.keeps_files)
        elif (device := self._first_printer()) is not None:
            organization_id, client_id = self.identity.organization_id, self.identity.client_id
            relist(self.store, organization_id, client_id, device, lambda head: kind_or_none(head, languages.recognize))

    def _first_printer(self) -> Device | None:
        return self.control.device(self.identity.organization_id, next(iter(self.fleet.printers)))

    def stop(self) -> None:
        """No new request, no new label; what is being sent may end; then the database closes."""
        self.watch.stop()
        self.feed.stop()
        self.http.stop()
        self.ws.stop()
        self.hotplug.stop()
        self.store.lanes.close()
        self.fleet.stop(STOP_S)
        self.collector.stop()
        self.courier.stop()
        self.pipeline.stop()
        self.housekeeping.stop()
        self.store.close()
        self._lock.release()

    @property
    def url(self) -> str:
        """The first address it answers on."""
        return self.http.urls[0]

    # -- the parts --

    def _sync_keys(self) -> None:
        for cloud in self.config.clouds:
            remember(cloud.api_key, cloud.password, cloud.client_secret)
        wanted = load_config_keys(self.config.keys, self.identity.organization_id)
        self.store.keys.sync_config(self.identity.organization_id, wanted)

    def _rules(self) -> FetchRules:
        limits = self.config.limits
        return FetchRules(
            own_ports=frozenset({self.http.port, self.ws.port}), max_bytes=limits.document_bytes,
            total_s=limits.fetch_s, private=limits.fetch_private, loopback=limits.fetch_loopback,
        )  # fmt: skip

    def _pipeline(self) -> Pipeline:
        limits = self.config.limits
        return Pipeline(
            self.store,
            self.fleet.printers,
            Limits(memory_mb=limits.render_memory_mb, cpu_s=limits.render_cpu_s, wall_s=limits.render_s),
            pages_max=limits.pages,
            pixels_max=int(limits.page_megapixels * 1_000_000),
        )

    def _webhooks(self) -> None:
        try:
            secrets = Secrets(self.folder)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        shapes: dict[str, Shape] = {"v1": Standard()}
        for name in dialects.names():
            if (shape := getattr(dialects.load(name), "hooks", None)) is not None:
                shapes[name] = shape
        self.hooks = Hooks(self.store, secrets, shapes, lambda: self.rules)
        self.courier = Courier(self.store, secrets, shapes, lambda: self.rules)

    def _retention(self) -> Retention:
        return Retention(self.store, **_ages(self.config), paper=self.folder / "virtual")

    def _flask(self) -> Any:
        intake = Intake(
            self.store, rules=lambda: self.rules, document_max=self.config.limits.document_bytes,
            recognize=languages.recognize, room=self.reserve.check, template=_checked_template,
            gate=self.gate,
        )  # fmt: skip
        desk = dialects.Desk(
            organization_id=self.identity.organization_id, self_client_id=self.identity.client_id, store=self.store,
            intake=intake, control=self.control, health=self.health, picture=self.picture, fleet=self.fleet,
            keys=KeyOffice(self.store, self.ring), feed=self.feed, reload=self.reload, diagnostics=self.diagnostics,
            metrics=self.metrics, hooks=self.hooks, people=self.people, registration=self.config.server.registration,
            printcloud_rate=self.config.server.printcloud_rate, olin_plan=self.config.server.olin_plan,
            agents=self.agents, ws_url=self.ws.urls[0],
            discover=partial(discover, self.fleet),
            delete_reply=self.config.server.delete_reply, plan=self.config.server.plan,
            api_key=self.identity.api_key,
        )  # fmt: skip
        return make_app(
            desk, self.ring, [dialects.load(name) for name in dialects.names()],
            HostRules.of(self.config.server.hosts, self._host, self.http.port), self.config.limits.body_bytes,
            dashboard=make_dashboard(desk),
        )  # fmt: skip

    def _loops(self) -> dict[str, Loop]:
        engine, http, feed = self.store.engine, self.http, self.feed
        return {
            "store": Loop(engine.is_alive, engine.revive),
            "http": Loop(http.is_alive, http.revive),
            "ws": Loop(self.ws.is_alive, self.ws.revive),
            "feed": Loop(feed.is_alive, feed.revive),
            "fetch": Loop(self.collector.is_alive, self.collector.revive),
            "webhooks": Loop(self.courier.is_alive, self.courier.revive),
            "draw": Loop(self.pipeline.is_alive, self.pipeline.revive),
            "housekeeping": Loop(self.housekeeping.is_alive, self.housekeeping.revive),
            "usb": Loop(self.hotplug.is_alive, self.hotplug.revive),
            **{
                f"printer {worker.printer.name}": Loop(worker.is_alive, worker.revive)
                for worker in list(self.fleet.workers.values())
            },
        }

    # -- housekeeping --

    def _chores(self) -> list[Chore]:
        return [
            Chore("expired jobs", 1.0, self._expire),
            Chore("signs of life", SEEN_S, self._show_life),
            Chore("old jobs", PRUNE_S, self._prune),
            Chore("old tokens and messages", PRUNE_S, self._sweep),
            Chore("printers that moved", MOVED_S, Movers(self.fleet, self.folder / "macs.json").look),
        ]

    def _expire(self) -> None:
        self.clock.observe(wall=time.time(), monotonic=_since_boot())
        if self.clock.trusted:
            self.store.lanes.believe(time.time() - time.monotonic())
        for ticket in self.store.lanes.overdue():
            self.control.expire(ticket.organization_id, ticket.job_id, ticket.launch, EXPIRED)

    def _show_life(self) -> None:
        """Show ourselves as seen, let idle render children go."""
        self.store.clients.update(self.identity.organization_id, self.identity.client_id, last_seen=time.time())
        self.pipeline.rest()

    def _sweep(self) -> None:
        """Tokens that are over, and what webhooks were told long ago."""
        if self.clock.trusted:
            self.people.sweep(time.time())
            self.store.hooks.prune(time.time() - self.config.retention.jobs_days * 86_400)

    def _prune(self) -> None:
        while self.clock.trusted and not self.housekeeping.stopping:
            if not self.retention.turn(time.time()).more:
                break
            time.sleep(BREATH_S)

    # -- changing --

    def reload(self) -> dict[str, Any]:
        """Read the configuration again: printers, keys, origins and limits change at once, no job is dropped.

        Raises Invalid (bad_config) when it is broken: then nothing has changed.
        """
        before = self.config
        try:
            file = self.loaded.file or self._found_file()
            new = load(file)
            check(new)
        except ConfigError as error:
            log.error("reload: %s; nothing was changed", error)
            raise Invalid(str(error), code="bad_config",
                          remedy="mend the file and reload; until then nothing changes") from error  # fmt: skip
        changed = self.fleet.reload(new.printers)
        self.loaded = Loaded(new, file)
        changed += self._take_over(before, new)
        keep_as_good(self.loaded, self.folder)
        stuck = _needs_restart(before, new)
        log.info("reload: %s", "; ".join(changed) or "nothing has changed")
        return {
            "changed": changed,
            "needs_restart": stuck,
            "config": {"status": "ok", "file": str(file or ""), "text": ""},
        }

    def _found_file(self) -> Path | None:
        return self.folder / "config.toml" if (self.folder / "config.toml").exists() else None

    def _take_over(self, before: Config, new: Config) -> list[str]:
        """All but the printers. What changed, in words."""
        changed = []
        self._sync_keys()  # always: a key file may have changed behind the same configuration
        self.ring.reload()
        if before.keys != new.keys:
            changed.append("keys changed")
        if before.limits != new.limits:
            self.rules = self._rules()
            changed.append("limits changed")
        if before.retention != new.retention:
            self.retention.change(**_ages(new))
            changed.append("retention changed")
        if before.server.log_level != new.server.log_level:
            logs.set_level(new.server.log_level)
            changed.append(f"log level is {new.server.log_level}")
        return changed

    # -- questions --

    def picture(self, job: Job, number: int) -> Picture | None:
        """Label `number` of a job as it was or will be sent."""
        printer = self.fleet.printers.get(job.device_id)
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
        """See bridge.health."""
        return health_.health(self)

    def metrics(self) -> str:
        """Prometheus text."""
        from bridge.report.metrics import metrics  # late: most bridges are never scraped

        return metrics(self.health(), self.store, self.identity.organization_id, self.store.lanes)

    def diagnostics(self) -> bytes:
        """Everything a maintainer wants to know, without secrets, as a zip."""
        from bridge.report.diagnostics import diagnostics

        return diagnostics(self.health(), self.store, self.identity.organization_id, self.folder, self.loaded.file)


def _since_boot() -> float:
    """Seconds that only grow; where the system can tell, those in which a laptop slept are among them."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boottime) if boottime is not None else time.monotonic()


def _checked_template(name: str, fields: dict[str, str]) -> receipts.ReceiptFacts | None:
    """Raises Invalid for a template there is not, or that is not filled in right. What is to be known of a receipt."""
    if name not in receipt_names():
        check_template(name, fields)
        return None
    return receipts.check("receipt", receipts.expand(name, fields))


def _ages(config: Config) -> dict[str, float]:
    """How long what is over is kept, in seconds."""
    keep = config.retention
    return {
        "documents_s": keep.documents_h * 3600, "jobs_s": keep.jobs_days * 86_400, "keys_s": keep.keys_days * 86_400,
    }  # fmt: skip


_LIVE_LIMITS = {"document_mb", "fetch_s", "fetch_private", "fetch_loopback"}
_LIVE_SERVER = {"log_level"}


def _needs_restart(before: Config, new: Config) -> list[str]:
    """Changed settings that are only read at the start."""
    found = []
    for section, live in (("server", _LIVE_SERVER), ("limits", _LIVE_LIMITS)):
        old, now = getattr(before, section), getattr(new, section)
        found += [
            f"[{section}] {name}"
            for name in type(now).model_fields
            if name not in live and getattr(old, name) != getattr(now, name)
        ]
    return found + (["[[clouds]]"] if before.clouds != new.clouds else [])
