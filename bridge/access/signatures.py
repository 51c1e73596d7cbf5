"""How a message proves whom it is from: Standard Webhooks, and what the served clouds do beside it.

Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`, base64, one signature for each secret, so that a secret
can be changed without a gap. Printix (Cloud Print API, "Webhooks"): HMAC-SHA512 in hex over the body, with two secrets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"


def new_secret() -> str:
    """A fresh secret as Standard Webhooks writes it: whsec_ and 32 bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def standard(keys: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """webhook-id, webhook-timestamp (Unix seconds) and webhook-signature with one signature for each of `keys`."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(_raw(key), signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def printix(keys: Sequence[str], body: bytes) -> dict[str, str]:
    """X-Printix-Signature-1 and -2, and the plain name for the first."""
    found = [hmac.digest(key.encode(), body, hashlib.sha512).hex() for key in keys[:2]]
    named = {f"X-Printix-Signature-{number}": signature for number, signature in enumerate(found, 1)}
    return {"X-Printix-Signature": found[0], **named} if found else {}


def _raw(key: str) -> bytes:
    """The bytes of a secret: decoded when it says so itself, else its characters."""
    if key.startswith(PREFIX):
        try:
            return base64.b64decode(key.removeprefix(PREFIX), validate=True) or key.encode()  # never the empty key
        except binascii.Error:
            pass
    return key.encode()
