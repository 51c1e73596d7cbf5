"""The canary (promises S27): each secret carries a mark of its own through a whole run of a real serve at debug, and no
mark may be found afterwards in the log, in what the API tells of itself, or (keys and passwords) in the database.
"""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import socket
import stat
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.bridge.papers import shipping_label
from tests.fake.printer import FakePrinter
from tests.fake.web import Web
from tests.serving import Serve, b64, printer

TOLD = [
    "/v1/hello", "/v1/openapi.json", "/v1/health", "/v1/events?after=0&limit=500", "/v1/jobs?limit=500", "/v1/printers",
    "/v1/keys", "/v1/origins", "/v1/metrics", "/v1/users", "/v1/webhooks/deliveries", "/v1/organizations",
    "/printcloud/api/computers", "/olin/api/printers",
]  # fmt: skip


@dataclass
class Marks:
    """Secrets by name, each with letters and digits that occur nowhere else."""

    made: dict[str, str] = field(default_factory=dict)

    def new(self, name: str) -> str:
        """A word that no pattern of the redaction knows."""
        self.made[name] = f"canary{secrets.token_hex(8)}"
        return self.made[name]

    def also(self, name: str, text: str) -> str:
        """A text that is a secret as it stands."""
        self.made[name] = text
        return text

    def found(self, data: bytes, names: set[str] | None = None) -> list[str]:
        """The secrets that occur in data."""
        return [name for name, text in self.made.items() if text.encode() in data and (names is None or name in names)]


@dataclass
class Run:
    """A run that is over."""

    marks: Marks
    bridge: Serve
    told: dict[str, bytes]
    jobs: dict[str, str]
    """The text of each job that a bad address ended."""
    kept: set[str]
    """The marks that may lie in the database: documents, and the addresses of documents."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Everything that carries a secret, once; then what the bridge tells of itself, and its end."""
    folder = tmp_path_factory.mktemp("canary")
    marks = Marks()
    server = '[server]\nlog_level = "debug"\nregistration = true\nws_port = 0\n[limits]\nfetch_s = 1\n'
    config = clouds(marks) + key_file(marks, folder) + server
    with FakePrinter() as dock, Web() as web, Serve(folder / "data", config + printer("dock", dock.uri)) as bridge:
        marks.also("first key", bridge.key)
        marks.also("first key in Basic", b64(f"{bridge.organization_id}:{bridge.key}".encode()))
        show_keys(bridge, marks)
        speak_badly(bridge, marks)
        meet_people(bridge, marks)
        hook(bridge, web, marks)
        credentials = set(marks.made) - {"query of a webhook"}
        jobs = {**fetch(bridge, web, marks), **post_documents(bridge, marks)}
        told = {path: asked(bridge, path) for path in [*TOLD, *(f"/v1/jobs/{job}" for job in jobs.values())]}
        texts = {name: bridge.job(job)["text"] for name, job in jobs.items()}
        told["/v1/diagnostics"] = unpacked(bridge)
    yield Run(marks, bridge, told, texts, set(marks.made) - credentials)


# ---- what is said to the bridge -----------------------------------------------------------------------------------


def clouds(marks: Marks) -> str:
    new = marks.new
    return (
        f'[[clouds]]\nkind = "cloudlinker"\nurl = "https://user:{new("cloud userinfo")}@cloud.example/x?k={new("k")}"\n'
        f'api_key = "{new("cloud api_key")}"\n'
        f'[[clouds]]\nkind = "printcloud"\nemail = "a@b.example"\npassword = "{new("cloud password")}"\n'
        f'[[clouds]]\nkind = "printix"\nclient_id = "x"\nclient_secret = "{new("cloud client_secret")}"\n'
    )


def key_file(marks: Marks, folder: Path) -> str:
    path = folder / "shop.key"
    path.write_text(marks.new("key of a key_file"))
    path.chmod(0o644)  # which is warned of
    return f'[[keys]]\nname = "shop"\nkey_file = "{path}"\nscopes = ["admin"]\n'


