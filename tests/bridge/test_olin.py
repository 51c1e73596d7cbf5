"""The Olin dialect behind the real guard, over a real store: what is documented, and what nobody documented."""

from __future__ import annotations

import base64
import copy
import io
import itertools
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.access.origins import HostRules
from bridge.access.people import SUB_ACCOUNTS, People
from bridge.dialects import load
from bridge.dialects.olin import words
from bridge.dialects.olin.openapi import document
from bridge.dialects.olin.submission import FILE_MAX
from bridge.dialects.olin.table import ROUTES
from bridge.intake import openapi
from bridge.model import EVERYTHING, Job, JobRequest, Organization, State, Url
from bridge.store.jobs import INLINE_MAX
from bridge.web.server import make_app
from tests.bridge.rig import ORGANIZATION, Answer, Rig
from tests.bridge.shop import together
from tests.fake.web import Web

MOUNT = "/olin/api"
ZPL = b"^XA^FO10,10^FDhello^FS^XZ"
ZPL64 = base64.b64encode(ZPL).decode()
PDF = b"%PDF-1.4\n%%EOF\n"
DOCX = b"PK\x03\x04" + b"\0" * 60
SHOP = "https://shop.example"
DOCUMENT = document()


class Cloud:
    """A bridge with one printer, and accounts on it. key: the first-run key, of the bridge's own account."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.rig = Rig(folder, load("olin"))
        self.store = self.rig.store
        self.people = People(self.store, self.rig.ring)
        self.key = self.token(ORGANIZATION, "admin", "jobs", "printers")
        self.desk = replace(self.rig.desk, people=self.people, api_key=self.key, **options)
        hosts = HostRules.of([], None, 8910)
        self.app = make_app(self.desk, self.rig.ring, [load("olin"), load("v1")], hosts, 32 * 2**20)

    def token(self, organization_id: str, *scopes: str, **more: Any) -> str:
        return self.people.token_for(organization_id, kind="olin", name="t", scopes=scopes, **more)[1]

    def account(self, name: str, **columns: Any) -> tuple[Organization, str]:
        organization = self.people.create_organization(name, **columns)
        return organization, self.token(organization.id, "jobs", "printers")

    def computer(self, token: str, name: str = "DESKTOP", *printers: str) -> None:
        """Another computer with printers."""
        listed = [{"printer_id": f"{name}-{each}", "name": each, "computer_name": name} for each in printers]
        assert self.call("POST", "/printers/sync", {"printers": listed}, token).status == 200

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, *, mount: str = MOUNT,
        headers: dict[str, str] | None = None, **options: Any,
    ) -> Answer:  # fmt: skip
        """body: bytes as they are, anything else as JSON. Fails the test for a 5xx, a redirect, and for HTML."""
        sent = {"Authorization": f"Bearer {self.key if token is None else token}", **(headers or {})}
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body)
            options = {"data": data, "content_type": "application/json", **options}
        with self.app.test_client() as client:
            reply = client.open(mount + path, method=method, headers=sent, base_url="http://localhost:8910", **options)
        assert reply.status_code < 300 or 400 <= reply.status_code < 500, (method, path, reply.status_code, reply.data)
        if reply.status_code >= 400 and mount == MOUNT:
            assert reply.headers["Content-Type"] == "application/json"
            said = reply.get_json(silent=True)
            assert set(said) == {"success", "message"} | ({"errors"} if reply.status_code == 422 else set()), said
            assert said["success"] is False and said["message"] and "Traceback" not in said["message"]
        said, data = reply.get_json(silent=True), reply.data
        reply.close()
        return Answer(reply.status_code, data if said is None else said, dict(reply.headers))

    def send(self, token: str | None = None, **fields: Any) -> dict[str, Any]:
        """A job that must be taken."""
        answer = self.call("POST", "/print-jobs", {"file_base64": ZPL64, **fields}, token)
        assert answer.status == 201, answer
        job: dict[str, Any] = answer.json["data"]["print_job"]
        return job

    def form(self, data: bytes, name: str = "label.zpl", token: str | None = None, **fields: str) -> Answer:
        parts = [f'"{field}"\r\n\r\n{value}\r\n' for field, value in fields.items()]
        parts.append(f'"file"; filename="{name}"\r\n\r\n')
        head = "".join(f"--b\r\nContent-Disposition: form-data; name={part}" for part in parts)
        body = head.encode() + data + b"\r\n--b--\r\n"
        return self.call("POST", "/print-jobs", token=token, data=body, content_type="multipart/form-data; boundary=b")

    def refused(self, status: int, *args: Any, **more: Any) -> str:
        answer = self.call(*args, **more)
        assert answer.status == status, answer
        message: str = answer.json["message"]
        return message

    def stored(self, number: int) -> Job:
        row = self.store.engine.read().execute("SELECT organization_id, id FROM jobs WHERE serial = ?", (number,))
        job = self.store.jobs.get(*row.fetchone())
        assert job is not None
        return job

    def used(self, organization_id: str) -> int:
        found = self.store.organizations.get(organization_id)
        assert found is not None
        return found.jobs_used


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, registration=True)
    yield cloud
    cloud.rig.close()


def newcomer(**more: Any) -> dict[str, Any]:
    password = {"password": "long enough", "password_confirmation": "long enough"}
    return {"name": "Jane", "email": "jane@shop.example", **password, **more}


# --- accounts -------------------------------------------------------------------------------------------------------


def test_who_registers_may_print_and_log_in_again(cloud: Cloud) -> None:
    made = cloud.call("POST", "/register", newcomer(), "")
    assert made.status == 201
    data = made.json["data"]
    assert (data["plan"], data["available_print_jobs"], data["used_print_jobs"]) == ("free", 10, 0)
    assert re.fullmatch(rf"{data['user_id']}\|[0-9a-f]{{48}}", data["token"])
    again = cloud.call("POST", "/login", {"email": "JANE@shop.example ", "password": "long enough"}, "").json["data"]
    assert again["user_id"] == data["user_id"] and again["token"] != data["token"]
    for token in (data["token"], again["token"]):
        assert cloud.call("GET", "/user", token=token).json["data"] == {**data, "token": token}


def test_registration_is_closed_unless_it_was_opened_but_integrators_may(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    assert "closed" in cloud.refused(403, "POST", "/register", newcomer(), "")
    assert cloud.call("POST", "/register", newcomer(parent_api_key=cloud.key), "").status == 201
    cloud.rig.close()


def test_a_parent_is_an_integrator_with_room(cloud: Cloud) -> None:
    _, free = cloud.account("small", plan="free")
    parent, token = cloud.account("big", plan="enterprise")
    for index in range(SUB_ACCOUNTS - 1):
        cloud.people.create_organization(f"branch {index}", parent_id=parent.id)

    def register(key: str, email: str = "a@b.c") -> Answer:
        return cloud.call("POST", "/register", newcomer(email=email, parent_api_key=key), "")

    assert (register("nobody's").status, register("nobody's").json["message"]) == (401, "Invalid parent API key")
    assert (register(free).status, register(free).json["message"]) == (
        403, "Parent account must be an integrator account",
    )  # fmt: skip
    last = register(token)
    assert last.status == 201
    (child,) = [each for each in cloud.people.organizations(parent_id=parent.id) if each.name == "Jane"]
    assert cloud.people.login("a@b.c", "long enough").organization_id == child.id
    full = register(token, "b@b.c")
    assert (full.status, full.json["message"]) == (
        403, "Parent account has reached the maximum limit of 50 sub-accounts",
    )  # fmt: skip
    assert "integrator" in register(last.json["data"]["token"], "c@b.c").json["message"], "no accounts below these"


def test_a_key_that_pages_hold_or_that_only_prints_founds_no_accounts(cloud: Cloud) -> None:
    page = cloud.desk.keys.create(ORGANIZATION, "page", ["jobs", "printers"], [SHOP])[1]
    for key in (page, cloud.token(ORGANIZATION, "print"), cloud.token(ORGANIZATION, "read")):
        answer = cloud.call("POST", "/register", newcomer(parent_api_key=key), "")
        assert (answer.status, answer.json["message"]) == (401, "Invalid parent API key")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 256}, "name"), ({"name": "a\x00b"}, "name"), ({"name": 5}, "name"),
        ({"email": "nobody"}, "email"), ({"email": None}, "email"), ({"email": ["a@b.c"]}, "email"),
        ({"password": "short", "password_confirmation": "short"}, "password"),
        ({"password_confirmation": "another one"}, "password"), ({"password": {"a": 1}}, "password"),
        ({"password": "x" * 2000, "password_confirmation": "x" * 2000}, "password"),
        ({"parent_api_key": 7}, "parent_api_key"),
    ],
)  # fmt: skip
def test_a_registration_says_which_field_is_wrong(cloud: Cloud, more: dict[str, Any], field: str) -> None:
    before = len(cloud.people.organizations())
    answer = cloud.call("POST", "/register", newcomer(**more), "")
    assert (answer.status, list(answer.json["errors"])) == (422, [field])
    assert len(cloud.people.organizations()) == before


def test_an_address_has_one_account_even_when_two_register_at_once(cloud: Cloud) -> None:
    before = len(cloud.people.organizations())
    answers = together(4, lambda number: cloud.call("POST", "/register", newcomer(), ""))
    assert sorted(answer.status for answer in answers) == [201, 422, 422, 422]
    assert {answer.json["message"] for answer in answers if answer.status == 422} == {
        "The email has already been taken."
    }
    assert len(cloud.people.organizations()) == before + 1


def test_wrong_passwords_open_nothing_and_soon_have_to_wait(cloud: Cloud) -> None:
    cloud.call("POST", "/register", newcomer(), "")
    statuses = [
        cloud.call("POST", "/login", {"email": "jane@shop.example", "password": f"guess {n}"}, "").status
        for n in range(6)
    ]
    assert statuses == [401] * 5 + [429]


def test_the_first_key_is_a_token_and_a_password(cloud: Cloud) -> None:
    me = cloud.call("GET", "/user").json["data"]
    assert me == cloud.call("POST", "/login", {"email": "any@one", "password": cloud.key}, "").json["data"]
    assert (me["name"], me["token"], me["plan"]) == ("till-3", cloud.key, "enterprise")
    assert me["available_print_jobs"] == words.UNLIMITED


def test_the_first_key_opens_no_login_either_once_it_is_revoked(cloud: Cloud) -> None:
    key = cloud.people.key(cloud.key)
    assert key is not None
    cloud.desk.keys.create(ORGANIZATION, "another", ["admin"])
    cloud.desk.keys.revoke(ORGANIZATION, key.id)
    cloud.refused(401, "POST", "/login", {"email": "any@one", "password": cloud.key}, "")


def test_an_expired_a_revoked_and_a_strange_token_are_nobody(cloud: Cloud) -> None:
    user = cloud.people.create_user(ORGANIZATION, name="U", email="u@b.c", password="long enough")
    good = cloud.token(ORGANIZATION, "jobs", user_id=user.id)
    assert cloud.call("GET", "/user", token=good).status == 200
    cloud.people.end_tokens(user.id)
    expired = cloud.token(ORGANIZATION, "jobs", lifetime_s=-1.0)
    for token in (good, expired, "1|abc", "", "\u00e4".encode().decode("latin-1")):
        for route in (route for route in ROUTES if route.scopes is not None):
            path = re.sub(r"<\w+>", "1", route.path)
            cloud.refused(401, route.methods[0], path, token=token)


# --- who may what ---------------------------------------------------------------------------------------------------


def test_scopes_open_what_they_say_and_nothing_else(cloud: Cloud) -> None:
    job = cloud.send()
    for scope in ("jobs", "printers", "print", "read"):
        token = cloud.token(ORGANIZATION, scope)
        for route in ROUTES:
            if route.scopes is None:
                continue
            path = re.sub(r"<printer>", "1", route.path).replace("<job_id>", str(job["id"]))
            for method in route.methods:
                status = cloud.call(method, path, {} if method != "GET" else None, token).status
                assert (status == 403) == bool(route.scopes and scope not in route.scopes), (scope, method, path)


def test_another_accounts_jobs_and_printers_do_not_exist(cloud: Cloud) -> None:
    """Not for a parent in its sub-account, and not for a sub-account in its parent."""
    parent, big = cloud.account("big", plan="enterprise")
    _, small = cloud.account("small", parent_id=parent.id)
    for name, token in (("big", big), ("small", small)):
        cloud.computer(token, name, f"{name}-laser")
    jobs = {token: cloud.send(token) for token in (big, small)}
    for owner, stranger in ((small, big), (big, small), (small, cloud.key), (big, cloud.key)):
        theirs = jobs[owner]
        for method, path in (
            ("GET", ""), ("DELETE", ""), ("GET", "/download"), ("POST", "/cancel"), ("POST", "/status"),
        ):  # fmt: skip
            body = {"status": "failed"} if path == "/status" else None
            cloud.refused(404, method, f"/print-jobs/{theirs['id']}{path}", body, stranger)
        device = cloud.stored(theirs["id"]).device_id
        for printer in (theirs["printer_id"], device, theirs["printer_name"], theirs["printer_name"].upper()):
            for wrong in ({}, {"print_options": {"paper_size": "A0"}}, {"file_name": "a.docx"}):
                job = {"file_base64": ZPL64, "printer_id": printer, **wrong}
                assert "not found" in cloud.refused(404, "POST", "/print-jobs", job, stranger)
            test_page = f"/printers/{printer}/test-page"
            assert "not found" in cloud.refused(404, "POST", test_page, None, stranger)
        seen = [cloud.call("GET", path, token=stranger).json["data"] for path in ("/print-jobs/pending", "/print-jobs")]
        own = {jobs[stranger]["id"]} if stranger in jobs else set()
        assert {job["id"] for found in seen for job in found} == own
    assert list(cloud.call("GET", "/printers", token=big).json["data"]) == ["big"]
    assert list(cloud.call("GET", "/printers", token=small).json["data"]) == ["small"]


def test_a_page_sends_jobs_and_sees_its_own_alone(cloud: Cloud) -> None:
    page = cloud.desk.keys.create(ORGANIZATION, "page", ["jobs"], [SHOP], raw="raw-any", drawer=True)[1] or ""
    other = cloud.send()
    at = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    made = cloud.call("POST", "/print-jobs", {"file_base64": ZPL64}, page, headers=at)
    assert made.status == 201 and made.headers["Access-Control-Allow-Origin"] == SHOP
    number = made.json["data"]["print_job"]["id"]
    assert [j["id"] for j in cloud.call("GET", "/print-jobs", token=page, headers=at).json["data"]] == [number]
    assert [j["id"] for j in cloud.call("GET", "/print-jobs", token=page).json["data"]] == [number], "as a program too"
    cloud.refused(404, "GET", f"/print-jobs/{other['id']}", None, page, headers=at)
    for method, path in (
        ("GET", "/printers"), ("GET", "/user"), ("GET", "/print-jobs/pending"), ("POST", "/printers/sync"),
        ("GET", f"/print-jobs/{number}/download"), ("POST", f"/print-jobs/{number}/status"), ("POST", "/login"),
        ("POST", "/register"),
    ):  # fmt: skip
        cloud.refused(403, method, path, None, page, headers=at)
    cloud.refused(
        403, "POST", "/print-jobs", {"file_base64": ZPL64}, page, headers={**at, "Origin": "https://x.example"}
    )


# --- printers -------------------------------------------------------------------------------------------------------


def test_printers_stand_under_their_computer(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "DESKTOP", "laser", "ink")
    answer = cloud.call("GET", "/printers").json
    assert (answer["computers"], answer["total_printers"]) == (["till-3", "DESKTOP"], 3)
    assert [each["name"] for each in answer["data"]["DESKTOP"]] == ["laser", "ink"]
    (dock,) = answer["data"]["till-3"]
    assert (dock["id"], dock["printer_id"], dock["status"]) == (1, cloud.rig.printer.id, "available")
    assert dock["capabilities"]["supports_color"] is False


def test_a_report_registers_renames_and_forgets(cloud: Cloud) -> None:
    def listed() -> dict[str, int]:
        return {each["name"]: each["id"] for each in cloud.call("GET", "/printers").json["data"].get("PC", [])}

    def sync(*printers: dict[str, Any]) -> None:
        assert cloud.call("POST", "/printers/sync", {"computer_name": "PC", "printers": list(printers)}).status == 200

    sync({"printer_id": "a", "name": "laser"}, {"printer_id": "b", "name": "ink"})
    first = listed()
    sync({"printer_id": "a", "name": "laser 2"}, {"printer_id": "b", "name": "ink"})
    assert listed() == {"laser 2": first["laser"], "ink": first["ink"]}
    waiting = cloud.send(printer_name="ink")
    sync({"printer_id": "a", "name": "laser 2"})
    assert set(listed()) == {"laser 2", "ink"}, "a job waits for it"
    cloud.call("POST", f"/print-jobs/{waiting['id']}/cancel")
    sync({"printer_id": "a", "name": "laser 2"})
    assert set(listed()) == {"laser 2"}
    sync()
    assert listed() == {}


def test_two_reports_at_once_make_one_computer(cloud: Cloud) -> None:
    together(4, lambda number: cloud.computer(cloud.key, "PC", "laser"))
    assert cloud.call("GET", "/printers").json["total_printers"] == 2


def test_this_machine_is_never_changed_by_a_report_in_its_name(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "till-3", "dock")
    assert [each["name"] for each in cloud.call("GET", "/printers").json["data"]["till-3"]] == ["dock", "dock"]
    assert cloud.store.devices.get(ORGANIZATION, cloud.rig.printer.id) == cloud.rig.printer
    text = cloud.refused(422, "POST", "/print-jobs", {"file_base64": ZPL64, "printer_name": "dock"})
    assert "1 (dock on till-3), 2 (dock on till-3)" in text


def test_a_computer_that_is_silent_for_five_minutes_is_offline(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "laser")
    beat = {"computer_name": "PC", "timestamp": "2024-01-15T10:30:00Z",
            "printers": [{"name": "laser", "status": "busy", "last_seen_at": "2024-01-15 10:30:00"}]}  # fmt: skip

    def laser() -> dict[str, Any]:
        found: dict[str, Any] = cloud.call("GET", "/printers").json["data"]["PC"][0]
        return found

    assert laser()["status"] == "available"
    assert cloud.call("POST", "/printers/heartbeat", beat).status == 200
    assert (laser()["status"], laser()["last_seen_at"]) == ("busy", "2024-01-15 10:30:00")
    assert laser()["printer_id"] == "PC-laser", "what a heartbeat does not say stays"
    (client,) = [c for c in cloud.store.clients.page(ORGANIZATION)[0] if c.hostname == "PC"]
    cloud.store.clients.update(ORGANIZATION, client.id, last_seen=time.time() - 301)
    assert laser()["status"] == "offline"


@pytest.mark.parametrize("wanted", [2, "2", "DESKTOP-laser", "laser", "LASER"])
def test_a_printer_is_found_by_number_id_and_name(cloud: Cloud, wanted: Any) -> None:
    cloud.computer(cloud.key, "DESKTOP", "laser")
    assert cloud.send(printer_id=wanted)["printer_id"] == 2


def test_the_only_printer_need_not_be_named(cloud: Cloud) -> None:
    assert cloud.send()["printer_name"] == "dock"
    cloud.computer(cloud.key, "A", "laser")
    assert "name one of 1 (dock on till-3), 2 (laser on A)" in cloud.refused(
        422, "POST", "/print-jobs", {"file_base64": ZPL64}
    )


def test_a_name_that_two_printers_have_is_refused_with_both(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "A", "laser")
    cloud.computer(cloud.key, "B", "laser")
    cloud.computer(cloud.key, "C", "LASER")
    text = cloud.refused(422, "POST", "/print-jobs", {"file_base64": ZPL64, "printer_name": "laser"})
    assert "2 (laser on A), 3 (laser on B)" in text and "LASER" not in text
    assert cloud.send(printer_name="LASER")["printer_id"] == 4
    assert "3 printers" in cloud.refused(422, "POST", "/print-jobs", {"file_base64": ZPL64, "printer_name": "Laser"})


def test_test_pages_are_printed_here_and_handed_to_other_computers(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "l\u00e4ser (2)")
    made = cloud.call("POST", "/printers/1/test-page", headers={"Idempotency-Key": "t"})
    assert (made.status, made.json["data"]["message"]) == (201, "Test page queued for printing")
    again = cloud.call("POST", "/printers/1/test-page", headers={"Idempotency-Key": "t"})
    assert (again.status, again.json["data"]) == (200, made.json["data"])
    remote = cloud.call("POST", "/printers/PC-l\u00e4ser (2)/test-page").json["data"]["print_job"]
    page = cloud.call("GET", f"/print-jobs/{remote['id']}/download")
    assert page.headers["Content-Type"] == "application/pdf"
    pymupdf = pytest.importorskip("pymupdf")
    with pymupdf.open(stream=page.json, filetype="pdf") as opened:
        assert "l\u00e4ser (2)" in opened[0].get_text()


# --- new jobs -------------------------------------------------------------------------------------------------------

SPELLINGS: list[dict[str, Any]] = [
    {"json": {"print_options": {"color": False, "duplex": "vertical", "paper_size": "letter"}}},
    {"json": {"print_options[color]": "false", "print_options[duplex]": "Vertical ",
              "print_options[paper_size]": "Letter"}},
    {"form": {"print_options[color]": "false", "print_options[duplex]": "vertical",
              "print_options[paper_size]": "Letter"}},
    {"form": {"print_options": '{"color": 0, "duplex": "vertical", "paper_size": "Letter"}'}},
]  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_options_are_understood_however_they_are_written(cloud: Cloud, spelling: dict[str, Any]) -> None:
    if "form" in spelling:
        made = cloud.form(ZPL, copies="2", priority="5", **spelling["form"]).json["data"]["print_job"]
    else:
        made = cloud.send(copies=2, priority=5, file_name="label.zpl", **spelling["json"])
    assert made["print_options"] == {"copies": 2, "color": False, "duplex": "vertical", "paper_size": "Letter"}
    assert (made["priority"], made["original_name"], made["status"]) == (5, "label.zpl", "pending")
    job = cloud.stored(made["id"])
    assert (job.copies, job.priority, job.kind, job.dialect) == (2, 5, "zpl", "olin")


def test_a_whole_number_may_be_written_with_a_point(cloud: Cloud) -> None:
    made = cloud.send(copies=2.0, priority=5.0, printer_id=float(cloud.rig.printer.serial))
    assert (made["print_options"]["copies"], made["priority"]) == (2, 5)
    cloud.refused(422, "POST", "/print-jobs", {"file_base64": ZPL64, "copies": 1.5})


def test_a_job_knows_its_user(cloud: Cloud) -> None:
    token = cloud.call("POST", "/register", newcomer(), "").json["data"]
    cloud.people.lend(cloud.rig.printer, cloud.people.login("jane@shop.example", "long enough").organization_id)
    made = cloud.send(token["token"])
    job = cloud.stored(made["id"])
    assert job.user_id is not None and made["user_id"] == token["user_id"]
    assert (made["printer_name"], made["printer_id"]) == ("dock", 1), "a printer that is lent"
    assert job.organization_id != ORGANIZATION and job.device_id == cloud.rig.printer.id
    assert cloud.stored(cloud.send()["id"]).user_id is None


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.zpl", ZPL), ("a.txt", ZPL), ("a.docx", PDF), ("a.prn", b"\x01\x02"), ("a.raw", b"\x01"), ("a.BIN", b"\x01"),
     ("a.epl", b"\nN\nP1\n"), (None, PDF)],
)  # fmt: skip
def test_the_bytes_decide_what_a_file_is(cloud: Cloud, name: str | None, data: bytes) -> None:
    assert cloud.send(file_base64=base64.b64encode(data).decode(), file_name=name)["status"] == "pending"


@pytest.mark.parametrize("name", "a.doc a.docx a.odt a.rtf a.xps a.html a.tiff a.webp a.txt a".split())
def test_what_cannot_be_drawn_is_told_what_to_send_instead(cloud: Cloud, name: str) -> None:
    text = cloud.form(DOCX, name).json
    assert "PDF, PNG or JPEG" in text["errors"]["file"][0], text
    if name not in ("a", "a.txt"):
        by_url = {"file_url": f"http://files.example/{name}"}
        assert "PDF" in cloud.refused(422, "POST", "/print-jobs", by_url)


def test_another_computer_gets_any_file_byte_for_byte(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "laser")
    number = cloud.form(DOCX, "letter \u00e4.docx", printer_name="laser").json["data"]["print_job"]["id"]
    file = cloud.call("GET", f"/print-jobs/{number}/download")
    assert (file.json, file.headers["Content-Type"][:40]) == (DOCX, "application/vnd.openxmlformats-officedoc")
    assert "filename*=UTF-8''letter%20%C3%A4.docx" in file.headers["Content-Disposition"]


def test_a_file_may_have_ten_megabytes_and_no_more(cloud: Cloud) -> None:
    whole = ZPL.ljust(FILE_MAX)
    small = cloud.form(whole)  # the rig's own limit is 5 MB: that is 422 as well
    assert (small.status, list(small.json["errors"])) == (422, ["file"])
    more = cloud.form(whole + b" ")
    assert (more.status, more.json["message"][:38]) == (422, "The file must not be larger than 10 MB")
    text = base64.b64encode(whole + b" ").decode()
    assert "10 MB" in cloud.refused(422, "POST", "/print-jobs", {"file_base64": text})
    kept = cloud.form(ZPL.ljust(1_000_000))
    assert kept.status == 201
    assert [path.name for path in cloud.store.spool.documents.iterdir()] == [
        cloud.stored(kept.json["data"]["print_job"]["id"]).id
    ]
    number = kept.json["data"]["print_job"]["id"]
    assert cloud.call("GET", f"/print-jobs/{number}/download").json == ZPL.ljust(1_000_000)


def test_the_same_idempotency_key_is_the_same_job(cloud: Cloud) -> None:
    first, again = (
        cloud.call("POST", "/print-jobs", {"file_base64": ZPL64}, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert (first.status, again.status) == (201, 200)
    assert first.json["data"]["print_job"]["id"] == again.json["data"]["print_job"]["id"]
    other = {"file_base64": ZPL64, "copies": 3}
    cloud.refused(409, "POST", "/print-jobs", other, headers={"Idempotency-Key": "k"})
    cloud.refused(422, "POST", "/print-jobs", other, headers={"Idempotency-Key": "k" * 256})


def test_a_quota_counts_jobs_that_were_taken_and_no_others(cloud: Cloud) -> None:
    account, token = cloud.account("small", jobs_quota=2)
    cloud.people.lend(cloud.rig.printer, account.id)

    def send(key: str, **fields: Any) -> int:
        return cloud.call("POST", "/print-jobs", {"file_base64": ZPL64, **fields}, token,
                          headers={"Idempotency-Key": key}).status  # fmt: skip

    assert send("x", copies=0) == send("x", file_base64="??") == send("x", file_base64="AAAA") == 422
    assert (send("a"), send("a"), send("a", copies=2)) == (201, 200, 409)
    assert cloud.used(account.id) == 1
    assert cloud.call("GET", "/user", token=token).json["data"]["available_print_jobs"] == 1
    assert (send("b"), send("c"), send("a")) == (201, 403, 200)
    assert "quota exceeded: all 2 print jobs" in cloud.refused(403, "POST", "/printers/1/test-page", None, token)
    assert cloud.used(account.id) == 2


def test_a_quota_is_exact_when_many_print_at_once(cloud: Cloud) -> None:
    account, token = cloud.account("small", jobs_quota=5)
    cloud.people.lend(cloud.rig.printer, account.id)
    answers = together(12, lambda n: cloud.call("POST", "/print-jobs", {"file_base64": ZPL64}, token).status)
    assert sorted(answers) == [201] * 5 + [403] * 7
    assert cloud.used(account.id) == 5


# --- jobs of other computers ----------------------------------------------------------------------------------------


def test_a_computer_fetches_prints_and_reports(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "laser")
    cloud.send(printer_id=1)
    job = cloud.send(printer_name="laser", copies=3, priority=4, file_name="x.zpl")
    (offered,) = cloud.call("GET", "/print-jobs/pending").json["data"]
    assert (offered["id"], offered["copies"], offered["priority"]) == (job["id"], 3, 4)
    assert (offered["is_base64"], offered["file_base64"], offered["file_source_type"]) == (True, ZPL64, "base64")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", offered["createdAt"])
    for method, status, shown in (
        ("PUT", "processing", "processing"), ("PATCH", "processing", "processing"), ("POST", "printed", "completed"),
        ("PUT", "processing", "completed"),
    ):  # fmt: skip
        said = cloud.call(method, f"/print-jobs/{job['id']}/status", {"status": status}).json["data"]
        assert said["status"] == shown
        assert cloud.call("GET", "/print-jobs/pending").json["data"] == []
    assert cloud.stored(job["id"]).state is State.DELIVERED


def test_a_failure_is_told_with_its_reason(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "laser")
    job = cloud.send(printer_name="laser")
    body = {"status": "failed", "error_message": "no\x00 toner"}
    assert cloud.call("POST", f"/print-jobs/{job['id']}/status", body).json["data"]["error_message"] == "no  toner"


def test_a_job_of_this_bridge_is_not_reported_on_by_others(cloud: Cloud) -> None:
    job = cloud.send()
    for status in ("processing", "completed", "printed", "failed"):
        text = cloud.refused(422, "POST", f"/print-jobs/{job['id']}/status", {"status": status})
        assert "prints the job itself" in text
    assert cloud.call("POST", f"/print-jobs/{job['id']}/status", {"status": "cancelled"}).status == 200
    assert cloud.stored(job["id"]).state is State.CANCELLED


def test_a_document_behind_a_url_is_fetched_for_the_computer_that_prints_it_once(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "laser")
    with Web() as web:
        web.serve("/invoice.pdf", PDF)
        made = cloud.call("POST", "/print-jobs", {"file_url": web.url("/invoice.pdf"), "printer_id": 2}).json["data"]
        number = made["print_job"]["id"]
        (offered,) = cloud.call("GET", "/print-jobs/pending").json["data"]
        assert (offered["file_source_type"], offered["file_source_url"]) == ("url", web.url("/invoice.pdf"))
        assert offered["fileUrl"] == made["download_url"]
        assert offered["fileUrl"] == f"http://localhost:8910{MOUNT}/print-jobs/{number}/download"
        cloud.call("PUT", f"/print-jobs/{number}/status", {"status": "processing"})
        for _ in range(2):
            file = cloud.call("GET", f"/print-jobs/{number}/download")
            assert (file.json, file.headers["Content-Type"]) == (PDF, "application/pdf")
            assert file.headers["Content-Disposition"] == "attachment; filename=invoice.pdf"
        assert len(web.requests) == 1
        gone = cloud.send(file_base64=None, file_url=web.url("/nothing"), printer_id=2)
        assert "could not be fetched" in cloud.refused(404, "GET", f"/print-jobs/{gone['id']}/download")


def test_a_file_on_the_disk_is_served_from_a_data_folder_with_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    cloud = Cloud(Path("data"))
    data = b"^XA^FX" + b"x" * INLINE_MAX + b"^XZ"
    job = cloud.form(data).json["data"]["print_job"]["id"]
    answer = cloud.call("GET", f"/print-jobs/{job}/download")
    assert (answer.status, answer.json) == (200, data)
    cloud.rig.close()


def test_a_printer_that_stands_still_hides_no_other_printers_jobs(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "A", "stuck")
    cloud.computer(cloud.key, "B", "busy")
    stuck = [cloud.send(printer_name="stuck")["id"] for _ in range(15)]
    busy = [cloud.send(printer_name="busy")["id"] for _ in range(2)]
    first = cloud.send(printer_name="busy", priority=9)["id"]
    offered = [each["id"] for each in cloud.call("GET", "/print-jobs/pending").json["data"]]
    assert [each for each in offered if each in stuck] == stuck[:10]
    assert [each for each in offered if each not in stuck] == [first, *busy]
    only = cloud.call("GET", "/print-jobs/pending?computer_name=B").json["data"]
    assert [each["id"] for each in only] == [first, *busy]


def test_a_computer_gets_nothing_late_and_nothing_for_a_printer_that_is_paused(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "laser", "counter")
    late, *laser = (cloud.send(printer_name="laser")["id"] for _ in range(3))
    counter = cloud.send(printer_name="counter")["id"]
    cloud.store.jobs.annotate(cloud.stored(late), expires_at=time.time() - 1)
    device = cloud.stored(laser[0]).device_id

    def offered() -> list[int]:
        return [each["id"] for each in cloud.call("GET", "/print-jobs/pending").json["data"]]

    cloud.rig.control.pause(ORGANIZATION, device, "new roll")
    assert offered() == [counter]
    cloud.rig.control.resume(ORGANIZATION, device)
    assert offered() == [laser[0], counter, laser[1]]


def test_an_answer_to_a_poll_stays_small(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "A", "laser")
    text = base64.b64encode(ZPL.ljust(4_000_000)).decode()
    ids = [cloud.send(printer_name="laser", file_base64=text)["id"] for _ in range(3)]
    offered = cloud.call("GET", "/print-jobs/pending").json["data"]
    assert [each["id"] for each in offered] == ids[:2], "the third comes once these are taken"
    assert all(each["is_base64"] for each in offered)


def test_a_printer_that_is_lent_is_served_by_its_own_account(cloud: Cloud) -> None:
    tenant, token = cloud.account("tenant")
    cloud.computer(cloud.key, "PC", "laser")
    laser = cloud.store.devices.by_serial(ORGANIZATION, 2)
    assert laser is not None
    cloud.people.lend(laser, tenant.id)
    job = cloud.send(token)
    assert (job["printer_id"], cloud.call("GET", "/print-jobs/pending", token=token).json["data"]) == (2, [])
    (offered,) = cloud.call("GET", "/print-jobs/pending").json["data"]
    assert offered["id"] == job["id"]
    assert cloud.call("GET", f"/print-jobs/{job['id']}/download").json == ZPL
    done = {"status": "completed"}
    assert "another account" in cloud.refused(422, "POST", f"/print-jobs/{job['id']}/status", done, token)
    assert cloud.call("POST", f"/print-jobs/{job['id']}/status", done).status == 200
    assert cloud.call("GET", f"/print-jobs/{job['id']}", token=token).json["data"]["status"] == "completed"
    cloud.refused(404, "DELETE", f"/print-jobs/{job['id']}")
    cloud.refused(404, "GET", f"/print-jobs/{job['id']}")


# --- cancelling, forgetting, looking --------------------------------------------------------------------------------


def test_every_state_has_its_word_and_only_what_is_under_way_is_cancelled(cloud: Cloud) -> None:
    assert set(words.STATUS) == set(State)
    for state in State:
        job = cloud.send()
        stored = cloud.stored(job["id"])
        assert cloud.store.jobs.move(ORGANIZATION, stored.id, set(State), state)
        shown = cloud.call("GET", f"/print-jobs/{job['id']}").json["data"]["status"]
        assert shown == words.STATUS[state]
        status = cloud.call("POST", f"/print-jobs/{job['id']}/cancel").status
        assert status == (200 if shown in ("pending", "processing", "cancelled") else 422), state


def test_a_job_that_another_computer_has_taken_can_be_cancelled(cloud: Cloud) -> None:
    cloud.computer(cloud.key, "PC", "laser")
    job = cloud.send(printer_name="laser")
    cloud.call("PUT", f"/print-jobs/{job['id']}/status", {"status": "processing"})
    assert cloud.call("POST", f"/print-jobs/{job['id']}/cancel").json["data"]["status"] == "cancelled"
    late = {"status": "completed"}
    assert "was cancelled" in cloud.refused(422, "PUT", f"/print-jobs/{job['id']}/status", late)


def test_a_deleted_job_is_gone_with_its_file(cloud: Cloud) -> None:
    number = cloud.form(ZPL.ljust(200_000)).json["data"]["print_job"]["id"]
    assert cloud.call("DELETE", f"/print-jobs/{number}").json == {
        "success": True, "message": "Print job deleted successfully", "data": None,
    }  # fmt: skip
    cloud.refused(404, "GET", f"/print-jobs/{number}")
    assert list(cloud.store.spool.documents.iterdir()) == []


def test_the_list_comes_in_pages_the_newest_first(cloud: Cloud) -> None:
    ids = [cloud.send()["id"] for _ in range(5)]
    cloud.call("POST", f"/print-jobs/{ids[0]}/cancel")
    page = cloud.call("GET", "/print-jobs?per_page=2&page=2&status=pending").json
    assert [each["id"] for each in page["data"]] == [ids[2], ids[1]]
    base = f"http://localhost:8910{MOUNT}/print-jobs"
    assert page["meta"] == {
        "current_page": 2, "from": 3, "last_page": 2, "path": base, "per_page": 2, "to": 4, "total": 4,
    }  # fmt: skip
    assert page["links"]["prev"] == f"{base}?per_page=2&status=pending&page=1"
    assert page["links"]["next"] is None
    assert len(cloud.call("GET", "/print-jobs").json["data"]) == 5
    assert [each["id"] for each in cloud.call("GET", "/print-jobs?status=cancelled").json["data"]] == [ids[0]]


def test_a_job_of_another_api_is_shown_as_far_as_olin_has_words(cloud: Cloud) -> None:
    request = JobRequest(ORGANIZATION, cloud.rig.printer.id, "v1", Url("http://files.example/a.pdf"), copies=2,
                         grants=EVERYTHING)  # fmt: skip
    job, _ = cloud.desk.intake.accept(request)
    shown = cloud.call("GET", f"/print-jobs/{job.id}").json["data"]
    assert (shown["id"], shown["print_options"]) == (job.serial, {"copies": 2})


# --- how often ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plan", "limit"), [(None, 60), ("professional", 300), ("enterprise", 1000)])
def test_a_plan_limits_and_says_so_on_every_answer(tmp_path: Path, plan: str | None, limit: int) -> None:
    cloud = Cloud(tmp_path, olin_plan="free")
    _, token = cloud.account("small", plan=plan)
    for left, path in ((limit - 1, "/user"), (limit - 2, "/print-jobs/99")):
        headers = cloud.call("GET", path, token=token).headers
        assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == (str(limit), str(left))
        assert 30 < int(headers["X-RateLimit-Reset"]) - time.time() < 62
    if plan is None:
        for _ in range(limit - 2):
            assert cloud.call("GET", "/user", token=token).status == 200
        over = cloud.call("GET", "/user", token=token)
        assert (over.status, over.headers["X-RateLimit-Remaining"]) == (429, "0")
        assert 1 <= int(over.headers["Retry-After"]) <= 60
        assert cloud.call("GET", "/user").status == 200, "each account has its own"
    assert "X-RateLimit-Limit" in cloud.call("GET", "/user", token="wrong").headers
    cloud.rig.close()


def test_without_a_plan_nothing_is_limited_or_said_but_registrations_are(cloud: Cloud) -> None:
    assert not [name for name in cloud.call("GET", "/user").headers if name.startswith("X-RateLimit")]
    typo = {**newcomer(), "password_confirmation": "something else"}
    statuses = [cloud.call("POST", "/register", typo, "").status for _ in range(61)]
    assert statuses == [422] * 60 + [429]
    assert cloud.call("POST", "/login", {}, "").status == 422


# --- what callers get wrong -----------------------------------------------------------------------------------------

WRONG: tuple[Any, ...] = (
    0, -1, 1.5, 2**70, True, [], [[]], {}, {"a": [1]}, "", " ", "x", "\x00", "\u202e", "x" * 5000, None,
)  # fmt: skip
FIELDS = {
    "/login": ("email", "password"),
    "/register": ("name", "email", "password", "password_confirmation", "parent_api_key"),
    "/printers/sync": ("printers", "computer_name"),
    "/printers/heartbeat": ("computer_name", "timestamp", "printers"),
    "/print-jobs": ("file", "file_base64", "file_url", "file_name", "printer_id", "printer_name", "copies", "priority",
                    "print_options"),
    "/print-jobs/1/status": ("status", "error_message"),
}  # fmt: skip

GOOD: dict[str, Any] = {
    "/register": newcomer(), "/login": {"email": "a@b.c", "password": "long enough"},
    "/print-jobs": {"file_base64": ZPL64}, "/printers/heartbeat": {"computer_name": "PC"},
    "/printers/sync": {"printers": [{"name": "p", "computer_name": "c"}]},
}  # fmt: skip


@pytest.mark.parametrize("path", FIELDS)
def test_no_value_breaks_anything(cloud: Cloud, path: str) -> None:
    cloud.send()
    good: dict[str, Any] = GOOD.get(path, {"status": "cancelled"})
    seen = set()
    for name, value in itertools.product(FIELDS[path], WRONG):
        seen.add(cloud.call("POST", path, {**good, name: value}).status)
    for name, value in itertools.product(("name", "printer_id", "status", "capabilities", "last_seen_at"), WRONG):
        if path == "/printers/sync":
            printer = {"name": "p", "computer_name": "c", name: value}
            seen.add(cloud.call("POST", path, {"printers": [printer]}).status)
    for name, value in itertools.product(("color", "duplex", "paper_size", "copies", "else"), WRONG):
        if path == "/print-jobs":
            seen.add(cloud.call("POST", path, {**good, "print_options": {name: value}}).status)
    assert seen <= {200, 201, 401, 403, 404, 422, 429} and (422 in seen or path == "/login")


@pytest.mark.parametrize(
    "body",
    [b"{", b'{"a": NaN}', b'{"a": 1e999}', b"[" * 100, b'{"a":' * 40 + b"1" + b"}" * 40, b'"text"', b"[1]", b"\xff",
     b'{"copies": 1, "copies": 2}', b"\x00"],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_a_bad_request(cloud: Cloud, body: bytes) -> None:
    for path in FIELDS:
        cloud.refused(400, "POST", path, body)


def test_exactly_one_document_belongs_to_a_job(cloud: Cloud) -> None:
    url = "http://files.example/a.pdf"
    for fields in ({}, {"file_base64": ZPL64, "file_url": url}, {"file_base64": ""}, {"file": "x"}):
        answer = cloud.call("POST", "/print-jobs", fields)
        assert (answer.status, list(answer.json["errors"])) == (422, ["file"])
    assert cloud.form(ZPL, file_url=url).status == 422
    two = {"file": [(io.BytesIO(ZPL), "a.zpl"), (io.BytesIO(ZPL), "b.zpl")]}
    assert cloud.call("POST", "/print-jobs", data=two, content_type="multipart/form-data").status == 422
    assert "empty" in cloud.form(b"").json["message"]


@pytest.mark.parametrize("number", ["0", "99", "-1", "1.5", "x", "9" * 18, "9" * 30, "\u0663", "%00", "1%27--"])
def test_a_number_that_is_no_job_is_not_found(cloud: Cloud, number: str) -> None:
    cloud.send()
    for method, path in (("GET", ""), ("GET", "/download"), ("POST", "/cancel"), ("DELETE", "")):
        cloud.refused(404, method, f"/print-jobs/{number}{path}")
    cloud.refused(404, "POST", "/print-jobs", {"file_base64": ZPL64, "printer_id": number})
    cloud.refused(404, "POST", f"/printers/{number}/test-page")


def test_json_needs_no_content_type_and_a_slash_at_the_end_no_redirect(cloud: Cloud) -> None:
    for kind in ("", "text/plain", "application/x-www-form-urlencoded"):
        made = cloud.call("POST", "/print-jobs/", {"file_base64": ZPL64}, content_type=kind)
        assert made.status == 201
    cloud.refused(404, "GET", "/nothing/here")
    cloud.refused(405, "PUT", "/user")


# --- the document ---------------------------------------------------------------------------------------------------


def test_the_document_is_openapi_and_public(cloud: Cloud) -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(copy.deepcopy(DOCUMENT)).iter_errors()] == []
    assert cloud.call("GET", "/openapi.json", token="none").json == DOCUMENT


def test_every_route_is_in_the_document_and_nothing_else_is(cloud: Cloud) -> None:
    rules = [rule for rule in cloud.app.url_map.iter_rules() if rule.rule.startswith(MOUNT)]
    served = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix(MOUNT)))
        for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }  # fmt: skip
    told = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert served == told == {(method, openapi.path(route.path)) for route in ROUTES for method in route.methods}


def test_real_answers_are_as_the_document_says(cloud: Cloud) -> None:
    cloud.call("POST", "/register", newcomer(), "")
    cloud.computer(cloud.key, "PC", "laser")
    first, second = cloud.send(printer_id=2)["id"], cloud.send(printer_id=1)["id"]
    calls: list[tuple[str, str, str, Any]] = [
        ("POST", "/login", "/login", {"email": "jane@shop.example", "password": "long enough"}),
        ("POST", "/register", "/register", newcomer(email="x@b.c")),
        ("GET", "/user", "/user", None), ("GET", "/printers", "/printers", None),
        ("POST", "/printers/sync", "/printers/sync", {"printers": [{"name": "laser", "computer_name": "PC"}]}),
        ("POST", "/printers/heartbeat", "/printers/heartbeat", {"computer_name": "PC"}),
        ("POST", "/printers/1/test-page", "/printers/{printer}/test-page", None),
        ("POST", "/print-jobs", "/print-jobs", {"file_base64": ZPL64, "printer_id": 1}),
        ("GET", "/print-jobs", "/print-jobs", None), ("GET", "/print-jobs/pending", "/print-jobs/pending", None),
        ("GET", f"/print-jobs/{first}", "/print-jobs/{job_id}", None),
        *[(method, f"/print-jobs/{first}/status", "/print-jobs/{job_id}/status", {"status": "completed"})
          for method in ("POST", "PUT", "PATCH")],
        ("POST", f"/print-jobs/{second}/cancel", "/print-jobs/{job_id}/cancel", None),
        ("DELETE", f"/print-jobs/{second}", "/print-jobs/{job_id}", None),
        ("GET", "/print-jobs/0", "/print-jobs/{job_id}", None), ("POST", "/print-jobs", "/print-jobs", {}),
    ]  # fmt: skip
    held = set()
    for method, path, template, body in calls:
        answer = cloud.call(method, path, body)
        operation = DOCUMENT["paths"][template][method.lower()]
        told = operation["responses"].get(str(answer.status), {"content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/Failure"}}}})  # fmt: skip
        schema = {**told["content"]["application/json"]["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(answer.json)
        held.add((method, template))
    told_all = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert told_all - held == {("GET", "/openapi.json"), ("GET", "/print-jobs/{job_id}/download")}
