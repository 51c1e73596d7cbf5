"""Device ids as printers really send them: the length is wrong, the end is missing, the keys are spelt otherwise."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devices.errors import DeviceError
from devices.ieee1284 import BadDeviceId, DeviceId, read

TEXT = b"MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;CLS:PRINTER;DES:EPSON TM-T88V;SN:J4RF012345;"


def big(length: int) -> bytes:
    return length.to_bytes(2, "big")


def little(length: int) -> bytes:
    return length.to_bytes(2, "little")


@pytest.mark.parametrize(
    "raw",
    [
        TEXT,
        big(len(TEXT) + 2) + TEXT,
        little(len(TEXT) + 2) + TEXT,
        big(len(TEXT)) + TEXT,  # does not count its own two bytes
        little(len(TEXT)) + TEXT,
        big(0) + TEXT,
        b"\xff\xff" + TEXT,
        big(len(TEXT) + 2) + TEXT + b"MDL:left over;" * 30,
        big(len(TEXT) + 2) + TEXT + bytes(900),
        little(len(TEXT) + 2) + TEXT + b"MDL:left over;" * 30,
        TEXT + b"\n",  # sysfs
        TEXT.replace(b";", b" ; ").replace(b":", b": "),
        TEXT.lower().replace(b"epson", b"EPSON").replace(b"esc/pos", b"ESC/POS").replace(b"tm-t88v", b"TM-T88V")
        .replace(b"j4rf", b"J4RF"),
    ],
    ids=["no length", "right", "little-endian", "without its own two bytes", "little without", "zero", "too long",
         "rubbish behind", "zeros behind", "rubbish behind little", "newline", "blanks", "small letters"],
)  # fmt: skip
def test_the_same_printer_is_read_however_the_length_is_sent(raw: bytes) -> None:
    found = read(raw)
    assert (found.mfg, found.mdl, found.commands) == ("EPSON", "TM-T88V", ("ESC/POS",))
    assert (found.description, found.serial) == ("EPSON TM-T88V", "J4RF012345")
    assert "left over" not in found.text


def test_a_gadget_that_cuts_two_characters_off_still_says_its_model() -> None:
    text = b"MFG:Linux;MDL:g_printer;CLS:PRINTER;SN:1;"
    found = read(big(len(text)) + text[:-2])
    assert (found.mfg, found.mdl, found.serial) == ("Linux", "g_printer", "")


def test_the_long_spellings_of_the_keys_mean_the_same() -> None:
    found = read("SERN:99J204300180;MANUFACTURER:Zebra Technologies ;COMMAND SET:ZPL, EPL;MODEL:ZTC ZT411-300dpi ZPL;")
    assert found == DeviceId(
        mfg="Zebra Technologies", mdl="ZTC ZT411-300dpi ZPL", commands=("ZPL", "EPL"), serial="99J204300180",
        description="", text=found.text,
    )  # fmt: skip


def test_a_value_may_hold_a_colon_and_the_first_of_two_keys_wins() -> None:
    found = read("MFG:Zebra;CMD:ZPL:2,XML;MDL:one;MODEL:two;")
    assert (found.commands, found.mdl) == (("ZPL:2", "XML"), "one")


@pytest.mark.parametrize("raw", [b"", b"\0\0", b"\0\x02", b"hello", b";;;;", b"MFG", b":x;", b"\xff" * 300, "\0" * 9])
def test_what_is_no_device_id_is_refused_with_what_was_seen(raw: bytes) -> None:
    with pytest.raises(BadDeviceId, match=r"no key:value field in the device id, it begins '"):
        read(raw)


def test_a_megabyte_is_read_no_further_than_an_id_can_be() -> None:
    began = time.thread_time()
    found = read(b"\x7f\xffMFG:" + b"Z" * 1_000_000)
    assert len(found.mfg) <= 256 and len(found.text) <= 4096
    read((b"A%d:1;" % 7) * 150_000)
    assert time.thread_time() - began < 0.1


def test_control_bytes_never_get_into_a_value() -> None:
    assert read(b"MFG:Ze\x1b[31mbra\0rest;MDL:ZD\x07421;") == read("MFG:Ze[31mbra;MDL:ZD421;").__class__(
        mfg="Ze[31mbra", mdl="ZD421", commands=(), serial="", description="",
        text="MFG:Ze\x1b[31mbra\0rest;MDL:ZD\x07421;",
    )  # fmt: skip


@given(st.one_of(st.binary(max_size=3000), st.text(max_size=3000)))
@example(b"\x00:\x00:")
def test_nothing_but_its_own_error_ever_comes_out(raw: bytes | str) -> None:
    try:
        found = read(raw)
    except DeviceError:
        return
    assert all(letter.isprintable() for letter in found.mfg + found.mdl + found.serial + "".join(found.commands))


@given(st.binary(min_size=2, max_size=2), st.binary(max_size=60))
def test_two_bytes_in_front_and_rubbish_behind_never_hide_the_model(length: bytes, behind: bytes) -> None:
    """Unless the length itself says that less was meant."""
    said = {int.from_bytes(length, "big"), int.from_bytes(length, "little")}
    if min(said) >= len(TEXT) + 2 and b";" not in behind and not length.isalnum():
        assert read(length + TEXT + behind).mdl == "TM-T88V"
