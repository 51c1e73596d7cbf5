"""What people call a job, a printer or a key, and which one they mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bridge.cli.common import FAILED, Stop, clean
from bridge.remote import Remote, name_in_path

ID_LENGTH = 36  # characters of a UUID
BEGINNING = 4  # characters of an id that may stand for it
PAGE = 500  # jobs asked for at a time
SHOWN = 10  # of the candidates for an ambiguous name
TRIES = 3  # jobs that come in while one is looked for move the others along

Named = dict[str, Any]


# ---- jobs -------------------------------------------------------------------------------------------------------


def job_of(remote: Remote, wanted: str) -> Named:
    """The job with this id, beginning of an id, or serial number. Raises Stop when none or several are meant.

    Ids begin with 0 and serial numbers do not, so digits are never both.
    """
    if re.fullmatch(r"[1-9][0-9]{0,17}", wanted):
        found = _of_serial(remote, int(wanted))
        if found is None:
            raise Stop(f"there is no job {wanted}; `print-bridge jobs` lists them", FAILED)
        return found
    if not re.fullmatch(rf"[0-9a-fA-F-]{{{BEGINNING},{ID_LENGTH}}}", wanted):
        text = f"{wanted[:64]!r} is no job: give its number, its id, or the beginning of its id ({BEGINNING} characters"
        raise Stop(f"{text} or more); `print-bridge jobs` lists them", FAILED)
    if len(wanted) == ID_LENGTH:
        job: Named = remote.get(f"/v1/jobs/{wanted.lower()}")
        return job
    return _of_beginning(remote, wanted.lower())


def _of_serial(remote: Remote, serial: int) -> Named | None:
    for _ in range(TRIES):
        page = remote.get("/v1/jobs", limit=100)
        for job in page["jobs"]:
            if job["serial"] == serial:
                return dict(job)
        if not page["jobs"] or not 0 < serial < page["jobs"][0]["serial"]:
            return None
        found = _searched(remote, serial, page["total"])
        if found is not None:
            return found
    return None


def _searched(remote: Remote, serial: int, total: int) -> Named | None:
    """Serial numbers fall from the newest job to the oldest: halve until it is found."""
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        page = remote.get("/v1/jobs", limit=1, offset=middle)["jobs"]
        if page and page[0]["serial"] == serial:
            return dict(page[0])
        if page and page[0]["serial"] > serial:
            low = middle + 1
        else:
            high = middle
    return None


def _of_beginning(remote: Remote, beginning: str) -> Named:
    found: list[Named] = []
    for job in every_job(remote):
        if job["id"].startswith(beginning):
            found.append(job)
        if len(found) > SHOWN:
            break
    if not found:
        raise Stop(f"no job's id begins with {beginning}; `print-bridge jobs` lists them", FAILED)
    return _the_one(f"the ids of several jobs begin with {beginning}", found, _called)


def every_job(remote: Remote) -> Iterator[Named]:
    """All of them, the newest first."""
    offset = 0
    while page := remote.get("/v1/jobs", limit=PAGE, offset=offset)["jobs"]:
        yield from page
        offset += len(page)


def _called(job: Named) -> str:
    return f"{job['serial']}  {job['id']}  {job['state']}  {job['printer']}  {job['title']}"


# ---- printers ---------------------------------------------------------------------------------------------------


def printer_of(remote: Remote, wanted: str) -> Named:
    """The printer with this id or name. Raises Stop."""
    printers = remote.get("/v1/printers")["printers"]
    for property_ in ("id", "name"):
        found = [printer for printer in printers if printer[property_] == wanted]
        if found:
            return _the_one(f"several printers are called {wanted!r}; give the id", found, _printer_called)
    raise Stop(f"there is no printer {wanted[:64]!r}; {known_printers(printers)}", FAILED)


def only_printer(remote: Remote) -> Named:
    """The printer that is meant when none is named: the only one of this machine. Raises Stop."""
    printers = [printer for printer in remote.get("/v1/printers")["printers"] if printer["settings"] is not None]
    if len(printers) != 1:
        raise Stop(f"which printer? Give it with --to; {known_printers(printers)}", FAILED)
    return dict(printers[0])


def known_printers(printers: Sequence[Named]) -> str:
    """Which there are, in words."""
    if not printers:
        return "there are no printers: add one with `print-bridge printers add`"
    return f"there are: {', '.join(str(printer['name']) for printer in printers)}"


def _printer_called(printer: Named) -> str:
    return f"{printer['id']}  {printer['name']}"


def path_of(printer: Named) -> str:
    """Where the API has it."""
    return f"/v1/printers/{name_in_path(printer['id'])}"


# ---- keys -------------------------------------------------------------------------------------------------------


def key_of(remote: Remote, wanted: str, organization: str | None = None) -> Named:
    """The key with this id, beginning of an id, or name; a revoked one only by its id. Raises Stop.

    organization: id of another one whose key it is.
    """
    keys = remote.get("/v1/keys", organization=organization)["keys"]
    active = [key for key in keys if not key.get("revoked_at")]
    for found in (
        [key for key in keys if key["id"] == wanted],
        [key for key in active if key["name"] == wanted],
        [key for key in active if len(wanted) >= BEGINNING and key["id"].startswith(wanted.lower())],
    ):
        if found:
            return _the_one(f"{wanted!r} may mean several keys; give the id", found, _key_called)
    raise Stop(f"there is no key {wanted[:64]!r}; `print-bridge keys` lists them", FAILED)


def _key_called(key: Named) -> str:
    return f"{key['id']}  {key['name']}"


# ---- organizations, users, groups -------------------------------------------------------------------------------


def org_of(remote: Remote, wanted: str) -> Named:
    """The organization with this id, beginning of an id, or name. Raises Stop."""
    return _named("organization", wanted, remote.get("/v1/organizations")["organizations"], "orgs")


def user_of(remote: Remote, wanted: str, organization: str | None = None) -> Named:
    """The user with this id, beginning of an id, e-mail address, or name. Raises Stop."""
    users: list[Named] = []
    while page := remote.get("/v1/users", organization=organization, limit=PAGE, offset=len(users))["users"]:
        users += page
    addressed = [user for user in users if user["email"] == wanted.strip().lower()]
    return addressed[0] if addressed else _named("user", wanted, users, "users")


def home_of(remote: Remote, org: str | None) -> str | None:
    """The id of the organization that --org names; None: the one this bridge belongs to. Raises Stop."""
    return None if org is None else str(org_of(remote, org)["id"])


def group_of(remote: Remote, wanted: str, organization: str | None = None) -> Named:
    """The group with this id, beginning of an id, or name. Raises Stop."""
    return _named("group", wanted, remote.get("/v1/groups", organization=organization)["groups"], "users groups")


def _named(noun: str, wanted: str, known: list[Named], command: str) -> Named:
    for found in (
        [each for each in known if each["id"] == wanted],
        [each for each in known if each["name"] == wanted],
        [each for each in known if len(wanted) >= BEGINNING and each["id"].startswith(wanted.lower())],
    ):
        if found:
            return _the_one(f"{wanted!r} may mean several {noun}s; give the id", found, _key_called)
    raise Stop(f"there is no {noun} {wanted[:64]!r}; `print-bridge {command}` lists them", FAILED)


# ---- webhooks ---------------------------------------------------------------------------------------------------


def webhook_of(remote: Remote, wanted: str, organization: str | None = None) -> Named:
    """The webhook with this id or beginning of an id, or its address. Raises Stop.

    organization: id of another one whose webhook it is.
    """
    hooks = remote.get("/v1/webhooks", organization=organization)["webhooks"]
    long = len(wanted.removeprefix("wh_")) >= BEGINNING
    for found in (
        [hook for hook in hooks if wanted in (hook["id"], hook["url"])],
        [hook for hook in hooks if long and hook["id"].startswith(wanted.lower())],
    ):
        if found:
            return _the_one(f"{wanted!r} may mean several webhooks; give the id", found, _webhook_called)
    raise Stop(f"there is no webhook {wanted[:64]!r}; `print-bridge webhooks` lists them", FAILED)


def _webhook_called(hook: Named) -> str:
    return f"{hook['id']}  {hook['url']}"


def _the_one(text: str, found: list[Named], called: Any) -> Named:
    if len(found) == 1:
        return dict(found[0])
    more = ["..."] if len(found) > SHOWN else []
    raise Stop("\n".join([f"{text}:", *(f"  {clean(called(each))}" for each in found[:SHOWN]), *more]), FAILED)
