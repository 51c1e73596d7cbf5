"""Two ways to one printer are one candidate. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

from devices.discovery.candidate import Candidate, Sighting, slug


def merged(sightings: Iterable[Sighting]) -> list[Candidate]:
    """One candidate for each printer: likely ones first, then by how well they are known."""
    groups = [sorted(group, key=lambda sighting: sighting.rank) for group in _groups(sightings)]
    groups.sort(key=lambda group: (not any(s.likely for s in group), -_best(group).identity.score, group[0].uri))
    taken: Counter[str] = Counter()
    return [_candidate(group, taken) for group in groups]


def _groups(sightings: Iterable[Sighting]) -> list[list[Sighting]]:
    """Sightings that share a key, also by way of a third."""
    groups: list[tuple[set[str], list[Sighting]]] = []
    for sighting in sightings:
        keys, members = set(sighting.keys), [sighting]
        apart = []
        for group in groups:
            if group[0] & keys:
                keys |= group[0]
                members = group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (keys, members)]
    return [members for _, members in groups]


def _candidate(group: list[Sighting], taken: Counter[str]) -> Candidate:
    """The way with the lowest rank leads; whatever it does not know comes from the others."""
    lead, best = group[0], _best(group)
    model = best.identity.model
    label = best.label or _first(sighting.label for sighting in group)
    name = slug(model.name if model else label or f"printer {_end(lead.uri)}")
    taken[name] += 1
    others = dict.fromkeys(sighting.uri for sighting in group if sighting.uri != lead.uri)
    return Candidate(
        uri=lead.uri,
        name=name if taken[name] == 1 else f"{name}-{taken[name]}",
        label=label,
        identity=best.identity,
        where=" and ".join(dict.fromkeys(sighting.where for sighting in group)),
        serial=_first(sighting.serial for sighting in group),
        trouble=lead.trouble,
        others=tuple(others),
        mdns=_first(sighting.mdns for sighting in group),
        mac=_first(sighting.mac for sighting in group),
        likely=any(sighting.likely for sighting in group),
    )


def _best(group: list[Sighting]) -> Sighting:
    """The sighting that knows most about the model; the better way of two that know the same."""
    return max(group, key=lambda sighting: (sighting.identity.score, -sighting.rank))


def _end(uri: str) -> str:
    """The host, or the last part of the path: what is left to tell nameless printers apart."""
    parts = urlsplit(uri)
    return parts.path.rpartition("/")[2] or parts.hostname or ""


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
