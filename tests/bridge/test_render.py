"""Drawing in a child process: the right dots, at the right size, and no document that takes the server with it."""

from __future__ import annotations

import io
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

from bridge.prepare.render import DrawRequest, Limits, PageDrawn, RenderChild, RenderFailed
from devices import raster
from devices.contracts import Bitmap, Media, Tuning
from devices.readers.zpl import read
from tests.bridge.hostile import CASES, DRAWN, Hostile, nested_forms, one_page
from tests.bridge.papers import batch, shipping_label, tracking
from tests.bridge.shop import until

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyMuPDF 1.26 warns of its own SWIG types, and crashes when that is an error
    import pymupdf

LABEL = DrawRequest("pdf", "zpl", 203, 101.6, 152.4)
SLOW_PAGE = nested_forms(7, 8)  # two million squares, half a second and more
posix = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")


@pytest.fixture(scope="module")
def studio() -> Iterator[RenderChild]:
    with RenderChild() as child:
        yield child


def draw(studio: RenderChild, request: DrawRequest, document: bytes | Path) -> list[PageDrawn]:
    """All pages of the document."""
    pages: list[PageDrawn] = []

    def keep(page: PageDrawn) -> bool:
        pages.append(page)
        return True

    assert studio.draw(request, document, keep) == len(pages)
    return pages


def refusal(studio: RenderChild, request: DrawRequest, document: bytes | Path) -> RenderFailed:
    """The error that drawing ends with."""
    with pytest.raises(RenderFailed) as caught:
        studio.draw(request, document, lambda page: True)
    return caught.value


def request(**changes: object) -> DrawRequest:
    """A request for a 4 x 6 in label at 203 dpi, with changes."""
    facts = {name: getattr(LABEL, name) for name in LABEL.__slots__}
    return DrawRequest(**(facts | changes))


def bitmap(page: PageDrawn) -> Bitmap:
    """The picture in the printer's bytes, on the whole label."""
    [label] = read(page.data)
    assert label.bitmap is not None
    return label.bitmap


def dots(page: Bitmap) -> NDArray[np.bool_]:
    """True where ink is."""
    rows = np.frombuffer(page.rows, np.uint8).reshape(page.height, page.stride)
    return np.unpackbits(rows, axis=1, count=page.width).astype(bool)


def ink(page: PageDrawn) -> NDArray[np.bool_]:
    return dots(bitmap(page))


def paper(width: float, height: float, *rectangles: tuple[int, int, int, int]) -> bytes:
    """A one-page PDF, in points; rectangles: x0, y0, x1, y1 in dots of 203 dpi from the top left corner."""
    document = pymupdf.open()
    page = document.new_page(width=width, height=height)
    for rectangle in rectangles:
        page.draw_rect([edge * 72 / 203 for edge in rectangle], color=None, fill=0)
    return bytes(document.tobytes())


# --- size and place ---------------------------------------------------------------------------------------------


def test_a_page_of_the_label_s_size_is_drawn_dot_for_dot(studio: RenderChild) -> None:
    [page] = draw(studio, LABEL, paper(288, 432, (10, 20, 110, 220)))
    assert (page.factor, page.rotated, page.width, page.height) == (1.0, 0, 812, 1218)
    expected = np.zeros((1218, 812), bool)
    expected[20:220, 10:110] = True
    assert (ink(page) == expected).all()


def test_the_label_s_size_is_said_to_the_printer_even_when_the_page_is_smaller(studio: RenderChild) -> None:
    [page] = draw(studio, LABEL, paper(144, 144, (0, 0, 50, 50)))
    assert (page.factor, page.width, page.height) == (1.0, 406, 406)
    assert b"^PW812^LL1218" in page.data
    assert ink(page)[:50, :50].all()


@pytest.mark.parametrize("millimeters", [101.3, 101.6, 102.0])
def test_half_a_millimeter_is_no_reason_to_scale(studio: RenderChild, millimeters: float) -> None:
    [page] = draw(studio, LABEL, paper(millimeters / 25.4 * 72, 432, (10, 20, 110, 220)))
    assert page.factor == 1.0 and page.width <= 812
    assert ink(page)[20:220, 10:110].all() and ink(page).sum() == 200 * 100


def test_a_larger_page_is_shrunk_to_the_label(studio: RenderChild) -> None:
    [page] = draw(studio, LABEL, paper(595.28, 841.89, (0, 0, 1600, 2300)))
    assert (page.factor, page.rotated) == (0.484, 0)
    assert (page.width, page.height) == (812, 1149)


