"""The dashboard: one page without secrets, and its calls, through the real guard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bridge.access.keys import KeyRing
from bridge.access.origins import HostRules
from bridge.dialects import load
from bridge.model import EVERYTHING, Inline, Job, JobRequest, Picture, PrinterState, State, Template, Url
from bridge.prepare.labels import expand
from bridge.prepare.pictures import picture
from bridge.web.dashboard import JOB_WORDS, make_dashboard, warnings
from bridge.web.remedies import what_to_do
from bridge.web.server import make_app
from devices.contracts import BLOCKING, Bitmap
from devices.languages import load as language
from tests.bridge.rig import ORGANIZATION, OWN_PORT, Rig

BASE = f"http://localhost:{OWN_PORT}"
PAGE = {"Origin": BASE, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
BOX = language("zpl").encode(Bitmap(16, 2, b"\xff\x00\x00\xff"))
TEXT = b"^XA^FO20,20^ADN,36,20^FD<b>hello</b>^FS^XZ"


class Page:
    """The dashboard's page in a browser on this machine."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        desk = replace(rig.desk, picture=self._picture, api_key="pb_secret")
        hosts = HostRules.of([], None, OWN_PORT)
        self.app = make_app(
            desk, KeyRing(rig.store), [load("v1")], hosts, body_max=1_000_000, dashboard=make_dashboard(desk)
        )

    def _picture(self, job: Job, number: int) -> Picture | None:
        body = self.rig.store.jobs.body(ORGANIZATION, job.id)
        return picture([body], number, "zpl") if body else None

    def client(self) -> FlaskClient:
        return self.app.test_client()

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> TestResponse:
        headers = PAGE if headers is None else headers
        with self.client() as client:
            return client.open(path, method=method, base_url=BASE, json=body, headers=headers)

    def state(self) -> Any:
        answer = self.call("GET", "/web/state")
        assert answer.status_code == 200, answer.text
        return answer.json

    def print(self, data: bytes = BOX, **fields: Any) -> Job:
        request = JobRequest(ORGANIZATION, self.rig.printer.id, "v1", Inline(data), grants=EVERYTHING, **fields)
        return self.rig.intake.accept(request)[0]

    def unconfirmed(self, text: str = "labels 37-38 of 500 may have printed") -> Job:
        job = self.print(title="Parcels", copies=500)
        attempt = self.rig.store.jobs.begin_attempt(job, bytes_total=100, pages=None)()
        assert attempt is not None
        self.rig.store.jobs.end_attempt(job, attempt, State.UNCONFIRMED, bytes_sent=9, evidence=None, text=text)()
        return job


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    rig = Rig(tmp_path, load("v1"))
    yield Page(rig)
    rig.close()


# ---- the page ---------------------------------------------------------------------------------------------------


def test_the_page_runs_only_its_own_script(page: Page) -> None:
    answer = page.call("GET", "/", headers={})
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    policy = answer.headers["Content-Security-Policy"]
    [nonce] = set(re.findall(r"'nonce-([^']+)'", policy))
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert re.findall(r"<(script|style)\b([^>]*)>", answer.text) == [
        ("style", f' nonce="{nonce}"'), ("script", f' nonce="{nonce}"')
    ]  # fmt: skip
    assert nonce not in page.call("GET", "/", headers={}).text, "a nonce is used once"


def test_the_page_needs_nothing_from_elsewhere_and_sets_text_only_as_text(page: Page) -> None:
    text = page.call("GET", "/", headers={}).text
    outside = re.findall(r"(?:src|href|action)\s*=\s*[\"'](?!data:)([^\"']*)", text)
    assert outside == []
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", text.replace("http://www.w3.org/2000/svg", "")) == []
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|\son[a-z]+=|\sstyle=", text)


