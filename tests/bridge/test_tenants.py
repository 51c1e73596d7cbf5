"""Two tenants on one bridge: neither finds, changes or hears of what is the other's; and what is lent can be used."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.dialects.v1.table import ROUTES
from bridge.dialects.v1.wishes import Nothing
from bridge.errors import Forbidden
from tests.bridge.shop import Shop, until
from tests.fake.printer import FakePrinter
from tests.serving import Answer, Serve, printer

ZPL = "XlhBXkZPNTAsNTBeQTBOLDQwLDQwXkZEaGVsbG9eRlNeWFo="
PASSWORD = "correct horse battery"
PAYLOAD = {"document_base64": ZPL}


@dataclass
class Tenant:
    """An organization, its admin key, and one of everything it can have. ids: word in a path -> id."""

    bridge: Serve
    name: str
    id: str
    key: str
    ids: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)

    def v1(self, method: str, path: str, body: Any = None, key: str | None = None, **headers: str) -> Answer:
        shown = {"Authorization": f"Bearer {key or self.key}", **headers}
        return self.bridge.call(method, f"/v1{path}", body, shown)

    def api(self, path: str, key: str | None = None, **fields: Any) -> Answer:
        pair = base64.b64encode(f"{self.id}:{key or self.key}".encode()).decode()
        return self.bridge.call("POST", f"/api/{path}", fields, {"Authorization": f"Basic {pair}"})

    def new_key(self, *scopes: str, **more: Any) -> str:
        made = self.v1("POST", "/keys", {"name": "more", "scopes": list(scopes), **more})
        assert made.status == 201, made
        key: str = made.json["key"]
        return key

    def belongings(self) -> str:
        """Everything it has, as it sees it."""
        shown = [self.v1("GET", path).json for path in LISTS]
        story = self.v1("GET", f"/jobs/{self.ids['job_id']}").json
        cards = self.v1("GET", f"/users/{self.ids['user_id']}/cards").json
        own = [self.api(path).json["data"] for path in ("clients/list", "devices/list", "jobs/list")]
        return json.dumps([shown, story, cards, own])


LISTS = ("/printers", "/jobs", "/keys", "/users", "/groups", "/webhooks", "/organizations")


def settled(bridge: Serve, name: str) -> Tenant:
    """A tenant with one of everything."""
    organization = bridge.call("POST", "/v1/organizations", {"name": f"{name}-shop"}).json["id"]
    wish = {"name": f"{name}-admin", "scopes": ["admin"], "organization": organization}
    tenant = Tenant(bridge, name, organization, bridge.call("POST", "/v1/keys", wish).json["key"])
    client = tenant.api("clients/create", hostname=f"{name}-till").json["data"]["id"]
    device = tenant.api("devices/create", client_id=client, name=f"{name}-dock", device_type=1).json["data"]["id"]
    job = tenant.v1("POST", "/jobs", {"printer": device, "title": f"{name}-label", "document_base64": ZPL}).json["id"]
    group = tenant.v1("POST", "/groups", {"name": f"{name}-group"}).json["id"]
    user = tenant.v1("POST", "/users", {
        "name": f"{name}-user", "email": f"{name}@shop.example", "password": f"{name} {PASSWORD}",
        "pin": f"{name}-7391", "groups": [group],
    }).json["id"]  # fmt: skip
    card = tenant.v1("POST", f"/users/{user}/cards", {"number": f"{name}-04A2"}).json["id"]
    key = tenant.v1("POST", "/keys", {"name": f"{name}-key", "scopes": ["jobs"]}).json
    hook = tenant.v1("POST", "/webhooks", {"url": f"http://127.0.0.1:9/{name}-hook", "events": ["all"]}).json
    delivery = tenant.v1("POST", f"/webhooks/{hook['id']}/test").json["id"]
    tenant.v1("PATCH", f"/webhooks/{hook['id']}", {"active": False})
    tenant.ids = {
        "organization_id": organization, "client_id": client, "printer": device, "job_id": job, "group_id": group,
        "user_id": user, "card_id": card, "key_id": key["id"], "webhook_id": hook["id"], "delivery_id": delivery,
        "number": "1",
    }  # fmt: skip
    tenant.secrets = [
        tenant.key, key["key"], f"{name} {PASSWORD}", f"{name}-7391", f"{name}-04A2", hook["secret"],
    ]  # fmt: skip
    return tenant


@dataclass
class Town:
    """The bridge, whom it belongs to, and its two tenants."""

    bridge: Serve
    dock: FakePrinter
    owner: Tenant
    red: Tenant
    blue: Tenant


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder: Path = tmp_path_factory.mktemp("town")
    with FakePrinter() as dock:
        config = printer("owner-dock", dock.uri) + printer("owner-spare", "virtual://spare")
        with Serve(folder / "data", config) as bridge:
            owner = Tenant(bridge, "owner", bridge.organization_id, bridge.key)
            found = {each["name"]: each["id"] for each in owner.v1("GET", "/printers").json["printers"]}
            job = owner.v1("POST", "/jobs", {"printer": "owner-spare", "title": "owner-label", "document_base64": ZPL})
            owner.ids = {
                "organization_id": owner.id, "client_id": bridge.client_id, "printer": found["owner-spare"],
                "job_id": job.json["id"], "key_id": owner.v1("GET", "/keys").json["keys"][0]["id"],
            }  # fmt: skip
            yield Town(bridge, dock, owner, settled(bridge, "red"), settled(bridge, "blue"))
            assert "Traceback" not in bridge.log.read_text()


# ---- every id of the one, with the key of the other -------------------------------------------------------------


def tried_v1(caller: Tenant, other: Tenant) -> Iterator[tuple[str, str, Any]]:
    """(method, path, body): every route with an id in it, each id the other's, the rest the caller's own."""
    for route in ROUTES:
        words = [word for word in re.findall(r"<(?:\w+:)?(\w+)>", route.path) if word != "number"]
        body = None
        if route.method in ("POST", "PATCH") and route.wish is not Nothing:
            body = (route.wish.model_config.get("json_schema_extra") or {"examples": [{}]})["examples"][0]  # type: ignore[index,call-overload]
        for foreign in itertools.product((True, False), repeat=len(words)):
            if not any(foreign) or not all(word in other.ids for word, is_ in zip(words, foreign, strict=True) if is_):
                continue
            ids = {word: (other if is_ else caller).ids[word] for word, is_ in zip(words, foreign, strict=True)}
            path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found, ids=ids: ids.get(found[1], "1"), route.path)
            yield route.method, path, body
    them, us = other.ids, caller.ids
    for named in (them["printer"], f"{other.name}-dock"):
        yield "POST", "/jobs", {"printer": named, "document_base64": ZPL}
        yield "POST", f"/jobs/{us['job_id']}/move", {"printer": named}
        yield "POST", f"/jobs/{us['job_id']}/reprint", {"printer": named}
        yield "POST", "/jobs/release", {"printer": named}
        yield "POST", "/jobs/discard", {"printer": named}
        yield "GET", f"/jobs?printer={named}", None
    yield "POST", "/origins", {"origin": "https://shop.example", "key": them["key_id"]}
    for path in ("/users", "/keys", "/groups"):
        yield "GET", f"{path}?organization={other.id}", None
        yield "POST", path, {"name": "intruder", "organization": other.id}
    yield "GET", f"/webhooks?organization={other.id}", None
    yield "GET", f"/webhooks/deliveries?organization={other.id}", None
    yield "POST", "/webhooks", {"url": "https://intruder.example", "events": ["all"], "organization": other.id}
    yield "POST", "/organizations", {"name": "intruder", "parent": other.id}
    if "user_id" in them:
        yield "POST", "/keys", {"name": "intruder", "user": them["user_id"]}
        yield "PATCH", f"/users/{us['user_id']}", {"groups": [them["group_id"]]}
        yield "POST", "/users", {"name": "intruder", "groups": [them["group_id"]]}


def tried_api(caller: Tenant, other: Tenant) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same for Cloudlinker's endpoints."""
    them, us = other.ids, caller.ids
    launch = {"launch_immediately": True, "payload": PAYLOAD}
    yield "clients/update", {"client_id": them["client_id"], "hostname": "intruder"}
    yield "clients/delete", {"client_id": them["client_id"]}
    yield "devices/create", {"client_id": them["client_id"], "name": "intruder", "device_type": 1}
    for verb in ("update", "delete"):
        yield f"devices/{verb}", {"device_id": them["printer"], "name": "intruder"}
        yield f"devices/{verb}", {"device_id": us["printer"], "client_id": them["client_id"], "name": "intruder"}
    for verb in ("get", "launch", "delete"):
        yield f"jobs/{verb}", {"job_id": them["job_id"]}
    for status in range(1, 6):
        yield "jobs/update", {"job_id": them["job_id"], "status": status}
    yield "jobs/update", {"job_id": them["job_id"], **launch}
    yield "jobs/create", {"device_id": them["printer"], **launch}
    yield "jobs/create", {"device_id": them["printer"], "client_id": them["client_id"], **launch}
    yield "jobs/create", {"device_id": us["printer"], "client_id": them["client_id"], **launch}


