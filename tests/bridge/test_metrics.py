"""What monitors and helpers get: metrics that Prometheus reads, and a zip that holds nothing secret."""

from __future__ import annotations

import io
import json
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.dialects import load
from bridge.model import EVERYTHING, Inline, JobRequest, State, Template, Url
from bridge.report.diagnostics import diagnostics
from bridge.report.metrics import metrics
from bridge.report.tally import Tally
from tests.bridge.rig import ORGANIZATION, Rig

HEALTH: dict[str, Any] = {
    "status": "ok", "version": "1.2", "loops": {"store": True, 'printer "x"': False}, "restarts": {"feed": 2},
    "disk": {"free_bytes": 10, "total_bytes": 20, "reserve_bytes": 5, "low": False},
    "database": {"status": "ok", "text": "", "size_bytes": 4096}, "config": {"status": "last-good", "text": "x"},
    "clock": {"status": "ok", "text": ""}, "jobs": {"queued": 3}, "listeners": 7,
}  # fmt: skip
ZPL = b"^XA^FDhello^FS^XZ"
LINE = re.compile(r'[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? -?[0-9.e+-]+')


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path, load("v1"))
    yield rig
    rig.close()


def add(rig: Rig, **words: Any) -> str:
    document = words.pop("document", Inline(ZPL))
    request = JobRequest(ORGANIZATION, rig.printer.id, "v1", document, grants=EVERYTHING, **words)
    return rig.intake.accept(request)[0].id


def read(text: str) -> dict[str, float]:
    """Each sample; every line must be one, or a comment."""
    lines = [line for line in text.split("\n")[:-1] if not line.startswith("# ")]
    assert all(LINE.fullmatch(line) for line in lines), [line for line in lines if not LINE.fullmatch(line)]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def scrape(rig: Rig) -> dict[str, float]:
    return read(metrics(HEALTH, rig.store, ORGANIZATION, rig.store.lanes))


# ---- metrics ----------------------------------------------------------------------------------------------------


def test_what_health_says_is_in_the_metrics(rig: Rig) -> None:
    seen = scrape(rig)
    assert seen['print_bridge_info{version="1.2"}'] == 1
    assert seen['print_bridge_up_loops{loop="store"}'] == 1
    assert seen['print_bridge_up_loops{loop="printer \\"x\\""}'] == 0
    assert seen['print_bridge_restarts_total{loop="feed"}'] == 2
    assert seen["print_bridge_disk_free_bytes"] == 10 and seen["print_bridge_database_size_bytes"] == 4096
    assert seen["print_bridge_config_ok"] == 0 and seen["print_bridge_clock_ok"] == 1
    assert seen['print_bridge_jobs_by_state{state="queued"}'] == 3
    assert seen['print_bridge_jobs_by_state{state="held"}'] == 0
    assert seen["print_bridge_event_listeners"] == 7


def test_a_bridge_that_says_little_of_itself_still_has_metrics(rig: Rig) -> None:
    assert read(metrics({}, rig.store, ORGANIZATION, rig.store.lanes))['print_bridge_info{version=""}'] == 1


def test_every_queue_says_how_long_it_is_and_how_old(rig: Rig) -> None:
    add(rig)
    job = add(rig)
    ticket = rig.store.lanes.ticket(job)
    assert ticket is not None
    ticket.born -= 100
    seen = scrape(rig)
    assert seen['print_bridge_queue_jobs{printer="dock"}'] == 2
    assert 100 <= seen['print_bridge_queue_oldest_seconds{printer="dock"}'] < 130


def test_a_paused_printer_is_stopped_and_says_why(rig: Rig) -> None:
    rig.control.pause(ORGANIZATION, rig.printer.id, "new roll")
    seen = scrape(rig)
    assert seen['print_bridge_printer_state{printer="dock",state="stopped"}'] == 1
    assert seen['print_bridge_printer_state{printer="dock",state="idle"}'] == 0
    assert seen['print_bridge_printer_reason{printer="dock",reason="paused"}'] == 1


def test_jobs_are_counted_from_the_first_scrape_on_and_each_once(rig: Rig) -> None:
    before = add(rig)
    rig.control.cancel(ORGANIZATION, before)
    assert scrape(rig)['print_bridge_jobs_total{state="cancelled"}'] == 0
    for _ in range(3):
        rig.control.cancel(ORGANIZATION, add(rig))
    assert scrape(rig)['print_bridge_jobs_total{state="cancelled"}'] == 3
    assert scrape(rig)['print_bridge_jobs_total{state="cancelled"}'] == 3
    assert set(Tally(rig.store, ORGANIZATION).counts().values()) == {0}


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\r\nb", 'a"} 1\nevil 1', "größe", "\u202e"], ids=repr)
def test_a_printer_of_any_name_breaks_no_line(rig: Rig, name: str) -> None:
    rig.add_printer(name)
    seen = scrape(rig)
    assert "evil" not in seen
    assert len([sample for sample in seen if sample.startswith("print_bridge_queue_jobs")]) == 2