def test_there_is_no_secret_on_the_page_nor_in_its_state(page: Page) -> None:
    page.print()
    for path in ("/", "/web/state"):
        text = page.call("GET", path).text
        assert "pb_secret" not in text and ORGANIZATION not in text


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}])
def test_only_the_page_itself_may_call(page: Page, headers: dict[str, str]) -> None:
    job = page.print()
    for method, path in (("GET", "/web/state"), ("POST", f"/web/jobs/{job.id}/cancel")):
        assert page.call(method, path, headers=headers).status_code == 403
    assert page.rig.job(job.id).state is State.QUEUED


# ---- the state --------------------------------------------------------------------------------------------------


def test_every_state_has_words() -> None:
    assert set(JOB_WORDS) == set(State)


def test_the_state_shows_printers_and_jobs(page: Page) -> None:
    job = page.print(title="<b>Parcel</b>", copies=2)
    state = page.state()
    [printer] = state["printers"]
    assert (printer["name"], printer["words"], printer["waiting"], printer["paused"]) == ("dock", "Ready", 1, False)
    [shown] = state["jobs"]
    assert shown["id"] == job.id
    assert (shown["title"], shown["words"], shown["copies"]) == ("<b>Parcel</b>", "Waiting", 2)
    assert shown["can"] == ["cancel"]
    assert (state["doubts"], state["machine"]) == ([], "till-3")


def test_only_the_last_twenty_jobs_are_shown_newest_first(page: Page) -> None:
    jobs = [page.print(title=str(number)) for number in range(22)]
    assert [job["id"] for job in page.state()["jobs"]] == [job.id for job in reversed(jobs[2:])]


def test_a_doubt_stands_apart_and_is_named_however_old_it_is(page: Page) -> None:
    job = page.unconfirmed()
    for _ in range(25):
        page.print()
    state = page.state()
    [doubt] = state["doubts"]
    assert (doubt["id"], doubt["words"], doubt["can"]) == (job.id, "In doubt", ["resolve"])
    assert doubt["text"] == "labels 37-38 of 500 may have printed"
    assert job.id not in [shown["id"] for shown in state["jobs"]]


def test_progress_is_told_as_a_share_and_in_words(page: Page) -> None:
    job = page.print(copies=4)
    assert page.state()["jobs"][0]["progress"] is None
    ticket = page.rig.store.lanes.ticket(job.id)
    assert ticket is not None
    ticket.progress.bytes_sent, ticket.progress.bytes_total = 30_000, 120_000
    assert page.state()["jobs"][0]["progress"] == {"share": 0.25, "text": "30,000 of 120,000 bytes sent"}
    ticket.progress.labels_sent = 3
    assert page.state()["jobs"][0]["progress"] == {"share": 0.75, "text": "label 3 of 4 sent"}


def test_a_printer_without_paper_says_what_to_do_and_its_jobs_why_they_wait(page: Page) -> None:
    job = page.print()
    lane, ticket = page.rig.store.lanes.lane(page.rig.printer.id), page.rig.store.lanes.ticket(job.id)
    assert lane is not None and ticket is not None
    ticket.progress.pages_rendered, ticket.progress.pages_total = 1, 1
    lane.state = PrinterState("stopped", ("media-empty",), "the paper has run out")
    state = page.state()
    [printer], [shown] = state["printers"], state["jobs"]
    assert printer["text"] == "the paper has run out"
    assert printer["remedy"] == "put new paper in and close it: its jobs go on by themselves"
    assert (shown["words"], shown["text"]) == ("Waiting for the printer", "the paper has run out")
    assert shown["progress"] is None, "that it is drawn is no progress towards paper"


@pytest.mark.parametrize("reason", sorted(reason.value for reason in BLOCKING))
def test_every_reason_that_stops_a_printer_has_a_remedy(reason: str) -> None:
    assert what_to_do([reason]).endswith("its jobs go on by themselves")


def test_a_printer_that_is_offline_may_have_another_button_than_pause() -> None:
    assert what_to_do(["paused"]) == "press its pause (or online) button: its jobs go on by themselves"


