"""What a printer has said and nobody has asked for yet, never more than 64 kB of it."""

from __future__ import annotations

MOST = 64 * 1024  # bytes; of a printer that says more unasked, the newest are kept


class Ear:
    """Bytes in, bytes out; the oldest are dropped when there are too many."""

    def __init__(self) -> None:
        self._heard = bytearray()

    def __bool__(self) -> bool:
        return bool(self._heard)

    def add(self, words: bytes) -> None:
        """The printer said `words`."""
        self._heard += words
        if len(self._heard) > MOST:
            del self._heard[:-MOST]

    def take(self) -> bytes:
        """All that is there, once."""
        words = bytes(self._heard)
        self._heard.clear()
        return words
