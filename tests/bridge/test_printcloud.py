"""The PrintCloud dialect: what its documentation leaves open, who may do what, and what is refused how."""

from __future__ import annotations

import base64
import copy
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge import presence
from bridge.access.people import People
from bridge.access.secrets import Secrets
from bridge.dialects import load
from bridge.dialects.printcloud import handover
from bridge.dialects.printcloud.account import LOGINS
from bridge.dialects.printcloud.openapi import document
from bridge.dialects.printcloud.table import ROUTES
from bridge.dialects.printcloud.webhooks import Messages
from bridge.dialects.printcloud.words import PERMISSIONS, STATES, own_id, printer_state, shown_id
from bridge.errors import BridgeError, Conflict, DiskLow, Forbidden, Internal, Invalid, TooMany, Unauthorized
from bridge.intake import openapi
from bridge.model import EVERYTHING, Device, Event, Principal, State
from bridge.outbound.places import FetchRules
from bridge.report.webhooks import Courier, Hooks
from devices.contracts import Reason
from tests.bridge.rig import ADMIN, ORGANIZATION, Answer, Rig
from tests.bridge.shop import until
from tests.bridge.test_webhooks import Receiver
from tests.serving import Serve, printer

ZPL = base64.b64encode(b"^XA^FO10,10^FDhello^FS^XZ").decode()
NOBODY = "0197e0aa-e9f3-7168-8504-ccffa0052376"
OTHER = "other-organization"
PAGE = Principal(
    ORGANIZATION, key_id="shop key", scopes=frozenset({"jobs", "printers"}), origin="https://shop.example",
    grants=EVERYTHING,
)  # fmt: skip
OPENAPI = document()
RULES = FetchRules(own_ports=frozenset(), connect_s=1)


def with_permission(permission: str, **more: Any) -> Principal:
    return Principal(ORGANIZATION, key_id=permission, scopes=PERMISSIONS[permission], grants=EVERYTHING, **more)


def house(folder: Path, **options: Any) -> Rig:
    """A rig that knows people and sends webhooks."""
    rig = Rig(folder, load("printcloud"), desk_options=options)
    rig.desk = replace(rig.desk, people=People(rig.store, rig.ring), hooks=post_office(rig, Secrets(folder)))
    rig.app = rig._app()
    return rig


def post_office(rig: Rig, secrets: Secrets) -> Hooks:
    return Hooks(rig.store, secrets, {"printcloud": Messages()}, lambda: RULES)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = house(tmp_path)
    yield rig
    rig.close()


def get(rig: Rig, path: str) -> Any:
    answer = rig.call(path, method="GET")
    assert answer.status == 200, answer
    return answer.json


def wish(rig: Rig, **more: Any) -> dict[str, Any]:
    return {"printerId": rig.printer.id, "contentType": "raw_base64", "content": ZPL, **more}


def make(rig: Rig, **more: Any) -> str:
    answer = rig.call("/printjobs", wish(rig, **more))
    assert answer.status == 201 and answer.json.startswith("pj_"), answer
    job: str = answer.json
    return job


def stored(rig: Rig, job: str) -> Any:
    return rig.job(own_id("pj_", job))


def refused(answer: Answer, status: int, code: str) -> str:
    """Hold a refusal to the one form all of them have, and give its message."""
    assert (answer.status, answer.json and answer.json.get("code")) == (status, code), answer
    assert answer.headers["Content-Type"] == "application/json" and set(answer.json) == {"code", "message"}
    text: str = answer.json["message"]
    assert text
    return text


def elsewhere(rig: Rig, name: str = "counter", reported: dict[str, Any] | None = None, **columns: Any) -> Device:
    """A printer of another computer."""
    client = rig.add_client("Office-PC")
    rig.store.clients.update(ORGANIZATION, client.id, os="Windows", **columns)
    device = rig.store.devices.add(ORGANIZATION, client.id, name)
    if reported is not None:
        rig.store.devices.update(ORGANIZATION, device.id, reported=json.dumps(reported))
    found = rig.store.devices.get(ORGANIZATION, device.id)
    assert found is not None
    return found


# ---- jobs -------------------------------------------------------------------------------------------------------


def test_a_job_is_durable_and_its_id_is_all_that_is_said(rig: Rig) -> None:
    job = stored(rig, make(rig, title="Shipping Label"))
    assert (job.dialect, job.title, job.copies, job.state) == ("printcloud", "Shipping Label", 1, State.QUEUED)
    assert (job.declared, job.kind, job.key_id) == ("raw", "zpl", "admin key")
    assert stored(rig, make(rig)).title == "Untitled"


def test_qty_times_copies_is_what_comes_out(rig: Rig) -> None:
    assert stored(rig, make(rig, qty=3, options={"copies": "4"})).copies == 12
    assert stored(rig, make(rig, qty=999)).copies == 999
    answer = rig.call("/printjobs", wish(rig, qty=100, options={"copies": 10}))
    assert "qty 100 times options.copies 10 is 1,000; 999 are possible" in refused(answer, 400, "BadRequest")


def test_blanks_around_names_and_words_do_not_count(rig: Rig) -> None:
    body = {
        "printerId ": f" {rig.printer.id} ", " contentType": "RAW_base64 ", "content ": f" {ZPL[:8]}\n{ZPL[8:]} ",
        "options ": {"copies ": 2, "duplex ": "Long-Edge ", " color": "false", "fit_to_page ": False},
    }  # fmt: skip
    job = stored(rig, rig.call("/printjobs", body).json)
    assert (job.copies, json.loads(job.options)) == (2, {"fit": "none"})
    twice = refused(rig.call("/printjobs", {**wish(rig), "qty": 1, "options": {"copies": 1, "copies ": 2}}), 400,
                    "BadRequest")  # fmt: skip
    assert "given twice" in twice


@pytest.mark.parametrize(
    ("pages", "ours"),
    [("1-5", "1-5"), ("2", "2-2"), (3, "3-3"), ("1,2,3", "1-3"), (" 1 - 3 , 4 ", "1-4"), ("", None), (None, None)],
)
def test_pages_that_are_one_range(rig: Rig, pages: Any, ours: str | None) -> None:
    job = stored(rig, make(rig, options={"pages": pages}))
    assert json.loads(job.options).get("pages") == ours


@pytest.mark.parametrize(
    ("pages", "why"),
    [("1,3,5", "one range of pages in a job"), ("5-1", "cannot be understood"), ("0", "cannot be understood"),
     ("1-", "cannot be understood"), ("x", "cannot be understood"), ("1;3", "cannot be understood"),
     ("1," * 600, "at most 1000"), ([1, 2], "must be text"), (True, "must be text"), ("9999999", "understood")],
)  # fmt: skip
def test_pages_that_cannot_be_printed_are_said_to_be_so(rig: Rig, pages: Any, why: str) -> None:
    text = refused(rig.call("/printjobs", wish(rig, options={"pages": pages})), 400, "BadRequest")
    assert why in text
    assert rig.jobs() == []


