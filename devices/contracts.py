"""The words and promises every part of the printer library shares. Imports nothing of ours.

A *language* turns a Bitmap into the bytes one family of printers understands. A *transport* carries bytes to one
printer and says how many arrived. They meet only in `devices.printer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, runtime_checkable


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
    MEDIA_JAM = "media-jam"
    COVER_OPEN = "cover-open"
    MARKER_SUPPLY_EMPTY = "marker-supply-empty"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Status:
    """What a printer said of itself. labels: its label counter where it has one."""

    reasons: frozenset[Reason] = field(default_factory=frozenset)
    labels: int | None = None


class Language(Protocol):
    """A page-description language. Pure: bytes in, bytes out; no socket, file, clock or log."""

    name: str
    copies_in_language: bool
    """True when `encode(copies=n)` makes the printer repeat the label itself (ZPL ^PQ, EPL2 P)."""

    def encode(self, page: Bitmap, *, copies: int = 1, media: Media | None = None) -> bytes:
        """The bytes that print `page` `copies` times. media: the label loaded, when it is known.

        Raises ValueError for a copies count the language cannot say.
        """
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
