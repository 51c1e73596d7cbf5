"""Two tenants, every route of every API, every id of the one with the keys of the other: nothing told, nothing changed.

One is a sub-account of the other: that opens nothing either, neither upwards nor downwards.

The routes come from the OpenAPI documents the bridge serves (Cloudlinker's from the map of its routes), so a new one is
asked the same questions as soon as it exists. tests/bridge/test_tenants.py says what lending and scopes mean.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from bridge.dialects.v1.table import ROUTES as V1
from tests.bridge.test_webhooks import Receiver
from tests.fake.till import Till
from tests.serving import Answer, Caller, Serve, b64, printer
from tests.test_browser_doors import ROUTES as MAP

SHOP = "https://shop.example"
PASSWORD = "correct horse battery"
COMPUTER, COUNTER = "till-1", "counter"  # what both tenants call a computer and its printer
TYPES = ("v1", "printcloud/api", "olin/api")


# ---- the two, and everything they have --------------------------------------------------------------------------


@dataclass
class Tenant:
    """An organization and one of everything it can have. ids: kind -> as it is written everywhere; secrets: what else
    must be seen nowhere. parent: whose sub-account it is."""

    bridge: Serve
    name: str
    id: str
    key: str
    ids: dict[str, str] = field(default_factory=dict)
    more_ids: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    hooks: dict[str, Receiver] = field(default_factory=dict)
    parent: str | None = None
    _line: Caller | None = None

    def call(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        """One request, on a connection that is kept. path: from the mount on."""
        self._line = self._line or self.bridge.caller()
        shown = {"Authorization": _shown(self.id, path, key or self.key), **headers}
        try:
            return self._line.call(method, path, body, shown)
        except (http.client.HTTPException, OSError):
            self._line.close()
            self._line = None
            raise

    def has(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """The answer to what must work."""
        answer = self.call(method, path, body, key)
        assert answer.status in (200, 201), (path, answer)
        return answer.json

    def document(self, number: int = 0) -> str:
        """A label nobody else has, in base64."""
        return b64(b"^XA^FO20,20^A0N,40,40^FD%s-content %d^FS^XZ" % (self.name.encode(), number))

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        for hook in self.hooks.values():
            hook.close()


def _shown(organization_id: str, path: str, key: str) -> str:
    """The key in the way of this API."""
    if path.startswith("/api/"):
        return f"Basic {b64(f'{organization_id}:{key}'.encode())}"
    if path.startswith("/printcloud/"):
        return f"Basic {b64(f'{key}:'.encode())}"
    return f"Bearer {key}"


@dataclass
class Town:
    """The bridge, its owner, two tenants, and a computer of each: both have the same name, and so have the printers."""

    bridge: Serve
    owner: Tenant
    amber: Tenant
    birch: Tenant
    tills: dict[str, Till]


def founded(bridge: Serve, name: str, commons: str, parent: str | None) -> Tenant:
    """An organization with keys of every kind. commons: a printer that is lent to it. parent: whose sub-account."""
    wish = {"name": f"{name}-shop", "plan": "enterprise", "parent": parent}
    organization = bridge.call("POST", "/v1/organizations", wish).json["id"]
    wish = {"name": f"{name}-admin", "scopes": ["admin"], "organization": organization}
    key = bridge.call("POST", "/v1/keys", wish).json
    tenant = Tenant(bridge, name, organization, key["key"], {"organization": organization}, parent=parent)
    assert bridge.call("PUT", f"/v1/organizations/{organization}/printers/{commons}").status == 204
    tenant.more_ids.append(key["id"])
    tenant.keys["admin"] = key["key"]
    for permission in ("full", "print_only", "read_only"):
        wish = {"description": f"{name}-{permission}", "permission": permission}
        made = tenant.has("POST", "/printcloud/api/account/apikeys", wish)
        tenant.keys[permission] = made["key"]
        tenant.more_ids.append(made["id"])
    tenant.ids["cloud key"] = tenant.more_ids.pop()
    tenant.secrets += tenant.keys.values()
    return tenant


def settle(tenant: Tenant, commons: str) -> None:
    """One of everything. Its computer is connected already."""
    name, ids, has = tenant.name, tenant.ids, tenant.has
    _people(tenant)
    client = has("POST", "/api/clients/create", {"hostname": f"{name}-office"})["data"]["id"]
    device = {"client_id": client, "name": f"{name}-dock", "device_type": 1}
    ids |= {"client": client, "printer": has("POST", "/api/devices/create", device)["data"]["id"]}
    polled = {"printer_id": f"{name}-reported", "name": f"{name}-laser", "computer_name": f"{name}-desk"}
    has("POST", "/olin/api/printers/sync", {"printers": [polled]}, tenant.keys["olin"])
    printers = has("GET", "/printcloud/api/printers")
    tenant.more_ids += [each["id"] for each in printers if each["id"] not in (commons, ids["printer"])]
    tenant.more_ids += [each["computerId"] for each in printers if each["id"] != commons]
    ids["reported"], ids["name"], ids["host"] = f"{name}-reported", f"{name}-dock", f"{name}-desk"
    for number, place in enumerate((ids["printer"], commons, f"{name}-laser")):
        _jobs(tenant, number, place)
    listed = has("GET", "/olin/api/print-jobs?per_page=100")["data"]
    ids["job number"] = str(listed[0]["id"])
    ids["printer number"] = str(next(each["printer_id"] for each in listed if each["printer_name"] == f"{name}-dock"))
    _told(tenant)


def _people(tenant: Tenant) -> None:
    name, ids, has = tenant.name, tenant.ids, tenant.has
    ids["group"] = has("POST", "/v1/groups", {"name": f"{name}-group"})["id"]
    user = {"name": f"{name}-user", "email": f"{name}@shop.example", "password": f"{name} {PASSWORD}",
            "pin": f"{name}-7391", "groups": [ids["group"]]}  # fmt: skip
    tenant.more_ids.append(has("POST", "/v1/users", user)["id"])
    ids["user"] = has("POST", "/v1/users", {"name": f"{name}-second", "email": f"{name}@two.example"})["id"]
    ids["card"] = has("POST", f"/v1/users/{ids['user']}/cards", {"number": f"{name}-04A2"})["id"]
    key = has("POST", "/v1/keys", {"name": f"{name}-key", "scopes": ["jobs"]})
    ids["key"] = key["id"]
    login = {"email": user["email"], "password": user["password"]}
    tenant.keys["olin"] = has("POST", "/olin/api/login", login)["data"]["token"]
    tenant.keys["login"] = has("POST", "/printcloud/api/client/login", login)["apiKey"]
    tenant.secrets += [user["password"], user["pin"], key["key"], tenant.keys["olin"], tenant.keys["login"]]


def _jobs(tenant: Tenant, number: int, place: str) -> None:
    """A job of every API for one printer, each of which waits there."""
    title, content = f"{tenant.name}-label {number}", tenant.document(number)
    made = []
    if place != f"{tenant.name}-laser":
        wish = {"printer": place, "title": title, "document_base64": content}
        made.append(tenant.has("POST", "/v1/jobs", wish)["id"])
        cloud = {"printerId": place, "contentType": "raw_base64", "content": content, "title": title}
        made.append(tenant.has("POST", "/printcloud/api/printjobs", cloud))
        old = {"device_id": place, "launch_immediately": True, "payload": {"document_base64": content}}
        made.append(tenant.has("POST", "/api/jobs/create", old)["data"]["id"])
    olin = {"printer_name" if place.startswith(tenant.name) else "printer_id": place, "file_base64": content,
            "file_name": f"{title}.zpl"}  # fmt: skip
    tenant.has("POST", "/olin/api/print-jobs", olin, tenant.keys["olin"])
    if number == 0:
        tenant.ids |= {"job": made[0], "cloud job": made[1]}
        made = made[2:]
    tenant.more_ids += made


def _told(tenant: Tenant) -> None:
    for dialect in ("v1", "printcloud"):
        tenant.hooks[dialect] = receiver = Receiver()
        path = "/v1/webhooks" if dialect == "v1" else "/printcloud/api/webhooks"
        secret = {} if dialect == "v1" else {"secret": f"{tenant.name}-hook-secret"}
        made = tenant.has("POST", path, {"url": f"{receiver.url}/{tenant.name}", "events": ["all"], **secret})
        tenant.ids["hook" if dialect == "v1" else "cloud hook"] = made["id"]
        tenant.secrets += [made["secret"]] if "secret" in made else []
    tenant.ids["delivery"] = tenant.has("POST", f"/v1/webhooks/{tenant.ids['hook']}/test")["id"]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("isolation")
    config = printer("commons", "virtual://commons") + printer("owner-dock", "virtual://dock")
    with Serve(folder / "data", config) as bridge:
        owner = Tenant(bridge, "owner", bridge.organization_id, bridge.key)
        owner.keys = {"admin": bridge.key, "full": bridge.key, "olin": bridge.key}
        commons, dock = (owner.has("GET", f"/v1/printers/{name}")["id"] for name in ("commons", "owner-dock"))
        for name in ("commons", "owner-dock"):
            owner.has("POST", f"/v1/printers/{name}/pause", {"reason": "owner-reason"})
        owner.ids = {"printer": dock, "name": "owner-dock", "organization": owner.id}
        _jobs(owner, 0, dock)
        _told(owner)
        _people(owner)
        tenants = [amber := founded(bridge, "amber", commons, None), founded(bridge, "birch", commons, amber.id)]
        url = owner.has("GET", "/v1/hello")["ws"]
        tills = {each.name: Till(lambda: url, each.key, COMPUTER, [COUNTER]) for each in tenants}
        with tills["amber"], tills["birch"]:
            until(lambda: all(till.connections for till in tills.values()))
            for tenant in tenants:
                until(lambda tenant=tenant: COUNTER in tenant.call("GET", "/v1/printers").data.decode())
                settle(tenant, commons)
            until(lambda: all(_is_quiet(each) for each in (owner, *tenants)))
            yield Town(bridge, owner, *tenants, tills)
        for each in (owner, *tenants):
            each.close()
        assert "Traceback" not in bridge.log.read_text()


def until(true: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def _is_quiet(tenant: Tenant) -> bool:
    """Whether all that happened has been told to its webhooks."""
    return not tenant.has("GET", "/v1/webhooks/deliveries?state=pending")["total"]


# ---- what must not be seen, and what must not change ------------------------------------------------------------


def marks(tenant: Tenant, caller: Tenant | None = None) -> re.Pattern[str]:
    """Everything by which it could be recognized: names, ids with and without hyphens, secrets, documents.

    caller: who asks. A sub-account is told whose it is, and nothing else of it.
    """
    found = {f"{tenant.name}-", f"{tenant.name}@", f"{tenant.name} {PASSWORD[:7]}", *tenant.secrets}
    for number in range(3):
        found.add(tenant.document(number)[:60])
    for own in (*tenant.ids.values(), *tenant.more_ids):
        plain = re.sub(r"^(pj|wh|key|usr)_", "", own)
        told = caller is not None and caller.parent == own
        found |= {plain, plain.replace("-", "")} if len(plain) > 30 and not told else set()
    return re.compile("|".join(map(re.escape, sorted(found))))


def rows(bridge: Serve, tenant: Tenant) -> dict[str, list[Any]]:
    """Every row of the database that belongs to it, without when its computers were seen."""
    db = sqlite3.connect(f"file:{bridge.folder / 'bridge.db'}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    try:
        tables = [row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, list[Any]] = {}
        for table in tables:
            columns = {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}
            belongs = "organization_id = :id" if "organization_id" in columns else _BELONGS.get(table)
            if belongs is not None:
                asked = db.execute(f"SELECT * FROM {table} WHERE {belongs}", {"id": tenant.id})
                kept = [{name: row[name] for name in columns - {"last_seen"}} for row in asked]
                found[table] = sorted(kept, key=lambda row: repr(sorted(row.items())))
        return found
    finally:
        db.close()


def settled(bridge: Serve, tenant: Tenant) -> dict[str, list[Any]]:
    """Its rows, once all that it did itself has been told to its webhooks."""
    before: dict[str, list[Any]] = {}
    deadline = time.monotonic() + 60
    while not _is_quiet(tenant) or before != (now := rows(bridge, tenant)):
        assert time.monotonic() < deadline
        before = rows(bridge, tenant)
        time.sleep(0.2)
    return now


_BELONGS = {
    "organizations": "id = :id",
    "bodies": "job_serial IN (SELECT serial FROM jobs WHERE organization_id = :id)",
    "attempts": "job_serial IN (SELECT serial FROM jobs WHERE organization_id = :id)",
    "group_members": "group_id IN (SELECT id FROM groups WHERE organization_id = :id)",
}


# ---- computers, events, webhooks --------------------------------------------------------------------------------


def printed(town: Town, who: Tenant, number: int) -> str:
    """Have a label printed by its own computer."""
    wish = {"printerId": _counter(who), "contentType": "raw_base64", "content": who.document(number)}
    job: str = who.has("POST", "/printcloud/api/printjobs", wish)
    until(lambda: who.has("GET", f"/printcloud/api/printjobs/{job}")["state"] == "completed")
    return job


def _counter(who: Tenant) -> str:
    found = [each["id"] for each in who.has("GET", "/printcloud/api/printers") if each["name"] == COUNTER]
    assert len(found) == 1, found
    device: str = found[0]
    return device


def test_computers_of_one_name_get_the_labels_of_their_own_organization(town: Town) -> None:
    for number in range(10, 15):
        for who in (town.amber, town.birch):
            printed(town, who, number)
    for who, other in ((town.amber, town.birch), (town.birch, town.amber)):
        paper = [b64(document) for _, document in town.tills[who.name].paper]
        assert {who.document(number) for number in range(10, 15)} <= set(paper)
        assert not any(f"{other.name}-".encode() in base64.b64decode(document) for document in paper)
        assert town.tills[who.name].errors == []


def test_nobody_listens_to_what_happens_to_the_other(town: Town) -> None:
    """Live events, those of the past, and the messages of webhooks, while both print at once."""
    amber, birch = town.amber, town.birch
    stream = http.client.HTTPConnection("127.0.0.1", town.bridge.port, timeout=60)
    stream.request("GET", "/v1/events/stream", headers={"Authorization": f"Bearer {birch.key}"})
    events = stream.getresponse()
    since = birch.has("GET", "/v1/events?after=0&limit=500")["events"][-1]["seq"]
    shared = {"printer": "commons", "document_base64": amber.document(30), "title": "amber-label on a lent printer"}
    theirs = [amber.has("POST", "/v1/jobs", shared)["id"], *(printed(town, amber, number) for number in range(31, 34))]
    with connected(amber, "amber-new", ["amber-new"]):
        amber.has("POST", f"/v1/jobs/{theirs[0]}/cancel")
    own = printed(town, birch, 30)
    told = b""
    while f'"{_plain(own)}"'.encode() not in told or b'"delivered"' not in told:
        told += events.readline()
    stream.close()
    told += birch.call("GET", f"/v1/events?after={since}&limit=500").data
    until(lambda: _is_quiet(birch))
    for receiver in birch.hooks.values():
        until(
            lambda receiver=receiver: any(
                own.encode() in body or _plain(own).encode() in body for _, body in receiver.got
            )
        )
        told += b"".join(body + repr(sorted(head.items())).encode() for head, body in receiver.got)
    known, jobs = marks(amber), [job.removeprefix("pj_").replace("-", "") for job in theirs]
    assert not (seen := known.search(told.decode())), seen
    assert not any(job in told.decode().replace("-", "") for job in jobs)
    assert all(any(job in body.decode().replace("-", "") for _, body in amber.hooks["v1"].got) for job in jobs)


def _plain(job: str) -> str:
    """The id of a job as our own API writes it."""
    text = job.removeprefix("pj_")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


SUBMITTED = {
    "/v1/jobs": ("printer", "document_base64", {}),
    "/printcloud/api/printjobs": ("printerId", "content", {"contentType": "raw_base64"}),
    "/olin/api/print-jobs": ("printer_id", "file_base64", {"file_name": "a.zpl"}),
    "/api/jobs/create": ("device_id", "payload", {}),
}


@pytest.mark.parametrize("path", SUBMITTED)
def test_the_idempotency_key_of_the_one_is_nothing_to_the_other(town: Town, path: str) -> None:
    printer_word, document_word, more = SUBMITTED[path]
    content = b64(b"^XA^FDthe same^FS^XZ")
    document = {"document_base64": content} if document_word == "payload" else content
    commons = next(p["id"] for p in town.amber.has("GET", "/v1/printers")["printers"] if p["name"] == "commons")
    body = {printer_word: commons, document_word: document, **more}
    made = [who.call("POST", path, body, **{"Idempotency-Key": "order-1" + path})
            for who in (town.amber, town.birch, town.amber)]  # fmt: skip
    assert [answer.status for answer in made] == ([200] * 3 if path.startswith("/api") else [201, 201, 200])
    jobs = [_job_of(answer.json) for answer in made]
    assert jobs[0] == jobs[2] != jobs[1]


def _job_of(answer: Any) -> Any:
    data = answer.get("data", answer) if isinstance(answer, dict) else {"id": answer}
    return data.get("print_job", data)["id"]


def test_a_key_is_good_for_its_own_organization_alone(town: Town) -> None:
    """Shown with the id of the other, or with the other's key as the second half."""
    amber, birch = town.amber, town.birch
    for user, password in ((amber.id, birch.key), (birch.id, amber.key), (birch.key, amber.key), (amber.id, "")):
        shown = {"Authorization": f"Basic {b64(f'{user}:{password}'.encode())}"}
        for method, path in (("POST", "/api/jobs/list"), ("GET", "/printcloud/api/printjobs"), ("GET", "/v1/jobs"),
                             ("GET", "/olin/api/print-jobs")):  # fmt: skip
            assert town.bridge.call(method, path, None, shown).status == 401, (path, user)
    for path in ("/v1/jobs", "/printcloud/api/printjobs", "/olin/api/print-jobs"):
        for name in ("X-Organization-Id", "X-Tenant", "Organization-Id", "X-Account"):
            answer = birch.call("GET", path, None, **{name: amber.id})
            assert answer.status == 200 and not marks(amber).search(answer.data.decode())


