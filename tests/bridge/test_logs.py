"""The log: where it goes, what a line looks like, what a full disk costs. Each log is one of a real process."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.logs import Line, LogFile, NoLog, follow, tail, to_journal

ROOT = Path(__file__).resolve().parents[2]
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
BEGIN = """
import logging, sys, threading
from pathlib import Path
from bridge import logs
folder = Path(sys.argv[1])
log = logging.getLogger("bridge.test")
"""


def run(code: str, folder: Path, *, stderr: int = subprocess.PIPE, **env: str) -> subprocess.CompletedProcess[str]:
    """A process that logs."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN + code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, text=True,
        timeout=120, env={**os.environ, "PYTHONWARNINGS": "error", **env},
    )  # fmt: skip


def told(code: str, folder: Path) -> list[str]:
    """The lines of the log file, which are also those on stderr."""
    done = run(code, folder)
    lines = (folder / "log" / "print-bridge.log").read_text().split("\n")[:-1]
    assert done.stderr.split("\n")[:-1] == lines
    return lines


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("bridge.test", logging.INFO, __file__, 1, text, (), None)


# ---- where it goes ------------------------------------------------------------------------------------------------


def test_without_systemd_a_line_goes_to_a_file_for_the_owners_eyes_and_to_stderr(tmp_path: Path) -> None:
    [line] = told("logs.start('info', folder); log.warning('%s: media-empty', 'dock'); log.debug('hidden')", tmp_path)
    assert re.fullmatch(STAMP + " WARNING dock: media-empty", line)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "log" / "print-bridge.log").stat().st_mode) == 0o600


