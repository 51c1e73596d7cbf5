"""service: print-bridge as a service of this machine."""

from __future__ import annotations

from collections.abc import Iterable

import click

from bridge.cli.common import FAILED, WRONG, Stop, clean
from bridge.service import CannotInstall, Step, System, program
from bridge.service import install as install_
from bridge.service import remove as remove_
from bridge.service import status as status_


@click.group()
def service() -> None:
    """Run the bridge as a service of this machine: install, remove, status."""


@service.command()
def install() -> None:
    """Put the systemd unit and the udev rule in place, start the service, and show that it works."""
    _tell(install_(System(), program()))


@service.command()
def remove() -> None:
    """Stop the service and take the unit and the rule away. Data stay."""
    _tell(remove_(System()))


@service.command()
def status() -> None:
    """Look whether everything is in place and running."""
    _tell(status_(System()))


def _tell(steps: Iterable[Step]) -> None:
    """A line for each step. Ends with 1 when something is not as it should be."""
    bad = 0
    try:
        for step in steps:
            bad += step.good is False
            mark = {True: "ok", False: "problem", None: "note"}[step.good]
            click.echo(f"{mark:<8} {clean(step.text)}")
    except CannotInstall as error:
        raise Stop(str(error), WRONG) from error
    if bad:
        raise Stop(f"{bad} problem{'s' if bad > 1 else ''}", FAILED)