# ---- every place where an id can stand --------------------------------------------------------------------------

REFERENCES = {
    "printer": "printer", "printerId": "printer", "printer_id": "printer", "printer_name": "printer",
    "organization": "organization", "organization_id": "organization", "parent": "organization", "user": "user",
    "user_id": "user", "groups": "group", "group_id": "group", "key": "key", "key_id": "key", "card_id": "card",
    "job_id": "job", "after": "job", "webhook": "hook", "webhook_id": "hook", "webhook_ids": "cloud hook",
    "delivery_id": "delivery", "client_id": "client", "computer_id": "client", "computer_ids": "client",
    "device_id": "printer",
}  # fmt: skip
"""Words that name something that is there -> what they name. In a path every word does."""

ENDLESS = "/events/stream"


@dataclass(frozen=True)
class Slot:
    """One place of one route where a text can stand. where: path, query, body, form, or the filter of a list."""

    method: str
    path: str
    operation: Any = field(repr=False, hash=False, compare=False)
    where: str
    word: str

    @property
    def refers(self) -> bool:
        return self.where == "path" or self.word in REFERENCES and self.where != "filter"


class Documents:
    """The OpenAPI documents of a bridge."""

    def __init__(self, bridge: Serve) -> None:
        self.all = {mount: bridge.call("GET", f"/{mount}/openapi.json").json for mount in TYPES}

    def operations(self) -> Iterator[tuple[str, str, Any, Any]]:
        """(method, path from the root on, operation, its document) of every route that needs a key."""
        for mount, document in self.all.items():
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    if operation.get("security") != [] and path != ENDLESS:
                        yield method.upper(), f"/{mount}{path}", operation, document

    def slots(self) -> list[Slot]:
        found = []
        for method, path, operation, document in self.operations():
            words = [
                (each["in"], each["name"]) for each in operation["parameters"] if each.get("in") in ("path", "query")
            ]
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                where = {"application/json": "body", "multipart/form-data": "form"}.get(media)
                if where:
                    words += [(where, word) for word in _texts(content["schema"], document)]
            found += [
                Slot(method, path, operation, where, word) for where, word in words if word not in ("number", "file")
            ]
        return found


