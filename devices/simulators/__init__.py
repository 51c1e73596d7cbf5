"""Printers that do not exist: they take what is sent, print it as pictures, and answer as the real ones do.

    from devices.simulators import Simulator

    with Simulator("zpl", paper_left=10) as printer:
        ... print twenty labels on printer.uri ...
        printer.paper.wait_for(10)
        printer.machine.refill()

One file for each language, with a function `front(machine) -> Front`; the other files are the parts of every printer.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import cache

from devices.simulators.front import Front
from devices.simulators.machine import Machine
from devices.simulators.printer import Habits, Simulator

__all__ = ["Habits", "Simulator", "load", "names"]

_PARTS = frozenset({
    "control", "front", "listen", "machine", "operator", "outbox", "paper", "printer", "pty", "usbbus",
})  # fmt: skip


@cache
def names() -> tuple[str, ...]:
    """The languages a printer can be simulated for, in alphabetical order."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in found if name not in _PARTS and not name.startswith("_")))


def load(language: str) -> Callable[[Machine], Front]:
    """What makes the interpreter of a language for a machine. Raises KeyError for one that cannot be simulated."""
    if language not in names():
        raise KeyError(language)
    front: Callable[[Machine], Front] = importlib.import_module(f"devices.simulators.{language}").front
    return front
