"""What can go wrong between us and a printer, as classes by what the caller may do next.

    DeviceError
    +-- BadPrinterUri         the address itself is wrong: mend the configuration
    +-- UnknownLanguage       no encoder of that name
    +-- PrinterUnreachable    nothing was sent; trying again is always safe
    +-- SendInterrupted       some bytes left; whether a label came out is not known
    |   +-- SendStopped       the caller said stop between two chunks
    +-- BadPrinterData        printer code that cannot be read back into pictures

    ValueError
    +-- PageTooWide           the printer is set up for more than its head can print
"""

from __future__ import annotations


class DeviceError(Exception):
    """Anything this library raises on purpose."""


class BadPrinterUri(DeviceError):
    """The URI cannot be used. The text names the part at fault and what is allowed."""


class UnknownLanguage(DeviceError):
    """No printer language of that name can be drawn for here."""


class PrinterUnreachable(DeviceError):
    """Nothing was sent. Trying again is always safe."""


class SendInterrupted(DeviceError):
    """Some bytes left this machine. Whether a label came out is not known.

    sent: bytes taken by the far side (or by the kernel for it) before the end. total: bytes offered so far.
    """

    def __init__(self, text: str, *, sent: int, total: int) -> None:
        super().__init__(text)
        self.sent = sent
        self.total = total


class SendStopped(SendInterrupted):
    """The caller's keep_going said no between two chunks."""


class BadPrinterData(DeviceError):
    """Printer code that cannot be read. The text names the command and its byte offset."""


class PageTooWide(ValueError):
    """A page is wider than the print head, as large as its printer was said to print: its settings are to be mended."""
