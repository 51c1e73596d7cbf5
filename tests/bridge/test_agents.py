"""Computers that print for this bridge: the conversation without a socket, and what is handed to whom."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bridge.access.keys import KeyRing, digest, new_key
from bridge.access.office import KeyOffice
from bridge.access.origins import HostRules
from bridge.dialects.printcloud import agents as printcloud
from bridge.dialects.printcloud.agents import Hello, Printers, Said, Session, envelope, wire_id
from bridge.dialects.printcloud.words import state_of
from bridge.errors import Conflict, NotFound
from bridge.model import EVERYTHING, Device, Inline, Job, JobRequest, State, Template, Url
from bridge.web import admission, hall
from bridge.web.agents import Agents
from bridge.web.ws import WsServer
from tests.bridge.shop import LABEL, PDF, Shop, until

FULL = frozenset({"admin", "jobs", "printers"})
HP = {"name": "HP LaserJet", "capabilities": {"color": True, "duplex": True}, "isDefault": True}


# ---- the conversation -------------------------------------------------------------------------------------------


def said(session: Session) -> list[dict[str, Any]]:
    return [json.loads(text) for text in session.take_outgoing()]


@pytest.fixture
def session() -> Session:
    session = Session()
    session.welcome("clx456")
    session.take_outgoing()
    return session


def test_the_documented_conversation() -> None:
    session = Session()
    hello = session.receive(
        '{"type ": "auth ", "apiKey ": "pk_live_your_api_key ", "computerName ": "Office-PC ", "os ": "Windows ",'
        ' "clientVersion ": "1.0.0 "}'
    )
    assert hello == Hello("pk_live_your_api_key", "Office-PC", "Windows", "1.0.0")
    session.welcome("clx456")
    assert said(session) == [{"type": "auth_ok", "computerId": "clx456"}]
    printers = session.receive(
        '{"type ": "printers ", "printers ": [{"name ": "HP LaserJet Pro ",'
        ' "capabilities ": {"color ": true, "duplex ": true }, "isDefault ": true }] }'
    )
    assert isinstance(printers, Printers)
    assert json.loads(printers.told["HP LaserJet Pro"]) == {
        "status": "online", "is_default": True, "capabilities": {"color": True, "duplex": True},
    }  # fmt: skip
    session.registered(1)
    assert said(session) == [{"type": "printers_ok", "count": 1}]


def test_a_key_is_never_shown_in_a_log() -> None:
    assert "pk_live_x" not in repr(Hello("pk_live_x", "till", "", ""))


@pytest.mark.parametrize(
    ("word", "state"),
    [("printing", State.SENDING), ("completed ", State.DELIVERED), ("error", State.FAILED), ("Error", State.FAILED)],
)
def test_what_a_computer_says_of_a_job(session: Session, word: str, state: State) -> None:
    text = json.dumps(
        {"type": "job_state", "jobId": f"pj_{'ab' * 16}", "state": word, "message": "Printer\x00 offline"}
    )
    command = session.receive(text)
    assert command == Said("abababab-abab-abab-abab-abababababab", None, state, "Printer offline", f"pj_{'ab' * 16}")


@pytest.mark.parametrize(
    ("shown", "meant"),
    [
        ("pj_0197df47871f72d195df2bfb0c18529a", ("0197df47-871f-72d1-95df-2bfb0c18529a", None)),
        ("0197df47871f72d195df2bfb0c18529a", ("0197df47-871f-72d1-95df-2bfb0c18529a", None)),
        ("0197df47-871f-72d1-95df-2bfb0c18529a", ("0197df47-871f-72d1-95df-2bfb0c18529a", None)),
        ("pj_0197df47871f72d195df2bfb0c18529a-2", ("0197df47-871f-72d1-95df-2bfb0c18529a", 2)),
        ("0197df47-871f-72d1-95df-2bfb0c18529a-13", ("0197df47-871f-72d1-95df-2bfb0c18529a", 13)),
        ("pj_0197df47871f72d195df2bfb0c18529a-0", ("0197df47871f72d195df2bfb0c18529a-0", None)),
        ("nonsense", ("nonsense", None)),
    ],
)
def test_ids_are_understood_in_every_spelling(session: Session, shown: str, meant: tuple[str, int | None]) -> None:
    command = session.receive(json.dumps({"type": "job_state", "jobId": shown, "state": "printing"}))
    assert isinstance(command, Said) and (command.job_id, command.launch) == meant


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "null", "1", '"auth"', "{}", '{"type": 1}', '{"type": "format_disk"}', '{"type": "auth"}',
        '{"type": "printers"}', '{"type": "printers", "printers": {}}', '{"type": "printers", "printers": [1]}',
        '{"type": "printers", "printers": [{"name": "  "}]}', '{"type": "job_state"}',
        '{"type": "job_state", "jobId": "pj_1", "state": "eaten"}',
        '{"type": "job_state", "jobId": 5, "state": "error"}',
        json.dumps({"type": "job_state", "jobId": "x" * 65, "state": "error"}),
        json.dumps({"type": "printers", "printers": [{"name": str(n)} for n in range(201)]}),
        "[" * 100_000, '{"type": NaN}', '{"a": 1, "a": 2}', '{"type": "\\ud800"}',
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_answered_and_is_no_end(session: Session, text: str) -> None:
    assert session.receive(text) is None
    [answer] = said(session)
    assert answer["type"] == "error" and answer["message"]
    assert isinstance(session.receive(json.dumps({"type": "printers", "printers": [HP]})), Printers)


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "printers", "printers": []}', "x", '{"type": "auth", "computerName": "till"}',
        '{"type": "auth", "apiKey": "k"}', '{"type": "auth", "apiKey": "k", "computerName": 5}',
    ],
)  # fmt: skip
def test_before_a_computer_is_known_it_only_gets_auth_error(text: str) -> None:
    session = Session()
    assert session.receive(text) is None
    assert [answer["type"] for answer in said(session)] == ["auth_error"]


def test_a_printer_that_is_not_named_any_more_is_marked_once() -> None:
    reported = json.dumps({"status": "online", "is_default": True, "capabilities": {}})
    marked = printcloud.away(reported)
    assert marked is not None and printcloud.is_away(marked) and not printcloud.is_away(reported)
    assert json.loads(marked)["status"] == "offline" and printcloud.away(marked) is None


# ---- jobs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Shop(tmp_path) as shop:
        yield shop


def till(shop: Shop, name: str = "till-3") -> Device:
    """A printer of another computer."""
    known = shop.store.clients.agent(shop.org, name) or shop.store.clients.add(shop.org, name)
    shop.store.clients.update(shop.org, known.id, version="1.0")
    reported = json.dumps({"status": "online", "is_default": True, "capabilities": {}})
    [device] = shop.store.devices.report(known, {"HP": reported}, printcloud.away, state=printcloud.condition)
    return device


def order(shop: Shop, device: Device, document: Any = LABEL, **more: Any) -> Job:
    document = Inline(document) if isinstance(document, bytes) else document
    wish = JobRequest(shop.org, device.id, "printcloud", document, **{"grants": EVERYTHING, **more})
    return shop.intake.accept(wish)[0]


def message(job: Job, content: str = "") -> dict[str, Any]:
    cover = envelope(job, again=False)
    assert cover is not None
    found: dict[str, Any] = json.loads(cover.head + content + cover.tail)
    assert json.loads(cover.head + content + cover.withdrawn)["type"] == "withdrawn"
    return found


def test_a_job_as_its_computer_gets_it(shop: Shop) -> None:
    device = till(shop)
    payload = json.dumps({"options": {"duplex": "long-edge", "color": False}})
    job = order(shop, device, PDF, title='Invoice "#456"\\', copies=4, payload=payload)
    assert message(job, "JVBERi0xLjQ=") == {
        "type": "print_job",
        "job": {
            "id": "pj_" + job.id.replace("-", ""), "printerName": "HP", "contentType": "pdf_base64",
            "content": "JVBERi0xLjQ=", "title": 'Invoice "#456"\\',
            "options": {"copies": 4, "duplex": "long-edge", "color": False},
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "declared", "content_type"),
    [
        (LABEL, "raw", "raw_base64"), (PDF, None, "pdf_base64"), (b"\x89PNG\r\n\x1a\n", None, "pdf_base64"),
        (Url("https://example.com/a.pdf"), "pdf", "pdf_uri"), (Url("https://example.com/a.zpl"), "raw", "raw_uri"),
        (Url("https://example.com/a"), None, "pdf_uri"),
    ],
)  # fmt: skip
def test_the_four_types_of_content(shop: Shop, document: Any, declared: str | None, content_type: str) -> None:
    job = order(shop, till(shop), document, declared=declared)
    assert message(job)["job"]["contentType"] == content_type
    cover = envelope(job, again=False)
    assert cover is not None and cover.uri == (document.url if isinstance(document, Url) else None)


def test_what_a_person_asks_for_again_has_another_id(bridge: Bridge) -> None:
    with bridge.till() as till:
        job = order(bridge.shop, bridge.device())
        first = till.job()["id"]
        till.report(first, "completed")
        until(lambda: bridge.shop.state(job) == "delivered")
        again = bridge.shop.control.launch(bridge.shop.org, job.id)
        assert till.job()["id"] == f"{first}-2" == wire_id(again, again=True)
        till.report(first, "completed")  # which is old news
        till.report(f"{first}-2", "error")
        until(lambda: bridge.shop.state(job) == "failed")


def test_only_printers_with_less_than_three_jobs_get_another_one(shop: Shop) -> None:
    device = till(shop)
    jobs = [order(shop, device) for _ in range(5)]
    handed = shop.store.handed
    for job in jobs[:3]:
        assert handed.next(device.id, 3) == job and handed.begin(job) == 1
    assert handed.next(device.id, 3) is None
    shop.control.hear(device.client_id, jobs[1].id, 1, State.DELIVERED, "printed")
    assert handed.next(device.id, 3) == jobs[3]


def test_a_job_nobody_spoke_of_waits_again_and_keeps_its_place(shop: Shop) -> None:
    device = till(shop)
    first, second, third = (order(shop, device) for _ in range(3))
    for job in (first, second):
        shop.store.handed.begin(job)
    assert state_of(shop.job(first)) == "sent"
    shop.control.hear(device.client_id, second.id, 1, State.SENDING, "")
    assert state_of(shop.job(second)) == "printing"
    assert shop.control.take_back(device.client_id, "gone") == [shop.job(second)]
    found = shop.job(first)
    assert (found.state, found.text, found.possible_duplicate) == (State.QUEUED, "gone", False)
    assert shop.store.handed.next(device.id, 3) == found
    assert shop.store.handed.has_twice(device.client_id)
    assert [each["result"] for each in shop.store.jobs.attempts(shop.org, first.id)] == ["queued"]


def test_old_news_changes_nothing(shop: Shop) -> None:
    device = till(shop)
    job = order(shop, device)
    shop.store.handed.begin(job)

    def hear(state: State) -> State:
        return shop.control.hear(device.client_id, job.id, 1, state, "said").state

    assert hear(State.SENDING) is State.SENDING
    events = len(shop.store.events.of_job(shop.org, job.id))
    assert hear(State.SENDING) is State.SENDING
    assert len(shop.store.events.of_job(shop.org, job.id)) == events
    assert hear(State.DELIVERED) is State.DELIVERED
    assert hear(State.SENDING) is State.DELIVERED and hear(State.FAILED) is State.DELIVERED


@pytest.mark.parametrize("news", [State.SENDING, State.DELIVERED, State.FAILED])
def test_a_late_word_about_a_job_that_waits_again_is_believed(shop: Shop, news: State) -> None:
    device = till(shop)
    job = order(shop, device)
    shop.store.handed.begin(job)
    shop.control.take_back(device.client_id, "gone")
    assert shop.control.hear(device.client_id, job.id, 1, news, "").state is news
    assert shop.store.handed.next(device.id, 3) is None
    assert [j.id for j in shop.store.handed.open(device.client_id)] == ([job.id] if news is State.SENDING else [])


def test_a_cancelled_job_that_came_out_all_the_same_is_told_so(shop: Shop) -> None:
    device = till(shop)
    job = order(shop, device)
    shop.store.handed.begin(job)
    shop.control.take_back(device.client_id, "gone")
    assert "prints it all the same" in shop.control.cancel(shop.org, job.id).text
    assert shop.control.hear(device.client_id, job.id, 1, State.FAILED, "").state is State.CANCELLED
    assert shop.control.hear(device.client_id, job.id, 1, State.DELIVERED, "out").state is State.DELIVERED


def test_a_job_taken_back_and_given_to_another_printer_may_come_out_twice_and_says_so(shop: Shop) -> None:
    device, other = till(shop), till(shop, "till-4")
    job = order(shop, device)
    shop.store.handed.begin(job)
    shop.control.take_back(device.client_id, "gone")
    moved = shop.control.move(shop.org, job.id, other)
    assert moved.possible_duplicate
    with pytest.raises(NotFound):
        shop.control.hear(device.client_id, job.id, 1, State.DELIVERED, "")


def test_nobody_speaks_of_jobs_he_was_never_handed(shop: Shop) -> None:
    device, other = till(shop), till(shop, "till-4")
    job, own = order(shop, device), shop.send()
    for client_id, job_id in ((other.client_id, job.id), (device.client_id, job.id), (device.client_id, own.id)):
        with pytest.raises(NotFound):
            shop.control.hear(client_id, job_id, 1, State.DELIVERED, "")
    shop.store.handed.begin(job)
    with pytest.raises(NotFound):
        shop.control.hear(other.client_id, job.id, 1, State.DELIVERED, "")
    with pytest.raises(NotFound):
        shop.control.hear(device.client_id, job.id, 2, State.DELIVERED, "")


def test_jobs_a_polling_machine_reports_are_none_of_the_socket_s_business(shop: Shop) -> None:
    """Cloudlinker's agents say themselves that a job is being printed, and no connection is there to end."""
    device = till(shop)
    job = order(shop, device)
    shop.control.report(shop.org, job.id, State.SENDING, "")
    assert shop.store.handed.open(device.client_id) == [] == shop.store.handed.holders(shop.client.id)
    assert shop.control.take_back(device.client_id, "gone") == []
    assert shop.state(job) == "sending"


# ---- with sockets -----------------------------------------------------------------------------------------------


class Bridge:
    """A shop with a WebSocket server in front."""

    def __init__(self, shop: Shop, **options: Any) -> None:
        self.shop = shop
        self.key = new_key()
        shop.store.keys.add(shop.org, "key", digest(self.key), FULL)
        self.ring = KeyRing(shop.store)
        self.agents = Agents(shop.store, shop.control, self.ring, self_client_id=shop.client.id, **options)
        self.agents.recover()
        self.server = WsServer()
        self.server.bind("127.0.0.1", 0)
        self.server.serve(self.agents, HostRules.of([], None, self.server.port))
        self.server.start()

    def knock(self, **more: Any) -> ClientConnection:
        return connect(self.server.urls[0], **more).__enter__()

    @contextmanager
    def till(
        self, name: str = "till-3", printers: tuple[str, ...] = ("HP",), key: str = "", **more: Any
    ) -> Iterator[Till]:
        with connect(self.server.urls[0], max_size=None) as socket:
            till = Till(socket)
            till.say("auth", apiKey=key or self.key, computerName=name, os="Linux", clientVersion="1.0", **more)
            till.computer_id = till.hear("auth_ok")["computerId"]
            till.say("printers", printers=[{"name": each} for each in printers])
            assert till.hear("printers_ok")["count"] == len(printers)
            yield till

    def device(self, name: str = "HP", computer: str = "till-3") -> Device:
        client = self.shop.store.clients.agent(self.shop.org, computer)
        assert client is not None
        device = self.shop.store.devices.by_name(self.shop.org, client.id, name)
        assert device is not None
        return device


class Till:
    computer_id = ""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def say(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def hear(self, kind: str, timeout: float = 60.0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.socket.recv(timeout=timeout))
        assert found["type"] == kind, found
        return found

    def job(self, timeout: float = 60.0) -> dict[str, Any]:
        found: dict[str, Any] = self.hear("print_job", timeout)["job"]
        return found

    def report(self, job_id: str, state: str, message: str = "") -> None:
        self.say("job_state", jobId=job_id, state=state, message=message)

    def nothing(self, timeout: float = 0.2) -> None:
        with pytest.raises(TimeoutError):
            raise AssertionError(self.socket.recv(timeout=timeout))

    def cut(self) -> None:
        self.socket.socket.close()


@pytest.fixture
def bridge(shop: Shop) -> Iterator[Bridge]:
    bridge = Bridge(shop)
    yield bridge
    bridge.server.stop()


def test_a_job_waits_for_its_computer_and_goes_out_when_it_comes(bridge: Bridge) -> None:
    with bridge.till():
        pass
    shop, device = bridge.shop, bridge.device()
    until(lambda: not bridge.agents.connected(device.client_id))
    job = order(shop, device, PDF, title="Invoice")
    assert state_of(job) == "pending"
    with bridge.till() as till:
        told = till.job()
        assert base64.b64decode(told["content"]) == PDF and told["title"] == "Invoice"
        until(lambda: state_of(shop.job(job)) == "sent")
        till.report(told["id"], "printing")
        until(lambda: state_of(shop.job(job)) == "printing")
        till.report(told["id"], "completed", "Printed to HP")
        until(lambda: state_of(shop.job(job)) == "completed")
        assert shop.job(job).text == "Printed to HP"
        till.nothing()


def test_the_same_name_is_the_same_computer_and_its_printers_are_kept(bridge: Bridge) -> None:
    with bridge.till(printers=("HP", "Zebra")) as till:
        first, zebra = till.computer_id, bridge.device("Zebra")
    with bridge.till(printers=("HP",)) as till:
        assert till.computer_id == first
        gone = bridge.device("Zebra")
        assert gone.id == zebra.id and json.loads(gone.reported or "")["status"] == "offline"
        job = order(bridge.shop, gone)
        till.nothing()
        till.say("printers", printers=[{"name": "HP"}, {"name": "Zebra"}])
        till.hear("printers_ok")
        assert till.job()["id"] == wire_id(job)
    with bridge.till("till-4") as till:
        assert till.computer_id != first


def test_the_machine_of_the_bridge_is_never_somebody_who_connects(bridge: Bridge) -> None:
    with bridge.till(bridge.shop.client.hostname) as till:
        assert till.computer_id != bridge.shop.client.id


def test_comings_and_goings_leave_events(bridge: Bridge) -> None:
    with bridge.till() as till:
        computer = till.computer_id
        assert bridge.agents.connected(computer) and bridge.agents.count == 1
    until(lambda: not bridge.agents.connected(computer))
    until(lambda: len(clients(bridge.shop)) == 2)
    assert clients(bridge.shop) == [("connected", computer), ("disconnected", computer)]
    client = bridge.shop.store.clients.get(bridge.shop.org, computer)
    assert client is not None and client.last_seen is not None and time.time() - client.last_seen < 5
    assert (client.os, client.version) == ("Linux", "1.0")


def clients(shop: Shop) -> list[tuple[str | None, str | None]]:
    events = shop.store.events.after(shop.org, 0, limit=1000)
    return [(event.state, event.client_id) for event in events if event.kind == "client"]


def test_a_second_connection_takes_the_place_of_the_first(bridge: Bridge) -> None:
    with bridge.till() as old:
        device = bridge.device()
        job = order(bridge.shop, device)
        assert old.job()["id"] == wire_id(job)
        with bridge.till() as new:
            assert "elsewhere" in old.hear("error")["message"]
            with pytest.raises(ConnectionClosed) as caught:
                old.socket.recv(timeout=60)
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 4000
            assert new.job()["id"] == wire_id(job)
            new.report(wire_id(job), "completed")
            until(lambda: bridge.shop.state(job) == "delivered")
    until(lambda: len(clients(bridge.shop)) == 2)
    assert [state for state, _ in clients(bridge.shop)] == ["connected", "disconnected"]


def test_a_connection_that_is_cut_brings_its_silent_jobs_back(bridge: Bridge) -> None:
    with bridge.till() as till:
        jobs = [order(bridge.shop, bridge.device()) for _ in range(3)]
        ids = [till.job()["id"] for _ in jobs]
        till.report(ids[0], "completed")
        till.report(ids[1], "printing")
        until(lambda: state_of(bridge.shop.job(jobs[1])) == "printing")
        till.cut()
    until(lambda: bridge.shop.state(jobs[2]) == "queued")
    assert [bridge.shop.state(job) for job in jobs] == ["delivered", "sending", "queued"]
    with bridge.till() as till:
        assert till.job()["id"] == ids[2]
        till.report(ids[1], "error", "Printer offline")
        until(lambda: bridge.shop.state(jobs[1]) == "failed")
        assert bridge.shop.job(jobs[1]).text == "Printer offline"


def test_a_print_of_which_nobody_speaks_is_in_doubt_and_a_late_word_ends_that(shop: Shop) -> None:
    bridge = Bridge(shop, grace_s=0.3)
    try:
        with bridge.till() as till:
            job = order(shop, bridge.device())
            till.report(till.job()["id"], "printing")
            until(lambda: state_of(shop.job(job)) == "printing")
        until(lambda: shop.state(job) == "unconfirmed")
        assert "look at the printer" in shop.job(job).text and state_of(shop.job(job)) == "error"
        with bridge.till() as till:
            till.nothing()
            till.report(wire_id(job), "completed")
            until(lambda: shop.state(job) == "delivered")
    finally:
        bridge.server.stop()


def test_jobs_lost_by_their_computer_do_not_stop_its_printer(bridge: Bridge) -> None:
    with bridge.till() as till:
        jobs = [order(bridge.shop, bridge.device()) for _ in range(4)]
        for _ in range(3):
            till.report(till.job()["id"], "printing")
        until(lambda: [bridge.shop.job(job).evidence for job in jobs[:3]] == ["client"] * 3)
    with bridge.till() as till:
        assert till.job()["id"] == wire_id(jobs[3])


def test_after_a_restart_the_same_rules_hold(shop: Shop) -> None:
    device = till(shop)
    silent, begun, polled = (order(shop, device) for _ in range(3))
    for job in (silent, begun):
        shop.store.handed.begin(job)
    shop.control.hear(device.client_id, begun.id, 1, State.SENDING, "")
    shop.control.report(shop.org, polled.id, State.SENDING, "")
    bridge = Bridge(shop, grace_s=0.3)
    try:
        assert shop.state(silent) == "queued"
        until(lambda: shop.state(begun) == "unconfirmed")
        assert shop.state(polled) == "sending"
    finally:
        bridge.server.stop()


def test_at_most_three_jobs_are_out_for_each_printer_and_their_order_is_kept(bridge: Bridge) -> None:
    with bridge.till(printers=("HP", "Zebra")) as till:
        hp, zebra = bridge.device("HP"), bridge.device("Zebra")
        jobs = [order(bridge.shop, hp) for _ in range(5)]
        last = order(bridge.shop, zebra)
        got = [till.job()["id"] for _ in range(4)]
        assert got == [wire_id(job) for job in (*jobs[:3], last)] and till.nothing() is None
        till.report(got[0], "completed")
        assert till.job()["id"] == wire_id(jobs[3])


def test_a_paused_printer_of_another_computer_gets_nothing_until_it_is_resumed(bridge: Bridge) -> None:
    with bridge.till() as till:
        shop, device = bridge.shop, bridge.device()
        shop.control.pause(shop.org, device.id, "")
        job = order(shop, device)
        held = order(shop, device, hold=True)
        till.nothing()
        shop.control.resume(shop.org, device.id)
        assert till.job()["id"] == wire_id(job)
        till.nothing()
        shop.control.release(shop.org, held.id)
        assert till.job()["id"] == wire_id(held)


def test_a_large_document_goes_out_in_pieces_and_arrives_whole(bridge: Bridge) -> None:
    document = PDF + bytes(range(256)) * 4 * 1024 * 21  # 22 MB
    with bridge.till() as till:
        order(bridge.shop, bridge.device(), document)
        assert base64.b64decode(till.job()["content"]) == document


def test_a_large_job_cancelled_on_its_way_becomes_a_message_that_means_nothing(bridge: Bridge) -> None:
    with bridge.till() as till:
        till.socket.recv_bufsize = 4096
        big = order(bridge.shop, bridge.device(), PDF + bytes(20_000_000))
        small = order(bridge.shop, bridge.device())
        time.sleep(0.3)  # nobody reads: it is stuck half-way
        assert bridge.shop.state(big) == "queued"
        bridge.shop.control.cancel(bridge.shop.org, big.id)
        assert set(till.hear("withdrawn")) == {"type", "job"}
        assert till.job()["id"] == wire_id(small)
    assert bridge.shop.state(big) == "cancelled"


@pytest.mark.parametrize("what", ["template", "document"])
def test_a_job_that_cannot_be_handed_over_fails_and_says_why(bridge: Bridge, what: str) -> None:
    with bridge.till() as till:
        shop, device = bridge.shop, bridge.device()
        shop.control.pause(shop.org, device.id, "")
        if what == "template":
            job = order(shop, device, Template("test-4x6", {}))
        else:
            job = order(shop, device, PDF + bytes(70_000))
            shop.store.spool.document(job.id).unlink()
        after = order(shop, device)
        shop.control.resume(shop.org, device.id)
        assert till.job()["id"] == wire_id(after)
        assert shop.state(job) == "failed" and shop.job(job).text


def test_a_job_too_late_for_its_computer_expires(bridge: Bridge) -> None:
    with bridge.till() as till:
        shop, device = bridge.shop, bridge.device()
        shop.control.pause(shop.org, device.id, "")
        job = order(shop, device, expires_at=time.time() + 0.05)
        time.sleep(0.1)
        shop.control.resume(shop.org, device.id)
        till.nothing()
        assert shop.state(job) == "expired"


@pytest.mark.parametrize(
    ("scopes", "columns", "welcome"),
    [
        (FULL, {}, True),
        (frozenset({"jobs", "printers"}), {}, True),
        (frozenset({"print"}), {}, False),
        (frozenset({"read"}), {}, False),
        (FULL, {"origins": frozenset({"https://shop.example"})}, False),
    ],
)
def test_which_keys_connect_a_computer(
    bridge: Bridge, scopes: frozenset[str], columns: dict[str, Any], welcome: bool
) -> None:
    key = new_key()
    bridge.shop.store.keys.add(bridge.shop.org, "key", digest(key), scopes, **columns)
    bridge.ring.reload()
    with connect(bridge.server.urls[0]) as socket:
        till = Till(socket)
        till.say("auth", apiKey=key, computerName="till-3")
        till.hear("auth_ok" if welcome else "auth_error")
    assert (bridge.shop.store.clients.agent(bridge.shop.org, "till-3") is not None) == welcome


def test_a_revoked_key_ends_its_connections_within_a_second(bridge: Bridge) -> None:
    office, key = KeyOffice(bridge.shop.store, bridge.ring), new_key()
    bridge.shop.store.keys.add(bridge.shop.org, "other", digest(key), FULL)
    bridge.ring.reload()
    with bridge.till("till-4") as other, bridge.till(key=key) as till:
        began = time.monotonic()
        office.revoke(bridge.shop.org, next(k.id for k in office.listing(bridge.shop.org) if k.name == "other"))
        assert "revoked" in till.hear("error")["message"]
        with pytest.raises(ConnectionClosed) as caught:
            till.socket.recv(timeout=60)
        assert time.monotonic() - began < 10 and caught.value.rcvd is not None and caught.value.rcvd.code == 4003
        other.nothing()


def test_a_computer_that_is_deleted_is_told_so(bridge: Bridge) -> None:
    with bridge.till() as till:
        bridge.shop.control.delete_client(bridge.shop.org, till.computer_id)
        assert "deleted" in till.hear("error")["message"]
        with pytest.raises(ConnectionClosed):
            till.socket.recv(timeout=60)


def test_who_says_nothing_is_turned_away(shop: Shop) -> None:
    bridge = Bridge(shop, auth_s=1.0)
    try:
        with connect(bridge.server.urls[0]) as socket:
            assert "within 1 seconds" in json.loads(socket.recv(timeout=60))["message"]
            with pytest.raises(ConnectionClosed) as caught:
                socket.recv(timeout=60)
            assert caught.value.rcvd is not None and caught.value.rcvd.code == 4002
    finally:
        bridge.server.stop()


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (json.dumps({"type": "auth", "apiKey": "k", "computerName": "x" * 20_000}), "is too long (20,051 characters, "),
        (b'{"type": "auth"}', "messages are text (JSON)"),
        ("", "is not valid JSON: it is empty"),
    ],
    ids=["long", "bytes", "empty"],
)
def test_a_first_message_that_is_not_read_is_told_why(bridge: Bridge, message: str | bytes, said: str) -> None:
    with connect(bridge.server.urls[0]) as socket:
        socket.send(message)
        answer = json.loads(socket.recv(timeout=10))
        assert answer["type"] == "auth_error" and said in answer["message"], answer


def test_wrong_keys_are_answered_ever_more_slowly_and_a_right_one_at_once(bridge: Bridge) -> None:
    def guess() -> float:
        began = time.monotonic()
        with connect(bridge.server.urls[0]) as socket:
            socket.send(json.dumps({"type": "auth", "apiKey": "pk_live_guess", "computerName": "x"}))
            assert json.loads(socket.recv(timeout=60)) == {"type": "auth_error", "message": "Invalid API key"}
        return time.monotonic() - began

    def right() -> float:
        began = time.monotonic()
        with bridge.till():
            return time.monotonic() - began

    assert median(guess() for _ in range(10)) < 1.5
    assert guess() > 1.5
    assert min(right() for _ in range(3)) < 1.5


def test_a_loop_that_died_comes_back(bridge: Bridge) -> None:
    with bridge.till() as till:
        job = order(bridge.shop, bridge.device())
        till.job()
        loop = bridge.server._loop
        assert loop is not None
        loop.call_soon_threadsafe(loop.stop)
        until(lambda: not bridge.server.is_alive())
    bridge.server.revive()
    with bridge.till() as till:
        assert till.job()["id"] == wire_id(job)


# ---- what was said before, and who does not come back ---------------------------------------------------------------


def test_what_a_computer_said_on_its_old_connection_counts_before_anything_is_sent_again(bridge: Bridge) -> None:
    printers = tuple(f"P{number}" for number in range(40))
    with bridge.till(printers=printers) as old:
        jobs = [order(bridge.shop, bridge.device(name)) for name in printers for _ in range(3)]
        for job_id in [old.job()["id"] for _ in jobs]:
            old.report(job_id, "completed")
        with bridge.till(printers=printers) as new:  # it was restarted, and knows nothing any more
            new.nothing(1.0)
    assert {bridge.shop.state(job) for job in jobs} == {"delivered"}


@pytest.mark.parametrize("what", ["computer", "printer"])
def test_a_job_whose_printer_was_deleted_while_it_was_out_does_not_wait_for_ever(bridge: Bridge, what: str) -> None:
    shop = bridge.shop
    with bridge.till() as till:
        device = bridge.device()
        job = order(shop, device)
        told = till.job()["id"]
        if what == "computer":
            shop.control.delete_client(shop.org, till.computer_id)
            till.hear("error")
        else:
            shop.control.delete_device(shop.org, device.id)
    until(lambda: shop.state(job) == "cancelled")
    assert "prints it all the same" in shop.job(job).text
    shop.control.hear(device.client_id, job.id, None, State.DELIVERED, f"{told} is out")
    assert shop.state(job) == "delivered"


def test_who_was_connected_before_a_crash_and_does_not_come_back_is_said_to_be_gone(shop: Shop) -> None:
    lost, back = till(shop), till(shop, "till-4")
    for device in (lost, back):
        client = shop.store.clients.get(shop.org, device.client_id)
        assert client is not None
        shop.store.clients.note(client, True, "is connected", seen=1.0)
    job = order(shop, lost)
    shop.store.handed.begin(job)
    before = clients(shop)
    bridge = Bridge(shop, return_s=4.0)
    try:
        with bridge.till("till-4"):
            until(lambda: clients(shop) != before)
            assert clients(shop) == [*before, ("disconnected", lost.client_id)]  # and no word of till-4
            events = [e for e in shop.store.events.after(shop.org, 0, limit=1000) if e.device_id == lost.id]
            assert (events[-1].kind, events[-1].state) == ("printer", "offline")
            gone = shop.store.clients.get(shop.org, lost.client_id)
            assert gone is not None and gone.last_seen == 1.0
            assert shop.state(job) == "queued"
        until(lambda: clients(shop)[-1] == ("disconnected", back.client_id))
    finally:
        bridge.server.stop()
    assert shop.store.clients.connected() == []


def test_a_loop_that_died_takes_nobody_s_jobs_along(shop: Shop) -> None:
    bridge = Bridge(shop, return_s=0.2)
    try:
        with bridge.till() as till:
            job = order(shop, bridge.device())
            till.job()
            loop = bridge.server._loop
            assert loop is not None
            loop.call_soon_threadsafe(loop.stop)
            until(lambda: not bridge.server.is_alive())
        bridge.server.revive()
        until(lambda: shop.state(job) == "queued")
        assert [state for state, _ in clients(shop)] == ["connected", "disconnected"]
    finally:
        bridge.server.stop()


def test_a_computer_that_is_deleted_is_told_to_others_as_gone(bridge: Bridge) -> None:
    with bridge.till() as till:
        bridge.shop.control.delete_client(bridge.shop.org, till.computer_id)
        assert clients(bridge.shop) == [("connected", till.computer_id), ("disconnected", till.computer_id)]
        till.hear("error")
    until(lambda: bridge.agents.count == 0)
    assert len(clients(bridge.shop)) == 2


def test_every_change_of_a_printer_elsewhere_is_an_event(bridge: Bridge) -> None:
    def told() -> list[str | None]:
        events = bridge.shop.store.events.after(bridge.shop.org, 0, limit=1000)
        return [event.state for event in events if event.kind == "printer"]

    with bridge.till() as till:
        for state in ("online", "Offline ", "offline", "low toner", "online"):
            till.say("printers", printers=[{"name": "HP", "state": state}])
            till.hear("printers_ok")
        assert told() == ["ready", "offline", "low toner", "ready"]
    until(lambda: told()[4:] == ["offline"])
    with bridge.till():
        until(lambda: told()[5:] == ["ready"])


# ---- cancelling what a computer has ---------------------------------------------------------------------------------


def test_a_computer_that_gives_jobs_back_is_asked_to(bridge: Bridge) -> None:
    shop = bridge.shop
    with bridge.till(accepts=["cancel_job"]) as till:
        job = order(shop, bridge.device())
        told = till.job()["id"]
        assert shop.control.cancel(shop.org, job.id).state is State.SENDING
        assert till.hear("cancel_job")["jobId"] == told
        with pytest.raises(Conflict, match="asked to give it back"):
            shop.control.delete(shop.org, job.id)
        till.hear("cancel_job")
        till.report(told, "cancelled")
        until(lambda: shop.state(job) == "cancelled")
        shop.control.delete(shop.org, job.id)
        assert shop.store.jobs.get(shop.org, job.id) is None


def test_it_may_have_come_out_before_it_was_asked(bridge: Bridge) -> None:
    shop = bridge.shop
    with bridge.till(accepts=["cancel_job"]) as till:
        job = order(shop, bridge.device())
        told = till.job()["id"]
        shop.control.cancel(shop.org, job.id)
        till.hear("cancel_job")
        till.report(told, "completed")
        until(lambda: shop.state(job) == "delivered")
        assert "somebody asked to cancel it" in shop.job(job).note
        again = shop.control.launch(shop.org, job.id)
        assert till.job()["id"] == f"{told}-2" and again.note == ""
        shop.control.cancel(shop.org, job.id)
        assert till.hear("cancel_job")["jobId"] == f"{told}-2"


def test_a_computer_that_cannot_give_a_job_back_is_not_sent_it_again(bridge: Bridge) -> None:
    shop = bridge.shop
    with bridge.till() as till:
        job, silent = order(shop, bridge.device()), order(shop, bridge.device())
        told = till.job()["id"]
        till.job()
        till.report(told, "printing")
        until(lambda: state_of(shop.job(job)) == "printing")
        for each in (job, silent, silent):
            with pytest.raises(Conflict, match="cannot be called back") as caught:
                shop.control.cancel(shop.org, each.id)
            assert caught.value.code == "handed_over"
        till.nothing()
        assert state_of(shop.job(silent)) == "sent"
    until(lambda: shop.state(silent) == "cancelled")
    assert shop.state(job) == "sending"  # it is printing: nobody knows how that ends
    with bridge.till(accepts=["cancel_job"]) as till:
        assert till.hear("cancel_job")["jobId"] == told  # it can be asked by now
        till.nothing()
        till.report(wire_id(silent), "completed")
        until(lambda: shop.state(silent) == "delivered")


def test_jobs_nobody_waits_for_any_more_do_not_stop_a_printer(bridge: Bridge) -> None:
    """A computer that never says how its jobs end, and three of them were cancelled."""
    shop = bridge.shop
    with bridge.till() as till:
        jobs = [order(shop, bridge.device()) for _ in range(4)]
        for _ in range(3):
            till.job()
        till.nothing()
        for job in jobs[:3]:
            with pytest.raises(Conflict):
                shop.control.cancel(shop.org, job.id)
        assert till.job()["id"] == wire_id(jobs[3])


def test_a_computer_may_cancel_a_job_by_itself(bridge: Bridge) -> None:
    with bridge.till() as till:
        job = order(bridge.shop, bridge.device())
        till.report(till.job()["id"], "cancelled", "by the cashier")
        until(lambda: bridge.shop.state(job) == "cancelled")
        assert bridge.shop.job(job).text == "by the cashier"


# ---- who may not come in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["GUESTS", "GUESTS_OF_ADDRESS"])
def test_where_there_is_no_room_both_sides_are_told_so(
    shop: Shop, limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hall, limit, 1)
    bridge = Bridge(shop)
    try:
        with bridge.till():
            for _ in range(2):
                with connect(bridge.server.urls[0]) as socket:
                    other = Till(socket)
                    other.say("auth", apiKey=bridge.key, computerName="till-4")
                    told = other.hear("auth_error")["message"]
                    with pytest.raises(ConnectionClosed) as caught:
                        socket.recv(timeout=5)
                assert caught.value.rcvd is not None and caught.value.rcvd.code == 1013
                assert told.startswith("1 computers") and ("127.0.0.1" in told) == (limit == "GUESTS_OF_ADDRESS")
        assert [r.message for r in caplog.records if "turned away" in r.message] == [
            f"agents: computers are turned away: {told}"
        ]
        until(lambda: bridge.agents.count == 0)
        with bridge.till("till-4"):
            pass
    finally:
        bridge.server.stop()


def test_a_computer_too_many_is_told_and_is_one_line_in_the_log(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(admission, "COMPUTERS_MAX", 1)  # which is the machine of the bridge
    for _ in range(2):
        with connect(bridge.server.urls[0]) as socket:
            other = Till(socket)
            other.say("auth", apiKey=bridge.key, computerName="till-4")
            assert other.hear("auth_error")["message"] == "there are 1 computers already; delete one first"
    [line] = [record.message for record in caplog.records if "may not connect" in record.message]
    assert line == "agents: till-4 at 127.0.0.1 may not connect: there are 1 computers already; delete one first"
