"""What a receipt is made of: a list of elements, strictly checked. Pure; loads no printer library.

    {"receipt": [{"text": "Total", "bold": true, "align": "right", "size": 2}, {"cut": "partial"}]}

An element is an object; the one key that names its kind (text, columns, line, image_base64, barcode, qr, feed, cut,
drawer) says which others it may have.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from devices.errors import DeviceError

MAX_ELEMENTS = 2000
MAX_TEXT = 10_000  # characters of one element
MAX_IMAGE = 8_000_000  # characters of base64
MAX_DRAWERS, MAX_CUTS, MAX_QRS = 2, 50, 50
PULSE_UNIT_MS = 2  # ESC p, parameters t1 and t2

Align = Literal["left", "center", "right"]
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class BadReceipt(DeviceError):
    """A receipt that cannot be printed. element: its number, from 1. field: the key at fault, as "3.columns.1"."""

    def __init__(self, text: str, *, element: int | None = None, field: str = "", remedy: str = "") -> None:
        super().__init__(text if element is None else f"element {element}: {text}")
        self.element, self.field, self.remedy = element, field, remedy


class _Strict(BaseModel):
    """2.0 is not 2, true is not 1, and a key nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Style(_Strict):
    """How text looks. size: times as wide and as high. font: "a" (12 x 24 dots) or "b" (9 x 17), as the printer has."""

    bold: bool = False
    underline: bool = False
    invert: bool = False
    size: int = Field(1, ge=1, le=8)
    font: Literal["a", "b"] = "a"

    @property
    def style(self) -> Style:
        """The style alone."""
        return Style(bold=self.bold, underline=self.underline, invert=self.invert, size=self.size, font=self.font)


class TextElement(Style):
    """Text, broken at the width of the paper; a newline begins a new line."""

    text: Text
    align: Align = "left"


class ColumnsElement(Style):
    """Several texts beside each other.

    widths: characters of each; None gives all but the first what they need, and the first the rest. aligns: None puts
    the first to the left and all others to the right.
    """

    columns: Annotated[list[Text], Field(min_length=1, max_length=12)]
    widths: Annotated[list[Annotated[int, Field(ge=1, le=200)]], Field(max_length=12)] | None = None
    aligns: Annotated[list[Align], Field(max_length=12)] | None = None

    @model_validator(mode="after")
    def _as_many(self) -> ColumnsElement:
        for name, given in (("widths", self.widths), ("aligns", self.aligns)):
            if given is not None and len(given) != len(self.columns):
                raise ValueError(f"{name} has {len(given)} entries, columns has {len(self.columns)}")
        return self


class LineElement(_Strict):
    """A line across the paper. true: a ruled one; a character: that one, repeated."""

    line: bool | str

    @field_validator("line", mode="before")
    @classmethod
    def _one(cls, line: object) -> object:
        if line is not True and not (isinstance(line, str) and len(line) == 1):
            raise ValueError("must be true or one character")
        return line


def _base64(text: str) -> str:
    try:
        base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("is not base64") from None
    return text


class ImageElement(_Strict):
    """A PNG or JPEG; never enlarged, shrunk to the print head. width_mm: shrunk to that. dither: for photographs."""

    image_base64: Annotated[str, Field(min_length=4, max_length=MAX_IMAGE), AfterValidator(_base64)]
    align: Align = "center"
    dither: bool = False
    width_mm: float | None = Field(None, gt=0, le=1000)

    @property
    def data(self) -> bytes:
        """The file's bytes."""
        return base64.b64decode(self.image_base64)


class BarcodeElement(_Strict):
    """A barcode. height: dots. module: dots of the narrowest bar; None: 3, or 2 where 3 is too wide. digits: the text
    below the bars."""

    barcode: Annotated[str, Field(min_length=1, max_length=80)]
    type: Literal["ean13", "ean8", "upca", "code39", "itf", "codabar", "code128"] = "code128"
    height: int = Field(80, ge=8, le=255)
    module: int | None = Field(None, ge=2, le=6)
    digits: bool = True
    align: Align = "center"

    @model_validator(mode="after")
    def _spelling(self) -> BarcodeElement:
        allowed, said = _SPELLINGS[self.type]
        if not allowed.fullmatch(self.barcode):
            raise ValueError(f"barcode: {self.type} takes {said}, not {self.barcode[:40]!r}")
        if self.type in _CHECKED and len(self.barcode) == _CHECKED[self.type]:
            right = check_digit(self.barcode[:-1])
            if self.barcode[-1] != right:
                raise ValueError(f"barcode: the check digit of {self.barcode} should be {right}")
        return self


