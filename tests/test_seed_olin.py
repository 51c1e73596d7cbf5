"""Every example of Olin's own documentation over a real socket, held against the documented answer in shape; and its
curl commands, as they stand but for host, token, file and printer, on the virtual printer.

A fixture names under "replace" what a new bridge cannot know and what stands in its place.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.access.keys import KeyRing
from bridge.access.people import SUB_ACCOUNTS, People
from bridge.store import Store
from tests.bridge.papers import batch
from tests.fake.web import Web
from tests.serving import ROOT, Answer, Serve

EXAMPLES: list[dict[str, Any]] = json.loads((ROOT / "tests/golden/olin-examples.json").read_text())
MOUNT = "/olin/api"
OPEN = "[server]\nregistration = true\n"
VAGUE = {"Operation successful", "Error description"}
"""What the documentation calls any message; all others are told letter by letter."""
PDF = batch(1)


@dataclass
class Story:
    """The examples told one after the other on one bridge. words: what stands in place of {token} and the like."""

    bridge: Serve
    words: dict[str, str] = field(default_factory=dict)

    def tell(self, example: dict[str, Any]) -> Answer:
        headers = {name: self.filled(value) for name, value in example["headers"].items()}
        body: Any = None
        if "body" in example:
            text = json.dumps(example["body"])
            for theirs, ours in example.get("replace", {}).items():
                assert theirs in text, (example["name"], theirs)
                text = text.replace(theirs, self.filled(ours))
            body = text.encode()
        elif "form" in example:
            body, headers["Content-Type"] = form({**example["form"], "printer_id": self.words["printer"]})
        return self.bridge.call(example["method"], MOUNT + self.filled(example["path"]), body, headers)

    def filled(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: self.words.get(match[1], match[0]), text)


def form(fields: dict[str, str]) -> tuple[bytes, str]:
    """(body, Content-Type) as curl -F sends it."""
    parts = []
    for name, value in fields.items():
        extra = '; filename="document.pdf"\r\nContent-Type: application/pdf' if value.startswith("@") else ""
        data = PDF if value.startswith("@") else value.encode()
        parts.append(b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
                     % (name.encode(), extra.encode(), data))  # fmt: skip
    return b"".join(parts) + b"--b--\r\n", "multipart/form-data; boundary=b"


def mismatch(documented: Any, answered: Any, where: str = "") -> str | None:
    """What is missing or of another kind; our answers may say more. null in either fits anything."""
    if documented is None or answered is None:
        return None
    if type(documented) is not type(answered):
        return f"{where} is {answered!r}, documented is {documented!r}"
    if isinstance(documented, dict):
        for name, value in documented.items():
            if name not in answered:
                return f"{where}.{name} is missing"
            if (found := mismatch(value, answered[name], f"{where}.{name}")) is not None:
                return found
    if isinstance(documented, list) and documented:
        return mismatch(documented[0], answered[0], f"{where}[0]") if answered else f"{where} is empty"
    if isinstance(documented, str):
        dates = [re.sub(r"\d", "0", each) for each in (documented, answered)]
        if re.match(r"0000-00-00", dates[0]) and dates[0] != dates[1]:
            return f"{where} is {answered!r}, documented is {documented!r}"
    return None


def people(folder: Path) -> tuple[Store, People]:
    store = Store(folder)
    return store, People(store, KeyRing(store))


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """A bridge with the John Doe of the examples, and an integrator who has all the sub-accounts there may be."""
    folder = tmp_path / "data"
    with Serve(folder):
        pass
    store, who = people(folder)
    john = who.create_organization("John Doe", plan="professional", jobs_quota=500)
    who.change_organization(john.id, jobs_used=50)
    who.create_user(john.id, name="John Doe", email="user@example.com", password="your_password", role="admin")
    words = {"token": who.token_for(john.id, kind="olin", name="t", scopes=["jobs", "printers"], prefix="1|")[1]}
    full = who.create_organization("Full", plan="enterprise")
    for number in range(SUB_ACCOUNTS):
        who.create_organization(f"Branch {number}", parent_id=full.id)
    words["full_parent"] = who.token_for(full.id, kind="olin", name="t", scopes=["jobs", "printers"], prefix="2|")[1]
    store.close()
    with Serve(folder, OPEN) as bridge:
        yield Story(bridge, {**words, "parent": bridge.key, "pdf": base64.b64encode(PDF).decode()})
        assert "Traceback" not in bridge.log.read_text()


def test_every_documented_example_is_answered_as_documented(story: Story) -> None:
    sent = matching = 0
    for example in EXAMPLES:
        name, documented = example["name"], example["response"]
        answer = story.tell(example)
        sent += 1
        assert answer.status == example["status"], (name, answer)
        if documented == "binary":
            assert answer.data == PDF
            assert answer.headers["content-disposition"] == "attachment; filename=document.pdf"
        else:
            assert mismatch(documented, answer.json, name) is None, (mismatch(documented, answer.json, name), answer)
            assert documented["message"] in VAGUE or answer.json["message"] == documented["message"]
        matching += 1
        if name == "login":
            assert {k: v for k, v in answer.json["data"].items() if k not in ("token", "user_id")} == {
                k: v for k, v in documented["data"].items() if k not in ("token", "user_id")
            }
            story.words["token"] = answer.json["data"]["token"]
        if name == "printers":
            (printer,) = answer.json["data"]["DESKTOP-ABC123"]
            assert printer["capabilities"]["paper_sizes"] == ["A4", "Letter"]
            story.words["printer"] = str(printer["id"])
        if name == "print_job_base64":
            story.words["job"] = str(answer.json["data"]["print_job"]["id"])
    print(f"{len(EXAMPLES)} documented, {sent} sent, {matching} matching")


def test_the_documented_curl_commands_print_on_the_virtual_printer(tmp_path: Path) -> None:
    document = tmp_path / "document.pdf"
    document.write_bytes(PDF)
    commands = {example["name"]: example["curl"] for example in EXAMPLES if "curl" in example}
    assert len(commands) == 3
    with Web() as web, Serve(tmp_path / "data") as bridge:
        web.serve("/documents/invoice.pdf", PDF)
        for name, command in commands.items():
            for theirs, ours in (
                ("https://cloudprint.olininnovations.co.ke/api", f"http://127.0.0.1:{bridge.port}{MOUNT}"),
                ("YOUR_API_TOKEN", bridge.key),
                ("/path/to/document.pdf", shlex.quote(str(document))),
                ("JVBERi0xLjQKJeLjz9MKMSAwIG9iaiA8P...", base64.b64encode(PDF).decode()),
                ("https://example.com/documents/invoice.pdf", web.url("/documents/invoice.pdf")),
                ("HP LaserJet Pro", "virtual"),
                ("Office Printer", "virtual"),
            ):
                command = command.replace(theirs, ours)
            reply = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120, check=True)
            job = json.loads(reply.stdout)["data"]["print_job"]
            done = finished(bridge, job["id"])
            print(f"{name}: {done['status']} on {done['printer_name']}")
            assert done["status"] == "completed", done
        kept = list((tmp_path / "data" / "virtual" / "virtual").glob("*.bin"))
    assert len(kept) == 3 and all(b"^XA" in each.read_bytes() for each in kept)
    assert sorted(each.read_bytes().count(b"^PQ2") for each in kept) == [0, 1, 1]


def finished(bridge: Serve, number: int) -> Any:
    """The job once it is over."""
    deadline = time.monotonic() + 60
    while True:
        answer = bridge.call("GET", f"{MOUNT}/print-jobs/{number}", headers={"Authorization": f"Bearer {bridge.key}"})
        job = answer.json["data"]
        if job["status"] not in ("pending", "processing"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)
