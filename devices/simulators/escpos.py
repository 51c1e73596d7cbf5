"""The interpreter of a simulated receipt printer: ESC/POS in, receipts out, status answers back.

Facts are from Epson's ESC/POS Command Reference, named by command. Real-time commands are obeyed where a command could
begin; a real printer obeys them inside of pictures too. What is printed comes out when it is cut. A receipt that is
never cut comes out once nothing has been heard for PAUSE_S, or when GS ( H asks whether it is printed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from devices.errors import BadPrinterData
from devices.readers._escpos_printer import Printer
from devices.readers._escpos_stream import Stream, Token
from devices.readers.escpos import CUTS
from devices.simulators.front import Front
from devices.simulators.machine import Machine

PAUSE_S = 0.5  # seconds
MOST = 4 << 20  # bytes of one command that are kept
BUDGET = 64 << 20  # bytes of rows a receipt may take


class EscPosFront:
    """Prints on `machine`, whose width is that of the head. Fed by one thread, told of changes by any."""

    language = "escpos"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._stream = Stream(keep=MOST)
        self._printer = Printer(limit=BUDGET, dots=machine.width)
        self._held = 0
        self._automatic = 0  # n of GS a
        self._last_pushed = b""
        self._proofs: list[bytes] = []
        self._timer: threading.Timer | None = None
        self._gone = False
        self._lock = threading.RLock()
        self._pushing = threading.Lock()  # never held while the machine is called: it may call back with its own
        machine.on_change.append(self._changed)
        machine.on_power.append(self._power)

    def feed(self, data: bytes) -> bytes:
        """Obey; give back the answers that are due at once."""
        with self._lock:
            said = b"".join([self._obey(token) for token in self._stream.feed(data)])
            self._wait()
            return said

    def unfinished(self) -> int:
        """Bytes of a command or of a receipt that is not cut."""
        with self._lock:
            open_token = self._stream.token
            return self._held + (open_token.size if open_token else 0)

    def _obey(self, token: Token) -> bytes:
        """One command or piece of text; what the printer answers to it."""
        if token.name in _ANSWERS:
            return _ANSWERS[token.name](self, token)
        self._held += token.size
        if not token.known:
            self.machine.note("unknown command", command=token.name)
            return b""
        try:
            self._printer.obey(token)
        except BadPrinterData as error:
            self._unreadable(error)
        if token.name in CUTS:
            self._cut(token)
        return b""

    # Paper

    def _unreadable(self, error: BadPrinterData) -> None:
        self.machine.note("unreadable", why=str(error))
        self._printer = Printer(limit=BUDGET, dots=self.machine.width)

    def _cut(self, token: Token) -> None:
        mode = (
            "full" if token.name == "ESC i" or bytes(token.data[:1]) in (b"\0", b"0", b"A", b"a", b"g") else "partial"
        )
        self._print(lambda: self.machine.note("cut", mode=mode))

    def _print(self, after: Callable[[], None] | None = None) -> None:
        """What has been drawn since the last cut goes to the mechanism."""
        label = None
        try:
            label = self._printer.take()
        except BadPrinterData as error:
            self._unreadable(error)
        size, self._held = self._held, 0
        self._printer.roll.left = BUDGET
        if label is not None:
            self.machine.put(label.bitmap, size=size, after=after)
        elif after is not None:
            after()

    def _wait(self) -> None:
        """Set the clock of a receipt that has no cut yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held and not self._gone and self._stream.token is None:
            self._timer = threading.Timer(PAUSE_S, self._paused)
            self._timer.daemon = True
            self._timer.start()

    def _paused(self) -> None:
        with self._lock:
            if not self._gone and self._stream.token is None:
                self._print()

    # Status

    def _changed(self) -> None:
        """Push ASB when it has changed, and the process IDs of what is printed."""
        if self._gone or not self.machine.powered:
            return
        now, printed, push = automatic(self.machine), not self.machine.waiting, b""
        with self._pushing:
            if self._automatic and now != self._last_pushed:
                self._last_pushed = push = now
            if printed:
                push += b"".join(self._proofs)
                self._proofs = []
        self.machine.say(push)

    def _power(self, on: bool) -> None:
        """The plug: a new front is made when it is back."""
        with self._lock:
            self._gone = True
            if self._timer is not None:
                self._timer.cancel()
        for listeners, mine in ((self.machine.on_change, self._changed), (self.machine.on_power, self._power)):
            if mine in listeners:
                listeners.remove(mine)  # type: ignore[arg-type]

    def _real_time_status(self, token: Token) -> bytes:
        """DLE EOT n."""
        n = token.number(0, 1)
        return bytes([real_time(self.machine, n)]) if 1 <= n <= 4 else b""

    def _recover(self, token: Token) -> bytes:
        """DLE ENQ 1 goes on after an error, 2 forgets what is in the buffers first."""
        if token.number(0, 1) == 2:
            self._forget()
        self.machine.set("jam", False)
        return b""

    def _real_time_request(self, token: Token) -> bytes:
        """DLE DC4 1 m t opens the drawer, 2 turns the printer off, 8 forgets what is in the buffers."""
        match token.number(0, 1):
            case 1:
                t = token.number(2, 1) * 100
                self.machine.note("drawer", pin=5 if token.number(1, 1) else 2, on_ms=t, off_ms=t)
            case 2:
                self.machine.note("power off asked for")
            case 8:
                self._forget()
        return b""

    def _forget(self) -> None:
        """Process IDs of what is forgotten are never told (GS ( H)."""
        self._printer = Printer(limit=BUDGET, dots=self.machine.width)
        self._held = 0
        with self._pushing:
            self._proofs = []
        self.machine.note("cleared", labels=self.machine.drop())

    def _drawer(self, token: Token) -> bytes:
        """ESC p m t1 t2: on for t1, off for t2 times 2 ms; m 0 or 48 is pin 2."""
        pin = 5 if token.number(0, 1) % 48 else 2
        self.machine.note("drawer", pin=pin, on_ms=token.number(1, 1) * 2, off_ms=token.number(2, 1) * 2)
        return b""

    def _sensors(self, token: Token) -> bytes:
        """GS r 1: paper, as a printer that is online has it; GS r 2: the drawer. Not answered while offline."""
        if self.machine.blocked:
            return b""
        paper = token.number(0, 1) % 48 == 1 and self.machine.near_end
        return b"\x03" if paper else b"\0"

    def _identity(self, token: Token) -> bytes:
        """GS I n: 1 and 2 are bytes, 65 to 68 firmware, maker, model, serial number between an underscore and NUL."""
        n = token.number(0, 1)
        if n in (1, 2, 3, 49, 50, 51):
            return b"\x02"
        texts = {65: "1.00", 66: "PRINT-BRIDGE", 67: self.machine.name, 68: self.machine.serial}
        return b"_%s\0" % texts[n].encode("ascii", "replace") if n in texts else b""

    def _enable_automatic(self, token: Token) -> bytes:
        """GS a n: any bit set turns Automatic Status Back on, and the first comes at once."""
        now = automatic(self.machine)
        with self._pushing:
            self._automatic = token.number(0, 1)
            self._last_pushed = now if self._automatic else b""
            return self._last_pushed

    def _proof(self, token: Token) -> bytes:
        """GS ( H <fn 48>: the process ID comes back when everything before it is printed."""
        if token.data[2:4] != b"00" or len(token.data) != 8:
            return b""
        self._print()
        answer = b"\x37\x22" + bytes(token.data[4:8]) + b"\0"
        with self._pushing:
            self._proofs.append(answer)
        self._changed()
        return b""


