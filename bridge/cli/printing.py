"""print: one document from the command line, until it is out.

When no serve is running for the data folder, one runs inside the command. A serve that comes or goes meanwhile makes no
difference: the wish is handed in again with the same Idempotency-Key, and is the same job.
"""

from __future__ import annotations

import logging
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bridge.access.redact import Redactor
from bridge.cli import lastprint, watching
from bridge.cli.common import WRONG, Stop, clean, config_option, data_option, folder_of
from bridge.cli.document import Source, from_file, from_stdin
from bridge.cli.jobs import reprint_wish
from bridge.cli.naming import only_printer, printer_of
from bridge.cli.serve import bridge_of, running
from bridge.lock import FolderInUse
from bridge.remote import NotRunning, Refused, Remote, name_in_path

SERVES = 5  # one after the other that may go away while we print
LATEST_S = 10 * 365 * 86400  # ten years, as the serve has it
STARTING_S = 20.0  # for another one that has the folder, and does not answer yet

Job = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """How it is to be printed. None: as the serve likes."""

    printer: str | None
    copies: int | None
    pages: str | None
    title: str | None
    hold: bool
    expires_at: float | None
    document_type: str | None
    force: bool


@click.command("print")
@click.argument("file", required=False, metavar="FILE|-")
@click.option("--to", "printer", default=None, help="Name or id of the printer (default: the only one).")
@click.option("--template", default=None, help="Instead of FILE: print this label template.")
@click.option("--field", "fields", multiple=True, metavar="NAME=VALUE", help="A value for the template; give it again "
              "for more.")  # fmt: skip
@click.option("--last", is_flag=True, help="Instead of FILE: print the last one again (with --to: the last one there).")
@click.option("--copies", type=click.IntRange(1, 999), default=None, help="How many (default: 1).")
@click.option("--pages", default=None, help='Only these pages: "2" or "2-5".')
@click.option("--title", default=None, help="What people see (default: the name of the file).")
@click.option("--hold", is_flag=True, help="Keep it back until somebody releases it.")
@click.option("--expires-in", "expires_in_s", type=float, default=None, metavar="SECONDS",
              help="Do not print it later than this.")  # fmt: skip
@click.option("--type", "document_type", default=None, help="pdf, png, jpeg, zpl, epl, escpos, tspl, "
              "cpcl, raw, text, receipt (default: looks).")  # fmt: skip
@click.option("--force", is_flag=True, help="Send printer code even in a language the printer does not speak.")
@data_option
@config_option
def print_(
    file: str | None, template: str | None, fields: tuple[str, ...], last: bool, expires_in_s: float | None,
    data: Path | None, config: Path | None, **how: Any,
) -> None:  # fmt: skip
    """Print FILE (- for standard input) and wait until it is out.

    When no serve is running for the data folder, one runs inside this command until the label is out.
    """
    if sum((file is not None, template is not None, last)) != 1:
        raise click.UsageError("Give exactly one of FILE, -, --template NAME and --last.")
    if fields and template is None:
        raise click.UsageError("--field belongs to --template.")
    if expires_in_s is not None and not 0 < expires_in_s <= LATEST_S:
        raise click.BadParameter(f"give seconds, more than 0 and at most {LATEST_S:,}.", param_hint="--expires-in")
    # A time of day, not a time from now: what is handed in a second time must be the very same.
    expires_at = None if expires_in_s is None else round(time.time() + expires_in_s, 3)
    wish, folder, key = Wish(expires_at=expires_at, **how), folder_of(data), str(uuid.uuid4())
    if last:
        _until_out(folder, config, wish, _reprint(folder, wish, key))
    elif template is not None:
        _until_out(folder, config, wish, _from_template(template, _pairs(fields), wish, key))
    else:
        assert file is not None
        with from_stdin() if file == "-" else from_file(Path(file)) as source:
            _until_out(folder, config, wish, _upload(source, wish, key))


def _pairs(fields: tuple[str, ...]) -> dict[str, str]:
    for field in fields:
        if "=" not in field:
            raise click.BadParameter(f"{field!r} is no NAME=VALUE.", param_hint="--field")
    return dict((name, value) for name, _, value in (field.partition("=") for field in fields))


# ---- ways to hand it in -----------------------------------------------------------------------------------------