@pytest.mark.parametrize(("who", "whose"), [("red", "blue"), ("blue", "red"), ("red", "owner")])
def test_no_id_of_the_one_opens_anything_with_a_key_of_the_other(town: Town, who: str, whose: str) -> None:
    caller, other = getattr(town, who), getattr(town, whose)
    before, known = other.belongings() if whose != "owner" else "", re.compile(f"{other.name}-(?!dock)|@shop")
    tried = 0
    for method, path, body in tried_v1(caller, other):
        answer = caller.v1(method, path, body)
        assert answer.status in (403, 404), (method, path, body, answer)
        assert not known.search(answer.data.decode()), (method, path, answer)
        tried += 1
    for path, fields in tried_api(caller, other):
        answer = caller.api(path, **fields)
        assert answer.status in (403, 404), (path, fields, answer)
        assert not known.search(answer.data.decode()), (path, answer)
        tried += 1
    assert tried > 60
    print(f"{tried} ids of {whose} tried with a key of {who}")
    assert whose == "owner" or other.belongings() == before


@pytest.mark.parametrize(("who", "whose"), [("red", "blue"), ("blue", "red"), ("red", "owner"), ("blue", "owner")])
def test_no_list_and_no_event_of_the_one_names_the_other(town: Town, who: str, whose: str) -> None:
    caller, other = getattr(town, who), getattr(town, whose)
    paths = [route.path for route in ROUTES if route.method == "GET" and "<" not in route.path]
    told = [caller.v1("GET", path) for path in paths if path not in ("/events/stream", "/hello", "/openapi.json")]
    told += [caller.v1("GET", f"/webhooks/deliveries?webhook={other.ids.get('webhook_id', 'wh_0')}")]
    told += [caller.v1("GET", "/events?after=0&limit=500")]
    told += [caller.api(path) for path in ("test", "clients/list", "devices/list", "jobs/list")]
    told += [
        caller.api("jobs/list", device_id=other.ids["printer"]),
        caller.api("devices/list", name=other.name),
        caller.api("jobs/list", client_id=other.ids["client_id"]),
        caller.api("clients/list", hostname=other.name),
    ]
    assert {answer.status for answer in told} == {200, 403}
    for answer in told:
        text = answer.data.decode()
        assert f"{other.name}-" not in text and not any(
            each in text for word, each in other.ids.items() if word != "number"
        ), answer