def _texts(schema: Any, document: Any) -> Iterator[str]:
    """Words of a schema that may hold a text, or a list or object with one: "printers.printer_id"."""
    for word, value in _resolved(schema, document).get("properties", {}).items():
        ways = [_resolved(way, document) for way in value.get("anyOf", [value])]
        kinds = {
            kind
            for way in ways
            for kind in ([way["type"]] if isinstance(way.get("type"), str) else way.get("type", []))
        }
        if kinds & {"string", "array"}:
            yield word
        for way in ways:
            inner = _resolved(way.get("items", way), document)
            if inner.get("properties"):
                yield from (f"{word}.{each}" for each in _texts(inner, document))


def _resolved(schema: Any, document: Any) -> Any:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def filled(slot: Slot, caller: Tenant, value: str) -> tuple[str, Any, str | None]:
    """(path, body, media type) of a request with `value` there and the caller's own ids everywhere else."""
    in_path, query, body = "", {}, {}
    for content in [slot.operation.get("requestBody", {}).get("content", {}).get("application/json", {})]:
        for example in list(content.get("examples", {}).values())[:1]:
            body = json.loads(json.dumps(example["value"]))
    for each in slot.operation["parameters"]:
        if each.get("in") == "query" and each.get("required"):
            query[each["name"]] = caller.ids[REFERENCES[each["name"]]] if each["name"] in REFERENCES else SHOP
    body = {word: own_word(caller, word, given) for word, given in body.items()}
    in_path = re.sub(r"{(\w+)}", lambda word: _in_path(slot, caller, word[1], value), slot.path)
    media = None
    if slot.where == "query":
        query[slot.word] = value
        if slot.method == "POST":
            media, query = "application/octet-stream", {"printer": caller.ids["printer"], **query}
    elif slot.where == "form":
        media = "multipart/form-data; boundary=b"
    elif slot.where == "body":
        _put(body, slot.word, value)
    shown = f"?{urllib.parse.urlencode(query)}" if query else ""
    if slot.where == "form":
        return in_path, _form({"printer_name": caller.ids["name"], slot.word: value}), media
    if slot.where == "query" and slot.method == "POST":
        return in_path + shown, b"^XA^XZ", media
    return in_path + shown, (body if slot.method not in ("GET", "DELETE") else None), media


