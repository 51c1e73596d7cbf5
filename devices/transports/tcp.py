"""Raw TCP, usually port 9100 (JetDirect, AppSocket): tcp://192.168.1.40, tcp://dock.local:9101, tcp://[fe80::1%25eth0].

A successful send() proves nothing: the kernel on either side may hold the bytes. What this file does about it:

- a small send buffer keeps "handed to the kernel" close to "at the printer";
- the kernel is asked how much the far side has acknowledged (SIOCOUTQ, Linux), and only that counts as progress;
- "closed" is said only of a printer that acknowledged every byte and then closed in order after our half-close.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import urlsplit

from devices.contracts import Connection, KeepGoing, Receipt, Settings, Status, Transport
from devices.errors import BadPrinterUri, PrinterUnreachable, SendInterrupted, SendStopped
from devices.wire import tcpsocket
from devices.wire.ear import Ear
from devices.wire.patience import ASK_S, Progress
from devices.wire.tcpsocket import COUNTS_ACKNOWLEDGEMENTS
from devices.wire.tcpsocket import SEND_BUFFER as SEND_BUFFER

PORT = 9100
CHUNK = 16 * 1024  # bytes; a cancel takes effect within one chunk
TICK_S = 0.25  # a stalled write asks keep_going at least this often
ACK_TICK_S = 0.02  # an acknowledgement wakes nobody, so it is looked for this often
READ = 4096  # bytes the printer says, read at once
READS = 16  # ... and at most this many times in a row, so that a chatterbox cannot hold up the job

_LOOK = "look at the printer before sending again"
_CHECK = "check that it is switched on and on this network"
_REMEDIES = {
    errno.ECONNREFUSED: "check the address and port; many printers also refuse while another computer is printing",
    errno.ECONNRESET: "it may be busy with another computer; trying again is safe",
    errno.EPIPE: "it may be busy with another computer; trying again is safe",
    errno.EACCES: "a firewall on this computer forbids it",
    errno.EMFILE: "this program has too many files open",
}

_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}")
_SHAPE = re.compile(r"tcp://[\w.:%\[\]-]+/?", re.IGNORECASE)  # no user name, no path, no query, no space


class Tcp:
    """tcp://host[:9100]. IPv4, [IPv6] and host names; every address of a name is tried within connect_s."""

    scheme = "tcp"

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri unless `uri` is tcp://host or tcp://host:port."""
        parse(uri)

    def open(self, uri: str, settings: Settings) -> Connection:
        """Connect. Raises PrinterUnreachable; looking up a host name may take longer than connect_s."""
        return TcpConnection(_connect(uri, *parse(uri), settings), uri, settings)


TRANSPORT: Transport = Tcp()


@lru_cache(256)
def parse(uri: str) -> tuple[str, int]:
    """The host and port of a tcp:// address. Raises BadPrinterUri."""
    if not _SHAPE.fullmatch(uri):
        raise _bad(uri, "this is not a host with an optional port")
    try:
        parts = urlsplit(uri)
        host, port = (parts.hostname or "").replace("%25", "%"), PORT if parts.port is None else parts.port
        host.encode("idna")
    except ValueError as error:
        raise _bad(uri, str(error)) from error
    if not host or not port:
        raise _bad(uri, "the port is 0" if host else "the host is missing")
    return host, port


def _bad(uri: str, why: str) -> BadPrinterUri:
    return BadPrinterUri(f"{uri!r}: {why}; write tcp://192.168.1.40, tcp://name:9100 or tcp://[fe80::1%25eth0]:9100")


def _connect(uri: str, host: str, port: int, settings: Settings) -> socket.socket:
    """The first address of `host` that answers, each given its share of the time that is left."""
    try:
        addresses = _addresses(host, port)
    except OSError as error:
        raise PrinterUnreachable(
            f"{uri}: this network does not know the name {host!r} ({error.strerror}); use the printer's IP address"
        ) from error
    deadline = time.monotonic() + settings.connect_s
    failures: list[OSError] = []
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - tried)
        try:
            return tcpsocket.dial(socket.socket(family, kind, protocol), address, max(share, 0.01), settings.stall_s)
        except OSError as error:
            failures.append(error)
    # All addresses belong to one printer; a refusal says more about it than the silence of another address.
    telling = min(failures, key=lambda error: isinstance(error, TimeoutError))
    reason = f"in {settings.connect_s:g} s" if isinstance(telling, TimeoutError) else f"({_why(telling)})"
    raise PrinterUnreachable(f"no answer from {uri} {reason}; {_remedy(telling)}") from telling


