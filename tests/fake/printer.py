"""A small real printer on TCP port 9100, as good or as bad as a test needs it.

    with FakePrinter() as printer:
        ... send a job to printer.uri ...
        assert printer.wait_for(1) == [b"^XA^XZ"]

Every connection is one job, read by a thread of its own; one that brings nothing but a status question is none, and
stays unanswered (devices.simulators has printers that answer). Nothing is simulated: refusals, resets and stalls are
those of the kernel's TCP.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from devices import status


def _probes() -> Iterator[bytes]:
    for talk in filter(None, map(status.talk, status.names())):
        yield talk.ask(talk.questions[0])
        yield b"".join(map(talk.ask, (talk.questions[0], *talk.asleep)))


QUESTIONS = frozenset(_probes())
"""What a printer is asked that nobody knows yet, in each language."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no patience: close() then sends RST instead of FIN."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What this printer does. The default reads all there is and closes when the sender half-closes."""

    never_close: bool = False
    """Reads all, and keeps the connection open for ever."""
    never_read: bool = False
    """Accepts the connection and reads nothing: out of paper, its buffer full."""
    close_at_once: bool = False
    """Closes every connection as soon as it is made: busy with another computer."""
    reset_after: int | None = None
    """Bytes it reads before it resets the connection: power cut, cable pulled."""
    slow: int | None = None
    """Bytes per second it reads. Give rcvbuf as well, or the kernel reads ahead."""
    delay_close_s: float = 0.0
    """Seconds between the end of a job and its close."""
    rcvbuf: int | None = None
    """Bytes of the kernel's receive buffer (SO_RCVBUF), where the default of 128 kB and more would hide a stall."""
    says: bytes = b""
    """What it tells every caller at once."""
    ends_after: int | None = None
    """Bytes it reads before it closes its own direction; it goes on reading."""
    answers: Callable[[bytes], bytes] | None = None
    """What it says to each piece it has read."""
    answer_late_s: float = 0.0
    """Seconds before it answers; it reads nothing meanwhile."""
    stutters: int | None = None
    """Bytes of an answer it says at once, 10 ms apart."""
    chatters: bytes = b""
    """What it says over and over again, for as long as it is connected."""
    pauses_at: int | None = None
    """Bytes it reads before it takes nothing for pause_s. Give rcvbuf as well."""
    pause_s: float = 0.0


