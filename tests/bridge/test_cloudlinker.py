"""The Cloudlinker dialect against its documentation (seed, apis.md section 1), and against what nobody documented."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.dialects import load
from bridge.dialects.cloudlinker.listing import Filters, list_jobs
from bridge.dialects.cloudlinker.paginator import Page, _window
from bridge.dialects.cloudlinker.replies import DOUBT_S, STATUS
from bridge.errors import BadRequest, Conflict, Invalid, NotFound, TooMany, Unauthorized
from bridge.model import EVERYTHING, Principal, State
from tests.bridge.rig import ADMIN, ORGANIZATION, OWN_PORT, Answer, Rig

GOLDEN = Path(__file__).parents[1] / "golden" / "cloudlinker"
PAGE = Principal(
    ORGANIZATION, key_id="shop key", scopes=frozenset({"jobs", "printers"}), origin="https://shop.example",
    grants=EVERYTHING,
)  # fmt: skip
ZPL = b"^XA^FO10,10^FDhello^FS^XZ"
ZPL64 = base64.b64encode(ZPL).decode()
JOB_KEYS = {"id", "job_type", "device_id", "device_name", "client_id", "payload", "status", "created_at"}
MORE_JOB_KEYS = {"result", "error", "executed_at", "updated_at"}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, load("cloudlinker"))
    yield rig
    rig.close()


def label(**more: Any) -> dict[str, Any]:
    return {"document_type": "zpl", "document_base64": ZPL64, **more}


def create(rig: Rig, payload: Any = None, **more: Any) -> dict[str, Any]:
    answer = rig.call("/jobs/create", {"device_id": rig.printer.id, "payload": payload or label(), **more})
    assert answer.status == 200, answer
    data: dict[str, Any] = answer.json["data"]
    return data


def remote_job(rig: Rig, **more: Any) -> dict[str, Any]:
    """A job for the printer of another machine."""
    client = rig.add_client("till-4")
    device = rig.store.devices.add(ORGANIZATION, client.id, "counter")
    return create(rig, device_id=device.id, **more)


def refused(answer: Answer, status: int, field: str | None = None) -> str:
    """Hold a refusal to the form that all of them have, and give its text."""
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/json"
    assert set(answer.json) == ({"message", "errors"} if status == 422 else {"message"})
    if field is not None:
        assert answer.json["errors"] == {field: [answer.json["message"]]}
    text: str = answer.json["message"]
    return text


def at(rig: Rig, job_id: str, state: State, **columns: Any) -> None:
    """Put a job into a state, as worker or pipeline would."""
    assert rig.store.jobs.move(ORGANIZATION, job_id, set(State), state, **columns)


# --- the documentation ----------------------------------------------------------------------------------------------

SEED_CLIENT, SECOND_CLIENT = "0197df47-871f-72d1-95df-2bfb0c18529a", "0197e078-c984-7383-9c82-94b2b96bbe20"
SEED_DEVICE, SEED_PRINTER = "0197e09b-d974-7191-a978-9bf0daecef6b", "0197df47-88ca-714f-bd34-372d53fb6fc5"
SEED_JOB = "0197e0aa-e9f3-7168-8504-ccffa0052376"
EXAMPLES = sorted(p.stem for p in GOLDEN.glob("*.txt") if ".reply" not in p.name)


def example(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text("utf-8")


@pytest.fixture
def seeded(rig: Rig) -> tuple[Rig, str]:
    """The clients and devices the examples speak of, and the id of the job."""
    rig.add_client("LT-STESA", SEED_CLIENT)
    rig.add_client("LT-TEST", SECOND_CLIENT)
    rig.store.devices.add(ORGANIZATION, SEED_CLIENT, "Microsoft Print to PDF2", device_id=SEED_DEVICE)
    rig.store.devices.add(ORGANIZATION, SEED_CLIENT, "Microsoft Print to PDF", device_id=SEED_PRINTER)
    job = create(rig, json.dumps({"document_url": "http://cloudlinker/test.pdf"}), device_id=SEED_PRINTER)
    return rig, job["id"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_documented_request_gets_the_documented_reply(seeded: tuple[Rig, str], name: str) -> None:
    rig, job_id = seeded
    if name == "clients_update":  # names no client: it must be clear which is meant
        rig.store.clients.update(ORGANIZATION, SECOND_CLIENT, hostname="LT-NEWTEST")
    answer = rig.call(f"/{name.replace('_', '/')}", example(name).replace(SEED_JOB, job_id))
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/json"
    if name in ("jobs_create", "jobs_update"):  # the reply in the documentation lacks a bracket
        assert set(answer.json["data"]) == JOB_KEYS | MORE_JOB_KEYS
        return
    assert shape(answer.json) == shape(json.loads(example(f"{name}.reply")))


def shape(value: Any) -> Any:
    """The names in a reply, without their values, and without what a list of clients may have or not (apis.md 1.1)."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items() if k not in ("description", "last_seen")}
    if isinstance(value, list):
        return [shape(v) for v in value[:1]]
    return None


def test_the_example_job_comes_back_as_documented(seeded: tuple[Rig, str]) -> None:
    rig, _ = seeded
    job = rig.call("/jobs/create", example("jobs_create")).json["data"]
    assert job["payload"] == (
        '{\n  "document_type": "pdf",\n  "document_url": "http://cloudlinker/test.pdf",\n  "copies": "1"\n}'
    )
    assert (job["job_type"], job["status"], job["device_name"]) == (1, 1, "Microsoft Print to PDF")
    assert job["created_at"].endswith("Z") and len(job["created_at"]) == len("2025-07-06T16:56:26.000000Z")
    assert rig.job(job["id"]).title == "test.pdf"
    assert rig.job(job["id"]).copies == 1


def test_the_example_update_changes_url_and_copies(seeded: tuple[Rig, str]) -> None:
    rig, job_id = seeded
    answer = rig.call("/jobs/update", example("jobs_update").replace(SEED_JOB, job_id))
    assert answer.status == 200
    assert rig.job(job_id).url == "http://cloudlinker/test2.pdf"
    assert rig.job(job_id).copies == 2


def test_the_paginator_of_the_examples_is_met_to_the_letter(rig: Rig) -> None:
    for number in range(8):
        rig.add_printer(f"printer {number}")
    answer = rig.call("/devices/list", {"pagination": 2}, base_url="http://cloudlinker/")
    wanted = json.loads(example("devices_list.reply"))
    assert {k: answer.json[k] for k in ("links", "meta")} == {k: wanted[k] for k in ("links", "meta")}
    answer = rig.call("/clients/list", base_url="http://cloudlinker/")
    wanted = json.loads(example("clients_list.reply"))
    assert {k: answer.json[k] for k in ("links", "meta")} == {k: wanted[k] for k in ("links", "meta")}


