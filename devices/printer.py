"""A printer: its address, its language, what is loaded. The only place where language and transport meet.

    from devices.contracts import Bitmap, Media
    from devices.printer import Printer

    printer = Printer("dock", "tcp://10.0.0.7:9100", "zpl", Media(203, 101.6, 152.4))
    print(printer.print(Bitmap(8, 2, b"\\xff\\x81")).text)
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace

from devices import languages, transports
from devices.contracts import PLAIN, Bitmap, Connection, Language, Media, Receipt, Settings, Tuning


@dataclass(frozen=True, slots=True)
class Printer:
    """uri: see devices/transports. language: a name that `recognize` may give; not every one can be drawn for.

    tuning: what its settings ask to be said with every job.
    """

    name: str
    uri: str
    language: str
    media: Media
    settings: Settings = field(default_factory=Settings)
    tuning: Tuning = PLAIN

    def encoder(self) -> Language:
        """What draws for this printer. Raises UnknownLanguage."""
        return languages.load(self.language)

    def job_end(self) -> bytes:
        """What follows once after all pages and copies of a drawn job. Raises UnknownLanguage."""
        return self.encoder().end_of("job", self.tuning, self.media)

    def connect(self, *, waits_for_close: bool | None = None) -> Connection:
        """Open the way to it. Raises PrinterUnreachable, BadPrinterUri."""
        return transports.open(self.uri, replace(self.settings, waits_for_close=waits_for_close))

    def print(self, page: Bitmap, *, copies: int = 1) -> Receipt:
        """Draw and deliver one page. Raises a DeviceError; SendInterrupted means: look at the printer first."""
        encoder = self.encoder()
        said = copies if encoder.copies_in_language else 1
        once = encoder.encode(page, copies=said, media=self.media, tuning=self.tuning)
        once += encoder.end_of("page", self.tuning, self.media) + encoder.end_of("copy", self.tuning, self.media)
        with closing(self.connect()) as line:
            for _ in range(copies // said):
                line.write(once)
            line.write(encoder.end_of("job", self.tuning, self.media))
            return line.finish()
