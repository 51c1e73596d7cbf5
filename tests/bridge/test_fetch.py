"""Fetching a document: what arrives, what is refused, and what the error texts never say (promises.md 1.6, S13 to S16).

Real servers on loopback; where a name must lead somewhere, the resolver is a real function with that opinion.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import ssl
import stat
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import psutil
import pytest

from bridge.errors import Invalid
from bridge.intake.fetch import (
    PIECE,
    FetchCancelled,
    Fetched,
    FetchFailed,
    FetchRules,
    check_url,
    fetch,
    shown,
)
from bridge.outbound.places import MAX_URL
from tests.fake.web import Handler, Web, bomb, packed
from tests.serving import kept

OWN = 18_080  # the port our own API would listen on in these tests
RULES = FetchRules(
    own_ports=frozenset({OWN}), max_bytes=1_000_000, total_s=60, connect_s=30, tries_within_s=30, backoff_s=(0.05, 0.1)
)
QUICK = replace(RULES, total_s=0.7)
SOON_S = 20  # far below what would be waited for otherwise, far above what a busy machine takes
BODY = bytes(range(256)) * 1000


class Memory(bytearray):
    """A target to write to."""

    def write(self, data: bytes) -> None:
        self.extend(data)


class Resolver:
    """Answers like getaddrinfo, from a list of answers, one per question; the last one repeats."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **options: Any) -> list[Any]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0] for address in addresses]


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        yield server


@pytest.fixture
def free_port() -> Iterator[int]:
    """A loopback port on which nobody listens."""
    with kept() as keeper:
        yield keeper.getsockname()[1]


def refused(url: str, rules: FetchRules = RULES, **options: Any) -> FetchFailed:
    """Fetch, expect failure, and hold the text to the rules that go for every text."""
    with pytest.raises(FetchFailed) as caught:
        fetch(url, Memory(), rules, **options)
    error = caught.value
    assert error.code == "fetch_failed"
    assert error.text.startswith("the document could not be fetched: ") or isinstance(error, FetchCancelled)
    assert error.remedy or isinstance(error, FetchCancelled)
    assert "SECRET" not in str(error)
    return error


# --- what arrives ---------------------------------------------------------------------------------------------------


def test_a_document_arrives_whole_in_a_file_only_we_can_read(web: Web, tmp_path: Path) -> None:
    web.serve("/label.pdf", BODY, {"Content-Type": "Application/PDF; charset=x"})
    target = tmp_path / "document"
    got = fetch(web.url("/label.pdf?sig=SECRET#page"), target, RULES)
    assert target.read_bytes() == BODY
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert got == Fetched(len(BODY), hashlib.sha256(BODY).hexdigest(), web.url("/label.pdf"), "application/pdf")


def test_the_request_is_plain_and_carries_the_query_but_not_the_fragment(web: Web) -> None:
    web.serve("/a%20b%C3%A9.pdf", b"x")
    fetch(web.url("/a b\xe9.pdf?q=%2F&r=1 2#top"), Memory(), RULES)
    [request] = web.requests
    assert request.path == "/a%20b%C3%A9.pdf?q=%2F&r=1%202"
    assert request.headers["host"] == f"127.0.0.1:{web.port}"
    assert not {"cookie", "authorization", "referer"} & request.headers.keys()