def test_what_a_person_paused_here_is_not_blamed_on_the_printers_button(page: Page) -> None:
    page.call("POST", f"/web/printers/{page.rig.printer.id}/pause")
    [printer] = page.state()["printers"]
    assert "resume it" in printer["text"] and printer["remedy"] == ""


def test_a_drawn_job_that_waits_its_turn_is_not_being_prepared(page: Page) -> None:
    job = page.print()
    page.rig.store.jobs.move(ORGANIZATION, job.id, [State.QUEUED], State.PREPARING)
    assert page.state()["jobs"][0]["words"] == "Waiting"


def test_a_job_that_is_not_fetched_or_drawn_yet_has_no_picture(page: Page) -> None:
    def version(job: Job) -> Any:
        return next(shown["picture"] for shown in page.state()["jobs"] if shown["id"] == job.id)

    def request(document: Any) -> Job:
        wanted = JobRequest(ORGANIZATION, page.rig.printer.id, "v1", document, grants=EVERYTHING)
        return page.rig.intake.accept(wanted)[0]

    raw, fetched = page.print(), request(Url("http://files.example/a.pdf"))
    template = request(Template("test-4x6", {"printer": "dock"}))
    assert version(raw) is not None
    assert version(fetched) is None and version(template) is None
    page.rig.store.jobs.annotate(template, pages=1)
    page.rig.store.jobs.move(ORGANIZATION, raw.id, [State.QUEUED], State.CANCELLED)  # a write waits for the one before
    assert version(template) is not None


# ---- the buttons ------------------------------------------------------------------------------------------------


def test_the_test_label_is_a_job_like_any_other(page: Page) -> None:
    answer = page.call("POST", f"/web/printers/{page.rig.printer.id}/test-label")
    assert answer.status_code == 200, answer.text
    job = page.rig.job(answer.json["id"])
    assert (job.title, job.state, job.kind) == ("Test label", State.QUEUED, "template")
    assert job.device_id == page.rig.printer.id
    body = page.rig.store.jobs.body(ORGANIZATION, job.id)
    assert body is not None
    template = Template.from_json(body)
    assert template.fields["printer"] == "dock" and template.fields["bridge"] == "till-3"
    assert b"If you can read this" in expand(template.name, template.fields, 203)


def test_a_printer_with_an_awkward_name_gets_its_test_label_too(page: Page) -> None:
    printer = page.rig.add_printer("Lager\x07 " + "ä" * 180)
    answer = page.call("POST", f"/web/printers/{printer.id}/test-label")
    body = page.rig.store.jobs.body(ORGANIZATION, answer.json["id"])
    assert body is not None
    template = Template.from_json(body)
    assert len(template.fields["printer"]) == 60
    assert expand(template.name, template.fields, 203)


def test_pause_and_resume(page: Page) -> None:
    path = f"/web/printers/{page.rig.printer.id}"
    assert page.call("POST", path + "/pause").json["paused"] is True
    assert page.state()["printers"][0]["text"] == "paused: on the dashboard; resume it to go on printing"
    assert page.call("POST", path + "/resume").json["words"] == "Ready"


def test_cancel_and_print_again(page: Page) -> None:
    job = page.print()
    assert page.call("POST", f"/web/jobs/{job.id}/cancel").json["can"] == ["launch"]
    assert page.call("POST", f"/web/jobs/{job.id}/launch").json["state"] == "queued"


@pytest.mark.parametrize(("answer", "state"), [("printed", "delivered"), ("again", "queued"), ("cancel", "cancelled")])
def test_a_doubt_is_answered_at_the_printer(page: Page, answer: str, state: str) -> None:
    job = page.unconfirmed()
    assert page.call("POST", f"/web/jobs/{job.id}/resolve", {"answer": "dunno"}).status_code == 422
    assert page.call("POST", f"/web/jobs/{job.id}/resolve", {"answer": answer}).json["state"] == state
    assert page.state()["doubts"] == []


def test_a_refusal_comes_as_a_sentence(page: Page) -> None:
    answer = page.call("POST", "/web/jobs/none/cancel")
    assert (answer.status_code, answer.json["error"]["text"]) == (404, "there is no job 'none'")


