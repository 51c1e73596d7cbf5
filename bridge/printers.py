"""A printer as people and programs see it: its row, and what its lane, or its machine, knows of it at this moment."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Protocol

from bridge.errors import NotFound
from bridge.model import EVERYTHING, PRINTER, Client, Device, Grants, Inline, JobRequest, Template
from bridge.store import Store
from bridge.store.lanes import Lane

UNKNOWN = "not set up on this machine: its jobs wait for another machine that has it, or to be deleted"

LENT = "not ready; the organization it belongs to can see why"


FRESH_S = 60.0
"""Seconds after which a machine that fetches its jobs itself counts as gone; it should ask every 30 s or so."""

STALE_S = 300.0
"""The same for one that has never connected: Cloudlinker's own client calls one offline after 300 s."""


class Connections(Protocol):
    """Which machines are connected."""

    def connected(self, client_id: str) -> bool: ...


class Presence:
    """Which other machines are there, and how their printers are. For one answer: what was read is not read again."""

    def __init__(self, store: Store, signs: Mapping[str, float], connections: Connections | None) -> None:
        """signs: when each machine last asked for something by HTTP, time.monotonic()."""
        self._store = store
        self._signs = signs
        self._connections = connections
        self._known: dict[tuple[str, str], Client | None] = {}

    def client(self, organization_id: str, client_id: str) -> Client | None:
        """The machine, if there is one with this id."""
        key = (organization_id, client_id)
        if key not in self._known:
            self._known[key] = self._store.clients.get(*key)
        return self._known[key]

    def of(self, client: Client) -> bool:
        """Whether a machine is there."""
        if client.is_self or (self._connections is not None and self._connections.connected(client.id)):
            return True
        if time.monotonic() - self._signs.get(client.id, float("-inf")) < FRESH_S:
            return True
        # One that has said its version came by WebSocket, and would be connected if it were there.
        return client.version is None and client.last_seen is not None and time.time() - client.last_seen < STALE_S

    def has(self, device: Device) -> bool:
        """Whether the machine of a printer is there."""
        client = self.client(device.organization_id, device.client_id)
        return client is not None and self.of(client)

    def condition(self, device: Device) -> tuple[str | None, tuple[str, ...], str]:
        """(state, reasons, text) of a printer of another machine, see to_dict."""
        client = self.client(device.organization_id, device.client_id)
        if client is None or client.is_self:
            return None, (), UNKNOWN
        if not self.of(client):
            return "stopped", ("offline",), f"{client.hostname} is not connected; its jobs wait until it is"
        told = _reported(device)
        said = told.get("state") or told.get("status")
        word = said.strip().lower() if isinstance(said, str) else ""
        if told.get("away") is True:
            return "stopped", ("offline",), f"{client.hostname} does not name it any more; its jobs wait until it does"
        if word in _TOLD:
            state, reasons = _TOLD[word]
            return state, reasons, f"{client.hostname} says that it is {word}" if reasons else ""
        return None, (), f"{client.hostname} says of it: {word[:64]}" if word else ""

    def waiting(self, device: Device) -> int:
        """Jobs of a printer of another machine that wait or are being printed."""
        return self._store.handed.waiting(device.id)


_TOLD: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "online": ("idle", ()), "ready": ("idle", ()), "idle": ("idle", ()),
    "printing": ("processing", ()), "processing": ("processing", ()), "busy": ("processing", ()),
    "offline": ("stopped", ("offline",)), "paused": ("stopped", ("paused",)), "error": ("stopped", ("other",)),
}  # fmt: skip
"""What machines call the state of a printer -> (state, reasons) of ours."""


def _reported(device: Device) -> dict[str, Any]:
    try:
        told = json.loads(device.reported or "{}")
    except (ValueError, RecursionError):  # another machine wrote it
        return {}
    return told if isinstance(told, dict) else {}


def every(store: Store, organization_id: str) -> list[Device]:
    """All printers, in order of registration."""
    return store.devices.page(organization_id, device_type=PRINTER, limit=10_000)[0]


def find(store: Store, organization_id: str, client_id: str, wanted: str) -> Device:
    """The printer with this id, or with this name on the client. Raises NotFound."""
    found = store.devices.get(organization_id, wanted) or store.devices.by_name(organization_id, client_id, wanted)
    if found is None or found.device_type != PRINTER:
        raise NotFound(f"there is no printer {wanted[:64]!r}", field="printer",
                       remedy="`print-bridge printers` and GET /v1/printers list them by name and id")  # fmt: skip
    return found


