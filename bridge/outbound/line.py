"""One HTTP call over a socket to a judged address, with a deadline that is looked at between any two receives.

Written on http.client and not on urllib3's pools, for two reasons. The deadline has to hold inside a header line or a
chunk size too, and that needs our own socket under the parser. And urllib3 before 2.6 unpacks a whole read at once,
whatever its size (64 kB of gzip are 64 MB).
"""

from __future__ import annotations

import errno
import http.client
import ipaddress
import os
import queue
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.outbound.places import CallFailed, FetchRules, Hop, judge, literal

SLICE_S = 0.2  # seconds; the deadline and a cancel take effect within one slice

Resolver = Callable[..., Iterable[tuple[int, int, int, str, tuple[Any, ...]]]]  # as socket.getaddrinfo
T = TypeVar("T")


class Watch:
    """The deadline and the cancel button of one call. where: the URL being talked to, for the text.

    end: the deadline, time.monotonic().
    """

    def __init__(
        self, total_s: float, cancelled: Callable[[], bool] | None = None, failed: type[CallFailed] = CallFailed,
        stopped: type[CallFailed] = CallFailed,
    ) -> None:  # fmt: skip
        """failed, stopped: what is raised for a call that fails, or is cancelled."""
        self.where = ""
        self.failed, self._stopped = failed, stopped
        self._total_s = total_s
        self.end = time.monotonic() + total_s
        self._cancelled = cancelled or (lambda: False)
        self._ask_at = 0.0

    def check(self) -> None:
        now = time.monotonic()
        if now >= self._ask_at:  # cancelled() may be a look into a database; not for every packet
            self._ask_at = now + SLICE_S / 2
            if self._cancelled():
                raise self._stopped(f"canceled while talking to {self.where}")
        if now >= self.end:
            remedy = "check the server's speed, and the size of what is asked for"
            raise self.failed(f"{self.where} took longer than {self._total_s:g} s", remedy=remedy, transient=True)

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
    watch: Watch

    def recv_into(self, *args: Any, **options: Any) -> int:
        return self.watch.patiently(lambda: super(_PlainSocket, self).recv_into(*args, **options))


class _TlsSocket(ssl.SSLSocket):
    watch: Watch

    def recv_into(self, *args: Any, **options: Any) -> int:
        return self.watch.patiently(lambda: super(_TlsSocket, self).recv_into(*args, **options))


class Line(http.client.HTTPConnection):
    """http.client's side of the conversation, over a socket to a judged address. No proxy, no cookie, one request."""

    def __init__(self, hop: Hop, doors: list[Door], rules: FetchRules, watch: Watch) -> None:
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

    def _open(self, door: Door) -> _PlainSocket:
        plain = _PlainSocket(door.family, socket.SOCK_STREAM)
        try:
            plain.watch = self._watch
            _connect(plain, door.sockaddr, self._rules.connect_s, self._watch)
            plain.settimeout(SLICE_S)
        except BaseException:
            plain.close()
            raise
        return plain


def _connect(plain: socket.socket, sockaddr: tuple[Any, ...], connect_s: float, watch: Watch) -> None:
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


@dataclass(frozen=True, slots=True)
class Door:
    """One judged address, ready for connect()."""

    family: int
    sockaddr: tuple[Any, ...]


def doors(hop: Hop, rules: FetchRules, watch: Watch, resolve: Resolver) -> list[Door]:
    """Where to connect. One denied address condemns the name: an honest name does not mix."""
    address = literal(hop.host)
    if address is not None:
        doors = [Door(socket.AF_INET if address.version == 4 else socket.AF_INET6, (str(address), hop.port))]
    else:
        doors = [Door(answer[0], answer[4]) for answer in _resolved(hop, watch, resolve)]
    for door in doors:
        judge(ipaddress.ip_address(door.sockaddr[0]), hop.port, rules)
    if not doors:
        raise watch.failed(f"{hop.host} has no address", remedy="check the host name", transient=True)
    return doors


def _resolved(hop: Hop, watch: Watch, resolve: Resolver) -> list[tuple[int, int, int, str, tuple[Any, ...]]]:
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
            raise watch.failed(f"{hop.host} could not be resolved", remedy=remedy, transient=True) from answer
        return answer


@contextmanager
def network_errors(where: str, failed: type[CallFailed]) -> Iterator[None]:
    """Failures of the network and of the other side's HTTP, as `failed`. Not for code that writes the target."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        remedy = "check the certificate's name and date, or install its issuer in this machine's store"
        why = f"the certificate of {where} is not trusted ({error.verify_message})"
        raise failed(why, remedy=remedy) from error
    except OSError as error:  # also http.client.RemoteDisconnected, which is both
        why = f"no answer from {where}: {error.strerror or 'the connection was closed'}"
        remedy = "check that the server runs and can be reached from this machine"
        raise failed(why, remedy=remedy, transient=True) from error
    except http.client.HTTPException as error:
        # Not chained: these carry what the server sent, and a logged traceback must not show it.
        why = f"{where} broke off or does not speak HTTP ({type(error).__name__})"
        raise failed(why, remedy="check the address and the server", transient=True) from None
