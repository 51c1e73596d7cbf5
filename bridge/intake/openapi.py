"""How what comes in is described: the parts that the OpenAPI 3.1 documents of all dialects are made of. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

JSON = "application/json"
REF = "#/components/schemas/{model}"


@dataclass
class OpenApi:
    """An OpenAPI 3.1 document."""

    openapi: str
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    security: list[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]


def path(spelt: str) -> str:
    """A path of Flask's in OpenAPI's spelling: /jobs/{job_id}."""
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", spelt)


def ref(model: type) -> dict[str, Any]:
    """Where the schema of a class is."""
    return {"$ref": REF.format(model=model.__name__)}


def as_json(schema: dict[str, Any]) -> dict[str, Any]:
    """The content of a body in JSON."""
    return {JSON: {"schema": schema}}


def with_examples(model: type[BaseModel]) -> dict[str, Any]:
    """The content of a request in JSON, with the examples of its model."""
    content = as_json(ref(model))
    extra = model.model_config.get("json_schema_extra")
    if isinstance(extra, dict) and isinstance(found := extra.get("examples"), list):
        content[JSON]["examples"] = {f"example {number}": {"value": value} for number, value in enumerate(found, 1)}
    return content


def schemas(models: Iterable[type]) -> dict[str, Any]:
    """The schema of each class by its name, with those inside it."""
    wanted = sorted(models, key=lambda model: model.__name__)
    told, inner = TypeAdapter.json_schemas(
        [(model.__name__, "validation", TypeAdapter(model)) for model in wanted], ref_template=REF
    )
    found = dict(inner.get("$defs", {}))
    for (name, _), schema in told.items():
        if "$ref" not in schema:
            found[str(name)] = schema
    return {name: tidy(found[name]) for name in sorted(found)}


_BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
"""pydantic leaves its own words where a bound stands before an "or null"."""


def tidy(schema: Any) -> Any:
    """Without the titles that pydantic makes of the names, and on one line."""
    if isinstance(schema, list):
        return [tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: value for name, value in schema.items() if name != "title" or isinstance(value, dict)}
    told = {_BOUNDS.get(name, name): tidy(value) for name, value in kept.items()}
    if isinstance(told.get("description"), str):
        told["description"] = " ".join(told["description"].split())
    return told
