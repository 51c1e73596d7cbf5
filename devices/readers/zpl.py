"""ZPL read back into pictures: what `devices.languages.zpl` writes, and the graphics other programs send.

Drawn: ^GF (hexadecimal with repeat counts, :B64:, :Z64:, binary), ~DG with ^XG and ^IM, ^GB. Text and barcodes need the
printer's own fonts, so they are named in `Label.undrawn` instead. Facts are from the ZPL II Programming Guide.

The bytes may be hostile: work and memory grow with the length of the data and with `limit`, never faster.
"""

from __future__ import annotations

import binascii
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from devices.contracts import Bitmap
from devices.errors import BadPrinterData

MAX_DOTS = 40_000_000  # of one label: 8 x 12 inches at 600 dpi is 35 million
MAX_SIDE = 65_535  # dots; ^LL ends at 32,000
MAX_LABELS = 10_000
LIMIT = 256 << 20  # bytes of pictures over all labels: about 550 labels of 4 x 6 inches at 203 dpi

_ROW = 64  # bytes that a row costs beside its dots
_MAX_CHANGES = 1_000  # of ^CC, ^CT, ^CD; a stream has a handful
_HEAD = 128  # bytes that hold the parameters before binary data

MAX_COORDINATE = 32_000  # dots; ^FO, ^FT, ^LH, ^GB


@dataclass(frozen=True, slots=True)
class Label:
    """One ^XA...^XZ format.

    bitmap: None when nothing in the format could be drawn. copies: ^PQ. undrawn: the commands that would have put
    something on the label, or changed how it looks, and were left out; in the order of their first use.
    """

    bitmap: Bitmap | None
    copies: int = 1
    undrawn: tuple[str, ...] = ()


def read(data: bytes, *, limit: int = LIMIT) -> list[Label]:
    """The labels in `data`, one for each ^XA...^XZ format. A format without its ^XZ prints nothing, here as there.

    limit: bytes of pictures to unpack over all labels. Raises BadPrinterData, and nothing else, for data that cannot
    be read or that would unpack to more.
    """
    printer = _Printer(limit)
    for command in _Scanner(data):
        printer.obey(command)
    return printer.labels


# --- The stream as commands -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Command:
    """name: "^XA", "~DG" ..., whatever the prefixes are at the moment. at: the byte offset of the prefix."""

    name: str
    text: bytes
    at: int
    delimiter: bytes

    def arguments(self, most: int) -> list[bytes]:
        """Exactly `most` parameters; missing ones are empty, the last holds all that is left."""
        found = self.text.split(self.delimiter, most - 1)
        return found + [b""] * (most - len(found))

    def numbers(self, most: int) -> list[int | None]:
        """The first `most` parameters as numbers, None where there is none."""
        return [_number(text) for text in self.arguments(most + 1)[:most]]

    def bad(self, why: str) -> BadPrinterData:
        """The error to raise, with the place in it."""
        return BadPrinterData(f"{self.name} at byte {self.at:,}: {why}")


def _number(text: bytes) -> int | None:
    """Digits as a number, at most nine of them as no parameter needs more; None for anything else."""
    text = text.strip()
    return min(int(text[:10]), 999_999_999) if text.isdigit() else None


_BINARY = {  # commands that may hold bytes beyond the prefixes' reach: index of the kind, of the count, data after
    "^GF": (0, 1, 4),
    "~DY": (1, 3, 5),
}


