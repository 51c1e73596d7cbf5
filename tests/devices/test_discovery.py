"""Discovery against real sockets, real mDNS on loopback, real ptys, and a sysfs built in a folder."""

from __future__ import annotations

import gc
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import discovery
from devices.discovery import find, look, mdns, neighbours, snmp, subnet, usb
from devices.discovery.candidate import Sighting, slug
from devices.discovery.merge import merged
from devices.discovery.moved import where_is
from devices.discovery.places import Places
from devices.identify import identify
from devices.serialports import Port
from devices.transports import check, tcp
from tests.serving import free_port

ZEBRA = "MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL;MODEL:ZTC ZD421-300dpi ZPL;CLASS:PRINTER;"
MAC = "00:07:4d:12:34:56"


# -- a machine made of folders


@pytest.fixture
def here(tmp_path: Path) -> Places:
    """A machine with nothing on it, on whose loopback nobody announces anything."""
    for folder in ("sysfs", "dev/usb", "proc/net"):
        (tmp_path / folder).mkdir(parents=True)
    return Places(
        sysfs=tmp_path / "sysfs", dev=tmp_path / "dev", proc=tmp_path / "proc", serial_ports=list,
        interfaces=("127.0.0.1",),
    )  # fmt: skip


PRINTER, VENDOR, SCALE = (7, 1, 2), (255, 0, 0), (3, 0, 0)


def plug(
    here: Places, port: str, ids: str = "0a5f:0166", *, kind: tuple[int, int, int] = PRINTER, serial: str = "",
    name: str = "", device_id: str = "", driver: str = "usblp", lp: str = "lp0", node: bool = True,
) -> Path:  # fmt: skip
    """A USB device as sysfs shows it, with its nodes in dev."""
    folder = here.sysfs / port
    place = folder / f"{port}:1.0"
    place.mkdir(parents=True)
    number = len(list(here.sysfs.iterdir())) + 1
    texts = {
        "busnum": port[0], "devnum": str(number), "idVendor": ids[:4], "idProduct": ids[5:], "serial": serial,
        "product": name, "bConfigurationValue": "1",
    }  # fmt: skip
    for key, text in texts.items():
        if text:
            (folder / key).write_text(text + "\n")
    (folder / "descriptors").write_bytes(descriptors(*kind))
    if driver:
        (place / "driver").symlink_to(f"../../../bus/usb/drivers/{driver}")
    if driver == "usblp":
        (place / "usbmisc" / lp).mkdir(parents=True)
        (place / "ieee1284_id").write_text(device_id + "\n")
    path = here.dev / "usb" / lp if driver == "usblp" else here.dev / f"bus/usb/{int(port[0]):03}/{number:03}"
    if node:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return path


def descriptors(*kind: int) -> bytes:
    """Device, configuration 1, one interface of this kind, bulk out and in."""
    device = bytes([18, 1]) + bytes(16)
    configuration = bytes([9, 2]) + struct.pack("<HBB", 32, 1, 1) + bytes(3)
    interface = bytes([9, 4, 0, 0, 2, *kind, 0])
    ends = bytes([7, 5, 0x01, 2, 0, 2, 0]) + bytes([7, 5, 0x82, 2, 0, 2, 0])
    return device + configuration + interface + ends


# -- USB


def test_a_usb_printer_is_known_from_sysfs_without_opening_it(here: Places) -> None:
    node = plug(here, "1-1.4", serial="D4J205103283", name="ZTC ZD421-300dpi ZPL", device_id=ZEBRA)
    opened = node.stat().st_atime_ns
    [found] = find(mdns_s=0, here=here)
    assert (found.uri, found.name, found.language, found.dpi) == (
        "usb://0a5f:0166/D4J205103283", "zebra-zd421-300-dpi", "zpl", 300
    )  # fmt: skip
    assert found.reason == "because MDL is ZTC ZD421-300dpi ZPL"
    assert (found.where, found.serial, found.trouble, found.others) == ("on USB port 1-1.4", "D4J205103283", "", ())
    assert node.stat().st_atime_ns == opened


def test_two_identical_printers_without_serials_are_two_candidates(here: Places) -> None:
    plug(here, "1-1", device_id=ZEBRA, lp="lp0")
    plug(here, "1-2", device_id=ZEBRA, lp="lp1")
    found = find(mdns_s=0, here=here)
    assert [each.uri for each in found] == ["usb://0a5f:0166/@1-1", "usb://0a5f:0166/@1-2"]
    assert [each.name for each in found] == ["zebra-zd421-300-dpi", "zebra-zd421-300-dpi-2"]


