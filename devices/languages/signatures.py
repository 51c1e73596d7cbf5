"""Languages that are recognised but not yet drawn for, by how their streams begin.

Each test asks for more than one sign where one could be plain text: the wrong language prints metres of garbage, but
a refused right one stops a shop. Manuals are named in each docstring.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_BEGINNING = 1024  # bytes; no language waits longer to say what it is
_BLANK = rb"\A[\s\0]*+"


def _epl2(data: bytes) -> bool:
    """EPL2: one command a line, `N` (clear the image buffer) or `q` (width) with another command next to it.

    EPL2 Programmer's Manual (Zebra 980352). A and B carry text in quotes, GW and GG a place, P a count.
    """
    return _EPL2.match(data) is not None


_EPL2_COMMAND = (
    rb"(?:N|q\d{1,4}|Q\d{1,5}(?:,[B\d]?\d*(?:[+-]\d+)?)?|R\d+,\d+|S\d|D\d\d?|Z[TB]|O[A-Z]?\d?|JF|JB|UN|US|UQ|f\d+"
    rb"|I\d,\w{1,2}(?:,\d{3})?|[AB]\d+,\d+,[0-3],[^\r\n]*|b\d+,\d+,[^\r\n]*|L[OEW]\d+,\d+,\d+,\d+|X\d+,\d+,\d+,\d+,\d+"
    rb"|GG\d+,\d+,[^\r\n]*|G[KM]\"[^\r\n]*|F[KRS]\"[^\r\n]*|P[A\d]?\d*(?:,\d+)?)"
)
_EPL2_END = rb"[ \t]*+\r?\n\s*+"  # possessive: lines that do not match must not be tried in every way
_EPL2 = re.compile(
    _BLANK + rb"(?:" + _EPL2_COMMAND + _EPL2_END + rb")*?"
    rb"(?:N|q\d{1,4})" + _EPL2_END + rb"(?:GW\d+,\d+,\d+,\d+,|" + _EPL2_COMMAND + rb"[ \t]*+(?:\r?\n|\Z))"
)


def _escpos(data: bytes) -> bool:
    """ESC/POS: ESC @ (initialize), or a command that only receipt printers have.

    Epson ESC/POS Command Reference: GS v 0, GS (, ESC !, ESC a, ESC t, FS p, DLE EOT. Brother rasters and Star
    rasters begin with ESC @ as well, and say so in the next command.
    """
    return _ESCPOS.match(data) is not None and not _brother(data) and not _star(data)


_ESCPOS = re.compile(
    _BLANK + rb"(?:\x1B@|\x1Dv0[\0-\x030-3]|\x1D\([A-Za-z]|\x1B![\0-\xFF]|\x1Ba[\0-\x020-2]|\x1Bt[\0-\xFF]"
    rb"|\x1Cp[\x01-\xFF][\0-\x030-3]|\x10\x04[\x01-\x08])",
)


def _tspl(data: bytes) -> bool:
    """TSPL: `SIZE m,n`, or two lines of set-up commands. TSC TSPL/TSPL2 Programming Language manual."""
    return _TSPL.match(data) is not None


_TSPL_COMMAND = (
    rb"(?:CLS|HOME|(?:GAP|BLINE|OFFSET|SPEED|DENSITY|REFERENCE|SHIFT)[ ]+-?[\d.]+[^\r\n]*|DIRECTION[ ]+[01][^\r\n]*"
    rb"|SET[ ]+[A-Z]+[^\r\n]*|CODEPAGE[ ]+\w+|(?:TEXT|BAR|BARCODE|BITMAP|BOX|QRCODE)[ ]+\d+,[^\r\n]*"
    rb"|PRINT[ ]+\d+[^\r\n]*)"
)
_TSPL = re.compile(
    _BLANK + rb"(?:SIZE[ ]+[\d.]+[ ]*(?:mm|dot)?[ ]*(?:,[ ]*[\d.]+[ ]*(?:mm|dot)?[ ]*)?(?:\r|\n|\Z)"
    rb"|" + _TSPL_COMMAND + rb"[ ]*\r?\n\s*" + _TSPL_COMMAND + rb")"
)


def _cpcl(data: bytes) -> bool:
    """CPCL: `! offset dpi dpi height quantity`, `! UTILITIES`, or `! U1` with a command that is not SGD's.

    CPCL Programming Guide (Zebra P1073699). ZPL printers take `! U1 setvar`, `getvar` and `do` as well, so those
    say nothing about the language.
    """
    return _CPCL.match(data) is not None


_CPCL = re.compile(_BLANK + rb"! ?(?:\d+ +\d+ +\d+ +\d+ +\d+\s|UTILITIES\s|U1 +(?!setvar|getvar|do)[A-Z][A-Z-]+\b)")


def _star(data: bytes) -> bool:
    """Star raster: ESC * r A or ESC * r R, after an optional ESC @. Star Graphic Mode specification."""
    return re.match(_BLANK + rb"(?:\x1B@)?\x1B\*r[AR]", data) is not None


def _brother(data: bytes) -> bool:
    """Brother raster: ESC @ (behind NULs that end a job cut off), then ESC i. QL and PT raster command references."""
    return re.match(_BLANK + rb"(?:\x1B@[\0]*)?\x1Bi[aAdKMSUz!]", data) is not None


def _dpl(data: bytes) -> bool:
    """DPL: STX L CR begins a label, after system commands that begin with STX. Datamax Class Series 2 manual."""
    return re.match(_BLANK + rb"(?:\x02[A-Za-z][^\x02\r\n]{0,24}\r\n?){0,24}\x02L\r", data) is not None


def _sbpl(data: bytes) -> bool:
    """SBPL: ESC A begins a label and an ESC command follows, often between STX and ETX. SATO Programming Reference."""
    return re.match(_BLANK + rb"\x02?\s*\x1BA[\r\n]*\x1B(?:[A-Z#%*]|\$)", data) is not None


def _pjl(data: bytes) -> bool:
    """PJL: the universal exit ESC %-12345X, then any language. HP PJL Technical Reference Manual."""
    return re.match(_BLANK + rb"\x1B%-12345X", data) is not None


def _pcl(data: bytes) -> bool:
    """PCL 5: ESC E (reset) with a parameterized command next. HP PCL 5 Printer Language Technical Reference Manual."""
    return re.match(_BLANK + rb"\x1BE\x1B[&*()%]", data) is not None


def _postscript(data: bytes) -> bool:
    """PostScript: %!PS, behind the ^D that old drivers send. Adobe DSC 3.0."""
    return re.match(_BLANK + rb"\x04?%!PS", data) is not None


def _first(test: Callable[[bytes], bool]) -> Callable[[bytes], bool]:
    """`test`, shown only the first kilobyte."""
    return lambda data: test(data[:_BEGINNING])


SIGNATURES: dict[str, Callable[[bytes], bool]] = {
    name: _first(test)
    for name, test in {
        "epl2": _epl2,
        "escpos": _escpos,
        "tspl": _tspl,
        "cpcl": _cpcl,
        "star": _star,
        "brother": _brother,
        "dpl": _dpl,
        "sbpl": _sbpl,
        "pjl": _pjl,
        "pcl": _pcl,
        "postscript": _postscript,
    }.items()
}
