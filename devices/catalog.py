"""Facts about printer models: one row each. What matches a row is in devices.identify.

Where the facts come from (project: file), by the letter in a row's last column:

    l  lprint: lprint-zpl.h, lprint-epl2.h, lprint-escpos.h, lprint-brother.h: device ids, languages, dpi
    e  escpos-printer-db: dist/capabilities.json: dots, dpi and cutters of receipt printers
    b  brother_ql: brother_ql/models.py: bytes across the head, cutters
    p  ptouch-print: src/libptouch.c: dots, dpi and product ids of tape printers
    z  ZPL II and EPL2 programming guides (Zebra 45541L, 980009): print widths of the 2 and 4 inch heads
    s  SATO CL "e" series programming reference (9001074): widest A1 media size in dots
    x  Bixolon SLCS programming manuals (SRP-770, SLP-TX): image buffer widths
    i  device ids and USB ids reported in public threads and repositories, see tests/devices/test_identify.py
    m  the makers' data sheets, from memory: nobody has looked this up again. Trust the printer before the row

Product ids also from usb.ids 2025.07 and Star's WebUSB table (WebUSBReceiptPrinter: src/main.js); quirks from CUPS:
backend/org.cups.usb-quirks. A product id is given only where it means this model; Epson's 0202 and Star's 0001 and
0003 are shared by many.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

LANGUAGES = frozenset({"zpl", "epl2", "escpos", "tspl", "cpcl", "star", "dpl", "sbpl", "brother"})
"""Every language a row may name; the names are those of devices.languages.recognize."""

QUIRKS = {
    "unidirectional": "no read may wait beside a write; asking between two jobs is allowed",
    "no-reattach": "do not give the interface back to usblp after every job",
    "soft-reset": "a class SOFT_RESET after each job",
    "delay-close": "wait a second before the interface is released",
    "vendor-class": "the printer interface has the vendor's class (ff), not the printer class (07)",
    "pad-boundary": "keeps the tail of a job that ends on a packet boundary: add one harmless byte",
    "zlp": "the same, and wants an empty packet instead",
}


@dataclass(frozen=True, slots=True)
class Model:
    """One model at one resolution.

    mdl: what the MDL field of its device id says, any spelling that occurs; compared by devices.identify without
    case, blanks and punctuation. language: what it takes when it comes out of the box. head: dots it can print
    across; width_mm: the same as the maker publishes it. cutter: "no", "option" or "yes". usb: "vid:pid" in hex.
    note: what a person should know before trusting the language. source: letters, see above.
    """

    maker: str
    model: str
    mdl: tuple[str, ...]
    language: str
    dpi: int
    head: int
    width_mm: float
    cutter: str
    source: str
    usb: tuple[str, ...] = ()
    quirks: frozenset[str] = frozenset()
    note: str = ""

    @property
    def name(self) -> str:
        """Maker and model, as a person would say it."""
        return f"{self.maker} {self.model}"


@dataclass(frozen=True, slots=True)
class Maker:
    """mfg: the words its MFG field begins with. vids: its USB vendor ids. language: what most of its printers take."""

    name: str
    mfg: tuple[str, ...]
    vids: tuple[str, ...]
    language: str | None


MAKERS = (
    Maker("Zebra", ("zebra", "eltron"), ("0a5f",), "zpl"),
    Maker("TSC", ("tsc",), ("1203",), "tspl"),
    Maker("Epson", ("epson", "seiko epson"), ("04b8",), None),  # its ink-jets share the vendor id
    Maker("Star", ("star",), ("0519",), "star"),
    Maker("Citizen", ("citizen",), ("1d90", "2730", "08bd"), None),
    Maker("Bixolon", ("bixolon", "samsung mini printer"), ("1504",), None),
    Maker("Honeywell", ("honeywell", "datamax", "intermec"), ("067e",), None),
    Maker("SATO", ("sato",), ("0828",), "sbpl"),
    Maker("Godex", ("godex",), ("195f",), "zpl"),
    Maker("Brother", ("brother",), ("04f9",), None),
)

USB_QUIRKS = {
    "0a5f": frozenset({"unidirectional", "no-reattach"}),  # all Zebra
    "067e": frozenset({"no-reattach"}),  # all Intermec
    "0519": frozenset({"unidirectional"}),  # all Star
    "0519:0001": frozenset({"unidirectional", "delay-close"}),  # Star TSP743
    "2730:2008": frozenset({"unidirectional", "delay-close"}),  # Citizen CT-S4000
    "2d84": frozenset({"unidirectional", "no-reattach"}),  # Poskey: Arkscan and others
    "195f:0001": frozenset({"unidirectional", "no-reattach"}),  # Godex
    "06bc:0183": frozenset({"unidirectional"}),  # Oki OKIPOS 407II
    "04b8:0202": frozenset({"vendor-class"}),  # Epson UB-U05
    "067b:2305": frozenset({"unidirectional", "no-reattach", "soft-reset"}),  # Prolific USB to parallel
    "1a86:7584": frozenset({"no-reattach"}),  # QinHeng CH340S USB to parallel
    "0525:a4a8": frozenset({"pad-boundary"}),  # Linux as a printer: kept 512 of 512 bytes when we measured it
}
"""Quirks by vendor id or vendor:product id, whatever the model is. The longer key wins."""

_GZPL = "takes ZPL by its GZPL interpreter, which it switches to by itself; its own language is EZPL"
_BPL_Z = "takes ZPL when its emulation is BPL-Z (Unified Label Utility); its own language is SLCS"
_CROSS = "Datamax emulation; its Cross-Emulation takes ZPL as well"
_ZSIM = "its interpreter must be ZSim (ZPL) or automatic: printer menu or PrintSet"
_RASTER = "takes Star raster only: no text commands"

# A row: model, what MDL says, language, dpi, head in dots, width in mm, cutter, source, USB ids.
_zebra = partial(Model, "Zebra")
_tsc = partial(Model, "TSC")
_epson = partial(Model, "Epson")
_star = partial(Model, "Star")
_citizen = partial(Model, "Citizen")
_bixolon = partial(Model, "Bixolon")
_honeywell = partial(Model, "Honeywell")
_sato = partial(Model, "SATO")
_godex = partial(Model, "Godex")
_brother = partial(Model, "Brother")

_ZEBRA = (
    _zebra("LP 2844",       ("LP2844",),       "epl2", 203,  832, 104.0, "option", "lz", ("0a5f:0009",)),
    _zebra("LP 2844-Z",     ("LP2844-Z",),     "zpl",  203,  832, 104.0, "option", "iz", ("0a5f:0027",)),
    _zebra("TLP 2844",      ("TLP2844",),      "epl2", 203,  832, 104.0, "option", "zi", ("0a5f:000a",)),
    _zebra("LP 2824",       ("LP2824",),       "epl2", 203,  448,  56.0, "option", "zm"),
    _zebra("TLP 2824 Plus", ("TLP2824 Plus",), "zpl",  203,  448,  56.0, "option", "zm", ("0a5f:00a1",)),
    _zebra("ZP 450",        ("ZP 450",),       "epl2", 203,  832, 104.0, "no",     "iz", ("0a5f:008c",)),
    _zebra("ZP 500",        ("ZP 500",),       "zpl",  203,  832, 104.0, "no",     "iz"),
    _zebra("ZP 505",        ("ZP 505",),       "zpl",  203,  832, 104.0, "no",     "iz"),
    _zebra("GK420d",        ("GK420d",),       "zpl",  203,  832, 104.0, "no",     "z",  ("0a5f:0062", "0a5f:0080")),
    _zebra("GK420t",        ("GK420t",),       "zpl",  203,  832, 104.0, "no",     "z",  ("0a5f:0081",)),
    _zebra("GK888t",        ("GK888t",),       "zpl",  203,  832, 104.0, "no",     "i"),
    _zebra("GX420d",        ("GX420d",),       "zpl",  203,  832, 104.0, "option", "lz", ("0a5f:0084",)),
    _zebra("GX420t",        ("GX420t",),       "zpl",  203,  832, 104.0, "option", "lz"),
    _zebra("GX430d",        ("GX430d",),       "zpl",  300, 1248, 104.0, "option", "lm"),
    _zebra("GX430t",        ("GX430t",),       "zpl",  300, 1248, 104.0, "option", "lm"),
    _zebra("GC420d",        ("GC420d",),       "zpl",  203,  832, 104.0, "no",     "iz", ("0a5f:00d1",)),
    _zebra("GC420t",        ("GC420t",),       "zpl",  203,  832, 104.0, "no",     "iz"),
    _zebra("HC100",         ("HC100",),        "zpl",  300,  300,  25.4, "no",     "m",  ("0a5f:008b",)),
    _zebra("ZD220",         ("ZD220-203dpi",), "zpl",  203,  832, 104.0, "no",     "iz", ("0a5f:0164",)),
    _zebra("ZD230",         ("ZD230-203dpi",), "zpl",  203,  832, 104.0, "option", "iz"),
    _zebra("ZD410 203 dpi", ("ZD410-203dpi",), "zpl",  203,  448,  56.0, "option", "im", ("0a5f:011c",)),
    _zebra("ZD410 300 dpi", ("ZD410-300dpi",), "zpl",  300,  661,  56.0, "option", "m"),
    _zebra("ZD411 203 dpi", ("ZD411-203dpi",), "zpl",  203,  448,  56.0, "option", "m"),
    _zebra("ZD411 300 dpi", ("ZD411-300dpi",), "zpl",  300,  661,  56.0, "option", "im"),
    _zebra("ZD420 203 dpi", ("ZD420-203dpi",), "zpl",  203,  832, 104.0, "option", "iz"),
    _zebra("ZD420 300 dpi", ("ZD420-300dpi",), "zpl",  300, 1280, 108.0, "option", "im", ("0a5f:0122",)),
    _zebra("ZD421 203 dpi", ("ZD421-203dpi",), "zpl",  203,  832, 104.0, "option", "iz"),
    _zebra("ZD421 300 dpi", ("ZD421-300dpi",), "zpl",  300, 1280, 108.0, "option", "im"),
    _zebra("ZD500 203 dpi", ("ZD500-203dpi",), "zpl",  203,  832, 104.0, "option", "z"),
    _zebra("ZD611 203 dpi", ("ZD611-203dpi",), "zpl",  203,  448,  56.0, "option", "lm"),
    _zebra("ZD611 300 dpi", ("ZD611-300dpi",), "zpl",  300,  661,  56.0, "option", "lm"),
    _zebra("ZD620 203 dpi", ("ZD620-203dpi",), "zpl",  203,  832, 104.0, "option", "z"),
    _zebra("ZD620 300 dpi", ("ZD620-300dpi",), "zpl",  300, 1280, 108.0, "option", "m"),
    _zebra("ZD621 203 dpi", ("ZD621-203dpi",), "zpl",  203,  832, 104.0, "option", "lz"),
    _zebra("ZD621 300 dpi", ("ZD621-300dpi",), "zpl",  300, 1280, 108.0, "option", "lm"),
    _zebra("ZM400 203 dpi", ("ZM400-203dpi",), "zpl",  203,  832, 104.0, "option", "z"),
    _zebra("ZM400 300 dpi", ("ZM400-300dpi",), "zpl",  300, 1248, 104.0, "option", "m"),
    _zebra("ZM600 203 dpi", ("ZM600-203dpi",), "zpl",  203, 1344, 168.0, "option", "m"),
    _zebra("ZM600 300 dpi", ("ZM600-300dpi",), "zpl",  300, 1984, 168.0, "option", "im", ("0a5f:0069",)),
    _zebra("ZT220 203 dpi", ("ZT220-203dpi",), "zpl",  203,  832, 104.0, "option", "iz"),
    _zebra("ZT220 300 dpi", ("ZT220-300dpi",), "zpl",  300, 1248, 104.0, "option", "m"),
    _zebra("ZT230 203 dpi", ("ZT230-203dpi",), "zpl",  203,  832, 104.0, "option", "iz"),
    _zebra("ZT230 300 dpi", ("ZT230-300dpi",), "zpl",  300, 1248, 104.0, "option", "m"),
    _zebra("ZT411 203 dpi", ("ZT411-203dpi",), "zpl",  203,  832, 104.0, "option", "z"),
    _zebra("ZT411 300 dpi", ("ZT411-300dpi",), "zpl",  300, 1248, 104.0, "option", "im"),
    _zebra("ZT411 600 dpi", ("ZT411-600dpi",), "zpl",  600, 2496, 104.0, "option", "m"),
    _zebra("ZT610 203 dpi", ("ZT610-203dpi",), "zpl",  203,  832, 104.0, "option", "z"),
    _zebra("ZT610 300 dpi", ("ZT610-300dpi",), "zpl",  300, 1248, 104.0, "option", "m"),
    _zebra("ZT610 600 dpi", ("ZT610-600dpi",), "zpl",  600, 2496, 104.0, "option", "m"),
    _zebra("QLn320",        ("QLn320",),       "zpl",  203,  576,  72.0, "no",     "m"),
    _zebra("ZQ520",         ("ZQ520",),        "zpl",  203,  832, 104.0, "no",     "m"),
)  # fmt: skip

_TSC = (
    _tsc("TE200",       ("TE200",),       "tspl", 203,  864, 108.0, "option", "im"),
    _tsc("TE210",       ("TE210",),       "tspl", 203,  864, 108.0, "option", "m"),
    _tsc("TE244",       ("TE244",),       "tspl", 203,  864, 108.0, "option", "im"),
    _tsc("TE300",       ("TE300",),       "tspl", 300, 1248, 105.7, "option", "im"),
    _tsc("TE310",       ("TE310",),       "tspl", 300, 1248, 105.7, "option", "m"),
    _tsc("TDP-225",     ("TDP-225",),     "tspl", 203,  416,  52.0, "option", "im"),
    _tsc("DA210",       ("DA210",),       "tspl", 203,  864, 108.0, "option", "im"),
    _tsc("DA220",       ("DA220",),       "tspl", 203,  864, 108.0, "option", "m"),
    _tsc("TTP-244 Pro", ("TTP-244 Pro",), "tspl", 203,  864, 108.0, "option", "m"),
    _tsc("TTP-247",     ("TTP-247",),     "tspl", 203,  864, 108.0, "option", "m"),
    _tsc("TTP-345",     ("TTP-345",),     "tspl", 300, 1248, 105.7, "option", "m"),
    _tsc("MB241",       ("MB241",),       "tspl", 203,  864, 108.0, "option", "im"),
    _tsc("MB341",       ("MB341",),       "tspl", 300, 1248, 105.7, "option", "im"),
)  # fmt: skip

_EPSON = (
    _epson("TM-T88II",   ("TM-T88II",),   "escpos", 180, 512, 72.0, "yes", "e"),
    _epson("TM-T88III",  ("TM-T88III",),  "escpos", 180, 512, 72.0, "yes", "e"),
    _epson("TM-T88IV",   ("TM-T88IV",),   "escpos", 180, 512, 72.0, "yes", "le"),
    _epson("TM-T88V",    ("TM-T88V",),    "escpos", 180, 512, 72.0, "yes", "le"),
    _epson("TM-T88VI",   ("TM-T88VI",),   "escpos", 180, 512, 72.0, "yes", "lm"),
    _epson("TM-T88VII",  ("TM-T88VII",),  "escpos", 180, 512, 72.0, "yes", "lm"),
    _epson("TM-T70",     ("TM-T70",),     "escpos", 180, 512, 72.0, "yes", "le"),
    _epson("TM-T70II",   ("TM-T70II",),   "escpos", 180, 512, 72.0, "yes", "le"),
    _epson("TM-T20",     ("TM-T20",),     "escpos", 203, 576, 72.0, "yes", "lm", ("04b8:0e03",)),
    _epson("TM-T20II",   ("TM-T20II",),   "escpos", 203, 576, 72.0, "yes", "le", ("04b8:0e15",)),
    _epson("TM-T20III",  ("TM-T20III",),  "escpos", 203, 576, 72.0, "yes", "le"),
    _epson("TM-T20X-II", ("TM-T20X-II",), "escpos", 203, 576, 72.0, "yes", "im", ("04b8:0e27",)),
    _epson("TM-T82III",  ("TM-T82III",),  "escpos", 203, 576, 72.0, "yes", "lm"),
    _epson("TM-m30",     ("TM-m30",),     "escpos", 203, 576, 72.0, "yes", "lm"),
    _epson("TM-m30II",   ("TM-m30II",),   "escpos", 203, 576, 72.0, "yes", "li", ("04b8:0e2a",)),
    _epson("TM-m30III",  ("TM-m30III",),  "escpos", 203, 576, 72.0, "yes", "le"),
    _epson("TM-L90",     ("TM-L90",),     "escpos", 203, 576, 72.0, "yes", "e"),
    _epson("TM-L100",    ("TM-L100",),    "escpos", 203, 576, 72.0, "yes", "lm", ("04b8:0e31",)),
    _epson("TM-P80",     ("TM-P80",),     "escpos", 203, 576, 72.0, "option", "le"),
)  # fmt: skip

_STAR = (
    _star("TSP100",            ("TSP100", "TSP113", "TSP143", "TSP143IIU"),
          "star", 203, 576, 72.0, "yes", "i", note=_RASTER),
    _star("TSP100III",         ("TSP100III", "TSP143III", "TSP143IIIU", "TSP143IIILAN", "TSP143IIIW"),
          "star", 203, 576, 72.0, "yes", "im", note=_RASTER),
    _star("TSP100IV",  ("TSP100IV", "TSP143IV"),           "star",   203, 576, 72.0, "yes", "im"),
    _star("TSP600",    ("TSP600", "TSP613", "TSP643"),     "star",   203, 576, 72.0, "yes", "ei"),
    _star("TSP650",    ("TSP650", "TSP651", "TSP654"),     "star",   203, 576, 72.0, "yes", "im"),
    _star("TSP650II",  ("TSP650II", "TSP654II"),           "star",   203, 576, 72.0, "yes", "im"),
    _star("TSP700II",  ("TSP700II", "TSP743", "TSP743II"), "star",   203, 576, 72.0, "yes", "im"),
    _star("TSP800II",  ("TSP800II", "TSP847", "TSP847II"), "star",   203, 832, 104.0, "yes", "ei"),
    _star("mC-Print2", ("mC-Print2", "MCP21", "MCP20"),    "star",   203, 384, 48.0, "yes", "im", ("0519:0049",)),
    _star("mC-Print3", ("mC-Print3", "MCP31", "MCP30"),    "star",   203, 576, 72.0, "yes", "im", ("0519:0047",)),
    _star("mPOP",      ("mPOP", "POP10"),                  "star",   203, 384, 48.0, "yes", "im", ("0519:0017",)),
    _star("BSC10",     ("BSC10",),                         "escpos", 203, 576, 72.0, "yes", "im", ("0519:000b",)),
)  # fmt: skip

_CITIZEN = (
    _citizen("CL-S521",   ("CL-S521",),             "dpl",    203,  832, 104.0, "option", "im", note=_CROSS),
    _citizen("CL-S621",   ("CL-S621",),             "dpl",    203,  832, 104.0, "option", "m",  note=_CROSS),
    _citizen("CL-S631", ("CL-S631",), "dpl",    300, 1248, 104.0, "option", "m",  ("1d90:2037",), note=_CROSS),
    _citizen("CL-S700",   ("CL-S700",),             "dpl",    203,  832, 104.0, "option", "m",  note=_CROSS),
    _citizen("CT-S310II", ("CT-S310II",),           "escpos", 203,  576,  72.0, "yes",    "im", ("1d90:2060",)),
    _citizen("CT-S651",   ("CT-S651", "CT-S651II"), "escpos", 203,  576,  72.0, "yes",    "em"),
    _citizen("CT-S801",   ("CT-S801", "CT-S801II"), "escpos", 203,  576,  72.0, "yes",    "m"),
    _citizen("CT-S4000",  ("CT-S4000",),            "escpos", 203,  832, 104.0, "yes",    "m",  ("2730:2008",)),
    _citizen("CT-E351",   ("CT-E351",),             "escpos", 203,  576,  72.0, "yes",    "im", ("1d90:20f0",)),
)  # fmt: skip

_BIXOLON = (
    _bixolon("SRP-350II",      ("SRP-350II",),      "escpos", 180,  512,  72.0, "yes",    "m",  ("1504:001f",)),
    _bixolon("SRP-350III",     ("SRP-350III",),     "escpos", 180,  512,  72.0, "yes",    "im"),
    _bixolon("SRP-350plusIII", ("SRP-350plusIII",), "escpos", 180,  512,  72.0, "yes",    "im", ("1504:003d",)),
    _bixolon("SRP-330II",      ("SRP-330II",),      "escpos", 203,  576,  72.0, "yes",    "m"),
    _bixolon("SRP-E300",       ("SRP-E300",),       "escpos", 203,  576,  72.0, "yes",    "im"),
    _bixolon("SRP-770II",      ("SRP-770II",),      "zpl",    203,  832, 104.0, "no",     "x",  note=_BPL_Z),
    _bixolon("SLP-TX220",      ("SLP-TX220",),      "zpl",    203,  448,  56.0, "option", "im", note=_BPL_Z),
    _bixolon("SLP-TX400",      ("SLP-TX400",),      "zpl",    203,  864, 108.0, "option", "im", note=_BPL_Z),
    _bixolon("SLP-TX403", ("SLP-TX403",), "zpl", 300, 1248, 105.7, "option", "im", ("1504:0027",), note=_BPL_Z),
)  # fmt: skip

_HONEYWELL = (
    _honeywell("PC42d 203 dpi", ("PC42d-203",),              "zpl",    203,  832, 104.0, "no",     "im", note=_ZSIM),
    _honeywell("PC42t 203 dpi", ("PC42t-203", "PC42tp-203"), "zpl",    203,  832, 104.0, "option", "im", note=_ZSIM),
    _honeywell("PC42t 300 dpi", ("PC42t-300", "PC42tp-300"), "zpl",    300, 1248, 104.0, "option", "m",  note=_ZSIM),
    _honeywell("PM43 203 dpi",  ("PM43-203",),               "zpl",    203,  864, 108.0, "option", "m",  note=_ZSIM),
    _honeywell("E-4203",        ("E-4203",),                 "dpl",    203,  832, 104.0, "option", "m"),
    _honeywell("E-4204B",       ("E-4204B", "E-4204"),       "dpl",    203,  832, 104.0, "option", "im"),
    _honeywell("I-4212e",       ("I-4212e", "I-4212"),       "dpl",    203,  832, 104.0, "option", "m"),
    _honeywell("M-4206",        ("M-4206",),                 "dpl",    203,  864, 108.0, "option", "m"),
)  # fmt: skip

_SATO = (
    _sato("CL408e",        ("CL408e",),                 "sbpl",   203,  832, 104.0, "option", "s"),
    _sato("CL412e",        ("CL412e",),                 "sbpl",   305, 1248, 104.0, "option", "s"),
    _sato("CL608e",        ("CL608e",),                 "sbpl",   203, 1216, 152.0, "option", "s"),
    _sato("CL612e",        ("CL612e",),                 "sbpl",   305, 1984, 165.0, "option", "s"),
    _sato("CL4NX 203 dpi", ("CL4NX 203",), "sbpl",   203,  832, 104.0, "option", "sm"),
    _sato("CL4NX 305 dpi", ("CL4NX 305",), "sbpl",   305, 1248, 104.0, "option", "sm"),
    _sato("CL4NX 609 dpi", ("CL4NX 609",), "sbpl",   609, 2496, 104.0, "option", "sm"),
    _sato("WS408",         ("WS408",),                  "sbpl",   203,  864, 108.0, "option", "m",  ("0828:a003",)),
)  # fmt: skip

_GODEX = (
    _godex("G500",    ("G500",),    "zpl",    203,  864, 108.0, "option", "im", note=_GZPL),
    _godex("G530",    ("G530",),    "zpl",    300, 1248, 105.7, "option", "m",  note=_GZPL),
    _godex("RT700i",  ("RT700i",),  "zpl",    203,  864, 108.0, "option", "m",  note=_GZPL),
    _godex("RT730i",  ("RT730i",),  "zpl",    300, 1248, 105.7, "option", "m",  note=_GZPL),
    _godex("EZ-1105", ("EZ-1105",), "zpl",    203,  864, 108.0, "option", "m",  note=_GZPL),
)  # fmt: skip

_BROTHER = (
    _brother("QL-500",     ("QL-500",),     "brother", 300,  720,  61.0, "no",  "lb", ("04f9:2015",)),
    _brother("QL-550",     ("QL-550",),     "brother", 300,  720,  61.0, "yes", "lb", ("04f9:2016",)),
    _brother("QL-560",     ("QL-560",),     "brother", 300,  720,  61.0, "yes", "lb", ("04f9:2027",)),
    _brother("QL-570",     ("QL-570",),     "brother", 300,  720,  61.0, "yes", "lb", ("04f9:2028",)),
    _brother("QL-580N",    ("QL-580N",),    "brother", 300,  720,  61.0, "yes", "lb"),
    _brother("QL-600",     ("QL-600",),     "brother", 300,  720,  61.0, "yes", "lb", ("04f9:20c0",)),
    _brother("QL-650TD",   ("QL-650TD",),   "brother", 300,  720,  61.0, "yes", "lb", ("04f9:201b",)),
    _brother("QL-700",     ("QL-700",),     "brother", 300,  720,  61.0, "yes", "lb", ("04f9:2042",)),
    _brother("QL-710W",    ("QL-710W",),    "brother", 300,  720,  61.0, "yes", "lb", ("04f9:2043",)),
    _brother("QL-720NW",   ("QL-720NW",),   "brother", 300,  720,  61.0, "yes", "lb", ("04f9:2044",)),
    _brother("QL-800",     ("QL-800",),     "brother", 300,  720,  61.0, "yes", "lb", ("04f9:209b",)),
    _brother("QL-810W",    ("QL-810W",),    "brother", 300,  720,  61.0, "yes", "lb", ("04f9:209c",)),
    _brother("QL-820NWB",  ("QL-820NWB",),  "brother", 300,  720,  61.0, "yes", "lb", ("04f9:209d",)),
    _brother("QL-1050",    ("QL-1050",),    "brother", 300, 1296, 109.7, "yes", "lb", ("04f9:2020",)),
    _brother("QL-1060N",   ("QL-1060N",),   "brother", 300, 1296, 109.7, "yes", "lb", ("04f9:202a",)),
    _brother("QL-1100",    ("QL-1100",),    "brother", 300, 1296, 109.7, "yes", "lb", ("04f9:20a7",)),
    _brother("QL-1110NWB", ("QL-1110NWB",), "brother", 300, 1296, 109.7, "yes", "lb", ("04f9:20a8",)),
    _brother("PT-P700",    ("PT-P700",),    "brother", 180,  128,  18.1, "yes", "p",  ("04f9:2061",)),
    _brother("PT-P710BT",  ("PT-P710BT",),  "brother", 180,  128,  18.1, "yes", "pi", ("04f9:20af",)),
    _brother("PT-P750W",   ("PT-P750W",),   "brother", 180,  128,  18.1, "yes", "pi", ("04f9:2062",)),
    _brother("PT-E500",    ("PT-E500",),    "brother", 180,  128,  18.1, "yes", "p",  ("04f9:205f",)),
)  # fmt: skip

MODELS: tuple[Model, ...] = (
    _ZEBRA + _TSC + _EPSON + _STAR + _CITIZEN + _BIXOLON + _HONEYWELL + _SATO + _GODEX + _BROTHER
)


def usb_quirks(vid: int, pid: int) -> frozenset[str]:
    """What is known of this USB id whatever the model, as CUPS learnt it."""
    whole = f"{vid:04x}:{pid:04x}"
    return USB_QUIRKS.get(whole, USB_QUIRKS.get(whole[:4], frozenset()))