def test_two_printers_that_claim_the_same_serial_are_still_two(here: Places) -> None:
    plug(here, "1-1", "0922:0020", device_id="MFG:DYMO;MDL:LabelWriter 450;", serial="01010112345600", lp="lp0")
    plug(here, "1-2", "0922:0020", device_id="MFG:DYMO;MDL:LabelWriter 450;", serial="01010112345600", lp="lp1")
    assert [each.uri for each in find(mdns_s=0, here=here)] == ["usb://0922:0020/@1-1", "usb://0922:0020/@1-2"]


def test_what_is_no_printer_is_left_out_and_a_makers_own_class_is_not(here: Places) -> None:
    plug(here, "1-1", "0922:8003", kind=SCALE, driver="usbhid")
    plug(here, "1-2", "0403:6001", kind=VENDOR, driver="ftdi_sio")
    plug(here, "1-3", "04b8:0202", kind=VENDOR, driver="", serial="J4RF", name="TM-T88IV")
    [found] = find(mdns_s=0, here=here)
    assert (found.uri, found.model and found.model.name) == ("usb://04b8:0202/J4RF", "Epson TM-T88IV")
    assert "vendor-class" in found.identity.quirks


def test_a_printer_nobody_knows_is_offered_all_the_same(here: Places) -> None:
    plug(here, "3-2", "28e9:0289", name="USB Portable Printer", device_id="")
    [found] = find(mdns_s=0, here=here)
    assert (found.name, found.language, found.identity.score) == ("usb-portable-printer", None, 0)


