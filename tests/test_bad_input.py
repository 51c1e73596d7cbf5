"""What must not print: refused at once or failed with a text; nothing lost, nothing printed, never a 500 or HTML."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import pytest

from tests.bridge import hostile
from tests.bridge.hostile import DRAWN, Hostile
from tests.bridge.papers import shipping_label
from tests.fake.printer import FakePrinter
from tests.fake.web import Web
from tests.serving import Answer, Caller, Serve, b64, printer

ZPL = b"^XA^FO50,50^A0N,40,40^FDhello^FS^XZ"
SHOP = "https://shop.example"
PAGE_KEY = "pb_" + "7" * 64
MEGABYTE = 1024 * 1024
LIMITS = {"body_mb": 8, "document_mb": 4, "fetch_s": 8, "render_cpu_s": 2, "render_s": 60}


@dataclass
class Door:
    """A bridge with one printer; whatever knocks here is bad."""

    bridge: Serve
    dock: FakePrinter
    web: Web

    @property
    def pid(self) -> int:
        assert self.bridge.process is not None
        return self.bridge.process.pid

    def good(self, document: bytes = ZPL) -> float:
        """Print a good job; how many seconds it took."""
        before, began = len(self.dock.jobs), time.monotonic()
        job = self.bridge.wait(self.bridge.send("dock", {"document_base64": b64(document)}))
        assert job["state"] == "delivered", job
        assert len(self.dock.wait_for(before + 1)) == before + 1
        return time.monotonic() - began

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """What happens inside leaves no job behind, and the printer hears nothing of it."""
        jobs, calls = self.bridge.total(), self.dock.connections
        yield
        assert (self.bridge.total(), self.dock.connections) == (jobs, calls)

    def refuses(self, status: int, body: Any, path: str = "/api/jobs/create", **headers: str) -> str:
        """Send it; the text of the refusal."""
        with self.untouched():
            return refusal(self.bridge.call("POST", path, body, headers), status)

    def fails(self, payload: dict[str, Any]) -> str:
        """Send it; it is taken, and fails with this text."""
        calls = self.dock.connections
        job_id = self.bridge.send("dock", payload)
        self.bridge.wait(job_id)
        job = self.bridge.api("jobs/get", job_id=job_id)["data"]
        assert job["status"] == 5 and job["error"], job
        assert self.dock.connections == calls
        text: str = job["error"]
        return text


def refusal(answer: Answer, status: int) -> str:
    """The text of a refusal in Cloudlinker's shape."""
    assert answer.status == status, (answer.status, answer.data[:500])
    assert set(answer.json) <= {"message", "errors"}  # .json: the type is application/json
    text: str = answer.json["message"]
    assert text and "Traceback" not in text and "<html" not in text.lower()
    if status == 422:
        [[said]] = answer.json["errors"].values()
        assert said == text
    return text


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("door")
    key_file = folder / "page.key"
    key_file.touch(mode=0o600)
    key_file.write_text(PAGE_KEY + "\n")
    limits = "[limits]\n" + "".join(f"{name} = {value}\n" for name, value in LIMITS.items())
    keys = f'[[keys]]\nname = "shop page"\nkey_file = "{key_file}"\nscopes = ["jobs"]\norigins = ["{SHOP}"]\n'
    with FakePrinter() as dock, Web() as web:
        with Serve(folder / "data", limits + printer("dock", dock.uri) + keys) as bridge:
            door = Door(bridge, dock, web)
            yield door
            assert "Traceback" not in bridge.log.read_text()
            door.good()


def wish(door: Door, **changes: Any) -> dict[str, Any]:
    """A good request, changed."""
    good = {"device_id": door.bridge.device("dock"), "client_id": door.bridge.client_id, "job_type": 1,
            "launch_immediately": True, "payload": {"document_base64": b64(ZPL)}}  # fmt: skip
    return {**good, **changes}


