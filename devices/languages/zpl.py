"""ZPL II, the language of Zebra label printers and of everybody who imitates them.

Facts are from the ZPL II Programming Guide (Zebra P1099958), named by command; the compressed data forms are in its
chapter "Alternative Data Compression Scheme for ~DG and ~DB" and its appendix "ZB64 Encoding and Compression".
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from binascii import crc_hqx
from collections.abc import Iterator
from typing import Literal

from devices.contracts import PLAIN, Bitmap, Language, Media, Tuning

try:
    from deflate import zlib_compress
except ImportError:

    def _zlib(raw: bytes) -> bytes:
        """A zlib stream. The same label as from libdeflate, in about as many bytes and twice the time."""
        return zlib.compress(raw, 6)
else:

    def _zlib(raw: bytes) -> bytes:
        """A zlib stream. libdeflate at levels 7 and 8 is both faster and smaller than zlib at 6 (tests/bench).

        8 takes half as long again as 7 for up to a tenth fewer bytes: little time on a page at 203 dpi, more above.
        """
        return bytes(zlib_compress(raw, 8 if len(raw) <= _SMALL else 7))


MAX_COPIES = 99_999_999  # ^PQ, parameter q
MAX_SIDE = 32_000  # dots; ^LL, ^FO
DARKNESS = (0, 30)  # ~SD
SPEED = (1, 14)  # inches per second; ^PR
TEAR_OFF = (-120, 120)  # dots; ~TA

_UPRIGHT = b"^MUD^JMA^LH0,0^PON^PMN^LRN"
"""Takes back what an earlier format may have left behind, each until it is taken back (so the guide): other units, half
the resolution, a moved home, upside down, mirrored, white on black. Carriers' labels leave ^POI and ^LH10,12, say."""

_TRACKING = {"gap": b"^MNY", "mark": b"^MNM", "continuous": b"^MNN"}
_MODES = {"tear-off": b"^MMT", "peel-off": b"^MMP", "rewind": b"^MMR", "cutter": b"^MMC", "applicator": b"^MMA"}
_SMALL = 160_000  # bytes; a 4 x 6 inch page has 124,236 at 203 dpi and 273,600 at 300
_BLOCK = 4096  # bytes of picture looked at between two "is it too long already?"


class Zpl:
    """One ^XA...^XZ format for each page, holding one ^GFA picture and nothing that outlives the job."""

    name = "zpl"
    copies_in_language = True

    def encode(self, page: Bitmap, *, copies: int = 1, media: Media | None = None, tuning: Tuning = PLAIN) -> bytes:
        """One ^XA...^XZ format. copies: labels, 1 to 99,999,999 (^PQ).

        ^PW and ^LL, in dots, come from `media` where it is known. They and what `tuning` asks for (~SD, ~TA, ^PR, ^MN,
        ^MM) hold until a job says otherwise or the printer is turned off; nothing is written to its memory (no ^JUS).
        gap_mm is not said: the printer measures the gap. Where the picture lies is said in full, whatever other
        programs' labels left behind. Raises ValueError for what ZPL cannot say.
        """
        if not 1 <= copies <= MAX_COPIES:
            raise ValueError(f"ZPL prints 1 to {MAX_COPIES:,} copies (^PQ), not {copies:,}")
        width = media.width if media else page.width
        length = (media.height if media else None) or page.height
        _check_sides(max(width, page.width), max(length, page.height))
        quantity = b"^PQ%d" % copies if copies > 1 else b""
        return b"%s^XA%s%s^PW%d^LL%d%s%s^XZ\n" % (
            _before(tuning), _UPRIGHT, _within(tuning), width, length, _field(page), quantity
        )  # fmt: skip

    def end_of(self, what: Literal["page", "copy", "job"], tuning: Tuning = PLAIN, media: Media | None = None) -> bytes:
        """Nothing: a cutter is told by ^MM."""
        return b""

    def sniff(self, data: bytes) -> bool:
        """True for a ^XA format, a ~ command, or what drivers and scripts put before the first ^XA."""
        return _BEGINNING.match(data[:1024]) is not None


