"""Backup while printing, restore elsewhere: all is there, and nothing prints by itself. Real serves, real kills."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.backup import MANIFEST, BackupError, Manifest, save
from bridge.lock import FolderLock
from bridge.model import State
from bridge.restore import restore
from bridge.store import Store
from bridge.store.schema import MIGRATIONS
from tests.bridge.shop import Shop
from tests.fake.printer import FakePrinter
from tests.serving import ROOT, Serve, b64, printer

CUT_OFF = b"~JX~JX^FS^XZ"
LARGE = 200_000  # bytes: a document that lies in the spool


def label(text: str, size: int = 0) -> bytes:
    """A label that is told from all others."""
    return f"^XA^FD{text}^FS^FX{'x' * size}^XZ".encode()


def numbers(jobs: list[bytes]) -> list[str]:
    """Of the labels; what ends one that was cut off by a kill is none."""
    return [re.search(rb"\^FD(.*?)\^FS", job)[1].decode() for job in jobs if job != CUT_OFF]  # type: ignore[index]


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`print-bridge ...`, as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, arguments)], capture_output=True, text=True, timeout=60, cwd=ROOT
    )


def modes(folder: Path) -> set[tuple[str, str]]:
    """What kinds of modes there are: ("folder", "700") ..."""
    return {
        ("folder" if path.is_dir() else "file", format(stat.S_IMODE(path.stat().st_mode), "o"))
        for path in [folder, *folder.rglob("*")]
    }


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    """A stopped bridge's folder: one job delivered, one of each waiting state, one cut off, large and small."""
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    with Shop(folder) as shop:
        ended = shop.send(label("ended"))
        shop.store.jobs.move(shop.org, ended.id, [State.QUEUED], State.DELIVERED)
        shop.send(label("small"))
        large = shop.send(label("large", LARGE))
        shop.store.jobs.preparing(large)
        shop.send(label("later"), launch=False)
        cut = shop.send(label("cut"))
        shop.store.jobs.begin_attempt(cut, bytes_total=1, pages=None)()
        (folder / "credentials.json").write_text(
            json.dumps({"organization_id": shop.org, "api_key": "pb_1", "client_id": shop.client.id, "url": "http://x"})
        )
    (folder / "config.toml").write_text("[server]\n")
    (folder / "secrets.json").write_text("{}")
    return folder


@pytest.fixture
def saved(shop: Path, tmp_path: Path) -> Path:
    save(shop, tmp_path / "shop.backup")
    return tmp_path / "shop.backup"


def states(folder: Path) -> dict[str, str]:
    """title of the label -> state, from the database of a stopped bridge."""
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        rows = db.execute("SELECT state, data FROM jobs LEFT JOIN bodies ON job_serial = serial").fetchall()
    return {numbers([body])[0] if body else "large": state for state, body in rows}


# ---- while it prints ----------------------------------------------------------------------------------------------


class Load:
    """Posts small and large labels to one printer, one after another, for as long as it lasts."""

    def __init__(self, bridge: Serve, name: str) -> None:
        self.sent: list[str] = []
        self._bridge, self._name = bridge, name
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._device = self._bridge.device(self._name)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        caller = self._bridge.caller()
        while not self._over.is_set():
            number = str(len(self.sent))
            document = label(number, LARGE if len(self.sent) % 10 == 9 else 500)
            body = {"printer": self._device, "document_base64": b64(document), "document_type": "zpl"}
            assert caller.call("POST", "/v1/jobs", body).status == 201
            self.sent.append(number)
        caller.close()


