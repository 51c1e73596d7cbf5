"""What each ZPL command may do beside printing (ZPL II Programming Guide, each under its name).

Only what is listed here as printing is Harm.NONE; whatever is not listed is Harm.UNKNOWN.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from devices.commands import Harm

OUR_OBJECTS = b"PB"  # jobs may store and recall objects whose names begin so
MOST_LABELS = 9_999  # of one ^PQ; more than a roll holds
MOST_COUNTED = 99_999  # bytes; ^GF sets a larger count to this, and would read on in the middle of the data

_BLANKS = bytes(range(0x21))

PRINTING = frozenset(
    "^BY ^CF ^CI ^CN ^CO ^CP ^CV ^CW ^DN ^FB ^FC ^FD ^FE ^FH ^FM ^FN ^FO ^FP ^FR ^FS ^FT ^FV ^FW ^FX ^GB ^GC ^GD ^GE"
    " ^GF ^GS ^IL ^IM ^JM ^LH ^LL ^LR ^LS ^LT ^MC ^MD ^MF ^MM ^MN ^MT ^MU ^PA ^PF ^PM ^PN ^PO ^PQ ^PR ^PW ^RB ^RF"
    " ^RM ^RR ^RS ^RT ^SF ^SN ^SP ^SZ ^TB ^WT ^XA ^XB ^XG ^XZ ^JZ ~DN ~JK ~JS ~SD ~TA".split()
    + [f"^A{font}" for font in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ@"]
    + [f"^B{code}" for code in "0123456789ABCDEFIJKLMOPQRSTUXZ"]
)
"""Fields, barcodes, pictures, and how a label is laid out and printed: what label programs send all day."""

_SETTINGS = frozenset(
    "^FL ^JH ^JJ ^JS ^JT ^JU ^JW ^KC ^KD ^KL ^KN ^KP ^KV ^MA ^MI ^ML ^MP ^MQ ^MW ^NB ^NC ^ND ^NI ^NN ^NP ^NS ^NT"
    " ^NW ^RW ^SC ^SI ^SL ^SO ^SQ ^SR ^SS ^ST ^SX ^WA ^WE ^WI ^WL ^WP ^WR ^WS ^WX ^XS ^ZZ ~JF ~JN ~JO ~NC ~NR ~NT ~PL"
    " ~PM ~RO".split()
)
_FILES = frozenset("^DF ^EF ^EG ^ID ^IS ^JB ^TO ^XF ~DB ~DE ~DG ~DS ~DT ~DU ~DY ~EF ~EG ~JB".split())
_DISRUPTION = frozenset(
    "^JI ^PH ^PP ~JA ~JC ~JD ~JE ~JG ~JI ~JL ~JP ~JQ ~JR ~JX ~KB ~PH ~PP ~PR ~PS ~RP ~WR ~XR".split()
)
_BACKCHANNEL = frozenset(
    "^HF ^HG ^HH ^HL ^HR ^HT ^HV ^HW ^HY ^HZ ^LF ^RV ^WD ^WQ ~HB ~HD ~HI ~HL ~HM ~HQ ~HR ~HS ~HU ~RV ~WC ~WL"
    " ~WQ".split()
)
_LISTED = (
    (_SETTINGS, Harm.SETTINGS),
    (_FILES, Harm.FILES),
    (_DISRUPTION, Harm.DISRUPTION),
    (_BACKCHANNEL, Harm.BACKCHANNEL),
)

_OBJECT = re.compile(rb"(?:[A-Z]:)?" + OUR_OBJECTS + rb"[A-Z0-9_]{0,14}(?:\.[A-Z0-9]{1,3})?")


def harm(name: str, text: bytes, delimiter: bytes = b",") -> Harm:
    """What the command `name` ("^XA", "~JR") may do. text: its parameters, at least the first 64 bytes of them."""
    if name in PRINTING:
        look = _LOOKS.get(name)
        return look(text, delimiter) if look else Harm.NONE
    for names, kind in _LISTED:
        if name in names:
            return Harm.NONE if kind is Harm.FILES and _is_ours(name, text, delimiter) else kind
    return Harm.UNKNOWN


def sgd(verb: str, variable: str) -> Harm:
    """What a `! U1` line may do (SGD: setvar, getvar, do)."""
    if verb == "getvar":
        return Harm.BACKCHANNEL
    if verb == "setvar":
        return Harm.SETTINGS
    if verb != "do":
        return Harm.UNKNOWN
    if variable.startswith("file."):
        return Harm.FILES
    return Harm.DISRUPTION if variable in _SGD_DISRUPTION else Harm.SETTINGS


_SGD_DISRUPTION = frozenset({
    "device.reset", "device.pause", "device.unpause", "device.jobs_print", "formats.cancel_all", "media.cut_now",
    "ezpl.manual_calibration", "device.frontpanel.key_press", "zbi.control.run", "zbi.control.terminate",
})  # fmt: skip


def _is_ours(name: str, text: bytes, delimiter: bytes) -> bool:
    """^DF, ^XF, ^IS, ^ID, ~DG, ~DY with a name of ours; ~DY for pictures only, as it stores programs and keys too."""
    if name not in ("^DF", "^XF", "^IS", "^ID", "~DG", "~DY"):
        return False
    called = text.upper().split(delimiter, 1)[0].rstrip(_BLANKS)
    return bool(_OBJECT.fullmatch(called)) and (name != "~DY" or _is_picture(text, delimiter))


def _is_picture(text: bytes, delimiter: bytes) -> bool:
    """~DYd:f,b,x,t,w,data: hexadecimal, or binary with a count that leaves no doubt; .BMP, .GRF, .PNG or .PCX."""
    parts = text.split(delimiter, 5)
    if len(parts) < 6 or parts[2].upper() not in (b"B", b"G", b"P", b"X"):
        return False
    counted = parts[1].upper() in (b"B", b"C") and parts[3].isdigit() and 0 < int(parts[3]) <= MOST_COUNTED
    return counted or parts[1].upper() in (b"A", b"P")


def _number(text: bytes) -> int | None:
    """A parameter as a number, 0 when it is left out; None for anything else."""
    text = text.translate(None, _BLANKS)
    return int(text[:12] or b"0") if not text or text.isdigit() else None


def _quantity(text: bytes, delimiter: bytes) -> Harm:
    """^PQq,p,r,o: q labels; the printer pauses after every p of them unless o is Y."""
    labels, pause, copies, override, *_ = [*text.split(delimiter, 4), b"", b"", b"", b""]
    counts = [_number(labels), _number(pause), _number(copies)]
    if None in counts:
        return Harm.UNKNOWN
    stops = counts[1] and override.strip().upper() != b"Y"
    return Harm.DISRUPTION if stops or max(n or 0 for n in counts) > MOST_LABELS else Harm.NONE


def _graphic(text: bytes, delimiter: bytes) -> Harm:
    """^GFa,b,c,d,data: hexadecimal ends at any prefix, so it hides nothing; binary only with counts beyond doubt.

    Compressed binary (C) is known to Zebra's printers alone: others would read the data as commands.
    """
    kind = text.split(delimiter, 1)[0].translate(None, _BLANKS).upper()
    if kind in (b"A", b""):
        return Harm.NONE
    parts = text.split(delimiter, 4)
    if len(parts) < 5 or kind != b"B" or not all(count.isdigit() and len(count) < 9 for count in parts[1:4]):
        return Harm.UNKNOWN
    follow, picture, row = (int(count) for count in parts[1:4])
    return Harm.NONE if follow == picture <= MOST_COUNTED and 0 < row <= follow else Harm.UNKNOWN


def _only(*harmless: bytes, otherwise: Harm) -> Callable[[bytes, bytes], Harm]:
    """Harmless with these first parameters, and without any."""

    def look(text: bytes, delimiter: bytes) -> Harm:
        first = text.split(delimiter, 1)[0].translate(None, _BLANKS).upper()
        return Harm.NONE if first in (b"", *harmless) else otherwise

    return look


def _media_feed(text: bytes, delimiter: bytes) -> Harm:
    """^MFp,h: what happens at power-up and when the head closes. UPS's labels say N,N: no feed."""
    said = text.translate(None, _BLANKS).upper().split(delimiter)
    return Harm.NONE if all(each in (b"", b"N") for each in said) else Harm.SETTINGS


_ENCODINGS = tuple(b"%d" % n for n in [*range(14), 27, 28, *range(31, 37)])
"""^CI: those in which a prefix is never the second byte of a character."""

_LOOKS: dict[str, Callable[[bytes, bytes], Harm]] = {
    "^PQ": _quantity,
    "^GF": _graphic,
    "^CI": _only(*_ENCODINGS, otherwise=Harm.UNKNOWN),
    "^JZ": _only(b"Y", otherwise=Harm.DISRUPTION),  # N: labels lost when the paper runs out
    "^MC": _only(b"Y", otherwise=Harm.DISRUPTION),  # N: this label is printed under the next ones too
    "^MF": _media_feed,
    "^MM": _only(b"T", otherwise=Harm.DISRUPTION),  # a mode whose hardware is missing stops the printer
    "^SZ": _only(b"2", otherwise=Harm.UNKNOWN),  # 1: the older ZPL, which is not read here
    "~TA": _only(b"0", b"00", b"000", b"+00", b"-00", otherwise=Harm.DISRUPTION),
}
