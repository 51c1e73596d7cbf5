"""Printing over USB: both ways, byte for byte, and what can happen to a printer in the middle of a job."""

from __future__ import annotations

import threading
import time
from contextlib import closing

from devices import transports
from devices.contracts import Receipt, Settings
from devices.errors import PrinterUnreachable, SendInterrupted
from devices.usb import lookup
from devices.usb.address import uri_of
from devices.usb.machine import HERE
from tests.usb.gadget import PAPER_OUT, READY, Printer, until

LABEL = b"^XA^FO20,20^A0N,30,30^FDPallet %06d^FS^FO20,60^BCN,80^FD%06d^FS^XZ\n"
EXACT = b"".join(LABEL % (n, n) for n in range(2000))[: 100 * 1024]  # whole packets of 512 bytes
JOB = EXACT + b"^XA^XZ\n"
SETTINGS = Settings(stall_s=2.0)
USBLP, LIBUSB = "", "?driver=libusb"
WAYS = (USBLP, LIBUSB)


def uri(serial: str, way: str = USBLP) -> str:
    return f"usb://0a5f:0166/{serial}{way}"


def send(address: str, data: bytes, settings: Settings = SETTINGS) -> Receipt:
    with closing(transports.open(address, settings)) as line:
        line.write(data)
        return line.finish()


def refused(address: str, data: bytes = JOB, settings: Settings = SETTINGS) -> str:
    """The words of a job of which nothing left."""
    try:
        send(address, data, settings)
    except PrinterUnreachable as error:
        return str(error)
    raise AssertionError("it printed")


def cut_off(address: str, settings: Settings = SETTINGS) -> SendInterrupted:
    try:
        send(address, JOB, settings)
    except SendInterrupted as error:
        assert 0 < error.sent < error.total == len(JOB), error
        return error
    raise AssertionError("it printed")


def scenario_100_kB_by_usblp_arrives_byte_for_byte() -> str:
    with Printer("A1") as printer:
        receipt = send(uri("A1"), JOB)
        assert printer.wait_for(len(JOB)) == JOB
        assert "usblp (/dev/usb/lp0)" in receipt.text
        return receipt.text


def scenario_100_kB_by_libusb_arrives_byte_for_byte_and_usblp_comes_back() -> str:
    with Printer("A1") as printer:
        receipt = send(uri("A1", LIBUSB), JOB)
        assert printer.wait_for(len(JOB)) == JOB
        assert "libusb (interface 0)" in receipt.text
        printer.data.clear()
        send(uri("A1"), JOB)
        assert printer.wait_for(len(JOB)) == JOB
        return receipt.text


def scenario_a_job_of_whole_packets_comes_out_whole() -> str:
    said = []
    with Printer("A1") as printer:
        for way in WAYS:
            printer.data.clear()
            receipt = send(uri("A1", way), EXACT, Settings(stall_s=2, pad_boundary=b"\n"))
            assert printer.wait_for(len(EXACT) + 1) == EXACT + b"\n"
            said.append(receipt.text)
        printer.data.clear()
        receipt = send(uri("A1"), EXACT, Settings(stall_s=2, quirks=frozenset({"zlp"})))
        assert printer.wait_for(len(EXACT)) == EXACT
        said.append(receipt.text)
    return "\n".join(said)


def scenario_a_printer_that_pauses_again_and_again_gets_every_byte_once() -> None:
    for way in WAYS:
        with Printer("A1", queue=2, reads=False) as printer:
            stop = threading.Event()
            reader = threading.Thread(target=_read_in_gulps, args=(printer, stop))
            reader.start()
            try:
                send(uri("A1", way), JOB)
                assert printer.wait_for(len(JOB)) == JOB
            finally:
                stop.set()
                reader.join()


def _read_in_gulps(printer: Printer, stop: threading.Event) -> None:
    while not stop.is_set():
        printer.gulp(10_000, 0.3)
        time.sleep(0.1)


def scenario_a_printer_without_paper_took_nothing_and_the_next_try_prints() -> str:
    said = ""
    for way in WAYS:
        with Printer("A1", reads=False) as printer:
            printer.says(PAPER_OUT)
            began = time.monotonic()
            said = refused(uri("A1", way), settings=Settings(stall_s=1.0))
            assert "out of paper" in said, said
            assert time.monotonic() - began < 15
            printer.says(READY)
            printer.read()
            send(uri("A1", way), JOB)
            got = printer.wait_for(len(JOB))
            assert got == JOB, (way, len(got), got[:80], got.find(JOB[:600]))
    return said


