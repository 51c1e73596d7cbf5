"""A serial printer on a pseudo-terminal, as good or as bad as a test needs it.

    with PtyPrinter(bytes_per_s=20_000, xoff_every=50_000) as printer:
        ... send a job to printer.uri("flow=xonxoff") ...
        assert printer.wait_for(300_000) == job

The far end of a real terminal of the kernel: XOFF, hang-up, locks and full buffers are the kernel's own. What it lacks
is a line: no speed, no parity, no CTS and no DSR.
"""

from __future__ import annotations

import os
import select
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress

XON, XOFF = b"\x11", b"\x13"


class PtyPrinter:
    """bytes_per_s: how fast it reads. xoff_every: bytes between two pauses of xoff_s, each said by XOFF and ended by
    XON. xoff_after: bytes until it says XOFF for good. dies_after: bytes until its cable is pulled. never_reads: its
    buffer is full. answers: what it says to what it has read so far, asked after every piece. stutters: bytes of an
    answer it says at once, 10 ms apart. link: a name of its own,
    as udev makes one; gone while it is unplugged.
    """

    def __init__(
        self, *, bytes_per_s: int | None = None, xoff_every: int | None = None, xoff_s: float = 0.1,
        xoff_after: int | None = None, dies_after: int | None = None, never_reads: bool = False,
        answers: Callable[[bytes], bytes] | None = None, link: str | None = None, stutters: int | None = None,
    ) -> None:  # fmt: skip
        self.bytes_per_s, self.xoff_every, self.xoff_s, self.xoff_after = bytes_per_s, xoff_every, xoff_s, xoff_after
        self.dies_after, self.never_reads, self.answers, self.link = dies_after, never_reads, answers, link
        self.stutters = stutters
        self.pauses = 0
        self._got = bytearray()
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    # -- what a test sees

    @property
    def path(self) -> str:
        return self.link or self.device

    def uri(self, options: str = "") -> str:
        return f"serial://{self.path}{'?' if options else ''}{options}"

    @property
    def arrived(self) -> bytes:
        with self._changed:
            return bytes(self._got)

    def wait_for(self, n: int, timeout: float = 60.0) -> bytes:
        """All that arrived, once it is at least `n` bytes. AssertionError after `timeout` seconds."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._got) >= n, timeout)
            assert came, f"{len(self._got)} of {n} bytes after {timeout:g} s"
            return bytes(self._got)

    # -- plugging

    def __enter__(self) -> PtyPrinter:
        self.plug_in()
        return self

    def __exit__(self, *exc: object) -> None:
        self.unplug()

    def plug_in(self) -> None:
        """A new terminal, under the same link."""
        self._printer, self._node = os.openpty()
        tty.setraw(self._node)
        os.set_blocking(self._printer, False)
        self.device = os.ttyname(self._node)
        if self.link is not None:
            os.symlink(self.device, self.link)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(self._over, self._printer), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Pull the cable. What arrived stays known."""
        self._over.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
            self._thread = None
        self._hang_up()

    def _hang_up(self) -> None:
        if self.link is not None:
            with suppress(FileNotFoundError):
                os.unlink(self.link)
        if self._printer >= 0:
            os.close(self._printer)
            os.close(self._node)
            self._printer = -1

    # -- the printer

    def _read(self, over: threading.Event, printer: int) -> None:
        eaten = 0
        while not over.is_set() and (self.dies_after is None or eaten < self.dies_after):
            if self.never_reads or not select.select([printer], [], [], 0.02)[0]:
                over.wait(0.02 if self.never_reads else 0)
                continue
            got = os.read(printer, self._appetite(eaten))
            self._keep(got)
            if self._crossed(eaten, len(got), self.xoff_every):
                self._hold_off(printer, over)
            eaten += len(got)
            if self.xoff_after is not None and eaten - len(got) < self.xoff_after <= eaten:
                os.write(printer, XOFF)
            if self.answers is not None:
                self._answer(printer, self.answers(self.arrived), over)
            if self.bytes_per_s:
                over.wait(len(got) / self.bytes_per_s)
        if self.dies_after is not None and not over.is_set():
            self._hang_up()

    def _answer(self, printer: int, words: bytes, over: threading.Event) -> None:
        step = self.stutters or len(words) or 1
        for at in range(0, len(words), step):
            os.write(printer, words[at : at + step])
            over.wait(0.01 if self.stutters else 0)

    def _appetite(self, eaten: int) -> int:
        most = 65536 if self.bytes_per_s is None else max(1, self.bytes_per_s // 50)
        return most if self.dies_after is None else min(most, self.dies_after - eaten)

    def _crossed(self, eaten: int, got: int, every: int | None) -> bool:
        return every is not None and eaten // every != (eaten + got) // every

    def _hold_off(self, printer: int, over: threading.Event) -> None:
        self.pauses += 1
        os.write(printer, XOFF)
        over.wait(self.xoff_s)
        os.write(printer, XON)

    def _keep(self, got: bytes) -> None:
        with self._changed:
            self._got += got
            self._changed.notify_all()


def for_a_while(seconds: float) -> Callable[[int], bool]:
    """A keep_going that stops a job so many seconds after its first bytes have gone."""
    began: list[float] = []

    def keep_going(sent: int) -> bool:
        if sent and not began:
            began.append(time.monotonic())
        return not began or time.monotonic() - began[0] < seconds

    return keep_going


def until(true: Callable[[], bool], timeout: float = 60.0) -> None:
    """Return when `true()`. AssertionError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