def test_the_connection_test_names_the_organization(rig: Rig) -> None:
    for method in ("GET", "POST"):
        assert rig.call("/test", method=method).json == {"organization_id": ORGANIZATION}


# --- pages ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def nine(rig: Rig) -> Rig:
    for number in range(8):
        rig.add_printer(f"printer {number}")
    return rig


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/devices/list?page=2", {"pagination": 4}),
        ("/devices/list", {"pagination": 4, "page": 2}),
        ("/devices/list", {"per_page": "4", "page": "2"}),
        ("/devices/list?limit=4&offset=4", None),
        ("/devices/list/", {"limit": 4, "offset": 4}),
    ],
)
def test_pages_can_be_asked_for_in_the_words_of_every_client(nine: Rig, path: str, body: Any) -> None:
    answer = nine.call(path, body)
    assert [d["name"] for d in answer.json["data"]] == ["printer 3", "printer 4", "printer 5", "printer 6"]
    meta, links = answer.json["meta"], answer.json["links"]
    assert (meta["current_page"], meta["from"], meta["to"], meta["last_page"]) == (2, 5, 8, 3)
    assert meta["path"] == "http://localhost:8910/api/devices/list"
    assert links["prev"].startswith(meta["path"] + "?") and links["prev"].endswith("page=1")
    assert links["next"].endswith("page=3")


def test_a_link_keeps_what_the_query_string_said(nine: Rig) -> None:
    answer = nine.call("/devices/list?pagination=4&name=printer&page=1")
    assert answer.json["links"]["next"] == "http://localhost:8910/api/devices/list?pagination=4&name=printer&page=2"


@pytest.mark.parametrize(("asked", "size"), [(0, 1), (-5, 1), (1_000, 100), (100, 100), (None, 20), ("", 20)])
def test_the_size_of_a_page_is_bounded(nine: Rig, asked: Any, size: int) -> None:
    assert nine.call("/devices/list", {"pagination": asked}).json["meta"]["per_page"] == size


def test_beyond_the_last_page_there_is_nothing(nine: Rig) -> None:
    for page in (7, 2**31 - 1):
        answer = nine.call("/devices/list", {"page": page})
        assert answer.json["data"] == [] and answer.json["meta"]["from"] is None and answer.json["meta"]["to"] is None
    assert nine.call("/devices/list", {"page": -3}).json["meta"]["current_page"] == 1


def test_an_empty_list_has_one_page(rig: Rig) -> None:
    answer = rig.call("/jobs/list")
    assert answer.json["data"] == []
    assert (answer.json["meta"]["last_page"], answer.json["meta"]["total"]) == (1, 0)


@pytest.mark.parametrize(
    ("current", "last", "runs"),
    [
        (1, 13, [(1, 13)]),
        (7, 14, [(1, 10), (13, 14)]),
        (8, 14, [(1, 2), (5, 14)]),
        (8, 20, [(1, 2), (5, 11), (19, 20)]),
        (500, 100, [(1, 2), (91, 100)]),
    ],
)
def test_only_pages_nearby_get_a_link(current: int, last: int, runs: list[tuple[int, int]]) -> None:
    assert [list(run) for run in _window(current, last)] == [list(range(a, b + 1)) for a, b in runs]


# --- clients --------------------------------------------------------------------------------------------------------


def test_clients_are_filtered_by_how_their_name_begins(rig: Rig) -> None:
    rig.add_client("LT-1")
    rig.add_client("xLT-2")
    assert [c["hostname"] for c in rig.call("/clients/list", {"hostname": "LT"}).json["data"]] == ["LT-1"]
    assert rig.call("/clients/list", {"hostname": "L%"}).json["data"] == []


def test_registering_again_with_the_same_id_changes_the_client(rig: Rig) -> None:
    first = rig.call("/clients/create", {"client_id": "pos-7", "hostname": "a", "ip_address": "10.0.0.1"})
    assert first.json["data"] == {
        "id": "pos-7", "hostname": "a", "description": None, "ip_address": "10.0.0.1", "last_seen": None,
    }  # fmt: skip
    again = rig.call("/clients/create", {"client_id": "pos-7", "hostname": "b", "description": "till"})
    assert again.json["data"] == {
        "id": "pos-7", "hostname": "b", "description": "till", "ip_address": "10.0.0.1", "last_seen": None,
    }  # fmt: skip
    assert rig.call("/clients/list").json["meta"]["total"] == 2


def test_a_client_that_names_no_address_gets_the_one_it_calls_from(rig: Rig) -> None:
    assert rig.call("/clients/create", {"hostname": "a"}).json["data"]["ip_address"] == "127.0.0.1"


def test_an_update_without_an_id_finds_the_client_it_means(rig: Rig) -> None:
    only = rig.call("/clients/update", {"description": "the only one"})
    assert only.json["data"]["id"] == rig.me.id
    other = rig.add_client("till-4")
    by_name = rig.call("/clients/update", {"hostname": "till-4", "description": "by name"})
    assert by_name.json["data"]["id"] == other.id
    assert rig.call("/clients/update", {"id": other.id, "hostname": "till-5"}).json["data"]["hostname"] == "till-5"
    refused(rig.call("/clients/update", {"description": "which?"}), 422, "client_id")
    refused(rig.call("/clients/update", {"hostname": "nobody's"}), 422, "client_id")


def test_an_update_changes_what_it_names_and_nothing_else(rig: Rig) -> None:
    rig.call("/clients/update", {"description": "till", "ip_address": "10.0.0.9"})
    answer = rig.call("/clients/update", {"last_seen": "2025-07-06 18:09:00", "hostname": None})
    assert answer.json["data"] == {
        "id": rig.me.id, "hostname": "till-3", "description": "till", "ip_address": "10.0.0.9",
        "last_seen": "2025-07-06 18:09:00",
    }  # fmt: skip
    assert rig.call("/clients/update", {"description": ""}).json["data"]["description"] == ""


@pytest.mark.parametrize(
    "given", ["2025-07-06 18:09:00", "2025-07-06T18:09:00Z", "2025-07-06T20:09:00+02:00", "2025-07-06T18:09:00.999999Z"]
)
def test_last_seen_is_read_and_written_in_utc(rig: Rig, given: str) -> None:
    assert rig.call("/clients/update", {"last_seen": given}).json["data"]["last_seen"] == "2025-07-06 18:09:00"


