"""What the OpenAPI document says of each route: in words, what it reads and what it gives. A test misses none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridge.dialects.cloudlinker import account, answers, clients, devices, jobs, payload, views
from bridge.dialects.cloudlinker.fields import Fields
from bridge.dialects.cloudlinker.paginator import SIZE, SIZE_MAX, Page
from bridge.intake.openapi import OpenApi

Models = tuple[type[Fields], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One route. gives: the type of its answer, None when it is always refused. reads: models of its fields; body: an
    example of them."""

    summary: str
    more: str
    gives: Any
    reads: Models = ()
    body: dict[str, Any] | None = None
    creates: bool = False


_CLIENT, _DEVICE = "0197df47-871f-72d1-95df-2bfb0c18529a", "0197df47-88ca-714f-bd34-372d53fb6fc5"
_JOB = "0197e0aa-e9f3-7168-8504-ccffa0052376"
_PDF = {"document_type": "pdf", "document_url": "http://cloudlinker/test.pdf", "copies": "1"}

_TEST = Call("Test the connection", "Says whose key it is.", answers.Caller)

CALLS = {
    "GET /test": _TEST,
    "POST /test": _TEST,
    "GET /plans": Call("List the plans", "How many requests a key may make, by name.", answers.Plans),
    "POST /clients/list": Call(
        "List clients", "hostname: how the name begins.", answers.ClientList, (clients._List, Page),
        {"hostname": "LT", "pagination": 20},
    ),
    "POST /clients/create": Call(
        "Register a client", "One with this client_id is changed instead. Without ip_address it is the one the request"
        " comes from.", answers.ClientAnswer, (clients._Create,),
        {"hostname": "LT-TEST", "description": "Your clients description", "ip_address": "192.168.1.101"},
    ),
    "POST /clients/update": Call(
        "Change a client", "Without client_id: the client with this hostname, or the only one there is.",
        answers.ClientAnswer, (clients._Update,),
        {"client_id": _CLIENT, "hostname": "LT-NEWTEST", "last_seen": "2025-07-06 18:09:00"},
    ),
    "POST /clients/delete": Call(
        "Delete a client", "This machine itself cannot be deleted.", answers.Deleted, (clients._Delete, views._Delete),
        {"client_id": _CLIENT},
    ),
    "POST /devices/list": Call(
        "List devices", "name: a part of it.", answers.DeviceList, (devices._List, Page),
        {"client_id": _CLIENT, "pagination": 20},
    ),
    "POST /devices/create": Call(
        "Register a device", "Every device of a client needs a name of its own.", answers.DeviceAnswer,
        (devices._Create,), {"client_id": _CLIENT, "name": "Microsoft Print to PDF2", "device_type": 1},
    ),
    "POST /devices/update": Call(
        "Change a device", "A printer from this bridge's configuration keeps its name.", answers.DeviceAnswer,
        (devices._Update,), {"device_id": _DEVICE, "client_id": _CLIENT, "name": "Microsoft Print to PDF3"},
    ),
    "POST /devices/delete": Call(
        "Delete a device", "A printer from this bridge's configuration cannot be deleted.", answers.Deleted,
        (devices._Ref, views._Delete), {"device_id": _DEVICE},
    ),
    "POST /jobs/list": Call(
        "List jobs", "The oldest first. A web page sees the jobs of its own key only. With client_id and status 2,"
        " which is how a client asks for what it is to print, those for a printer that is paused are left out.",
        answers.JobList, (jobs._List, Page), {"client_id": _CLIENT, "status": 2},
    ),
    "POST /jobs/get": Call(
        "Look at a job", "A web page sees the jobs of its own key only.", answers.JobAnswer, (jobs._Ref,),
        {"job_id": _JOB},
    ),
    "POST /jobs/create": Call(
        "Create a job", "It is printed once it is launched: with launch_immediately or by jobs/launch.",
        answers.JobAnswer, (jobs._Create,),
        {"device_id": _DEVICE, "job_type": 1, "payload": _PDF, "launch_immediately": True}, creates=True,
    ),
    "POST /jobs/update": Call(
        "Change a job, or report on it", "Payload and device can be changed before the launch. Status 2 launches; 3, 4"
        " and 5 are for the agent that prints the jobs of another client.", answers.JobAnswer, (jobs._Update,),
        {"job_id": _JOB, "payload": {**_PDF, "copies": "2"}},
    ),
    "POST /jobs/launch": Call(
        "Launch a job", "One that has ended is printed once more.", answers.Empty, (jobs._Ref,), {"job_id": _JOB}
    ),
    "POST /jobs/delete": Call(
        "Delete a job", "One that waits is cancelled; one that is being sent or is in doubt is refused with 409.",
        answers.Deleted, (jobs._Ref, views._Delete), {"job_id": _JOB},
    ),
    "POST /auth/login": Call(
        "Log in", "The password is this bridge's first key; any email will do.", answers.Login, (account._Login,),
        {"email": "user@example.com", "password": "your_password"},
    ),
    "POST /auth/register": Call("Register", "Always refused: this bridge takes no registrations.", None),
    "GET /client/version": Call("Ask for the newest client", "Names no download.", answers.Version),
    "GET /openapi.json": Call("Describe this API", "This document.", OpenApi),
}  # fmt: skip

PARTS: dict[str, Models] = {"Payload": (payload._Payload,), "PayloadOptions": (payload._Options,)}
"""What stands inside a request, by the name it has in the document."""

FIELDS = {
    "additional_info": "whatever you want to know of it",
    "client_id": "a client",
    "collate": "copies as 1-2-3, 1-2-3 or as 1-1, 2-2, 3-3; default: true for several pages",
    "copies": "how many",
    "description": "for people",
    "device_id": "a device",
    "device_type": "1: printer",
    "dither": "true for photographs",
    "document_base64": "the document itself, in base64",
    "document_type": "pdf, png, jpeg, or printer code: zpl, epl, escpos, tspl, cpcl, raw; a hint, the bytes decide",
    "document_url": "where the document is; give this or document_base64",
    "email": "of the account",
    "error": "what went wrong, from the agent that prints the job",
    "fit": "shrink a page that is larger than the label, or cut it off",
    "force": "send printer code in a language the printer does not speak",
    "hardware_path": "where it is plugged in",
    "hostname": "its name",
    "ip_address": "where it is in the network",
    "job_id": "a job",
    "job_type": "1: print job. HTTP command jobs (2) are refused",
    "last_seen": "when it was last heard of; UTC where no zone is given",
    "launch_immediately": "launch it now, unless it has been launched",
    "name": "what people call it",
    "offset": "rows before the first one wanted, instead of page",
    "options": "how to print it",
    "page": "which page of the list, from 1",
    "pages": "only these pages of the document: 2 or 2-5",
    "pagination": f"rows of a page of the list, {SIZE_MAX} at most; default: {SIZE}",
    "password": "the key",
    "payload": "what is to be printed: an object, or JSON text of one",
    "priority": "higher goes first, -1000 to 1000",
    "result": "what came of it, from the agent that prints the job",
    "rotate": "auto turns a page that fits better that way; or degrees clockwise",
    "source": "where the document is, when the payload does not say it",
    "status": "1 created, 2 launched, 3 pending, 4 completed, 5 failed",
    "success": 'true: be answered {"success": true} instead of []',
    "title": "what people see; default: the file name in the URL",
}
