"""A person in front of a simulated printer: what they type, and what they then see."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from devices.simulators.printer import Habits, Simulator

HELP = """\
status               how it is
refill [N]           new paper: N labels, or without end     ribbon [N]   new ribbon
paper out            the paper ends now                      near end     the roll is nearly used up
open, close          the head (cover)                        ribbon out   the ribbon ends now
pause, resume        the button                              jam, clear   a paper jam, and it is cleared
power off, power on  the plug                                set HABIT VALUE   as: set slow 2000, set silent on
quit                 end the simulator
"""


class Operator:
    """Carries out one line at a time. quit: what `quit` calls."""

    def __init__(self, printer: Simulator, quit: Callable[[], None] = lambda: None) -> None:
        self._printer = printer
        machine = printer.machine
        self._plain: dict[str, Callable[[], object]] = {
            "refill": machine.refill,
            "ribbon": machine.new_ribbon,
            "paper out": machine.run_out,
            "ribbon out": lambda: machine.set("ribbon_out", True),
            "near end": lambda: machine.set("near_end", True),
            "open": machine.open_head,
            "close": machine.close_head,
            "pause": machine.pause,
            "resume": machine.resume,
            "jam": lambda: machine.set("jam", True),
            "clear": lambda: machine.set("jam", False),
            "power off": machine.power_off,
            "power on": machine.power_on,
            "status": lambda: None,
            "quit": quit,
        }

    def do(self, line: str) -> dict[str, Any]:
        """Obey one line. {"ok": True, ...how it is now}, or {"ok": False, "error": what was not understood}."""
        words = line.lower().split()
        command = " ".join(words)
        if command in ("help", "?"):
            return {"ok": True, "help": HELP}
        try:
            if command in self._plain:
                self._plain[command]()
            elif len(words) == 2 and words[0] in ("refill", "ribbon") and words[1].isdecimal():
                (self._printer.machine.refill if words[0] == "refill" else self._printer.machine.new_ribbon)(
                    int(words[1])
                )
            elif len(words) == 3 and words[0] == "set":
                self._set(words[1].replace("-", "_"), words[2])
            else:
                return {"ok": False, "error": f"{line.strip()!r} is not understood; help lists what is"}
        except (ValueError, OSError) as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True, **self.status()}

    def status(self) -> dict[str, Any]:
        """How it is: what a person could see, and the counters."""
        machine = self._printer.machine
        faults = [name for name in ("paper_out", "ribbon_out", "head_open", "paused", "near_end", "jam")
                  if getattr(machine, name)]  # fmt: skip
        return {
            "power": machine.powered, "faults": faults, "counter": machine.counter, "waiting": machine.waiting,
            "formats": machine.formats, "printing": machine.printing, "paper_left": machine.paper_left,
            "room": machine.room(), "unfinished": self._printer.front.unfinished(),
        }  # fmt: skip

    def _set(self, name: str, text: str) -> None:
        """A habit (or silent, label_s) by its name. Raises ValueError."""
        machine = self._printer.machine
        if name in ("silent", "silent_status"):
            machine.silent = bool(_value(name, bool, text))
        elif name == "label_s":
            machine.label_s = float(_value(name, float, text) or 0.0)
        elif name in _HABITS:
            setattr(self._printer.habits, name, _value(name, _HABITS[name], text))
        else:
            raise ValueError(f"there is no habit {name!r}; there are label_s, silent, {', '.join(_HABITS)}")


_HINTS = typing.get_type_hints(Habits)
_HABITS = {field.name: _HINTS[field.name] for field in dataclasses.fields(Habits)}


def _value(name: str, kind: Any, text: str) -> bool | int | float | None:
    """on, off, or a number. Raises ValueError."""
    if kind is bool:
        if text not in ("on", "off"):
            raise ValueError(f"{name} is on or off, not {text!r}")
        return text == "on"
    if text == "off" and (kind is float or isinstance(kind, types.UnionType)):
        return 0.0 if kind is float else None
    try:
        number = float(text) if kind is float else int(text)
    except ValueError as error:
        raise ValueError(f"{name} is a number or off, not {text!r}") from error
    if not 0 <= number < 1e9:
        raise ValueError(f"{name} cannot be {text}")
    return number
