"""The printer languages, one file each. `names()` lists them, `load(name)` gives one, `recognize(data)` names a stream.

A new language is one file here with a `LANGUAGE: Language = ...` line. Nothing to register.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from devices.contracts import Language
from devices.errors import UnknownLanguage
from devices.languages.signatures import SIGNATURES


@cache
def names() -> tuple[str, ...]:
    """The languages that can be drawn for, in alphabetical order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "signatures"))


@cache
def load(name: str) -> Language:
    """The language called `name`. Raises UnknownLanguage."""
    if name not in names():
        raise UnknownLanguage(f"this version cannot draw for {name!r}, only for {', '.join(names())}")
    language: Language = importlib.import_module(f"devices.languages.{name}").LANGUAGE
    return language


def recognize(data: bytes) -> str | None:
    """The language `data` is plainly written in, or None. Knows more languages than can be drawn for."""
    for name in names():
        if load(name).sniff(data):
            return name
    for name, matches in SIGNATURES.items():
        if matches(data):
            return name
    return None
