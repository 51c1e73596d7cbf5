"""CPCL read back into pictures: what `devices.languages.cpcl` writes, and the graphics other programs send.

Drawn: CG and EG, LINE, BOX and INVERSE-LINE. Text and barcodes need the printer's own fonts, stored pictures lie in its
memory, so they are named in `Label.undrawn`; so is what would move or turn the pictures. Facts are from the CPCL
Programming Manual (Zebra).

The bytes may be hostile: work and memory grow with the length of the data and with `limit`, never faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from devices.contracts import Bitmap
from devices.readers._cpcl_stream import Command, Stream
from devices.readers._label import LIMIT, MAX_DATA, MAX_DOTS, MAX_LABELS, MAX_SIDE, ROW, Label
from devices.readers._marks import Mark, Picture, drawn, frame
from devices.readers.epl2 import slanted

__all__ = ["LIMIT", "Label", "read"]

MAX_COPIES = 1_024
_SILENT = frozenset(  # set something up, or shape a text or barcode that is named by its own command
    "FORM PAGE-HEIGHT PH TONE SPEED CONTRAST GAP-SENSE BAR-SENSE SETMAG SETBOLD SETSP SETLP UNDERLINE ENCODING"
    " COUNTRY NOTE BEEP WAIT PACE NO-PACE JOURNAL LT PREFEED POSTFEED REVERSE PRESENT-AT AUTO-PACE ON-FEED"
    " ON-OUT-OF-PAPER IN-DOTS BARCODE-TEXT BT LEFT LABEL".split()
)


def read(data: bytes, *, limit: int = LIMIT) -> list[Label]:
    """The labels in `data`, one for each session that ends in PRINT. Line printing between sessions is not drawn.

    limit: bytes of pictures to unpack over all labels. Raises BadPrinterData, and nothing else, for data that cannot
    be read or that would unpack to more.
    """
    printer = _Printer(limit)
    stream = Stream(keep=True)
    for command in stream.feed(data) + stream.end():
        printer.obey(command)
    return printer.labels


@dataclass(slots=True)
class _Session:
    """What has been said since `! offset dpi dpi height quantity`."""

    offset: int
    height: int
    copies: int
    width: int | None = None
    marks: list[Mark] = field(default_factory=list)
    undrawn: dict[str, None] = field(default_factory=dict)


class _Printer:
    """Obeys commands; nothing outlives a session."""

    def __init__(self, limit: int) -> None:
        self.labels: list[Label] = []
        self.limit = limit
        self.left = limit
        self.session: _Session | None = None

    def obey(self, command: Command) -> None:
        """Carry out one line."""
        if command.name.startswith("!"):
            offset, _, _, height, copies = (n or 0 for n in command.numbers(5))
            begins = command.name == "!" and not any(n is None for n in command.numbers(4))
            self.session = _Session(offset, height, min(max(copies, 1), MAX_COPIES)) if begins else None
        elif self.session is not None and command.name:
            self._obey_in(self.session, command)

    def _obey_in(self, session: _Session, command: Command) -> None:
        if command.name == "PRINT":
            self._print(session, command)
        elif command.name in ("ABORT", "END", "QUIT"):
            self.session = None
        elif command.name in ("PAGE-WIDTH", "PW"):
            session.width = command.numbers(1)[0] or session.width
        elif draw := _DRAWING.get(command.name):
            draw(self, session, command)
        elif command.name not in _SILENT and not command.name.startswith((";", "//")):
            session.undrawn[command.name[:32]] = None

    def spend(self, command: Command, rows: int, stride: int) -> None:
        """Account for a picture about to be unpacked or drawn."""
        self.left -= rows * (stride + ROW)
        if self.left < 0:
            raise command.bad(f"more than {self.limit:,} bytes of pictures to unpack; split the job")

    def _graphic(self, session: _Session, command: Command) -> None:
        """CG, EG bytes rows x y data: 1 is black."""
        stride, rows, x, y = (n or 0 for n in command.numbers(4))
        if stride * rows > MAX_DATA or max(stride * 8, rows) > MAX_SIDE:
            raise command.bad(f"a picture of {stride * 8:,} x {rows:,} dots is larger than any label")
        if command.missing:
            raise command.bad(f"the stream ends {command.missing:,} bytes before its data does")
        self.spend(command, rows, stride)
        raw = command.data
        lines = [int.from_bytes(raw[i : i + stride], "big") for i in range(0, len(raw), stride)] if stride else []
        self._put(session, x, y, Picture(stride * 8, lines), "black")

    def _line(self, session: _Session, command: Command) -> None:
        """LINE x0 y0 x1 y1 thickness; INVERSE-LINE turns black into white where it lies."""
        x0, y0, x1, y1, thick = (min(n or 0, MAX_SIDE) for n in command.numbers(5))
        thick = max(thick, 1)
        flat = y0 == y1
        across, down = abs(x1 - x0), abs(y1 - y0)
        ink = "reverse" if command.name.startswith("I") else "black"
        if flat or x0 == x1:
            width, height = (max(across, 1), thick) if flat else (thick, max(down, 1))
            rows = [(1 << width) - 1] * height
        else:
            width = across + thick
            self.spend(command, down + thick, width // 8)
            spans = slanted(across, down, thick, rising=(x1 - x0) * (y1 - y0) < 0)
            rows = [((1 << (end - begin)) - 1) << (width - end) for begin, end in spans]
        self.spend(command, len(rows), width // 8)
        self._put(session, min(x0, x1), min(y0, y1), Picture(width, rows), ink)

    def _box(self, session: _Session, command: Command) -> None:
        """BOX x0 y0 x1 y1 thickness: from the top left to the bottom right corner."""
        x0, y0, x1, y1, thick = (min(n or 0, MAX_SIDE) for n in command.numbers(5))
        (left, right), (top, bottom) = sorted((x0, x1)), sorted((y0, y1))
        thick = max(thick, 1)
        width, height = max(right - left, thick), max(bottom - top, thick)
        self.spend(command, height, width // 8)
        self._put(session, left, top, frame(width, height, thick), "black")

    def _put(self, session: _Session, x: int, y: int, picture: Picture, ink: str) -> None:
        if picture.rows and picture.width:
            session.marks.append(Mark(session.offset + x, y, picture, ink))

    def _print(self, session: _Session, command: Command) -> None:
        """PRINT: the label is complete."""
        if len(self.labels) == MAX_LABELS:
            raise command.bad(f"more than {MAX_LABELS:,} labels; split the job")
        bitmap = self._draw(session, command) if session.marks else None
        self.labels.append(Label(bitmap, session.copies, tuple(session.undrawn)))
        self.session = None

    def _draw(self, session: _Session, command: Command) -> Bitmap:
        """PAGE-WIDTH, else as far as the marks go, by the session's height."""
        marks = session.marks
        width = session.width or max(mark.x + mark.picture.width for mark in marks)
        height = session.height or max(mark.y + len(mark.picture.rows) for mark in marks)
        if width * height > MAX_DOTS or max(width, height) > MAX_SIDE:
            raise command.bad(f"a label of {width:,} x {height:,} dots (PAGE-WIDTH, height) is too large to read")
        return drawn(marks, width, height, lambda rows, stride: self.spend(command, rows, stride))


_DRAWING: dict[str, Callable[[_Printer, _Session, Command], None]] = {
    "CG": _Printer._graphic,
    "COMPRESSED-GRAPHICS": _Printer._graphic,
    "EG": _Printer._graphic,
    "EXPANDED-GRAPHICS": _Printer._graphic,
    "LINE": _Printer._line,
    "L": _Printer._line,
    "INVERSE-LINE": _Printer._line,
    "IL": _Printer._line,
    "BOX": _Printer._box,
}
