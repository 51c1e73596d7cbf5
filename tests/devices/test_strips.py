"""The inked parts of a page, put back together, are the page."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from devices.contracts import Bitmap
from devices.strips import Strip, bottom, cropped, strips

ROW = st.lists(st.sampled_from(b"\0\0\0\x01\x80\xff"), min_size=5, max_size=5).map(bytes) | st.just(bytes(5))
PAGES = st.lists(ROW, min_size=1, max_size=30).map(lambda rows: Bitmap(40, len(rows), b"".join(rows)))


@settings(deadline=None, max_examples=400)
@given(PAGES, st.integers(0, 40))
def test_together_they_are_the_page_and_none_has_white_at_its_sides(page: Bitmap, cost: int) -> None:
    canvas = bytearray(len(page.rows))
    for strip in strips(page, cost=cost):
        for row in range(strip.height):
            at = (strip.y + row) * 5 + strip.x
            canvas[at : at + strip.stride] = strip.rows[row * strip.stride :][: strip.stride]
        columns = [any(strip.rows[x :: strip.stride]) for x in (0, strip.stride - 1)]
        rows = [any(strip.rows[: strip.stride]), any(strip.rows[-strip.stride :])]
        assert all(columns) and all(rows)
    assert bytes(canvas) == page.rows


def test_white_rows_that_cost_little_part_nothing() -> None:
    page = Bitmap(8, 6, b"\x01\0\0\x01\0\x02")
    assert strips(page, cost=2) == [Strip(0, 0, 1, page.rows)]
    assert strips(page, cost=1) == [Strip(0, 0, 1, b"\x01"), Strip(0, 3, 1, b"\x01\0\x02")]


def test_a_blank_page_has_no_strips_and_no_bottom() -> None:
    blank = Bitmap(9, 3, bytes(6))
    assert strips(blank) == [] and bottom(blank) == 0
    assert bottom(Bitmap(9, 3, b"\0\0\0\x80\0\0")) == 2


def test_cropping_keeps_the_top_left() -> None:
    page = Bitmap(24, 3, bytes(range(9)))
    assert cropped(page, 16, 2) == Bitmap(16, 2, b"\0\1\3\4")
    assert cropped(page, 24, 3) is page and cropped(page, 99, 99) is page


def test_a_gray_of_thin_lines_is_one_part_and_a_page_of_text_is_parted() -> None:
    """A command for every hairline would take longer than the dots, here and in the printer."""
    hairlines = (b"\xff" * 72 + bytes(72 * 5)) * 200
    assert len(strips(Bitmap(576, 1200, hairlines), cost=50)) == 1
    text = (b"\xff" * 72 * 14 + bytes(72 * 8)) * 54
    assert len(strips(Bitmap(576, 1188, text), cost=50)) == 54