def test_a_bridge_is_saved_while_it_prints_and_goes_on_elsewhere_without_printing_anything_twice(
    tmp_path: Path,
) -> None:
    file = tmp_path / "shop.backup"
    with FakePrinter() as dock, FakePrinter(refuse=True) as shelf, FakePrinter(never_read=True, rcvbuf=4096) as stuck:
        config = printer("dock", dock.uri) + printer("shelf", shelf.uri) + printer("stuck", stuck.uri)
        with Serve(tmp_path / "here", config) as bridge:
            waiting = [bridge.send("shelf", {"document_base64": b64(label(f"w{n}", LARGE * (n % 2)))}) for n in (0, 1)]
            cut = bridge.send("stuck", {"document_base64": b64(label("cut", 5_000_000))})
            bridge.wait(cut, "sending")
            with Load(bridge, "dock") as load:
                dock.wait_for(20)
                before = len(load.sent)
                done = command("backup", file, "--data", bridge.folder)
                after = len(load.sent)
            assert done.returncode == 0, done
            assert after > before, "nothing was posted while the backup ran"
            dock.wait_for(len(load.sent))
            old = (bridge.key, bridge.organization_id, bridge.client_id)
            shelf.switch_on()  # the original prints what waited when the backup was made
            shelf.wait_for(2)
            bridge.kill()
    assert sorted(numbers(dock.jobs), key=int) == load.sent, "the original lost or doubled a label"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*")), "something was left beside the backup"

    there = tmp_path / "there"
    done = command("restore", file, "--data", there)
    assert done.returncode == 0, done
    print(done.stdout)
    assert modes(there) == {("folder", "700"), ("file", "600")}
    with FakePrinter() as dock2, FakePrinter() as shelf2, FakePrinter() as stuck2:
        config = printer("dock", dock2.uri) + printer("shelf", shelf2.uri) + printer("stuck", stuck2.uri)
        with Serve(there, config) as bridge:
            assert (bridge.key, bridge.organization_id, bridge.client_id) == old
            time.sleep(1)
            assert not (dock2.connections or shelf2.connections or stuck2.connections), "it printed by itself"
            assert before <= bridge.total() - 3 <= after + 1
            for job_id in waiting:
                job = bridge.job(job_id)
                assert (job["state"], job["reason"], job["possible_duplicate"]) == ("held", "restored", True)
                assert re.search(r"restored from a backup of \d{4}-.* printed since; release it", job["text"])
            assert bridge.job(cut)["state"] == "unconfirmed"
            answer = bridge.call("POST", f"/v1/jobs/{waiting[1]}/release")
            assert answer.status == 200, answer
            assert bridge.wait(waiting[1])["state"] == "delivered"
            assert numbers(shelf2.jobs) == ["w1"]
            assert len(shelf2.jobs[0]) == len(label("w1", LARGE)), "the large document did not come along"
            fresh = bridge.send("dock", {"document_base64": b64(label("new"))})
            assert bridge.wait(fresh)["state"] == "delivered"
            assert numbers(dock2.jobs) == ["new"]


def test_a_backup_that_takes_its_time_is_one_moment_and_lets_the_bridge_go_on(tmp_path: Path) -> None:
    folder, file = tmp_path / "shop", tmp_path / "shop.backup"
    folder.mkdir()
    with Shop(folder) as shop:
        for n in range(200):
            shop.send(label(f"early{n}", 60_000))
        longest = 0.0

        def write_meanwhile(done: int, total: int) -> None:
            nonlocal longest
            began = time.monotonic()
            shop.send(label("late"))
            longest = max(longest, time.monotonic() - began)

        manifest = save(folder, file, write_meanwhile)
    assert manifest.size > 10_000_000 and longest < 10
    done = restore(file, tmp_path / "there")
    assert (done.jobs, done.held) == (200, 200)


def test_a_document_that_is_gone_or_another_by_now_is_left_out(shop: Path, tmp_path: Path) -> None:
    with Shop(shop) as at_work:
        gone, changed = (at_work.send(label(name, LARGE)) for name in ("gone", "changed"))
    (shop / "spool/documents" / gone.id).unlink()
    (shop / "spool/documents" / changed.id).write_bytes(label("another"))
    manifest = save(shop, tmp_path / "file")
    assert manifest.documents == 1
    assert restore(tmp_path / "file", tmp_path / "there").held == 4


# ---- killed, full, in the way -------------------------------------------------------------------------------------

SLOW = """
import sys, time
from pathlib import Path
from bridge.{module} import {module_function}
calls = 0
def slow(done, total):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        print("half", flush=True)
        time.sleep(60)
{module_function}(Path(sys.argv[1]), Path(sys.argv[2]), slow)
"""