def test_proxies_of_the_environment_are_ignored(web: Web, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    web.serve("/a", b"x")
    assert fetch(web.url("/a"), Memory(), RULES).size == 1


def test_a_link_left_in_the_place_of_the_target_is_not_followed(web: Web, tmp_path: Path) -> None:
    web.serve("/a", b"x")
    victim, link = tmp_path / "victim", tmp_path / "link"
    link.symlink_to(victim)
    with pytest.raises(OSError):
        fetch(web.url("/a"), link, RULES)
    assert not victim.exists()


def test_a_target_that_cannot_be_written_is_not_blamed_on_the_server(web: Web) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise OSError(28, os.strerror(28))

    web.serve("/a", b"x")
    with pytest.raises(OSError, match="No space left"):
        fetch(web.url("/a"), Full(), RULES)


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        ("gzip", packed(BODY)),
        ("x-gzip", packed(BODY[:1000]) + packed(BODY[1000:])),
        ("GZIP", packed(BODY) + bytes(512)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)[2:-4]),
        ("identity", BODY),
    ],
    ids=["gzip", "two members", "padded", "zlib", "raw deflate", "identity"],
)
def test_packed_documents_are_unpacked(web: Web, encoding: str, sent: bytes) -> None:
    web.serve("/a", sent, {"Content-Encoding": encoding})
    target = Memory()
    assert fetch(web.url("/a"), target, RULES).size == len(BODY)
    assert bytes(target) == BODY


def test_a_packed_document_that_comes_byte_by_byte_is_the_same_document(web: Web) -> None:
    sent = packed(BODY[:300]) + packed(BODY[300:600])
    web.stream("/a", {"Content-Encoding": "gzip"}, iter([sent[i : i + 1] for i in range(len(sent))]))
    target = Memory()
    fetch(web.url("/a"), target, RULES)
    assert bytes(target) == BODY[:600]


def test_unpacking_does_not_stop_at_a_full_step(web: Web) -> None:
    """zlib may have taken all input and still hold output; raw deflate has no trailer that would hide this."""
    for size in (PIECE, PIECE + 1, PIECE + 257, 2 * PIECE, 2 * PIECE + 100):
        web.serve("/a", zlib.compress(bytes(size))[2:-4], {"Content-Encoding": "deflate"})
        assert fetch(web.url("/a"), Memory(), RULES).size == size