def test_this_machine_cannot_be_deleted(rig: Rig) -> None:
    refused(rig.call("/clients/delete", {"client_id": rig.me.id}), 409)


# --- devices --------------------------------------------------------------------------------------------------------


def test_devices_are_filtered_by_client_type_and_name(rig: Rig) -> None:
    other = rig.add_client("till-4")
    rig.store.devices.add(ORGANIZATION, other.id, "Scale", device_type=2)

    def found(**filters: Any) -> list[str]:
        return [d["name"] for d in rig.call("/devices/list", filters).json["data"]]

    assert found() == ["dock", "Scale"]
    assert found(client_id=other.id) == ["Scale"]
    assert found(device_type="1") == ["dock"]
    assert found(name="oc") == ["dock"]
    assert found(client_id="nobody") == []


@pytest.mark.parametrize(
    ("given", "stored", "emitted"),
    [
        ({"dpi": 203}, '{"dpi": 203}', {"dpi": 203}),
        ('{"dpi": 203}', '{"dpi": 203}', {"dpi": 203}),
        ("a note", "a note", "a note"),
        ("{not json", "{not json", "{not json"),
        ("[" * 1_000, "[" * 1_000, "[" * 1_000),
        ("", None, None),
        (None, None, None),
    ],
)
def test_additional_info_comes_back_as_it_was_given(rig: Rig, given: Any, stored: str | None, emitted: Any) -> None:
    wanted = {"client_id": rig.me.id, "name": "b", "device_type": 7, "additional_info": given}
    answer = rig.call("/devices/create", wanted)
    assert set(answer.json["data"]) == {"id", "name", "client_id", "hardware_path", "additional_info"}
    assert answer.json["data"]["additional_info"] == emitted
    device = rig.store.devices.get(ORGANIZATION, answer.json["data"]["id"])
    assert device is not None and (device.additional_info, device.device_type) == (stored, 7)


def test_a_device_is_changed_and_emptied(rig: Rig) -> None:
    device = rig.store.devices.add(ORGANIZATION, rig.me.id, "b", hardware_path="/dev/lp0")
    answer = rig.call("/devices/update", {"id": device.id, "client_id": rig.me.id, "name": "c", "hardware_path": ""})
    assert answer.json["data"]["name"] == "c" and answer.json["data"]["hardware_path"] is None


def test_a_device_of_another_client_is_not_found_under_this_one(rig: Rig) -> None:
    other = rig.add_client("till-4")
    wanted = {"device_id": rig.printer.id, "client_id": other.id, "name": "x"}
    assert rig.me.id in refused(rig.call("/devices/update", wanted), 422, "client_id")
    refused(rig.call("/devices/delete", wanted), 422, "client_id")


def test_a_printer_from_the_configuration_is_not_renamed_or_deleted_here(rig: Rig) -> None:
    refused(rig.call("/devices/update", {"device_id": rig.printer.id, "name": "x"}), 409)
    refused(rig.call("/devices/delete", {"device_id": rig.printer.id}), 409)
    refused(rig.call("/devices/create", {"client_id": rig.me.id, "name": "dock", "device_type": 1}), 409)


# --- deleting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "query", "reply"),
    [
        ("clients", "client_id", "", []),
        ("clients", "id", "", {"success": True}),
        ("clients", "client_id", "?success=1", {"success": True}),
        ("devices", "device_id", "", []),
        ("devices", "id", "", {"success": True}),
        ("jobs", "job_id", "", []),
        ("jobs", "id", "", {"success": True}),
        ("jobs", "job_id", "?success=true", {"success": True}),
    ],
)
def test_a_deletion_is_confirmed_in_the_words_of_who_asked(
    rig: Rig, kind: str, name: str, query: str, reply: Any
) -> None:
    ids = {
        "clients": rig.add_client("x").id,
        "devices": rig.store.devices.add(ORGANIZATION, rig.me.id, "x").id,
        "jobs": create(rig)["id"],
    }
    assert rig.call(f"/{kind}/delete{query}", {name: ids[kind]}).json == reply
    refused(rig.call(f"/{kind}/delete", {name: ids[kind]}), 404)


def test_a_setting_confirms_every_deletion_with_success(tmp_path: Path) -> None:
    rig = Rig(tmp_path, load("cloudlinker"), desk_options={"delete_reply": "success"})
    assert rig.call("/jobs/delete", {"job_id": create(rig)["id"]}).json == {"success": True}
    rig.close()


def test_deleting_a_waiting_job_takes_it_out_of_its_lane(rig: Rig) -> None:
    job = create(rig, launch_immediately=True)
    assert rig.store.lanes.ticket(job["id"])
    rig.call("/jobs/delete", {"job_id": job["id"]})
    assert rig.store.lanes.ticket(job["id"]) is None and rig.jobs() == []


# --- creating jobs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        label(copies=3),
        label(copies="3"),
        json.dumps(label(copies="3")),
        json.dumps(json.dumps(label(copies=3))),
        json.dumps(label(options={"copies": 3})),
        json.dumps(label(copies=3))[:-1] + ",}",
    ],
)
def test_a_payload_may_be_an_object_a_text_or_a_text_of_a_text(rig: Rig, payload: Any) -> None:
    job = create(rig, payload)
    stored = rig.job(job["id"])
    assert (stored.copies, stored.kind, stored.state) == (3, "zpl", State.CREATED)
    assert rig.store.jobs.body(ORGANIZATION, stored.id) == ZPL
    assert json.loads(job["payload"])["document_base64"] == ZPL64


def test_a_payload_given_as_text_comes_back_unchanged(rig: Rig) -> None:
    text = '{"document_type":"zpl",   "document":"' + ZPL64 + '", "note": "é"}'
    assert create(rig, text)["payload"] == text


def test_options_alone_are_no_job(rig: Rig) -> None:
    job = create(rig)
    refused(rig.call("/jobs/create", {"device_id": rig.printer.id, "options": {"copies": 2}}), 422, "payload")
    refused(rig.call("/jobs/update", {"job_id": job["id"], "options": {"copies": 2}}), 422, "payload")


def test_unknown_names_in_a_payload_are_ignored_and_kept(rig: Rig) -> None:
    assert json.loads(create(rig, label(printer_tray="2"))["payload"])["printer_tray"] == "2"


