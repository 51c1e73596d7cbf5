"""The command line. Every command but serve is a client of the running serve.

One file for each command or group of commands; what they share is in common.py. Nothing here imports Flask or pydantic
before a command needs them: `print-bridge jobs` is called from scripts, many times.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from typing import Any

import click

from bridge import VERSION
from bridge.cli.backup import backup, restore
from bridge.cli.common import FAILED, INTERRUPTED, NO_SERVE, UNCONFIRMED, WRONG, said_plainly
from bridge.cli.doctor import doctor
from bridge.cli.jobs import jobs
from bridge.cli.keys import keys
from bridge.cli.logs import logs
from bridge.cli.orgs import orgs
from bridge.cli.origins import origins
from bridge.cli.printers import printers
from bridge.cli.printing import print_
from bridge.cli.reload import reload
from bridge.cli.serve import serve
from bridge.cli.service import service
from bridge.cli.simulate import simulate
from bridge.cli.users import users
from bridge.cli.webhooks import webhooks

__all__ = ["FAILED", "INTERRUPTED", "NO_SERVE", "UNCONFIRMED", "WRONG", "main"]

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the job failed, is held or was cancelled, or the bridge refused; the text says why
  2    wrong use or configuration, or the bridge cannot start
  3    the job is unconfirmed: look at the printer
  4    no `print-bridge serve` is running for this data folder
  130  ended by Ctrl-C; a job goes on
"""


class Main(click.Group):
    """Every command ends with a text and an exit code, never with a traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            with suppress(AttributeError):  # None when closed, or not a file of ours
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with said_plainly():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            # A connection that was cut in the middle of a request is closed by the end of the process, which comes now.
            warnings.simplefilter("ignore", ResourceWarning)
            ctx.exit(INTERRUPTED)


@click.group(cls=Main, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="print-bridge")
def main() -> None:
    """Gets the right label out of the right printer, from any web app."""


_COMMANDS = (
    serve, print_, jobs, printers, keys, origins, reload, doctor, backup, restore, logs, service, simulate,
    webhooks, orgs, users,
)  # fmt: skip
for _command in _COMMANDS:
    main.add_command(_command)
