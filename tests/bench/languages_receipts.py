"""Receipts as shops print them, drawn: 72 mm wide, 2,000 rows of 203 dpi, letters 12 dots wide."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

import pymupdf

from devices.barcodes import code128

WIDTH, HEIGHT = 576, 2000  # dots
DOT = 72 / 203  # points
WORDS = "The quick brown fox jumps over the lazy dog while 1,234 parcels wait at the dock of Springfield.".split()


def gray(document: pymupdf.Document) -> bytes:
    """Its first page at 203 dpi, a byte a pixel."""
    pixels = document[0].get_pixmap(dpi=203, colorspace=pymupdf.csGRAY, alpha=False)
    rows = [bytes(pixels.samples_mv[y * pixels.stride :][: min(WIDTH, pixels.width)]) for y in range(HEIGHT)]
    return b"".join([row.ljust(WIDTH, b"\xff") for row in rows])


def _paper() -> tuple[pymupdf.Document, pymupdf.Page]:
    document = pymupdf.open()
    return document, document.new_page(width=WIDTH * DOT, height=HEIGHT * DOT)


def _write(page: pymupdf.Page, lines: Sequence[str], top: int, *, apart: int = 34) -> None:
    """Lines of 48 letters; dots. Receipt printers have lines 30 to 34 dots apart."""
    for place, line in enumerate(lines):
        page.insert_text((0, (top + apart * place) * DOT), line, fontsize=20 * DOT, fontname="cour")


def _goods(count: int) -> list[str]:
    """A line for each thing bought, with its price at the right."""
    rng = random.Random(3)
    return [
        f"{rng.randint(1, 4)} x {' '.join(rng.sample(WORDS, 2)):.32}".ljust(40) + f"{rng.uniform(0.5, 20):8.2f}"
        for _ in range(count)
    ]


def _barcode(page: pymupdf.Page, text: str, x: int, top: int, height: int) -> None:
    for place, width in enumerate(code128(text)):
        if place % 2 == 0:
            page.draw_rect(pymupdf.Rect(x, top, x + width * 3, top + height) * DOT, fill=0, color=None, width=0)
        x += width * 3


def supermarket() -> pymupdf.Document:
    """A logo, what was bought, the taxes, a barcode."""
    document, page = _paper()
    page.draw_oval(pymupdf.Rect(200, 16, 376, 136) * DOT, fill=0, color=0)
    page.insert_text((224 * DOT, 87 * DOT), "MARKET", fontsize=32 * DOT, fontname="hebo", color=1)
    header = ["Springfield Market".center(48), "742 Evergreen Terrace".center(48), "Tel. 555 0142".center(48), ""]
    footer = [
        "-" * 48, f"{'TOTAL EUR':40}{214.35:8.2f}", f"{'Card':40}{214.35:8.2f}", "",
        "VAT  7 %   net 151.20   tax 10.58", "VAT 19 %   net  44.17   tax  8.40", "",
        "Cashier 4   Till 3   2026-03-14 16:52", "Receipt 0042-118-7731", "",
        "Thank you for your visit!".center(48), "", "You may return what you do not like",
        "within 14 days, with this receipt.",
    ]  # fmt: skip
    _write(page, [*header, *_goods(24), *footer], 180)
    _barcode(page, "00421187731", 140, 1790, 150)
    return document


def long_list() -> pymupdf.Document:
    """A line with a price after the other, down to the end."""
    document, page = _paper()
    _write(page, ["Springfield Market".center(48), "", *_goods(55)], 40)
    return document


def restaurant() -> pymupdf.Document:
    """A bill with a logo, and room to sign."""
    document, page = _paper()
    page.draw_circle(pymupdf.Point(288, 120) * DOT, 100 * DOT, color=0, width=8 * DOT)
    page.insert_text((206 * DOT, 132 * DOT), "MARIO", fontsize=44 * DOT, fontname="hebo")
    header = ["Trattoria da Mario".center(48), "Via Roma 12, Zürich".center(48), "", "Table 12   Guests 4", "-" * 48]
    footer = [
        "-" * 48, f"{'TOTAL CHF':40}{214.35:8.2f}", f"{'of this VAT':40}{14.20:8.2f}", "", "",
        "Tip ____________________", "", "Total __________________", "", "Signature ______________", "", "",
        "Thank you!".center(48),
    ]  # fmt: skip
    _write(page, [*header, *_goods(16), *footer], 280)
    return document


def parcel() -> pymupdf.Document:
    """Two addresses, a barcode, the squares of a two-dimensional code, small print."""
    document, page = _paper()
    rng = random.Random(1)
    head = ["PARCEL RECEIPT".center(48), "", "Sender:", "  Anna Muster", "  Bahnhofstrasse 1", "  8001 Zürich", "",
            "Recipient:", "  John Smith", "  742 Evergreen Terrace", "  Springfield", "", "Weight 2.350 kg",
            "Price 9.70 CHF", "Handed in 2026-03-14 16:52"]  # fmt: skip
    _write(page, head, 40)
    _barcode(page, "9960101234", 80, 600, 160)
    for square in range(33 * 33):
        if rng.random() < 0.5:
            x, y = 170 + square % 33 * 7, 830 + square // 33 * 7
            page.draw_rect(pymupdf.Rect(x, y, x + 7, y + 7) * DOT, fill=0, color=None, width=0)
    terms = ["Track it: https://parcel.example/9960101234", "", "You have accepted our terms of carriage,",
             "which hang in this shop, and that parcels", "without a signature are left at the door."]  # fmt: skip
    _write(page, terms * 4, 1140)
    return document


def black_logo() -> pymupdf.Document:
    """White letters on black across the paper, then a short list."""
    document, page = _paper()
    page.draw_rect(pymupdf.Rect(0, 0, WIDTH, 300) * DOT, fill=0, color=0)
    page.insert_text((100 * DOT, 180 * DOT), "BLACK MARKET", fontsize=50 * DOT, fontname="hebo", color=1)
    _write(page, [*_goods(14), "", "Thank you for your visit!".center(48)], 360)
    return document


def ruled() -> pymupdf.Document:
    """A table with lines around every cell: hardly a row of dots without ink at both sides."""
    document, page = _paper()
    for y in range(20, 1900, 38):
        page.draw_line((0, y * DOT), (WIDTH * DOT, y * DOT), width=2 * DOT)
    for x in (2, 80, 400, 574):
        page.draw_line((x * DOT, 20 * DOT), (x * DOT, 1882 * DOT), width=2 * DOT)
    _write(page, [f" {line:.46}" for line in _goods(49)], 46, apart=38)
    return document


RECEIPTS: Mapping[str, Callable[[], pymupdf.Document]] = {
    "supermarket": supermarket, "restaurant": restaurant, "parcel": parcel, "black logo": black_logo,
    "55 prices": long_list, "table with rules": ruled,
}  # fmt: skip
