"""Runs in the virtual machine: every `scenario_...` function of tests/usb/scenarios_*.py, and a table of how they went.

A scenario takes no argument, fails by raising (an assertion, mostly), and may return a text of figures for the table.
Functions are run in the order of their files' names and of their lines.
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

Scenario = Callable[[], str | None]


def scenarios() -> Iterator[tuple[str, Scenario]]:
    """(name, function) of all there are."""
    folder = Path(__file__).parent
    for module in sorted(each.name for each in pkgutil.iter_modules([str(folder)])):
        if module.startswith("scenarios_"):
            found = vars(importlib.import_module(f"tests.usb.{module}")).items()
            for name, function in found:
                if name.startswith("scenario_") and callable(function):
                    yield name.removeprefix("scenario_"), function


def run(name: str, scenario: Scenario) -> bool:
    """Run one and print its line. False when it failed."""
    began = time.monotonic()
    try:
        said, passed = scenario(), True
    except Exception:
        said, passed = traceback.format_exc(), False
    took = time.monotonic() - began
    print(f"{'ok  ' if passed else 'FAIL'} {took:5.2f} s  {name.replace('_', ' ')}", flush=True)
    for line in (said or "").splitlines():
        print(f"               {line}", flush=True)
    return passed


def main(wanted: list[str]) -> int:
    """wanted: parts of names; none: all of them."""
    logging.basicConfig(level=logging.ERROR)
    chosen = [(name, each) for name, each in scenarios() if not wanted or any(part in name for part in wanted)]
    failed = sum(not run(name, each) for name, each in chosen)
    print(f"{len(chosen) - failed} of {len(chosen)} scenarios passed", flush=True)
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