def test_another_computer_is_told_everything_that_was_asked_for(rig: Rig) -> None:
    device = elsewhere(rig)
    options = {"color": True, "duplex": "short-edge", "paper": "A4", "media": "Tray 1", "pages": "1,3,5-6",
               "fit_to_page": True}  # fmt: skip
    make(rig, printerId=device.id, qty=2, options={"copies": 3, **options})
    (job,) = get(rig, f"/client/jobs?client_id={device.client_id}")
    assert job["options"] == {"copies": 6, **options}


def test_a_printer_may_be_named_by_id_by_name_or_by_number(rig: Rig) -> None:
    ways = [rig.printer.id, rig.printer.id.replace("-", ""), "dock", rig.printer.serial, str(rig.printer.serial)]
    assert {stored(rig, make(rig, printerId=way)).device_id for way in ways} == {rig.printer.id}
    for way in ("nothing", 4711, "-1", NOBODY):
        assert "/printcloud/api/printers lists them" in refused(
            rig.call("/printjobs", wish(rig, printerId=way)), 404, "NotFound"
        )


def test_the_same_idempotency_key_is_the_same_job(rig: Rig) -> None:
    key = {"Idempotency-Key": "order 4711"}
    first, again = (rig.call("/printjobs", wish(rig), headers=key) for _ in range(2))
    assert (first.status, again.status) == (201, 200) and first.json == again.json and len(rig.jobs()) == 1
    refused(rig.call("/printjobs", wish(rig, qty=2), headers=key), 409, "Conflict")
    refused(rig.call("/printjobs", wish(rig), headers={"Idempotency-Key": "x" * 256}), 400, "BadRequest")


def test_a_list_goes_both_ways_and_on_from_any_job(rig: Rig) -> None:
    made = [make(rig, title=str(number)) for number in range(5)]
    ids = lambda path: [job["id"] for job in get(rig, path)]  # noqa: E731
    assert ids("/printjobs") == ids("/printjobs/?dir=DESC") == made[::-1]
    assert ids("/printjobs?dir=asc&limit=2") == made[:2]
    assert ids(f"/printjobs?dir=asc&limit=2&after={made[1]}") == made[2:4]
    assert ids(f"/printjobs?after={made[2]}") == made[1::-1]
    assert ids("/printjobs?limit=0") == made[:-2:-1] and ids("/printjobs?limit=99999") == made[::-1]
    assert ids("/printjobs?limit=3%20&dir=asc%20&what=ever") == made[:3]
    for query, status in (("limit=x", 400), ("limit=2.5", 400), ("dir=up", 400), (f"after={NOBODY}", 404)):
        assert rig.call(f"/printjobs?{query}", method="GET").status == status


def test_every_state_of_ours_is_one_of_theirs(rig: Rig) -> None:
    assert set(STATES) == set(State)
    job = make(rig)
    seen = {}
    for state in State:
        assert rig.store.jobs.move(ORGANIZATION, own_id("pj_", job), set(State), state, text="why")
        seen[state.value] = get(rig, "/printjobs")[0]["state"]
        assert get(rig, f"/printjobs/{job}")["state"] == seen[state.value]
    assert seen == {
        "created": "pending", "queued": "pending", "held": "pending", "preparing": "printing", "sending": "printing",
        "delivered": "completed", "printed": "completed", "unconfirmed": "error", "failed": "error",
        "cancelled": "error", "expired": "error",
    }  # fmt: skip
    assert get(rig, f"/printjobs/{job}")["message"] == "why"


def test_one_job_and_its_states_by_any_spelling_of_its_id(rig: Rig) -> None:
    job = make(rig, title="label")
    plain = own_id("pj_", job)
    rig.store.jobs.move(ORGANIZATION, plain, set(State), State.SENDING)
    rig.store.jobs.move(ORGANIZATION, plain, set(State), State.DELIVERED, text="taken")
    for spelling in (job, plain, job.removeprefix("pj_"), f"{job}%20", f"{job}/"):
        assert get(rig, f"/printjobs/{spelling}")["id"] == job
    assert [(step["state"], step["message"]) for step in get(rig, f"/printjobs/{job}/states")] == [
        ("pending", ""), ("printing", ""), ("completed", "taken"),
    ]  # fmt: skip


def test_deleting_answers_with_what_is_gone(rig: Rig) -> None:
    first, second, third = (make(rig) for _ in range(3))
    plain = own_id("pj_", second)
    answer = rig.call(f"/printjobs/{first},{NOBODY}, {plain},{first}", method="DELETE")
    assert (answer.status, answer.json) == (200, [first, plain])
    assert [job["id"] for job in get(rig, "/printjobs")] == [third]
    refused(rig.call(f"/printjobs/{first},{second}", method="DELETE"), 404, "NotFound")
    rig.store.jobs.move(ORGANIZATION, own_id("pj_", third), set(State), State.SENDING)
    assert "being sent" in refused(rig.call(f"/printjobs/{third}", method="DELETE"), 409, "Conflict")
    assert "101 ids" in refused(rig.call(f"/printjobs/{','.join(map(str, range(101)))}", method="DELETE"), 400,
                                "BadRequest")  # fmt: skip
    refused(rig.call("/printjobs/,%20,", method="DELETE"), 400, "BadRequest")


# ---- printers and computers -------------------------------------------------------------------------------------


def test_a_printer_tells_its_state_and_what_it_can(rig: Rig) -> None:
    (shown,) = get(rig, "/printers")
    assert shown == {
        "id": rig.printer.id, "name": "dock", "computerId": rig.me.id, "state": "online", "isDefault": True,
        "capabilities": {"color": False, "duplex": False, "media": [], "bins": []},
    }  # fmt: skip
    rig.desk.fleet.add({"name": "shelf", "width_mm": 50.0, "height_mm": 25.5})
    rig.desk.fleet.add({"name": "till", "width_mm": 80.0, "height_mm": None})
    assert [each["capabilities"]["media"] for each in get(rig, "/printers")] == [[], ["50x25.5 mm"], ["80 mm"]]
    assert [each["isDefault"] for each in get(rig, "/printers")] == [True, False, False]
    rig.control.pause(ORGANIZATION, rig.printer.id, "new roll")
    assert get(rig, "/printers")[0]["state"] == "paused"


@pytest.mark.parametrize(
    ("reasons", "state"),
    [([], "online"), (["media-low"], "online"), (["offline"], "offline"), (["timed-out", "paused"], "offline"),
     (["paused", "media-empty"], "paused"), (["media-empty"], "error"), (["cover-open", "media-low"], "error"),
     (["other"], "error"), (["marker-supply-low", "label-waiting"], "online")],
)  # fmt: skip
def test_why_a_printer_does_not_print_is_one_word(reasons: list[str], state: str) -> None:
    assert printer_state(reasons) == state


@pytest.mark.parametrize("reason", [each.value for each in Reason])
def test_every_reason_of_a_printer_of_ours_has_its_word(reason: str) -> None:
    assert printer_state([reason]) in ("online", "offline", "paused", "error")