def field(text: str, code_page: str = "utf-8") -> bytes:
    """`text` as the data of a field, ^FH_^FD...^FS, that cannot end before its end nor begin a command.

    All but ASCII letters, digits and blanks are said as _XX (^FH), so that it holds with other prefixes as well.
    Control characters, and what the code page (a name Python knows, the one ^CI has chosen: 28 for UTF-8) does not
    have, become `?`. Raises ValueError for an unknown code page.
    """
    try:
        raw = "".join([each if each.isprintable() else "?" for each in text]).encode(code_page, "replace")
    except LookupError:
        raise ValueError(f"{code_page!r} is no code page that is known here") from None
    return b"^FH_^FD" + _UNSAFE.sub(lambda found: b"_%02X" % found[0][0], raw) + b"^FS"


_UNSAFE = re.compile(rb"[^A-Za-z0-9 ]")


def _check_sides(width: int, length: int) -> None:
    if width > MAX_SIDE:
        raise ValueError(f"a ZPL label is at most {MAX_SIDE:,} dots wide (^PW), not {width:,}")
    if length > MAX_SIDE:
        raise ValueError(f"a ZPL label is at most {MAX_SIDE:,} dots long (^LL), not {length:,}")


def _before(tuning: Tuning) -> bytes:
    """Between formats: darkness (~SD, two digits) and tear-off position (~TA, three characters at least)."""
    darkness, tear_off = tuning.darkness, tuning.tear_off
    if darkness is not None and not DARKNESS[0] <= darkness <= DARKNESS[1]:
        raise ValueError(f"the darkness of a ZPL printer is {DARKNESS[0]} to {DARKNESS[1]} (~SD), not {darkness}")
    if tear_off is not None and not TEAR_OFF[0] <= tear_off <= TEAR_OFF[1]:
        raise ValueError(f"ZPL moves the tear-off edge by {TEAR_OFF[0]} to {TEAR_OFF[1]} dots (~TA), not {tear_off}")
    return (b"" if darkness is None else b"~SD%02d" % darkness) + (b"" if tear_off is None else b"~TA%03d" % tear_off)


def _within(tuning: Tuning) -> bytes:
    """What happens after a label (^MM), how the next is found (^MN), and the speed (^PR): a whole number of inches."""
    speed = tuning.speed
    if speed is not None and not (SPEED[0] <= speed <= SPEED[1] and speed == int(speed)):
        raise ValueError(f"the speed of a ZPL printer is {SPEED[0]} to {SPEED[1]} whole inches/s (^PR), not {speed:g}")
    return (
        (_MODES[tuning.mode] if tuning.mode else b"")
        + (_TRACKING[tuning.tracking] if tuning.tracking else b"")
        + (b"" if speed is None else b"^PR%d" % speed)
    )