TEST_LABEL = "test-4x6"


def test_label(device: Device, machine: str, now: time.struct_time | None = None) -> JobRequest:
    """What prints the test label. machine: what this one is called."""
    now = now or time.localtime()
    fields = {
        "printer": _one_line(device.name),
        "when": time.strftime("%Y-%m-%d %H:%M:%S", now),
        "bridge": _one_line(machine),
        "code": time.strftime("PB-%Y%m%d-%H%M%S", now),
    }
    return JobRequest(
        organization_id=device.organization_id, device_id=device.id, dialect="v1", title="Test label",
        document=Template(TEST_LABEL, fields), grants=Grants(),
    )  # fmt: skip


DRAWER_MS = 2  # milliseconds to one unit of a pulse
DRAWER_PRIORITY = 100  # the highest of /v1: somebody stands there and waits


def drawer_pulse(device: Device, *, pin: int, on_ms: int, off_ms: int, who: str) -> JobRequest:
    """What opens a cash drawer: ESC p m t1 t2 (Epson ESC/POS Command Reference), always with both times.

    pin: 2 or 5 of the drawer's plug. on_ms, off_ms: 2 to 510, even. who: wants it, for people. The bytes are ours, so
    they need no grant; whether this caller may open a drawer is for others to ask.
    """
    code = b"\x1bp" + bytes((int(pin == 5), on_ms // DRAWER_MS, off_ms // DRAWER_MS))
    return JobRequest(
        organization_id=device.organization_id, device_id=device.id, dialect="v1", document=Inline(code),
        declared="escpos", title=f"Cash drawer (pin {pin}) for {who}", priority=DRAWER_PRIORITY, grants=EVERYTHING,
    )  # fmt: skip


def _one_line(text: str) -> str:
    """A name as the test label can show it."""
    return "".join(c for c in text if c.isprintable())[:60] or "-"


def to_dict(device: Device, lane: Lane | None, presence: Presence | None = None) -> dict[str, Any]:
    """A printer for our own API.

    state: idle | processing | stopped, None where nobody said so. reasons: IPP's printer-state-reasons.
    text: why it is not simply ready, and what to do. waiting: jobs in its queue, the one being sent included.
    presence: tells of printers of other machines; without it they are only said to be there.
    evidence: the best it can say of a label: "counter" (its label counter went up), "processed" (it says that it has
    processed all of it), "idle" (it says that nothing is left to print), or how its connection ends (see
    devices.contracts.Receipt); None before its first label.
    """
    there = None if lane is not None or presence is None else presence
    state, reasons, text = _condition(device, lane, there)
    waiting = len(lane.tickets) if lane is not None else there.waiting(device) if there is not None else 0
    return {
        "id": device.id,
        "name": device.name,
        "client_id": device.client_id,
        "state": state,
        "reasons": list(reasons),
        "text": text,
        "paused": device.paused,
        "waiting": waiting,
        "evidence": lane.evidence if lane is not None else None,
    }


def as_lent(shown: dict[str, Any]) -> dict[str, Any]:
    """What the borrower of a printer gets to see of to_dict: not its texts, which may tell where it stands."""
    ready = shown["state"] == "processing" or not (shown["state"] == "stopped" or shown["text"])
    return {**shown, "text": "" if ready else LENT}


def _condition(
    device: Device, lane: Lane | None, presence: Presence | None
) -> tuple[str | None, tuple[str, ...], str]:  # fmt: skip
    now: str | None
    if lane is not None:
        now, reasons, seen = lane.state.state, lane.state.reasons, lane.state.text
    elif presence is not None:
        now, reasons, seen = presence.condition(device)
    else:
        return None, (), UNKNOWN
    if not device.paused:
        return now, reasons, seen
    why = f"paused: {device.pause_reason}" if device.pause_reason else "paused"
    text = f"{why}; resume it to go on printing"
    # A label on its way when somebody pauses is finished: until then it is still printing.
    state = "processing" if now == "processing" else "stopped"
    return state, ("paused", *reasons), f"{text} ({seen})" if seen else text
