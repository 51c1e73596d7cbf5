"""One row of the table of routes, and what stands in front of every view: who may, how often, and what was said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from flask import Response, g, jsonify, request

from bridge.access.limits import Limiter, Window
from bridge.dialects import Desk
from bridge.dialects.printcloud.wishes import Nothing, Wish, understood
from bridge.errors import BadRequest, BridgeError, Forbidden, Invalid
from bridge.intake.body import parameters
from bridge.model import Principal

RATE = (Window(10, 1.0),)
"""Requests of one account in a second: seed printcloud.txt, "Rate Limiting"."""

NOBODY = Principal("")
"""Who asks where no key is needed."""

IDS_MAX = 100
"""Ids in one path."""

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class House:
    """What the views work with."""

    desk: Desk
    rate: Limiter


@dataclass(frozen=True, slots=True)
class Route:
    """What the blueprint and the OpenAPI document are made of.

    path: below the mount, in Flask's spelling. view: called with the house, who asks, the wish and the parts of the
    path; its docstring says what it does. scopes: a key needs one of them, or admin; None: anybody, without a key.
    gives: what the answer is, a class of answers.py. wish: what a caller may say, in the query string of a GET,
    anywhere else. statuses: of answers that are no errors. creates: takes an Idempotency-Key. web: open to pages.
    ours: not PrintCloud's, but this bridge's addition.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    view: View
    scopes: frozenset[str] | None
    gives: Any
    wish: type[Wish] = Nothing
    statuses: tuple[int, ...] = (200,)
    creates: bool = False
    web: bool = False
    ours: bool = False

    @property
    def name(self) -> str:
        """Unique: the view's module and name."""
        return f"{self.view.__module__.rpartition('.')[2]}_{self.view.__name__}"

    def bound(self, house: House) -> View:
        """The view as Flask calls it."""
        return partial(self._answer, house)

    def _answer(self, house: House, **path: str) -> Response:
        who = NOBODY
        if self.scopes is not None:
            who = g.principal
            self._let_in(who)
        try:
            return self.view(house, who, understood(self.wish, self._said()), **path)
        except Invalid as error:
            # PrintCloud knows no 422: "400 Bad request - invalid parameters".
            raise BadRequest(error.text, remedy=error.remedy, field=error.field, code=error.code) from error

    def _let_in(self, who: Principal) -> None:
        """Raises Forbidden. The guard in front of the app has seen to it that somebody asks."""
        if who.origin is not None and not self.web:
            raise Forbidden("web pages may not call this", code="origin_not_allowed",
                            remedy="call it from a program")  # fmt: skip
        assert self.scopes is not None
        if not who.scopes & (self.scopes | {"admin"}):
            raise Forbidden(f"this API key may not do that; it may {_allowed(who.scopes)}",
                            remedy="use a key with another permission", code="scope_missing")  # fmt: skip

    def _said(self) -> dict[str, Any]:
        if self.wish is Nothing:
            return {}
        if self.method == "GET":
            return {name: values[-1] for name, values in request.args.lists()}
        return parameters(request)


_MAY = {
    "admin": "do everything", "jobs": "print and manage jobs", "printers": "look at printers",
    "print": "create print jobs (print_only)", "read": "look at things (read_only)",
}  # fmt: skip


def _allowed(scopes: frozenset[str]) -> str:
    return " and ".join(_MAY.get(scope, scope) for scope in sorted(scopes)) or "do nothing here"


def made(value: Any, status: int = 201) -> Response:
    """A JSON answer with another status than 200."""
    response = jsonify(value)
    response.status_code = status
    return response


def each(ids: str, act: Callable[[str], None]) -> Response:
    """Do something with each of the ids in a path; the answer is those with which it worked.

    ids: separated by commas. act: called with one id. Raises its first refusal when none worked.
    """
    done, refusal = [], None
    for one in _several(ids):
        try:
            act(one)
        except BridgeError as error:
            refusal = refusal or error
        else:
            done.append(one)
    if not done and refusal is not None:
        raise refusal
    return jsonify(done)


def _several(text: str) -> list[str]:
    found = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found or len(found) > IDS_MAX:
        raise Invalid(f"{len(found)} ids; 1 to {IDS_MAX} can be named at once", field="ids",
                      remedy="separate them by commas")  # fmt: skip
    return found
