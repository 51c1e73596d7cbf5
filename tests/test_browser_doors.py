"""The doors a web page could try, knocked at with raw sockets on a real serve (promises.md 1.1-1.3: S02 to S05).

tests/bridge/test_server.py asks the same of a small dialect; here it is every real route and every real row.
tests/test_browser.py is the same seen from inside a browser.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from flask import Flask

from bridge import dialects
from bridge.dialects import Desk
from bridge.web.dashboard import make_dashboard
from tests.bridge.shop import until
from tests.serving import Answer, Serve, b64

SHOP, EVIL = "https://shop.example", "https://evil.example"
PAGE_KEY = "pb_key-of-the-page"
ZPL = b"^XA^FO20,20^ADN,36,20^FDhello^FS^XZ"
JOB = json.dumps({"printer": "virtual", "document_base64": b64(ZPL)}).encode()


# ---- the routes -------------------------------------------------------------------------------------------------


class _NoDesk:
    """Enough of a desk to ask for routes; nobody calls them."""

    plan = "off"

    def __getattr__(self, name: str) -> Any:
        return None


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. path: with something in place of every parameter."""

    method: str
    path: str


def routes() -> list[Route]:
    """Every route of every dialect and of the dashboard, from the map that serve itself uses."""
    app, desk = Flask(__name__, static_folder=None), cast(Desk, _NoDesk())
    for name in dialects.names():
        dialect = dialects.load(name)
        app.register_blueprint(dialect.routes(desk), url_prefix=dialect.mount)
    app.register_blueprint(make_dashboard(desk))
    found = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<int:\w+>", "1", rule.rule)
        path = re.sub(r"<\w+>", "virtual", path)
        found |= {Route(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    return sorted(found, key=lambda route: (route.path, route.method))


ROUTES = routes()
CHANGING = [route for route in ROUTES if route.method != "GET"]
OPEN = frozenset({
    "/api/auth/login", "/api/auth/register", "/olin/api/login", "/olin/api/register", "/printcloud/api/client/login",
})  # fmt: skip
"""Where no key is needed: a login takes it from the body, and whoever may register is told so whatever he sends."""


# ---- a bridge, and what is in it --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """It has one printer, one key bound to SHOP, and one job."""
    folder: Path = tmp_path_factory.mktemp("doors")
    key = folder / "page.key"
    key.write_text(PAGE_KEY)
    key.chmod(0o600)
    config = f'[[keys]]\nname = "page"\nkey_file = "{key}"\nscopes = ["jobs"]\norigins = ["{SHOP}"]\n'
    with Serve(folder / "data", config) as bridge:
        bridge.wait(bridge.call("POST", "/v1/jobs", JOB).json["id"])
        yield bridge


def rows(bridge: Serve) -> Any:
    """Everything a caller might have changed: jobs with their states, printers, clients, devices, people, webhooks."""
    paths = ("jobs?limit=500", "printers", "keys", "organizations", "users", "groups", "webhooks")
    read = [bridge.call("GET", f"/v1/{path}").json for path in paths]
    clients = [{**row, "last_seen": None} for row in bridge.api("clients/list")["data"]]
    return [*read, clients, bridge.api("devices/list"), bridge.total()]


def settled(bridge: Serve) -> Any:
    """The same, once every job of before is over."""
    until(lambda: not bridge.call("GET", "/v1/jobs?state=queued,preparing,sending").json["total"])
    return rows(bridge)


# ---- a raw client -----------------------------------------------------------------------------------------------


class Line:
    """A keep-alive connection that sends exactly these bytes."""

    def __init__(self, bridge: Serve) -> None:
        self._socket = socket.create_connection(("127.0.0.1", bridge.port), timeout=60)
        self._host = f"localhost:{bridge.port}"

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def send(self, raw: bytes, method: str = "GET") -> Answer:
        self._socket.sendall(raw)
        with http.client.HTTPResponse(self._socket, method=method) as answer:
            answer.begin()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def ask(self, route: Route, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        given = {"Host": self._host, **headers, "Content-Length": str(len(body))}
        lines = [f"{route.method} {route.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        return self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body, route.method)


def ask(bridge: Serve, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
    with Line(bridge) as line:
        return line.ask(Route(method, path), headers, body)


def cors(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


def upgrade(**headers: str) -> dict[str, str]:
    """What a browser, or a program, sends to begin a WebSocket."""
    return {
        **headers, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip


# ---- simple requests (S05) --------------------------------------------------------------------------------------

FORM = b'--b\r\nContent-Disposition: form-data; name="printer"\r\n\r\nvirtual\r\n--b\r\n' \
       b'Content-Disposition: form-data; name="file"; filename="a.zpl"\r\n\r\n^XA^XZ\r\n--b--\r\n'  # fmt: skip
SHAPES = {
    "text/plain": ({"Content-Type": "text/plain"}, JOB),
    "urlencoded": ({"Content-Type": "application/x-www-form-urlencoded"}, b"printer=virtual&document_base64=XlhBXlha"),
    "multipart": ({"Content-Type": "multipart/form-data; boundary=b"}, FORM),
    "no type": ({}, JOB),
    "sendBeacon": ({"Content-Type": "text/plain;charset=UTF-8", "Sec-Fetch-Mode": "no-cors",
                    "Sec-Fetch-Dest": "empty"}, JOB),
    "JSON": ({"Content-Type": "application/json"}, JOB),
}  # fmt: skip
FOREIGN = {
    "another origin": {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
    "another origin of an old browser": {"Origin": EVIL},
    "no origin to tell": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "hidden origin": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    "another port of this machine": {"Origin": "http://localhost:1", "Sec-Fetch-Site": "same-site"},
}


def shown(bridge: Serve) -> list[dict[str, str]]:
    """No key at all; and the best one there is, in every way it can be shown; and a page's key away from its page."""
    caller = bridge.caller()
    caller.close()
    return [
        {}, {"Authorization": caller.authorization}, {"Authorization": f"Bearer {bridge.key}"},
        {"Authorization": f"Basic {b64(bridge.key.encode() + b':')}"},
        {"X-API-Key": bridge.key}, {"Authorization": f"Bearer {PAGE_KEY}"},
    ]  # fmt: skip


def test_there_are_routes_to_try() -> None:
    paths = {route.path for route in CHANGING}
    assert {"/v1/jobs", "/api/jobs/create", "/web/printers/virtual/test-label"} <= paths
    assert len(CHANGING) >= 27 and len(ROUTES) >= 43


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("page", FOREIGN)
def test_no_route_does_anything_for_a_foreign_page_with_any_key(bridge: Serve, page: str, shape: str) -> None:
    headers, body = SHAPES[shape]
    before = settled(bridge)
    with Line(bridge) as line:
        for route in ROUTES:
            for key in shown(bridge):
                answer = line.ask(route, {**headers, **FOREIGN[page], **key}, body if route.method != "GET" else b"")
                assert answer.status == 403, (route, key, answer)
                assert cors(answer) == {} and "www-authenticate" not in answer.headers, (route, answer.headers)
                assert answer.headers["content-type"] == "application/json"
    assert rows(bridge) == before


@pytest.mark.parametrize("shape", SHAPES)
def test_no_route_does_anything_without_a_key(bridge: Serve, shape: str) -> None:
    """What a page would send if its browser told neither Origin nor Sec-Fetch-Site."""
    headers, body = SHAPES[shape]
    before = settled(bridge)
    with Line(bridge) as line:
        for route in CHANGING:
            answer = line.ask(route, headers, body)
            assert answer.status in ((400, 401, 403, 422, 429) if route.path in OPEN else (401, 403)), (route, answer)
    assert rows(bridge) == before


def test_no_get_changes_anything_even_with_the_best_key(bridge: Serve) -> None:
    before = settled(bridge)
    with Line(bridge) as line:
        for route in ROUTES:
            if route.method == "GET" and not route.path.endswith("/stream"):
                assert line.ask(route, {"Authorization": f"Bearer {bridge.key}"}).status < 500, route
    assert rows(bridge) == before


# ---- Origin (S02) -----------------------------------------------------------------------------------------------

ORIGINS = {
    "absent": None, "null": "null", "A": SHOP, "A with another port": SHOP + ":8443", "A with its port": SHOP + ":443",
    "A in upper case": SHOP.upper(), "A with a final dot": SHOP + ".", "A over http": "http://shop.example",
    "A.evil.example": SHOP + ".evil.example", "evil.example/A": f"{EVIL}/{SHOP}", "A twice": f"{SHOP}, {SHOP}",
    "empty": "", "star": "*", "a file": "file://", "an extension": "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
}  # fmt: skip


def knock(bridge: Serve, origin: str | None, site: str | None) -> tuple[list[int], list[bool]]:
    """Status, and whether the page may read it, of GET, POST, OPTIONS and a WebSocket."""
    who = {} if origin is None else {"Origin": origin}
    who |= {} if site is None else {"Sec-Fetch-Site": site}
    key = {"Authorization": f"Bearer {PAGE_KEY}"}
    answers = [
        ask(bridge, "GET", "/v1/jobs", {**who, **key}),
        ask(bridge, "POST", "/v1/jobs", {**who, **key, "Content-Type": "application/json"}, JOB),
        ask(bridge, "OPTIONS", "/v1/jobs", {**who, "Access-Control-Request-Method": "POST"}),
        ask(bridge, "GET", "/ws", upgrade(**who)),
    ]
    return [answer.status for answer in answers], [bool(cors(answer)) for answer in answers]


@pytest.mark.parametrize("site", [None, "cross-site"])
@pytest.mark.parametrize("case", ORIGINS)
def test_exactly_the_allowed_origin_gets_in(bridge: Serve, case: str, site: str | None) -> None:
    before = bridge.total()
    statuses, readable = knock(bridge, ORIGINS[case], site)
    if case == "A":
        assert (statuses, readable) == ([200, 201, 204, 403], [True, True, True, False])
    elif case == "absent" and site is None:  # a program
        assert (statuses, readable) == ([200, 201, 204, 426], [False] * 4)
    else:
        assert (statuses, readable) == ([403] * 4, [False] * 4)
    assert bridge.total() == before + (201 in statuses)


SUBMITTED = {
    "/olin/api/print-jobs": {"printer_name": "virtual", "file_base64": b64(ZPL)},
    "/printcloud/api/printjobs": {"printerId": "virtual", "contentType": "raw_base64", "content": b64(ZPL)},
}  # fmt: skip


@pytest.mark.parametrize("path", SUBMITTED)
def test_the_other_clouds_paths_are_open_to_the_allowed_origin_only(bridge: Serve, path: str) -> None:
    before, body = bridge.total(), json.dumps(SUBMITTED[path]).encode()
    for case, origin in ORIGINS.items():
        who = {} if origin is None else {"Origin": origin}
        more = {**who, "Authorization": f"Bearer {PAGE_KEY}", "Content-Type": "application/json"}
        asked = ask(bridge, "OPTIONS", path, {**who, "Access-Control-Request-Method": "POST"})
        sent = ask(bridge, "POST", path, more, body)
        expected = {"A": (204, 201), "absent": (204, 201)}.get(case, (403, 403))
        assert (asked.status, sent.status) == expected, (case, sent)
        assert bool(cors(asked)) == bool(cors(sent)) == (case == "A"), (case, sent)
    assert bridge.total() == before + 2


# ---- preflight for the private network --------------------------------------------------------------------------

PRIVATE = {
    "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type",
    "Access-Control-Request-Private-Network": "true",
}  # fmt: skip


def test_a_private_network_preflight_is_answered_for_the_allowed_origin_only(bridge: Serve) -> None:
    for path in ("/v1/jobs", "/v1/jobs/some-id", "/v1/hello", "/api/jobs/create"):
        answer = ask(bridge, "OPTIONS", path, {"Origin": SHOP, **PRIVATE})
        assert (answer.status, answer.headers.get("access-control-allow-private-network")) == (204, "true")
        assert answer.headers["access-control-allow-origin"] == SHOP
    for origin in (value for name, value in ORIGINS.items() if value is not None and name != "A"):
        for path in ("/v1/jobs", "/v1/hello", "/api/jobs/create", "/"):
            answer = ask(bridge, "OPTIONS", path, {"Origin": origin, **PRIVATE})
            assert (answer.status, cors(answer)) == (403, {})


# ---- who can connect at all (S03) -------------------------------------------------------------------------------


def test_nobody_from_elsewhere_can_connect_unless_somebody_said_so(bridge: Serve) -> None:
    assert bridge.process is not None
    open_to = psutil.Process(bridge.process.pid).net_connections("inet")
    listening = {line.laddr.ip for line in open_to if line.status == psutil.CONN_LISTEN}
    ports = {line.laddr.port for line in open_to if line.status == psutil.CONN_LISTEN}
    assert listening <= {"127.0.0.1", "::1"} and "127.0.0.1" in listening
    assert bridge.port in ports and len(ports) == 2  # that of the WebSockets is the other one


# ---- Host (S04) -------------------------------------------------------------------------------------------------


def hosts(port: int) -> dict[str, tuple[str, bytes]]:
    """(first line with METHOD and PATH, headers about the host) of requests that were meant for somebody else."""
    line, ours, theirs = "METHOD PATH HTTP/1.1", b"Host: localhost:%d\r\n" % port, b"Host: evil.example\r\n"
    return {
        "foreign": (line, theirs),
        "foreign with our port": (line, b"Host: evil.example:%d\r\n" % port),
        "missing": (line, b""),
        "HTTP/1.0": ("METHOD PATH HTTP/1.0", b""),
        "twice, ours first": (line, ours + theirs),
        "twice, ours last": (line, theirs + ours),
        "absolute form, foreign": ("METHOD http://evil.examplePATH HTTP/1.1", ours),
        "absolute form, ours": (f"METHOD http://localhost:{port}PATH HTTP/1.1", ours),
        "final dot": (line, b"Host: localhost.:%d\r\n" % port),
        "longer name": (line, b"Host: 127.0.0.1.evil.example:%d\r\n" % port),
        "another port": (line, b"Host: localhost:%d\r\n" % (port % 65535 + 1)),
        "port 80": (line, b"Host: localhost:80\r\n"),
        "IPv6 zone": (line, b"Host: [::1%%lo]:%d\r\n" % port),
        "8 kB": (line, b"Host: " + b"x" * 8192 + b"\r\n"),
        "rebound": (line, b"Host: evil.example:%d\r\nOrigin: http://evil.example:%d\r\nSec-Fetch-Site: same-origin\r\n"
                    % (port, port)),
    }  # fmt: skip


DOORS = {
    "/v1": ("POST", "/v1/jobs", {"Content-Type": "application/json"}),
    "/api": ("POST", "/api/jobs/create", {"Content-Type": "application/json"}),
    "/printcloud": ("POST", "/printcloud/api/printjobs", {"Content-Type": "application/json"}),
    "/olin": ("POST", "/olin/api/print-jobs", {"Content-Type": "application/json"}),
    "dashboard": ("POST", "/web/printers/virtual/test-label", {}),
    "hello": ("GET", "/v1/hello", {}),
    "page": ("GET", "/", {}),
    "WebSocket": ("GET", "/ws", upgrade()),
}


@pytest.mark.parametrize("case", hosts(1))
def test_a_request_meant_for_another_host_opens_no_door(bridge: Serve, case: str) -> None:
    before = settled(bridge)
    line, about_host = hosts(bridge.port)[case]
    for method, path, more in DOORS.values():
        body = JOB if method == "POST" else b""
        headers = {**more, "Authorization": f"Bearer {bridge.key}", "Content-Length": str(len(body))}
        lines = [line.replace("METHOD", method).replace("PATH", path), *(f"{k}: {v}" for k, v in headers.items()), ""]
        with Line(bridge) as connection:
            answer = connection.send("\r\n".join(lines).encode() + about_host + b"\r\n" + body)
        assert answer.status == 400, (path, answer)
        assert answer.headers["content-type"] == "application/json" and cors(answer) == {}
    assert rows(bridge) == before


# ---- WebSockets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/ws", "/ws?token=x", "/", "/socket"])
def test_a_program_that_wants_a_websocket_is_told_where_they_are(bridge: Serve, path: str) -> None:
    for headers in (upgrade(), upgrade(Authorization=f"Bearer {bridge.key}"), upgrade(Upgrade="WebSocket")):
        answer = ask(bridge, "GET", path, headers)
        assert answer.status == 426
        error = answer.json["error"]
        assert error["code"] == "no_websocket_here" and "not served on this port" in error["text"]
        assert error["remedy"] == f"connect to {ask(bridge, 'GET', '/v1/hello', {}).json['ws']}"


def test_the_path_of_websockets_says_so_to_plain_requests_too(bridge: Serve) -> None:
    assert ask(bridge, "GET", "/ws", {}).status == 426
    assert ask(bridge, "GET", "/v1/hello", {}).json["ws"].startswith("ws://127.0.0.1:")


@pytest.mark.parametrize("path", ["/ws", "/", "/v1/hello", "/v1/jobs", "/v1/events/stream", "/web/state"])
@pytest.mark.parametrize("page", FOREIGN)
def test_a_websocket_of_a_foreign_page_is_refused(bridge: Serve, page: str, path: str) -> None:
    for key in shown(bridge):
        answer = ask(bridge, "GET", path, upgrade(**FOREIGN[page], **key))
        assert (answer.status, cors(answer)) == (403, {})


def test_a_websocket_where_an_api_lives_is_an_error_in_json(bridge: Serve) -> None:
    for path in ("/v1/hello", "/v1/jobs", "/api/test"):
        answer = ask(bridge, "GET", path, upgrade(Authorization=f"Bearer {bridge.key}"))
        assert 400 <= answer.status < 500 and answer.json


@pytest.mark.parametrize("page", [*FOREIGN, "the allowed origin"])
def test_the_port_of_websockets_is_closed_to_every_page(bridge: Serve, page: str) -> None:
    port = int(ask(bridge, "GET", "/v1/hello", {}).json["ws"].removesuffix("/ws").rpartition(":")[2])
    about_page = FOREIGN.get(page, {"Origin": SHOP})
    for key in ({}, {"Authorization": f"Bearer {PAGE_KEY}"}, {"Authorization": f"Bearer {bridge.key}"}):
        line = http.client.HTTPConnection("localhost", port, timeout=60)
        line.request("GET", "/ws", headers=upgrade(**about_page, **key))
        answer = line.getresponse()
        names = {name.lower() for name, _ in answer.getheaders()}
        assert answer.status == 403, (answer.status, answer.read())
        assert not any(name.startswith("access-control") for name in names)
        line.close()