def test_what_is_the_bridges_is_for_its_own_organization(town: Town) -> None:
    refused = {
        (route.method, route.path): caller.v1(
            route.method, re.sub("<[^>]+>", "owner-spare", route.path), {"name": "intruder", "uri": "virtual://x"}
        )
        for route in ROUTES if route.owner for caller in (town.red,)
    }  # fmt: skip
    assert {answer.status for answer in refused.values()} == {403}
    assert {answer.json["error"]["code"] for answer in refused.values()} == {"not_the_owner"}
    assert {path for _, path in refused} >= {"/health", "/metrics", "/diagnostics", "/reload", "/printers/discover"}
    assert len(town.owner.v1("GET", "/printers").json["printers"]) == 2


def test_the_bridges_own_admin_looks_after_everybody(town: Town) -> None:
    red, owner = town.red, town.owner
    listed = owner.v1("GET", "/organizations").json["organizations"]
    assert [each["name"] for each in listed][1:3] == ["red-shop", "blue-shop"]
    assert [each["name"] for each in red.v1("GET", "/organizations").json["organizations"]] == ["red-shop"]
    assert owner.v1("GET", f"/users?organization={red.id}").json["users"][0]["name"] == "red-user"
    assert owner.v1("GET", f"/users/{red.ids['user_id']}").json["organization"] == red.id
    made = owner.v1("POST", "/users", {"name": "helper", "organization": red.id, "groups": [red.ids["group_id"]]}).json
    assert owner.v1("PATCH", f"/users/{made['id']}", {"role": "guest"}).json["role"] == "guest"
    assert red.v1("GET", f"/users/{made['id']}").json["name"] == "helper"
    assert owner.v1("DELETE", f"/users/{made['id']}").status == 204
    key = owner.v1("POST", "/keys", {"name": "spare", "organization": red.id, "scopes": ["read"]}).json
    assert key["organization"] == red.id and red.v1("GET", "/jobs", key=key["key"]).json["jobs"]
    assert owner.v1("PATCH", f"/keys/{key['id']}", {"name": "spare 2"}).json["name"] == "spare 2"
    assert owner.v1("DELETE", f"/keys/{key['id']}").status == 204
    assert red.v1("GET", "/jobs", key=key["key"]).status == 401
    assert owner.v1("GET", "/users").json["total"] == 0  # and its own are its own


