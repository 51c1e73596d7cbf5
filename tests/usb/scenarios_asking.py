"""Asking printers over real USB: answers by both ways, old ones, none at all, and what the wire says in mid-job."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

from devices import transports
from devices.contracts import Reason, Settings, Status
from devices.errors import PrinterUnreachable, SendInterrupted
from devices.interview import Interview
from tests.usb.gadget import PAPER_OUT, READY, Printer, until
from tests.usb.scenarios_printing import JOB, SETTINGS, WAYS, uri


class Counting:
    """Printers that answer "?A" with STX A and how often they were asked, ETX, behind much else."""

    questions: tuple[str, ...] = ("A",)
    asleep: tuple[str, ...] = ()

    def ask(self, question: str) -> bytes:
        return b"?" + question.encode()

    def read(self, question: str, heard: bytes) -> Status | None:
        found = re.search(rb"\x02A *(\d+)\x03", heard)
        return Status(labels=int(found[1])) if found else None

    def merge(self, told: Mapping[str, Status]) -> Status:
        return told["A"]


@contextmanager
def answering(printer: Printer, padding: int = 1500) -> Iterator[None]:
    """While it prints, it answers; an answer is several packets long."""
    over = threading.Event()

    def speak() -> None:
        asked = 0
        while not over.wait(0.002):
            if printer.data.count(b"?A") > asked and printer._node is not None:
                asked += 1
                os.write(printer._node, b"\x02A%b%d\x03" % (b" " * padding, asked))

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def scenario_a_question_brings_its_answer_by_both_ways_beside_a_job() -> str:
    took = []
    for way in WAYS:
        with Printer("A1") as printer, answering(printer):
            with closing(transports.open(uri("A1", way), SETTINGS)) as line:
                assert line.talks
                interview = Interview(Counting(), line)
                began = time.monotonic()
                assert interview.probe() == Status(labels=1), way
                took.append(f"{(time.monotonic() - began) * 1000:.0f} ms")
                assert line.sent == 0
                line.write(JOB)
                assert interview.probe() == Status(labels=2), way
                assert line.sent == len(JOB)
                line.finish()
            assert printer.wait_for(len(JOB) + 4) == b"?A" + JOB + b"?A"
    return "usblp and libusb: " + ", ".join(took)


def scenario_an_old_answer_is_not_taken_for_a_new_one() -> None:
    for way in WAYS:
        with Printer("A1") as printer, answering(printer):
            with closing(transports.open(uri("A1", way), SETTINGS)) as line:
                line.ask(b"?A")
                assert until(lambda printer=printer: b"?A" in printer.data)
                time.sleep(0.1)
            with closing(transports.open(uri("A1", way), SETTINGS)) as line:
                assert Interview(Counting(), line).probe() == Status(labels=2), way


def scenario_a_printer_that_says_nothing_prints_all_the_same() -> str:
    waited = []
    for way in WAYS:
        with Printer("A1") as printer:
            with closing(transports.open(uri("A1", way), SETTINGS)) as line:
                began = time.monotonic()
                assert Interview(Counting(), line, 0.5).probe() is None
                waited.append(time.monotonic() - began)
                line.write(JOB)
                line.finish()
            assert printer.wait_for(len(JOB) + 2) == b"?A" + JOB
    assert max(waited) < 1.0, waited
    return f"waited {max(waited):.2f} s at most"


def scenario_a_printer_out_of_paper_is_waited_for_and_nothing_is_sent_twice() -> str:
    asked: list[Status | None] = []
    for way in WAYS:
        with Printer("A1", queue=2, reads=False) as printer:
            printer.says(PAPER_OUT)
            with closing(transports.open(uri("A1", way), Settings(stall_s=0.5))) as line:

                def known(seconds: float, line: transports.Connection = line) -> bool:
                    asked.append(line.wire_status())
                    status = asked[-1]
                    return status is not None and Reason.MEDIA_EMPTY in status.reasons

                def refill(printer: Printer = printer) -> None:
                    printer.says(READY)
                    printer.read()

                line.on_stall = known
                timer = threading.Timer(1.6, refill)
                timer.start()
                line.write(JOB)
                line.finish()
                timer.join()
            assert printer.wait_for(len(JOB)) == JOB, way
    return f"asked {len(asked)} times"


def scenario_an_unplugged_printer_is_unreachable_and_behind_a_job_a_doubt() -> None:
    for way in WAYS:
        for job in (b"", JOB):
            with Printer("A1") as printer, closing(transports.open(uri("A1", way), SETTINGS)) as line:
                line.write(job)
                printer.wait_for(len(job))
                printer.pull()
                try:
                    Interview(Counting(), line).probe()
                except (PrinterUnreachable, SendInterrupted) as error:
                    assert isinstance(error, SendInterrupted) == bool(job), (way, error)
                else:
                    raise AssertionError(f"{way}: it answered")