def test_a_printer_of_another_computer_is_as_that_one_said(rig: Rig) -> None:
    said = {"is_default": True, "capabilities": {"color": True, "duplex": True, "media": ["A4", 5], "bins": ["Tray 1"]}}
    device = elsewhere(rig, reported=said, last_seen=time.time())
    shown = next(each for each in get(rig, "/printers") if each["id"] == device.id)
    assert shown["capabilities"] == {"color": True, "duplex": True, "media": ["A4"], "bins": ["Tray 1"]}
    assert (shown["state"], shown["isDefault"]) == ("online", True)
    olin = {"status": "Online", "capabilities": {"supports_color": True, "paper_sizes": ["A4"]}}
    rig.store.devices.update(ORGANIZATION, device.id, reported=json.dumps(olin))
    shown = get(rig, f"/computers/{device.client_id}/printers")[0]
    assert shown["capabilities"] == {"color": True, "duplex": False, "media": ["A4"], "bins": []}
    assert (shown["state"], shown["isDefault"]) == ("online", False)
    for nonsense in (
        "{",
        "[1]",
        '{"capabilities": 5, "status": ["x"]}',
        '{"capabilities": {"media": {"A4": [1]}}}',
        "",
    ):
        rig.store.devices.update(ORGANIZATION, device.id, reported=nonsense)
        assert get(rig, "/printers")[1]["state"] == "online"
    rig.store.clients.update(ORGANIZATION, device.client_id, last_seen=time.time() - presence.STALE_S - 1)
    assert get(rig, "/printers")[1]["state"] == "offline"


def test_this_computer_is_one_of_them_and_cannot_be_removed(rig: Rig) -> None:
    device = elsewhere(rig, version="1.0.0")
    mine, other = get(rig, "/computers")
    assert (mine["id"], mine["name"], mine["state"], len(mine["printers"])) == (rig.me.id, "till-3", "online", 1)
    assert mine["os"] and mine["clientVersion"] and mine["lastSeenAt"].endswith("Z")
    assert (other["os"], other["clientVersion"], other["state"]) == ("Windows", "1.0.0", "offline")
    assert other["lastSeenAt"] is None and [each["id"] for each in other["printers"]] == [device.id]
    waiting = make(rig, printerId=device.id)
    refused(rig.call(f"/computers/{rig.me.id}", method="DELETE"), 409, "Conflict")
    answer = rig.call(f"/computers/{rig.me.id},{device.client_id}", method="DELETE")
    assert answer.json == [device.client_id] and [each["id"] for each in get(rig, "/computers")] == [rig.me.id]
    assert get(rig, f"/printjobs/{waiting}")["state"] == "error"
    refused(rig.call(f"/computers/{NOBODY}", method="DELETE"), 404, "NotFound")
    refused(rig.call(f"/computers/{NOBODY}/printers", method="GET"), 404, "NotFound")


def test_whoever_is_connected_is_online(tmp_path: Path) -> None:
    class Somebody:
        def connected(self, client_id: str) -> bool:
            return client_id == there

    rig = house(tmp_path, agents=Somebody())
    there = ""
    device = elsewhere(rig, version="1.0.0", last_seen=time.time())
    assert get(rig, "/computers")[1]["state"] == "offline"
    there = device.client_id
    assert get(rig, "/computers")[1]["state"] == get(rig, "/printers")[1]["state"] == "online"
    rig.close()


# ---- computers that fetch their jobs ----------------------------------------------------------------------------


def test_a_computer_without_a_websocket_gets_its_jobs_and_tells_how_they_went(rig: Rig) -> None:
    device = elsewhere(rig, version="1.0.0")
    job = make(rig, printerId=device.id, title="label")
    large = base64.b64encode(b"^XA" + b" " * 100_000 + b"^XZ").decode()
    make(rig, printerId=device.id, content=large)
    make(rig, printerId=device.id, contentType="pdf_uri", content="http://files.example/invoice.pdf ")
    make(rig)
    first, second, third = get(rig, f"/client/jobs?client_id={device.client_id}&state=pending")
    assert first == {
        "id": job, "printerName": "counter", "printerId": device.id, "contentType": "raw_base64", "content": ZPL,
        "title": "label", "options": {"copies": 1}, "state": "pending", "createdAt": first["createdAt"],
    }  # fmt: skip
    assert second["content"] == large
    assert (third["contentType"], third["content"]) == ("pdf_uri", "http://files.example/invoice.pdf")
    assert get(rig, "/computers")[1]["state"] == "online", "whoever asks is there"
    told = [("sent", "sent"), ("printing", "printing"), ("sent", "printing"), ("completed", "completed"),
            ("printing", "completed"), ("error", "completed")]  # fmt: skip
    for said, state in told:
        answer = rig.call(f"/client/jobs/{job}/state", {"state ": f"{said} ", "message": "by HP"})
        assert (answer.status, answer.json) == (200, {"id": job, "state": state})
    assert [step["state"] for step in get(rig, f"/printjobs/{job}/states")] == [
        "pending", "sent", "printing", "completed",
    ]  # fmt: skip
    assert len(get(rig, f"/client/jobs?client_id={device.client_id}")) == 2


def test_what_is_launched_again_is_handed_out_by_an_id_of_its_own(rig: Rig) -> None:
    device = elsewhere(rig)
    job = make(rig, printerId=device.id)
    assert rig.call(f"/client/jobs/{job}/state", {"state": "completed"}).json["state"] == "completed"
    rig.control.launch(ORGANIZATION, own_id("pj_", job))
    (again,) = get(rig, f"/client/jobs?client_id={device.client_id}")
    assert again["id"] == f"{job}-2"
    old = rig.call(f"/client/jobs/{job}/state", {"state": "error"}).json
    assert old == {"id": f"{job}-2", "state": "pending"}, "old news of the first launch"
    refused(rig.call(f"/client/jobs/{job}-3/state", {"state": "error"}), 404, "NotFound")
    done = rig.call(f"/client/jobs/{job}-2/state", {"state": "error", "message": "no paper"}).json
    assert done["state"] == "error" and get(rig, f"/printjobs/{job}")["message"] == "no paper"


def test_a_job_that_left_by_websocket_may_be_reported_on_over_http(rig: Rig) -> None:
    device = elsewhere(rig)
    job = make(rig, printerId=device.id)
    assert rig.store.handed.begin(stored(rig, job)) == 1
    state = lambda: get(rig, f"/printjobs/{job}")["state"]  # noqa: E731
    assert state() == "sent" and get(rig, f"/client/jobs?client_id={device.client_id}") == []
    for word in ("printing", "completed"):
        assert rig.call(f"/client/jobs/{job}/state", {"state": word}).json == {"id": job, "state": word}
    assert state() == "completed"
    (attempt,) = rig.store.jobs.attempts(ORGANIZATION, own_id("pj_", job))
    assert attempt["result"] == "delivered" and attempt["ended_at"]