@pytest.fixture
def nobody() -> Iterator[None]:
    """A user without rights, also when the tests run as root."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder everybody may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture
def forbidden(open_folder: Path) -> Places:
    """A machine with one printer that its user may not open."""
    for each in ("sysfs", "dev", "proc"):
        (open_folder / each).mkdir()
    here = Places(open_folder / "sysfs", open_folder / "dev", open_folder / "proc", list)
    plug(here, "1-1", device_id=ZEBRA).chmod(0o000)
    return here


def test_a_printer_this_user_may_not_open_says_what_to_do(forbidden: Places, nobody: None) -> None:
    [found] = find(mdns_s=0, here=forbidden)
    assert found.trouble.startswith(f"this user may not open {forbidden.dev}/usb/lp0: ")
    assert "sudo" in found.trouble


def test_a_printer_whose_node_is_not_passed_into_the_container_says_so(here: Places) -> None:
    node = plug(here, "1-1", device_id=ZEBRA, node=False)
    [found] = find(mdns_s=0, here=here)
    assert found.trouble == f"{node} is not there: in a container, pass the device in"


def test_the_program_that_holds_a_printer_is_named(here: Places) -> None:
    node = plug(here, "1-1", device_id=ZEBRA)
    with node.open():
        [found] = find(mdns_s=0, here=replace(here, proc=Path("/proc")))
    assert found.trouble == (
        f"this program itself (pid {os.getpid()}) holds it; two of its printers are the same device: remove one"
    )
    plug(here, "1-2", device_id=ZEBRA, driver="usbfs")
    claimed = next(each for each in find(mdns_s=0, here=here) if "1-2" in each.where)
    assert claimed.trouble.startswith("another program has claimed it: ")


def test_a_device_pulled_while_it_is_read_hides_no_other(here: Places) -> None:
    plug(here, "1-1", device_id=ZEBRA, serial="A")
    gone = plug(here, "1-2", device_id=ZEBRA, serial="B", lp="lp1")
    (here.sysfs / "1-2" / "devnum").unlink()
    assert gone.exists()
    assert [each.serial for each in find(mdns_s=0, here=here)] == ["A"]


def test_a_thousand_looks_disturb_nobody_and_take_little_time(here: Places) -> None:
    for number in range(1, 9):
        plug(here, f"1-{number}", device_id=ZEBRA, serial=f"S{number}", lp=f"lp{number}")
    began = time.perf_counter()
    for _ in range(20):
        assert len(find(mdns_s=0, here=here)) == 8
    assert (time.perf_counter() - began) / 20 < 0.5


# -- serial ports


def test_a_serial_port_is_offered_but_not_taken_for_a_printer(here: Places) -> None:
    master, slave = pty.openpty()
    try:
        path = os.ttyname(slave)
        here = replace(here, serial_ports=lambda: [Port(path, "n/a")])
        os.close(slave)
        [found] = find(mdns_s=0, here=here)
    finally:
        os.close(master)
    assert (found.uri, found.likely, found.trouble) == (f"serial://{path}?baud=9600", False, "")
    assert found.name == f"printer-{Path(path).name}"
    assert found.reason.startswith("because a serial port does not say what is connected to it")


def test_a_serial_port_that_is_open_names_who_has_it(here: Places) -> None:
    master, slave = pty.openpty()
    with ExitStack() as stack:
        stack.callback(os.close, master)
        stack.callback(os.close, slave)
        path = os.ttyname(slave)
        [found] = find(mdns_s=0, here=replace(here, serial_ports=lambda: [Port(path, "FT232R USB UART")]))
    assert f"process {os.getpid()}" in found.trouble and found.trouble.endswith("has it open")


def test_ports_are_never_taken_for_one_another_and_come_after_printers(here: Places) -> None:
    plug(here, "1-1", "28e9:0289", name="USB Portable Printer")
    ports = [Port(f"/dev/ttyS{n}", "n/a") for n in range(2)]
    found = find(mdns_s=0, here=replace(here, serial_ports=lambda: ports))
    assert [each.name for each in found] == ["usb-portable-printer", "printer-ttys0", "printer-ttys1"]
    assert usb.keys_of(0x1D90, 0x2060, "0.00") == usb.keys_of(0x1D90, 0x2060, "") == frozenset()


def test_three_ways_to_one_printer_are_one_candidate_however_they_are_linked() -> None:
    nothing = identify()
    ways = [("tcp://a", {"1", "9"}), ("tcp://b", {"1"}), ("tcp://c", {"9"}), ("tcp://d", {"5"})]
    sightings = [Sighting(uri, nothing, "", "", frozenset(keys), 1) for uri, keys in ways]
    for order in permutations(sightings):
        found = merged(order)
        assert sorted(len(each.others) for each in found) == [0, 2]


def test_a_printer_with_a_printer_and_a_serial_interface_is_one_candidate(here: Places) -> None:
    plug(here, "1-1", "1504:003d", serial="SRP0001", device_id="MFG:BIXOLON;MDL:SRP-350plusIII;")
    port = Port("/dev/ttyACM0", "SRP-350plusIII", None, "SRP0001", 0x1504, 0x003D)
    [found] = find(mdns_s=0, here=replace(here, serial_ports=lambda: [port]))
    assert (found.uri, found.others) == ("usb://1504:003d/SRP0001", ("serial:///dev/ttyACM0?baud=9600",))
    assert found.where == "on USB port 1-1 and on serial port /dev/ttyACM0"


# -- a subnet


class Listener(threading.Thread):
    """Takes connections at one address, keeps what it is sent."""

    def __init__(self, host: str, port: int = 0) -> None:
        super().__init__(daemon=True)
        self.heard: list[bytes] = []
        self.socket = socket.create_server((host, port))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            try:
                line, _ = self.socket.accept()
            except OSError:
                return
            with line:
                line.settimeout(60)
                self.heard.append(line.recv(100))

    def close(self) -> None:
        if self.socket.fileno() >= 0:
            self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
        self.join(5)


@pytest.fixture
def raw_printers() -> Iterator[list[Listener]]:
    first = Listener("127.0.0.7")
    second = Listener("127.0.0.9", first.port)
    with closing(first), closing(second):
        yield [first, second]


def test_a_subnet_is_tried_only_when_asked_and_not_a_byte_is_sent(here: Places, raw_printers: list[Listener]) -> None:
    here = replace(here, raw_port=raw_printers[0].port)
    assert find(mdns_s=0, here=here) == []
    found = find(mdns_s=0, subnet="127.0.0.0/28", here=here)
    assert [each.uri for each in found] == [f"tcp://127.0.0.{n}:{here.raw_port}" for n in (7, 9)]
    assert [each.name for each in found] == ["printer-127-0-0-7", "printer-127-0-0-9"]
    for printer in raw_printers:
        printer.close()
        assert printer.heard == [b""]


def test_a_printer_that_is_printing_is_left_alone(here: Places, raw_printers: list[Listener]) -> None:
    here = replace(here, raw_port=raw_printers[0].port)
    [found] = find(mdns_s=0, subnet="127.0.0.0/28", spare=["127.0.0.7"], here=here)
    assert found.uri.startswith("tcp://127.0.0.9:") and raw_printers[0].heard == []


def test_one_printer_on_two_addresses_is_one_candidate(here: Places, raw_printers: list[Listener]) -> None:
    arp(here, "127.0.0.7", MAC)
    arp(here, "127.0.0.9", MAC)
    [found] = find(mdns_s=0, subnet="127.0.0.0/28", here=replace(here, raw_port=raw_printers[0].port))
    assert (found.mac, len(found.others)) == (MAC, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("192.168.0.0/16", "'192.168.0.0/16' has 65536 addresses, at most 1024 are tried: a /22 or less"),
        ("10.0.0.0/0", "is not a subnet|has 4294967296 addresses"),
        ("fe80::/64", "'fe80::/64': an IPv6 subnet is too large"),
        ("printers", r"'printers' is not a subnet \(.*\); write 192.168.1.0/24"),
        ("192.168.1.0/33", "is not a subnet"),
    ],
)
def test_a_bad_subnet_is_refused_with_what_to_write(text: str, why: str) -> None:
    with pytest.raises(subnet.BadSubnet, match=why):
        find(subnet=text)


def test_a_subnet_may_be_written_as_an_address_in_it() -> None:
    assert len(subnet.hosts("192.168.1.7/24")) == 254
    assert subnet.hosts(" 10.0.0.7/32 ") == ["10.0.0.7"]
    assert len(subnet.hosts("10.0.0.0/22")) == 1022


def test_a_silent_subnet_is_given_up_within_seconds(here: Places) -> None:
    began = time.monotonic()
    assert subnet.answering(subnet.hosts("127.0.4.0/22"), free_port()) == []
    assert time.monotonic() - began < 40


# -- what a network card says (SNMP)


class Agent(threading.Thread):
    """A printer's network card: answers each question about an OID it knows, says noSuchName to others."""

    def __init__(self, host: str, says: dict[str, str], *, answers_from: socket.socket | None = None) -> None:
        super().__init__(daemon=True)
        self.says = {snmp.question(oid, 0): text.encode() for oid, text in says.items()}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.mouth = answers_from or self.socket
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self) -> None:
        while True:
            data, sender = self.socket.recvfrom(2000)
            if data == b"stop":
                return
            at = data.index(b"\xa0") + 2 + 2
            plain = data[:at] + b"\0" + data[at + 1 :]
            self.mouth.sendto(response(data[at], self.says.get(plain)), sender)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
            stop.sendto(b"stop", self.socket.getsockname())
        self.join(5)
        self.socket.close()