def show_keys(bridge: Serve, marks: Marks) -> None:
    """Right and wrong keys, in every way a key can be shown, and in some that it cannot."""
    shop = marks.made["key of a key_file"]
    made = bridge.call("POST", "/v1/keys", {"name": "new"}).json["key"]
    marks.also("key made meanwhile", made)
    for good in (bridge.key, shop, made):
        for way in ({"Authorization": f"Bearer {good}"}, {"Authorization": "", "X-API-Key": good}):
            bridge.call("GET", "/v1/health", headers=way)
    for path in ("/v1/health", "/api/jobs/list", "/v1/nowhere"):
        wrong = marks.also(f"wrong Basic at {path}", b64(f"x:{marks.new(f'wrong password at {path}')}".encode()))
        bad = marks.new
        for header in (
            {"Authorization": f"Basic {wrong}"}, {"Authorization": f"Bearer {bad(f'wrong Bearer at {path}')}"},
            {"X-API-Key": bad(f"wrong X-API-Key at {path}")}, {"Authorization": bad(f"garbage at {path}")},
            {"Authorization": f"Digest username=x, response={bad(f'Digest at {path}')}"},
            {"Authorization": f"Basic Basic {bad(f'twice Basic at {path}')} \x7f"},
            {"Cookie": f"session={bad(f'cookie at {path}')}"},
        ):  # fmt: skip
            bridge.call("GET", path, headers=header)
    bridge.call("GET", f"/v1/health?api_key={marks.new('key in the query')}")


def speak_badly(bridge: Serve, marks: Marks) -> None:
    """Bodies and requests that cannot be read, with secrets in them."""
    for path in ("/v1/jobs", "/api/jobs/create", "/v1/keys", "/v1/printers"):
        word = marks.new(f"malformed body at {path}")
        for body in (
            f'{{"password": "{word}', f'{{"printer": "dock", "token": "{word}"}}', f'["{word}"]', f"{word}\xff",
            f'{{"api_key": "{word}", "api_key": "{word}"}}', f'{{"copies": "{word}", "printer": 1}}',
        ):  # fmt: skip
            bridge.call("POST", path, body.encode("latin-1"))
    for name, request in {
        "query of a bad request": "GET /v1/jobs?key={} HTTP/9.9\r\n\r\n",
        "query of a huge request": "GET /v1/jobs?key={} HTTP/1.1\r\nX: " + "x" * 100_000 + "\r\n\r\n",
        "userinfo of a target": "GET http://u:{}@127.0.0.1/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "bad header line": "GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization Basic {}\r\n\r\n",
        "bad header name": "GET /v1/jobs HTTP/1.1\r\nAuthorization : Basic {}\r\nHost: x\r\n\r\n",
        "bad length": "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        "bad encoding": "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {}\r\n\r\n",
    }.items():
        with socket.create_connection(("127.0.0.1", bridge.port), timeout=60) as line:
            line.sendall(request.format(marks.new(name)).encode())
            line.shutdown(socket.SHUT_WR)
            while line.recv(65536):
                pass


