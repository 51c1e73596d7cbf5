"""What was learnt of a printer's answers to status questions, kept across restarts."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Memory:
    """What is known of a printer's answers. answers: None: never asked. silent: questions it does not answer.

    probes: without an answer, in a row. asked_at: Unix seconds of the last probe. counts, idles: whether it told a
    label counter, or when nothing is left to print. network: whether its network card answers SNMP (the printer MIB).
    """

    who: str
    answers: bool | None = None
    silent: set[str] = field(default_factory=set)
    probes: int = 0
    asked_at: float = 0.0
    counts: bool = False
    idles: bool = False
    network: bool = False

    def to_json(self) -> str:
        return json.dumps({
            "who": self.who, "answers": self.answers, "silent": sorted(self.silent), "probes": self.probes,
            "asked_at": self.asked_at, "counts": self.counts, "idles": self.idles, "network": self.network,
        })  # fmt: skip

    @staticmethod
    def of(text: str | None, who: str) -> Memory:
        """What was kept, unless it is about another printer (or from another version)."""
        try:
            kept = json.loads(text or "{}")
            if kept.get("who") == who:
                return Memory(**{**kept, "silent": set(kept["silent"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            log.debug("what was known of %s cannot be read", who)
        return Memory(who)
