"""What the serial transport promises of its own, on real terminals: flow control, hang-up, locks, rights, pauses."""

from __future__ import annotations

import fcntl
import grp
import os
import re
import subprocess
import sys
import termios
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from devices import serialports, transports
from devices.contracts import Settings
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted, SendStopped
from devices.serialline import Line, Mode
from devices.transports import serial
from tests.fake.pty import PtyPrinter, for_a_while, until
from tests.serving import Serve, b64, printer

LABEL = b"^XA^FO20,20^FDlabel^FS^XZ" * 80  # 2 kB
JOB = os.urandom(300_000)
PATIENT = Settings(stall_s=60)
HASTY = Settings(stall_s=0.4)
SOON_S = 20  # far below what would be waited for otherwise, far above what a busy machine takes


def dial(pty: PtyPrinter, options: str = "", settings: Settings = PATIENT) -> closing[serial.SerialConnection]:
    return closing(transports.open(pty.uri(options), settings))


def send(pty: PtyPrinter, data: bytes = LABEL, options: str = "", settings: Settings = PATIENT):
    with dial(pty, options, settings) as line:
        line.write(data)
        return line.finish()


# -- what arrives


def test_300_kb_arrive_byte_exact_at_20_kb_a_second_with_xoff_pauses():
    with PtyPrinter(bytes_per_s=20_000, xoff_every=40_000, xoff_s=0.3) as pty:
        receipt = send(pty, JOB, "baud=115200&flow=xonxoff")
        assert pty.wait_for(len(JOB)) == JOB
        assert pty.pauses == 7
    assert (receipt.evidence, receipt.text) == (
        "drained", f"300000 bytes have left serial://{pty.device}?baud=115200&flow=xonxoff"
    )  # fmt: skip


def test_every_byte_value_passes_unchanged_where_xonxoff_is_off():
    with PtyPrinter() as pty:
        send(pty, bytes(range(256)) * 20, "flow=none")
        assert pty.wait_for(5120) == bytes(range(256)) * 20


def test_a_printer_that_talks_all_the_time_does_not_hold_up_its_own_xon():
    with PtyPrinter(answers=lambda read: b"status " * 100, xoff_every=20_000, bytes_per_s=500_000) as pty:
        send(pty, JOB, "flow=xonxoff")
        assert pty.wait_for(len(JOB)) == JOB


# -- what interrupts


def test_a_cable_pulled_half_way_says_how_much_was_handed_over():
    with PtyPrinter(bytes_per_s=2_000_000, dies_after=150_000) as pty:
        with dial(pty) as line, pytest.raises(SendInterrupted) as caught:
            line.write(JOB)
        assert re.search(r"it is gone \(unplugged\?\); \d+ of 300000 bytes were handed over", str(caught.value))
        assert len(pty.arrived) == 150_000 and pty.arrived == JOB[:150_000]
    assert 150_000 <= caught.value.sent < caught.value.total == 300_000
    assert str(caught.value.sent) in str(caught.value)


def test_a_printer_held_up_for_a_known_reason_is_waited_for_and_nothing_is_sent_twice():
    asked = []
    with PtyPrinter(xoff_every=30_000, xoff_s=4) as pty:
        with dial(pty, "flow=xonxoff", HASTY) as line:
            line.on_stall = lambda seconds: asked.append(True) is None
            line.write(JOB[:50_000])
            assert line.finish().evidence == "drained"
        assert pty.wait_for(50_000) == JOB[:50_000]
    assert len(asked) >= 2


@pytest.mark.parametrize("patience", [None, lambda seconds: False], ids=["nobody to ask", "no"])
def test_a_printer_held_up_for_no_known_reason_is_given_up(patience):
    with PtyPrinter(xoff_after=1000) as pty, dial(pty, "flow=xonxoff", HASTY) as line:
        line.on_stall = patience
        began = time.monotonic()
        with pytest.raises(SendInterrupted):
            line.write(JOB)
        assert time.monotonic() - began < SOON_S


def test_xon_and_xoff_are_not_heard_as_words_of_the_printer():
    with PtyPrinter(answers=lambda read: b"o\x13\x11k") as pty, dial(pty, "flow=xonxoff") as line:
        line.ask(b"?")
        heard = line.hear(2.0)
        while len(heard) < 2:
            heard += line.hear(1.0)
        assert heard == b"ok"


