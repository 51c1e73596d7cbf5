"""The OpenAPI document of the Cloudlinker API is true: every route is in it, and every real answer is as it says."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.dialects import Desk, load
from bridge.dialects.cloudlinker import _described
from bridge.dialects.cloudlinker.calls import CALLS, PARTS
from bridge.dialects.cloudlinker.openapi import document
from bridge.errors import Invalid
from bridge.intake.body import read_json
from bridge.model import EVERYTHING, Principal, State
from tests.bridge.rig import ORGANIZATION, Answer, Rig
from tests.bridge.test_openapi import closed
from tests.serving import ROOT, Serve, b64

DOCUMENT = _described(cast(Desk, None))  # the routes are there without a bridge
SCHEMAS = DOCUMENT["components"]["schemas"]
ZPL64 = b64(b"^XA^FO10,10^FDhello^FS^XZ")
LABEL = {"document_type": "zpl", "document_base64": ZPL64}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


TAKING = {path: operation["requestBody"] for _, path, operation in operations() if "requestBody" in operation}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, load("cloudlinker"), desk_options={"api_key": "pb_secret"})
    yield rig
    rig.close()


# --- the document ---------------------------------------------------------------------------------------------------


def test_the_document_is_openapi() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(copy.deepcopy(DOCUMENT)).iter_errors()] == []


def test_every_route_is_in_the_document_and_nothing_else_is(rig: Rig) -> None:
    rules = [rule for rule in rig.app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    served = {
        (method, rule.rule.removeprefix("/api"))
        for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }  # fmt: skip
    assert served == {(method, path) for method, path, _ in operations()}
    assert served == {tuple(line.split()) for line in CALLS}


def test_a_route_that_is_not_described_breaks_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CALLS, "POST /jobs/get")
    with pytest.raises(KeyError, match="POST /jobs/get"):
        document((("POST /jobs/get", frozenset({"jobs"})),))


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does_and_what_it_reads() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    for method, path, operation in operations():
        assert operation["summary"] and operation["description"], (method, path)
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Failure"}
    for name in [*PARTS, *(body_schema(path)["$ref"].rpartition("/")[2] for path in TAKING)]:
        assert [field for field, words in SCHEMAS[name]["properties"].items() if not words["description"]] == []


def test_what_needs_no_key_is_what_the_document_says(rig: Rig) -> None:
    open_to_all = {f"{method} {path}" for method, path, operation in operations() if operation.get("security") == []}
    assert open_to_all == load("cloudlinker").public


@pytest.mark.parametrize("scope", ["admin", "jobs", "printers", "print", "read"])
def test_a_key_may_what_the_document_says(rig: Rig, scope: str) -> None:
    rig.caller = Principal(ORGANIZATION, key_id="k", scopes=frozenset({scope}), grants=EVERYTHING)
    for method, path, operation in operations():
        needed = set(re.findall(r"`(\w+)`", operation["description"]))
        if "security" not in operation:
            lacking = "lacks the scope" in str(rig.call(path, method=method).json)
            assert lacking == (scope not in {*needed, "admin"}), (method, path)


def test_a_new_job_takes_an_idempotency_key_and_nothing_else_does() -> None:
    taking = {path for _, path, operation in operations() if operation["parameters"]}
    assert taking == {"/jobs/create"}


def test_programs_and_pages_of_a_known_origin_may_read_it_without_a_key(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        nobody = {"Authorization": ""}
        assert bridge.call("GET", "/api/openapi.json", headers=nobody).json == DOCUMENT
        page = {**nobody, "Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
        assert bridge.call("GET", "/api/openapi.json", headers=page).status == 403
        assert bridge.call("POST", "/v1/keys", {"name": "shop", "origins": [page["Origin"]]}).status == 201
        assert bridge.call("GET", "/api/openapi.json", headers=page).json == DOCUMENT


# --- real answers ---------------------------------------------------------------------------------------------------


def faults(schema: dict[str, Any], value: Any, *, strict: bool = False) -> list[str]:
    """What is wrong with a value. strict: what is not in the document may not be in it either."""
    schemas = closed(copy.deepcopy(SCHEMAS)) if strict else SCHEMAS
    validator = Draft202012Validator({**schema, "components": {"schemas": schemas}})
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(value)]


def check(method: str, path: str, answer: Answer) -> Any:
    """The value of an answer that is as the document says; fails the test for one that is not."""
    responses = DOCUMENT["paths"][path][method.lower()]["responses"]
    assert (answer.status < 400) == (str(answer.status) in responses), (method, path, answer)
    told = responses.get(str(answer.status), DOCUMENT["components"]["responses"]["Failure"])
    assert faults(told["content"]["application/json"]["schema"], answer.json, strict=True) == [], (method, path)
    return answer.json


def test_real_answers_are_as_the_document_says(rig: Rig) -> None:
    held = set()

    def call(path: str, *, method: str = "POST", status: int = 200, **fields: Any) -> Any:
        answer = rig.call(path, fields or None, method=method)
        assert answer.status == status, (path, answer)
        held.add((method, path))
        return check(method, path, answer)

    assert call("/openapi.json", method="GET") == DOCUMENT
    for path in ("/test", "/plans", "/client/version"):
        call(path, method="GET")
    call("/test")
    call("/auth/login", email="jane@shop.example", password="pb_secret")
    call("/auth/register", status=403)

    other = call("/clients/create", hostname="till-4", description="by the door")["data"]["id"]
    call("/clients/update", client_id=other, last_seen="2025-07-06 18:09:00")
    scale = {"client_id": other, "name": "scale", "device_type": 2, "additional_info": {"max_kg": 15}}
    device = call("/devices/create", **scale)["data"]["id"]
    call("/devices/update", device_id=device, additional_info="[not json")
    for number in range(20):
        rig.add_printer(f"printer {number}")
    for page in (1, 4, 20, 22, 30):
        call("/devices/list", pagination=1, page=page)
    call("/clients/list", hostname="till")

    job = call("/jobs/create", device_id=rig.printer.id, payload=LABEL)["data"]["id"]
    call("/jobs/update", job_id=job, payload={**LABEL, "copies": 2})
    assert call("/jobs/launch", job_id=job) == []
    for state in State:
        rig.store.jobs.move(ORGANIZATION, job, set(State), state, text="why")
        call("/jobs/get", job_id=job)
        call("/jobs/list", client_id=rig.me.id)
    assert call("/jobs/delete", job_id=job) == []
    assert call("/devices/delete", device_id=device) == []
    assert call("/clients/delete", client_id=other, success=True) == {"success": True}
    assert held == {(method, path) for method, path, _ in operations()}


def test_refusals_are_as_the_document_says(rig: Rig) -> None:
    def refused(status: int, path: str, body: Any = None, method: str = "POST", **headers: str) -> None:
        answer = rig.call(path, body, method=method, headers={name.replace("_", "-"): v for name, v in headers.items()})
        assert answer.status == status, answer
        assert ("errors" in check(method, path, answer)) == (status == 422)

    refused(400, "/jobs/create", "{")
    refused(401, "/auth/login", {"email": "x", "password": "x"})
    refused(403, "/auth/register")
    refused(404, "/jobs/get", {"job_id": "nobody"})
    refused(409, "/clients/delete", {"client_id": rig.me.id})
    refused(422, "/jobs/create", {"device_id": rig.printer.id, "payload": {**LABEL, "copies": 0}})
    wish = {"device_id": rig.printer.id, "payload": LABEL}
    rig.call("/jobs/create", wish, headers={"Idempotency-Key": "one"})
    refused(409, "/jobs/create", {**wish, "payload": {**LABEL, "copies": 2}}, Idempotency_Key="one")


# --- what is sent ---------------------------------------------------------------------------------------------------


def body_schema(path: str) -> dict[str, Any]:
    schema: dict[str, Any] = TAKING[path]["content"]["application/json"]["schema"]
    return schema


def fields_of(path: str) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMAS[body_schema(path)["$ref"].rpartition("/")[2]]
    return schema


def test_everything_with_fields_has_them_in_the_document_with_an_example_that_is_understood() -> None:
    assert set(TAKING) == {line.split()[1] for line, call in CALLS.items() if call.reads}
    for path, body in TAKING.items():
        example = body["content"]["application/json"]["example"]
        assert example and set(example) <= set(fields_of(path)["properties"])
        assert faults(body_schema(path), example) == [], path
        for model in CALLS[f"POST {path}"].reads:
            model.read(example)


SEED = {path.stem: path for path in (ROOT / "tests" / "golden" / "cloudlinker").glob("*.txt") if "." not in path.stem}


@pytest.mark.parametrize("name", sorted(SEED))
def test_every_request_of_cloudlinkers_own_documentation_fits_the_document(name: str) -> None:
    body = read_json(SEED[name].read_bytes(), lenient=True)
    assert faults(body_schema(f"/{name.replace('_', '/')}"), body) == []


VALUES = [0, 1, -1, 3, 5, 6, 999, 1_000, 1_001, 2**31, 1.5, True, "x", "1", "auto", "none", "print", "000",
          "x" * 64, "x" * 65, "x" * 255, "x" * 256, "x" * 4_001, "a b", {}, {"a": 1}, [1]]  # fmt: skip


@pytest.mark.parametrize("line", [*(line for line, call in CALLS.items() if call.reads), *PARTS])
def test_whatever_the_document_allows_in_a_field_is_taken(line: str) -> None:
    """Dates excepted: their form is told by example."""
    models = PARTS[line] if line in PARTS else CALLS[line].reads
    schema = SCHEMAS[line] if line in PARTS else fields_of(line.split()[1])
    tried = 0
    for model in models:
        for field in model.model_fields.keys() - {"last_seen"}:
            for value in VALUES:
                if faults(schema["properties"][field], value):
                    continue
                tried += 1
                try:
                    model.read({field: value})
                except Invalid as error:
                    assert error.field != field, (line, field, value, str(error))
    assert tried >= len(schema["properties"])


def test_other_names_of_a_field_are_in_its_description() -> None:
    properties = fields_of("/jobs/list")["properties"]
    assert "also called per_page or limit" in properties["pagination"]["description"]
    assert "also called id" in fields_of("/jobs/get")["properties"]["job_id"]["description"]


@pytest.mark.parametrize("fields", [{"payload": LABEL}, {"source": "http://files.example/a.pdf"}, {}])
def test_a_job_without_anything_to_print_is_refused_as_the_document_says(rig: Rig, fields: dict[str, Any]) -> None:
    body = {"device_id": rig.printer.id, **fields}
    assert (rig.call("/jobs/create", body).status == 200) == (not faults(body_schema("/jobs/create"), body))


def test_an_unknown_option_is_refused_as_the_document_says(rig: Rig) -> None:
    body = {"device_id": rig.printer.id, "payload": {**LABEL, "options": {"darkness": 5}}}
    assert rig.call("/jobs/create", body).status == 422
    assert faults(body_schema("/jobs/create"), body)