def test_chunks_are_put_together(web: Web) -> None:
    web.raw("/a", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
    target = Memory()
    fetch(web.url("/a"), target, RULES)
    assert bytes(target) == b"abcde"


def test_an_ipv6_host_is_fetched_from_and_named_in_brackets() -> None:
    with Web("::1") as web:
        web.serve("/a", b"x")
        assert fetch(web.url("/a"), Memory(), RULES).size == 1
        assert web.requests[0].headers["host"] == f"[::1]:{web.port}"


# --- servers that say no, or nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [204, 206, 304, 400, 401, 403, 404, 410])
def test_a_plain_no_is_final_and_named(web: Web, status: int) -> None:
    web.status("/gone", status, b"" if status in (204, 304) else b"SECRET of the page")
    error = refused(web.url("/gone?sig=SECRET"))
    assert error.text == f"the document could not be fetched: http {status} from {web.url('/gone')}"
    assert not error.transient
    assert len(web.requests) == 1


def test_nobody_listening_is_tried_three_times(free_port: int) -> None:
    began = time.monotonic()
    error = refused(f"http://127.0.0.1:{free_port}/a?sig=SECRET")
    assert error.transient
    assert f"no answer from http://127.0.0.1:{free_port}/a: Connection refused" in error.text
    assert 0.15 <= time.monotonic() - began < SOON_S


def test_a_server_that_recovers_on_the_third_try_is_forgiven(web: Web) -> None:
    web.failing("/a", 2, b"document", status=500)
    assert fetch(web.url("/a"), Memory(), RULES).size == 8
    assert len(web.requests) == 3


def test_a_server_that_fails_three_times_has_failed(web: Web) -> None:
    web.failing("/a", 3, b"document", status=502)
    error = refused(web.url("/a"))
    assert error.transient and "http 502" in error.text
    assert len(web.requests) == 3


def test_tries_end_when_their_time_does(web: Web) -> None:
    web.status("/a", 500)
    refused(web.url("/a"), replace(RULES, tries=10, backoff_s=(0.2, 40.0)))
    assert len(web.requests) == 2


def test_a_failure_says_what_it_was_and_not_that_time_ran_out_while_waiting_to_try_again(free_port: int) -> None:
    began = time.monotonic()
    error = refused(f"http://127.0.0.1:{free_port}/a", replace(RULES, total_s=30, backoff_s=(0.1, 90.0)))
    assert "Connection refused" in error.text
    assert time.monotonic() - began < SOON_S


def test_retry_after_is_waited_for(web: Web) -> None:
    web.failing("/a", 1, b"document", status=429, headers={"Retry-After": "1"})
    began = time.monotonic()
    assert fetch(web.url("/a"), Memory(), RULES).size == 8
    assert 1 <= time.monotonic() - began < SOON_S


def test_a_retry_after_beyond_our_time_is_passed_on_and_not_waited_for(web: Web) -> None:
    web.status("/a", 503, headers={"Retry-After": "120"})
    error = refused(web.url("/a"))
    assert error.transient and error.retry_after_s == 120
    assert len(web.requests) == 1


def test_retry_after_may_be_a_date_or_nonsense(web: Web) -> None:
    web.status("/date", 503, headers={"Retry-After": formatdate(time.time() + 100, usegmt=True)})
    web.status("/nonsense", 503, headers={"Retry-After": "soon"})
    after = refused(web.url("/date")).retry_after_s
    assert after is not None and 60 < after <= 100
    assert refused(web.url("/nonsense")).retry_after_s is None


@pytest.mark.parametrize("manner", ["hang", "drip", "drip_head"])
def test_a_server_that_takes_for_ever_is_left_at_the_deadline(web: Web, manner: str) -> None:
    """S14. A drip resets every socket timeout there is; only a deadline over everything stops it."""
    web.hang("/hang")
    web.drip("/drip", 0.05)
    web.drip_head("/drip_head", 0.05)
    began = time.monotonic()
    error = refused(web.url(f"/{manner}"), QUICK)
    assert 0.7 <= time.monotonic() - began < SOON_S
    assert error.transient and "took longer than 0.7 s" in error.text


def test_a_target_that_takes_for_ever_is_left_at_the_deadline(web: Web) -> None:
    class Slow:
        def write(self, data: bytes) -> None:
            time.sleep(2)

    web.serve("/a", packed(bytes(RULES.max_bytes)), {"Content-Encoding": "gzip"})
    began = time.monotonic()
    with pytest.raises(FetchFailed, match="took longer"):
        fetch(web.url("/a"), Slow(), replace(RULES, total_s=0.3))
    assert time.monotonic() - began < SOON_S  # of half a minute, if all of it were written


def test_a_resolver_that_takes_for_ever_is_left_at_the_deadline() -> None:
    stuck = threading.Event()

    def resolve(*args: Any, **options: Any) -> list[Any]:
        stuck.wait(60)
        return []

    began = time.monotonic()
    refused("http://files.test/a", replace(RULES, total_s=0.3), resolve=resolve)
    stuck.set()
    assert time.monotonic() - began < SOON_S


def test_a_tls_handshake_that_takes_for_ever_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        refused(f"https://127.0.0.1:{mute.getsockname()[1]}/a", replace(RULES, total_s=0.3))
        assert time.monotonic() - began < SOON_S


@pytest.fixture
def silent() -> Iterator[int]:
    """A loopback port that does not even take the connection: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(server.getsockname())
        yield server.getsockname()[1]
        for each in waiting:
            each.close()


def test_a_host_that_does_not_take_the_connection_is_left_after_connect_s(silent: int) -> None:
    began = time.monotonic()
    error = refused(f"http://127.0.0.1:{silent}/a", replace(RULES, connect_s=0.3, tries=1))
    assert error.transient and "no answer within 0.3 s" in error.text
    assert 0.3 <= time.monotonic() - began < SOON_S


def test_a_cancel_does_not_wait_for_a_connection(silent: int) -> None:
    began = time.monotonic()
    answers = iter([False, False, True])
    error = refused(f"http://127.0.0.1:{silent}/a", RULES, cancelled=lambda: next(answers))
    assert isinstance(error, FetchCancelled)
    assert time.monotonic() - began < SOON_S


@pytest.mark.parametrize("path", ["/hang", "/drip", "/busy", "/endless"])
def test_a_cancel_takes_effect_soon(web: Web, path: str) -> None:
    web.hang("/hang")
    web.drip("/drip", 0.01)
    web.status("/busy", 503, headers={"Retry-After": "60"})
    web.endless("/endless")
    rules = replace(RULES, tries_within_s=100, total_s=100, max_bytes=10**12)
    stop = threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    began = time.monotonic()
    error = refused(web.url(path), rules, cancelled=stop.is_set)
    timer.join()
    assert isinstance(error, FetchCancelled) and not error.transient
    assert time.monotonic() - began < SOON_S


def test_a_name_nobody_knows_may_be_known_later() -> None:
    def resolve(*args: Any, **options: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    error = refused("http://files.test/a", resolve=resolve)
    assert error.transient and "files.test could not be resolved" in error.text


@pytest.mark.parametrize(
    "answer",
    [b"SECRET\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\nSECRET",
     b"HTTP/1.1 200 OK\r\n" + b"X: SECRET\r\n" * 200],
    ids=["not http", "nothing", "bad chunk", "half a chunk", "too many headers"],
)
def test_what_is_not_http_is_a_failure_and_not_shown(web: Web, answer: bytes) -> None:
    web.raw("/a", answer)
    error = refused(web.url("/a"))
    assert error.__cause__ is None or "SECRET" not in str(error.__cause__)


def test_a_document_cut_short_is_no_document_and_leaves_no_file(web: Web, tmp_path: Path) -> None:
    web.cut_short("/a", BODY, announced=len(BODY) + 1)
    with pytest.raises(FetchFailed, match="ended before") as caught:
        fetch(web.url("/a"), tmp_path / "document", RULES)
    assert caught.value.transient
    assert list(tmp_path.iterdir()) == []


def test_a_gzip_cut_short_is_no_document(web: Web) -> None:
    web.serve("/a", packed(BODY)[:-9], {"Content-Encoding": "gzip"})
    assert "ended before" in refused(web.url("/a")).text


def test_damaged_gzip_and_unknown_encodings_are_refused(web: Web) -> None:
    web.serve("/damaged", b"SECRET, not gzip", {"Content-Encoding": "gzip"})
    web.serve("/br", b"SECRET", {"Content-Encoding": "br"})
    web.serve("/twice", packed(packed(BODY)), {"Content-Encoding": "gzip, gzip"})
    assert "damaged" in refused(web.url("/damaged")).text
    assert "encoding we did not ask for" in refused(web.url("/br")).text
    assert "encoding we did not ask for" in refused(web.url("/twice")).text


# --- too much ---------------------------------------------------------------------------------------------------------


def test_a_document_of_exactly_the_limit_is_fine(web: Web) -> None:
    web.serve("/a", bytes(RULES.max_bytes))
    assert fetch(web.url("/a"), Memory(), RULES).size == RULES.max_bytes


def test_an_endless_body_is_stopped_at_the_limit_and_leaves_no_file(web: Web, tmp_path: Path) -> None:
    web.endless("/a")
    with pytest.raises(FetchFailed, match="larger than the limit of 1000000 bytes"):
        fetch(web.url("/a"), tmp_path / "document", RULES)
    assert list(tmp_path.iterdir()) == []


def test_a_length_beyond_the_limit_is_refused_before_the_body(web: Web) -> None:
    web.cut_short("/a", b"", announced=RULES.max_bytes + 1)
    assert "larger than the limit" in refused(web.url("/a")).text


def test_a_gzip_bomb_is_refused_at_the_limit_with_flat_memory(web: Web) -> None:
    """S15: 300 MB in 300 kB. The target looks at the process's memory at every piece."""
    web.gzip_bomb("/a", 300_000_000)
    assert len(bomb(300_000_000)) < 310_000
    memory = psutil.Process().memory_info

    class Scale:
        most = total = 0

        def write(self, data: bytes) -> None:
            self.most, self.total = max(self.most, memory().rss), self.total + len(data)

    scale, before = Scale(), memory().rss
    with pytest.raises(FetchFailed, match="larger than the limit"):
        fetch(web.url("/a"), scale, replace(RULES, max_bytes=50_000_000))
    assert 49_000_000 < scale.total <= 50_000_000
    assert max(scale.most, memory().rss) - before < 20 * 1024 * 1024


def test_packed_emptiness_without_end_is_stopped_too(web: Web) -> None:
    web.stream("/a", {"Content-Encoding": "gzip"}, iter(lambda: packed(b"") * 1000, None))
    assert "larger than the limit" in refused(web.url("/a"), replace(RULES, max_bytes=200_000)).text


# --- redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(web: Web, status: int) -> None:
    web.redirect("/old", "new?sig=SECRET", status)
    web.serve("/new", b"x")
    assert fetch(web.url("/old"), Memory(), RULES).final_url == web.url("/new")
    assert web.requests[-1].path == "/new?sig=SECRET"


def test_three_redirects_are_followed_and_four_are_not(web: Web) -> None:
    for step in range(4):
        web.redirect(f"/{step}", f"/{step + 1}")
    web.serve("/4", b"x")
    assert fetch(web.url("/1"), Memory(), RULES).size == 1
    error = refused(web.url("/0"))
    assert "more than 3 redirects" in error.text and not error.transient


def test_a_redirect_circle_is_called_one(web: Web) -> None:
    web.redirect("/self", "/self")
    web.redirect("/a", "/b#x")
    web.redirect("/b", "/a#y")
    assert "in a circle" in refused(web.url("/self")).text
    assert "in a circle" in refused(web.url("/a")).text
    assert len(web.requests) == 3


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd?SECRET", "file://...: the URL does not start with http"),
        ("gopher://127.0.0.1/SECRET", "gopher://...: the URL does not start with http"),
        ("http://169.254.169.254/latest?SECRET", "link-local"),
        ("//169.254.169.254/latest", "link-local"),
        ("http://[fe80::1]/", "link-local"),
        ("http://user:SECRET@[::ffff:a9fe:1]/", "link-local"),
        ("http://224.0.0.1/", "multicast"),
        (f"http://127.0.0.1:{OWN}/v1/keys?SECRET", "leads back to print-bridge itself"),
        (f"http://localhost:{OWN}/v1/keys", "leads back to print-bridge itself"),
        (f"http://0x7f.1:{OWN}/v1/keys", "leads back to print-bridge itself"),
        ("http://[::1", "unreadable URL"),
        ("http://u:SECRET@127.0.0.1:99999/?SECRET", "the URL cannot be read"),
        ("", "redirects to nowhere"),
    ],
)
def test_a_redirect_is_held_to_the_same_rules(web: Web, location: str, reason: str) -> None:
    web.redirect("/a", location)
    error = refused(web.url("/a"))
    assert reason in error.text and not error.transient
    assert len(web.requests) == 1