def test_a_computer_that_asks_gets_what_it_may_print_now_in_that_order(rig: Rig) -> None:
    device = elsewhere(rig, version="1.0.0")
    other = rig.store.devices.add(ORGANIZATION, device.client_id, "other")
    first, late, second, third = (make(rig, printerId=printer.id) for printer in (device, device, device, other))
    rig.store.jobs.annotate(stored(rig, late), expires_at=time.time() - 1)
    rig.store.jobs.annotate(stored(rig, second), priority=5)
    rig.store.engine.write(lambda db: None)  # after those two

    def offered(more: str = "") -> list[str]:
        return [job["id"] for job in get(rig, f"/client/jobs?client_id={device.client_id}{more}")]

    assert offered() == [second, first, third] and offered("&limit=1") == [second]
    rig.control.pause(ORGANIZATION, device.id, "new roll")
    assert offered() == [third]
    rig.call(f"/client/jobs/{second}/state", {"state": "sent"})
    assert offered("&state=sent") == [second]  # it has that one


def test_what_a_computer_that_asks_has_already_cannot_be_called_back(rig: Rig) -> None:
    device = elsewhere(rig, version="1.0.0")
    for state in ("sent", "printing"):
        job = make(rig, printerId=device.id)
        rig.call(f"/client/jobs/{job}/state", {"state": state})
        told = refused(rig.call(f"/printjobs/{job}", method="DELETE"), 409, "Conflict")
        assert "with its computer already and cannot be called back" in told
        assert "somebody asked to cancel it" in get(rig, f"/printjobs/{job}")["message"]
        with pytest.raises(Conflict, match="cannot be called back"):
            rig.control.cancel(ORGANIZATION, own_id("pj_", job))
        assert get(rig, f"/printjobs/{job}")["state"] == state
    rig.control.signs.clear()  # it is gone, and may never say how they ended
    rig.store.clients.update(ORGANIZATION, device.client_id, last_seen=time.time() - presence.STALE_S - 1)
    assert rig.call(f"/printjobs/{job}", method="DELETE").json == [job]


def test_a_paused_printer_of_another_computer_is_shown_so(rig: Rig) -> None:
    device = elsewhere(rig, reported={"status": "online"}, last_seen=time.time())
    rig.control.pause(ORGANIZATION, device.id, "")
    assert get(rig, "/printers")[1]["state"] == "paused"


@pytest.mark.parametrize(("limit", "found"), [("0", 1), ("-5", 1), ("2", 2), ("99999", 3)])
def test_a_limit_beyond_what_is_possible_is_taken_for_the_nearest(rig: Rig, limit: str, found: int) -> None:
    for _ in range(3):
        make(rig)
    assert len(get(rig, f"/printjobs?limit={limit}")) == found


def test_documents_of_one_answer_have_a_limit_and_the_rest_comes_next_time(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "ANSWER_MAX", 60)
    device = elsewhere(rig)
    jobs = [make(rig, printerId=device.id) for _ in range(4)]
    path = f"/client/jobs?client_id={device.client_id}"
    assert [job["id"] for job in get(rig, path)] == jobs[:2]
    rig.call(f"/client/jobs/{jobs[0]}/state", {"state": "sent"})
    assert [job["id"] for job in get(rig, path)] == jobs[1:3]
    assert [job["id"] for job in get(rig, f"{path}&state=sent")] == jobs[:1]
    assert [job["id"] for job in get(rig, f"{path}&limit=1")] == jobs[1:2]


def test_what_nobody_was_handed_nobody_reports_on(rig: Rig) -> None:
    device = elsewhere(rig)
    done = {"state": "completed"}
    assert "prints its jobs itself" in refused(rig.call(f"/client/jobs/{make(rig)}/state", done), 409, "Conflict")
    refused(rig.call(f"/client/jobs?client_id={rig.me.id}", method="GET"), 409, "Conflict")
    refused(rig.call(f"/client/jobs/{NOBODY}/state", done), 404, "NotFound")
    refused(rig.call(f"/client/jobs?client_id={NOBODY}", method="GET"), 404, "NotFound")
    refused(rig.call("/client/jobs", method="GET"), 400, "BadRequest")
    job = make(rig, printerId=device.id)
    for state in ("pending", "done", "", 7, None, ["sent"]):
        refused(rig.call(f"/client/jobs/{job}/state", {"state": state}), 400, "BadRequest")
    rig.store.jobs.move(ORGANIZATION, own_id("pj_", job), set(State), State.HELD)
    refused(rig.call(f"/client/jobs/{job}/state", done), 409, "Conflict")
    rig.control.cancel(ORGANIZATION, own_id("pj_", job))
    assert rig.call(f"/client/jobs/{job}/state", done).json["state"] == "error", "what was cancelled stays so"


def test_a_template_of_ours_is_for_nobody_else(rig: Rig) -> None:
    device = elsewhere(rig)
    make(rig, printerId=device.id)
    path = f"/client/jobs?client_id={device.client_id}"
    (job,) = rig.jobs()
    rig.store.jobs.annotate(job, kind="template")
    until(lambda: rig.jobs()[0].kind == "template")
    assert get(rig, path) == []


# ---- who may do what --------------------------------------------------------------------------------------------


def filled(path: str, rig: Rig) -> str:
    """A path with something in place of its parameters."""
    path = path.replace("<computer_id>", rig.me.id)
    return re.sub(r"<\w+>", NOBODY, path)


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_permission_opens_what_it_says_and_nothing_else(rig: Rig, permission: str) -> None:
    rig.caller = with_permission(permission)
    let_in = set()
    for route in ROUTES:
        if route.scopes is None:
            continue
        answer = rig.call(filled(route.path, rig), {} if route.method == "POST" else None, method=route.method)
        if answer.status == 403:
            assert permission != "full"
            assert "this API key may not do that" in refused(answer, 403, "Forbidden")
        else:
            let_in.add((route.method, route.path))
    if permission == "print_only":
        assert let_in == {("POST", "/printjobs")}
    if permission == "read_only":
        assert let_in == {(r.method, r.path) for r in ROUTES if r.method == "GET" and r.scopes and "read" in r.scopes}
        assert {("GET", "/printers"), ("GET", "/computers"), ("GET", "/printjobs"), ("GET", "/webhooks")} <= let_in


def test_print_only_prints(rig: Rig) -> None:
    rig.caller = with_permission("print_only")
    assert rig.call("/printjobs", wish(rig)).status == 201


def test_a_page_sees_its_own_jobs_and_is_let_in_by_few_doors(rig: Rig) -> None:
    mine = make(rig)
    rig.caller = PAGE
    own = make(rig)
    assert [job["id"] for job in get(rig, "/printjobs")] == [own]
    assert get(rig, f"/printjobs/{own}")["id"] == own
    for path in (f"/printjobs/{mine}", f"/printjobs/{mine}/states", f"/printjobs?after={mine}"):
        refused(rig.call(path, method="GET"), 404, "NotFound")
    assert [each["name"] for each in get(rig, "/printers")] == ["dock"]
    for method, path in (("DELETE", f"/printjobs/{own}"), ("GET", "/computers"), ("POST", "/account/apikeys")):
        refused(rig.call(path, {} if method == "POST" else None, method=method), 403, "Forbidden")
    rig.caller = replace(PAGE, origin=None, for_pages=True)  # its key, used by a program
    assert [job["id"] for job in get(rig, "/printjobs")] == [own]
    refused(rig.call(f"/printjobs/{mine}", method="DELETE"), 404, "NotFound")