_ANSWERS: dict[str, Callable[[EscPosFront, Token], bytes]] = {
    "DLE EOT": EscPosFront._real_time_status,
    "DLE ENQ": EscPosFront._recover,
    "DLE DC4": EscPosFront._real_time_request,
    "ESC p": EscPosFront._drawer,
    "GS r": EscPosFront._sensors,
    "GS I": EscPosFront._identity,
    "GS a": EscPosFront._enable_automatic,
    "GS ( H": EscPosFront._proof,
}


def real_time(machine: Machine, n: int) -> int:
    """The answer to DLE EOT n."""
    byte = 0x12
    match n:
        case 1:
            byte |= 0x08 * machine.blocked
        case 2:
            byte |= 0x04 * machine.head_open | 0x20 * machine.paper_out | 0x40 * machine.jam
        case 3:
            byte |= 0x08 * machine.jam
        case 4:
            byte |= 0x0C * (machine.near_end or machine.paper_out) | 0x60 * machine.paper_out
    return byte


def automatic(machine: Machine) -> bytes:
    """The four bytes of Automatic Status Back."""
    first = 0x10 | 0x08 * machine.blocked | 0x20 * machine.head_open
    paper = 0x03 * (machine.near_end or machine.paper_out) | 0x0C * machine.paper_out
    return bytes([first, 0x08 * machine.jam, paper, 0])


def front(machine: Machine) -> Front:
    """A receipt printer just switched on."""
    return EscPosFront(machine)
