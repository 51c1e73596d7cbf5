"""A bitmap as a PNG file. Pure."""

from __future__ import annotations

import struct
import zlib

from devices.contracts import Bitmap

_INVERT = bytes(255 - value for value in range(256))


def png(bitmap: Bitmap) -> bytes:
    """The bitmap as a PNG of one bit a dot (PNG third edition, gray: 0 is black, so every dot is turned round)."""
    stride = bitmap.stride
    rows = bitmap.rows.translate(_INVERT)
    lines = b"".join([b"\0" + rows[i : i + stride] for i in range(0, len(rows), stride)])  # 0: the row is unfiltered
    header = struct.pack(">IIBBBBB", bitmap.width, bitmap.height, 1, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join([_chunk(name, data) for name, data in chunks])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
