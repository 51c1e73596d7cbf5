"""The doctor on real trouble: each is made for real, and each finding names it and the command that mends it."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bridge.doctor import examine
from bridge.doctor.disk import mount_of
from bridge.doctor.finding import Finding
from bridge.doctor.processes import command_of, holders, listeners, lock_holder
from bridge.lock import FolderLock
from bridge.store.schema import MIGRATIONS
from tests import serving
from tests.bridge.shop import Shop
from tests.fake.printer import FakePrinter
from tests.fake.pty import PtyPrinter
from tests.serving import ROOT, Serve, b64, printer

LABEL = b"^XA^FDlabel^FS^XZ"


@cache
def free_port() -> int:
    """One that is free, and so is the next, for as long as the tests run."""
    while True:
        port = serving.free_port()
        try:
            serving.kept(port + 1).detach()
        except (OSError, OverflowError):
            continue
        return port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a healthy bridge that is stopped, with a port of its own."""
    path = tmp_path / "shop"
    path.mkdir(mode=0o700)
    with Shop(path) as shop:
        shop.send(LABEL)
        said = {"organization_id": shop.org, "api_key": "pb_1", "client_id": shop.client.id,
                "url": f"http://127.0.0.1:{free_port()}"}  # fmt: skip
    (path / "credentials.json").write_text(json.dumps(said))
    (path / "credentials.json").chmod(0o600)
    configure(path)
    return path


def configure(folder: Path, more: str = "", server: str = "") -> None:
    port = "" if re.search("^port", server, re.MULTILINE) else f"port = {free_port()}\n"
    (folder / "config.toml").write_text(f"[server]\n{port}{server}\n{more}")


def bad(findings: list[Finding], area: str = "") -> list[Finding]:
    return [f for f in findings if f.level == "problem" and f.area in (area or f.area)]


def only(findings: list[Finding], area: str, level: str = "problem") -> Finding:
    """The one finding of that area and level; shown with pytest -s."""
    (found,) = [f for f in findings if (f.area, f.level) == (area, level)]
    print(f"{found.level}  {found.area}  {found.text}\n    -> {found.remedy}")
    return found


