"""A printer that was seen, and one sighting of it. A printer on two ways is two sightings and one candidate."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from devices.catalog import Model
from devices.identify import Identification


@dataclass(frozen=True, slots=True)
class Sighting:
    """One way to one thing.

    uri: ready to be configured. identity: what it probably is. label: what it calls itself, "" for nothing. where: for
    people: "on USB port 1-1.4". serial: "" when it has none. trouble: why it cannot be printed to now, and what to do;
    "" when nothing is known against it. keys: two sightings that share one are the same thing. rank: 0 is the best way
    to a printer. likely: False for what may be no printer at all (a serial port).
    """

    uri: str
    identity: Identification
    label: str
    where: str
    keys: frozenset[str]
    rank: int
    serial: str = ""
    trouble: str = ""
    mdns: str = ""
    mac: str = ""
    likely: bool = True


@dataclass(frozen=True, slots=True)
class Candidate:
    """A printer that could be added.

    uri: the best way to it. name: a suggestion, different for each candidate. label: what it calls itself. model: the
    catalog row, None when unknown; language, dpi, reason, score: see Identification. others: the other addresses of
    the same printer. mdns, mac: by which it is found again after its address has changed, see `discovery.moved`.
    likely: False for a serial port that does not say what is connected to it.
    """

    uri: str
    name: str
    label: str
    identity: Identification
    where: str
    serial: str = ""
    trouble: str = ""
    others: tuple[str, ...] = field(default=())
    mdns: str = ""
    mac: str = ""
    likely: bool = True

    @property
    def model(self) -> Model | None:
        """The catalog row, None when none fits or several do."""
        return self.identity.model

    @property
    def language(self) -> str | None:
        """What to write as `language`, None when not known."""
        return self.identity.language

    @property
    def dpi(self) -> int | None:
        """What to write as `dpi`, None when not known."""
        return self.identity.dpi

    @property
    def reason(self) -> str:
        """Why it is taken for this model."""
        return self.identity.reason


def slug(text: str) -> str:
    """A name for a configuration: small letters, digits and dashes, at most 40 characters; "printer" for nothing."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    return plain or "printer"
