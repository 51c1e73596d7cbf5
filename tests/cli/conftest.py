"""One serve for a whole file of tests, with a printer that is on and one that is off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calling import Done, Going, Terminal, run
from tests.fake.printer import FakePrinter
from tests.serving import Serve, printer


@dataclass
class Counter:
    """A bridge, its printers, and the commands of its data folder."""

    bridge: Serve
    dock: FakePrinter

    def run(self, *words: Any, **how: Any) -> Done:
        at = words.index("--") if "--" in words else len(words)
        return run(*words[:at], "--data", self.bridge.folder, *words[at:], **how)

    def does(self, *words: Any, **how: Any) -> Done:
        """Run it; it must end well."""
        done = self.run(*words, **how)
        assert done.code == 0, done
        return done

    def refuses(self, code: int, *words: Any, **how: Any) -> str:
        """Run it; it must end with this code. What it said."""
        done = self.run(*words, **how)
        assert done.code == code, done
        assert done.err.strip(), done
        return done.err

    def start(self, *words: Any) -> Going:
        return Going(*words, "--data", self.bridge.folder)

    def on_a_terminal(self, *words: Any, columns: int = 80) -> Terminal:
        return Terminal.of(*words, "--data", self.bridge.folder, columns=columns)

    def held(self, title: str = "held", *words: Any) -> str:
        """A held job; its number."""
        return self.does("print", "-", "--to", "dock", "--hold", "--title", title, *words, stdin=b"^XA^XZ").number

    def start_waiting(self) -> str:
        """A job that waits for the printer that is off; its number."""
        job_id = self.bridge.send("away", {"document_base64": "XlhBXlha"})
        return str(self.bridge.job(job_id)["serial"])


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    folder: Path = tmp_path_factory.mktemp("counter")
    with FakePrinter() as dock, FakePrinter(refuse=True) as away:
        config = printer("dock", dock.uri) + printer("away", away.uri)
        with Serve(folder / "data", config) as bridge:
            yield Counter(bridge, dock)
            assert "Traceback" not in bridge.log.read_text()
