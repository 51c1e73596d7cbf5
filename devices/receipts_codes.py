"""Barcodes and QR codes for printers that cannot draw them, and how much room they take. Pure.

The bars come from python-barcode and the squares from qrcode, which come with python-escpos; both only compute. Their
dots are drawn here: a module is always a whole number of dots.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from devices.contracts import Bitmap
from devices.receipts_elements import BarcodeElement, QrElement

_QUIET = 10  # modules of white on either side of a barcode
_QR_QUIET = 4  # modules around a QR code (ISO/IEC 18004, 9.1)


def barcode_modules(wanted: BarcodeElement) -> int:
    """The width of a barcode in modules, with its quiet zones."""
    return len(_bars(wanted.type, wanted.barcode)) + 2 * _QUIET


def drawn_barcode(wanted: BarcodeElement, module: int) -> Bitmap:
    """The bars, `module` dots for each, without the text below them."""
    modules = "0" * _QUIET + _bars(wanted.type, wanted.barcode) + "0" * _QUIET
    return _squares([modules], module, wanted.height)


@lru_cache(maxsize=64)
def _bars(kind: str, text: str) -> str:
    """One digit a module, 1 is black."""
    barcode = importlib.import_module("barcode")
    extra: dict[str, Any] = {"add_checksum": False} if kind == "code39" else {}
    return str(barcode.get_barcode_class(kind)(text, **extra).build()[0])


def qr_dots(wanted: QrElement) -> int:
    """The width of a QR code with its quiet zone, in dots."""
    modules = 17 + 4 * int(_qr(wanted).best_fit())
    return (modules + 2 * _QR_QUIET) * wanted.size


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
    code = qrcode.QRCode(error_correction=levels[wanted.level], border=_QR_QUIET)
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
