"""`doctor`: what is wrong, and the command that mends it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli.common import FAILED, clean, config_option, data_option, folder_of, json_option

if TYPE_CHECKING:
    from bridge.doctor.finding import Finding

_COLORS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command()
@data_option
@config_option
@click.option("--ask", is_flag=True, help="Ask printers what they are (~HI, GS I), and at which speed they answer.")
@json_option
def doctor(data: Path | None, config: Path | None, ask: bool, as_json: bool) -> None:
    """Look at everything a bridge needs and say how to mend what is wrong. Changes nothing.

    The exit code is 1 when there is a problem; warnings alone are no reason.
    """
    from bridge.doctor import examine

    findings = examine(folder_of(data), config, ask=ask)
    counts = Counter[str](finding.level for finding in findings)
    if as_json:
        said = {"findings": [asdict(f) for f in findings], "problems": counts["problem"], "warnings": counts["warning"]}
        click.echo(json.dumps(said, indent=2))
    else:
        _show(findings, counts)
    if counts["problem"]:
        raise click.exceptions.Exit(FAILED)


def _show(findings: list[Finding], counts: Counter[str]) -> None:
    """A line for each, and under it what to do."""
    indent = max(len(finding.area) for finding in findings) + 11
    for finding in findings:
        level = click.style(f"{finding.level:<8}", fg=_COLORS[finding.level])
        click.echo(f"{level} {finding.area:<{indent - 11}}  {clean(finding.text)}")
        if finding.remedy:
            click.echo(f"{'':{indent}}-> {clean(finding.remedy)}")
    click.echo(", ".join(f"{counts[w]} {w}{'' if counts[w] == 1 else 's'}" for w in ("problem", "warning")))
