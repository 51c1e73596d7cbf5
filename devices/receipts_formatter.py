"""python-escpos as a formatter in memory, and as nothing else: text, styles, code pages, codes, the drawer's pulse.

Taken from it are `escpos.printer.Dummy`, which collects bytes in a list, and its tables of code pages. Its module
`escpos.capabilities` is never run: on import that one makes a temporary folder which nobody removes, writes a pickle
there, unpickles what it finds in a folder named by an environment variable, and sets up logging. A module of the same
name with the same names in it stands in for it. Nothing is opened, so nothing is left for its `__del__` to close.

Its text() and barcode() hand control bytes on. Here text has none: `devices.receipts_layout.clean` has been there
before, and `Formatter.text` refuses what is not printable; what goes into codes was checked by the symbology's own
alphabet (`devices.receipts_elements`).
"""

from __future__ import annotations

import importlib
import importlib.resources
import io
import json
import sys
import unicodedata
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from devices.receipts_elements import PULSE_UNIT_MS, BarcodeElement, Pulse, QrElement, Style

_LETTERS = b"\x1c."
"""FS .: bytes from 128 on are letters of a code page. Many printers made in China take them for halves of Chinese ones
otherwise."""
_PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a printer's own text engine can do.

    code_pages: the number ESC t takes -> the name of a Python codec. barcodes: GS k with a length. qr: GS ( k draws QR
    codes.
    """

    code_pages: Mapping[int, str] = field(default_factory=dict)
    barcodes: bool = False
    qr: bool = False

    # What python-escpos asks of a profile:

    def get_code_pages(self) -> dict[str, int]:
        """Its name of each code page -> the number ESC t takes; the lower number of two with one name."""
        return {name: number for number, name in sorted(self.code_pages.items(), reverse=True)}

    def get_font(self, name: str) -> int:
        """The number ESC M takes."""
        return {"a": 0, "b": 1}[name]

    def supports(self, feature: str) -> bool:
        """Whether it has what python-escpos calls by that name."""
        return {"barcodeB": self.barcodes, "qrCode": self.qr}.get(feature, False)


@cache
def _library() -> Any:
    """escpos.printer.dummy, loaded without its module of capabilities."""
    if "escpos.capabilities" not in sys.modules:
        sys.modules["escpos.capabilities"] = _stand_in()
    return importlib.import_module("escpos.printer.dummy")


def _stand_in() -> ModuleType:
    """A module with what python-escpos 3.1 imports from escpos.capabilities."""
    module: Any = ModuleType("escpos.capabilities", "Stands in for the module that writes and reads pickles.")
    data = importlib.resources.files("escpos").joinpath("capabilities.json").read_text("utf-8")
    module.CAPABILITIES = json.loads(data)
    module.get_profile = lambda profile=None: profile
    module.BaseProfile = module.Profile = Abilities
    module.NotSupported = type("NotSupported", (Exception,), {})
    return module  # type: ignore[no-any-return]


class Formatter:
    """Collects the bytes of one receipt. Says a style or a code page only when it changes."""

    def __init__(self, abilities: Abilities) -> None:
        self.abilities = abilities
        dummy = _library()
        _add_tables(abilities.code_pages)
        self._printer = dummy.Dummy(profile=abilities)
        self._style: Style | None = None
        self._align: str | None = None
        self._known: dict[str, bool] = {}

    @property
    def output(self) -> bytes:
        """All bytes so far."""
        return bytes(self._printer.output)

    def begin(self) -> None:
        """ESC @ and what it leaves to the printer's switches."""
        self._printer.hw("INIT")
        self._printer._raw(_LETTERS)

    def raw(self, data: bytes) -> None:
        """Bytes made by an encoder of ours that leave styles and code page as they are."""
        self._printer._raw(data)

    def can_print(self, text: str) -> bool:
        """Whether the printer's own letters can show `text`, in the order in which it is written.

        No printer orders right-to-left text or joins its letters, and none puts accents on the letter before.
        """
        return all(" " <= each <= "~" or self._has(each) for each in text)

    def _has(self, character: str) -> bool:
        if character not in self._known:
            self._known[character] = self._find(character)
        return self._known[character]

    def _find(self, character: str) -> bool:
        if unicodedata.category(character)[0] in "CM" or unicodedata.bidirectional(character) in _RIGHT_TO_LEFT:
            return False
        return bool(self._printer.magic.encoder.find_suitable_encoding(character))

    def text(self, text: str, style: Style, align: str) -> None:
        """One line and its newline. Raises ValueError for what `can_print` says no to."""
        if not self.can_print(text):
            raise ValueError(f"{text[:40]!r} is not text for this printer's own letters")
        self.set(style, align)
        self._printer.text(text)
        self._printer._raw(b"\n")

    def set(self, style: Style, align: str) -> None:
        """ESC E, ESC -, ESC M, GS !, GS B, ESC a: those that differ from what is set."""
        before, wanted = self._style, _words(style) | {"align": align}
        old = {} if before is None else _words(before) | {"align": self._align}
        changed = {name: value for name, value in wanted.items() if name not in old or old[name] != value}
        if "width" in changed:
            changed |= {"custom_size": True, "height": changed["width"]}
        self._printer.set(**changed)
        self._style, self._align = style, align

    def feed(self, lines: int) -> None:
        """Blank lines."""
        self.set(_PLAIN, "left")
        self._printer._raw(b"\n" * lines)

    def barcode(self, wanted: BarcodeElement, module: int) -> None:
        """GS k with what belongs before it. module: dots, 2 to 6."""
        self.set(_PLAIN, wanted.align)
        with redirect_stdout(io.StringIO()):  # it prints which renderer it uses
            self._printer.barcode(
                _payload(wanted), _NAMES[wanted.type], height=wanted.height, width=module,
                pos="BELOW" if wanted.digits else "OFF", align_ct=False, function_type="B",
            )  # fmt: skip

    def qr(self, wanted: QrElement) -> None:
        """GS ( k: model 2, drawn by the printer. Its data carry their length, so nothing in them is a command."""
        self.set(_PLAIN, wanted.align)
        self._printer.qr(wanted.qr, ec="LMQH".index(wanted.level), size=wanted.size, native=True)

    def drawer(self, pulse: Pulse) -> None:
        """ESC p with both times."""
        times = (pulse.on_ms // PULSE_UNIT_MS, pulse.off_ms // PULSE_UNIT_MS)
        self._printer.cashdraw([0x1B, 0x70, {2: 0, 5: 1}[pulse.pin], *times])


_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN", "RLE", "RLO", "RLI", "LRE", "LRO", "LRI", "FSI", "PDF", "PDI"})
_NAMES = {
    "ean13": "EAN13", "ean8": "EAN8", "upca": "UPC-A", "code39": "CODE39", "itf": "ITF", "codabar": "NW7",
    "code128": "CODE128",
}  # fmt: skip


def _payload(wanted: BarcodeElement) -> str:
    """What GS k takes: Code 128 says its code set first, and a brace twice (ESC/POS command reference, GS k)."""
    return "{B" + wanted.barcode.replace("{", "{{") if wanted.type == "code128" else wanted.barcode


def _words(style: Style) -> dict[str, Any]:
    """A style as the words of Dummy.set. width stands for both sides of the size."""
    return {"bold": style.bold, "underline": int(style.underline), "invert": style.invert, "font": style.font,
            "width": style.size}  # fmt: skip


def _add_tables(code_pages: Mapping[int, str]) -> None:
    """Tell python-escpos of Python's codecs by the names they have here."""
    tables = importlib.import_module("escpos.codepages").CodePages.data
    for name in code_pages.values():
        tables.setdefault(name, {"name": name, "python_encode": name})
