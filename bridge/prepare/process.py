"""One run of `bridge.prepare.child`: starting it, its pipes, its end. Knows nothing of documents and pages."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bridge.prepare.child import PREFIX

_ROOT = Path(__file__).resolve().parents[2]  # the folder of the packages: a checkout, or site-packages
_HEADER_MAX = 64 * 1024  # bytes; a child that claims more has lost its mind
_PAYLOAD_MAX = 256 * 1024 * 1024  # bytes of one page's printer code; 40 million dots in hexadecimal are 10 million
_START_S = 60.0  # seconds; importing PyMuPDF takes 0.3 s on a PC, several on a Pi with a busy SD card
_GRACE_S = 2.0  # seconds between the end of a child's output and the end of the child
_CAN_POLL = hasattr(select, "poll")  # not on Windows, where a timer has to end a wait by ending the child
_READ, _WRITE = (select.POLLIN, select.POLLOUT) if _CAN_POLL else (1, 4)

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from bridge.prepare.child import main; main(int(sys.argv[2]))"
)


class Late(Exception):
    """The deadline has passed."""


class Nonsense(Exception):
    """The child does not keep to the protocol."""


class Ended(Exception):
    """The child is gone. out_of_cpu, out_of_memory: the limit it died of, if it was one."""

    def __init__(self, status: int | None, oom_kills: int) -> None:
        super().__init__(_death(status))
        self.out_of_cpu = _is_signal(status, "SIGXCPU")
        self.out_of_memory = _is_signal(status, "SIGKILL") and oom_kills > 0


def _is_signal(status: int | None, name: str) -> bool:
    """Whether a Popen returncode means death by that signal (Windows has none of these)."""
    number = getattr(signal, name, None)
    return status is not None and number is not None and status == -number


def _death(status: int | None) -> str:
    """A Popen returncode in words."""
    if status is not None and status < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
    return f"it ended with status {status}"


def _oom_kills() -> int:
    """How often the kernel of this machine has killed a process for want of memory (Linux; 0 elsewhere).

    It kills with SIGKILL, as people do; only this counter tells the two apart.
    """
    with suppress(OSError, ValueError, IndexError), open("/proc/vmstat", "rb") as file:
        return int(file.read().split(b"oom_kill ")[1].split()[0])
    return 0


def _environment() -> dict[str, str]:
    """Next to nothing: no secrets to find, no settings to trip over. One thread for numpy, one heap for malloc."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows starts nothing without
    return kept | {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


class Process:
    """One run of `bridge.prepare.child` and the pipes to it. Every wait has a deadline (seconds, time.monotonic)."""

    def __init__(self, memory_mb: int) -> None:
        self.jobs = 0
        self.used_at = time.monotonic()
        self._greeting: dict[str, Any] | None = None
        self._oom_kills = _oom_kills()
        # -I: no PYTHON* variables, no user site, no current folder. That hides a bare checkout too, hence the path.
        self._popen = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _PROGRAM, str(_ROOT), str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=_ROOT.anchor,
            env=_environment(),
            start_new_session=True,
        )
        assert self._popen.stdin and self._popen.stdout
        self._in, self._out = self._popen.stdin.fileno(), self._popen.stdout.fileno()
        if _CAN_POLL:
            os.set_blocking(self._in, False)
            os.set_blocking(self._out, False)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def wait_until_ready(self) -> dict[str, Any]:
        """The child's first words once it has loaded its engine; the same ones at every later call."""
        if self._greeting is None:
            self._greeting, _ = self.receive(time.monotonic() + _START_S)
        return self._greeting

    def send(self, data: bytes, deadline: float) -> bool:
        """Pass `data` on; False when the child no longer listens (it may have said why: `receive`)."""
        view = memoryview(data)
        with self._timed(deadline):
            while view:
                self._await(self._in, _WRITE, deadline)
                try:
                    view = view[os.write(self._in, view) :]
                except BlockingIOError:
                    continue
                except OSError:  # EPIPE, and what Windows says instead
                    return False
        return True

    def receive(self, deadline: float) -> tuple[dict[str, Any], bytes]:
        """The next frame: its header and its payload. Raises Late, Ended, Nonsense."""
        length = PREFIX.unpack(self._read(PREFIX.size, deadline))[0]
        if length > _HEADER_MAX:
            raise Nonsense(f"a header of {length:,} bytes")
        try:
            header: dict[str, Any] = json.loads(self._read(length, deadline))
            size = int(header.get("size", 0))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise Nonsense(repr(error)) from error
        if not 0 <= size <= _PAYLOAD_MAX:
            raise Nonsense(f"a page of {size:,} bytes")
        return header, self._read(size, deadline)

    def kill(self) -> None:
        """End it and everything it may have started, at once. Safe from any thread."""
        if not self.alive:
            return
        with suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
            else:
                self._popen.kill()

    def end(self) -> None:
        """Kill it, collect it, close the pipes."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):  # stuck in the kernel (a dying disk): it is collected when it can be
            self._popen.wait(_GRACE_S)
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe:
                pipe.close()

    def _read(self, count: int, deadline: float) -> bytes:
        data = bytearray()
        with self._timed(deadline):
            while len(data) < count:
                self._await(self._out, _READ, deadline)
                chunk = os.read(self._out, count - len(data))
                if not chunk:
                    raise self._epitaph(deadline)
                data += chunk
        return bytes(data)

    def _await(self, pipe: int, event: int, deadline: float) -> None:
        """Wait until the pipe can be read or written, or has been closed at the other end."""
        if not _CAN_POLL:
            return
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise Late

    @contextmanager
    def _timed(self, deadline: float) -> Iterator[None]:
        """Where pipes cannot be polled, end the child at the deadline: that ends the wait."""
        if _CAN_POLL:
            yield
            return
        timer = threading.Timer(deadline - time.monotonic(), self.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _epitaph(self, deadline: float) -> Exception:
        """Why nothing more will come."""
        if time.monotonic() >= deadline:
            return Late()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(_GRACE_S)
        return Ended(self._popen.poll(), _oom_kills() - self._oom_kills)