HandIn = Callable[[Remote], Job]


def _upload(source: Source, wish: Wish, key: str) -> HandIn:
    def hand_in(bridge: Remote) -> Job:
        query = {
            "printer": _printer(bridge, wish)["id"], "copies": wish.copies, "pages": wish.pages,
            "title": _title(wish.title or source.title), "document_type": wish.document_type or source.declared,
            "hold": "true" if wish.hold else None, "expires_at": wish.expires_at,
            "force": "true" if wish.force else None,
        }  # fmt: skip
        return dict(bridge.upload(source, query, key))

    return hand_in


def _from_template(template: str, fields: dict[str, str], wish: Wish, key: str) -> HandIn:
    def hand_in(bridge: Remote) -> Job:
        body = {
            "printer": _printer(bridge, wish)["id"], "template": template, "fields": fields, "copies": wish.copies,
            "title": _title(wish.title or template), "hold": wish.hold or None, "expires_at": wish.expires_at,
            "options": {"pages": wish.pages} if wish.pages else None,
        }  # fmt: skip
        return dict(bridge.create("/v1/jobs", {k: v for k, v in body.items() if v is not None}, key))

    return hand_in


def _reprint(folder: Path, wish: Wish, key: str) -> HandIn:
    if wish.pages or wish.title or wish.hold or wish.expires_at or wish.document_type or wish.force:
        raise click.UsageError("With --last only --to and --copies can be given.")

    def hand_in(bridge: Remote) -> Job:
        device_id = printer_of(bridge, wish.printer)["id"] if wish.printer is not None else None
        job_id = lastprint.read(folder, device_id)
        if job_id is None:
            raise Stop("nothing was printed with this command yet; `print-bridge jobs reprint` repeats any job", WRONG)
        body = reprint_wish(bridge, None, wish.copies, None)
        return dict(bridge.create(f"/v1/jobs/{name_in_path(job_id)}/reprint", body, key))

    return hand_in


def _printer(bridge: Remote, wish: Wish) -> dict[str, Any]:
    return printer_of(bridge, wish.printer) if wish.printer is not None else only_printer(bridge)


def _title(title: str) -> str:
    return clean(title)[:255]  # no serve keeps more


# ---- until it is out --------------------------------------------------------------------------------------------


def _until_out(folder: Path, config: Path | None, wish: Wish, hand_in: HandIn) -> None:
    for serves_left in reversed(range(SERVES)):
        try:
            with _serve_or_own(folder, config) as bridge:
                _once(folder, bridge, wish, hand_in)
                return
        except NotRunning:
            if not serves_left:
                raise


def _once(folder: Path, bridge: Remote, wish: Wish, hand_in: HandIn) -> None:
    job = hand_in(bridge)
    lastprint.write(folder, job["device_id"], job["id"])
    click.echo(f"job {job['serial']} for {clean(job['printer'])} ({job['id']})")
    if wish.hold:
        click.echo(f"it waits: `print-bridge jobs release {job['serial']}` prints it")
    else:
        watching.follow(bridge, job, also_held=False)


@contextmanager
def _serve_or_own(folder: Path, config: Path | None) -> Iterator[Remote]:
    """The serve of the folder, or one of our own under the folder's lock. Raises FolderInUse.

    The lock may be held by a serve that is just starting, or by a print that is just ending: then both are tried again.
    """
    deadline = time.monotonic() + STARTING_S
    with ExitStack() as stack:
        while (bridge := _answering(folder)) is None:
            try:
                own = bridge_of(folder, config, host="127.0.0.1", port=0)
                _log_to_stderr()
                stack.enter_context(running(own))
                bridge = Remote.of(folder)
                break
            except FolderInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield bridge


def _log_to_stderr() -> None:
    """Warnings of a bridge that runs inside this command."""
    logging.basicConfig(level="WARNING", format="%(levelname)s: %(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        if not handler.filters:
            handler.addFilter(Redactor())


def _answering(folder: Path) -> Remote | None:
    """The serve of the folder, if it answers and knows our key."""
    try:
        bridge = Remote.of(folder)
        bridge.call("GET", "/v1/printers")
    except (NotRunning, Refused):  # Refused: the key is unknown there, so it may be the serve of another folder
        return None
    return bridge
