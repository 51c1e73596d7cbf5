"""The contract of every transport, and what file, virtual and spy promise beyond it.

A new transport is tested here the moment its file exists: it needs one rig in RIGS.
"""

from __future__ import annotations

import os
import re
import resource
import stat
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from devices import transports
from devices.contracts import Connection, Settings
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted, SendStopped
from devices.transports.usb import Usb
from tests.fake.cups import PrivateCups
from tests.fake.printer import FakePrinter
from tests.fake.pty import PtyPrinter, for_a_while, until
from tests.fake.usb import FakeBus, FakeUsbPrinter

LABEL = bytes(range(256)) * 8  # 2 kB
LARGE = os.urandom(1_000_007)
HARMLESS = Settings(connect_s=2.0, stall_s=2.0, close_s=2.0)


@dataclass
class Rig:
    """One scheme set up for a test: an address that works, how to read what arrived there, and what must fail."""

    uri: str
    arrived: Callable[[], bytes]
    unreachable: str
    bad: tuple[str, ...]
    settings: Settings = HARMLESS

    def open(self) -> Connection:
        return transports.open(self.uri, self.settings)

    def brings(self, data: bytes) -> None:
        """This arrives, in its own time, and nothing else."""
        until(lambda: len(self.arrived()) >= len(data))
        time.sleep(0.05)
        assert self.arrived() == data


@contextmanager
def file_rig(folder: Path) -> Iterator[Rig]:
    yield Rig(
        uri=f"file://{folder}/labels.bin",
        arrived=(folder / "labels.bin").read_bytes,
        unreachable=f"file://{folder}/no-such-folder/labels.bin",
        bad=("file://labels.bin", "file://host/labels.bin", "file:///spool/", "file:///a?b", "file:///a%00b"),
    )


@contextmanager
def virtual_rig(folder: Path) -> Iterator[Rig]:
    (folder / "taken").write_text("a file where a folder is needed")
    yield Rig(
        uri="virtual://dock",
        arrived=lambda: (folder / "dock" / "000001.bin").read_bytes(),
        unreachable="virtual://taken",
        bad=("virtual://", "virtual://.hidden", "virtual://../dock", "virtual://a/b", "virtual://two words"),
        settings=Settings(folder=folder),
    )


@contextmanager
def tcp_rig(folder: Path) -> Iterator[Rig]:
    with FakePrinter() as printer, FakePrinter(refuse=True) as refusing:
        yield Rig(
            uri=printer.uri,
            arrived=lambda: printer.wait_for(1)[0],
            unreachable=refusing.uri,
            bad=("tcp://", "tcp://:9100", "tcp://host:0", "tcp://host:99999", "tcp://host:x", "tcp://host/queue",
                 "tcp://me@host", "tcp://[::1", "tcp://::1", "tcp://two words", "tcp://a..b", "tcp://host\n"),
        )  # fmt: skip


@contextmanager
def spy_rig(folder: Path) -> Iterator[Rig]:
    with tcp_rig(folder) as inner:
        yield Rig(
            uri=spied(folder / "spy.txt", inner.uri),
            arrived=inner.arrived,
            unreachable=spied(folder / "spy.txt", inner.unreachable),
            bad=("spy:///log.txt", "spy://?uri=tcp://host", "spy://host/log.txt?uri=tcp://host", *(
                spied(folder / "spy.txt", uri) for uri in inner.bad)),
        )  # fmt: skip


@contextmanager
def serial_rig(folder: Path) -> Iterator[Rig]:
    with PtyPrinter() as pty:
        yield Rig(
            uri=pty.uri("baud=115200"),
            arrived=lambda: pty.arrived,
            unreachable=f"serial://{folder}/no-such-port",
            bad=("serial://", "serial:///", "serial:///dev/", "serial://host", "serial://host/dev/ttyS0",
                 "serial:///dev/ttyS0?baud=fast", "serial:///dev/ttyS0?speed=9600", "serial:///dev/ttyS0#1"),
        )  # fmt: skip


