"""Simulated printers behave as real ones do: paper, power, flow control, answers. Over real sockets and terminals."""

from __future__ import annotations

import io
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from PIL import Image, ImageChops

from devices import languages, simulators, status, transports
from devices.contracts import Bitmap, Connection, Reason, Receipt, Settings
from devices.errors import PrinterUnreachable, SendInterrupted
from devices.simulators import Habits, Simulator
from devices.simulators.machine import Fault, Machine
from devices.simulators.operator import Operator
from devices.simulators.paper import PaperLog
from devices.simulators.usbbus import SimulatedBus
from devices.transports.usb import Usb

QUICK = Settings(stall_s=0.5, close_s=2.0)
ZPL = languages.load("zpl")
FAULTS: dict[Fault, Reason] = {
    "head_open": Reason.COVER_OPEN,
    "paper_out": Reason.MEDIA_EMPTY,
    "ribbon_out": Reason.MARKER_SUPPLY_EMPTY,
    "paused": Reason.PAUSED,
    "near_end": Reason.MEDIA_LOW,
    "jam": Reason.MEDIA_JAM,
}


def page(seed: int = 0, width: int = 200, height: int = 120) -> Bitmap:
    return Bitmap(width, height, random.Random(seed).randbytes(width // 8 * height))


def send(uri: str, data: bytes, settings: Settings = QUICK) -> Receipt:
    with closing(transports.open(uri, settings)) as line:
        line.write(data)
        return line.finish()


def until(seen: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def caller(printer: Simulator) -> Iterator[socket.socket]:
    """A host with a connection of its own."""
    host, port = printer.uri.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), 60) as sock:
        yield sock


def heard(line: Connection, question: bytes, size: int = 82) -> bytes:
    """The answer over a transport of ours, which may come in pieces."""
    said = b""
    line.ask(question)
    deadline = time.monotonic() + 60
    while len(said) < size and time.monotonic() < deadline:
        said += line.hear(0.1)
    return said


def answer(printer: Simulator, question: bytes, seconds: float = 60) -> bytes:
    """What it says to a question within some time."""
    with caller(printer) as sock:
        sock.sendall(question)
        sock.settimeout(seconds)
        try:
            return sock.recv(4096)
        except TimeoutError:
            return b""


# -- paper


def test_twenty_labels_come_out_and_the_paper_log_has_them_with_pictures(tmp_path):
    with Simulator("zpl", folder=tmp_path, label_s=0) as printer:
        for seed in range(20):
            assert send(printer.uri, ZPL.encode(page(seed))).evidence == "closed"
        printer.paper.wait_for(20)
        assert printer.machine.counter == 20
        assert [picture.rows for picture in printer.paper.pictures] == [page(seed).rows for seed in range(20)]
    log = [json.loads(line) for line in (tmp_path / "paper.jsonl").read_text().splitlines()]
    assert [line["n"] for line in log] == list(range(1, 21))
    assert (log[6]["event"], log[6]["language"]) == ("label", "zpl")
    assert (log[6]["width"], log[6]["height"]) == (200, 120)
    picture = Image.open(io.BytesIO((tmp_path / log[6]["png"]).read_bytes()))
    assert ImageChops.invert(picture.convert("L")).convert("1").tobytes() == page(6).rows


def test_a_paper_log_that_is_there_already_is_continued(tmp_path):
    for total in (2, 4):
        with Simulator("zpl", folder=tmp_path, label_s=0) as printer:
            send(printer.uri, ZPL.encode(page(), copies=2))
            printer.paper.wait_for(2)
            assert printer.machine.counter == total
    assert sorted(file.name for file in tmp_path.glob("*.png")) == [f"00000{n}.png" for n in range(1, 5)]


def test_a_paper_log_that_cannot_be_written_does_not_stop_the_printer(tmp_path):
    with Simulator("zpl", folder=tmp_path / "gone", label_s=0) as printer:
        (tmp_path / "gone").rmdir()
        send(printer.uri, ZPL.encode(page(), copies=2))
        assert all("not_written" in line.facts for line in printer.paper.wait_for(2))


def test_paper_out_half_way_loses_nothing(tmp_path):
    with Simulator("zpl", label_s=0, paper_left=10) as printer:
        for seed in range(20):
            send(printer.uri, ZPL.encode(page(seed)))
        until(lambda: "paper out" in [line.event for line in printer.paper.lines])
        assert printer.machine.paper_out and printer.machine.waiting == 10
        time.sleep(0.05)
        assert printer.machine.counter == len(printer.paper.labels) == 10
        printer.machine.refill()
        printer.paper.wait_for(20)
        assert [picture.rows for picture in printer.paper.pictures] == [page(seed).rows for seed in range(20)]
        assert [line.event for line in printer.paper.lines if line.event != "label"] == [
            "paper out",
            "paper out is over",
        ]


def test_a_label_under_the_head_when_the_paper_ends_is_printed_once_after_the_refill():
    with Simulator("zpl", label_s=60) as printer:
        send(printer.uri, ZPL.encode(page()))
        until(lambda: printer.machine.printing)
        printer.machine.run_out()
        until(lambda: not printer.machine.printing)
        assert printer.machine.counter == 0 and printer.machine.waiting == 1
        printer.machine.label_s = 0
        printer.machine.refill()
        printer.paper.wait_for(1)
        assert printer.machine.wait_idle() and printer.machine.counter == 1


@pytest.mark.parametrize(
    ("fault", "over"),
    [(Machine.pause, Machine.resume), (Machine.open_head, Machine.close_head), (Machine.run_out, Machine.refill)],
)
def test_nothing_comes_out_until_a_person_has_been_there(fault, over):
    with Simulator("zpl", label_s=0) as printer:
        fault(printer.machine)
        send(printer.uri, ZPL.encode(page(), copies=3))
        until(lambda: printer.machine.waiting == 3)
        time.sleep(0.05)
        assert printer.paper.labels == []
        over(printer.machine)
        assert len(printer.paper.wait_for(3)) == 3


def test_opening_the_head_tears_the_label_and_prints_it_again():
    with Simulator("zpl", label_s=60) as printer:
        send(printer.uri, ZPL.encode(page()))
        until(lambda: printer.machine.printing)
        printer.machine.open_head()
        until(lambda: any(line.event == "torn" for line in printer.paper.lines))
        printer.machine.label_s = 0
        printer.machine.close_head()
        printer.paper.wait_for(1)
        assert printer.machine.counter == 1


def test_a_ribbon_ends_like_the_paper():
    with Simulator("zpl", label_s=0, ribbon_left=1) as printer:
        send(printer.uri, ZPL.encode(page(), copies=2))
        until(lambda: printer.machine.ribbon_out and printer.machine.waiting == 1)
        printer.machine.new_ribbon()
        printer.paper.wait_for(2)


def test_who_listens_for_changes_may_let_another_thread_ask():
    with Simulator("zpl", label_s=0, paper_left=1, ribbon_left=1) as printer:
        answered: list[bool] = []

        def listen() -> None:
            asking = threading.Thread(target=lambda: printer.machine.waiting)
            asking.start()
            asking.join(2)
            answered.append(not asking.is_alive())

        printer.machine.on_change.append(listen)
        send(printer.uri, ZPL.encode(page()))
        until(lambda: printer.machine.paper_out and printer.machine.ribbon_out)
        printer.machine.refill()
        printer.machine.new_ribbon()
        assert printer.machine.wait_idle() and len(answered) >= 4 and all(answered)


# -- power


def test_power_off_resets_connections_and_loses_the_buffer_but_not_the_counter(tmp_path):
    with Simulator("zpl", folder=tmp_path, label_s=0, paper_left=None) as printer:
        send(printer.uri, ZPL.encode(page()))
        printer.paper.wait_for(1)
        printer.machine.label_s = 60
        send(printer.uri, ZPL.encode(page(), copies=2))
        until(lambda: printer.machine.printing)
        with caller(printer) as sock:
            sock.sendall(b"^XA^FO0,0")
            until(lambda: printer.front.unfinished() > 0)
            printer.machine.power_off()
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
        with pytest.raises(PrinterUnreachable):
            send(printer.uri, b"~HS")
        until(lambda: any(line.event == "torn" for line in printer.paper.lines))
        assert sorted(line.event for line in printer.paper.lines) == ["label", "power off", "torn"]
        assert len(list(tmp_path.glob("*-torn-*.png"))) == 1
        printer.machine.label_s = 0
        printer.machine.power_on()
        assert printer.machine.counter == 1 and printer.machine.waiting == 0 and printer.front.unfinished() == 0
        send(printer.uri, ZPL.encode(page()))
        assert len(printer.paper.wait_for(2)) == 2


# -- the network


def test_a_full_printer_takes_nothing_more_and_goes_on_after_the_refill():
    job = b"".join(ZPL.encode(page(seed, 800, 100)) for seed in range(30))
    assert len(job) > 300_000
    with Simulator("zpl", label_s=0, buffer=40_000, paper_left=0) as printer:
        with pytest.raises(SendInterrupted) as caught:
            send(printer.uri, job)
        assert 40_000 <= caught.value.sent < 200_000
        waiting = printer.machine.waiting
        assert printer.machine.room() <= 0 and 0 < waiting < 30
        printer.machine.refill()
        printer.paper.wait_for(waiting)


def test_a_slow_printer_takes_its_time():
    with Simulator("zpl", label_s=0, habits=Habits(slow=20_000)) as printer:
        began = time.monotonic()
        send(printer.uri, ZPL.encode(page(1, 400, 160)))  # about 11 kB
        assert time.monotonic() - began > 0.3
        printer.paper.wait_for(1)


@pytest.mark.parametrize("habits", [Habits(reset_after=5000), Habits(close_after=5000)])
def test_a_printer_that_hangs_up_in_the_middle(habits):
    with Simulator("zpl", habits=habits) as printer:
        with pytest.raises(SendInterrupted):
            send(printer.uri, ZPL.encode(page(1, 800, 1200)))
        assert printer.paper.lines == []
        habits.reset_after = habits.close_after = None
        send(printer.uri, b"^XZ" + ZPL.encode(page(2)))
        printer.paper.wait_for(1)


def test_a_printer_that_never_closes_serves_the_next_host_all_the_same():
    with Simulator("zpl", label_s=0, habits=Habits(never_close=True)) as printer:
        for seed in range(2):
            assert send(printer.uri, ZPL.encode(page(seed)), Settings(close_s=0.1)).closed is False
        printer.paper.wait_for(2)


def test_a_second_host_waits_for_its_turn():
    with Simulator("zpl", label_s=0) as printer, caller(printer) as first:
        first.sendall(b"^XA")
        until(lambda: printer.front.unfinished() > 0)
        with caller(printer) as second:
            second.sendall(b"~HS")
            second.settimeout(0.1)
            with pytest.raises(TimeoutError):
                second.recv(1)
            first.close()
            second.settimeout(60)
            assert second.recv(1) == b"\x02"


def test_a_second_host_is_turned_away_by_a_printer_that_serves_one_alone():
    with Simulator("zpl", label_s=0, habits=Habits(alone=True)) as printer:
        with caller(printer) as first:
            with pytest.raises(ConnectionError), caller(printer) as second:
                until(lambda: second.send(b"~HS") < 0)
            first.sendall(b"~HS")
            assert first.recv(1) == b"\x02"


# -- answers


def test_host_status_is_three_strings_with_what_waits():
    with Simulator("zpl", label_s=0) as printer:
        assert answer(printer, b"~HS") == (
            b"\x02030,0,0,1218,000,0,0,0,000,0,0,0\x03\r\n\x02000,0,0,0,0,2,4,0,00000000,1,000\x03\r\n\x020000,0\x03\r\n"
        )
        printer.machine.pause()
        send(printer.uri, ZPL.encode(page(), copies=5) + ZPL.encode(page()) + b"^XA^FO1")
        until(lambda: printer.machine.waiting == 6)
        first, second, _ = answer(printer, b"~HS").split(b"\r\n", 2)
        assert first == b"\x02030,0,1,0120,002,0,0,1,000,0,0,0\x03" and second.split(b",")[8] == b"00000000"


def test_labels_of_the_batch_that_prints_are_counted_apart_from_formats_that_wait():
    with Simulator("zpl", label_s=0, paper_left=2) as printer:
        send(printer.uri, ZPL.encode(page(), copies=5) + ZPL.encode(page()))
        until(lambda: printer.machine.waiting == 4)
        printer.machine.pause()
        printer.machine.refill()
        first, second, _ = answer(printer, b"~HS").split(b"\r\n", 2)
        assert first.split(b",")[4] == b"001" and second.split(b",")[8] == b"00000003"


@pytest.mark.parametrize(("fault", "bit"), [("paper_out", 1), ("ribbon_out", 2), ("head_open", 4)])
def test_host_status_is_not_answered_while_something_is_wrong_but_the_query_for_errors_is(fault, bit):
    with Simulator("zpl") as printer:
        printer.machine.set(fault, True)
        assert answer(printer, b"~HS", 0.1) == b""
        assert b"ERRORS:         1 00000000 %08X" % bit in answer(printer, b"~HQES")
        printer.machine.set(fault, False)
        assert answer(printer, b"~HS").startswith(b"\x02030,0,0")


def test_the_counter_and_the_name_are_told():
    with Simulator("zpl", label_s=0, counter=41, serial="D4J1", name="Zed") as printer:
        send(printer.uri, ZPL.encode(page()))
        printer.paper.wait_for(1)
        question = b'! U1 getvar "odometer.total_label_count"\r\n! U1 getvar "device.friendly_name"\r\n'
        assert answer(printer, question) == b'"42""D4J1"'
        assert answer(printer, b'! U1 getvar "no.such"\r\n') == b'"?"'
        assert answer(printer, b"~HI") == b"\x02Zed,V1.0.0Z,8,8192KB\x03\r\n"


def test_what_it_answers_is_what_the_parser_of_answers_reads():
    talk = status.talk("zpl")
    assert talk is not None
    with Simulator("zpl", label_s=0, counter=7) as printer:

        def told() -> dict[str, object]:
            heard = {name: talk.read(name, printer.hear(talk.ask(name))) for name in (*talk.questions, *talk.asleep)}
            return {name: said for name, said in heard.items() if said is not None}

        whole = talk.merge(told())
        assert not whole.blocked and whole.labels == 7 and whole.idle is not False
        for fault, reason in FAULTS.items():
            printer.machine.set(fault, True)
            assert reason in talk.merge(told()).reasons, fault
            printer.machine.set(fault, False)


def test_silent_late_and_garbage_answers():
    with Simulator("zpl", silent=True) as printer:
        assert answer(printer, b"~HS", 0.1) == b""
        printer.machine.silent = False
        printer.habits.late_s = 0.5
        assert answer(printer, b"~HS", 0.1) == b""
        assert answer(printer, b"~HS").startswith(b"\x02030")
        printer.habits.late_s, printer.habits.garbage = 0, True
        noise = answer(printer, b"~HS")
        assert len(noise) == 82 and b"\x02030" not in noise


def test_what_the_printer_says_by_itself_reaches_the_host_that_is_connected():
    with Simulator("zpl", label_s=0) as printer, caller(printer) as sock:
        sock.sendall(b"~PP")
        until(lambda: printer.machine.paused)
        printer.machine.say(b"hello")
        assert sock.recv(5) == b"hello"


# -- ZPL


def test_immediate_commands_act_within_a_format():
    with Simulator("zpl", label_s=0) as printer:
        printer.hear(b"~PP" + ZPL.encode(page(), copies=9))
        assert printer.machine.paused and printer.machine.waiting == 9
        assert printer.hear(b"^XA^FO0,0~HS^GB9,9^FS").startswith(b"\x02030,0,1")
        printer.hear(b"~JA^GB9,9^FS^XZ")
        assert printer.machine.waiting == 0, "~JA forgets what is in the buffer, also the format that is being read"
        printer.hear(b"~PS" + ZPL.encode(page()))
        printer.paper.wait_for(1)
        assert printer.machine.counter == 1


def test_what_outlives_a_format_is_remembered_wherever_the_stream_is_cut():
    stream = (
        b"~DGR:A.GRF,2,1,FF81\r\n^XA^PW16^LL4^FS^XZ^XA^FO0,0^XGR:A.GRF,1,1^FS^XZ^CC+\r\n+XA+FO8,2+GB8,2,2+FS+PQ2+XZ"
        b"+XA+DFR:F.ZPL+FO0,0+GB9,9+FS+XZ+XA+FDonly text+FS+XZ"
    )
    drawn = []
    for size in (1, 7, len(stream)):
        with Simulator("zpl", label_s=0, port=None) as printer:
            for at in range(0, len(stream), size):
                printer.hear(stream[at : at + size])
            printer.paper.wait_for(4)
            assert printer.machine.wait_idle() and printer.machine.counter == 4
            drawn.append([picture.rows.hex() for picture in printer.paper.pictures])
            assert printer.front.unfinished() == 0
    assert drawn == [["ff00810000000000", "0000000000ff00ff", "0000000000ff00ff"]] * 3


def test_binary_graphics_may_hold_anything():
    rows = b"^XZ~JA~HS^XA~PP!"
    with Simulator("zpl", label_s=0, port=None) as printer:
        label = b"^XA^PW32^LL4^FO0,0^GFB,16,16,4,%s^FS^XZ" % rows
        for at in range(len(label)):
            assert printer.hear(label[at : at + 1]) == b""
        printer.paper.wait_for(1)
        assert printer.paper.pictures[0].rows == rows


def test_garbage_never_kills_it():
    rng = random.Random(5)
    words = [
        b"^XA", b"^XZ", b"~HS", b"^GFB,90,90,9,", b"~DGR:A.GRF,8,2,", b"^CC", b"^CT", b"~CD", b"~JR", b"~HQES", b"^PW",
        b'! U1 getvar "a"\r\n', b"^LL", b"^FO1,2", b"^GB5,5^FS", b"^XGR:A.GRF", b"~", b"^", b"FF", b",", b"^PQ3",
    ]  # fmt: skip
    garbage = b""
    while len(garbage) < 200_000:
        garbage += b"".join(rng.choices(words, k=20)) + rng.randbytes(60)
    with Simulator("zpl", label_s=0) as printer:
        send(printer.uri, garbage, Settings(stall_s=20, close_s=20))
        printer.machine.drop()
        printer.machine.power_off()
        printer.machine.power_on()
        send(printer.uri, ZPL.encode(page(3)))
        until(lambda: printer.paper.pictures and printer.paper.pictures[-1].rows == page(3).rows)


def test_a_format_without_end_is_forgotten():
    with Simulator("zpl", port=None) as printer:
        printer.hear(b"^XA^FO0,0^GFA,9,9,9,")
        for _ in range(100):
            printer.hear(b"F" * 65_536)
        assert printer.front.unfinished() < 5 << 20
        assert any(line.event == "format too large" for line in printer.paper.lines)


# -- serial and USB


def test_a_serial_printer_prints_answers_and_is_unplugged_by_power_off(tmp_path):
    link = tmp_path / "ttyPrinter"
    with Simulator("zpl", label_s=0, port=None, pty=link) as printer:
        assert printer.uri == f"serial://{link}"
        assert send(printer.uri, ZPL.encode(page(1))).evidence == "drained"
        printer.paper.wait_for(1)
        assert printer.paper.pictures[0] == page(1)
        with closing(transports.open(printer.uri, QUICK)) as line:
            assert heard(line, b"~HS").startswith(b"\x02030")
        printer.machine.power_off()
        with pytest.raises(PrinterUnreachable):
            send(printer.uri, b"^XA^XZ")
        printer.machine.power_on()
        send(printer.uri, ZPL.encode(page(2)))
        printer.paper.wait_for(2)
    assert not link.is_symlink()


def test_a_full_serial_printer_blocks_the_line(tmp_path):
    with Simulator("zpl", port=None, pty=tmp_path / "tty", buffer=2000, paper_left=0) as printer:
        with pytest.raises(SendInterrupted):
            send(printer.uri, ZPL.encode(page(1, 800, 100)) * 3)


def test_a_usb_printer_prints_answers_and_tells_its_port_status():
    with Simulator("zpl", label_s=0, port=None, serial="U1") as printer:
        bus = SimulatedBus(printer)
        assert bus.uri == "usb://0a5f:0166/U1"
        with closing(Usb(bus.machine).open(bus.uri, QUICK)) as line:
            line.write(ZPL.encode(page(1, 800, 1000)))
            assert line.finish().evidence == "taken"
        printer.paper.wait_for(1)
        assert printer.paper.pictures[0] == page(1, 800, 1000)
        assert bus.port_status == 0x18
        with closing(Usb(bus.machine).open(bus.uri, QUICK)) as line:
            assert heard(line, b"~HS").startswith(b"\x02030")
        printer.machine.run_out()
        printer.machine.pause()
        with closing(Usb(bus.machine).open(bus.uri, QUICK)) as line:
            said = line.wire_status()
            assert said is not None and Reason.MEDIA_EMPTY in said.reasons
        assert bus.port_status == 0x20


def test_a_usb_printer_out_of_paper_with_a_full_buffer_says_so():
    with Simulator("zpl", port=None, buffer=5000, paper_left=0) as printer:
        bus = SimulatedBus(printer)
        with closing(Usb(bus.machine).open(bus.uri, QUICK)) as line:
            with pytest.raises(SendInterrupted, match="out of paper"):
                line.write(ZPL.encode(page(1, 400, 400)) * 4)
        printer.machine.power_off()
        with pytest.raises(PrinterUnreachable, match="not plugged in"):
            Usb(bus.machine).open(bus.uri, QUICK)


# -- the operator


def test_an_operator_is_understood_or_told_so():
    with Simulator("zpl", port=None, label_s=0) as printer:
        operator = Operator(printer)
        assert operator.do("Paper  Out")["faults"] == ["paper_out"]
        assert operator.do("refill 5")["paper_left"] == 5
        assert operator.do("set slow 100")["ok"] and printer.habits.slow == 100
        assert operator.do("set slow off")["ok"] and printer.habits.slow is None
        assert operator.do("set late-s 1.5")["ok"] and printer.habits.late_s == 1.5
        assert operator.do("set silent on")["ok"] and printer.machine.silent
        for wrong in (
            "",
            "dance",
            "refill many",
            "set slow",
            "set slow -1",
            "set nothing on",
            "set garbage 3",
            "set slow x",
        ):
            assert operator.do(wrong)["ok"] is False, wrong
        assert "refill" in operator.do("help")["help"]
        assert operator.do("power off")["power"] is False


# -- every language


@pytest.mark.parametrize("language", simulators.names())
def test_every_simulated_printer_survives_what_is_not_its_language(language):
    rng = random.Random(1)
    with Simulator(language, label_s=0, port=None) as printer:
        assert printer.front.language == language
        for size in (1, 10, 1000, 20_000):
            printer.hear(rng.randbytes(size))
        assert printer.front.unfinished() >= 0


def test_it_is_idle_when_what_follows_a_label_is_done_too():
    said, go_on = threading.Event(), threading.Event()

    def after() -> None:
        said.set()
        go_on.wait(60)

    machine = Machine(PaperLog(), label_s=0)
    machine.put(page(), after=after)
    assert said.wait(60)
    assert machine.waiting == 0 and not machine.wait_idle(0.1)
    go_on.set()
    assert machine.wait_idle()
    machine.close()


def test_the_machine_is_safe_with_many_threads():
    machine = Machine(PaperLog(), label_s=0)
    threads = [threading.Thread(target=lambda: [machine.put(page(), size=10) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        machine.pause()
        machine.resume()
    for thread in threads:
        thread.join()
    assert machine.wait_idle() and machine.counter == 200 and machine.room() == machine.buffer
    machine.close()
