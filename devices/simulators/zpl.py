"""A ZPL printer: formats become labels, ~ commands act at once, status and SGD questions are answered.

Facts are from the ZPL II Programming Guide (Zebra P1099958), named by command. Drawing is that of devices.readers.zpl,
so text and barcodes are left blank and named in the paper log.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from devices.errors import BadPrinterData
from devices.readers import zpl as reader
from devices.simulators.front import Front
from devices.simulators.machine import Machine

MOST = 4 << 20  # bytes of one format or command; what is longer is forgotten
STORED = 1 << 20  # bytes of pictures stored by ~DG
DRAWN = 32 << 20  # bytes of pictures unpacked for one format
_HEAD = 128  # bytes that hold the parameters before binary data

_BINARY = {"^GF": (0, 1, 4), "~DY": (1, 3, 5)}  # index of the kind (B, C: binary) and of the count; data comes after
_PREFIXES = {"CC": "caret", "CT": "tilde", "CD": "delimiter"}
_LASTING = frozenset({"^PW", "^LL", "^LH", "^LR"})  # outlive a format
_KEPT = frozenset({"^GF", "~DG", "~DY"})  # their data is looked at outside of a format too
_PLAIN = re.compile(rb"[\d, ]{0,32}|[YN]")
_SGD = re.compile(rb'!\s*U1\s+getvar\s+"([\w.]{1,64})"(?=[ \r\n])')


@dataclass(slots=True)
class _Stream:
    """Bytes not wholly understood yet.

    at: where the next prefix is looked for. start: of the open format, or -1. name: the command whose parameters are
    being read, "" where they do not matter. text: where they begin. gap: where an SGD line may begin.
    """

    data: bytearray = field(default_factory=bytearray)
    at: int = 0
    start: int = -1
    name: str = ""
    text: int = 0
    gap: int = 0


class Zpl:
    """The interpreter."""

    language = "zpl"

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._forget()

    def _forget(self) -> None:
        """As it is switched on."""
        self._stream = _Stream()
        self.caret, self.tilde, self.delimiter = b"^", b"~", b","
        self._begun_with = (b"^", b"~", b",")
        self._lasting: dict[str, bytes] = {}
        self._stored: dict[bytes, bytes] = {}
        self._stores = False  # the open format is a ^DF: it is kept, not printed

    def feed(self, data: bytes) -> bytes:
        """Labels go to the machine; the answers come back."""
        self._stream.data += data
        answers = bytearray()
        while (said := self._step()) is not None:
            answers += said
        self._prune()
        return bytes(answers)

    def unfinished(self) -> int:
        """Bytes since an ^XA whose ^XZ has not come."""
        return len(self._stream.data) - self._stream.start if self._stream.start >= 0 else 0

    # -- the stream as commands

    def _step(self) -> bytes | None:
        """Take one command; its answer. None when more bytes are needed."""
        stream = self._stream
        if stream.name in _BINARY and not self._past_binary():
            return None
        found = _prefixes(self.caret, self.tilde).search(stream.data, stream.at)
        end = found.start() if found else len(stream.data)
        if said := self._of_sgd(end):
            return said
        if found is None:
            stream.at = end
            return None
        head = bytes(stream.data[found.end() : found.end() + 4])
        name = ("^" if found[0] == self.caret else "~") + head[:2].decode("latin-1").upper()
        if len(head) < _needed(name):
            stream.at = found.start()
            return None
        self._complete(found.start())
        return self._begin(name, head, found.start())

    def _begin(self, name: str, head: bytes, at: int) -> bytes:
        """A command begins at `at`; those without parameters are carried out."""
        stream = self._stream
        stream.at = stream.text = stream.gap = at + 3
        stream.name = name if stream.start >= 0 or name in _KEPT else ""
        if name[1:] in _PREFIXES:
            setattr(self, _PREFIXES[name[1:]], head[2:3])
            stream.at = stream.gap = at + 4
            stream.name = ""
        elif name == "^XA":
            stream.start, stream.name, self._stores = at, "", False
            self._begun_with = (self.caret, self.tilde, self.delimiter)
        elif name == "^XZ" and stream.start >= 0:
            self._print(bytes(stream.data[stream.start : at + 3]))
            stream.start, stream.name = -1, ""
        elif name == "~HQ":
            stream.at = stream.gap = at + 5
            stream.name = ""
            return self._query(head[2:4].decode("latin-1").upper())
        elif name in _AT_ONCE:
            stream.name = ""
            return _AT_ONCE[name](self)
        return b""

    def _complete(self, end: int) -> None:
        """The parameters of the command before are complete."""
        stream = self._stream
        name, stream.name = stream.name, ""
        if name in _LASTING and stream.start >= 0:
            text = bytes(stream.data[stream.text : end]).replace(self.delimiter, b",").strip()
            if _PLAIN.fullmatch(text):
                self._lasting[name] = text
        elif name == "~DG":
            self._store(bytes(stream.data[stream.text : end]))
        elif name == "^DF":
            self._stores = True

    def _past_binary(self) -> bool:
        """Skip what ^GFB and ~DY bring along. False while it has not all come."""
        stream = self._stream
        kind, count, before = _BINARY[stream.name]
        head = bytes(stream.data[stream.text : stream.text + _HEAD])
        parts = head.split(self.delimiter, before)
        if len(parts) <= before:
            return len(head) == _HEAD or self.caret in head or self.tilde in head
        size = parts[count].strip()
        if parts[kind].strip().upper() in (b"B", b"C") and size.isdigit():
            end = stream.text + sum(len(part) + 1 for part in parts[:before]) + min(int(size[:8]), MOST)
            stream.at = max(stream.at, end)
        return stream.at <= len(stream.data)

    def _of_sgd(self, end: int) -> bytes:
        """The answer to the first SGD question before `end`; b"" when there is none."""
        stream = self._stream
        found = None if stream.start >= 0 or stream.name else _SGD.search(stream.data, stream.gap, end)
        if found is None:
            return b""
        stream.gap = found.end()
        return self._variable(found[1].decode())

    def _prune(self) -> None:
        """Keep what is not understood yet: an open format, a command being read, the beginning of an SGD line."""
        stream = self._stream
        if stream.start >= 0:
            keep = stream.start
        elif stream.name:
            keep = stream.text - 3
        else:
            keep = max(stream.gap, stream.at - _HEAD)
        if len(stream.data) - keep > MOST:
            self.machine.note("format too large", bytes=len(stream.data) - keep)
            self._stream = _Stream()
            return
        del stream.data[:keep]
        stream.at -= keep
        stream.text -= keep
        stream.gap -= keep
        stream.start -= keep if stream.start >= 0 else 0

    # -- labels

    def _print(self, format_: bytes) -> None:
        """^XZ: the label is drawn and goes to the machine."""
        if self._stores:
            return
        try:
            label = reader.read(self._before(format_) + format_, limit=DRAWN)[-1]
        except (BadPrinterData, IndexError) as error:
            self.machine.note("not drawn", why=str(error))
            return
        if label.bitmap is None and not label.undrawn:
            return  # a format without a field feeds no label
        if label.undrawn:
            self.machine.note("not drawn", commands=list(label.undrawn))
        self.machine.put(label.bitmap, copies=label.copies, size=len(format_))

    def _before(self, format_: bytes) -> bytes:
        """What the printer remembers, as ZPL, in front of a format: settings, stored pictures, prefixes."""
        height = self.machine.height
        usual = {"^PW": b"%d" % self.machine.width, **({"^LL": b"%d" % height} if height else {})}
        settings = b"".join([name.encode() + text for name, text in {**usual, **self._lasting}.items()])
        stored = b""
        if b"XG" in format_.upper() or b"IM" in format_.upper():
            stored = b"".join([b"~DG%s,%s" % item for item in self._stored.items()])
        caret, tilde, delimiter = self._begun_with
        prefixes = b"^CD%s" % delimiter if delimiter != b"," else b""
        prefixes += b"^CT%s" % tilde if tilde != b"~" else b""
        prefixes += b"^CC%s" % caret if caret != b"^" else b""
        return b"^XA%s^XZ%s%s" % (settings, stored, prefixes)

    def _store(self, text: bytes) -> None:
        """~DGd:o.x,t,w,data."""
        name, *rest = text.split(self.delimiter, 3)
        name = name.strip().upper()
        if b"^" in text or b"~" in text:
            return  # no picture: it would be read as commands in front of a format
        self._stored.pop(name, None)
        self._stored[name] = b",".join(rest)
        while sum(map(len, self._stored.values())) > STORED:
            del self._stored[next(iter(self._stored))]

    # -- ~ commands

    def _pause(self) -> bytes:
        """~PP."""
        self.machine.pause()
        return b""

    def _start(self) -> bytes:
        """~PS."""
        self.machine.resume()
        return b""

    def _cancel(self) -> bytes:
        """~JA: all formats in the buffer, one that has not ended too, and the batch that prints."""
        self._stream.start = -1
        self.machine.note("cancelled", labels=self.machine.drop())
        return b""

    def _drop(self) -> bytes:
        """~JX: the format that has begun and not ended."""
        self._stream.start = -1
        return b""

    def _reset(self) -> bytes:
        """~JR: as if it had been switched off and on."""
        self.machine.note("reset", lost=self.machine.drop())
        rest = bytes(self._stream.data[self._stream.at :])
        self._forget()
        self._stream.data += rest
        return b""

    def _status(self) -> bytes:
        """~HS: three strings. Not answered with media or ribbon out or the head open, as the guide says."""
        machine = self.machine
        if machine.paper_out or machine.ribbon_out or machine.head_open:
            return b""
        length = self._lasting.get("^LL", b"").strip()
        dots = int(length[:5]) if length.isdigit() else machine.height or 0
        full, partial = machine.room() <= 0, self._stream.start >= 0
        formats = min(machine.formats, 999)
        batch = min(machine.batch, 99_999_999)
        return (
            b"\x02030,%d,%d,%04d,%03d,%d,0,%d,000,0,0,0\x03\r\n"
            % (machine.paper_out, machine.paused, min(dots, 9999), formats, full, partial)
            + b"\x02000,0,%d,%d,0,2,4,0,%08d,1,%03d\x03\r\n"
            % (machine.head_open, machine.ribbon_out, batch, min(len(self._stored), 999))
            + b"\x020000,0\x03\r\n"
        )

    def _identity(self) -> bytes:
        """~HI: model, firmware, dots/mm, memory, options."""
        name = self.machine.name.replace(",", " ")
        return b"\x02%s,V1.0.0Z,%d,8192KB\x03\r\n" % (name.encode(), round(self.machine.dpi / 25.4))

    def _memory(self) -> bytes:
        """~HM: total, most that can be had, free, in kB."""
        return b"8192,8192,%d\r\n" % (8192 - sum(map(len, self._stored.values())) // 1024)

    def _query(self, what: str) -> bytes:
        """~HQ: ES is answered in every state; OD tells inches, SN the serial number."""
        machine = self.machine
        lines = {
            "ES": ["PRINTER STATUS", *self._flags()],
            "SN": ["SERIAL NUMBER", f" {machine.serial}"],
            "OD": ["PRINT METERS", f' TOTAL NONRESETTABLE:        {self._inches():>7} "'],
        }.get(what)
        if lines is None:
            return b""
        body = "".join(f"  {line:<42}\r\n" for line in lines)
        return b"\x02\r\n\r\n%s\x03\r\n" % body.encode()

    def _flags(self) -> list[str]:
        """~HQES: the error and warning bits."""
        machine = self.machine
        errors = (
            0x1 * machine.paper_out | 0x2 * machine.ribbon_out | 0x4 * machine.head_open | 0x4000 * machine.jam
            | 0x10000 * machine.paused
        )  # fmt: skip
        warnings = 0x8 * machine.near_end
        return [f" ERRORS:         {errors > 0:d} 00000000 {errors:08X}",
                f" WARNINGS:       {warnings > 0:d} 00000000 {warnings:08X}"]  # fmt: skip

    def _inches(self) -> int:
        return round(self.machine.counter * (self.machine.height or self.machine.dpi) / self.machine.dpi)

    def _variable(self, name: str) -> bytes:
        """SGD getvar: the value in quotes, "?" for what is not known."""
        machine = self.machine
        values = {
            "odometer.total_label_count": machine.counter,
            "odometer.user_label_count": machine.counter,
            "odometer.total_print_length": f"{self._inches()} INCHES, {round(self._inches() * 2.54)} CENTIMETERS",
            "device.friendly_name": machine.serial,
            "device.unique_id": machine.serial,
            "device.product_name": machine.name,
            "device.languages": "zpl",
            "appl.name": "V1.0.0Z",
            "head.latch": "open" if machine.head_open else "ok",
            "media.status": "out" if machine.paper_out else "ok",
            "device.pause": "on" if machine.paused else "off",
        }
        return b'"%s"' % str(values.get(name, "?")).encode()


_AT_ONCE: dict[str, Callable[[Zpl], bytes]] = {
    "~PP": Zpl._pause,
    "~PS": Zpl._start,
    "~JA": Zpl._cancel,
    "~JX": Zpl._drop,
    "~JR": Zpl._reset,
    "~HS": Zpl._status,
    "~HI": Zpl._identity,
    "~HM": Zpl._memory,
}


@lru_cache(maxsize=64)
def _prefixes(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    return re.compile(b"[%s%s]" % (re.escape(caret), re.escape(tilde)))


def _needed(name: str) -> int:
    """Bytes after the prefix that make a command known: ~HQES has two letters more, ^CC the new prefix."""
    return 4 if name == "~HQ" else 3 if name[1:] in _PREFIXES else 2


def front(machine: Machine) -> Front:
    """A ZPL printer's interpreter."""
    return Zpl(machine)
