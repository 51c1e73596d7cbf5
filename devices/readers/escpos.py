"""ESC/POS read back into pictures: what `devices.languages.escpos` writes, and the receipts other programs send.

Drawn: text in fonts A and B with its sizes and styles in the code pages of ESC t, GS v 0, GS ( L, ESC *, GS *, the
barcodes of GS k and, where the package qrcode is installed, QR codes. Page mode, stored logos (FS p) and Chinese
characters, which need the printer's own memory, are named in `Label.undrawn`; a character without a shape is a frame.

The bytes may be hostile: work and memory grow with the length of the data and with `limit`, never faster.
"""

from __future__ import annotations

from devices.errors import BadPrinterData
from devices.readers._escpos_printer import Printer
from devices.readers._escpos_stream import Stream, named
from devices.readers._label import LIMIT, MAX_DOTS, MAX_LABELS, Label

__all__ = ["CUTS", "Label", "read"]

CUTS = frozenset({"GS V", "ESC i", "ESC m"})

_PIECE = 65_536  # bytes read at a time


def read(data: bytes, *, limit: int = LIMIT, dots: int | None = None) -> list[Label]:
    """The receipts in `data`, one for every cut, and what follows the last cut.

    limit: bytes of pictures to unpack over all receipts. dots: of the print head; without it a receipt is 576 dots
    wide where it has text, barcodes or something not at the left edge, else as wide as its widest picture. Raises
    BadPrinterData, and nothing else, for data that would unpack to more or that no receipt printer could print.
    """
    printer = Printer(limit=limit, dots=dots)
    stream = Stream(keep=MAX_DOTS // 8 + 1024)
    labels: list[Label] = []

    def cut() -> None:
        if (label := printer.take()) is None:
            return
        if len(labels) == MAX_LABELS:
            raise BadPrinterData(f"more than {MAX_LABELS:,} receipts at byte {stream.offset:,}; split the job")
        labels.append(label)

    for start in range(0, len(data), _PIECE):
        for token in stream.feed(data[start : start + _PIECE]):
            printer.obey(token)
            if token.name in CUTS:
                cut()
    rest = stream.end()
    if rest is not None and rest.name in ("GS v", "ESC *"):
        printer.obey(named(rest))  # the printer prints these as they come in
    cut()
    return labels
