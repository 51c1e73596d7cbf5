"""Fetching a job's document_url, without becoming a tool against the machine or the network it runs on.

Documents usually live inside the network, so private addresses are allowed; never allowed are this program's own ports,
link-local and cloud metadata addresses, multicast and the like (promises.md 1.6). Every name is resolved once, every
address of the answer is judged, and the connection goes to an address that was judged; each redirect starts over.

Written on http.client and not on urllib3's pools, for two reasons. The deadline has to be looked at between any two
receives, also inside a header line or a chunk size, and that needs our own socket under the parser. And urllib3 before
2.6 unpacks a whole read at once, whatever its size (64 kB of gzip are 64 MB).
"""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import ipaddress
import os
import queue
import re
import select
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import SplitResult, quote, unquote_to_bytes, urljoin, urlsplit

from bridge.errors import BridgeError, Invalid

MAX_URL = 4096  # characters
PIECE = 65_536  # bytes per read, per unpacking step and per write
SLICE_S = 0.2  # seconds; the deadline and a cancel take effect within one slice
_SHOWN = 200  # characters of a URL in logs and texts

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[..., Iterable[tuple[int, int, int, str, tuple[Any, ...]]]]  # as socket.getaddrinfo
T = TypeVar("T")

NEVER = [  #  network                                what it is
    (ipaddress.ip_network("0.0.0.0/8"),              "an unspecified address"),
    (ipaddress.ip_network("::/128"),                 "an unspecified address"),
    (ipaddress.ip_network("169.254.0.0/16"),         "a link-local address"),
    (ipaddress.ip_network("fe80::/10"),              "a link-local address"),
    (ipaddress.ip_network("224.0.0.0/4"),            "a multicast address"),
    (ipaddress.ip_network("ff00::/8"),               "a multicast address"),
    (ipaddress.ip_network("255.255.255.255/32"),     "the broadcast address"),
    (ipaddress.ip_network("fd00:ec2::254/128"),      "a cloud metadata address"),  # Amazon EC2
    (ipaddress.ip_network("100.100.100.200/32"),     "a cloud metadata address"),  # Alibaba Cloud
]
LOOPBACK = [ipaddress.ip_network(n) for n in ("127.0.0.0/8", "::1/128")]
PRIVATE = [  # RFC 1918, RFC 6598 (carrier NAT), RFC 4193, RFC 3879 (site-local)
    ipaddress.ip_network(n)
    for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10")
]
V4_IN_V6 = [ipaddress.ip_network(n) for n in ("::ffff:0:0/96", "64:ff9b::/96", "::/96")]  # RFC 4291, 6052, 4291

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
class FetchRules:
    """Where a document may come from, how large it may be and how long it may take. *_s: seconds.

    own_ports: the ports we listen on; refused on every address of this machine. max_bytes: after decompression.
    total_s: over everything, tries and redirects included. connect_s: per address, TLS handshake not included.
    tries, tries_within_s, backoff_s: see _answer; the last pause repeats. private, loopback: are those allowed.
    """

    own_ports: frozenset[int]
    max_bytes: int = 50_000_000
    total_s: float = 60.0
    connect_s: float = 5.0
    max_redirects: int = 3
    tries: int = 3
    tries_within_s: float = 10.0
    backoff_s: tuple[float, ...] = (1.0, 3.0)
    private: bool = True
    loopback: bool = True


@dataclass(frozen=True, slots=True)
class Fetched:
    """What arrived. size: bytes as written. sha256: hex, of those. final_url: after redirects, no query, no userinfo.

    content_type: as the server says, parameters dropped, lower case, "" when it says nothing. Not to be believed.
    """

    size: int
    sha256: str
    final_url: str
    content_type: str