def test_a_question_thrown_away_with_a_job_takes_nothing_from_its_count():
    with PtyPrinter(never_reads=True) as pty, dial(pty, "", HASTY) as line:
        line.write(b"x" * 1000)
        line.ask(b"?" * 100)
        with pytest.raises(SendInterrupted) as caught:
            line.write(JOB)
    assert caught.value.sent >= 1000 - 100, "the question's bytes are not taken off twice"


def test_a_cable_pulled_before_the_first_byte_is_no_doubt():
    with PtyPrinter() as pty, dial(pty) as line:
        pty.unplug()
        with pytest.raises(PrinterUnreachable, match="nothing was sent.*gone"):
            line.write(LABEL)


def test_a_cable_pulled_before_the_end_is_no_receipt():
    with PtyPrinter() as pty, dial(pty) as line:
        line.write(LABEL)
        pty.unplug()
        with pytest.raises(SendInterrupted, match="gone"):
            line.finish()


def test_a_replugged_port_is_opened_again_even_when_its_name_comes_late(tmp_path):
    with PtyPrinter(link=str(tmp_path / "by-id")) as pty:
        send(pty)
        pty.unplug()
        timer = threading.Timer(0.2, pty.plug_in)
        timer.start()
        send(pty)
        timer.join()
        assert pty.wait_for(2 * len(LABEL)) == LABEL * 2


def test_xoff_for_ever_is_given_up_and_named():
    with PtyPrinter(xoff_after=1000) as pty:
        with dial(pty, "flow=xonxoff", HASTY) as line, pytest.raises(SendInterrupted) as caught:
            line.write(JOB)
        assert pty.wait_for(caught.value.sent) == JOB[: caught.value.sent]
    assert re.search(r"nothing was taken for 0\.4 s; the printer holds us off \(XOFF\)", str(caught.value))


def test_xoff_from_the_start_leaves_nothing_sent():
    with PtyPrinter() as pty, dial(pty, "flow=xonxoff", HASTY) as line:
        os.write(pty._printer, b"\x13")
        time.sleep(0.1)  # the kernel looks at it in its own time
        with pytest.raises(PrinterUnreachable, match=r"nothing was sent.*holds us off \(XOFF\)"):
            line.write(LABEL)


def test_a_printer_that_takes_nothing_is_given_up_and_nothing_comes_later():
    with PtyPrinter(never_reads=True) as pty:
        with dial(pty, settings=HASTY) as line, pytest.raises(SendInterrupted, match=r"taken for 0\.4 s") as caught:
            line.write(JOB)
        assert 0 < caught.value.sent < len(JOB)
        pty.never_reads = False
        time.sleep(0.2)
        assert pty.arrived == JOB[: len(pty.arrived)] and len(pty.arrived) <= caught.value.sent


def test_a_pause_shorter_than_the_patience_is_no_stall():
    with PtyPrinter(xoff_every=10_000, xoff_s=0.3) as pty:
        send(pty, bytes(20_000), "flow=xonxoff", Settings(stall_s=5))
        assert len(pty.wait_for(20_000)) == 20_000 and pty.pauses >= 1


def test_a_stop_is_heard_while_the_printer_holds_us_off():
    began = time.monotonic()
    with PtyPrinter(xoff_after=1000) as pty, dial(pty, "flow=xonxoff") as line:
        with pytest.raises(SendStopped, match="stopped as asked") as caught:
            line.write(JOB, for_a_while(0.3))
        assert caught.value.sent == line.sent
    assert time.monotonic() - began < SOON_S


def test_closing_a_held_up_port_does_not_hang():
    with PtyPrinter(xoff_after=1000) as pty:
        line = transports.open(pty.uri("flow=xonxoff"), HASTY)
        with pytest.raises(SendInterrupted):
            line.write(JOB)
        began = time.monotonic()
        line.close()
        assert time.monotonic() - began < SOON_S


# -- pauses on purpose


def test_a_pace_is_kept():
    with PtyPrinter() as pty:
        began = time.monotonic()
        send(pty, bytes(10_000), "pace=20000")
        assert 0.45 < time.monotonic() - began < SOON_S
        assert len(pty.wait_for(10_000)) == 10_000


def test_strips_are_followed_by_their_pause():
    heard: list[tuple[int, float]] = []
    with PtyPrinter() as pty, dial(pty, "strip=1000,100") as line:
        line.write(bytes(3000), lambda sent: heard.append((sent, time.monotonic())) is None)
        line.finish()
    first = {sent: at for sent, at in reversed(heard)}
    assert sorted(first) == [1000, 2000, 3000]
    assert first[2000] - first[1000] >= 0.1


