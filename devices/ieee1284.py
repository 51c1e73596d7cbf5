"""What a printer says of itself: the IEEE-1284 device id, read with patience. Pure.

    read(b"\\x00\\x2dMFG:Zebra;CMD:ZPL;MDL:ZTC ZD421-300dpi ZPL;")

The two bytes of length in front cannot be trusted: little-endian ones exist, ones that do not count themselves exist,
and Linux's own printer gadget is two characters short. So the text is taken as far as it goes and the length is used
only to find where a longer buffer ends. sysfs and mDNS give the text without a length. IEEE 1284-2000, 7.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from devices.errors import DeviceError

LONGEST = 4096  # bytes that are looked at; real ids are below 600, and a stuck device may send for ever
_MOST_FIELDS = 64
_LONGEST_VALUE = 256

_KEYS = {
    "MANUFACTURER": "MFG",
    "MFR": "MFG",
    "MODEL": "MDL",
    "COMMAND SET": "CMD",
    "COMMANDSET": "CMD",
    "SERIALNUMBER": "SN",
    "SERIAL NUMBER": "SN",
    "SERN": "SN",
    "CLASS": "CLS",
    "DESCRIPTION": "DES",
}
"""Long and other spellings of the keys, as the usual short one."""


class BadDeviceId(DeviceError):
    """Nothing in these bytes is a field of a device id. The text says what was seen instead."""


@dataclass(frozen=True, slots=True)
class DeviceId:
    """The fields people use. commands: the parts of CMD, upper case. text: the id without its length, for showing."""

    mfg: str
    mdl: str
    commands: tuple[str, ...]
    serial: str
    description: str
    text: str


def read(raw: bytes | str) -> DeviceId:
    """The device id in `raw`: with or without the two bytes of length, cut short or with rubbish behind it.

    Raises BadDeviceId when there is not one key:value field in its first 4096 bytes.
    """
    text = raw[:LONGEST] if isinstance(raw, str) else _without_length(bytes(raw[: LONGEST + 2]))
    text = text.replace("\r", " ").replace("\n", " ").strip("\0 \t")
    fields = dict(_fields(text))
    if not fields:
        raise BadDeviceId(f"no key:value field in the device id, it begins {text[:40]!r}")
    commands = tuple(part.strip().upper() for part in fields.get("CMD", "").split(",") if part.strip())
    return DeviceId(
        mfg=fields.get("MFG", ""),
        mdl=fields.get("MDL", ""),
        commands=commands,
        serial=fields.get("SN", ""),
        description=fields.get("DES", ""),
        text=text,
    )


def _without_length(raw: bytes) -> str:
    """The text of an id: as long as the likelier of the two byte orders says, whole when neither can be right."""
    if len(raw) < 2 or not _is_length(raw):
        return raw.decode("latin-1")
    rest = raw[2:]
    for said in (int.from_bytes(raw[:2], "big"), int.from_bytes(raw[:2], "little")):
        if 2 < said <= len(rest) + 2:
            # A length that does not count itself ends two bytes later; what is past a `;` there is not ours.
            end = said if rest[said - 2 : said].rstrip(b"\0 ").endswith(b";") else said - 2
            return rest[:end].decode("latin-1")
    return rest.decode("latin-1")


def _is_length(raw: bytes) -> bool:
    """True unless the first two bytes are letters of a key already: sysfs gives ids without a length."""
    return not (chr(raw[0]).isalpha() and raw[0] < 128 and (chr(raw[1]).isalnum() and raw[1] < 128))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """(short key, value) of each field that has both; the first of a kind wins, so later ones come first."""
    found = []
    for part in text.split(";")[:_MOST_FIELDS]:
        key, colon, value = part.partition(":")
        short = " ".join(key.upper().split())
        short = _KEYS.get(short, short)
        if colon and short and short.isascii() and len(short) <= 20:
            found.append((short, _printable(value)[:_LONGEST_VALUE].strip()))
    yield from reversed([field for field in found if field[1]])


def _printable(value: str) -> str:
    """Control bytes end a value: what follows a NUL in a buffer is left over from something else."""
    value = value.split("\0", 1)[0]
    return "".join(letter for letter in value if letter.isprintable())
