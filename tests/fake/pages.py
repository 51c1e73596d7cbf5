"""Web pages in a real browser, without a driver: each page asks its own server what to do, does it, and tells it.

    with Pages() as shop, Browser(folder, [shop.url]):
        status = shop.run("return (await fetch('http://localhost:8910/v1/hello')).status")

What a page throws is raised here as PageError. Many tasks run in one tab, because starting a browser costs a second.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import quote

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
MISSING = "no chromium: apt-get install chromium, or PRINT_BRIDGE_NO_BROWSER=1 to do without these tests"
START_S = 60
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--remote-debugging-port=0",
)  # fmt: skip
ANSWER_S = 60  # how long a page may take for one task; the first one waits for its tab

_PAGE = b"""<!doctype html><meta charset="utf-8"><title>a page</title><link rel="icon" href="data:,"><body><script>
const Task = (async () => {}).constructor;
(async () => {
  for (;;) {
    const task = await (await fetch("/next")).json();
    if (task === null) continue;
    const said = {number: task.number};
    try { said.value = await new Task(task.text)(); } catch (error) { said.error = String(error); }
    await fetch("/said", {method: "POST", body: JSON.stringify(said)});
  }
})();
</script>
"""


class PageError(Exception):
    """What a page threw. The text is JavaScript's own."""


class _Handler(BaseHTTPRequestHandler):
    """GET / is the page, GET /next its next task, POST /said what came of it."""

    server: _Server
    timeout = 60

    def do_GET(self) -> None:
        if self.path == "/next":
            self._answer(json.dumps(self.server.pages._next()).encode(), "application/json")
        else:
            self._answer(_PAGE, "text/html")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/said":
            self.server.pages._said.put(json.loads(body))
        self._answer(b"")

    def _answer(self, body: bytes, kind: str = "text/plain") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    pages: Pages

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes hangs up."""


class Pages:
    """One origin on 127.0.0.1. name: what the browser calls it. tls: a server-side context makes it https."""

    def __init__(self, name: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.pages = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._server.server_address[1]
        self.origin = f"{'https' if tls else 'http'}://{name}:{self.port}"
        self.url = f"{self.origin}/"
        self._tasks: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._said: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._numbers = itertools.count(1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fake-pages")

    def __enter__(self) -> Pages:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def run(self, text: str, **given: Any) -> Any:
        """What this body of an async function returns in the page, as JSON. given: constants it may use.

        Raises PageError for what it throws.
        """
        number = next(self._numbers)
        constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
        self._tasks.put({"number": number, "text": constants + text})
        said = self._answer_to(number)
        assert said is not None, f"the page at {self.url} did not answer within {ANSWER_S} s:\n{text}"
        if "error" in said:
            raise PageError(said["error"])
        return said.get("value")

    def _answer_to(self, number: int) -> dict[str, Any] | None:
        """Answers to earlier tasks, which came too late, are passed over."""
        deadline = time.monotonic() + ANSWER_S
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(Empty):
                if (said := self._said.get(timeout=left))["number"] == number:
                    return said
        return None

    def _next(self) -> dict[str, Any] | None:
        """The next task; None now and then, so that the end of the test waits for nobody."""
        for _ in range(100):
            try:
                return self._tasks.get(timeout=0.1)
            except Empty:
                if self._closing.is_set():
                    break
        return None


class Browser:
    """A headless Chromium of its own, with a tab for each address; gone when the `with` ends.

    folder: for its profile, which is new, and its log. flags: more of them. preferences: of the profile.
    """

    def __init__(
        self,
        folder: Path,
        urls: Sequence[str],
        *,
        flags: Sequence[str] = (),
        preferences: Mapping[str, Any] | None = None,
    ) -> None:
        self._profile = folder / "chromium"
        self.log = folder / "chromium.log"
        self._urls, self._flags, self._preferences = urls, flags, preferences or {}

    def __enter__(self) -> Browser:
        assert CHROMIUM, MISSING
        (self._profile / "Default").mkdir(parents=True)
        (self._profile / "Default" / "Preferences").write_text(json.dumps(self._preferences))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [CHROMIUM, *FLAGS, f"--user-data-dir={self._profile}", *self._flags, "about:blank"],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        try:
            for url in self._urls:
                self.open(url)
        except BaseException:
            self.__exit__()
            raise
        return self

    def open(self, url: str) -> None:
        """A new tab, as if a person had typed the address."""
        with contextlib.closing(HTTPConnection("127.0.0.1", self._debug_port(), timeout=START_S)) as wishes:
            wishes.request("PUT", f"/json/new?{quote(url, safe='')}")
            answer = wishes.getresponse()
            assert answer.status == 200, (answer.read(), self.log.read_text()[-2000:])

    def _debug_port(self) -> int:
        """Where Chromium takes such wishes. It writes the number, a line end and more once it listens."""
        file, deadline = self._profile / "DevToolsActivePort", time.monotonic() + START_S
        while not (file.exists() and "\n" in file.read_text()):
            running = self._process.poll() is None
            assert running and time.monotonic() < deadline, f"Chromium did not start:\n{self.log.read_text()[-2000:]}"
            time.sleep(0.02)
        return int(file.read_text().partition("\n")[0])

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: nobody else is in it
        self._process.wait()