def _in_path(slot: Slot, caller: Tenant, word: str, value: str) -> str:
    if slot.where == "path" and slot.word == word:
        return urllib.parse.quote(value, safe="")
    return "1" if word == "number" else caller.ids[REFERENCES[word]]


def own_word(caller: Tenant, word: str, given: Any) -> Any:
    """A word of an example, where it names something: the caller's own."""
    if word not in REFERENCES or isinstance(given, list):
        return [caller.ids["group"]] if word == "groups" else given
    return caller.ids["name"] if word == "printer_name" else caller.ids[REFERENCES[word]]


def _put(body: dict[str, Any], word: str, value: str) -> None:
    first, _, rest = word.partition(".")
    if not rest:
        if first == "printer_name":
            body.pop("printer_id", None)
        body[first] = [value] if isinstance(body.get(first), list) or first in ("groups", "scopes") else value
        return
    inner = body.setdefault(first, {})
    for each in inner if isinstance(inner, list) else [inner]:
        _put(each, rest, value)


def _form(fields: dict[str, str]) -> bytes:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    parts.append('--b\r\nContent-Disposition: form-data; name="file"; filename="a.zpl"\r\n\r\n^XA^XZ\r\n--b--\r\n')
    return "".join(parts).encode()


def tried(slot: Slot, other: Tenant) -> list[str]:
    """What to try there: all there is, where something is named; else one of each of the main things."""
    kinds = {"job": "job", "printer": "printer"}.get(REFERENCES.get(slot.word, ""))
    if not slot.refers:
        return [other.ids[kind] for kind in ("job", "printer", "organization")]
    found = [
        own
        for kind, own in other.ids.items()
        if not kind.endswith(" number") and (kind != "host" or slot.where == "path")
    ]
    if slot.path.startswith("/olin") and kinds is not None and f"{kinds} number" in other.ids:
        found.append(other.ids[f"{kinds} number"])
    found += other.more_ids
    plain = {re.sub(r"^(pj|wh|key|usr)_", "", each).replace("-", "") for each in found if len(each) > 30}
    return [*found, *sorted(plain - set(found))]


