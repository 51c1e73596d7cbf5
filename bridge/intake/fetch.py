"""Fetching a job's document_url, without becoming a tool against the machine or the network it runs on.

Where it may go is in bridge.outbound.places, the line in bridge.outbound.line; each redirect starts over.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urljoin

from bridge.errors import Invalid
from bridge.outbound.line import Line, Resolver, Watch, doors, network_errors
from bridge.outbound.places import CallFailed, FetchRules, Hop, check_url, parse, shown

PIECE = 65_536  # bytes per read, per unpacking step and per write

GOOD = {200, 203}
REDIRECTS = {301, 302, 303, 307, 308}
TRANSIENT = {408, 425, 429}  # and every 5xx
REMEDIES = {
    401: "the server wants a login; use a link that needs none, or put user:password@ before the host",
    403: "the server refuses access; links often expire, send the job again with a fresh one",
    404: "check the address; links often expire, send the job again with a fresh one",
    410: "the document was removed; send the job again with a fresh link",
    429: "the server is too busy for us; try again later",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What arrived. size: bytes as written. sha256: hex, of those. final_url: after redirects, no query, no userinfo.

    content_type: as the server says, parameters dropped, lower case, "" when it says nothing. Not to be believed.
    """

    size: int
    sha256: str
    final_url: str
    content_type: str


class FetchFailed(CallFailed):
    """No document. transient: the same URL may work later; retry_after_s: when, if the server said so."""

    code = "fetch_failed"
    beginning = "the document could not be fetched: "
    about = "document_url"


class FetchCancelled(FetchFailed):
    """The caller's own cancelled() said stop."""


class Writable(Protocol):
    """A place for the document: takes all of each piece (a buffered file, not a raw one)."""

    def write(self, data: bytes, /) -> object: ...


# --- one answer: tries, redirects, status --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    hop: Hop
    line: Line
    response: http.client.HTTPResponse

    def close(self) -> None:
        self.response.close()
        self.line.close()


def _answer(first: Hop, rules: FetchRules, watch: Watch, resolve: Resolver) -> _Answer:
    """A good answer, its body still unread. Failures that may pass are tried again: rules.tries, all begun within
    rules.tries_within_s, after the pause the server asks for (Retry-After) or ours. A pause that would outlast the
    deadline is not begun: what went wrong says more than that time is up."""
    end = min(time.monotonic() + rules.tries_within_s, watch.end)
    for attempt in count(1):
        try:
            return _followed(first, rules, watch, resolve)
        except FetchFailed as failure:
            pause = failure.retry_after_s
            if pause is None:
                pause = rules.backoff_s[min(attempt, len(rules.backoff_s)) - 1] if rules.backoff_s else 0.0
            if not failure.transient or attempt >= rules.tries or time.monotonic() + pause > end:
                raise
        watch.sleep(pause)
    raise AssertionError("count() does not end")


def _followed(hop: Hop, rules: FetchRules, watch: Watch, resolve: Resolver) -> _Answer:
    """Ask, and go where redirects lead. A login goes to the first origin only, and not back there from another."""
    basic, seen = hop.basic, {hop.url}
    while True:
        answer = _asked(hop, basic, rules, watch, resolve)
        if answer.response.status in GOOD:
            return answer
        with closing(answer):
            if answer.response.status not in REDIRECTS:
                raise _bad_status(answer)
            after = _redirected(answer)
        if after.url in seen:
            raise FetchFailed(f"the redirects from {shown(hop.url)} go round in a circle", remedy="check the server")
        if len(seen) > rules.max_redirects:
            why = f"more than {rules.max_redirects} redirects, the last from {shown(hop.url)}"
            raise FetchFailed(why, remedy="use the address they lead to")
        seen.add(after.url)
        basic = basic if after.origin == hop.origin else None
        hop = after


