"""Which labels are in doubt when a sending was cut off, in words a person at the printer can act on."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Ledger:
    """What was offered to the printer, piece by piece, as (labels, bytes). total: labels of the whole job, if known.

    unit: "label", or "copy" for raw jobs, whose labels nobody counted.
    """

    unit: str
    total: int | None
    pieces: list[tuple[int, int]] = field(default_factory=list)

    def add(self, labels: int, size: int) -> None:
        """A piece of `size` bytes that prints `labels` labels is about to be written."""
        self.pieces.append((labels, size))

    def touched(self, sent: int) -> int:
        """How many labels may be out when `sent` bytes had left: all whose first byte did."""
        labels, offset = 0, 0
        for count, size in self.pieces:
            if sent <= offset:
                break
            labels, offset = labels + count, offset + size
        return labels


def doubt(unit: str, touched: int, total: int | None) -> str:
    """"labels 1-38 of 500 may have printed, 39-500 were not sent"."""
    plural = {"label": "labels", "copy": "copies"}[unit]
    if not touched:
        return "nothing was sent"
    if total == 1 or (total is None and touched <= 1):
        return "the label may have printed" if unit == "label" else "the job may have printed"
    which = f"{unit} 1" if touched == 1 else f"{plural} 1-{touched}"
    if total is None:
        return f"{which} may have printed"
    if touched >= total:
        return f"{which} of {total} may have printed"
    rest = f"{touched + 1} was" if touched + 1 == total else f"{touched + 1}-{total} were"
    return f"{which} of {total} may have printed, {rest} not sent"