_SPELLINGS = {
    "ean13": (re.compile(r"[0-9]{12,13}"), "12 digits, or 13 with its check digit"),
    "ean8": (re.compile(r"[0-9]{7,8}"), "7 digits, or 8 with its check digit"),
    "upca": (re.compile(r"[0-9]{11,12}"), "11 digits, or 12 with its check digit"),
    "code39": (re.compile(r"[0-9A-Z $%+\-./]{1,40}"), "1 to 40 of 0-9 A-Z space $ % + - . /"),
    "itf": (re.compile(r"(?:[0-9]{2}){1,20}"), "2 to 40 digits, an even number of them"),
    "codabar": (re.compile(r"[A-D][0-9$+\-./:]{1,38}[A-D]"), "A to D, then 1 to 38 of 0-9 $ + - . / :, then A to D"),
    "code128": (re.compile(r"[ -~]{1,80}"), "1 to 80 characters of printable ASCII"),
}
"""What the symbologies can say (Epson, ESC/POS command reference, GS k)."""
_CHECKED = {"ean13": 13, "ean8": 8, "upca": 12}


def check_digit(digits: str) -> str:
    """The check digit of an EAN or UPC without it (ISO/IEC 15420, annex A): weights 3 and 1 from the right."""
    total = sum(int(digit) * (3, 1)[place % 2] for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


class QrElement(_Strict):
    """A QR code. size: dots of a module. level: error correction, 7, 15, 25 or 30 percent."""

    qr: Annotated[str, Field(min_length=1, max_length=3000)]
    size: int = Field(6, ge=1, le=16)
    level: Literal["L", "M", "Q", "H"] = "M"
    align: Align = "center"

    @model_validator(mode="after")
    def _room(self) -> QrElement:
        for character in self.qr:  # some printers obey DLE DC4 even inside data
            if unicodedata.category(character) == "Cc" and character != "\n":
                raise ValueError(f"qr: contains U+{ord(character):04X}; newlines are the only control characters")
        size, most = len(self.qr.encode()), _CAPACITY[self.level]
        if size > most:
            raise ValueError(f"qr: has {size:,} bytes, a QR code of level {self.level} has room for {most:,}")
        return self


_CAPACITY = {"L": 2953, "M": 2331, "Q": 1663, "H": 1273}  # bytes in version 40 (ISO/IEC 18004, table 7)


class FeedElement(_Strict):
    """Blank lines."""

    feed: int = Field(ge=1, le=50)


class CutElement(_Strict):
    """The cut. auto: the way this printer cuts."""

    cut: Literal["auto", "partial", "full"]


class Pulse(_Strict):
    """What opens a cash drawer (ESC p). pin: of its connector. on_ms, off_ms: even numbers of milliseconds."""

    pin: Literal[2, 5] = 2
    on_ms: int = Field(50, ge=10, le=510, multiple_of=PULSE_UNIT_MS)
    off_ms: int = Field(250, ge=10, le=510, multiple_of=PULSE_UNIT_MS)

    @model_validator(mode="after")
    def _rests(self) -> Pulse:
        if self.off_ms < self.on_ms:
            raise ValueError(f"off_ms ({self.off_ms}) must not be shorter than on_ms ({self.on_ms})")
        return self


class DrawerElement(_Strict):
    """The cash drawer is opened."""

    drawer: Pulse


Element = (
    TextElement
    | ColumnsElement
    | LineElement
    | ImageElement
    | BarcodeElement
    | QrElement
    | FeedElement
    | CutElement
    | DrawerElement
)

KINDS: dict[str, type[Element]] = {
    "text": TextElement, "columns": ColumnsElement, "line": LineElement, "image_base64": ImageElement,
    "barcode": BarcodeElement, "qr": QrElement, "feed": FeedElement, "cut": CutElement, "drawer": DrawerElement,
}  # fmt: skip


def parse(data: bytes) -> tuple[Element, ...]:
    """A receipt as JSON: {"receipt": [...]}, or the list alone. Raises BadReceipt."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadReceipt("the receipt is not JSON", remedy='send {"receipt": [{"text": "hello"}]}') from error
    if isinstance(raw, dict):
        if set(raw) != {"receipt"}:
            other = next((name for name in raw if name != "receipt"), None)
            said = "has no list of elements" if other is None else f"has the unknown key {other[:64]!r}"
            raise BadReceipt(f"the receipt {said}", remedy='send {"receipt": [{"text": "hello"}]}')
        raw = raw["receipt"]
    return elements(raw)


def elements(raw: object) -> tuple[Element, ...]:
    """A list of elements, each checked. Raises BadReceipt that names the first one at fault."""
    if not isinstance(raw, list):
        raise BadReceipt("a receipt is a list of elements", field="receipt", remedy='send [{"text": "hello"}]')
    if not 1 <= len(raw) <= MAX_ELEMENTS:
        raise BadReceipt(f"the receipt has {len(raw):,} elements, possible are 1 to {MAX_ELEMENTS:,}", field="receipt")
    checked = tuple(_element(number, each) for number, each in enumerate(raw, 1))
    _check_number("drawer", [each for each in checked if isinstance(each, DrawerElement)], MAX_DRAWERS)
    _check_number("cut", [each for each in checked if isinstance(each, CutElement)], MAX_CUTS)
    _check_number("qr", [each for each in checked if isinstance(each, QrElement)], MAX_QRS)
    return checked


def plain_text(data: bytes) -> tuple[Element, ...]:
    """A text file as a receipt of one element for each of its lines. Raises BadReceipt when it is not UTF-8."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadReceipt(f"the text is not UTF-8: byte 0x{data[error.start]:02X} at offset {error.start:,}",
                         remedy="save it as UTF-8") from error  # fmt: skip
    lines = re.split(r"\r\n|[\n\r\f\v\x85\u2028\u2029]", text.expandtabs(8))
    if lines[-1] == "":
        lines.pop()
    pieces = [line[at : at + MAX_TEXT] for line in lines for at in range(0, max(1, len(line)), MAX_TEXT)]
    if not any(piece.strip() for piece in pieces):
        raise BadReceipt("the text is empty", remedy="send some")
    return tuple(TextElement(text=piece) for piece in pieces)


