"""Barcodes and QR codes that a printer does not draw itself, and how much room they take. Pure.

The bars come from python-barcode and the squares from qrcode, which come with python-escpos; both only compute. Their
dots are drawn here: a module is always a whole number of dots.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from typing import Any

from devices.contracts import Bitmap
from devices.receipts_elements import BarcodeElement, QrElement

_QUIET = 10  # modules of white on either side of a barcode
QR_QUIET = 4  # modules around a QR code (ISO/IEC 18004, 9.1)


def printed_dots(wanted: BarcodeElement, module: int) -> int:
    """The width of a barcode as a receipt printer draws it, with its quiet zones. module: dots, 2 to 6.

    Code 128 is asked for in its set B: set C has digits in pairs, as bytes which can be commands. So it has a start, a
    check character and a character for each of the text, 11 modules each, and a stop of 13.
    """
    if wanted.type == "code128":
        return (11 * (len(wanted.barcode) + 2) + 13 + 2 * _QUIET) * module
    return drawn_dots(wanted, module)


def drawn_dots(wanted: BarcodeElement, module: int) -> int:
    """The width of a barcode as it is drawn here, with its quiet zones."""
    return len(_row(wanted, module))


def drawn_barcode(wanted: BarcodeElement, module: int) -> Bitmap:
    """The bars with their quiet zones, `module` dots for a narrow one, without the text below them."""
    return _squares([_row(wanted, module)], 1, wanted.height)


def _row(wanted: BarcodeElement, module: int) -> str:
    """One digit a dot, 1 is black."""
    runs = re.findall("0+|1+", _bars(wanted.type, wanted.barcode))
    if wanted.type in ("code39", "itf", "codabar"):
        narrow = min(map(len, runs))
        wide = -(-module * 5 // 2)  # dots: 5, 8, 10, 13, 15 in the table of GS w
        bars = [run[0] * (module if len(run) == narrow else wide) for run in runs]
    else:
        bars = [run * module for run in runs]
    quiet = "0" * _QUIET * module
    return f"{quiet}{''.join(bars)}{quiet}"


@lru_cache(maxsize=64)
def _bars(kind: str, text: str) -> str:
    """One digit a module, 1 is black."""
    barcode = importlib.import_module("barcode")
    extra: dict[str, Any] = {"add_checksum": False} if kind == "code39" else {}
    return str(barcode.get_barcode_class(kind)(text, **extra).build()[0])


def qr_dots(wanted: QrElement) -> int:
    """The width of a QR code with its quiet zone, in dots."""
    modules = 17 + 4 * int(_qr(wanted).best_fit())
    return (modules + 2 * QR_QUIET) * wanted.size


def drawn_qr(wanted: QrElement) -> Bitmap:
    """The QR code with its quiet zone, wanted.size dots a module."""
    code = _qr(wanted)
    code.make(fit=True)
    rows = ["".join("1" if black else "0" for black in row) for row in code.get_matrix()]
    return _squares(rows, wanted.size, wanted.size)


def _qr(wanted: QrElement) -> Any:
    qrcode = importlib.import_module("qrcode")
    levels = {"L": qrcode.constants.ERROR_CORRECT_L, "M": qrcode.constants.ERROR_CORRECT_M,
              "Q": qrcode.constants.ERROR_CORRECT_Q, "H": qrcode.constants.ERROR_CORRECT_H}  # fmt: skip
    code = qrcode.QRCode(error_correction=levels[wanted.level], border=QR_QUIET)
    code.add_data(wanted.qr.encode())
    return code


def _squares(rows: list[str], across: int, high: int) -> Bitmap:
    """Rows of 0 and 1 as dots, `across` by `high` for each digit."""
    width = len(rows[0]) * across
    stride = (width + 7) // 8
    lines = [
        int("".join(digit * across for digit in row).ljust(stride * 8, "0"), 2).to_bytes(stride) * high for row in rows
    ]
    return Bitmap(width, len(rows) * high, b"".join(lines))
