"""Languages that are recognised but not yet drawn for, by how their streams begin.

Each test asks for more than one sign where one could be plain text: the wrong language prints metres of garbage, but
a refused right one stops a shop. Manuals are named in each docstring.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_BEGINNING = 1024  # bytes; no language waits longer to say what it is
_BLANK = rb"\A[\s\0]*+"


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
        "brother": _brother,
        "dpl": _dpl,
        "sbpl": _sbpl,
        "pjl": _pjl,
        "pcl": _pcl,
        "postscript": _postscript,
    }.items()
}
