"""A printer as people and programs see it: its row, and what its lane, or its machine, knows of it at this moment."""

from __future__ import annotations

import time
from typing import Any

from bridge.errors import NotFound
from bridge.model import EVERYTHING, PRINTER, Device, Grants, Inline, JobRequest, Template
from bridge.presence import UNKNOWN, Presence
from bridge.store import Store
from bridge.store.lanes import Lane

LENT = "not ready; the organization it belongs to can see why"


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