class FetchFailed(BridgeError):
    """No document. transient: the same URL may work later; retry_after_s: when, if the server said so.

    The text never holds a query string, userinfo or anything out of a body: signed URLs are secrets, and what
    this machine can reach is not the job author's to read.
    """

    http, code = 502, "fetch_failed"

    def __init__(
        self, why: str, *, remedy: str = "", transient: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"the document could not be fetched: {why}", remedy=remedy, field="document_url")
        self.transient = transient
        self.retry_after_s = retry_after_s


class FetchCancelled(FetchFailed):
    """The caller's own cancelled() said stop."""


class Writable(Protocol):
    """A place for the document: takes all of each piece (a buffered file, not a raw one)."""

    def write(self, data: bytes, /) -> object: ...


def shown(url: str) -> str:
    """The URL for logs and texts: userinfo, query and fragment dropped, nothing unprintable. Never raises."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(an unreadable URL)"
    if parts.scheme not in ("http", "https") or not parts.netloc:
        # Without a host nobody can tell a password from a path, so nothing but the scheme is safe to show.
        return f"{parts.scheme}://..." if parts.netloc or "://" in url else "(an unreadable URL)"
    host = parts.netloc.rpartition("@")[2]
    text = "".join(c if c.isprintable() else "?" for c in f"{parts.scheme}://{host}{parts.path}")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


# --- where a URL leads -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hop:
    """One URL, taken apart. host: lower case ASCII, no brackets. path: with query, percent-encoded."""

    url: str
    scheme: str
    host: str
    port: int
    path: str
    basic: str | None

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def check_url(url: str, rules: FetchRules) -> None:
    """Raise Invalid for a URL that can never be fetched. No DNS, so it fits the moment a job is accepted."""
    hop = _parse(url)
    address = _literal(hop.host)
    if address is not None:
        _judge(address, hop.port, rules)


def _invalid(text: str, remedy: str) -> Invalid:
    return Invalid(text, remedy=remedy, field="document_url")


def _parse(url: str) -> _Hop:
    url = url.strip(" ")
    if len(url) > MAX_URL:
        raise _invalid(f"the URL has {len(url)} characters, the limit is {MAX_URL}", "use a shorter link")
    if re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", url):
        raise _invalid("the URL contains a control character", "percent-encode it, or check for a stray line break")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        # The parser's own text may quote the URL, password and all, so it is not passed on.
        raise _invalid("the URL cannot be read", "check the host and the port (1 to 65535)") from error
    if parts.scheme not in ("http", "https"):
        raise _invalid("the URL does not start with http:// or https://", "serve the document over http or https")
    if port == 0:
        raise _invalid("the URL asks for port 0", "check the port (1 to 65535)")
    path = _encoded(parts.path or "/") + (f"?{_encoded(parts.query)}" if parts.query else "")
    return _Hop(url, parts.scheme, _host(parts), port or _default_port(parts.scheme), path, _basic(parts))


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _encoded(text: str) -> str:
    """Percent-encode what may not stand in a request line, and leave what is encoded already."""
    return quote(text, safe="%/:?#[]@!$&'()*+,;=~")


def _basic(parts: SplitResult) -> str | None:
    if parts.username is None:
        return None
    pair = unquote_to_bytes(parts.username) + b":" + unquote_to_bytes(parts.password or "")
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _host(parts: SplitResult) -> str:
    """The host in the one spelling that is judged, resolved and sent. IDNA turns full-width digits into digits."""
    remedy = "write http://host/path"
    host = parts.hostname or ""
    if not host:
        raise _invalid("the URL names no host", remedy)
    if "\\" in parts.netloc:  # a browser reads http://a\@b as host a, RFC 3986 as host b
        raise _invalid("the URL has a backslash in its host", remedy)
    if "[" in parts.netloc:
        try:
            return str(ipaddress.IPv6Address(host))
        except ValueError as error:
            raise _invalid("the URL's IPv6 address cannot be read", "write http://[2001:db8::1]/path") from error
    try:
        host = host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise _invalid("the URL's host name cannot be read", remedy) from error
    if not re.fullmatch(r"[a-z0-9_.-]+", host):
        raise _invalid("the URL's host name contains a character that host names do not have", remedy)
    return host


def _literal(host: str) -> IP | None:
    """The address a host spells out, None for a name. Every spelling the C library takes: 0x7f000001, 127.1, 0."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761: loopback, whatever the resolver says
        return ipaddress.IPv4Address("127.0.0.1")
    if ":" in host:
        return ipaddress.IPv6Address(host)
    if not re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", name.rpartition(".")[2]):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(name))
    except OSError as error:
        raise _invalid("the URL's host ends in a number but is no IPv4 address", "write four numbers, 0-255") from error


