"""The HTTP door, as seen from a raw socket: real waitress, a small dialect, and every kind of unwanted caller.

promises.md 1.1 to 1.3 and 1.11: S02, S04, S05, S07, and that no answer is ever HTML but the dashboard's.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import http.client
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Response, g, jsonify, request

from bridge.access.keys import KeyRing, digest
from bridge.access.origins import HostRules
from bridge.control import Control
from bridge.dialects import Desk, Dialect
from bridge.errors import BridgeError, Conflict, TooMany
from bridge.intake.accept import Intake
from bridge.intake.fetch import FetchRules
from bridge.store import Store
from bridge.web.mounts import Mounts, Paths
from bridge.web.server import BODY_SLACK, CONNECTIONS, HttpServer, make_app
from bridge.web.sockets import bind

ORG = "019a0000-0000-7000-8000-000000000001"
SHOP = "https://shop.example"  # origin A of the promises: "web-key" is bound to it
OTHER = "http://other.example:8080"  # another origin with a key of its own, "other-key"
BODY_MAX = 100_000


# ---- a small bridge -------------------------------------------------------------------------------------------


class Echo:
    """A dialect that notes what it was made to do. Its errors have a shape of their own."""

    mount = "/echo"
    credentials = frozenset({"basic", "bearer", "x-api-key"})
    public = frozenset({"GET /hello", "POST /login"})
    web = frozenset({"GET /jobs", "POST /jobs", "GET /jobs/*", "* /any", "GET /busy"})

    def __init__(self, name: str = "echo") -> None:
        self.name = name
        self.acts: list[str] = []
        self.entered, self.leave = threading.Event(), threading.Event()

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        return {"echo_says": error.code, "message": str(error)}, {"X-Echo": "refused"}

    def routes(self, desk: Desk) -> Blueprint:
        views = Blueprint(self.name, __name__)
        for rule, view in {
            "/hello": self.hello, "/jobs": self.act, "/jobs/<path:rest>": self.act, "/closed": self.act,
            "/any": self.act, "/crash": self.crash, "/slow": self.slow, "/busy": self.busy, "/silent": self.silent,
            "/conflict": self.conflict, "/login": self.hello,
        }.items():  # fmt: skip
            methods = ["GET"] if rule in ("/hello", "/jobs/<path:rest>") else ["GET", "POST"]
            views.add_url_rule(rule, view.__name__ + rule, view, methods=methods)
        return views

    def hello(self) -> Response:
        return jsonify(hello=True, principal=g.principal is not None)

    def act(self, rest: str = "") -> tuple[Response, int]:
        body = request.get_data()
        self.acts.append(f"{request.method} {request.path}")
        who = g.principal
        return jsonify(rest=rest, size=len(body), origin=who.origin, scopes=sorted(who.scopes)), 201

    def silent(self) -> Response:
        """Acts without ever looking at the body."""
        self.acts.append(f"{request.method} {request.path}")
        return jsonify(done=True)

    def crash(self) -> Response:
        raise RuntimeError("the secret inside")

    def conflict(self) -> Response:
        raise Conflict("not now", remedy="later")

    def busy(self) -> Response:
        raise TooMany("slow down", retry_after_s=7)

    def slow(self) -> Response:
        self.entered.set()
        assert self.leave.wait(20)
        self.acts.append("slow")
        return jsonify(done="x" * 300_000)


class Plain(Echo):
    """A dialect without Basic, in the shape nobody asked for; its own errors are broken."""

    mount = "/plain"
    credentials = frozenset({"bearer"})
    web: frozenset[str] = frozenset()

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        raise KeyError("a bug in a dialect")


@dataclass
class Rig:
    server: HttpServer
    echo: Echo
    plain: Plain
    ring: KeyRing
    store: Store

    @property
    def port(self) -> int:
        return self.server.port


def dashboard(acts: list[str]) -> Blueprint:
    views = Blueprint("dashboard", __name__)

    @views.get("/")
    def page() -> str:
        return "<h1>print-bridge</h1>"

    @views.route("/web/jobs", methods=["GET", "POST"])
    def jobs() -> Response:
        acts.append(f"{request.method} {request.path}")
        return jsonify(scopes=sorted(g.principal.scopes))

    return views


def desk_of(store: Store) -> Desk:
    intake = Intake(
        store, rules=lambda: FetchRules(own_ports=frozenset()), document_max=1_000_000, recognize=lambda head: None
    )
    unused: Any = None
    return Desk(
        organization_id=ORG, self_client_id="client", store=store, intake=intake, control=Control(store),
        health=dict, picture=lambda job, number: None, fleet=unused, keys=unused, feed=unused, reload=dict,
        diagnostics=bytes, metrics=str,
    )  # fmt: skip


def build(folder: Path) -> Rig:
    folder.mkdir()
    store = Store(folder)
    store.organizations.add(ORG, "shop")
    store.keys.add(ORG, "till", digest("till-key"), ["jobs"])
    store.keys.add(ORG, "web", digest("web-key"), ["jobs"], [SHOP])
    store.keys.add(ORG, "other", digest("other-key"), ["jobs"], [OTHER])
    ring, echo, plain = KeyRing(store), Echo(), Plain("plain")
    server = HttpServer(body_max=BODY_MAX)
    server.bind(None, 0)
    hosts = HostRules.of(["till.local"], None, server.port)
    dialects: list[Dialect] = [echo, plain]
    server.serve(make_app(desk_of(store), ring, dialects, hosts, BODY_MAX, dashboard(echo.acts)))
    server.start()
    return Rig(server, echo, plain, ring, store)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = build(tmp_path_factory.mktemp("server") / "data")
    yield rig
    rig.server.stop()
    rig.store.close()


@pytest.fixture
def rig(shared: Rig) -> Rig:
    shared.echo.acts.clear()
    shared.plain.acts.clear()
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Rig]:
    """A bridge for one test, to be stopped by it."""
    rig = build(tmp_path / "data")
    yield rig
    rig.echo.leave.set()
    rig.server.stop()
    rig.store.close()


# ---- a raw client ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON, as JSON was promised: exactly this type, not to be kept or guessed at, and no banner."""
        assert self.headers["content-type"] == "application/json"
        assert self.headers["cache-control"] == "no-store"
        assert self.headers["x-content-type-options"] == "nosniff"
        assert "server" not in self.headers and "via" not in self.headers
        return json.loads(self.body)

    @property
    def cors(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.startswith("access-control-")}


