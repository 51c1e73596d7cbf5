"""A real `print-bridge serve` and real computers that connect to it by WebSocket: nothing lost, nothing twice, nobody
harmed by whoever else connects."""

from __future__ import annotations

import base64
import json
import os
import random
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.fake.till import Till
from tests.serving import Serve, b64, free_port


def ws_url(serve: Serve) -> str:
    url: str = serve.call("GET", "/v1/hello").json["ws"]
    return url


# ---- nothing lost, nothing twice ----------------------------------------------------------------------------------


def test_two_hundred_jobs_reach_two_computers_whose_network_fails_and_a_bridge_that_is_killed(tmp_path: Path) -> None:
    rng = random.Random(2006)
    port = free_port()
    serve = Serve(tmp_path / "data", f"[server]\nws_port = {port}\n")
    serve.start()
    names = {"till-1": ["A", "B"], "till-2": ["C"]}
    url = f"ws://127.0.0.1:{port}/ws"
    tills = [
        Till(lambda: url, serve.key, name, printers, rng=random.Random(number))
        for number, (name, printers) in enumerate(names.items())
    ]
    sent: dict[str, list[bytes]] = {name: [] for printers in names.values() for name in printers}
    ids: list[str] = []
    try:
        with tills[0], tills[1]:
            wait(lambda: all(till.connections for till in tills), 60)
            devices = {name: found(serve, name) for name in sent}
            for number in range(200):
                if number == 120:
                    serve.kill()
                    serve.start()
                name = rng.choice("ABC")
                document = b"^XA^FO20,20^FD%d^FS^XZ" % number
                body = {"printerId": devices[name], "contentType": "raw_base64", "content": b64(document)}
                answer = printcloud(serve, "POST", "/printjobs", body)
                sent[name].append(document)
                ids.append(answer)
                time.sleep(rng.random() * 0.01)
            wait(lambda: sum(len(till.paper) for till in tills) >= 180, 60)
            for till in tills:
                till.heal()
            wait(lambda: sum(len(till.paper) for till in tills) >= 200, 60)
            wait(lambda: {serve.job(own(job_id))["state"] for job_id in ids} == {"delivered"}, 60)
        for till in tills:
            for name in till.printers:
                assert [document for printer, document in till.paper if printer == name] == sent[name]
        assert sum(till.cuts for till in tills) > 10 and sum(till.again for till in tills) > 0
        assert [till.errors for till in tills] == [[], []] or all("elsewhere" in e for t in tills for e in t.errors)
        assert not any(serve.job(own(job_id))["possible_duplicate"] for job_id in ids)
    finally:
        serve.stop()


def found(serve: Serve, name: str) -> str:
    wait(lambda: bool([p for p in printcloud(serve, "GET", "/printers") if p["name"] == name]), 60)
    printers = printcloud(serve, "GET", "/printers")
    device_id: str = next(p["id"] for p in printers if p["name"] == name)
    return device_id


def printcloud(serve: Serve, method: str, path: str, body: object = None) -> object:
    """As its documentation says: the key is the user, and there is no password."""
    login = base64.b64encode(f"{serve.key}:".encode()).decode()
    answer = serve.call(method, f"/printcloud/api{path}", body, {"Authorization": f"Basic {login}"})
    assert answer.status in (200, 201), answer
    return answer.json