def keys_for(caller: Tenant, path: str) -> list[str]:
    """The keys that may do most there."""
    if path.startswith("/olin"):
        return [caller.keys["olin"], caller.keys["admin"]]
    return [caller.keys["full"]] if path.startswith("/printcloud") else [caller.keys["admin"]]


@pytest.mark.parametrize(("who", "whose"), [("birch", "amber"), ("amber", "birch"), ("birch", "owner")])
def test_no_list_of_the_one_has_a_row_of_the_other(town: Town, who: str, whose: str) -> None:
    caller, other = getattr(town, who), getattr(town, whose)
    known, before = marks(other, caller), settled(town.bridge, other)
    asked = [(path, operation) for method, path, operation, _ in Documents(town.bridge).operations()
             if method == "GET" and "{" not in path]  # fmt: skip
    paths = [filled(Slot("GET", path, operation, "", ""), caller, "")[0] for path, operation in asked]
    paths += ["/v1/jobs?limit=500", "/v1/events?after=0&limit=500", f"/v1/jobs?q={other.name}", "/v1/users?limit=500",
              "/v1/webhooks/deliveries?limit=500", f"/v1/users?q={other.name}", "/printcloud/api/printjobs?limit=500",
              "/olin/api/print-jobs?per_page=100", f"/olin/api/print-jobs/pending?computer_name={other.name}-desk",
              f"/olin/api/print-jobs/pending?computer_name={COMPUTER}"]  # fmt: skip
    told = [("GET", path, None, key) for path in paths for key in caller.keys.values()]
    told += [("POST", f"/api/{noun}/list", {}, caller.key) for noun in ("clients", "devices", "jobs")]
    told += [("GET", "/api/test", None, caller.key), ("GET", "/api/plans", None, caller.key)]
    statuses = set()
    for method, path, body, key in told:
        answer = caller.call(method, path, body, key)
        statuses.add(answer.status)
        assert not (seen := known.search(answer.data.decode("utf-8", "replace").replace(path, ""))), (
            path,
            seen,
            answer,
        )
    assert statuses == {200, 403} and len(told) > 60
    assert rows(town.bridge, other) == before