def test_under_systemd_a_line_carries_its_priority_and_no_time_and_there_is_no_file(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    status = os.fstat(writer)
    code = """
logs.start('debug', folder)
for level in ('debug', 'info', 'warning', 'error', 'critical'):
    getattr(log, level)('at %s', level)
"""
    run(code, tmp_path, stderr=writer, JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read().split("\n") == [
            "<7>at debug", "<6>at info", "<4>at warning", "<3>at error", "<2>at critical", "",
        ]  # fmt: skip
    assert not (tmp_path / "log" / "print-bridge.log").exists()
    for ask in (lambda: tail(tmp_path, 10), lambda: follow(tmp_path)):
        with pytest.raises(NoLog, match="journalctl -u print-bridge"):
            ask()


def test_a_journal_that_is_not_our_stderr_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")  # inherited, and stderr redirected since
    assert not to_journal()


def test_a_run_after_one_under_systemd_is_found_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "journal").touch()
    told("logs.start('info', folder); log.info('here')", tmp_path)
    assert [line[-4:] for line in tail(tmp_path, 5)] == ["here"]


def test_starting_twice_writes_each_line_once(tmp_path: Path) -> None:
    assert len(told("logs.start('info', folder); logs.start('info', folder); log.info('once')", tmp_path)) == 1


def test_the_level_changes_while_it_runs(tmp_path: Path) -> None:
    code = """
logs.start('warning', folder)
log.info('no')
logs.set_level('debug')
log.debug('yes')
"""
    assert [line.split()[-1] for line in told(code, tmp_path)] == ["yes"]


def test_libraries_stay_quiet_at_debug(tmp_path: Path) -> None:
    """websockets shows whole messages at debug: documents, and the headers with the key."""
    code = """
logs.start('debug', folder)
for name in ('websockets.client', 'urllib3.connectionpool', 'asyncio'):
    logging.getLogger(name).debug('> TEXT {"document": "..."}')
    logging.getLogger(name).warning('broken')
"""
    assert [line.split()[-1] for line in told(code, tmp_path)] == ["broken"] * 3


# ---- what a line looks like ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a\nb", "a\r\x1b[2Jb", "a\0b", "a\x85b", "a\u2028b", "a\u202eb", "a\udc80b"])
def test_nothing_that_is_logged_can_begin_a_line_or_move_a_cursor(text: str, tmp_path: Path) -> None:
    [line] = told(f"logs.start('info', folder); log.info('%s', {text!r})", tmp_path)
    assert line.isprintable() and line.split()[2].startswith("a\\") and line.endswith("b")


def test_a_crash_of_our_own_is_one_readable_line(tmp_path: Path) -> None:
    code = """
logs.start('info', folder)
def stumble(): raise ValueError('bad\\n2026-01-01 INFO forged \\x1b[31m')
try:
    stumble()
except ValueError:
    log.exception('%s: the worker stumbled', 'dock')
"""
    [line] = told(code, tmp_path)
    assert "ERROR   dock: the worker stumbled | Traceback (most recent call last): | File " in line
    assert line.endswith("| ValueError: bad | 2026-01-01 INFO forged \\x1b[31m") and line.isprintable()


def test_a_thread_that_dies_is_logged_like_everything_else(tmp_path: Path) -> None:
    code = """
logs.start('info', folder)
thread = threading.Thread(target=lambda: 1 / 0, name='printer-dock')
thread.start(); thread.join()
"""
    [line] = told(code, tmp_path)
    assert "the thread printer-dock ended: ZeroDivisionError | Traceback" in line


def test_a_program_that_dies_of_a_bug_says_so_in_its_log(tmp_path: Path) -> None:
    [line] = told("logs.start('info', folder); log.undefined()", tmp_path)
    assert "CRITICAL print-bridge ended: AttributeError | Traceback" in line


def test_arguments_that_do_not_fit_lose_no_message_and_break_nothing(tmp_path: Path) -> None:
    first, second = told("logs.start('info', folder); log.info('%d jobs', 'x'); log.info('still here')", tmp_path)
    assert "%d jobs (arguments that do not fit: TypeError: ('x',))" in first and second.endswith("still here")


def test_a_title_of_ten_megabytes_is_a_line_of_twelve_kilobytes() -> None:
    line = Line().format(record("begin" + "x" * 10_000_000 + "end"))
    assert len(line) < 12_200 and " begin" in line and line.endswith("end") and "(10,000,008 characters)" in line


# ---- rotation ---------------------------------------------------------------------------------------------------


def test_a_full_file_is_set_aside_and_three_are_kept(tmp_path: Path) -> None:
    handler = LogFile(tmp_path / "log" / "print-bridge.log", size_max=1000)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(200):
        handler.handle(record(f"line {number:03} " + "." * 40))
    handler.close()
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "log").iterdir()}
    assert sorted(sizes) == [f"print-bridge.log{end}" for end in ("", ".1", ".2", ".3")]
    assert max(sizes.values()) <= 1000
    lines = tail(tmp_path, 1000)
    assert [int(line[5:8]) for line in lines] == list(range(200 - len(lines), 200)) and len(lines) > 60


def test_where_a_file_cannot_be_set_aside_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log" / "print-bridge.log"
    handler = LogFile(path, size_max=1000)
    handler.setFormatter(logging.Formatter("%(message)s"))
    (tmp_path / "log" / "print-bridge.log.3").mkdir(parents=True)  # a file cannot take a folder's name
    (tmp_path / "log" / "print-bridge.log.2").touch()
    for number in range(100):
        handler.handle(record(f"line {number:03} " + "." * 40))
    handler.close()
    assert path.read_text().count("line") == 100


def test_a_log_that_somebody_deleted_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "log" / "print-bridge.log"
    handler = LogFile(path)
    handler.handle(record("one"))
    path.unlink()
    handler.handle(record("two"))
    handler.close()
    assert path.read_text() == "two\n"


# ---- a full disk --------------------------------------------------------------------------------------------------


