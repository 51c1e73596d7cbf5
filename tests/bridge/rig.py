"""One dialect over a real store, without sockets and workers: what is queued stays where a test can see it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from bridge import errors
from bridge.access.keys import KeyRing
from bridge.access.office import KeyOffice
from bridge.access.people import People
from bridge.access.secrets import Secrets
from bridge.control import Control
from bridge.dialects import Desk, Dialect
from bridge.intake.accept import Intake
from bridge.intake.fetch import FetchRules
from bridge.intake.grants import Gate
from bridge.model import EVERYTHING, Client, Device, Job, Principal
from bridge.prepare import receipts
from bridge.report.shapes import Standard
from bridge.report.webhooks import Hooks
from bridge.store import Store
from bridge.web.feed import Feed
from devices import commands, languages

ORGANIZATION = "0197df47-871f-72d1-95df-2bfb0c18529a"
ADMIN = Principal(ORGANIZATION, key_id="admin key", scopes=frozenset({"admin"}), grants=EVERYTHING)
OWN_PORT = 8910


@dataclass(frozen=True)
class Answer:
    """What came back. json: None for a body that is not JSON."""

    status: int
    json: Any
    headers: dict[str, str]


class PlainFleet:
    """Printers added while the bridge runs, without workers: a row and a lane each."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._settings: dict[str, dict[str, Any]] = {}

    def settings(self, device_id: str) -> dict[str, Any] | None:
        return self._settings.get(device_id)

    def add(self, settings: Mapping[str, Any]) -> Device:
        own_id = settings.get("id")
        device = self._rig.control.add_device(ORGANIZATION, self._rig.me.id, settings["name"], device_id=own_id)
        self._rig.store.lanes.open(device.id, ordered=False, paused=False)
        self._settings[device.id] = dict(settings)
        return device

    def change(self, device_id: str, settings: Mapping[str, Any]) -> Device:
        self._own(device_id).update(settings)
        name = {"name": settings["name"]} if "name" in settings else {}
        return self._rig.control.change_device(ORGANIZATION, device_id, **name)

    def remove(self, device_id: str, *, cancel_jobs: bool) -> None:
        self._own(device_id)
        if self._rig.store.lanes.lane(device_id).tickets and not cancel_jobs:
            raise errors.Conflict("it has jobs", code="has_jobs", remedy="cancel them")
        self._rig.control.delete_device(ORGANIZATION, device_id)
        del self._settings[device_id]

    def _own(self, device_id: str) -> dict[str, Any]:
        if device_id not in self._settings:
            raise errors.Conflict("it is set up in the configuration", code="from_config", remedy="change it there")
        return self._settings[device_id]


@dataclass
class Rig:
    """A bridge with one client (itself) and one printer, and the dialect in front of it. caller: who asks."""

    folder: Path
    dialect: Dialect
    caller: Principal | None = ADMIN
    desk_options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(self.folder)
        self.store.organizations.add(ORGANIZATION, "till-3")
        self.me = self.store.clients.add(ORGANIZATION, "till-3", ip_address="127.0.0.1", is_self=True)
        self.printer = self.add_printer("dock")
        rules = FetchRules(own_ports=frozenset({OWN_PORT}))
        self.intake = Intake(
            self.store, rules=lambda: rules, document_max=5_000_000, recognize=languages.recognize,
            gate=Gate(commands.commands, receipts.check),
        )
        self.control = Control(self.store)
        self.ring = KeyRing(self.store)
        self.feed = Feed(self.store, still_good=lambda key_id: key_id is None or self.ring.holds(key_id))
        self.desk = Desk(
            organization_id=ORGANIZATION, self_client_id=self.me.id, store=self.store, intake=self.intake,
            control=self.control, health=lambda: {"status": "ok"}, picture=lambda job, number: None,
            fleet=PlainFleet(self), keys=KeyOffice(self.store, self.ring), feed=self.feed,
            reload=lambda: {"changed": [], "needs_restart": [], "config": {"status": "ok", "file": "", "text": ""}},
            diagnostics=lambda: b"PK", metrics=lambda: "print_bridge_info 1\n",
            **{
                "people": People(self.store, self.ring),
                "hooks": Hooks(self.store, Secrets(self.folder), {"v1": Standard()}, lambda: rules),
                **self.desk_options,
            },
        )  # fmt: skip
        self.app = self._app()

    def add_printer(self, name: str, device_id: str | None = None, *, language: str = "") -> Device:
        """A printer of this machine: jobs for it land in its lane."""
        device = self.store.devices.add(ORGANIZATION, self.me.id, name, device_id=device_id, from_config=True)
        self.store.lanes.open(device.id, ordered=False, paused=False, language=language)
        return device

    def add_client(self, hostname: str, client_id: str | None = None) -> Client:
        """Another machine."""
        return self.store.clients.add(ORGANIZATION, hostname, client_id=client_id)

    def job(self, job_id: str) -> Job:
        job = self.store.jobs.get(ORGANIZATION, job_id)
        assert job is not None
        return job

    def jobs(self) -> list[Job]:
        return self.store.jobs.page(ORGANIZATION, limit=1_000)[0]

    def call(self, path: str, body: Any = None, *, method: str = "POST", headers: dict[str, str] | None = None,
             **options: Any) -> Answer:  # fmt: skip
        """path: below the mount. body: bytes or text as they are, anything else as JSON."""
        if body is not None and not isinstance(body, bytes | str):
            body = json.dumps(body)
        if body is not None:
            options = {"content_type": "application/json", "data": body, **options}
        base = options.pop("base_url", "http://localhost:8910/")
        with self.app.test_client() as client:
            reply = client.open(self.dialect.mount + path, method=method, headers=headers, base_url=base, **options)
        return Answer(reply.status_code, reply.get_json(silent=True), dict(reply.headers))

    def close(self) -> None:
        self.feed.stop()
        self.store.close()

    def _app(self) -> Flask:
        app = Flask(__name__)
        app.testing = True  # a bug ends the test with its traceback, not with a reply of 500
        app.url_map.strict_slashes = False
        app.register_error_handler(errors.BridgeError, self._refuse)
        app.register_error_handler(HTTPException, self._refuse_unrouted)
        app.before_request(self._introduce)
        app.register_blueprint(self.dialect.routes(self.desk), url_prefix=self.dialect.mount)
        return app

    def _introduce(self) -> None:
        g.principal = self.caller

    def _refuse(self, error: errors.BridgeError) -> Response:
        body, headers = self.dialect.error(error)
        return Response(json.dumps(body), error.http, headers, mimetype="application/json")

    def _refuse_unrouted(self, error: HTTPException) -> Response:
        if isinstance(error, NotFound):
            return self._refuse(errors.NotFound("there is nothing at this path"))
        if isinstance(error, MethodNotAllowed):
            return self._refuse(errors.WrongMethod("not with this method"))
        return self._refuse(errors.BadRequest(error.description or error.name))
