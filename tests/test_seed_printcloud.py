"""Every example of PrintCloud's own documentation, with and without its stray blanks, over a real socket; and its curl
commands, as somebody would copy them.

What is not the documentation's is said here: the host, the key, and what the page itself leaves out (the rest of the
label in base64, an invoice on somebody's server, ids of things that were made before).
"""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.access.keys import KeyRing
from bridge.access.people import People
from bridge.store import Store
from tests.bridge.papers import batch
from tests.serving import ROOT, Answer, Serve, printer

GOLDEN = json.loads((ROOT / "tests" / "golden" / "printcloud-examples.json").read_text("utf-8"))
REQUESTS = {each["name"]: each for each in GOLDEN["requests"]}
API = "https://printcloud.abst.co.il/api"
SEED_KEY, SEED_LABEL, SEED_INVOICE = "pk_live_your_api_key", "XlhBXkZPNTAs...", "https://example.com/invoice.pdf"
LABEL = b"^XA^FO50,50^A0N,40,40^FDhello^FS^XZ"
PAPER = {"clx8f3b2c1": "laser", "clx_zebra_01": "zebra"}


class Invoices:
    """Somebody's web server with one invoice."""

    def __init__(self) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = batch(1)
                self.send_response(200)
                self.send_header("Content-Type", "application/pdf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/invoice.pdf"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Office:
    """A bridge with the two printers of the examples, another computer, and the person who logs in."""

    def __init__(self, folder: Path) -> None:
        config = "".join(printer(f"printer {name}", f"virtual://{name}", id=key) for key, name in PAPER.items())
        self.paper = folder / "data" / "virtual"
        self.bridge = Serve(folder / "data", config)
        self.invoices = Invoices()
        with self.bridge:
            pass
        store = Store(folder / "data")
        people = People(store, KeyRing(store))
        people.create_user(self.bridge.organization_id, name="John Doe", email="user@example.com",
                           password="your_password", role="admin")  # fmt: skip
        store.close()

    def real(self, text: str) -> str:
        """The documentation's text with what it leaves out."""
        made = base64.b64encode(LABEL).decode()
        assert made.startswith(SEED_LABEL.removesuffix("..."))
        return (
            text.replace(SEED_KEY, self.bridge.key).replace(SEED_LABEL, made).replace(SEED_INVOICE, self.invoices.url)
        )

    def send(self, example: dict[str, Any], body: Any, path: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.bridge.port, timeout=60)
        headers = dict(example["headers"])
        if example["user"] is not None:
            user = self.real(example["user"])
            headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        data = None if body is None else self.real(json.dumps(body)).encode()
        connection.request(example["method"], f"/printcloud/api{path}", data, headers)
        answer = connection.getresponse()
        found = Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        connection.close()
        return found

    def post(self, name: str, blanks: bool) -> Any:
        example = REQUESTS[name]
        return self.send(example, example["body_as_in_seed" if blanks else "body"], example["path"])

    def path_of(self, name: str, blanks: bool) -> str:
        """The path of an example, with ids that exist instead of the documentation's."""
        path: str = REQUESTS[name]["path"]
        if name == "delete print jobs":
            made = [self.post("print a raw label", blanks).json for _ in range(2)]
            for job in made:
                self.finished(job)
            return path.replace("pj_a8f3,pj_b2c1", ",".join(made))
        if name == "revoke an API key":
            return path.replace(":id", self.post("create an API key", blanks).json["id"])
        if name == "printers of a computer":
            return path.replace(":id", self.bridge.client_id)
        if name == "remove computers":
            self.bridge.api("clients/create", client_id="clx456", hostname="Office-PC", ip_address="10.5.0.2")
            return path.replace(":ids", "clx456")
        return path

    def finished(self, job: str) -> Any:
        plain = job.removeprefix("pj_")
        hyphens = f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"
        return self.bridge.wait(hyphens)

    def settled(self) -> None:
        """Waits until every job posted so far, by whichever test, is through."""
        for job in self.send(REQUESTS["list print jobs"], None, "/printjobs?limit=1000").json:
            self.finished(job["id"])

    def printed(self, printer_id: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.paper / PAPER[printer_id]).glob("*.bin"))]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = Office(tmp_path_factory.mktemp("office"))
    with office.bridge:
        yield office
        assert "Traceback" not in office.bridge.log.read_text()
    office.invoices.close()