def test_what_is_open_to_pages_is_what_the_table_says(rig: Rig) -> None:
    dialect = load("printcloud")
    for route in ROUTES:
        line = f"{route.method} {re.sub('<.*', '*', route.path)}"
        assert route.web == (line in dialect.web), route
    assert dialect.public == {"POST /client/login", "GET /openapi.json"}


def test_another_account_sees_nothing_and_touches_nothing(rig: Rig) -> None:
    device = elsewhere(rig)
    own, remote = make(rig), make(rig, printerId=device.id)
    key = rig.call("/account/apikeys", {}).json["id"]
    hook = rig.call("/webhooks", {"url": "https://shop.example/hook"}).json["id"]
    rig.store.organizations.add(OTHER, "somebody else")
    rig.caller = Principal(OTHER, key_id="theirs", scopes=PERMISSIONS["full"], grants=EVERYTHING)
    assert get(rig, "/printers") == get(rig, "/computers") == get(rig, "/printjobs") == get(rig, "/webhooks") == []
    for method, path in (
        ("GET", f"/printjobs/{own}"), ("GET", f"/printjobs/{own}/states"), ("DELETE", f"/printjobs/{own},{remote}"),
        ("DELETE", f"/computers/{device.client_id}"), ("GET", f"/computers/{device.client_id}/printers"),
        ("DELETE", f"/webhooks/{hook}"), ("DELETE", f"/account/apikeys/{key}"),
        ("GET", f"/client/jobs?client_id={device.client_id}"),
    ):  # fmt: skip
        refused(rig.call(path, method=method), 404, "NotFound")
    refused(rig.call(f"/client/jobs/{remote}/state", {"state": "completed"}), 404, "NotFound")
    refused(rig.call("/printjobs", wish(rig)), 404, "NotFound")
    rig.caller = ADMIN
    assert len(get(rig, "/printjobs")) == 2 and len(get(rig, "/computers")) == 2 and len(get(rig, "/webhooks")) == 1


def test_a_lent_printer_is_shown_with_its_computer_and_prints(rig: Rig) -> None:
    device = elsewhere(rig)
    rig.store.organizations.add(OTHER, "tenant")
    for lent in (rig.printer, device):
        rig.store.devices.lend(lent.id, OTHER, True)
    tenant = Principal(OTHER, key_id="theirs", scopes=PERMISSIONS["full"], grants=EVERYTHING)
    rig.caller = tenant
    computers = get(rig, "/computers")
    assert [(each["id"], len(each["printers"])) for each in computers] == [(rig.me.id, 1), (device.client_id, 1)]
    assert get(rig, f"/computers/{rig.me.id}/printers")[0]["id"] == rig.printer.id
    refused(rig.call(f"/computers/{rig.me.id},{device.client_id}", method="DELETE"), 404, "NotFound")
    job = make(rig)
    remote = make(rig, printerId=device.id)
    assert rig.store.jobs.get(OTHER, own_id("pj_", job)).organization_id == OTHER  # type: ignore[union-attr]
    refused(rig.call(f"/client/jobs?client_id={device.client_id}", method="GET"), 404, "NotFound")
    rig.caller = ADMIN
    assert get(rig, "/printjobs") == []
    (handed,) = get(rig, f"/client/jobs?client_id={device.client_id}")
    assert handed["id"] == remote, "its own computer prints it"
    assert rig.call(f"/client/jobs/{remote}/state", {"state": "completed"}).json["state"] == "completed"
    rig.caller = tenant
    assert get(rig, f"/printjobs/{remote}")["state"] == "completed"


# ---- keys and people --------------------------------------------------------------------------------------------


def test_a_key_is_told_once_and_revoked_by_its_id(rig: Rig) -> None:
    made = rig.call("/account/apikeys", {"description": " Production ", "permission": "print_only"})
    assert made.status == 201 and set(made.json) == {"id", "key", "description"}
    assert made.json["key"].startswith("pk_live_") and made.json["description"] == "Production"
    key = rig.ring.find(made.json["key"])
    assert key is not None and (key.scopes, key.kind) == ({"print"}, "printcloud")
    assert shown_id("key_", key.id) == made.json["id"]
    gone = rig.call(f"/account/apikeys/{made.json['id']}", method="DELETE")
    assert (gone.status, gone.json) == (200, [made.json["id"]]) and rig.ring.find(made.json["key"]) is None
    assert rig.call(f"/account/apikeys/{key.id}", method="DELETE").status == 200, "once more is no harm"
    refused(rig.call(f"/account/apikeys/{NOBODY}", method="DELETE"), 404, "NotFound")
    for wrong in ({"permission": "everything"}, {"description": 5}, {"description": "x" * 201},
                  {"description": "a\x00b"}, {"permission": ["full"]}):  # fmt: skip
        refused(rig.call("/account/apikeys", wrong), 400, "BadRequest")


def person(rig: Rig, **more: Any) -> Any:
    people = rig.desk.people
    assert people is not None
    return people.create_user(
        ORGANIZATION, **{"name": "John F. Doe", "email": "user@example.com", "password": "your_password", **more}
    )


def test_who_logs_in_gets_a_key_and_the_number_of_keys_has_an_end(rig: Rig) -> None:
    user = person(rig)
    rig.caller = None
    login = {"email": "User@Example.com ", "password": "your_password"}
    answer = rig.call("/client/login", login)
    assert answer.json == {
        "success": True, "apiKey": answer.json["apiKey"],
        "user": {"id": shown_id("usr_", user.id), "firstName": "John", "lastName": "F. Doe",
                 "email": "user@example.com"},
    }  # fmt: skip
    first = rig.ring.find(answer.json["apiKey"])
    assert first is not None and first.scopes == {"jobs", "printers"} and first.user_id == user.id
    texts = [rig.call("/client/login", login).json["apiKey"] for _ in range(LOGINS)]
    assert rig.ring.find(answer.json["apiKey"]) is None, "the oldest is gone"
    assert all(rig.ring.find(text) for text in texts)
    at = [rig.call("/client/login", {**login, "computerName": "Office-PC"}).json["apiKey"] for _ in range(2)]
    assert rig.ring.find(at[0]) is None and rig.ring.find(at[1]), "one for each computer"
    active = [key for key in rig.desk.keys.listing(ORGANIZATION) if key.user_id and key.revoked_at is None]
    assert len(active) == LOGINS


def test_an_admin_may_do_everything(rig: Rig) -> None:
    person(rig, role="admin")
    text = rig.call("/client/login", {"email": "user@example.com", "password": " your_password "}).json["apiKey"]
    assert rig.ring.find(text).scopes == PERMISSIONS["full"]  # type: ignore[union-attr]


