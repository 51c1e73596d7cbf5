"""A whole simulated printer: a machine, the interpreter of its language, and the wires that lead to it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from devices import simulators
from devices.simulators.front import Front
from devices.simulators.listen import Listener
from devices.simulators.machine import Machine
from devices.simulators.paper import PaperLog


@dataclass(slots=True)
class Habits:
    """Bad manners of a printer; may be changed at any time. The default has none.

    close_after, reset_after: bytes of a connection after which the printer closes or resets it. slow: bytes a second
    it reads. late_s: seconds every answer takes. garbage: answers are noise. never_close: connections stay open when
    the host is done. alone: while one host is connected, others are turned away; else they wait for their turn.
    """

    close_after: int | None = None
    reset_after: int | None = None
    slow: int | None = None
    late_s: float = 0.0
    garbage: bool = False
    never_close: bool = False
    alone: bool = False


class Wire(Protocol):
    """One way into the printer."""

    @property
    def uri(self) -> str: ...

    def switch_on(self) -> None: ...

    def switch_off(self) -> None: ...


class Simulator:
    """A simulated printer on a TCP port, a context manager.

    folder: where the paper goes; None keeps it in memory. host, port: where it listens; 0 chooses a port, None listens
    nowhere. pty: a link to make for its serial port. habits: see Habits. The other options are those of Machine.
    Raises KeyError for a language without a simulator, OSError (from start) for a port that is taken.
    """

    def __init__(
        self, language: str, *, folder: Path | None = None, host: str = "127.0.0.1", port: int | None = 0,
        pty: Path | None = None, habits: Habits | None = None, **options: Any,
    ) -> None:  # fmt: skip
        self.language = language
        self.habits = habits or Habits()
        self.paper = PaperLog(folder, language)
        self._new_front: Callable[[Machine], Front] = simulators.load(language)
        self.machine = Machine(self.paper, **{"name": f"Simulated {language.upper()}", **options})
        self.front = self._new_front(self.machine)
        self._turn = threading.Lock()
        self._noise = random.Random(0)
        self.wires: list[Wire] = []
        if port is not None:
            self.wires.append(Listener(self, host, port))
        if pty is not None:
            from devices.simulators.pty import Terminal  # there are none on Windows

            self.wires.append(Terminal(self, pty))
        self.machine.on_power.append(self._power)

    @property
    def uri(self) -> str:
        """The address of its first wire: tcp://127.0.0.1:40123."""
        return self.wires[0].uri

    def hear(self, data: bytes) -> bytes:
        """Bytes from a host, and the answer. Called by any wire; one at a time is heard."""
        with self._turn:
            answer = self.front.feed(data)
        if answer and self.machine.silent:
            self.machine.note("asked in vain", bytes=len(data))
            return b""
        return self._noise.randbytes(len(answer)) if self.habits.garbage else answer

    def start(self) -> None:
        """Switch on. Raises OSError when a port is taken."""
        try:
            for wire in self.wires:
                wire.switch_on()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """The end: all connections are reset. Safe to call twice."""
        for wire in self.wires:
            wire.switch_off()
        self.machine.close()

    def __enter__(self) -> Simulator:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _power(self, on: bool) -> None:
        if on:
            with self._turn:
                self.front = self._new_front(self.machine)
        for wire in self.wires:
            (wire.switch_on if on else wire.switch_off)()