def _judge(address: IP, port: int, rules: FetchRules) -> None:
    """Raise Invalid unless rules allow a connection there."""
    address = _inner(address)
    for network, what in NEVER:
        if address in network:
            raise _invalid(f"the URL leads to {what}", "serve the document from an ordinary host address")
    if port in rules.own_ports and _is_this_machine(address):
        raise _invalid("the URL leads back to print-bridge itself", "point it at the server that has the document")
    if not rules.loopback and any(address in network for network in LOOPBACK):
        raise _invalid("the URL leads to this machine itself", "serve it from another host, or allow loopback fetches")
    if not rules.private and any(address in network for network in PRIVATE):
        raise _invalid("the URL leads to a private address", "use a public host, or allow private addresses")


def _inner(address: IP) -> IP:
    """The IPv4 address that an IPv6 address carries inside, if it does: that is where the packets go."""
    if isinstance(address, ipaddress.IPv4Address) or int(address) <= 1:  # :: and ::1 carry nothing
        return address
    if any(address in network for network in V4_IN_V6):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address


def _is_this_machine(address: IP) -> bool:
    """Asked of the kernel: only a machine's own address can be bound. No list of interfaces to go stale."""
    if any(address in network for network in LOOPBACK):
        return True
    try:
        with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Door:
    """One judged address, ready for connect()."""

    family: int
    sockaddr: tuple[Any, ...]


def _doors(hop: _Hop, rules: FetchRules, watch: _Watch, resolve: Resolver) -> list[_Door]:
    """Where to connect. One denied address condemns the name: an honest name does not mix."""
    address = _literal(hop.host)
    if address is not None:
        doors = [_Door(socket.AF_INET if address.version == 4 else socket.AF_INET6, (str(address), hop.port))]
    else:
        doors = [_Door(answer[0], answer[4]) for answer in _resolved(hop, watch, resolve)]
    for door in doors:
        _judge(ipaddress.ip_address(door.sockaddr[0]), hop.port, rules)
    if not doors:
        raise FetchFailed(f"{hop.host} has no address", remedy="check the host name", transient=True)
    return doors


def _resolved(hop: _Hop, watch: _Watch, resolve: Resolver) -> list[tuple[int, int, int, str, tuple[Any, ...]]]:
    """One question to the resolver, in a thread: getaddrinfo knows no timeout, and a dead DNS server takes 30 s."""
    answers: queue.SimpleQueue[list[tuple[int, int, int, str, tuple[Any, ...]]] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(list(resolve(hop.host, hop.port, type=socket.SOCK_STREAM)))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, name="fetch-resolve", daemon=True).start()
    while True:
        watch.check()
        try:
            answer = answers.get(timeout=SLICE_S)
        except queue.Empty:
            continue
        if isinstance(answer, Exception):
            remedy = "check the host name and this machine's DNS"
            raise FetchFailed(f"{hop.host} could not be resolved", remedy=remedy, transient=True) from answer
        return answer


# --- the line: a socket that keeps looking at the clock ----------------------------------------------------------