@pytest.mark.parametrize(("who", "whose"), [("birch", "amber"), ("amber", "birch"), ("birch", "owner")])
def test_no_id_of_the_one_opens_anything_for_the_other(town: Town, who: str, whose: str) -> None:
    caller, other = getattr(town, who), getattr(town, whose)
    known, before = marks(other, caller), settled(town.bridge, other)
    pairs, wrong = set(), []
    for slot, value, request in everything(Documents(town.bridge).slots(), caller, other):
        for key in keys_for(caller, slot.path):
            pairs.add((value, slot))
            wrong += verdict(slot, value, request(key), known)
    for hook in caller.has("GET", "/v1/webhooks")["webhooks"]:
        if hook["id"] not in caller.ids.values():  # made on the way; nobody answers there, and it is tried for hours
            assert caller.call("DELETE", f"/v1/webhooks/{hook['id']}").status == 204
    assert wrong == []
    assert rows(town.bridge, other) == before
    assert referred(rows(town.bridge, caller)) & {*other.ids.values(), *other.more_ids} == set()
    print(f"{len(pairs)} pairs: ids of {whose} and places where {who} tried them")
    assert len(pairs) > 1000


def referred(found: dict[str, list[Any]]) -> set[Any]:
    """Every id of something else in these rows."""
    names = ("device_id", "client_id", "user_id", "key_id", "job_id", "webhook_id", "group_id", "reprint_of")
    return {row[name] for table in found.values() for row in table for name in names if row.get(name)}


