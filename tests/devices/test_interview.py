"""How printers are asked, over every wire that can bring an answer: late, in pieces, never, without end."""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

import pytest

from devices import transports
from devices.contracts import Connection, Reason, Settings, Status, Talk
from devices.errors import PrinterUnreachable, SendInterrupted
from devices.interview import DRAIN_S, MOST, Interview
from devices.transports.usb import Usb
from tests.fake.printer import FakePrinter
from tests.fake.pty import PtyPrinter
from tests.fake.usb import FakeBus, FakeUsbPrinter

QUICK_S = 1.0
JOB = bytes(range(32, 127)) * 100


class Counting:
    """A language whose printers answer "?A" with STX A labels ETX."""

    questions: tuple[str, ...] = ("A", "B", "C")
    asleep: tuple[str, ...] = ("Z",)

    def __init__(self) -> None:
        self.longest = 0

    def ask(self, question: str) -> bytes:
        return f"?{question}".encode()

    def read(self, question: str, heard: bytes) -> Status | None:
        self.longest = max(self.longest, len(heard))
        found = re.search(rb"\x02%b *(\d+)\x03" % question.encode(), heard)
        return Status(labels=int(found[1])) if found else None

    def merge(self, told: Mapping[str, Status]) -> Status:
        return Status(text=", ".join(f"{question} {status.labels}" for question, status in told.items()))


COUNTING: Talk = Counting()


class Voice:
    """A printer's side: answers what it knows, with a number that counts its answers."""

    def __init__(self, knows: str = "ABCZ", padding: int = 0) -> None:
        self.asked: list[str] = []
        self.knows = knows
        self.padding = b" " * padding
        self._read = 0

    def piece(self, data: bytes) -> bytes:
        """What it says to `data`."""
        said = b""
        for question in re.findall(r"\?([A-Z])", data.decode("latin-1")):
            self.asked.append(question)
            if question in self.knows:
                said += b"\x02%b%b %d\x03\r\n" % (question.encode(), self.padding, len(self.asked))
        return said

    def all(self, data: bytes) -> bytes:
        """The same, where all that was read so far is given."""
        new, self._read = data[self._read :], len(data)
        return self.piece(new)


Open = Callable[[Voice], Connection]


@pytest.fixture(params=["tcp", "tcp in pieces", "serial", "serial in pieces", "spy", "usb", "usblp"])
def opened(request, tmp_path: Path) -> Iterator[Open]:
    """Opens a wire of each kind to a printer with that voice."""
    kind, _, pieces = request.param.partition(" ")
    with ExitStack() as stack:

        def open_(voice: Voice) -> Connection:
            stutters = 3 if pieces else None
            if kind in ("tcp", "spy"):
                uri = stack.enter_context(FakePrinter(answers=voice.piece, stutters=stutters)).uri
                uri = f"spy://{tmp_path}/spy.txt?uri={quote(uri, safe='')}" if kind == "spy" else uri
                line = transports.open(uri)
            elif kind == "serial":
                pty = stack.enter_context(PtyPrinter(answers=voice.all, stutters=stutters))
                line = transports.open(pty.uri("flow=xonxoff"))
            else:
                bus = stack.enter_context(FakeBus(tmp_path))
                bus.plug(FakeUsbPrinter(answers=voice.piece, usblp=kind == "usblp", packet=64))
                line = Usb(bus.machine).open("usb://0a5f:0166", Settings())
            stack.callback(line.close)
            return line

        yield open_


# -- over every wire


def test_a_question_brings_its_answer(opened):
    voice = Voice(padding=70)
    line = opened(voice)
    assert line.talks
    assert Interview(COUNTING, line).probe() == Status(labels=1)
    assert voice.asked == ["A"]


def test_all_questions_are_one_status(opened):
    line = opened(Voice())
    interview = Interview(COUNTING, line)
    assert interview.ask() == Status(text="A 1, B 2, C 3")
    assert interview.silent == set()


def test_a_question_that_is_not_answered_does_not_spoil_the_others(opened):
    voice = Voice(knows="AC")
    interview = Interview(COUNTING, opened(voice), QUICK_S)
    assert interview.ask() == Status(text="A 1, C 3")
    assert interview.silent == {"B"}
    assert interview.ask() == Status(text="A 4, C 5"), "it is not asked twice what it does not know"