def test_our_own_keys_cannot_be_fetched() -> None:
    """S16, with our own port really open."""
    with Web() as ours:
        ours.serve("/v1/keys", b"SECRET")
        rules = replace(RULES, own_ports=frozenset({ours.port}))
        for host in ("127.0.0.1", "127.0.0.2", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
            assert "print-bridge itself" in refused(f"http://{host}:{ours.port}/v1/keys", rules).text
        assert ours.requests == []


# --- logins -----------------------------------------------------------------------------------------------------------


def test_a_login_in_the_url_goes_to_its_host_and_stays_there(web: Web) -> None:
    with Web("127.0.0.2") as other:
        web.redirect("/a", "/b")
        web.redirect("/b", other.url("/c"))
        other.redirect("/c", web.url("/d"))
        web.serve("/d", b"x")
        url = web.url("/a").replace("//", "//us%40er:p%3Aw@")
        got = fetch(url, Memory(), RULES)
    assert got.final_url == web.url("/d")
    logins = [request.headers.get("authorization") for request in web.requests + other.requests]
    assert logins == ["Basic dXNAZXI6cDp3", "Basic dXNAZXI6cDp3", None, None]


def test_a_login_offered_by_a_redirect_is_not_used(web: Web) -> None:
    web.redirect("/a", web.url("/b").replace("//", "//user:pw@"))
    web.serve("/b", b"x")
    fetch(web.url("/a"), Memory(), RULES)
    assert "authorization" not in web.requests[-1].headers


# --- names and addresses ----------------------------------------------------------------------------------------------


def test_a_name_is_resolved_once_and_the_judged_address_is_the_one_asked(web: Web) -> None:
    """Rebinding: the second answer would lead to another server, which must never hear from us."""
    with Web("127.0.0.2", port=web.port) as victim:
        web.serve("/a", b"x")
        resolve = Resolver(["127.0.0.1"], ["127.0.0.2"])
        fetch(f"http://files.test:{web.port}/a", Memory(), RULES, resolve=resolve)
        assert resolve.asked == ["files.test"]
        assert victim.requests == []
    assert web.requests[0].headers["host"] == f"files.test:{web.port}"


def test_a_name_that_turns_bad_on_the_way_is_refused_there(web: Web) -> None:
    web.redirect("/a", "/b")
    error = refused(f"http://files.test:{web.port}/a", resolve=Resolver(["127.0.0.1"], ["169.254.169.254"]))
    assert "link-local" in error.text and not error.transient
    assert len(web.requests) == 1


def test_one_denied_address_condemns_the_name(web: Web) -> None:
    resolve = Resolver(["127.0.0.1", "169.254.169.254"])
    assert "link-local" in refused(f"http://files.test:{web.port}/a", resolve=resolve).text
    assert web.requests == []


def test_a_name_for_our_own_port_is_refused_at_the_fetch() -> None:
    check_url(f"http://files.test:{OWN}/v1/keys", RULES)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        error = refused(f"http://files.test:{OWN}/v1/keys", resolve=Resolver([address]))
        assert "print-bridge itself" in error.text
        assert address not in error.text


def test_the_second_address_is_tried_when_the_first_does_not_answer(web: Web) -> None:
    web.serve("/a", b"x")
    resolve = Resolver(["127.0.0.3", "127.0.0.1"])
    assert fetch(f"http://files.test:{web.port}/a", Memory(), RULES, resolve=resolve).size == 1
    assert len(resolve.asked) == 1


def test_loopback_and_private_networks_can_be_closed(web: Web) -> None:
    closed = replace(RULES, loopback=False, private=False)
    assert "this machine itself" in refused(web.url("/a"), closed).text
    assert "this machine itself" in refused("http://files.test/a", closed, resolve=Resolver(["::1"])).text
    for host in ("10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "[fd12::1]", "[::ffff:10.0.0.1]"):
        check_url(f"http://{host}/a", RULES)
        with pytest.raises(Invalid, match="private address"):
            check_url(f"http://{host}/a", closed)
    check_url("http://172.32.0.1/a", closed)
    assert web.requests == []


# --- judged when the job is accepted ----------------------------------------------------------------------------------

SPELLINGS = ["2130706433", "0x7f000001", "127.1", "0", "0177.0.0.1", "[::ffff:127.0.0.1]"]  # promises.md 1.6 (e)
MORE = ["127.0.0.1", "127.8.9.1", "127.0.0.1.", "0X7F.0.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::]",
        "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[::ffff:0:127.0.0.1]", "[2002:7f00:1::]", "localhost",
        "LOCALHOST.", "till.localhost", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021"]


@pytest.mark.parametrize("host", SPELLINGS + MORE)
def test_no_spelling_of_this_machine_reaches_our_own_port(host: str) -> None:
    """S13."""
    with pytest.raises(Invalid) as caught:
        check_url(f"http://{host}:{OWN}/v1/keys", RULES)
    assert caught.value.field == "document_url" and caught.value.remedy
    assert refused(f"http://{host}:{OWN}/v1/keys").transient is False


@pytest.mark.parametrize("host", [host for host in SPELLINGS + MORE if host not in ("0", "[::]")])
def test_the_same_spellings_are_fine_for_other_ports(host: str) -> None:
    check_url(f"http://{host}:{OWN + 1}/label.pdf", RULES)


def own_addresses() -> list[str]:
    found = [entry.address for entries in psutil.net_if_addrs().values() for entry in entries
             if entry.family in (socket.AF_INET, socket.AF_INET6) and "%" not in entry.address]
    return [f"[{address}]" if ":" in address else address for address in found]


@pytest.mark.parametrize("host", own_addresses())
def test_our_own_port_is_denied_on_every_address_of_this_machine(host: str) -> None:
    with pytest.raises(Invalid, match="print-bridge itself"):
        check_url(f"http://{host}:{OWN}/", RULES)


def test_our_port_number_on_another_machine_is_none_of_our_business() -> None:
    check_url(f"http://198.51.100.7:{OWN}/label.pdf", RULES)
    check_url(f"http://[2001:db8::7]:{OWN}/label.pdf", RULES)


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "169.254.1.1", "[::ffff:169.254.1.1]", "[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%eth0]",
     "2852039166", "0xa9.0xfe.1", "[64:ff9b::169.254.169.254]", "224.0.0.251", "[ff02::1]", "0.0.0.0", "0.1.2.3", "0",
     "[::]", "255.255.255.255", "[fd00:ec2::254]", "100.100.100.200"],
)
def test_addresses_nobody_keeps_documents_on_are_always_denied(host: str) -> None:
    with pytest.raises(Invalid, match="the URL leads to"):
        check_url(f"http://{host}/latest/meta-data", RULES)


@pytest.mark.parametrize(
    "url",
    ["", "label.pdf", "/etc/passwd", "file:///etc/passwd", "ftp://host/a", "javascript:alert(1)", "http:", "http://",
     "http:///a", "http://:80/a", "http://user@/a", "http://host:0/a", "http://host:65536/a", "http://host:-1/a",
     "http://host:x/a", "http://ho st/a", "http://host%2e/a", "http://[::1/a", "http://[1.2.3.4]/a", "http://[v1.x]/a",
     "http://host\\@other/a", "http://a..b/", "http://" + "a" * 64 + ".test/", "http://127.0.0.256/", "http://1.2.3.4.5/",
     "http://host.0x/", "http://999999999999/", "http://host/\r\nX: y", "http://host/\x00", "http://host/\x85",
     "http://host/\ud800", "http://host/" + "a" * MAX_URL],
)
def test_what_is_no_web_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_url(url, RULES)
    assert caught.value.remedy
    refused(url)


@pytest.mark.parametrize(
    "url",
    ["http://host", "HTTPS://Host.Example:8443/a?b#c", "http://user:p%40ss@host/a",
     "http://m\xfcller.example/etikett \xe4.pdf", "http://under_score.local/a",
     "http://host:/a", " http://host/a ", "http://4wd.example/", "http://host.7up/"],
)
def test_ordinary_addresses_pass(url: str) -> None:
    check_url(url, RULES)


# --- what is shown ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://user:SECRET@host:81/a/b?sig=SECRET#SECRET", "http://host:81/a/b"),
        ("https://us@er:SECRET@host/a", "https://host/a"),
        ("http://host?SECRET", "http://host"),
        ("user:SECRET@host/a", "(an unreadable URL)"),
        ("http:user:SECRET@host/a", "(an unreadable URL)"),
        ("ftp://user:SECRET@host/a", "ftp://..."),
        ("http://[::1/SECRET", "(an unreadable URL)"),
        ("http://host/\x1b[31m\u2028", "http://host/?[31m?"),
        ("http://host/" + "a" * 300, "http://host/" + "a" * 188 + "..."),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, text: str) -> None:
    assert shown(url) == text


