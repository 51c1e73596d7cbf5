"""DIR/secrets.json: what has to be shown to others as it is (webhook secrets). Not in the database; a backup has it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from bridge.access import sealed
from bridge.access.redact import remember

NAME = "secrets.json"


class Secrets:
    """Texts by name, in a file for its owner's eyes; every change is on the disk when it returns."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError for a file that cannot be read: guessing would lose what is in it."""
        self._path = folder / NAME
        self._lock = threading.Lock()
        try:
            self._texts = _read(self._path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self._path} cannot be read ({error}); restore it, or move it away") from error
        remember(*(text for texts in self._texts.values() for text in texts))

    def get(self, name: str) -> list[str]:
        """The texts of this name, the newest first; empty for a name nobody knows."""
        return list(self._texts.get(name, ()))

    def put(self, name: str, texts: list[str]) -> None:
        """Keep these under the name, or nothing (an empty list)."""
        with self._lock:
            self._put(name, texts)

    def push(self, name: str, text: str, *, keep: int) -> None:
        """A new text of this name, before those it has; of them all the newest `keep` stay. The newest one again: as
        it is, so that repeating a request drops none."""
        with self._lock:
            others = [each for each in self._texts.get(name, ()) if each != text]
            self._put(name, [text, *others][:keep])

    def _put(self, name: str, texts: list[str]) -> None:
        remember(*texts)
        new = {key: value for key, value in self._texts.items() if key != name}
        if texts:
            new[name] = list(texts)
        sealed.write(self._path, new)
        self._texts = new


def _read(path: Path) -> dict[str, list[str]]:
    """Raises OSError, ValueError."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    if not isinstance(found, dict) or not all(map(_is_texts, found.values())):
        raise ValueError("it must hold lists of texts by name")
    return dict(found)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