def test_a_printer_that_leaves_the_first_question_unanswered_is_asked_nothing_else(opened):
    voice = Voice(knows="BCZ")
    interview = Interview(COUNTING, opened(voice), QUICK_S)
    began = time.monotonic()
    assert interview.ask() is None
    assert time.monotonic() - began < QUICK_S + DRAIN_S + 15
    assert voice.asked == ["A"] and interview.silent == set()
    assert interview.second_opinion() == Status(text="Z 2")


def test_questions_known_to_be_useless_are_left_out(opened):
    voice = Voice()
    interview = Interview(COUNTING, opened(voice), skip={"A", "C"})
    assert interview.ask() == Status(text="A 1, B 2"), "the probe is always asked"
    assert voice.asked == ["A", "B"] and interview.silent == set()


def test_a_late_answer_is_not_taken_for_the_next_one(opened):
    line = opened(voice := Voice())
    line.ask(b"?A")
    time.sleep(0.2)
    assert voice.asked == ["A"], "it has answered meanwhile, and nobody has heard it"
    assert Interview(COUNTING, line).probe() == Status(labels=2)


def test_questions_before_and_after_a_job_are_no_part_of_it(opened):
    line = opened(voice := Voice())
    interview = Interview(COUNTING, line)
    assert interview.probe() == Status(labels=1)
    assert line.sent == 0
    line.write(JOB)
    assert line.sent == len(JOB)
    assert interview.probe() == Status(labels=2)
    assert line.sent == len(JOB)
    assert str(len(JOB)) in line.finish().text
    assert voice.asked == ["A", "A"]


def test_an_interview_alone_leaves_no_doubt(opened):
    line = opened(Voice())
    Interview(COUNTING, line).probe()
    assert line.finish().evidence == "taken"
    line.close()


# -- wires that bring nothing back


@pytest.mark.parametrize("uri", ["file://{}/labels.bin", "virtual://dock"])
def test_a_wire_that_brings_nothing_back_is_not_asked(tmp_path, uri):
    line = transports.open(uri.format(tmp_path), Settings(folder=tmp_path))
    with closing(line):
        interview = Interview(COUNTING, line, 30)
        assert (interview.probe(), interview.ask(), interview.second_opinion()) == (None, None, None)
        line.write(JOB)
        receipt = line.finish()
    assert receipt.path is not None and receipt.path.read_bytes() == JOB


# -- printers that talk too much, and such as are gone


def test_a_printer_that_talks_without_end_costs_a_moment_and_64_kb():
    with FakePrinter(chatters=b"status \x02A" * 1000) as printer, closing(transports.open(printer.uri)) as line:
        talk = Counting()
        began = time.monotonic()
        assert Interview(talk, line, QUICK_S).probe() is None
        assert time.monotonic() - began < QUICK_S + DRAIN_S + 15
        assert 0 < talk.longest <= MOST


def test_what_a_printer_says_unasked_is_kept_up_to_64_kb():
    with FakePrinter(chatters=b"0123456789" * 1000) as printer, closing(transports.open(printer.uri)) as line:
        line.write(JOB * 100)
        time.sleep(0.2)
        assert 0 < len(line.hear(0.5)) <= MOST


class Endless(list):
    """A voice that never ends: the same packet at every look."""

    def __bool__(self) -> bool:
        return True

    def pop(self, at: int = 0) -> bytes:
        return self[0]


@pytest.mark.parametrize("packet", [b"x" * 512, b""], ids=["full packets", "empty packets"])
def test_a_usb_printer_whose_packets_have_no_end_costs_a_moment(tmp_path, packet):
    with FakeBus(tmp_path) as bus:
        printer = bus.plug(FakeUsbPrinter(voice=Endless([packet])))
        with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings())) as line:
            began = time.monotonic()
            assert Interview(COUNTING, line, QUICK_S).probe() is None
            assert time.monotonic() - began < QUICK_S + DRAIN_S + 15
    if not packet:
        assert printer.asked.count("read") < 200, "it is not looked at as fast as it can say nothing"


@pytest.mark.parametrize("code", [errno.EPIPE, errno.EIO])
def test_a_usb_printer_that_cannot_be_read_prints_all_the_same(tmp_path, code):
    with FakeBus(tmp_path) as bus:
        printer = bus.plug(FakeUsbPrinter(mute_error=code))
        with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings())) as line:
            assert Interview(COUNTING, line, QUICK_S).probe() is None
            assert not line.talks
            line.write(JOB)
            assert line.finish().evidence == "taken"
    assert bytes(printer.data) == JOB


