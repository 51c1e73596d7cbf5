"""What the serve says in the words of its API, in those of the command line."""

from __future__ import annotations

from bridge.remote import Refused

_LISTS = "`print-bridge printers`, `jobs` and `keys` list what there is"
_HELP = "the command's --help and the README say what is allowed"


def on_the_command_line(error: Refused) -> str:
    """Text and remedy of a refusal, with the options of a command where the serve names fields and calls."""
    text = error.text.replace("document_type", "--type")
    remedy = _remedy(error).replace("document_type", "--type").replace("the option force", "--force")
    return f"{text}; {remedy}" if remedy else text


def _remedy(error: Refused) -> str:
    if "GET /v1/" not in error.remedy:
        return error.remedy
    if error.field.startswith("fields."):
        return f"give it with --field {error.field.removeprefix('fields.')}=..."
    return _LISTS if error.status == 404 else _HELP