def test_every_family_is_explained_once_and_before_its_samples(rig: Rig) -> None:
    text = metrics(HEALTH, rig.store, ORGANIZATION, rig.store.lanes)
    told: list[str] = []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            told.append(line.split()[2])
        elif not line.startswith("#"):
            assert re.split(r"[{ ]", line)[0] == told[-1]
    assert len(told) == len(set(told)) == text.count("# HELP ")


# ---- diagnostics ------------------------------------------------------------------------------------------------

SECRETS = {
    "api": "CANARY-api-key", "password": "CANARY-password", "client": "CANARY-client-secret", "uri": "CANARY-uri",
    "url": "CANARY-url-token", "comment": "CANARY-comment", "typo": "CANARY-typo", "log": "pb_" + "c" * 64,
    "title": "CANARY-title", "document": "CANARY-document", "field": "CANARY-field", "hash": "d" * 64,
}  # fmt: skip
CONFIG = f"""
# {SECRETS["comment"]}
[server]
port = 8910
hosts = ["print.shop.example"]
pasword = "{SECRETS["typo"]}"
[[printers]]
name = "dock"
uri = "tcp://user:{SECRETS["uri"]}@192.168.1.40"
[[keys]]
name = "shop"
key_sha256 = "{SECRETS["hash"]}"
origins = ["https://shop.example"]
[[clouds]]
kind = "olin"
api_key = "{SECRETS["api"]}"
password = \"\"\"
{SECRETS["password"]}\"\"\"
client_secret = "{SECRETS["client"]}"
"""


def unpacked(rig: Rig, config: Path | None) -> dict[str, str]:
    data = diagnostics(HEALTH, rig.store, ORGANIZATION, rig.folder, config)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_the_zip_holds_what_helps_and_nothing_secret(rig: Rig) -> None:
    config = rig.folder / "config.toml"
    config.write_text(CONFIG)
    (rig.folder / "log").mkdir(exist_ok=True)
    log = f"GET http://x/?sig={SECRETS['url']}\nAuthorization: Bearer {SECRETS['log']}\nlast line\n"
    (rig.folder / "log" / "print-bridge.log").write_text(log)
    document = Inline(f"^XA^FD{SECRETS['document']}^XZ".encode())
    add(rig, title=SECRETS["title"], document=document, payload=SECRETS["api"])
    add(rig, document=Url(f"http://u:{SECRETS['uri']}@files.example/a.pdf?token={SECRETS['url']}"))
    add(rig, document=Template("test-4x6", {"printer": SECRETS["field"]}))
    files = unpacked(rig, config)
    assert set(files) == {
        "health.json", "printers.json", "config.toml", "events.json", "jobs.json", "versions.txt", "print-bridge.log"
    }  # fmt: skip
    for name, text in files.items():
        assert [secret for secret in SECRETS.values() if secret in text] == [], name
    told = tomllib.loads(files["config.toml"])
    assert told["server"] == {"port": 8910, "hosts": ["print.shop.example"], "pasword": "***"}
    assert told["printers"][0]["uri"] == "tcp://***@192.168.1.40"
    assert told["clouds"][0] == {"kind": "olin", "api_key": "***", "password": "***", "client_secret": "***"}
    assert json.loads(files["health.json"]) == HEALTH
    assert [job["kind"] for job in json.loads(files["jobs.json"])] == ["template", None, "zpl"]
    assert [event["state"] for event in json.loads(files["events.json"])] == ["queued"] * 3
    assert json.loads(files["printers.json"])[0]["name"] == "dock"
    assert "python 3." in files["versions.txt"] and "package Flask" in files["versions.txt"]
    assert files["print-bridge.log"].endswith("last line\n")


def test_a_configuration_that_is_no_toml_is_not_shown_at_all(rig: Rig) -> None:
    config = rig.folder / "config.toml"
    config.write_text(f'[[clouds]\napi_key = "{SECRETS["api"]}"')
    assert SECRETS["api"] not in unpacked(rig, config)["config.toml"]
    assert "no configuration file" in unpacked(rig, None)["config.toml"]


def test_only_the_last_events_and_jobs_are_in_the_zip(rig: Rig) -> None:
    job = add(rig)
    for _ in range(260):
        rig.control.cancel(ORGANIZATION, job)
        rig.control.launch(ORGANIZATION, job)
    files = unpacked(rig, None)
    events = json.loads(files["events.json"])
    assert len(events) == 500
    assert (events[-1]["state"], events[0]["seq"]) == (State.QUEUED, events[-1]["seq"] - 499)
    assert len(json.loads(files["jobs.json"])) == 1


def test_only_the_end_of_a_long_log_is_in_the_zip(rig: Rig) -> None:
    (rig.folder / "log").mkdir(exist_ok=True)
    lines = [f"line {number:06d} of the log" for number in range(60_000)]
    (rig.folder / "log" / "print-bridge.log").write_text("\n".join(lines) + "\n")
    log = unpacked(rig, None)["print-bridge.log"].splitlines()
    assert log[-1] == lines[-1] and log[0] in lines and 15_000 < len(log) < 30_000
