"""What printers said of themselves in public threads, logs and repositories, and what it tells us."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.identify import identify, language_of, read_gs_i, read_hi
from devices.ieee1284 import BadDeviceId, read

SEEN = [
    # device id as it was reported, model, language, dpi
    ("MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL;MODEL:ZTC ZD220-203dpi ZPL;", "Zebra ZD220", "zpl", 203),
    ("SERN:99J204300180;MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL;MODEL:ZTC ZT411-300dpi ZPL;CLASS:PRINTER;"
     "OPTIONS:XML;", "Zebra ZT411 300 dpi", "zpl", 300),
    ("MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL;MODEL:ZTC ZT230-200dpi ZPL;CLASS:PRINTER;OPTIONS:XML;",
     "Zebra ZT230 203 dpi", "zpl", 203),
    ("MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL;MODEL:ZTC\n          ZT220-200dpi ZPL;CLASS:PRINTER;"
     "OPTIONS:XML;",
     "Zebra ZT220 203 dpi", "zpl", 203),
    ("MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL;MODEL:ZTC ZD621-300dpi ZPL;", "Zebra ZD621 300 dpi", "zpl", 300),
    ("MANUFACTURER:Zebra Technologies;COMMAND SET:ZPL;MODEL:ZTC GX420d;", "Zebra GX420d", "zpl", 203),
    ("MANUFACTURER:Zebra Technologies ;COMMAND SET:EPL;MODEL:ZTC GC420d (EPL);CLASS:PRINTER;", "Zebra GC420d", "epl2",
     203),
    ("MANUFACTURER:Zebra Technologies ;COMMAND SET:EPL;MODEL:ZTC ZP 450;", "Zebra ZP 450", "epl2", 203),
    ("MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL;MODEL:ZTC ZP 450-200dpi;", "Zebra ZP 450", "zpl", 203),
    ("MFG:Zebra ;CMD:None;MDL:LP2844 ;", "Zebra LP 2844", "epl2", 203),
    ("MFG:Zebra Technologies;CMD:EPL,ZPL;MDL:ZP 505;CLS:PRINTER;", "Zebra ZP 505", "zpl", 203),
    ("MANUFACTURER:Zebra Technologies;COMMAND SET:ZPL;MODEL:ZTC 140XiII-600dpi;CLASS:PRINTER; ", None, "zpl", None),
    ("MFG:Zebra;CMD:ZPL;MDL:ZD421;", None, "zpl", None),
    ("MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;CLS:PRINTER;DES:EPSON TM-T88V;CID:EpsonTM00000001;", "Epson TM-T88V", "escpos",
     180),
    ("MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V-JPN;CLS:PRINTER;DES:EPSON TM-T88V;CID:EpsonTM00000101;", "Epson TM-T88V",
     "escpos", 180),
    ("MFG:EPSON;CMD:ESC/POS;MDL:TM-m30II;CLS:PRINTER;DES:EPSON TM-m30II", "Epson TM-m30II", "escpos", 203),
    ("MFG:Star;CMD:STAR;MDL:TSP143 (STR_T-001);CLS:PRINTER;", "Star TSP100", "star", 203),
    ("MFG:Star;CMD:STAR;MDL:TSP600 (STR_T-U001);CLS:PRINTER;", "Star TSP600", "star", 203),
    ("MFG:Star;MDL:TSP654 (ESP-001);CLS:PRINTER;", "Star TSP650", "escpos", 203),
    ("MFG:Star;MDL:BSC10 (ESP-001);CLS:PRINTER;", "Star BSC10", "escpos", 203),
    ("MFG:Brother;CMD:PT-CBP;MDL:QL-1100;CLS:PRINTER;CID:Brother QL Type1;", "Brother QL-1100", "brother", 300),
    ("MFG:Brother;CMD:PT-CBP;MDL:PT-P700;CLS:PRINTER;CID:Brother LabelPrinter TypeA1;", "Brother PT-P700", "brother",
     180),
    # MFG and MDL as CUPS shows them in a usb:// URI; the rest of these ids was not reported
    ("MFG:TSC;MDL:TE244;CMD:TSPL;", "TSC TE244", "tspl", 203),
    ("MFG:Honeywell;MDL:PC42t-203-ESim;", "Honeywell PC42t 203 dpi", "epl2", 203),
    ("MFG:Honeywell;MDL:PC42tp-203-FP;", "Honeywell PC42t 203 dpi", "zpl", 203),
    ("MFG:CITIZEN;MDL:CL-S521;", "Citizen CL-S521", "dpl", 203),
    ("MFG:BIXOLON;MDL:SRP-350plusIII;", "Bixolon SRP-350plusIII", "escpos", 180),
    ("MFG:GODEX;MDL:G500;", "Godex G500", "zpl", 203),
    # printers the catalog does not have
    ("MFG:4BARCODE;CMD:TSPL2;MDL:3B-363B;CLS:PRINTER;", None, "tspl", None),
    ("MFG:4BARCODE;CMD:CEZD;MDL:4B-2054A;", None, "zpl", None),
    ("MFG:Munbyn;CMD:TSPL;MDL:RW403B;CMT:Label Printer;", None, "tspl", None),
    ("MFG:MARKLIFE ;CMD:XPP,XL;MDL:X4;CLS:PRINTER;DES:LABEL PRINTER;", None, "tspl", None),
    ("MFG:Xprinter;CMD:TSPL,ESC/POS;MDL:XP-350B;", None, "tspl", None),
    ("MANUFACTURER:HPRT;COMMAND SET:CPCL;MODEL:HM-A300E;", None, "cpcl", None),
    ("MFG:Printer;CMD:EPSON;MDL:POS-80;CLS:PRINTER;1", None, "escpos", None),
    ("MFG:Printer;MDL:POS-80;CMD:ESC/POS;CLS:PRINTER;", None, "escpos", None),
    # printers of another kind
    ("MFG:EPSON;CMD:ESCPL2,BDC,D4,D4PX;MDL:XP-440 Series;CLS:PRINTER;DES:EPSON XP-440 Series;", None, None, None),
    ("MFG:HP;MDL:Deskjet 5400 series;CMD:MLC,PCL,PML,DW-PCL,DESKJET,DYN;", None, None, None),
    ("MFG:DYMO;MDL:LabelWriter 450;CID:DYMO_LabelWriter_450;CLS:PRINTER;", None, None, None),
    ("MFG:Brother;CMD:PJL,HBP;MDL:HL-L2350DW series;CLS:PRINTER;", None, None, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "model", "language", "dpi"), SEEN, ids=[row[0][:60] for row in SEEN])
def test_a_printer_seen_in_the_wild(text: str, model: str | None, language: str | None, dpi: int | None) -> None:
    found = identify(device_id=read(text))
    assert (found.model.name if found.model else None, found.language, found.dpi) == (model, language, dpi)


@pytest.mark.parametrize(
    ("clues", "reason", "score"),
    [
        ({"device_id": read("MFG:Zebra;MDL:ZTC ZD421-300dpi ZPL;")}, "because MDL is ZTC ZD421-300dpi ZPL", 95),
        ({"device_id": read("MFG:Munbyn;CMD:TSPL;MDL:RW403B;")},
         "because CMD is TSPL; RW403B is not in the catalog; its resolution is not known", 40),
        ({"usb": (0x04F9, 0x209D)}, "because its USB id is 04f9:209d", 80),
        ({"usb": (0x0A5F, 0x011C)},
         "because its USB id is 0a5f:011c; it may be Zebra ZD410 203 dpi or Zebra ZD410 300 dpi", 60),
        ({"usb": (0x0A5F, 0xFFFF)}, "because Zebra made it; its resolution is not known", 20),
        ({"name": "EPSON TM-T20II"}, "because it calls itself EPSON TM-T20II", 85),
        ({"hi": read_hi(b"\x02ZD421-300dpi,V84.20.18,12,8192\x03")}, "because ~HI answers ZD421-300dpi, 300 dpi", 100),
        ({"gs_i": "TM-T88V"}, "because GS I answers TM-T88V", 100),
        ({"gs_i": "XP-80C"},
         "because it answers GS I as XP-80C, which is not in the catalog; its resolution is not known", 40),
        ({"device_id": read("MFG:Citizen;MDL:CL-S521;")},
         "because MDL is CL-S521; Datamax emulation; its Cross-Emulation takes ZPL as well", 95),
        ({"device_id": read("MFG:Honeywell;MDL:PC42t-203-ESim;")},
         "because MDL is PC42t-203-ESim, switched to epl2 by its own account", 95),
        ({}, "because nothing it says of itself is in the catalog", 0),
    ],
)  # fmt: skip
def test_the_reason_says_what_it_was_known_by(clues: dict[str, object], reason: str, score: int) -> None:
    found = identify(**clues)  # type: ignore[arg-type]
    assert (found.reason, found.score) == (reason, score)


@pytest.mark.parametrize(
    ("answer", "model", "firmware", "dpi", "memory_kb"),
    [
        (b"\x02ZD410-200dpi,V84.20.18Z,8,8192KB\x03\r\n", "ZD410-200dpi", "V84.20.18Z", 203, 8192),
        (b"\x02LP2844-Z,V45.11.7Z   ,8,8192KB\x03\r\n", "LP2844-Z", "V45.11.7Z", 203, 8192),
        (b"\x02ZP 500 (ZPL)-200dpi,ZSP-002281B,8,2104KB\x03\r\n", "ZP 500 (ZPL)-200dpi", "ZSP-002281B", 203, 2104),
        (b"left over \x02GX430t-300dpi,V56.17.17Z,12,2104KB,X\x03", "GX430t-300dpi", "V56.17.17Z", 300, 2104),
        (b"\x02ZT411,V92.21.39Z,24,65536KB\x03", "ZT411", "V92.21.39Z", 600, 65536),
        (b"\x02ZT411,V92.21.39Z,99", "ZT411", "V92.21.39Z", None, 0),
    ],
)
def test_an_answer_to_hi_is_read(answer: bytes, model: str, firmware: str, dpi: int | None, memory_kb: int) -> None:
    found = read_hi(answer)
    assert found is not None
    assert (found.model, found.firmware, found.dpi, found.memory_kb) == (model, firmware, dpi, memory_kb)


def test_the_dots_per_mm_in_hi_settle_which_head_is_in_it() -> None:
    undecided = identify(device_id=read("MFG:Zebra;MDL:ZD421;"), usb=(0x0A5F, 0x0001))
    assert undecided.model is None and {row.dpi for row in undecided.also} == {203, 300}
    decided = identify(device_id=read("MFG:Zebra;MDL:ZD421;"), hi=read_hi(b"\x02ZD421,V84.20.18Z,12,8192KB\x03"))
    assert decided.model and (decided.model.name, decided.dpi, decided.score) == ("Zebra ZD421 300 dpi", 300, 100)


def test_a_zebra_the_catalog_does_not_have_still_has_its_language_and_resolution() -> None:
    found = identify(hi=read_hi(b"\x02ZQ999,V1.2.3,12,1024KB\x03"))
    assert (found.model, found.language, found.dpi) == (None, "zpl", 300)


def test_answers_to_gs_i_are_read() -> None:
    assert read_gs_i(b"_TM-T20III\0") == "TM-T20III"
    assert read_gs_i(b"\x12\x12_EPSON\0") == "EPSON"
    assert [read_gs_i(answer) for answer in (b"", b"_\0", b"_no end", b"\x02", b"_\xff\xff\0")] == [""] * 5


def test_a_model_is_not_taken_from_another_maker() -> None:
    assert identify(device_id=read("MFG:TSC;MDL:ZD421-203dpi;")).model is None
    assert identify(device_id=read("MFG:Acme;MDL:G500;")).model is None  # too short to prove anything by itself


def test_of_two_models_in_one_name_the_longer_is_meant() -> None:
    assert identify(name="EPSON TM-m30II (TM-P80 mode)").model.name == "Epson TM-m30II"  # type: ignore[union-attr]
    assert identify(name="Zebra LP2844-Z").model.name == "Zebra LP 2844-Z"  # type: ignore[union-attr]


def test_the_quirks_of_the_usb_id_are_told_whatever_the_model_is() -> None:
    assert identify(usb=(0x0A5F, 0xFFFF)).quirks == {"unidirectional", "no-reattach"}
    assert identify(usb=(0x0525, 0xA4A8)).quirks == {"pad-boundary"}
    assert identify(usb=(0x2730, 0x2008)).model.name == "Citizen CT-S4000"  # type: ignore[union-attr]


def test_label_languages_come_before_receipt_languages() -> None:
    assert language_of(["ESC/POS", "TSPL"]) == "tspl"
    assert language_of(["EPL", "ZPL"]) == "zpl"
    assert language_of(["pcl", "PJL"]) is None
    assert language_of(["EPSON", "ESCPL2"]) is None
    assert language_of([]) is None


def test_an_evil_name_costs_no_time() -> None:
    began = time.thread_time()
    for text in ("ZD421 " * 200_000, "a-" * 500_000, "z" * 1_000_000):
        identify(name=text, gs_i=text)
    assert time.thread_time() - began < 0.5


@given(st.text(max_size=200), st.text(max_size=50), st.binary(max_size=200))
def test_no_clue_whatever_raises(text: str, name: str, answer: bytes) -> None:
    try:
        device_id = read(text)
    except BadDeviceId:
        device_id = None
    found = identify(device_id=device_id, usb=(1, 2), name=name, hi=read_hi(answer), gs_i=read_gs_i(answer))
    assert found.reason.startswith("because") and 0 <= found.score <= 100
