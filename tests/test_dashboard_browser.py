"""The page at / in a real Chromium: what a person at the printers reads, while a simulated printer has no paper."""

from __future__ import annotations

import html
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.fake.pages import CHROMIUM, MISSING
from tests.serving import ROOT, Serve, b64, printer
from tests.simulating import Simulated, until

if os.environ.get("PRINT_BRIDGE_NO_BROWSER") == "1":
    pytest.skip("PRINT_BRIDGE_NO_BROWSER=1: no web page is tried in a real browser", allow_module_level=True)

LABEL = (ROOT / "tests/golden/shipping-label.pdf").read_bytes()
DRAWN_THERE = b"^XA^FO20,20^GB300,300,8^FS^FO20,400^ADN,36,20^FDhello^FS^XZ"


def seen(bridge: Serve, folder: Path) -> str:
    """The elements of the page after some seconds of its own time, as Chromium has them."""
    assert CHROMIUM, MISSING
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=6000", "--dump-dom",
         f"http://localhost:{bridge.port}/"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return html.unescape(done.stdout)


def card(page: str, title: str) -> str:
    """The text of the card with this heading, and the tags of its pictures."""
    [found] = [each for each in re.findall(r"<article.*?</article>", page, re.S) if f">{title}</h3>" in each]
    return re.sub(r"<(?!img)[^>]*>", " ", re.sub(r"<(\w+)[^>]* hidden=.*?</\1>", " ", found))


def test_a_printer_without_paper_says_so_what_to_do_and_which_jobs_wait(tmp_path: Path) -> None:
    with (
        Simulated("zpl", tmp_path / "paper", "--paper-out-after", "1", "--label-s", "0.05") as toy,
        Serve(tmp_path / "data", printer("toy", toy.uri) + printer("desk", "virtual://desk")) as bridge,
    ):
        for number in (1, 2):
            bridge.send("toy", {"document_base64": b64(LABEL), "title": f"order {number}"})
        bridge.send("desk", {"document_base64": b64(DRAWN_THERE), "title": "code"})

        def out_of_paper() -> bool:
            printers = bridge.call("GET", "/v1/printers").json["printers"]
            return any("media-empty" in each["reasons"] for each in printers)

        until(out_of_paper, 30)
        until(lambda: not bridge.call("GET", "/v1/jobs?printer=desk&state=queued,preparing,sending").json["total"], 30)
        page = seen(bridge, tmp_path)
    assert "toy is stopped." in page
    toys, second, code = card(page, "toy"), card(page, "order 2"), card(page, "code")
    assert "The paper has run out" in toys and "Put new paper in and close it: its jobs go on by themselves" in toys
    assert "Waiting for the printer" in second and "The paper has run out" in second
    assert re.search(r'<img [^>]*src="blob:', second), second
    assert "Sent to the printer" in code and "so it is not in the picture: ^AD, ^FD." in code
