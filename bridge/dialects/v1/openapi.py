"""The OpenAPI 3.1 document, made of the table of routes: what is not in the table is not in the document, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from bridge import VERSION
from bridge.dialects.v1 import answers
from bridge.dialects.v1.bridge import PROMETHEUS, ZIP
from bridge.dialects.v1.route import Route
from bridge.dialects.v1.table import PNG, ROUTES, STREAM
from bridge.dialects.v1.wishes import JobOptions, NewJob, Nothing, OrganizationChanges, PrinterChanges, Wish
from bridge.intake import openapi
from bridge.intake.idempotency import PARAMETER

_TAGS = {
    "jobs": "What is printed.",
    "printers": "What it is printed on.",
    "keys": "Who may print: API keys, and the web pages that may use them.",
    "organizations": "Who shares this bridge, and what they may print on.",
    "people": "Users, groups and cards.",
    "events": "What happens.",
    "webhooks": "Who is told what happens.",
    "bridge": "The bridge itself.",
}
_DESCRIPTION = """The API of print-bridge, a print bridge for label printers that runs next to them.

Every refusal is `{"error": {"code", "text", "remedy"}}`, with `field` when one is at fault: `code` is for programs and
does not change, `text` says what and where, `remedy` what to do about it.

Scopes: a key does what its scopes say; `admin` may do everything, `read` looks at jobs and printers and changes
nothing, `print` makes new jobs and does nothing else. A key sees its own organization alone; `admin` keys of the
organization the bridge belongs to look after all of them. A web page may call the bridge only with a key that
is bound to its origin, and sees nothing but its own jobs.

Numbers and booleans may also be sent as text, as forms and query strings do."""
_BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
_PATH_WORDS = {
    "printer": ("id or name of a printer", {"type": "string"}, "virtual"),
    "job_id": ("id of a job", {"type": "string"}, "0197e0aa-e9f3-7168-8504-ccffa0052376"),
    "key_id": ("id of a key", {"type": "string"}, "0197df47-871f-72d1-95df-2bfb0c18529a"),
    "organization_id": ("id of an organization", {"type": "string"}, "0197df47-0000-72d1-95df-2bfb0c18529a"),
    "user_id": ("id of a user", {"type": "string"}, "0197df47-871f-72d1-95df-2bfb0c18529a"),
    "group_id": ("id of a group", {"type": "string"}, "0197df47-871f-72d1-95df-2bfb0c18529a"),
    "card_id": ("id of a card", {"type": "string"}, "0197df47-871f-72d1-95df-2bfb0c18529a"),
    "webhook_id": ("id of a webhook", {"type": "string"}, "wh_0197df47871f72d195df2bfb0c18529a"),
    "delivery_id": ("id of a delivery", {"type": "string"}, "msg_0197df47871f72d195df2bfb0c18529a"),
    "number": ("number of a label, from 1", {"type": "integer", "minimum": 0}, 1),
}


@cache
def document() -> dict[str, Any]:
    """The whole document; not to be changed."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "print-bridge",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": "/v1"}],
        "security": [{"bearer": []}, {"basic": []}, {"apiKey": []}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The API key."},
                "basic": {"type": "http", "scheme": "basic",
                          "description": "User: the organization id. Password: the API key."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "parameters": {"IdempotencyKey": PARAMETER},
            "responses": {
                "Error": {"description": "Why not, and what to do about it.",
                          "content": openapi.as_json(openapi.ref(answers.Error))},
            },
        },
    }  # fmt: skip


def openapi_path(route: Route) -> str:
    """A path in OpenAPI's spelling: /jobs/{job_id}."""
    return openapi.path(route.path)


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(openapi_path(route), {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    summary, _, more = (route.view.__doc__ or "").partition("\n")
    text = " ".join(more.split())
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.name.partition("_")[0]],
        "summary": summary.rstrip("."),
        "description": f"{text} {_who_may(route)}".strip(),
        "parameters": list(_parameters(route)),
        "responses": {**{str(status): _success(route, status) for status in route.statuses},
                      "default": {"$ref": "#/components/responses/Error"}},
    }  # fmt: skip
    if route.scope == "none":
        operation["security"] = []
    if route.reads or (route.method in ("POST", "PATCH") and route.wish is not Nothing):
        operation["requestBody"] = _body(route)
    return operation


def _who_may(route: Route) -> str:
    if route.scope == "none":
        return "No key is needed."
    scopes = " or ".join(f"`{scope}`" for scope in sorted(route.scopes - {"admin"}) or ["admin"])
    owner = ", of the organization the bridge belongs to" if route.owner else ""
    return f"Needs a key with the scope {scopes}{owner}."


