"""Label templates: a drawing with fields, and what may be filled in.

templates/labels/NAME.toml says how large the label is and which fields it has; NAME.svg.j2 is the drawing, an SVG in
millimeters with Jinja2 in it. Values are put in escaped, so no value can become a part of the drawing. Receipts have
templates with fields too (`bridge.prepare.receipts` fills them in); what is common to both is here.

What a drawing finds beside its own fields: `dpi`, `width_mm`, `height_mm`; `dot`, the printer's dot in mm; the filter
`snap` (mm to the nearest edge of a dot); the filter `code128` (text to bars that are whole dots wide); the filter `fit`
(text to the size at which it fits).
"""

from __future__ import annotations

import tomllib
import unicodedata
from functools import partial
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup
from pydantic import BaseModel, ConfigDict, Field

from bridge.errors import Invalid
from bridge.resources import templates_folder
from devices.barcodes import QUIET_ZONE, code128

MM = 25.4  # mm in an inch
NARROWEST = 2  # dots of a barcode's narrowest bar: a single one is lost when a print head is dirty


class TemplateField(BaseModel):
    """[[fields]]: one value a caller fills in. max_length: characters. sample: what a preview shows.

    lines: a value of several lines (receipts only).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    label: str
    max_length: int = Field(ge=1, le=10_000)
    required: bool = False
    lines: bool = False
    sample: str = ""


class ReceiptTemplate(BaseModel):
    """One receipt template, as its TOML file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    fields: tuple[TemplateField, ...]

    def samples(self) -> dict[str, str]:
        """A value for every field, to look at the template before there is anything to print."""
        return {field.name: field.sample for field in self.fields}


class LabelTemplate(ReceiptTemplate):
    """One label template. width_mm, height_mm: the label it is drawn for."""

    width_mm: float = Field(gt=0, le=1000)
    height_mm: float = Field(gt=0, le=1000)


def names() -> tuple[str, ...]:
    """Every label template there is."""
    return _stems("labels")


def receipt_names() -> tuple[str, ...]:
    """Every receipt template there is."""
    return _stems("receipts")


def _stems(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (templates_folder() / folder).glob("*.toml")))


def load(name: str) -> LabelTemplate:
    """The template called `name`. Raises Invalid when there is none."""
    if name not in names():  # asked of the folder's own list: a name never becomes part of a path unchecked
        raise _unknown(name)
    return LabelTemplate(name=name, **_toml("labels", name))


def load_receipt(name: str) -> ReceiptTemplate:
    """The receipt template called `name`. Raises Invalid when there is none."""
    if name not in receipt_names():
        raise _unknown(name)
    return ReceiptTemplate(name=name, **_toml("receipts", name))


def _toml(folder: str, name: str) -> dict[str, Any]:
    return tomllib.loads((templates_folder() / folder / f"{name}.toml").read_text("utf-8"))


def _unknown(name: str) -> Invalid:
    there = f"use one of {', '.join(names())} for labels, {', '.join(receipt_names())} for receipts"
    return Invalid(f"there is no label template {name[:64]!r}", remedy=there, field="template", code="unknown_template")


def check(name: str, fields: dict[str, str]) -> None:
    """Raise Invalid when there is no such template, for labels or receipts, or these are not its fields."""
    filled(load_receipt(name) if name in receipt_names() else load(name), fields)