def meet_people(bridge: Serve, marks: Marks) -> None:
    """Passwords, PINs, cards and tokens of people, in every API that has them: right, wrong and out of place."""
    new, nobody = marks.new, {"Authorization": ""}
    mail, password = "ann@canary.example", new("password")
    words = {"name": "Ann", "email": mail, "password": password, "pin": new("PIN"), "role": "admin"}
    ann = bridge.call("POST", "/v1/users", words).json["id"]
    card = bridge.call("POST", f"/v1/users/{ann}/cards", {"number": new("card")})
    other = {"password": new("password without a name"), "pin": new("PIN without a name")}
    taken = bridge.call("POST", "/v1/users", {**words, **other})
    assert (card.status, taken.status) == (201, 409)
    for path in ("/olin/api/login", "/printcloud/api/client/login", "/api/auth/login"):
        for body in ({"email": mail, "password": new(f"wrong password at {path}")},
                     {"email": mail, "password": [new(f"odd password at {path}")]},
                     {"user": mail, "passwort": new(f"password under another name at {path}")}):  # fmt: skip
            assert bridge.call("POST", path, body, nobody).status in (400, 401, 422), path
        bridge.call("POST", path, f'{{"email": "{mail}", "password": "{new(f"broken body at {path}")}'.encode(), nobody)
        bridge.call("POST", f"{path}?password={new(f'query at {path}')}", {"email": mail}, nobody)
    login = {"email": mail, "password": password}
    token = bridge.call("POST", "/olin/api/login", login, nobody).json["data"]["token"]
    marks.also("Olin token", token.partition("|")[2])
    logged_in = bridge.call("POST", "/printcloud/api/client/login", {**login, "computerName": "till"}, nobody).json
    words = {"description": "x", "permission": "full"}
    made = bridge.call("POST", "/printcloud/api/account/apikeys", words, {"Authorization": f"Bearer {bridge.key}"}).json
    account = {"name": "Bo", "email": "bo@canary.example", "password": new("password of an account")}
    account["password_confirmation"] = account["password"]
    at_home = bridge.call("POST", "/olin/api/register", account, nobody).json["data"]["token"]
    marks.also("Olin token of an account", at_home.partition("|")[2])
    for parent in (new("wrong parent_api_key"), bridge.key):
        bridge.call("POST", "/olin/api/register", {**account, "parent_api_key": parent}, nobody)
    for name, key in {"PrintCloud key of a login": logged_in["apiKey"], "PrintCloud key": made["key"]}.items():
        marks.also(name, key)
        basic = marks.also(f"{name} in Basic", b64(f"{key}:".encode()))
        assert bridge.call("GET", "/printcloud/api/printers", headers={"Authorization": f"Basic {basic}"}).status == 200
    for key in (token, at_home, f"{new('wrong Olin number')}|{new('wrong Olin token')}"):
        bridge.call("GET", "/olin/api/user", headers={"Authorization": f"Bearer {key}"})
    url = bridge.call("GET", "/v1/hello").json["ws"]
    for key in (made["key"], new("wrong key at the WebSocket")):
        with connect(url) as line:
            line.send(json.dumps({"type": "auth", "apiKey": key, "computerName": "till-2"}))
            line.recv(timeout=10)
    with connect(url) as line:
        line.send(f'{{"type": "auth", "apiKey": "{new("broken message at the WebSocket")}')
        line.recv(timeout=10)


def hook(bridge: Serve, web: Web, marks: Marks) -> None:
    """Webhooks with secrets of their own, called once each where nobody takes the call."""
    own = marks.new("webhook secret")
    url = f"{web.url('/hook')}?key={marks.new('query of a webhook')}"
    words = {"url": url, "events": ["all"], "secret": own}
    ours = bridge.call("POST", "/v1/webhooks", words)
    made = bridge.call("POST", "/v1/webhooks", {"url": url, "events": ["all"]}).json
    marks.also("webhook secret that was made", made["secret"])
    theirs = {"url": url, "secret": marks.new("PrintCloud webhook secret"), "events": ["job.state"]}
    theirs_made = bridge.call("POST", "/printcloud/api/webhooks", theirs, {"Authorization": f"Bearer {bridge.key}"})
    assert (ours.status, theirs_made.status) == (201, 201), (ours, theirs_made)
    for webhook in (ours.json["id"], made["id"]):
        assert bridge.call("POST", f"/v1/webhooks/{webhook}/test").status == 201
    bridge.call("POST", "/v1/webhooks", {**words, "secret": [marks.new("odd webhook secret")]})


