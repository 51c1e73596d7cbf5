"""What the fields of a Cloudlinker request may hold. Its callers write 1, "1", true, "true" and "" as it comes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError, WithJsonSchema

from bridge.errors import Invalid
from bridge.model import MAX_COPIES, PRINTER

_LINE_MAX = 255  # characters of a name
_TEXT_MAX = 4_000  # characters of a description or a message
_WHOLE_MAX = 2**31 - 1
_YEAR_10000 = 253_402_300_800  # seconds; datetime ends a second before

# Control characters, and those that turn the direction of what stands around them: names end up in logs and pages.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class Fields(BaseModel):
    """The fields of one request. Unknown ones are ignored: clouds add some. null is the same as absent.

    clearable: fields where an empty text is a value; elsewhere it is the same as absent, as in Laravel.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    clearable: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Raises Invalid for the first field that cannot be used."""
        try:
            return cls.model_validate({k: v for k, v in given.items() if not cls._is_absent(k, v)})
        except ValidationError as error:
            raise _invalid(error) from None  # the original would carry the caller's values into a log

    @classmethod
    def _is_absent(cls, name: str, value: Any) -> bool:
        return value is None or (isinstance(value, str) and not value.strip() and name not in cls.clearable)


def _invalid(error: ValidationError) -> Invalid:
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0]) if first["loc"] else "request"
    if first["type"] == "missing":
        return Invalid(f"{field} is required", field=field)
    return Invalid(f"{field} {first.get('ctx', {}).get('error', first['msg'])}", field=field)


# Each of these says what is wrong in words that follow the name of the field.


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _word(value: Any) -> str:
    return _text(value).strip()


def _line(value: Any) -> str:
    line = _word(value)
    if len(line) > _LINE_MAX:
        raise ValueError(f"must not be longer than {_LINE_MAX} characters")
    if _UNPRINTABLE.search(line):
        raise ValueError("must not contain control characters")
    return line


def _description(value: Any) -> str:
    text = _word(value)
    if len(text) > _TEXT_MAX:
        raise ValueError(f"must not be longer than {_TEXT_MAX:,} characters")
    if _UNPRINTABLE.search(text.translate({ord(c): " " for c in "\t\r\n"})):
        raise ValueError("must not contain control characters")
    return text


def _message(value: Any) -> str:
    """Anything at all: an agent that reports a failure must not fail on its wording."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(" ", text).strip()[:_TEXT_MAX]


def _new_id(value: Any) -> str:
    text = _word(value)
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", text):
        raise ValueError("must be 1 to 64 letters, digits or any of - _ . :")
    return text


def _whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,10}\s*", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _WHOLE_MAX:
        raise ValueError("must be a whole number")
    return value


def _copies(value: Any) -> int:
    """Stricter than other numbers: a slip here costs a roll of labels."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_COPIES:
        raise ValueError(f"must be a whole number from 1 to {MAX_COPIES}")
    return value


def _flag(value: Any) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    name = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    if name not in known:
        raise ValueError("must be true or false")
    return known[name]


def _status(value: Any) -> int:
    status = _whole(value)
    if not 1 <= status <= 5:
        raise ValueError("must be 1 (created), 2 (launched), 3 (pending), 4 (completed) or 5 (failed)")
    return status


def _job_type(value: Any) -> int:
    if isinstance(value, str) and value.strip().lower() == "print":  # the README of the Laravel client
        return PRINTER
    number = _whole(value)
    if number == 2:
        raise ValueError("2: HTTP command jobs are switched off on this bridge")
    if number != PRINTER:
        raise ValueError(f"must be {PRINTER} (print job)")
    return number


def _moment(value: Any) -> float:
    """Y-m-d H:i:s, or ISO 8601; UTC where no zone is given."""
    try:
        when = datetime.fromisoformat(_word(value))
        stamp = when.replace(tzinfo=when.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise ValueError("must look like 2025-07-06 18:09:00 (UTC)") from error
    if not 0 <= stamp < _YEAR_10000:
        raise ValueError("must lie between 1970 and 9999")
    return stamp


def _info(value: Any) -> str:
    """JSON or any text, as it is stored."""
    if not isinstance(value, str | dict | list):
        raise ValueError("must be a JSON object or text")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) > 65_536:
        raise ValueError("must not be longer than 65,536 characters")
    return text


def _number(least: int, most: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": least, "maximum": most})


def _at_most(length: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "maxLength": length})


# The schemas are what the OpenAPI document advises; more is understood. Cloudlinker's own examples have copies as text.

Id = Annotated[str, PlainValidator(_word), WithJsonSchema({"type": "string"})]
NewId = Annotated[
    str, PlainValidator(_new_id), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$"})
]
Line = Annotated[str, PlainValidator(_line), _at_most(_LINE_MAX)]
Word = Annotated[str, PlainValidator(_word), WithJsonSchema({"type": "string"})]
Text = Annotated[str, PlainValidator(_text), WithJsonSchema({"type": "string"})]
Description = Annotated[str, PlainValidator(_description), _at_most(_TEXT_MAX)]
Message = Annotated[str, PlainValidator(_message), WithJsonSchema({"type": "string"})]
Whole = Annotated[int, PlainValidator(_whole), _number(-_WHOLE_MAX, _WHOLE_MAX)]
Copies = Annotated[
    int, PlainValidator(_copies),
    WithJsonSchema({"type": ["integer", "string"], "minimum": 1, "maximum": MAX_COPIES,
                    "pattern": "^(?=.*[1-9])[0-9]{1,3}$"}),
]  # fmt: skip
Flag = Annotated[bool, PlainValidator(_flag), WithJsonSchema({"type": "boolean"})]
Status = Annotated[int, PlainValidator(_status), _number(1, 5)]
JobType = Annotated[int, PlainValidator(_job_type), WithJsonSchema({"enum": [PRINTER, "print"]})]
Moment = Annotated[
    float, PlainValidator(_moment), WithJsonSchema({"type": "string", "examples": ["2025-07-06 18:09:00"]})
]
Info = Annotated[
    str, PlainValidator(_info), WithJsonSchema({"type": ["object", "array", "string"], "maxLength": 65_536})
]
