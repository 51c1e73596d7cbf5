"""A ZPL stream, piece by piece, as commands; and what it left unfinished.

Minded are other prefixes (^CC, ^CT, ^CD), the control characters that stand for ^ ~ ^XA ^XZ ^FS, counted binary data
(^GF and ~DY with B or C, CISDFCRC16 downloads), which hides whatever it holds, and SGD lines (`! U1 ...`). Hexadecimal
data needs no minding: any prefix ends it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from devices.commands import Command, Harm
from devices.commands.zpl.harm import harm, sgd

_TEXT = 64  # bytes of parameters that a Command keeps
_HEAD = 128  # bytes of parameters that are waited for, when no prefix ends them before
_LINES = 512  # bytes that hold the five lines before the data of a download
_NAME = re.compile(rb"([\0-\x20]{0,8})([A-Za-z])([\0-\x20]{0,8})([A-Za-z0-9@])")
_NAME_LENGTH = 18
_MOST_FILLING = 8 << 20  # bytes that `ending` supplies

_ALIASES = {b"\x1e": "^", b"\x10": "~"}  # RS and DLE always work, whatever the prefixes are
_SHORT = {b"\x02": "^XA", b"\x03": "^XZ", b"\x0f": "^FS"}  # STX, ETX, SI
_USUAL = {"C": b"^", "D": b",", "T": b"~"}  # what ^CC, ^CD, ^CT change; restored in this order, with ~

_COUNTED = {"^GF": (0, 1, 4), "~DY": (1, 3, 5)}  # index of the kind, index of the count, parameters before the data
_HEXADECIMAL = frozenset("^GF ~DB ~DE ~DG ~DS ~DT ~DU ~DY".split())

_BETWEEN = re.compile(rb"(?:[\0\t-\r ]|\xEF\xBB\xBF|\$\{|\}\$)*+")  # what may stand between formats
_SGD = re.compile(rb'![ \t]+(?:U1?|UTILITIES)(?:\s+|$)(\w*)\s*"?([\w.]*)', re.IGNORECASE)
_DOWNLOAD = re.compile(rb"![ \t]+(CISDFR?CRC16)", re.IGNORECASE)
_DOWNLOAD_HEAD = re.compile(rb"!.*\n.*\n.*\n\s*([0-9A-Fa-f]{1,8})\s*\n.*\n")


class ZplScanner:
    """Reads one stream. Keeps at most a kilobyte of it."""

    def __init__(self) -> None:
        self._held = b""  # what could not be decided yet
        self._at = 0  # its offset in the stream
        self._prefix = dict(_USUAL)
        self._skip = 0  # bytes of counted data to come
        self._in_format = False
        self._by_alias = False  # the format began with STX, which not every maker knows
        self._in_field = False
        self._in_hexadecimal = False
        self._in_line = False
        self._between = True  # nothing but blanks belongs here
        self._fresh = True
        self._cut = ""  # the beginning of a command with which the stream ended

    def feed(self, data: bytes) -> list[Command]:
        """The commands that are known to have begun in what was fed so far and were not given yet."""
        return self._scan(data, final=False)

    def end(self) -> list[Command]:
        """The stream is over: what was still undecided."""
        return self._scan(b"", final=True)

    def _scan(self, data: bytes, *, final: bool) -> list[Command]:
        data = self._held + data
        length = len(data) - (data.endswith(b"!") and not final)  # what follows "!" decides about it
        tail, data = data[length:], data[:length]
        found: list[Command] = []
        at = 0
        while at < length:
            if self._skip:
                taken = min(self._skip, length - at)
                self._skip -= taken
                at += taken
            elif (to := self._step(data, at, final, found)) > at:
                at = to
            else:
                break
        self._held = data[at:] + tail
        self._at += at
        return found

    def _step(self, data: bytes, at: int, final: bool, found: list[Command]) -> int:
        """How far reading gets from `at`: to the next command, or behind it; `at` itself while bytes are missing."""
        next_one = _starts(self._prefix["C"], self._prefix["T"]).search(data, at)
        begin = next_one.start() if next_one else len(data)
        if self._in_line and data.find(b"\n", at, begin) >= 0:
            self._in_line = False
        if self._between and (blank := _between(data, at, begin)) < begin:
            return self._stray(data, blank, begin, final, found)
        if begin > at or not next_one:
            return begin
        sign = next_one[0][:1]
        prefix = "^" if sign == self._prefix["C"] else "~" if sign == self._prefix["T"] else _ALIASES.get(sign)
        if prefix:
            return self._command(prefix, data, at, final, found)
        if sign in _SHORT:
            self._give(found, _SHORT[sign], at, Harm.NONE)
            self._by_alias |= _SHORT[sign] == "^XA" and not self._in_format
            self._remember(_SHORT[sign], b"")
            return at + 1
        return self._line(data, at, final, found)

    def _give(self, found: list[Command], name: str, at: int, kind: Harm, text: bytes = b"") -> None:
        found.append(Command(name, self._at + at, kind, text[:_TEXT]))
        self._fresh = False

    def _stray(self, data: bytes, at: int, begin: int, final: bool, found: list[Command]) -> int:
        """Text between formats: another language, XML or JSON to some printers, nothing to others."""
        text = data[at : min(begin, at + _TEXT)]
        if begin == len(data) and len(text) < _TEXT and not final:
            return at
        if self._fresh and text == b"CT":  # Zebra's drivers begin with DLE C T ~, and the DLE gets lost
            if len(data) < begin + 2 and not final:
                return at
            return begin + (data[begin : begin + 2] == b"~~")
        self._give(found, "text", at, Harm.UNKNOWN, text)
        self._between = False
        return begin

    def _command(self, prefix: str, data: bytes, at: int, final: bool, found: list[Command]) -> int:
        """A command from its prefix on."""
        named = _NAME.match(data, at + 1)
        if not named:
            return self._nameless(prefix, data, at, final, found)
        name, start = prefix + (named[2] + named[4]).decode().upper(), named.end()
        in_doubt = bool(named[1] or named[3])  # printers may or may not skip blanks there
        if name[1:] in ("CC", "CT", "CD"):
            return self._change(name, data, at, start, in_doubt, final, found)
        stop = _stops(self._prefix["C"], self._prefix["T"]).search(data, start, start + _HEAD)
        if not stop and len(data) < start + _HEAD and not final:
            return at
        text = data[start : stop.start() if stop else start + _HEAD]
        kind = harm(name, text, self._prefix["D"])
        in_format = self._in_format and not self._by_alias
        jump = self._remember(name, text)
        in_doubt |= name == "^GF" and jump > 0 and not in_format  # not obeyed there, so its data would be
        self._give(found, name, at, Harm.UNKNOWN if in_doubt and kind is Harm.NONE else kind, text)
        return start + jump

    def _nameless(self, prefix: str, data: bytes, at: int, final: bool, found: list[Command]) -> int:
        """A prefix that no name follows, or not yet."""
        if len(data) <= at + _NAME_LENGTH and not final:
            return at
        self._give(found, prefix, at, Harm.UNKNOWN)
        self._between = False
        rest = data[at + 1 : at + 2 + _NAME_LENGTH].strip()
        if len(data) <= at + 1 + _NAME_LENGTH and (not rest or (len(rest) == 1 and rest.isalpha())):
            self._cut = prefix + rest.decode()
            self._in_field |= self._in_format and prefix == "^"
        return at + 1

    def _change(
        self, name: str, data: bytes, at: int, start: int, in_doubt: bool, final: bool, found: list[Command]
    ) -> int:
        """^CC caret, ^CT tilde, ^CD delimiter: the next byte, whatever it is, takes that part from now on."""
        to, which = data[start : start + 1], name[2]
        if not to and not final:
            return at
        if to == self._prefix[which]:
            kind = Harm.NONE
        else:
            kind = Harm.PREFIX if _is_prefix(to) and to not in self._prefix.values() else Harm.UNKNOWN
        self._give(found, name, at, Harm.UNKNOWN if in_doubt else kind, to)
        self._between = not self._in_format
        if to:
            self._prefix[which] = to
        else:
            self._cut = name
        return start + len(to)

    def _remember(self, name: str, text: bytes) -> int:
        """Keep in mind what the command opens or closes. Bytes of `text` before counted data, else 0."""
        before, self._skip = _counted(name, text, self._prefix["D"])
        self._in_hexadecimal = name in _HEXADECIMAL and not before
        if name in ("^XA", "^XZ", "~JX"):
            self._in_format = name == "^XA"
            self._by_alias &= self._in_format
        if name[0] == "^":
            self._in_field = self._in_format and name not in ("^XA", "^FS")
        self._in_field &= self._in_format
        self._between = name == "^XZ"
        if name[0] == "~" and not self._in_format and not self._in_hexadecimal and not before:
            line, newline, _ = text.partition(b"\n")
            if newline and b"!" not in line:
                self._between, before = True, len(line)
        return before

    def _line(self, data: bytes, at: int, final: bool, found: list[Command]) -> int:
        """What begins with "! ": a line of SGD, a download, or text."""
        stop = _line_ends(self._prefix["C"], self._prefix["T"]).search(data, at + 1, at + _HEAD)
        if not stop and len(data) < at + _HEAD and not final:
            return at
        line = data[at : stop.start() if stop else at + _HEAD]
        if download := _DOWNLOAD.match(line):
            return self._download(download[1].decode().upper(), data, at, final, found)
        if asked := _SGD.match(line):
            verb, variable = asked[1].decode().lower(), asked[2].decode().lower()
            self._give(found, f"! U1 {verb}".rstrip(), at, sgd(verb, variable), line[asked.start(1) :])
            self._in_line = True
            return at + len(line)
        if self._between:
            self._give(found, "text", at, Harm.UNKNOWN, line)
            self._between = False
        return at + 1

    def _download(self, name: str, data: bytes, at: int, final: bool, found: list[Command]) -> int:
        """A file: four lines (CRC, name, bytes in hexadecimal, checksum), then its bytes (Programming Guide, SGD)."""
        lines = data[at : at + _LINES]
        head = _DOWNLOAD_HEAD.match(lines)
        if not head and len(lines) < _LINES and not final:
            return at
        self._give(found, f"! {name}", at, Harm.FILES, head[0] if head else lines)
        if head:
            self._skip = int(head[1], 16)
            return at + head.end()
        self._cut = "\r\n" * max(0, 5 - lines.count(b"\n"))
        return at + 1

    def ending(self) -> bytes:
        """What has to follow so that the next job is read from its first byte on; b"" when nothing is open.

        A command that has begun is made a harmless one, counted data is filled up with zeros (white) as far as 8 MiB,
        hexadecimal data is broken off (~DN), the field and the format are ended, the usual prefixes restored.
        """
        self.end()
        out = self._completed() + bytes(min(self._skip, _MOST_FILLING))
        caret, tilde = self._prefix["C"], self._prefix["T"]
        if self._in_hexadecimal:
            out += tilde + b"DN"
        if self._in_line:
            out += b"\r\n"
        if self._in_format:
            out += (caret + b"FS" if self._in_field else b"") + caret + b"XZ"
        for which, usual in _USUAL.items():
            if self._prefix[which] != usual:
                out += self._prefix["T"] + b"C" + which.encode() + usual
        return out

    def _completed(self) -> bytes:
        """What makes the command with which the stream ended a whole and harmless one."""
        cut, self._cut = self._cut, ""
        if not cut or cut[0] == "\r":
            return cut.encode()
        if cut[1:] in ("CC", "CT", "CD"):
            self._prefix[cut[2]] = _USUAL[cut[2]]
            return _USUAL[cut[2]]
        if cut[1:]:
            return b"@" if b"@" not in self._prefix.values() else b"_"  # no command ends so, save ^A@, a font
        return b"FX" if cut[0] == "^" else b"DN"


def _between(data: bytes, at: int, end: int) -> int:
    """Where what may stand between formats ends."""
    found = _BETWEEN.match(data, at, end)
    return found.end() if found else at


def _is_prefix(byte: bytes) -> bool:
    """Whether people use it as a prefix: printable, and not what names are made of."""
    return byte.isascii() and byte.decode().isprintable() and not byte.isalnum() and byte not in b" @"


def _counted(name: str, text: bytes, delimiter: bytes) -> tuple[int, int]:
    """Bytes of parameters before counted data, and bytes of data; zeros when `name` has none."""
    if name not in _COUNTED:
        return 0, 0
    kind, count, before = _COUNTED[name]
    parts = text.split(delimiter, before)
    if len(parts) <= before or parts[kind].strip().upper() not in (b"B", b"C"):
        return 0, 0
    number = parts[count].strip()[:9]
    return sum(len(part) + 1 for part in parts[:before]), int(number) if number.isdigit() else 0


@lru_cache(maxsize=64)
def _starts(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    """Where something begins."""
    return re.compile(rb"[%s%s\x02\x03\x0f\x10\x1e]|![ \t]" % (re.escape(caret), re.escape(tilde)))


@lru_cache(maxsize=64)
def _stops(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    """What ends the parameters of a command."""
    return re.compile(rb"[%s%s\x02\x03\x0f\x10\x1e]" % (re.escape(caret), re.escape(tilde)))


@lru_cache(maxsize=64)
def _line_ends(caret: bytes, tilde: bytes) -> re.Pattern[bytes]:
    """What ends a line of SGD."""
    return re.compile(rb"[\n%s%s\x02\x03\x0f\x10\x1e]" % (re.escape(caret), re.escape(tilde)))
