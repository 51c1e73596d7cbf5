"""DIR/secrets.json: what has to be shown to others as it is (webhook secrets), out of the database and its backups."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

from bridge.access.redact import remember

NAME = "secrets.json"


class Secrets:
    """Texts by name, in a file for its owner's eyes; every change is on the disk when it returns."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError for a file that cannot be read: guessing would lose what is in it."""
        self._path = folder / NAME
        self._lock = threading.Lock()
        try:
            self._texts: dict[str, list[str]] = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            self._texts = {}
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._path} cannot be read ({error}); restore it, or move it away") from error
        remember(*(text for texts in self._texts.values() for text in texts))

    def get(self, name: str) -> list[str]:
        """The texts of this name, the newest first; empty for a name nobody knows."""
        return list(self._texts.get(name, ()))

    def put(self, name: str, texts: list[str]) -> None:
        """Keep these under the name, or nothing (an empty list)."""
        remember(*texts)
        with self._lock:
            new = {key: value for key, value in self._texts.items() if key != name}
            if texts:
                new[name] = list(texts)
            self._write(new)
            self._texts = new

    def _write(self, texts: dict[str, list[str]]) -> None:
        part = self._path.with_suffix(".part")
        descriptor = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(texts, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._path)