def _redirected(answer: _Answer) -> Hop:
    """The next hop, read and not yet judged."""
    here, location = answer.hop, answer.response.getheader("location")
    if not location:
        raise FetchFailed(f"{shown(here.url)} redirects to nowhere", remedy="check the server")
    # http.client reads headers as Latin-1; back to bytes, so that a UTF-8 path arrives as its server wrote it.
    location = quote(location.encode("latin-1", "replace"), safe="%/:?#[]@!$&'()*+,;=~\\")
    try:
        after = parse(urljoin(here.url, location).partition("#")[0])
    except ValueError as error:
        raise FetchFailed(f"{shown(here.url)} redirects to an unreadable URL", remedy="check the server") from error
    except Invalid as error:
        why = f"{shown(here.url)} redirects to {shown(location)}: {error.text}"
        raise FetchFailed(why, remedy=error.remedy) from error
    if here.scheme == "https" and after.scheme == "http":
        why = f"{shown(here.url)} redirects from https to http ({shown(after.url)})"
        raise FetchFailed(why, remedy="use an address that stays on https")
    return after


def _asked(hop: Hop, basic: str | None, rules: FetchRules, watch: Watch, resolve: Resolver) -> _Answer:
    """Judge one hop, connect, send the request, read the status and headers."""
    watch.where = shown(hop.url)
    try:
        found = doors(hop, rules, watch, resolve)
    except Invalid as error:
        raise FetchFailed(f"{watch.where}: {error.text}", remedy=error.remedy) from error
    line = Line(hop, found, rules, watch)
    try:
        with network_errors(watch.where, FetchFailed):
            line.request("GET", hop.path, headers=_headers(hop, basic))
            return _Answer(hop, line, line.getresponse())
    except BaseException:
        line.close()
        raise


def _headers(hop: Hop, basic: str | None) -> dict[str, str]:
    headers = {
        "Host": hop.host_header,
        "User-Agent": "print-bridge",
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    }
    return headers | {"Authorization": basic} if basic else headers


def _bad_status(answer: _Answer) -> FetchFailed:
    status = answer.response.status
    transient = status >= 500 or status in TRANSIENT
    remedy = REMEDIES.get(status, "the server has a problem, try again later" if transient else "check the address")
    after = seconds(answer.response.getheader("retry-after", "")) if transient else None
    why = f"http {status} from {shown(answer.hop.url)}"
    return FetchFailed(why, remedy=remedy, transient=transient, retry_after_s=after)


