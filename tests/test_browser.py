"""Web pages in a real Chromium against a real serve (promises.md 1.1-1.3: S01): who prints, and who can do nothing.

The pages are on ports of this machine. Chromium counts that as the safest place ("loopback") and lets such pages call
this machine without asking, so nothing but the bridge stands between them. Only where a test is about Chromium's
own permission (local network access, since version 142) is a page's server declared public by a flag of Chromium's,
--ip-address-space-overrides, made for such tests. Headless, Chromium cannot ask anybody: what was not granted in the
profile is refused. Names under .example lead to this machine by --host-resolver-rules.
"""

from __future__ import annotations

import os
import re
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fake.pages import CHROMIUM, MISSING, Browser, PageError, Pages
from tests.serving import ROOT, Serve, b64
from tests.serving import printer as section
from tests.test_browser_doors import CHANGING

if os.environ.get("PRINT_BRIDGE_NO_BROWSER") == "1":
    pytest.skip("PRINT_BRIDGE_NO_BROWSER=1: no web page is tried in a real browser", allow_module_level=True)

LABEL = (ROOT / "tests/golden/shipping-label.pdf").read_bytes()
ZPL = b"^XA^FO20,20^ADN,36,20^FDhello^FS^XZ"
KEY = "pb_the-key-of-the-pages"
ASKS, ASKS_FOR_WEBSOCKETS = 142, 147  # versions of Chromium since which a public page needs permission to call us


# ---- the scene --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """A bridge, and one tab for each page. See `scene` for who is who."""

    bridge: Serve
    browser: Browser
    pages: dict[str, Pages]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.bridge.port}"

    def run(self, page: str, text: str, **given: Any) -> Any:
        """Run this in a page. It may use BRIDGE, ORG and KEY."""
        return self.pages[page].run(
            text, BRIDGE=self.url, PORT=self.bridge.port, ORG=self.bridge.organization_id, **{"KEY": KEY, **given}
        )

    def heard(self) -> list[tuple[str, str, int]]:
        """Every request of a page so far: method, path, status. Icons are asked for by the tab itself."""
        lines = re.findall(r"([A-Z]+) '(.*?)' -> (\d+) in ", self.bridge.log.read_text())
        return [(method, path, int(status)) for method, path, status in lines if path != "/favicon.ico"]

    def hears(self, since: int, method: str, path: str, status: int) -> None:
        """Wait until the bridge has answered this request; beacons and images are sent when the browser likes."""
        deadline = time.monotonic() + 60
        while (method, path, status) not in self.heard()[since:]:
            assert time.monotonic() < deadline, (method, path, status, self.heard()[since:])
            time.sleep(0.01)


ALLOWED = ["here", "secure", "granted"]
STRANGERS = ["neighbor", "stranger", "secure stranger"]
ASKING = ["asking", "insecure", "granted", "frame", "allowed frame"]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """here, secure: pages of allowed origins, http and https. neighbor: a page on another port of this machine.
    stranger, secure stranger: pages of another site, http and https.

    asking, insecure, granted, frames: allowed origins again, but at public addresses. The person has allowed `granted`
    and `insecure` to reach this machine, and was never asked about the others. insecure: http.
    """
    if CHROMIUM is None:
        pytest.fail(MISSING, pytrace=False)
    folder = tmp_path_factory.mktemp("browser")
    tls = certificate(folder)
    pages = {
        "here": Pages(), "secure": Pages("localhost", tls=tls), "neighbor": Pages("localhost"),
        "stranger": Pages("evil.example"), "secure stranger": Pages("evil.example", tls=tls),
        "asking": Pages("asking.example", tls=tls), "insecure": Pages("insecure.example"),
        "granted": Pages("granted.example", tls=tls), "frame": Pages("frame.example", tls=tls),
        "allowed frame": Pages("allowed-frame.example", tls=tls),
    }  # fmt: skip
    origins = [pages[name].origin for name in {*ALLOWED, *ASKING}]
    key = folder / "pages.key"
    key.write_text(KEY)
    key.chmod(0o600)
    config = f'[server]\nlog_level = "debug"\n{section("packing", "virtual://packing")}' \
             f'[[keys]]\nname = "pages"\nkey_file = "{key}"\nscopes = ["jobs"]\norigins = {origins!r}\n'  # fmt: skip
    public = ",".join(f"127.0.0.1:{pages[name].port}=public" for name in ASKING)
    flags = [
        "--ignore-certificate-errors", "--host-resolver-rules=MAP *.example 127.0.0.1",
        f"--ip-address-space-overrides={public}", "--disable-popup-blocking",
    ]  # fmt: skip
    yes = {f"{pages[name].origin},*": {"setting": 1} for name in ("granted", "insecure")}
    # The permission's name before version 145, and since.
    granted = {"local_network_access": yes, "loopback_network": yes}
    preferences = {"profile": {"content_settings": {"exceptions": granted}}}
    with ExitStack() as stack:
        for page in pages.values():
            stack.enter_context(page)
        bridge = stack.enter_context(Serve(folder / "data", config))
        urls = [page.url for name, page in pages.items() if "frame" not in name]
        browser = stack.enter_context(Browser(folder, urls, flags=flags, preferences=preferences))
        yield Scene(bridge, browser, pages)


