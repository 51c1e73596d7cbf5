"""Which model is this? Clues in, the best row of the catalog out, with a score and the reason in words. Pure.

    identify(device_id=ieee1284.read(text)).reason     "because MDL is ZTC ZD421-300dpi ZPL"

A clue is the IEEE-1284 device id, the USB ids, a name (USB product string, mDNS), the answer to `~HI` (ZPL) or to
`GS I` (ESC/POS). None of them is asked for here, and the last two only ever by a person or for a configured printer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from devices.catalog import MAKERS, MODELS, Maker, Model, usb_quirks
from devices.ieee1284 import DeviceId

_SCORES = {"answer": 100, "device id": 95, "name": 85, "usb": 80, "family": 60, "language": 40, "maker": 20}
"""How far each kind of evidence is trusted, 0 to 100."""


@dataclass(frozen=True, slots=True)
class HostIdentification:
    """The answer to `~HI`. dpi: from dots per mm, None when that is not 6, 8, 12 or 24. memory_kb: 0 when not said."""

    model: str
    firmware: str
    dpi: int | None
    memory_kb: int


@dataclass(frozen=True, slots=True)
class Identification:
    """What a printer probably is.

    model: the catalog row, None when no row fits or several do. language, dpi: what to write in the configuration,
    None when not known; may be known without a row. also: the rows that fit as well (one model, several heads).
    score: 0 (nothing known) to 100 (the printer said so itself). reason: a sentence that begins with "because".
    """

    model: Model | None
    language: str | None
    dpi: int | None
    quirks: frozenset[str]
    score: int
    reason: str
    also: tuple[Model, ...] = ()


def identify(
    *,
    device_id: DeviceId | None = None,
    usb: tuple[int, int] | None = None,
    name: str = "",
    hi: HostIdentification | None = None,
    gs_i: str = "",
) -> Identification:
    """The best row for these clues.

    usb: (vendor id, product id). name: what a USB product string, an mDNS name or sysDescr says. gs_i: the text of a
    `GS I` 67 answer, see `read_gs_i`.
    """
    quirks = usb_quirks(*usb) if usb else frozenset()
    for best in _guesses(device_id, usb, name, hi, gs_i):
        told = _with_language(best, device_id)
        return replace(told, quirks=quirks | told.quirks)
    return Identification(None, None, None, quirks, 0, "because nothing it says of itself is in the catalog")


def read_hi(answer: bytes) -> HostIdentification | None:
    """The answer to ~HI: STX model,firmware,dots per mm,memory,options ETX. None when it is none.

    ZPL II Programming Guide, ~HI. Dots per mm 8, 12 and 24 are sold as 203, 300 and 600 dpi.
    """
    found = re.search(rb"\x02([^\x02\x03,]{1,60}),([^\x02\x03,]{1,40}),(\d{1,3})(?:,(\d{1,8}))?", answer[:1024])
    if found is None:
        return None
    model, firmware, per_mm, memory = (part.decode("latin-1").strip() for part in found.groups(b""))
    dpi = {"6": 152, "8": 203, "12": 300, "24": 600}.get(per_mm)
    return HostIdentification(model, firmware, dpi, int(memory or 0))


def read_gs_i(answer: bytes) -> str:
    """The text in an answer to GS I 65..69: `_` text NUL. "" when there is none. Epson ESC/POS reference, GS I."""
    found = re.search(rb"_([ -~]{1,80})\0", answer[:256])
    return found[1].decode("ascii").strip() if found else ""


def _guesses(
    device_id: DeviceId | None,
    usb: tuple[int, int] | None,
    name: str,
    hi: HostIdentification | None,
    gs_i: str,
) -> Iterator[Identification]:
    """Every conclusion these clues allow, the safest first."""
    maker = _maker(device_id.mfg if device_id else name, usb)
    wanted = hi.dpi if hi else None
    if hi:
        yield from _by_name(hi.model, _named("Zebra"), "answer", f"~HI answers {hi.model}, {hi.dpi or '?'} dpi", wanted)
    if gs_i:
        yield from _by_name(gs_i, maker, "answer", f"GS I answers {gs_i}", wanted)
    if device_id and device_id.mdl:
        yield from _by_name(device_id.mdl, maker, "device id", f"MDL is {device_id.mdl}", wanted)
    if device_id and device_id.description:
        yield from _by_name(device_id.description, maker, "name", f"DES is {device_id.description}", wanted)
    if name:
        yield from _by_name(name, maker, "name", f"it calls itself {name}", wanted)
    if usb:
        yield from _by_usb(usb, wanted)
    yield from _without_a_row(device_id, hi, gs_i, maker)


def _by_name(
    said: str, maker: Maker | None, kind: str, why: str, wanted_dpi: int | None
) -> Iterator[Identification]:
    """The row whose MDL occurs in `said`; failing that the family it belongs to, whose resolution is not known."""
    runs = _runs(said)
    whole = _best(runs, maker, family=False)
    if whole:
        yield from _conclude(whole, kind, why, wanted_dpi)
    family = _best(runs, maker, family=True)
    if family and not whole:
        yield from _conclude(family, kind, why, wanted_dpi)


def _by_usb(usb: tuple[int, int], wanted_dpi: int | None) -> Iterator[Identification]:
    """A product id says the model, never which head is in it: its whole family fits."""
    known = f"{usb[0]:04x}:{usb[1]:04x}"
    stems = {stem for row in MODELS if known in row.usb for stem in _stems(row)}
    rows = [row for row in MODELS if known in row.usb or stems & set(_stems(row))]
    if rows:
        yield from _conclude(rows, "usb", f"its USB id is {known}", wanted_dpi)


def _conclude(rows: list[Model], kind: str, why: str, wanted_dpi: int | None) -> Iterator[Identification]:
    """One row: that is it. Several: those with the resolution the printer told of, or what they have in common."""
    rows = [row for row in rows if wanted_dpi in (None, row.dpi)] or rows
    if len(rows) == 1:
        [row] = rows
        yield Identification(row, row.language, row.dpi, row.quirks, _SCORES[kind], f"because {why}")
        return
    languages, heads = {row.language for row in rows}, {row.dpi for row in rows}
    yield Identification(
        None,
        languages.pop() if len(languages) == 1 else None,
        heads.pop() if len(heads) == 1 else None,
        frozenset.intersection(*(row.quirks for row in rows)),
        _SCORES["family"],
        f"because {why}; it may be {_list(row.name for row in rows)}",
        tuple(rows),
    )


def _without_a_row(
    device_id: DeviceId | None, hi: HostIdentification | None, gs_i: str, maker: Maker | None
) -> Iterator[Identification]:
    """What is left when no row fits: that it answered in a language, what CMD says, or who made it."""
    if hi:
        yield _only("zpl", hi.dpi, "language", f"it answers ~HI as {hi.model}, which is not in the catalog")
    if gs_i:
        yield _only("escpos", None, "language", f"it answers GS I as {gs_i}, which is not in the catalog; {_NO_DPI}")
    language = language_of(device_id.commands) if device_id else None
    if device_id and language:
        said = f"CMD is {','.join(device_id.commands)}"
        model = f"; {device_id.mdl} is not in the catalog" if device_id.mdl else ""
        yield _only(language, None, "language", f"{said}{model}; {_NO_DPI}")
    if maker and maker.language:
        yield _only(maker.language, None, "maker", f"{maker.name} made it; {_NO_DPI}")


_NO_DPI = "its resolution is not known"


def _only(language: str, dpi: int | None, kind: str, why: str) -> Identification:
    return Identification(None, language, dpi, frozenset(), _SCORES[kind], f"because {why}")


# What a device says of its language.

_COMMANDS = [
    #  first of these that one part of CMD is      our name
    (("ZPL", "ZPLII", "ZPL2", "ZPL-II", "ZPL II", "CEZD"), "zpl"),  # CEZD: Arkscan 2054A (lprint-zpl.h)
    (("EPL", "EPL2", "EPLII"), "epl2"),
    (("TSPL", "TSPL2", "TSPL-EZ", "TSPL_EZ", "XPP"), "tspl"),  # XPP: Rollo, Marklife (lprint-tspl.h)
    (("CPCL",), "cpcl"),
    (("DPL",), "dpl"),
    (("SBPL",), "sbpl"),
    (("STAR", "STARPRNT", "STARLINE"), "star"),
    (("PT-CBP",), "brother"),
    (("ESC/POS", "ESCPOS", "ESC-POS", "ESC/POS2"), "escpos"),
]


def language_of(commands: Iterable[str]) -> str | None:
    """Our name for the first language in CMD that we know, label languages before receipt languages.

    "EPSON" alone means ESC/POS: clones of 58 and 80 mm receipt printers say so, and nothing else of Epson's does.
    """
    said = {command.upper().strip() for command in commands}
    for names, language in _COMMANDS:
        if said & set(names):
            return language
    return "escpos" if said == {"EPSON"} else None


_INTERPRETERS = {"zsim": "zpl", "esim": "epl2", "zpl": "zpl", "epl": "epl2"}
"""Words in MDL that name the language switched on: Zebra writes "GC420d (EPL)", Honeywell "PC42t-203-ESim"."""


def _with_language(found: Identification, device_id: DeviceId | None) -> Identification:
    """What the device says of its language is newer than what the catalog says of its kind."""
    told = _told_language(device_id) if device_id else None
    if told and told != found.language:
        return replace(found, language=told, reason=f"{found.reason}, switched to {told} by its own account")
    if found.model and found.model.note:
        return replace(found, reason=f"{found.reason}; {found.model.note}")
    return found


def _told_language(device_id: DeviceId) -> str | None:
    words = _words(device_id.mdl)
    if "esp" in words and "star" in _words(device_id.mfg):  # Star: (STR-001) is Star mode, (ESP-001) is ESC/POS
        return "escpos"
    named = [_INTERPRETERS[word] for word in words if word in _INTERPRETERS]
    return language_of(device_id.commands) or (named[-1] if named else None)


# How names are compared.


def _maker(said: str, usb: tuple[int, int] | None) -> Maker | None:
    """Who made it, by the beginning of MFG (or of its name), else by its vendor id."""
    plain = " ".join(_words(said))
    for maker in MAKERS:
        if any(plain.startswith(mfg) for mfg in maker.mfg):
            return maker
    vid = f"{usb[0]:04x}" if usb else ""
    return next((maker for maker in MAKERS if vid in maker.vids), None)


def _named(name: str) -> Maker:
    return next(maker for maker in MAKERS if maker.name == name)


def _best(runs: frozenset[str], maker: Maker | None, *, family: bool) -> list[Model]:
    """The rows whose key occurs in `runs`; of two keys the longer one is meant (TM-T88V-i before TM-T88V).

    Without a known maker every row may fit, but a short key ("G500") proves nothing then.
    """
    longest = 0
    rows: list[Model] = []
    for key, row in _index(family):
        if key not in runs or len(key) < longest:
            continue
        if row.maker != maker.name if maker else len(key) < 5:
            continue
        if len(key) > longest:
            longest = len(key)
            rows = []
        if row not in rows:
            rows.append(row)
    return rows


@cache
def _index(family: bool) -> tuple[tuple[str, Model], ...]:
    """(key, row) for every spelling of every MDL; family: without the resolution at the end."""
    return tuple((key, row) for row in MODELS for key in (_stems(row) if family else _keys(row)))


def _keys(row: Model) -> list[str]:
    return ["".join(_words(mdl)) for mdl in row.mdl]


def _stems(row: Model) -> list[str]:
    """The keys that end in a resolution, without it: ZD421-203dpi -> zd421."""
    words = [_words(mdl) for mdl in row.mdl]
    return ["".join(w[:-1]) for w in words if len(w) > 1 and w[-1].removesuffix("dpi") in _DPI_WORDS]


_DPI_WORDS = frozenset({"203", "300", "305", "600", "609"})
_RESOLUTIONS = {"200dpi": "203dpi", "8dpmm": "203dpi", "305dpi": "300dpi", "12dpmm": "300dpi", "24dpmm": "600dpi"}
_MOST_WORDS = 16


@lru_cache(maxsize=1024)
def _words(said: str) -> tuple[str, ...]:
    """Lower-case runs of letters and digits, resolutions in one spelling: "ZTC ZD410-200dpi" -> ztc zd410 203dpi."""
    words = re.findall(r"[a-z0-9]+", said[:200].lower())[:_MOST_WORDS]
    return tuple(_RESOLUTIONS.get(word, word) for word in words)


def _runs(said: str) -> frozenset[str]:
    """Every row of neighbouring words, joined: "ZP 450-200dpi" has zp, 450, zp450, 203dpi, ..."""
    words = _words(said)
    ends = range(1, len(words) + 1)
    return frozenset("".join(words[start:end]) for end in ends for start in range(end))


def _list(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