# ---- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b"7", b'{"device_id": }', b"device", b'{"a": 1', b'{"a": "\\x"}', b"\xff\xfe{}",
        b"\x00", b'{"a": 1}}', b'{"a": tru}', b"[" * 200_000, b'{"a":' * 200_000, b"[" * 200_000 + b"]" * 200_000,
        b'{"payload": {"copies": NaN}}', b'{"payload": {"copies": Infinity}}', b'{"payload": "{\\"copies\\": NaN}"}',
        b'{"copies": 1' + b"0" * 100_000 + b"}", b"%PDF-1.7", b"<html></html>",
    ],
    ids=lambda body: repr(body[:24]),
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/jobs/create", "/api/jobs/launch"])
def test_a_body_that_is_no_json_object_is_refused(door: Door, path: str, body: bytes) -> None:
    with door.untouched():
        answer = door.bridge.call("POST", path, body)
        assert answer.status in (400, 422)  # 422: JSON, and no job
        refusal(answer, answer.status)


def test_broken_json_is_told_where_it_breaks(door: Door) -> None:
    assert "line 2, column 5" in door.refuses(400, b'{"a": 1,\n"b" 2}')
    assert "NaN" in door.refuses(400, b'{"copies": NaN}')
    assert "more than 32 levels" in door.refuses(400, b'{"payload": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")
    assert "more than 32 levels" in door.refuses(422, wish(door, payload="[" * 200_000 + "]" * 200_000))


def test_a_body_over_the_limit_is_refused_before_it_is_sent_whole(door: Door) -> None:
    body = json.dumps(wish(door, payload={"document_base64": "A" * (9 * MEGABYTE)})).encode()
    with door.untouched():
        assert "8 MB" in refusal(door.bridge.call("POST", "/api/jobs/create", body), 413)
    with door.untouched(), socket.create_connection(("127.0.0.1", door.bridge.port), 10) as line:
        line.sendall(head(door, b"Content-Length: 1000000000\r\n") + b'{"a": ')
        assert "8 MB" in refusal(answer_on(line), 413)


def test_a_body_over_the_limit_is_refused_also_in_chunks(door: Door) -> None:
    with door.untouched(), socket.create_connection(("127.0.0.1", door.bridge.port), 10) as line:
        line.sendall(head(door, b"Transfer-Encoding: chunked\r\n"))
        for _ in range(9):
            line.sendall(b"100000\r\n" + b" " * MEGABYTE + b"\r\n")
        line.sendall(b"0\r\n\r\n")
        assert "8 MB" in refusal(answer_on(line), 413)


def head(door: Door, framing: bytes) -> bytes:
    token = base64.b64encode(f"{door.bridge.organization_id}:{door.bridge.key}".encode())
    return (
        b"POST /api/jobs/create HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic " + token + b"\r\n"
        b"Content-Type: application/json\r\n" + framing + b"\r\n"
    )


def answer_on(line: socket.socket) -> Answer:
    response = http.client.HTTPResponse(line, method="POST")
    response.begin()
    return heard(response)


def heard(response: http.client.HTTPResponse) -> Answer:
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


# ---- fields ---------------------------------------------------------------------------------------------------------

NOBODY = "0197e0aa-e9f3-7168-8504-ccffa0052376"


def test_unknown_devices_clients_and_jobs_are_named(door: Door) -> None:
    assert NOBODY in door.refuses(404, wish(door, device_id=NOBODY))
    assert NOBODY in door.refuses(404, wish(door, client_id=NOBODY))
    for path in ("get", "launch", "delete", "update"):
        assert NOBODY in door.refuses(404, {"job_id": NOBODY}, f"/api/jobs/{path}")
    assert "device_id is required" in door.refuses(422, {"payload": {}})


@pytest.mark.parametrize("copies", [0, -1, "x", 1e9, 2.5, True, "0", "-1", "1e3", "2.5", 1000, [], {}, [2]], ids=repr)
@pytest.mark.parametrize("as_text", [False, True], ids=["object", "string"])
def test_copies_are_a_whole_number_from_1_to_999(door: Door, copies: Any, as_text: bool) -> None:
    payload: Any = {"document_base64": b64(ZPL), "copies": copies}
    text = door.refuses(422, wish(door, payload=json.dumps(payload) if as_text else payload))
    assert "copies must be a whole number from 1 to 999" in text


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({}, "no document"), ("{}", "no document"), ({"document_type": "pdf"}, "no document"),
        ({"document_url": ""}, "no document"), ("", "payload is required"), (None, "payload is required"),
        ({"document_base64": "%%%"}, "not base64"), ({"document_base64": b64(ZPL)[:-1]}, "not base64"),
        ({"document_base64": b64(b"hello")}, "nothing this bridge can recognize"),
        ({"document_base64": b64(b"<html>")}, "HTML page"), ({"document_base64": 7}, "must be text"),
        ({"document_base64": b64(ZPL), "document_type": "docx"}, "docx"),
        ("print this", "payload is not valid JSON"), (7, "not a JSON object"), ([1], "not a JSON object"),
        ({"document_base64": b64(b"^XA" + b" " * 5 * MEGABYTE)}, None),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_payload_without_a_document_that_can_print_is_refused(door: Door, payload: Any, text: str | None) -> None:
    said = door.refuses(422 if text else 413, wish(door, payload=payload))
    assert (text or "the limit is 4,194,304") in said


# ---- document_url ---------------------------------------------------------------------------------------------------


def test_addresses_that_are_never_fetched_are_refused_at_once(door: Door) -> None:
    port = door.bridge.port
    for url, text in [
        ("file:///etc/passwd", "http:// or https://"), ("ftp://shop.example/a.pdf", "http:// or https://"),
        ("/etc/passwd", "http:// or https://"), ("http://", "names no host"), ("http://[::1", "cannot be read"),
        ("http://169.254.169.254/latest/meta-data/", "link-local"), ("http://[fe80::1]/a.pdf", "link-local"),
        ("http://2852039166/a.pdf", "link-local"), ("http://0/a.pdf", "unspecified"),
        ("http://224.0.0.1/a.pdf", "multicast"), ("http://shop.example:99999/a.pdf", "cannot be read"),
        (f"http://127.0.0.1:{port}/api/test", "bridge"), (f"http://localhost:{port}/", "bridge"),
        (f"http://[::1]:{port}/", "bridge"), (f"http://2130706433:{port}/", "bridge"), ("http://a\nb/", "control"),
    ]:  # fmt: skip
        assert text in door.refuses(422, wish(door, payload={"document_url": url})), url


def test_a_document_that_is_not_found_fails_with_the_status_and_nothing_of_the_page(door: Door) -> None:
    text = door.fails({"document_url": door.web.url("/gone.pdf?token=hush")})
    assert "404" in text and "check the address" in text
    assert "SECRET" not in text and "hush" not in text


def test_a_server_that_never_answers_is_given_up_at_the_deadline(door: Door) -> None:
    door.web.hang("/hang.pdf")
    began = time.monotonic()
    assert "8 s" in door.fails({"document_url": door.web.url("/hang.pdf")})
    assert 7.5 < time.monotonic() - began < 60


def test_a_document_that_never_ends_is_stopped_at_the_limit(door: Door) -> None:
    before = psutil.Process(door.pid).memory_info().rss
    door.web.endless("/endless.pdf")
    assert "larger than the limit of 4194304 bytes" in door.fails({"document_url": door.web.url("/endless.pdf")})
    door.web.gzip_bomb("/bomb.pdf", 100_000_000)
    assert "larger than the limit of 4194304 bytes" in door.fails({"document_url": door.web.url("/bomb.pdf")})
    assert psutil.Process(door.pid).memory_info().rss - before < 10 * MEGABYTE


def test_redirects_in_a_circle_or_to_where_nobody_may_go_are_not_followed(door: Door) -> None:
    door.web.redirect("/circle.pdf", door.web.url("/circle.pdf"))
    assert "redirect" in door.fails({"document_url": door.web.url("/circle.pdf")})
    for path, to, text in [
        ("/inside", f"http://127.0.0.1:{door.bridge.port}/v1/health", "bridge"),
        ("/meta", "http://169.254.169.254/latest/meta-data/", "link-local"), ("/file", "file:///etc/passwd", "http"),
    ]:  # fmt: skip
        door.web.redirect(path, to)
        assert text in door.fails({"document_url": door.web.url(path)})


def test_a_server_that_refuses_is_tried_again_and_then_given_up(door: Door) -> None:
    with FakePrinter(refuse=True) as nobody:
        text = door.fails({"document_url": f"http://127.0.0.1:{nobody.port}/a.pdf"})
    assert f"no answer from http://127.0.0.1:{nobody.port}/a.pdf: Connection refused" in text


@pytest.mark.parametrize(
    ("document", "text"),
    [(b"", "0 bytes"), (b"<!doctype html><p>SECRET", "an HTML page"), (b"hello SECRET", "nothing")],
)
def test_an_answer_that_is_no_document_fails(door: Door, document: bytes, text: str) -> None:
    door.web.serve("/odd.pdf", document, {"Content-Type": "application/pdf"})
    said = door.fails({"document_url": door.web.url("/odd.pdf")})
    assert text in said and "SECRET" not in said


# ---- documents ------------------------------------------------------------------------------------------------------

INCHES = Hostile(
    "MediaBox of 14,400 in", lambda: hostile.one_page(box=b"[0 0 1036800 1036800]"), frozenset({"bad_page_size"})
)
TEXTS = {
    "bad_page_size": ("usable size", "possible is a side"), "page_too_large": ("million dots",),
    "too_many_pages": ("at most 500",), "broken_document": ("cannot be read as PDF", "is cut off", "recognize", "ZIP"),
    "empty_document": ("no pages", "0 bytes"),
    "render_cpu": ("2 seconds of processor time", "not drawn within 12 seconds"),  # the latter on a busy machine
    "render_memory": ("more memory",), "not_drawable": ("could not be drawn", "cannot be drawn"),
    "render_crashed": ("crashed",), "encrypted_pdf": ("password",),
}  # fmt: skip


def test_no_hostile_document_prints_harms_or_hangs(door: Door) -> None:
    """All of them at once, in front of good labels."""
    door.good(shipping_label(1))
    before = psutil.Process(door.pid).memory_info().rss
    bad = {}
    for case in [*hostile.CASES, INCHES]:
        bad[case.name] = case
        door.web.serve(f"/{len(bad)}.pdf", case.build())
    sent = {
        name: door.bridge.send("dock", {"document_url": door.web.url(f"/{number}.pdf"), "document_type": "pdf"})
        for number, name in enumerate(bad, 1)
    }
    assert door.good() < 20, "printer code waits for no drawing"
    wrong = {}
    drawn = 0
    for name, job_id in sent.items():
        job = door.bridge.wait(job_id, timeout=180)
        print(f"{name}: {job['state']}: {job['text']}")
        texts = [text for code in bad[name].ends - {DRAWN} for text in TEXTS[code]]
        right = any(text in job["text"] for text in texts) if job["state"] == "failed" else DRAWN in bad[name].ends
        drawn += job["state"] == "delivered"
        if not right or job["state"] not in ("failed", "delivered"):
            wrong[name] = (job["state"], job["text"])
    assert wrong == {}
    door.good(shipping_label(2))
    growth = psutil.Process(door.pid).memory_info().rss - before
    print(f"{drawn} of {len(sent)} were harmless; the server grew by {growth / MEGABYTE:.1f} MB")
    assert growth < 10 * MEGABYTE


@pytest.mark.parametrize(
    "name", ["encrypted", "cut off after 200 bytes", "no page", "MediaBox of zeros", "MediaBox of NaN and inf"]
)
def test_a_bad_pdf_inside_the_request_fails_as_well(door: Door, name: str) -> None:
    [case] = [case for case in hostile.CASES if case.name == name]
    text = door.fails({"document_base64": b64(case.build()), "document_type": "pdf", "copies": "2"})
    assert any(known in text for code in case.ends for known in TEXTS[code])


def test_an_empty_document_is_refused_at_once(door: Door) -> None:
    door.refuses(422, wish(door, payload={"document_base64": "", "document_type": "pdf"}))
    door.refuses(422, wish(door, payload={"document_base64": "data:application/pdf;base64,"}))


# ---- callers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [None, "Basic", "Basic !!!", "Basic " + b64(b"x"), "Basic " + b64(b"org:wrong"), "Basic ORG:wrong",
     "Basic wrong:KEY", "Bearer wrong", "Digest KEY", "Basic " + "A" * 10_000],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_without_a_right_key_there_is_nothing(door: Door, authorization: str | None) -> None:
    if authorization in ("Basic ORG:wrong", "Basic wrong:KEY"):
        pair = authorization[6:].replace("ORG", door.bridge.organization_id).replace("KEY", door.bridge.key)
        authorization = "Basic " + b64(pair.encode())
    headers = {} if authorization is None else {"Authorization": authorization}
    stranger = http.client.HTTPConnection("127.0.0.1", door.bridge.port, timeout=60)
    with door.untouched():
        for path in ("jobs/create", "jobs/list", "test", "clients/list"):
            stranger.request("POST", f"/api/{path}", json.dumps(wish(door)), headers)
            answer = heard(stranger.getresponse())
            refusal(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Basic ")
    stranger.close()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:PORT", "127.0.0.1.evil.example:PORT", "localhost.:PORT",
                                  "localhost:1", "0.0.0.0:PORT", "169.254.0.1"])  # fmt: skip