class _Watch:
    """The deadline and the cancel button of one fetch. where: the URL being talked to, for the text.

    end: the deadline, time.monotonic().
    """

    def __init__(self, total_s: float, cancelled: Callable[[], bool] | None) -> None:
        self.where = ""
        self._total_s = total_s
        self.end = time.monotonic() + total_s
        self._cancelled = cancelled or (lambda: False)
        self._ask_at = 0.0

    def check(self) -> None:
        now = time.monotonic()
        if now >= self._ask_at:  # cancelled() may be a look into a database; not for every packet
            self._ask_at = now + SLICE_S / 2
            if self._cancelled():
                raise FetchCancelled(f"canceled while fetching {self.where}")
        if now >= self.end:
            remedy = "check the server's speed and the document's size"
            raise FetchFailed(f"{self.where} took longer than {self._total_s:g} s", remedy=remedy, transient=True)

    def patiently(self, step: Callable[[], T]) -> T:
        """Repeat a socket call that gives up after SLICE_S, until it works or time is over."""
        while True:
            self.check()
            try:
                return step()
            except TimeoutError:
                continue

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, SLICE_S))
        self.check()


class _PlainSocket(socket.socket):
    watch: _Watch

    def recv_into(self, *args: Any, **options: Any) -> int:
        return self.watch.patiently(lambda: super(_PlainSocket, self).recv_into(*args, **options))


class _TlsSocket(ssl.SSLSocket):
    watch: _Watch

    def recv_into(self, *args: Any, **options: Any) -> int:
        return self.watch.patiently(lambda: super(_TlsSocket, self).recv_into(*args, **options))


class _Line(http.client.HTTPConnection):
    """http.client's side of the conversation, over a socket to a judged address. No proxy, no cookie, one request."""

    def __init__(self, hop: _Hop, doors: list[_Door], rules: FetchRules, watch: _Watch) -> None:
        super().__init__(hop.host, hop.port)
        self._hop, self._doors, self._rules, self._watch = hop, doors, rules, watch

    def connect(self) -> None:
        plain = self._first_open()
        if self._hop.scheme == "http":
            self.sock = plain
            return
        with plain:  # empty once TLS has taken the descriptor over, so closing it then closes nothing
            context = ssl.create_default_context()
            context.sslsocket_class = _TlsSocket
            tls = context.wrap_socket(plain, server_hostname=self._hop.host, do_handshake_on_connect=False)
        assert isinstance(tls, _TlsSocket)
        self.sock, tls.watch = tls, self._watch
        self._watch.patiently(tls.do_handshake)

    def _first_open(self) -> _PlainSocket:
        """The first address that answers; the last one's error when none does."""
        *others, last = self._doors
        for door in others:
            try:
                return self._open(door)
            except OSError:
                continue  # the text of the last one is as good as any
        return self._open(last)

    def _open(self, door: _Door) -> _PlainSocket:
        plain = _PlainSocket(door.family, socket.SOCK_STREAM)
        try:
            plain.watch = self._watch
            _connect(plain, door.sockaddr, self._rules.connect_s, self._watch)
            plain.settimeout(SLICE_S)
        except BaseException:
            plain.close()
            raise
        return plain


def _connect(plain: socket.socket, sockaddr: tuple[Any, ...], connect_s: float, watch: _Watch) -> None:
    """connect() in slices, so that a cancel need not wait for a silent host."""
    plain.setblocking(False)
    end = time.monotonic() + connect_s
    code = plain.connect_ex(sockaddr)
    if code == errno.EINPROGRESS:
        ready = select.poll()
        ready.register(plain, select.POLLOUT)
        while not ready.poll(SLICE_S * 1000):
            watch.check()
            if time.monotonic() >= end:
                raise TimeoutError(errno.ETIMEDOUT, f"no answer within {connect_s:g} s")
        code = plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


# --- one answer: tries, redirects, status --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Answer:
    hop: _Hop
    line: _Line
    response: http.client.HTTPResponse

    def close(self) -> None:
        self.response.close()
        self.line.close()


def _answer(first: _Hop, rules: FetchRules, watch: _Watch, resolve: Resolver) -> _Answer:
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


