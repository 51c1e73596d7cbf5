"""The OpenAPI 3.1 document, made of the tables the routes are made of, the models of the requests, and `calls`."""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Literal, get_origin

from pydantic import AliasChoices, TypeAdapter
from pydantic.fields import FieldInfo

from bridge import VERSION
from bridge.dialects.cloudlinker import answers
from bridge.dialects.cloudlinker.calls import CALLS, FIELDS, PARTS, Call, Models
from bridge.dialects.cloudlinker.fields import Fields
from bridge.dialects.cloudlinker.payload import _PRIORITY_MAX
from bridge.intake import openapi
from bridge.intake.idempotency import PARAMETER

MOUNT = "/api"
_DESCRIPTION = """The API of Cloudlinker, served by a print-bridge. Every refusal is `{"message", "errors"?}`.

The fields of a request may come as JSON, as a form or in the query string. Fields that are not named here are ignored;
null and an empty text are mostly the same as absent. Numbers and booleans may also be sent as text, and `[]` stands for
an object without members. The scope `admin` is good for everything.

Where this bridge has a plan, every answer says in `X-RateLimit-Limit` and `X-RateLimit-Remaining` how many requests
are left; one too many is refused with 429 and `Retry-After`, in seconds."""
_BASIC = {"type": "http", "scheme": "basic", "description": "User: the organization id. Password: the key."}


def _called(name: str) -> dict[str, Any]:
    """Where the schema of this name is."""
    return {"$ref": openapi.REF.format(model=name)}


_KINDS: dict[str, dict[str, Any]] = {
    "payload": {"anyOf": [
        _called("Payload"),
        {"type": "string", "contentMediaType": openapi.JSON, "contentSchema": _called("Payload")},
    ]},
    "options": _called("PayloadOptions"),
    "priority": {"type": "integer", "minimum": -_PRIORITY_MAX, "maximum": _PRIORITY_MAX},
}  # fmt: skip
"""Fields whose models leave open what they hold."""

_BESIDES: dict[str, dict[str, Any]] = {
    "PayloadOptions": {"additionalProperties": False},
    "PostJobsCreate": {"anyOf": [{"required": ["payload"]}, {"required": ["source"]}]},
}
"""What the views demand beyond their models."""

Rows = tuple[tuple[str, frozenset[str] | None], ...]
"""("POST /jobs/get", scopes) of every route; None: no key is needed."""


@cache
def document(rows: Rows) -> dict[str, Any]:
    """The whole document; not to be changed. Raises KeyError for a route that `calls` does not describe."""
    paths: dict[str, Any] = {}
    for line, scopes in rows:
        method, path = line.split()
        paths.setdefault(path, {})[method.lower()] = _operation(line, CALLS[f"{method} {path}"], scopes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Cloudlinker, by print-bridge", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": MOUNT}],
        "security": [{"basic": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(rows),
            "securitySchemes": {"basic": _BASIC},
            "parameters": {"IdempotencyKey": PARAMETER},
            "responses": {"Failure": {"description": "Why not.", "content": openapi.as_json(_given(answers.Failure))}},
        },
    }


def name_of(line: str) -> str:
    """What the route of this line is called: post_jobs_get for "POST /jobs/get"."""
    return re.sub(r"\W+", "_", line.lower())


def _operation(line: str, call: Call, scopes: frozenset[str] | None) -> dict[str, Any]:
    responses: dict[str, Any] = {"default": {"$ref": "#/components/responses/Failure"}}
    if call.gives is not None:
        responses["200"] = {"description": "Done.", "content": openapi.as_json(_given(call.gives))}
    operation: dict[str, Any] = {
        "operationId": name_of(line),
        "summary": call.summary,
        "description": f"{call.more} {_who_may(scopes)}",
        "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}] if call.creates else [],
        "responses": responses,
    }
    if scopes is None:
        operation["security"] = []
    if call.reads:
        schema = _taken(_model_name(line), call.reads)
        operation["requestBody"] = {
            "required": bool(schema.get("required")),
            "content": {openapi.JSON: {"schema": _called(_model_name(line)), "example": call.body}},
        }
    return operation


def _who_may(scopes: frozenset[str] | None) -> str:
    if scopes is None:
        return "No key is needed."
    return f"Needs a key with the scope {' or '.join(f'`{scope}`' for scope in sorted(scopes or {'admin'}))}."


def _model_name(line: str) -> str:
    return name_of(line).title().replace("_", "")


# ---- what is sent -----------------------------------------------------------------------------------------------


def _taken(name: str, models: Models) -> dict[str, Any]:
    """The schema of what these models read from one request."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    required: list[str] = []
    for model in models:
        told = model.model_json_schema()
        required += told.get("required", [])
        for (field, info), words in zip(model.model_fields.items(), told["properties"].values(), strict=True):
            schema["properties"][field] = {**_kind(model, field, words), "description": FIELDS[field] + _also(info)}
    return schema | ({"required": required} if required else {}) | _BESIDES.get(name, {})


def _also(info: FieldInfo) -> str:
    names = info.validation_alias.choices[1:] if isinstance(info.validation_alias, AliasChoices) else []
    return f"; also called {' or '.join(map(str, names))}" if names else ""


def _kind(model: type[Fields], field: str, words: dict[str, Any]) -> dict[str, Any]:
    """The schema of one field. null is left out: it is the same as absent."""
    if field in _KINDS:
        return _KINDS[field]
    ways = [way for way in words.get("anyOf", ()) if way != {"type": "null"}] or [words]
    kind = {name: value for name, value in ways[0].items() if name != "title"}
    annotation: Any = model.model_fields[field].annotation
    if get_origin(annotation) is Literal:  # behind a validator of its own, of which pydantic knows nothing
        kind |= TypeAdapter(annotation).json_schema()
    return kind


# ---- schemas ----------------------------------------------------------------------------------------------------


def _given(gives: Any) -> dict[str, Any]:
    """The schema of an answer; a reference where it has a name."""
    if isinstance(gives, type):
        return openapi.ref(gives)
    schema: dict[str, Any] = TypeAdapter(gives).json_schema(ref_template=openapi.REF)
    schema.pop("$defs", None)
    return schema


def _schemas(rows: Rows) -> dict[str, Any]:
    """What some route takes or gives, by its name, with what is inside it."""
    lines = [" ".join(line.split()) for line, _ in rows]
    found = {_model_name(line): _taken(_model_name(line), CALLS[line].reads) for line in lines if CALLS[line].reads}
    found |= {name: _taken(name, models) for name, models in PARTS.items()}
    for gives in {answers.Failure, *(CALLS[line].gives for line in lines)} - {None}:
        told = TypeAdapter(gives).json_schema(ref_template=openapi.REF)
        found |= told.pop("$defs", {})
        if isinstance(gives, type):
            found[gives.__name__] = told
    return {name: openapi.tidy(found[name]) for name in sorted(found)}