def test_a_wrong_password_and_an_unknown_address_sound_the_same(rig: Rig) -> None:
    person(rig)
    person(rig, email="blank@example.com", password=" blank pass ")
    said = {
        refused(rig.call("/client/login", {"email": email, "password": "wrong password"}), 401, "Unauthorized")
        for email in ("user@example.com", "nobody@example.com")
    }
    assert said == {"the e-mail address or the password is wrong; try again, or ask whoever looks after this bridge"}
    assert rig.call("/client/login", {"email": "blank@example.com", "password": " blank pass "}).status == 200
    for wrong in ({}, {"email": "user@example.com"}, {"email": 5, "password": "x"}, {"email": "a", "password": None},
                  {"email": ["a"], "password": "x"}, {"email": "a", "password": "x" * 1025}):  # fmt: skip
        refused(rig.call("/client/login", wrong), 400, "BadRequest")
    for _ in range(5):
        answer = rig.call("/client/login", {"email": "user@example.com", "password": "guess"})
    assert refused(answer, 429, "TooManyRequests") and int(answer.headers["Retry-After"]) > 0


# ---- webhooks ---------------------------------------------------------------------------------------------------


def test_webhooks_are_made_listed_and_deleted(rig: Rig) -> None:
    body = {"url": "https://your.server/hook ", "secret ": "my_secret_123 ", "events": ["job.state ", "printer.state"]}
    made = rig.call("/webhooks", body)
    hook = made.json["id"]
    shown = {"id": hook, "url": "https://your.server/hook", "events": ["job.state", "printer.state"], "active": True}
    assert (made.status, made.json) == (201, shown) and get(rig, "/webhooks") == [shown]
    own = rig.call("/webhooks", {"url": "https://your.server/hook"}).json
    assert own["events"] == ["all"] and own["secret"].startswith("whsec_")
    assert rig.call(f"/webhooks/{hook.removeprefix('wh_')},nothing", method="DELETE").json == [hook[3:]]
    assert [each["id"] for each in get(rig, "/webhooks")] == [own["id"]]
    refused(rig.call(f"/webhooks/{hook}", method="DELETE"), 404, "NotFound")
    url = "https://your.server/hook"
    for wrong in ({}, {"url": "http://your.server/hook"}, {"url": "ftp://x"}, {"url": 5}, {"url": url, "events": []},
                  {"url": url, "events": ["job.gone"]}, {"url": url, "events": "all"}, {"url": url, "events": [1]},
                  {"url": url, "secret": "a\nb"}, {"url": url, "secret": "ü"}, {"url": url, "secret": "x" * 513},
                  {"url": f"https://your.server/{'x' * 2048}"}):  # fmt: skip
        assert "pattern" not in refused(rig.call("/webhooks", wrong), 400, "BadRequest")


def test_a_message_is_told_as_documented_with_the_secret_and_a_signature(rig: Rig, tmp_path: Path) -> None:
    receiver, secrets = Receiver(), Secrets(tmp_path)
    rig.desk = replace(rig.desk, hooks=post_office(rig, secrets))
    rig.app = rig._app()
    courier = Courier(rig.store, secrets, {"printcloud": Messages()}, lambda: RULES)
    courier.start()
    device = elsewhere(rig)
    made = rig.call("/webhooks", {"url": receiver.url, "secret": "my_secret_123", "events": ["all"]})
    assert made.status == 201
    job = make(rig, printerId=device.id)
    until(lambda: len(receiver.told) == 1)
    for state in ("sent", "printing", "completed"):
        rig.call(f"/client/jobs/{job}/state", {"state": state})
        until(lambda state=state: receiver.told[-1].get("state") == state)
    rig.control.pause(ORGANIZATION, rig.printer.id, "new roll")
    until(lambda: len(receiver.told) == 5)
    courier.stop()
    receiver.close()
    *jobs, paused = receiver.told
    assert [(each["type"], each["jobId"], each["state"]) for each in jobs] == [
        ("job.created", job, "pending"), ("job.state", job, "sent"), ("job.state", job, "printing"),
        ("job.state", job, "completed"),
    ]  # fmt: skip
    assert set(jobs[0]) == {"type", "jobId", "state", "timestamp"} and jobs[0]["timestamp"].endswith("Z")
    assert (paused["printerId"], paused["state"], paused["message"]) == (rig.printer.id, "paused", "new roll")
    headers = receiver.got[0][0]
    assert headers["x-printcloud-webhook-secret"] == "my_secret_123"
    assert headers["webhook-signature"].startswith("v1,") and headers["content-type"] == "application/json"


def test_a_message_is_tried_three_times_more_after_1_10_and_60_s() -> None:
    assert Messages.schedule_s == (1, 10, 60)


@pytest.mark.parametrize(
    ("kind", "state", "told"),
    [("printer", "ready", "online"), ("printer", "resumed", "online"), ("printer", "paused", "paused"),
     ("printer", "cover-open, media-low", "error"), ("printer", "offline", "offline"), ("printer", "moved", None),
     ("client", "connected", "online"), ("client", "disconnected", "offline"), ("client", "renamed", None),
     ("job", "queued", "pending"), ("job", "unconfirmed", "error"), ("job", None, None), ("key", "made", None)],
)  # fmt: skip
def test_what_events_become(kind: str, state: str | None, told: str | None) -> None:
    event = Event(7, 1.0, ORGANIZATION, NOBODY if kind == "job" else None, "dock", kind, state, "", client_id="pc")
    found = Messages().told(event, None)
    assert (found and found[1]["state"]) == told
    if found is not None:
        assert found[0] == found[1]["type"] and found[0] in Messages.events


# ---- refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"printerId": None}, "printerId"), ({"printerId": 1.5}, "printerId"), ({"printerId": True}, "printerId"),
        ({"printerId": ["a"]}, "printerId"), ({"printerId": {}}, "printerId"), ({"printerId": ""}, "printerId"),
        ({"contentType": "pdf"}, "contentType"), ({"contentType": None}, "contentType"),
        ({"contentType": 5}, "contentType"), ({"contentType": ["raw_base64"]}, "contentType"),
        ({"content": None}, "content"), ({"content": ""}, "content"), ({"content": 5}, "content"),
        ({"content": ["a"]}, "content"), ({"content": "ä"}, "content"), ({"content": "abc"}, "content"),
        ({"content": "XlhBXkZPNTAs..."}, "content"), ({"content": "data:text/plain,hello"}, "content"),
        ({"content": " "}, "document"), ({"content": base64.b64encode(b"hello").decode(), "contentType": "pdf_base64"},
                                         "document"),
        ({"contentType": "pdf_uri", "content": "file:///etc/passwd"}, ""),
        ({"contentType": "raw_uri", "content": "http://localhost:8910/v1/jobs"}, ""),
        ({"contentType": "pdf_uri", "content": "not a url"}, ""),
        ({"title": 5}, "title"), ({"title": ["x"]}, "title"),
        ({"qty": 0}, "qty"), ({"qty": -1}, "qty"), ({"qty": 1000}, "qty"), ({"qty": 2.5}, "qty"), ({"qty": "x"}, "qty"),
        ({"qty": True}, "qty"), ({"qty": [1]}, "qty"), ({"qty": 10**30}, "qty"),
        ({"options": "x"}, "options"), ({"options": [1]}, "options"), ({"options": 5}, "options"),
        ({"options": {"copies": 0}}, "options.copies"), ({"options": {"copies": 1000}}, "options.copies"),
        ({"options": {"copies": 1.0}}, "options.copies"), ({"options": {"copies": False}}, "options.copies"),
        ({"options": {"color": "yes"}}, "options.color"), ({"options": {"color": 1}}, "options.color"),
        ({"options": {"duplex": "both"}}, "options.duplex"), ({"options": {"duplex": 1}}, "options.duplex"),
        ({"options": {"paper": 4}}, "options.paper"), ({"options": {"media": "x" * 201}}, "options.media"),
        ({"options": {"fit_to_page": "maybe"}}, "options.fit_to_page"),
    ],
)  # fmt: skip
def test_what_cannot_be_printed_is_refused_by_its_name(rig: Rig, more: dict[str, Any], field: str) -> None:
    text = refused(rig.call("/printjobs", wish(rig, **more)), 400, "BadRequest")
    assert field in text and rig.jobs() == []


