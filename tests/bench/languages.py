"""A page in dots -> the bytes of each language, for the same 4 x 6 inch pages at 203 dpi, and their time on a wire.

The reference of a page is the least ZPL can be: its dots in hexadecimal, uncompressed. Rounds are interleaved, so that
noise hits all alike; a ratio is the median of the rounds' own ratios. Seconds on a serial line are bytes times 10 bits.
Languages of narrower printers refuse these pages.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial

import pymupdf

from devices import languages
from devices.barcodes import code128
from devices.contracts import Bitmap, Media
from devices.raster import to_bitmap
from devices.readers.escpos import read
from tests.bench.table import show
from tests.bridge.papers import shipping_label

ROUNDS = 15
LABEL = Media(203, 101.6, 152.4)
UNCOMPRESSED = ("cpcl", "epl2", "star", "tspl")
RECEIPT = Media(203, 72.0)
BAUDS = (9600, 115_200)
WORDS = "The quick brown fox jumps over the lazy dog while 1,234 parcels wait at the dock of Springfield.".split()


def hexadecimal(page: Bitmap) -> bytes:
    """Uncompressed ZPL, nothing clever in it."""
    size = len(page.rows)
    head = b"^XA^PW%d^LL%d^FO0,0^GFA,%d,%d,%d," % (page.width, page.height, size, size, page.stride)
    return head + page.rows.hex().upper().encode() + b"^FS^XZ"


def _drawn(document: pymupdf.Document, dpi: int = 203) -> Bitmap:
    pixels = document[0].get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY, alpha=False)
    return to_bitmap(pixels.samples_mv, pixels.width, pixels.height, pixels.stride)


def _text(width: float, height: float) -> pymupdf.Document:
    """A page full of text; points."""
    rng, document = random.Random(1), pymupdf.open()
    page = document.new_page(width=width, height=height)
    for line in range(12, int(height) - 6, 11):
        page.insert_text((12, line), " ".join(rng.choices(WORDS, k=int(width / 28))), fontsize=9)
    return document


def _gray(width: int, height: int) -> bytes:
    """Soft shapes with grain: a photograph as an encoder sees it."""
    rng = random.Random(2)
    rows = []
    for y in range(height):
        grain = rng.randbytes(width)
        rows.append(bytes((x * 255 // width + y * 255 // height + grain[x] // 8) // 2 % 256 for x in range(width)))
    return b"".join(rows)


@cache
def _pages() -> Mapping[str, Bitmap]:
    width, height = LABEL.width, LABEL.height
    assert height is not None
    return {
        "text page": _drawn(_text(288, 432)),
        "shipping label": _drawn(pymupdf.open(stream=shipping_label(1), filetype="pdf")),
        "photo": to_bitmap(_gray(width, height), width, height, width, dither=True),
    }


@cache
def _hard_pages() -> Mapping[str, Bitmap]:
    """Pages that have nothing to leave out, or too much."""
    width, stride, height = LABEL.width // 8 * 8, LABEL.width // 8, 1216
    bars = b"".join(bytes([0xFF >> each % 7 << each % 3 & 0xFF]) for each in code128("The quick brown fox"))
    barcode = (bytes(8) + bars).ljust(stride, b"\0")[:stride]
    rows = {
        "noise": random.Random(4).randbytes(stride * height),
        "black": b"\xff" * stride * height,
        "blank": bytes(stride * height),
        "hairlines": (b"\xff" * stride + bytes(stride)) * (height // 2),
        "barcodes": (barcode * 200 + bytes(stride * 104)) * 4,
    }
    return {title: Bitmap(width, height, dots) for title, dots in rows.items()}


def _interleaved(contenders: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """ms of every round, by name."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - began) * 1000)
    return times


def _ratio(times: dict[str, list[float]], name: str, reference: str) -> float:
    return statistics.median(a / b for a, b in zip(times[name], times[reference], strict=True))


def _labels() -> None:
    rows: list[tuple[object, ...]] = []
    for title, page in _pages().items():
        contenders: dict[str, Callable[[], bytes]] = {"(hexadecimal)": partial(hexadecimal, page)}
        refused: list[str] = []
        for name in languages.names():
            encode = partial(languages.load(name).encode, page, media=LABEL)
            try:
                encode()
            except ValueError:
                refused.append(name)
            else:
                contenders[name] = encode
        times = _interleaved(contenders)
        for name, run in contenders.items():
            size = len(run())
            wire = [size * 10 / baud for baud in BAUDS]
            took = statistics.median(times[name])
            rows.append((title, name, took, _ratio(times, name, "(hexadecimal)"), f"{size:,}", *wire))
        rows += [(title, name, "too wide", "", "", "", "") for name in refused]
    head = ("page", "language", "ms", "x hexadecimal", "bytes", *(f"s at {baud:,} baud" for baud in BAUDS))
    show("A 4 x 6 inch page at 203 dpi -> each language (reference: uncompressed hexadecimal ZPL)", head, rows)