def response(number: int, text: bytes | None) -> bytes:
    """A GetResponse as RFC 1157 has it, with lengths in their long form, as net-snmp sends them."""

    def long(tag: int, content: bytes) -> bytes:
        return bytes([tag, 0x82]) + len(content).to_bytes(2, "big") + content

    value = b"\x05\0" if text is None else long(4, text)
    binding = long(0x30, long(0x30, b"\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00" + value))
    status = b"\x02\x01" + (b"\x02" if text is None else b"\0") + b"\x02\x01\0"
    pdu = long(0xA2, bytes([2, 1, number]) + status + binding)
    return long(0x30, b"\x02\x01\0\x04\x06public" + pdu)


def test_the_question_is_the_one_every_snmp_tool_sends() -> None:
    assert snmp.question("1.3.6.1.2.1.1.1.0", 1) == bytes.fromhex(
        "30 26 02 01 00 04 06 70 75 62 6c 69 63 a0 19 02 01 01 02 01 00 02 01 00 30 0e 30 0c 06 08 2b 06 01 02 01 01 "
        "01 00 05 00"
    )
    assert bytes.fromhex("2b 06 01 04 01 81 00") in snmp.question("1.3.6.1.4.1.128", 0)


@pytest.mark.parametrize(
    ("says", "model", "label"),
    [
        ({snmp._DEVICE_ID: "MFG:Brother;CMD:PT-CBP;MDL:QL-820NWB;SN:E1;"}, "Brother QL-820NWB", "Brother QL-820NWB"),
        ({snmp._DEVICE: "Zebra ZD421-203dpi ZPL", snmp._SYSTEM: "Linux"}, "Zebra ZD421 203 dpi",
         "Zebra ZD421-203dpi ZPL"),
        ({snmp._SYSTEM: "EPSON TM-T88V"}, "Epson TM-T88V", "EPSON TM-T88V"),
        ({snmp._SYSTEM: "Linux server 6.1\n"}, None, "Linux server 6.1"),
        ({}, None, ""),
    ],
)  # fmt: skip
def test_a_printer_in_the_subnet_is_known_by_what_its_network_card_says(
    here: Places, raw_printers: list[Listener], says: dict[str, str], model: str | None, label: str
) -> None:
    with closing(Agent("127.0.0.7", says)) as agent:
        here = replace(here, raw_port=raw_printers[0].port, snmp_port=agent.port)
        [found] = find(mdns_s=0, subnet="127.0.0.7/32", here=here)
    assert (found.model.name if found.model else None, found.label) == (model, label)


