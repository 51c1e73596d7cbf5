"""The words for what may be out: every label whose first byte had left, and no other."""

from __future__ import annotations

import pytest

from bridge.deliver.doubt import Ledger, doubt


@pytest.mark.parametrize(
    ("unit", "touched", "total", "text"),
    [
        ("label", 0, 5, "nothing was sent"),
        ("label", 1, 1, "the label may have printed"),
        ("copy", 1, 1, "the job may have printed"),
        ("label", 1, None, "the label may have printed"),
        ("label", 7, None, "labels 1-7 may have printed"),
        ("label", 1, 2, "label 1 of 2 may have printed, 2 was not sent"),
        ("copy", 1, 3, "copy 1 of 3 may have printed, 2-3 were not sent"),
        ("label", 38, 500, "labels 1-38 of 500 may have printed, 39-500 were not sent"),
        ("copy", 499, 500, "copies 1-499 of 500 may have printed, 500 was not sent"),
        ("label", 500, 500, "labels 1-500 of 500 may have printed"),
    ],
)
def test_the_doubt_is_named(unit: str, touched: int, total: int | None, text: str) -> None:
    assert doubt(unit, touched, total) == text


@pytest.mark.parametrize(("sent", "touched"), [(0, 0), (1, 3), (100, 3), (101, 5), (160, 5)])
def test_a_label_is_in_doubt_with_its_first_byte(sent: int, touched: int) -> None:
    """Three labels in 100 bytes, then two in 60."""
    ledger = Ledger("label", 5)
    ledger.add(3, 100)
    ledger.add(2, 60)
    assert ledger.touched(sent) == touched


def test_a_copy_in_many_pieces_counts_once() -> None:
    ledger = Ledger("copy", 2)
    for labels in (1, 0, 0, 1, 0, 0):
        ledger.add(labels, 10)
    assert [ledger.touched(sent) for sent in (1, 30, 31, 60)] == [1, 1, 2, 2]
