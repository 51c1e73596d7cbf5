"""Killed at any moment, nothing is lost and nothing prints twice without a person's word."""

from __future__ import annotations

from pathlib import Path

from tests.storm import Storm


def test_fifteen_kills_under_load_lose_nothing_and_print_nothing_twice(tmp_path: Path) -> None:
    outcome = Storm(tmp_path, kills=15, labels=300, seed=1).run()
    print(outcome)
    assert outcome.labels == 300
    assert outcome.lost == []
    assert outcome.twice == []
    assert outcome.wrong == []