def test_an_answer_from_somebody_who_was_not_asked_counts_for_nobody() -> None:
    says = {snmp._SYSTEM: "EPSON TM-T88V"}
    with closing(Agent("127.0.0.7", says)) as agent:
        assert snmp.ask(["127.0.0.7"], agent.port) == {"127.0.0.7": snmp.Told(system="EPSON TM-T88V")}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.9", 0))
        with closing(Agent("127.0.0.7", says, answers_from=stranger)) as agent:
            assert snmp.ask(["127.0.0.7"], agent.port) == {}


def test_a_network_of_silent_cards_is_given_up_soon() -> None:
    began = time.monotonic()
    assert snmp.ask([f"127.0.5.{n}" for n in range(1, 255)], free_port()) == {}
    assert snmp.ask([]) == {}
    assert time.monotonic() - began < 20


@given(st.binary(max_size=300))
def test_no_answer_whatever_raises(data: bytes) -> None:
    snmp.answer(data)
    snmp.answer(response(1, data))
    snmp.answer(response(1, b"text")[: len(data)] + data)


def test_an_answer_cut_short_anywhere_is_no_answer() -> None:
    whole = response(2, b"EPSON TM-T88V")
    assert snmp.answer(whole) == (2, "EPSON TM-T88V")
    assert snmp.answer(whole.replace(bytes([2, 1, 2, 2, 1, 0]), bytes([2, 1, 2, 2, 1, 5]))) is None, "genErr"
    assert [snmp.answer(whole[:end]) for end in range(len(whole))] == [None] * len(whole)


# -- mDNS, announced by another process

ANNOUNCE = """
import concurrent.futures, json, socket, sys
from zeroconf import ServiceInfo, Zeroconf
zeroconf = Zeroconf(interfaces=["127.0.0.1"])
infos = [
    ServiceInfo(kind, f"{name}.{kind}", port, properties=txt, server=name.replace(" ", "-") + ".local.",
                addresses=[socket.inet_aton(host)])
    for kind, name, host, port, txt in json.loads(sys.argv[1])
]
with concurrent.futures.ThreadPoolExecutor(len(infos)) as pool:
    list(pool.map(zeroconf.register_service, infos))
print("announced", flush=True)
sys.stdin.read()
zeroconf.close()
"""
RAW, LPD, IPP = mdns.SERVICES
DOCK = {"ty": "Zebra ZD421", "usb_MFG": "Zebra Technologies", "usb_MDL": "ZTC ZD421-203dpi ZPL", "usb_CMD": "ZPL"}
ANNOUNCED = [
    (RAW, "ZD421 dock", "127.0.0.31", 9100, DOCK),
    (LPD, "ZD421 dock", "127.0.0.31", 515, {"rp": "auto", **DOCK}),
    (IPP, "ZD421 dock", "127.0.0.31", 631, {"rp": "ipp/print"}),
    (IPP, "EPSON TM-m30II", "127.0.0.32", 631, {"ty": "EPSON TM-m30II", "product": "(TM-m30II)", "rp": "ipp/print"}),
    (IPP, "Office @ server", "127.0.0.33", 631, {"rp": "printers/Office", "ty": "HP LaserJet"}),
    (RAW, "Print server 2", "127.0.0.34", 9101, {"ty": "Print server"}),
    (RAW, "evil \u202e" + "x" * 30, "127.0.0.35", 9100, {"ty": "\x1b]0;owned\x07" + "y" * 180}),
]


