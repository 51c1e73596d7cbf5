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
from devices.contracts import PLAIN, Bitmap, Media, Tuning
from devices.raster import to_bitmap
from devices.readers.escpos import read
from tests.bench.languages_receipts import HEIGHT, RECEIPTS, WIDTH, WORDS, gray
from tests.bench.table import show
from tests.bridge.papers import shipping_label

ROUNDS = 15
LABEL = Media(203, 101.6, 152.4)
UNCOMPRESSED = ("cpcl", "epl2", "escpos", "star", "tspl")
RECEIPT = Media(203, 72.0)
BAUDS = (9600, 115_200)


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
    """Pages that have nothing to leave out, or too much; as wide as every printer."""
    width, stride, height = WIDTH, WIDTH // 8, 1216
    bars = b"".join(bytes([0xFF >> each % 7 << each % 3 & 0xFF]) for each in code128("The quick brown fox"))
    barcode = (bytes(8) + bars).ljust(stride, b"\0")[:stride]
    rows = {
        "noise": random.Random(4).randbytes(stride * height),
        "black": b"\xff" * stride * height,
        "blank": bytes(stride * height),
        "every other row": (b"\xff" * stride + bytes(stride)) * (height // 2),
        "two of four rows": (b"\xff" * stride * 2 + bytes(stride * 2)) * (height // 4),
        "200 hairlines": (b"\xff" * stride + bytes(stride * 5)) * 200 + bytes(stride * 16),
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


def _receipts() -> None:
    """Each from gray to bytes, as python-escpos's image() does it; ours without a profile, and as for a TM-T20."""
    rows: list[tuple[object, ...]] = []
    for title, document in RECEIPTS.items():
        pixels = gray(document())
        page = to_bitmap(pixels, WIDTH, HEIGHT, WIDTH)
        ours = {profile: _read_back(page, Tuning(profile=profile)) for profile in (None, "tm-t20")}
        with _peer(pixels) as peer:
            contenders: dict[str, Callable[[], bytes]] = {
                "(hexadecimal)": partial(hexadecimal, page),
                "from gray": partial(_from_gray, pixels),
                "ours": partial(_encoded, page),
            } | ({"(python-escpos)": peer} if peer else {})
            times = _interleaved(contenders)
        size = len(peer()) if peer else len(page.rows)
        rows.append((
            title, statistics.median(times["from gray"]), _ratio(times, "ours", "(hexadecimal)"),
            _ratio(times, "from gray", "(python-escpos)") if peer else "",
            *(f"{len(data):,}" for data in ours.values()), *(len(data) / size for data in ours.values()),
            *(len(ours[None]) * 10 / baud for baud in BAUDS),
        ))  # fmt: skip
    head = ("receipt", "ms", "x hexadecimal", "x python-escpos", "bytes", "tm-t20", "bytes x python-escpos", "tm-t20")
    title = "Receipts of 576 x 2000 dots -> ESC/POS; tm-t20: with that profile"
    show(title, (*head, *(f"s at {baud:,} baud" for baud in BAUDS)), rows)


def _from_gray(pixels: bytes) -> bytes:
    return _encoded(to_bitmap(pixels, WIDTH, HEIGHT, WIDTH))


def _encoded(page: Bitmap, tuning: Tuning = PLAIN) -> bytes:
    return languages.load("escpos").encode(page, media=RECEIPT, tuning=tuning)


def _read_back(page: Bitmap, tuning: Tuning) -> bytes:
    """Its bytes, which are the same dots again."""
    data = _encoded(page, tuning)
    [label] = read(data, dots=WIDTH)
    assert label.bitmap == page
    return data


@contextmanager
def _peer(pixels: bytes) -> Iterator[Callable[[], bytes] | None]:
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
        picture = Image.frombytes("L", (WIDTH, HEIGHT), pixels)

        def run() -> bytes:
            printer = Dummy(profile="TM-T20II")  # 576 dots
            printer.image(picture)
            return bytes(printer.output)

        yield run


def main() -> None:
    _labels()
    _extremes()
    _receipts()
