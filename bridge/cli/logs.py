"""logs: what the serve has written down."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli.common import FAILED, Stop, data_option, folder_of


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@click.option("-n", "--lines", type=click.IntRange(0, 1_000_000), default=50, show_default=True, help="How many lines.")
@data_option
def logs(follow: bool, lines: int, data: Path | None) -> None:
    """Show the log of the serve. It need not be running."""
    from bridge import logs as written

    folder = folder_of(data)
    try:
        for line in written.follow(folder, lines=lines) if follow else written.tail(folder, lines):
            click.echo(line)
    except written.NoLog as error:
        raise Stop(str(error), FAILED) from error
