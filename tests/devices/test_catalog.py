"""Every row of the catalog: a slip of the keyboard in it prints the wrong width, or in the wrong language."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from devices import catalog, languages
from devices.catalog import LANGUAGES, MAKERS, MODELS, QUIRKS, USB_QUIRKS, Model, usb_quirks
from devices.identify import identify
from devices.ieee1284 import read
from devices.languages.signatures import SIGNATURES

every_row = pytest.mark.parametrize("row", MODELS, ids=lambda row: row.name)


def test_there_are_enough_models_of_every_maker_we_name() -> None:
    rows = Counter(row.maker for row in MODELS)
    assert sum(rows.values()) >= 60
    assert set(rows) == {maker.name for maker in MAKERS}
    assert min(rows.values()) >= 5


def test_no_two_rows_have_one_name_one_mdl_or_one_usb_id() -> None:
    for what in (
        [row.name for row in MODELS],
        [(row.maker, mdl.lower()) for row in MODELS for mdl in row.mdl],
        [usb for row in MODELS for usb in row.usb],
    ):
        assert [each for each, times in Counter(what).items() if times > 1] == []


def test_the_languages_are_ones_we_recognise() -> None:
    assert {row.language for row in MODELS} <= LANGUAGES
    assert LANGUAGES <= set(languages.names()) | set(SIGNATURES)
    assert {maker.language for maker in MAKERS} - {None} <= LANGUAGES


@every_row
def test_the_dots_are_as_many_as_fit_in_the_width(row: Model) -> None:
    assert row.dpi in (180, 203, 300, 305, 600, 609)
    assert row.width_mm == pytest.approx(row.head / row.dpi * 25.4, rel=0.025)
    assert 15 < row.width_mm < 220


@every_row
def test_a_row_is_filled_in_properly(row: Model) -> None:
    assert row.cutter in ("no", "option", "yes")
    assert row.quirks <= set(QUIRKS)
    assert row.source and set(row.source) <= set(re.findall(r"^    ([a-z])  ", catalog.__doc__ or "", re.MULTILINE))
    assert all(re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", usb) for usb in row.usb)
    maker = next(maker for maker in MAKERS if maker.name == row.maker)
    assert all(usb[:4] in maker.vids for usb in row.usb)


@every_row
def test_no_row_hides_another(row: Model) -> None:
    mfg = next(maker.mfg[0] for maker in MAKERS if maker.name == row.maker)
    for mdl in row.mdl:
        assert identify(device_id=read(f"MFG:{mfg.title()};MDL:{mdl};")).model is row
        assert identify(device_id=read(f"MFG:{mfg.upper()} Corp. ;MDL:{mdl.upper()} ;")).model is row


@every_row
def test_a_row_is_found_by_its_usb_id_or_shares_it_with_its_own_family(row: Model) -> None:
    for usb in row.usb:
        found = identify(usb=(int(usb[:4], 16), int(usb[5:], 16)))
        assert found.model is row or row in found.also
        assert found.language == row.language


def test_the_quirks_of_usb_ids_have_known_names_and_the_longer_id_wins() -> None:
    assert all(quirks <= set(QUIRKS) for quirks in USB_QUIRKS.values())
    assert usb_quirks(0x0519, 0x0003) == {"unidirectional"}
    assert usb_quirks(0x0519, 0x0001) == {"unidirectional", "delay-close"}
    assert usb_quirks(0x1D6B, 0x0002) == frozenset()
