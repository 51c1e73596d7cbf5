"""How printers are asked how they are, one file per language with a `TALK: Talk = ...` line. Pure: no socket, no clock.

Whoever asks is devices.interview. A language without a file here is never asked anything.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from devices.contracts import Talk


@cache
def names() -> tuple[str, ...]:
    """The languages that have status questions, in alphabetical order."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


@cache
def talk(language: str) -> Talk | None:
    """How printers of this language are asked; None when they cannot be."""
    if language not in names():
        return None
    found: Talk = importlib.import_module(f"devices.status.{language}").TALK
    return found
