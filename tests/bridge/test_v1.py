"""/v1: what comes in, what goes out, and who may. A real store, no workers: queues stay as they are."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import VERSION
from bridge.dialects import load, names
from bridge.model import Job, Options, Picture, Principal, State, Template
from bridge.prepare.pictures import picture
from devices.contracts import Bitmap
from devices.languages import load as language
from tests.bridge.rig import ADMIN, ORGANIZATION, Answer, Rig

ZPL = b"^XA^FO20,20^ADN,36,20^FDhello^FS^XZ"
BOX = language("zpl").encode(Bitmap(16, 2, b"\xff\x00\x00\xff"))
B64 = base64.b64encode(ZPL).decode()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, load("v1"))
    yield rig
    rig.close()


def get(rig: Rig, path: str, **options: Any) -> Answer:
    return rig.call(path, method="GET", **options)


def submit(rig: Rig, **fields: Any) -> Answer:
    return rig.call("/jobs", {"printer": "dock", "document_base64": B64, **fields})


def documents(rig: Rig) -> list[str]:
    return [path.name for path in (rig.folder / "spool" / "documents").iterdir()]


def with_desk(rig: Rig, **changes: Any) -> None:
    """The same bridge with another answer to a question."""
    rig.desk = replace(rig.desk, **changes)
    rig.app = rig._app()


# ---- the bridge -------------------------------------------------------------------------------------------------


def test_hello_needs_no_key_and_names_no_printer(rig: Rig) -> None:
    rig.caller = None
    answer = get(rig, "/hello")
    assert answer.json == {
        "product": "print-bridge", "version": VERSION, "api": ["v1"], "dialects": list(names()), "ws": None
    }  # fmt: skip
    assert "GET /hello" in load("v1").public


def test_health_is_503_as_soon_as_something_is_not_alive(rig: Rig) -> None:
    assert get(rig, "/health").status == 200
    with_desk(rig, health=lambda: {"status": "degraded", "loops": {"fetch": False}})
    answer = get(rig, "/health")
    assert (answer.status, answer.json["loops"]) == (503, {"fetch": False})


def test_events_come_in_order_after_the_one_already_seen(rig: Rig) -> None:
    first = submit(rig).json["id"]
    seen = get(rig, "/events").json
    assert [(e["job_id"], e["state"]) for e in seen["events"]] == [(first, "queued")]
    rig.call(f"/jobs/{first}/cancel")
    later = get(rig, f"/events?after={seen['last']}").json
    assert [e["state"] for e in later["events"]] == ["cancelled"]
    assert get(rig, f"/events?after={later['last']}").json == {"events": [], "last": later["last"]}


# ---- printers ---------------------------------------------------------------------------------------------------


def test_a_printer_says_how_it_is_by_id_and_by_name(rig: Rig) -> None:
    submit(rig)
    expected = {
        "id": rig.printer.id, "name": "dock", "client_id": rig.me.id, "state": "idle", "reasons": [], "text": "",
        "paused": False, "waiting": 1,
    }  # fmt: skip
    assert get(rig, "/printers").json == {"printers": [expected]}
    assert get(rig, "/printers/dock").json == get(rig, f"/printers/{rig.printer.id}").json == expected


def test_pausing_says_so_and_resuming_takes_it_back(rig: Rig) -> None:
    paused = rig.call("/printers/dock/pause", {"reason": "new roll"}).json
    assert (paused["state"], paused["reasons"], paused["paused"]) == ("stopped", ["paused"], True)
    assert paused["text"] == "paused: new roll; resume it to go on printing"
    resumed = rig.call("/printers/dock/resume").json
    assert (resumed["state"], resumed["reasons"], resumed["text"]) == ("idle", [], "")


def test_a_printer_of_another_machine_has_no_state_here(rig: Rig) -> None:
    other = rig.add_client("till-4")
    device = rig.store.devices.add(ORGANIZATION, other.id, "far")
    answer = get(rig, f"/printers/{device.id}").json
    assert (answer["state"], answer["client_id"]) == (None, other.id)
    assert "another machine" in answer["text"]


def test_an_unknown_printer_is_a_404_that_names_the_field(rig: Rig) -> None:
    answer = get(rig, "/printers/nowhere")
    assert answer.status == 404
    assert answer.json["error"]["code"] == "not_found"
    assert answer.json["error"]["field"] == "printer"
    assert submit(rig, printer="nowhere").status == 404


# ---- three ways to hand in a job --------------------------------------------------------------------------------


def test_json_with_a_document_in_base64(rig: Rig) -> None:
    answer = submit(rig, title="Parcel", copies="3", priority=5, options={"rotate": 90, "fit": "none"})
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    job = rig.job(answer.json["id"])
    assert (job.title, job.copies, job.priority, job.state, job.kind) == ("Parcel", 3, 5, State.QUEUED, "zpl")
    assert Options.from_json(job.options) == Options(rotate=90, fit="none")
    assert rig.store.jobs.body(ORGANIZATION, job.id) == ZPL


def test_json_with_a_url_or_a_template(rig: Rig) -> None:
    by_url = rig.call("/jobs", {"printer": rig.printer.id, "document_url": "http://files.example/a.pdf"})
    assert rig.job(by_url.json["id"]).url == "http://files.example/a.pdf"
    by_template = rig.call("/jobs", {"printer": "dock", "template": "test-4x6", "fields": {"printer": "dock"}})
    body = rig.store.jobs.body(ORGANIZATION, by_template.json["id"])
    assert body is not None
    assert Template.from_json(body) == Template("test-4x6", {"printer": "dock"})


def test_a_form_with_a_file(rig: Rig) -> None:
    form = {"printer": "dock", "copies": "2", "rotate": "180", "dither": "true", "file": (io.BytesIO(ZPL), "a.zpl")}
    answer = rig.call("/jobs", content_type="multipart/form-data", data=form)
    assert answer.status == 201, answer
    job = rig.job(answer.json["id"])
    assert job.copies == 2
    assert Options.from_json(job.options) == Options(rotate=180, dither=True)


def test_a_form_with_a_template_gives_its_fields_as_json(rig: Rig) -> None:
    form = {"printer": "dock", "template": "test-4x6", "fields": '{"printer": "dock"}'}
    answer = rig.call("/jobs", content_type="multipart/form-data", data=form)
    body = rig.store.jobs.body(ORGANIZATION, answer.json["id"])
    assert body is not None
    assert Template.from_json(body).fields == {"printer": "dock"}


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "application/pdf", "text/plain", "application/x-www-form-urlencoded"]
)
def test_the_document_itself_with_the_words_in_the_query(rig: Rig, content_type: str) -> None:
    answer = rig.call("/jobs?printer=dock&copies=2&title=A%20B&launch=false", content_type=content_type, data=ZPL)
    assert answer.status == 201, answer
    job = rig.job(answer.json["id"])
    assert (job.copies, job.title, job.state) == (2, "A B", State.CREATED)
    assert rig.store.jobs.body(ORGANIZATION, job.id) == ZPL


def test_a_large_document_goes_to_the_disk_and_arrives_whole(rig: Rig) -> None:
    large = ZPL * 20_000
    answer = rig.call("/jobs?printer=dock", content_type="application/octet-stream", data=large)
    assert rig.store.spool.document(answer.json["id"]).read_bytes() == large
    # Written out, as Werkzeug's test client leaves the temporary file of a large form open.
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.zpl"\r\n\r\n'
    form = head + large + b"\r\n--x--\r\n"
    answer = rig.call("/jobs?printer=dock", content_type="multipart/form-data; boundary=x", data=form)
    assert rig.store.spool.document(answer.json["id"]).read_bytes() == large


def test_a_large_document_that_is_refused_leaves_nothing_behind(rig: Rig) -> None:
    answer = rig.call("/jobs?printer=dock", content_type="application/octet-stream", data=b"\0" * 300_000)
    assert answer.status == 422
    assert documents(rig) == []


def test_json_is_understood_whatever_it_is_called(rig: Rig) -> None:
    body = f'{{"printer": "dock", "document_base64": "{B64}"}}'
    for content_type in ("application/x-www-form-urlencoded", "text/plain", ""):
        assert rig.call("/jobs", content_type=content_type, data=body).status == 201


def test_the_same_idempotency_key_is_the_same_job(rig: Rig) -> None:
    key = {"Idempotency-Key": "order-7"}
    first = rig.call("/jobs", {"printer": "dock", "document_base64": B64}, headers=key)
    again = rig.call("/jobs", {"printer": "dock", "document_base64": B64}, headers=key)
    other = rig.call("/jobs", {"printer": "dock", "document_base64": B64, "copies": 2}, headers=key)
    assert (first.status, again.status, other.status) == (201, 200, 409)
    assert first.json["id"] == again.json["id"]
    assert len(rig.jobs()) == 1


# ---- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"copies": 0}, "copies", "greater than or equal to 1"),
        ({"copies": 1000}, "copies", "999"),
        ({"copies": True}, "copies", "integer"),
        ({"copies": 2.0}, "copies", "integer"),
        ({"copies": "two"}, "copies", "integer"),
        ({"copies": None}, "copies", "integer"),
        ({"title": 7}, "title", "string"),
        ({"options": {"rotate": 45}}, "options.rotate", "90"),
        ({"options": {"fit": "fill"}}, "options.fit", "shrink"),
        ({"options": {"color": True}}, "options.color", "unknown key"),
        ({"options": 5}, "options", "dictionary"),
        ({"launch": "perhaps"}, "launch", "boolean"),
        ({"printers": "x"}, "printers", "unknown key"),
        ({"document_base64": "%%%"}, "document_base64", "not base64"),
        ({"document_base64": "é"}, "document_base64", "not base64"),
        ({"document_base64": ""}, "document", "empty"),
        ({"document_url": "http://files.example/a.pdf"}, "document_url", "document_base64 and document_url"),
        ({"document_base64": None}, "document_base64", "no document"),
        ({"fields": {"a": "b"}}, "fields", "template"),
        ({"fields": {"a": 1}}, "fields.a", "string"),
        ({"document_type": "docx"}, "document_type", "docx"),
    ],
)
def test_a_wrong_value_is_refused_by_name(rig: Rig, wrong: dict[str, Any], field: str, text: str) -> None:
    answer = submit(rig, **wrong)
    assert answer.status == 422, answer
    assert answer.json["error"]["code"] == "invalid"
    assert answer.json["error"]["field"] == field
    assert text in answer.json["error"]["text"]
    assert rig.jobs() == []


def test_an_unknown_key_is_answered_with_those_there_are(rig: Rig) -> None:
    assert "copies" in submit(rig, copys=2).json["error"]["remedy"]
    assert "rotate" in submit(rig, options={"rotated": 90}).json["error"]["remedy"]
    assert "limit" in get(rig, "/jobs?limits=3").json["error"]["remedy"]


def test_the_document_itself_without_a_printer_says_where_to_name_it(rig: Rig) -> None:
    answer = rig.call("/jobs", content_type="application/octet-stream", data=ZPL)
    assert (answer.status, answer.json["error"]["field"]) == (422, "printer")


def test_two_files_are_two_jobs(rig: Rig) -> None:
    form = {"printer": "dock", "a": (io.BytesIO(ZPL), "a"), "b": (io.BytesIO(ZPL), "b")}
    answer = rig.call("/jobs", content_type="multipart/form-data", data=form)
    assert (answer.status, answer.json["error"]["field"]) == (422, "file")


def test_broken_json_is_a_400_in_our_shape(rig: Rig) -> None:
    answer = rig.call("/jobs", b'{"printer": ')
    assert answer.status == 400
    assert set(answer.json["error"]) == {"code", "text", "remedy"}


# ---- jobs -------------------------------------------------------------------------------------------------------


def test_jobs_are_listed_newest_first_with_filters(rig: Rig) -> None:
    rig.add_printer("desk")
    ids = [submit(rig, printer=name).json["id"] for name in ("dock", "desk", "dock")]
    rig.call(f"/jobs/{ids[0]}/cancel")
    listed = get(rig, "/jobs").json
    assert ([job["id"] for job in listed["jobs"]], listed["total"]) == (ids[::-1], 3)
    assert [job["id"] for job in get(rig, "/jobs?printer=dock&state=queued,held").json["jobs"]] == [ids[2]]
    page = get(rig, "/jobs?limit=1&offset=1").json
    assert ([job["id"] for job in page["jobs"]], page["total"]) == ([ids[1]], 3)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "offset=-1", "state=lost", "limit=ten", "offset=" + "9" * 40]
)
def test_a_wrong_filter_is_refused(rig: Rig, query: str) -> None:
    assert get(rig, f"/jobs?{query}").status == 422


def test_a_job_tells_its_whole_story(rig: Rig) -> None:
    job_id = submit(rig).json["id"]
    job = rig.job(job_id)
    attempt = rig.store.jobs.begin_attempt(job, bytes_total=len(ZPL), pages=None)()
    assert attempt is not None
    rig.store.jobs.end_attempt(
        job, attempt, State.DELIVERED, bytes_sent=len(ZPL), evidence="closed", text="the printer took all"
    )()
    told = get(rig, f"/jobs/{job_id}").json
    assert (told["state"], told["evidence"]) == ("delivered", "closed")
    assert [step["state"] for step in told["timeline"]] == ["queued", "sending", "delivered"]
    assert told["timeline"][0]["ms"] == 0
    assert all(step["ms"] >= 0 for step in told["timeline"])
    assert [(a["bytes_sent"], a["result"]) for a in told["attempts"]] == [(len(ZPL), "delivered")]


def test_a_waiting_job_shows_its_progress(rig: Rig) -> None:
    job_id = submit(rig, copies=4).json["id"]
    ticket = rig.store.lanes.ticket(job_id)
    assert ticket is not None
    ticket.progress.bytes_sent, ticket.progress.bytes_total = 10, 40
    progress = get(rig, f"/jobs/{job_id}").json["progress"]
    assert (progress["bytes_sent"], progress["bytes_total"], progress["labels_total"]) == (10, 40, 4)


def test_reading_changes_nothing(rig: Rig) -> None:
    job_id = submit(rig).json["id"]
    before = rig.store.events.after(ORGANIZATION, 0)
    for path in ("/jobs", f"/jobs/{job_id}", "/printers", "/printers/dock", "/health", "/hello", "/events"):
        assert get(rig, path).status == 200
    assert rig.store.events.after(ORGANIZATION, 0) == before


def unconfirmed(rig: Rig) -> Job:
    job = rig.job(submit(rig).json["id"])
    attempt = rig.store.jobs.begin_attempt(job, bytes_total=len(ZPL), pages=None)()
    assert attempt is not None
    rig.store.jobs.end_attempt(
        job, attempt, State.UNCONFIRMED, bytes_sent=3, evidence=None, text="the label may have printed"
    )()
    return rig.job(job.id)


@pytest.mark.parametrize(("answer", "state"), [("printed", "delivered"), ("again", "queued"), ("cancel", "cancelled")])
def test_a_person_answers_for_an_unconfirmed_job(rig: Rig, answer: str, state: str) -> None:
    job = unconfirmed(rig)
    assert rig.call(f"/jobs/{job.id}/launch").status == 409
    assert rig.call(f"/jobs/{job.id}/resolve", {"answer": "maybe"}).json["error"]["field"] == "answer"
    assert rig.call(f"/jobs/{job.id}/resolve", {"answer": answer}).json["state"] == state
    assert rig.call(f"/jobs/{job.id}/resolve", {"answer": answer}).status == 409


def test_cancelling_and_launching_again(rig: Rig) -> None:
    job_id = submit(rig, launch=False).json["id"]
    assert rig.call(f"/jobs/{job_id}/launch").json["state"] == "queued"
    assert rig.call(f"/jobs/{job_id}/cancel").json["state"] == "cancelled"
    assert rig.call(f"/jobs/{job_id}/launch").json["launch"] == 2


def test_labels_are_pictures_counted_from_one(rig: Rig) -> None:
    def drawn(job: Job, number: int) -> Picture | None:
        body = rig.store.jobs.body(ORGANIZATION, job.id)
        return picture([body or b""], number, "zpl")

    with_desk(rig, picture=drawn)
    job_id = submit(rig, document_base64=base64.b64encode(BOX + ZPL).decode()).json["id"]
    first = get(rig, f"/jobs/{job_id}/labels/1.png")
    assert (first.status, first.headers["Content-Type"]) == (200, "image/png")
    second = get(rig, f"/jobs/{job_id}/labels/2.png")
    assert (second.status, second.json["error"]["code"]) == (404, "not_drawable")
    assert "^FDhello" in second.json["error"]["text"]
    for number in (0, 3):
        assert get(rig, f"/jobs/{job_id}/labels/{number}.png").json["error"]["code"] == "no_such_label"


# ---- who may ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ({"admin"}, {"/health", "/events", "/printers", "/jobs"}),
        ({"jobs"}, {"/jobs"}),
        ({"printers"}, {"/printers"}),
        ({"jobs", "printers"}, {"/jobs", "/printers"}),
        (set(), set()),
    ],
)
def test_a_key_opens_what_its_scopes_say(rig: Rig, scopes: set[str], allowed: set[str]) -> None:
    rig.caller = Principal(ORGANIZATION, key_id="k", scopes=frozenset(scopes))
    paths = {"/health", "/events", "/printers", "/jobs"}
    assert {path for path in paths if get(rig, path).status == 200} == allowed
    for path in paths - allowed:
        assert get(rig, path).json["error"]["code"] == "forbidden"


def test_a_refusal_names_the_scope_that_is_missing(rig: Rig) -> None:
    rig.caller = Principal(ORGANIZATION, key_id="k", scopes=frozenset({"printers"}))
    assert "scope admin" in rig.call("/printers/dock/pause").json["error"]["text"]
    assert "scope jobs" in submit(rig).json["error"]["text"]


def test_a_web_page_sees_its_own_jobs_and_no_others(rig: Rig) -> None:
    shop = Principal(ORGANIZATION, "shop key", frozenset({"jobs"}), origin="https://shop.example")
    rig.caller = shop
    mine = submit(rig).json["id"]
    rig.caller = replace(shop, key_id="other key", origin="https://other.example")
    theirs = submit(rig).json["id"]
    assert [job["id"] for job in get(rig, "/jobs").json["jobs"]] == [theirs]
    reading, acting = ("", "/labels/1.png"), ("/cancel", "/launch", "/resolve")
    for path, method in [(f"/jobs/{mine}{p}", "GET") for p in reading] + [(f"/jobs/{mine}{p}", "POST") for p in acting]:
        stolen = rig.call(path, method=method)
        absent = rig.call(path.replace(mine, "0" * 36), method=method)
        assert stolen.status == absent.status == 404
        assert stolen.json["error"]["text"].replace(mine, "") == absent.json["error"]["text"].replace("0" * 36, "")
    rig.caller = ADMIN
    assert get(rig, "/jobs").json["total"] == 2
