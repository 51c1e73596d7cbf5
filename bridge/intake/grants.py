"""What printer code a job may contain: the grants of the key that asks, held against the commands in the document.

Code is only understood where the printer reads it the same way. So it counts as readable in the one language it was
taken for, because the worker sends it to no printer of another language. With the option force it would; such code is
in no known language here. That each job is read from its first byte on, whatever came before it, is the worker's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

from bridge.errors import Forbidden, Invalid, TooLarge
from bridge.model import DRAWN, EVERYTHING, WRITTEN, Grants

CODE = "raw_not_allowed"
PIECE = 64 * 1024  # bytes of a document in memory at a time
COMMANDS_MAX = 200_000  # that are looked at: about two seconds, and four thousand labels
WRITTEN_MAX = 10_000_000  # bytes of a receipt or a text
SHOWN = 40  # characters of a command's name that a refusal repeats

_PRINTS = frozenset({"NONE", "PREFIX"})
"""What raw-safe allows. Said by what is harmless: a kind of harm that is new tomorrow is refused."""
_DRAWER = "DRAWER"


class _Harm(Protocol):
    """What a command may do beside printing. value: for people, as in "makes the printer answer"."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...


class Command(Protocol):
    """One command of a stream. name: as manuals write it. offset: how many bytes stand before it."""

    @property
    def name(self) -> str: ...
    @property
    def offset(self) -> int: ...
    @property
    def harm(self) -> _Harm: ...


Inspect = Callable[[str, Iterable[bytes]], Iterable[Command]]
"""(language, pieces of a stream) -> its commands. Raises KeyError for a language whose commands are not known."""


def knows_no_language(language: str, pieces: Iterable[bytes]) -> Iterable[Command]:
    """For a bridge that cannot look into printer code: whatever would have to be looked into is refused."""
    raise KeyError(language)


def pieces_of(document: bytes | Path) -> Iterator[bytes]:
    """A document in memory or on the disk, piece by piece."""
    if isinstance(document, bytes):
        yield document
        return
    with document.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


class ReceiptFacts(Protocol):
    """What matters here of a receipt. opens_drawer: one of its elements does."""

    @property
    def opens_drawer(self) -> bool: ...


Written = Callable[[str, bytes], ReceiptFacts]
"""(kind, data) of a receipt or a text, as in bridge.prepare.receipts.check -> its facts. Raises Invalid."""


def nothing_written(kind: str, data: bytes) -> ReceiptFacts:
    """For a bridge that sets nothing in type."""
    raise Invalid(f"documents of type {kind} cannot be printed here", field="document_type",
                  remedy="send a PDF, a picture, or printer code")  # fmt: skip


class Gate:
    """Every document passes it, before it becomes a job's: at once, or once it was fetched."""

    def __init__(self, inspect: Inspect = knows_no_language, written: Written = nothing_written) -> None:
        self._inspect = inspect
        self._written = written

    def check(self, kind: str, document: bytes | Path, grants: Grants, *, force: bool) -> None:
        """Raises Forbidden (raw_not_allowed) when a document may not be printed with these grants, Invalid or TooLarge
        for a receipt that cannot be printed at all.

        kind: a result of kind_of. force: it is to be sent whatever the printer speaks. No printer code is read for
        those who may do everything.
        """
        if kind in WRITTEN:
            self._check_written(kind, document, grants)
        elif grants != EVERYTHING and kind not in DRAWN:
            self._check_code(kind, document, grants, force=force)

    def _check_written(self, kind: str, document: bytes | Path, grants: Grants) -> None:
        size = len(document) if isinstance(document, bytes) else document.stat().st_size
        if size > WRITTEN_MAX:
            raise TooLarge(f"the {kind} has {size:,} bytes, the limit is {WRITTEN_MAX:,}",
                           remedy="send less, or a PDF")  # fmt: skip
        if self._written(kind, document if isinstance(document, bytes) else document.read_bytes()).opens_drawer:
            check_drawer(grants, "the receipt")

    def _check_code(self, kind: str, document: bytes | Path, grants: Grants, *, force: bool) -> None:
        if grants.raw == "documents":
            raise _refused(f"the document is printer code ({kind}), and this key may print documents only",
                           "send a PDF, a picture, a template or a receipt, or set raw of the key to raw-safe: "
                           "`print-bridge keys change KEY --raw raw-safe`, or raw under [[keys]]")  # fmt: skip
        if force:
            raise _unreadable("with the option force it may reach a printer of another language", grants,
                              "leave out force, or ")  # fmt: skip
        try:
            for number, command in enumerate(self._inspect(kind, pieces_of(document))):
                _check_command(command, grants)
                if number >= COMMANDS_MAX:
                    raise _unreadable(f"it has more than {COMMANDS_MAX:,} commands", grants, "send it in parts, or ")
        except KeyError as error:
            raise _unreadable(f"its commands ({kind}) are not known to this bridge", grants, "") from error


CLOSED = Gate()
"""Refuses whatever it would have to look into."""


def check_drawer(grants: Grants, what: str = "this") -> None:
    """Raises Forbidden (raw_not_allowed) for a key that may not open the cash drawer. what: would open it."""
    if not grants.drawer:
        raise _refused(f"{what} opens the cash drawer, and this key may not do that", _SET_DRAWER)


_SET_DRAWER = "set drawer of the key to true: `print-bridge keys change KEY --drawer`, or drawer under [[keys]]"
_SET_RAW = "set raw of the key to raw-any: `print-bridge keys change KEY --raw raw-any`, or raw under [[keys]]"


def _check_command(command: Command, grants: Grants) -> None:
    harm = command.harm
    if harm.name == _DRAWER:
        if not grants.drawer:
            raise _refused(_what(command), f"leave it out, or {_SET_DRAWER}")
    elif grants.raw != "raw-any" and harm.name not in _PRINTS:
        raise _refused(_what(command), f"leave it out, or {_SET_RAW}")


def _what(command: Command) -> str:
    name = "".join(c if c.isprintable() else "?" for c in command.name[:SHOWN])
    return f"{name} at byte offset {command.offset:,} {command.harm.value}, and this key may not do that"


def _unreadable(why: str, grants: Grants, instead: str) -> Forbidden:
    """For code that nobody here can vouch for."""
    if grants.raw != "raw-any":
        return _refused(f"what this printer code does cannot be told: {why}; this key may only print with it",
                        instead + _SET_RAW)  # fmt: skip
    return _refused(f"whether this printer code opens the cash drawer cannot be told: {why}; this key may not open it",
                    instead + _SET_DRAWER)  # fmt: skip


def _refused(text: str, remedy: str) -> Forbidden:
    return Forbidden(text, remedy=remedy, field="document", code=CODE)