FULL = """
import resource
logs.start('info', folder)
log.info('before')
size = (folder / 'log/print-bridge.log').stat().st_size
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))   # 10 bytes are left, then write() fails
for _ in range(7):
    log.info('lost')
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
log.info('after')
log.info('and on')
"""


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE stands in for the full disk")
def test_a_full_disk_costs_lines_which_are_counted_once_and_leaves_no_torn_one(tmp_path: Path) -> None:
    done = run(FULL, tmp_path)
    lines = (tmp_path / "log" / "print-bridge.log").read_text().split("\n")
    assert [re.sub(STAMP + r" \w+ +", "", line) for line in lines] == [
        "before", "7 lines are missing here: No space left on device", "after", "and on", "",
    ]  # fmt: skip
    assert done.returncode == 0 and done.stderr.count("lost") == 7
    assert done.stderr.count("cannot be written: No space left on device") == 1 and "Traceback" not in done.stderr


def test_a_log_folder_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    done = run("logs.start('info', folder); log.info('one'); log.info('two'); print('goes on')", tmp_path)
    assert done.stdout == "goes on\n" and done.stderr.count("cannot be written") == 1 and "two" in done.stderr


def test_a_stderr_that_nobody_reads_any_more_stops_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    run("logs.start('info', folder); log.info('one'); log.info('two')", tmp_path, stderr=writer)
    os.close(writer)
    assert [line[-3:] for line in tail(tmp_path, 9)] == ["one", "two"]


# ---- reading ------------------------------------------------------------------------------------------------------


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[LogFile]:
    handler = LogFile(tmp_path / "log" / "print-bridge.log", size_max=2000)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.handle(record("first"))
    yield handler
    handler.close()


def test_tail_reads_no_more_than_asked(tmp_path: Path, writer: LogFile) -> None:
    for number in range(5):
        writer.handle(record(f"line {number}"))
    assert tail(tmp_path, 2) == ["line 3", "line 4"]
    assert tail(tmp_path, 0) == [] and len(tail(tmp_path, 10**9)) == 6


def test_tail_of_a_file_that_others_have_written_to_is_safe_to_show(tmp_path: Path, writer: LogFile) -> None:
    writer.path.write_bytes(b"\xff\x1b[2J\x07 x\nhalf a line")
    assert tail(tmp_path, 5) == ["\ufffd\\x1b[2J\\x07 x"]


def test_follow_begins_with_the_last_lines_and_misses_none_through_rotations(tmp_path: Path, writer: LogFile) -> None:
    lines = follow(tmp_path, lines=1)
    assert next(lines) == "first"
    over, heard = threading.Event(), 0

    def write() -> None:
        for number in range(600):
            while heard < number - 60 and not over.is_set():
                over.wait(0.005)  # a follower may lag by no more than the files kept
            writer.handle(record(f"line {number:04} " + "." * 40))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(600):
            assert next(lines)[5:9] == f"{number:04}"
            heard = number
    finally:
        over.set()
        thread.join()


def test_without_a_log_the_error_names_the_file_and_what_to_try(tmp_path: Path) -> None:
    for ask in (lambda: tail(tmp_path, 1), lambda: follow(tmp_path)):
        with pytest.raises(NoLog, match="print-bridge.log.*--data.*journalctl"):
            ask()


def test_a_registered_secret_is_in_no_line_of_a_real_log(tmp_path: Path) -> None:
    secret = 'hunter2 "\n%s'
    code = f"""
from bridge.access.redact import remember
secret = {secret!r}
remember(secret)
logs.start('info', folder)
log.info('plain %s and %r', secret, secret)
log.info('in the format ' + secret.replace('%', '%%'), 'x')
try:
    raise ValueError(secret)
except ValueError:
    log.exception('in a traceback', stack_info=True)
"""
    done = run(code, tmp_path)
    for text in (done.stderr, "\n".join(tail(tmp_path, 9))):
        assert "hunter2" not in text.replace(f"secret = {secret!r}", "") and json.dumps(secret)[1:-1] not in text
        assert text.count("***") >= 3