Trial = tuple[Slot, str, Callable[[str], Answer]]


def everything(slots: list[Slot], caller: Tenant, other: Tenant) -> Iterator[Trial]:
    """What is to be tried, and how. What is a text of any kind comes last: then the caller's own rows hold the other's
    ids, which he wrote there himself."""
    yield from (trial for slot in slots if slot.refers for trial in _trials(slot, caller, other))
    for slot, fields, value in tried_on_cloudlinker(caller, other):
        yield slot, value, partial(caller.call, "POST", slot.path, fields)
    yield from (trial for slot in slots if not slot.refers for trial in _trials(slot, caller, other))


def _trials(slot: Slot, caller: Tenant, other: Tenant) -> Iterator[Trial]:
    for value in tried(slot, other):
        path, body, media = filled(slot, caller, value)
        headers = {"Content-Type": media} if media else {}
        yield slot, value, partial(caller.call, slot.method, path, body, **headers)


def verdict(slot: Slot, value: str, answer: Answer, known: re.Pattern[str]) -> list[Any]:
    """What is wrong with an answer, if anything."""
    said = answer.data.decode("utf-8", "replace")
    for written in {value, json.dumps(value)[1:-1], urllib.parse.quote(value, safe="")}:
        said = said.replace(written, "")  # it may be quoted back
    if seen := known.search(said):
        return [("told", slot, value, answer.status, seen[0], said[:300])]
    if slot.where == "path" and answer.status not in (403, 404):
        return [("opened", slot, value, answer.status, said[:200])]
    if slot.refers and slot.method != "GET" and answer.status < 400:
        return [("taken", slot, value, answer.status, said[:200])]
    return [("broken", slot, value, answer.status, said[:200])] if answer.status >= 500 else []


NEEDED = {"clients": (), "devices": ("client_id",), "jobs": ("client_id", "device_id")}
"""Cloudlinker's nouns, and what is named when one is made."""


def tried_on_cloudlinker(caller: Tenant, other: Tenant) -> Iterator[tuple[Slot, dict[str, Any], str]]:
    """Cloudlinker names everything in the body: every endpoint, each of its words the other's."""
    own = {"client_id": caller.ids["client"], "device_id": caller.ids["printer"], "job_id": caller.ids["job"]}
    more = {"name": "x", "hostname": "x", "device_type": 1, "payload": {"document_base64": b64(b"^XA^XZ")}}
    for route in MAP:
        noun, _, verb = route.path.removeprefix("/api/").partition("/")
        if route.method != "POST" or not route.path.startswith("/api/") or noun == "auth" or not verb:
            continue
        subject = f"{noun.removesuffix('s')}_id"
        slots = {
            "list": [("filter", word, {}) for word in own],
            "create": [("body", word, {**more, **{each: own[each] for each in NEEDED[noun]}}) for word in NEEDED[noun]],
        }  # fmt: skip
        for where, word, body in slots.get(verb, [("path", subject, more)]):
            for value in [*other.ids.values(), *other.more_ids]:
                yield Slot("POST", route.path, None, where, word), {**body, word: value}, value
    if "client" in other.ids:  # a client may choose its id; one that another has is refused
        slot = Slot("POST", "/api/clients/create", None, "body", "client_id")
        yield slot, {**more, "client_id": other.ids["client"]}, other.ids["client"]