def seen(folder: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """All there is to know about every file of a folder."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        info = path.stat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (info.st_mode, info.st_mtime_ns, info.st_size, data)
    return found


def doctor(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge", "doctor", "--data", str(folder), *options],
        capture_output=True, text=True, timeout=60, cwd=ROOT,
    )  # fmt: skip


# ---- healthy ------------------------------------------------------------------------------------------------------


def test_a_healthy_folder_has_no_problem(folder: Path) -> None:
    findings = examine(folder)
    assert not bad(findings)
    areas = ["serve", "config", "folder", "disk", "clock", "database", "printer", "port", "browser"]
    assert list(dict.fromkeys(finding.area for finding in findings)) == areas


def test_a_healthy_serve_has_no_problem_and_is_asked(tmp_path: Path) -> None:
    with FakePrinter() as paper, Serve(tmp_path / "shop", printer("dock", paper.uri)) as bridge:
        bridge.wait(bridge.send("dock", {"document_base64": b64(LABEL)}))
        findings = examine(bridge.folder, bridge.config)
        assert not bad(findings)
        texts = [finding.text for finding in findings]
        assert any(f"a serve answers: version 0.1.0, pid {bridge.process.pid}" in text for text in texts)  # type: ignore[union-attr]
        assert f"[server] port {bridge.port} is ours" in texts
        assert any(text.startswith("dock can be reached") for text in texts)
        assert any("bridge.db: whole, schema" in text for text in texts)


def test_the_configuration_a_serve_reads_is_found_without_being_named(tmp_path: Path) -> None:
    with Serve(tmp_path / "shop", printer("dock", "virtual://dock")) as bridge:
        assert only(examine(bridge.folder), "config", "ok").text == f"{bridge.config}: printers 1, keys 0"
        bridge.config.write_text("[server]\nprot = 1\n")
        found = only(examine(bridge.folder), "config")
        assert "unknown key server.prot" in found.text
        assert found.remedy.endswith(f"then: print-bridge reload --data {bridge.folder}")


def test_a_folder_that_is_not_there_yet_is_no_problem(tmp_path: Path) -> None:
    findings = examine(tmp_path / "new")
    assert not [f for f in bad(findings) if f.area != "port"]  # 8910 may be somebody's here
    assert "the first start makes it" in only(findings, "folder", "warning").text
    assert not (tmp_path / "new").exists()


def test_everything_that_is_not_well_comes_with_what_to_do(tmp_path: Path) -> None:
    for finding in examine(tmp_path):
        assert finding.level == "ok" or finding.remedy


# ---- it changes nothing -------------------------------------------------------------------------------------------


def test_not_one_byte_of_a_stopped_folder_changes(folder: Path) -> None:
    before = seen(folder)
    examine(folder)
    assert seen(folder) == before


def test_not_one_byte_of_a_crashed_folder_changes_and_its_log_is_read(tmp_path: Path) -> None:
    with Serve(tmp_path / "shop", printer("dock", "virtual://dock")) as bridge:
        bridge.send("dock", {"document_base64": b64(LABEL)})
        bridge.kill()
    assert (bridge.folder / "bridge.db-wal").stat().st_size
    before = seen(bridge.folder)
    findings = examine(bridge.folder, bridge.config)
    assert seen(bridge.folder) == before
    assert not bad(findings)
    assert any("bridge.db: whole, schema" in finding.text for finding in findings)


def test_a_printer_gets_no_byte_and_no_fifo_is_opened(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    with FakePrinter() as paper:
        configure(folder, printer("dock", paper.uri) + printer("pipe", f"file://{folder}/fifo"))
        findings = examine(folder)
        paper.wait_until_idle()
        assert (paper.jobs, paper.unfinished) == ([], [])
    assert not bad(findings)


# ---- broken -------------------------------------------------------------------------------------------------------


@contextmanager
def squatter(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Another program on our port."""
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            while not any(each.port == port for each in listeners()):
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def test_another_program_on_our_port_is_named(folder: Path) -> None:
    port = free_port()
    configure(folder, server=f"port = {port}")
    with squatter(port) as other:
        found = only(examine(folder), "port")
        assert f"[server] port {port} is held by pid {other.pid} (" in found.text
        assert "http.server --bind 127.0.0.1" in found.text
        assert found.remedy.startswith(f"stop it: kill {other.pid}; or set another one: port = ")
    assert not bad(examine(folder))


def test_another_program_on_the_websocket_port_is_named(folder: Path) -> None:
    port = serving.free_port()
    configure(folder, server=f"ws_port = {port}")
    with squatter(port) as other:
        found = only(examine(folder), "port")
        assert f"[server] ws_port {port} is held by pid {other.pid} (" in found.text


def test_a_program_one_may_not_see_is_looked_for_with_sudo(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    port = free_port()
    with squatter(port):
        found = only(as_nobody(tmp_path, f"[server]\nport = {port}\n"), "port")
    assert f"port {port} is held by a program of root, which you may not see" in found.text
    assert f"sudo ss -ltnp 'sport = :{port}'" in found.remedy


BROKEN = {
    "[server]\nprot = 1": ("unknown key server.prot; allowed here: host, port", "write port instead of prot"),
    "[server]\nzzz = 1": ("unknown key server.zzz; allowed here:", "take zzz out"),
    "[server]\nport = 1\n[server\n": ("is not valid TOML", "mend line 3 of"),
    "[server]\nport = 'many'": ("server.port: Input should be a valid integer", "mend it in"),
    "[[printers]]\nname = 'dock'": ("printers.0.uri: Field required", "mend it in"),
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_configuration_is_named_with_the_edit_that_mends_it(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text)
    found = only(examine(folder), "config")
    says, remedy = BROKEN[text]
    assert says in found.text and str(folder / "config.toml") in found.text
    assert remedy in found.remedy and f"print-bridge serve --data {folder}" in found.remedy


def test_a_broken_configuration_says_when_the_last_good_one_is_used(folder: Path) -> None:
    with FakePrinter() as paper:
        (folder / "config.last-good.toml").write_text(printer("good", paper.uri))
        (folder / "config.toml").write_text("[[[")
        findings = examine(folder)
    assert f"the last good one is used ({folder}/config.last-good.toml)" in only(findings, "config").text
    assert only(findings, "printer", "ok").text.startswith("good can be reached")


def test_a_key_file_that_is_missing_or_open_to_all_is_named(folder: Path) -> None:
    (folder / "key").write_text("pb_2")
    (folder / "key").chmod(0o644)
    keys = (f'[[keys]]\nname = "{name}"\nkey_file = "{folder}/{file}"\n' for name, file in (("a", "no"), ("b", "key")))
    configure(folder, "".join(keys))
    findings = examine(folder)
    assert f"the key file {folder}/no of key 'a' cannot be used" in only(findings, "config").text
    assert only(findings, "config", "warning").remedy == f"chmod 600 {folder}/key"


UNREACHABLE = {
    "tcp://no-such-printer.invalid": "does not know the name 'no-such-printer.invalid'",
    "tcp://192.0.2.1:9100": "no answer from tcp://192.0.2.1:9100",  # TEST-NET-1: nobody is there, ever
    "file:///dev/usb/lp99": "/dev/usb/lp99 is not there",
    "file:///no/such/folder/file": "there is no folder /no/such/folder",
    "file:///usr": "/usr is a folder",
    "tcp://": "this is not a host with an optional port",
    "carrier-pigeon://x": "no printer can be reached by 'carrier-pigeon'",
}


@pytest.mark.parametrize("uri", UNREACHABLE)
def test_a_printer_that_cannot_be_reached_says_why(folder: Path, uri: str) -> None:
    configure(folder, printer("dock", uri, connect_s=0.5))
    found = only(examine(folder), "printer")
    assert UNREACHABLE[uri].lower() in found.text.lower() and "dock" in found.text


def test_a_printer_that_refuses_is_named_with_where_to_change_its_address(folder: Path) -> None:
    with FakePrinter(refuse=True) as off, FakePrinter() as on:
        configure(folder, printer("dock", off.uri) + printer("shelf", on.uri))
        found = only(examine(folder), "printer")
    assert found.text.startswith(f"dock: no answer from {off.uri} (connection refused)")
    assert f"mend uri and language of printer 'dock' in {folder}/config.toml" in found.remedy


def test_a_printer_of_an_unknown_language_is_named(folder: Path) -> None:
    configure(folder, printer("dock", "virtual://dock", language="klingon"))
    assert "printer 'dock': unknown language 'klingon'; use one of" in only(examine(folder), "printer").text


def test_a_printer_that_was_added_over_the_api_is_looked_at_too(tmp_path: Path) -> None:
    with FakePrinter(refuse=True) as off, FakePrinter() as on:
        with Serve(tmp_path / "shop", printer("dock", on.uri)) as bridge:
            answer = bridge.call("POST", "/v1/printers", {"name": "shelf", "uri": off.uri})
            assert answer.status == 201, answer
            running = only(examine(bridge.folder, bridge.config), "printer")
        stopped = only(examine(bridge.folder, bridge.config), "printer")
    assert running == stopped and running.text.startswith(f"shelf: no answer from {off.uri} (connection refused)")
    assert f"print-bridge printers remove shelf --data {bridge.folder}" in running.remedy


def test_printers_that_are_off_are_tried_side_by_side(folder: Path) -> None:
    configure(folder, "".join(printer(f"p{n}", f"tcp://192.0.2.{n}", connect_s=3) for n in range(1, 11)))
    began = time.monotonic()
    assert len(bad(examine(folder), "printer")) == 10
    assert time.monotonic() - began < 20  # of the thirty seconds one after the other


def test_a_paused_printer_is_seen_through_the_serve(tmp_path: Path) -> None:
    with FakePrinter() as paper, Serve(tmp_path / "shop", printer("dock", paper.uri)) as bridge:
        bridge.call("POST", "/v1/printers/dock/pause", {"reason": "new roll"})
        found = only(examine(bridge.folder, bridge.config), "printer", "warning")
    assert "new roll" in found.text
    assert found.remedy == f"print-bridge printers resume dock --data {bridge.folder}"


def test_a_damaged_page_of_the_database_is_found_and_nothing_is_done_about_it(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'jobs'").fetchone()
    with (folder / "bridge.db").open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(os.urandom(size))
    before = seen(folder)
    found = only(examine(folder), "database")
    assert "bridge.db is damaged" in found.text and f"restore FILE --data {folder}" in found.remedy
    assert seen(folder) == before


def test_a_file_that_is_no_database_is_found(folder: Path) -> None:
    (folder / "bridge.db").write_bytes(b"shopping list\n" * 1000)
    assert "is damaged: file is not a database" in only(examine(folder), "database").text


def test_a_database_of_a_newer_version_is_named(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("PRAGMA user_version=99")
    assert f"(schema 99; this one knows {len(MIGRATIONS)})" in only(examine(folder), "database").text


def test_a_database_that_was_set_aside_is_not_forgotten(folder: Path) -> None:
    (folder / "bridge.db.damaged-1").write_bytes(b"x")
    found = only(examine(folder), "database", "warning")
    assert "the database was damaged and replaced; the damaged one is" in found.text


def test_a_clock_behind_the_events_of_the_database_is_wrong(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.execute("UPDATE events SET at = ?", (time.time() + 86400 * 3650,))
        db.commit()
    found = only(examine(folder), "clock")
    assert re.search(r"it says 20..-.*, but the newest event in the database is of 20", found.text)
    assert "sudo timedatectl set-ntp true" in found.remedy


def test_a_disk_below_the_reserve_refuses_new_jobs(folder: Path) -> None:
    configure(folder, "[limits]\ndisk_reserve_mb = 999999")  # a disk of 1 TB and more is rare on a test machine
    if shutil.disk_usage(folder).free > 1_900_000 * 1024 * 1024:
        pytest.skip("this disk has more room than any setting")
    finding = next(f for f in examine(folder) if f.area == "disk" and f.level != "ok")
    assert "MB free where" in finding.text and "du -xh" in finding.remedy


def test_a_folder_of_another_user_cannot_be_written_to(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    folder = Path("/tmp") / f"doctor-{os.getpid()}"  # pytest's own folders let nobody through
    folder.mkdir(mode=0o700)
    try:
        found = only(as_nobody(folder), "folder")
    finally:
        folder.rmdir()
    assert f"{folder} belongs to root, and you are nobody" in found.text
    assert f"sudo chown -R $(id -un) {folder}" in found.remedy


def as_nobody(folder: Path, config: str = "") -> list[Finding]:
    """What the doctor tells a user who may do nothing here. The code is read before the rights are given up."""
    code = (
        "import json, os, sys; from dataclasses import asdict; from pathlib import Path\n"
        "import encodings.idna, bridge.doctor; from devices import transports\n"
        "for name in transports.names(): transports.load(name)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(json.dumps([asdict(f) for f in bridge.doctor.examine(*map(Path, sys.argv[1:]))]))"
    )
    file = Path("/tmp") / f"doctor-{os.getpid()}.toml"  # where nobody can read it
    file.write_text(config)
    file.chmod(0o644)
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder), str(file)], capture_output=True, text=True, cwd=ROOT
        )
    finally:
        file.unlink()
    assert done.returncode == 0, done.stderr
    return [Finding(**found) for found in json.loads(done.stdout)]


def test_a_folder_open_to_all_is_a_warning(folder: Path) -> None:
    folder.chmod(0o755)
    assert only(examine(folder), "folder", "warning").remedy == f"chmod 700 {folder}"


def test_files_that_root_left_behind_are_found(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(folder / "bridge.db", 65534, 65534)
    assert f"sudo chown -R root {folder}" == only(examine(folder), "folder").remedy


@pytest.mark.parametrize("text", ["{", "[]", '{"organization_id": 1}', ""])
def test_credentials_that_are_not_whole_are_a_problem(folder: Path, text: str) -> None:
    (folder / "credentials.json").write_text(text)
    found = only(examine(folder), "folder")
    assert "credentials.json cannot be read or is not whole" in found.text


def test_credentials_that_others_may_read_are_a_warning(folder: Path) -> None:
    (folder / "credentials.json").chmod(0o644)
    assert only(examine(folder), "folder", "warning").remedy == f"chmod 600 {folder}/credentials.json"


def test_a_process_that_holds_the_folder_and_does_not_answer_is_named(folder: Path) -> None:
    lock = FolderLock(folder / "lock")
    found = only(examine(folder), "serve")
    lock.release()
    assert f"pid {os.getpid()} (" in found.text and "holds the folder, but no serve answers" in found.text
    assert f"kill {os.getpid()}" in found.remedy
    assert not bad(examine(folder), "serve")


def test_a_serve_that_hangs_is_told_from_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.remote.ANSWER_S", 1)
    with Serve(tmp_path / "shop") as bridge:
        assert bridge.process is not None
        os.kill(bridge.process.pid, 19)  # SIGSTOP
        try:
            found = only(examine(bridge.folder, bridge.config), "serve")
        finally:
            os.kill(bridge.process.pid, 18)  # SIGCONT
    assert f"pid {bridge.process.pid} (" in found.text and "no answer from" in found.text


# ---- browsers -----------------------------------------------------------------------------------------------------


def key(name: str, origin: str, scopes: str = '"jobs"') -> str:
    sha256 = name.encode().hex().ljust(64, "0")
    return f'[[keys]]\nname = "{name}"\nkey_sha256 = "{sha256}"\norigins = ["{origin}"]\nscopes = [{scopes}]\n'


def test_a_browsers_view_lists_who_may_print(folder: Path) -> None:
    configure(folder, key("shop", "https://shop.example") + key("till", "http://localhost:3000"))
    texts = [f.text for f in examine(folder) if (f.area, f.level) == ("browser", "ok")]
    assert texts == [
        "http://localhost:3000 may print with the key 'till' (jobs)",
        "https://shop.example may print with the key 'shop' (jobs)",
    ]


def test_a_browsers_view_knows_keys_that_are_only_in_the_database(folder: Path) -> None:
    with Shop(folder) as shop:
        shop.store.keys.add(shop.org, "counter", "0" * 64, {"jobs"}, {"https://counter.example"})
    found = only(examine(folder), "browser", "ok")
    assert found.text == "https://counter.example may print with the key 'counter' (jobs)"


def test_a_page_that_may_do_everything_or_comes_over_http_is_a_warning(folder: Path) -> None:
    configure(folder, key("all", "https://all.example", '"admin"') + key("old", "http://old.example"))
    warnings = {f.text.split()[0]: f for f in examine(folder) if (f.area, f.level) == ("browser", "warning")}
    assert "may do everything here" in warnings["https://all.example"].text
    assert "origins add https://old.example" in warnings["http://old.example"].remedy


def test_listening_beyond_this_machine_without_tls_is_a_warning(folder: Path) -> None:
    configure(folder, server='host = "0.0.0.0"\nhosts = ["print.shop.example"]')
    found = only(examine(folder), "browser", "warning")
    assert "at 0.0.0.0, without TLS" in found.text and 'host = "127.0.0.1"' in found.remedy


def test_a_serve_that_listens_beyond_this_machine_is_seen_as_it_is(tmp_path: Path) -> None:
    with Serve(tmp_path / "shop", '[server]\nhost = "0.0.0.0"\n') as bridge:
        bridge.config.write_text("")
        assert "at 0.0.0.0, without TLS" in only(examine(bridge.folder, bridge.config), "browser", "warning").text


# ---- the parts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listener_and_its_process_are_found(family: socket.AddressFamily, address: str) -> None:
    with closing(socket.socket(family)) as mine:
        mine.bind((address, 0))
        mine.listen()
        (found,) = [each for each in listeners() if each.port == mine.getsockname()[1]]
        assert (found.address, found.uid) == (address, os.getuid())
        assert holders([found.inode]) == {found.inode: os.getpid()}
    assert "python" in command_of(os.getpid())


def test_the_holder_of_a_lock_is_found_without_touching_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    lock = FolderLock(path)
    assert lock_holder(path) == os.getpid()
    lock.release()
    assert lock_holder(path) is None


def test_the_file_system_of_a_path_is_the_innermost_one(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "/dev/mmcblk0p2 / ext4 rw,noatime,data=writeback 0 0\n"
        f"server:/share {tmp_path}/net\\040work nfs4 rw 0 0\n/dev/sda1 {tmp_path}/net ext4 ro 0 0\n"
    )
    inner = mount_of(tmp_path / "net work/shop", table)
    assert inner is not None and (inner.kind, inner.device) == ("nfs4", "server:/share")
    outer = mount_of(tmp_path / "network", table)
    assert outer is not None and outer.device == "/dev/mmcblk0p2" and "data=writeback" in outer.options


def test_a_file_system_that_forgets_is_a_warning() -> None:
    memory = Path("/dev/shm")
    mount = mount_of(memory)
    if mount is None or mount.kind != "tmpfs":
        pytest.skip("no file system in memory here")
    folder = memory / f"doctor-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        found = only(examine(folder), "disk", "warning")
    finally:
        folder.rmdir()
    assert "/dev/shm is memory (tmpfs): a restart of the machine or container loses every job" in found.text


# ---- the command --------------------------------------------------------------------------------------------------


def test_the_command_ends_with_0_when_all_is_well_and_1_with_a_problem(folder: Path) -> None:
    done = doctor(folder)
    print(done.stdout)
    assert done.returncode == 0, done
    assert re.search(r"^0 problems, \d+ warnings?$", done.stdout.splitlines()[-1])
    (folder / "config.toml").write_text("[server]\nprot = 1\n")
    done = doctor(folder)
    print(done.stdout)
    assert done.returncode == 1
    assert f"-> in {folder}/config.toml, write port instead of prot" in done.stdout


def test_the_command_speaks_json(folder: Path) -> None:
    said: dict[str, Any] = json.loads(doctor(folder, "--json").stdout)
    assert said["problems"] == 0
    assert {tuple(finding) for finding in said["findings"]} == {("area", "level", "text", "remedy")}


def test_a_folder_that_is_a_file_or_has_nonsense_in_it_is_no_traceback(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense"
    nonsense.mkdir()
    for name in ("bridge.db", "lock", "spool", "config.toml", "credentials.json", "secrets.json"):
        (nonsense / name).mkdir()
    done = doctor(nonsense)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done
    (tmp_path / "file").write_text("")
    assert bad(examine(tmp_path / "file"))


def test_a_thousand_open_files_are_not_needed(folder: Path) -> None:
    """The doctor is called when things are scarce."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        configure(folder, "".join(printer(f"p{n}", "tcp://127.0.0.1:1") for n in range(100)))
        findings = examine(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(bad(findings, "printer")) == 100 and all("refused" in f.text for f in bad(findings, "printer"))


def test_modes_are_told_as_people_write_them(folder: Path) -> None:
    folder.chmod(stat.S_IRWXU | stat.S_IXOTH)
    assert "(mode 701)" in only(examine(folder), "folder", "warning").text


# ---- printers on wires and in queues ------------------------------------------------------------------------------


def printer_finding(folder: Path, uri: str) -> Finding:
    (folder / "config.toml").write_text(f'[[printers]]\nname = "dock"\nuri = "{uri}"\n')
    (finding,) = [each for each in examine(folder, None) if each.area == "printer"]
    return finding


def test_a_usb_printer_that_is_not_plugged_in_is_said_to_be_so(tmp_path: Path) -> None:
    finding = printer_finding(tmp_path, "usb://0a5f:0164/D4J201234567")
    assert finding.level == "problem" and "usb://0a5f:0164/D4J201234567 is not plugged in" in finding.text
    assert "plug it in and switch it on" in finding.remedy


def test_a_serial_port_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    finding = printer_finding(tmp_path, "serial:///dev/ttyNOTHING?baud=9600")
    assert finding.level == "problem" and "/dev/ttyNOTHING is not there" in finding.text and finding.remedy


def test_a_serial_port_another_program_holds_is_named_with_it(tmp_path: Path) -> None:
    main, far = os.openpty()
    try:
        device = os.ttyname(far)
        holder = subprocess.Popen(["sleep", "60"], stdin=far)
        os.close(far)
        finding = printer_finding(tmp_path, f"serial://{device}")
        assert finding.level == "warning" and f"process {holder.pid}" in finding.text and "sleep 60" in finding.text
        assert f"kill {holder.pid}" in finding.remedy
    finally:
        holder.kill()
        holder.wait()
        os.close(main)


def test_a_queue_that_does_not_exist_is_told_with_the_command_that_makes_one(tmp_path: Path) -> None:
    finding = printer_finding(tmp_path, "queue://nowhere?server=127.0.0.1:9")
    assert finding.level == "problem" and "no print service answers" in finding.text
    assert "sudo systemctl start cups" in finding.remedy


@pytest.mark.parametrize(("baud", "level", "said"), [
    (19200, "ok", "answers at 19200 baud"), (9600, "problem", "answers at 19200 baud, it is set up with 9600"),
])  # fmt: skip
def test_a_serial_printer_is_asked_for_its_speed_only_when_that_is_wanted(
    tmp_path: Path, baud: int, level: str, said: str
) -> None:
    with PtyPrinter() as pty:
        def answer(read: bytes) -> bytes:  # a terminal has no speed of its own; it only knows which one is set
            right = termios.tcgetattr(pty._node)[5] == termios.B19200
            return b"\x02ZD421-203dpi,V92.21.26Z,8,65536KB\x03" if right else b"\xff"

        pty.answers = answer
        uri = f"serial://{pty.device}?baud={baud}"
        (tmp_path / "config.toml").write_text(f'[[printers]]\nname = "dock"\nuri = "{uri}"\n')
        (quiet,) = [each for each in examine(tmp_path) if each.area == "printer"]
        assert quiet.level in ("ok", "warning") and pty.arrived == b"", "nothing is asked unless that is wanted"
        (finding,) = [each for each in examine(tmp_path, ask=True) if each.area == "printer"]
    assert (finding.level, said in finding.text) == (level, True), finding
    assert level == "ok" or "write baud=19200" in finding.remedy


@pytest.mark.parametrize(("dpi", "level", "said"), [
    (203, "ok", "answers: Zebra ZD421 203 dpi"), (300, "warning", "it prints 203 dpi and is set up with 300"),
])  # fmt: skip
def test_a_network_printer_is_asked_what_it_is_only_when_that_is_wanted(
    tmp_path: Path, dpi: int, level: str, said: str
) -> None:
    with FakePrinter(answers=lambda asked: b"\x02ZD421-203dpi,V92.21.26Z,8,65536KB\x03\r\n") as dock:
        (tmp_path / "config.toml").write_text(f'[[printers]]\nname = "dock"\nuri = "{dock.uri}"\ndpi = {dpi}\n')
        (quiet,) = [each for each in examine(tmp_path) if each.area == "printer"]
        assert quiet.text == f"dock can be reached ({dock.uri})" and not any(dock.jobs)
        (finding,) = [each for each in examine(tmp_path, ask=True) if each.area == "printer"]
    assert (finding.level, said in finding.text) == (level, True), finding
    assert b"~HI" in b"".join([*dock.jobs, *dock.unfinished])


def test_a_network_printer_that_does_not_answer_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.doctor.asking.PATIENCE_S", 0.2)
    with FakePrinter() as dock:
        (tmp_path / "config.toml").write_text(f'[[printers]]\nname = "dock"\nuri = "{dock.uri}"\n')
        (finding,) = [each for each in examine(tmp_path, ask=True) if each.area == "printer"]
        assert finding.level == "ok" and "can be reached" in finding.text
