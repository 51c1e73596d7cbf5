"""What is this document? Its first bytes decide; what the caller says it is only helps where they are silent."""

from __future__ import annotations

from collections.abc import Callable

from bridge.errors import Invalid

HEAD = 4096  # bytes that are looked at

RAW = {
    "raw": "raw", "bin": "raw", "prn": "raw", "zpl": "zpl", "zpl2": "zpl", "epl": "epl2", "epl2": "epl2",
    "escpos": "escpos", "esc/pos": "escpos", "tspl": "tspl", "cpcl": "cpcl",
}  # fmt: skip
"""What callers call printer code -> our name for it."""

PICTURES = {"pdf": "pdf", "png": "png", "jpg": "jpeg", "jpeg": "jpeg", "image": "", "auto": "", "": ""}
"""What callers call documents that are drawn here -> our name; "" leaves it to the bytes."""

WRITTEN = {"receipt": "receipt", "text": "text", "txt": "text"}
"""What callers call documents that receipt printers set in type -> our name."""

_UNDRAWN = {"html", "docx", "svg", "webp", "gif", "tiff", "bmp"}

_REMEDY = "send a PDF, PNG or JPEG, or printer code (ZPL, EPL, ESC/POS, ...) with document_type raw"

Recognize = Callable[[bytes], str | None]
"""First bytes -> the printer language they are plainly written in, or None."""


def declared_type(text: str | None) -> str | None:
    """The caller's document_type, trimmed and checked. Raises Invalid for a type nobody knows."""
    if text is None:
        return None
    name = text.strip().lower().removeprefix(".")
    if name in RAW or name in PICTURES or name in WRITTEN:
        return name or None
    if name in _UNDRAWN:
        raise Invalid(
            f"documents of type {name!r} cannot be printed by this version", remedy=_REMEDY, field="document_type"
        )
    known = sorted({*RAW, *PICTURES, *WRITTEN} - {"", "image", "auto", "zpl2", "esc/pos"})
    raise Invalid(f"unknown document_type {text.strip()[:40]!r}", remedy=f"use one of {', '.join(known)}",
                  field="document_type")  # fmt: skip


def kind_of(head: bytes, declared: str | None, recognize: Recognize, *, force: bool = False) -> str:
    """The kind of the document that begins with `head`: pdf, png, jpeg, receipt, text, a printer language, or raw.

    declared: a result of declared_type. A text may look like anything: said to be one, it is drawn, and never sent as
    printer code. force: printer code is sent as it is, whatever it looks like. Raises Invalid when the bytes are
    nothing that can be printed.
    """
    if force and declared in RAW:
        return RAW[declared]
    picture = _picture(head)
    if declared in WRITTEN and (picture is None or (picture == "pdf" and not head.startswith(b"%PDF-"))):
        return WRITTEN[declared]
    if picture is not None:
        return picture
    language = recognize(head)
    if language is not None:
        return language
    if declared in RAW:
        return RAW[declared]
    said = f"said to be {declared}, but " if declared else ""
    raise Invalid(f"the document is {said}{_looks_like(head)}", remedy=_REMEDY, field="document")


def kind_or_none(head: bytes, recognize: Recognize) -> str | None:
    """The same for a document nobody says anything about; None when its first bytes say nothing either."""
    return _picture(head) or recognize(head)


def _picture(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    # Readers accept a PDF header anywhere in the first kilobyte (ISO 32000-1, annex H.3, note 13), but printer code
    # may carry a PDF's first bytes as text; only what begins like no printer language counts as a PDF there.
    if head.startswith(b"%PDF-") or (b"%PDF-" in head[:1024] and head.lstrip()[:1] not in (b"^", b"~", b"!", b"\x1b")):
        return "pdf"
    return None


def _looks_like(head: bytes) -> str:
    text = head.lstrip()[:256].lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page (often the error page of a web server)"
    if text.startswith((b"{", b"[")):
        return "JSON"
    if text.startswith(b"pk\x03\x04"):
        return "a ZIP archive (a docx or xlsx?)"
    return "nothing this bridge can recognize"
