"""Network printers asked what they are: only with `doctor --ask`, and only when the serve says they are not printing.

ZPL: ~HI (ZPL II guide). ESC/POS: GS I 67, the model's name (Epson's reference). A printer that does not answer is left
alone: many never do.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from bridge.doctor.finding import Finding
from devices import interview, transports
from devices.contracts import Settings
from devices.errors import DeviceError
from devices.identify import Identification, identify, read_gs_i, read_hi

AREA = "printer"
PATIENCE_S = 2.0  # seconds for an answer
_QUESTIONS = {"zpl": (b"~HI\r\n", b"\x03"), "escpos": (b"\x1dIC", b"\0")}  # and the last byte of the answer


def what_it_is(name: str, uri: str, settings: Mapping[str, Any]) -> Finding | None:
    """What the printer says it is, beside what it is set up as. None when there is no question, or no answer."""
    language = str(settings.get("language", "zpl"))
    if language not in _QUESTIONS:
        return None
    found = _answer(uri, language)
    if found is None:
        return None
    model = found.model.name if found.model else "a model not in the catalog"
    what = f"{name} ({uri}) answers: {model}, {found.reason}"
    dpi = settings.get("dpi", 203)
    if found.dpi in (None, dpi):
        return Finding(AREA, "ok", what)
    return Finding(AREA, "warning", f"{what}; it prints {found.dpi} dpi and is set up with {dpi}",
                   f"set dpi = {found.dpi} for it, or labels come out in the wrong size")  # fmt: skip


def _identified(language: str, answer: bytes) -> Identification | None:
    if language == "zpl":
        hi = read_hi(answer)
        return identify(hi=hi) if hi is not None else None
    told = read_gs_i(answer)
    return identify(gs_i=told) if told else None


def _answer(uri: str, language: str) -> Identification | None:
    """What comes back within PATIENCE_S; None for nothing, and for a printer that hangs up."""
    question, end = _QUESTIONS[language]
    try:
        with closing(transports.open(uri, Settings(connect_s=PATIENCE_S))) as line:
            return interview.answer(
                line, question, lambda heard: _identified(language, heard) if end in heard else None, PATIENCE_S
            )  # fmt: skip
    except DeviceError:
        return None  # no answer is an answer: what can be reached was seen before