def test_the_bridges_own_admin_sees_a_tenants_webhooks_and_what_they_were_told(town: Town) -> None:
    red, owner = town.red, town.owner
    hook, delivery = red.ids["webhook_id"], red.ids["delivery_id"]
    assert [each["id"] for each in owner.v1("GET", f"/webhooks?organization={red.id}").json["webhooks"]] == [hook]
    assert owner.v1("GET", "/webhooks").json["webhooks"] == []
    assert owner.v1("GET", f"/webhooks/{hook}").json["organization"] == red.id
    log = owner.v1("GET", f"/webhooks/deliveries?organization={red.id}&webhook={hook}").json["deliveries"]
    assert [each["id"] for each in log] == [delivery]
    assert owner.v1("GET", "/webhooks/deliveries").json["total"] == 0
    wish = {"url": "http://127.0.0.1:9/more", "events": ["printer.state"], "organization": red.id}
    made = owner.v1("POST", "/webhooks", wish).json
    sent = owner.v1("POST", f"/webhooks/{made['id']}/test").json["id"]
    assert owner.v1("POST", f"/webhooks/deliveries/{sent}/again").json["id"] == sent
    assert owner.v1("PATCH", f"/webhooks/{made['id']}", {"active": False}).json["active"] is False
    assert red.v1("GET", f"/webhooks/{made['id']}").json["url"] == wish["url"]
    assert owner.v1("POST", f"/webhooks/{made['id']}/test").json["error"]["code"] == "webhook_off"
    assert owner.v1("DELETE", f"/webhooks/{made['id']}").status == 204
    assert owner.v1("GET", f"/webhooks/{made['id']}").status == 404
    assert owner.v1("GET", "/webhooks?organization=nobody").status == 404


def test_an_admin_key_of_a_tenant_cannot_be_the_last_word(town: Town) -> None:
    made = town.owner.v1("POST", "/organizations", {"name": "empty"}).json["id"]
    wish = {"name": "only", "scopes": ["admin"], "organization": made}
    key = town.owner.v1("POST", "/keys", wish).json
    assert town.red.v1("DELETE", f"/keys/{key['id']}", key=key["key"]).status == 204
    assert town.owner.v1("POST", "/keys", wish).status == 201


