"""What the printer-state-reasons of a print queue mean (RFC 8011, 5.4.12, and PWG 5100.9), in our words.

Some back ends tell more than the standard has ("cups-missing-filter-warning"): what is not known here is no reason.
"""

from __future__ import annotations

from devices.contracts import BLOCKING, Reason

_KEYWORDS = {
    "moving-to-paused": Reason.PAUSED,
    "stopped-partly": Reason.PAUSED,
    "stopping": Reason.PAUSED,
    "shutdown": Reason.OFFLINE,
    "door-open": Reason.COVER_OPEN,
    "interlock-open": Reason.COVER_OPEN,
    "input-tray-missing": Reason.MEDIA_NEEDED,
    "toner-empty": Reason.MARKER_SUPPLY_EMPTY,
    "toner-low": Reason.MARKER_SUPPLY_LOW,
    "fuser-over-temp": Reason.OVERHEATED,
    "trimmer-jam": Reason.CUTTER_ERROR,
    "output-area-full": Reason.OTHER,
    "output-tray-missing": Reason.OTHER,
    "spool-area-full": Reason.OTHER,
    "marker-waste-full": Reason.OTHER,
    "fuser-under-temp": Reason.OTHER,
    "opc-life-over": Reason.OTHER,
}
_BY_NAME = {each.value: each for each in Reason if each is not Reason.NONE} | _KEYWORDS
_LESS = {Reason.MEDIA_EMPTY: Reason.MEDIA_LOW, Reason.MARKER_SUPPLY_EMPTY: Reason.MARKER_SUPPLY_LOW}


def reason(keyword: str) -> Reason | None:
    """What `keyword` ("media-empty-warning") says; None for "none", and for what is not known.

    "-warning" and "-report" mean that printing goes on: then it is nothing a person has to mend first.
    """
    name, _, severity = keyword.rpartition("-")
    if severity not in ("error", "warning", "report"):
        name, severity = keyword, "error"
    found = _BY_NAME.get(name)
    if severity != "error" and found in BLOCKING:
        return _LESS.get(found, Reason.OTHER)
    return found
