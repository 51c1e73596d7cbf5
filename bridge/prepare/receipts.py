"""Receipts and plain text for ESC/POS printers: checked when they come in, filled into templates, drawn in the child.

`check` and `expand` run in the server and load neither python-escpos nor PyMuPDF; `draw` runs in the render child.

templates/receipts/NAME.toml says which fields a template has, NAME.json.j2 makes the receipt of them: Jinja2 in which
whatever is put in comes out as a JSON string. So a template writes {"text": {{ shop }}} without quotation marks, and no
value can become an element.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bridge.errors import Invalid
from bridge.prepare.documents import Refused
from bridge.prepare.labels import filled, load_receipt
from bridge.resources import templates_folder
from devices.contracts import Media, Tuning
from devices.receipts_elements import BadReceipt, Element, cuts_itself, opens_drawer, parse, plain_text

KINDS = ("receipt", "text")
"""Kinds of document this module draws."""


# ---- in the server ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReceiptFacts:
    """What intake asks of a receipt. opens_drawer: the key needs that permission."""

    opens_drawer: bool


def check(kind: str, data: bytes) -> ReceiptFacts:
    """Whether `data` is a receipt (kind "receipt", JSON) or a text (kind "text", UTF-8). Raises Invalid."""
    try:
        found = _read(kind, data)
    except BadReceipt as error:
        raise invalid(error) from error
    return ReceiptFacts(opens_drawer(found))


def invalid(error: BadReceipt) -> Invalid:
    """A bad receipt as an answer to a caller."""
    field = "receipt" if error.field in ("", "receipt") else f"receipt.{error.field}"
    return Invalid(str(error), field=field[:128], remedy=error.remedy, code="bad_receipt")


def expand(name: str, fields: dict[str, str]) -> bytes:
    """The receipt template filled in, as JSON. A field left out is empty. Raises Invalid."""
    values = filled(load_receipt(name), fields)
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(templates_folder() / "receipts"), undefined=StrictUndefined, finalize=json.dumps,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made = environment.get_template(f"{name}.json.j2").render(values).encode()
    check("receipt", made)
    return made


def _read(kind: str, data: bytes) -> tuple[Element, ...]:
    return parse(data) if kind == "receipt" else plain_text(data)


# ---- in the render child ----------------------------------------------------------------------------------------


def draw(
    kind: str, data: bytes, *, language: str, media: Media, tuning: Tuning, pixels_max: int
) -> tuple[dict[str, Any], bytes]:
    """The facts of a page frame, and the printer's bytes, of a receipt or a text: always one page. Raises Refused.

    The bytes end with what ends each page and copy, unless the receipt says itself where it is cut. Beside the usual
    facts there are "note", for people, and "cuts": nothing is to be cut after it. pixels_max: of one picture.
    """
    from bridge.prepare.pen import MuPen, engine_errors
    from devices.languages.escpos import LANGUAGE
    from devices.profiles import profile
    from devices.receipts import render

    if language != "escpos":
        raise Refused("wrong_language", f"receipts and texts are for ESC/POS printers, this one speaks {language}",
                      "send a label, a picture or a PDF")  # fmt: skip
    try:
        found = _read(kind, data)
        with engine_errors():
            pen = MuPen(media.dpi, pixels_max)
            printed = render(found, profile(tuning.profile), media=media, tuning=tuning, pen=pen)
    except BadReceipt as error:
        raise Refused("bad_receipt", str(error), error.remedy or "change the receipt", 1) from error
    except ValueError as error:
        raise Refused("not_encodable", f"escpos: {error}", "change the receipt", 1) from error
    cuts = cuts_itself(found)
    end = b"" if cuts else LANGUAGE.end_of("page", tuning, media) + LANGUAGE.end_of("copy", tuning, media)
    facts = {"factor": 1.0, "rotated": 0, "width": printed.width, "height": printed.height, "flaws": 0,
             "note": printed.note, "cuts": cuts}  # fmt: skip
    return facts, printed.data + end