def fetch(bridge: Serve, web: Web, marks: Marks) -> dict[str, str]:
    """Documents from signed addresses: the id of the job of each."""
    web.serve("/good.zpl", b"^XA^FDgood^FS^XZ")
    web.serve("/page", marks.new("body of a page that is no document").encode())
    web.status("/gone", 404, marks.new("body of a 404").encode())
    web.hang("/hangs")
    web.redirect("/moved", signed(web, "/gone", marks, "behind the redirect"))
    web.redirect("/astray", f"ftp://u:{marks.new('odd redirect')}@x/{marks.new('path of the odd redirect')}?s=1")
    web.redirect("/round", "/round?" + marks.new("circle"))
    ways = {
        "fetched": "/good.zpl", "no document": "/page", "gone": "/gone", "hangs": "/hangs", "moved": "/moved",
        "astray": "/astray", "round": "/round",
    }  # fmt: skip
    urls = {name: signed(web, path, marks, name) for name, path in ways.items()}
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        nobody = deaf.getsockname()[1]
    urls["refused"] = f"http://u:{marks.new('refused userinfo')}@127.0.0.1:{nobody}/x?s={marks.new('refused query')}"
    ids = {name: bridge.send("dock", json.dumps({"document_url": url})) for name, url in urls.items()}
    for url in (f"http://u:{marks.new('bad port')}@h:99999/?{marks.new('query at a bad port')}",
                f"ftp://u:{marks.new('bad scheme')}@h/?{marks.new('query at a bad scheme')}"):  # fmt: skip
        assert bridge.call("POST", "/v1/jobs", {"printer": "dock", "document_url": url}).status == 422
        bridge.post("dock", json.dumps({"document_url": url}))
    for name, job_id in ids.items():
        assert bridge.wait(job_id)["state"] == ("delivered" if name == "fetched" else "failed"), name
    return ids


def signed(web: Web, path: str, marks: Marks, name: str) -> str:
    user, password = marks.new(f"{name}: user"), marks.new(f"{name}: password")
    return f"http://{user}:{password}@127.0.0.1:{web.port}{path}?X-Amz-Signature={marks.new(f'{name}: query')}&e=1"


def post_documents(bridge: Serve, marks: Marks) -> dict[str, str]:
    """Good and bad documents: the ids of the bad ones."""
    zpl = f"^XA^FO10,10^A0N,30,30^FD{marks.new('raw document')}^FS^XZ".encode()
    pdf = shipping_label(1)[:-6] + f"\n% {marks.new('PDF')}\n%%EOF\n".encode()
    broken = f"%PDF-1.7\n{marks.new('broken PDF')}\n%%EOF".encode()
    alien = f'\nN\nq812\nA50,50,0,4,1,1,N,"{marks.new("document in a foreign language")}"\nP1\n'.encode()
    for name, document in {"raw": zpl, "PDF": pdf, "broken": broken, "alien": alien}.items():
        marks.also(f"{name} in base64", b64(document)[8:48])
    for document in (zpl, pdf):
        bridge.wait(bridge.call("POST", "/v1/jobs", {"printer": "dock", "document_base64": b64(document)}).json["id"])
    made = {}
    for name, document in {"broken PDF": broken, "alien": alien}.items():
        made[name] = bridge.send("dock", json.dumps({"document_base64": b64(document)}))
        assert bridge.wait(made[name])["state"] == "failed"
    return made


# ---- what it tells -------------------------------------------------------------------------------------------------


def asked(bridge: Serve, path: str) -> bytes:
    answer = bridge.call("GET", path, headers={"Authorization": f"Bearer {bridge.key}"})
    assert answer.status == 200, (path, answer)
    return answer.data


def unpacked(bridge: Serve) -> bytes:
    """Every file of the diagnostics."""
    with zipfile.ZipFile(io.BytesIO(asked(bridge, "/v1/diagnostics"))) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


def test_the_run_was_a_whole_one(run: Run) -> None:
    """Otherwise finding nothing would prove nothing."""
    written = run.bridge.log.read_text()
    assert len(run.marks.made) > 120
    for sign in ("DEBUG", "GET '/v1/health' -> 200", " -> 401 in", " -> 400", "delivered", "http 404 from", "[[cloud"):
        assert sign in written, sign


def test_no_secret_is_in_the_log(run: Run) -> None:
    for path in [run.bridge.log, *(run.bridge.folder / "log").iterdir()]:
        data = path.read_bytes()
        assert run.marks.found(data) == [], path
    assert (run.bridge.folder / "log" / "print-bridge.log").stat().st_size > 10_000


def test_no_secret_is_in_what_the_bridge_tells_of_itself(run: Run) -> None:
    assert {path: found for path, data in run.told.items() if (found := run.marks.found(data))} == {}


