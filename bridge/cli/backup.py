"""`backup` and `restore`: a whole data folder in one file, and back."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import NoReturn

import click

from bridge.cli.common import FAILED, WRONG, Stop, clean, data_option, folder_of

_LINES = 4  # lines of progress in a pipe


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there already.")
@data_option
def backup(file: Path, force: bool, data: Path | None) -> None:
    """Save jobs, documents, history, keys and configuration in FILE. A running serve goes on printing."""
    from bridge.backup import save

    folder = folder_of(data)
    if hasattr(os, "nice"):
        os.nice(10)  # a label on its way comes first
    with _said_plainly(), _stops_tidily(), Meter("saving") as meter:
        manifest = save(folder, file, meter.show, force=force)
    packed = file.stat().st_size
    click.echo(f"saved {clean(folder)} in {clean(file)}: {manifest.documents} documents, {_size(packed)}")
    if "config.toml" not in {member.name for member in manifest.members}:
        click.echo("no config.toml lies in the folder; if serve is started with --config, keep that file too")
    click.echo("it holds keys and labels: keep it where only you can read it")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True,
              help="The new data folder; it must not hold a bridge yet.")  # fmt: skip
def restore(file: Path, data: Path) -> None:
    """Make a data folder from the backup FILE. What waited in it is held and prints only when somebody releases it."""
    from bridge.restore import restore as restore_

    with _said_plainly(), _stops_tidily(), Meter("restoring") as meter:
        done = restore_(file, data, meter.show)
    click.echo(f"restored {done.jobs} jobs and {done.manifest.documents} documents into {clean(data)}")
    here = f"--data {clean(quote(str(data)))}"
    if done.held:
        click.echo(f"{done.held} of them waited then, may have been printed since, and are held:")
        click.echo(f"  to look:           print-bridge jobs list --state held {here}")
        click.echo(f"  to print one:      print-bridge jobs release JOB {here}")
        click.echo(f"  to drop them all:  print-bridge jobs discard --all --reason restored {here}")
    click.echo(f"keys that were revoked since the backup are valid again: print-bridge keys {here}")
    click.echo(f"start it with: print-bridge serve {here}")


class Meter:
    """How far it is: a bar on a terminal, a few lines in a pipe."""

    def __init__(self, word: str) -> None:
        self._word = word
        self._said = 0
        self._bar = click.progressbar(length=1, label=word, file=sys.stderr) if sys.stderr.isatty() else None

    def __enter__(self) -> Meter:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def show(self, done: int, total: int) -> None:
        """done, total: bytes."""
        if self._bar is not None:
            self._bar.length = max(total, 1)
            self._bar.update(done - self._bar.pos)
        elif done * _LINES // max(total, 1) > self._said:
            self._said = done * _LINES // max(total, 1)
            click.echo(f"{self._word}: {100 * done // max(total, 1)} % of {_size(total)}", err=True)


@contextmanager
def _said_plainly() -> Iterator[None]:
    from bridge.backup import BackupError, NothingThere

    try:
        yield
    except BackupError as error:
        raise Stop(str(error), WRONG if isinstance(error, NothingThere) else FAILED) from error


@contextmanager
def _stops_tidily() -> Iterator[None]:
    """A SIGTERM cleans up like Ctrl-C does."""

    def stop(*_: object) -> NoReturn:
        raise Stop("stopped by a signal; nothing is left half done", FAILED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _size(size: float) -> str:
    """Bytes for people."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size / 1e3:,.1f} kB"