def test_the_words_of_the_laravel_readme_are_understood(rig: Rig) -> None:
    answer = rig.call("/jobs/create", {
        "device_id": rig.printer.id, "type": "print", "source": "http://files.example/a%20b.pdf?x=1",
        "options": {"copies": 2, "fit": "none"},
    })  # fmt: skip
    job = rig.job(answer.json["data"]["id"])
    assert (job.url, job.copies, job.title) == ("http://files.example/a%20b.pdf?x=1", 2, "a b.pdf")
    assert json.loads(job.options) == {"fit": "none"}
    assert json.loads(answer.json["data"]["payload"]) == {
        "document_url": "http://files.example/a%20b.pdf?x=1", "copies": 2, "options": {"fit": "none"},
    }  # fmt: skip


@pytest.mark.parametrize("value", [True, "true", "1", 1, "TRUE"])
def test_a_job_launched_at_once_waits_in_its_lane(rig: Rig, value: Any) -> None:
    job = create(rig, launch_immediately=value)
    assert job["status"] == 2
    assert rig.store.lanes.ticket(job["id"])


@pytest.mark.parametrize("value", [False, "false", "0", 0, "", None])
def test_a_job_not_launched_is_created_and_no_more(rig: Rig, value: Any) -> None:
    job = create(rig, launch_immediately=value)
    assert job["status"] == 1
    assert rig.store.lanes.ticket(job["id"]) is None


def test_a_job_may_come_as_a_form_or_in_the_query_string(rig: Rig) -> None:
    fields = {"device_id": rig.printer.id, "payload": json.dumps(label()), "launch_immediately": "true"}
    upload = {"data": fields, "content_type": "multipart/form-data"}
    for options in ({"data": fields}, upload, {"query_string": fields}):
        assert rig.call("/jobs/create", **options).json["data"]["status"] == 2


def test_every_option_reaches_the_job(rig: Rig) -> None:
    options = {"rotate": "90", "fit": "none", "dither": "true", "collate": False, "force": 1, "priority": 5}
    job = rig.job(create(rig, label(options=options, title=" Box 7\n", document_name="x"))["id"])
    wanted = {"rotate": 90, "fit": "none", "dither": True, "collate": False, "force": True}
    assert (json.loads(job.options), job.priority, job.title) == (wanted, 5, "Box 7")


@pytest.mark.parametrize("empty", [None, {}, []])
def test_no_options_may_be_written_in_any_way(rig: Rig, empty: Any) -> None:
    assert json.loads(rig.job(create(rig, label(options=empty))["id"]).options) == {}


@pytest.mark.parametrize(
    "text",
    [
        ZPL64,
        ZPL64[:8] + "\r\n " + ZPL64[8:],
        f"data:application/octet-stream;base64,{ZPL64}",
        f"DATA:;BASE64,{ZPL64}",
        base64.urlsafe_b64encode(b"^XA^FD\xff\xfe\xfb^FS^XZ").decode(),
    ],
)
def test_base64_is_taken_as_people_send_it(rig: Rig, text: str) -> None:
    create(rig, {"document_type": "raw", "document": text})


def test_the_same_idempotency_key_is_the_same_job(rig: Rig) -> None:
    body = {"device_id": rig.printer.id, "payload": label(), "launch_immediately": True}
    first = rig.call("/jobs/create", body, headers={"Idempotency-Key": "order 7"})
    again = rig.call("/jobs/create", body, headers={"Idempotency-Key": "order 7"})
    assert again.json == first.json and len(rig.jobs()) == 1
    other = {**body, "payload": label(copies=2)}
    refused(rig.call("/jobs/create", other, headers={"Idempotency-Key": "order 7"}), 409)


def test_a_large_document_is_stored_once(rig: Rig) -> None:
    data = b"^XA" + b"^FX" + b"x" * 200_000 + b"^XZ"
    job = create(rig, label(document_base64=base64.b64encode(data).decode()))
    assert json.loads(job["payload"]) == {"document_type": "zpl", "document_base64": "(200,009 bytes, left out here)"}
    assert rig.store.spool.document(job["id"]).read_bytes() == data


def test_another_machine_gets_the_whole_payload_or_an_honest_no(rig: Rig) -> None:
    text = base64.b64encode(b"^XA" + b"x" * 200_000 + b"^XZ").decode()
    assert json.loads(remote_job(rig, payload=label(document_base64=text))["payload"])["document_base64"] == text
    device = rig.store.devices.page(ORGANIZATION, name="counter")[0][0]
    big = label(document_base64=base64.b64encode(b"^XA" + b"x" * 1_000_000 + b"^XZ").decode())
    text = refused(rig.call("/jobs/create", {"device_id": device.id, "payload": big}), 413)
    assert "document_url" in text


# --- bad input ------------------------------------------------------------------------------------------------------

WRONG = [5, 2.5, True, [], [1], {}, {"a": 1}, "\x00", "x" * 1_000_000]
COPIES = [0, -1, "0", "-1", "+1", " 2", "2 ", "x", "1e2", 1e9, "1000", 1000, 2.5, 1.0, True, [2], {}, "٣", "1_0", "0x1"]


@pytest.mark.parametrize("copies", COPIES)
def test_copies_are_a_whole_number_from_1_to_999(rig: Rig, copies: Any) -> None:
    for payload in (label(copies=copies), label(options={"copies": copies}), json.dumps(label(copies=copies))):
        body = {"device_id": rig.printer.id, "payload": payload}
        assert "999" in refused(rig.call("/jobs/create", body), 422, "copies")
    assert rig.jobs() == []