def certificate(folder: Path) -> ssl.SSLContext:
    """One nobody has to believe in: the browser is told not to look."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return context


def needs_chromium(least: int) -> None:
    """Skip what an older one does not do."""
    assert CHROMIUM
    said = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"(\d+)\.\d", said)
    assert version, said
    if int(version[1]) < least:
        pytest.skip(f"this is Chromium {version[1]}; version {least} began to ask for permission here")


# ---- pages that may ---------------------------------------------------------------------------------------------

HELLO = "const answer = await fetch(`${BRIDGE}/v1/hello`); return [answer.status, await answer.json()];"
FILE = """
const bytes = Uint8Array.from(atob(DOCUMENT), letter => letter.charCodeAt(0));
const file = new File([bytes], "label.pdf", {type: "application/pdf"});
"""


def ten_lines() -> str:
    """The lines of README that print a label; they know KEY and file."""
    found = re.search(r"<!-- tested: browser -->\s*```js\n(.*?)^```$", (ROOT / "README.md").read_text(), re.S | re.M)
    assert found is not None, "README has no line <!-- tested: browser --> before its lines of JavaScript"
    return found[1]


@pytest.mark.parametrize("page", ALLOWED)
def test_the_ten_lines_of_the_readme_print_a_label(scene: Scene, page: str) -> None:
    lines = ten_lines()
    assert len(lines.splitlines()) <= 12 and "http://localhost:8910" in lines
    job = scene.run(page, FILE + lines.replace("http://localhost:8910", scene.url) + "return job;", DOCUMENT=b64(LABEL))
    assert (job["state"], job["title"], job["kind"], job["pages"]) == ("delivered", "label.pdf", "pdf", 1)
    assert scene.bridge.job(job["id"])["state"] == "delivered"


@pytest.mark.parametrize("page", ALLOWED)
def test_printer_code_inside_json_prints_and_the_job_is_followed(scene: Scene, page: str) -> None:
    job = scene.run(page, """
        const headers = {"X-API-Key": KEY, "Content-Type": "application/json", "Idempotency-Key": `raw ${location}`};
        const body = JSON.stringify({printer: "packing", document_base64: DOCUMENT, title: "raw"});
        const ask = async () => await fetch(`${BRIDGE}/v1/jobs`, {method: "POST", headers, body});
        const first = await ask(), again = await ask();
        const place = first.headers.get("Location");
        let job = await first.json();
        while (!["delivered", "failed"].includes(job.state))
            job = await (await fetch(BRIDGE + place, {headers})).json();
        const mine = await (await fetch(`${BRIDGE}/v1/jobs?limit=500`, {headers})).json();
        return {...job, place, statuses: [first.status, again.status], again: (await again.json()).id,
                mine: mine.jobs.some(each => each.id == job.id)};
        """, DOCUMENT=b64(ZPL))  # fmt: skip
    assert (job["state"], job["kind"], job["statuses"]) == ("delivered", "zpl", [201, 200])
    assert job["place"] == f"/v1/jobs/{job['id']}" and job["again"] == job["id"] and job["mine"]


def test_it_prints_through_the_cloudlinker_api_as_well(scene: Scene) -> None:
    device = scene.bridge.device("packing")
    answer = scene.run("secure", """
        const headers = {Authorization: "Basic " + btoa(`${ORG}:${KEY}`), "Content-Type": "application/json"};
        const job = {device_id: DEVICE, client_id: CLIENT, job_type: 1, launch_immediately: true};
        const body = JSON.stringify({...job, payload: {document_type: "zpl", document_base64: DOCUMENT}});
        return await (await fetch(`${BRIDGE}/api/jobs/create`, {method: "POST", headers, body})).json();
        """, DOCUMENT=b64(ZPL), DEVICE=device, CLIENT=scene.bridge.client_id)  # fmt: skip
    assert scene.bridge.wait(answer["data"]["id"])["state"] == "delivered"


@pytest.mark.parametrize("page", ALLOWED)
@pytest.mark.parametrize(
    ("status", "code", "path", "body"),
    [
        (404, "not_found", "/v1/jobs", {"printer": "nowhere", "document_base64": b64(ZPL)}),
        (422, "invalid", "/v1/jobs", {"printer": "packing", "document_base64": b64(ZPL), "copies": 0}),
        (422, "invalid", "/v1/jobs", {"printer": "packing", "paper": "blue"}),
        (404, "not_found", "/v1/jobs/0000/cancel", {}),
    ],
    ids=str,
)
def test_it_can_read_what_was_wrong(
    scene: Scene, page: str, status: int, code: str, path: str, body: dict[str, Any]
) -> None:
    said = scene.run(page, """
        const headers = {Authorization: `Bearer ${KEY}`, "Content-Type": "application/json"};
        const answer = await fetch(BRIDGE + PATH, {method: "POST", headers, body: JSON.stringify(BODY)});
        return [answer.status, (await answer.json()).error];
        """, PATH=path, BODY=body)  # fmt: skip
    assert said[0] == status and said[1]["text"]
    assert said[1]["code"] == code or status == 422


@pytest.mark.parametrize("page", ALLOWED)
def test_hello_tells_it_that_the_bridge_is_installed(scene: Scene, page: str) -> None:
    status, hello = scene.run(page, HELLO)
    assert (status, hello["product"], hello["ws"][:15]) == (200, "print-bridge", "ws://127.0.0.1:")
    assert "packing" not in str(hello)


@pytest.mark.parametrize("key", ["pb_wrong", ""])
def test_without_its_key_it_learns_nothing_but_hello(scene: Scene, key: str) -> None:
    before = scene.bridge.total()
    for method in ("GET", "POST"):
        with pytest.raises(PageError, match="Failed to fetch"):
            scene.run("here", "await fetch(`${BRIDGE}/v1/jobs`, {method: METHOD, headers: {'X-API-Key': KEY}})",
                      KEY=key, METHOD=method)  # fmt: skip
    assert scene.bridge.total() == before


# ---- pages that may not -----------------------------------------------------------------------------------------

JOB = '{"printer": "packing", "document_base64": "' + b64(ZPL) + '", "title": "EVIL"}'
SEND = "await fetch(BRIDGE + PATH, {method: 'POST', body: JOB, headers: HEADERS, mode: MODE, credentials: 'include'})"
FORM = """
const form = document.createElement("form"), field = document.createElement("input");
[form.method, form.enctype, form.action, form.target] = ["post", ENCTYPE, BRIDGE + PATH, TARGET];
[field.name, field.value] = ENCTYPE == "text/plain" ? [JOB.slice(0, -1) + ', "x": "', '"}'] : ["printer", "packing"];
form.append(field);
document.body.append(form);
"""
FORM_IN_A_FRAME = FORM + """
const frame = document.createElement("iframe");
frame.name = TARGET;
document.body.append(frame);
const loaded = new Promise(done => { frame.onload = done; });
form.submit();
await loaded;
return frame.contentDocument === null ? "nothing" : frame.contentDocument.body.textContent;
"""
FORM_IN_A_TAB = FORM + """
const tab = window.open("about:blank", TARGET);
form.submit();
try {
  while (tab.location.href == "about:blank") await new Promise(done => setTimeout(done, 20));
  return tab.document.body.textContent;
} catch { return "nothing"; } finally { tab.close(); }
"""
ELEMENT = """
return await new Promise(done => {
  const element = document.createElement(NAME);
  [element.onload, element.onerror] = [() => done("loaded"), () => done("nothing")];
  element.src = element.href = BRIDGE + PATH;
  element.rel = "stylesheet";
  document.body.append(element);
});
"""
FRAME = """
const frame = document.createElement("iframe");
const loaded = new Promise(done => { frame.onload = done; });
frame.src = BRIDGE + PATH;
document.body.append(frame);
await loaded;
return frame.contentDocument === null ? "nothing" : frame.contentDocument.body.textContent;
"""
WEBSOCKET = """
return await new Promise(done => {
  const socket = new WebSocket(`ws://localhost:${PORT + OFFSET}${PATH}`);
  socket.onopen = () => done("open");
  socket.onclose = event => done(event.code == 1006 ? "nothing" : event.code);
});
"""
XHR = """
return await new Promise(done => {
  const request = new XMLHttpRequest();
  request.open("POST", BRIDGE + PATH, true, ...LOGIN);
  request.withCredentials = true;
  request.setRequestHeader("Content-Type", "text/plain");
  request.onload = () => done(request.responseText);
  request.onerror = () => done("nothing");
  request.send(JOB);
});
"""


@pytest.mark.parametrize("page", STRANGERS)
def test_hello_tells_a_stranger_nothing(scene: Scene, page: str) -> None:
    since = len(scene.heard())
    with pytest.raises(PageError, match="TypeError: Failed to fetch"):
        scene.run(page, HELLO)
    scene.hears(since, "GET", "/v1/hello", 403)


@pytest.mark.parametrize("page", STRANGERS)
@pytest.mark.parametrize(
    ("headers", "mode", "asked"),
    [
        ({}, "cors", "POST"), ({}, "no-cors", "POST"), ({"Content-Type": "text/plain"}, "cors", "POST"),
        ({"Content-Type": "application/json"}, "cors", "OPTIONS"), ({"X-API-Key": KEY}, "cors", "OPTIONS"),
        ({"Authorization": f"Bearer {KEY}"}, "cors", "OPTIONS"),
        ({"Authorization": f"Bearer {KEY}"}, "no-cors", "POST"),  # sent without the key: no-cors drops the header
    ],
    ids=str,
)  # fmt: skip
def test_fetch_gets_a_stranger_nothing(
    scene: Scene, page: str, headers: dict[str, str], mode: str, asked: str
) -> None:
    given = {"HEADERS": headers, "MODE": mode, "PATH": "/v1/jobs", "JOB": JOB}
    with untouched(scene, asked, "/v1/jobs"):
        if mode == "no-cors":
            assert scene.run(page, f"const a = {SEND}; return [a.type, a.status, await a.text()]", **given) == [
                "opaque", 0, ""
            ]  # fmt: skip
        else:
            with pytest.raises(PageError, match="^TypeError: Failed to fetch$"):
                scene.run(page, SEND, **given)


@pytest.mark.parametrize("page", STRANGERS)
@pytest.mark.parametrize("way", [FORM_IN_A_FRAME, FORM_IN_A_TAB], ids=["in a frame", "in a tab"])
@pytest.mark.parametrize("enctype", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"])
def test_a_form_of_a_stranger_prints_nothing(scene: Scene, page: str, way: str, enctype: str) -> None:
    for number, path in enumerate(("/v1/jobs", "/api/jobs/create")):
        with untouched(scene, "POST", path):
            target = f"{enctype} {number} {len(way)}"
            assert scene.run(page, way, ENCTYPE=enctype, PATH=path, TARGET=target, JOB=JOB) == "nothing"


@pytest.mark.parametrize("page", STRANGERS)
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_beacon_of_a_stranger_prints_nothing(scene: Scene, page: str, kind: str) -> None:
    with untouched(scene, "POST", "/v1/jobs"):
        assert scene.run(page, "return navigator.sendBeacon(`${BRIDGE}/v1/jobs`, new Blob([JOB], {type: KIND}));",
                         JOB=JOB, KIND=kind)  # fmt: skip


@pytest.mark.parametrize("page", STRANGERS)
@pytest.mark.parametrize("name", ["img", "script", "link"])
def test_an_element_of_a_stranger_shows_nothing(scene: Scene, page: str, name: str) -> None:
    label = f"/v1/jobs/{printed(scene)}/labels/1.png"
    for path in ("/", "/v1/jobs", "/v1/hello", label):
        with untouched(scene, "GET", path):
            assert scene.run(page, ELEMENT, NAME=name, PATH=path) == "nothing"


@pytest.mark.parametrize("page", STRANGERS)
def test_the_dashboard_cannot_be_framed_by_a_stranger(scene: Scene, page: str) -> None:
    for path in ("/", "/web/state", "/v1/hello"):
        with untouched(scene, "GET", path):
            assert scene.run(page, FRAME, PATH=path) == "nothing"


@pytest.mark.parametrize("page", STRANGERS)
def test_no_websocket_opens_for_a_stranger(scene: Scene, page: str) -> None:
    for path in ("/ws", "/", "/v1/jobs"):
        with untouched(scene, "GET", path):
            assert scene.run(page, WEBSOCKET, PATH=path, OFFSET=0) == "nothing"
    url = scene.bridge.call("GET", "/v1/hello").json["ws"]
    offset = int(url.rpartition(":")[2].removesuffix("/ws")) - scene.bridge.port
    assert scene.run(page, WEBSOCKET, PATH="/ws", OFFSET=offset) == "nothing"


@pytest.mark.parametrize("page", STRANGERS)
def test_a_password_the_browser_might_remember_is_of_no_use_to_a_stranger(scene: Scene, page: str) -> None:
    """Somebody typed an address with the best key in it; a browser that was asked for a password would keep it."""
    since = len(scene.heard())
    scene.browser.open(f"http://{scene.bridge.organization_id}:{scene.bridge.key}@localhost:{scene.bridge.port}/api/test")
    scene.hears(since, "GET", "/api/test", 401)
    for path in ("/api/jobs/create", "/api/jobs/list", "/v1/jobs"):
        for login in ([], [scene.bridge.organization_id, scene.bridge.key]):
            with untouched(scene, "POST", path):
                assert scene.run(page, XHR, PATH=path, LOGIN=login, JOB=JOB) == "nothing"


@pytest.mark.parametrize("page", STRANGERS)
def test_no_route_that_changes_something_does_it_for_a_stranger(scene: Scene, page: str) -> None:
    """JSON dressed as text/plain, which browsers send without asking first."""
    for route in CHANGING:
        simple = route.method == "POST"
        with untouched(scene, route.method if simple else "OPTIONS", route.path):
            ask = "await fetch(BRIDGE + PATH, {method: METHOD, body: JOB, mode: MODE, credentials: 'include'})"
            said = scene.run(page, f"try {{ return ({ask}).type }} catch {{ return 'nothing' }}", PATH=route.path,
                             METHOD=route.method, JOB=JOB, MODE="no-cors" if simple else "cors")  # fmt: skip
            assert said == ("opaque" if simple else "nothing")


@contextmanager
def untouched(scene: Scene, method: str, path: str) -> Iterator[None]:
    """What happens inside reached the bridge, was refused with 403 throughout, and left no job behind."""
    jobs, since = count(scene), len(scene.heard())
    yield
    scene.hears(since, method, path, 403)
    heard = scene.heard()[since:]
    assert {status for *_, status in heard} == {403}, heard
    assert count(scene) == jobs


def count(scene: Scene) -> tuple[int, int]:
    """Jobs, as both of our APIs count them."""
    listed = scene.bridge.call("GET", "/v1/jobs?limit=500").json
    assert all(job["title"] != "EVIL" for job in listed["jobs"])
    return listed["total"], scene.bridge.total()


def printed(scene: Scene) -> str:
    """The id of a job that has a picture."""
    for job in scene.bridge.call("GET", "/v1/jobs?state=delivered").json["jobs"]:
        return str(job["id"])
    answer = scene.bridge.call("POST", "/v1/jobs", {"printer": "packing", "document_base64": b64(ZPL)})
    return str(scene.bridge.wait(answer.json["id"])["id"])


# ---- the permission of Chromium itself --------------------------------------------------------------------------

STATE = "return (await navigator.permissions.query({name: NAME})).state;"


def test_a_public_page_nobody_has_allowed_does_not_reach_the_bridge(scene: Scene) -> None:
    needs_chromium(ASKS)
    assert scene.run("granted", STATE, NAME="local-network-access") == "granted"
    assert scene.run("asking", STATE, NAME="local-network-access") in ("prompt", "denied")
    since = len(scene.heard())
    with pytest.raises(PageError, match="Failed to fetch"):
        scene.run("asking", HELLO)
    assert scene.heard()[since:] == []


def test_neither_does_its_websocket(scene: Scene) -> None:
    needs_chromium(ASKS_FOR_WEBSOCKETS)
    since = len(scene.heard())
    assert scene.run("asking", WEBSOCKET, PATH="/ws", OFFSET=0) == "nothing"
    assert scene.heard()[since:] == []


def test_a_public_http_page_never_reaches_the_bridge(scene: Scene) -> None:
    """Not even one the person allowed: Chromium gives this permission to https pages only."""
    needs_chromium(ASKS)
    since = len(scene.heard())
    with pytest.raises(PageError, match="Failed to fetch"):
        scene.run("insecure", HELLO)
    assert scene.heard()[since:] == []


def test_a_frame_of_another_origin_needs_the_word_of_the_page_around_it(scene: Scene) -> None:
    needs_chromium(ASKS)
    show = "const f = document.createElement('iframe'); [f.allow, f.src] = [ALLOW, SRC]; document.body.append(f);"
    for page, allow in (("frame", ""), ("allowed frame", "loopback-network; local-network-access")):
        scene.run("granted", show, ALLOW=allow, SRC=scene.pages[page].url)
    since = len(scene.heard())
    with pytest.raises(PageError, match="Failed to fetch"):
        scene.run("frame", HELLO)
    assert scene.heard()[since:] == []
    assert scene.run("allowed frame", HELLO)[0] == 200