# ---- lending ----------------------------------------------------------------------------------------------------


def share(town: Town, method: str, who: Tenant, name: str = "owner-dock") -> None:
    assert town.owner.v1(method, f"/organizations/{who.id}/printers/{name}").status == 204


@pytest.fixture
def lent(town: Town) -> Iterator[Tenant]:
    share(town, "PUT", town.red)
    yield town.red
    share(town, "DELETE", town.red)


def test_a_lent_printer_is_seen_without_its_settings_and_printed_on(town: Town, lent: Tenant) -> None:
    [shown] = [each for each in lent.v1("GET", "/printers").json["printers"] if each["name"] == "owner-dock"]
    assert (shown["lent"], shown["settings"], shown["state"]) == (True, None, "idle")
    assert lent.v1("GET", f"/printers/{shown['id']}").json == shown
    town.dock.jobs.clear()
    made = lent.v1("POST", "/jobs", {"printer": "owner-dock", "document_base64": ZPL, "title": "red-over-there"}).json
    job = until_over(lent, made["id"])
    assert job["state"] == "delivered" and job["device_id"] == shown["id"]
    test = lent.v1("POST", "/printers/owner-dock/test").json
    assert until_over(lent, test["id"])["state"] == "delivered"
    for caller in (town.owner, town.blue):
        assert caller.v1("GET", f"/jobs/{made['id']}").status == 404
        assert "red-over-there" not in caller.v1("GET", "/jobs?limit=500").data.decode()
    assert "owner-dock" not in town.blue.v1("GET", "/printers").data.decode()


def until_over(who: Tenant, job_id: str) -> Any:
    deadline = time.monotonic() + 60
    while (job := who.v1("GET", f"/jobs/{job_id}").json)["state"] not in ("delivered", "printed", "failed"):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
    return job


def test_a_lent_printer_is_there_for_cloudlinkers_programs_too(town: Town, lent: Tenant) -> None:
    [device] = [each for each in lent.api("devices/list").json["data"] if each["name"] == "owner-dock"]
    clients = {each["id"]: each for each in lent.api("clients/list").json["data"]}
    assert clients[device["client_id"]]["ip_address"] is None and device["hardware_path"] is None
    made = lent.api("jobs/create", device_id=device["id"], client_id=device["client_id"], job_type=1,
                    launch_immediately=True, payload=PAYLOAD).json["data"]["id"]  # fmt: skip
    assert until_over(lent, made)["state"] == "delivered"
    assert lent.api("jobs/get", job_id=made).json["data"]["status"] == 4
    assert town.owner.api("jobs/get", job_id=made).status == 404
    later = lent.api("jobs/create", device_id=device["id"], payload=PAYLOAD).json["data"]["id"]
    assert lent.api("jobs/update", job_id=later, payload={**PAYLOAD, "copies": 2}).status == 200
    assert lent.api("jobs/launch", job_id=later).status == 200
    assert until_over(lent, later)["copies"] == 2


def test_a_borrower_changes_nothing_about_a_lent_printer(town: Town, lent: Tenant) -> None:
    own = town.owner.v1("GET", "/printers/owner-dock").json
    assert town.owner.v1("POST", "/printers/owner-dock/pause", {"reason": "new roll"}).status == 200
    waiting = town.owner.v1("POST", "/jobs", {"printer": "owner-dock", "document_base64": ZPL}).json["id"]
    device = own["id"]
    for method, path, body in (
        ("POST", "/pause", {}), ("POST", "/resume", None), ("PATCH", "", {"dpi": 300}),
        ("DELETE", "?jobs=cancel", None),
    ):  # fmt: skip
        assert lent.v1(method, f"/printers/{device}{path}", body).status == 403
    assert lent.api("devices/update", device_id=device, name="mine").status == 403
    assert lent.api("devices/update", device_id=device, hardware_path="x").status == 403
    assert lent.api("devices/delete", device_id=device).status == 403
    assert lent.api("clients/delete", client_id=town.bridge.client_id).status == 404
    seen = lent.v1("GET", f"/printers/{device}").json
    assert seen["paused"] and "new roll" not in json.dumps(seen)
    assert town.owner.v1("GET", f"/jobs/{waiting}").json["state"] == "queued"
    assert town.owner.v1("POST", "/printers/owner-dock/resume").json == {**own, "waiting": 1}
    assert until_over(town.owner, waiting)["state"] == "delivered"