@pytest.mark.parametrize(
    ("payload", "status", "field"),
    [
        ("", 422, "payload"),
        ("{", 422, "payload"),
        ("[1]", 422, "payload"),
        ('"x"', 422, "payload"),
        ("null", 422, "payload"),
        ("NaN", 422, "payload"),
        ('{"a": 1, "a": 2}', 422, "payload"),
        ("[" * 100_000, 422, "payload"),
        (5, 422, "payload"),
        (True, 422, "payload"),
        ([1], 422, "payload"),
        ({"document_type": 5}, 422, "document_type"),
        ({"document_type": "docx", "document_url": "http://a.example/x"}, 422, "document_type"),
        ({"document_url": 5}, 422, "document_url"),
        ({"document_url": "file:///etc/passwd"}, 422, "document_url"),
        ({"document_url": "ftp://a.example/x"}, 422, "document_url"),
        ({"document_url": "http://["}, 422, "document_url"),
        ({"document_url": f"http://127.0.0.1:{OWN_PORT}/v1/keys"}, 422, "document_url"),
        ({"document_url": "http://a.example/x", "document": ZPL64}, 422, "document_url"),
        (label(document_base64="not base64!"), 422, "document_base64"),
        (label(document_base64=ZPL64[:-1]), 422, "document_base64"),
        (label(document_base64=ZPL64 + "=="), 422, "document_base64"),
        (label(document_base64="é"), 422, "document_base64"),
        (label(document_base64="data:text/plain,hello"), 422, "document_base64"),
        (label(document_base64="data:;base64,"), 422, "document"),
        (label(document_base64=5), 422, "document_base64"),
        (label(options={"darkness": 5}), 422, "options"),
        (label(options=5), 422, "options"),
        (label(options=[1]), 422, "options"),
        (label(options={"rotate": 45}), 422, "rotate"),
        (label(options={"rotate": True}), 422, "rotate"),
        (label(options={"fit": "stretch"}), 422, "fit"),
        (label(options={"dither": "maybe"}), 422, "dither"),
        (label(options={"force": 2}), 422, "force"),
        (label(priority=10**30), 422, "priority"),
        (label(priority=1_001), 422, "priority"),
        (label(title=["x"]), 422, "title"),
        ({"document": base64.b64encode(b"<html>").decode()}, 422, "document"),
    ],
)
def test_a_payload_that_cannot_be_used_is_refused(rig: Rig, payload: Any, status: int, field: str) -> None:
    body = {"device_id": rig.printer.id, "payload": payload, "launch_immediately": True}
    refused(rig.call("/jobs/create", body), status, field)
    assert rig.jobs() == []


def test_an_unknown_option_is_told_the_known_ones(rig: Rig) -> None:
    body = {"device_id": rig.printer.id, "payload": label(options={"darkness": 5})}
    text = refused(rig.call("/jobs/create", body), 422)
    assert "'darkness'" in text and "rotate, fit, dither, collate, force, pages, copies, priority" in text


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"null", b"5", b'"x"', b"[1]", b"\xff\xfe{", b'{"device_id": NaN}', b'{"device_id": 1e999}',
        b'{"device_id": ' + b"9" * 5_000 + b"}", b"[" * 200_000, b'{"a":' * 200_000, b'{"a": 1, "a": 2}',
        b'{"device_id": "\\ud800"}', b'{"device_id"', b"\x00", b"{" * 1_000_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/jobs/create", "/clients/list"])
def test_a_body_that_cannot_be_read_is_a_bad_request(rig: Rig, path: str, body: bytes) -> None:
    refused(rig.call(path, body), 400)
    assert rig.jobs() == []


FIELDS = {
    "/clients/list": ["hostname", "pagination", "page", "offset"],
    "/clients/create": ["client_id", "hostname", "ip_address", "description"],
    "/clients/update": ["client_id", "hostname", "ip_address", "description", "last_seen"],
    "/clients/delete": ["client_id", "id"],
    "/devices/list": ["client_id", "device_type", "name", "pagination"],
    "/devices/create": ["client_id", "name", "device_type", "hardware_path", "additional_info"],
    "/devices/update": ["device_id", "client_id", "name", "hardware_path", "additional_info"],
    "/devices/delete": ["device_id", "client_id"],
    "/jobs/list": ["client_id", "device_id", "job_type", "status", "per_page"],
    "/jobs/create": ["device_id", "client_id", "job_type", "payload", "source", "options", "launch_immediately"],
    "/jobs/get": ["job_id"],
    "/jobs/update": ["job_id", "device_id", "payload", "launch_immediately", "status", "error", "result"],
    "/jobs/launch": ["job_id"],
    "/jobs/delete": ["job_id"],
    "/auth/login": ["email", "password"],
}


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, names in FIELDS.items() for name in names])
def test_a_value_of_the_wrong_type_never_breaks_anything(rig: Rig, path: str, name: str) -> None:
    job = create(rig)
    good = {
        "/clients/create": {"hostname": "x"},
        "/devices/create": {"client_id": rig.me.id, "name": "x", "device_type": 1},
        "/devices/update": {"device_id": rig.printer.id},
        "/devices/delete": {"device_id": rig.printer.id},
        "/jobs/create": {"device_id": rig.printer.id, "payload": label()},
        "/jobs/update": {"job_id": job["id"]},
        "/auth/login": {"email": "a@b.example", "password": "x"},
    }.get(path, {})
    harmless = name in ("description", "additional_info", "error", "result", "options", "payload")
    for value in WRONG:
        answer = rig.call(path, {**good, name: value})
        if answer.status != 200:
            refused(answer, answer.status)
            assert answer.status in (400, 401, 404, 409, 422)
        else:
            # What is taken is a text the row can hold, a number in range, or an empty filter.
            assert harmless or isinstance(value, str | int) or value in ([], {}), (value, answer)
        assert len(json.dumps(answer.json)) < 10_000


@pytest.mark.parametrize("value", [5, 2.5, True, [], {}, [1]])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/jobs/create", "device_id"), ("/jobs/create", "client_id"), ("/jobs/get", "job_id"),
        ("/jobs/launch", "job_id"), ("/jobs/update", "job_id"), ("/jobs/delete", "job_id"),
        ("/clients/delete", "client_id"), ("/devices/delete", "device_id"), ("/jobs/list", "client_id"),
        ("/clients/create", "hostname"), ("/devices/list", "name"),
    ],
)  # fmt: skip
def test_ids_and_names_are_texts(rig: Rig, path: str, name: str, value: Any) -> None:
    body = {"device_id": rig.printer.id, "payload": label(), name: value}
    refused(rig.call(path, body), 422, name)
    assert rig.jobs() == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/jobs/create", "device_id"), ("/jobs/create", "payload"), ("/jobs/get", "job_id"),
        ("/jobs/launch", "job_id"), ("/jobs/update", "job_id"), ("/jobs/delete", "job_id"),
        ("/clients/create", "hostname"), ("/clients/delete", "client_id"), ("/devices/create", "client_id"),
        ("/devices/create", "name"), ("/devices/create", "device_type"), ("/devices/update", "device_id"),
        ("/devices/delete", "device_id"), ("/auth/login", "password"), ("/auth/login", "email"),
    ],
)  # fmt: skip
def test_what_is_required_is_asked_for_by_name(rig: Rig, path: str, name: str) -> None:
    everything = {
        "device_id": rig.printer.id, "client_id": rig.me.id, "job_id": "x", "payload": label(), "hostname": "x",
        "name": "x", "device_type": 1, "email": "x", "password": "x",
    }  # fmt: skip
    for nothing in ({}, {name: None}, {name: ""}, {name: "  "}):
        body = {k: v for k, v in everything.items() if k != name} | nothing
        assert refused(rig.call(path, body), 422, name).startswith(f"{name} is required")


