"""Lifelike papers for the tests: shipping labels as a warehouse prints them, vector text, lines and Code 128."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from pathlib import Path

WIDTH, HEIGHT = 288, 432  # points: 4 x 6 in
FONTS = Path(__file__).resolve().parents[1] / "golden" / "nimbus-sans"
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A sound PDF of these objects, numbered from 1; the first is the catalog. Only the objects' contents are bad."""
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def stream(data: bytes, extra: bytes = b"") -> bytes:
    """A stream object's body."""
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (extra, len(data), data)


# Bar and space widths of the values 0 to 106 (ISO/IEC 15417, table 1); the last is the stop character.
_CODE_128 = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112"
).split()
_START_B, _START_C, _TO_C = 104, 105, 99


def code_128(text: str) -> str:
    """Widths in modules, bars and spaces in turn: code B, and code C for an even number of digits at the end."""
    head, pairs = re.fullmatch(r"(.*?)((?:\d\d){2,}|)", text).groups()  # type: ignore[union-attr]
    values = [_START_B, *(ord(letter) - 32 for letter in head)] if head else []
    if pairs:
        values += [_TO_C if values else _START_C, *(int(pairs[i : i + 2]) for i in range(0, len(pairs), 2))]
    check = (values[0] + sum(place * value for place, value in enumerate(values))) % 103
    return "".join(_CODE_128[value] for value in [*values, check, 106])


def barcode(text: str, *, x: float, y: float, height: float, module: float) -> bytes:
    """The bars as rectangles, from x, y (its lower left corner). Points; module: width of the narrowest bar."""
    out = []
    for index, width in enumerate(code_128(text)):
        if index % 2 == 0:
            out.append(f"{x:.3f} {y} {int(width) * module:.3f} {height} re")
        x += int(width) * module
    return "\n".join([*out, "f"]).encode()


def _text(x: float, y: float, size: float, text: str, font: str = "F1") -> bytes:
    escaped = re.sub(r"([\\()])", r"\\\1", text).encode("cp1252")
    return b"BT /%s %g Tf %.3f %g Td (%s) Tj ET" % (font.encode(), size, x, y, escaped)


def _centered(middle: float, y: float, size: float, text: str, font: str = "F1") -> bytes:
    widths = _widths()[font]
    return _text(middle - sum(widths[code - 32] for code in text.encode("cp1252")) * size / 2000, y, size, text, font)


@lru_cache
def _widths() -> dict[str, list[int]]:
    """Advance widths of the codes from 32 on, in thousandths of the size."""
    lines = (FONTS / "widths.txt").read_text().splitlines()
    return {font: [int(width) for width in line.split()[1:]] for font, line in zip(("F1", "F2"), lines, strict=True)}


def _face(number: int, font: str, name: bytes, file: str) -> tuple[bytes, bytes, bytes]:
    """A font, its descriptor and its file as the objects from `number` on."""
    widths = " ".join(map(str, _widths()[font])).encode()
    facts = b"<</Type/Font/Subtype/Type1/BaseFont/%s/Encoding/WinAnsiEncoding/FirstChar 32/LastChar 255" % name
    descriptor = b"<</Type/FontDescriptor/FontName/%s/Flags 32/FontBBox[-174 -285 1022 953]/ItalicAngle 0" % name
    return (
        facts + b"/Widths[%s]/FontDescriptor %d 0 R>>" % (widths, number + 1),
        descriptor + b"/Ascent 953/Descent -285/CapHeight 729/StemV 84/FontFile3 %d 0 R>>" % (number + 2),
        stream(zlib.compress((FONTS / file).read_bytes()), b"/Subtype/Type1C/Filter/FlateDecode"),
    )


def tracking(n: int) -> str:
    """The tracking number on the n-th label."""
    return f"JD01{4600_0000_0000 + n * 7919:014d}"


def _label(n: int) -> bytes:
    """The content of the n-th label."""
    module = 72 / 203 * 3  # three dots at 203 dpi
    bars = sum(map(int, "".join(code_128(tracking(n))))) * module
    return b"\n".join(
        (
            b"0 g 1.5 w 8 8 272 416 re S 8 346 m 280 346 l S 8 190 m 280 190 l S 190 346 m 190 424 l S",
            _text(16, 410, 7, "From"),
            _text(16, 394, 10, "Nordlicht Versand GmbH", "F2"),
            _text(16, 380, 10, "Hafenstraße 12"),
            _text(16, 366, 10, "20457 Hamburg"),
            _centered(235, 377, 44, "P" if n % 3 else "X", "F2"),
            _centered(235, 357, 10, f"{0.4 + n % 17 * 0.35:.2f} kg"),
            _text(16, 332, 7, "To"),
            _text(16, 308, 19, f"Zoë Müller-{n:03d}", "F2"),
            _text(16, 284, 14, f"{n % 140 + 1} Rue de l'Église (bât. {'ABCD'[n % 4]})"),
            _text(16, 264, 14, f"{10000 + n * 37 % 80000} Saint-Étienne"),
            _text(16, 238, 19, "FRANCE", "F2"),
            _text(16, 202, 8, f"Order 2024-{n:06d}   Ref. #A/{n * 31 % 997}   1/1"),
            barcode(tracking(n), x=(WIDTH - bars) / 2, y=66, height=104, module=module),
            _centered(WIDTH / 2, 46, 13, tracking(n), "F2"),
            _centered(WIDTH / 2, 18, 7, "Return if undeliverable. Do not bend."),
        )
    )


def shipping_label(n: int) -> bytes:
    """The n-th label of a morning, 4 x 6 in, one page."""
    return batch(1, first=n)


def batch(pages: int, *, first: int = 1) -> bytes:
    """`pages` labels in one PDF."""
    faces = (*_face(3, "F1", b"NimbusSans-Regular", "regular.cff"), *_face(6, "F2", b"NimbusSans-Bold", "bold.cff"))
    kids = b" ".join(b"%d 0 R" % (9 + 2 * i) for i in range(pages))
    objects = [CATALOG, b"<</Type/Pages/Count %d/Kids[%s]/MediaBox[0 0 %d %d]>>" % (pages, kids, WIDTH, HEIGHT), *faces]
    for i in range(pages):
        resources = b"/Resources<</Font<</F1 3 0 R/F2 6 0 R>>>>"
        objects.append(b"<</Type/Page/Parent 2 0 R/Contents %d 0 R%s>>" % (10 + 2 * i, resources))
        objects.append(stream(zlib.compress(_label(first + i)), b"/Filter/FlateDecode"))
    return pdf(*objects)
