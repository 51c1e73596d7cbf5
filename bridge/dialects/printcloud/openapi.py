"""The OpenAPI 3.1 document, made of the table of routes: what is not in the table is not in the document, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from bridge import VERSION
from bridge.dialects.printcloud import answers
from bridge.dialects.printcloud.route import Route
from bridge.dialects.printcloud.table import ROUTES
from bridge.dialects.printcloud.wishes import Nothing, Wish
from bridge.dialects.printcloud.words import CODES
from bridge.intake import openapi
from bridge.intake.idempotency import PARAMETER

MOUNT = "/printcloud/api"
_DESCRIPTION = """The API of PrintCloud, served by print-bridge.

Basic authentication: the API key is the user, the password is empty. A Bearer token may be sent instead. Every refusal
is `{"code", "message"}`. Blanks around names and values do not count, and a slash may end every path.

A key with the permission `full` may do everything, `print_only` may POST /printjobs and nothing else, `read_only` may
GET and nothing else. 10 requests in a second are possible for each account where the limit is switched on; beyond that
429 with Retry-After."""
_PATH_WORDS = {
    "computer_id": ("id of a computer", "0197df47-871f-72d1-95df-2bfb0c18529a"),
    "computer_ids": ("ids of computers, separated by commas", "0197df47-871f-72d1-95df-2bfb0c18529a"),
    "job_id": ("id of a print job; to delete, several separated by commas", "pj_0197e0aae9f371688504ccffa0052376"),
    "webhook_ids": ("ids of webhooks, separated by commas", "wh_0197df47871f72d195df2bfb0c18529a"),
    "key_id": ("id of an API key", "key_0197df47871f72d195df2bfb0c18529a"),
}


@cache
def document() -> dict[str, Any]:
    """The whole document; not to be changed."""
    codes = ", ".join(dict.fromkeys(CODES.values()))
    return {
        "openapi": "3.1.0",
        "info": {"title": "print-bridge: PrintCloud", "version": VERSION, "description": _DESCRIPTION},
        "servers": [{"url": MOUNT}],
        "security": [{"basic": []}, {"bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": openapi.schemas(_named()),
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "User: the API key. Password: empty."},
                "bearer": {"type": "http", "scheme": "bearer", "description": "The API key."},
            },
            "parameters": {"IdempotencyKey": PARAMETER},
            "responses": {
                "Error": {"description": f"Why not. code: {codes}.", "content": openapi.as_json(_schema(answers.Error))}
            },
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(openapi.path(route.path), {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    summary, _, more = (route.view.__doc__ or "").partition("\n")
    text = f"{' '.join(more.split())} {_who(route)}{' An addition of print-bridge.' if route.ours else ''}"
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": summary.rstrip("."),
        "description": text.strip(),
        "parameters": list(_parameters(route)),
        "responses": {**{str(status): _success(route, status) for status in route.statuses},
                      "default": {"$ref": "#/components/responses/Error"}},
    }  # fmt: skip
    if route.scopes is None:
        operation["security"] = []
    if route.method == "POST" and route.wish is not Nothing:
        operation["requestBody"] = _body(route.wish)
    return operation


def _who(route: Route) -> str:
    if route.scopes is None:
        return "No key is needed."
    found = ["full"] + [word for word, scope in (("print_only", "print"), ("read_only", "read"))
                        if scope in route.scopes]  # fmt: skip
    return f"For keys with the permission {' or '.join(found)}."


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(\w+)>", route.path):
        text, example = _PATH_WORDS[name]
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"},
               "example": example}  # fmt: skip
    if route.creates:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if route.method == "GET":
        schema = openapi.tidy(route.wish.model_json_schema())
        for name, words in schema.get("properties", {}).items():
            text = words.pop("description", "")
            yield {"name": name, "in": "query", "required": name in schema.get("required", ()), "description": text,
                   "schema": words}  # fmt: skip


def _body(wish: type[Wish]) -> dict[str, Any]:
    return {"required": bool(wish.model_json_schema().get("required")), "content": openapi.with_examples(wish)}


def _success(route: Route, status: int) -> dict[str, Any]:
    told = "Made." if status == 201 else "Done."
    if route.creates and status == 200:
        told = "Made before, for the same Idempotency-Key."
    return {"description": told, "content": openapi.as_json(_schema(route.gives))}


# ---- schemas ----------------------------------------------------------------------------------------------------


def _schema(gives: Any) -> dict[str, Any]:
    schema: dict[str, Any] = TypeAdapter(gives).json_schema(ref_template=openapi.REF)
    schema.pop("$defs", None)
    if gives in _named():
        return openapi.ref(gives)
    return schema


@cache
def _named() -> frozenset[Any]:
    """Every class that some route takes or gives."""
    taken = {route.wish for route in ROUTES if route.method == "POST"} - {Nothing}
    given = {route.gives for route in ROUTES if hasattr(route.gives, "__dataclass_fields__")}
    inner = {route.gives.__args__[0] for route in ROUTES if getattr(route.gives, "__args__", (str,))[0] is not str}
    return frozenset(taken | given | inner | {answers.Error})
