"""The one place where a request is let in or turned away, before anything of its body is looked at.

Order: Host (DNS rebinding) -> who asks (program, our page, somebody's page) -> preflight -> credentials -> g.principal.
A refusal to a foreign page carries no CORS header, so the page learns nothing, not even that this bridge exists.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from time import perf_counter
from typing import Any

from flask import Response, current_app, g, request

from bridge.access.keys import KeyRing, principal_from
from bridge.access.origins import HostRules, Kind, Visitor, host_allowed, judge
from bridge.errors import BadRequest, Forbidden, NotFound, TooLarge, Unauthorized, WrongMethod
from bridge.model import Principal
from bridge.web.mounts import Mount, Mounts

FORWARDED = "print_bridge.forwarded"
"""In the WSGI environment: True for a request that came through a proxy, so REMOTE_ADDR is not who asks."""

STRANGER_BODY_MAX = 64 * 1024
"""Bytes of a body where no key is asked for: logins are short, and whoever sends more should not be worked for."""

PREFLIGHT_AGE_S = 600  # the request itself is judged again every time, so an old preflight opens nothing
_REQUEST_HEADERS = "authorization, content-type, idempotency-key, x-api-key"
_EXPOSED = "Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"
_READING = ("GET", "HEAD")

Environ = dict[str, Any]


class Guard:
    """Flask's before_request of the whole app. Raises a BridgeError, or leaves in g:

    principal: who asks, None on a public path. visitor: the verdict on the headers. cors: the origin that may read
    the answer, absent when none may. mount: the dialect that owns the path, None for the dashboard's.
    """

    def __init__(
        self,
        organization_id: str,
        ring: KeyRing,
        mounts: Mounts,
        hosts: HostRules,
        *,
        body_max: int,
        dashboard: bool,
        ws_url: str | None = None,
    ) -> None:
        """body_max: bytes. dashboard: whether there is one. ws_url: where WebSockets are served, None nowhere."""
        self._organization_id = organization_id
        self._ring = ring
        self._mounts = mounts
        self._hosts = hosts
        self._body_max = body_max
        self._dashboard = dashboard
        self._ws_url = ws_url

    def __call__(self) -> Response | None:
        environ = request.environ
        context = g._get_current_object()  # one look-up instead of one per attribute
        context.began = perf_counter()
        path = environ["PATH_INFO"]
        context.mount = mount = self._mounts.owner(path)
        context.visitor = visitor = self._visitor(environ)
        context.principal = None
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return self._options(environ, mount, path, visitor)
        if mount is None:
            context.principal = self._at_dashboard(environ, path, visitor)
        elif visitor.kind is Kind.PROGRAM:
            context.principal = self._program(environ, mount, path)
        else:
            context.principal = self._page(environ, mount, path, visitor)
            context.cors = visitor.origin
        most = self._body_max if context.principal is not None else min(self._body_max, STRANGER_BODY_MAX)
        if int(environ.get("CONTENT_LENGTH") or 0) > most:
            raise too_large(most)  # after the credentials, so that a page may read it
        return None

    def _visitor(self, environ: Environ) -> Visitor:
        """Raises BadRequest when the request was meant for somebody else."""
        host: str = environ.get("HTTP_HOST", "")
        if not host_allowed(host, self._hosts):
            raise BadRequest(
                "the Host header names neither this machine nor a name it was given" if host else "no Host header",
                remedy="call the bridge as http://localhost:PORT, or add the name to [server] hosts", code="bad_host",
            )  # fmt: skip
        if not environ.get("REQUEST_URI", "/").startswith("/"):
            # "GET http://other/ HTTP/1.1": a second opinion about the host, and nobody but a proxy is sent one.
            raise BadRequest("the request line must hold a path, not a whole address", code="bad_target")
        return judge(
            host=host,
            scheme=environ["wsgi.url_scheme"],
            origin=environ.get("HTTP_ORIGIN"),
            site=environ.get("HTTP_SEC_FETCH_SITE"),
            mode=environ.get("HTTP_SEC_FETCH_MODE"),
            dest=environ.get("HTTP_SEC_FETCH_DEST"),
        )

    # -- dialects --

    def _program(self, environ: Environ, mount: Mount, path: str) -> Principal | None:
        if environ["REQUEST_METHOD"] in mount.public.methods(path[len(mount.prefix) :]):
            return None
        return self._principal(environ, mount, None)

    def _page(self, environ: Environ, mount: Mount, path: str, visitor: Visitor) -> Principal | None:
        """A page of another site: only what its dialect opens to pages, with a key bound to that very site."""
        method, below = environ["REQUEST_METHOD"], path[len(mount.prefix) :]
        if visitor.origin not in self._ring.origins() or method not in mount.page_methods(below):
            raise _closed_to_pages()
        if method in mount.public.methods(below):
            return None
        try:
            return self._principal(environ, mount, visitor.origin)
        except Unauthorized as error:
            # Never 401 to a browser: it would ask for a password, keep it, and send it for every page from then on.
            raise Forbidden(error.text, remedy=error.remedy, code=error.code) from error

    def _principal(self, environ: Environ, mount: Mount, origin: str | None) -> Principal:
        return principal_from(
            environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY"),
            self._ring, mount.dialect.credentials, origin=origin,
        )  # fmt: skip

    # -- our own page --

    def _at_dashboard(self, environ: Environ, path: str, visitor: Visitor) -> Principal:
        """The dashboard is for people in front of this machine; what it does, only its own page may ask for."""
        if visitor.kind is Kind.FOREIGN_PAGE:
            raise _closed_to_pages()
        if path == "/ws" or environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            raise _no_websocket(self._ws_url)
        if not self._dashboard or not (path == "/" or path.startswith("/web/")):
            raise NotFound("there is nothing at this path", remedy="the paths begin with the mount of a dialect")
        if not _on_this_machine(environ, self._hosts):
            raise Forbidden("the dashboard is for this machine only", remedy="open http://localhost:PORT/ on it")
        if visitor.kind is not Kind.OWN_PAGE:
            if path != "/":
                raise Forbidden("only the dashboard's own page may ask for this", remedy="open / in a browser")
            if environ["REQUEST_METHOD"] not in _READING:
                raise WrongMethod("the dashboard page can only be read")
        return Principal(self._organization_id, scopes=frozenset({"admin"}))

    # -- OPTIONS --

    def _options(self, environ: Environ, mount: Mount | None, path: str, visitor: Visitor) -> Response:
        if visitor.kind is Kind.PROGRAM:
            return _allow(request.path)
        methods = mount.page_methods(path[len(mount.prefix) :]) if mount else frozenset()
        if not methods or visitor.origin not in self._ring.origins():
            raise _closed_to_pages()
        return _preflight(environ, str(visitor.origin), methods)


def too_large(body_max: int) -> TooLarge:
    """The refusal of a body of more than body_max bytes, whoever notices it."""
    if body_max == STRANGER_BODY_MAX:
        text, remedy = f"the body is larger than {body_max // 1024} kB, the most this path takes", "send less"
    else:
        text = f"the body is larger than {body_max / 2**20:.4g} MB, the most this bridge takes"
        remedy = "send less, or raise [limits] body_mb"
    return TooLarge(text, remedy=remedy, code="body_too_large")


def add_cors(response: Response, origin: str) -> None:
    """Let the page behind this origin read the answer."""
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _EXPOSED
    response.vary.add("Origin")


def _preflight(environ: Environ, origin: str, methods: frozenset[str]) -> Response:
    response = Response(status=204)
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Methods"] = ", ".join(sorted(methods))
    headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
    headers["Access-Control-Max-Age"] = str(PREFLIGHT_AGE_S)
    headers["Vary"] = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    if environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return response


def _allow(path: str) -> Response:
    """What this path can do, from the routes themselves."""
    adapter = current_app.create_url_adapter(request)
    methods = set(adapter.allowed_methods()) if adapter else set()
    if not methods:
        raise NotFound(f"there is nothing at {path[:200]!r}")
    response = Response(status=204)
    response.headers["Allow"] = ", ".join(sorted(methods | {"OPTIONS"}))
    return response


def _no_websocket(ws_url: str | None) -> BadRequest:
    """426. It names no protocol to upgrade to: there is none here, and a WSGI app may not send Upgrade anyway."""
    error = BadRequest(
        "WebSockets are not served on this port",
        remedy=f"connect to {ws_url}" if ws_url is not None else
        "this bridge serves none: ask GET /v1/jobs/ID or GET /v1/events over HTTP instead",
        code="no_websocket_here",
    )  # fmt: skip
    error.http = 426
    return error


def _closed_to_pages() -> Forbidden:
    return Forbidden(
        "web pages may not call this",
        remedy="bind a key to the page's origin ([[keys]] origins), and call a path that is open to pages",
        code="origin_not_allowed",
    )


def _on_this_machine(environ: Environ, hosts: HostRules) -> bool:
    """Both ends: the caller is here, and it asked for here. A proxy next to us speaks for callers elsewhere."""
    return (
        _is_loopback(environ.get("REMOTE_ADDR") or "")
        and environ["HTTP_HOST"].lower() in hosts.local
        and not environ.get(FORWARDED, False)
    )


@lru_cache(maxsize=64)
def _is_loopback(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback
