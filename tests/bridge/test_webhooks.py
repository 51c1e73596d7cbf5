"""Webhooks, told over real sockets: everything once or more, never nothing, in order, signed, and with a log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.access.secrets import Secrets
from bridge.cli.webhooks import EVENTS
from bridge.errors import Conflict, Invalid, NotFound
from bridge.model import Delivery, Event, Job, State, Webhook
from bridge.outbound.places import FetchRules
from bridge.report.shapes import Standard
from bridge.report.webhooks import PER_ORGANIZATION, Courier, Hooks
from tests.bridge.shop import Shop, together, until
from tests.serving import ROOT

OWN = 18_080
RULES = FetchRules(own_ports=frozenset({OWN}), connect_s=1)


class Quick(Standard):
    """Tried again at once, and given up after the third time."""

    schedule_s = (0.05, 0.1)


@dataclass
class Receiver:
    """A web server that keeps what it is sent. answers: its next statuses, then 200."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    length: str = "0"  # of the body it says it sends; it sends none
    more: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                for name, value in [("Content-Length", receiver.length), *receiver.more]:
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def told(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Post:
    """A shop with a post office."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder)
        self.secrets = Secrets(folder)
        self.hooks = Hooks(self.shop.store, self.secrets, {"v1": Quick()}, lambda: RULES)
        self.courier = Courier(self.shop.store, self.secrets, {"v1": Quick()}, lambda: RULES)
        self.shop.device("dock")  # nobody prints here: jobs stay queued until a test moves them

    def add(self, url: str, *events: str, **more: Any) -> tuple[Webhook, str]:
        return self.hooks.create(self.shop.org, dialect="v1", url=url, events=events or ("all",), **more)

    def move(self, job_id: str, to: State) -> None:
        assert self.shop.store.jobs.move(self.shop.org, job_id, tuple(State), to)

    def log(self, **which: Any) -> list[Delivery]:
        return self.hooks.deliveries(self.shop.org, **which)[0]

    def close(self) -> None:
        self.courier.stop()
        self.shop.stop()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    office = Post(tmp_path)
    yield office
    office.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    web = Receiver()
    yield web
    web.close()


def signed_by(secret: str, headers: dict[str, str], body: bytes) -> bool:
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.digest(raw, text, hashlib.sha256)).decode()
    return wanted in headers["webhook-signature"].split()


def test_a_job_is_told_from_its_beginning_in_order_and_signed(post: Post, receiver: Receiver) -> None:
    _, secret = post.add(receiver.url)
    post.courier.start()
    job = post.shop.send()
    for state in (State.SENDING, State.DELIVERED):
        post.move(job.id, state)
    until(lambda: len(receiver.got) == 3)
    assert [(each["type"], each["data"]["state"]) for each in receiver.told] == [
        ("job.created", "queued"), ("job.state", "sending"), ("job.state", "delivered"),
    ]  # fmt: skip
    assert {each["data"]["job_id"] for each in receiver.told} == {job.id}
    for headers, body in receiver.got:
        assert headers["content-type"] == "application/json"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30
        assert signed_by(secret, headers, body)
        assert not signed_by(secret, headers, body + b" ")
    until(lambda: {each.state for each in post.log()} == {"delivered"})


def test_only_what_was_asked_for_is_told_and_nothing_from_before(post: Post, receiver: Receiver) -> None:
    early = post.shop.send()
    post.add(receiver.url, "job.created")
    post.courier.start()
    job = post.shop.send()
    post.move(job.id, State.DELIVERED)
    post.move(early.id, State.DELIVERED)
    last = post.shop.send()
    until(lambda: len(receiver.got) == 2)
    time.sleep(0.2)
    assert {each["data"]["job_id"] for each in receiver.told} == {job.id, last.id} and len(receiver.told) == 2


def test_a_receiver_that_stumbles_gets_the_same_message_again_and_nothing_overtakes_it(
    post: Post, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    post.add(receiver.url)
    post.courier.start()
    job = post.shop.send()
    post.move(job.id, State.DELIVERED)
    until(lambda: len(receiver.got) == 4)
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert [each["type"] for each in receiver.told] == ["job.created"] * 3 + ["job.state"]
    until(lambda: [each.attempts for each in post.log(state="delivered")] == [1, 3])


def test_one_that_never_answers_well_is_given_up_and_sent_again_by_hand(post: Post, receiver: Receiver) -> None:
    receiver.answers = [500] * 3
    post.add(receiver.url, "job.created")
    post.courier.start()
    post.shop.send()
    until(lambda: [each.state for each in post.log()] == ["dead"])
    [dead] = post.log()
    assert (dead.attempts, dead.status, dead.text) == (3, 500, "http 500")
    post.hooks.redeliver(post.shop.org, dead.id)
    until(lambda: [each.state for each in post.log()] == ["delivered"])
    assert {headers["webhook-id"] for headers, _ in receiver.got} == {dead.id}


def test_nobody_at_home_is_tried_again_and_410_is_not(post: Post, receiver: Receiver) -> None:
    gone, _ = post.add(receiver.url)
    receiver.answers = [410]
    away = Receiver()
    away.close()
    absent, _ = post.add(away.url)
    post.courier.start()
    post.shop.send()
    until(lambda: {each.state for each in post.log()} == {"dead"})
    assert {each.webhook_id: each.attempts for each in post.log()} == {gone.id: 1, absent.id: 3}
    assert any("no answer from http://127.0.0.1" in each.text for each in post.log(webhook_id=absent.id))


def test_what_was_not_delivered_before_a_restart_is_afterwards(tmp_path: Path, receiver: Receiver) -> None:
    first = Post(tmp_path)
    first.add(receiver.url)
    job = first.shop.send()  # its courier never started: a crash right after the job was accepted
    first.close()
    second = Post(tmp_path)
    second.courier.start()
    until(lambda: len(receiver.got) == 1)
    assert receiver.told[0]["data"]["job_id"] == job.id
    second.close()


def test_a_thousand_events_are_told_once_each(post: Post, receiver: Receiver) -> None:
    post.add(receiver.url, "job.created")
    post.courier.start()
    jobs = {post.shop.send().id for _ in range(1000)}
    until(lambda: len(receiver.got) >= 1000, timeout=60)
    assert len(receiver.got) == 1000 and {each["data"]["job_id"] for each in receiver.told} == jobs


def test_a_new_secret_signs_beside_the_old_one(post: Post, receiver: Receiver) -> None:
    hook, old = post.add(receiver.url)
    new = "whsec_" + base64.b64encode(b"n" * 32).decode()
    post.hooks.change(post.shop.org, hook.id, secret=new)
    post.courier.start()
    post.hooks.ping(post.shop.org, hook.id)
    until(lambda: len(receiver.got) == 1)
    [(headers, body)] = receiver.got
    assert signed_by(old, headers, body) and signed_by(new, headers, body)
    assert json.loads(body)["type"] == "ping"


def test_a_new_secret_that_is_sent_twice_does_not_push_the_old_one_out(post: Post) -> None:
    """The answer to the first request got lost."""
    hook, old = post.add("https://shop.example/hook")
    for _ in range(2):
        post.hooks.change(post.shop.org, hook.id, secret="the-new-secret")
    assert post.secrets.get(hook.id) == ["the-new-secret", old]


def test_of_two_new_secrets_at_once_none_is_lost(post: Post, tmp_path: Path) -> None:
    hook, _ = post.add("https://shop.example/hook")
    for number in range(5):
        pair = [f"secret-{number}-a", f"secret-{number}-b"]
        together(2, lambda i, pair=pair: post.hooks.change(post.shop.org, hook.id, secret=pair[i]))
        assert sorted(post.secrets.get(hook.id)) == pair == sorted(Secrets(tmp_path).get(hook.id))


def test_nothing_is_sent_that_nobody_signed(post: Post, receiver: Receiver) -> None:
    """Its secrets.json was moved away."""
    hook, _ = post.add(receiver.url)
    post.secrets.put(hook.id, [])
    post.courier.start()
    post.hooks.ping(post.shop.org, hook.id)
    until(lambda: post.log()[0].attempts > 0)
    assert "secret" in post.log()[0].text and receiver.got == []


def test_a_webhook_that_is_off_is_neither_tried_nor_promised_anything(post: Post, receiver: Receiver) -> None:
    hook, _ = post.add(receiver.url)
    sent = post.hooks.ping(post.shop.org, hook.id)
    post.hooks.change(post.shop.org, hook.id, active=False)
    for attempt in (
        lambda: post.hooks.ping(post.shop.org, hook.id), lambda: post.hooks.redeliver(post.shop.org, sent.id),
    ):  # fmt: skip
        with pytest.raises(Conflict, match="is off"):
            attempt()
    post.hooks.change(post.shop.org, hook.id, active=True)
    assert post.hooks.redeliver(post.shop.org, sent.id).state == "pending"


def test_a_webhook_that_is_off_or_gone_is_told_nothing(post: Post, receiver: Receiver) -> None:
    off, _ = post.add(receiver.url)
    gone, _ = post.add(receiver.url)
    post.hooks.change(post.shop.org, off.id, active=False)
    post.hooks.delete(post.shop.org, gone.id)
    post.courier.start()
    post.shop.send()
    time.sleep(0.3)
    assert receiver.got == []
    assert post.secrets.get(gone.id) == [] and post.secrets.get(off.id) != []


@pytest.mark.parametrize("url", [
    "http://shop.example/hook", "http://192.168.1.9/hook", "ftp://shop.example/", "https://169.254.169.254/",
    f"http://127.0.0.1:{OWN}/v1/keys", f"http://[::ffff:127.0.0.1]:{OWN}/", "https://user:pw@shop.example/hook", "",
    "x",
])  # fmt: skip
def test_addresses_that_are_not_called(post: Post, url: str) -> None:
    with pytest.raises(Invalid) as error:
        post.add(url)
    assert error.value.field == "url" and error.value.remedy
    assert post.hooks.listing(post.shop.org) == []


def test_the_command_line_names_every_event_there_is() -> None:
    assert set(re.findall(r"[a-z.]+\.[a-z]+", EVENTS)) == Standard.events - {"ping"}


@pytest.mark.parametrize(("events", "secret"), [((), None), (("job.stat",), None), (("all",), ""), (("all",), "ä")])
def test_events_and_secrets_that_are_refused(post: Post, events: tuple[str, ...], secret: str | None) -> None:
    with pytest.raises(Invalid):
        post.hooks.create(post.shop.org, dialect="v1", url="https://shop.example", events=events, secret=secret)


def test_one_organization_does_not_see_the_webhooks_of_another(post: Post, receiver: Receiver) -> None:
    hook, _ = post.add(receiver.url)
    delivery = post.hooks.ping(post.shop.org, hook.id)
    for attempt in (
        lambda: post.hooks.get("another", hook.id), lambda: post.hooks.delete("another", hook.id),
        lambda: post.hooks.redeliver("another", delivery.id), lambda: post.hooks.change("another", hook.id),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            attempt()
    assert post.hooks.deliveries("another") == ([], 0)


def test_there_is_an_end_to_them(post: Post) -> None:
    for _ in range(PER_ORGANIZATION):
        post.add("https://shop.example/hook")
    with pytest.raises(Conflict):
        post.add("https://shop.example/hook")


def test_secrets_are_in_a_file_for_the_owner_alone_and_not_in_the_database(post: Post, tmp_path: Path) -> None:
    _, secret = post.add("https://shop.example/hook", secret="canary-1234567890")
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert secret.encode() in (tmp_path / "secrets.json").read_bytes()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.glob("bridge.db*"))
    for broken in ("{", "[]", '{"a": "text"}', '{"a": [1]}'):
        (tmp_path / "secrets.json").write_text(broken)
        with pytest.raises(ValueError, match="secrets.json cannot be read"):
            Secrets(tmp_path)


# -- receivers that are slow, silent, or say odd things


class Messages(Quick):
    """As the served clouds have them: the state beside the type."""

    def told(self, event: Event, job: Job | None) -> tuple[str, Mapping[str, Any]] | None:
        return "job.state", {"type": "job.state", "state": str(event.state)}


@pytest.mark.parametrize("pause", ["86400", "\u00b2", "Wed, 21 Oct 2065 07:28:00 GMT", "-1", "9" * 400])
def test_whatever_pause_a_receiver_asks_for_it_is_not_called_again_at_once(
    post: Post, receiver: Receiver, pause: str
) -> None:
    receiver.answers = [503] * 50
    receiver.more = [("Retry-After", pause)]
    post.add(receiver.url)
    post.courier._shapes = {"v1": Standard()}  # the first pause is five seconds
    post.courier.start()
    post.shop.send()
    until(lambda: [each.attempts for each in post.log()] == [1])
    time.sleep(0.5)
    assert len(receiver.got) == 1
    assert [(each.state, each.text) for each in post.log()] == [("pending", "http 503")]


def test_a_message_that_waits_for_one_before_it_costs_nothing_meanwhile(post: Post, receiver: Receiver) -> None:
    receiver.answers = [503] * 50
    post.add(receiver.url)
    post.courier._shapes = {"v1": Standard()}
    post.courier.start()
    job = post.shop.send()
    post.move(job.id, State.DELIVERED)
    until(lambda: sorted(each.attempts for each in post.log()) == [0, 1])
    time.sleep(0.2)
    before = time.process_time()
    time.sleep(1)
    assert time.process_time() - before < 0.2
    assert len(receiver.got) == 1


def test_a_receiver_that_hangs_does_not_keep_another_waiting(post: Post, receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        post.add(f"http://127.0.0.1:{silent.getsockname()[1]}/", "job.created")
        for _ in range(80):
            post.shop.send()
        post.courier.start()
        until(lambda: len(post.log(limit=200)) == 80)
        hook, _ = post.add(receiver.url, "ping")
        post.hooks.ping(post.shop.org, hook.id)
        until(lambda: len(receiver.got) == 1)


def test_a_process_that_ends_does_not_wait_for_a_receiver_that_hangs(tmp_path: Path) -> None:
    lines = f"""
import socket, time
from pathlib import Path
from tests.bridge.shop import until
from tests.bridge.test_webhooks import Post
silent = socket.create_server(("127.0.0.1", 0))
post = Post(Path({str(tmp_path)!r}))
post.add(f"http://127.0.0.1:{{silent.getsockname()[1]}}/")
post.courier.start()
post.shop.send()
until(lambda: post.courier._busy)
print(time.monotonic())
post.close()
"""
    done = subprocess.run([sys.executable, "-c", lines], check=True, timeout=120, cwd=ROOT, stdout=subprocess.PIPE)
    assert time.monotonic() - float(done.stdout) < 10  # the call itself may take fifteen


def test_what_could_not_be_written_down_at_first_is_told_all_the_same(post: Post, receiver: Receiver) -> None:
    hook, _ = post.add(receiver.url)
    post.courier._shapes = {"v1": Messages()}
    job = post.shop.send()
    post.move(job.id, State.DELIVERED)
    events = post.shop.store.events.after(post.shop.org, 0, limit=10)
    organization = {post.shop.org: [hook]}
    first, again = (list(post.courier._messages(events, organization)) for _ in range(2))
    assert [json.loads(each.body)["state"] for each in again] == ["queued", "delivered"]
    assert [each.event_seq for each in first] == [each.event_seq for each in again]


def test_who_is_switched_on_again_is_not_told_of_the_time_between(post: Post, receiver: Receiver) -> None:
    hook, _ = post.add(receiver.url)
    post.hooks.change(post.shop.org, hook.id, active=False)
    post.shop.send()
    post.hooks.change(post.shop.org, hook.id, active=True)
    post.courier.start()
    job = post.shop.send()
    until(lambda: len(receiver.got) == 1)
    time.sleep(0.2)
    assert [each["data"]["job_id"] for each in receiver.told] == [job.id]


def test_an_answer_whose_body_breaks_off_is_an_answer(post: Post, receiver: Receiver) -> None:
    receiver.length = "100"
    post.add(receiver.url)
    post.courier.start()
    post.shop.send()
    until(lambda: [each.state for each in post.log()] == ["delivered"])
    assert len(receiver.got) == 1