def killed(function: str, first: Path, second: Path, calls: int) -> None:
    """Run it in a process of its own, and SIGKILL that at its `calls`-th word of progress."""
    module = {"save": "backup"}.get(function, function)
    code = SLOW.format(module=module, module_function=function)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(first), str(second), str(calls)], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_killed_backup_leaves_no_half_file_and_the_next_one_sweeps_up(shop: Path, tmp_path: Path, calls: int) -> None:
    file = tmp_path / "shop.backup"
    killed("save", shop, file, calls)
    assert not file.exists()
    save(shop, file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop", "shop.backup"]
    assert restore(file, tmp_path / "there").held == 2


def test_a_backup_that_is_stopped_by_a_signal_leaves_nothing(shop: Path, tmp_path: Path) -> None:
    with Shop(shop) as at_work:
        for n in range(100):
            at_work.send(label(str(n), 2_000_000))
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "backup", str(tmp_path / "file"), "--data", str(shop)],
        stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline().startswith("saving: ")
        process.send_signal(signal.SIGTERM)
        assert "stopped by a signal; nothing is left half done" in process.stderr.read()
        assert process.wait() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_an_older_backup_is_replaced_only_when_asked_for(shop: Path, saved: Path) -> None:
    before = saved.read_bytes()
    done = command("backup", saved, "--data", shop)
    assert (done.returncode, saved.read_bytes()) == (1, before)
    assert "is there already; name another file, or replace it with --force" in done.stderr
    assert command("backup", saved, "--data", shop, "--force").returncode == 0
    assert saved.read_bytes() != before


def test_a_failed_backup_leaves_the_older_one_as_it_was(shop: Path, saved: Path) -> None:
    before = saved.read_bytes()
    with closing(sqlite3.connect(shop / "bridge.db")) as db:
        page, count = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count"))
    with (shop / "bridge.db").open("r+b") as file:
        for number in range(1, count):  # every page but the first
            file.seek(number * page)
            file.write(os.urandom(page))
    with pytest.raises(BackupError, match="run `print-bridge doctor`"):
        save(shop, saved, force=True)
    assert saved.read_bytes() == before
    assert sorted(path.name for path in saved.parent.iterdir()) == ["shop", "shop.backup"]


@pytest.mark.parametrize(
    ("where", "code", "text"),
    [
        ("nowhere/file", 2, "there is no folder"),
        ("shop", 2, "is not a plain file"),
        ("fifo", 2, "is not a plain file"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused(shop: Path, tmp_path: Path, where: str, code: int, text: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    done = command("backup", tmp_path / where, "--data", shop, "--force")
    assert (done.returncode, text in done.stderr, "Traceback" in done.stderr) == (code, True, False), done


def test_a_folder_without_a_bridge_is_not_saved(tmp_path: Path) -> None:
    done = command("backup", tmp_path / "file", "--data", tmp_path)
    assert done.returncode == 2 and "holds no bridge.db; name the data folder with --data" in done.stderr


def test_a_full_disk_leaves_nothing_but_a_text(shop: Path, tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from bridge.backup import save, BackupError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))\n"
        "try: save(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except BackupError as error: print(error)"
    )
    with Shop(shop) as at_work:
        at_work.send(label("more", LARGE))
    done = subprocess.run([sys.executable, "-c", code, str(shop), str(tmp_path / "file")], capture_output=True,
                          text=True, cwd=ROOT)  # fmt: skip
    print(done.stdout)
    assert "nothing is left of it" in done.stdout or "cannot be copied" in done.stdout, done
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


# ---- restoring ----------------------------------------------------------------------------------------------------


def test_a_stopped_folder_comes_back_whole_with_all_that_waited_held(shop: Path, saved: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    done = restore(saved, there)
    assert (done.jobs, done.held, done.manifest.documents) == (5, 2, 1)
    assert states(there) == {
        "ended": "delivered", "small": "held", "large": "held", "later": "created", "cut": "sending",
    }  # fmt: skip
    for name in ("config.toml", "secrets.json"):
        assert (there / name).read_bytes() == (shop / name).read_bytes()
    here = json.loads((shop / "credentials.json").read_text())
    assert json.loads((there / "credentials.json").read_text()) == here | {"url": ""}
    assert modes(there) == {("folder", "700"), ("file", "600")}
    assert sorted(path.name for path in there.iterdir()) == [
        "bridge.db", "config.toml", "credentials.json", "lock", "secrets.json", "spool",
    ]  # fmt: skip


def test_commands_for_a_restored_folder_do_not_reach_the_original(tmp_path: Path) -> None:
    with FakePrinter() as dock, Serve(tmp_path / "here", printer("dock", dock.uri)) as bridge:
        assert command("backup", tmp_path / "file", "--data", bridge.folder).returncode == 0
        assert command("restore", tmp_path / "file", "--data", tmp_path / "there").returncode == 0
        done = command("printers", "--data", tmp_path / "there")
        assert done.returncode == 4, done
        assert f"start it with `print-bridge serve --data {tmp_path / 'there'}`" in done.stderr


def test_a_held_job_says_so_in_its_history_and_in_the_events(saved: Path, tmp_path: Path) -> None:
    restore(saved, tmp_path / "there")
    with closing(sqlite3.connect(tmp_path / "there/bridge.db")) as db:
        held = db.execute("SELECT id, text, history FROM jobs WHERE state = 'held'").fetchall()
        events = db.execute("SELECT job_id, text FROM events WHERE state = 'held' ORDER BY seq").fetchall()
    assert sorted(events) == sorted((job_id, text) for job_id, text, _ in held) and len(held) == 2
    for _, text, history in held:
        assert json.loads(history.splitlines()[-1])[1:] == ["held", text]


def test_a_restored_folder_opens_as_any_other(saved: Path, tmp_path: Path) -> None:
    restore(saved, tmp_path / "there")
    store = Store(tmp_path / "there")
    store.close()
    assert states(tmp_path / "there")["small"] == "held"


def test_an_empty_folder_may_be_restored_into(saved: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    (there / "spool/documents").mkdir(parents=True)
    restore(saved, there)
    assert states(there)["small"] == "held"


def test_a_folder_that_holds_a_bridge_is_never_touched(shop: Path, saved: Path) -> None:
    before = content(shop)
    done = command("restore", saved, "--data", shop)
    assert done.returncode == 1 and f"mv {shop} {shop}.old" in done.stderr
    assert content(shop) == before


@pytest.mark.parametrize("name", ["credentials.json", "config.toml", "bridge.db", "spool/documents/x"])
def test_nothing_that_is_there_is_overwritten(saved: Path, tmp_path: Path, name: str) -> None:
    there = tmp_path / "there"
    (there / name).parent.mkdir(parents=True)
    (there / name).write_text("mine")
    with pytest.raises(BackupError, match=f"holds a bridge already .{name}"):
        restore(saved, there)
    assert content(there) == {name: b"mine"}


def test_a_folder_in_use_is_refused_with_the_pid_that_uses_it(saved: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    lock = FolderLock(there / "lock")
    with pytest.raises(BackupError, match=f"is in use by the print-bridge with pid {os.getpid()}"):
        restore(saved, there)
    lock.release()


@pytest.mark.parametrize("calls", [1, 2, 4, 5])
def test_a_killed_restore_leaves_no_half_bridge_and_can_be_done_again(saved: Path, tmp_path: Path, calls: int) -> None:
    there = tmp_path / "there"
    killed("restore", saved, there, calls)
    assert not (there / "bridge.db").exists()
    assert restore(saved, there).held == 2
    assert not list(there.glob(".*"))


def test_a_restore_killed_while_it_moves_things_into_place_can_be_done_again(saved: Path, tmp_path: Path) -> None:
    there, whole = tmp_path / "there", tmp_path / "whole"
    restore(saved, whole)
    (there / ".restoring").mkdir(parents=True)  # the state between two renames, the database not yet moved
    shutil.copytree(whole / "spool", there / "spool")
    shutil.copy(whole / "credentials.json", there)
    shutil.copy(whole / "bridge.db", there / ".restoring")
    assert restore(saved, there).held == 2
    assert content(there).keys() == content(whole).keys()


def test_a_backup_larger_than_the_disk_is_refused_before_anything_is_written(saved: Path, tmp_path: Path) -> None:
    size = 10**15

    def giant(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        manifest["members"][0]["size"] = size

    data = bytearray(forged(saved, giant).read_bytes())
    at = data.index(b"PK\1\2")  # the directory entry of bridge.db, with its size as a field of 64 bits instead
    data[at + 24 : at + 28] = b"\xff" * 4
    data[at + 30 : at + 32] = (12).to_bytes(2, "little")
    name_end = at + 46 + len("bridge.db")
    data[name_end:name_end] = b"\1\0\10\0" + size.to_bytes(8, "little")
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = (int.from_bytes(data[end + 12 : end + 16], "little") + 12).to_bytes(4, "little")
    (tmp_path / "giant").write_bytes(data)
    with pytest.raises(BackupError, match=r"the backup needs 1,000,000,\d+\.\d MB, and the disk of .* make room"):
        restore(tmp_path / "giant", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_terminal_sees_a_bar_and_a_pipe_a_few_lines(shop: Path, tmp_path: Path) -> None:
    done = command("backup", tmp_path / "file", "--data", shop)
    assert done.stderr.splitlines()[-1].startswith("saving: 100 % of ") and "\r" not in done.stderr
    master, slave = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "restore", str(tmp_path / "file"), "--data", str(tmp_path / "there")],
        stdout=slave, stderr=slave, cwd=ROOT,
    ) as process:  # fmt: skip
        os.close(slave)
        seen = b""
        try:
            while data := os.read(master, 4096):
                seen += data
        except OSError:
            pass  # how Linux says that the other side of a terminal has gone
        os.close(master)
    assert process.returncode == 0 and re.search(rb"\r.*restoring .*100%", seen), seen


# ---- not believed -------------------------------------------------------------------------------------------------


def forged(saved: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """The backup, changed by somebody who knows how one is made. change(manifest, members)."""
    with zipfile.ZipFile(saved) as source:
        members = {name: source.read(name) for name in source.namelist()}
    manifest = json.loads(members.pop(MANIFEST))
    change(manifest, members)
    file = saved.with_name("forged")
    with zipfile.ZipFile(file, "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
        target.writestr(MANIFEST, json.dumps(manifest))
    return file


def listed(manifest: dict[str, Any], members: dict[str, bytes], name: str, data: bytes) -> None:
    """Put a member in, with its right size and hash."""
    members[name] = data
    kept = [member for member in manifest["members"] if member["name"] != name]
    manifest["members"] = [*kept, {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}]


def sql(*statements: str) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    """Change the database in it."""

    def change(manifest: dict[str, Any], members: dict[str, bytes]) -> None:
        with closing(sqlite3.connect(":memory:")) as db:
            # A copy in memory cannot be in WAL mode; bytes 18 and 19 of the header say which mode it is.
            data = bytearray(members["bridge.db"])
            data[18:20] = b"\1\1"
            db.deserialize(bytes(data))
            for statement in statements:
                db.executescript(statement)
            listed(manifest, members, "bridge.db", db.serialize())

    return change


def member(name: str, data: bytes = b"x") -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    return lambda manifest, members: listed(manifest, members, name, data)


def said(**values: Any) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    return lambda manifest, members: manifest.update(values)


HOSTILE: dict[str, tuple[Callable[[dict[str, Any], dict[str, bytes]], None], str]] = {
    "up and out": (member("../outside"), "cannot be understood"),
    "up inside the spool": (member("spool/documents/../../../outside"), "cannot be understood"),
    "absolute": (member("/tmp/outside"), "cannot be understood"),
    "backslashes": (member("spool\\documents\\..\\x"), "cannot be understood"),
    "a file of no kind": (member("lock"), "cannot be understood"),
    "dots as an id": (member("spool/documents/.."), "cannot be understood"),
    "a newline after the name": (member("config.toml\n"), "cannot be understood"),
    "settings of 5 MB": (member("config.toml", b"x" * 5_000_000), "is not as large as it should be"),
    "another hash": (lambda m, f: f.update({"config.toml": b"[SERVER]\n"}), "is damaged (its SHA-256 is another)"),
    "another size": (lambda m, f: f.update({"config.toml": b"x"}), "is not as large as it should be"),
    "one more than listed": (lambda m, f: f.update({"more": b"x"}), "does not hold what its manifest.json lists"),
    "one less than listed": (lambda m, f: f.pop("config.toml") and None, "does not hold what its manifest.json lists"),
    "listed twice": (lambda m, f: m["members"].append(m["members"][1]), "does not hold what its manifest.json lists"),
    "no database": (
        lambda m, f: (f.pop("bridge.db"), m["members"].pop(0)) and None, "does not hold what its manifest.json lists",
    ),
    "a newer schema": (said(database_schema=len(MIGRATIONS) + 1), "was made by a newer version"),
    "a newer schema than it says": (sql("PRAGMA user_version=99"), "has another schema than its manifest.json says"),
    "a newer format": (said(format="print-bridge backup 2"), "was made by a newer version"),
    "a negative size": (lambda m, f: m["members"][0].update(size=-1), "cannot be understood"),
    "members of another kind": (said(members="all"), "cannot be understood"),
    "no database at all": (member("bridge.db", b"not a database" * 1000), "cannot be used"),
    "an empty database": (member("bridge.db", b""), "has another schema"),
    "a trigger": (
        sql("CREATE TRIGGER t AFTER UPDATE ON jobs BEGIN DELETE FROM keys; END"), "has triggers or views",
    ),
    "a job named like a path": (sql("UPDATE jobs SET id = '../../x' WHERE serial = 1"), "a job with an impossible id"),
    "no jobs": (sql("DROP TABLE jobs"), "cannot be used"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_forged_backup_is_refused_with_its_fault_and_leaves_nothing(saved: Path, tmp_path: Path, name: str) -> None:
    change, text = HOSTILE[name]
    file = forged(saved, change)
    before = content(tmp_path)
    with pytest.raises(BackupError, match=re.escape(text)) as caught:
        restore(file, tmp_path / "there")
    print(caught.value)
    assert content(tmp_path) == before and not (tmp_path / "there").exists()


def test_a_link_in_a_backup_is_refused(saved: Path, tmp_path: Path) -> None:
    file = forged(saved, lambda manifest, members: None)
    with zipfile.ZipFile(saved) as source:
        manifest = json.loads(source.read(MANIFEST))
        members = {name: source.read(name) for name in source.namelist() if name != MANIFEST}
    listed(manifest, members, "config.toml", b"/etc/passwd")
    with zipfile.ZipFile(file, "w") as target:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK if name == "config.toml" else stat.S_IFREG) << 16
            target.writestr(entry, data)
        target.writestr(MANIFEST, json.dumps(manifest))
    with pytest.raises(BackupError, match="is a link, a folder or encrypted"):
        restore(file, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_cut_or_scratched_backup_is_refused_or_whole_and_never_a_traceback(saved: Path, tmp_path: Path) -> None:
    dice, data, scratched = random.Random(3), saved.read_bytes(), tmp_path / "scratched"
    refused = 0
    for n in range(300):
        damaged = bytearray(data)
        if n % 3 == 0:
            del damaged[dice.randrange(len(data)) :]
        else:
            tail = n % 3 == 2  # where a zip keeps what it holds
            for _ in range(dice.choice([1, 4])):
                damaged[dice.randrange(len(data) - 800 if tail else 0, len(data))] = dice.randrange(256)
        scratched.write_bytes(damaged)
        try:
            restore(scratched, tmp_path / "there")
        except BackupError as error:
            assert str(error)
            refused += 1
            assert not (tmp_path / "there").exists()
        else:
            assert states(tmp_path / "there")["small"] == "held"
            shutil.rmtree(tmp_path / "there")
    assert refused > 150


@pytest.mark.parametrize("data", [b"", b"PK", b"hello" * 1000, b"PK\5\6" + bytes(18)])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    done = command("restore", tmp_path / "file", "--data", tmp_path / "there")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done
    assert "damaged or cut short" in done.stderr or "has no manifest.json" in done.stderr


def test_a_missing_file_and_a_folder_are_wrong_use(tmp_path: Path) -> None:
    for file in ("nowhere", "."):
        assert command("restore", tmp_path / file, "--data", tmp_path / "there").returncode == 2


def test_an_old_backup_is_restored_by_this_version(tmp_path: Path) -> None:
    """The first schema, as version 0.1 wrote it."""
    folder = tmp_path / "old"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "bridge.db")) as db:
        db.executescript(f"{MIGRATIONS[0]};PRAGMA user_version=1;PRAGMA journal_mode=WAL")
        db.execute(
            "INSERT INTO jobs (id, organization_id, client_id, device_id, device_name, dialect, title, state,"
            " created_at, updated_at) VALUES ('one', 'o', 'c', 'd', 'dock', 'v1', 'a label', 'queued', 1, 1)"
        )
        db.commit()
    assert save(folder, tmp_path / "file").database_schema == 1
    assert restore(tmp_path / "file", tmp_path / "there").held == 1
    Store(tmp_path / "there").close()
    with closing(sqlite3.connect(tmp_path / "there/bridge.db")) as db:
        assert db.execute("SELECT state, reason FROM jobs").fetchall() == [("held", "restored")]
        assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_the_manifest_says_what_it_is(saved: Path) -> None:
    with zipfile.ZipFile(saved) as source:
        manifest = Manifest.model_validate_json(source.read(MANIFEST))
    assert manifest.database_schema == len(MIGRATIONS) and time.time() - manifest.created < 60
    assert [member.name for member in manifest.members][0] == "bridge.db"
