"""Every figure this project claims about speed and memory, measured now, as ratios in one run.

    python -m tests.bench [draw] [raw] [memory]

These machines are noisy: read the ratios, not the milliseconds.
"""

from __future__ import annotations

import sys

from tests.bench import draw, memory, raw

PARTS = {"draw": draw.main, "raw": raw.main, "memory": memory.main}

for name in sys.argv[1:] or PARTS:
    PARTS[name]()
