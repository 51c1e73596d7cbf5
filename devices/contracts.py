"""The words and promises every part of the printer library shares. Imports nothing of ours.

A *language* turns a Bitmap into the bytes one family of printers understands. A *transport* carries bytes to one
printer and says how many arrived. They meet only in `devices.printer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Bitmap:
    """One page as the print head sees it.

    width, height: dots. rows: height * stride bytes, stride = ceil(width / 8);
    most significant bit is the leftmost dot, 1 is black, padding bits are 0.
    """

    width: int
    height: int
    rows: bytes

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a bitmap needs at least one dot each way, got {self.width} x {self.height}")
        if len(self.rows) != self.stride * self.height:
            raise ValueError(
                f"{self.width} x {self.height} dots need {self.stride * self.height} bytes, got {len(self.rows)}"
            )

    @property
    def stride(self) -> int:
        """Bytes from one row to the next."""
        return (self.width + 7) // 8


@dataclass(frozen=True, slots=True)
class Media:
    """What is loaded: dots per inch, and the label's width and height in mm (height None: continuous)."""

    dpi: int
    width_mm: float
    height_mm: float | None = None

    @property
    def width(self) -> int:
        """Dots across the head."""
        return self.dots(self.width_mm)

    @property
    def height(self) -> int | None:
        """Dots along the feed, None on continuous media."""
        return None if self.height_mm is None else self.dots(self.height_mm)

    def dots(self, mm: float) -> int:
        """mm -> dots, rounded to the nearest dot."""
        return round(mm * self.dpi / 25.4)


class Reason(Enum):
    """Why a printer is not simply ready: the IPP printer-state-reasons keywords (RFC 8011, 5.4.12)."""

    NONE = "none"
    PAUSED = "paused"
    CONNECTING = "connecting-to-device"
    TIMED_OUT = "timed-out"
    OFFLINE = "offline"
    MEDIA_EMPTY = "media-empty"
    MEDIA_NEEDED = "media-needed"
    MEDIA_LOW = "media-low"
    MEDIA_JAM = "media-jam"
    COVER_OPEN = "cover-open"
    MARKER_SUPPLY_EMPTY = "marker-supply-empty"
    MARKER_SUPPLY_LOW = "marker-supply-low"
    CUTTER_ERROR = "cutter-error"
    OVERHEATED = "overheated"
    LABEL_WAITING = "label-waiting"
    OTHER = "other"


BLOCKING = frozenset({
    Reason.PAUSED, Reason.MEDIA_EMPTY, Reason.MEDIA_NEEDED, Reason.MEDIA_JAM, Reason.COVER_OPEN,
    Reason.MARKER_SUPPLY_EMPTY, Reason.CUTTER_ERROR, Reason.OVERHEATED,
})  # fmt: skip
"""Reasons that keep a printer from printing until a person (or time) mends them."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a printer's settings ask to be said with every job. A default says nothing: the printer stays as it is.

    darkness: in the printer's own scale (ZPL ~SD 0-30, EPL2 D 0-15, TSPL DENSITY 0-15, CPCL TONE -99-200). speed:
    inches per second (EPL2: the number of S). tracking: how it finds the next label. gap_mm: height of the gap or
    black mark, where the language needs it. tear_off: dots further (or less far) the label comes out. mode: what
    happens after each label.

    Receipt printers: profile: a name of devices.profiles. cut: "auto" is the profile's. cut_each: after each page, each
    copy of the whole document, or once. feed_mm: from the print head to the cutter, fed before a cut; None is the
    profile's. code_page: a code page by name for the text of receipts; None is the profile's own choice.
    """

    darkness: int | None = None
    speed: float | None = None
    tracking: Literal["gap", "mark", "continuous"] | None = None
    gap_mm: float | None = None
    tear_off: int | None = None
    mode: Literal["tear-off", "peel-off", "rewind", "cutter", "applicator"] | None = None
    profile: str | None = None
    cut: Literal["auto", "none", "partial", "full"] = "auto"
    cut_each: Literal["page", "copy", "job"] = "copy"
    feed_mm: float | None = None
    code_page: str | None = None


PLAIN = Tuning()


@dataclass(frozen=True, slots=True)
class Status:
    """What a printer said of itself, in one answer.

    reasons: why it is not simply ready. labels: its label counter, where it has one. waiting: formats and labels it
    has taken and not printed yet; None when it does not tell. idle: True when it says that nothing is left to print,
    False when it says that it is printing or has something left, None when it does not tell. text: what the reasons
    mean, in the words of the answer ("the head is open"); "" when there is nothing to say.
    """

    reasons: frozenset[Reason] = field(default_factory=frozenset)
    labels: int | None = None
    waiting: int | None = None
    idle: bool | None = None
    text: str = ""

    @property
    def blocked(self) -> bool:
        """Whether a person has to do something before it prints on."""
        return bool(self.reasons & BLOCKING)


class Talk(Protocol):
    """How a language asks a printer how it is, and reads the answer. Pure. devices/status, one file per language.

    questions: names of what can be asked, the safest first: that one is the probe. A printer whose answer to the probe
    never comes is never asked anything else. Each name says the command: "~HS", "DLE EOT 4".
    asleep: questions worth asking when the probe is not answered (ZPL: ~HQES, which is answered with the head open).
    They are harmless too.
    """

    questions: tuple[str, ...]
    asleep: tuple[str, ...]

    def ask(self, question: str) -> bytes:
        """The bytes of a question."""
        ...

    def read(self, question: str, heard: bytes) -> Status | None:
        """What `heard`, all bytes since the question was asked, says; None while it holds no whole answer to it.

        Never raises, and never takes for an answer what only looks like a part of one: a wrong verdict is worse than
        none. `heard` may hold other things before, between and after (an older answer cut off, another job's text).
        """
        ...

    def merge(self, told: Mapping[str, Status]) -> Status:
        """One status out of the answers to several questions, by name."""
        ...


