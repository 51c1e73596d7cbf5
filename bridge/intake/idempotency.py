"""The Idempotency-Key of a request, the same in every API: how it is read, and what the OpenAPI documents say of it."""

from __future__ import annotations

from typing import Any

from flask import request

from bridge.errors import Invalid
from bridge.intake.accept import KEY_MAX

HEADER = "Idempotency-Key"
PARAMETER: dict[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Of your choice. Repeat a request with the same key and body after a lost answer, and you get what "
    "was made first, with status 200. The same key with another body is refused with 409.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_MAX, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}


def idempotency_key() -> str | None:
    """The header, None when it was not sent. Raises Invalid."""
    key: str | None = request.headers.get(HEADER)
    if key is not None and not 1 <= len(key) <= KEY_MAX:
        raise Invalid(f"an Idempotency-Key has 1 to {KEY_MAX} characters", field=HEADER,
                      remedy="send a UUID, or the number of the order")  # fmt: skip
    return key
