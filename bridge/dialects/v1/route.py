"""One row of the table of routes, and what stands in front of every view: who may, and what was said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, cast

from flask import Response, g, request

from bridge.dialects import Desk
from bridge.dialects.v1.wishes import Nothing, Wish, understood
from bridge.errors import Forbidden
from bridge.intake.body import parameters
from bridge.model import Principal

View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Route:
    """What the blueprint and the OpenAPI document are made of.

    path: below /v1, in Flask's spelling. view: called with the desk, the wish and the parts of the path; the first line
    of its docstring says what it does. scope: none is for anybody, without a key. wish: what a caller may say, in the
    query string of a GET, anywhere else. gives: what the answer is, a class of answers.py or a media type; None:
    nothing. statuses: of answers that are no errors. creates: takes an Idempotency-Key. web: open to pages. reads:
    for a view that reads the request itself. owner: only for the organization this bridge belongs to. prints: also for
    keys that may do nothing but print.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    view: View
    scope: Literal["none", "jobs", "printers", "admin"]
    gives: type | str | None
    wish: type[Wish] = Nothing
    statuses: tuple[int, ...] = (200,)
    creates: bool = False
    web: bool = False
    reads: bool = False
    owner: bool = False
    prints: bool = False

    @property
    def scopes(self) -> frozenset[str]:
        """A key needs one of these."""
        looks = self.method == "GET" and self.scope in ("jobs", "printers")
        also = (("read", looks), ("print", self.prints))
        return frozenset({self.scope, "admin", *(scope for scope, opens in also if opens)})

    @property
    def name(self) -> str:
        """Unique: the view's module and name."""
        return f"{self.view.__module__.rpartition('.')[2]}_{self.view.__name__}"

    def bound(self, desk: Desk) -> View:
        """The view as Flask calls it."""
        return partial(self._answer, desk)

    def _answer(self, desk: Desk, **path: Any) -> Response:
        if self.scope != "none":
            self._let_in(caller(), desk.organization_id)
        if self.reads:
            return self.view(desk, **path)
        return self.view(desk, understood(self.wish, self._said()), **path)

    def _let_in(self, who: Principal, owner: str) -> None:
        """Raises Forbidden. The guard in front of the app has seen to it that somebody asks."""
        if who.origin is not None and not self.web:
            raise Forbidden("web pages may not call this", code="origin_not_allowed",
                            remedy="call it from a program, or use the print-bridge command")  # fmt: skip
        if not who.scopes & self.scopes:
            raise Forbidden(f"this key may not do that: it needs the scope {self.scope}",
                            remedy="use another key, or give this one the scope: PATCH /v1/keys/ID")  # fmt: skip
        if self.owner and who.organization_id != owner:
            raise Forbidden("only the organization this bridge belongs to may do that", code="not_the_owner",
                            remedy="ask whoever looks after this bridge")  # fmt: skip

    def _said(self) -> dict[str, Any]:
        if self.method == "GET":
            return {name: values[-1] for name, values in request.args.lists()}
        return parameters(request)


def caller() -> Principal:
    """Who asks; not to be asked where the scope is none."""
    return cast(Principal, g.principal)
