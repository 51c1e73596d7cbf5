"""Real child processes `python -m bridge ...`, with a pipe or a real terminal, and what they said."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from typing import Any

from tests.serving import ROOT

LABEL = ROOT / "tests/golden/shipping-label.pdf"
ZPL = b"^XA^FO50,50^A0N,40,40^FDhello^FS^XZ"
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error", "COLUMNS": "", "LC_ALL": "C.UTF-8"}
PATIENCE_S = 60


@dataclass(frozen=True)
class Done:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def number(self) -> str:
        """The number of the job it says it made."""
        found = re.search(r"^job (\d+) ", self.out, re.MULTILINE)
        assert found is not None, self
        return found[1]


def command(*words: str | bytes | Path) -> list[str | bytes | Path]:
    return [sys.executable, "-m", "bridge", *words]


def heed_ctrl_c() -> None:
    """For a new process: a shell has what it starts in the background ignore it, and that is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Going:
    """A command that goes on, with its output in a pipe."""

    def __init__(self, *words: str | bytes | Path) -> None:
        self.process = subprocess.Popen(
            command(*words), cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0, preexec_fn=heed_ctrl_c,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.pipe = self.process.stdout
        self.out = ""

    def until(self, word: str) -> str:
        """Read until this is said; all that was said so far."""
        deadline = time.monotonic() + PATIENCE_S
        while word not in self.out:
            if not select.select([self.pipe], [], [], 0.1)[0]:
                assert time.monotonic() < deadline, self.out
            elif piece := os.read(self.pipe.fileno(), 65536):
                self.out += piece.decode("utf-8", "replace")
            else:
                self.process.kill()
                raise AssertionError((self.out, self.end()))
        return self.out

    def end(self) -> Done:
        """What it said, once it has ended by itself."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        said = Done(self.process.returncode, self.out + out.decode(), err.decode())
        assert "Traceback" not in said.err, said.err
        return said

    def interrupt(self) -> Done:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.end()


def run(*words: str | bytes | Path, stdin: bytes | None = b"", **how: Any) -> Done:
    """A command to its end. Whatever it is told, it never shows a traceback or a control character."""
    done = subprocess.run(
        command(*words), cwd=ROOT, env={**ENVIRONMENT, **how.pop("env", {})}, input=stdin, capture_output=True,
        timeout=PATIENCE_S, **how,
    )  # fmt: skip
    said = Done(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    assert "Traceback" not in said.err, said.err
    assert not set(said.out + said.err) & FORBIDDEN, said
    return said


FORBIDDEN = {chr(n) for n in range(32) if chr(n) not in "\n"} | set("\x7f\u202a\u202b\u202d\u202e\u2066\u2067\u200f")
"""Characters a terminal would obey, or that turn a line around."""


@dataclass
class Terminal:
    """A command on a real terminal of so many columns."""

    process: subprocess.Popen[bytes]
    descriptor: int
    shown: str = ""

    @classmethod
    def of(cls, *words: str | bytes | Path, columns: int = 80) -> Terminal:
        ours, its = pty.openpty()
        ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            command(*words), cwd=ROOT, env={**ENVIRONMENT, "TERM": "xterm"}, stdin=its, stdout=its, stderr=its,
            start_new_session=True, preexec_fn=lambda: (ioctl(0, termios.TIOCSCTTY, 0), heed_ctrl_c()),
        )  # fmt: skip
        os.close(its)
        return cls(process, ours)

    def until(self, seen: Callable[[str], bool]) -> str:
        """Read until the text on the screen is like this, or the command ends."""
        deadline = time.monotonic() + PATIENCE_S
        while not seen(self.shown):
            assert time.monotonic() < deadline, self.shown
            if not self._read():
                break
        return self.shown

    def _read(self) -> bool:
        if select.select([self.descriptor], [], [], 0.1)[0]:
            try:
                self.shown += os.read(self.descriptor, 65536).decode("utf-8", "replace")
            except OSError:  # Linux says EIO when the last one has closed the terminal
                return False
        return True

    def interrupt(self) -> None:
        """Ctrl-C, typed."""
        self.type("\x03")

    def type(self, keys: str) -> None:
        """What somebody types."""
        os.write(self.descriptor, keys.encode())

    def end(self) -> int:
        """The exit code; the rest of the screen is in `shown`."""
        self.until(lambda _: False)
        os.close(self.descriptor)
        code = self.process.wait(PATIENCE_S)
        assert "Traceback" not in self.shown, self.shown
        return code
