"""Every request body of Cloudlinker's own documentation, letter by letter, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake.printer import FakePrinter
from tests.serving import ROOT, Answer, Serve, printer

GOLDEN = ROOT / "tests" / "golden" / "cloudlinker"
EXAMPLES = {path.stem: path.read_bytes() for path in sorted(GOLDEN.glob("*.txt")) if ".reply" not in path.name}
STATUS = {"clients_list": 200, "clients_create": 200, "clients_update": 422}
"""On a new bridge. All others name a client, device or job it cannot know: 404. The update names no client at all."""

CLIENT, SECOND_CLIENT = "0197df47-871f-72d1-95df-2bfb0c18529a", "0197e078-c984-7383-9c82-94b2b96bbe20"
DEVICE, PRINTER = b"0197e09b-d974-7191-a978-9bf0daecef6b", b"0197df47-88ca-714f-bd34-372d53fb6fc5"
JOB = b"0197e0aa-e9f3-7168-8504-ccffa0052376"


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Serve]:
    with FakePrinter() as dock, Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
        yield bridge
        assert dock.connections == 0, "no example launches anything here"
        assert "Traceback" not in bridge.log.read_text()


def post(bridge: Serve, name: str, body: bytes, **headers: str) -> Answer:
    return bridge.call("POST", f"/api/{name.replace('_', '/')}", body, headers)


def test_there_are_examples_of_every_endpoint_with_a_body() -> None:
    assert len(EXAMPLES) == 11
    assert set(STATUS) < set(EXAMPLES)


def test_as_they_stand_they_are_understood_or_refused_for_what_they_name(bridge: Serve) -> None:
    """Whatever a body names is unknown here; that it cannot be read is never the reason."""
    assert bridge.call("GET", "/api/test").json == {"organization_id": bridge.organization_id}
    for name, body in EXAMPLES.items():
        answer = post(bridge, name, body)
        print(f"{name}: {answer.status} {answer.json.get('message', '')}")
        assert answer.status == STATUS.get(name, 404), (name, answer)
        if answer.status != 200:
            assert answer.json["message"].startswith(("there is no ", "client_id is required: there are several"))


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_missing_or_wrong_content_type_makes_no_difference(bridge: Serve, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answers = {name: post(bridge, name, body, **headers).status for name, body in EXAMPLES.items()}
    assert answers == {name: STATUS.get(name, 404) for name in EXAMPLES}


def test_where_their_clients_devices_and_job_exist_they_all_work(bridge: Serve) -> None:
    """In the order of a life: ids that the bridge gives away itself stand where the documentation has its own."""
    bridge.api("clients/create", client_id=CLIENT, hostname="LT-STESA", ip_address="10.5.0.2")
    bridge.api("clients/create", client_id=SECOND_CLIENT, hostname="LT-NEWTEST", ip_address="192.168.1.123")
    names = {DEVICE: "Microsoft XPS Document Writer", PRINTER: "Microsoft Print to PDF"}
    made = {
        theirs: bridge.api("devices/create", client_id=CLIENT, name=name, device_type=1)["data"]["id"].encode()
        for theirs, name in names.items()
    }
    for name in ("clients_list", "clients_create", "clients_update", "devices_create", "devices_update", "jobs_create",
                 "jobs_update", "jobs_launch", "jobs_delete", "devices_delete", "clients_delete"):  # fmt: skip
        body = EXAMPLES[name]
        for theirs, ours in made.items():
            body = body.replace(theirs, ours)
        answer = post(bridge, name, body)
        assert answer.status == 200, (name, answer)
        if name == "jobs_create":
            made[JOB] = answer.json["data"]["id"].encode()
        if name == "jobs_update":
            assert '"http://cloudlinker/test2.pdf"' in answer.json["data"]["payload"]
        if name == "jobs_launch" or name.endswith("_delete"):
            assert answer.json == []
    assert bridge.total() == 0