def shape(value: Any) -> Any:
    """The names in an answer and the kinds of their values. Of a list its first element; an empty one says nothing."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items() if each != []}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def same_shape(answer: Any, documented: Any) -> bool:
    if isinstance(documented, dict):
        return (
            isinstance(answer, dict) and set(answer) == set(documented)
            and all(same_shape(answer[name], documented[name]) for name in documented)
        )  # fmt: skip
    if isinstance(documented, list):
        return isinstance(answer, list) and all(same_shape(each, documented[0]) for each in answer if documented)
    return shape(answer) == shape(documented)


def test_every_example_is_answered_as_documented_with_blanks_and_without(office: Office) -> None:
    sent, matching = 0, []
    for blanks in (False, True):
        for name, example in REQUESTS.items():
            body = example["body_as_in_seed" if blanks else "body"]
            path = office.path_of(name, blanks)
            answer = office.send(example, body, path)
            sent += 1
            assert answer.status == example["status"], (name, blanks, answer)
            assert same_shape(answer.json, example["response"]), (name, blanks, answer.json)
            matching.append(name)
            if example["method"] == "DELETE":
                assert answer.json == path.rpartition("/")[2].split(",")
    print(f"{len(REQUESTS)} documented, {sent} sent (each with and without blanks), {len(matching)} matching")
    assert sent == len(matching) == 2 * len(REQUESTS) == 28


def test_the_lists_are_not_empty_and_say_what_was_sent(office: Office) -> None:
    made = office.post("print a PDF from a URL", blanks=True).json
    assert office.finished(made)["state"] == "delivered"
    (line,) = (job for job in office.send(REQUESTS["list print jobs"], None, "/printjobs").json if job["id"] == made)
    assert line == {
        "id": made, "title": "Invoice #456", "state": "completed", "contentType": "pdf_uri",
        "printer": {"name": "printer laser"}, "createdAt": line["createdAt"],
    }  # fmt: skip
    (computer,) = office.send(REQUESTS["list computers"], None, "/computers").json
    assert [printer["id"] for printer in computer["printers"]] == list(PAPER)
    assert (computer["state"], computer["printers"][0]["isDefault"]) == ("online", True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_commands_of_the_documentation_print(office: Office) -> None:
    """Letter by letter, blanks and all, but for the host, the key and what the page leaves out."""
    office.settled()
    before = {key: len(office.printed(key)) for key in PAPER}
    run, jobs = 0, []
    for name, example in REQUESTS.items():
        if example["curl"] is None:
            continue
        command = office.real(example["curl"]).replace(API, f"{office.bridge.url}/printcloud/api")
        command = command.replace(REQUESTS[name]["path"], office.path_of(name, blanks=True))
        words = [word for word in shlex.split(command.replace("\\\n", " ")) if word.strip()]
        done = subprocess.run(
            [*words, "--silent", "--show-error", "--write-out", "\n%{http_code} %{content_type}"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        body, _, last = done.stdout.rpartition("\n")
        assert last == f"{example['status']} application/json", (name, done.stdout)
        assert same_shape(json.loads(body), example["response"]), (name, body)
        run += 1
        if example["path"] == "/printjobs":
            jobs.append(json.loads(body))
    for job in jobs:
        assert office.finished(job)["state"] == "delivered"
    drawn, raw = (office.printed(key)[before[key] :] for key in PAPER)
    assert len(drawn) == 1 and drawn[0].count(b"^XA") >= 1
    assert raw[-1] == LABEL
    print(f"{run} curl commands run")
    assert run == 10


def test_the_words_of_the_documentation_are_all_known(office: Office) -> None:
    for permission in GOLDEN["permissions"]:
        wish = {"description": permission, "permission": permission}
        assert office.send(REQUESTS["create an API key"], wish, "/account/apikeys").status == 201
    for event in GOLDEN["events"]:
        wish = {**REQUESTS["create a webhook"]["body"], "events": [event]}
        assert office.send(REQUESTS["create a webhook"], wish, "/webhooks").json["events"] == [event]
