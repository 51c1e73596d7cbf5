"""The OpenAPI document is true: every route is in it, every example works, every real answer is as it says."""

from __future__ import annotations

import copy
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.dialects import load
from bridge.dialects.v1.openapi import document, openapi_path
from bridge.dialects.v1.table import ROUTES
from bridge.model import State
from tests.bridge.rig import Rig
from tests.fake.printer import FakePrinter
from tests.serving import Answer, Serve, printer

DOCUMENT = document()
NOBODY = "0197e0aa-e9f3-7168-8504-ccffa0052376"
ZPL = "XlhBXkZPNTAsNTBeQTBOLDQwLDQwXkZEaGVsbG9eRlNeWFo="
TEST_FIELDS = {"printer": "dock", "when": "now", "bridge": "here", "code": "PB-1"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


# ---- the document -----------------------------------------------------------------------------------------------


def test_the_document_is_openapi() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(copy.deepcopy(DOCUMENT)).iter_errors()] == []


def test_every_route_is_in_the_document_and_nothing_else_is(tmp_path: Path) -> None:
    rig = Rig(tmp_path, load("v1"))
    rules = [rule for rule in rig.app.url_map.iter_rules() if rule.rule.startswith("/v1/")]
    served = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule.removeprefix("/v1")))
        for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }  # fmt: skip
    rig.close()
    assert served == {(method, path) for method, path, _ in operations()}
    assert served == {(route.method, openapi_path(route)) for route in ROUTES}


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does_and_who_may() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    for method, path, operation in operations():
        assert operation["summary"], (method, path)
        assert ("security" in operation) == ("No key is needed" in operation["description"].split(". ")[-1])
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Error"}


def test_what_creates_something_takes_an_idempotency_key() -> None:
    taking = {path for _, path, operation in operations() if IDEMPOTENCY in operation["parameters"]}
    assert taking == {
        "/jobs", "/jobs/{job_id}/reprint", "/printers", "/printers/{printer}/test", "/printers/{printer}/drawer",
        "/keys", "/organizations", "/users", "/users/{user_id}/cards", "/groups",
    }  # fmt: skip


IDEMPOTENCY = {"$ref": "#/components/parameters/IdempotencyKey"}


# ---- real answers -----------------------------------------------------------------------------------------------