def test_a_request_meant_for_another_host_is_refused(door: Door, host: str) -> None:
    text = door.refuses(400, wish(door), Host=host.replace("PORT", str(door.bridge.port)))
    assert "Host" in text


ORIGINS = {
    "null": "null", "A": SHOP, "A with another port": SHOP + ":8443", "A in upper case": SHOP.upper(),
    "A with a final dot": SHOP + ".", "A over http": "http://shop.example", "A.evil.example": SHOP + ".evil.example",
    "evil.example/A": "https://evil.example/" + SHOP,
}  # fmt: skip
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


def page(door: Door, method: str, origin: str | None, key: str = PAGE_KEY, path: str = "jobs/create") -> Answer:
    """What a page of this origin gets that shows this key."""
    caller = Caller("127.0.0.1", door.bridge.port, door.bridge.organization_id, key)
    headers = {} if origin is None else {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    try:
        return caller.call(method, f"/api/{path}", wish(door) if method == "POST" else None, headers)
    finally:
        caller.close()


def cors(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control")}


@pytest.mark.parametrize("origin", [origin for name, origin in ORIGINS.items() if name != "A"], ids=lambda o: o)
def test_a_page_of_another_origin_gets_nothing_with_any_key(door: Door, origin: str) -> None:
    with door.untouched():
        for key in (PAGE_KEY, door.bridge.key, "wrong"):
            for method, path in (("POST", "jobs/create"), ("GET", "test"), ("POST", "jobs/list")):
                answer = page(door, method, origin, key, path)
                assert "web pages may not call this" in refusal(answer, 403)
                assert cors(answer) == {} and "www-authenticate" not in answer.headers
        preflight = door.bridge.call("OPTIONS", "/api/jobs/create", None, {"Origin": origin, **PREFLIGHT})
        refusal(preflight, 403)
        assert cors(preflight) == {}


def test_the_page_of_the_keys_own_origin_prints_and_sees_its_own_jobs_only(door: Door) -> None:
    door.good()
    answer = page(door, "POST", SHOP)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == SHOP and answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers
    assert page(door, "GET", SHOP, path="test").status == 200
    job_id = answer.json["data"]["id"]
    door.bridge.wait(job_id)
    assert [job["id"] for job in page(door, "POST", SHOP, path="jobs/list").json["data"]] == [job_id]
    for path in ("devices/list", "clients/list", "clients/create", "devices/delete"):
        refusal(page(door, "POST", SHOP, path=path), 403)
    preflight = door.bridge.call("OPTIONS", "/api/jobs/create", None, {"Origin": SHOP, **PREFLIGHT})
    assert (preflight.status, preflight.data) == (204, b"")
    assert cors(preflight) == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, content-type, idempotency-key, x-api-key",
        "access-control-max-age": "600",
    }


def test_the_key_of_a_program_is_no_key_for_a_page(door: Door) -> None:
    answer = page(door, "GET", SHOP, door.bridge.key, path="test")
    assert "may not be used from" in refusal(answer, 403)
    assert "www-authenticate" not in answer.headers


def test_without_an_origin_it_is_a_program_and_hears_nothing_of_cors(door: Door) -> None:
    for key in (PAGE_KEY, door.bridge.key):
        answer = page(door, "GET", None, key, path="test")
        assert (answer.status, cors(answer)) == (200, {})


def test_html_is_never_an_answer(door: Door) -> None:
    for method, path, status in [
        ("GET", "/api/nowhere", 404), ("POST", "/api", 404), ("POST", "/api/jobs/nowhere", 404),
        ("GET", "/api/jobs/create", 405), ("DELETE", "/api/jobs/create", 405), ("POST", "/api/%00", 404),
        ("POST", "/api/../etc/passwd", 404), ("PUT", "/api/test", 405), ("POST", "/api/jobs/create/", 422),
    ]:  # fmt: skip
        with door.untouched():
            refusal(door.bridge.call(method, path, {} if method == "POST" else None), status)
