"""The network side of a simulated printer: raw TCP, with real flow control, resets and waiting hosts."""

from __future__ import annotations

import select
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from devices.simulators.outbox import Outbox

if TYPE_CHECKING:
    from devices.simulators.printer import Simulator

CHUNK = 4096  # bytes read at once
WINDOW = 16 * 1024  # bytes of SO_RCVBUF: a full printer is noticed by its host soon
TICK_S = 0.01
MOST_HOSTS = 32
_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # SO_LINGER without patience: close() sends RST


class Listener:
    """tcp://host:port. The port stays its own while the printer is switched off, so nobody else gets it."""

    def __init__(self, printer: Simulator, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host, self.port = host, port
        self._printer = printer
        self._session = threading.Lock()  # held by the host that is printing
        self._off = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    @property
    def uri(self) -> str:
        """tcp://127.0.0.1:9100."""
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"

    def switch_on(self) -> None:
        """Begin to listen. Raises OSError when the port is taken."""
        listener = self._listener or self._bind()
        self._off = threading.Event()
        listener.listen(16)
        self._threads = []
        self._start(self._accept, listener, self._off)

    def switch_off(self) -> None:
        """Reset every connection and refuse new ones."""
        self._off.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):  # never switched on
                listener.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread, which close() would not
            listener.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _bind(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET6 if ":" in self.host else socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
            listener.bind((self.host, self.port))
        except BaseException:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self._listener = listener
        return listener

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket, off: threading.Event) -> None:
        while not off.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return  # switched off
            self._threads = [each for each in self._threads if each.is_alive()]
            others = len(self._threads) - 1  # one accepts
            if others >= (1 if self._printer.habits.alone else MOST_HOSTS):
                _reset(sock)
            else:
                self._start(self._serve, sock, off)

    def _serve(self, sock: socket.socket, off: threading.Event) -> None:
        try:
            in_order = self._in_turn(sock, off)
            if in_order and self._printer.habits.never_close:
                off.wait()
        except OSError:
            in_order = False  # the host has reset it
        if in_order and not off.is_set():
            sock.close()
        else:
            _reset(sock)

    def _in_turn(self, sock: socket.socket, off: threading.Event) -> bool:
        """Wait for the first byte and for the host before to be done; then listen. True when it ended in order."""
        while not _readable(sock):
            if off.is_set():
                return False
        while not self._session.acquire(timeout=TICK_S):
            if off.is_set():
                return False
        outbox = Outbox()
        self._printer.machine.ears.append(outbox.put)
        try:
            return self._converse(sock, outbox, off)
        finally:
            self._printer.machine.ears.remove(outbox.put)
            self._session.release()

    def _converse(self, sock: socket.socket, outbox: Outbox, off: threading.Event) -> bool:
        """Read until the host is done, or until the printer has had enough."""
        eaten, habits, machine = 0, self._printer.habits, self._printer.machine
        sock.settimeout(1.0)  # for a host that never reads what it is told
        while not off.is_set():
            outbox.late_s = habits.late_s
            if words := outbox.take():
                sock.sendall(words)
            room = machine.wait_for_room(TICK_S)
            if room <= 0 or not _readable(sock):
                continue
            got = sock.recv(self._appetite(min(room, CHUNK), eaten))
            if not got:
                return True
            eaten += len(got)
            outbox.put(self._printer.hear(got))
            if habits.reset_after is not None and eaten >= habits.reset_after:
                return False
            if habits.close_after is not None and eaten >= habits.close_after:
                sock.shutdown(socket.SHUT_RDWR)
                return True
            if habits.slow:
                off.wait(len(got) / habits.slow)
        return False

    def _appetite(self, most: int, eaten: int) -> int:
        """Bytes to read next, at least 1."""
        habits = self._printer.habits
        if habits.slow:
            most = min(most, habits.slow // 20)
        for end in (habits.close_after, habits.reset_after):
            if end is not None:
                most = min(most, end - eaten)
        return max(1, most)


def _readable(sock: socket.socket) -> bool:
    """Whether there is something to read, after waiting a tick for it."""
    return bool(select.select([sock], [], [], TICK_S)[0])


def _reset(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()
