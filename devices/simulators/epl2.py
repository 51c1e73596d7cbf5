"""An EPL2 printer: P prints the image buffer, ^ee and UQ are answered, errors are remembered.

Facts are from the EPL Programming Guide (Zebra 14245L), named by command. Drawing is that of devices.readers.epl2, so
text, barcodes, stored pictures and forms are left blank and named in the paper log.
"""

from __future__ import annotations

from collections.abc import Callable

from devices.errors import BadPrinterData
from devices.readers._epl2_stream import Command, Stream
from devices.readers.epl2 import Printer
from devices.simulators.front import Front
from devices.simulators.machine import Machine

DRAWN = 32 << 20  # bytes of pictures unpacked for one label
ACK, NAK = b"\x06", b"\x15"
_BUFFER = frozenset("q Q R A B b GG FR LO LW LE LS X GW FS FE".split())  # what the reader's printer obeys
_QUIET = frozenset("C D EK ES FK GK I JB JC JF M O S UA UB V Z f i o r ;".split())  # obeyed, nothing to be seen


class Epl2:
    """The interpreter."""

    language = "epl2"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._forget()

    def _forget(self) -> None:
        """As it is switched on."""
        self._stream = Stream(keep=True)
        self._printer = Printer(DRAWN)
        self._printer.width, self._printer.length = self.machine.width, self.machine.height
        self._error = b""  # the last error of a command; N takes it back
        self._reports = False  # US
        self._size = 0  # bytes since the last P

    def feed(self, data: bytes) -> bytes:
        """Labels go to the machine; the answers come back."""
        self._size += len(data)
        return b"".join([self._obey(command) for command in self._stream.feed(data)])

    def unfinished(self) -> int:
        """Bytes of a line or picture that has not ended, and of an image buffer that was not printed."""
        return max(self._stream.held, self._size if self._printer.buffer.marks else 0)

    def _obey(self, command: Command) -> bytes:
        """Carry out one command; its answer. What lies between FS and FE is stored."""
        if command.name in _BUFFER:
            self._draw(command)
        elif self._printer.storing:
            return b""
        elif act := _ACTS.get(command.name):
            return act(self, command)
        elif command.name not in _QUIET:
            return self._failed(b"01", command)
        return b""

    def _draw(self, command: Command) -> None:
        """Into the image buffer, or its settings."""
        try:
            self._printer.obey(command)
        except BadPrinterData as error:
            self._error = b"02"
            self._printer.left = DRAWN
            self.machine.note("not drawn", why=str(error))

    def _failed(self, code: bytes, command: Command) -> bytes:
        """Remember an error; told at once where US asks for it."""
        self._error = code
        name = command.name or command.text[:16].decode("ascii", "replace")
        self.machine.note("unknown command", command=name, at=command.at)
        return NAK + code if self._reports else b""

    def _clear(self, command: Command) -> bytes:
        """N."""
        self._printer.obey(command)
        self._error = b""
        return b""

    def _print(self, command: Command) -> bytes:
        """P: one format for the machine; with US each is acknowledged once it is printed."""
        self._printer.left = DRAWN
        blank = not self._printer.buffer.marks
        try:
            self._printer.obey(command)
        except BadPrinterData as error:
            self.machine.note("not drawn", why=str(error))
        labels, self._printer.labels = self._printer.labels, []
        for label in labels:
            if label.undrawn:
                self.machine.note("not drawn", commands=list(label.undrawn))
            after = (lambda: self.machine.say(ACK)) if self._reports else None
            self.machine.put(None if blank else label.bitmap, copies=label.copies, size=self._size, after=after)
        self._size = 0
        return b""

    def _report(self, command: Command) -> bytes:
        """^ee: one code, the gravest."""
        machine = self.machine
        codes = [
            (machine.head_open, b"11"), (machine.paper_out or machine.ribbon_out, b"07"), (machine.jam, b"84"),
            (machine.paused, b"12"), (bool(self._error), self._error), (machine.waiting > 0, b"50"),
        ]  # fmt: skip
        return next((code for holds, code in codes if holds), b"00") + b"\r\n"

    def _settings(self, command: Command) -> bytes:
        """UQ: the lines of the status printout."""
        printer, machine = self._printer, self.machine
        lines = [
            f"{machine.name} V4.70", "Serial port:96,N,8,1", "Page Mode",
            f"Image buffer size:{machine.buffer // 1024:04}K",
            "Fmem:0 (bytes)", "Gmem:0", "Emem:0", "Available: 100959", "I8,0,001 rY JF WN",
            f"S4 D08 R000,000 ZT {'US' if self._reports else 'UN'}",
            f"q{printer.width or machine.width} Q{printer.length or 0},024", "Option:d,Ff",
        ]  # fmt: skip
        return b"".join([line.encode("ascii", "replace") + b"\r\n" for line in lines])

    def _reset(self, command: Command) -> bytes:
        """^@: as if it had been switched off and on."""
        self.machine.note("reset", lost=self.machine.drop())
        self._forget()
        return b""

    def _defaults(self, command: Command) -> bytes:
        """^default."""
        self.machine.note("factory defaults")
        return b""

    def _cut(self, command: Command) -> bytes:
        """C without parameters cuts at once; with them it is a counter."""
        if not command.text.strip():
            self.machine.note("cut")
        return b""

    def _listing(self, command: Command) -> bytes:
        """U, EI, FI, GI, UP: a label with a list on it."""
        self.machine.put(None)
        return b""

    def _reporting(self, command: Command) -> bytes:
        """US, UT, UN."""
        self._reports = command.name != "UN"
        return b""

    def _store(self, command: Command) -> bytes:
        """GM: not kept, so that what recalls it is named."""
        self.machine.note(
            "stored", what=command.text.split(b'"')[1].decode("ascii", "replace"), bytes=len(command.data)
        )
        return b""


_ACTS: dict[str, Callable[[Epl2, Command], bytes]] = {
    "N": Epl2._clear,
    "P": Epl2._print,
    "^ee": Epl2._report,
    "UQ": Epl2._settings,
    "^@": Epl2._reset,
    "^default": Epl2._defaults,
    "C": Epl2._cut,
    "U": Epl2._listing,
    "EI": Epl2._listing,
    "FI": Epl2._listing,
    "GI": Epl2._listing,
    "US": Epl2._reporting,
    "UT": Epl2._reporting,
    "UN": Epl2._reporting,
    "GM": Epl2._store,
}


def front(machine: Machine) -> Front:
    """An EPL2 interpreter for `machine`."""
    return Epl2(machine)
