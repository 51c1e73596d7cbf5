"""What people can remember, kept so that a stolen database does not tell it: scrypt (RFC 7914), a salt for each."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading

COST, BLOCK, PARALLEL = 2**14, 8, 1  # 16 MiB and some 50 ms
_ONE_AT_A_TIME = threading.BoundedSemaphore(2)  # or a crowd of guesses takes all the memory of a small machine


def hashed(text: str) -> str:
    """scrypt$N$r$p$salt$hash."""
    salt = os.urandom(16)
    return f"scrypt${COST}${BLOCK}${PARALLEL}${salt.hex()}${_scrypt(text, salt, COST, BLOCK, PARALLEL).hex()}"


def matches(text: str, kept: str | None) -> bool:
    """Whether this is the password. None, nobody's password, takes as long as any other and is never right."""
    known = kept or _NOBODY
    try:
        name, cost, block, parallel, salt, digest = known.split("$")
        found = _scrypt(text, bytes.fromhex(salt), int(cost), int(block), int(parallel))
        right = name == "scrypt" and hmac.compare_digest(found, bytes.fromhex(digest))
    except ValueError:
        right = False
    return right and kept is not None


def _scrypt(text: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    with _ONE_AT_A_TIME:
        return hashlib.scrypt(
            text.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=parallel, maxmem=64 << 20, dklen=32
        )


_NOBODY = f"scrypt${COST}${BLOCK}${PARALLEL}${'00' * 16}${'00' * 32}"
