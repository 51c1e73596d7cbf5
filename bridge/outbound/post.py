"""One POST to somebody else's server: to a judged address, within a deadline, following nothing."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

from bridge.errors import Invalid
from bridge.outbound.line import Line, Resolver, Watch, doors, network_errors
from bridge.outbound.places import LOOPBACK, CallFailed, FetchRules, check_url, literal, parse, shown

ANSWER_MAX = 64 * 1024  # bytes of an answer that are read, so that the server is not cut off in the middle of it


@dataclass(frozen=True, slots=True)
class Answered:
    """status: HTTP. retry_after: the header as it came."""

    status: int
    retry_after: str


def check_target(url: str, rules: FetchRules, *, field: str = "url") -> None:
    """Raise Invalid for an address that is not posted to: https, or http to this machine itself, without a login."""
    try:
        check_url(url, rules)
        hop = parse(url)
    except Invalid as error:
        raise Invalid(error.text, remedy=error.remedy, field=field) from error
    if hop.basic is not None:
        raise Invalid("the URL holds a login", field=field, remedy="the signature proves who calls; leave it out")
    address = literal(hop.host)
    if hop.scheme == "http" and not (address is not None and any(address in network for network in LOOPBACK)):
        raise Invalid("the URL begins with http://", field=field,
                      remedy="use https; http is for this machine itself (http://localhost/...)")  # fmt: skip


def post(
    url: str, body: bytes, headers: Mapping[str, str], rules: FetchRules, *, total_s: float = 15.0,
    resolve: Resolver = socket.getaddrinfo,
) -> Answered:  # fmt: skip
    """Send `body` and say what was answered, whatever that is. Raises CallFailed when there was no answer."""
    watch = Watch(total_s)
    watch.where = shown(url)
    try:
        check_target(url, rules)
        hop = parse(url.partition("#")[0])
        found = doors(hop, rules, watch, resolve)
    except Invalid as error:
        raise CallFailed(f"{watch.where}: {error.text}", remedy=error.remedy) from error
    line = Line(hop, found, rules, watch)
    own = {"Host": hop.host_header, "User-Agent": "print-bridge", "Connection": "close"}
    try:
        with network_errors(watch.where, CallFailed):
            line.request("POST", hop.path, body=body, headers={**headers, **own})
            response = line.getresponse()
        with suppress(CallFailed, OSError, HTTPException):  # it has answered: a body that breaks off takes nothing back
            response.read(ANSWER_MAX)
        return Answered(response.status, response.getheader("retry-after", ""))
    finally:
        line.close()