def scenario_a_printer_that_stops_in_the_middle_leaves_a_counted_doubt_and_is_not_left_hanging() -> str:
    said = []
    for way in WAYS:
        with Printer("A1", queue=2, reads=False) as printer:
            threading.Thread(target=printer.gulp, args=(30_000,)).start()
            began = time.monotonic()
            error = cut_off(uri("A1", way), Settings(stall_s=1.0))
            assert time.monotonic() - began < 20
            said.append(str(error))
            printer.read()
            time.sleep(0.5)
            assert error.sent - 16_384 <= len(printer.data) <= error.sent, (len(printer.data), error.sent)
            send(uri("A1", way), b"next")  # the node was let go of
    return "\n".join(said)


def scenario_unplugged_in_mid_write_says_how_much_had_left_and_prints_again_soon_after_its_return() -> str:
    said = []
    for way in WAYS:
        with Printer("A1", queue=2, reads=False) as printer:
            threading.Thread(target=printer.gulp, args=(30_000,)).start()
            threading.Timer(0.7, printer.pull).start()
            error = cut_off(uri("A1", way), Settings(stall_s=20))
            assert error.sent >= len(printer.data) and "unplugged" in str(error), error
            printer.unplug()
            assert "not plugged in" in refused(uri("A1", way))
            printer.data.clear()
            printer.reads = True
            printer.plug()
            began = time.monotonic()
            send(uri("A1", way), JOB)
            took = time.monotonic() - began
            assert printer.wait_for(len(JOB)) == JOB
            assert took < 5, took
            said.append(f"{error}; printed {took:.2f} s after its return")
    return "\n".join(said)


def scenario_a_printer_switched_off_before_the_first_packet_took_nothing() -> None:
    for way in WAYS:
        with Printer("A1", reads=False) as printer:
            threading.Timer(0.5, printer.pull).start()
            assert "nothing was sent" in refused(uri("A1", way), settings=Settings(stall_s=20))


def scenario_two_identical_printers_without_serial_numbers_are_never_mixed() -> str:
    with Printer(where=0) as left, Printer(where=1) as right:
        both = lookup.printers(HERE)
        uris = [uri_of(device, both) for device in both]
        assert len(set(uris)) == 2 and all("/@" in each for each in uris), uris
        said = refused("usb://0a5f:0166")
        assert all(each in said for each in uris), said
        ports = {left: uris[0], right: uris[1]}
        for _ in range(2):
            for way in WAYS:
                for printer, address in ports.items():
                    printer.data.clear()
                    send(address + way, address.encode())
                assert all(p.wait_for(len(a)) == a.encode() for p, a in ports.items())
            left.unplug()
            right.unplug()
            right.plug()  # in the other order: their numbers on the bus change, their ports do not
            left.plug()
        return said


def scenario_two_printers_with_one_serial_number_are_refused_and_told_apart_by_port() -> None:
    with Printer("SAME", where=0), Printer("SAME", where=1) as right:
        uris = [uri_of(device, lookup.printers(HERE)) for device in lookup.printers(HERE)]
        said = refused(uri("SAME"))
        assert all(each in said for each in uris), said
        send(uris[1], b"right")
        assert right.wait_for(5) == b"right"


def scenario_a_printer_behind_another_function_is_found_by_its_descriptors() -> None:
    for way in WAYS:
        with Printer("C1", before=("acm.s0",)) as printer:
            receipt = send(uri("C1", way), JOB)
            assert printer.wait_for(len(JOB)) == JOB
            assert not way or "interface 2" in receipt.text, receipt


def scenario_a_full_speed_printer_has_packets_of_64_bytes() -> None:
    for way in WAYS:
        with Printer("F1", speed="full-speed") as printer:
            send(uri("F1", way), EXACT[:6400], Settings(pad_boundary=b"\n"))
            assert printer.wait_for(6401) == EXACT[:6400] + b"\n"


def scenario_a_device_without_interfaces_of_a_printer_is_refused() -> str:
    assert until(lambda: any(each.vendor == 0x0627 for each in HERE.devices()), 10), "QEMU's keyboard is not there"
    said = refused("usb://0627:0001")
    assert "keyboard" in said and "no printer" in said, said
    ftdi = refused("usb://0403:6001")
    assert "serial adapter" in ftdi, ftdi
    return f"{said}\n{ftdi}"
