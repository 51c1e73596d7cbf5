"""Watching: one job to its end, or everything that happens.

A terminal sees one line with a bar that changes; a pipe sees a line for each change, and while bytes flow one now and
then.
"""

from __future__ import annotations

import time
from typing import Any

import click

from bridge.cli.common import FAILED, UNCONFIRMED, Stop, clean, fitted, terminal_width
from bridge.cli.common import columns as width_of
from bridge.remote import Refused, Remote, name_in_path
from bridge.web.remedies import what_to_do

FIRST_LOOK_S, LAST_LOOK_S = 0.05, 0.5  # between two looks at a job
PRINTER_LOOK_S = 1.0  # between two looks at the printer a job waits for
QUIET_S = 2.0  # a pipe hears of progress at most this often
BAR = 20  # characters
NEARLY = 0.99  # bytes that have left are not a label yet
DRAWN = (None, "pdf", "png", "jpeg", "template", "receipt", "text")
WAIT_S = 20  # for the next event

Told = dict[str, Any]


# ---- one job ----------------------------------------------------------------------------------------------------


def follow(remote: Remote, job: Told, *, also_held: bool) -> None:
    """Watch a job to its end. Raises Stop when that is not paper; also_held: wait for one that waits for a person."""
    screen: Screen | Lines = Screen() if terminal_width() is not None else Lines()
    try:
        job = _look(remote, job["id"], screen, also_held)
    except KeyboardInterrupt:
        screen.close()
        click.echo(f"not watching any more; watch it again with `print-bridge jobs watch {job['serial']}`", err=True)
        raise
    finally:
        screen.close()
    _verdict(job)


def _look(remote: Remote, job_id: str, screen: Screen | Lines, also_held: bool) -> Told:
    pause_s, why = FIRST_LOOK_S, _Why(remote)
    while True:
        job: Told = remote.get(f"/v1/jobs/{name_in_path(job_id)}")
        screen.show(job, why.it_waits(job))
        if job["state"] in _OVER or (job["state"] == "held" and not also_held):
            return job
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.3, LAST_LOOK_S)


_OVER = ("delivered", "printed", "failed", "cancelled", "expired", "unconfirmed")


def _verdict(job: Told) -> None:
    if job["state"] == "unconfirmed":
        command = f"print-bridge jobs resolve {job['serial']}"
        remedy = f"say what came out with `{command} printed`, `again` or `cancel`"
        raise Stop(f"unconfirmed: {job['text']}; {remedy}", UNCONFIRMED)
    if job["state"] == "held":
        text = f"held: {job['reason']}" + (f", {job['text']}" if job["text"] else "")
        raise Stop(f"{text}; release it with `print-bridge jobs release {job['serial']}`", FAILED)
    if job["state"] not in ("delivered", "printed"):
        raise Stop(f"{job['state']}: {job['text']}" if job["text"] else str(job["state"]), FAILED)


class _Why:
    """Why a job waits: what its printer says, and what to do about it. Asked for now and then only."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._next_look = 0.0
        self._said = ""

    def it_waits(self, job: Told) -> str:
        """What the printer says, "" while the job does not wait for it. One that is cut short by paper waits too."""
        if job["state"] not in ("queued", "preparing", "sending"):
            return ""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + PRINTER_LOOK_S
            self._said = self._asked(job["device_id"])
        return self._said

    def _asked(self, device_id: str) -> str:
        try:
            printer = self._remote.get(f"/v1/printers/{name_in_path(device_id)}")
        except Refused:  # it was removed meanwhile; the job will tell
            return ""
        return ", ".join(part for part in (*printer["reasons"], condition(printer)) if part)


def condition(printer: Told) -> str:
    """Why a printer is not simply ready, and what to do."""
    remedy = "" if printer["paused"] else what_to_do(printer["reasons"])
    return "; ".join(part for part in (printer["text"], remedy) if part)


# ---- what is shown ----------------------------------------------------------------------------------------------


class Screen:
    """A terminal: one line that is written over."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, job: Told, why: str) -> None:
        share = _share(job)
        bar = "" if share is None else f"[{'#' * int(share * BAR):-<{BAR}}] {share:4.0%}  "
        line = fitted(f"{bar}{', '.join(_parts(job, why))}")
        if line != self._shown:
            click.echo(f"\r{line}{' ' * max(0, width_of(self._shown) - width_of(line))}", nl=False)
            self._shown = line

    def close(self) -> None:
        """The next text begins on a line of its own."""
        if self._shown:
            click.echo()
        self._shown = ""