def test_nobody_else_may_read_anything_in_the_data_folder(run: Run) -> None:
    """promises.md S29."""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [run.bridge.folder, *run.bridge.folder.rglob("*")]}
    assert len(modes) > 10
    assert {path.name: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_a_job_names_the_host_and_the_path_of_its_address_and_no_more(run: Run) -> None:
    paths = {"gone": "/gone", "hangs": "/hangs", "moved": "/gone", "astray": "/astray", "round": "/round"}
    for name, path in paths.items():
        assert re.search(rf"http://127\.0\.0\.1:\d+{path}(?![?/])\b", run.jobs[name]), (name, run.jobs[name])
    for text in run.jobs.values():
        assert "@" not in text and "Signature" not in text


def test_no_key_and_no_password_of_a_cloud_is_in_the_database(run: Run) -> None:
    secret = set(run.marks.made) - run.kept
    # These are what a person or a program reads a secret in, for the owner's eyes only.
    meant = {"credentials.json", "config.last-good.toml", "secrets.json"}
    files = [path for path in run.bridge.folder.rglob("*") if path.is_file() and path.name not in meant]
    assert {stat.S_IMODE((run.bridge.folder / name).stat().st_mode) for name in meant} == {0o600}
    assert any(path.name == "bridge.db" for path in files)
    assert {path.name: found for path in files if (found := run.marks.found(path.read_bytes(), secret))} == {}


def test_a_restart_after_a_kill_tells_no_more(tmp_path: Path) -> None:
    """What lay in the WAL is read again, and a job is recovered that was being sent."""
    marks = Marks()
    with FakePrinter(never_read=True, rcvbuf=4096) as dock:
        bridge = Serve(tmp_path / "data", '[server]\nlog_level = "debug"\n' + printer("dock", dock.uri, stall_s=60))
        with bridge:
            marks.also("key", bridge.key)
            document = b"^XA^FX" + marks.new("document").encode() * 200_000 + b"^XZ"
            job_id = bridge.send("dock", json.dumps({"document_base64": b64(document)}))
            bridge.wait(job_id, "sending")
            bridge.kill()
            for path in bridge.folder.glob("bridge.db*"):
                assert marks.found(path.read_bytes(), {"key"}) == []
            bridge.start()
            assert bridge.wait(job_id)["state"] == "unconfirmed"
            assert marks.found(asked(bridge, "/v1/events?after=0") + unpacked(bridge)) == []
        written = b"".join(path.read_bytes() for path in [bridge.log, *(bridge.folder / "log").iterdir()])
        assert b"unconfirmed" in written and marks.found(written) == []


# ---- one line for a change of state --------------------------------------------------------------------------------


def test_fifty_labels_at_info_are_no_line_and_a_printer_that_is_away_is_two(tmp_path: Path) -> None:
    with FakePrinter() as dock, Serve(tmp_path / "data", printer("dock", dock.uri)) as bridge:
        log = tmp_path / "data" / "log" / "print-bridge.log"
        device = bridge.device("dock")
        before = log.read_text() if log.exists() else ""
        ids = [bridge.send("dock", json.dumps({"document_base64": b64(b"^XA^FD%d^FS^XZ" % n)})) for n in range(50)]
        assert {bridge.wait(job_id)["state"] for job_id in ids} == {"delivered"}
        assert (log.read_text() if log.exists() else "") == before
        dock.switch_off()
        waiting = bridge.send("dock", json.dumps({"document_base64": b64(b"^XA^FDlate^FS^XZ")}))
        deadline = time.monotonic() + 60
        while not bridge.call("GET", f"/v1/printers/{device}").json["reasons"] and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(2.5)  # it is looked for again, twice at least
        dock.switch_on()
        assert bridge.wait(waiting)["state"] == "delivered"
        lines = log.read_text()[len(before) :].splitlines()
    assert len([line for line in lines if "dock" in line]) == 2, lines
    assert "WARNING dock: offline" in lines[0] and "INFO    dock: offline is over" in lines[1]


def test_the_marks_are_found_where_they_are() -> None:
    """The test of the test: a plain mark and one in Basic."""
    marks = Marks()
    word = marks.new("a")
    marks.also("b", base64.b64encode(f"x:{word}".encode()).decode())
    assert marks.found(f"log {word}".encode()) == ["a"]
    assert marks.found(f"Basic {marks.made['b']}".encode()) == ["b"]