def test_a_stop_is_heard_in_a_pause():
    began = time.monotonic()
    with PtyPrinter() as pty, dial(pty, "strip=1000,60000") as line, pytest.raises(SendStopped) as caught:
        line.write(LABEL, for_a_while(0.3))
    assert caught.value.sent == 1000 and time.monotonic() - began < SOON_S


# -- what cannot be opened


def test_a_port_of_ours_is_refused_to_a_second_job_with_the_holder_named():
    with PtyPrinter() as pty, dial(pty), pytest.raises(PrinterUnreachable) as caught:
        dial(pty)
    assert f"is in use by process {os.getpid()} (" in str(caught.value)
    assert "this program itself" in str(caught.value)


def test_a_port_another_program_holds_names_it():
    hold = "import serial,sys;p=serial.Serial(sys.argv[1],exclusive=True);print(flush=True);sys.stdin.read()"
    with PtyPrinter() as pty:
        with subprocess.Popen(
            [sys.executable, "-c", hold, pty.device], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            other.stdout.readline()
            with pytest.raises(PrinterUnreachable) as caught:
                dial(pty)
            assert f"process {other.pid} ({sys.executable} -c" in str(caught.value)
            assert "; end that program, or give it another port" in str(caught.value)
            assert other.pid in [holder.pid for holder in serialports.holders(pty.device)]
            other.stdin.close()
        send(pty)


def test_a_lock_file_of_a_running_program_counts_and_a_stale_one_does_not(tmp_path, monkeypatch):
    monkeypatch.setattr(serialports, "LOCKS", tmp_path)
    with PtyPrinter() as pty, subprocess.Popen(["sleep", "60"]) as other:
        lock = tmp_path / f"LCK..{Path(pty.device).name}"
        lock.write_text(f"{other.pid:10}\n")
        try:
            until(lambda: Path(f"/proc/{other.pid}/cmdline").read_bytes() == b"sleep\x0060\0")
            with pytest.raises(PrinterUnreachable, match=rf"in use by process {other.pid} \(sleep 60\)"):
                dial(pty)
        finally:
            other.kill()
            other.wait()
        send(pty)


def test_other_programs_are_kept_out_only_while_a_job_runs():
    with PtyPrinter() as pty:
        send(pty)
        handle = os.open(pty.device, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)


def test_a_file_is_no_serial_port(tmp_path):
    (tmp_path / "labels.bin").write_bytes(b"")
    with pytest.raises(PrinterUnreachable, match=r"is not a serial port; use another: (the ports here|there is no)"):
        transports.open(f"serial://{tmp_path}/labels.bin")
    with pytest.raises(PrinterUnreachable, match="is not a serial port"):
        transports.open("serial:///dev/null")


def test_a_missing_port_is_told_which_there_are():
    with pytest.raises(PrinterUnreachable, match=r"is not there; plug it in, or use another: (the ports|there is no)"):
        transports.open("serial:///dev/ttyUSB99")


@pytest.fixture
def nobody():
    """Root may open everything; for one test this process is somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.mark.parametrize(
    ("mode", "command"),
    [(0o660, "sudo usermod -aG dialout nobody, then log in again"), (0o600, "sudo chgrp dialout /dev/pts/")],
)
def test_a_port_without_rights_names_the_exact_command(mode, command, request):
    with PtyPrinter() as pty:
        if os.geteuid() == 0:
            os.chown(pty.device, 0, grp.getgrnam("dialout").gr_gid)
        else:
            mode, command = 0, "sudo chgrp dialout /dev/pts/"  # the owner, who may give nothing away
        os.chmod(pty.device, mode)
        request.getfixturevalue("nobody")
        with pytest.raises(PrinterUnreachable) as caught:
            dial(pty)
    assert "may not be opened by this program; " in str(caught.value)
    assert command in str(caught.value)


def test_dsr_flow_control_is_refused_where_there_is_no_such_wire():
    with PtyPrinter() as pty, pytest.raises(PrinterUnreachable, match="no DSR wire; use flow=rtscts"):
        dial(pty, "flow=dsrdtr")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("baud=fast", "baud=fast is not a number from 1 to 4000000"),
        ("baud=0", "baud=0 is not"),
        ("flow=cts", "flow=cts is none of none, rtscts, dsrdtr, xonxoff"),
        ("parity=n", "parity=n is none of none, even, odd, mark, space"),
        ("bits=9", "bits=9 is none of 5, 6, 7, 8"),
        ("stop=3", "stop=3 is none of 1, 1.5, 2"),
        ("baudrate=9600", "there is no option 'baudrate'"),
        ("baud=9600&baud=19200", "an option is given twice"),
        ("pace=1&strip=1,1", "two ways to say the same"),
        ("strip=100", "strip=100 is not BYTES,PAUSE_MS"),
    ],
)
def test_a_wrong_option_names_itself_and_what_is_allowed(options, why):
    with pytest.raises(BadPrinterUri) as caught:
        transports.check(f"serial:///dev/ttyUSB0?{options}")
    assert why in str(caught.value)


def test_the_settings_reach_the_port():
    with PtyPrinter() as pty, dial(pty, "baud=19200&flow=xonxoff&parity=even&bits=7&stop=2"):
        iflag, _, cflag, _, _, speed, _ = termios.tcgetattr(pty._node)
    assert speed == termios.B19200
    assert iflag & termios.IXON
    assert cflag & termios.CSTOPB
    address = serial.parse("serial://COM3?baud=115200&flow=rtscts&parity=odd&bits=7&stop=1.5")
    assert (address.port, address.mode) == ("COM3", Mode(115200, "rtscts", "odd", 7, "1.5"))
    assert serial.parse("serial:///dev/serial/by-id/usb-FTDI%20x").port == "/dev/serial/by-id/usb-FTDI x"


# -- speed probing, listing


def test_probing_finds_the_speed_at_which_the_printer_answers():
    with PtyPrinter() as pty:

        def answer(read: bytes) -> bytes:  # a line has a speed, a terminal only says which one is set
            right = termios.tcgetattr(pty._node)[5] == termios.B38400
            return b"\x02ZD421\x03" if right else b"\xff\x00\xfe"

        pty.answers = answer
        found = serialports.probe(pty.device, b"~HI\r\n", lambda said: said.startswith(b"\x02"), patience_s=1.5)
        assert found == 38400
        assert serialports.probe(pty.device, b"~HI\r\n", lambda said: False, (9600, 19200), patience_s=0.1) is None
        with closing(Line(pty.device, Mode())):
            pass  # the port is free again


def test_every_port_listed_has_an_address_that_can_be_configured():
    for port in serialports.ports():
        transports.check(port.uri)
        assert port.path.startswith(("/dev/", "COM"))
    transports.check(serialports.Port("/dev/ttyUSB0", "FT232R", "/dev/serial/by-id/usb-FTDI_FT232R_A1-if00").uri)


# -- through the whole bridge


def test_a_label_goes_through_the_whole_bridge_to_a_serial_printer(tmp_path):
    link = str(tmp_path / "port")
    with PtyPrinter(link=link) as pty:
        config = printer("dock", pty.uri("flow=xonxoff"), stall_s=0.5, language="zpl")
        with Serve(tmp_path / "data", config) as bridge:
            job = bridge.send("dock", {"document_type": "raw", "document_base64": b64(LABEL)})
            done = bridge.wait(job)
            assert (done["state"], done["evidence"]) == ("delivered", "drained")
            until(lambda: labels(pty) == LABEL)
            pty.unplug()
            waiting = bridge.send("dock", {"document_type": "raw", "document_base64": b64(LABEL)})
            until(lambda: "is not there" in (bridge.call("GET", "/v1/printers").json["printers"][0]["text"] or ""))
            assert bridge.job(waiting)["state"] == "queued"
            pty.plug_in()
            assert bridge.wait(waiting)["state"] == "delivered"
            until(lambda: labels(pty) == LABEL * 2)


def labels(pty: PtyPrinter) -> bytes:
    """What arrived beside the questions how it is."""
    return pty.arrived.replace(b"~HS\r\n", b"").replace(b"~HQES\r\n", b"")


def test_a_cable_pulled_in_mid_job_leaves_the_job_unconfirmed_with_its_count(tmp_path):
    with PtyPrinter(dies_after=100_000, bytes_per_s=2_000_000) as pty:
        with Serve(tmp_path / "data", printer("dock", pty.uri(), language="zpl")) as bridge:
            job = bridge.send("dock", {"document_type": "raw", "document_base64": b64(LABEL * 150)})
            done = bridge.wait(job)
            assert done["state"] == "unconfirmed"
            assert re.search(r"it is gone \(unplugged\?\); \d{6} of \d{6} bytes were handed over", done["text"]), done
