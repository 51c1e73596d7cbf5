"""The IEEE 1284 device ID, "MFG:Zebra;MDL:ZD421;CMD:ZPL;", as printers really send it."""

from __future__ import annotations

_OTHER_NAMES = {"MANUFACTURER": "MFG", "MODEL": "MDL", "COMMAND SET": "CMD", "SERIALNUMBER": "SN", "SERN": "SN"}


def text_of(raw: bytes) -> str:
    """The ID in an answer to GET_DEVICE_ID: two bytes of length, then text. Empty when there is none.

    The length is to be believed least: some printers send it little-endian, some leave out its own two bytes.
    """
    lengths = (int.from_bytes(raw[:2], "big"), int.from_bytes(raw[:2], "little"))
    # What is far beyond the answer is no length. Two bytes more are allowed for those that do not count these two.
    length = next((each for each in lengths if 2 < each <= len(raw)), len(raw))
    return raw[2 : length + 2].split(b"\0", 1)[0].decode("latin-1").strip()


def fields(text: str) -> dict[str, str]:
    """Key -> value, keys in their short form (MFG, MDL, CMD, SN). A field cut off at the end is kept as it is."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        key, colon, value = part.partition(":")
        if colon and (name := key.strip().upper()):
            found.setdefault(_OTHER_NAMES.get(name, name), value.strip())
    return found
