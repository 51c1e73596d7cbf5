"""Many labels on many printers, some cancelled, held or cut off: none lost, none twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak import Soak, slope


def test_a_small_soak_loses_nothing_prints_nothing_twice_and_shows_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = Soak(tmp_path, labels=300, printers=3, every=100).run()
    outcome.show()
    table = capsys.readouterr().out
    assert outcome.acknowledged == 300
    assert outcome.lost == []
    assert outcome.twice == []
    assert outcome.wrong == []
    assert outcome.states["cancelled"] >= 6  # held and cancelled: those never print
    assert outcome.heard > 10_000
    assert "memory, MiB per 10,000 labels" in table
    assert len(outcome.samples) >= 2


def test_one_wild_sample_does_not_bend_the_slope() -> None:
    points = [(float(n), 2.0 * n) for n in range(20)]
    assert slope(points) == 2.0
    assert slope([*points, (20.0, 900.0)]) == 2.0
    assert slope(points[:1]) == 0.0