def own(shown: str) -> str:
    text = shown.removeprefix("pj_")
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def wait(true: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


# ---- a bridge, and a computer that is served meanwhile ---------------------------------------------------------------


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    with Serve(tmp_path_factory.mktemp("ws") / "data") as serve:
        yield serve


@pytest.fixture(scope="module")
def till(bridge: Serve) -> Iterator[Till]:
    url = ws_url(bridge)
    with Till(lambda: url, bridge.key, "good-till", ["Good"]) as till:
        wait(lambda: till.connections == 1, 60)
        yield till


@contextmanager
def unharmed(bridge: Serve, till: Till) -> Iterator[None]:
    """Whatever happens meanwhile: the bridge answers at once, and others get their jobs."""
    before = till.connections
    yield
    began = time.monotonic()
    assert bridge.call("GET", "/v1/health").status == 200
    assert time.monotonic() - began < 10  # a second; the rest is for slow machines
    printed = len(till.paper)
    body = {"printerId": found(bridge, "Good"), "contentType": "raw_base64", "content": b64(b"^XA^XZ")}
    printcloud(bridge, "POST", "/printjobs", body)
    wait(lambda: len(till.paper) == printed + 1, 60)
    assert till.connections == before


def test_the_state_of_a_computer_and_its_printers_is_told_live(bridge: Serve) -> None:
    def state(path: str) -> list[str]:
        return [each["state"] for each in printcloud(bridge, "GET", path) if each["name"] in ("live-till", "Live")]

    url = ws_url(bridge)
    def ours() -> list[tuple[str, str]]:
        printers = bridge.call("GET", "/v1/printers").json["printers"]
        return [(each["state"], each["text"]) for each in printers if each["name"] == "Live"]

    with Till(lambda: url, bridge.key, "live-till", ["Live"]):
        wait(lambda: state("/printers") == ["online"], 60)
        assert state("/computers") == ["online"] and ours() == [("idle", "")]
    wait(lambda: state("/computers") == ["offline"], 60)
    assert state("/printers") == ["offline"]
    assert ours() == [("stopped", "live-till is not connected; its jobs wait until it is")]


def test_who_comes_back_after_the_bridge_was_killed_was_never_gone(tmp_path: Path) -> None:
    port = free_port()
    serve = Serve(tmp_path / "data", f"[server]\nws_port = {port}\n")
    serve.start()
    try:
        with Till(lambda: f"ws://127.0.0.1:{port}/ws", serve.key, "till-1", ["A"]) as till:
            wait(lambda: till.connections == 1, 60)
            serve.kill()
            serve.start()
            wait(lambda: till.connections == 2, 60)
            printer = found(serve, "A")
            printcloud(serve, "POST", "/printjobs", {"printerId": printer, "contentType": "raw_base64",
                                                     "content": b64(b"^XA^XZ")})  # fmt: skip
            wait(lambda: len(till.paper) == 1, 60)
            events = serve.call("GET", "/v1/events?limit=100").json["events"]
            assert [event["state"] for event in events if event["kind"] == "client"] == ["connected"]
    finally:
        serve.stop()


def test_a_revoked_key_ends_a_connection_in_the_middle(bridge: Serve) -> None:
    made = printcloud(bridge, "POST", "/account/apikeys", {"description": "till", "permission": "full"})
    with connect(ws_url(bridge)) as line:
        line.send(json.dumps({"type": "auth", "apiKey": made["key"], "computerName": "short-lived"}))
        assert json.loads(line.recv(timeout=60))["type"] == "auth_ok"
        began = time.monotonic()
        printcloud(bridge, "DELETE", f"/account/apikeys/{made['id']}")
        assert "revoked" in line.recv(timeout=60)
        with pytest.raises(Exception, match="4003"):
            line.recv(timeout=60)
        assert time.monotonic() - began < 10  # a second; the rest is for slow machines


@pytest.mark.parametrize("gives_back", [True, False])
def test_olin_asks_the_computer_that_has_a_job_for_it_where_it_can(bridge: Serve, gives_back: bool) -> None:
    name = f"olin-{gives_back}"

    def olin(method: str, path: str, body: object = None) -> Any:
        answer = bridge.call(method, f"/olin/api/print-jobs{path}", body, {"Authorization": f"Bearer {bridge.key}"})
        assert answer.status in (200, 201), answer
        return answer.json

    with connect(ws_url(bridge)) as line:
        def hear(what: str) -> Any:
            while (said := json.loads(line.recv(timeout=30)))["type"] != what:
                pass
            return said

        accepts = {"accepts": ["cancel_job"]} if gives_back else {}
        line.send(json.dumps({"type": "auth", "apiKey": bridge.key, "computerName": name, **accepts}))
        line.send(json.dumps({"type": "printers", "printers": [{"name": name}]}))
        hear("printers_ok")
        job = olin("POST", "", {"printer_name": name, "file_base64": b64(b"^XA^XZ")})["data"]["print_job"]["id"]
        told = hear("print_job")["job"]["id"]
        answer = olin("POST", f"/{job}/cancel")
        if gives_back:
            assert answer["data"]["status"] == "processing" and "asked to stop" in answer["message"]
            assert hear("cancel_job")["jobId"] == told
            line.send(json.dumps({"type": "job_state", "jobId": told, "state": "cancelled"}))
            wait(lambda: olin("GET", f"/{job}")["data"]["status"] == "cancelled", 30)
        else:
            assert answer["data"]["status"] == "cancelled"
            assert "may have printed it already" in answer["data"]["error_message"]


# ---- the port -------------------------------------------------------------------------------------------------------


def test_the_second_port_is_the_next_one_and_its_address_is_told(tmp_path: Path) -> None:
    port = two_ports()
    with Serve(tmp_path / "data", port=port) as serve:
        assert ws_url(serve) == f"ws://127.0.0.1:{port + 1}/ws"
        assert serve.process is not None and serve.process.stdout is not None
        lines = [serve.process.stdout.readline().strip() for _ in range(2)]
        assert f"listening on ws://127.0.0.1:{port + 1}/ws" in lines
        answer = serve.call("GET", "/ws")
        assert answer.status == 426 and f"ws://127.0.0.1:{port + 1}/ws" in answer.json["error"]["remedy"]


def two_ports() -> int:
    """A port below those that systems hand out by themselves, or somebody may be given the next one meanwhile."""
    return next(port for port in random.sample(range(21_000, 31_000), 100) if not (taken(port) or taken(port + 1)))


def taken(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def test_a_port_that_was_asked_for_and_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        serve = Serve(tmp_path / "data", f"[server]\nws_port = {port}\n")
        with pytest.raises(AssertionError, match=f"port {port} on 127.0.0.1 is taken.*ws_port"):
            serve.start()
        assert serve.process is not None and serve.process.wait(10) != 0
        assert serve.process.stdout is not None
        serve.process.stdout.close()


def test_a_port_nobody_asked_for_is_no_reason_not_to_print(tmp_path: Path) -> None:
    port = two_ports()
    with socket.create_server(("127.0.0.1", port + 1)):
        with Serve(tmp_path / "data", port=port) as serve:
            url = ws_url(serve)
            assert url != f"ws://127.0.0.1:{port + 1}/ws"
            with connect(url) as line:
                line.send("{}")
                assert json.loads(line.recv(timeout=60))["type"] == "auth_error"
            assert f"WebSockets are at {url}" in serve.log.read_text()


# ---- the door -------------------------------------------------------------------------------------------------------


def door(bridge: Serve) -> tuple[str, int]:
    host, _, port = ws_url(bridge).removeprefix("ws://").removesuffix("/ws").rpartition(":")
    return host, int(port)


def knock(bridge: Serve, path: str = "/ws", *, method: str = "GET", more: str = "", **headers: str | None) -> bytes:
    """The answer to a handshake with these headers. None leaves one out."""
    with socket.create_connection(door(bridge), 60) as line:
        line.sendall(handshake(bridge, path, method, more, headers))
        answer = b""
        with suppress(ConnectionResetError):
            while b"\r\n\r\n" not in answer and (data := line.recv(65536)):
                answer += data
            head, _, body = answer.partition(b"\r\n\r\n")
            while head and b" 101 " not in head[:20] and b"}}" not in body and (data := line.recv(65536)):
                body += data
                answer += data
        return answer


def handshake(bridge: Serve, path: str = "/ws", method: str = "GET", more: str = "",
              headers: dict[str, str | None] | None = None) -> bytes:  # fmt: skip
    given = {
        "Host": f"localhost:{door(bridge)[1]}", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        **{name.replace("_", "-"): value for name, value in (headers or {}).items()},
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in given.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines]).encode() + f"\r\n{more}\r\n".encode()


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (101, "/ws", {}),
        (101, "/ws/", {}),
        (101, "/ws?x=1", {"Host": "127.0.0.1"}),
        (404, "/", {}),
        (404, "/v1/jobs", {}),
        (404, "/ws/x", {}),
        (400, "/ws", {"Host": "shop.example"}),
        (400, "/ws", {"Host": "127.0.0.1.evil.example"}),
        (400, "/ws", {"Host": None}),
        (400, "/ws", {"Host": "localhost:1"}),
        (403, "/ws", {"Origin": "https://shop.example"}),
        (403, "/ws", {"Origin": "null"}),
        (403, "/ws", {"Origin": "http://localhost"}),
        (403, "/ws", {"Sec_Fetch_Site": "none"}),
        (403, "/ws", {"Sec_Fetch_Mode": "websocket"}),
        (426, "/ws", {"Upgrade": None, "Connection": None}),
        (426, "/", {"Upgrade": None, "Connection": "close"}),
    ],
)
def test_who_may_come_in(bridge: Serve, status: int, path: str, headers: dict[str, str | None]) -> None:
    answer = knock(bridge, path, **headers)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:300]
    if status != 101:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"application/json" in head and json.loads(body)["error"]["remedy"]