def seconds(retry_after: str) -> float | None:
    """RFC 9110 10.2.3: a number of seconds, or a date. None: not said, or not readable."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


# --- the body -----------------------------------------------------------------------------------------------------


def fetch(
    url: str,
    target: Path | Writable,
    rules: FetchRules,
    *,
    cancelled: Callable[[], bool] | None = None,
    resolve: Resolver = socket.getaddrinfo,
) -> Fetched:
    """Fetch the document into target; a Path is created with mode 0600, and removed again when the fetch fails.

    Raises FetchFailed for everything about the URL, the network and the server (FetchCancelled when cancelled() said
    so, asked about ten times a second), and OSError only when the target cannot be written. A Writable target of a
    failed fetch holds a part of the document.
    """
    watch = Watch(rules.total_s, cancelled, FetchFailed, FetchCancelled)
    try:
        first = parse(url.partition("#")[0])
    except Invalid as error:
        raise FetchFailed(error.text, remedy=error.remedy) from error
    with closing(_answer(first, rules, watch, resolve)) as answer:
        _check_length(answer, rules)
        pieces = _unpacked(_received(answer, rules), answer)
        with _opened(target) as sink:
            size, sha256 = _saved(pieces, sink, answer, rules, watch)
        return Fetched(size, sha256, shown(answer.hop.url), _content_type(answer.response))


def _content_type(response: http.client.HTTPResponse) -> str:
    return response.getheader("content-type", "").partition(";")[0].strip().lower()


@contextmanager
def _opened(target: Path | Writable) -> Iterator[Writable]:
    if not isinstance(target, Path):
        yield target
        return
    # Shipping labels are personal data, and a symbolic link left in our place must not be written through.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            yield file
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _saved(
    pieces: Iterator[bytes], sink: Writable, answer: _Answer, rules: FetchRules, watch: Watch
) -> tuple[int, str]:
    """Write all pieces: (bytes, sha256 hex)."""
    size, digest = 0, hashlib.sha256()
    for piece in pieces:
        watch.check()  # one receive can unpack to a thousand pieces, and the target may be a slow card
        size += len(piece)
        if size > rules.max_bytes:
            raise _too_large(answer, rules)
        digest.update(piece)
        sink.write(piece)
    return size, digest.hexdigest()


def _too_large(answer: _Answer, rules: FetchRules) -> FetchFailed:
    why = f"{shown(answer.hop.url)} is larger than the limit of {rules.max_bytes} bytes"
    return FetchFailed(why, remedy="send a smaller document, or raise the limit")


def _check_length(answer: _Answer, rules: FetchRules) -> None:
    """Refuse before the first byte what is announced as too large (packed or not: packing does not make it grow)."""
    if (answer.response.length or 0) > rules.max_bytes:
        raise _too_large(answer, rules)


def _received(answer: _Answer, rules: FetchRules) -> Iterator[bytes]:
    """The body as sent, at most PIECE bytes at a time. Its own limit, since packed emptiness could go on for ever."""
    response, where, size = answer.response, shown(answer.hop.url), 0
    while True:
        with network_errors(where, FetchFailed):
            piece = response.read1(PIECE)
        if not piece:
            break
        size += len(piece)
        if size > rules.max_bytes:
            raise _too_large(answer, rules)
        yield piece
    if response.length:  # what Content-Length still promises
        raise _cut_short(answer)


def _cut_short(answer: _Answer) -> FetchFailed:
    why = f"{shown(answer.hop.url)} ended before the document was complete"
    return FetchFailed(why, remedy="check the server", transient=True)


def _unpacked(pieces: Iterator[bytes], answer: _Answer) -> Iterator[bytes]:
    """The body as meant: Content-Encoding (RFC 9110 8.4) undone."""
    encoding = answer.response.getheader("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return pieces
    if encoding in ("gzip", "x-gzip", "deflate"):
        return _inflated(pieces, answer, gzip=encoding != "deflate")
    why = f"{shown(answer.hop.url)} came in an encoding we did not ask for"
    raise FetchFailed(why, remedy="have the server send it plain or as gzip")


def _inflated(pieces: Iterator[bytes], answer: _Answer, *, gzip: bool) -> Iterator[bytes]:
    """Unpack in steps of at most PIECE bytes, however much a piece holds. A gzip may have several members."""
    engine, members = None, 0
    for data in pieces:
        while data:
            if engine is None:
                if members and (not gzip or data[0] != 0x1F):
                    return  # padding after the end, as gzip itself ignores it
                engine = zlib.decompressobj(_window(data[0], gzip=gzip))
            yield from _steps(engine, data, answer)
            data = engine.unused_data
            if engine.eof:
                engine, members = None, members + 1
    if engine is not None:
        raise _cut_short(answer)


def _window(first: int, *, gzip: bool) -> int:
    """zlib's wbits. "deflate" means the zlib format (RFC 1950: first byte ends in 8), but some servers send it raw."""
    if gzip:
        return 16 + zlib.MAX_WBITS
    return zlib.MAX_WBITS if first & 0x0F == 8 else -zlib.MAX_WBITS


def _steps(engine: zlib._Decompress, data: bytes, answer: _Answer) -> Iterator[bytes]:
    """All that data unpacks to, the rest after the end left in engine.unused_data."""
    while True:
        try:
            out = engine.decompress(data, PIECE)
        except zlib.error as error:
            why = f"{shown(answer.hop.url)} sent damaged gzip or deflate data"
            raise FetchFailed(why, remedy="check the server", transient=True) from error
        if out:
            yield out
        data = engine.unconsumed_tail
        # A full step may leave output inside the engine with no input left.
        if engine.eof or (not data and len(out) < PIECE):
            return


__all__ = ["FetchCancelled", "FetchFailed", "FetchRules", "Fetched", "check_url", "fetch", "shown"]
