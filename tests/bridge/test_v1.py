"""/v1: what comes in, what goes out, and who may. A real store, no workers: queues stay as they are."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import VERSION
from bridge.config import PrinterConfig
from bridge.dialects import load, names
from bridge.dialects.v1.table import ROUTES
from bridge.dialects.v1.wishes import NewPrinter, PrinterChanges, understood
from bridge.errors import BridgeError, Invalid, TooMany, Unavailable
from bridge.model import EVERYTHING, Job, Options, Picture, Principal, State, Template
from bridge.prepare.pictures import picture
from bridge.web.mounts import Paths
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
        "paused": False, "waiting": 1, "evidence": None, "held": 0, "from_config": True, "lent": False,
        "settings": None,
    }  # fmt: skip
    assert get(rig, "/printers").json == {"printers": [expected]}
    assert get(rig, "/printers/dock").json == get(rig, f"/printers/{rig.printer.id}").json == expected


def test_pausing_says_so_and_resuming_takes_it_back(rig: Rig) -> None:
    paused = rig.call("/printers/dock/pause", {"reason": "new roll"}).json
    assert (paused["state"], paused["reasons"], paused["paused"]) == ("stopped", ["paused"], True)
    assert paused["text"] == "paused: new roll; resume it to go on printing"
    resumed = rig.call("/printers/dock/resume").json
    assert (resumed["state"], resumed["reasons"], resumed["text"]) == ("idle", [], "")


def test_a_printer_of_another_machine_is_as_that_one_said_while_it_is_there(rig: Rig) -> None:
    other = rig.add_client("till-4")
    device = rig.store.devices.add(ORGANIZATION, other.id, "far")

    def shown(reported: str | None = None) -> tuple[Any, ...]:
        rig.store.devices.update(ORGANIZATION, device.id, reported=reported)
        listed, one = get(rig, "/printers").json["printers"][1], get(rig, f"/printers/{device.id}").json
        assert listed == one and one["client_id"] == other.id
        return one["state"], one["reasons"], one["text"]

    assert shown() == ("stopped", ["offline"], "till-4 is not connected; its jobs wait until it is")
    rig.control.seen(ORGANIZATION, other.id)
    assert shown() == (None, [], "")  # nobody says more
    assert shown('{"status": "Online"}') == ("idle", [], "")
    assert shown('{"status": "printing"}') == ("processing", [], "")
    assert shown('{"state": "error"}') == ("stopped", ["other"], "till-4 says that it is error")
    assert shown('{"status": "low toner"}') == (None, [], "till-4 says of it: low toner")
    for nonsense in ("{", "[1]", '{"status": ["x"]}', '{"status": {}}', '{"status": 5}', "[" * 100_000):
        assert shown(nonsense) == (None, [], "")
    assert "does not name it any more" in shown('{"status": "offline", "away": true}')[2]
    assert get(rig, f"/printers/{device.id}").json["waiting"] == 0
    assert submit(rig, printer=device.id).status == 201
    assert get(rig, f"/printers/{device.id}").json["waiting"] == 1
    rig.control.pause(ORGANIZATION, device.id, "")
    assert shown('{"status": "online"}') == ("stopped", ["paused"], "paused; resume it to go on printing")


def test_an_unknown_printer_is_a_404_that_names_the_field(rig: Rig) -> None:
    answer = get(rig, "/printers/nowhere")
    assert answer.status == 404
    assert answer.json["error"]["code"] == "not_found"
    assert answer.json["error"]["field"] == "printer"
    assert submit(rig, printer="nowhere").status == 404


def test_a_printer_is_added_changed_and_removed(rig: Rig) -> None:
    key = {"Idempotency-Key": "spare"}
    wish = {"name": "spare", "uri": "virtual://spare", "width_mm": 50}
    added = rig.call("/printers", wish, headers=key)
    assert (added.status, added.headers["Location"]) == (201, f"/v1/printers/{added.json['id']}")
    assert added.json["settings"] == wish and not added.json["from_config"]
    assert rig.call("/printers", wish, headers=key).status == 200
    assert rig.call("/printers", {**wish, "dpi": 300}, headers=key).json["error"]["code"] == "idempotency_key_reused"
    assert rig.call("/printers", wish).json["error"]["code"] == "name_taken"
    changed = rig.call("/printers/spare", {"height_mm": None}, method="PATCH").json
    assert changed["settings"] == {**wish, "height_mm": None}
    submit(rig, printer="spare")
    assert rig.call("/printers/spare", method="DELETE").json["error"]["code"] == "has_jobs"
    assert rig.call("/printers/spare?jobs=cancel", method="DELETE").status == 204
    assert rig.call("/printers", wish, headers=key).json["error"]["code"] == "printer_removed"
    assert rig.call("/printers/dock", {"dpi": 300}, method="PATCH").json["error"]["code"] == "from_config"


def test_only_who_may_change_a_printer_sees_how_it_is_reached(rig: Rig) -> None:
    rig.call("/printers", {"name": "spare", "uri": "tcp://user:hush@printer.local"})
    rig.caller = Principal(ORGANIZATION, key_id="k", scopes=frozenset({"printers"}))
    answer = get(rig, "/printers/spare")
    assert answer.json["settings"] is None and "hush" not in str(answer)


def test_a_new_printer_knows_every_key_of_the_configuration() -> None:
    """The wish is written by itself, because it is stricter; here is what keeps the two alike."""
    ours, theirs = (model.model_json_schema()["properties"] for model in (NewPrinter, PrinterConfig))
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].get("default") == theirs[name].get("default"), name
        for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum"):
            assert ours[name].get(bound) == theirs[name].get(bound), (name, bound)
    assert PrinterChanges.model_fields.keys() == NewPrinter.model_fields.keys() - {"id"}


# ---- keys and origins -------------------------------------------------------------------------------------------


def test_a_new_key_is_shown_once(rig: Rig) -> None:
    wish, header = {"name": "shop", "scopes": ["jobs"], "origins": ["https://shop.example"]}, {"Idempotency-Key": "k"}
    made = rig.call("/keys", wish, headers=header)
    assert made.status == 201 and made.json["key"].startswith("pb_")
    assert rig.ring.find(made.json["key"]) is not None
    again = rig.call("/keys", wish, headers=header)
    assert (again.status, again.json["key"], again.json["id"]) == (200, None, made.json["id"])
    listed = get(rig, "/keys").json["keys"]
    assert [key["id"] for key in listed] == [made.json["id"]] and "key" not in listed[0]
    assert made.json["key"] not in str(get(rig, "/keys"))


def test_origins_are_bound_and_unbound(rig: Rig) -> None:
    key = rig.call("/keys", {"name": "shop"}).json["id"]
    bound = rig.call("/origins", {"origin": "https://shop.example", "key": key}).json
    assert bound["origins"] == ["https://shop.example"]
    assert get(rig, "/origins").json == {
        "origins": [{"origin": "https://shop.example", "keys": [{"id": key, "name": "shop"}]}]
    }
    assert rig.call("/origins?origin=https://shop.example", method="DELETE").status == 204
    assert get(rig, "/origins").json == {"origins": []}
    assert rig.call("/origins?origin=https://shop.example", method="DELETE").status == 404


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


def test_a_held_job_waits_until_it_is_released(rig: Rig) -> None:
    job = submit(rig, hold=True).json
    assert (job["state"], job["reason"]) == ("held", "release")
    assert get(rig, "/jobs?reason=release").json["total"] == 1
    assert get(rig, "/jobs?reason=stale").json["total"] == 0
    assert get(rig, "/printers/dock").json["held"] == 1
    assert rig.call(f"/jobs/{job['id']}/release").json["state"] == "queued"
    assert rig.call(f"/jobs/{job['id']}/release").json["error"]["code"] == "not_held"
    assert rig.call(f"/jobs/{job['id']}/hold").json["state"] == "held"


def test_all_held_jobs_are_released_or_discarded_at_once(rig: Rig) -> None:
    rig.add_printer("desk")
    for name in ("dock", "dock", "desk"):
        submit(rig, printer=name, hold=True)
    assert rig.call("/jobs/release", {"printer": "desk"}).json == {"released": 1}
    assert rig.call("/jobs/release", {"reason": "stale"}).json == {"released": 0}
    assert rig.call("/jobs/discard", {"reason": "release"}).json == {"discarded": 2}


def test_a_job_moves_to_another_printer_before_it_is_sent(rig: Rig) -> None:
    rig.add_printer("desk")
    job_id = submit(rig).json["id"]
    assert rig.call(f"/jobs/{job_id}/move", {"printer": "desk"}).json["printer"] == "desk"
    assert get(rig, "/printers/desk").json["waiting"] == 1
    assert rig.call(f"/jobs/{job_id}/move", {"printer": "nowhere"}).status == 404


def test_a_reprint_is_a_new_job_that_says_so(rig: Rig) -> None:
    first = submit(rig, copies=3).json
    key = {"Idempotency-Key": "again"}
    again = rig.call(f"/jobs/{first['id']}/reprint", {"copies": 1}, headers=key)
    assert again.status == 201
    assert (again.json["reprint_of"], again.json["possible_duplicate"], again.json["copies"]) == (first["id"], True, 1)
    assert rig.call(f"/jobs/{first['id']}/reprint", {"copies": 1}, headers=key).status == 200
    assert rig.call(f"/jobs/{first['id']}/reprint", {"copies": 2}, headers=key).status == 409


def test_jobs_are_found_by_a_part_of_their_title(rig: Rig) -> None:
    for title in ("Parcel 1", "Parcel 2", "100 %"):
        submit(rig, title=title)
    assert get(rig, "/jobs?q=parcel").json["total"] == 2
    assert [job["title"] for job in get(rig, "/jobs?q=%25").json["jobs"]] == ["100 %"]


@pytest.mark.parametrize(
    ("words", "expires"),
    [
        ({"expires_at": 4_000_000_000}, 4e9), ({"expires_at": "4000000000"}, 4e9),
        ({"expires_at": "2096-10-02T07:06:40Z"}, 4e9), ({"expires_at": "2096-10-02T09:06:40+02:00"}, 4e9),
    ],
)  # fmt: skip
def test_a_job_may_have_an_end(rig: Rig, words: dict[str, Any], expires: float) -> None:
    assert submit(rig, **words).json["expires_at"] == expires


def test_an_end_in_so_many_seconds_stays_the_same_when_the_request_is_repeated(rig: Rig) -> None:
    key = {"Idempotency-Key": "order-8"}
    body = {"printer": "dock", "document_base64": B64, "expires_in_s": 60}
    first, again = (rig.call("/jobs", body, headers=key) for _ in range(2))
    assert (first.status, again.status) == (201, 200)
    assert again.json["expires_at"] == first.json["expires_at"] == pytest.approx(first.json["created_at"] + 60, abs=2)
    assert rig.call("/jobs", {**body, "expires_in_s": 61}, headers=key).status == 409


def test_the_test_label_of_one_idempotency_key_is_one_job(rig: Rig) -> None:
    key = {"Idempotency-Key": "test-1"}
    first = rig.call("/printers/dock/test", headers=key)
    assert (first.status, first.json["kind"]) == (201, "template")
    time.sleep(1.1)  # its time is printed on it
    again = rig.call("/printers/dock/test", headers=key)
    assert (again.status, again.json["id"]) == (200, first.json["id"])
    assert rig.call("/printers/dock/test").status == 201


def test_an_ended_job_still_says_what_was_done(rig: Rig) -> None:
    job = rig.job(submit(rig, copies=2).json["id"])
    attempt = rig.store.jobs.begin_attempt(job, bytes_total=80, pages=None)()
    assert attempt is not None
    rig.store.jobs.end_attempt(job, attempt, State.DELIVERED, bytes_sent=80, evidence="closed", text="")()
    ticket = rig.store.lanes.ticket(job.id)
    assert ticket is not None
    ticket.leased = True
    rig.store.lanes.leave(ticket)
    expected = {"pages_rendered": 0, "pages_total": None, "bytes_sent": 80, "bytes_total": 80, "labels_sent": 2,
                "labels_total": 2, "labels_printed": None}  # fmt: skip
    assert get(rig, f"/jobs/{job.id}").json["progress"] == expected
    assert get(rig, "/jobs").json["jobs"][0]["progress"] == expected


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
    shop = Principal(
        ORGANIZATION, "shop key", frozenset({"jobs"}), origin="https://shop.example", grants=EVERYTHING
    )
    rig.caller = shop
    mine = submit(rig).json["id"]
    rig.caller = replace(shop, key_id="other key", origin="https://other.example")
    theirs = submit(rig).json["id"]
    assert [job["id"] for job in get(rig, "/jobs").json["jobs"]] == [theirs]
    words = {"/resolve": {"answer": "again"}, "/move": {"printer": "dock"}}
    acting = ("/cancel", "/launch", "/resolve", "/hold", "/release", "/move", "/reprint")
    for path, method in [(p, "GET") for p in ("", "/labels/1.png")] + [(p, "POST") for p in acting]:
        stolen = rig.call(f"/jobs/{mine}{path}", words.get(path), method=method)
        absent = rig.call(f"/jobs/{'0' * 36}{path}", words.get(path), method=method)
        assert stolen.status == absent.status == 404
        assert stolen.json["error"]["text"].replace(mine, "") == absent.json["error"]["text"].replace("0" * 36, "")
    rig.caller = ADMIN
    assert get(rig, "/jobs").json["total"] == 2


def test_a_page_may_call_what_is_open_to_pages_and_nothing_else(rig: Rig) -> None:
    """Even with a key that may do everything: such a key must not be in a page, but may happen to be."""
    rig.caller = Principal(ORGANIZATION, "page", frozenset({"admin"}), origin="https://shop.example")
    for route in ROUTES:
        path = route.path.replace("<int:number>", "1").replace("<printer>", "dock")
        answer = rig.call(path.replace("<job_id>", "x").replace("<key_id>", "x"), method=route.method)
        closed = answer.status == 403 and answer.json["error"]["code"] == "origin_not_allowed"
        assert closed != route.web, (route.path, answer)


def test_every_route_that_is_open_to_pages_passes_the_guard() -> None:
    doors = Paths(load("v1").web)
    for route in ROUTES:
        if route.web and route.scope != "none":
            assert route.method in doors.methods(route.path), route.path
    assert {f"{route.method} {route.path}" for route in ROUTES if route.scope == "none"} == load("v1").public


# ---- errors -----------------------------------------------------------------------------------------------------


def kinds(kind: type[BridgeError]) -> Iterator[type[BridgeError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__.startswith("bridge."):
            yield from kinds(each)


@pytest.mark.parametrize("kind", sorted(kinds(BridgeError), key=lambda kind: kind.__name__), ids=lambda k: k.__name__)
def test_no_error_leaves_the_caller_without_a_remedy(kind: type[BridgeError]) -> None:
    error = kind("x", retry_after_s=3) if issubclass(kind, TooMany) else kind("x")
    said = load("v1").error(error)[0]["error"]
    assert said["code"] and said["text"].endswith("x") and len(said["remedy"]) > 20


def test_what_is_busy_says_when_to_come_back() -> None:
    assert load("v1").error(Unavailable("x"))[1] == {"Retry-After": "5"}


@pytest.mark.parametrize(("path", "word", "said"), [
    ("/organizations", "id", "8 to 64 letters, digits and hyphens, beginning with a letter or digit"),
    ("/printers", "id", "1 to 64 letters, digits, dots, dashes and underscores, beginning with a letter or digit"),
    ("/keys", "organization", "1 to 64 letters, digits and hyphens"),
    ("/webhooks", "secret", "letters, digits and signs of ASCII"),
    ("/jobs", "options", "one page, as 2, or several, as 2-5"),
])  # fmt: skip
def test_a_form_that_a_word_must_have_is_said_in_words(path: str, word: str, said: str) -> None:
    (wish,) = [route.wish for route in ROUTES if (route.method, route.path) == ("POST", path)]
    example = {"url": "https://x.example", "events": ["all"], "name": "x", "uri": "virtual://x", "printer": "x"}
    words = {name: value for name, value in example.items() if name in wish.model_fields}
    with pytest.raises(Invalid) as caught:
        understood(wish, {**words, word: {"pages": "ü!"} if word == "options" else "ü!"})
    assert caught.value.text == f"{caught.value.field}: must be {said}"
    assert caught.value.field == ("options.pages" if word == "options" else word)
