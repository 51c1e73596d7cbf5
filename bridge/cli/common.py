"""What every command needs: the options all of them take, how a command ends, and how an answer is shown."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from bridge.cli.wording import on_the_command_line
from bridge.lock import FolderInUse
from bridge.place import default_data_folder
from bridge.remote import BadCredentials, NotRunning, Refused, Remote

FAILED, WRONG, UNCONFIRMED, NO_SERVE = 1, 2, 3, 4
INTERRUPTED = 130  # what a shell makes of Ctrl-C

data_option = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=None,
    help="Data folder (default: the system's place for it).",
)  # fmt: skip
config_option = click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), default=None,
    help="Configuration file (default: config.toml in the data folder, if there is one).",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
org_option = click.option("--org", default=None, help="Of this organization: id, beginning of an id, or name (default: "
                          "the one this bridge belongs to).")  # fmt: skip


# ---- where ------------------------------------------------------------------------------------------------------


def folder_of(data: Path | None) -> Path:
    """The data folder: the one that was given, else this machine's place for a service's data."""
    return data if data is not None else default_data_folder()


def remote(data: Path | None) -> Remote:
    """The running serve of the data folder. Raises NotRunning, which ends the command with NO_SERVE."""
    return Remote.of(folder_of(data))


# ---- how a command ends -----------------------------------------------------------------------------------------


class Stop(click.ClickException):
    """Ends the command with a text and an exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        vars(self)["exit_code"] = code  # click declares it for the class, and reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """The text on standard error, without whatever a terminal would obey."""
        lines = [clean(line) for line in self.message.splitlines()]
        click.echo("Error: " + "\n".join(lines), file=file, err=file is None)


@contextmanager
def said_plainly() -> Iterator[None]:
    """Whatever can go wrong with a serve, a file or a pipe, as a text and an exit code. Every command runs in it."""
    try:
        yield
    except NotRunning as error:
        raise Stop(str(error), NO_SERVE) from error
    except BadCredentials as error:
        raise Stop(str(error), WRONG) from error
    except FolderInUse as error:
        raise Stop(f"cannot start: {error}", WRONG) from error
    except Refused as error:
        raise Stop(on_the_command_line(error), WRONG if error.code == "bad_config" else FAILED) from error
    except BrokenPipeError:
        raise  # nobody reads on (`| head`): click ends the command quietly
    except OSError as error:
        raise Stop(of_the_system(error), FAILED) from error


def of_the_system(error: OSError) -> str:
    """What the system said, without its number."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


# ---- how an answer is shown -------------------------------------------------------------------------------------


def clean(text: object) -> str:
    """On one line, without control and direction characters: a title must not be able to command the terminal."""
    said = "" if text is None else str(text)
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in said)


def print_json(answer: Any) -> None:
    """An answer of the serve as it is. ASCII, so nothing in it can command the terminal."""
    click.echo(json.dumps(answer, indent=2))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns under their names; cut to the width of a terminal, never in a pipe."""
    if not rows:
        click.echo("none")
        return
    lines = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(columns(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        padded = (cell + " " * (width - columns(cell)) for cell, width in zip(line, widths, strict=True))
        click.echo(fitted("  ".join(padded).rstrip()))


def fitted(line: str) -> str:
    """The line, cut where the terminal ends; whole in a pipe."""
    width = terminal_width()
    if width is None or columns(line) <= width:
        return line
    while columns(line) > width - 1:
        line = line[: max(0, min(len(line) - 1, width))]
    return line + "\N{HORIZONTAL ELLIPSIS}"


def terminal_width() -> int | None:
    """Columns of the terminal on standard output; None in a pipe."""
    if sys.stdout is None or not sys.stdout.isatty():  # None: the caller has closed it
        return None
    return shutil.get_terminal_size().columns


def columns(text: str) -> int:
    """How wide the text is on a terminal."""
    return len(text) if text.isascii() else sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
