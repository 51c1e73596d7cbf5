"""reload: the running serve reads its configuration again."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli.common import clean, data_option, remote


@click.command()
@data_option
def reload(data: Path | None) -> None:
    """Read the configuration again: printers, keys and origins. No job is dropped."""
    answer = remote(data).call("POST", "/v1/reload", body={})
    for text in answer["changed"] or ["nothing changed"]:
        click.echo(clean(text))
    if answer["needs_restart"]:
        click.echo(f"needs a restart of the serve: {clean(', '.join(answer['needs_restart']))}")