def _followed(hop: _Hop, rules: FetchRules, watch: _Watch, resolve: Resolver) -> _Answer:
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


def _redirected(answer: _Answer) -> _Hop:
    """The next hop, read and not yet judged."""
    here, location = answer.hop, answer.response.getheader("location")
    if not location:
        raise FetchFailed(f"{shown(here.url)} redirects to nowhere", remedy="check the server")
    # http.client reads headers as Latin-1; back to bytes, so that a UTF-8 path arrives as its server wrote it.
    location = quote(location.encode("latin-1", "replace"), safe="%/:?#[]@!$&'()*+,;=~\\")
    try:
        after = _parse(urljoin(here.url, location).partition("#")[0])
    except ValueError as error:
        raise FetchFailed(f"{shown(here.url)} redirects to an unreadable URL", remedy="check the server") from error
    except Invalid as error:
        why = f"{shown(here.url)} redirects to {shown(location)}: {error.text}"
        raise FetchFailed(why, remedy=error.remedy) from error
    if here.scheme == "https" and after.scheme == "http":
        why = f"{shown(here.url)} redirects from https to http ({shown(after.url)})"
        raise FetchFailed(why, remedy="use an address that stays on https")
    return after


def _asked(hop: _Hop, basic: str | None, rules: FetchRules, watch: _Watch, resolve: Resolver) -> _Answer:
    """Judge one hop, connect, send the request, read the status and headers."""
    watch.where = shown(hop.url)
    try:
        doors = _doors(hop, rules, watch, resolve)
    except Invalid as error:
        raise FetchFailed(f"{watch.where}: {error.text}", remedy=error.remedy) from error
    line = _Line(hop, doors, rules, watch)
    try:
        with _network_errors(watch.where):
            line.request("GET", hop.path, headers=_headers(hop, basic))
            return _Answer(hop, line, line.getresponse())
    except BaseException:
        line.close()
        raise


def _headers(hop: _Hop, basic: str | None) -> dict[str, str]:
    headers = {
        "Host": hop.host_header,
        "User-Agent": "print-bridge",
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    }
    return headers | {"Authorization": basic} if basic else headers


@contextmanager
def _network_errors(where: str) -> Iterator[None]:
    """Failures of the network and of the other side's HTTP, as FetchFailed. Not for code that writes the target."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        remedy = "check the certificate's name and date, or install its issuer in this machine's store"
        why = f"the certificate of {where} is not trusted ({error.verify_message})"
        raise FetchFailed(why, remedy=remedy) from error
    except OSError as error:  # also http.client.RemoteDisconnected, which is both
        why = f"no answer from {where}: {error.strerror or 'the connection was closed'}"
        remedy = "check that the server runs and can be reached from this machine"
        raise FetchFailed(why, remedy=remedy, transient=True) from error
    except http.client.HTTPException as error:
        # Not chained: these carry what the server sent, and a logged traceback must not show it.
        why = f"{where} broke off or does not speak HTTP ({type(error).__name__})"
        raise FetchFailed(why, remedy="check the address and the server", transient=True) from None


def _bad_status(answer: _Answer) -> FetchFailed:
    status = answer.response.status
    transient = status >= 500 or status in TRANSIENT
    remedy = REMEDIES.get(status, "the server has a problem, try again later" if transient else "check the address")
    after = _seconds(answer.response.getheader("retry-after", "")) if transient else None
    why = f"http {status} from {shown(answer.hop.url)}"
    return FetchFailed(why, remedy=remedy, transient=transient, retry_after_s=after)


def _seconds(retry_after: str) -> float | None:
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
    watch = _Watch(rules.total_s, cancelled)
    try:
        first = _parse(url.partition("#")[0])
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
    pieces: Iterator[bytes], sink: Writable, answer: _Answer, rules: FetchRules, watch: _Watch
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
        with _network_errors(where):
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
