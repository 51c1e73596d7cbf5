"""clients/*: the machines that run a bridge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from flask import request
from pydantic import AliasChoices, Field

from bridge.dialects import Desk
from bridge.dialects.cloudlinker.fields import Description, Fields, Id, Line, Moment, NewId
from bridge.dialects.cloudlinker.paginator import Page, paginated
from bridge.dialects.cloudlinker.replies import client_json
from bridge.dialects.cloudlinker.views import deleted, links
from bridge.errors import Conflict, Invalid
from bridge.model import Client, Principal

_SAME_NAME = 1_000  # clients looked through for one of exactly that name


class _List(Fields):
    hostname: Line | None = None


class _Create(Fields):
    client_id: NewId | None = Field(None, validation_alias=AliasChoices("client_id", "id"))
    hostname: Line
    ip_address: Line | None = None
    description: Description | None = None


class _Update(Fields):
    clearable: ClassVar[frozenset[str]] = frozenset({"description"})

    client_id: Id | None = Field(None, validation_alias=AliasChoices("client_id", "id"))
    hostname: Line | None = None
    ip_address: Line | None = None
    description: Description | None = None
    last_seen: Moment | None = None


class _Delete(Fields):
    client_id: Id = Field(validation_alias=AliasChoices("client_id", "id"))


class Clients:
    """Views; what they may raise is what Control and Fields raise."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def list(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        asked, page = _List.read(given), Page.read(given)
        clients, total = self._desk.store.clients.page(
            caller.organization_id, hostname=asked.hostname, lending=True, limit=page.size, offset=page.start
        )
        return paginated([_shown(caller, client) for client in clients], total, page, links())

    def create(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        """Register, also again: an agent that lost its memory of the reply sends the same id once more."""
        asked = _Create.read(given)
        columns = _columns(asked, "hostname", "description", "ip_address")
        known = self._known(caller, asked.client_id)
        if known is None:
            try:
                return {"data": client_json(self._add(caller, asked, columns))}
            except Conflict:
                known = self._known(caller, asked.client_id)
                if known is None:  # another organization's, not our own registering twice at once
                    raise
        return {"data": client_json(self._desk.control.change_client(caller.organization_id, known.id, **columns))}

    def _known(self, caller: Principal, client_id: str | None) -> Client | None:
        return self._desk.store.clients.get(caller.organization_id, client_id) if client_id else None

    def _add(self, caller: Principal, asked: _Create, columns: dict[str, Any]) -> Client:
        columns = {"ip_address": request.remote_addr, **columns}
        return self._desk.control.add_client(caller.organization_id, client_id=asked.client_id, **columns)

    def update(self, caller: Principal, given: dict[str, Any]) -> dict[str, Any]:
        asked = _Update.read(given)
        client = self._meant(caller, asked)
        columns = _columns(asked, "hostname", "description", "ip_address", "last_seen")
        return {"data": client_json(self._desk.control.change_client(caller.organization_id, client.id, **columns))}

    def _meant(self, caller: Principal, asked: _Update) -> Client:
        """Which client an update is about: the seed names no field that says so."""
        if asked.client_id is not None:
            return self._desk.control.client(caller.organization_id, asked.client_id)
        if asked.hostname is not None:
            alike, _ = self._desk.store.clients.page(
                caller.organization_id, hostname=asked.hostname, limit=_SAME_NAME
            )
            named = [c for c in alike if c.hostname == asked.hostname]
            if len(named) == 1:
                return named[0]
        some, total = self._desk.store.clients.page(caller.organization_id, limit=1)
        if total != 1:
            raise Invalid("client_id is required: there are several clients", field="client_id")
        return some[0]

    def delete(self, caller: Principal, given: dict[str, Any]) -> Any:
        self._desk.control.delete_client(caller.organization_id, _Delete.read(given).client_id)
        return deleted(self._desk, given, "client_id")


def _shown(caller: Principal, client: Client) -> dict[str, Any]:
    """A client; of one that only lends a printer no more than its name."""
    if client.organization_id != caller.organization_id:
        client = replace(client, ip_address=None, description=None)
    return client_json(client)


def _columns(asked: Fields, *names: str) -> dict[str, Any]:
    """The named fields, as far as they were given."""
    return {name: getattr(asked, name) for name in names if name in asked.model_fields_set}