@contextmanager
def queue_rig(folder: Path) -> Iterator[Rig]:
    with PrivateCups() as cups, FakePrinter() as printer:
        cups.add("dock", printer.port)
        yield Rig(
            uri=cups.uri("dock"),
            arrived=lambda: printer.wait_for(1)[0],
            unreachable=cups.uri("no-such-queue"),
            bad=("queue://", "queue:///dock", "queue://two words", "queue://dock/1", "queue://dock?host=x",
                 "queue://dock?server=", "queue://dock?server=a:b:c", "queue://dock#1", "queue://a%00b"),
        )  # fmt: skip


@contextmanager
def usb_rig(folder: Path) -> Iterator[Rig]:
    """Through libusb; tests/devices/test_usb.py does the same through usblp, tests/usb with real printers."""
    transport = transports.load("usb")
    assert isinstance(transport, Usb)
    with FakeBus(folder) as bus:
        printer = bus.plug(FakeUsbPrinter(serial="A 1"))
        transport.machine, machine = bus.machine, transport.machine
        try:
            yield Rig(
                uri="usb://0a5f:0166/A%201",
                arrived=lambda: bytes(printer.data),
                unreachable="usb://0A5F:0167",
                bad=("usb://", "usb://0a5f", "usb://a5f:166", "usb://0a5f:0166/@", "usb://0a5f:0166/@1", "usb://lp0",
                     "usb://0a5f:0166/A/1", "usb://0a5f:0166/%zz", "usb://0a5f:0166?driver=lp", "usb://0a5f:0166/A 1",
                     "usb://0a5f:0166?x=y", "usb://0a5f:0166#x", "usb://0a5f:0166\n"),
            )  # fmt: skip
        finally:
            transport.machine = machine


RIGS: dict[str, Callable[[Path], AbstractContextManager[Rig]]] = {
    "file": file_rig,
    "queue": queue_rig,
    "serial": serial_rig,
    "spy": spy_rig,
    "tcp": tcp_rig,
    "usb": usb_rig,
    "virtual": virtual_rig,
}


def spied(log: Path, uri: str) -> str:
    return f"spy://{log}?uri={quote(uri, safe='')}"


@pytest.fixture(params=transports.names())
def rig(request, tmp_path) -> Iterator[Rig]:
    if request.param not in RIGS:
        pytest.fail(f"devices/transports/{request.param}.py is untested: add a rig for it to RIGS in {__file__}")
    with RIGS[request.param](tmp_path) as rig:
        yield rig


# -- every transport


@pytest.mark.parametrize("data", [b"x", LABEL, LARGE], ids=["1 byte", "2 kB", "1 MB"])
def test_every_byte_arrives_in_order(rig, data):
    line = rig.open()
    line.write(data)
    receipt = line.finish()
    line.close()
    rig.brings(data)
    assert receipt.evidence in ("closed", "taken", "written", "drained", "completed")
    assert str(len(data)) in receipt.text


def test_sent_counts_over_several_writes_of_bytes_and_views(rig):
    line = rig.open()
    assert line.sent == 0
    line.write(LABEL)
    assert line.sent == len(LABEL)
    line.write(b"")
    line.write(memoryview(LARGE)[7:])
    assert line.sent == len(LABEL) + len(LARGE) - 7
    line.finish()
    line.close()
    rig.brings(LABEL + LARGE[7:])


def test_keep_going_hears_of_every_chunk(rig):
    heard: list[int] = []
    line = rig.open()
    line.write(LARGE, lambda sent: heard.append(sent) is None)
    line.finish()
    line.close()
    assert heard == sorted(heard) and heard[-1] == len(LARGE)
    assert all(after - before <= 65536 for before, after in zip([0, *heard], heard, strict=False))


def test_a_no_stops_within_one_chunk(rig):
    heard: list[int] = []
    line = rig.open()
    with pytest.raises(SendStopped) as caught:
        line.write(LARGE, lambda sent: heard.append(sent) is not None)
    line.close()
    assert 0 < caught.value.sent < caught.value.total == len(LARGE)
    assert heard == [caught.value.sent] == [line.sent]
    assert rig.uri in str(caught.value) or "spy" in rig.uri


def test_what_goes_wrong_in_keep_going_is_not_blamed_on_the_printer(rig):
    def broken(sent: int) -> bool:
        raise OSError("the caller's own trouble")

    line = rig.open()
    with pytest.raises(OSError, match="own trouble"):
        line.write(LARGE, broken)
    line.close()


