"""What the queue transport promises of its own, with a real CUPS: jobs followed to their end, taken back, in doubt."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import closing

import pytest

from devices import ipp, ippreasons, transports
from devices.contracts import Reason, Settings, Status
from devices.cups import Cups, CupsError, JobState
from devices.errors import PrinterUnreachable, SendInterrupted, SendStopped
from devices.transports import queue
from tests.fake.cups import PrivateCups
from tests.fake.printer import FakePrinter
from tests.fake.pty import until
from tests.serving import Serve, b64, printer

LABEL = b"^XA^FO20,20^FDlabel^FS^XZ" * 80  # 2 kB
LARGE = os.urandom(1_000_007)
PATIENT = Settings(connect_s=5.0, stall_s=20.0)
HASTY = Settings(connect_s=5.0, stall_s=1.0)


@pytest.fixture(scope="module")
def cups():
    with PrivateCups() as cups:
        yield cups


@pytest.fixture
def dock():
    with FakePrinter() as dock:
        yield dock


def dial(cups: PrivateCups, name: str = "dock", settings: Settings = PATIENT) -> closing[queue.QueueConnection]:
    return closing(transports.open(cups.uri(name), settings))


def send(cups: PrivateCups, data: bytes = LABEL, name: str = "dock", settings: Settings = PATIENT):
    with dial(cups, name, settings) as line:
        line.write(data)
        return line.finish()


def jobs_waiting(cups: PrivateCups) -> str:
    return cups.run("lpstat", "-W", "not-completed", "-o")


def nothing_comes_later(cups: PrivateCups, *printers: FakePrinter) -> None:
    """No job is left that could print when everybody looks the other way."""
    assert jobs_waiting(cups) == ""
    time.sleep(0.3)
    assert [job for each in printers for job in each.jobs] == []


# -- followed to its end


def test_a_job_is_followed_until_the_queue_says_completed(cups, dock):
    cups.add("dock", dock.port)
    receipt = send(cups, LARGE)
    assert dock.jobs == [LARGE]
    assert receipt.evidence == "completed"
    assert receipt.text.startswith(f"{cups.uri('dock')} took 1000007 bytes; CUPS says that its job ")
    assert jobs_waiting(cups) == ""


def test_completed_is_not_said_before_the_printer_is_done(cups):
    with FakePrinter(delay_close_s=0.8) as slow:
        cups.add("slow", slow.port)
        began = time.monotonic()
        assert send(cups, name="slow").evidence == "completed"
        assert time.monotonic() - began >= 0.8


def test_a_queue_may_have_a_name_that_needs_encoding(cups, dock):
    cups.add("Z+D%&421é", dock.port)
    assert send(cups, name="Z+D%&421é").evidence == "completed"
    assert dock.jobs == [LABEL]


def test_a_queue_that_keeps_no_history_has_taken_the_job(dock):
    with PrivateCups(history="No") as forgetful:
        forgetful.add("dock", dock.port)
        receipt = send(forgetful)
        assert receipt.evidence in ("taken", "completed")  # the job may be seen just before it is forgotten
        assert dock.wait_for(1) == [LABEL]


# -- a queue that does not print


def test_a_stopped_queue_gives_its_reason_before_anything_is_sent(cups, dock):
    cups.add("stopped", dock.port)
    cups.run("cupsdisable", "-r", "out for repair", "stopped")
    with pytest.raises(PrinterUnreachable) as caught:
        send(cups, name="stopped")
    assert str(caught.value) == (
        f"{cups.uri('stopped')}: the queue is stopped (paused: out for repair); when that is mended: cupsenable stopped"
    )
    nothing_comes_later(cups, dock)


def test_a_queue_that_takes_no_jobs_says_so(cups, dock):
    cups.add("full", dock.port)
    cups.run("cupsreject", "-r", "moving house", "full")
    with pytest.raises(PrinterUnreachable, match=r"takes no jobs \(moving house\); let it take them: cupsaccept full"):
        send(cups, name="full")


def test_a_queue_that_is_not_there_is_told_which_are(cups, dock):
    cups.add("dock", dock.port)
    with pytest.raises(PrinterUnreachable, match=r"there is no queue gone; the queues here are: .*dock.*; make one: "):
        send(cups, name="gone")


def test_no_print_service_at_all_says_how_to_start_it():
    with pytest.raises(PrinterUnreachable, match=r"no print service answers at 127\.0\.0\.1:1 \(conn.*; start"):
        transports.open("queue://dock?server=127.0.0.1:1")
    with pytest.raises(PrinterUnreachable, match="no such file or directory"):
        transports.open("queue://dock?server=/no/such.sock")


def test_the_queue_says_how_its_printer_is_without_being_asked(cups, dock):
    cups.add("told", dock.port)
    with dial(cups, "told") as line:
        assert not line.talks
        assert line.wire_status() == Status()
        cups.run("cupsdisable", "-r", "lunch", "told")
        assert line.wire_status() == Status(frozenset({Reason.PAUSED}), text="paused: lunch")
        cups.run("lpadmin", "-x", "told")
        assert line.wire_status() is None


@pytest.mark.parametrize(
    ("keyword", "meant"),
    [
        ("media-empty-error", Reason.MEDIA_EMPTY), ("media-empty", Reason.MEDIA_EMPTY),
        ("media-empty-warning", Reason.MEDIA_LOW), ("toner-low-report", Reason.MARKER_SUPPLY_LOW),
        ("toner-empty-error", Reason.MARKER_SUPPLY_EMPTY), ("marker-supply-empty-warning", Reason.MARKER_SUPPLY_LOW),
        ("door-open-report", Reason.OTHER), ("door-open", Reason.COVER_OPEN), ("paused", Reason.PAUSED),
        ("offline-report", Reason.OFFLINE), ("connecting-to-device", Reason.CONNECTING), ("none", None),
        ("cups-waiting-for-job-completed", None), ("com.example-odd-error", None), ("-error", None), ("", None),
    ],
)  # fmt: skip
def test_a_keyword_of_a_queue_is_a_reason_or_nothing(keyword, meant):
    assert ippreasons.reason(keyword) == meant


def test_a_job_whose_printer_is_off_for_a_known_reason_is_waited_for(cups):
    with FakePrinter(late_s=3.0) as late:
        cups.add("late", late.port)
        asked = []
        with dial(cups, "late", HASTY) as line:
            line.on_stall = lambda seconds: asked.append(True) is None
            line.write(LABEL)
            assert line.finish().evidence == "completed"
        assert late.jobs == [LABEL] and asked


def test_a_queue_stopped_in_between_gives_the_job_back_unprinted(cups, dock):
    cups.add("paused", dock.port)
    with dial(cups, "paused") as line:
        line.write(LABEL)
        cups.run("cupsdisable", "-r", "lunch", "paused")
        with pytest.raises(PrinterUnreachable, match=r"nothing was printed.*the queue was stopped \(paused: lunch\)"):
            line.finish()
        assert line.sent == 0
    cups.run("cupsenable", "paused")
    nothing_comes_later(cups, dock)


def test_a_queue_that_vanishes_before_it_began_gives_the_job_back(cups, dock):
    cups.add("brief", dock.port)
    with dial(cups, "brief") as line:
        line.write(LABEL)
        cups.run("lpadmin", "-x", "brief")
        with pytest.raises(PrinterUnreachable, match=r"nothing was printed"):
            line.finish()
    nothing_comes_later(cups, dock)


def test_a_queue_that_vanishes_while_it_prints_leaves_the_job_in_doubt(cups):
    with FakePrinter(delay_close_s=20) as slow:
        cups.add("vanishing", slow.port)
        with dial(cups, "vanishing") as line:
            line.write(LABEL)
            threading.Thread(target=lambda: slow.wait_for(1) and cups.run("lpadmin", "-x", "vanishing")).start()
            with pytest.raises(SendInterrupted, match=r"CUPS had all \d+ bytes.*not known; look at the") as caught:
                line.finish()
    assert caught.value.sent == len(LABEL)


# -- a printer that does not take it


def test_a_printer_that_is_off_gets_nothing_later_and_trying_again_is_safe(cups):
    with FakePrinter(refuse=True) as off:
        cups.add("off", off.port)
        with pytest.raises(PrinterUnreachable, match=r"nothing was printed.*not got on with it for \d+ s \(The prin"):
            send(cups, name="off", settings=HASTY)
        off.switch_on()
        nothing_comes_later(cups, off)
        assert off.connections == 0


def test_a_printer_that_takes_nothing_more_leaves_the_job_in_doubt(cups, monkeypatch):
    monkeypatch.setattr(queue, "WORKING_S", 1.0)
    with FakePrinter(never_read=True, rcvbuf=4096) as stuck:
        cups.add("stuck", stuck.port)
        with pytest.raises(SendInterrupted, match=r"not got on with it for \d+ s.*CUPS had all \d+ bytes"):
            send(cups, LARGE * 8, name="stuck", settings=HASTY)
        assert jobs_waiting(cups) == ""


def test_a_job_that_is_being_printed_is_not_given_up_after_stall_s(cups):
    with FakePrinter(delay_close_s=2.5) as slow:
        cups.add("unhurried", slow.port)
        assert send(cups, name="unhurried", settings=HASTY).evidence == "completed"


def test_a_job_cancelled_in_cups_is_not_tried_again(cups):
    with FakePrinter(delay_close_s=20) as slow:
        cups.add("watched", slow.port)
        with dial(cups, "watched") as line:
            line.write(LABEL)
            threading.Thread(target=lambda: slow.wait_for(1) and cups.run("cancel", "-a", "watched")).start()
            with pytest.raises(SendInterrupted, match=r"CUPS had all 2000 bytes, what the printer got is not"):
                line.finish()
        assert jobs_waiting(cups) == "" and slow.connections == 1


@pytest.mark.parametrize("policy", ["stop-printer", "retry-job", "abort-job"])
def test_a_printer_that_breaks_off_in_mid_job_is_in_doubt_and_cups_does_not_print_it_again(policy):
    with FakePrinter(reset_after=100_000, rcvbuf=4096) as breaking, PrivateCups(policy=policy) as cups:
        cups.add("breaking", breaking.port)
        with dial(cups, "breaking") as line:
            line.write(LARGE * 8)  # more than the kernel takes off the back end's hands
            with pytest.raises(SendInterrupted, match=r"CUPS had all 8000056 bytes, what the printer got is not known"):
                line.finish()
        assert jobs_waiting(cups) == ""
        time.sleep(1.5)  # it would try again after a second
        assert breaking.connections == 1


# -- stopping


def test_a_stop_while_the_job_waits_in_cups_prints_nothing(cups):
    stop = threading.Event()
    with FakePrinter(refuse=True) as off:
        cups.add("waiting", off.port)
        with dial(cups, "waiting") as line:
            line.write(LABEL, lambda sent: not stop.is_set())
            threading.Timer(0.5, stop.set).start()
            with pytest.raises(SendStopped, match="nothing was printed") as caught:
                line.finish()
        assert (caught.value.sent, line.sent) == (0, 0)
        off.switch_on()
        nothing_comes_later(cups, off)


def test_a_connection_closed_without_an_end_prints_nothing(cups, dock):
    cups.add("dock", dock.port)
    with dial(cups) as line:
        line.write(LARGE)
    nothing_comes_later(cups, dock)


# -- CUPS itself in trouble


def test_a_cups_killed_while_it_takes_the_job_has_printed_nothing(dock):
    with PrivateCups() as cups:
        cups.add("dock", dock.port)
        with dial(cups, settings=HASTY) as line:
            line.write(LABEL)
            cups.stop(signal.SIGKILL)
            with pytest.raises(PrinterUnreachable, match="nothing was printed.*no print service answers"):
                for _ in range(100):
                    line.write(LARGE)
            assert line.sent == 0
        cups.start()
        until(lambda: jobs_waiting(cups) == "")
        nothing_comes_later(cups, dock)


def test_a_cups_that_goes_away_while_the_job_is_followed_leaves_it_in_doubt():
    with FakePrinter(delay_close_s=20) as slow, PrivateCups() as cups:
        cups.add("slow", slow.port)
        with dial(cups, "slow", HASTY) as line:
            line.write(LABEL)
            threading.Thread(target=lambda: slow.wait_for(1) and cups.stop(signal.SIGKILL)).start()
            with pytest.raises(SendInterrupted, match="the print service has not answered for 1 s"):
                line.finish()


# -- IPP


def test_every_queue_is_listed_and_a_job_can_be_looked_at(cups, dock):
    cups.add("dock", dock.port)
    server = Cups(cups.server)
    assert "dock" in server.queues()
    job = server.create("dock", "a title")
    assert server.job("dock", job).state in (JobState.PENDING, JobState.HELD)
    server.cancel("dock", job)
    assert server.job("dock", job).state == JobState.CANCELED
    with pytest.raises(CupsError) as caught:
        server.job("dock", 999_999)
    assert caught.value.unknown


def test_an_answer_cut_off_or_garbled_is_a_value_error_and_nothing_else():
    whole = ipp.request(0x0B, [(ipp.KEYWORD, "requested-attributes", ["a", "b"]), (ipp.INTEGER, "n", 7)])
    assert ipp.parse(whole).of(ipp.OPERATION)[0]["requested-attributes"] == ["a", "b"]
    dice = random.Random(4)
    for _ in range(3000):
        data = bytearray(whole[: dice.randrange(len(whole) + 1)])
        for _ in range(dice.randrange(4)):
            if data:
                data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            ipp.parse(bytes(data))
        except ValueError:
            pass


# -- through the whole bridge


def test_a_stopped_queue_is_a_state_of_the_printer_and_its_job_prints_once_when_it_is_resumed(cups, dock, tmp_path):
    cups.add("bridged", dock.port)
    cups.run("cupsdisable", "-r", "out of ribbon", "bridged")
    config = printer("dock", cups.uri("bridged"), language="zpl")
    with Serve(tmp_path / "data", config) as bridge:
        job = bridge.send("dock", {"document_type": "raw", "document_base64": b64(LABEL)})
        until(lambda: "out of ribbon" in (bridge.call("GET", "/v1/printers").json["printers"][0]["text"] or ""))
        assert bridge.job(job)["state"] == "queued"
        cups.run("cupsenable", "bridged")
        done = bridge.wait(job)
        assert (done["state"], done["evidence"]) == ("delivered", "completed")
        assert dock.jobs == [LABEL]