class FakePrinter:
    """A raw TCP printer on 127.0.0.1 (host="::1" for IPv6), a context manager.

    refuse: the port is known and its own, and nobody listens. late_s: the same for so many seconds after the start.
    The other keywords are those of `Habits`. `switch_on()` and `switch_off()` work at any time.
    """

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, refuse: bool = False, late_s: float = 0.0, **habits: Any
    ) -> None:
        self.habits = Habits(**habits)
        self.host = host
        self.port = port
        self.connections = 0
        """Connections accepted so far, those for a status question left out."""
        self.open_now = 0
        """Connections open at this moment."""
        self.max_open = 0
        """The most connections ever open at the same time: 1 for a well-behaved sender."""
        self._refuse = refuse
        self._late_s = late_s
        self._jobs: list[bytes] = []
        self._unfinished: list[bytes] = []
        self.questions: list[bytes] = []
        """Status questions that came on connections of their own."""
        self._changed = threading.Condition()
        self._over = threading.Event()  # the test is over
        self._off = threading.Event()  # switched off; a new one for every time it is on
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None

    # -- what a test sees

    @property
    def uri(self) -> str:
        """This printer's address: tcp://127.0.0.1:40123."""
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"

    @property
    def jobs(self) -> list[bytes]:
        """What each connection that ended in order brought, in the order of their ends. Empty ones do not count."""
        with self._changed:
            return list(self._jobs)

    @property
    def unfinished(self) -> list[bytes]:
        """What each connection that was reset, by either side, had brought."""
        with self._changed:
            return list(self._unfinished)

    def wait_for(self, n: int, timeout: float = 60.0) -> list[bytes]:
        """The jobs, once there are at least `n` of them. AssertionError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._jobs) >= n, timeout):
                raise AssertionError(f"{self.uri} has {len(self._jobs)} of {n} jobs after {timeout:g} s")
            return list(self._jobs)

    def wait_until_idle(self, timeout: float = 60.0, *, after: int = 1) -> None:
        """Return when at least `after` connections have come and all have gone. AssertionError after `timeout` seconds.

        A sender can connect and send before the printer knows of it, so "none is open" alone would say little.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.connections >= after and not self.open_now, timeout):
                seen = f"{self.connections} of {after} connections, {self.open_now} of them open"
                raise AssertionError(f"{self.uri} has had {seen}, after {timeout:g} s")

    # -- power

    def __enter__(self) -> FakePrinter:
        self._bind()
        if self._late_s:
            self._start(self._switch_on_late)
        elif not self._refuse:
            self.switch_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.switch_off()
        for thread in self._threads:
            thread.join()

    def switch_on(self) -> None:
        """Begin to listen."""
        listener = self._listener or self._bind()
        self._off = threading.Event()
        listener.listen(16)
        self._start(self._accept, listener, self._off)

    def switch_off(self) -> None:
        """Drop every connection and refuse new ones, on the same port."""
        self._off.set()
        with self._changed:
            listener, self._listener = self._listener, None
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        if listener is not None:
            with suppress(OSError):  # never switched on
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which close() would not
            listener.close()
        if not self._over.is_set():
            self._bind()

    def _bind(self) -> socket.socket:
        """A port of our own. Bound and not listening: the kernel refuses callers and gives the port to nobody else."""
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.habits.rcvbuf is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.habits.rcvbuf)
        listener.bind((self.host, self.port))
        self.port = listener.getsockname()[1]
        self._listener = listener
        return listener

    def _switch_on_late(self) -> None:
        if not self._over.wait(self._late_s):
            self.switch_on()

    # -- one connection

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, off: threading.Event) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return  # switched off
            with self._changed:
                self._open.add(sock)
                self.connections += 1
                self.open_now += 1
                self.max_open = max(self.max_open, self.open_now)
            self._start(self._serve, sock, off)

    def _serve(self, sock: socket.socket, off: threading.Event) -> None:
        data = bytearray()
        try:
            in_order = self._converse(sock, data, off)
        except OSError:
            in_order = False
        # The job counts before the close that tells the sender of it, so that a test never sees it missing.
        self._keep(data, in_order=in_order)
        if in_order:
            off.wait(None if self.habits.never_close else self.habits.delay_close_s)
        with self._changed:
            self._open.discard(sock)
            self.open_now -= 1
            sock.close()
            self._changed.notify_all()

    def _converse(self, sock: socket.socket, data: bytearray, off: threading.Event) -> bool:
        """Read one job into `data`. True when it ended in order."""
        sock.sendall(self.habits.says)
        if self.habits.chatters:
            self._start(self._chatter, sock)
        if self.habits.close_at_once:
            return False
        if self.habits.never_read:
            off.wait()
            return False
        while got := sock.recv(self._appetite(len(data))):
            data += got
            if self.habits.ends_after is not None and len(data) >= self.habits.ends_after:
                sock.shutdown(socket.SHUT_WR)
            if self.habits.slow:
                time.sleep(len(got) / self.habits.slow)
            if self.habits.pauses_at is not None and len(data) - len(got) < self.habits.pauses_at <= len(data):
                off.wait(self.habits.pause_s)
            if self.habits.answers is not None:
                self._answer(sock, self.habits.answers(got), off)
            if self._appetite(len(data)) == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return False
        return True

    def _answer(self, sock: socket.socket, words: bytes, off: threading.Event) -> None:
        off.wait(self.habits.answer_late_s)
        step = self.habits.stutters or len(words) or 1
        for at in range(0, len(words), step):
            sock.sendall(words[at : at + step])
            if self.habits.stutters:
                off.wait(0.01)

    def _chatter(self, sock: socket.socket) -> None:
        with suppress(OSError):  # the caller has gone
            while True:
                sock.sendall(self.habits.chatters)

    def _appetite(self, eaten: int) -> int:
        """Bytes to read next; 0 when it is time to reset."""
        most = 65536 if self.habits.slow is None else max(1, self.habits.slow // 20)
        return most if self.habits.reset_after is None else min(most, self.habits.reset_after - eaten)

    def _keep(self, data: bytearray, *, in_order: bool) -> None:
        with self._changed:
            if bytes(data) in QUESTIONS:
                self.questions.append(bytes(data))
                self.connections -= 1
            elif data:
                (self._jobs if in_order else self._unfinished).append(bytes(data))
            self._changed.notify_all()
