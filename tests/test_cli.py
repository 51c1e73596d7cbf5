"""The command line as a whole: what it imports, how it ends, and what it says when no serve answers."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from bridge import cli
from bridge.cli.common import folder_of
from bridge.place import default_data_folder
from tests.cli.calling import ENVIRONMENT, LABEL, command, run
from tests.serving import ROOT, Serve, free_port

ASKING = [  # every command that needs a running serve
    ("jobs",), ("jobs", "list"), ("jobs", "--json"), ("jobs", "show", "1"), ("jobs", "watch"), ("jobs", "watch", "1"),
    ("jobs", "cancel", "1"), ("jobs", "hold", "1", "2"), ("jobs", "release", "1"), ("jobs", "release", "--all"),
    ("jobs", "discard", "--all"), ("jobs", "resolve", "1", "printed"), ("jobs", "move", "1", "--to", "x"),
    ("jobs", "reprint", "1"), ("printers",), ("printers", "list"), ("printers", "add", "x", "virtual://x"),
    ("printers", "find"), ("printers", "number"),
    ("printers", "remove", "x"), ("printers", "pause", "x"), ("printers", "resume", "x"), ("printers", "test", "x"),
    ("keys",), ("keys", "list"), ("keys", "add", "x"), ("keys", "revoke", "x"), ("origins",), ("origins", "list"),
    ("origins", "add", "https://x"), ("origins", "remove", "https://x"), ("reload",),
    ("keys", "change", "x", "--name", "y"), ("printers", "drawer", "x"),
    ("webhooks",), ("webhooks", "list"), ("webhooks", "add", "https://x"), ("webhooks", "change", "x", "--off"),
    ("webhooks", "remove", "x"), ("webhooks", "test", "x"), ("webhooks", "deliveries"), ("webhooks", "redeliver", "x"),
    ("orgs",), ("orgs", "list"), ("orgs", "add", "x"), ("orgs", "change", "x", "--name", "y"),
    ("orgs", "share", "x", "y"), ("orgs", "unshare", "x", "y"), ("orgs", "off", "x"), ("orgs", "on", "x"),
    ("users",), ("users", "list"), ("users", "add", "x"), ("users", "change", "x", "--name", "y"),
    ("users", "remove", "x"), ("users", "groups"), ("users", "groups", "list"), ("users", "groups", "add", "x"),
    ("users", "groups", "remove", "x"), ("users", "groups", "put", "x", "y"), ("users", "cards", "list", "x"),
    ("users", "cards", "add", "x", "--number-file", "/dev/null"), ("users", "cards", "remove", "x", "y"),
]  # fmt: skip
HEAVY = (
    "flask",
    "pydantic",
    "werkzeug",
    "waitress",
    "sqlite3",
    "bridge.store",
    "bridge.config",
    "bridge.app",
    "devices",
)


def commands(group: click.Group = cli.main, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command there is, as it is typed."""
    for name, each in group.commands.items():
        yield (*before, name)
        if isinstance(each, click.Group):
            yield from commands(each, (*before, name))


def test_the_table_above_names_every_command_that_needs_a_serve() -> None:
    alone = {("serve",), ("print",), ("doctor",), ("backup",), ("restore",), ("logs",), ("service", "install"),
             ("service", "remove"), ("service", "status"), ("simulate",)}  # fmt: skip
    known = sorted(commands(), key=len, reverse=True)
    asked = {next(name for name in known if words[: len(name)] == name) for words in ASKING}
    groups = {(name,) for name, each in cli.main.commands.items() if isinstance(each, click.Group)}
    groups.add(("users", "cards"))
    assert set(commands()) - alone - groups <= asked


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_without_a_serve_every_asking_command_says_so(tmp_path: Path, words: Sequence[str]) -> None:
    done = run(*words, "--data", tmp_path / "data")
    assert done.code == 4 and "print-bridge serve" in done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        done = run(*words, option)
        assert done.code == 0 and done.out.startswith("Usage: ")


def test_help_names_every_exit_code() -> None:
    said = run("--help").out
    for code in (0, cli.FAILED, cli.WRONG, cli.UNCONFIRMED, cli.NO_SERVE, cli.INTERRUPTED):
        assert f"\n    {code:<5}" in said