def test_what_is_null_or_nothing_is_as_if_it_was_not_there(rig: Rig) -> None:
    make(rig, title=None, qty=None, options=None)
    make(rig, options=[])  # PHP
    make(rig, options={"copies": None, "color": None}, title="", priority=5, nonsense=[{}])
    make(rig, content=f"data:application/octet-stream;base64,{ZPL}")


BODIES = [
    ("NaN", "NaN"), ('{"printerId": NaN}', "NaN"), ('{"qty": Infinity}', "Infinity"), ("null", "not an object"),
    ("5", "not an object"), ('"text"', "not an object"), ("[1, 2]", "not an object"), ("{", "not valid JSON"),
    ("[" * 200_000, "levels"), ('{"a":' * 200_000, "levels"), ('{"options": ' + "[" * 200_000, "levels"),
    ('{"qty": 1, "qty": 2}', "twice"), ('{"title": "\\ud800"}', "surrogate"), ("\x00", "not valid JSON"),
]  # fmt: skip


@pytest.mark.parametrize("path", ["/printjobs", "/webhooks", "/account/apikeys", "/client/login"])
@pytest.mark.parametrize(("body", "why"), BODIES, ids=[why for _, why in BODIES])
def test_what_is_no_object_is_refused_with_the_reason(rig: Rig, path: str, body: str, why: str) -> None:
    assert why in refused(rig.call(path, body), 400, "BadRequest")


def test_a_body_that_is_not_text_is_refused(rig: Rig) -> None:
    assert "UTF-8" in refused(rig.call("/printjobs", b"\xff\xfe{}"), 400, "BadRequest")


def test_a_missing_or_wrong_content_type_and_a_slash_make_no_difference(rig: Rig) -> None:
    for kind in ("application/json", "", "text/plain", "application/x-www-form-urlencoded"):
        answer = rig.call("/printjobs/", json.dumps(wish(rig)).encode(), content_type=kind)
        assert answer.status == 201, (kind, answer)
    for route in ROUTES:
        body = {} if route.method == "POST" else None
        path = filled(route.path, rig)
        plain, slash = (rig.call(f"{path}{end}", body, method=route.method).status for end in ("", "/"))
        assert plain == slash and plain not in (301, 308)


def test_unknown_paths_and_methods_are_refused_in_the_same_form(rig: Rig) -> None:
    refused(rig.call("/nothing", method="GET"), 404, "NotFound")
    refused(rig.call("", method="GET"), 404, "NotFound")
    refused(rig.call("/printers", {}), 405, "MethodNotAllowed")
    refused(rig.call("/printjobs", {}, method="PUT"), 405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(Unauthorized("no API key", remedy="send it"), "Unauthorized", "Authentication required: no API key; send it"),
     (Forbidden("no", remedy="ask"), "Forbidden", "no; ask"), (Conflict("later"), "Conflict", "later"),
     (Invalid("bad"), "BadRequest", "bad"), (Internal("oops"), "ServerError", "oops"),
     (DiskLow("full"), "InsufficientStorage", "full"), (BridgeError(""), "ServerError", "internal")],
)  # fmt: skip
def test_every_refusal_has_a_code_and_a_message(error: BridgeError, code: str, message: str) -> None:
    assert load("printcloud").error(error) == ({"code": code, "message": message}, {})


def test_a_busy_bridge_says_when_to_come_back() -> None:
    _, headers = load("printcloud").error(TooMany("too many", retry_after_s=3))
    assert headers == {"Retry-After": "3"}


def test_ten_requests_in_a_second_are_possible_and_no_more_for_each_account(tmp_path: Path) -> None:
    rig = house(tmp_path, printcloud_rate="on")
    began = time.monotonic()
    statuses = [rig.call("/printers", method="GET").status for _ in range(11)]
    if time.monotonic() - began < 1:
        assert statuses == [200] * 10 + [429]
    answer = rig.call("/printers", method="GET")
    while answer.status == 200:  # on a machine that is too slow for ten in a second
        answer = rig.call("/printers", method="GET")
    assert "10 requests in a second" in refused(answer, 429, "TooManyRequests")
    assert answer.headers["Retry-After"] == "1"
    rig.caller = replace(ADMIN, organization_id=OTHER)
    assert rig.call("/printers", method="GET").status == 200
    rig.close()


def test_without_a_limit_there_is_none(rig: Rig) -> None:
    assert {rig.call("/printers", method="GET").status for _ in range(30)} == {200}


# ---- the document -----------------------------------------------------------------------------------------------


def test_the_document_is_openapi_and_has_every_route(rig: Rig) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(copy.deepcopy(OPENAPI)).iter_errors()] == []
    assert get(rig, "/openapi.json") == OPENAPI
    rules = [rule for rule in rig.app.url_map.iter_rules() if rule.rule.startswith("/printcloud/")]
    served = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix("/printcloud/api")))
        for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }  # fmt: skip
    told = {(method.upper(), path) for path, methods in OPENAPI["paths"].items() for method in methods}
    assert served == told == {(route.method, openapi.path(route.path)) for route in ROUTES}
    names = [operation["operationId"] for methods in OPENAPI["paths"].values() for operation in methods.values()]
    assert len(set(names)) == len(names)
    for methods in OPENAPI["paths"].values():
        for operation in methods.values():
            assert operation["summary"] and ("security" in operation) == (
                "No key is needed" in operation["description"]
            )


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


