"""The event feed as its listeners see it: real waitress, real sockets, and no thread for any of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Response, g, jsonify, request

from bridge.access.keys import KeyRing, digest
from bridge.access.origins import HostRules
from bridge.dialects import Desk
from bridge.errors import BridgeError
from bridge.model import Event
from bridge.store import Store
from bridge.store.events import Events
from bridge.web import seats
from bridge.web.feed import LISTENERS_MAX, PAGE, Feed
from bridge.web.seats import PollSeat, Seat, StreamSeat
from bridge.web.server import CONNECTIONS, THREADS, HttpServer, make_app
from tests.bridge.test_server import ORG, desk_of, listen

HEAD = b"Host: localhost\r\nAuthorization: Bearer till-key\r\n"
STREAM = b"GET /news/stream?after=0 HTTP/1.1\r\n" + HEAD + b"\r\n"


class News:
    """A dialect with a stream, a poll, and one thing that needs a thread."""

    name, mount = "news", "/news"
    credentials = frozenset({"bearer"})
    public: frozenset[str] = frozenset()
    web: frozenset[str] = frozenset()

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def error(self, error: BridgeError) -> tuple[Any, Mapping[str, str]]:
        return {"error": {"code": error.code, "text": error.text}}, {}

    def routes(self, desk: Desk) -> Blueprint:
        views = Blueprint(self.name, __name__)
        views.add_url_rule("/stream", "stream", self.stream)
        views.add_url_rule("/poll", "poll", self.poll)
        views.add_url_rule("/now", "now", lambda: jsonify(now=True))
        return views

    def stream(self) -> Response:
        return self.feed.stream(g.principal.organization_id, after=_number("after"), key_id=g.principal.key_id)

    def poll(self) -> Response:
        return self.feed.poll(
            g.principal.organization_id, after=_number("after"), limit=_number("limit") or 100,
            wait_s=float(request.args.get("wait", 0)), key_id=g.principal.key_id,
        )  # fmt: skip


def _number(name: str) -> int:
    return int(request.args.get(name, 0))


class CountedEvents(Events):
    """The real ones, and how often they were read."""

    reads = 0

    def after(self, organization_id: str, seq: int, *, limit: int = 100) -> list[Event]:
        self.reads += 1
        return super().after(organization_id, seq, limit=limit)


@dataclass
class Rig:
    store: Store
    feed: Feed
    server: HttpServer
    events: CountedEvents
    revoked: set[str | None] = field(default_factory=set)
    fail: bool = False

    @property
    def port(self) -> int:
        return self.server.port

    def happen(self, count: int = 1, text: str = "moved on", at: float = 1.5) -> None:
        """So many events, in one commit."""
        self.store.engine.write(
            lambda db: [
                db.execute(
                    "INSERT INTO events (at, organization_id, job_id, device_id, kind, state, text)"
                    " VALUES (:at, :o, 'J', 'D', 'job', 'queued', :text)",
                    {"o": ORG, "text": text, "at": at},
                )
                for _ in range(count)
            ]
        )

    def connect(self, sent: bytes = STREAM, *, rcvbuf: int | None = None) -> socket.socket:
        line = socket.socket()
        if rcvbuf is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        line.settimeout(60)
        line.connect(("127.0.0.1", self.port))
        line.sendall(sent)
        return line

    def until(self, true: Callable[[], bool], timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while not true():
            assert time.monotonic() < deadline, (self.feed.listeners, true)
            time.sleep(0.01)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    folder = tmp_path / "data"
    folder.mkdir()
    store = Store(folder)
    store.events = events = CountedEvents(store.engine)
    store.organizations.add(ORG, "shop")
    store.keys.add(ORG, "till", digest("till-key"), ["admin"])
    server = HttpServer(body_max=100_000)
    server.bind(None, 0)

    def still_good(key_id: str | None) -> bool:
        if rig.fail:
            raise RuntimeError("a bug")
        return key_id not in rig.revoked

    rig = Rig(store, Feed(store, still_good=still_good), server, events)
    hosts = HostRules.of([], None, server.port)
    server.serve(make_app(desk_of(store), KeyRing(store), [News(rig.feed)], hosts, 100_000))
    rig.feed.start()
    server.start()
    yield rig
    rig.feed.stop()
    server.stop()
    store.close()


class Stream:
    """A server-sent events client that keeps what it is told."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.answer = http.client.HTTPResponse(line)
        self.answer.begin()

    def frames(self, count: int) -> list[dict[str, str]]:
        """The next `count` frames, comments skipped."""
        return [self._frame() for _ in range(count)]

    def _frame(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while (line := self.line_()) or not fields:
            if not line.startswith(":") and line:
                name, _, value = line.partition(": ")
                fields[name] = value
        return fields

    def line_(self) -> str:
        raw = self.answer.readline()
        assert raw.endswith(b"\n"), "the stream ended"
        return raw.decode().rstrip("\n")

    def close(self) -> None:
        self.answer.close()
        self.line.close()


@pytest.fixture
def crowd() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def poll(rig: Rig, query: str) -> Any:
    with rig.connect(b"GET /news/poll?%s HTTP/1.1\r\n" % query.encode() + HEAD + b"\r\n") as line:
        answer = listen(line)
        assert answer.status == 200
        return answer.json


# ---- streams ----------------------------------------------------------------------------------------------------


def test_a_stream_tells_what_was_and_what_comes(rig: Rig) -> None:
    rig.happen(2, "before\nit began")
    stream = Stream(rig.connect())
    assert stream.answer.getheader("Content-Type", "").startswith("text/event-stream")
    assert stream.answer.getheader("Cache-Control") == "no-store"
    assert stream.answer.getheader("X-Content-Type-Options") == "nosniff"
    [first, _] = stream.frames(2)
    assert (first["id"], first["event"]) == ("1", "job")
    assert json.loads(first["data"]) == {
        "seq": 1, "at": 1.5, "kind": "job", "job_id": "J", "printer_id": "D", "state": "queued",
        "text": "before\nit began",
    }  # fmt: skip
    rig.happen(3)
    assert [frame["id"] for frame in stream.frames(3)] == ["3", "4", "5"]
    stream.close()


def test_a_stream_comes_as_it_is_over_http_1_0(rig: Rig) -> None:
    rig.happen()
    with rig.connect(b"GET /news/stream?after=0 HTTP/1.0\r\nConnection: keep-alive\r\n" + HEAD + b"\r\n") as line:
        data = b""
        while b"}\n\n" not in data:
            data += line.recv(4096)
        head, _, body = data.partition(b"\r\n\r\n")
        assert body.startswith(b"id: 1\nevent: job\ndata: {")
        assert b"Connection: close" in head and b"chunked" not in head and b"Keep-Alive" not in head
        rig.feed.stop()
        assert line.recv(4096) == b""


def test_head_parks_nobody(rig: Rig) -> None:
    for path in (b"stream", b"poll?wait=20"):
        with rig.connect(b"HEAD /news/%s HTTP/1.1\r\n" % path + HEAD + b"\r\n") as line:
            answer = listen(line, "HEAD")
        assert (answer.status, answer.body, rig.feed.listeners) == (200, b"", 0)


def test_a_caller_that_comes_back_goes_on_where_it_was(rig: Rig) -> None:
    rig.happen(5)
    stream = Stream(rig.connect(b"GET /news/stream?after=1 HTTP/1.1\r\nLast-Event-ID: 3\r\n" + HEAD + b"\r\n"))
    assert [frame["id"] for frame in stream.frames(2)] == ["4", "5"]
    stream.close()
    for said in (b"x", b"-1", b"9" * 30, "٣".encode()):
        with rig.connect(b"GET /news/stream HTTP/1.1\r\nLast-Event-ID: %s\r\n" % said + HEAD + b"\r\n") as line:
            assert listen(line).status == 422


def test_a_long_history_comes_whole_and_in_order_to_a_slow_reader(rig: Rig) -> None:
    rig.happen(20 * PAGE, "x" * 1000)  # 4 MB, far more than may wait unsent
    stream = Stream(rig.connect(rcvbuf=8192))
    seen = []
    for _ in range(20):
        seen += [int(frame["id"]) for frame in stream.frames(PAGE)]
    assert seen == list(range(1, 20 * PAGE + 1))
    stream.close()


def test_all_listeners_share_one_read(rig: Rig, crowd: contextlib.ExitStack) -> None:
    streams = [Stream(crowd.enter_context(rig.connect())) for _ in range(50)]
    rig.until(lambda: rig.feed.listeners == 50)
    time.sleep(0.3)
    rig.events.reads = 0
    for _ in range(10):
        rig.happen()  # ten commits in a row
    for stream in streams:
        assert len(stream.frames(10)) == 10
    assert rig.events.reads <= 10


def test_a_silent_stream_gets_comments(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "COMMENT_S", 0.5)
    stream = Stream(rig.connect())
    assert [stream.line_() for _ in range(4)] == [":", "", ":", ""]
    stream.close()


# ---- polls ------------------------------------------------------------------------------------------------------


def test_a_poll_is_answered_at_once_when_there_is_something(rig: Rig) -> None:
    rig.happen(5)
    answer = poll(rig, "after=2&wait=20&limit=2")
    assert ([event["seq"] for event in answer["events"]], answer["last"]) == ([3, 4], 4)
    assert poll(rig, "after=7") == {"events": [], "last": 7}


def test_a_poll_waits_for_the_next_event_and_no_longer_than_asked(rig: Rig) -> None:
    began = time.monotonic()
    assert poll(rig, "after=3&wait=0.5") == {"events": [], "last": 3}
    assert 0.4 < time.monotonic() - began < 20
    rig.until(lambda: rig.feed.listeners == 0)
    with rig.connect(b"GET /news/poll?wait=20 HTTP/1.1\r\n" + HEAD + b"\r\n") as line:
        rig.until(lambda: rig.feed.listeners == 1)
        rig.happen(3)
        answer = listen(line)
        assert answer.headers["connection"] == "close"
        assert ([event["seq"] for event in answer.json["events"]], answer.json["last"]) == ([1, 2, 3], 3)
        assert line.recv(1) == b""
    rig.until(lambda: rig.feed.listeners == 0)


def test_nobody_misses_an_event_between_two_polls(rig: Rig) -> None:
    writer = threading.Thread(target=lambda: [(rig.happen(), time.sleep(0.003)) for _ in range(300)])
    writer.start()
    seen: list[int] = []
    while len(seen) < 300:
        answer = poll(rig, f"after={seen[-1] if seen else 0}&wait=10")
        assert answer["events"], "nothing came for 10 s"
        seen += [event["seq"] for event in answer["events"]]
    writer.join()
    assert seen == list(range(1, 301))


def test_a_poll_that_asks_again_at_once_gets_several_events_at_a_time(rig: Rig) -> None:
    over = time.monotonic() + 3
    writer = threading.Thread(
        target=lambda: [(rig.happen(at=time.time()), time.sleep(0.01)) for _ in range(400) if time.monotonic() < over]
    )
    writer.start()
    seen, answers = [0], 0
    while time.monotonic() < over:
        seen += [event["seq"] for event in poll(rig, f"after={seen[-1]}&wait=10")["events"]]
        answers += 1
    writer.join()
    seen += [event["seq"] for event in poll(rig, f"after={seen[-1]}&limit=500")["events"]]
    assert seen == list(range(len(seen))) and len(seen) > answers
    assert answers <= 8


def test_what_was_asked_before_a_poll_is_answered_before_it(rig: Rig) -> None:
    now = b"GET /news/now HTTP/1.1\r\n" + HEAD + b"\r\n"
    with rig.connect(now + now + b"GET /news/poll?wait=0.3 HTTP/1.1\r\n" + HEAD + b"\r\n" + now) as line:
        data = b"".join(iter(lambda: line.recv(4096), b""))
    # The fourth has to be asked again: a poll is the last on its connection.
    bodies = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200 OK")[1:]]
    assert [json.loads(body) for body in bodies] == [{"now": True}, {"now": True}, {"events": [], "last": 0}]


# ---- places -----------------------------------------------------------------------------------------------------


def test_listeners_need_no_threads(rig: Rig, crowd: contextlib.ExitStack) -> None:
    before = set(threading.enumerate())
    for n in range(50):
        wait = b"GET /news/poll?wait=30 HTTP/1.1\r\n" + HEAD + b"\r\n"
        crowd.enter_context(rig.connect(wait if n % 2 else STREAM))
    rig.until(lambda: rig.feed.listeners == 50)
    assert set(threading.enumerate()) <= before
    began = time.monotonic()
    for _ in range(2 * THREADS):
        with rig.connect(b"GET /news/now HTTP/1.1\r\n" + HEAD + b"\r\n") as line:
            assert listen(line).status == 200
    assert time.monotonic() - began < 20  # of the thirty that each of them waits


def test_one_too_many_is_told_when_to_come_back(rig: Rig, crowd: contextlib.ExitStack) -> None:
    streams = [crowd.enter_context(rig.connect()) for _ in range(LISTENERS_MAX)]
    rig.until(lambda: rig.feed.listeners == LISTENERS_MAX)
    for path in (b"stream", b"poll?wait=20"):
        with rig.connect(b"GET /news/%s HTTP/1.1\r\n" % path + HEAD + b"\r\n") as line:
            answer = listen(line)
        assert (answer.status, answer.json["error"]["code"]) == (503, "too_many_listeners")
        assert int(answer.headers["retry-after"]) > 0
    assert poll(rig, "after=0") == {"events": [], "last": 0}  # without waiting there is always a place
    streams.pop().close()
    rig.until(lambda: rig.feed.listeners == LISTENERS_MAX - 1)
    stream = Stream(crowd.enter_context(rig.connect()))
    rig.happen()
    assert stream.frames(1)[0]["id"] == "1"


@pytest.mark.parametrize("sent", [STREAM, b"GET /news/poll?wait=30 HTTP/1.1\r\n" + HEAD + b"\r\n"])
@pytest.mark.parametrize("way", ["close", "reset", "half close"])
def test_a_listener_that_hangs_up_frees_its_place(rig: Rig, sent: bytes, way: str) -> None:
    line = rig.connect(sent)
    rig.until(lambda: rig.feed.listeners == 1)
    if way == "reset":
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if way == "half close":
        line.shutdown(socket.SHUT_WR)
    else:
        line.close()
    rig.until(lambda: rig.feed.listeners == 0)
    line.close()


def test_callers_that_hang_up_at_once_never_keep_a_place(rig: Rig) -> None:
    for n in range(100):
        line = rig.connect(STREAM if n % 2 else b"GET /news/poll?wait=30 HTTP/1.1\r\n" + HEAD + b"\r\n")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
    rig.until(lambda: rig.feed.listeners == 0)


def test_a_listener_that_does_not_read_is_dropped_and_the_others_get_everything(rig: Rig) -> None:
    deaf, stream = rig.connect(rcvbuf=4096), Stream(rig.connect())
    rig.until(lambda: rig.feed.listeners == 2)
    for _ in range(40):
        rig.happen(20, "x" * 1000)
        stream.frames(20)
    rig.until(lambda: rig.feed.listeners == 1)
    rig.happen()
    assert stream.frames(1)[0]["id"] == "801"
    deaf.close()
    stream.close()


def test_a_listener_that_talks_is_dropped(rig: Rig) -> None:
    with rig.connect() as line, contextlib.suppress(OSError):
        rig.until(lambda: rig.feed.listeners == 1)
        for _ in range(100):
            line.sendall(b"x" * 10_000)
    rig.until(lambda: rig.feed.listeners == 0)


def test_a_crowd_of_silent_connections_does_not_push_listeners_out(rig: Rig, crowd: contextlib.ExitStack) -> None:
    stream = Stream(crowd.enter_context(rig.connect()))
    for _ in range(CONNECTIONS + 50):
        crowd.enter_context(rig.connect(b"POST /news/now HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"))
    time.sleep(3)
    rig.happen()
    assert stream.frames(1)[0]["id"] == "1"


def test_a_revoked_key_hears_nothing_more(rig: Rig) -> None:
    [key] = rig.store.keys.active()
    stream = Stream(rig.connect())
    rig.revoked.add(key.id)
    began = time.monotonic()
    assert stream.answer.readline() == b""
    assert time.monotonic() - began < 10  # one second by design; the rest is for slow machines
    rig.until(lambda: rig.feed.listeners == 0)
    stream.close()


# ---- the thread -------------------------------------------------------------------------------------------------


def test_stop_ends_streams_and_answers_polls(rig: Rig, crowd: contextlib.ExitStack) -> None:
    stream = Stream(crowd.enter_context(rig.connect()))
    waiting = crowd.enter_context(rig.connect(b"GET /news/poll?after=5&wait=30 HTTP/1.1\r\n" + HEAD + b"\r\n"))
    rig.until(lambda: rig.feed.listeners == 2)
    began = time.monotonic()
    rig.feed.stop()
    assert listen(waiting).json == {"events": [], "last": 5}
    assert stream.answer.read() == b""  # ended in order: no IncompleteRead
    assert time.monotonic() - began < 20  # of the thirty that were asked for
    assert (rig.feed.listeners, rig.feed.is_alive(), rig.store.engine.listeners) == (0, False, [])
    assert poll(rig, "after=5&wait=30") == {"events": [], "last": 5}
    with rig.connect() as line:
        assert listen(line).status == 503


@pytest.mark.parametrize(
    ("seat", "body"),
    [
        (PollSeat(ORG, 5, None, limit=10, deadline=math.inf), b'{"events":[],"last":5}'),
        (StreamSeat(ORG, 5, None), b""),
    ],
    ids=["poll", "stream"],
)
def test_who_is_on_the_way_to_a_seat_when_it_stops_is_answered(rig: Rig, seat: Seat, body: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        caller, (ours, _) = socket.create_connection(door.getsockname()), door.accept()
    ours.setblocking(False)
    rig.feed._take_place()
    rig.feed.stop()

    def head(length: int | None) -> bytes:
        size = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
        return b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % size

    rig.feed.arrive(seat, ours, head, chunked=not body)
    with caller:
        answer = listen(caller)
    assert (answer.status, answer.body, rig.feed.listeners) == (200, body, 0)


def test_a_dead_thread_is_replaced_and_listeners_notice_nothing(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    stream = Stream(rig.connect())
    rig.fail = True
    rig.until(lambda: not rig.feed.is_alive())
    assert "a bug" in caplog.text
    rig.fail = False
    rig.happen()
    rig.feed.revive()
    assert rig.feed.is_alive()
    assert stream.frames(1)[0]["id"] == "1"
    rig.happen()
    assert stream.frames(1)[0]["id"] == "2"
    stream.close()
