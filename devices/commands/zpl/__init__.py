"""ZPL II as commands: `harm` says what each may do, `scanner` finds them in a stream.

Facts are from the ZPL II Programming Guide (Zebra P1099958), named by command. Where printers may read one stream in
two ways (a blank within a name, a count out of range), something worse than Harm.NONE is said.
"""

from __future__ import annotations

from devices.commands.zpl.harm import PRINTING
from devices.commands.zpl.scanner import ZplScanner


def new() -> ZplScanner:
    """A scanner at the beginning of a stream, the prefixes as a printer has them when it is turned on."""
    return ZplScanner()


_USUAL_PREFIXES = b"\x10CT~~CD,~CC^~CT~"
"""As Zebra's own drivers begin: DLE is a ~ whatever the prefixes are."""


def forgetting(rests: list[bytes], slack: int) -> bytes:
    """See devices.commands. rests: the endings of the job at each cut.

    ~JX: "cancels a format currently being sent to the printer", not those that print already. All twice, as the first
    may be read as the rest of a command that was cut in two. ^FS^XZ is for printers that do not know ~JX: better a half
    label than one that is put together from two.
    """
    missing = max((rest.count(0) for rest in rests), default=0)
    others = any(b"C" in rest for rest in rests)  # ~CC, ~CD or ~CT
    return bytes(missing + slack if missing else 0) + _USUAL_PREFIXES * 2 * others + b"~JX~JX^FS^XZ"


_PLAIN = frozenset(name[1:].encode() for name in PRINTING if name[0] == "^") - {b"GF"}


def plainly_whole(data: bytes) -> bool:
    """Whether a whole job is seen at a glance to leave the printer ready for the next one; False: ask `ending()`.

    A few microseconds for a label of 2 kB: no control command, no other prefixes, no binary data, ^XZ at the end.
    """
    first, *parts = data.split(b"^")
    return (
        bool(parts)
        and parts[-1].rstrip() == b"XZ"
        and not first.strip()
        and all([part[:2] in _PLAIN or part[:4] == b"GFA," for part in parts])
        and not any([sign in data for sign in (b"~", b"\x10", b"\x1e", b"\x02", b"\x03", b"\x0f")])
        and not (b"!" in data and (b"! " in data or b"!\t" in data))
    )
