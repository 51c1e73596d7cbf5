"""GET /v1/metrics: how the bridge is, for Prometheus.

The text format 0.0.4 is a few lines of rules (prometheus.io/docs/instrumenting/exposition_formats); prometheus_client
would bring its own registry, collectors and web server for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bridge import printers
from bridge.model import State
from bridge.report.tally import tally_of
from bridge.store import Store
from bridge.store.lanes import Lane, Lanes

Sample = tuple[dict[str, str], float]


@dataclass(frozen=True, slots=True)
class _Family:
    """All samples of one name."""

    name: str
    kind: Literal["gauge", "counter"]
    text: str
    samples: list[Sample]

    def lines(self) -> Iterator[str]:
        yield f"# HELP {self.name} {_escaped(self.text, quotes=False)}"
        yield f"# TYPE {self.name} {self.kind}"
        for labels, value in self.samples:
            inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{self.name}{{{inside}}} {_number(value)}" if inside else f"{self.name} {_number(value)}"


def metrics(health: Mapping[str, Any], store: Store, organization_id: str, lanes: Lanes) -> str:
    """The whole text. health: what GET /v1/health says. organization_id: whose printers; jobs are everybody's."""
    families = (
        *_of_the_bridge(health),
        *_of_the_jobs(health, tally_of(store, None).counts()),
        *_of_the_printers(store, organization_id, lanes),
    )
    return "".join(f"{line}\n" for family in families for line in family.lines())


def _of_the_bridge(health: Mapping[str, Any]) -> Iterable[_Family]:
    disk, database = health.get("disk", {}), health.get("database", {})
    return (
        _gauge("info", "Always 1; the version is a label.", [({"version": str(health.get("version", ""))}, 1)]),
        _gauge("up_loops", "Whether each long-lived loop is alive.", _each("loop", health.get("loops", {}))),
        _counter("restarts_total", "How often each loop was started again.", _each("loop", health.get("restarts", {}))),
        _gauge("disk_free_bytes", "Free on the disk of the data folder.", _one(disk.get("free_bytes"))),
        _gauge("disk_reserve_bytes", "Below this no new job is taken in.", _one(disk.get("reserve_bytes"))),
        _gauge("disk_low", "Whether no new job is taken in.", _one(disk.get("low"))),
        _gauge("database_size_bytes", "Size of the database.", _one(database.get("size_bytes"))),
        _gauge("database_ok", "Whether the database is as it should be.", _ok(database)),
        _gauge("config_ok", "Whether the configuration file is the one in use.", _ok(health.get("config", {}))),
        _gauge("clock_ok", "Whether the clock can be right.", _ok(health.get("clock", {}))),
        _gauge("event_listeners", "Callers that wait for events.", _one(health.get("listeners"))),
    )


def _of_the_jobs(health: Mapping[str, Any], counts: Mapping[str, int]) -> Iterable[_Family]:
    now = health.get("jobs", {})
    return (
        _gauge("jobs_by_state", "Jobs in each state.", [({"state": s.value}, now.get(s.value, 0)) for s in State]),
        _counter("jobs_total", "Jobs that came into each state since the first scrape.", _each("state", counts)),
    )


def _of_the_printers(store: Store, organization_id: str, lanes: Lanes) -> Iterable[_Family]:
    queued: list[Sample] = []
    oldest: list[Sample] = []
    states: list[Sample] = []
    reasons: list[Sample] = []
    for device in printers.every(store, organization_id):
        lane, name = lanes.lane(device.id), {"printer": device.name}
        if lane is None:
            continue  # of another machine
        shown = printers.to_dict(device, lane)
        queued.append((name, shown["waiting"]))
        oldest.append((name, _oldest_s(lane)))
        states += [({**name, "state": state}, shown["state"] == state) for state in ("idle", "processing", "stopped")]
        reasons += [({**name, "reason": reason}, 1) for reason in dict.fromkeys(shown["reasons"])]
    return (
        _gauge("queue_jobs", "Jobs in the queue of each printer, the one being sent included.", queued),
        _gauge("queue_oldest_seconds", "How long the job at the head of each queue has waited.", oldest),
        _gauge("printer_state", "1 for the state each printer is in.", states),
        _gauge("printer_reason", "1 for each reason a printer gives (IPP printer-state-reasons).", reasons),
    )


def _oldest_s(lane: Lane) -> float:
    return max((ticket.age_s for ticket in list(lane.tickets)), default=0.0)


# ---- the format -------------------------------------------------------------------------------------------------


def _gauge(name: str, text: str, samples: list[Sample]) -> _Family:
    return _Family(f"print_bridge_{name}", "gauge", text, samples)


def _counter(name: str, text: str, samples: list[Sample]) -> _Family:
    return _Family(f"print_bridge_{name}", "counter", text, samples)


def _each(label: str, values: Mapping[str, float]) -> list[Sample]:
    return [({label: name}, value) for name, value in values.items()]


def _one(value: float | None) -> list[Sample]:
    """One sample without labels, or none when nobody knows."""
    return [] if value is None else [({}, value)]


def _ok(part: Mapping[str, Any]) -> list[Sample]:
    return _one(part["status"] == "ok") if "status" in part else []


def _escaped(text: str, *, quotes: bool = True) -> str:
    """A label's value, or with quotes=False a help text. Some readers take a carriage return for a line end."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", " ")
    return escaped.replace('"', '\\"') if quotes else escaped


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
