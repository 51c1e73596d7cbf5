"""Reading request bodies: what is taken, what is refused and where it went wrong (apis.md 1.2)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import BadRequest, TooLarge
from bridge.intake.body import MAX_DEPTH, MAX_VALUES, _Reader, parameters, read_json

GOLDEN = Path(__file__).parents[1] / "golden" / "cloudlinker"
MEGABYTE = 1_000_000


def refused(data: bytes | str, *, lenient: bool = False) -> str:
    with pytest.raises(BadRequest) as caught:
        read_json(data if isinstance(data, bytes) else data.encode(), lenient=lenient)
    return caught.value.text


# --- strict ---------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, st.booleans(), st.sampled_from([None, 0, 2]))
def test_whatever_json_writes_is_read_the_same_by_both_readers(value: Any, escape: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=escape, indent=indent)
    assert read_json(text.encode()) == value
    assert _Reader(text, "the body", lenient=False).read() == value
    assert _Reader(text, "the body", lenient=True).read() == value


@given(st.text('{}[]",:\\/*-1e.ntfu \n\x00aé', max_size=30))
@settings(max_examples=500)
def test_the_strict_reader_takes_nothing_that_json_refuses(text: str) -> None:
    try:
        value = _Reader(text, "the body", lenient=False).read()
    except BadRequest:
        return
    assert json.loads(text) == value


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda t: t.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for lenient in (False, True):
        try:
            read_json(data, lenient=lenient)
        except BadRequest:
            pass


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty (line 1, column 1)"),
        ('{"a":', "it ends too early (line 1, column 6)"),
        ('{"a" 1}', "a colon is missing (line 1, column 6)"),
        ('{"a": 1\n "b": 2}', "a comma or } is missing (line 2, column 2)"),
        ("[1 2]", "a comma or ] is missing (line 1, column 4)"),
        ('{"a": 1,\n}', "a name in double quotes is missing (line 2, column 1)"),
        ("[1,]", "a value is missing (line 1, column 4)"),
        ("{'a': 1}", "a name in double quotes is missing (line 1, column 2)"),
        ('{"a": "b', "a quote is missing (line 1, column 7)"),
        ('{"a": "b\nc"}', "a control character in a text (write \\n for a line break) (line 1, column 9)"),
        ('{"a": "\\x"}', "a backslash that means nothing (write \\\\ for a backslash) (line 1, column 8)"),
        ('{"a": 1} x', "something follows after the end (line 1, column 10)"),
        ('{"a": 1,\n\n  "a": 2}', "the name 'a' is given twice (line 3, column 3)"),
        ('{"a": NaN}', "NaN is not a value JSON knows (line 1, column 7)"),
        ('{"a": -Infinity}', "-Infinity is not a value JSON knows (line 1, column 7)"),
        ('{"a": 1e999}', "the number 1e999 is too large (line 1, column 7)"),
        ('{"a": "\\ud800"}', "half of a surrogate pair (line 1, column 7)"),
        ("// no", "a value is missing (line 1, column 1)"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, why: str) -> None:
    assert refused(text) == f"the body is not valid JSON: {why}"


def test_bytes_that_are_no_text_are_refused() -> None:
    assert refused(b'{"a": "\xff"}') == "the body is not UTF-8 text (byte 8)"


def test_a_whole_surrogate_pair_is_one_character() -> None:
    assert read_json(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_integers_may_have_64_digits() -> None:
    assert read_json(b"9" * 64) == 10**64 - 1
    assert "an integer of 65 digits" in refused(b"9" * 65)
    assert "an integer of 1,000,000 digits" in refused(b"9" * MEGABYTE)


def test_thirty_two_levels_are_read_and_no_more() -> None:
    assert read_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert "more than 32 levels" in refused(b"[" * 33 + b"]" * 33)
    assert "(line 1, column 161)" in refused(b'{"a":' * 33 + b"1" + b"}" * 33)


def test_brackets_in_texts_are_not_levels() -> None:
    assert read_json(json.dumps({"a": "[" * 100 + '"{\\'}).encode()) == {"a": "[" * 100 + '"{\\'}


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("value", [b"{}", b"1", b'["a"]'])
def test_a_hundred_thousand_values_are_read_and_no_more(value: bytes, lenient: bool) -> None:
    """Each of them takes memory of its own, so that the size of a body says little about what it costs."""
    size = 2 if b"a" in value else 1
    most = MAX_VALUES // size - 1
    assert len(read_json(b"[" + b",".join([value] * most) + b"]", lenient=lenient)) == most
    assert "more than 100,000 values" in refused(b"[" + b",".join([value] * (most + 2)) + b"]", lenient=lenient)


def test_commas_in_texts_are_not_values() -> None:
    text = "," * (2 * MAX_VALUES)
    assert read_json(json.dumps({"a": text}).encode()) == {"a": text}


# --- hostile --------------------------------------------------------------------------------------------------------

PIECES = [
    "{", "[", "/", '"', "\\", "//\n", "/*", "*", "[]", "[[],", '{"a":', '{"', '"a:', '"\\"', "1", "-", " ", ",",
    "\x00", '"a":"b"', '{"payload":"{"', "\\ud800",
]  # fmt: skip
STARTS = ["", "{", '{"payload": "{', "[", '{"a": ']


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_of_the_same_costs_no_more_than_a_moment(piece: str, lenient: bool) -> None:
    for start in STARTS:
        began = time.process_time()
        refused(start + piece * (MEGABYTE // len(piece)), lenient=lenient)
        assert time.process_time() - began < 1.5  # seconds; anything quadratic takes hours


def test_two_hundred_thousand_levels_are_refused_at_once() -> None:
    for lenient in (False, True):
        began = time.process_time()
        assert "more than 32 levels" in refused(b"[" * 200_000 + b"]" * 200_000, lenient=lenient)
        assert time.process_time() - began < 1.0


# --- lenient --------------------------------------------------------------------------------------------------------

CLIENT, OTHER = "0197df47-871f-72d1-95df-2bfb0c18529a", "0197e078-c984-7383-9c82-94b2b96bbe20"
DEVICE, PRINTER = "0197e09b-d974-7191-a978-9bf0daecef6b", "0197df47-88ca-714f-bd34-372d53fb6fc5"
JOB = "0197e0aa-e9f3-7168-8504-ccffa0052376"

EXAMPLES: dict[str, Any] = {
    "clients_list": {"hostname": "LT", "pagination": 20},
    "clients_create": {
        "hostname": "your_clients_hostname",
        "description": "Your clients description",
        "ip_address": "192.168.1.101",
    },
    "clients_update": {
        "hostname": "LT-NEWTEST",
        "description": "This is a second test server",
        "ip_address": "192.168.1.150",
        "last_seen": "2025-07-06 18:09:00",
    },
    "clients_delete": {"client_id": OTHER},
    "devices_create": {"client_id": OTHER, "name": "Microsoft Print to PDF2", "device_type": 1},
    "devices_update": {"client_id": CLIENT, "device_id": DEVICE, "name": "Microsoft Print to PDF3"},
    "devices_delete": {"device_id": DEVICE},
    "jobs_create": {
        "device_id": PRINTER,
        "client_id": CLIENT,
        "job_type": 1,
        "payload": {"document_type": "pdf", "document_url": "http://cloudlinker/test.pdf", "copies": "1"},
    },
    "jobs_update": {
        "job_id": JOB,
        "payload": {"document_type": "pdf", "document_url": "http://cloudlinker/test2.pdf", "copies": "2"},
    },
    "jobs_launch": {"job_id": JOB},
    "jobs_delete": {"job_id": JOB},
}


@pytest.mark.parametrize("name", sorted(p.stem for p in GOLDEN.glob("*.txt") if ".reply" not in p.name))
def test_every_example_of_the_documentation_is_read(name: str) -> None:
    assert read_json((GOLDEN / f"{name}.txt").read_bytes(), lenient=True) == EXAMPLES[name]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1,}', {"a": 1}),
        ("[1, 2,]", [1, 2]),
        ('{"a": "http://x/*y*/", // c\n /* d\n */ "b": 2 /**/}', {"a": "http://x/*y*/", "b": 2}),
        ('{"a": "x\ny\tz"}', {"a": "x\ny\tz"}),
        ('{"a": 1 "b": {"c": 2}\n"d": 3}', {"a": 1, "b": {"c": 2}, "d": 3}),
        ('{"a: 1, "b: [1], "c: "x"}', {"a": 1, "b": [1], "c": "x"}),
        ('{"a": 1, "b: 2}', {"a": 1, "b": 2}),
        ('{"payload": "{ "a": "1", "b": {"c": [1]} }", "d": 1}', {"payload": {"a": "1", "b": {"c": [1]}}, "d": 1}),
        ('{"payload": "{"a": "}"}",}', {"payload": {"a": "}"}}),
        ('{"payload": "{\\"a\\": 1}",}', {"payload": '{"a": 1}'}),
        ('{"payload": "{\n \\"a\\": 1}"}', {"payload": '{\n "a": 1}'}),
        ('{"payload": "{", "a": 1,}', {"payload": "{", "a": 1}),
        ('{"payload": "{}",}', {"payload": "{}"}),
        ('{"payload": {"a": 1,},}', {"payload": {"a": 1}}),
    ],
)
def test_a_lenient_reader_reads_on(text: str, value: Any) -> None:
    assert read_json(text.encode(), lenient=True) == value
    refused(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('// one\n{"a": 1\n  x}', "a comma or } is missing (line 3, column 3)"),
        ('{"a": 1, /* "b": 2}', "a name in double quotes is missing (line 1, column 10)"),
        ('{"a": NaN,}', "NaN is not a value JSON knows (line 1, column 7)"),
        ('{"a": 1,, "b": 2}', "a name in double quotes is missing (line 1, column 9)"),
        ('{"a": 1\n "a": 2}', "the name 'a' is given twice (line 2, column 2)"),
        ("[1 2]", "a comma or ] is missing (line 1, column 4)"),
        ('{"payload": "{\n "a": 1\n "b" 2 }"}', "a colon is missing (line 3, column 6)"),
        ('{"payload": "{ "a": 1 }, "b": 2}', "a quote is missing (line 1, column 24)"),
    ],
)
def test_a_lenient_reader_names_the_place_in_the_text_as_it_came(text: str, why: str) -> None:
    assert refused(text, lenient=True) == f"the body is not valid JSON: {why}"


# --- whole requests -------------------------------------------------------------------------------------------------


FORM, UPLOAD = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"


def asked(**options: Any) -> dict[str, Any]:
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MEGABYTE
    with app.test_request_context("/", method="POST", **options):
        return parameters(request._get_current_object(), lenient=True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("content_type", [None, "", "application/json", "text/plain", FORM])
def test_json_is_read_whatever_it_is_called(content_type: str | None) -> None:
    assert asked(data=b' {"a": [1]}', content_type=content_type) == {"a": [1]}


def test_forms_are_read_as_forms() -> None:
    assert asked(data={"a": "1", "b": "x y"}) == {"a": "1", "b": "x y"}
    assert asked(data={"a": "1"}, content_type="multipart/form-data") == {"a": "1"}


def test_the_body_overrules_the_query_string_and_names_are_trimmed() -> None:
    assert asked(query_string="a=1&b=2&b=3&c%20=4", data=b'{" a": 5}') == {"a": 5, "b": "3", "c": "4"}


@pytest.mark.parametrize("data", [b"", b"  \n", b"{}", b"[]"])  # []: PHP's way to write an empty object
def test_nothing_is_no_parameters(data: bytes) -> None:
    assert asked(data=data, content_type="application/json") == {}


@pytest.mark.parametrize("data", [b"null", b"1", b'"a"', b"[1]", b"true"])
def test_json_that_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(BadRequest, match="not an object"):
        asked(data=data, content_type="application/json")


def test_a_name_twice_but_for_spaces_is_refused() -> None:
    with pytest.raises(BadRequest, match="given twice"):
        asked(data=b'{"a": 1, " a": 2}')


@pytest.mark.parametrize("content_type", [FORM, "multipart/form-data"])
def test_a_form_has_a_thousand_fields_and_no_more(content_type: str) -> None:
    fields = {f"f{number}": "x" for number in range(1000)}
    assert asked(data=fields, content_type=content_type) == fields
    with pytest.raises(TooLarge, match="1,000 fields"):
        asked(data={**fields, "one more": "x"}, content_type=content_type)


WORD = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n^XA^XZ\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("data", "content_type", "why"),
    [
        (WORD + FILE % b"\xff.zpl", UPLOAD, r"not UTF-8 text: b'.*filename=\"\\xff.zpl"),
        (WORD + FILE[:-9] % b"label.zpl", UPLOAD, "ends too early, or its parts are not divided by --x; send"),
        (b"--x\r\nContent-Disposition: form-data", UPLOAD, "ends too early"),
        (WORD + FILE % b"label.zpl", "multipart/form-data; boundary=y", "not divided by --y; send"),
        (WORD + FILE % b"label.zpl", "multipart/form-data", "names no boundary"),
        (WORD, "multipart/form-data; boundary*=UTF-8''%C3%A4", "names no boundary"),
        (b"a=1&b=\xff", FORM, r"not UTF-8 text: b'a=1&b=\\xff'"),
    ],
)
def test_a_form_that_cannot_be_read_is_refused_and_not_taken_for_an_empty_one(
    data: bytes, content_type: str, why: str
) -> None:
    with pytest.raises(BadRequest, match=why) as caught:
        asked(data=data, content_type=content_type, query_string="a=0")
    assert caught.value.remedy


def test_a_form_without_anything_in_it_is_no_parameters() -> None:
    assert asked(data=b"", content_type=UPLOAD) == asked(data=b"--x--\r\n", content_type=UPLOAD) == {}
    assert asked(data=b"", content_type=FORM) == {}


@pytest.mark.parametrize("content_type", ["application/json", FORM, UPLOAD])
def test_a_body_beyond_the_limit_of_the_app_is_our_own_error(content_type: str) -> None:
    with pytest.raises(TooLarge):
        asked(data=b"a" * (MEGABYTE + 1), content_type=content_type)