def closed(schema: Any) -> Any:
    """The same, but what is not in the document may not be in an answer."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: closed(value) for name, value in schema.items()}
    if "properties" in strict and "type" in strict:
        strict.setdefault("additionalProperties", False)
    return strict


def schema_of(kind: dict[str, Any]) -> Draft202012Validator:
    schemas = closed(copy.deepcopy(DOCUMENT["components"]["schemas"]))
    return Draft202012Validator({**kind, "components": {"schemas": schemas}})


@dataclass
class Tour:
    """Every route of a real bridge, one after the other. seen: (method, path of the document) -> statuses."""

    bridge: Serve
    dock: FakePrinter
    seen: dict[tuple[str, str], set[int]] = field(default_factory=dict)

    def call(self, status: int, method: str, path: str, body: Any = None, *, headers: Any = None, **words: str) -> Any:
        """One call; its answer, held against the document. words: for the {words} in the path."""
        plain, question, query = path.partition("?")
        filled = plain.format(**{name: urllib.parse.quote(word, safe="") for name, word in words.items()})
        answer = self.bridge.call(method, f"/v1{filled}{question}{query}", body, headers)
        assert answer.status == status, (method, path, answer.status, answer.data[:600])
        self.seen.setdefault((method, plain), set()).add(status)
        return check(method, plain, answer)

    def job(self, **words: Any) -> str:
        body = {"printer": "dock", "document_base64": ZPL, **words}
        job_id: str = self.call(201, "POST", "/jobs", body)["id"]
        return job_id


def check(method: str, path: str, answer: Answer) -> Any:
    """The value of an answer that is as the document says; fails the test for one that is not."""
    operation = DOCUMENT["paths"][path][method.lower()]
    told = operation["responses"].get(str(answer.status), DOCUMENT["components"]["responses"]["Error"])
    assert (answer.status < 400) == (str(answer.status) in operation["responses"])
    if "content" not in told:
        assert answer.data == b""
        return None
    media = answer.headers["content-type"].partition(";")[0]
    assert media in told["content"], (path, media)
    if media != "application/json":
        return answer.data
    findings = [
        f"{method} {path} {answer.status}: {error.json_path}: {error.message[:300]}"
        for error in schema_of(told["content"][media]["schema"]).iter_errors(answer.json)
    ]
    assert findings == []
    for header in told.get("headers", {}):
        assert header.lower() in answer.headers
    return answer.json


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    folder = tmp_path_factory.mktemp("tour")
    with FakePrinter() as dock:
        config = printer("dock", dock.uri) + printer("virtual", "virtual://virtual")
        config += printer("till", f"file://{folder / 'till.bin'}", language="escpos")
        with Serve(folder / "data", config) as bridge:
            yield Tour(bridge, dock)
            assert "Traceback" not in bridge.log.read_text()


def test_the_bridge_answers_as_the_document_says(tour: Tour) -> None:
    assert tour.call(200, "GET", "/hello")["product"] == "print-bridge"
    assert tour.call(200, "GET", "/openapi.json") == DOCUMENT
    assert tour.call(200, "GET", "/health")["status"] in ("ok", "warning")
    assert b"print_bridge_info{" in tour.call(200, "GET", "/metrics")
    assert tour.call(200, "GET", "/diagnostics")[:2] == b"PK"
    assert tour.call(200, "POST", "/reload")["changed"] == []
    for path in ("/hello", "/openapi.json", "/health", "/metrics", "/diagnostics"):
        assert "nothing" in tour.call(422, "GET", f"{path}?x=1")["error"]["remedy"]
    good = tour.bridge.config.read_text()
    tour.bridge.config.write_text(good + "[nonsense]\n")
    assert tour.call(422, "POST", "/reload")["error"]["code"] == "bad_config"
    tour.bridge.config.write_text(good)


def test_printers_answer_as_the_document_says(tour: Tour) -> None:
    wish = {"name": "spare / 2", "uri": "virtual://spare"}
    tour.call(201, "POST", "/printers", wish, headers={"Idempotency-Key": "spare"})
    tour.call(200, "POST", "/printers", wish, headers={"Idempotency-Key": "spare"})
    tour.call(422, "POST", "/printers", {**wish, "uri": "nonsense"})
    spare = next(p["id"] for p in tour.call(200, "GET", "/printers")["printers"] if p["name"] == "spare / 2")
    tour.call(422, "GET", "/printers?all=1")
    assert "candidates" in tour.call(200, "GET", "/printers/discover?mdns_s=0")
    tour.call(422, "GET", "/printers/discover?subnet=everything")
    assert tour.call(200, "GET", "/printers/{printer}", printer=spare)["settings"]["uri"] == wish["uri"]
    tour.call(404, "GET", "/printers/{printer}", printer="nowhere")
    assert tour.call(200, "PATCH", "/printers/{printer}", {"dpi": 300}, printer=spare)["settings"]["dpi"] == 300
    tour.call(409, "PATCH", "/printers/{printer}", {"dpi": 300}, printer="dock")
    tour.call(200, "POST", "/printers/{printer}/pause", {"reason": "new roll"}, printer=spare)
    tour.call(422, "POST", "/printers/{printer}/pause", {"reason": 7}, printer=spare)
    job = tour.job(printer=spare)
    assert tour.call(409, "DELETE", "/printers/{printer}", printer=spare)["error"]["code"] == "has_jobs"
    tour.call(200, "POST", "/printers/{printer}/resume", printer=spare)
    tour.call(404, "POST", "/printers/{printer}/resume", printer="nowhere")
    tour.bridge.wait(job)
    test = {"Idempotency-Key": "test"}
    first = tour.call(201, "POST", "/printers/{printer}/test", printer=spare, headers=test)
    assert tour.call(200, "POST", "/printers/{printer}/test", printer=spare, headers=test)["id"] == first["id"]
    tour.call(404, "POST", "/printers/{printer}/test", printer="nowhere")
    tour.bridge.wait(first["id"])
    tour.call(204, "DELETE", "/printers/{printer}?jobs=cancel", printer=spare)
    opened = tour.call(201, "POST", "/printers/{printer}/drawer", {}, printer="till", headers={"Idempotency-Key": "d"})
    again = tour.call(200, "POST", "/printers/{printer}/drawer", {}, printer="till", headers={"Idempotency-Key": "d"})
    assert again["id"] == opened["id"]
    assert tour.call(409, "POST", "/printers/{printer}/drawer", {}, printer="dock")["error"]["code"] == "no_drawer"


def test_jobs_answer_as_the_document_says(tour: Tour) -> None:
    drawn = {"printer": "virtual", "template": "test-4x6", "fields": TEST_FIELDS}
    job = tour.call(201, "POST", "/jobs", drawn, headers={"Idempotency-Key": "one"})["id"]
    assert tour.call(200, "POST", "/jobs", drawn, headers={"Idempotency-Key": "one"})["id"] == job
    tour.call(422, "POST", "/jobs", {**drawn, "template": "none"})
    tour.bridge.wait(job)
    told = tour.call(200, "GET", "/jobs/{job_id}", job_id=job)
    assert told["state"] == "delivered" and told["progress"]["labels_sent"] == told["progress"]["labels_total"] == 1
    assert told["progress"]["bytes_sent"] == told["progress"]["bytes_total"] == told["attempts"][0]["bytes_sent"] > 1000
    tour.call(404, "GET", "/jobs/{job_id}", job_id=NOBODY)
    label = "/jobs/{job_id}/labels/{number}.png"
    assert tour.call(200, "GET", label, job_id=job, number="1")[:4] == b"\x89PNG"
    assert tour.call(404, "GET", label, job_id=job, number="2")["error"]["code"] == "no_such_label"
    assert tour.call(200, "GET", "/jobs?printer=virtual&state=delivered,failed&q=untitled&limit=1")["total"] >= 1
    tour.call(422, "GET", "/jobs?state=lost")
    again = tour.call(201, "POST", "/jobs/{job_id}/reprint", {"label": 1}, job_id=job, headers={"Idempotency-Key": "r"})
    tour.call(200, "POST", "/jobs/{job_id}/reprint", {"label": 1}, job_id=job, headers={"Idempotency-Key": "r"})
    tour.call(422, "POST", "/jobs/{job_id}/reprint", {"label": 2}, job_id=job)
    assert again["reprint_of"] == job and again["possible_duplicate"]
    tour.bridge.wait(again["id"])


def test_a_template_that_is_not_there_is_told_by_its_code(tour: Tour) -> None:
    error = tour.call(422, "POST", "/jobs", {"printer": "virtual", "template": "none"})["error"]
    assert (error["code"], error["field"]) == ("unknown_template", "template")


def test_what_is_done_with_jobs_answers_as_the_document_says(tour: Tour) -> None:
    held = tour.job(hold=True)
    assert tour.call(200, "GET", "/jobs/{job_id}", job_id=held)["reason"] == "release"
    tour.call(200, "POST", "/jobs/{job_id}/move", {"printer": "virtual"}, job_id=held)
    tour.call(200, "POST", "/jobs/{job_id}/release", job_id=held)
    tour.bridge.wait(held)
    for command in ("hold", "release", "cancel"):
        tour.call(409, "POST", f"/jobs/{{job_id}}/{command}", job_id=held)
    tour.call(409, "POST", "/jobs/{job_id}/move", {"printer": "dock"}, job_id=held)
    tour.call(409, "POST", "/jobs/{job_id}/resolve", {"answer": "printed"}, job_id=held)
    tour.call(200, "POST", "/jobs/{job_id}/launch", job_id=held)
    tour.call(404, "POST", "/jobs/{job_id}/launch", job_id=NOBODY)
    tour.bridge.wait(held)
    tour.call(200, "POST", "/printers/{printer}/pause", {}, printer="dock")
    waiting = tour.job()
    tour.call(200, "POST", "/jobs/{job_id}/hold", job_id=waiting)
    tour.call(200, "POST", "/jobs/{job_id}/cancel", job_id=waiting)
    tour.call(200, "POST", "/printers/{printer}/resume", printer="dock")
    for _ in range(2):
        tour.job(hold=True)
    assert tour.call(200, "POST", "/jobs/release", {"printer": "dock", "reason": "stale"}) == {"released": 0}
    assert tour.call(200, "POST", "/jobs/discard", {"printer": "dock"}) == {"discarded": 2}
    tour.job(hold=True, printer="virtual")
    assert tour.call(200, "POST", "/jobs/release", {"printer": "virtual"}) == {"released": 1}
    for command in ("release", "discard"):
        tour.call(422, "POST", f"/jobs/{command}", {"reason": "fun"})


def test_an_unconfirmed_job_answers_as_the_document_says(tour: Tour) -> None:
    with FakePrinter(reset_after=4) as broken:
        tour.call(201, "POST", "/printers", {"name": "broken", "uri": broken.uri})
        job = tour.job(printer="broken")
        assert tour.bridge.wait(job)["state"] == State.UNCONFIRMED
        tour.call(200, "GET", "/jobs/{job_id}", job_id=job)
        resolved = tour.call(200, "POST", "/jobs/{job_id}/resolve", {"answer": "cancel"}, job_id=job)
        assert resolved["state"] == "cancelled"
        tour.call(204, "DELETE", "/printers/{printer}", printer="broken")


def test_events_answer_as_the_document_says(tour: Tour) -> None:
    tour.job()
    events = tour.call(200, "GET", "/events?limit=2")
    assert len(events["events"]) == 2
    last = tour.call(200, "GET", "/events?after=0&limit=500")["last"]
    tour.call(422, "GET", "/events?wait=31")
    timer = threading.Timer(0.3, tour.job)
    timer.start()
    while not tour.call(200, "GET", f"/events?after={last}&wait=10")["events"]:
        pass
    timer.join()
    tour.call(422, "GET", "/events/stream?after=x")
    caller = tour.bridge.caller()
    caller._connection.request("GET", "/v1/events/stream?after=0", headers={"Authorization": caller.authorization})
    stream = caller._connection.getresponse()
    assert (stream.status, stream.headers.get_content_type()) == (200, "text/event-stream")
    assert stream.readline().startswith(b"id: ")
    tour.seen.setdefault(("GET", "/events/stream"), set()).add(200)
    stream.close()
    caller.close()


def test_keys_answer_as_the_document_says(tour: Tour) -> None:
    wish, key = {"name": "shop", "scopes": ["jobs"]}, {"Idempotency-Key": "shop"}
    made = tour.call(201, "POST", "/keys", wish, headers=key)
    assert tour.call(200, "POST", "/keys", wish, headers=key)["key"] is None
    tour.call(422, "POST", "/keys", {"name": "shop", "origins": ["shop.example/"]})
    listed = tour.call(200, "GET", "/keys")["keys"]
    first = next(each["id"] for each in listed if "admin" in each["scopes"])
    tour.call(422, "GET", "/keys?all=1")
    tour.call(200, "PATCH", "/keys/{key_id}", {"name": "shop 2"}, key_id=made["id"])
    refused = tour.call(409, "PATCH", "/keys/{key_id}", {"scopes": ["jobs"]}, key_id=first)
    assert refused["error"]["code"] == "last_admin"
    tour.call(200, "POST", "/origins", {"origin": "https://shop.example", "key": made["id"]})
    tour.call(404, "POST", "/origins", {"origin": "https://shop.example", "key": NOBODY})
    assert tour.call(200, "GET", "/origins")["origins"][0]["origin"] == "https://shop.example"
    tour.call(422, "GET", "/origins?all=1")
    tour.call(204, "DELETE", "/origins?origin=https://shop.example")
    tour.call(404, "DELETE", "/origins?origin=https://shop.example")
    tour.call(204, "DELETE", "/keys/{key_id}", key_id=made["id"])
    assert tour.call(409, "DELETE", "/keys/{key_id}", key_id=first)["error"]["code"] == "last_admin"
    assert tour.bridge.call("GET", "/v1/jobs", headers={"Authorization": f"Bearer {made['key']}"}).status == 401


def test_organizations_answer_as_the_document_says(tour: Tour) -> None:
    wish, key = {"name": "Shop 2", "plan": "free", "jobs_quota": 3}, {"Idempotency-Key": "org"}
    made = tour.call(201, "POST", "/organizations", wish, headers=key)
    assert tour.call(200, "POST", "/organizations", wish, headers=key)["id"] == made["id"]
    tour.call(422, "POST", "/organizations", {**wish, "plan": "gold"})
    org = {"organization_id": made["id"]}
    tour.call(204, "PUT", "/organizations/{organization_id}/printers/{printer}", printer="dock", **org)
    tour.call(404, "PUT", "/organizations/{organization_id}/printers/{printer}", printer="nowhere", **org)
    shown = tour.call(200, "GET", "/organizations/{organization_id}", **org)
    assert [each["name"] for each in shown["borrows"]] == ["dock"]
    tour.call(404, "GET", "/organizations/{organization_id}", organization_id=NOBODY)
    assert [each["own"] for each in tour.call(200, "GET", "/organizations")["organizations"]] == [True, False]
    tour.call(422, "GET", "/organizations?all=1")
    tour.call(204, "DELETE", "/organizations/{organization_id}/printers/{printer}", printer="dock", **org)
    tour.call(404, "DELETE", "/organizations/{organization_id}/printers/{printer}", printer="nowhere", **org)
    changed = tour.call(200, "PATCH", "/organizations/{organization_id}", {"jobs_quota": None, "disabled": True}, **org)
    assert changed["jobs_quota"] is None and changed["plan"] == "free" and changed["disabled_at"] is not None
    tour.call(409, "PATCH", "/organizations/{organization_id}", {"disabled": True},
              organization_id=tour.bridge.organization_id)  # fmt: skip


def test_people_answer_as_the_document_says(tour: Tour) -> None:
    group = tour.call(201, "POST", "/groups", {"name": "Warehouse"}, headers={"Idempotency-Key": "group"})
    tour.call(200, "POST", "/groups", {"name": "Warehouse"}, headers={"Idempotency-Key": "group"})
    tour.call(409, "POST", "/groups", {"name": "Warehouse"})
    wish = {"name": "Ada", "email": "ada@shop.example", "password": "correct horse", "groups": [group["id"]]}
    made = tour.call(201, "POST", "/users", wish, headers={"Idempotency-Key": "ada"})
    assert tour.call(200, "POST", "/users", wish, headers={"Idempotency-Key": "ada"}) == made
    other = {**wish, "password": "wrong horse"}
    assert tour.call(409, "POST", "/users", other, headers={"Idempotency-Key": "ada"})["error"]["code"]
    user = {"user_id": made["id"]}
    assert tour.call(200, "GET", "/groups/{group_id}", group_id=group["id"])["members"] == [made["id"]]
    assert tour.call(200, "GET", "/groups")["groups"][0]["name"] == "Warehouse"
    tour.call(422, "GET", "/groups?all=1")
    tour.call(404, "GET", "/groups/{group_id}", group_id=NOBODY)
    assert tour.call(200, "GET", "/users?q=ada&limit=1")["total"] == 1
    tour.call(422, "GET", "/users?limit=0")
    tour.call(200, "GET", "/users/{user_id}", **user)
    tour.call(404, "GET", "/users/{user_id}", user_id=NOBODY)
    assert tour.call(200, "PATCH", "/users/{user_id}", {"role": "admin", "groups": []}, **user)["groups"] == []
    tour.call(422, "PATCH", "/users/{user_id}", {"email": "nonsense"}, **user)
    number, key = {"number": "04A2"}, {"Idempotency-Key": "card"}
    card = tour.call(201, "POST", "/users/{user_id}/cards", number, headers=key, **user)
    tour.call(200, "POST", "/users/{user_id}/cards", number, headers=key, **user)
    tour.call(409, "POST", "/users/{user_id}/cards", number, **user)
    tour.call(409, "POST", "/users/{user_id}/cards", {"number": "04A3"}, headers=key, **user)
    assert len(tour.call(200, "GET", "/users/{user_id}/cards", **user)["cards"]) == 1
    tour.call(404, "GET", "/users/{user_id}/cards", user_id=NOBODY)
    tour.call(404, "DELETE", "/users/{user_id}/cards/{card_id}", card_id=NOBODY, **user)
    tour.call(204, "DELETE", "/users/{user_id}/cards/{card_id}", card_id=card["id"], **user)
    tour.call(204, "DELETE", "/users/{user_id}", **user)
    tour.call(404, "DELETE", "/users/{user_id}", **user)
    tour.call(204, "DELETE", "/groups/{group_id}", group_id=group["id"])
    tour.call(404, "DELETE", "/groups/{group_id}", group_id=group["id"])


def test_webhooks_answer_as_the_document_says(tour: Tour) -> None:
    made = tour.call(201, "POST", "/webhooks", {"url": "http://127.0.0.1:9/hook", "events": ["all"]})
    tour.call(422, "POST", "/webhooks", {"url": "http://127.0.0.1:9/hook", "events": ["nothing"]})
    hook = {"webhook_id": made["id"]}
    assert tour.call(200, "GET", "/webhooks")["webhooks"][0]["id"] == made["id"]
    tour.call(422, "GET", "/webhooks?all=1")
    tour.call(200, "GET", "/webhooks/{webhook_id}", **hook)
    tour.call(404, "GET", "/webhooks/{webhook_id}", webhook_id="wh_0")
    sent = tour.call(201, "POST", "/webhooks/{webhook_id}/test", **hook)
    tour.call(404, "POST", "/webhooks/{webhook_id}/test", webhook_id="wh_0")
    assert tour.call(200, "GET", "/webhooks/deliveries?limit=5")["total"] >= 1
    tour.call(422, "GET", "/webhooks/deliveries?state=lost")
    again = "/webhooks/deliveries/{delivery_id}/again"
    tour.call(200, "POST", again, delivery_id=sent["id"])
    tour.call(200, "PATCH", "/webhooks/{webhook_id}", {"active": False}, **hook)
    tour.call(404, "PATCH", "/webhooks/{webhook_id}", {"active": False}, webhook_id="wh_0")
    tour.call(409, "POST", again, delivery_id=sent["id"])
    tour.call(404, "POST", again, delivery_id="msg_0")
    tour.call(204, "DELETE", "/webhooks/{webhook_id}", **hook)
    tour.call(404, "DELETE", "/webhooks/{webhook_id}", **hook)


def test_the_tour_has_seen_every_route_succeed_and_fail(tour: Tour) -> None:
    """Runs last: what the tests above have called."""
    missing = [
        (route.method, openapi_path(route), status)
        for route in ROUTES for status in (*route.statuses, 400)
        if status != 503 and not any(
            seen == status or (status == 400 and seen >= 400)
            for seen in tour.seen.get((route.method, openapi_path(route)), ())
        )
    ]  # fmt: skip
    assert missing == []


# ---- examples ---------------------------------------------------------------------------------------------------


def examples() -> Iterator[tuple[str, str, str, Any]]:
    for method, path, operation in operations():
        content = operation.get("requestBody", {}).get("content", {})
        for name, example in content.get("application/json", {}).get("examples", {}).items():
            yield method, path, name, example["value"]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Callable[[str, str, Any], Any]]:
    """A bridge as it is after its first start, but for what the examples talk of."""
    rig = Rig(tmp_path, load("v1"))
    rig.add_printer("virtual")
    rig.add_printer("till", language="escpos")
    rig.desk.fleet.add({"name": "mine", "uri": "virtual://mine"})

    def call(method: str, path: str, body: Any) -> Any:
        job = rig.call("/jobs", {"printer": "virtual", "document_base64": ZPL}).json["id"]
        if path.endswith("/resolve"):
            attempt = rig.store.jobs.begin_attempt(rig.job(job), bytes_total=9, pages=None)()
            assert attempt is not None
            rig.store.jobs.end_attempt(rig.job(job), attempt, State.UNCONFIRMED, bytes_sent=3, evidence=None, text="")()
        if path.endswith("/move"):
            rig.add_printer(body["printer"])
        key = rig.call("/keys", {"name": "key"}).json["id"]
        if path == "/origins":
            body = {**body, "key": key}
        printer = "mine" if method == "PATCH" else "till" if path.endswith("/drawer") else "virtual"
        user = rig.call("/users", {"name": "Bob"}).json["id"]
        organization = rig.call("/organizations", {"name": "Shop 1"}).json["id"]
        hook = rig.call("/webhooks", {"url": "https://93.184.215.14/hook", "events": ["all"]}).json["id"]
        filled = path.format(printer=printer, job_id=job, key_id=key, user_id=user, organization_id=organization,
                             webhook_id=hook)  # fmt: skip
        return rig.call(filled, body, method=method)

    yield call
    rig.close()


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: f"{example[0]} {example[1]} {example[2]}")
def test_every_example_works(fresh: Callable[[str, str, Any], Any], example: tuple[str, str, str, Any]) -> None:
    method, path, _, body = example
    answer = fresh(method, path, body)
    assert 200 <= answer.status < 300, answer


def test_every_body_has_an_example() -> None:
    shown = {(method, path) for method, path, _, _ in examples()}
    assert shown == {(method, path) for method, path, operation in operations() if "requestBody" in operation}
