"""ZPL read back into pictures: what `devices.languages.zpl` writes, and the graphics other programs send.

Drawn: ^GF (hexadecimal with repeat counts, :B64:, :Z64:, binary), ~DG with ^XG and ^IM, ^GB. Text and barcodes need the
printer's own fonts, so they are named in `Label.undrawn` instead. Facts are from the ZPL II Programming Guide.

The bytes may be hostile: work and memory grow with the length of the data and with `limit`, never faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from devices.contracts import Bitmap
from devices.errors import BadPrinterData
from devices.readers._label import LIMIT, MAX_DOTS, MAX_LABELS, MAX_SIDE, ROW, Label, number
from devices.readers._marks import Mark, Picture, drawn, frame, magnified
from devices.readers._zpl_data import unpacked
from devices.readers._zpl_stream import Command, Scanner

__all__ = ["LIMIT", "MAX_DOTS", "MAX_LABELS", "MAX_SIDE", "Label", "read"]

MAX_COORDINATE = 32_000  # dots; ^FO, ^FT, ^LH, ^GB


def read(data: bytes, *, limit: int = LIMIT) -> list[Label]:
    """The labels in `data`, one for each ^XA...^XZ format. One without its ^XZ, or with ~JX before, prints nothing.

    limit: bytes of pictures to unpack over all labels. Raises BadPrinterData, and nothing else, for data that cannot
    be read or that would unpack to more.
    """
    printer = _Printer(limit)
    for command in Scanner(data):
        printer.obey(command)
    return printer.labels


@dataclass(slots=True)
class _Format:
    """What has been said since ^XA; x, y, from_below, reverse since ^FS."""

    marks: list[Mark] = field(default_factory=list)
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
_NO_CHANGE = {  # silent only with this parameter
    "^JM": b"A", "^LS": b"0", "^LT": b"0", "^MU": b"D", "^PM": b"N", "^PO": b"N",
}  # fmt: skip


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
        self.stored: dict[bytes, Picture] = {}
        self.format: _Format | None = None

    def obey(self, command: Command) -> None:
        """Carry out one command. Between formats only ^XA and the ~ commands count."""
        if command.name == "^XA":
            self.format = _Format(x=self.home[0], y=self.home[1])
        elif command.name == "~JX":
            self.format = None
        elif command.name == "~DG":
            self._download(command)
        elif self.format is not None and command.name[0] == "^":
            self._obey_in(self.format, command)

    def _obey_in(self, form: _Format, command: Command) -> None:
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
    def _changes_nothing(command: Command) -> bool:
        """True when leaving the command out leaves the label as it is. ^FD^FS, an empty text, is such a case."""
        if command.name in ("^FD", "^FV"):
            return not command.text.strip()
        usual = _NO_CHANGE.get(command.name)
        return command.name in _SILENT or (usual is not None and command.text.strip().upper() in (b"", usual))

    def spend(self, command: Command, rows: int, stride: int) -> None:
        """Account for a picture about to be unpacked or drawn."""
        self.left -= rows * (stride + ROW)
        if self.left < 0:
            raise command.bad(f"more than {self.limit:,} bytes of pictures to unpack; split the job")

    # Settings

    def _width(self, form: _Format, command: Command) -> None:
        """^PWa: print width, dots."""
        self.width = command.numbers(1)[0] or self.width

    def _length(self, form: _Format, command: Command) -> None:
        """^LLy: label length, dots."""
        self.length = command.numbers(1)[0] or self.length

    def _quantity(self, form: _Format, command: Command) -> None:
        """^PQq: labels; out of range is set to the nearest limit."""
        form.copies = min(command.numbers(1)[0] or 1, 99_999_999)

    def _home(self, form: _Format, command: Command) -> None:
        """^LHx,y: what ^FO and ^FT are measured from."""
        self.home = _place(command)
        form.x, form.y = self.home

    def _origin(self, form: _Format, command: Command) -> None:
        """^FOx,y: the field's top left corner. ^FTx,y: its bottom left one."""
        x, y = _place(command)
        form.x, form.y = self.home[0] + x, self.home[1] + y
        form.from_below = command.name == "^FT"

    def _field_reverse(self, form: _Format, command: Command) -> None:
        """^FR: this field turns black into white where it meets it."""
        form.reverse = True

    def _label_reverse(self, form: _Format, command: Command) -> None:
        """^LRY, ^LRN: ^FR for every field from here on."""
        self.reverse = command.text.strip().upper() == b"Y"

    def _separator(self, form: _Format, command: Command) -> None:
        """^FS: the field is over."""
        form.x, form.y = self.home
        form.from_below = form.reverse = False

    # Pictures

    def _graphic_field(self, command: Command) -> tuple[Picture, str] | None:
        """^GFa,b,c,d,data: c bytes of picture in rows of d. Compressed binary (C) is Zebra's secret: not drawn."""
        kind, _, count, stride, data = command.arguments(5)
        total, across = number(count), number(stride)
        if not total or not across:
            return None  # "command is ignored if a value is not specified"
        match kind.strip().upper():
            case b"A" | b"":
                return self._unpack(command, data, total, across), "black"
            case b"B":
                return self._rows(command, data, total, across), "black"
        return None

    def _download(self, command: Command) -> None:
        """~DGd:o.x,t,w,data: keep t bytes of picture in rows of w under a name, for ^XG and ^IM."""
        name, total, stride, data = command.arguments(4)
        size, across = number(total), number(stride)
        if size and across:
            self.stored[_object_name(name)] = self._unpack(command, data, size, across)

    def _unpack(self, command: Command, data: bytes, total: int, stride: int) -> Picture:
        """Hexadecimal, :B64: or :Z64: data as a picture; white where ~DN breaks it off beyond reading."""
        self._check(command, total, stride)
        try:
            raw = unpacked(command, data.translate(None, b" \t\r\n"), total, stride)
        except BadPrinterData:
            if not command.aborted:
                raise
            raw = b""
        return self._rows(command, raw, total, stride)

    def _rows(self, command: Command, raw: bytes, total: int, stride: int) -> Picture:
        """Packed bytes as a picture of `total` bytes; what is missing is white, what is too much is left out."""
        self._check(command, total, stride)
        height = -(-total // stride)
        self.spend(command, height, stride)
        raw = raw[:total].ljust(height * stride, b"\0")
        return Picture(stride * 8, [int.from_bytes(raw[i : i + stride], "big") for i in range(0, len(raw), stride)])

    @staticmethod
    def _check(command: Command, total: int, stride: int) -> None:
        """Refuse a declared size that no label has, before anything is unpacked."""
        height = -(-total // stride)
        if height * stride * 8 > MAX_DOTS or max(height, stride * 8) > MAX_SIDE:
            raise command.bad(f"a picture of {stride * 8:,} x {height:,} dots is larger than any label")

    def _recall(self, command: Command) -> tuple[Picture, str] | None:
        """^XGd:o.x,mx,my: a stored picture, magnified 1 to 10 times each way. ^IMd:o.x: the same as it is."""
        name, *factors = command.arguments(4)[:3]
        picture = self._find(name)
        if picture is None:
            return None
        across, down = (min(max(number(text) or 1, 1), 10) for text in factors) if command.name == "^XG" else (1, 1)
        self.spend(command, len(picture.rows) * down, picture.width * across // 8)
        return magnified(picture, across, down), "black"

    def _find(self, name: bytes) -> Picture | None:
        """The stored picture of that name; without a drive, R:, E:, B: and A: are searched in that order."""
        name = _object_name(name, drive=b"")
        drives = (b"",) if b":" in name else (b"R:", b"E:", b"B:", b"A:")
        return next((self.stored[drive + name] for drive in drives if drive + name in self.stored), None)

    def _box(self, command: Command) -> tuple[Picture, str] | None:
        """^GBw,h,t,c,r: w and h are at least t, the line's thickness; c is B or W. Rounded corners are not drawn."""
        width, height, thick = (min(n or 0, MAX_COORDINATE) for n in command.numbers(3))
        ink, rounding = (text.strip().upper() for text in command.arguments(6)[3:5])
        if number(rounding):
            return None
        thick = max(thick, 1)
        width, height = max(width, thick), max(height, thick)
        self.spend(command, height, width // 8)
        return frame(width, height, thick), "white" if ink == b"W" else "black"

    def _put(self, form: _Format, picture: Picture, ink: str) -> None:
        """The picture at the place the field has come to."""
        y = form.y - len(picture.rows) if form.from_below else form.y
        form.marks.append(Mark(form.x, y, picture, "reverse" if form.reverse or self.reverse else ink))

    def _print(self, form: _Format, command: Command) -> None:
        """^XZ: the label is complete."""
        if len(self.labels) == MAX_LABELS:
            raise command.bad(f"more than {MAX_LABELS:,} labels; split the job")
        bitmap = self._draw(form.marks, command) if form.marks else None
        self.labels.append(Label(bitmap, form.copies, tuple(form.undrawn)))
        self.format = None

    def _draw(self, marks: list[Mark], command: Command) -> Bitmap:
        """^PW x ^LL where stated, else as far as the marks go."""
        width = self.width or max(mark.x + mark.picture.width for mark in marks)
        height = self.length or max(1, *(mark.y + len(mark.picture.rows) for mark in marks))
        if width * height > MAX_DOTS or max(width, height) > MAX_SIDE:
            raise command.bad(f"a label of {width:,} x {height:,} dots (^PW, ^LL or the drawing) is too large to read")
        return drawn(marks, width, height, lambda rows, stride: self.spend(command, rows, stride))


_SETTINGS: dict[str, Callable[[_Printer, _Format, Command], None]] = {
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
_DRAWING: dict[str, Callable[[_Printer, Command], tuple[Picture, str] | None]] = {
    "^GF": _Printer._graphic_field,
    "^XG": _Printer._recall,
    "^IM": _Printer._recall,
    "^GB": _Printer._box,
}


def _place(command: Command) -> tuple[int, int]:
    """x and y, 0 where missing, no more than the guide allows."""
    x, y = (min(n or 0, MAX_COORDINATE) for n in command.numbers(2))
    return x, y


def _object_name(text: bytes, drive: bytes = b"R:") -> bytes:
    """`d:o.x` in full: the drive is R: and the extension .GRF when left out."""
    name = text.strip().upper()
    name = name if b"." in name else name + b".GRF"
    return name if b":" in name else drive + name