class Language(Protocol):
    """A page-description language. Pure: bytes in, bytes out; no socket, file, clock or log."""

    name: str
    copies_in_language: bool
    """True when `encode(copies=n)` makes the printer repeat the label itself (ZPL ^PQ, EPL2 P)."""

    def encode(
        self, page: Bitmap, *, copies: int = 1, media: Media | None = None, tuning: Tuning = PLAIN
    ) -> bytes:
        """The bytes that print `page` `copies` times. media: the label loaded, when it is known.

        tuning: what this printer's settings ask for; PLAIN leaves everything as it is in the printer. Raises ValueError
        for what the language cannot say: that many copies, a page wider than the head or too large for its memory.
        """
        ...

    def end_of(self, what: Literal["page", "copy", "job"], tuning: Tuning = PLAIN, media: Media | None = None) -> bytes:
        """What follows after each page, after each copy of a whole document, after the job: the cut. Mostly b""."""
        ...

    def sniff(self, data: bytes) -> bool:
        """True when `data` (its first kilobyte is enough) is plainly written in this language."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What a transport may need to know beside the URI. Times are seconds.

    connect_s: patience for a connection to open. stall_s: patience without one byte of progress.
    close_s: patience for the far side to close after our half-close. half_close: False for printers that drop
    data on FIN. waits_for_close: whether the far side's close is waited for: None = not learnt yet (wait close_s,
    then "taken"), True = it has closed before (no close within close_s is a doubt), False = it never closes
    (a short wait of taken_s, then "taken"). folder: where virtual:// keeps what it takes.
    quirks: what this model needs, in the words of devices.catalog.QUIRKS; a transport heeds those it knows.
    pad_boundary: a harmless byte of the printer's language (a newline in ZPL, EPL2, TSPL), sent after a USB job that
    ends on a packet boundary, because some printers keep the last packet until a short one follows; b"" adds nothing.
    """

    connect_s: float = 4.0
    stall_s: float = 30.0
    close_s: float = 5.0
    taken_s: float = 0.2
    half_close: bool = True
    waits_for_close: bool | None = None
    folder: Path | None = None
    quirks: frozenset[str] = frozenset()
    pad_boundary: bytes = b""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a delivery ended, in the sense of its connection.

    evidence: one of "closed" (the printer took all and closed in order), "taken" (all bytes were taken, no close was
    seen), "written" (a file or virtual printer has them on disk), "drained" (the last byte has left the serial port),
    "completed" (the print queue says that the job is completed). text: one sentence for people. closed: True / False
    when the far side's habit was seen, None when this transport has none. path: where a file transport put the bytes.
    """

    evidence: str
    text: str
    closed: bool | None = None
    path: Path | None = None


KeepGoing = Callable[[int], bool]
"""Called with the bytes taken so far after each chunk; False stops the sending there (SendStopped)."""


@runtime_checkable
class Connection(Protocol):
    """One open way to one printer, for one job. Not thread-safe."""

    sent: int
    """Bytes the far side has taken since open, over all writes."""

    def write(self, data: bytes | memoryview, keep_going: KeepGoing | None = None) -> None:
        """Hand over all of `data`, counting.

        Raises PrinterUnreachable when nothing at all has left on this connection, SendInterrupted when some of it has
        (or may have), SendStopped when keep_going said no.
        """
        ...

    def ask(self, question: bytes) -> None:
        """Hand over a status question. Not counted in `sent`: it is no part of a job.

        Raises PrinterUnreachable when nothing of a job has left on this connection, else SendInterrupted.
        """
        ...

    def hear(self, seconds: float) -> bytes:
        """What the printer said since the last call, waiting at most `seconds` for its first byte; b"" for nothing.

        At most 64 kB at a time. Raises like ask() when the connection is gone.
        """
        ...

    def wire_status(self) -> Status | None:
        """What the wire itself says without a question to the printer (USB GET_PORT_STATUS, the print queue's reasons).

        None where there is no such thing. Never raises.
        """
        ...

    on_stall: Callable[[float], bool] | None
    """Asked about every 3 s while the printer takes nothing, and after stall_s, with the seconds this has lasted. True:
    it is known why, and the patience of stall_s begins anew. None or False: after stall_s the sending ends
    (SendInterrupted)."""

    talks: bool
    """Whether asking can bring an answer at all on this wire: False for files and for one-way wires."""

    def finish(self) -> Receipt:
        """Say "that was all" and wait for the far side in the transport's own way.

        Raises SendInterrupted when bytes were sent and their fate is in doubt.
        """
        ...

    def close(self) -> None:
        """Let go of the printer. Never raises, safe to call twice."""
        ...


class Transport(Protocol):
    """One URI scheme. The file's name in devices/transports is the scheme."""

    scheme: str

    def check(self, uri: str) -> None:
        """Raise BadPrinterUri when `uri` cannot be one of ours. Opens nothing."""
        ...

    def open(self, uri: str, settings: Settings) -> Connection:
        """Open a connection. Raises PrinterUnreachable (nothing was sent) or BadPrinterUri."""
        ...
