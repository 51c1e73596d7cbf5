"""The mechanism of a simulated printer: paper, ribbon, head, receive buffer, label counter, power. No language here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from devices.contracts import Bitmap
from devices.simulators.paper import PaperLog

Fault = Literal["paper_out", "ribbon_out", "head_open", "paused", "near_end", "jam"]
FAULTS: tuple[Fault, ...] = ("paper_out", "ribbon_out", "head_open", "paused", "near_end", "jam")

MOST_FORMATS = 200  # that wait: a printer that has so many takes no more, however small they are
MOST_DOTS = 64 << 20  # bytes of their pictures, likewise
MEMORY = 256 << 20  # bytes of pictures at which labels are lost


@dataclass(slots=True, eq=False)
class _Format:
    """One put(). left: copies still to come. size: bytes of the receive buffer it holds."""

    label: Bitmap | None
    left: int
    size: int
    after: Callable[[], None] | None
    begun: bool = False

    @property
    def dots(self) -> int:
        """Bytes of its picture."""
        return 0 if self.label is None else len(self.label.rows)


class Machine:
    """Paper, head, ribbon, buffer, counter. Thread-safe. Prints in a thread of its own, a label every label_s seconds.

    buffer: bytes. width, height: dots of the label loaded; height None is continuous paper. paper_left, ribbon_left:
    labels until it runs out by itself. counter: labels printed before; None goes on from the paper log. silent: never
    answers a question (obeyed by whoever carries the answers; a front may ignore it).

    What is read freely: the faults (paper_out, ribbon_out, head_open, paused, near_end, jam), counter, printing,
    powered, paper_left. They are changed by the methods only.
    """

    def __init__(
        self, paper: PaperLog, *, buffer: int = 256 * 1024, label_s: float = 0.05, dpi: int = 203, width: int = 832,
        height: int | None = 1218, paper_left: int | None = None, ribbon_left: int | None = None,
        counter: int | None = None, silent: bool = False, name: str = "simulator", serial: str = "SIM000001",
    ) -> None:  # fmt: skip
        self.paper = paper
        self.buffer, self.label_s = buffer, label_s
        self.dpi, self.width, self.height = dpi, width, height
        self.name, self.serial, self.silent = name, serial, silent
        self.paper_left, self.ribbon_left = paper_left, ribbon_left
        self.paper_out = self.ribbon_out = self.head_open = self.paused = self.near_end = self.jam = False
        self.counter = paper.count if counter is None else counter
        """Labels printed since it was made."""
        self.printing = False
        self.powered = True
        self.on_power: list[Callable[[bool], None]] = []
        """Called with False when the power goes, with True when it is back."""
        self.on_change: list[Callable[[], None]] = []
        """Called after anything a status answer could tell has changed; by any thread, without a lock."""
        self.ears: list[Callable[[bytes], None]] = []
        """Where say() goes: the open connections."""
        self._queue: deque[_Format] = deque()
        self._held = self._dots = 0  # bytes of the receive buffer, bytes of pictures
        self._ending = False  # a label is out, and what comes after it has still to be said
        self._life = 0  # goes up when the power goes: what began in another life is torn
        self._over = False
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        if paper_left == 0:
            self.paper_out = True
        if ribbon_left == 0:
            self.ribbon_out = True

    # -- what a front calls

    def put(
        self, label: Bitmap | None, *, copies: int = 1, size: int = 0, after: Callable[[], None] | None = None
    ) -> None:
        """Queue one parsed label, which holds `size` bytes of the receive buffer until all its copies are printed.

        label: None when it cannot be drawn; it feeds and counts all the same. Never blocks. after: called once, when
        the last copy is printed, by the printing thread; never when the label is dropped.
        """
        format_ = _Format(label, copies, size, after)
        with self._changed:
            if self._over or not self.powered or copies < 1:
                return
            full = self._dots + format_.dots > MEMORY
            if not full:
                self._queue.append(format_)
                self._held += size
                self._dots += format_.dots
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="simulated printer", daemon=True)
                self._thread.start()
        if full:
            self.note("out of memory")
        self._tell()

    def room(self) -> int:
        """Bytes of the receive buffer that are free; 0 or less: the listener reads no more."""
        with self._changed:
            crowded = len(self._queue) >= MOST_FORMATS or self._dots >= MOST_DOTS
            return 0 if crowded else self.buffer - self._held

    def drop(self) -> int:
        """Forget all labels that wait (ZPL ~JA); the one under the head is finished. How many labels are forgotten."""
        with self._changed:
            dropped = self.waiting - self.printing
            head = self._queue[0] if self.printing and self._queue else None
            self._clear()
            if head is not None:
                head.left = 1
                self._queue.append(head)
                self._held, self._dots = head.size, head.dots
        self._tell()
        return dropped

    def note(self, what: str, /, **facts: Any) -> None:
        """A line in the paper log: "cut", "drawer", "reset", "unknown command" ..."""
        self.paper.note(what, **facts)

    def say(self, data: bytes) -> None:
        """What the printer says by itself, later than the bytes that caused it (ESC/POS ASB, a process id)."""
        if data and not self.silent:
            for ear in list(self.ears):
                ear(data)

    # -- what status answers are made of

    @property
    def waiting(self) -> int:
        """Labels taken and not printed yet, all copies; the one under the head is one of them."""
        with self._changed:
            return sum(each.left for each in self._queue)

    @property
    def formats(self) -> int:
        """Formats (put() calls) of which no label has begun."""
        with self._changed:
            return sum(not each.begun for each in self._queue)

    @property
    def batch(self) -> int:
        """Labels left of the format that has begun, the one under the head included; 0 when none has begun."""
        with self._changed:
            return self._queue[0].left if self._queue and self._queue[0].begun else 0

    @property
    def blocked(self) -> bool:
        """Whether it cannot print, whatever waits."""
        return (
            self.paper_out or self.ribbon_out or self.head_open or self.paused or self.jam or not self.powered
        )  # fmt: skip

    # -- what an operator does

    def set(self, fault: Fault, on: bool) -> None:
        """Make or mend one fault. Logged when it changes something."""
        with self._changed:
            if getattr(self, fault) == on:
                return
            setattr(self, fault, on)
        self.note(_in_words(fault) if on else f"{_in_words(fault)} is over")
        self._tell()

    def refill(self, labels: int | None = None) -> None:
        """New paper: so many labels, None for a roll without end."""
        with self._changed:
            self.paper_left = labels
        self.set("near_end", False)
        self.set("paper_out", labels == 0)

    def new_ribbon(self, labels: int | None = None) -> None:
        """New ribbon for so many labels, None for one without end."""
        with self._changed:
            self.ribbon_left = labels
        self.set("ribbon_out", labels == 0)

    def run_out(self) -> None:
        """The paper ends now. A label under the head is not finished; it is printed after the refill."""
        self.set("paper_out", True)

    def open_head(self) -> None:
        """A label under the head is torn, and printed again when the head is closed (ZPL ^JZ)."""
        self.set("head_open", True)

    def close_head(self) -> None:
        """Close the head (the cover)."""
        self.set("head_open", False)

    def pause(self) -> None:
        """Stop after the label under the head."""
        self.set("paused", True)

    def resume(self) -> None:
        """Go on."""
        self.set("paused", False)

    def power_off(self) -> None:
        """Pull the plug: connections are reset, the buffer is lost, a label half out is torn; the counter stays."""
        with self._changed:
            if not self.powered:
                return
            self.powered = False
            self._life += 1
            lost = self.waiting
            self._clear()
        self.note("power off", lost=lost)
        self._power(False)

    def power_on(self) -> None:
        """Switch on again. Paused no longer; paper, ribbon and head are as they were."""
        with self._changed:
            if self.powered:
                return
            self.powered = True
            self.paused = False
        self.note("power on")
        self._power(True)

    def wait_idle(self, timeout_s: float = 30.0) -> bool:
        """Wait until nothing is left to print, nor to cut or to say after it. False when something still is."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._queue or self.printing or self._ending), timeout_s)

    def wait_for_room(self, timeout_s: float) -> int:
        """room(), after waiting at most so long for there to be any."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self.room() > 0, timeout_s)
            return self.room()

    def close(self) -> None:
        """The end. What waits is forgotten. Safe to call twice."""
        with self._changed:
            self._over = True
            self._clear()
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    # -- printing

    def _run(self) -> None:
        while (found := self._begin()) is not None:
            format_, life = found
            whole = self._feed(format_, life)
            if whole:
                self._finish(format_)

    def _begin(self) -> tuple[_Format, int] | None:
        """The label that comes under the head, once that is possible; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or bool(self._queue and not self.blocked))
            if self._over:
                return None
            format_ = self._queue[0]
            format_.begun = self.printing = True
            life = self._life
        self._tell()
        return format_, life

    def _feed(self, format_: _Format, life: int) -> bool:
        """Let the label take its time. True when it comes out whole."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._stopped(life), self.label_s)
            if not self._stopped(life):
                return not self._over
            self.printing = False
            torn = life != self._life or self.head_open or self.jam
        if torn:
            self.paper.torn(format_.label)
        self._tell()
        return False

    def _stopped(self, life: int) -> bool:
        """Whether the label under the head cannot be finished. Pausing lets it out."""
        return life != self._life or self.head_open or self.jam or self.paper_out or self.ribbon_out

    def _finish(self, format_: _Format) -> None:
        """One label more. The counter and the sensors know first, then the paper log, then whoever waits for room."""
        with self._changed:
            self.counter += 1
            ended = self._use_up()
        self.paper.label(format_.label)
        after = None
        with self._changed:
            self.printing, self._ending = False, True
            format_.left -= 1
            if not format_.left:
                after = format_.after
                if format_ in self._queue:  # the power may have gone while it was written down
                    self._queue.remove(format_)
                    self._free(format_)
        for fault in ended:
            self.note(_in_words(fault))
        self._tell()
        if after is not None:
            after()
        with self._changed:
            self._ending = False
            self._changed.notify_all()

    def _clear(self) -> None:
        self._queue.clear()
        self._held = self._dots = 0

    def _free(self, format_: _Format) -> None:
        self._held -= format_.size
        self._dots -= format_.dots

    def _use_up(self) -> list[Fault]:
        """One label less of paper and ribbon; what has come to its end."""
        ended: list[Fault] = []
        if self.paper_left is not None:
            self.paper_left = max(0, self.paper_left - 1)
            if not self.paper_left and not self.paper_out:
                ended.append("paper_out")
        if self.ribbon_left is not None:
            self.ribbon_left = max(0, self.ribbon_left - 1)
            if not self.ribbon_left and not self.ribbon_out:
                ended.append("ribbon_out")
        for fault in ended:
            setattr(self, fault, True)
        return ended

    # -- telling

    def _power(self, on: bool) -> None:
        self._tell()
        for listener in list(self.on_power):
            listener(on)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()
        for listener in list(self.on_change):
            listener()


def _in_words(fault: Fault) -> str:
    return fault.replace("_", " ")
