"""What the log never says. Secrets in every place and spelling, and texts that must stay as they are."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.access import redact as module
from bridge.access.keys import new_key
from bridge.access.redact import MASK, SHORTEST, Redactor, redact, remember

MARK = "hunter2hunter2"


@contextmanager
def knowing(*secrets: str) -> Iterator[None]:
    """Only these are registered meanwhile."""
    before, module._known = module._known, ()
    try:
        remember(*secrets)
        yield
    finally:
        module._known = before


def record(text: str, *args: object, **more: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"msg": text, "args": args, **more})
    assert Redactor().filter(made)
    return made


# ---- what has the shape of a secret ---------------------------------------------------------------------------------

SHAPES = [
    f"Authorization: Basic {MARK}==",
    f"Authorization: {MARK} some garbage {MARK}",
    f"{{'Authorization': 'Bearer {MARK}'}}",
    f"[('Authorization', 'Bearer {MARK}'), ('Host', 'x')]",
    f"b'authorization: basic {MARK}'",
    f"BEARER {MARK}",
    f"X-API-Key: {MARK}",
    f'"x-api-key":"{MARK}"',
    f"x-api-key={MARK}",
    f"Cookie: session={MARK}; other={MARK}",
    f"http://user:{MARK}@host/path",
    f"http://{MARK}@host/path",
    f"http://user:a/{MARK}@host/path",
    f"http://user:a?{MARK}@host/path",
    f"http://user:a#{MARK}@host/path",
    f"http://user:a@b:{MARK}@host/path",
    f"http://user:{MARK}@[2001:db8::1]:8080/path",
    f"ipp://user:{MARK}@printer/ipp/print",
    f"http://host/path?X-Amz-Signature={MARK}&Expires=1",
    f"http://host/path?{MARK}",
    f"http://host?{MARK}",
    f"http://host/path#{MARK}",
    f"http://host/path?next=https://other/{MARK}?sig={MARK}",
    f"http://a:{MARK}@host/p,http://b:{MARK}@host/q",
    f"'GET /v1/jobs?key={MARK} HTTP/1.1'",
    f"/v1/jobs?{MARK}",
    f'{{"password": "{MARK}"}}',
    f'{{"password": "a\\"{MARK}"}}',
    f'{{"client_secret":"{MARK}"',
    f'{{"webhook_token": ["{MARK}", "b"]}}',
    json.dumps({"payload": json.dumps({"password": f'a"{MARK}', "x": 1})}),
    json.dumps(json.dumps({"payload": json.dumps({"password": f'a"{MARK}', "x": 1})})),
    f"{{'api_key': '{MARK}'}}",
    f'{{"password": "a\n{MARK}"}}',
    f"CloudConfig(kind='olin', password='{MARK}', client_secret='{MARK}')",
    f"password={MARK}&user=x",
    f"Passwort/password: {MARK}",
    f"access_token={MARK}",
    f"pb_{MARK}",
    "cl-9f8e7d6c5b4a3928" + MARK,
]  # fmt: skip


@pytest.mark.parametrize("text", SHAPES)
def test_what_looks_like_a_secret_is_masked_though_nobody_registered_it(text: str) -> None:
    for around in ("{}", "dock: {} and so on", "'{}'"):
        assert MARK not in redact(around.format(text))


def test_a_new_key_of_ours_is_masked_wherever_it_stands() -> None:
    key = new_key()
    for text in (key, f"({key})", f"{key},{key}", f"key={key}.", f"\n{key}\t"):
        assert key[3:20] not in redact(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http 404 from http://u:p@host:80/a/b.pdf?sig=1&x=2", "http 404 from http://***@host:80/a/b.pdf?..."),
        ("http://h/a redirects to https://i/b?sig=1: http 404", "http://h/a redirects to https://i/b?... http 404"),
        ('{"password": "a b", "copies": 2}', '{"password": ***, "copies": 2}'),
        ("Authorization: Basic dTpw\r\nHost: x", "Authorization: ***\r\nHost: x"),
        ("Bearer abc, Basic dTpw", "Bearer ***, Basic ***"),
        ("pb_" + "0a" * 32, "pb_***"),
    ],
)
def test_what_helps_to_find_the_fault_stays(text: str, masked: str) -> None:
    assert redact(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "dock: job 0197f3c2-7a1b-7def-8123-456789abcdef delivered: the printer took every byte",
        "dock: offline: tcp://192.168.1.20:9100 refuses the connection",
        "http 404 from http://files.example:8080/labels/1.pdf",
        "job 1 failed: the document could not be fetched: http://[2001:db8::1]:80/a@b/c took longer than 60 s",
        "is it out? yes",
        "100 % of 5 jobs, {}",
        "commits succeed again",
        "bridge.access.keys: 3 keys",
        "cl-worker-job and cl-calls-remaining",
        "",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


# ---- what was registered --------------------------------------------------------------------------------------------

secrets = st.text(min_size=SHORTEST, max_size=40)
close = st.text("*a.:/?@=\"'\\ %", min_size=SHORTEST, max_size=8)  # made of what masks and patterns are made of


@given(secret=secrets, before=st.text(), after=st.text())
def test_a_registered_secret_survives_at_no_place_of_a_text(secret: str, before: str, after: str) -> None:
    with knowing(secret):
        for text in (before + secret + after, f"{before}{secret}{secret}{after}{secret}"):
            assert secret not in redact(text)


@given(first=close, second=close, text=st.text("*a.:/?@=\"'\\ %", max_size=60))
@example("*abc", "secret", "**secretabc")
@example("***a", "****", "********a")
@example("http", "p://", "hthttptp://a:b@c?d")
def test_masks_and_patterns_never_put_a_secret_together(first: str, second: str, text: str) -> None:
    with knowing(first, second):
        for made in (text, text + first + second, first[:2] + second + first[2:] + text):
            assert first not in redact(made) and second not in redact(made)


@given(secret=secrets)
def test_a_registered_secret_survives_in_none_of_its_spellings(secret: str) -> None:
    with knowing(secret):
        spelled = [
            repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1],
            quote(secret), quote(secret, safe=""), quote_plus(secret),
        ]  # fmt: skip
        for way in spelled:
            assert way not in redact(f"({way})")


@given(secret=secrets, other=st.text(), name=st.sampled_from(["%s", "%r", "%.200s", "%10s", "%a"]))
def test_a_registered_secret_survives_in_no_argument(secret: str, other: str, name: str) -> None:
    with knowing(secret):
        made = record(f"one {name}, two %s %d%%", secret, {"deep": [secret, other]}, 5)
        assert secret not in made.getMessage()
        assert repr(secret)[1:-1] not in made.getMessage()


@given(text=st.text(), args=st.one_of(st.tuples(), st.tuples(st.text(max_size=20), st.integers())))
def test_no_message_and_no_argument_breaks_a_line(text: str, args: tuple[object, ...]) -> None:
    assert isinstance(record(text, *args).getMessage(), str)


def test_a_record_without_secrets_keeps_its_arguments() -> None:
    made = record("%s: %d labels", "dock", 3)
    assert made.args == ("dock", 3) and made.msg == "%s: %d labels" and made.getMessage() == "dock: 3 labels"


def test_percent_signs_of_a_masked_text_are_left_alone() -> None:
    with knowing(MARK):
        assert record("%s at 100%%, %s", MARK, "50% and %s").getMessage() == f"{MASK} at 100%, 50% and %s"


def test_a_dictionary_as_argument_is_formatted_by_name() -> None:
    with knowing(MARK):
        made = logging.LogRecord("x", logging.INFO, "", 1, "%(who)s said %(what)s", ({"who": "a", "what": MARK},), None)
        Redactor().filter(made)
        assert made.getMessage() == "a said ***"


def test_a_secret_in_a_traceback_its_cause_or_the_stack_is_masked() -> None:
    with knowing(MARK):
        try:
            try:
                raise ValueError(f"http://host/?{MARK}")
            except ValueError as error:
                raise RuntimeError(f"of {MARK}") from error
        except RuntimeError:
            made = record("stumbled", exc_info=sys.exc_info(), stack_info=f"Stack: {MARK}")
        shown = logging.Formatter().format(made)
        assert MARK not in shown and shown.count(MASK) >= 2 and "The above exception was the direct cause" in shown


def test_an_object_that_cannot_be_shown_does_not_silence_the_line() -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    assert record("%s fell", Bad()).getMessage().startswith("%s fell (arguments that do not fit: RuntimeError")


def test_short_and_missing_secrets_are_passed_over() -> None:
    with knowing("", "abc", None, MARK):  # type: ignore[arg-type]
        assert redact(f"abc {MARK}") == f"abc {MASK}"


# ---- what it costs --------------------------------------------------------------------------------------------------


def test_a_line_without_secrets_costs_next_to_nothing() -> None:
    line = "dock: job 0197f3c2-7a1b-7def-8123-456789abcdef delivered: the printer took every byte"
    with knowing(*(f"secret number {n}" for n in range(5))):
        rounds, best = 2000, 1.0
        for _ in range(20):
            began = time.thread_time()
            for _ in range(rounds):
                redact(line)
            best = min(best, (time.thread_time() - began) / rounds)
    assert best < 20e-6, f"{best * 1e6:.1f} us"  # measured: 1.2 us


HOSTILE = [
    "token", "://a:b", "a@://", "passwd\\", "/", "basic ", "://[", "cl-", "x-", "secret:{", 'secret"', 'secret:\\"',
    "?", "?=", "x-a?", "authorization", "authorization:", "pb_", "[", "\\", "'", "://a?b@", ":0", "cookie=\\",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_long_text_made_to_be_slow_is_not(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    for made in (text, f"password: {text}", f'secret:\\"{text}', f"http://{text}"):
        began = time.process_time()
        redact(made)
        assert time.process_time() - began < 5  # measured: below 0.4 s; anything quadratic takes half a minute and more
