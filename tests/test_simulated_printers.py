"""Printers that answer, end to end: a real serve, real `simulate` processes, and an operator who pulls plugs.

What came out is what the simulators' paper logs say; what the bridge says is held against it. pytest -s tells the
states and texts.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from devices.contracts import Bitmap
from devices.png import png
from tests.bridge.papers import batch, shipping_label
from tests.fake.printer import FakePrinter
from tests.serving import Serve, b64, printer
from tests.simulating import Simulated, until

QUICK = ("--label-s", "0.03")
SMALL = {"width_mm": 50, "height_mm": 25}
_NUMBERS = itertools.count(1)


def numbered(number: int) -> bytes:
    """A PNG that differs from every other in its dots."""
    return png(Bitmap(320, 160, number.to_bytes(4, "big") * 10 * 160))


@dataclass
class Place:
    """A simulated printer, and a bridge that prints on it."""

    bridge: Serve
    name: str
    paper: Simulated
    jobs: list[str] = field(default_factory=list)

    def send(self, document: bytes, **words: Any) -> str:
        return self.post(document_base64=b64(document), **words)

    def post(self, **words: Any) -> str:
        answer = self.bridge.call("POST", "/v1/jobs", {"printer": self.name, **words})
        assert answer.status == 201, answer
        self.jobs.append(answer.json["id"])
        return self.jobs[-1]

    def label(self) -> str:
        """A label, or a receipt, unlike all others."""
        number = next(_NUMBERS)
        if self.paper.language == "escpos":
            return self.post(receipt=[{"text": f"receipt {number}"}, {"qr": f"{number}"}])
        return self.send(numbered(number))

    def first(self) -> Any:
        """A first label, by which the bridge learns how this printer answers."""
        return self.over(self.label())

    def over(self, job_id: str, timeout: float = 90) -> Any:
        """The job, once nothing more happens by itself."""
        return self.bridge.wait(job_id, timeout=timeout)

    def all_over(self) -> list[Any]:
        return [self.over(job_id) for job_id in self.jobs]

    @property
    def shown(self) -> Any:
        """The printer as the bridge shows it."""
        return self.bridge.call("GET", f"/v1/printers/{self.name}").json

    def says(self, *reasons: str, within: float = 60) -> Any:
        """The printer once it shows exactly these reasons; the test fails when that takes longer than `within` s."""
        until(lambda: self.shown["reasons"] == list(reasons), within, lambda: self.shown)
        return self.shown

    def check(self, labels: int) -> None:
        """So many labels have come out, no two alike, and of each job there was one sending."""
        assert Counter(line["sha256"] for line in self.paper.wait_for(labels)).most_common(1)[0][1] == 1
        assert len(self.paper.labels) == labels
        assert [len(self.bridge.job(job_id)["attempts"]) for job_id in self.jobs] == [1] * len(self.jobs)


@dataclass
class Floor:
    """Where printers are set up while the bridge runs."""

    bridge: Serve
    folder: Path
    stack: ExitStack

    def place(self, language: str, *options: str, **settings: Any) -> Place:
        name = f"{language}-{next(_NUMBERS)}"
        paper = self.stack.enter_context(Simulated(language, self.folder / name, *(options or QUICK)))
        wish = {"name": name, "uri": paper.uri, "language": language, **SMALL, **settings}
        answer = self.bridge.call("POST", "/v1/printers", wish)
        assert answer.status == 201, answer
        self.stack.callback(self.bridge.call, "DELETE", f"/v1/printers/{name}?jobs=cancel")
        return Place(self.bridge, name, paper)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with Serve(tmp_path_factory.mktemp("floor") / "data") as bridge:
        yield bridge


@pytest.fixture
def floor(bridge: Serve, tmp_path: Path) -> Iterator[Floor]:
    with ExitStack() as stack:
        yield Floor(bridge, tmp_path, stack)


def at_once(story: Callable[..., None], *cases: tuple[Any, ...]) -> None:
    """The same story at several printers at the same time: most of it is waiting."""
    with ThreadPoolExecutor(len(cases)) as pool:
        told = [pool.submit(story, *case) for case in cases]
    for case, future in zip(cases, told, strict=True):
        if (error := future.exception()) is not None:
            raise AssertionError(f"{str(case)[:80]}: {error}") from error


def directly(place: Place, labels: int) -> None:
    """Another computer prints on it."""
    with socket.create_connection(("127.0.0.1", place.paper.port)) as sock:
        sock.sendall(b"^XA^FO1,1^GB50,50,50^FS^XZ" * labels)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(4096):
            pass


# ---- the paper runs out ---------------------------------------------------------------------------------------------


# language, settings, what a job becomes, by which evidence
ENDS = (
    ("zpl", {}, "printed", "counter"),
    ("tspl", {}, "printed", "idle"),
    ("epl2", {}, "delivered", "closed"),
    ("escpos", {"profile": "tm-t88", "width_mm": 72}, "printed", "processed"),
    ("escpos", {"width_mm": 72}, "delivered", "closed"),
)


def test_twenty_labels_with_a_new_roll_half_way(floor: Floor) -> None:
    def story(language: str, settings: dict[str, Any], state: str, evidence: str) -> None:
        place = floor.place(language, "--paper-out-after", "10", *QUICK, **settings)
        for _ in range(20):
            place.label()
        place.paper.wait_for(10)
        shown = place.says("media-empty")
        assert shown["state"] == "stopped" and "paper" in shown["text"]
        assert shown["waiting"] in (10, 11)  # the tenth is out, and some cannot say so without paper
        place.paper.do("refill")
        ended = Counter((job["state"], job["evidence"]) for job in place.all_over())
        print(f"\n{language} {settings}: {ended}")
        assert ended[state, evidence] >= 19, ended  # the first is sent before it is known what this printer can say
        assert {name for name, _ in ended} == {state}
        place.check(20)
        place.says()
        assert place.shown["state"] == "idle" and place.shown["text"] == ""

    at_once(story, *ENDS)


def test_one_job_of_twenty_labels_waits_for_the_paper_and_goes_on_by_itself(floor: Floor) -> None:
    def story(copies: int, document: bytes) -> None:
        place = floor.place("zpl", "--label-s", "0.15", width_mm=101.6, height_mm=152.4)
        place.first()
        place.paper.do("refill 8")
        job_id = place.send(document, copies=copies)
        place.says("media-empty")
        assert "paper" in place.shown["text"]
        job = place.bridge.job(job_id)
        early = job["progress"]["labels_printed"]
        assert job["state"] == "sending" and 1 <= early <= 8
        place.paper.do("refill")
        grown = []
        while (job := place.bridge.job(job_id))["state"] == "sending":
            grown += [n for n in [job["progress"]["labels_printed"]] if n is not None]
        assert len(set(grown)) > 3 and grown == sorted(grown) and early <= grown[0] <= grown[-1] <= 20
        assert (job["state"], job["evidence"], len(job["attempts"])) == ("printed", "counter", 1)
        assert job["progress"]["labels_printed"] == 20 and "went up by 20" in job["text"]
        assert len(place.paper.labels) == 21

    at_once(story, (20, shipping_label(1)), (1, batch(20)))


# ---- head, pause, power ---------------------------------------------------------------------------------------------

# what a person does, how it is mended, and what the printer is then said to be
BLOCKS = (("open", "close", "cover-open"), ("pause", "resume", "paused"), ("paper out", "refill", "media-empty"))


def test_jobs_wait_for_a_person_before_and_in_the_middle(floor: Floor) -> None:
    def story(language: str, block: str, over: str, reason: str) -> None:
        place = floor.place(language, "--label-s", "0.4")
        place.first()
        place.paper.do(block)
        waiting = [place.label(), place.label()]
        shown = place.says(reason)
        assert shown["state"] == "stopped" and shown["text"] and shown["waiting"] == 2
        assert {place.bridge.job(job_id)["state"] for job_id in waiting} <= {"queued", "preparing"}
        assert len(place.paper.labels) == 1
        place.paper.do(over)
        place.paper.wait_for(2)
        until(lambda: place.paper.do("status")["printing"], 60)  # the second of them is under the head
        place.paper.do(block)
        place.says(reason)
        later = place.label()
        time.sleep(0.3)
        assert place.bridge.job(later)["state"] in ("queued", "preparing")
        place.paper.do(over)
        assert {job["state"] for job in place.all_over()} == {"printed"}, [job["text"] for job in place.all_over()]
        place.check(4)
        place.says()

    at_once(story, *[(language, *block) for language in ("zpl", "tspl") for block in BLOCKS])


def test_an_idle_printer_is_seen_to_open_within_seconds(floor: Floor) -> None:
    place = floor.place("zpl")
    place.first()
    for command, reasons in (("open", ["cover-open"]), ("close", [])):
        place.paper.do(command)
        assert place.says(*reasons, within=20)["state"] == ("stopped" if command == "open" else "idle")


def lost_with_the_power(floor: Floor) -> None:
    place = floor.place("zpl", "--label-s", "0.4")
    place.first()
    lost = place.send(numbered(7), copies=4)
    place.paper.wait_for(3)
    place.paper.do("power off")
    job = place.over(lost)
    print(f"\n{job['text']}")
    assert (job["state"], job["evidence"]) == ("unconfirmed", "cut")
    assert "labels 1-4 of 4 may have printed" in job["text"]
    assert re.search("it took everything .* its label counter had gone up by [12] of 4", job["text"])
    assert place.says("offline")["state"] == "stopped"
    place.paper.do("power on")
    place.says()
    time.sleep(1)  # it has been asked meanwhile, and its counter says two of four
    assert place.bridge.job(lost)["state"] == "unconfirmed"
    assert place.over(place.label())["state"] == "printed"
    assert place.bridge.job(lost)["state"] == "unconfirmed"
    assert len(place.paper.labels) == 4 and len(place.paper.lines("torn")) == 1


def cut_off_after_its_last_label(floor: Floor) -> None:
    place = floor.place("zpl", "--label-s", "0.4")
    place.first()
    job_id = place.send(numbered(8), copies=2)
    place.paper.wait_for(2)
    place.paper.do("set late_s 60")  # its last word is on the way when the plug is pulled
    place.paper.wait_for(3)
    place.paper.do("power off")
    assert place.over(job_id)["state"] == "unconfirmed"
    place.paper.do("set late_s 0")
    place.paper.do("power on")
    job = place.bridge.wait(job_id, "printed")
    print(f"\n{job['text']}")
    assert job["evidence"] == "counter" and "confirmed later" in job["text"] and len(job["attempts"]) == 1
    assert len(place.paper.labels) == 3


def lost_and_others_printed(floor: Floor) -> None:
    place = floor.place("zpl", "--label-s", "0.4")
    place.first()
    lost = place.send(numbered(9), copies=3)
    place.paper.wait_for(2)
    place.paper.do("power off")
    place.over(lost)
    place.paper.do("power on")
    directly(place, 3)
    place.says()
    place.paper.wait_for(5)
    time.sleep(3.5)  # it has been asked again
    assert place.bridge.job(lost)["state"] == "unconfirmed"


def test_a_pulled_plug_leaves_a_doubt_that_only_the_whole_count_ends(floor: Floor) -> None:
    stories = (lost_with_the_power, cut_off_after_its_last_label, lost_and_others_printed)
    at_once(lambda story: story(floor), *[(story,) for story in stories])


def test_a_ribbon_that_ends_at_any_moment_costs_no_label(floor: Floor) -> None:
    place = floor.place("zpl", "--ribbon-out-after", "3", *QUICK)
    for _ in range(8):
        place.label()
    for labels in (3, 6):
        place.paper.wait_for(labels)
        assert place.says("marker-supply-empty")["state"] == "stopped"
        place.paper.do("ribbon 3")
    assert {job["state"] for job in place.all_over()} == {"printed"}
    place.check(8)


# ---- printers that do not answer well -------------------------------------------------------------------------------


LANGUAGES = [("zpl", {}), ("tspl", {}), ("epl2", {}), ("escpos", {"profile": "tm-t88", "width_mm": 72})]


def test_a_silent_printer_is_asked_once_and_left_alone(floor: Floor) -> None:
    def story(language: str, settings: dict[str, Any]) -> None:
        place = floor.place(language, "--silent-status", *QUICK, **settings)
        for _ in range(6):
            place.label()
        assert {job["state"] for job in place.all_over()} == {"delivered"}
        assert place.shown["reasons"] == [] and place.shown["evidence"] == "closed"
        place.check(6)
        time.sleep(0.5)
        assert len(place.paper.lines("asked in vain")) == (2 if language == "zpl" else 1)  # ~HS, then ~HQES

    at_once(story, *LANGUAGES)


def test_bad_answers_bring_no_wrong_verdict(floor: Floor) -> None:
    def story(language: str, settings: dict[str, Any], *habit: str) -> None:
        place = floor.place(language, *habit, *QUICK, **settings)
        for _ in range(3):
            place.label()
        ended = place.all_over()
        assert {job["state"] for job in ended} == {"delivered"}, [job["text"] for job in ended]
        place.check(3)

    at_once(story, *[(*each, "--garbage-status") for each in LANGUAGES])
    at_once(story, *[(*each, "--late-status", "1.4") for each in LANGUAGES])


def test_a_printer_that_stops_answering_is_still_printed_on(floor: Floor) -> None:
    def story(habit: str) -> None:
        place = floor.place("zpl")
        place.first()
        place.paper.do(habit)
        for _ in range(2):
            place.label()
        _, *later = place.all_over()
        assert {job["state"] for job in later} == {"delivered"}, [job["text"] for job in later]
        place.check(3)

    at_once(story, ("set silent on",), ("set garbage on",), ("set late_s 1.4",))


def test_status_off_sends_not_one_byte_beyond_the_jobs(floor: Floor) -> None:
    zpl = [b"^XA^FO%d,20^A0N,30,30^FDa^FS^XZ" % n for n in range(5)]
    with FakePrinter() as sink:
        wish = {"name": "sink", "uri": sink.uri, "language": "zpl", "status": "off"}
        assert floor.bridge.call("POST", "/v1/printers", wish).status == 201
        place = Place(floor.bridge, "sink", Simulated("zpl", floor.folder / "none"))
        for document in zpl:
            place.send(document)
        drawn = place.send(numbered(1))
        assert {job["state"] for job in place.all_over()} == {"delivered"}
        time.sleep(3.5)  # an idle printer that may be asked would be asked by now
        label = sink.wait_for(6)[5]
        assert sink.jobs == [*zpl, label] and sink.connections == 6 and sink.questions == []
        assert len(label) == place.bridge.job(drawn)["progress"]["bytes_sent"] and label.count(b"^XZ") == 1
        assert floor.bridge.call("DELETE", "/v1/printers/sink").status == 204


# ---- others print too -----------------------------------------------------------------------------------------------


def test_labels_of_another_computer_do_not_confirm_ours(floor: Floor) -> None:
    place = floor.place("zpl", "--label-s", "0.2")
    place.first()
    directly(place, 5)  # taken, and still to be printed when ours is sent
    ours = place.over(place.label())
    print(f"\n{ours['state']}: {ours['text']}")
    assert len(place.paper.labels) == 7
    assert (ours["state"], ours["evidence"]) == ("delivered", "closed")
    assert "went up by 6 instead of 1" in ours["text"]
    directly(place, 2)
    place.paper.wait_for(9)
    assert place.over(place.label())["state"] == "printed"  # theirs were out before


# ---- the bridge dies ------------------------------------------------------------------------------------------------


def test_a_bridge_killed_while_a_label_waits_for_paper_never_prints_it_again(tmp_path: Path) -> None:
    with Simulated("zpl", tmp_path / "paper", *QUICK) as paper:
        bridge = Serve(tmp_path / "data", printer("dock", paper.uri, **SMALL))
        with bridge:
            place = Place(bridge, "dock", paper)
            place.first()
            paper.do("refill 2")
            place.first()
            cut, behind = place.send(numbered(1001), copies=3), None
            place.says("media-empty")
            assert bridge.job(cut)["state"] == "sending"
            bridge.kill()
            bridge.start()
            job = bridge.job(cut)
            print(f"\n{job['state']}: {job['text']}")
            assert job["state"] == "unconfirmed" and "may have printed" in job["text"]
            assert place.says("media-empty")["state"] == "stopped"
            paper.do("refill")
            late = bridge.wait(cut, "printed")
            print(f"{late['state']}: {late['text']}")
            assert late["evidence"] == "counter" and "confirmed later" in late["text"]
            behind = place.label()
            assert bridge.wait(behind)["state"] == "printed"
            assert len(paper.labels) == 2 + 3 + 1
            assert len(bridge.job(cut)["attempts"]) == 1


def test_a_bridge_killed_with_jobs_behind_sends_only_those(tmp_path: Path) -> None:
    with Simulated("tspl", tmp_path / "paper", *QUICK) as paper:
        bridge = Serve(tmp_path / "data", printer("dock", paper.uri, language="tspl", **SMALL))
        with bridge:
            place = Place(bridge, "dock", paper)
            place.first()
            paper.do("pause")
            for _ in range(3):
                place.label()
            place.says("paused")
            paper.do("resume")
            paper.do("pause")
            time.sleep(0.2)
            bridge.kill()
            bridge.start()
            paper.do("resume")
            ended = place.all_over()
            assert {job["state"] for job in ended} <= {"printed", "unconfirmed"}
            time.sleep(0.5)
            out = Counter(line["sha256"] for line in paper.labels)
            assert max(out.values()) == 1 and len(out) == 4
            assert [len(bridge.job(job_id)["attempts"]) for job_id in place.jobs] <= [1, 2, 2, 2]


def test_the_paper_log_is_json_that_anybody_can_read(floor: Floor) -> None:
    place = floor.place("zpl")
    place.first()
    [line] = [json.loads(text) for text in (place.paper.folder / "paper.jsonl").read_text().splitlines()]
    assert line["event"] == "label" and (place.paper.folder / line["png"]).read_bytes().startswith(b"\x89PNG")