def test_where_nothing_can_be_sent_trying_again_is_safe(rig):
    with pytest.raises(PrinterUnreachable) as caught:
        transports.open(rig.unreachable, rig.settings)
    assert "; " in str(caught.value), "the text gives the cause and then the remedy"


def test_nothing_to_send_is_an_orderly_end(rig):
    line = rig.open()
    assert line.finish().evidence in ("taken", "written")
    line.close()


def test_closing_twice_is_fine_at_any_time(rig):
    for use in (lambda line: None, lambda line: line.write(b"x"), lambda line: (line.write(b"x"), line.finish())):
        line = rig.open()
        use(line)
        line.close()
        line.close()


def test_a_bad_address_names_itself_and_what_is_right(rig):
    transports.check(rig.uri)
    transports.check(rig.unreachable)
    for uri in rig.bad:
        for use in (transports.check, lambda uri: transports.open(uri, rig.settings)):
            with pytest.raises(BadPrinterUri, match="; write "):
                use(uri)


def test_a_question_alone_is_no_job_and_never_in_doubt(rig):
    line = rig.open()
    line.ask(b"?")
    assert line.sent == 0
    assert line.finish().evidence in ("taken", "written")
    line.close()


def test_a_question_before_a_job_is_not_counted_and_asked_only_where_it_can_be_answered(rig):
    line = rig.open()
    line.ask(b"?")
    line.write(LABEL)
    assert line.sent == len(LABEL)
    assert str(len(LABEL)) in line.finish().text
    line.close()
    rig.brings((b"?" if line.talks else b"") + LABEL)


def test_a_printer_with_nothing_to_say_is_listened_to_no_longer_than_wanted(rig):
    line = rig.open()
    began = time.monotonic()
    assert line.hear(0.1) == b""
    assert time.monotonic() - began < 20
    line.close()


def test_how_the_wire_stands_is_told_without_harm(rig):
    line = rig.open()
    status = line.wire_status()
    assert status is None or not status.blocked
    line.write(LABEL)
    assert line.wire_status() is None or line.sent == len(LABEL)
    line.finish()
    line.close()
    rig.brings(LABEL)


@pytest.mark.parametrize("scheme", transports.names())
def test_a_transport_is_named_after_its_file(scheme):
    assert transports.load(scheme).scheme == scheme


@pytest.mark.parametrize("uri", ["printer", "", "gopher://host", "__init__://x", "tcp:host"])
def test_an_unknown_scheme_is_told_the_known_ones(uri):
    with pytest.raises(BadPrinterUri) as caught:
        transports.check(uri)
    assert all(f"{name}://" in str(caught.value) for name in transports.names())


def test_what_looks_like_an_address_on_the_network_is_told_how_to_write_it():
    with pytest.raises(BadPrinterUri, match="on the network write tcp://192.168.1.40$"):
        transports.check("192.168.1.40")


def test_a_scheme_may_be_written_in_capitals(tmp_path):
    for uri in ("TCP://host", "File:///spool/labels.bin", "VIRTUAL://dock", "SPY:///log?uri=TCP%3A%2F%2Fhost"):
        transports.check(uri)


# -- file


