"""Documents made to hang, starve, fool or crash whoever draws them, each with how it must end (promises.md, 1.7).

Built here byte by byte, never stored: the largest takes 3.6 MB, and a PDF that asks for a gigabyte needs a generator
anyway. `DRAWN` is the outcome of a document that looks bad and is harmless.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.bridge.papers import CATALOG, pdf, stream

DRAWN = "drawn"


@dataclass(frozen=True)
class Hostile:
    """name: for the test's id. build: the document. ends: the outcomes that are right, DRAWN or error codes."""

    name: str
    build: Callable[[], bytes]
    ends: frozenset[str]


ONE_PAGE = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
SQUARE = b"0 0 0 rg 72 72 144 144 re f"


def one_page(
    content: bytes = SQUARE, *, box: bytes = b"[0 0 288 432]", page: bytes = b"", rest: tuple[bytes, ...] = ()
) -> bytes:
    """A PDF of one page, object 3, its content in object 4; `rest` are the objects from 5 on."""
    body = b"<</Type/Page/Parent 2 0 R/MediaBox%s/Contents 4 0 R%s>>" % (box, page)
    return pdf(CATALOG, ONE_PAGE, body, stream(content), *rest)


def many_kids(count: int) -> bytes:
    """One page, listed `count` times."""
    kids = b"<</Type/Pages/Count %d/Kids[%s]>>" % (count, b"3 0 R " * count)
    return pdf(CATALOG, kids, b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 432]/Contents 4 0 R>>", stream(SQUARE))


def false_count(count: int) -> bytes:
    """One page that says it is `count`."""
    kids = b"<</Type/Pages/Count %d/Kids[3 0 R]>>" % count
    return pdf(CATALOG, kids, b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 432]/Contents 4 0 R>>", stream(SQUARE))


def page_tree_cycle() -> bytes:
    """A page tree that contains itself, and no page."""
    return pdf(CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", b"<</Type/Pages/Parent 2 0 R/Count 1/Kids[2 0 R]>>")


def deep_page_tree(depth: int) -> bytes:
    """One page below `depth` nested nodes."""
    nodes = [b"<</Type/Pages/Count 1/Kids[%d 0 R]/Parent %d 0 R>>" % (n + 3, n + 1) for n in range(depth)]
    nodes[0] = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
    leaf = b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 288 432]/Contents %d 0 R>>" % (depth + 1, depth + 3)
    return pdf(CATALOG, *nodes, leaf, stream(SQUARE))


def flood(byte: int, size: int) -> bytes:
    """`size` times the same byte as zlib packs it, in a thousandth of the space and none of the time.

    A packed megabyte that ends in a full flush may be repeated; Adler's checksum of equal bytes has a closed form.
    """

    def packed(count: int) -> bytes:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(bytes([byte]) * count) + packer.flush(zlib.Z_FULL_FLUSH)

    full, rest = divmod(size, 1 << 20)
    low, high = 1 + size * byte, size + byte * size * (size + 1) // 2
    checksum = high % 65521 << 16 | low % 65521
    return b"\x78\xda" + packed(1 << 20) * full + packed(rest) + b"\x03\x00" + checksum.to_bytes(4)


def one_page_of(packed: bytes) -> bytes:
    """A PDF of one page with deflated content."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 432]/Contents 4 0 R>>"
    return pdf(CATALOG, ONE_PAGE, page, stream(packed, b"/Filter/FlateDecode"))


def huge_image(side: int) -> bytes:
    """A label with a white image of side x side pixels on it: 3.6 gigabytes of gray at 60,000."""
    facts = b"/Type/XObject/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8/Width %d/Height %d" % (side, side)
    image = stream(flood(0xFF, side * side), facts + b"/Filter/FlateDecode")
    return one_page(b"q 288 0 0 432 0 0 cm /I Do Q", page=b"/Resources<</XObject<</I 5 0 R>>>>", rest=(image,))


def nested_forms(levels: int, times: int) -> bytes:
    """Forms that draw forms: times ** levels squares from a few kilobytes."""
    forms = []
    for level in range(levels):
        last = level == levels - 1
        content = b"0 0 9 9 re f" if last else b"/F Do " * times
        resources = b"" if last else b"/Resources<</XObject<</F %d 0 R>>>>" % (level + 6)
        forms.append(stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 288 432]" + resources))
    return one_page(b"/F Do", page=b"/Resources<</XObject<</F 5 0 R>>>>", rest=tuple(forms))


def tiny_tiles(step: float, box: bytes) -> bytes:
    """A page filled with a tiling pattern of `step` points: billions of tiles."""
    extra = b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep %f/YStep %f/Resources<<>>"
    tile = stream(b"0 g 0 0 0.0005 0.0005 re f", extra % (step, step))
    content = b"/Pattern cs /P scn 0 0 4320 4320 re f"
    return one_page(content, box=box, page=b"/Resources<</Pattern<</P 5 0 R>>>>", rest=(tile,))


def form_that_draws_itself() -> bytes:
    """A form XObject that contains itself."""
    form = stream(b"/F Do", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F 5 0 R>>>>")
    return one_page(b"/F Do", page=b"/Resources<</XObject<</F 5 0 R>>>>", rest=(form,))


def encrypted() -> bytes:
    """A PDF that opens only with its password. RC4, 40 bit; the key's checksum is of no password at all."""
    padding = b"<%s>" % (b"5A" * 32)
    lock = b"<</Filter/Standard/V 1/R 2/P -4/O%s/U%s>>" % (padding, padding)
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 288 432]/Contents 4 0 R>>"
    identity = b"<00112233445566778899aabbccddeeff>"
    trailer = b"/Encrypt 5 0 R/ID[%s%s]" % (identity, identity)
    return pdf(CATALOG, ONE_PAGE, page, stream(SQUARE), lock, trailer=trailer)


