"""What a caller can be told, as classes by what the caller may do next. Each dialect puts them into its own shape.

BridgeError              text: what and where; remedy: what to do about it; code: stable, for programs
+-- BadRequest     400   the request itself cannot be read
+-- Unauthorized   401   no key, or not one of ours
+-- Forbidden      403   a good key, but not for this
+-- NotFound       404   no such client, device, job, path
+-- WrongMethod    405
+-- Conflict       409   right in form, wrong at this moment
+-- TooLarge       413
+-- Invalid        422   a field has a value we cannot use
+-- TooMany        429   retry_after_s says when
+-- Internal       500   our fault; the log has the details
+-- Unavailable    503   try again soon
+-- DiskLow        507   nothing more is taken in before there is room again
"""

from __future__ import annotations


class BridgeError(Exception):
    """Anything that ends in an answer to a caller, or in the text of a failed job."""

    http = 500
    code = "internal"

    def __init__(self, text: str, *, remedy: str = "", field: str | None = None, code: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy
        self.field = field
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.text.removesuffix('.')}; {self.remedy}" if self.remedy else self.text


class BadRequest(BridgeError):
    http, code = 400, "bad_request"


class Unauthorized(BridgeError):
    http, code = 401, "unauthorized"


class Forbidden(BridgeError):
    http, code = 403, "forbidden"


class NotFound(BridgeError):
    http, code = 404, "not_found"


class WrongMethod(BridgeError):
    http, code = 405, "method_not_allowed"


class Conflict(BridgeError):
    http, code = 409, "conflict"


class TooLarge(BridgeError):
    http, code = 413, "too_large"


class Invalid(BridgeError):
    http, code = 422, "invalid"


class TooMany(BridgeError):
    http, code = 429, "too_many_requests"

    def __init__(self, text: str, *, retry_after_s: int, remedy: str = "") -> None:
        super().__init__(text, remedy=remedy)
        self.retry_after_s = retry_after_s


class Internal(BridgeError):
    http, code = 500, "internal"


class Unavailable(BridgeError):
    http, code = 503, "unavailable"


class DiskLow(BridgeError):
    http, code = 507, "disk_low"
