"""A real `print-bridge simulate` in a real process, with a door to its operator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devices.simulators.control import told
from tests.serving import ROOT


class Simulated:
    """`with Simulated("zpl", folder, "--label-s", "0.05") as printer:` waits until it listens; leaving it ends it.

    folder: where its paper goes. options: of the command.
    """

    def __init__(self, language: str, folder: Path, *options: str) -> None:
        self.language = language
        self.folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Simulated:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "simulate", self.language, "--port", "0", "--control", "0",
             "--folder", str(self.folder), *self._options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert self._process.stdout is not None
        said = [self._process.stdout.readline() for _ in range(3)]
        assert said[2].startswith("paper in "), said
        self.uri = said[0].split()[-1]
        self.port = int(self.uri.rsplit(":", 1)[1])
        self._door = int(said[1].rsplit(":", 1)[1])
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process is not None and self._process.stdout is not None
        self._process.send_signal(signal.SIGTERM)
        rest, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, rest[-2000:]

    def do(self, command: str) -> dict[str, Any]:
        """What a person at the printer does; how the printer is then."""
        answer = told(self._door, command)
        assert answer["ok"], answer
        return answer

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The paper log, or its lines about one kind of event."""
        log = self.folder / "paper.jsonl"
        text = log.read_text() if log.exists() else ""
        lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [line for line in lines if event in (None, line["event"])]

    @property
    def labels(self) -> list[dict[str, Any]]:
        """The labels that have come out whole."""
        return self.lines("label")

    def wait_for(self, labels: int, timeout: float = 60) -> list[dict[str, Any]]:
        """The labels, once there are so many."""
        until(lambda: len(self.labels) >= labels, timeout, self.lines)
        return self.labels


def until(true: Callable[[], bool], timeout: float, seen: Callable[[], object] = lambda: "") -> None:
    """Wait for it; an AssertionError says what was seen instead."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, seen()
        time.sleep(0.02)
