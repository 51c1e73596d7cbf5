"""What every reader gives back, and how much it is willing to unpack. The printer code may be hostile."""

from __future__ import annotations

from dataclasses import dataclass

from devices.contracts import Bitmap

MAX_DOTS = 40_000_000  # of one label: 8 x 12 inches at 600 dpi is 35 million
MAX_DATA = MAX_DOTS // 8  # bytes of one picture
MAX_SIDE = 65_535  # dots; no label language has a longer side
MAX_LABELS = 10_000  # in one stream
LIMIT = 256 << 20  # bytes of pictures over all labels: about 550 labels of 4 x 6 inches at 203 dpi
ROW = 64  # bytes that a row of a picture costs beside its dots


@dataclass(frozen=True, slots=True)
class Label:
    """One label, receipt or page.

    bitmap: None when nothing on it could be drawn. copies: how often the stream asks for it. undrawn: the commands that
    would have put something on the label, or changed how it looks, and were left out; in the order of their first use.
    """

    bitmap: Bitmap | None
    copies: int = 1
    undrawn: tuple[str, ...] = ()


def number(text: bytes) -> int | None:
    """Digits as a number, at most nine of them as no parameter needs more; None for anything else."""
    text = text.strip()
    return min(int(text[:10]), 999_999_999) if text.isdigit() else None
