"""Where a URL leads, and whether we may go there: the rules for every call to somebody else's server.

Documents and webhooks usually live inside the network, so private addresses are allowed; never allowed are this
program's own ports, link-local and cloud metadata addresses, multicast and the like. Every name is resolved once, every
address of the answer is judged, and the connection goes to an address that was judged.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote_to_bytes, urlsplit

from bridge.errors import BridgeError, Invalid

MAX_URL = 4096  # characters
_SHOWN = 200  # characters of a URL in logs and texts

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

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
V4_IN_V6 = [  # RFC 4291, 2765, 6052, 8215, 4291
    ipaddress.ip_network(n)
    for n in ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "::/96")
]


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


class CallFailed(BridgeError):
    """A server gave no (good) answer. transient: the same may work later; retry_after_s: when, if the server said so.

    The text never holds a query string, userinfo or anything out of a body: signed URLs are secrets, and what
    this machine can reach is not for everybody to read.
    """

    http, code = 502, "call_failed"
    beginning = ""
    about: str | None = None  # the field of the request it is about

    def __init__(
        self, why: str, *, remedy: str = "", transient: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"{self.beginning}{why}", remedy=remedy, field=self.about)
        self.transient = transient
        self.retry_after_s = retry_after_s


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



@dataclass(frozen=True, slots=True)
class Hop:
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
        return host if self.port == default_port(self.scheme) else f"{host}:{self.port}"


def check_url(url: str, rules: FetchRules) -> None:
    """Raise Invalid for a URL that can never be fetched. No DNS, so it fits the moment a job is accepted."""
    hop = parse(url)
    address = literal(hop.host)
    if address is not None:
        judge(address, hop.port, rules)


def _invalid(text: str, remedy: str) -> Invalid:
    return Invalid(text, remedy=remedy, field="document_url")


def parse(url: str) -> Hop:
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
    return Hop(url, parts.scheme, _host(parts), port or default_port(parts.scheme), path, _basic(parts))


def default_port(scheme: str) -> int:
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


def literal(host: str) -> IP | None:
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


def judge(address: IP, port: int, rules: FetchRules) -> None:
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