def listen(line: socket.socket, method: str = "GET") -> Answer:
    with http.client.HTTPResponse(line, method=method) as answer:
        answer.begin()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def talk(rig: Rig, raw: bytes, *, method: str = "GET", address: str = "127.0.0.1") -> Answer:
    """Send these bytes on a connection of their own."""
    with socket.create_connection((address, rig.port), timeout=60) as line:
        line.sendall(raw)
        return listen(line, method)


def ask(
    rig: Rig, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"", **more: str
) -> Answer:
    given = {"Host": f"localhost:{rig.port}", **(headers or {})}
    if body:
        given["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return talk(rig, "\r\n".join(lines).encode("latin-1") + body, method=method, **more)


TILL = {"Authorization": "Bearer till-key"}
WEB = {"Authorization": "Bearer web-key"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# ---- programs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [TILL, {"X-API-Key": "till-key"}, basic(ORG, "till-key")], ids=str)
def test_a_program_with_a_key_is_let_in(rig: Rig, shown: dict[str, str]) -> None:
    answer = ask(rig, "POST", "/echo/jobs", shown, b"label")
    assert (answer.status, answer.json) == (201, {"rest": "", "size": 5, "origin": None, "scopes": ["jobs"]})
    assert answer.cors == {}


def test_a_program_without_a_key_is_told_how_to_show_one(rig: Rig) -> None:
    answer = ask(rig, "POST", "/echo/jobs", body=b"label")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="print-bridge", charset="UTF-8"'
    assert answer.json["echo_says"] == "unauthorized" and "X-API-Key" in answer.json["message"]
    assert answer.headers["x-echo"] == "refused"
    assert rig.echo.acts == []


def test_a_dialect_without_basic_never_asks_for_it(rig: Rig) -> None:
    answer = ask(rig, "GET", "/plain/jobs", basic(ORG, "till-key"))
    assert answer.status == 401 and "www-authenticate" not in answer.headers
    assert ask(rig, "GET", "/plain/jobs", TILL).status == 201


@pytest.mark.parametrize("query", ["key=till-key", "api_key=till-key", "access_token=till-key"])
def test_a_key_in_the_query_string_is_never_looked_at(rig: Rig, query: str) -> None:
    assert ask(rig, "GET", f"/echo/jobs?{query}").status == 401


def test_a_public_path_needs_no_key_and_does_not_mind_a_wrong_one(rig: Rig) -> None:
    assert ask(rig, "GET", "/echo/hello").json == {"hello": True, "principal": False}
    assert ask(rig, "GET", "/echo/hello/", {"Authorization": "Bearer wrong"}).status == 200
    assert ask(rig, "HEAD", "/echo/hello").status == 200
    assert ask(rig, "POST", "/echo/hello").status == 401  # only GET was made public


def test_options_of_a_program_says_what_a_path_can_do(rig: Rig) -> None:
    answer = ask(rig, "OPTIONS", "/echo/jobs")
    assert (answer.status, answer.headers["allow"], answer.body) == (204, "GET, HEAD, OPTIONS, POST", b"")
    assert answer.cors == {} and "content-type" not in answer.headers
    assert ask(rig, "OPTIONS", "/echo/nowhere").status == 404


# ---- Host (S04) -----------------------------------------------------------------------------------------------


def wrong_hosts(port: int) -> dict[str, bytes]:
    head = b"POST /echo/jobs HTTP/1.1\r\nAuthorization: Bearer till-key\r\n"
    ours, theirs = b"Host: localhost:%d\r\n" % port, b"Host: evil.example\r\n"
    cases = {
        "foreign": head + theirs,
        "foreign with our port": head + b"Host: evil.example:%d\r\n" % port,
        "missing": head,
        "empty": head + b"Host:\r\n",
        "HTTP/1.0 without": b"POST /echo/jobs HTTP/1.0\r\nAuthorization: Bearer till-key\r\n",
        "no version": b"POST /echo/jobs\r\nAuthorization: Bearer till-key\r\n",
        "twice, ours first": head + ours + theirs,
        "twice, ours last": head + theirs + ours,
        "twice the same": head + ours + ours,
        "folded": head + b"Host: evil.example\r\n localhost:%d\r\n" % port,
        "absolute form, foreign": b"POST http://evil.example/echo/jobs HTTP/1.1\r\n" + TILL_LINE + ours,
        "absolute form, ours": b"POST http://localhost:%d/echo/jobs HTTP/1.1\r\n" % port + TILL_LINE + ours,
        "asterisk": b"OPTIONS * HTTP/1.1\r\n" + TILL_LINE + ours,
        "final dot": head + b"Host: localhost.:%d\r\n" % port,
        "longer name": head + b"Host: 127.0.0.1.evil.example:%d\r\n" % port,
        "another port": head + b"Host: localhost:%d\r\n" % (port % 65535 + 1),
        "port 80": head + b"Host: localhost:80\r\n",
        "IPv6 zone": head + b"Host: [::1%%lo]:%d\r\n" % port,
        "userinfo": head + b"Host: localhost@evil.example\r\n",
        "8 kB": head + b"Host: " + b"x" * 8192 + b"\r\n",
        "underscore": head + theirs + b"HTTP_HOST: localhost:%d\r\n" % port,
        "forwarded": head + theirs + b"X-Forwarded-Host: localhost:%d\r\nForwarded: host=localhost\r\n" % port,
    }
    return {name: raw + b"Content-Length: 5\r\n\r\nlabel" for name, raw in cases.items()}


TILL_LINE = b"Authorization: Bearer till-key\r\n"


@pytest.mark.parametrize("case", wrong_hosts(1))
def test_a_request_meant_for_another_host_changes_nothing(rig: Rig, case: str) -> None:
    answer = talk(rig, wrong_hosts(rig.port)[case])
    assert (answer.status, rig.echo.acts, answer.cors) == (400, [], {})
    assert answer.json
    if case != "asterisk":  # no path, no owner
        assert answer.json["echo_says"] == "bad_target" if "absolute" in case else "bad_host"


@pytest.mark.parametrize(
    "host", ["localhost:{}", "localhost", "127.0.0.1:{}", "[::1]:{}", "LOCALHOST:{}", "till.local", "till.local:{}"]
)
def test_our_own_names_are_answered(rig: Rig, host: str) -> None:
    assert ask(rig, "GET", "/echo/jobs", {**TILL, "Host": host.format(rig.port)}).status == 201


def test_http_1_0_with_a_host_is_answered(rig: Rig) -> None:
    assert talk(rig, b"GET /echo/jobs HTTP/1.0\r\nHost: localhost\r\n" + TILL_LINE + b"\r\n").status == 201


# ---- Origin (S02, S07) ----------------------------------------------------------------------------------------

ORIGINS = {
    "null": "null", "A": SHOP, "A other port": SHOP + ":8443", "A default port": SHOP + ":443",
    "A uppercase": SHOP.upper(), "A trailing dot": SHOP + ".", "A over http": "http://shop.example",
    "A.evil.example": SHOP + ".evil.example", "evil.example/A": "https://evil.example/" + SHOP,
    "A twice": f"{SHOP}, {SHOP}", "A with a path": SHOP + "/", "empty": "", "B": OTHER, "star": "*",
}  # fmt: skip
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


@pytest.mark.parametrize("case", ORIGINS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_key_of_origin_a_opens_only_to_origin_a(rig: Rig, method: str, case: str) -> None:
    origin = ORIGINS[case]
    answer = ask(rig, method, "/echo/jobs", {**WEB, "Origin": origin, "Sec-Fetch-Site": "cross-site"})
    if case == "A":
        assert answer.status == 201 and answer.json["origin"] == SHOP
        assert answer.cors["access-control-allow-origin"] == SHOP
        assert "Location" in answer.cors["access-control-expose-headers"]
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-credentials" not in answer.headers
    else:
        assert (answer.status, answer.cors, rig.echo.acts) == (403, {}, [])
        assert answer.json["echo_says"] == "origin_not_allowed"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("case", ORIGINS)
def test_only_origins_with_a_key_get_a_preflight(rig: Rig, case: str) -> None:
    answer = ask(rig, "OPTIONS", "/echo/jobs", {"Origin": ORIGINS[case], **PREFLIGHT})
    if case in ("A", "B"):
        assert answer.status == 204 and answer.body == b""
        assert answer.cors == {
            "access-control-allow-origin": ORIGINS[case],
            "access-control-allow-methods": "GET, HEAD, POST",
            "access-control-allow-headers": "authorization, content-type, idempotency-key, x-api-key",
            "access-control-max-age": "600",
        }
        assert "Origin" in answer.headers["vary"]
    else:
        assert (answer.status, answer.cors) == (403, {})


def test_a_preflight_for_the_private_network_is_answered_when_asked(rig: Rig) -> None:
    asked = {"Origin": SHOP, **PREFLIGHT, "Access-Control-Request-Private-Network": "true"}
    assert ask(rig, "OPTIONS", "/echo/jobs", asked).cors["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize("path", ["/echo/closed", "/echo/nowhere", "/plain/jobs", "/nowhere", "/", "/web/jobs"])
def test_what_is_closed_to_pages_gets_no_preflight(rig: Rig, path: str) -> None:
    answer = ask(rig, "OPTIONS", path, {"Origin": SHOP, **PREFLIGHT})
    assert (answer.status, answer.cors) == (403, {})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/echo/jobs/", 201), ("GET", "/echo/jobs/7/events", 201), ("POST", "/echo/any", 201),
     ("GET", "/echo/any/more", 403), ("GET", "/echo/jobsx", 403), ("POST", "/echo/jobs/7", 403),
     ("POST", "/echo/closed", 403), ("GET", "/echo/closed", 403), ("GET", "/plain/jobs", 403), ("GET", "/x", 403),
     ("GET", "/echo/any/%2e%2e/closed", 403), ("POST", "//echo/closed", 403), ("POST", "/echo//jobs", 403),
     ("POST", "/echo/jobs;x", 403), ("POST", "/echo/JOBS", 403)],
)  # fmt: skip
def test_a_page_reaches_only_what_its_dialect_opens(rig: Rig, method: str, path: str, status: int) -> None:
    answer = ask(rig, method, path, {**WEB, "Origin": SHOP})
    assert answer.status == status
    assert bool(answer.cors) is bool(rig.echo.acts) is (status == 201)


@pytest.mark.parametrize("key", [{}, {"X-API-Key": "till-key"}, {"X-API-Key": "other-key"}, {"X-API-Key": "wrong"}])
def test_a_page_without_its_own_key_is_refused_without_a_word(rig: Rig, key: dict[str, str]) -> None:
    answer = ask(rig, "POST", "/echo/jobs", {**key, "Origin": SHOP})
    assert (answer.status, answer.cors, rig.echo.acts) == (403, {}, [])
    assert "www-authenticate" not in answer.headers


def test_hello_is_open_to_any_origin_with_a_key_and_to_no_other(rig: Rig) -> None:
    answer = ask(rig, "GET", "/echo/hello", {"Origin": OTHER})
    assert answer.json["hello"] and answer.cors["access-control-allow-origin"] == OTHER
    assert ask(rig, "POST", "/echo/login", {"Origin": OTHER}).status == 403  # public, but not for reading
    assert ask(rig, "POST", "/echo/login").status == 200
    stranger = ask(rig, "GET", "/echo/hello", {"Origin": "https://evil.example"})
    assert (stranger.status, stranger.cors) == (403, {})


def test_a_page_with_the_right_key_may_read_its_errors(rig: Rig) -> None:
    missing = ask(rig, "GET", "/echo/any/", {**WEB, "Origin": SHOP}, b"x" * (BODY_MAX + 1))
    busy = ask(rig, "GET", "/echo/busy", {**WEB, "Origin": SHOP})
    for answer, status in ((missing, 413), (busy, 429)):
        assert answer.status == status and answer.cors["access-control-allow-origin"] == SHOP
    assert busy.headers["retry-after"] == "7"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "same-origin"])