def test_what_is_taken_back_takes_no_more_jobs_and_prints_what_it_has(town: Town) -> None:
    red = town.red
    share(town, "PUT", red)
    town.owner.v1("POST", "/printers/owner-dock/pause", {})
    waiting = red.v1("POST", "/jobs", {"printer": "owner-dock", "document_base64": ZPL}).json["id"]
    share(town, "DELETE", red)
    assert red.v1("POST", "/jobs", {"printer": "owner-dock", "document_base64": ZPL}).status == 404
    assert red.v1("GET", "/printers/owner-dock").status == 404
    town.owner.v1("POST", "/printers/owner-dock/resume")
    assert until_over(red, waiting)["state"] == "delivered"
    answer = town.owner.v1("PUT", f"/organizations/{town.owner.id}/printers/owner-dock")
    assert answer.status == 409 and answer.json["error"]["code"] == "own_device"


def test_jobs_of_a_tenant_survive_a_power_cut_as_the_bridges_own_do(tmp_path: Path) -> None:
    with FakePrinter() as dock:
        bridge = Serve(tmp_path / "data", printer("owner-dock", dock.uri))
        bridge.start()
        red = settled(bridge, "red")
        owner = Tenant(bridge, "owner", bridge.organization_id, bridge.key)
        assert owner.v1("PUT", f"/organizations/{red.id}/printers/owner-dock").status == 204
        owner.v1("POST", "/printers/owner-dock/pause", {})
        large = {"printer": "owner-dock", "document_base64": base64.b64encode(b"^XA" + b" " * 99_999 + b"^XZ").decode()}
        jobs = [red.v1("POST", "/jobs", body).json["id"] for body in ({**large, "document_base64": ZPL}, large)]
        bridge.kill()
        bridge.start()
        owner.v1("POST", "/printers/owner-dock/resume")
        assert [until_over(red, job)["state"] for job in jobs] == ["delivered"] * 2
        counted = owner.v1("GET", "/health").json["jobs"]
        assert counted["delivered"] == 2 and counted["queued"] == 1
        assert 'jobs_by_state{state="delivered"} 2' in owner.v1("GET", "/metrics").data.decode()
        assert bridge.stop() == 0


# ---- keys -------------------------------------------------------------------------------------------------------


def test_a_key_that_prints_makes_new_jobs_and_does_nothing_else(town: Town) -> None:
    red = town.red
    key = red.new_key("print")
    opened = {
        (route.method, route.path)
        for route in ROUTES
        if route.scope != "none" and red.v1(
            route.method, re.sub(r"<(?:\w+:)?(\w+)>", lambda found: red.ids[found[1]], route.path),
            {"printer": red.ids["printer"], "document_base64": ZPL} if route.path == "/jobs" else {}, key=key,
        ).status != 403
    }  # fmt: skip
    assert opened == {("POST", "/jobs")}
    own = red.api("jobs/create", key, device_id=red.ids["printer"], payload=PAYLOAD).json["data"]["id"]
    assert red.api("jobs/launch", key, job_id=own).status == 200
    assert red.api("jobs/launch", key, job_id=red.ids["job_id"]).status == 404
    assert red.api("test", key).status == 200
    for path in ("jobs/list", "jobs/get", "jobs/update", "jobs/delete", "devices/list", "clients/list",
                 "devices/create", "clients/update"):  # fmt: skip
        assert red.api(path, key, job_id=own).status == 403, path


