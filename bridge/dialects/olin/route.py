"""One row of the table of routes, and what stands in front of every view: who may, how often, and what was said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from flask import Response, g, jsonify, request

from bridge.access.limits import Allowance, Limiter, Window
from bridge.access.people import People
from bridge.dialects import Desk
from bridge.dialects.olin.fields import Fields
from bridge.dialects.olin.wishes import Nothing
from bridge.dialects.olin.words import plan_of
from bridge.errors import Forbidden, TooMany, Unavailable
from bridge.intake.body import parameters
from bridge.model import Organization, Principal

RATES = {"free": 60, "professional": 300, "enterprise": 1000}
"""Requests of one account in a minute: seed olin.txt, "Rate Limiting"."""

DOOR = (Window(60, 60.0),)
"""How often one address may register: each time costs a slow hash."""

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class House:
    """What the views work with. syncing: held while computers report, or one that is new would be made twice."""

    desk: Desk
    rates: dict[str, Limiter] = field(
        default_factory=lambda: {plan: Limiter((Window(limit, 60.0),)) for plan, limit in RATES.items()}
    )
    door: Limiter = field(default_factory=lambda: Limiter(DOOR))
    syncing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def people(self) -> People:
        """Raises Unavailable on a bridge without accounts."""
        if self.desk.people is None:
            raise Unavailable("this bridge has no accounts")
        return self.desk.people

    def organization(self, who: Principal) -> Organization:
        """The account of whoever asks."""
        found = self.desk.store.organizations.get(who.organization_id)
        assert found is not None  # keys belong to organizations, and those are never deleted
        return found


@dataclass(frozen=True, slots=True)
class Route:
    """What the blueprint and the OpenAPI document are made of.

    methods: all that do the same, the usual one first. path: below the mount, in Flask's spelling. view: called with
    the house, who asks, the wish and the parts of the path; its docstring says what it does. scopes: a key needs one of
    them, or admin; none: any key; None: anybody, without a key. wish: what a caller may say, in the query string of a
    GET, anywhere else. gives: what the answer is, a class of answers.py or a media type. statuses: of answers that are
    no errors. creates: takes an Idempotency-Key. web: open to pages. reads: for a view that reads the request itself.
    """

    methods: tuple[str, ...]
    path: str
    view: View
    scopes: frozenset[str] | None
    gives: type | str
    wish: type[Fields] = Nothing
    statuses: tuple[int, ...] = (200,)
    creates: bool = False
    web: bool = False
    reads: bool = False

    @property
    def name(self) -> str:
        """Unique: the view's module and name."""
        return f"{self.view.__module__.rpartition('.')[2]}_{self.view.__name__}"

    def bound(self, house: House) -> View:
        """The view as Flask calls it."""
        return partial(self._answer, house)

    def _answer(self, house: House, **path: str) -> Response:
        if self.scopes is None:
            return self.view(house, self._said(), **path)
        who = cast(Principal, g.principal)
        self._let_in(who, self.scopes)
        if self.reads:
            return self.view(house, who, **path)
        return self.view(house, who, self._said(), **path)

    def _let_in(self, who: Principal, scopes: frozenset[str]) -> None:
        """Raises Forbidden. The guard in front of the app has seen to it that somebody asks."""
        if who.origin is not None and not self.web:
            raise Forbidden("web pages may not call this", code="origin_not_allowed",
                            remedy="call it from a program")  # fmt: skip
        if scopes and not who.scopes & (scopes | {"admin"}):
            wanted = " or ".join(sorted(scopes))
            raise Forbidden(f"this API token may not do that: it needs the scope {wanted}", code="scope_missing",
                            remedy="use another token")  # fmt: skip

    def _said(self) -> Fields:
        if self.wish is Nothing:
            return Nothing()
        if "GET" in self.methods:
            return self.wish.read({name: values[-1] for name, values in request.args.lists()})
        return self.wish.read(parameters(request))


# ---- how often --------------------------------------------------------------------------------------------------


def at_the_door(house: House) -> None:
    """Before a registration. Raises TooMany."""
    _refuse_if_over(house.door.take(_address(), time.monotonic()))


def counted(house: House) -> Callable[[], None]:
    """Before each request: count it against its account, or against its address where it names none."""

    def count() -> None:
        who: Principal | None = g.get("principal")
        g.olin_allowance = allowance = _taken(house, who)
        _refuse_if_over(allowance)

    return count


def shown(house: House) -> Callable[[Response], Response]:
    """After each request: how many are left. Counts those too that were turned away before they were counted."""

    def show(response: Response) -> Response:
        allowance = g.get("olin_allowance")
        if allowance is None:
            allowance = _taken(house, None)
        if allowance.limit is not None:
            response.headers["X-RateLimit-Limit"] = str(allowance.limit)
            response.headers["X-RateLimit-Remaining"] = str(allowance.remaining)
            response.headers["X-RateLimit-Reset"] = str(round(time.time() + allowance.reset_s))
        return response

    return show


def _taken(house: House, who: Principal | None) -> Allowance:
    default = house.desk.olin_plan
    if default == "off":
        return Allowance()
    if who is None:
        return house.rates[default].take(_address(), time.monotonic())
    return house.rates[plan_of(house.organization(who), default)].take(who.organization_id, time.monotonic())


def _refuse_if_over(allowance: Allowance) -> None:
    if allowance.retry_after_s is not None:
        raise TooMany("Too many requests", retry_after_s=allowance.retry_after_s,
                      remedy=f"try again in {allowance.retry_after_s} s")  # fmt: skip


def _address() -> str:
    return f"address {request.remote_addr}"


# ---- words of every view ----------------------------------------------------------------------------------------


def answered(message: str, data: Any = None, status: int = 200, /, **beside: Any) -> Response:
    """{"success": true, "message", "data"}; beside: members next to data."""
    response = jsonify({"success": True, "message": message, "data": data, **beside})
    response.status_code = status
    return response


def number_of(text: str) -> int | None:
    """A number of a row as it stands in a path; None for what cannot be one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
