"""What asking costs: labels to a silent printer, and to one that answers, against printers that are never asked.

They are printed on in turn, label by label, so that the machine's moods meet them alike. Times are the bridge's own,
from a job's arrival to its end.
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from devices.simulators import Simulator
from tests.bench.table import show
from tests.fake.printer import FakePrinter
from tests.serving import Serve, b64, printer

ROUNDS = 60
FIRST = 3  # labels that are not counted: the probe belongs to the first
LABEL = b"^XA^FO20,20^GB200,100,4^FS^XZ"
LIMIT_MS = 100  # promised of a silent printer


def main() -> None:
    """Print the table. AssertionError when a silent printer costs more than was promised."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        silent, mute = stack.enter_context(FakePrinter()), stack.enter_context(FakePrinter())
        zpl, quiet, tspl = (
            stack.enter_context(Simulator(language, label_s=0.0)) for language in ("zpl", "zpl", "tspl")
        )
        places = {
            "silent, status off": (printer("a", mute.uri, status="off"), "a"),
            "silent, status auto": (printer("b", silent.uri), "b"),
            "zpl that answers, status off": (printer("c", quiet.uri, status="off"), "c"),
            "zpl that answers: printed": (printer("d", zpl.uri), "d"),
            "tspl that answers: printed": (printer("e", tspl.uri, language="tspl"), "e"),
        }
        bridge = stack.enter_context(Serve(folder / "data", "".join(section for section, _ in places.values())))
        took: dict[str, list[float]] = {place: [] for place in places}
        ended: dict[str, set[str]] = {place: set() for place in places}
        for number in range(FIRST + ROUNDS):
            for place, (_, name) in places.items():
                job = label(bridge, name)
                if number >= FIRST:
                    took[place].append((job["updated_at"] - job["created_at"]) * 1000)
                    ended[place].add(job["state"])
    base = statistics.median(took["silent, status off"])
    rows = [
        (place, ", ".join(sorted(ended[place])), statistics.median(ms), statistics.quantiles(ms, n=20)[-1],
         statistics.median(ms) - base)
        for place, ms in took.items()
    ]  # fmt: skip
    show(
        f"{ROUNDS} labels each, from arrival to the end of the job, ms (silent, auto: less than {LIMIT_MS} ms more)",
        ("printer", "ends", "p50", "p95", "more than off"), rows,
    )  # fmt: skip
    assert len(silent.questions) == 1 and not mute.questions, (silent.questions, mute.questions)
    assert rows[1][4] < LIMIT_MS, rows[1]


def label(bridge: Serve, name: str) -> Any:
    """One label, printed: its job."""
    document = b"SIZE 4,6\r\nCLS\r\nBAR 20,20,200,100\r\nPRINT 1\r\n" if name == "e" else LABEL
    answer = bridge.call("POST", "/v1/jobs", {"printer": name, "document_base64": b64(document)})
    assert answer.status == 201, answer
    return bridge.wait(answer.json["id"])
