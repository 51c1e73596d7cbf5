"""What the fields of an Olin request may hold. Forms write everything as text: "2", "true"; JSON does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, WithJsonSchema

from bridge.errors import Invalid

LINE_MAX = 255  # characters of a name
TEXT_MAX = 4_000  # characters of a message
_DIGITS_MAX = 18  # of a whole number: SQLite's have 64 bits
_YEAR_10000 = 253_402_300_800  # seconds

# Control characters, and those that turn the direction of what stands around them: names end up in logs and pages.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Fields(BaseModel):
    """The fields of one request. Unknown ones are ignored; null and an empty text are the same as absent (Laravel)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @classmethod
    def read(cls, given: Mapping[str, Any], *, inside: str = "") -> Self:
        """Raises Invalid for the first field that cannot be used. inside: what stands before its name in the error."""
        try:
            return cls.model_validate({name: value for name, value in given.items() if not _is_absent(value)})
        except ValidationError as error:
            raise _invalid(error, inside) from None  # the original would carry the caller's values into a log


def _is_absent(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _invalid(error: ValidationError, inside: str) -> Invalid:
    first = error.errors(include_url=False, include_input=False)[0]
    field = inside + (str(first["loc"][0]) if first["loc"] else "request")
    if first["type"] == "missing":
        return Invalid(f"The {field} field is required.", field=field)
    return Invalid(f"The {field} field {first.get('ctx', {}).get('error', first['msg'])}.", field=field)


# Each of these says what is wrong in words that follow "The NAME field".


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def _line(value: Any) -> str:
    line = _text(value).strip()
    if len(line) > LINE_MAX:
        raise ValueError(f"must not be longer than {LINE_MAX} characters")
    if _UNPRINTABLE.search(line):
        raise ValueError("must not contain control characters")
    return line


def _address(value: Any) -> str:
    address = _text(value).strip()
    if len(address) > TEXT_MAX:
        raise ValueError(f"must not be longer than {TEXT_MAX:,} characters")
    return address


def _message(value: Any) -> str:
    """Anything at all: an agent that reports a failure must not fail on its wording."""
    return _UNPRINTABLE.sub(" ", value if isinstance(value, str) else repr(value)).strip()[:TEXT_MAX]


def _whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(rf"\s*-?[0-9]{{1,{_DIGITS_MAX}}}\s*", value, re.ASCII):
        value = int(value)
    value = _pointless(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 10**_DIGITS_MAX:
        raise ValueError("must be a whole number")
    return value


def _pointless(value: Any) -> Any:
    """2 for 2.0: JSON has one kind of number, and PHP writes what it divided like that."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _between(value: Any, least: int, most: int) -> int:
    number = _whole(value)
    if not least <= number <= most:
        raise ValueError(f"must be between {least} and {most}")
    return number


def _flag(value: Any) -> bool:
    known = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
    name = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if name not in known:
        raise ValueError("must be true or false")
    return known[name]


def _which(value: Any) -> str:
    """Of a printer: its number, or its id as a text."""
    value = _pointless(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**_DIGITS_MAX:
        return str(value)
    if not isinstance(value, str):
        raise ValueError("must be a printer's number or its id")
    return _line(value)


def one_of(*words: str) -> Any:
    """A field that holds one of these words, in any case, with spaces around it."""
    known = {word.lower(): word for word in words}

    def check(value: Any) -> str:
        word = known.get(value.strip().lower()) if isinstance(value, str) else None
        if word is None:
            raise ValueError(f"must be one of {', '.join(words)}")
        return word

    return Annotated[str, PlainValidator(check), WithJsonSchema({"type": "string", "enum": list(words)})]


def _moment(value: Any) -> float:
    """ISO 8601, or Y-m-d H:i:s; UTC where no zone is given. Unix seconds."""
    try:
        when = datetime.fromisoformat(_text(value).strip())
        stamp = when.replace(tzinfo=when.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError("must look like 2024-01-15T10:30:00Z or 2024-01-15 10:30:00 (UTC)") from error
    if not 0 <= stamp < _YEAR_10000:
        raise ValueError("must lie between 1970 and 9999")
    return stamp


Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]
Line = Annotated[str, PlainValidator(_line), WithJsonSchema({"type": "string", "maxLength": LINE_MAX})]
Address = Annotated[str, PlainValidator(_address), WithJsonSchema({"type": "string", "maxLength": TEXT_MAX})]
Message = Annotated[str, PlainValidator(_message), WithJsonSchema({"type": "string"})]
Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]
Which = Annotated[str, PlainValidator(_which), WithJsonSchema({"type": ["integer", "string"]})]
Moment = Annotated[float, PlainValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Whole = Annotated[int, PlainValidator(_whole), WithJsonSchema({"type": "integer"})]
Copies = Annotated[
    int, PlainValidator(lambda value: _between(value, 1, 99)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 99}),
]  # fmt: skip
Priority = Annotated[
    int, PlainValidator(lambda value: _between(value, 0, 10)),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 10}),
]  # fmt: skip