def _field(page: Bitmap) -> bytes:
    """The page as one ^FO ^GFA ^FS field, without the blank rows at its top and bottom.

    A format without a field feeds no label, so a blank page gets one white byte.

    ^GF: b is the bytes that follow, c the bytes of picture, d the bytes of a row. b equals c for hexadecimal ("for
    ASCII download, the parameter should match parameter c"), and for :Z64: too: the appendix asks for the size "of the
    un-enclosed and uncompressed object", and Zebra's own driver fills it in that way.
    """
    stride = page.stride
    top = (len(page.rows) - len(page.rows.lstrip(b"\0"))) // stride
    bottom = -(-len(page.rows.rstrip(b"\0")) // stride)
    if not bottom:
        return b"^FO0,0^GFA,1,1,1,00^FS"
    rows = page.rows[top * stride : bottom * stride]
    return b"^FO0,%d^GFA,%d,%d,%d,%s^FS" % (top, len(rows), len(rows), stride, graphic_data(rows, stride))


def graphic_data(rows: bytes, stride: int) -> bytes:
    """^GFA data for `rows`, `stride` bytes each: the shorter of hexadecimal with repeat counts and :Z64:.

    At equal length hexadecimal wins, as the printer has less work with it.
    """
    packed = z64(rows)
    return hexadecimal(rows, stride, at_most=len(packed)) or packed


def z64(rows: bytes) -> bytes:
    """`:Z64:<base64 of zlib>:<CRC>`; the CRC is CRC-16/XMODEM over the base64 text (appendix ZB64)."""
    text = b64encode(_zlib(rows))
    return b":Z64:%s:%04X" % (text, crc_hqx(text, 0))


def hexadecimal(rows: bytes, stride: int, *, at_most: int) -> bytes | None:
    """Hexadecimal with repeat counts, or None when that takes more than `at_most` bytes.

    The guide's scheme: G-Y repeat the next digit 1 to 19 times, g-z 20 to 400 times in twenties, and both add up;
    `,` fills the rest of the row with 0 and `!` with F; `:` repeats the row above.

    Most pages are far past the limit, so a bound that takes a tenth of the time is asked first.
    """
    blocks, least = [], 0
    for block in _blocks(rows, stride):
        least += _least(block)
        if least > at_most:
            return None
        blocks.append(block)
    text = ""
    for block in blocks:
        text += _shortened(block)
        if len(text) > at_most:
            return None
    return text.encode()


Block = list[bytes | None]
"""Consecutive rows; None stands for a row equal to the one above it."""


def _blocks(rows: bytes, stride: int) -> Iterator[Block]:
    """The rows in blocks of a few kilobytes."""
    step = max(1, _BLOCK // stride) * stride
    last = b""
    for start in range(0, len(rows), step):
        lines = [rows[i : i + stride] for i in range(start, min(start + step, len(rows)), stride)]
        yield [None if line == above else line for above, line in zip([last, *lines], lines, strict=False)]
        last = lines[-1]


def _least(block: Block) -> int:
    """A number of digits that `_shortened(block)` cannot be below, counted on the rows as one long integer.

    A run of equal digits costs at least 1, and at least 2 when it is longer than 1, save one at the end of a row,
    which `,` or `!` may finish for 1. Taking the rows as one string can only join runs, never add one; so with
    `changes` digits that differ from the digit before them (the first from 0) and `ends` of those after a run longer
    than 1, there are at least `changes` runs, and `ends` - 1 - rows of them are long and not at the end of a row.
    """
    lines = [line for line in block if line is not None]
    digits = int.from_bytes(b"".join(lines), "big")
    differs = digits ^ (digits >> 4)
    differs |= differs >> 1
    differs |= differs >> 2
    differs &= int.from_bytes(b"\x11" * (digits.bit_length() // 8 + 1), "big")
    changes = differs.bit_count()
    ends = changes - (differs & (differs >> 4)).bit_count()
    return changes + max(0, ends - 1 - len(lines)) + len(block) - len(lines)


_RUN = re.compile(r"0++\n|F++\n|([0-9A-F])\1{2,418}+")  # the "\n" that closes each row is ours
_TWENTIES = ("", *"ghijklmnopqrstuvwxyz")
_ONES = ("", *"GHIJKLMNOPQRSTUVWXY")
_COUNTS = tuple(_TWENTIES[n // 20] + _ONES[n % 20] for n in range(420))  # zY, 419, is the most one count can say


def _shortened(block: Block) -> str:
    """The rows in hexadecimal with repeat counts."""
    digits = "".join([":" if line is None else line.hex() + "\n" for line in block])
    return _RUN.sub(_short_run, digits.upper()).replace("\n", "")


def _short_run(run: re.Match[str]) -> str:
    """A run of three or more equal digits, or one of 0 or F that goes to the end of its row, in its shortest form."""
    digits: str = run[0]
    if digits[-1] == "\n":
        return "," if digits[0] == "0" else "!"
    return f"{_COUNTS[len(digits)]}{digits[0]}"


_BEGINNING = re.compile(
    rb"""
    (?: [\s\0] | \xEF\xBB\xBF | \$\{ | !\ U1\ [^\r\n]*\r?\n )*+     # blank, BOM, passthrough ${, SGD lines
    (?: CT~~CD,~CC\^~CT~                                            # how Zebra's drivers begin
      | \^[Xx][Aa](?![A-Za-z])
      | \^[A-Z][A-Z0-9@][^\0]*?\^XA(?![A-Za-z])                     # a ^FX comment, say, and then a format
      | ~C[CDT][^\w\s]
      | ~D[BEGSTUY](?:[A-Z]:)?[^,\s~^]{1,16},                       # downloads: ~DGR:LOGO.GRF,
      | ~(?:EG|H[BDIMSU]|J[A-X]|KB|NC|NR|P[HLPRS]|SD|TA|WC|JS[ABDNO]|(?:HQ|WQ)[A-Z]{2})(?=[\^~,\d\r\n\0]|\s*\Z)
    )
    """,
    re.VERBOSE,
)

LANGUAGE: Language = Zpl()
