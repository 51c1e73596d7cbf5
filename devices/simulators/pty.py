"""The serial side of a simulated printer: a pseudo-terminal under a name of its own. Not on Windows.

Flow control is the kernel's: a printer whose buffer is full stops reading, and the host's writes stop soon after.
"""

from __future__ import annotations

import os
import select
import threading
import tty
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from devices.simulators.outbox import Outbox

if TYPE_CHECKING:
    from devices.simulators.printer import Simulator

CHUNK = 1024  # bytes read at once
TICK_S = 0.01


class Terminal:
    """serial://LINK. link: a name that is made when the printer is switched on and removed when it is switched off."""

    def __init__(self, printer: Simulator, link: Path) -> None:
        self.link = link.absolute()
        self._printer = printer
        self._off = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def uri(self) -> str:
        """serial:///tmp/printer."""
        return f"serial://{self.link}"

    def switch_on(self) -> None:
        """A new terminal under the link. Raises OSError when there is something else of that name."""
        ours, its = os.openpty()
        try:
            tty.setraw(its)
            os.set_blocking(ours, False)
            if self.link.is_symlink() and not self.link.exists():
                self.link.unlink()  # left over from a simulator that was killed
            os.symlink(os.ttyname(its), self.link)
        except BaseException:
            os.close(ours)
            os.close(its)
            raise
        self._off = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ours, its, self._off), daemon=True)
        self._thread.start()

    def switch_off(self) -> None:
        """Hang up."""
        self._off.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            self.link.unlink(missing_ok=True)
            if thread is not threading.current_thread():
                thread.join()

    def _serve(self, ours: int, its: int, off: threading.Event) -> None:
        outbox = Outbox()
        self._printer.machine.ears.append(outbox.put)
        try:
            while not off.is_set():
                self._turn(ours, outbox, off)
        finally:
            self._printer.machine.ears.remove(outbox.put)
            os.close(ours)
            os.close(its)

    def _turn(self, ours: int, outbox: Outbox, off: threading.Event) -> None:
        """Say what is due, and read one piece when there is room for it."""
        habits = self._printer.habits
        outbox.late_s = habits.late_s
        if words := outbox.take():
            with suppress(BlockingIOError):  # nobody has read for a while: a line has no memory
                os.write(ours, words)
        room = self._printer.machine.wait_for_room(TICK_S)
        if room <= 0 or not select.select([ours], [], [], TICK_S)[0]:
            return
        most = min(room, CHUNK if not habits.slow else habits.slow // 20)
        with suppress(BlockingIOError):
            got = os.read(ours, max(1, most))
            outbox.put(self._printer.hear(got))
            if habits.slow:
                off.wait(len(got) / habits.slow)