def _cases() -> list[Hostile]:
    def case(name: str, build: Callable[[], bytes], *ends: str) -> Hostile:
        return Hostile(name, build, frozenset(ends))

    return [
        case("a sound label", one_page, DRAWN),
        case("14,400 pt square", lambda: one_page(box=b"[0 0 14400 14400]"), "page_too_large"),
        case("a billion points square", lambda: one_page(box=b"[0 0 1000000000 1000000000]"), "bad_page_size"),
        case("UserUnit 75000", lambda: one_page(page=b"/UserUnit 75000"), "bad_page_size"),
        case("MediaBox of zeros", lambda: one_page(box=b"[0 0 0 0]"), "bad_page_size"),
        case("MediaBox without height", lambda: one_page(box=b"[0 0 288 0]"), "bad_page_size"),
        case("MediaBox of NaN and inf", lambda: one_page(box=b"[NaN NaN inf inf]"), "bad_page_size"),
        case("MediaBox of two numbers", lambda: one_page(box=b"[288 432]"), "bad_page_size"),
        case("MediaBox that is a word", lambda: one_page(box=b"/Letter"), "bad_page_size"),
        case("MediaBox 1e999", lambda: one_page(box=b"[0 0 1%s 432]" % (b"0" * 999)), "bad_page_size"),
        case("MediaBox reversed", lambda: one_page(box=b"[288 432 0 0]"), DRAWN),
        case("200,000 kids", lambda: many_kids(200_000), "too_many_pages"),
        case("a Count of two billion", lambda: false_count(2_000_000_000), "too_many_pages", "broken_document"),
        case("a Count below zero", lambda: false_count(-7), "empty_document", "broken_document"),
        case("1 GB of blanks", lambda: one_page_of(flood(ord(" "), 1 << 30)), DRAWN, "render_cpu", "render_memory"),
        case("60,000 px square image", lambda: huge_image(60_000), DRAWN, "render_cpu", "render_memory"),
        case("10^11 nested forms", lambda: nested_forms(11, 10), "render_cpu"),
        case("a form that draws itself", form_that_draws_itself, DRAWN, "not_drawable"),
        case("tiles of 0.001 pt, 40 x 60 in", lambda: tiny_tiles(0.001, b"[0 0 2880 4320]"), "page_too_large"),
        case("tiles of 0.001 pt, 4 x 6 in", lambda: tiny_tiles(0.001, b"[0 0 288 432]"), "render_cpu"),
        case("a page tree in a circle", page_tree_cycle, "broken_document", "not_drawable", "empty_document"),
        case("a page tree 5,000 deep", lambda: deep_page_tree(5_000), DRAWN, "broken_document", "not_drawable"),
        case("cut off after 200 bytes", lambda: one_page()[:200], "broken_document"),
        case("cut off before its end", lambda: one_page()[:-40], "broken_document"),
        case("500,000 opening brackets", lambda: one_page(b"[" * 500_000), DRAWN, "not_drawable", "render_crashed"),
        case("a string of 1 GB", lambda: one_page_of(flood(ord("("), 1 << 30)), "render_cpu", "render_memory"),
        case("500,000 saved states", lambda: one_page(b"q " * 500_000 + SQUARE), DRAWN, "not_drawable"),
        case("an empty file", lambda: b"", "empty_document"),
        case("no page", lambda: pdf(CATALOG, b"<</Type/Pages/Count 0/Kids[]>>"), "empty_document"),
        case("encrypted", encrypted, "encrypted_pdf"),
        case("garbage after the header", lambda: b"%PDF-1.7\n" + bytes(range(256)) * 100, "broken_document"),
        case("not a PDF at all", lambda: b"PK\x03\x04" + b"label" * 100, "broken_document"),
    ]


CASES = _cases()