def expand(name: str, fields: dict[str, str], dpi: int) -> bytes:
    """The template filled in, as SVG for a printer of `dpi`. A field left out is empty. Raises Invalid."""
    template = load(name)
    values = filled(template, fields)
    dot = MM / dpi
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(templates_folder() / "labels"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["fit"] = fit
    environment.filters["snap"] = partial(snap, dot=dot)
    environment.filters["code128"] = partial(_bars, dot=dot)
    drawing = environment.get_template(f"{name}.svg.j2").render(
        values, dpi=dpi, dot=dot, width_mm=template.width_mm, height_mm=template.height_mm
    )
    return drawing.encode()


def filled(template: ReceiptTemplate, fields: dict[str, str]) -> dict[str, str]:
    """A value for every field of the template. Raises Invalid for what cannot be one."""
    allowed = {field.name: field for field in template.fields}
    for name in fields:
        if name not in allowed:
            raise Invalid(f"template {template.name} has no field {name[:64]!r}", field=f"fields.{name[:64]}",
                          remedy=f"it has {', '.join(allowed)}")  # fmt: skip
    return {name: _value(field, fields.get(name, "")) for name, field in allowed.items()}


def _value(field: TemplateField, value: str) -> str:
    where = f"fields.{field.name}"
    if field.lines:
        value = value.replace("\r\n", "\n")  # as forms of web pages, and files from Windows, end their lines
    if field.required and not value.strip():
        raise Invalid(f"the template needs a value for {field.name} ({field.label})", field=where)
    if len(value) > field.max_length:
        raise Invalid(f"{field.name} has {len(value)} characters, there is room for {field.max_length}",
                      field=where, remedy="send a shorter one")  # fmt: skip
    for character in value:
        if unicodedata.category(character) in _NOT_DRAWN and not (field.lines and character == "\n"):
            raise Invalid(f"{field.name} contains the character U+{ord(character):04X}, which cannot be drawn",
                          field=where, remedy="leave it out")  # fmt: skip
    return value


_NOT_DRAWN = frozenset({"Cc", "Cs", "Cn"})
"""Unicode categories: control characters (most have no place in XML), halves of surrogate pairs, nothing at all."""


# ---- filters of the drawings ------------------------------------------------------------------------------------


def snap(mm: float, *, dot: float) -> float:
    """The edge of a dot nearest to `mm`, so that a line covers whole dots and comes out equally black everywhere."""
    return round(round(mm / dot) * dot, 5)


def fit(text: str, width: float, size: float) -> float:
    """The largest font size in mm, at most `size`, at which `text` in bold Helvetica is no wider than `width` mm."""
    ems = sum(_HELVETICA_BOLD.get(character, 1000) for character in text) / 1000
    return round(min(size, width / ems), 2) if ems else size


_WIDTHS = (
    "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 556 556 556 556 556 333 333"
    " 584 584 584 611 975 722 722 722 722 667 611 778 722 278 556 722 611 833 722 778 667 778 722 667 611 722 667 944"
    " 667 667 611 333 278 333 584 556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 611 389 556"
    " 333 611 556 778 556 556 500 389 280 389 584"
)
"""Advance widths in 1/1000 em from Adobe's metrics of Helvetica-Bold, from the space to the tilde."""

# A character that is not among them counts as a whole em: right for Chinese, and enough for the rest.
_HELVETICA_BOLD = {chr(32 + place): int(width) for place, width in enumerate(_WIDTHS.split())}


def _bars(text: str, x: float, y: float, width: float, height: float, module: float = 0.25, *, dot: float) -> Markup:
    """A Code 128 barcode in the middle of a box, all in mm; the quiet zones are inside the box.

    module: the wished width of the narrowest bar; it becomes whole dots, fewer when the box is too narrow. Raises
    Invalid when the text cannot be a barcode or finds no room.
    """
    try:
        widths = code128(text)
    except ValueError as error:
        raise Invalid(str(error), remedy="use letters, digits and signs of ASCII only") from error
    modules = sum(widths) + 2 * QUIET_ZONE
    room = int(width / dot)
    dots = min(max(NARROWEST, round(module / dot)), room // modules)
    if dots < NARROWEST:
        raise Invalid(f"the barcode for {text!r} needs {modules * NARROWEST * dot:.0f} mm, the label has room for "
                      f"{width:g} mm", remedy="use a shorter text, best of digits only")  # fmt: skip
    left = round(x / dot) + (room - modules * dots) // 2 + QUIET_ZONE * dots
    return _path(widths, left, dots, snap(y, dot=dot), snap(y + height, dot=dot), dot)


def _path(widths: tuple[int, ...], left: int, dots: int, top: float, bottom: float, dot: float) -> Markup:
    """The bars as one SVG path. left: dots from the label's edge; dots: of one module; top, bottom: mm."""
    parts, at = [], left
    for place, width in enumerate(widths):
        end = at + width * dots
        if place % 2 == 0:
            parts.append(f"M{at * dot:.5f} {top:.5f}H{end * dot:.5f}V{bottom:.5f}H{at * dot:.5f}Z")
        at = end
    return Markup('<path d="{}"/>').format("".join(parts))
