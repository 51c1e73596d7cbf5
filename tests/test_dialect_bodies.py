"""What callers of PrintCloud's and Olin's API get wrong: every route answers 2xx or 4xx, in its cloud's own shape.

The routes come from the tables, so a new one is sent the same bodies as soon as it exists.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.dialects.olin import wishes as olin_wishes
from bridge.dialects.olin.table import ROUTES as OLIN
from bridge.dialects.printcloud import wishes as printcloud_wishes
from bridge.dialects.printcloud.table import ROUTES as PRINTCLOUD
from tests.serving import Answer, Serve, b64, printer
from tests.test_v1_bad_input import INVALID, NAUGHTY, NOT_UTF8, TYPES, WHOLE_BROKEN, WHOLE_EMPTY

ZPL = b64(b"^XA^FO50,50^A0N,40,40^FDhello^FS^XZ")
PASSWORD = "correct horse battery"
SOON_S = 30.0
"""Seconds a refusal may take. A password costs a tenth of one, and other work goes on beside these tests."""


@dataclass(frozen=True)
class Place:
    """One method of one route. fields: names of what may be said there; inside: name -> names of its members."""

    mount: str
    method: str
    path: str
    wish: Any = field(hash=False, compare=False)
    public: bool

    @property
    def fields(self) -> list[str]:
        return list(self.wish.model_fields)

    def __str__(self) -> str:
        return f"{self.method} {self.mount}{self.path}"


INSIDE = {
    ("/printcloud/api", "options"): printcloud_wishes.PrintOptions,
    ("/olin/api", "print_options"): olin_wishes.PrintOptions,
    ("/olin/api", "printers"): olin_wishes.SeenPrinter,
}

PLACES = [
    *(Place("/printcloud/api", route.method, route.path, route.wish, route.scopes is None) for route in PRINTCLOUD),
    *(Place("/olin/api", method, route.path, route.wish, route.scopes is None) for route in OLIN
      for method in route.methods),
]  # fmt: skip
TAKING = [place for place in PLACES if place.method != "GET"]


@dataclass
class Door:
    """A bridge, one connection to it, and what every answer of it must be.

    stranger: the address from which somebody without a key asks; None: each time another one.
    """

    bridge: Serve
    ids: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    slowest: float = 0.0
    stranger: str | None = None
    _strangers: Iterator[int] = field(default_factory=itertools.count)
    _line: http.client.HTTPConnection | None = None

    def knock(self, place: Place, body: bytes | None, query: str = "", **headers: str) -> Answer:
        """One call. Fails the test for a 5xx, a redirect, HTML, and a refusal in somebody else's words."""
        path = place.mount + re.sub(r"<(\w+)>", lambda word: self.ids[f"{place.mount} {word[1]}"], place.path) + query
        given = {} if place.public else shown(place.mount, self.bridge.key)
        began = time.monotonic()
        answer = self._ask(place, path, body, {"Content-Type": "application/json", **given, **headers})
        took = time.monotonic() - began
        self.asked, self.slowest = self.asked + 1, max(self.slowest, took)
        about = (str(place), query[:100], (body or b"")[:100], answer.status, answer.data[:300])
        assert took < SOON_S, (took, *about)
        assert 200 <= answer.status < 300 or 400 <= answer.status < 500, about
        assert "location" not in answer.headers and b"<html" not in answer.data.lower(), about
        if answer.status >= 400:
            assert answer.headers["content-type"] == "application/json" and len(answer.data) < 8192, about
            assert _is_refusal(place, answer), about
        return answer

    def _ask(self, place: Place, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """Whoever has no key may ask a few times a minute only: each comes from an address of its own.

        Meanwhile nobody speaks on the other connection, and the bridge closes it when it has stood still for long.
        """
        if place.public:
            self.close()
            number = next(self._strangers)
            source = (self.stranger or f"127.1.{number // 250 % 250}.{number % 250 + 1}", 0)
            line = http.client.HTTPConnection("127.0.0.1", self.bridge.port, timeout=30, source_address=source)
        else:
            line = self._line = self._line or http.client.HTTPConnection("127.0.0.1", self.bridge.port, timeout=60)
        try:
            line.request(place.method, path, body, headers)
            reply = line.getresponse()
            answer = Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        except BaseException:
            self.close()
            raise
        if place.public:
            line.close()
        return answer

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _is_refusal(place: Place, answer: Answer) -> bool:
    said = answer.json
    if "printcloud" in place.mount:
        return set(said) == {"code", "message"} and all(isinstance(text, str) and text for text in said.values())
    errors = said.get("errors", {"": []})
    return (
        set(said) == {"success", "message"} | ({"errors"} if answer.status == 422 else set())
        and said["success"] is False and isinstance(said["message"], str) and bool(said["message"])
        and all(isinstance(text, str) for texts in errors.values() for text in texts)
    )  # fmt: skip


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("bodies")
    config = "[server]\nregistration = true\n" + printer("spare", "virtual://spare")
    with Serve(folder / "data", config) as bridge:
        door = Door(bridge)
        assert bridge.call("POST", "/v1/printers/spare/pause", {}).status == 200
        user = {"name": "Ada", "email": "ada@shop.example", "password": PASSWORD}
        assert bridge.call("POST", "/v1/users", user).status == 201
        _prepare(door)
        yield door
        door.close()
        print(f"{door.asked} requests, the slowest took {door.slowest:.2f} s")
        assert bridge.call("GET", "/v1/health").status == 200
        assert "Traceback" not in bridge.log.read_text()


def _prepare(door: Door) -> None:
    """One of everything that a path can name."""

    def made(path: str, body: Any) -> Any:
        answer = door.bridge.call("POST", path, body, {"Authorization": f"Bearer {door.bridge.key}"})
        assert answer.status in (200, 201), answer
        return answer.json

    client = door.bridge.api("clients/create", hostname="till")["data"]["id"]
    device = door.bridge.api("devices/create", client_id=client, name="counter", device_type=1)["data"]["id"]
    job = made("/printcloud/api/printjobs", {"printerId": device, "contentType": "raw_base64", "content": ZPL})
    olin = made("/olin/api/print-jobs", {"printer_name": "counter", "file_base64": ZPL})["data"]["print_job"]
    hook = made("/printcloud/api/webhooks", {"url": "http://127.0.0.1:9/hook"})["id"]
    key = made("/printcloud/api/account/apikeys", {"description": "till"})["id"]
    words = {"job_id": job, "computer_id": client, "computer_ids": client, "webhook_ids": hook, "key_id": key}
    door.ids = {f"/printcloud/api {word}": own for word, own in words.items()}
    door.ids |= {"/olin/api job_id": str(olin["id"]), "/olin/api printer": str(olin["printer_id"]), "client_id": client}


# ---- bodies -----------------------------------------------------------------------------------------------------

DEEP = 200_000
OWN = [
    b"[" * DEEP, b"[" * DEEP + b"]" * DEEP, b'{"a":' * DEEP, b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"options":' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"printers":[' + b'{"capabilities":' * DEEP + b"}" * DEEP + b"]}",
    b'{"qty":' + b"9" * 100_000 + b"}", b'{"copies":1e400}', b'{"copies":-1e400}', b'{"qty":1' + b"0" * 5000 + b"}",
    b'{"email":"\\ud800"}', b'{"email":"\\udc00\\ud800"}', b'{"\\ud800":1}',
    b'{"email":"a\\u0000b"}', b'{"a\\u0000":1}',
    b'{"email":"a","email":"b"}', b'{"email":"a","\\u0065mail":"b"}', b'{"options":{"copies":1,"copies":2}}',
    b'{"print_options":{"color":1,"color":2}}', b'\xef\xbb\xbf{"email":"a"}', b'\xef\xbb\xbf\xef\xbb\xbf{}',
    '{"email":"a"}'.encode("utf-16"), '{"email":"a"}'.encode("utf-16-le"), '{"email":"a"}'.encode("utf-32"),
    '{"email":"ä"}'.encode("latin-1"), b'{"email":"a"} trailing',
    b'{"email":"a"}{"email":"b"}', b'{"email":"a"}\x00\x00',
    b'{"email":"a"', b'{"email":"a', b'{"email":', b'{"email"', b'{"', b'{"email":"a"},',
    b'{"email":"a",}', b"{'email':'a'}",
    b'{email:"a"}', b'{"email":NaN}', b'{"email":Infinity}', b'{"email":-Infinity}', b'{"email":undefined}',
    b'{"printers":[' + b",".join([b'{"name":"x"}'] * 20_000) + b"]}", b'{"printers":' + b"[]" * 2 + b"}",
    b'{"events":[' + b'"all",' * 50_000 + b'"all"]}', b'{"' + b"k" * 100_000 + b'":1}',
    b'{"content":"' + b"A" * 3_000_000 + b'"}',
    b"{" + b",".join(b'"k%d":1' % n for n in range(50_000)) + b"}", b'{"__proto__":{"admin":true}}', b'{"":""}',
    b'{"email":"<script>alert(1)</script>","password":"<b>"}', b'{"email":"\\u202e","password":"\\u0007"}',
    b"\x00" * 5000, b"\xff" * 5000, b"email=a&password=b", b"--x\r\nContent-Disposition: form-data", b'"email"', b"12",
    b"-", b"\r\n\r\n",
    b'{"email":"a\x01b"}', b'{"email":"a\nb"}', b'{"qty":0x10}', b'{"copies":+1}', b'{"copies":01}',
]  # fmt: skip
BODIES = list(dict.fromkeys([
    *OWN, *WHOLE_BROKEN, *WHOLE_EMPTY, *(b'{"email": ' + text.encode() + b"}" for text in INVALID if len(text) < 6000),
    *(b'{"email": ' + data + b"}" for data in NOT_UTF8),
]))  # fmt: skip


def test_the_set_is_large() -> None:
    assert len(OWN) >= 60 and len(BODIES) >= 200


@pytest.mark.parametrize("place", TAKING, ids=str)
def test_no_body_breaks_a_route(door: Door, place: Place) -> None:
    for body in BODIES if place.wish.model_fields or place.method == "POST" else OWN:
        answer = door.knock(place, body)
        if place.wish.model_fields and not _is_object(body):
            too_much = place.public and len(body) > 65_536
            assert answer.status in ((413,) if too_much else (400, 404, 422)), (body[:60], answer)


def _is_object(body: bytes) -> bool:
    try:
        told = json.loads(body.decode("utf-8-sig").strip() or "{}")
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) or told == []