def test_the_origin_some_libraries_make_up_of_our_own_address_is_no_page(bridge: Serve) -> None:
    host, port = door(bridge)
    answer = knock(bridge, Host=f"{host}:{port}", Origin=f"http://{host}:{port}")
    assert answer.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("more", ["Host: shop.example\r\n", "Origin: https://a.example\r\nOrigin: https://b.example\r\n"])
def test_a_header_that_is_there_twice_is_not_chosen_from(bridge: Serve, more: str) -> None:
    assert knock(bridge, more=more).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "PUT"])
def test_plain_http_is_told_what_this_port_is_for(bridge: Serve, method: str) -> None:
    answer = knock(bridge, method=method, Content_Length="3", Upgrade=None)
    assert answer.startswith(b"HTTP/1.1 426 ") and b"not_a_websocket" in answer


# ---- abuse ----------------------------------------------------------------------------------------------------------


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    head = bytes([fin << 7 | rsv << 4 | opcode])
    size, mask = len(payload), 0x80 if masked else 0
    if size < 126:
        head += bytes([mask | size])
    elif size < 65536:
        head += bytes([mask | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


TEXT, BINARY, CLOSE, PING, PONG, GO_ON = 1, 2, 8, 9, 10, 0


def say(line: socket.socket, **message: object) -> None:
    line.sendall(frame(TEXT, json.dumps(message).encode()))


@contextmanager
def guest(bridge: Serve, name: str = "abuser", *, known: bool = True, key: str = "") -> Iterator[socket.socket]:
    """A connection of bare bytes, past the handshake and (known) past auth."""
    with socket.create_connection(door(bridge), 60) as line:
        line.sendall(handshake(bridge, headers={"Sec_WebSocket_Extensions": "permessage-deflate"}))
        answer = line.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101 ") and b"Extensions" not in answer
        if known:
            say(line, type="auth", apiKey=key or bridge.key, computerName=name)
            assert b"auth_ok" in line.recv(4096)
        yield line


def closing_code(line: socket.socket, timeout: float = 60) -> int | None:
    """The code of the close frame; None when the connection just ended."""
    line.settimeout(timeout)
    data = b""
    try:
        while piece := line.recv(65536):
            data += piece
            while len(data) >= 2:
                size, at = data[1] & 0x7F, 2
                if size == 126:
                    size, at = struct.unpack(">H", data[2:4])[0], 4
                if len(data) < at + size:
                    break
                if data[0] & 0x0F == CLOSE:
                    code: int = struct.unpack(">H", data[at : at + 2])[0]
                    return code
                data = data[at + size :]
    except ConnectionError:
        pass
    return None


@pytest.mark.parametrize(("what", "code", "state"), [("key", 4003, "pending"), ("computer", 4004, "completed")])
def test_last_words_are_believed_but_those_of_a_revoked_key(bridge: Serve, what: str, code: int, state: str) -> None:
    key = printcloud(bridge, "POST", "/account/apikeys", {"description": "till", "permission": "full"})
    with guest(bridge, f"last words of a {what}", key=key["key"]) as line:
        say(line, type="printers", printers=[{"name": f"Last {what}"}])
        printer = found(bridge, f"Last {what}")
        job = printcloud(bridge, "POST", "/printjobs", {"printerId": printer, "contentType": "raw_base64",
                                                        "content": b64(b"^XA^XZ")})  # fmt: skip
        wait(lambda: printcloud(bridge, "GET", f"/printjobs/{job}")["state"] == "sent", 60)
        computer = printcloud(bridge, "GET", f"/printjobs/{job}")["printer"]["computerId"]
        path = f"/account/apikeys/{key['id']}" if what == "key" else f"/computers/{computer}"
        printcloud(bridge, "DELETE", path)
        assert closing_code(line) == code
        say(line, type="job_state", jobId=job, state="completed")
        wait(lambda: printcloud(bridge, "GET", f"/printjobs/{job}")["state"] == state, 60)


ABUSE = {
    "bad UTF-8": (frame(TEXT, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"), 1007),
    "bad UTF-8 across fragments": (frame(TEXT, b"\xce\xba", fin=False) + frame(GO_ON, b"\xf4\x90\x80\x80"), 1007),
    "reserved bit 1": (frame(TEXT, b"{}", rsv=4), 1002),
    "reserved bits 2 and 3": (frame(TEXT, b"{}", rsv=3), 1002),
    "reserved opcode": (frame(3, b"{}"), 1002),
    "reserved control opcode": (frame(11, b"{}"), 1002),
    "unmasked": (frame(TEXT, b"{}", masked=False), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "ping in fragments": (frame(PING, b"x", fin=False), 1002),
    "continuation of nothing": (frame(GO_ON, b"x"), 1002),
    "message within a message": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
    "close of one byte": (frame(CLOSE, b"x"), 1002),
    "close with a code of nobody's": (frame(CLOSE, struct.pack(">H", 999)), 1002),
    "close with bad UTF-8": (frame(CLOSE, struct.pack(">H", 1000) + b"\xff"), 1007),
    "a message of 2 MB": (frame(TEXT, b"x" * 2_000_000), 1009),
    "a frame said to have 2^62 bytes": (b"\x81\xff" + struct.pack(">Q", 1 << 62) + b"\0\0\0\0", 1009),
    "2 MB in fragments": (frame(TEXT, b"x" * 500_000, fin=False) + frame(GO_ON, b"x" * 500_000, fin=False) * 3, 1009),
    "a flood of empty fragments": (frame(TEXT, fin=False) + frame(GO_ON, fin=False) * 20_000, 1008),
    "a flood of pings": (frame(PING, b"x" * 100) * 20_000, 1008),
    "a flood of messages": (frame(TEXT, b"{}") * 20_000, 1008),
    # 100 MB of blanks as they would come by permessage-deflate, which is not offered
    "a compression bomb": (frame(TEXT, zlib.compress(b" " * 100_000_000)[2:-8], rsv=4), 1002),
}  # fmt: skip


@pytest.mark.parametrize("known", [True, False], ids=["known", "stranger"])
@pytest.mark.parametrize("what", ABUSE)
def test_abuse_ends_that_connection_and_no_other(bridge: Serve, till: Till, what: str, known: bool) -> None:
    data, code = ABUSE[what]
    with unharmed(bridge, till), guest(bridge, known=known) as line:
        with suppress(ConnectionError):
            line.sendall(data)
        # A stranger's first message is already one too many; and an answer may be lost when a connection is reset.
        assert closing_code(line) in {code, None, *(() if known else (4001,))}


def test_binary_and_nonsense_are_answered_and_are_no_end(bridge: Serve, till: Till) -> None:
    with unharmed(bridge, till), guest(bridge) as line:
        for opcode, data in ((BINARY, b"\0"), (TEXT, b"x"), (TEXT, b"[" * 100_000), (TEXT, b'{"type":"x"}')):
            line.sendall(frame(opcode, data))
            assert b'"type": "error"' in line.recv(4096)
        line.sendall(frame(PING, b"still there"))
        assert b"still there" in line.recv(4096)


def test_a_reader_that_stops_reading_keeps_little_and_harms_nobody(bridge: Serve, till: Till) -> None:
    with unharmed(bridge, till), guest(bridge, "slow") as line:
        line.sendall(frame(TEXT, json.dumps({"type": "printers", "printers": [{"name": "Slow"}]}).encode()))
        assert b"printers_ok" in line.recv(4096)
        device, before = found(bridge, "Slow"), memory(bridge)
        pdf = b64(b"%PDF-1.7\n" + os.urandom(15_000_000))
        large = {"printerId": device, "contentType": "pdf_base64", "content": pdf}
        jobs = [printcloud(bridge, "POST", "/printjobs", large) for _ in range(3)]
        time.sleep(1)
        assert printcloud(bridge, "GET", f"/printjobs/{jobs[-1]}")["state"] == "pending"
        assert memory(bridge) - before < 200  # MB, most of it left over from the requests
        with unharmed(bridge, till):
            pass
    for job in jobs:
        printcloud(bridge, "DELETE", f"/printjobs/{job}")


def memory(bridge: Serve) -> float:
    assert bridge.process is not None
    status = Path(f"/proc/{bridge.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_a_pong_flood_that_is_never_read_does_not_pile_up(bridge: Serve, till: Till) -> None:
    with unharmed(bridge, till), guest(bridge) as line:
        line.settimeout(0.5)
        before = memory(bridge)
        with suppress(OSError):
            for _ in range(100):
                line.sendall(frame(PING, b"x" * 125) * 1000)
        assert memory(bridge) - before < 20


def test_strangers_who_never_say_a_word_take_nobody_s_place(bridge: Serve, till: Till) -> None:
    strangers = []
    try:
        with unharmed(bridge, till):
            for number in range(600):
                line = socket.create_connection(door(bridge), 60)
                strangers.append(line)
                if number % 2:
                    line.sendall(b"GET /ws HTTP/1.1\r\nHost: loc")
            time.sleep(3.2)
            with guest(bridge, "newcomer"):
                pass
    finally:
        for line in strangers:
            line.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 4096, b"GET " + b"x" * 20_000, b"\r\n\r\n",
        b"GET /ws HTTP/1.1\r\n" + b"X-Y: z\r\n" * 500 + b"\r\n",
    ],
)  # fmt: skip
def test_garbage_at_the_door(bridge: Serve, till: Till, garbage: bytes) -> None:
    with unharmed(bridge, till), socket.create_connection(door(bridge), 60) as line:
        line.sendall(garbage)
        line.settimeout(60)
        with suppress(ConnectionError):
            while line.recv(65536):
                pass
    assert "Traceback" not in bridge.log.read_text()
