"""Whether a printer understands a raw job: what it was recognized as, against what the printer speaks."""

from __future__ import annotations

from bridge.model import Job, Options
from devices import languages
from devices.languages.signatures import SIGNATURES
from devices.printer import Printer

KNOWN_LANGUAGES = frozenset({*languages.names(), *SIGNATURES})
"""Languages a stream can be recognized as."""

_SPOKEN = {"zpl": "ZPL", "epl2": "EPL2", "escpos": "ESC/POS", "tspl": "TSPL", "cpcl": "CPCL"}


def refusal(job: Job, printer: Printer) -> str | None:
    """Why this job must not go to this printer at all; None when it may."""
    if not job.is_raw or job.kind in ("raw", printer.language):
        return None
    if job.kind not in KNOWN_LANGUAGES or Options.from_json(job.options).force:
        return None
    return (
        f"the job is {spoken(job.kind)}, the printer {printer.name} speaks {spoken(printer.language)}; "
        "send it to another printer, send a PDF instead, or send it with the option force"
    )


def spoken(language: str | None) -> str:
    """A language's name as people write it."""
    return _SPOKEN.get(language or "", (language or "unknown").upper())
