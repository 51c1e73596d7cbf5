"""What PNG and JPEG files say about themselves before a pixel is decoded: size, resolution, whether all is there."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_SCREEN_DPI = (72, 96)  # what drawing programs write when nobody thought of paper
_SANE_DPI = range(72, 1201)
_SAME_DPI = 0.02  # 203 is really 203.2 and 300 is 304.8: an image that close to the printer is not resampled


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """From an image's own header. width, height: pixels. dpi: 0 when it says nothing. whole: its end is there."""

    width: int
    height: int
    dpi: float
    whole: bool

    def dots_per_pixel(self, printer_dpi: int) -> float:
        """1, unless the image carries a resolution that was meant for paper and is not the printer's own."""
        if round(self.dpi) not in _SANE_DPI or round(self.dpi) in _SCREEN_DPI:
            return 1.0
        ratio = printer_dpi / self.dpi
        return 1.0 if abs(ratio - 1) <= _SAME_DPI else ratio


def read_png(data: bytes) -> ImageFacts | None:
    """PNG (third edition): IHDR is the first chunk, pHYs comes before the picture, IEND ends it. None: not a PNG."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height = struct.unpack(">II", data[16:24])
    at, dpi, whole = 8, 0.0, False
    while at + 12 <= len(data) and not whole:
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if name == b"pHYs" and data[at + 16 : at + 17] == b"\x01":  # unit 1: pixels per meter
            dpi = int.from_bytes(data[at + 8 : at + 12]) * 0.0254
        whole = name == b"IEND"
        at += 12 + length
    return ImageFacts(width, height, dpi, whole)


def read_jpeg(data: bytes) -> ImageFacts | None:
    """JPEG (T.81, annex B): segments up to the start of scan; the density is in JFIF's APP0. None: not a JPEG."""
    if data[:2] != b"\xff\xd8":
        return None
    at, dpi, width, height = 2, 0.0, 0, 0
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = struct.unpack(">xBH", data[at : at + 4])
        body = data[at + 4 : at + 2 + length]
        if marker == 0xE0 and body[:5] == b"JFIF\0":
            per_inch = {1: 1.0, 2: 2.54}.get(body[7], 0.0)  # units inch and centimeter; 0 is only an aspect ratio
            dpi = int.from_bytes(body[8:10]) * per_inch
        elif marker in _START_OF_FRAME:
            height, width = int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
        elif marker == 0xDA:  # what follows is the picture; its end marker cannot occur inside it
            return ImageFacts(width, height, dpi, whole=data.rfind(b"\xff\xd9") > at)
        at += 2 + length
    return ImageFacts(width, height, dpi, whole=False)


_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # DHT, JPG and DAC share the range
