"""What could be printed on, for people who are setting up: candidates with settings ready to be added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.errors import Invalid
from bridge.fleet import Fleet
from devices import transports

if TYPE_CHECKING:
    from devices.discovery import Candidate


def discover(fleet: Fleet, *, mdns_s: float, subnet: str | None) -> dict[str, Any]:
    """Candidates, the best known first, and what could not be looked at. Raises Invalid for a bad subnet.

    Nothing is claimed or written to; printers that are printing are not even connected to.
    """
    from devices.discovery import look  # late: it brings a good deal with it, and few ask
    from devices.discovery.subnet import BadSubnet

    try:
        found = look(mdns_s=mdns_s, subnet=subnet, spare=fleet.hosts())
    except BadSubnet as error:
        raise Invalid(str(error), field="subnet", remedy='write it as "192.168.1.0/24", at most a /22') from error
    taken = fleet.addresses()
    names = set(taken.values())
    return {"candidates": [_shown(each, taken, names) for each in found.candidates], "remarks": found.remarks}


def _shown(candidate: Candidate, taken: dict[str, str], names: set[str]) -> dict[str, Any]:
    """taken: identity of an address -> the printer that has it. names: of printers; the one suggested is added."""
    ways = (candidate.uri, *candidate.others)
    name = _free(candidate.name, names)
    return {
        "uri": candidate.uri,
        "name": name,
        "label": candidate.label,
        "model": candidate.model.name if candidate.model else None,
        "reason": candidate.reason,
        "where": candidate.where,
        "serial": candidate.serial,
        "trouble": candidate.trouble,
        "others": list(candidate.others),
        "likely": candidate.likely,
        "added": next((taken[same] for uri in ways if (same := transports.identity(uri)) in taken), None),
        "settings": _settings(candidate, name),
    }


def _free(name: str, names: set[str]) -> str:
    """The name, with a number when there is a printer of that name."""
    found, number = name, 2
    while found in names:
        found, number = f"{name}-{number}", number + 1
    names.add(found)
    return found


def _settings(candidate: Candidate, name: str) -> dict[str, Any]:
    """What POST /v1/printers takes. Nothing that is only guessed."""
    known = {
        "name": name, "uri": candidate.uri, "language": candidate.language, "dpi": candidate.dpi,
        "mdns": candidate.mdns or None, "mac": candidate.mac or None,
    }  # fmt: skip
    return {name: value for name, value in known.items() if value is not None}