@pytest.fixture(scope="module")
def announcer() -> Iterator[Listener]:
    """Another process that announces ANNOUNCED on loopback, and a printer here that it announces as well."""
    with closing(Listener("127.0.0.36")) as printer, subprocess.Popen(
        [sys.executable, "-c", ANNOUNCE, json.dumps([*ANNOUNCED, (RAW, "Here", "127.0.0.36", printer.port, {})])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout and process.stdout.readline() == b"announced\n"
        yield printer
        assert process.stdin
        process.stdin.close()
        process.wait(20)


def test_announced_printers_are_found_each_once(here: Places, announcer: Listener) -> None:
    found = {each.mdns: each for each in find(mdns_s=2.5, here=here)}
    dock = found["ZD421 dock"]
    assert (dock.uri, dock.language, dock.dpi, dock.trouble) == ("tcp://127.0.0.31:9100", "zpl", 203, "")
    assert (dock.name, dock.others) == ("zebra-zd421-203-dpi", ())
    assert dock.where == "at 127.0.0.31, announced as 'ZD421 dock'"
    epson = found["EPSON TM-m30II"]
    assert epson.model and (epson.model.name, epson.uri) == ("Epson TM-m30II", "tcp://127.0.0.32:9100")
    assert epson.trouble == "it announces no raw port; 9100 is a guess, try a test print"
    assert found["Print server 2"].uri == "tcp://127.0.0.34:9101"
    assert not any("server" in name and "Office" in name for name in found), "another computer's queue is no printer"
    for each in found.values():
        check(each.uri)
        assert all(letter.isprintable() for letter in each.label + each.where + each.name), each


def test_a_printer_announced_and_answering_in_the_subnet_is_one_candidate(
    here: Places, announcer: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subnet, "PATIENCE_S", 20.0)
    here = replace(here, raw_port=announcer.port)
    [found] = [each for each in find(mdns_s=2, subnet="127.0.0.32/29", here=here) if each.mdns == "Here"]
    assert (found.uri, found.others, found.name) == (f"tcp://127.0.0.36:{announcer.port}", (), "here")
    assert found.where == (
        f"at 127.0.0.36, announced as 'Here' and at 127.0.0.36, answering on port {announcer.port}"
    )


def test_a_printer_is_found_again_by_its_mdns_name(here: Places, announcer: Listener) -> None:
    began = time.monotonic()
    assert where_is(mdns_name="ZD421 dock", mdns_s=60, here=here) == "127.0.0.31"
    assert where_is(mdns_name="zd421 DOCK._pdl-datastream._tcp.local.", mdns_s=60, here=here) == "127.0.0.31"
    assert time.monotonic() - began < 50, "it does not wait longer than it must"
    assert where_is(mdns_name="ZD421 attic", mdns_s=0.5, here=here) is None


def test_looking_takes_no_longer_than_it_was_given(here: Places) -> None:
    began = time.monotonic()
    assert mdns.services(0.5, here) is not None
    assert time.monotonic() - began < 20


def test_without_zeroconf_the_rest_is_found_and_the_remark_says_how_to_get_it(
    here: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    plug(here, "1-1", device_id=ZEBRA)
    found = look(mdns_s=1, here=here)
    assert len(found.candidates) == 1
    assert found.remarks == [
        "network printers that announce themselves are not listed: zeroconf is not installed; "
        "pip install 'print-bridge[discover]'"
    ]
    with pytest.raises(mdns.NoZeroconf):
        where_is(mdns_name="ZD421 dock", here=here)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # zeroconf 0.154 forgets a socket then
def test_without_a_network_the_rest_is_found_and_the_remark_says_why(here: Places) -> None:
    plug(here, "1-1", device_id=ZEBRA)
    found = look(mdns_s=1, here=replace(here, interfaces=("203.0.113.1",)))
    gc.collect()
    assert len(found.candidates) == 1
    assert found.remarks == ["network printers that announce themselves are not listed: No such device"]


def test_the_library_is_imported_only_when_it_is_needed() -> None:
    program = "import sys, devices.discovery; print('zeroconf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"


# -- addresses that moved


def arp(here: Places, host: str, mac: str, flags: str = "0x2") -> None:
    path = here.proc / "net" / "arp"
    if not path.exists():
        path.write_text("IP address       HW type     Flags       HW address            Mask     Device\n")
    with path.open("a") as file:
        file.write(f"{host:<16} 0x1         {flags:<11} {mac}     *        eth0\n")


def test_a_printer_is_found_again_by_its_mac(here: Places, raw_printers: list[Listener]) -> None:
    here = replace(here, raw_port=raw_printers[0].port)
    arp(here, "127.0.0.3", MAC)  # where it was: nobody answers there any more
    arp(here, "127.0.0.9", MAC)
    arp(here, "127.0.0.7", "00:07:4d:ff:ff:ff")
    assert where_is(mac=MAC, here=here) == "127.0.0.9"
    assert where_is(mac="00-07-4D-12-34-56", here=here) == "127.0.0.9"
    assert where_is(mac="00:07:4d:00:00:00", here=here) is None
    assert where_is(mac="no mac", here=here) is None


def test_a_printer_this_machine_has_never_spoken_to_is_found_by_its_mac_in_a_subnet(
    here: Places, raw_printers: list[Listener]
) -> None:
    """The ARP table here is a FIFO: empty when it is read first, filled once the subnet has been tried."""
    os.mkfifo(here.proc / "net" / "arp")

    def kernel() -> None:
        with (here.proc / "net" / "arp").open("w") as file:
            file.write("IP address\n")
        while not raw_printers[1].heard:
            time.sleep(0.01)
        with (here.proc / "net" / "arp").open("w") as file:
            file.write(f"IP address\n127.0.0.9 0x1 0x2 {MAC} * eth0\n")

    thread = threading.Thread(target=kernel, daemon=True)
    thread.start()
    here = replace(here, raw_port=raw_printers[0].port)
    assert where_is(mac=MAC, subnet="127.0.0.0/28", here=here) == "127.0.0.9"
    thread.join(5)


def test_an_unanswered_or_garbled_line_of_the_arp_table_is_no_neighbour(here: Places) -> None:
    arp(here, "10.0.0.1", MAC, flags="0x0")
    arp(here, "10.0.0.2", "00:00:00:00:00:00")
    arp(here, "10.0.0.3", "not a mac")
    arp(here, "10.0.0.4", MAC.upper(), flags="0x6")
    with (here.proc / "net" / "arp").open("a") as file:
        file.write("\n1\n10.0.0.5 0x1 zz\n10.0.0.6 0x1 zz 00:07:4d:12:34:56 * eth0\n")
    assert neighbours.table(here) == {"10.0.0.4": MAC}


def test_nothing_to_go_by_finds_nothing(here: Places) -> None:
    assert where_is(here=here) is None


# -- the whole


def test_every_uri_is_ready_to_be_configured(here: Places) -> None:
    plug(here, "1-1", device_id=ZEBRA, serial="odd/serial ?#%")
    here = replace(here, serial_ports=lambda: [Port("/dev/serial/by-id/usb-FTDI_FT232R", "FT232R")])
    for found in find(mdns_s=0, here=here):
        if not found.uri.startswith("usb"):
            check(found.uri)
    assert find(mdns_s=0, here=here)[0].uri == "usb://0a5f:0166/odd%2Fserial%20%3F%23%25"
    assert tcp.parse(f"tcp://{mdns._in_uri('fe80::1%eth0')}:9100") == ("fe80::1%eth0", 9100)


def test_a_machine_without_sysfs_or_arp_table_has_nothing_and_no_error(tmp_path: Path) -> None:
    here = Places(sysfs=tmp_path / "no", dev=tmp_path, proc=tmp_path / "no", serial_ports=list)
    assert look(mdns_s=0, here=here) == discovery.Found([], [])


def test_one_way_that_fails_does_not_hide_what_the_others_see(here: Places) -> None:
    def broken() -> list[Port]:
        raise OSError("the bus is on fire")

    plug(here, "1-1", device_id=ZEBRA)
    found = look(mdns_s=0, here=replace(here, serial_ports=broken))
    assert len(found.candidates) == 1 and found.remarks == ["the bus is on fire"]


def test_a_suggested_name_is_fit_for_a_configuration() -> None:
    assert slug("Zebra ZD421 (300 dpi)!") == "zebra-zd421-300-dpi"
    assert slug("  ") == slug("打印机") == "printer"
    assert len(slug("x" * 500)) == 40
