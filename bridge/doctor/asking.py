"""Network printers asked what they are: only with `doctor --ask`, and only when the serve says they are not printing.

ZPL: ~HI (ZPL II guide). ESC/POS: GS I 67, the model's name (Epson's reference). A printer that does not answer is left
alone: many never do.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bridge.doctor.finding import Finding
from devices.identify import Identification, identify, read_gs_i, read_hi

AREA = "printer"
PATIENCE_S = 2.0  # seconds for an answer
LONGEST = 1024  # bytes of one
_QUESTIONS = {"zpl": b"~HI\r\n", "escpos": b"\x1dIC"}


def what_it_is(name: str, uri: str, settings: Mapping[str, Any]) -> Finding | None:
    """What the printer says it is, beside what it is set up as. None when there is no question, or no answer."""
    language = str(settings.get("language", "zpl"))
    if language not in _QUESTIONS:
        return None
    found = _identified(language, _answer(uri, _QUESTIONS[language], language))
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


def _answer(uri: str, question: bytes, language: str) -> bytes:
    """What comes back within PATIENCE_S; b"" for nothing, and for a printer that hangs up."""
    parts = urlsplit(uri)
    end = b"\x03" if language == "zpl" else b"\0"
    said, deadline = b"", time.monotonic() + PATIENCE_S
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 9100), PATIENCE_S) as line:
            line.sendall(question)
            while end not in said and len(said) < LONGEST and (left := deadline - time.monotonic()) > 0:
                line.settimeout(left)
                piece = line.recv(LONGEST)
                if not piece:
                    break
                said += piece
    except OSError:
        pass  # no answer is an answer: what can be reached was seen before
    return said