class _Scanner:
    """Cuts a stream into commands, minding ^CC, ^CT, ^CD (which change the prefixes) and binary data."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.caret, self.tilde, self.delimiter = b"^", b"~", b","
        self.changes = 0

    def __iter__(self) -> Iterator[_Command]:
        end = 0
        while found := _starts(self.caret, self.tilde).search(self.data, end):
            prefix = "^" if found[1] == self.caret else "~"
            command = _Command(prefix + found[2].decode().upper(), b"", found.start(), self.delimiter)
            end = self._end(command, found.end())
            yield _Command(command.name, self.data[found.end() : end], command.at, self.delimiter)

    def _end(self, command: _Command, start: int) -> int:
        """Where the parameters that begin at `start` end."""
        if command.name[1:] in ("CC", "CT", "CD"):
            self._change(command, self.data[start : start + 1])
            return start + 1
        if (end := self._binary_end(command, start)) is not None:
            return end
        found = _stops(self.caret, self.tilde).search(self.data, start)
        return found.start() if found else len(self.data)

    def _change(self, command: _Command, to: bytes) -> None:
        """^CC caret, ^CT tilde, ^CD delimiter: the next byte, whatever it is, takes that part from now on."""
        which = {"CC": "caret", "CT": "tilde", "CD": "delimiter"}[command.name[1:]]
        if to and to != getattr(self, which):
            self.changes += 1
            if self.changes > _MAX_CHANGES:  # each is a new pattern to search with
                raise command.bad(f"the prefixes change more than {_MAX_CHANGES:,} times")
            setattr(self, which, to)

    def _binary_end(self, command: _Command, start: int) -> int | None:
        """Where binary data ends; None when `command` has none."""
        if command.name not in _BINARY:
            return None
        kind, count, before = _BINARY[command.name]
        head = self.data[start : start + _HEAD].split(self.delimiter, before)
        if len(head) <= before or head[kind].strip().upper() not in (b"B", b"C"):
            return None
        end = start + sum(len(text) + 1 for text in head[:before]) + (_number(head[count]) or 0)
        if end > len(self.data):
            raise command.bad(f"the stream ends {end - len(self.data):,} bytes before its binary data does")
        return end


@lru_cache(maxsize=64)
def _starts(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    """A prefix and the two letters of a command; the second may be a digit or @ (fonts and barcodes)."""
    return re.compile(b"(%s|%s)([A-Za-z][A-Za-z0-9@])" % (re.escape(caret), re.escape(tilde)))


@lru_cache(maxsize=64)
def _stops(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    """Either prefix."""
    return re.compile(b"[%s%s]" % (re.escape(caret), re.escape(tilde)))


# --- The commands as marks on a label -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Picture:
    """Dots as one integer a row, `width` bits each, the leftmost dot highest."""

    width: int
    rows: list[int]


@dataclass(frozen=True, slots=True)
class _Mark:
    """A picture at x, y dots from the top left; ink: "black", "white", or "reverse" (^FR, ^LR)."""

    x: int
    y: int
    picture: _Picture
    ink: str


@dataclass(slots=True)
class _Format:
    """What has been said since ^XA; x, y, from_below, reverse since ^FS."""

    marks: list[_Mark] = field(default_factory=list)
    undrawn: dict[str, None] = field(default_factory=dict)
    copies: int = 1
    x: int = 0
    y: int = 0
    from_below: bool = False
    reverse: bool = False


_SILENT = frozenset(  # set something up, or shape a text or barcode that is named by its own command
    "^BY ^CF ^CI ^CO ^CV ^CW ^FC ^FH ^FW ^FX ^HH ^HV ^HW ^HY ^ID ^EG ^JB ^JJ ^JS ^JT ^JU ^JW ^JZ ^KD ^KL ^KN ^KP ^LF"
    " ^FP ^MA ^MC ^MD ^MF ^ML ^MM ^MN ^MP ^MT ^MW ^NB ^NC ^ND ^NI ^NN ^NP ^NS ^NT ^NW ^PF ^PA ^PH ^PN ^PP ^PR ^RO ^SE"
    " ^SC ^SI ^SL ^SO ^SP ^SQ ^SR ^SS ^ST ^SX ^SZ ^TO ^WD ^XB ^XS ^ZZ ^CC ^CD ^CT ^FB".split()
)
_NO_CHANGE = {"^PO": b"N", "^PM": b"N", "^JM": b"A", "^LS": b"0", "^LT": b"0"}  # silent only with this parameter


class _Printer:
    """Obeys commands. What outlives a format (^PW, ^LL, ^LH, ^LR, the stored graphics) is kept here."""

    def __init__(self, limit: int) -> None:
        self.labels: list[Label] = []
        self.limit = limit
        self.left = limit
        self.width: int | None = None
        self.length: int | None = None
        self.home = (0, 0)
        self.reverse = False
        self.stored: dict[bytes, _Picture] = {}
        self.format: _Format | None = None

    def obey(self, command: _Command) -> None:
        """Carry out one command. Between formats only ^XA and the ~ commands count."""
        if command.name == "^XA":
            self.format = _Format(x=self.home[0], y=self.home[1])
        elif command.name == "~DG":
            self._download(command)
        elif self.format is not None and command.name[0] == "^":
            self._obey_in(self.format, command)

    def _obey_in(self, form: _Format, command: _Command) -> None:
        """One ^ command within a format."""
        if command.name == "^XZ":
            self._print(form, command)
        elif act := _SETTINGS.get(command.name):
            act(self, form, command)
        elif draw := _DRAWING.get(command.name):
            if (drawn := draw(self, command)) is None:
                form.undrawn[command.name] = None
            else:
                self._put(form, *drawn)
        elif not self._changes_nothing(command):
            form.undrawn[command.name] = None

    @staticmethod
    def _changes_nothing(command: _Command) -> bool:
        """True when leaving the command out leaves the label as it is. ^FD^FS, an empty text, is such a case."""
        if command.name in ("^FD", "^FV"):
            return not command.text.strip()
        usual = _NO_CHANGE.get(command.name)
        return command.name in _SILENT or (usual is not None and command.text.strip().upper() in (b"", usual))

    def spend(self, command: _Command, rows: int, stride: int) -> None:
        """Account for a picture about to be unpacked or drawn."""
        self.left -= rows * (stride + _ROW)
        if self.left < 0:
            raise command.bad(f"more than {self.limit:,} bytes of pictures to unpack; split the job")

    # Settings

    def _width(self, form: _Format, command: _Command) -> None:
        """^PWa: print width, dots."""
        self.width = command.numbers(1)[0] or self.width

    def _length(self, form: _Format, command: _Command) -> None:
        """^LLy: label length, dots."""
        self.length = command.numbers(1)[0] or self.length

    def _quantity(self, form: _Format, command: _Command) -> None:
        """^PQq: labels; out of range is set to the nearest limit."""
        form.copies = min(command.numbers(1)[0] or 1, 99_999_999)

    def _home(self, form: _Format, command: _Command) -> None:
        """^LHx,y: what ^FO and ^FT are measured from."""
        self.home = _place(command)
        form.x, form.y = self.home

    def _origin(self, form: _Format, command: _Command) -> None:
        """^FOx,y: the field's top left corner. ^FTx,y: its bottom left one."""
        x, y = _place(command)
        form.x, form.y = self.home[0] + x, self.home[1] + y
        form.from_below = command.name == "^FT"

    def _field_reverse(self, form: _Format, command: _Command) -> None:
        """^FR: this field turns black into white where it meets it."""
        form.reverse = True

    def _label_reverse(self, form: _Format, command: _Command) -> None:
        """^LRY, ^LRN: ^FR for every field from here on."""
        self.reverse = command.text.strip().upper() == b"Y"

    def _separator(self, form: _Format, command: _Command) -> None:
        """^FS: the field is over."""
        form.x, form.y = self.home
        form.from_below = form.reverse = False

    # Pictures

    def _graphic_field(self, command: _Command) -> tuple[_Picture, str] | None:
        """^GFa,b,c,d,data: c bytes of picture in rows of d. Compressed binary (C) is Zebra's secret: not drawn."""
        kind, _, count, stride, data = command.arguments(5)
        total, across = _number(count), _number(stride)
        if not total or not across:
            return None  # "command is ignored if a value is not specified"
        match kind.strip().upper():
            case b"A" | b"":
                return self._unpack(command, data, total, across), "black"
            case b"B":
                return self._rows(command, data, total, across), "black"
        return None

    def _download(self, command: _Command) -> None:
        """~DGd:o.x,t,w,data: keep t bytes of picture in rows of w under a name, for ^XG and ^IM."""
        name, total, stride, data = command.arguments(4)
        size, across = _number(total), _number(stride)
        if size and across:
            self.stored[_object_name(name)] = self._unpack(command, data, size, across)

    def _unpack(self, command: _Command, data: bytes, total: int, stride: int) -> _Picture:
        """Hexadecimal, :B64: or :Z64: data as a picture."""
        self._check(command, total, stride)
        return self._rows(command, _unpacked(command, data.translate(None, b" \t\r\n"), total, stride), total, stride)

    def _rows(self, command: _Command, raw: bytes, total: int, stride: int) -> _Picture:
        """Packed bytes as a picture of `total` bytes; what is missing is white, what is too much is left out."""
        self._check(command, total, stride)
        height = -(-total // stride)
        self.spend(command, height, stride)
        raw = raw[:total].ljust(height * stride, b"\0")
        return _Picture(stride * 8, [int.from_bytes(raw[i : i + stride], "big") for i in range(0, len(raw), stride)])

    @staticmethod
    def _check(command: _Command, total: int, stride: int) -> None:
        """Refuse a declared size that no label has, before anything is unpacked."""
        height = -(-total // stride)
        if height * stride * 8 > MAX_DOTS or max(height, stride * 8) > MAX_SIDE:
            raise command.bad(f"a picture of {stride * 8:,} x {height:,} dots is larger than any label")

    def _recall(self, command: _Command) -> tuple[_Picture, str] | None:
        """^XGd:o.x,mx,my: a stored picture, magnified 1 to 10 times each way. ^IMd:o.x: the same as it is."""
        name, *factors = command.arguments(4)[:3]
        picture = self._find(name)
        if picture is None:
            return None
        across, down = (min(max(_number(text) or 1, 1), 10) for text in factors) if command.name == "^XG" else (1, 1)
        self.spend(command, len(picture.rows) * down, picture.width * across // 8)
        return _magnified(picture, across, down), "black"

    def _find(self, name: bytes) -> _Picture | None:
        """The stored picture of that name; without a drive, R:, E:, B: and A: are searched in that order."""
        name = _object_name(name, drive=b"")
        drives = (b"",) if b":" in name else (b"R:", b"E:", b"B:", b"A:")
        return next((self.stored[drive + name] for drive in drives if drive + name in self.stored), None)

    def _box(self, command: _Command) -> tuple[_Picture, str] | None:
        """^GBw,h,t,c,r: w and h are at least t, the line's thickness; c is B or W. Rounded corners are not drawn."""
        width, height, thick = (min(n or 0, MAX_COORDINATE) for n in command.numbers(3))
        ink, rounding = (text.strip().upper() for text in command.arguments(6)[3:5])
        if _number(rounding):
            return None
        thick = max(thick, 1)
        width, height = max(width, thick), max(height, thick)
        self.spend(command, height, width // 8)
        return _frame(width, height, thick), "white" if ink == b"W" else "black"

    def _put(self, form: _Format, picture: _Picture, ink: str) -> None:
        """The picture at the place the field has come to."""
        y = form.y - len(picture.rows) if form.from_below else form.y
        form.marks.append(_Mark(form.x, y, picture, "reverse" if form.reverse or self.reverse else ink))

    def _print(self, form: _Format, command: _Command) -> None:
        """^XZ: the label is complete."""
        if len(self.labels) == MAX_LABELS:
            raise command.bad(f"more than {MAX_LABELS:,} labels; split the job")
        bitmap = self._draw(form.marks, command) if form.marks else None
        self.labels.append(Label(bitmap, form.copies, tuple(form.undrawn)))
        self.format = None

    def _draw(self, marks: list[_Mark], command: _Command) -> Bitmap:
        """^PW x ^LL where stated, else as far as the marks go."""
        width = self.width or max(mark.x + mark.picture.width for mark in marks)
        height = self.length or max(1, *(mark.y + len(mark.picture.rows) for mark in marks))
        if width * height > MAX_DOTS or max(width, height) > MAX_SIDE:
            raise command.bad(f"a label of {width:,} x {height:,} dots (^PW, ^LL or the drawing) is too large to read")
        stride = (width + 7) // 8
        self.spend(command, height, stride)
        canvas = [0] * height
        for mark in marks:
            wider = stride - mark.picture.width // 8  # bytes that shifting adds to each row
            self.spend(command, min(height, len(mark.picture.rows)), max(0, wider))
            _paint(canvas, width, mark)
        pad = stride * 8 - width
        return Bitmap(width, height, b"".join([(row << pad).to_bytes(stride, "big") for row in canvas]))


_SETTINGS: dict[str, Callable[[_Printer, _Format, _Command], None]] = {
    "^PW": _Printer._width,
    "^LL": _Printer._length,
    "^PQ": _Printer._quantity,
    "^LH": _Printer._home,
    "^FO": _Printer._origin,
    "^FT": _Printer._origin,
    "^FR": _Printer._field_reverse,
    "^LR": _Printer._label_reverse,
    "^FS": _Printer._separator,
}
_DRAWING: dict[str, Callable[[_Printer, _Command], tuple[_Picture, str] | None]] = {
    "^GF": _Printer._graphic_field,
    "^XG": _Printer._recall,
    "^IM": _Printer._recall,
    "^GB": _Printer._box,
}


def _place(command: _Command) -> tuple[int, int]:
    """x and y, 0 where missing, no more than the guide allows."""
    x, y = (min(n or 0, MAX_COORDINATE) for n in command.numbers(2))
    return x, y


def _object_name(text: bytes, drive: bytes = b"R:") -> bytes:
    """`d:o.x` in full: the drive is R: and the extension .GRF when left out."""
    name = text.strip().upper()
    name = name if b"." in name else name + b".GRF"
    return name if b":" in name else drive + name


def _frame(width: int, height: int, thick: int) -> _Picture:
    """A rectangle drawn with a line `thick` dots wide on its inside; thick is at most width and height."""
    solid = (1 << width) - 1
    hollow = max(width - 2 * thick, 0)
    sides = solid ^ (((1 << hollow) - 1) << thick)
    between = max(height - 2 * thick, 0)
    return _Picture(width, [solid] * thick + [sides] * between + [solid] * (height - thick - between))


def _magnified(picture: _Picture, across: int, down: int) -> _Picture:
    """Each dot `across` wide and `down` high."""
    rows = picture.rows
    if across > 1:
        digits = [f"{row:0{picture.width}b}" for row in rows]
        rows = [int(row.replace("0", "0" * across).replace("1", "1" * across), 2) for row in digits]
    return _Picture(picture.width * across, [row for row in rows for _ in range(down)])


def _paint(canvas: list[int], width: int, mark: _Mark) -> None:
    """Put a mark on the canvas, one integer of `width` bits a row. What lies outside is lost, as on the printer."""
    shift = width - mark.x - mark.picture.width
    first, end = max(mark.y, 0), max(len(canvas), mark.y)
    for y, dots in enumerate(mark.picture.rows[first - mark.y : end - mark.y], first):
        dots = dots << shift if shift >= 0 else dots >> -shift
        if mark.ink == "black":
            canvas[y] |= dots
        elif mark.ink == "white":
            canvas[y] &= ~dots
        else:
            canvas[y] ^= dots


# --- The data of ^GFA and ~DG ---------------------------------------------------------------------------------------

_ENCODED = re.compile(rb":([BZ])64:([A-Za-z0-9+/=]*):([0-9A-Fa-f]{4})")
_REPEATS = {**{ord("F") + n: n for n in range(1, 20)}, **{ord("f") + n: 20 * n for n in range(1, 21)}}
_RUNS = re.compile(rb"[0-9A-Fa-f]+|[G-Yg-z]++[0-9A-Fa-f]?|,|!|:+")
_ALPHABET = bytes(range(0x30, 0x3A)) + bytes(range(0x41, 0x5A)) + bytes(range(0x61, 0x7B)) + b",!:"


def _unpacked(command: _Command, data: bytes, total: int, stride: int) -> bytes:
    """Data without its line breaks, as at most `total` bytes of picture. A leading colon means :B64: or :Z64:."""
    if data.startswith(b":"):
        return _from_base64(command, data, total)
    return _from_hexadecimal(command, data, total, stride)


def _from_base64(command: _Command, data: bytes, total: int) -> bytes:
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


def _from_hexadecimal(command: _Command, data: bytes, total: int, stride: int) -> bytes:
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


def _run(command: _Command, run: bytes, before: bytearray, row: int, room: int) -> bytes:
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
