"""Every figure this project claims about speed and memory, measured now, as ratios in one run.

    python -m tests.bench [draw] [raw] [memory] [listeners] [history] [wires] [cups] [languages] [agents] [status]
                          [dialects]

These machines are noisy: read the ratios, not the milliseconds.
"""

from __future__ import annotations

import sys

from tests.bench import agents, cups, dialects, draw, history, languages, listeners, memory, raw, status, wires

PARTS = {
    "draw": draw.main, "raw": raw.main, "memory": memory.main, "listeners": listeners.main, "history": history.main,
    "wires": wires.wires,
    "cups": cups.main,
    "languages": languages.main,
    "agents": agents.main,
    "status": status.main,
    "dialects": dialects.main,
}  # fmt: skip

for name in sys.argv[1:] or PARTS:
    PARTS[name]()