@pytest.mark.parametrize("path", ["/jobs/get", "/jobs/launch", "/jobs/update", "/jobs/delete"])
def test_an_unknown_job_is_not_found(rig: Rig, path: str) -> None:
    for job_id in ("nobody", "x" * 100_000, "0197df47-871f-72d1-95df-2bfb0c18529a' OR 1=1 --"):
        assert len(refused(rig.call(path, {"job_id": job_id}), 404)) < 200


def test_unknown_devices_and_clients_are_not_found(rig: Rig) -> None:
    body = {"device_id": rig.printer.id, "payload": label()}
    refused(rig.call("/jobs/create", {**body, "device_id": "nobody"}), 404)
    refused(rig.call("/jobs/create", {**body, "client_id": "nobody"}), 404)
    refused(rig.call("/clients/update", {"client_id": "nobody"}), 404)
    refused(rig.call("/devices/create", {"client_id": "nobody", "name": "x", "device_type": 1}), 404)
    assert rig.jobs() == []


def test_a_job_for_the_wrong_client_is_told_the_right_one(rig: Rig) -> None:
    other = rig.add_client("till-4")
    body = {"device_id": rig.printer.id, "payload": label(), "client_id": other.id}
    assert rig.me.id in refused(rig.call("/jobs/create", body), 422, "client_id")


@pytest.mark.parametrize("job_type", [1, "1", "print", "PRINT ", None, ""])
def test_print_jobs_are_taken(rig: Rig, job_type: Any) -> None:
    assert create(rig, job_type=job_type)["job_type"] == 1


@pytest.mark.parametrize(
    ("job_type", "text"),
    [(2, "switched off"), ("2", "switched off"), (3, "must be 1"), ("x", "whole number"), (True, "whole number")],
)
def test_other_jobs_are_refused(rig: Rig, job_type: Any, text: str) -> None:
    body = {"device_id": rig.printer.id, "payload": label(), "job_type": job_type}
    assert text in refused(rig.call("/jobs/create", body), 422, "job_type")


@pytest.mark.parametrize("last_seen", ["yesterday", "2025-13-01 00:00:00", 5, "0001-01-01 00:00:00", "9999-99-99", []])
def test_a_last_seen_that_is_no_time_is_refused(rig: Rig, last_seen: Any) -> None:
    refused(rig.call("/clients/update", {"last_seen": last_seen}), 422, "last_seen")


def test_launching_what_has_no_document_is_refused(rig: Rig) -> None:
    body = {"device_id": rig.printer.id, "payload": "{}", "launch_immediately": True}
    refused(rig.call("/jobs/create", body), 422, "document_url")
    job = create(rig, "{}")
    refused(rig.call("/jobs/launch", {"job_id": job["id"]}), 422, "payload")


def test_a_client_gets_nothing_late_and_nothing_for_a_device_that_is_paused(rig: Rig) -> None:
    client, payload = rig.add_client("till-4"), {"launch_immediately": True}
    counter, label = (rig.store.devices.add(ORGANIZATION, client.id, name) for name in ("counter", "label"))
    late, first, other = (create(rig, device_id=each.id, **payload)["id"] for each in (counter, counter, label))
    rig.store.jobs.annotate(rig.job(late), expires_at=time.time() - 1)

    def listed(**filters: Any) -> list[str]:
        answer = rig.call("/jobs/list", filters).json
        assert answer["meta"]["total"] == len(answer["data"])
        return [job["id"] for job in answer["data"]]

    rig.control.pause(ORGANIZATION, counter.id, "new roll")
    assert listed(client_id=client.id, status=2) == [other]
    assert listed(client_id=client.id) == [late, first, other] == listed(status=2), "who looks after them sees them all"
    rig.control.resume(ORGANIZATION, counter.id)
    assert listed(client_id=client.id, status=2) == [first, other]


def test_unknown_paths_and_methods_are_json_too(rig: Rig) -> None:
    refused(rig.call("/nothing"), 404)
    refused(rig.call("/jobs/list", method="GET"), 405)


# --- the life of a job ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_its_number(rig: Rig, state: State) -> None:
    job = create(rig)
    at(rig, job["id"], state, text="because")
    shown = rig.call("/jobs/get", {"id": job["id"]}).json["data"]
    assert shown["status"] == STATUS[state]
    assert set(shown) == JOB_KEYS | MORE_JOB_KEYS
    wrong = state in (State.HELD, State.UNCONFIRMED, State.FAILED, State.CANCELLED, State.EXPIRED)
    assert shown["error"] == ("because" if wrong else None)
    ended = shown["status"] in (4, 5)
    assert (shown["executed_at"] is not None) == ended
    assert (shown["result"] is not None) == (ended or wrong)


def test_an_unconfirmed_job_is_pending_for_a_quarter_of_an_hour(rig: Rig) -> None:
    jobs = [create(rig)["id"] for _ in range(12)]
    for number, job_id in enumerate(jobs):
        at(rig, job_id, State.UNCONFIRMED if number % 2 else State.FAILED if number % 3 else State.SENDING)
    then = max(rig.job(job_id).updated_at for job_id in jobs)

    def numbers(status: int, now: float, size: int) -> list[int]:
        """All pages of the list, one after the other."""
        found: list[int] = []
        while True:
            page = Page(pagination=size, offset=len(found))
            rows, total = list_jobs(rig.store.jobs, Filters(ORGANIZATION), status, page, now)
            found += [jobs.index(job.id) for job in rows]
            if len(found) >= total or not rows:
                assert len(found) == total
                return found

    for size in range(1, 14):
        assert numbers(3, then + DOUBT_S - 5, size) == [0, 1, 3, 5, 6, 7, 9, 11]
        assert numbers(5, then + DOUBT_S - 5, size) == [2, 4, 8, 10]
        assert numbers(3, then + DOUBT_S, size) == [0, 6]
        assert numbers(5, then + DOUBT_S, size) == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]