@pytest.mark.parametrize("path", ["/404", "/500", "/hang", "/cut", "/self", "/huge", "/file", "/to-own", "/raw"])
def test_no_text_shows_a_query_or_a_login(web: Web, path: str) -> None:
    web.status("/500", 500, b"SECRET")
    web.hang("/hang")
    web.cut_short("/cut", b"SECRET", announced=10)
    web.redirect("/self", "/self?sig=SECRET")
    web.endless("/huge")
    web.redirect("/file", "file:///a?SECRET")
    web.redirect("/to-own", f"http://u:SECRET@127.0.0.1:{OWN}/?SECRET")
    web.raw("/raw", b"SECRET")
    url = web.url(f"{path}?sig=SECRET").replace("//", "//user:SECRET@", 1)
    refused(url, replace(RULES, total_s=0.4))  # refused() looks for SECRET


# --- https ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for files.test, key and certificate in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = folder / "key", folder / "cert", folder / "both"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=files.test",
               "-addext", "subjectAltName=DNS:files.test", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both


@pytest.fixture
def https(certificate: Path) -> Iterator[Web]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Web(tls=context) as server:
        server.serve("/a", BODY)
        yield server


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # OpenSSL's own way to name the system store


def test_https_connects_to_the_judged_address_and_checks_the_name(https: Web, trusted: None) -> None:
    target = Memory()
    fetch(f"https://files.test:{https.port}/a", target, RULES, resolve=Resolver(["127.0.0.1"]))
    assert bytes(target) == BODY
    error = refused(f"https://other.test:{https.port}/a", resolve=Resolver(["127.0.0.1"]))
    assert "is not trusted" in error.text and "mismatch" in error.text and not error.transient


