"""The clouds' languages, one file each: their JSON <-> our words, and their routes.

A new cloud is one file here with a `DIALECT: Dialect = ...` line. Nothing to register.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bridge.access.limits import DRAWER, Limiter
from bridge.errors import BridgeError
from bridge.presence import Presence

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from bridge.access.office import KeyOffice
    from bridge.access.people import People
    from bridge.control import Control
    from bridge.intake.accept import Intake
    from bridge.model import Delivery, Device, Job, Picture, Webhook
    from bridge.store import Store


class Fleet(Protocol):
    """The printers of this machine, set up and changed while it runs. settings: the keys of [[printers]]."""

    def settings(self, device_id: str) -> dict[str, Any] | None:
        """How a printer is set up; None for one of another machine."""
        ...

    def add(self, settings: Mapping[str, Any]) -> Device:
        """Set up one more printer; kept across restarts. Raises Invalid, Conflict."""
        ...

    def change(self, device_id: str, settings: Mapping[str, Any]) -> Device:
        """Change some settings of a printer that was added like this; its jobs wait meanwhile. Raises Invalid,
        Conflict, NotFound."""
        ...

    def remove(self, device_id: str, *, cancel_jobs: bool) -> None:
        """Let a printer go. Raises Conflict (has_jobs, from_config), NotFound."""
        ...


class Hooks(Protocol):
    """Webhooks: who is told what, and how that went. See bridge.report.webhooks, which says what each raises."""

    def create(
        self, organization_id: str, *, dialect: str, url: str, events: Collection[str], secret: str | None = None
    ) -> tuple[Webhook, str]: ...

    def listing(self, organization_id: str, dialect: str | None = None) -> list[Webhook]: ...

    def get(self, organization_id: str, webhook_id: str) -> Webhook: ...

    def change(
        self, organization_id: str, webhook_id: str, *, url: str | None = None, events: Collection[str] | None = None,
        active: bool | None = None, secret: str | None = None,
    ) -> Webhook: ...  # fmt: skip

    def delete(self, organization_id: str, webhook_id: str) -> None: ...

    def ping(self, organization_id: str, webhook_id: str) -> Delivery: ...

    def deliveries(
        self, organization_id: str, *, webhook_id: str | None = None, state: str | None = None, limit: int = 50,
        offset: int = 0,
    ) -> tuple[list[Delivery], int]: ...  # fmt: skip

    def redeliver(self, organization_id: str, delivery_id: str) -> Delivery: ...


class Agents(Protocol):
    """Other machines that are connected to this bridge by WebSocket. See bridge.web.agents."""

    def connected(self, client_id: str) -> bool:
        """Whether this client is connected at this moment."""
        ...

    @property
    def count(self) -> int:
        """How many are."""
        ...


class Feed(Protocol):
    """What happened, told as it happens."""

    def stream(self, organization_id: str, *, after: int, key_id: str | None) -> Response:
        """Server-sent events. Raises Unavailable when too many listen already."""
        ...

    def poll(self, organization_id: str, *, after: int, limit: int, wait_s: float, key_id: str | None) -> Response:
        """Events after one that was seen; waits for the first."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What a dialect may work with. store: for reading only; every change goes through intake or control.

    health: what /v1/health says. picture: label number (from 0) of a job, as it was or would be sent; None when there
    is no such label. self_client_id: the client that is this machine. api_key: the first-run key, for a dialect whose
    login hands it out; None when it is not on this machine. reload: read the configuration again; says what changed;
    raises Invalid for a broken one. discover: what could be printed on, see bridge.discover. diagnostics: a zip
    without secrets. metrics: Prometheus text. drawers: how often each printer's cash drawer was opened.
    """

    organization_id: str
    self_client_id: str
    store: Store
    intake: Intake
    control: Control
    health: Callable[[], dict[str, Any]]
    picture: Callable[[Job, int], Picture | None]
    fleet: Fleet
    keys: KeyOffice
    feed: Feed
    reload: Callable[[], dict[str, Any]]
    diagnostics: Callable[[], bytes]
    metrics: Callable[[], str]
    delete_reply: Literal["seed", "success"] = "seed"
    plan: Literal["off", "standard", "pro"] = "off"
    api_key: str | None = None
    ws_url: str | None = None
    people: People | None = None
    hooks: Hooks | None = None
    agents: Agents | None = None
    registration: bool = False
    printcloud_rate: Literal["off", "on"] = "off"
    olin_plan: Literal["off", "free", "professional", "enterprise"] = "off"
    drawers: Limiter = field(default_factory=lambda: Limiter(DRAWER))
    discover: Callable[..., dict[str, Any]] = lambda mdns_s, subnet: {"candidates": [], "remarks": []}

    def presence(self) -> Presence:
        """Which other machines are there. For one answer."""
        return Presence(self.store, self.control.signs, self.agents)


class Dialect(Protocol):
    """One cloud's way of speaking.

    mount: the path all its routes begin with. credentials: how a key may be shown ("basic": user = organization id,
    password = key; "bearer"; "x-api-key"). public: paths below mount that need no key. web: (method, path) pairs below
    mount that a web page may call with a key bound to its origin; everything else is closed to browsers. A path ends
    in "/*" when anything may follow.
    """

    name: str
    mount: str
    credentials: frozenset[str]
    public: frozenset[str]
    web: frozenset[str]

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        """The body (JSON) and extra headers of a refusal in this cloud's own shape."""
        ...

    def routes(self, desk: Desk) -> Blueprint:
        """All routes, as a Flask blueprint without prefix; the mount is added by the caller."""
        ...


def names() -> tuple[str, ...]:
    """Every dialect there is."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str) -> Dialect:
    """The dialect called `name`."""
    dialect: Dialect = importlib.import_module(f"bridge.dialects.{name}").DIALECT
    return dialect