def test_a_printer_that_hangs_up_is_unreachable_and_not_silent():
    with FakePrinter(close_at_once=True) as printer, closing(transports.open(printer.uri)) as line:
        with pytest.raises(PrinterUnreachable, match="nothing was sent.*closed the connection"):
            Interview(COUNTING, line).probe()


def test_a_printer_that_resets_after_a_job_is_in_doubt_with_the_jobs_own_count():
    with FakePrinter(reset_after=len(JOB) + 2) as printer, closing(transports.open(printer.uri)) as line:
        line.write(JOB)
        with pytest.raises(SendInterrupted) as caught:
            Interview(COUNTING, line).probe()
    assert caught.value.sent == caught.value.total == len(JOB)


def test_a_cable_pulled_between_question_and_answer_is_unreachable_and_behind_a_job_a_doubt():
    for job in (b"", JOB):
        with PtyPrinter() as pty, closing(transports.open(pty.uri())) as line:
            line.write(job)
            pty.wait_for(len(job))
            line.ask(b"?A")
            pty.unplug()
            with pytest.raises(SendInterrupted if job else PrinterUnreachable):
                line.hear(1.0)


def test_an_unplugged_usb_printer_is_unreachable_and_behind_a_job_a_doubt(tmp_path):
    for job in (b"", JOB):
        with FakeBus(tmp_path / str(len(job))) as bus:
            printer = bus.plug(FakeUsbPrinter())
            with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings())) as line:
                line.write(job)
                bus.unplug(printer)
                with pytest.raises(SendInterrupted if job else PrinterUnreachable, match="unplugged") as caught:
                    Interview(COUNTING, line).probe()
                assert getattr(caught.value, "sent", 0) == len(job)


def test_a_usb_printer_that_takes_no_question_is_not_waited_for_long(tmp_path):
    with FakeBus(tmp_path) as bus:
        bus.plug(FakeUsbPrinter(stops_at=0))
        with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings(stall_s=0.3))) as line:
            with pytest.raises(PrinterUnreachable, match=r"took no question for 0\.3 s"):
                line.ask(b"?A")


# -- what is not asked of one-way USB printers


@pytest.mark.parametrize(
    ("kind", "quirks"), [((7, 1, 1), frozenset()), ((7, 1, 2), frozenset({"unidirectional"}))], ids=["7/1/1", "quirk"]
)
def test_a_one_way_usb_printer_is_asked_between_writes_and_never_read_beside_one(tmp_path, kind, quirks):
    with FakeBus(tmp_path) as bus:
        voice = Voice()
        printer = bus.plug(FakeUsbPrinter(kind=kind, answers=voice.piece))
        with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings(stall_s=0.2, quirks=quirks))) as line:
            assert Interview(COUNTING, line).probe() == Status(labels=1)
            printer.stops_at, reads = len(printer.data) + 1000, printer.asked.count("read")
            line.on_stall = lambda seconds: line.hear(0.1) != b""
            with pytest.raises(SendInterrupted):
                line.write(JOB)
            assert printer.asked.count("read") == reads


def test_usblp_reads_nothing_from_a_one_way_printer(tmp_path):
    with FakeBus(tmp_path) as bus:
        bus.plug(FakeUsbPrinter(kind=(7, 1, 1), usblp=True))
        with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings())) as line:
            assert not line.talks and Interview(COUNTING, line, 30).probe() is None


# -- what the wire itself says


@pytest.mark.parametrize(
    ("byte", "reasons", "text"),
    [
        (0x18, set(), ""),
        (0x30, {Reason.MEDIA_EMPTY}, "the printer says it is out of paper"),
        (0x10, {Reason.OTHER}, "the printer reports an error (cover or head open, jam)"),
        (0x08, {Reason.PAUSED}, "the printer says it is paused or offline"),
    ],
)
def test_a_usb_printer_says_how_it_is_without_being_asked(tmp_path, byte, reasons, text):
    with FakeBus(tmp_path) as bus:
        printer = bus.plug(FakeUsbPrinter(status=byte))
        with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings())) as line:
            assert line.wire_status() == Status(frozenset(reasons), text=text)
            bus.unplug(printer)
            assert line.wire_status() is None
