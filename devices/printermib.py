"""How a printer is, as its network card tells by SNMP: Host Resources MIB (RFC 2790) and Printer MIB (RFC 3805).

It goes by UDP beside the data port, so it works while another computer prints and while the printer takes nothing. The
network card looks at the printer now and then: what it says may be some seconds old, so its "idle" is not believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from devices import snmp
from devices.contracts import Reason, Status

PATIENCE_S = 0.6

# Of the first device, which is the printer wherever there is one (CUPS's snmp back end relies on it too).
DEVICE_STATUS = "1.3.6.1.2.1.25.3.2.1.5.1"  # hrDeviceStatus
PRINTER_STATUS = "1.3.6.1.2.1.25.3.5.1.1.1"  # hrPrinterStatus
ERROR_STATE = "1.3.6.1.2.1.25.3.5.1.2.1"  # hrPrinterDetectedErrorState
COUNTER_UNIT = "1.3.6.1.2.1.43.10.2.1.3.1.1"  # prtMarkerCounterUnit
LIFE_COUNT = "1.3.6.1.2.1.43.10.2.1.4.1.1"  # prtMarkerLifeCount

_QUESTIONS = (PRINTER_STATUS, ERROR_STATE, DEVICE_STATUS, COUNTER_UNIT, LIFE_COUNT)
_IMPRESSIONS = 7  # PrtMarkerCounterUnitTC; hours, meters and ounces count no labels
_DOWN = 5  # hrDeviceStatus

# hrPrinterDetectedErrorState: bit 0 is the most significant one of the first byte.
_ERRORS = (
    (Reason.MEDIA_LOW, "media is low"),
    (Reason.MEDIA_EMPTY, "media is out"),
    (Reason.MARKER_SUPPLY_LOW, "ribbon or toner is low"),
    (Reason.MARKER_SUPPLY_EMPTY, "ribbon or toner is out"),
    (Reason.COVER_OPEN, "a cover or the head is open"),
    (Reason.MEDIA_JAM, "media is jammed"),
    (Reason.OFFLINE, "it is offline"),
    (Reason.OTHER, "it asks for service"),
    (Reason.MEDIA_NEEDED, "a tray is missing"),
    (Reason.OTHER, "the output tray is missing"),
    (Reason.MARKER_SUPPLY_EMPTY, "a ribbon or cartridge is missing"),
    (Reason.OTHER, "the output is nearly full"),
    (Reason.OTHER, "the output is full"),
    (Reason.MEDIA_LOW, "a tray is empty"),  # of several: noPaper says that none is left
    (Reason.OTHER, "maintenance is overdue"),
)


class PrinterStatus(IntEnum):
    """hrPrinterStatus."""

    OTHER = 1
    UNKNOWN = 2
    IDLE = 3
    PRINTING = 4
    WARMUP = 5


def ask(host: str, port: int = 161, patience_s: float = PATIENCE_S) -> Status | None:
    """What the network card at `host` (IPv4, IPv6 or a name) says of its printer; None: no answer, or no printer.

    Never raises, and takes at most patience_s after the name is looked up.
    """
    return read(snmp.get(host, _QUESTIONS, port, patience_s))


def read(said: Mapping[str, snmp.Value]) -> Status | None:
    """The values by OID as a status; None when they are not a printer's. labels: impressions, for life."""
    printer, errors = said.get(PRINTER_STATUS), said.get(ERROR_STATE)
    if not isinstance(printer, int) and not isinstance(errors, bytes):
        return None
    wrong = _wrong(errors) if isinstance(errors, bytes) else []
    if not wrong and said.get(DEVICE_STATUS) == _DOWN and printer != PrinterStatus.WARMUP:
        wrong = [(Reason.OTHER, "it is not available")]
    return Status(
        reasons=frozenset(reason for reason, _ in wrong),
        labels=_labels(said),
        idle=False if printer in (PrinterStatus.PRINTING, PrinterStatus.WARMUP) else None,
        text=", ".join(text for _, text in wrong),
    )


def _wrong(errors: bytes) -> list[tuple[Reason, str]]:
    """What the bits say; some printers send one byte, some none."""
    return [row for at, row in enumerate(_ERRORS) if errors[at // 8 : at // 8 + 1] and errors[at // 8] << at % 8 & 0x80]


def _labels(said: Mapping[str, snmp.Value]) -> int | None:
    """The counter, where it counts prints. A negative one is not known (RFC 3805: -2)."""
    count = said.get(LIFE_COUNT)
    counts_prints = said.get(COUNTER_UNIT) == _IMPRESSIONS
    return count if counts_prints and isinstance(count, int) and count >= 0 else None