class Lines:
    """A pipe: a line when something is new, progress only now and then."""

    def __init__(self) -> None:
        self._news: list[str] = []
        self._shown = ""
        self._at = 0.0

    def show(self, job: Told, why: str) -> None:
        news, line = _news(job, why), ", ".join(_parts(job, why))
        if line == self._shown or (news == self._news and time.monotonic() < self._at + QUIET_S):
            return
        click.echo(line)
        self._news, self._shown, self._at = news, line, time.monotonic()

    def close(self) -> None:
        """Every line is complete."""


def _parts(job: Told, why: str) -> list[str]:
    """What there is to say of a job, the state first."""
    return [*_news(job, why)[:1], *_progress(_progress_of(job)), *_news(job, why)[1:]]


def _news(job: Told, why: str) -> list[str]:
    texts = () if job["state"] in ("failed", "cancelled", "expired", "unconfirmed") else (job["text"], job["note"])
    state = f"held ({job['reason']})" if job["state"] == "held" and job["reason"] else job["state"]
    return [clean(part) for part in (state, why, *texts) if part]


def _progress(progress: Told) -> list[str]:
    parts = []
    for word, done, total in (("page", "pages_rendered", "pages_total"), ("label", "labels_sent", "labels_total"),
                              ("printed", "labels_printed", "labels_total")):  # fmt: skip
        if progress.get(done) is not None and progress.get(total):
            parts.append(f"{word} {progress[done]} of {progress[total]}")
    if progress.get("bytes_sent"):
        whole = f" of {_size(progress['bytes_total'])}" if progress.get("bytes_total") else ""
        parts.append(f"{_size(progress['bytes_sent'])}{whole} sent")
    return parts


def _share(job: Told) -> float | None:
    """How much of the job is done, 0 to 1: by its bytes, else its labels, else its pages. None: nobody knows."""
    if job["state"] in ("delivered", "printed"):
        return 1.0
    progress = _progress_of(job)
    for done, total in (("bytes_sent", "bytes_total"), ("labels_sent", "labels_total"),
                        ("pages_rendered", "pages_total")):  # fmt: skip
        if progress.get(done) and progress.get(total):
            return float(min(NEARLY, progress[done] / progress[total]))
    return None


def _progress_of(job: Told) -> Told:
    """What the job has done so far. Printer code goes out as it came in, so its bytes are known beforehand."""
    progress: Told = dict(job.get("progress") or {})
    if progress and not progress.get("bytes_total") and job["kind"] not in DRAWN and job["size"]:
        progress["bytes_total"] = job["size"] * job["copies"]
    return progress


def _size(count: int) -> str:
    for unit, size in (("MB", 1_000_000), ("kB", 1000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


# ---- everything -------------------------------------------------------------------------------------------------


def everything(remote: Remote) -> None:
    """A line for each event from now on, until Ctrl-C."""
    told = _Told(remote)
    last = _newest(remote)
    click.echo("watching from now on; Ctrl-C ends it")
    while True:
        answer = remote.get("/v1/events", after=last, limit=500, wait=WAIT_S)
        for event in answer["events"]:
            click.echo(fitted(told.line(event)))
        last = answer["last"]


def _newest(remote: Remote) -> int:
    """The number of the newest event. The API tells what comes after a number, so: double, then halve."""
    low, high = 0, 1024
    while _is_after(remote, high):
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        if _is_after(remote, middle):
            low = middle + 1
        else:
            high = middle
    return low


def _is_after(remote: Remote, seq: int) -> bool:
    return bool(remote.get("/v1/events", after=seq, limit=1)["events"])


class _Told:
    """Events in words: ids become the number and title of the job, and the printer's name. Each is asked for once."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._jobs: dict[str, str] = {}
        self._printers: dict[str, str] = {}

    def line(self, event: Told) -> str:
        at = time.strftime("%H:%M:%S", time.localtime(event["at"]))
        subject = self._subject(event)
        return clean("  ".join(part for part in (at, subject, event["state"] or "", event["text"] or "") if part))

    def _subject(self, event: Told) -> str:
        job_id, printer_id = event.get("job_id"), event.get("printer_id")
        printer = self._printer(printer_id) if printer_id else ""
        if not job_id:
            return f"{event['kind']} {printer}".strip()
        if job_id not in self._jobs:
            self._jobs[job_id] = self._job(job_id)
        return f"{self._jobs[job_id]}  {printer}".strip()

    def _job(self, job_id: str) -> str:
        try:
            job = self._remote.get(f"/v1/jobs/{name_in_path(job_id)}")
        except Refused:  # deleted meanwhile
            return f"job {job_id}"
        return f"job {job['serial']} {job['title']!r}"

    def _printer(self, printer_id: str) -> str:
        if printer_id not in self._printers:
            for printer in self._remote.get("/v1/printers")["printers"]:
                self._printers[printer["id"]] = printer["name"]
        return self._printers.setdefault(printer_id, printer_id)
