"""The routes about printers."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from flask import Response, jsonify

from bridge import printers
from bridge.access.limits import DRAWER
from bridge.dialects import Desk
from bridge.dialects.v1 import once
from bridge.dialects.v1.route import caller
from bridge.dialects.v1.wishes import DiscoverQuery, Drawer, NewPrinter, Nothing, Pause, PrinterChanges, RemovePrinter
from bridge.errors import Conflict, NotFound, TooMany
from bridge.intake.grants import check_drawer
from bridge.intake.idempotency import idempotency_key
from bridge.model import Device, Job, JobRequest, Template, to_dict
from bridge.presence import Presence
from bridge.store.made import Making

DRAWER_LANGUAGE = "escpos"
DRAWER_S = 30.0  # a drawer that was wanted long ago must not open when somebody switches the printer on


def find(desk: Desk, wanted: str) -> Device:
    """The printer with this id or name. Raises NotFound."""
    return printers.find(desk.store, caller().organization_id, desk.self_client_id, wanted)


def listing(desk: Desk, wish: Nothing) -> Response:
    """All printers, and how they are."""
    found, presence = printers.every(desk.store, caller().organization_id), desk.presence()
    return jsonify(printers=[_shown(desk, device, presence) for device in found])


def get(desk: Desk, wish: Nothing, printer: str) -> Response:
    """One printer, by id or name."""
    return jsonify(_shown(desk, find(desk, printer)))


def discover(desk: Desk, wish: DiscoverQuery) -> Response:
    """What could be printed on: plugged in, announced on the network, or in a subnet that is named."""
    return jsonify(desk.discover(mdns_s=wish.mdns_s, subnet=wish.subnet))


def add(desk: Desk, wish: NewPrinter) -> Response:
    """Set up one more printer, while the bridge runs and for good."""
    wanted = once.making("printer", wish)
    known = once.made(desk, wanted)
    if known is not None:
        return jsonify(_shown(desk, _made_before(desk, known)))
    # A crash between these two lines leaves a printer that the Idempotency-Key does not know of: the repeated request
    # is then refused with 409 name_taken. That tells the caller as much, and never makes a second printer.
    device = desk.fleet.add(wish.settings())
    once.remember(desk, wanted, device.id)
    response = jsonify(_shown(desk, device))
    response.status_code = 201
    response.headers["Location"] = f"/v1/printers/{quote(device.id, safe='')}"
    return response


def _made_before(desk: Desk, device_id: str) -> Device:
    try:
        return desk.control.device(caller().organization_id, device_id)
    except NotFound as error:
        raise Conflict("the printer of this Idempotency-Key has been removed", code="printer_removed",
                       remedy="send a new key to set it up once more") from error  # fmt: skip


def change(desk: Desk, wish: PrinterChanges, printer: str) -> Response:
    """Change settings of a printer that was added while the bridge ran. Its jobs wait meanwhile."""
    return jsonify(_shown(desk, desk.fleet.change(find(desk, printer).id, wish.settings())))


def remove(desk: Desk, wish: RemovePrinter, printer: str) -> Response:
    """Let a printer go. Refused with 409 has_jobs while jobs wait for it, unless they are to be cancelled."""
    desk.fleet.remove(find(desk, printer).id, cancel_jobs=wish.jobs == "cancel")
    return Response(status=204)


def pause(desk: Desk, wish: Pause, printer: str) -> Response:
    """Send it nothing more until it is resumed; kept across restarts."""
    device = find(desk, printer)
    return jsonify(_shown(desk, desk.control.pause(device.organization_id, device.id, wish.reason)))


def resume(desk: Desk, wish: Nothing, printer: str) -> Response:
    """Go on."""
    device = find(desk, printer)
    return jsonify(_shown(desk, desk.control.resume(device.organization_id, device.id)))


def test(desk: Desk, wish: Nothing, printer: str) -> Response:
    """Print the test label."""
    device, who = find(desk, printer), caller()
    label = _same_label(desk, printers.test_label(device, _machine(desk)))
    job, created = desk.intake.accept(
        replace(label, organization_id=who.organization_id, key_id=who.key_id, origin=who.origin,
                idempotency_key=idempotency_key())
    )
    return shown_job(desk, job, created)


def drawer(desk: Desk, wish: Drawer, printer: str) -> Response:
    """Open the cash drawer that is plugged into a receipt printer.

    It is a job, so it is known who opened it when. It waits for its printer no longer than 30 seconds. Needs a key that
    may open drawers, and at most ten times a minute.
    """
    device, who, wanted = find(desk, printer), caller(), idempotency_key()
    check_drawer(who.grants)
    _has_drawer(desk, device)
    key = desk.store.keys.get(who.organization_id, who.key_id or "")
    pulse = printers.drawer_pulse(
        device, pin=wish.pin, on_ms=wish.on_ms, off_ms=wish.off_ms, who=key.name if key is not None else "somebody"
    )
    job, created = desk.intake.accept(
        replace(pulse, organization_id=who.organization_id, key_id=who.key_id, origin=who.origin,
                idempotency_key=wanted, expires_at=_drawer_expiry(desk, device, wish))
    )  # fmt: skip
    return shown_job(desk, job, created)


def _has_drawer(desk: Desk, device: Device) -> None:
    lane = desk.store.lanes.lane(device.id)
    if lane is None or lane.language != DRAWER_LANGUAGE:
        why = "is driven by another machine" if lane is None else f"speaks {lane.language or 'another language'}"
        raise Conflict(f"{device.name} {why}; cash drawers are opened through ESC/POS printers of this machine only",
                       code="no_drawer", remedy="name the receipt printer whose cable the drawer has")  # fmt: skip


def _drawer_expiry(desk: Desk, device: Device, wish: Drawer) -> float:
    """Until when a drawer may be opened, Unix seconds. Counts a request that is no repetition. Raises TooMany."""
    wanted = once.making(f"drawer of {device.id}", wish)
    known = once.made(desk, wanted)
    if known is not None:
        return float(known)
    wait_s = desk.drawers.take(device.id, time.monotonic()).retry_after_s
    if wait_s is not None:
        raise TooMany(f"the cash drawer of {device.name} was opened {DRAWER[0].limit} times in the last minute",
                      retry_after_s=wait_s)  # fmt: skip
    return float(once.remember(desk, wanted, repr(desk.store.lanes.now() + DRAWER_S)))


def _same_label(desk: Desk, label: JobRequest) -> JobRequest:
    """With an Idempotency-Key: the very label of the first request, on which its time is printed."""
    key = idempotency_key()
    if key is None or not isinstance(label.document, Template):
        return label
    wanted = Making(key, label.device_id, "test label")
    first = once.remember(desk, wanted, label.document.to_json().decode())
    return replace(label, document=Template.from_json(first.encode()))


def shown_job(desk: Desk, job: Job, created: bool) -> Response:
    """A job that was just made: 201; or was made before for the same Idempotency-Key: 200."""
    ticket = desk.store.lanes.ticket(job.id)
    response = jsonify(to_dict(job, ticket.progress if ticket is not None else None))
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return response


def _machine(desk: Desk) -> str:
    me = desk.store.clients.get(desk.organization_id, desk.self_client_id)
    return me.hostname if me is not None else ""


def _shown(desk: Desk, device: Device, presence: Presence | None = None) -> dict[str, Any]:
    """settings: how to reach a printer may hold a password, so only those see it who may change it."""
    who = caller()
    lent = device.organization_id != who.organization_id
    shown = printers.to_dict(device, desk.store.lanes.lane(device.id), presence or desk.presence())
    return {
        **(printers.as_lent(shown) if lent else shown),
        "held": len(desk.store.jobs.held(who.organization_id, device_id=device.id)),
        "from_config": device.from_config,
        "lent": lent,
        "settings": desk.fleet.settings(device.id) if "admin" in who.scopes and not lent else None,
    }
