"""What was sent, as pictures: the preview in the dashboard and the files beside a virtual printer's jobs.

The picture is read back from the printer's own bytes, so it shows what the printer was told and not what we meant.
Whatever cannot be drawn is shown as its code, with the reason.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import devices.readers
from bridge.model import Picture
from devices.contracts import Bitmap
from devices.errors import BadPrinterData
from devices.png import png

log = logging.getLogger(__name__)

READ_MAX = 16 << 20  # bytes of printer code that are read back for a picture
UNPACK_MAX = 64 << 20  # bytes of pictures they may unpack to
_BEGINNINGS = (256 << 10, 32 << 10, 4 << 10)  # bytes still read when all are too many: frames unpack to a thousandfold
FILES_MAX = 100  # pictures written for one job of a virtual printer

_LINES, _COLUMNS = 12, 120  # of code shown where no picture can be


class _Label(Protocol):
    """What every reader in devices.readers gives for a label."""

    @property
    def bitmap(self) -> Bitmap | None: ...

    @property
    def undrawn(self) -> tuple[str, ...]: ...


def picture(data_pages: Iterable[bytes], number: int, language: str) -> Picture | None:
    """Label `number` (from 0) of a job; None when there is no such label. Never raises for what the bytes are.

    data_pages: the printer's bytes, either all in one piece with any number of labels, or (a drawn job) one piece for
    each label.
    """
    count, first, wanted = 0, None, None
    for count, data in enumerate(data_pages, 1):
        first = data if count == 1 else first
        wanted = data if count == number + 1 else wanted
    if count == 1 and first is not None:
        return _of_one_piece(first, number, language)
    found = None if wanted is None else _of_one_piece(wanted, 0, language)
    return found and Picture(found.png, found.text, labels=count)


def _of_one_piece(data: bytes, number: int, language: str) -> Picture | None:
    labels, why_not = _read(data, language)
    if not labels and number == 0:
        return Picture(None, f"{why_not}\n\n{code(data)}", 1)
    if not 0 <= number < len(labels):
        return None
    label, text = labels[number], _left_out(labels[number])
    if label.bitmap is None:
        return Picture(None, f"{text}\n\n{code(data)}", len(labels))
    return Picture(png(label.bitmap), f"{text} {why_not}".strip(), len(labels))


def _read(data: bytes, language: str) -> tuple[list[_Label], str]:
    """The labels in `data`, and why not (all of) them: "" when nothing is missing.

    Of data that is too much to read, or broken somewhere, the labels at its beginning.
    """
    if language not in _readers():
        return [], "Not drawn: raw data of no known language." if language == "raw" else f"Not drawn: {language} code."
    labels, why_not = _attempt(data, language)
    if labels:
        return labels, ""
    for size in _BEGINNINGS:
        labels, _ = _attempt(_beginning(data, size, language), language)
        if labels:
            return labels, f"Only the beginning is drawn: {why_not}."
    return [], f"Not drawn: {why_not}."


def _attempt(data: bytes, language: str) -> tuple[list[_Label], str]:
    """The labels in `data`, or why there are none."""
    if len(data) > READ_MAX:
        return [], f"{len(data):,} bytes are more than is read for a picture"
    try:
        labels: list[_Label] = importlib.import_module(f"devices.readers.{language}").read(data, limit=UNPACK_MAX)
    except BadPrinterData as error:
        return [], str(error)
    return labels, "" if labels else "there is no complete label in this code"


def _beginning(data: bytes, size: int, language: str) -> bytes:
    """At most `size` bytes, up to the end of a label; nothing where that cannot be told."""
    end = _LABEL_END.get(language)
    at = data.rfind(end, 0, size) if end else -1
    return data[: at + len(end)] if end and at >= 0 else b""


_LABEL_END = {"zpl": b"^XZ"}
"""The command that ends a label, where a language has one."""


def _readers() -> frozenset[str]:
    return frozenset(
        module.name for module in pkgutil.iter_modules(devices.readers.__path__) if not module.name.startswith("_")
    )


def _left_out(label: _Label) -> str:
    """What the picture lacks; empty when it is complete."""
    if label.undrawn:
        return f"The printer draws this itself, so it is not in the picture: {', '.join(label.undrawn)}."
    return "" if label.bitmap is not None else "Nothing on this label can be drawn."


def code(data: bytes) -> str:
    """The beginning of printer code for people: some lines, with dots for bytes that are no characters."""
    lines = data[: _LINES * _COLUMNS].decode("latin-1").replace("\r\n", "\n").split("\n")
    kept = [line[:_COLUMNS] for line in lines[:_LINES]]
    shown = "\n".join("".join(c if c.isprintable() else "·" for c in line) for line in kept)
    return shown if kept == lines and len(data) <= _LINES * _COLUMNS else f"{shown} …"


# ---- the virtual printer ----------------------------------------------------------------------------------------


def virtual_pictures(file: Path, *, language: str) -> list[Path]:
    """Draw what a virtual printer took: beside 000001.bin come 000001-1.png, 000001-2.png ...

    Where a label is not (wholly) drawn, 000001.txt says why. At most 100 pictures for a job. Gives the files written.
    Never raises: the job itself is delivered, whatever becomes of its pictures.
    """
    try:
        return _write_pictures(file, language)
    except OSError as error:
        log.warning("virtual printer: no pictures of %s: %s", file.name, error.strerror or error)
        return []


def _write_pictures(file: Path, language: str) -> list[Path]:
    data = file.read_bytes()
    labels, why_not = _read(data, language)
    written, notes = [], [why_not] if why_not else []
    for number, label in enumerate(labels[:FILES_MAX], 1):
        if label.bitmap is not None:
            written.append(_write(file.with_name(f"{file.stem}-{number}.png"), png(label.bitmap)))
        if text := _left_out(label):
            notes.append(f"label {number}: {text}")
    if len(labels) > FILES_MAX:
        notes.append(f"only the first {FILES_MAX} of {len(labels):,} labels are drawn")
    if notes:
        notes += ["", code(data), ""]
        written.append(_write(file.with_suffix(".txt"), "\n".join(notes).encode()))
    return written


def _write(path: Path, data: bytes) -> Path:
    """Whole or not at all: whoever watches the folder never sees half a picture. For the owner alone, like the job."""
    part = path.with_name(f".{path.name}.part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    os.replace(part, path)
    return path