def _extremes() -> None:
    found: dict[str, list[object]] = {}
    for page in _hard_pages().values():
        contenders = {name: partial(languages.load(name).encode, page, media=LABEL) for name in UNCOMPRESSED}
        times = _interleaved({"(hexadecimal)": partial(hexadecimal, page), **contenders})
        for name in contenders:
            found.setdefault(name, []).append(_ratio(times, name, "(hexadecimal)"))
    rows = [(name, *ratios) for name, ratios in found.items()]
    show("x hexadecimal, on pages with nothing to leave out, or too much", ("language", *_hard_pages()), rows)


def _shop_receipt() -> pymupdf.Document:
    """72 mm of a supermarket's receipt: its logo, what was bought, the taxes, a barcode; letters 12 dots wide, points.

    Lines are 34 dots apart, as receipt printers have them. Every line of goods has a price at the right.
    """
    dot, rng = 72 / 203, random.Random(3)
    document = pymupdf.open()
    page = document.new_page(width=576 * dot, height=2000 * dot)
    page.draw_oval(pymupdf.Rect(200, 16, 376, 136) * dot, fill=0, color=0)
    page.insert_text((224 * dot, 87 * dot), "MARKET", fontsize=32 * dot, fontname="hebo", color=1)
    goods = [
        f"{rng.randint(1, 4)} x {' '.join(rng.sample(WORDS, 2)):.32}".ljust(40) + f"{rng.uniform(0.5, 20):8.2f}"
        for _ in range(24)
    ]
    header = ["Springfield Market".center(48), "742 Evergreen Terrace".center(48), "Tel. 555 0142".center(48), ""]
    footer = [
        "-" * 48, f"{'TOTAL EUR':40}{214.35:8.2f}", f"{'Card':40}{214.35:8.2f}", "",
        "VAT  7 %   net 151.20   tax 10.58", "VAT 19 %   net  44.17   tax  8.40", "",
        "Cashier 4   Till 3   2026-03-14 16:52", "Receipt 0042-118-7731", "",
        "Thank you for your visit!".center(48), "", "You may return what you do not like",
        "within 14 days, with this receipt.",
    ]  # fmt: skip
    for place, line in enumerate([*header, *goods, *footer]):
        page.insert_text((0, (180 + 34 * place) * dot), line, fontsize=20 * dot, fontname="cour")
    widths, x = code128("00421187731"), 140
    for place, width in enumerate(widths):
        if place % 2 == 0:
            page.draw_rect(pymupdf.Rect(x, 1790, x + width * 3, 1940) * dot, fill=0, color=None, width=0)
        x += width * 3
    return document


def _receipt() -> None:
    """576 x 2000 dots, from gray to bytes, as python-escpos's image() does it."""
    width, height = 576, 2000
    gray = _gray_of(_shop_receipt(), width, height)
    page = to_bitmap(gray, width, height, width)
    language = languages.load("escpos")
    [label] = read(language.encode(page, media=RECEIPT), dots=width)
    assert label.bitmap == page
    contenders: dict[str, Callable[[], bytes]] = {
        "(hexadecimal)": lambda: hexadecimal(page),
        "ours, from gray": lambda: language.encode(to_bitmap(gray, width, height, width), media=RECEIPT),
        "ours, encode alone": lambda: language.encode(page, media=RECEIPT),
    }
    with _peer(gray, width, height) as peer:
        if peer:
            contenders["python-escpos image()"] = peer
        times = _interleaved(contenders)
        sizes = {name: len(run()) for name, run in contenders.items()}
    rows = []
    for name, size in sizes.items():
        against = (_ratio(times, name, [*sizes][-1]), size / [*sizes.values()][-1]) if peer else ("", "")
        wire = [size * 10 / baud for baud in BAUDS]
        took = statistics.median(times[name])
        rows.append((name, took, _ratio(times, name, "(hexadecimal)"), against[0], f"{size:,}", against[1], *wire))
    head = ("path", "ms", "x hexadecimal", "x python-escpos", "bytes", "bytes x python-escpos")
    show("A receipt of 576 x 2000 dots -> ESC/POS", (*head, *(f"s at {baud:,} baud" for baud in BAUDS)), rows)


def _gray_of(document: pymupdf.Document, width: int, height: int) -> bytes:
    """Its first page at 203 dpi, a byte a pixel."""
    pixels = document[0].get_pixmap(dpi=203, colorspace=pymupdf.csGRAY, alpha=False)
    rows = [bytes(pixels.samples_mv[y * pixels.stride :][: min(width, pixels.width)]) for y in range(height)]
    return b"".join([row.ljust(width, b"\xff") for row in rows])


@contextmanager
def _peer(gray: bytes, width: int, height: int) -> Iterator[Callable[[], bytes] | None]:
    """python-escpos's own way to print a picture; None when it is not installed."""
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # python-escpos makes a folder there when it is imported
        try:
            from escpos.printer import Dummy
            from PIL import Image
        except ImportError:
            yield None
            return
        finally:
            tempfile.tempdir = None
        picture = Image.frombytes("L", (width, height), gray)

        def run() -> bytes:
            printer = Dummy(profile="TM-T20II")  # 576 dots
            printer.image(picture)
            return bytes(printer.output)

        yield run


def main() -> None:
    _labels()
    _extremes()
    _receipt()