def opens_drawer(found: Sequence[Element]) -> bool:
    """Whether printing this opens a cash drawer, for which a key needs the permission."""
    return any(isinstance(each, DrawerElement) for each in found)


def cuts_itself(found: Sequence[Element]) -> bool:
    """Whether the receipt says where it is cut: nothing is then cut after it on the printer's own account."""
    return any(isinstance(each, CutElement) for each in found)


def _check_number(kind: str, found: Sequence[Element], most: int) -> None:
    if len(found) > most:
        raise BadReceipt(f"the receipt has {len(found)} elements {kind!r}, at most {most} are allowed", field="receipt")


def _element(number: int, raw: object) -> Element:
    if not isinstance(raw, dict):
        raise BadReceipt(f"an element is an object, not {str(raw)[:40]!r}", element=number, field=str(number))
    kinds = [name for name in KINDS if name in raw]
    if len(kinds) != 1:
        said = f"has {' and '.join(kinds)}" if kinds else f"has none of {', '.join(KINDS)}"
        raise BadReceipt(said, element=number, field=str(number), remedy="give each element exactly one of these")
    try:
        return KINDS[kinds[0]].model_validate(raw)
    except ValidationError as error:
        raise _explained(number, KINDS[kinds[0]], error) from error


def _explained(number: int, kind: type[BaseModel], error: ValidationError) -> BadReceipt:
    """The first thing that is wrong, in words; an unknown key before all others."""
    found: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    finding = next((each for each in found if each["type"] == "extra_forbidden"), found[0])
    place = [str(part) for part in finding["loc"]]
    if finding["type"] == "extra_forbidden":
        inside = Pulse if len(finding["loc"]) > 1 else kind
        return BadReceipt(f"unknown key {str(finding['loc'][-1])[:64]!r}", element=number,
                          field=f"{number}.{finding['loc'][0]!s:.64}",
                          remedy=f"allowed here: {', '.join(inside.model_fields)}")  # fmt: skip
    told = "must be an object" if finding["type"] == "model_type" else finding["msg"].removeprefix("Value error, ")
    where = ".".join(place)
    text = f"{where}: {told[:1].lower()}{told[1:]}" if where else told
    return BadReceipt(text, element=number, field=".".join([str(number), *place]))