# ---- computers that lie, and the last word ----------------------------------------------------------------------


@pytest.mark.parametrize("computer", ["amber-office", "amber-desk", "spy"])
def test_a_computer_of_the_one_neither_gets_nor_reports_jobs_of_the_other(town: Town, computer: str) -> None:
    """It calls itself, and its printers, whatever those of the other are called."""
    amber, birch = town.amber, town.birch
    wishes = [
        {"printerId": place, "contentType": "raw_base64", "content": amber.document(20)}
        for place in (amber.ids["printer"], _counter(amber))
    ]
    with connected(birch, computer, [COUNTER, "amber-dock", "amber-laser", "commons", "owner-dock"]) as line:
        jobs = [amber.has("POST", "/printcloud/api/printjobs", wish) for wish in wishes]
        until(lambda: amber.has("GET", f"/printcloud/api/printjobs/{jobs[1]}")["state"] == "completed")
        before, known = settled(town.bridge, amber), marks(amber)
        told = [*jobs, amber.ids["job"], amber.ids["cloud job"], *amber.more_ids, amber.ids["job number"]]
        for job in told:
            for state in ("printing", "completed", "error"):
                say(line, type="job_state", jobId=job, state=state, message="birch-was-here")
                answer = json.loads(line.recv(timeout=60))
                assert answer["type"] == "error", (job, answer)
                assert not known.search(answer["message"].replace(job, "")), answer
        say(line, type="ping")
        assert json.loads(line.recv(timeout=60)) == {"type": "pong"}  # and no print_job came before it
        assert rows(town.bridge, amber) == before
    computers = [each for each in birch.has("GET", "/printcloud/api/computers") if each["name"] == computer]
    assert [birch.call("DELETE", f"/printcloud/api/computers/{each['id']}").status for each in computers] == [200]


@contextmanager
def connected(who: Tenant, computer: str, printers: list[str]) -> Iterator[ClientConnection]:
    """A WebSocket of a computer that has said its name and its printers."""
    with connect(who.has("GET", "/v1/hello")["ws"]) as line:
        say(line, type="auth", apiKey=who.key, computerName=computer)
        assert json.loads(line.recv(timeout=60))["type"] == "auth_ok"
        say(line, type="printers", printers=[{"name": name} for name in printers])
        assert json.loads(line.recv(timeout=60)) == {"type": "printers_ok", "count": len(printers)}
        yield line


def say(line: ClientConnection, **message: Any) -> None:
    line.send(json.dumps(message))


def test_the_same_places_open_for_whom_the_ids_belong_to(town: Town) -> None:
    """Or the refusals above would say nothing. What deletes comes last, the inner before the outer."""
    amber, opened, shut = town.amber, 0, []
    found = [slot for slot in Documents(town.bridge).slots() if slot.where == "path" and not _is_owners(slot)]
    slots = list({(slot.method, slot.path): slot for slot in found}.values())
    slots.sort(key=lambda slot: (slot.method == "DELETE", -slot.path.count("/") if slot.method == "DELETE" else 0))
    for slot in slots:
        own = amber.ids[_kind(slot)]
        path, body, media = filled(slot, amber, own)
        answer = amber.call(slot.method, path, body, keys_for(amber, path)[0])
        if answer.status in (403, 404) and not marks(amber).search(answer.data.decode().replace(own, "")):
            shut.append((slot, own, answer))
        opened += answer.status < 300
    assert shut == [] and opened > 30


def _is_owners(slot: Slot) -> bool:
    """Whether only the bridge's own organization may call it."""
    return any(
        route.owner and slot.path == "/v1" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path) and
        slot.method == route.method for route in V1
    )  # fmt: skip


def _kind(slot: Slot) -> str:
    """What is named there, as this API writes it."""
    kind = REFERENCES[slot.word]
    if slot.path.startswith("/olin"):
        return f"{kind} number"
    if slot.path.startswith("/printcloud"):
        return {"job": "cloud job", "key": "cloud key"}.get(kind, kind)
    return kind