# ---- pictures ---------------------------------------------------------------------------------------------------


def test_the_picture_of_a_label_is_a_png(page: Page) -> None:
    answer = page.call("GET", f"/web/jobs/{page.print().id}/labels/1.png")
    assert answer.mimetype == "image/png" and answer.data.startswith(b"\x89PNG")
    assert answer.headers["Left-Out"] == ""


def test_what_the_printer_draws_itself_is_said_beside_the_picture(page: Page) -> None:
    answer = page.call("GET", f"/web/jobs/{page.print(BOX.replace(b'^XZ', TEXT[3:])).id}/labels/1.png")
    assert answer.mimetype == "image/png"
    assert unquote(answer.headers["Left-Out"]).endswith("so it is not in the picture: ^AD, ^FD.")


def test_a_picture_of_the_first_label_says_that_there_are_more(page: Page) -> None:
    answer = page.call("GET", f"/web/jobs/{page.print(BOX * 3).id}/labels/1.png")
    assert unquote(answer.headers["Left-Out"]) == "This is the first of 3 labels."


def test_a_label_that_cannot_be_drawn_shows_its_code_as_plain_text(page: Page) -> None:
    answer = page.call("GET", f"/web/jobs/{page.print(TEXT).id}/labels/1.png")
    assert (answer.status_code, answer.mimetype) == (200, "text/plain")
    assert "^FD<b>hello</b>" in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_label_that_is_not_there_is_a_404(page: Page) -> None:
    job = page.print()
    for number in (0, 2):
        assert page.call("GET", f"/web/jobs/{job.id}/labels/{number}.png").status_code == 404


# ---- jobs that are held, and a bridge that is not well ------------------------------------------------------------


def test_held_jobs_stand_apart_and_one_button_releases_or_discards_all_of_them(page: Page) -> None:
    one, two, three = (page.print(hold=True, title=f"label {n}") for n in (1, 2, 3))
    state = page.state()
    assert (len(state["held"]), state["held_total"], state["jobs"]) == (3, 3, [])
    assert state["held"][0]["can"] == ["release", "cancel"]
    assert page.call("POST", f"/web/jobs/{one.id}/release").json["state"] == "queued"  # type: ignore[index]
    assert page.call("POST", "/web/held/discard").json == {"discarded": 2}
    assert [page.rig.job(job.id).state for job in (one, two, three)] == ["queued", "cancelled", "cancelled"]


def test_the_page_shows_and_stops_jobs_of_every_organization(page: Page) -> None:
    tenant = page.rig.store.organizations.add("tenant", "Branch").id
    page.rig.store.devices.lend(page.rig.printer.id, tenant, True)
    request = JobRequest(tenant, page.rig.printer.id, "v1", Inline(BOX), title="Theirs", hold=True, grants=EVERYTHING)
    held, job = (page.rig.intake.accept(replace(request, hold=hold))[0] for hold in (True, False))
    state = page.call("GET", "/web/state").json
    assert [each["id"] for each in state["held"]] == [held.id] and [each["id"] for each in state["jobs"]] == [job.id]
    assert page.call("POST", f"/web/jobs/{job.id}/cancel").json["state"] == "cancelled"
    assert page.call("POST", "/web/held/discard").json == {"discarded": 1}
    found = page.rig.store.jobs.get(tenant, held.id)
    assert found is not None and found.state is State.CANCELLED


def test_what_is_wrong_with_the_bridge_itself_is_told_in_sentences() -> None:
    health = {
        "config": {"status": "last-good", "text": "config.toml: unknown key x"},
        "database": {"status": "ok", "text": ""},
        "loops": {"http": True, "feed": False},
        "disk": {"low": True, "free_bytes": 12_345_678},
    }
    assert warnings(health) == [
        "config.toml: unknown key x",
        "not running, and being started again: feed",
        "the disk is nearly full (12 MB free): new jobs are refused",
    ]