def test_fit_none_clips_instead(studio: RenderChild) -> None:
    [page] = draw(studio, request(fit="none"), paper(595.28, 841.89, (0, 0, 1600, 2300)))
    assert (page.factor, page.width, page.height) == (1.0, 812, 1218)
    assert ink(page).all()


def test_continuous_media_limit_only_the_width(studio: RenderChild) -> None:
    [page] = draw(studio, request(height_mm=None), paper(288, 2000, (0, 5000, 812, 5100)))
    assert (page.factor, page.width, page.height) == (1.0, 812, 5639)
    assert ink(page)[5000:5100].all()


def test_a_landscape_page_is_turned_clockwise(studio: RenderChild) -> None:
    [page] = draw(studio, LABEL, paper(432, 288, (0, 0, 300, 100)))
    assert (page.factor, page.rotated, page.width, page.height) == (1.0, 90, 812, 1218)
    expected = np.zeros((1218, 812), bool)
    expected[:300, 712:] = True
    assert (ink(page) == expected).all()


def test_a_small_landscape_page_that_fits_is_left_alone(studio: RenderChild) -> None:
    [page] = draw(studio, LABEL, paper(280, 100, (0, 0, 300, 100)))
    assert (page.factor, page.rotated) == (1.0, 0)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turning_by_order_is_the_same_as_turning_the_dots(studio: RenderChild, degrees: int) -> None:
    document = paper(144, 144, (7, 13, 107, 33), (7, 13, 27, 213))
    [upright] = draw(studio, request(width_mm=50.8, height_mm=50.8, rotate=0), document)
    [turned] = draw(studio, request(width_mm=50.8, height_mm=50.8, rotate=degrees), document)
    assert turned.rotated == degrees
    assert (dots(raster.rotate(bitmap(upright), degrees // 90)) == ink(turned)).all()


def test_the_page_s_own_rotation_counts(studio: RenderChild) -> None:
    [page] = draw(studio, LABEL, one_page(box=b"[0 0 432 288]", page=b"/Rotate 90"))
    assert (page.rotated, page.width, page.height) == (0, 812, 1218)


@pytest.mark.parametrize(
    ("page", "media", "expected"),
    [
        ((812, 1218), (812, 1218), (1.0, 0, 812, 1218)),
        ((813, 1219), (812, 1218), (1.0, 0, 812, 1218)),
        ((1624, 1218), (812, 1218), (2 / 3, 90, 812, 1083)),
        ((850, 850), (812, 1218), (812 / 850, 0, 812, 812)),
        ((1218, 812), (812, None), (1.0, 90, 812, 1218)),
        ((0.3, 0.2), (812, 1218), (1.0, 0, 1, 1)),
    ],
)
def test_where_a_page_lands(
    page: tuple[float, float], media: tuple[int, int | None], expected: tuple[float, int, int, int]
) -> None:
    width, height = media
    placed = raster.place(*page, Media(203, width * 25.4 / 203, height and height * 25.4 / 203))
    assert (placed.factor, placed.turn, placed.width, placed.height) == expected


# --- dots -------------------------------------------------------------------------------------------------------


def test_ink_is_where_the_gray_is_below_the_level_and_padding_is_white() -> None:
    page = raster.to_bitmap(bytes([0, 127, 128, 255, 9]) * 2, 4, 2, 5)
    assert page == Bitmap(4, 2, b"\xc0\xc0")


def test_dithering_keeps_white_and_black_and_the_average_of_gray() -> None:
    for gray, share in ((0, 1.0), (255, 0.0), (128, 0.5), (64, 0.75)):
        page = raster.to_bitmap(bytes([gray]) * 64 * 64, 64, 64, 64, dither=True)
        assert dots(page).mean() == pytest.approx(share, abs=0.02)


def test_four_quarter_turns_are_none() -> None:
    page = raster.to_bitmap(bytes(255 * (x * x % 7 > 2) for x in range(33)), 11, 3, 11)
    assert raster.rotate(raster.rotate(page, 1), 3) == page
    assert raster.rotate(page, 1).width == 3


@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="needs poppler-utils")
def test_the_picture_is_poppler_s_but_for_edges(studio: RenderChild, tmp_path: Path) -> None:
    document = pymupdf.open()
    page = document.new_page(width=288, height=432)
    page.insert_font(fontname="F0", fontbuffer=pymupdf.Font("helv").buffer)  # embedded: both draw the same outlines
    for line in range(8):  # few: MuPDF places glyphs more exactly than poppler does, so all their edges differ
        text = f"{line} Hafenstraße 12, 20457 Hamburg"
        page.insert_text((20, 140 + 24 * line), text, fontname="F0", fontsize=6 + line)
    for bar in range(40):
        page.draw_rect([20.3 + 5 * bar, 395, 20.3 + 5 * bar + 0.7 * (bar % 4 + 1), 425], color=None, fill=0)
    page.draw_circle((230, 60), 40.5)
    source = tmp_path / "page.pdf"
    source.write_bytes(document.tobytes())
    command = ["pdftoppm", "-r", "203", "-gray", "-singlefile", str(source), str(tmp_path / "page")]
    subprocess.run(command, check=True, capture_output=True)
    theirs = np.asarray(Image.open(tmp_path / "page.pgm")) < 128
    ours = ink(draw(studio, LABEL, source)[0])
    assert ours.shape == theirs.shape
    differing = ours != theirs
    assert differing.mean() < 0.01
    assert not (differing & ~(edges(ours) | edges(theirs))).any()


def edges(picture: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Dots with a neighbor (of eight) of the other color."""
    padded = np.pad(picture, 1, mode="edge")
    height, width = picture.shape
    around = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.logical_or.reduce(around) & ~np.logical_and.reduce(around)


@pytest.mark.parametrize("dpi", [203, 300, 600])
def test_a_barcode_can_be_read_from_the_dots(studio: RenderChild, dpi: int) -> None:
    [page] = draw(studio, request(dpi=dpi), shipping_label(5))
    picture = np.where(ink(page), 0, 255).astype(np.uint8)
    found = [code.text for code in zxingcpp.read_barcodes(picture)]
    assert found == [tracking(5)]


def test_filled_form_fields_and_stamps_are_printed(studio: RenderChild) -> None:
    document = pymupdf.open()
    page = document.new_page(width=288, height=432)
    field = pymupdf.Widget()
    field.field_name, field.field_type, field.rect = "name", pymupdf.PDF_WIDGET_TYPE_TEXT, pymupdf.Rect(20, 20, 200, 60)
    field.field_value, field.text_fontsize = "HHHHHHHH", 24
    page.add_widget(field)
    page.add_rect_annot(pymupdf.Rect(20, 200, 200, 300)).update(fill_color=(0, 0, 0))
    [drawn] = draw(studio, LABEL, bytes(document.tobytes()))
    assert ink(drawn)[56:169, 56:564].sum() > 1000
    assert ink(drawn)[600:800, 100:500].all()


def test_an_owner_s_password_does_not_stop_printing(studio: RenderChild) -> None:
    document = pymupdf.open("pdf", paper(288, 432, (0, 0, 100, 100)))
    locked = document.tobytes(encryption=pymupdf.PDF_ENCRYPT_AES_256, owner_pw="boss", permissions=0)
    [page] = draw(studio, LABEL, bytes(locked))
    assert ink(page)[:100, :100].all()


@pytest.mark.parametrize("method", [pymupdf.PDF_ENCRYPT_RC4_128, pymupdf.PDF_ENCRYPT_AES_256])
def test_a_user_s_password_does(studio: RenderChild, method: int) -> None:
    locked = pymupdf.open("pdf", shipping_label(1)).tobytes(encryption=method, owner_pw="a", user_pw="b")
    error = refusal(studio, LABEL, bytes(locked))
    assert error.code == "encrypted_pdf"
    assert str(error) == "the PDF is encrypted with a password; print it to a new PDF without a password"


def test_what_the_engine_could_not_draw_is_counted(studio: RenderChild) -> None:
    assert draw(studio, LABEL, shipping_label(1))[0].flaws == 0
    assert draw(studio, LABEL, one_page(b"/Missing Do"))[0].flaws > 0
    assert draw(studio, LABEL, shipping_label(1))[0].flaws == 0


def test_an_svg_is_drawn_in_points(studio: RenderChild) -> None:
    drawing = b'<svg xmlns="http://www.w3.org/2000/svg" width="72" height="36"><rect width="36" height="36"/></svg>'
    [page] = draw(studio, request(kind="svg"), drawing)
    assert (page.width, page.height) == (203, 102)
    assert ink(page)[:101, :101].all() and not ink(page)[:, 103:].any()


# --- images -----------------------------------------------------------------------------------------------------


def image(kind: str, size: tuple[int, int], **options: object) -> tuple[bytes, NDArray[np.bool_]]:
    """An image of random black and white 8 x 8 blocks, and where it is black."""
    blocks = np.random.default_rng(7).integers(0, 2, (size[1] // 8, size[0] // 8)).astype(bool)
    black = np.kron(blocks, np.ones((8, 8), bool)).astype(bool)
    file = io.BytesIO()
    Image.fromarray(np.where(black, 0, 255).astype(np.uint8)).save(file, kind, **options)
    return file.getvalue(), black


@pytest.mark.parametrize("kind", ["png", "jpeg"])
@pytest.mark.parametrize("dpi", [None, 72, 96, 200, 203, 203.2, 1, 5000])
def test_a_pixel_is_a_dot(studio: RenderChild, kind: str, dpi: float | None) -> None:
    data, black = image(kind, (400, 304), **({"dpi": (dpi, dpi)} if dpi else {}))
    [page] = draw(studio, request(kind=kind), data)
    assert (page.factor, page.width, page.height) == (1.0, 400, 304)
    assert (ink(page)[:304, :400] == black).all()


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_resolution_meant_for_paper_is_honored(studio: RenderChild, kind: str) -> None:
    data, _ = image(kind, (600, 304), dpi=(300, 300))
    [page] = draw(studio, request(kind=kind), data)
    assert (page.factor, page.width, page.height) == (1.0, 406, 206)


def test_a_larger_image_is_shrunk(studio: RenderChild) -> None:
    data, _ = image("png", (1624, 800))
    [page] = draw(studio, request(kind="png", rotate=0), data)
    assert (page.factor, page.width, page.height) == (0.5, 812, 400)


def test_transparent_is_white_and_color_is_gray(studio: RenderChild) -> None:
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    picture.paste((0, 0, 120, 255), (0, 0, 32, 64))
    file = io.BytesIO()
    picture.save(file, "png")
    [page] = draw(studio, request(kind="png"), file.getvalue())
    assert ink(page)[:64, :32].all() and ink(page).sum() == 32 * 64


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_half_an_image_is_not_printed(studio: RenderChild, kind: str) -> None:
    data, _ = image(kind, (400, 304))
    error = refusal(studio, request(kind=kind), data[: len(data) // 2])
    assert error.code == "broken_document" and "cut off" in error.text


@pytest.mark.parametrize("kind", ["png", "jpeg", "svg", "pdf"])
def test_a_document_is_only_opened_as_what_it_is_said_to_be(studio: RenderChild, kind: str) -> None:
    for data in (image("gif", (64, 64))[0], b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"<html><p>no</p></html>"):
        assert refusal(studio, request(kind=kind), data).code == "broken_document"


def test_an_image_of_a_billion_pixels_is_refused_undecoded(studio: RenderChild) -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40_000, 40_000, 1, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    error = refusal(studio, request(kind="png"), data)
    assert error.code == "page_too_large" and "1,600 million" in error.text


def test_words_it_does_not_know_are_refused(studio: RenderChild) -> None:
    assert refusal(studio, request(language="klingon"), shipping_label(1)).code == "unknown_language"
    assert refusal(studio, request(kind="xps"), shipping_label(1)).code == "unknown_kind"
    assert refusal(studio, request(copies=0), shipping_label(1)).code == "not_encodable"


def test_a_page_for_which_the_head_is_too_narrow_is_a_fault_of_the_printers_settings(studio: RenderChild) -> None:
    wrong = request(language="escpos", dpi=203, width_mm=72, height_mm=100, tuning=Tuning(profile="tm-t88"))
    refused = refusal(studio, wrong, shipping_label(1))
    assert "533 dots wide, and the head of the profile 'tm-t88' has 512" in refused.text
    assert refused.remedy == "change the printer's settings (dpi, width_mm)"


# --- many pages -------------------------------------------------------------------------------------------------


def test_pages_come_one_by_one_and_in_order(studio: RenderChild) -> None:
    pages = draw(studio, LABEL, batch(12))
    assert [(page.page, page.of) for page in pages] == [(n, 12) for n in range(1, 13)]
    assert len({page.data for page in pages}) == 12


def test_page_one_leaves_while_the_others_are_drawn(studio: RenderChild) -> None:
    draw(studio, LABEL, batch(1))  # the child is warm
    started = time.monotonic()
    seen: list[float] = []
    studio.draw(LABEL, batch(400), lambda page: seen.append(time.monotonic() - started) is None)
    assert seen[0] < seen[-1] / 2


def test_copies_are_said_to_the_printer_when_that_keeps_the_order(studio: RenderChild) -> None:
    def copies(document: bytes, **options: object) -> set[int]:
        return {page.copies for page in draw(studio, request(copies=3, **options), document)}

    assert copies(batch(1)) == copies(batch(1), collate=True) == copies(batch(2), collate=False) == {3}
    assert copies(batch(2)) == copies(batch(2), collate=True) == {1}
    assert b"^PQ3" in draw(studio, request(copies=3), batch(1))[0].data


def test_the_rest_can_be_abandoned(studio: RenderChild) -> None:
    seen: list[int] = []

    def two_are_enough(page: PageDrawn) -> bool:
        seen.append(page.page)
        return page.page < 2

    assert studio.draw(LABEL, batch(50), two_are_enough) == 2
    assert seen == [1, 2]
    assert len(draw(studio, LABEL, batch(3))) == 3


def test_a_bad_page_does_not_take_back_the_good_ones_before_it(studio: RenderChild) -> None:
    document = batch(3).replace(b"/Parent 2 0 R/Contents 14 0 R", b"/MediaBox[0 0 0 0]/Contents 0 0 R")
    seen: list[int] = []
    with pytest.raises(RenderFailed) as caught:
        studio.draw(LABEL, document, lambda page: seen.append(page.page) is None)
    assert seen == [1, 2]
    assert (caught.value.code, caught.value.page) == ("bad_page_size", 3)


def test_what_on_page_raises_comes_out_and_the_next_document_is_drawn(studio: RenderChild) -> None:
    def full(page: PageDrawn) -> bool:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        studio.draw(LABEL, batch(20), full)
    assert len(draw(studio, LABEL, batch(2))) == 2


def test_a_pdf_is_read_from_a_path_without_being_loaded(studio: RenderChild, tmp_path: Path) -> None:
    source = tmp_path / "large.pdf"
    body = shipping_label(1)
    source.write_bytes(body + b"%" * 40_000_000 + b"\n" + body[body.rindex(b"startxref") :])
    draw(studio, LABEL, source)
    before = psutil.Process().memory_info().rss
    assert len(draw(studio, LABEL, source)) == 1
    assert psutil.Process().memory_info().rss - before < 5_000_000


def test_a_document_that_is_gone_is_named(studio: RenderChild, tmp_path: Path) -> None:
    error = refusal(studio, LABEL, tmp_path / "gone.pdf")
    assert error.code == "document_unreadable" and "gone.pdf" in error.text


# --- hostile documents ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def suspect() -> Iterator[RenderChild]:
    """A child with little patience, so that the tests are not slow."""
    with RenderChild(Limits(cpu_s=1.2, wall_s=120)) as child:
        yield child


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_document_ends_with_its_code(suspect: RenderChild, case: Hostile, tmp_path: Path) -> None:
    source = tmp_path / "hostile.pdf"
    source.write_bytes(case.build())
    before, started = psutil.Process().memory_info().rss, time.monotonic()
    try:
        outcome = DRAWN if draw(suspect, LABEL, source) else "no page"
    except RenderFailed as error:
        outcome = error.code
        assert error.text and error.remedy
    assert outcome in case.ends
    assert time.monotonic() - started < 150  # the limit is ten seconds of processor time
    assert psutil.Process().memory_info().rss - before < 10 << 20
    assert len(draw(suspect, LABEL, shipping_label(1))) == 1


def test_a_hostile_document_delays_nobody_on_another_child(studio: RenderChild) -> None:
    studio.warm()
    with RenderChild(Limits(cpu_s=60, wall_s=120)) as suspect:
        hostile = threading.Thread(target=refusal, args=(suspect, LABEL, nested_forms(11, 10)))
        hostile.start()
        until(lambda: suspect.busy)
        draw(studio, LABEL, shipping_label(1))
        assert suspect.busy
        suspect.close()
        hostile.join()


def test_memory_has_a_limit() -> None:
    data, _ = image("png", (6000, 6000))
    with RenderChild(Limits(memory_mb=230)) as child:
        assert len(draw(child, LABEL, shipping_label(1))) == 1
        assert refusal(child, request(kind="png"), data + b"\0" * 100_000_000).code == "render_memory"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_child_has_given_up_what_it_does_not_need(studio: RenderChild) -> None:
    import resource

    draw(studio, LABEL, shipping_label(1))
    assert studio.pid
    for limit, value in (
        (resource.RLIMIT_AS, 768 << 20), (resource.RLIMIT_NOFILE, 32), (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        assert resource.prlimit(studio.pid, limit) == (value, value)
    assert 0 < resource.prlimit(studio.pid, resource.RLIMIT_CPU)[0] < 1000
    assert "NoNewPrivs:\t1" in Path(f"/proc/{studio.pid}/status").read_text()
    names = [entry.split("=")[0] for entry in Path(f"/proc/{studio.pid}/environ").read_text().split("\0") if entry]
    assert sorted(names) == ["MALLOC_ARENA_MAX", "OPENBLAS_NUM_THREADS"]
    assert os.getsid(studio.pid) == studio.pid


# --- the life of a child ----------------------------------------------------------------------------------------


def killing(child: RenderChild, number: int, seen: list[int], *pages: int) -> Callable[[PageDrawn], bool]:
    """An on_page that sends signal `number` to the child at these pages."""

    def on_page(page: PageDrawn) -> bool:
        seen.append(page.page)
        if page.page in pages:
            assert child.pid
            os.kill(child.pid, number)
        return True

    return on_page


@pytest.mark.parametrize(
    ("skip", "take", "wanted"), [(0, 1, [1]), (2, 3, [3, 4, 5]), (4, None, [5]), (0, 5, [1, 2, 3, 4, 5])]
)
def test_only_the_pages_that_are_asked_for_are_drawn(
    studio: RenderChild, skip: int, take: int | None, wanted: list[int]
) -> None:
    whole = draw(studio, LABEL, batch(5))
    some = draw(studio, replace(LABEL, skip=skip, take=take), batch(5))
    assert [page.data for page in some] == [whole[number - 1].data for number in wanted]
    assert [(page.page, page.of) for page in some] == [(n, len(wanted)) for n in range(1, len(wanted) + 1)]


@pytest.mark.parametrize(("skip", "take", "wanted"), [(5, 1, 6), (3, 3, 6), (9, None, 10)])
def test_pages_a_document_does_not_have_are_refused(skip: int, take: int | None, wanted: int) -> None:
    with RenderChild() as child, pytest.raises(RenderFailed) as caught:
        draw(child, replace(LABEL, skip=skip, take=take), batch(5))
    assert caught.value.code == "no_such_page"
    assert f"page {wanted} is wanted, the document has 5 pages" in str(caught.value)


@posix
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_after_a_crash_the_missing_pages_are_drawn_by_a_fresh_child(number: int) -> None:
    seen: list[int] = []
    with RenderChild() as child:
        child.warm()
        first = child.pid
        assert child.draw(LABEL, batch(150), killing(child, number, seen, 3)) == 150
        assert child.pid != first
    assert seen == list(range(1, 151))


@posix
def test_a_third_crash_ends_the_job() -> None:
    seen: list[int] = []
    with RenderChild() as child:
        with pytest.raises(RenderFailed) as caught:
            child.draw(LABEL, batch(300), killing(child, signal.SIGSEGV, seen, 3, 50, 100))
        assert caught.value.code == "render_crashed" and "SIGSEGV" in caught.value.text
        assert caught.value.page == seen[-1] + 1
        assert len(draw(child, LABEL, shipping_label(1))) == 1
    assert seen == list(range(1, seen[-1] + 1)) and 100 <= seen[-1] < 300


@posix
def test_a_crash_in_the_middle_of_a_page_is_retried() -> None:
    with RenderChild() as child:
        draw(child, LABEL, shipping_label(1))
        assert child.pid
        first = psutil.Process(child.pid)
        busy = sum(first.cpu_times()[:2]) + 0.1

        def kill_once_it_draws() -> None:
            while sum(first.cpu_times()[:2]) < busy:
                time.sleep(0.01)
            first.send_signal(signal.SIGSEGV)

        killer = threading.Thread(target=kill_once_it_draws)
        killer.start()
        assert len(draw(child, LABEL, SLOW_PAGE)) == 1
        killer.join()
        assert child.pid != first.pid


@posix
def test_a_child_that_died_while_idle_costs_nobody_a_retry() -> None:
    with RenderChild() as child:
        draw(child, LABEL, shipping_label(1))
        assert child.pid
        os.kill(child.pid, signal.SIGSEGV)
        psutil.Process(child.pid).wait(5)
        assert len(draw(child, LABEL, shipping_label(2))) == 1


@posix
def test_a_child_that_stops_answering_is_killed_at_the_deadline() -> None:
    seen: list[int] = []
    with RenderChild(Limits(wall_s=5)) as child:
        draw(child, LABEL, shipping_label(1))
        stopped = child.pid
        with pytest.raises(RenderFailed) as caught:
            child.draw(LABEL, batch(300), killing(child, signal.SIGSTOP, seen, 3))
        assert caught.value.code == "render_timeout" and caught.value.page == len(seen) + 1
        assert stopped and not psutil.pid_exists(stopped)
        assert len(draw(child, LABEL, shipping_label(1))) == 1


@posix
def test_a_child_that_stops_listening_is_killed_at_the_deadline() -> None:
    with RenderChild(Limits(wall_s=5)) as child:
        draw(child, LABEL, shipping_label(1))
        assert child.pid
        os.kill(child.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert refusal(child, LABEL, b"%" * 10_000_000).code == "render_timeout"
        assert 4.9 < time.monotonic() - started < 25


def test_a_long_batch_may_take_longer_than_the_deadline_of_a_page() -> None:
    with RenderChild(Limits(wall_s=5)) as child:
        draw(child, LABEL, shipping_label(1))
        started = time.monotonic()
        assert child.draw(LABEL, batch(60), lambda page: time.sleep(0.1) is None) == 60
        assert time.monotonic() - started > 5


def test_a_child_is_replaced_after_its_number_of_jobs() -> None:
    with RenderChild(Limits(jobs=3)) as child:
        pids = []
        for n in range(7):
            child.warm()
            pids.append(child.pid)
            draw(child, LABEL, shipping_label(n))
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_an_idle_child_is_let_go_and_comes_back() -> None:
    with RenderChild(Limits(idle_s=5)) as child:
        assert not child.rest()
        draw(child, LABEL, shipping_label(1))
        first = child.pid
        assert not child.rest()
        until(child.rest)
        assert child.pid is None
        assert first and not psutil.pid_exists(first)
        assert len(draw(child, LABEL, shipping_label(1))) == 1


def test_closing_ends_the_drawing_at_once() -> None:
    child = RenderChild()
    draw(child, LABEL, shipping_label(1))
    errors: list[RenderFailed] = []
    thread = threading.Thread(target=lambda: errors.append(refusal(child, LABEL, nested_forms(11, 10))))
    thread.start()
    until(lambda: child.busy)
    child.close()
    thread.join(20)
    assert not thread.is_alive()
    assert [error.code for error in errors] == ["render_stopped"]
    assert refusal(child, LABEL, shipping_label(1)).code == "render_stopped"
    child.close()


def test_no_child_and_no_pipe_is_left_behind() -> None:
    before = psutil.Process().num_fds()
    for _ in range(3):
        with RenderChild() as child:
            draw(child, LABEL, shipping_label(1))
            assert child.pid
            pid = child.pid
        assert not psutil.pid_exists(pid)
    assert psutil.Process().num_fds() == before


def test_a_warm_child_draws_a_label_in_a_blink(studio: RenderChild) -> None:
    draw(studio, LABEL, shipping_label(1))
    times = []
    for n in range(20):
        started = time.perf_counter()
        draw(studio, LABEL, shipping_label(n))
        times.append(time.perf_counter() - started)
    assert min(times) < 0.1


def test_the_server_never_loads_the_engine(tmp_path: Path) -> None:
    script = (
        "import sys; import bridge.prepare.render as r\n"
        "with r.RenderChild() as c:\n"
        "    c.draw(r.DrawRequest('pdf', 'zpl', 203, 101.6, 152.4), open(sys.argv[1], 'rb').read(), lambda p: True)\n"
        "print([name for name in ('pymupdf', 'numpy', 'fitz') if name in sys.modules])"
    )
    source = tmp_path / "label.pdf"
    source.write_bytes(shipping_label(1))
    run = subprocess.run(
        [sys.executable, "-c", script, str(source)], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert run.stdout.strip() == "[]"