def test_a_file_is_added_to_and_belongs_to_its_owner_alone(tmp_path):
    path = tmp_path / "two words.bin"
    for label in (b"one", b"two"):
        line = transports.open(f"file://{quote(str(path))}")
        line.write(label)
        assert line.finish().path == path
        line.close()
    assert path.read_bytes() == b"onetwo"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_disk_that_fills_up_half_way_says_how_much_is_there(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    line = transports.open(f"file://{tmp_path}/labels.bin")
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(SendInterrupted) as caught:
            line.write(LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    line.close()
    assert caught.value.sent == 100_000 == (tmp_path / "labels.bin").stat().st_size
    assert "100000 of 1000007 bytes" in str(caught.value)


def test_a_full_device_before_the_first_byte_is_unreachable():
    line = transports.open("file:///dev/full")
    with pytest.raises(PrinterUnreachable, match="no space left on device; make room"):
        line.write(LABEL)
    line.close()


def test_an_unplugged_device_is_not_replaced_by_a_file():
    with pytest.raises(PrinterUnreachable, match="plug it in"):
        transports.open("file:///dev/no-such-printer")
    assert not Path("/dev/no-such-printer").exists()


def test_a_character_device_takes_the_bytes():
    printer, node = os.openpty()
    tty.setraw(node)
    line = transports.open(f"file://{os.ttyname(node)}")
    line.write(LABEL)
    receipt = line.finish()
    line.close()
    assert receipt.evidence == "taken", "a device has nothing on disk"
    assert os.read(printer, 4096) == LABEL
    os.close(node)
    os.close(printer)


@pytest.fixture
def fifo(tmp_path) -> Iterator[tuple[str, Callable[[], int]]]:
    """The address of a FIFO, and a function that opens its reading end."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    yield f"file://{path}", lambda: os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def test_a_fifo_nobody_reads_is_unreachable(fifo):
    with pytest.raises(PrinterUnreachable, match="nobody reads"):
        transports.open(fifo[0])


def test_a_fifo_whose_reader_stops_reading_is_given_up(fifo):
    reader = fifo[1]()
    line = transports.open(fifo[0], Settings(stall_s=0.3))
    with pytest.raises(SendInterrupted, match=r"nothing was taken for 0\.3 s") as caught:
        line.write(LARGE)
    line.close()
    os.close(reader)
    assert 0 < caught.value.sent < caught.value.total


def test_a_fifo_that_is_known_to_be_read_later_is_waited_for(fifo):
    reader = fifo[1]()
    line, got, asked = transports.open(fifo[0], Settings(stall_s=0.2)), bytearray(), []
    line.on_stall = lambda seconds: asked.append(True) is None

    def read() -> None:
        time.sleep(0.5)
        while len(got) < len(LARGE):
            with suppress(BlockingIOError):
                got.extend(os.read(reader, 65536))

    late = threading.Thread(target=read)
    late.start()
    line.write(LARGE)
    late.join()
    line.close()
    os.close(reader)
    assert bytes(got) == LARGE and len(asked) >= 2


def test_a_stop_is_heard_while_a_fifo_is_stalled(fifo):
    reader = fifo[1]()
    line = transports.open(fifo[0], Settings(stall_s=30))
    began = time.monotonic()
    with pytest.raises(SendStopped):
        line.write(LARGE, for_a_while(0.3))
    line.close()
    os.close(reader)
    assert time.monotonic() - began < 20


def test_a_fifo_whose_reader_leaves_interrupts(fifo):
    reader = fifo[1]()
    line = transports.open(fifo[0])
    line.write(b"x")
    os.close(reader)
    with pytest.raises(SendInterrupted, match="broken pipe; the program that read this FIFO has gone"):
        line.write(b"y")
    line.close()


# -- virtual


def keep(folder: Path, data: bytes, name: str = "dock") -> Path:
    line = transports.open(f"virtual://{name}", Settings(folder=folder))
    line.write(data)
    receipt = line.finish()
    line.close()
    assert receipt.evidence == "written" and receipt.path is not None
    return receipt.path


def test_a_virtual_printer_counts_its_jobs(tmp_path):
    kept = [keep(tmp_path, b"%d" % n) for n in range(3)]
    assert [path.relative_to(tmp_path).as_posix() for path in kept] == [
        "dock/000001.bin", "dock/000002.bin", "dock/000003.bin"
    ]  # fmt: skip
    assert [path.read_bytes() for path in kept] == [b"0", b"1", b"2"]
    assert keep(tmp_path, b"x", name="Till_3.left") == tmp_path / "Till_3.left" / "000001.bin"


def test_a_virtual_job_belongs_to_its_owner_alone(tmp_path):
    path = keep(tmp_path / "new", LABEL)
    modes = [stat.S_IMODE(place.stat().st_mode) for place in (path.parents[1], path.parent, path)]
    assert modes == [0o700, 0o700, 0o600]


def test_a_broken_off_virtual_job_never_looks_whole(tmp_path):
    line = transports.open("virtual://dock", Settings(folder=tmp_path))
    line.write(b"half a lab")
    line.close()
    assert [path.name for path in (tmp_path / "dock").iterdir()] == ["000001.part"]
    assert keep(tmp_path, LABEL).name == "000002.bin", "its number is not given away again"


def test_a_virtual_connection_that_carried_nothing_leaves_nothing(tmp_path):
    transports.open("virtual://dock", Settings(folder=tmp_path)).close()
    assert list((tmp_path / "dock").iterdir()) == []


def test_ten_thousand_and_more_jobs_keep_counting(tmp_path):
    (tmp_path / "dock").mkdir()
    (tmp_path / "dock" / "999999.bin").write_bytes(b"")
    assert keep(tmp_path, LABEL).name == "1000000.bin"
    assert keep(tmp_path, LABEL).name == "1000001.bin"


def test_jobs_kept_at_the_same_time_get_different_numbers(tmp_path):
    threads = [threading.Thread(target=lambda n=n: [keep(tmp_path, b"%d" % n) for _ in range(20)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = sorted(path.read_bytes() for path in (tmp_path / "dock").iterdir())
    assert kept == sorted(b"%d" % n for n in range(4) for _ in range(20))


def test_a_virtual_printer_without_a_folder_says_what_is_missing():
    with pytest.raises(BadPrinterUri, match=r"set Settings\.folder"):
        transports.open("virtual://dock")


# -- spy


def test_a_spy_writes_down_every_step(tmp_path):
    log = tmp_path / "spy.txt"
    with FakePrinter() as printer:
        line = transports.open(spied(log, printer.uri))
        line.write(b"^XA^FDMiller & S\xf6hne^FS^XZ")
        line.finish()
        line.close()
    lines = [re.sub(r"^\S+T\S+\+00:00 \d+\.\d+ ", "", line) for line in log.read_text().splitlines()]
    assert lines == [
        f"open {printer.uri}: ok",
        "00000000  5e 58 41 5e 46 44 4d 69 6c 6c 65 72 20 26 20 53  |^XA^FDMiller & S|",
        "00000010  f6 68 6e 65 5e 46 53 5e 58 5a                    |.hne^FS^XZ|",
        "write 26 bytes",
        f"finish after 26 bytes: closed: {printer.uri} took 26 bytes and closed in order",
        "close",
    ]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_spy_writes_down_questions_and_answers(tmp_path):
    log = tmp_path / "spy.txt"
    with FakePrinter(answers=lambda asked: b"fine\r\n") as printer:
        line = transports.open(spied(log, printer.uri))
        assert line.talks
        line.ask(b"~HS")
        assert (line.hear(2.0), line.hear(0.05)) == (b"fine\r\n", b"")
        line.close()
    lines = [re.sub(r"^\S+T\S+\+00:00 \d+\.\d+ ", "", line) for line in log.read_text().splitlines()]
    assert lines[1:-1] == [
        "00000000  7e 48 53                                         |~HS|",
        "ask 3 bytes",
        "heard 6 bytes",
        "00000000  66 69 6e 65 0d 0a                                |fine..|",
    ]


def test_a_spy_writes_down_what_went_wrong(tmp_path):
    log = tmp_path / "spy.txt"
    with FakePrinter(refuse=True) as printer, pytest.raises(PrinterUnreachable) as caught:
        transports.open(spied(log, printer.uri))
    assert log.read_text().endswith(f"open {printer.uri}: PrinterUnreachable: {caught.value}\n")


def test_a_spy_with_nowhere_to_write_sends_nothing(tmp_path):
    with FakePrinter() as printer:
        with pytest.raises(PrinterUnreachable, match="spy log"):
            transports.open(spied(tmp_path / "no" / "folder", printer.uri))
        assert printer.connections == 0


def test_a_spy_whose_disk_is_full_does_not_disturb_printing(caplog):
    with FakePrinter() as printer, ExitStack() as stack:
        line = transports.open(spied(Path("/dev/full"), printer.uri))
        stack.callback(line.close)
        line.write(LABEL)
        assert line.finish().evidence == "closed"
        assert printer.wait_for(1) == [LABEL]
    assert [record.message for record in caplog.records] == [
        "/dev/full: the spy log cannot be written any more: No space left on device"
    ]