def test_a_key_that_reads_looks_at_everything_and_changes_nothing(town: Town) -> None:
    red = town.red
    key = red.new_key("read")
    for route in ROUTES:
        if route.scope == "none" or route.path.endswith(".png"):
            continue
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: red.ids[found[1]], route.path)
        opens = route.method == "GET" and route.scope in ("jobs", "printers")
        assert red.v1(route.method, path, {}, key=key).status == (200 if opens else 403), route
    assert red.v1("GET", f"/jobs/{red.ids['job_id']}", key=key).json["title"] == "red-label"
    for path in ("jobs/list", "devices/list", "clients/list"):
        assert red.api(path, key).json["data"], path
    before = red.api("clients/list").json
    assert red.api("jobs/list", key, client_id=red.ids["client_id"]).status == 200
    assert red.api("clients/list").json == before  # nobody was seen alive
    for path in ("jobs/create", "jobs/launch", "jobs/update", "jobs/delete", "devices/create", "clients/create"):
        assert red.api(path, key).status == 403, path


def test_keys_end_at_their_time_with_their_user_and_with_their_organization(town: Town) -> None:
    red = town.red
    user = red.v1("POST", "/users", {"name": "temp", "email": "temp@shop.example", "password": PASSWORD}).json["id"]
    of_user = red.new_key("jobs", user=user)
    short = red.new_key("jobs", expires_at=time.time() + 6)
    cloud = red.new_key("jobs", kind="cloudlayer")
    assert cloud.startswith("cl-") and {red.v1("GET", "/jobs", key=key).status for key in (of_user, short, cloud)} == {
        200
    }
    until(lambda: red.v1("GET", "/jobs", key=short).status == 401)
    red.v1("PATCH", f"/users/{user}", {"password": f"new {PASSWORD}"})
    assert red.v1("GET", "/jobs", key=of_user).status == 401
    stream = http.client.HTTPConnection("127.0.0.1", town.bridge.port, timeout=60)
    stream.request("GET", "/v1/events/stream", headers={"Authorization": f"Bearer {red.key}"})
    events = stream.getresponse()
    assert events.status == 200
    assert town.owner.v1("PATCH", f"/organizations/{red.id}", {"disabled": True}).json["disabled_at"]
    assert {red.v1("GET", "/jobs", key=key).status for key in (red.key, cloud)} == {401}
    assert red.api("jobs/list").status == 401
    while events.readline():
        pass
    stream.close()
    assert town.blue.v1("GET", "/jobs").status == 200
    assert town.owner.v1("PATCH", f"/organizations/{red.id}", {"disabled": False}).status == 200
    assert red.v1("GET", "/jobs", key=cloud).status == 200
    user_ids = [each["id"] for each in red.v1("GET", "/users?q=temp").json["users"]]
    assert [red.v1("DELETE", f"/users/{each}").status for each in user_ids] == [204]


def test_the_same_idempotency_key_of_two_tenants_makes_two_jobs(town: Town) -> None:
    once = {"Idempotency-Key": "order-1"}
    made = [
        who.v1("POST", "/jobs", {"printer": who.ids["printer"], "document_base64": ZPL}, **once)
        for who in (town.red, town.blue, town.red)
    ]
    assert [answer.status for answer in made] == [201, 201, 200]
    assert made[0].json["id"] == made[2].json["id"] != made[1].json["id"]


def test_no_secret_is_in_the_data_folder_or_the_log(town: Town) -> None:
    """Runs last: everything above has been done with these."""
    kept = b"".join(path.read_bytes() for path in town.bridge.folder.rglob("*") if path.is_file() and
                    path.name not in ("credentials.json", "secrets.json"))  # fmt: skip
    kept += town.bridge.log.read_bytes()
    assert b"red-user" in kept
    for secret in [*town.red.secrets, *town.blue.secrets]:
        assert secret.encode() not in kept, secret


def test_a_quota_binds_at_every_door(tmp_path: Path) -> None:
    """Whichever API a job comes by: used up is used up."""
    with Shop(tmp_path) as shop:
        shop.device("dock")
        shop.store.organizations.update(shop.org, jobs_quota=2)
        for _ in range(2):
            shop.send()
        with pytest.raises(Forbidden) as refused:
            shop.send()
        assert refused.value.code == "quota_exceeded"
        found = shop.store.organizations.get(shop.org)
        assert found is not None and found.jobs_used == 2
