"""The OpenAPI 3.1 document, made of the table of routes: what is not in the table is not in the document, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Response, jsonify

from bridge import VERSION
from bridge.dialects.olin import answers
from bridge.dialects.olin.fields import Fields
from bridge.dialects.olin.wishes import Nothing, PrintOptions, SeenPrinter
from bridge.intake import openapi
from bridge.intake.idempotency import PARAMETER

if TYPE_CHECKING:
    from bridge.dialects.olin.route import House, Route

BYTES = "application/octet-stream"
_DESCRIPTION = """The API of Olin Cloud Print, served by a print-bridge. Every refusal is
`{"success": false, "message", "errors"?}`. Numbers and booleans may also be sent as text, as forms do."""
_PATH_WORDS = {
    "printer": ("number, printer_id or name of a printer", "1"),
    "job_id": ("number of a print job", "123"),
}
_TOLD = {200: "Done.", 201: "Made."}


def show(house: House, wish: Nothing) -> Response:
    """This document."""
    return jsonify(document())


@cache
def document() -> dict[str, Any]:
    """The whole document; not to be changed."""
    from bridge.dialects.olin.table import ROUTES  # late: the table names a view of this module

    paths: dict[str, Any] = {}
    for route in ROUTES:
        for method in route.methods:
            paths.setdefault(openapi.path(route.path), {})[method.lower()] = _operation(route, method)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Olin Cloud Print, by print-bridge", "version": VERSION,
                 "description": " ".join(_DESCRIPTION.split())},
        "servers": [{"url": "/olin/api"}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(ROUTES),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "The API token."}},
            "parameters": {"IdempotencyKey": PARAMETER},
            "responses": {
                "Failure": {"description": "Why not.", "content": openapi.as_json(openapi.ref(answers.Failure))}
            },
        },
    }  # fmt: skip


def _operation(route: Route, method: str) -> dict[str, Any]:
    text = " ".join((route.view.__doc__ or "").split())
    summary, _, more = text.partition(". ")
    usual = method == route.methods[0]
    scopes = "" if not route.scopes else f" Needs the scope {' or '.join(sorted(route.scopes))}."
    operation: dict[str, Any] = {
        "operationId": route.name if usual else f"{route.name}_{method.lower()}",
        "summary": summary.rstrip("."),
        "description": f"{more}{scopes}".strip() or f"{summary.rstrip('.')}.",
        "parameters": list(_parameters(route)),
        "responses": {
            **{str(status): {"description": _TOLD[status], "content": _given(route)} for status in route.statuses},
            "default": {"$ref": "#/components/responses/Failure"},
        },
    }
    if route.scopes is None:
        operation["security"] = []
    if "GET" not in route.methods and route.wish is not Nothing:
        operation["requestBody"] = {"required": True, "content": _taken(route)}
    return operation


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(\w+)>", route.path):
        text, example = _PATH_WORDS[name]
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"},
               "example": example}  # fmt: skip
    if route.creates:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if "GET" in route.methods:
        for name, words in openapi.tidy(route.wish.model_json_schema()).get("properties", {}).items():
            ways = [way for way in words.get("anyOf", ()) if way != {"type": "null"}] or [words]
            yield {"name": name, "in": "query", "required": False, "schema": ways[0]}


def _taken(route: Route) -> dict[str, Any]:
    content = openapi.with_examples(route.wish)
    if route.reads:
        content["multipart/form-data"] = {"schema": _form(route.wish)}
    return content


def _form(wish: type[Fields]) -> dict[str, Any]:
    """POST print-jobs as a form: options in brackets."""
    flat = dict(openapi.tidy(wish.model_json_schema())["properties"])
    flat.pop("print_options")
    options = openapi.tidy(PrintOptions.model_json_schema())["properties"]
    flat |= {f"print_options[{name}]": words for name, words in options.items() if name != "copies"}
    return {"type": "object", "properties": flat}


def _given(route: Route) -> dict[str, Any]:
    if isinstance(route.gives, str):
        return {route.gives: {"schema": {"type": "string", "contentMediaType": BYTES}}}
    return openapi.as_json(openapi.ref(route.gives))


def _schemas(routes: tuple[Route, ...]) -> dict[str, Any]:
    """Every class some route takes or gives, by its name, with those inside it."""
    taken = {route.wish for route in routes if "GET" not in route.methods and route.wish is not Nothing}
    given = {route.gives for route in routes if isinstance(route.gives, type)}
    return openapi.schemas({*taken, *given, answers.Failure, SeenPrinter})
