"""The one parser of request bodies: bytes -> JSON values, and a whole request -> its parameters.

`json.loads` reads what is right, at the speed of C. Whatever it will not take is read once more by `_Reader`, which
knows where it stands: it names the line and column of the fault or, when lenient, reads on as the clouds' own
documentation needs it to (apis.md 1.2: comments, trailing commas, a missing comma, an unclosed key, JSON in JSON).
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, closing
from itertools import accumulate
from typing import Any, NoReturn

from flask import Request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from bridge.errors import BadRequest, TooLarge

MAX_DEPTH = 32  # levels of objects and arrays
MAX_DIGITS = 64  # of one integer; Python itself refuses above 4,300, and only after it got expensive
MAX_VALUES = 100_000  # in one document; an empty object is 3 bytes of a body and 64 of memory
FIELDS_MAX = 1_000  # of a form; Werkzeug's own limit, which it knows for one of the two kinds of forms only

# Possessive (*+): each of these looks at every character once, whatever it is given.
_NO_MARKS = re.compile(r'(?:[^][{},"]++|"(?:[^"\\]++|\\.)*+"?)++', re.DOTALL)
_LEVELS = {"[": 1, "{": 1, "]": -1, "}": -1, ",": 0}
_SPACE = re.compile(r"[ \t\n\r]*+")
_SPACE_AND_COMMENTS = re.compile(r"(?:[ \t\n\r\f\v\xa0\ufeff]++|//[^\n\r]*+|/\*(?:[^*]++|\*(?!/))*+\*/)*+")
_UNCLOSED_KEY = re.compile(r'"([A-Za-z0-9_.-]{1,64})[ \t]*+:')
_JSON_IN_TEXT = re.compile(r'"\s*+(?=\{\s*+")')
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_EMBEDDED = "payload"
"""The member of the top object whose text may hold JSON with its quotes left as they are (Cloudlinker's example)."""


class _Refused(ValueError):
    """A value that is JSON, or nearly, but that nobody here could use."""


def read_json(data: bytes, *, lenient: bool = False, what: str = "the body") -> Any:
    """The value of a JSON document in UTF-8. Raises BadRequest, with line and column of `data`; nothing else.

    Refused in both modes: NaN and Infinity, numbers beyond a double, integers of more than 64 digits, a key given
    twice, more than 32 levels or 100,000 values, half a surrogate pair. Lenient: see the head of this file. what: for
    the error's text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{what} is not UTF-8 text (byte {error.start + 1})", remedy="send JSON in UTF-8") from error
    try:
        return _at_once(text)
    except ValueError:  # the reader says the same again with its place, or reads on
        return _Reader(text, what, lenient=lenient).read()


def parameters(request: Request, *, lenient: bool = False) -> dict[str, Any]:
    """Everything a caller gave: the query string, overruled by a form or by a JSON body. Keys are trimmed.

    The Content-Type only tells a form from JSON: clients send JSON with none, or with curl's form type. Raises
    BadRequest, TooLarge.
    """
    query = _trimmed({name: values[-1] for name, values in request.args.lists()})
    try:
        return {**query, **_body(request, lenient)}
    except RequestEntityTooLarge as error:
        raise _too_large() from error
    except HTTPException as error:
        raise BadRequest(f"the body cannot be read: {error.description}") from error


def _too_large() -> TooLarge:
    return TooLarge(f"the body is too large, or a form of more than {FIELDS_MAX:,} fields",
                    remedy="send less, or a link to the document")  # fmt: skip


def _body(request: Request, lenient: bool) -> dict[str, Any]:
    if request.mimetype == "multipart/form-data":
        return _form(request) if request.content_length else {}
    data = request.get_data(cache=True)  # kept: a form is read from the same bytes
    if request.mimetype == "application/x-www-form-urlencoded" and data.lstrip()[:1] not in (b"{", b"["):
        if data.count(b"&") >= FIELDS_MAX:
            raise _too_large()
        return _form(request)
    if not data.strip():
        return {}
    value = read_json(data, lenient=lenient)
    if value == []:  # how PHP writes an object without members
        return {}
    if not isinstance(value, dict):
        raise BadRequest("the body is JSON, but not an object", remedy='send {"name": value, ...}')
    return _trimmed(value)


class _FormParser(FormDataParser):
    """Says so when it cannot read a form, and closes its files. Werkzeug's own makes an empty form of that."""

    def parse(self, *args: Any, **more: Any) -> Any:
        self.silent = False
        files, make = ExitStack(), self.stream_factory
        self.stream_factory = lambda *about, **named: files.enter_context(closing(make(*about, **named)))
        with files:
            read = super().parse(*args, **more)
            files.pop_all()
            return read


def _form(request: Request) -> dict[str, Any]:
    request.form_data_parser_class = _FormParser
    try:
        return _trimmed({name: values[-1] for name, values in request.form.lists()})
    except UnicodeDecodeError as error:
        what = f"the form is not UTF-8 text: {error.object[:100]!r}"
        raise BadRequest(what, remedy="send the names of fields and files in UTF-8") from error
    except ValueError as error:
        boundary = request.mimetype_params.get("boundary")
        if not boundary or not boundary.isascii():
            raise BadRequest("the Content-Type of the form names no boundary",
                             remedy="let your HTTP library write that header") from error  # fmt: skip
        raise BadRequest(f"the form ends too early, or its parts are not divided by --{boundary[:70]}",
                         remedy="send it once more, whole") from error  # fmt: skip


def _trimmed(given: dict[str, Any]) -> dict[str, Any]:
    trimmed = {(name or "").strip(): value for name, value in given.items()}  # a part of a form may have no name
    if len(trimmed) != len(given):
        raise BadRequest("a parameter is given twice, once with spaces around its name")
    return trimmed


# ---- the fast way ---------------------------------------------------------------------------------------------


def _at_once(text: str) -> Any:
    """json.loads, with its traps closed first. Raises ValueError for all that it cannot vouch for."""
    marks = "".join(_NO_MARKS.split(text, MAX_VALUES))
    if len(marks) > MAX_VALUES or _depth(marks) > MAX_DEPTH or _ESCAPED_SURROGATE.search(text):
        raise _Refused
    return _STRICT.decode(text)


def _depth(marks: str) -> int:
    """How deep these brackets go, without following them there."""
    return max(accumulate(_LEVELS[mark] for mark in marks), default=0)


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _Refused(f"an integer of {len(digits):,} digits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise _Refused(f"the number {digits[:MAX_DIGITS]} is too large")
    return value


def _constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not a value JSON knows")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Refused
    return members


_STRICT = json.JSONDecoder(
    parse_int=_integer, parse_float=_number, parse_constant=_constant, object_pairs_hook=_members
)
_SCALARS = {
    False: json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_constant),
    True: json.JSONDecoder(parse_int=_integer, parse_float=_number, parse_constant=_constant, strict=False),
}
"""lenient -> what reads one string, number or word. strict=False: control characters may stand in strings."""


# ---- the way that knows where it stands -----------------------------------------------------------------------


class _Reader:
    """Reads one JSON text from left to right, never back, except once: see _embedded."""

    def __init__(self, text: str, what: str, *, lenient: bool) -> None:
        self._text = text
        self._what = what
        self._at = 0
        self._values = 0
        self._lenient = lenient
        self._blank = _SPACE_AND_COMMENTS if lenient else _SPACE
        self._scalars = _SCALARS[lenient]
        self._embedding: BadRequest | None = None

    def read(self) -> Any:
        try:
            value = self._value(0)
            if self._next():
                raise self._wrong("something follows after the end")
        except BadRequest as error:
            raise self._embedding or error from None
        return value

    def _next(self) -> str:
        """Go to the next character that means something, and look at it. "" at the end."""
        found = self._blank.match(self._text, self._at)
        assert found is not None  # the pattern also matches nothing
        self._at = found.end()
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> bool:
        if self._next() != wanted:
            return False
        self._at += 1
        return True

    def _value(self, depth: int) -> Any:
        first = self._next()
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._wrong(f"more than {MAX_VALUES:,} values")
        if first not in ("{", "["):
            return self._scalar()
        if depth == MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} levels of objects and arrays")
        self._at += 1
        return self._object(depth + 1) if first == "{" else self._array(depth + 1)

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        more = not self._take("}")
        while more:
            key = self._key(members)
            embedded = self._embedded() if self._lenient and depth == 1 and key == _EMBEDDED else None
            members[key] = self._value(depth) if embedded is None else embedded
            more = self._goes_on("}")
        return members

    def _array(self, depth: int) -> list[Any]:
        items: list[Any] = []
        more = not self._take("]")
        while more:
            items.append(self._value(depth))
            more = self._goes_on("]")
        return items

    def _goes_on(self, bracket: str) -> bool:
        """Step over the comma after an element, or over the closing bracket. Lenient: both, or neither."""
        if self._take(","):
            return not (self._lenient and self._take(bracket))
        if self._take(bracket):
            return False
        if self._lenient and bracket == "}" and self._next() == '"':
            return True
        raise self._wrong(f"a comma or {bracket} is missing")

    def _key(self, members: dict[str, Any]) -> str:
        """The name of a member that is not among `members` yet, and its colon."""
        if self._next() != '"':
            raise self._wrong("a name in double quotes is missing")
        start = self._at
        key = self._name(start)
        if key in members:
            raise self._wrong(f"the name {key[:64]!r} is given twice", start)
        return key

    def _name(self, start: int) -> str:
        try:
            name: str = self._scalar()
            if self._take(":"):
                return name
            raise self._wrong("a colon is missing")
        except BadRequest:
            unclosed = _UNCLOSED_KEY.match(self._text, start) if self._lenient else None
            if unclosed is None:
                raise
        self._at = unclosed.end()
        return unclosed[1]

    def _scalar(self) -> Any:
        """A string, number, true, false or null."""
        start = self._at
        if start == len(self._text):
            raise self._wrong("it ends too early" if self._text.strip() else "it is empty")
        try:
            value, self._at = self._scalars.raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            raise self._wrong(_plain(error.msg), error.pos) from error
        except _Refused as error:
            raise self._wrong(str(error), start) from error
        if isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
            raise self._wrong("half of a surrogate pair", start)
        return value

    def _embedded(self) -> Any:
        """The object in `"payload": "{ "document_type": ... }"`, or None when this is an ordinary value.

        The only guess that may have to be taken back, so it is made once: reading stays linear.
        """
        self._next()
        quote = _JSON_IN_TEXT.match(self._text, self._at)
        if quote is None:
            return None
        start, self._at = self._at, quote.end()
        try:
            value = self._value(1)
            if self._take('"'):
                return value
            raise self._wrong("a quote is missing")
        except BadRequest as error:
            self._at, self._embedding = start, error  # if the rest cannot be read either, this is what is wrong
            return None

    def _wrong(self, why: str, at: int | None = None) -> BadRequest:
        at = self._at if at is None else at
        line = self._text.count("\n", 0, at) + 1
        column = at - self._text.rfind("\n", 0, at)
        return BadRequest(f"{self._what} is not valid JSON: {why} (line {line}, column {column})")


_PLAIN = {
    "Unterminated string starting at": "a quote is missing",
    "Invalid control character at": "a control character in a text (write \\n for a line break)",
    "Invalid \\escape": "a backslash that means nothing (write \\\\ for a backslash)",
    "Invalid \\uXXXX escape": "\\u without four hex digits",
    "Expecting value": "a value is missing",
}


def _plain(message: str) -> str:
    """json's own words, plainer."""
    return next((ours for theirs, ours in _PLAIN.items() if message.startswith(theirs)), message)