def _addresses(host: str, port: int) -> list[tuple[int, int, int, str, Any]]:
    """What `host` stands for. An address as it is written is not looked up: most printers have one, for every job."""
    if _IPV4.fullmatch(host):
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class TcpConnection:
    """One connection for one job.

    sent: bytes this machine's kernel has taken, the most that can have left. An interrupted send says beside it how
    many the far side acknowledged, the least that have arrived. Questions go the way of the job, behind what was
    written before: on_stall must not ask on this connection, or the question would stand in the middle of a label.
    """

    talks = True
    on_stall: Callable[[float], bool] | None = None

    def __init__(self, sock: socket.socket, uri: str, settings: Settings) -> None:
        self.sent = 0
        self._offered = 0
        self._sock = sock
        self._uri = uri
        self._settings = settings
        self._ear = Ear()
        self._half_closed = False
        self._silent = False  # the far side has closed its direction: nothing more to read
        self._whole = False  # the far side has acknowledged the whole job

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Hand over all of `data`, a chunk at a time, for as long as the far side makes progress."""
        left = memoryview(data).cast("B")
        self._offered += len(left)
        progress = self._progress()
        while left:
            taken = self._offer(left[:CHUNK], progress)
            self.sent += taken
            left = left[taken:]
            if keep_going is not None and not keep_going(self.sent):
                text = f"{self._uri}: stopped as asked; {self._how_far()}"
                raise SendStopped(text, sent=self.sent, total=self._offered)

    def ask(self, question: bytes) -> None:
        """Hand over a question; the kernel has it when this returns. Not after finish()."""
        left = memoryview(question)
        progress = self._progress() if self.sent else Progress(min(ASK_S, self._settings.stall_s))
        while left:
            left = left[self._offer(left, progress) :]

    def hear(self, seconds: float) -> bytes:
        """What the printer said, b"" at once when it has closed its direction behind a job."""
        try:
            self._listen()
            if not self._ear and not self._silent and tcpsocket.poll(self._sock, max(0.0, seconds), read=True):
                self._listen()
            if self._silent:
                self._raise_if_broken()
        except OSError as error:
            self._fail(_why(error), error)
        if self._silent and not self._ear and not self.sent:
            self._fail("it closed the connection")
        return self._ear.take()

    def wire_status(self) -> Status | None:
        """TCP tells nothing of the printer."""
        return None

    def finish(self) -> Receipt:
        """Half-close (unless Settings.half_close is False) and wait for the printer's close."""
        if not self.sent:
            return Receipt("taken", f"nothing was sent to {self._uri}")
        try:
            self._listen()
            ended_before = self._silent
            if self._settings.half_close:
                self._sock.shutdown(socket.SHUT_WR)
                self._half_closed = True
            self._await_acknowledgement()
            self._await_close()
        except OSError as error:
            self._fail(f"{_why(error)} after it had been given everything", error)
        # Only a close that came after our half-close is an answer to it.
        return self._judge(answered=self._silent and self._half_closed and not ended_before)

    def close(self) -> None:
        """Let go. What an unfinished job still has in the kernel is dropped, not delivered behind our back."""
        with suppress(OSError):  # closing is the end of the story: an error here changes nothing for anybody
            if self.sent and not self._whole:
                tcpsocket.abort_on_close(self._sock)
            else:
                # Closing with unread data makes TCP send a reset, and a reset may cost the printer what it holds.
                self._listen()
        with suppress(OSError):
            self._sock.close()

    # -- writing

    def _progress(self) -> Progress:
        """The printer's deadline, which somebody may put off for longer than the kernel would wait."""
        if self.on_stall is not None:
            tcpsocket.be_patient(self._sock)
        return Progress(self._settings.stall_s, self)

    def _offer(self, chunk: memoryview, progress: Progress) -> int:
        """Bytes of `chunk` the kernel took; 0 after waiting a tick for room."""
        taken = 0
        try:
            if not self.sent:
                self._refuse_if_closed()
            with suppress(BlockingIOError):
                taken = self._sock.send(chunk)
            if taken:
                progress.moved()
            else:
                self._wait_for_room(progress)
        except OSError as error:
            self._fail(_why(error), error)
        return taken

    def _refuse_if_closed(self) -> None:
        """Notice, before the first byte, a printer that hung up at once: then trying again is safe."""
        self._listen()
        if self._silent:
            raise ConnectionResetError(errno.ECONNRESET, "it closed the connection at once")

    def _wait_for_room(self, progress: Progress) -> None:
        """A tick at most, so that a cancel also works on a printer that takes nothing.

        The kernel reports room only when a third of its buffer is free, which a slow printer may need minutes for:
        what counts as progress is therefore an acknowledgement.
        """
        if progress.stalled(self._unacknowledged()):
            self._fail(f"the printer took nothing for {self._settings.stall_s:g} s")
        if tcpsocket.poll(self._sock, min(TICK_S, self._settings.stall_s), read=not self._silent, write=True):
            self._listen()

    # -- the end of the job

    def _await_acknowledgement(self) -> None:
        """Return when the far side has acknowledged every byte; fail when it stops doing so for stall_s."""
        progress = self._progress()
        while waiting := self._unacknowledged():
            if progress.stalled(waiting):
                self._fail(f"the printer stopped taking data for {self._settings.stall_s:g} s")
            self._wait_for_words(ACK_TICK_S)
        self._whole = True

    def _await_close(self) -> None:
        """Return when the far side has closed in order, or when it has had the time to."""
        deadline = time.monotonic() + self._patience()
        while not self._silent and (left := deadline - time.monotonic()) > 0:
            self._wait_for_words(left)
        self._raise_if_broken()

    def _patience(self) -> float:
        """Seconds to wait for the far side's close."""
        if not self._settings.half_close or self._settings.waits_for_close is False:
            return self._settings.taken_s
        return self._settings.close_s

    def _judge(self, *, answered: bool) -> Receipt:
        """The receipt for a job that was acknowledged to its last byte."""
        if answered:
            return Receipt("closed", f"{self._uri} took {self.sent} bytes and closed in order", closed=True)
        if self._silent or not self._settings.half_close:
            return Receipt("taken", f"{self._uri} took {self.sent} bytes")
        if self._settings.waits_for_close:
            self._fail(f"it has always closed the connection before, but did not within {self._settings.close_s:g} s")
        return Receipt("taken", f"{self._uri} took {self.sent} bytes and did not close", closed=False)

    # -- what the far side says and does

    def _listen(self) -> None:
        """Keep what the printer says, and notice its close. Raises OSError when the connection is broken."""
        with suppress(BlockingIOError):
            for _ in range(READS):
                words = self._sock.recv(READ)
                if not words:
                    self._silent = True
                    return
                self._ear.add(words)

    def _wait_for_words(self, seconds: float) -> None:
        if self._silent:
            self._raise_if_broken()
            time.sleep(seconds)  # a closed socket is readable for ever: polling it would spin
        elif tcpsocket.poll(self._sock, seconds, read=True):
            self._listen()

    def _raise_if_broken(self) -> None:
        """A reset that follows the far side's close is kept here, while reading goes on to say "end of file"."""
        if broken := self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(broken, os.strerror(broken))

    def _unacknowledged(self) -> int:
        """Bytes the far side has not acknowledged, 0 where the platform cannot tell."""
        waiting = tcpsocket.unacknowledged(self._sock)
        # Our FIN counts as one, and comes last: when it alone is missing, all data has been acknowledged.
        return max(0, waiting - self._half_closed)

    def _how_far(self) -> str:
        """How much left, in words: the most, and the least where the platform can tell."""
        text = f"{self.sent} bytes were handed over"
        if not COUNTS_ACKNOWLEDGEMENTS:
            return text
        return f"{text} (at least {max(0, self.sent - self._unacknowledged())} acknowledged)"

    def _fail(self, cause: str, error: OSError | None = None) -> NoReturn:
        """The two cases a caller has: nothing left, or something may have."""
        if not self.sent:
            remedy = _remedy(error) if error else _CHECK
            raise PrinterUnreachable(f"nothing was sent to {self._uri}: {cause}; {remedy}") from error
        text = f"{self._uri}: {cause}; {self._how_far()}; {_LOOK}"
        raise SendInterrupted(text, sent=self.sent, total=self._offered) from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remedy(error: OSError) -> str:
    return _REMEDIES.get(error.errno or 0, _CHECK)