def test_jobs_are_listed_in_order_and_filtered(rig: Rig) -> None:
    jobs = [create(rig)["id"] for _ in range(3)]
    remote = remote_job(rig, launch_immediately=True)

    def listed(**filters: Any) -> list[str]:
        return [j["id"] for j in rig.call("/jobs/list", filters).json["data"]]

    assert listed() == [*jobs, remote["id"]]
    assert listed(status="2") == [remote["id"]] == listed(client_id=remote["client_id"])
    assert listed(status=1, device_id=rig.printer.id, job_type=1) == jobs
    assert listed(job_type=2) == [] == listed(device_id="nobody")
    for status in (0, 6, "x", -1):
        refused(rig.call("/jobs/list", {"status": status}), 422, "status")


def test_a_job_is_launched_and_launched_again(rig: Rig) -> None:
    job = create(rig)
    assert rig.call("/jobs/launch", {"job_id": job["id"]}).json == []
    assert rig.job(job["id"]).state is State.QUEUED
    at(rig, job["id"], State.PRINTED)
    assert rig.call("/jobs/launch", {"job_id": job["id"]}).json == []
    assert (rig.job(job["id"]).launch, rig.job(job["id"]).possible_duplicate) == (2, True)


def test_an_unconfirmed_job_is_not_launched_again(rig: Rig) -> None:
    job = create(rig)
    at(rig, job["id"], State.UNCONFIRMED, text="labels 1-2 of 5")
    assert "labels 1-2 of 5" in refused(rig.call("/jobs/launch", {"job_id": job["id"]}), 409)
    refused(rig.call("/jobs/update", {"job_id": job["id"], "status": 2}), 409)
    refused(rig.call("/jobs/delete", {"job_id": job["id"]}), 409)


def test_payload_and_device_change_only_before_the_launch(rig: Rig) -> None:
    second = rig.add_printer("desk")
    job = create(rig)
    answer = rig.call("/jobs/update", {"id": job["id"], "device_id": second.id})
    assert answer.json["data"]["device_name"] == "desk" and answer.json["data"]["payload"] == job["payload"]
    assert rig.store.jobs.body(ORGANIZATION, job["id"]) == ZPL
    answer = rig.call("/jobs/update", {"job_id": job["id"], "payload": label(copies=4), "launch_immediately": True})
    assert answer.json["data"]["status"] == 2 and rig.job(job["id"]).copies == 4
    refused(rig.call("/jobs/update", {"job_id": job["id"], "payload": label(copies=5)}), 422, "payload")
    refused(rig.call("/jobs/update", {"job_id": job["id"], "device_id": rig.printer.id}), 422, "payload")


def test_a_large_document_moves_with_its_job(rig: Rig) -> None:
    data = b"^XA^FX" + b"x" * 200_000 + b"^XZ"
    job = create(rig, label(document=base64.b64encode(data).decode(), document_base64=None))
    second = rig.add_printer("desk")
    assert rig.call("/jobs/update", {"job_id": job["id"], "device_id": second.id}).status == 200
    assert rig.store.spool.document(job["id"]).read_bytes() == data
    assert rig.job(job["id"]).size == len(data)


def test_an_update_sent_twice_launches_once(rig: Rig) -> None:
    job = create(rig)
    wanted = {"job_id": job["id"], "payload": label(copies=2), "launch_immediately": True}
    rig.call("/jobs/update", wanted)
    at(rig, job["id"], State.PRINTED)
    assert rig.call("/jobs/update", wanted).json["data"]["status"] == 4
    assert rig.job(job["id"]).launch == 1


def test_a_job_does_not_move_to_another_client(rig: Rig) -> None:
    job = create(rig)
    device = rig.store.devices.add(ORGANIZATION, rig.add_client("till-4").id, "counter")
    refused(rig.call("/jobs/update", {"job_id": job["id"], "device_id": device.id}), 422, "device_id")
    refused(rig.call("/jobs/update", {"job_id": job["id"], "device_id": "nobody"}), 404)


def test_the_status_of_our_own_jobs_is_ours(rig: Rig) -> None:
    job = create(rig)
    assert rig.call("/jobs/update", {"job_id": job["id"], "status": 1}).json["data"]["status"] == 1
    for status in (3, 4, 5):
        refused(rig.call("/jobs/update", {"job_id": job["id"], "status": status}), 422, "status")
    assert rig.call("/jobs/update", {"job_id": job["id"], "status": 2}).json["data"]["status"] == 2
    refused(rig.call("/jobs/update", {"job_id": job["id"], "status": 1}), 422, "status")
    assert rig.job(job["id"]).state is State.QUEUED


def test_a_job_of_another_client_is_carried_through_by_its_agent(rig: Rig) -> None:
    job = remote_job(rig, launch_immediately=True)
    assert job["status"] == 2 and rig.store.lanes.ticket(job["id"]) is None
    client = rig.store.clients.get(ORGANIZATION, job["client_id"])
    assert client is not None and client.last_seen is None
    assert rig.call("/jobs/list", {"client_id": job["client_id"], "status": 2}).json["meta"]["total"] == 1
    client = rig.store.clients.get(ORGANIZATION, job["client_id"])
    assert client is not None and client.last_seen is not None

    def report(status: int, **more: Any) -> dict[str, Any]:
        data: dict[str, Any] = rig.call("/jobs/update", {"job_id": job["id"], "status": status, **more}).json["data"]
        return data

    assert report(3)["status"] == 3 and rig.job(job["id"]).state is State.SENDING
    assert report(5, error="out of\npaper")["error"] == "out of paper"
    assert report(3)["status"] == 5  # late news
    assert report(4)["status"] == 4  # it came out after all
    events = len(rig.store.jobs.attempts(ORGANIZATION, job["id"]))
    assert report(4)["status"] == 4 and len(rig.store.jobs.attempts(ORGANIZATION, job["id"])) == events
    assert report(2)["status"] == 2 and rig.job(job["id"]).launch == 2
    refused(rig.call("/jobs/update", {"job_id": job["id"], "status": 1}), 422, "status")


def test_a_job_of_another_client_is_not_reported_on_before_its_launch(rig: Rig) -> None:
    job = remote_job(rig)
    for status in (3, 4, 5):
        refused(rig.call("/jobs/update", {"job_id": job["id"], "status": status}), 422, "status")
    assert rig.call("/jobs/update", {"job_id": job["id"], "status": 1}).status == 200


def test_a_job_whose_agent_is_gone_can_be_deleted(rig: Rig) -> None:
    job = remote_job(rig, launch_immediately=True)
    rig.call("/jobs/update", {"job_id": job["id"], "status": 3})
    assert rig.call("/jobs/delete", {"job_id": job["id"]}).json == []


