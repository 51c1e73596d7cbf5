"""One thing the doctor saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """area: where. text: what is so. remedy: the command or the edit that mends it, empty when all is well.

    level: "problem" keeps labels from printing or loses them; a "warning" may one day, or lets others look in.
    """

    area: str
    level: Level
    text: str
    remedy: str = ""

    def __post_init__(self) -> None:
        assert self.level == "ok" or self.remedy, f"{self.text}: nobody is told what to do about it"