# ---- what is sent -----------------------------------------------------------------------------------------------


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(?:\w+:)?(\w+)>", route.path):
        text, schema, example = _PATH_WORDS[name]
        yield {"name": name, "in": "path", "required": True, "description": text, "schema": schema, "example": example}
    if route.creates:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if route.method in ("GET", "DELETE"):
        yield from _query(route.wish)
    if route.reads:
        for name, words in _flat_job().items():
            if name not in ("document_base64", "document_url", "template", "text"):
                yield {"name": name, "in": "query", "required": False, "schema": words}


def _query(wish: type[Wish]) -> Iterator[dict[str, Any]]:
    """The words of a wish as parameters of the query string."""
    schema = _inlined(wish.model_json_schema(mode="validation"))
    for name, words in schema.get("properties", {}).items():
        text = words.pop("description", "")
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ()),
                     "description": text, "schema": _flat(words)}  # fmt: skip
        if parameter["schema"].get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        yield parameter


def _body(route: Route) -> dict[str, Any]:
    content = openapi.with_examples(route.wish)
    if route.reads:
        content |= {"multipart/form-data": {"schema": _form()}, "application/octet-stream": {"schema": _BINARY}}
    required = bool(route.wish.model_json_schema().get("required"))
    return {"required": required, "content": content, **_told(route)}


def _told(route: Route) -> dict[str, str]:
    if not route.reads:
        return {}
    return {
        "description": "JSON, a form with a file, or the document itself as the body with everything else in the query "
        "string: `POST /v1/jobs?printer=virtual&copies=2`, the options by their own names."
    }


def _form() -> dict[str, Any]:
    """POST /jobs as a form: flat, with a file."""
    flat = _flat_job()
    file = {"file": {**_BINARY, "description": "the document"}}
    nested = {name: {"type": "string", "contentMediaType": openapi.JSON, "description": f"JSON, {text}"}
              for name, text in (("fields", "for the template"), ("receipt", "a list of elements"))}  # fmt: skip
    return {"type": "object", "properties": {**file, **flat, **nested}, "required": ["printer"],
            "additionalProperties": False}  # fmt: skip


_NESTED = frozenset({"options", "fields", "receipt"})


def _flat_job() -> dict[str, Any]:
    """A job's words as forms and query strings have them: the options stand among the others."""
    flat: dict[str, Any] = {}
    for model in (NewJob, JobOptions):
        properties = _inlined(model.model_json_schema())["properties"]
        flat |= {name: _flat(words) for name, words in properties.items() if name not in _NESTED}
    return flat


# ---- what comes back --------------------------------------------------------------------------------------------


def _success(route: Route, status: int) -> dict[str, Any]:
    told = {200: "Done.", 201: "Made.", 204: "Done; there is nothing to say.", 503: "A loop is dead."}[status]
    if route.creates and status == 200:
        told = "Made before, for the same Idempotency-Key."
    answer: dict[str, Any] = {"description": told}
    if isinstance(route.gives, type):
        answer["content"] = openapi.as_json(openapi.ref(route.gives))
    elif route.gives is not None:
        text = route.gives in (STREAM, PROMETHEUS.partition(";")[0])
        answer["content"] = {route.gives: {"schema": {"type": "string"} if text else _bytes(route.gives)}}
    if status == 201 and route.gives not in (answers.NewKeyMade, answers.Delivery):
        answer["headers"] = {"Location": {"description": "Where to look at it.", "schema": {"type": "string"}}}
    return answer


def _bytes(media: str) -> dict[str, Any]:
    assert media in (ZIP, PNG)
    return {"type": "string", "contentMediaType": media}


# ---- schemas ----------------------------------------------------------------------------------------------------


def _schemas() -> dict[str, Any]:
    """Every class some route takes or gives, by its name, with those inside it."""
    taken = {route.wish for route in ROUTES if route.method in ("POST", "PATCH") and route.wish is not Nothing}
    given = {route.gives for route in ROUTES if isinstance(route.gives, type)} | {answers.Error}
    found = openapi.schemas(taken | given)
    for changes in (PrinterChanges, OrganizationChanges):
        for words in found[changes.__name__]["properties"].values():
            words.pop("default", None)  # what is left out of a change stays as it is
    return found


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its $defs put in where they are referred to."""
    definitions = schema.pop("$defs", {})

    def inline(value: Any) -> Any:
        if isinstance(value, list):
            return [inline(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inline(definitions[value["$ref"].rpartition("/")[2]])
        return {name: inline(each) for name, each in value.items()}

    tidy: dict[str, Any] = openapi.tidy(inline(schema))
    return tidy


def _flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Without null, which forms and query strings cannot say: there it is left out."""
    ways = [way for way in schema.get("anyOf", ()) if way != {"type": "null"}]
    kept = {name: value for name, value in schema.items() if name != "anyOf" and (name, value) != ("default", None)}
    if not ways:
        return kept
    return {**kept, **ways[0]} if len(ways) == 1 else {**kept, "anyOf": ways}