def test_real_answers_are_as_the_document_says(rig: Rig) -> None:
    person(rig)
    device = elsewhere(rig, reported={"capabilities": {"color": True}})
    job = make(rig, printerId=device.id)
    hook = rig.call("/webhooks", {"url": "https://shop.example/hook"}).json["id"]
    key = rig.call("/account/apikeys", {}).json["id"]
    ids = {"job_id": job, "computer_id": device.client_id, "computer_ids": device.client_id, "webhook_ids": hook,
           "key_id": key}  # fmt: skip
    bodies: dict[str, Any] = {
        "/printjobs": wish(rig), "/webhooks": {"url": "https://shop.example/hook", "secret": "x"},
        "/account/apikeys": {}, "/client/login": {"email": "user@example.com", "password": "your_password"},
        "/client/jobs/{job_id}/state": {"state": "completed"},
    }  # fmt: skip
    schemas = closed(copy.deepcopy(OPENAPI["components"]["schemas"]))
    for route in sorted(ROUTES, key=lambda route: route.method == "DELETE"):
        path = openapi.path(route.path)
        query = f"?client_id={device.client_id}" if path == "/client/jobs" else ""
        answer = rig.call(path.format(**ids) + query, bodies.get(path) if route.method == "POST" else None,
                          method=route.method)  # fmt: skip
        told = OPENAPI["paths"][path][route.method.lower()]["responses"]
        assert str(answer.status) in told, (route, answer)
        schema = {**told[str(answer.status)]["content"]["application/json"]["schema"],
                  "components": {"schemas": schemas}}  # fmt: skip
        assert [error.message for error in Draft202012Validator(schema).iter_errors(answer.json)] == [], route
    for name, content in (("NewPrintJob", "/printjobs"), ("NewWebhook", "/webhooks")):
        body = OPENAPI["paths"][content]["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            Draft202012Validator({**body["schema"], "components": {"schemas": schemas}}).validate(example["value"])
        assert name in OPENAPI["components"]["schemas"]


# ---- over a real socket -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    folder = tmp_path_factory.mktemp("printcloud")
    config = printer("virtual", "virtual://virtual") + "[limits]\nbody_mb = 1\n"
    with Serve(folder / "data", config) as bridge:
        yield bridge
        assert "Traceback" not in bridge.log.read_text()


def basic(text: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def ask(bridge: Serve, headers: dict[str, str], path: str = "/printers", method: str = "GET", body: Any = None) -> Any:
    return bridge.call(method, f"/printcloud/api{path}", body, headers)


def test_the_key_is_the_user_and_the_password_is_empty(bridge: Serve) -> None:
    key = bridge.key
    for good in (basic(f"{key}:"), basic(key), basic(f"{key} :"), basic(f"{key}: "), basic(f" {key} : "),
                 {"Authorization": f"Bearer {key}"},
                 {"Authorization": basic(f"{key}:")["Authorization"].replace(" ", "  ")}):  # fmt: skip
        assert ask(bridge, good).status == 200, good
    for bad in (basic("pk_live_wrong:"), basic(f"{bridge.organization_id}:{key}"), basic(f"{key}:{key}"), basic(":"),
                basic(f":{key}"), {"Authorization": ""}, {"Authorization": "Basic !"}, {"Authorization": "Bearer x"},
                {"Authorization": f"Digest {key}"}, {"Authorization": "", "X-API-Key": key}):  # fmt: skip
        answer = ask(bridge, bad)
        assert (answer.status, set(answer.json)) == (401, {"code", "message"}), bad
        assert answer.json["code"] == "Unauthorized" and answer.json["message"].startswith("Authentication required")
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert key not in answer.data.decode()


def test_keys_made_here_do_what_they_may_until_they_are_revoked(bridge: Serve) -> None:
    admin = basic(f"{bridge.key}:")
    made = {
        each: ask(bridge, admin, "/account/apikeys", "POST", {"description": each, "permission": each}).json
        for each in ("full", "print_only", "read_only")
    }
    job = {"printerId": bridge.device("virtual"), "contentType": "raw_base64", "content": ZPL}
    allowed = {"full": (200, 201), "print_only": (403, 201), "read_only": (200, 403)}
    for name, key in made.items():
        mine = basic(f"{key['key']}:")
        statuses = ask(bridge, mine).status, ask(bridge, mine, "/printjobs", "POST", job).status
        assert statuses == allowed[name], name
    for name, key in made.items():
        assert ask(bridge, admin, f"/account/apikeys/{key['id']}", "DELETE").json == [key["id"]]
        assert ask(bridge, basic(f"{key['key']}:")).status == 401, name
    assert not any(key["key"] in bridge.log.read_text() for key in made.values())


def test_the_last_key_that_may_do_everything_stays(bridge: Serve) -> None:
    first = next(key for key in bridge.call("GET", "/v1/keys").json["keys"] if key["name"] == "first-run key")
    answer = ask(bridge, basic(bridge.key), f"/account/apikeys/{first['id']}", "DELETE")
    assert (answer.status, answer.json["code"]) == (409, "Conflict")


def test_what_is_too_much_or_nonsense_is_refused_in_json_by_a_real_server(bridge: Serve) -> None:
    key = basic(f"{bridge.key}:")
    large = json.dumps({"content": "A" * 2_000_000}).encode()
    for method, path, body, status in (
        ("POST", "/printjobs", large, 413), ("POST", "/printjobs", b"[" * 200_000, 400),
        ("PUT", "/printjobs", b"", 405),
        ("GET", "/nothing", None, 404), ("GET", "", None, 404), ("GET", "/", None, 404),
        ("GET", "/printjobs/%00", None, 404), ("GET", "/printjobs/%FF%FE", None, 404),
        ("DELETE", "/computers/%E2%80%AE", None, 404), ("GET", "/printjobs//", None, 404),
        ("GET", f"/printjobs/{'x' * 4000}", None, 404), ("DELETE", f"/computers/{bridge.client_id}", None, 409),
        ("GET", "/printjobs?limit=%00", None, 400), ("GET", "/printjobs?after=%FF", None, 404),
    ):  # fmt: skip
        answer = ask(bridge, key, path, method, body)
        assert (answer.status, set(answer.json)) == (status, {"code", "message"}), (method, path, answer)


def test_a_page_prints_with_the_key_of_its_origin_and_reads_the_answer(bridge: Serve) -> None:
    origin = "https://shop.example"
    wanted = {"name": "page", "scopes": ["jobs", "printers"], "origins": [origin]}
    key = bridge.call("POST", "/v1/keys", wanted).json["key"]
    page = {**basic(f"{key}:"), "Origin": origin, "Sec-Fetch-Site": "cross-site"}
    body = {"printerId": bridge.device("virtual"), "contentType": "raw_base64", "content": ZPL}
    made = ask(bridge, page, "/printjobs", "POST", body)
    assert (made.status, made.headers["access-control-allow-origin"]) == (201, origin)
    assert [job["id"] for job in ask(bridge, page, "/printjobs").json] == [made.json]
    assert ask(bridge, page).json[0]["name"] == "virtual"
    for headers, path in ((page, "/computers"), ({**page, "Origin": "https://evil.example"}, "/printjobs")):
        answer = ask(bridge, headers, path)
        assert (answer.status, answer.json["code"]) == (403, "Forbidden")


def test_what_needs_no_key_needs_none(bridge: Serve) -> None:
    nobody = {"Authorization": ""}
    connection = socket.create_connection(("127.0.0.1", bridge.port), timeout=60)
    connection.sendall(f"GET /printcloud/api/openapi.json HTTP/1.0\r\nHost: localhost:{bridge.port}\r\n\r\n".encode())
    assert connection.recv(64).startswith(b"HTTP/1.0 200")
    connection.close()
    wrong = ask(bridge, nobody, "/client/login/", "POST", {"email": "a@b.example", "password": "wrong password"})
    assert (wrong.status, wrong.json["code"]) == (401, "Unauthorized")
