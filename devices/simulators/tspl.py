"""The TSPL interpreter of a simulated printer. TSPL/TSPL2 Programming Language manual (TSC Auto ID)."""

from __future__ import annotations

import re
from collections.abc import Callable

from devices.commands import Harm
from devices.commands.tspl import harm
from devices.errors import BadPrinterData
from devices.readers._tspl_stream import Line, Stream
from devices.readers.tspl import MAX_PICTURE, Printer
from devices.simulators.front import Front
from devices.simulators.machine import Machine

_STX, _END = b"\x02", b"\x03\r\n"
_DRAWS = frozenset("BITMAP BAR BOX TEXT BLOCK BARCODE QRCODE DMATRIX PDF417 PUTBMP PUTPCX".split())
_CUTTER = re.compile(rb"\s*(?:PARTIAL_)?CUTTER\s+(\w+)", re.IGNORECASE)


class TsplFront:
    """Immediate commands (ESC !) are obeyed as they come, save within pictures; lines when they end."""

    language = "tspl"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._immediate = True
        self._begin()

    def _begin(self) -> None:
        """As it is when switched on: the label loaded is the SIZE."""
        machine = self._machine
        self._stream = Stream(MAX_PICTURE)
        self._printer = Printer(resolutions=(machine.dpi,))
        sides = [machine.width] if machine.height is None else [machine.width, machine.height]
        self._printer.size = tuple((float(side), "dot") for side in sides)
        self._printed = 0  # bytes up to the last PRINT
        self._drawing = False
        self._cuts = False

    def feed(self, data: bytes) -> bytes:
        """Obey what these bytes complete."""
        stream, answer = self._stream, b""
        for line in stream.feed(data):
            if line.inside:
                continue
            if line.name.startswith("ESC !"):
                answer += self._at_once(line.name[-1])
            else:
                answer += self._obey(line)
            if self._stream is not stream:
                break  # reset: what came with it is lost
        return answer

    def unfinished(self) -> int:
        """Bytes since the last PRINT, when something is drawn or begun that is not printed."""
        return self._stream.passed - self._printed if self._drawing or self._stream.open else 0

    # Lines

    def _obey(self, line: Line) -> bytes:
        if line.name.startswith("~!"):
            return self._asked(line.name)
        if line.name == "PRINT":
            self._print(line)
        elif line.name in _NOTED:
            self._machine.note(_NOTED[line.name])
        elif line.name == "SET" and (found := _CUTTER.match(line.text)):
            self._cuts = found[1].upper() not in (b"OFF", b"0")
        elif harm(line) is Harm.UNKNOWN:
            self._machine.note("unknown command", command=line.name)
        else:
            self._drawing = line.name in _DRAWS or self._drawing and line.name != "CLS"
            self._draw(line)
        return b""

    def _draw(self, line: Line) -> None:
        try:
            self._printer.obey(line)
        except BadPrinterData as error:
            self._machine.note("cannot read", error=str(error))

    def _print(self, line: Line) -> None:
        """PRINT: one label more for the machine."""
        self._printer.left = self._printer.limit
        self._draw(line)
        size, self._printed, self._drawing = line.end - self._printed, line.end, False
        after: Callable[[], None] | None = (lambda: self._machine.note("cut")) if self._cuts else None
        for label in self._printer.labels:
            self._machine.put(label.bitmap, copies=label.copies, size=size, after=after)
        self._printer.labels.clear()

    # Answers

    def _asked(self, question: str) -> bytes:
        """~! questions wait for their turn, and a printer that cannot print does not answer."""
        machine = self._machine
        if question == "~!E":
            self._immediate = True
        if machine.blocked:
            return b""
        kilometers = machine.counter * (machine.height or machine.dpi) / machine.dpi * 25.4e-6
        return {
            "~!T": machine.name.encode("ascii", "replace") + b"\r",
            "~!@": b"%d\r" % kilometers,
            "~!A": b"4194304\r",
            "~!I": b"437, 001\r",
            "~!F": b"\x1a",
        }.get(question, b"")

    def _at_once(self, letter: str) -> bytes:
        """ESC ! and a letter."""
        machine = self._machine
        if not self._immediate:
            return b""
        match letter:
            case "?":
                return bytes([self._status_byte()])
            case "S":
                return _STX + self._status_frame() + _END
            case "P":
                machine.pause()
            case "O":
                machine.resume()
            case "D":
                self._immediate = False
            case "F":
                machine.note("feed")
            case ".":
                machine.note("cancel", dropped=machine.drop())
            case "R" | "C":
                machine.note("reset", dropped=machine.drop())
                self._begin()
            case _:
                machine.note("unknown command", command=f"ESC ! {letter}")
        return b""

    def _status_byte(self) -> int:
        """ESC ! ?: the faults together; else paused, or printing. Paper out tells more than a jam."""
        machine = self._machine
        jam = machine.jam and not machine.paper_out
        faults = machine.head_open | jam << 1 | machine.paper_out << 2 | machine.ribbon_out << 3
        return faults or (0x10 if machine.paused else 0x20 if machine.waiting else 0)

    def _status_frame(self) -> bytes:
        """ESC ! S: what it does, warnings, errors, errors."""
        machine = self._machine
        errors = machine.paper_out | machine.jam << 1 | machine.ribbon_out << 2 | machine.head_open << 5
        message = b"E" if errors else b"`" if machine.paused else b"P" if machine.waiting else b"@"
        warnings = machine.near_end | (machine.room() <= 0) << 3
        return message + bytes([0x40 | warnings, 0x40, 0x40 | errors])


_NOTED = {
    "SELFTEST": "self-test", "CUT": "cut", "FEED": "feed", "FORMFEED": "feed", "HOME": "feed", "BACKFEED": "feed",
    "BACKUP": "feed", "FILES": "file list", "KILL": "file erased", "DOWNLOAD": "file stored",
}  # fmt: skip


def front(machine: Machine) -> Front:
    """An interpreter as it is when the printer is switched on."""
    return TsplFront(machine)