def test_a_certificate_nobody_vouches_for_is_refused(https: Web) -> None:
    error = refused(f"https://files.test:{https.port}/a?SECRET", resolve=Resolver(["127.0.0.1"]))
    assert "is not trusted" in error.text and not error.transient
    assert https.requests == []


def test_https_drips_are_left_at_the_deadline(https: Web, trusted: None) -> None:
    https.drip("/drip", 0.05)
    began = time.monotonic()
    refused(f"https://files.test:{https.port}/drip", QUICK, resolve=Resolver(["127.0.0.1"]))
    assert 0.7 <= time.monotonic() - began < SOON_S


def test_a_redirect_from_https_to_http_is_refused(https: Web, web: Web, trusted: None) -> None:
    https.redirect("/down", web.url("/a?SECRET"))
    error = refused(f"https://files.test:{https.port}/down", resolve=Resolver(["127.0.0.1"]))
    assert "from https to http" in error.text and not error.transient
    assert web.requests == []


def test_plain_http_spoken_to_an_https_client_is_a_failure(web: Web) -> None:
    assert "no answer from https" in refused(web.url("/a").replace("http:", "https:")).text


def test_a_route_may_be_any_function(web: Web) -> None:
    """A slow but honest server is given its time."""
    def route(handler: Handler) -> None:
        handler.pause(0.3)
        handler.answer(200, b"late")

    web.routes["/late"] = route
    assert fetch(web.url("/late"), Memory(), RULES).size == 4
