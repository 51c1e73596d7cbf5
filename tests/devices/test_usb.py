"""USB printers without hardware: which device is meant, which way is taken, and how a job can end.

What Linux itself does is tested with real USB in a virtual machine: .ci/usb, tests/usb.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from devices.contracts import Receipt, Settings
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted, SendStopped
from devices.transports.usb import Usb
from devices.usb import address, descriptors, holders, libusb, lookup, portstatus, sysfs
from devices.usb.descriptors import Interface
from devices.usb.hotplug import Hotplug
from devices.usb.machine import Machine
from tests.fake.pty import until
from tests.fake.usb import FakeBus, FakeUsbPrinter

JOB = bytes(range(256)) * 400 + b"end"
QUICK = Settings(stall_s=0.3)


@pytest.fixture
def bus(tmp_path) -> Iterator[FakeBus]:
    with FakeBus(tmp_path) as bus:
        yield bus


def send(bus: FakeBus, uri: str, data: bytes = JOB, settings: Settings = QUICK) -> Receipt:
    with closing(Usb(bus.machine).open(uri, settings)) as line:
        line.write(data)
        return line.finish()


def refused(bus: FakeBus, uri: str, settings: Settings = QUICK) -> str:
    with pytest.raises(PrinterUnreachable) as caught:
        send(bus, uri, settings=settings)
    assert "; " in str(caught.value), "the text gives the cause and then the remedy"
    return str(caught.value)


# -- which device


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        ("usb://0a5f:0166", address.Address(0x0A5F, 0x166)),
        ("usb://0A5F:0166/", address.Address(0x0A5F, 0x166)),
        ("USB://0a5f:0166/D4J%2F1", address.Address(0x0A5F, 0x166, serial="D4J/1")),
        ("usb://0a5f:0166/%401-1", address.Address(0x0A5F, 0x166, serial="@1-1")),
        ("usb://0a5f:0166/@1-1.4", address.Address(0x0A5F, 0x166, port="1-1.4")),
        ("usb://0a5f:0166/A1?driver=libusb", address.Address(0x0A5F, 0x166, serial="A1", driver="libusb")),
    ],
)
def test_an_address_is_two_numbers_and_a_serial_number_or_a_port(uri, meant):
    assert address.parse(uri) == meant


def test_the_address_of_a_device_leads_back_to_it(bus):
    serials = ["A1", "S/N 1", "@1-1", "", "", "twin", "twin", "ümlaut"]
    for at, serial in enumerate(serials):
        bus.plug(FakeUsbPrinter(serial=serial), f"1-{at + 1}")
    there = bus.machine.devices()
    for device in there:
        meant = address.parse(address.uri_of(device, there))
        assert [each for each in there if meant.fits(each)] == [device]


def test_a_device_is_found_by_its_serial_number_wherever_it_is_plugged_in(bus):
    printer = bus.plug(FakeUsbPrinter(serial="A1"), "1-1")
    bus.plug(FakeUsbPrinter(serial="B2"), "1-2")
    send(bus, "usb://0a5f:0166/A1")
    bus.unplug(printer)
    bus.plug(printer, "1-3.2")
    send(bus, "usb://0a5f:0166/A1")
    assert bytes(printer.data) == JOB * 2


def test_two_devices_that_fit_are_both_named_and_none_is_printed_on(bus):
    printers = [bus.plug(FakeUsbPrinter(), port) for port in ("1-1", "1-2.3")]
    said = refused(bus, "usb://0a5f:0166")
    assert "usb://0a5f:0166/@1-1 " in said and "usb://0a5f:0166/@1-2.3 " in said
    send(bus, "usb://0a5f:0166/@1-2.3")
    assert [bytes(each.data) for each in printers] == [b"", JOB]


def test_a_device_that_is_not_there_is_told_what_is(bus):
    assert "plug it in and switch it on" in refused(bus, "usb://0a5f:0166/A1")
    bus.plug(FakeUsbPrinter(serial="B2"))
    assert "of this model, these are plugged in: usb://0a5f:0166/B2" in refused(bus, "usb://0a5f:0166/A1")
    assert "printers, these are plugged in: usb://0a5f:0166/B2" in refused(bus, "usb://04b8:0202")


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ((3, 1, 1), "a keyboard"), ((8, 6, 80), "a disk"), ((9, 0, 0), "a hub"), ((0x42, 0, 0), "a device of class 42"),
        ((7, 1, 4), "a printer that speaks only IPP over USB"),
    ],
)  # fmt: skip
def test_what_is_no_printer_is_called_what_it_is(bus, kind, what):
    bus.plug(FakeUsbPrinter(kind=kind))
    assert f"is {what}" in refused(bus, "usb://0a5f:0166")


def test_a_serial_adapter_is_not_torn_from_its_driver(bus):
    bus.plug(FakeUsbPrinter(kind=(255, 0, 0), driver="ftdi_sio"))
    assert "serial adapter (driver ftdi_sio)" in refused(bus, "usb://0a5f:0166")


def test_a_printer_with_the_vendors_own_class_is_printed_on(bus):
    printer = bus.plug(FakeUsbPrinter(kind=(255, 0, 0)))
    send(bus, "usb://0a5f:0166")
    assert bytes(printer.data) == JOB


def test_the_list_of_printers_disturbs_none(bus):
    printer = bus.plug(FakeUsbPrinter(serial="A1"))
    bus.plug(FakeUsbPrinter(kind=(3, 1, 1)))
    assert [each.serial for each in lookup.printers(bus.machine)] == ["A1"]
    assert printer.asked == []


# -- descriptors and ids


def test_both_directions_go_before_one_and_a_printer_before_the_vendors_own():
    kinds = [(255, 0, 0), (7, 1, 3), (7, 1, 1), (7, 1, 2)]
    each = [Interface(1, 0, n, kind, out=1, packet=512) for n, kind in enumerate(kinds)]
    for count in range(4, 0, -1):
        best = descriptors.printing(each[:count])
        assert best is not None and best.kind == {4: (7, 1, 2), 3: (7, 1, 1), 2: (7, 1, 3), 1: (255, 0, 0)}[count]


def test_descriptors_that_are_cut_short_are_read_as_far_as_they_go():
    whole = FakeUsbPrinter().descriptors()
    [interface] = descriptors.parse(whole)
    assert (interface.kind, interface.out, interface.back, interface.packet) == ((7, 1, 2), 0x01, 0x82, 512)
    for size in range(len(whole)):
        descriptors.parse(whole[:size])
    assert descriptors.parse(b"\0" * 64) == ()


def test_the_device_id_is_asked_without_a_claim(bus):
    printer = bus.plug(FakeUsbPrinter())
    [device] = bus.machine.devices()
    with closing(libusb.Opened(bus, device)) as opened:
        assert opened.device_id(device.interfaces[0]) == "MFG:Fake;MDL:Label;CMD:ZPL;"
    assert printer.asked == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(0x18, ""), (None, ""), (0x30, "out of paper"), (0x10, "reports an error"), (0x08, "paused or offline")],
)
def test_a_port_status_is_said_in_words(status, words):
    assert words in portstatus.in_words(status) and bool(words) == bool(portstatus.in_words(status))


# -- how a job can end, by both ways


def test_usblp_is_the_first_choice_and_the_receipt_says_so(bus):
    printer = bus.plug(FakeUsbPrinter(serial="A1", usblp=True))
    receipt = send(bus, "usb://0a5f:0166/A1")
    assert receipt.evidence == "taken" and "usblp" in receipt.text and str(len(JOB)) in receipt.text
    deadline = time.monotonic() + 60
    while len(printer.data) < len(JOB) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bytes(printer.data) == JOB


def test_libusb_is_taken_where_usblp_does_not_serve(bus):
    bus.plug(FakeUsbPrinter(serial="A1"))
    assert "libusb (interface 0)" in send(bus, "usb://0a5f:0166/A1").text


def test_an_address_may_insist_on_usblp(bus):
    bus.plug(FakeUsbPrinter(serial="A1"))
    assert "modprobe usblp" in refused(bus, "usb://0a5f:0166/A1?driver=usblp")


def test_a_stalled_usblp_printer_is_given_up_and_the_count_says_what_may_have_left(bus):
    bus.plug(FakeUsbPrinter(usblp=True, stops_at=0))
    with pytest.raises(SendInterrupted, match=r"took nothing for 0\.3 s") as caught:
        send(bus, "usb://0a5f:0166", os.urandom(500_000))
    assert 0 < caught.value.sent < caught.value.total == 500_000


def test_a_printer_that_takes_nothing_may_be_tried_again(bus):
    printer = bus.plug(FakeUsbPrinter(stops_at=0, status=0x30))
    said = refused(bus, "usb://0a5f:0166")
    assert "took nothing for 0.3 s: the printer says it is out of paper; trying again is safe" in said
    assert bytes(printer.data) == b""


def test_a_printer_that_stops_half_way_leaves_an_exact_count(bus):
    printer = bus.plug(FakeUsbPrinter(stops_at=20_000))
    with pytest.raises(SendInterrupted, match="20000 of 102403 bytes were taken; look at the printer") as caught:
        send(bus, "usb://0a5f:0166")
    assert caught.value.sent == len(printer.data) == 20_000


def test_short_writes_are_gone_on_with(bus):
    printer = bus.plug(FakeUsbPrinter(stops_at=20_000))
    threading.Timer(0.1, lambda: setattr(printer, "stops_at", None)).start()
    send(bus, "usb://0a5f:0166", settings=Settings(stall_s=3))
    assert bytes(printer.data) == JOB


@pytest.mark.parametrize("usblp", [False, True], ids=["libusb", "usblp"])
def test_a_printer_that_runs_out_of_paper_is_waited_for_and_nothing_is_sent_twice(bus, usblp):
    printer, asked = bus.plug(FakeUsbPrinter(stops_at=20_000, status=0x30, usblp=usblp)), []
    job = os.urandom(200_000)
    refilled = threading.Timer(1.3, lambda: setattr(printer, "stops_at", None))
    with closing(Usb(bus.machine).open("usb://0a5f:0166", QUICK)) as line:
        line.on_stall = lambda seconds: asked.append(line.wire_status()) is None
        refilled.start()
        line.write(job)
        line.finish()
        until(lambda: len(printer.data) >= len(job))
    assert bytes(printer.data) == job
    assert len(asked) >= 2
    assert usblp or all(status is not None and status.blocked for status in asked), (
        "it says why in the middle of a write"
    )


@pytest.mark.parametrize("patience", [None, lambda seconds: False], ids=["nobody to ask", "no"])
def test_a_printer_that_stops_for_no_known_reason_is_given_up(bus, patience):
    bus.plug(FakeUsbPrinter(stops_at=20_000))
    with closing(Usb(bus.machine).open("usb://0a5f:0166", QUICK)) as line:
        line.on_stall = patience
        with pytest.raises(SendInterrupted, match=r"took nothing for 0\.3 s"):
            line.write(JOB)


def test_an_unplugged_printer_leaves_a_count_between_two_bounds(bus):
    printer = bus.plug(FakeUsbPrinter(goes_at=20_000))
    with pytest.raises(SendInterrupted, match=r"unplugged or switched off; between 16896 and 49664 of") as caught:
        send(bus, "usb://0a5f:0166")
    assert caught.value.sent >= len(printer.data)


def test_a_printer_that_goes_before_its_first_packet_took_nothing(bus):
    bus.plug(FakeUsbPrinter(goes_at=0))
    assert "nothing was sent" in refused(bus, "usb://0a5f:0166")


def test_a_halted_endpoint_is_told_to_go_on_for_the_next_job(bus):
    printer = bus.plug(FakeUsbPrinter(halts_at=20_000))
    with pytest.raises(SendInterrupted, match="endpoint halted"):
        send(bus, "usb://0a5f:0166")
    assert printer.asked[-1] == "clear halt"


def test_a_stop_is_heard_while_a_printer_is_stalled(bus):
    for usblp in (False, True):
        printer = bus.plug(FakeUsbPrinter(serial=str(usblp), usblp=usblp, stops_at=1000))
        began = time.monotonic()
        line = Usb(bus.machine).open(f"usb://0a5f:0166/{printer.serial}", Settings(stall_s=30))
        with closing(line), pytest.raises(SendStopped) as caught:
            line.write(os.urandom(500_000), lambda sent, began=began: time.monotonic() - began < 0.3)
        assert caught.value.sent == line.sent
        assert time.monotonic() - began < 20


def test_a_job_of_whole_packets_gets_one_harmless_byte_more(bus):
    printer = bus.plug(FakeUsbPrinter())
    receipt = send(bus, "usb://0a5f:0166", JOB[:5120], Settings(pad_boundary=b"\n"))
    assert bytes(printer.data) == JOB[:5120] + b"\n"
    assert "took 5120 bytes" in receipt.text and "1 more to end the last packet" in receipt.text
    send(bus, "usb://0a5f:0166", JOB[:5119], Settings(pad_boundary=b"\n"))
    assert len(printer.data) == 5120 + 1 + 5119


def test_a_question_behind_a_job_of_whole_packets_ends_its_last_packet(bus):
    printer = bus.plug(FakeUsbPrinter())
    with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings(pad_boundary=b"\n"))) as line:
        line.write(JOB[:5120])
        line.ask(b"~HS")
        line.finish()
    assert bytes(printer.data) == JOB[:5120] + b"~HS"


def test_what_counts_is_the_last_packet_not_the_whole_job(bus):
    printer = bus.plug(FakeUsbPrinter())
    for pieces, padded in (((100, 512), True), ((100, 412), False)):
        printer.data.clear()
        with closing(Usb(bus.machine).open("usb://0a5f:0166", Settings(pad_boundary=b"\n"))) as line:
            for size in pieces:
                line.write(b"x" * size)
            line.finish()
        assert printer.data.endswith(b"\n") is padded


def test_an_empty_packet_is_sent_only_to_printers_known_to_need_it(bus):
    printer = bus.plug(FakeUsbPrinter())
    send(bus, "usb://0a5f:0166", JOB[:5120])
    assert "zero packet" not in printer.asked
    send(bus, "usb://0a5f:0166", JOB[:5120], Settings(quirks=frozenset({"zlp"})))
    assert "zero packet" in printer.asked


# -- taking and giving back


def test_what_was_taken_from_usblp_is_given_back(bus):
    printer = bus.plug(FakeUsbPrinter(driver="usblp"))
    send(bus, "usb://0a5f:0166?driver=libusb")
    assert printer.asked == ["detach", "claim", "attach"]


def test_a_printer_that_suffers_from_being_given_back_is_not(bus):
    printer = bus.plug(FakeUsbPrinter(driver="usblp"))
    quirks = frozenset({"no-reattach", "soft-reset"})
    send(bus, "usb://0a5f:0166?driver=libusb", settings=Settings(quirks=quirks))
    assert printer.asked == ["detach", "claim", "soft reset"]


def test_a_printer_another_program_holds_is_waited_for_a_little(bus):
    printer = bus.plug(FakeUsbPrinter())
    printer.claimed_by = "another program"
    threading.Timer(0.3, lambda: setattr(printer, "claimed_by", None)).start()
    send(bus, "usb://0a5f:0166")
    assert bytes(printer.data) == JOB


def test_the_holder_of_a_printer_is_named(bus):
    printer = bus.plug(FakeUsbPrinter())
    printer.claimed_by = "another program"
    node = bus.dev / "bus" / "usb" / "001" / f"{printer.address:03}"
    for pid, command in (("71", "ipp-usb"), ("72", "bash")):
        (bus.proc / pid / "fd").mkdir(parents=True)
        (bus.proc / pid / "comm").write_text(f"{command}\n")
    (bus.proc / "71" / "fd" / "5").symlink_to(node)
    said = refused(bus, "usb://0a5f:0166")
    assert "ipp-usb (pid 71, command ipp-usb) holds it; stop it with: sudo systemctl disable --now ipp-usb" in said


def test_our_own_hold_is_recognized(tmp_path):
    with open(tmp_path / "node", "w"):
        [holder] = holders.of(tmp_path / "node")
    assert holder.pid == os.getpid() and "this program itself" in str(holder)


def test_a_printer_we_may_not_open_is_met_with_the_command(bus):
    printer = bus.plug(FakeUsbPrinter(forbidden=True))
    node = bus.dev / "bus" / "usb" / "001" / f"{printer.address:03}"
    node.parent.mkdir(parents=True)
    node.write_text("")
    node.chmod(0o600)
    said = refused(bus, "usb://0a5f:0166")
    assert 'ATTR{idVendor}=="0a5f", ATTR{idProduct}=="0166", GROUP="lp", MODE="0660"' in said
    assert "udevadm control --reload" in said and "0666" not in said
    os.chown(node, -1, 7)
    node.chmod(0o660)
    assert "sudo usermod -aG lp " in refused(bus, "usb://0a5f:0166")


# -- lists that are late, and machines without sysfs


class Renewed(FakeBus):
    """A fresh backend on the same bus, which sees all there is."""

    def __init__(self, lib: FakeBus) -> None:
        self.__dict__.update(lib.__dict__)
        self.hidden = set()


def test_a_list_of_libusb_that_stands_still_is_read_anew(bus):
    printer = bus.plug(FakeUsbPrinter())
    frozen = Renewed(bus)
    frozen.lib, frozen.hidden = bus, {printer}
    bus.machine.backend = frozen
    send(bus, "usb://0a5f:0166")
    assert bytes(printer.data) == JOB and bus.machine.backend is not frozen


def test_without_sysfs_libusb_alone_finds_the_printer(tmp_path):
    with FakeBus(tmp_path, has_sysfs=False) as bus:
        printer = bus.plug(FakeUsbPrinter(), "1-4")
        send(bus, "usb://0a5f:0166/@1-4")
        assert bytes(printer.data) == JOB


def test_without_libusb_the_text_says_how_to_get_it(bus):
    class Nowhere(Machine):
        def libusb(self, *, fresh: bool = False) -> object:
            raise libusb.Missing

    bus.plug(FakeUsbPrinter())
    machine = Nowhere(sysfs=bus.sysfs, dev=bus.dev, proc=bus.proc)
    with pytest.raises(PrinterUnreachable, match="apt-get install libusb-1.0-0"):
        Usb(machine).open("usb://0a5f:0166", QUICK)


def test_a_change_of_what_is_plugged_in_is_noticed(bus):
    noticed = threading.Event()
    with Hotplug(noticed.set, bus.machine):
        printer = bus.plug(FakeUsbPrinter())
        assert noticed.wait(60)
        noticed.clear()
        bus.unplug(printer)
        assert noticed.wait(60)


def test_opening_and_closing_is_quick_beside_many_devices(bus):
    for at in range(40):
        bus.plug(FakeUsbPrinter(serial=str(at), product=at), f"1-{at + 1}")
    began = time.perf_counter()
    for _ in range(20):
        Usb(bus.machine).open("usb://0a5f:0007/7", QUICK).close()
    assert (time.perf_counter() - began) / 20 < 0.2  # s; 1-2 ms on a quiet machine


def test_a_half_there_device_is_left_out(bus):
    bus.plug(FakeUsbPrinter(serial="A1"))
    (bus.sysfs / "1-9").mkdir()
    (bus.sysfs / "usb1").mkdir()
    assert [each.serial for each in sysfs.devices(bus.sysfs)] == ["A1"]


def test_a_bad_address_is_told_what_is_right():
    with pytest.raises(BadPrinterUri, match="as lsusb shows them; write usb://0a5f:0166/SERIALNUMBER"):
        address.parse("usb://zebra/1")
