"""Between Flask and the endpoints: who may call one, how often, and what of the request goes into the reply."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from flask import Response, g, jsonify, request

from bridge.access.limits import Limiter
from bridge.dialects import Desk
from bridge.dialects.cloudlinker.fields import Fields, Flag
from bridge.dialects.cloudlinker.paginator import Links
from bridge.errors import Forbidden, TooMany
from bridge.intake.body import parameters
from bridge.model import Principal

View = Callable[[Principal, dict[str, Any]], Any]
PublicView = Callable[[dict[str, Any]], Any]


def guarded(view: View, scopes: frozenset[str]) -> Callable[[], Response]:
    """The view for callers with one of `scopes`; "admin" always is one."""

    def answer() -> Response:
        caller: Principal = g.principal
        if not caller.scopes & (scopes | {"admin"}):
            wanted = " or ".join(sorted(scopes or {"admin"}))
            raise Forbidden(f"this key lacks the scope {wanted}", remedy="give it that scope, or use another key",
                            code="scope_missing")  # fmt: skip
        return jsonify(view(caller, parameters(request, lenient=True)))

    return answer


def public(view: PublicView) -> Callable[[], Response]:
    """The view for anybody."""

    def answer() -> Response:
        return jsonify(view(parameters(request, lenient=True)))

    return answer


def counted(limiter: Limiter) -> Callable[[], None]:
    """Before each request: count it against its key. Raises TooMany."""

    def count() -> None:
        principal: Principal | None = g.get("principal")
        who = (principal.key_id or principal.organization_id) if principal else f"address {request.remote_addr}"
        g.allowance = allowance = limiter.take(who, monotonic())
        if allowance.retry_after_s is not None:
            raise TooMany("too many requests", retry_after_s=allowance.retry_after_s,
                          remedy=f"try again in {allowance.retry_after_s} s")  # fmt: skip

    return count


def show_allowance(response: Response) -> Response:
    """Laravel's headers, where there is a limit."""
    allowance = g.get("allowance")
    if allowance is not None and allowance.limit is not None:
        response.headers["X-RateLimit-Limit"] = str(allowance.limit)
        response.headers["X-RateLimit-Remaining"] = str(allowance.remaining)
    return response


def links() -> Links:
    """Addresses of the pages of the list that is being answered."""
    return Links(request.base_url.rstrip("/"), request.args.to_dict())


class _Delete(Fields):
    success: Flag = False


def deleted(desk: Desk, given: dict[str, Any], name: str) -> Any:
    """The reply to a deletion: the seed's [], or what the Laravel client takes for a yes (it says `id` for `name`)."""
    by_alias = given.get("id") is not None and given.get(name) is None
    if by_alias or desk.delete_reply == "success" or _Delete.read(given).success:
        return {"success": True}
    return []