def test_a_job_of_another_dialect_has_a_payload_too(rig: Rig) -> None:
    job = create(rig)
    at(rig, job["id"], State.CREATED, payload=None, dialect="olin")
    payload = rig.call("/jobs/get", {"job_id": job["id"]}).json["data"]["payload"]
    assert json.loads(payload) == {"document_type": "zpl", "copies": "1"}


# --- who may what ---------------------------------------------------------------------------------------------------


def test_a_web_page_sees_and_touches_its_own_jobs_only(rig: Rig) -> None:
    others = create(rig)
    rig.caller = PAGE
    own = create(rig)
    assert [j["id"] for j in rig.call("/jobs/list").json["data"]] == [own["id"]]
    assert rig.call("/jobs/list", {"status": 1}).json["meta"]["total"] == 1
    for path in ("/jobs/get", "/jobs/launch", "/jobs/update", "/jobs/delete"):
        assert refused(rig.call(path, {"job_id": others["id"], "status": 2}), 404) == refused(
            rig.call(path, {"job_id": "nobody", "status": 2}), 404
        ).replace("nobody", others["id"])
        assert rig.call(path, {"job_id": own["id"]}).status == 200
    assert rig.job(others["id"]).state is State.CREATED
    rig.caller = replace(PAGE, key_id=None)
    assert rig.call("/jobs/list").json["data"] == []


def test_a_web_page_does_not_make_a_client_look_alive(rig: Rig) -> None:
    client = rig.add_client("till-4")
    rig.caller = PAGE
    rig.call("/jobs/list", {"client_id": client.id})
    seen = rig.store.clients.get(ORGANIZATION, client.id)
    assert seen is not None and seen.last_seen is None


SCOPES = {
    "jobs": {"/test", "/plans", "/jobs/list", "/jobs/get", "/jobs/create", "/jobs/update", "/jobs/launch",
             "/jobs/delete"},
    "printers": {"/test", "/plans", "/clients/list", "/devices/list"},
    "": set(),
}  # fmt: skip


@pytest.mark.parametrize("scope", list(SCOPES))
def test_a_key_does_what_its_scope_says(rig: Rig, scope: str) -> None:
    rig.caller = Principal(ORGANIZATION, key_id="k", scopes=frozenset(scope.split()))
    for path in [*FIELDS, "/test", "/plans"]:
        if path.startswith("/auth"):
            continue
        answer = rig.call(path, method="GET" if path in ("/test", "/plans") else "POST")
        if path in SCOPES[scope]:
            assert answer.status in (200, 422)
        else:
            assert "scope" in refused(answer, 403)


def test_another_organization_sees_nothing_of_ours(rig: Rig) -> None:
    job = create(rig)
    rig.caller = replace(ADMIN, organization_id="another")
    for kind in ("jobs", "devices", "clients"):
        assert rig.call(f"/{kind}/list").json["data"] == []
    refused(rig.call("/jobs/get", {"job_id": job["id"]}), 404)
    refused(rig.call("/jobs/create", {"device_id": rig.printer.id, "payload": label()}), 404)
    refused(rig.call("/clients/create", {"client_id": rig.me.id, "hostname": "x"}), 409)


def test_login_hands_the_first_key_to_who_has_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path, load("cloudlinker"), caller=None, desk_options={"api_key": "pb_secret", "plan": "pro"})
    answer = rig.call("/auth/login", {"email": "me@shop.example", "password": "pb_secret"})
    assert answer.json == {
        "organization_id": ORGANIZATION, "api_key": "pb_secret", "organization_name": "till-3",
        "plan": {"name": "Pro"},
    }  # fmt: skip
    for wrong in ("pb_secreT", "x", "é", "pb_secret\u0000"):
        answer = rig.call("/auth/login", {"email": "me@shop.example", "password": wrong})
        assert "pb_secret" not in refused(answer, 401)
    refused(rig.call("/auth/register", {"email": "x"}), 403)
    rig.close()


def test_without_a_first_key_nobody_logs_in(rig: Rig) -> None:
    for password in ("None", "x"):
        refused(rig.call("/auth/login", {"email": "x", "password": password}), 401)


def test_plans_and_version_have_the_shape_the_clients_read(rig: Rig) -> None:
    plans = rig.call("/plans", method="GET").json
    assert plans == {"data": [{"id": 1, "name": "Standard"}, {"id": 2, "name": "Pro"}, {"id": 3, "name": "Unlimited"}]}
    version = rig.call("/client/version?platform=linux", method="GET").json
    assert set(version) == {"latest_version", "download_url", "installer_url", "checksum_sha256", "release_notes"}


def test_errors_have_the_shape_the_clients_read(rig: Rig) -> None:
    error = rig.dialect.error
    assert error(BadRequest("no", remedy="do")) == ({"message": "no; do"}, {})
    assert error(Invalid("no", field="copies")) == ({"message": "no", "errors": {"copies": ["no"]}}, {})
    assert error(Invalid("no"))[0]["errors"] == {"request": ["no"]}
    assert error(Conflict("no"))[0] == {"message": "no"} == error(NotFound("no"))[0]
    assert error(TooMany("no", retry_after_s=7))[1] == {"Retry-After": "7"}


def test_only_programs_are_asked_for_a_password(rig: Rig) -> None:
    for headers, asked in (({}, True), ({"Origin": "http://x.example"}, False), ({"Sec-Fetch-Site": "none"}, False)):
        with rig.app.test_request_context("/", headers=headers):
            assert ("WWW-Authenticate" in rig.dialect.error(Unauthorized("no"))[1]) == asked
    assert rig.dialect.error(Unauthorized("no"))[1] == {}


# --- rates ----------------------------------------------------------------------------------------------------------


def test_requests_beyond_the_plan_are_told_when_to_come_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path, load("cloudlinker"), desk_options={"plan": "standard"})
    for number in range(20):
        answer = rig.call("/test", method="GET")
        assert answer.headers["X-RateLimit-Limit"] == "20"
        assert answer.headers["X-RateLimit-Remaining"] == str(19 - number)
    answer = rig.call("/jobs/create", {"device_id": rig.printer.id, "payload": label()})
    refused(answer, 429)
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert rig.jobs() == []
    rig.caller = replace(ADMIN, key_id="another key")
    assert rig.call("/test", method="GET").status == 200
    rig.close()


def test_without_a_plan_there_is_no_limit_and_no_word_of_one(rig: Rig) -> None:
    for _ in range(150):
        answer = rig.call("/test", method="GET")
        assert answer.status == 200 and "X-RateLimit-Limit" not in answer.headers
