"""Barcodes and QR codes as a receipt printer is told of them: settings first, then the data (GS k, GS ( k)."""

from __future__ import annotations

from dataclasses import dataclass

from devices.readers._escpos_barcodes import KINDS, MORE_KINDS, WIDE, bars, qr
from devices.readers._escpos_stream import Token

_WORK = 1 << 20  # bytes of the reader's budget a QR code costs, with 4 kB more for each byte: the largest takes 1 s


@dataclass(slots=True)
class Symbols:
    """What holds until ESC @. module, height: dots. text: 1 above, 2 below, 3 both. square: dots of a QR module."""

    module: int = 3
    height: int = 162
    text: int = 0
    font: str = "A"
    square: int = 3
    level: str = "L"
    data: bytes = b""

    def setting(self, token: Token) -> None:
        """GS w n: dots of a module. GS h n: height. GS H n: where the text goes. GS f n: its font."""
        n = token.number(0, 1)
        match token.name:
            case "GS w":
                self.module = min(max(n, 1), 8)
            case "GS h":
                self.height = max(n, 1)
            case "GS H":
                self.text = n % 48
            case "GS f":
                self.font = "A" if n % 48 == 0 else "B"

    def barcode(self, token: Token) -> tuple[int, int, str] | None:
        """GS k m d... NUL, or GS k m n d...: one row of dots, its width, the text; None for what cannot be drawn."""
        m = token.number(0, 1)
        kind = KINDS.get(m) or MORE_KINDS.get(m)
        data = bytes(token.data[1:]).split(b"\0")[0] if m < 65 else bytes(token.data[2:])
        found = bars(kind, data) if kind else None
        if found is None:
            return None
        row, x = 0, 0
        for place, width in enumerate(found[0]):
            dots = width * self.module if width != WIDE else -(-self.module * 5 // 2)
            row |= 0 if place % 2 else (1 << dots) - 1 << x
            x += dots
        return row, x, found[1]

    def code(self, token: Token) -> bool:
        """GS ( k pL pH cn fn; cn 49: QR, fn 67 module, 69 level, 80 data, 81 print. True when something is to come."""
        fn = token.number(3, 1)
        if token.data[2:3] != b"1":
            self.data = b""
            return fn == 81
        match fn:
            case 67:
                self.square = min(max(token.number(4, 1), 1), 16)
            case 69:
                self.level = "LMQH"[token.number(4, 1) % 4]
            case 80:
                self.data = bytes(token.data[5:])
        return fn == 81

    @property
    def work(self) -> int:
        """Bytes of the reader's budget that squares() costs."""
        return _WORK + len(self.data) * 4096

    def squares(self) -> tuple[int, ...] | None:
        """The QR code, a row a number, a bit a module; None when it cannot be drawn."""
        code = qr(self.data, self.level) if self.data else None
        if code is None:
            return None
        return tuple(sum(1 << x for x, black in enumerate(row) if black) for row in code)
