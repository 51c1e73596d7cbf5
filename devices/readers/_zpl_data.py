"""The data of ^GFA and ~DG unpacked: hexadecimal with repeat counts, :B64: and :Z64:."""

from __future__ import annotations

import binascii
import re
import zlib

from devices.readers._zpl_stream import Command

_ENCODED = re.compile(rb":([BZ])64:([A-Za-z0-9+/=]*):([0-9A-Fa-f]{4})")
_REPEATS = {**{ord("F") + n: n for n in range(1, 20)}, **{ord("f") + n: 20 * n for n in range(1, 21)}}
_RUNS = re.compile(rb"[0-9A-Fa-f]+|[G-Yg-z]++[0-9A-Fa-f]?|,|!|:+")
_ALPHABET = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5A)) + bytes(range(0x61, 0x7B)) + b",!:"


def unpacked(command: Command, data: bytes, total: int, stride: int) -> bytes:
    """Data without its line breaks, as at most `total` bytes of picture. A leading colon means :B64: or :Z64:."""
    if data.startswith(b":"):
        return _from_base64(command, data, total)
    return _from_hexadecimal(command, data, total, stride)


def _from_base64(command: Command, data: bytes, total: int) -> bytes:
    """:B64: (base64) and :Z64: (zlib, then base64), each with a CRC-16/XMODEM over the base64 text."""
    found = _ENCODED.match(data)
    if not found:
        raise command.bad("its data is neither :B64:...:crc nor :Z64:...:crc")
    if binascii.crc_hqx(found[2], 0) != int(found[3], 16):
        raise command.bad(f"the CRC of its data is {binascii.crc_hqx(found[2], 0):04X}, not {found[3].decode()}")
    try:
        raw = binascii.a2b_base64(found[2])
        return zlib.decompressobj().decompress(raw, total) if found[1] == b"Z" else raw
    except (binascii.Error, zlib.error) as error:
        raise command.bad(f"its data does not unpack: {error}") from error


def _from_hexadecimal(command: Command, data: bytes, total: int, stride: int) -> bytes:
    """Hexadecimal with repeat counts G-Y (1 to 19) and g-z (20 to 400), `,` and `!` (fill the row), `:` (repeat it)."""
    if strange := data.translate(None, _ALPHABET):
        raise command.bad(f"{strange[:1]!r} is not a hexadecimal digit nor a repeat count")
    row, end = stride * 2, total * 2
    digits = bytearray()
    for run in _RUNS.finditer(data):
        digits += _run(command, run[0], digits, row, end - len(digits))
        if len(digits) >= end:  # "any numbers sent after count is satisfied are ignored"
            break
    if len(digits) % 2:
        digits += b"0"
    return bytes.fromhex(digits[:end].decode())


def _run(command: Command, run: bytes, before: bytearray, row: int, room: int) -> bytes:
    """The digits one run stands for, hardly more than `room`. before: all digits so far; row: digits in a row."""
    if run[0] in b",!":
        return (b"0" if run == b"," else b"F") * min(row - len(before) % row, room)
    if run[0] == 0x3A:
        if not before or len(before) % row:
            raise command.bad("':' repeats the row above, but there is no complete row above it")
        return bytes(before[-row:]) * min(len(run), -(-room // row))
    if run[0] in _REPEATS:
        if run[-1] in _REPEATS:
            raise command.bad(f"the repeat count {run[-1:]!r} has no digit after it")
        return run[-1:] * min(sum(_REPEATS[letter] for letter in run[:-1]), room)
    return run
