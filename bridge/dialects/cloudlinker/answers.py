"""What callers of the Cloudlinker API get, written once for the OpenAPI document. A test holds real answers against it.

The values themselves are made in `replies` and `paginator`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

Empty = Annotated[list[Any], Field(max_length=0)]


class Failure(TypedDict):
    """Every answer that is no success. message: what is wrong and what to do; errors: field -> the same, with 422."""

    message: str
    errors: NotRequired[dict[str, list[str]]]


# ---- lists ------------------------------------------------------------------------------------------------------


@dataclass
class PageAddresses:
    """Absolute addresses of other pages of the list."""

    first: str
    last: str
    prev: str | None
    next: str | None


@dataclass
class PageLink:
    """One link under the list. url: null where the list ends, and for the dots between page numbers."""

    url: str | None
    label: str
    active: bool


PageMeta = TypedDict(
    "PageMeta",
    {"current_page": int, "from": int | None, "last_page": int, "links": list[PageLink], "path": str, "per_page": int,
     "to": int | None, "total": int},
)  # fmt: skip
PageMeta.__doc__ = (
    "Which page this is. from, to: numbers of its first and last row, from 1; total: rows of the whole list."
)


# ---- clients ----------------------------------------------------------------------------------------------------


@dataclass
class Client:
    """A machine that runs a bridge. last_seen: Y-m-d H:i:s, UTC."""

    id: str
    hostname: str
    description: str | None
    ip_address: str | None
    last_seen: str | None


@dataclass
class ClientAnswer:
    """One client."""

    data: Client


@dataclass
class ClientList:
    """A page of clients."""

    data: list[Client]
    links: PageAddresses
    meta: PageMeta


# ---- devices ----------------------------------------------------------------------------------------------------


@dataclass
class Device:
    """A printer of a client. additional_info: as it was given."""

    id: str
    name: str
    client_id: str
    hardware_path: str | None
    additional_info: dict[str, Any] | list[Any] | str | None


@dataclass
class DeviceAnswer:
    """One device."""

    data: Device


@dataclass
class DeviceList:
    """A page of devices."""

    data: list[Device]
    links: PageAddresses
    meta: PageMeta


# ---- jobs -------------------------------------------------------------------------------------------------------


@dataclass
class Job:
    """A print job. payload: JSON text. status: 1 created, 2 launched, 3 pending, 4 completed, 5 failed. result: JSON
    text with state, reason, text, evidence, pages and possible_duplicate once there is something to tell. error: what
    went or goes wrong. executed_at: when it ended. Moments are ISO 8601, UTC."""

    id: str
    job_type: int
    device_id: str
    device_name: str
    client_id: str
    payload: str
    status: Literal[1, 2, 3, 4, 5]
    created_at: str
    result: str | None
    error: str | None
    executed_at: str | None
    updated_at: str


@dataclass
class JobAnswer:
    """One job."""

    data: Job


@dataclass
class JobList:
    """A page of jobs."""

    data: list[Job]
    links: PageAddresses
    meta: PageMeta


@dataclass
class Success:
    """It is deleted."""

    success: Literal[True]


Deleted = Empty | Success


# ---- the account ------------------------------------------------------------------------------------------------


@dataclass
class Caller:
    """Whose key it is."""

    organization_id: str


@dataclass
class PlanName:
    """A plan by its name."""

    name: str


@dataclass
class Login:
    """What a client needs to go on with."""

    organization_id: str
    api_key: str
    organization_name: str
    plan: PlanName


@dataclass
class Plan:
    """A plan: how many requests a key may make."""

    id: int
    name: str


@dataclass
class Plans:
    """All plans."""

    data: list[Plan]


@dataclass
class Version:
    """The version of this bridge; the rest is null, so that no client replaces itself with it."""

    latest_version: str
    download_url: None
    installer_url: None
    checksum_sha256: None
    release_notes: None
