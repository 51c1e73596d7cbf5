"""What holds for the commands of every language."""

from __future__ import annotations

import importlib
import random
import time

import pytest

from devices import commands, languages
from devices.contracts import Bitmap

PHOTO = Bitmap(400, 300, random.Random(1).randbytes(50 * 300))


@pytest.mark.parametrize("language", sorted(set(commands.names()) & set(languages.names())))
def test_what_makes_a_printer_forget_a_cut_picture_is_never_too_short(language: str) -> None:
    """A cut between two places that were looked at may need more than both of them."""
    whole, step = languages.load(language).encode(PHOTO), 1024
    tail = commands.forgetting(language, [whole[:777], whole[777:]], range(1, len(whole), step), step)
    for cut in range(1, len(whole), 97):
        need = commands.ending(language, [whole[:cut]])
        assert len(need) <= len(tail), (cut, len(need))
        assert commands.ending(language, [whole[:cut], tail]) == b"", cut


UNENDED = {
    "zpl": b"^XA^FO1,1^A0N,30,30^FDx",
    "epl2": b'\nN\nA9,9,0,1,1,1,N,"x"\nP1',
    "tspl": b'CLS\r\nTEXT 9,9,"3",0,1,1,"x"\r\nPRINT 1',
    "cpcl": b"! 0 200 200 210 1\r\nT 4 0 9 9 x\r\nPRINT",
}
"""A label as people write it: the end of its last line is missing, or its ^XZ."""


@pytest.mark.parametrize("language", UNENDED)
def test_a_label_whose_last_line_has_no_end_comes_out_and_so_does_the_next(language: str) -> None:
    label = UNENDED[language]
    ended = label + commands.ending(language, [label])
    told = [command.name for command in commands.commands(language, [ended])]
    assert ended != label and commands.ending(language, [ended]) == b""
    assert [command.name for command in commands.commands(language, [ended + label.lstrip()])][: len(told)] == told
    read = importlib.import_module(f"devices.readers.{language}").read
    assert len(read(ended + label.lstrip() + commands.ending(language, [label]))) == 2


@pytest.mark.parametrize("language", UNENDED)
def test_an_open_text_does_not_swallow_the_next_label(language: str) -> None:
    label = UNENDED[language]
    for cut in range(len(label)):
        broken = label[:cut] + commands.ending(language, [label[:cut]])
        told = [command.name for command in commands.commands(language, [broken + label.lstrip()])]
        alone = [command.name for command in commands.commands(language, [label.lstrip()])]
        assert told[-len(alone) :] == alone, (cut, broken)


def test_a_long_job_cut_off_is_read_once() -> None:
    label, began = b"^XA" + b"^FO1,1^A0N,30^FDx^FS" * 10_000 + b"^XZ", time.perf_counter()
    assert commands.forgetting("zpl", [label], range(1, len(label), 1000), 1000) == b"~JX~JX^FS^XZ"
    assert time.perf_counter() - began < 20


def test_of_an_unknown_language_nothing_is_said() -> None:
    assert commands.forgetting("dpl", [b"\x02L\r"], [1], 4096) == b""
