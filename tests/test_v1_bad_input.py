"""What callers of /v1 get wrong: every route answers 2xx or 4xx, in JSON with code, text and remedy; nothing breaks.

The routes come from the table, so a new one is asked the same questions as soon as it exists.
"""

from __future__ import annotations

import itertools
import json
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest

from bridge.dialects.v1.route import Route
from bridge.dialects.v1.table import ROUTES
from bridge.dialects.v1.wishes import NewJob, Nothing
from tests.fake.printer import FakePrinter
from tests.serving import Answer, Caller, Serve, b64, printer

NOBODY = "0197e0aa-e9f3-7168-8504-ccffa0052376"
ZPL = b"^XA^FO50,50^A0N,40,40^FDhello^FS^XZ"
SHOP = "https://shop.example"
ASKED = tuple(route for route in ROUTES if route.path not in ("/events/stream", "/reload", "/diagnostics"))
"""Without those that take long or hold the connection; they take no words, or the same as /events."""
TAKING = tuple(route for route in ASKED if route.method in ("POST", "PATCH", "DELETE"))


@dataclass
class Door:
    """A bridge, one connection to it, and what every answer of it must be."""

    bridge: Serve
    caller: Caller
    ids: dict[str, str] = field(default_factory=dict)
    asked: int = 0
    broken: bool = False  # the last call did not end well: the connection may be of no use

    def knock(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One call. Fails the test for a 5xx, and for a refusal that helps nobody."""
        if self.broken:
            self.caller.close()
            self.caller = self.bridge.caller()
        self.broken = True
        answer = self.caller.call(method, f"/v1{path}", body, {k.replace("_", "-"): v for k, v in headers.items()})
        self.broken = False
        self.asked += 1
        assert 200 <= answer.status < 500, (method, path[:200], (body or b"")[:200], answer.status, answer.data[:300])
        if answer.status >= 400:
            assert set(answer.json) == {"error"}
            error = answer.json["error"]
            assert {"code", "text", "remedy"} <= set(error) <= {"code", "text", "remedy", "field"}
            assert all(isinstance(value, str) and value for value in error.values()), error
            assert len(answer.data) < 4096 and "Traceback" not in error["text"]
        return answer

    def say(self, route: Route, words: Any, **headers: str) -> Answer:
        """Words for a route, wherever it takes them."""
        if route.method == "GET":
            shown = {k: v if isinstance(v, str) else json.dumps(v) for k, v in words.items() if v is not None}
            return self.knock("GET", f"{self.path(route)}?{urllib.parse.urlencode(shown, errors='replace')}", **headers)
        return self.knock(route.method, self.path(route), json.dumps(words).encode("utf-8", "surrogatepass"), **headers)

    def path(self, route: Route) -> str:
        """A route with ids that exist."""
        return named(route, self.ids)


def named(route: Route, ids: Mapping[str, str]) -> str:
    """A route with these words in its path."""
    return re.sub(r"<(?:int:)?(\w+)>", lambda found: ids[found[1]], route.path)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("v1 door")
    with FakePrinter() as dock:
        config = printer("dock", dock.uri) + printer("virtual", "virtual://virtual")
        with Serve(folder / "data", config) as bridge:
            door = Door(bridge, bridge.caller())
            spare = door.knock("POST", "/printers", b'{"name": "spare", "uri": "virtual://spare", "id": "spare-id"}')
            door.ids |= {"printer": spare.json["id"], "number": "1"}  # the printer's name is going to change
            hook = {"url": "http://127.0.0.1:9/hook", "events": ["ping"]}
            for word, path, wish in (
                ("job_id", "/jobs", {"printer": "dock", "document_base64": b64(ZPL), "hold": True}),
                ("key_id", "/keys", {"name": "till"}), ("organization_id", "/organizations", {"name": "branch"}),
                ("user_id", "/users", {"name": "Ada"}), ("group_id", "/groups", {"name": "North"}),
                ("card_id", "/users/<user_id>/cards", {"number": "04A2"}), ("webhook_id", "/webhooks", hook),
                ("delivery_id", "/webhooks/<webhook_id>/test", {}),
            ):  # fmt: skip
                filled = re.sub(r"<(\w+)>", lambda found: door.ids[found[1]], path)
                door.ids[word] = door.knock("POST", filled, json.dumps(wish).encode()).json["id"]
            yield door
            print(f"{door.asked} requests")
            door.caller.close()
            assert door.bridge.call("GET", "/v1/health").status == 200
            assert "Traceback" not in bridge.log.read_text()


def ids(route: Route) -> str:
    return f"{route.method} {route.path}"


# ---- JSON -------------------------------------------------------------------------------------------------------

VALID_STRINGS = [
    '""', '"a"', '" "', r'"\""', r'"\\"', r'"\/"', r'"\b\f\n\r\t"', r'"\u0041"', r'"\u0000"', r'"\u001f"',
    r'"\ud83d\udda8"', r'"\uD83D\uDDA8"', r'"\u2028\u2029"', r'"\uFFFE\uFFFF"', r'"\u202e\u2066"', '"\u00e4\u20ac"',
    '"\U0001f5a8"', '"\u2028"', '"\u202e"', '"\ufeff"', '"\x7f"', '"\x80"', '"null"', '"true"', '"[]"', '"{}"', '"//"',
    '"/* a */"', '"a" ', '\t"a"', '\n"a"\r\n', '"\u0301"', '"\ufdd0"', '"\U0010ffff"', '"' + "a" * 200 + '"',
    r'"\u00e9"', r'"\u0022"', r'"\u005c"', '"\\u0007"', '"<script>alert(1)</script>"', '"%00"', '"${jndi:ldap://x}"',
]  # fmt: skip
VALID_OTHERS = [
    "null", "true", "false", "0", "-0", "1", "-1", "1.5", "1e2", "1E2", "1e+2", "1e-2", "0.1", "-0.0", "1E-400", "0e0",
    "123456789012345678901234567890", "[]", "[1]", "[null]", "[[]]", "[1,2]", "[ 1 , 2 ]", "{}", '{"a":1}', '{"":0}',
    '{"a":{"b":[{}]}}', '{"a":1,"b":2}', '{"\\u0061":1}', "[" * 30 + "]" * 30, '[""]', '["a",1,true,null]', "9" * 64,
    "0.000000000000000000000000000000000001", "1.7976931348623157e308", '{"__proto__":{}}', '{"constructor":1}',
    "[" + ",".join("1" * 500) + "]", '{"' + "k" * 1000 + '":1}', '"' + "a" * 201 + '"', '"' + "\u00e4" * 5000 + '"',
]  # fmt: skip
INVALID = [
    # numbers
    "01", "-01", "+1", "1.", ".5", "-.5", "1.e1", "1e", "1e+", "1eE2", "0x1", "0b1", "1_000", "1,5", "--1", "-", "- 1",
    "1a", "0e", "1.0e", "\uff11", "\u0661", "NaN", "-NaN", "nan", "Infinity", "-Infinity", "inf", "1e999", "-1e999",
    "9" * 65, "1" + "0" * 5000, "1 000", "1/2", "0.1.2", "1e1.5", "$1", "1%", "\u221e", "00", "-00",
    # words
    "True", "False", "None", "NULL", "nil", "undefined", "tru", "truth", "nul", "fals", "yes", "on", "a", "true false",
    "nulll", "\\u0074rue",
    # strings
    '"', '"a', "a\"", "'a'", "`a`", '"a"b"', '"\\"', '"\\x41"', '"\\a"', '"\\u12"', '"\\u12G4"', '"\\u"',
    '"\\U00000041',
    '"\t"', '"\n"', '"\r"', '"\x00"', '"\x1f"', '"a\nb"', r'"\ud800"', r'"\udc00"', r'"\ud800a"', r'"\ud800\ud800"',
    r'"\udc00\ud800"', r'"\ud800\u0041"', '"\\', '"\\u00', '\u201ca\u201d', '"a" "b"', '"a" + "b"', r'"\0"', r'"\'"',
    # arrays
    "[", "]", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1;2]", "(1)", "[1}", "[]]", "[[]", "[1,2,3",
    "[" * 33 + "]" * 33, "[" * 10_000, "[" * 10_000 + "]" * 10_000, "[...]", "[1:2]", '["a"', "[1]2", "[*]",
    # objects
    "{", "}", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{,}', '{a:1}', "{'a':1}", '{1:1}', '{"a" 1}',
    '{"a"=1}', '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a":1}}', '{"a"::1}', '{"a":}', '{:1}', '{null:1}',
    '{"a":1,"a":2}', '{[]:1}',
    '{"a":1,"\\u0061":2}', '{"a":' * 40 + "1" + "}" * 40, '{"a":' * 10_000, '{"a","b"}', '{"a":1]', '{{}}', '{"a":{}',
    # what is not JSON at all
    "// a\n1", "/* a */ 1", "# a\n1", "1 // a", "<a/>", "a=b", "--- a", "\ufeff1", "\xa01", "\x0b1", "\x0c1", "\u20281",
    "\x00", "1\x00", "\x1b", "@", "?", "!", "\\", "/", "%41", "&", "1;", ":", ",", "...", "=1", "\u200b1", "\x7f1",
]  # fmt: skip
NOT_UTF8 = [b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xc3"', b"\xff\xfe1\x00", b'"\x80"',
            b'"\xf0\x9f\x96"', b"\x00\x00\x00\x31", b'"\xe4"', b"\xfe\xff\x00\x31"]  # fmt: skip


def values() -> Iterator[tuple[bytes, str]]:
    """(a value as it stands in a body, what it is): string and other are JSON that we take, broken is not."""
    for kind, texts in (("string", VALID_STRINGS), ("other", VALID_OTHERS), ("broken", INVALID)):
        yield from ((text.encode("utf-8"), kind) for text in texts)
    yield from ((data, "broken") for data in NOT_UTF8)


WHOLE_BROKEN = [
    b"{", b"}", b"{}{}", b"{},", b"{} x", b"{}\x00", b"\x00{}", b"null", b"true", b"7", b'"a"', b"[1]", b"[{}]",
    b"[[]]", b"{\xff}", b"{}}", b"\xef\xbb", b"\xff\xfe{\x00}\x00", b"<a/>", b"a=b", b"%7B%7D", b"{/**/}", b"//\n{}",
    b"\x1f\x8b\x08", b"%PDF-1.7", b"\x89PNG", b"PK\x03\x04", b"()", b"{]", b"[}", b"--x\r\n", b"\x0b{}", b"\xc2\xa0{}",
    b"nul", b"'{}'",
]  # fmt: skip
WHOLE_EMPTY = [b"", b"{}", b" {} ", b"{ }", b"\n{\n}\n", b"\t{}", b"{}\r\n", b"\xef\xbb\xbf{}", b"[]", b"   ", b"[ ]"]
"""All of them mean: no words. PHP writes an object without members as []."""


def test_the_set_is_large_and_without_repetition() -> None:
    found = [value for value, _ in values()] + WHOLE_BROKEN + WHOLE_EMPTY
    print(f"{len(found)} bodies")
    twice = {body for body in found if found.count(body) > 1}
    # What is a value of its own may also stand for a whole body.
    assert twice <= set(WHOLE_BROKEN) | set(WHOLE_EMPTY) and len(set(found)) >= 250


@pytest.mark.parametrize("route", TAKING, ids=ids)
def test_a_member_that_is_no_json_is_a_400_and_one_that_nobody_knows_a_422(door: Door, route: Route) -> None:
    wrong = []
    for value, kind in values():
        body = b'{"naughty": ' + value + b"}"
        answer = door.knock(route.method, door.path(route), body)
        # Some break out of the object they were put into, and what remains is JSON of another shape.
        expected = (400,) if kind == "broken" and not _is_json(body) else (400, 422)
        error = answer.json["error"] if answer.status >= 400 else {}
        if answer.status not in expected or (kind != "broken" and "naughty" not in error["text"]):
            wrong.append((value[:40], kind, answer.status, error))
    assert wrong == []


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body.decode("utf-8"), parse_constant=lambda name: 1 / 0)
        return True
    except (ValueError, ZeroDivisionError, RecursionError):
        return False


def test_a_text_is_taken_as_it_was_meant(door: Door) -> None:
    """Every value where a text belongs: taken, refused for what it is, or refused because it is no JSON."""
    wrong = []
    for value, kind in values():
        answer = door.knock("POST", "/printers/spare-id/pause", b'{"reason": ' + value + b"}")
        expected = {"string": (200,), "other": (422,), "broken": (400,)}[kind]
        if answer.status not in expected:
            wrong.append((value[:40], kind, answer.status))
        if kind == "string":
            assert answer.json["paused"] is True
    door.knock("POST", "/printers/spare-id/resume")
    assert wrong == []


@pytest.mark.parametrize("route", TAKING, ids=ids)
def test_a_body_that_is_no_object_is_refused_and_one_without_words_is_none(door: Door, route: Route) -> None:
    if route.path in ("/jobs/release", "/jobs/discard") or route.path.endswith(("/reprint", "/test")):
        kept = WHOLE_EMPTY[:2]  # nothing said means: all of them
    else:
        kept = WHOLE_EMPTY
    for body in WHOLE_BROKEN:
        assert door.knock(route.method, f"{door.path(route)}", body).status == 400, body
    if route.method == "DELETE":
        return
    answers = {door.knock(route.method, door.path(route), body).status for body in kept}
    assert answers <= {200, 201, 409} if _says_nothing(route) else answers == {422}, answers


def _says_nothing(route: Route) -> bool:
    return not any(field.is_required() for field in route.wish.model_fields.values())


# ---- words ------------------------------------------------------------------------------------------------------

NAUGHTY = [
    "", " ", "\x00", "a\x00b", "\u202eabc", "\u2066x\u2069", "\ufeff", "\u200b", "\n", "\r\nX-Evil: 1", "\t",
    "\x1b[31m", "\x7f", "undefined", "null", "None", "true", "NaN", "-1", "0", "1e999", "0x10", "1,000", "'", '"', "`",
    ";", "--", "' OR 1=1 --", "'; DROP TABLE jobs; --", '" OR ""="', "%", "_", "%00", "%s%n", "{0}", "{{7*7}}",
    "${7*7}", "<b>", "<script>alert(1)</script>", "../../../etc/passwd", "/etc/passwd", "C:\\con", "CON",
    "file:///nowhere/at/all", "|ls", "$(id)", "&&id", "\\", "\\\\x\\y", "\u00e9", "e\u0301", "\u6f22\u5b57",
    "\u0639\u0631\u0628\u064a", "\U0001f5a8\ufe0f", "\U0001f468\u200d\U0001f469", "Z\u0351\u036b\u0343\u036a\u0302",
    "\u0130", "\u00df", "\ufb01", "\uffff", "\U0010ffff", "a" * 64, "a" * 255, "a" * 256, "a" * 5000,
    "\U0001f5a8" * 300, "^XA^XZ", "~JR", "+ADw-", "=1+1", "@SUM(1)", "#REF!",
]  # fmt: skip
TYPES = [None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, 2.0, -0.0, 1e308, 1e-308, [], [[]],
         [None], [1], [""], ["a"] * 200, {}, {"a": 1}, {"": ""}, [{}], {"a": {"b": [1]}}]  # fmt: skip


def good(door: Door, route: Route) -> dict[str, Any]:
    """Words this route takes."""
    if route.wish is NewJob:
        return {"printer": door.ids["printer"], "document_base64": b64(ZPL), "launch": False}
    if route.path == "/origins":
        return {"origin": SHOP, "key": door.ids["key_id"]}
    extra = route.wish.model_config.get("json_schema_extra")
    words: dict[str, Any] = extra["examples"][0] if isinstance(extra, dict) else {}  # type: ignore[index,assignment,call-overload]
    return {**words, **({"printer": door.ids["printer"]} if "printer" in words else {})}


@pytest.mark.parametrize("route", [r for r in ASKED if r.wish is not Nothing], ids=ids)
def test_no_word_of_any_kind_breaks_a_route(door: Door, route: Route) -> None:
    """Each of its words as everything it should not be, one at a time."""
    began = good(door, route)
    counter = itertools.count()
    for name in route.wish.model_fields:
        for value in [*TYPES, *NAUGHTY]:
            words = {**began, name: value}
            if route.path == "/printers" and route.method == "POST" and name != "name":
                words["name"] = f"made {next(counter)}"
            answer = door.say(route, words)
            if answer.status == 422 and isinstance(value, list | dict):
                assert answer.json["error"].get("field"), answer.json
    if route.method in ("POST", "PATCH"):
        _sweep(door, "/printers", "printers")
        _sweep(door, "/keys", "keys")


def _sweep(door: Door, path: str, pages: str) -> None:
    """Take away what was made on the way: a hundred printers have a hundred threads."""
    for made in door.knock("GET", path).json[pages]:
        kept = made["from_config"] or made["id"] in door.ids.values() or "admin" in made.get("scopes", ())
        if not kept:
            query = "?jobs=cancel" if pages == "printers" else ""
            wanted = urllib.parse.quote(made["id"], safe="")
            assert door.knock("DELETE", f"{path}/{wanted}{query}").status == 204, made


@pytest.mark.parametrize("route", [r for r in ASKED if r.wish is not Nothing], ids=ids)
def test_an_unknown_word_is_answered_with_those_there_are(door: Door, route: Route) -> None:
    for name in ("copys", "", " ", "\x00", "__proto__", "a" * 5000, "\u202e", "self", "model_config"):
        answer = door.say(route, {**good(door, route), name: "1"})
        assert answer.status == 422, (name, answer)
        assert next(iter(route.wish.model_fields)) in answer.json["error"]["remedy"]
        assert len(answer.json["error"]["text"]) < 200


@pytest.mark.parametrize("route", [r for r in ASKED if r.wish is Nothing], ids=ids)
def test_a_route_that_takes_no_words_says_so(door: Door, route: Route) -> None:
    answer = door.say(route, {"force": "1"})
    assert (answer.status, answer.json["error"]["remedy"]) == (422, "allowed here: nothing")


# ---- ids --------------------------------------------------------------------------------------------------------

IDS = [NOBODY, NOBODY.upper(), "0", "-1", "x", "null", "%00", "a%00b", "%E2%80%AE", "%F0%9F%96%A8", "%FF", "%C0%80",
       "%2e%2e", "..%2f..%2fetc%2fpasswd", "%27%20OR%201=1", "%25", "*", "a" * 5000, "%20", "'", ";", "%0d%0aX:1", "~",
       "@", "$where", "{}", "%7B%7D", "1e3", "0x1", "\\", "%5c..%5c"]  # fmt: skip


@pytest.mark.parametrize("route", [r for r in ASKED if "<" in r.path], ids=ids)
def test_what_does_not_exist_is_a_404(door: Door, route: Route) -> None:
    words = json.dumps(good(door, route)).encode() if route.method in ("POST", "PATCH") else None
    for wanted in IDS:
        path = named(route, {**dict.fromkeys(door.ids, wanted), "number": "1"})
        assert door.knock(route.method, path, words).status == 404, path


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", "1e3", "999999", "9" * 30, "%00", "", "+1", "0x1", "\u0661"])
def test_a_label_that_does_not_exist_is_a_404(door: Door, number: str) -> None:
    path = f"/jobs/{door.ids['job_id']}/labels/{urllib.parse.quote(number, safe='%+')}.png"
    assert door.knock("GET", path).status == 404


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_what_is_no_route_is_refused_in_json(door: Door, method: str) -> None:
    paths = ("", "/", "/nowhere", "/jobs/x/y", "/jobs/x/labels", "/printers/x/pause/y", "/hello/", "//jobs", "/%2e%2e/")
    for path in paths:
        answer = door.knock(method, path)
        assert answer.status in (404, 405, 501) or (path == "/hello/" and method == "GET"), (path, answer.status)


# ---- jobs -------------------------------------------------------------------------------------------------------


def job(door: Door, **words: Any) -> Answer:
    wish = {"printer": "spare-id", "document_base64": b64(ZPL), "launch": False, **words}
    return door.knock("POST", "/jobs", json.dumps(wish).encode())


def test_a_title_of_10_megabytes_is_cut_and_nothing_of_it_stays(door: Door) -> None:
    assert door.bridge.process is not None
    for _ in range(12):  # what each thread keeps for the next time is not counted
        job(door, title="x" * 10_000_000)
    before = psutil.Process(door.bridge.process.pid).memory_info().rss
    for _ in range(5):
        answer = job(door, title="x" * 10_000_000)
        assert (answer.status, answer.json["title"]) == (201, "x" * 255)
    time.sleep(0.2)
    growth = psutil.Process(door.bridge.process.pid).memory_info().rss - before
    print(f"grew by {growth / 2**20:.1f} MiB")
    assert growth < 25 * 2**20


@pytest.mark.parametrize("title", NAUGHTY, ids=lambda title: repr(title)[:30])
def test_no_title_reaches_anybody_with_what_could_harm(door: Door, title: str) -> None:
    answer = job(door, title=title)
    assert answer.status == 201
    assert answer.json["title"].isprintable() and 1 <= len(answer.json["title"]) <= 255
    listed = door.knock("GET", "/jobs?limit=1").json["jobs"][0]
    assert listed["title"] == answer.json["title"]


@pytest.mark.parametrize(
    "copies", [0, -1, 1000, 10**9, 10**30, 2.5, 1.0, True, None, "", "x", "1e3", "2.5", "-1", " ", "\u0662", [1], {}]
)
def test_copies_are_a_whole_number_from_1_to_999(door: Door, copies: Any) -> None:
    answer = job(door, copies=copies)
    assert (answer.status, answer.json["error"]["field"]) == (422, "copies")


@pytest.mark.parametrize(
    "words",
    [{"expires_at": value} for value in (0, -1, "", "tomorrow", "2026-01-31", "2096-01-31T12:00:00", 1e12, 1, "NaN", [],
                                         True, "2096-13-01T00:00:00Z", "2096-01-31T25:00:00Z", "9" * 400, "1e999")]
    + [{"expires_in_s": value} for value in (0, -1, "", "x", 1e12, True, [], "0", "-5")]
    + [{"expires_at": 4e9, "expires_in_s": 5}]
    + [{"options": {"pages": value}} for value in ("", "0", "-1", "2-1", "1-", "-", "a", "1,2", "1-2-3", "1.5", 2,
                                                   "1" * 9, "\u0661", " 1", "0-0")],
    ids=repr,
)  # fmt: skip
def test_a_time_or_a_page_that_cannot_be_is_refused(door: Door, words: dict[str, Any]) -> None:
    answer = job(door, **words)
    assert answer.status == 422, answer
    name = next(iter(words))
    assert len(words) == 2 or answer.json["error"]["field"].startswith(name)


@pytest.mark.parametrize("content_type", ["", "json", "application/json; charset=utf-16", "text/html",
                                          "multipart/form-data", "multipart/form-data; boundary=",
                                          "application/x-www-form-urlencoded", "*/*",
                                          "application/json, text/plain", "image/png; x=" + "a" * 500])  # fmt: skip
def test_a_job_under_a_strange_content_type_is_taken_or_refused(door: Door, content_type: str) -> None:
    body = json.dumps({"printer": "spare-id", "document_base64": b64(ZPL), "launch": False}).encode()
    for path in ("/jobs", "/jobs?printer=spare-id&launch=false"):
        door.knock("POST", path, body, Content_Type=content_type)
        door.knock("POST", path, b"", Content_Type=content_type)


@pytest.mark.parametrize("part", [
    b"", b"--x--", b"--x\r\n", b"--x\r\n\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--",
    b'--x\r\nContent-Disposition: form-data; name="printer"\r\n\r\nspare\r\n--x--',
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a"\r\n\r\n^XA^XZ\r\n--x--',
    b'--x\r\nContent-Disposition: form-data; name="printer"\r\n\r\n\xff\r\n--x--', b"--x\r\n" * 2000,
    b'--x\r\nContent-Disposition: form-data; name="' + b"a" * 20_000 + b'"\r\n\r\n1\r\n--x--', b"\x00" * 1000,
    b'--x\r\nContent-Disposition: form-data; name="printer"\r\n\r\nspare\r\n',
])  # fmt: skip
def test_a_broken_form_is_refused(door: Door, part: bytes) -> None:
    assert 400 <= door.knock("POST", "/jobs", part, Content_Type="multipart/form-data; boundary=x").status < 500


@pytest.mark.parametrize("key", ["a" * 256, "a" * 5000, " ", "\t"])
@pytest.mark.parametrize("route", [r for r in ASKED if r.creates], ids=ids)
def test_an_idempotency_key_is_1_to_255_characters(door: Door, route: Route, key: str) -> None:
    answer = door.say(route, good(door, route), Idempotency_Key=key)
    assert (answer.status, answer.json["error"]["field"]) == (422, "Idempotency-Key")


# ---- every error ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["", "Basic", "Basic !!!", "Bearer", "Bearer wrong", "Digest x",
                                           "Bearer \xff", "Bearer " + "a" * 5000])  # fmt: skip
def test_a_wrong_key_is_refused_everywhere_with_what_to_do(door: Door, authorization: str) -> None:
    for route in ROUTES:
        if route.scope != "none":
            answer = door.knock(route.method, door.path(route), Authorization=authorization)
            assert answer.status == 401, (route.path, answer.status)
