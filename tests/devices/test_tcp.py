"""What the TCP transport promises of its own: every way a network printer can fail, against a real one on loopback."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from contextlib import closing

import pytest

from devices.contracts import Settings
from devices.errors import PrinterUnreachable, SendInterrupted, SendStopped
from devices.transports import tcp
from devices.wire import tcpsocket
from tests.fake.printer import FakePrinter
from tests.fake.pty import for_a_while

LABEL = b"^XA^FO20,20^FDlabel^FS^XZ" * 80  # 2 kB
HUGE = bytes(20_000_000)
SMALL = 4096  # bytes of receive buffer, as small as a print server's


def dial(printer: FakePrinter, **settings: object) -> closing[tcp.TcpConnection]:
    return closing(tcp.TRANSPORT.open(printer.uri, Settings(**settings)))


def send(printer: FakePrinter, data: bytes = LABEL, **settings: object):
    with dial(printer, **settings) as line:
        line.write(data)
        return line.finish()


SOON_S = 20  # far below what would be waited for otherwise, far above what a busy machine takes


def seconds(since: float) -> float:
    return time.monotonic() - since


# -- before the first byte


def test_a_refused_connection_says_where_why_and_what_to_do():
    with FakePrinter(refuse=True) as printer, pytest.raises(PrinterUnreachable) as caught:
        send(printer)
    assert str(caught.value) == (
        f"no answer from {printer.uri} (connection refused); check the address and port; "
        "many printers also refuse while another computer is printing"
    )
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_a_silent_address_is_given_up_after_connect_s():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        # A full backlog makes Linux drop the next caller's SYN, as an empty address does.
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        time.sleep(0.05)
        began = time.monotonic()
        with pytest.raises(PrinterUnreachable, match=r"in 0\.3 s; check that it is switched on"):
            tcp.TRANSPORT.open(f"tcp://127.0.0.1:{listener.getsockname()[1]}", Settings(connect_s=0.3))
        assert 0.25 < seconds(began) < SOON_S
        for filler in fillers:
            filler.close()


def test_an_unknown_name_asks_for_the_address():
    with pytest.raises(PrinterUnreachable, match="does not know the name 'no-such-printer.invalid'"):
        tcp.TRANSPORT.open("tcp://no-such-printer.invalid", Settings())


def test_a_printer_that_hangs_up_at_once_was_sent_nothing():
    with FakePrinter(close_at_once=True) as printer, dial(printer) as line:
        printer.wait_until_idle()
        time.sleep(0.02)
        with pytest.raises(PrinterUnreachable, match="closed the connection at once; it may be busy"):
            line.write(LABEL)
        assert line.sent == 0


def test_a_printer_switched_off_between_connecting_and_sending_was_sent_nothing():
    with FakePrinter() as printer, dial(printer) as line:
        send(printer)  # the fake has accepted both by now
        printer.switch_off()
        time.sleep(0.02)
        with pytest.raises(PrinterUnreachable, match="trying again is safe"):
            line.write(LABEL)


def test_once_the_kernel_took_a_byte_it_is_a_doubt():
    with FakePrinter(reset_after=1) as printer, dial(printer) as line:
        line.write(b"x")
        printer.wait_until_idle()
        with pytest.raises(SendInterrupted) as caught:
            line.write(LABEL)
    assert (caught.value.sent, caught.value.total) == (1, 1 + len(LABEL))


def test_a_printer_switched_on_later_is_found_by_trying_again():
    with FakePrinter(refuse=True) as printer:
        with pytest.raises(PrinterUnreachable):
            send(printer)
        printer.switch_on()
        send(printer)
        assert printer.wait_for(1) == [LABEL]


def test_the_default_port_is_9100():
    assert tcp.parse("tcp://dock.local") == ("dock.local", 9100)
    assert tcp.parse("tcp://[fe80::1%25eth0]/") == ("fe80::1%eth0", 9100)
    assert tcp.parse("tcp://Drucker-Büro:515") == ("drucker-büro", 515)


def test_ipv6_prints():
    with FakePrinter(host="::1") as printer:
        assert send(printer).evidence == "closed"
        assert printer.wait_for(1) == [LABEL]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_with_two_addresses_prints_at_the_one_that_listens(host):
    if len({family for family, *_ in socket.getaddrinfo("localhost", 1, type=socket.SOCK_STREAM)}) < 2:
        pytest.skip("this machine's localhost has one address")
    with FakePrinter(host=host) as printer, closing(
        tcp.TRANSPORT.open(f"tcp://localhost:{printer.port}", Settings())
    ) as line:  # fmt: skip
        line.write(LABEL)
        assert line.finish().evidence == "closed"


# -- while sending


def test_a_reset_half_way_says_how_much_had_left():
    with FakePrinter(reset_after=50_000) as printer, dial(printer) as line, pytest.raises(SendInterrupted) as caught:
        line.write(HUGE)
    assert 50_000 <= caught.value.sent < caught.value.total == len(HUGE)
    text = str(caught.value)
    assert text.startswith(f"{printer.uri}: connection reset by peer; ") or "broken pipe" in text
    assert text.endswith("look at the printer before sending again")
    handed, acknowledged = re.search(r"(\d+) bytes .* \(at least (\d+) acknowledged\)", text).groups()
    assert int(handed) == caught.value.sent
    assert 0 < int(acknowledged) <= int(handed)


def test_a_printer_that_stops_taking_is_given_up_after_stall_s():
    with FakePrinter(never_read=True, rcvbuf=SMALL) as printer, dial(printer, stall_s=0.5) as line:
        began = time.monotonic()
        with pytest.raises(SendInterrupted, match=r"the printer took nothing for 0\.5 s") as caught:
            line.write(HUGE[:5_000_000])
        assert 0.4 < seconds(began) < SOON_S
    assert 0 < caught.value.sent < 100_000, "a small send buffer keeps the doubt small"


def test_a_slow_printer_is_never_given_up():
    with FakePrinter(slow=60_000, rcvbuf=SMALL) as printer:
        began = time.monotonic()
        send(printer, HUGE[:240_000], stall_s=1.5)
        assert seconds(began) > 2, "longer than stall_s, at no time without progress"
        assert len(printer.wait_for(1)[0]) == 240_000


def test_a_stop_is_heard_while_the_printer_is_stalled():
    with FakePrinter(never_read=True, rcvbuf=SMALL) as printer, dial(printer, stall_s=30) as line:
        began = time.monotonic()
        with pytest.raises(SendStopped, match="stopped as asked; .* acknowledged"):
            line.write(HUGE, for_a_while(0.3))
        assert seconds(began) < SOON_S


def test_a_broken_off_job_leaves_nothing_to_trickle_out_later():
    with FakePrinter(slow=100_000, rcvbuf=SMALL) as printer:
        with dial(printer) as line, pytest.raises(SendStopped) as caught:
            line.write(HUGE, lambda sent: sent < 30_000)
        printer.wait_until_idle()
        assert printer.jobs == []
        assert len(printer.unfinished[0]) < caught.value.sent, "what the kernel held was dropped by the close"


def test_a_printer_that_talks_does_not_hold_up_its_job():
    with FakePrinter(says=b"\x02status\x03\r\n" * 5000) as printer:
        assert send(printer, HUGE[:1_000_000]).evidence == "closed"
        assert len(printer.wait_for(1)[0]) == 1_000_000


def test_a_printer_that_answers_every_piece_and_reads_nothing_until_it_is_heard_gets_its_job():
    with FakePrinter(answers=lambda got: b"ok " * 20_000, rcvbuf=SMALL) as printer:
        assert send(printer, HUGE[:1_000_000]).evidence == "closed"
        assert len(printer.wait_for(1)[0]) == 1_000_000


def test_what_a_printer_says_during_a_job_is_heard_after_it():
    with FakePrinter(answers=lambda got: b"thanks") as printer, dial(printer) as line:
        line.write(LABEL)
        assert line.hear(60).startswith(b"thanks")
        assert line.finish().evidence == "closed"


# -- a printer of which it is known why it takes nothing


def test_a_known_reason_keeps_a_write_waiting_and_nothing_is_sent_twice(monkeypatch):
    """Longer than Linux itself would wait for a closed window, if nobody told it to."""
    monkeypatch.setattr(tcpsocket, "USER_TIMEOUT_SLACK_S", 0.1)
    job, asked = os.urandom(300_000), []
    with FakePrinter(pauses_at=20_000, pause_s=1.5, rcvbuf=SMALL) as printer, dial(printer, stall_s=0.3) as line:
        line.on_stall = lambda seconds: asked.append(line.sent) is None
        line.write(job)
        assert line.finish().evidence == "closed"
        assert printer.wait_for(1) == [job]
    assert len(asked) >= 2


def test_the_reason_is_asked_for_long_before_the_patience_is_over():
    asked = []
    with FakePrinter(never_read=True, rcvbuf=SMALL) as printer, dial(printer, stall_s=600) as line:
        line.on_stall = lambda seconds: asked.append(seconds) is not None
        began = time.monotonic()
        with pytest.raises(SendStopped):
            line.write(HUGE[:5_000_000], lambda sent: len(asked) < 2 and seconds(began) < 60)
    assert len(asked) == 2 and 2.5 < asked[0] < asked[1] - 2.5, "every 3 s, with the seconds it has lasted"


def test_a_known_reason_keeps_the_end_of_a_job_waiting():
    job = os.urandom(20_000)  # all of it fits into the kernel's buffers
    with FakePrinter(pauses_at=1, pause_s=1.0, rcvbuf=SMALL) as printer, dial(printer, stall_s=0.3) as line:
        line.on_stall = lambda seconds: True
        line.write(job)
        assert line.finish().evidence == "closed"
        assert printer.wait_for(1) == [job]


@pytest.mark.parametrize("patience", [None, lambda seconds: False], ids=["nobody to ask", "no"])
def test_without_a_known_reason_a_stall_is_the_end(patience):
    with FakePrinter(never_read=True, rcvbuf=SMALL) as printer, dial(printer, stall_s=0.3) as line:
        line.on_stall = patience
        began = time.monotonic()
        with pytest.raises(SendInterrupted, match=r"the printer took nothing for 0\.3 s"):
            line.write(HUGE[:5_000_000])
        assert 0.25 < seconds(began) < SOON_S


def test_a_reason_that_is_over_is_a_stall_again():
    known = [True, True, False]
    with FakePrinter(never_read=True, rcvbuf=SMALL) as printer, dial(printer, stall_s=0.2) as line:
        line.on_stall = lambda seconds: known.pop(0)
        began = time.monotonic()
        with pytest.raises(SendInterrupted):
            line.write(HUGE[:5_000_000])
        assert known == [] and 0.55 < seconds(began) < SOON_S


# -- the end of a job, and what it teaches


def test_a_printer_that_closes_is_known_to_close():
    with FakePrinter(delay_close_s=0.1) as printer:
        receipt = send(printer)
    assert (receipt.evidence, receipt.closed) == ("closed", True)


def test_a_printer_that_never_closes_is_found_out_once_and_then_not_waited_for():
    with FakePrinter(never_close=True) as printer:
        began = time.monotonic()
        first = send(printer, close_s=0.4)
        assert (first.evidence, first.closed) == ("taken", False)
        assert 0.35 < seconds(began) < SOON_S
        began = time.monotonic()
        second = send(printer, close_s=60, taken_s=0.05, waits_for_close=False)
        assert (second.evidence, second.closed) == ("taken", False)
        assert seconds(began) < SOON_S


def test_a_printer_that_has_begun_to_close_is_found_out_as_well():
    with FakePrinter() as printer:
        receipt = send(printer, waits_for_close=False)
    assert (receipt.evidence, receipt.closed) == ("closed", True)


def test_no_close_is_a_doubt_where_there_has_always_been_one():
    with FakePrinter(never_close=True) as printer, pytest.raises(SendInterrupted) as caught:
        send(printer, close_s=0.3, waits_for_close=True)
    assert caught.value.sent == caught.value.total == len(LABEL)
    assert str(caught.value) == (
        f"{printer.uri}: it has always closed the connection before, but did not within 0.3 s; 2000 bytes "
        "were handed over (at least 2000 acknowledged); look at the printer before sending again"
    )


def test_a_label_taken_by_a_printer_that_reads_nothing_is_only_taken():
    with FakePrinter(never_read=True) as printer:
        assert send(printer, close_s=0.2).evidence == "taken"
        with pytest.raises(SendInterrupted):
            send(printer, close_s=0.2, waits_for_close=True)


def test_what_the_kernel_still_holds_was_not_taken():
    with FakePrinter(never_read=True, rcvbuf=SMALL) as printer, dial(printer, stall_s=0.4, close_s=0.1) as line:
        line.write(HUGE[:20_000])  # more than the printer's buffer, less than ours and the printer's together
        with pytest.raises(SendInterrupted, match=r"stopped taking data for 0\.4 s") as caught:
            line.finish()
    assert caught.value.sent == 20_000
    assert int(re.search(r"at least (\d+) ack", str(caught.value))[1]) < 20_000


def test_a_reset_after_the_last_byte_is_a_doubt():
    with FakePrinter(reset_after=len(LABEL)) as printer, dial(printer) as line:
        line.write(LABEL)
        with pytest.raises(SendInterrupted, match="after it had been given everything") as caught:
            line.finish()
    assert caught.value.sent == caught.value.total == len(LABEL)


def test_without_half_close_the_printer_sees_no_end_before_it_took_all():
    with FakePrinter(slow=100_000, rcvbuf=SMALL) as printer:
        receipt = send(printer, HUGE[:30_000], half_close=False, taken_s=0.05)
        assert (receipt.evidence, receipt.closed) == ("taken", None)
        assert len(printer.wait_for(1)[0]) == 30_000


def test_without_half_close_a_close_is_no_answer_and_ends_the_wait():
    with FakePrinter(ends_after=len(LABEL)) as printer:
        began = time.monotonic()
        receipt = send(printer, half_close=False, taken_s=60)
    assert (receipt.evidence, receipt.closed) == ("taken", None)
    assert seconds(began) < SOON_S


def test_a_close_before_the_end_is_no_answer_to_the_end():
    with FakePrinter(ends_after=1) as printer, dial(printer) as line:
        line.write(HUGE[:3_000_000])
        time.sleep(0.02)
        receipt = line.finish()
        assert (receipt.evidence, receipt.closed) == ("taken", None)
        assert len(printer.wait_for(1)[0]) == 3_000_000


def test_an_end_of_file_followed_by_a_reset_is_not_an_orderly_close():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with closing(tcp.TRANSPORT.open(uri, Settings(close_s=0.5))) as line:
            line.write(LABEL)
            peer, _ = listener.accept()
            peer.recv(65536)
            peer.close()  # all read: FIN, not RST
            line.write(LABEL)  # answered by RST, which recv() alone would never show
            with pytest.raises(SendInterrupted, match="after it had been given everything"):
                line.finish()


# -- many


def test_two_hundred_connections_leave_no_descriptor_open():
    with FakePrinter() as printer, FakePrinter(refuse=True) as refusing:
        send(printer)
        printer.wait_until_idle()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(200):
            send(printer)
            with pytest.raises(PrinterUnreachable):
                send(refusing)
        printer.wait_until_idle()
        assert len(os.listdir("/proc/self/fd")) == before
        assert printer.max_open == 1, "the next connection never opened before the last was closed"
        assert printer.connections == 201


def test_a_label_takes_a_few_milliseconds():
    with FakePrinter() as printer:
        send(printer)
        times = []
        for _ in range(50):
            began = time.perf_counter()
            send(printer)
            times.append(time.perf_counter() - began)
    assert min(times) < 0.02


def test_waiting_costs_no_processor_time_not_even_on_a_half_closed_line():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with closing(tcp.TRANSPORT.open(uri, Settings(stall_s=0.6))) as line, closing(listener.accept()[0]) as peer:
            line.write(b"x")
            peer.shutdown(socket.SHUT_WR)  # from here on the line is readable for ever
            used = time.thread_time()
            with pytest.raises(SendInterrupted):
                line.write(HUGE)
            with pytest.raises(SendInterrupted):
                line.finish()
            assert time.thread_time() - used < 0.5  # of two times 0.6 s


def test_two_threads_may_print_on_two_printers_at_the_same_time():
    with FakePrinter() as one, FakePrinter() as two:
        threads = [threading.Thread(target=send, args=(printer, HUGE[:2_000_000])) for printer in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(one.wait_for(1)[0]) == len(two.wait_for(1)[0]) == 2_000_000
