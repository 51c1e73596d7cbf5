"""A receipt printer that obeys: tokens in, a roll of paper out. Facts from Epson's ESC/POS Command Reference.

One unit of motion is one dot, as on printers with 203 dpi; on others (TM-T88: 1/360 inch) feeds come out longer here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from devices.errors import BadPrinterData
from devices.readers._escpos_glyphs import magnified
from devices.readers._escpos_roll import Line, Roll, TooMuch, from_columns, from_rows
from devices.readers._escpos_stream import Token
from devices.readers._escpos_symbols import Symbols
from devices.readers._escpos_text import WORK, Style, characters
from devices.readers._label import LIMIT, MAX_DOTS, MAX_SIDE, Label

_WIDEST = 2_400  # dots; no receipt printer has a wider head
USUAL_WIDTH = 576  # dots of an 80 mm printer, which text needs to know where a line ends


class Printer:
    """Obeys commands until take(). limit: bytes of rows it may use. dots: of its head, where known."""

    def __init__(self, *, limit: int = LIMIT, dots: int | None = None) -> None:
        self.roll = Roll(limit)
        self.dots = dots
        self.style = Style()
        self.line = Line()
        self.undrawn: dict[str, None] = {}
        self.placed = False
        """Whether something on this receipt depends on how wide the paper is."""
        self._page_mode = False
        self.symbols = Symbols()
        self._stored: tuple[list[int], int] | None = None
        self._own_picture: tuple[list[int], int] | None = None

    @property
    def paper(self) -> int:
        """Dots across the paper."""
        return self.dots or USUAL_WIDTH

    @property
    def area(self) -> int:
        """Dots across what can be printed on."""
        most = max(1, self.paper - self.style.margin)
        return most if self.style.area is None else max(1, min(self.style.area, most))

    def obey(self, token: Token) -> None:
        """Carry out one command or print text. Raises BadPrinterData for more than anybody prints."""
        try:
            self._obey(token)
        except TooMuch as error:
            raise BadPrinterData(f"{token.name or 'text'} at byte {token.offset:,}: {error}") from error

    def take(self) -> Label | None:
        """Cut here: what has come out since the last cut, None when nothing has. Raises BadPrinterData."""
        self.print_line()
        undrawn, self.undrawn = tuple(self.undrawn), {}
        width = self.dots or max(self.roll.width, USUAL_WIDTH if self.placed else 0)
        self.placed = False
        try:
            bitmap = self.roll.take(min(width, MAX_SIDE))
        except TooMuch as error:
            raise BadPrinterData(str(error)) from error
        return Label(bitmap, undrawn=undrawn) if bitmap is not None or undrawn else None

    def print_line(self, feed: int = 0) -> None:
        """Print what waits on the line, and move on by its height or `feed`, whichever is more."""
        if self.line.parts:
            self.roll.print_line(self.line, self._left(self.line.end))
        self.roll.feed(max(feed, self.line.height))
        self.line = Line()

    def picture(self, rows: Sequence[int], width: int) -> None:
        """Print a picture by itself, from where ESC $ or HT moved to on an empty line, and move on below it."""
        moved = 0 if self.line.parts else self.line.x
        self.placed |= bool(moved)
        self.print_line()
        self.roll.stamp(rows, self._left(moved + width) + moved, width)
        self.roll.feed(len(rows))

    def _left(self, width: int) -> int:
        """Where something so wide begins."""
        if self.style.align:
            self.placed = True
        spare = max(0, self.area - width)
        return self.style.margin + (0, spare // 2, spare)[self.style.align]

    def _obey(self, token: Token) -> None:
        if self._page_mode:
            self._page_mode = token.name not in ("ESC S", "FF", "ESC @")
            return
        if not token.name:
            self._text(bytes(token.data))
        elif act := _ACTIONS.get(token.name):
            act(self, token)
        elif token.name not in _SILENT and token.known and not token.name.startswith(("DLE", "GS (")):
            self.undrawn[token.name] = None
        elif token.name in _VISIBLE:
            self.undrawn[token.name] = None

    # Text

    def _text(self, data: bytes) -> None:
        self.placed = True
        for missing, rows, width in characters(self.style, data):
            self.roll.spend(WORK + len(rows) * (width // 8))
            if missing:
                self.undrawn[missing] = None
            if self.line.x + width > self.area and self.line.parts:
                self.print_line(self.style.line)
            self.line.add(rows, width)

    def _line_feed(self, token: Token) -> None:
        self.print_line(self.style.line)

    def _tab(self, token: Token) -> None:
        """HT: the next tab on this line, if there is one."""
        self.line.x = next((tab for tab in self.style.tabs if self.line.x < tab < self.area), self.line.x)

    def _tabs(self, token: Token) -> None:
        """ESC D n...: in characters of the width chosen."""
        width = self.style.cell[0] + self.style.spacing
        self.style.tabs = [place * width for place in token.data if place]

    def _initialize(self, token: Token) -> None:
        """ESC @: what waits on the line is lost, all settings are as at the beginning."""
        self.style, self.line = Style(), Line()
        self.symbols = Symbols()
        self._stored = None

    def _mode(self, token: Token) -> None:
        """ESC ! n: font, bold, double height, double width, underline in one byte."""
        n = token.number(0, 1)
        style = self.style
        style.font = "B" if n & 1 else "A"
        style.bold, style.underline = bool(n & 8), int(bool(n & 0x80))
        style.down, style.across = 1 + bool(n & 0x10), 1 + bool(n & 0x20)

    def _size(self, token: Token) -> None:
        """GS ! n: width in the upper half, height in the lower, 0 to 7 for once to eight times."""
        n = token.number(0, 1)
        self.style.across, self.style.down = (n >> 4 & 7) + 1, (n & 7) + 1

    def _font(self, token: Token) -> None:
        """ESC M n: 0 and 48 font A, 1 and 49 font B; the others are drawn as B."""
        self.style.font = "A" if token.number(0, 1) in (0, 48) else "B"

    def _bold(self, token: Token) -> None:
        self.style.bold = bool(token.number(0, 1) & 1)

    def _underline(self, token: Token) -> None:
        self.style.underline = token.number(0, 1) % 48 if token.number(0, 1) % 48 < 3 else self.style.underline

    def _inverse(self, token: Token) -> None:
        self.style.inverse = bool(token.number(0, 1) & 1)

    def _align(self, token: Token) -> None:
        """ESC a n counts at the beginning of a line only."""
        if token.number(0, 1) % 48 < 3 and not self.line.parts:
            self.style.align = token.number(0, 1) % 48

    def _usual_line(self, token: Token) -> None:
        """ESC 2: 1/6 inch."""
        self.style.line = 30

    def _kanji(self, token: Token) -> None:
        """FS & and FS ."""
        self.style.kanji = token.name == "FS &"

    def _encoding(self, token: Token) -> None:
        """FS ( C pL pH fn m: m 2 or 50 is UTF-8."""
        if token.data[2:3] == b"0":
            self.style.utf8 = token.data[3:4] in (bytearray(b"\2"), bytearray(b"2"))

    # Places and feeds

    def _absolute(self, token: Token) -> None:
        self.line.x = min(token.number(0), self.area)

    def _relative(self, token: Token) -> None:
        n = token.number(0)
        self.line.x = min(max(0, self.line.x + (n if n < 0x8000 else n - 0x10000)), self.area)

    def _feed_dots(self, token: Token) -> None:
        self.print_line(token.number(0, 1))

    def _feed_lines(self, token: Token) -> None:
        self.print_line()
        self.roll.feed(token.number(0, 1) * self.style.line)

    def _feed_back(self, token: Token) -> None:
        """ESC K n dots, ESC e n lines."""
        self.print_line()
        self.roll.feed(-token.number(0, 1) * (1 if token.name == "ESC K" else self.style.line))

    def _cut(self, token: Token) -> None:
        """GS V m n feeds n units beyond the cutter first."""
        self.print_line()
        if token.number(0, 1) >= 65:
            self.roll.feed(token.number(1, 1))

    # Pictures

    def _raster(self, token: Token) -> None:
        """GS v 0 m xL xH yL yH: x bytes across, y rows; m 1 twice as wide, 2 twice as high, 3 both."""
        mode, across, height = token.number(0, 1) & 3, token.number(1), token.number(3)
        self._check(across * 8 * (1 + (mode & 1)), height * (1 + (mode >> 1)))
        rows = from_rows(token.data[5:], across, height)
        self._magnified(rows, across * 8, 1 + (mode & 1), 1 + (mode >> 1))

    def _magnified(self, rows: Sequence[int], width: int, across: int, down: int) -> None:
        self._check(width * across, len(rows) * down)
        self.roll.spend(len(rows) * down * width * across // 8)
        if rows and width:
            self.picture(magnified(tuple(rows), width, across, down), width * across)

    def _check(self, width: int, height: int) -> None:
        """Refuse a declared size that no receipt has, before anything is unpacked."""
        if width * height > MAX_DOTS or max(width, height) > MAX_SIDE:
            raise TooMuch(f"a picture of {width:,} x {height:,} dots is larger than any receipt")
        self.roll.spend(width * height // 8)

    def _bit_image(self, token: Token) -> None:
        """ESC * m nL nH: columns of 8 dots (m 0, 1) or 24 (32, 33); 0 and 32 twice as wide, 8 dots thrice as high."""
        m, count = token.number(0, 1), token.number(1)
        if m not in (0, 1, 32, 33):
            self.undrawn["ESC *"] = None
            return
        deep = 1 if m < 32 else 3
        across, down = 2 - m % 2, 1 if deep == 3 else 3
        self._check(count * across, 24)
        rows = magnified(tuple(from_columns(token.data[3:], count, deep)), count, across, down)
        room = (self.dots or _WIDEST) - self.line.x
        if count and room > 0:  # what is beyond the head is lost
            mask = (1 << room) - 1
            self.line.add(tuple(row & mask for row in rows), min(count * across, room))

    def _own_bit_image(self, token: Token) -> None:
        """GS * x y: x * 8 columns of y * 8 dots, kept until ESC @."""
        x, y = token.number(0, 1), token.number(1, 1)
        self._check(x * 8, y * 8)
        self._own_picture = from_columns(token.data[2:], x * 8, y), x * 8

    def _print_own(self, token: Token) -> None:
        """GS / m."""
        m = token.number(0, 1) & 3
        if self._own_picture is not None:
            self._magnified(*self._own_picture, 1 + (m & 1), 1 + (m >> 1))

    def _graphics(self, token: Token) -> None:
        """GS ( L pL pH m fn: 112 stores rows, 113 columns, 50 prints. GS 8 L has a length of four bytes."""
        body = token.data[4 if token.name == "GS 8 L" else 2 :]
        fn = body[1] if len(body) > 1 else -1
        if fn in (112, 113) and body[2:3] == b"0":
            self._store(bytes(body), fn)
        elif fn in (2, 50):
            if self._stored is not None:
                (rows, width), self._stored = self._stored, None
                self.picture(rows, width)
        elif fn not in (0, 1, 3, 4, 48, 49, 51, 52, 64, 65, 66, 80, 81, 82):
            self.undrawn[token.name] = None

    def _store(self, body: bytes, fn: int) -> None:
        """a bx by c xL xH yL yH and the dots."""
        body = body.ljust(10, b"\0")
        across, down = min(max(body[3], 1), 2), min(max(body[4], 1), 2)
        width, height = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
        self._check(width * across, height * down)
        data = body[10:]
        rows = from_rows(data, (width + 7) // 8, height) if fn == 112 else from_columns(data, width, (height + 7) // 8)
        self._stored = list(magnified(tuple(rows[:height]), (width + 7) // 8 * 8, across, down)), width * across

    # Barcodes

    def _symbol_setting(self, token: Token) -> None:
        self.symbols.setting(token)

    def _barcode(self, token: Token) -> None:
        """GS k, with its text above, below, or both."""
        found = self.symbols.barcode(token)
        if found is None:
            self.undrawn["GS k"] = None
            return
        row, width, text = found
        self.placed = True
        self.print_line()
        self._caption(text, width, 1)
        self.picture([row] * self.symbols.height, width)
        self._caption(text, width, 2)

    def _caption(self, text: str, width: int, side: int) -> None:
        """The text of a barcode, in the middle of it, if it is wanted on this side."""
        if not self.symbols.text & side:
            return
        line = Line()
        for _, rows, across in characters(Style(font=self.symbols.font), text.encode("ascii", "replace")):
            self.roll.spend(WORK)
            line.add(rows, across)
        self.roll.print_line(line, self._left(width) + max(0, (width - line.end) // 2))
        self.roll.feed(line.height)

    def _code(self, token: Token) -> None:
        """GS ( k: QR codes; the others are not drawn."""
        if not self.symbols.code(token):
            return
        self.roll.spend(self.symbols.work)
        rows = self.symbols.squares()
        if rows is None:
            self.undrawn["GS ( k"] = None
            return
        self.placed = True
        self._magnified(rows, len(rows), self.symbols.square, self.symbols.square)

    # What is not drawn

    def _enter_page_mode(self, token: Token) -> None:
        """ESC L: everything until FF or ESC S is placed on a page, which is left out."""
        self.undrawn["ESC L"] = None
        self._page_mode = True

    def _unless_usual(self, token: Token) -> None:
        """A setting that changes how things look, unless it says what is so anyway."""
        if token.number(0, 1) % 48:
            self.undrawn[token.name] = None


def _set(name: str, size: int = 1) -> Callable[[Printer, Token], None]:
    """A setting that is the number itself."""
    return lambda printer, token: setattr(printer.style, name, token.number(0, size))


_ACTIONS: dict[str, Callable[[Printer, Token], None]] = {
    "LF": Printer._line_feed,
    "CR": lambda printer, token: None,
    "HT": Printer._tab,
    "ESC D": Printer._tabs,
    "ESC @": Printer._initialize,
    "ESC !": Printer._mode,
    "GS !": Printer._size,
    "ESC M": Printer._font,
    "ESC E": Printer._bold,
    "ESC G": Printer._bold,
    "ESC -": Printer._underline,
    "GS B": Printer._inverse,
    "ESC a": Printer._align,
    "ESC SP": _set("spacing"),
    "ESC 3": _set("line"),
    "ESC 2": Printer._usual_line,
    "GS L": _set("margin", 2),
    "GS W": _set("area", 2),
    "ESC t": _set("page"),
    "ESC R": _set("country"),
    "FS &": Printer._kanji,
    "FS .": Printer._kanji,
    "FS ( C": Printer._encoding,
    "ESC $": Printer._absolute,
    "ESC \\": Printer._relative,
    "ESC J": Printer._feed_dots,
    "ESC d": Printer._feed_lines,
    "ESC K": Printer._feed_back,
    "ESC e": Printer._feed_back,
    "GS V": Printer._cut,
    "ESC i": Printer._cut,
    "ESC m": Printer._cut,
    "GS v 0": Printer._raster,
    "ESC *": Printer._bit_image,
    "GS *": Printer._own_bit_image,
    "GS /": Printer._print_own,
    "GS ( L": Printer._graphics,
    "GS 8 L": Printer._graphics,
    "GS w": Printer._symbol_setting,
    "GS h": Printer._symbol_setting,
    "GS H": Printer._symbol_setting,
    "GS f": Printer._symbol_setting,
    "GS k": Printer._barcode,
    "GS ( k": Printer._code,
    "ESC L": Printer._enter_page_mode,
    "ESC {": Printer._unless_usual,
    "ESC V": Printer._unless_usual,
    "ESC %": Printer._unless_usual,
    "GS b": lambda printer, token: None,
}
_VISIBLE = frozenset({"GS ( Q", "GS ( P"})
_SILENT = frozenset(  # ask, set something up, or shape what is named by its own command
    "FF|CAN|ESC <|ESC =|ESC ?|ESC &|ESC B|ESC S|ESC T|ESC U|ESC W|ESC FF|ESC c|ESC f|ESC o|ESC p|ESC q|ESC r|ESC u"
    "|ESC v|ESC ( A|GS :|GS A|GS C|GS D|GS E|GS I|GS P|GS T|GS $|GS \\|GS a|GS g|GS j|GS r|GS z|GS FF|FS !|FS -"
    "|FS 2|FS ?|FS C|FS S|FS W|FS a|FS g|FS q|FS ( A|FS ( E|FS ( L|FS ( e|BEL|US".split("|")
)