@pytest.mark.parametrize("key", [{}, {"Authorization": "Bearer wrong"}, basic(ORG, "wrong")], ids=str)
def test_a_browser_is_never_asked_for_a_password(rig: Rig, key: dict[str, str], site: str) -> None:
    answer = ask(rig, "GET", "/echo/jobs", {**key, "Sec-Fetch-Site": site})
    assert answer.status == (401 if site == "none" else 403)
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_a_page_that_hides_its_origin_is_refused_with_any_key(rig: Rig, site: str) -> None:
    """An <img> or <script> of another site, with credentials the browser remembered."""
    for key in (TILL, WEB, basic(ORG, "till-key")):
        shown = {**key, "Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
        assert ask(rig, "GET", "/echo/jobs", shown).status == 403
    assert rig.echo.acts == []


# ---- cross-site requests without a preflight (S05) ------------------------------------------------------------

SIMPLE = {
    "text/plain": ({"Content-Type": "text/plain"}, b'{"device_id": 1}'),
    "urlencoded": ({"Content-Type": "application/x-www-form-urlencoded"}, b"device_id=1"),
    "multipart": ({"Content-Type": "multipart/form-data; boundary=b"},
                  b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'),
    "no type": ({}, b'{"device_id": 1}'),
    "sendBeacon": ({"Content-Type": "text/plain;charset=UTF-8", "Sec-Fetch-Mode": "no-cors",
                    "Sec-Fetch-Dest": "empty"}, b'{"device_id": 1}'),
    "form": ({"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Mode": "navigate",
              "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}, b"device_id=1"),
}  # fmt: skip


@pytest.mark.parametrize("path", ["/echo/jobs", "/echo/closed", "/echo/silent", "/plain/jobs", "/web/jobs", "/"])
@pytest.mark.parametrize("shape", SIMPLE)
def test_a_simple_request_of_a_foreign_page_has_no_effect(rig: Rig, shape: str, path: str) -> None:
    headers, body = SIMPLE[shape]
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    keys = ({}, TILL, WEB, {"X-API-Key": "till-key"}, basic(ORG, "till-key"))
    shown = [foreign, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": SHOP + ".evil.example"}]
    statuses = {ask(rig, "POST", path, {**headers, **who, **key}, body).status for who in shown for key in keys}
    no_key = ask(rig, "POST", path, headers, body)
    assert statuses <= {403, 405}  # 405: a form sent to the page itself
    assert rig.echo.acts == rig.plain.acts == []
    assert no_key.status in (401, 403, 405)


# ---- the dashboard --------------------------------------------------------------------------------------------


def test_the_page_opens_for_people_and_programs_on_this_machine(rig: Rig) -> None:
    for headers in (
        {}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ):  # fmt: skip
        answer = ask(rig, "GET", "/", headers)
        assert answer.status == 200 and answer.headers["content-type"].startswith("text/html")
        assert answer.headers["x-frame-options"] == "DENY" and answer.cors == {}


@pytest.mark.parametrize(
    "headers",
    [{"Origin": SHOP, **WEB}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
     {"Host": "till.local"}, {"X-Forwarded-For": "192.168.1.9"}, {"Forwarded": "for=192.168.1.9"}],
    ids=str,
)  # fmt: skip
def test_the_page_opens_for_nobody_else(rig: Rig, headers: dict[str, str]) -> None:
    answer = ask(rig, "GET", "/", headers)
    assert answer.status == 403
    assert answer.json["error"]["code"]


def test_our_own_page_is_an_administrator_and_only_under_web(rig: Rig) -> None:
    own = {"Origin": f"http://localhost:{rig.port}", "Sec-Fetch-Site": "same-origin"}
    for headers in (own, {"Origin": own["Origin"]}, {"Sec-Fetch-Site": "same-origin"}):
        assert ask(rig, "POST", "/web/jobs", headers).json == {"scopes": ["admin"]}
        assert ask(rig, "POST", "/echo/jobs", {**headers, **TILL}).status == 403
    assert rig.echo.acts == ["POST /web/jobs"] * 3


@pytest.mark.parametrize(
    "headers",
    [{}, TILL, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": SHOP, **WEB},
     {"Origin": "http://localhost"}, {"Origin": "null"}, {"Origin": "http://evil.example", "Host": "evil.example"},
     {"Sec-Fetch-Site": "same-origin", "Host": "till.local"},
     {"Sec-Fetch-Site": "same-origin", "X-Forwarded-For": "192.168.1.9"},
     {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}],
    ids=str,
)  # fmt: skip
def test_what_the_dashboard_does_is_for_its_own_page_alone(rig: Rig, headers: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        assert ask(rig, method, "/web/jobs", headers).status in (400, 403)
    assert rig.echo.acts == []


# ---- never HTML -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/nowhere", "/echox", "/ech", "/favicon.ico", "/webx", "/%00", "/%0d%0aX:y"])
def test_a_path_nobody_owns_is_answered_in_our_own_shape(rig: Rig, path: str) -> None:
    answer = ask(rig, "GET", path)
    assert answer.status == 404
    assert set(answer.json["error"]) == {"code", "text", "remedy"}


def test_an_unknown_path_is_answered_in_the_shape_of_its_dialect(rig: Rig) -> None:
    for path in ("/echo", "/echo/", "/echo/nowhere", "/echo//jobs", "/echo/jobs//", "/echo/%ff", "/echo/../jobs"):
        answer = ask(rig, "GET", path, TILL)
        assert (answer.status, answer.json["echo_says"]) == (404, "not_found"), path


def test_a_wrong_method_names_the_right_ones(rig: Rig) -> None:
    answer = ask(rig, "DELETE", "/echo/jobs", TILL)
    assert (answer.status, answer.json["echo_says"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
    assert ask(rig, "PROPFIND", "/echo/jobs", TILL).json["echo_says"] == "method_not_allowed"
    assert ask(rig, "DELETE", "/").json["error"]["code"] == "method_not_allowed"


def test_a_view_that_breaks_is_500_with_an_id_for_the_log(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    answer = ask(rig, "POST", "/echo/crash", TILL, b"x")
    assert answer.status == 500
    incident = answer.json["message"].split("error ")[1].split(")")[0]
    assert b"secret inside" not in answer.body and b"Traceback" not in answer.body
    assert incident in caplog.text and "the secret inside" in caplog.text


def test_a_dialect_that_cannot_say_its_error_still_answers_json(rig: Rig) -> None:
    answer = ask(rig, "GET", "/plain/conflict", TILL)
    assert (answer.status, answer.json["error"]) == (409, {"code": "conflict", "text": "not now", "remedy": "later"})


@pytest.mark.parametrize("size", [BODY_MAX + 1, BODY_MAX + BODY_SLACK + 1, 20_000_000])
@pytest.mark.parametrize("expect", [{}, {"Expect": "100-continue"}], ids=["at once", "after 100"])
def test_a_body_beyond_the_limit_is_413_and_the_answer_arrives(rig: Rig, size: int, expect: dict[str, str]) -> None:
    """Also when the caller goes on sending: the connection is not reset under the answer."""
    for path in ("/echo/jobs", "/echo/silent"):
        answer = ask(rig, "POST", path, {**TILL, **expect}, b"x" * size)
        assert answer.status == 413
        assert answer.json["echo_says"] == "body_too_large" and "0.09537 MB" in answer.json["message"]
    assert rig.echo.acts == []


def test_a_body_within_the_limit_is_taken_also_in_chunks(rig: Rig) -> None:
    assert ask(rig, "POST", "/echo/jobs", TILL, b"x" * BODY_MAX).json["size"] == BODY_MAX
    head = b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n" + TILL_LINE + b"\r\n"
    assert talk(rig, head + b"3\r\nabc\r\n0\r\n\r\n").json["size"] == 3
    assert talk(rig, head + b"%x\r\n" % (BODY_MAX + 1) + b"x" * (BODY_MAX + 1) + b"\r\n0\r\n\r\n").status == 413


@pytest.mark.parametrize("expect", [{}, {"Expect": "100-continue"}], ids=["at once", "after 100"])
@pytest.mark.parametrize("path", ["/echo/jobs", "/echo/hello", "/plain/jobs", "/nowhere", "/web/jobs"])
def test_a_large_body_without_a_key_is_refused_at_its_head(rig: Rig, path: str, expect: dict[str, str]) -> None:
    """It would fill the disk before the guard gets to see it."""
    head = {"Content-Length": str(BODY_MAX), **expect}
    began = time.monotonic()
    answer = ask(rig, "POST", path, head)  # the body is never sent
    assert (answer.status, time.monotonic() - began < 20) == (401, True)
    assert "no API key" in str(answer.json) and answer.cors == {}
    assert "www-authenticate" not in answer.headers
    assert rig.echo.acts == []


def test_a_large_body_without_a_key_is_refused_also_in_chunks(rig: Rig) -> None:
    head = b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert talk(rig, head + b"%x\r\n" % BODY_MAX + b"x" * 70_000).status == 401  # the rest is never sent


def test_a_body_of_64_kb_is_taken_where_no_key_is_needed(rig: Rig) -> None:
    assert ask(rig, "POST", "/echo/login", body=b"x" * 65_536).json["hello"] is True


@pytest.mark.parametrize("key", [{}, {"Authorization": "Bearer no-key"}], ids=["without a key", "with some key"])
@pytest.mark.parametrize("path", ["/echo/login", "/echo/login/", "//echo/login", "/echo/%6cogin"])
def test_a_larger_one_is_nobodys_login(rig: Rig, path: str, key: dict[str, str]) -> None:
    """Whoever reads it would work for a stranger: 30 MB of "[{},{},{}" are seconds and a gigabyte of memory."""
    answer = ask(rig, "POST", path, key, body=b"x" * 65_537)
    assert answer.status == (401 if path.startswith("//") and not key else 413)
    assert answer.status == 401 or "64 kB" in str(answer.json)


CHUNKS = b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GARBAGE = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "binary": (bytes(range(128, 255)) + b"\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n", 400),
    "lower case method": (b"get /echo/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "space in path": (b"GET /echo/jobs x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "bad header": (b"GET /echo/jobs HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
    "bare LF": (b"GET /echo/jobs HTTP/1.1\nHost: localhost\r\n\r\n", 400),
    "bad length": (b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
    "two lengths": (b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
                    400),
    "bad chunk": (b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
    "two ways to end": (b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /echo/hello HTTP/1.1\r\n\r\n", 400),
    "chunks in HTTP/1.0": (b"POST /echo/jobs HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "5,000 digits of length": (b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000
                               + b"\r\n\r\n", 400),
    "endless chunk size": (CHUNKS + b"1;" + b"x" * 70_000, 400),
    "endless trailer": (CHUNKS + b"0\r\n" + b"X: y\r\n" * 15_000, 400),
    "tiny chunks": (CHUNKS + b"1\r\nx\r\n" * 20_000, 400),
    "gzip coding": (b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    "large headers": (b"GET /echo/jobs HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    "long path": (b"GET /echo/" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
    "endless header": (b"GET /echo/jobs HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 2_000_000, 431),
}  # fmt: skip


@pytest.mark.parametrize("case", GARBAGE)
def test_what_waitress_refuses_by_itself_is_json_too(rig: Rig, case: str) -> None:
    raw, status = GARBAGE[case]
    answer = talk(rig, raw)
    assert (answer.status, answer.headers["connection"], answer.cors) == (status, "close", {})
    if b"/echo/" in raw and case != "lower case method":
        assert answer.json["echo_says"] and answer.headers["x-echo"] == "refused"
    assert answer.json


# ---- manners --------------------------------------------------------------------------------------------------


def test_head_is_get_without_a_body(rig: Rig) -> None:
    for path, headers, status in (("/echo/jobs/1", TILL, 201), ("/echo/nowhere", TILL, 404), ("/echo/jobs", {}, 401)):
        answer = ask(rig, "HEAD", path, headers)
        assert (answer.status, answer.body) == (status, b"")
        assert answer.headers["content-type"] == "application/json" and int(answer.headers["content-length"]) > 0


def test_a_slash_at_the_end_makes_no_difference_and_never_redirects(rig: Rig) -> None:
    for method in ("GET", "POST"):
        for path in ("/echo/jobs", "/echo/jobs/"):
            assert ask(rig, method, path, TILL, b"x").status == 201
    assert len(rig.echo.acts) == 4


def test_paths_may_hold_any_text(rig: Rig) -> None:
    answer = ask(rig, "GET", "/echo/jobs/%D0%BA%D0%B0%D1%81%D1%81%D0%B0%20%F0%9F%96%A8", TILL)
    assert answer.json["rest"] == "касса 🖨"
    for path, status in (("%ff%fe", 201), ("%00", 201), ("%0d%0aSet-Cookie:x", 404), ("\xff", 400)):
        answer = ask(rig, "GET", f"/echo/jobs/{path}", TILL)
        assert answer.status == status and answer.json and "set-cookie" not in answer.headers


def test_many_requests_share_a_connection(rig: Rig) -> None:
    line = b"GET /echo/jobs HTTP/1.1\r\nHost: localhost\r\n" + TILL_LINE + b"\r\n"
    wrong = b"GET /echo/jobs HTTP/1.1\r\nHost: evil.example\r\n" + TILL_LINE + b"\r\n"
    with socket.create_connection(("127.0.0.1", rig.port), timeout=60) as connection:
        statuses = []
        for raw in (line, wrong, line, line):
            connection.sendall(raw)
            statuses.append(listen(connection).status)
    assert statuses == [201, 400, 201, 201]


def test_ipv6_loopback_answers_on_the_same_port(rig: Rig) -> None:
    assert ask(rig, "GET", "/echo/jobs", TILL, address="::1").status == 201
    assert ask(rig, "GET", "/", {"Host": f"[::1]:{rig.port}"}, address="::1").status == 200
    assert rig.server.urls == [f"http://127.0.0.1:{rig.port}", f"http://[::1]:{rig.port}"]


def test_the_access_log_has_one_line_a_request_and_no_secret(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(rig, "GET", "/echo/jobs?token=canary-query", {**TILL, "Cookie": "canary-cookie"})
        ask(rig, "GET", "/echo/jobs/%0AFAKE", basic(ORG, "canary-password"))
        talk(rig, b"GET /echo/jobs?canary-query HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("bridge.web")]
    assert len(lines) == 3 and lines[0].startswith("GET '/echo/jobs' -> 201 in ")
    assert "canary" not in caplog.text and "till-key" not in caplog.text
    assert all("\n" not in line for line in lines)


def test_a_caller_that_hangs_up_leaves_no_trace(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    for raw in (b"", b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf", b"\r\n" * 100):
        with socket.create_connection(("127.0.0.1", rig.port), timeout=60) as line:
            line.sendall(raw)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by reset
    assert ask(rig, "GET", "/echo/hello").status == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert rig.echo.acts == []


def test_callers_that_say_nothing_cannot_keep_others_out(own: Rig) -> None:
    """S30: more half-sent bodies than there are places for connections."""
    half = b"POST /echo/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf"
    with contextlib.ExitStack() as crowd:
        for _ in range(CONNECTIONS + 20):
            line = crowd.enter_context(socket.create_connection(("127.0.0.1", own.port), timeout=60))
            line.sendall(half)
        began = time.monotonic()
        assert ask(own, "POST", "/echo/jobs", TILL, b"label").status == 201
        assert time.monotonic() - began < 20  # of the thirty for which each of them may stay
    assert own.echo.acts == ["POST /echo/jobs"]


# ---- starting and stopping ------------------------------------------------------------------------------------


def test_bound_is_not_yet_listening(tmp_path: Path) -> None:
    server = HttpServer(body_max=BODY_MAX)
    server.bind(None, 0)
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=60)
    finally:
        server.stop()


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_port_somebody_has_is_named(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as taken:
        taken.bind((address, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} on {address} is taken") as caught:
            HttpServer(body_max=BODY_MAX).bind(None, port)
        assert caught.value.errno == errno.EADDRINUSE


def test_two_that_bound_the_same_port_cannot_both_listen(own: Rig) -> None:
    """Linux lets two sockets bind one port as long as neither listens; the second finds out at start."""
    first, second = HttpServer(body_max=BODY_MAX), HttpServer(body_max=BODY_MAX)
    app = make_app(desk_of(own.store), own.ring, [], HostRules.of([], None, 1), BODY_MAX)
    try:
        first.bind(None, 0)
        second.bind(None, first.port)
        for server in (first, second):
            server.serve(app)
        first.start()
        with pytest.raises(OSError, match=f"port {first.port} on 127.0.0.1 is taken"):
            second.start()
    finally:
        second.stop()
        first.stop()


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1"):
        bind("192.0.2.1", 0)
    with pytest.raises(OSError, match="no-such-host.invalid"):
        bind("no-such-host.invalid", 0)


@pytest.mark.parametrize(("host", "count"), [("127.0.0.1", 1), ("0.0.0.0", 1), ("::1", 1), ("localhost", 2)])
def test_a_given_address_is_the_only_one(host: str, count: int) -> None:
    opened = bind(host, 0)
    assert len(opened) == count
    for each in opened:
        each.close()


def test_stop_finishes_what_is_running_and_takes_nothing_new(own: Rig) -> None:
    with socket.create_connection(("127.0.0.1", own.port), timeout=60) as line, socket.create_connection(
        ("127.0.0.1", own.port), timeout=60
    ) as idle:
        line.sendall(b"GET /echo/slow HTTP/1.1\r\nHost: localhost\r\n" + TILL_LINE + b"\r\n")
        assert own.echo.entered.wait(10)
        stopper = threading.Thread(target=own.server.stop)
        stopper.start()
        assert idle.recv(1) == b""  # connections with nothing under way are closed at once
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", own.port), timeout=60).close()
        own.echo.leave.set()
        answer = listen(line)
        stopper.join(10)
    assert (answer.status, len(answer.json["done"]), own.echo.acts) == (200, 300_000, ["slow"])
    own.server.stop()  # a second time does no harm


def test_stop_gives_up_on_what_takes_too_long(own: Rig) -> None:
    with socket.create_connection(("127.0.0.1", own.port), timeout=60) as line:
        line.sendall(b"GET /echo/slow HTTP/1.1\r\nHost: localhost\r\n" + TILL_LINE + b"\r\n")
        assert own.echo.entered.wait(10)
        began = time.monotonic()
        own.server.stop(timeout_s=0.2)
        assert time.monotonic() - began < 20
        assert line.recv(1) == b""


def test_a_revoked_key_is_refused_after_a_reload(own: Rig) -> None:
    own.store.engine.write(lambda db: db.execute("UPDATE keys SET revoked_at = 1"))
    assert ask(own, "GET", "/echo/jobs", TILL).status == 201
    own.ring.reload()
    assert ask(own, "GET", "/echo/jobs", TILL).status == 401
    assert ask(own, "OPTIONS", "/echo/jobs", {"Origin": SHOP, **PREFLIGHT}).status == 403


# ---- mounting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["/hello", "GET hello", "get /hello", "GET /a*", "GET /*/b", "", "GET", "FETCH /a"])
def test_a_line_of_paths_with_a_typing_error_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="METHOD /path"):
        Paths([line])


@pytest.mark.parametrize("mount", ["", "/", "echo", "/echo/", "/web", "/web/x"])
def test_a_dialect_cannot_be_mounted_just_anywhere(mount: str) -> None:
    dialect = Echo()
    dialect.mount = mount
    with pytest.raises(ValueError, match="mount"):
        Mounts([dialect])


def test_the_longest_mount_owns_a_path() -> None:
    short, long = Echo("short"), Echo("long")
    short.mount, long.mount = "/api", "/api/v2"
    mounts = Mounts([short, long])
    owners = {path: mounts.owner(path) for path in ("/api", "/api/v2", "/api/v2/x", "/api/v22", "/api/", "/apix", "/")}
    assert {path: mount.dialect.name if mount else None for path, mount in owners.items()} == {
        "/api": "short", "/api/v2": "long", "/api/v2/x": "long", "/api/v22": "short", "/api/": "short", "/apix": None,
        "/": None,
    }  # fmt: skip
    with pytest.raises(ValueError, match="same mount"):
        Mounts([short, short])
