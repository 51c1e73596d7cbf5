"""What came out of a simulated printer: one line of JSON for every label and event, and a picture of every label."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from devices.contracts import Bitmap
from devices.png import png

LOG = "paper.jsonl"
PICTURES = 200  # bitmaps kept in memory
_TAIL = 64 * 1024  # bytes at the end of an older log that hold its last line


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the paper log.

    n: labels that had come out until then, this one included. event: "label", "torn" (half a label), or what a front or
    the operator noted: "cut", "drawer", "reset" ... at: UTC. sha256: of the dots (Bitmap.rows), "" where nothing could
    be drawn. png: name of the picture in the folder, "" for none. facts: whatever else there is to say.
    """

    n: int
    event: str
    at: str
    language: str = ""
    width: int = 0
    height: int = 0
    sha256: str = ""
    png: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The line as it is written; what is empty is left out."""
        whole = {name: getattr(self, name) for name in self.__slots__ if name != "facts"}
        said = {name: value for name, value in whole.items() if value not in ("", 0) or name == "n"}
        return said | {name: value for name, value in self.facts.items() if name not in said}


class PaperLog:
    """A folder with paper.jsonl, 000001.png, 000002.png ... Thread-safe.

    folder: made when it is not there; a log that is there already is continued. None keeps everything in memory only.
    on_line: called after each line was written.
    """

    def __init__(self, folder: Path | None = None, language: str = "") -> None:
        self.folder = folder
        self.language = language
        self.on_line: Callable[[Line], None] | None = None
        self.pictures: deque[Bitmap] = deque(maxlen=PICTURES)
        """The last 200 bitmaps that were printed, the newest at the end."""
        self._lines: list[Line] = []
        self._changed = threading.Condition()
        self._drawn: tuple[Bitmap, bytes] | None = None  # copies are drawn once
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self.count = 0 if folder is None else _last_number(folder / LOG)
        """Labels that have come out, those of an older log in the folder included."""

    @property
    def lines(self) -> list[Line]:
        """Everything since this log was opened, the oldest first."""
        with self._changed:
            return list(self._lines)

    @property
    def labels(self) -> list[Line]:
        """The labels that came out whole."""
        return [line for line in self.lines if line.event == "label"]

    def label(self, bitmap: Bitmap | None, **facts: Any) -> Line:
        """A label has come out."""
        with self._changed:
            self.count += 1
            if bitmap is not None:
                self.pictures.append(bitmap)
            line = self._write("label", facts, bitmap, f"{self.count:06}.png")
        return self._tell(line)

    def torn(self, bitmap: Bitmap | None, **facts: Any) -> Line:
        """The upper half of a label has come out. Not counted."""
        half = None if bitmap is None else _upper_half(bitmap)
        with self._changed:
            line = self._write("torn", facts, half, f"{self.count + 1:06}-torn-{len(self._lines)}.png")
        return self._tell(line)

    def note(self, event: str, /, **facts: Any) -> Line:
        """Something else has happened."""
        with self._changed:
            line = self._write(event, facts)
        return self._tell(line)

    def wait_for(self, labels: int, timeout_s: float = 30.0) -> list[Line]:
        """The labels, once there are at least so many. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.labels) >= labels, timeout_s):
                raise TimeoutError(f"{len(self.labels)} of {labels} labels have come out in {timeout_s:g} s")
            return self.labels

    def _write(self, event: str, facts: dict[str, Any], bitmap: Bitmap | None = None, name: str = "") -> Line:
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        line = Line(self.count, event, now, self.language, facts=facts)
        if bitmap is not None:
            digest = sha256(bitmap.rows).hexdigest()
            line = Line(self.count, event, now, self.language, bitmap.width, bitmap.height, digest, name, facts)
        try:
            self._save(line, bitmap)
        except OSError as error:  # the printer prints on when the disk is full
            line = replace(line, png="", facts={**facts, "not_written": error.strerror or str(error)})
        self._lines.append(line)
        self._changed.notify_all()
        return line

    def _save(self, line: Line, bitmap: Bitmap | None) -> None:
        if self.folder is None:
            return
        if bitmap is not None:
            (self.folder / line.png).write_bytes(self._png(bitmap))
        with open(self.folder / LOG, "a", encoding="utf-8") as file:
            file.write(json.dumps(line.as_json(), default=repr) + "\n")

    def _tell(self, line: Line) -> Line:
        if self.on_line is not None:
            self.on_line(line)
        return line

    def _png(self, bitmap: Bitmap) -> bytes:
        if self._drawn is None or self._drawn[0] is not bitmap:
            self._drawn = (bitmap, png(bitmap))
        return self._drawn[1]


def _upper_half(bitmap: Bitmap) -> Bitmap:
    height = max(1, bitmap.height // 2)
    return Bitmap(bitmap.width, height, bitmap.rows[: height * bitmap.stride])


def _last_number(log: Path) -> int:
    """The labels an older log ends with; 0 when there is none, or nothing that can be read."""
    with suppress(OSError), open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        for text in reversed(file.read().splitlines()):
            with suppress(ValueError, KeyError, TypeError):
                return int(json.loads(text)["n"])
    return 0