@pytest.mark.parametrize("media", ["", "text/html", "application/json; charset=utf-16", "multipart/form-data",
                                   "multipart/form-data; boundary=" + "x" * 300, "application/x-www-form-urlencoded",
                                   "application/octet-stream", "image/png; x=" + "a" * 500, "*/*", "json"])  # fmt: skip
def test_no_media_type_breaks_a_route(door: Door, media: str) -> None:
    for place in TAKING:
        for body in (b'{"email":"a"}', b"", b"\xff\xfe", b"--x\r\n", b"a=b&a=c"):
            door.knock(place, body, **{"Content-Type": media})


@pytest.mark.parametrize(
    "end", [b'"; filename="\xff.zpl"\r\n\r\n^XA^XZ\r\n--x--\r\n', b'"; filename="a.zpl"\r\n\r\n^XA']
)
@pytest.mark.parametrize("path", ["/printcloud/api/printjobs", "/olin/api/print-jobs"])
def test_a_form_that_cannot_be_read_is_said_to_be_so(door: Door, path: str, end: bytes) -> None:
    place = next(each for each in TAKING if str(each) == f"POST {path}")
    form = b'--x\r\nContent-Disposition: form-data; name="file' + end
    answer = door.knock(place, form, **{"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status == 400 and "the form " in answer.json["message"], answer


# ---- paths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [place for place in PLACES if "<" in place.path], ids=str)
def test_no_id_breaks_a_route(door: Door, place: Place) -> None:
    for wanted in ("0", "-1", "x", "null", "%00", "a%00b", "%E2%80%AE", "%FF", "%C0%80", "%2e%2e", "..%2f..%2fetc",
                   "a" * 5000, "%27%20OR%201=1", "%20", ",", ",,,", "%0d%0aX:1", "9" * 19, "9" * 30, "%D9%A1", "1e3",
                   "*", "pj_", "wh_", ",".join("123456789"), ",".join(map(str, range(101)))):  # fmt: skip
        ids = dict(door.ids)
        try:
            door.ids = {**ids, **{word: wanted for word in ids if word.startswith(place.mount)}}
            assert door.knock(place, b"{}" if place.method != "GET" else None).status in (400, 404, 422), wanted
        finally:
            door.ids = ids


@pytest.mark.parametrize("mount", ["/printcloud/api", "/olin/api"])
def test_what_is_no_route_is_refused_in_the_clouds_own_words(door: Door, mount: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
        for path in ("", "/", "/nowhere", "/printjobs/x/y/z", "/print-jobs/1/2/3", "//printers", "/%2e%2e/",
                     "/login/x", "/%2e%2e/v1/keys", "/..%2f..%2fv1%2fkeys", "/../../v1/keys", "/printers;x=1",
                     "/printers%00"):  # fmt: skip
            place = Place(mount, method, path, printcloud_wishes.Nothing, False)
            assert door.knock(place, b"{}").status in (404, 405, 501), (method, path)


# ---- fields -----------------------------------------------------------------------------------------------------

EXAMPLES: dict[str, Any] = {
    "POST /olin/api/print-jobs": {"printer_name": "spare", "file_base64": ZPL, "file_name": "a.zpl"},
    "POST /olin/api/login": {"email": "ada@shop.example", "password": "wrong password"},
    "POST /printcloud/api/client/login": {"email": "ada@shop.example", "password": "wrong password"},
    "POST /printcloud/api/printjobs": {"printerId": "spare", "contentType": "raw_base64", "content": ZPL},
    "POST /printcloud/api/webhooks": {"url": "http://127.0.0.1:9/hook", "secret": "secret", "events": ["job.state"]},
}
NUMBERS = itertools.count()
SAYING = [place for place in PLACES if place.fields]


def words(place: Place) -> Iterator[tuple[str, str | None]]:
    """Every name that is documented there: (name, None), and (name, member)."""
    for name in place.fields:
        yield name, None
        if (inner := INSIDE.get((place.mount, name))) is not None:
            yield from ((name, member) for member in inner.model_fields)


def said(place: Place, name: str, member: str | None, value: Any) -> dict[str, Any]:
    """Words this route takes, but for one."""
    extra = place.wish.model_config.get("json_schema_extra")
    good = EXAMPLES.get(str(place)) or (extra["examples"][0] if isinstance(extra, dict) else {})
    if "password_confirmation" in place.fields:
        good = {**good, "email": f"{next(NUMBERS)}@shop.example"}
    if member is None:
        return {**good, name: value}
    inner = {"name": "counter", member: value} if name == "printers" else {member: value}
    return {**good, name: [inner] if name == "printers" else inner}


@pytest.mark.parametrize("place", SAYING, ids=str)
def test_no_word_of_any_kind_breaks_a_route(door: Door, place: Place) -> None:
    """Each of its words as everything it should not be, one at a time. A refusal says which one it was."""
    silent = []
    for name, member in words(place):
        for value in [*TYPES, *NAUGHTY]:
            answer = _say(door, place, said(place, name, member, value))
            absent = value is None or isinstance(value, str) and not value.strip()
            if answer.status in (400, 422) and not absent and not _names(answer, name, member):
                silent.append((name, member, str(value)[:40], answer.data[:200]))
    assert silent == []


def _say(door: Door, place: Place, told: dict[str, Any]) -> Answer:
    if place.method != "GET":
        return door.knock(place, json.dumps(told).encode())
    known = {"client_id": door.ids["client_id"], **told} if "client_id" in place.fields else told
    query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in known.items()}
    return door.knock(place, None, f"?{urllib.parse.urlencode(query)}")


def _names(answer: Answer, name: str, member: str | None) -> bool:
    where = " ".join([answer.json["message"], *answer.json.get("errors", {})])
    words = [
        word
        for word in (name, member, {"content": "document", "password_confirmation": "confirmation"}.get(name))
        if word
    ]
    return any(re.search(rf"\b{re.escape(word)}\b", where, re.IGNORECASE) for word in words)


# ---- keys and limits --------------------------------------------------------------------------------------------

MOUNTS = ["/printcloud/api", "/olin/api"]


def made_key(door: Door, mount: str, **words: Any) -> tuple[str, dict[str, str]]:
    """Its id, and the header that shows it."""
    made = door.bridge.call("POST", "/v1/keys", {"name": "k", **words}).json
    return made["id"], shown(mount, made["key"])


def shown(mount: str, key: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64(f'{key}:'.encode())}" if "printcloud" in mount else f"Bearer {key}"}


def place_of(mount: str, method: str, path: str) -> Place:
    return next(each for each in PLACES if (each.mount, each.method, each.path) == (mount, method, path))


def submitting(mount: str) -> tuple[Place, dict[str, Any]]:
    place = place_of(mount, "POST", "/printjobs" if "printcloud" in mount else "/print-jobs")
    return place, EXAMPLES[str(place)]


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_key_that_is_over_opens_nothing_in_the_middle_of_a_connection(door: Door, mount: str) -> None:
    place = place_of(mount, "GET", "/printers")
    _, short = made_key(door, mount, scopes=["printers"], expires_at=time.time() + 0.4)
    key_id, revoked = made_key(door, mount, scopes=["printers"])
    assert [door.knock(place, None, **key).status for key in (short, revoked)] == [200, 200]
    time.sleep(0.5)
    assert door.bridge.call("DELETE", f"/v1/keys/{key_id}").status == 204
    foreign = [shown(mount, key) for key in ("", "12|" + "ab" * 20, "pk_live_" + "x" * 40, "e30.e30.x", "a" * 5000)]
    for key in (short, revoked, *foreign, {"Authorization": ""}, {"Authorization": "Digest x"}):
        assert door.knock(place, None, **key).status == 401, key


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_key_for_printing_prints_and_one_for_reading_reads(door: Door, mount: str) -> None:
    prints, reads = (made_key(door, mount, scopes=[scope])[1] for scope in ("print", "read"))
    submits, body = submitting(mount)
    assert [door.knock(submits, json.dumps(body).encode(), **key).status for key in (prints, reads)] == [201, 403]
    for place in PLACES:
        if place.mount != mount or place.public or place == submits or place.path in FOR_MORE:
            continue
        told = None if place.method == "GET" else b"{}"
        assert door.knock(place, told, **prints).status == 403, place
        opens = (200, 404) if place.method == "GET" and place.path != "/client/jobs" else (403,)
        assert door.knock(place, told, **reads).status in opens, place


FOR_MORE = ("/user", "/printers/<printer>/test-page")
"""Anybody's own account; and a test page, which is a job."""


@pytest.mark.parametrize("mount", MOUNTS)
def test_an_idempotency_key_that_comes_again_with_something_else_is_refused(door: Door, mount: str) -> None:
    place, body = submitting(mount)
    other = {**body, "content" if "content" in body else "file_base64": b64(b"^XA^FDother^FS^XZ")}
    sent = [json.dumps(each).encode() for each in (body, body, other)]
    assert [door.knock(place, each, **{"Idempotency-Key": f"order{mount}"}).status for each in sent] == [201, 200, 409]


@pytest.mark.parametrize(("place", "caller", "other"), [
    ("POST /printcloud/api/client/login", "127.2.0.1", "127.2.0.2"), ("POST /olin/api/login", "127.2.0.3", "127.2.0.4"),
])  # fmt: skip
def test_who_guesses_at_many_passwords_has_to_wait_and_only_he(door: Door, place: str, caller: str, other: str) -> None:
    login = next(each for each in PLACES if str(each) == place)
    user = {"name": "Eve", "email": f"eve-{caller}@shop.example", "password": PASSWORD}
    assert door.bridge.call("POST", "/v1/users", user).status == 201
    right = json.dumps({"email": user["email"], "password": PASSWORD}).encode()
    door.stranger = caller
    try:
        guesses = [json.dumps({"email": f"{n}@x.example", "password": PASSWORD}).encode() for n in range(31)]
        answers = [door.knock(login, guess) for guess in guesses]
        assert [answer.status for answer in answers] == [401] * 30 + [429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert door.knock(login, right).status == 429
        door.stranger = other
        assert door.knock(login, right).status == 200
    finally:
        door.stranger = None


@pytest.mark.parametrize(("mount", "megabytes", "status"), [
    ("/printcloud/api", 11, 201), ("/printcloud/api", 26, 413), ("/olin/api", 11, 422), ("/olin/api", 26, 413),
])  # fmt: skip
def test_what_is_too_large_is_refused(door: Door, mount: str, megabytes: int, status: int) -> None:
    place, body = submitting(mount)
    document = b64(b"^XA" + b" " * (megabytes * 2**20) + b"^XZ")
    large = {**body, "content" if "content" in body else "file_base64": document}
    assert door.knock(place, json.dumps(large).encode()).status == status


@pytest.mark.parametrize("place", [place for place in TAKING if place.public], ids=str)
def test_a_stranger_is_not_worked_for(door: Door, place: Place) -> None:
    """30 MB of empty objects would be seconds of work and a gigabyte of memory, for somebody without a key."""
    assert door.knock(place, b'{"email":"' + b"a" * 60_000 + b'"}').status in (400, 401, 403, 422)
    large = b'{"email":[' + b"{}," * 30_000 + b"{}]}"
    for more in ({}, {"Authorization": "Bearer x"}, {"Transfer-Encoding": "chunked"}):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(large), large) if "Transfer-Encoding" in more else large
        assert door.knock(place, body, **more).status == 413, more


PATHS = [
    "../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x.zpl", "\\\\host\\share", ".", "..", "...", "CON",
    "NUL.zpl", "a/../b", "%2e%2e%2fx", "\u2044etc\u2044passwd", "~/.ssh/id", "-rf", "x" * 255,
    "x.zpl\x00.pdf", "\uff0e\uff0e\uff0fx",
    "a\r\nX-Evil: 1", 'a"; filename="b', "<script>.zpl", "|id", "$(id)", "/dev/zero", "bridge.db", "credentials.json",
]  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_the_name_of_a_file_is_a_name_and_no_path(door: Door, name: str) -> None:
    """promises.md S28. What is stored is called after the job; a caller's word never names a file."""
    place, body = submitting("/olin/api")
    files = {path.name for path in door.bridge.folder.rglob("*")}
    answer = door.knock(place, json.dumps({**body, "file_name": name}).encode())
    part = name.replace('"', "%22").encode()
    form = (b'--x\r\nContent-Disposition: form-data; name="printer_name"\r\n\r\nspare\r\n--x\r\n'
            b'Content-Disposition: form-data; name="file"; filename="%b"\r\n\r\n^XA^FDx^FS^XZ\r\n--x--\r\n'
            % part)  # fmt: skip
    sent = [answer, door.knock(place, form, **{"Content-Type": "multipart/form-data; boundary=x"})]
    assert {each.status for each in sent} <= {201, 422}
    for each in (each for each in sent if each.status == 201):
        job = str(each.json["data"]["print_job"]["id"])
        path = f"/olin/api/print-jobs/{job}/download"
        got = door.bridge.call("GET", path, headers=shown("/olin/api", door.bridge.key))
        assert got.status == 200 and got.data.startswith(b"^XA") and "x-evil" not in got.headers
        told = got.headers["content-disposition"]
        assert told.startswith("attachment; filename") and "/" not in told and "\\" not in told.replace('\\"', ""), told
    new = {path.name for path in door.bridge.folder.rglob("*")} - files
    assert not {each for each in new if not re.fullmatch(r"[0-9A-Za-z-]+(\.[0-9A-Za-z.]+)?(-wal|-shm)?", each)}
    assert not {name, name.replace("\\", "/").rpartition("/")[2]} & new