def test_asking_imports_nothing_that_only_a_serve_needs(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        code = (
            "import sys\nfrom bridge.cli import main\n"
            f"try: main(['jobs', '--data', {str(bridge.folder)!r}])\nexcept SystemExit as end: assert end.code == 0\n"
            f"print([name for name in {HEAVY!r} if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [("nonsense",), ("--nonsense",), ("Jobs",), ("",), ("\x00"[:0], "x"), ("jobs", "")])
def test_wrong_use_is_code_2(words: tuple[str, ...]) -> None:
    assert run(*words).code == 2


def test_no_command_at_all_shows_the_help() -> None:
    done = run()
    assert done.code == 2 and "Commands:" in done.err + done.out


# ---- what stands in the place of a serve ------------------------------------------------------------------------


def credentials(folder: Path, port: int, key: str = "pb_x") -> Path:
    folder.mkdir(exist_ok=True)
    said = {"organization_id": "o", "api_key": key, "client_id": "c", "url": f"http://127.0.0.1:{port}"}
    (folder / "credentials.json").write_text(json.dumps(said))
    return folder


def test_a_serve_that_has_gone_is_no_serve(tmp_path: Path) -> None:
    assert run("jobs", "--data", credentials(tmp_path, free_port())).code == 4


@contextmanager
def another_program(status: int, body: bytes) -> Iterator[int]:
    """Some web server that has the port now."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "status, body",
    [(404, b"<html>\x1b[31mnginx</html>"), (500, b"{}"), (400, b'{"error": "no"}'),
     (404, b'{"error": {"code": 1}}'), (200, b"\xff\xfe"), (403, b"[]")],
)  # fmt: skip
def test_another_program_on_the_port_is_no_serve(tmp_path: Path, status: int, body: bytes) -> None:
    with another_program(status, body) as port:
        done = run("jobs", "--data", credentials(tmp_path, port))
    assert done.code == 4 and "another program" in done.err


def test_a_port_that_hangs_up_is_no_serve(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        assert run("reload", "--data", credentials(tmp_path, listener.getsockname()[1])).code == 4


def hang_up(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"url": 1, "api_key": 2}', "\xff", '{"url": "x", "api_key": "y"}', "[" * 100_000, "null"],
    ids=range(9),
)  # fmt: skip
def test_credentials_that_cannot_be_used_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "credentials.json").write_bytes(text.encode("latin-1"))
    done = run("jobs", "--data", tmp_path)
    assert done.code == 2 and "credentials.json" in done.err


def test_a_key_the_serve_does_not_know_is_told_with_where_it_came_from(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        folder = credentials(tmp_path / "other", bridge.port)
        done = run("jobs", "--data", folder)
        assert done.code == 1 and str(folder / "credentials.json") in done.err and "--data" in done.err
        # `print` goes on without: that serve is another folder's, so one of its own runs inside.
        assert run("print", LABEL, "--data", tmp_path / "third").code == 0


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert run("jobs", "--data", tmp_path / "file").code == 2
    assert run("jobs", "--data", tmp_path / "file/below").code == 4
    assert run("print", LABEL, "--data", tmp_path / "file/below").code == 2


def test_without_data_the_systems_place_is_taken(tmp_path: Path) -> None:
    done = run("jobs", env={"XDG_DATA_HOME": str(tmp_path)})
    assert done.code == 4 and str(tmp_path / "print-bridge") in done.err


def test_the_command_line_and_the_configuration_know_the_same_place() -> None:
    assert folder_of(None) == default_data_folder()


def test_a_full_or_closed_standard_output_is_no_traceback(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        words = " ".join(map(str, command("printers", "--data", bridge.folder)))
        for way in (">/dev/full", ">&-", "| true"):
            done = subprocess.run(
                ["bash", "-c", f"{words} {way}"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
            )
            assert "Traceback" not in done.stderr, (way, done)


def test_a_terminal_without_utf8_gets_what_it_can_show(tmp_path: Path) -> None:
    with Serve(tmp_path / "data") as bridge:
        bridge.wait(bridge.send("virtual", {"document_base64": "XlhBXlha", "title": "\u6771\u4eac"}))
        done = run("jobs", "--data", bridge.folder, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
        assert done.code == 0 and "delivered" in done.out
